use super::channel::{Channel, Incoming, Outgoing, Remote, State};
use super::types::LARGEST_PACKET;
use super::window::ReceiveWindow;
use super::{ChannelId, Connection, ConnectionEvent, kinds, open_failure};
use crate::error::{Error, Result};
use crate::wire::messages::{self, message};
use crate::wire::{MessageSink, Rest, check_name, clean};
use bytes::Bytes;

/// The most that an open of a peer may carry: its type, which is kept, addresses and paths.
const LARGEST_OPEN: usize = 16 << 10;

impl Connection {
    /// Asks the peer to open a channel; the answer comes as `Opened` or `OpenFailed`. A `window` given
    /// (0 counts as not given) is fixed: it does not grow.
    pub fn open(
        &mut self,
        kind: &str,
        data: &[u8],
        window: Option<u32>,
        max_packet: Option<u32>,
        sink: &mut dyn MessageSink,
    ) -> Result<ChannelId> {
        check_name(kind)?;
        if data.len() > super::replies::LARGEST_REQUEST {
            return Err(Error::limit("the open does not fit into a packet"));
        }
        if self.shared.live >= self.shared.config.max_channels {
            return Err(Error::limit("the connection has as many channels as it may have"));
        }
        let window = self.new_window(window, max_packet);
        let id = self.free_id();
        let (initial_window, maximum_packet) = (window.credit(), window.max_packet());
        sink.send(&message!(ChannelOpen {
            kind: kind,
            sender_channel: id,
            initial_window: initial_window,
            maximum_packet: maximum_packet,
            data: Rest(data),
        }))?;
        self.insert(Channel::new(id, kind, State::Opening, window));
        self.shared.budget.take(initial_window.into());
        Ok(id)
    }

    /// Accepts the peer's open.
    pub fn accept_open(&mut self, id: ChannelId, sink: &mut dyn MessageSink) -> Result<()> {
        self.accept_open_with(id, None, None, sink)
    }

    /// Accepts the peer's open with a window and a packet size of its own.
    pub fn accept_open_with(
        &mut self,
        id: ChannelId,
        window: Option<u32>,
        max_packet: Option<u32>,
        sink: &mut dyn MessageSink,
    ) -> Result<()> {
        let window = self.new_window(window, max_packet);
        let (initial_window, maximum_packet) = (window.credit(), window.max_packet());
        let (channel, shared) = self.both(id)?;
        let State::Asked(remote) = &channel.state else {
            return Err(Error::state("the open of this channel was answered already"));
        };
        sink.send(&message!(ChannelOpenConfirmation {
            recipient_channel: remote.id,
            sender_channel: id,
            initial_window: initial_window,
            maximum_packet: maximum_packet,
            data: Rest(&[]),
        }))?;
        let Remote { id: remote_id, window: remote_window, max_packet } = *remote;
        channel.state = State::Open(Remote { id: remote_id, window: remote_window, max_packet });
        channel.window = window;
        shared.budget.take(initial_window.into());
        shared.pending_opens = shared.pending_opens.saturating_sub(1);
        shared.drop_question(std::mem::take(&mut channel.open_size));
        Ok(())
    }

    /// Refuses the peer's open; the id is free again.
    pub fn refuse_open(&mut self, id: ChannelId, code: u32, text: &str, sink: &mut dyn MessageSink) -> Result<()> {
        let (channel, shared) = self.both(id)?;
        let State::Asked(remote) = &channel.state else {
            return Err(Error::state("the open of this channel was answered already"));
        };
        send_open_failure(remote.id, code, text, sink)?;
        shared.drop_question(std::mem::take(&mut channel.open_size));
        channel.forgotten = true;
        channel.end(shared, State::Failed);
        self.remove_if_done(id);
        Ok(())
    }

    pub(super) fn receive_open(&mut self, payload: &Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let open = messages::ChannelOpen::decode(payload)?;
        if self.no_more_sessions && open.kind == kinds::SESSION {
            return Err(Error::protocol("the client opens a session after it said that there will be no more"));
        }
        let shared = &mut self.shared;
        let refusal = if open.maximum_packet == 0 {
            Some((open_failure::CONNECT_FAILED, "the maximum packet size is 0"))
        } else if open.kind.len() + open.data.0.len() > LARGEST_OPEN {
            Some((open_failure::RESOURCE_SHORTAGE, "the open carries too much"))
        } else if shared.live >= shared.config.max_channels || shared.pending_opens >= shared.config.max_pending_opens {
            Some((open_failure::RESOURCE_SHORTAGE, "too many channels"))
        } else {
            None
        };
        if let Some((code, text)) = refusal {
            return send_open_failure(open.sender_channel, code, text, sink);
        }
        if kinds::Opening::decode(open.kind, open.data.0).is_err() {
            let text = "the data of the open is not what its type carries";
            return send_open_failure(open.sender_channel, open_failure::CONNECT_FAILED, text, sink);
        }
        let size = open.kind.len() + open.data.0.len();
        shared.hold_question(size)?;
        shared.pending_opens += 1;
        let id = self.free_id();
        let remote = Remote { id: open.sender_channel, window: open.initial_window, max_packet: open.maximum_packet };
        // The window is chosen when the open is accepted; until then the peer may send nothing.
        let mut channel = Channel::new(id, open.kind, State::Asked(remote), ReceiveWindow::new(0, 0, 1, 0));
        channel.open_size = size;
        self.insert(channel);
        let data = Bytes::copy_from_slice(open.data.0);
        self.shared.events.push_back(ConnectionEvent::OpenRequested { id, kind: open.kind.into(), data });
        Ok(())
    }

