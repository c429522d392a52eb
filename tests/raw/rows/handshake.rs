//! What may come before both sides are keyed, and what may not.

use nacre::error::Error;

use crate::raw::library::{in_both_roles, secret};
use crate::raw::login::{channel_request, none_request, open, password_request};
use crate::raw::{End, Fields, Library, Message, Options, Peer, Side, Step, Suite, in_both_modes, message};

/// Inserts a message before a step of the peer. The connection is to end, and nobody was asked anything.
#[track_caller]
fn inserted_is_fatal(side: Side, threads: u32, strict: bool, step: Step, inserted: &Message) {
    let (library, mut peer) = Library::against(side, threads, Options { strict, ..Options::default() });
    let case = format!("{side:?} strict {strict}: {} before {step:?}", inserted.0[0]);
    let outcome = peer.handshake_with(&mut |peer, at| {
        if at == step {
            peer.send(inserted);
        }
    });
    let end = match outcome {
        Err(end) => end,
        // The library's answers were on their way already.
        Ok(()) => peer.is_left(&[7, 5]),
    };
    assert_ne!(end, End::Silence, "{case}: the library stays");
    assert!(matches!(library.watcher.ended(), Error::Protocol(_)), "{case}: {:?}", library.watcher.ended());
    assert_eq!(library.watcher.asked().iter().filter(|text| !text.starts_with("HostKey")).count(), 0, "{case}");
    assert_eq!(library.watcher.users(), []);
}

fn fatal_at_every_step(messages: &[Message], strict: &[bool]) {
    in_both_roles(|side, threads| {
        for inserted in messages {
            for step in Step::BEFORE_KEYS {
                for strict in strict {
                    inserted_is_fatal(side, threads, *strict, step, inserted);
                }
            }
        }
    });
}

const STRICT: &[bool] = &[true];
const BOTH: &[bool] = &[true, false];

fn ext_info() -> Message {
    message(7).u32(1).string("server-sig-algs").string("ssh-rsa")
}

#[test]
fn harmless_messages_inserted_into_a_strict_handshake() {
    let unimplemented = message(3).u32(0);
    let debug = message(4).boolean(false).string("x").string("");
    let (ping, pong) = (message(192).string("x"), message(193).string("x"));
    fatal_at_every_step(&[message(2).string("x"), unimplemented, debug, ping, pong, message(10)], STRICT);
}

#[test]
fn harmless_messages_inserted_into_a_lax_handshake_do_nothing() {
    in_both_roles(|side, threads| {
        let (library, mut peer) = Library::against(side, threads, Options::lax());
        let harmless =
            [message(2).string("x"), message(4).boolean(false).string("x").string(""), message(192).string("x")];
        peer.handshake_with(&mut |peer, step| {
            if step != Step::Done {
                harmless.iter().for_each(|inserted| peer.send(inserted));
            }
        })
        .unwrap();
        peer.log_in().unwrap();
        peer.ping().unwrap();
        drop(library);
    });
}

#[test]
fn ext_info_in_the_clear() {
    fatal_at_every_step(&[ext_info()], BOTH);
}

#[test]
fn userauth_messages_in_the_clear() {
    let request = password_request("user", "secret");
    let replies = [message(51).string("password").boolean(false), message(52), message(53).string("x").string("")];
    fatal_at_every_step(&[&[request, message(60).string("x"), message(61).u32(0)], &replies[..]].concat(), BOTH);
}

#[test]
fn services_in_the_clear() {
    fatal_at_every_step(&[message(5).string("ssh-userauth"), message(6).string("ssh-userauth")], BOTH);
}

#[test]
fn connection_messages_in_the_clear() {
    let exec = channel_request(0, "exec", true).string("x");
    let global = message(80).string("tcpip-forward").boolean(true).string("").u32(0);
    fatal_at_every_step(&[open("session", 0, 1 << 20, 32_768), exec, global, message(94).u32(0).string("x")], BOTH);
}

