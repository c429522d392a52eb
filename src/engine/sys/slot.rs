//! A place for one shared value that a signal handler can look at: no lock, and nothing is freed under a reader.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::process;

pub struct Slot<T> {
    /// Of an `Arc` that is the slot's own.
    pointer: AtomicPtr<T>,
    /// How many threads look at the value without a count of their own, and above that of which process they are: those
    /// that were inside at a `fork` never leave in the child.
    readers: AtomicU64,
}

/// The bits that count readers.
const COUNT: u64 = u32::MAX as u64;

/// The other bits, for this process.
fn this_process() -> u64 {
    process::token() << 32
}

impl<T: Send + Sync + 'static> Slot<T> {
    pub const fn empty() -> Self {
        Self { pointer: AtomicPtr::new(ptr::null_mut()), readers: AtomicU64::new(0) }
    }

    /// Looks at the value. `body` takes and gives back no count, so that it may run in a signal handler.
    pub fn with<R>(&self, body: impl FnOnce(Option<&T>) -> R) -> R {
        let here = this_process();
        let enter = |readers| Some(if readers & !COUNT == here { readers + 1 } else { here + 1 });
        let _ = self.readers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter);
        // SAFETY: whoever takes this pointer out waits for the readers before the slot's count goes.
        let result = body(unsafe { self.pointer.load(Ordering::SeqCst).as_ref() });
        self.readers.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// The value, with a count of the caller's.
    pub fn get(&self) -> Option<Arc<T>> {
        self.with(|value| {
            value.map(|value| {
                // SAFETY: the pointer is of an Arc, and the slot's count of it lasts until the readers have left.
                unsafe {
                    Arc::increment_strong_count(value);
                    Arc::from_raw(value)
                }
            })
        })
    }

    /// Puts `new` in the place of `old` (None: of nothing). False: another came first.
    ///
    /// `old` is the caller's, so that no other value can have its address.
    pub fn replace(&self, old: Option<&Arc<T>>, new: Option<Arc<T>>) -> bool {
        let known = old.map_or(ptr::null_mut(), |old| Arc::as_ptr(old).cast_mut());
        let fresh = new.map_or(ptr::null_mut(), |new| Arc::into_raw(new).cast_mut());
        if self.pointer.compare_exchange(known, fresh, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            // SAFETY: it was just made of an Arc and nobody else has seen it.
            drop((!fresh.is_null()).then(|| unsafe { Arc::from_raw(fresh) }));
            return false;
        }
        if !known.is_null() {
            // They are inside for a few instructions.
            let here = this_process();
            let are_inside = |readers: u64| readers & !COUNT == here && readers != here;
            while are_inside(self.readers.load(Ordering::SeqCst)) {
                std::thread::yield_now();
            }
            // SAFETY: the slot's own count, which nobody can reach through the slot any more.
            drop(unsafe { Arc::from_raw(known) });
        }
        true
    }
}
