//! Known hosts.

use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::boundary::{Handle, free, give, on, reference, share};
use super::error::{making, nacre_error, put_error};
use super::key::{Key, nacre_key, put_key};
use super::status::nacre_status;
use super::text::{name, optional_text, piece, port_of, put, put_bytes, put_text, set, text};
use crate::client::HostsFile;
use crate::engine::host_key_algorithms;
use crate::error::{Error, Result};
use crate::keys::{Addition, Marker, Standing};

/// Which hosts have which keys: the lines of a known_hosts file (sshd(8)), those that say nothing to nacre included.
/// Several threads and transports may use it at once; what one adds, the others know.
///
/// A host is looked for as ssh does: its name in small letters, and `[name]:port` where the port is not 22; if nothing is
/// known of that, the key that the name has without a port is right as well. Names may be hashed, and be patterns with `*`,
/// `?` and, for exceptions, `!`.
pub struct nacre_known_hosts {
    _private: [u8; 0],
}

impl Handle for nacre_known_hosts {
    type Object = HostsFile;
    const NAME: &'static str = "list of known hosts";
}

/// How the key that a host shows stands to what is known of the host.
pub type nacre_known_host = i32;

/// It is the key of this host.
pub const NACRE_KNOWN_HOST_MATCH: nacre_known_host = 1;
/// The host has another key of this type: somebody may be in between.
pub const NACRE_KNOWN_HOST_CHANGED: nacre_known_host = 2;
/// The host has keys, but none of this type.
pub const NACRE_KNOWN_HOST_OTHER_TYPE: nacre_known_host = 3;
/// Nothing is known of the host.
pub const NACRE_KNOWN_HOST_UNKNOWN: nacre_known_host = 4;
/// The key is marked as revoked for this host, whatever else is known.
pub const NACRE_KNOWN_HOST_REVOKED: nacre_known_host = 5;

/// What a line says of its key.
pub type nacre_known_hosts_marker = i32;

/// It is the host's own.
pub const NACRE_KNOWN_HOSTS_KEY: nacre_known_hosts_marker = 0;
/// "@cert-authority": it signs the certificates of the hosts.
pub const NACRE_KNOWN_HOSTS_CERT_AUTHORITY: nacre_known_hosts_marker = 1;
/// "@revoked": neither it nor what it has signed is ever right.
pub const NACRE_KNOWN_HOSTS_REVOKED: nacre_known_hosts_marker = 2;

/// nacre_known_hosts_load_file: without a file the list is empty, and the file is made when something is written.
pub const NACRE_KNOWN_HOSTS_MAY_BE_MISSING: u32 = 1;

/// nacre_known_hosts_add: the name is hashed, so that whoever reads the file does not learn it.
pub const NACRE_KNOWN_HOSTS_HASHED: u32 = 1;

/// Makes an empty list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_new(
    known_hosts: *mut *mut nacre_known_hosts,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe { making(err, || put_list(known_hosts, || Ok(HostsFile::default()))) }
}

/// Reads a known_hosts file. Lines that cannot be read are kept and say nothing; nacre_known_hosts_problem tells of them.
///
/// `flags`: NACRE_KNOWN_HOSTS_MAY_BE_MISSING or 0. Errors: NACRE_ERR_NOT_FOUND, _PERMISSION, _IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_load_file(
    path: *const c_char,
    flags: u32,
    known_hosts: *mut *mut nacre_known_hosts,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        making(err, || {
            put_list(known_hosts, || {
                let path = Path::new(OsStr::from_bytes(text(path, "the path")?));
                known_flags(flags, NACRE_KNOWN_HOSTS_MAY_BE_MISSING)?;
                HostsFile::load(path, flags & NACRE_KNOWN_HOSTS_MAY_BE_MISSING != 0)
            })
        })
    }
}

/// Reads what a known_hosts file would hold from memory. Nothing is written unless nacre_known_hosts_save names a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_load_memory(
    data: *const c_void,
    len: usize,
    known_hosts: *mut *mut nacre_known_hosts,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe { making(err, || put_list(known_hosts, || Ok(HostsFile::of_text(piece(data, len)?)))) }
}

