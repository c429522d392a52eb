//! The one way in: handles to objects, panics and errors to statuses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::status::{NACRE_ERR_INTERNAL, NACRE_OK, nacre_status, status_of};
use crate::error::{Error, Result};

/// An opaque C type: its pointer is that of an `Arc` of the object behind it.
pub trait Handle: Sized {
    type Object;
    /// For "NULL is no …".
    const NAME: &'static str;

    /// Forked when the object belongs to the process before fork(). Looked at before anything else, so without a lock.
    fn check(_object: &Arc<Self::Object>) -> Result<()> {
        Ok(())
    }
    /// A call on this object panicked: what it belongs to cannot be trusted any more.
    fn panicked(_object: &Arc<Self::Object>) {}
    /// A call on this object failed before the object itself knew.
    fn failed(_object: &Arc<Self::Object>, _error: &Error) {}
}

/// Gives the application a handle: one count of the `Arc` becomes its own.
pub fn give<H: Handle>(object: Arc<H::Object>) -> *mut H {
    Arc::into_raw(object).cast_mut().cast()
}

/// Lends a pointer that is as good as the object's other owners.
pub fn lend<H: Handle>(object: &Arc<H::Object>) -> *mut H {
    Arc::as_ptr(object).cast_mut().cast()
}

/// The object behind a handle, held until the result goes.
pub unsafe fn share<H: Handle>(handle: *const H) -> Result<Arc<H::Object>> {
    if handle.is_null() {
        return Err(Error::argument(format!("NULL is no {}", H::NAME)));
    }
    let object = handle.cast::<H::Object>();
    // SAFETY: a handle came from `give` or `lend` and is still owned; the count keeps the object through this call.
    unsafe {
        Arc::increment_strong_count(object);
        Ok(Arc::from_raw(object))
    }
}

pub unsafe fn share_optional<H: Handle>(handle: *const H) -> Result<Option<Arc<H::Object>>> {
    if handle.is_null() { Ok(None) } else { unsafe { share(handle).map(Some) } }
}

/// A call that is on no handle.
pub fn guarded(body: impl FnOnce() -> Result<()>) -> nacre_status {
    match caught(body) {
        Ok(()) => NACRE_OK,
        Err(error) => status_of(&error),
    }
}

/// A call on a handle. A panic ends what the handle belongs to.
pub unsafe fn on<H: Handle>(handle: *const H, body: impl FnOnce(&Arc<H::Object>) -> Result<()>) -> nacre_status {
    // SAFETY: as for the exported function.
    match caught(|| unsafe { share(handle) }.and_then(|object| H::check(&object).map(|()| object))) {
        Ok(object) => on_object::<H>(&object, body),
        Err(error) => status_of(&error),
    }
}

pub fn on_object<H: Handle>(object: &Arc<H::Object>, body: impl FnOnce(&Arc<H::Object>) -> Result<()>) -> nacre_status {
    match catch_unwind(AssertUnwindSafe(|| body(object))) {
        Ok(Ok(())) => NACRE_OK,
        Ok(Err(error)) => {
            if is_of_the_call(&error) {
                quietly(|| H::failed(object, &error));
            }
            status_of(&error)
        }
        Err(_) => {
            quietly(|| H::panicked(object));
            NACRE_ERR_INTERNAL
        }
    }
}

/// What the object itself may never have seen.
fn is_of_the_call(error: &Error) -> bool {
    matches!(
        error,
        Error::Argument(_)
            | Error::Algorithm(_)
            | Error::State(_)
            | Error::Unsupported(_)
            | Error::Limit(_)
            | Error::Io(_)
    )
}

/// The application gives one count of the `Arc` back; NULL is nothing.
pub unsafe fn free<H: Handle>(handle: *mut H, last: impl FnOnce(&Arc<H::Object>)) {
    if handle.is_null() {
        return;
    }
    // SAFETY: this count is the one that the application holds.
    let object = unsafe { Arc::from_raw(handle.cast_const().cast::<H::Object>()) };
    quietly(move || {
        last(&object);
        drop(object);
    });
}

/// One count of the `Arc` more for the application.
pub unsafe fn reference<H: Handle>(handle: *mut H, count: impl FnOnce(&Arc<H::Object>)) -> nacre_status {
    // SAFETY: as for the exported function.
    unsafe {
        on(handle, |object| {
            count(object);
            give::<H>(Arc::clone(object));
            Ok(())
        })
    }
}

/// For what can neither fail nor be told that it did.
pub fn quietly(body: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(body));
}

/// A getter that cannot fail: `otherwise` for NULL and after a panic.
pub unsafe fn of<H: Handle, T>(handle: *const H, otherwise: T, body: impl FnOnce(&Arc<H::Object>) -> T) -> T {
    // SAFETY: as for the exported function.
    let value = catch_unwind(AssertUnwindSafe(|| unsafe { share(handle) }.ok().map(|object| body(&object))));
    value.ok().flatten().unwrap_or(otherwise)
}

fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(Error::internal("a panic was caught")))
}
