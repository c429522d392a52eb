//! Requests on a channel, and how the command ended.

use std::ffi::{c_char, c_void};

use super::nacre_channel;
use crate::engine::{Exit, Timeout};
use crate::error::Result;
use crate::ffi::boundary::on;
use crate::ffi::status::nacre_status;
use crate::ffi::structs::{check_out, public_struct, write};
use crate::ffi::text::{name, optional_text, piece, put, put_text, text};
use crate::ffi::transport::{begun, truth};
use crate::wire::Writer;

/// How a command ended.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_exit {
    pub size: usize,
    /// NACRE_EXIT_STATUS or NACRE_EXIT_SIGNAL.
    pub kind: nacre_exit_kind,
    /// The exit status.
    pub status: u32,
    /// 1 when a core was dumped.
    pub core_dumped: i32,
    /// The signal's name without SIG, with a NUL.
    pub signal: [c_char; 84],
}
public_struct!(nacre_exit, signal: [c_char; 84]);

/// Which of its members counts.
pub type nacre_exit_kind = i32;

/// It ended by itself: `status`.
pub const NACRE_EXIT_STATUS: nacre_exit_kind = 0;
/// A signal ended it: `signal`.
pub const NACRE_EXIT_SIGNAL: nacre_exit_kind = 1;

/// Starts a command. Ends as NACRE_EVENT_OPERATION_DONE. NACRE_ERR_REQUEST_DENIED: the server refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_exec(
    channel: *mut nacre_channel,
    command: *const c_char,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let data = || Ok(Writer::new().string(unsafe { text(command, "the command")? }).finish());
    unsafe { request(channel, "exec", data, timeout_ms, op) }
}

/// Starts the user's shell. As nacre_channel_exec.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_shell(
    channel: *mut nacre_channel,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe { request(channel, "shell", || Ok(Vec::new()), timeout_ms, op) }
}

/// Starts a subsystem, such as "sftp". As nacre_channel_exec.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_subsystem(
    channel: *mut nacre_channel,
    name: *const c_char,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let data = || Ok(Writer::new().string(unsafe { text(name, "the name")? }).finish());
    unsafe { request(channel, "subsystem", data, timeout_ms, op) }
}

/// Asks for a terminal, before the command or shell. `term` is the value of TERM; sizes in characters and in pixels (0:
/// not known); `modes` (may be NULL) encoded as RFC 4254 section 8 says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_pty(
    channel: *mut nacre_channel,
    term: *const c_char,
    columns: u32,
    rows: u32,
    width_pixels: u32,
    height_pixels: u32,
    modes: *const c_void,
    modes_len: usize,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let data = || {
        let (term, modes) = unsafe { (text(term, "the terminal")?, piece(modes, modes_len)?) };
        // TTY_OP_END
        let modes = if modes.is_empty() { &[0][..] } else { modes };
        let sizes = [columns, rows, width_pixels, height_pixels];
        let data = sizes.into_iter().fold(Writer::new().string(term), Writer::u32);
        Ok(data.string(modes).finish())
    };
    unsafe { request(channel, "pty-req", data, timeout_ms, op) }
}

/// Tells of the new size of the terminal. There is no reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_resize(
    channel: *mut nacre_channel,
    columns: u32,
    rows: u32,
    width_pixels: u32,
    height_pixels: u32,
) -> nacre_status {
    let sizes = [columns, rows, width_pixels, height_pixels];
    unsafe { tell(channel, "window-change", || Ok(sizes.into_iter().fold(Writer::new(), Writer::u32).finish())) }
}

/// Sets a variable in the command's environment, before the command or shell. Servers allow few.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_env(
    channel: *mut nacre_channel,
    name: *const c_char,
    value: *const c_char,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    let data = || {
        let (name, value) = unsafe { (text(name, "the name")?, text(value, "the value")?) };
        Ok(Writer::new().string(name).string(value).finish())
    };
    unsafe { request(channel, "env", data, timeout_ms, op) }
}

/// Sends the command a signal: its name without SIG, such as "TERM". There is no reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_send_signal(channel: *mut nacre_channel, signal: *const c_char) -> nacre_status {
    unsafe { tell(channel, "signal", || Ok(Writer::new().string(name(signal, "the signal")?).finish())) }
}

