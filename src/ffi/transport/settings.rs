//! Settings of a transport.

use std::ffi::c_char;
use std::time::Duration;

use super::{nacre_transport, truth};
use crate::engine::{AlgorithmKind, Keepalive, Policy, RekeyLimits, SignatureRules, available};
use crate::error::{Error, Result};
use crate::ffi::boundary::{guarded, on};
use crate::ffi::limit::{limit_of, nacre_limit};
use crate::ffi::status::nacre_status;
use crate::ffi::text::{name, put, put_text, set};

/// A category of algorithms. The lists of ciphers, MACs and compression hold for both directions.
pub type nacre_algorithm_kind = i32;

/// Key exchange.
pub const NACRE_ALG_KEX: nacre_algorithm_kind = 1;
/// Signatures of the server's host key.
pub const NACRE_ALG_HOST_KEY: nacre_algorithm_kind = 2;
/// Ciphers.
pub const NACRE_ALG_CIPHER: nacre_algorithm_kind = 3;
/// MACs; ciphers that authenticate by themselves use none.
pub const NACRE_ALG_MAC: nacre_algorithm_kind = 4;
/// Compression.
pub const NACRE_ALG_COMPRESSION: nacre_algorithm_kind = 5;
/// Signatures of users' keys.
pub const NACRE_ALG_PUBKEY_SIGNATURE: nacre_algorithm_kind = 6;

fn kind_of(kind: nacre_algorithm_kind) -> Result<AlgorithmKind> {
    Ok(match kind {
        NACRE_ALG_KEX => AlgorithmKind::Kex,
        NACRE_ALG_HOST_KEY => AlgorithmKind::HostKey,
        NACRE_ALG_CIPHER => AlgorithmKind::Cipher,
        NACRE_ALG_MAC => AlgorithmKind::Mac,
        NACRE_ALG_COMPRESSION => AlgorithmKind::Compression,
        NACRE_ALG_PUBKEY_SIGNATURE => AlgorithmKind::PubkeySignature,
        _ => return Err(Error::argument(format!("{kind} is no kind of algorithm"))),
    })
}

/// Sets which algorithms of a category (NACRE_ALG_*) are offered, comma separated, preferred first; before the start. A
/// list that begins with `+` is appended to the present one, with `^` put before it, with `-` taken out of it.
///
/// The order of a client decides; in that of a server only its first key exchange and host key algorithm count, for a
/// guess. A server offers the host key algorithms that it has keys for. Signatures of users' keys: what a client makes
/// and a server takes and announces (RFC 8308).
///
/// NACRE_ERR_ALGORITHM: an unknown name, one from outside the policy, or nothing would be left; nothing was changed, and
/// the error's text has the name. NACRE_ERR_STATE: negotiation has begun.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_algorithms(
    transport: *mut nacre_transport,
    kind: nacre_algorithm_kind,
    list: *const c_char,
) -> nacre_status {
    unsafe { on(transport, |transport| transport.set_algorithms(kind_of(kind)?, name(list, "the list")?)) }
}

/// The algorithms of a category that are offered, comma separated, preferred first. The finite-field key exchanges that by
/// default only a client offers stand in the list until a server starts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_get_algorithms(
    transport: *const nacre_transport,
    kind: nacre_algorithm_kind,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(transport, |transport| put_text(transport.algorithms(kind_of(kind)?)?.as_bytes(), buf, cap, needed)) }
}

/// 1: compression is wanted, where the peer has it ("zlib@openssh.com,none"). 0: none. Before the start. It begins with what
/// follows the login; nacre_transport_negotiated tells what came of it, and nacre_transport_get_algorithms what is set, by
/// default "none,zlib@openssh.com": a server compresses for clients that want it.
///
/// What is compressed together can be guessed from its length: where an attacker chooses some of the data and sees the
/// packets, he learns about the rest. "zlib", which begins before the login, can be had by nacre_transport_set_algorithms.
///
/// NACRE_ERR_STATE: negotiation has begun. NACRE_ERR_ALGORITHM: the policy has no compression.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_use_compression(transport: *mut nacre_transport, on: i32) -> nacre_status {
    unsafe {
        crate::ffi::boundary::on(transport, |transport| {
            let list = match on {
                0 => "none",
                1 => "zlib@openssh.com,none",
                _ => return Err(Error::argument("compression is either 0 or 1")),
            };
            transport.set_algorithms(AlgorithmKind::Compression, list)
        })
    }
}

/// What an application wants in general: a set of lists.
pub type nacre_policy = i32;

/// Safe, and understood by what is in use today. docs/algorithms.md gives the lists and their reasons.
pub const NACRE_POLICY_DEFAULT: nacre_policy = 0;
/// Only exchanges that withstand a quantum computer (mlkem768x25519, sntrup761x25519), ed25519 and rsa-sha2 signatures, and
/// packets protected by an AEAD or by encrypt-then-MAC. The peer has to do strict key exchange.
pub const NACRE_POLICY_STRICT: nacre_policy = 1;

/// Sets all lists to those of a policy (NACRE_POLICY_*); before the start. Under NACRE_POLICY_STRICT
/// nacre_transport_set_algorithms takes no name from outside it.
///
/// NACRE_ERR_STATE: negotiation has begun.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_policy(
    transport: *mut nacre_transport,
    policy: nacre_policy,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            transport.set_policy(match policy {
                NACRE_POLICY_DEFAULT => Policy::Default,
                NACRE_POLICY_STRICT => Policy::Strict,
                _ => return Err(Error::argument(format!("{policy} is no policy"))),
            })
        })
    }
}

