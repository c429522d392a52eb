//! The engine: what its transports share.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use once_cell::sync::OnceCell;

use super::callback::{self, Pool, Settings};
use super::life::{Ending, Life};
use super::reactor::Reactor;
use super::sys::descriptor::{Level, Signal};
use super::sys::poller::{Interest, Poller};
use super::sys::process;
use super::sys::slot::Slot;
use super::waiter::{Waiter, lock};
use super::{Event, Timeout, Transport, Userdata};
use crate::error::{Error, Result, SystemFailure};
use crate::session::{Limit, Limits, RandomSource, SystemRandom};

#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// I/O threads; 0: everything happens inside calls.
    pub threads: u32,
    pub callback_threads: u32,
    /// Threads are named after it.
    pub thread_name: String,
    /// 0: the system's.
    pub stack_size: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { threads: 1, callback_threads: 8, thread_name: "nacre".to_owned(), stack_size: 0 }
    }
}

pub struct Engine {
    /// The process it belongs to.
    token: AtomicU64,
    options: EngineOptions,
    owners: AtomicUsize,
    pub(super) reactors: Vec<Arc<Reactor>>,
    /// The first of them.
    first: Arc<Reactor>,
    turn_of: AtomicUsize,
    pub(super) pool: Arc<Pool>,
    pub(super) life: Arc<Life>,
    closing: AtomicBool,
    /// Interruptions asked for, and those that a wait has returned.
    wakes: AtomicU64,
    wakes_seen: AtomicU64,
    ready: Mutex<Ready>,
    event_level: Level,
    /// The application takes events: then one that waits is a reason for `dispatch` to return.
    takes_events: AtomicBool,
    /// What `fd` gives: the poller of the only reactor, and the event descriptor.
    outer: OnceCell<Poller>,
    spare_signals: Mutex<Vec<Arc<Signal>>>,
    limits: Mutex<Limits>,
    /// Keys the delay of a server's failure replies.
    secret: [u8; 16],
    userdata: Mutex<Option<Userdata>>,
}

/// Transports whose events wait, in turn. A leaf lock.
#[derive(Default)]
struct Ready {
    queue: VecDeque<Weak<Transport>>,
    waiting: usize,
    /// How long the queue may grow before those that are gone are taken out of it.
    most: usize,
}

/// Nobody may ever take events, and then nobody takes transports out.
const FEWEST_SWEPT: usize = 64;

impl Ready {
    fn push(&mut self, transport: Weak<Transport>) {
        if self.queue.len() >= self.most.max(FEWEST_SWEPT) {
            self.queue.retain(|other| other.strong_count() > 0);
            self.most = 2 * self.queue.len();
        }
        self.queue.push_back(transport);
    }
}

pub(super) fn system(text: &str, error: &io::Error) -> Error {
    Error::Io(Box::new(SystemFailure { text: text.into(), errno: error.raw_os_error().unwrap_or(0), address: None }))
}

static DEFAULT: Slot<Engine> = Slot::empty();
const SPARE_SIGNALS: usize = 64;

impl Engine {
    /// The result has one owner: the caller.
    pub fn new(options: EngineOptions) -> Result<Arc<Self>> {
        if options.threads > 1_024 || options.callback_threads > 1_024 {
            return Err(Error::argument("an engine has at most 1,024 threads of each kind"));
        }
        let failed = |error: io::Error| system("cannot make an engine", &error);
        let life = Arc::new(Life::default());
        let first = Arc::new(Reactor::new(&life).map_err(failed)?);
        let mut reactors = vec![Arc::clone(&first)];
        for _ in 1..options.threads {
            reactors.push(Arc::new(Reactor::new(&life).map_err(failed)?));
        }
        let mut secret = [0; 16];
        SystemRandom::new().fill(&mut secret);
        let settings = Settings {
            threads: if options.threads == 0 { 0 } else { options.callback_threads.max(1) },
            name: options.thread_name.clone(),
            stack_size: options.stack_size,
        };
        let engine = Arc::new(Self {
            token: AtomicU64::new(process::token()),
            owners: AtomicUsize::new(1),
            turn_of: AtomicUsize::new(0),
            pool: Pool::new(settings, Arc::clone(&life)),
            closing: AtomicBool::new(false),
            wakes: AtomicU64::new(0),
            wakes_seen: AtomicU64::new(0),
            ready: Mutex::default(),
            event_level: Level::default(),
            takes_events: AtomicBool::new(false),
            outer: OnceCell::new(),
            spare_signals: Mutex::default(),
            limits: Mutex::new(Limits::default()),
            secret,
            userdata: Mutex::new(None),
            life,
            first,
            reactors,
            options,
        });
        engine.start_threads().map_err(failed)?;
        Ok(engine)
    }

