//! What a transport is made with.

use super::Algorithms;
use crate::error::{Error, Result};
use crate::keys::{PrivateKey, SignatureRules};
use crate::wire::Role;
use std::sync::Arc;
use std::time::Duration;

/// When the keys are renewed: whatever is reached first, in either direction. 0 turns a limit off; that
/// no sequence number is used twice with one key is not up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RekeyLimits {
    pub bytes: u64,
    pub packets: u64,
    pub interval: Duration,
}

/// RFC 4253 section 9 and RFC 4344 section 3.
impl Default for RekeyLimits {
    fn default() -> Self {
        Self { bytes: 1 << 30, packets: 1 << 31, interval: Duration::from_secs(3600) }
    }
}

#[derive(Clone)]
pub struct Config {
    pub role: Role,
    /// Printable US-ASCII without space and minus, such as `nacre_0.1.0`.
    pub software_version: String,
    pub version_comment: Option<String>,
    pub algorithms: Algorithms,
    pub signature_rules: SignatureRules,
    /// Of a server; of two keys that fit an algorithm the first is used.
    pub host_keys: Vec<Arc<PrivateKey>>,
    pub rekey: RekeyLimits,
    /// How long a later key exchange may take.
    pub rekey_deadline: Duration,
    /// The largest packet_length taken.
    pub maximum_packet: u32,
    /// Bytes of messages that wait for the end of a key exchange.
    pub held_limit: usize,
}

impl Config {
    pub fn new(role: Role) -> Self {
        Self {
            role,
            software_version: concat!("nacre_", env!("CARGO_PKG_VERSION")).into(),
            version_comment: None,
            algorithms: Algorithms::default(),
            signature_rules: SignatureRules::default(),
            host_keys: Vec::new(),
            rekey: RekeyLimits::default(),
            rekey_deadline: Duration::from_secs(60),
            maximum_packet: 256 * 1024,
            held_limit: 4 << 20,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        // RFC 4253 section 6.1: packets of 35,000 bytes must be taken.
        if !(35_000..=256 * 1024).contains(&self.maximum_packet) {
            return Err(Error::argument("the largest packet must be of 35000 to 262144 bytes"));
        }
        if self.role == Role::Server && self.offered_host_keys().is_empty() {
            return Err(Error::argument("no host key fits the host key algorithms and is large enough"));
        }
        Ok(())
    }

    /// A server offers what it has keys for.
    pub(super) fn offered_host_keys(&self) -> Vec<&'static str> {
        let offered = self.algorithms.host_key.iter().copied();
        match self.role {
            Role::Client => offered.collect(),
            Role::Server => offered.filter(|name| self.host_key_for(name).is_some()).collect(),
        }
    }

    pub(super) fn host_key_for(&self, algorithm: &str) -> Option<&Arc<PrivateKey>> {
        let rules = &self.signature_rules;
        self.host_keys.iter().find(|key| key.public().fits(algorithm) && rules.allow_size_of(key.public()).is_ok())
    }
}
