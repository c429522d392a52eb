use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::support::*;
use crate::engine::*;
use crate::error::Error;
use crate::session::{Keepalive, StderrMode, Stream};

const ERRORS: Stream = Stream::Extended(1);

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31).wrapping_add(at >> 8).wrapping_add(seed)) as u8).collect()
}

#[test]
fn bytes_go_both_ways_at_once() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let sent = pattern(3 << 20, 1);
        thread::scope(|scope| {
            scope.spawn(|| {
                let (count, result) = near.write_all(Stream::Data, &sent, LONG);
                result.unwrap();
                assert_eq!(count, sent.len());
                near.send_eof().unwrap();
            });
            scope.spawn(|| {
                // The far end sends back what it gets.
                let mut part = vec![0; 50_000];
                loop {
                    match far.read(Stream::Data, &mut part, LONG) {
                        Ok(count) => far.write_all(Stream::Data, &part[..count], LONG).1.unwrap(),
                        Err(Error::Eof) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                far.send_eof().unwrap();
            });
            let back = scope.spawn(|| read_all(&near).unwrap()).join().unwrap();
            assert!(back == sent);
        });
        near.release();
        far.release();
    });
}

#[test]
fn many_channels_of_many_threads() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let server = Arc::clone(&pair.server);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut echoes = Vec::new();
                for _ in 0..20 {
                    let far = server.accept(LONG).unwrap();
                    echoes.push(thread::spawn(move || {
                        let got = read_all(&far).unwrap();
                        far.write_all(Stream::Data, &got, LONG).1.unwrap();
                        far.finish(3).unwrap();
                        far.release();
                    }));
                }
                echoes.into_iter().for_each(|echo| echo.join().unwrap());
            });
            for seed in 0..20 {
                let client = Arc::clone(&pair.client);
                scope.spawn(move || {
                    let (channel, started) = client.open_channel("session", &[], None, None, LONG, false);
                    started.result.unwrap();
                    let channel = channel.unwrap();
                    let sent = pattern(20_000 + seed * 1000, seed);
                    for part in sent.chunks(700) {
                        channel.write_all(Stream::Data, part, LONG).1.unwrap();
                    }
                    channel.send_eof().unwrap();
                    assert!(read_all(&channel).unwrap() == sent);
                    channel.release();
                });
            }
        });
    });
}

#[test]
fn requests_and_answers_of_two_threads_on_one_channel() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut byte = [0];
                while far.read(Stream::Data, &mut byte, LONG).is_ok() {
                    far.write_all(Stream::Data, &byte, LONG).1.unwrap();
                }
            });
            scope.spawn(|| {
                for _ in 0..50 {
                    near.request("exec", &string(b"x"), true, LONG, false).result.unwrap();
                }
            });
            for number in 0..200u8 {
                near.write_all(Stream::Data, &[number], LONG).1.unwrap();
                let mut got = [0];
                assert_eq!(near.read(Stream::Data, &mut got, LONG).unwrap(), 1);
                assert_eq!(got, [number]);
            }
            near.send_eof().unwrap();
        });
        near.release();
        far.release();
    });
}

#[test]
fn error_output_is_a_stream_of_its_own() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        far.write_all(ERRORS, b"oh", LONG).1.unwrap();
        far.write_all(Stream::Data, b"fine", LONG).1.unwrap();
        let mut got = [0; 10];
        assert_eq!(near.read(Stream::Data, &mut got, LONG).unwrap(), 4);
        assert_eq!(near.readable(ERRORS).unwrap(), 2);
        assert_eq!(near.peek(ERRORS, &mut got, LONG).unwrap(), 2);
        assert_eq!(near.read(ERRORS, &mut got, LONG).unwrap(), 2);
        assert_eq!(&got[..2], b"oh");
        near.set_stderr(StderrMode::Combine).unwrap();
        far.write_all(ERRORS, b"again", LONG).1.unwrap();
        assert_eq!(near.read(Stream::Data, &mut got, LONG).unwrap(), 5);
        assert!(matches!(near.read(Stream::Data, &mut got, Timeout::NONE), Err(Error::Again)));
        near.release();
        far.release();
    });
}

