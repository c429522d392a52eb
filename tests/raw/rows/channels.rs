//! Channels: windows, numbers and replies that lie.

use std::sync::Arc;

use nacre::engine::{Channel, Decision, Limit, Payload, Question, StderrMode, Stream, Timeout};
use nacre::error::Error;

use crate::raw::library::LONG;
use crate::raw::login::{channel_request, confirmation, data, open};
use crate::raw::{End, Fields, Library, Message, Options, Peer, Side, Watcher, in_both_modes, message};

struct Open {
    library: Library,
    peer: Peer,
    channel: Arc<Channel>,
    /// The library's number of the channel; the peer's is 0.
    number: u32,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.channel.release();
    }
}

/// A logged-in connection with one channel, which the client opened.
fn opened(side: Side, threads: u32, window: u32, packet: u32) -> Open {
    let (library, mut peer) = Library::against(side, threads, Options::default());
    peer.connect().unwrap();
    let (channel, number) = match side {
        Side::Client => {
            let number = peer.open_session(window, packet).unwrap();
            (library.transport.accept(LONG).unwrap(), number)
        }
        Side::Server => {
            library.login().unwrap();
            let (channel, _) = library.transport.open_channel("session", &[], None, None, Timeout::NONE, true);
            let number = peer.take_channel(window, packet).unwrap();
            (channel.unwrap(), number)
        }
    };
    Open { library, peer, channel, number }
}

fn in_both_roles(test: impl Fn(Side, u32)) {
    crate::raw::library::in_both_roles(test);
}

/// This message ends a connection with an open channel.
#[track_caller]
fn is_fatal(side: Side, threads: u32, make: impl Fn(u32) -> Vec<Message>) {
    let mut open = opened(side, threads, 1 << 20, 32_768);
    let asked = open.library.watcher.asked().len();
    for message in make(open.number) {
        open.peer.send(message);
    }
    assert_ne!(open.peer.is_left(&[93]), End::Silence);
    assert!(matches!(open.library.watcher.ended(), Error::Protocol(_)), "{:?}", open.library.watcher.ended());
    assert_eq!(open.library.watcher.asked().len(), asked);
}

#[test]
fn window_adjusts_beyond_32_bits() {
    in_both_roles(|side, threads| {
        is_fatal(side, threads, |number| vec![message(93).u32(number).u32(u32::MAX)]);
        // 2^32 - 1 in all is the most there can be.
        let mut open = opened(side, threads, 1, 32_768);
        open.peer.send(message(93).u32(open.number).u32(u32::MAX - 1));
        open.peer.ping().unwrap();
    });
}

#[test]
fn largest_packets_of_nothing_and_of_one_byte() {
    in_both_modes(|threads| {
        let (library, mut peer) = Library::server(threads, Options::default());
        peer.connect().unwrap();
        peer.send(open("session", 0, 1000, 0));
        let refused = peer.expect_late(92).unwrap();
        assert_eq!(Fields::of(&refused, 92).u32(), 0);
        assert_eq!(library.watcher.asked_about("open"), 0);
        let (library, mut peer) = Library::client(threads, Options::default());
        peer.connect().unwrap();
        library.login().unwrap();
        let (channel, started) = library.transport.open_channel("session", &[], None, None, Timeout::NONE, true);
        let asked = peer.expect_late(90).unwrap();
        let mut fields = Fields::of(&asked, 90);
        fields.string();
        peer.send(confirmation(fields.u32(), 0, 1000, 0));
        let outcome = library.transport.wait(started.op, LONG).map(|event| event.status);
        assert!(matches!(outcome, Err(_) | Ok(Some(_))), "{:?}", outcome.is_ok());
        channel.unwrap().release();
    });
    in_both_roles(|side, threads| {
        let mut open = opened(side, threads, 10, 1);
        let (count, result) = open.channel.write_all(Stream::Data, b"ten bytes!", LONG);
        assert_eq!((count, result), (10, Ok(())));
        for byte in b"ten bytes!" {
            let got = open.peer.expect_late(94).unwrap();
            assert_eq!(got[5..], [0, 0, 0, 1, *byte]);
        }
    });
}

