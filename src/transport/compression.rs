//! Compression of payloads (RFC 4253 section 6.2): one stream a direction, begun afresh with each key exchange, and
//! flushed with each packet.

use crate::crypto::Offer;
use crate::error::{Error, Result};
use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zeroize::Zeroize;

/// When the compression of a direction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Never,
    /// With the keys. What a user authenticates with is compressed too, and strangers reach the decompressor.
    WithKeys,
    /// Once the user is authenticated (draft-miller-secsh-compression-delayed): right after USERAUTH_SUCCESS, in
    /// both directions.
    OnceAuthenticated,
}

pub struct CompressionAlgorithm {
    pub name: &'static str,
    pub offer: Offer,
    pub start: Start,
}

/// In order of preference.
#[rustfmt::skip]
pub static COMPRESSIONS: &[CompressionAlgorithm] = &[
    CompressionAlgorithm { name: "none",             offer: Offer::Strict,  start: Start::Never },
    CompressionAlgorithm { name: "zlib@openssh.com", offer: Offer::Default, start: Start::OnceAuthenticated },
    CompressionAlgorithm { name: "zlib",             offer: Offer::ByName,  start: Start::WithKeys },
];

/// The compression of one direction as negotiated.
pub fn start_of(name: &str) -> Start {
    COMPRESSIONS.iter().find(|row| row.name == name).map_or(Start::Never, |row| row.start)
}

impl Start {
    /// Whether packets under new keys are compressed from the first one on.
    pub fn is_due(self, authenticated: bool) -> bool {
        match self {
            Self::Never => false,
            Self::WithKeys => true,
            Self::OnceAuthenticated => authenticated,
        }
    }
}

/// As OpenSSH and zlib by itself: more costs time, and saves little.
const LEVEL: Compression = Compression::new(6);
/// What a flush may write beside the data: stored blocks have headers, and a flush a few bits.
const FLUSH_ROOM: usize = 256;
/// Messages of user authentication: nothing of theirs is left lying about.
const SECRETS: std::ops::RangeInclusive<u8> = 50..=79;

/// Compresses what this side sends.
pub struct Deflater {
    stream: Compress,
    /// The payload of one packet, before it is compressed.
    plain: Vec<u8>,
}

impl Deflater {
    pub fn new() -> Self {
        Self { stream: Compress::new(LEVEL, true), plain: Vec::new() }
    }

    /// A payload so long comes next: what may be secret in it is not left behind by growing.
    pub fn reserve(&mut self, length: usize) {
        self.plain.clear();
        self.plain.reserve(length);
    }

    pub fn release_idle_buffer(&mut self) {
        self.plain = Vec::new();
    }

    /// Appends the compressed form of what `encode` writes, and returns what `note` sees in it before. A payload
    /// longer than `most` is an error, and then the stream has not seen it.
    pub fn append<T>(
        &mut self,
        out: &mut Vec<u8>,
        most: usize,
        encode: impl FnOnce(&mut Vec<u8>),
        note: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        self.plain.clear();
        encode(&mut self.plain);
        let noted = note(&self.plain);
        let outcome = if self.plain.len() > most { Err(too_long()) } else { self.compress(out) };
        if self.plain.first().is_some_and(|number| SECRETS.contains(number)) {
            self.plain.zeroize();
        }
        outcome.map(|()| noted)
    }

    fn compress(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let mut rest = self.plain.as_slice();
        loop {
            out.reserve(rest.len() + FLUSH_ROOM);
            let (taken, given) = (self.stream.total_in(), self.stream.total_out());
            // A partial flush is what OpenSSH does; each packet can be inflated whole.
            self.stream
                .compress_vec(rest, out, FlushCompress::Partial)
                .map_err(|_| Error::internal("the compressor failed"))?;
            let taken = usize::try_from(self.stream.total_in() - taken).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            let moved = taken > 0 || self.stream.total_out() > given;
            if rest.is_empty() && (out.len() < out.capacity() || !moved) {
                return Ok(());
            }
            if !moved {
                return Err(Error::internal("the compressor stands still"));
            }
        }
    }
}

pub fn too_long() -> Error {
    Error::limit("a message longer than a packet may be")
}

/// Inflates what the peer sends.
pub struct Inflater {
    stream: Decompress,
    /// One payload. It grows with what really comes out, never with what a peer announces.
    plain: Vec<u8>,
    /// Payloads that were handed on share this memory.
    payloads: BytesMut,
}

const FIRST_ROOM: usize = 4096;

impl Inflater {
    pub fn new() -> Self {
        Self { stream: Decompress::new(true), plain: Vec::new(), payloads: BytesMut::new() }
    }

    pub fn release_idle_buffer(&mut self) {
        self.plain = Vec::new();
        self.payloads = BytesMut::new();
    }

    /// The payload of one packet; longer than `most` it is an error, found before more than that is inflated.
    pub fn inflate(&mut self, packet: &mut [u8], most: usize) -> Result<BytesMut> {
        self.plain.clear();
        self.decompress(packet, most)?;
        let length = self.plain.len();
        let number = *self.plain.first().ok_or_else(|| Error::protocol("a compressed packet without a message"))?;
        if self.payloads.capacity() - self.payloads.len() < length && !self.payloads.try_reclaim(length) {
            self.payloads = BytesMut::with_capacity((2 * length).next_power_of_two().max(FIRST_ROOM));
        }
        self.payloads.extend_from_slice(&self.plain);
        if SECRETS.contains(&number) {
            self.plain.zeroize();
            packet.zeroize();
        }
        Ok(self.payloads.split())
    }

    fn decompress(&mut self, packet: &[u8], most: usize) -> Result<()> {
        let mut rest = packet;
        loop {
            if self.plain.len() == self.plain.capacity() {
                // One more than allowed, so that more is noticed.
                let growth = self.plain.capacity().max(FIRST_ROOM).min(most + 1 - self.plain.len());
                self.plain.reserve_exact(growth);
            }
            let (taken, given) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress_vec(rest, &mut self.plain, FlushDecompress::Sync)
                .map_err(|_| Error::protocol("a packet that cannot be decompressed"))?;
            if self.plain.len() > most {
                return Err(Error::protocol(format!("a packet that inflates to more than {most} bytes")));
            }
            if status == Status::StreamEnd {
                return Err(Error::protocol("the peer ended its compressed stream"));
            }
            let taken = usize::try_from(self.stream.total_in() - taken).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            let moved = taken > 0 || self.stream.total_out() > given;
            if rest.is_empty() && (self.plain.len() < self.plain.capacity() || !moved) {
                return Ok(());
            }
            if !moved {
                return Err(Error::protocol("a packet that cannot be decompressed"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
