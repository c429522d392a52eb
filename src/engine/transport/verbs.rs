//! What a connection is asked to do, and the operations that this begins.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::super::event::{EventKind, Queued};
use super::super::operation::{Kind, OperationId};
use super::super::state::{ChannelPhase, Entry, Locked, Phase};
use super::super::waiter::Concern;
use super::super::waiting::Interests;
use super::super::{Asker, Channel, Event, Payload, Reply, Started, Timeout, Transport};
use crate::error::{Error, Result};
use crate::session::{
    ChannelId, ClientMethod, Exit, HostKeyPolicy, PrivateKey, RandomSource, Role, Session, SystemRandom,
};

const LONGEST_IGNORE: usize = 32_000;

/// start_client and authentication in one operation.
#[derive(Default)]
pub struct ConnectOptions {
    /// `Unset` is `Argument`.
    pub policy: HostKeyPolicy,
    /// Asked about the host key, where the policy says so.
    pub host_key_asker: Option<Arc<dyn Asker>>,
    /// Asked everything else, from now on; None: as it was set before.
    pub asker: Option<Arc<dyn Asker>>,
    /// None: no authentication.
    pub user: Option<Vec<u8>>,
    /// Tried first.
    pub key: Option<Arc<PrivateKey>>,
    /// Tried without a key, or when the key was not enough.
    pub password: Option<Zeroizing<Vec<u8>>>,
}

impl Transport {
    /// Begins an operation and waits for it so long. `channel`: whose `wake` interrupts the wait.
    pub(in super::super) fn operate(
        self: &Arc<Self>,
        kind: Kind,
        timeout: Timeout,
        wanted: bool,
        channel: Option<ChannelId>,
        start: impl FnOnce(&mut Locked, OperationId) -> Result<()>,
    ) -> Started<Reply> {
        if let Err(error) = self.engine().check() {
            return Started::failed(error);
        }
        let mut locked = self.lock();
        let op = match locked.operations.begin(kind, wanted) {
            Ok(op) => op,
            Err(error) => return Started::failed(error),
        };
        if let Some(operation) = locked.operations.get(op) {
            operation.waiting = 1;
        }
        if let Err(error) = start(&mut locked, op) {
            locked.operations.remove(op);
            locked.last_error = Some(error.clone());
            locked.pump();
            return Started::failed(error);
        }
        let result = self.await_operation(locked, op, timeout, channel);
        Started { op: if wanted { op } else { 0 }, result }
    }

