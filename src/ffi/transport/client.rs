//! A transport as client: host key, authentication.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{begun, nacre_transport};
use crate::client::Memory;
use crate::engine::{Asker, ClientMethod, ConnectOptions, HostKeyCheck, HostKeyPolicy, Timeout};
use crate::error::{Error, Result};
use crate::ffi::asker::Callbacks;
use crate::ffi::boundary::{on, share, share_optional};
use crate::ffi::client::{
    NACRE_HOST_KEY_ADD, NACRE_HOST_KEY_ADD_HASHED, NACRE_HOST_KEY_ANY, NACRE_HOST_KEY_ASK, NACRE_HOST_KEY_FIXED_ORDER,
    nacre_client_callbacks, nacre_connect_options, nacre_host_key_check,
};
use crate::ffi::key::{nacre_key, public_keys};
use crate::ffi::status::nacre_status;
use crate::ffi::structs::{Read, read_with_unknown};
use crate::ffi::text::{name, optional_secret, optional_text, port_of, put, set, text, texts};
use crate::ffi::ticket::{nacre_decision, nacre_ticket};
use crate::ffi::userdata::Owned;

/// nacre_transport_auth_password: no keyboard-interactive instead where the server does not offer passwords.
pub const NACRE_AUTH_NO_FALLBACK: u32 = 1;

/// What a host key check says, and who is asked. The callbacks are taken over before anything can fail.
unsafe fn host_key_check(check: *const nacre_host_key_check) -> Result<(Result<HostKeyPolicy>, Arc<dyn Asker>)> {
    let Read { value, unknown } = unsafe { read_with_unknown(check, "the host key check")? };
    let mut callbacks = Callbacks::of_host_key_check(&value);
    let policy = unknown.and_then(|()| unsafe { policy(&value, &mut callbacks) });
    Ok((policy, Arc::new(callbacks)))
}

const HOST_KEY_FLAGS: u32 = NACRE_HOST_KEY_ANY
    | NACRE_HOST_KEY_ASK
    | NACRE_HOST_KEY_FIXED_ORDER
    | NACRE_HOST_KEY_ADD
    | NACRE_HOST_KEY_ADD_HASHED;

unsafe fn policy(check: &nacre_host_key_check, callbacks: &mut Callbacks) -> Result<HostKeyPolicy> {
    if check.flags & !HOST_KEY_FLAGS != 0 || check.reserved != 0 || check.reserved2 != 0 {
        return Err(Error::argument("unknown flags in the host key check"));
    }
    let keys = unsafe { public_keys(check.keys, check.key_count)? };
    let given = unsafe { texts(check.fingerprints, check.fingerprint_count)? };
    let fingerprints = given.into_iter().map(fingerprint).collect::<Result<Vec<_>>>()?;
    let memory = unsafe { memory(check)? };
    if check.flags & NACRE_HOST_KEY_ANY != 0 {
        return Ok(HostKeyPolicy::Any);
    }
    let ask = callbacks.asks_about_host_keys() || check.flags & NACRE_HOST_KEY_ASK != 0;
    if keys.is_empty() && fingerprints.is_empty() && memory.is_none() && !ask {
        return Err(Error::argument("nothing is given to check the host key with"));
    }
    let fixed_order = check.flags & NACRE_HOST_KEY_FIXED_ORDER != 0;
    let known = memory.as_ref().map(Memory::known).unwrap_or_default();
    if check.flags & (NACRE_HOST_KEY_ADD | NACRE_HOST_KEY_ADD_HASHED) != 0 {
        let memory = memory.ok_or_else(|| Error::argument("there are no known hosts to add an accepted key to"))?;
        callbacks.remember(memory);
    }
    Ok(HostKeyPolicy::Check(Box::new(HostKeyCheck { keys, fingerprints, known, ask, fixed_order })))
}

/// The known hosts of a check, with the host.
unsafe fn memory(check: &nacre_host_key_check) -> Result<Option<Memory>> {
    let Some(known_hosts) = (unsafe { share_optional(check.known_hosts.cast_const())? }) else { return Ok(None) };
    let host = unsafe { name(check.host, "the host of the host key check")? }.to_owned();
    let hashed = check.flags & NACRE_HOST_KEY_ADD_HASHED != 0;
    Ok(Some(Memory { known_hosts, host, port: port_of(check.port)?, hashed }))
}

/// What cannot be the fingerprint of any key is said to be so at once, instead of looking like an attack later.
fn fingerprint(given: &[u8]) -> Result<String> {
    const LENGTH: usize = 43;
    let known = given.strip_prefix(b"SHA256:").is_some_and(|digest| {
        let digest = digest.strip_suffix(b"=").unwrap_or(digest);
        digest.len() == LENGTH && digest.iter().all(|c| c.is_ascii_alphanumeric() || b"+/".contains(c))
    });
    match std::str::from_utf8(given) {
        Ok(text) if known => Ok(text.to_owned()),
        _ => Err(Error::argument("a fingerprint is \"SHA256:\" and 43 characters of base64")),
    }
}

