//! Many connections of the library on one engine, and what they hold, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use nacre::engine::{Asker, ConnectOptions, Engine, Limit, Timeout, Transport};
use nacre::error::Error;

use crate::raw::library::{Driver, engine, host_key, secret};
use crate::raw::{Options, Peer, Side, Suite, Watcher};

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

pub fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
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

/// Connections of the library on one engine, and the streams to them.
pub struct Crowd {
    pub engine: Arc<Engine>,
    _driver: Driver,
    pub transports: Vec<Arc<Transport>>,
    pub streams: Vec<UnixStream>,
    pub watchers: Vec<Arc<Watcher>>,
    pub before: isize,
}

impl Crowd {
    pub fn new(threads: u32, handshake: Duration, login: Duration) -> Self {
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

    pub fn add(&mut self, options: Options) -> Peer {
        self.add_watched(options, Watcher::usual())
    }

    pub fn add_watched(&mut self, options: Options, watcher: Arc<Watcher>) -> Peer {
        let (one, two) = UnixStream::pair().unwrap();
        let transport = Transport::from_fd(&self.engine, one.into_raw_fd()).unwrap();
        transport.add_host_key(host_key()).unwrap();
        let asker: Arc<dyn Asker> = Arc::clone(&watcher) as _;
        let started = transport.start_server(Some(asker), Timeout::NONE, false);
        assert!(matches!(started.result, Err(Error::Again)));
        self.transports.push(transport);
        self.watchers.push(watcher);
        Peer::new(two, Side::Client, options)
    }

    /// One that is logged in, with the library in the role that the peer's side leaves.
    pub fn connected(&mut self, side: Side) -> (Peer, Arc<Transport>) {
        let mut peer = match side {
            Side::Client => self.add(Options::default()),
            Side::Server => self.add_client(Options::default()),
        };
        peer.connect().unwrap();
        peer.ping().unwrap();
        (peer, Arc::clone(self.transports.last().unwrap()))
    }

    /// A client of the library on its way to a login.
    fn add_client(&mut self, options: Options) -> Peer {
        let (one, two) = UnixStream::pair().unwrap();
        let transport = Transport::from_fd(&self.engine, one.into_raw_fd()).unwrap();
        let watcher = Watcher::usual();
        let login = ConnectOptions { asker: Some(Arc::clone(&watcher) as _), ..secret() };
        assert!(matches!(transport.connect(login, Timeout::NONE, false).result, Err(Error::Again)));
        self.transports.push(transport);
        self.watchers.push(watcher);
        Peer::new(two, Side::Server, options)
    }

    /// Each is brought to its worst point; gives the bytes a connection.
    pub fn bring(&mut self, count: usize, worst: impl Fn(&mut Peer)) -> isize {
        for _ in 0..count {
            let mut peer = self.add(Options::suite(Suite::ChaCha));
            worst(&mut peer);
            self.streams.push(peer.stream);
        }
        self.settle();
        (live() - self.before) / isize::try_from(count).unwrap()
    }

    /// Until the count stands still.
    pub fn settle(&self) {
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

    pub fn clear(&mut self) {
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
