//! The one in the middle of CVE-2023-48795: slips IGNORE into the handshake, and drops the first sealed packet, so that
//! the counts agree again where nothing else notices.

use std::sync::Arc;

use nacre::engine::{AlgorithmKind, Transport};
use nacre::error::Error;

use crate::raw::library::secret;
use crate::raw::tap::{Attack, between};
use crate::raw::{End, Library, Options, Peer, Side, Suite, Watcher, in_both_modes, message};

fn only(suite: Suite) -> impl Fn(&Arc<Transport>) {
    move |transport| {
        transport.set_algorithms(AlgorithmKind::Cipher, suite.cipher()).unwrap();
        transport.set_algorithms(AlgorithmKind::Mac, suite.mac()).unwrap();
        // The reply's signature is checked by both; a small exchange is enough.
        transport.set_algorithms(AlgorithmKind::Kex, "curve25519-sha256").unwrap();
    }
}

/// The length on the wire of a packet with this payload.
fn wire_length(suite: Suite, payload: usize) -> usize {
    let block = if suite == Suite::ChaCha { 8 } else { 16 };
    let counted = 1 + payload;
    let padding = block - counted % block;
    4 + counted + if padding < 4 { padding + block } else { padding } + suite.tag_length()
}

/// EXT_INFO of the library's client.
fn client_ext_info() -> usize {
    message(7).u32(1).string("ext-info-in-auth@openssh.com").string("0").0.len()
}

const SUITES: [Suite; 3] = [Suite::ChaCha, Suite::CtrEtm, Suite::Gcm];

#[test]
fn the_one_in_the_middle_who_only_passes_on_is_not_noticed() {
    in_both_modes(|threads| {
        for suite in SUITES {
            let (client, server, passing) = between((Attack::NONE, 0), (Attack::NONE, 0));
            let server = Library::server_over(threads, Watcher::usual(), server, only(suite));
            let client = Library::client_over(threads, Watcher::usual(), client, secret(), only(suite));
            client.login().unwrap();
            drop((client, server));
            passing.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
}

#[test]
fn terrapin_between_two_of_the_library() {
    in_both_modes(|threads| {
        for suite in SUITES {
            for upwards in [true, false] {
                let attack = (Attack::TERRAPIN, wire_length(suite, client_ext_info()));
                let none = (Attack::NONE, 0);
                let (up, down) = if upwards { (attack, none) } else { (none, attack) };
                let (client, server, passing) = between(up, down);
                let server = Library::server_over(threads, Watcher::usual(), server, only(suite));
                let client = Library::client_over(threads, Watcher::usual(), client, secret(), only(suite));
                let attacked = if upwards { &server } else { &client };
                assert!(matches!(attacked.watcher.ended(), Error::Protocol(_)), "{:?}", attacked.watcher.ended());
                assert!(client.login().is_err());
                assert_eq!(server.watcher.users(), []);
                drop((client, server));
                passing.into_iter().for_each(|thread| thread.join().unwrap());
            }
        }
    });
}

/// The counts agree after it: only the strict exchange tells. The raw peer's first sealed packet is EXT_INFO.
#[test]
fn terrapin_between_the_raw_peer_and_the_library() {
    in_both_modes(|threads| {
        for suite in SUITES {
            for side in [Side::Client, Side::Server] {
                let ext_info = message(7).u32(1).string("x@y").string("0");
                let attack = (Attack::TERRAPIN, wire_length(suite, ext_info.0.len()));
                let none = (Attack::NONE, 0);
                let (up, down) = if side == Side::Client { (attack, none) } else { (none, attack) };
                let (near, far, passing) = between(up, down);
                let (library, mut peer) = match side {
                    Side::Client => {
                        let library = Library::server_over(threads, Watcher::usual(), far, only(suite));
                        (library, Peer::new(near, side, Options::suite(suite)))
                    }
                    Side::Server => {
                        let library = Library::client_over(threads, Watcher::usual(), near, secret(), only(suite));
                        (library, Peer::new(far, side, Options::suite(suite)))
                    }
                };
                let outcome = peer.handshake();
                peer.send(&ext_info);
                let end = outcome.err().unwrap_or_else(|| peer.is_left(&[5, 7]));
                assert!(matches!(end, End::Disconnect { code: 2, .. } | End::Closed), "{end:?}");
                assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
                drop((library, peer));
                passing.into_iter().for_each(|thread| thread.join().unwrap());
            }
        }
    });
}

/// Without the IGNORE the drop shows in every tag.
#[test]
fn a_dropped_first_packet_is_noticed_without_strictness_too() {
    in_both_modes(|threads| {
        for suite in SUITES {
            let attack = (Attack { inserts: 0, drops: 1 }, wire_length(suite, client_ext_info()));
            let (client, server, passing) = between(attack, (Attack::NONE, 0));
            let server = Library::server_over(threads, Watcher::usual(), server, only(suite));
            let client = Library::client_over(threads, Watcher::usual(), client, secret(), only(suite));
            // A length read with the wrong keystream may be waited for; nothing is believed.
            let error = server.watcher.ended_within(std::time::Duration::from_millis(500));
            assert!(!matches!(error, None | Some(Error::Closed(_))) || suite == Suite::ChaCha, "{error:?}");
            assert_eq!(server.watcher.users(), []);
            drop((client, server));
            passing.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
}
