//! Joins transport, auth and connection: bytes and time in; bytes, events and questions out.
//!
//! No socket, clock or thread: whoever drives a [`Session`] brings the bytes, the time and the randomness.
#![forbid(unsafe_code)]

mod channels;
mod client;
mod close;
mod config;
mod drive;
mod events;
mod keepalive;
mod limits;
mod questions;
mod requests;
mod server;
mod sink;
mod timers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

pub use crate::auth::{ClientMethod, ServerQuestion};
pub use crate::connection::kinds::{self, HostPort, Opening};
pub use crate::connection::{ChannelId, ChannelRequest, Exit, ForwardVerb, ListenAt, StderrMode, Stream};
pub use crate::error::HostKeyVerdict;
pub use crate::transport::{
    AlgorithmKind, Algorithms, Counters, HostKeys, Negotiated, Policy, PrivateKey, PublicKey, RandomSource,
    RekeyLimits, Role, SignatureRules, SystemRandom, ToSign, available,
};
pub use channels::ChannelInfo;
pub use client::{HostKeyCheck, HostKeyPolicy};
pub use config::{Keepalive, SessionConfig, host_key_algorithms};
pub use events::{RequestId, SessionEvent};
pub use limits::{Limit, Limits};
pub use questions::{Answer, Question, QuestionId};

use crate::auth::{ClientAuth, ServerAuth};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::transport::Transport;
use client::{LoginPause, Trust};
use keepalive::KeepaliveState;
use questions::Questions;
use requests::Requests;
use timers::{Timer, Timers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    Negotiating,
    /// Keyed, not authenticated.
    Negotiated,
    Authenticated,
    Closing,
    Ended,
}

/// Which room above the transport the packets go to.
enum Stage {
    /// The first key exchange is not over.
    Negotiating,
    /// Client, keyed: the host key is not accepted yet, or nothing was asked of the server yet.
    Keyed,
    ClientAuth(Box<ClientAuth>),
    ServerAuth(Box<ServerAuth>),
    Connected(Box<Connection>),
}

enum Life {
    Running,
    /// What is queued is still sent.
    Closing,
    /// Nothing reaches the peer any more; what it said before is still read.
    Lost,
    Ended(Error),
}

/// One connection's protocol, either role.
pub struct Session {
    config: SessionConfig,
    transport: Transport,
    stage: Stage,
    life: Life,
    /// What went wrong below a room's call, and ends the session.
    failure: Option<Error>,
    events: VecDeque<SessionEvent>,
    questions: Questions,
    requests: Requests,
    timers: Timers,
    keepalive: KeepaliveState,
    /// Bytes of the output that answer the peer.
    replies: usize,
    /// Received packets wait because replies or questions have piled up.
    blocked: bool,
    trust: Trust,
    policy: HostKeyPolicy,
    told_negotiated: bool,
    limits_changed: bool,
    login_pause: LoginPause,
    user: Option<Vec<u8>>,
    method: Option<&'static str>,
    trivial: bool,
    banner: Option<Vec<u8>>,
}

impl Session {
    /// The output holds the identification and KEXINIT at once.
    pub fn new(mut config: SessionConfig, random: Box<dyn RandomSource>, now: Instant) -> Result<Self> {
        let policy = std::mem::take(&mut config.host_key_policy);
        let transport = Transport::new(config.transport(&policy), random, now)?;
        let mut timers = Timers::default();
        timers.start(Timer::Handshake, now, config.limits.handshake_ms);
        if config.role == Role::Server {
            timers.start(Timer::Login, now, config.limits.login_ms);
        }
        Ok(Self {
            keepalive: KeepaliveState::new(config.keepalive, now),
            config,
            transport,
            stage: Stage::Negotiating,
            life: Life::Running,
            failure: None,
            events: VecDeque::new(),
            questions: Questions::default(),
            requests: Requests::default(),
            timers,
            replies: 0,
            blocked: false,
            trust: Trust::Unchecked,
            policy,
            told_negotiated: false,
            limits_changed: false,
            login_pause: LoginPause::default(),
            user: None,
            method: None,
            trivial: false,
            banner: None,
        })
    }

    pub fn role(&self) -> Role {
        self.config.role
    }

