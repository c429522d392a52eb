//! The encryption of private key files: a key from a passphrase, and the ciphers as OpenSSH uses them there.

use crate::error::{Error, Result};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, error};
use zeroize::Zeroizing;

/// 2^20 rounds take hours; more would be a way to make a program hang with a key file.
pub const MAXIMUM_ROUNDS: u32 = if cfg!(feature = "fuzzing") { 32 } else { 1 << 20 };

#[derive(Debug, Clone, Copy)]
enum Mode {
    Counter(&'static Algorithm),
    Chaining(&'static Algorithm),
    Galois(&'static aws_lc_rs::aead::Algorithm),
    ChaCha20Poly1305,
}

#[derive(Debug)]
pub struct KeyFileCipher {
    pub name: &'static str,
    /// What is encrypted is padded to a multiple of this.
    pub block_size: usize,
    /// The tag that follows the encrypted part.
    pub tag_length: usize,
    key_length: usize,
    iv_length: usize,
    mode: Mode,
}

#[rustfmt::skip]
static CIPHERS: &[KeyFileCipher] = &[
    KeyFileCipher { name: "aes256-ctr", block_size: 16, tag_length: 0, key_length: 32, iv_length: 16, mode: Mode::Counter(&AES_256) },
    KeyFileCipher { name: "aes192-ctr", block_size: 16, tag_length: 0, key_length: 24, iv_length: 16, mode: Mode::Counter(&AES_192) },
    KeyFileCipher { name: "aes128-ctr", block_size: 16, tag_length: 0, key_length: 16, iv_length: 16, mode: Mode::Counter(&AES_128) },
    KeyFileCipher { name: "aes256-cbc", block_size: 16, tag_length: 0, key_length: 32, iv_length: 16, mode: Mode::Chaining(&AES_256) },
    KeyFileCipher { name: "aes192-cbc", block_size: 16, tag_length: 0, key_length: 24, iv_length: 16, mode: Mode::Chaining(&AES_192) },
    KeyFileCipher { name: "aes128-cbc", block_size: 16, tag_length: 0, key_length: 16, iv_length: 16, mode: Mode::Chaining(&AES_128) },
    KeyFileCipher { name: "aes256-gcm@openssh.com", block_size: 16, tag_length: 16, key_length: 32, iv_length: 12, mode: Mode::Galois(&AES_256_GCM) },
    KeyFileCipher { name: "aes128-gcm@openssh.com", block_size: 16, tag_length: 16, key_length: 16, iv_length: 12, mode: Mode::Galois(&AES_128_GCM) },
    KeyFileCipher { name: "chacha20-poly1305@openssh.com", block_size: 8, tag_length: 16, key_length: 64, iv_length: 0, mode: Mode::ChaCha20Poly1305 },
];

pub fn find_key_file_cipher(name: &str) -> Option<&'static KeyFileCipher> {
    CIPHERS.iter().find(|cipher| cipher.name == name)
}

/// Key and initial vector together, as bcrypt made them.
pub struct KeyFileSecret(Zeroizing<Vec<u8>>);

impl KeyFileCipher {
    /// The passphrase and the salt are not empty and `rounds` is within its bounds, or this is an error.
    pub fn derive(&self, passphrase: &[u8], salt: &[u8], rounds: u32) -> Result<KeyFileSecret> {
        if rounds == 0 || rounds > MAXIMUM_ROUNDS {
            return Err(Error::key_format(format!("{rounds} rounds of bcrypt are out of range")));
        }
        let mut secret = Zeroizing::new(vec![0; self.key_length + self.iv_length]);
        bcrypt_pbkdf::bcrypt_pbkdf(passphrase, salt, rounds, &mut secret)
            .map_err(|_| Error::key_format("the salt of the key file's bcrypt is empty"))?;
        Ok(KeyFileSecret(secret))
    }

    /// In place. `data` is a multiple of `block_size`. False: the tag does not fit.
    pub fn open(&self, secret: &KeyFileSecret, data: &mut [u8], tag: &[u8]) -> Result<bool> {
        let (key, iv) = self.split(secret)?;
        match self.mode {
            Mode::Counter(algorithm) => {
                let key = DecryptingKey::ctr(unbound(algorithm, key)?).map_err(broken)?;
                key.decrypt(data, DecryptionContext::Iv128(iv_128(iv)?)).map_err(broken)?;
            }
            Mode::Chaining(algorithm) => {
                let key = DecryptingKey::cbc(unbound(algorithm, key)?).map_err(broken)?;
                key.decrypt(data, DecryptionContext::Iv128(iv_128(iv)?)).map_err(broken)?;
            }
            Mode::Galois(algorithm) => {
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(broken)?);
                let nonce = Nonce::try_assume_unique_for_key(iv).map_err(broken)?;
                let sealed = data.to_vec();
                return Ok(key.open_separate_gather(nonce, Aad::empty(), &sealed, tag, data).is_ok());
            }
            Mode::ChaCha20Poly1305 => {
                let key = key.first_chunk().ok_or(Error::Internal("a short key".into()))?;
                if constant_time::verify_slices_are_equal(&poly1305_tag(key, data), tag).is_err() {
                    return Ok(false);
                }
                chacha20(key, 1, data);
            }
        }
        Ok(true)
    }

    /// In place; the tag is returned.
    pub fn seal(&self, secret: &KeyFileSecret, data: &mut [u8]) -> Result<Vec<u8>> {
        let (key, iv) = self.split(secret)?;
        match self.mode {
            Mode::Counter(algorithm) => {
                let key = EncryptingKey::ctr(unbound(algorithm, key)?).map_err(broken)?;
                key.less_safe_encrypt(data, EncryptionContext::Iv128(iv_128(iv)?)).map_err(broken)?;
            }
            Mode::Chaining(algorithm) => {
                let key = EncryptingKey::cbc(unbound(algorithm, key)?).map_err(broken)?;
                key.less_safe_encrypt(data, EncryptionContext::Iv128(iv_128(iv)?)).map_err(broken)?;
            }
            Mode::Galois(algorithm) => {
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(broken)?);
                let nonce = Nonce::try_assume_unique_for_key(iv).map_err(broken)?;
                let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), data).map_err(broken)?;
                return Ok(tag.as_ref().to_vec());
            }
            Mode::ChaCha20Poly1305 => {
                let key = key.first_chunk().ok_or(Error::Internal("a short key".into()))?;
                chacha20(key, 1, data);
                return Ok(poly1305_tag(key, data).to_vec());
            }
        }
        Ok(Vec::new())
    }

    fn split<'s>(&self, secret: &'s KeyFileSecret) -> Result<(&'s [u8], &'s [u8])> {
        secret.0.split_at_checked(self.key_length).ok_or_else(|| Error::internal("a secret of another cipher"))
    }
}

