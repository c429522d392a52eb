//! One connection: how it comes and goes.

mod access;
mod settings;
mod verbs;

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Instant;

pub use verbs::ConnectOptions;

use super::callback::{self, Lane};
use super::operation::Kind;
use super::reactor::Reactor;
use super::state::{Locked, Phase, State};
use super::sys::descriptor::{Descriptor, Level};
use super::sys::socket::{self, Unfit};
use super::waiter::{Concern, lock};
use super::waiting::Interests;
use super::{Channel, Engine, Notice, Started, Timeout, Userdata};
use crate::error::{Error, Result};
use crate::session::{Answer, PublicKey, QuestionId, Role, SessionConfig};

pub struct Transport {
    engine: Arc<Engine>,
    pub(super) reactor: Arc<Reactor>,
    pub(super) key: u64,
    owners: AtomicUsize,
    /// The stream. It leaves the poller before it is closed, except in a forked child.
    pub(super) descriptor: Descriptor,
    pub(super) event_level: Level,
    /// In the engine's list of transports whose events wait.
    pub(super) is_listed: AtomicBool,
    known_user: AtomicBool,
    pub(super) lane: Mutex<Lane>,
    state: Mutex<State>,
    userdata: Mutex<Option<Userdata>>,
}

impl Transport {
    /// Takes a connected stream socket over on success, else leaves it as it was.
    pub fn from_fd(engine: &Arc<Engine>, fd: RawFd) -> Result<Arc<Self>> {
        engine.check()?;
        if engine.is_closing() {
            return Err(Error::closed("the engine is closed"));
        }
        let descriptor = socket::take_over(fd).map_err(|unfit| match unfit {
            Unfit::NotOpen => Error::argument(format!("{fd} is no open descriptor")),
            Unfit::NotAStreamSocket => Error::unsupported("the descriptor is no connected stream socket"),
            Unfit::System(error) => super::core::system("the descriptor cannot be prepared", &error),
        })?;
        Self::make(engine, Phase::Connected, descriptor)
    }

    pub(super) fn make(engine: &Arc<Engine>, phase: Phase, descriptor: Descriptor) -> Result<Arc<Self>> {
        let mut config = SessionConfig::new(Role::Client);
        config.limits = engine.limits();
        let reactor = engine.next_reactor();
        let transport = Arc::new(Self {
            engine: Arc::clone(engine),
            key: reactor.new_key(),
            reactor,
            owners: AtomicUsize::new(1),
            descriptor,
            event_level: Level::default(),
            is_listed: AtomicBool::new(false),
            known_user: AtomicBool::new(false),
            lane: Mutex::default(),
            state: Mutex::new(State::new(phase, config)),
            userdata: Mutex::new(None),
        });
        engine.life.connection_begins();
        transport.reactor.insert(transport.key, Arc::clone(&transport));
        // Only now: `close` of the engine has either seen it in there or said so before.
        if engine.is_closing() {
            // Still the caller's.
            transport.descriptor.take();
            transport.release();
            return Err(Error::closed("the engine is closed"));
        }
        Ok(transport)
    }

    /// "host[:port]", "[v6]:port", bare v6; port 22. A transport comes with OK and with Again.
    pub fn dial(
        engine: &Arc<Engine>,
        address: &str,
        timeout: Timeout,
        want_op: bool,
    ) -> (Option<Arc<Self>>, Started<()>) {
        let transport = match Self::dial_begin(engine, address) {
            Ok(transport) => transport,
            Err(error) => return (None, Started::failed(error)),
        };
        let started = transport.operate(Kind::Dial, timeout, want_op, None, |locked, op| {
            // It may have been decided before there was an operation to tell.
            if let Some(error) = locked.ended.clone() {
                locked.finish(op, Err(error));
            } else if !matches!(locked.phase, Phase::Dialing(_)) {
                locked.finish(op, Ok(super::Reply::default()));
            }
            Ok(())
        });
        let started = started.map(drop);
        match started.result {
            Ok(()) | Err(Error::Again | Error::Interrupted) => (Some(transport), started),
            Err(_) => {
                transport.release();
                (None, started)
            }
        }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The connection's lock. Whoever comes after a panic under it finds the connection ended.
    pub(super) fn lock(self: &Arc<Self>) -> Locked<'_> {
        match self.state.lock() {
            Ok(guard) => Locked::new(self, guard),
            Err(poisoned) => {
                self.state.clear_poison();
                let mut locked = Locked::new(self, poisoned.into_inner());
                locked.collapse();
                locked
            }
        }
    }

