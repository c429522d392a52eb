//! Which process is this? A page that the kernel wipes in a forked child holds a number; a handle remembers the number
//! of its process. The test on a call's path is one load, never a system call.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());
/// Where the page cannot be marked (before Linux 4.14): a plain number that a pthread_atfork handler sets to 0.
static FALLBACK: AtomicU64 = AtomicU64::new(0);
/// Numbers given so far; a child continues its parent's count, so that its numbers are others.
static GIVEN: AtomicU64 = AtomicU64::new(0);

fn page() -> &'static AtomicU64 {
    let pointer = PAGE.load(Ordering::Acquire);
    if !pointer.is_null() {
        // SAFETY: what is stored in PAGE stays mapped for the life of the process.
        return unsafe { &*pointer };
    }
    let made = make_page();
    match PAGE.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: as above; of two threads here at once one page stays unused.
        Ok(_) => unsafe { &*made },
        Err(first) => unsafe { &*first },
    }
}

fn make_page() -> *mut AtomicU64 {
    // SAFETY: a new private mapping of one page, zero-filled and aligned for anything.
    unsafe {
        let length = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let mapping = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let address = libc::mmap(std::ptr::null_mut(), length, protection, mapping, -1, 0);
        if address != libc::MAP_FAILED && libc::madvise(address, length, libc::MADV_WIPEONFORK) == 0 {
            return address.cast();
        }
        if address != libc::MAP_FAILED {
            libc::munmap(address, length);
        }
        libc::pthread_atfork(None, None, Some(forget));
    }
    (&raw const FALLBACK).cast_mut()
}

extern "C" fn forget() {
    FALLBACK.store(0, Ordering::Release);
}

/// The number of this process, never 0.
pub fn token() -> u64 {
    let page = page();
    let known = page.load(Ordering::Acquire);
    if known != 0 {
        return known;
    }
    let fresh = GIVEN.fetch_add(1, Ordering::AcqRel) + 1;
    match page.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => fresh,
        Err(first) => first,
    }
}

/// Whether the process is the one that `token` was given to.
pub fn is_current(token: u64) -> bool {
    page().load(Ordering::Acquire) == token
}

/// Runs `body` in a forked child and tells whether it said true there.
#[cfg(test)]
pub fn in_forked_child(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child has one thread, runs `body` and leaves without unwinding or running anything else of the
    // parent's; the status is a local.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            libc::_exit(if matches!(result, Ok(true)) { 0 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}
#[cfg(test)]
pub fn is_open(fd: std::os::fd::RawFd) -> bool {
    // SAFETY: no pointer is passed.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}
