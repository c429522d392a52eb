//! Users who are not who they say, and servers and clients that bend the rules of authentication.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use nacre::engine::{
    Answer, ClientMethod, ConnectOptions, Decision, PrivateKey, PublicKey, Question, ServerQuestion, Ticket, Transport,
};
use nacre::error::Error;
use nacre::keys::KeyType;
use sha2::{Digest, Sha256};

use crate::raw::library::{LONG, secret};
use crate::raw::login::{key_blob, none_request, password_request, probe};
use crate::raw::{End, Fields, Library, Message, Options, Peer, Watcher, in_both_modes, message};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Takes these keys, asked about and signed.
fn taking(keys: &[&SigningKey]) -> impl Fn(&Arc<Ticket>) -> Option<Decision> + Send + Sync + 'static {
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| key_blob(key)).collect();
    move |ticket| match ticket.question() {
        Question::Server(ServerQuestion::Publickey { key, .. }) => {
            Some(if keys.iter().any(|known| known == key.blob()) { Decision::Accept } else { Decision::Reject })
        }
        _ => None,
    }
}

fn server(threads: u32, watcher: Arc<Watcher>) -> (Library, Peer) {
    let (library, mut peer) = Library::server_with(threads, Options::default(), watcher, |_| {});
    peer.handshake().unwrap();
    peer.ask_for_service().unwrap();
    (library, peer)
}

/// The answer to a request: 51, 52 or 60; with 51 whether it was a part.
fn answered(peer: &mut Peer) -> Result<(u8, bool), End> {
    loop {
        let payload = peer.receive()?;
        match payload[0] {
            51 => {
                let mut fields = Fields::of(&payload, 51);
                fields.text();
                return Ok((51, fields.byte() == 1));
            }
            52 | 60 => return Ok((payload[0], false)),
            7 | 53 => {}
            other => panic!("message {other}"),
        }
    }
}

const REFUSED: Result<(u8, bool), End> = Ok((51, false));

#[test]
fn the_key_that_signed_is_the_one_told_of() {
    in_both_modes(|threads| {
        let (first, second) = (key(1), key(2));
        let (library, mut peer) = server(threads, Watcher::with(taking(&[&first, &second])));
        for asked in [&first, &second] {
            peer.send(probe("user", "ssh-ed25519", &key_blob(asked)));
            assert_eq!(answered(&mut peer), Ok((60, false)));
        }
        peer.send(peer.publickey_request("user", &first, "ssh-ed25519", "ssh-ed25519"));
        assert_eq!(answered(&mut peer), Ok((52, false)));
        library.watcher.authenticated();
        let last = library.watcher.asked().into_iter().rfind(|text| text.contains("signed: true")).unwrap();
        let fingerprint = PublicKey::from_blob(&key_blob(&first)).unwrap();
        let expected = format!("{fingerprint:?}");
        assert!(last.contains(&expected), "{last} does not name {expected}");
    });
}

#[test]
fn a_late_yes_to_a_wrong_signature_lets_nobody_in() {
    in_both_modes(|threads| {
        let known = key(1);
        let late = Watcher::with(|ticket| match ticket.question() {
            Question::Server(ServerQuestion::Publickey { .. }) => {
                let ticket = Arc::clone(ticket);
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    let _ = ticket.decide(Decision::Accept);
                });
                Some(Decision::Defer)
            }
            _ => None,
        });
        let (library, mut peer) = server(threads, late);
        // By another key, over another session, and none at all.
        let honest = peer.publickey_request("user", &known, "ssh-ed25519", "ssh-ed25519").0;
        let start = honest.len() - 64;
        let mut foreign = honest[..start].to_vec();
        foreign.extend_from_slice(&peer.publickey_request("user", &key(2), "ssh-ed25519", "ssh-ed25519").0[start..]);
        let session = std::mem::replace(&mut peer.session_id, vec![1; 32]);
        let elsewhere = peer.publickey_request("user", &known, "ssh-ed25519", "ssh-ed25519").0;
        peer.session_id = session;
        let mut empty = honest[..start].to_vec();
        empty.extend_from_slice(&[0; 64]);
        for wrong in [foreign, elsewhere, empty] {
            peer.send(wrong);
            assert_eq!(answered(&mut peer), REFUSED);
        }
        let (mut malleable, at) = (honest, start);
        let mut signature: [u8; 64] = malleable[at..].try_into().unwrap();
        crate::raw::add_order(&mut signature);
        malleable[at..].copy_from_slice(&signature);
        peer.send(malleable);
        assert_eq!(answered(&mut peer), REFUSED);
        assert!(!library.watcher.asked().iter().any(|text| text.contains("signed: true")));
        // An accepted probe is no login either.
        peer.send(probe("user", "ssh-ed25519", &key_blob(&known)));
        assert_eq!(answered(&mut peer), Ok((60, false)));
        peer.send(message(90).string("session").u32(0).u32(1).u32(1));
        peer.is_left(&[]);
        assert_eq!(library.watcher.users(), []);
    });
}

