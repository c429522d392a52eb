//! One key exchange from KEXINIT to NEWKEYS, in either role (RFC 4253 sections 7 to 9).

use super::compression::{Deflater, Inflater, Start, start_of};
use super::negotiation::{Choice, Proposal, markers, negotiate, no_strict_exchange};
use super::{
    Deadline, Negotiated, Peer, Policy, PrivateKey, PublicKey, ToSign, Transport, TransportEvent, extensions, kex,
};
use crate::crypto::{self, Open, Seal};
use crate::error::{Error, HostKeyVerdict, Result};
use crate::wire::messages::{KexInit, message};
use crate::wire::{Phase, Role, Writer};
use bytes::Bytes;
use kex::{Agreement, Method, Proof, Step};
use std::sync::Arc;
use zeroize::Zeroizing;

pub enum Exchange {
    Idle,
    /// Ours was sent, the peer's has not come.
    KexInit(OwnKexInit),
    Method(Box<Running>),
    /// Of a server: somebody else signs, and the peer has nothing to say.
    Signing(Box<Signing>),
    /// Our NEWKEYS was sent, the peer's has not come.
    NewKeys(Box<Keyed>),
}

pub struct OwnKexInit {
    payload: Vec<u8>,
    /// The host key algorithms in it.
    host_key: Vec<&'static str>,
}

pub struct Running {
    method: Box<dyn Method>,
    choice: Choice,
    own_kexinit: Vec<u8>,
    peer_kexinit: Bytes,
    wrong_guess_to_come: bool,
}

pub struct Signing {
    running: Running,
    agreement: Agreement,
    wanted: ToSign,
}

/// The number of no message: none of the method is legal.
const NOTHING: u8 = 0;

pub struct Keyed {
    opener: Box<dyn Open>,
    choice: Choice,
}

impl Exchange {
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Between our KEXINIT and our NEWKEYS nothing but the exchange goes out (RFC 4253 section 7.1).
    pub fn holds_messages(&self) -> bool {
        matches!(self, Self::KexInit(_) | Self::Method(_) | Self::Signing(_))
    }

    /// None: the peer has no part in an exchange yet, or the first one is over.
    pub fn phase(&self, initial: bool) -> Option<Phase> {
        match (self, initial) {
            (Self::Idle | Self::KexInit(_), true) => Some(Phase::InitialKexInit),
            (Self::Idle | Self::KexInit(_), false) => None,
            (Self::Method(running), true) => Some(Phase::InitialMethod { expected: running.method.expected() }),
            (Self::Method(running), false) => Some(Phase::RekeyMethod { expected: running.method.expected() }),
            (Self::Signing(_), true) => Some(Phase::InitialMethod { expected: NOTHING }),
            (Self::Signing(_), false) => Some(Phase::RekeyMethod { expected: NOTHING }),
            (Self::NewKeys(_), true) => Some(Phase::InitialNewKeys),
            (Self::NewKeys(_), false) => Some(Phase::RekeyNewKeys),
        }
    }

    /// Whether the method's message that has just come is the wrong guess that is to be passed over.
    pub fn skip_wrong_guess(&mut self) -> bool {
        match self {
            Self::Method(running) => std::mem::take(&mut running.wrong_guess_to_come),
            _ => false,
        }
    }
}

impl Transport {
    pub(super) fn start_exchange(&mut self) -> Result<()> {
        let initial = self.is_initial();
        let mut cookie = [0; 16];
        self.random.fill(&mut cookie);
        let host_key = self.host_key_proposal();
        let payload = self.proposal(host_key.clone()).kexinit(cookie, initial);
        #[cfg(test)]
        let payload = self.hooks.alter_kexinit(payload);
        self.writer.send_payload(&payload, self.random.as_mut())?;
        #[cfg(test)]
        self.send_hooked(|hooks| &mut hooks.after_kexinit)?;
        self.exchange = Exchange::KexInit(OwnKexInit { payload, host_key });
        if !initial {
            self.deadline = self.deadline_from_now();
        }
        Ok(())
    }

