//! Two transports in memory, with virtual time and a peer that can be made to misbehave.

mod chained;
mod compression;
mod extensions;
mod garbage;
mod group_exchange;
mod guess;
mod handshake;
mod identification;
mod legality;
mod lengths;
mod lists;
mod negotiation;
mod rekey;
mod strict;

use super::negotiation::Markers;
use super::*;
use crate::crypto::RandomSource;
use crate::keys::KeyType;
use std::sync::OnceLock;
use std::time::Duration;

/// Makes one side a bad or an old peer.
#[derive(Default)]
pub struct Hooks {
    /// It knows nothing of the strict key exchange.
    pub without_strict: bool,
    pub without_ext_info: bool,
    /// Its KEXINIT says that a guess follows.
    pub guesses: bool,
    /// Sent right behind KEXINIT.
    pub after_kexinit: Vec<Vec<u8>>,
    /// Sent right before NEWKEYS, under the old keys.
    pub before_newkeys: Vec<Vec<u8>>,
    /// Put into the kex list of every KEXINIT.
    pub more_kex: Option<&'static str>,
    /// Its ciphers and MACs from server to client, where they differ.
    pub downwards: Option<(&'static str, &'static str)>,
    /// The host key algorithm that it signs with, whatever was negotiated.
    pub signs_with: Option<&'static str>,
    /// The last KEXINIT that it sent.
    pub last_kexinit: Vec<u8>,
}

impl Hooks {
    pub fn alter_kexinit(&mut self, payload: Vec<u8>) -> Vec<u8> {
        use crate::wire::messages::KexInit;
        let parsed = KexInit::decode(&payload[1..]).unwrap();
        let mut names: Vec<&str> = parsed.kex_algorithms.names().collect();
        names.retain(|name| !(self.without_strict && name.starts_with("kex-strict-")));
        names.retain(|name| !(self.without_ext_info && name.starts_with("ext-info-")));
        names.extend(self.more_kex);
        let names = names.join(",");
        let (cipher_down, mac_down) = match self.downwards {
            Some((cipher, mac)) => (crate::wire::NameList::from_text(cipher), crate::wire::NameList::from_text(mac)),
            None => (parsed.encryption_server_to_client, parsed.mac_server_to_client),
        };
        let altered = message!(KexInit {
            cookie: parsed.cookie,
            kex_algorithms: crate::wire::NameList::from_text(&names),
            server_host_key_algorithms: parsed.server_host_key_algorithms,
            encryption_client_to_server: parsed.encryption_client_to_server,
            encryption_server_to_client: cipher_down,
            mac_client_to_server: parsed.mac_client_to_server,
            mac_server_to_client: mac_down,
            compression_client_to_server: parsed.compression_client_to_server,
            compression_server_to_client: parsed.compression_server_to_client,
            languages_client_to_server: parsed.languages_client_to_server,
            languages_server_to_client: parsed.languages_server_to_client,
            first_kex_packet_follows: self.guesses,
            reserved: 0,
        });
        let mut out = Vec::new();
        altered.encode(&mut out);
        self.last_kexinit = out.clone();
        out
    }

    pub fn alter_markers(&self, markers: Markers) -> Markers {
        Markers { strict: markers.strict && !self.without_strict, ..markers }
    }
}

impl Transport {
    pub fn send_hooked(&mut self, which: fn(&mut Hooks) -> &mut Vec<Vec<u8>>) -> Result<()> {
        for payload in which(&mut self.hooks).clone() {
            self.inject(&payload);
        }
        Ok(())
    }

    /// Seals any payload under the keys in use, whatever the state.
    pub fn inject(&mut self, payload: &[u8]) {
        self.writer.send_payload(payload, self.random.as_mut()).unwrap();
    }

    fn take_output(&mut self) -> Vec<u8> {
        let bytes = self.output().to_vec();
        self.consume_output(bytes.len());
        bytes
    }

    fn feed(&mut self, bytes: &[u8], now: Instant) -> Result<Vec<Packet>> {
        self.receive_buffer().extend_from_slice(bytes);
        let mut packets = Vec::new();
        while let Some(packet) = self.next_packet(now)? {
            packets.push(packet);
        }
        Ok(packets)
    }

    fn events(&mut self) -> Vec<TransportEvent> {
        std::iter::from_fn(|| self.next_event()).collect()
    }
}

/// Repeatable bytes: tests must not depend on chance.
pub struct TestRandom(pub u64);

impl RandomSource for TestRandom {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0 as u8;
        }
    }
}

