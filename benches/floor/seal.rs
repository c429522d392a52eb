//! Packets sealed and opened in place with AWS-LC, as the SSH ciphers do it.

use aws_lc_rs::aead::chacha20_poly1305_openssh::{OpeningKey, SealingKey};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use std::io;

const KEY: [u8; 64] = [7; 64];

/// One direction. A packet is length(4) | body | tag.
pub enum Cipher {
    Gcm { key: Box<LessSafeKey>, counter: u64 },
    ChaCha { seal: Box<SealingKey>, open: Box<OpeningKey>, number: u32 },
    Counter { key: Box<EncryptingKey>, mac: Box<hmac::Key>, counter: u128, number: u32 },
}

fn refused<E>(_: E) -> io::Error {
    io::Error::other("a packet could not be sealed or opened")
}

impl Cipher {
    pub fn new(name: &str) -> io::Result<Self> {
        let gcm = |algorithm, length: usize| -> io::Result<Self> {
            let key = UnboundKey::new(algorithm, &KEY[..length]).map_err(refused)?;
            Ok(Self::Gcm { key: Box::new(LessSafeKey::new(key)), counter: 0 })
        };
        let counter = |algorithm, length: usize| -> io::Result<Self> {
            let key = UnboundCipherKey::new(algorithm, &KEY[..length]).and_then(EncryptingKey::ctr).map_err(refused)?;
            let mac = hmac::Key::new(hmac::HMAC_SHA256, &KEY[..32]);
            Ok(Self::Counter { key: Box::new(key), mac: Box::new(mac), counter: 0, number: 0 })
        };
        match name {
            "aes128-gcm@openssh.com" => gcm(&AES_128_GCM, 16),
            "aes256-gcm@openssh.com" => gcm(&AES_256_GCM, 32),
            "chacha20-poly1305@openssh.com" => Ok(Self::ChaCha {
                seal: Box::new(SealingKey::new(&KEY)),
                open: Box::new(OpeningKey::new(&KEY)),
                number: 0,
            }),
            "aes128-ctr" => counter(&AES_128, 16),
            "aes192-ctr" => counter(&AES_192, 24),
            "aes256-ctr" => counter(&AES_256, 32),
            _ => Err(io::Error::other(format!("unsupported: cipher {name}"))),
        }
    }

    pub fn tag_length(&self) -> usize {
        if matches!(self, Self::Counter { .. }) { 32 } else { 16 }
    }

    pub fn seal(&mut self, packet: &mut [u8]) -> io::Result<()> {
        let at = packet.len() - self.tag_length();
        let (packet, tag) = packet.split_at_mut(at);
        match self {
            Self::Gcm { key, counter } => {
                let (length, body) = packet.split_at_mut(4);
                let made =
                    key.seal_in_place_separate_tag(nonce(counter), Aad::from(&*length), body).map_err(refused)?;
                tag.copy_from_slice(made.as_ref());
            }
            Self::ChaCha { seal, number, .. } => {
                seal.seal_in_place(*number, packet, tag.try_into().map_err(refused)?);
                *number += 1;
            }
            Self::Counter { key, mac, counter, number } => {
                apply(key, counter, &mut packet[4..])?;
                tag.copy_from_slice(sign(mac, number, packet).as_ref());
            }
        }
        Ok(())
    }

    /// The length that a packet begins with.
    pub fn length(&self, prefix: [u8; 4]) -> usize {
        let clear = match self {
            Self::ChaCha { open, number, .. } => open.decrypt_packet_length(*number, prefix),
            _ => prefix,
        };
        u32::from_be_bytes(clear) as usize
    }

    pub fn open(&mut self, packet: &mut [u8]) -> io::Result<()> {
        let at = packet.len() - self.tag_length();
        let (packet, tag) = packet.split_at_mut(at);
        match self {
            Self::Gcm { key, counter } => {
                let (length, body) = packet.split_at_mut(4);
                key.open_in_place_separate_tag(nonce(counter), Aad::from(&*length), tag, body).map_err(refused)?;
            }
            Self::ChaCha { open, number, .. } => {
                open.open_in_place(*number, packet, (&*tag).try_into().map_err(refused)?).map_err(refused)?;
                *number += 1;
            }
            Self::Counter { key, mac, counter, number } => {
                let right = sign(mac, number, packet);
                constant_time::verify_slices_are_equal(right.as_ref(), tag).map_err(refused)?;
                apply(key, counter, &mut packet[4..])?;
            }
        }
        Ok(())
    }
}

fn nonce(counter: &mut u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    *counter += 1;
    Nonce::assume_unique_for_key(bytes)
}

fn apply(key: &EncryptingKey, counter: &mut u128, body: &mut [u8]) -> io::Result<()> {
    let context = EncryptionContext::Iv128(FixedLength::from(counter.to_be_bytes()));
    key.less_safe_encrypt(body, context).map_err(refused)?;
    *counter += (body.len() / 16) as u128;
    Ok(())
}

fn sign(mac: &hmac::Key, number: &mut u32, packet: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(mac);
    context.update(&number.to_be_bytes());
    context.update(packet);
    *number += 1;
    context.sign()
}
