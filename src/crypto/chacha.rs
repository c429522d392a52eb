//! chacha20-poly1305@openssh.com (draft-ietf-sshm-chacha20-poly1305).

use super::cipher::{Make, Material};
use super::{Open, Seal, bad_tag};
use crate::error::{Error, Result};
use aws_lc_rs::aead::chacha20_poly1305_openssh::{KEY_LEN, OpeningKey, SealingKey, TAG_LEN};

pub(super) const MAKE: Make = Make {
    seal: |material| Ok(Box::new(Sealer(SealingKey::new(key(&material)?)))),
    open: |material| Ok(Box::new(Opener(OpeningKey::new(key(&material)?)))),
};

fn key<'a>(material: &Material<'a>) -> Result<&'a [u8; KEY_LEN]> {
    material.key.try_into().map_err(|_| Error::internal("ChaCha20 key of the wrong length"))
}

struct Sealer(SealingKey);
struct Opener(OpeningKey);

impl Seal for Sealer {
    fn tag_length(&self) -> usize {
        TAG_LEN
    }
    fn block_size(&self) -> usize {
        8
    }
    fn pads_length_field(&self) -> bool {
        false
    }
    fn seal(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let (packet, tag) = split_tag(packet)?;
        self.0.seal_in_place(sequence_number, packet, tag);
        Ok(())
    }
}

impl Open for Opener {
    fn tag_length(&self) -> usize {
        TAG_LEN
    }
    fn block_size(&self) -> usize {
        8
    }
    fn pads_length_field(&self) -> bool {
        false
    }
    fn prefix_length(&self) -> usize {
        4
    }
    fn packet_length(&mut self, sequence_number: u32, prefix: &mut [u8]) -> Result<u32> {
        let encrypted = prefix.first_chunk::<4>().ok_or_else(|| Error::internal("no packet length yet"))?;
        Ok(u32::from_be_bytes(self.0.decrypt_packet_length(sequence_number, *encrypted)))
    }
    fn open(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        let (packet, tag) = split_tag(packet)?;
        self.0.open_in_place(sequence_number, packet, tag).map_err(|_| bad_tag())?;
        Ok(())
    }
}

/// Length, body; tag.
fn split_tag(packet: &mut [u8]) -> Result<(&mut [u8], &mut [u8; TAG_LEN])> {
    let (packet, tag) = packet.split_last_chunk_mut::<TAG_LEN>().ok_or_else(super::short_packet)?;
    if packet.len() < 4 { Err(super::short_packet()) } else { Ok((packet, tag)) }
}
