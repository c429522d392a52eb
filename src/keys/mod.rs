//! Keys: public blobs and lines, private key files, signatures by them.
#![forbid(unsafe_code)]

pub mod agent;
mod armour;
mod entries;
mod fingerprint;
mod generate;
mod known_hosts;
mod lines;
mod openssh;
mod outside;
mod patterns;
mod private;
mod public;
mod rules;

pub use crate::crypto::signature::sha256;
pub use generate::KeyType;
pub use known_hosts::{Addition, HostKeys, KnownHosts, ListedKey, Marker, Standing};
pub use openssh::DEFAULT_ROUNDS;
pub use outside::{Signer, ToSign};
pub use patterns::{Matching, Network, Origins, match_list, matches};
pub use private::PrivateKey;
pub use public::PublicKey;
pub use rules::{SecurityKeyUse, SignatureRules};

use crate::error::Error;

/// The same bounds as OpenSSH: more takes seconds for one signature, less is no key.
const RSA_BITS: std::ops::RangeInclusive<u32> = 1024..=16384;

/// A reader's complaint, told of the thing that was read.
fn damaged(what: &str, error: &Error) -> Error {
    Error::key_format(format!("{what} is damaged: {error}"))
}

#[cfg(test)]
pub mod tests;
