//! The file format "openssh-key-v1" (PROTOCOL.key of OpenSSH).

use super::private::read_fields;
use super::{PrivateKey, PublicKey, armour, damaged};
use crate::crypto::key_file::{self, KeyFileCipher, find_key_file_cipher};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer, clean, put_string, put_u32};
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"openssh-key-v1\0";
const PLAIN_BLOCK_SIZE: usize = 8;
/// Padding never fills a whole block.
const LARGEST_BLOCK_SIZE: usize = 16;
const WRITTEN_CIPHER: &str = "aes256-ctr";
const SALT_LENGTH: usize = 16;
/// Of bcrypt; 24 as ssh-keygen since OpenSSH 9.4.
pub const DEFAULT_ROUNDS: u32 = 24;

/// The outer part, which is never encrypted.
struct Container<'a> {
    cipher: &'a str,
    derivation: &'a str,
    derivation_options: &'a [u8],
    public: &'a [u8],
    private: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Container<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        let bytes =
            bytes.strip_prefix(MAGIC).ok_or_else(|| Error::key_format("not a key of version openssh-key-v1"))?;
        Self::parse_fields(&mut Reader::new(bytes)).map_err(|error| match error {
            Error::Protocol(_) => damaged("the private key file", &error),
            other => other,
        })
    }

    fn parse_fields(reader: &mut Reader<'a>) -> Result<Self> {
        let cipher = reader.ascii()?;
        let derivation = reader.ascii()?;
        let derivation_options = reader.string()?;
        let keys = reader.u32()?;
        if keys != 1 {
            return Err(Error::key_format(format!("a file with {keys} private keys in it, which must be one")));
        }
        let public = reader.string()?;
        let private = reader.string()?;
        Ok(Self { cipher, derivation, derivation_options, public, private, tag: reader.rest() })
    }

    fn is_encrypted(&self) -> bool {
        self.cipher != "none"
    }

    /// The private part in the clear.
    fn open(&self, passphrase: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>> {
        let mut private = Zeroizing::new(self.private.to_vec());
        if !self.is_encrypted() {
            if self.derivation != "none" || !self.derivation_options.is_empty() || !self.tag.is_empty() {
                return Err(Error::key_format("a private key file without a cipher, yet with what belongs to one"));
            }
            check_block_size(&private, PLAIN_BLOCK_SIZE)?;
            return Ok(private);
        }
        let cipher = find_key_file_cipher(self.cipher).ok_or_else(|| {
            let name = clean(self.cipher.as_bytes(), 64);
            Error::unsupported(format!("private keys encrypted with '{name}' are not supported"))
        })?;
        if self.derivation != "bcrypt" {
            let name = clean(self.derivation.as_bytes(), 64);
            return Err(Error::unsupported(format!("private keys with passphrases by '{name}' are not supported")));
        }
        let (salt, rounds) = self.bcrypt_options()?;
        check_block_size(&private, cipher.block_size)?;
        if self.tag.len() != cipher.tag_length {
            return Err(Error::key_format("the private key file is damaged: its tag has a wrong length"));
        }
        let passphrase = passphrase
            .filter(|passphrase| !passphrase.is_empty())
            .ok_or_else(|| Error::Passphrase("the private key is encrypted and no passphrase was given".into()))?;
        let secret = cipher.derive(passphrase, salt, rounds)?;
        if !cipher.open(&secret, &mut private, self.tag)? {
            return Err(wrong_passphrase());
        }
        Ok(private)
    }

    fn bcrypt_options(&self) -> Result<(&'a [u8], u32)> {
        let mut reader = Reader::new(self.derivation_options);
        let mut read = || {
            let options = (reader.string()?, reader.u32()?);
            reader.finish().map(|()| options)
        };
        let (salt, rounds) = read().map_err(|error| damaged("the private key file", &error))?;
        if salt.is_empty() || rounds == 0 || rounds > key_file::MAXIMUM_ROUNDS {
            return Err(Error::key_format(format!("the private key file asks for {rounds} rounds of bcrypt")));
        }
        Ok((salt, rounds))
    }
}

fn wrong_passphrase() -> Error {
    Error::Passphrase("the passphrase of the private key is wrong".into())
}

fn check_block_size(private: &[u8], block_size: usize) -> Result<()> {
    if !private.is_empty() && private.len().is_multiple_of(block_size) {
        Ok(())
    } else {
        Err(Error::key_format("the private key file is damaged: its private part is cut"))
    }
}

