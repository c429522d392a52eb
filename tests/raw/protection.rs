//! How packets are sealed and opened, by the RustCrypto crates.

use aes::Aes256;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use ctr::Ctr128BE;
use hmac::{Hmac, Mac};
use poly1305::Poly1305;
use sha2::Sha256;

use super::peer::End;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    ChaCha,
    Gcm,
    CtrEtm,
    CtrMac,
}

impl Suite {
    pub const ALL: [Self; 4] = [Self::ChaCha, Self::Gcm, Self::CtrEtm, Self::CtrMac];

    pub fn cipher(self) -> &'static str {
        match self {
            Self::ChaCha => "chacha20-poly1305@openssh.com",
            Self::Gcm => "aes256-gcm@openssh.com",
            Self::CtrEtm | Self::CtrMac => "aes256-ctr",
        }
    }
    pub fn mac(self) -> &'static str {
        match self {
            Self::CtrMac => "hmac-sha2-256",
            _ => "hmac-sha2-256-etm@openssh.com",
        }
    }
    pub fn tag_length(self) -> usize {
        match self {
            Self::ChaCha | Self::Gcm => 16,
            Self::CtrEtm | Self::CtrMac => 32,
        }
    }
    pub fn lengths(self) -> (usize, usize, usize) {
        match self {
            Self::ChaCha => (0, 64, 0),
            Self::Gcm => (12, 32, 0),
            Self::CtrEtm | Self::CtrMac => (16, 32, 32),
        }
    }
}

pub enum Protection {
    Plain,
    ChaCha { main: [u8; 32], header: [u8; 32] },
    Gcm { cipher: Box<Aes256Gcm>, iv: [u8; 12] },
    Ctr { stream: Box<Ctr128BE<Aes256>>, mac_key: Vec<u8>, etm: bool },
}

impl Protection {
    pub fn new(suite: Suite, iv: &[u8], key: &[u8], mac_key: &[u8]) -> Self {
        match suite {
            Suite::ChaCha => {
                let (main, header) = key.split_at(32);
                Self::ChaCha { main: main.try_into().unwrap(), header: header.try_into().unwrap() }
            }
            Suite::Gcm => Self::Gcm {
                cipher: Box::new(Aes256Gcm::new(&Key::<Aes256Gcm>::try_from(key).unwrap())),
                iv: iv.try_into().unwrap(),
            },
            Suite::CtrEtm | Suite::CtrMac => Self::Ctr {
                stream: Box::new(Ctr128BE::new_from_slices(key, iv).unwrap()),
                mac_key: mac_key.to_vec(),
                etm: suite == Suite::CtrEtm,
            },
        }
    }

    pub fn block(&self) -> usize {
        match self {
            Self::Plain | Self::ChaCha { .. } => 8,
            Self::Gcm { .. } | Self::Ctr { .. } => 16,
        }
    }
    /// Whether the length field counts where packets are filled up to whole blocks.
    pub fn pads_length(&self) -> bool {
        matches!(self, Self::Plain | Self::Ctr { etm: false, .. })
    }

    /// `packet`: length, padding length, payload, padding, as they are to stand in it, right or wrong.
    pub fn seal(&mut self, sequence: u32, mut packet: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Plain => packet,
            Self::ChaCha { main, header } => {
                let nonce = u64::from(sequence).to_be_bytes();
                chacha(header, nonce, 0).apply_keystream(&mut packet[..4]);
                chacha(main, nonce, 1).apply_keystream(&mut packet[4..]);
                let tag = poly(main, nonce, &packet);
                packet.extend_from_slice(&tag);
                packet
            }
            Self::Gcm { cipher, iv } => {
                let (length, body) = packet.split_at(4);
                let sealed = cipher.encrypt(&Nonce::from(*iv), Payload { msg: body, aad: length }).unwrap();
                count_up(iv);
                [length, &sealed].concat()
            }
            Self::Ctr { stream, mac_key, etm: true } => {
                stream.apply_keystream(&mut packet[4..]);
                let tag = mac(mac_key, sequence, &packet);
                packet.extend_from_slice(&tag);
                packet
            }
            Self::Ctr { stream, mac_key, etm: false } => {
                let tag = mac(mac_key, sequence, &packet);
                stream.apply_keystream(&mut packet);
                packet.extend_from_slice(&tag);
                packet
            }
        }
    }

    /// One packet, without its length field. `read` gives the next so many bytes of the stream.
    pub fn open(&mut self, sequence: u32, read: &mut dyn FnMut(usize) -> Result<Vec<u8>, End>) -> Result<Vec<u8>, End> {
        let length = |field: &[u8]| {
            let length = u32::from_be_bytes(field.try_into().unwrap()) as usize;
            assert!((5..=262_144).contains(&length), "a packet of {length} bytes comes from the library");
            length
        };
        match self {
            Self::Plain => {
                let field = read(4)?;
                read(length(&field))
            }
            Self::ChaCha { main, header } => {
                let nonce = u64::from(sequence).to_be_bytes();
                let mut packet = read(4)?;
                let mut field = packet.clone();
                chacha(header, nonce, 0).apply_keystream(&mut field);
                packet.extend(read(length(&field))?);
                assert_eq!(read(16)?, poly(main, nonce, &packet), "the library's tag");
                chacha(main, nonce, 1).apply_keystream(&mut packet[4..]);
                Ok(packet.split_off(4))
            }
            Self::Gcm { cipher, iv } => {
                let field = read(4)?;
                let body = read(length(&field) + 16)?;
                let opened = cipher.decrypt(&Nonce::from(*iv), Payload { msg: &body, aad: &field });
                count_up(iv);
                Ok(opened.expect("the library's tag"))
            }
            Self::Ctr { stream, mac_key, etm: true } => {
                let mut packet = read(4)?;
                let body = length(&packet);
                packet.extend(read(body)?);
                assert_eq!(read(32)?, mac(mac_key, sequence, &packet), "the library's MAC");
                stream.apply_keystream(&mut packet[4..]);
                Ok(packet.split_off(4))
            }
            Self::Ctr { stream, mac_key, etm: false } => {
                let mut packet = read(16)?;
                stream.apply_keystream(&mut packet);
                let mut rest = read(4 + length(&packet[..4]) - 16)?;
                stream.apply_keystream(&mut rest);
                packet.extend(rest);
                assert_eq!(read(32)?, mac(mac_key, sequence, &packet), "the library's MAC");
                Ok(packet.split_off(4))
            }
        }
    }
}

fn chacha(key: &[u8; 32], nonce: [u8; 8], block: u64) -> ChaCha20Legacy {
    let mut stream = ChaCha20Legacy::new(key.into(), &nonce.into());
    stream.seek(block * 64);
    stream
}

fn poly(key: &[u8; 32], nonce: [u8; 8], sealed: &[u8]) -> Vec<u8> {
    let mut once = [0; 32];
    chacha(key, nonce, 0).apply_keystream(&mut once);
    Poly1305::new(&once.into()).compute_unpadded(sealed).to_vec()
}

fn mac(key: &[u8], sequence: u32, packet: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(&sequence.to_be_bytes());
    mac.update(packet);
    mac.finalize().into_bytes().to_vec()
}

/// The counter of aes-gcm@openssh.com: the last eight bytes.
fn count_up(iv: &mut [u8; 12]) {
    let (_, counter) = iv.split_at_mut(4);
    let next = u64::from_be_bytes((&*counter).try_into().unwrap()).wrapping_add(1);
    counter.copy_from_slice(&next.to_be_bytes());
}
