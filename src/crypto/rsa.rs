//! RSASSA-PKCS1-v1_5 over aws-lc-sys: aws-lc-rs stops at 8192 bits and wants the CRT exponents, which key files
//! of OpenSSH do not hold. Signing is blinded and in constant time; there is no decryption (RFC 8332).

use super::bignum::BigNumber;
use crate::error::{Error, Result};
use aws_lc_rs::digest;
use aws_lc_sys as sys;
use std::ffi::c_int;
use std::ptr::{NonNull, null_mut};
use zeroize::Zeroizing;

/// The public exponent of generated keys.
const EXPONENT: [u8; 3] = [1, 0, 1];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaHash {
    /// Of old peers only; collisions of it can be made.
    Sha1,
    Sha256,
    Sha512,
}

impl RsaHash {
    fn digest(self, data: &[u8]) -> digest::Digest {
        match self {
            Self::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data),
            Self::Sha256 => digest::digest(&digest::SHA256, data),
            Self::Sha512 => digest::digest(&digest::SHA512, data),
        }
    }

    fn identifier(self) -> c_int {
        match self {
            Self::Sha1 => sys::NID_sha1,
            Self::Sha256 => sys::NID_sha256,
            Self::Sha512 => sys::NID_sha512,
        }
    }
}

/// The numbers of a private key, big-endian, in the order of OpenSSH's key files.
pub struct RsaNumbers<T> {
    pub modulus: T,
    pub public_exponent: T,
    pub private_exponent: T,
    /// The inverse of `second_prime` modulo `first_prime`.
    pub coefficient: T,
    pub first_prime: T,
    pub second_prime: T,
}

/// A key, public or private, of the library.
pub struct RsaKey {
    key: NonNull<sys::RSA>,
    modulus_length: usize,
}

// SAFETY: the key is not tied to a thread, and after it was built only functions are called on it which rsa.h
// declares "non-mutating for thread-safety purposes": RSA_sign and RSA_verify, which lock what they cache.
unsafe impl Send for RsaKey {}
// SAFETY: as above.
unsafe impl Sync for RsaKey {}

impl RsaKey {
    /// The caller has checked the sizes; the modulus and the exponent must be odd, and the exponent above one.
    pub fn public(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let (n, e) = (BigNumber::from_bytes(modulus)?, BigNumber::from_bytes(exponent)?);
        // SAFETY: both numbers are alive; they are copied.
        let key = unsafe { sys::RSA_new_public_key_large_e(n.as_ptr(), e.as_ptr()) };
        Self::own(key, "the RSA public key is not valid")
    }

    /// Refused unless all numbers belong to each other. That the primes are prime is not tested.
    pub fn private(numbers: &RsaNumbers<&[u8]>) -> Result<Self> {
        let longest = numbers.modulus.len();
        let secrets = [numbers.private_exponent, numbers.coefficient, numbers.first_prime, numbers.second_prime];
        if secrets.iter().any(|secret| secret.len() > longest) {
            return Err(Error::key_format("a number of the RSA key is longer than its modulus"));
        }
        let n = BigNumber::from_bytes(numbers.modulus)?;
        let e = BigNumber::from_bytes(numbers.public_exponent)?;
        let d = BigNumber::from_bytes(numbers.private_exponent)?;
        let p = BigNumber::from_bytes(numbers.first_prime)?;
        let q = BigNumber::from_bytes(numbers.second_prime)?;
        let coefficient = BigNumber::from_bytes(numbers.coefficient)?;
        let first_exponent = d.modulo_predecessor_of(&p)?;
        let second_exponent = d.modulo_predecessor_of(&q)?;
        // SAFETY: all numbers are alive; they are copied.
        let key = unsafe {
            sys::RSA_new_private_key_large_e(
                n.as_ptr(),
                e.as_ptr(),
                d.as_ptr(),
                p.as_ptr(),
                q.as_ptr(),
                first_exponent.as_ptr(),
                second_exponent.as_ptr(),
                coefficient.as_ptr(),
            )
        };
        Self::own(key, "the RSA key's numbers do not fit together")
    }

    fn own(key: *mut sys::RSA, otherwise: &str) -> Result<Self> {
        let Some(key) = NonNull::new(key) else {
            forget_errors();
            return Err(Error::key_format(otherwise));
        };
        // SAFETY: the key is alive.
        let modulus_length = usize::try_from(unsafe { sys::RSA_size(key.as_ptr()) }).unwrap_or(0);
        Ok(Self { key, modulus_length })
    }

