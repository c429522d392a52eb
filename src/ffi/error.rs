//! What failed, in full.

use std::ffi::c_char;
use std::sync::Arc;

use super::boundary::{Handle, free, give, guarded, of, on};
use super::status::{NACRE_ERR_ARGUMENT, nacre_status, status_of};
use super::text::{put_text, set};
use crate::error::{Error, HostKeyVerdict, Result, clean};

/// One failure, with everything that is known of it: a copy that depends on no other handle. It does not change, so any
/// number of threads may read it. A getter whose field this failure does not have gives NACRE_ERR_NOT_FOUND.
pub struct nacre_error {
    _private: [u8; 0],
}

impl Handle for nacre_error {
    type Object = Error;
    const NAME: &'static str = "error";
}

/// What is known of a server's host key.
pub type nacre_verdict = i32;

/// Nothing was given to check it with, and nobody has said that it is trusted.
pub const NACRE_VERDICT_UNCHECKED: nacre_verdict = 1;
/// No key of this host is known, and none was given.
pub const NACRE_VERDICT_UNKNOWN: nacre_verdict = 2;
/// Another key is known for this host, perhaps of another type: it is neither among the keys and fingerprints that were given
/// nor in the known hosts.
pub const NACRE_VERDICT_CHANGED: nacre_verdict = 3;
/// It is marked as revoked in the known hosts.
pub const NACRE_VERDICT_REVOKED: nacre_verdict = 4;
/// The application refused it.
pub const NACRE_VERDICT_REFUSED: nacre_verdict = 5;
/// Its signature is bad, or a later key exchange showed another key.
pub const NACRE_VERDICT_INVALID: nacre_verdict = 6;

pub fn verdict_of(verdict: HostKeyVerdict) -> nacre_verdict {
    match verdict {
        HostKeyVerdict::Unchecked => NACRE_VERDICT_UNCHECKED,
        HostKeyVerdict::Unknown => NACRE_VERDICT_UNKNOWN,
        HostKeyVerdict::Changed => NACRE_VERDICT_CHANGED,
        HostKeyVerdict::Revoked => NACRE_VERDICT_REVOKED,
        HostKeyVerdict::Refused => NACRE_VERDICT_REFUSED,
        HostKeyVerdict::Invalid => NACRE_VERDICT_INVALID,
    }
}

/// For functions that make a handle: what failed goes out through `err`, which is set to NULL when nothing did.
pub unsafe fn making(err: *mut *mut nacre_error, body: impl FnOnce() -> Result<()>) -> nacre_status {
    let mut failure = None;
    let status = guarded(|| {
        body().inspect_err(|error| {
            if !matches!(error, Error::Again) {
                failure = Some(error.clone());
            }
        })
    });
    let failure = failure.or_else(|| {
        let silent = status == 0 || status == status_of(&Error::Again);
        (!silent).then(|| Error::internal("a panic was caught"))
    });
    if !err.is_null() {
        unsafe { err.write(failure.map_or(std::ptr::null_mut(), |error| give(Arc::new(error)))) };
    }
    status
}

/// For `_take_error`: NULL and NOT_FOUND when there is none.
pub unsafe fn put_error(err: *mut *mut nacre_error, taken: Result<Option<Error>>) -> Result<()> {
    let error = unsafe { set(err, std::ptr::null_mut()) }.and(taken)?;
    let error = error.ok_or_else(|| Error::not_found("there is no such error"))?;
    unsafe { set(err, give(Arc::new(error))) }
}

/// The status that this failure has as the result of a call. NULL: NACRE_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_status(err: *const nacre_error) -> nacre_status {
    unsafe { of(err, NACRE_ERR_ARGUMENT, |error| status_of(error)) }
}

/// A full sentence in English, fit for a log: a peer's text in it is cleaned of control characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_text(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { put_field(err, |error| Some(error.to_string()), buf, cap, needed) }
}

/// NACRE_ERR_NEGOTIATION: what the two sides have nothing in common of, such as "cipher client to server".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_category(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Negotiation(failure) => Some(failure.category.into()),
        _ => None,
    };
    unsafe { put_field(err, field, buf, cap, needed) }
}

/// NACRE_ERR_NEGOTIATION: what this side offered in that category, comma separated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_local_list(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Negotiation(failure) => Some(failure.ours.to_string()),
        _ => None,
    };
    unsafe { put_field(err, field, buf, cap, needed) }
}

/// NACRE_ERR_NEGOTIATION: what the peer offered in that category, comma separated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_remote_list(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Negotiation(failure) => Some(failure.theirs.to_string()),
        _ => None,
    };
    unsafe { put_field(err, field, buf, cap, needed) }
}

