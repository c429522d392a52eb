//! Statuses.

use std::ffi::c_char;

use crate::error::Error;

/// What a call says of its outcome: NACRE_OK (0) is the only success, every other status is negative. A number is never
/// given another meaning.
pub type nacre_status = i32;

/// Done.
pub const NACRE_OK: nacre_status = 0;
/// Nothing is there yet, or the time ran out: an operation that was begun goes on.
pub const NACRE_ERR_AGAIN: nacre_status = -1;
/// Final: a deadline of the connection passed (dial, handshake, login, open, keepalive, decision).
pub const NACRE_ERR_TIMEOUT: nacre_status = -2;
/// The peer ended this stream with EOF or CLOSE, and everything before that was read.
pub const NACRE_ERR_EOF: nacre_status = -3;
/// Closed on this side, or gone.
pub const NACRE_ERR_CLOSED: nacre_status = -4;
/// The operation was cancelled.
pub const NACRE_ERR_CANCELLED: nacre_status = -5;
/// The wait was interrupted by nacre_engine_wake or nacre_channel_wake.
pub const NACRE_ERR_INTERRUPTED: nacre_status = -6;
/// The handle belongs to the process before fork().
pub const NACRE_ERR_FORKED: nacre_status = -7;
/// NULL, an unknown value, or something else that no call of this kind takes.
pub const NACRE_ERR_ARGUMENT: nacre_status = -8;
/// The buffer is too small: nothing was written to it, and `needed` says how large it has to be.
pub const NACRE_ERR_BUFFER: nacre_status = -9;
/// Not now: too early, too late, or while another such operation is under way.
pub const NACRE_ERR_STATE: nacre_status = -10;
/// The host's name could not be resolved.
pub const NACRE_ERR_RESOLVE: nacre_status = -11;
/// No address of the host could be connected to.
pub const NACRE_ERR_CONNECT: nacre_status = -12;
/// A system call failed on the connection or on a file: nacre_error_errno.
pub const NACRE_ERR_IO: nacre_status = -13;
/// A callback of the application's said that it failed.
pub const NACRE_ERR_CALLBACK: nacre_status = -14;
/// The peer broke the protocol, or what it sent was changed on its way.
pub const NACRE_ERR_PROTOCOL: nacre_status = -15;
/// The two sides have no algorithm of some category in common: nacre_error_category and both lists.
pub const NACRE_ERR_NEGOTIATION: nacre_status = -16;
/// The server's host key is not trusted: nacre_error_verdict.
pub const NACRE_ERR_HOST_KEY: nacre_status = -17;
/// The server refused: nacre_error_auth_methods says what may continue.
pub const NACRE_ERR_AUTH_FAILED: nacre_status = -18;
/// The server does not offer this method (now).
pub const NACRE_ERR_AUTH_METHOD: nacre_status = -19;
/// This step was right; the server wants more steps.
pub const NACRE_ERR_AUTH_PARTIAL: nacre_status = -20;
/// The peer refused to open the channel: nacre_error_open_code.
pub const NACRE_ERR_CHANNEL_REFUSED: nacre_status = -21;
/// The peer refused the request.
pub const NACRE_ERR_REQUEST_DENIED: nacre_status = -22;
/// No such algorithm, or not one that fits.
pub const NACRE_ERR_ALGORITHM: nacre_status = -23;
/// The key is damaged or no key: nacre_error_line.
pub const NACRE_ERR_KEY_FORMAT: nacre_status = -24;
/// The key file is encrypted and the passphrase is missing or wrong.
pub const NACRE_ERR_PASSPHRASE: nacre_status = -25;
/// There is no such thing: a file, an operation, a value that is not known (yet).
pub const NACRE_ERR_NOT_FOUND: nacre_status = -26;
/// The system refused access.
pub const NACRE_ERR_PERMISSION: nacre_status = -27;
/// The SFTP server refused: nacre_error_sftp_code.
pub const NACRE_ERR_SFTP: nacre_status = -28;
/// This version of nacre, or the peer, cannot do that.
pub const NACRE_ERR_UNSUPPORTED: nacre_status = -29;
/// A DISCONNECT was sent or received: nacre_error_disconnect_code.
pub const NACRE_ERR_DISCONNECTED: nacre_status = -30;
/// A limit was reached.
pub const NACRE_ERR_LIMIT: nacre_status = -31;
/// GSSAPI failed.
pub const NACRE_ERR_GSSAPI: nacre_status = -32;
/// Out of memory.
pub const NACRE_ERR_NO_MEMORY: nacre_status = -33;
/// A fault of nacre's own.
pub const NACRE_ERR_INTERNAL: nacre_status = -34;

