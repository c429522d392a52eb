//! Message authentication codes (RFC 4253 section 6.4, RFC 6668, and OpenSSH's encrypt-then-MAC names).

use super::Offer;
use super::md5_mac::HmacMd5;
use crate::error::{Error, Result};
use aws_lc_rs::hmac;

pub struct MacAlgorithm {
    pub name: &'static str,
    pub offer: Offer,
    pub key_length: usize,
    pub tag_length: usize,
    /// The MAC is over the ciphertext, and the length field stays in clear.
    pub encrypt_then_mac: bool,
    hash: MacHash,
}

#[derive(Clone, Copy)]
enum MacHash {
    Sha256,
    Sha512,
    Sha1,
    Md5,
}

/// In order of preference. Those over SHA-1 and MD5 are for peers that have nothing better.
#[rustfmt::skip]
pub static MACS: &[MacAlgorithm] = &[
    row("hmac-sha2-256-etm@openssh.com", 32, true,  MacHash::Sha256),
    row("hmac-sha2-512-etm@openssh.com", 64, true,  MacHash::Sha512),
    row("hmac-sha2-256",                 32, false, MacHash::Sha256),
    row("hmac-sha2-512",                 64, false, MacHash::Sha512),
    row("hmac-sha1-etm@openssh.com",     20, true,  MacHash::Sha1),
    row("hmac-sha1",                     20, false, MacHash::Sha1),
    row("hmac-sha1-96-etm@openssh.com",  12, true,  MacHash::Sha1),
    row("hmac-sha1-96",                  12, false, MacHash::Sha1),
    row("hmac-md5-etm@openssh.com",      16, true,  MacHash::Md5),
    row("hmac-md5",                      16, false, MacHash::Md5),
    row("hmac-md5-96-etm@openssh.com",   12, true,  MacHash::Md5),
    row("hmac-md5-96",                   12, false, MacHash::Md5),
];

/// The key is as long as the hash (RFC 6668 section 2), the tag perhaps shorter.
const fn row(name: &'static str, tag_length: usize, encrypt_then_mac: bool, hash: MacHash) -> MacAlgorithm {
    let (key_length, offer) = match hash {
        MacHash::Sha256 => (32, sha2(encrypt_then_mac)),
        MacHash::Sha512 => (64, sha2(encrypt_then_mac)),
        MacHash::Sha1 => (20, Offer::ByName),
        MacHash::Md5 => (16, Offer::ByName),
    };
    MacAlgorithm { name, offer, key_length, tag_length, encrypt_then_mac, hash }
}

const fn sha2(encrypt_then_mac: bool) -> Offer {
    if encrypt_then_mac { Offer::Strict } else { Offer::Default }
}

pub fn find_mac(name: &str) -> Option<&'static MacAlgorithm> {
    MACS.iter().find(|mac| mac.name == name)
}

/// HMAC-SHA1 of something small, which hides names in known_hosts.
pub fn hmac_sha1(key: &[u8], data: &[u8]) -> [u8; 20] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), data);
    let mut out = [0; 20];
    out.iter_mut().zip(tag.as_ref()).for_each(|(out, byte)| *out = *byte);
    out
}

/// A keyed MAC of one direction.
pub(super) struct Mac {
    key: Key,
    pub(super) tag_length: usize,
    pub(super) encrypt_then_mac: bool,
}

enum Key {
    Hmac(Box<hmac::Key>),
    Md5(HmacMd5),
}

impl Mac {
    pub(super) fn new(algorithm: &MacAlgorithm, key: &[u8]) -> Result<Self> {
        if key.len() != algorithm.key_length {
            return Err(Error::internal("MAC key of the wrong length"));
        }
        let key = match algorithm.hash {
            MacHash::Sha256 => Key::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key))),
            MacHash::Sha512 => Key::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA512, key))),
            MacHash::Sha1 => Key::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key))),
            MacHash::Md5 => Key::Md5(HmacMd5::new(key)?),
        };
        Ok(Self { key, tag_length: algorithm.tag_length, encrypt_then_mac: algorithm.encrypt_then_mac })
    }

    /// Hands the whole tag on, which may be cut.
    fn with_tag<T>(&mut self, sequence_number: u32, packet: &[u8], then: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let sequence_number = sequence_number.to_be_bytes();
        match &mut self.key {
            Key::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(&sequence_number);
                context.update(packet);
                then(context.sign().as_ref())
            }
            Key::Md5(key) => then(&key.tag([&sequence_number, packet])?),
        }
    }

    pub(super) fn sign(&mut self, sequence_number: u32, packet: &[u8], out: &mut [u8]) -> Result<()> {
        let tag_length = self.tag_length;
        self.with_tag(sequence_number, packet, |tag| match tag.get(..out.len()) {
            Some(tag) if tag.len() == tag_length => {
                out.copy_from_slice(tag);
                Ok(())
            }
            _ => Err(Error::internal("MAC room of the wrong length")),
        })
    }

    pub(super) fn verify(&mut self, sequence_number: u32, packet: &[u8], received: &[u8]) -> Result<()> {
        let tag_length = self.tag_length;
        self.with_tag(sequence_number, packet, |tag| {
            let equal = received.len() == tag_length
                && tag.get(..tag_length).is_some_and(|tag| super::equal_in_constant_time(tag, received));
            if equal { Ok(()) } else { Err(super::bad_tag()) }
        })
    }
}
