//! The length oracle of chained ciphers (CVE-2008-5161): whoever puts another block into the place of a packet's first
//! one sees only when the connection ends, and that must not say what the block decrypts to.

use super::*;
use crate::crypto::{self, Open};
use crate::transport::packet_reader::PacketReader;
use std::sync::Mutex;

fn connected(cipher: &str, mac: &str) -> Pair {
    let with = |role| {
        let mut config = quick(role);
        config.algorithms.set(AlgorithmKind::Cipher, cipher).unwrap();
        config.algorithms.set(AlgorithmKind::Mac, mac).unwrap();
        config
    };
    Pair::new(with(Role::Client), with(Role::Server)).connect()
}

fn chained() -> impl Iterator<Item = &'static str> {
    crypto::CIPHERS.iter().map(|row| row.name).filter(|name| name.ends_with("-cbc"))
}

/// Feeds the packet and then zeros until the server gives up; after how many bytes, and why.
fn end_of(pair: &mut Pair, packet: &[u8], step: usize) -> (usize, Error, usize) {
    let mut fed = 0;
    let mut input = packet.iter().copied().chain(std::iter::repeat(0));
    loop {
        assert!(fed < 1 << 20, "the server never gives up");
        let part: Vec<u8> = input.by_ref().take(step).collect();
        let outcome = pair.server.feed(&part, start());
        assert!(pair.server.reader.buffer.capacity() <= 512 * 1024);
        fed += part.len();
        match outcome {
            Ok(packets) => assert!(packets.is_empty()),
            Err(error) => return (fed, error, pair.server.output_length()),
        }
    }
}

fn data_packet(pair: &mut Pair) -> Vec<u8> {
    let data = [7; 1000];
    pair.client.send(&message!(ChannelData { recipient_channel: 0, data: &data })).unwrap();
    pair.client.take_output()
}

#[test]
fn forged_packets_end_alike_whatever_their_length() {
    for cipher in chained() {
        for mac in ["hmac-sha2-256", "hmac-sha1-96"] {
            let mut seen = Vec::new();
            let mut lengths = std::collections::BTreeSet::new();
            for round in 0..24_u32 {
                let mut pair = connected(cipher, mac);
                let target = data_packet(&mut pair);
                pair.server.feed(&target, start()).unwrap();
                let mut packet = data_packet(&mut pair);
                let block = pair.client.writer.block_rule().0;
                match round {
                    // The length is right, the MAC is not.
                    0 => *packet.last_mut().unwrap() ^= 1,
                    1 => packet[500] ^= 1,
                    // What an attacker does: a block that he wants to read, where a length is expected.
                    _ => {
                        let from = round as usize * block;
                        packet[..block].copy_from_slice(&target[from..from + block]);
                    }
                }
                lengths.insert(packet[..4].to_vec());
                seen.push(end_of(&mut pair, &packet, 4096));
            }
            assert!(lengths.len() > 20, "the blocks are all alike: the test shows nothing");
            assert!(seen.windows(2).all(|two| two[0] == two[1]), "{cipher} {mac}: {seen:?}");
            assert!(matches!(seen[0].1, Error::Integrity(_)));
            assert!((262_144..262_144 + 8192).contains(&seen[0].0), "{}", seen[0].0);
        }
    }
}

/// To the byte: a length that is refused at once, one that is never reached, and a bad MAC.
#[test]
fn the_end_comes_after_the_same_byte() {
    for cipher in chained() {
        let mut ends = std::collections::BTreeSet::new();
        for length in [0, 1, 5, 28, 60, 124, 1020, 262_140, 262_144, 1 << 20, u32::MAX] {
            let mut pair = connected(cipher, "hmac-sha1");
            let mut packet = length.to_be_bytes().to_vec();
            packet.resize(2048, 4);
            pair.client.writer.forge(&packet).unwrap();
            let packet = pair.client.take_output();
            pair.server.feed(&packet, start()).unwrap();
            pair.server.feed(&vec![0; 262_144 + 4 + 20 - packet.len() - 1], start()).unwrap();
            let error = pair.server.feed(&[0], start()).unwrap_err();
            ends.insert(error.to_string());
        }
        assert_eq!(ends.len(), 1, "{cipher}: {ends:?}");
    }
}

/// With the length in clear and vouched for there is nothing to learn, and nothing to wait for.
#[test]
fn encrypt_then_mac_fails_at_once() {
    for cipher in chained() {
        let mut pair = connected(cipher, "hmac-sha1-etm@openssh.com");
        let mut packet = data_packet(&mut pair);
        *packet.last_mut().unwrap() ^= 1;
        let error = pair.server.feed(&packet, start()).unwrap_err();
        assert!(matches!(error, Error::Integrity(_)), "{cipher}: {error}");
    }
}

#[derive(Default)]
struct Work {
    opened: usize,
    spent: usize,
}

/// Counts the bytes that are worked on, and fails every packet.
struct Counting(Arc<Mutex<Work>>);

impl Open for Counting {
    fn tag_length(&self) -> usize {
        20
    }
    fn block_size(&self) -> usize {
        16
    }
    fn pads_length_field(&self) -> bool {
        true
    }
    fn guards_length(&self) -> bool {
        true
    }
    fn prefix_length(&self) -> usize {
        16
    }
    fn packet_length(&mut self, _sequence_number: u32, prefix: &mut [u8]) -> Result<u32> {
        Ok(u32::from_be_bytes(prefix[..4].try_into().unwrap()))
    }
    fn open(&mut self, _sequence_number: u32, packet: &mut [u8]) -> Result<()> {
        self.0.lock().unwrap().opened += packet.len();
        Err(Error::integrity("forged"))
    }
    fn spend(&mut self, length: usize) {
        self.0.lock().unwrap().spent += length;
    }
}

#[test]
fn forged_packets_cost_the_same_work_whatever_their_length() {
    for length in [0, 3, 12, 28, 252, 65_532, 262_140, 262_144, u32::MAX] {
        let work = Arc::default();
        let mut reader = PacketReader::new(262_144);
        reader.set_keys(Box::new(Counting(Arc::clone(&work))), false);
        reader.buffer.extend_from_slice(&u32::to_be_bytes(length));
        reader.buffer.resize(262_144 + 4 + 20, 0);
        assert!(reader.next().is_err());
        let work = work.lock().unwrap();
        assert_eq!(work.opened + work.spent, 262_144 + 4 + 20, "{length}");
        assert_eq!(work.opened > 0, (12..=262_140).contains(&length), "{length}");
    }
}
