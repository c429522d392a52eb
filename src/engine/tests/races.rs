use std::io::Read;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::support::*;
use crate::engine::*;
use crate::error::Error;
use crate::session::{Question, Stream};

fn pause() {
    thread::sleep(Duration::from_millis(20));
}

/// Leaves what is asked after the login unanswered, but the opening of channels with data.
fn silent() -> Arc<Host> {
    let kept = Mutex::new(Vec::new());
    Host::with(move |_, ticket| match ticket.question() {
        Question::ChannelOpen { data, .. } if !data.is_empty() => None,
        Question::ChannelRequest { .. } | Question::ChannelOpen { .. } => {
            kept.lock().unwrap().push(Arc::clone(ticket));
            Some(Decision::Defer)
        }
        _ => None,
    })
}

#[test]
fn freeing_a_channel_ends_waits_for_what_it_had_under_way() {
    in_both_modes(|threads| {
        let pair = Pair::connected(threads, silent());
        let (near, begun) = pair.client.open_channel("session", &[], None, None, Timeout::NONE, true);
        assert!(matches!(begun.result, Err(Error::Again)));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pair.client.wait(begun.op, LONG).map(drop));
            pause();
            let before = Instant::now();
            near.unwrap().release();
            let ended = waiting.join().unwrap();
            // NotFound where the thread began late.
            assert!(matches!(ended, Err(Error::Cancelled | Error::NotFound(_))), "{ended:?}");
            assert!(before.elapsed() < Duration::from_secs(5), "nobody woke it");
        });
    });
}

#[test]
fn closing_a_channel_ends_waits_for_replies_on_it() {
    in_both_modes(|threads| {
        let pair = Pair::connected(threads, silent());
        let (near, opened) = pair.client.open_channel("session", b"data", None, None, LONG, false);
        opened.result.unwrap();
        let near = near.unwrap();
        let far = pair.server.accept(LONG).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| near.request("exec", &string(b"x"), true, LONG, false).result);
            pause();
            let before = Instant::now();
            near.close().unwrap();
            let ended = waiting.join().unwrap();
            assert!(matches!(ended, Err(Error::Closed(_))), "{ended:?}");
            assert!(before.elapsed() < Duration::from_secs(5), "it waited for the peer");
        });
        near.release();
        far.release();
    });
}

#[test]
fn a_whole_write_that_may_not_wait_gets_its_turn_later() {
    let pair = Pair::usual(1);
    let (near, far) = pair.channel();
    thread::scope(|scope| {
        let first = scope.spawn(|| near.write_all(Stream::Data, &vec![0; 8 << 20], LONG).1.unwrap());
        while near.writable().unwrap() > 0 {
            pause();
        }
        let (count, result) = near.write_all(Stream::Data, b"x", Timeout::NONE);
        assert!(count == 0 && matches!(result, Err(Error::Again)), "{result:?}");
        let reading = scope.spawn(|| read_all(&far).unwrap());
        first.join().unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while !events(&pair.client).contains(&EventKind::ChannelWritable) {
            assert!(Instant::now() < end, "nothing said that there is room");
            pause();
        }
        near.write_all(Stream::Data, b"x", LONG).1.unwrap();
        near.send_eof().unwrap();
        assert_eq!(reading.join().unwrap().len(), (8 << 20) + 1);
    });
    near.release();
    far.release();
}

/// Both callbacks come at once, when one callback thread is idle: one of them must not wait for the other.
#[test]
fn two_callbacks_at_once_have_two_threads() {
    for _ in 0..20 {
        let engine = engine(1);
        let (sender, receiver) = mpsc::channel();
        let at_once = |count: usize| {
            let meet = Arc::new(Barrier::new(count));
            let mut transports = Vec::new();
            for _ in 0..count {
                let (one, _) = UnixStream::pair().unwrap();
                let transport = Transport::from_fd(&engine, one.into_raw_fd()).unwrap();
                let slow = Slow(Arc::clone(&meet), Mutex::new(sender.clone()));
                transport.set_asker(Some(Arc::new(slow))).unwrap();
                transports.push(transport);
            }
            for transport in &transports {
                transport.close().unwrap();
            }
            for _ in 0..count {
                receiver.recv_timeout(Duration::from_secs(5)).expect("one callback thread for all");
            }
            transports.iter().for_each(Transport::release);
        };
        at_once(1);
        pause();
        at_once(2);
        engine.release();
    }
}

struct Slow(Arc<Barrier>, Mutex<mpsc::Sender<()>>);

impl Asker for Slow {
    fn ask(&self, _: &Arc<Transport>, _: &Arc<Ticket>) -> Decision {
        Decision::Reject
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.wait();
        self.1.lock().unwrap().send(()).unwrap();
    }
}

/// Whichever thread it runs on: that of a wait which drives the engine, or an I/O thread.
#[test]
fn nothing_waits_inside_a_destroy() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let destroyed = Arc::new(AtomicUsize::new(0));
        let (count, other) = (Arc::clone(&destroyed), Arc::clone(&pair.client));
        let destroy = move |_| {
            assert!(other.accept(Timeout::FOREVER).is_err());
            assert!(other.engine().dispatch(Timeout::FOREVER).is_err());
            count.fetch_add(1, Ordering::SeqCst);
        };
        far.set_userdata(Some(Userdata::new(7, Some(Box::new(destroy))))).unwrap();
        assert_eq!(far.userdata(), 7);
        far.release();
        drop(far);
        let end = Instant::now() + Duration::from_secs(5);
        while destroyed.load(Ordering::SeqCst) == 0 && Instant::now() < end {
            pause();
        }
        assert_eq!(destroyed.load(Ordering::SeqCst), 1);
        near.release();
    });
}

#[test]
fn a_transport_given_up_at_a_fork_leaves_the_stream_alone() {
    in_both_modes(|threads| {
        let engine = engine(threads);
        let (one, mut two) = UnixStream::pair().unwrap();
        // As a child would have it.
        let copy = one.try_clone().unwrap();
        let client = Transport::from_fd(&engine, one.into_raw_fd()).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| client.start_client(LONG, false).result);
            let mut said = [0; 8];
            two.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"SSH-2.0-");
            pause();
            client.atfork();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Closed(_))));
        });
        assert!(matches!(client.fd(), Err(Error::Closed(_))));
        two.set_nonblocking(true).unwrap();
        let end = two.read_to_end(&mut Vec::new());
        assert!(end.is_err(), "the peer saw an end");
        drop(copy);
        client.release();
        engine.release();
    });
}
