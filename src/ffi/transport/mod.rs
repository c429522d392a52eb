//! Transports: making and ending them.

mod about;
mod channels;
mod client;
mod events;
mod forwards;
mod open;
mod server;
mod settings;

pub(in crate::ffi) use open::truth;

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{Handle, free, give, of, on, quietly, reference, share_optional};
use super::engine::{engine_or_default, nacre_engine};
use super::error::{making, nacre_error, put_error};
use super::status::nacre_status;
use super::text::{name, optional_text, put, put_text, set, wanted};
use super::userdata::Owned;
use crate::engine::{Started, Timeout, Transport};
use crate::error::{Error, Result};

/// One connection, client or server. Any thread may use it at any time.
pub struct nacre_transport {
    _private: [u8; 0],
}

impl Handle for nacre_transport {
    type Object = Transport;
    const NAME: &'static str = "transport";

    fn check(transport: &Arc<Transport>) -> Result<()> {
        transport.engine().check()
    }

    fn panicked(transport: &Arc<Transport>) {
        quietly(|| drop(transport.disconnect(11, "internal error")));
    }

    fn failed(transport: &Arc<Transport>, error: &Error) {
        transport.note_failure(error);
    }
}

/// How a call that began an operation came out.
pub(in crate::ffi) unsafe fn begun<T>(started: Started<T>, op: *mut u64) -> Result<T> {
    unsafe { put(op, started.op) };
    started.result
}

/// Makes a transport over a connected stream socket, or another descriptor that is read and written. Nothing is sent yet.
///
/// The descriptor is nacre's after success, else it is left as it was. It is made non-blocking and close-on-exec.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_from_fd(
    engine: *mut nacre_engine,
    fd: i32,
    transport: *mut *mut nacre_transport,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        making(err, || {
            set(transport, std::ptr::null_mut())?;
            if let Some(engine) = share_optional(engine)? {
                engine.check()?;
            }
            if fd < 0 {
                return Err(Error::argument(format!("{fd} is no descriptor")));
            }
            set(transport, give(Transport::from_fd(&engine_or_default(engine)?, fd)?))
        })
    }
}

/// Connects to "host", "host:port", "[v6]:port" or a bare IPv6 address; the port is 22 when none is given. Every address
/// of the host is tried. Nothing of SSH is sent yet.
///
/// On NACRE_ERR_AGAIN `*transport` is set too: it is connecting, and what is called on it waits its turn. Ends as
/// NACRE_EVENT_OPERATION_DONE. Errors: NACRE_ERR_RESOLVE, _CONNECT, _TIMEOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_dial(
    engine: *mut nacre_engine,
    address: *const c_char,
    timeout_ms: i32,
    transport: *mut *mut nacre_transport,
    op: *mut u64,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        making(err, || {
            put(op, 0);
            set(transport, std::ptr::null_mut())?;
            let timeout = Timeout::from_ms(timeout_ms)?;
            let address = name(address, "the address")?;
            let (made, started) = Transport::dial(&engine_or_default(engine)?, address, timeout, !op.is_null());
            let outcome = begun(started, op);
            if let Some(made) = made {
                set(transport, give(made))?;
            }
            outcome
        })
    }
}

/// Adds an owner: one nacre_transport_free more is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_ref(transport: *mut nacre_transport) -> nacre_status {
    unsafe { reference(transport, |transport| transport.add_owner()) }
}

/// Gives the transport up; it has to be the owner's last use of the handle. The last owner's call closes what is open: what
/// the kernel takes at once is sent, an engine with threads sends the rest for at most 2 s. Waits for nothing, joins no
/// thread, may be called from a callback of this transport. Channels of it that are still held say NACRE_ERR_CLOSED.
/// In a child after fork() it only closes descriptors. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_free(transport: *mut nacre_transport) {
    unsafe { free(transport, Transport::release) };
}

/// Begins the orderly end: no more input, what is queued is still sent (for at most NACRE_LIMIT_CLOSE), then DISCONNECT.
/// Waits in other threads end with NACRE_ERR_CLOSED. NACRE_EVENT_DISCONNECTED is the last event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_close(transport: *mut nacre_transport) -> nacre_status {
    unsafe { on(transport, Transport::close) }
}

/// Ends the connection at once with a reason code (RFC 4253 section 11.1) and a text (may be NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_disconnect(
    transport: *mut nacre_transport,
    code: u32,
    text: *const c_char,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let text = String::from_utf8_lossy(optional_text(text)?.unwrap_or_default());
            transport.disconnect(code, &text)
        })
    }
}

/// Waits until everything that was queued is with the kernel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_flush(transport: *mut nacre_transport, timeout_ms: i32) -> nacre_status {
    unsafe { on(transport, |transport| transport.flush(Timeout::from_ms(timeout_ms)?)) }
}

/// In a child after fork(): closes the descriptors of the transport without sending anything; the parent's connection
/// lives on. Takes no lock. The handle has to be freed all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_atfork(transport: *mut nacre_transport) {
    unsafe { of(transport, (), Transport::atfork) };
}

/// The descriptor of the connection; it stays nacre's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_fd(transport: *const nacre_transport, fd: *mut i32) -> nacre_status {
    unsafe { on(transport, |transport| set(wanted(fd, "the descriptor")?, transport.fd()?)) }
}

/// Takes an error: with `op` 0 the last one of this transport, else that of this operation. `*err` is the caller's to free.
/// NACRE_ERR_NOT_FOUND: there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_take_error(
    transport: *mut nacre_transport,
    op: u64,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe { on(transport, |transport| put_error(wanted(err, "the out-parameter")?, transport.take_error(op))) }
}

/// Keeps a pointer of yours on the transport; events carry it. `destroy` (may be NULL) runs exactly once: when another
/// takes its place, when the transport is gone, or when this call fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_userdata(
    transport: *mut nacre_transport,
    userdata: *mut c_void,
    destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
) -> nacre_status {
    let owned = Owned::new(userdata, destroy);
    unsafe { on(transport, |transport| transport.set_userdata(owned.into_userdata())) }
}

/// The pointer that nacre_transport_set_userdata keeps; NULL when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_userdata(transport: *const nacre_transport) -> *mut c_void {
    unsafe { of(transport, std::ptr::null_mut(), |transport| transport.userdata() as *mut c_void) }
}

/// One line for debugging: state, peer, algorithms, channels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_describe(
    transport: *const nacre_transport,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(transport, |transport| put_text(transport.describe().as_bytes(), buf, cap, needed)) }
}
