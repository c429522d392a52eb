//! What strangers and stubborn peers can make the library hold, in either role: bytes a connection, counted by the
//! allocator.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nacre::engine::{Channel, Decision, Limit, Question, ServerQuestion, Stream, Ticket, Timeout, Transport};
use nacre::error::Error;

#[path = "load/crowd.rs"]
mod crowd;
#[allow(unused_imports)]
mod raw;

use crowd::{Crowd, live};
use raw::library::{LONG, in_both_modes, in_both_roles};
use raw::login::{data, open, password_request};
use raw::{Library, Options, Peer, Side, Step, Watcher, message};

/// One at a time: the count is of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn peers() -> usize {
    if std::env::var_os("NACRE_TEST_FULL").is_some() { 1000 } else { 200 }
}

const BEFORE_KEXINIT: isize = 64 << 10;
const AFTER_KEXINIT: isize = 600 << 10;

const NEVER: Duration = Duration::from_secs(600);

/// Half of the largest packet, as its length is told.
fn half_of_a_packet(peer: &mut Peer, largest: u32) {
    let mut packet = largest.to_be_bytes().to_vec();
    packet.push(4);
    packet.resize(largest as usize / 2, 0);
    peer.write(&packet);
}

fn kexinit_of_full_size(peer: &mut Peer) {
    let mut kexinit = peer.kexinit();
    // The last list but the flag and the reserved number: languages may be anything.
    let tail = kexinit.split_off(kexinit.len() - 9);
    let filler = 34_000 - kexinit.len();
    kexinit.extend(u32::try_from(filler).unwrap().to_be_bytes());
    kexinit.resize(kexinit.len() + filler, b'x');
    kexinit.extend_from_slice(&tail[4..]);
    peer.send(&kexinit);
}

#[test]
fn strangers_hold_little_before_their_kexinit() {
    let _turn = alone();
    type Point = fn(&mut Peer);
    let points: [(&str, Point); 5] = [
        ("nothing", |_| {}),
        ("half of an identification", |peer| peer.write(&[b"SSH-2.0-".as_slice(), &[b'x'; 200]].concat())),
        ("identification", Peer::identify),
        ("half of the largest packet", |peer| {
            peer.identify();
            half_of_a_packet(peer, 35_000 - 4);
        }),
        ("all but a byte of the largest packet", |peer| {
            peer.identify();
            let packet = peer.framed(&message(2).string(vec![0; 34_900]).0);
            peer.write(&packet[..packet.len() - 1]);
        }),
    ];
    in_both_modes(|threads| {
        let mut crowd = Crowd::new(threads, NEVER, NEVER);
        for (name, worst) in points {
            let each = crowd.bring(peers(), worst);
            println!("threads {threads}, {name}: {each} bytes a connection");
            assert!(each <= BEFORE_KEXINIT, "{name}: {each} bytes a connection");
            crowd.clear();
        }
    });
}

#[test]
fn strangers_hold_no_more_than_this_after_their_kexinit() {
    let _turn = alone();
    type Point = fn(&mut Peer);
    let points: [(&str, Point); 5] = [
        ("KEXINIT of full size", |peer| {
            peer.identify();
            peer.read_identification().unwrap();
            kexinit_of_full_size(peer);
            peer.read_kexinit().unwrap();
        }),
        ("KEXINIT of full size and half of a packet", |peer| {
            peer.identify();
            peer.read_identification().unwrap();
            kexinit_of_full_size(peer);
            peer.read_kexinit().unwrap();
            half_of_a_packet(peer, 35_000 - 4);
        }),
        ("keyed", |peer| peer.handshake().unwrap()),
        ("100 PINGs", |peer| {
            peer.handshake().unwrap();
            for _ in 0..100 {
                peer.send(message(192).string([0; 1000]));
            }
        }),
        ("half of the largest sealed packet", |peer| {
            peer.handshake().unwrap();
            let mut packet = 262_144_u32.to_be_bytes().to_vec();
            packet.push(4);
            packet.resize(5 + 60, 0);
            // Only the length needs to be right.
            let mut sealed = peer.sealed_packet(packet);
            sealed.resize(131_072, 0);
            peer.write(&sealed);
        }),
    ];
    in_both_modes(|threads| {
        let mut crowd = Crowd::new(threads, NEVER, NEVER);
        for (name, worst) in points {
            let each = crowd.bring(peers(), worst);
            println!("threads {threads}, {name}: {each} bytes a connection");
            assert!(each <= AFTER_KEXINIT, "{name}: {each} bytes a connection");
            crowd.clear();
        }
    });
}

