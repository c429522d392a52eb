use super::receive_queue::ReceiveQueue;
use super::replies::{AnswerQueue, RequestToken};
use super::send_queue::SendQueue;
use super::window::ReceiveWindow;
use super::{ChannelId, ChannelInfo, ConnectionEvent, Exit, Shared, StderrMode, Stream};
use crate::error::Result;
use crate::wire::MessageSink;
use crate::wire::messages::message;
use std::collections::VecDeque;

pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) kind: Box<str>,
    pub(super) opened_by_peer: bool,
    pub(super) state: State,
    pub(super) outgoing: Outgoing,
    /// Whether the peer has said that no more data comes, by EOF or CLOSE.
    pub(super) incoming: Incoming,
    /// The application has closed it: reads do not end as if the peer had.
    pub(super) closed_here: bool,
    /// The application has no handle any more; nothing is reported.
    pub(super) forgotten: bool,
    /// What the peer's unanswered open weighs among the questions.
    pub(super) open_size: usize,

    pub(super) window: ReceiveWindow,
    pub(super) data: Inbox,
    pub(super) stderr: Inbox,
    pub(super) stderr_mode: StderrMode,
    /// Counts the changes between data and standard error in what arrives.
    pub(super) run: u64,
    pub(super) last_stream: Option<u32>,

    pub(super) send_queue: SendQueue,
    /// The last write took less than it was given, and nobody was told of room since.
    pub(super) write_was_short: bool,
    pub(super) stands_in_ready: bool,

    /// Our requests that want a reply, oldest first.
    pub(super) requests_out: VecDeque<RequestToken>,
    /// Requests made before the channel was open.
    pub(super) deferred: Vec<DeferredRequest>,
    pub(super) requests_in: AnswerQueue<RequestToken, bool>,
    /// Request events that nobody took yet.
    pub(super) undelivered: usize,
    pub(super) exit: Option<Exit>,
    pub(super) peer_stopped_reading: bool,
}

pub(super) enum State {
    /// The peer's open waits for the application's answer.
    Asked(Remote),
    /// Our open waits for the peer's answer.
    Opening,
    Open(Remote),
    /// The peer refused our open.
    Failed,
    /// CLOSE went both ways.
    Closed,
}

/// The peer's end.
pub(super) struct Remote {
    pub(super) id: u32,
    /// What we may send.
    pub(super) window: u32,
    pub(super) max_packet: u32,
}

/// How far our half is ended. What is pending goes out when the queue has, and not before the answers to
/// the peer's requests up to `after`.
pub(super) enum Outgoing {
    Flowing,
    EofPending { after: u64 },
    EofSent,
    ClosePending { eof_sent: bool, exit: Option<Exit>, after: u64 },
    CloseSent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    Flowing,
    Eof,
    Closed,
}

pub(super) struct DeferredRequest {
    pub(super) name: Box<str>,
    pub(super) data: Box<[u8]>,
    pub(super) token: Option<RequestToken>,
}

/// Received data of one stream, and who reads it.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) queue: ReceiveQueue,
    /// The last read took all there was: somebody waits for more.
    pub(super) awaited: bool,
    pub(super) was_read: bool,
    /// More came than the queue may hold while nobody read: the rest was dropped.
    pub(super) over_limit: bool,
    pub(super) event_waits: bool,
}

impl Channel {
    pub(super) fn new(id: ChannelId, kind: &str, state: State, window: ReceiveWindow) -> Self {
        Self {
            id,
            kind: kind.into(),
            opened_by_peer: matches!(state, State::Asked(_)),
            state,
            outgoing: Outgoing::Flowing,
            incoming: Incoming::Flowing,
            closed_here: false,
            forgotten: false,
            open_size: 0,
            window,
            data: Inbox::default(),
            stderr: Inbox::default(),
            stderr_mode: StderrMode::default(),
            run: 0,
            last_stream: None,
            send_queue: SendQueue::default(),
            write_was_short: false,
            stands_in_ready: false,
            requests_out: VecDeque::new(),
            deferred: Vec::new(),
            requests_in: AnswerQueue::default(),
            undelivered: 0,
            exit: None,
            peer_stopped_reading: false,
        }
    }

    pub(super) fn info(&self) -> ChannelInfo {
        let remote = match &self.state {
            State::Asked(remote) | State::Open(remote) => Some(remote),
            State::Opening | State::Failed | State::Closed => None,
        };
        ChannelInfo {
            kind: self.kind.clone(),
            opened_by_peer: self.opened_by_peer,
            remote_id: remote.map(|remote| remote.id),
            open: matches!(self.state, State::Open(_)),
            local_window: self.window.credit(),
            local_max_packet: self.window.max_packet(),
            remote_window: remote.map_or(0, |remote| remote.window),
            remote_max_packet: remote.map_or(0, |remote| remote.max_packet),
            stderr: self.stderr_mode,
            peer_sent_eof: self.incoming != Incoming::Flowing,
            closed: matches!(self.state, State::Closed | State::Failed),
        }
    }

