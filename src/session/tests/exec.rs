use super::simulator::Pieces;
use super::*;

/// An exec request as it goes over the wire.
pub fn command(text: &str) -> Vec<u8> {
    crate::wire::Writer::new().string(text).finish()
}

fn reply(pair: &Pair, request: RequestId) -> Option<&Result<Vec<u8>>> {
    pair.client.events.iter().find_map(|event| match event {
        SessionEvent::RequestDone { id, reply, .. } if *id == request => Some(reply),
        _ => None,
    })
}

#[test]
fn a_command_with_both_outputs_and_its_status() {
    for (seed, pieces) in [(0, Pieces::Whole), (1, Pieces::Random), (2, Pieces::Random), (3, Pieces::SingleBytes)] {
        let mut pair = Pair::connected(Options { seed, pieces, ..Options::default() });
        let (ours, theirs) = pair.open_session();
        let now = pair.now;
        let request = pair.client.session.channel_request(ours, "exec", &command("date"), true, now).unwrap();
        pair.run_until(|pair| reply(pair, request).is_some());
        assert!(matches!(reply(&pair, request), Some(Ok(_))));
        let server = &mut pair.server.session;
        assert_eq!(server.write(theirs, Stream::Data, b"Monday\n", now).unwrap(), 7);
        assert_eq!(server.write(theirs, Stream::STDERR, b"late\n", now).unwrap(), 5);
        server.finish(theirs, 3, now).unwrap();
        pair.run_until(|pair| pair.client.has(|event| matches!(event, SessionEvent::ChannelClosed { .. })));
        assert_eq!(pair.client.session.exit(ours), Some(&Exit::Status(3)));
        assert!(pair.client.has(|event| matches!(event, SessionEvent::ChannelExit { .. })));
        let now = pair.now;
        assert_eq!(pair.client.read_all(ours, Stream::Data, now), (b"Monday\n".to_vec(), Error::Eof));
        assert_eq!(pair.client.read_all(ours, Stream::STDERR, now), (b"late\n".to_vec(), Error::Eof));
        pair.client.session.forget_channel(ours, now);
        pair.server.session.forget_channel(theirs, now);
        pair.settle();
        assert!(pair.client.ended().is_none() && pair.server.ended().is_none());
        assert!(pair.client.session.channel_info(ours).is_none());
    }
}

#[test]
fn much_data_goes_both_ways() {
    const TOTAL: u64 = 6 << 20;
    let mut pair = Pair::connected(Options { seed: 9, pieces: Pieces::Random, ..Options::default() });
    let (ours, theirs) = pair.open_session();
    let (mut written, mut read) = ([0_u64; 2], [0_u64; 2]);
    let mut random = Random(77);
    while read != [TOTAL; 2] {
        for (index, (role, id)) in [(Role::Client, ours), (Role::Server, theirs)].into_iter().enumerate() {
            let now = pair.now;
            let side = pair.side(role);
            let wanted = random.below(100_000).min((TOTAL - written[index]) as usize);
            let data = pattern_bytes(index as u64, written[index], wanted);
            written[index] += side.session.write(id, Stream::Data, &data, now).unwrap() as u64;
            let (data, stopped) = side.read_all(id, Stream::Data, now);
            assert_eq!(stopped, Error::Again);
            let from = 1 - index;
            assert_eq!(data, pattern_bytes(from as u64, read[from], data.len()));
            read[from] += data.len() as u64;
        }
        pair.step();
    }
    assert!(pair.client.ended().is_none());
    let counters = pair.client.session.counters();
    assert!(counters.bytes_in > TOTAL && counters.bytes_out > TOTAL);
}

#[test]
fn a_full_channel_says_when_there_is_room_again() {
    let mut pair = Pair::connected(Options::default());
    let (ours, theirs) = pair.open_session();
    let data = vec![5; 1 << 20];
    let mut total = 0;
    loop {
        let now = pair.now;
        let written = pair.client.session.write(ours, Stream::Data, &data, now).unwrap();
        total += written;
        if written < data.len() {
            break;
        }
        pair.settle();
    }
    assert!(!pair.client.session.flushed(ours));
    pair.settle();
    assert!(total < 4 << 20, "nobody reads, and {total} bytes were taken");
    let before = pair.client.count(|event| matches!(event, SessionEvent::Writable { .. }));
    let now = pair.now;
    while pair.client.session.write(ours, Stream::Data, b"x", now).unwrap() == 1 {
        total += 1;
    }
    let mut read = 0;
    while read < total {
        let now = pair.now;
        read += pair.server.read_all(theirs, Stream::Data, now).0.len();
        pair.settle();
    }
    assert_eq!(read, total);
    assert!(pair.client.count(|event| matches!(event, SessionEvent::Writable { .. })) > before);
    assert!(pair.client.session.flushed(ours) && pair.client.session.is_flushed());
}

