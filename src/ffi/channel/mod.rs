//! Channels.

mod requests;
mod streams;

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{Handle, free, give, of, on, quietly, reference};
use super::error::{nacre_error, put_error};
use super::status::nacre_status;
use super::structs::{check_out, public_struct, write};
use super::text::{put, put_text, set, wanted};
use super::transport::nacre_transport;
use super::userdata::Owned;
use crate::engine::{Channel, ChannelEvents, HostPort, Opening};
use crate::error::Error;

/// One channel of a transport. Any thread may use it at any time.
pub struct nacre_channel {
    _private: [u8; 0],
}

impl Handle for nacre_channel {
    type Object = Channel;
    const NAME: &'static str = "channel";

    fn check(channel: &Arc<Channel>) -> Result<(), Error> {
        channel.transport().engine().check()
    }

    fn panicked(channel: &Arc<Channel>) {
        quietly(|| drop(channel.transport().disconnect(11, "internal error")));
    }

    fn failed(channel: &Arc<Channel>, error: &Error) {
        channel.note_failure(error);
    }
}

/// What is known of a channel.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_channel_state {
    pub size: usize,
    /// This side's number of it; while it lives no other channel of the transport has it.
    pub id: u32,
    /// 1 or 0, as the next ones.
    pub opened_by_peer: i32,
    /// 1 once the other side has confirmed it.
    pub open: i32,
    /// The peer has sent EOF or CLOSE.
    pub peer_eof: i32,
    /// CLOSE went both ways, or the connection is gone.
    pub closed: i32,
    /// Bytes that the peer may send before it needs more credit, and bytes that it may send at once.
    pub local_window: u32,
    pub local_max_packet: u32,
    /// The same for this side.
    pub remote_window: u32,
    pub remote_max_packet: u32,
    /// 0.
    pub reserved: u32,
}
public_struct!(nacre_channel_state, reserved: u32);

/// What the descriptor of nacre_channel_event_fd tells.
pub type nacre_channel_what = i32;

/// Data, or an end that no read has returned yet.
pub const NACRE_CHANNEL_READ: nacre_channel_what = 1;
/// The same of the error stream.
pub const NACRE_CHANNEL_READ_STDERR: nacre_channel_what = 2;
/// Room again after a write that took less than asked.
pub const NACRE_CHANNEL_WRITE: nacre_channel_what = 3;
/// The exit status, the close, or the failed opening has come.
pub const NACRE_CHANNEL_STATE: nacre_channel_what = 4;

pub fn what_of(what: nacre_channel_what) -> Result<ChannelEvents, Error> {
    Ok(match what {
        NACRE_CHANNEL_READ => ChannelEvents::Read,
        NACRE_CHANNEL_READ_STDERR => ChannelEvents::ReadStderr,
        NACRE_CHANNEL_WRITE => ChannelEvents::Write,
        NACRE_CHANNEL_STATE => ChannelEvents::State,
        _ => return Err(Error::argument(format!("{what} is nothing that a channel's descriptor tells"))),
    })
}

/// Begins the end of the channel: what is queued is still sent, then CLOSE. Waits in other threads end with
/// NACRE_ERR_CLOSED. Ends with NACRE_EVENT_CHANNEL_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_close(channel: *mut nacre_channel) -> nacre_status {
    unsafe { on(channel, |channel| channel.close()) }
}

/// Adds an owner: one nacre_channel_free more is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_ref(channel: *mut nacre_channel) -> nacre_status {
    unsafe { reference(channel, |channel| channel.add_owner()) }
}

/// Gives the channel up; it has to be the owner's last use of the handle. The last owner's call closes it. Waits for
/// nothing, may be called from a callback, also after the transport was freed. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_free(channel: *mut nacre_channel) {
    unsafe { free(channel, Channel::release) };
}

/// This side's number of the channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_id(channel: *const nacre_channel, id: *mut u32) -> nacre_status {
    unsafe { on(channel, |channel| set(id, channel.id())) }
}