    fn proposal(&self, host_key: Vec<&'static str>) -> Proposal<'_> {
        Proposal { role: self.config.role, algorithms: &self.config.algorithms, host_key }
    }

    /// A later exchange must show the same host key, so only what that key can sign is offered.
    fn host_key_proposal(&self) -> Vec<&'static str> {
        let mut offered = self.config.offered_host_keys();
        let shown = self.remote_host_key.as_ref().or(self.host_key.as_ref().map(|key| key.public()));
        if let Some(key) = shown {
            offered.retain(|name| key.fits(name));
        }
        offered
    }

    pub(super) fn receive_kexinit(&mut self, payload: Bytes, sequence_number: u32) -> Result<()> {
        if self.exchange.is_idle() {
            self.start_exchange()?;
        }
        let Exchange::KexInit(own) = std::mem::replace(&mut self.exchange, Exchange::Idle) else {
            return Err(Error::protocol("a second KEXINIT in one exchange"));
        };
        let theirs = KexInit::decode(payload.get(1..).unwrap_or_default())?;
        if self.is_initial() {
            self.receive_markers(&theirs, sequence_number)?;
        }
        let choice = negotiate(&self.proposal(own.host_key), &theirs)?;
        let mut method = kex::method(choice.kex, self.config.role)?;
        if let Some(opening) = method.start()? {
            self.writer.send_payload(&opening, self.random.as_mut())?;
        }
        self.exchange = Exchange::Method(Box::new(Running {
            method,
            choice,
            own_kexinit: own.payload,
            peer_kexinit: payload.clone(),
            wrong_guess_to_come: choice.wrong_guess,
        }));
        Ok(())
    }

    /// Strict key exchange (OpenSSH PROTOCOL section 1.10): our KEXINIT always carries the marker, so the
    /// peer's decides. Whatever came before its KEXINIT is known to be a violation only now.
    fn receive_markers(&mut self, theirs: &KexInit<'_>, sequence_number: u32) -> Result<()> {
        let peer = match self.config.role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let markers = markers(theirs.kex_algorithms, peer);
        self.strict = markers.strict;
        #[cfg(test)]
        let markers = self.hooks.alter_markers(markers);
        #[cfg(test)]
        {
            self.strict = markers.strict;
        }
        self.peer_takes_ext_info = markers.ext_info;
        if !self.strict && self.config.algorithms.policy() == Policy::Strict {
            return Err(no_strict_exchange(self.config.role, theirs.kex_algorithms));
        }
        if self.strict && sequence_number != 0 {
            return Err(Error::protocol("strict key exchange: KEXINIT was not the peer's first packet"));
        }
        Ok(())
    }

    pub(super) fn receive_method(&mut self, fields: &[u8]) -> Result<()> {
        let Exchange::Method(running) = &mut self.exchange else {
            return Err(Error::internal("a message of no key exchange was let through"));
        };
        match running.method.receive(fields).inspect_err(|_| self.method_failed = true)? {
            Step::Send(payload) => self.writer.send_payload(&payload, self.random.as_mut()),
            Step::Agreed(agreement) => self.finish_method(agreement),
        }
    }

    fn finish_method(&mut self, agreement: Agreement) -> Result<()> {
        let Exchange::Method(running) = std::mem::replace(&mut self.exchange, Exchange::Idle) else {
            return Err(Error::internal("a key exchange ended that had not begun"));
        };
        if let Some(proof) = &agreement.proof {
            let hash = self.check_proof(&running, &agreement, proof)?;
            return self.change_keys(&running, &agreement, &hash);
        }
        let wanted = self.proof_to_sign(&running, &agreement)?;
        if wanted.key.signer().is_some() {
            self.add_event(TransportEvent::Sign(wanted.clone()));
            self.exchange = Exchange::Signing(Box::new(Signing { running: *running, agreement, wanted }));
            return Ok(());
        }
        let signature = wanted.key.sign_under(&self.config.signature_rules, wanted.algorithm, &wanted.data)?;
        self.prove(&running, &agreement, wanted, &signature)
    }

    /// What came of [`TransportEvent::Sign`]; see [`ToSign::accept`].
    pub fn signed(&mut self, given: Result<Vec<u8>>) -> Result<()> {
        self.check_open()?;
        let outcome = self.take_signature(given);
        self.note_failure(outcome)
    }

    fn take_signature(&mut self, given: Result<Vec<u8>>) -> Result<()> {
        let Exchange::Signing(signing) = std::mem::replace(&mut self.exchange, Exchange::Idle) else {
            return Err(Error::internal("a signature that no key exchange waits for"));
        };
        let Signing { running, agreement, wanted } = *signing;
        let signature = wanted.accept(&given?)?;
        self.prove(&running, &agreement, wanted, &signature)
    }

