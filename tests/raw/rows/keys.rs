//! Public values, host keys and signatures that are not what they should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ed25519_dalek::{Signer, SigningKey};
use nacre::engine::{AlgorithmKind, ConnectOptions, Decision, HostKeyCheck, HostKeyPolicy, Question, Timeout};
use nacre::error::{Error, HostKeyVerdict};

use crate::raw::library::{LONG, in_both_roles, secret};
use crate::raw::{End, Library, Message, Options, Peer, Side, Step, Watcher, in_both_modes, message};

/// The peer's public value is this one.
fn is_refused(side: Side, threads: u32, kex: &str, public: &[u8]) {
    let (library, mut peer) = Library::against(side, threads, Options { kex: kex.into(), ..Options::default() });
    peer.identify();
    peer.read_identification().unwrap();
    peer.send_kexinit(&mut |_, _| {});
    peer.read_kexinit().unwrap();
    match side {
        Side::Client => peer.send(message(30).string(public)),
        Side::Server => {
            peer.expect(30).unwrap();
            let signature = Message::fields().string("ssh-ed25519").string([0; 64]);
            let blob = peer.host_key_blob();
            peer.send(message(31).string(blob).string(public).string(signature));
        }
    }
    let what = format!("{kex}: {} bytes", public.len());
    assert!(matches!(peer.is_left(&[]), End::Disconnect { code: 3, .. }), "{what}");
    assert!(matches!(library.watcher.ended(), Error::Protocol(_)), "{what}: {:?}", library.watcher.ended());
}

#[test]
fn x25519_values_of_a_wrong_length_or_of_low_order() {
    let mut values: Vec<Vec<u8>> = [0, 1, 31, 33, 64, 1215].iter().map(|length| vec![9; *length]).collect();
    values.push(vec![0; 32]);
    values.push([&[1][..], &[0; 31]].concat());
    // p - 1, p and p + 1.
    for first in [0xec, 0xed, 0xee] {
        values.push([&[first][..], &[0xff; 30], &[0x7f]].concat());
    }
    in_both_roles(|side, threads| {
        for value in &values {
            is_refused(side, threads, "curve25519-sha256", value);
        }
    });
}

#[test]
fn hybrid_values_of_a_wrong_length() {
    in_both_roles(|side, threads| {
        let right = if side == Side::Client { 1216 } else { 1120 };
        for length in [0, 32, right - 1, right + 1, 5000] {
            is_refused(side, threads, "mlkem768x25519-sha256", &vec![0; length]);
        }
        is_refused(side, threads, "mlkem768x25519-sha256", &vec![0; right]);
    });
}

#[test]
fn nist_points_off_the_curve_compressed_or_at_infinity() {
    in_both_roles(|side, threads| {
        for (kex, size) in [("ecdh-sha2-nistp256", 32), ("ecdh-sha2-nistp384", 48), ("ecdh-sha2-nistp521", 66)] {
            let off_curve = [&[4][..], &vec![1; 2 * size]].concat();
            let compressed = [&[2][..], &vec![1; size]].concat();
            for value in [vec![], vec![0], off_curve.clone(), compressed, off_curve[..size].to_vec(), vec![4]] {
                is_refused(side, threads, kex, &value);
            }
        }
    });
}

/// A raw server with another reply.
fn with_reply(peer: &mut Peer, reply: impl Fn(&Peer) -> Message) -> Result<(), End> {
    peer.handshake_with(&mut |peer, step| {
        if step == Step::Public {
            peer.skip = true;
            let reply = reply(peer);
            peer.send(reply);
        }
    })
}

