#![forbid(unsafe_code)]
//! The transport layer (RFC 4253), without input and output of its own: identification, packets,
//! negotiation, key exchange (strict where the peer can), renewal of keys, EXT_INFO.
//!
//! Bytes come in through [`Transport::receive_buffer`], what they mean comes out of
//! [`Transport::next_packet`] and [`Transport::next_event`]; [`Transport::output`] is to be sent.

mod algorithms;
mod compression;
mod config;
mod dispatch;
mod exchange;
mod extensions;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod held;
mod identification;
mod kex;
mod negotiation;
mod packet_reader;
mod packet_writer;
mod rekey;

pub use crate::crypto::Policy;
pub use crate::crypto::{RandomSource, SystemRandom};
pub use crate::keys::{HostKeys, PrivateKey, PublicKey, SignatureRules, ToSign};
pub use algorithms::{AlgorithmKind, Algorithms, available};
pub use config::{Config, RekeyLimits};
pub use extensions::Extensions;

// What the room above says and hears.
pub use crate::wire::{Message, MessageSink, Role, messages, table};

use crate::error::{Error, Result};
use crate::wire::messages::{UserauthSuccess, message};
use bytes::BytesMut;
use exchange::Exchange;
use held::Held;
use identification::{Identification, IdentificationReader, own_line};
use packet_reader::PacketReader;
use packet_writer::PacketWriter;
use rekey::Deadline;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Channel data is welcome while less than this waits to be sent: the last packet may go beyond. More at once does not
/// fit the caches, between sealing and sending.
const OUTPUT_MARK: usize = 64 * 1024;
/// What is welcome then.
const OUTPUT_ROOM: usize = 256 * 1024;
/// How many events wait before those of no consequence are dropped.
const MOST_EVENTS: usize = 64;
/// RFC 4253 section 11.1.
const PROTOCOL_ERROR: u32 = 2;
const KEY_EXCHANGE_FAILED: u32 = 3;
/// How much of our own text a DISCONNECT carries.
const LONGEST_FAREWELL: usize = 1024;

/// What the exchange in force agreed on. `in` and `out` are as this side sees it; a MAC is "" beside an AEAD cipher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    pub kex: &'static str,
    pub host_key: &'static str,
    pub cipher_in: &'static str,
    pub cipher_out: &'static str,
    pub mac_in: &'static str,
    pub mac_out: &'static str,
    pub compression_in: &'static str,
    pub compression_out: &'static str,
    /// Both sides hold to the strict key exchange.
    pub strict: bool,
    pub session_id: Box<[u8]>,
    /// How often the keys were renewed.
    pub rekeys: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    IdentificationReceived,
    /// The first exchange is done, and both directions are keyed.
    Negotiated,
    Rekeyed,
    ExtInfo,
    Disconnected {
        code: u32,
        description: String,
    },
    /// The peer did not understand a message of ours: which, if it was sent not long ago.
    Unimplemented {
        number: Option<u8>,
    },
    /// The message that the peer did not understand was this one of our global requests that want a reply, counted
    /// from 0: no other reply to it comes.
    GlobalRequestUnimplemented {
        ordinal: u64,
    },
    Debug {
        always_display: bool,
        text: String,
    },
    /// A server's key exchange waits for this signature of its host key: [`Transport::signed`].
    Sign(ToSign),
}

/// How far the rooms above are. With the state of the exchange it decides which messages are legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    NoService,
    /// Nothing of ours is unanswered (client: a request, server: a prompt).
    Auth,
    /// The peer owes an answer.
    AuthAwaiting,
    Connected,
}

/// One message for the rooms above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub number: u8,
    /// What follows the number. It is the holder's own, who can wipe it.
    pub payload: BytesMut,
}

/// What went through so far, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    pub packets_in: u64,
    pub packets_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

enum Peer {
    Unidentified(IdentificationReader),
    Identified(Identification),
}

enum Ending {
    Open,
    /// Nothing is read any more; the peer may still be told why.
    Failed(Error),
    /// A DISCONNECT was sent or received.
    Disconnected(Error),
}