#[test]
fn a_part_reached_by_one_user_is_of_no_use_to_another() {
    in_both_modes(|threads| {
        let known = key(1);
        let watcher = Watcher::with(|ticket| match ticket.question() {
            Question::Server(ServerQuestion::Publickey { user, signed, .. }) => {
                Some(match (user == b"alice", signed) {
                    (true, true) => Decision::Partial,
                    (true, false) => Decision::Accept,
                    _ => Decision::Reject,
                })
            }
            // Its half of the rule: the key was seen before.
            Question::Server(ServerQuestion::Password { .. }) => Some(Decision::Partial),
            _ => None,
        });
        let (library, mut peer) = server(threads, watcher);
        peer.send(peer.publickey_request("alice", &known, "ssh-ed25519", "ssh-ed25519"));
        assert_eq!(answered(&mut peer), Ok((51, true)));
        peer.send(password_request("bob", "secret"));
        let answer = answered(&mut peer);
        assert!(!matches!(answer, Ok((52, _))), "{answer:?}");
        assert_eq!(library.watcher.users(), []);
    });
}

#[test]
fn counts_of_prompts_and_answers_that_lie() {
    in_both_modes(|threads| {
        for answer in [
            message(61).u32(u32::MAX),
            message(61).u32(0),
            message(61).u32(2).string("a"),
            message(61).u32(3).string("a").string("b").string("c"),
            message(61).u32(1).string("a").string("b"),
        ] {
            let watcher = Watcher::with(|ticket| match ticket.question() {
                Question::Server(ServerQuestion::InteractiveStart { .. }) => {
                    let prompts = vec![(b"one".to_vec(), false), (b"two".to_vec(), true)];
                    ticket.answer(Answer::Prompts { name: vec![], instruction: vec![], prompts }).unwrap();
                    Some(Decision::Defer)
                }
                Question::Server(ServerQuestion::InteractiveAnswers { answers, .. }) => {
                    assert_eq!(answers.len(), 2);
                    Some(Decision::Accept)
                }
                _ => None,
            });
            let (library, mut peer) = server(threads, watcher);
            let request = message(50).string("user").string("ssh-connection").string("keyboard-interactive");
            peer.send(request.string("").string(""));
            assert_eq!(answered(&mut peer), Ok((60, false)));
            peer.send(&answer);
            let result = answered(&mut peer);
            assert!(!matches!(result, Ok((52, _)) | Err(End::Silence)), "{result:?}");
            assert_eq!(library.watcher.users(), []);
        }
        for count in [u32::MAX, 300, 1] {
            let (library, mut peer) = Library::client(threads, Options::default());
            peer.handshake().unwrap();
            peer.accept_service().unwrap();
            peer.expect(50).unwrap();
            // The password's failure leads on to keyboard-interactive.
            peer.send(message(51).string("keyboard-interactive").boolean(false));
            peer.expect(50).unwrap();
            let mut request = message(60).string("").string("").string("").u32(count);
            for _ in 0..count.min(300) - u32::from(count == 1) {
                request = request.string("prompt").boolean(false);
            }
            peer.send(&request);
            if count == 300 {
                // The password answers one question, and no flood of them.
                let got = peer.receive();
                assert!(!matches!(got, Err(End::Silence)) || library.login().is_err(), "{got:?}");
            } else {
                peer.is_left(&[]);
                assert!(library.login().is_err());
            }
        }
    });
}

