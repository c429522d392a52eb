//! The ciphers: one row each.

use super::mac::{Mac, MacAlgorithm};
use super::{Offer, Open, Seal, cbc, chacha, ctr, gcm};
use crate::error::{Error, Result};

pub struct CipherAlgorithm {
    pub name: &'static str,
    pub offer: Offer,
    pub key_length: usize,
    pub iv_length: usize,
    pub block_size: usize,
    /// It authenticates by itself: no MAC is negotiated.
    pub aead: bool,
    make: Make,
}

/// Key material of one direction.
pub(super) struct Material<'a> {
    pub key: &'a [u8],
    pub iv: &'a [u8],
    pub mac: Option<Mac>,
}

pub(super) struct Make {
    pub seal: fn(Material<'_>) -> Result<Box<dyn Seal>>,
    pub open: fn(Material<'_>) -> Result<Box<dyn Open>>,
}

/// In order of preference where the processor has AES instructions. Those that chain are for peers that have nothing
/// better.
pub static CIPHERS: &[CipherAlgorithm] = &[
    CipherAlgorithm {
        name: "aes128-gcm@openssh.com",
        offer: Offer::Strict,
        key_length: 16,
        iv_length: 12,
        block_size: 16,
        aead: true,
        make: gcm::MAKE,
    },
    CipherAlgorithm {
        name: "aes256-gcm@openssh.com",
        offer: Offer::Strict,
        key_length: 32,
        iv_length: 12,
        block_size: 16,
        aead: true,
        make: gcm::MAKE,
    },
    CipherAlgorithm {
        name: "chacha20-poly1305@openssh.com",
        offer: Offer::Strict,
        key_length: 64,
        iv_length: 0,
        block_size: 8,
        aead: true,
        make: chacha::MAKE,
    },
    counter_mode("aes128-ctr", 16),
    counter_mode("aes192-ctr", 24),
    counter_mode("aes256-ctr", 32),
    chained("aes256-cbc", 32, 16, cbc::AES),
    chained("aes192-cbc", 24, 16, cbc::AES),
    chained("aes128-cbc", 16, 16, cbc::AES),
    chained("3des-cbc", 24, 8, cbc::TRIPLE_DES),
];

const fn counter_mode(name: &'static str, key_length: usize) -> CipherAlgorithm {
    let (offer, aead) = (Offer::Strict, false);
    CipherAlgorithm { name, offer, key_length, iv_length: 16, block_size: 16, aead, make: ctr::MAKE }
}

const fn chained(name: &'static str, key_length: usize, block_size: usize, make: Make) -> CipherAlgorithm {
    let (offer, aead) = (Offer::ByName, false);
    CipherAlgorithm { name, offer, key_length, iv_length: block_size, block_size, aead, make }
}

pub fn find_cipher(name: &str) -> Option<&'static CipherAlgorithm> {
    CIPHERS.iter().find(|cipher| cipher.name == name)
}

/// The fastest for this processor first.
pub fn ciphers_by_preference() -> Vec<&'static CipherAlgorithm> {
    let mut rows: Vec<_> = CIPHERS.iter().collect();
    if !has_aes_instructions() {
        rows.sort_by_key(|row| !row.name.starts_with("chacha20"));
    }
    rows
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
fn has_aes_instructions() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
fn has_aes_instructions() -> bool {
    false
}

/// Protection of the packets that this side sends.
pub fn sealer(
    cipher: &CipherAlgorithm,
    mac: Option<&MacAlgorithm>,
    key: &[u8],
    iv: &[u8],
    mac_key: &[u8],
) -> Result<Box<dyn Seal>> {
    (cipher.make.seal)(material(cipher, mac, key, iv, mac_key)?)
}

/// Protection of the packets that the peer sends.
pub fn opener(
    cipher: &CipherAlgorithm,
    mac: Option<&MacAlgorithm>,
    key: &[u8],
    iv: &[u8],
    mac_key: &[u8],
) -> Result<Box<dyn Open>> {
    (cipher.make.open)(material(cipher, mac, key, iv, mac_key)?)
}

fn material<'a>(
    cipher: &CipherAlgorithm,
    mac: Option<&MacAlgorithm>,
    key: &'a [u8],
    iv: &'a [u8],
    mac_key: &[u8],
) -> Result<Material<'a>> {
    super::init();
    if key.len() != cipher.key_length || iv.len() != cipher.iv_length {
        return Err(Error::internal("cipher key or IV of the wrong length"));
    }
    let mac = match mac {
        Some(mac) if !cipher.aead => Some(Mac::new(mac, mac_key)?),
        None if cipher.aead => None,
        _ => return Err(Error::internal("a MAC with an AEAD cipher, or none without")),
    };
    Ok(Material { key, iv, mac })
}