/// One key of each kind.
pub fn host_keys() -> &'static [Arc<PrivateKey>] {
    static KEYS: OnceLock<Vec<Arc<PrivateKey>>> = OnceLock::new();
    KEYS.get_or_init(|| {
        [
            (KeyType::Ed25519, 0),
            (KeyType::Ecdsa(256), 256),
            (KeyType::Ecdsa(384), 384),
            (KeyType::Ecdsa(521), 521),
            (KeyType::Rsa, 2048),
        ]
        .into_iter()
        .map(|(kind, bits)| Arc::new(PrivateKey::generate(kind, bits).unwrap()))
        .collect()
    })
}

pub fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// A quick configuration: the cheapest exchange.
pub fn quick(role: Role) -> Config {
    let mut config = Config::new(role);
    config.algorithms.set(AlgorithmKind::Kex, "curve25519-sha256").unwrap();
    if role == Role::Server {
        config.host_keys = host_keys()[..1].to_vec();
    }
    config
}

pub fn transport(config: Config) -> Transport {
    transport_with(config, Hooks::default())
}

pub fn transport_with(config: Config, hooks: Hooks) -> Transport {
    let seed = if config.role == Role::Client { 0x1234_5678_9abc_def1 } else { 0x0fed_cba9_8765_4321 };
    let mut transport = Transport::prepare(config, Box::new(TestRandom(seed)), start()).unwrap();
    transport.hooks = hooks;
    transport.start_exchange().unwrap();
    transport
}

pub struct Pair {
    pub client: Transport,
    pub server: Transport,
    pub now: Instant,
    /// What each side got for the rooms above.
    pub to_client: Vec<Packet>,
    pub to_server: Vec<Packet>,
}

impl Pair {
    pub fn new(client: Config, server: Config) -> Self {
        Self::of(transport(client), transport(server))
    }

    pub fn quick() -> Self {
        Self::new(quick(Role::Client), quick(Role::Server))
    }

    pub fn of(client: Transport, server: Transport) -> Self {
        Self { client, server, now: start(), to_client: Vec::new(), to_server: Vec::new() }
    }

    /// A quick pair with its handshake done, both sides connected.
    pub fn connected() -> Self {
        Self::connect(Self::quick())
    }

    pub fn connect(mut self) -> Self {
        self.run().unwrap();
        assert!(self.client.negotiated().is_some() && self.server.negotiated().is_some());
        self.set_stage(Stage::Connected);
        self.client.events();
        self.server.events();
        self
    }

    pub fn set_stage(&mut self, stage: Stage) {
        self.client.set_stage(stage);
        self.server.set_stage(stage);
    }

    /// Carries bytes both ways until nothing moves.
    pub fn run(&mut self) -> Result<()> {
        self.run_in_pieces(usize::MAX)
    }

    pub fn run_in_pieces(&mut self, piece: usize) -> Result<()> {
        loop {
            let moved = self.flight(Role::Client, piece)? + self.flight(Role::Server, piece)?;
            if moved == 0 {
                return Ok(());
            }
        }
    }

    /// Carries what this role has to send.
    pub fn flight(&mut self, from: Role, piece: usize) -> Result<usize> {
        let now = self.now;
        let (from, to, packets) = match from {
            Role::Client => (&mut self.client, &mut self.server, &mut self.to_server),
            Role::Server => (&mut self.server, &mut self.client, &mut self.to_client),
        };
        let bytes = from.take_output();
        for part in bytes.chunks(piece.min(bytes.len()).max(1)) {
            packets.extend(to.feed(part, now)?);
        }
        Ok(bytes.len())
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub fn side(&mut self, role: Role) -> &mut Transport {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// One message each way arrives.
    pub fn check_traffic(&mut self) {
        self.to_client.clear();
        self.to_server.clear();
        let text = b"some data";
        for side in [&mut self.client, &mut self.server] {
            side.send(&message!(ChannelData { recipient_channel: 1, data: text })).unwrap();
        }
        self.run().unwrap();
        for packets in [&self.to_client, &self.to_server] {
            assert_eq!(packets.len(), 1);
            assert_eq!(packets[0].number, 94);
            assert_eq!(&packets[0].payload[8..], text);
        }
    }
}

pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// A packet in the clear.
pub fn plain_packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let mut packet = ((1 + payload.len() + padding) as u32).to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// Cuts the identification off and the rest into packets in the clear, up to NEWKEYS.
pub fn split_plain(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (line, mut rest) = bytes.split_at(line);
    let mut packets = Vec::new();
    while rest.len() >= 4 && packets.last().is_none_or(|packet: &Vec<u8>| packet[5] != 21) {
        let length = 4 + u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (packet, after) = rest.split_at(length);
        packets.push(packet.to_vec());
        rest = after;
    }
    (line.to_vec(), packets)
}
