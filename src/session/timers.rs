//! The deadlines of a session, in one table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{ChannelId, QuestionId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Handshake,
    Login,
    Keepalive,
    Close,
    /// A question that the application of a server has not answered.
    Question(QuestionId),
    /// A channel of ours that the peer has not confirmed.
    Open(ChannelId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Starts or moves a timer.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.stop(timer);
        self.at.insert(timer, at);
        self.due.insert((at, timer));
    }

    /// Starts a timer that a limit of 0 milliseconds turns off.
    pub fn start(&mut self, timer: Timer, now: Instant, milliseconds: u64) {
        match duration(milliseconds) {
            Some(length) => self.set(timer, now + length),
            None => {
                self.stop(timer);
            }
        }
    }

    /// Gives the time at which it would have been due.
    pub fn stop(&mut self, timer: Timer) -> Option<Instant> {
        let at = self.at.remove(&timer)?;
        self.due.remove(&(at, timer));
        Some(at)
    }

    pub fn clear(&mut self) {
        self.due.clear();
        self.at.clear();
    }

    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest timer that is due.
    pub fn expired(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }
}

/// A longer limit is as good as none; the bound keeps sums of times far from overflow.
const LONGEST_MS: u64 = 1000 * 24 * 3600 * 1000;

/// The length of a time limit, or `None` where 0 turns it off.
pub(super) fn duration(milliseconds: u64) -> Option<Duration> {
    (milliseconds != 0).then(|| Duration::from_millis(milliseconds.min(LONGEST_MS)))
}