    /// A panic was caught where this connection was worked on.
    pub(super) fn collapse(self: &Arc<Self>) {
        self.lock().collapse();
    }

    pub(super) fn due(self: &Arc<Self>, at: Instant) {
        self.lock().due(at);
    }
    pub(super) fn ready(self: &Arc<Self>, read: bool, write: bool) {
        self.lock().ready(read, write);
    }
    /// Every wait looks up: one of the interruptions has come.
    pub(super) fn notify_waiters(self: &Arc<Self>) {
        for (_, waiter) in &self.lock().waiters {
            waiter.notify();
        }
    }
    pub(super) fn user_is_known(&self) {
        self.known_user.store(true, Ordering::Release);
    }
    pub(super) fn is_known_user(&self) -> bool {
        self.known_user.load(Ordering::Acquire)
    }

    pub(super) fn answer(
        self: &Arc<Self>,
        id: QuestionId,
        answer: Answer,
        opens: Option<&Arc<Channel>>,
        keep: bool,
    ) -> Result<()> {
        let mut locked = self.lock();
        let result = locked.answer(id, answer, opens, keep);
        locked.pump();
        result
    }

    /// The host key of this question is right, the application says.
    pub(super) fn host_key_accepted(self: &Arc<Self>, id: QuestionId, key: &PublicKey) {
        let asker = {
            let locked = self.lock();
            locked.askers.host_key.clone().filter(|_| locked.open_questions.contains(&id))
        };
        if let Some(asker) = asker {
            asker.notify(self, &Notice::HostKeyAccepted(key.clone()));
        }
    }

    /// `_ref`: one owner more.
    pub fn add_owner(&self) {
        self.owners.fetch_add(1, Ordering::Relaxed);
    }

    /// `_free`: one owner less; the last one's closes, drops what waits for the application, and hands over what the
    /// kernel takes at once. In a forked child only descriptors are closed.
    pub fn release(self: &Arc<Self>) {
        if self.engine.check().is_err() {
            std::mem::forget(Arc::clone(self));
            self.close_descriptors();
            return;
        }
        if self.owners.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let unrun = callback::close_lane(&self.lane);
        let mut locked = self.lock();
        locked.released = true;
        locked.abandon();
        locked.pump();
        drop(locked);
        self.engine.unlist(self);
        drop(unrun);
    }

    /// Closes descriptors and sends nothing. In a forked child it takes no lock; in its own process the connection is
    /// over for this process (another goes on with it).
    pub fn atfork(self: &Arc<Self>) {
        if self.engine.check().is_err() {
            self.close_descriptors();
            return;
        }
        let mut locked = self.lock();
        locked.stream.broken = true;
        locked.stream.given_up = true;
        let fd = self.descriptor.raw();
        if locked.stream.armed.take().is_some() {
            let _ = self.reactor.poller.remove(fd);
        }
        if locked.stream.polled.is_none() {
            self.descriptor.close();
        }
        locked.closed = true;
        locked.end(Error::closed("the transport was given up at a fork"));
        locked.pump();
    }

    fn close_descriptors(&self) {
        self.descriptor.close();
        self.event_level.close();
        if let Ok(state) = self.state.try_lock() {
            for entry in state.channels.values() {
                entry.handle.levels.close();
            }
        }
    }

    /// Whether no other thread was in here at the fork.
    pub(super) fn is_quiet(&self) -> bool {
        !matches!(self.state.try_lock(), Err(TryLockError::WouldBlock)) && self.lane.try_lock().is_ok()
    }

