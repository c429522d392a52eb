//! Cuts packets out of the received bytes and opens them in place (RFC 4253 section 6).

use super::compression::Inflater;
use crate::crypto::{Open, plain_opener};
use crate::error::{Error, Result};
use bytes::{Buf, BytesMut};

/// What one read from the stream may bring (measured: 64 to 128 KiB move most bytes a second).
pub const READ_SIZE: usize = 64 * 1024;
/// The same before the peer is authenticated: strangers hold little memory.
const SMALL_READ_SIZE: usize = 16 * 1024;
/// Then a buffer is read into until no more than this is free.
const SMALL_SPARE: usize = 4 * 1024;
/// What has to be taken (RFC 4253 section 6.1), and all that is taken before the first keys are in use.
const LONGEST_IN_THE_CLEAR: u32 = 35_000;
/// A new buffer lasts for two reads, so that what is left of a packet is seldom moved.
const BUFFER_SIZE: usize = 2 * READ_SIZE;
const SMALLEST_LENGTH: u32 = 5;
const SMALLEST_PADDING: usize = 4;

/// One opened packet.
#[derive(Debug)]
pub struct Received {
    /// Message number and fields; never empty.
    pub payload: BytesMut,
    pub sequence_number: u32,
}

/// Where the next packet stands.
enum Next {
    Length,
    Body {
        packet_length: usize,
    },
    /// A forged packet that must not say what is wrong with it (see [`Open::guards_length`]): so many bytes are
    /// still awaited, and the work for so many is still to be done.
    Forged {
        awaited: usize,
        unspent: usize,
    },
}

pub struct PacketReader {
    pub buffer: BytesMut,
    next: Next,
    opener: Box<dyn Open>,
    inflater: Option<Inflater>,
    sequence_number: u32,
    maximum: u32,
    is_keyed: bool,
    /// Packets and bytes under the keys in use.
    pub packets: u64,
    pub bytes: u64,
    pub total_packets: u64,
    pub total_bytes: u64,
}

