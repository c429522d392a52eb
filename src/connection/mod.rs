//! The connection protocol (RFC 4254) of both roles, without input or output: channels, windows, requests
//! and global requests. Messages come in through [`Connection::receive`], go out through a
//! [`MessageSink`], and what the application must know comes out as [`ConnectionEvent`]s.
#![forbid(unsafe_code)]

mod channel;
mod ending;
mod forwards;
mod global;
mod incoming;
pub mod kinds;
mod open;
mod outgoing;
mod reading;
mod receive_queue;
mod replies;
pub mod requests;
mod send_queue;
mod types;
mod window;

pub use forwards::{ForwardVerb, ListenAt};
pub use replies::{GlobalToken, RequestToken};
pub use requests::ChannelRequest;
pub use types::{ChannelId, ChannelInfo, Config, ConnectionEvent, Exit, StderrMode, Stream};

use crate::error::{Error, Result};
use crate::wire::{MessageSink, table};
use bytes::Bytes;
use channel::{Channel, State};
use receive_queue::Slices;
use replies::AnswerQueue;
use std::collections::{HashMap, VecDeque};
use window::Budget;

/// Reason codes of CHANNEL_OPEN_FAILURE (RFC 4254 section 5.1).
pub mod open_failure {
    pub const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
    pub const CONNECT_FAILED: u32 = 2;
    pub const UNKNOWN_CHANNEL_TYPE: u32 = 3;
    pub const RESOURCE_SHORTAGE: u32 = 4;
}

/// All channels of one connection.
pub struct Connection {
    channels: HashMap<ChannelId, Box<Channel>>,
    next_id: ChannelId,
    shared: Shared,
    /// Our global requests that want a reply, oldest first, each with its place among all there were: replies carry
    /// no number.
    global_requests: VecDeque<(u64, GlobalToken)>,
    /// How many of them there were.
    global_requests_sent: u64,
    /// The peer's global requests, answered strictly in their order.
    global_questions: AnswerQueue<GlobalToken, std::result::Result<Vec<u8>, ()>>,
    no_more_sessions: bool,
}

/// What the channels of a connection have in common.
struct Shared {
    config: Config,
    events: VecDeque<ConnectionEvent>,
    /// Channels that have something to send, in turn; each stands here at most once.
    ready: VecDeque<ChannelId>,
    budget: Budget,
    slices: Slices,
    next_token: u64,
    /// Bytes of the peer's opens and requests that were neither answered nor taken.
    question_bytes: usize,
    /// Bytes of our requests on channels that are not confirmed yet.
    deferred_bytes: usize,
    /// Channels that exist on the wire.
    live: usize,
    /// The peer's opens that nobody answered yet.
    pending_opens: usize,
    /// Global request events that nobody took yet.
    undelivered_globals: usize,
    /// The one channel whose window may grow beyond half the connection's byte limit.
    widest: Option<ChannelId>,
}

impl Shared {
    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    fn hold_question(&mut self, size: usize) -> Result<()> {
        self.question_bytes += size;
        if self.question_bytes > self.config.max_question_bytes {
            return Err(Error::limit("the peer sent more requests than may wait for an answer"));
        }
        Ok(())
    }

    fn drop_question(&mut self, size: usize) {
        self.question_bytes = self.question_bytes.saturating_sub(size);
    }
}

impl Connection {
    pub fn new(config: Config) -> Self {
        let config = config.sane();
        Self {
            channels: HashMap::new(),
            next_id: 0,
            shared: Shared {
                budget: Budget::new(config.byte_limit),
                slices: Slices::default(),
                config,
                events: VecDeque::new(),
                ready: VecDeque::new(),
                next_token: 0,
                question_bytes: 0,
                deferred_bytes: 0,
                live: 0,
                pending_opens: 0,
                undelivered_globals: 0,
                widest: None,
            },
            global_requests: VecDeque::new(),
            global_requests_sent: 0,
            global_questions: AnswerQueue::default(),
            no_more_sessions: false,
        }
    }

    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Changes defaults and limits; what is open already keeps its window and packet size.
    pub fn set_config(&mut self, config: Config) {
        let config = config.sane();
        self.shared.budget.set_limit(config.byte_limit);
        self.shared.config = config;
    }

