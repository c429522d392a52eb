use std::sync::Arc;

use super::super::sys::process::{in_forked_child, is_open};
use super::support::*;
use crate::engine::*;
use crate::error::{Error, Result};
use crate::session::Stream;

fn forked<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Forked))
}

#[test]
fn a_child_is_told_and_only_closes() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let (fd, events) = (pair.client.fd().unwrap(), pair.client.event_fd().unwrap());
        let read = near.event_fd(ChannelEvents::Read).unwrap();
        let poller = pair.engine.reactors[0].poller.raw();
        let told = in_forked_child(|| {
            let told = forked(near.read(Stream::Data, &mut [0], LONG))
                && forked(near.write(Stream::Data, b"x", LONG).1)
                && forked(near.request("exec", b"", true, LONG, true).result)
                && forked(near.close())
                && forked(near.event_fd(ChannelEvents::Read))
                && forked(pair.client.accept(LONG))
                && forked(pair.client.next_event())
                && forked(pair.client.close())
                && forked(pair.client.rekey(LONG, true).result)
                && forked(pair.engine.next_event())
                && forked(pair.engine.dispatch(LONG))
                && forked(pair.engine.close(LONG))
                && forked(pair.engine.wake())
                && forked(Transport::from_fd(&pair.engine, fd))
                && !pair.client.is_active();
            near.release();
            pair.client.release();
            pair.engine.atfork();
            told && [fd, events, read, poller].iter().all(|fd| !is_open(*fd))
        });
        assert!(told);
        // The parent goes on as if nothing had been.
        near.write_all(Stream::Data, b"on", LONG).1.unwrap();
        let mut got = [0; 2];
        assert_eq!(far.read(Stream::Data, &mut got, LONG).unwrap(), 2);
        far.write_all(Stream::Data, b"and on", LONG).1.unwrap();
        assert!(near.read(Stream::Data, &mut got, LONG).is_ok());
        near.release();
        far.release();
    });
}

#[test]
fn a_new_engine_works_in_a_child() {
    let pair = Pair::usual(0);
    assert!(in_forked_child(|| {
        let engine = engine(0);
        engine.dispatch(Timeout::NONE).is_err_and(|error| matches!(error, Error::Again))
    }));
    drop(pair);
}

#[test]
fn an_engine_without_threads_is_adopted() {
    let pair = Pair::usual(0);
    let (near, far) = pair.channel();
    let event_fd = pair.client.event_fd().unwrap();
    let engine_fd = pair.engine.fd().unwrap();
    assert!(matches!(pair.engine.adopt(), Err(Error::State(_))));
    let echo = {
        let far = Arc::clone(&far);
        std::thread::spawn(move || {
            let got = read_all(&far).unwrap();
            far.write_all(Stream::Data, &got, LONG).1.unwrap();
            far.finish(0).unwrap();
            got
        })
    };
    let went_on = in_forked_child(|| {
        pair.engine.adopt().unwrap();
        near.write_all(Stream::Data, b"from the child", LONG).1.unwrap();
        near.send_eof().unwrap();
        let same = pair.client.event_fd().unwrap() == event_fd && pair.engine.fd().unwrap() == engine_fd;
        same && read_all(&near).unwrap() == b"from the child"
    });
    assert!(went_on);
    assert_eq!(echo.join().unwrap(), b"from the child");
    assert!(!readable(event_fd), "the child has descriptors of its own");
    assert!(pair.server.is_active());
    // The parent leaves the connection to the child.
    pair.client.atfork();
    assert!(matches!(near.read(Stream::Data, &mut [0], LONG), Err(Error::Closed(_))));
    near.release();
    far.release();
}
