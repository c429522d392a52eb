//! Bytes and time in, bytes out: the loop that hands packets to their room and takes its events.

use std::time::Instant;

use bytes::BytesMut;
use zeroize::Zeroize;

use super::questions::{Pending, Question};
use super::sink::Sink;
use super::{Life, Session, SessionEvent, Stage, Timer};
use crate::error::{Error, Result};
use crate::transport::messages::{KexInit, Pong, ServiceRequest, UserauthRequest};
use crate::transport::{self, Packet, Role, TransportEvent, table};

/// While so many bytes of replies wait to be sent, received packets wait too: what they ask for would be added.
/// Only replies count: two sides that both have much to say must not wait for each other.
const REPLIES_BOUND: usize = 1 << 20;

/// The same before authentication: strangers hold little memory.
const STRANGERS_REPLIES_BOUND: usize = 64 << 10;

/// While the open questions hold so many bytes of the peer's, received packets wait. It is below what ends the
/// connection there (`connection::Config::max_question_bytes`) by more than a packet.
const QUESTIONS_BOUND: usize = 1 << 20;

impl Session {
    /// Where the driver appends what it read; then [`Session::received`].
    pub fn receive_buffer(&mut self) -> &mut BytesMut {
        self.transport.receive_buffer()
    }

    /// Processes what was appended. Never fails: a failure ends the session.
    pub fn received(&mut self, now: Instant) {
        self.keepalive.heard(now);
        self.process(now, self.replies_bound());
    }