    /// A thread keeps its reactor, not the engine: when the engine is gone it ends.
    fn start_threads(&self) -> io::Result<()> {
        if self.options.threads == 0 {
            return Ok(());
        }
        for (number, reactor) in self.reactors.iter().enumerate() {
            let reactor = Arc::clone(reactor);
            let name = format!("{}-io{number}", self.options.thread_name);
            self.life.spawn(&name, self.options.stack_size, move || reactor.run())?;
        }
        Ok(())
    }

    /// The process-wide engine, one I/O thread, made at first use (and anew in a forked child, and after its close).
    pub fn default_engine() -> Result<Arc<Self>> {
        loop {
            let known = match DEFAULT.get() {
                Some(engine) if engine.check().is_ok() && !engine.is_closing() => return Ok(engine),
                known => known,
            };
            let fresh = Self::new(EngineOptions::default())?;
            if DEFAULT.replace(known.as_ref(), Some(Arc::clone(&fresh))) {
                if let Some(foreign) = known.filter(|engine| engine.check().is_err()) {
                    // What another thread may have left half done is never touched again.
                    foreign.atfork();
                    std::mem::forget(foreign);
                }
                return Ok(fresh);
            }
        }
    }

    /// `close` of the default engine, where there is one. Afterwards nothing is left of it.
    pub fn close_default(timeout: Timeout) -> Result<()> {
        let Some(engine) = DEFAULT.get() else { return Ok(()) };
        if engine.check().is_err() {
            return Ok(());
        }
        engine.close(timeout)?;
        DEFAULT.replace(Some(&engine), None);
        Ok(())
    }

    /// `wake` of the default engine, where there is one; async-signal-safe too.
    pub fn wake_default() {
        DEFAULT.with(|engine| engine.map(Self::wake));
    }
    /// `atfork` of the default engine of the process before, where there was one.
    pub fn atfork_default() {
        DEFAULT.with(|engine| engine.filter(|engine| engine.check().is_err()).map(Self::atfork));
    }

    /// `Forked` in another process than its own: one load, before any lock.
    pub fn check(&self) -> Result<()> {
        if process::is_current(self.token.load(Ordering::Relaxed)) { Ok(()) } else { Err(Error::Forked) }
    }
    pub(super) fn is_threaded(&self) -> bool {
        self.options.threads > 0
    }
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
    pub(super) fn next_reactor(&self) -> Arc<Reactor> {
        let turn = self.turn_of.fetch_add(1, Ordering::Relaxed);
        let at = turn % self.reactors.len().max(1);
        Arc::clone(self.reactors.get(at).unwrap_or(&self.first))
    }

    /// `_ref`: one owner more.
    pub fn add_owner(&self) {
        self.owners.fetch_add(1, Ordering::Relaxed);
    }
    /// `_free`: one owner less. The threads end when the last handle of the engine is gone. In a forked child only
    /// descriptors are closed; what another thread may have left half done is never touched again.
    pub fn release(self: &Arc<Self>) {
        if self.check().is_err() {
            std::mem::forget(Arc::clone(self));
            self.atfork();
            return;
        }
        self.owners.fetch_sub(1, Ordering::Relaxed);
    }

    /// A wait begins: Interrupted when a wake has come that no wait returned yet. The result is for `still_waiting`.
    pub(super) fn begin_waiting(&self) -> Result<u64> {
        let wakes = self.wakes.load(Ordering::Acquire);
        if wakes == self.wakes_seen.load(Ordering::Acquire) { Ok(wakes) } else { self.interrupted() }
    }
    /// A wait goes on: Interrupted when a wake has come since it began.
    pub(super) fn still_waiting(&self, begun: u64) -> Result<()> {
        if self.wakes.load(Ordering::Acquire) == begun { Ok(()) } else { self.interrupted() }
    }
    fn interrupted<T>(&self) -> Result<T> {
        self.wakes_seen.fetch_max(self.wakes.load(Ordering::Acquire), Ordering::AcqRel);
        Err(Error::Interrupted)
    }
    /// Async-signal-safe: calls that wait return Interrupted; when none waits, the next one does.
    pub fn wake(&self) -> Result<()> {
        self.check()?;
        self.wakes.fetch_add(1, Ordering::AcqRel);
        for reactor in &self.reactors {
            reactor.wake.set();
        }
        Ok(())
    }

    /// A signal for a thread that is about to poll.
    pub(super) fn take_signal(&self) -> io::Result<Arc<Signal>> {
        match lock(&self.spare_signals).pop() {
            Some(signal) => Ok(signal),
            None => Ok(Arc::new(Signal::new()?)),
        }
    }
    pub(super) fn give_signal(&self, signal: Arc<Signal>) {
        let mut spare = lock(&self.spare_signals);
        if spare.len() < SPARE_SIGNALS {
            spare.push(signal);
        }
    }