    /// Waits for an operation that this thread is counted as waiting for.
    fn await_operation<'a>(
        self: &'a Arc<Self>,
        locked: Locked<'a>,
        op: OperationId,
        timeout: Timeout,
        channel: Option<ChannelId>,
    ) -> Result<Reply> {
        let about = Interests { concern: Concern::Operation(op), channel };
        let take = |locked: &mut Locked| locked.take_result(op);
        self.wait_on(locked, timeout, about, take, |locked, error| locked.stop_waiting(op, error))
    }

    pub fn start_client(self: &Arc<Self>, timeout: Timeout, want_op: bool) -> Started<()> {
        self.operate(Kind::Negotiate, timeout, want_op, None, |locked, _| locked.start(Role::Client)).map(drop)
    }

    pub fn start_server(
        self: &Arc<Self>,
        asker: Option<Arc<dyn Asker>>,
        timeout: Timeout,
        want_op: bool,
    ) -> Started<()> {
        let start = |locked: &mut Locked, _| {
            locked.start(Role::Server)?;
            if let Some(asker) = asker {
                let old = locked.askers.peer.replace(asker);
                locked.discard(old);
            }
            Ok(())
        };
        self.operate(Kind::Negotiate, timeout, want_op, None, start).map(drop)
    }

    pub fn authenticate(
        self: &Arc<Self>,
        user: &[u8],
        method: ClientMethod,
        asker: Option<Arc<dyn Asker>>,
        timeout: Timeout,
        want_op: bool,
    ) -> Started<()> {
        let start = |locked: &mut Locked, _| {
            let now = locked.now;
            // Whatever comes of it: they go when the lock does, at the earliest.
            let held = method.clone();
            let begun = locked.active().and_then(|session| session.authenticate(user, method, now));
            if begun.is_ok() {
                locked.keep_keys(&held);
            }
            locked.discard(held);
            begun?;
            let old = std::mem::replace(&mut locked.askers.user, asker);
            locked.discard(old);
            Ok(())
        };
        self.operate(Kind::Authenticate, timeout, want_op, None, start).map(drop)
    }

    pub fn connect(self: &Arc<Self>, options: ConnectOptions, timeout: Timeout, want_op: bool) -> Started<()> {
        if matches!(options.policy, HostKeyPolicy::Unset) {
            return Started::failed(Error::argument("connect needs to know which host key to accept"));
        }
        let mut methods = VecDeque::new();
        if options.user.is_some() {
            if let Some(key) = options.key {
                methods.push_back(ClientMethod::Publickey { key, probe: false });
            }
            if let Some(password) = options.password {
                methods.push_back(ClientMethod::Password { password, fallback_to_interactive: true });
            }
        }
        let held = methods.clone();
        let kind = Kind::Connect { user: options.user.unwrap_or_default(), methods };
        let (policy, host_key_asker, asker) = (options.policy, options.host_key_asker, options.asker);
        let start = |locked: &mut Locked, _| {
            if locked.is_started() {
                return Err(Error::state("the transport was started before"));
            }
            locked.policy = policy;
            let old = (std::mem::replace(&mut locked.askers.host_key, host_key_asker), locked.askers.user.take());
            locked.discard(old);
            if let Some(asker) = asker {
                let old = locked.askers.peer.replace(asker);
                locked.discard(old);
            }
            let started = locked.start(Role::Client);
            if started.is_ok() {
                for method in &held {
                    locked.keep_keys(method);
                }
            }
            locked.discard(held);
            started
        };
        self.operate(kind, timeout, want_op, None, start).map(drop)
    }

    /// Server: shown to the client before its next authentication reply.
    pub fn send_banner(self: &Arc<Self>, text: &[u8]) -> Result<()> {
        self.engine().check()?;
        let mut locked = self.lock();
        let now = locked.now;
        if !locked.is_started() && locked.end_error().is_none() {
            locked.banner = Some(text.to_vec());
            return Ok(());
        }
        let result = locked.active().and_then(|session| session.send_banner(text, now));
        locked.pump();
        result
    }

    /// A channel comes with OK and with Again; its first owner is the caller.
    #[allow(clippy::too_many_arguments)]
    pub fn open_channel(
        self: &Arc<Self>,
        kind: &str,
        data: &[u8],
        window: Option<u32>,
        max_packet: Option<u32>,
        timeout: Timeout,
        want_op: bool,
    ) -> (Option<Arc<Channel>>, Started<()>) {
        if let Err(error) = self.engine().check() {
            return (None, Started::failed(error));
        }
        let mut locked = self.lock();
        let (channel, op) = match locked.open_channel(kind, data, window, max_packet, want_op) {
            Ok(begun) => begun,
            Err(error) => {
                locked.last_error = Some(error.clone());
                locked.pump();
                return (None, Started::failed(error));
            }
        };
        let result = self.await_operation(locked, op, timeout, Some(channel.id())).map(drop);
        let started = Started { op: if want_op { op } else { 0 }, result };
        match started.result {
            Ok(()) | Err(Error::Again | Error::Interrupted) => (Some(channel), started),
            Err(_) => {
                channel.release();
                (None, started)
            }
        }
    }

    /// The next channel that the peer opened and the application accepted.
    pub fn accept(self: &Arc<Self>, timeout: Timeout) -> Result<Arc<Channel>> {
        self.wait_until(timeout, Interests::of(Concern::Accept), |locked| {
            while let Some(id) = locked.accept.pop_front() {
                let gone = locked
                    .events
                    .remove(|queued| matches!(queued, Queued::Channel(EventKind::ChannelIncoming, it) if *it == id));
                gone.into_iter().for_each(|queued| locked.discard_event(queued));
                if let Some(entry) = locked.channels.get(&id) {
                    let channel = Arc::clone(&entry.handle);
                    channel.add_owner();
                    return Some(Ok(channel));
                }
            }
            locked.end_error().map(Err)
        })
    }

    pub fn global_request(
        self: &Arc<Self>,
        name: &str,
        data: &[u8],
        want_reply: bool,
        timeout: Timeout,
        want_op: bool,
    ) -> Started<Reply> {
        let start = |locked: &mut Locked, op| {
            let now = locked.now;
            let begun = locked.active()?.global_request(name, data, want_reply, now)?;
            locked.request_begun(op, Ok(begun), want_reply);
            Ok(())
        };
        self.operate(Kind::Global, timeout, want_op, None, start)
    }

    pub fn rekey(self: &Arc<Self>, timeout: Timeout, want_op: bool) -> Started<()> {
        let start = |locked: &mut Locked, op| {
            let now = locked.now;
            if locked.operations.find(|kind| matches!(kind, Kind::Rekey)).is_some_and(|other| other != op) {
                return Err(Error::state("a key exchange is under way"));
            }
            locked.active()?.rekey(now)
        };
        self.operate(Kind::Rekey, timeout, want_op, None, start).map(drop)
    }

    pub fn send_ignore(self: &Arc<Self>, count: usize) -> Result<()> {
        self.engine().check()?;
        if count > LONGEST_IGNORE {
            return Err(Error::argument(format!("at most {LONGEST_IGNORE} bytes can be sent to be ignored")));
        }
        let mut data = vec![0; count];
        SystemRandom::new().fill(&mut data);
        let mut locked = self.lock();
        let now = locked.now;
        let result = locked.active().and_then(|session| session.send_ignore(&data, now));
        locked.pump();
        result
    }

    /// Again when there is none.
    pub fn next_event(self: &Arc<Self>) -> Result<Event> {
        self.engine().check()?;
        self.engine().events_are_taken();
        self.take_event().0.ok_or(Error::Again)
    }

    /// An event, and whether there are more.
    pub(in super::super) fn take_event(self: &Arc<Self>) -> (Option<Event>, bool) {
        let mut locked = self.lock();
        let mut event = None;
        while event.is_none() {
            let Some(queued) = locked.events.pop() else { break };
            event = locked.event_of(queued);
        }
        locked.pump();
        (event, !locked.events.is_empty())
    }

    /// Readable exactly while an event waits.
    pub fn event_fd(self: &Arc<Self>) -> Result<RawFd> {
        self.engine().check()?;
        self.engine().events_are_taken();
        let locked = self.lock();
        let failed = |error| super::super::core::system("cannot make an event descriptor", &error);
        self.event_level.get(!locked.events.is_empty()).map_err(failed)
    }

    /// Waits for one operation; the event is what `next_event` would have given, its `status` how the operation ended.
    /// Every thread that waits for it gets its end.
    pub fn wait(self: &Arc<Self>, op: OperationId, timeout: Timeout) -> Result<Event> {
        self.engine().check()?;
        let mut locked = self.lock();
        let Some(operation) = locked.operations.get(op) else {
            return Err(Error::not_found(format!("no operation {op} is under way or unread")));
        };
        operation.waiting += 1;
        let about = Interests::of(Concern::Operation(op));
        let take = |locked: &mut Locked| locked.take_operation_event(op);
        self.wait_on(locked, timeout, about, take, |locked, error| {
            if let Some(operation) = locked.operations.get(op) {
                operation.waiting = operation.waiting.saturating_sub(1);
            }
            Err(error)
        })
    }

    /// No event and no callback of this operation follows; what the peer grants late is undone.
    pub fn cancel(self: &Arc<Self>, op: OperationId) -> Result<()> {
        self.engine().check()?;
        let mut locked = self.lock();
        let result = locked.cancel(op);
        locked.pump();
        result
    }

    /// 0: the last error of this transport; else what that operation ended with.
    pub fn take_error(self: &Arc<Self>, op: OperationId) -> Result<Option<Error>> {
        self.engine().check()?;
        let mut locked = self.lock();
        Ok(if op == 0 { locked.last_error.take() } else { locked.operations.take_error(op) })
    }
}