impl PacketReader {
    pub fn new(maximum: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            next: Next::Length,
            opener: plain_opener(),
            inflater: None,
            sequence_number: 0,
            maximum,
            is_keyed: false,
            packets: 0,
            bytes: 0,
            total_packets: 0,
            total_bytes: 0,
        }
    }

    /// Nothing is read any more.
    pub fn drop_buffer(&mut self) {
        self.buffer = BytesMut::new();
    }

    /// The buffer, with room for one read.
    pub fn receive_buffer(&mut self, trusted: bool) -> &mut BytesMut {
        let read = if trusted { READ_SIZE } else { SMALL_SPARE };
        let spare = self.buffer.capacity() - self.buffer.len();
        if spare < read && !self.buffer.try_reclaim(read) {
            // Payloads handed up keep the old memory; only the begun packet moves.
            let begun = self.buffer.len();
            let capacity = match trusted {
                true => (begun + read).next_power_of_two().max(BUFFER_SIZE),
                false => begun + SMALL_READ_SIZE,
            };
            let mut fresh = BytesMut::with_capacity(capacity);
            fresh.extend_from_slice(&self.buffer);
            self.buffer = fresh;
        }
        &mut self.buffer
    }

    pub fn release_idle_buffer(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        if let Some(inflater) = &mut self.inflater {
            inflater.release_idle_buffer();
        }
    }

    /// The next whole packet.
    pub fn next(&mut self) -> Result<Option<Received>> {
        let packet_length = match self.next {
            Next::Body { packet_length } => packet_length,
            Next::Length => {
                let Some(prefix) = self.buffer.get_mut(..self.opener.prefix_length()) else { return Ok(None) };
                let announced = self.opener.packet_length(self.sequence_number, prefix)?;
                let packet_length = match self.check_length(announced) {
                    Err(_) if self.opener.guards_length() => return self.begin_forged(0),
                    checked => checked?,
                };
                self.next = Next::Body { packet_length };
                packet_length
            }
            Next::Forged { awaited, unspent } => return self.wait_out(awaited, unspent),
        };
        let whole = 4 + packet_length + self.opener.tag_length();
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let mut packet = self.buffer.split_to(whole);
        match self.opener.open(self.sequence_number, &mut packet) {
            Err(_) if self.opener.guards_length() => return self.begin_forged(whole),
            opened => opened?,
        }
        self.next = Next::Length;
        let padding = usize::from(packet.get(4).copied().unwrap_or_default());
        let payload_length = packet_length.saturating_sub(1 + padding);
        if padding < SMALLEST_PADDING || payload_length == 0 {
            return Err(Error::protocol("a packet with too little padding or without a message"));
        }
        packet.truncate(5 + payload_length);
        packet.advance(5);
        let sequence_number = self.count(whole)?;
        let payload = match &mut self.inflater {
            Some(inflater) => inflater.inflate(&mut packet, usize::try_from(self.maximum).unwrap_or(usize::MAX))?,
            None => packet,
        };
        Ok(Some(Received { payload, sequence_number }))
    }

    /// `taken`: bytes of it that were received, and opened in vain. The end comes after as many bytes as the
    /// largest packet has, whatever length this one was thought to have.
    fn begin_forged(&mut self, taken: usize) -> Result<Option<Received>> {
        let largest = usize::try_from(self.maximum).unwrap_or(usize::MAX).saturating_add(4 + self.opener.tag_length());
        let rest = largest.saturating_sub(taken);
        self.wait_out(rest, rest)
    }

    fn wait_out(&mut self, awaited: usize, unspent: usize) -> Result<Option<Received>> {
        let dropped = awaited.min(self.buffer.len());
        self.buffer.advance(dropped);
        let awaited = awaited - dropped;
        self.next = Next::Forged { awaited, unspent };
        if awaited > 0 {
            return Ok(None);
        }
        self.opener.spend(unspent);
        Err(Error::integrity("a packet failed its authentication"))
    }

    /// Everything is known to be sound here before a single byte is reserved for it.
    fn check_length(&self, announced: u32) -> Result<usize> {
        let maximum = if self.is_keyed { self.maximum } else { self.maximum.min(LONGEST_IN_THE_CLEAR) };
        if !(SMALLEST_LENGTH..=maximum).contains(&announced) {
            return Err(Error::protocol(format!("a packet of {announced} bytes")));
        }
        let length = usize::try_from(announced).map_err(|_| Error::protocol("a packet too long for this machine"))?;
        let in_blocks = if self.opener.pads_length_field() { length + 4 } else { length };
        if in_blocks % self.opener.block_size().max(8) != 0 {
            return Err(Error::protocol("a packet that is not a whole number of cipher blocks"));
        }
        Ok(length)
    }

    /// Counts the packet and says which number it had.
    fn count(&mut self, bytes: usize) -> Result<u32> {
        let sequence_number = self.sequence_number;
        self.sequence_number = sequence_number.wrapping_add(1);
        self.packets += 1;
        self.total_packets += 1;
        self.bytes += bytes as u64;
        self.total_bytes += bytes as u64;
        // A sequence number is used once with a key: it is the nonce or enters the MAC. In the first
        // exchange, where the count is the number itself, this is the rule that it must not wrap.
        if self.packets > u64::from(u32::MAX) {
            return Err(Error::protocol("the peer's sequence numbers ran out"));
        }
        Ok(sequence_number)
    }

    pub fn set_maximum(&mut self, maximum: u32) {
        self.maximum = maximum;
    }

    /// The peer's NEWKEYS was received.
    pub fn set_keys(&mut self, opener: Box<dyn Open>, reset_sequence_number: bool) {
        self.opener = opener;
        self.is_keyed = true;
        self.packets = 0;
        self.bytes = 0;
        if reset_sequence_number {
            self.sequence_number = 0;
        }
    }

    /// From the next packet on payloads are compressed, or not, in a stream of their own.
    pub fn set_inflater(&mut self, inflater: Option<Inflater>) {
        self.inflater = inflater;
    }

    #[cfg(test)]
    pub fn set_sequence_number(&mut self, number: u32) {
        self.sequence_number = number;
        self.packets = number.into();
    }

    #[cfg(test)]
    pub fn guards_length(&self) -> bool {
        self.opener.guards_length()
    }

    #[cfg(test)]
    pub fn sequence_number(&self) -> u32 {
        self.sequence_number
    }
}
