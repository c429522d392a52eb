//! Renewal of keys.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn data(transport: &mut Transport, length: usize) {
    let data = vec![0x42; length];
    transport.send(&message!(ChannelData { recipient_channel: 3, data: &data })).unwrap();
}

fn number(transport: &mut Transport, number: u32) {
    transport.send(&message!(ChannelWindowAdjust { recipient_channel: 0, bytes_to_add: number })).unwrap();
}

fn numbers(packets: &[Packet]) -> Vec<u32> {
    packets.iter().map(|packet| u32::from_be_bytes(packet.payload[4..8].try_into().unwrap())).collect()
}

#[test]
fn forced_by_either_side() {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::connected();
        let session_id = pair.client.session_id().to_vec();
        for round in 1..=3 {
            pair.side(role).rekey(start()).unwrap();
            assert!(pair.side(role).is_exchanging());
            pair.side(role).rekey(start()).unwrap();
            pair.run().unwrap();
            assert!(!pair.client.is_exchanging() && !pair.server.is_exchanging());
            for side in [&pair.client, &pair.server] {
                assert_eq!(side.negotiated().unwrap().rekeys, round);
                assert_eq!(side.session_id(), session_id, "it never changes");
            }
            pair.check_traffic();
        }
    }
}

#[test]
fn both_sides_at_once_amid_traffic() {
    let mut pair = Pair::connected();
    for round in 0..10 {
        pair.to_server.clear();
        pair.to_client.clear();
        for turn in 0..40 {
            number(&mut pair.client, turn);
            number(&mut pair.server, turn);
            if turn == 10 {
                pair.client.rekey(start()).unwrap();
                pair.server.rekey(start()).unwrap();
            }
            if turn % 7 == round % 7 {
                pair.flight(if turn % 2 == 0 { Role::Client } else { Role::Server }, 100).unwrap();
            }
        }
        pair.run_in_pieces(33).unwrap();
        let expected: Vec<u32> = (0..40).collect();
        assert_eq!(numbers(&pair.to_server), expected);
        assert_eq!(numbers(&pair.to_client), expected);
        assert_eq!(pair.client.negotiated().unwrap().rekeys, u64::from(round) + 1);
    }
}

#[test]
fn nothing_but_the_exchange_goes_out() {
    let mut pair = Pair::connected();
    pair.client.rekey(start()).unwrap();
    let only_kexinit = pair.client.counters().packets_out;
    assert_eq!(pair.client.room(), 0);
    for value in 0..50 {
        number(&mut pair.client, value);
    }
    assert_eq!(pair.client.counters().packets_out, only_kexinit);
    pair.flight(Role::Client, usize::MAX).unwrap();
    assert!(pair.to_server.is_empty());
    // The server's turn: it has seen KEXINIT, and holds back as well.
    for value in 0..50 {
        number(&mut pair.server, value);
    }
    pair.run().unwrap();
    assert_eq!(numbers(&pair.to_server), (0..50).collect::<Vec<_>>());
    assert_eq!(numbers(&pair.to_client), (0..50).collect::<Vec<_>>());
    assert!(pair.client.room() > 0);
}

#[test]
fn held_messages_are_bounded() {
    let mut pair = Pair::connected();
    pair.client.rekey(start()).unwrap();
    let long = vec![0; 64 * 1024];
    let mut sent = 0;
    let error = loop {
        match pair.client.send(&message!(ChannelData { recipient_channel: 0, data: &long })) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Limit(_)));
    assert_eq!(sent, 63);
    pair.run().unwrap();
    assert_eq!(pair.to_server.len(), 63);
}

#[test]
fn after_bytes_sent_or_received() {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::connected();
        pair.side(role).set_rekey_limits(RekeyLimits { bytes: 100_000, ..RekeyLimits::default() });
        for _ in 0..100 {
            data(&mut pair.client, 10_000);
            pair.run().unwrap();
        }
        let rekeys = pair.client.negotiated().unwrap().rekeys;
        assert!((9..=11).contains(&rekeys), "{rekeys}");
        assert_eq!(pair.to_server.len(), 100);
    }
}

