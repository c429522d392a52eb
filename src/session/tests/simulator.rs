//! The line between two sessions, and its clock.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::super::*;
use super::Random;
use crate::keys::KeyType;

/// How received bytes are cut into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    Whole,
    Random,
    SingleBytes,
}

pub struct Options {
    pub seed: u64,
    pub latency: Duration,
    pub pieces: Pieces,
    pub client: SessionConfig,
    pub server: SessionConfig,
}

impl Default for Options {
    fn default() -> Self {
        let mut client = SessionConfig::new(Role::Client);
        client.host_key_policy = HostKeyPolicy::Any;
        let mut server = SessionConfig::new(Role::Server);
        server.host_keys = vec![host_key()];
        server.failure_delay_secret = [7; 16];
        Self { seed: 1, latency: Duration::ZERO, pieces: Pieces::Whole, client, server }
    }
}

pub fn host_key() -> Arc<PrivateKey> {
    static KEY: OnceLock<Arc<PrivateKey>> = OnceLock::new();
    KEY.get_or_init(|| Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap())).clone()
}

pub fn user_key() -> Arc<PrivateKey> {
    static KEY: OnceLock<Arc<PrivateKey>> = OnceLock::new();
    KEY.get_or_init(|| Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap())).clone()
}

/// What a side does with a question at once: `None` leaves it open, in `Side::open`.
pub type Decide = Box<dyn FnMut(&Question) -> Option<Answer>>;

pub struct Side {
    pub session: Session,
    pub events: Vec<SessionEvent>,
    /// Questions that were not answered at once.
    pub open: Vec<(QuestionId, Question)>,
    pub withdrawn: Vec<QuestionId>,
    pub decide: Decide,
    /// Channels that the peer asked to open.
    pub offered: Vec<ChannelId>,
    /// The line to this side breaks after so many more bytes.
    pub cut_after: Option<usize>,
    /// Bytes under way to this side.
    arriving: VecDeque<(Instant, Vec<u8>)>,
    /// False: this side takes nothing from the line.
    pub reads: bool,
    pub sent: u64,
}

impl Side {
    fn new(config: SessionConfig, seed: u64, now: Instant) -> Self {
        Self {
            session: Session::new(config, Box::new(Random(seed)), now).unwrap(),
            events: Vec::new(),
            open: Vec::new(),
            withdrawn: Vec::new(),
            decide: Box::new(|_| None),
            offered: Vec::new(),
            cut_after: None,
            arriving: VecDeque::new(),
            reads: true,
            sent: 0,
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.session.next_event() {
            if let SessionEvent::Question { question: Question::ChannelOpen { channel, .. }, .. } = &event {
                self.offered.push(*channel);
            }
            match event {
                SessionEvent::Question { id, question } => match (self.decide)(&question) {
                    Some(answer) => self.session.answer(id, answer, now).unwrap(),
                    None => self.open.push((id, question)),
                },
                SessionEvent::QuestionWithdrawn { id } => {
                    self.open.retain(|open| open.0 != id);
                    self.withdrawn.push(id);
                }
                event => self.events.push(event),
            }
        }
    }

    /// How many of the events so far fit.
    pub fn count(&self, fits: impl Fn(&SessionEvent) -> bool) -> usize {
        self.events.iter().filter(|event| fits(event)).count()
    }

    pub fn has(&self, fits: impl Fn(&SessionEvent) -> bool) -> bool {
        self.count(fits) > 0
    }

    pub fn ended(&self) -> Option<&Error> {
        self.session.end()
    }

    /// Everything that can be read now, and what stops the reading.
    pub fn read_all(&mut self, id: ChannelId, stream: Stream, now: Instant) -> (Vec<u8>, Error) {
        let mut all = Vec::new();
        let mut part = vec![0; 40_000];
        loop {
            match self.session.read(id, stream, &mut part, now) {
                Ok(count) => all.extend_from_slice(&part[..count]),
                Err(error) => return (all, error),
            }
        }
    }

    pub fn take_question(&mut self) -> (QuestionId, Question) {
        assert!(!self.open.is_empty(), "no question is open");
        self.open.remove(0)
    }
}

pub struct Pair {
    pub client: Side,
    pub server: Side,
    pub now: Instant,
    pub random: Random,
    pub pieces: Pieces,
    pub latency: Duration,
}

impl Pair {
    pub fn new(options: Options) -> Self {
        let now = Instant::now();
        Self {
            client: Side::new(options.client, options.seed ^ 0x1111, now),
            server: Side::new(options.server, options.seed ^ 0x2222, now),
            now,
            random: Random(options.seed),
            pieces: options.pieces,
            latency: options.latency,
        }
    }