    pub(super) fn receive_open_confirmation(&mut self, payload: &Bytes, sink: &mut dyn MessageSink) -> Result<()> {
        let confirmed = messages::ChannelOpenConfirmation::decode(payload)?;
        let id = confirmed.recipient_channel;
        self.opening(id, "CHANNEL_OPEN_CONFIRMATION")?;
        let (channel, shared) = self.both(id)?;
        if confirmed.maximum_packet == 0 {
            return Err(Error::protocol("the peer confirms a channel with a maximum packet size of 0"));
        }
        let recipient_channel = confirmed.sender_channel;
        channel.state = State::Open(Remote {
            id: recipient_channel,
            window: confirmed.initial_window,
            max_packet: confirmed.maximum_packet,
        });
        if channel.forgotten {
            // Granted too late: nobody wants it any more.
            channel.outgoing = Outgoing::CloseSent;
            return sink.send(&message!(ChannelClose { recipient_channel: recipient_channel }));
        }
        for request in channel.take_deferred(shared) {
            request.send(recipient_channel, sink)?;
            channel.requests_out.extend(request.token);
        }
        let data = Bytes::copy_from_slice(confirmed.data.0);
        self.shared.events.push_back(ConnectionEvent::Opened { id, data });
        self.transmit_now(id, sink)
    }

    pub(super) fn receive_open_failure(&mut self, payload: &Bytes) -> Result<()> {
        let failure = messages::ChannelOpenFailure::decode(payload)?;
        let id = failure.recipient_channel;
        self.opening(id, "CHANNEL_OPEN_FAILURE")?;
        let (channel, shared) = self.both(id)?;
        channel.incoming = Incoming::Closed;
        let (code, description) = (failure.reason, clean(failure.description, 256));
        channel.report(shared, ConnectionEvent::OpenFailed { id, code, description });
        channel.end(shared, State::Failed);
        self.remove_if_done(id);
        Ok(())
    }

    /// The channel whose open of ours is unanswered.
    fn opening(&mut self, id: ChannelId, message: &str) -> Result<&mut Channel> {
        match self.channels.get_mut(&id) {
            Some(channel) if matches!(channel.state, State::Opening) => Ok(channel),
            _ => Err(Error::protocol(format!("{message} for channel {id}, which we did not ask to open"))),
        }
    }

    /// The window of a new channel: smaller than wanted when the byte limit is nearly used up, but at
    /// least a packet.
    fn new_window(&self, fixed: Option<u32>, max_packet: Option<u32>) -> ReceiveWindow {
        let config = &self.shared.config;
        let fixed = fixed.filter(|window| *window > 0);
        let target = fixed.unwrap_or(config.default_window);
        let max_packet = max_packet.filter(|size| *size > 0).unwrap_or(config.default_max_packet).min(LARGEST_PACKET);
        let available = u32::try_from(self.shared.budget.available()).unwrap_or(u32::MAX);
        let credit = target.min(available.max(max_packet));
        let grows = fixed.is_none() && config.window_growth;
        ReceiveWindow::new(target, credit, max_packet, if grows { config.max_window } else { target })
    }

    fn insert(&mut self, channel: Channel) {
        self.shared.live += 1;
        let half = u32::try_from(self.shared.budget.limit() / 2).unwrap_or(u32::MAX);
        if let Some(widest) = self.shared.widest.take().and_then(|id| self.channels.get_mut(&id)) {
            widest.window.shrink(half);
        }
        self.channels.insert(channel.id, Box::new(channel));
    }

    fn free_id(&mut self) -> ChannelId {
        while self.channels.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }
}

pub(super) fn send_open_failure(remote_id: u32, code: u32, text: &str, sink: &mut dyn MessageSink) -> Result<()> {
    sink.send(&message!(ChannelOpenFailure {
        recipient_channel: remote_id,
        reason: code,
        description: text.as_bytes(),
        rest: Rest(&[0, 0, 0, 0]),
    }))
}
