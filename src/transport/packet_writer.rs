//! Frames and seals messages straight into the outgoing buffer (RFC 4253 section 6).

use super::compression::{Deflater, too_long};
use crate::crypto::{RandomSource, Seal, plain_sealer};
use crate::error::{Error, Result};
use crate::wire::Message;
use crate::wire::messages::GlobalRequest;
use std::collections::VecDeque;

/// Packets longer than this nobody has to take (OpenSSH's bound; RFC 4253 section 6.1 asks for 35,000).
const LARGEST_PACKET: usize = 256 * 1024;
const HEADER: usize = 5;
const SMALLEST_PADDING: usize = 4;
const SMALLEST_PACKET: usize = 16;
/// Padding and tag, whatever the cipher.
const MOST_AFTER_PAYLOAD: usize = 128;
/// Taken bytes at the front are dropped once they are this many and most of the buffer.
const COMPACT_AT: usize = 64 * 1024;
/// How many sent messages are remembered, for the UNIMPLEMENTED that may answer one.
const REMEMBERED: usize = 256;
/// What cannot be compressed grows by less than this.
const MOST_GROWTH: usize = 1024;

pub struct PacketWriter {
    bytes: Vec<u8>,
    taken: usize,
    sealer: Box<dyn Seal>,
    deflater: Option<Deflater>,
    sequence_number: u32,
    /// The numbers of the messages last sent, by sequence number.
    recent: [u8; REMEMBERED],
    global_requests: GlobalRequests,
    /// Packets and bytes under the keys in use.
    pub packets: u64,
    pub sealed_bytes: u64,
    pub total_packets: u64,
    pub total_bytes: u64,
}