    /// Negotiated, and logged in with a password.
    pub fn connected(options: Options) -> Self {
        let mut pair = Self::new(options);
        pair.settle();
        let password = ClientMethod::Password { password: b"secret".to_vec().into(), fallback_to_interactive: false };
        pair.server.decide = Box::new(|_| Some(Answer::Accept));
        pair.client.session.authenticate(b"alice", password, pair.now).unwrap();
        pair.run_until(|pair| pair.client.session.state() == SessionState::Authenticated);
        assert_eq!(pair.server.session.state(), SessionState::Authenticated);
        pair
    }

    /// A session channel, accepted: the client's number and the server's.
    pub fn open_session(&mut self) -> (ChannelId, ChannelId) {
        let channel = self.client.session.open_channel("session", b"", None, None, self.now).unwrap();
        self.run_until(|pair| {
            pair.client.has(|event| matches!(event, SessionEvent::Opened { channel: opened } if *opened == channel))
        });
        (channel, *self.server.offered.last().unwrap())
    }

    pub fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// Everything that happens without time passing, but for the latency of the line.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                match self.next_arrival() {
                    Some(at) => self.now = at,
                    None => return,
                }
            }
        }
        panic!("the two sides never come to rest");
    }

    /// Lets time pass: every deadline and every arrival at its time.
    pub fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        for _ in 0..1_000_000 {
            if self.step() {
                continue;
            }
            let next = self.next_moment();
            match next.filter(|at| *at <= until) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.fire_timers();
                }
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("time does not pass");
    }

    /// At most an hour.
    pub fn run_until(&mut self, done: impl Fn(&Pair) -> bool) {
        let until = self.now + Duration::from_secs(3600);
        loop {
            let moved = self.step();
            if done(self) {
                return;
            }
            if moved {
                continue;
            }
            let at = self.next_moment().filter(|at| *at <= until);
            let at = at.unwrap_or_else(|| {
                panic!("it never comes: client {:?}, server {:?}", self.client.ended(), self.server.ended())
            });
            self.now = self.now.max(at);
            self.fire_timers();
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        [self.next_arrival(), self.client.session.next_timeout(), self.server.session.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn next_arrival(&self) -> Option<Instant> {
        let arrival = |side: &Side| {
            let reads = side.reads && side.session.wants_input();
            side.arriving.front().map(|(at, _)| *at).filter(|_| reads)
        };
        [arrival(&self.client), arrival(&self.server)].into_iter().flatten().min()
    }

    fn fire_timers(&mut self) {
        let now = self.now;
        for side in [&mut self.client, &mut self.server] {
            if side.session.next_timeout().is_some_and(|at| at <= now) {
                side.session.timeout(now);
                side.drain(now);
            }
        }
    }

    /// One round of sending and delivering. False: there was nothing to do.
    pub fn step(&mut self) -> bool {
        let (now, arrives) = (self.now, self.now + self.latency);
        let mut moved = false;
        for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
            let (reads, pieces) = (self.side(to).reads, self.pieces);
            let piece = match pieces {
                Pieces::Whole => usize::MAX,
                Pieces::Random => 1 + self.random.below(3000),
                Pieces::SingleBytes => 1,
            };
            let side = self.side(from);
            side.drain(now);
            let output = side.session.output().to_vec();
            if reads && !output.is_empty() {
                side.session.consume_output(output.len(), now);
                side.sent += output.len() as u64;
                side.drain(now);
                self.side(to).arriving.push_back((arrives, output));
                moved = true;
            }
            moved |= self.side(to).deliver(now, piece);
        }
        moved
    }
}

impl Side {
    fn deliver(&mut self, now: Instant, piece: usize) -> bool {
        let mut moved = false;
        while self.reads && self.session.wants_input() {
            if self.arriving.front().is_none_or(|(at, _)| *at > now) {
                break;
            }
            let Some((_, mut bytes)) = self.arriving.pop_front() else { break };
            let piece = self.cut_after.map_or(piece, |left| piece.min(left));
            let rest = bytes.split_off(piece.min(bytes.len()));
            self.cut_after = self.cut_after.map(|left| left - bytes.len());
            self.session.receive(&bytes, now);
            self.drain(now);
            if !rest.is_empty() {
                self.arriving.push_front((now, rest));
            }
            if self.cut_after == Some(0) {
                self.session.end_of_stream(None, now);
                self.drain(now);
            }
            moved = true;
        }
        moved
    }
}
