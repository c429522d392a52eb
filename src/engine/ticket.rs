//! A question on its way to the application, and the way back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::signing::Slot;
use super::{Channel, Decision, Transport};
use crate::error::{Error, Result};
use crate::session::{Answer, ForwardVerb, ListenAt, Question, QuestionId};

/// Owns what was asked. Answered once, from any thread; dropped unanswered it rejects.
pub struct Ticket {
    id: QuestionId,
    question: Question,
    transport: Weak<Transport>,
    channel: Option<Arc<Channel>>,
    /// Of a question that no connection has.
    apart: Option<Arc<Slot>>,
    answered: AtomicBool,
}

impl Ticket {
    pub(super) fn new(
        id: QuestionId,
        question: Question,
        transport: &Arc<Transport>,
        channel: Option<Arc<Channel>>,
    ) -> Arc<Self> {
        let transport = Arc::downgrade(transport);
        Arc::new(Self { id, question, transport, channel, apart: None, answered: AtomicBool::new(false) })
    }

    /// A question of no connection, answered into `slot`.
    pub(super) fn apart(question: Question, slot: &Arc<Slot>) -> Arc<Self> {
        let (transport, apart, answered) = (Weak::new(), Some(Arc::clone(slot)), AtomicBool::new(false));
        Arc::new(Self { id: 0, question, transport, channel: None, apart, answered })
    }

    pub fn question(&self) -> &Question {
        &self.question
    }
    /// None: it is gone.
    pub fn transport(&self) -> Option<Arc<Transport>> {
        self.transport.upgrade()
    }
    /// The channel that is asked about.
    pub fn channel(&self) -> Option<&Arc<Channel>> {
        self.channel.as_ref()
    }
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// `State` when it was answered before, `Closed` when nothing waits for it any more, `Argument` when the answer
    /// does not fit the question (then it may be answered again).
    pub fn answer(&self, answer: Answer) -> Result<()> {
        self.give(answer, false)
    }

    /// REJECT, ACCEPT, PARTIAL or KEEP; DEFER is `Argument`. After KEEP the channel has one owner and one strong count
    /// more: those of the application.
    pub fn decide(&self, decision: Decision) -> Result<()> {
        match decision {
            Decision::Reject => self.give(Answer::Reject, false),
            Decision::Accept if !self.is_answered() && self.needs_port() => {
                Err(Error::argument("the client left the port to the server, and has to be told which one it is"))
            }
            Decision::Accept => self.give(Answer::Accept, false),
            Decision::Partial => self.give(Answer::Partial, false),
            Decision::Keep => self.give(Answer::Accept, true),
            Decision::Defer => Err(Error::argument("DEFER answers nothing")),
        }
    }

    /// Where a client wants the server to listen, or not to listen any more.
    pub fn listen_at(&self) -> Option<(ForwardVerb, ListenAt)> {
        match &self.question {
            Question::GlobalRequest { name, data, .. } => ListenAt::of_request(name, data),
            _ => None,
        }
    }
    /// A request to listen at port 0.
    fn needs_port(&self) -> bool {
        let Question::GlobalRequest { want_reply: true, .. } = &self.question else { return false };
        matches!(self.listen_at(), Some((ForwardVerb::Listen, ListenAt::Tcp(at))) if at.port == 0)
    }

    /// Accepts a global request with a port: of a request to listen, the one that it named if it named one.
    pub fn answer_port(&self, port: u16) -> Result<()> {
        match self.listen_at() {
            // RFC 4254 section 7.1: the reply has a port only where the client left it open.
            Some((ForwardVerb::Listen, ListenAt::Tcp(at))) if at.port == port => self.answer(Answer::Accept),
            Some((ForwardVerb::Listen, ListenAt::Tcp(at))) if at.port == 0 => {
                self.answer(Answer::Bytes(u32::from(port).to_be_bytes().to_vec()))
            }
            // A request that nacre does not know.
            None => self.answer(Answer::Bytes(u32::from(port).to_be_bytes().to_vec())),
            Some(_) => Err(Error::argument("this question cannot be answered with that port")),
        }
    }

    fn give(&self, answer: Answer, keep: bool) -> Result<()> {
        let transport = self.transport.upgrade();
        if let Some(transport) = &transport {
            transport.engine().check()?;
        }
        if self.answered.swap(true, Ordering::AcqRel) {
            return Err(Error::state("the question was answered before"));
        }
        if let Some(slot) = &self.apart {
            let result = slot.give(answer);
            self.answered.store(result.is_ok(), Ordering::Release);
            return result;
        }
        let Some(transport) = transport else {
            return Err(Error::closed("the transport of this question is gone"));
        };
        if let (Question::HostKey { key, .. }, Answer::Accept) = (&self.question, &answer) {
            transport.host_key_accepted(self.id, key);
        }
        // Of a request the channel is only what it is about: the answer leaves that channel alone.
        let opens = self.channel.as_ref().filter(|_| matches!(self.question, Question::ChannelOpen { .. }));
        let result = transport.answer(self.id, answer, opens, keep);
        if matches!(result, Err(Error::Argument(_))) {
            self.answered.store(false, Ordering::Release);
        }
        result
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !*self.answered.get_mut() {
            let _ = self.give(Answer::Reject, false);
        }
    }
}
