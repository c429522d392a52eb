use super::*;

#[test]
fn data_goes_both_ways() {
    let (mut pair, ours, theirs) = Pair::session();
    assert_eq!(pair.client.read(ours, 10), Err(Error::Again));
    assert_eq!(pair.client.write(ours, b"ping").unwrap(), 4);
    assert_eq!(pair.server.write(theirs, b"pong").unwrap(), 4);
    pair.deliver();
    assert_eq!(pair.server.events(), [ConnectionEvent::Readable { id: theirs, stream: Stream::Data }]);
    let mut seen = [0; 2];
    assert_eq!(pair.server.connection.peek(theirs, Stream::Data, &mut seen).unwrap(), 2);
    assert_eq!(&seen, b"pi");
    assert_eq!(pair.server.connection.readable(theirs, Stream::Data), 4);
    assert_eq!(pair.server.read(theirs, 3).unwrap(), b"pin");
    assert_eq!(pair.server.read(theirs, 3).unwrap(), b"g");
    assert_eq!(pair.client.drain(ours, Stream::Data), (b"pong".to_vec(), Error::Again));
    assert_eq!(pair.client.read(ours, 0).unwrap(), b"");
}

#[test]
fn packets_of_one_byte_and_a_window_of_one() {
    for (window, max_packet) in [(1, 1), (2, 1), (3, 2), (100, 7), (1, 9)] {
        let mut pair = Pair::new();
        let (ours, theirs) = pair.open(Some(window), Some(max_packet));
        let sent = pattern(600);
        assert_eq!(pair.client.write(ours, &sent).unwrap(), 600);
        let mut received = Vec::new();
        for _ in 0..10_000 {
            pair.step();
            received.extend(pair.server.read(theirs, 5).unwrap_or_default());
        }
        assert_eq!(received, sent, "window {window}, packets of {max_packet}");
    }
}

#[test]
fn a_window_of_zero_is_a_window() {
    let (mut server, id) = server_with_open(0, 100);
    assert_eq!(server.write(id, b"abc").unwrap(), 3);
    server.transmit();
    assert!(server.wire.messages.is_empty());
    server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 2 })).unwrap();
    server.transmit();
    assert_eq!(&server.wire.pop().unwrap().1[8..], b"ab");
    server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 0 })).unwrap();
    server.transmit();
    assert!(server.wire.messages.is_empty());
}

#[test]
fn a_short_write_is_followed_by_one_writable_event() {
    let (mut server, id) = server_with_open(10, 100);
    let much = vec![1; 1 << 20];
    let taken = server.write(id, &much).unwrap();
    assert_eq!(taken, 10 + (256 << 10));
    assert_eq!(server.connection.writable(id), 0);
    assert_eq!(server.write(id, &much).unwrap(), 0);
    assert!(server.events().is_empty());
    for _ in 0..3000 {
        server.receive(message!(ChannelWindowAdjust { recipient_channel: id, bytes_to_add: 100 })).unwrap();
        server.transmit();
    }
    assert_eq!(server.events(), [ConnectionEvent::Writable { id }]);
    assert!(server.connection.flushed(id));
    let sent: usize = server.wire.messages.iter().map(|(_, payload)| payload.len() - 8).sum();
    assert_eq!(sent, taken);
}

#[test]
fn the_sink_decides_how_much_goes_out() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.wire.limit = 1000;
    let sent = pattern(100_000);
    assert_eq!(pair.client.write(ours, &sent).unwrap(), sent.len());
    assert_eq!(pair.client.wire.messages.len(), 1);
    assert!(!pair.client.connection.flushed(ours));
    pair.deliver();
    assert!(pair.client.connection.flushed(ours));
    assert_eq!(pair.server.drain(theirs, Stream::Data), (sent, Error::Again));
}

#[test]
fn channels_take_turns() {
    let mut pair = Pair::new();
    let channels: Vec<_> = (0..4).map(|_| pair.open(None, None).0).collect();
    pair.client.wire.limit = 0;
    for id in &channels {
        assert_eq!(pair.client.write(*id, &vec![*id as u8; 256 << 10]).unwrap(), 256 << 10);
    }
    pair.client.wire.limit = 256 << 10;
    pair.client.transmit();
    let mut counts = HashMap::new();
    while let Some((number, payload)) = pair.client.wire.pop() {
        assert_eq!(number, 94);
        *counts.entry(payload[8]).or_insert(0) += payload.len() - 8;
    }
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|count| *count == 64 << 10), "{counts:?}");
}

#[test]
fn a_direct_write_does_not_overtake_a_waiting_channel() {
    let mut pair = Pair::new();
    let (first, _) = pair.open(None, None);
    let (second, _) = pair.open(None, None);
    pair.client.wire.limit = 0;
    pair.client.write(first, b"first").unwrap();
    pair.client.wire.limit = 1 << 20;
    pair.client.write(second, b"second").unwrap();
    assert_eq!(&pair.client.wire.messages[0].1[8..], b"first");
}

#[test]
fn writes_of_any_size_end_and_are_cut_at_the_peers_packet() {
    let (mut server, id) = server_with_open(u32::MAX, u32::MAX);
    let taken = server.write(id, &vec![0; 1 << 20]).unwrap();
    assert_eq!(taken, 1 << 20);
    assert!(server.wire.messages.iter().all(|(_, payload)| payload.len() <= (128 << 10) + 8));
}

#[test]
fn large_pieces_are_handed_on_without_a_copy() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.write(ours, &pattern(10_000)).unwrap();
    let payload = pair.client.wire.messages[0].1.clone();
    pair.deliver();
    let bytes = pair.server.connection.read_bytes(theirs, Stream::Data, 1 << 20, &mut pair.server.wire).unwrap();
    assert_eq!(bytes.as_ptr(), payload[8..].as_ptr());
    assert_eq!(bytes, pattern(10_000));
}

#[test]
fn small_pieces_do_not_keep_their_buffers() {
    let mut queue = receive_queue::ReceiveQueue::default();
    let buffer = Bytes::from(vec![7; 64 << 10]);
    for at in 0..1000 {
        queue.push(buffer.slice(at..at + 10), 1, &Default::default());
    }
    assert!(buffer.is_unique());
    let mut out = vec![0; 20_000];
    assert_eq!(queue.read(&mut out), 10_000);
    assert!(queue.is_empty());
}
