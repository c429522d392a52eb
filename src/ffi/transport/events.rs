//! Events and operations of a transport.

use super::nacre_transport;
use crate::engine::Timeout;
use crate::error::Error;
use crate::ffi::boundary::on;
use crate::ffi::event::{nacre_event, put_event};
use crate::ffi::status::nacre_status;
use crate::ffi::text::{set, wanted};

/// How the application is asked.
pub type nacre_question_mode = i32;

/// Through callbacks; the default.
pub const NACRE_AS_CALLBACKS: nacre_question_mode = 0;
/// Through QUESTION events: no callback runs.
pub const NACRE_AS_EVENTS: nacre_question_mode = 1;

/// Takes the next event. NACRE_ERR_AGAIN: there is none.
///
/// `event->size` has to be set (NACRE_INIT). `message` and `ticket` in it are the caller's to free; transport and channel
/// are borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_next_event(
    transport: *mut nacre_transport,
    event: *mut nacre_event,
) -> nacre_status {
    unsafe { on(transport, |transport| put_event(event, || transport.next_event())) }
}

/// A descriptor that is readable exactly while an event of this transport waits. It belongs to the transport: poll it only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_event_fd(transport: *mut nacre_transport, fd: *mut i32) -> nacre_status {
    unsafe { on(transport, |transport| set(wanted(fd, "the descriptor")?, transport.event_fd()?)) }
}

/// Waits until an operation has ended, and takes its event; `event` as for nacre_transport_next_event.
///
/// NACRE_OK: it has ended, and `event->status` says how; each thread that waits for it gets this. NACRE_ERR_AGAIN: the time
/// ran out. NACRE_ERR_NOT_FOUND: no such operation is under way, or its event was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_wait(
    transport: *mut nacre_transport,
    op: u64,
    timeout_ms: i32,
    event: *mut nacre_event,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let timeout = Timeout::from_ms(timeout_ms)?;
            put_event(event, || transport.wait(op, timeout))
        })
    }
}

/// Cancels an operation: no event and no callback follows, and what the peer grants late is undone.
///
/// NACRE_ERR_STATE: negotiation, authentication and rekey cannot be cancelled; close the transport instead.
/// NACRE_ERR_NOT_FOUND: no such operation is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_cancel(transport: *mut nacre_transport, op: u64) -> nacre_status {
    unsafe { on(transport, |transport| transport.cancel(op)) }
}

/// Chooses how the application is asked: NACRE_AS_CALLBACKS or NACRE_AS_EVENTS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_set_questions(
    transport: *mut nacre_transport,
    mode: nacre_question_mode,
) -> nacre_status {
    unsafe {
        on(transport, |transport| match mode {
            NACRE_AS_CALLBACKS => transport.set_questions_as_events(false),
            NACRE_AS_EVENTS => transport.set_questions_as_events(true),
            _ => Err(Error::argument(format!("{mode} is no way to be asked"))),
        })
    }
}

/// What nacre_transport_set_questions chose.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_questions(
    transport: *const nacre_transport,
    mode: *mut nacre_question_mode,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            set(mode, if transport.questions_as_events()? { NACRE_AS_EVENTS } else { NACRE_AS_CALLBACKS })
        })
    }
}
