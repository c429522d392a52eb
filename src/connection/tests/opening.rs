use super::*;

#[test]
fn an_open_is_confirmed_with_the_defaults() {
    let (pair, ours, theirs) = Pair::session();
    let info = pair.client.connection.info(ours).unwrap();
    assert_eq!((&*info.kind, info.opened_by_peer, info.remote_id), ("session", false, Some(theirs)));
    assert_eq!((info.local_window, info.local_max_packet), (2 << 20, 32 << 10));
    assert_eq!((info.remote_window, info.remote_max_packet), (2 << 20, 32 << 10));
    assert!(pair.server.connection.info(theirs).unwrap().opened_by_peer);
}

#[test]
fn kind_and_data_arrive_and_a_refusal_is_told() {
    let mut pair = Pair::new();
    let target = kinds::DirectTcpip {
        destination: kinds::HostPort { host: b"example.net".to_vec(), port: 443 },
        originator: kinds::HostPort { host: b"::1".to_vec(), port: 50000 },
    };
    let ours =
        pair.client.connection.open(kinds::DIRECT_TCPIP, &target.encode(), None, None, &mut pair.client.wire).unwrap();
    pair.deliver();
    let Some(ConnectionEvent::OpenRequested { id, kind, data }) = pair.server.connection.next_event() else { panic!() };
    assert_eq!(kind, "direct-tcpip");
    assert_eq!(kinds::DirectTcpip::decode(&data).unwrap(), target);
    pair.server.connection.refuse_open(id, 2, "no\x1b route", &mut pair.server.wire).unwrap();
    assert_eq!(pair.server.connection.live_channels(), 0);
    pair.deliver();
    let events = pair.client.events();
    let [ConnectionEvent::OpenFailed { id, code, description }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((*id, *code, description.as_str()), (ours, 2, "no? route"));
    assert!(matches!(pair.client.write(ours, b"x"), Err(Error::Closed(_))));
    assert!(matches!(pair.client.read(ours, 9), Err(Error::Closed(_))));
    pair.client.forget(ours);
    assert!(pair.client.connection.info(ours).is_none());
    assert_eq!(pair.client.connection.bytes_held(), 0);
    assert!(pair.server.connection.accept_open(id.wrapping_add(9), &mut pair.server.wire).is_err());
}

#[test]
fn what_was_asked_before_the_confirmation_goes_out_after_it() {
    let mut pair = Pair::new();
    let ours = pair.client.connection.open("session", b"", None, None, &mut pair.client.wire).unwrap();
    let token = pair.client.request(ours, "exec", &requests::exec(b"cat"));
    assert_eq!(pair.client.write(ours, b"input").unwrap(), 5);
    pair.client.send_eof(ours);
    assert_eq!(pair.client.wire.numbers(), [90]);
    pair.deliver();
    let Some(ConnectionEvent::OpenRequested { id, .. }) = pair.server.connection.next_event() else { panic!() };
    pair.server.connection.accept_open(id, &mut pair.server.wire).unwrap();
    let (number, payload) = pair.server.wire.pop().unwrap();
    pair.client.connection.receive(number, payload, &mut pair.client.wire).unwrap();
    assert_eq!(pair.client.wire.numbers(), [98, 94, 96]);
    pair.deliver();
    let asked = pair.server.requests();
    assert_eq!(asked[0].1, ChannelRequest::Exec(Bytes::from_static(b"cat")));
    pair.server.answer(id, asked[0].0.unwrap(), true);
    pair.deliver();
    assert!(pair.client.events().contains(&ConnectionEvent::RequestDone { id: ours, token, success: true }));
    assert_eq!(pair.server.drain(id, Stream::Data), (b"input".to_vec(), Error::Eof));
}

#[test]
fn an_open_that_nobody_wants_any_more_is_closed_when_it_is_confirmed() {
    let mut pair = Pair::new();
    let ours = pair.client.connection.open("session", b"", None, None, &mut pair.client.wire).unwrap();
    pair.client.request(ours, "shell", b"");
    pair.client.write(ours, b"never").unwrap();
    pair.client.forget(ours);
    pair.deliver();
    let Some(ConnectionEvent::OpenRequested { id, .. }) = pair.server.connection.next_event() else { panic!() };
    pair.server.connection.accept_open(id, &mut pair.server.wire).unwrap();
    pair.server.write(id, b"late").unwrap();
    pair.deliver();
    assert!(pair.client.events().is_empty());
    assert_eq!(pair.client.connection.live_channels(), 0);
    assert!(pair.client.connection.info(ours).is_none());
    assert_eq!(pair.client.connection.bytes_held(), 0);
    assert!(pair.server.events().contains(&ConnectionEvent::Closed { id }));
    assert_eq!(pair.server.drain(id, Stream::Data), (Vec::new(), Error::Eof));
}

#[test]
fn a_forgotten_open_that_is_refused_leaves_nothing() {
    let mut pair = Pair::new();
    let ours = pair.client.connection.open("session", b"", None, None, &mut pair.client.wire).unwrap();
    pair.client.forget(ours);
    pair.deliver();
    let Some(ConnectionEvent::OpenRequested { id, .. }) = pair.server.connection.next_event() else { panic!() };
    pair.server.forget(id);
    pair.deliver();
    assert!(pair.client.events().is_empty());
    assert_eq!((pair.client.connection.live_channels(), pair.server.connection.live_channels()), (0, 0));
}

#[test]
fn the_channel_limit_refuses_with_resource_shortage() {
    let mut server = Config::new(Role::Server);
    server.max_channels = 3;
    let mut pair = Pair::with(Config::new(Role::Client), server);
    for _ in 0..3 {
        pair.open(None, None);
    }
    pair.client.connection.open("session", b"", None, None, &mut pair.client.wire).unwrap();
    pair.deliver();
    assert!(pair.server.events().is_empty());
    let events = pair.client.events();
    assert!(matches!(&events[..], [ConnectionEvent::OpenFailed { code: 4, .. }]), "{events:?}");
    // The server's own opens are bound by the same limit.
    let refused = pair.server.connection.open("x11", b"", None, None, &mut pair.server.wire);
    assert!(matches!(refused, Err(Error::Limit(_))));
}

#[test]
fn unanswered_opens_are_bounded() {
    let mut server = Side::new(Config::new(Role::Server));
    for number in 0..200 {
        let open = message!(ChannelOpen {
            kind: "session",
            sender_channel: number,
            initial_window: 1,
            maximum_packet: 1,
            data: Rest(b""),
        });
        server.receive(open).unwrap();
    }
    assert_eq!(server.connection.live_channels(), 128);
    assert_eq!(server.wire.numbers(), vec![92; 72]);
}

#[test]
fn an_id_is_not_used_again_while_somebody_knows_it() {
    let (mut pair, ours, theirs) = Pair::session();
    pair.client.connection.next_id = ours;
    pair.server.connection.next_id = theirs;
    let (second, second_there) = pair.open(None, None);
    assert_ne!((ours, theirs), (second, second_there));
    pair.client.close(ours);
    pair.deliver();
    pair.client.connection.next_id = ours;
    let (third, _) = pair.open(None, None);
    assert_ne!(third, ours); // Closed, but not forgotten.
    pair.client.forget(ours);
    pair.client.connection.next_id = ours;
    assert_eq!(pair.open(None, None).0, ours);
    // The counter goes round.
    pair.client.connection.next_id = u32::MAX;
    assert_eq!(pair.open(None, None).0, u32::MAX);
    assert!(pair.open(None, None).0 < u32::MAX);
}

#[test]
fn opens_of_every_kind_decode_to_themselves() {
    use kinds::*;
    let at = |host: &[u8], port| HostPort { host: host.to_vec(), port };
    let forwarded = ForwardedTcpip { connected: at(b"", 22), originator: at(b"10.0.0.1", 65535) };
    assert_eq!(ForwardedTcpip::decode(&forwarded.encode()).unwrap(), forwarded);
    let origin = X11Origin(at(b"localhost", 6010));
    assert_eq!(X11Origin::decode(&origin.encode()).unwrap(), origin);
    let direct = DirectStreamlocal { path: b"/run/\xff".to_vec() };
    assert_eq!(DirectStreamlocal::decode(&direct.encode()).unwrap(), direct);
    let back = ForwardedStreamlocal { path: b"/tmp/s".to_vec() };
    assert_eq!(ForwardedStreamlocal::decode(&back.encode()).unwrap(), back);
    let mut bytes = forwarded.encode();
    bytes.push(0);
    assert!(ForwardedTcpip::decode(&bytes).is_err());
    let port = crate::wire::Writer::new().string("h").u32(65536).finish();
    assert!(X11Origin::decode(&port).is_err());
}
