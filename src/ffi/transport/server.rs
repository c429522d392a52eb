//! A transport as server.

use std::ffi::c_char;
use std::sync::Arc;

use super::{begun, nacre_transport};
use crate::engine::{Asker, Timeout};
use crate::error::Result;
use crate::ffi::asker::Callbacks;
use crate::ffi::boundary::{on, share};
use crate::ffi::key::{Key, nacre_key, put_key};
use crate::ffi::server::nacre_server_callbacks;
use crate::ffi::status::nacre_status;
use crate::ffi::structs::{Read, read_with_unknown};
use crate::ffi::text::{put, text};

/// Adds a host key, before nacre_transport_start_server. One key of each type is kept. It has to have its private half.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_add_host_key(
    transport: *mut nacre_transport,
    key: *const nacre_key,
) -> nacre_status {
    unsafe { on(transport, |transport| transport.add_host_key(share(key)?.private()?.clone())) }
}

/// The host key that was negotiated, the caller's to free. NACRE_ERR_NOT_FOUND: not yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_host_key(
    transport: *const nacre_transport,
    key: *mut *mut nacre_key,
) -> nacre_status {
    unsafe { on(transport, |transport| put_key(key, || Ok(Key::from(transport.host_key()?)))) }
}

/// Negotiates as server, and serves: from then on the callbacks are asked. They may be NULL: everything is refused, or,
/// with NACRE_AS_EVENTS, asked through events.
///
/// Ends as NACRE_EVENT_NEGOTIATED; the login that follows as NACRE_EVENT_AUTHENTICATED. NACRE_ERR_STATE: there is no host
/// key, or negotiation has begun before. Other errors: NACRE_ERR_NEGOTIATION, _PROTOCOL, _TIMEOUT, _DISCONNECTED, _IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_start_server(
    transport: *mut nacre_transport,
    callbacks: *const nacre_server_callbacks,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        let asker = server_asker(callbacks);
        on(transport, |transport| {
            put(op, 0);
            // A clone: what the call does not keep is destroyed when it is over, never while a lock is held.
            begun(transport.start_server(asker.clone()?, Timeout::from_ms(timeout_ms)?, !op.is_null()), op)
        })
    }
}

/// Server, before the login: sends a text for the user to see.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_send_banner(
    transport: *mut nacre_transport,
    banner: *const c_char,
) -> nacre_status {
    unsafe { on(transport, |transport| transport.send_banner(text(banner, "the banner")?)) }
}

unsafe fn server_asker(callbacks: *const nacre_server_callbacks) -> Result<Option<Arc<dyn Asker>>> {
    if callbacks.is_null() {
        return Ok(None);
    }
    let Read { value, unknown } = unsafe { read_with_unknown(callbacks, "the callbacks")? };
    let callbacks = Callbacks::of_server(&value);
    unknown.map(|()| Some(Arc::new(callbacks) as Arc<dyn Asker>))
}