#[test]
fn requests_wait_for_the_application_in_order() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _theirs) = pair.open_session();
    pair.server.decide = Box::new(|_| None);
    let now = pair.now;
    let client = &mut pair.client.session;
    let first = client.channel_request(ours, "exec", &command("a"), true, now).unwrap();
    let second = client.channel_request(ours, "shell", b"", true, now).unwrap();
    let third = client.global_request("tcpip-forward", b"", true, now).unwrap();
    let silent = client.channel_request(ours, "signal", &command("TERM"), false, now).unwrap();
    assert!(first < second && second < third && third < silent);
    pair.advance(seconds(10));
    assert_eq!(pair.server.open.len(), 4);
    // The answers are given in the other order; the replies keep theirs.
    let questions: Vec<_> = pair.server.open.drain(..).rev().collect();
    for (id, question) in questions {
        let answer = match question {
            Question::ChannelRequest { request: ChannelRequest::Exec(_), want_reply, .. } => {
                assert!(want_reply);
                Answer::Reject
            }
            Question::GlobalRequest { .. } => Answer::Bytes(vec![0, 0, 8, 15]),
            Question::ChannelRequest { request: ChannelRequest::Signal(name), want_reply, .. } => {
                assert_eq!((&*name, want_reply), ("TERM", false));
                Answer::Accept
            }
            _ => Answer::Accept,
        };
        pair.server.session.answer(id, answer, now).unwrap();
    }
    pair.settle();
    let done: Vec<RequestId> = pair
        .client
        .events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::RequestDone { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(done.iter().filter(|id| **id != third).collect::<Vec<_>>(), [&first, &second]);
    assert!(matches!(reply(&pair, first), Some(Err(Error::RequestDenied(_)))));
    assert!(matches!(reply(&pair, second), Some(Ok(_))));
    assert_eq!(reply(&pair, third), Some(&Ok(vec![0, 0, 8, 15])));
    assert_eq!(reply(&pair, silent), None);
}

#[test]
fn opens_are_refused_with_the_applications_reason() {
    let mut pair = Pair::connected(Options::default());
    pair.server.decide = Box::new(|_| Some(Answer::Refuse { code: 2, text: "no such host\u{7}".to_owned() }));
    let now = pair.now;
    let channel = pair.client.session.open_channel("tun@openssh.com", b"", None, None, now).unwrap();
    pair.settle();
    let failed = pair.client.events.iter().find_map(|event| match event {
        SessionEvent::OpenFailed { channel: failed, error } if *failed == channel => Some(error),
        _ => None,
    });
    let Some(Error::ChannelRefused(failure)) = failed else { panic!("{failed:?}") };
    assert_eq!((failure.code, &*failure.description), (2, "no such host?"));
}

#[test]
fn what_fits_no_message_is_refused_and_harms_nothing() {
    let mut pair = Pair::connected(Options::default());
    let (ours, theirs) = pair.open_session();
    let now = pair.now;
    let long = vec![b'x'; 300 << 10];
    let text = String::from_utf8(long.clone()).unwrap();
    let message = long.clone().into_boxed_slice();
    let signal = Exit::Signal { name: "TERM".into(), core_dumped: false, message };
    let client = &mut pair.client.session;
    assert!(matches!(client.channel_request(ours, "exec", &long, true, now), Err(Error::Limit(_))));
    assert!(matches!(client.global_request("x@y", &long, true, now), Err(Error::Limit(_))));
    assert!(matches!(client.open_channel("x@y", &long, None, None, now), Err(Error::Limit(_))));
    assert!(matches!(client.send_ignore(&long, now), Err(Error::Limit(_))));
    assert!(matches!(pair.server.session.finish_with(theirs, signal, now), Err(Error::Limit(_))));

    pair.server.decide = Box::new(|_| None);
    pair.client.session.open_channel("tun@openssh.com", b"", None, None, now).unwrap();
    pair.settle();
    let question = pair.server.open.first().map(|(id, _)| *id).unwrap();
    let refused = pair.server.session.answer(question, Answer::Refuse { code: 1, text }, now);
    assert!(matches!(refused, Err(Error::Limit(_))), "the question stays open");
    pair.server.session.answer(question, Answer::Reject, now).unwrap();
    pair.settle();
    assert!(pair.client.ended().is_none() && pair.server.ended().is_none());
}

#[test]
fn requests_of_a_channel_that_closes_end() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    pair.server.decide = Box::new(|_| None);
    let now = pair.now;
    let request = pair.client.session.channel_request(ours, "exec", &command("a"), true, now).unwrap();
    pair.settle();
    assert_eq!(pair.server.open.len(), 1);
    pair.client.session.close_channel(ours, now).unwrap();
    pair.settle();
    assert!(matches!(reply(&pair, request), Some(Err(_))));
    assert!(pair.server.open.is_empty(), "nobody waits for that answer any more");
    assert_eq!(pair.server.withdrawn.len(), 1);
}

#[test]
fn the_peers_requests_are_held_back_when_too_many_wait() {
    let mut options = Options::default();
    options.server.limits.requests = 16;
    options.server.limits.decision_ms = 0;
    let mut pair = Pair::connected(options);
    let (ours, _) = pair.open_session();
    pair.server.decide = Box::new(|_| None);
    let now = pair.now;
    for _ in 0..64 {
        pair.client.session.channel_request(ours, "signal", &command("HUP"), false, now).unwrap();
    }
    pair.settle();
    assert_eq!(pair.server.open.len(), 16);
    assert!(!pair.server.session.wants_input());
    for _ in 0..64 {
        let (id, _) = pair.server.take_question();
        pair.server.session.answer(id, Answer::Reject, now).unwrap();
        pair.settle();
    }
    assert!(pair.server.session.wants_input());
    assert!(pair.server.ended().is_none());
}
