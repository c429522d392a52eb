//! Key exchange primitives. All but the group exchange have one shape: one public value each way, one shared secret.

mod ecdh;
mod hybrid;
mod kem;
mod modp;
mod moduli;
mod primes;
mod sntrup761;
mod x25519;

pub use modp::{ModpGroup, ModpKeyPair};
pub use moduli::{LARGEST_GROUP, SMALLEST_GROUP, choose_group, load_moduli};

use super::{HashAlgorithm, Offer};
use crate::error::{Error, Result};
use crate::wire;
use zeroize::Zeroizing;

pub struct KexAlgorithm {
    pub name: &'static str,
    pub offer: Offer,
    pub hash: HashAlgorithm,
    pub method: KexMethod,
}

pub enum KexMethod {
    OneRound(OneRound),
    /// RFC 4419: the server chooses the group first.
    GroupExchange,
}

pub struct OneRound {
    client: fn() -> Result<Box<dyn ClientExchange>>,
    server: fn(&[u8]) -> Result<Reply>,
}

/// The server's public value, and the secret that both sides now share.
type Reply = (Vec<u8>, SharedSecret);

/// `one_round!(file)`, or `one_round!(file of WHAT)` where the file has several.
macro_rules! one_round {
    ($file:ident) => {
        KexMethod::OneRound(OneRound { client: $file::client, server: $file::server })
    };
    ($file:ident of $what:ident) => {
        KexMethod::OneRound(OneRound {
            client: || $file::client(&$file::$what),
            server: |public| $file::server(&$file::$what, public),
        })
    };
}

use HashAlgorithm::{Sha1, Sha256, Sha384, Sha512};
use Offer::{ByName, Default, DefaultOfClients, Strict};

/// In order of preference: what a quantum computer does not read later comes first, then curves, then groups; those
/// that everybody can have checked before those that a server makes up.
pub static KEX_ALGORITHMS: &[KexAlgorithm] = &[
    row("mlkem768x25519-sha256", Strict, Sha256, one_round!(hybrid of MLKEM768_X25519)),
    row("sntrup761x25519-sha512", Strict, Sha512, one_round!(hybrid of SNTRUP761_X25519)),
    row("sntrup761x25519-sha512@openssh.com", Strict, Sha512, one_round!(hybrid of SNTRUP761_X25519)),
    row("mlkem768nistp256-sha256", Default, Sha256, one_round!(hybrid of MLKEM768_P256)),
    row("mlkem1024nistp384-sha384", Default, Sha384, one_round!(hybrid of MLKEM1024_P384)),
    row("curve25519-sha256", Default, Sha256, one_round!(x25519)),
    row("curve25519-sha256@libssh.org", Default, Sha256, one_round!(x25519)),
    row("ecdh-sha2-nistp256", Default, Sha256, one_round!(ecdh of P256)),
    row("ecdh-sha2-nistp384", Default, Sha384, one_round!(ecdh of P384)),
    row("ecdh-sha2-nistp521", Default, Sha512, one_round!(ecdh of P521)),
    row("diffie-hellman-group16-sha512", DefaultOfClients, Sha512, one_round!(modp of GROUP_16)),
    row("diffie-hellman-group18-sha512", DefaultOfClients, Sha512, one_round!(modp of GROUP_18)),
    row("diffie-hellman-group-exchange-sha256", DefaultOfClients, Sha256, KexMethod::GroupExchange),
    row("diffie-hellman-group14-sha256", DefaultOfClients, Sha256, one_round!(modp of GROUP_14)),
    row("diffie-hellman-group14-sha1", ByName, Sha1, one_round!(modp of GROUP_14)),
    row("diffie-hellman-group-exchange-sha1", ByName, Sha1, KexMethod::GroupExchange),
    row("diffie-hellman-group1-sha1", ByName, Sha1, one_round!(modp of GROUP_1)),
];

const fn row(name: &'static str, offer: Offer, hash: HashAlgorithm, method: KexMethod) -> KexAlgorithm {
    KexAlgorithm { name, offer, hash, method }
}

pub fn find_kex(name: &str) -> Option<&'static KexAlgorithm> {
    KEX_ALGORITHMS.iter().find(|kex| kex.name == name)
}

/// The client's half of an exchange that is under way.
pub trait ClientExchange: Send {
    /// The client's public value, as it is sent: a number as it stands inside of an mpint.
    fn public(&self) -> &[u8];
    fn finish(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret>;
}

impl OneRound {
    pub fn client(&self) -> Result<Box<dyn ClientExchange>> {
        super::init();
        (self.client)()
    }

    /// Answers a client's public value: ours and the shared secret.
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

#[cfg(test)]
mod tests;
