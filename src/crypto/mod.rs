//! Primitives over AWS-LC, behind small traits and static tables in order of preference. Nothing outside
//! this room names a cryptographic library.

mod bignum;
mod cbc;
mod chacha;
mod cipher;
mod ctr;
mod derive;
mod gcm;
mod hash;
mod kex;
pub mod key_file;
mod mac;
mod md5_mac;
mod offer;
mod plain;
mod random;
mod rsa;
pub mod signature;
mod with_mac;

pub use cipher::{CIPHERS, CipherAlgorithm, ciphers_by_preference, find_cipher, opener, sealer};
pub use derive::derive_key;
pub use hash::{Digest, HashAlgorithm, Hasher};
pub use kex::{
    ClientExchange, KEX_ALGORITHMS, KexAlgorithm, KexMethod, LARGEST_GROUP, ModpGroup, ModpKeyPair, OneRound,
    SMALLEST_GROUP, SharedSecret, choose_group, find_kex, load_moduli,
};
pub use mac::{MACS, MacAlgorithm, find_mac, hmac_sha1};
pub use offer::{Offer, Policy};
pub use plain::{plain_opener, plain_sealer};
pub use random::{RandomSource, SystemRandom, random_bytes};
pub use signature::{SIGNATURES, SignatureAlgorithm, find_signature};

use crate::error::{Error, Result};

/// Lets AWS-LC look at the processor. Without it some primitives stay on their slow paths.
pub fn init() {
    aws_lc_rs::init();
}

/// Protects the packets of one direction: cipher and MAC joined, keys and counters inside.
pub trait Seal: Send {
    fn tag_length(&self) -> usize;
    fn block_size(&self) -> usize;
    /// Whether the length field counts in the rule that a packet is a multiple of the block size
    /// (no AEAD, no encrypt-then-MAC).
    fn pads_length_field(&self) -> bool;
    /// In place. `packet`: length (4), padding length, payload, padding, and room for the tag.
    fn seal(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()>;
}

/// Opens the packets of one direction.
pub trait Open: Send {
    fn tag_length(&self) -> usize;
    fn block_size(&self) -> usize;
    fn pads_length_field(&self) -> bool;
    /// How many bytes must have arrived before the length can be read.
    fn prefix_length(&self) -> usize;
    /// Reads packet_length from the first `prefix_length` bytes; called exactly once a packet, for it
    /// decrypts the first block in place where the cipher hides the length there. The caller checks bounds.
    fn packet_length(&mut self, sequence_number: u32, prefix: &mut [u8]) -> Result<u32>;
    /// In place. `packet`: length (4), `packet_length` bytes, tag. Afterwards all but the length and the
    /// tag is plain.
    fn open(&mut self, sequence_number: u32, packet: &mut [u8]) -> Result<()>;
    /// Whether nobody may learn which length a forged packet had: the length is what some block decrypts to, which
    /// was perhaps copied from another packet (CVE-2008-5161). Then every forged packet has to end in the same way,
    /// after the same number of bytes and the same work.
    fn guards_length(&self) -> bool {
        false
    }
    /// The work of opening so many bytes, for packets that are not opened. Nothing can be opened afterwards.
    fn spend(&mut self, _length: usize) {}
}

pub fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn bad_tag() -> Error {
    Error::integrity("a packet failed its authentication")
}

fn short_packet() -> Error {
    Error::protocol("a packet is too short for its cipher")
}

/// Length field, body, tag.
fn split_packet(packet: &mut [u8], tag_length: usize) -> Result<(&mut [u8], &mut [u8], &mut [u8])> {
    let at = packet.len().checked_sub(tag_length).filter(|at| *at >= 4).ok_or_else(short_packet)?;
    let (packet, tag) = packet.split_at_mut(at);
    let (length, body) = packet.split_at_mut(4);
    Ok((length, body, tag))
}

fn clear_length(prefix: &[u8]) -> Result<u32> {
    prefix.first_chunk::<4>().map(|length| u32::from_be_bytes(*length)).ok_or_else(short_packet)
}

#[cfg(test)]
mod tests;