#[test]
fn after_packets() {
    let mut pair = Pair::connected();
    pair.client.set_rekey_limits(RekeyLimits { packets: 10, ..RekeyLimits::default() });
    for value in 0..100 {
        number(&mut pair.server, value);
        pair.run().unwrap();
    }
    let rekeys = pair.client.negotiated().unwrap().rekeys;
    assert!((7..=12).contains(&rekeys), "{rekeys}");
    assert_eq!(numbers(&pair.to_client), (0..100).collect::<Vec<_>>());
}

#[test]
fn after_time() {
    let mut pair = Pair::connected();
    for round in 1..=3 {
        let due = pair.client.next_timeout().unwrap();
        assert_eq!(due, pair.now + 60 * MINUTE);
        pair.pass(60 * MINUTE - Duration::from_millis(1));
        pair.client.timeout(pair.now).unwrap();
        assert!(!pair.client.is_exchanging());
        pair.pass(Duration::from_millis(1));
        pair.client.timeout(pair.now).unwrap();
        assert!(pair.client.is_exchanging());
        pair.run().unwrap();
        assert_eq!(pair.server.negotiated().unwrap().rekeys, round);
    }
}

#[test]
fn limits_can_be_turned_off() {
    let mut pair = Pair::connected();
    pair.client.set_rekey_limits(RekeyLimits { bytes: 0, packets: 0, interval: Duration::ZERO });
    assert_eq!(pair.client.next_timeout(), None);
    data(&mut pair.client, 100_000);
    assert!(!pair.client.is_exchanging());
    pair.client.timeout(start() + 1000 * MINUTE).unwrap();
    assert!(!pair.client.is_exchanging());
}

#[test]
fn not_before_authentication() {
    for stage in [Stage::NoService, Stage::Auth, Stage::AuthAwaiting] {
        let mut pair = Pair::quick();
        assert!(matches!(pair.client.rekey(start()), Err(Error::State(_))));
        pair.run().unwrap();
        pair.set_stage(stage);
        for side in [&mut pair.client, &mut pair.server] {
            side.set_rekey_limits(RekeyLimits { bytes: 1, packets: 1, interval: MINUTE });
            assert!(matches!(side.rekey(start()), Err(Error::State(_))));
            assert_eq!(side.next_timeout(), None);
            side.timeout(start() + 60 * MINUTE).unwrap();
            side.send(&message!(Ignore { data: b"" })).unwrap();
            assert!(!side.is_exchanging());
        }
        pair.run().unwrap();
        pair.set_stage(Stage::Connected);
        number(&mut pair.client, 1);
        assert!(pair.client.is_exchanging());
        pair.client.set_rekey_limits(RekeyLimits::default());
        pair.server.set_rekey_limits(RekeyLimits::default());
        pair.run().unwrap();
    }
}

#[test]
fn peer_that_never_finishes_is_left() {
    // It never answers KEXINIT.
    let mut pair = Pair::connected();
    pair.client.rekey(start()).unwrap();
    assert_eq!(pair.client.next_timeout(), Some(start() + MINUTE));
    pair.client.timeout(start() + MINUTE - Duration::from_millis(1)).unwrap();
    let error = pair.client.timeout(start() + MINUTE).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)));
    assert_eq!(pair.client.next_packet(start()).unwrap_err(), error);
    assert_eq!(pair.client.next_timeout(), None);

    // It began one, and stops in the middle.
    let mut pair = Pair::connected();
    pair.client.rekey(start()).unwrap();
    pair.flight(Role::Client, usize::MAX).unwrap();
    assert!(pair.server.timeout(start() + MINUTE).is_err());

    // It never sends NEWKEYS.
    let mut pair = Pair::connected();
    pair.client.rekey(start()).unwrap();
    pair.flight(Role::Client, usize::MAX).unwrap();
    pair.flight(Role::Server, usize::MAX).unwrap();
    pair.flight(Role::Client, usize::MAX).unwrap();
    assert!(pair.server.timeout(start() + MINUTE).is_err());
}

