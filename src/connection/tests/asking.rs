use super::requests::TerminalSize;
use super::*;

#[test]
fn every_request_arrives_as_it_was_sent() {
    let (mut pair, ours, theirs) = Pair::session();
    let size = TerminalSize { columns: 80, rows: 24, width_pixels: 640, height_pixels: 480 };
    let bytes = Bytes::from_static;
    let x11 = ChannelRequest::X11 {
        single_connection: true,
        protocol: "MIT-MAGIC-COOKIE-1".into(),
        cookie: "00ff".into(),
        screen: 1,
    };
    let all = [
        (requests::pty(b"xterm", size, b""), ChannelRequest::Pty { term: bytes(b"xterm"), size, modes: bytes(b"\0") }),
        (requests::x11(true, "MIT-MAGIC-COOKIE-1", "00ff", 1), x11),
        (Vec::new(), ChannelRequest::AgentForward),
        (requests::env(b"LANG", b"C"), ChannelRequest::Env { name: bytes(b"LANG"), value: bytes(b"C") }),
        (Vec::new(), ChannelRequest::Shell),
        (requests::exec(b"ls \xff"), ChannelRequest::Exec(bytes(b"ls \xff"))),
        (requests::subsystem(b"sftp"), ChannelRequest::Subsystem(bytes(b"sftp"))),
        (requests::window_change(size), ChannelRequest::WindowChange(size)),
        (requests::signal("SIGTERM"), ChannelRequest::Signal("TERM".into())),
        (requests::break_for(500), ChannelRequest::Break(500)),
        (b"abc".to_vec(), ChannelRequest::Other { name: "x@example.net".into(), data: bytes(b"abc") }),
    ];
    for (data, request) in &all {
        pair.client.connection.request(ours, request.name(), data, false, &mut pair.client.wire).unwrap();
    }
    pair.deliver();
    let received: Vec<_> = pair.server.requests();
    assert_eq!(received, all.map(|(_, request)| (None, request)));
    assert!(pair.server.wire.messages.is_empty());
    // What goes the other way.
    for (name, data) in [(requests::XON_XOFF, requests::xon_xoff(true)), (requests::EOW, Vec::new())] {
        pair.server.connection.request(theirs, name, &data, false, &mut pair.server.wire).unwrap();
    }
    pair.deliver();
    let flow_control = ConnectionEvent::Request { id: ours, token: None, request: ChannelRequest::XonXoff(true) };
    assert_eq!(pair.client.events(), [flow_control, ConnectionEvent::StoppedReading { id: ours }]);
}

#[test]
fn malformed_and_misplaced_requests_are_refused() {
    let (mut pair, ours, theirs) = Pair::session();
    for (name, data) in [
        ("pty-req", &b"\0\0\0\x09xterm"[..]),
        ("shell", b"x"),
        ("exec", b""),
        ("x11-req", &requests::x11(false, "a b", "00", 0)),
        ("x11-req", &requests::x11(false, "MIT", "00;rm", 0)),
        ("exit-status", b"\0\0\0\x01"),
        ("xon-xoff", b"\x01"),
    ] {
        pair.client.request(ours, name, data);
    }
    pair.server.request(theirs, "shell", b"");
    pair.server.request(theirs, "exit-status", b"");
    pair.deliver();
    for side in [&mut pair.client, &mut pair.server] {
        let events = side.events();
        assert!(!events.is_empty());
        assert!(
            events.iter().all(|event| matches!(event, ConnectionEvent::RequestDone { success: false, .. })),
            "{events:?}"
        );
    }
    assert_eq!(pair.server.connection.exit(theirs), None);
}

#[test]
fn answers_go_out_in_the_order_of_the_requests() {
    let (mut pair, ours, theirs) = Pair::session();
    let tokens: Vec<_> = (0..4).map(|_| pair.client.request(ours, "env", &requests::env(b"A", b"B"))).collect();
    pair.deliver();
    let asked: Vec<_> = pair.server.requests().into_iter().map(|(token, _)| token.unwrap()).collect();
    pair.server.answer(theirs, asked[2], false);
    pair.server.answer(theirs, asked[1], true);
    assert!(pair.server.wire.messages.is_empty());
    assert!(pair.server.connection.answer_request(theirs, asked[1], false, &mut pair.server.wire).is_err());
    pair.server.answer(theirs, asked[0], false);
    assert_eq!(pair.server.wire.numbers(), [100, 99, 100]);
    pair.server.answer(theirs, asked[3], true);
    pair.deliver();
    let id = ours;
    let done = |token, success| ConnectionEvent::RequestDone { id, token, success };
    let expected = [done(tokens[0], false), done(tokens[1], true), done(tokens[2], false), done(tokens[3], true)];
    assert_eq!(pair.client.events(), expected);
}

#[test]
fn data_written_after_a_request_follows_its_answer() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.request(ours, "exec", &requests::exec(b"a"));
    pair.client.request(ours, "env", &requests::env(b"a", b"b"));
    pair.deliver();
    let asked = pair.server.requests();
    pair.server.write(theirs, b"out").unwrap();
    pair.server.write_stderr(theirs, b"err").unwrap();
    pair.server.connection.finish(theirs, Exit::Status(0), &mut pair.server.wire).unwrap();
    pair.server.transmit();
    assert!(pair.server.wire.messages.is_empty());
    pair.server.answer(theirs, asked[1].0.unwrap(), true);
    assert!(pair.server.wire.messages.is_empty());
    pair.server.answer(theirs, asked[0].0.unwrap(), true);
    assert_eq!(pair.server.wire.numbers(), [99, 99, 94, 95, 96, 98, 97]);
}

