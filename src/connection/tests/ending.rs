use super::*;

#[test]
fn eof_ends_one_direction_only() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.write(ours, b"last").unwrap();
    pair.client.send_eof(ours);
    pair.client.send_eof(ours);
    assert!(matches!(pair.client.write(ours, b"x"), Err(Error::State(_))));
    pair.deliver();
    assert!(pair.server.events().contains(&ConnectionEvent::PeerEof { id: theirs }));
    assert_eq!(pair.server.drain(theirs, Stream::Data), (b"last".to_vec(), Error::Eof));
    assert_eq!(pair.server.read_stream(theirs, Stream::STDERR, 9), Err(Error::Eof));
    pair.server.write(theirs, b"still").unwrap();
    pair.deliver();
    assert_eq!(pair.client.drain(ours, Stream::Data), (b"still".to_vec(), Error::Again));
}

#[test]
fn a_window_adjust_after_the_end_is_ignored() {
    let (mut pair, ours, theirs) = Pair::session();
    let (other, other_theirs) = pair.open(None, None);
    let late = || message!(ChannelWindowAdjust { recipient_channel: theirs, bytes_to_add: 1 });
    pair.client.close(ours);
    pair.deliver();
    pair.server.receive(late()).unwrap();
    pair.server.forget(theirs);
    pair.server.receive(late()).unwrap();
    pair.client.write(other, b"still here").unwrap();
    pair.deliver();
    assert_eq!(pair.server.drain(other_theirs, Stream::Data), (b"still here".to_vec(), Error::Again));
    // Where there never was a channel it is an error, as it is for anything but the window.
    is_fatal(pair.server.receive(message!(ChannelWindowAdjust { recipient_channel: 7, bytes_to_add: 1 })));
    is_fatal(pair.server.receive(message!(ChannelEof { recipient_channel: theirs })));
}

#[test]
fn eof_waits_for_what_is_queued() {
    let (mut server, id) = server_with_open(2, 100);
    server.write(id, b"abcd").unwrap();
    server.send_eof(id);
    assert_eq!(server.wire.numbers(), [94]);
    assert!(!server.connection.flushed(id));
    server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 2 })).unwrap();
    server.transmit();
    assert_eq!(server.wire.numbers(), [94, 94, 96]);
    assert!(server.connection.flushed(id));
}

#[test]
fn close_flushes_then_eof_then_close() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.wire.limit = 0;
    pair.client.write(ours, b"queued").unwrap();
    pair.client.close(ours);
    pair.client.close(ours);
    assert!(pair.client.wire.messages.is_empty());
    pair.client.wire.limit = 100;
    pair.client.transmit();
    assert_eq!(pair.client.wire.numbers(), [94, 96, 97]);
    pair.deliver();
    let events = pair.server.events();
    assert!(events.contains(&ConnectionEvent::PeerEof { id: theirs }), "{events:?}");
    assert!(events.ends_with(&[ConnectionEvent::PeerClosed { id: theirs }, ConnectionEvent::Closed { id: theirs }]));
    assert!(pair.client.events().contains(&ConnectionEvent::Closed { id: ours }));
    // What came before the end can still be read.
    assert_eq!(pair.server.drain(theirs, Stream::Data), (b"queued".to_vec(), Error::Eof));
    assert!(matches!(pair.server.write(theirs, b"x"), Err(Error::Closed(_))));
    assert!(matches!(pair.client.read(ours, 1), Err(Error::Closed(_))));
    pair.client.forget(ours);
    pair.server.forget(theirs);
    for side in [&pair.client, &pair.server] {
        assert_eq!((side.connection.live_channels(), side.connection.bytes_held()), (0, 0));
        assert!(side.connection.channels.is_empty());
    }
}

#[test]
fn both_close_at_once() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.write(ours, b"under way").unwrap();
    pair.client.close(ours);
    pair.server.close(theirs);
    pair.deliver();
    assert!(pair.client.events().contains(&ConnectionEvent::Closed { id: ours }));
    assert!(pair.server.events().contains(&ConnectionEvent::Closed { id: theirs }));
    assert_eq!(pair.client.wire.messages.len() + pair.server.wire.messages.len(), 0);
}

#[test]
fn a_peer_may_close_without_eof_and_with_our_data_queued() {
    let (mut server, id) = server_with_open(0, 100);
    server.write(id, b"moot").unwrap();
    server.receive(message!(ChannelData { recipient_channel: id, data: b"tail" })).unwrap();
    server.receive(message!(ChannelClose { recipient_channel: id })).unwrap();
    assert_eq!(server.wire.numbers(), [97]);
    assert_eq!(server.drain(id, Stream::Data), (b"tail".to_vec(), Error::Eof));
    assert!(server.connection.flushed(id));
    // Both have closed: the number means nothing on the wire any more.
    is_fatal(server.receive(message!(ChannelClose { recipient_channel: id })));
}

