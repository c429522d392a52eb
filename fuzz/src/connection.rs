//! The connection protocol, either role: a peer that sends what it likes, and an application that does what it likes.
//! The peer's windows and largest packets are never exceeded, and what is held stays within its bounds.

use crate::hostile::connection_message;
use crate::input::Input;
use bytes::Bytes;
use nacre::connection::{
    ChannelId, Config, Connection, ConnectionEvent, Exit, GlobalToken, RequestToken, StderrMode, Stream,
};
use nacre::error::Result;
use nacre::wire::{Message, MessageSink, Reader, Role};
use std::collections::HashMap;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    while !input.is_empty() && !world.ended {
        match input.byte() % 4 {
            0 | 1 => world.receive(&mut input),
            _ => world.act(&mut input),
        }
        world.take_events();
        world.check();
    }
}

/// What the peer granted for one channel number of its own; it may use a number twice, and then both grants count.
#[derive(Default)]
struct Granted {
    window: u64,
    largest: u32,
    sent: u64,
}

struct Line {
    room: usize,
    granted: HashMap<u32, Granted>,
    encoded: Vec<u8>,
}

/// Of a packet: what stands around a message on the wire. Messages of one byte of data fill a line too.
const AROUND: usize = 32;

impl MessageSink for Line {
    fn send(&mut self, message: &Message<'_>) -> Result<()> {
        self.encoded.clear();
        message.encode(&mut self.encoded);
        assert_eq!(self.encoded.len(), message.length());
        let data = match message {
            Message::ChannelData(data) => Some((data.recipient_channel, data.data.len())),
            Message::ChannelExtendedData(data) => Some((data.recipient_channel, data.data.len())),
            _ => None,
        };
        if let Some((channel, length)) = data {
            let granted = self.granted.get_mut(&channel).expect("data for a channel that the peer does not know");
            granted.sent += length as u64;
            assert!(granted.sent <= granted.window, "{} sent of {}", granted.sent, granted.window);
            assert!(length <= granted.largest as usize, "{length} bytes in a packet for {}", granted.largest);
            self.room = self.room.saturating_sub(message.length() + AROUND);
        }
        Ok(())
    }

    fn room(&self) -> usize {
        self.room
    }
}

