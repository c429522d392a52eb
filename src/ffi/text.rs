//! Strings and bytes across the boundary, and out-parameters.

use std::ffi::{CStr, c_char, c_void};

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// More than any text, key file or message has. What is longer is refused before it is copied, and long before a length
/// would not fit into 32 bits; the sessions' own limits are lower.
const LONGEST: usize = 16 << 20;

fn of_bounded_length(bytes: &[u8]) -> Result<&[u8]> {
    if bytes.len() > LONGEST { Err(Error::argument(format!("longer than {LONGEST} bytes"))) } else { Ok(bytes) }
}

/// What a NUL-terminated string holds; any bytes.
pub unsafe fn text<'a>(string: *const c_char, what: &str) -> Result<&'a [u8]> {
    unsafe { optional_text(string) }?.ok_or_else(|| Error::argument(format!("{what} is NULL")))
}

pub unsafe fn optional_text<'a>(string: *const c_char) -> Result<Option<&'a [u8]>> {
    // SAFETY: a string that is not NULL ends with NUL, and lives until the call returns.
    let text = (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_bytes());
    text.map(of_bounded_length).transpose()
}

pub unsafe fn optional_secret(string: *const c_char) -> Result<Option<Zeroizing<Vec<u8>>>> {
    Ok(unsafe { optional_text(string) }?.map(|bytes| Zeroizing::new(bytes.to_vec())))
}

/// What is kept or sent as one piece.
pub unsafe fn piece<'a>(data: *const c_void, length: usize) -> Result<&'a [u8]> {
    unsafe { bytes(data, length) }.and_then(of_bounded_length)
}

/// A name of the protocol, an address or another text of ours: has to be UTF-8.
pub unsafe fn name<'a>(string: *const c_char, what: &str) -> Result<&'a str> {
    std::str::from_utf8(unsafe { text(string, what) }?).map_err(|_| Error::argument(format!("{what} is not UTF-8")))
}

pub unsafe fn bytes<'a>(data: *const c_void, length: usize) -> Result<&'a [u8]> {
    match (length, data.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(Error::argument("the data is NULL")),
        _ if isize::try_from(length).is_err() => Err(Error::argument("the data is longer than memory")),
        // SAFETY: so many bytes are there, and live until the call returns.
        _ => Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) }),
    }
}

/// Where something is to be written to. Nobody reads it before.
pub unsafe fn buffer<'a>(data: *mut c_void, capacity: usize) -> Result<&'a mut [u8]> {
    match (capacity, data.is_null()) {
        (0, _) => Ok(&mut []),
        (_, true) => Err(Error::argument("the buffer is NULL")),
        _ if isize::try_from(capacity).is_err() => Err(Error::argument("the buffer is longer than memory")),
        // SAFETY: so many bytes may be written until the call returns.
        _ => Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), capacity) }),
    }
}

/// An array of pointers.
pub unsafe fn array<'a, T>(items: *const *const T, count: usize) -> Result<&'a [*const T]> {
    match (count, items.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(Error::argument("the array is NULL")),
        _ if count > 1 << 24 => Err(Error::argument("the array is longer than any list of these")),
        // SAFETY: so many pointers are there, and live until the call returns.
        _ => Ok(unsafe { std::slice::from_raw_parts(items, count) }),
    }
}

pub unsafe fn texts<'a>(items: *const *const c_char, count: usize) -> Result<Vec<&'a [u8]>> {
    unsafe { array(items, count)?.iter().map(|item| text(*item, "a string of the array")).collect() }
}

/// Copies a string out; `needed` counts the NUL.
pub unsafe fn put_text(value: &[u8], buf: *mut c_char, cap: usize, needed: *mut usize) -> Result<()> {
    unsafe { put_all(value, true, buf.cast(), cap, needed) }
}

/// Copies bytes out.
pub unsafe fn put_bytes(value: &[u8], buf: *mut c_void, cap: usize, needed: *mut usize) -> Result<()> {
    unsafe { put_all(value, false, buf.cast(), cap, needed) }
}

unsafe fn put_all(value: &[u8], terminated: bool, buf: *mut u8, cap: usize, needed: *mut usize) -> Result<()> {
    let length = value.len() + usize::from(terminated);
    unsafe { put(needed, length) };
    if cap < length {
        return Err(Error::Buffer);
    }
    let (room, terminator) = unsafe { buffer(buf.cast(), length)? }.split_at_mut(value.len());
    room.copy_from_slice(value);
    terminator.fill(0);
    Ok(())
}

/// Sets an out-parameter that may be NULL.
pub unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: what is not NULL may be written to.
        unsafe { out.write(value) };
    }
}

/// An out-parameter without which the call makes no sense.
pub fn wanted<T>(out: *mut T, what: &str) -> Result<*mut T> {
    if out.is_null() { Err(Error::argument(format!("{what} is NULL"))) } else { Ok(out) }
}

/// Sets an out-parameter that must be there.
pub unsafe fn set<T>(out: *mut T, value: T) -> Result<()> {
    wanted(out, "an out-parameter")?;
    unsafe { put(out, value) };
    Ok(())
}

/// Ports cross the boundary as 32 bits.
pub fn port_of(port: u32) -> Result<u16> {
    u16::try_from(port).map_err(|_| Error::argument(format!("{port} is no port")))
}

/// A copy with a NUL after it for a callback, wiped afterwards. None: it holds a NUL of its own.
pub fn terminated(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    (!value.contains(&0)).then(|| terminated_anyway(value))
}

/// For what comes with its length.
pub fn terminated_anyway(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut copy = Zeroizing::new(Vec::with_capacity(value.len() + 1));
    copy.extend_from_slice(value);
    copy.push(0);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_out_whole_or_not_at_all() {
        let mut room = [7 as c_char; 4];
        let mut needed = 0;
        let short = unsafe { put_text(b"abcd", room.as_mut_ptr(), room.len(), &raw mut needed) };
        assert_eq!((short, needed, room), (Err(Error::Buffer), 5, [7; 4]));
        assert_eq!(unsafe { put_text(b"abc", room.as_mut_ptr(), room.len(), &raw mut needed) }, Ok(()));
        assert_eq!((needed, room.map(|c| c as u8)), (4, *b"abc\0"));
        assert_eq!(unsafe { put_text(b"", std::ptr::null_mut(), 0, &raw mut needed) }, Err(Error::Buffer));
        assert_eq!(unsafe { put_bytes(b"", std::ptr::null_mut(), 0, std::ptr::null_mut()) }, Ok(()));
        assert!(matches!(
            unsafe { put_bytes(b"x", std::ptr::null_mut(), 9, &raw mut needed) },
            Err(Error::Argument(_))
        ));
    }

    #[test]
    fn null_is_told_from_empty() {
        assert!(unsafe { text(std::ptr::null(), "it") }.is_err());
        assert_eq!(unsafe { text(c"".as_ptr(), "it") }, Ok(&b""[..]));
        assert_eq!(unsafe { bytes(std::ptr::null(), 0) }, Ok(&b""[..]));
        assert!(unsafe { bytes(std::ptr::null(), 1) }.is_err());
        assert!(unsafe { texts(std::ptr::null(), 1) }.is_err());
        assert_eq!(terminated(b"a\0b"), None);
    }
}
