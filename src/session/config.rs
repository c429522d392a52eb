//! What a session is made from.

use std::sync::Arc;
use std::time::Duration;

use super::timers::duration;
use super::{
    AlgorithmKind, Algorithms, HostKeyCheck, HostKeyPolicy, HostKeys, Limits, PrivateKey, RekeyLimits, Role,
    SignatureRules,
};
use crate::error::Result;
use crate::{connection, transport};

/// Everything a session needs to know before its first byte. `new` gives the documented defaults.
#[derive(Clone)]
pub struct SessionConfig {
    pub role: Role,
    /// "nacre_0.1.0": goes into the identification string.
    pub software_version: String,
    pub version_comment: Option<String>,
    pub algorithms: Algorithms,
    /// Server: one key a type.
    pub host_keys: Vec<Arc<PrivateKey>>,
    pub rekey: RekeyLimits,
    pub default_window: u32,
    pub default_max_packet: u32,
    pub limits: Limits,
    pub keepalive: Keepalive,
    pub signature_rules: SignatureRules,
    /// Client: how the server's key is checked. Known from the start it also bears on which kind of key is
    /// asked for; it may be set later as well.
    pub host_key_policy: HostKeyPolicy,
    /// Client: a server that lets a user in without any proof is left.
    pub refuse_trivial_auth: bool,
    /// Server: keys the delay of failure replies by user.
    pub failure_delay_secret: [u8; 16],
}

/// Asking a silent peer for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keepalive {
    /// Ask after so long without anything received; `None`: never.
    pub interval: Option<Duration>,
    /// Give up after so many questions without an answer; 0: never.
    pub max_unanswered: u32,
}

impl SessionConfig {
    pub fn new(role: Role) -> Self {
        Self {
            role,
            software_version: concat!("nacre_", env!("CARGO_PKG_VERSION")).to_owned(),
            version_comment: None,
            algorithms: Algorithms::default(),
            host_keys: Vec::new(),
            rekey: RekeyLimits::default(),
            default_window: 2_097_152,
            default_max_packet: 32_768,
            limits: Limits::default(),
            keepalive: Keepalive::default(),
            signature_rules: SignatureRules::default(),
            host_key_policy: HostKeyPolicy::Unset,
            refuse_trivial_auth: false,
            failure_delay_secret: [0; 16],
        }
    }

    pub(super) fn transport(&self, policy: &HostKeyPolicy) -> transport::Config {
        let mut algorithms = self.algorithms.clone();
        if !algorithms.host_key_order_is_given {
            prefer_expected_keys(&mut algorithms.host_key, policy);
        }
        transport::Config {
            role: self.role,
            software_version: self.software_version.clone(),
            version_comment: self.version_comment.clone(),
            algorithms,
            signature_rules: self.signature_rules,
            host_keys: self.host_keys.clone(),
            rekey: self.rekey,
            rekey_deadline: self.rekey_deadline(),
            maximum_packet: self.limits.max_packet,
            ..transport::Config::new(self.role)
        }
    }

    pub(super) fn rekey_deadline(&self) -> Duration {
        duration(self.limits.rekey_ms).unwrap_or(Duration::MAX)
    }

    pub(super) fn connection(&self) -> connection::Config {
        connection::Config {
            role: self.role,
            default_window: self.default_window,
            default_max_packet: self.default_max_packet,
            max_window: self.limits.max_window,
            max_channels: self.limits.channels as usize,
            byte_limit: self.limits.transport_queue as u64,
            max_pending_opens: self.limits.accept_queue as usize,
            send_queue_limit: self.limits.channel_queue.min(LONGEST_SEND_QUEUE),
            receive_queue_limit: self.limits.channel_queue,
            max_requests: self.limits.requests as usize,
            max_global_requests: self.limits.requests as usize,
            ..connection::Config::new(self.role)
        }
    }
}

/// More unsent bytes of a channel only cost memory: the window, not the queue, keeps the line full.
const LONGEST_SEND_QUEUE: usize = 256 * 1024;

/// The list, or the default one, in the order in which a client asks for host key algorithms of a host.
pub fn host_key_algorithms(list: Option<&str>, known: HostKeys) -> Result<String> {
    let mut algorithms = Algorithms::default();
    if let Some(list) = list {
        algorithms.set(AlgorithmKind::HostKey, list)?;
    }
    let policy = HostKeyPolicy::Check(Box::new(HostKeyCheck { known, ..HostKeyCheck::default() }));
    prefer_expected_keys(&mut algorithms.host_key, &policy);
    Ok(algorithms.get(AlgorithmKind::HostKey))
}

/// A server with several keys shows the one of the kind that the client wants most: that must be one that the
/// client can recognise.
fn prefer_expected_keys(algorithms: &mut [&'static str], policy: &HostKeyPolicy) {
    let is_expected = |name: &str| policy.prefers(name);
    // Nothing is gained then, and an order of its own would tell whoever listens which keys are known (CVE-2020-14145).
    if algorithms.first().is_some_and(|name| is_expected(name)) {
        return;
    }
    // The sort is stable: otherwise the order stays.
    algorithms.sort_by_key(|name| !is_expected(name));
}
