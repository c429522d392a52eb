//! Engines.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::{Handle, free, give, guarded, of, on_object, reference, share};
use super::event::{nacre_event, put_event};
use super::limit::{limit_of, nacre_limit};
use super::status::{nacre_status, status_of};
use super::structs::{public_struct, read_optional};
use super::text::{optional_text, set, wanted};
use super::userdata::Owned;
use crate::engine::{Engine, EngineOptions, Timeout};
use crate::error::Result;

/// What drives connections: with I/O threads of its own, or with none, inside your calls. NULL, where a function takes an
/// engine, is the default engine of the process: one I/O thread, made at first use.
pub struct nacre_engine {
    _private: [u8; 0],
}

impl Handle for nacre_engine {
    type Object = Engine;
    const NAME: &'static str = "engine";

    fn check(engine: &Arc<Engine>) -> Result<()> {
        engine.check()
    }
}

/// How an engine is made. Zero is the default of every member.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_engine_options {
    pub size: usize,
    /// I/O threads. 0: none; everything happens inside nacre_engine_dispatch and inside calls that wait.
    pub threads: u32,
    /// With I/O threads: how many callbacks may run at once at most; 0: 8.
    pub callback_threads: u32,
    /// What threads are named after; NULL: "nacre".
    pub thread_name: *const c_char,
    /// Bytes of stack of each thread; 0: the system's default.
    pub stack_size: usize,
}
public_struct!(nacre_engine_options, stack_size: usize);

/// The engine, or the default one for NULL.
pub unsafe fn engine_or_default(engine: *mut nacre_engine) -> Result<Arc<Engine>> {
    if engine.is_null() { Engine::default_engine() } else { unsafe { share(engine) } }
}

unsafe fn on_engine(engine: *mut nacre_engine, body: impl FnOnce(&Arc<Engine>) -> Result<()>) -> nacre_status {
    let checked = |engine: &Arc<Engine>| engine.check().and_then(|()| body(engine));
    unsafe { on_any_engine(engine, checked) }
}

/// Also on one of the process before fork().
unsafe fn on_any_engine(engine: *mut nacre_engine, body: impl FnOnce(&Arc<Engine>) -> Result<()>) -> nacre_status {
    let mut found = None;
    let status = guarded(|| {
        found = Some(unsafe { engine_or_default(engine) }?);
        Ok(())
    });
    match found {
        Some(engine) => on_object::<nacre_engine>(&engine, body),
        None => status,
    }
}

/// Makes an engine. `options` NULL: all defaults, so no threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_new(
    options: *const nacre_engine_options,
    engine: *mut *mut nacre_engine,
) -> nacre_status {
    unsafe {
        guarded(|| {
            set(engine, std::ptr::null_mut())?;
            let given = read_optional(options, "the options")?;
            let mut made = EngineOptions { threads: given.threads, ..EngineOptions::default() };
            if given.callback_threads != 0 {
                made.callback_threads = given.callback_threads;
            }
            if let Some(name) = optional_text(given.thread_name)? {
                made.thread_name = String::from_utf8_lossy(name).into_owned();
            }
            made.stack_size = given.stack_size;
            set(engine, give(Engine::new(made)?))
        })
    }
}

/// Adds an owner: one nacre_engine_free more is needed. Nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_ref(engine: *mut nacre_engine) -> nacre_status {
    if engine.is_null() {
        return guarded(|| Ok(()));
    }
    unsafe { reference(engine, |engine| engine.add_owner()) }
}

/// Gives the engine up. It lives on until its last transport is gone too; then its threads end by themselves. Joins no
/// thread, waits for nothing, may be called from a callback. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_free(engine: *mut nacre_engine) {
    unsafe { free(engine, |engine| engine.release()) };
}

/// Closes what is open, orderly, and waits until the engine's threads are gone. The handle has to be freed all the same;
/// of the default engine (NULL) nothing is left, and its next use makes another.
///
/// NACRE_ERR_AGAIN: the time ran out and the end goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_close(engine: *mut nacre_engine, timeout_ms: i32) -> nacre_status {
    if engine.is_null() {
        return guarded(|| Engine::close_default(Timeout::from_ms(timeout_ms)?));
    }
    unsafe { on_engine(engine, |engine| engine.close(Timeout::from_ms(timeout_ms)?)) }
}

