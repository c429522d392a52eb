//! Compression in two transports: when it begins, that it begins afresh with new keys, and what a peer can do with it.

use super::*;
use crate::transport::compression::Inflater;
use flate2::{Compress, Compression, FlushCompress};

fn config(role: Role, compression: &str) -> Config {
    let mut config = quick(role);
    config.algorithms.set(AlgorithmKind::Compression, compression).unwrap();
    config
}

fn keyed(compression: &str) -> Pair {
    let mut pair = Pair::new(config(Role::Client, compression), config(Role::Server, compression));
    pair.run().unwrap();
    let negotiated = pair.client.negotiated().unwrap();
    assert_eq!((negotiated.compression_in, negotiated.compression_out), (compression, compression));
    pair
}

/// As when a user has logged in.
fn authenticated(compression: &str) -> Pair {
    let mut pair = keyed(compression);
    pair.client.set_stage(Stage::AuthAwaiting);
    pair.server.set_stage(Stage::Auth);
    pair.server.send(&message!(UserauthSuccess {})).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.to_client.pop().unwrap().number, 52);
    pair.set_stage(Stage::Connected);
    pair
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    TestRandom(77).fill(&mut bytes);
    bytes
}

/// How many bytes such a message takes on the line, and it arrives.
fn cost(pair: &mut Pair, from: Role, data: &[u8]) -> usize {
    pair.to_client.clear();
    pair.to_server.clear();
    pair.side(from).send(&message!(Ignore { data: data })).unwrap();
    let moved = pair.flight(from, usize::MAX).unwrap();
    assert!(pair.to_client.is_empty() && pair.to_server.is_empty());
    moved
}

fn is_compressed(pair: &mut Pair, from: Role) -> bool {
    cost(pair, from, &[0; 2000]) < 1000
}

#[test]
fn zlib_of_openssh_begins_right_after_success_in_both_directions() {
    let mut pair = keyed("zlib@openssh.com");
    for role in [Role::Client, Role::Server] {
        assert!(!is_compressed(&mut pair, role), "{role:?}");
    }
    pair.client.set_stage(Stage::AuthAwaiting);
    pair.server.set_stage(Stage::Auth);
    // A refusal begins nothing.
    let nothing = crate::wire::NameList::from_text("password");
    pair.server.send(&message!(UserauthFailure { methods: nothing, partial_success: false })).unwrap();
    pair.run().unwrap();
    assert!(!is_compressed(&mut pair, Role::Server) && !is_compressed(&mut pair, Role::Client));
    pair.client.set_stage(Stage::AuthAwaiting);
    let success = {
        pair.server.send(&message!(UserauthSuccess {})).unwrap();
        pair.server.output_length()
    };
    assert!(success <= 4 + 16 + 16, "SUCCESS itself is as before");
    pair.run().unwrap();
    pair.set_stage(Stage::Connected);
    for role in [Role::Client, Role::Server] {
        assert!(is_compressed(&mut pair, role), "{role:?}");
    }
    pair.check_traffic();
}

#[test]
fn zlib_begins_with_the_keys() {
    let mut pair = keyed("zlib");
    for role in [Role::Client, Role::Server] {
        assert!(is_compressed(&mut pair, role), "{role:?}");
    }
    let mut pair = authenticated("zlib");
    pair.check_traffic();
}

#[test]
fn none_stays_none() {
    let mut pair = authenticated("none");
    for role in [Role::Client, Role::Server] {
        assert!(!is_compressed(&mut pair, role), "{role:?}");
    }
}

/// Each direction is negotiated by itself.
#[test]
fn the_clients_order_decides() {
    for (client, server, expected) in [
        ("none,zlib@openssh.com", "zlib@openssh.com,none", "none"),
        ("zlib@openssh.com,none", "none,zlib@openssh.com", "zlib@openssh.com"),
        ("zlib,zlib@openssh.com", "none,zlib@openssh.com", "zlib@openssh.com"),
    ] {
        let mut pair = Pair::new(config(Role::Client, client), config(Role::Server, server));
        pair.run().unwrap();
        assert_eq!(pair.client.negotiated().unwrap().compression_out, expected);
        assert_eq!(pair.server.negotiated().unwrap().compression_out, expected);
    }
    let mut pair = Pair::new(config(Role::Client, "zlib"), config(Role::Server, "none"));
    assert!(matches!(pair.run(), Err(Error::Negotiation(_))));
}

