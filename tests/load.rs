//! What strangers and stubborn peers can make the library hold: bytes a connection, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nacre::engine::{Asker, Engine, Limit, Stream, Timeout, Transport};
use nacre::error::Error;

#[allow(unused_imports)]
mod raw;

use raw::library::{Driver, LONG, engine, host_key, in_both_modes};
use raw::login::{data, open, password_request};
use raw::{Library, Options, Peer, Side, Step, Suite, Watcher, message};

static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size as isize - layout.size() as isize, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

/// One at a time: the count is of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn peers() -> usize {
    if std::env::var_os("NACRE_TEST_FULL").is_some() { 1000 } else { 200 }
}

/// As many descriptors as may be had.
fn raise_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a whole structure of their kind.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

const BEFORE_KEXINIT: isize = 64 << 10;
const AFTER_KEXINIT: isize = 600 << 10;

/// Servers on one engine, and the streams to them.
struct Crowd {
    engine: Arc<Engine>,
    _driver: Driver,
    transports: Vec<Arc<Transport>>,
    streams: Vec<UnixStream>,
    watchers: Vec<Arc<Watcher>>,
    before: isize,
}

impl Crowd {
    fn new(threads: u32, handshake: Duration, login: Duration) -> Self {
        raise_descriptors();
        let engine = engine(threads);
        engine.set_limit(Limit::Handshake, handshake.as_millis() as u64).unwrap();
        engine.set_limit(Limit::Login, login.as_millis() as u64).unwrap();
        let driver = Driver::new(&engine, threads);
        host_key();
        // What is made once is made before anything is counted.
        let mut crowd = Self {
            engine,
            _driver: driver,
            transports: Vec::with_capacity(4096),
            streams: Vec::with_capacity(4096),
            watchers: Vec::with_capacity(4096),
            before: 0,
        };
        let mut peer = crowd.add(Options::default());
        peer.connect().unwrap();
        drop(peer);
        crowd.watchers[0].ended();
        crowd.clear();
        crowd.before = live();
        crowd
    }

    fn add(&mut self, options: Options) -> Peer {
        let (one, two) = UnixStream::pair().unwrap();
        let transport = Transport::from_fd(&self.engine, one.into_raw_fd()).unwrap();
        transport.add_host_key(host_key()).unwrap();
        let watcher = Watcher::usual();
        let asker: Arc<dyn Asker> = Arc::clone(&watcher) as _;
        let started = transport.start_server(Some(asker), Timeout::NONE, false);
        assert!(matches!(started.result, Err(Error::Again)));
        self.transports.push(transport);
        self.watchers.push(watcher);
        Peer::new(two, Side::Client, options)
    }

    /// Each is brought to its worst point; gives the bytes a connection.
    fn bring(&mut self, count: usize, worst: impl Fn(&mut Peer)) -> isize {
        for _ in 0..count {
            let mut peer = self.add(Options::suite(Suite::ChaCha));
            worst(&mut peer);
            self.streams.push(peer.stream);
        }
        self.settle();
        (live() - self.before) / isize::try_from(count).unwrap()
    }

    /// Until the count stands still.
    fn settle(&self) {
        let mut last = live();
        let mut same = 0;
        let deadline = Instant::now() + Duration::from_secs(20);
        while same < 10 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
            let now = live();
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
    }

    fn clear(&mut self) {
        self.transports.drain(..).for_each(|transport| transport.release());
        self.streams.clear();
        self.watchers.clear();
        self.settle();
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.clear();
        self.engine.release();
    }
}

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

#[test]
fn a_peer_that_never_reads() {
    let _turn = alone();
    in_both_modes(|threads| {
        let mut crowd = Crowd::new(threads, NEVER, NEVER);
        let mut peer = crowd.add(Options::default());
        peer.connect().unwrap();
        peer.open_session(u32::MAX, 32_768).unwrap();
        let transport = Arc::clone(crowd.transports.last().unwrap());
        let channel = transport.accept(LONG).unwrap();
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
        println!("threads {threads}: {held} bytes for a peer that never reads");
        assert!(held <= 4 << 20, "{held}");
        is_served(&mut crowd);
        channel.release();
    });
}

#[test]
fn a_peer_that_never_finishes_a_renewal() {
    let _turn = alone();
    in_both_modes(|threads| {
        let mut crowd = Crowd::new(threads, NEVER, NEVER);
        let mut peer = crowd.add(Options::default());
        peer.connect().unwrap();
        peer.open_session(u32::MAX, 32_768).unwrap();
        let transport = Arc::clone(crowd.transports.last().unwrap());
        let channel = transport.accept(LONG).unwrap();
        peer.send_kexinit(&mut |_: &mut Peer, _: Step| {});
        peer.read_kexinit().unwrap();
        let block = vec![1; 1 << 20];
        stays_flat("never finishes a renewal", 256 << 10, || {
            let _ = channel.write(Stream::Data, &block, Timeout::NONE);
            for _ in 0..100 {
                peer.send(message(192).string([0; 100]));
            }
            let _ = transport.send_ignore(100);
        });
        is_served(&mut crowd);
        channel.release();
    });
}

#[test]
fn window_adjusts_for_ever_and_channels_that_are_never_used() {
    let _turn = alone();
    in_both_modes(|threads| {
        let mut crowd = Crowd::new(threads, NEVER, NEVER);
        let mut peer = crowd.add(Options::default());
        peer.connect().unwrap();
        let number = peer.open_session(1, 32_768).unwrap();
        stays_flat("window adjusts for ever", 256 << 10, || {
            for _ in 0..500 {
                peer.send(message(93).u32(number).u32(1));
            }
            peer.ping().unwrap();
        });
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
        println!("threads {threads}: {taken} channels at {each} bytes");
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
