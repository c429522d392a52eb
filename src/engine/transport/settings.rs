//! What can be set on a transport, and read back.

use std::sync::Arc;

use super::super::{Asker, Transport};
use super::{Locked, Result};
use crate::error::Error;
use crate::session::{
    AlgorithmKind, Algorithms, HostKeyPolicy, Keepalive, Limit, Policy, PrivateKey, RekeyLimits, SignatureRules,
};

impl Transport {
    fn before_start<T>(self: &Arc<Self>, change: impl FnOnce(&mut Locked) -> Result<T>) -> Result<T> {
        self.engine().check()?;
        let mut locked = self.lock();
        if locked.is_started() || locked.ended.is_some() {
            return Err(Error::state("this is set before the transport is started"));
        }
        change(&mut locked)
    }
    fn at_any_time<T>(self: &Arc<Self>, change: impl FnOnce(&mut Locked) -> Result<T>) -> Result<T> {
        self.engine().check()?;
        let mut locked = self.lock();
        let result = change(&mut locked);
        locked.pump();
        result
    }

    /// A list, or one beginning with `+`, `-` or `^`; before the start.
    pub fn set_algorithms(self: &Arc<Self>, kind: AlgorithmKind, list: &str) -> Result<()> {
        self.before_start(|locked| locked.config.algorithms.set(kind, list))
    }
    /// All lists become what the policy offers; before the start.
    pub fn set_policy(self: &Arc<Self>, policy: Policy) -> Result<()> {
        self.before_start(|locked| {
            locked.config.algorithms = Algorithms::of(policy);
            Ok(())
        })
    }
    pub fn policy(self: &Arc<Self>) -> Result<Policy> {
        self.at_any_time(|locked| Ok(locked.config.algorithms.policy()))
    }
    pub fn algorithms(self: &Arc<Self>, kind: AlgorithmKind) -> Result<String> {
        self.at_any_time(|locked| Ok(locked.config.algorithms.get(kind)))
    }
    /// Server: one of a type.
    pub fn add_host_key(self: &Arc<Self>, key: Arc<PrivateKey>) -> Result<()> {
        self.before_start(|locked| {
            let kind = key.public().key_type();
            let known = std::mem::take(&mut locked.config.host_keys);
            let (gone, mut kept): (Vec<_>, Vec<_>) = known.into_iter().partition(|it| it.public().key_type() == kind);
            kept.push(key);
            locked.config.host_keys = kept;
            // With a key may go what its signer's application wants to do about that.
            locked.discard(gone);
            Ok(())
        })
    }
    /// For channels opened later; before the start.
    pub fn set_default_window(self: &Arc<Self>, window: u32, max_packet: u32) -> Result<()> {
        if max_packet < 1_024 || window < max_packet {
            return Err(Error::argument("a packet has at least 1,024 bytes, and the window takes at least one packet"));
        }
        self.before_start(|locked| {
            locked.config.default_window = window;
            locked.config.default_max_packet = max_packet;
            Ok(())
        })
    }
    /// (window, largest packet)
    pub fn default_window(self: &Arc<Self>) -> Result<(u32, u32)> {
        self.at_any_time(|locked| Ok((locked.config.default_window, locked.config.default_max_packet)))
    }
    pub fn set_version_comment(self: &Arc<Self>, comment: Option<String>) -> Result<()> {
        self.before_start(|locked| {
            locked.config.version_comment = comment;
            Ok(())
        })
    }
    pub fn set_limit(self: &Arc<Self>, limit: Limit, value: u64) -> Result<()> {
        self.at_any_time(|locked| {
            locked.config.limits.set(limit, value)?;
            match locked.session.as_deref_mut() {
                Some(session) => session.set_limit(limit, value),
                None => Ok(()),
            }
        })
    }
    pub fn limit(self: &Arc<Self>, limit: Limit) -> Result<u64> {
        self.at_any_time(|locked| Ok(locked.config.limits.get(limit)))
    }
    pub fn set_rekey_limits(self: &Arc<Self>, limits: RekeyLimits) -> Result<()> {
        self.at_any_time(|locked| {
            if let Some(session) = locked.session.as_deref_mut() {
                session.set_rekey_limits(limits);
            }
            locked.config.rekey = limits;
            Ok(())
        })
    }
    pub fn rekey_limits(self: &Arc<Self>) -> Result<RekeyLimits> {
        self.at_any_time(|locked| Ok(locked.config.rekey))
    }
    /// Of signatures made and checked from now on.
    pub fn set_signature_rules(self: &Arc<Self>, rules: SignatureRules) -> Result<()> {
        if !SignatureRules::RSA_BITS.contains(&rules.minimum_rsa_bits) {
            let (least, most) = (SignatureRules::RSA_BITS.start(), SignatureRules::RSA_BITS.end());
            return Err(Error::argument(format!("the least size of an RSA key is between {least} and {most} bits")));
        }
        self.at_any_time(|locked| {
            locked.config.signature_rules = rules;
            if let Some(session) = locked.session.as_deref_mut() {
                session.set_signature_rules(rules);
            }
            Ok(())
        })
    }
    pub fn signature_rules(self: &Arc<Self>) -> Result<SignatureRules> {
        self.at_any_time(|locked| Ok(locked.config.signature_rules))
    }
    pub fn set_keepalive(self: &Arc<Self>, keepalive: Keepalive) -> Result<()> {
        self.at_any_time(|locked| {
            let now = locked.now;
            locked.config.keepalive = keepalive;
            if let Some(session) = locked.session.as_deref_mut() {
                session.set_keepalive(keepalive, now);
            }
            Ok(())
        })
    }
    pub fn keepalive(self: &Arc<Self>) -> Result<Keepalive> {
        self.at_any_time(|locked| Ok(locked.config.keepalive))
    }
    /// Client: a server that lets the user in without any proof is left, with AuthFailed.
    pub fn set_refuse_trivial_auth(self: &Arc<Self>, on: bool) -> Result<()> {
        self.at_any_time(|locked| {
            locked.config.refuse_trivial_auth = on;
            if let Some(session) = locked.session.as_deref_mut() {
                session.set_refuse_trivial_auth(on);
            }
            Ok(())
        })
    }
    pub fn refuse_trivial_auth(self: &Arc<Self>) -> Result<bool> {
        self.at_any_time(|locked| Ok(locked.config.refuse_trivial_auth))
    }
    /// Questions become QUESTION events and no asker is called.
    pub fn set_questions_as_events(self: &Arc<Self>, on: bool) -> Result<()> {
        self.at_any_time(|locked| {
            locked.askers.as_events = on;
            Ok(())
        })
    }
    pub fn questions_as_events(self: &Arc<Self>) -> Result<bool> {
        self.at_any_time(|locked| Ok(locked.askers.as_events))
    }
    /// Asked what nobody else is asked: channels and requests that the peer begins.
    pub fn set_asker(self: &Arc<Self>, asker: Option<Arc<dyn Asker>>) -> Result<()> {
        self.at_any_time(|locked| {
            let over = locked.ended.is_some();
            let old = std::mem::replace(&mut locked.askers.peer, asker.filter(|_| !over));
            locked.discard(old);
            Ok(())
        })
    }
    /// Whose host key is accepted; the asker is asked where the policy says so.
    pub fn set_host_key_check(self: &Arc<Self>, policy: HostKeyPolicy, asker: Option<Arc<dyn Asker>>) -> Result<()> {
        self.at_any_time(|locked| {
            let now = locked.now;
            match locked.session.as_deref_mut() {
                Some(session) => session.set_host_key_policy(policy, now)?,
                None => locked.policy = policy,
            }
            let over = locked.ended.is_some();
            let old = std::mem::replace(&mut locked.askers.host_key, asker.filter(|_| !over));
            locked.discard(old);
            Ok(())
        })
    }
    /// The application has looked at the key itself.
    pub fn trust_host_key(self: &Arc<Self>) -> Result<()> {
        self.at_any_time(|locked| locked.active()?.trust_host_key())
    }
}
