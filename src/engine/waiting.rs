//! Waiting on a connection. In an engine with threads one waiting thread *leads*: it takes the stream out of the poller
//! and polls, reads and sends itself, so that a request and its answer cost no thread switch; others *follow*, asleep
//! until what they wait for changed or the lead is free. In an engine without threads the leader drives the whole engine.

use std::sync::Arc;
use std::time::Instant;

use super::pump::Received;
use super::state::{Locked, Phase};
use super::sys::poller::{self, Interest};
use super::waiter::{Concern, Waiter};
use super::{Timeout, Transport};
use crate::error::{Error, Result};
use crate::session::ChannelId;

/// What a wait is about: what wakes it, and the channel whose `wake` interrupts it.
#[derive(Clone, Copy)]
pub(super) struct Interests {
    pub concern: Concern,
    pub channel: Option<ChannelId>,
}

impl Interests {
    pub fn of(concern: Concern) -> Self {
        Self { concern, channel: None }
    }
    pub fn channel(id: ChannelId) -> Self {
        Self { concern: Concern::Channel(id), channel: Some(id) }
    }
}

/// The counts of interruptions when a wait began.
struct Begun {
    engine: u64,
    channel: u64,
}

impl Transport {
    /// Tries `attempt` under the lock until it gives a result; Again when the time is over (at once inside a callback).
    pub(super) fn wait_until<T>(
        self: &Arc<Self>,
        timeout: Timeout,
        about: Interests,
        attempt: impl FnMut(&mut Locked) -> Option<Result<T>>,
    ) -> Result<T> {
        self.engine().check()?;
        self.wait_on(self.lock(), timeout, about, attempt, |_, error| Err(error))
    }

    /// The same, from where the lock is held already. A wait that ends with nothing to show says so through `give_up`,
    /// still under the lock.
    pub(super) fn wait_on<'a, T>(
        self: &'a Arc<Self>,
        mut locked: Locked<'a>,
        timeout: Timeout,
        about: Interests,
        mut attempt: impl FnMut(&mut Locked) -> Option<Result<T>>,
        give_up: impl FnOnce(&mut Locked, Error) -> Result<T>,
    ) -> Result<T> {
        let first = attempt(&mut locked);
        locked.pump();
        // What the pump told may be what this call is about.
        if let Some(result) = first.or_else(|| attempt(&mut locked)) {
            return result;
        }
        if !timeout.may_wait() {
            return give_up(&mut locked, Error::Again);
        }
        let begun = match Begun::now(&mut locked, about.channel) {
            Ok(begun) => begun,
            Err(interrupted) => return give_up(&mut locked, interrupted),
        };
        let deadline = timeout.deadline(locked.now);
        let waiter = Arc::new(Waiter::default());
        locked.waiters.push((about.concern, Arc::clone(&waiter)));
        let wait = Wait { transport: self, waiter, about, begun, deadline };
        if self.engine().is_threaded() {
            wait.lead_or_follow(locked, &mut attempt, give_up)
        } else {
            wait.drive(locked, &mut attempt, give_up)
        }
    }
}

impl Begun {
    fn now(locked: &mut Locked, channel: Option<ChannelId>) -> Result<Self> {
        let engine = locked.transport.engine().begin_waiting()?;
        Ok(Self { engine, channel: locked.begin_waiting(channel)? })
    }
}

struct Wait<'a> {
    transport: &'a Arc<Transport>,
    waiter: Arc<Waiter>,
    about: Interests,
    begun: Begun,
    deadline: Option<Instant>,
}

impl<'a> Wait<'a> {
    /// Whether the wait is over with nothing to show.
    fn is_over(&self, locked: &mut Locked) -> Option<Error> {
        if let Err(interrupted) = self.transport.engine().still_waiting(self.begun.engine) {
            return Some(interrupted);
        }
        if locked.was_woken(self.about.channel, self.begun.channel) {
            return Some(Error::Interrupted);
        }
        if self.transport.reactor.is_stopped() {
            return Some(Error::closed("the engine is closed"));
        }
        self.deadline.filter(|deadline| *deadline <= locked.now).map(|_| Error::Again)
    }

    fn leave(&self, locked: &mut Locked) {
        locked.waiters.retain(|(_, other)| !Arc::ptr_eq(other, &self.waiter));
    }

    fn is_leader(&self, locked: &Locked) -> bool {
        locked.lead.leader.as_ref().is_some_and(|leader| Arc::ptr_eq(leader, &self.waiter))
    }

