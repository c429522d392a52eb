//! What only a client does: trusting a host key, and authenticating.

use std::time::{Duration, Instant};

use super::questions::{Pending, Question};
use super::sink::Sink;
use super::{HostKeys, PublicKey, Session, SessionEvent, SessionState, Stage, Timer};
use crate::auth::{ClientAuth, ClientAuthEvent, ClientContext, ClientMethod};
use crate::connection::Connection;
use crate::error::{Error, HostKeyVerdict, Result};
use crate::transport::Role;

/// What makes a server's host key trusted. The default, `Unset`, trusts nothing.
#[derive(Clone, Default)]
pub enum HostKeyPolicy {
    #[default]
    Unset,
    Any,
    /// Something is given to check it with.
    Check(Box<HostKeyCheck>),
}

/// What a server's key is held against. A revoked one is refused; a listed key or fingerprint, and a known key, are
/// trusted; any other is asked about, or refused.
#[derive(Clone, Default)]
pub struct HostKeyCheck {
    pub keys: Vec<PublicKey>,
    /// "SHA256:…"
    pub fingerprints: Vec<String>,
    /// What a list of known hosts says of the host.
    pub known: HostKeys,
    pub ask: bool,
    /// What is known does not bear on the order in which host key algorithms are offered (CVE-2020-14145).
    pub fixed_order: bool,
}

impl HostKeyCheck {
    /// None: the key is right.
    fn verdict(&self, key: &PublicKey) -> Option<HostKeyVerdict> {
        if self.known.is_revoked(key) {
            return Some(HostKeyVerdict::Revoked);
        }
        if self.keys.contains(key) || has_fingerprint(&self.fingerprints, key) {
            return None;
        }
        let given = !self.keys.is_empty() || !self.fingerprints.is_empty();
        match self.known.check(key).0.verdict() {
            Some(HostKeyVerdict::Unknown) if given => Some(HostKeyVerdict::Changed),
            verdict => verdict,
        }
    }
}

impl HostKeyPolicy {
    /// Whether a key of this kind is asked for first: one is known.
    pub(super) fn prefers(&self, algorithm: &str) -> bool {
        let Self::Check(check) = self else { return false };
        let fits = |key: &PublicKey| key.fits(algorithm);
        !check.fixed_order && (check.keys.iter().any(fits) || check.known.recognised().any(fits))
    }
}

/// Where the question whether the host key is the right one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Unchecked,
    Asked,
    Trusted,
}

/// The time left of the login deadline while the user is asked.
#[derive(Debug, Default)]
pub(super) struct LoginPause {
    left: Option<Duration>,
}

impl Session {
    /// After the negotiation the key is checked at once.
    pub fn set_host_key_policy(&mut self, policy: HostKeyPolicy, now: Instant) -> Result<()> {
        self.check_running()?;
        self.check_role(Role::Client)?;
        if self.is_asking_about_host_key() || self.trust == Trust::Trusted {
            return Err(Error::state("the host key is being asked about, or was accepted"));
        }
        self.policy = policy;
        if self.state() != SessionState::Negotiating {
            let outcome = self.check_host_key(now);
            self.note(outcome);
        }
        Ok(())
    }

    pub fn trust_host_key(&mut self) -> Result<()> {
        self.check_running()?;
        self.check_role(Role::Client)?;
        match (self.trust, &self.stage) {
            (_, Stage::Negotiating) => Err(Error::state("there is no host key yet")),
            (Trust::Asked, _) => Err(Error::state("the host key is being asked about")),
            _ => {
                self.trust = Trust::Trusted;
                Ok(())
            }
        }
    }

    /// Whether the server's key was accepted.
    pub fn is_host_key_trusted(&self) -> bool {
        self.trust == Trust::Trusted
    }

