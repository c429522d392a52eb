use super::*;

fn with_stderr(mode: StderrMode) -> (Pair, ChannelId, ChannelId) {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.connection.set_stderr(ours, mode, &mut pair.client.wire).unwrap();
    pair.server.write(theirs, b"one ").unwrap();
    pair.server.write_stderr(theirs, b"two ").unwrap();
    pair.server.write(theirs, b"three ").unwrap();
    pair.deliver();
    (pair, ours, theirs)
}

#[test]
fn separate_by_default() {
    let (mut pair, ours, _) = with_stderr(StderrMode::Separate);
    let events = pair.client.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(pair.client.drain(ours, Stream::Data).0, b"one three ");
    assert_eq!(pair.client.drain(ours, Stream::STDERR).0, b"two ");
}

#[test]
fn combined_in_the_order_of_arrival_what_is_buffered_too() {
    for mode in [StderrMode::Combine, StderrMode::Separate] {
        let (mut pair, ours, theirs) = with_stderr(mode);
        pair.client.connection.set_stderr(ours, StderrMode::Combine, &mut pair.client.wire).unwrap();
        pair.server.write_stderr(theirs, b"four").unwrap();
        pair.deliver();
        assert_eq!(pair.client.drain(ours, Stream::Data).0, b"one two three four");
        assert_eq!(pair.client.drain(ours, Stream::STDERR), (Vec::new(), Error::Again));
        let held = pair.client.connection.info(ours).unwrap().local_window;
        assert_eq!(pair.client.connection.bytes_held(), held.into());
    }
}

#[test]
fn discarded_with_credit() {
    let (mut pair, ours, theirs) = with_stderr(StderrMode::Discard);
    for _ in 0..300 {
        pair.server.write_stderr(theirs, &[0; 32 << 10]).unwrap();
        pair.deliver();
    }
    assert!(pair.server.connection.flushed(theirs));
    assert_eq!(pair.client.drain(ours, Stream::Data).0, b"one three ");
    assert_eq!(pair.client.drain(ours, Stream::STDERR).0, b"");
}

/// Writes `count` KiB to the stream that nobody reads, and a byte to the other one after each.
fn fill_unread(unread: Stream, count: usize) -> (Pair, ChannelId, usize) {
    let read = if unread == Stream::Data { Stream::STDERR } else { Stream::Data };
    let (mut pair, ours, theirs) = Pair::session();
    assert_eq!(pair.client.read_stream(ours, read, 10), Err(Error::Again));
    let mut received = 0;
    for _ in 0..count {
        for (stream, data) in [(unread, &[1; 1024][..]), (read, &[2])] {
            let written = pair.server.connection.write(theirs, stream, data, &mut pair.server.wire).unwrap();
            assert_eq!(written, data.len(), "the peer stalls after {received} bytes");
        }
        pair.deliver();
        received += pair.client.drain(ours, read).0.len();
        pair.client.events();
        pair.deliver();
    }
    assert!(pair.client.connection.bytes_held() <= (64 << 20) + (32 << 10));
    (pair, ours, received)
}

#[test]
fn unread_stderr_does_not_stall_data() {
    let (mut pair, ours, received) = fill_unread(Stream::STDERR, 8 << 10);
    assert_eq!(received, 8 << 10);
    let (bytes, error) = pair.client.drain(ours, Stream::STDERR);
    assert_eq!((bytes.len(), error), (8 << 20, Error::Again));
}

#[test]
fn unread_stderr_beyond_the_queue_limit_is_told_and_data_goes_on() {
    let (mut pair, ours, received) = fill_unread(Stream::STDERR, 40 << 10);
    assert_eq!(received, 40 << 10);
    let (bytes, error) = pair.client.drain(ours, Stream::STDERR);
    assert!((12 << 20..=16 << 20).contains(&bytes.len()), "{}", bytes.len());
    assert!(matches!(error, Error::Limit(_)));
}

#[test]
fn unread_data_does_not_stall_stderr() {
    let (mut pair, ours, received) = fill_unread(Stream::Data, 40 << 10);
    assert_eq!(received, 40 << 10);
    assert!(matches!(pair.client.drain(ours, Stream::Data).1, Error::Limit(_)));
}

#[test]
fn data_that_was_read_before_is_held_back_and_never_dropped() {
    let (mut pair, ours, theirs) = Pair::session();
    assert_eq!(pair.client.read_stream(ours, Stream::STDERR, 10), Err(Error::Again));
    assert_eq!(pair.client.read(ours, 10), Err(Error::Again));
    let sent = pattern(40 << 20);
    let mut written = 0;
    let mut received = Vec::new();
    for round in 0..4000 {
        written += pair.server.write(theirs, &sent[written..]).unwrap();
        pair.deliver();
        assert!(pair.client.connection.readable(ours, Stream::Data) <= 64 << 20);
        if round == 0 {
            assert_eq!(pair.client.connection.readable(ours, Stream::Data), 2 << 20);
        }
        received.extend(pair.client.read(ours, 64 << 10).unwrap_or_default());
    }
    assert_eq!(received.len(), sent.len());
    assert!(received == sent);
}

#[test]
fn alternating_single_bytes_cost_bytes() {
    let mut queue = receive_queue::ReceiveQueue::default();
    for run in 0..100_000 {
        queue.push(Bytes::from_static(b"x"), run * 2, &Default::default());
    }
    assert_eq!(queue.len(), 100_000);
    assert_eq!(queue.pieces(), 1024 + (100_000 - 1024) / (16 << 10));
}

#[test]
fn unread_stderr_does_not_stall_data_when_the_byte_limit_is_used_up() {
    let mut config = Config::new(Role::Client);
    config.byte_limit = 3 << 20;
    let mut pair = Pair::with(config, Config::new(Role::Server));
    let (greedy, _) = pair.open(None, None);
    let (ours, theirs) = pair.open(None, None);
    assert_eq!(pair.client.read(ours, 10), Err(Error::Again));
    let mut received = 0;
    for _ in 0..3000 {
        assert_eq!(pair.server.write_stderr(theirs, &[1; 1024]).unwrap(), 1024);
        assert_eq!(pair.server.write(theirs, b"x").unwrap(), 1);
        pair.deliver();
        received += pair.client.drain(ours, Stream::Data).0.len();
        pair.deliver();
    }
    assert_eq!(received, 3000);
    assert!(pair.client.connection.bytes_held() <= (3 << 20) + 2 * (32 << 10));
    assert!(matches!(pair.client.drain(ours, Stream::STDERR).1, Error::Limit(_)));
    assert_eq!(pair.client.read(greedy, 1), Err(Error::Again));
}