/// NACRE_ERR_AUTH_*: the methods that may continue, comma separated, as the server sent them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_auth_methods(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    let field = |error: &Error| match error {
        Error::AuthFailed(failure) | Error::AuthMethod(failure) | Error::AuthPartial(failure) => {
            Some(failure.methods.to_string())
        }
        _ => None,
    };
    unsafe { put_field(err, field, buf, cap, needed) }
}

/// NACRE_ERR_CHANNEL_REFUSED: the peer's reason code (RFC 4254 section 5.1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_open_code(err: *const nacre_error, code: *mut u32) -> nacre_status {
    let field = |error: &Error| match error {
        Error::ChannelRefused(failure) => Some(failure.code),
        _ => None,
    };
    unsafe { set_field(err, field, code) }
}

/// NACRE_ERR_CHANNEL_REFUSED: the peer's text, cleaned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_open_text(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    let field = |error: &Error| match error {
        Error::ChannelRefused(failure) => Some(failure.description.to_string()),
        _ => None,
    };
    unsafe { put_field(err, field, buf, cap, needed) }
}

/// NACRE_ERR_DISCONNECTED: the reason code (RFC 4253 section 11.1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_disconnect_code(err: *const nacre_error, code: *mut u32) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Disconnected(disconnect) => Some(disconnect.code),
        _ => None,
    };
    unsafe { set_field(err, field, code) }
}

/// NACRE_ERR_DISCONNECTED: the text that came with it, cleaned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_disconnect_text(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Disconnected(disconnect) => Some(disconnect.description.to_string()),
        _ => None,
    };
    unsafe { put_field(err, field, buf, cap, needed) }
}

/// NACRE_ERR_DISCONNECTED: 1 when the peer sent it, 0 when this side did.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_disconnect_by_peer(err: *const nacre_error, by_peer: *mut i32) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Disconnected(disconnect) => Some(i32::from(disconnect.by_peer)),
        _ => None,
    };
    unsafe { set_field(err, field, by_peer) }
}

/// NACRE_ERR_HOST_KEY: a NACRE_VERDICT_* value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_verdict(err: *const nacre_error, verdict: *mut nacre_verdict) -> nacre_status {
    let field = |error: &Error| match error {
        Error::HostKey(failure) => Some(verdict_of(failure.verdict)),
        _ => None,
    };
    unsafe { set_field(err, field, verdict) }
}

/// NACRE_ERR_CONNECT: the address tried last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_address(
    err: *const nacre_error,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Connect(failure) | Error::Io(failure) => failure.address.as_deref().map(str::to_owned),
        _ => None,
    };
    unsafe { put_field(err, field, buf, cap, needed) }
}

/// NACRE_ERR_KEY_FORMAT: the line of the file, from 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_line(err: *const nacre_error, line: *mut u32) -> nacre_status {
    let field = |error: &Error| match error {
        Error::KeyFormat(failure) => Some(failure.line).filter(|line| *line != 0),
        _ => None,
    };
    unsafe { set_field(err, field, line) }
}

/// NACRE_ERR_SFTP: the status code of the server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_sftp_code(err: *const nacre_error, code: *mut u32) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Sftp(failure) => Some(failure.code),
        _ => None,
    };
    unsafe { set_field(err, field, code) }
}

/// NACRE_ERR_CONNECT and NACRE_ERR_IO: errno of the system call that failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_errno(err: *const nacre_error, number: *mut i32) -> nacre_status {
    let field = |error: &Error| match error {
        Error::Connect(failure) | Error::Io(failure) => Some(failure.errno).filter(|errno| *errno != 0),
        _ => None,
    };
    unsafe { set_field(err, field, number) }
}

/// Frees it. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_error_free(err: *mut nacre_error) {
    unsafe { free(err, |_| {}) };
}

fn missing() -> Error {
    Error::not_found("this error has no such field")
}

unsafe fn put_field(
    err: *const nacre_error,
    field: impl FnOnce(&Error) -> Option<String>,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    // Cleaned where it was made; here so that no text gets by that was forgotten there.
    let cleaned = |error: &Error| field(error).map(|text| clean(text.as_bytes(), usize::MAX)).ok_or_else(missing);
    unsafe { on(err, |error| put_text(cleaned(error)?.as_bytes(), buf, cap, needed)) }
}

unsafe fn set_field<T>(err: *const nacre_error, field: impl FnOnce(&Error) -> Option<T>, out: *mut T) -> nacre_status {
    unsafe { on(err, |error| set(out, field(error).ok_or_else(missing)?)) }
}

#[cfg(test)]
mod tests;
