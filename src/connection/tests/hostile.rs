use super::*;

#[test]
fn a_window_beyond_32_bits_is_fatal() {
    let (mut server, id) = server_with_open(1, 100);
    is_fatal(server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: u32::MAX })));
    let (mut server, id) = server_with_open(1, 100);
    server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: u32::MAX - 1 })).unwrap();
}

#[test]
fn a_maximum_packet_of_zero_is_refused() {
    let mut server = Side::new(Config::new(Role::Server));
    let open = message!(ChannelOpen {
        kind: "session",
        sender_channel: 5,
        initial_window: 1,
        maximum_packet: 0,
        data: Rest(b""),
    });
    server.receive(open).unwrap();
    assert_eq!(server.wire.numbers(), [92]);
    assert!(server.events().is_empty());
    let mut client = Side::new(Config::new(Role::Client));
    let id = client.connection.open("session", b"", None, None, &mut client.wire).unwrap();
    is_fatal(client.receive(message!(ChannelOpenConfirmation {
        recipient_channel: id,
        sender_channel: 0,
        initial_window: 1,
        maximum_packet: 0,
        data: Rest(b""),
    })));
}

fn channel_messages(id: ChannelId) -> Vec<Message<'static>> {
    vec![
        message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 1 }),
        message!(ChannelData { recipient_channel: id, data: b"x" }),
        message!(ChannelExtendedData { recipient_channel: id, data_type: 1, data: b"x" }),
        message!(ChannelEof { recipient_channel: id }),
        message!(ChannelClose { recipient_channel: id }),
        message!(ChannelRequest { recipient_channel: id, name: "shell", want_reply: true, data: Rest(b"") }),
        message!(ChannelSuccess { recipient_channel: id }),
        message!(ChannelFailure { recipient_channel: id }),
    ]
}

fn open_answers(id: ChannelId) -> [Message<'static>; 2] {
    [
        message!(ChannelOpenConfirmation {
            recipient_channel: id,
            sender_channel: 0,
            initial_window: 1,
            maximum_packet: 1,
            data: Rest(b""),
        }),
        message!(ChannelOpenFailure { recipient_channel: id, reason: 1, description: b"", rest: Rest(b"") }),
    ]
}

#[test]
fn messages_for_channels_that_are_not_open_are_fatal() {
    for role in [Role::Client, Role::Server] {
        for message in channel_messages(9).into_iter().chain(open_answers(9)) {
            is_fatal(Side::new(Config::new(role)).receive(message)); // Never opened.
        }
        for message in channel_messages(0) {
            let mut side = Side::new(Config::new(role));
            side.connection.open("x@y", b"", None, None, &mut side.wire).unwrap();
            is_fatal(side.receive(message)); // Our open is not confirmed.
        }
        for message in channel_messages(0).into_iter().chain(open_answers(0)) {
            let mut side = Side::new(Config::new(role));
            assert_eq!(peer_open(&mut side, 3, 1, 1), 0);
            is_fatal(side.receive(message)); // The peer's is not answered.
            assert!(side.events().is_empty());
        }
    }
    for message in channel_messages(0).into_iter().chain(open_answers(0)) {
        let (mut server, id) = server_with_open(9, 9);
        server.receive(message!(ChannelClose { recipient_channel: id })).unwrap();
        server.events();
        // Closed by both: then the window alone may still be adjusted, to no effect.
        match message {
            Message::ChannelWindowAdjust(_) => server.receive(message).unwrap(),
            message => is_fatal(server.receive(message)),
        }
        assert!(server.events().is_empty());
    }
    for message in open_answers(0) {
        let (mut server, _) = server_with_open(9, 9);
        is_fatal(server.receive(message)); // Open already.
    }
}

#[test]
fn a_tenth_beyond_the_window_is_forgiven_once() {
    let send = |side: &mut Side, id, bytes: usize| {
        let block = vec![0; bytes];
        let mut result = Ok(());
        for piece in block.chunks(32 << 10) {
            result = result.and_then(|()| side.receive(message!(ChannelData { recipient_channel: id, data: piece })));
        }
        result
    };
    let window = 2 << 20;
    let (mut server, id) = server_with_open(9, 9);
    send(&mut server, id, window + window / 10).unwrap();
    assert_eq!(server.connection.bytes_held(), (window + window / 10) as u64);
    is_fatal(send(&mut server, id, 1));
    let (mut server, id) = server_with_open(9, 9);
    is_fatal(send(&mut server, id, window + window * 11 / 100));
    // The grace is not given anew with each adjust.
    let (mut server, id) = server_with_open(9, 9);
    send(&mut server, id, window + window / 10).unwrap();
    server.drain(id, Stream::Data);
    is_fatal(send(&mut server, id, window * 102 / 100));
}

