use super::channel::{Channel, DeferredRequest, Outgoing, State};
use super::requests::{self, Decoded};
use super::{ChannelId, Connection, ConnectionEvent, Shared};
use crate::error::{Error, Result};
use crate::wire::messages::{self, message};
use crate::wire::{MessageSink, Rest, check_name};
use bytes::Bytes;
use std::collections::VecDeque;

/// A channel request, ours or the peer's; never used twice on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestToken(pub u64);

/// A global request, ours or the peer's; never used twice on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlobalToken(pub u64);

/// The most data of one request: the message fits into a packet of 256 KiB.
pub(super) const LARGEST_REQUEST: usize = 254 << 10;

/// What all requests on channels that are not confirmed yet may hold: confirmations may come during a key exchange, and
/// then the requests wait in its bounded queue.
const LARGEST_DEFERRED: usize = 1 << 20;

/// The peer's requests that want a reply. Replies carry no number, so that they go out in the order of
/// the requests, whichever is decided first.
#[derive(Debug)]
pub(super) struct AnswerQueue<T, A> {
    entries: VecDeque<Entry<T, A>>,
}

#[derive(Debug)]
struct Entry<T, A> {
    token: T,
    size: usize,
    answer: Option<A>,
}

impl<T, A> Default for AnswerQueue<T, A> {
    fn default() -> Self {
        Self { entries: VecDeque::new() }
    }
}

impl<T: Copy + Ord, A> AnswerQueue<T, A> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn push(&mut self, token: T, size: usize, answer: Option<A>) {
        self.entries.push_back(Entry { token, size, answer });
    }

    pub(super) fn oldest(&self) -> Option<T> {
        self.entries.front().map(|entry| entry.token)
    }

    pub(super) fn newest(&self) -> Option<T> {
        self.entries.back().map(|entry| entry.token)
    }

    /// Keeps the answer until its turn comes. A second answer is an error.
    pub(super) fn answer(&mut self, token: T, answer: A) -> Result<()> {
        let index = self.entries.binary_search_by_key(&token, |entry| entry.token);
        match index.ok().and_then(|index| self.entries.get_mut(index)) {
            Some(entry) if entry.answer.is_none() => {
                entry.answer = Some(answer);
                Ok(())
            }
            _ => Err(Error::state("this request was answered already")),
        }
    }

    /// The answer whose turn it is, with the size of its request.
    pub(super) fn pop_answered(&mut self) -> Option<(A, usize)> {
        let entry = self.entries.pop_front()?;
        match entry.answer {
            Some(answer) => Some((answer, entry.size)),
            None => {
                self.entries.push_front(entry);
                None
            }
        }
    }

    /// Drops everything; says how large the requests were.
    pub(super) fn clear(&mut self) -> usize {
        self.entries.drain(..).map(|entry| entry.size).sum()
    }
}

impl Connection {
    /// Sends a channel request, or keeps it until the channel is open. With `want_reply` the answer
    /// comes as [`ConnectionEvent::RequestDone`].
    pub fn request(
        &mut self,
        id: ChannelId,
        name: &str,
        data: &[u8],
        want_reply: bool,
        sink: &mut dyn MessageSink,
    ) -> Result<Option<RequestToken>> {
        check_name(name)?;
        if data.len() > LARGEST_REQUEST {
            return Err(Error::limit("the request does not fit into a packet"));
        }
        let (channel, shared) = self.both(id)?;
        if channel.requests_out.len() + channel.deferred.len() >= shared.config.max_requests {
            return Err(Error::limit("too many requests of this channel are unanswered"));
        }
        match (&channel.state, &channel.outgoing) {
            (State::Closed | State::Failed, _) | (_, Outgoing::CloseSent) => {
                return Err(Error::closed("the channel is closed"));
            }
            (State::Asked(_), _) => return Err(Error::state("the channel is not accepted yet")),
            (_, Outgoing::ClosePending { .. }) => return Err(Error::state("the channel is being closed")),
            _ => {}
        }
        let token = want_reply.then(|| RequestToken(shared.token()));
        let request = DeferredRequest { name: name.into(), data: data.into(), token };
        match &channel.state {
            State::Open(remote) => request.send(remote.id, sink)?,
            _ => {
                if shared.deferred_bytes + request.size() > LARGEST_DEFERRED {
                    return Err(Error::limit("too much waits for channels that are not confirmed yet"));
                }
                shared.deferred_bytes += request.size();
                channel.deferred.push(request);
                return Ok(token);
            }
        }
        channel.requests_out.extend(token);
        Ok(token)
    }

