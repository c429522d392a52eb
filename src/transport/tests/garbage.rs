//! Bytes that mean nothing: an error, never a panic, and bounded memory.

use super::*;
use crate::wire::Writer;
use proptest::prelude::*;

/// Gives all bytes in pieces, until the transport has had enough.
fn feed_all(transport: &mut Transport, bytes: &[u8], piece: usize) {
    for part in bytes.chunks(piece) {
        if transport.feed(part, start()).is_err() {
            break;
        }
        transport.take_output();
        transport.events();
    }
    assert!(transport.reader.buffer.capacity() <= 512 * 1024);
}

fn of(role: Role) -> Transport {
    transport(quick(role))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn in_place_of_everything(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1_usize..300, client: bool) {
        let role = if client { Role::Client } else { Role::Server };
        feed_all(&mut of(role), &bytes, piece);
    }

    #[test]
    fn behind_the_identification(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1_usize..300) {
        let bytes = [&b"SSH-2.0-x\r\n"[..], &bytes].concat();
        for role in [Role::Client, Role::Server] {
            feed_all(&mut of(role), &bytes, piece);
        }
    }

    #[test]
    fn as_messages_in_the_clear(payload in prop::collection::vec(any::<u8>(), 1..300), number in prop::sample::select(vec![1_u8, 2, 3, 4, 7, 20, 21, 30, 31, 192])) {
        let mut payload = payload;
        payload[0] = number;
        for role in [Role::Client, Role::Server] {
            let mut peer = of(other(role));
            let mut transport = of(role);
            // Before its KEXINIT, and behind it.
            feed_all(&mut transport, &[&b"SSH-2.0-x\r\n"[..], &plain_packet(&payload)].concat(), 50);
            feed_all(&mut of(role), &[peer.take_output(), plain_packet(&payload)].concat(), 50);
        }
    }

    #[test]
    fn as_sealed_messages(payload in prop::collection::vec(any::<u8>(), 1..300), number in 1_u8..32, connected: bool) {
        let mut payload = payload;
        payload[0] = number;
        let mut pair = Pair::quick();
        pair.run().unwrap();
        pair.set_stage(if connected { Stage::Connected } else { Stage::NoService });
        for role in [Role::Client, Role::Server] {
            pair.side(other(role)).inject(&payload);
            let bytes = pair.side(other(role)).take_output();
            feed_all(pair.side(role), &bytes, 64);
        }
    }

    #[test]
    fn handshake_with_bytes_altered(at in 0_usize..3000, xor in 1_u8..=255, piece in 1_usize..2000) {
        let mut pair = Pair::quick();
        let mut passed = 0;
        loop {
            let mut moved = 0;
            for from in [Role::Client, Role::Server] {
                let mut bytes = pair.side(from).take_output();
                if let Some(byte) = at.checked_sub(passed).and_then(|at| bytes.get_mut(at)) {
                    *byte ^= xor;
                }
                passed += bytes.len();
                moved += bytes.len();
                feed_all(pair.side(other(from)), &bytes, piece);
            }
            if moved == 0 {
                break;
            }
        }
        let agreed = pair.client.negotiated().is_some() && pair.server.negotiated().is_some();
        // Whatever is altered before the keys are there breaks the exchange hash, or is padding.
        if agreed {
            assert_eq!(pair.client.session_id(), pair.server.session_id());
        }
    }
}

/// CVE-2026-73429 and invalid curve points: an error on either side, for every method.
#[test]
fn bad_public_values_are_refused() {
    let keys = host_keys();
    for kex in available(AlgorithmKind::Kex) {
        for public in [
            vec![],
            vec![0; 31],
            vec![0; 32],
            vec![0; 33],
            // A number like others, for who computes with numbers.
            vec![if kex.starts_with("diffie-hellman") { 0x84 } else { 4 }; 65],
            vec![0],
            vec![9; 1215],
            vec![0; 1216],
            vec![9; 1217],
        ] {
            let with = |role| {
                let mut config = quick(role);
                config.algorithms.set(AlgorithmKind::Kex, kex).unwrap();
                transport(config)
            };
            let mut pair = Pair::of(with(Role::Client), with(Role::Server));
            let from_client = pair.client.take_output();
            let from_server = pair.server.take_output();
            pair.server.feed(&from_client, start()).unwrap();
            pair.client.feed(&from_server, start()).unwrap();
            let init = Writer::new().u8(30).string(&public).finish();
            let reply = Writer::new().u8(31).string(keys[0].public().blob()).string(&public).string("").finish();
            assert!(pair.server.feed(&plain_packet(&init), start()).is_err(), "{kex} {}", public.len());
            assert!(pair.client.feed(&plain_packet(&reply), start()).is_err(), "{kex} {}", public.len());
            assert_eq!(pair.server.output_length(), 0);
        }
    }
}