#[test]
fn renewed_keys_begin_new_streams() {
    for compression in ["zlib", "zlib@openssh.com"] {
        let mut pair = authenticated(compression);
        let data = noise(2000);
        for round in 0..4 {
            for role in [Role::Client, Role::Server] {
                assert!(cost(&mut pair, role, &data) > 2000, "{compression} {role:?} {round}: nothing is remembered");
                assert!(cost(&mut pair, role, &data) < 300, "{compression} {role:?} {round}: it is");
            }
            let from = if round % 2 == 0 { Role::Client } else { Role::Server };
            pair.side(from).rekey(start()).unwrap();
            // What was sent before the answer still belongs to the old streams.
            pair.side(other(from)).send(&message!(Ignore { data: &data })).unwrap();
            pair.run().unwrap();
            assert_eq!(pair.client.negotiated().unwrap().rekeys, round + 1);
            pair.check_traffic();
        }
    }
}

#[test]
fn every_cut_of_the_line_gives_the_same_messages() {
    for piece in [1, 7, 1000] {
        let mut pair = authenticated("zlib@openssh.com");
        pair.to_server.clear();
        let payloads: Vec<Vec<u8>> = (0..40).map(|round| noise(round * round)).collect();
        for data in &payloads {
            pair.client.send(&message!(ChannelData { recipient_channel: 1, data: data })).unwrap();
        }
        pair.run_in_pieces(piece).unwrap();
        assert_eq!(pair.to_server.len(), payloads.len());
        for (packet, data) in pair.to_server.iter().zip(&payloads) {
            assert_eq!((packet.number, &packet.payload[8..]), (94, data.as_slice()));
        }
    }
}

/// A packet that is small on the line and 250 MB inside (CVE-2026-106585), before and after authentication.
#[test]
fn a_compression_bomb_ends_the_connection() {
    let mut bomb = Vec::with_capacity(1 << 20);
    Compress::new(Compression::best(), true).compress_vec(&vec![0; 250 << 20], &mut bomb, FlushCompress::Sync).unwrap();
    for mut pair in [keyed("zlib"), authenticated("zlib"), authenticated("zlib@openssh.com")] {
        for role in [Role::Client, Role::Server] {
            // As if it were the first packet of the stream.
            pair.side(other(role)).reader.set_inflater(Some(Inflater::new()));
            let sender = pair.side(role);
            sender.writer.set_deflater(None);
            sender.inject(&bomb);
            let outcome = pair.flight(role, usize::MAX);
            let Err(Error::Protocol(text)) = outcome else { panic!("{outcome:?}") };
            assert!(text.contains("inflates to more than 262144 bytes"), "{text}");
        }
    }
}

#[test]
fn damaged_streams_end_the_connection() {
    for payload in [&b"\x5e not compressed"[..], &[0x78, 0x9c], &[0x78, 0x9c, 0x07, 0, 0]] {
        let mut pair = authenticated("zlib@openssh.com");
        pair.client.writer.set_deflater(None);
        pair.client.inject(payload);
        assert!(matches!(pair.flight(Role::Client, usize::MAX), Err(Error::Protocol(_))), "{payload:02x?}");
    }
}

/// What the peer says that it did not understand is still known by its number.
#[test]
fn sent_messages_are_remembered_by_their_number() {
    let mut pair = authenticated("zlib@openssh.com");
    pair.client.send(&message!(ChannelData { recipient_channel: 1, data: b"x" })).unwrap();
    let number = pair.client.writer.sequence_number() - 1;
    pair.server.send(&message!(Unimplemented { sequence_number: number })).unwrap();
    pair.run().unwrap();
    assert!(pair.client.events().contains(&TransportEvent::Unimplemented { number: Some(94) }));

    let data = crate::wire::Rest(b"");
    for want_reply in [false, true] {
        let request = message!(GlobalRequest { name: "x@example.org", want_reply: want_reply, data: data });
        pair.client.send(&request).unwrap();
        let number = pair.client.writer.sequence_number() - 1;
        pair.server.send(&message!(Unimplemented { sequence_number: number })).unwrap();
        pair.run().unwrap();
        let expected = match want_reply {
            true => TransportEvent::GlobalRequestUnimplemented { ordinal: 0 },
            false => TransportEvent::Unimplemented { number: Some(80) },
        };
        assert!(pair.client.events().contains(&expected));
    }
}

#[test]
fn too_long_messages_are_refused_and_the_stream_goes_on() {
    let mut pair = authenticated("zlib@openssh.com");
    let data = noise(256 * 1024);
    let refused = pair.client.send(&message!(ChannelData { recipient_channel: 0, data: &data }));
    assert!(matches!(refused, Err(Error::Limit(_))));
    assert_eq!(pair.client.output_length(), 0);
    let most = &data[..256 * 1024 - 1024 - 9];
    pair.client.send(&message!(ChannelData { recipient_channel: 0, data: most })).unwrap();
    pair.run().unwrap();
    pair.check_traffic();
}

#[test]
fn plain_zlib_is_not_offered() {
    let names = Algorithms::default().get(AlgorithmKind::Compression);
    assert_eq!(names, "none,zlib@openssh.com");
    assert_eq!(available(AlgorithmKind::Compression), ["none", "zlib@openssh.com", "zlib"]);
}