#[test]
fn unknown_users_and_broken_requests_are_refused_alike() {
    in_both_modes(|threads| {
        let known = key(1);
        let mut seen = Vec::new();
        for user in ["user", "nobody"] {
            let (_library, mut peer) = server(threads, Watcher::usual());
            let mut of_user = Vec::new();
            let requests = [
                password_request(user, "wrong"),
                probe(user, "ssh-ed25519", &key_blob(&known)),
                probe(user, "ssh-ed25519", b"no key"),
                probe(user, "ssh-unknown", &key_blob(&known)),
                peer.publickey_request(user, &known, "ssh-ed25519", "ssh-ed25519"),
            ];
            for request in requests {
                let begun = Instant::now();
                peer.send(request);
                of_user.push(peer.receive().map(|payload| payload[0]));
                assert!(begun.elapsed() >= Duration::from_millis(5), "{:?}", begun.elapsed());
            }
            seen.push(of_user);
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0], vec![Ok(51); 5]);
    });
}

#[test]
fn the_sixth_attempt_is_the_last_of_whatever_kind() {
    in_both_modes(|threads| {
        let (library, mut peer) = server(threads, Watcher::usual());
        peer.send(none_request("user"));
        assert_eq!(answered(&mut peer), REFUSED);
        for _ in 0..5 {
            peer.send(password_request("user", "wrong"));
            assert_eq!(answered(&mut peer), REFUSED);
        }
        peer.send(password_request("user", "wrong"));
        assert!(matches!(peer.is_left(&[51]), End::Disconnect { .. }));
        assert_eq!(library.watcher.users(), []);
        // Probes of keys have an end too.
        let (_library, mut peer) = server(threads, Watcher::with(taking(&[&key(1)])));
        let mut probes = 0;
        loop {
            peer.send(probe("user", "ssh-ed25519", &key_blob(&key(1))));
            if answered(&mut peer).is_err() {
                break;
            }
            probes += 1;
            assert!(probes <= 1024);
        }
    });
}

#[test]
fn keys_of_millions_of_bits_and_of_forgotten_kinds() {
    let rsa = |exponent: &[u8], modulus: &[u8]| Message::fields().string("ssh-rsa").mpint(exponent).mpint(modulus).0;
    let dsa = Message::fields().string("ssh-dss").mpint(&[9; 128]).mpint(&[9; 20]).mpint(&[9; 128]).mpint(&[9; 128]).0;
    let right = PrivateKey::generate(KeyType::Rsa, 2048).unwrap();
    let mut fields = Fields(right.public().blob());
    let (_, _, modulus) = (fields.string(), fields.string(), fields.string());
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    in_both_modes(|threads| {
        let keys = [
            rsa(&[1, 0, 1], &[0xff; 2049]),
            rsa(&[1, 0, 1], &[0xff; 30_000]),
            rsa(&[1, 0, 1], &[0xff; 127]),
            rsa(&[0xff; 2048], &[0xff; 256]),
            rsa(&[2], modulus),
            rsa(&[1], modulus),
            rsa(&[], modulus),
            dsa.clone(),
        ];
        for blob in &keys {
            for algorithm in ["rsa-sha2-512", "ssh-rsa", "ssh-dss"] {
                let (library, mut peer) = server(threads, Watcher::with(|_| Some(Decision::Accept)));
                let begun = Instant::now();
                peer.send(probe("user", algorithm, blob));
                assert_eq!(answered(&mut peer), REFUSED);
                assert!(begun.elapsed() < Duration::from_secs(5));
                assert_eq!(library.watcher.asked_about("user: Publickey"), 0);
            }
        }
    });
}

