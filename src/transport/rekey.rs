//! When the keys are renewed, and how long that may take (RFC 4253 section 9).

use super::SignatureRules;
use super::{RekeyLimits, Stage, Transport};
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

/// Sequence numbers have 32 bits: with any limits the keys are renewed long before these run out.
const MOST_PACKETS: u64 = 1 << 31;

/// By when the exchange under way must be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    None,
    /// Runs from when the time is told next.
    Unset,
    At(Instant),
}

impl Transport {
    /// Renews the keys now. Nothing is to be done while that is under way.
    pub fn rekey(&mut self, now: Instant) -> Result<()> {
        self.check_open()?;
        if self.stage != Stage::Connected || self.is_initial() {
            return Err(Error::state("keys are renewed only once the user is authenticated"));
        }
        self.now = now;
        if self.is_exchanging() {
            return Ok(());
        }
        let started = self.start_exchange();
        self.note_failure(started)
    }

    pub fn set_rekey_limits(&mut self, limits: RekeyLimits) {
        self.config.rekey = limits;
    }

    pub fn set_signature_rules(&mut self, rules: SignatureRules) {
        self.config.signature_rules = rules;
    }

    pub fn rekey_limits(&self) -> RekeyLimits {
        self.config.rekey
    }

    /// An exchange that is under way keeps its deadline, a packet that has begun its length. Both must be as a
    /// [`super::Config`] may have them.
    pub fn set_limits(&mut self, rekey_deadline: Duration, maximum_packet: u32) {
        self.config.rekey_deadline = rekey_deadline;
        self.config.maximum_packet = maximum_packet;
        self.reader.set_maximum(maximum_packet);
    }

    pub fn is_exchanging(&self) -> bool {
        !self.exchange.is_idle()
    }

    /// When [`Transport::timeout`] is to be called, if nothing else happens.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.check_open().ok()?;
        match self.deadline {
            Deadline::At(at) => Some(at),
            Deadline::Unset => Some(self.now),
            Deadline::None => self.renewal_time(),
        }
    }

    pub fn timeout(&mut self, now: Instant) -> Result<()> {
        self.check_open()?;
        self.now = now;
        let outcome = match self.deadline {
            Deadline::At(at) if now >= at => Err(Error::timeout("the peer did not finish a key exchange in time")),
            Deadline::Unset => {
                self.deadline = self.deadline_from_now();
                Ok(())
            }
            _ if self.renewal_time().is_some_and(|at| now >= at) => self.start_exchange(),
            _ => Ok(()),
        };
        self.note_failure(outcome)
    }

    pub(super) fn deadline_from_now(&self) -> Deadline {
        self.now.checked_add(self.config.rekey_deadline).map_or(Deadline::None, Deadline::At)
    }

    /// Whether these keys have protected as much as they should.
    pub(super) fn keys_are_worn(&self) -> bool {
        if self.stage != Stage::Connected || self.is_exchanging() {
            return false;
        }
        let limits = self.config.rekey;
        let most_bytes = if limits.bytes == 0 { u64::MAX } else { limits.bytes };
        let most_packets = if limits.packets == 0 { MOST_PACKETS } else { limits.packets.min(MOST_PACKETS) };
        self.writer.sealed_bytes >= most_bytes
            || self.reader.bytes >= most_bytes
            || self.writer.packets >= most_packets
            || self.reader.packets >= most_packets
    }

    fn renewal_time(&self) -> Option<Instant> {
        let applies = self.stage == Stage::Connected && !self.is_exchanging() && !self.config.rekey.interval.is_zero();
        self.keys_since.checked_add(self.config.rekey.interval).filter(|_| applies)
    }
}
