//! Reading and writing.

use std::time::Instant;

use super::super::Timeout;
use super::super::state::{ChannelPhase, Locked, Pending, Turns};
use super::super::waiting::Interests;
use super::Channel;
use crate::error::{Error, Result};
use crate::session::{ChannelId, StderrMode, Stream};

/// What one thread writes before others have their turn.
const PIECE: usize = 4 << 20;
/// What the session is given before the kernel is: it seals about so much straight from the caller's data, and copies
/// what is beyond into the channel's queue.
const FRAMED_AT_ONCE: usize = 64 << 10;

impl Channel {
    /// What was received first. Eof after the peer's EOF or CLOSE; a lost connection gives what ended it.
    pub fn read(&self, stream: Stream, out: &mut [u8], timeout: Timeout) -> Result<usize> {
        self.transport.wait_until(timeout, Interests::channel(self.id), |locked| locked.read(self.id, stream, out))
    }

    /// Reads without taking.
    pub fn peek(&self, stream: Stream, out: &mut [u8], timeout: Timeout) -> Result<usize> {
        self.transport.wait_until(timeout, Interests::channel(self.id), |locked| {
            if let Err(error) = locked.usable(self.id)? {
                return Some(Err(error));
            }
            let session = locked.session.as_deref_mut();
            match session.map_or(Err(Error::Again), |session| session.peek(self.id, stream, out)) {
                Err(error) => locked.read_end(self.id, error).map(Err),
                peeked => Some(peeked),
            }
        })
    }

    /// Waits until at least one byte was taken. The count is what was taken, whatever the result says.
    pub fn write(&self, stream: Stream, data: &[u8], timeout: Timeout) -> (usize, Result<()>) {
        let mut taken = 0;
        let result = self.transport.wait_until(timeout, Interests::channel(self.id), |locked| {
            locked.write(self.id, stream, data, &mut taken, data.len().min(1))
        });
        (taken, result)
    }

    /// Waits until all was taken. Two of these are not mixed: the second begins when the first has ended.
    pub fn write_all(&self, stream: Stream, data: &[u8], timeout: Timeout) -> (usize, Result<()>) {
        let deadline = timeout.deadline(Instant::now());
        let mut taken = 0;
        let mut turn = None;
        let result = loop {
            // In pieces, so that others have their turn at the lock.
            let least = data.len().min(taken + PIECE);
            let piece = data.get(..least).unwrap_or(data);
            let left = if taken == 0 { timeout } else { Timeout::until(deadline) };
            let result = self.transport.wait_until(left, Interests::channel(self.id), |locked| {
                if !locked.has_turn(self.id, stream, &mut turn) {
                    return locked.usable(self.id)?.err().or_else(|| locked.channel_end(self.id)).map(Err);
                }
                let result = locked.write(self.id, stream, piece, &mut taken, least);
                if result.is_none() || least < data.len() {
                    locked.take_turn(self.id, stream, &mut turn);
                }
                result
            });
            if result.is_err() || taken >= data.len() {
                break result;
            }
        };
        if let Some(turn) = turn {
            let mut locked = self.transport.lock();
            locked.end_turn(self.id, stream, turn);
            locked.pump();
        }
        (taken, result)
    }

    /// Bytes that a read would give now.
    pub fn readable(&self, stream: Stream) -> Result<usize> {
        self.with(|locked, id| Ok(locked.session.as_deref().map_or(0, |session| session.readable(id, stream))))
    }
    /// Bytes that a write would take now.
    pub fn writable(&self) -> Result<usize> {
        self.with(|locked, id| {
            let open = locked.channels.get(&id).is_some_and(|entry| !entry.closed);
            let room = locked.session.as_deref().map_or(0, |session| session.writable(id));
            Ok(if open && locked.end_error().is_none() { room } else { 0 })
        })
    }