/// Sets how the server's host key is checked; before nacre_transport_start_client or while it waits to be trusted.
///
/// Without it the negotiation succeeds, but nacre_transport_auth_* give NACRE_ERR_HOST_KEY until
/// nacre_transport_trust_host_key. NACRE_ERR_ARGUMENT: the check has nothing to check with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_host_key_check(
    transport: *mut nacre_transport,
    check: *const nacre_host_key_check,
) -> nacre_status {
    unsafe {
        let check = host_key_check(check);
        on(transport, |transport| {
            let (policy, asker) = check.as_ref().map_err(Clone::clone)?;
            transport.set_host_key_check(policy.clone()?, Some(Arc::clone(asker)))
        })
    }
}

/// Says that the host key which the server showed (nacre_transport_remote_host_key) is right.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_trust_host_key(transport: *mut nacre_transport) -> nacre_status {
    unsafe { on(transport, |transport| transport.trust_host_key()) }
}

/// Sets what a client is asked beside its host key. The callback of nacre_transport_auth_interactive comes before these.
/// NULL takes them away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_client_callbacks(
    transport: *mut nacre_transport,
    callbacks: *const nacre_client_callbacks,
) -> nacre_status {
    unsafe {
        let callbacks = client_callbacks(callbacks);
        on(transport, |transport| transport.set_asker(callbacks.clone()?))
    }
}

/// Client: with `on` 1, a server that lets the user in without having seen a password, a signature or an answer to a prompt
/// is left: the authentication ends with NACRE_ERR_AUTH_FAILED, and so does the connection. 0 is the default. At any time
/// before the authentication ends. NACRE_ERR_ARGUMENT: `on` is neither 0 nor 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_refuse_trivial_auth(
    transport: *mut nacre_transport,
    on: i32,
) -> nacre_status {
    unsafe {
        self::on(transport, |transport| match on {
            0 | 1 => transport.set_refuse_trivial_auth(on == 1),
            _ => Err(Error::argument("neither 0 nor 1")),
        })
    }
}

/// What nacre_transport_set_refuse_trivial_auth set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_refuse_trivial_auth(
    transport: *const nacre_transport,
    on: *mut i32,
) -> nacre_status {
    unsafe { self::on(transport, |transport| set(on, i32::from(transport.refuse_trivial_auth()?))) }
}

/// Negotiates as client. A connection negotiates once; later exchanges come by themselves or by nacre_transport_rekey.
///
/// Ends as NACRE_EVENT_NEGOTIATED. Errors: NACRE_ERR_NEGOTIATION, _HOST_KEY, _PROTOCOL, _TIMEOUT, _DISCONNECTED, _IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_start_client(
    transport: *mut nacre_transport,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            begun(transport.start_client(Timeout::from_ms(timeout_ms)?, !op.is_null()), op)
        })
    }
}

/// Negotiates as client, checks the host key and authenticates, in one operation. See nacre_connect_options.
///
/// Ends as NACRE_EVENT_AUTH_RESULT. NACRE_ERR_ARGUMENT: no host key check is given. Other errors: those of
/// nacre_transport_start_client and nacre_transport_auth_password.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_connect(
    transport: *mut nacre_transport,
    options: *const nacre_connect_options,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        // What these take over is destroyed also when something fails, and then only when the call is over: never while
        // a lock is held.
        let read = read_with_unknown(options, "the options").map(|Read { value, unknown }| {
            let check = (!value.host_key_check.is_null()).then(|| host_key_check(value.host_key_check));
            (value, unknown, check, client_callbacks(value.callbacks))
        });
        on(transport, |transport| {
            put(op, 0);
            let (options, unknown, check, callbacks) = read.as_ref().map_err(Clone::clone)?;
            let check = check.as_ref().ok_or_else(|| Error::argument("no host key check is given"))?;
            let (policy, host_key_asker) = check.as_ref().map_err(Clone::clone)?;
            unknown.clone()?;
            let timeout = Timeout::from_ms(timeout_ms)?;
            let options = ConnectOptions {
                policy: policy.clone()?,
                host_key_asker: Some(Arc::clone(host_key_asker)),
                asker: callbacks.clone()?,
                user: optional_text(options.user)?.map(<[u8]>::to_vec),
                key: share_optional(options.key)?.map(|key| key.private().cloned()).transpose()?,
                password: optional_secret(options.password)?,
            };
            begun(transport.connect(options, timeout, !op.is_null()), op)
        })
    }
}

/// Authenticates with nothing. It usually fails, but then nacre_transport_auth_methods says what may continue.
///
/// Ends as NACRE_EVENT_AUTH_RESULT. Errors: those of nacre_transport_auth_password.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_none(
    transport: *mut nacre_transport,
    user: *const c_char,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe { authenticate(transport, user, || Ok(ClientMethod::None), None, timeout_ms, op) }
}

