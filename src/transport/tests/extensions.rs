//! EXT_INFO, PING, UNIMPLEMENTED and DEBUG.

use super::*;
use crate::wire::Writer;

fn ext_info(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let start = Writer::new().u8(7).u32(entries.len() as u32);
    entries.iter().fold(start, |writer, (name, value)| writer.string(name).string(value)).finish()
}

/// A handshake whose `silent` side sends no EXT_INFO of its own, since the other did not ask for one.
fn pair_with_silent(silent: Role) -> Pair {
    let with = |role: Role| {
        let hooks = Hooks { without_ext_info: role != silent, ..Hooks::default() };
        transport_with(quick(role), hooks)
    };
    let mut pair = Pair::of(with(Role::Client), with(Role::Server));
    pair.run().unwrap();
    pair.client.events();
    pair.server.events();
    pair
}

fn to(pair: &mut Pair, role: Role, payload: &[u8]) -> Result<Vec<Packet>> {
    pair.side(other(role)).inject(payload);
    let bytes = pair.side(other(role)).take_output();
    pair.side(role).feed(&bytes, start())
}

#[test]
fn both_sides_tell_what_they_can() {
    let mut pair = Pair::quick();
    pair.run().unwrap();
    let from_server = pair.client.peer_extensions();
    let expected = pair.server.algorithms().get(AlgorithmKind::PubkeySignature);
    assert_eq!(from_server.server_sig_algs.as_deref(), Some(expected.as_str()));
    assert!(from_server.publickey_hostbound && from_server.ping);
    assert!(pair.server.peer_extensions().ext_info_in_auth);
    assert!(pair.server.peer_extensions().server_sig_algs.is_none());
}

#[test]
fn nothing_is_told_to_who_did_not_ask() {
    for silent in [Role::Client, Role::Server] {
        let mut pair = pair_with_silent(silent);
        assert_eq!(pair.side(other(silent)).peer_extensions(), &Extensions::default());
    }
}

#[test]
fn server_takes_one_and_only_at_the_start() {
    let mut pair = pair_with_silent(Role::Client);
    to(&mut pair, Role::Server, &ext_info(&[("ext-info-in-auth@openssh.com", b"0"), ("unknown", b"\0\xff")])).unwrap();
    assert!(pair.server.peer_extensions().ext_info_in_auth);
    assert!(to(&mut pair, Role::Server, &ext_info(&[])).is_err());

    let mut pair = pair_with_silent(Role::Client);
    to(&mut pair, Role::Server, &[2, 0, 0, 0, 0]).unwrap();
    assert!(to(&mut pair, Role::Server, &ext_info(&[])).is_err());
}

#[test]
fn client_takes_two() {
    let mut pair = pair_with_silent(Role::Server);
    to(&mut pair, Role::Client, &ext_info(&[("server-sig-algs", b"ssh-ed25519")])).unwrap();
    pair.client.set_stage(Stage::AuthAwaiting);
    let second = ext_info(&[("server-sig-algs", b"rsa-sha2-512"), ("publickey-hostbound@openssh.com", b"0")]);
    to(&mut pair, Role::Client, &second).unwrap();
    let extensions = pair.client.peer_extensions().clone();
    assert_eq!(extensions.server_sig_algs.as_deref(), Some("rsa-sha2-512"));
    assert!(!extensions.publickey_hostbound, "only the first tells of that");
    assert!(to(&mut pair, Role::Client, &second).is_err());
}

#[test]
fn flood_ends_at_once() {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::quick();
        pair.run().unwrap();
        let mut taken = 0;
        while to(&mut pair, role, &ext_info(&[("x", b"y")])).is_ok() {
            taken += 1;
        }
        assert!(taken <= 1);
    }
}

#[test]
fn broken_ones_are_refused() {
    let announced = |count: u32| Writer::new().u8(7).u32(count).string("a").string("b").finish();
    let long = vec![b'a'; 17 * 1024];
    let many: Vec<(&str, &[u8])> = vec![("a", b""); 1025];
    for payload in [
        announced(u32::MAX),
        announced(1025),
        announced(2),
        announced(0),
        vec![7],
        vec![7, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
        ext_info(&[("server-sig-algs", b"ssh-ed25519\0")]),
        ext_info(&[("server-sig-algs", &long)]),
        ext_info(&many),
    ] {
        let mut pair = pair_with_silent(Role::Server);
        let outcome = to(&mut pair, Role::Client, &payload);
        assert!(matches!(outcome, Err(Error::Protocol(_))), "{:?}", payload.get(..20));
        assert_eq!(pair.client.peer_extensions().server_sig_algs, None);
    }
}

#[test]
fn unauthenticated_pings_get_no_reply() {
    for role in [Role::Client, Role::Server] {
        for stage in [Stage::NoService, Stage::Auth, Stage::AuthAwaiting] {
            let mut pair = Pair::quick();
            pair.run().unwrap();
            pair.set_stage(stage);
            let before = pair.side(role).receive_buffer().capacity();
            for _ in 0..3000 {
                let got = to(&mut pair, role, &[&[192, 0, 0, 0, 200][..], &[7; 200]].concat()).unwrap();
                assert!(got.is_empty());
            }
            assert_eq!(pair.side(role).output_length(), 0);
            assert!(pair.side(role).receive_buffer().capacity() <= before.max(16 * 1024));
        }
    }
}

#[test]
fn pings_are_answered_once_connected_but_not_in_an_exchange() {
    let mut pair = Pair::connected();
    pair.client.send(&message!(Ping { data: b"hello" })).unwrap();
    pair.run().unwrap();
    assert_eq!((pair.to_client[0].number, &pair.to_client[0].payload[4..]), (193, &b"hello"[..]));
    assert!(pair.to_server.is_empty());

    pair.server.rekey(start()).unwrap();
    let own = pair.server.output_length();
    to(&mut pair, Role::Server, &[192, 0, 0, 0, 0]).unwrap();
    assert_eq!(pair.server.output_length(), own);
    pair.run().unwrap();
    pair.check_traffic();
}

#[test]
fn unimplemented_carries_the_right_number() {
    let mut pair = Pair::connected();
    pair.check_traffic();
    pair.client.send(&message!(ChannelEof { recipient_channel: 0 })).unwrap();
    pair.client.inject(&[40]);
    pair.client.send(&message!(ChannelEof { recipient_channel: 0 })).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.client.events(), [TransportEvent::Unimplemented { number: Some(40) }]);
    to(&mut pair, Role::Client, &[3, 0xff, 0, 0, 0]).unwrap();
    assert_eq!(pair.client.events(), [TransportEvent::Unimplemented { number: None }]);
}

#[test]
fn debug_is_cleaned_and_bounded() {
    let mut pair = Pair::connected();
    let debug = Writer::new().u8(4).boolean(true).string("a\x1b[0mb\n").string("").finish();
    to(&mut pair, Role::Client, &debug).unwrap();
    assert_eq!(pair.client.events(), [TransportEvent::Debug { always_display: true, text: "a?[0mb".into() }]);
    to(&mut pair, Role::Client, &[4, 0]).unwrap();
    for _ in 0..1000 {
        to(&mut pair, Role::Client, &debug).unwrap();
    }
    assert!(pair.client.events().len() <= 64);
}
