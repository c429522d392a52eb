//! The signature algorithms (RFC 8709, RFC 5656, RFC 8332, RFC 4253, PROTOCOL.u2f of OpenSSH): one table, and keys that verify and sign with them.

pub use super::rsa::{RsaHash, RsaNumbers};
use super::{Offer, rsa};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm,
    EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey,
};
use aws_lc_rs::{digest, error};
use zeroize::Zeroizing;

pub const ED25519_KEY_TYPE: &str = "ssh-ed25519";
pub const RSA_KEY_TYPE: &str = "ssh-rsa";
pub const ED25519_KEY_LENGTH: usize = 32;
const ED25519_SIGNATURE_LENGTH: usize = 64;
/// Keys in security keys: the application that the key is for stands in the key, and is signed with the message.
pub const SK_ED25519_KEY_TYPE: &str = "sk-ssh-ed25519@openssh.com";
pub const SK_ECDSA_KEY_TYPE: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

/// What is done with the data, apart from the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Ed25519,
    Ecdsa(Curve),
    Rsa(RsaHash),
}

#[derive(Debug)]
pub struct SignatureAlgorithm {
    /// As it stands in signatures, in KEXINIT and in authentication requests.
    pub name: &'static str,
    pub offer: Offer,
    /// As it stands in the blobs of the keys that it fits.
    pub key_type: &'static str,
    pub scheme: Scheme,
}

/// In the order of preference.
#[rustfmt::skip]
pub static SIGNATURES: &[SignatureAlgorithm] = &[
    SignatureAlgorithm { name: ED25519_KEY_TYPE,      offer: Offer::Strict,  key_type: ED25519_KEY_TYPE,      scheme: Scheme::Ed25519 },
    SignatureAlgorithm { name: "ecdsa-sha2-nistp256", offer: Offer::Default, key_type: "ecdsa-sha2-nistp256", scheme: Scheme::Ecdsa(Curve::P256) },
    SignatureAlgorithm { name: "ecdsa-sha2-nistp384", offer: Offer::Default, key_type: "ecdsa-sha2-nistp384", scheme: Scheme::Ecdsa(Curve::P384) },
    SignatureAlgorithm { name: "ecdsa-sha2-nistp521", offer: Offer::Default, key_type: "ecdsa-sha2-nistp521", scheme: Scheme::Ecdsa(Curve::P521) },
    SignatureAlgorithm { name: SK_ED25519_KEY_TYPE,   offer: Offer::Strict,  key_type: SK_ED25519_KEY_TYPE,   scheme: Scheme::Ed25519 },
    SignatureAlgorithm { name: SK_ECDSA_KEY_TYPE,     offer: Offer::Default, key_type: SK_ECDSA_KEY_TYPE,     scheme: Scheme::Ecdsa(Curve::P256) },
    SignatureAlgorithm { name: "rsa-sha2-512",        offer: Offer::Strict,  key_type: RSA_KEY_TYPE,          scheme: Scheme::Rsa(RsaHash::Sha512) },
    SignatureAlgorithm { name: "rsa-sha2-256",        offer: Offer::Strict,  key_type: RSA_KEY_TYPE,          scheme: Scheme::Rsa(RsaHash::Sha256) },
    SignatureAlgorithm { name: RSA_KEY_TYPE,          offer: Offer::ByName,  key_type: RSA_KEY_TYPE,          scheme: Scheme::Rsa(RsaHash::Sha1) },
];

pub fn find_signature(name: &str) -> Option<&'static SignatureAlgorithm> {
    SIGNATURES.iter().find(|algorithm| algorithm.name == name)
}

/// The curves of RFC 5656 section 10.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    pub fn from_key_type(key_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.key_type() == key_type)
    }

    pub fn from_bits(bits: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.bits() == bits)
    }

    /// As it stands in key blobs beside the key type.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    pub fn key_type(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
            Self::P521 => "ecdsa-sha2-nistp521",
        }
    }

    pub fn bits(self) -> u32 {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// The length of a coordinate, and of a number modulo the group's order.
    pub fn field_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn verifying(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }
}

/// The public half of a key, checked and ready.
pub enum VerifyingKey {
    Ed25519(ParsedPublicKey),
    Ecdsa(Curve, ParsedPublicKey),
    Rsa { key: rsa::RsaKey, bits: u32 },
}

