//! Packets whose lengths, padding or tags are wrong.

use nacre::error::Error;

use crate::raw::library::in_both_roles;
use crate::raw::{End, Library, Options, Peer, Side, Suite, message};

fn keyed(side: Side, threads: u32, suite: Suite) -> (Library, Peer) {
    let (library, mut peer) = Library::against(side, threads, Options::suite(suite));
    peer.handshake().unwrap();
    (library, peer)
}

/// Bytes that the library cannot take end the connection at once, whatever would have come after them.
#[track_caller]
fn ends(library: &Library, peer: &mut Peer, bytes: &[u8], what: &str) -> Error {
    peer.write(bytes);
    let (said, end) = peer.rest();
    assert!(!matches!(end, End::Silence), "{what}: the library waits for more");
    assert!(said.iter().all(|payload| [5, 7, 20].contains(&payload[0])), "{what}: {said:?}");
    let error = library.watcher.ended();
    assert!(matches!(error, Error::Protocol(_) | Error::Integrity(_)), "{what}: {error:?}");
    error
}

fn with_length(mut packet: Vec<u8>, length: u32) -> Vec<u8> {
    packet[..4].copy_from_slice(&length.to_be_bytes());
    packet
}

const LYING: [u32; 10] = [0, 1, 4, 262_145, 262_160, 0x7fff_fff0, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, u32::MAX];

/// Only as much is sent as the length can be read from: nothing may be waited for.
#[test]
fn packet_lengths_near_nothing_and_near_2_to_the_32() {
    in_both_roles(|side, threads| {
        for length in LYING {
            let (library, mut peer) = Library::against(side, threads, Options::default());
            peer.identify();
            peer.read_identification().unwrap();
            let packet = with_length(peer.framed(&[2, 0, 0, 0, 0]), length);
            ends(&library, &mut peer, &packet[..4], &format!("{length} in the clear"));
            for suite in Suite::ALL {
                let (library, mut peer) = keyed(side, threads, suite);
                let packet = with_length(peer.framed(&message(2).string([0; 60]).0), length);
                let sealed = peer.sealed_packet(packet);
                let seen = if suite == Suite::CtrMac { 16 } else { 4 };
                ends(&library, &mut peer, &sealed[..seen], &format!("{length} with {suite:?}"));
            }
        }
    });
}

#[test]
fn the_largest_packet_is_taken() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            let (_library, mut peer) = Library::against(side, threads, Options::suite(suite));
            peer.connect().unwrap();
            // The length is 262,144, or the nearest below it that is whole blocks.
            let block = if suite == Suite::ChaCha { 8 } else { 16 };
            let length = if suite == Suite::CtrMac { 262_144 - 4 } else { 262_144 };
            assert_eq!((length + if suite == Suite::CtrMac { 4 } else { 0 }) % block, 0);
            let mut packet = u32::try_from(length).unwrap().to_be_bytes().to_vec();
            packet.push(4);
            let data = length - 1 - 4 - 5;
            packet.extend(message(2).string(vec![0; data]).0);
            packet.extend([0; 4]);
            let sealed = peer.sealed_packet(packet);
            peer.write(&sealed);
            peer.ping().unwrap();
        }
    });
}

#[test]
fn bodies_shorter_than_a_block_and_not_of_whole_blocks() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            for length in [5_u32, 6, 7, 9, 12, 15, 17, 23, 31, 33, 41] {
                let counted = length as usize + if suite == Suite::CtrMac { 4 } else { 0 };
                let block = if suite == Suite::ChaCha { 8 } else { 16 };
                if counted.is_multiple_of(block) {
                    continue;
                }
                let (library, mut peer) = keyed(side, threads, suite);
                let mut packet = length.to_be_bytes().to_vec();
                packet.push(4);
                packet.resize(4 + (length as usize).max(12), 0);
                let sealed = peer.sealed_packet(packet);
                ends(&library, &mut peer, &sealed, &format!("{length} with {suite:?}"));
            }
        }
    });
}

#[test]
fn padding_longer_than_the_packet_or_shorter_than_four() {
    in_both_roles(|side, threads| {
        for padding in [0_u8, 1, 3, 15, 16, 60, 255] {
            for suite in Suite::ALL {
                let (library, mut peer) = keyed(side, threads, suite);
                let mut packet = peer.framed(&[2]);
                packet[4] = padding;
                let real = packet.len() - 5 - 1;
                if usize::from(padding) <= real && padding >= 4 {
                    continue;
                }
                let sealed = peer.sealed_packet(packet);
                ends(&library, &mut peer, &sealed, &format!("padding {padding} with {suite:?}"));
            }
            let (library, mut peer) = Library::against(side, threads, Options::default());
            peer.identify();
            peer.read_identification().unwrap();
            let mut packet = peer.framed(&[2]);
            if (4..11).contains(&padding) {
                continue;
            }
            packet[4] = padding;
            ends(&library, &mut peer, &packet, &format!("padding {padding} in the clear"));
        }
    });
}

