use super::{PrivateKey, RSA_BITS, SignatureRules};
use crate::crypto::signature::{Curve, ED25519_KEY_TYPE, RSA_KEY_TYPE, generate_ecdsa, generate_ed25519, generate_rsa};
use crate::error::{Error, Result};
use crate::wire::{put_mpint, put_string};
use zeroize::Zeroizing;

/// As ssh-keygen.
const DEFAULT_RSA_BITS: u32 = 3072;
/// The library makes moduli of multiples of this only.
const RSA_BITS_STEP: u32 = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    Ed25519,
    /// 256, 384 or 521 bits: the curve.
    Ecdsa(u32),
    Rsa,
}

impl PrivateKey {
    /// A new key without a comment. `bits` is for RSA, 0 for the default, and otherwise 0 or what the type has.
    pub fn generate(key_type: KeyType, bits: u32) -> Result<Self> {
        match key_type {
            KeyType::Ed25519 => {
                check_bits(bits, 256)?;
                ed25519()
            }
            KeyType::Ecdsa(size) => {
                check_bits(bits, size)?;
                let curve = Curve::from_bits(size)
                    .ok_or_else(|| Error::argument(format!("ECDSA keys have 256, 384 or 521 bits, not {size}")))?;
                ecdsa(curve)
            }
            KeyType::Rsa => rsa(if bits == 0 { DEFAULT_RSA_BITS } else { bits }),
        }
    }
}

fn check_bits(bits: u32, only: u32) -> Result<()> {
    if bits == 0 || bits == only {
        Ok(())
    } else {
        Err(Error::argument(format!("a key of this type has {only} bits, not {bits}")))
    }
}

fn ed25519() -> Result<PrivateKey> {
    let (seed, public) = generate_ed25519()?;
    let pair = Zeroizing::new([seed.as_slice(), &public].concat());
    let mut fields = secret_fields(128);
    put_string(&mut fields, &public);
    put_string(&mut fields, &pair);
    PrivateKey::from_fields(ED25519_KEY_TYPE, fields)
}

fn ecdsa(curve: Curve) -> Result<PrivateKey> {
    let (scalar, point) = generate_ecdsa(curve)?;
    let mut fields = secret_fields(4 * curve.field_length() + 64);
    put_string(&mut fields, curve.name().as_bytes());
    put_string(&mut fields, &point);
    put_mpint(&mut fields, &scalar);
    PrivateKey::from_fields(curve.key_type(), fields)
}

fn rsa(bits: u32) -> Result<PrivateKey> {
    let (least, most) = (SignatureRules::MINIMUM_RSA_BITS, *RSA_BITS.end());
    if !(least..=most).contains(&bits) || !bits.is_multiple_of(RSA_BITS_STEP) {
        let range = format!("from {least} to {most} bits");
        return Err(Error::argument(format!("RSA keys are generated with {range} in steps of {RSA_BITS_STEP}")));
    }
    let numbers = generate_rsa(bits)?;
    let mut fields = secret_fields(5 * numbers.modulus.len());
    put_mpint(&mut fields, &numbers.modulus);
    put_mpint(&mut fields, &numbers.public_exponent);
    put_mpint(&mut fields, &numbers.private_exponent);
    put_mpint(&mut fields, &numbers.coefficient);
    put_mpint(&mut fields, &numbers.first_prime);
    put_mpint(&mut fields, &numbers.second_prime);
    PrivateKey::from_fields(RSA_KEY_TYPE, fields)
}

/// With enough room that nothing secret is left behind by growing.
fn secret_fields(capacity: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(capacity))
}