    /// Waits until everything written to the channel is with the kernel.
    pub fn flush(&self, timeout: Timeout) -> Result<()> {
        // Once the channel has nothing queued, what is in the output then must go.
        let mut mark = None;
        let about = Interests { concern: super::super::waiter::Concern::Flush, channel: Some(self.id) };
        self.transport.wait_until(timeout, about, |locked| {
            let waiting = locked.output_length() as u64;
            let sent = locked.stream.sent;
            if mark.is_none() && locked.session.as_deref().is_none_or(|session| session.flushed(self.id)) {
                mark = Some(sent + waiting);
            }
            if mark.is_some_and(|mark| sent >= mark) && !locked.stream.broken {
                return Some(Ok(()));
            }
            if locked.stream.broken || locked.ended.is_some() { locked.end_error().map(Err) } else { None }
        })
    }

    pub fn send_eof(&self) -> Result<()> {
        self.with(|locked, id| locked.now_or_when_open(id, Pending::Eof))
    }

    /// Orderly: what is queued is still sent, then CLOSE. Waits on it in other threads end with Closed.
    pub fn close(&self) -> Result<()> {
        self.with(|locked, id| {
            if let Some(entry) = locked.channels.get_mut(&id) {
                entry.closed = true;
            }
            locked.touched_all = true;
            for op in locked.operations.of_channel(id) {
                locked.finish(op, Err(Error::closed("the channel is closed")));
            }
            match locked.now_or_when_open(id, Pending::Close) {
                // It is closed already, one way or the other.
                Err(Error::Closed(_) | Error::Disconnected(_) | Error::Eof) => Ok(()),
                other => other,
            }
        })
    }

    pub fn set_stderr(&self, mode: StderrMode) -> Result<()> {
        self.with(|locked, id| {
            let now = locked.now;
            let session = locked.session.as_deref_mut().ok_or_else(|| Error::closed("the channel is gone"))?;
            session.set_stderr(id, mode, now)?;
            locked.refresh_levels(id);
            Ok(())
        })
    }
}

