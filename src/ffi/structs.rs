//! Public structs, which grow: the caller's `size` says what it knows of.

use std::mem::MaybeUninit;

use crate::error::{Error, Result};

/// A public struct.
///
/// # Safety
/// `repr(C)`, begins with `size: usize`, all zero bytes are a value, no padding at its end.
pub unsafe trait Struct: Copy {}

/// Says that a type is a public struct, and checks what can be checked: its last member ends where it ends.
macro_rules! public_struct {
    ($name:ident, $last:ident: $type:ty) => {
        const _: () = {
            assert!(std::mem::offset_of!($name, size) == 0);
            assert!(std::mem::offset_of!($name, $last) + size_of::<$type>() == size_of::<$name>());
        };
        // SAFETY: checked above; the members are numbers, pointers and callbacks, which may be zero.
        unsafe impl $crate::ffi::structs::Struct for $name {}
    };
}
pub(super) use public_struct;

/// A struct of the caller's: members that it does not know of are zero, the default.
pub struct Read<T> {
    pub value: T,
    /// What it says that this library does not know of; an error for whoever uses the value.
    pub unknown: Result<()>,
}

pub unsafe fn read_with_unknown<T: Struct>(pointer: *const T, what: &str) -> Result<Read<T>> {
    let size = unsafe { size_of_caller(pointer, what)? };
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `size` bytes are there, and no more than the struct's are copied.
    unsafe {
        std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), size.min(size_of::<T>()));
        Ok(Read { value: value.assume_init(), unknown: unknown_is_zero(pointer, size, what) })
    }
}

pub unsafe fn read<T: Struct>(pointer: *const T, what: &str) -> Result<T> {
    let read = unsafe { read_with_unknown(pointer, what)? };
    read.unknown.map(|()| read.value)
}

/// NULL: all defaults.
pub unsafe fn read_optional<T: Struct>(pointer: *const T, what: &str) -> Result<T> {
    if pointer.is_null() {
        // SAFETY: all zero bytes are a value.
        return Ok(unsafe { MaybeUninit::<T>::zeroed().assume_init() });
    }
    unsafe { read(pointer, what) }
}

/// Whether a result can be written there.
pub unsafe fn check_out<T: Struct>(pointer: *mut T, what: &str) -> Result<()> {
    let size = unsafe { size_of_caller(pointer, what)? };
    unsafe { unknown_is_zero(pointer, size, what) }
}

/// Writes as much as the caller knows of, but not `size`.
pub unsafe fn write<T: Struct>(pointer: *mut T, value: &T, what: &str) -> Result<()> {
    unsafe { check_out(pointer, what)? };
    let size = unsafe { size_of_caller(pointer, what)? }.min(size_of::<T>());
    let from = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: `size` bytes may be written; both have so many.
    unsafe {
        let skipped = size_of::<usize>();
        std::ptr::copy_nonoverlapping(from.add(skipped), pointer.cast::<u8>().add(skipped), size - skipped);
    }
    Ok(())
}

/// Whether the caller's struct has the member that ends at `end`.
pub unsafe fn has<T: Struct>(pointer: *const T, end: usize) -> bool {
    unsafe { size_of_caller(pointer, "it") }.is_ok_and(|size| size >= end)
}

unsafe fn size_of_caller<T: Struct>(pointer: *const T, what: &str) -> Result<usize> {
    if pointer.is_null() {
        return Err(Error::argument(format!("{what} is NULL")));
    }
    // SAFETY: every public struct begins with its size.
    let size = unsafe { pointer.cast::<usize>().read() };
    if size < size_of::<usize>() || size > 1 << 20 {
        return Err(Error::argument(format!("the size of {what} is not set (NACRE_INIT)")));
    }
    Ok(size)
}

unsafe fn unknown_is_zero<T>(pointer: *const T, size: usize, what: &str) -> Result<()> {
    let known = size_of::<T>();
    // SAFETY: `size` bytes are there.
    let unknown =
        unsafe { std::slice::from_raw_parts(pointer.cast::<u8>().add(known.min(size)), size.saturating_sub(known)) };
    if unknown.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(Error::unsupported(format!("{what} has members that this version of nacre does not know")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct now {
        size: usize,
        first: u64,
        second: u64,
    }
    public_struct!(now, second: u64);

    #[repr(C)]
    struct later {
        base: now,
        third: u64,
    }

    #[test]
    fn older_and_newer_callers() {
        let older = now { size: 16, first: 5, second: 6 };
        let value = unsafe { read(&raw const older, "it") }.ok().map(|v| (v.first, v.second));
        assert_eq!(value, Some((5, 0)));
        let mut newer = later { base: now { size: size_of::<later>(), first: 5, second: 6 }, third: 0 };
        assert!(unsafe { read((&raw const newer).cast::<now>(), "it") }.is_ok());
        newer.third = 1;
        let refused = unsafe { read((&raw const newer).cast::<now>(), "it") }.map(|_| ());
        assert!(matches!(refused, Err(Error::Unsupported(_))));
        let unset = now { size: 0, first: 0, second: 0 };
        assert!(matches!(unsafe { read(&raw const unset, "it") }.map(|_| ()), Err(Error::Argument(_))));
    }

    #[test]
    fn results_stop_where_the_caller_does() {
        let mut older = now { size: 16, first: 0, second: 9 };
        let value = now { size: 0, first: 1, second: 2 };
        assert_eq!(unsafe { write(&raw mut older, &value, "it") }, Ok(()));
        assert_eq!((older.size, older.first, older.second), (16, 1, 9));
    }
}