/// The nine ways in which servers were found to break the strict key exchange.
#[test]
fn nine_violations_of_the_strict_exchange() {
    let ignore = message(2).string("x");
    let channel = open("session", 0, 1 << 20, 32_768);
    let user = none_request("user");
    let gex = message(34).u32(2048).u32(3072).u32(8192);
    let old_gex = message(30).u32(2048);
    let repeated = message(30).string([9; 32]);
    let flows = [
        ("IGNORE between reply and NEWKEYS", Step::NewKeys, vec![&ignore]),
        ("CHANNEL_OPEN between reply and NEWKEYS", Step::NewKeys, vec![&channel]),
        ("USERAUTH_REQUEST before KEXINIT", Step::KexInit, vec![&user]),
        ("USERAUTH_REQUEST after KEXINIT", Step::Public, vec![&user]),
        ("CHANNEL_OPEN after KEXINIT", Step::Public, vec![&channel]),
        ("CHANNEL_OPEN before KEXINIT", Step::KexInit, vec![&channel]),
        ("GEX_REQUEST again and again", Step::Public, vec![&gex, &gex]),
        ("old GEX_REQUEST again and again", Step::Public, vec![&old_gex, &old_gex]),
        ("KEX_INIT again", Step::NewKeys, vec![&repeated]),
    ];
    in_both_modes(|threads| {
        for (flow, step, inserted) in &flows {
            let (library, mut peer) = Library::server(threads, Options::default());
            let outcome = peer.handshake_with(&mut |peer, at| {
                if at == *step {
                    inserted.iter().for_each(|message| peer.send(message));
                }
                if at == Step::Done {
                    peer.send(message(5).string("ssh-userauth"));
                }
            });
            // The library's NEWKEYS and EXT_INFO may be out already; SERVICE_ACCEPT never comes.
            let end = outcome.err().unwrap_or_else(|| peer.is_left(&[7]));
            assert_ne!(end, End::Silence, "{flow}");
            assert!(matches!(library.watcher.ended(), Error::Protocol(_)), "{flow}");
            assert!(library.watcher.asked().is_empty(), "{flow}");
        }
    });
}

#[test]
fn kexinit_as_the_second_packet() {
    in_both_roles(|side, threads| {
        inserted_is_fatal(side, threads, true, Step::KexInit, &message(2).string("x"));
    });
}

#[test]
fn a_second_kexinit_in_one_exchange() {
    in_both_roles(|side, threads| {
        let (library, mut peer) = Library::against(side, threads, Options::lax());
        let again = peer.kexinit();
        let end = peer.handshake_with(&mut |peer, step| {
            if step == Step::Public {
                peer.send(&again);
            }
        });
        assert!(matches!(end, Err(End::Disconnect { code: 2, .. })), "{end:?}");
        assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
    });
}

#[test]
fn newkeys_out_of_turn() {
    let newkeys = message(21);
    in_both_roles(|side, threads| {
        for strict in [true, false] {
            // First of all, and in place of the exchange.
            for step in [Step::KexInit, Step::Public] {
                inserted_is_fatal(side, threads, strict, step, &newkeys);
            }
        }
        // Once keyed, during authentication, when connected.
        for stage in 0..3 {
            let (library, mut peer) = Library::against(side, threads, Options::default());
            peer.handshake().unwrap();
            match (stage, side) {
                (0, _) => {}
                (1, Side::Client) => peer.ask_for_service().unwrap(),
                (1, Side::Server) => peer.accept_service().unwrap(),
                _ => peer.log_in().unwrap(),
            }
            peer.send(&newkeys);
            peer.is_left(&[5, 7, 50]);
            assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
        }
    });
}

