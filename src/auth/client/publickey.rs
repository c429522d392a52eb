use super::exchange::{Exchange, Login, Refused, Step};
use crate::auth::publickey::{Acceptable, NAME, Request};
use crate::error::{Error, Result};
use crate::keys::{PrivateKey, ToSign};
use crate::wire::{NameList, clean};
use std::collections::VecDeque;
use std::sync::Arc;

/// How much of a server's list an error shows.
const SHOWN: usize = 1024;

/// RFC 4252 section 7; the signature covers the server's host key too where the server knows how.
pub struct Publickey {
    key: Arc<PrivateKey>,
    /// Those after it.
    keys: VecDeque<Arc<PrivateKey>>,
    probe: bool,
    /// Signature algorithms of the key that were not tried yet.
    untried: VecDeque<&'static str>,
    state: State,
    /// Why a key that the server would have taken did not sign: says more than that the server refused the others.
    failure: Option<Error>,
}

enum State {
    New,
    /// The server was asked about the key, for this algorithm.
    Probed(&'static str),
    /// Somebody else signs.
    Signing(ToSign),
    Signed,
}

impl Publickey {
    pub fn new(mut keys: VecDeque<Arc<PrivateKey>>, probe: bool) -> Result<Self> {
        let key = keys.pop_front().ok_or_else(|| Error::argument("there is no key to authenticate with"))?;
        Ok(Self { key, keys, probe, untried: VecDeque::new(), state: State::New, failure: None })
    }

    /// The next algorithm of the key, or the next key that has one.
    fn next(&mut self, login: &Login<'_>) -> Step {
        loop {
            if let Some(algorithm) = self.untried.pop_front() {
                return if self.probe { self.ask_about(algorithm, login) } else { self.sign(algorithm, login) };
            }
            let Some(key) = self.keys.pop_front() else { return self.give_up(login) };
            self.key = key;
            self.untried = self.usable_algorithms(login);
        }
    }

    fn ask_about(&mut self, algorithm: &'static str, login: &Login<'_>) -> Step {
        self.state = State::Probed(algorithm);
        let request = self.request(algorithm, login);
        Step::Request { method: request.method(), fields: request.encode().into() }
    }

    fn give_up(&mut self, login: &Login<'_>) -> Step {
        match self.failure.take() {
            Some(failure) => Step::GiveUp(failure),
            None => Step::Refuse(self.nothing_in_common(login)),
        }
    }

    fn nothing_in_common(&self, login: &Login<'_>) -> String {
        let ours = login.context.pubkey_algorithms.join(",");
        let theirs = login.context.server_sig_algs.as_deref().unwrap_or("none in particular");
        format!(
            "no signature algorithm for a key of type {} is taken by both sides: this side has {ours}, the server names {}",
            self.key.public().key_type(),
            clean(theirs.as_bytes(), SHOWN)
        )
    }

    fn sign(&mut self, algorithm: &'static str, login: &Login<'_>) -> Step {
        let data = self.request(algorithm, login).signed_data(&login.context.session_id, login.user);
        if self.key.signer().is_some() {
            let rules = login.context.signature_rules.of_hosts();
            let wanted = ToSign { rules, key: Arc::clone(&self.key), algorithm, data };
            self.state = State::Signing(wanted.clone());
            return Step::Sign(wanted);
        }
        let signature = self.key.sign_under(&login.context.signature_rules, algorithm, &data);
        self.send(algorithm, signature, login)
    }

    fn send(&mut self, algorithm: &'static str, signature: Result<Vec<u8>>, login: &Login<'_>) -> Step {
        match signature {
            Ok(signature) => {
                self.state = State::Signed;
                let request = Request { signature: Some(&signature), ..self.request(algorithm, login) };
                Step::Request { method: request.method(), fields: request.encode().into() }
            }
            Err(error) => {
                self.state = State::New;
                self.untried.clear();
                self.failure.get_or_insert(error);
                self.next(login)
            }
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

    fn signed(&mut self, given: Result<Vec<u8>>, login: &Login<'_>) -> Result<Step> {
        let State::Signing(wanted) = std::mem::replace(&mut self.state, State::New) else {
            return Err(Error::internal("a signature that nobody asked for"));
        };
        let signature = given.and_then(|given| wanted.accept(&given));
        Ok(self.send(wanted.algorithm, signature, login))
    }

    fn refused(&mut self, methods: NameList<'_>, login: &Login<'_>) -> Result<Refused> {
        let more = !self.untried.is_empty() || !self.keys.is_empty() || self.failure.is_some();
        if !more || !methods.contains(NAME) {
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
