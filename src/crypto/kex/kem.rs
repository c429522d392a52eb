//! Key encapsulation: ML-KEM (FIPS 203) of AWS-LC, and Streamlined NTRU Prime.

use super::sntrup761;
use crate::error::{Error, Result};
use aws_lc_rs::kem::{Algorithm, Ciphertext, DecapsulationKey, EncapsulationKey};
use zeroize::Zeroizing;

pub(super) struct Kem {
    kind: Kind,
    pub(super) public_length: usize,
    pub(super) ciphertext_length: usize,
}

enum Kind {
    MlKem(&'static Algorithm),
    Sntrup761,
}

pub(super) static ML_KEM_768: Kem =
    Kem { kind: Kind::MlKem(&aws_lc_rs::kem::ML_KEM_768), public_length: 1184, ciphertext_length: 1088 };
pub(super) static ML_KEM_1024: Kem =
    Kem { kind: Kind::MlKem(&aws_lc_rs::kem::ML_KEM_1024), public_length: 1568, ciphertext_length: 1568 };
pub(super) static SNTRUP_761: Kem = Kem {
    kind: Kind::Sntrup761,
    public_length: sntrup761::PUBLIC_LENGTH,
    ciphertext_length: sntrup761::CIPHERTEXT_LENGTH,
};

pub(super) struct Encapsulated {
    pub(super) ciphertext: Vec<u8>,
    pub(super) secret: Zeroizing<Vec<u8>>,
}

/// The client's secret half.
pub(super) enum KemKey {
    MlKem(DecapsulationKey),
    Sntrup761(Box<sntrup761::SecretKey>),
}

impl Kem {
    pub(super) fn generate(&self) -> Result<(KemKey, Vec<u8>)> {
        match self.kind {
            Kind::MlKem(algorithm) => {
                let broken = |_| Error::internal("no ML-KEM key could be made");
                let key = DecapsulationKey::generate(algorithm).map_err(broken)?;
                let public = key.encapsulation_key().and_then(|key| key.key_bytes()).map_err(broken)?;
                let public = public.as_ref().to_vec();
                Ok((KemKey::MlKem(key), public))
            }
            Kind::Sntrup761 => {
                let key = Box::new(sntrup761::SecretKey::generate()?);
                let public = key.public().to_vec();
                Ok((KemKey::Sntrup761(key), public))
            }
        }
    }

    /// `None`: the public key is not valid.
    pub(super) fn encapsulate(&self, public: &[u8]) -> Option<Encapsulated> {
        match self.kind {
            Kind::MlKem(algorithm) => {
                let key = EncapsulationKey::new(algorithm, public).ok()?;
                let (ciphertext, secret) = key.encapsulate().ok()?;
                let secret = Zeroizing::new(secret.as_ref().to_vec());
                Some(Encapsulated { ciphertext: ciphertext.as_ref().to_vec(), secret })
            }
            Kind::Sntrup761 => {
                let (ciphertext, secret) = sntrup761::encapsulate(public)?;
                Some(Encapsulated { ciphertext, secret: Zeroizing::new(secret.to_vec()) })
            }
        }
    }
}

impl KemKey {
    /// A ciphertext that was not made for this key gives a secret that nobody knows (implicit rejection). `None`: it has
    /// another length.
    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::MlKem(key) => {
                let secret = key.decapsulate(Ciphertext::from(ciphertext)).ok()?;
                Some(Zeroizing::new(secret.as_ref().to_vec()))
            }
            Self::Sntrup761(key) => key.decapsulate(ciphertext).map(|secret| Zeroizing::new(secret.to_vec())),
        }
    }
}