    pub fn authenticate(&mut self, user: &[u8], method: ClientMethod, now: Instant) -> Result<()> {
        self.check_running()?;
        self.check_role(Role::Client)?;
        match &self.stage {
            Stage::Negotiating => return Err(Error::state("the keys are not negotiated yet")),
            Stage::Connected(_) => return Err(Error::state("the user is authenticated already")),
            Stage::Keyed | Stage::ClientAuth(_) | Stage::ServerAuth(_) => {}
        }
        if self.is_asking_about_host_key() {
            return Err(Error::state("the host key is being asked about"));
        }
        if self.trust != Trust::Trusted {
            return Err(Error::host_key(HostKeyVerdict::Unchecked, "the server's host key was not checked"));
        }
        if matches!(self.stage, Stage::Keyed) {
            self.stage = Stage::ClientAuth(Box::new(ClientAuth::new(self.client_context())));
        }
        let Stage::ClientAuth(auth) = &mut self.stage else {
            return Err(Error::internal("authentication without its room"));
        };
        auth.start(user, method, &mut Sink { transport: &mut self.transport, failure: &mut self.failure })?;
        self.user = Some(user.to_vec());
        self.login_pause = LoginPause::default();
        self.timers.start(Timer::Login, now, self.config.limits.login_ms);
        self.settle(now);
        Ok(())
    }

    /// Whether a success that nothing was proved for ends the session.
    pub fn set_refuse_trivial_auth(&mut self, on: bool) {
        self.config.refuse_trivial_auth = on;
        if let Stage::ClientAuth(auth) = &mut self.stage {
            auth.set_refuse_trivial(on);
        }
    }

    /// The methods that may continue, as the server said last.
    pub fn auth_methods(&self) -> Option<&str> {
        match &self.stage {
            Stage::ClientAuth(auth) => auth.methods(),
            _ => None,
        }
    }

    fn client_context(&self) -> ClientContext {
        let extensions = self.transport.peer_extensions();
        ClientContext {
            session_id: self.transport.session_id().to_vec(),
            host_key_blob: self.transport.initial_host_key_blob().map(<[u8]>::to_vec),
            server_sig_algs: self.server_sig_algs(),
            hostbound: extensions.publickey_hostbound,
            pubkey_algorithms: self.config.algorithms.pubkey_signature.clone(),
            signature_rules: self.config.signature_rules,
            refuse_trivial: self.config.refuse_trivial_auth,
        }
    }

    /// A server may announce more during authentication (RFC 8308 section 2.4).
    pub(super) fn update_extensions(&mut self) {
        let server_sig_algs = self.server_sig_algs();
        if let Stage::ClientAuth(auth) = &mut self.stage {
            auth.update_extensions(server_sig_algs, self.transport.peer_extensions().publickey_hostbound);
        }
    }

    /// OpenSSH 7.4 takes RSA with SHA-2 but leaves it out of its list, which so counts for nothing.
    fn server_sig_algs(&self) -> Option<String> {
        let software = self.transport.remote_version().and_then(|line| line.splitn(3, '-').nth(2));
        let forgets = software.is_some_and(|software| software.starts_with("OpenSSH_7.4"));
        self.transport.peer_extensions().server_sig_algs.clone().filter(|_| !forgets)
    }

    fn check_role(&self, role: Role) -> Result<()> {
        match role {
            _ if self.config.role == role => Ok(()),
            Role::Client => Err(Error::state("only a client can do this")),
            Role::Server => Err(Error::state("only a server can do this")),
        }
    }

    pub(super) fn check_is_server(&self) -> Result<()> {
        self.check_role(Role::Server)
    }

    pub(super) fn is_asking_about_host_key(&self) -> bool {
        matches!(self.trust, Trust::Asked)
    }

    /// Holds the server's key against the policy.
    pub(super) fn check_host_key(&mut self, now: Instant) -> Result<()> {
        let Some(key) = self.transport.remote_host_key().cloned() else {
            return Err(Error::internal("a key exchange without a host key"));
        };
        let (verdict, ask) = match &self.policy {
            HostKeyPolicy::Unset => return Ok(()),
            HostKeyPolicy::Any => (None, false),
            HostKeyPolicy::Check(check) => (check.verdict(&key), check.ask),
        };
        let Some(verdict) = verdict else {
            self.trust = Trust::Trusted;
            return Ok(());
        };
        if !ask || verdict == HostKeyVerdict::Revoked {
            return Err(refusal(verdict, &key));
        }
        self.ask(Pending::HostKey, Question::HostKey { key, verdict }, now);
        self.trust = Trust::Asked;
        Ok(())
    }