#[test]
fn exchange_messages_of_the_other_role() {
    let of_servers = [message(31).string([9; 32]).string([9; 32]).string("x"), message(33).string([9; 32])];
    let of_clients = [message(30).string([9; 32]), message(32).string([9; 32]), message(34).u32(1).u32(2).u32(3)];
    in_both_roles(|side, threads| {
        let messages = if side == Side::Client { &of_servers[..] } else { &of_clients[..] };
        for inserted in messages {
            for step in Step::BEFORE_KEYS {
                for strict in [true, false] {
                    inserted_is_fatal(side, threads, strict, step, inserted);
                }
            }
            // In a later exchange.
            let (library, mut peer) = Library::against(side, threads, Options::default());
            peer.connect().unwrap();
            let end = peer.exchange_with(&mut |peer, step| {
                if step == Step::Public {
                    peer.send(inserted);
                }
            });
            assert!(matches!(end, Err(End::Disconnect { code: 2, .. })), "{end:?}");
            assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
        }
    });
}

#[test]
fn connection_messages_before_authentication() {
    let messages = [
        open("session", 0, 1 << 20, 32_768),
        channel_request(0, "exec", true).string("x"),
        message(80).string("tcpip-forward").boolean(true).string("").u32(0),
        message(81),
        message(91).u32(0).u32(0).u32(1).u32(1),
        message(93).u32(0).u32(1),
        message(94).u32(0).string("x"),
        message(97).u32(0),
        message(127),
    ];
    in_both_roles(|side, threads| {
        for inserted in &messages {
            for stage in 0..3 {
                let (library, mut peer) = Library::against(side, threads, Options::default());
                peer.handshake().unwrap();
                match (stage, side) {
                    (0, _) => {}
                    (1, Side::Client) => peer.ask_for_service().unwrap(),
                    (1, Side::Server) => peer.accept_service().unwrap(),
                    (_, Side::Client) => {
                        peer.ask_for_service().unwrap();
                        peer.send(password_request("user", "wrong"));
                        peer.expect(51).unwrap();
                    }
                    (_, Side::Server) => {
                        peer.accept_service().unwrap();
                        peer.expect(50).unwrap();
                    }
                }
                peer.send(inserted);
                peer.is_left(&[5, 7, 50]);
                assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
                for what in ["open", "request", "global"] {
                    assert_eq!(library.watcher.asked_about(what), 0);
                }
            }
        }
    });
}

#[test]
fn renewal_before_authentication_opens_no_gate() {
    in_both_modes(|threads| {
        for service in [false, true] {
            let (library, mut peer) = Library::server(threads, Options::default());
            peer.handshake().unwrap();
            if service {
                peer.ask_for_service().unwrap();
            }
            let kexinit = peer.kexinit();
            peer.send(&kexinit);
            peer.expect(3).unwrap();
            peer.send(open("session", 0, 1 << 20, 32_768));
            peer.is_left(&[]);
            assert_eq!(library.watcher.asked_about("open"), 0);
            assert!(!library.transport.is_authenticated());
        }
        let (library, mut peer) = Library::client(threads, Options::default());
        peer.handshake().unwrap();
        let kexinit = peer.kexinit();
        peer.send(&kexinit);
        peer.is_left(&[5, 7]);
        assert!(matches!(library.login(), Err(Error::Protocol(_))));
    });
}

#[test]
fn the_server_takes_no_success_from_its_client() {
    let replies = [
        message(51).string("password").boolean(true),
        message(52),
        message(53).string("x").string(""),
        message(60).string("ssh-ed25519").string("x"),
        message(6).string("ssh-connection"),
    ];
    in_both_modes(|threads| {
        for reply in &replies {
            for service in [false, true] {
                let (library, mut peer) = Library::server(threads, Options::default());
                peer.handshake().unwrap();
                if service {
                    peer.ask_for_service().unwrap();
                }
                peer.send(reply);
                peer.send(open("session", 0, 1 << 20, 32_768));
                peer.is_left(&[7]);
                assert!(!library.transport.is_authenticated());
                assert!(library.watcher.asked().is_empty());
            }
        }
    });
}

