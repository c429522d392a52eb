use super::*;

#[test]
fn the_window_is_brought_back_at_half_in_one_message() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.open(Some(1000), Some(100));
    pair.client.write(ours, &[0; 1000]).unwrap();
    pair.deliver();
    for _ in 0..49 {
        pair.server.read(theirs, 10).unwrap();
    }
    assert!(pair.server.wire.messages.is_empty());
    pair.server.read(theirs, 10).unwrap();
    let (number, payload) = pair.server.wire.pop().unwrap();
    assert_eq!((number, &payload[4..]), (93, &500u32.to_be_bytes()[..]));
    assert!(pair.server.wire.messages.is_empty());
}

#[test]
fn no_credit_after_eof_and_after_close() {
    let (mut server, id) = server_with_open(100, 100);
    for _ in 0..64 {
        server.receive(message!(ChannelData { recipient_channel: id, data: &[0; 32 << 10] })).unwrap();
    }
    server.receive(message!(ChannelEof { recipient_channel: id })).unwrap();
    assert_eq!(server.drain(id, Stream::Data).0.len(), 2 << 20);
    assert!(server.wire.messages.is_empty());
    assert_eq!(server.connection.bytes_held(), 0);
}

/// Keeps the window full with a long way between: everything that may be sent is under way before anything
/// is answered. Gives the largest size of the server's window.
fn transfer(pair: &mut Pair, ours: ChannelId, theirs: ChannelId, bytes: usize) -> u32 {
    let block = vec![5; 1 << 20];
    let mut received = 0;
    let mut largest = 0;
    while received < bytes {
        while pair.client.write(ours, &block).unwrap() > 0 {}
        while let Some((number, payload)) = pair.client.wire.pop() {
            pair.server.connection.receive(number, payload, &mut pair.server.wire).unwrap();
            while let Ok(bytes) = pair.server.read(theirs, 64 << 10) {
                received += bytes.len();
            }
        }
        largest = largest.max(pair.server.connection.channels[&theirs].window.target());
        while let Some((number, payload)) = pair.server.wire.pop() {
            pair.client.connection.receive(number, payload, &mut pair.client.wire).unwrap();
            pair.client.transmit();
        }
        assert!(pair.server.connection.bytes_held() <= (64 << 20) + (32 << 10));
        pair.server.events();
        pair.client.events();
    }
    largest
}

#[test]
fn a_window_that_a_transfer_keeps_full_grows() {
    let (mut pair, ours, theirs) = Pair::session();
    assert_eq!(transfer(&mut pair, ours, theirs, 160 << 20), 64 << 20);
    // Another channel has room to live, and takes the excess back.
    pair.open(None, None);
    assert_eq!(transfer(&mut pair, ours, theirs, 160 << 20), 32 << 20);
}

#[test]
fn a_fixed_window_stays() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.open(Some(1 << 20), None);
    assert!(transfer(&mut pair, ours, theirs, 64 << 20) <= 1 << 20);
    let mut config = Config::new(Role::Server);
    config.window_growth = false;
    let (mut pair, ours, theirs) = Pair::with(Config::new(Role::Client), config).and_session();
    assert!(transfer(&mut pair, ours, theirs, 64 << 20) <= 2 << 20);
}

#[test]
fn a_window_that_is_not_full_does_not_grow() {
    let (mut pair, ours, theirs) = Pair::session();
    for _ in 0..4000 {
        pair.client.write(ours, &[0; 32 << 10]).unwrap();
        pair.deliver();
        pair.server.drain(theirs, Stream::Data);
        pair.deliver();
    }
    assert_eq!(pair.server.connection.channels[&theirs].window.target(), 2 << 20);
}

#[test]
fn all_channels_share_the_byte_limit_and_each_has_a_packet() {
    let mut pair = Pair::new();
    let channels: Vec<_> = (0..100).map(|_| pair.open(None, None)).collect();
    let packets = 100 * (32 << 10);
    assert!(pair.server.connection.bytes_held() <= (64 << 20) + packets);
    // Everybody sends all it may; nobody is read.
    for (ours, _) in &channels {
        for _ in 0..12 {
            pair.client.write(*ours, &[0; 256 << 10]).unwrap();
        }
    }
    pair.deliver();
    assert!(pair.server.connection.bytes_held() <= (64 << 20) + packets);
    // The last one, which got the smallest window, still goes on.
    let (ours, theirs) = channels[99];
    let mut received = 0;
    for _ in 0..200 {
        pair.client.write(ours, &[0; 32 << 10]).unwrap();
        pair.deliver();
        received += pair.server.drain(theirs, Stream::Data).0.len();
        pair.deliver();
    }
    assert!(received > 3 << 20, "{received}");
    for (ours, theirs) in channels {
        pair.client.forget(ours);
        pair.server.forget(theirs);
    }
    pair.deliver();
    assert_eq!((pair.client.connection.bytes_held(), pair.server.connection.bytes_held()), (0, 0));
}
