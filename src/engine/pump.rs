//! What follows every change of a connection: its events are told, its output is sent, and whoever is concerned learns
//! of it. All of it under the connection's lock, and none of it waits.

use std::io;
use std::time::{Duration, Instant};

use super::core::system;
use super::event::{EventKind, Queued};
use super::state::{Locked, Phase};
use super::sys::poller::Interest;
use super::sys::socket;
use super::waiter::Concern;
use crate::error::Error;
use crate::session::Stream;

/// A read of so many bytes belongs to a transfer.
const FLOW: usize = 16 * 1024;
/// What is sent at most before others have their turn.
const SEND_BUDGET: usize = 4 << 20;
/// How often a stream that cannot be written to any more is still read: more than any kernel's buffer holds.
const LAST_READS: usize = 256;
/// How long an engine thread sends what a freed transport left.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// How long a stream stays with the calls that read it themselves: at first, and when they keep coming.
const LEASE: Duration = Duration::from_millis(1);
const LONGEST_LEASE: Duration = Duration::from_millis(4);
/// After so long without traffic a connection gives its buffers back.
const QUIET: Duration = Duration::from_millis(50);
/// A timer that fires too early by less is not worth a system call.
const SLACK: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_millis(10);

/// What came of one read.
#[derive(PartialEq, Eq)]
pub(super) enum Received {
    Nothing,
    Something,
}

