//! The choice of algorithms: against the rule of RFC 4253 section 7.1, written down once more; and a whole transport
//! that is sent identifications and KEXINITs of any form.

use crate::hostile::{Repeatable, keys};
use crate::input::Input;
use nacre::crypto::find_cipher;
use nacre::transport::fuzzing::{Proposal, markers, negotiate};
use nacre::transport::messages::KexInit;
use nacre::transport::{AlgorithmKind, Algorithms, Config, Role, Transport, available};
use nacre::wire::{NameList, Writer};
use std::time::{Duration, Instant};

const KINDS: [AlgorithmKind; 5] =
    [AlgorithmKind::Kex, AlgorithmKind::HostKey, AlgorithmKind::Cipher, AlgorithmKind::Mac, AlgorithmKind::Compression];
const MARKERS: &[&str] = &["ext-info-c", "ext-info-s", "kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com"];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let role = if input.boolean() { Role::Client } else { Role::Server };
    if input.boolean() {
        choice(&mut input, role);
    } else {
        transport(&mut input, role);
    }
}

/// Names that exist, now and then another.
fn list(input: &mut Input<'_>, kind: AlgorithmKind) -> String {
    let known = available(kind);
    let mut names = Vec::new();
    for _ in 0..input.below(6) {
        names.push(match input.byte() {
            255 => input.text(80),
            254 => (*input.pick(MARKERS)).to_owned(),
            choice => known[usize::from(choice) % known.len()].to_owned(),
        });
    }
    names.join(",")
}

fn algorithms(input: &mut Input<'_>) -> Algorithms {
    let mut algorithms = Algorithms::default();
    for _ in 0..input.below(8) {
        let kind = *input.pick(&KINDS);
        let edit = format!("{}{}", input.pick(&["", "+", "-", "^"]), list(input, kind));
        let before = algorithms.clone();
        match algorithms.set(kind, &edit) {
            Ok(()) => {
                let set = algorithms.list(kind);
                for (at, name) in set.iter().enumerate() {
                    assert!(available(kind).contains(name));
                    assert!(!set[..at].contains(name), "{name} twice");
                }
            }
            Err(_) => assert_eq!(algorithms, before, "a refused edit changes nothing"),
        }
    }
    algorithms
}

/// The fields of a KEXINIT.
fn kexinit(input: &mut Input<'_>) -> Vec<u8> {
    use AlgorithmKind::{Cipher, Compression, HostKey, Kex, Mac};
    let mut out = Writer::new().raw([7; 16]);
    for kind in [Kex, HostKey, Cipher, Cipher, Mac, Mac, Compression, Compression] {
        out = out.string(list(input, kind));
    }
    let mut payload =
        out.string(input.bytes(20)).string("").boolean(input.boolean()).u32(u32::from(input.byte() / 255)).finish();
    if input.byte() == 255 {
        payload.truncate(input.below(payload.len() + 1));
    }
    payload
}

fn choice(input: &mut Input<'_>, role: Role) {
    let algorithms = algorithms(input);
    let proposal = Proposal { role, algorithms: &algorithms, host_key: algorithms.host_key.clone() };
    let own = proposal.kexinit([0; 16], input.boolean());
    let own = KexInit::decode(&own[1..]).expect("our own KEXINIT");
    let theirs = kexinit(input);
    let Ok(theirs) = KexInit::decode(&theirs) else { return };
    markers(theirs.kex_algorithms, role);
    let (client, server) = match role {
        Role::Client => (own, theirs),
        Role::Server => (theirs, own),
    };
    let expected = agree(&client, &server);
    match (negotiate(&proposal, &theirs), expected) {
        (Ok(choice), Some(expected)) => {
            let (upwards, downwards) = match role {
                Role::Client => ((choice.cipher_out, choice.mac_out), (choice.cipher_in, choice.mac_in)),
                Role::Server => ((choice.cipher_in, choice.mac_in), (choice.cipher_out, choice.mac_out)),
            };
            let named = |mac: Option<&'static nacre::crypto::MacAlgorithm>| mac.map_or("", |mac| mac.name);
            assert_eq!(
                [
                    choice.kex.name,
                    choice.host_key,
                    upwards.0.name,
                    named(upwards.1),
                    downwards.0.name,
                    named(downwards.1)
                ],
                expected.each_ref().map(String::as_str)
            );
        }
        (Err(_), None) => {}
        (ours, expected) => panic!("{:?}, not {expected:?}", ours.map(|choice| choice.kex.name)),
    }
}

