//! A place for one value that lives as long as the process, replaced without a lock.

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

pub struct Slot<T> {
    pointer: AtomicPtr<T>,
    owns: PhantomData<T>,
}

impl<T: Send + Sync + 'static> Slot<T> {
    pub const fn empty() -> Self {
        Self { pointer: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: what is stored here came from Box::leak and is never freed.
        unsafe { self.pointer.load(Ordering::Acquire).as_ref() }
    }
    /// Puts `value` in the place of `old` (None: of nothing). False: another came first.
    pub fn replace(&self, old: Option<&'static T>, value: T) -> bool {
        let old = old.map_or(ptr::null_mut(), |old| ptr::from_ref(old).cast_mut());
        let fresh = Box::into_raw(Box::new(value));
        let done = self.pointer.compare_exchange(old, fresh, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !done {
            // SAFETY: it was just made and nobody else has seen it.
            drop(unsafe { Box::from_raw(fresh) });
        }
        done
    }
}
