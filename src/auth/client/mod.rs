//! The client's side.

mod exchange;
mod interactive;
mod none;
mod password;
mod publickey;

use super::interactive::Prompt;
use super::{NEXT_SERVICE, SERVICE, Stage};
use crate::error::{AuthFailure, Error, Result};
use crate::keys::{PrivateKey, SignatureRules, ToSign};
use crate::wire::messages::{ServiceAccept, UserauthBanner, UserauthFailure, UserauthReply, UserauthSuccess, message};
use crate::wire::{MessageSink, NameList, Reader, Rest, table};
use exchange::{Exchange, Login, Refused, Step, UserQuestion};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

const LONGEST_USER: usize = 1024;
/// With it a request still fits the smallest packet that every peer must take (RFC 4253 section 6.1).
const LONGEST_SECRET: usize = 8192;
/// How often a server may ask for more in one attempt.
const MOST_ROUNDS: u32 = 100;

/// What the connection gives to the authentication.
#[derive(Debug, Clone)]
pub struct ClientContext {
    pub session_id: Vec<u8>,
    /// The host key of the first key exchange.
    pub host_key_blob: Option<Vec<u8>>,
    /// The server's list of signature algorithms (RFC 8308 section 3.1).
    pub server_sig_algs: Option<String>,
    /// The server knows publickey-hostbound-v00@openssh.com.
    pub hostbound: bool,
    /// The signature algorithms that may be used, preferred first.
    pub pubkey_algorithms: Vec<&'static str>,
    pub signature_rules: SignatureRules,
    /// A success that nothing was proved for ends the connection.
    pub refuse_trivial: bool,
}

