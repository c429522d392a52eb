//! aes128-gcm@openssh.com and aes256-gcm@openssh.com (RFC 5647 with OpenSSH's negotiation).

use super::cipher::{Make, Material};
use super::{Open, Seal, bad_tag, split_packet};
use crate::error::{Error, Result};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

pub(super) const MAKE: Make =
    Make { seal: |material| Ok(Box::new(Gcm::new(material)?)), open: |material| Ok(Box::new(Gcm::new(material)?)) };

const TAG: usize = 16;

struct Gcm {
    key: LessSafeKey,
    fixed: [u8; 4],
    counter: u64,
}

impl Gcm {
    fn new(material: Material<'_>) -> Result<Self> {
        let algorithm = if material.key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = UnboundKey::new(algorithm, material.key).map_err(|_| Error::internal("AES-GCM refused its key"))?;
        let (fixed, counter) =
            material.iv.split_first_chunk::<4>().ok_or_else(|| Error::internal("AES-GCM IV of the wrong length"))?;
        let counter = counter.first_chunk::<8>().ok_or_else(|| Error::internal("AES-GCM IV of the wrong length"))?;
        Ok(Self { key: LessSafeKey::new(key), fixed: *fixed, counter: u64::from_be_bytes(*counter) })
    }

    /// The invocation counter moves on with each packet (RFC 5647 section 7.1).
    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        let (fixed, counter) = nonce.split_at_mut(4);
        fixed.copy_from_slice(&self.fixed);
        counter.copy_from_slice(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Seal for Gcm {
    fn tag_length(&self) -> usize {
        TAG
    }
    fn block_size(&self) -> usize {
        16
    }
    fn pads_length_field(&self) -> bool {
        false
    }
    fn seal(&mut self, _sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let nonce = self.nonce();
        let (length, body, tag) = split_packet(packet, TAG)?;
        let made = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&*length), body)
            .map_err(|_| Error::internal("AES-GCM could not seal"))?;
        tag.copy_from_slice(made.as_ref());
        Ok(())
    }
}

impl Open for Gcm {
    fn tag_length(&self) -> usize {
        TAG
    }
    fn block_size(&self) -> usize {
        16
    }
    fn pads_length_field(&self) -> bool {
        false
    }
    fn prefix_length(&self) -> usize {
        4
    }
    fn packet_length(&mut self, _sequence_number: u32, prefix: &mut [u8]) -> Result<u32> {
        super::clear_length(prefix)
    }
    fn open(&mut self, _sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let nonce = self.nonce();
        let (length, body, tag) = split_packet(packet, TAG)?;
        self.key.open_in_place_separate_tag(nonce, Aad::from(&*length), tag, body).map_err(|_| bad_tag())?;
        Ok(())
    }
}