/// With the exponent 1 anybody can sign: the text is its own signature.
#[test]
fn the_modulus_of_a_known_key_with_the_exponent_one() {
    const SHA256_INFO: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0, 0x04, 0x20];
    let known = PrivateKey::generate(KeyType::Rsa, 2048).unwrap();
    let known = known.public().clone();
    let mut fields = Fields(known.blob());
    let (_, _, modulus) = (fields.string(), fields.string(), fields.string());
    in_both_modes(|threads| {
        for exponent in [1_u8, 3] {
            let blob = Message::fields().string("ssh-rsa").mpint(&[exponent]).string(modulus).0;
            let known = known.clone();
            let watcher = Watcher::with(move |ticket| match ticket.question() {
                Question::Server(ServerQuestion::Publickey { key, .. }) => {
                    Some(if *key == known { Decision::Accept } else { Decision::Reject })
                }
                _ => None,
            });
            let (library, mut peer) = server(threads, watcher);
            let request = message(50).string("user").string("ssh-connection").string("publickey").boolean(true);
            let request = request.string("rsa-sha2-256").string(&blob);
            let digest = Sha256::digest(Message::fields().string(&peer.session_id).raw(&request));
            let mut forged = vec![0, 1];
            forged.resize(256 - 19 - 32 - 1, 0xff);
            forged.push(0);
            forged.extend_from_slice(&SHA256_INFO);
            forged.extend_from_slice(&digest);
            let signature = Message::fields().string("rsa-sha2-256").string(&forged);
            peer.send(request.string(signature));
            assert_eq!(answered(&mut peer), REFUSED);
            assert_eq!(library.watcher.users(), []);
        }
    });
}

#[test]
fn a_success_that_nothing_was_proved_for() {
    let own = Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap());
    in_both_modes(|threads| {
        // Without a request, and before the service is accepted.
        let (library, mut peer) = Library::client(threads, Options::default());
        peer.handshake().unwrap();
        peer.send(message(52));
        peer.is_left(&[5, 7]);
        assert!(library.login().is_err());
        // To a question about a key that was not signed for.
        let login = ConnectOptions { user: None, password: None, ..secret() };
        let (library, mut peer) = Library::client_with(threads, Options::default(), login, |_| {});
        let asking = {
            let (transport, own): (Arc<Transport>, _) = (Arc::clone(&library.transport), Arc::clone(&own));
            let login = library.login;
            std::thread::spawn(move || {
                transport.wait(login, LONG).unwrap();
                let method = ClientMethod::Publickey { key: own, probe: true };
                transport.authenticate(b"user", method, None, LONG, false).result
            })
        };
        peer.handshake().unwrap();
        peer.accept_service().unwrap();
        peer.expect(50).unwrap();
        peer.send(message(52));
        peer.is_left(&[]);
        assert!(matches!(asking.join().unwrap(), Err(Error::Protocol(_))));
        assert!(!library.transport.is_authenticated());
    });
}

#[test]
fn two_logins_at_once_share_nothing() {
    in_both_modes(|threads| {
        let watcher = || {
            Watcher::with(|ticket| match ticket.question() {
                Question::Server(ServerQuestion::Password { user, password }) => {
                    Some(if user[..] == password[..] { Decision::Accept } else { Decision::Reject })
                }
                _ => None,
            })
        };
        let (one, mut first) = server(threads, watcher());
        let (two, mut second) = server(threads, watcher());
        first.send(password_request("one", "two"));
        second.send(password_request("two", "one"));
        assert_eq!(answered(&mut first), REFUSED);
        assert_eq!(answered(&mut second), REFUSED);
        second.send(password_request("two", "two"));
        first.send(password_request("one", "two"));
        assert_eq!(answered(&mut first), REFUSED);
        assert_eq!(answered(&mut second), Ok((52, false)));
        assert_eq!(two.watcher.authenticated().0, b"two");
        first.send(password_request("one", "one"));
        assert_eq!(answered(&mut first), Ok((52, false)));
        assert_eq!(one.watcher.authenticated().0, b"one");
    });
}