#[test]
fn a_short_write_is_followed_by_room() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let write_fd = near.event_fd(ChannelEvents::Write).unwrap();
        assert!(!readable(write_fd));
        let block = pattern(1 << 20, 3);
        let mut sent = 0;
        // Until nothing fits anywhere any more, however slowly the buffers in between fill.
        loop {
            match near.write(Stream::Data, &block, Timeout::after(Duration::from_millis(500))) {
                (count, Ok(())) => sent += count,
                (0, Err(Error::Again)) => break,
                (count, Err(Error::Again)) => sent += count,
                (_, Err(error)) => panic!("{error}"),
            }
            assert!(sent < 200 << 20, "a peer that does not read must stop the writer");
        }
        assert!(!readable(write_fd));
        assert_eq!(near.writable().unwrap(), 0);
        let (count, result) = near.write(Stream::Data, b"x", Timeout::after(Duration::from_millis(5)));
        assert_eq!(count, 0);
        assert!(matches!(result, Err(Error::Again)));
        let reader = {
            let far = Arc::clone(&far);
            thread::spawn(move || {
                let mut part = vec![0; 100_000];
                let mut got = 0;
                while got < sent {
                    got += far.read(Stream::Data, &mut part, LONG).unwrap();
                }
                got
            })
        };
        poll(&[PollItem::Channel(&near, ChannelEvents::Write)], LONG).unwrap();
        assert!(near.writable().unwrap() > 0);
        assert!(readable(write_fd));
        near.write_all(Stream::Data, b"", LONG).1.unwrap();
        assert!(!readable(write_fd));
        let kinds = events(&pair.client);
        assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::ChannelWritable).count(), 1);
        near.flush(LONG).unwrap();
        assert_eq!(reader.join().unwrap(), sent);
        near.release();
        far.release();
    });
}

#[test]
fn descriptors_of_a_channel_are_readable_while_there_is_something() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let (data, errors, state) = (
            near.event_fd(ChannelEvents::Read).unwrap(),
            near.event_fd(ChannelEvents::ReadStderr).unwrap(),
            near.event_fd(ChannelEvents::State).unwrap(),
        );
        let three = || (readable(data), readable(errors), readable(state));
        assert_eq!(three(), (false, false, false));
        far.write_all(Stream::Data, b"ab", LONG).1.unwrap();
        poll(&[PollItem::Channel(&near, ChannelEvents::Read)], LONG).unwrap();
        assert_eq!(three(), (true, false, false));
        let mut byte = [0];
        near.read(Stream::Data, &mut byte, LONG).unwrap();
        assert_eq!(three(), (true, false, false));
        near.read(Stream::Data, &mut byte, LONG).unwrap();
        assert_eq!(three(), (false, false, false));
        far.finish(0).unwrap();
        poll(&[PollItem::Channel(&near, ChannelEvents::State)], LONG).unwrap();
        near.wait_exit(LONG).unwrap();
        poll(&[PollItem::Channel(&near, ChannelEvents::Read)], LONG).unwrap();
        assert_eq!(three(), (true, true, true));
        assert!(matches!(near.read(Stream::Data, &mut byte, LONG), Err(Error::Eof)));
        assert_eq!(three(), (false, true, true));
        assert!(matches!(near.read(ERRORS, &mut byte, LONG), Err(Error::Eof)));
        assert_eq!(three(), (false, false, true));
        near.release();
        far.release();
    });
}

#[test]
fn what_is_asked_of_an_opening_channel_waits_its_turn() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, opened) = pair.client.open_channel("session", &[], None, None, Timeout::NONE, true);
        assert!(matches!(opened.result, Err(Error::Again)));
        let near = near.unwrap();
        let asked = near.request("exec", &string(b"x"), true, Timeout::NONE, true);
        assert!(matches!(asked.result, Err(Error::Again)));
        let (count, result) = near.write(Stream::Data, b"x", Timeout::NONE);
        // With threads the channel may be open by now.
        let waits = count == 0 && matches!(result, Err(Error::Again));
        assert!(waits || threads > 0, "{count} {result:?}");
        assert!(pair.client.wait(asked.op, LONG).unwrap().status.is_none());
        assert!(pair.client.wait(opened.op, LONG).unwrap().status.is_none());
        assert!(matches!(pair.client.wait(opened.op, LONG), Err(Error::NotFound(_))));
        let far = pair.server.accept(LONG).unwrap();
        near.release();
        let mut got = [0; 2];
        let all = far.read(Stream::Data, &mut got, LONG);
        assert!(if waits { matches!(all, Err(Error::Eof)) } else { all == Ok(1) });
        far.release();
    });
}

#[test]
fn keys_are_renewed_under_traffic() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..4 {
                    pair.client.rekey(LONG, false).result.unwrap();
                }
                near.send_eof().unwrap();
                // Without threads nothing goes on but inside of calls.
                near.flush(LONG).unwrap();
            });
            scope.spawn(|| while near.write_all(Stream::Data, &[7; 5000], LONG).1.is_ok() {});
            assert!(read_all(&far).unwrap().iter().all(|byte| *byte == 7));
        });
        assert_eq!(pair.client.negotiated().unwrap().0.rekeys, 4);
        near.release();
        far.release();
    });
}

#[test]
fn a_silent_peer_is_noticed() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let keepalive = Keepalive { interval: Some(Duration::from_millis(150)), max_unanswered: 2 };
        pair.client.set_keepalive(keepalive).unwrap();
        let (near, far) = pair.channel();
        // The peer answers: nothing happens for many intervals.
        let before = Instant::now();
        let read = near.read(Stream::Data, &mut [0], Timeout::after(Duration::from_millis(1000)));
        assert!(matches!(read, Err(Error::Again)), "{read:?}");
        assert!(before.elapsed() >= Duration::from_millis(1000));
        assert!(pair.client.is_active());
        near.release();
        far.release();
    });
}