#[test]
fn data_of_before_a_request_does_not_wait_for_its_answer() {
    let (mut server, id) = server_with_open(0, 100);
    server.write(id, b"before").unwrap();
    let request = message!(ChannelRequest { recipient_channel: id, name: "x@y", want_reply: true, data: Rest(b"") });
    server.receive(request).unwrap();
    server.write(id, b"after").unwrap();
    server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 100 })).unwrap();
    server.transmit();
    assert_eq!(server.wire.messages.len(), 1);
    assert_eq!(&server.wire.messages[0].1[8..], b"before");
    let token = server.requests()[0].0.unwrap();
    server.answer(id, token, false);
    assert_eq!(server.wire.numbers(), [94, 100, 94]);
}

#[test]
fn requests_that_the_close_finds_unanswered_have_failed() {
    let (mut pair, ours, theirs) = Pair::session();
    let token = pair.client.request(ours, "shell", b"");
    pair.deliver();
    let asked = pair.server.requests()[0].0.unwrap();
    pair.client.close(ours);
    pair.deliver();
    assert!(pair.client.events().contains(&ConnectionEvent::RequestDone { id: ours, token, success: false }));
    // The late answer has nowhere to go.
    pair.server.answer(theirs, asked, true);
    pair.server.forget(theirs);
    pair.server.answer(theirs, asked, true);
    assert!(pair.server.wire.messages.is_empty());
    assert!(pair.client.connection.request(ours, "shell", b"", true, &mut pair.client.wire).is_err());
}

#[test]
fn forgetting_refuses_what_was_asked() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.request(ours, "shell", b"");
    pair.deliver();
    pair.server.forget(theirs);
    assert_eq!(pair.server.wire.numbers(), [100, 96, 97]);
    pair.deliver();
    assert!(pair.server.requests().is_empty());
    assert_eq!(pair.server.connection.shared.question_bytes, 0);
}

#[test]
fn what_was_asked_is_answered_after_forgetting_and_the_end_waits_for_it() {
    for accept in [true, false] {
        let (mut pair, ours, theirs) = Pair::session();
        let token = pair.client.request(ours, "exec", &requests::exec(b"a"));
        pair.deliver();
        let asked = pair.server.requests()[0].0.unwrap();
        pair.server.write(theirs, b"output").unwrap();
        pair.server.connection.finish(theirs, Exit::Status(0), &mut pair.server.wire).unwrap();
        pair.server.forget(theirs);
        assert!(pair.server.wire.messages.is_empty());
        pair.server.answer(theirs, asked, accept);
        assert_eq!(pair.server.wire.numbers(), [if accept { 99 } else { 100 }, 94, 96, 98, 97]);
        pair.deliver();
        assert!(pair.client.events().contains(&ConnectionEvent::RequestDone { id: ours, token, success: accept }));
        pair.deliver();
        assert_eq!(pair.server.connection.live_channels(), 0);
    }
}

#[test]
fn global_requests_are_answered_in_their_order() {
    let mut pair = Pair::new();
    let mut tokens = Vec::new();
    for name in ["tcpip-forward", "keepalive@openssh.com", "tcpip-forward"] {
        tokens.extend(pair.client.connection.global_request(name, b"data", true, &mut pair.client.wire).unwrap());
    }
    let unanswered =
        pair.client.connection.global_request("hostkeys-00@openssh.com", b"", false, &mut pair.client.wire);
    assert_eq!(unanswered, Ok(None));
    pair.deliver();
    let asked: Vec<_> = pair
        .server
        .events()
        .into_iter()
        .map(|event| match event {
            ConnectionEvent::GlobalRequest { token, data, .. } => (token, data),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked.len(), 4);
    assert_eq!((asked[0].1.as_ref(), asked[3].0), (&b"data"[..], None));
    let wire = &mut pair.server.wire;
    pair.server.connection.answer_global(asked[1].0.unwrap(), Err(()), wire).unwrap();
    pair.server.connection.answer_global(asked[2].0.unwrap(), Ok(b"2".to_vec()), wire).unwrap();
    assert!(wire.messages.is_empty());
    pair.server.connection.answer_global(asked[0].0.unwrap(), Ok(b"0".to_vec()), wire).unwrap();
    pair.deliver();
    let done = |index: usize, reply| ConnectionEvent::GlobalDone { token: tokens[index], reply };
    let (zero, two) = (Ok(Bytes::from_static(b"0")), Ok(Bytes::from_static(b"2")));
    assert_eq!(pair.client.events(), [done(0, zero), done(1, Err(())), done(2, two)]);
    assert_eq!(pair.server.connection.shared.question_bytes, 0);
}

#[test]
fn our_requests_are_bounded() {
    let (mut pair, ours, _) = Pair::session();
    for _ in 0..1024 {
        pair.client.request(ours, "shell", b"");
        pair.client.connection.global_request("x@y", b"", true, &mut pair.client.wire).unwrap();
    }
    let request = pair.client.connection.request(ours, "shell", b"", true, &mut pair.client.wire);
    assert!(matches!(request, Err(Error::Limit(_))));
    let global = pair.client.connection.global_request("x@y", b"", true, &mut pair.client.wire);
    assert!(matches!(global, Err(Error::Limit(_))));
}