#[test]
fn passwords_of_any_length() {
    in_both_modes(|threads| {
        for (length, reaches) in [(0, true), (255, true), (1024, true), (1025, false), (100_000, false)] {
            let (library, mut peer) = server(threads, Watcher::usual());
            peer.send(password_request("user", vec![b'x'; length]));
            let answer = answered(&mut peer);
            assert!(answer == REFUSED || (!reaches && answer.is_err()), "{length}: {answer:?}");
            assert_eq!(library.watcher.asked_about("user: Password") == 1, reaches, "{length}");
        }
    });
}

#[test]
fn names_of_users_are_only_bytes() {
    in_both_modes(|threads| {
        for name in ["-oProxyCommand=x", "$(reboot)", "`reboot`", "a;b|c&d", "../../etc", "a\0b", "\x1b[2J", "'\"\\"] {
            let taken = name.as_bytes().to_vec();
            let watcher = Watcher::with(move |ticket| match ticket.question() {
                Question::Server(ServerQuestion::Password { user, .. }) => {
                    Some(if *user == taken { Decision::Accept } else { Decision::Reject })
                }
                _ => None,
            });
            let (library, mut peer) = server(threads, watcher);
            peer.send(password_request(name, "secret"));
            assert_eq!(answered(&mut peer), Ok((52, false)), "{name:?}");
            assert_eq!(library.watcher.authenticated().0, name.as_bytes());
        }
    });
}

#[test]
fn a_server_that_refuses_for_ever() {
    let own = Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap());
    in_both_modes(|threads| {
        let login = ConnectOptions { key: Some(Arc::clone(&own)), ..secret() };
        let (library, mut peer) = Library::client_with(threads, Options::default(), login, |_| {});
        peer.handshake().unwrap();
        peer.accept_service().unwrap();
        let mut requests = 0;
        peer.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        while peer.expect(50).is_ok() {
            requests += 1;
            assert!(requests < 10);
            peer.send(message(51).string("publickey,password,keyboard-interactive").boolean(false));
        }
        assert!((2..=4).contains(&requests), "{requests}");
        assert!(matches!(library.login(), Err(Error::AuthFailed(_))));
    });
}

#[test]
fn signatures_of_another_algorithm_than_requested() {
    in_both_modes(|threads| {
        let known = key(1);
        let pairs = [("ssh-ed25519", "rsa-sha2-256"), ("ssh-ed25519", "ssh-rsa"), ("ssh-ed25519", "")];
        let others = [("ecdsa-sha2-nistp256", "ssh-ed25519"), ("rsa-sha2-512", "ssh-ed25519"), ("ssh-rsa", "ssh-rsa")];
        for (algorithm, signed_as) in pairs.into_iter().chain(others) {
            let (library, mut peer) = server(threads, Watcher::with(taking(&[&known])));
            peer.send(peer.publickey_request("user", &known, algorithm, signed_as));
            assert_eq!(answered(&mut peer), REFUSED, "{algorithm} {signed_as}");
            assert!(!library.watcher.asked().iter().any(|text| text.contains("signed: true")));
        }
    });
}

#[test]
fn nothing_is_processed_after_a_fatal_error() {
    in_both_modes(|threads| {
        let (library, mut peer) = server(threads, Watcher::usual());
        let mut bytes = peer.sealed(&message(52).0);
        bytes.extend(peer.sealed(&password_request("user", "secret").0));
        bytes.extend(peer.sealed(&message(90).string("session").u32(0).u32(1000).u32(1000).0));
        peer.write(&bytes);
        peer.is_left(&[]);
        assert!(library.watcher.asked().is_empty());
        assert_eq!(library.watcher.users(), []);
    });
}

