use super::channel::{Channel, Outgoing, Remote, State};
use super::types::LARGEST_SENT;
use super::{ChannelId, Connection, ConnectionEvent, Shared, Stream, requests};
use crate::error::{Error, Result};
use crate::wire::messages::message;
use crate::wire::{Message, MessageSink, Rest};

/// What one channel sends before it is the next one's turn.
const QUANTUM: usize = 64 << 10;

impl Connection {
    /// Sends data, or queues what cannot go out now; says how much was taken. After a call that took less
    /// than it was given, one `Writable` event tells of room.
    pub fn write(&mut self, id: ChannelId, stream: Stream, data: &[u8], sink: &mut dyn MessageSink) -> Result<usize> {
        if !self.shared.ready.is_empty() {
            self.transmit(sink)?; // Who waited longer goes first.
        }
        let (channel, shared) = self.both(id)?;
        match (&channel.state, &channel.outgoing) {
            (State::Closed | State::Failed, _) | (_, Outgoing::CloseSent) => {
                return Err(Error::closed("the channel is closed"));
            }
            (State::Asked(_), _) => return Err(Error::state("the channel is not accepted yet")),
            (_, Outgoing::Flowing) => {}
            _ => return Err(Error::state("the end of the data was sent already")),
        }
        let after = channel.newest_question();
        let mut taken = 0;
        if let State::Open(remote) = &mut channel.state
            && channel.send_queue.is_empty()
            && after == 0
        {
            taken = send_data(remote, stream, data, usize::MAX, sink)?;
        }
        let room = shared.config.send_queue_limit.saturating_sub(channel.send_queue.len());
        let rest = data.get(taken..).unwrap_or_default();
        let queued = rest.get(..room).unwrap_or(rest);
        channel.send_queue.push(stream, queued, after);
        taken += queued.len();
        if taken < data.len() {
            channel.write_was_short = true;
        }
        channel.stand_in_ready(shared);
        Ok(taken)
    }

    /// How many bytes the next `write` takes at least.
    pub fn writable(&self, id: ChannelId) -> usize {
        let Some(channel) = self.channels.get(&id) else { return 0 };
        match (&channel.state, &channel.outgoing) {
            (State::Opening | State::Open(_), Outgoing::Flowing) => {
                self.shared.config.send_queue_limit.saturating_sub(channel.send_queue.len())
            }
            _ => 0,
        }
    }

    /// Whether everything that was written, and the ends that were asked for, are with the sink.
    pub fn flushed(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_none_or(|channel| {
            let pending = matches!(channel.outgoing, Outgoing::EofPending { .. } | Outgoing::ClosePending { .. });
            channel.is_ended() || (channel.send_queue.is_empty() && channel.deferred.is_empty() && !pending)
        })
    }

    /// Sends what waits in the channels' queues, each channel in turn, as their windows and the sink allow.
    pub fn transmit(&mut self, sink: &mut dyn MessageSink) -> Result<()> {
        while sink.room() > 0
            && let Some(id) = self.shared.ready.pop_front()
        {
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.stands_in_ready = false;
                channel.transmit(&mut self.shared, sink)?;
            }
        }
        Ok(())
    }

    /// One turn of one channel, whether or not it stands in the row: ends need no room.
    pub(super) fn transmit_now(&mut self, id: ChannelId, sink: &mut dyn MessageSink) -> Result<()> {
        let (channel, shared) = self.both(id)?;
        channel.transmit(shared, sink)
    }
}

impl Channel {
    pub(super) fn stand_in_ready(&mut self, shared: &mut Shared) {
        if self.may_send() && !std::mem::replace(&mut self.stands_in_ready, true) {
            shared.ready.push_back(self.id);
        }
    }

    /// Whether there is queued data that only the sink's room can hold back.
    fn may_send(&self) -> bool {
        let State::Open(remote) = &self.state else { return false };
        remote.window > 0 && self.send_queue.front().is_some_and(|front| self.is_answered(front.after))
    }

    fn transmit(&mut self, shared: &mut Shared, sink: &mut dyn MessageSink) -> Result<()> {
        let mut quantum = QUANTUM;
        while quantum > 0 && self.may_send() {
            let State::Open(remote) = &mut self.state else { break };
            let Some(front) = self.send_queue.front() else { break };
            let sent = send_data(remote, front.stream, front.bytes, quantum, sink)?;
            if sent == 0 {
                break;
            }
            self.send_queue.advance(sent);
            quantum -= sent;
        }
        if self.send_queue.is_empty() {
            self.send_ends(sink)?;
        }
        if self.write_was_short && self.send_queue.len() <= shared.config.send_queue_limit / 2 {
            self.write_was_short = false;
            self.report(shared, ConnectionEvent::Writable { id: self.id });
        }
        self.stand_in_ready(shared);
        Ok(())
    }

    /// Sends EOF, exit and CLOSE where they are due.
    fn send_ends(&mut self, sink: &mut dyn MessageSink) -> Result<()> {
        let State::Open(remote) = &self.state else { return Ok(()) };
        let recipient_channel = remote.id;
        match &self.outgoing {
            Outgoing::EofPending { after } if self.is_answered(*after) => {
                sink.send(&message!(ChannelEof { recipient_channel: recipient_channel }))?;
                self.outgoing = Outgoing::EofSent;
            }
            Outgoing::ClosePending { eof_sent, exit, after } if self.is_answered(*after) => {
                if !eof_sent {
                    sink.send(&message!(ChannelEof { recipient_channel: recipient_channel }))?;
                }
                if let Some(exit) = exit {
                    let (name, data) = requests::exit(exit);
                    sink.send(&message!(ChannelRequest {
                        recipient_channel: recipient_channel,
                        name: name,
                        want_reply: false,
                        data: Rest(&data),
                    }))?;
                }
                sink.send(&message!(ChannelClose { recipient_channel: recipient_channel }))?;
                self.outgoing = Outgoing::CloseSent;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Frames at most `most` bytes straight from `data`, in messages as large as the peer, its window and the
/// sink allow; says how many bytes went out.
fn send_data(
    remote: &mut Remote,
    stream: Stream,
    data: &[u8],
    most: usize,
    sink: &mut dyn MessageSink,
) -> Result<usize> {
    let mut sent = 0;
    loop {
        let rest = data.get(sent..).unwrap_or_default();
        let bound = remote.max_packet.min(LARGEST_SENT).min(remote.window) as usize;
        let count = rest.len().min(bound).min(sink.room()).min(most - sent);
        let Some(piece) = rest.get(..count).filter(|piece| !piece.is_empty()) else { return Ok(sent) };
        sink.send(&data_message(remote.id, stream, piece))?;
        remote.window = remote.window.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        sent += count;
    }
}

fn data_message(recipient_channel: u32, stream: Stream, data: &[u8]) -> Message<'_> {
    match stream {
        Stream::Data => message!(ChannelData { recipient_channel: recipient_channel, data: data }),
        Stream::Extended(data_type) => {
            message!(ChannelExtendedData { recipient_channel: recipient_channel, data_type: data_type, data: data })
        }
    }
}
