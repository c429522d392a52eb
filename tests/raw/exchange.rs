//! Identification and key exchange: curve25519-sha256, ssh-ed25519.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use ed25519_dalek::{Signature, Signer, VerifyingKey};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use super::peer::{End, Peer, Side};
use super::protection::Protection;
use super::{Fields, Message, message};

/// What the peer is about to send, or, at the end, that both sides are keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    KexInit,
    /// The public value of a client; public value, host key and signature of a server.
    Public,
    NewKeys,
    Done,
}

impl Step {
    pub const BEFORE_KEYS: [Self; 3] = [Self::KexInit, Self::Public, Self::NewKeys];
}

/// Numbers that nobody needs to guess: 32 bytes each time.
pub fn fresh() -> [u8; 32] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Sha256::digest([count.to_be_bytes(), u64::from(std::process::id()).to_be_bytes()].concat()).into()
}

/// S + L: the same signature for whoever does not compare with the order of the group (RFC 8032 section 5.1.7).
pub fn add_order(signature: &mut [u8; 64]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

impl Peer {
    pub fn identify(&mut self) {
        let line = format!("{}\r\n", self.options.identification);
        self.write(line.as_bytes());
    }

    pub fn read_identification(&mut self) -> Result<(), End> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            self.stream.read_exact(&mut byte).map_err(|_| End::Closed)?;
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        assert!(line.starts_with(b"SSH-2.0-nacre_"), "{}", String::from_utf8_lossy(&line));
        self.identification = line;
        Ok(())
    }

    /// Identification, one key exchange.
    pub fn handshake(&mut self) -> Result<(), End> {
        self.handshake_with(&mut |_, _| {})
    }
    /// `before` is called before each message of the peer: it can send others, and set `skip`.
    pub fn handshake_with(&mut self, before: &mut dyn FnMut(&mut Self, Step)) -> Result<(), End> {
        self.identify();
        self.read_identification()?;
        self.exchange_with(before)
    }
    pub fn exchange(&mut self) -> Result<(), End> {
        self.exchange_with(&mut |_, _| {})
    }
    pub fn exchange_with(&mut self, before: &mut dyn FnMut(&mut Self, Step)) -> Result<(), End> {
        self.send_kexinit(before);
        self.read_kexinit()?;
        self.finish_exchange_with(before)
    }
    /// Both KEXINITs are through.
    pub fn finish_exchange_with(&mut self, before: &mut dyn FnMut(&mut Self, Step)) -> Result<(), End> {
        match self.side {
            Side::Client => {
                self.send_public(before);
                self.read_reply()?;
            }
            Side::Server => self.answer_public(before)?,
        }
        self.send_newkeys(before);
        self.read_newkeys()?;
        before(self, Step::Done);
        Ok(())
    }

    fn stepwise(&mut self, step: Step, payload: &[u8], before: &mut dyn FnMut(&mut Self, Step)) {
        before(self, step);
        if !std::mem::take(&mut self.skip) {
            self.send(payload);
        }
    }

    pub fn kexinit(&self) -> Vec<u8> {
        let options = &self.options;
        let mut kex = options.kex.clone();
        let first = self.exchanges == 0 || options.markers_for_ever;
        let letter = if self.is_client() { 'c' } else { 's' };
        if options.ext_info && first {
            kex += &format!(",ext-info-{letter}");
        }
        if options.strict && first {
            kex += &format!(",kex-strict-{letter}-v00@openssh.com");
        }
        let mac = options.macs.as_deref().unwrap_or(options.suite.mac());
        let cipher = options.suite.cipher();
        message(20)
            .raw(&fresh()[..16])
            .string(kex)
            .string(&options.host_key)
            .string(cipher)
            .string(cipher)
            .string(mac)
            .string(mac)
            .string("none")
            .string("none")
            .string("")
            .string("")
            .boolean(options.guesses)
            .u32(0)
            .0
    }

    pub fn send_kexinit(&mut self, before: &mut dyn FnMut(&mut Self, Step)) {
        self.own_kexinit = self.kexinit();
        let payload = self.own_kexinit.clone();
        self.stepwise(Step::KexInit, &payload, before);
    }
    pub fn read_kexinit(&mut self) -> Result<(), End> {
        let payload = self.expect_late(20)?;
        self.take_kexinit(payload);
        Ok(())
    }
    pub fn take_kexinit(&mut self, payload: Vec<u8>) {
        if self.exchanges == 0 {
            let mut fields = Fields::of(&payload, 20);
            fields.raw(16);
            let marker = if self.is_client() { "kex-strict-s-v00@openssh.com" } else { "kex-strict-c-v00@openssh.com" };
            self.strict = self.options.strict && fields.text().split(',').any(|name| name == marker);
        }
        self.library_kexinit = payload;
    }

    /// Of a client.
    pub fn send_public(&mut self, before: &mut dyn FnMut(&mut Self, Step)) {
        let secret = StaticSecret::from(fresh());
        let payload = message(30).string(PublicKey::from(&secret).as_bytes()).0;
        self.secret = Some(secret);
        self.stepwise(Step::Public, &payload, before);
    }
    pub fn read_reply(&mut self) -> Result<(), End> {
        let payload = self.expect(31)?;
        let mut fields = Fields::of(&payload, 31);
        let (host_key, public, signature) = (fields.string(), fields.string(), fields.string());
        let secret = self.secret.take().unwrap();
        let own = *PublicKey::from(&secret).as_bytes();
        let public: [u8; 32] = public.try_into().unwrap();
        let shared = secret.diffie_hellman(&PublicKey::from(public));
        let hash = self.exchange_hash(host_key, &own, &public, shared.as_bytes());
        let mut key = Fields(host_key);
        assert_eq!(key.text(), "ssh-ed25519");
        let key = VerifyingKey::from_bytes(key.string().try_into().unwrap()).unwrap();
        let mut blob = Fields(signature);
        assert_eq!(blob.text(), "ssh-ed25519");
        let signature = Signature::from_slice(blob.string()).unwrap();
        key.verify_strict(&hash, &signature).expect("the library's signature");
        self.derive(hash, shared.as_bytes());
        Ok(())
    }

    /// Of a server.
    pub fn answer_public(&mut self, before: &mut dyn FnMut(&mut Self, Step)) -> Result<(), End> {
        let payload = self.expect(30)?;
        let public: [u8; 32] = Fields::of(&payload, 30).string().try_into().unwrap();
        let secret = StaticSecret::from(fresh());
        let own = *PublicKey::from(&secret).as_bytes();
        let shared = secret.diffie_hellman(&PublicKey::from(public));
        let host_key = self.host_key_blob();
        let hash = self.exchange_hash(&host_key, &public, &own, shared.as_bytes());
        let blob = self.host_key_signature(&hash);
        let reply = message(31).string(host_key).string(own).string(blob).0;
        self.derive(hash, shared.as_bytes());
        self.stepwise(Step::Public, &reply, before);
        Ok(())
    }

    fn host_key_signature(&self, hash: &[u8]) -> Message {
        if let Some(flags) = self.flags {
            let said = [flags, 0, 0, 0, 9];
            let signed = [&Sha256::digest(b"ssh:")[..], &said, &Sha256::digest(hash)].concat();
            let signature = self.host_key.sign(&signed).to_bytes();
            return Message::fields().string("sk-ssh-ed25519@openssh.com").string(signature).raw(said);
        }
        let mut signature = self.host_key.sign(hash).to_bytes();
        if self.malleable {
            add_order(&mut signature);
        }
        Message::fields().string("ssh-ed25519").string(signature)
    }

    pub fn host_key_blob(&self) -> Vec<u8> {
        let key = self.host_key.verifying_key();
        if self.flags.is_some() {
            return Message::fields().string("sk-ssh-ed25519@openssh.com").string(key.as_bytes()).string("ssh:").0;
        }
        Message::fields().string("ssh-ed25519").string(key.as_bytes()).0
    }

    fn exchange_hash(&self, host_key: &[u8], client: &[u8], server: &[u8], shared: &[u8]) -> Vec<u8> {
        let own = (self.options.identification.as_bytes(), self.own_kexinit.as_slice());
        let library = (self.identification.as_slice(), self.library_kexinit.as_slice());
        let (first, second) = if self.is_client() { (own, library) } else { (library, own) };
        let fields = Message::fields().string(first.0).string(second.0).string(first.1).string(second.1);
        let fields = fields.string(host_key).string(client).string(server).mpint(shared);
        Sha256::digest(fields).to_vec()
    }

    fn derive(&mut self, hash: Vec<u8>, shared: &[u8]) {
        if self.session_id.is_empty() {
            self.session_id.clone_from(&hash);
        }
        let start = Message::fields().mpint(shared).raw(&hash).0;
        let key = |letter: u8, length: usize| {
            let mut key = Sha256::digest([&start[..], &[letter], &self.session_id].concat()).to_vec();
            while key.len() < length {
                let more = Sha256::digest([&start[..], &key].concat());
                key.extend_from_slice(&more);
            }
            key.truncate(length);
            key
        };
        let suite = self.options.suite;
        let (iv, cipher, mac) = suite.lengths();
        let up = Protection::new(suite, &key(b'A', iv), &key(b'C', cipher), &key(b'E', mac));
        let down = Protection::new(suite, &key(b'B', iv), &key(b'D', cipher), &key(b'F', mac));
        self.keys = Some(if self.is_client() { (up, down) } else { (down, up) });
        self.hash = hash;
    }

    pub fn send_newkeys(&mut self, before: &mut dyn FnMut(&mut Self, Step)) {
        self.stepwise(Step::NewKeys, &[21], before);
        let (out, inward) = self.keys.take().unwrap();
        self.out.protection = out;
        if self.strict {
            self.out.sequence = 0;
        }
        self.keys = Some((Protection::Plain, inward));
    }
    pub fn read_newkeys(&mut self) -> Result<(), End> {
        self.expect(21)?;
        let (_, inward) = self.keys.take().unwrap();
        self.inward.protection = inward;
        if self.strict {
            self.inward.sequence = 0;
        }
        self.exchanges += 1;
        Ok(())
    }
}
