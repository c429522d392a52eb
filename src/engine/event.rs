//! What happened, for the application to take.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Channel, OperationId, Ticket, Transport};
use crate::error::Error;
use crate::session::{ChannelId, QuestionId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Negotiated,
    AuthResult,
    /// Server.
    Authenticated,
    Banner,
    OperationDone,
    ChannelIncoming,
    ChannelReadable,
    ChannelWritable,
    ChannelExit,
    ChannelClosed,
    Question,
    HostKeys,
    /// The last.
    Disconnected,
}

/// The taker owns it. Transport and channel are those of the application's handles (or about to be, for
/// `ChannelIncoming`): whoever turns them into pointers lends these, nothing more.
pub struct Event {
    pub kind: EventKind,
    /// None: it went well.
    pub status: Option<Error>,
    /// 0: of no operation.
    pub op: OperationId,
    pub transport: Arc<Transport>,
    pub channel: Option<Arc<Channel>>,
    /// Bound port, exit status.
    pub value: u64,
    pub payload: Payload,
}

/// What an event carries beside numbers.
#[derive(Default)]
pub enum Payload {
    #[default]
    None,
    /// The data of a reply, or a banner.
    Message(Vec<u8>),
    /// A question, the taker's to answer: dropped unanswered it is rejected.
    Ticket(Arc<Ticket>),
}

/// An event that nobody has taken yet.
pub(super) enum Queued {
    /// What is told is in the table of operations.
    Operation(OperationId),
    Channel(EventKind, ChannelId),
    Authenticated,
    Banner(Vec<u8>),
    Question(QuestionId, Arc<Ticket>),
    Disconnected,
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    pub fn push(&mut self, queued: Queued) {
        self.waiting.push_back(queued);
    }
    pub fn pop(&mut self) -> Option<Queued> {
        self.waiting.pop_front()
    }
    /// Only the newest banner waits.
    pub fn push_banner(&mut self, text: Vec<u8>) {
        let known = self.waiting.iter_mut().find_map(|queued| match queued {
            Queued::Banner(known) => Some(known),
            _ => None,
        });
        match known {
            Some(known) => *known = text,
            None => self.push(Queued::Banner(text)),
        }
    }
    /// Takes out what `gone` says. The result is for dropping without a lock.
    pub fn remove(&mut self, gone: impl Fn(&Queued) -> bool) -> Vec<Queued> {
        let (out, stay): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|queued| gone(queued));
        self.waiting.extend(stay);
        out
    }
}