struct World {
    connection: Connection,
    line: Line,
    limits: Config,
    channels: Vec<ChannelId>,
    opens: Vec<ChannelId>,
    requests: Vec<(ChannelId, RequestToken)>,
    globals: Vec<GlobalToken>,
    ended: bool,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let role = if input.boolean() { Role::Client } else { Role::Server };
        let mut config = Config::new(role);
        if input.boolean() {
            config.default_window = 1 + input.number() % 100_000;
            config.default_max_packet = input.number() % 70_000;
            config.max_channels = 1 + usize::from(input.byte() % 8);
            config.max_pending_opens = usize::from(input.byte() % 4);
            config.receive_queue_limit = 1 + input.number() as usize % 200_000;
            config.byte_limit = 65_536 + u64::from(input.number() % 1_000_000);
            config.max_requests = 1 + usize::from(input.byte() % 8);
            config.max_global_requests = 1 + usize::from(input.byte() % 8);
        }
        let connection = Connection::new(config);
        Self {
            limits: connection.config().clone(),
            connection,
            line: Line { room: 1 << 20, granted: HashMap::new(), encoded: Vec::new() },
            channels: Vec::new(),
            opens: Vec::new(),
            requests: Vec::new(),
            globals: Vec::new(),
            ended: false,
        }
    }

    fn receive(&mut self, input: &mut Input<'_>) {
        let (number, payload) = connection_message(input);
        self.note_grant(number, &payload);
        self.ended = self.connection.receive(number, Bytes::from(payload), &mut self.line).is_err();
    }

    /// As much as the message can grant at most.
    fn note_grant(&mut self, number: u8, payload: &[u8]) {
        let mut reader = Reader::new(payload);
        if number == 90 && reader.string().is_err() {
            return;
        }
        let mut numbers = [0; 4];
        for place in &mut numbers {
            *place = reader.u32().unwrap_or(0);
        }
        let (remote, window, largest) = match number {
            90 => (numbers[0], numbers[1], numbers[2]),
            91 => (numbers[1], numbers[2], numbers[3]),
            93 => match self.connection.info(numbers[0]).and_then(|info| info.remote_id) {
                Some(remote) => (remote, numbers[1], 0),
                None => return,
            },
            _ => return,
        };
        let granted = self.line.granted.entry(remote).or_default();
        granted.window += u64::from(window);
        granted.largest = granted.largest.max(largest);
    }

    fn channel(&self, input: &mut Input<'_>) -> ChannelId {
        match self.channels.is_empty() || input.byte() == 255 {
            true => input.number(),
            false => *input.pick(&self.channels),
        }
    }

    fn act(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let id = self.channel(input);
        let (connection, line) = (&mut self.connection, &mut self.line);
        let stream = *input.pick(&[Stream::Data, Stream::STDERR, Stream::Extended(2)]);
        // Errors are of the application's making here.
        let _ = match choice % 18 {
            0 => {
                let kind = input.pick(&["session", "direct-tcpip", "x11", ""]);
                let opened = connection.open(
                    kind,
                    input.bytes(40),
                    input.boolean().then(|| input.number() % 1_000_000),
                    input.boolean().then(|| input.number() % 100_000),
                    line,
                );
                opened.map(|id| self.channels.push(id))
            }
            1 | 2 => match self.opens.pop() {
                Some(id) if input.byte() < 200 => connection.accept_open(id, line).map(|()| self.channels.push(id)),
                Some(id) => connection.refuse_open(id, input.number(), &input.text(60), line),
                None => Ok(()),
            },
            3 => {
                let mut out = vec![0; input.number() as usize % 100_000];
                connection.read(id, stream, &mut out, line).map(|count| assert!(count <= out.len()))
            }
            4 => connection.peek(id, stream, &mut [0; 64]).map(drop),
            5 | 6 => {
                let data = vec![b'd'; input.number() as usize % 400_000];
                connection.write(id, stream, &data, line).map(|count| assert!(count <= data.len()))
            }
            7 => connection.send_eof(id, line),
            8 => connection.close(id, line),
            9 => connection.finish(id, Exit::Status(input.number()), line),
            10 => {
                self.channels.retain(|known| *known != id);
                connection.forget(id, line)
            }
            11 => connection.set_stderr(
                id,
                *input.pick(&[StderrMode::Separate, StderrMode::Combine, StderrMode::Discard]),
                line,
            ),
            12 => connection.request(id, &input.text(30), input.bytes(100), input.boolean(), line).map(drop),
            13 => match self.requests.pop() {
                Some((id, token)) => connection.answer_request(id, token, input.boolean(), line),
                None => Ok(()),
            },
            14 => connection.global_request(&input.text(30), input.bytes(100), input.boolean(), line).map(drop),
            15 => match self.globals.pop() {
                Some(token) if input.boolean() => connection.answer_global(token, Ok(input.bytes(40).to_vec()), line),
                Some(token) => connection.answer_global(token, Err(()), line),
                None => Ok(()),
            },
            16 => connection.abort(id, line),
            _ => {
                line.room = input.number() as usize % 500_000;
                connection.transmit(line)
            }
        };
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.next_event() {
            match event {
                ConnectionEvent::OpenRequested { id, .. } => self.opens.push(id),
                ConnectionEvent::Request { id, token: Some(token), .. } => self.requests.push((id, token)),
                ConnectionEvent::GlobalRequest { token: Some(token), .. } => self.globals.push(token),
                _ => {}
            }
        }
    }

    fn check(&self) {
        assert!(self.connection.live_channels() <= self.limits.max_channels + self.limits.max_pending_opens);
        assert!(self.opens.len() <= 256);
        for id in &self.channels {
            let _ = (self.connection.writable(*id), self.connection.flushed(*id), self.connection.exit(*id));
            self.connection.readable(*id, Stream::Data);
        }
    }
}
