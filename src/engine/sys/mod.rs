//! The system calls of the engine: the only files of the room with `unsafe`. Everything above is written against these
//! names, so that another platform means another set of these files.

pub mod descriptor;
pub mod poller;
pub mod process;
pub mod slot;
pub mod socket;
pub mod thread;
pub mod timer;

#[cfg(test)]
mod tests;

use std::io;

/// The result of a system call that returns -1 and sets errno.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
