//! Lengths that lie (CVE-2026-55200 and its like), for every class of cipher.

use super::*;
use crate::crypto;

fn connected(cipher: &str, mac: &str) -> Pair {
    let with = |role| {
        let mut config = quick(role);
        config.algorithms.set(AlgorithmKind::Cipher, cipher).unwrap();
        config.algorithms.set(AlgorithmKind::Mac, mac).unwrap();
        config
    };
    Pair::new(with(Role::Client), with(Role::Server)).connect()
}

/// Each cipher, and for those without AEAD a MAC of each kind.
fn classes() -> Vec<(&'static str, &'static str)> {
    let mut classes = Vec::new();
    for cipher in crypto::CIPHERS {
        for encrypt_then_mac in [true, false] {
            let mac = crypto::MACS.iter().find(|mac| mac.encrypt_then_mac == encrypt_then_mac).unwrap();
            classes.push((cipher.name, mac.name));
        }
    }
    classes
}

fn forge(pair: &mut Pair, length: u32, padding: u8, body: usize) -> Result<Vec<Packet>> {
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(padding);
    // The sealer takes whole blocks only.
    let (block, with_length_field) = pair.client.writer.block_rule();
    let counted = body.next_multiple_of(block);
    packet.resize(if with_length_field { counted } else { 4 + counted }, 94);
    pair.client.writer.forge(&packet).unwrap();
    let bytes = pair.client.take_output();
    pair.server.feed(&bytes, start())
}

/// A chained cipher must not tell what was wrong: it takes as much as the largest packet has, and then fails as ever.
fn ends_in(pair: &mut Pair, outcome: Result<Vec<Packet>>) -> Error {
    if !pair.server.reader.guards_length() {
        return outcome.unwrap_err();
    }
    assert_eq!(outcome, Ok(Vec::new()));
    let error = pair.server.feed(&vec![0; 262_144 + 4 + 64], start()).unwrap_err();
    assert!(matches!(error, Error::Integrity(_)), "{error}");
    Error::protocol("guarded")
}

/// The smallest and largest lengths that fit the block rule of this class.
fn block_rule(pair: &Pair) -> (u32, u32) {
    let (block, with_length_field) = pair.client.writer.block_rule();
    let block = block as u32;
    if with_length_field { (block - 4, 262_144 - 4) } else { (block, 262_144) }
}

#[test]
fn lying_lengths_end_the_connection() {
    for (cipher, mac) in classes() {
        let (_, largest) = block_rule(&connected(cipher, mac));
        let refused = [0, 1, 4, 5, 262_144 + 1, largest + 16, (1 << 31) - 1, 1 << 31, u32::MAX - 3, u32::MAX];
        for length in refused {
            let mut pair = connected(cipher, mac);
            let outcome = forge(&mut pair, length, 4, 64);
            let error = ends_in(&mut pair, outcome);
            assert!(matches!(error, Error::Protocol(_)), "{cipher} {mac} {length}: {error}");
            assert!(pair.server.reader.buffer.capacity() <= 256 * 1024);
        }
    }
}

#[test]
fn largest_length_is_awaited_without_reserving_it() {
    for (cipher, mac) in classes() {
        let mut pair = connected(cipher, mac);
        let (_, largest) = block_rule(&pair);
        assert_eq!(forge(&mut pair, largest, 4, 64), Ok(Vec::new()), "{cipher} {mac}");
        assert!(pair.server.reader.buffer.capacity() <= 256 * 1024);
        // It arrives, and is no packet.
        let error = pair.server.feed(&vec![0; 300_000], start()).unwrap_err();
        assert!(matches!(error, Error::Integrity(_)), "{cipher} {mac}: {error}");
    }
}

#[test]
fn every_length_in_the_clear() {
    for length in [0_u32, 1, 4, 5, 6, 11, 13, 262_145, (1 << 31) - 1, u32::MAX] {
        let mut server = transport(quick(Role::Server));
        server.feed(b"SSH-2.0-x\r\n", start()).unwrap();
        let mut packet = length.to_be_bytes().to_vec();
        packet.extend_from_slice(&[4, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(server.feed(&packet, start()), Err(Error::Protocol(_))), "{length}");
    }
}

#[test]
fn padding_is_checked() {
    for (cipher, mac) in classes() {
        let (smallest, _) = block_rule(&connected(cipher, mac));
        let length = smallest + connected(cipher, mac).client.writer.block_rule().0 as u32;
        for padding in [0, 1, 2, 3, length as u8 - 1, length as u8, 255] {
            let mut pair = connected(cipher, mac);
            let outcome = forge(&mut pair, length, padding, length as usize);
            assert!(matches!(outcome, Err(Error::Protocol(_))), "{cipher} {mac} {padding}: {outcome:?}");
        }
        let mut pair = connected(cipher, mac);
        let outcome = forge(&mut pair, length, length as u8 - 2, length as usize).unwrap();
        assert_eq!((outcome[0].number, outcome[0].payload.len()), (94, 0));
    }
}

#[test]
fn body_shorter_than_a_block() {
    for (cipher, mac) in classes() {
        let mut pair = connected(cipher, mac);
        let (smallest, _) = block_rule(&pair);
        let outcome = forge(&mut pair, smallest - 1, 4, 64);
        assert!(matches!(ends_in(&mut pair, outcome), Error::Protocol(_)), "{cipher} {mac}");
    }
}

#[test]
fn messages_too_long_for_a_packet_are_not_sent() {
    let mut pair = Pair::connected();
    let data = vec![0; 256 * 1024];
    let sent = pair.client.send(&message!(ChannelData { recipient_channel: 0, data: &data }));
    assert!(matches!(sent, Err(Error::Limit(_))));
    assert_eq!(pair.client.output_length(), 0);
    let data = &data[..256 * 1024 - 300];
    pair.client.send(&message!(ChannelData { recipient_channel: 0, data: data })).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.to_server[0].payload.len(), data.len() + 8);
    pair.check_traffic();
}

#[test]
fn strangers_hold_little() {
    let mut server = transport(quick(Role::Server));
    assert!(server.receive_buffer().capacity() <= 16 * 1024);
    server.feed(b"SSH-2.0-x\r\n", start()).unwrap();
    // What is not taken in the clear is not waited for.
    server.feed(&34_996_u32.to_be_bytes(), start()).unwrap();
    assert!(server.receive_buffer().capacity() <= 32 * 1024);
    for _ in 0..34 {
        server.feed(&[0; 1000], start()).unwrap();
    }
    assert!(server.receive_buffer().capacity() <= 52 * 1024);
    let mut other = transport(quick(Role::Server));
    other.feed(b"SSH-2.0-x\r\n", start()).unwrap();
    assert!(matches!(other.feed(&262_140_u32.to_be_bytes(), start()), Err(Error::Protocol(_))));
}

/// A buffer that grows between the writing of a password and its sealing leaves the password in freed memory.
#[test]
fn the_outgoing_buffer_does_not_grow_under_a_message() {
    struct Unmoved;
    impl crate::crypto::RandomSource for Unmoved {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(1);
        }
    }
    let mut writer = super::super::packet_writer::PacketWriter::new("SSH-2.0-x");
    for length in 0..300 {
        // As when a connection was idle.
        writer.consume(usize::MAX >> 1);
        writer.release_idle_buffer();
        writer.send(&message!(Ignore { data: &vec![7; length] }), &mut Unmoved).unwrap();
        // One growth from nothing gives what was asked for; several give a doubled capacity.
        let room = writer.capacity();
        assert_eq!(room, 5 + 1 + 4 + length + 128);
    }
}