    /// The application's answer.
    pub(super) fn decide_host_key(&mut self, accepted: bool) -> Result<()> {
        if !self.is_asking_about_host_key() {
            return Err(Error::internal("an answer about a host key that nobody asked about"));
        }
        if accepted {
            self.trust = Trust::Trusted;
            self.accept_negotiation();
            return Ok(());
        }
        self.trust = Trust::Unchecked;
        Err(match self.transport.remote_host_key() {
            Some(key) => refusal(HostKeyVerdict::Refused, key),
            None => Error::internal("a host key is gone"),
        })
    }

    pub(super) fn take_client_events(&mut self, now: Instant) -> Result<()> {
        loop {
            let Stage::ClientAuth(auth) = &mut self.stage else { return Ok(()) };
            let Some(event) = auth.next_event() else { return Ok(()) };
            match event {
                ClientAuthEvent::Finished(Ok(())) => {
                    self.method = auth.method();
                    self.trivial = auth.is_trivial();
                    self.connect(now);
                    self.events.push_back(SessionEvent::AuthFinished(Ok(())));
                }
                ClientAuthEvent::Finished(Err(error)) => {
                    self.timers.stop(Timer::Login);
                    self.events.push_back(SessionEvent::AuthFinished(Err(error)));
                }
                ClientAuthEvent::Banner(text) => {
                    self.banner = Some(text.clone());
                    self.events.push_back(SessionEvent::Banner(text));
                }
                ClientAuthEvent::Prompts { question, name, instruction, prompts } => {
                    let pending = Pending::ClientAuth { question, password_change: false };
                    self.ask_user(pending, Question::Prompts { name, instruction, prompts }, now);
                }
                ClientAuthEvent::Sign { question, wanted } => {
                    self.ask_user(Pending::UserSignature { question }, Question::Sign(wanted), now);
                }
                ClientAuthEvent::PasswordChange { question, prompt } => {
                    let pending = Pending::ClientAuth { question, password_change: true };
                    self.ask_user(pending, Question::PasswordChange { prompt }, now);
                }
            }
        }
    }

    /// Authentication is over: from here on there are channels.
    pub(super) fn connect(&mut self, now: Instant) {
        self.timers.stop(Timer::Login);
        self.stage = Stage::Connected(Box::new(Connection::new(self.config.connection())));
        self.begin_keepalive(now);
    }

    /// The time that a user takes does not count against the login deadline.
    fn ask_user(&mut self, pending: Pending, question: Question, now: Instant) {
        if let Some(due) = self.timers.stop(Timer::Login) {
            self.login_pause.left = Some(due.saturating_duration_since(now));
        }
        self.ask(pending, question, now);
    }

    pub(super) fn resume_login(&mut self, now: Instant) {
        if let Some(left) = self.login_pause.left.take() {
            self.timers.set(Timer::Login, now + left);
        }
    }
}

fn has_fingerprint(fingerprints: &[String], key: &PublicKey) -> bool {
    let shown = key.fingerprint_sha256();
    // Some tools print the base64 with its padding.
    fingerprints.iter().any(|fingerprint| fingerprint.trim_end_matches('=') == shown)
}

fn refusal(verdict: HostKeyVerdict, key: &PublicKey) -> Error {
    let (kind, fingerprint) = (key.key_type(), key.fingerprint_sha256());
    let text = match verdict {
        HostKeyVerdict::Changed => {
            format!("the server showed the {kind} key {fingerprint}, which is not the expected one")
        }
        HostKeyVerdict::Revoked => format!("the server showed the {kind} key {fingerprint}, which is revoked"),
        HostKeyVerdict::Refused => format!("the application refused the server's {kind} key {fingerprint}"),
        _ => format!("the server's {kind} key {fingerprint} is not known"),
    };
    Error::host_key(verdict, text)
}
