//! What is known of a connection.

use std::ffi::c_char;

use super::nacre_transport;
use crate::ffi::boundary::{of, on};
use crate::ffi::key::{Key, nacre_key, put_key};
use crate::ffi::status::nacre_status;
use crate::ffi::structs::{check_out, public_struct, write};
use crate::ffi::text::put_text;

/// What was negotiated. Names end with NUL; directions are seen from this side.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_negotiated {
    pub size: usize,
    pub kex: [c_char; 80],
    pub host_key: [c_char; 80],
    pub cipher_in: [c_char; 80],
    pub cipher_out: [c_char; 80],
    /// Empty where the cipher authenticates by itself.
    pub mac_in: [c_char; 80],
    pub mac_out: [c_char; 80],
    pub compression_in: [c_char; 80],
    pub compression_out: [c_char; 80],
    /// 1 when both sides do strict key exchange.
    pub strict_kex: i32,
    /// How many bytes of session_id there are.
    pub session_id_len: u32,
    pub session_id: [u8; 64],
    /// Key exchanges after the first.
    pub rekeys: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub packets_in: u64,
    pub packets_out: u64,
}
public_struct!(nacre_negotiated, packets_out: u64);

/// What was negotiated, and how much went each way. NACRE_ERR_STATE: not negotiated yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_negotiated(
    transport: *const nacre_transport,
    info: *mut nacre_negotiated,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            check_out(info, "the result")?;
            let (negotiated, counters) = transport.negotiated()?;
            let (session_id, session_id_len) = fixed::<64>(&negotiated.session_id);
            let value = nacre_negotiated {
                size: 0,
                kex: array(negotiated.kex),
                host_key: array(negotiated.host_key),
                cipher_in: array(negotiated.cipher_in),
                cipher_out: array(negotiated.cipher_out),
                mac_in: array(negotiated.mac_in),
                mac_out: array(negotiated.mac_out),
                compression_in: array(negotiated.compression_in),
                compression_out: array(negotiated.compression_out),
                strict_kex: i32::from(negotiated.strict),
                session_id_len,
                session_id,
                rekeys: negotiated.rekeys,
                bytes_in: counters.bytes_in,
                bytes_out: counters.bytes_out,
                packets_in: counters.packets_in,
                packets_out: counters.packets_out,
            };
            write(info, &value, "the result")
        })
    }
}

/// The server's host key, the caller's to free. NACRE_ERR_NOT_FOUND: not known yet, or there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_remote_host_key(
    transport: *const nacre_transport,
    key: *mut *mut nacre_key,
) -> nacre_status {
    unsafe { on(transport, |transport| put_key(key, || Ok(Key::from(transport.remote_host_key()?)))) }
}

/// 1 while the connection is negotiated and not over, else 0 (also for NULL and in a child after fork).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_is_active(transport: *const nacre_transport) -> i32 {
    unsafe { of(transport, 0, |transport| i32::from(transport.is_active())) }
}

/// 1 while the connection is authenticated and not over, else 0 (also for NULL and in a child after fork).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_is_authenticated(transport: *const nacre_transport) -> i32 {
    unsafe { of(transport, 0, |transport| i32::from(transport.is_authenticated())) }
}

/// The user that is authenticated. May hold any bytes: `needed` says how many. NACRE_ERR_NOT_FOUND: not yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_username(
    transport: *const nacre_transport,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(transport, |transport| put_text(&transport.username()?, buf, cap, needed)) }
}

/// The method that authenticated the user, or the last of several: "password", "publickey", "keyboard-interactive" or
/// "none". NACRE_ERR_NOT_FOUND: not yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_method(
    transport: *const nacre_transport,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(transport, |transport| put_text(transport.auth_method()?.as_bytes(), buf, cap, needed)) }
}

/// Client: 1 when the server let the user in without having seen a password, a signature or an answer to a prompt, else 0
/// (also before, for NULL and in a child after fork). Such a server may be another one than it seems to be, which wants
/// what is typed next. See nacre_transport_set_refuse_trivial_auth.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_was_trivial(transport: *const nacre_transport) -> i32 {
    unsafe { of(transport, 0, |transport| i32::from(transport.auth_was_trivial())) }
}

/// The server's banner, as it was sent. NACRE_ERR_NOT_FOUND: there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_banner(
    transport: *const nacre_transport,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(transport, |transport| put_text(&transport.banner()?, buf, cap, needed)) }
}

/// The peer's identification string, such as "SSH-2.0-OpenSSH_10.0". NACRE_ERR_NOT_FOUND: not yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_remote_version(
    transport: *const nacre_transport,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(transport, |transport| put_text(transport.remote_version()?.as_bytes(), buf, cap, needed)) }
}

/// Client: the authentication methods that may continue, comma separated, as the server last said. NACRE_ERR_NOT_FOUND:
/// it has said nothing yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_methods(
    transport: *const nacre_transport,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(transport, |transport| put_text(transport.auth_methods()?.as_bytes(), buf, cap, needed)) }
}

/// A name of the protocol, which has at most 64 characters, and a NUL.
fn array<const N: usize>(name: &str) -> [c_char; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().take(N - 1).zip(name.bytes()) {
        *to = from as c_char;
    }
    out
}

fn fixed<const N: usize>(bytes: &[u8]) -> ([u8; N], u32) {
    let mut out = [0; N];
    let length = bytes.len().min(N);
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    (out, u32::try_from(length).unwrap_or(0))
}