    /// The events of a transport went from none to some or back. Called under its lock.
    pub(super) fn events_changed(&self, transport: &Arc<Transport>, some: bool) {
        let mut ready = lock(&self.ready);
        if some {
            ready.waiting += 1;
            if !transport.is_listed.swap(true, Ordering::AcqRel) {
                ready.push(Arc::downgrade(transport));
            }
        } else {
            ready.waiting -= 1;
        }
        self.event_level.update(ready.waiting > 0);
        if some && !self.is_threaded() && self.takes_events.load(Ordering::Acquire) {
            self.reactors.iter().for_each(|reactor| reactor.kick_others());
        }
    }
    /// A transport is given up: the list would keep its memory until somebody reads the engine's events.
    pub(super) fn unlist(&self, transport: &Arc<Transport>) {
        if transport.is_listed.swap(false, Ordering::AcqRel) {
            lock(&self.ready).queue.retain(|listed| !std::ptr::eq(listed.as_ptr(), Arc::as_ptr(transport)));
        }
    }
    pub(super) fn events_are_taken(&self) {
        self.takes_events.store(true, Ordering::Release);
    }
    fn events_wait(&self) -> bool {
        self.takes_events.load(Ordering::Acquire) && lock(&self.ready).waiting > 0
    }

    /// The next event of any transport, transports in turn; Again when there is none.
    pub fn next_event(&self) -> Result<Event> {
        self.check()?;
        self.events_are_taken();
        loop {
            let Some(next) = lock(&self.ready).queue.pop_front() else { return Err(Error::Again) };
            let Some(transport) = next.upgrade() else { continue };
            transport.is_listed.store(false, Ordering::Release);
            let (event, more) = transport.take_event();
            if more && !transport.is_listed.swap(true, Ordering::AcqRel) {
                lock(&self.ready).queue.push_back(next);
            }
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// threads == 0: one bounded round of what there is to do, waiting for it so long; Again when there was nothing.
    pub fn dispatch(&self, timeout: Timeout) -> Result<()> {
        self.check()?;
        if self.is_threaded() {
            return Err(Error::state("this engine has threads of its own: nothing is to be dispatched"));
        }
        if callback::inside() {
            return Err(Error::Again);
        }
        let reactor = &self.first;
        let begun = self.begin_waiting()?;
        let deadline = timeout.deadline(Instant::now());
        let waiter = Arc::new(Waiter::default());
        let result = loop {
            let mut until = if self.pool.is_idle() && !self.events_wait() { deadline } else { Some(Instant::now()) };
            if !timeout.may_wait() {
                until = Some(Instant::now());
            }
            let worked = reactor.step(&waiter, until).is_some_and(|turn| turn.worked);
            let called = self.pool.run_here();
            if let Err(interrupted) = self.still_waiting(begun) {
                break Err(interrupted);
            }
            if worked || called || self.events_wait() {
                break Ok(());
            }
            if reactor.is_stopped() {
                break Err(Error::closed("the engine is closed"));
            }
            if !timeout.may_wait() || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break Err(Error::Again);
            }
        };
        if !self.pool.is_idle() {
            reactor.kick.set();
        }
        reactor.pass_lead();
        result
    }

    /// threads == 0: does what there is to do now, without waiting.
    pub(super) fn drive_once(&self, waiter: &Arc<Waiter>) {
        if !self.is_threaded() {
            self.first.step(waiter, Some(Instant::now()));
            self.pool.run_here();
            if !self.pool.is_idle() {
                self.first.kick.set();
            }
            self.first.pass_lead();
        }
    }

    /// threads == 0 (else State): readable whenever dispatch has anything to do or `next_event` anything to give.
    pub fn fd(&self) -> Result<RawFd> {
        self.check()?;
        if self.is_threaded() {
            return Err(Error::state("this engine has threads of its own"));
        }
        let reactor = &self.first;
        let events = self.event_fd()?;
        let made = self.outer.get_or_try_init(|| {
            let outer = Poller::new()?;
            outer.add(reactor.poller.raw(), 0, Interest::READ)?;
            outer.add(events, 1, Interest::READ)?;
            Ok(outer)
        });
        made.map(Poller::raw).map_err(|error: io::Error| system("cannot make the engine's descriptor", &error))
    }
    /// Readable exactly while an event of any transport waits.
    pub fn event_fd(&self) -> Result<RawFd> {
        self.check()?;
        self.events_are_taken();
        let ready = lock(&self.ready);
        self.event_level.get(ready.waiting > 0).map_err(|error| system("cannot make an event descriptor", &error))
    }

    /// Closes what lives, orderly, and waits until the engine's threads are gone.
    pub fn close(&self, timeout: Timeout) -> Result<()> {
        self.check()?;
        self.closing.store(true, Ordering::Release);
        let deadline = if timeout.may_wait() { timeout.deadline(Instant::now()) } else { Some(Instant::now()) };
        for transport in self.reactors.iter().flat_map(|reactor| reactor.connections()) {
            transport.close()?;
        }
        while !self.is_threaded() && self.life.connections() > 0 {
            match self.dispatch(Timeout::until(deadline)) {
                Err(Error::Again) if deadline.is_none_or(|deadline| deadline > Instant::now()) => {}
                Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        self.wait_for_life(deadline, Ending::Connections)?;
        for reactor in &self.reactors {
            reactor.stop();
        }
        self.pool.stop();
        self.wait_for_life(deadline, Ending::Threads)?;
        self.life.join();
        Ok(())
    }
    fn wait_for_life(&self, deadline: Option<Instant>, ending: Ending) -> Result<()> {
        let begun = self.begin_waiting()?;
        let changed = || self.wakes.load(Ordering::Acquire) != begun;
        if self.life.wait(deadline, changed, ending) {
            return Ok(());
        }
        self.still_waiting(begun)?;
        Err(Error::Again)
    }

    /// In a forked child: closes descriptors, no more, and takes no lock. In its own process the connections are given
    /// up: another process goes on with them.
    pub fn atfork(&self) {
        if self.check().is_ok() {
            self.reactors.iter().flat_map(|reactor| reactor.connections()).for_each(|transport| transport.atfork());
            return;
        }
        for reactor in &self.reactors {
            reactor.close_descriptors();
        }
        self.event_level.close();
        if let Some(outer) = self.outer.get() {
            outer.close();
        }
        // Nobody holds this lock in a quiet parent; where somebody did, those few descriptors stay open.
        if let Ok(spare) = self.spare_signals.try_lock() {
            spare.iter().for_each(|signal| signal.close());
        }
    }

    /// In a forked child, threads == 0: goes on here, with descriptors of its own under the numbers known.
    pub fn adopt(&self) -> Result<()> {
        if self.check().is_ok() {
            return Err(Error::state("this process is the engine's own"));
        }
        if self.is_threaded() {
            return Err(Error::state("an engine with threads stays in its process"));
        }
        let reactor = &self.first;
        if !reactor.is_quiet()
            || self.ready.try_lock().is_err()
            || !self.pool.is_quiet()
            || self.spare_signals.try_lock().is_err()
            || !self.life.is_quiet()
        {
            return Err(Error::state("another thread was inside this engine at the fork"));
        }
        let connections = reactor.connections();
        if connections.iter().any(|transport| !transport.is_quiet()) {
            return Err(Error::state("another thread was inside a transport at the fork"));
        }
        let failed = |error: io::Error| system("cannot go on after the fork", &error);
        reactor.adopt().map_err(failed)?;
        self.event_level.renew().map_err(failed)?;
        lock(&self.spare_signals).clear();
        self.life.forget_threads();
        if let Some(outer) = self.outer.get() {
            outer.renew().map_err(failed)?;
            outer.add(reactor.poller.raw(), 0, Interest::READ).map_err(failed)?;
            let ready = lock(&self.ready);
            outer.add(self.event_level.get(ready.waiting > 0).map_err(failed)?, 1, Interest::READ).map_err(failed)?;
        }
        self.token.store(process::token(), Ordering::Release);
        for transport in connections {
            transport.adopt();
        }
        if !self.pool.is_idle() {
            reactor.kick.set();
        }
        Ok(())
    }

    /// Limits of transports made later.
    pub fn limit(&self, limit: Limit) -> Result<u64> {
        self.check()?;
        Ok(lock(&self.limits).get(limit))
    }
    pub fn set_limit(&self, limit: Limit, value: u64) -> Result<()> {
        self.check()?;
        lock(&self.limits).set(limit, value)
    }
    pub(super) fn secret(&self) -> [u8; 16] {
        self.secret
    }
    pub(super) fn limits(&self) -> Limits {
        lock(&self.limits).clone()
    }
    pub fn set_userdata(&self, userdata: Option<Userdata>) -> Result<()> {
        self.check()?;
        let old = std::mem::replace(&mut *lock(&self.userdata), userdata);
        drop(old);
        Ok(())
    }
    /// 0: none.
    pub fn userdata(&self) -> usize {
        if self.check().is_err() {
            return 0;
        }
        lock(&self.userdata).as_ref().map_or(0, |userdata| userdata.pointer)
    }
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for reactor in &self.reactors {
            reactor.stop();
        }
        self.pool.stop();
    }
}
