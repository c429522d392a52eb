use super::*;
use crate::crypto;

fn config_with(role: Role, edits: &[(AlgorithmKind, &str)]) -> Config {
    let mut config = quick(role);
    config.host_keys = if role == Role::Server { host_keys().to_vec() } else { Vec::new() };
    for (kind, edit) in edits {
        config.algorithms.set(*kind, edit).unwrap();
    }
    config
}

fn pair_with(edits: &[(AlgorithmKind, &str)]) -> Pair {
    Pair::new(config_with(Role::Client, edits), config_with(Role::Server, edits))
}

#[test]
fn every_method_with_every_host_key() {
    for kex in available(AlgorithmKind::Kex) {
        // Security keys sign elsewhere, not in this process.
        for host_key in available(AlgorithmKind::HostKey).into_iter().filter(|name| !name.starts_with("sk-")) {
            let mut pair = pair_with(&[(AlgorithmKind::Kex, kex), (AlgorithmKind::HostKey, host_key)]).connect();
            let negotiated = pair.client.negotiated().unwrap().clone();
            assert_eq!((negotiated.kex, negotiated.host_key), (kex, host_key));
            assert_eq!(pair.client.session_id(), pair.server.session_id());
            assert_eq!(pair.client.initial_host_key_blob(), pair.server.initial_host_key_blob());
            assert!(negotiated.strict);
            pair.check_traffic();
            pair.client.rekey(pair.now).unwrap();
            pair.run().unwrap();
            assert_eq!(pair.server.negotiated().unwrap().rekeys, 1);
            pair.check_traffic();
        }
    }
}

#[test]
fn every_cipher_with_every_mac() {
    for cipher in crypto::CIPHERS {
        for mac in crypto::MACS {
            let edits = [(AlgorithmKind::Cipher, cipher.name), (AlgorithmKind::Mac, mac.name)];
            let mut pair = pair_with(&edits).connect();
            let negotiated = pair.server.negotiated().unwrap();
            let expected = if cipher.aead { "" } else { mac.name };
            assert_eq!((negotiated.cipher_in, negotiated.mac_in), (cipher.name, expected));
            for length in [0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 31, 32, 33, 255, 4096, 32768, 200_000] {
                let data = vec![0x5a; length];
                pair.to_server.clear();
                pair.client.send(&message!(ChannelData { recipient_channel: 0, data: &data })).unwrap();
                pair.run().unwrap();
                assert_eq!(&pair.to_server[0].payload[8..], data, "{} {} {length}", cipher.name, mac.name);
            }
            pair.server.rekey(pair.now).unwrap();
            pair.run().unwrap();
            pair.check_traffic();
        }
    }
}

#[test]
fn one_byte_at_a_time() {
    for cipher in crypto::CIPHERS {
        let mut pair = pair_with(&[(AlgorithmKind::Cipher, cipher.name)]);
        pair.run_in_pieces(1).unwrap();
        pair.set_stage(Stage::Connected);
        pair.server.rekey(pair.now).unwrap();
        pair.run_in_pieces(1).unwrap();
        assert_eq!(pair.client.negotiated().unwrap().rekeys, 1);
        pair.check_traffic();
    }
}

#[test]
fn cut_at_every_byte_of_every_flight() {
    let mut flights = Vec::new();
    let mut whole = Pair::quick();
    loop {
        let lengths = (whole.client.output_length(), whole.server.output_length());
        if lengths == (0, 0) {
            break;
        }
        flights.push(lengths);
        whole.flight(Role::Client, usize::MAX).unwrap();
        whole.flight(Role::Server, usize::MAX).unwrap();
    }
    assert!(flights.len() >= 3);
    let longest = flights.iter().map(|(client, server)| *client.max(server)).max().unwrap();
    for cut in 1..longest {
        let mut pair = Pair::quick();
        for _ in &flights {
            for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
                let bytes = pair.side(from).take_output();
                let (first, second) = bytes.split_at(cut.min(bytes.len()));
                pair.side(to).feed(first, start()).unwrap();
                pair.side(to).feed(second, start()).unwrap();
            }
        }
        pair.run().unwrap();
        pair.set_stage(Stage::Connected);
        pair.check_traffic();
    }
}

#[test]
fn events_tell_the_story() {
    let mut pair = Pair::quick();
    pair.run().unwrap();
    let expected = [TransportEvent::IdentificationReceived, TransportEvent::Negotiated, TransportEvent::ExtInfo];
    assert_eq!(pair.client.events(), expected);
    assert_eq!(pair.server.events(), expected);
    pair.set_stage(Stage::Connected);
    pair.client.rekey(pair.now).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.client.events(), [TransportEvent::Rekeyed]);
}

