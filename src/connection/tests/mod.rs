//! Pairs of connections in memory, joined by queues of messages.

mod asking;
mod data;
mod ending;
mod hostile;
mod model;
mod opening;
mod stderr;
mod windows;

use super::*;
use crate::wire::messages::{Message, message};
use crate::wire::{Rest, Role};

/// The messages one side has sent and the other has not received.
pub(super) struct Wire {
    pub(super) messages: VecDeque<(u8, Bytes)>,
    /// How much data may be under way: what the outgoing buffer takes.
    pub(super) limit: usize,
    under_way: usize,
}

impl MessageSink for Wire {
    fn send(&mut self, message: &Message<'_>) -> Result<()> {
        let mut out = Vec::new();
        message.encode(&mut out);
        let payload = Bytes::from(out).slice(1..);
        self.under_way += data_length(message.number(), &payload);
        self.messages.push_back((message.number(), payload));
        Ok(())
    }

    fn room(&self) -> usize {
        self.limit.saturating_sub(self.under_way)
    }
}

impl Wire {
    pub(super) fn new() -> Self {
        Self { messages: VecDeque::new(), limit: 1 << 30, under_way: 0 }
    }

    pub(super) fn pop(&mut self) -> Option<(u8, Bytes)> {
        let (number, payload) = self.messages.pop_front()?;
        self.under_way -= data_length(number, &payload);
        Some((number, payload))
    }

    pub(super) fn numbers(&self) -> Vec<u8> {
        self.messages.iter().map(|(number, _)| *number).collect()
    }

    pub(super) fn clear(&mut self) {
        while self.pop().is_some() {}
    }
}

fn data_length(number: u8, payload: &Bytes) -> usize {
    match number {
        94 => payload.len() - 8,
        95 => payload.len() - 12,
        _ => 0,
    }
}

/// One side: the connection and what it has sent.
pub(super) struct Side {
    pub(super) connection: Connection,
    pub(super) wire: Wire,
}

impl Side {
    pub(super) fn new(config: Config) -> Self {
        Self { connection: Connection::new(config), wire: Wire::new() }
    }

    pub(super) fn receive(&mut self, message: Message<'_>) -> Result<()> {
        let mut out = Vec::new();
        message.encode(&mut out);
        self.connection.receive(message.number(), Bytes::from(out).slice(1..), &mut self.wire)
    }

    pub(super) fn events(&mut self) -> Vec<ConnectionEvent> {
        std::iter::from_fn(|| self.connection.next_event()).collect()
    }

    pub(super) fn write(&mut self, id: ChannelId, data: &[u8]) -> Result<usize> {
        self.connection.write(id, Stream::Data, data, &mut self.wire)
    }

    pub(super) fn write_stderr(&mut self, id: ChannelId, data: &[u8]) -> Result<usize> {
        self.connection.write(id, Stream::STDERR, data, &mut self.wire)
    }

    pub(super) fn transmit(&mut self) {
        self.connection.transmit(&mut self.wire).unwrap();
    }

    pub(super) fn read(&mut self, id: ChannelId, most: usize) -> Result<Vec<u8>> {
        self.read_stream(id, Stream::Data, most)
    }

    pub(super) fn read_stream(&mut self, id: ChannelId, stream: Stream, most: usize) -> Result<Vec<u8>> {
        let mut out = vec![0; most];
        let count = self.connection.read(id, stream, &mut out, &mut self.wire)?;
        out.truncate(count);
        Ok(out)
    }

    /// Everything that is there.
    pub(super) fn drain(&mut self, id: ChannelId, stream: Stream) -> (Vec<u8>, Error) {
        let mut all = Vec::new();
        loop {
            match self.read_stream(id, stream, 7000) {
                Ok(bytes) => all.extend(bytes),
                Err(error) => return (all, error),
            }
        }
    }

    pub(super) fn request(&mut self, id: ChannelId, name: &str, data: &[u8]) -> RequestToken {
        self.connection.request(id, name, data, true, &mut self.wire).unwrap().unwrap()
    }

    pub(super) fn answer(&mut self, id: ChannelId, token: RequestToken, success: bool) {
        self.connection.answer_request(id, token, success, &mut self.wire).unwrap();
    }