fn unbound(algorithm: &'static Algorithm, key: &[u8]) -> Result<UnboundCipherKey> {
    UnboundCipherKey::new(algorithm, key).map_err(broken)
}

fn iv_128(iv: &[u8]) -> Result<FixedLength<16>> {
    FixedLength::try_from(iv).map_err(broken)
}

fn broken(_: error::Unspecified) -> Error {
    Error::internal("a cipher of key files failed")
}

/// In place, with the nonce of packet number 0. The second half of the 64-byte key is for packet lengths, of which
/// files have none.
fn chacha20(key: &[u8; 32], counter: u32, data: &mut [u8]) {
    let nonce = [0_u8; 12];
    // SAFETY: input and output are the same live slice, which the function allows; key and nonce have the lengths
    // that it reads.
    unsafe {
        aws_lc_sys::CRYPTO_chacha_20(
            data.as_mut_ptr(),
            data.as_ptr(),
            data.len(),
            key.as_ptr(),
            nonce.as_ptr(),
            counter,
        );
    }
}

fn poly1305_tag(key: &[u8; 32], sealed: &[u8]) -> [u8; 16] {
    let mut one_time_key = Zeroizing::new([0; 32]);
    chacha20(key, 0, one_time_key.as_mut_slice());
    let mut state: aws_lc_sys::poly1305_state = [0; 512];
    let mut tag = [0; 16];
    // SAFETY: the state is used by these three calls alone and is as large as its type says; the key has 32 bytes,
    // the tag 16; pointer and length describe `sealed`.
    unsafe {
        aws_lc_sys::CRYPTO_poly1305_init(&mut state, one_time_key.as_ptr());
        aws_lc_sys::CRYPTO_poly1305_update(&mut state, sealed.as_ptr(), sealed.len());
        aws_lc_sys::CRYPTO_poly1305_finish(&mut state, tag.as_mut_ptr());
    }
    tag
}
