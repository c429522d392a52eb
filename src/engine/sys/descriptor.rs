//! Owned descriptors that can be closed without a lock, and the event descriptors made of them.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::checked;

/// A descriptor of this library. It is closed exactly once, by whoever comes first, and needs no lock for that: what a
/// forked child may do is to close it.
#[derive(Debug)]
pub struct Descriptor(AtomicI32);

impl Default for Descriptor {
    fn default() -> Self {
        Self::none()
    }
}

impl Descriptor {
    pub const fn none() -> Self {
        Self(AtomicI32::new(-1))
    }
    pub const fn new(raw: RawFd) -> Self {
        Self(AtomicI32::new(raw))
    }
    /// The number, -1 when there is none (any more).
    pub fn raw(&self) -> RawFd {
        self.0.load(Ordering::Acquire)
    }
    pub fn is_open(&self) -> bool {
        self.raw() >= 0
    }
    /// Puts a descriptor where none was; closes what was there.
    pub fn put(&self, raw: RawFd) {
        close(self.0.swap(raw, Ordering::AcqRel));
    }
    /// Takes the number out without closing it.
    pub fn take(&self) -> RawFd {
        self.0.swap(-1, Ordering::AcqRel)
    }
    pub fn close(&self) {
        close(self.take());
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.close();
    }
}

fn close(raw: RawFd) {
    if raw >= 0 {
        // SAFETY: the number was owned by a Descriptor and has just been taken out of it, so nothing else closes it.
        unsafe { libc::close(raw) };
    }
}

/// A counter descriptor (eventfd) used as a flag: readable while it is set.
#[derive(Debug)]
pub struct Signal {
    descriptor: Descriptor,
}

impl Signal {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let raw = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        Ok(Self { descriptor: Descriptor::new(raw) })
    }
    pub fn raw(&self) -> RawFd {
        self.descriptor.raw()
    }
    pub fn close(&self) {
        self.descriptor.close();
    }
    /// Makes it readable. Async-signal-safe: one atomic load and one `write`; errno is kept.
    pub fn set(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: __errno_location gives this thread's errno; the buffer is eight readable bytes.
        unsafe {
            let saved = *libc::__errno_location();
            libc::write(self.descriptor.raw(), one.as_ptr().cast(), one.len());
            *libc::__errno_location() = saved;
        }
    }
    pub fn clear(&self) {
        drain(self.descriptor.raw());
    }
    /// In a forked child: another eventfd under the same number, so that parent and child no longer share one.
    pub fn renew(&self) -> io::Result<()> {
        renew(&self.descriptor, Self::new()?.descriptor)
    }
}

/// Puts `fresh` under the number of `old`.
pub(super) fn renew(old: &Descriptor, fresh: Descriptor) -> io::Result<()> {
    if old.is_open() {
        // SAFETY: both numbers are owned here.
        checked(unsafe { libc::dup3(fresh.raw(), old.raw(), libc::O_CLOEXEC) })?;
    } else {
        old.put(fresh.take());
    }
    Ok(())
}

/// Empties an eventfd or a timerfd.
pub(super) fn drain(raw: RawFd) {
    let mut count = [0u8; 8];
    // SAFETY: the buffer is eight writable bytes; the descriptor is non-blocking.
    unsafe { libc::read(raw, count.as_mut_ptr().cast(), count.len()) };
}

/// An event descriptor for the application: made when first asked for, readable exactly while a condition holds.
/// Changes are made under the lock of whoever owns the condition; closing needs none.
#[derive(Debug, Default)]
pub struct Level {
    descriptor: Descriptor,
    set: AtomicBool,
}

impl Level {
    pub fn is_made(&self) -> bool {
        self.descriptor.is_open()
    }
    /// The descriptor, made now if need be with the condition as it is.
    pub fn get(&self, holds: bool) -> io::Result<RawFd> {
        if !self.descriptor.is_open() {
            let signal = Signal::new()?;
            self.descriptor.put(signal.descriptor.take());
            self.set.store(false, Ordering::Release);
        }
        self.update(holds);
        Ok(self.descriptor.raw())
    }
    /// Tells the condition; a system call only when it changed.
    pub fn update(&self, holds: bool) {
        if self.descriptor.is_open() && self.set.swap(holds, Ordering::AcqRel) != holds {
            if holds {
                let one = 1u64.to_ne_bytes();
                // SAFETY: eight readable bytes.
                unsafe { libc::write(self.descriptor.raw(), one.as_ptr().cast(), one.len()) };
            } else {
                drain(self.descriptor.raw());
            }
        }
    }
    pub fn close(&self) {
        self.descriptor.close();
    }
    /// In a forked child that goes on: an eventfd of its own under the same number.
    pub fn renew(&self) -> io::Result<()> {
        if self.descriptor.is_open() {
            renew(&self.descriptor, Signal::new()?.descriptor)?;
            if self.set.swap(false, Ordering::AcqRel) {
                self.update(true);
            }
        }
        Ok(())
    }
}
