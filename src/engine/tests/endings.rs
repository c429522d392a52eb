use std::io::Write;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::support::*;
use crate::engine::*;
use crate::error::Error;
use crate::session::{HostKeyPolicy, Stream};

#[test]
fn close_ends_waits_and_both_sides_learn_why() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        thread::scope(|scope| {
            let reading = scope.spawn(|| near.read(Stream::Data, &mut [0], LONG));
            let accepting = scope.spawn(|| pair.client.accept(LONG).map(drop));
            thread::sleep(Duration::from_millis(30));
            pair.client.close().unwrap();
            assert!(matches!(reading.join().unwrap(), Err(Error::Closed(_) | Error::Eof)));
            assert!(matches!(accepting.join().unwrap(), Err(Error::Closed(_))));
        });
        pair.client.flush(LONG).unwrap();
        let lost = pair.server.accept(LONG).map(drop);
        assert!(matches!(lost, Err(Error::Disconnected(_))), "{lost:?}");
        assert!(!pair.server.is_active());
        near.release();
        far.release();
    });
}

#[test]
fn what_was_received_can_be_read_after_the_end() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        far.write_all(Stream::Data, b"last words", LONG).1.unwrap();
        pair.server.disconnect(11, "bye").unwrap();
        let mut got = [0; 4];
        assert_eq!(near.read(Stream::Data, &mut got, LONG).unwrap(), 4);
        let ended = pair.client.accept(LONG).map(drop);
        assert!(matches!(ended, Err(Error::Disconnected(_))), "{ended:?}");
        let mut rest = [0; 10];
        assert_eq!(near.read(Stream::Data, &mut rest, LONG).unwrap(), 6);
        let lost = near.read(Stream::Data, &mut rest, LONG);
        assert!(matches!(&lost, Err(Error::Disconnected(why)) if why.by_peer), "{lost:?}");
        assert!(near.write(Stream::Data, b"x", LONG).1.is_err());
        near.release();
        far.release();
    });
}

#[test]
fn a_lost_peer_is_no_orderly_end() {
    in_both_modes(|threads| {
        let engine = engine(threads);
        let (one, two) = UnixStream::pair().unwrap();
        let client = Transport::from_fd(&engine, one.into_raw_fd()).unwrap();
        let mut two = two;
        two.write_all(b"SSH-2.0-nothing\r\n").unwrap();
        drop(two);
        let lost = client.start_client(LONG, false).result;
        assert!(matches!(lost, Err(Error::Closed(_) | Error::Io(_))), "{lost:?}");
        assert!(client.take_error(0).unwrap().is_some());
        assert!(matches!(client.fd(), Err(Error::Closed(_))));
        client.release();
        engine.release();
    });
}

#[test]
fn handles_are_freed_in_any_order() {
    in_both_modes(|threads| {
        for order in 0..6 {
            let pair = Pair::usual(threads);
            let (near, far) = pair.channel();
            let client = Arc::clone(&pair.client);
            client.add_owner();
            match order {
                0 => {
                    near.release();
                    client.release();
                }
                1 => {
                    client.release();
                    near.release();
                }
                2 => {
                    pair.client.close().unwrap();
                    near.release();
                    client.release();
                }
                3 => {
                    near.close().unwrap();
                    near.close().unwrap();
                    client.release();
                    near.release();
                }
                4 => {
                    far.release();
                    near.add_owner();
                    near.release();
                    let _ = near.write(Stream::Data, b"x", Timeout::NONE);
                    near.release();
                    client.release();
                    continue;
                }
                _ => {
                    pair.server.close().unwrap();
                    client.release();
                    near.release();
                }
            }
            far.release();
        }
    });
}

#[test]
fn freeing_everything_frees_everything() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let transports = (Arc::downgrade(&pair.client), Arc::downgrade(&pair.server));
        let engines = (Arc::downgrade(&pair.engine), Arc::downgrade(&pair.server_engine));
        near.release();
        far.release();
        drop((near, far));
        drop(pair);
        let end = Instant::now() + Duration::from_secs(5);
        let gone = || {
            transports.0.strong_count() + transports.1.strong_count() == 0
                && engines.0.strong_count() + engines.1.strong_count() == 0
        };
        while !gone() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(gone());
    });
}

