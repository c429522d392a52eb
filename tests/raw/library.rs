//! The library's end: the engine, with threads of its own or driven by a thread of the test.

use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nacre::engine::{
    Answer, Asker, ChannelRequest, ConnectOptions, Decision, Engine, EngineOptions, HostKeyPolicy, Notice, PrivateKey,
    Question, ServerQuestion, Ticket, Timeout, Transport,
};
use nacre::error::Error;
use nacre::keys::KeyType;
use zeroize::Zeroizing;

use super::peer::{Options, PATIENCE, Peer, Side};

pub const LONG: Timeout = Timeout::after(PATIENCE);

pub fn in_both_modes(test: impl Fn(u32)) {
    test(1);
    test(0);
}

pub fn host_key() -> Arc<PrivateKey> {
    static KEY: OnceLock<Arc<PrivateKey>> = OnceLock::new();
    Arc::clone(KEY.get_or_init(|| Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap())))
}

/// Decides, or leaves the decision to the usual.
pub type Rule = Box<dyn Fn(&Arc<Ticket>) -> Option<Decision> + Send + Sync>;

/// The application: lets "user" in with "secret", accepts channels and requests, and remembers what it was asked.
#[derive(Default)]
pub struct Watcher {
    rule: Mutex<Option<Rule>>,
    asked: Mutex<Vec<String>>,
    notices: Mutex<Vec<Notice>>,
    changed: Condvar,
}

impl Watcher {
    pub fn usual() -> Arc<Self> {
        Arc::default()
    }
    pub fn with(rule: impl Fn(&Arc<Ticket>) -> Option<Decision> + Send + Sync + 'static) -> Arc<Self> {
        let watcher = Self::default();
        *watcher.rule.lock().unwrap() = Some(Box::new(rule));
        Arc::new(watcher)
    }