/// Engines without threads: does one bounded round of what there is to do (sockets, timers, callbacks), after waiting
/// for it at most so long. Callbacks run on this thread.
///
/// NACRE_OK: something was done, or an event waits for nacre_engine_next_event. NACRE_ERR_AGAIN: neither.
/// NACRE_ERR_INTERRUPTED: nacre_engine_wake. NACRE_ERR_STATE: the engine has threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_dispatch(engine: *mut nacre_engine, timeout_ms: i32) -> nacre_status {
    unsafe { on_engine(engine, |engine| engine.dispatch(Timeout::from_ms(timeout_ms)?)) }
}

/// Engines without threads: a descriptor that is readable whenever nacre_engine_dispatch has something to do or
/// nacre_engine_next_event something to give. It belongs to the engine: poll it only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_fd(engine: *mut nacre_engine, fd: *mut i32) -> nacre_status {
    unsafe { on_engine(engine, |engine| set(wanted(fd, "the descriptor")?, engine.fd()?)) }
}

/// A descriptor that is readable exactly while an event of any transport waits. It belongs to the engine: poll it only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_event_fd(engine: *mut nacre_engine, fd: *mut i32) -> nacre_status {
    unsafe { on_engine(engine, |engine| set(wanted(fd, "the descriptor")?, engine.event_fd()?)) }
}

/// Takes the next event of any transport of the engine, transports in turn. NACRE_ERR_AGAIN: there is none.
///
/// `event->size` has to be set (NACRE_INIT). `message` and `ticket` in it are the caller's to free; transport and channel
/// are borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_next_event(engine: *mut nacre_engine, event: *mut nacre_event) -> nacre_status {
    unsafe { on_engine(engine, |engine| put_event(event, || engine.next_event())) }
}

/// Interrupts: calls of this engine that wait return NACRE_ERR_INTERRUPTED, and when none waits the next one does.
/// Operations stay under way. The one function that a signal handler may call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_wake(engine: *mut nacre_engine) -> nacre_status {
    if engine.is_null() {
        Engine::wake_default();
        return super::status::NACRE_OK;
    }
    // SAFETY: the caller owns the handle. No count is taken: giving it back might free, which a signal handler must not.
    match unsafe { (*engine.cast_const().cast::<Engine>()).wake() } {
        Ok(()) => super::status::NACRE_OK,
        Err(error) => status_of(&error),
    }
}

/// In a child after fork(): closes the engine's descriptors without sending anything, and leaves the parent's connections
/// alone. Takes no lock. NULL: the default engine, which is made anew at next use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_atfork(engine: *mut nacre_engine) {
    if engine.is_null() {
        super::boundary::quietly(Engine::atfork_default);
    } else {
        unsafe { of(engine, (), |engine| engine.atfork()) };
    }
}

/// In a child after fork(), engines without threads: goes on here with the engine's connections, which the parent must
/// not use any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_adopt(engine: *mut nacre_engine) -> nacre_status {
    unsafe { on_any_engine(engine, |engine| engine.adopt()) }
}

/// Sets a limit (NACRE_LIMIT_*) for transports that are made later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_set_limit(
    engine: *mut nacre_engine,
    which: nacre_limit,
    value: u64,
) -> nacre_status {
    unsafe { on_engine(engine, |engine| engine.set_limit(limit_of(which)?, value)) }
}

/// A limit that transports made later will have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_limit(
    engine: *mut nacre_engine,
    which: nacre_limit,
    value: *mut u64,
) -> nacre_status {
    unsafe { on_engine(engine, |engine| set(value, engine.limit(limit_of(which)?)?)) }
}

/// Keeps a pointer of yours on the engine. `destroy` (may be NULL) runs exactly once: when another takes its place, when
/// the engine is gone, or when this call fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_set_userdata(
    engine: *mut nacre_engine,
    userdata: *mut c_void,
    destroy: Option<unsafe extern "C" fn(userdata: *mut c_void)>,
) -> nacre_status {
    let owned = Owned::new(userdata, destroy);
    unsafe { on_engine(engine, |engine| engine.set_userdata(owned.into_userdata())) }
}

/// The pointer that nacre_engine_set_userdata keeps; NULL when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_engine_userdata(engine: *const nacre_engine) -> *mut c_void {
    unsafe { of(engine, std::ptr::null_mut(), |engine| engine.userdata() as *mut c_void) }
}
