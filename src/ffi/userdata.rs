//! The application's pointers: `destroy` runs exactly once, also when the call that took the pointer failed.

use std::ffi::c_void;

use super::boundary::quietly;
use crate::engine::{Userdata, run_callback};

pub type Destroy = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// A pointer that came with a `destroy`. Dropping it runs that.
pub struct Owned {
    pointer: *mut c_void,
    destroy: Destroy,
}

// SAFETY: the header says that callbacks and `destroy` run on any thread.
unsafe impl Send for Owned {}
// SAFETY: as above; the pointer itself is only handed on.
unsafe impl Sync for Owned {}

impl Owned {
    pub fn new(pointer: *mut c_void, destroy: Destroy) -> Self {
        Self { pointer, destroy }
    }

    pub fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    /// For the engine to keep on a handle. None: there is nothing to keep.
    pub fn into_userdata(self) -> Option<Userdata> {
        if self.pointer.is_null() && self.destroy.is_none() {
            return None;
        }
        let pointer = self.pointer as usize;
        Some(Userdata::new(pointer, Some(Box::new(move |_| drop(self)))))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy.take() {
            let pointer = self.pointer;
            // SAFETY: the application gave the two together.
            quietly(|| run_callback(|| unsafe { destroy(pointer) }));
        }
    }
}
