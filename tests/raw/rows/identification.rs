//! Identification lines without end, out of form, or with text before them.

use std::time::Instant;

use nacre::error::Error;

use crate::raw::library::in_both_roles;
use crate::raw::{Library, Options, Side};

fn is_refused(side: Side, threads: u32, text: &[u8], often: usize) {
    let (library, mut peer) = Library::against(side, threads, Options::default());
    let begun = Instant::now();
    for _ in 0..often {
        peer.write(text);
    }
    let error = library.watcher.ended();
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    assert!(begun.elapsed().as_secs() < 10);
}

#[test]
fn identification_without_end() {
    in_both_roles(|side, threads| {
        is_refused(side, threads, &[b'x'; 10_000], 1000);
        let mut line = b"SSH-2.0-".to_vec();
        line.resize(10_000, b'x');
        is_refused(side, threads, &line, 1);
    });
}

#[test]
fn identification_out_of_form() {
    in_both_roles(|side, threads| {
        for line in ["SSH-1.5-x\r\n", "SSH-2.0-\0x\r\n", "SSH-2.0-a\rb\r\n", "SSH-3.0-x\r\n", "SSH-\r\n"] {
            is_refused(side, threads, line.as_bytes(), 1);
        }
    });
}

#[test]
fn text_before_the_identification_is_for_clients_and_bounded() {
    in_both_roles(|side, threads| match side {
        Side::Client => is_refused(side, threads, b"hello\r\nSSH-2.0-x\r\n", 1),
        Side::Server => {
            is_refused(side, threads, b"hello\r\n", 1025);
            let (library, mut peer) = Library::client(threads, Options::default());
            for _ in 0..100 {
                peer.write(b"hello\r\n");
            }
            peer.connect().unwrap();
            library.login().unwrap();
        }
    });
}