    pub fn state(&self) -> SessionState {
        match (&self.life, &self.stage) {
            (Life::Ended(_), _) => SessionState::Ended,
            (Life::Closing | Life::Lost, _) => SessionState::Closing,
            (Life::Running, Stage::Negotiating) => SessionState::Negotiating,
            (Life::Running, _) if self.is_asking_about_host_key() => SessionState::Negotiating,
            (Life::Running, Stage::Keyed | Stage::ClientAuth(_) | Stage::ServerAuth(_)) => SessionState::Negotiated,
            (Life::Running, Stage::Connected(_)) => SessionState::Authenticated,
        }
    }

    /// Why it ended.
    pub fn end(&self) -> Option<&Error> {
        match &self.life {
            Life::Ended(error) => Some(error),
            Life::Running | Life::Closing | Life::Lost => None,
        }
    }

    pub fn next_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// The user who is authenticated.
    pub fn username(&self) -> Option<&[u8]> {
        self.user.as_deref().filter(|_| self.is_authenticated())
    }

    /// The method that the last step of the authentication used.
    pub fn auth_succeeded_with(&self) -> Option<&'static str> {
        self.method.filter(|_| self.is_authenticated())
    }

    /// Client: the server let the user in without having seen a password, a signature or an answer.
    pub fn auth_was_trivial(&self) -> bool {
        self.trivial && self.is_authenticated()
    }

    /// The last banner that a server sent.
    pub fn banner(&self) -> Option<&[u8]> {
        self.banner.as_deref()
    }

    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.transport.negotiated()
    }

    pub fn remote_version(&self) -> Option<&str> {
        self.transport.remote_version()
    }

    pub fn remote_host_key(&self) -> Option<&PublicKey> {
        self.transport.remote_host_key()
    }

    /// Client: the host key's signature of the session's identifier.
    pub fn initial_proof(&self) -> Option<&[u8]> {
        self.transport.initial_proof()
    }

    /// Server: the key that was shown.
    pub fn host_key(&self) -> Option<&Arc<PrivateKey>> {
        self.transport.host_key()
    }

    pub fn session_id(&self) -> &[u8] {
        self.transport.session_id()
    }

    pub fn counters(&self) -> Counters {
        self.transport.counters()
    }

    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Unchecked; the channels learn of it at the next step.
    fn limits_mut(&mut self) -> &mut Limits {
        self.limits_changed = true;
        &mut self.config.limits
    }

    /// Times that run already keep their length, channels that are open already their sizes.
    pub fn set_limit(&mut self, limit: Limit, value: u64) -> Result<()> {
        self.limits_mut().set(limit, value)?;
        self.transport.set_limits(self.config.rekey_deadline(), self.config.limits.max_packet);
        Ok(())
    }

    /// For signatures made and checked from now on.
    pub fn set_signature_rules(&mut self, rules: SignatureRules) {
        self.config.signature_rules = rules;
        self.transport.set_signature_rules(rules);
        match &mut self.stage {
            Stage::ClientAuth(auth) => auth.set_signature_rules(rules),
            Stage::ServerAuth(auth) => auth.set_signature_rules(rules),
            Stage::Negotiating | Stage::Keyed | Stage::Connected(_) => {}
        }
    }

    pub fn set_rekey_limits(&mut self, limits: RekeyLimits) {
        self.transport.set_rekey_limits(limits);
    }

    /// Renews the keys; the event `Rekeyed` tells of the end.
    pub fn rekey(&mut self, now: Instant) -> Result<()> {
        self.check_running()?;
        if !self.is_authenticated() {
            return Err(Error::state("keys are renewed only after authentication"));
        }
        if self.transport.is_exchanging() {
            return Err(Error::state("a key exchange is under way"));
        }
        self.apply_limits();
        let started = self.transport.rekey(now);
        if let Err(error) = started {
            self.fail(error);
        }
        Ok(())
    }

    fn is_authenticated(&self) -> bool {
        matches!(self.stage, Stage::Connected(_))
    }

    fn is_ended(&self) -> bool {
        matches!(self.life, Life::Ended(_))
    }

    /// Nothing new is begun on a session that ends or has ended.
    fn check_running(&self) -> Result<()> {
        match &self.life {
            Life::Running => Ok(()),
            Life::Closing => Err(Error::closed("the connection is being closed")),
            Life::Lost => Err(Error::closed("the peer is gone")),
            Life::Ended(error) => Err(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