#[test]
fn what_comes_after_our_close_is_dropped() {
    let (mut server, id) = server_with_open(100, 100);
    server.close(id);
    server.wire.clear();
    server.receive(message!(ChannelData { recipient_channel: id, data: b"late" })).unwrap();
    server.receive(message!(ChannelExtendedData { recipient_channel: id, data_type: 1, data: b"late" })).unwrap();
    server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 1 })).unwrap();
    server.receive(message!(ChannelSuccess { recipient_channel: id })).unwrap();
    let shell = message!(ChannelRequest { recipient_channel: id, name: "shell", want_reply: true, data: Rest(b"") });
    server.receive(shell).unwrap();
    server.receive(message!(ChannelEof { recipient_channel: id })).unwrap();
    assert!(server.wire.messages.is_empty());
    is_fatal(server.receive(message!(ChannelData { recipient_channel: id, data: b"after eof" })));
}

#[test]
fn a_close_that_waits_keeps_the_peer_running() {
    let (mut server, id) = server_with_open(0, 32 << 10);
    server.write(id, b"queued").unwrap();
    server.close(id);
    // The window is given back though nobody reads: the peer may need that before it reads.
    for _ in 0..1000 {
        server.receive(message!(ChannelData { recipient_channel: id, data: &[0; 32 << 10] })).unwrap();
        server.events();
    }
    assert_eq!(server.connection.bytes_held(), u64::from(server.connection.info(id).unwrap().local_window));
    server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 100 })).unwrap();
    server.transmit();
    assert!(server.wire.numbers().ends_with(&[94, 96, 97]));
}

#[test]
fn finish_sends_data_eof_status_close() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.server.write(theirs, b"output").unwrap();
    pair.server.connection.finish(theirs, Exit::Status(3), &mut pair.server.wire).unwrap();
    assert!(pair.server.connection.finish(theirs, Exit::Status(4), &mut pair.server.wire).is_err());
    assert_eq!(pair.server.wire.numbers(), [94, 96, 98, 97]);
    pair.deliver();
    assert_eq!(pair.client.connection.exit(ours), Some(&Exit::Status(3)));
    let events = pair.client.events();
    assert_eq!(events.iter().filter(|event| matches!(event, ConnectionEvent::Exit { .. })).count(), 1);
    assert_eq!(pair.client.drain(ours, Stream::Data), (b"output".to_vec(), Error::Eof));
    assert_eq!(pair.client.connection.exit(ours), Some(&Exit::Status(3)));
}

#[test]
fn a_signal_is_told() {
    let (mut pair, ours, theirs) = Pair::session();
    let signal = |name: &str| Exit::Signal { name: name.into(), core_dumped: true, message: (*b"segfault\x1b").into() };
    pair.server.connection.finish(theirs, signal("SIGSEGV"), &mut pair.server.wire).unwrap();
    pair.deliver();
    assert_eq!(pair.client.connection.exit(ours), Some(&signal("SEGV")));
}

#[test]
fn a_forgotten_channel_still_sends_what_was_written() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.wire.limit = 0;
    pair.client.write(ours, b"farewell").unwrap();
    pair.client.forget(ours);
    pair.client.wire.limit = 1000;
    pair.server.write(theirs, &vec![0; 100_000]).unwrap();
    pair.client.transmit();
    pair.deliver();
    assert_eq!(pair.server.drain(theirs, Stream::Data), (b"farewell".to_vec(), Error::Eof));
    assert!(pair.client.events().is_empty());
    assert!(pair.client.connection.channels.is_empty());
    assert_eq!(pair.client.connection.bytes_held(), 0);
}

#[test]
fn abort_closes_at_once() {
    let (mut server, id) = server_with_open(0, 100);
    server.write(id, b"queued").unwrap();
    server.connection.abort(id, &mut server.wire).unwrap();
    assert_eq!(server.wire.numbers(), [97]);
    assert!(server.connection.flushed(id));
}

#[test]
fn close_all_ends_everything() {
    let mut pair = Pair::new();
    for _ in 0..3 {
        pair.open(None, None);
    }
    pair.client.connection.open("session", b"", None, None, &mut pair.client.wire).unwrap();
    pair.deliver();
    pair.server.connection.close_all(&mut pair.server.wire).unwrap();
    pair.deliver();
    assert!(pair.server.connection.all_flushed());
    assert_eq!((pair.client.connection.live_channels(), pair.server.connection.live_channels()), (0, 0));
}