#[test]
fn deadline_of_an_exchange_that_a_write_began() {
    let mut pair = Pair::connected();
    pair.client.set_rekey_limits(RekeyLimits { packets: 1, ..RekeyLimits::default() });
    pair.pass(30 * MINUTE);
    number(&mut pair.client, 0);
    assert!(pair.client.is_exchanging());
    assert!(pair.client.next_timeout().unwrap() <= pair.now);
    pair.client.timeout(pair.now).unwrap();
    assert_eq!(pair.client.next_timeout(), Some(pair.now + MINUTE));
    pair.pass(MINUTE);
    assert!(matches!(pair.client.timeout(pair.now), Err(Error::Timeout(_))));
}

/// The first peer message may come before the first call of `timeout`.
#[test]
fn deadline_of_an_exchange_ends_with_it() {
    let mut pair = Pair::connected();
    pair.client.set_rekey_limits(RekeyLimits { packets: 8, interval: Duration::ZERO, bytes: 0 });
    while !pair.client.is_exchanging() {
        number(&mut pair.client, 0);
    }
    pair.run().unwrap();
    assert!(!pair.client.is_exchanging());
    assert_eq!(pair.client.next_timeout(), None);
}

#[test]
fn another_host_key_is_refused() {
    let mut server = quick(Role::Server);
    let second = Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap());
    server.host_keys.push(second.clone());
    let mut pair = Pair::new(quick(Role::Client), server).connect();
    pair.server.host_key = Some(second);
    pair.client.rekey(start()).unwrap();
    match pair.run() {
        Err(Error::HostKey(failure)) => assert_eq!(failure.verdict, crate::error::HostKeyVerdict::Invalid),
        other => panic!("{other:?}"),
    }
    assert!(pair.client.send(&message!(Ignore { data: b"" })).is_err());
}

/// A server with several keys shows the one that it showed first, whatever is preferred.
#[test]
fn host_key_stays_among_several() {
    let mut server = quick(Role::Server);
    server.host_keys = host_keys().to_vec();
    let mut client = quick(Role::Client);
    client.algorithms.set(AlgorithmKind::HostKey, "rsa-sha2-256,ssh-ed25519,rsa-sha2-512").unwrap();
    let mut pair = Pair::new(client, server).connect();
    pair.client.config.algorithms.set(AlgorithmKind::HostKey, "ssh-ed25519,rsa-sha2-512").unwrap();
    pair.server.rekey(start()).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.client.negotiated().unwrap().host_key, "rsa-sha2-512");
    pair.check_traffic();
}

/// CVE-2026-16516 and its like: the signature and the key must be what was negotiated.
#[test]
fn signature_must_be_of_the_negotiated_algorithm() {
    let keys = host_keys();
    for (negotiated, key, signs_with) in [
        ("ecdsa-sha2-nistp256", &keys[2], "ecdsa-sha2-nistp384"),
        ("ssh-ed25519", &keys[1], "ecdsa-sha2-nistp256"),
        ("rsa-sha2-512", &keys[4], "rsa-sha2-256"),
        ("rsa-sha2-512", &keys[0], "ssh-ed25519"),
    ] {
        let mut client = quick(Role::Client);
        client.algorithms.set(AlgorithmKind::HostKey, negotiated).unwrap();
        let mut server = quick(Role::Server);
        server.host_keys = keys.to_vec();
        let hooks = Hooks { signs_with: Some(signs_with), ..Hooks::default() };
        let mut pair = Pair::of(transport(client), transport_with(server, hooks));
        pair.server.host_key = Some(key.clone());
        match pair.run() {
            Err(Error::HostKey(failure)) => assert_eq!(failure.verdict, crate::error::HostKeyVerdict::Invalid),
            other => panic!("{negotiated}: {other:?}"),
        }
        assert!(pair.client.remote_host_key().is_none());
    }
}