impl Locked<'_> {
    /// Now, or once there is a stream.
    fn start(&mut self, role: Role) -> Result<()> {
        if let Some(error) = self.end_error() {
            return Err(error);
        }
        match &mut self.phase {
            Phase::Connected => self.begin_session(role),
            Phase::Dialing(dialing) if dialing.starts.is_none() => {
                if role == Role::Server && self.config.host_keys.is_empty() {
                    return Err(Error::state("a server needs a host key"));
                }
                if let Phase::Dialing(dialing) = &mut self.phase {
                    dialing.starts = Some(role);
                }
                self.config.role = role;
                Ok(())
            }
            _ => Err(Error::state("the transport was started before")),
        }
    }

    pub(in super::super) fn begin_session(&mut self, role: Role) -> Result<()> {
        if role == Role::Server && self.config.host_keys.is_empty() {
            return Err(Error::state("a server needs a host key"));
        }
        self.config.role = role;
        self.config.algorithms.settle(role);
        let mut config = self.config.clone();
        if role == Role::Client {
            config.host_key_policy = std::mem::take(&mut self.policy);
        }
        config.failure_delay_secret = self.transport.engine().secret();
        let mut session = Session::new(config, Box::new(SystemRandom::new()), self.now)?;
        if let (Role::Server, Some(banner)) = (role, self.banner.take()) {
            session.send_banner(&banner, self.now)?;
        }
        self.session = Some(Box::new(session));
        self.phase = Phase::Started;
        Ok(())
    }

    fn open_channel(
        &mut self,
        kind: &str,
        data: &[u8],
        window: Option<u32>,
        max_packet: Option<u32>,
        wanted: bool,
    ) -> Result<(Arc<Channel>, OperationId)> {
        let now = self.now;
        let transport = self.transport;
        let id = self.active()?.open_channel(kind, data, window, max_packet, now)?;
        let op = match self.operations.begin(Kind::Open(id), wanted) {
            Ok(op) => op,
            Err(error) => {
                if let Some(session) = self.session.as_deref_mut() {
                    session.forget_channel(id, now);
                }
                return Err(error);
            }
        };
        if let Some(operation) = self.operations.get(op) {
            operation.waiting = 1;
        }
        let handle = Channel::new(transport, id, kind, data);
        handle.add_owner();
        self.channels.insert(id, Entry::new(Arc::clone(&handle), ChannelPhase::Opening));
        Ok((handle, op))
    }

    /// The result of an operation that has ended, for the call that waits for it.
    fn take_result(&mut self, op: OperationId) -> Option<Result<Reply>> {
        let Some(operation) = self.operations.get(op) else {
            return Some(Err(Error::Cancelled));
        };
        let (wanted, channel) = (operation.wanted, operation.kind.channel());
        let result = operation.done.clone()?;
        self.operations.taken(op);
        if let Err(error) = &result {
            if wanted {
                self.operations.keep_error(op, error.clone());
            }
            // Also the transport's when it is a channel's: one that failed to open has no handle to take it from.
            self.last_error = Some(error.clone());
            if let Some(entry) = channel.and_then(|id| self.channels.get_mut(&id)) {
                entry.last_error = Some(error.clone());
            }
        }
        Some(result)
    }

    /// The call that began an operation returns without its end.
    fn stop_waiting(&mut self, op: OperationId, otherwise: Error) -> Result<Reply> {
        if let Some(operation) = self.operations.get(op) {
            operation.waiting = operation.waiting.saturating_sub(1);
            if operation.waiting == 0 && !operation.wanted && !operation.kind.goes_on_unwanted() {
                self.operations.remove(op);
            }
        }
        Err(otherwise)
    }

    fn take_operation_event(&mut self, op: OperationId) -> Option<Result<Event>> {
        let Some(operation) = self.operations.get(op) else {
            return Some(Err(Error::Cancelled));
        };
        operation.done.as_ref()?;
        for gone in self.events.remove(|queued| matches!(queued, Queued::Operation(other) if *other == op)) {
            self.discard_event(gone);
        }
        self.event_of(Queued::Operation(op)).map(Ok)
    }

    fn cancel(&mut self, op: OperationId) -> Result<()> {
        let now = self.now;
        let Some(operation) = self.operations.get(op) else {
            return Err(Error::not_found(format!("no operation {op} is under way or unread")));
        };
        let over = operation.done.is_some();
        if !over && !operation.kind.can_be_cancelled() {
            return Err(Error::state("this operation cannot be cancelled: close the transport instead"));
        }
        let waited = operation.waiting > 0;
        let opening = match operation.kind {
            Kind::Open(id) if !over => Some(id),
            _ => None,
        };
        let dialing = matches!(operation.kind, Kind::Dial) && !over;
        for gone in self.events.remove(|queued| matches!(queued, Queued::Operation(other) if *other == op)) {
            self.discard_event(gone);
        }
        if !over {
            self.give_up_forward(op);
        }
        self.requests.retain(|_, other| *other != op);
        if waited {
            self.finish(op, Err(Error::Cancelled));
        } else {
            self.operations.remove(op);
        }
        if let Some(id) = opening {
            if let Some(session) = self.session.as_deref_mut() {
                session.forget_channel(id, now);
            }
            if let Some(entry) = self.channels.get_mut(&id) {
                entry.phase = ChannelPhase::Failed(Error::Cancelled);
                entry.pending.clear();
            }
            self.touch_channel(id);
            self.refresh_levels(id);
        }
        if dialing {
            self.end(Error::Cancelled);
        }
        Ok(())
    }

    /// None: what it told of is gone.
    fn event_of(&mut self, queued: Queued) -> Option<Event> {
        let mut event = Event {
            kind: EventKind::Disconnected,
            status: None,
            op: 0,
            transport: Arc::clone(self.transport),
            channel: None,
            value: 0,
            payload: Payload::None,
        };
        match queued {
            Queued::Operation(op) => {
                let operation = self.operations.get(op)?;
                let (kind, channel, done) = (operation.kind.event(), operation.kind.channel(), operation.done.clone());
                self.operations.taken(op);
                event.kind = kind;
                event.op = op;
                event.channel = channel.and_then(|id| self.handle(id));
                match done? {
                    Ok(reply) => {
                        event.value = reply.value;
                        event.payload = reply.message.map_or(Payload::None, Payload::Message);
                    }
                    Err(error) => {
                        self.operations.keep_error(op, error.clone());
                        event.status = Some(error);
                    }
                }
            }
            Queued::Channel(kind, id) => {
                let entry = self.channels.get_mut(&id)?;
                entry.queued &= !(1 << (kind as u32));
                event.kind = kind;
                event.channel = Some(Arc::clone(&entry.handle));
                if let (EventKind::ChannelExit, Some(session)) = (kind, &self.session)
                    && let Some(Exit::Status(status)) = session.exit(id)
                {
                    event.value = u64::from(*status);
                }
            }
            Queued::Authenticated => event.kind = EventKind::Authenticated,
            Queued::Banner(text) => {
                event.kind = EventKind::Banner;
                event.payload = Payload::Message(text);
            }
            Queued::Question(_, ticket) => {
                event.kind = EventKind::Question;
                event.channel = ticket.channel().cloned();
                event.payload = Payload::Ticket(ticket);
            }
            Queued::Disconnected => event.status.clone_from(&self.ended),
        }
        Some(event)
    }

    fn handle(&self, id: ChannelId) -> Option<Arc<Channel>> {
        self.channels.get(&id).map(|entry| Arc::clone(&entry.handle))
    }
}
