//! Where the server listens for us, and who gets the channels that come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::asker::Asker;
use super::callback::Job;
use super::operation::{Kind, OperationId, Reply};
use super::state::Locked;
use super::{Channel, Decision, Started, Ticket, Timeout, Transport};
use crate::error::{Error, Result};
use crate::session::{ForwardVerb, ListenAt, RequestId, Role, Session};

/// One place where the server listens, or was asked to.
pub(super) struct Forward {
    at: ListenAt,
    phase: Phase,
    /// Gets the channels; None: they go to the accept queue.
    handler: Option<Arc<Handler>>,
}

/// The application's handler, while it may be called.
struct Handler {
    asker: Arc<dyn Asker>,
    cancelled: AtomicBool,
}

impl Asker for Handler {
    fn ask(&self, transport: &Arc<Transport>, ticket: &Arc<Ticket>) -> Decision {
        if self.cancelled.load(Ordering::Acquire) { Decision::Reject } else { self.asker.ask(transport, ticket) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Asked(RequestId),
    /// The application has given it up before the server's answer: what it grants is undone.
    Unwanted(RequestId),
    Listening,
}

impl Transport {
    /// The reply's value is the port.
    pub fn request_forward(
        self: &Arc<Self>,
        at: ListenAt,
        handler: Option<Arc<dyn Asker>>,
        timeout: Timeout,
        want_op: bool,
    ) -> Started<Reply> {
        let start = |locked: &mut Locked, op| {
            let (name, data) = at.request(ForwardVerb::Listen);
            let now = locked.now;
            let asked = locked.client_session().and_then(|session| session.global_request(name, &data, true, now));
            let request = match asked {
                Ok(request) => request,
                Err(error) => {
                    locked.discard(handler);
                    return Err(error);
                }
            };
            let handler = handler.map(|asker| Arc::new(Handler { asker, cancelled: AtomicBool::new(false) }));
            locked.forwards.push(Forward { at, phase: Phase::Asked(request), handler });
            locked.request_begun(op, Ok(request), true);
            Ok(())
        };
        self.operate(Kind::Forward, timeout, want_op, None, start)
    }

    /// No handler is called any more when this has begun.
    pub fn cancel_forward(self: &Arc<Self>, at: &ListenAt, timeout: Timeout, want_op: bool) -> Started<()> {
        let start = |locked: &mut Locked, op| {
            let (name, data) = at.request(ForwardVerb::Cancel);
            let found = locked.forwards.iter().position(|forward| forward.at == *at);
            let found = found.ok_or_else(|| Error::not_found("the server was not asked to listen there"))?;
            let now = locked.now;
            let request = locked.client_session()?.global_request(name, &data, true, now)?;
            let gone = locked.forwards.remove(found);
            locked.no_more_calls(gone.handler);
            locked.request_begun(op, Ok(request), true);
            Ok(())
        };
        self.operate(Kind::CancelForward, timeout, want_op, None, start).map(drop)
    }
}

impl Locked<'_> {
    fn client_session(&mut self) -> Result<&mut Session> {
        if self.role() == Role::Server {
            return Err(Error::state("only a client asks the other side to listen"));
        }
        self.active()
    }

    /// The server's answer, as the operation tells it.
    pub fn forward_answered(&mut self, request: RequestId, reply: Result<Vec<u8>>) -> Result<Reply> {
        let asked = [Phase::Asked(request), Phase::Unwanted(request)];
        let Some(found) = self.forwards.iter().position(|forward| asked.contains(&forward.phase)) else {
            return reply.map(|_| Reply::default());
        };
        let mut forward = self.forwards.remove(found);
        let wanted = matches!(forward.phase, Phase::Asked(_));
        let granted = reply.and_then(|data| forward.granted(&data));
        match granted {
            Ok(port) if wanted => {
                forward.phase = Phase::Listening;
                self.forwards.push(forward);
                Ok(Reply { message: None, value: port.into() })
            }
            Ok(_) => {
                self.undo(forward);
                Err(Error::Cancelled)
            }
            Err(error) => {
                self.no_more_calls(forward.handler);
                Err(error)
            }
        }
    }

    /// The operation was cancelled: what the server grants late is undone.
    pub fn give_up_forward(&mut self, op: OperationId) {
        let request = self.requests.iter().find(|(_, other)| **other == op).map(|(request, _)| *request);
        let Some(request) = request else { return };
        let asked = self.forwards.iter_mut().find(|forward| forward.phase == Phase::Asked(request));
        let Some(forward) = asked else { return };
        forward.phase = Phase::Unwanted(request);
        let handler = forward.handler.take();
        self.no_more_calls(handler);
    }

    fn undo(&mut self, forward: Forward) {
        let (name, data) = forward.at.request(ForwardVerb::Cancel);
        let now = self.now;
        if let Ok(session) = self.active() {
            // When it cannot be sent the connection is at its end, and the server's listening with it.
            let _ = session.global_request(name, &data, false, now);
        }
        self.no_more_calls(forward.handler);
    }

    fn no_more_calls(&mut self, handler: Option<Arc<Handler>>) {
        if let Some(handler) = handler {
            handler.cancelled.store(true, Ordering::Release);
            self.submit(Job::Drop(handler));
        }
    }

    pub fn drop_forwards(&mut self) {
        for forward in std::mem::take(&mut self.forwards) {
            self.no_more_calls(forward.handler);
        }
    }

    /// Who gets a channel that comes of a forward of ours. None: of none.
    pub fn forward_of(&self, channel: &Arc<Channel>) -> Option<Option<Arc<dyn Asker>>> {
        let opening = channel.opening()?;
        let listening = self.forwards.iter().filter(|forward| forward.phase == Phase::Listening);
        let fitting = listening.filter_map(|forward| Some((forward.at.fit(opening)?, forward)));
        let best = fitting.max_by_key(|(fit, _)| *fit)?.1;
        Some(best.handler.clone().map(|handler| handler as Arc<dyn Asker>))
    }
}

impl Forward {
    /// The port where the server listens; 0 for a path.
    fn granted(&mut self, reply: &[u8]) -> Result<u16> {
        match &mut self.at {
            ListenAt::Path(_) => Ok(0),
            ListenAt::Tcp(at) if at.port != 0 => Ok(at.port),
            ListenAt::Tcp(at) => {
                let bound = ListenAt::bound_port(reply);
                at.port = bound.ok_or_else(|| Error::protocol("the server does not say which port it listens at"))?;
                Ok(at.port)
            }
        }
    }
}
