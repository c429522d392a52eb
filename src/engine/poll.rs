//! Waiting for several things at once, by their event descriptors.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use super::core::system;
use super::sys::poller;
use super::waiter::{Waiter, lock};
use super::{Channel, ChannelEvents, Engine, Timeout, Transport};
use crate::error::{Error, Result};

/// One thing to wait for.
pub enum PollItem<'a> {
    /// An event of any transport of the engine.
    Engine(&'a Arc<Engine>),
    /// An event of the transport.
    Transport(&'a Arc<Transport>),
    Channel(&'a Arc<Channel>, ChannelEvents),
}

impl PollItem<'_> {
    fn engine(&self) -> &Arc<Engine> {
        match self {
            Self::Engine(engine) => engine,
            Self::Transport(transport) => transport.engine(),
            Self::Channel(channel, _) => channel.transport().engine(),
        }
    }
    /// What is waited for comes through the engine's thread, at once.
    fn end_lease(&self) {
        match self {
            Self::Engine(_) => {}
            Self::Transport(transport) => transport.lock().end_lease(),
            Self::Channel(channel, _) => channel.transport().lock().end_lease(),
        }
    }
    fn fd(&self) -> Result<RawFd> {
        match self {
            Self::Engine(engine) => engine.event_fd(),
            Self::Transport(transport) => transport.event_fd(),
            Self::Channel(channel, what) => channel.event_fd(*what),
        }
    }
}

/// Which of the items are ready; Again when none is in time. Engines without threads are driven meanwhile.
pub fn poll(items: &[PollItem], timeout: Timeout) -> Result<Vec<bool>> {
    let deadline = timeout.deadline(Instant::now());
    let mut fds = items.iter().map(PollItem::fd).collect::<Result<Vec<_>>>()?;
    let failed = |error: std::io::Error| system("cannot poll", &error);
    let known = |ready: Vec<bool>| Some(ready).filter(|ready| ready.contains(&true));
    if let Some(ready) = known(poller::poll_readable(&fds, Some(Instant::now())).map_err(failed)?) {
        return Ok(ready);
    }
    if !timeout.may_wait() {
        return Err(Error::Again);
    }
    let mut engines: Vec<&Arc<Engine>> = Vec::new();
    for item in items {
        item.end_lease();
        if !engines.iter().any(|known| Arc::ptr_eq(known, item.engine())) {
            engines.push(item.engine());
        }
    }
    let mut begun = Vec::new();
    for engine in &engines {
        begun.push(engine.begin_waiting()?);
        if !engine.is_threaded() {
            fds.extend(engine.reactors.iter().map(|reactor| reactor.poller.raw()));
        }
    }
    let sleeper = Sleeper::new(&engines)?;
    fds.push(sleeper.signal);
    loop {
        let until = if engines.iter().all(|engine| engine.pool.is_idle() || engine.is_threaded()) {
            deadline
        } else {
            Some(Instant::now())
        };
        let mut ready = if sleeper.waiter.enter(&sleeper.shared) {
            let ready = poller::poll_readable(&fds, until);
            sleeper.waiter.leave();
            sleeper.shared.clear();
            ready.map_err(failed)?
        } else {
            Vec::new()
        };
        ready.truncate(items.len());
        if let Some(ready) = known(ready) {
            return Ok(ready);
        }
        for (engine, begun) in engines.iter().zip(&begun) {
            engine.drive_once(&sleeper.waiter);
            engine.still_waiting(*begun)?;
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let mut ready = poller::poll_readable(&fds, Some(Instant::now())).map_err(failed)?;
            ready.truncate(items.len());
            return known(ready).ok_or(Error::Again);
        }
    }
}

/// What `wake` of any of the engines ends.
struct Sleeper<'a> {
    engines: &'a [&'a Arc<Engine>],
    waiter: Arc<Waiter>,
    shared: Arc<super::sys::descriptor::Signal>,
    signal: RawFd,
}

impl<'a> Sleeper<'a> {
    fn new(engines: &'a [&'a Arc<Engine>]) -> Result<Self> {
        let signal = super::sys::descriptor::Signal::new().map_err(|error| system("cannot poll", &error))?;
        let sleeper = Self { engines, waiter: Arc::default(), signal: signal.raw(), shared: Arc::new(signal) };
        for reactor in sleeper.reactors() {
            lock(&reactor.sleepers).push(Arc::clone(&sleeper.waiter));
        }
        Ok(sleeper)
    }
    fn reactors(&self) -> impl Iterator<Item = &'a Arc<super::reactor::Reactor>> + use<'a> {
        self.engines.iter().filter_map(|engine| engine.reactors.first())
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        for reactor in self.reactors() {
            lock(&reactor.sleepers).retain(|other| !Arc::ptr_eq(other, &self.waiter));
        }
    }
}