    /// The engine goes on in this forked child: into its poller again, with event descriptors of its own.
    pub(super) fn adopt(self: &Arc<Self>) {
        let mut locked = self.lock();
        locked.waiters.clear();
        locked.stream.armed = None;
        let channels: Vec<_> = locked.channels.values().map(|entry| Arc::clone(&entry.handle)).collect();
        let renewed = self.event_level.renew().and_then(|()| channels.iter().try_for_each(|it| it.levels.renew()));
        if let Err(error) = renewed {
            locked.end(super::core::system("cannot go on after the fork", &error));
        }
        locked.discard(channels);
        locked.pump();
    }

    /// Orderly: what is queued is still sent. Waits in other threads end with Closed.
    pub fn close(self: &Arc<Self>) -> Result<()> {
        self.engine.check()?;
        let mut locked = self.lock();
        locked.close();
        locked.pump();
        Ok(())
    }

    /// DISCONNECT at once, with this reason.
    pub fn disconnect(self: &Arc<Self>, code: u32, text: &str) -> Result<()> {
        self.engine.check()?;
        let mut locked = self.lock();
        let now = locked.now;
        match locked.active() {
            Ok(session) => session.disconnect(code, text, now),
            Err(Error::State(_)) => locked.close(),
            Err(error) => return Err(error),
        }
        locked.pump();
        Ok(())
    }

    /// Waits until everything is with the kernel.
    pub fn flush(self: &Arc<Self>, timeout: Timeout) -> Result<()> {
        self.wait_until(timeout, Interests::of(Concern::Flush), |locked| {
            if locked.session.as_ref().is_none_or(|session| session.is_flushed())
                && locked.output_length() == 0
                && !locked.stream.broken
            {
                return Some(Ok(()));
            }
            if locked.stream.broken { Some(locked.flushed_at_the_end()) } else { None }
        })
    }

    pub fn set_userdata(&self, userdata: Option<Userdata>) -> Result<()> {
        self.engine.check()?;
        let old = std::mem::replace(&mut *lock(&self.userdata), userdata);
        drop(old);
        Ok(())
    }
    /// 0: none.
    pub fn userdata(&self) -> usize {
        if self.engine.check().is_err() {
            return 0;
        }
        lock(&self.userdata).as_ref().map_or(0, |userdata| userdata.pointer)
    }
}

impl Locked<'_> {
    /// The stream is closed: was everything sent before?
    fn flushed_at_the_end(&mut self) -> Result<()> {
        let unsent = self.session.as_deref().map_or(0, |session| session.output().len());
        match (&self.ended, unsent) {
            (Some(Error::Disconnected(_) | Error::Closed(_)), 0) => Ok(()),
            (Some(error), _) => Err(error.clone()),
            (None, _) => Err(Error::closed("the connection is gone")),
        }
    }

    pub(super) fn close(&mut self) {
        let now = self.now;
        if !std::mem::replace(&mut self.closed, true) {
            for op in self.operations.under_way() {
                self.finish(op, Err(Error::closed("the transport is closed")));
            }
            self.touched_all = true;
        }
        if self.ended.is_some() {
            return;
        }
        match self.session.as_deref_mut() {
            Some(session) => session.close(now),
            None => self.end(Error::closed("the transport is closed")),
        }
    }

    /// The last owner is gone: nothing is told any more, and nobody waits for an orderly end.
    fn abandon(&mut self) {
        let now = self.now;
        self.closed = true;
        for gone in self.events.remove(|_| true) {
            self.discard_event(gone);
        }
        for op in self.operations.under_way() {
            if let Some(operation) = self.operations.get(op) {
                operation.wanted = false;
            }
        }
        self.drop_askers();
        self.transport.event_level.close();
        if self.ended.is_none() {
            match self.session.as_deref_mut() {
                Some(session) => session.disconnect(11, "", now),
                None => self.end(Error::closed("the transport was freed")),
            }
        }
        self.tell_events();
        let unowned: Vec<_> =
            self.channels.iter().filter(|(_, entry)| !entry.handle.is_owned()).map(|(id, _)| *id).collect();
        for id in unowned {
            self.drop_entry(id);
        }
    }
}
