use std::sync::Arc;
use std::time::{Duration, Instant};

use super::support::*;
use crate::engine::*;
use crate::error::Error;
use crate::session::{Answer, HostKeyCheck, HostKeyPolicy, Question, ServerQuestion, Stream};

/// Nothing of the client waits in here: its engine is dispatched, or works by itself.
fn until<T>(pair: &Pair, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(result) = done() {
            return result;
        }
        assert!(Instant::now() < end, "nothing happened");
        if pair.engine.options().threads == 0 {
            match pair.engine.dispatch(Timeout::after(Duration::from_millis(100))) {
                Ok(()) | Err(Error::Again) => {}
                Err(error) => panic!("{error}"),
            }
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn next(pair: &Pair) -> Event {
    until(pair, || pair.client.next_event().ok())
}

#[test]
fn everything_by_events() {
    in_both_modes(|threads| {
        let pair = Pair::started(threads, Arc::new(Host::default()));
        let fd = pair.client.event_fd().unwrap();
        let engine_fd = pair.engine.event_fd().unwrap();
        assert!(!readable(fd) && !readable(engine_fd));
        let started = pair.client.connect(secret(), Timeout::NONE, true);
        assert!(matches!(started.result, Err(Error::Again)));
        assert_ne!(started.op, 0);
        until(&pair, || readable(fd).then_some(()));
        assert!(readable(engine_fd));
        let event = pair.engine.next_event().unwrap();
        assert_eq!((event.kind, event.op), (EventKind::AuthResult, started.op));
        assert!(event.status.is_none());
        assert!(!readable(fd) && !readable(engine_fd));
        assert!(matches!(pair.engine.next_event(), Err(Error::Again)));

        let (channel, opened) = pair.client.open_channel("session", &[], None, None, Timeout::NONE, true);
        assert!(matches!(opened.result, Err(Error::Again)));
        let channel = channel.unwrap();
        let event = next(&pair);
        assert_eq!((event.kind, event.op), (EventKind::OperationDone, opened.op));
        assert!(Arc::ptr_eq(&event.channel.unwrap(), &channel));

        let far = pair.server.accept(LONG).unwrap();
        far.write_all(Stream::Data, b"one", LONG).1.unwrap();
        let event = next(&pair);
        assert_eq!(event.kind, EventKind::ChannelReadable);
        let mut got = [0; 10];
        assert_eq!(channel.read(Stream::Data, &mut got, Timeout::NONE).unwrap(), 3);
        far.finish(9).unwrap();
        let mut kinds = Vec::new();
        until(&pair, || {
            let event = pair.client.next_event().ok()?;
            if event.kind == EventKind::ChannelExit {
                assert_eq!(event.value, 9);
            }
            kinds.push(event.kind);
            kinds.contains(&EventKind::ChannelClosed).then_some(())
        });
        assert!(kinds.contains(&EventKind::ChannelExit) && kinds.contains(&EventKind::ChannelReadable), "{kinds:?}");
        assert!(kinds.len() <= 4, "{kinds:?}");
        channel.release();
        far.release();
        pair.client.close().unwrap();
        let event = next(&pair);
        assert_eq!(event.kind, EventKind::Disconnected);
        assert!(matches!(event.status, Some(Error::Disconnected(_))));
        assert!(matches!(pair.client.next_event(), Err(Error::Again)));
    });
}

#[test]
fn an_operation_nobody_wants_leaves_nothing() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let gone = pair.client.global_request("no@example", &[], true, Timeout::NONE, false);
        assert!(matches!(gone.result, Err(Error::Again)));
        assert_eq!(gone.op, 0);
        let kept = pair.client.global_request("no@example", &[], true, Timeout::NONE, true);
        let event = next(&pair);
        assert_eq!((event.kind, event.op), (EventKind::OperationDone, kept.op));
        assert!(matches!(event.status, Some(Error::RequestDenied(_))));
        assert!(matches!(pair.client.take_error(kept.op).unwrap(), Some(Error::RequestDenied(_))));
        assert!(pair.client.take_error(kept.op).unwrap().is_none());
        assert!(pair.client.next_event().is_err());
        let yes = pair.client.global_request("yes@example", &[], true, LONG, true);
        yes.result.unwrap();
        assert!(pair.client.next_event().is_err());
    });
}

