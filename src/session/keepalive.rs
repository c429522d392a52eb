//! Asking a silent peer for a sign of life. Anything received is one.

use std::time::Instant;

use super::sink::Sink;
use super::{Keepalive, Session, Stage, Timer};
use crate::error::{Error, Result};
use crate::message;
use crate::transport::MessageSink;

const REQUEST: &str = "keepalive@openssh.com";
/// While so much waits to be sent one question in it is enough.
const OUTPUT_BOUND: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct KeepaliveState {
    settings: Keepalive,
    last_heard: Instant,
    last_asked: Instant,
    unanswered: u32,
}

impl KeepaliveState {
    pub fn new(settings: Keepalive, now: Instant) -> Self {
        Self { settings, last_heard: now, last_asked: now, unanswered: 0 }
    }

    pub fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.unanswered = 0;
    }

    /// When the next question is due. Moved by what is received, so that a busy connection pays nothing for it.
    fn due(&self) -> Option<Instant> {
        let interval = self.settings.interval.filter(|interval| !interval.is_zero())?;
        self.last_heard.max(self.last_asked).checked_add(interval)
    }
}

impl Session {
    pub fn set_keepalive(&mut self, keepalive: Keepalive, now: Instant) {
        self.config.keepalive = keepalive;
        self.keepalive = KeepaliveState::new(keepalive, now);
        self.start_keepalive();
    }

    pub fn keepalive(&self) -> Keepalive {
        self.config.keepalive
    }

    /// From authentication on.
    pub(super) fn start_keepalive(&mut self) {
        self.timers.stop(Timer::Keepalive);
        let runs = self.is_authenticated() && self.check_running().is_ok();
        if let Some(due) = self.keepalive.due().filter(|_| runs) {
            self.timers.set(Timer::Keepalive, due);
        }
    }

    pub(super) fn begin_keepalive(&mut self, now: Instant) {
        self.keepalive.heard(now);
        self.start_keepalive();
    }

    /// The timer ran out: the peer may have spoken since it was set.
    pub(super) fn keep_alive(&mut self, now: Instant) -> Result<()> {
        if self.keepalive.due().is_none_or(|due| due > now) {
            self.start_keepalive();
            return Ok(());
        }
        if self.waits_for_answers() {
            // It is this side that does not listen.
            self.keepalive.last_asked = now;
            self.start_keepalive();
            return Ok(());
        }
        let most = self.keepalive.settings.max_unanswered;
        if most != 0 && self.keepalive.unanswered >= most {
            return Err(Error::timeout(format!("the peer did not answer {most} keepalive messages")));
        }
        self.ask_for_life()?;
        self.keepalive.unanswered = self.keepalive.unanswered.saturating_add(1);
        self.keepalive.last_asked = now;
        self.start_keepalive();
        Ok(())
    }

    fn ask_for_life(&mut self) -> Result<()> {
        // A key exchange has its own deadline, and would only hold the question back.
        let asked_already = self.keepalive.unanswered > 0 && self.transport.output_length() > OUTPUT_BOUND;
        if self.transport.is_exchanging() || asked_already {
            return Ok(());
        }
        let mut sink = Sink { transport: &mut self.transport, failure: &mut self.failure };
        let Stage::Connected(connection) = &mut self.stage else { return Ok(()) };
        match connection.global_request(REQUEST, &[], true, &mut sink) {
            Ok(Some(token)) => self.requests.add_keepalive(token),
            Ok(None) => {}
            // The peer never answers: keep the path open without counting on it.
            Err(Error::Limit(_)) => sink.send(&message!(Ignore { data: b"" }))?,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