#[test]
fn each_step_of_the_host_key_check_fails() {
    let blob = |name: &str, key: &[u8]| Message::fields().string(name).string(key).0;
    let signature = |name: &str, bytes: &[u8]| Message::fields().string(name).string(bytes).0;
    in_both_modes(|threads| {
        let right = SigningKey::from_bytes(&[7; 32]);
        let public = right.verifying_key().to_bytes();
        let good = blob("ssh-ed25519", &public);
        let sign = |peer: &Peer| right.sign(&peer.hash).to_bytes();
        type Reply<'a> = Box<dyn Fn(&Peer) -> (Vec<u8>, Vec<u8>) + 'a>;
        let ways: Vec<Reply> = vec![
            Box::new(|peer| (vec![], signature("ssh-ed25519", &sign(peer)))),
            Box::new(|peer| (blob("ssh-ed25519", &public[..31]), signature("ssh-ed25519", &sign(peer)))),
            Box::new(|peer| (blob("ssh-ed25519", &[0xff; 32]), signature("ssh-ed25519", &sign(peer)))),
            Box::new(|peer| (blob("ssh-rsa", &public), signature("ssh-ed25519", &sign(peer)))),
            Box::new(|peer| (blob("ssh-unknown", &public), signature("ssh-ed25519", &sign(peer)))),
            Box::new(|peer| ([&good[..], b"x"].concat(), signature("ssh-ed25519", &sign(peer)))),
            Box::new(|_| (good.clone(), vec![])),
            Box::new(|_| (good.clone(), signature("ssh-ed25519", &[0; 64]))),
            Box::new(|peer| (good.clone(), signature("ssh-ed25519", &sign(peer)[..63]))),
            Box::new(|peer| (good.clone(), signature("rsa-sha2-256", &sign(peer)))),
            Box::new(|_| (good.clone(), signature("ssh-ed25519", &right.sign(b"another hash").to_bytes()))),
            Box::new(|peer| {
                let mut malleable = sign(peer);
                crate::raw::add_order(&mut malleable);
                (good.clone(), signature("ssh-ed25519", &malleable))
            }),
        ];
        for (number, way) in ways.iter().enumerate() {
            let (library, mut peer) = Library::client(threads, Options::default());
            let outcome = with_reply(&mut peer, |peer| {
                let (blob, signature) = way(peer);
                message(31).string(blob).string([9; 32]).string(signature)
            });
            assert!(matches!(outcome, Err(End::Disconnect { .. })), "{number}: {outcome:?}");
            let error = library.login();
            let fits = matches!(&error, Err(Error::HostKey(failure)) if failure.verdict == HostKeyVerdict::Invalid);
            assert!(fits || matches!(error, Err(Error::Protocol(_))), "{number}: {error:?}");
        }
    });
}

/// The right public value this time: only the order of the group tells.
#[test]
fn a_malleable_host_signature_in_an_honest_exchange() {
    in_both_modes(|threads| {
        for malleable in [false, true] {
            let (library, mut peer) = Library::client(threads, Options::default());
            peer.malleable = malleable;
            let outcome = peer.connect();
            assert_eq!(outcome.is_ok(), !malleable);
            assert_eq!(library.login().is_ok(), !malleable);
        }
    });
}

#[test]
fn a_host_key_of_another_algorithm_than_negotiated() {
    in_both_modes(|threads| {
        let others = ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "rsa-sha2-512", "sk-ssh-ed25519@openssh.com"];
        for algorithm in others {
            let options = Options { host_key: algorithm.into(), ..Options::default() };
            let (library, mut peer) = Library::client(threads, options);
            assert!(matches!(peer.handshake(), Err(End::Disconnect { code: 9, .. })));
            assert!(matches!(library.login(), Err(Error::HostKey(_))));
        }
    });
}

/// Nobody touches it for each connection; and it does not pass for the key in it.
#[test]
fn a_host_key_in_a_security_key() {
    in_both_modes(|threads| {
        for (host_key, flags) in [
            ("sk-ssh-ed25519@openssh.com", Some(0)),
            ("sk-ssh-ed25519@openssh.com", Some(1)),
            ("ssh-ed25519", Some(1)),
            ("sk-ssh-ed25519@openssh.com", None),
        ] {
            let options = Options { host_key: host_key.into(), ..Options::default() };
            let (library, mut peer) = Library::client(threads, options);
            peer.flags = flags;
            let fits = flags.is_some() == host_key.starts_with("sk-");
            assert_eq!(peer.connect().is_ok(), fits, "{host_key} {flags:?}");
            match library.login() {
                Ok(()) => assert!(fits),
                Err(error) => assert!(!fits && matches!(error, Error::HostKey(_)), "{error}"),
            }
        }
    });
}

