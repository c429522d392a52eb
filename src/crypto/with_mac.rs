//! A cipher that does not authenticate, joined with a MAC: over the plain text (RFC 4253 section 6.4), or over the
//! ciphertext with the length in clear (OpenSSH's encrypt-then-MAC names).

use super::mac::Mac;
use super::{Open, Seal, split_packet};
use crate::error::{Error, Result};

/// A mode of a block cipher, with what goes on from packet to packet.
pub(super) trait BlockMode: Send {
    fn block_size(&self) -> usize;
    /// Whether a block's plain text depends on the ciphertext before it, so that somebody else's block, put into
    /// the place of a length, is decrypted there (see [`Open::guards_length`]).
    const IS_CHAINED: bool;
    /// In place; whole blocks.
    fn apply(&mut self, blocks: &mut [u8]) -> Result<()>;
}

pub(super) struct WithMac<M> {
    mode: M,
    mac: Mac,
}

impl<M: BlockMode> WithMac<M> {
    pub(super) fn new(mode: M, mac: Option<Mac>) -> Result<Self> {
        let mac = mac.ok_or_else(|| Error::internal("a cipher that needs a MAC got none"))?;
        Ok(Self { mode, mac })
    }

    fn is_whole(&self, blocks: &[u8]) -> bool {
        blocks.len().is_multiple_of(self.mode.block_size())
    }

    fn apply(&mut self, blocks: &mut [u8]) -> Result<()> {
        if !self.is_whole(blocks) {
            return Err(Error::protocol("an encrypted packet is not a multiple of the block size"));
        }
        self.mode.apply(blocks)
    }

    fn open_encrypt_then_mac(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let tag_length = self.mac.tag_length;
        let (_, body, _) = split_packet(packet, tag_length)?;
        if !self.is_whole(body) {
            return Err(Error::protocol("an encrypted packet is not a multiple of the block size"));
        }
        let at = packet.len() - tag_length;
        let (packet, tag) = packet.split_at_mut(at);
        self.mac.verify(sequence_number, packet, tag)?;
        let body = packet.get_mut(4..).ok_or_else(super::short_packet)?;
        self.apply(body)
    }

    fn open_encrypt_and_mac(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let at = packet.len().checked_sub(self.mac.tag_length).ok_or_else(super::short_packet)?;
        let (packet, tag) = packet.split_at_mut(at);
        // The first block was decrypted to read the length, which nothing vouched for: a packet that the length
        // does not fit is a forged one, and fails as every forged one does.
        let whole = self.is_whole(packet);
        let rest = packet.get_mut(self.mode.block_size()..).filter(|_| whole).ok_or_else(super::bad_tag)?;
        self.apply(rest)?;
        let verified = self.mac.verify(sequence_number, packet, tag);
        if verified.is_err() {
            // Plain text that nobody vouches for goes no further.
            packet.fill(0);
        }
        verified
    }
}

impl<M: BlockMode> Seal for WithMac<M> {
    fn tag_length(&self) -> usize {
        self.mac.tag_length
    }
    fn block_size(&self) -> usize {
        self.mode.block_size()
    }
    fn pads_length_field(&self) -> bool {
        !self.mac.encrypt_then_mac
    }
    fn seal(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let at = packet.len().checked_sub(self.mac.tag_length).ok_or_else(super::short_packet)?;
        let (packet, tag) = packet.split_at_mut(at);
        if self.mac.encrypt_then_mac {
            let body = packet.get_mut(4..).ok_or_else(super::short_packet)?;
            self.apply(body)?;
            self.mac.sign(sequence_number, packet, tag)
        } else {
            self.mac.sign(sequence_number, packet, tag)?;
            self.apply(packet)
        }
    }
}

impl<M: BlockMode> Open for WithMac<M> {
    fn tag_length(&self) -> usize {
        self.mac.tag_length
    }
    fn block_size(&self) -> usize {
        self.mode.block_size()
    }
    fn pads_length_field(&self) -> bool {
        !self.mac.encrypt_then_mac
    }
    fn guards_length(&self) -> bool {
        M::IS_CHAINED && !self.mac.encrypt_then_mac
    }
    fn prefix_length(&self) -> usize {
        if self.mac.encrypt_then_mac { 4 } else { self.mode.block_size() }
    }
    fn packet_length(&mut self, _sequence_number: u32, prefix: &mut [u8]) -> Result<u32> {
        if !self.mac.encrypt_then_mac {
            let first = prefix.get_mut(..self.mode.block_size()).ok_or_else(super::short_packet)?;
            self.apply(first)?;
        }
        super::clear_length(prefix)
    }
    fn open(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        if self.mac.encrypt_then_mac {
            self.open_encrypt_then_mac(sequence_number, packet)
        } else {
            self.open_encrypt_and_mac(sequence_number, packet)
        }
    }
    fn spend(&mut self, mut length: usize) {
        let mut blocks = [0; SPENT_AT_ONCE];
        while length > 0 {
            let part = blocks.get_mut(..length.min(SPENT_AT_ONCE)).unwrap_or_default();
            length -= part.len();
            // What comes out is of no use to anybody, and neither is a failure.
            let whole = part.len() - part.len() % self.mode.block_size();
            let _ = self.mode.apply(part.get_mut(..whole).unwrap_or_default());
            let _ = self.mac.verify(0, part, &[]);
        }
    }
}

const SPENT_AT_ONCE: usize = 16 * 1024;