    fn change_keys(&mut self, running: &Running, agreement: &Agreement, hash: &[u8]) -> Result<()> {
        if self.session_id.is_empty() {
            self.session_id = hash.into();
        }
        let (sealer, opener) = self.derive_keys(&running.choice, agreement, hash)?;
        self.send_newkeys(sealer, running.choice.compression_out)?;
        self.exchange = Exchange::NewKeys(Box::new(Keyed { opener, choice: running.choice }));
        self.send_held()
    }

    /// Of a client: the server holds the key that it shows, and the key is of the negotiated kind.
    fn check_proof(&mut self, running: &Running, agreement: &Agreement, proof: &Proof) -> Result<Vec<u8>> {
        let invalid = |text: String| Error::host_key(HostKeyVerdict::Invalid, text);
        if self.initial_host_key_blob().is_some_and(|blob| blob != proof.host_key) {
            return Err(invalid("the server showed another host key when the keys were renewed".into()));
        }
        let key = PublicKey::from_blob(&proof.host_key).map_err(|error| invalid(format!("the host key: {error}")))?;
        let algorithm = running.choice.host_key;
        if !key.fits(algorithm) {
            return Err(invalid(format!("the host key is {}, negotiated was {algorithm}", key.key_type())));
        }
        let hash = self.exchange_hash(running, agreement, &proof.host_key)?;
        key.verify_under(&self.config.signature_rules.of_hosts(), algorithm, &hash, &proof.signature)
            .map_err(|error| invalid(format!("the host key's signature: {error}")))?;
        if self.initial_proof.is_none() {
            self.initial_proof = Some(proof.signature.as_slice().into());
        }
        self.remote_host_key = Some(key);
        Ok(hash)
    }

    /// Of a server: H, and the key that is to sign it.
    fn proof_to_sign(&self, running: &Running, agreement: &Agreement) -> Result<ToSign> {
        let algorithm = running.choice.host_key;
        let key: Arc<PrivateKey> = match &self.host_key {
            Some(key) => key.clone(),
            None => self
                .config
                .host_key_for(algorithm)
                .cloned()
                .ok_or_else(|| Error::internal("a host key algorithm without a key was negotiated"))?,
        };
        let data = self.exchange_hash(running, agreement, key.public().blob())?;
        #[cfg(test)]
        let algorithm = self.hooks.signs_with.unwrap_or(algorithm);
        Ok(ToSign { rules: self.config.signature_rules.of_hosts(), key, algorithm, data })
    }

    /// Of a server: sends the method's last message.
    fn prove(&mut self, running: &Running, agreement: &Agreement, signed: ToSign, signature: &[u8]) -> Result<()> {
        let reply = running.method.reply(signed.key.public().blob(), signature);
        self.host_key = Some(signed.key);
        self.writer.send_payload(&reply, self.random.as_mut())?;
        self.change_keys(running, agreement, &signed.data)
    }

    /// H of RFC 4253 section 8.
    fn exchange_hash(&self, running: &Running, agreement: &Agreement, host_key: &[u8]) -> Result<Vec<u8>> {
        let Peer::Identified(peer) = &self.peer else {
            return Err(Error::internal("a key exchange with a peer that did not identify itself"));
        };
        let own_line = self.own_identification.as_bytes();
        let (own, theirs) = (running.own_kexinit.as_slice(), running.peer_kexinit.as_ref());
        let ordered = match self.config.role {
            Role::Client => [own_line, &peer.line, own, theirs],
            Role::Server => [peer.line.as_slice(), own_line, theirs, own],
        };
        let fields = ordered.into_iter().fold(Writer::new(), |writer, field| writer.string(field));
        let fields = fields.string(host_key).raw(&agreement.transcript).finish();
        let digest = running.choice.kex.hash.digest(&[&fields, agreement.secret.encoded()]);
        Ok(digest.as_ref().to_vec())
    }