#[test]
fn the_client_sends_no_credentials_without_keys() {
    let ways: [&[Message]; 5] = [
        &[message(6).string("ssh-userauth")],
        &[message(21), message(6).string("ssh-userauth")],
        &[message(51).string("password").boolean(false)],
        &[message(53).string("type your password").string("")],
        &[message(52)],
    ];
    in_both_modes(|threads| {
        for way in ways {
            for after_kexinit in [false, true] {
                let (library, mut peer) = Library::client(threads, Options::lax());
                peer.identify();
                peer.read_identification().unwrap();
                if after_kexinit {
                    peer.send_kexinit(&mut |_, _| {});
                }
                way.iter().for_each(|message| peer.send(message));
                // In the clear there is KEXINIT, a public value, DISCONNECT, and no more.
                let (said, end) = peer.rest();
                assert!(matches!(end, End::Disconnect { code: 2, .. }), "{end:?}");
                for payload in said {
                    assert!([20, 30].contains(&payload[0]));
                    assert!(!payload.windows(6).any(|part| part == b"secret" || part == b"userau"));
                }
                assert!(matches!(library.login(), Err(Error::Protocol(_))));
            }
        }
    });
}

#[test]
fn markers_only_in_later_kexinits() {
    in_both_roles(|side, threads| {
        for suite in [Suite::ChaCha, Suite::CtrMac] {
            let options = Options { strict: false, markers_for_ever: true, ..Options::suite(suite) };
            let (library, mut peer) = Library::against(side, threads, options);
            peer.connect().unwrap();
            peer.options.strict = true;
            for _ in 0..2 {
                peer.exchange().unwrap();
                peer.ping().unwrap();
            }
            assert!(!library.transport.negotiated().unwrap().0.strict);
        }
    });
}

/// Right sequence numbers are in every MAC and nonce: a wrong one would open nothing.
#[test]
fn counters_start_again_with_each_newkeys_of_the_peer() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            for strict in [true, false] {
                let (library, mut peer) = Library::against(side, threads, Options { strict, ..Options::suite(suite) });
                peer.connect().unwrap();
                for _ in 0..3 {
                    peer.ping().unwrap();
                    peer.exchange().unwrap();
                    peer.ping().unwrap();
                    assert_eq!(peer.inward.sequence < 3, strict);
                }
                assert_eq!(library.transport.negotiated().unwrap().0.rekeys, 3);
            }
        }
    });
}

#[test]
fn wrong_guesses_of_the_first_exchange_and_of_renewals() {
    let rounds = if std::env::var_os("NACRE_TEST_FULL").is_some() { 1000 } else { 60 };
    in_both_roles(|side, threads| {
        let kex = "diffie-hellman-group14-sha256,curve25519-sha256".into();
        let (library, mut peer) = Library::against(side, threads, Options { kex, guesses: true, ..Options::default() });
        let guess = message(if side == Side::Client { 30 } else { 31 }).string([3; 256]);
        let mut guessing = |peer: &mut Peer, step| {
            if step == Step::Public {
                peer.send(&guess);
            }
        };
        peer.handshake_with(&mut guessing).unwrap();
        peer.log_in().unwrap();
        for _ in 0..rounds {
            peer.exchange_with(&mut guessing).unwrap();
        }
        peer.ping().unwrap();
        // A right guess is no guess to be passed over. The library's first names are known by now.
        let mut names = Fields::of(&peer.library_kexinit, 20);
        names.raw(16);
        peer.options.kex = names.text().split(',').next().unwrap().to_owned();
        if peer.options.kex == "curve25519-sha256" {
            peer.exchange().unwrap();
            peer.ping().unwrap();
        }
        drop(library);
    });
}