pub struct Transport {
    config: Config,
    random: Box<dyn RandomSource>,
    /// The time as last told.
    now: Instant,
    own_identification: String,
    peer: Peer,
    reader: PacketReader,
    writer: PacketWriter,
    exchange: Exchange,
    held: Held,
    /// Set once the first exchange is over.
    negotiated: Option<Negotiated>,
    strict: bool,
    /// USERAUTH_SUCCESS went out or came in.
    is_authenticated: bool,
    peer_takes_ext_info: bool,
    session_id: Box<[u8]>,
    host_key: Option<Arc<PrivateKey>>,
    remote_host_key: Option<PublicKey>,
    /// Of a client: the host key's signature of the session's identifier.
    initial_proof: Option<Box<[u8]>>,
    extensions: Extensions,
    stage: Stage,
    keys_since: Instant,
    deadline: Deadline,
    events: VecDeque<TransportEvent>,
    ending: Ending,
    /// A message of a method of key exchange was wrong.
    method_failed: bool,
    #[cfg(test)]
    hooks: tests::Hooks,
}

impl Transport {
    /// Our identification and KEXINIT are ready to be sent at once.
    pub fn new(config: Config, random: Box<dyn RandomSource>, now: Instant) -> Result<Self> {
        let mut transport = Self::prepare(config, random, now)?;
        transport.start_exchange()?;
        Ok(transport)
    }

    fn prepare(mut config: Config, random: Box<dyn RandomSource>, now: Instant) -> Result<Self> {
        config.algorithms.settle(config.role);
        config.check()?;
        let own_identification = own_line(&config.software_version, config.version_comment.as_deref())?;
        Ok(Self {
            reader: PacketReader::new(config.maximum_packet),
            writer: PacketWriter::new(&own_identification),
            peer: Peer::Unidentified(IdentificationReader::new(config.role)),
            random,
            now,
            own_identification,
            exchange: Exchange::Idle,
            held: Held::new(config.held_limit),
            negotiated: None,
            strict: false,
            is_authenticated: false,
            peer_takes_ext_info: false,
            session_id: Box::default(),
            host_key: None,
            remote_host_key: None,
            initial_proof: None,
            extensions: Extensions::default(),
            stage: Stage::NoService,
            keys_since: now,
            deadline: Deadline::None,
            events: VecDeque::new(),
            ending: Ending::Open,
            method_failed: false,
            config,
            #[cfg(test)]
            hooks: tests::Hooks::default(),
        })
    }

    /// Where received bytes are appended. There is room for one read; packets are opened in place.
    pub fn receive_buffer(&mut self) -> &mut BytesMut {
        self.reader.receive_buffer(self.stage == Stage::Connected)
    }

    /// The next message for the rooms above. `None`: more bytes are needed; what concerns only the
    /// transport was dealt with. After an error nothing is read any more.
    pub fn next_packet(&mut self, now: Instant) -> Result<Option<Packet>> {
        self.check_open()?;
        self.now = now;
        let received = self.receive_packets();
        self.note_failure(received)
    }

    pub fn output(&self) -> &[u8] {
        self.writer.output()
    }

    pub fn output_length(&self) -> usize {
        self.writer.output_length()
    }

    /// How many bytes of messages wait for the end of a key exchange. They are bounded, and what goes beyond the bound
    /// ends the connection: callers who have a choice keep well below it.
    pub fn held_length(&self) -> usize {
        self.held.length()
    }

    /// So many bytes of the output were sent.
    pub fn consume_output(&mut self, length: usize) {
        self.writer.consume(length);
    }

    /// Gives empty buffers back, for a connection on which nothing happens.
    pub fn release_idle_buffers(&mut self) {
        self.reader.release_idle_buffer();
        self.writer.release_idle_buffer();
    }

    /// Nothing is read any more: what was received, and what an exchange keeps, is given back.
    pub fn drop_input(&mut self) {
        self.reader.drop_buffer();
        self.exchange = Exchange::Idle;
        self.held.take();
    }

