//! What outlives an engine while its connections and threads end.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId, current};
use std::time::Instant;

use super::sys::thread;
use super::waiter::lock;

#[derive(Default)]
pub struct Life {
    counts: Mutex<Counts>,
    changed: Condvar,
    threads: Mutex<Threads>,
}

/// Each thread that ends joins the one that ended before it: one join is enough for whoever waits for all, and no more
/// than one that has ended keeps its stack.
#[derive(Default)]
struct Threads {
    running: Vec<JoinHandle<()>>,
    ended_last: Option<JoinHandle<()>>,
}

struct Running(Arc<Life>);

#[derive(Default, Clone, Copy)]
struct Counts {
    threads: usize,
    connections: usize,
}

/// What a wait is for: that none is left.
#[derive(Clone, Copy)]
pub enum Ending {
    Connections,
    Threads,
}

impl Life {
    /// A thread that counts until `body` and all that it owns are gone.
    pub fn spawn(
        self: &Arc<Self>,
        name: &str,
        stack_size: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let life = Arc::clone(self);
        let whole = move || {
            let _running = Running(life);
            body();
        };
        // Held until the thread is in the list, where it looks for itself when it ends.
        let mut threads = lock(&self.threads);
        self.change(|counts| counts.threads += 1);
        match thread::spawn(name, stack_size, whole) {
            Ok(thread) => threads.running.push(thread),
            Err(error) => {
                self.change(|counts| counts.threads -= 1);
                return Err(error);
            }
        }
        Ok(())
    }
    /// After all threads have counted themselves out: until the system knows them no more either. That takes no longer
    /// than a thread's last steps.
    pub fn join(&self) {
        let last = lock(&self.threads).ended_last.take();
        last.map(JoinHandle::join);
    }

    /// In a forked child: no thread holds one of the locks here.
    pub fn is_quiet(&self) -> bool {
        self.threads.try_lock().is_ok() && self.counts.try_lock().is_ok()
    }
    /// In a forked child: those that look up names stayed behind.
    pub fn forget_threads(&self) {
        std::mem::forget(std::mem::take(&mut *lock(&self.threads)));
        self.change(|counts| counts.threads = 0);
    }

    pub fn connection_begins(&self) {
        self.change(|counts| counts.connections += 1);
    }
    pub fn connection_ended(&self) {
        self.change(|counts| counts.connections -= 1);
    }
    pub fn connections(&self) -> usize {
        lock(&self.counts).connections
    }

    /// Whoever waits looks whether it was interrupted.
    pub fn notify(&self) {
        self.change(|_| ());
    }
    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
        self.changed.notify_all();
    }
    /// False: the deadline came first, or `interrupted` said so.
    pub fn wait(&self, deadline: Option<Instant>, interrupted: impl Fn() -> bool, ending: Ending) -> bool {
        let mut counts = lock(&self.counts);
        while counts.left(ending) > 0 {
            if interrupted() {
                return false;
            }
            counts = match deadline {
                None => self.changed.wait(counts).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.changed.wait_timeout(counts, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let before = lock(&self.0.threads).one_ends(current().id());
        // One that panicked is gone as well.
        before.map(JoinHandle::join);
        self.0.change(|counts| counts.threads -= 1);
    }
}

impl Threads {
    fn one_ends(&mut self, id: ThreadId) -> Option<JoinHandle<()>> {
        let place = self.running.iter().position(|running| running.thread().id() == id)?;
        self.ended_last.replace(self.running.swap_remove(place))
    }
}

impl Counts {
    fn left(&self, ending: Ending) -> usize {
        match ending {
            Ending::Connections => self.connections,
            Ending::Threads => self.threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn stays(list: &Threads) -> usize {
        list.running.len() + usize::from(list.ended_last.is_some())
    }

    #[test]
    fn threads_that_ended_leave_one_stack_and_then_none() {
        let life = Arc::new(Life::default());
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let ran = Arc::clone(&ran);
            life.spawn("test", 0, move || _ = ran.fetch_add(1, Ordering::Relaxed)).expect("a thread");
        }
        assert!(life.wait(None, || false, Ending::Threads));
        assert_eq!((ran.load(Ordering::Relaxed), stays(&lock(&life.threads))), (100, 1));
        life.join();
        assert_eq!(stays(&lock(&life.threads)), 0);
    }

    #[test]
    fn a_thread_that_panicked_has_ended_too() {
        let life = Arc::new(Life::default());
        life.spawn("test", 0, || std::panic::resume_unwind(Box::new(()))).expect("a thread");
        assert!(life.wait(None, || false, Ending::Threads));
        life.join();
    }

    #[test]
    fn a_thread_that_cannot_begin_does_not_count() {
        let life = Arc::new(Life::default());
        assert!(life.spawn("test", usize::MAX / 4, || ()).is_err());
        assert!(life.wait(None, || false, Ending::Threads));
    }
}
