//! Streamlined NTRU Prime with the parameters 761, 4591, 286 (the submission to NIST's third round, section 4.2; its
//! use in SSH: RFC 9941).
//!
//! Written here because what there is in Rust takes 12 ms for a key. Nothing branches on a secret or looks a secret up:
//! secrets meet only sums, products, shifts and masks. What is decoded, where there are divisions, is public.

mod encoding;
mod ring;
mod sort;

use crate::crypto::{HashAlgorithm, equal_in_constant_time};
use crate::error::{Error, Result};
use encoding::{ROUNDED_LENGTH, decode_public, decode_rounded, encode_public, encode_rounded, encode_small};
use ring::{Modular, P, Small, W};
use zeroize::{Zeroize, Zeroizing};

pub const PUBLIC_LENGTH: usize = encoding::PUBLIC_LENGTH;
pub const CIPHERTEXT_LENGTH: usize = ROUNDED_LENGTH + HASH_LENGTH;
const HASH_LENGTH: usize = 32;
const SMALL_LENGTH: usize = encoding::SMALL_LENGTH;

type Secret = Zeroizing<[u8; HASH_LENGTH]>;

pub struct SecretKey {
    f: Zeroizing<Small>,
    /// 1/g modulo 3.
    inverse: Zeroizing<Small>,
    /// Takes the place of the input where a ciphertext was not made for this key.
    decoy: Zeroizing<[u8; SMALL_LENGTH]>,
    public: [u8; PUBLIC_LENGTH],
    public_hash: [u8; HASH_LENGTH],
}

impl SecretKey {
    pub fn generate() -> Result<Self> {
        let (g, inverse) = loop {
            let g = random_small()?;
            // One in a hundred or so has no inverse; that it was thrown away tells nothing of the next.
            if let Some(inverse) = ring::inverse_modulo_3(&g) {
                break (g, inverse);
            }
        };
        let f = random_short()?;
        let h = ring::multiply(&ring::inverse_of_triple(&f), &g);
        let public = encode_public(&h);
        let mut decoy = Zeroizing::new([0; SMALL_LENGTH]);
        fill(decoy.as_mut_slice())?;
        let public_hash = *hash(4, &[&public]);
        Ok(Self { f, inverse, decoy, public, public_hash })
    }

    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// `None`: it has another length.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret> {
        let (rounded, _) = split(ciphertext)?;
        let r = self.decrypt(&decode_rounded(rounded));
        let mut input = Zeroizing::new(encode_small(&r));
        let again = Zeroizing::new(hide(&r, &input, &self.public, &self.public_hash));
        let valid = equal_in_constant_time(ciphertext, again.as_slice());
        // All ones where it is not.
        let mask = std::hint::black_box(u8::from(valid)).wrapping_sub(1);
        for (byte, decoy) in input.iter_mut().zip(self.decoy.iter()) {
            *byte ^= mask & (*byte ^ decoy);
        }
        Some(session(1 & !mask, &input, ciphertext))
    }

    fn decrypt(&self, c: &Modular) -> Zeroizing<Small> {
        let cf = Zeroizing::new(ring::multiply(c, &self.f));
        let e = Zeroizing::new(cf.map(|value| ring::modulo_3(ring::modulo_q(3 * i32::from(value)))));
        let mut r = ring::multiply_modulo_3(&e, &self.inverse);
        // A vector of another weight becomes one of this weight that everybody knows.
        let mask = std::hint::black_box(ring::weight_mask(&r));
        for (at, value) in r.iter_mut().enumerate() {
            *value = if at < W { ((*value ^ 1) & !mask) ^ 1 } else { *value & !mask };
        }
        r
    }
}

/// Ciphertext and secret; `None`: the public key has another length.
pub fn encapsulate(public: &[u8]) -> Option<(Vec<u8>, Secret)> {
    let public: &[u8; PUBLIC_LENGTH] = public.try_into().ok()?;
    let r = random_short().ok()?;
    let input = Zeroizing::new(encode_small(&r));
    let ciphertext = hide(&r, &input, public, &hash(4, &[public])).to_vec();
    let secret = session(1, &input, &ciphertext);
    Some((ciphertext, secret))
}

/// The ciphertext that belongs to an input: its encryption, and a hash that confirms it.
fn hide(
    r: &Small,
    input: &[u8; SMALL_LENGTH],
    public: &[u8; PUBLIC_LENGTH],
    public_hash: &[u8; HASH_LENGTH],
) -> [u8; CIPHERTEXT_LENGTH] {
    let product = Zeroizing::new(ring::multiply(&decode_public(public), r));
    let rounded = product.map(|value| value - i16::from(ring::modulo_3(value)));
    let mut ciphertext = [0; CIPHERTEXT_LENGTH];
    let (encrypted, confirmation) = ciphertext.split_at_mut(ROUNDED_LENGTH);
    encrypted.copy_from_slice(&encode_rounded(&rounded));
    confirmation.copy_from_slice(hash(2, &[hash(3, &[input]).as_slice(), public_hash]).as_slice());
    ciphertext
}

fn session(prefix: u8, input: &[u8; SMALL_LENGTH], ciphertext: &[u8]) -> Secret {
    hash(prefix, &[hash(3, &[input]).as_slice(), ciphertext])
}

/// The first half of SHA-512 over a prefix that says what is hashed.
fn hash(prefix: u8, pieces: &[&[u8]]) -> Secret {
    let mut hasher = crate::crypto::Hasher::new(HashAlgorithm::Sha512);
    hasher.update(&[prefix]);
    pieces.iter().for_each(|piece| hasher.update(piece));
    let mut digest = hasher.finish();
    let mut out = Zeroizing::new([0; HASH_LENGTH]);
    out.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    digest.zeroize();
    out
}

fn split(ciphertext: &[u8]) -> Option<(&[u8; ROUNDED_LENGTH], &[u8; HASH_LENGTH])> {
    let (rounded, confirmation) = ciphertext.split_first_chunk()?;
    Some((rounded, confirmation.try_into().ok()?))
}

fn fill(out: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(out).map_err(|_| Error::internal("no random numbers"))
}

fn random_words() -> Result<Zeroizing<[u32; P]>> {
    let mut bytes = Zeroizing::new([0; 4 * P]);
    fill(bytes.as_mut_slice())?;
    let mut words = Zeroizing::new([0; P]);
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    Ok(words)
}

/// Each coefficient one of -1, 0, 1.
fn random_small() -> Result<Zeroizing<Small>> {
    let words = random_words()?;
    Ok(Zeroizing::new(words.map(|word| (((word & 0x3fff_ffff) * 3) >> 30) as i8 - 1)))
}

/// W coefficients are 1 or -1, the others 0: their places are those where sorting random numbers puts them.
fn random_short() -> Result<Zeroizing<Small>> {
    let mut words = random_words()?;
    for (at, word) in words.iter_mut().enumerate() {
        *word = if at < W { *word & !1 } else { *word & !3 | 1 };
    }
    sort::sort(words.as_mut_slice());
    Ok(Zeroizing::new(words.map(|word| (word & 3) as i8 - 1)))
}

#[cfg(test)]
mod tests;
