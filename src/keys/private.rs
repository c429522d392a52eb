use super::armour::{Format, detect};
use super::{PublicKey, SignatureRules, Signer, damaged, openssh};
use crate::crypto::signature::{Curve, ED25519_KEY_LENGTH, ED25519_KEY_TYPE, RSA_KEY_TYPE, RsaNumbers, SigningKey};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer, clean};
use zeroize::Zeroizing;

/// A private key with its public half and its comment. It does not change, so that threads may share it.
pub struct PrivateKey {
    pub(super) public: PublicKey,
    pub(super) comment: String,
    pub(super) half: Half,
}

/// The private half.
pub(super) enum Half {
    Here {
        key: SigningKey,
        /// As they stand in OpenSSH's key files between the type and the comment; wiped when the key goes.
        fields: Zeroizing<Vec<u8>>,
    },
    Elsewhere(Signer),
}

impl PrivateKey {
    /// From the text of a file in OpenSSH's format. A passphrase that the file does not need is not looked at.
    pub fn from_openssh(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self> {
        openssh::read(text, passphrase)
    }

    /// From the text of a key file, whatever its format.
    pub fn from_file_bytes(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self> {
        match detect(text) {
            Format::OpenSsh => Self::from_openssh(text, passphrase),
            Format::Other(name) => {
                Err(Error::unsupported(format!("private keys in the {name} format are not supported")))
            }
            Format::Public => Err(Error::key_format("this is a public key, not a private one")),
            Format::Unknown => Err(Error::key_format("not a private key file")),
        }
    }

    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> Self {
        self.comment = comment.to_owned();
        self
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Who signs, where that is not done here.
    pub fn signer(&self) -> Option<&Signer> {
        match &self.half {
            Half::Here { .. } => None,
            Half::Elsewhere(signer) => Some(signer),
        }
    }

    /// [`Self::sign_under`] the default rules.
    pub fn sign(&self, algorithm: &str, data: &[u8]) -> Result<Vec<u8>> {
        self.sign_under(&SignatureRules::default(), algorithm, data)
    }

    /// The signature blob: the algorithm's name and the signature. An RSA signature is verified before it is given
    /// out. Of a key with a signer it is [`Error::State`]: that one has to be asked.
    pub fn sign_under(&self, rules: &SignatureRules, algorithm: &str, data: &[u8]) -> Result<Vec<u8>> {
        let algorithm = self.public.fitting(algorithm)?;
        rules.allow_size_of(&self.public)?;
        let Half::Here { key, .. } = &self.half else { return Err(elsewhere()) };
        let signature = key.sign(algorithm.scheme, data)?;
        Ok(Writer::new().string(algorithm.name).string(signature).finish())
    }

    /// The text of a file in OpenSSH's format, encrypted with aes256-ctr where there is a passphrase. `rounds`: of
    /// bcrypt; 0 for the default.
    pub fn to_openssh(&self, passphrase: Option<&[u8]>, rounds: u32) -> Result<Zeroizing<String>> {
        openssh::write(self, passphrase, rounds)
    }

    /// `fields`: as in OpenSSH's key files, between the type and the comment.
    pub(super) fn from_fields(key_type: &str, fields: Zeroizing<Vec<u8>>) -> Result<Self> {
        let mut reader = Reader::new(&fields);
        let (public, key) = read_fields(key_type, &mut reader)?;
        reader.finish().map_err(|e| damaged("the private key", &e))?;
        Ok(Self::from_parts(public, key, fields))
    }

    /// `public` and `key` are what `fields` hold.
    pub(super) fn from_parts(public: PublicKey, key: SigningKey, fields: Zeroizing<Vec<u8>>) -> Self {
        Self { public, comment: String::new(), half: Half::Here { key, fields } }
    }

    /// Unsupported where the private half is elsewhere.
    pub(super) fn fields(&self) -> Result<&[u8]> {
        match &self.half {
            Half::Here { fields, .. } => Ok(fields),
            Half::Elsewhere(_) => Err(Error::unsupported("the private half of this key is not here")),
        }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({:?}, {:?})", self.public, clean(self.comment.as_bytes(), 64))
    }
}

/// Reads just the fields of a key of this type. That the halves belong to each other is checked.
pub(super) fn read_fields(key_type: &str, reader: &mut Reader<'_>) -> Result<(PublicKey, SigningKey)> {
    match Curve::from_key_type(key_type) {
        Some(curve) => read_ecdsa(curve, reader),
        None if key_type == ED25519_KEY_TYPE => read_ed25519(reader),
        None if key_type == RSA_KEY_TYPE => read_rsa(reader),
        None => Err(Error::unsupported(format!("keys of type '{}' are not supported", clean(key_type.as_bytes(), 64)))),
    }
}

fn elsewhere() -> Error {
    Error::state("the private half of this key is elsewhere: its signer has to be asked")
}

fn cut(error: Error) -> Error {
    damaged("the private key", &error)
}

/// The public key, and seed and public key once more.
fn read_ed25519(reader: &mut Reader<'_>) -> Result<(PublicKey, SigningKey)> {
    let public = reader.string().map_err(cut)?;
    let pair = reader.string().map_err(cut)?;
    let (seed, again) = pair
        .split_at_checked(ED25519_KEY_LENGTH)
        .ok_or_else(|| Error::key_format("an Ed25519 private key is not of 64 bytes"))?;
    if again != public {
        return Err(Error::key_format("the two public halves of the Ed25519 key differ"));
    }
    let key = SigningKey::ed25519(seed, public)?;
    let blob = Writer::new().string(ED25519_KEY_TYPE).string(public).finish();
    Ok((PublicKey::from_blob(&blob)?, key))
}

/// Curve, point and private number.
fn read_ecdsa(curve: Curve, reader: &mut Reader<'_>) -> Result<(PublicKey, SigningKey)> {
    let name = reader.ascii().map_err(cut)?;
    let point = reader.string().map_err(cut)?;
    let scalar = reader.mpint().map_err(cut)?;
    let blob = Writer::new().string(curve.key_type()).string(name).string(point).finish();
    let public = PublicKey::from_blob(&blob)?;
    Ok((public, SigningKey::ecdsa(curve, scalar, point)?))
}

/// n, e, d, the inverse of q modulo p, p, q.
fn read_rsa(reader: &mut Reader<'_>) -> Result<(PublicKey, SigningKey)> {
    let numbers = RsaNumbers {
        modulus: reader.mpint().map_err(cut)?,
        public_exponent: reader.mpint().map_err(cut)?,
        private_exponent: reader.mpint().map_err(cut)?,
        coefficient: reader.mpint().map_err(cut)?,
        first_prime: reader.mpint().map_err(cut)?,
        second_prime: reader.mpint().map_err(cut)?,
    };
    let blob = Writer::new().string(RSA_KEY_TYPE).mpint(numbers.public_exponent).mpint(numbers.modulus).finish();
    // First: it bounds the sizes.
    let public = PublicKey::from_blob(&blob)?;
    Ok((public, SigningKey::rsa(&numbers)?))
}
