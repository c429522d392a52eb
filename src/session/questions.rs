//! What a session asks the application, and what it takes for an answer.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::sink::Sink;
use super::{ChannelId, ChannelRequest, PublicKey, ServerQuestion, Session, SessionEvent, Stage, Timer, ToSign};
use crate::auth::{ClientAnswer, ServerAnswer};
use crate::connection::{GlobalToken, RequestToken};
use crate::error::{Error, HostKeyVerdict, Result};
use crate::transport::Role;

/// Never 0, never reused in a session.
pub type QuestionId = u64;

#[derive(Debug)]
pub enum Question {
    HostKey {
        key: PublicKey,
        verdict: HostKeyVerdict,
    },
    /// Keyboard-interactive, client: each prompt with whether the answer may be shown.
    Prompts {
        name: Vec<u8>,
        instruction: Vec<u8>,
        prompts: Vec<(Vec<u8>, bool)>,
    },
    PasswordChange {
        prompt: Vec<u8>,
    },
    /// A signature by a key whose private half is elsewhere: of a user, or a server's host key. The decision limit
    /// applies in both roles.
    Sign(ToSign),
    /// All of the server's questions about users.
    Server(ServerQuestion),
    ChannelOpen {
        channel: ChannelId,
        kind: String,
        data: Bytes,
    },
    ChannelRequest {
        channel: ChannelId,
        request: ChannelRequest,
        want_reply: bool,
    },
    GlobalRequest {
        name: String,
        data: Bytes,
        want_reply: bool,
    },
}

impl Question {
    /// How many bytes of the peer's it holds; those about users come one at a time.
    fn size(&self) -> usize {
        match self {
            Self::ChannelOpen { kind, data, .. } => kind.len() + data.len(),
            Self::ChannelRequest { request, .. } => request.size(),
            Self::GlobalRequest { name, data, .. } => name.len() + data.len(),
            Self::HostKey { .. }
            | Self::Prompts { .. }
            | Self::PasswordChange { .. }
            | Self::Sign(_)
            | Self::Server(_) => 0,
        }
    }
}

pub enum Answer {
    Reject,
    Accept,
    Partial,
    /// To Prompts: one a prompt; to PasswordChange: the new password.
    Texts(Vec<Zeroizing<Vec<u8>>>),
    /// Accepts a global request with reply data (a bound port); to Sign: what the signer gave.
    Bytes(Vec<u8>),
    /// To Sign: why there is no signature.
    Failed(Error),
    /// To AllowedMethods: comma separated.
    Methods(String),
    Prompts {
        name: Vec<u8>,
        instruction: Vec<u8>,
        prompts: Vec<(Vec<u8>, bool)>,
    },
    ChangePassword {
        prompt: Vec<u8>,
    },
    /// Refuses a channel with a reason (RFC 4254 section 5.1).
    Refuse {
        code: u32,
        text: String,
    },
}