/// Authenticates with a password; by keyboard-interactive when the server does not offer passwords, unless `flags` has
/// NACRE_AUTH_NO_FALLBACK. When the server wants the password changed, the client callbacks are asked.
///
/// Ends as NACRE_EVENT_AUTH_RESULT. Errors: NACRE_ERR_AUTH_FAILED, _AUTH_METHOD (not offered), _AUTH_PARTIAL (right, but
/// more steps are needed: nacre_transport_auth_methods), _HOST_KEY (nobody trusts it yet), _STATE (not negotiated, already
/// authenticated, or another authentication is under way), _TIMEOUT, _DISCONNECTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_password(
    transport: *mut nacre_transport,
    user: *const c_char,
    password: *const c_char,
    flags: u32,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let method = || {
        if flags & !NACRE_AUTH_NO_FALLBACK != 0 {
            return Err(Error::argument("unknown flags"));
        }
        let password = Zeroizing::new(unsafe { text(password, "the password")? }.to_vec());
        Ok(ClientMethod::Password { password, fallback_to_interactive: flags & NACRE_AUTH_NO_FALLBACK == 0 })
    };
    unsafe { authenticate(transport, user, method, None, timeout_ms, op) }
}

/// Authenticates with a private key. The transport keeps the key as long as it needs it.
///
/// Ends as NACRE_EVENT_AUTH_RESULT. Errors: NACRE_ERR_ARGUMENT for a public key, and those of
/// nacre_transport_auth_password.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_publickey(
    transport: *mut nacre_transport,
    user: *const c_char,
    key: *const nacre_key,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let method = || {
        let key = unsafe { share(key)? }.private()?.clone();
        Ok(ClientMethod::Publickey { key, probe: false })
    };
    unsafe { authenticate(transport, user, method, None, timeout_ms, op) }
}

/// nacre_transport_auth_publickey_with: asks whether the key would do before anything is signed.
pub const NACRE_AUTH_PROBE: u32 = 1;

/// nacre_transport_auth_publickey with flags: 0 or NACRE_AUTH_PROBE. With it a key that the server does not want costs no
/// signature, and of an RSA key's algorithms the first one that the server takes is signed with.
///
/// Ends as NACRE_EVENT_AUTH_RESULT. Errors: those of nacre_transport_auth_publickey; NACRE_ERR_ARGUMENT for unknown flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_publickey_with(
    transport: *mut nacre_transport,
    user: *const c_char,
    key: *const nacre_key,
    flags: u32,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let method = || {
        if flags & !NACRE_AUTH_PROBE != 0 {
            return Err(Error::argument("unknown flags"));
        }
        let key = unsafe { share(key)? }.private()?.clone();
        Ok(ClientMethod::Publickey { key, probe: flags & NACRE_AUTH_PROBE != 0 })
    };
    unsafe { authenticate(transport, user, method, None, timeout_ms, op) }
}

/// Authenticates by keyboard-interactive: `callback` is asked for each round of prompts, which the ticket holds
/// (NACRE_QUESTION_PROMPTS), and answers with nacre_ticket_answer_texts. Without a callback the client callbacks are asked,
/// or, with NACRE_AS_EVENTS, QUESTION events come.
///
/// `submethods` (may be NULL) is a hint for the server. `destroy` (may be NULL) runs exactly once, when no call can follow,
/// also when this call fails. Ends as NACRE_EVENT_AUTH_RESULT. Errors: those of nacre_transport_auth_password.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_auth_interactive(
    transport: *mut nacre_transport,
    user: *const c_char,
    submethods: *const c_char,
    callback: Option<
        unsafe extern "C" fn(
            userdata: *mut c_void,
            transport: *mut nacre_transport,
            ticket: *mut nacre_ticket,
        ) -> nacre_decision,
    >,
    userdata: *mut c_void,
    destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let asker: Arc<dyn Asker> = Arc::new(Callbacks::of_interactive(callback, Owned::new(userdata, destroy)));
    let method = || {
        let submethods = if submethods.is_null() { "" } else { unsafe { name(submethods, "the submethods")? } };
        Ok(ClientMethod::Interactive { submethods: submethods.to_owned() })
    };
    let asker = callback.is_some().then_some(asker);
    unsafe { authenticate(transport, user, method, asker, timeout_ms, op) }
}

unsafe fn authenticate(
    transport: *mut nacre_transport,
    user: *const c_char,
    method: impl FnOnce() -> Result<ClientMethod>,
    asker: Option<Arc<dyn Asker>>,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            let timeout = Timeout::from_ms(timeout_ms)?;
            let user = text(user, "the user")?;
            // A clone: what the call does not keep is destroyed when it is over, never while a lock is held.
            begun(transport.authenticate(user, method()?, asker.clone(), timeout, !op.is_null()), op)
        })
    }
}

/// NULL: none. What they own is destroyed also when something fails.
unsafe fn client_callbacks(callbacks: *const nacre_client_callbacks) -> Result<Option<Arc<dyn Asker>>> {
    if callbacks.is_null() {
        return Ok(None);
    }
    let Read { value, unknown } = unsafe { read_with_unknown(callbacks, "the callbacks")? };
    let callbacks = Callbacks::of_client(&value);
    unknown.map(|()| Some(Arc::new(callbacks) as Arc<dyn Asker>))
}