/// What is known of the channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_info(
    channel: *const nacre_channel,
    info: *mut nacre_channel_state,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            check_out(info, "the result")?;
            let known = channel.info()?;
            let value = nacre_channel_state {
                size: 0,
                id: channel.id(),
                opened_by_peer: i32::from(known.opened_by_peer),
                open: i32::from(known.open),
                peer_eof: i32::from(known.peer_sent_eof),
                closed: i32::from(known.closed),
                local_window: known.local_window,
                local_max_packet: known.local_max_packet,
                remote_window: known.remote_window,
                remote_max_packet: known.remote_max_packet,
                reserved: 0,
            };
            write(info, &value, "the result")
        })
    }
}

/// The type of the channel, such as "session".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_kind(
    channel: *const nacre_channel,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(channel, |channel| put_text(channel.info()?.kind.as_bytes(), buf, cap, needed)) }
}

/// Where the channel is to go, or (forwarded) came to: host and port (may be NULL). NACRE_ERR_NOT_FOUND: its type has no
/// such thing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_destination(
    channel: *const nacre_channel,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
    port: *mut u32,
) -> nacre_status {
    unsafe {
        on(channel, |channel| put_address(channel.opening().and_then(Opening::destination), buf, cap, needed, port))
    }
}

/// Where the channel comes from, as whoever opened it says: host and port (may be NULL). NACRE_ERR_NOT_FOUND: its type has
/// no such thing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_originator(
    channel: *const nacre_channel,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
    port: *mut u32,
) -> nacre_status {
    unsafe {
        on(channel, |channel| put_address(channel.opening().and_then(Opening::originator), buf, cap, needed, port))
    }
}

/// The Unix socket that the channel is to go, or came, to; any bytes. NACRE_ERR_NOT_FOUND: its type has no such thing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_path(
    channel: *const nacre_channel,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            put_text(channel.opening().and_then(Opening::path).ok_or_else(missing)?, buf, cap, needed)
        })
    }
}

unsafe fn put_address(
    address: Option<&HostPort>,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
    port: *mut u32,
) -> Result<(), Error> {
    let address = address.ok_or_else(missing)?;
    unsafe {
        put(port, address.port.into());
        put_text(&address.host, buf, cap, needed)
    }
}

fn missing() -> Error {
    Error::not_found("channels of this type have none")
}

/// The transport of the channel, with an owner more: the caller has to free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_transport(
    channel: *const nacre_channel,
    transport: *mut *mut nacre_transport,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            wanted(transport, "the out-parameter")?;
            channel.transport().add_owner();
            set(transport, give(Arc::clone(channel.transport())))
        })
    }
}

/// A descriptor that is readable exactly while what NACRE_CHANNEL_* value `what` says is so. It belongs to the channel:
/// poll it only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_event_fd(
    channel: *mut nacre_channel,
    what: nacre_channel_what,
    fd: *mut i32,
) -> nacre_status {
    unsafe { on(channel, |channel| set(wanted(fd, "the descriptor")?, channel.event_fd(what_of(what)?)?)) }
}

/// Interrupts: calls on this channel that wait return NACRE_ERR_INTERRUPTED, and when none waits the next one does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_wake(channel: *mut nacre_channel) -> nacre_status {
    unsafe { on(channel, |channel| channel.wake()) }
}

/// Takes an error: with `op` 0 the last one of this channel, else that of this operation. `*err` is the caller's to free.
/// NACRE_ERR_NOT_FOUND: there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_take_error(
    channel: *mut nacre_channel,
    op: u64,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe { on(channel, |channel| put_error(wanted(err, "the out-parameter")?, channel.take_error(op))) }
}

/// Keeps a pointer of yours on the channel; events carry it. `destroy` (may be NULL) runs exactly once: when another takes
/// its place, when the channel is gone, or when this call fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_set_userdata(
    channel: *mut nacre_channel,
    userdata: *mut c_void,
    destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
) -> nacre_status {
    let owned = Owned::new(userdata, destroy);
    unsafe { on(channel, |channel| channel.set_userdata(owned.into_userdata())) }
}

/// The pointer that nacre_channel_set_userdata keeps; NULL when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_userdata(channel: *const nacre_channel) -> *mut c_void {
    unsafe { of(channel, std::ptr::null_mut(), |channel| channel.userdata() as *mut c_void) }
}

/// One line for debugging: number, type, state, windows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_describe(
    channel: *const nacre_channel,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(channel, |channel| put_text(channel.describe().as_bytes(), buf, cap, needed)) }
}