    /// Takes one message (80 to 82, 90 to 100) whose number the message table has let through.
    /// An error ends the connection.
    pub fn receive(&mut self, number: u8, payload: Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        match number {
            80 => self.receive_global_request(&payload, sink),
            81 => self.receive_global_success(&payload),
            82 => self.receive_global_failure(&payload),
            90 => self.receive_open(&payload, sink),
            91 => self.receive_open_confirmation(&payload, sink),
            92 => self.receive_open_failure(&payload),
            93 => self.receive_window_adjust(&payload),
            94 => self.receive_data(&payload, sink),
            95 => self.receive_extended_data(&payload, sink),
            96 => self.receive_eof(&payload),
            97 => self.receive_close(&payload, sink),
            98 => self.receive_request(&payload, sink),
            99 => self.receive_channel_success(&payload),
            100 => self.receive_channel_failure(&payload),
            _ => Err(Error::protocol(format!("{} is no message of the connection protocol", table::name(number)))),
        }
    }

    /// What happened since, in order. Events of channels that were forgotten meanwhile are left out.
    pub fn next_event(&mut self) -> Option<ConnectionEvent> {
        while let Some(event) = self.shared.events.pop_front() {
            if let ConnectionEvent::GlobalRequest { token, name, data } = &event {
                self.shared.undelivered_globals = self.shared.undelivered_globals.saturating_sub(1);
                if token.is_none() {
                    self.shared.drop_question(name.len() + data.len());
                }
                return Some(event);
            }
            let Some(id) = event.channel() else { return Some(event) };
            let Some(channel) = self.channels.get_mut(&id) else {
                if let ConnectionEvent::Request { token: None, request, .. } = &event {
                    self.shared.drop_question(request.size());
                }
                continue;
            };
            channel.event_taken(&event, &mut self.shared);
            if !channel.forgotten {
                return Some(event);
            }
        }
        None
    }

    pub fn info(&self, id: ChannelId) -> Option<ChannelInfo> {
        self.channels.get(&id).map(|channel| channel.info())
    }

    /// How the peer's program ended, when it has said so.
    pub fn exit(&self, id: ChannelId) -> Option<&Exit> {
        self.channels.get(&id)?.exit.as_ref()
    }

    /// How many channels exist on the wire, opening and closing ones included.
    pub fn live_channels(&self) -> usize {
        self.shared.live
    }

    /// Bytes of credit outstanding and of received data that nobody read, over all channels.
    pub fn bytes_held(&self) -> u64 {
        self.shared.budget.used()
    }

    fn channel(&mut self, id: ChannelId) -> Result<&mut Channel> {
        self.channels.get_mut(&id).map(Box::as_mut).ok_or_else(|| Error::state("there is no such channel"))
    }

    /// The channel and what it shares with the others, for a call of the application.
    fn both(&mut self, id: ChannelId) -> Result<(&mut Channel, &mut Shared)> {
        let channel = self.channels.get_mut(&id).ok_or_else(|| Error::state("there is no such channel"))?;
        Ok((channel, &mut self.shared))
    }

    /// The same for a message of the peer: the channel must be open on the wire.
    fn both_on_wire(&mut self, id: ChannelId, message: &str) -> Result<(&mut Channel, &mut Shared)> {
        match self.channels.get_mut(&id) {
            Some(channel) if matches!(channel.state, State::Open(_)) => Ok((channel, &mut self.shared)),
            _ => Err(Error::protocol(format!("{message} for channel {id}, which is not open"))),
        }
    }

    /// Whether the channel had its time. Paramiko still adjusts the window when its user reads what is left after both
    /// sides' CLOSE: RFC 4254 section 5.3 does not allow it, but the connection's other channels should live on.
    fn was_open(&self, id: ChannelId) -> bool {
        match self.channels.get(&id) {
            Some(channel) => channel.is_ended(),
            None => id < self.next_id,
        }
    }

    /// Takes a channel out of the table when neither the wire nor the application knows it any more.
    fn remove_if_done(&mut self, id: ChannelId) {
        let done = self.channels.get(&id).is_some_and(|channel| channel.forgotten && channel.is_ended());
        if done && let Some(mut channel) = self.channels.remove(&id) {
            channel.release_everything(&mut self.shared);
        }
    }
}

#[cfg(test)]
mod tests;