/// Dropped exactly at the deadline, and nothing is left of any.
#[test]
fn nothing_is_left_of_strangers_after_the_deadline() {
    let _turn = alone();
    in_both_modes(|threads| {
        // Tables that grow with the crowd, and shrink no more, have their size before anything is counted.
        let wait = Duration::from_millis(if peers() > 200 { 6000 } else { 2500 });
        let mut crowd = Crowd::new(threads, wait, wait);
        let count = peers();
        for _ in 0..3 {
            crowd.bring(count, |peer| peer.write(b"no identification\r\n"));
            crowd.clear();
        }
        crowd.before = live();
        for number in 0..count {
            let mut peer = crowd.add(Options::default());
            match number % 4 {
                0 => {}
                1 => peer.identify(),
                2 => {
                    peer.identify();
                    half_of_a_packet(&mut peer, 34_996);
                }
                _ => peer.handshake().unwrap(),
            }
            crowd.streams.push(peer.stream);
        }
        let begun = Instant::now();
        for watcher in &crowd.watchers {
            assert!(matches!(watcher.ended(), Error::Timeout(_)));
        }
        assert!(begun.elapsed() < wait + Duration::from_secs(5));
        // The application still has its handles; the peers their ends.
        crowd.settle();
        let held = (live() - crowd.before) / isize::try_from(count).unwrap();
        crowd.clear();
        let left = live() - crowd.before;
        println!("threads {threads}: {held} bytes a handle after the deadline, {left} in all when they are freed");
        assert!(held <= 16 << 10, "{held} bytes a handle");
        assert!(left <= 64 << 10, "{left} bytes are left");
    });
}

/// The descriptors of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Deferred, and answered by nobody but the deadline, or at the very moment of the deadline.
fn deferring(tickets: &Arc<Mutex<Vec<Arc<Ticket>>>>) -> Arc<Watcher> {
    let tickets = Arc::clone(tickets);
    Watcher::with(move |ticket| match ticket.question() {
        Question::Server(ServerQuestion::Password { .. }) => {
            tickets.lock().unwrap().push(Arc::clone(ticket));
            Some(Decision::Defer)
        }
        _ => None,
    })
}

/// Wave after wave of connections, each stopped at another point and dropped at its deadline, while something comes in at
/// that very moment: the next bytes of the peer, its end, or the application's answer.
#[test]
fn ten_thousand_are_dropped_exactly_at_their_deadline() {
    let _turn = alone();
    let (waves, each) = if std::env::var_os("NACRE_TEST_FULL").is_some() { (10, 1000) } else { (4, 125) };
    in_both_modes(|threads| {
        // The pace of this machine decides how long a wave takes to come together.
        let mut wait = Duration::from_millis(500);
        let mut crowd = Crowd::new(threads, wait, wait);
        let tickets = Arc::new(Mutex::new(Vec::new()));
        let mut held_descriptors = 0;
        for wave in 0..waves + 2 {
            // The first two make the tables as large as they become.
            if wave == 2 {
                crowd.before = live();
                held_descriptors = descriptors();
            }
            let begun = Instant::now();
            let mut peers = Vec::with_capacity(each);
            let limit = u64::try_from(wait.as_millis()).unwrap();
            crowd.engine.set_limit(Limit::Handshake, limit).unwrap();
            crowd.engine.set_limit(Limit::Login, limit).unwrap();
            let mut due = Vec::with_capacity(each);
            for number in 0..each {
                let mut peer = crowd.add_watched(Options::default(), deferring(&tickets));
                due.push(Instant::now() + wait);
                stop_at(&mut peer, number % 6);
                peers.push(peer);
            }
            let prepared = begun.elapsed();
            // At the deadline of each, what comes next of it.
            for (number, (peer, due)) in peers.iter_mut().zip(&due).enumerate() {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                match number % 4 {
                    0 => peer.write(b"SSH-2.0-late\r\n"),
                    1 => peer.send(password_request("user", "secret")),
                    2 => drop(peer.stream.shutdown(std::net::Shutdown::Both)),
                    _ => {
                        let ticket = tickets.lock().unwrap().pop();
                        drop(ticket.map(|ticket| ticket.decide(Decision::Reject)));
                    }
                }
            }
            for watcher in &crowd.watchers {
                let error = watcher.ended();
                // Whatever was first: the deadline, or the peer's end or nonsense.
                let sane = matches!(error, Error::Timeout(_) | Error::Closed(_) | Error::Protocol(_) | Error::Io(_));
                assert!(sane, "{error:?}");
                assert_eq!(watcher.users(), []);
            }
            tickets.lock().unwrap().clear();
            drop(peers);
            crowd.clear();
            wait = wait.max(prepared.mul_f64(1.5));
        }
        let left = live() - crowd.before;
        println!("threads {threads}: {left} bytes are left of {} connections", waves * each);
        assert!(left <= 64 << 10, "{left} bytes are left");
        assert_eq!(descriptors(), held_descriptors);
    });
}

