use super::{RSA_BITS, SecurityKeyUse, SignatureRules, damaged};
use crate::crypto::signature::{
    Curve, ED25519_KEY_TYPE, RSA_KEY_TYPE, SIGNATURES, SK_ECDSA_KEY_TYPE, SK_ED25519_KEY_TYPE, SignatureAlgorithm,
    VerifyingKey, find_signature, sha256,
};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer, clean};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// 64 bits: the exponents in use are 3 to 65537, and larger ones only cost the verifier time.
const LONGEST_EXPONENT: usize = 8;

/// A public key. Cheap to clone; two are equal when their whole blobs are.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    blob: Box<[u8]>,
    key_type: &'static str,
    key: VerifyingKey,
    /// Of keys in security keys: the hash of what they are for, mostly "ssh:".
    application: Option<[u8; 32]>,
}

impl PublicKey {
    /// From the wire's form (RFC 4253 section 6.6): all fields in their only encoding, and nothing after them.
    pub fn from_blob(blob: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(blob);
        let name = reader.ascii().map_err(|e| damaged("the public key", &e))?;
        let Some(key_type) = known_type(name) else {
            return Err(Error::unsupported(format!("keys of type '{}' are not supported", clean(name.as_bytes(), 64))));
        };
        let key = match Curve::from_key_type(key_type) {
            Some(curve) => ecdsa_key(curve, &mut reader)?,
            None if key_type == SK_ECDSA_KEY_TYPE => ecdsa_key(Curve::P256, &mut reader)?,
            None if key_type == RSA_KEY_TYPE => rsa_key(&mut reader)?,
            None => VerifyingKey::ed25519(reader.string().map_err(|e| damaged("the public key", &e))?)?,
        };
        let application = match key_type {
            SK_ECDSA_KEY_TYPE | SK_ED25519_KEY_TYPE => {
                Some(sha256(reader.string().map_err(|e| damaged("the public key", &e))?))
            }
            _ => None,
        };
        reader.finish().map_err(|_| Error::key_format("the public key has bytes after its last field"))?;
        Ok(Self(Arc::new(Inner { blob: blob.into(), key_type, key, application })))
    }

    pub fn blob(&self) -> &[u8] {
        &self.0.blob
    }

    /// As it stands in the blob; of RSA that is "ssh-rsa", whatever the signatures.
    pub fn key_type(&self) -> &'static str {
        self.0.key_type
    }

    pub fn bits(&self) -> u32 {
        self.0.key.bits()
    }

    pub fn is_rsa(&self) -> bool {
        self.key_type() == RSA_KEY_TYPE
    }

    /// The names of the signature algorithms that fit this key, preferred first; without "ssh-rsa", which is used only
    /// where the application names it.
    pub fn signature_algorithms(&self) -> &'static [&'static str] {
        match self.key_type() {
            "ecdsa-sha2-nistp256" => &["ecdsa-sha2-nistp256"],
            "ecdsa-sha2-nistp384" => &["ecdsa-sha2-nistp384"],
            "ecdsa-sha2-nistp521" => &["ecdsa-sha2-nistp521"],
            RSA_KEY_TYPE => &["rsa-sha2-512", "rsa-sha2-256"],
            SK_ED25519_KEY_TYPE => &[SK_ED25519_KEY_TYPE],
            SK_ECDSA_KEY_TYPE => &[SK_ECDSA_KEY_TYPE],
            _ => &[ED25519_KEY_TYPE],
        }
    }

    /// Whether this algorithm, "ssh-rsa" too, makes signatures with such keys.
    pub fn fits(&self, algorithm: &str) -> bool {
        self.fitting(algorithm).is_ok()
    }

    /// [`Self::verify_under`] the default rules.
    pub fn verify(&self, algorithm: &str, data: &[u8], signature_blob: &[u8]) -> Result<()> {
        self.verify_under(&SignatureRules::default(), algorithm, data, signature_blob).map(drop)
    }

    /// Whether `signature_blob` is this key's signature of `data`. The blob must name `algorithm`, and that must
    /// fit the key: what was negotiated or requested is what is checked. Any error means no. Of a security key it
    /// comes with what that says about its use.
    pub fn verify_under(
        &self,
        rules: &SignatureRules,
        algorithm: &str,
        data: &[u8],
        signature_blob: &[u8],
    ) -> Result<Option<SecurityKeyUse>> {
        let wanted = self.fitting(algorithm)?;
        rules.allow_size_of(self)?;
        let mut reader = Reader::new(signature_blob);
        let named = reader.ascii()?;
        if named != wanted.name {
            let named = clean(named.as_bytes(), 64);
            return Err(Error::algorithm(format!("the signature is of {named} instead of {algorithm}")));
        }
        let signature = reader.string()?;
        let Some(application) = &self.0.application else {
            reader.finish()?;
            self.0.key.verify(wanted.scheme, data, signature)?;
            return Ok(None);
        };
        let usage = SecurityKeyUse { flags: reader.u8()?, counter: reader.u32()? };
        reader.finish()?;
        let signed = Writer::new().raw(application).u8(usage.flags).u32(usage.counter).raw(sha256(data)).finish();
        self.0.key.verify(wanted.scheme, &signed, signature)?;
        rules.check_use(usage)?;
        Ok(Some(usage))
    }

    pub(super) fn fitting(&self, algorithm: &str) -> Result<&'static SignatureAlgorithm> {
        find_signature(algorithm).filter(|found| found.key_type == self.key_type()).ok_or_else(|| {
            let algorithm = clean(algorithm.as_bytes(), 64);
            Error::algorithm(format!("signatures of {algorithm} do not fit a key of type {}", self.key_type()))
        })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob() == other.blob()
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.blob().hash(state);
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} {})", self.key_type(), self.fingerprint_sha256())
    }
}

fn known_type(name: &str) -> Option<&'static str> {
    SIGNATURES.iter().map(|algorithm| algorithm.key_type).find(|known| *known == name)
}

/// RFC 5656 section 3.1: the curve's name once more, and the point.
fn ecdsa_key(curve: Curve, reader: &mut Reader<'_>) -> Result<VerifyingKey> {
    let name = reader.ascii().map_err(|e| damaged("the public key", &e))?;
    if name != curve.name() {
        return Err(Error::key_format(format!("a key of type {} on another curve", curve.key_type())));
    }
    VerifyingKey::ecdsa(curve, reader.string().map_err(|e| damaged("the public key", &e))?)
}

fn rsa_key(reader: &mut Reader<'_>) -> Result<VerifyingKey> {
    let exponent = reader.mpint().map_err(|e| damaged("the public key", &e))?;
    let modulus = reader.mpint().map_err(|e| damaged("the public key", &e))?;
    let bits = bit_length(modulus);
    if !RSA_BITS.contains(&bits) {
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        return Err(Error::key_format(format!("an RSA key of {bits} bits, which is not from {least} to {most}")));
    }
    if exponent.len() > LONGEST_EXPONENT || !is_odd(exponent) || exponent == [1] {
        return Err(Error::key_format("the exponent of the RSA key is not an odd number from 3 up to 64 bits"));
    }
    if !is_odd(modulus) {
        return Err(Error::key_format("the modulus of the RSA key is even"));
    }
    VerifyingKey::rsa(modulus, exponent, bits)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

/// Of a number without leading zero bytes; one too long to count is too long for everything.
fn bit_length(number: &[u8]) -> u32 {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    u32::try_from(number.len()).ok().and_then(|bytes| bytes.checked_mul(8)).map_or(u32::MAX, |bits| bits - unused)
}
