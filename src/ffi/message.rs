//! Messages: data in the types of the protocol (RFC 4251 section 5).

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::boundary::{Handle, free, give, guarded, on};
use super::status::nacre_status;
use super::text::{name, piece, put_bytes, put_text, set, wanted};
use crate::error::{Error, Result};
use crate::wire::{Reader, put_boolean, put_mpint, put_name_list, put_string, put_u32, put_u64};

/// Bytes that are built and read as the data types of the protocol: what goes into a request, what comes with a reply.
/// `add` functions append; `get` functions read on from where the one before stopped, and stay there when they fail:
/// NACRE_ERR_PROTOCOL says that this is not what comes next. The bytes are wiped when the message is freed.
pub struct nacre_message {
    _private: [u8; 0],
}

/// The object behind a `nacre_message`.
pub struct Message(Mutex<State>);

struct State {
    bytes: Zeroizing<Vec<u8>>,
    position: usize,
}

impl Handle for nacre_message {
    type Object = Message;
    const NAME: &'static str = "message";
}

impl Message {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Mutex::new(State { bytes: Zeroizing::new(bytes), position: 0 }))
    }

    fn locked<T>(&self, body: impl FnOnce(&mut State) -> T) -> T {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Growing leaves no copy behind.
    fn add(&self, longest: usize, append: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.locked(|state| {
            let needed = state.bytes.len() + longest;
            if needed > state.bytes.capacity() {
                let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(state.bytes.capacity() * 2).max(256)));
                larger.extend_from_slice(&state.bytes);
                state.bytes = larger;
            }
            append(&mut state.bytes);
            Ok(())
        })
    }

    fn get<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> Result<T>) -> Result<T> {
        self.locked(|state| {
            let mut reader = Reader::new(state.bytes.get(state.position..).unwrap_or_default());
            let before = reader.remaining();
            let value = read(&mut reader)?;
            state.position += before - reader.remaining();
            Ok(value)
        })
    }
}

/// Makes an empty message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_new(message: *mut *mut nacre_message) -> nacre_status {
    unsafe {
        guarded(|| {
            wanted(message, "the out-parameter of the message")?;
            set(message, give(Arc::new(Message::new(Vec::new()))))
        })
    }
}

/// Appends a byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_byte(message: *mut nacre_message, value: u8) -> nacre_status {
    unsafe { on(message, |message| message.add(1, |out| out.push(value))) }
}

/// Appends a boolean: 0 is FALSE, 1 is TRUE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_boolean(message: *mut nacre_message, value: i32) -> nacre_status {
    unsafe {
        on(message, |message| match value {
            0 | 1 => message.add(1, |out| put_boolean(out, value == 1)),
            _ => Err(Error::argument("a boolean is 0 or 1")),
        })
    }
}

/// Appends a uint32.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_uint32(message: *mut nacre_message, value: u32) -> nacre_status {
    unsafe { on(message, |message| message.add(4, |out| put_u32(out, value))) }
}

/// Appends a uint64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_uint64(message: *mut nacre_message, value: u64) -> nacre_status {
    unsafe { on(message, |message| message.add(8, |out| put_u64(out, value))) }
}

/// Appends a string: its length and its bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_string(
    message: *mut nacre_message,
    data: *const c_void,
    len: usize,
) -> nacre_status {
    unsafe {
        on(message, |message| {
            let data = piece(data, len)?;
            message.add(len + 4, |out| put_string(out, data))
        })
    }
}

/// Appends a non-negative mpint, given as its bytes, the highest first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_mpint(
    message: *mut nacre_message,
    magnitude: *const c_void,
    len: usize,
) -> nacre_status {
    unsafe {
        on(message, |message| {
            let magnitude = piece(magnitude, len)?;
            message.add(len + 5, |out| put_mpint(out, magnitude))
        })
    }
}

/// Appends a name-list, given comma separated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_name_list(
    message: *mut nacre_message,
    names: *const c_char,
) -> nacre_status {
    unsafe {
        on(message, |message| {
            let names = name(names, "the list of names")?;
            message.add(names.len() + 4, |out| put_name_list(out, names.split(',').filter(|name| !name.is_empty())))
        })
    }
}

/// Appends bytes as they are, without a length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_add_bytes(
    message: *mut nacre_message,
    data: *const c_void,
    len: usize,
) -> nacre_status {
    unsafe {
        on(message, |message| {
            let data = piece(data, len)?;
            message.add(len, |out| out.extend_from_slice(data))
        })
    }
}

/// Reads a byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_byte(message: *mut nacre_message, value: *mut u8) -> nacre_status {
    unsafe { on(message, |message| message.get(|reader| set(value, reader.u8()?))) }
}

/// Reads a boolean: 0 or 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_boolean(message: *mut nacre_message, value: *mut i32) -> nacre_status {
    unsafe { on(message, |message| message.get(|reader| set(value, i32::from(reader.boolean()?)))) }
}

/// Reads a uint32.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_uint32(message: *mut nacre_message, value: *mut u32) -> nacre_status {
    unsafe { on(message, |message| message.get(|reader| set(value, reader.u32()?))) }
}

/// Reads a uint64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_uint64(message: *mut nacre_message, value: *mut u64) -> nacre_status {
    unsafe { on(message, |message| message.get(|reader| set(value, reader.u64()?))) }
}

/// Reads a string: its bytes, without a NUL after them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_string(
    message: *mut nacre_message,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(message, |message| message.get(|reader| put_bytes(reader.string()?, buf, cap, needed))) }
}

/// Reads a non-negative mpint: its bytes, the highest first, without leading zeros.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_mpint(
    message: *mut nacre_message,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(message, |message| message.get(|reader| put_bytes(reader.mpint()?, buf, cap, needed))) }
}

/// Reads a name-list as a comma separated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_name_list(
    message: *mut nacre_message,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(message, |message| message.get(|reader| put_text(reader.name_list()?.as_str().as_bytes(), buf, cap, needed)))
    }
}

/// Reads just so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_get_bytes(
    message: *mut nacre_message,
    buf: *mut c_void,
    len: usize,
) -> nacre_status {
    unsafe {
        on(message, |message| message.get(|reader| put_bytes(reader.bytes(len)?, buf, len, std::ptr::null_mut())))
    }
}

/// Starts reading from the beginning again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_rewind(message: *mut nacre_message) -> nacre_status {
    unsafe {
        on(message, |message| {
            message.locked(|state| state.position = 0);
            Ok(())
        })
    }
}

/// A copy of what has not been read yet; it stays unread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_remainder(
    message: *const nacre_message,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(message, |message| {
            message.locked(|state| put_bytes(state.bytes.get(state.position..).unwrap_or_default(), buf, cap, needed))
        })
    }
}

/// A copy of the whole message, read or not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_bytes(
    message: *const nacre_message,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(message, |message| message.locked(|state| put_bytes(&state.bytes, buf, cap, needed))) }
}

/// Frees it. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_message_free(message: *mut nacre_message) {
    unsafe { free(message, |_| {}) };
}
