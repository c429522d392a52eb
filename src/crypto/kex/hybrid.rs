//! mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex): safe while either of its halves is.

use super::{ClientExchange, SharedSecret, bad_public, x25519};
use crate::crypto::HashAlgorithm;
use crate::error::{Error, Result};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroize;

const KEM_PUBLIC: usize = 1184;
const KEM_CIPHERTEXT: usize = 1088;
const NAME: &str = "mlkem768x25519";

pub(super) fn client() -> Result<Box<dyn ClientExchange>> {
    let broken = || Error::internal("no ML-KEM key could be made");
    let kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| broken())?;
    let encapsulation = kem.encapsulation_key().and_then(|key| key.key_bytes()).map_err(|_| broken())?;
    let x25519 = x25519::KeyPair::generate()?;
    let mut public = Vec::with_capacity(KEM_PUBLIC + x25519::LENGTH);
    public.extend_from_slice(encapsulation.as_ref());
    public.extend_from_slice(&x25519.public);
    Ok(Box::new(Client { kem, x25519, public }))
}

pub(super) fn server(client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret)> {
    let (kem_public, x25519_public) = split(client_public, KEM_PUBLIC)?;
    let encapsulation = EncapsulationKey::new(&ML_KEM_768, kem_public).map_err(|_| bad_public(NAME))?;
    let (ciphertext, kem_secret) = encapsulation.encapsulate().map_err(|_| bad_public(NAME))?;
    let x25519 = x25519::KeyPair::generate()?;
    let x25519_secret = x25519.agree(x25519_public)?;
    let mut public = Vec::with_capacity(KEM_CIPHERTEXT + x25519::LENGTH);
    public.extend_from_slice(ciphertext.as_ref());
    public.extend_from_slice(&x25519.public);
    Ok((public, combine(kem_secret.as_ref(), x25519_secret.as_ref())))
}

struct Client {
    kem: DecapsulationKey,
    x25519: x25519::KeyPair,
    public: Vec<u8>,
}

impl ClientExchange for Client {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn finish(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret> {
        let (ciphertext, x25519_public) = split(server_public, KEM_CIPHERTEXT)?;
        let x25519_secret = self.x25519.agree(x25519_public)?;
        let kem_secret = self.kem.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| bad_public(NAME))?;
        Ok(combine(kem_secret.as_ref(), x25519_secret.as_ref()))
    }
}

fn split(public: &[u8], kem: usize) -> Result<(&[u8], &[u8])> {
    if public.len() != kem + x25519::LENGTH {
        return Err(bad_public(NAME));
    }
    public.split_at_checked(kem).ok_or_else(|| bad_public(NAME))
}

/// K = SHA256(K_PQ || K_CL), and it is a string, not a number.
fn combine(kem_secret: &[u8], x25519_secret: &[u8]) -> SharedSecret {
    let mut secret = HashAlgorithm::Sha256.digest(&[kem_secret, x25519_secret]);
    let shared = SharedSecret::from_string(secret.as_ref());
    secret.zeroize();
    shared
}