#[test]
fn messages_for_channels_that_never_were() {
    let to = |number: u32| {
        vec![
            message(93).u32(number).u32(1),
            data(number, "x"),
            message(95).u32(number).u32(1).string("x"),
            message(96).u32(number),
            message(97).u32(number),
            channel_request(number, "exec", true).string("x"),
            confirmation(number, 5, 1000, 1000),
            message(92).u32(number).u32(1).string("").string(""),
        ]
    };
    in_both_roles(|side, threads| {
        for kind in 0..to(0).len() {
            for number in [77, u32::MAX] {
                is_fatal(side, threads, |_| vec![to(number)[kind].clone()]);
            }
        }
        // An open channel is not confirmed or refused again.
        for kind in [6, 7] {
            is_fatal(side, threads, |number| vec![to(number)[kind].clone()]);
        }
    });
    // Half open: only the answer may come.
    in_both_modes(|threads| {
        for kind in 0..6 {
            let (library, mut peer) = Library::client(threads, Options::default());
            peer.connect().unwrap();
            library.login().unwrap();
            let (channel, _) = library.transport.open_channel("session", &[], None, None, Timeout::NONE, true);
            let asked = peer.expect_late(90).unwrap();
            let mut fields = Fields::of(&asked, 90);
            fields.string();
            peer.send(&to(fields.u32())[kind]);
            peer.is_left(&[]);
            channel.unwrap().release();
        }
    });
}

#[test]
fn messages_after_close() {
    in_both_roles(|side, threads| {
        for late in 0..4 {
            let mut open = opened(side, threads, 1 << 20, 32_768);
            let number = open.number;
            let messages = [
                data(number, "x"),
                message(96).u32(number),
                channel_request(number, "exec", true).string("x"),
                message(97).u32(number),
            ];
            open.peer.send(message(97).u32(number));
            open.peer.send(&messages[late]);
            open.peer.send(message(192).string("x"));
            // It leaves, or drops it; the channel's end is the same.
            let answer = open.peer.expect_late(193);
            assert_ne!(answer, Err(End::Silence));
            let mut byte = [0];
            assert!(open.channel.read(Stream::Data, &mut byte, LONG).is_err());
            assert_eq!(open.library.watcher.asked_about("request"), 0);
        }
    });
}

#[test]
fn a_flood_of_replies_that_nobody_asked_for() {
    in_both_roles(|side, threads| {
        let mut open = opened(side, threads, 1 << 20, 32_768);
        let number = open.number;
        for _ in 0..1000 {
            for reply in [message(81), message(82), message(99).u32(number), message(100).u32(number)] {
                open.peer.send(reply);
            }
        }
        if open.peer.ping().is_err() {
            // Left, and orderly: nothing hangs.
            assert!(matches!(open.library.watcher.ended(), Error::Protocol(_)));
            return;
        }
        let started = open.library.transport.global_request("x@y", &[], true, Timeout::NONE, true);
        open.peer.expect_late(80).unwrap();
        open.peer.send(message(81).raw("right"));
        let event = open.library.transport.wait(started.op, LONG).unwrap();
        assert!(event.status.is_none());
        let asked = open.channel.request("exec", &Message::fields().string("x").0, true, Timeout::NONE, true);
        open.peer.expect_late(98).unwrap();
        open.peer.send(message(100).u32(number));
        let event = open.library.transport.wait(asked.op, LONG).unwrap();
        assert!(matches!(event.status, Some(Error::RequestDenied(_))));
    });
}

#[test]
fn opens_that_are_refused_leave_nothing() {
    in_both_modes(|threads| {
        let watcher = Watcher::with(|ticket| {
            matches!(ticket.question(), Question::ChannelOpen { .. }).then_some(Decision::Reject)
        });
        let (library, mut peer) = Library::server_with(threads, Options::default(), watcher, |transport| {
            transport.set_limit(Limit::Channels, 4).unwrap();
        });
        peer.connect().unwrap();
        for round in 0..500 {
            peer.send(open("session", round, 1000, 1000));
            let refused = peer.expect_late(92).unwrap();
            assert_eq!(Fields::of(&refused, 92).u32(), round);
        }
        assert_eq!(library.watcher.asked_about("open"), 500);
    });
}

#[test]
fn error_output_that_nobody_reads() {
    in_both_roles(|side, threads| {
        let mut open = opened(side, threads, 1 << 20, 32_768);
        let number = open.number;
        // Of an unknown kind: dropped, with the credit given back.
        let mut credit = 0_i64;
        for _ in 0..100 {
            open.peer.send(message(95).u32(number).u32(7).string([0; 32_000]));
            credit -= 32_000;
            if credit < -1_500_000 {
                let adjust = open.peer.expect_late(93).unwrap();
                credit += i64::from(Fields(&adjust[5..]).u32());
            }
        }
        open.channel.set_stderr(StderrMode::Discard).unwrap();
        open.peer.send(data(number, "still here"));
        let mut got = [0; 10];
        assert_eq!(open.channel.read(Stream::Data, &mut got, LONG), Ok(10));
    });
}