    pub fn next_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    pub fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Sends DISCONNECT, unless the peer did or this was called before. Nothing is read after it.
    pub fn disconnect(&mut self, code: u32, text: &str) {
        if matches!(self.ending, Ending::Disconnected(_)) {
            return;
        }
        // RFC 4253 section 8: values out of range are a failure of the exchange.
        let code = if self.method_failed && code == PROTOCOL_ERROR { KEY_EXCHANGE_FAILED } else { code };
        let text: String = text.chars().take(LONGEST_FAREWELL).collect();
        let farewell = message!(Disconnect { reason: code, description: text.as_bytes(), language: b"" });
        // Nothing is left to be done when even this cannot be sent.
        let _ = self.writer.send(&farewell, self.random.as_mut());
        let why = match std::mem::replace(&mut self.ending, Ending::Open) {
            Ending::Failed(error) => error,
            _ => Error::disconnected(code, text, false),
        };
        self.ending = Ending::Disconnected(why);
    }

    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    /// Empty before the first exchange.
    pub fn session_id(&self) -> &[u8] {
        &self.session_id
    }

    pub fn role(&self) -> Role {
        self.config.role
    }

    /// Our identification, without CR LF.
    pub fn local_version(&self) -> &str {
        &self.own_identification
    }

    /// The peer's identification, cleaned.
    pub fn remote_version(&self) -> Option<&str> {
        match &self.peer {
            Peer::Unidentified(_) => None,
            Peer::Identified(identification) => Some(&identification.text),
        }
    }

    /// The key that the server proved to hold; whether it is trusted is not decided here.
    pub fn remote_host_key(&self) -> Option<&PublicKey> {
        self.remote_host_key.as_ref()
    }

    /// Of a client: what shows that the session is with the holder of that key.
    pub fn initial_proof(&self) -> Option<&[u8]> {
        self.initial_proof.as_deref()
    }

    /// Of a server: the key that it was negotiated to show.
    pub fn host_key(&self) -> Option<&Arc<PrivateKey>> {
        self.host_key.as_ref()
    }

    /// The blob of the server's host key, on either side. It never changes within a connection.
    pub fn initial_host_key_blob(&self) -> Option<&[u8]> {
        match self.config.role {
            Role::Client => self.remote_host_key.as_ref().map(PublicKey::blob),
            Role::Server => self.host_key.as_ref().map(|key| key.public().blob()),
        }
    }

    pub fn peer_extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub fn algorithms(&self) -> &Algorithms {
        &self.config.algorithms
    }

    pub fn counters(&self) -> Counters {
        Counters {
            packets_in: self.reader.total_packets,
            packets_out: self.writer.total_packets,
            bytes_in: self.reader.total_bytes,
            bytes_out: self.writer.total_bytes,
        }
    }

    fn is_initial(&self) -> bool {
        self.negotiated.is_none()
    }

    fn check_open(&self) -> Result<()> {
        match &self.ending {
            Ending::Open => Ok(()),
            Ending::Failed(error) | Ending::Disconnected(error) => Err(error.clone()),
        }
    }

    fn note_failure<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let (Err(error), Ending::Open) = (&outcome, &self.ending) {
            self.ending = Ending::Failed(error.clone());
        }
        outcome
    }

    fn add_event(&mut self, event: TransportEvent) {
        let of_no_consequence = matches!(event, TransportEvent::Debug { .. } | TransportEvent::Unimplemented { .. });
        if !of_no_consequence || self.events.len() < MOST_EVENTS {
            self.events.push_back(event);
        }
    }
}

impl MessageSink for Transport {
    fn send(&mut self, message: &Message<'_>) -> Result<()> {
        self.check_open()?;
        if self.exchange.holds_messages() {
            return self.held.push(message);
        }
        self.writer.send(message, self.random.as_mut())?;
        if message.number() == UserauthSuccess::NUMBER && self.config.role == Role::Server {
            self.begin_delayed_compression();
        }
        if self.keys_are_worn() {
            // The time is not known here.
            let started = self.start_exchange();
            self.note_failure(started)?;
            self.deadline = Deadline::Unset;
        }
        Ok(())
    }

    fn room(&self) -> usize {
        if self.exchange.holds_messages() || !matches!(self.ending, Ending::Open) {
            return 0;
        }
        if self.writer.output_length() < OUTPUT_MARK { OUTPUT_ROOM } else { 0 }
    }
}

#[cfg(test)]
mod tests;
