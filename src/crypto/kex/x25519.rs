//! curve25519-sha256 (RFC 8731).

use super::{ClientExchange, SharedSecret, bad_public};
use crate::error::{Error, Result};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use zeroize::Zeroizing;

pub(super) const LENGTH: usize = 32;

pub(super) fn client() -> Result<Box<dyn ClientExchange>> {
    Ok(Box::new(KeyPair::generate()?))
}

pub(super) fn server(client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret)> {
    let ours = KeyPair::generate()?;
    let secret = ours.agree(client_public)?;
    Ok((ours.public.to_vec(), SharedSecret::from_number(secret.as_ref())))
}

pub(super) struct KeyPair {
    private: PrivateKey,
    pub(super) public: [u8; LENGTH],
}

impl KeyPair {
    pub(super) fn generate() -> Result<Self> {
        let broken = || Error::internal("no X25519 key could be made");
        let private = PrivateKey::generate(&X25519).map_err(|_| broken())?;
        let public = private.compute_public_key().map_err(|_| broken())?;
        let public = public.as_ref().try_into().map_err(|_| broken())?;
        Ok(Self { private, public })
    }

    /// The primitive refuses an all-zero result (RFC 8731 section 3).
    pub(super) fn agree(&self, theirs: &[u8]) -> Result<Zeroizing<[u8; LENGTH]>> {
        if theirs.len() != LENGTH {
            return Err(bad_public("X25519"));
        }
        agreement::agree(&self.private, UnparsedPublicKey::new(&X25519, theirs), bad_public("X25519"), |secret| {
            secret.try_into().map(Zeroizing::new).map_err(|_| bad_public("X25519"))
        })
    }
}

impl ClientExchange for KeyPair {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn finish(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret> {
        Ok(SharedSecret::from_number(self.agree(server_public)?.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> [u8; LENGTH] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }

    /// RFC 7748 section 5.2.
    #[test]
    fn agreement_follows_rfc_7748() {
        let vectors = [
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
            ),
        ];
        for (scalar, point, expected) in vectors {
            let private = PrivateKey::from_private_key(&X25519, &hex(scalar)).unwrap();
            let pair = KeyPair { private, public: [0; LENGTH] };
            assert_eq!(*pair.agree(&hex(point)).unwrap(), hex(expected));
        }
    }
}