/// How a key stands that a host shows: a NACRE_KNOWN_HOST_* value.
///
/// `port` 0 is 22. `line` (may be NULL) says which line decided, from 1; 0 when none did.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_check(
    known_hosts: *const nacre_known_hosts,
    host: *const c_char,
    port: u32,
    key: *const nacre_key,
    result: *mut nacre_known_host,
    line: *mut usize,
) -> nacre_status {
    unsafe {
        on(known_hosts, |known_hosts| {
            put(line, 0);
            let (standing, deciding) =
                known_hosts.for_host(name(host, "the host")?, port_of(port)?).check(share(key)?.public());
            put(line, deciding.unwrap_or(0));
            set(result, known_host_of(standing))
        })
    }
}

/// One of the keys that the list has for a host, by number from 0; NACRE_ERR_NOT_FOUND behind the last. It is the caller's
/// to free.
///
/// `marker` says which: the host's own (only those for this very port), the authorities whose certificates are right for
/// it, or the revoked ones. Keys of types that nacre does not know are passed over. `line` (may be NULL): its line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_key(
    known_hosts: *const nacre_known_hosts,
    host: *const c_char,
    port: u32,
    marker: nacre_known_hosts_marker,
    index: usize,
    key: *mut *mut nacre_key,
    line: *mut usize,
) -> nacre_status {
    unsafe {
        on(known_hosts, |known_hosts| {
            put(line, 0);
            put_key(key, || {
                let found = known_hosts.for_host(name(host, "the host")?, port_of(port)?);
                let keys = match marker_of(marker)? {
                    Marker::None => found.keys,
                    Marker::CertAuthority => found.authorities,
                    Marker::Revoked => found.revoked,
                };
                let listed = keys.into_iter().nth(index).ok_or_else(|| Error::not_found("there is no such key"))?;
                put(line, listed.line);
                Ok(Key::from(listed.key))
            })
        })
    }
}

/// Adds a line at the end, in memory: nacre_known_hosts_save writes it. A line that says so already stays alone.
///
/// `host` has to be one name or address; with a marker it may be a list of patterns with commas. `port` 0 is 22. `flags`:
/// NACRE_KNOWN_HOSTS_HASHED or 0. `comment` may be NULL. NACRE_ERR_ARGUMENT: the host cannot be written into such a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_add(
    known_hosts: *mut nacre_known_hosts,
    host: *const c_char,
    port: u32,
    key: *const nacre_key,
    marker: nacre_known_hosts_marker,
    flags: u32,
    comment: *const c_char,
) -> nacre_status {
    unsafe {
        on(known_hosts, |known_hosts| {
            known_flags(flags, NACRE_KNOWN_HOSTS_HASHED)?;
            let comment = String::from_utf8_lossy(optional_text(comment)?.unwrap_or_default()).into_owned();
            let hashed = flags & NACRE_KNOWN_HOSTS_HASHED != 0;
            let addition = Addition { marker: marker_of(marker)?, hashed, comment: &comment };
            let (host, port, key) = (name(host, "the host")?, port_of(port)?, share(key)?);
            known_hosts.lock().list.add(host, port, key.public(), &addition).map(drop)
        })
    }
}

/// Takes away the lines that say this key of this host and port; `key` NULL: every line that says a key of it. They go as
/// with ssh-keygen -R: whole, whatever other hosts they name, but those with a marker stay. In memory:
/// nacre_known_hosts_save writes it. `count` (may be NULL) says how many lines there were; none is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_remove(
    known_hosts: *mut nacre_known_hosts,
    host: *const c_char,
    port: u32,
    key: *const nacre_key,
    count: *mut usize,
) -> nacre_status {
    unsafe {
        on(known_hosts, |known_hosts| {
            put(count, 0);
            let (host, port) = (name(host, "the host")?, port_of(port)?);
            let key = super::boundary::share_optional(key)?;
            let key = key.as_ref().map(|key| key.public());
            put(count, known_hosts.lock().list.remove(host, port, key));
            Ok(())
        })
    }
}

/// Hashes all names, as ssh-keygen -H does: a line with several becomes several. Patterns, and lines with a marker, stay.
/// In memory: nacre_known_hosts_save writes it. `count` (may be NULL) says how many names were hashed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_hash(
    known_hosts: *mut nacre_known_hosts,
    count: *mut usize,
) -> nacre_status {
    unsafe {
        on(known_hosts, |known_hosts| {
            put(count, 0);
            put(count, known_hosts.lock().list.hash()?);
            Ok(())
        })
    }
}

