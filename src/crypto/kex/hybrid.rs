//! Hybrids of a key encapsulation and a curve (draft-ietf-sshm-mlkem-hybrid-kex, RFC 9941): safe while either of the
//! halves is.

use super::kem::{Encapsulated, Kem, KemKey, ML_KEM_768, ML_KEM_1024, SNTRUP_761};
use super::{ClientExchange, SharedSecret, bad_public, ecdh, x25519};
use crate::crypto::HashAlgorithm;
use crate::error::Result;
use zeroize::{Zeroize, Zeroizing};

pub(super) struct Hybrid {
    name: &'static str,
    kem: &'static Kem,
    curve: Curve,
    hash: HashAlgorithm,
}

#[derive(Clone, Copy)]
enum Curve {
    X25519,
    Nist(&'static ecdh::Curve),
}

pub(super) static MLKEM768_X25519: Hybrid =
    Hybrid { name: "mlkem768x25519", kem: &ML_KEM_768, curve: Curve::X25519, hash: HashAlgorithm::Sha256 };
pub(super) static MLKEM768_P256: Hybrid =
    Hybrid { name: "mlkem768nistp256", kem: &ML_KEM_768, curve: Curve::Nist(&ecdh::P256), hash: HashAlgorithm::Sha256 };
pub(super) static MLKEM1024_P384: Hybrid = Hybrid {
    name: "mlkem1024nistp384",
    kem: &ML_KEM_1024,
    curve: Curve::Nist(&ecdh::P384),
    hash: HashAlgorithm::Sha384,
};
pub(super) static SNTRUP761_X25519: Hybrid =
    Hybrid { name: "sntrup761x25519", kem: &SNTRUP_761, curve: Curve::X25519, hash: HashAlgorithm::Sha512 };

pub(super) fn client(hybrid: &'static Hybrid) -> Result<Box<dyn ClientExchange>> {
    let (kem, kem_public) = hybrid.kem.generate()?;
    let curve = KeyPair::generate(hybrid.curve)?;
    Ok(Box::new(Client { public: [&kem_public, curve.public()].concat(), hybrid, kem, curve }))
}

pub(super) fn server(hybrid: &'static Hybrid, client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret)> {
    let (kem_public, curve_public) = hybrid.split(client_public, hybrid.kem.public_length)?;
    let curve = KeyPair::generate(hybrid.curve)?;
    let curve_secret = curve.agree(curve_public)?;
    let Encapsulated { ciphertext, secret } =
        hybrid.kem.encapsulate(kem_public).ok_or_else(|| bad_public(hybrid.name))?;
    Ok(([&ciphertext, curve.public()].concat(), hybrid.combine(&secret, &curve_secret)))
}

struct Client {
    hybrid: &'static Hybrid,
    kem: KemKey,
    curve: KeyPair,
    public: Vec<u8>,
}

impl ClientExchange for Client {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn finish(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret> {
        let hybrid = self.hybrid;
        let (ciphertext, curve_public) = hybrid.split(server_public, hybrid.kem.ciphertext_length)?;
        let curve_secret = self.curve.agree(curve_public)?;
        let kem_secret = self.kem.decapsulate(ciphertext).ok_or_else(|| bad_public(hybrid.name))?;
        Ok(hybrid.combine(&kem_secret, &curve_secret))
    }
}

impl Hybrid {
    /// The halves stand one behind the other, without lengths.
    fn split<'p>(&self, public: &'p [u8], kem_length: usize) -> Result<(&'p [u8], &'p [u8])> {
        if public.len() != kem_length + self.curve.public_length() {
            return Err(bad_public(self.name));
        }
        public.split_at_checked(kem_length).ok_or_else(|| bad_public(self.name))
    }

    /// K = HASH(K_PQ || K_CL), both of fixed length, and it is a string, not a number.
    fn combine(&self, kem_secret: &[u8], curve_secret: &[u8]) -> SharedSecret {
        let mut secret = self.hash.digest(&[kem_secret, curve_secret]);
        let shared = SharedSecret::from_string(secret.as_ref());
        secret.zeroize();
        shared
    }
}

impl Curve {
    fn public_length(self) -> usize {
        match self {
            Self::X25519 => x25519::LENGTH,
            Self::Nist(curve) => curve.point,
        }
    }
}

enum KeyPair {
    X25519(x25519::KeyPair),
    Nist(ecdh::KeyPair),
}

impl KeyPair {
    fn generate(curve: Curve) -> Result<Self> {
        Ok(match curve {
            Curve::X25519 => Self::X25519(x25519::KeyPair::generate()?),
            Curve::Nist(curve) => Self::Nist(ecdh::KeyPair::generate(curve)?),
        })
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::X25519(pair) => &pair.public,
            Self::Nist(pair) => &pair.public,
        }
    }

    fn agree(&self, theirs: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        match self {
            Self::X25519(pair) => pair.agree(theirs).map(|secret| Zeroizing::new(secret.to_vec())),
            Self::Nist(pair) => pair.agree(theirs),
        }
    }
}