#[test]
fn packets_without_a_payload() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            let (library, mut peer) = keyed(side, threads, suite);
            let packet = peer.framed(&[]);
            let sealed = peer.sealed_packet(packet);
            ends(&library, &mut peer, &sealed, &format!("{suite:?}"));
        }
    });
}

/// One bit in each byte of a sealed packet: length, text and tag.
#[test]
fn flipped_bits_of_every_byte() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            let mut at = 0;
            loop {
                let (library, mut peer) = keyed(side, threads, suite);
                let mut sealed = peer.sealed(&message(2).string("text").0);
                let Some(byte) = sealed.get_mut(at) else { break };
                *byte ^= 1 << (at % 8);
                // A length that became larger is waited for; it ends then.
                sealed.resize(sealed.len() + if at < 16 { 262_200 } else { 0 }, 0);
                let what = format!("byte {at} with {suite:?}");
                peer.stream.set_write_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
                ends(&library, &mut peer, &sealed, &what);
                at += 1;
            }
        }
    });
}

#[test]
fn packets_again_or_out_of_their_order() {
    in_both_roles(|side, threads| {
        for suite in Suite::ALL {
            let (library, mut peer) = keyed(side, threads, suite);
            let once = peer.sealed(&[2, 0, 0, 0, 0]);
            ends(&library, &mut peer, &[&once[..], &once[..]].concat(), &format!("twice with {suite:?}"));
            let (library, mut peer) = keyed(side, threads, suite);
            let _dropped = peer.sealed(&[2, 0, 0, 0, 0]);
            let second = peer.sealed(&message(2).string(vec![0; 600]).0);
            // With the wrong keystream the length is anything: enough follows to come to an end.
            let mut bytes = second;
            bytes.resize(bytes.len() + 262_200, 0);
            ends(&library, &mut peer, &bytes, &format!("one missing with {suite:?}"));
        }
    });
}

/// A length of 2^32 - 1 in the place of any four bytes of any message: the library goes on or leaves, at once.
#[test]
fn lengths_of_2_to_the_32_in_every_place_of_every_message() {
    let blob = crate::raw::login::key_blob(&ed25519_dalek::SigningKey::from_bytes(&[1; 32]));
    let before_login = [
        message(7).u32(1).string("ext-info-in-auth@openssh.com").string("0"),
        message(5).string("ssh-userauth"),
        crate::raw::login::password_request("user", "wrong"),
        crate::raw::login::probe("user", "ssh-ed25519", &blob),
    ];
    let after_login = [
        message(1).u32(2).string("text").string("en"),
        message(2).string("text"),
        message(3).u32(0),
        message(4).boolean(true).string("text").string("en"),
        message(20).raw([0; 16]).string("a").string("b"),
        message(80).string("name").boolean(true).string("data"),
        crate::raw::login::open("direct-tcpip", 1, 100, 100).string("host").u32(1).string("host").u32(2),
        crate::raw::login::channel_request(0, "pty-req", true).string("t").u32(1).u32(1).u32(1).u32(1).string([0]),
        crate::raw::login::channel_request(0, "env", true).string("name").string("value"),
        message(94).u32(0).string("data"),
        message(95).u32(0).u32(1).string("data"),
        message(192).string("data"),
    ];
    crate::raw::in_both_modes(|threads| {
        for (messages, logged_in) in [(&before_login[..], false), (&after_login[..], true)] {
            for original in messages {
                for at in 1..original.0.len().saturating_sub(3) {
                    let mut changed = original.clone();
                    changed.0[at..at + 4].fill(0xff);
                    let (library, mut peer) = Library::server(threads, Options::default());
                    peer.handshake().unwrap();
                    match (logged_in, original.0[0]) {
                        (false, 50) => peer.ask_for_service().unwrap(),
                        (false, _) => {}
                        (true, _) => {
                            peer.log_in().unwrap();
                            peer.open_session(1000, 1000).unwrap();
                        }
                    }
                    peer.send(&changed);
                    peer.send(message(250));
                    let answered = peer.expect_late(3);
                    assert!(answered != Err(End::Silence), "{changed:?}");
                    drop(library);
                }
            }
        }
    });
    let largest = crate::LARGEST.load(std::sync::atomic::Ordering::Relaxed);
    assert!(largest <= 2 << 20, "{largest} bytes at once were asked for");
}

#[test]
fn a_stream_cut_anywhere_in_the_handshake() {
    in_both_roles(|side, threads| {
        for at in [0, 1, 10, 30, 60, 200, 500] {
            let (library, mut peer) = Library::against(side, threads, Options::default());
            let mut all = b"SSH-2.0-raw\r\n".to_vec();
            let kexinit = peer.kexinit();
            all.extend(peer.sealed(&kexinit));
            peer.write(&all[..at.min(all.len())]);
            peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
            let error = library.watcher.ended();
            assert!(matches!(error, Error::Closed(_) | Error::Disconnected(_) | Error::Io(_)), "{error:?}");
        }
    });
}
