//! What one connection's lock guards.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::dial::Dialing;
use super::event::{EventKind, Queue, Queued};
use super::forward::Forward;
use super::operation::{Kind, OperationId, Operations, Reply, Told};
use super::sys::poller::Interest;
use super::waiter::{Concern, Waiter};
use super::{Asker, Channel, Transport};
use crate::error::{Error, Result};
use crate::session::{
    ChannelId, ClientMethod, HostKeyPolicy, PrivateKey, QuestionId, RequestId, Role, Session, SessionConfig, Stream,
};

/// Where the connection is, as far as its stream goes.
pub(super) enum Phase {
    /// No stream yet; what is to be started when there is one.
    Dialing(Box<Dialing>),
    /// A stream, and no session yet.
    Connected,
    Started,
    /// The stream is closed. What had arrived can still be read.
    Gone,
}

/// Whom to ask what.
#[derive(Default)]
pub(super) struct Askers {
    pub host_key: Option<Arc<dyn Asker>>,
    /// Prompts and password changes of the authentication under way; where it is not there, `peer` is asked.
    pub user: Option<Arc<dyn Asker>>,
    /// Everything else: what the peer begins.
    pub peer: Option<Arc<dyn Asker>>,
    /// Questions become events instead.
    pub as_events: bool,
}

#[derive(Default)]
pub(super) struct StreamState {
    /// What the poller has been told; None: not in it.
    pub armed: Option<Interest>,
    /// What the leader is polling for, while it does so without the lock.
    pub polled: Option<Interest>,
    /// The last read filled its room.
    pub may_have_more: bool,
    /// The last read brought much: it pays to read again without asking first whether there is anything.
    pub flows: bool,
    /// Nothing more can be read.
    pub ended: bool,
    /// Nothing more can be written.
    pub broken: bool,
    /// Another process goes on with it: it is closed without a word.
    pub given_up: bool,
    pub sent: u64,
    /// When something was read last, and when to look whether the buffers can be given back.
    pub read_at: Option<Instant>,
    pub look_at: Option<Instant>,
}

/// The thread that reads and sends for its own wait, in an engine with threads.
#[derive(Default)]
pub(super) struct Lead {
    pub leader: Option<Arc<Waiter>>,
    /// A leader left just now: until then the stream stays out of the I/O thread's hands, because another lead is
    /// likely to follow, and two changes of the poller and a thread switch for each would cost more than the read.
    pub lease: Option<Instant>,
    /// How long the next one lasts: longer the oftener a lead has followed.
    pub lease_length: Duration,
}

pub(super) struct State {
    pub phase: Phase,
    pub session: Option<Box<Session>>,
    /// What the session is made from; afterwards what it was made from.
    pub config: SessionConfig,
    pub policy: HostKeyPolicy,
    pub askers: Askers,
    pub stream: StreamState,
    pub lead: Lead,
    pub waiters: Vec<(Concern, Arc<Waiter>)>,
    pub touched: Vec<Concern>,
    pub touched_all: bool,
    pub operations: Operations,
    /// Requests of ours to the peer, by the session's number.
    pub requests: HashMap<RequestId, OperationId>,
    pub forwards: Vec<Forward>,
    pub events: Queue,
    /// The engine has been told that events wait.
    pub announced: bool,
    pub channels: HashMap<ChannelId, Entry>,
    /// Opened by the peer, accepted, not yet taken.
    pub accept: VecDeque<ChannelId>,
    /// Channels whose last write took less than asked, or that a write waits for.
    pub short_writers: Vec<ChannelId>,
    pub open_questions: HashSet<QuestionId>,
    /// Why it ended; nothing follows but what is in the output.
    pub ended: Option<Error>,
    /// When what is left to send is given up.
    pub linger: Option<Instant>,
    /// The application closed it: waits end with Closed.
    pub closed: bool,
    /// The last owner is gone.
    pub released: bool,
    pub last_error: Option<Error>,
    /// The time that the reactor holds for this connection.
    pub scheduled: Option<Instant>,
    /// Server: a banner given before the start.
    pub banner: Option<Vec<u8>>,
    /// Those that the session authenticates with. Their last owner must not go under the lock: a signer's `destroy` may
    /// run then.
    pub keys: Vec<Arc<PrivateKey>>,
    /// To be dropped when no lock is held.
    pub discarded: Vec<Box<dyn Send>>,
}

