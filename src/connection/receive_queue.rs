use crate::wire::copy_front;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Pieces below this are copied together: a slice of a few bytes would keep a whole receive buffer alive.
const SMALL: usize = 2 << 10;
const COPIED_TOGETHER: usize = 16 << 10;
/// A slice of any size keeps the whole receive buffer that it came in, and what else was in there need not have
/// cost the peer any window. So all channels of a connection together hold this many slices, which is enough
/// while somebody reads; what comes beyond is copied.
const MOST_SLICES: usize = 64;
/// With so many pieces waiting, small ones are joined even where data and standard error alternate:
/// their order is then no longer known exactly, but a byte costs a byte.
const MANY_PIECES: usize = 1024;

/// The slices of receive buffers that all queues of a connection hold.
#[derive(Debug, Default)]
pub(super) struct Slices(Arc<()>);

/// One of them, counted while it exists.
#[derive(Debug)]
struct Counted {
    _token: Arc<()>,
}

impl Slices {
    pub(super) fn held(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    fn add(&self) -> Option<Counted> {
        (self.held() < MOST_SLICES).then(|| Counted { _token: self.0.clone() })
    }
}

/// Received bytes of one stream that nobody read yet.
#[derive(Debug, Default)]
pub(super) struct ReceiveQueue {
    pieces: VecDeque<Piece>,
    length: usize,
}

#[derive(Debug)]
struct Piece {
    /// Counts the changes between the streams of a channel: the order of arrival.
    run: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Slice { bytes: Bytes, _counted: Counted },
    Copied { bytes: Vec<u8>, taken: usize },
}

impl ReceiveQueue {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn push(&mut self, bytes: Bytes, run: u64, slices: &Slices) {
        if bytes.is_empty() {
            return;
        }
        self.length += bytes.len();
        if bytes.len() >= SMALL
            && let Some(counted) = slices.add()
        {
            self.pieces.push_back(Piece { run, content: Content::Slice { bytes, _counted: counted } });
            return;
        }
        let many = self.pieces.len() >= MANY_PIECES;
        match self.pieces.back_mut() {
            Some(Piece { run: last, content: Content::Copied { bytes: copied, .. } })
                if (*last == run || many) && copied.len() + bytes.len() <= COPIED_TOGETHER =>
            {
                copied.extend_from_slice(&bytes);
            }
            _ => self.pieces.push_back(Piece { run, content: Content::Copied { bytes: bytes.to_vec(), taken: 0 } }),
        }
    }

    /// Fills `out` as far as there is data; takes it out of the queue.
    pub(super) fn read(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(piece) = self.pieces.front_mut() {
            let room = out.get_mut(filled..).unwrap_or_default();
            let count = copy_front(piece.content.bytes(), room);
            filled += count;
            if !piece.content.advance(count) {
                break;
            }
            self.pieces.pop_front();
        }
        self.length -= filled;
        filled
    }

    /// Fills `out` without taking.
    pub(super) fn peek(&self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        for piece in &self.pieces {
            let room = out.get_mut(filled..).unwrap_or_default();
            if room.is_empty() {
                break;
            }
            filled += copy_front(piece.content.bytes(), room);
        }
        filled
    }

    /// At most `most` bytes of the first piece, without a copy where the piece is a slice.
    pub(super) fn take(&mut self, most: usize) -> Option<Bytes> {
        let piece = self.pieces.front_mut()?;
        let bytes = match &piece.content {
            Content::Slice { bytes, .. } => bytes.slice(..bytes.len().min(most)),
            Content::Copied { .. } => Bytes::copy_from_slice(
                piece.content.bytes().split_at_checked(most).map_or(piece.content.bytes(), |(first, _)| first),
            ),
        };
        self.length -= bytes.len();
        if piece.content.advance(bytes.len()) {
            self.pieces.pop_front();
        }
        Some(bytes)
    }

    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Drops everything; says how many bytes it was.
    pub(super) fn clear(&mut self) -> usize {
        self.pieces = VecDeque::new();
        std::mem::take(&mut self.length)
    }

    /// Joins what `other` holds to this queue, in the order of arrival.
    pub(super) fn merge(&mut self, other: &mut Self) {
        let theirs = std::mem::take(&mut other.pieces);
        self.length += std::mem::take(&mut other.length);
        let ours = std::mem::take(&mut self.pieces);
        let mut ours = ours.into_iter().peekable();
        let mut theirs = theirs.into_iter().peekable();
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if b.run < a.run => theirs.next(),
                (Some(_), _) => ours.next(),
                (None, _) => theirs.next(),
            };
            match next {
                Some(piece) => self.pieces.push_back(piece),
                None => return,
            }
        }
    }
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Slice { bytes, .. } => bytes,
            Self::Copied { bytes, taken } => bytes.get(*taken..).unwrap_or_default(),
        }
    }

    /// Passes over `count` bytes; whether it is used up.
    fn advance(&mut self, count: usize) -> bool {
        match self {
            Self::Slice { bytes, .. } => bytes::Buf::advance(bytes, count.min(bytes.len())),
            Self::Copied { taken, .. } => *taken += count,
        }
        self.bytes().is_empty()
    }
}
