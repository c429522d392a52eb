use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use super::super::dial::parse;
use super::support::*;
use crate::engine::*;
use crate::error::Error;
use crate::session::Stream;

#[test]
fn addresses_are_told_apart() {
    let of = |text: &str| parse(text).map(|target| (target.host, target.port)).ok();
    let some = |host: &str, port| Some((host.to_owned(), port));
    assert_eq!(of("example.org"), some("example.org", 22));
    assert_eq!(of("example.org:2222"), some("example.org", 2222));
    assert_eq!(of("10.0.0.1:1"), some("10.0.0.1", 1));
    assert_eq!(of("[::1]:2222"), some("::1", 2222));
    assert_eq!(of("[::1]"), some("::1", 22));
    assert_eq!(of("::1"), some("::1", 22));
    assert_eq!(of("fe80::1%eth0"), some("fe80::1%eth0", 22));
    for wrong in ["", ":22", "host:", "host:0", "host:65536", "host:x", "[::1", "[]:22", "[::1]x", "a b", "a:b:c"] {
        assert_eq!(of(wrong), None, "{wrong}");
    }
}

fn serve_one(listener: TcpListener) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let engine = engine(1);
        let server = Transport::from_fd(&engine, stream.into_raw_fd()).unwrap();
        server.add_host_key(host_key()).unwrap();
        let host: Arc<dyn Asker> = Arc::new(Host::default());
        server.start_server(Some(host), LONG, false).result.unwrap();
        let channel = server.accept(LONG).unwrap();
        channel.write_all(Stream::Data, b"welcome", LONG).1.unwrap();
        channel.finish(0).unwrap();
        let ended = channel.read(Stream::Data, &mut [0], LONG);
        assert!(ended.is_err());
        channel.release();
        server.release();
        engine.release();
    })
}

#[test]
fn numbers_and_names_are_dialed() {
    in_both_modes(|threads| {
        for host in ["127.0.0.1", "localhost"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("{host}:{}", listener.local_addr().unwrap().port());
            let serving = serve_one(listener);
            let engine = engine(threads);
            let (transport, started) = Transport::dial(&engine, &address, LONG, false);
            started.result.unwrap();
            let transport = transport.unwrap();
            assert_eq!(transport.peer_name().unwrap().0, "127.0.0.1");
            transport.connect(secret(), LONG, false).result.unwrap();
            let (channel, opened) = transport.open_channel("session", &[], None, None, LONG, false);
            opened.result.unwrap();
            let channel = channel.unwrap();
            assert_eq!(read_all(&channel).unwrap(), b"welcome");
            channel.release();
            transport.release();
            serving.join().unwrap();
            engine.release();
        }
    });
}

#[test]
fn what_is_begun_while_dialing_waits_its_turn() {
    in_both_modes(|threads| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let serving = serve_one(listener);
        let engine = engine(threads);
        let (transport, dialed) = Transport::dial(&engine, &address, Timeout::NONE, true);
        let transport = transport.unwrap();
        assert!(matches!(dialed.result, Ok(()) | Err(Error::Again)));
        transport.connect(secret(), LONG, false).result.unwrap();
        let (channel, opened) = transport.open_channel("session", &[], None, None, LONG, false);
        opened.result.unwrap();
        let channel = channel.unwrap();
        assert_eq!(read_all(&channel).unwrap(), b"welcome");
        channel.release();
        transport.release();
        serving.join().unwrap();
        engine.release();
    });
}

#[test]
fn failures_say_what_was_tried() {
    in_both_modes(|threads| {
        let engine = engine(threads);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let (none, started) = Transport::dial(&engine, &format!("127.0.0.1:{port}"), LONG, true);
        assert!(none.is_none());
        match started.result {
            Err(Error::Connect(failure)) => {
                assert_eq!(failure.errno, libc::ECONNREFUSED);
                assert!(failure.address.unwrap().contains("127.0.0.1"));
            }
            other => panic!("{other:?}"),
        }
        let (none, started) = Transport::dial(&engine, "no-such-host.invalid", LONG, true);
        assert!(none.is_none());
        assert!(matches!(started.result, Err(Error::Resolve(_))), "{:?}", started.result);
        engine.close(Timeout::after(Duration::from_secs(5))).unwrap();
        engine.release();
    });
}