#[test]
fn more_than_the_window_and_more_than_the_largest_packet() {
    in_both_roles(|side, threads| {
        let mut open = opened(side, threads, 1 << 20, 32_768);
        let number = open.number;
        // Nobody reads: 2 MiB and a tenth is the most.
        for _ in 0..75 {
            open.peer.send(data(number, vec![0; 32_000]));
        }
        open.peer.is_left(&[93]);
        assert!(matches!(open.library.watcher.ended(), Error::Protocol(_)));
        is_fatal(side, threads, |number| vec![data(number, vec![0; 40_000])]);
        is_fatal(side, threads, |number| vec![message(95).u32(number).u32(1).string(vec![0; 40_000])]);
    });
}

#[test]
fn replies_to_requests_are_in_their_order_whoever_answers_late() {
    in_both_modes(|threads| {
        let watcher = Watcher::with(|ticket| match ticket.question() {
            Question::GlobalRequest { name, .. } => {
                let (ticket, late) = (Arc::clone(ticket), name.starts_with("late"));
                std::thread::spawn(move || {
                    std::thread::sleep(std::time::Duration::from_millis(if late { 30 } else { 0 }));
                    let _ = ticket.decide(if late { Decision::Accept } else { Decision::Reject });
                });
                Some(Decision::Defer)
            }
            _ => None,
        });
        let (_library, mut peer) = Library::server_with(threads, Options::default(), watcher, |_| {});
        peer.connect().unwrap();
        for round in 0..10 {
            for name in ["late@x", "early@x"] {
                peer.send(message(80).string(name).boolean(true).u32(round));
            }
        }
        for _ in 0..10 {
            for expected in [81, 82] {
                let mut got = peer.receive().unwrap();
                while got[0] == 7 {
                    got = peer.receive().unwrap();
                }
                assert_eq!(got[0], expected);
            }
        }
    });
}

/// Whoever answers may close the connection, or free its last handle, while replies to earlier requests are due.
#[test]
fn closing_inside_a_callback_while_replies_are_due() {
    in_both_modes(|threads| {
        for way in 0..3 {
            let late = Arc::new(std::sync::Mutex::new(Vec::new()));
            let tickets = Arc::clone(&late);
            let watcher = Watcher::with(move |ticket| match ticket.question() {
                Question::GlobalRequest { name, .. } if name.starts_with("late") => {
                    tickets.lock().unwrap().push(Arc::clone(ticket));
                    Some(Decision::Defer)
                }
                Question::GlobalRequest { name, .. } if name.starts_with("end") => {
                    let transport = ticket.transport().unwrap();
                    match way {
                        0 => transport.close().unwrap(),
                        1 => transport.disconnect(11, "enough").unwrap(),
                        // Answers them all, the newest first, and goes.
                        _ => {
                            let tickets = std::mem::take(&mut *tickets.lock().unwrap());
                            for ticket in tickets.iter().rev() {
                                ticket.decide(Decision::Accept).unwrap();
                            }
                            transport.close().unwrap();
                        }
                    }
                    Some(Decision::Accept)
                }
                _ => None,
            });
            let (library, mut peer) = Library::server_with(threads, Options::default(), watcher, |_| {});
            peer.connect().unwrap();
            for round in 0..5 {
                peer.send(message(80).string("late@x").boolean(true).u32(round));
                peer.send(message(80).string("early@x").boolean(true).u32(round));
            }
            peer.send(message(80).string("end@x").boolean(true));
            let mut replies = Vec::new();
            while let Ok(payload) = peer.receive() {
                if matches!(payload[0], 81 | 82) {
                    replies.push(payload[0]);
                }
            }
            // As many as were decided, and in the order of the requests.
            let expected = if way == 2 { [81, 82].repeat(5) } else { Vec::new() };
            assert!(replies.starts_with(&expected), "{way}: {replies:?}");
            assert!(matches!(library.watcher.ended(), Error::Disconnected(_)));
            // Answers that come after the end are told that they are too late.
            for ticket in late.lock().unwrap().drain(..) {
                assert!(ticket.decide(Decision::Accept).is_err());
            }
        }
    });
}