    pub(super) fn close(&mut self, id: ChannelId) {
        self.connection.close(id, &mut self.wire).unwrap();
    }

    pub(super) fn send_eof(&mut self, id: ChannelId) {
        self.connection.send_eof(id, &mut self.wire).unwrap();
    }

    pub(super) fn forget(&mut self, id: ChannelId) {
        self.connection.forget(id, &mut self.wire).unwrap();
    }

    /// The request events that wait, with their tokens.
    pub(super) fn requests(&mut self) -> Vec<(Option<RequestToken>, ChannelRequest)> {
        let requests = self.events().into_iter().filter_map(|event| match event {
            ConnectionEvent::Request { token, request, .. } => Some((token, request)),
            _ => None,
        });
        requests.collect()
    }
}

pub(super) struct Pair {
    pub(super) client: Side,
    pub(super) server: Side,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(Config::new(Role::Client), Config::new(Role::Server))
    }

    pub(super) fn with(client: Config, server: Config) -> Self {
        Self { client: Side::new(client), server: Side::new(server) }
    }

    /// A pair with one open session: the client's and the server's number of it.
    pub(super) fn session() -> (Self, ChannelId, ChannelId) {
        Self::new().and_session()
    }

    pub(super) fn and_session(mut self) -> (Self, ChannelId, ChannelId) {
        let (ours, theirs) = self.open(None, None);
        (self, ours, theirs)
    }

    pub(super) fn open(&mut self, window: Option<u32>, max_packet: Option<u32>) -> (ChannelId, ChannelId) {
        let ours = self.client.connection.open("session", b"", window, max_packet, &mut self.client.wire).unwrap();
        self.deliver();
        let theirs = self
            .server
            .events()
            .into_iter()
            .find_map(|event| match event {
                ConnectionEvent::OpenRequested { id, .. } => Some(id),
                _ => None,
            })
            .unwrap();
        self.server.connection.accept_open_with(theirs, window, max_packet, &mut self.server.wire).unwrap();
        self.deliver();
        let opened = self.client.events();
        assert!(opened.contains(&ConnectionEvent::Opened { id: ours, data: Bytes::new() }), "{opened:?}");
        (ours, theirs)
    }

    /// One message each way; whether there was one.
    pub(super) fn step(&mut self) -> bool {
        let mut moved = false;
        if let Some((number, payload)) = self.client.wire.pop() {
            self.server.connection.receive(number, payload, &mut self.server.wire).unwrap();
            moved = true;
        }
        if let Some((number, payload)) = self.server.wire.pop() {
            self.client.connection.receive(number, payload, &mut self.client.wire).unwrap();
            moved = true;
        }
        self.client.transmit();
        self.server.transmit();
        moved
    }

    /// Delivers until nothing is under way.
    pub(super) fn deliver(&mut self) {
        while self.step() {}
    }
}

/// Bytes that show their place.
pub(super) fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i % 251) as u8 ^ (i / 251 % 256) as u8).collect()
}

/// A server with a peer that we write ourselves, which has opened session `7` with the given window.
pub(super) fn server_with_open(window: u32, max_packet: u32) -> (Side, ChannelId) {
    let mut server = Side::new(Config::new(Role::Server));
    let id = peer_open(&mut server, 7, window, max_packet);
    server.connection.accept_open(id, &mut server.wire).unwrap();
    server.wire.clear();
    (server, id)
}

pub(super) fn peer_open(side: &mut Side, sender_channel: u32, window: u32, max_packet: u32) -> ChannelId {
    side.receive(message!(ChannelOpen {
        kind: "session",
        sender_channel: sender_channel,
        initial_window: window,
        maximum_packet: max_packet,
        data: Rest(b""),
    }))
    .unwrap();
    match side.connection.next_event() {
        Some(ConnectionEvent::OpenRequested { id, .. }) => id,
        other => panic!("{other:?}"),
    }
}

pub(super) fn is_fatal(result: Result<()>) {
    assert!(matches!(result, Err(Error::Protocol(_))), "{result:?}");
}