pub fn status_of(error: &Error) -> nacre_status {
    match error {
        Error::Again => NACRE_ERR_AGAIN,
        Error::Timeout(_) => NACRE_ERR_TIMEOUT,
        Error::Eof => NACRE_ERR_EOF,
        Error::Closed(_) => NACRE_ERR_CLOSED,
        Error::Cancelled => NACRE_ERR_CANCELLED,
        Error::Interrupted => NACRE_ERR_INTERRUPTED,
        Error::Forked => NACRE_ERR_FORKED,
        Error::Argument(_) => NACRE_ERR_ARGUMENT,
        Error::Buffer => NACRE_ERR_BUFFER,
        Error::State(_) => NACRE_ERR_STATE,
        Error::Resolve(_) => NACRE_ERR_RESOLVE,
        Error::Connect(_) => NACRE_ERR_CONNECT,
        Error::Io(_) => NACRE_ERR_IO,
        Error::Callback(_) => NACRE_ERR_CALLBACK,
        Error::Protocol(_) | Error::Integrity(_) => NACRE_ERR_PROTOCOL,
        Error::Negotiation(_) => NACRE_ERR_NEGOTIATION,
        Error::HostKey(_) => NACRE_ERR_HOST_KEY,
        Error::AuthFailed(_) => NACRE_ERR_AUTH_FAILED,
        Error::AuthMethod(_) => NACRE_ERR_AUTH_METHOD,
        Error::AuthPartial(_) => NACRE_ERR_AUTH_PARTIAL,
        Error::ChannelRefused(_) => NACRE_ERR_CHANNEL_REFUSED,
        Error::RequestDenied(_) => NACRE_ERR_REQUEST_DENIED,
        Error::Algorithm(_) => NACRE_ERR_ALGORITHM,
        Error::KeyFormat(_) => NACRE_ERR_KEY_FORMAT,
        Error::Passphrase(_) => NACRE_ERR_PASSPHRASE,
        Error::NotFound(_) => NACRE_ERR_NOT_FOUND,
        Error::Permission(_) => NACRE_ERR_PERMISSION,
        Error::Sftp(_) => NACRE_ERR_SFTP,
        Error::Unsupported(_) => NACRE_ERR_UNSUPPORTED,
        Error::Disconnected(_) => NACRE_ERR_DISCONNECTED,
        Error::Limit(_) => NACRE_ERR_LIMIT,
        Error::Gssapi(_) => NACRE_ERR_GSSAPI,
        Error::NoMemory => NACRE_ERR_NO_MEMORY,
        Error::Internal(_) => NACRE_ERR_INTERNAL,
    }
}

/// The name of a status, such as "ERR_AGAIN". Never NULL; the string lives as long as the process.
#[unsafe(no_mangle)]
pub extern "C" fn nacre_status_name(status: nacre_status) -> *const c_char {
    explained(status).0.as_ptr()
}

/// What a status means, in a few words. Never NULL; the string lives as long as the process.
#[unsafe(no_mangle)]
pub extern "C" fn nacre_status_text(status: nacre_status) -> *const c_char {
    explained(status).1.as_ptr()
}