#[test]
fn a_refused_or_unanswered_host_key_question() {
    let ask = || HostKeyPolicy::Check(Box::new(HostKeyCheck { ask: true, ..HostKeyCheck::default() }));
    let never = || {
        let fingerprints = vec!["SHA256:x".into()];
        HostKeyPolicy::Check(Box::new(HostKeyCheck { fingerprints, ..HostKeyCheck::default() }))
    };
    in_both_modes(|threads| {
        let reject =
            Watcher::with(|ticket| matches!(ticket.question(), Question::HostKey { .. }).then_some(Decision::Reject));
        let forget =
            Watcher::with(|ticket| matches!(ticket.question(), Question::HostKey { .. }).then_some(Decision::Defer));
        let partial =
            Watcher::with(|ticket| matches!(ticket.question(), Question::HostKey { .. }).then_some(Decision::Partial));
        for (policy, asker) in [(ask(), reject), (ask(), forget), (ask(), partial), (never(), Watcher::usual())] {
            let login = ConnectOptions { policy, host_key_asker: Some(asker), ..secret() };
            let (library, mut peer) = Library::client_with(threads, Options::default(), login, |_| {});
            let _ = peer.handshake();
            peer.is_left(&[7]);
            assert!(matches!(library.login(), Err(Error::HostKey(_))), "{:?}", library.login());
        }
    });
}

#[test]
fn nobody_is_logged_in_where_no_host_key_was_checked() {
    in_both_modes(|threads| {
        let (library, mut peer) = Library::client(threads, Options::default());
        let unset = ConnectOptions { policy: HostKeyPolicy::Unset, ..secret() };
        let again = library.transport.connect(unset, Timeout::NONE, false);
        assert!(matches!(again.result, Err(Error::Argument(_))), "{:?}", again.result);
        peer.connect().unwrap();
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        let engine = Arc::clone(&library.engine);
        let bare = nacre::engine::Transport::from_fd(&engine, std::os::fd::IntoRawFd::into_raw_fd(one)).unwrap();
        let mut peer = Peer::new(two, Side::Server, Options::default());
        let over = Arc::new(AtomicBool::new(false));
        let serving = {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                peer.handshake().unwrap();
                while !over.load(Ordering::SeqCst) {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                peer.rest()
            })
        };
        bare.start_client(LONG, false).result.unwrap();
        let method = nacre::engine::ClientMethod::None;
        let refused = bare.authenticate(b"user", method, None, LONG, false).result;
        let unchecked = matches!(&refused, Err(Error::HostKey(it)) if it.verdict == HostKeyVerdict::Unchecked);
        assert!(unchecked, "{refused:?}");
        bare.release();
        over.store(true, Ordering::SeqCst);
        let (said, _) = serving.join().unwrap();
        assert!(said.iter().all(|payload| payload[0] == 7), "{said:?}");
    });
}

#[test]
fn another_host_key_in_a_renewal() {
    in_both_modes(|threads| {
        let (library, mut peer) = Library::client(threads, Options::default());
        peer.connect().unwrap();
        library.login().unwrap();
        peer.exchange().unwrap();
        peer.ping().unwrap();
        peer.host_key = SigningKey::from_bytes(&[8; 32]);
        let end = peer.exchange();
        assert!(matches!(end, Err(End::Disconnect { code: 9, .. })), "{end:?}");
        assert!(matches!(library.watcher.ended(), Error::HostKey(_)));
        // The key that is told of is the first one.
        assert!(library.transport.algorithms(AlgorithmKind::HostKey).is_ok());
    });
}