#[derive(Clone)]
pub enum ClientMethod {
    None,
    /// `fallback_to_interactive`: where the server takes no passwords but keyboard-interactive, its only prompt is
    /// answered with the password; if that fails, the first failure is reported.
    Password {
        password: Zeroizing<Vec<u8>>,
        fallback_to_interactive: bool,
    },
    /// `probe`: the server is asked whether the key would do before anything is signed.
    Publickey {
        key: Arc<PrivateKey>,
        probe: bool,
    },
    /// Each key in turn; the server is asked about it before anything is signed.
    AnyOf {
        keys: Vec<Arc<PrivateKey>>,
    },
    Interactive {
        submethods: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuthEvent {
    /// The end of what `start` began. An error leaves the connection as it was: another method may follow.
    Finished(Result<()>),
    /// The server's text, as it came.
    Banner(Vec<u8>),
    /// To be answered with a text for each prompt. There may be none: then name or instruction is there to be shown.
    /// (A request without anything to show is answered without asking.)
    Prompts { question: u64, name: Vec<u8>, instruction: Vec<u8>, prompts: Vec<Prompt> },
    /// To be answered with the new password, or with the old one and the new one.
    PasswordChange { question: u64, prompt: Vec<u8> },
    /// To be answered with what the signer gave.
    Sign { question: u64, wanted: ToSign },
}

#[derive(Clone)]
pub enum ClientAnswer {
    Texts(Vec<Zeroizing<Vec<u8>>>),
    /// The attempt ends with [`Error::Cancelled`].
    Cancel,
    /// See [`ToSign::accept`].
    Signed(Result<Vec<u8>>),
}

pub struct ClientAuth {
    context: ClientContext,
    service: Service,
    state: State,
    /// As the server sent them last.
    methods: Option<String>,
    /// The user for whom a step that proved something was right.
    proved_in_part: Option<Vec<u8>>,
    last_question: u64,
    events: VecDeque<ClientAuthEvent>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Unasked,
    Requested,
    Accepted,
}

enum State {
    Idle,
    /// Begins when the service is there: before that no credential leaves this side.
    Starting(Attempt),
    /// The server owes an answer.
    Awaiting(Attempt),
    /// The user owes an answer.
    Asking {
        question: u64,
        attempt: Attempt,
    },
    Authenticated {
        method: &'static str,
        proved: bool,
    },
    /// The server broke the protocol.
    Failed,
}

struct Attempt {
    user: Vec<u8>,
    exchange: Box<dyn Exchange>,
    rounds: u32,
    /// The failure of the method that the present one stands in for.
    original: Option<Error>,
}

impl ClientAuth {
    pub fn new(context: ClientContext) -> Self {
        Self {
            context,
            service: Service::Unasked,
            state: State::Idle,
            methods: None,
            proved_in_part: None,
            last_question: 0,
            events: VecDeque::new(),
        }
    }

    /// Begins an attempt; its end is a [`ClientAuthEvent::Finished`].
    pub fn start(&mut self, user: &[u8], method: ClientMethod, sink: &mut dyn MessageSink) -> Result<()> {
        match &self.state {
            State::Idle => {}
            State::Authenticated { .. } => return Err(Error::state("the user is authenticated already")),
            State::Failed => return Err(Error::state("the authentication is over")),
            State::Starting(_) | State::Awaiting(_) | State::Asking { .. } => {
                return Err(Error::state("an authentication is under way"));
            }
        }
        if user.len() > LONGEST_USER {
            return Err(Error::argument(format!("the user name is longer than {LONGEST_USER} bytes")));
        }
        let attempt = Attempt { user: user.to_vec(), exchange: exchange::begin(method)?, rounds: 0, original: None };
        match self.service {
            Service::Accepted => self.begin(attempt, sink),
            Service::Requested => {
                self.state = State::Starting(attempt);
                Ok(())
            }
            Service::Unasked => {
                sink.send(&message!(ServiceRequest { name: SERVICE }))?;
                self.service = Service::Requested;
                self.state = State::Starting(attempt);
                Ok(())
            }
        }
    }

    /// A message of the server. An error ends the connection.
    pub fn receive(&mut self, number: u8, payload: &[u8], sink: &mut dyn MessageSink) -> Result<()> {
        let outcome = self.take(number, payload, sink);
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }

    /// [`Error::State`]: nothing waits for this answer. [`Error::Argument`]: the question stays open.
    pub fn answer(&mut self, question: u64, answer: ClientAnswer, sink: &mut dyn MessageSink) -> Result<()> {
        let State::Asking { question: open, attempt } = &mut self.state else {
            return Err(Error::state("nothing waits for this answer any more"));
        };
        if *open != question {
            return Err(Error::state("nothing waits for this answer any more"));
        }
        let step = match answer {
            ClientAnswer::Texts(texts) => attempt.exchange.answered(texts)?,
            ClientAnswer::Signed(given) => {
                attempt.exchange.signed(given, &Login { context: &self.context, user: &attempt.user })?
            }
            ClientAnswer::Cancel => Step::GiveUp(Error::Cancelled),
        };
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Asking { attempt, .. } => self.follow(attempt, step, sink),
            _ => Err(Error::internal("an answered question is gone")),
        }
    }

    pub fn next_event(&mut self) -> Option<ClientAuthEvent> {
        self.events.pop_front()
    }

    pub fn stage(&self) -> Stage {
        match (&self.state, self.service) {
            (State::Authenticated { .. }, _) => Stage::Done,
            (State::Awaiting(_), _) => Stage::AuthAwaiting,
            (_, Service::Accepted) => Stage::Auth,
            _ => Stage::NoService,
        }
    }

    /// The methods that may continue, as the server said last.
    pub fn methods(&self) -> Option<&str> {
        self.methods.as_deref()
    }

    /// The method that authenticated the user.
    pub fn method(&self) -> Option<&'static str> {
        match self.state {
            State::Authenticated { method, .. } => Some(method),
            _ => None,
        }
    }

    /// Whether the server let the user in without having seen a password, a signature or an answer, in this step or in
    /// one before it that was right.
    pub fn is_trivial(&self) -> bool {
        matches!(self.state, State::Authenticated { proved: false, .. })
    }

    pub fn set_signature_rules(&mut self, rules: SignatureRules) {
        self.context.signature_rules = rules;
    }

    /// Whether a success that nothing was proved for ends the connection.
    pub fn set_refuse_trivial(&mut self, on: bool) {
        self.context.refuse_trivial = on;
    }

    /// What a later EXT_INFO said; it holds from the next attempt.
    pub fn update_extensions(&mut self, server_sig_algs: Option<String>, hostbound: bool) {
        self.context.server_sig_algs = server_sig_algs;
        self.context.hostbound = hostbound;
    }

