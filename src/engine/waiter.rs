//! One thread that waits, and how it is woken wherever it waits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::OperationId;
use super::sys::descriptor::Signal;
use crate::session::ChannelId;

/// What a wait on a connection is for: it is woken when this changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concern {
    Channel(ChannelId),
    Operation(OperationId),
    Accept,
    Flush,
}

/// Locks what only this library locks. A panic under such a lock leaves nothing half done that matters.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
pub(super) struct Waiter {
    inner: Mutex<Inner>,
    woken: Condvar,
}

#[derive(Default)]
struct Inner {
    notified: bool,
    place: Place,
}

#[derive(Default)]
enum Place {
    /// Running: it looks at what it waits for before it sleeps.
    #[default]
    Awake,
    Asleep,
    /// In a system call that this signal ends.
    Polling(Arc<Signal>),
}

impl Waiter {
    pub fn notify(&self) {
        let mut inner = lock(&self.inner);
        if inner.notified {
            return;
        }
        inner.notified = true;
        match &inner.place {
            Place::Awake => {}
            Place::Asleep => self.woken.notify_one(),
            Place::Polling(signal) => signal.set(),
        }
    }

    /// Sleeps until notified (also before it slept) or the deadline.
    pub fn sleep(&self, deadline: Option<Instant>) {
        let mut inner = lock(&self.inner);
        inner.place = Place::Asleep;
        while !inner.notified {
            let Some(deadline) = deadline else {
                inner = self.woken.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner = self.woken.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.notified = false;
        inner.place = Place::Awake;
    }

    /// About to enter a system call that `signal` ends. False: it was notified already, so it must not.
    pub fn enter(&self, signal: &Arc<Signal>) -> bool {
        let mut inner = lock(&self.inner);
        if inner.notified {
            inner.notified = false;
            return false;
        }
        inner.place = Place::Polling(Arc::clone(signal));
        true
    }

    /// Out of the system call, but not done with what it brought.
    pub fn stop_polling(&self) {
        lock(&self.inner).place = Place::Awake;
    }

    /// Out of the system call; whether it was notified meanwhile (the signal may be set then).
    pub fn leave(&self) -> bool {
        let mut inner = lock(&self.inner);
        inner.place = Place::Awake;
        std::mem::take(&mut inner.notified)
    }
}