/// RFC 4253 section 11.4: a peer that does not know a message says so by the packet's number, and that is all that comes.
#[test]
fn unimplemented_answers_one_global_request_and_no_other() {
    in_both_roles(|side, threads| {
        for strict in [true, false] {
            let options = if strict { Options::default() } else { Options::lax() };
            let (library, mut peer) = Library::against(side, threads, options);
            peer.connect().unwrap();
            library.watcher_is_connected(side);
            let transport = &library.transport;
            let mut ops = Vec::new();
            let mut packets = Vec::new();
            for round in 0..8_u32 {
                // Those that want no reply are not understood either, and that is nobody's reply.
                let wants = round % 2 == 0;
                ops.push(transport.global_request("what@x", &round.to_be_bytes(), wants, Timeout::NONE, true).op);
                peer.expect_late(80).unwrap();
                packets.push(peer.inward.sequence.wrapping_sub(1));
            }
            // The first is answered, the second not understood, the third answered, the fourth not understood.
            peer.send(message(3).u32(packets[1]));
            peer.send(message(81).raw("first"));
            peer.send(message(3).u32(packets[2]));
            peer.send(message(3).u32(packets[6]));
            peer.send(message(81).raw("third"));
            for (round, expected) in [(0, Some("first")), (2, None), (4, Some("third")), (6, None)] {
                let event = transport.wait(ops[round], LONG).unwrap();
                match expected {
                    Some(data) => {
                        assert!(event.status.is_none(), "{round}: {:?}", event.status);
                        let Payload::Message(message) = event.payload else { panic!("no reply to {round}") };
                        assert_eq!(message, data.as_bytes());
                    }
                    None => assert!(matches!(event.status, Some(Error::RequestDenied(_))), "{:?}", event.status),
                }
            }
            // Nothing is left that a later reply could go to.
            let started = transport.global_request("last@x", &[], true, Timeout::NONE, true);
            peer.expect_late(80).unwrap();
            peer.send(message(81).raw("last"));
            assert!(transport.wait(started.op, LONG).unwrap().status.is_none());
        }
    });
}

#[test]
fn a_session_after_no_more_sessions() {
    in_both_modes(|threads| {
        let (library, mut peer) = Library::server(threads, Options::default());
        peer.connect().unwrap();
        peer.open_session(1000, 1000).unwrap();
        peer.send(message(80).string("no-more-sessions@openssh.com").boolean(false));
        peer.send(open("session", 1, 1000, 1000));
        peer.is_left(&[]);
        assert!(matches!(library.watcher.ended(), Error::Protocol(_)));
        assert_eq!(library.watcher.asked_about("open"), 1);
    });
}

#[test]
fn more_channels_than_the_limit() {
    in_both_modes(|threads| {
        let (library, mut peer) = Library::server_with(threads, Options::default(), Watcher::usual(), |transport| {
            transport.set_limit(Limit::Channels, 10).unwrap();
        });
        peer.connect().unwrap();
        for _ in 0..10 {
            peer.open_session(1000, 1000).unwrap();
        }
        peer.send(open("session", 11, 1000, 1000));
        let refused = peer.expect_late(92).unwrap();
        let mut fields = Fields::of(&refused, 92);
        assert_eq!((fields.u32(), fields.u32()), (11, 4));
        assert_eq!(library.watcher.asked_about("open"), 10);
    });
}

/// A client without anybody who could be asked takes nothing that a server opens or wants.
#[test]
fn everything_is_refused_where_nobody_is_asked() {
    in_both_modes(|threads| {
        let (library, mut peer) = Library::client(threads, Options::default());
        peer.connect().unwrap();
        library.login().unwrap();
        library.transport.set_asker(None).unwrap();
        let kinds = ["session", "direct-tcpip", "forwarded-tcpip", "x11", "auth-agent@openssh.com", "tun@openssh.com"];
        for kind in kinds {
            peer.send(open(kind, 3, 1000, 1000).string("host").u32(1).string("host").u32(1));
            peer.expect_late(92).unwrap();
        }
        for name in ["tcpip-forward", "streamlocal-forward@openssh.com", "hostkeys-prove-00@openssh.com", "x@y"] {
            peer.send(message(80).string(name).boolean(true).string("").u32(0));
            peer.expect_late(82).unwrap();
        }
    });
}