impl VerifyingKey {
    pub fn ed25519(public: &[u8]) -> Result<Self> {
        if public.len() != ED25519_KEY_LENGTH {
            return Err(Error::key_format("an Ed25519 key is not of 32 bytes"));
        }
        let key = ParsedPublicKey::new(&ED25519, public).map_err(|_| Error::key_format("not an Ed25519 key"))?;
        Ok(Self::Ed25519(key))
    }

    /// `point`: uncompressed, on the curve (SEC 1 section 2.3.3).
    pub fn ecdsa(curve: Curve, point: &[u8]) -> Result<Self> {
        // The library would take compressed points, which RFC 5656 section 3.1 makes optional and nobody sends:
        // one key would then have two blobs.
        if point.len() != 1 + 2 * curve.field_length() || point.first() != Some(&4) {
            return Err(Error::key_format(format!(
                "the point of an ECDSA key on {} is not uncompressed",
                curve.name()
            )));
        }
        let key = ParsedPublicKey::new(curve.verifying(), point)
            .map_err(|_| Error::key_format(format!("the point of an ECDSA key is not on {}", curve.name())))?;
        Ok(Self::Ecdsa(curve, key))
    }

    /// Big-endian, without leading zeros. `bits`: of the modulus.
    pub fn rsa(modulus: &[u8], exponent: &[u8], bits: u32) -> Result<Self> {
        Ok(Self::Rsa { key: rsa::RsaKey::public(modulus, exponent)?, bits })
    }

    pub fn bits(&self) -> u32 {
        match self {
            Self::Ed25519(_) => 256,
            Self::Ecdsa(curve, _) => curve.bits(),
            Self::Rsa { bits, .. } => *bits,
        }
    }

    /// `signature`: what stands in a signature blob after the algorithm's name.
    pub fn verify(&self, scheme: Scheme, data: &[u8], signature: &[u8]) -> Result<()> {
        let valid = match (self, scheme) {
            (Self::Ed25519(key), Scheme::Ed25519) => {
                signature.len() == ED25519_SIGNATURE_LENGTH && key.verify_sig(data, signature).is_ok()
            }
            (Self::Ecdsa(curve, key), Scheme::Ecdsa(wanted)) if *curve == wanted => {
                key.verify_sig(data, &fixed_ecdsa_signature(*curve, signature)?).is_ok()
            }
            (Self::Rsa { key, .. }, Scheme::Rsa(hash)) => key.verify(hash, data, signature),
            _ => return Err(misfit()),
        };
        if valid { Ok(()) } else { Err(Error::integrity("the signature is not valid")) }
    }
}

fn misfit() -> Error {
    Error::algorithm("the signature algorithm does not fit the key")
}

/// From `mpint r, mpint s` (RFC 5656 section 3.1.2) to both numbers at the field's length.
fn fixed_ecdsa_signature(curve: Curve, signature: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(signature);
    let (r, s) = (reader.mpint()?, reader.mpint()?);
    reader.finish()?;
    let mut fixed = Vec::with_capacity(2 * curve.field_length());
    for number in [r, s] {
        put_padded(&mut fixed, number, curve.field_length())
            .ok_or_else(|| Error::protocol("a number of an ECDSA signature is too long"))?;
    }
    Ok(fixed)
}

/// Appends a number with leading zeros up to `length`; nothing, where it is longer.
fn put_padded(out: &mut Vec<u8>, number: &[u8], length: usize) -> Option<()> {
    let missing = length.checked_sub(number.len())?;
    out.resize(out.len() + missing, 0);
    out.extend_from_slice(number);
    Some(())
}

/// The private half of a key.
pub enum SigningKey {
    Ed25519(Ed25519KeyPair),
    Ecdsa(Curve, EcdsaKeyPair),
    Rsa(rsa::RsaKey),
}

impl SigningKey {
    /// Refused unless `public` belongs to `seed`; signing uses only what is derived from the seed.
    pub fn ed25519(seed: &[u8], public: &[u8]) -> Result<Self> {
        if seed.len() != ED25519_KEY_LENGTH {
            return Err(Error::key_format("an Ed25519 private key is not of 32 bytes"));
        }
        Ed25519KeyPair::from_seed_and_public_key(seed, public)
            .map(Self::Ed25519)
            .map_err(|_| Error::key_format("the public half of the Ed25519 key does not belong to the private one"))
    }