/// What nacre_transport_set_policy set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_policy(
    transport: *const nacre_transport,
    policy: *mut nacre_policy,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let value = match transport.policy()? {
                Policy::Default => NACRE_POLICY_DEFAULT,
                Policy::Strict => NACRE_POLICY_STRICT,
            };
            set(policy, value)
        })
    }
}

/// All algorithms of a category that this library has, comma separated, also those that are off by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_algorithms_available(
    kind: nacre_algorithm_kind,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { guarded(|| put_text(available(kind_of(kind)?).join(",").as_bytes(), buf, cap, needed)) }
}

/// Sets the window and the largest packet, in bytes, of the transport's channels (2,097,152 and 32,768); before the start,
/// later NACRE_ERR_STATE. The receiver's window grows by itself only while the window has its default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_default_window(
    transport: *mut nacre_transport,
    window_bytes: u32,
    max_packet_bytes: u32,
) -> nacre_status {
    unsafe { on(transport, |transport| transport.set_default_window(window_bytes, max_packet_bytes)) }
}

/// What nacre_transport_set_default_window set. Either pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_default_window(
    transport: *const nacre_transport,
    window_bytes: *mut u32,
    max_packet_bytes: *mut u32,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let (window, max_packet) = transport.default_window()?;
            put(window_bytes, window);
            put(max_packet_bytes, max_packet);
            Ok(())
        })
    }
}

/// Sets a limit (NACRE_LIMIT_*).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_limit(
    transport: *mut nacre_transport,
    which: nacre_limit,
    value: u64,
) -> nacre_status {
    unsafe { on(transport, |transport| transport.set_limit(limit_of(which)?, value)) }
}

/// A limit (NACRE_LIMIT_*).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_limit(
    transport: *const nacre_transport,
    which: nacre_limit,
    value: *mut u64,
) -> nacre_status {
    unsafe { on(transport, |transport| set(value, transport.limit(limit_of(which)?)?)) }
}

/// New keys are negotiated after so many bytes or packets in either direction, or seconds, whichever comes first (1 GiB,
/// 2^31, 3,600). 0: the default of that one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_rekey_limits(
    transport: *mut nacre_transport,
    bytes: u64,
    packets: u64,
    seconds: u32,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let mut limits = RekeyLimits::default();
            if bytes != 0 {
                limits.bytes = bytes;
            }
            if packets != 0 {
                limits.packets = packets;
            }
            if seconds != 0 {
                limits.interval = Duration::from_secs(seconds.into());
            }
            transport.set_rekey_limits(limits)
        })
    }
}

/// What nacre_transport_set_rekey_limits set. Any pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_rekey_limits(
    transport: *const nacre_transport,
    bytes: *mut u64,
    packets: *mut u64,
    seconds: *mut u32,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let limits = transport.rekey_limits()?;
            put(bytes, limits.bytes);
            put(packets, limits.packets);
            put(seconds, u32::try_from(limits.interval.as_secs()).unwrap_or(u32::MAX));
            Ok(())
        })
    }
}

/// Which signatures are made and taken, of hosts and of users, from now on; at any time.
///
/// `minimum_rsa_bits`: what the modulus of an RSA key has to have, from 1,024 to 16,384; 0: the default, 2,048. A server
/// does not offer a host key that is smaller. `presence` 1 (the default): a user's signature by a security key ("sk-")
/// counts only if somebody touched the key for it. `verification` 1 (0 by default): only if the key made sure who that was,
/// by a PIN or a finger. Both are a server's: keys of hosts are not touched for each connection. Where some users may do
/// without, set 0 and decide by nacre_ticket_security_key.
///
/// NACRE_ERR_ARGUMENT: a value out of its range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_signature_rules(
    transport: *mut nacre_transport,
    minimum_rsa_bits: u32,
    presence: i32,
    verification: i32,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let (presence, verification) = (truth(presence)?, truth(verification)?);
            let minimum_rsa_bits = match minimum_rsa_bits {
                0 => SignatureRules::MINIMUM_RSA_BITS,
                bits => bits,
            };
            transport.set_signature_rules(SignatureRules { minimum_rsa_bits, presence, verification })
        })
    }
}

/// What nacre_transport_set_signature_rules set. Any pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_signature_rules(
    transport: *const nacre_transport,
    minimum_rsa_bits: *mut u32,
    presence: *mut i32,
    verification: *mut i32,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let rules = transport.signature_rules()?;
            put(minimum_rsa_bits, rules.minimum_rsa_bits);
            put(presence, i32::from(rules.presence));
            put(verification, i32::from(rules.verification));
            Ok(())
        })
    }
}

/// Asks the peer for a sign of life after so long without anything from it; 0: never (the default). After
/// `max_unanswered` questions without an answer the connection ends with NACRE_ERR_TIMEOUT; 0: never.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_keepalive(
    transport: *mut nacre_transport,
    interval_ms: i32,
    max_unanswered: u32,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let interval = u64::try_from(interval_ms).map_err(|_| Error::argument("the interval is negative"))?;
            let interval = Some(interval).filter(|interval| *interval != 0).map(Duration::from_millis);
            transport.set_keepalive(Keepalive { interval, max_unanswered })
        })
    }
}

/// What nacre_transport_set_keepalive set. Either pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_keepalive(
    transport: *const nacre_transport,
    interval_ms: *mut i32,
    max_unanswered: *mut u32,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let keepalive = transport.keepalive()?;
            let interval = keepalive.interval.unwrap_or_default().as_millis();
            put(interval_ms, i32::try_from(interval).unwrap_or(i32::MAX));
            put(max_unanswered, keepalive.max_unanswered);
            Ok(())
        })
    }
}