/// Writes the list to a file that only its owner can read, in one step: either all of it is there afterwards, or what was
/// there before. A symbolic link stays, and what it leads to is written.
///
/// `path` NULL: the file that the list was read from. What others have added to the end of that since is kept and taken
/// over; NACRE_ERR_STATE: they have changed it in another way, so that it has to be read again first. Errors:
/// NACRE_ERR_ARGUMENT when there is no file, _PERMISSION, _IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_save(
    known_hosts: *mut nacre_known_hosts,
    path: *const c_char,
) -> nacre_status {
    unsafe {
        on(known_hosts, |known_hosts| {
            let path = optional_text(path)?.map(|path| Path::new(OsStr::from_bytes(path)));
            known_hosts.save(path)
        })
    }
}

/// The lines as nacre_known_hosts_save would write them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_text(
    known_hosts: *const nacre_known_hosts,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(known_hosts, |known_hosts| put_bytes(&known_hosts.lock().list.text(), buf, cap, needed)) }
}

/// The host key algorithms in the order in which a client asks for them: if the host has keys, those that fit them come
/// first, so that the server shows one that is known; unless the first of all fits anyway. A client does so by itself when
/// the list is in its nacre_host_key_check.
///
/// `algorithms` is as for nacre_transport_set_algorithms; `algorithms` NULL: the default list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_algorithms(
    known_hosts: *const nacre_known_hosts,
    host: *const c_char,
    port: u32,
    algorithms: *const c_char,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(known_hosts, |known_hosts| {
            let known = known_hosts.for_host(name(host, "the host")?, port_of(port)?);
            let given = if algorithms.is_null() { None } else { Some(name(algorithms, "the list")?) };
            put_text(host_key_algorithms(given, known)?.as_bytes(), buf, cap, needed)
        })
    }
}

/// Why a line says nothing, by number from 0 among those that are neither blank nor comments and cannot be read:
/// nacre_error_line tells which it is. The caller frees the error. NACRE_ERR_NOT_FOUND behind the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_problem(
    known_hosts: *const nacre_known_hosts,
    index: usize,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe { on(known_hosts, |known_hosts| put_error(err, Ok(known_hosts.lock().list.problems().nth(index)))) }
}

/// Why a key that was accepted (NACRE_HOST_KEY_ADD) could not be added to the file: the last such error. Neither the
/// connection nor what is known in memory suffers from it. NACRE_ERR_NOT_FOUND: there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_take_error(
    known_hosts: *mut nacre_known_hosts,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe { on(known_hosts, |known_hosts| put_error(err, Ok(known_hosts.lock().error.take()))) }
}

/// Adds an owner: one nacre_known_hosts_free more is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_ref(known_hosts: *mut nacre_known_hosts) -> nacre_status {
    unsafe { reference(known_hosts, |_| {}) }
}

/// Gives the list up; the last owner's call frees it. Nothing is written. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_known_hosts_free(known_hosts: *mut nacre_known_hosts) {
    unsafe { free(known_hosts, |_| {}) };
}

fn known_flags(flags: u32, known: u32) -> Result<()> {
    if flags & !known == 0 { Ok(()) } else { Err(Error::argument("unknown flags")) }
}

fn marker_of(marker: nacre_known_hosts_marker) -> Result<Marker> {
    match marker {
        NACRE_KNOWN_HOSTS_KEY => Ok(Marker::None),
        NACRE_KNOWN_HOSTS_CERT_AUTHORITY => Ok(Marker::CertAuthority),
        NACRE_KNOWN_HOSTS_REVOKED => Ok(Marker::Revoked),
        _ => Err(Error::argument(format!("{marker} is no marker"))),
    }
}

fn known_host_of(standing: Standing) -> nacre_known_host {
    match standing {
        Standing::Match => NACRE_KNOWN_HOST_MATCH,
        Standing::Changed => NACRE_KNOWN_HOST_CHANGED,
        Standing::OtherType => NACRE_KNOWN_HOST_OTHER_TYPE,
        Standing::Unknown => NACRE_KNOWN_HOST_UNKNOWN,
        Standing::Revoked => NACRE_KNOWN_HOST_REVOKED,
    }
}

unsafe fn put_list(out: *mut *mut nacre_known_hosts, make: impl FnOnce() -> Result<HostsFile>) -> Result<()> {
    unsafe {
        set(out, std::ptr::null_mut())?;
        set(out, give(Arc::new(make()?)))
    }
}