    /// Answers a request of the peer. Answers go out in the order of the requests; one to a channel
    /// that has ended meanwhile has nowhere to go and is not an error.
    pub fn answer_request(
        &mut self,
        id: ChannelId,
        token: RequestToken,
        success: bool,
        sink: &mut dyn MessageSink,
    ) -> Result<()> {
        let Ok((channel, shared)) = self.both(id) else { return Ok(()) };
        if !matches!(channel.state, State::Open(_)) || matches!(channel.outgoing, Outgoing::CloseSent) {
            return Ok(());
        }
        channel.requests_in.answer(token, success)?;
        channel.send_answers(shared, sink)?;
        self.transmit_now(id, sink)
    }

    pub(super) fn receive_request(&mut self, payload: &Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let request = messages::ChannelRequest::decode(payload)?;
        let role = self.shared.config.role;
        let (channel, shared) = self.both_on_wire(request.recipient_channel, "CHANNEL_REQUEST")?;
        if matches!(channel.outgoing, Outgoing::CloseSent) {
            return Ok(()); // Nothing may follow our CLOSE, so there is no answer either.
        }
        let serves_sessions =
            role == crate::wire::Role::Server && channel.opened_by_peer && &*channel.kind == "session";
        let decoded = requests::decode(request.name, request.data.0, serves_sessions);
        let token = request.want_reply.then(|| RequestToken(shared.token()));
        let ask = channel.take_request(decoded, token, shared)?;
        channel.send_answers(shared, sink)?;
        shared.events.extend(ask);
        Ok(())
    }

    pub(super) fn receive_channel_success(&mut self, payload: &Bytes) -> Result<()> {
        let id = messages::ChannelSuccess::decode(payload)?.recipient_channel;
        self.receive_reply(id, true)
    }

    pub(super) fn receive_channel_failure(&mut self, payload: &Bytes) -> Result<()> {
        let id = messages::ChannelFailure::decode(payload)?.recipient_channel;
        self.receive_reply(id, false)
    }

    fn receive_reply(&mut self, id: ChannelId, success: bool) -> Result<()> {
        let (channel, shared) = self.both_on_wire(id, "a reply")?;
        // A reply that nobody asked for is of no consequence.
        if let Some(token) = channel.requests_out.pop_front() {
            shared.events.push_back(ConnectionEvent::RequestDone { id, token, success });
        }
        Ok(())
    }
}

impl Channel {
    /// Notes the request; gives the event for the application, where it has to decide or to know.
    fn take_request(
        &mut self,
        decoded: Decoded,
        token: Option<RequestToken>,
        shared: &mut Shared,
    ) -> Result<Option<ConnectionEvent>> {
        let id = self.id;
        if self.requests_in.len() >= shared.config.max_requests || self.undelivered >= shared.config.max_requests {
            return Err(Error::limit("the peer sent more requests than may wait for an answer"));
        }
        let (answer, event) = match decoded {
            Decoded::Ask(request) if !self.forgotten && !self.is_closing() => {
                let size = request.size();
                shared.hold_question(size)?;
                self.undelivered += 1;
                if let Some(token) = token {
                    self.requests_in.push(token, size, None);
                }
                return Ok(Some(ConnectionEvent::Request { id, token, request }));
            }
            Decoded::Ask(_) | Decoded::Refused => (false, None),
            Decoded::Exit(exit) => {
                let first = self.exit.is_none();
                self.exit.get_or_insert(exit);
                (true, (first && !self.forgotten).then_some(ConnectionEvent::Exit { id }))
            }
            Decoded::StoppedReading => {
                let first = !std::mem::replace(&mut self.peer_stopped_reading, true);
                (true, (first && !self.forgotten).then_some(ConnectionEvent::StoppedReading { id }))
            }
        };
        if let Some(token) = token {
            self.requests_in.push(token, 0, Some(answer));
        }
        Ok(event)
    }

    /// Sends the answers whose turn it is; what was written after their requests may follow.
    pub(super) fn send_answers(&mut self, shared: &mut Shared, sink: &mut dyn MessageSink) -> Result<()> {
        let State::Open(remote) = &self.state else { return Ok(()) };
        let recipient_channel = remote.id;
        while let Some((success, size)) = self.requests_in.pop_answered() {
            shared.drop_question(size);
            match success {
                true => sink.send(&message!(ChannelSuccess { recipient_channel: recipient_channel }))?,
                false => sink.send(&message!(ChannelFailure { recipient_channel: recipient_channel }))?,
            }
        }
        Ok(())
    }
}

impl DeferredRequest {
    pub(super) fn size(&self) -> usize {
        self.name.len() + self.data.len()
    }

    pub(super) fn send(&self, recipient_channel: u32, sink: &mut dyn MessageSink) -> Result<()> {
        sink.send(&message!(ChannelRequest {
            recipient_channel: recipient_channel,
            name: &self.name,
            want_reply: self.token.is_some(),
            data: Rest(&self.data),
        }))
    }
}