/// Sends a break of so many milliseconds (RFC 4335).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_send_break(
    channel: *mut nacre_channel,
    break_ms: u32,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe { request(channel, "break", || Ok(Writer::new().u32(break_ms).finish()), timeout_ms, op) }
}

/// Server: says how the command ended. nacre_channel_finish does this and ends the channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_send_exit_status(channel: *mut nacre_channel, status: u32) -> nacre_status {
    unsafe { tell(channel, "exit-status", || Ok(Writer::new().u32(status).finish())) }
}

/// Server: says which signal (its name without SIG) ended the command. `message` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_send_exit_signal(
    channel: *mut nacre_channel,
    signal: *const c_char,
    core_dumped: i32,
    message: *const c_char,
) -> nacre_status {
    let data = || {
        let signal = unsafe { name(signal, "the signal")? };
        let message = unsafe { optional_text(message) }?.unwrap_or_default();
        Ok(Writer::new().string(signal).boolean(truth(core_dumped)?).string(message).string("").finish())
    };
    unsafe { tell(channel, "exit-signal", data) }
}

/// Server: after everything that is queued, sends EOF, the exit status and CLOSE, in this order. Does not wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_finish(channel: *mut nacre_channel, status: u32) -> nacre_status {
    unsafe { on(channel, |channel| channel.finish(status)) }
}

/// Sends any request with raw data. `want_reply` is 1 or 0; without a reply the call ends at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_request(
    channel: *mut nacre_channel,
    name: *const c_char,
    data: *const c_void,
    len: usize,
    want_reply: i32,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            put(op, 0);
            let (name, data) = (self::name(name, "the name")?, piece(data, len)?);
            let timeout = Timeout::from_ms(timeout_ms)?;
            begun(channel.request(name, data, truth(want_reply)?, timeout, !op.is_null()), op).map(|_| ())
        })
    }
}

/// Waits until the peer has said how the command ended.
///
/// `exit->size` has to be set (NACRE_INIT). NACRE_ERR_CLOSED: the channel ended without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_wait_exit(
    channel: *mut nacre_channel,
    timeout_ms: i32,
    exit: *mut nacre_exit,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            check_out(exit, "the result")?;
            let known = channel.wait_exit(Timeout::from_ms(timeout_ms)?)?;
            let mut value = nacre_exit { size: 0, kind: NACRE_EXIT_STATUS, status: 0, core_dumped: 0, signal: [0; 84] };
            match known {
                Exit::Status(status) => value.status = status,
                Exit::Signal { name, core_dumped, .. } => {
                    value.kind = NACRE_EXIT_SIGNAL;
                    value.core_dumped = i32::from(core_dumped);
                    for (to, from) in value.signal.iter_mut().take(83).zip(name.bytes()) {
                        *to = from as c_char;
                    }
                }
            }
            write(exit, &value, "the result")
        })
    }
}

/// The text that came with an exit signal; often empty. NACRE_ERR_NOT_FOUND: no signal was told of.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_exit_message(
    channel: *const nacre_channel,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(channel, |channel| match channel.exit()? {
            Some(Exit::Signal { message, .. }) => put_text(&message, buf, cap, needed),
            _ => Err(crate::error::Error::not_found("no signal was told of")),
        })
    }
}

/// A request that wants a reply.
unsafe fn request(
    channel: *mut nacre_channel,
    name: &str,
    data: impl FnOnce() -> Result<Vec<u8>>,
    timeout_ms: i32,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            put(op, 0);
            let timeout = Timeout::from_ms(timeout_ms)?;
            begun(channel.request(name, &data()?, true, timeout, !op.is_null()), op).map(|_| ())
        })
    }
}

/// A request without a reply.
unsafe fn tell(channel: *mut nacre_channel, name: &str, data: impl FnOnce() -> Result<Vec<u8>>) -> nacre_status {
    unsafe { on(channel, |channel| channel.request(name, &data()?, false, Timeout::NONE, false).result.map(|_| ())) }
}
