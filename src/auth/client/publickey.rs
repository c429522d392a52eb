use super::exchange::{Exchange, Login, Refused, Step};
use crate::auth::publickey::{Acceptable, NAME, Request};
use crate::error::{Error, Result};
use crate::keys::PrivateKey;
use crate::wire::NameList;
use std::collections::VecDeque;
use std::sync::Arc;

/// RFC 4252 section 7; the signature covers the server's host key too where the server knows how.
pub struct Publickey {
    key: Arc<PrivateKey>,
    probe: bool,
    /// Signature algorithms that were not tried yet.
    untried: VecDeque<&'static str>,
    state: State,
}

enum State {
    New,
    /// The server was asked about the key, for this algorithm.
    Probed(&'static str),
    Signed,
}

impl Publickey {
    pub fn new(key: Arc<PrivateKey>, probe: bool) -> Self {
        Self { key, probe, untried: VecDeque::new(), state: State::New }
    }

    fn next(&mut self, login: &Login<'_>) -> Step {
        match self.untried.pop_front() {
            Some(algorithm) if self.probe => {
                self.state = State::Probed(algorithm);
                let request = self.request(algorithm, login);
                Step::Request { method: request.method(), fields: request.encode().into() }
            }
            Some(algorithm) => self.sign(algorithm, login),
            None => Step::Refuse(format!(
                "no signature algorithm for a key of type {} is taken by both sides",
                self.key.public().key_type()
            )),
        }
    }

    fn sign(&mut self, algorithm: &'static str, login: &Login<'_>) -> Step {
        self.state = State::Signed;
        let request = self.request(algorithm, login);
        let data = request.signed_data(&login.context.session_id, login.user);
        match self.key.sign_under(&login.context.signature_rules, algorithm, &data) {
            Ok(signature) => {
                let request = Request { signature: Some(&signature), ..request };
                Step::Request { method: request.method(), fields: request.encode().into() }
            }
            Err(error) => Step::GiveUp(error),
        }
    }

    fn request<'a>(&'a self, algorithm: &'static str, login: &'a Login<'_>) -> Request<'a> {
        let host_key = login.context.host_key_blob.as_deref().filter(|_| login.context.hostbound);
        Request { algorithm, blob: self.key.public().blob(), host_key, signature: None }
    }

    /// Of the algorithms that the application allows, in its order: "ssh-rsa" is one only where it was named. Only RSA
    /// has several for one key (RFC 8332): the server's list decides, or, where it sent none, each is tried.
    fn usable_algorithms(&self, login: &Login<'_>) -> VecDeque<&'static str> {
        let key = self.key.public();
        let allowed = login.context.pubkey_algorithms.iter().copied().filter(|name| key.fits(name));
        match &login.context.server_sig_algs {
            Some(list) if key.is_rsa() => {
                let list = NameList::from_text(list);
                allowed.filter(|name| list.contains(name)).take(1).collect()
            }
            _ => allowed.collect(),
        }
    }
}

impl Exchange for Publickey {
    fn name(&self) -> &'static str {
        NAME
    }

    fn begin(&mut self, login: &Login<'_>) -> Result<Step> {
        self.untried = self.usable_algorithms(login);
        Ok(self.next(login))
    }

    fn replied(&mut self, fields: &[u8], login: &Login<'_>) -> Result<Step> {
        let State::Probed(algorithm) = self.state else {
            return Err(Error::protocol("the server answers a question about a key that was not asked"));
        };
        // Some servers name the key's type here instead of the algorithm.
        if Acceptable::decode(fields)?.blob != self.key.public().blob() {
            return Err(Error::protocol("the server accepts another key than it was asked about"));
        }
        Ok(self.sign(algorithm, login))
    }

    fn refused(&mut self, methods: NameList<'_>, login: &Login<'_>) -> Result<Refused> {
        if self.untried.is_empty() || !methods.contains(NAME) {
            return Ok(Refused::Finally);
        }
        Ok(Refused::Again(self.next(login)))
    }

    /// RFC 4252 section 7: a request without a signature gets FAILURE or PK_OK.
    fn may_succeed(&self) -> bool {
        matches!(self.state, State::Signed)
    }

    fn has_proved(&self) -> bool {
        matches!(self.state, State::Signed)
    }
}
