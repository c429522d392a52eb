use super::rekeying::Traffic;
use super::simulator::Pieces;
use super::*;
use crate::error::SystemFailure;
use crate::wire::{Legality, Phase, Writer, table};

fn is_peers_goodbye(side: &Side, wanted: u32) -> bool {
    matches!(side.ended(), Some(Error::Disconnected(told)) if told.by_peer && told.code == wanted)
}

fn is_own_goodbye(side: &Side, wanted: u32) -> bool {
    matches!(side.ended(), Some(Error::Disconnected(told)) if !told.by_peer && told.code == wanted)
}

fn ends(side: &Side) -> usize {
    side.count(|event| matches!(event, SessionEvent::Ended(_)))
}

#[test]
fn a_lost_connection_never_looks_like_the_end_of_the_data() {
    let failure = Error::Io(Box::new(SystemFailure { text: "reading".into(), errno: 104, address: None }));
    for error in [None, Some(failure)] {
        let mut pair = Pair::connected(Options::default());
        let (ours, theirs) = pair.open_session();
        let now = pair.now;
        pair.server.session.write(theirs, Stream::Data, b"part of it", now).unwrap();
        pair.settle();
        pair.client.session.end_of_stream(error.clone(), now);
        pair.settle();
        let why = pair.client.ended().unwrap().clone();
        match error {
            Some(error) => assert_eq!(why, error),
            None => assert!(matches!(why, Error::Closed(_))),
        }
        assert_eq!(pair.client.session.peek(ours, Stream::Data, &mut [0; 4]), Ok(4));
        let (data, stopped) = pair.client.read_all(ours, Stream::Data, now);
        assert_eq!((data.as_slice(), &stopped), (b"part of it".as_slice(), &why));
        assert_eq!(pair.client.read_all(ours, Stream::STDERR, now).1, why);
        assert_eq!(pair.client.session.peek(ours, Stream::Data, &mut [0; 4]), Err(why.clone()));
        assert_eq!(pair.client.session.write(ours, Stream::Data, b"x", now), Err(why.clone()));
        assert_eq!(pair.client.session.open_channel("session", b"", None, None, now), Err(why.clone()));
        assert_eq!(pair.client.session.rekey(now), Err(why.clone()));
        assert_eq!(pair.client.session.state(), SessionState::Ended);
        assert_eq!(ends(&pair.client), 1);
        assert_eq!(pair.client.session.next_timeout(), None);
        let before = pair.client.session.output().len();
        pair.client.session.forget_channel(ours, now);
        assert_eq!(pair.client.session.output().len(), before);
    }
}

#[test]
fn an_eof_that_came_in_time_is_an_eof() {
    let mut pair = Pair::connected(Options::default());
    let (ours, theirs) = pair.open_session();
    let now = pair.now;
    pair.server.session.write(theirs, Stream::Data, b"all of it", now).unwrap();
    pair.server.session.send_eof(theirs, now).unwrap();
    pair.settle();
    pair.client.session.end_of_stream(None, now);
    assert_eq!(pair.client.read_all(ours, Stream::Data, now), (b"all of it".to_vec(), Error::Eof));
}

/// Nobody can answer a peer that is gone: what it sent behind its questions is there all the same.
#[test]
fn what_came_behind_open_questions_is_not_lost_with_the_stream() {
    for (requests, size) in [(16, 100_000), (40, 10)] {
        let mut options = Options::default();
        options.server.limits.requests = 32;
        options.server.limits.decision_ms = 0;
        let mut pair = Pair::connected(options);
        let (ours, theirs) = pair.open_session();
        pair.server.decide = Box::new(|_| None);
        let now = pair.now;
        let data = vec![1; size];
        for _ in 0..requests {
            pair.client.session.channel_request(ours, "x@y", &data, false, now).unwrap();
        }
        pair.client.session.write(ours, Stream::Data, b"behind it", now).unwrap();
        pair.client.session.close_channel(ours, now).unwrap();
        let mut output = Vec::new();
        while !pair.client.session.output().is_empty() {
            let part = pair.client.session.output().to_vec();
            pair.client.session.consume_output(part.len(), now);
            output.extend(part);
        }
        pair.server.session.receive(&output, now);
        assert!(!pair.server.session.wants_input(), "questions hold the rest back");
        assert_eq!(pair.server.session.readable(theirs, Stream::Data), 0);
        pair.server.session.end_of_stream(None, now);
        pair.settle();
        assert!(matches!(pair.server.ended(), Some(Error::Closed(_))), "{:?}", pair.server.ended());
        assert_eq!(pair.server.read_all(theirs, Stream::Data, now), (b"behind it".to_vec(), Error::Eof));
        assert_eq!((pair.server.open.len(), ends(&pair.server)), (0, 1));
    }
}

