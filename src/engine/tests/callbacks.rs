use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::support::*;
use crate::engine::*;
use crate::error::Error;
use crate::session::{Answer, ClientMethod, HostKeyPolicy, Question, ServerQuestion, Stream};

#[test]
fn a_deferred_decision_holds_up_only_itself() {
    in_both_modes(|threads| {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let host = Host::with(move |_, ticket| match ticket.question() {
            Question::Server(ServerQuestion::Password { .. }) => {
                sender.lock().unwrap().send(Arc::clone(ticket)).unwrap();
                Some(Decision::Defer)
            }
            _ => None,
        });
        let pair = Pair::started(threads, host);
        let answering = std::thread::spawn(move || {
            let ticket = receiver.recv().unwrap();
            std::thread::sleep(Duration::from_millis(20));
            ticket.decide(Decision::Accept).unwrap();
        });
        pair.client.connect(secret(), LONG, false).result.unwrap();
        answering.join().unwrap();
    });
}

#[test]
fn a_ticket_outlives_what_it_asks_about() {
    in_both_modes(|threads| {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeper = Arc::clone(&kept);
        let host = Host::with(move |_, ticket| match ticket.question() {
            Question::ChannelOpen { .. } => {
                keeper.lock().unwrap().push(Arc::clone(ticket));
                Some(Decision::Defer)
            }
            _ => None,
        });
        let pair = Pair::connected(threads, host);
        let (channel, _) = pair.client.open_channel("session", &[], None, None, Timeout::NONE, false);
        let soon = Timeout::after(Duration::from_millis(50));
        let _ = channel.as_ref().unwrap().read(Stream::Data, &mut [0], soon);
        while kept.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        channel.unwrap().release();
        drop(pair);
        let ticket = kept.lock().unwrap().pop().unwrap();
        assert!(matches!(ticket.question(), Question::ChannelOpen { kind, .. } if kind == "session"));
        assert!(matches!(ticket.decide(Decision::Accept), Err(Error::Closed(_))));
        assert!(matches!(ticket.decide(Decision::Accept), Err(Error::State(_))));
    });
}

#[test]
fn an_answer_may_come_before_the_callback_returns() {
    in_both_modes(|threads| {
        let host = Host::with(|_, ticket| match ticket.question() {
            Question::Server(ServerQuestion::Password { .. }) => {
                ticket.decide(Decision::Accept).unwrap();
                // Too late: it is answered.
                Some(Decision::Reject)
            }
            _ => None,
        });
        let pair = Pair::connected(threads, host);
        assert!(pair.client.is_authenticated());
    });
}

#[test]
fn inside_a_callback_nothing_waits() {
    in_both_modes(|threads| {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let host = Host::with(move |server, ticket| match ticket.question() {
            Question::ChannelRequest { .. } => {
                let channel = ticket.channel().unwrap();
                let read = channel.read(Stream::Data, &mut [0], Timeout::FOREVER);
                let accept = server.accept(Timeout::FOREVER).map(drop);
                let dispatch = server.engine().dispatch(Timeout::FOREVER);
                // What is written here goes out after the reply.
                let written = channel.write_all(Stream::Data, b"early", Timeout::FOREVER);
                sender.lock().unwrap().send((read, accept, dispatch, written)).unwrap();
                Some(Decision::Accept)
            }
            _ => None,
        });
        let pair = Pair::connected(threads, host);
        let (near, far) = pair.channel();
        near.request("exec", &string(b"x"), true, LONG, false).result.unwrap();
        let (read, accept, dispatch, written) = receiver.recv().unwrap();
        assert!(matches!(read, Err(Error::Again)));
        assert!(matches!(accept, Err(Error::Again)));
        assert!(matches!(dispatch, Err(Error::Again | Error::State(_))));
        assert_eq!(written.0, 5);
        written.1.unwrap();
        let mut got = [0; 5];
        assert_eq!(near.read(Stream::Data, &mut got, LONG).unwrap(), 5);
        near.release();
        far.release();
    });
}

#[test]
fn a_handle_may_be_freed_in_its_own_callback() {
    in_both_modes(|threads| {
        let freed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&freed);
        let host = Host::with(move |server, ticket| match ticket.question() {
            Question::ChannelOpen { .. } => {
                server.add_owner();
                server.release();
                Some(Decision::Keep)
            }
            Question::ChannelRequest { .. } => {
                // The application got it by KEEP: this is its owner, and its count is given back too.
                let channel = Arc::clone(ticket.channel().unwrap());
                count.fetch_add(1, Ordering::SeqCst);
                channel.release();
                Some(Decision::Accept)
            }
            _ => None,
        });
        let pair = Pair::connected(threads, host);
        let (near, started) = pair.client.open_channel("session", &[], None, None, LONG, false);
        started.result.unwrap();
        let near = near.unwrap();
        // The answer counts all the same, and the end of the channel follows it.
        near.request("exec", &string(b"x"), true, LONG, false).result.unwrap();
        assert_eq!(freed.load(Ordering::SeqCst), 1);
        let read = near.read(Stream::Data, &mut [0], LONG);
        assert!(matches!(read, Err(Error::Eof)), "{read:?}");
        near.release();
        assert!(pair.client.is_active());
    });
}

