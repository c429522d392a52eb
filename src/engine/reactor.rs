//! One poller with its timer and its connections: driven by an I/O thread, or by the calls of an engine without threads.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::Transport;
use super::life::Life;
use super::sys::descriptor::Signal;
use super::sys::poller::{Interest, Poller, Readiness};
use super::sys::timer::Timer;
use super::waiter::{Waiter, lock};

const TIMER: u64 = 0;
const KICK: u64 = 1;
const WAKE: u64 = 2;
const FIRST_CONNECTION: u64 = 16;

thread_local! {
    /// The reactor that this thread drives just now, by its address.
    static DRIVEN: Cell<usize> = const { Cell::new(0) };
}

pub(super) struct Reactor {
    pub poller: Poller,
    timer: Timer,
    /// Ends the wait of whoever drives; set while callbacks are pending in an engine without threads.
    pub kick: Arc<Signal>,
    /// Set by `Engine::wake`, from signal handlers too.
    pub wake: Signal,
    timers: Mutex<Timers>,
    connections: Mutex<HashMap<u64, Arc<Transport>>>,
    next_key: AtomicU64,
    lead: Mutex<Lead>,
    ready: Mutex<Vec<Readiness>>,
    stopped: AtomicBool,
    /// Threads in `poll`.
    pub sleepers: Mutex<Vec<Arc<Waiter>>>,
    life: Arc<Life>,
}

/// At most one time a connection: its next.
#[derive(Default)]
struct Timers {
    times: BTreeSet<(Instant, u64)>,
    set: Option<Instant>,
}

/// Who drives an engine without threads.
#[derive(Default)]
struct Lead {
    taken: bool,
    followers: Vec<Arc<Waiter>>,
}

/// What one turn came to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Turn {
    /// Connections were ready or due.
    pub worked: bool,
}

impl Reactor {
    pub fn new(life: &Arc<Life>) -> io::Result<Self> {
        let reactor = Self {
            poller: Poller::new()?,
            timer: Timer::new()?,
            kick: Arc::new(Signal::new()?),
            wake: Signal::new()?,
            timers: Mutex::default(),
            connections: Mutex::default(),
            next_key: AtomicU64::new(FIRST_CONNECTION),
            lead: Mutex::default(),
            ready: Mutex::default(),
            stopped: AtomicBool::new(false),
            sleepers: Mutex::default(),
            life: Arc::clone(life),
        };
        reactor.add_own()?;
        Ok(reactor)
    }

    fn add_own(&self) -> io::Result<()> {
        self.poller.add(self.timer.raw(), TIMER, Interest::READ)?;
        self.poller.add(self.kick.raw(), KICK, Interest::READ)?;
        self.poller.add(self.wake.raw(), WAKE, Interest::READ)
    }