    /// Refused unless `point` belongs to `scalar` (big-endian, without leading zeros).
    pub fn ecdsa(curve: Curve, scalar: &[u8], point: &[u8]) -> Result<Self> {
        let mut padded = Zeroizing::new(Vec::with_capacity(curve.field_length()));
        put_padded(&mut padded, scalar, curve.field_length())
            .ok_or_else(|| Error::key_format("the private number of the ECDSA key is too long"))?;
        EcdsaKeyPair::from_private_key_and_public_key(curve.signing(), &padded, point)
            .map(|key| Self::Ecdsa(curve, key))
            .map_err(|_| Error::key_format("the public half of the ECDSA key does not belong to the private one"))
    }

    pub fn rsa(numbers: &RsaNumbers<&[u8]>) -> Result<Self> {
        Ok(Self::Rsa(rsa::RsaKey::private(numbers)?))
    }

    /// What stands in a signature blob after the algorithm's name.
    pub fn sign(&self, scheme: Scheme, data: &[u8]) -> Result<Vec<u8>> {
        match (self, scheme) {
            (Self::Ed25519(key), Scheme::Ed25519) => key.try_sign(data).map(|s| s.as_ref().to_vec()).map_err(unsigned),
            (Self::Ecdsa(curve, key), Scheme::Ecdsa(wanted)) if *curve == wanted => {
                let fixed = key.sign(&SystemRandom::new(), data).map_err(unsigned)?;
                let (r, s) = fixed
                    .as_ref()
                    .split_at_checked(curve.field_length())
                    .ok_or_else(|| Error::internal("an ECDSA signature is too short"))?;
                Ok(Writer::new().mpint(r).mpint(s).finish())
            }
            (Self::Rsa(key), Scheme::Rsa(hash)) => key.sign(hash, data),
            _ => Err(misfit()),
        }
    }
}

fn unsigned(_: error::Unspecified) -> Error {
    Error::internal("the key could not sign")
}

fn not_generated(_: error::Unspecified) -> Error {
    Error::internal("a key could not be generated")
}

/// A key's private half and its public half.
pub type GeneratedKey = (Zeroizing<Vec<u8>>, Vec<u8>);

/// Seed and public key.
pub fn generate_ed25519() -> Result<GeneratedKey> {
    let key = Ed25519KeyPair::generate().map_err(not_generated)?;
    let seed: Curve25519SeedBin<'_> = key.seed().and_then(|seed| seed.as_be_bytes()).map_err(not_generated)?;
    Ok((Zeroizing::new(seed.as_ref().to_vec()), key.public_key().as_ref().to_vec()))
}

/// Scalar and uncompressed point.
pub fn generate_ecdsa(curve: Curve) -> Result<GeneratedKey> {
    let key = EcdsaKeyPair::generate(curve.signing()).map_err(not_generated)?;
    let scalar: EcPrivateKeyBin<'_> = key.private_key().as_be_bytes().map_err(not_generated)?;
    Ok((Zeroizing::new(scalar.as_ref().to_vec()), key.public_key().as_ref().to_vec()))
}

pub fn generate_rsa(bits: u32) -> Result<RsaNumbers<Zeroizing<Vec<u8>>>> {
    rsa::generate(bits)
}

/// For fingerprints, and for what a security key signs.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, data).as_ref()) {
        *to = *from;
    }
    out
}

/// For fingerprints as they were before SHA-256; nothing is trusted by it.
pub fn md5(data: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    // SAFETY: pointer and length describe `data`; MD5 writes its 16 bytes to `out`; a null length and a null engine
    // are allowed. It fails only when memory runs out, and then `out` stays zero.
    unsafe {
        aws_lc_sys::EVP_Digest(
            data.as_ptr().cast(),
            data.len(),
            out.as_mut_ptr(),
            std::ptr::null_mut(),
            aws_lc_sys::EVP_md5(),
            std::ptr::null_mut(),
        );
    }
    out
}

#[cfg(test)]
mod tests;