    fn take(&mut self, number: u8, payload: &[u8], sink: &mut dyn MessageSink) -> Result<()> {
        if matches!(self.state, State::Failed) {
            return Err(Error::state("the authentication is over"));
        }
        match number {
            ServiceAccept::NUMBER => self.accepted(payload, sink),
            UserauthBanner::NUMBER => self.banner(payload),
            UserauthFailure::NUMBER => {
                let attempt = self.awaiting(number)?;
                self.refused(attempt, UserauthFailure::decode(payload)?, sink)
            }
            UserauthSuccess::NUMBER => {
                let attempt = self.awaiting(number)?;
                UserauthSuccess::decode(payload)?;
                self.succeeded(&attempt)
            }
            UserauthReply::NUMBER => {
                let mut attempt = self.awaiting(number)?;
                attempt.rounds += 1;
                if attempt.rounds > MOST_ROUNDS {
                    return Err(Error::protocol("the server asks without end"));
                }
                let login = Login { context: &self.context, user: &attempt.user };
                let step = attempt.exchange.replied(payload, &login)?;
                self.follow(attempt, step, sink)
            }
            _ => Err(unexpected(number)),
        }
    }

    fn accepted(&mut self, payload: &[u8], sink: &mut dyn MessageSink) -> Result<()> {
        if self.service != Service::Requested {
            return Err(unexpected(ServiceAccept::NUMBER));
        }
        let rest = ServiceAccept::decode(payload)?.rest.0;
        // Some servers leave the name out.
        if !rest.is_empty() && Reader::new(rest).string()? != SERVICE.as_bytes() {
            return Err(Error::protocol("the server accepts another service than was asked for"));
        }
        self.service = Service::Accepted;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Starting(attempt) => self.begin(attempt, sink),
            other => {
                self.state = other;
                Ok(())
            }
        }
    }

    fn banner(&mut self, payload: &[u8]) -> Result<()> {
        if matches!(self.state, State::Authenticated { .. }) {
            return Ok(());
        }
        if self.service != Service::Accepted {
            return Err(unexpected(UserauthBanner::NUMBER));
        }
        self.events.push_back(ClientAuthEvent::Banner(UserauthBanner::decode(payload)?.message.to_vec()));
        Ok(())
    }

    /// The attempt whose answer this message is.
    fn awaiting(&mut self, number: u8) -> Result<Attempt> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Awaiting(attempt) => Ok(attempt),
            other => {
                self.state = other;
                Err(unexpected(number))
            }
        }
    }

    fn begin(&mut self, mut attempt: Attempt, sink: &mut dyn MessageSink) -> Result<()> {
        let step = attempt.exchange.begin(&Login { context: &self.context, user: &attempt.user })?;
        self.follow(attempt, step, sink)
    }

    fn refused(
        &mut self,
        mut attempt: Attempt,
        failure: UserauthFailure<'_>,
        sink: &mut dyn MessageSink,
    ) -> Result<()> {
        let methods = failure.methods;
        self.methods = Some(methods.as_str().to_owned());
        if failure.partial_success {
            if attempt.exchange.has_proved() {
                self.proved_in_part = Some(attempt.user);
            }
            self.finish(Err(Error::AuthPartial(Box::new(AuthFailure {
                text: format!("this step was right; the server wants more: {}", listed(methods)).into(),
                methods: methods.as_str().into(),
            }))));
            return Ok(());
        }
        let error = refusal(attempt.exchange.name(), methods);
        let login = Login { context: &self.context, user: &attempt.user };
        match attempt.exchange.refused(methods, &login)? {
            Refused::Finally => {
                self.finish(Err(attempt.original.unwrap_or(error)));
                Ok(())
            }
            Refused::Again(step) => self.follow(attempt, step, sink),
            Refused::Instead(exchange) => {
                let attempt =
                    Attempt { exchange, rounds: 0, original: Some(attempt.original.unwrap_or(error)), ..attempt };
                self.begin(attempt, sink)
            }
        }
    }

    fn succeeded(&mut self, attempt: &Attempt) -> Result<()> {
        if !attempt.exchange.may_succeed() {
            return Err(Error::protocol("the server grants access before it saw a signature"));
        }
        let proved = attempt.exchange.has_proved() || self.proved_in_part.as_ref() == Some(&attempt.user);
        if self.context.refuse_trivial && !proved {
            let methods = self.methods.as_deref().unwrap_or_default().into();
            let text = "the server let the user in without having seen a password, a signature or an answer".into();
            return Err(Error::AuthFailed(Box::new(AuthFailure { text, methods })));
        }
        self.state = State::Authenticated { method: attempt.exchange.name(), proved };
        self.events.push_back(ClientAuthEvent::Finished(Ok(())));
        Ok(())
    }

    fn follow(&mut self, attempt: Attempt, step: Step, sink: &mut dyn MessageSink) -> Result<()> {
        match step {
            Step::Request { method, fields } => {
                let (user, fields) = (attempt.user.as_slice(), Rest(&fields));
                sink.send(&message!(UserauthRequest {
                    user: user,
                    service: NEXT_SERVICE,
                    method: method,
                    fields: fields
                }))?;
                self.state = State::Awaiting(attempt);
            }
            Step::Respond(answers) => {
                let count = u32::try_from(answers.len()).unwrap_or(u32::MAX);
                let responses = super::interactive::encode_answers(&answers);
                sink.send(&message!(UserauthInfoResponse { count: count, responses: Rest(&responses) }))?;
                self.state = State::Awaiting(attempt);
            }
            Step::Ask(asked) => {
                self.last_question += 1;
                let question = self.last_question;
                self.events.push_back(match asked {
                    UserQuestion::Prompts { name, instruction, prompts } => {
                        ClientAuthEvent::Prompts { question, name, instruction, prompts }
                    }
                    UserQuestion::PasswordChange { prompt } => ClientAuthEvent::PasswordChange { question, prompt },
                });
                self.state = State::Asking { question, attempt };
            }
            Step::Sign(wanted) => {
                self.last_question += 1;
                let question = self.last_question;
                self.events.push_back(ClientAuthEvent::Sign { question, wanted });
                self.state = State::Asking { question, attempt };
            }
            // The next request abandons what the server may still wait for (RFC 4252 section 5.1, RFC 4256
            // section 3.1).
            Step::GiveUp(error) => self.finish(Err(attempt.original.unwrap_or(error))),
            Step::Refuse(text) => {
                let methods = self.methods.as_deref().unwrap_or_default().into();
                let error = Error::AuthFailed(Box::new(AuthFailure { text: text.into(), methods }));
                self.finish(Err(attempt.original.unwrap_or(error)));
            }
        }
        Ok(())
    }

    fn finish(&mut self, result: Result<()>) {
        self.state = State::Idle;
        self.events.push_back(ClientAuthEvent::Finished(result));
    }
}