#[test]
fn a_stream_cut_at_any_byte_gives_a_beginning_of_the_data_and_an_error() {
    let data = pattern_bytes(1, 0, 3_000);
    for cut in (1..3_300).step_by(7) {
        let mut pair = Pair::connected(Options::default());
        let (ours, theirs) = pair.open_session();
        let now = pair.now;
        for part in data.chunks(500) {
            pair.server.session.write(theirs, Stream::Data, part, now).unwrap();
        }
        pair.server.session.finish(theirs, 0, now).unwrap();
        pair.client.cut_after = Some(cut);
        pair.settle();
        let (read, stopped) = pair.client.read_all(ours, Stream::Data, now);
        assert!(data.starts_with(&read), "cut at {cut}");
        match stopped {
            Error::Eof => assert_eq!(read.len(), data.len(), "cut at {cut}"),
            Error::Closed(_) => {}
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[test]
fn the_peers_goodbye_comes_after_its_data() {
    let mut pair = Pair::connected(Options::default());
    let (ours, theirs) = pair.open_session();
    let now = pair.now;
    pair.server.session.write(theirs, Stream::Data, b"data", now).unwrap();
    pair.server.session.disconnect(10, "so\u{1b}long", now);
    pair.settle();
    assert!(is_own_goodbye(&pair.server, 10));
    assert!(is_peers_goodbye(&pair.client, 10), "{:?}", pair.client.ended());
    let Some(Error::Disconnected(told)) = pair.client.ended().cloned() else { panic!("no goodbye") };
    assert_eq!(&*told.description, "so?long");
    let (data, stopped) = pair.client.read_all(ours, Stream::Data, now);
    assert_eq!((data.as_slice(), stopped), (b"data".as_slice(), Error::Disconnected(told)));
    // What comes after it does not matter.
    pair.client.session.end_of_stream(None, now);
    pair.client.session.receive(b"garbage", now);
    pair.settle();
    assert_eq!((ends(&pair.client), ends(&pair.server)), (1, 1));
}

#[test]
fn close_sends_what_is_queued_first() {
    for rekey in [false, true] {
        let mut pair = Pair::connected(Options { pieces: Pieces::Random, ..Options::default() });
        let (ours, theirs) = pair.open_session();
        let mut traffic = Traffic::new(ours, theirs);
        loop {
            let (now, before) = (pair.now, traffic.written[0]);
            let data = pattern_bytes(0, before, 100_000);
            traffic.written[0] += pair.client.session.write(ours, Stream::Data, &data, now).unwrap() as u64;
            pair.settle();
            if traffic.written[0] == before {
                break;
            }
        }
        let now = pair.now;
        if rekey {
            pair.client.session.rekey(now).unwrap();
        }
        pair.client.session.close(now);
        assert_eq!(pair.client.session.state(), SessionState::Closing);
        assert!(matches!(pair.client.session.write(ours, Stream::Data, b"x", now), Err(Error::Closed(_))));
        assert!(matches!(pair.client.session.open_channel("session", b"", None, None, now), Err(Error::Closed(_))));
        pair.settle();
        assert!(pair.client.ended().is_none(), "nobody has read it yet");
        let mut read = 0;
        while read < traffic.written[0] {
            let now = pair.now;
            let (data, stopped) = pair.server.read_all(theirs, Stream::Data, now);
            assert!(!data.is_empty(), "{read} of {} bytes, then {stopped:?}", traffic.written[0]);
            assert_eq!(data, pattern_bytes(0, read, data.len()));
            read += data.len() as u64;
            pair.settle();
        }
        assert_eq!(pair.server.read_all(theirs, Stream::Data, now).1, Error::Eof);
        assert!(is_own_goodbye(&pair.client, 11));
        assert!(is_peers_goodbye(&pair.server, 11));
    }
}

#[test]
fn close_waits_ten_seconds_at_most() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    for _ in 0..100 {
        let now = pair.now;
        pair.client.session.write(ours, Stream::Data, &[1; 50_000], now).unwrap();
        pair.settle();
    }
    let now = pair.now;
    pair.client.session.close(now);
    pair.client.session.close(now);
    pair.advance(std::time::Duration::from_millis(9_999));
    assert!(pair.client.ended().is_none());
    pair.advance(std::time::Duration::from_millis(1));
    assert!(is_own_goodbye(&pair.client, 11) && is_peers_goodbye(&pair.server, 11));
}

#[test]
fn close_is_at_once_where_nothing_is_queued() {
    let mut fresh = Pair::new(Options::default());
    let now = fresh.now;
    fresh.client.session.close(now);
    fresh.settle();
    assert!(is_own_goodbye(&fresh.client, 11) && is_peers_goodbye(&fresh.server, 11));

    let mut pair = Pair::connected(Options::default());
    pair.open_session();
    let now = pair.now;
    pair.server.session.close(now);
    assert!(is_own_goodbye(&pair.server, 11));
    pair.settle();
    assert!(is_peers_goodbye(&pair.client, 11));
    assert!(
        pair.client.has(|event| matches!(event, SessionEvent::PeerClosed { .. } | SessionEvent::ChannelClosed { .. }))
    );
}

#[test]
fn while_a_session_closes_nobody_is_asked() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    for _ in 0..100 {
        let now = pair.now;
        pair.client.session.write(ours, Stream::Data, &[1; 50_000], now).unwrap();
        pair.settle();
    }
    let now = pair.now;
    pair.client.session.close(now);
    let channel = pair.server.session.open_channel("tun@openssh.com", b"", None, None, now).unwrap();
    let request = pair.server.session.global_request("hello@example.org", b"", true, now).unwrap();
    pair.settle();
    assert!(pair.client.open.is_empty());
    assert!(
        pair.server
            .has(|event| matches!(event, SessionEvent::OpenFailed { channel: failed, .. } if *failed == channel))
    );
    assert!(
        pair.server.has(|event| matches!(event, SessionEvent::RequestDone { id, reply: Err(_), .. } if *id == request))
    );
}

#[test]
fn a_forged_packet_ends_it_and_nothing_after_it_counts() {
    let mut pair = Pair::connected(Options::default());
    let (ours, theirs) = pair.open_session();
    let now = pair.now;
    pair.client.session.write(ours, Stream::Data, b"right", now).unwrap();
    let mut bytes = pair.client.session.output().to_vec();
    let right = bytes.len();
    pair.client.session.write(ours, Stream::Data, b"forged", now).unwrap();
    pair.client.session.write(ours, Stream::Data, b"after", now).unwrap();
    bytes = pair.client.session.output().to_vec();
    bytes[right + 9] ^= 0x10;
    pair.server.session.receive(&bytes, now);
    assert!(matches!(pair.server.ended(), Some(Error::Integrity(_))), "{:?}", pair.server.ended());
    let (data, stopped) = pair.server.read_all(theirs, Stream::Data, now);
    assert_eq!(data, b"right");
    assert!(matches!(stopped, Error::Integrity(_)));
    pair.client.session.consume_output(bytes.len(), now);
    pair.settle();
    assert!(is_peers_goodbye(&pair.client, 5));
}

/// Where both sides stand after so much of a connection's life.
fn pair_at(phase: Phase) -> Pair {
    let mut pair = match phase {
        Phase::Connected => Pair::connected(Options::default()),
        _ => Pair::new(Options::default()),
    };
    if phase == Phase::Auth {
        pair.settle();
        pair.server.decide = Box::new(|_| Some(Answer::Reject));
        let now = pair.now;
        let password = ClientMethod::Password { password: b"x".to_vec().into(), fallback_to_interactive: false };
        pair.client.session.authenticate(b"alice", password, now).unwrap();
        pair.run_until(|pair| pair.client.has(|event| matches!(event, SessionEvent::AuthFinished(_))));
    }
    pair.settle();
    pair.server.decide = Box::new(|_| None);
    pair
}

#[test]
fn every_number_in_every_phase_is_treated_as_the_table_says() {
    for phase in [Phase::NoService, Phase::Auth, Phase::Connected] {
        for role in [Role::Client, Role::Server] {
            for number in 2..=255_u8 {
                // KEXINIT and what depends on the text are the transport's own tests.
                if number == 20 {
                    continue;
                }
                let mut pair = pair_at(phase);
                let sender = if role == Role::Client { &mut pair.server } else { &mut pair.client };
                sender.session.transport.inject(&Writer::new().u8(number).u32(0).finish());
                pair.settle();
                let ended = pair.side(role).ended().cloned();
                let what = format!("{role:?} receives {number} ({}) in {phase:?}: {ended:?}", table::name(number));
                match table::legality(number, role, phase, true) {
                    Legality::Fatal => assert!(matches!(ended, Some(Error::Protocol(_))), "{what}"),
                    Legality::Ignore | Legality::Unimplemented => assert!(ended.is_none(), "{what}"),
                    Legality::Accept => assert!(!matches!(ended, Some(Error::Internal(_))), "{what}"),
                }
                if phase != Phase::Connected {
                    assert!(pair.side(role).events.iter().all(|event| {
                        !matches!(event, SessionEvent::Opened { .. } | SessionEvent::Readable { .. })
                    }));
                    assert_ne!(pair.side(role).session.state(), SessionState::Authenticated, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_service_that_a_server_does_not_have() {
    for service in ["ssh-connection", "ssh-something"] {
        let mut pair = pair_at(Phase::NoService);
        pair.client.session.transport.inject(&Writer::new().u8(5).string(service).finish());
        pair.settle();
        assert!(is_own_goodbye(&pair.server, 7));
        assert!(is_peers_goodbye(&pair.client, 7));
    }
}

#[test]
fn nothing_is_processed_after_an_error() {
    let mut pair = pair_at(Phase::Connected);
    let transport = &mut pair.client.session.transport;
    transport.inject(&Writer::new().u8(94).u32(17).string("to no channel").finish());
    let open = Writer::new().u8(90).string("session").u32(0).u32(1000).u32(1000);
    transport.inject(&open.finish());
    pair.settle();
    assert!(matches!(pair.server.ended(), Some(Error::Protocol(_))));
    assert!(pair.server.open.is_empty() && pair.server.offered.is_empty());
    assert!(is_peers_goodbye(&pair.client, 2));
}

#[test]
fn input_waits_while_too_much_output_does() {
    let mut pair = Pair::connected(Options::default());
    pair.client.reads = false;
    let ping = Writer::new().u8(192).string([7; 30_000]).finish();
    for _ in 0..200 {
        pair.client.session.transport.inject(&ping);
        pair.step();
    }
    pair.settle();
    assert!(!pair.server.session.wants_input());
    let waits = pair.server.session.output().len();
    assert!((1 << 20..1 << 21).contains(&waits), "{waits} bytes");
    assert!(pair.server.ended().is_none());
    pair.client.reads = true;
    pair.settle();
    assert!(pair.server.session.wants_input());
    assert!(pair.server.sent > 200 * 30_000);
    assert!(pair.client.ended().is_none());
}

#[test]
fn a_server_that_knows_no_logins_is_told_apart_at_once() {
    let mut pair = pair_at(Phase::NoService);
    let now = pair.now;
    let password = ClientMethod::Password { password: b"x".to_vec().into(), fallback_to_interactive: false };
    pair.client.session.authenticate(b"alice", password, now).unwrap();
    // The third packet under the keys: after EXT_INFO nothing but this was sent.
    let bytes = pair.client.session.output().len();
    pair.client.session.consume_output(bytes, now);
    pair.server.session.transport.inject(&Writer::new().u8(3).u32(1).finish());
    pair.settle();
    assert!(matches!(pair.client.ended(), Some(Error::Protocol(_))), "{:?}", pair.client.ended());
}

#[test]
fn during_a_renewal_of_keys_nothing_else_may_come() {
    let mut pair = pair_at(Phase::Connected);
    let now = pair.now;
    pair.client.session.rekey(now).unwrap();
    // Behind its KEXINIT, which a peer that keeps the rules does not do.
    let open = Writer::new().u8(90).string("session").u32(0).u32(1000).u32(1000);
    pair.client.session.transport.inject(&open.finish());
    pair.settle();
    assert!(matches!(pair.server.ended(), Some(Error::Protocol(_))));
    assert!(pair.server.open.is_empty());
}

#[test]
fn opens_that_nobody_decides_are_bounded() {
    let mut options = Options::default();
    options.server.limits.accept_queue = 8;
    options.server.limits.decision_ms = 0;
    let mut pair = Pair::connected(options);
    pair.server.decide = Box::new(|_| None);
    let now = pair.now;
    for _ in 0..20 {
        pair.client.session.open_channel("session", b"", None, None, now).unwrap();
    }
    pair.settle();
    assert_eq!(pair.server.open.len(), 8);
    let refused = pair.client.count(|event| {
        matches!(event, SessionEvent::OpenFailed { error: Error::ChannelRefused(failure), .. } if failure.code == 4)
    });
    assert_eq!(refused, 12);
    assert!(pair.server.ended().is_none());
}

#[test]
fn a_handle_that_is_let_go_twice_harms_nothing() {
    let mut pair = Pair::connected(Options::default());
    let (ours, theirs) = pair.open_session();
    let now = pair.now;
    for _ in 0..3 {
        pair.client.session.forget_channel(ours, now);
        pair.settle();
        pair.server.session.forget_channel(theirs, now);
        pair.settle();
    }
    pair.client.session.forget_channel(12_345, now);
    assert!(pair.client.ended().is_none() && pair.server.ended().is_none());
    assert!(matches!(pair.client.session.read(ours, Stream::Data, &mut [0], now), Err(Error::State(_))));
}

#[test]
fn limits_may_change_while_a_session_runs() {
    let mut pair = Pair::connected(Options::default());
    let now = pair.now;
    pair.client.session.set_limit(Limit::Channels, 1).unwrap();
    assert!(matches!(pair.client.session.set_limit(Limit::MaxPacket, 5), Err(Error::Argument(_))));
    pair.settle();
    pair.client.session.send_ignore(b"look away", now).unwrap();
    pair.open_session();
    assert!(matches!(pair.client.session.open_channel("session", b"", None, None, now), Err(Error::Limit(_))));
    for limit in Limit::ALL {
        assert_eq!(Limit::from_number(*limit as i32), Some(*limit));
        let value = pair.client.session.limits().get(*limit);
        pair.client.session.set_limit(*limit, value).unwrap();
    }
    assert_eq!(Limit::from_number(0), None);
}

/// Sessions move between threads.
#[test]
fn a_session_can_be_sent() {
    fn sends<T: Send>() {}
    sends::<Session>();
    sends::<SessionEvent>();
    sends::<Answer>();
}

/// If each waited for the other to take its output first, neither would ever go on.
#[test]
fn much_to_say_keeps_nobody_from_listening() {
    let mut pair = Pair::connected(Options::default());
    pair.client.decide = Box::new(|_| Some(Answer::Bytes(vec![1; 1000])));
    pair.server.decide = Box::new(|_| Some(Answer::Bytes(vec![1; 1000])));
    let now = pair.now;
    let data = vec![9; 200_000];
    for side in [&mut pair.client, &mut pair.server] {
        for _ in 0..20 {
            side.session.global_request("long@example.org", &data, true, now).unwrap();
        }
        assert!(side.session.output().len() > 3 << 20);
        assert!(side.session.wants_input());
    }
    pair.settle();
    for side in [&pair.client, &pair.server] {
        assert_eq!(side.count(|event| matches!(event, SessionEvent::RequestDone { reply: Ok(_), .. })), 20);
    }
}

#[test]
fn questions_hold_few_bytes_of_the_peer() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    pair.server.decide = Box::new(|_| None);
    let now = pair.now;
    let data = vec![7; 200_000];
    for _ in 0..40 {
        pair.client.session.channel_request(ours, "x@example.org", &data, false, now).unwrap();
        pair.client.session.global_request("x@example.org", &data, true, now).unwrap();
    }
    let mut asked = 0;
    while asked < 80 {
        pair.settle();
        assert!((1..=6).contains(&pair.server.open.len()), "{} questions are open", pair.server.open.len());
        assert!(pair.server.ended().is_none(), "{:?}", pair.server.ended());
        let (id, _) = pair.server.take_question();
        let now = pair.now;
        pair.server.session.answer(id, Answer::Accept, now).unwrap();
        asked += 1;
    }
    pair.settle();
    assert_eq!(pair.client.count(|event| matches!(event, SessionEvent::RequestDone { reply: Ok(_), .. })), 40);
}
