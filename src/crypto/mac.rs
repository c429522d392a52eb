//! Message authentication codes (RFC 6668, and OpenSSH's encrypt-then-MAC names).

use super::Offer;
use crate::error::{Error, Result};
use aws_lc_rs::hmac;

pub struct MacAlgorithm {
    pub name: &'static str,
    pub offer: Offer,
    pub key_length: usize,
    pub tag_length: usize,
    /// The MAC is over the ciphertext, and the length field stays in clear.
    pub encrypt_then_mac: bool,
    algorithm: fn() -> hmac::Algorithm,
}

/// In order of preference.
pub static MACS: &[MacAlgorithm] = &[
    row("hmac-sha2-256-etm@openssh.com", Offer::Strict, 32, true, || hmac::HMAC_SHA256),
    row("hmac-sha2-512-etm@openssh.com", Offer::Strict, 64, true, || hmac::HMAC_SHA512),
    row("hmac-sha2-256", Offer::Default, 32, false, || hmac::HMAC_SHA256),
    row("hmac-sha2-512", Offer::Default, 64, false, || hmac::HMAC_SHA512),
];

const fn row(
    name: &'static str,
    offer: Offer,
    length: usize,
    etm: bool,
    algorithm: fn() -> hmac::Algorithm,
) -> MacAlgorithm {
    MacAlgorithm { name, offer, key_length: length, tag_length: length, encrypt_then_mac: etm, algorithm }
}

pub fn find_mac(name: &str) -> Option<&'static MacAlgorithm> {
    MACS.iter().find(|mac| mac.name == name)
}

/// A keyed MAC of one direction.
pub(super) struct Mac {
    key: hmac::Key,
    pub(super) tag_length: usize,
    pub(super) encrypt_then_mac: bool,
}

impl Mac {
    pub(super) fn new(algorithm: &MacAlgorithm, key: &[u8]) -> Result<Self> {
        if key.len() != algorithm.key_length {
            return Err(Error::internal("MAC key of the wrong length"));
        }
        Ok(Self {
            key: hmac::Key::new((algorithm.algorithm)(), key),
            tag_length: algorithm.tag_length,
            encrypt_then_mac: algorithm.encrypt_then_mac,
        })
    }

    fn tag(&self, sequence_number: u32, packet: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&sequence_number.to_be_bytes());
        context.update(packet);
        context.sign()
    }

    pub(super) fn sign(&self, sequence_number: u32, packet: &[u8], out: &mut [u8]) -> Result<()> {
        let tag = self.tag(sequence_number, packet);
        let tag = tag.as_ref().get(..out.len()).ok_or_else(|| Error::internal("MAC room of the wrong length"))?;
        out.copy_from_slice(tag);
        Ok(())
    }

    pub(super) fn verify(&self, sequence_number: u32, packet: &[u8], received: &[u8]) -> Result<()> {
        let tag = self.tag(sequence_number, packet);
        let equal = received.len() == self.tag_length
            && tag.as_ref().get(..self.tag_length).is_some_and(|tag| super::equal_in_constant_time(tag, received));
        if equal { Ok(()) } else { Err(super::bad_tag()) }
    }
}