fn refusal(method: &str, methods: NameList<'_>) -> Error {
    let failure = |text: String| Box::new(AuthFailure { text: text.into(), methods: methods.as_str().into() });
    if methods.contains(method) {
        Error::AuthFailed(failure(format!("the server refused {method} authentication")))
    } else {
        Error::AuthMethod(failure(format!(
            "the server does not take {method} authentication; it offers {}",
            listed(methods)
        )))
    }
}

fn listed(methods: NameList<'_>) -> &str {
    if methods.first().is_some() { methods.as_str() } else { "nothing" }
}

fn unexpected(number: u8) -> Error {
    Error::protocol(format!("the server sent {} ({number}) that nothing waits for", table::name(number)))
}

impl fmt::Debug for ClientMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Password { fallback_to_interactive, .. } => f
                .debug_struct("Password")
                .field("fallback_to_interactive", fallback_to_interactive)
                .finish_non_exhaustive(),
            Self::Publickey { key, probe } => {
                f.debug_struct("Publickey").field("key", key.public()).field("probe", probe).finish()
            }
            Self::AnyOf { keys } => f.debug_list().entries(keys.iter().map(|key| key.public())).finish(),
            Self::Interactive { submethods } => f.debug_struct("Interactive").field("submethods", submethods).finish(),
        }
    }
}

impl fmt::Debug for ClientAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Texts(texts) => write!(f, "Texts({} of them)", texts.len()),
            Self::Cancel => f.write_str("Cancel"),
            Self::Signed(given) => write!(f, "Signed({})", given.as_ref().map_or("not", |_| "given")),
        }
    }
}
