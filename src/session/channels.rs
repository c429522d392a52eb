//! What is done with channels and requests, and what the connection room tells of them.

use std::time::Instant;

use super::questions::{Pending, Question};
use super::sink::{NoSink, Sink};
use super::{ChannelId, Exit, Life, RequestId, Session, SessionEvent, Stage, StderrMode, Stream, Timer};
use crate::connection::{Connection, ConnectionEvent};
use crate::error::{Error, OpenFailure, Result};
use crate::message;
use crate::transport::MessageSink;

pub use crate::connection::ChannelInfo;

/// What the application may put into one message. A longer one fits no packet: it is refused where it comes
/// in, for what fails on its way out ends the session.
const LONGEST_MESSAGE: usize = 200 << 10;

/// While so many bytes of messages wait for the end of a key exchange, the application adds none. The transport holds
/// more (`transport::Config::held_limit`): what the session itself has to say still fits.
const LONGEST_HELD: usize = 2 << 20;

fn check_length(length: usize) -> Result<()> {
    if length <= LONGEST_MESSAGE {
        return Ok(());
    }
    Err(Error::limit(format!("{length} bytes do not fit a message; {LONGEST_MESSAGE} do")))
}

impl Session {
    pub fn open_channel(
        &mut self,
        kind: &str,
        data: &[u8],
        window: Option<u32>,
        max_packet: Option<u32>,
        now: Instant,
    ) -> Result<ChannelId> {
        self.check_message(kind.len() + data.len())?;
        let (connection, mut sink) = self.connected()?;
        let channel = connection.open(kind, data, window, max_packet, &mut sink)?;
        self.timers.start(Timer::Open(channel), now, self.config.limits.open_ms);
        self.settle(now);
        Ok(channel)
    }

    /// `Again`: nothing is there yet. `Eof` only after the peer's EOF or CLOSE; after a lost connection, once
    /// all that was received is read, the error that ended it.
    pub fn read(&mut self, id: ChannelId, stream: Stream, out: &mut [u8], now: Instant) -> Result<usize> {
        let Stage::Connected(connection) = &mut self.stage else { return Err(self.no_channels()) };
        if let Life::Ended(error) = &self.life {
            let read = connection.read(id, stream, out, &mut NoSink);
            return if matches!(read, Err(Error::Again)) { Err(error.clone()) } else { read };
        }
        let mut sink = Sink { transport: &mut self.transport, failure: &mut self.failure };
        let read = connection.read(id, stream, out, &mut sink);
        self.settle_soon(now);
        read
    }

    /// Reads without taking.
    pub fn peek(&mut self, id: ChannelId, stream: Stream, out: &mut [u8]) -> Result<usize> {
        let Stage::Connected(connection) = &mut self.stage else { return Err(self.no_channels()) };
        match (connection.peek(id, stream, out), &self.life) {
            (Err(Error::Again), Life::Ended(error)) => Err(error.clone()),
            (peeked, _) => peeked,
        }
    }

    pub fn readable(&self, id: ChannelId, stream: Stream) -> usize {
        self.connection().map_or(0, |connection| connection.readable(id, stream))
    }

    /// How much was taken. 0: the channel is full; a `Writable` event follows when there is room.
    pub fn write(&mut self, id: ChannelId, stream: Stream, data: &[u8], now: Instant) -> Result<usize> {
        let (connection, mut sink) = self.connected()?;
        let written = connection.write(id, stream, data, &mut sink);
        self.settle_soon(now);
        written
    }

    pub fn writable(&self, id: ChannelId) -> usize {
        self.connection().map_or(0, |connection| connection.writable(id))
    }

    pub fn send_eof(&mut self, id: ChannelId, now: Instant) -> Result<()> {
        self.on_connection(now, |connection, sink| connection.send_eof(id, sink))
    }

    /// What is queued is sent first.
    pub fn close_channel(&mut self, id: ChannelId, now: Instant) -> Result<()> {
        self.on_connection(now, |connection, sink| connection.close(id, sink))
    }

    /// The last handle is gone: closes if need be; the channel is never reported again. Requests that were asked about
    /// can still be answered.
    pub fn forget_channel(&mut self, id: ChannelId, now: Instant) {
        self.timers.stop(Timer::Open(id));
        self.requests.abandon_channel(id);
        self.withdraw_open_question(id);
        let Stage::Connected(connection) = &mut self.stage else { return };
        // An error is one of the transport, which `settle` sees; or the channel was forgotten before.
        let _ = if matches!(self.life, Life::Ended(_)) {
            connection.forget(id, &mut NoSink)
        } else {
            connection.forget(id, &mut Sink { transport: &mut self.transport, failure: &mut self.failure })
        };
        self.resume(now);
    }

    /// Everything written to the channel is in the output buffer or beyond.
    pub fn flushed(&self, id: ChannelId) -> bool {
        self.connection().is_none_or(|connection| connection.flushed(id)) && !self.transport.is_exchanging()
    }