#[test]
fn data_beyond_the_maximum_packet_is_fatal() {
    let (mut server, id) = server_with_open(9, 9);
    is_fatal(server.receive(message!(ChannelData { recipient_channel: id, data: &[0; (32 << 10) + 1] })));
}

#[test]
fn data_after_eof_is_fatal() {
    for message in [
        message!(ChannelData { recipient_channel: 0, data: b"x" }),
        message!(ChannelExtendedData { recipient_channel: 0, data_type: 1, data: b"x" }),
    ] {
        let (mut server, id) = server_with_open(9, 9);
        server.receive(message!(ChannelEof { recipient_channel: id })).unwrap();
        server.receive(message!(ChannelEof { recipient_channel: id })).unwrap();
        is_fatal(server.receive(message));
    }
}

#[test]
fn extended_data_of_unknown_types_is_dropped_with_credit() {
    let (mut server, id) = server_with_open(9, 9);
    for data_type in 0..1000 {
        let data = &[0; 32 << 10];
        let message = message!(ChannelExtendedData { recipient_channel: id, data_type: data_type * 7 + 2, data: data });
        server.receive(message).unwrap();
    }
    assert!(server.events().is_empty());
    assert_eq!(server.connection.bytes_held(), u64::from(server.connection.info(id).unwrap().local_window));
}

#[test]
fn replies_that_nobody_asked_for_do_not_confuse() {
    let (mut pair, ours, theirs) = Pair::session();
    for _ in 0..20_000 {
        pair.client.receive(message!(ChannelSuccess { recipient_channel: ours })).unwrap();
        pair.client.receive(message!(ChannelFailure { recipient_channel: ours })).unwrap();
        pair.client.receive(message!(RequestSuccess { data: Rest(b"x") })).unwrap();
        pair.client.receive(message!(RequestFailure {})).unwrap();
    }
    assert!(pair.client.events().is_empty());
    let token = pair.client.request(ours, "shell", b"");
    pair.deliver();
    let asked = pair.server.requests()[0].0.unwrap();
    pair.server.answer(theirs, asked, true);
    pair.deliver();
    assert_eq!(pair.client.events(), [ConnectionEvent::RequestDone { id: ours, token, success: true }]);
}

#[test]
fn refused_opens_leave_nothing() {
    let mut server = Side::new(Config::new(Role::Server));
    for number in 0..20_000 {
        let id = peer_open(&mut server, number, 1 << 20, 1 << 15);
        server.connection.refuse_open(id, 1, "no", &mut server.wire).unwrap();
        server.wire.clear();
    }
    assert!(server.connection.channels.is_empty());
    assert!(server.connection.channels.capacity() < 64);
    let shared = &server.connection.shared;
    assert_eq!((shared.live, shared.pending_opens, shared.question_bytes, shared.budget.used()), (0, 0, 0, 0));
    assert!(shared.events.is_empty() && shared.ready.is_empty());
}

#[test]
fn opened_and_closed_channels_leave_nothing() {
    let mut pair = Pair::new();
    for round in 0..5_000 {
        let (ours, theirs) = pair.open(None, None);
        pair.client.request(ours, "exec", b"\0\0\0\0");
        pair.client.write(ours, b"data").unwrap();
        if round % 2 == 0 {
            pair.server.forget(theirs);
            pair.client.forget(ours);
            pair.deliver();
        } else {
            pair.client.close(ours);
            pair.deliver();
            pair.client.forget(ours);
            pair.server.forget(theirs);
        }
        pair.client.events();
        pair.server.events();
    }
    for side in [&pair.client, &pair.server] {
        let shared = &side.connection.shared;
        assert!(side.connection.channels.is_empty());
        assert_eq!((shared.live, shared.pending_opens, shared.question_bytes, shared.budget.used()), (0, 0, 0, 0));
        assert!(shared.events.is_empty() && shared.ready.is_empty());
    }
}