#[test]
fn a_wake_interrupts_waits_and_sticks() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        thread::scope(|scope| {
            let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| near.read(Stream::Data, &mut [0], LONG))).collect();
            thread::sleep(Duration::from_millis(50));
            pair.engine.wake().unwrap();
            for wait in waits {
                assert!(matches!(wait.join().unwrap(), Err(Error::Interrupted)));
            }
        });
        // Nobody waits: the next one learns of it, once.
        pair.engine.wake().unwrap();
        assert!(matches!(near.read(Stream::Data, &mut [0], Timeout::NONE), Err(Error::Again)));
        assert!(matches!(near.read(Stream::Data, &mut [0], LONG), Err(Error::Interrupted)));
        let soon = Timeout::after(Duration::from_millis(20));
        assert!(matches!(near.read(Stream::Data, &mut [0], soon), Err(Error::Again)));
        near.wake().unwrap();
        assert!(matches!(near.read(Stream::Data, &mut [0], LONG), Err(Error::Interrupted)));
        thread::scope(|scope| {
            let wait = scope.spawn(|| near.read(Stream::Data, &mut [0], LONG));
            let other = scope.spawn(|| pair.client.accept(Timeout::after(Duration::from_millis(100))).map(drop));
            thread::sleep(Duration::from_millis(30));
            near.wake().unwrap();
            assert!(matches!(wait.join().unwrap(), Err(Error::Interrupted)));
            assert!(matches!(other.join().unwrap(), Err(Error::Again)));
        });
        // Operations stay under way.
        far.write_all(Stream::Data, b"x", LONG).1.unwrap();
        assert_eq!(near.read(Stream::Data, &mut [0], LONG).unwrap(), 1);
        near.release();
        far.release();
    });
}

#[test]
fn an_engine_is_closed_with_what_lives_in_it() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        pair.engine.close(Timeout::after(Duration::from_secs(10))).unwrap();
        assert!(matches!(near.read(Stream::Data, &mut [0], LONG), Err(Error::Closed(_) | Error::Eof)));
        let (one, _two) = UnixStream::pair().unwrap();
        let fd = one.into_raw_fd();
        assert!(matches!(Transport::from_fd(&pair.engine, fd), Err(Error::Closed(_))));
        assert_eq!(super::super::sys::socket::peer_address(fd), None);
        super::super::sys::descriptor::Descriptor::new(fd).close();
        near.release();
        far.release();
    });
}

#[test]
fn the_rest_is_sent_after_free() {
    // A reader that starts late gets what the kernel did not take at once.
    let pair = Pair::usual(1);
    let (near, far) = pair.channel();
    let block = vec![5; 1 << 20];
    let (sent, result) = near.write(Stream::Data, &block, LONG);
    result.unwrap();
    near.release();
    let client = Arc::clone(&pair.client);
    client.add_owner();
    drop(client);
    let mut got = 0;
    let mut part = vec![0; 65_536];
    while let Ok(count) = far.read(Stream::Data, &mut part, LONG) {
        got += count;
    }
    assert_eq!(got, sent);
    far.release();
}

#[test]
fn an_idle_connection_holds_no_timer_and_no_thread_runs() {
    let mut keepers = Vec::new();
    for threads in [1, 0] {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let _ = near.read(Stream::Data, &mut [0], Timeout::after(Duration::from_millis(5)));
        keepers.push((pair, near, far));
    }
    thread::sleep(Duration::from_millis(200));
    for (pair, ..) in &keepers {
        if pair.engine.options().threads == 0 {
            while pair.engine.dispatch(Timeout::NONE).is_ok() {}
        }
        for reactor in pair.engine.reactors.iter().chain(&pair.server_engine.reactors) {
            // Only the hour after which keys are renewed.
            let far_away = Instant::now() + Duration::from_secs(1000);
            assert!(reactor.next_time().is_none_or(|time| time > far_away));
        }
    }
    for (pair, near, far) in keepers {
        near.release();
        far.release();
        drop(pair);
    }
}