    /// False as well where `signature` is longer than the modulus. A shorter one is taken as a number: some
    /// implementations strip its leading zeros (RFC 8332 section 3 lets a verifier take that).
    pub fn verify(&self, hash: RsaHash, data: &[u8], signature: &[u8]) -> bool {
        let Some(missing) = self.modulus_length.checked_sub(signature.len()) else {
            return false;
        };
        let mut padded = vec![0; missing];
        padded.extend_from_slice(signature);
        let digest = hash.digest(data);
        let digest = digest.as_ref();
        // SAFETY: the pointers and lengths describe live slices; RSA_verify does not change the key (see `Sync`).
        let valid = unsafe {
            sys::RSA_verify(
                hash.identifier(),
                digest.as_ptr(),
                digest.len(),
                padded.as_ptr(),
                padded.len(),
                self.key.as_ptr(),
            )
        };
        if valid != 1 {
            forget_errors();
        }
        valid == 1
    }

    /// A signature is checked before it leaves: one that a fault made wrong would give the primes away.
    pub fn sign(&self, hash: RsaHash, data: &[u8]) -> Result<Vec<u8>> {
        let digest = hash.digest(data);
        let digest = digest.as_ref();
        let mut signature = vec![0; self.modulus_length];
        let mut length = 0;
        // SAFETY: the digest's pointer and length describe a live slice; `signature` has the RSA_size bytes that
        // RSA_sign writes at most; RSA_sign does not change the key (see `Sync`).
        let done = unsafe {
            sys::RSA_sign(
                hash.identifier(),
                digest.as_ptr(),
                digest.len(),
                signature.as_mut_ptr(),
                &mut length,
                self.key.as_ptr(),
            )
        };
        if done != 1 || usize::try_from(length).ok() != Some(signature.len()) {
            forget_errors();
            return Err(Error::internal("the RSA key could not sign"));
        }
        #[cfg(test)]
        tests::disturb(&mut signature);
        if !self.verify(hash, data, &signature) {
            return Err(Error::internal("an RSA signature came out wrong and was withheld"));
        }
        Ok(signature)
    }
}

impl Drop for RsaKey {
    fn drop(&mut self) {
        // SAFETY: the key is ours and is not used again; the library wipes its numbers.
        unsafe { sys::RSA_free(self.key.as_ptr()) }
    }
}

/// A new key. `bits` is a multiple of 128: the library would round down in silence.
pub fn generate(bits: u32) -> Result<RsaNumbers<Zeroizing<Vec<u8>>>> {
    let exponent = BigNumber::from_bytes(&EXPONENT)?;
    let bits = c_int::try_from(bits).map_err(|_| Error::argument("too many bits for an RSA key"))?;
    // SAFETY: takes nothing; what it returns is ours, and `RsaKey` sees to its end.
    let key = NonNull::new(unsafe { sys::RSA_new() }).ok_or(Error::NoMemory)?;
    let key = RsaKey { key, modulus_length: 0 };
    // SAFETY: key and exponent are alive, the key is ours alone, and no callback is given.
    let done = unsafe { sys::RSA_generate_key_ex(key.key.as_ptr(), bits, exponent.as_ptr(), null_mut()) };
    if done != 1 {
        forget_errors();
        return Err(Error::internal("an RSA key could not be generated"));
    }
    let rsa = key.key.as_ptr();
    // SAFETY: the key is alive until the end of this function, and so are the numbers that these return.
    unsafe {
        Ok(RsaNumbers {
            modulus: BigNumber::bytes_of(sys::RSA_get0_n(rsa))?,
            public_exponent: BigNumber::bytes_of(sys::RSA_get0_e(rsa))?,
            private_exponent: BigNumber::bytes_of(sys::RSA_get0_d(rsa))?,
            coefficient: BigNumber::bytes_of(sys::RSA_get0_iqmp(rsa))?,
            first_prime: BigNumber::bytes_of(sys::RSA_get0_p(rsa))?,
            second_prime: BigNumber::bytes_of(sys::RSA_get0_q(rsa))?,
        })
    }
}

/// The library keeps a queue of errors for each thread; what nobody reads should not stay in it.
fn forget_errors() {
    // SAFETY: takes nothing and touches only this thread's queue.
    unsafe { sys::ERR_clear_error() }
}

#[cfg(test)]
mod tests;