/// Brings a stranger to one of six points.
fn stop_at(peer: &mut Peer, point: usize) {
    match point {
        0 => {}
        1 => peer.write(b"SSH-2.0-"),
        2 => peer.identify(),
        3 => {
            peer.identify();
            half_of_a_packet(peer, 34_996);
        }
        4 => {
            // The library may have left already, on a slow machine.
            let _ = peer.handshake();
        }
        _ => {
            if peer.handshake().is_ok() && peer.ask_for_service().is_ok() {
                peer.send(password_request("user", "secret"));
            }
        }
    }
}

/// Grows by no more than this while the peer goes on: a buffer that is in use or is not.
#[track_caller]
fn stays_flat(name: &str, most: isize, mut round: impl FnMut()) {
    for _ in 0..3 {
        round();
    }
    let before = live();
    for _ in 0..10 {
        round();
    }
    std::thread::sleep(Duration::from_millis(50));
    let grown = live() - before;
    println!("{name}: {grown} bytes more after ten rounds");
    assert!(grown <= most, "{name}: {grown} bytes more");
}

/// Another peer of the same engine is served all the while.
fn is_served(crowd: &mut Crowd) {
    let mut other = crowd.add(Options::default());
    other.connect().unwrap();
    other.ping().unwrap();
    let transport = crowd.transports.pop().unwrap();
    transport.release();
    crowd.watchers.pop();
}

/// A channel that only the peer's window and reading hold back, whoever opened it.
fn wide_channel(side: Side, peer: &mut Peer, transport: &Arc<Transport>) -> Arc<Channel> {
    match side {
        Side::Client => {
            peer.open_session(u32::MAX, 32_768).unwrap();
            transport.accept(LONG).unwrap()
        }
        Side::Server => {
            let (channel, _) = transport.open_channel("session", &[], None, None, Timeout::NONE, true);
            peer.take_channel(u32::MAX, 32_768).unwrap();
            channel.unwrap()
        }
    }
}

#[test]
fn a_peer_that_never_reads() {
    let _turn = alone();
    in_both_roles(|side, threads| {
        let mut crowd = Crowd::new(threads, NEVER, NEVER);
        let (mut peer, transport) = crowd.connected(side);
        let channel = wide_channel(side, &mut peer, &transport);
        let block = vec![1; 1 << 20];
        // The application writes what is taken; the peer asks for more replies than it reads.
        peer.stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        let ping = message(192).string([0; 30_000]);
        for _ in 0..100 {
            if peer.gone {
                break;
            }
            peer.send(&ping);
            let _ = channel.write(Stream::Data, &block, Timeout::NONE);
        }
        stays_flat("never reads", 256 << 10, || {
            let _ = channel.write(Stream::Data, &block, Timeout::NONE);
        });
        let held = live() - crowd.before - block.len() as isize;
        println!("{side:?}, threads {threads}: {held} bytes for a peer that never reads");
        assert!(held <= 4 << 20, "{held}");
        is_served(&mut crowd);
        channel.release();
    });
}