#[test]
fn the_accept_queue_is_bounded_and_keep_goes_past_it() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        pair.server.set_limit(crate::session::Limit::AcceptQueue, 2).unwrap();
        let open = || {
            let (channel, started) = pair.client.open_channel("session", &[], None, None, LONG, false);
            if let Some(channel) = channel {
                channel.release();
            }
            started.result
        };
        open().unwrap();
        open().unwrap();
        match open() {
            Err(Error::ChannelRefused(failure)) => assert_eq!(failure.code, 4),
            other => panic!("{other:?}"),
        }
        pair.server.accept(LONG).unwrap().release();
        open().unwrap();
    });
}

#[test]
fn nobody_to_ask_means_no() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        // The client has nobody to ask what the server begins.
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while threads == 0 && !done.load(Ordering::SeqCst) {
                    let _ = pair.engine.dispatch(Timeout::after(Duration::from_millis(5)));
                }
            });
            let (none, refused) = pair.server.open_channel("tun@openssh.com", &[], None, None, LONG, false);
            assert!(none.is_none());
            assert!(matches!(refused.result, Err(Error::ChannelRefused(_))), "{:?}", refused.result);
            let refused = pair.server.global_request("yes@example", &[], true, LONG, false);
            assert!(matches!(refused.result, Err(Error::RequestDenied(_))));
            done.store(true, Ordering::SeqCst);
        });
        let pair = Pair::unstarted(threads, Arc::new(Host::default()));
        let _ = pair.server.start_server(None, Timeout::NONE, false);
        let refused = pair.client.connect(secret(), LONG, false).result;
        assert!(matches!(refused, Err(Error::AuthFailed(_) | Error::AuthMethod(_))), "{refused:?}");
    });
}

#[test]
fn askers_are_dropped_once_and_calls_are_in_order() {
    in_both_modes(|threads| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut host = Host::default();
        host.dropped = Some(Arc::clone(&dropped));
        let pair = Pair::connected(threads, Arc::new(host));
        let (near, far) = pair.channel();
        near.release();
        far.release();
        pair.client.close().unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(10);
        let notices = loop {
            let notices = pair.host.notices.lock().unwrap().clone();
            if notices.len() == 3 || std::time::Instant::now() > end {
                break notices;
            }
            let _ = pair.client.flush(Timeout::after(Duration::from_millis(5)));
            std::thread::sleep(Duration::from_millis(1));
        };
        assert!(matches!(
            &notices[..],
            [Notice::Connected, Notice::Authenticated { .. }, Notice::Disconnected(Error::Disconnected(_))]
        ));
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        drop(pair);
        let end = std::time::Instant::now() + Duration::from_secs(5);
        while dropped.load(Ordering::SeqCst) == 0 && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn prompts_reach_the_asker_of_the_authentication() {
    in_both_modes(|threads| {
        let server = Host::with(|_, ticket| match ticket.question() {
            Question::Server(ServerQuestion::InteractiveStart { .. }) => {
                let prompts = vec![(b"code: ".to_vec(), false)];
                ticket.answer(Answer::Prompts { name: vec![], instruction: vec![], prompts }).unwrap();
                Some(Decision::Defer)
            }
            Question::Server(ServerQuestion::InteractiveAnswers { answers, .. }) => {
                Some(if &answers[0][..] == b"1234" { Decision::Accept } else { Decision::Reject })
            }
            _ => None,
        });
        let pair = Pair::started(threads, server);
        pair.client.set_host_key_check(HostKeyPolicy::Any, None).unwrap();
        pair.client.start_client(LONG, false).result.unwrap();
        let user = Host::with(|_, ticket| match ticket.question() {
            Question::Prompts { .. } => {
                ticket.answer(Answer::Texts(vec![zeroize::Zeroizing::new(b"1234".to_vec())])).unwrap();
                Some(Decision::Defer)
            }
            _ => None,
        });
        let method = ClientMethod::Interactive { submethods: String::new() };
        let asker: Arc<dyn Asker> = Arc::clone(&user) as _;
        pair.client.authenticate(b"user", method, Some(asker), LONG, false).result.unwrap();
        assert_eq!(user.asked.load(Ordering::SeqCst), 1);
    });
}
