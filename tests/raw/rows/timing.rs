//! Whether the time of a refusal tells that a user exists: distributions held against each other, method by method.

use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use nacre::engine::{Answer, Asker, Decision, Engine, Limit, Question, ServerQuestion, Timeout, Transport};
use nacre::error::Error;

use crate::raw::library::{Driver, engine, host_key};
use crate::raw::login::{key_blob, none_request, password_request, probe};
use crate::raw::{Message, Options, Peer, Side, Watcher, in_both_modes, message};

/// What an application does only for users that it knows: a look at a hash, at a file of keys.
const WORK: Duration = Duration::from_millis(1);
/// Both servers are asked about the same name: how long a refusal takes depends on it (and on nothing else).
const NAME: &str = "somebody";

fn trials() -> usize {
    if std::env::var_os("NACRE_TEST_FULL").is_some() { 500 } else { 50 }
}

/// A server that knows the user, or does not, and a client of it that may fail as often as it likes.
struct Target {
    transport: Arc<Transport>,
    peer: Peer,
}

impl Target {
    fn new(engine: &Arc<Engine>, knows: bool) -> Self {
        let watcher = Watcher::with(move |ticket| match ticket.question() {
            Question::Server(ServerQuestion::AllowedMethods { .. }) => None,
            Question::Server(question) => Some(decide(ticket, question, knows)),
            _ => None,
        });
        let (one, two) = UnixStream::pair().unwrap();
        let transport = Transport::from_fd(engine, one.into_raw_fd()).unwrap();
        transport.add_host_key(host_key()).unwrap();
        transport.set_limit(Limit::AuthAttempts, 1_000_000).unwrap();
        transport.set_limit(Limit::AuthRequests, 1_000_000).unwrap();
        transport.set_limit(Limit::Login, 3_600_000).unwrap();
        let started = transport.start_server(Some(watcher as Arc<dyn Asker>), Timeout::NONE, false);
        assert!(matches!(started.result, Err(Error::Again)));
        let mut peer = Peer::new(two, Side::Client, Options::default());
        peer.handshake().unwrap();
        peer.ask_for_service().unwrap();
        Self { transport, peer }
    }

    /// How long the answer takes, which is the same for both.
    fn time(&mut self, request: &Message, expected: u8) -> f64 {
        let begun = Instant::now();
        self.peer.send(request);
        let answer = self.peer.expect(expected);
        assert!(answer.is_ok(), "{answer:?} in place of {expected}");
        begun.elapsed().as_secs_f64()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.transport.release();
    }
}

fn decide(ticket: &nacre::engine::Ticket, question: &ServerQuestion, knows: bool) -> Decision {
    if knows {
        std::thread::sleep(WORK);
    }
    if let ServerQuestion::InteractiveStart { .. } = question {
        let prompts = vec![(b"Password: ".to_vec(), false)];
        ticket.answer(Answer::Prompts { name: vec![], instruction: vec![], prompts }).unwrap();
        return Decision::Defer;
    }
    Decision::Reject
}

/// The largest distance of the two distribution functions (Kolmogorov and Smirnov).
fn distance(one: &[f64], two: &[f64]) -> f64 {
    let share = |of: &[f64], below: f64| of.iter().filter(|time| **time <= below).count() as f64 / of.len() as f64;
    one.iter().chain(two).map(|at| (share(one, *at) - share(two, *at)).abs()).fold(0.0, f64::max)
}

/// Two samples of one distribution are farther apart than this once in a million times.
fn bound(count: usize) -> f64 {
    (-(0.5e-6_f64).ln() / count as f64).sqrt()
}

/// In an order that no clock and no load follows: (known, unknown).
fn sample(known: &mut Target, unknown: &mut Target, steps: &dyn Fn(&mut Target) -> f64) -> (Vec<f64>, Vec<f64>) {
    let count = trials();
    let (mut of_known, mut of_unknown) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut order = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..count {
        order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if order >> 63 == 0 {
            of_known.push(steps(known));
            of_unknown.push(steps(unknown));
        } else {
            of_unknown.push(steps(unknown));
            of_known.push(steps(known));
        }
    }
    (of_known, of_unknown)
}

#[test]
fn the_time_of_no_method_tells_whether_a_user_is_known() {
    let key = SigningKey::from_bytes(&[3; 32]);
    in_both_modes(|threads| {
        let engine = engine(threads);
        let driver = Driver::new(&engine, threads);
        let (mut known, mut unknown) = (Target::new(&engine, true), Target::new(&engine, false));
        let interactive = message(50).string(NAME).string("ssh-connection").string("keyboard-interactive");
        let interactive = interactive.string("").string("");
        let answers = message(61).u32(1).string("wrong");
        type Steps<'a> = Box<dyn Fn(&mut Target) -> f64 + 'a>;
        let methods: [(&str, Steps<'_>); 7] = [
            ("none", Box::new(|target| target.time(&none_request(NAME), 51))),
            ("password", Box::new(|target| target.time(&password_request(NAME, "wrong"), 51))),
            ("a key asked about", Box::new(|target| target.time(&probe(NAME, "ssh-ed25519", &key_blob(&key)), 51))),
            (
                "a key that signed",
                Box::new(|target| {
                    let request = target.peer.publickey_request(NAME, &key, "ssh-ed25519", "ssh-ed25519");
                    target.time(&request, 51)
                }),
            ),
            ("no key", Box::new(|target| target.time(&probe(NAME, "ssh-ed25519", b"no key"), 51))),
            (
                "prompts",
                Box::new(|target| {
                    let time = target.time(&interactive, 60);
                    target.time(&answers, 51);
                    time
                }),
            ),
            (
                "answers",
                Box::new(|target| {
                    target.time(&interactive, 60);
                    target.time(&answers, 51)
                }),
            ),
        ];
        for (name, steps) in &methods {
            let (of_known, of_unknown) = sample(&mut known, &mut unknown, steps);
            let (distance, bound) = (distance(&of_known, &of_unknown), bound(trials()));
            println!("threads {threads}, {name}: {distance:.3} apart, {bound:.3} would show a difference");
            assert!(distance < bound, "{name}: {distance:.3} apart; known {of_known:?}, unknown {of_unknown:?}");
            // The floor holds for each.
            assert!(of_known.iter().chain(&of_unknown).all(|time| *time >= 0.005), "{name}");
        }
        drop((known, unknown));
        drop(driver);
        engine.release();
    });
}

/// The measure sees the same work where nothing hides it.
#[test]
fn the_measure_of_times_sees_a_millisecond() {
    let time = |work: Duration| {
        let begun = Instant::now();
        std::thread::sleep(work);
        begun.elapsed().as_secs_f64()
    };
    let known: Vec<f64> = (0..trials()).map(|_| time(WORK)).collect();
    let unknown: Vec<f64> = (0..trials()).map(|_| time(Duration::ZERO)).collect();
    assert!(distance(&known, &unknown) > bound(trials()));
    assert!(distance(&known, &known) < bound(trials()));
}
