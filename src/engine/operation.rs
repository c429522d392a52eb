//! What takes time and ends exactly once.

use std::collections::{HashMap, VecDeque};

use super::EventKind;
use crate::error::{Error, Result};
use crate::session::{ChannelId, ClientMethod};

/// Never 0, never reused on its transport.
pub type OperationId = u64;

/// How a call that begins an operation came out. `Err(Again)`: still under way.
#[derive(Debug)]
pub struct Started<T> {
    /// Its number whenever one was wanted and the operation was begun, also when it has ended already (its error can be
    /// taken by it); else 0.
    pub op: OperationId,
    pub result: Result<T>,
}

impl<T> Started<T> {
    pub(super) fn failed(error: Error) -> Self {
        Self { op: 0, result: Err(error) }
    }
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Started<U> {
        Started { op: self.op, result: self.result.map(change) }
    }
}

/// What the peer's answer carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub message: Option<Vec<u8>>,
    pub value: u64,
}

pub(super) enum Kind {
    Dial,
    Negotiate,
    Authenticate,
    /// Negotiates, then tries these methods in order.
    Connect {
        user: Vec<u8>,
        methods: VecDeque<ClientMethod>,
    },
    Open(ChannelId),
    Request(ChannelId),
    Global,
    Forward,
    CancelForward,
    Rekey,
}

impl Kind {
    pub fn event(&self) -> EventKind {
        match self {
            Self::Negotiate => EventKind::Negotiated,
            Self::Authenticate | Self::Connect { .. } => EventKind::AuthResult,
            _ => EventKind::OperationDone,
        }
    }
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Open(id) | Self::Request(id) => Some(*id),
            _ => None,
        }
    }
    /// Its end sets something going even when nobody waits for it or wants its number.
    pub fn goes_on_unwanted(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Authenticate
                | Self::Negotiate
                | Self::Forward
                | Self::CancelForward
                | Self::Rekey
        )
    }
    /// Whether the data of the peer's reply is the taker's.
    pub fn tells_reply(&self) -> bool {
        matches!(self, Self::Global)
    }
    /// Whether `cancel` can end it.
    pub fn can_be_cancelled(&self) -> bool {
        !matches!(self, Self::Negotiate | Self::Authenticate | Self::Connect { .. } | Self::Rekey)
    }
}

pub(super) struct Operation {
    pub kind: Kind,
    /// Its number was given out: it ends in an event when nobody waits for it.
    pub wanted: bool,
    /// Threads that wait for it.
    pub waiting: u32,
    pub done: Option<Result<Reply>>,
}

/// Under way or unread, and the errors of what was read.
#[derive(Default)]
pub(super) struct Operations {
    table: HashMap<OperationId, Operation>,
    last: OperationId,
    errors: VecDeque<(OperationId, Error)>,
}

/// How an operation that has just ended is to be told.
#[derive(PartialEq, Eq)]
pub(super) enum Told {
    /// A thread waits for it.
    Thread,
    Event,
    /// Nobody wants to know.
    Nobody,
}

const MOST: usize = 1_024;
const ERRORS_KEPT: usize = 64;

impl Operations {
    pub fn begin(&mut self, kind: Kind, wanted: bool) -> Result<OperationId> {
        if self.table.len() >= MOST {
            return Err(Error::limit(format!("{MOST} operations are under way or unread")));
        }
        self.last += 1;
        self.table.insert(self.last, Operation { kind, wanted, waiting: 0, done: None });
        Ok(self.last)
    }
    pub fn get(&mut self, op: OperationId) -> Option<&mut Operation> {
        self.table.get_mut(&op)
    }
    /// Its end was told to one who asked; it stays while other threads wait for it.
    pub fn taken(&mut self, op: OperationId) {
        if let Some(operation) = self.table.get_mut(&op) {
            operation.waiting = operation.waiting.saturating_sub(1);
            if operation.waiting == 0 {
                self.table.remove(&op);
            }
        }
    }
    pub fn remove(&mut self, op: OperationId) -> Option<Operation> {
        self.table.remove(&op)
    }
    /// The one under way that `wanted` says.
    pub fn find(&self, wanted: impl Fn(&Kind) -> bool) -> Option<OperationId> {
        self.table.iter().find(|(_, operation)| operation.done.is_none() && wanted(&operation.kind)).map(|(op, _)| *op)
    }
    pub fn under_way(&self) -> Vec<OperationId> {
        let mut all: Vec<_> =
            self.table.iter().filter(|(_, operation)| operation.done.is_none()).map(|(op, _)| *op).collect();
        all.sort_unstable();
        all
    }
    pub fn of_channel(&self, id: ChannelId) -> Vec<OperationId> {
        self.table.iter().filter(|(_, operation)| operation.kind.channel() == Some(id)).map(|(op, _)| *op).collect()
    }

    pub fn finish(&mut self, op: OperationId, result: Result<Reply>) -> Told {
        let Some(operation) = self.table.get_mut(&op).filter(|operation| operation.done.is_none()) else {
            return Told::Nobody;
        };
        if operation.waiting > 0 {
            operation.done = Some(result);
            return Told::Thread;
        }
        if !operation.wanted {
            self.table.remove(&op);
            return Told::Nobody;
        }
        if let Err(error) = &result {
            operation.done = Some(Err(error.clone()));
            self.keep_error(op, error.clone());
        } else {
            operation.done = Some(result);
        }
        Told::Event
    }

    pub fn keep_error(&mut self, op: OperationId, error: Error) {
        if self.errors.iter().any(|(known, _)| *known == op) {
            return;
        }
        if self.errors.len() == ERRORS_KEPT {
            self.errors.pop_front();
        }
        self.errors.push_back((op, error));
    }
    pub fn take_error(&mut self, op: OperationId) -> Option<Error> {
        let at = self.errors.iter().position(|(known, _)| *known == op)?;
        self.errors.remove(at).map(|(_, error)| error)
    }
}
