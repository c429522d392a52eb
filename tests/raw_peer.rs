//! Rows of docs/security.md, shown by a peer that shares nothing with the library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "raw/rows/channels.rs"]
mod channels;
#[path = "raw/rows/handshake.rs"]
mod handshake;
#[path = "raw/rows/honest.rs"]
mod honest;
#[path = "raw/rows/identification.rs"]
mod identification;
#[path = "raw/rows/keys.rs"]
mod keys;
#[path = "raw/rows/login.rs"]
mod login;
#[path = "raw/rows/packets.rs"]
mod packets;
mod raw;
#[path = "raw/rows/renewal.rs"]
mod renewal;
#[path = "raw/rows/terrapin.rs"]
mod terrapin;
#[path = "raw/rows/timing.rs"]
mod timing;

/// The most that anybody, library or test, asked for at once.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Noting;

unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;
