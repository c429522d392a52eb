//! Key exchange primitives of the ECDH shape: one public value each way, one shared secret.

mod ecdh;
mod hybrid;
mod x25519;

use super::{HashAlgorithm, Offer};
use crate::error::{Error, Result};
use crate::wire;
use zeroize::Zeroizing;

pub struct KexAlgorithm {
    pub name: &'static str,
    pub offer: Offer,
    pub hash: HashAlgorithm,
    client: fn() -> Result<Box<dyn ClientExchange>>,
    server: fn(&[u8]) -> Result<Reply>,
}

/// The server's public value, and the secret that both sides now share.
type Reply = (Vec<u8>, SharedSecret);

/// In order of preference.
pub static KEX_ALGORITHMS: &[KexAlgorithm] = &[
    KexAlgorithm {
        name: "mlkem768x25519-sha256",
        offer: Offer::Strict,
        hash: HashAlgorithm::Sha256,
        client: hybrid::client,
        server: hybrid::server,
    },
    KexAlgorithm {
        name: "curve25519-sha256",
        offer: Offer::Default,
        hash: HashAlgorithm::Sha256,
        client: x25519::client,
        server: x25519::server,
    },
    KexAlgorithm {
        name: "curve25519-sha256@libssh.org",
        offer: Offer::Default,
        hash: HashAlgorithm::Sha256,
        client: x25519::client,
        server: x25519::server,
    },
    KexAlgorithm {
        name: "ecdh-sha2-nistp256",
        offer: Offer::Default,
        hash: HashAlgorithm::Sha256,
        client: || ecdh::client(&ecdh::P256),
        server: |public| ecdh::server(&ecdh::P256, public),
    },
    KexAlgorithm {
        name: "ecdh-sha2-nistp384",
        offer: Offer::Default,
        hash: HashAlgorithm::Sha384,
        client: || ecdh::client(&ecdh::P384),
        server: |public| ecdh::server(&ecdh::P384, public),
    },
    KexAlgorithm {
        name: "ecdh-sha2-nistp521",
        offer: Offer::Default,
        hash: HashAlgorithm::Sha512,
        client: || ecdh::client(&ecdh::P521),
        server: |public| ecdh::server(&ecdh::P521, public),
    },
];

pub fn find_kex(name: &str) -> Option<&'static KexAlgorithm> {
    KEX_ALGORITHMS.iter().find(|kex| kex.name == name)
}

/// The client's half of an exchange that is under way.
pub trait ClientExchange: Send {
    /// Q_C, as it is sent.
    fn public(&self) -> &[u8];
    fn finish(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret>;
}

impl KexAlgorithm {
    pub fn client(&self) -> Result<Box<dyn ClientExchange>> {
        super::init();
        (self.client)()
    }

    /// Answers a client's public value: Q_S and the shared secret.
    pub fn server(&self, client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret)> {
        super::init();
        (self.server)(client_public)
    }
}

/// K, encoded as it enters the exchange hash and the derivation of keys.
pub struct SharedSecret {
    encoded: Zeroizing<Vec<u8>>,
}

impl SharedSecret {
    /// Most exchanges: K as an mpint.
    pub fn from_number(magnitude: &[u8]) -> Self {
        let mut encoded = Zeroizing::new(Vec::with_capacity(magnitude.len() + 5));
        wire::put_mpint(&mut encoded, magnitude);
        Self { encoded }
    }

    /// The hybrids: K as a string.
    pub fn from_string(bytes: &[u8]) -> Self {
        let mut encoded = Zeroizing::new(Vec::with_capacity(bytes.len() + 4));
        wire::put_string(&mut encoded, bytes);
        Self { encoded }
    }

    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

fn bad_public(name: &str) -> Error {
    Error::protocol(format!("the peer's {name} public value is not valid"))
}