/// One channel, as the engine sees it.
pub(super) struct Entry {
    pub handle: Arc<Channel>,
    pub phase: ChannelPhase,
    /// Begun while it was opening.
    pub pending: Vec<Pending>,
    /// Kinds of events that are queued, as bits.
    pub queued: u32,
    /// An end that no read of (data, stderr) has returned yet counts as readable.
    pub end_told: [bool; 2],
    pub peer_ended: bool,
    pub peer_closed: bool,
    /// A write took less than asked and nothing has been written since.
    pub short_write: bool,
    /// There was room again since.
    pub room_again: bool,
    pub exited: bool,
    /// The application closed it.
    pub closed: bool,
    pub last_error: Option<Error>,
    pub wakes: u64,
    pub wakes_seen: u64,
    /// Of `write_all` to data and to stderr.
    pub turns: [Turns; 2],
}

/// Calls that follow one another.
#[derive(Default)]
pub(super) struct Turns {
    /// The first has its turn.
    pub waiting: VecDeque<u64>,
    pub last: u64,
    /// One did not wait for its turn.
    pub refused: bool,
}

pub(super) enum ChannelPhase {
    /// We asked; the peer has not answered.
    Opening,
    /// The peer asked; the application has not answered.
    Asked(QuestionId),
    Open,
    /// CLOSE went both ways.
    Closed,
    Failed(Error),
}

/// What was asked of a channel before it was open.
pub(super) enum Pending {
    Request { op: OperationId, name: String, data: Vec<u8>, want_reply: bool },
    Eof,
    Finish(u32),
    Close,
}

impl Entry {
    pub fn new(handle: Arc<Channel>, phase: ChannelPhase) -> Self {
        Self {
            handle,
            phase,
            pending: Vec::new(),
            queued: 0,
            end_told: [false; 2],
            peer_ended: false,
            peer_closed: false,
            short_write: false,
            room_again: false,
            exited: false,
            closed: false,
            last_error: None,
            wakes: 0,
            wakes_seen: 0,
            turns: Default::default(),
        }
    }
}

impl State {
    pub fn new(phase: Phase, config: SessionConfig) -> Self {
        Self {
            phase,
            session: None,
            config,
            policy: HostKeyPolicy::Unset,
            askers: Askers::default(),
            stream: StreamState::default(),
            lead: Lead::default(),
            waiters: Vec::new(),
            touched: Vec::new(),
            touched_all: false,
            operations: Operations::default(),
            requests: HashMap::new(),
            forwards: Vec::new(),
            events: Queue::default(),
            announced: false,
            channels: HashMap::new(),
            accept: VecDeque::new(),
            short_writers: Vec::new(),
            open_questions: HashSet::new(),
            ended: None,
            linger: None,
            closed: false,
            released: false,
            last_error: None,
            scheduled: None,
            banner: None,
            keys: Vec::new(),
            discarded: Vec::new(),
        }
    }

    pub fn is_started(&self) -> bool {
        self.session.is_some()
    }
    pub fn role(&self) -> Role {
        self.config.role
    }

    /// Whoever waits for it looks again, at the end of this pump.
    pub fn touch(&mut self, concern: Concern) {
        if !self.waiters.is_empty() && !self.touched.contains(&concern) {
            self.touched.push(concern);
        }
    }
    pub fn touch_channel(&mut self, id: ChannelId) {
        self.touch(Concern::Channel(id));
    }
    pub fn discard(&mut self, value: impl Send + 'static) {
        self.discarded.push(Box::new(value));
    }

