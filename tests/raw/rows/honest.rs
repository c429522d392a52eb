//! First of all the raw peer can behave.

use crate::raw::library::in_both_roles;
use crate::raw::{Library, Options, Side, Suite, in_both_modes};

#[test]
fn an_honest_peer_gets_in_with_every_suite() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            for strict in [true, false] {
                let (library, mut peer) = Library::against(side, threads, Options { strict, ..Options::suite(suite) });
                peer.connect().unwrap();
                if side == Side::Server {
                    library.login().unwrap();
                } else {
                    assert_eq!(library.watcher.authenticated(), (b"user".to_vec(), "password"));
                }
                assert_eq!(peer.strict, strict);
                peer.ping().unwrap();
            }
        }
    });
}

#[test]
fn an_honest_peer_has_a_channel() {
    in_both_modes(|threads| {
        let (_library, mut peer) = Library::server(threads, Options::default());
        peer.connect().unwrap();
        let number = peer.open_session(1 << 20, 32_768).unwrap();
        assert!(number < 1 << 20);
    });
}
