//! What the session tells, turned into ends of operations, events, questions and callbacks.

use std::sync::Arc;

use super::asker::Asker;
use super::callback::Job;
use super::event::{EventKind, Queued};
use super::operation::{Kind, Reply};
use super::signing::{Outside, outside_of};
use super::state::{ChannelPhase, Entry, Locked, Pending};
use super::waiter::Concern;
use super::{Channel, Notice, Ticket};
use crate::error::{Error, Result};
use crate::session::{Answer, ChannelId, Question, QuestionId, RequestId, Role, SessionEvent};

/// RFC 4254 section 5.1.
const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
pub(super) const RESOURCE_SHORTAGE: u32 = 4;

impl Locked<'_> {
    /// Takes what the session has to tell; whether there was anything.
    pub fn tell_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.session.as_deref_mut().and_then(|session| session.next_event()) {
            any = true;
            self.happened(event);
        }
        any
    }

    fn happened(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Negotiated => self.negotiated(),
            SessionEvent::Rekeyed => {
                self.finish_found(|kind| matches!(kind, Kind::Rekey), Ok(Reply::default()));
            }
            SessionEvent::AuthFinished(result) => self.auth_finished(result),
            SessionEvent::Authenticated { user, method } => {
                self.transport.user_is_known();
                self.push_event(Queued::Authenticated);
                self.notify(Notice::Authenticated { user, method });
            }
            SessionEvent::Banner(text) => {
                if !self.released {
                    self.events.push_banner(text);
                }
            }
            SessionEvent::Question { id, question } => self.asked(id, question),
            SessionEvent::QuestionWithdrawn { id } => self.withdraw(id),
            SessionEvent::Opened { channel } => self.opened(channel),
            SessionEvent::OpenFailed { channel, error } => self.open_failed(channel, &error),
            SessionEvent::Readable { channel, .. } => self.readable(channel, false),
            SessionEvent::PeerEof { channel } => self.readable(channel, true),
            SessionEvent::PeerClosed { channel } => {
                if let Some(entry) = self.channels.get_mut(&channel) {
                    entry.peer_closed = true;
                }
                self.readable(channel, true);
            }
            SessionEvent::Writable { channel } => {
                if !self.short_writers.contains(&channel) {
                    self.short_writers.push(channel);
                }
            }
            SessionEvent::ChannelExit { channel } => {
                if let Some(entry) = self.channels.get_mut(&channel) {
                    entry.exited = true;
                    self.push_channel_event(EventKind::ChannelExit, channel);
                    self.touch_channel(channel);
                    self.refresh_levels(channel);
                }
            }
            SessionEvent::ChannelClosed { channel } => self.channel_closed(channel),
            SessionEvent::StoppedReading { channel } => self.touch_channel(channel),
            SessionEvent::RequestDone { id, reply, .. } => self.request_done(id, reply),
            SessionEvent::Ended(error) => self.end(error),
        }
    }

    fn negotiated(&mut self) {
        self.finish_found(|kind| matches!(kind, Kind::Negotiate), Ok(Reply::default()));
        if self.role() == Role::Server {
            self.notify(Notice::Connected);
        }
        if let Some(op) = self.operations.find(|kind| matches!(kind, Kind::Connect { .. })) {
            self.next_method(op, None);
        }
    }

    fn auth_finished(&mut self, result: Result<()>) {
        if result.is_ok() {
            self.transport.user_is_known();
        }
        if let Some(op) = self.operations.find(|kind| matches!(kind, Kind::Connect { .. })) {
            match result {
                Ok(()) => self.auth_over(op, Ok(Reply::default())),
                Err(error) => self.next_method(op, Some(error)),
            }
        } else if let Some(op) = self.operations.find(|kind| matches!(kind, Kind::Authenticate)) {
            self.auth_over(op, result.map(|()| Reply::default()));
        } else {
            self.give_keys_up();
            if let Some(asker) = self.askers.user.take() {
                self.submit(Job::Drop(asker));
            }
        }
    }

    fn auth_over(&mut self, op: u64, result: Result<Reply>) {
        if let Some(asker) = self.askers.user.take() {
            self.submit(Job::Drop(asker));
        }
        self.give_keys_up();
        self.finish(op, result);
    }

    /// `connect` goes on with its next method, or ends with what the last one came to.
    fn next_method(&mut self, op: u64, last: Option<Error>) {
        let goes_on = matches!(last, None | Some(Error::AuthFailed(_) | Error::AuthMethod(_) | Error::AuthPartial(_)));
        let now = self.now;
        let state = &mut **self;
        let Some(operation) = state.operations.get(op) else { return };
        let Kind::Connect { user, methods } = &mut operation.kind else { return };
        let next = if goes_on { methods.pop_front() } else { None };
        let result = match (next, last) {
            (Some(method), _) => match state.session.as_deref_mut() {
                Some(session) => match session.authenticate(user, method, now) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                },
                None => Err(Error::closed("the session is over")),
            },
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Reply::default()),
        };
        self.auth_over(op, result);
    }

    fn opened(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.phase = ChannelPhase::Open;
        let pending = std::mem::take(&mut entry.pending);
        self.finish_found(|kind| matches!(kind, Kind::Open(other) if *other == id), Ok(Reply::default()));
        for what in pending {
            self.carry_out(id, what);
        }
        self.touch_channel(id);
        self.refresh_levels(id);
    }

    /// What was asked of a channel before it was open.
    pub fn carry_out(&mut self, id: ChannelId, what: Pending) {
        let now = self.now;
        let Some(session) = self.session.as_deref_mut() else { return };
        match what {
            Pending::Request { op, name, data, want_reply } => {
                let begun = session.channel_request(id, &name, &data, want_reply, now);
                self.request_begun(op, begun, want_reply);
            }
            Pending::Eof => drop(session.send_eof(id, now)),
            Pending::Finish(status) => drop(session.finish(id, status, now)),
            Pending::Close => drop(session.close_channel(id, now)),
        }
    }

    /// A request went to the session: its operation waits for the reply, or has ended.
    pub fn request_begun(&mut self, op: u64, begun: Result<u64>, want_reply: bool) {
        match begun {
            Ok(request) if want_reply => {
                self.requests.insert(request, op);
            }
            Ok(_) => self.finish(op, Ok(Reply::default())),
            Err(error) => self.finish(op, Err(error)),
        }
    }

    fn request_done(&mut self, id: RequestId, reply: Result<Vec<u8>>) {
        let op = self.requests.remove(&id);
        let tells = op.and_then(|op| self.operations.get(op)).is_some_and(|operation| operation.kind.tells_reply());
        let reply = if tells {
            reply.map(|data| Reply { message: Some(data), value: 0 })
        } else {
            self.forward_answered(id, reply)
        };
        if let Some(op) = op {
            self.finish(op, reply);
        }
    }

    fn open_failed(&mut self, id: ChannelId, error: &Error) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.last_error = Some(error.clone());
        entry.phase = ChannelPhase::Failed(error.clone());
        let pending = std::mem::take(&mut entry.pending);
        self.finish_found(|kind| matches!(kind, Kind::Open(other) if *other == id), Err(error.clone()));
        for what in pending {
            if let Pending::Request { op, .. } = what {
                self.finish(op, Err(error.clone()));
            }
        }
        self.touch_channel(id);
        self.refresh_levels(id);
    }

    fn readable(&mut self, id: ChannelId, ended: bool) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.peer_ended |= ended;
        self.push_channel_event(EventKind::ChannelReadable, id);
        self.touch_channel(id);
        self.refresh_levels(id);
    }

    fn channel_closed(&mut self, id: ChannelId) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.peer_ended = true;
        entry.peer_closed = true;
        entry.phase = ChannelPhase::Closed;
        self.push_channel_event(EventKind::ChannelClosed, id);
        self.touch_channel(id);
        self.refresh_levels(id);
    }

    /// Something to ask: of whoever is there for it, as an event, or answered with the refusal that is the default.
    fn asked(&mut self, id: QuestionId, question: Question) {
        let asker = match &question {
            Question::HostKey { .. } => self.askers.host_key.clone(),
            Question::Prompts { .. } | Question::PasswordChange { .. } => {
                self.askers.user.clone().or_else(|| self.askers.peer.clone())
            }
            Question::Sign(_) => None,
            _ => self.askers.peer.clone(),
        };
        let signer = match &question {
            Question::Sign(wanted) => match outside_of(&wanted.key) {
                Some(Outside::Application(signer)) => Some(Arc::clone(signer)),
                None => None,
            },
            _ => None,
        };
        let channel = match &question {
            Question::ChannelOpen { channel, kind, data } => {
                let handle = Channel::new(self.transport, *channel, kind, data);
                self.channels.insert(*channel, Entry::new(Arc::clone(&handle), ChannelPhase::Asked(id)));
                Some(handle)
            }
            Question::ChannelRequest { channel, .. } => self.channels.get(channel).map(|it| Arc::clone(&it.handle)),
            _ => None,
        };
        let opening = channel.as_ref().filter(|_| matches!(question, Question::ChannelOpen { .. }));
        let opens = opening.map(|channel| channel.id());
        if self.released {
            self.refuse(id, opens);
            return;
        }
        if let Some(channel) = opening
            && let Some(handler) = self.forward_of(channel)
        {
            self.forwarded(id, question, Arc::clone(channel), handler);
            return;
        }
        if asker.is_none() && signer.is_none() && !self.askers.as_events {
            self.refuse(id, opens);
            return;
        }
        self.open_questions.insert(id);
        let ticket = Ticket::new(id, question, self.transport, channel);
        if self.askers.as_events {
            self.push_event(Queued::Question(id, ticket));
        } else if let Some(signer) = signer {
            self.submit(Job::Sign { signer, ticket });
        } else if let Some(asker) = asker {
            self.submit(Job::Ask { asker, ticket });
        }
    }

    /// A connection came to where the server listens for us.
    fn forwarded(
        &mut self,
        id: QuestionId,
        question: Question,
        channel: Arc<Channel>,
        handler: Option<Arc<dyn Asker>>,
    ) {
        self.open_questions.insert(id);
        match handler {
            Some(asker) => {
                let ticket = Ticket::new(id, question, self.transport, Some(channel));
                self.submit(Job::Ask { asker, ticket });
            }
            None => {
                // Refused when too many wait to be accepted: the peer is told.
                let _ = self.answer(id, Answer::Accept, Some(&channel), false);
            }
        }
    }

    fn refuse(&mut self, id: QuestionId, opens: Option<ChannelId>) {
        let now = self.now;
        let answer = match opens {
            Some(_) => Answer::Refuse { code: ADMINISTRATIVELY_PROHIBITED, text: "not allowed here".to_owned() },
            None => Answer::Reject,
        };
        if let Some(session) = self.session.as_deref_mut() {
            // Withdrawn meanwhile, perhaps: nobody waits for it then.
            let _ = session.answer(id, answer, now);
        }
        if let Some(channel) = opens {
            self.drop_entry(channel);
        }
    }

    pub fn submit(&mut self, job: Job) {
        if let Some(unwanted) = self.transport.engine().pool.submit(self.transport, job) {
            self.discard(unwanted);
        }
    }
    fn notify(&mut self, notice: Notice) {
        let asker: Option<Arc<dyn Asker>> = self.askers.peer.clone();
        if let Some(asker) = asker.filter(|_| !self.askers.as_events) {
            self.submit(Job::Notify { asker, notice });
        }
    }

    fn withdraw(&mut self, id: QuestionId) {
        self.open_questions.remove(&id);
        for gone in self.events.remove(|queued| matches!(queued, Queued::Question(other, _) if *other == id)) {
            self.discard_event(gone);
        }
        let asked = self.channels.iter().find(|(_, entry)| matches!(entry.phase, ChannelPhase::Asked(it) if it == id));
        if let Some(channel) = asked.map(|(channel, _)| *channel) {
            self.drop_entry(channel);
        }
    }

    /// The answer of the application. `opens`: the channel that is asked about being opened.
    pub fn answer(&mut self, id: QuestionId, answer: Answer, opens: Option<&Arc<Channel>>, keep: bool) -> Result<()> {
        if !self.open_questions.contains(&id) {
            return Err(Error::closed("nothing waits for this answer any more"));
        }
        let now = self.now;
        let accepts = matches!(answer, Answer::Accept);
        let full = self.accept.len() as u64 >= u64::from(self.config.limits.accept_queue);
        let answer = match opens {
            Some(_) if accepts && !keep && full => {
                Answer::Refuse { code: RESOURCE_SHORTAGE, text: "too many channels wait to be accepted".to_owned() }
            }
            _ => answer,
        };
        let accepts = accepts && matches!(answer, Answer::Accept);
        let session =
            self.session.as_deref_mut().ok_or_else(|| Error::closed("nothing waits for this answer any more"))?;
        let result = session.answer(id, answer, now);
        let result = match result {
            Err(Error::Argument(_)) => return result,
            Err(Error::State(_)) => Err(Error::closed("nothing waits for this answer any more")),
            other => other,
        };
        self.open_questions.remove(&id);
        let Some(channel) = opens else { return result };
        if !accepts || result.is_err() {
            self.drop_entry(channel.id());
            return result;
        }
        if let Some(entry) = self.channels.get_mut(&channel.id()) {
            entry.phase = ChannelPhase::Open;
        }
        if keep {
            channel.hand_over();
        } else {
            self.accept.push_back(channel.id());
            self.push_channel_event(EventKind::ChannelIncoming, channel.id());
            self.touch(Concern::Accept);
        }
        Ok(())
    }

    /// Forgets a channel that no application has.
    pub fn drop_entry(&mut self, id: ChannelId) {
        for gone in self.events.remove(|queued| super::pump::concerns_channel(queued, id)) {
            self.discard_event(gone);
        }
        self.accept.retain(|other| *other != id);
        self.short_writers.retain(|other| *other != id);
        if let Some(entry) = self.channels.remove(&id) {
            entry.handle.levels.close();
            self.discard(entry.handle);
        }
    }

    /// The session is over, or there never was one.
    pub fn end(&mut self, error: Error) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(error.clone());
        self.last_error = Some(error.clone());
        let told = self.end_error().unwrap_or_else(|| error.clone());
        for op in self.operations.under_way() {
            self.finish(op, Err(told.clone()));
        }
        self.requests.clear();
        self.open_questions.clear();
        for gone in self.events.remove(|queued| matches!(queued, Queued::Question(..))) {
            self.discard_event(gone);
        }
        let mut ids: Vec<_> = self.channels.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.channel_lost(id, &told);
        }
        self.push_event(Queued::Disconnected);
        self.notify(Notice::Disconnected(error));
        self.drop_askers();
        self.touched_all = true;
    }

    /// Nobody is asked any more. What the application wants to do about that is done where callbacks run.
    pub fn drop_askers(&mut self) {
        for asker in
            [self.askers.host_key.take(), self.askers.user.take(), self.askers.peer.take()].into_iter().flatten()
        {
            self.submit(Job::Drop(asker));
        }
        self.drop_forwards();
    }

    fn channel_lost(&mut self, id: ChannelId, error: &Error) {
        let Some(entry) = self.channels.get_mut(&id) else { return };
        entry.pending.clear();
        match entry.phase {
            ChannelPhase::Asked(_) => {
                self.drop_entry(id);
                return;
            }
            ChannelPhase::Opening => entry.phase = ChannelPhase::Failed(error.clone()),
            ChannelPhase::Open if !entry.peer_ended => self.push_channel_event(EventKind::ChannelReadable, id),
            _ => {}
        }
        self.refresh_levels(id);
    }
}
