use super::Stream;
use crate::wire::append;
use std::collections::VecDeque;

/// Small writes are copied together up to this.
const COPIED_TOGETHER: usize = 32 << 10;

/// What the application wrote and the window, the peer's request or the outgoing buffer holds back.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    chunks: VecDeque<Chunk>,
    length: usize,
}

#[derive(Debug)]
struct Chunk {
    stream: Stream,
    bytes: Vec<u8>,
    taken: usize,
    /// The newest request of the peer that was unanswered when this was written (0: none): the answer
    /// goes out first.
    after: u64,
}

/// The front of the queue.
pub(super) struct Front<'q> {
    pub(super) stream: Stream,
    pub(super) bytes: &'q [u8],
    pub(super) after: u64,
}

impl SendQueue {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8], after: u64) {
        if bytes.is_empty() {
            return;
        }
        self.length += bytes.len();
        match self.chunks.back_mut() {
            Some(last)
                if last.stream == stream
                    && last.after == after
                    && last.bytes.len() + bytes.len() <= COPIED_TOGETHER =>
            {
                last.bytes.extend_from_slice(bytes);
            }
            _ => {
                let mut copied = Vec::new();
                append(&mut copied, bytes);
                self.chunks.push_back(Chunk { stream, bytes: copied, taken: 0, after });
            }
        }
    }

    pub(super) fn front(&self) -> Option<Front<'_>> {
        let chunk = self.chunks.front()?;
        let bytes = chunk.bytes.get(chunk.taken..).unwrap_or_default();
        Some(Front { stream: chunk.stream, bytes, after: chunk.after })
    }

    /// Passes over `count` bytes of the front.
    pub(super) fn advance(&mut self, count: usize) {
        if let Some(chunk) = self.chunks.front_mut() {
            let count = count.min(chunk.bytes.len() - chunk.taken);
            chunk.taken += count;
            self.length -= count;
            if chunk.taken == chunk.bytes.len() {
                self.chunks.pop_front();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