    pub fn set_stderr(&mut self, id: ChannelId, mode: StderrMode, now: Instant) -> Result<()> {
        self.on_connection(now, |connection, sink| connection.set_stderr(id, mode, sink))
    }

    /// EOF, exit status and CLOSE, in order, after what is queued.
    pub fn finish(&mut self, id: ChannelId, status: u32, now: Instant) -> Result<()> {
        self.finish_with(id, Exit::Status(status), now)
    }

    /// The same for a program that a signal may have ended.
    pub fn finish_with(&mut self, id: ChannelId, exit: Exit, now: Instant) -> Result<()> {
        if let Exit::Signal { name, message, .. } = &exit {
            self.check_message(name.len() + message.len())?;
        }
        self.on_connection(now, |connection, sink| connection.finish(id, exit, sink))
    }

    /// With `want_reply` false the id never comes back.
    pub fn channel_request(
        &mut self,
        id: ChannelId,
        name: &str,
        data: &[u8],
        want_reply: bool,
        now: Instant,
    ) -> Result<RequestId> {
        self.check_message(name.len() + data.len())?;
        let token = self.on_connection(now, |connection, sink| connection.request(id, name, data, want_reply, sink))?;
        Ok(match token {
            Some(token) => self.requests.add_channel(id, token),
            None => self.requests.next_id(),
        })
    }

    pub fn global_request(&mut self, name: &str, data: &[u8], want_reply: bool, now: Instant) -> Result<RequestId> {
        self.check_message(name.len() + data.len())?;
        let token =
            self.on_connection(now, |connection, sink| connection.global_request(name, data, want_reply, sink))?;
        Ok(match token {
            Some(token) => self.requests.add_global(token),
            None => self.requests.next_id(),
        })
    }

    pub fn exit(&self, id: ChannelId) -> Option<&Exit> {
        self.connection()?.exit(id)
    }

    pub fn channel_info(&self, id: ChannelId) -> Option<ChannelInfo> {
        self.connection()?.info(id)
    }

    /// Bytes that the peer passes over.
    pub fn send_ignore(&mut self, data: &[u8], now: Instant) -> Result<()> {
        self.check_running()?;
        self.check_message(data.len())?;
        if matches!(self.stage, Stage::Negotiating) {
            return Err(Error::state("the keys are not negotiated yet"));
        }
        let mut sink = Sink { transport: &mut self.transport, failure: &mut self.failure };
        let outcome = sink.send(&message!(Ignore { data: data }));
        self.settle(now);
        outcome
    }

    /// Whether a message with so many bytes of the application's can be taken now. What does not fit is refused here,
    /// with nothing changed.
    pub(super) fn check_message(&self, length: usize) -> Result<()> {
        check_length(length)?;
        if self.transport.held_length() + length <= LONGEST_HELD {
            return Ok(());
        }
        Err(Error::limit("too much waits for the end of a key exchange"))
    }

    fn connection(&self) -> Option<&Connection> {
        match &self.stage {
            Stage::Connected(connection) => Some(connection),
            _ => None,
        }
    }

    fn no_channels(&self) -> Error {
        match &self.life {
            Life::Ended(error) => error.clone(),
            _ => Error::state("the user is not authenticated"),
        }
    }

    fn connected(&mut self) -> Result<(&mut Connection, Sink<'_>)> {
        self.check_running()?;
        match &mut self.stage {
            Stage::Connected(connection) => {
                Ok((connection, Sink { transport: &mut self.transport, failure: &mut self.failure }))
            }
            _ => Err(Error::state("the user is not authenticated")),
        }
    }