    /// Why nothing can be done (any more).
    pub fn end_error(&self) -> Option<Error> {
        if self.closed {
            return Some(Error::closed("the transport is closed"));
        }
        self.ended.clone()
    }
    /// The session, while verbs on it make sense.
    pub fn active(&mut self) -> Result<&mut Session> {
        if let Some(error) = self.end_error() {
            return Err(error);
        }
        self.session.as_deref_mut().ok_or_else(|| Error::state("the transport was not started"))
    }

    /// Keeps the keys of a method that begins.
    pub fn keep_keys(&mut self, method: &ClientMethod) {
        match method {
            ClientMethod::Publickey { key, .. } => self.keys.push(Arc::clone(key)),
            ClientMethod::AnyOf { keys } => self.keys.extend(keys.iter().cloned()),
            ClientMethod::None | ClientMethod::Password { .. } | ClientMethod::Interactive { .. } => {}
        }
    }
    /// The session has no more to do with them.
    pub fn give_keys_up(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        self.discard(keys);
    }

    pub fn push_event(&mut self, queued: Queued) {
        if self.released {
            self.discard_event(queued);
        } else {
            self.events.push(queued);
        }
    }
    pub fn discard_event(&mut self, queued: Queued) {
        if let Queued::Question(_, ticket) = queued {
            self.discard(ticket);
        }
    }
    /// One of a kind a channel.
    pub fn push_channel_event(&mut self, kind: EventKind, id: ChannelId) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        let bit = 1 << (kind as u32);
        if self.released || entry.queued & bit != 0 {
            return;
        }
        entry.queued |= bit;
        self.events.push(Queued::Channel(kind, id));
    }

    pub fn finish(&mut self, op: OperationId, result: Result<Reply>) {
        match self.operations.finish(op, result) {
            Told::Thread => self.touch(Concern::Operation(op)),
            Told::Event => self.push_event(Queued::Operation(op)),
            Told::Nobody => {}
        }
    }
    pub fn finish_found(&mut self, wanted: impl Fn(&Kind) -> bool, result: Result<Reply>) {
        if let Some(op) = self.operations.find(wanted) {
            self.finish(op, result);
        }
    }

    /// Whether a read of this stream has something to give.
    pub fn is_readable(&self, id: ChannelId, stream: Stream) -> bool {
        let Some(entry) = self.channels.get(&id) else { return false };
        let told = entry.end_told.get(usize::from(stream != Stream::Data)).copied().unwrap_or(true);
        let over = entry.peer_ended || self.ended.is_some() || matches!(entry.phase, ChannelPhase::Failed(_));
        let waiting = self.session.as_ref().is_some_and(|session| session.readable(id, stream) > 0);
        waiting || (over && !told)
    }
    /// What STATE tells.
    pub fn has_news(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|entry| {
            entry.exited
                || self.ended.is_some()
                || matches!(entry.phase, ChannelPhase::Closed | ChannelPhase::Failed(_))
        })
    }
}

/// A connection with its lock held. What is to be dropped is dropped when the lock is gone: a `destroy`, or the last
/// handle of something, may call anything.
pub(super) struct Locked<'a> {
    pub transport: &'a Arc<Transport>,
    pub now: Instant,
    // The order matters: the guard goes first.
    guard: MutexGuard<'a, State>,
    _discarded: Vec<Box<dyn Send>>,
}

impl<'a> Locked<'a> {
    pub fn new(transport: &'a Arc<Transport>, guard: MutexGuard<'a, State>) -> Self {
        Self { transport, now: Instant::now(), guard, _discarded: Vec::new() }
    }
}

impl Deref for Locked<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.guard
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.guard
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self._discarded = std::mem::take(&mut self.guard.discarded);
    }
}