#[test]
fn a_thousand_unread_operations_are_enough() {
    let pair = Pair::usual(1);
    let mut begun = 0;
    let full = loop {
        let started = pair.client.global_request("yes@example", &[], false, Timeout::NONE, true);
        match started.result {
            Ok(_) => begun += 1,
            Err(Error::Again) => begun += 1,
            Err(error) => break error,
        }
        // Nothing waits for a reply: these end at once, so others that do wait are needed to fill the table.
        let started = pair.client.global_request("yes@example", &[], true, Timeout::NONE, true);
        match started.result {
            Ok(_) => {}
            Err(Error::Again) => begun += 1,
            Err(error) => break error,
        }
        assert!(begun < 5000);
    };
    assert!(matches!(full, Error::Limit(_)), "{full}");
    let mut read = 0;
    while read < 1000 {
        match pair.client.next_event() {
            Ok(event) => {
                assert_eq!(event.kind, EventKind::OperationDone);
                read += 1;
            }
            Err(Error::Again) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    pair.client.global_request("yes@example", &[], true, LONG, false).result.unwrap();
}

#[test]
fn questions_as_events() {
    in_both_modes(|threads| {
        let pair = Pair::unstarted(threads, Arc::new(Host::default()));
        pair.server.set_questions_as_events(true).unwrap();
        let _ = pair.server.start_server(None, Timeout::NONE, false);
        pair.client.set_questions_as_events(true).unwrap();
        let policy = HostKeyPolicy::Check(Box::new(HostKeyCheck { ask: true, ..HostKeyCheck::default() }));
        let started = pair.client.connect(ConnectOptions { policy, ..secret() }, Timeout::NONE, true);
        assert!(matches!(started.result, Err(Error::Again)));
        let mut asked = Vec::new();
        until(&pair, || {
            if let Ok(event) = pair.client.next_event() {
                match event.payload {
                    Payload::Ticket(ticket) => {
                        assert!(matches!(ticket.question(), Question::HostKey { .. }));
                        asked.push("host key");
                        ticket.decide(Decision::Accept).unwrap();
                        assert!(matches!(ticket.decide(Decision::Accept), Err(Error::State(_))));
                    }
                    _ => {
                        assert_eq!((event.kind, event.op), (EventKind::AuthResult, started.op));
                        assert!(event.status.is_none(), "{:?}", event.status);
                        return Some(());
                    }
                }
            }
            if let Ok(event) = pair.server.next_event()
                && let Payload::Ticket(ticket) = event.payload
            {
                match ticket.question() {
                    Question::Server(ServerQuestion::AllowedMethods { .. }) => {
                        ticket.answer(Answer::Methods("password".to_owned())).unwrap();
                    }
                    Question::Server(ServerQuestion::Password { .. }) => {
                        asked.push("password");
                        assert!(matches!(ticket.answer(Answer::Bytes(vec![1])), Err(Error::Argument(_))));
                        ticket.decide(Decision::Accept).unwrap();
                    }
                    // Dropped unanswered: rejected.
                    _ => {}
                }
            }
            None
        });
        assert_eq!(asked, ["host key", "password"]);
        assert_eq!(pair.host.asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    });
}

#[test]
fn waiting_for_an_operation_and_cancelling_it() {
    in_both_modes(|threads| {
        let tickets = Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = Arc::clone(&tickets);
        let host = Host::with(move |_, ticket| {
            matches!(ticket.question(), Question::GlobalRequest { .. } | Question::ChannelOpen { .. }).then(|| {
                kept.lock().unwrap().push(Arc::clone(ticket));
                Decision::Defer
            })
        });
        let pair = Pair::connected(threads, host);
        let soon = Timeout::after(Duration::from_millis(20));
        let asked = pair.client.global_request("yes@example", &[], true, soon, true);
        assert!(matches!(asked.result, Err(Error::Again)));
        assert!(matches!(pair.client.wait(asked.op, soon), Err(Error::Again)));
        let take = || {
            let end = Instant::now() + Duration::from_secs(10);
            loop {
                if let Some(ticket) = tickets.lock().unwrap().pop() {
                    return ticket;
                }
                assert!(Instant::now() < end);
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        take().answer(Answer::Bytes(vec![1, 2, 3])).unwrap();
        let event = pair.client.wait(asked.op, LONG).unwrap();
        assert!(matches!(&event.payload, Payload::Message(data) if data == &[1, 2, 3]));

        let asked = pair.client.global_request("yes@example", &[], true, soon, true);
        pair.client.cancel(asked.op).unwrap();
        assert!(matches!(pair.client.cancel(asked.op), Err(Error::NotFound(_))));
        take().decide(Decision::Accept).unwrap();

        let (channel, opened) = pair.client.open_channel("session", &[], None, None, soon, true);
        let channel = channel.unwrap();
        pair.client.cancel(opened.op).unwrap();
        assert!(matches!(channel.read(Stream::Data, &mut [0], LONG), Err(Error::Cancelled)));
        channel.release();
        // What is granted late is undone.
        take().decide(Decision::Accept).unwrap();
        let far = pair.server.accept(LONG).unwrap();
        until(&pair, || match far.read(Stream::Data, &mut [0], Timeout::NONE) {
            Err(Error::Eof) => Some(()),
            Err(Error::Again) => None,
            other => panic!("{other:?}"),
        });
        far.release();
        assert!(pair.client.next_event().is_err());
        let rekey = pair.client.rekey(Timeout::NONE, true);
        match pair.client.cancel(rekey.op) {
            // The engines' threads were quicker; the event of the end is taken back.
            Ok(()) => return,
            refused => {
                assert!(matches!(refused, Err(Error::State(_))));
                let again = pair.client.rekey(Timeout::NONE, true);
                assert!(matches!(again.result, Err(Error::State(_) | Error::Again)), "{:?}", again.result);
            }
        }
        pair.client.wait(rekey.op, LONG).unwrap();
    });
}

#[test]
fn the_engine_descriptor_tells_of_work() {
    let pair = Pair::started(0, Arc::new(Host::default()));
    let fd = pair.engine.fd().unwrap();
    assert!(matches!(engine(1).fd(), Err(Error::State(_))));
    let started = pair.client.connect(secret(), Timeout::NONE, true);
    let end = Instant::now() + Duration::from_secs(20);
    let mut done = false;
    while !done {
        assert!(Instant::now() < end);
        super::super::sys::poller::poll_readable(&[fd], Some(end)).unwrap();
        let result = pair.engine.dispatch(Timeout::NONE);
        assert!(matches!(result, Ok(()) | Err(Error::Again)), "{result:?}");
        while let Ok(event) = pair.engine.next_event() {
            done |= event.op == started.op;
        }
    }
    // All is done: the descriptor is quiet until something comes.
    std::thread::sleep(Duration::from_millis(120));
    while pair.engine.dispatch(Timeout::NONE).is_ok() {}
    assert!(!readable(fd));
    assert!(matches!(pair.engine.dispatch(Timeout::NONE), Err(Error::Again)));
    let (channel, _) = pair.client.open_channel("session", &[], None, None, Timeout::NONE, false);
    super::super::sys::poller::poll_readable(&[fd], Some(end)).unwrap();
    pair.engine.dispatch(Timeout::NONE).unwrap();
    channel.unwrap().release();
}

#[test]
fn each_thread_that_waits_for_an_operation_gets_its_end() {
    in_both_modes(|threads| {
        let kept = Arc::new(std::sync::Mutex::new(None));
        let keeper = Arc::clone(&kept);
        let host = Host::with(move |_, ticket| {
            matches!(ticket.question(), Question::GlobalRequest { .. }).then(|| {
                *keeper.lock().unwrap() = Some(Arc::clone(ticket));
                Decision::Defer
            })
        });
        let pair = Pair::connected(threads, host);
        for answered in [true, false] {
            let asked = pair.client.global_request("yes@example", &[], true, Timeout::NONE, true);
            assert!(matches!(asked.result, Err(Error::Again)));
            let events = std::thread::scope(|scope| {
                let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| pair.client.wait(asked.op, LONG))).collect();
                let impatient = pair.client.wait(asked.op, Timeout::after(Duration::from_millis(40)));
                assert!(matches!(impatient, Err(Error::Again)));
                if answered {
                    let ticket = kept.lock().unwrap().take().unwrap();
                    ticket.answer(Answer::Bytes(vec![1, 2, 3])).unwrap();
                } else {
                    pair.client.cancel(asked.op).unwrap();
                }
                waits.into_iter().map(|wait| wait.join().unwrap().unwrap()).collect::<Vec<_>>()
            });
            for event in events {
                assert_eq!(event.op, asked.op);
                if answered {
                    assert!(matches!(&event.payload, Payload::Message(data) if data == &[1, 2, 3]));
                } else {
                    assert!(matches!(event.status, Some(Error::Cancelled)));
                }
            }
            assert!(matches!(pair.client.wait(asked.op, Timeout::NONE), Err(Error::NotFound(_))));
            assert!(pair.client.next_event().is_err());
        }
    });
}