impl Locked<'_> {
    /// None: not open yet. Err: it never will be, or the handle is of no use any more.
    pub fn usable(&mut self, id: ChannelId) -> Option<Result<()>> {
        match self.channels.get(&id).map(|entry| &entry.phase) {
            None => Some(Err(Error::closed("the channel is gone"))),
            Some(ChannelPhase::Failed(error)) => Some(Err(error.clone())),
            Some(ChannelPhase::Opening | ChannelPhase::Asked(_)) => self.channel_end(id).map(Err),
            Some(ChannelPhase::Open | ChannelPhase::Closed) => Some(Ok(())),
        }
    }

    /// The application closed the channel.
    pub fn is_closed_here(&self, id: ChannelId) -> bool {
        self.channels.get(&id).is_some_and(|entry| entry.closed)
    }

    /// Why nothing more is to be waited for on a channel.
    pub fn channel_end(&self, id: ChannelId) -> Option<Error> {
        if self.is_closed_here(id) {
            return Some(Error::closed("the channel is closed"));
        }
        self.end_error()
    }

    /// What a read says that got nothing but this. None: it waits.
    fn read_end(&self, id: ChannelId, error: Error) -> Option<Error> {
        match error {
            Error::Again => self.channel_end(id),
            // The peer's CLOSE, which follows ours, is not what ended this.
            Error::Eof if self.is_closed_here(id) => self.channel_end(id),
            Error::Eof | Error::Limit(_) | Error::Argument(_) => Some(error),
            // It ended because of a close here.
            lost => self.channel_end(id).or(Some(lost)),
        }
    }

    fn read(&mut self, id: ChannelId, stream: Stream, out: &mut [u8]) -> Option<Result<usize>> {
        let result = match self.usable(id)? {
            Ok(()) => {
                let now = self.now;
                let session = self.session.as_deref_mut();
                session.map_or(Err(Error::Again), |session| session.read(id, stream, out, now))
            }
            Err(error) => Err(error),
        };
        let result = match result {
            Err(error) => Err(self.read_end(id, error)?),
            read => read,
        };
        if let (Err(error), Some(entry)) = (&result, self.channels.get_mut(&id)) {
            if let Some(told) = entry.end_told.get_mut(usize::from(stream != Stream::Data)) {
                *told = true;
            }
            if !matches!(error, Error::Eof) {
                entry.last_error = Some(error.clone());
            }
        }
        self.refresh_levels(id);
        Some(result)
    }

    /// Takes what fits. Done when at least `least` bytes were taken in all.
    fn write(
        &mut self,
        id: ChannelId,
        stream: Stream,
        data: &[u8],
        taken: &mut usize,
        least: usize,
    ) -> Option<Result<()>> {
        if let Err(error) = self.usable(id)? {
            return Some(self.write_failed(id, error));
        }
        if let Some(error) = self.channel_end(id) {
            return Some(self.write_failed(id, error));
        }
        loop {
            let now = self.now;
            let rest = data.get(*taken..).unwrap_or_default();
            // Once the kernel takes no more, the queue has to.
            let most = if self.output_length() == 0 { FRAMED_AT_ONCE } else { rest.len() };
            let piece = rest.get(..most).unwrap_or(rest);
            let session = self.session.as_deref_mut()?;
            let count = match session.write(id, stream, piece, now) {
                Ok(count) => count,
                Err(Error::Again) => 0,
                Err(error) => return Some(self.write_failed(id, error)),
            };
            *taken += count;
            let left = rest.len() - count.min(rest.len());
            if left == 0 {
                self.wrote(id, false);
                return Some(Ok(()));
            }
            // More may fit once the output is with the kernel: that is tried before anything is said to be full.
            if count > 0 {
                self.pump();
            }
            if count == 0 || self.channel_end(id).is_some() {
                self.wrote(id, true);
                return if *taken >= least { Some(Ok(())) } else { self.channel_end(id).map(Err) };
            }
        }
    }

    fn turns(&mut self, id: ChannelId, stream: Stream) -> Option<&mut Turns> {
        self.channels.get_mut(&id)?.turns.get_mut(usize::from(stream != Stream::Data))
    }
    /// Whether no other `write_all` has to end first; then this one has its place behind it.
    fn has_turn(&mut self, id: ChannelId, stream: Stream, turn: &mut Option<u64>) -> bool {
        let first = self.turns(id, stream).and_then(|turns| turns.waiting.front().copied());
        if first.is_some() && *turn != first {
            self.take_turn(id, stream, turn);
            return false;
        }
        true
    }
    fn take_turn(&mut self, id: ChannelId, stream: Stream, turn: &mut Option<u64>) {
        if let (Some(turns), None) = (self.turns(id, stream), &turn) {
            turns.last += 1;
            turns.waiting.push_back(turns.last);
            *turn = Some(turns.last);
        }
    }
    fn end_turn(&mut self, id: ChannelId, stream: Stream, turn: u64) {
        let Some(turns) = self.turns(id, stream) else { return };
        turns.refused |= turns.waiting.front() != Some(&turn);
        turns.waiting.retain(|other| *other != turn);
        if turns.waiting.is_empty() && std::mem::take(&mut turns.refused) {
            // It took less than asked: WRITABLE tells that it would take more now.
            self.wrote(id, true);
        }
        self.touch_channel(id);
    }

    fn wrote(&mut self, id: ChannelId, short: bool) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        let changed = entry.short_write != short || entry.room_again;
        entry.short_write = short;
        entry.room_again = false;
        if short && !self.short_writers.contains(&id) {
            self.short_writers.push(id);
        }
        if changed {
            self.refresh_levels(id);
        }
    }

    fn write_failed(&mut self, id: ChannelId, error: Error) -> Result<()> {
        if let Some(entry) = self.channels.get_mut(&id) {
            entry.last_error = Some(error.clone());
        }
        Err(error)
    }

    /// On a channel that is opening it waits its turn.
    pub fn now_or_when_open(&mut self, id: ChannelId, what: Pending) -> Result<()> {
        match self.usable(id) {
            Some(Err(error)) => return Err(error),
            Some(Ok(())) => {}
            None => {
                if let Some(entry) = self.channels.get_mut(&id) {
                    entry.pending.push(what);
                }
                return Ok(());
            }
        }
        if let (Some(error), false) = (self.end_error(), matches!(what, Pending::Close)) {
            return Err(error);
        }
        let now = self.now;
        let session = self.session.as_deref_mut().ok_or_else(|| Error::closed("the channel is gone"))?;
        match what {
            Pending::Eof => session.send_eof(id, now),
            Pending::Finish(status) => session.finish(id, status, now),
            Pending::Close => session.close_channel(id, now),
            Pending::Request { .. } => Err(Error::internal("a request begins an operation")),
        }
    }
}