#[test]
fn what_waits_for_an_answer_is_bounded() {
    let limit = |result: Result<()>| matches!(result, Err(Error::Limit(_)));
    let flood = |take_events: bool, message: Message<'static>| {
        let (mut server, _) = server_with_open(9, 9);
        for count in 0..5000 {
            if limit(server.receive(message)) {
                return count;
            }
            if take_events {
                server.events();
            }
        }
        5000
    };
    let request = |want_reply| {
        message!(ChannelRequest {
            recipient_channel: 0,
            name: "env",
            want_reply: want_reply,
            data: Rest(b"\0\0\0\x01a\0\0\0\x01b"),
        })
    };
    let global = |want_reply| message!(GlobalRequest { name: "x@y", want_reply: want_reply, data: Rest(b"") });
    static LARGE: [u8; 100_000] = [0; 100_000];
    let large = message!(ChannelRequest { recipient_channel: 0, name: "x@y", want_reply: true, data: Rest(&LARGE) });
    assert_eq!(flood(true, request(true)), 1024);
    assert_eq!(flood(false, request(false)), 1024);
    assert_eq!(flood(true, request(false)), 5000);
    assert_eq!(flood(true, global(true)), 1024);
    assert_eq!(flood(false, global(false)), 1024);
    assert_eq!(flood(true, global(false)), 5000);
    assert!((30..50).contains(&flood(true, large)));
}

#[test]
fn a_session_after_no_more_sessions_is_fatal() {
    let mut server = Side::new(Config::new(Role::Server));
    let promise = message!(GlobalRequest { name: "no-more-sessions@openssh.com", want_reply: true, data: Rest(b"") });
    server.receive(promise).unwrap();
    assert_eq!(server.wire.numbers(), [81]);
    let open = |kind| {
        message!(ChannelOpen { kind: kind, sender_channel: 5, initial_window: 1, maximum_packet: 1, data: Rest(b"") })
    };
    server.receive(open("direct-tcpip")).unwrap();
    is_fatal(server.receive(open("session")));
}

#[test]
fn broken_messages_are_fatal_and_nothing_panics() {
    for number in (80..=82).chain(90..=100) {
        let (mut server, _) = server_with_open(9, 9);
        for length in 0..12 {
            let payload = Bytes::from(vec![0; length]);
            let _ = server.connection.receive(number, payload, &mut server.wire);
        }
        let (mut server, _) = server_with_open(9, 9);
        if number != 81 {
            let cut = if number == 82 { vec![0] } else { vec![0; 3] };
            is_fatal(server.connection.receive(number, cut.into(), &mut server.wire));
        }
    }
}

/// Counts as alive until it is dropped, as a receive buffer does that any slice of it keeps.
struct CountedBuffer {
    bytes: Vec<u8>,
    _alive: std::sync::Arc<()>,
}

impl AsRef<[u8]> for CountedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[test]
fn unread_pieces_keep_few_receive_buffers_alive() {
    let alive = std::sync::Arc::new(());
    let mut server = Side::new(Config::new(Role::Server));
    let ids = [1, 2, 3, 4].map(|sender_channel| {
        let id = peer_open(&mut server, sender_channel, 9, 9);
        server.connection.accept_open(id, &mut server.wire).unwrap();
        id
    });
    // Each piece comes in a buffer of its own, whose rest was messages of no consequence.
    let piece = pattern(2048);
    for turn in 0..1000 {
        let mut packet = Vec::new();
        message!(ChannelData { recipient_channel: ids[turn % 4], data: &piece }).encode(&mut packet);
        packet.resize(128 << 10, 0);
        let buffer = Bytes::from_owner(CountedBuffer { bytes: packet, _alive: alive.clone() });
        let payload = buffer.slice(1..1 + 8 + piece.len());
        drop(buffer);
        server.connection.receive(94, payload, &mut server.wire).unwrap();
    }
    let kept = std::sync::Arc::strong_count(&alive) - 1;
    assert!(kept <= 64, "{kept} buffers of 128 KiB for 2000 KiB of data");
    for id in ids {
        assert_eq!(server.drain(id, Stream::Data).0, piece.repeat(250));
    }
    assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    // What was let go of makes room for slices again.
    assert_eq!(server.connection.shared.slices.held(), 0);
}

#[test]
fn a_type_that_is_too_long_is_refused() {
    let kind = "x".repeat(17 << 10);
    let mut server = Side::new(Config::new(Role::Server));
    let open =
        message!(ChannelOpen { kind: &kind, sender_channel: 5, initial_window: 1, maximum_packet: 1, data: Rest(b"") });
    server.receive(open).unwrap();
    assert_eq!(server.wire.numbers(), [92]);
    assert!(server.events().is_empty());
}
