//! A connection's end that does what it is told, right or wrong.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ed25519_dalek::SigningKey;

use super::fields::Fields;
use super::protection::{Protection, Suite};

/// How long the library may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Why nothing more comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Closed,
    Disconnect {
        code: u32,
        text: String,
    },
    /// The library neither said anything nor left.
    Silence,
}

#[derive(Debug, Clone)]
pub struct Options {
    pub identification: String,
    pub kex: String,
    pub host_key: String,
    pub suite: Suite,
    /// Sent in place of the suite's name.
    pub macs: Option<String>,
    pub strict: bool,
    pub ext_info: bool,
    pub guesses: bool,
    /// Whether markers stand in later KEXINITs too.
    pub markers_for_ever: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            identification: "SSH-2.0-raw".into(),
            kex: "curve25519-sha256".into(),
            host_key: "ssh-ed25519".into(),
            suite: Suite::ChaCha,
            macs: None,
            strict: true,
            ext_info: true,
            guesses: false,
            markers_for_ever: false,
        }
    }
}

impl Options {
    pub fn suite(suite: Suite) -> Self {
        Self { suite, ..Self::default() }
    }
    pub fn lax() -> Self {
        Self { strict: false, ..Self::default() }
    }
}

/// One direction.
pub struct Way {
    pub protection: Protection,
    pub sequence: u32,
}

impl Default for Way {
    fn default() -> Self {
        Self { protection: Protection::Plain, sequence: 0 }
    }
}

pub struct Peer {
    pub stream: UnixStream,
    pub side: Side,
    pub options: Options,
    pub out: Way,
    pub inward: Way,
    pub host_key: SigningKey,
    /// The host key is in a security key, which says this of each signature.
    pub flags: Option<u8>,
    /// The library's.
    pub identification: Vec<u8>,
    pub own_kexinit: Vec<u8>,
    pub library_kexinit: Vec<u8>,
    pub session_id: Vec<u8>,
    pub hash: Vec<u8>,
    pub strict: bool,
    pub exchanges: u32,
    /// The message that is about to be sent is dropped.
    pub skip: bool,
    /// Signs with S + L in place of S.
    pub malleable: bool,
    /// The library takes nothing more.
    pub gone: bool,
    pub(super) secret: Option<x25519_dalek::StaticSecret>,
    /// Of the exchange under way: out, in.
    pub(super) keys: Option<(Protection, Protection)>,
    pub server_sig_algs: Option<String>,
}

impl Peer {
    pub fn new(stream: UnixStream, side: Side, options: Options) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            side,
            options,
            out: Way::default(),
            inward: Way::default(),
            host_key: SigningKey::from_bytes(&[7; 32]),
            flags: None,
            identification: Vec::new(),
            own_kexinit: Vec::new(),
            library_kexinit: Vec::new(),
            session_id: Vec::new(),
            hash: Vec::new(),
            strict: false,
            exchanges: 0,
            skip: false,
            malleable: false,
            gone: false,
            secret: None,
            keys: None,
            server_sig_algs: None,
        }
    }

    pub fn is_client(&self) -> bool {
        self.side == Side::Client
    }

    /// A library that has left already takes nothing more: that shows when it is listened to.
    pub fn write(&mut self, bytes: &[u8]) {
        self.gone |= self.stream.write_all(bytes).is_err();
    }

    pub fn send(&mut self, payload: impl AsRef<[u8]>) {
        if !self.gone {
            let bytes = self.sealed(payload.as_ref());
            self.write(&bytes);
        }
    }

    /// A packet as it goes over the wire, with the next sequence number.
    pub fn sealed(&mut self, payload: &[u8]) -> Vec<u8> {
        let packet = self.framed(payload);
        self.sealed_packet(packet)
    }
    pub fn sealed_packet(&mut self, packet: Vec<u8>) -> Vec<u8> {
        let sequence = self.out.sequence;
        self.out.sequence = sequence.wrapping_add(1);
        self.out.protection.seal(sequence, packet)
    }
    /// Length, padding length, payload, padding.
    pub fn framed(&self, payload: &[u8]) -> Vec<u8> {
        let block = self.out.protection.block();
        let counted = 1 + payload.len() + if self.out.protection.pads_length() { 4 } else { 0 };
        let mut padding = block - counted % block;
        if padding < 4 {
            padding += block;
        }
        let length = u32::try_from(1 + payload.len() + padding).unwrap();
        let mut packet = length.to_be_bytes().to_vec();
        packet.push(u8::try_from(padding).unwrap());
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + padding, 0);
        packet
    }

    /// The next message that is not DISCONNECT.
    pub fn receive(&mut self) -> Result<Vec<u8>, End> {
        let sequence = self.inward.sequence;
        let stream = &mut self.stream;
        let mut read = |count: usize| {
            let mut bytes = vec![0; count];
            match stream.read_exact(&mut bytes) {
                Ok(()) => Ok(bytes),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    Err(End::Silence)
                }
                Err(_) => Err(End::Closed),
            }
        };
        let body = self.inward.protection.open(sequence, &mut read)?;
        self.inward.sequence = sequence.wrapping_add(1);
        let padding = usize::from(body[0]);
        assert!(padding >= 4 && padding < body.len(), "padding of {padding} bytes comes from the library");
        let payload = body[1..body.len() - padding].to_vec();
        if payload.first() == Some(&1) {
            let mut fields = Fields::of(&payload, 1);
            let code = fields.u32();
            return Err(End::Disconnect { code, text: fields.text().to_owned() });
        }
        Ok(payload)
    }

    /// The next message, which is to be of this number; EXT_INFO and what is to be ignored is passed over.
    pub fn expect(&mut self, number: u8) -> Result<Vec<u8>, End> {
        loop {
            let payload = self.receive()?;
            match payload[0] {
                got if got == number => return Ok(payload),
                7 => self.take_ext_info(&payload),
                // 3: the library cannot know yet that the exchange is strict.
                2 | 3 | 4 | 192 => {}
                other => panic!("message {other} instead of {number} comes from the library"),
            }
        }
    }

    fn take_ext_info(&mut self, payload: &[u8]) {
        let mut fields = Fields::of(payload, 7);
        for _ in 0..fields.u32() {
            let (name, value) = (fields.text(), fields.text());
            if name == "server-sig-algs" {
                self.server_sig_algs = Some(value.to_owned());
            }
        }
    }

    /// What the library says until it leaves, and how it leaves.
    pub fn rest(&mut self) -> (Vec<Vec<u8>>, End) {
        let mut said = Vec::new();
        loop {
            match self.receive() {
                Ok(payload) => said.push(payload),
                Err(end) => return (said, end),
            }
        }
    }

    /// The library leaves, and says nothing before it but what is of these numbers.
    #[track_caller]
    pub fn is_left(&mut self, may_say: &[u8]) -> End {
        let (said, end) = self.rest();
        assert_ne!(end, End::Silence, "the library stays");
        let unfit: Vec<u8> = said.iter().map(|payload| payload[0]).filter(|number| !may_say.contains(number)).collect();
        assert!(unfit.is_empty(), "the library says {unfit:?} before it leaves");
        end
    }

    /// A connection that still works answers this.
    pub fn ping(&mut self) -> Result<(), End> {
        self.send(super::message(192).string("are you there"));
        self.expect_late(193).map(drop)
    }
    /// The next message of this number, whatever comes before.
    pub fn expect_late(&mut self, number: u8) -> Result<Vec<u8>, End> {
        loop {
            let payload = self.receive()?;
            if payload[0] == number {
                return Ok(payload);
            }
        }
    }
}