    pub fn new_key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }
    pub fn insert(&self, key: u64, transport: Arc<Transport>) {
        lock(&self.connections).insert(key, transport);
    }
    /// The caller drops what it gets where no lock is held.
    pub fn remove(&self, key: u64) -> Option<Arc<Transport>> {
        lock(&self.connections).remove(&key)
    }
    pub fn connections(&self) -> Vec<Arc<Transport>> {
        lock(&self.connections).values().cloned().collect()
    }
    fn connection(&self, key: u64) -> Option<Arc<Transport>> {
        lock(&self.connections).get(&key).cloned()
    }

    /// Replaces the one time of a connection. A leaf lock: connections call this under theirs.
    pub fn schedule(&self, key: u64, old: Option<Instant>, new: Option<Instant>) {
        let mut timers = lock(&self.timers);
        if let Some(old) = old {
            timers.times.remove(&(old, key));
        }
        if let Some(new) = new {
            timers.times.insert((new, key));
        }
        self.set_timer(&mut timers);
    }

    fn set_timer(&self, timers: &mut Timers) {
        let first = timers.times.first().map(|(at, _)| *at);
        if timers.set != first {
            timers.set = first;
            self.timer.set(first.map(|at| at.saturating_duration_since(Instant::now())));
        }
    }

    fn due(&self) -> Vec<(Instant, u64)> {
        let now = Instant::now();
        let mut timers = lock(&self.timers);
        self.timer.clear();
        timers.set = None;
        let mut due = Vec::new();
        while let Some(&first) = timers.times.first().filter(|(at, _)| *at <= now) {
            timers.times.pop_first();
            due.push(first);
        }
        self.set_timer(&mut timers);
        due
    }

    /// One bounded round: waits for something, at most until `deadline`, and lets each connection that is ready do its
    /// bounded work. Only one thread at a time is here.
    pub fn turn(&self, deadline: Option<Instant>, waiter: Option<&Waiter>) -> Turn {
        let mut ready = std::mem::take(&mut *lock(&self.ready));
        let mut turn = Turn::default();
        let waited = self.poller.wait(&mut ready, deadline);
        if let Some(waiter) = waiter {
            // From here on it needs no kick: what this turn does concerns it most of all.
            waiter.stop_polling();
        }
        if waited.is_err() {
            // Only possible when the descriptor is gone; whoever drives must not spin.
            self.stop();
            return turn;
        }
        for readiness in &ready {
            match readiness.key {
                TIMER => {
                    for (at, key) in self.due() {
                        turn.worked = true;
                        if let Some(transport) = self.connection(key) {
                            guarded(&transport, || transport.due(at));
                        }
                    }
                }
                KICK => self.kick.clear(),
                WAKE => {
                    self.wake.clear();
                    self.interrupt();
                }
                key => {
                    turn.worked = true;
                    if let Some(transport) = self.connection(key) {
                        guarded(&transport, || transport.ready(readiness.read, readiness.write));
                    }
                }
            }
        }
        *lock(&self.ready) = ready;
        turn
    }

    /// Every wait on a connection of this reactor looks up.
    fn interrupt(&self) {
        self.life.notify();
        lock(&self.sleepers).iter().for_each(|sleeper| sleeper.notify());
        for transport in self.connections() {
            transport.notify_waiters();
        }
        for follower in lock(&self.lead).followers.iter() {
            follower.notify();
        }
    }

    /// The body of an I/O thread.
    pub fn run(&self) {
        while !self.is_stopped() {
            self.turn(None, None);
        }
    }
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.kick.set();
    }

    /// One step of a wait in an engine without threads: drives one turn when nobody does, else sleeps until this waiter
    /// is notified or the lead is free. None: it slept.
    pub fn step(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Option<Turn> {
        {
            let mut lead = lock(&self.lead);
            if lead.taken {
                lead.followers.push(Arc::clone(waiter));
                drop(lead);
                waiter.sleep(deadline);
                lock(&self.lead).followers.retain(|other| !Arc::ptr_eq(other, waiter));
                return None;
            }
            lead.taken = true;
        }
        let deadline = if waiter.enter(&self.kick) { deadline } else { Some(Instant::now()) };
        let outer = DRIVEN.replace(self.address());
        let turn = self.turn(deadline, Some(waiter));
        DRIVEN.set(outer);
        waiter.leave();
        lock(&self.lead).taken = false;
        self.pass_lead();
        Some(turn)
    }

    /// Ends the wait of whoever drives, unless that is this thread: after its turn it looks at everything anyway.
    pub fn kick_others(&self) {
        if DRIVEN.get() != self.address() {
            self.kick.set();
        }
    }
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whoever stops waiting sees to it that another who waits can drive.
    pub fn pass_lead(&self) {
        let mut lead = lock(&self.lead);
        if !lead.taken && !lead.followers.is_empty() {
            let next = lead.followers.remove(0);
            drop(lead);
            next.notify();
        }
    }

    /// Closes descriptors without a lock.
    pub fn close_descriptors(&self) {
        self.poller.close();
        self.timer.close();
        self.kick.close();
        self.wake.close();
    }

    /// In a forked child: descriptors of its own. The connections add themselves again.
    pub fn adopt(&self) -> io::Result<()> {
        self.poller.renew()?;
        self.timer.renew()?;
        self.kick.renew()?;
        self.wake.renew()?;
        self.add_own()?;
        let mut lead = lock(&self.lead);
        lead.taken = false;
        lead.followers.clear();
        drop(lead);
        let mut timers = lock(&self.timers);
        timers.set = None;
        self.set_timer(&mut timers);
        Ok(())
    }
    /// Whether no other thread was in here at the fork.
    pub fn is_quiet(&self) -> bool {
        self.lead.try_lock().is_ok_and(|lead| !lead.taken)
            && self.timers.try_lock().is_ok()
            && self.connections.try_lock().is_ok()
            && self.ready.try_lock().is_ok()
    }
    #[cfg(test)]
    pub fn next_time(&self) -> Option<Instant> {
        assert_eq!(self.timer.is_set(), lock(&self.timers).set.is_some());
        lock(&self.timers).set
    }
}

/// A fault of ours ends one connection, not the thread that serves them all.
fn guarded(transport: &Arc<Transport>, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        transport.collapse();
    }
}
