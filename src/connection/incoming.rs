use super::channel::{Channel, Incoming, Outgoing, State};
use super::{ChannelId, Connection, ConnectionEvent, Shared, StderrMode, Stream};
use crate::error::{Error, Result};
use crate::wire::MessageSink;
use crate::wire::messages::{self, message};
use bytes::Bytes;

impl Connection {
    pub(super) fn receive_data(&mut self, payload: &Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let received = messages::ChannelData::decode(payload)?;
        let bytes = payload.slice_ref(received.data);
        self.take_in(received.recipient_channel, Stream::Data, bytes, sink)
    }

    pub(super) fn receive_extended_data(&mut self, payload: &Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let received = messages::ChannelExtendedData::decode(payload)?;
        let bytes = payload.slice_ref(received.data);
        self.take_in(received.recipient_channel, Stream::Extended(received.data_type), bytes, sink)
    }

    fn take_in(&mut self, id: ChannelId, stream: Stream, bytes: Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let (channel, shared) = self.both_on_wire(id, "data")?;
        if channel.incoming != Incoming::Flowing {
            return Err(Error::protocol("channel data after the end of the stream"));
        }
        let keeps_up = channel.unread() < channel.window.half() as usize;
        let excess = channel.window.receive(bytes.len())?;
        shared.budget.take(excess);
        channel.keep(shared, stream, bytes);
        if keeps_up && channel.window.is_too_small() {
            channel.grow(shared);
        }
        channel.give_credit(shared, sink)
    }

    pub(super) fn receive_window_adjust(&mut self, payload: &Bytes) -> Result<()> {
        let adjust = messages::ChannelWindowAdjust::decode(payload)?;
        if self.was_open(adjust.recipient_channel) {
            return Ok(());
        }
        let (channel, shared) = self.both_on_wire(adjust.recipient_channel, "CHANNEL_WINDOW_ADJUST")?;
        if let State::Open(remote) = &mut channel.state {
            remote.window = remote
                .window
                .checked_add(adjust.bytes_to_add)
                .ok_or_else(|| Error::protocol("the peer's window grows beyond 2^32 - 1"))?;
        }
        channel.stand_in_ready(shared);
        Ok(())
    }

    pub(super) fn receive_eof(&mut self, payload: &Bytes) -> Result<()> {
        let id = messages::ChannelEof::decode(payload)?.recipient_channel;
        let (channel, shared) = self.both_on_wire(id, "CHANNEL_EOF")?;
        if channel.incoming == Incoming::Flowing {
            channel.end_incoming(shared, Incoming::Eof);
            channel.report(shared, ConnectionEvent::PeerEof { id });
        }
        Ok(())
    }

    pub(super) fn receive_close(&mut self, payload: &Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let id = messages::ChannelClose::decode(payload)?.recipient_channel;
        let (channel, shared) = self.both_on_wire(id, "CHANNEL_CLOSE")?;
        channel.end_incoming(shared, Incoming::Closed);
        channel.report(shared, ConnectionEvent::PeerClosed { id });
        if let State::Open(remote) = &channel.state
            && !matches!(channel.outgoing, Outgoing::CloseSent)
        {
            // The peer takes nothing any more: what is still queued is moot.
            sink.send(&message!(ChannelClose { recipient_channel: remote.id }))?;
            channel.outgoing = Outgoing::CloseSent;
        }
        // First, so that requests which the end leaves unanswered are known to be no refusals.
        channel.report(shared, ConnectionEvent::Closed { id });
        channel.end(shared, State::Closed);
        self.remove_if_done(id);
        Ok(())
    }
}

impl Channel {
    /// Queues received bytes, or drops those that nobody can want.
    fn keep(&mut self, shared: &mut Shared, stream: Stream, bytes: Bytes) {
        let stream = match (stream, self.stderr_mode) {
            (Stream::Extended(1), StderrMode::Combine) => Stream::Data,
            _ => stream,
        };
        let unwanted = self.forgotten
            || self.is_closing()
            || bytes.is_empty()
            || (stream == Stream::STDERR && self.stderr_mode == StderrMode::Discard);
        let run = self.run_of(stream);
        match self.inbox(stream) {
            Some(inbox) if !unwanted && !inbox.over_limit => {
                inbox.queue.push(bytes, run, &shared.slices);
                inbox.awaited = false;
                self.report_readable(shared, stream);
            }
            _ => shared.budget.release(bytes.len()),
        }
    }

    fn run_of(&mut self, stream: Stream) -> u64 {
        let number = match stream {
            Stream::Data => 0,
            Stream::Extended(number) => number,
        };
        if self.last_stream != Some(number) {
            self.last_stream = Some(number);
            self.run += 1;
        }
        self.run
    }

    /// Doubles a window that the peer waits at. One channel alone may take more than half of the
    /// connection's byte limit, and only while there is no other.
    fn grow(&mut self, shared: &mut Shared) {
        let half = u32::try_from(shared.budget.limit() / 2).unwrap_or(u32::MAX);
        if shared.live > 1 {
            return self.window.grow(half);
        }
        self.window.grow(u32::try_from(shared.budget.limit()).unwrap_or(u32::MAX));
        if self.window.target() > half {
            shared.widest = Some(self.id);
        }
    }

    /// No more data comes.
    fn end_incoming(&mut self, shared: &mut Shared, end: Incoming) {
        shared.budget.release_credit(self.window.end());
        self.incoming = end;
        self.report_readable(shared, Stream::Data);
        self.report_readable(shared, Stream::STDERR);
    }
}