#[test]
fn escape_sequences_in_what_a_peer_says() {
    let escapes = "\x1b[2J\x07\u{9b}31m\r\nnext\0";
    let clean = |text: &str| !text.chars().any(|c| c.is_control());
    in_both_modes(|threads| {
        let (library, mut peer) = server(threads, Watcher::usual());
        peer.send(message(1).u32(2).string(escapes).string(escapes));
        let error = library.watcher.ended();
        assert!(matches!(error, Error::Disconnected(_)) && clean(&error.to_string()), "{error:?}");
        let (library, mut peer) = Library::client(threads, Options::default());
        peer.handshake().unwrap();
        peer.accept_service().unwrap();
        peer.expect(50).unwrap();
        peer.send(message(51).string(escapes.replace('\0', "")).boolean(false));
        let error = library.login().unwrap_err();
        assert!(clean(&error.to_string()), "{error}");
        let weird = Options { identification: "SSH-1.0-\x1b[2J".into(), ..Options::default() };
        let (library, mut peer) = Library::client(threads, weird);
        peer.identify();
        let error = library.watcher.ended();
        assert!(clean(&error.to_string()), "{error}");
        let names = Options { kex: "\x1b[2J,x".into(), ..Options::default() };
        let (library, mut peer) = Library::client(threads, names);
        let _ = peer.handshake();
        let error = library.watcher.ended();
        assert!(clean(&error.to_string()), "{error}");
        let (library, mut peer) = Library::client(threads, Options::default());
        peer.connect().unwrap();
        library.login().unwrap();
        let opening = {
            let transport = Arc::clone(&library.transport);
            std::thread::spawn(move || transport.open_channel("session", &[], None, None, LONG, false).1.result)
        };
        let asked = peer.expect_late(90).unwrap();
        let mut fields = Fields::of(&asked, 90);
        fields.string();
        peer.send(message(92).u32(fields.u32()).u32(1).string(escapes).string(""));
        let error = opening.join().unwrap().unwrap_err();
        assert!(clean(&error.to_string()), "{error}");
    });
}

/// RFC 8308 section 3.1, and servers that know nothing of it or tell less than they can.
#[test]
fn rsa_keys_meet_servers_of_every_age() {
    const BOTH: &[&str] = &["rsa-sha2-512", "rsa-sha2-256"];
    let own = Arc::new(PrivateKey::generate(KeyType::Rsa, 2048).unwrap());
    let servers: [(&str, Option<&str>, &[&str]); 7] = [
        ("OpenSSH_10.5", Some("ssh-ed25519,rsa-sha2-256,rsa-sha2-512"), &["rsa-sha2-512"]),
        ("OpenSSH_7.4p1 Debian-10+deb9u7", Some("ssh-ed25519,ssh-rsa,ssh-dss,ecdsa-sha2-nistp256"), BOTH),
        ("OpenSSH_7.2p2", Some("rsa-sha2-256,rsa-sha2-512"), &["rsa-sha2-512"]),
        ("OpenSSH_7.1", None, BOTH),
        ("dropbear_2019.78", None, BOTH),
        ("appliance", Some("rsa-sha2-256"), &["rsa-sha2-256"]),
        ("SHA1-OpenSSH_7.4", Some("ssh-ed25519,ssh-rsa"), &[]),
    ];
    in_both_modes(|threads| {
        for (software, list, expected) in servers {
            let options = Options { identification: format!("SSH-2.0-{software}"), ..Options::default() };
            let login = ConnectOptions { key: Some(Arc::clone(&own)), password: None, ..secret() };
            let (library, mut peer) = Library::client_with(threads, options, login, |_| {});
            peer.handshake().unwrap();
            if let Some(list) = list {
                peer.send(message(7).u32(1).string("server-sig-algs").string(list));
            }
            peer.accept_service().unwrap();
            for algorithm in expected {
                let request = peer.expect(50).unwrap();
                let mut fields = Fields::of(&request, 50);
                assert_eq!([fields.text(), fields.text(), fields.text()], ["user", "ssh-connection", "publickey"]);
                assert_eq!((fields.byte(), fields.text()), (1, *algorithm), "{software}");
                assert_eq!(fields.string(), own.public().blob());
                let signature = fields.string();
                assert_eq!(Fields(signature).text(), *algorithm, "{software}");
                peer.send(message(51).string("publickey").boolean(false));
            }
            let error = library.login().unwrap_err();
            assert!(matches!(error, Error::AuthFailed(_)), "{software}: {error}");
            if expected.is_empty() {
                let said = error.to_string();
                let ours = "this side has ssh-ed25519,";
                assert!(said.contains(ours) && said.contains("the server names ssh-ed25519,ssh-rsa"), "{said}");
            }
        }
    });
}
