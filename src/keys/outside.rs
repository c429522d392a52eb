//! Keys whose private half is elsewhere: in a token, behind an agent, with the application.

use super::private::Half;
use super::{PrivateKey, PublicKey, SignatureRules};
use crate::crypto::signature::Curve;
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer, put_mpint};
use std::any::Any;
use std::sync::Arc;

/// Whoever signs. What it is, and how it is asked, only those know who made the key.
pub type Signer = Arc<dyn Any + Send + Sync>;

/// Longer than the signature of any key, however it is put.
const LONGEST_SIGNATURE: usize = 8 * 1024;

/// A signature that is wanted from elsewhere. Whether a security key was touched for it is for the peer to say.
#[derive(Clone)]
pub struct ToSign {
    pub rules: SignatureRules,
    pub key: Arc<PrivateKey>,
    pub algorithm: &'static str,
    /// Not hashed.
    pub data: Vec<u8>,
}

impl ToSign {
    pub fn new(key: &Arc<PrivateKey>, algorithm: &str, data: &[u8]) -> Result<Self> {
        let algorithm = key.public().fitting(algorithm)?.name;
        let rules = SignatureRules::default().of_hosts();
        rules.allow_size_of(key.public())?;
        Ok(Self { rules, key: Arc::clone(key), algorithm, data: data.to_vec() })
    }

    /// The signature blob of the protocol, made of what the signer gave: the bare signature (of ECDSA both numbers side
    /// by side, in DER or as SSH has them), or the whole blob. What does not verify is no signature.
    pub fn accept(&self, given: &[u8]) -> Result<Vec<u8>> {
        let public = self.key.public();
        if given.is_empty() || given.len() > LONGEST_SIGNATURE {
            return Err(Error::Callback(format!("the signer gave {} bytes for a signature", given.len()).into()));
        }
        let fits = |blob: &Vec<u8>| public.verify_under(&self.rules, self.algorithm, &self.data, blob).is_ok();
        self.forms(given).into_iter().find(fits).ok_or_else(|| {
            let (kind, length) = (public.key_type(), given.len());
            Error::Callback(format!("what the signer gave ({length} bytes) is no signature by this {kind} key").into())
        })
    }

    /// The blobs that it may be meant for.
    fn forms(&self, given: &[u8]) -> Vec<Vec<u8>> {
        let public = self.key.public();
        if Reader::new(given).string().is_ok_and(|name| name == self.algorithm.as_bytes()) {
            return vec![given.to_vec()];
        }
        let blob = |signature: &[u8]| Writer::new().string(self.algorithm).string(signature).finish();
        let mut forms = vec![blob(given)];
        if let Some(curve) = Curve::from_key_type(public.key_type()) {
            let read = [numbers_side_by_side(curve, given), numbers_in_der(given)];
            forms.extend(read.into_iter().flatten().map(|signature| blob(&signature)));
        }
        forms
    }
}

impl PartialEq for ToSign {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.key, &other.key) && self.algorithm == other.algorithm && self.data == other.data
    }
}

impl Eq for ToSign {}

impl std::fmt::Debug for ToSign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToSign").field("key", self.key.public()).field("algorithm", &self.algorithm).finish()
    }
}

/// As PKCS #11 tokens give them, to `mpint r, mpint s`.
fn numbers_side_by_side(curve: Curve, given: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = given.split_at_checked(curve.field_length()).filter(|(r, s)| r.len() == s.len())?;
    Some(as_ssh_has_them(r, s))
}

/// A SEQUENCE of two INTEGERs (RFC 3279 section 2.2.3), to `mpint r, mpint s`.
fn numbers_in_der(given: &[u8]) -> Option<Vec<u8>> {
    let (sequence, after) = der_value(0x30, given)?;
    let (r, rest) = der_value(0x02, sequence)?;
    let (s, rest) = der_value(0x02, rest)?;
    let positive = |number: &[u8]| number.first().is_some_and(|first| first & 0x80 == 0);
    (after.is_empty() && rest.is_empty() && positive(r) && positive(s)).then(|| as_ssh_has_them(r, s))
}

/// A value with this tag, of less than 256 bytes, and what follows it.
fn der_value(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, 0x81, length, rest @ ..] if *first == tag => rest.split_at_checked(usize::from(*length)),
        [first, length @ 0..=0x7f, rest @ ..] if *first == tag => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

fn as_ssh_has_them(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(r.len() + s.len() + 10);
    put_mpint(&mut out, r);
    put_mpint(&mut out, s);
    out
}

impl PrivateKey {
    /// `signer` signs for it.
    pub fn elsewhere(public: PublicKey, comment: String, signer: Signer) -> Self {
        Self { public, comment, half: Half::Elsewhere(signer) }
    }
}
