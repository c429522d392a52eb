//! Strict key exchange: Terrapin and its relatives.

use super::*;

const IGNORE: &[u8] = &[2, 0, 0, 0, 0];

fn pair(without_strict: bool) -> Pair {
    let hooks = || Hooks { without_strict, ..Hooks::default() };
    Pair::of(transport_with(quick(Role::Client), hooks()), transport_with(quick(Role::Server), hooks()))
}

fn is_protocol_error<T>(outcome: Result<T>) -> bool {
    matches!(outcome, Err(Error::Protocol(_)))
}

#[test]
fn both_sides_are_strict_or_none_is() {
    for (client, server) in [(false, false), (true, false), (false, true), (true, true)] {
        let hooks = |without_strict| Hooks { without_strict, ..Hooks::default() };
        let pair = Pair::of(
            transport_with(quick(Role::Client), hooks(client)),
            transport_with(quick(Role::Server), hooks(server)),
        );
        let mut pair = pair.connect();
        let strict = !client && !server;
        assert_eq!(pair.client.negotiated().unwrap().strict, strict);
        assert_eq!(pair.server.negotiated().unwrap().strict, strict);
        pair.check_traffic();
    }
}

/// CVE-2023-48795: a stranger between the two adds a packet in the clear.
#[test]
fn inserted_ignore_ends_the_connection() {
    for cipher in ["chacha20-poly1305@openssh.com", "aes128-ctr"] {
        for victim in [Role::Client, Role::Server] {
            let with = |role| {
                let mut config = quick(role);
                config.algorithms.set(AlgorithmKind::Cipher, cipher).unwrap();
                transport(config)
            };
            let mut pair = Pair::of(with(Role::Client), with(Role::Server));
            let own = pair.side(victim).take_output();
            pair.side(other(victim)).feed(&own, start()).unwrap();
            pair.flight(other(victim), usize::MAX).unwrap();
            assert!(is_protocol_error(pair.side(victim).feed(&plain_packet(IGNORE), start())));
        }
    }
}

#[test]
fn ignore_before_newkeys() {
    for without_strict in [false, true] {
        for sender in [Role::Client, Role::Server] {
            for message in [&[2, 0, 0, 0, 0][..], &[4, 0], &[3, 0, 0, 0, 0], &[192, 0, 0, 0, 0], &[193, 0, 0, 0, 0]] {
                let mut pair = pair(without_strict);
                pair.side(sender).hooks.before_newkeys = vec![message.to_vec()];
                assert_eq!(is_protocol_error(pair.run()), !without_strict);
            }
        }
    }
}

#[test]
fn kexinit_must_be_the_first_packet() {
    for without_strict in [false, true] {
        for sender in [Role::Client, Role::Server] {
            for message in [IGNORE, &[4, 0], &[3, 0, 0, 0, 0], &[192, 0, 0, 0, 0], &[48]] {
                let mut pair = pair(without_strict);
                let random = Box::new(TestRandom(99));
                let mut late = Transport::prepare(quick(sender), random, start()).unwrap();
                late.hooks.without_strict = without_strict;
                late.inject(message);
                late.start_exchange().unwrap();
                *pair.side(sender) = late;
                assert_eq!(is_protocol_error(pair.run()), !without_strict, "{message:?}");
            }
        }
    }
}

#[test]
fn counters_start_again_with_each_newkeys() {
    let mut pair = pair(false).connect();
    for round in 1..=3 {
        pair.check_traffic();
        assert!(pair.client.writer.sequence_number() > 0);
        let starter = if round % 2 == 0 { Role::Client } else { Role::Server };
        pair.side(starter).rekey(start()).unwrap();
        pair.run().unwrap();
        for side in [&pair.client, &pair.server] {
            assert_eq!(side.negotiated().unwrap().rekeys, round);
            assert_eq!(side.writer.sequence_number(), 0);
            assert_eq!(side.reader.sequence_number(), 0);
        }
    }
    pair.check_traffic();
}

#[test]
fn counters_go_on_without_strict() {
    let mut pair = pair(true).connect();
    for _ in 0..3 {
        let before = pair.client.writer.sequence_number();
        pair.client.rekey(start()).unwrap();
        pair.run().unwrap();
        // KEXINIT, the method, NEWKEYS.
        assert_eq!(pair.client.writer.sequence_number(), before + 3);
        assert_eq!(pair.server.reader.sequence_number(), before + 3);
        pair.check_traffic();
    }
}

#[test]
fn markers_stand_in_the_first_kexinit_only() {
    let mut pair = pair(false);
    let marked =
        |transport: &Transport, marker: &str| String::from_utf8_lossy(&transport.hooks.last_kexinit).contains(marker);
    assert!(marked(&pair.client, "kex-strict-c-v00@openssh.com") && marked(&pair.client, "ext-info-c"));
    assert!(marked(&pair.server, "kex-strict-s-v00@openssh.com") && marked(&pair.server, "ext-info-s"));
    pair.run().unwrap();
    pair.set_stage(Stage::Connected);
    pair.client.rekey(start()).unwrap();
    pair.run().unwrap();
    for side in [&pair.client, &pair.server] {
        assert!(!marked(side, "kex-strict") && !marked(side, "ext-info"));
    }
    assert!(pair.client.negotiated().unwrap().strict);
}

