//! The server's side.

mod delay;
mod exchange;
mod interactive;
mod none;
mod password;
mod publickey;
mod questions;
mod waiting;

pub use questions::{ServerAnswer, ServerQuestion};

use super::{NEXT_SERVICE, NONE, SERVICE, Stage, reason};
use crate::error::{Error, Result};
use crate::keys::SignatureRules;
use crate::wire::messages::{ServiceRequest, UserauthInfoResponse, UserauthRequest, message};
use crate::wire::{MessageSink, NameList, Rest, check_name, clean, put_string, table};
use delay::FailureDelay;
use exchange::{Begun, Exchange, Method, Step};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use waiting::Waiting;
use zeroize::Zeroizing;

/// A banner must fit the smallest packet that every peer takes (RFC 4253 section 6.1).
const LONGEST_BANNER: usize = 32_000;

/// What the connection gives to the authentication.
pub struct ServerContext {
    pub session_id: Vec<u8>,
    /// The host key of the first key exchange.
    pub host_key_blob: Option<Vec<u8>>,
    pub limits: AuthLimits,
    /// The signature algorithms that users' keys may use.
    pub pubkey_algorithms: Vec<&'static str>,
    pub signature_rules: SignatureRules,
    /// One a server, so that the delay of a user's failures is the same on every connection.
    pub failure_delay_secret: [u8; 16],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthLimits {
    /// The failure with this number ends the connection. A first "none", the questions whether a key would do, and
    /// partial successes do not count.
    pub attempts: u32,
    /// Requests of any kind.
    pub requests: u32,
    pub user_length: usize,
    /// Of a password or of an answer to a prompt.
    pub secret_length: usize,
    /// No refusal goes out sooner after its request; zero: at once.
    pub failure_delay: Duration,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self {
            attempts: 6,
            requests: 1024,
            user_length: 1024,
            secret_length: 1024,
            failure_delay: Duration::from_millis(5),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAuthEvent {
    /// `id` is never 0 and comes once.
    Question {
        id: u64,
        question: ServerQuestion,
    },
    Authenticated {
        user: Vec<u8>,
        method: &'static str,
    },
}

/// Requests are worked off one after the other: what arrives while the application decides, or while a refusal waits
/// for its time, waits in line (RFC 4252 section 5.1). So a question never loses its sense before it is answered,
/// unless the connection ends. A new request while the client owes answers to prompts abandons the prompts.
pub struct ServerAuth {
    context: ServerContext,
    delay: FailureDelay,
    service_accepted: bool,
    login: Option<Login>,
    state: State,
    waiting: Waiting,
    requests: u32,
    failures: u32,
    none_is_free: bool,
    /// Held until the first request: before it, not all clients listen.
    banners: Vec<Vec<u8>>,
    last_question: u64,
    events: VecDeque<ServerAuthEvent>,
}

/// The user whom the requests name, and how far that user has come. Another name begins from nothing.
struct Login {
    user: Vec<u8>,
    /// None: the application must be asked (again).
    methods: Option<String>,
    partial: bool,
}

enum State {
    Ready,
    Asking {
        question: u64,
        asked: Asked,
        started: Instant,
    },
    /// The client owes the answer to a challenge.
    AwaitingClient(Running),
    Delayed {
        due: Instant,
        reply: Delayed,
    },
    Done,
    Failed,
}

enum Asked {
    /// For a request that waits for this.
    MethodsFor(Zeroizing<Vec<u8>>),
    MethodsAfterPartial,
    Decision(Running),
}

struct Running {
    method: &'static Method,
    exchange: Box<dyn Exchange>,
}

enum Delayed {
    Failure { counted: bool },
    Challenge { running: Running, fields: Vec<u8> },
}

/// What an answer of the application comes to.
enum Answered {
    Methods(String),
    Step(Step),
}

impl ServerAuth {
    pub fn new(context: ServerContext, _now: Instant) -> Self {
        Self {
            delay: FailureDelay::new(context.limits.failure_delay, context.failure_delay_secret),
            context,
            service_accepted: false,
            login: None,
            state: State::Ready,
            waiting: Waiting::default(),
            requests: 0,
            failures: 0,
            none_is_free: true,
            banners: Vec::new(),
            last_question: 0,
            events: VecDeque::new(),
        }
    }

    /// A message of the client. An error ends the connection.
    pub fn receive(&mut self, number: u8, payload: &[u8], now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        let outcome = self.take(number, payload, now, sink).and_then(|()| self.work_off(now, sink));
        self.note(outcome)
    }

    /// [`Error::State`]: nothing waits for this answer. [`Error::Argument`]: it does not fit, and the question stays
    /// open; `Reject` always fits. Any other error ends the connection.
    pub fn answer(
        &mut self,
        question: u64,
        answer: ServerAnswer,
        now: Instant,
        sink: &mut dyn MessageSink,
    ) -> Result<()> {
        let answered = match &mut self.state {
            State::Asking { question: open, asked, .. } if *open == question => match asked {
                Asked::MethodsFor(_) | Asked::MethodsAfterPartial => Answered::Methods(methods_of(answer)?),
                Asked::Decision(running) => Answered::Step(running.exchange.answered(answer)?),
            },
            _ => return Err(Error::state("nothing waits for this answer any more")),
        };
        let outcome = self.go_on(answered, now, sink).and_then(|()| self.work_off(now, sink));
        self.note(outcome)
    }

    pub fn set_signature_rules(&mut self, rules: SignatureRules) {
        self.context.signature_rules = rules;
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Delayed { due, .. } => Some(due),
            _ => None,
        }
    }

    /// To be called when [`Self::next_timeout`] has come. An error ends the connection.
    pub fn timeout(&mut self, now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        let outcome = self.send_delayed(now, sink).and_then(|()| self.work_off(now, sink));
        self.note(outcome)
    }

    /// A text for the user, sent before the next reply.
    pub fn send_banner(&mut self, text: &[u8], sink: &mut dyn MessageSink) -> Result<()> {
        if matches!(self.state, State::Done | State::Failed) {
            return Err(Error::state("the authentication is over"));
        }
        if text.len() > LONGEST_BANNER {
            return Err(Error::argument(format!("the banner is longer than {LONGEST_BANNER} bytes")));
        }
        if self.login.is_some() {
            return send_banner(text, sink);
        }
        self.banners.push(text.to_vec());
        Ok(())
    }

    pub fn next_event(&mut self) -> Option<ServerAuthEvent> {
        self.events.pop_front()
    }

    pub fn stage(&self) -> Stage {
        match self.state {
            State::Done => Stage::Done,
            State::AwaitingClient(_) => Stage::AuthAwaiting,
            _ if self.service_accepted => Stage::Auth,
            _ => Stage::NoService,
        }
    }

    fn note(&mut self, outcome: Result<()>) -> Result<()> {
        if outcome.is_err() {
            self.state = State::Failed;
            self.waiting = Waiting::default();
        }
        outcome
    }

    fn take(&mut self, number: u8, payload: &[u8], now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        match (number, &self.state) {
            (_, State::Failed) => Err(Error::state("the authentication is over")),
            // RFC 4252 section 5.1: to be ignored silently.
            (UserauthRequest::NUMBER, State::Done) => Ok(()),
            (ServiceRequest::NUMBER, _) if !matches!(self.state, State::Done) => self.accept_service(payload, sink),
            (UserauthRequest::NUMBER, _) if self.service_accepted => self.waiting.push(payload),
            (UserauthInfoResponse::NUMBER, State::AwaitingClient(_)) => self.responded(payload, now, sink),
            _ => Err(Error::protocol(format!(
                "the client sent {} ({number}) that nothing waits for",
                table::name(number)
            ))),
        }
    }

    /// Some clients ask again before each method.
    fn accept_service(&mut self, payload: &[u8], sink: &mut dyn MessageSink) -> Result<()> {
        self.count_request()?;
        let service = ServiceRequest::decode(payload)?.name;
        if service != SERVICE {
            return Err(no_such_service(service));
        }
        let mut name = Vec::new();
        put_string(&mut name, SERVICE.as_bytes());
        sink.send(&message!(ServiceAccept { rest: Rest(&name) }))?;
        self.service_accepted = true;
        Ok(())
    }

    fn count_request(&mut self) -> Result<()> {
        self.requests = self.requests.saturating_add(1);
        if self.requests > self.context.limits.requests {
            return Err(too_many_failures());
        }
        Ok(())
    }

    fn work_off(&mut self, now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        while matches!(self.state, State::Ready | State::AwaitingClient(_)) {
            let Some(payload) = self.waiting.pop() else { break };
            self.state = State::Ready;
            self.begin(payload, now, sink)?;
        }
        Ok(())
    }

    fn begin(&mut self, payload: Zeroizing<Vec<u8>>, now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        self.count_request()?;
        let request = UserauthRequest::decode(&payload)?;
        if request.user.len() > self.context.limits.user_length {
            return Err(Error::protocol("the client sent a user name that is too long"));
        }
        if request.service != NEXT_SERVICE {
            return Err(no_such_service(request.service));
        }
        self.identify(request.user)?;
        for banner in std::mem::take(&mut self.banners) {
            send_banner(&banner, sink)?;
        }
        if self.login.as_ref().is_some_and(|login| login.methods.is_some()) {
            return self.run(&request, now, now, sink);
        }
        let question = ServerQuestion::AllowedMethods { user: request.user.to_vec() };
        self.ask(question, Asked::MethodsFor(payload), now);
        Ok(())
    }

    /// RFC 4252 section 5: what was reached for one user is not for another.
    fn identify(&mut self, user: &[u8]) -> Result<()> {
        match &self.login {
            Some(login) if login.user == user => {}
            Some(login) if login.partial => {
                let text = "the user name changed in the middle of the authentication";
                return Err(Error::disconnected(reason::PROTOCOL_ERROR, text, false));
            }
            _ => self.login = Some(Login { user: user.to_vec(), methods: None, partial: false }),
        }
        Ok(())
    }

    fn run(
        &mut self,
        request: &UserauthRequest<'_>,
        started: Instant,
        now: Instant,
        sink: &mut dyn MessageSink,
    ) -> Result<()> {
        let Some(method) = exchange::find(request.method).filter(|method| self.allows(method)) else {
            return self.fail(true, started, now, sink);
        };
        match (method.begin)(&self.context, request) {
            Begun::Running(exchange, question) => {
                self.ask(question, Asked::Decision(Running { method, exchange }), started);
                Ok(())
            }
            Begun::Failed { counted } => self.fail(counted, started, now, sink),
        }
    }

    /// "none" is always asked about, as it is never listed.
    fn allows(&self, method: &Method) -> bool {
        let methods = self.login.as_ref().and_then(|login| login.methods.as_deref()).unwrap_or_default();
        method.listed.is_none_or(|name| NameList::from_text(methods).contains(name))
    }

    fn ask(&mut self, question: ServerQuestion, asked: Asked, started: Instant) {
        self.last_question += 1;
        let id = self.last_question;
        self.state = State::Asking { question: id, asked, started };
        self.events.push_back(ServerAuthEvent::Question { id, question });
    }

    fn responded(&mut self, payload: &[u8], now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        let State::AwaitingClient(mut running) = std::mem::replace(&mut self.state, State::Ready) else {
            return Err(Error::internal("a response without its prompts"));
        };
        let step = running.exchange.responded(payload, &self.context)?;
        self.follow(running, step, now, now, sink)
    }

    fn go_on(&mut self, answered: Answered, now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        let State::Asking { asked, started, .. } = std::mem::replace(&mut self.state, State::Ready) else {
            return Err(Error::internal("an answered question is gone"));
        };
        match (asked, answered) {
            (Asked::MethodsFor(payload), Answered::Methods(methods)) => {
                self.set_methods(methods);
                self.run(&UserauthRequest::decode(&payload)?, started, now, sink)
            }
            (Asked::MethodsAfterPartial, Answered::Methods(methods)) => {
                self.set_methods(methods);
                self.send_failure(true, sink)
            }
            (Asked::Decision(running), Answered::Step(step)) => self.follow(running, step, started, now, sink),
            _ => Err(Error::internal("the answer to another question")),
        }
    }

    fn set_methods(&mut self, methods: String) {
        if let Some(login) = &mut self.login {
            login.methods = Some(methods);
        }
    }

    fn follow(
        &mut self,
        running: Running,
        step: Step,
        started: Instant,
        now: Instant,
        sink: &mut dyn MessageSink,
    ) -> Result<()> {
        match step {
            Step::Ask(question) => {
                self.ask(question, Asked::Decision(running), started);
                Ok(())
            }
            Step::Challenge(fields) => self.delay(Delayed::Challenge { running, fields }, started, now, sink),
            Step::Conclude(fields) => sink.send(&message!(UserauthReply { fields: Rest(&fields) })),
            Step::Accept => self.accept(running.method, sink),
            Step::Partial => {
                if let Some(login) = &mut self.login {
                    login.partial = true;
                    login.methods = None;
                }
                self.ask(ServerQuestion::AllowedMethods { user: self.user() }, Asked::MethodsAfterPartial, started);
                Ok(())
            }
            Step::Fail { counted } => {
                // Clients begin with "none" to see what there is.
                let free = running.method.name == NONE && std::mem::take(&mut self.none_is_free);
                self.fail(counted && !free, started, now, sink)
            }
        }
    }

    fn accept(&mut self, method: &'static Method, sink: &mut dyn MessageSink) -> Result<()> {
        sink.send(&message!(UserauthSuccess {}))?;
        self.state = State::Done;
        self.waiting = Waiting::default();
        let user = self.user();
        let method = method.listed.unwrap_or(method.name);
        self.events.push_back(ServerAuthEvent::Authenticated { user, method });
        Ok(())
    }

    fn user(&self) -> Vec<u8> {
        self.login.as_ref().map(|login| login.user.clone()).unwrap_or_default()
    }

    fn fail(&mut self, counted: bool, started: Instant, now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        self.delay(Delayed::Failure { counted }, started, now, sink)
    }

    fn delay(&mut self, reply: Delayed, started: Instant, now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        let user = self.login.as_ref().map(|login| login.user.as_slice()).unwrap_or_default();
        self.state = State::Delayed { due: self.delay.due(user, started, now), reply };
        self.send_delayed(now, sink)
    }

    fn send_delayed(&mut self, now: Instant, sink: &mut dyn MessageSink) -> Result<()> {
        if self.next_timeout().is_none_or(|due| due > now) {
            return Ok(());
        }
        let State::Delayed { reply, .. } = std::mem::replace(&mut self.state, State::Ready) else {
            return Err(Error::internal("a delayed reply is gone"));
        };
        match reply {
            Delayed::Failure { counted } => {
                self.failures = self.failures.saturating_add(u32::from(counted));
                if counted && self.failures >= self.context.limits.attempts {
                    return Err(too_many_failures());
                }
                self.send_failure(false, sink)
            }
            Delayed::Challenge { running, fields } => {
                sink.send(&message!(UserauthReply { fields: Rest(&fields) }))?;
                self.state = State::AwaitingClient(running);
                Ok(())
            }
        }
    }

    fn send_failure(&mut self, partial_success: bool, sink: &mut dyn MessageSink) -> Result<()> {
        let methods = self.login.as_ref().and_then(|login| login.methods.as_deref()).unwrap_or_default();
        let methods = NameList::from_text(methods);
        sink.send(&message!(UserauthFailure { methods: methods, partial_success: partial_success }))
    }
}

/// The list that the application allows.
fn methods_of(answer: ServerAnswer) -> Result<String> {
    let known = exchange::listed().collect::<Vec<_>>();
    match answer {
        ServerAnswer::Accept => Ok(known.join(",")),
        ServerAnswer::Reject => Ok(String::new()),
        ServerAnswer::Methods(list) => {
            let names = NameList::from_text(&list);
            names.names().try_for_each(check_name)?;
            Ok(names.names().filter(|name| known.contains(name)).collect::<Vec<_>>().join(","))
        }
        ServerAnswer::Partial | ServerAnswer::Prompts { .. } | ServerAnswer::ChangePassword { .. } => {
            Err(Error::argument("this answer does not fit the question"))
        }
    }
}

fn send_banner(text: &[u8], sink: &mut dyn MessageSink) -> Result<()> {
    let language = [0; 4];
    sink.send(&message!(UserauthBanner { message: text, rest: Rest(&language) }))
}

fn too_many_failures() -> Error {
    let code = reason::NO_MORE_AUTH_METHODS_AVAILABLE;
    Error::disconnected(code, "Too many authentication failures", false)
}

fn no_such_service(name: &str) -> Error {
    let text = format!("the service {} is not available", clean(name.as_bytes(), 64));
    Error::disconnected(reason::SERVICE_NOT_AVAILABLE, text, false)
}