/// Key exchange, host key, cipher and MAC upwards, cipher and MAC downwards; no MAC beside an AEAD cipher.
fn agree(client: &KexInit<'_>, server: &KexInit<'_>) -> Option<[String; 6]> {
    let first = |wanted: NameList<'_>, have: NameList<'_>| -> Option<String> {
        wanted.names().filter(|name| !MARKERS.contains(name)).find(|name| have.contains(name)).map(str::to_owned)
    };
    let direction = |ciphers: [NameList<'_>; 2], macs: [NameList<'_>; 2]| -> Option<(String, String)> {
        let cipher = first(ciphers[0], ciphers[1])?;
        let mac = if find_cipher(&cipher)?.aead { String::new() } else { first(macs[0], macs[1])? };
        Some((cipher, mac))
    };
    let kex = first(client.kex_algorithms, server.kex_algorithms)?;
    let host_key = first(client.server_host_key_algorithms, server.server_host_key_algorithms)?;
    let up = direction(
        [client.encryption_client_to_server, server.encryption_client_to_server],
        [client.mac_client_to_server, server.mac_client_to_server],
    )?;
    let down = direction(
        [client.encryption_server_to_client, server.encryption_server_to_client],
        [client.mac_server_to_client, server.mac_server_to_client],
    )?;
    first(client.compression_client_to_server, server.compression_client_to_server)?;
    first(client.compression_server_to_client, server.compression_server_to_client)?;
    Some([kex, host_key, up.0, up.1, down.0, down.1])
}

/// Identification, KEXINIT and what follows, as bytes, to a transport of this role.
fn transport(input: &mut Input<'_>, role: Role) {
    let mut config = Config::new(role);
    config.algorithms = algorithms(input);
    if role == Role::Server {
        config.host_keys = keys()[..1 + input.below(2)].to_vec();
    }
    let mut now = Instant::now();
    let Ok(mut transport) = Transport::new(config, Box::new(Repeatable(1)), now) else { return };
    let mut wire = Vec::new();
    match input.byte() {
        255 => wire.extend_from_slice(input.bytes(600)),
        _ => wire.extend_from_slice(b"SSH-2.0-fuzz\r\n"),
    }
    while !input.is_empty() {
        match input.byte() % 4 {
            0 => clear_packet(&mut wire, &[&[20], &kexinit(input)[..]].concat()),
            1 => clear_packet(&mut wire, input.bytes(2000)),
            2 => clear_packet(&mut wire, &Writer::new().u8(30 + input.byte() % 5).string(input.bytes(2000)).finish()),
            _ => wire.extend_from_slice(input.bytes(300)),
        }
        for piece in wire.chunks(1 + usize::from(input.byte()) * 16) {
            now += Duration::from_millis(1);
            transport.receive_buffer().extend_from_slice(piece);
            match transport.next_packet(now) {
                Ok(None) => {}
                Ok(Some(packet)) => panic!("message {} came up without a key exchange", packet.number),
                Err(_) => {
                    assert!(transport.next_packet(now).is_err(), "nothing is read after an error");
                    transport.disconnect(2, "fuzz");
                    return;
                }
            }
            assert!(transport.output_length() < 1 << 20);
        }
        wire.clear();
        transport.consume_output(transport.output_length());
        while transport.next_event().is_some() {}
    }
}

/// RFC 4253 section 6, without cipher and MAC.
fn clear_packet(wire: &mut Vec<u8>, payload: &[u8]) {
    let padding = 4 + (8 - (5 + payload.len() + 4) % 8) % 8;
    wire.extend_from_slice(&((1 + payload.len() + padding) as u32).to_be_bytes());
    wire.push(padding as u8);
    wire.extend_from_slice(payload);
    wire.resize(wire.len() + padding, 0);
}