pub fn read(text: &[u8], passphrase: Option<&[u8]>) -> Result<PrivateKey> {
    let bytes = armour::decode(text)?;
    let container = Container::parse(&bytes)?;
    // Before the passphrase is asked for: a key that we could not use needs none.
    let public = PublicKey::from_blob(container.public)?;
    let private = container.open(passphrase)?;
    let mut reader = Reader::new(&private);
    let checks = (reader.u32().map_err(cut)?, reader.u32().map_err(cut)?);
    if checks.0 != checks.1 {
        return Err(if container.is_encrypted() {
            wrong_passphrase()
        } else {
            Error::key_format("the private key file is damaged: its check numbers differ")
        });
    }
    let key = read_private(&mut reader)?;
    if *key.public() != public {
        return Err(Error::key_format("the public half in the file does not belong to the private one"));
    }
    Ok(key)
}

fn cut(error: Error) -> Error {
    damaged("the private key file", &error)
}

/// Type, fields, comment and padding.
fn read_private(reader: &mut Reader<'_>) -> Result<PrivateKey> {
    let key_type = reader.ascii().map_err(cut)?;
    let mut after = *reader;
    let (public, key) = read_fields(key_type, &mut after)?;
    let length = reader.remaining() - after.remaining();
    let fields = Zeroizing::new(reader.bytes(length).map_err(cut)?.to_vec());
    let comment = reader.string().map_err(cut)?;
    let padding = reader.rest();
    let is_counted = padding.iter().zip(1_u8..).all(|(byte, count)| *byte == count);
    if !is_counted || padding.len() >= LARGEST_BLOCK_SIZE {
        return Err(Error::key_format("the private key file is damaged: its padding is wrong"));
    }
    Ok(PrivateKey::from_parts(public, key, fields).with_comment(&String::from_utf8_lossy(comment)))
}

pub fn write(key: &PrivateKey, passphrase: Option<&[u8]>, rounds: u32) -> Result<Zeroizing<String>> {
    let Some(passphrase) = passphrase else {
        let private = private_part(key, PLAIN_BLOCK_SIZE)?;
        return container_text(&Container {
            cipher: "none",
            derivation: "none",
            derivation_options: &[],
            public: key.public().blob(),
            private: &private,
            tag: &[],
        });
    };
    if passphrase.is_empty() {
        return Err(Error::argument("an empty passphrase protects nothing; give none for a plain file"));
    }
    let rounds = if rounds == 0 { DEFAULT_ROUNDS } else { rounds };
    if rounds > key_file::MAXIMUM_ROUNDS {
        return Err(Error::argument(format!("at most {} rounds of bcrypt", key_file::MAXIMUM_ROUNDS)));
    }
    let cipher = find_key_file_cipher(WRITTEN_CIPHER).ok_or_else(|| Error::internal("no cipher for key files"))?;
    encrypted(key, cipher, passphrase, rounds)
}

/// With any of the ciphers; `passphrase` is not empty.
pub(super) fn encrypted(
    key: &PrivateKey,
    cipher: &KeyFileCipher,
    passphrase: &[u8],
    rounds: u32,
) -> Result<Zeroizing<String>> {
    let salt = crate::crypto::random_bytes::<SALT_LENGTH>()?;
    let mut private = private_part(key, cipher.block_size)?;
    let tag = cipher.seal(&cipher.derive(passphrase, &salt, rounds)?, &mut private)?;
    let options = Writer::new().string(salt).u32(rounds).finish();
    container_text(&Container {
        cipher: cipher.name,
        derivation: "bcrypt",
        derivation_options: &options,
        public: key.public().blob(),
        private: &private,
        tag: &tag,
    })
}

fn private_part(key: &PrivateKey, block_size: usize) -> Result<Zeroizing<Vec<u8>>> {
    let check = u32::from_be_bytes(crate::crypto::random_bytes()?);
    let room = key.fields()?.len() + key.comment().len() + 64 + block_size;
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    put_u32(&mut out, check);
    put_u32(&mut out, check);
    put_string(&mut out, key.public().key_type().as_bytes());
    out.extend_from_slice(key.fields()?);
    put_string(&mut out, key.comment().as_bytes());
    let mut count = 0;
    while out.len() % block_size != 0 {
        count += 1;
        out.push(count);
    }
    Ok(out)
}

fn container_text(container: &Container<'_>) -> Result<Zeroizing<String>> {
    let room = container.private.len() + container.public.len() + 256;
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    out.extend_from_slice(MAGIC);
    put_string(&mut out, container.cipher.as_bytes());
    put_string(&mut out, container.derivation.as_bytes());
    put_string(&mut out, container.derivation_options);
    put_u32(&mut out, 1);
    put_string(&mut out, container.public);
    put_string(&mut out, container.private);
    out.extend_from_slice(container.tag);
    armour::encode(&out)
}
