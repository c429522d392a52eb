//! Reading and writing a channel.

use std::ffi::c_void;

use super::nacre_channel;
use crate::engine::{Channel, StderrMode, Stream, Timeout};
use crate::error::{Error, Result};
use crate::ffi::boundary::on;
use crate::ffi::status::nacre_status;
use crate::ffi::text::{buffer, bytes, put, set};

/// Where the peer's error output goes.
pub type nacre_stderr_mode = i32;

/// To nacre_channel_read_stderr; the default.
pub const NACRE_STDERR_SEPARATE: nacre_stderr_mode = 0;
/// Among the output, as it arrives.
pub const NACRE_STDERR_COMBINE: nacre_stderr_mode = 1;
/// Nowhere.
pub const NACRE_STDERR_DISCARD: nacre_stderr_mode = 2;

/// SSH_EXTENDED_DATA_STDERR (RFC 4254 section 5.2).
const STDERR: Stream = Stream::Extended(1);

/// Reads up to `cap` bytes of the output; waits until there is at least one. `*n` is set whatever the status.
///
/// NACRE_ERR_EOF: everything was read, and the peer has sent EOF or CLOSE. A connection that was lost gives the status that
/// ended it instead, so that a cut never looks like the end. NACRE_ERR_LIMIT: this stream was not read while the other was,
/// and more came on it than NACRE_LIMIT_CHANNEL_QUEUE allows; what came after that is lost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_read(
    channel: *mut nacre_channel,
    buf: *mut c_void,
    cap: usize,
    timeout_ms: i32,
    n: *mut usize,
) -> nacre_status {
    unsafe { receive(channel, buf, cap, timeout_ms, n, |channel, out, wait| channel.read(Stream::Data, out, wait)) }
}

/// Reads the error output. As nacre_channel_read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_read_stderr(
    channel: *mut nacre_channel,
    buf: *mut c_void,
    cap: usize,
    timeout_ms: i32,
    n: *mut usize,
) -> nacre_status {
    unsafe { receive(channel, buf, cap, timeout_ms, n, |channel, out, wait| channel.read(STDERR, out, wait)) }
}

/// Copies what nacre_channel_read would give, and leaves it there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_peek(
    channel: *mut nacre_channel,
    buf: *mut c_void,
    cap: usize,
    timeout_ms: i32,
    n: *mut usize,
) -> nacre_status {
    unsafe { receive(channel, buf, cap, timeout_ms, n, |channel, out, wait| channel.peek(Stream::Data, out, wait)) }
}

/// Writes: waits until at least one byte was taken. `*n` says how many were, whatever the status.
///
/// NACRE_ERR_STATE: after nacre_channel_send_eof. NACRE_ERR_CLOSED: the channel is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_write(
    channel: *mut nacre_channel,
    data: *const c_void,
    len: usize,
    timeout_ms: i32,
    n: *mut usize,
) -> nacre_status {
    unsafe { send(channel, data, len, timeout_ms, n, |channel, data, wait| channel.write(Stream::Data, data, wait)) }
}

/// Writes to the error stream, which servers have. As nacre_channel_write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_write_stderr(
    channel: *mut nacre_channel,
    data: *const c_void,
    len: usize,
    timeout_ms: i32,
    n: *mut usize,
) -> nacre_status {
    unsafe { send(channel, data, len, timeout_ms, n, |channel, data, wait| channel.write(STDERR, data, wait)) }
}

/// Writes all of it; two such calls are not mixed. `*n` says how many bytes were taken, whatever the status: on
/// NACRE_ERR_AGAIN go on behind them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_write_all(
    channel: *mut nacre_channel,
    data: *const c_void,
    len: usize,
    timeout_ms: i32,
    n: *mut usize,
) -> nacre_status {
    unsafe {
        send(channel, data, len, timeout_ms, n, |channel, data, wait| channel.write_all(Stream::Data, data, wait))
    }
}

/// Writes all of it to the error stream. As nacre_channel_write_all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_write_all_stderr(
    channel: *mut nacre_channel,
    data: *const c_void,
    len: usize,
    timeout_ms: i32,
    n: *mut usize,
) -> nacre_status {
    unsafe { send(channel, data, len, timeout_ms, n, |channel, data, wait| channel.write_all(STDERR, data, wait)) }
}

/// Waits until everything that was written is with the kernel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_flush(channel: *mut nacre_channel, timeout_ms: i32) -> nacre_status {
    unsafe { on(channel, |channel| channel.flush(Timeout::from_ms(timeout_ms)?)) }
}

/// How many bytes of output can be read at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_readable(channel: *const nacre_channel, n: *mut usize) -> nacre_status {
    unsafe { on(channel, |channel| set(n, channel.readable(Stream::Data)?)) }
}

/// How many bytes of error output can be read at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_readable_stderr(channel: *const nacre_channel, n: *mut usize) -> nacre_status {
    unsafe { on(channel, |channel| set(n, channel.readable(STDERR)?)) }
}

/// How many bytes a write takes at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_writable(channel: *const nacre_channel, n: *mut usize) -> nacre_status {
    unsafe { on(channel, |channel| set(n, channel.writable()?)) }
}

/// Says that nothing more will be written. What was written before is still sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_send_eof(channel: *mut nacre_channel) -> nacre_status {
    unsafe { on(channel, |channel| channel.send_eof()) }
}

/// Says where the peer's error output goes: a NACRE_STDERR_* value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_set_stderr(
    channel: *mut nacre_channel,
    mode: nacre_stderr_mode,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            channel.set_stderr(match mode {
                NACRE_STDERR_SEPARATE => StderrMode::Separate,
                NACRE_STDERR_COMBINE => StderrMode::Combine,
                NACRE_STDERR_DISCARD => StderrMode::Discard,
                _ => return Err(Error::argument(format!("{mode} is no place for error output"))),
            })
        })
    }
}

/// Where the peer's error output goes: a NACRE_STDERR_* value. NACRE_ERR_CLOSED: the channel is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_channel_stderr(
    channel: *const nacre_channel,
    mode: *mut nacre_stderr_mode,
) -> nacre_status {
    unsafe {
        on(channel, |channel| {
            set(
                mode,
                match channel.info()?.stderr {
                    StderrMode::Separate => NACRE_STDERR_SEPARATE,
                    StderrMode::Combine => NACRE_STDERR_COMBINE,
                    StderrMode::Discard => NACRE_STDERR_DISCARD,
                },
            )
        })
    }
}

unsafe fn receive(
    channel: *mut nacre_channel,
    buf: *mut c_void,
    cap: usize,
    timeout_ms: i32,
    n: *mut usize,
    read: impl FnOnce(&Channel, &mut [u8], Timeout) -> Result<usize>,
) -> nacre_status {
    unsafe {
        put(n, 0);
        on(channel, |channel| {
            let count = read(channel, buffer(buf, cap)?, Timeout::from_ms(timeout_ms)?)?;
            put(n, count);
            Ok(())
        })
    }
}

unsafe fn send(
    channel: *mut nacre_channel,
    data: *const c_void,
    len: usize,
    timeout_ms: i32,
    n: *mut usize,
    write: impl FnOnce(&Channel, &[u8], Timeout) -> (usize, Result<()>),
) -> nacre_status {
    unsafe {
        put(n, 0);
        on(channel, |channel| {
            let (count, outcome) = write(channel, bytes(data, len)?, Timeout::from_ms(timeout_ms)?);
            put(n, count);
            outcome
        })
    }
}