fn explained(status: nacre_status) -> (&'static std::ffi::CStr, &'static std::ffi::CStr) {
    match status {
        NACRE_OK => (c"OK", c"done"),
        NACRE_ERR_AGAIN => (c"ERR_AGAIN", c"nothing is ready yet"),
        NACRE_ERR_TIMEOUT => (c"ERR_TIMEOUT", c"a deadline of the connection passed"),
        NACRE_ERR_EOF => (c"ERR_EOF", c"the peer ended this stream"),
        NACRE_ERR_CLOSED => (c"ERR_CLOSED", c"closed"),
        NACRE_ERR_CANCELLED => (c"ERR_CANCELLED", c"cancelled"),
        NACRE_ERR_INTERRUPTED => (c"ERR_INTERRUPTED", c"the wait was interrupted"),
        NACRE_ERR_FORKED => (c"ERR_FORKED", c"the handle belongs to the process before fork"),
        NACRE_ERR_ARGUMENT => (c"ERR_ARGUMENT", c"invalid argument"),
        NACRE_ERR_BUFFER => (c"ERR_BUFFER", c"the buffer is too small"),
        NACRE_ERR_STATE => (c"ERR_STATE", c"not possible in this state"),
        NACRE_ERR_RESOLVE => (c"ERR_RESOLVE", c"the host's name could not be resolved"),
        NACRE_ERR_CONNECT => (c"ERR_CONNECT", c"the host could not be connected to"),
        NACRE_ERR_IO => (c"ERR_IO", c"a system call failed"),
        NACRE_ERR_CALLBACK => (c"ERR_CALLBACK", c"a callback failed"),
        NACRE_ERR_PROTOCOL => (c"ERR_PROTOCOL", c"the peer broke the protocol"),
        NACRE_ERR_NEGOTIATION => (c"ERR_NEGOTIATION", c"no common algorithm"),
        NACRE_ERR_HOST_KEY => (c"ERR_HOST_KEY", c"the host key is not trusted"),
        NACRE_ERR_AUTH_FAILED => (c"ERR_AUTH_FAILED", c"authentication failed"),
        NACRE_ERR_AUTH_METHOD => (c"ERR_AUTH_METHOD", c"the authentication method is not offered"),
        NACRE_ERR_AUTH_PARTIAL => (c"ERR_AUTH_PARTIAL", c"more authentication steps are needed"),
        NACRE_ERR_CHANNEL_REFUSED => (c"ERR_CHANNEL_REFUSED", c"the peer refused to open the channel"),
        NACRE_ERR_REQUEST_DENIED => (c"ERR_REQUEST_DENIED", c"the peer refused the request"),
        NACRE_ERR_ALGORITHM => (c"ERR_ALGORITHM", c"unknown or unfitting algorithm"),
        NACRE_ERR_KEY_FORMAT => (c"ERR_KEY_FORMAT", c"damaged key"),
        NACRE_ERR_PASSPHRASE => (c"ERR_PASSPHRASE", c"missing or wrong passphrase"),
        NACRE_ERR_NOT_FOUND => (c"ERR_NOT_FOUND", c"not found"),
        NACRE_ERR_PERMISSION => (c"ERR_PERMISSION", c"permission denied"),
        NACRE_ERR_SFTP => (c"ERR_SFTP", c"the SFTP server refused"),
        NACRE_ERR_UNSUPPORTED => (c"ERR_UNSUPPORTED", c"not supported"),
        NACRE_ERR_DISCONNECTED => (c"ERR_DISCONNECTED", c"disconnected"),
        NACRE_ERR_LIMIT => (c"ERR_LIMIT", c"a limit was reached"),
        NACRE_ERR_GSSAPI => (c"ERR_GSSAPI", c"GSSAPI failed"),
        NACRE_ERR_NO_MEMORY => (c"ERR_NO_MEMORY", c"out of memory"),
        NACRE_ERR_INTERNAL => (c"ERR_INTERNAL", c"internal error"),
        _ => (c"unknown", c"not a status of nacre"),
    }
}