#[test]
fn every_bit_flipped_ends_the_connection() {
    for cipher in crypto::CIPHERS {
        let mut reference = pair_with(&[(AlgorithmKind::Cipher, cipher.name)]).connect();
        reference.client.send(&message!(ChannelEof { recipient_channel: 7 })).unwrap();
        let length = reference.client.output_length();
        for at in 0..length {
            let mut pair = pair_with(&[(AlgorithmKind::Cipher, cipher.name)]).connect();
            pair.client.send(&message!(ChannelEof { recipient_channel: 7 })).unwrap();
            let mut bytes = pair.client.take_output();
            bytes[at] ^= 1 << (at % 8);
            // A changed length may first ask for more bytes.
            bytes.resize(bytes.len() + 300_000, 0);
            let error = pair.server.feed(&bytes, start()).unwrap_err();
            assert!(matches!(error, Error::Integrity(_) | Error::Protocol(_)), "{} at {at}: {error}", cipher.name);
            assert!(pair.to_server.is_empty());
            assert_eq!(pair.server.feed(b"", start()).unwrap_err(), error, "nothing is read afterwards");
        }
    }
}

#[test]
fn disconnect_is_told_both_ways() {
    let mut pair = Pair::connected();
    pair.client.disconnect(11, "bye \u{1b}[2J");
    let error = pair.run().unwrap_err();
    assert_eq!(error, Error::disconnected(11, "bye ?[2J", true));
    let told = TransportEvent::Disconnected { code: 11, description: "bye ?[2J".into() };
    assert_eq!(pair.server.events(), [told]);
    pair.server.disconnect(2, "no");
    assert_eq!(pair.server.output_length(), 0, "a disconnected peer is told nothing");
    assert!(matches!(pair.client.next_packet(start()), Err(Error::Disconnected(_))));
    assert!(pair.client.send(&message!(ChannelEof { recipient_channel: 0 })).is_err());
    assert_eq!(pair.client.room(), 0);
}

#[test]
fn disconnect_works_in_every_part_of_the_handshake() {
    for flights in 0..6 {
        let mut pair = Pair::quick();
        for flight in 0..flights {
            let from = if flight % 2 == 0 { Role::Client } else { Role::Server };
            pair.flight(from, usize::MAX).unwrap();
        }
        pair.server.disconnect(7, "in the middle");
        let error = loop {
            if let Err(error) = pair.flight(Role::Server, usize::MAX) {
                break error;
            }
        };
        assert_eq!(error, Error::disconnected(7, "in the middle", true));
    }
}

#[test]
fn failure_is_told_to_the_peer() {
    let mut pair = Pair::connected();
    pair.client.inject(&[21]);
    pair.client.inject(&[94]);
    let error = pair.run().unwrap_err();
    assert!(pair.to_server.is_empty(), "nothing is read after a failure");
    pair.server.disconnect(error.disconnect_code(), &error.to_string());
    let farewell = pair.run().unwrap_err();
    assert_eq!(farewell.disconnect_code(), 2);
    assert_eq!(pair.server.next_packet(start()).unwrap_err(), error);
}

#[test]
fn idle_buffers_are_given_back() {
    let mut pair = Pair::connected();
    pair.check_traffic();
    pair.to_client.clear();
    pair.to_server.clear();
    pair.client.release_idle_buffers();
    assert_eq!(pair.client.reader.buffer.capacity(), 0);
    pair.check_traffic();
}

#[test]
fn receive_buffer_stays_bounded() {
    let mut pair = Pair::connected();
    let data = vec![1; 32 * 1024];
    let mut kept = std::collections::VecDeque::new();
    for _ in 0..2000 {
        pair.client.send(&message!(ChannelData { recipient_channel: 0, data: &data })).unwrap();
        pair.flight(Role::Client, 64 * 1024).unwrap();
        kept.extend(pair.to_server.drain(..));
        while kept.len() > 4 {
            kept.pop_front();
        }
        assert!(pair.server.reader.buffer.capacity() <= 512 * 1024);
    }
    assert!(pair.client.writer.output().is_empty());
}

#[test]
fn unread_output_closes_the_room() {
    let mut pair = Pair::connected();
    let data = vec![1; 32 * 1024];
    let mut sent = 0;
    while pair.client.room() > 0 {
        pair.client.send(&message!(ChannelData { recipient_channel: 0, data: &data })).unwrap();
        sent += 1;
    }
    assert_eq!(sent, 2);
    pair.run().unwrap();
    assert_eq!(pair.to_server.len(), 2);
    assert!(pair.client.room() > 0);
}

#[test]
fn system_randomness_works_too() {
    let made = |config: Config| Transport::new(config, Box::new(SystemRandom::new()), start()).unwrap();
    let mut pair = Pair::of(made(Config::new(Role::Client)), made(config_with(Role::Server, &[]))).connect();
    pair.check_traffic();
}