    /// RFC 4253 section 7.2.
    fn derive_keys(
        &self,
        choice: &Choice,
        agreement: &Agreement,
        hash: &[u8],
    ) -> Result<(Box<dyn Seal>, Box<dyn Open>)> {
        let derive = |letter: u8, length: usize| -> Zeroizing<Vec<u8>> {
            crypto::derive_key(choice.kex.hash, &agreement.secret, hash, letter, &self.session_id, length)
        };
        let upwards = [b'A', b'C', b'E'];
        let downwards = [b'B', b'D', b'F'];
        let (outgoing, incoming) = match self.config.role {
            Role::Client => (upwards, downwards),
            Role::Server => (downwards, upwards),
        };
        let [iv, key, mac_key] = outgoing;
        let cipher = choice.cipher_out;
        let sealer = crypto::sealer(
            cipher,
            choice.mac_out,
            &derive(key, cipher.key_length),
            &derive(iv, cipher.iv_length),
            &derive(mac_key, choice.mac_out.map_or(0, |mac| mac.key_length)),
        )?;
        let [iv, key, mac_key] = incoming;
        let cipher = choice.cipher_in;
        let opener = crypto::opener(
            cipher,
            choice.mac_in,
            &derive(key, cipher.key_length),
            &derive(iv, cipher.iv_length),
            &derive(mac_key, choice.mac_in.map_or(0, |mac| mac.key_length)),
        )?;
        Ok((sealer, opener))
    }

    /// From here on our side is under the new keys.
    fn send_newkeys(&mut self, sealer: Box<dyn Seal>, compression: &str) -> Result<()> {
        let initial = self.is_initial();
        #[cfg(test)]
        self.send_hooked(|hooks| &mut hooks.before_newkeys)?;
        self.writer.send(&message!(NewKeys {}), self.random.as_mut())?;
        self.writer.set_keys(sealer, self.strict);
        self.writer.set_deflater(start_of(compression).is_due(self.is_authenticated).then(Deflater::new));
        if initial && self.peer_takes_ext_info {
            let own = extensions::own_extensions(self.config.role, &self.config.algorithms.pubkey_signature);
            self.writer.send_payload(&own, self.random.as_mut())?;
        }
        Ok(())
    }

    fn send_held(&mut self) -> Result<()> {
        let mut held = self.held.take();
        while let Some(payload) = held.next() {
            self.writer.send_payload(payload, self.random.as_mut())?;
        }
        Ok(())
    }

    /// From here on the peer's side is under the new keys, and the exchange is over.
    pub(super) fn receive_newkeys(&mut self) -> Result<()> {
        let Exchange::NewKeys(keyed) = std::mem::replace(&mut self.exchange, Exchange::Idle) else {
            return Err(Error::internal("NEWKEYS outside a key exchange was let through"));
        };
        self.reader.set_keys(keyed.opener, self.strict);
        let compression = start_of(keyed.choice.compression_in);
        self.reader.set_inflater(compression.is_due(self.is_authenticated).then(Inflater::new));
        self.keys_since = self.now;
        self.deadline = Deadline::None;
        let rekeys = self.negotiated.as_ref().map(|before| before.rekeys + 1);
        let choice = keyed.choice;
        self.negotiated = Some(Negotiated {
            kex: choice.kex.name,
            host_key: choice.host_key,
            cipher_in: choice.cipher_in.name,
            cipher_out: choice.cipher_out.name,
            mac_in: choice.mac_in.map_or("", |mac| mac.name),
            mac_out: choice.mac_out.map_or("", |mac| mac.name),
            compression_in: choice.compression_in,
            compression_out: choice.compression_out,
            strict: self.strict,
            session_id: self.session_id.clone(),
            rekeys: rekeys.unwrap_or_default(),
        });
        self.add_event(if rekeys.is_some() { TransportEvent::Rekeyed } else { TransportEvent::Negotiated });
        Ok(())
    }

    /// USERAUTH_SUCCESS was sent or received: what was to wait for it begins with the next packets.
    pub(super) fn begin_delayed_compression(&mut self) {
        if std::mem::replace(&mut self.is_authenticated, true) {
            return;
        }
        let Some(negotiated) = &self.negotiated else { return };
        if start_of(negotiated.compression_out) == Start::OnceAuthenticated {
            self.writer.set_deflater(Some(Deflater::new()));
        }
        if start_of(negotiated.compression_in) == Start::OnceAuthenticated {
            self.reader.set_inflater(Some(Inflater::new()));
        }
    }
}
