//! Channels, requests and rekeys of a transport.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::{begun, nacre_transport};
use crate::engine::{Opening, Timeout, Transport};
use crate::error::{Error, Result};
use crate::ffi::boundary::{give, on};
use crate::ffi::channel::nacre_channel;
use crate::ffi::message::{Message, nacre_message};
use crate::ffi::status::nacre_status;
use crate::ffi::text::{name, piece, put, set};

/// Opens a session channel.
///
/// On NACRE_ERR_AGAIN `*channel` is set too: it is opening, and what is called on it waits its turn; freeing it cancels.
/// Ends as NACRE_EVENT_OPERATION_DONE. Errors: NACRE_ERR_CHANNEL_REFUSED, _STATE (not authenticated), _TIMEOUT,
/// _DISCONNECTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_session(
    transport: *mut nacre_transport,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| open_channel(transport, || Ok(Opening::Session), 0, 0, timeout_ms, channel, op))
    }
}

/// Opens a session channel with a window and a largest packet of so many bytes; 0: the transport's default. A window that
/// is given does not grow by itself. The rest is as for nacre_transport_open_session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_session_with(
    transport: *mut nacre_transport,
    window_bytes: u32,
    max_packet_bytes: u32,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            open_channel(transport, || Ok(Opening::Session), window_bytes, max_packet_bytes, timeout_ms, channel, op)
        })
    }
}

/// Takes the next channel that the peer opened and a callback accepted; the caller has to free it. NACRE_ERR_AGAIN: there
/// is none, and `*channel` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_accept(
    transport: *mut nacre_transport,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            set(channel, std::ptr::null_mut())?;
            set(channel, give(transport.accept(Timeout::from_ms(timeout_ms)?)?))
        })
    }
}

/// Negotiates new keys. Data may be written meanwhile; it is held back.
///
/// Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_STATE: not negotiated yet, or a key exchange is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_rekey(
    transport: *mut nacre_transport,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            begun(transport.rekey(Timeout::from_ms(timeout_ms)?, !op.is_null()), op)
        })
    }
}

/// Sends a global request with raw data.
///
/// `want_reply` is 1 or 0; without a reply the call ends at once. `*reply` (may be NULL) gets the data of the reply, the
/// caller's to free; on NACRE_ERR_AGAIN it is NULL, and the reply comes with NACRE_EVENT_OPERATION_DONE.
/// NACRE_ERR_REQUEST_DENIED: the peer refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_global_request(
    transport: *mut nacre_transport,
    name: *const c_char,
    data: *const c_void,
    len: usize,
    want_reply: i32,
    timeout_ms: i32,
    reply: *mut *mut nacre_message,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            put(reply, std::ptr::null_mut());
            let name = self::name(name, "the name")?;
            let (data, want_reply) = (piece(data, len)?, truth(want_reply)?);
            let timeout = Timeout::from_ms(timeout_ms)?;
            let answer = begun(transport.global_request(name, data, want_reply, timeout, !op.is_null()), op)?;
            if let (Some(message), false) = (answer.message, reply.is_null()) {
                set(reply, give(Arc::new(Message::new(message))))?;
            }
            Ok(())
        })
    }
}

/// 0 or 1.
pub(in crate::ffi) fn truth(value: i32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::argument(format!("{value} is neither 0 nor 1"))),
    }
}

/// What is wrong with the opening is told after the out-parameters are set.
pub(super) unsafe fn open_channel(
    transport: &Arc<Transport>,
    opening: impl FnOnce() -> Result<Opening>,
    window: u32,
    max_packet: u32,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> Result<()> {
    let given = |value: u32| Some(value).filter(|value| *value != 0);
    unsafe {
        put(op, 0);
        set(channel, std::ptr::null_mut())?;
        let timeout = Timeout::from_ms(timeout_ms)?;
        let opening = opening()?;
        let (kind, data) = (opening.kind(), opening.encode());
        let (opened, started) =
            transport.open_channel(kind, &data, given(window), given(max_packet), timeout, !op.is_null());
        let outcome = begun(started, op);
        if let Some(opened) = opened {
            set(channel, give(opened))?;
        }
        outcome
    }
}