    fn on_connection<T>(
        &mut self,
        now: Instant,
        verb: impl FnOnce(&mut Connection, &mut Sink<'_>) -> Result<T>,
    ) -> Result<T> {
        let (connection, mut sink) = self.connected()?;
        let outcome = verb(connection, &mut sink);
        self.settle(now);
        outcome
    }

    /// After reads and writes, which are many: only what cannot wait.
    fn settle_soon(&mut self, now: Instant) {
        let outcome = self.take_connection_events(now);
        self.note(outcome);
        if self.failure.is_some() {
            self.settle(now);
        }
    }

    /// An opening that the peer did not confirm in time; a late confirmation is undone.
    pub(super) fn give_up_open(&mut self, channel: ChannelId) {
        let error = Error::timeout("the peer did not confirm the channel in time");
        self.events.push_back(SessionEvent::OpenFailed { channel, error });
        self.abandon_requests(channel, &Error::closed("the channel was not opened"));
        if let Stage::Connected(connection) = &mut self.stage {
            // As in `forget_channel`.
            let _ =
                connection.forget(channel, &mut Sink { transport: &mut self.transport, failure: &mut self.failure });
        }
    }

    pub(super) fn close_all_channels(&mut self) -> Result<()> {
        match &mut self.stage {
            Stage::Connected(connection) => {
                connection.close_all(&mut Sink { transport: &mut self.transport, failure: &mut self.failure })
            }
            _ => Ok(()),
        }
    }

    /// What arrived before the end is told before it.
    pub(super) fn tell_last_channel_events(&mut self) {
        while let Some(event) = self.next_connection_event() {
            if let Some(event) = plain_event(event) {
                self.events.push_back(event);
            }
        }
    }

    fn next_connection_event(&mut self) -> Option<ConnectionEvent> {
        match &mut self.stage {
            Stage::Connected(connection) => connection.next_event(),
            _ => None,
        }
    }

    pub(super) fn take_connection_events(&mut self, now: Instant) -> Result<()> {
        while let Some(event) = self.next_connection_event() {
            self.take_connection_event(event, now)?;
        }
        Ok(())
    }

    fn take_connection_event(&mut self, event: ConnectionEvent, now: Instant) -> Result<()> {
        match event {
            ConnectionEvent::OpenRequested { id, kind, data } => self.ask_peer_wish(
                Pending::Open { channel: id },
                Question::ChannelOpen { channel: id, kind, data },
                now,
            ),
            ConnectionEvent::Request { id, token, request } => {
                let question = Question::ChannelRequest { channel: id, request, want_reply: token.is_some() };
                self.ask_peer_wish(Pending::Request { channel: id, token }, question, now)
            }
            ConnectionEvent::GlobalRequest { token, name, data } => {
                let question = Question::GlobalRequest { name, data, want_reply: token.is_some() };
                self.ask_peer_wish(Pending::Global { token }, question, now)
            }
            ConnectionEvent::RequestDone { id, token, success } => {
                if let Some(request) = self.requests.take_channel(id, token) {
                    let reply = if success { Ok(Vec::new()) } else { Err(denied()) };
                    self.events.push_back(SessionEvent::RequestDone { id: request, channel: Some(id), reply });
                }
                Ok(())
            }
            ConnectionEvent::GlobalDone { token, reply } => {
                if let Some(request) = self.requests.take_global(token) {
                    let reply = reply.map(|data| data.to_vec()).map_err(|()| denied());
                    self.events.push_back(SessionEvent::RequestDone { id: request, channel: None, reply });
                }
                Ok(())
            }
            event => {
                self.note_channel_change(&event);
                self.events.extend(plain_event(event));
                Ok(())
            }
        }
    }

    fn note_channel_change(&mut self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Opened { id, .. } => {
                self.timers.stop(Timer::Open(*id));
            }
            ConnectionEvent::OpenFailed { id, .. } => {
                self.timers.stop(Timer::Open(*id));
                self.abandon_requests(*id, &Error::closed("the channel was not opened"));
            }
            ConnectionEvent::Closed { id } => {
                self.timers.stop(Timer::Open(*id));
                self.abandon_requests(*id, &Error::closed("the channel was closed"));
                self.withdraw_channel_questions(*id);
            }
            _ => {}
        }
    }

    fn abandon_requests(&mut self, channel: ChannelId, error: &Error) {
        for id in self.requests.abandon_channel(channel) {
            self.events.push_back(SessionEvent::RequestDone { id, channel: Some(channel), reply: Err(error.clone()) });
        }
    }

    /// While the session ends nobody is asked any more.
    fn ask_peer_wish(&mut self, pending: Pending, question: Question, now: Instant) -> Result<()> {
        if matches!(self.life, Life::Running) {
            self.ask(pending, question, now);
            return Ok(());
        }
        self.refuse(pending, now)
    }
}

fn denied() -> Error {
    Error::RequestDenied("the peer refused the request".into())
}

/// The events that need nothing done here. Questions and replies have gone before.
fn plain_event(event: ConnectionEvent) -> Option<SessionEvent> {
    Some(match event {
        ConnectionEvent::Opened { id, .. } => SessionEvent::Opened { channel: id },
        ConnectionEvent::OpenFailed { id, code, description } => {
            let error = Error::ChannelRefused(Box::new(OpenFailure { code, description: description.into() }));
            SessionEvent::OpenFailed { channel: id, error }
        }
        ConnectionEvent::Readable { id, stream } => SessionEvent::Readable { channel: id, stream },
        ConnectionEvent::Writable { id } => SessionEvent::Writable { channel: id },
        ConnectionEvent::PeerEof { id } => SessionEvent::PeerEof { channel: id },
        ConnectionEvent::PeerClosed { id } => SessionEvent::PeerClosed { channel: id },
        ConnectionEvent::Closed { id } => SessionEvent::ChannelClosed { channel: id },
        ConnectionEvent::Exit { id } => SessionEvent::ChannelExit { channel: id },
        ConnectionEvent::StoppedReading { id } => SessionEvent::StoppedReading { channel: id },
        ConnectionEvent::OpenRequested { .. }
        | ConnectionEvent::Request { .. }
        | ConnectionEvent::RequestDone { .. }
        | ConnectionEvent::GlobalRequest { .. }
        | ConnectionEvent::GlobalDone { .. } => return None,
    })
}