    /// Every question so far, in words.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
    pub fn asked_about(&self, what: &str) -> usize {
        self.asked().iter().filter(|text| text.starts_with(what)).count()
    }
    /// Who was authenticated, and how.
    pub fn users(&self) -> Vec<(Vec<u8>, &'static str)> {
        let notices = self.notices.lock().unwrap();
        let of = |notice: &Notice| match notice {
            Notice::Authenticated { user, method } => Some((user.clone(), *method)),
            _ => None,
        };
        notices.iter().filter_map(of).collect()
    }
    /// Waits for the first.
    pub fn authenticated(&self) -> (Vec<u8>, &'static str) {
        let deadline = Instant::now() + PATIENCE;
        let mut notices = self.notices.lock().unwrap();
        loop {
            for notice in notices.iter() {
                if let Notice::Authenticated { user, method } = notice {
                    return (user.clone(), method);
                }
            }
            let left = deadline.checked_duration_since(Instant::now()).expect("a user is authenticated");
            notices = self.changed.wait_timeout(notices, left).unwrap().0;
        }
    }
    /// What the connection ended with.
    pub fn ended(&self) -> Error {
        self.ended_within(PATIENCE).expect("the library ends the connection")
    }
    pub fn ended_within(&self, patience: Duration) -> Option<Error> {
        let deadline = Instant::now() + patience;
        let mut notices = self.notices.lock().unwrap();
        loop {
            if let Some(Notice::Disconnected(error)) = notices.last() {
                return Some(error.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            notices = self.changed.wait_timeout(notices, left).unwrap().0;
        }
    }
}

impl Asker for Watcher {
    fn ask(&self, _: &Arc<Transport>, ticket: &Arc<Ticket>) -> Decision {
        self.asked.lock().unwrap().push(described(ticket.question()));
        let rule = self.rule.lock().unwrap();
        rule.as_ref().and_then(|rule| rule(ticket)).unwrap_or_else(|| usual(ticket))
    }
    fn notify(&self, _: &Arc<Transport>, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.clone());
        self.changed.notify_all();
    }
}

fn described(question: &Question) -> String {
    match question {
        Question::Server(question) => format!("user: {question:?}"),
        Question::ChannelOpen { kind, .. } => format!("open: {kind}"),
        Question::ChannelRequest { request, .. } => format!("request: {request:?}"),
        Question::GlobalRequest { name, .. } => format!("global: {name}"),
        other => format!("{other:?}"),
    }
}

fn usual(ticket: &Ticket) -> Decision {
    match ticket.question() {
        Question::Server(ServerQuestion::AllowedMethods { .. }) => {
            let _ = ticket.answer(Answer::Methods("publickey,password,keyboard-interactive".to_owned()));
            Decision::Defer
        }
        Question::Server(ServerQuestion::Password { user, password }) => {
            if user == b"user" && &password[..] == b"secret" { Decision::Accept } else { Decision::Reject }
        }
        Question::ChannelOpen { .. } => Decision::Accept,
        Question::ChannelRequest { request: ChannelRequest::Other { .. }, .. } => Decision::Reject,
        Question::ChannelRequest { .. } => Decision::Accept,
        _ => Decision::Reject,
    }
}

/// One connection of the library; dropping it frees everything.
pub struct Library {
    pub engine: Arc<Engine>,
    pub transport: Arc<Transport>,
    pub watcher: Arc<Watcher>,
    /// Client: the login.
    pub login: u64,
    driver: Driver,
}

/// Turns an engine without threads.
pub struct Driver {
    engine: Arc<Engine>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    pub fn new(engine: &Arc<Engine>, threads: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = (threads == 0).then(|| {
            let (engine, stop) = (Arc::clone(engine), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    match engine.dispatch(Timeout::FOREVER) {
                        Ok(()) | Err(Error::Interrupted) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        Self { engine: Arc::clone(engine), stop, thread }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.engine.wake();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(std::thread::panicking() || result.is_ok());
        }
    }
}

pub fn engine(threads: u32) -> Arc<Engine> {
    Engine::new(EngineOptions { threads, ..EngineOptions::default() }).unwrap()
}

pub fn secret() -> ConnectOptions {
    ConnectOptions {
        policy: HostKeyPolicy::Any,
        user: Some(b"user".to_vec()),
        password: Some(Zeroizing::new(b"secret".to_vec())),
        ..ConnectOptions::default()
    }
}

impl Library {
    fn over(threads: u32, watcher: Arc<Watcher>, stream: UnixStream) -> Self {
        let engine = engine(threads);
        let transport = Transport::from_fd(&engine, stream.into_raw_fd()).unwrap();
        let driver = Driver::new(&engine, threads);
        Self { engine, transport, watcher, login: 0, driver }
    }

    /// A server over this stream.
    pub fn server_over(
        threads: u32,
        watcher: Arc<Watcher>,
        stream: UnixStream,
        prepare: impl FnOnce(&Arc<Transport>),
    ) -> Self {
        let library = Self::over(threads, watcher, stream);
        library.transport.add_host_key(host_key()).unwrap();
        prepare(&library.transport);
        let asker: Arc<dyn Asker> = Arc::clone(&library.watcher) as _;
        let started = library.transport.start_server(Some(asker), Timeout::NONE, false);
        assert!(matches!(started.result, Err(Error::Again)), "{:?}", started.result);
        library
    }

    /// A client over this stream, on its way to a login.
    pub fn client_over(
        threads: u32,
        watcher: Arc<Watcher>,
        stream: UnixStream,
        options: ConnectOptions,
        prepare: impl FnOnce(&Arc<Transport>),
    ) -> Self {
        let mut library = Self::over(threads, watcher, stream);
        prepare(&library.transport);
        let asker: Arc<dyn Asker> = Arc::clone(&library.watcher) as _;
        let host_key_asker = options.host_key_asker.clone().or_else(|| Some(Arc::clone(&asker)));
        let options = ConnectOptions { asker: Some(asker), host_key_asker, ..options };
        let started = library.transport.connect(options, Timeout::NONE, true);
        assert!(matches!(started.result, Err(Error::Again)), "{:?}", started.result);
        library.login = started.op;
        library
    }

    /// A server of the library, and a raw client.
    pub fn server(threads: u32, options: Options) -> (Self, Peer) {
        Self::server_with(threads, options, Watcher::usual(), |_| {})
    }
    pub fn server_with(
        threads: u32,
        options: Options,
        watcher: Arc<Watcher>,
        prepare: impl FnOnce(&Arc<Transport>),
    ) -> (Self, Peer) {
        let (one, two) = UnixStream::pair().unwrap();
        (Self::server_over(threads, watcher, one, prepare), Peer::new(two, Side::Client, options))
    }

    /// A client of the library, and a raw server.
    pub fn client(threads: u32, options: Options) -> (Self, Peer) {
        Self::client_with(threads, options, secret(), |_| {})
    }
    pub fn client_with(
        threads: u32,
        options: Options,
        login: ConnectOptions,
        prepare: impl FnOnce(&Arc<Transport>),
    ) -> (Self, Peer) {
        let (one, two) = UnixStream::pair().unwrap();
        let library = Self::client_over(threads, Watcher::usual(), one, login, prepare);
        (library, Peer::new(two, Side::Server, options))
    }

    /// The library in the role that the raw peer's side leaves.
    pub fn against(side: Side, threads: u32, options: Options) -> (Self, Peer) {
        match side {
            Side::Client => Self::server(threads, options),
            Side::Server => Self::client(threads, options),
        }
    }

    /// Waits until the library, too, holds the user for logged in.
    pub fn watcher_is_connected(&self, side: Side) {
        match side {
            Side::Client => drop(self.watcher.authenticated()),
            Side::Server => self.login().unwrap(),
        }
    }
    /// How a client's login came out.
    pub fn login(&self) -> Result<(), Error> {
        self.transport.wait(self.login, LONG)?.status.map_or(Ok(()), Err)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        self.transport.release();
        self.engine.release();
    }
}

/// With the library as server and as client, in both engine modes.
pub fn in_both_roles(test: impl Fn(Side, u32)) {
    in_both_modes(|threads| {
        test(Side::Client, threads);
        test(Side::Server, threads);
    });
}
