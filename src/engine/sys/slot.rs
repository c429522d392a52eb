//! A place for one shared value that a signal handler can look at: no lock, and nothing is freed under a reader.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Readers are inside for a few instructions. One that was inside at a `fork` never leaves in the child: whoever waits for
/// it there keeps the value for good instead.
const PATIENCE: Duration = Duration::from_millis(100);

pub struct Slot<T> {
    /// Of an `Arc` that is the slot's own.
    pointer: AtomicPtr<T>,
    /// Threads that look at the value without a count of their own.
    readers: AtomicUsize,
}

impl<T: Send + Sync + 'static> Slot<T> {
    pub const fn empty() -> Self {
        Self { pointer: AtomicPtr::new(ptr::null_mut()), readers: AtomicUsize::new(0) }
    }

    /// Looks at the value. `body` takes and gives back no count, so that it may run in a signal handler.
    pub fn with<R>(&self, body: impl FnOnce(Option<&T>) -> R) -> R {
        self.readers.fetch_add(1, Ordering::SeqCst);
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
        if !known.is_null() && self.readers_have_left() {
            // SAFETY: the slot's own count, which nobody can reach through the slot any more.
            drop(unsafe { Arc::from_raw(known) });
        }
        true
    }

    fn readers_have_left(&self) -> bool {
        let end = Instant::now() + PATIENCE;
        while self.readers.load(Ordering::SeqCst) != 0 {
            if Instant::now() > end {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }
}