#[test]
fn marker_in_a_later_kexinit_means_nothing() {
    let mut pair = pair(true).connect();
    pair.client.hooks.more_kex = Some("kex-strict-c-v00@openssh.com");
    pair.client.hooks.without_strict = false;
    for _ in 0..2 {
        pair.server.rekey(start()).unwrap();
        pair.run().unwrap();
        assert!(!pair.server.negotiated().unwrap().strict);
        assert!(pair.server.reader.sequence_number() > 0);
        pair.check_traffic();
    }
}

#[test]
fn sequence_numbers_do_not_wrap_in_the_first_exchange() {
    let mut pair = pair(true);
    let client = pair.client.take_output();
    let (line, _) = split_plain(&client);
    pair.server.feed(&line, start()).unwrap();
    pair.server.reader.set_sequence_number(u32::MAX - 1);
    pair.server.feed(&plain_packet(IGNORE), start()).unwrap();
    assert!(is_protocol_error(pair.server.feed(&plain_packet(IGNORE), start())));

    pair.client.writer.set_sequence_number(u32::MAX);
    let random = &mut TestRandom(1);
    let sent = pair.client.writer.send_payload(IGNORE, random);
    assert!(matches!(sent, Err(Error::Limit(_))));
}

#[test]
fn no_sequence_number_is_used_twice_with_one_key() {
    let mut pair = pair(true).connect();
    pair.client.set_stage(Stage::Auth);
    pair.client.writer.set_sequence_number(u32::MAX);
    let sent = pair.client.send(&message!(Ignore { data: b"" }));
    assert!(matches!(sent, Err(Error::Limit(_))));

    let mut pair = self::pair(true).connect();
    pair.client.writer.set_sequence_number(u32::MAX - 100);
    pair.server.reader.set_sequence_number(u32::MAX - 100);
    pair.client.send(&message!(Ignore { data: b"" })).unwrap();
    assert!(pair.client.is_exchanging(), "the keys are renewed before the numbers run out");
    pair.run().unwrap();
    assert_eq!(pair.client.negotiated().unwrap().rekeys, 1);
    pair.check_traffic();
}

#[test]
fn wrapping_numbers_go_on_between_exchanges() {
    let mut pair = pair(true).connect();
    for side in [Role::Client, Role::Server] {
        pair.side(side).writer.set_sequence_number(u32::MAX - 20);
        pair.side(side).reader.set_sequence_number(u32::MAX - 20);
        (pair.side(side).writer.packets, pair.side(side).reader.packets) = (0, 0);
    }
    for _ in 0..5 {
        for _ in 0..5 {
            pair.check_traffic();
        }
        pair.server.rekey(start()).unwrap();
        pair.run().unwrap();
    }
    assert!(pair.client.writer.sequence_number() < 1000);
}

/// CVE-2023-48795 without strict: what was added shifts the numbers, and the next sealed packet is no
/// longer authentic unless one is dropped; strict forbids it, and drops are noticed.
#[test]
fn dropped_packet_is_noticed() {
    for cipher in available(AlgorithmKind::Cipher) {
        let with = |role| {
            let mut config = quick(role);
            config.algorithms.set(AlgorithmKind::Cipher, cipher).unwrap();
            transport(config)
        };
        let mut pair = Pair::of(with(Role::Client), with(Role::Server)).connect();
        pair.client.send(&message!(Ignore { data: b"first" })).unwrap();
        pair.client.take_output();
        pair.client.send(&message!(ChannelEof { recipient_channel: 0 })).unwrap();
        // Where the length is hidden, it comes out as nonsense: more bytes may be awaited first.
        let mut bytes = pair.client.take_output();
        bytes.resize(bytes.len() + 300_000, 0);
        assert!(pair.server.feed(&bytes, start()).is_err(), "{cipher}");
        assert!(pair.to_server.is_empty());
    }
}

/// CVE-2026-67279: a KEXINIT before authentication opens nothing.
#[test]
fn renewal_before_authentication_opens_nothing() {
    for stage in [Stage::NoService, Stage::Auth, Stage::AuthAwaiting] {
        let mut pair = pair(false);
        pair.run().unwrap();
        pair.set_stage(stage);
        let kexinit = pair.client.hooks.last_kexinit.clone();
        pair.client.inject(&kexinit);
        pair.run().unwrap();
        assert!(!pair.server.is_exchanging());
        assert_eq!(pair.client.events().last(), Some(&TransportEvent::Unimplemented { number: Some(20) }));
        pair.client.inject(&[90, 0, 0, 0, 7]);
        assert!(is_protocol_error(pair.run()));
        assert!(pair.to_server.is_empty());
    }
}