#[test]
fn wrong_descriptors_stay_the_callers() {
    let engine = engine(1);
    let (reader, writer) = std::io::pipe().unwrap();
    let fd = reader.into_raw_fd();
    assert!(matches!(Transport::from_fd(&engine, fd), Err(Error::Unsupported(_))));
    super::super::sys::descriptor::Descriptor::new(fd).close();
    drop(writer);
    assert!(matches!(Transport::from_fd(&engine, -1), Err(Error::Argument(_))));
    engine.release();
}

#[test]
fn verbs_in_the_wrong_state() {
    in_both_modes(|threads| {
        let pair = Pair::unstarted(threads, Arc::new(Host::default()));
        let (none, started) = pair.client.open_channel("session", &[], None, None, LONG, true);
        assert!(none.is_none() && started.op == 0);
        assert!(matches!(started.result, Err(Error::State(_))));
        assert!(matches!(pair.client.rekey(LONG, false).result, Err(Error::State(_))));
        assert!(matches!(pair.client.accept(Timeout::NONE).map(drop), Err(Error::Again)));
        let asker: Arc<dyn Asker> = Arc::clone(&pair.host) as _;
        let _ = pair.server.start_server(Some(asker), Timeout::NONE, false);
        pair.client.start_client(LONG, false).result.unwrap();
        assert!(matches!(pair.client.start_client(LONG, false).result, Err(Error::State(_))));
        let method = || crate::session::ClientMethod::None;
        let unchecked = pair.client.authenticate(b"user", method(), None, LONG, false).result;
        assert!(matches!(unchecked, Err(Error::HostKey(_))), "{unchecked:?}");
        pair.client.trust_host_key().unwrap();
        let refused = pair.client.authenticate(b"user", method(), None, LONG, false).result;
        assert!(matches!(refused, Err(Error::AuthFailed(_) | Error::AuthMethod(_))), "{refused:?}");
        assert!(pair.client.set_host_key_check(HostKeyPolicy::Any, None).is_err());
        assert!(matches!(Timeout::from_ms(-2), Err(Error::Argument(_))));
    });
}

/// A peer that takes nothing, and whose socket is full before the first byte of ours.
fn deaf(engine: &Arc<Engine>) -> (Arc<Transport>, UnixStream) {
    let (mut one, two) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    while one.write(&[0; 4096]).is_ok() {}
    (Transport::from_fd(engine, one.into_raw_fd()).unwrap(), two)
}

#[test]
fn nobody_waits_for_a_dead_peer_to_take_what_is_left() {
    let ends = |what: &str, end: &dyn Fn(&Arc<Transport>, &UnixStream)| {
        let engine = engine(1);
        engine.set_limit(Limit::Handshake, 50).unwrap();
        let (client, peer) = deaf(&engine);
        let started = client.start_client(Timeout::NONE, false);
        assert!(matches!(started.result, Err(Error::Again)));
        end(&client, &peer);
        let begun = Instant::now();
        engine.close(LONG).unwrap();
        let took = begun.elapsed();
        client.release();
        engine.release();
        (what.to_owned(), took)
    };
    let ended = |client: &Arc<Transport>| {
        assert!(client.accept(LONG).is_err());
        assert!(!client.is_active());
    };
    let quickly = [
        ends("it has said that it sends nothing more", &|client, peer| {
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            ended(client);
        }),
        ends("it has given no sign of life in time", &|client, _| ended(client)),
    ];
    for (what, took) in quickly {
        assert!(took < Duration::from_secs(1), "{what}: {took:?}");
    }
    // One that only does not read is given its time.
    let (what, took) = ends("it lives", &|client, _| client.disconnect(11, "bye").unwrap());
    assert!(took > Duration::from_secs(1), "{what}: {took:?}");
}
