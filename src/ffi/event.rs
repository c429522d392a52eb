//! Events.

use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;

use super::boundary::{give, lend};
use super::channel::nacre_channel;
use super::message::{Message, nacre_message};
use super::status::{NACRE_OK, nacre_status, status_of};
use super::structs::{check_out, has, public_struct, write};
use super::ticket::nacre_ticket;
use super::transport::nacre_transport;
use crate::engine::{Event, EventKind, Payload};
use crate::error::Result;

/// What an event tells of.
pub type nacre_event_kind = i32;

/// Keys are in use, or the handshake failed; ends nacre_transport_start_client and nacre_transport_start_server.
pub const NACRE_EVENT_NEGOTIATED: nacre_event_kind = 1;
/// Client: an authentication, or nacre_transport_connect, ended.
pub const NACRE_EVENT_AUTH_RESULT: nacre_event_kind = 2;
/// Server: a user is authenticated (nacre_transport_username).
pub const NACRE_EVENT_AUTHENTICATED: nacre_event_kind = 3;
/// Client: the server sent a banner; `message` holds it.
pub const NACRE_EVENT_BANNER: nacre_event_kind = 4;
/// Another operation ended: dial, open, request, global request (`message` holds the reply), rekey.
pub const NACRE_EVENT_OPERATION_DONE: nacre_event_kind = 5;
/// A channel waits for nacre_transport_accept.
pub const NACRE_EVENT_CHANNEL_INCOMING: nacre_event_kind = 6;
/// Data, EOF or CLOSE arrived: read until NACRE_ERR_AGAIN.
pub const NACRE_EVENT_CHANNEL_READABLE: nacre_event_kind = 7;
/// There is room again after a write that took less than asked: write until NACRE_ERR_AGAIN.
pub const NACRE_EVENT_CHANNEL_WRITABLE: nacre_event_kind = 8;
/// The peer said how the command ended; `value` is the exit status (nacre_channel_wait_exit tells of signals).
pub const NACRE_EVENT_CHANNEL_EXIT: nacre_event_kind = 9;
/// CLOSE went both ways, or the connection is gone.
pub const NACRE_EVENT_CHANNEL_CLOSED: nacre_event_kind = 10;
/// Something has to be decided (nacre_transport_set_questions): `ticket` is the caller's.
pub const NACRE_EVENT_QUESTION: nacre_event_kind = 11;
/// The server told of its host keys.
pub const NACRE_EVENT_HOST_KEYS: nacre_event_kind = 12;
/// The connection is over; the last event of its transport.
pub const NACRE_EVENT_DISCONNECTED: nacre_event_kind = 13;

/// What happened. `message` and `ticket` belong to whoever takes the event and have to be freed; `transport` and
/// `channel` are borrowed from the handles that the application has.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_event {
    pub size: usize,
    /// A NACRE_EVENT_* value.
    pub kind: nacre_event_kind,
    /// How it came out.
    pub status: nacre_status,
    /// The operation that ended; 0 when it is of none.
    pub op: u64,
    pub transport: *mut nacre_transport,
    /// NULL when it is of no channel.
    pub channel: *mut nacre_channel,
    /// What nacre_transport_set_userdata and nacre_channel_set_userdata keep.
    pub transport_userdata: *mut c_void,
    pub channel_userdata: *mut c_void,
    /// Bound port or exit status.
    pub value: u64,
    /// The data of a reply, or a banner; else NULL.
    pub message: *mut nacre_message,
    /// The question; else NULL.
    pub ticket: *mut nacre_ticket,
}
public_struct!(nacre_event, ticket: *mut nacre_ticket);

/// Takes an event into the caller's struct; nothing is taken when it cannot be written there.
pub unsafe fn put_event(event: *mut nacre_event, take: impl FnOnce() -> Result<Event>) -> Result<()> {
    unsafe { check_out(event, "the event")? };
    let taken = take()?;
    let mut value = nacre_event {
        size: 0,
        kind: kind_of(taken.kind),
        status: taken.status.as_ref().map_or(NACRE_OK, status_of),
        op: taken.op,
        transport: lend(&taken.transport),
        channel: taken.channel.as_ref().map_or(std::ptr::null_mut(), lend),
        transport_userdata: taken.transport.userdata() as *mut c_void,
        channel_userdata: taken.channel.as_ref().map_or(0, |channel| channel.userdata()) as *mut c_void,
        value: taken.value,
        message: std::ptr::null_mut(),
        ticket: std::ptr::null_mut(),
    };
    // What an older caller's struct has no place for is dropped: a ticket is rejected then.
    let member = size_of::<*mut c_void>();
    match taken.payload {
        Payload::Message(bytes) if unsafe { has(event, offset_of!(nacre_event, message) + member) } => {
            value.message = give(Arc::new(Message::new(bytes)));
        }
        Payload::Ticket(ticket) if unsafe { has(event, offset_of!(nacre_event, ticket) + member) } => {
            value.ticket = give(ticket);
        }
        _ => {}
    }
    unsafe { write(event, &value, "the event") }
}

fn kind_of(kind: EventKind) -> nacre_event_kind {
    match kind {
        EventKind::Negotiated => NACRE_EVENT_NEGOTIATED,
        EventKind::AuthResult => NACRE_EVENT_AUTH_RESULT,
        EventKind::Authenticated => NACRE_EVENT_AUTHENTICATED,
        EventKind::Banner => NACRE_EVENT_BANNER,
        EventKind::OperationDone => NACRE_EVENT_OPERATION_DONE,
        EventKind::ChannelIncoming => NACRE_EVENT_CHANNEL_INCOMING,
        EventKind::ChannelReadable => NACRE_EVENT_CHANNEL_READABLE,
        EventKind::ChannelWritable => NACRE_EVENT_CHANNEL_WRITABLE,
        EventKind::ChannelExit => NACRE_EVENT_CHANNEL_EXIT,
        EventKind::ChannelClosed => NACRE_EVENT_CHANNEL_CLOSED,
        EventKind::Question => NACRE_EVENT_QUESTION,
        EventKind::HostKeys => NACRE_EVENT_HOST_KEYS,
        EventKind::Disconnected => NACRE_EVENT_DISCONNECTED,
    }
}