    /// Appends a copy of the bytes and processes them.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        if !self.is_ended() {
            self.receive_buffer().extend_from_slice(bytes);
            self.received(now);
        }
    }

    pub fn output(&self) -> &[u8] {
        self.transport.output()
    }

    /// `count` bytes of the output were taken; queued channel data moves up, and input that waited goes on.
    pub fn consume_output(&mut self, count: usize, now: Instant) {
        self.transport.consume_output(count);
        self.replies = self.replies.min(self.transport.output_length());
        self.resume(now);
    }

    /// False: nothing more should be read now, because replies or questions have piled up, or because
    /// the session has ended.
    pub fn wants_input(&self) -> bool {
        !self.is_ended() && !self.blocked && self.takes_packets(self.replies_bound())
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        if self.is_ended() {
            return None;
        }
        let auth = match &self.stage {
            Stage::ServerAuth(auth) => auth.next_timeout(),
            _ => None,
        };
        [self.timers.next(), self.transport.next_timeout(), auth].into_iter().flatten().min()
    }

    pub fn timeout(&mut self, now: Instant) {
        if self.is_ended() {
            return;
        }
        let outcome = self.run_timers(now);
        self.note(outcome);
        self.resume(now);
    }

    pub fn release_idle_buffers(&mut self) {
        self.transport.release_idle_buffers();
    }

    fn run_timers(&mut self, now: Instant) -> Result<()> {
        while let Some(timer) = self.timers.expired(now) {
            self.expire(timer, now)?;
        }
        if self.transport.next_timeout().is_some_and(|at| at <= now) {
            self.transport.timeout(now)?;
        }
        match &mut self.stage {
            Stage::ServerAuth(auth) if auth.next_timeout().is_some_and(|at| at <= now) => {
                auth.timeout(now, &mut Sink { transport: &mut self.transport, failure: &mut self.failure })
            }
            _ => Ok(()),
        }
    }

    fn expire(&mut self, timer: Timer, now: Instant) -> Result<()> {
        match timer {
            Timer::Handshake => Err(Error::timeout("the first key exchange took too long")),
            Timer::Login => Err(Error::timeout("authentication took too long")),
            Timer::Keepalive => self.keep_alive(now),
            Timer::Close => {
                self.say_goodbye();
                Ok(())
            }
            Timer::Question(id) => self.decide_by_default(id, now),
            Timer::Open(channel) => {
                self.give_up_open(channel);
                Ok(())
            }
        }
    }

    fn replies_bound(&self) -> usize {
        match &self.stage {
            _ if matches!(self.life, Life::Lost) => usize::MAX,
            Stage::Connected(_) => REPLIES_BOUND,
            _ => STRANGERS_REPLIES_BOUND,
        }
    }

    fn takes_packets(&self, replies_bound: usize) -> bool {
        self.replies <= replies_bound && !self.waits_for_answers()
    }

    /// Received packets wait until the application has answered something.
    pub(super) fn waits_for_answers(&self) -> bool {
        self.questions.len() >= self.config.limits.requests as usize || self.questions.bytes() > QUESTIONS_BOUND
    }

    /// Something has changed that packets may have waited for.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.blocked {
            self.process(now, self.replies_bound());
        } else {
            self.settle(now);
        }
    }

    pub(super) fn process(&mut self, now: Instant, replies_bound: usize) {
        self.blocked = false;
        while !self.is_ended() {
            if !self.takes_packets(replies_bound) {
                self.blocked = true;
                break;
            }
            let before = self.transport.output_length();
            let more = self.process_packet(now);
            self.count_replies(before);
            if !more {
                break;
            }
        }
        self.settle(now);
    }

    /// False: more bytes are needed.
    fn process_packet(&mut self, now: Instant) -> bool {
        let outcome = match self.transport.next_packet(now) {
            Ok(Some(packet)) => self.take_packet(packet, now),
            Ok(None) => return false,
            Err(error) => Err(error),
        };
        self.note(outcome);
        true
    }

    /// What was added to the output since it was so long answers the peer.
    pub(super) fn count_replies(&mut self, before: usize) {
        self.replies += self.transport.output_length().saturating_sub(before);
    }

    fn take_packet(&mut self, packet: Packet, now: Instant) -> Result<()> {
        // What the transport did on the way to this packet comes first.
        self.take_transport_events(now)?;
        self.dispatch(packet, now)?;
        self.take_room_events(now)
    }

    fn dispatch(&mut self, packet: Packet, now: Instant) -> Result<()> {
        let Packet { number, mut payload } = packet;
        let mut sink = Sink { transport: &mut self.transport, failure: &mut self.failure };
        match &mut self.stage {
            Stage::ClientAuth(auth) => auth.receive(number, &payload, &mut sink),
            Stage::ServerAuth(auth) => {
                let outcome = auth.receive(number, &payload, now, &mut sink);
                // It may be a password, and the receive buffer lives on.
                payload.zeroize();
                outcome
            }
            // A sign of life, and nothing more.
            Stage::Connected(_) if number == Pong::NUMBER => Ok(()),
            Stage::Connected(connection) if number >= 80 => connection.receive(number, payload.freeze(), &mut sink),
            Stage::Negotiating | Stage::Keyed | Stage::Connected(_) => {
                let name = table::name(number);
                Err(Error::protocol(format!("the peer sent {name} ({number}) that nothing here waits for")))
            }
        }
    }

    /// Takes over what the rooms have to tell, and sends what there is room for.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.is_ended() {
            return;
        }
        let outcome = self.try_settle(now);
        self.note(outcome);
    }

    fn try_settle(&mut self, now: Instant) -> Result<()> {
        self.take_transport_events(now)?;
        self.take_room_events(now)?;
        self.apply_limits();
        if let Stage::Connected(connection) = &mut self.stage {
            connection.transmit(&mut Sink { transport: &mut self.transport, failure: &mut self.failure })?;
            self.take_room_events(now)?;
        }
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        if matches!(self.life, Life::Closing) && self.is_flushed() {
            self.say_goodbye();
        }
        Ok(())
    }

    pub(super) fn apply_limits(&mut self) {
        let Stage::Connected(connection) = &mut self.stage else { return };
        if std::mem::take(&mut self.limits_changed) {
            connection.set_config(self.config.connection());
        }
    }

    fn take_transport_events(&mut self, now: Instant) -> Result<()> {
        while let Some(event) = self.transport.next_event() {
            match event {
                TransportEvent::Negotiated => self.negotiated_first(now)?,
                TransportEvent::Rekeyed => self.events.push_back(SessionEvent::Rekeyed),
                TransportEvent::ExtInfo => self.update_extensions(),
                TransportEvent::Sign(wanted) => {
                    self.ask(Pending::HostSignature, Question::Sign(wanted), now);
                }
                TransportEvent::Disconnected { code, description } => {
                    return Err(Error::disconnected(code, description, true));
                }
                TransportEvent::Unimplemented { number: Some(number) } if self.cannot_do_without(number) => {
                    let name = table::name(number);
                    return Err(Error::protocol(format!("the peer does not understand {name}")));
                }
                TransportEvent::GlobalRequestUnimplemented { ordinal } => {
                    if let Stage::Connected(connection) = &mut self.stage {
                        connection.global_request_not_understood(ordinal);
                    }
                }
                TransportEvent::IdentificationReceived
                | TransportEvent::Unimplemented { .. }
                | TransportEvent::Debug { .. } => {}
            }
        }
        Ok(())
    }

    /// Whether waiting for an answer to this message of ours would only end at a deadline.
    fn cannot_do_without(&self, number: u8) -> bool {
        match number {
            KexInit::NUMBER => true,
            ServiceRequest::NUMBER | UserauthRequest::NUMBER => !self.is_authenticated(),
            _ => false,
        }
    }

    fn negotiated_first(&mut self, now: Instant) -> Result<()> {
        match self.config.role {
            Role::Client => {
                self.stage = Stage::Keyed;
                // The user may take any time to look at the key.
                self.timers.stop(Timer::Handshake);
                self.check_host_key(now)?;
                if !self.is_asking_about_host_key() {
                    self.accept_negotiation();
                }
            }
            Role::Server => {
                self.begin_server_auth(now)?;
                self.accept_negotiation();
            }
        }
        Ok(())
    }

    pub(super) fn accept_negotiation(&mut self) {
        self.timers.stop(Timer::Handshake);
        if !std::mem::replace(&mut self.told_negotiated, true) {
            self.events.push_back(SessionEvent::Negotiated);
        }
    }

    fn take_room_events(&mut self, now: Instant) -> Result<()> {
        match &self.stage {
            Stage::Negotiating | Stage::Keyed => {}
            Stage::ClientAuth(_) => self.take_client_events(now)?,
            Stage::ServerAuth(_) => self.take_server_events(now)?,
            Stage::Connected(_) => self.take_connection_events(now)?,
        }
        self.tell_stage();
        Ok(())
    }

    /// The transport's table of legal messages needs to know how far the rooms above are.
    fn tell_stage(&mut self) {
        let stage = match &self.stage {
            Stage::Negotiating | Stage::Keyed => transport::Stage::NoService,
            Stage::ClientAuth(auth) => auth_stage(auth.stage()),
            Stage::ServerAuth(auth) => auth_stage(auth.stage()),
            Stage::Connected(_) => transport::Stage::Connected,
        };
        self.transport.set_stage(stage);
    }

    /// An error of any room ends the session.
    pub(super) fn note(&mut self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.fail(error);
        }
    }
}

fn auth_stage(stage: crate::auth::Stage) -> transport::Stage {
    match stage {
        crate::auth::Stage::NoService => transport::Stage::NoService,
        crate::auth::Stage::Auth => transport::Stage::Auth,
        crate::auth::Stage::AuthAwaiting => transport::Stage::AuthAwaiting,
        crate::auth::Stage::Done => transport::Stage::Connected,
    }
}
