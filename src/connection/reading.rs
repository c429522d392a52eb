use super::channel::{Channel, Incoming, State};
use super::{ChannelId, Connection, StderrMode, Stream};
use crate::error::{Error, Result};
use crate::wire::MessageSink;
use bytes::Bytes;

impl Connection {
    /// Takes received bytes of a stream. `Eof` comes only after the peer's EOF or CLOSE and when everything
    /// was read; `Again` when nothing is there yet; `Limit` when bytes were dropped because nobody read the
    /// stream while the other one was read.
    pub fn read(&mut self, id: ChannelId, stream: Stream, out: &mut [u8], sink: &mut dyn MessageSink) -> Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        self.take_out(id, stream, sink, |queue| {
            let count = queue.read(out);
            (count > 0).then_some((count, count))
        })
    }

    /// Like `read`, without a copy where large pieces came.
    pub fn read_bytes(
        &mut self,
        id: ChannelId,
        stream: Stream,
        most: usize,
        sink: &mut dyn MessageSink,
    ) -> Result<Bytes> {
        if most == 0 {
            return Ok(Bytes::new());
        }
        self.take_out(id, stream, sink, |queue| queue.take(most).map(|bytes| (bytes.len(), bytes)))
    }

    fn take_out<T>(
        &mut self,
        id: ChannelId,
        stream: Stream,
        sink: &mut dyn MessageSink,
        take: impl FnOnce(&mut super::receive_queue::ReceiveQueue) -> Option<(usize, T)>,
    ) -> Result<T> {
        let (channel, shared) = self.both(id)?;
        let inbox = channel.inbox(stream).ok_or_else(|| Error::argument("there is no such stream to read"))?;
        inbox.was_read = true;
        let taken = take(&mut inbox.queue);
        inbox.awaited = inbox.queue.is_empty();
        if let Some((count, _)) = &taken {
            shared.budget.release(*count);
        }
        channel.give_credit(shared, sink)?;
        match taken {
            Some((_, result)) => Ok(result),
            None => Err(channel.why_empty(stream)),
        }
    }

    /// Copies received bytes without taking them.
    pub fn peek(&mut self, id: ChannelId, stream: Stream, out: &mut [u8]) -> Result<usize> {
        let channel = self.channel(id)?;
        let inbox = channel.inbox(stream).ok_or_else(|| Error::argument("there is no such stream to read"))?;
        inbox.was_read = true;
        match inbox.queue.peek(out) {
            0 if !out.is_empty() => Err(channel.why_empty(stream)),
            count => Ok(count),
        }
    }

    /// How many bytes a read would give now.
    pub fn readable(&self, id: ChannelId, stream: Stream) -> usize {
        self.channels.get(&id).map_or(0, |channel| match stream {
            Stream::Data => channel.data.queue.len(),
            Stream::Extended(1) => channel.stderr.queue.len(),
            Stream::Extended(_) => 0,
        })
    }

    /// What becomes of standard error, from now and of what is not read yet.
    pub fn set_stderr(&mut self, id: ChannelId, mode: StderrMode, sink: &mut dyn MessageSink) -> Result<()> {
        let (channel, shared) = self.both(id)?;
        if mode == StderrMode::Combine && channel.stderr.over_limit {
            return Err(Error::limit("standard error was dropped already, because nobody read it"));
        }
        channel.stderr_mode = mode;
        match mode {
            StderrMode::Separate => return Ok(()),
            StderrMode::Discard => {
                let dropped = channel.stderr.queue.clear();
                shared.budget.release(dropped);
            }
            StderrMode::Combine => {
                let Channel { data, stderr, .. } = channel;
                if !stderr.queue.is_empty() {
                    data.queue.merge(&mut stderr.queue);
                    data.awaited = false;
                    channel.report_readable(shared, Stream::Data);
                }
            }
        }
        channel.give_credit(shared, sink)
    }
}

impl Channel {
    fn why_empty(&self, stream: Stream) -> Error {
        let over_limit = match stream {
            Stream::Data => self.data.over_limit,
            Stream::Extended(_) => self.stderr.over_limit,
        };
        if self.closed_here {
            Error::closed("the channel was closed")
        } else if over_limit {
            Error::limit("the stream was not read while more came than its queue may hold")
        } else if self.incoming != Incoming::Flowing && !matches!(self.state, State::Failed) {
            Error::Eof
        } else if matches!(self.state, State::Failed) {
            Error::closed("the channel was not opened")
        } else {
            Error::Again
        }
    }
}
