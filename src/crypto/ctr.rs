//! aes128-ctr, aes192-ctr, aes256-ctr (RFC 4344 section 4) with a MAC, before or after encryption.

use super::cipher::{Make, Material};
use super::mac::Mac;
use super::{Open, Seal, split_packet};
use crate::error::{Error, Result};
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

pub(super) const MAKE: Make = Make {
    seal: |material| Ok(Box::new(Counter::new(material)?)),
    open: |material| Ok(Box::new(Counter::new(material)?)),
};

const BLOCK: usize = 16;

struct Counter {
    key: EncryptingKey,
    counter: u128,
    mac: Mac,
}

impl Counter {
    fn new(material: Material<'_>) -> Result<Self> {
        let algorithm = match material.key.len() {
            16 => &AES_128,
            24 => &AES_192,
            _ => &AES_256,
        };
        let key = UnboundCipherKey::new(algorithm, material.key)
            .and_then(EncryptingKey::ctr)
            .map_err(|_| Error::internal("AES-CTR refused its key"))?;
        let iv: [u8; BLOCK] = material.iv.try_into().map_err(|_| Error::internal("AES-CTR IV of the wrong length"))?;
        let mac = material.mac.ok_or_else(|| Error::internal("AES-CTR without a MAC"))?;
        Ok(Self { key, counter: u128::from_be_bytes(iv), mac })
    }

    /// Applies the key stream to whole blocks, and moves the counter on by their number.
    fn apply(&mut self, blocks: &mut [u8]) -> Result<()> {
        if !blocks.len().is_multiple_of(BLOCK) {
            return Err(Error::protocol("an encrypted packet is not a multiple of the block size"));
        }
        let context = EncryptionContext::Iv128(FixedLength::from(self.counter.to_be_bytes()));
        self.key.less_safe_encrypt(blocks, context).map_err(|_| Error::internal("AES-CTR could not encrypt"))?;
        self.counter = self.counter.wrapping_add((blocks.len() / BLOCK) as u128);
        Ok(())
    }
}

impl Seal for Counter {
    fn tag_length(&self) -> usize {
        self.mac.tag_length
    }
    fn block_size(&self) -> usize {
        BLOCK
    }
    fn pads_length_field(&self) -> bool {
        !self.mac.encrypt_then_mac
    }
    fn seal(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let tag_length = self.mac.tag_length;
        let at = packet.len().checked_sub(tag_length).ok_or_else(super::short_packet)?;
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

impl Open for Counter {
    fn tag_length(&self) -> usize {
        self.mac.tag_length
    }
    fn block_size(&self) -> usize {
        BLOCK
    }
    fn pads_length_field(&self) -> bool {
        !self.mac.encrypt_then_mac
    }
    fn prefix_length(&self) -> usize {
        if self.mac.encrypt_then_mac { 4 } else { BLOCK }
    }
    fn packet_length(&mut self, _sequence_number: u32, prefix: &mut [u8]) -> Result<u32> {
        if !self.mac.encrypt_then_mac {
            let first = prefix.get_mut(..BLOCK).ok_or_else(super::short_packet)?;
            self.apply(first)?;
        }
        super::clear_length(prefix)
    }
    fn open(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let tag_length = self.mac.tag_length;
        if self.mac.encrypt_then_mac {
            let (_, body, _) = split_packet(packet, tag_length)?;
            if body.len() % BLOCK != 0 {
                return Err(Error::protocol("an encrypted packet is not a multiple of the block size"));
            }
            let at = packet.len() - tag_length;
            let (packet, tag) = packet.split_at_mut(at);
            self.mac.verify(sequence_number, packet, tag)?;
            let body = packet.get_mut(4..).ok_or_else(super::short_packet)?;
            return self.apply(body);
        }
        let at = packet.len().checked_sub(tag_length).ok_or_else(super::short_packet)?;
        let (packet, tag) = packet.split_at_mut(at);
        // The first block was decrypted to read the length, which nothing vouched for: a packet that the length
        // does not fit is a forged one, and fails as every forged one does.
        let whole = packet.len() % BLOCK == 0;
        let rest = packet.get_mut(BLOCK..).filter(|_| whole).ok_or_else(super::bad_tag)?;
        self.apply(rest)?;
        let verified = self.mac.verify(sequence_number, packet, tag);
        if verified.is_err() {
            // Plain text that nobody vouches for goes no further.
            packet.fill(0);
        }
        verified
    }
}
