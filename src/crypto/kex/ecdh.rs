//! ecdh-sha2-nistp256, -nistp384, -nistp521 (RFC 5656 section 4).

use super::{ClientExchange, SharedSecret, bad_public};
use crate::error::{Error, Result};
use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

pub(super) struct Curve {
    name: &'static str,
    algorithm: &'static Algorithm,
    /// Bytes of an uncompressed point.
    pub(super) point: usize,
}

pub(super) static P256: Curve = Curve { name: "nistp256", algorithm: &agreement::ECDH_P256, point: 65 };
pub(super) static P384: Curve = Curve { name: "nistp384", algorithm: &agreement::ECDH_P384, point: 97 };
pub(super) static P521: Curve = Curve { name: "nistp521", algorithm: &agreement::ECDH_P521, point: 133 };

pub(super) fn client(curve: &'static Curve) -> Result<Box<dyn ClientExchange>> {
    Ok(Box::new(KeyPair::generate(curve)?))
}

pub(super) fn server(curve: &'static Curve, client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret)> {
    let ours = KeyPair::generate(curve)?;
    let secret = ours.agree(client_public)?;
    Ok((ours.public, SharedSecret::from_number(&secret)))
}

pub(super) struct KeyPair {
    curve: &'static Curve,
    private: PrivateKey,
    pub(super) public: Vec<u8>,
}

impl KeyPair {
    pub(super) fn generate(curve: &'static Curve) -> Result<Self> {
        let broken = || Error::internal(format!("no {} key could be made", curve.name));
        let private = PrivateKey::generate(curve.algorithm).map_err(|_| broken())?;
        let public = private.compute_public_key().map_err(|_| broken())?.as_ref().to_vec();
        Ok(Self { curve, private, public })
    }

    /// The primitive checks that the point is on the curve; it would take compressed points, which
    /// RFC 5656 leaves out here. The secret is the x coordinate, with its leading zeros.
    pub(super) fn agree(&self, theirs: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let bad = || bad_public(self.curve.name);
        if theirs.len() != self.curve.point || theirs.first() != Some(&4) {
            return Err(bad());
        }
        agreement::agree(&self.private, UnparsedPublicKey::new(self.curve.algorithm, theirs), bad(), |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        })
    }
}

impl ClientExchange for KeyPair {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn finish(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret> {
        Ok(SharedSecret::from_number(&self.agree(server_public)?))
    }
}