    /// Whether the wire knows it no more.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Closed | State::Failed)
    }

    /// Whether the application has ended it: then it wants nothing more from the peer.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.outgoing, Outgoing::ClosePending { .. } | Outgoing::CloseSent)
    }

    pub(super) fn inbox(&mut self, stream: Stream) -> Option<&mut Inbox> {
        match stream {
            Stream::Data => Some(&mut self.data),
            Stream::Extended(1) => Some(&mut self.stderr),
            Stream::Extended(_) => None,
        }
    }

    pub(super) fn unread(&self) -> usize {
        self.data.queue.len() + self.stderr.queue.len()
    }

    /// The newest request of the peer without an answer; 0: none.
    pub(super) fn newest_question(&self) -> u64 {
        self.requests_in.newest().map_or(0, |token| token.0)
    }

    /// Whether every request up to `token` is answered.
    pub(super) fn is_answered(&self, token: u64) -> bool {
        self.requests_in.oldest().is_none_or(|oldest| oldest.0 > token)
    }

    pub(super) fn report(&self, shared: &mut Shared, event: ConnectionEvent) {
        if !self.forgotten {
            shared.events.push_back(event);
        }
    }

    /// Says that a stream has something new, unless that is already said and not taken.
    pub(super) fn report_readable(&mut self, shared: &mut Shared, stream: Stream) {
        let (id, forgotten) = (self.id, self.forgotten);
        if let Some(inbox) = self.inbox(stream)
            && !forgotten
            && !std::mem::replace(&mut inbox.event_waits, true)
        {
            shared.events.push_back(ConnectionEvent::Readable { id, stream });
        }
    }

    pub(super) fn event_taken(&mut self, event: &ConnectionEvent, shared: &mut Shared) {
        match event {
            ConnectionEvent::Readable { stream, .. } => {
                if let Some(inbox) = self.inbox(*stream) {
                    inbox.event_waits = false;
                }
            }
            ConnectionEvent::Request { token, request, .. } => {
                self.undelivered = self.undelivered.saturating_sub(1);
                if token.is_none() {
                    shared.drop_question(request.size());
                }
            }
            _ => {}
        }
    }

    /// Gives credit for what was read or dropped, when half a window of it is together.
    pub(super) fn give_credit(&mut self, shared: &mut Shared, sink: &mut dyn MessageSink) -> Result<()> {
        let State::Open(remote) = &self.state else { return Ok(()) };
        if self.incoming != Incoming::Flowing || matches!(self.outgoing, Outgoing::CloseSent) {
            return Ok(());
        }
        let recipient_channel = remote.id;
        let unread = self.counted_unread();
        let wanted = self.window.wanted(unread).unwrap_or(0);
        let mut granted = self.window.affordable(wanted, unread, &shared.budget);
        if granted == 0 {
            granted = self.widening(shared);
        }
        if granted == 0 {
            return Ok(());
        }
        let bytes_to_add = self.window.grant(granted);
        shared.budget.take(bytes_to_add.into());
        sink.send(&message!(ChannelWindowAdjust { recipient_channel: recipient_channel, bytes_to_add: bytes_to_add }))
    }

    /// What of the unread bytes the window counts: a stream that is dropped from now on does not hold up
    /// the other one.
    fn counted_unread(&self) -> usize {
        let count = |inbox: &Inbox| if inbox.over_limit { 0 } else { inbox.queue.len() };
        count(&self.data) + count(&self.stderr)
    }

    /// Credit for a stream that somebody waits for, while the unread bytes of the other one fill the
    /// window: up to the queue limit; beyond it the other one's bytes are dropped. Data that has been read
    /// before is never dropped nor widened for: who stops reading it for a while wants the peer to wait.
    fn widening(&mut self, shared: &Shared) -> u32 {
        if !self.window.is_exhausted() {
            return 0;
        }
        let stderr_is_neglected = self.data.awaited && !self.stderr.queue.is_empty();
        let data_is_neglected = self.stderr.awaited && !self.data.queue.is_empty() && !self.data.was_read;
        if !stderr_is_neglected && !data_is_neglected {
            return 0;
        }
        let held = self.unread() + self.window.credit() as usize;
        let room = shared.config.receive_queue_limit.saturating_sub(held);
        let wanted = self.window.half().min(u32::try_from(room).unwrap_or(u32::MAX));
        let granted = self.window.affordable(wanted, self.counted_unread(), &shared.budget);
        if granted > 0 {
            return granted;
        }
        if stderr_is_neglected {
            self.stderr.over_limit = true;
        } else {
            self.data.over_limit = true;
        }
        // What is dropped needs no room: one packet at a time keeps the other stream alive.
        self.window.max_packet().saturating_sub(self.window.credit())
    }

    /// The wire knows the channel no more.
    pub(super) fn end(&mut self, shared: &mut Shared, state: State) {
        if self.is_ended() {
            return;
        }
        if matches!(self.state, State::Asked(_)) {
            shared.pending_opens = shared.pending_opens.saturating_sub(1);
        }
        self.state = state;
        shared.live = shared.live.saturating_sub(1);
        if shared.widest == Some(self.id) {
            shared.widest = None;
        }
        shared.budget.release_credit(self.window.end());
        shared.drop_question(self.requests_in.clear() + std::mem::take(&mut self.open_size));
        self.send_queue.clear();
        for token in std::mem::take(&mut self.requests_out) {
            self.report(shared, ConnectionEvent::RequestDone { id: self.id, token, success: false });
        }
        self.fail_deferred(shared);
    }

    /// Requests that were never sent have failed.
    pub(super) fn fail_deferred(&mut self, shared: &mut Shared) {
        for token in self.take_deferred(shared).into_iter().filter_map(|request| request.token) {
            self.report(shared, ConnectionEvent::RequestDone { id: self.id, token, success: false });
        }
    }

    pub(super) fn take_deferred(&mut self, shared: &mut Shared) -> Vec<DeferredRequest> {
        let deferred = std::mem::take(&mut self.deferred);
        shared.deferred_bytes -= deferred.iter().map(DeferredRequest::size).sum::<usize>();
        deferred
    }

    /// Lets go of what was received and not read.
    pub(super) fn drop_unread(&mut self, shared: &mut Shared) {
        let count = self.data.queue.clear() + self.stderr.queue.clear();
        shared.budget.release(count);
    }

    pub(super) fn release_everything(&mut self, shared: &mut Shared) {
        self.end(shared, State::Closed);
        self.drop_unread(shared);
    }
}
