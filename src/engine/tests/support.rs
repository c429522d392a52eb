//! A client and a server, both of this library, over a socket pair.

use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::engine::*;
use crate::error::{Error, Result};
use crate::session::{Answer, ChannelRequest, HostKeyPolicy, PrivateKey, Question, ServerQuestion, Stream};

pub const LONG: Timeout = Timeout::after(Duration::from_secs(20));

pub fn host_key() -> Arc<PrivateKey> {
    static KEY: OnceLock<Arc<PrivateKey>> = OnceLock::new();
    Arc::clone(KEY.get_or_init(|| {
        let key = PrivateKey::generate(crate::keys::KeyType::Ed25519, 0).unwrap();
        Arc::new(key)
    }))
}

pub fn engine(threads: u32) -> Arc<Engine> {
    Engine::new(EngineOptions { threads, ..EngineOptions::default() }).unwrap()
}

type Hook = Box<dyn Fn(&Arc<Transport>, &Arc<Ticket>) -> Option<Decision> + Send + Sync>;

/// Lets "user" in with "secret", accepts every channel and request; a hook comes first.
#[derive(Default)]
pub struct Host {
    pub hook: Mutex<Option<Hook>>,
    pub asked: AtomicUsize,
    pub dropped: Option<Arc<AtomicUsize>>,
    pub notices: Mutex<Vec<Notice>>,
}

impl Host {
    pub fn with(hook: impl Fn(&Arc<Transport>, &Arc<Ticket>) -> Option<Decision> + Send + Sync + 'static) -> Arc<Self> {
        let host = Self::default();
        *host.hook.lock().unwrap() = Some(Box::new(hook));
        Arc::new(host)
    }
}

impl Asker for Host {
    fn ask(&self, transport: &Arc<Transport>, ticket: &Arc<Ticket>) -> Decision {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(decision) = self.hook.lock().unwrap().as_ref().and_then(|hook| hook(transport, ticket)) {
            return decision;
        }
        usual(ticket)
    }
    fn notify(&self, _: &Arc<Transport>, notice: &Notice) {
        self.notices.lock().unwrap().push(notice.clone());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

pub fn usual(ticket: &Ticket) -> Decision {
    match ticket.question() {
        Question::Server(ServerQuestion::AllowedMethods { .. }) => {
            let _ = ticket.answer(Answer::Methods("publickey,password,keyboard-interactive".to_owned()));
            Decision::Defer
        }
        Question::Server(ServerQuestion::Password { user, password }) if user == b"user" => {
            if &password[..] == b"secret" { Decision::Accept } else { Decision::Reject }
        }
        Question::ChannelOpen { .. } => Decision::Accept,
        Question::ChannelRequest { request, .. } => match request {
            ChannelRequest::Exec(command) if &command[..] == b"no" => Decision::Reject,
            _ => Decision::Accept,
        },
        Question::GlobalRequest { name, .. } if name == "yes@example" => Decision::Accept,
        _ => Decision::Reject,
    }
}

/// A started pair. Dropping it frees what is left and stops whoever dispatches.
pub struct Pair {
    pub engine: Arc<Engine>,
    pub client: Arc<Transport>,
    pub server_engine: Arc<Engine>,
    pub server: Arc<Transport>,
    pub host: Arc<Host>,
    stop: Arc<AtomicBool>,
    dispatcher: Option<JoinHandle<()>>,
}

impl Pair {
    /// An engine without threads on the server's side is dispatched by a thread of the test.
    pub fn unstarted(threads: u32, host: Arc<Host>) -> Self {
        let (one, two) = UnixStream::pair().unwrap();
        let engine = engine(threads);
        let server_engine = self::engine(threads);
        let client = Transport::from_fd(&engine, one.into_raw_fd()).unwrap();
        let server = Transport::from_fd(&server_engine, two.into_raw_fd()).unwrap();
        server.add_host_key(host_key()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let dispatcher = (threads == 0).then(|| {
            let (engine, stop) = (Arc::clone(&server_engine), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    match engine.dispatch(Timeout::FOREVER) {
                        Ok(()) | Err(Error::Interrupted) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        Self { engine, client, server_engine, server, host, stop, dispatcher }
    }

    /// Both sides started.
    pub fn started(threads: u32, host: Arc<Host>) -> Self {
        let pair = Self::unstarted(threads, host);
        let asker: Arc<dyn Asker> = Arc::clone(&pair.host) as _;
        let started = pair.server.start_server(Some(asker), Timeout::NONE, false);
        assert!(matches!(started.result, Err(Error::Again)), "{:?}", started.result);
        pair
    }

    pub fn connected(threads: u32, host: Arc<Host>) -> Self {
        let pair = Self::started(threads, host);
        pair.client.connect(secret(), LONG, false).result.unwrap();
        pair
    }
    pub fn usual(threads: u32) -> Self {
        Self::connected(threads, Arc::new(Host::default()))
    }

    /// A channel of the client, and the server's end of it.
    pub fn channel(&self) -> (Arc<Channel>, Arc<Channel>) {
        let (channel, started) = self.client.open_channel("session", &[], None, None, LONG, false);
        started.result.unwrap();
        (channel.unwrap(), self.server.accept(LONG).unwrap())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.client.release();
        self.server.release();
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.server_engine.wake();
        if let Some(dispatcher) = self.dispatcher.take() {
            let result = dispatcher.join();
            assert!(std::thread::panicking() || result.is_ok());
        }
        self.engine.release();
        self.server_engine.release();
    }
}

pub fn secret() -> ConnectOptions {
    ConnectOptions {
        policy: HostKeyPolicy::Any,
        user: Some(b"user".to_vec()),
        password: Some(Zeroizing::new(b"secret".to_vec())),
        ..ConnectOptions::default()
    }
}

pub fn string(text: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(text);
    out
}

pub fn read_all(channel: &Channel) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut part = vec![0; 8192];
    loop {
        match channel.read(Stream::Data, &mut part, LONG) {
            Ok(count) => all.extend_from_slice(&part[..count]),
            Err(Error::Eof) => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}

/// Whether a descriptor is readable now.
pub fn readable(fd: i32) -> bool {
    use std::time::Instant;
    super::super::sys::poller::poll_readable(&[fd], Some(Instant::now())).unwrap()[0]
}

pub fn in_both_modes(test: impl Fn(u32)) {
    test(1);
    test(0);
}

/// The kinds of the events that wait.
pub fn events(transport: &Arc<Transport>) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    while let Ok(event) = transport.next_event() {
        kinds.push(event.kind);
    }
    kinds
}