#[test]
fn a_peer_that_never_finishes_a_renewal() {
    let _turn = alone();
    in_both_roles(|side, threads| {
        for begins in [true, false] {
            let mut crowd = Crowd::new(threads, NEVER, NEVER);
            let (mut peer, transport) = crowd.connected(side);
            let channel = wide_channel(side, &mut peer, &transport);
            if begins {
                peer.send_kexinit(&mut |_: &mut Peer, _: Step| {});
                peer.read_kexinit().unwrap();
            } else {
                // The library's own, which the peer takes no notice of.
                let started = transport.rekey(Timeout::NONE, false);
                assert!(matches!(started.result, Err(Error::Again)));
            }
            let block = vec![1; 1 << 20];
            let round = |peer: &mut Peer| {
                let _ = channel.write(Stream::Data, &block, Timeout::NONE);
                // Requests of all kinds, as long as they are taken.
                let _ = transport.send_ignore(30_000);
                let _ = transport.global_request("x@y", &block[..100_000], false, Timeout::NONE, false);
                let _ = channel.request("x@y", &block[..100_000], false, Timeout::NONE, false);
                for _ in 0..100 {
                    peer.send(message(192).string([0; 100]));
                }
            };
            // Until what may wait for the end of the exchange has come together.
            (0..40).for_each(|_| round(&mut peer));
            stays_flat("never finishes a renewal", 256 << 10, || round(&mut peer));
            assert!(transport.is_active(), "the application cannot end the connection by asking too much");
            is_served(&mut crowd);
            channel.release();
        }
    });
}

#[test]
fn window_adjusts_for_ever_and_channels_that_are_never_used() {
    let _turn = alone();
    in_both_roles(|side, threads| {
        let mut crowd = Crowd::new(threads, NEVER, NEVER);
        let (mut peer, transport) = crowd.connected(side);
        let number = peer.open_session(1, 32_768).unwrap();
        stays_flat("window adjusts for ever", 256 << 10, || {
            for _ in 0..500 {
                peer.send(message(93).u32(number).u32(1));
            }
            peer.ping().unwrap();
        });
        drop(transport);
        // The first 1,024 are taken as the application takes them; then there is no room.
        let mut taken = 1;
        let before = live();
        loop {
            peer.send(open("session", 7, 1000, 1000));
            let answer = peer.receive().unwrap();
            if answer[0] != 91 {
                assert_eq!(answer[0], 92);
                break;
            }
            taken += 1;
        }
        let each = (live() - before) / taken;
        println!("{side:?}, threads {threads}: {taken} channels at {each} bytes");
        assert!(each <= 8 << 10, "{each}");
        stays_flat("channels beyond the limit", 256 << 10, || {
            for _ in 0..50 {
                peer.send(open("session", 7, 1000, 1000));
                peer.expect_late(92).unwrap();
            }
        });
        is_served(&mut crowd);
    });
}

#[test]
fn channels_opened_and_closed_for_ever() {
    let _turn = alone();
    in_both_modes(|threads| {
        let (library, mut peer) = Library::server(threads, Options::default());
        peer.connect().unwrap();
        stays_flat("channels opened and closed", 256 << 10, || {
            for _ in 0..20 {
                let number = peer.open_session(1000, 1000).unwrap();
                peer.send(data(number, "x"));
                peer.send(message(97).u32(number));
                let channel = library.transport.accept(LONG).unwrap();
                let _ = channel.close();
                channel.release();
                peer.expect_late(97).unwrap();
            }
        });
        stays_flat("failed logins", 256 << 10, || {
            let (_library, mut peer) = Library::server(threads, Options::default());
            peer.handshake().unwrap();
            peer.ask_for_service().unwrap();
            peer.send(password_request("user", "wrong"));
            peer.expect(51).unwrap();
        });
    });
}
