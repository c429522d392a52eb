//! Later key exchanges that are never finished, or are used to slip something in.

use std::time::{Duration, Instant};

use nacre::engine::{Limit, Stream, Timeout};
use nacre::error::Error;

use crate::raw::library::{LONG, in_both_roles};
use crate::raw::login::{channel_request, data, open};
use crate::raw::{End, Library, Options, Side, Step, in_both_modes, message};

#[test]
fn a_renewal_that_the_peer_never_finishes() {
    in_both_roles(|side, threads| {
        for begins in [true, false] {
            let (library, mut peer) = Library::against(side, threads, Options::default());
            peer.connect().unwrap();
            library.transport.set_limit(Limit::Rekey, 200).unwrap();
            // The limit is one of the next exchange if it was set before it.
            if begins {
                let kexinit = peer.kexinit();
                peer.send(&kexinit);
            } else {
                library.watcher_is_connected(side);
                let started = library.transport.rekey(Timeout::NONE, false);
                assert!(matches!(started.result, Err(Error::Again)), "{:?}", started.result);
            }
            let begun = Instant::now();
            assert_ne!(peer.is_left(&[7, 20, 30]), End::Silence);
            assert!(matches!(library.watcher.ended(), Error::Timeout(_)), "{:?}", library.watcher.ended());
            assert!(begun.elapsed() < Duration::from_secs(15));
        }
    });
}

/// Between a peer's KEXINIT and its NEWKEYS nothing but the exchange is taken.
#[test]
fn messages_behind_a_later_kexinit() {
    let messages = [
        message(5).string("ssh-userauth"),
        message(6).string("ssh-userauth"),
        message(50).string("user").string("ssh-connection").string("none"),
        message(52),
        message(80).string("x").boolean(true),
        open("session", 9, 1000, 1000),
        data(0, "x"),
        channel_request(0, "exec", true).string("x"),
        message(20).raw([0; 16]),
        message(127),
    ];
    in_both_roles(|side, threads| {
        for inserted in &messages {
            for at in [Step::Public, Step::NewKeys] {
                let (library, mut peer) = Library::against(side, threads, Options::default());
                peer.connect().unwrap();
                let end = peer.exchange_with(&mut |peer, step| {
                    if step == at {
                        peer.send(inserted);
                    }
                });
                let end = end.err().unwrap_or_else(|| peer.is_left(&[7]));
                assert!(matches!(end, End::Disconnect { code: 2, .. } | End::Closed), "{end:?}");
                assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
                assert_eq!(library.watcher.asked_about("open"), 0);
                assert_eq!(library.watcher.asked_about("request"), 0);
            }
        }
    });
}

/// What the application writes while the peer stalls an exchange is bounded, and arrives afterwards.
#[test]
fn writes_during_a_stalled_renewal_are_held_back_and_arrive() {
    in_both_modes(|threads| {
        let (library, mut peer) = Library::server(threads, Options::default());
        peer.connect().unwrap();
        peer.open_session(1 << 30, 32_768).unwrap();
        let channel = library.transport.accept(LONG).unwrap();
        peer.send_kexinit(&mut |_, _| {});
        peer.read_kexinit().unwrap();
        let block = vec![5; 1 << 20];
        let mut taken = 0;
        for _ in 0..64 {
            let (count, result) = channel.write(Stream::Data, &block, Timeout::NONE);
            taken += count;
            if result.is_err() {
                break;
            }
        }
        assert!(taken < 2 << 20, "{taken} bytes were taken while nothing can be sent");
        peer.finish_exchange_with(&mut |_, _| {}).unwrap();
        let mut got = 0;
        while got < taken {
            let payload = peer.expect_late(94).unwrap();
            got += payload.len() - 9;
        }
        assert_eq!(got, taken);
        channel.release();
    });
}

#[test]
fn renewals_by_both_at_once() {
    in_both_roles(|side, threads| {
        let (library, mut peer) = Library::against(side, threads, Options::default());
        peer.connect().unwrap();
        library.watcher_is_connected(side);
        for _ in 0..5 {
            let _ = library.transport.rekey(Timeout::NONE, false);
            peer.exchange().unwrap();
            peer.ping().unwrap();
        }
        assert!(matches!(side, Side::Client | Side::Server));
    });
}