    fn lead_or_follow<T>(
        self,
        mut locked: Locked<'a>,
        attempt: &mut impl FnMut(&mut Locked) -> Option<Result<T>>,
        give_up: impl FnOnce(&mut Locked, Error) -> Result<T>,
    ) -> Result<T> {
        let mut untried = true;
        let result = loop {
            if let Some(error) = self.is_over(&mut locked) {
                // Whatever came while the lock was free comes first.
                break attempt(&mut locked).unwrap_or_else(|| give_up(&mut locked, error));
            }
            let leads = locked.can_be_led() && (self.is_leader(&locked) || locked.lead.leader.is_none());
            if leads {
                if locked.lead.leader.is_none() {
                    locked.lead.leader = Some(Arc::clone(&self.waiter));
                    locked.lead.lease = None;
                }
                let try_first = (std::mem::take(&mut untried) && locked.stream.flows) || locked.stream.may_have_more;
                if try_first && locked.receive() == Received::Something {
                    locked.pump();
                    if let Some(result) = attempt(&mut locked) {
                        break result;
                    }
                    // It was for others: they have their turn at the lock.
                    locked = self.relock(locked);
                } else {
                    locked = self.poll(locked);
                    locked.pump();
                }
            } else {
                drop(locked);
                self.waiter.sleep(self.deadline);
                locked = self.transport.lock();
            }
            if let Some(result) = attempt(&mut locked) {
                break result;
            }
        };
        self.leave(&mut locked);
        self.give_up_lead(&mut locked);
        locked.pump();
        result
    }

    fn relock(&self, mut locked: Locked<'a>) -> Locked<'a> {
        if locked.stream.armed.is_some() {
            locked.arm(Interest::NONE);
        }
        drop(locked);
        self.transport.lock()
    }

    /// Waits for the stream, without the lock; then reads if there is something.
    fn poll(&self, mut locked: Locked<'a>) -> Locked<'a> {
        if matches!(locked.phase, Phase::Gone) {
            return locked;
        }
        if locked.stream.armed.is_some() {
            locked.arm(Interest::NONE);
        }
        let Ok(signal) = self.transport.engine().take_signal() else {
            // Without a descriptor to be woken by, the I/O thread has to do it.
            locked.lead.leader = None;
            locked.update_interest();
            drop(locked);
            self.waiter.sleep(self.deadline);
            return self.transport.lock();
        };
        let interest = locked.interest();
        let fd = self.transport.descriptor.raw();
        if !self.waiter.enter(&signal) {
            self.transport.engine().give_signal(signal);
            return locked;
        }
        locked.stream.polled = Some(interest);
        drop(locked);
        let ready = poller::poll_pair(fd, interest, signal.raw(), self.deadline);
        let mut locked = self.transport.lock();
        locked.stream.polled = None;
        if self.waiter.leave() {
            signal.clear();
        }
        self.transport.engine().give_signal(signal);
        if ready.unwrap_or(true) {
            locked.receive();
        }
        locked
    }

    /// To a waiting follower, else to the poller, though not at once.
    fn give_up_lead(&self, locked: &mut Locked) {
        if self.is_leader(locked) {
            locked.lead.leader = None;
            locked.begin_lease();
        }
        if locked.lead.leader.is_none()
            && !matches!(locked.phase, Phase::Gone)
            && let Some((_, next)) = locked.waiters.first()
        {
            next.notify();
        }
    }

    fn drive<T>(
        self,
        mut locked: Locked<'a>,
        attempt: &mut impl FnMut(&mut Locked) -> Option<Result<T>>,
        give_up: impl FnOnce(&mut Locked, Error) -> Result<T>,
    ) -> Result<T> {
        let engine = self.transport.engine();
        let reactor = &self.transport.reactor;
        let result = loop {
            if let Some(error) = self.is_over(&mut locked) {
                // Whatever came while the lock was free comes first.
                break attempt(&mut locked).unwrap_or_else(|| give_up(&mut locked, error));
            }
            drop(locked);
            let until = if engine.pool.is_idle() { self.deadline } else { Some(Instant::now()) };
            if reactor.step(&self.waiter, until).is_some() {
                engine.pool.run_here();
            }
            locked = self.transport.lock();
            if let Some(result) = attempt(&mut locked) {
                break result;
            }
        };
        self.leave(&mut locked);
        locked.pump();
        drop(locked);
        if !engine.pool.is_idle() {
            reactor.kick.set();
        }
        reactor.pass_lead();
        result
    }
}

impl Locked<'_> {
    /// Only a stream that is there can be polled by the caller.
    fn can_be_led(&self) -> bool {
        matches!(self.phase, Phase::Started) && self.transport.descriptor.is_open()
    }

    /// As for the engine: Interrupted when the channel was woken and no wait has returned that yet.
    fn begin_waiting(&mut self, channel: Option<ChannelId>) -> Result<u64> {
        let Some(entry) = channel.and_then(|id| self.channels.get_mut(&id)) else { return Ok(0) };
        if entry.wakes != entry.wakes_seen {
            entry.wakes_seen = entry.wakes;
            return Err(Error::Interrupted);
        }
        Ok(entry.wakes)
    }
    fn was_woken(&mut self, channel: Option<ChannelId>, begun: u64) -> bool {
        let Some(entry) = channel.and_then(|id| self.channels.get_mut(&id)) else { return false };
        if entry.wakes == begun {
            return false;
        }
        entry.wakes_seen = entry.wakes;
        true
    }
}