impl PacketWriter {
    pub fn new(identification: &str) -> Self {
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend_from_slice(identification.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        Self {
            total_bytes: bytes.len() as u64,
            bytes,
            taken: 0,
            sealer: plain_sealer(),
            deflater: None,
            sequence_number: 0,
            recent: [0; REMEMBERED],
            global_requests: GlobalRequests::default(),
            packets: 0,
            sealed_bytes: 0,
            total_packets: 0,
        }
    }

    pub fn output(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    pub fn output_length(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub fn consume(&mut self, length: usize) {
        self.taken = self.bytes.len().min(self.taken + length);
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        } else if self.taken >= COMPACT_AT && self.taken >= self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
    }

    pub fn release_idle_buffer(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        if let Some(deflater) = &mut self.deflater {
            deflater.release_idle_buffer();
        }
    }

    pub fn send(&mut self, message: &Message<'_>, random: &mut dyn RandomSource) -> Result<()> {
        // At once: a buffer that grows when a password stands in it, not sealed yet, leaves a copy behind.
        match &mut self.deflater {
            Some(deflater) => deflater.reserve(message.length()),
            None => self.bytes.reserve(HEADER + message.length() + MOST_AFTER_PAYLOAD),
        }
        self.frame(random, |out| message.encode(out))
    }

    pub fn send_payload(&mut self, payload: &[u8], random: &mut dyn RandomSource) -> Result<()> {
        self.frame(random, |out| out.extend_from_slice(payload))
    }

    fn frame(&mut self, random: &mut dyn RandomSource, encode: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let start = self.bytes.len();
        let framed = self.frame_at(start, random, encode);
        if framed.is_err() {
            self.bytes.truncate(start);
        }
        framed
    }

    fn frame_at(
        &mut self,
        start: usize,
        random: &mut dyn RandomSource,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        // A sequence number is used once with a key. In the first exchange, where the count is the number
        // itself, this is the rule that it must not wrap.
        if self.packets >= u64::from(u32::MAX) {
            return Err(Error::limit("our sequence numbers ran out"));
        }
        self.bytes.extend_from_slice(&[0; HEADER]);
        let noted = match &mut self.deflater {
            Some(deflater) => deflater.append(&mut self.bytes, LARGEST_PACKET - MOST_GROWTH, encode, Noted::of)?,
            None => {
                encode(&mut self.bytes);
                Noted::of(self.bytes.get(start + HEADER..).unwrap_or_default())
            }
        };
        let payload = self.bytes.len() - start - HEADER;
        let padding = self.padding(payload);
        let packet_length = 1 + payload + padding;
        if packet_length > LARGEST_PACKET {
            return Err(too_long());
        }
        self.bytes.resize(start + 4 + packet_length + self.sealer.tag_length(), 0);
        let packet = self.bytes.get_mut(start..).unwrap_or_default();
        let length_bytes = (packet_length as u32).to_be_bytes();
        for (place, byte) in packet.iter_mut().zip(length_bytes.into_iter().chain([padding as u8])) {
            *place = byte;
        }
        if let Some(padding) = packet.get_mut(HEADER + payload..HEADER + payload + padding) {
            random.fill(padding);
        }
        let length = packet.len() as u64;
        self.sealer.seal(self.sequence_number, packet)?;
        if noted.wants_global_reply {
            self.global_requests.sent(self.sequence_number);
        }
        self.count(noted.number, length);
        Ok(())
    }

    /// At least four bytes, to a whole number of blocks (RFC 4253 section 6).
    fn padding(&self, payload: usize) -> usize {
        let block = self.sealer.block_size().max(8);
        let counted = if self.sealer.pads_length_field() { HEADER } else { 1 } + payload;
        let mut padding = block - counted % block;
        while padding < SMALLEST_PADDING || HEADER + payload + padding < SMALLEST_PACKET {
            padding += block;
        }
        padding
    }

    fn count(&mut self, number: u8, length: u64) {
        if let Some(place) = self.recent.get_mut(self.sequence_number as usize % REMEMBERED) {
            *place = number;
        }
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.packets += 1;
        self.total_packets += 1;
        self.sealed_bytes += length;
        self.total_bytes += length;
    }

    /// Which message had this sequence number, if that is not long ago.
    pub fn message_of(&self, sequence_number: u32) -> Option<u8> {
        let age = self.sequence_number.wrapping_sub(sequence_number);
        let remembered = age >= 1 && age as usize <= REMEMBERED;
        self.recent.get(sequence_number as usize % REMEMBERED).copied().filter(|number| remembered && *number != 0)
    }

    /// A reply to the oldest of our global requests came.
    pub fn global_request_answered(&mut self) {
        self.global_requests.unanswered.pop_front();
    }

    /// The packet with this sequence number was not understood: which of our global requests that want a reply it
    /// was, if it was one, counted from 0.
    pub fn take_global_request(&mut self, sequence_number: u32) -> Option<u64> {
        let unanswered = &mut self.global_requests.unanswered;
        // After a strict exchange numbers come again: the newest is the one.
        let at = unanswered.iter().rposition(|(number, _)| *number == sequence_number)?;
        unanswered.remove(at).map(|(_, ordinal)| ordinal)
    }

    /// Our NEWKEYS was sent.
    pub fn set_keys(&mut self, sealer: Box<dyn Seal>, reset_sequence_number: bool) {
        self.sealer = sealer;
        self.packets = 0;
        self.sealed_bytes = 0;
        if reset_sequence_number {
            self.sequence_number = 0;
            self.recent = [0; REMEMBERED];
        }
    }

    /// From the next packet on payloads are compressed, or not, in a stream of their own.
    pub fn set_deflater(&mut self, deflater: Option<Deflater>) {
        self.deflater = deflater;
    }

    #[cfg(test)]
    pub fn set_sequence_number(&mut self, number: u32) {
        self.sequence_number = number;
        self.packets = number.into();
    }

    #[cfg(test)]
    pub fn sequence_number(&self) -> u32 {
        self.sequence_number
    }

    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The block size, and whether packet_length counts in it.
    #[cfg(test)]
    pub fn block_rule(&self) -> (usize, bool) {
        (self.sealer.block_size().max(8), self.sealer.pads_length_field())
    }

    /// Seals what a hostile peer would: the packet's header is the caller's.
    #[cfg(test)]
    pub fn forge(&mut self, packet: &[u8]) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        self.bytes.resize(start + packet.len() + self.sealer.tag_length(), 0);
        self.sealer.seal(self.sequence_number, self.bytes.get_mut(start..).unwrap_or_default())?;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        Ok(())
    }
}

/// Replies to global requests carry no number; UNIMPLEMENTED instead of one carries that of the packet.
#[derive(Default)]
struct GlobalRequests {
    /// How many that want a reply were sent.
    sent: u64,
    /// Sequence number, and which it was: oldest first.
    unanswered: VecDeque<(u32, u64)>,
}

impl GlobalRequests {
    fn sent(&mut self, sequence_number: u32) {
        self.unanswered.push_back((sequence_number, self.sent));
        self.sent += 1;
    }
}

/// What has to be known of a sent payload later; its compressed form does not show it.
struct Noted {
    number: u8,
    wants_global_reply: bool,
}

impl Noted {
    fn of(payload: &[u8]) -> Self {
        let Some((&number, fields)) = payload.split_first() else {
            return Self { number: 0, wants_global_reply: false };
        };
        let wants_global_reply =
            number == GlobalRequest::NUMBER && GlobalRequest::decode(fields).is_ok_and(|request| request.want_reply);
        Self { number, wants_global_reply }
    }
}
