use super::{Connection, ConnectionEvent, GlobalToken};
use crate::connection::replies::LARGEST_REQUEST;
use crate::error::{Error, Result};
use crate::wire::messages::{self, message};
use crate::wire::{MessageSink, Rest, Role, check_name};
use bytes::Bytes;

/// OpenSSH's clients promise with it to open no more sessions.
const NO_MORE_SESSIONS: &str = "no-more-sessions@openssh.com";

impl Connection {
    /// Sends a global request. With `want_reply` the answer comes as [`ConnectionEvent::GlobalDone`].
    pub fn global_request(
        &mut self,
        name: &str,
        data: &[u8],
        want_reply: bool,
        sink: &mut dyn MessageSink,
    ) -> Result<Option<GlobalToken>> {
        check_name(name)?;
        if data.len() > LARGEST_REQUEST {
            return Err(Error::limit("the request does not fit into a packet"));
        }
        if want_reply && self.global_requests.len() >= self.shared.config.max_global_requests {
            return Err(Error::limit("too many global requests are unanswered"));
        }
        sink.send(&message!(GlobalRequest { name: name, want_reply: want_reply, data: Rest(data) }))?;
        if !want_reply {
            return Ok(None);
        }
        let token = GlobalToken(self.shared.token());
        self.global_requests.push_back((self.global_requests_sent, token));
        self.global_requests_sent += 1;
        Ok(Some(token))
    }

    /// Answers a global request of the peer; answers go out in the order of the requests.
    pub fn answer_global(
        &mut self,
        token: GlobalToken,
        answer: std::result::Result<Vec<u8>, ()>,
        sink: &mut dyn MessageSink,
    ) -> Result<()> {
        if answer.as_ref().is_ok_and(|data| data.len() > LARGEST_REQUEST) {
            return Err(Error::limit("the answer does not fit into a packet"));
        }
        self.global_questions.answer(token, answer)?;
        self.send_global_answers(sink)
    }

    pub(super) fn receive_global_request(&mut self, payload: &Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let request = messages::GlobalRequest::decode(payload)?;
        let most = self.shared.config.max_global_requests;
        if self.global_questions.len() >= most || self.shared.undelivered_globals >= most {
            return Err(Error::limit("the peer sent more global requests than may wait for an answer"));
        }
        let token = request.want_reply.then(|| GlobalToken(self.shared.token()));
        if request.name == NO_MORE_SESSIONS && self.shared.config.role == Role::Server {
            self.no_more_sessions = true;
            if let Some(token) = token {
                self.global_questions.push(token, 0, Some(Ok(Vec::new())));
            }
            return self.send_global_answers(sink);
        }
        let size = request.name.len() + request.data.0.len();
        self.shared.hold_question(size)?;
        if let Some(token) = token {
            self.global_questions.push(token, size, None);
        }
        self.shared.undelivered_globals += 1;
        let data = Bytes::copy_from_slice(request.data.0);
        self.shared.events.push_back(ConnectionEvent::GlobalRequest { token, name: request.name.into(), data });
        Ok(())
    }

    pub(super) fn receive_global_success(&mut self, payload: &Bytes) -> Result<()> {
        let data = messages::RequestSuccess::decode(payload)?.data.0;
        self.finish_global(|| Ok(Bytes::copy_from_slice(data)))
    }

    pub(super) fn receive_global_failure(&mut self, payload: &Bytes) -> Result<()> {
        messages::RequestFailure::decode(payload)?;
        self.finish_global(|| Err(()))
    }

    /// A reply that nobody asked for is of no consequence.
    fn finish_global(&mut self, reply: impl FnOnce() -> std::result::Result<Bytes, ()>) -> Result<()> {
        if let Some((_, token)) = self.global_requests.pop_front() {
            self.shared.events.push_back(ConnectionEvent::GlobalDone { token, reply: reply() });
        }
        Ok(())
    }

    /// The peer answered that one of our requests, by its place among those that want a reply, with UNIMPLEMENTED
    /// (RFC 4253 section 11.4): it is refused, and the replies to the others keep their order.
    pub fn global_request_not_understood(&mut self, ordinal: u64) {
        let at = self.global_requests.iter().position(|(place, _)| *place == ordinal);
        if let Some((_, token)) = at.and_then(|at| self.global_requests.remove(at)) {
            self.shared.events.push_back(ConnectionEvent::GlobalDone { token, reply: Err(()) });
        }
    }

    fn send_global_answers(&mut self, sink: &mut dyn MessageSink) -> Result<()> {
        while let Some((answer, size)) = self.global_questions.pop_answered() {
            self.shared.drop_question(size);
            match answer {
                Ok(data) => sink.send(&message!(RequestSuccess { data: Rest(&data) }))?,
                Err(()) => sink.send(&message!(RequestFailure {}))?,
            }
        }
        Ok(())
    }
}
