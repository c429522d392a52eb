//! Asking the server to listen.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::{begun, nacre_transport};
use crate::engine::{Asker, HostPort, ListenAt, Timeout, Transport};
use crate::error::Result;
use crate::ffi::asker::{Callbacks, Forwarded};
use crate::ffi::boundary::on;
use crate::ffi::channel::nacre_channel;
use crate::ffi::status::nacre_status;
use crate::ffi::text::{port_of, put, text};
use crate::ffi::userdata::Owned;

/// Asks the server to listen (tcpip-forward, RFC 4254 section 7.1: `ssh -R`) at `address` ("": all addresses; "localhost";
/// or one of its own) and `port`; 0: the server chooses, and `*bound_port` (may be NULL) says which, as does the value of
/// the event.
///
/// Each connection that comes is given to `handler` as an open channel that is its own: it has to be freed;
/// nacre_channel_originator and nacre_channel_destination say where it comes from and came to. Without a handler it waits
/// in nacre_transport_accept. Channels are told apart by the port, then by the address. `destroy` (may be NULL) runs once,
/// when no call can follow, also when this call fails.
///
/// Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_REQUEST_DENIED: the server does not; NACRE_ERR_PROTOCOL: it does not say
/// which port. Cancelled by nacre_transport_cancel, what the server grants late is undone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_request_forward(
    transport: *mut nacre_transport,
    address: *const c_char,
    port: u32,
    handler: Option<
        unsafe extern "C" fn(userdata: *mut c_void, transport: *mut nacre_transport, channel: *mut nacre_channel),
    >,
    userdata: *mut c_void,
    destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    timeout_ms: i32,
    bound_port: *mut u32,
    op: *mut u64,
) -> nacre_status {
    let owned = Owned::new(userdata, destroy);
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            put(bound_port, 0);
            let port = request(transport, at_port(address, port)?, handler, owned, timeout_ms, op)?;
            put(bound_port, port);
            Ok(())
        })
    }
}

/// Asks the server to listen no more at what nacre_transport_request_forward was asked for (its port 0: the port that was
/// told). No handler is called any more; channels that are open stay open.
///
/// Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_NOT_FOUND: the server was not asked to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_cancel_forward(
    transport: *mut nacre_transport,
    address: *const c_char,
    port: u32,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            begun(transport.cancel_forward(&at_port(address, port)?, Timeout::from_ms(timeout_ms)?, !op.is_null()), op)
        })
    }
}

/// Asks the server to listen at a Unix socket (OpenSSH's extension); nacre_channel_path says where a channel came to. The
/// rest is as for nacre_transport_request_forward.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_request_streamlocal_forward(
    transport: *mut nacre_transport,
    path: *const c_char,
    handler: Option<
        unsafe extern "C" fn(userdata: *mut c_void, transport: *mut nacre_transport, channel: *mut nacre_channel),
    >,
    userdata: *mut c_void,
    destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let owned = Owned::new(userdata, destroy);
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            request(transport, at_path(path)?, handler, owned, timeout_ms, op).map(drop)
        })
    }
}

/// Asks the server to listen no more at a Unix socket. The rest is as for nacre_transport_cancel_forward.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_cancel_streamlocal_forward(
    transport: *mut nacre_transport,
    path: *const c_char,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            put(op, 0);
            begun(transport.cancel_forward(&at_path(path)?, Timeout::from_ms(timeout_ms)?, !op.is_null()), op)
        })
    }
}

/// The port where the server listens; 0 for a path.
unsafe fn request(
    transport: &Arc<Transport>,
    at: ListenAt,
    handler: Option<Forwarded>,
    owned: Owned,
    timeout_ms: i32,
    op: *mut u64,
) -> Result<u32> {
    let handler = handler.map(|handler| Arc::new(Callbacks::of_forward(handler, owned)) as Arc<dyn Asker>);
    let started = transport.request_forward(at, handler, Timeout::from_ms(timeout_ms)?, !op.is_null());
    Ok(u32::try_from(unsafe { begun(started, op) }?.value).unwrap_or_default())
}

unsafe fn at_port(address: *const c_char, port: u32) -> Result<ListenAt> {
    Ok(ListenAt::Tcp(HostPort { host: unsafe { text(address, "the address") }?.to_vec(), port: port_of(port)? }))
}

unsafe fn at_path(path: *const c_char) -> Result<ListenAt> {
    Ok(ListenAt::Path(unsafe { text(path, "the path") }?.to_vec()))
}
