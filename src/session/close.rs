//! Every way in which a session ends.

use std::time::Instant;

use super::{Life, Session, SessionEvent, Stage, Timer};
use crate::error::Error;

const BY_APPLICATION: u32 = 11;
/// How much of an error's text the peer is told.
const LONGEST_REASON: usize = 200;

impl Session {
    /// At once, after what is in the output buffer.
    pub fn disconnect(&mut self, code: u32, text: &str, now: Instant) {
        if self.is_ended() {
            return;
        }
        self.settle(now);
        self.fail(Error::disconnected(code, text, false));
    }

    /// Orderly: what the channels hold is still sent, for at most the close limit; then DISCONNECT 11.
    pub fn close(&mut self, now: Instant) {
        if !matches!(self.life, Life::Running) {
            return;
        }
        if !self.is_authenticated() {
            self.say_goodbye();
            return;
        }
        self.life = Life::Closing;
        self.timers.start(Timer::Close, now, self.config.limits.close_ms);
        self.timers.stop(Timer::Keepalive);
        let outcome = self.refuse_all_questions(now).and_then(|()| self.close_all_channels());
        self.note(outcome);
        self.settle(now);
    }

    /// The stream ended (`None`) or failed. Without a DISCONNECT before it this is never an orderly end.
    pub fn end_of_stream(&mut self, error: Option<Error>, now: Instant) {
        if self.is_ended() {
            return;
        }
        // What arrived before is still worth reading.
        self.process(now, usize::MAX);
        self.stop_answering(now);
        let error = error.unwrap_or_else(|| Error::closed("the peer closed the connection without a DISCONNECT"));
        self.end_with(error);
    }

    /// Answers do not reach the peer any more: what is asked is refused, so that nothing that arrived waits behind a
    /// question. The driver goes on with what it can still receive, and then says `end_of_stream`.
    pub fn stop_answering(&mut self, now: Instant) {
        if self.is_ended() || !self.is_authenticated() {
            return;
        }
        self.life = Life::Lost;
        let outcome = self.refuse_all_questions(now);
        self.note(outcome);
        self.process(now, usize::MAX);
    }

    /// Nothing is queued above the output buffer.
    pub fn is_flushed(&self) -> bool {
        match &self.stage {
            Stage::Connected(connection) => !self.transport.is_exchanging() && connection.all_flushed(),
            _ => true,
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        self.fail(Error::disconnected(BY_APPLICATION, "closed by the application", false));
    }

    /// Ends the session: the peer is told why, unless it said goodbye itself. Nothing is processed after it.
    pub(super) fn fail(&mut self, error: Error) {
        if self.is_ended() {
            return;
        }
        match &error {
            Error::Disconnected(disconnect) if disconnect.by_peer => {}
            Error::Disconnected(disconnect) => self.transport.disconnect(disconnect.code, &disconnect.description),
            Error::Internal(_) => self.transport.disconnect(error.disconnect_code(), "internal error"),
            _ => {
                let text: String = error.to_string().chars().take(LONGEST_REASON).collect();
                self.transport.disconnect(error.disconnect_code(), &text);
            }
        }
        self.end_with(error);
    }

    fn end_with(&mut self, error: Error) {
        if self.is_ended() {
            return;
        }
        self.life = Life::Ended(error.clone());
        self.timers.clear();
        self.blocked = false;
        self.transport.drop_input();
        self.tell_last_channel_events();
        self.withdraw_all_questions();
        self.events.push_back(SessionEvent::Ended(error));
    }
}