impl Answer {
    /// Bytes of it that go to the peer.
    fn length(&self) -> usize {
        match self {
            Self::Reject | Self::Accept | Self::Partial | Self::Failed(_) => 0,
            Self::Texts(texts) => texts.iter().map(|text| text.len() + 4).sum(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Methods(methods) => methods.len(),
            Self::Prompts { name, instruction, prompts } => {
                name.len() + instruction.len() + prompts.iter().map(|(prompt, _)| prompt.len() + 5).sum::<usize>()
            }
            Self::ChangePassword { prompt } => prompt.len(),
            Self::Refuse { text, .. } => text.len(),
        }
    }
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pending {
    HostKey,
    ClientAuth { question: u64, password_change: bool },
    UserSignature { question: u64 },
    HostSignature,
    ServerAuth { question: u64 },
    Open { channel: ChannelId },
    Request { channel: ChannelId, token: Option<RequestToken> },
    Global { token: Option<GlobalToken> },
}

#[derive(Debug, Default)]
pub(super) struct Questions {
    last: QuestionId,
    open: BTreeMap<QuestionId, (Pending, usize)>,
    /// Bytes of the peer's in the open ones.
    bytes: usize,
}

impl Questions {
    fn add(&mut self, pending: Pending, size: usize) -> QuestionId {
        self.last += 1;
        self.open.insert(self.last, (pending, size));
        self.bytes += size;
        self.last
    }

    fn get(&self, id: QuestionId) -> Option<Pending> {
        self.open.get(&id).map(|(pending, _)| *pending)
    }

    fn remove(&mut self, id: QuestionId) -> Option<Pending> {
        let (pending, size) = self.open.remove(&id)?;
        self.bytes -= size;
        Some(pending)
    }

    /// What the open ones hold of the peer's.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }
}

impl Session {
    /// Asks the application. On a server, after login, it has the decision limit to answer.
    pub(super) fn ask(&mut self, pending: Pending, question: Question, now: Instant) -> QuestionId {
        let id = self.questions.add(pending, question.size());
        if pending.is_signature() || (self.role() == Role::Server && self.is_authenticated()) {
            self.timers.start(Timer::Question(id), now, self.config.limits.decision_ms);
        }
        self.events.push_back(SessionEvent::Question { id, question });
        id
    }

    /// Once a question; `State`: it was answered, or nothing waits for the answer any more. An answer that
    /// does not fit the question is an error of `Argument`, and the question stays open.
    pub fn answer(&mut self, id: QuestionId, answer: Answer, now: Instant) -> Result<()> {
        let Some(pending) = self.questions.get(id) else {
            return Err(Error::state("the question was answered, or nothing waits for its answer any more"));
        };
        // A plain yes or no always fits: there are no more of them than questions. A signature is bounded where it is
        // checked.
        if answer.length() > 0 && !pending.is_signature() {
            self.check_message(answer.length())?;
        }
        let reply = Reply::new(pending, answer)?;
        let before = self.transport.output_length();
        let outcome = self.pass_on(reply, now);
        self.count_replies(before);
        match outcome {
            // The room cannot take this answer, and waits for another one.
            Err(error @ (Error::Argument(_) | Error::Limit(_))) if self.failure.is_none() => return Err(error),
            Err(error @ Error::State(_)) if self.failure.is_none() => {
                self.forget_question(id);
                return Err(error);
            }
            outcome => {
                self.forget_question(id);
                self.note(outcome);
            }
        }
        self.resume(now);
        Ok(())
    }

    fn forget_question(&mut self, id: QuestionId) -> Option<Pending> {
        self.timers.stop(Timer::Question(id));
        self.questions.remove(id)
    }

    /// The application did not answer in time.
    pub(super) fn decide_by_default(&mut self, id: QuestionId, now: Instant) -> Result<()> {
        let Some(pending) = self.forget_question(id) else { return Ok(()) };
        self.events.push_back(SessionEvent::QuestionWithdrawn { id });
        let answer = if pending.is_signature() {
            Answer::Failed(Error::timeout("the signer did not sign in time"))
        } else {
            Answer::Reject
        };
        self.settle_question(pending, answer, now)
    }

    /// What was asked for is refused without asking the application.
    pub(super) fn refuse(&mut self, pending: Pending, now: Instant) -> Result<()> {
        self.settle_question(pending, Answer::Reject, now)
    }

    fn settle_question(&mut self, pending: Pending, answer: Answer, now: Instant) -> Result<()> {
        match self.pass_on(Reply::new(pending, answer)?, now) {
            // Nobody waits for it any more.
            Err(Error::State(_)) => Ok(()),
            outcome => outcome,
        }
    }

    /// For an end: nobody is asked any more, but for the signature without which nothing more could be sent.
    pub(super) fn refuse_all_questions(&mut self, now: Instant) -> Result<()> {
        let open = self.questions.open.iter().filter(|(_, (pending, _))| !pending.is_signature());
        let ids: Vec<QuestionId> = open.map(|(id, _)| *id).collect();
        ids.into_iter().try_for_each(|id| self.decide_by_default(id, now))
    }

    fn pass_on(&mut self, reply: Reply, now: Instant) -> Result<()> {
        let mut sink = Sink { transport: &mut self.transport, failure: &mut self.failure };
        match (reply, &mut self.stage) {
            (Reply::HostKey { accepted }, _) => self.decide_host_key(accepted),
            (Reply::HostSignature(given), _) => self.transport.signed(given),
            (Reply::ClientAuth { question, answer }, Stage::ClientAuth(auth)) => {
                auth.answer(question, answer, &mut sink)?;
                self.resume_login(now);
                Ok(())
            }
            (Reply::ServerAuth { question, answer }, Stage::ServerAuth(auth)) => {
                auth.answer(question, answer, now, &mut sink)
            }
            (Reply::AcceptOpen { channel }, Stage::Connected(connection)) => connection.accept_open(channel, &mut sink),
            (Reply::RefuseOpen { channel, code, text }, Stage::Connected(connection)) => {
                connection.refuse_open(channel, code, &text, &mut sink)
            }
            (Reply::Request { channel, token: Some(token), success }, Stage::Connected(connection)) => {
                connection.answer_request(channel, token, success, &mut sink)
            }
            (Reply::Global { token: Some(token), reply }, Stage::Connected(connection)) => {
                connection.answer_global(token, reply, &mut sink)
            }
            // Nobody waits for a reply.
            _ => Ok(()),
        }
    }

    /// Nothing waits for the answer any more.
    fn withdraw(&mut self, id: QuestionId) {
        if self.forget_question(id).is_some() {
            self.events.push_back(SessionEvent::QuestionWithdrawn { id });
        }
    }

    pub(super) fn withdraw_all_questions(&mut self) {
        self.withdraw_where(|_| true);
    }

    /// The channel is gone.
    pub(super) fn withdraw_channel_questions(&mut self, gone: ChannelId) {
        self.withdraw_where(|pending| {
            matches!(pending, Pending::Open { channel } | Pending::Request { channel, .. } if *channel == gone)
        });
    }

    /// The application has given up the channel that it was asked about.
    pub(super) fn withdraw_open_question(&mut self, gone: ChannelId) {
        self.withdraw_where(|pending| matches!(pending, Pending::Open { channel } if *channel == gone));
    }

    fn withdraw_where(&mut self, concerned: impl Fn(&Pending) -> bool) {
        let ids: Vec<QuestionId> =
            self.questions.open.iter().filter(|(_, (pending, _))| concerned(pending)).map(|(id, _)| *id).collect();
        for id in ids {
            self.withdraw(id);
        }
    }
}

/// An answer that fits its question.
enum Reply {
    HostKey { accepted: bool },
    HostSignature(Result<Vec<u8>>),
    ClientAuth { question: u64, answer: ClientAnswer },
    ServerAuth { question: u64, answer: ServerAnswer },
    AcceptOpen { channel: ChannelId },
    RefuseOpen { channel: ChannelId, code: u32, text: String },
    Request { channel: ChannelId, token: Option<RequestToken>, success: bool },
    Global { token: Option<GlobalToken>, reply: std::result::Result<Vec<u8>, ()> },
}

impl Pending {
    fn is_signature(self) -> bool {
        matches!(self, Self::UserSignature { .. } | Self::HostSignature)
    }
}

fn unfit() -> Error {
    Error::argument("this answer does not fit the question")
}

/// What came of a question for a signature.
fn signature(answer: Answer) -> Result<Result<Vec<u8>>> {
    match answer {
        Answer::Bytes(given) => Ok(Ok(given)),
        Answer::Failed(error) => Ok(Err(error)),
        Answer::Reject => Ok(Err(Error::Callback("the signer refused to sign".into()))),
        _ => Err(unfit()),
    }
}

/// RFC 4254 section 5.1.
const ADMINISTRATIVELY_PROHIBITED: u32 = 1;

impl Reply {
    fn new(pending: Pending, answer: Answer) -> Result<Self> {
        Ok(match pending {
            Pending::HostKey => match answer {
                Answer::Accept => Self::HostKey { accepted: true },
                Answer::Reject => Self::HostKey { accepted: false },
                _ => return Err(unfit()),
            },
            Pending::ClientAuth { question, password_change } => {
                let answer = match answer {
                    Answer::Texts(texts) => ClientAnswer::Texts(texts),
                    Answer::Bytes(text) if password_change => ClientAnswer::Texts(vec![Zeroizing::new(text)]),
                    Answer::Reject => ClientAnswer::Cancel,
                    _ => return Err(unfit()),
                };
                Self::ClientAuth { question, answer }
            }
            Pending::UserSignature { question } => {
                Self::ClientAuth { question, answer: ClientAnswer::Signed(signature(answer)?) }
            }
            Pending::HostSignature => Self::HostSignature(signature(answer)?),
            Pending::ServerAuth { question } => {
                let answer = match answer {
                    Answer::Accept => ServerAnswer::Accept,
                    Answer::Reject => ServerAnswer::Reject,
                    Answer::Partial => ServerAnswer::Partial,
                    Answer::Methods(methods) => ServerAnswer::Methods(methods),
                    Answer::Prompts { name, instruction, prompts } => {
                        ServerAnswer::Prompts { name, instruction, prompts }
                    }
                    Answer::ChangePassword { prompt } => ServerAnswer::ChangePassword { prompt },
                    Answer::Texts(_) | Answer::Bytes(_) | Answer::Failed(_) | Answer::Refuse { .. } => {
                        return Err(unfit());
                    }
                };
                Self::ServerAuth { question, answer }
            }
            Pending::Open { channel } => match answer {
                Answer::Accept => Self::AcceptOpen { channel },
                Answer::Reject => {
                    Self::RefuseOpen { channel, code: ADMINISTRATIVELY_PROHIBITED, text: "not allowed".to_owned() }
                }
                Answer::Refuse { code, text } => Self::RefuseOpen { channel, code, text },
                _ => return Err(unfit()),
            },
            Pending::Request { channel, token } => match answer {
                Answer::Accept => Self::Request { channel, token, success: true },
                Answer::Reject => Self::Request { channel, token, success: false },
                _ => return Err(unfit()),
            },
            Pending::Global { token } => match answer {
                Answer::Accept => Self::Global { token, reply: Ok(Vec::new()) },
                Answer::Bytes(data) => Self::Global { token, reply: Ok(data) },
                Answer::Reject => Self::Global { token, reply: Err(()) },
                _ => return Err(unfit()),
            },
        })
    }
}