#[test]
fn a_right_guess_counts() {
    in_both_modes(|threads| {
        let first = |library: &std::sync::Arc<nacre::engine::Transport>| {
            library.set_algorithms(nacre::engine::AlgorithmKind::Kex, "curve25519-sha256").unwrap();
        };
        let options = Options { guesses: true, ..Options::default() };
        let watcher = crate::raw::Watcher::usual();
        let (_server, mut peer) = Library::server_with(threads, options.clone(), watcher, first);
        peer.connect().unwrap();
        peer.exchange().unwrap();
        peer.ping().unwrap();
        let (_client, mut peer) = Library::client_with(threads, options, secret(), first);
        peer.connect().unwrap();
        peer.exchange().unwrap();
        peer.ping().unwrap();
    });
}

#[test]
fn pings_before_authentication_and_in_exchanges_get_no_answer() {
    in_both_modes(|threads| {
        let (_library, mut peer) = Library::server(threads, Options::default());
        peer.handshake().unwrap();
        let ping = message(192).string([0; 100]);
        for _ in 0..2000 {
            peer.send(&ping);
        }
        // The next answer is that to the request.
        peer.ask_for_service().unwrap();
        peer.send(password_request("user", "secret"));
        peer.expect(52).unwrap();
        peer.exchange_with(&mut |peer, step| {
            if matches!(step, Step::Public | Step::NewKeys) {
                for _ in 0..100 {
                    peer.send(&ping);
                }
            }
        })
        .unwrap();
        peer.ping().unwrap();
    });
}

#[test]
fn extensions_counted_to_2_to_the_32_and_floods_of_them() {
    in_both_roles(|side, threads| {
        let (library, mut peer) = Library::against(side, threads, Options::default());
        peer.handshake().unwrap();
        peer.send(message(7).u32(u32::MAX).string("x").string("y"));
        peer.is_left(&[5, 7]);
        assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
        let (library, mut peer) = Library::against(side, threads, Options::default());
        peer.handshake().unwrap();
        for _ in 0..10_000 {
            peer.send(ext_info());
        }
        peer.is_left(&[5, 7]);
        assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
    });
}

#[test]
fn nothing_weak_is_in_the_kexinit_and_only_weak_is_no_match() {
    let weak = ["sha1", "md5", "cbc", "arcfour", "group1-", "ssh-dss", "3des", "umac"];
    in_both_roles(|side, threads| {
        let options = Options { kex: "diffie-hellman-group14-sha1".into(), ..Options::default() };
        let (library, mut peer) = Library::against(side, threads, options);
        peer.identify();
        peer.read_identification().unwrap();
        peer.send_kexinit(&mut |_, _| {});
        peer.read_kexinit().unwrap();
        let mut lists = Fields::of(&peer.library_kexinit, 20);
        lists.raw(16);
        for _ in 0..8 {
            for name in lists.text().split(',') {
                assert!(name != "ssh-rsa" && !weak.iter().any(|part| name.contains(part)), "{name}");
            }
        }
        assert!(matches!(peer.is_left(&[]), End::Disconnect { code: 3, .. }));
        assert!(matches!(library.watcher.ended(), Error::Negotiation(_)));
        let options = Options { host_key: "ssh-rsa".into(), ..Options::default() };
        let (library, mut peer) = Library::against(side, threads, options);
        assert!(matches!(peer.handshake(), Err(End::Disconnect { code: 3, .. })));
        assert!(matches!(library.watcher.ended(), Error::Negotiation(_)));
    });
}

#[test]
fn a_mac_is_needed_with_ctr_and_not_with_aead() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            let options = Options { macs: Some("hmac-md5,none".into()), ..Options::suite(suite) };
            let (library, mut peer) = Library::against(side, threads, options);
            if matches!(suite, Suite::ChaCha | Suite::Gcm) {
                peer.connect().unwrap();
                peer.ping().unwrap();
            } else {
                assert!(matches!(peer.handshake(), Err(End::Disconnect { code: 3, .. })));
                assert!(matches!(library.watcher.ended(), Error::Negotiation(_)));
            }
        }
    });
}