impl Locked<'_> {
    /// After anything that may have changed something.
    pub fn pump(&mut self) {
        let mut budget = SEND_BUDGET;
        loop {
            let told = self.tell_events();
            let sent = self.send(&mut budget);
            if !told && !sent {
                break;
            }
        }
        self.look_for_room();
        self.settle_end();
        self.update_interest();
        self.schedule();
        self.tell_whether_events_wait();
        self.wake_concerned();
    }

    /// One read, and what is in it.
    pub fn receive(&mut self) -> Received {
        let now = self.now;
        let fd = self.transport.descriptor.raw();
        let state = &mut **self;
        let Some(session) = state.session.as_deref_mut() else { return Received::Nothing };
        if state.stream.ended || state.ended.is_some() || fd < 0 || !session.wants_input() {
            return Received::Nothing;
        }
        match socket::receive(fd, session.receive_buffer(), 1) {
            Ok((0, _)) => {
                state.stream.ended = true;
                state.stream.look_at = None;
                state.stream.may_have_more = false;
                session.end_of_stream(None, now);
            }
            Ok((count, full)) => {
                state.stream.may_have_more = full;
                state.stream.flows = count >= FLOW;
                state.stream.read_at = Some(now);
                if state.stream.look_at.is_none() {
                    state.stream.look_at = now.checked_add(QUIET);
                }
                session.received(now);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                state.stream.may_have_more = false;
                return Received::Nothing;
            }
            Err(error) => {
                state.stream.ended = true;
                state.stream.may_have_more = false;
                session.end_of_stream(Some(system("the connection failed", &error)), now);
            }
        }
        Received::Something
    }

    /// Sends what the kernel takes. Whether there may be more to tell or to send because of it.
    fn send(&mut self, budget: &mut usize) -> bool {
        let now = self.now;
        let fd = self.transport.descriptor.raw();
        let state = &mut **self;
        let Some(session) = state.session.as_deref_mut() else { return false };
        if state.stream.broken || fd < 0 || *budget == 0 {
            return false;
        }
        let output = session.output();
        if output.is_empty() {
            return false;
        }
        let length = output.len();
        match socket::send(fd, output) {
            Ok(count) => {
                state.stream.sent += count as u64;
                *budget = budget.saturating_sub(count);
                session.consume_output(count, now);
                // Others may keep the output from ever being empty.
                if count > 0 {
                    state.touch(Concern::Flush);
                }
                count == length
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                state.stream.broken = true;
                // What the peer said before it went away says more than the broken pipe.
                if let Some(session) = self.session.as_deref_mut() {
                    session.stop_answering(now);
                }
                for _ in 0..LAST_READS {
                    if self.receive() == Received::Nothing {
                        break;
                    }
                }
                let now = self.now;
                if let Some(session) = self.session.as_deref_mut() {
                    session.end_of_stream(Some(system("the connection failed", &error)), now);
                }
                true
            }
        }
    }

    /// What is queued in the session's output buffer and can still go out.
    pub fn output_length(&mut self) -> usize {
        if self.stream.broken {
            return 0;
        }
        self.session.as_deref_mut().map_or(0, |session| session.output().len())
    }

    /// Writes that took less than asked: is there room again?
    fn look_for_room(&mut self) {
        if self.short_writers.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.short_writers) {
            let state = &mut **self;
            let Some(entry) = state.channels.get_mut(&id) else { continue };
            let room = state.session.as_ref().is_some_and(|session| session.writable(id) > 0);
            let over = state.ended.is_some();
            if !room && !over {
                state.short_writers.push(id);
                continue;
            }
            let tell = entry.short_write && !entry.room_again;
            entry.room_again = true;
            if tell && !over {
                state.push_channel_event(EventKind::ChannelWritable, id);
            }
            self.touch_channel(id);
            self.refresh_levels(id);
        }
    }

    /// The session is over: once all is sent, or nobody waits for that any more, the stream is closed.
    fn settle_end(&mut self) {
        if self.ended.is_none() || matches!(self.phase, Phase::Gone) {
            return;
        }
        let now = self.now;
        if self.linger.is_none() {
            self.linger = now.checked_add(LINGER);
        }
        let over = self.linger.is_some_and(|linger| linger <= now);
        let unattended = self.released && !self.transport.engine().is_threaded();
        if self.output_length() > 0 && !over && !unattended && !self.peer_is_dead() {
            return;
        }
        if self.stream.polled.is_some() {
            // The number must stay what it is while another thread polls it.
            if let Some(leader) = &self.lead.leader {
                leader.notify();
            }
            return;
        }
        self.tear_down();
    }

    /// It said that it is gone, or gave no sign of life in time: what the kernel does not take now nobody will read.
    fn peer_is_dead(&self) -> bool {
        self.stream.ended || matches!(self.ended, Some(Error::Timeout(_) | Error::Io(_)))
    }

    fn tear_down(&mut self) {
        self.phase = Phase::Gone;
        let transport = self.transport;
        let fd = transport.descriptor.raw();
        if fd >= 0 {
            if self.stream.armed.take().is_some() {
                let _ = transport.reactor.poller.remove(fd);
            }
            if !self.stream.given_up {
                socket::finish(fd);
            }
            transport.descriptor.close();
        }
        self.stream.broken = true;
        self.lead.lease = None;
        self.touched_all = true;
        if let Some(held) = transport.reactor.remove(transport.key) {
            self.discard(held);
            transport.engine().life.connection_ended();
        }
    }

    pub fn interest(&mut self) -> Interest {
        match &self.phase {
            Phase::Dialing(dialing) if dialing.is_connecting() => Interest::WRITE,
            Phase::Dialing(_) | Phase::Connected | Phase::Gone => Interest::NONE,
            Phase::Started => {
                let readable = !self.stream.ended && self.ended.is_none();
                let wants = self.session.as_ref().is_some_and(|session| session.wants_input());
                Interest { read: readable && wants, write: self.output_length() > 0 }
            }
        }
    }

    /// Tells the poller, or whoever leads, what is waited for now.
    pub fn update_interest(&mut self) {
        let want = self.interest();
        if let Some(leader) = &self.lead.leader {
            if self.stream.polled.is_some_and(|polled| polled != want) {
                leader.notify();
            }
            return;
        }
        if self.lead.lease.is_some() {
            if !want.write {
                return;
            }
            self.lead.lease = None;
        }
        self.arm(want);
    }

    pub fn arm(&mut self, want: Interest) {
        let transport = self.transport;
        let fd = transport.descriptor.raw();
        if fd < 0 || self.stream.armed == Some(want) || (self.stream.armed.is_none() && want == Interest::NONE) {
            return;
        }
        let poller = &transport.reactor.poller;
        let result = match self.stream.armed {
            None => poller.add(fd, transport.key, want),
            Some(_) => poller.modify(fd, transport.key, want),
        };
        match result {
            Ok(()) => self.stream.armed = Some(want),
            Err(error) => {
                self.stream.broken = true;
                self.end(system("the connection cannot be polled", &error));
                self.settle_end();
            }
        }
    }

    /// The leader goes. The stream stays out of the poller for a moment: the next lead is likely to follow.
    pub fn begin_lease(&mut self) {
        if matches!(self.phase, Phase::Started) && self.stream.armed == Some(Interest::NONE) {
            let length = (self.lead.lease_length * 2).clamp(LEASE, LONGEST_LEASE);
            self.lead.lease_length = length;
            self.lead.lease = Instant::now().checked_add(length);
        }
    }

    /// Whoever waits for events wants the I/O thread to look at the stream at once.
    pub fn end_lease(&mut self) {
        if self.lead.lease.take().is_some() {
            self.lead.lease_length = Duration::ZERO;
            self.update_interest();
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Dialing(dialing) => dialing.next_time(),
            Phase::Connected => None,
            Phase::Gone => return None,
            Phase::Started => self.session.as_ref().and_then(|session| session.next_timeout()),
        };
        let linger = self.linger.filter(|_| self.ended.is_some());
        [phase, linger, self.lead.lease, self.stream.look_at].into_iter().flatten().min()
    }

    /// One entry with the reactor: the next time. It is left alone where it only fires a little early.
    fn schedule(&mut self) {
        let next = self.next_time();
        let keep = match (self.scheduled, next) {
            (None, None) => true,
            (Some(set), Some(next)) => {
                set <= next && (next - set < SLACK || set.saturating_duration_since(self.now) < SOON)
            }
            _ => false,
        };
        if !keep {
            self.transport.reactor.schedule(self.transport.key, self.scheduled, next);
            self.scheduled = next;
        }
    }

    /// A time that was scheduled has come.
    pub fn due(&mut self, at: Instant) {
        if self.scheduled != Some(at) {
            return;
        }
        self.scheduled = None;
        let now = self.now;
        if self.lead.lease.is_some_and(|lease| lease <= now) {
            self.lead.lease = None;
            self.lead.lease_length = Duration::ZERO;
        }
        if self.stream.look_at.is_some_and(|time| time <= now) {
            self.stream.look_at =
                self.stream.read_at.and_then(|read| read.checked_add(QUIET)).filter(|time| *time > now);
            if let (None, Some(session)) = (self.stream.look_at, self.session.as_deref_mut()) {
                session.release_idle_buffers();
            }
        }
        match &self.phase {
            Phase::Dialing(dialing) => {
                if dialing.next_time().is_some_and(|time| time <= now) {
                    self.dial_timed_out();
                }
            }
            Phase::Started => {
                if let Some(session) = self.session.as_deref_mut()
                    && session.next_timeout().is_some_and(|time| time <= now)
                {
                    session.timeout(now);
                }
            }
            Phase::Connected | Phase::Gone => {}
        }
        self.pump();
    }

    /// The poller says that the stream is ready.
    pub fn ready(&mut self, read: bool, _write: bool) {
        if matches!(self.phase, Phase::Dialing(_)) {
            self.dial_progressed();
        } else if self.lead.leader.is_none() && read {
            self.receive();
        }
        // Whatever can be sent is sent by every pump.
        self.pump();
    }

    fn tell_whether_events_wait(&mut self) {
        let some = !self.events.is_empty();
        if some != self.announced {
            self.announced = some;
            self.transport.event_level.update(some);
            self.transport.engine().events_changed(self.transport, some);
        }
    }

    fn wake_concerned(&mut self) {
        let state = &mut **self;
        if std::mem::take(&mut state.touched_all) {
            state.touched.clear();
            state.waiters.iter().for_each(|(_, waiter)| waiter.notify());
            return;
        }
        if state.touched.is_empty() {
            return;
        }
        for (_, waiter) in state.waiters.iter().filter(|(concern, _)| state.touched.contains(concern)) {
            waiter.notify();
        }
        state.touched.clear();
    }

    /// The event descriptors of one channel.
    pub fn refresh_levels(&mut self, id: crate::session::ChannelId) {
        let Some(entry) = self.channels.get(&id) else { return };
        let levels = &entry.handle.levels;
        if levels.read.is_made() {
            levels.read.update(self.is_readable(id, Stream::Data));
        }
        if levels.stderr.is_made() {
            levels.stderr.update(self.is_readable(id, Stream::Extended(1)));
        }
        if levels.write.is_made() {
            levels.write.update(entry.short_write && entry.room_again);
        }
        if levels.state.is_made() {
            levels.state.update(self.has_news(id));
        }
    }

    /// A fault of ours: nothing is done with this session any more.
    pub fn collapse(&mut self) {
        if let Some(session) = self.session.take() {
            self.discard(session);
        }
        self.stream.broken = true;
        self.end(Error::internal("a panic was caught; the connection is closed"));
        self.pump();
    }
}

/// Why a queued event can no longer be told, if so.
pub(super) fn concerns_channel(queued: &Queued, id: crate::session::ChannelId) -> bool {
    match queued {
        Queued::Channel(_, other) => *other == id,
        Queued::Question(_, ticket) => ticket.channel().is_some_and(|channel| channel.id() == id),
        _ => false,
    }
}
