//! Random operations on both sides; the seed of a failure is printed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::simulator::Pieces;
use super::*;

const SIDES: [Role; 2] = [Role::Client, Role::Server];

/// One stream of one channel in one direction: what was written, and what arrived.
#[derive(Default)]
struct Flow {
    written: u64,
    read: u64,
    /// The writer has sent EOF, or closed.
    ended: bool,
    /// The reader has closed or let go: what is under way may be lost.
    unread: bool,
}

struct Channel {
    ids: [Option<ChannelId>; 2],
    /// By writer, and data or standard error.
    flows: [[Flow; 2]; 2],
    closed: [bool; 2],
    forgotten: [bool; 2],
}

struct Model {
    random: Random,
    channels: Vec<Channel>,
    /// Openings under way, by opener: its number, and the channel here.
    opening: [BTreeMap<ChannelId, usize>; 2],
    requests: [Vec<RequestId>; 2],
    rekeys: usize,
}

const STREAMS: [Stream; 2] = [Stream::Data, Stream::STDERR];

fn flow_number(channel: usize, writer: usize, stream: usize) -> u64 {
    (channel * 4 + writer * 2 + stream) as u64
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            channels: Vec::new(),
            opening: [BTreeMap::new(), BTreeMap::new()],
            requests: [Vec::new(), Vec::new()],
            rekeys: 0,
        }
    }

    fn operate(&mut self, pair: &mut Pair) {
        let side = self.random.below(2);
        match self.random.below(100) {
            0..6 => self.open(pair, side),
            6..10 => self.rekey(pair, side),
            10..14 => self.global_request(pair, side),
            14..30 => self.answer(pair, side),
            choice => {
                if self.channels.is_empty() {
                    return;
                }
                let channel = self.random.below(self.channels.len());
                match choice {
                    30..60 => self.write(pair, side, channel),
                    60..90 => self.read(pair, side, channel),
                    90..93 => self.send_eof(pair, side, channel),
                    93..96 => self.request(pair, side, channel),
                    96..98 => self.close(pair, side, channel),
                    _ => self.forget(pair, side, channel),
                }
            }
        }
    }

    fn open(&mut self, pair: &mut Pair, side: usize) {
        let now = pair.now;
        // A server may open no sessions.
        let kind = ["session", "tun@openssh.com"][side];
        let window = (self.random.below(3) == 0).then_some(20_000);
        let number = self.channels.len();
        let data = (number as u32).to_be_bytes();
        let session = &mut pair.side(SIDES[side]).session;
        let id = session.open_channel(kind, &data, window, None, now).unwrap();
        let mut ids = [None, None];
        ids[side] = Some(id);
        self.opening[side].insert(id, number);
        self.channels.push(Channel { ids, flows: Default::default(), closed: [false; 2], forgotten: [false; 2] });
    }

    fn rekey(&mut self, pair: &mut Pair, side: usize) {
        let now = pair.now;
        match pair.side(SIDES[side]).session.rekey(now) {
            Ok(()) => self.rekeys += 1,
            Err(error) => assert!(matches!(error, Error::State(_)), "{error:?}"),
        }
    }

    fn global_request(&mut self, pair: &mut Pair, side: usize) {
        let now = pair.now;
        let wanted = self.random.below(4) > 0;
        let id = pair.side(SIDES[side]).session.global_request("any@example.org", b"data", wanted, now).unwrap();
        if wanted {
            self.requests[side].push(id);
        }
    }

    /// Questions that were left open are answered in any order.
    fn answer(&mut self, pair: &mut Pair, side: usize) {
        let now = pair.now;
        let open = pair.side(SIDES[side]).open.len();
        if open > 0 {
            let (id, question) = pair.side(SIDES[side]).open.remove(self.random.below(open));
            let accept = self.random.below(5) > 0;
            let answer = if accept { Answer::Accept } else { Answer::Reject };
            match pair.side(SIDES[side]).session.answer(id, answer, now) {
                Ok(()) => {}
                // Its channel went a moment ago.
                Err(Error::State(_)) => return,
                Err(error) => panic!("{error:?}"),
            }
            if let Question::ChannelOpen { channel, data, .. } = &question {
                let number = u32::from_be_bytes(data.as_ref().try_into().unwrap()) as usize;
                if accept {
                    self.channels[number].ids[side] = Some(*channel);
                }
            }
        }
    }

    fn usable(&self, side: usize, channel: usize) -> Option<ChannelId> {
        let channel = &self.channels[channel];
        channel.ids[side].filter(|_| !channel.forgotten[side])
    }

    fn write(&mut self, pair: &mut Pair, side: usize, channel: usize) {
        let Some(id) = self.usable(side, channel) else { return };
        let now = pair.now;
        let stream = if self.random.below(4) == 0 { 1 } else { 0 };
        let most = [1, 100, 5_000, 200_000][self.random.below(4)];
        let length = 1 + self.random.below(most);
        let from = self.channels[channel].flows[side][stream].written;
        let data = pattern_bytes(flow_number(channel, side, stream), from, length);
        match pair.side(SIDES[side]).session.write(id, STREAMS[stream], &data, now) {
            Ok(count) => self.channels[channel].flows[side][stream].written += count as u64,
            Err(error) => assert!(matches!(error, Error::State(_) | Error::Closed(_)), "{error:?}"),
        }
    }

    fn read(&mut self, pair: &mut Pair, side: usize, channel: usize) {
        let Some(id) = self.usable(side, channel) else { return };
        let now = pair.now;
        for (stream, name) in STREAMS.into_iter().enumerate() {
            let mut out = vec![0; 1 + self.random.below(100_000)];
            let flow = &mut self.channels[channel].flows[1 - side][stream];
            match pair.side(SIDES[side]).session.read(id, name, &mut out, now) {
                Ok(count) => {
                    let number = flow_number(channel, 1 - side, stream);
                    assert_eq!(out[..count], pattern_bytes(number, flow.read, count), "channel {channel}");
                    flow.read += count as u64;
                }
                Err(Error::Eof) if flow.unread => {}
                Err(Error::Eof) => {
                    assert!(flow.ended, "channel {channel}: EOF that nobody sent");
                    assert_eq!(flow.read, flow.written, "channel {channel}: EOF before the end");
                }
                Err(error) => assert!(matches!(error, Error::Again | Error::Closed(_) | Error::State(_)), "{error:?}"),
            }
        }
    }

    fn send_eof(&mut self, pair: &mut Pair, side: usize, channel: usize) {
        let Some(id) = self.usable(side, channel) else { return };
        let now = pair.now;
        if pair.side(SIDES[side]).session.send_eof(id, now).is_ok() {
            self.end_flows(side, channel);
        }
    }

    fn end_flows(&mut self, writer: usize, channel: usize) {
        for flow in &mut self.channels[channel].flows[writer] {
            flow.ended = true;
        }
    }

    /// A side that closes reads no more; the other one's data may be lost, its own is not.
    fn stop(&mut self, side: usize, channel: usize) {
        self.end_flows(side, channel);
        for flow in &mut self.channels[channel].flows[1 - side] {
            flow.unread = true;
            flow.ended = true;
        }
        self.channels[channel].closed[side] = true;
    }

    fn request(&mut self, pair: &mut Pair, side: usize, channel: usize) {
        let Some(id) = self.usable(side, channel) else { return };
        let now = pair.now;
        let wanted = self.random.below(4) > 0;
        match pair.side(SIDES[side]).session.channel_request(id, "any@example.org", b"", wanted, now) {
            Ok(id) if wanted => self.requests[side].push(id),
            Ok(_) => {}
            Err(error) => assert!(matches!(error, Error::State(_) | Error::Closed(_)), "{error:?}"),
        }
    }

    fn close(&mut self, pair: &mut Pair, side: usize, channel: usize) {
        let Some(id) = self.usable(side, channel) else { return };
        let now = pair.now;
        if pair.side(SIDES[side]).session.close_channel(id, now).is_ok() {
            self.stop(side, channel);
        }
    }

    fn forget(&mut self, pair: &mut Pair, side: usize, channel: usize) {
        let Some(id) = self.usable(side, channel) else { return };
        let now = pair.now;
        let session = &mut pair.side(SIDES[side]).session;
        let opening = session.channel_info(id).is_some_and(|info| !info.open && !info.closed);
        session.forget_channel(id, now);
        self.stop(side, channel);
        if opening {
            // That cancels the open, and what was written to it.
            for flow in &mut self.channels[channel].flows[side] {
                flow.unread = true;
            }
        }
        self.channels[channel].forgotten[side] = true;
    }

    /// Everything is read and answered; what was written has arrived.
    fn finish(&mut self, pair: &mut Pair) {
        for _ in 0..20_000 {
            let before = self.progress(pair);
            for side in 0..2 {
                self.answer(pair, side);
                for channel in 0..self.channels.len() {
                    self.read(pair, side, channel);
                }
            }
            pair.settle();
            if self.progress(pair) == before && pair.client.open.is_empty() && pair.server.open.is_empty() {
                break;
            }
        }
        for (number, channel) in self.channels.iter().enumerate() {
            if channel.ids.contains(&None) {
                continue;
            }
            for flow in channel.flows.iter().flatten().filter(|flow| !flow.unread) {
                assert_eq!(flow.read, flow.written, "channel {number}: data is missing");
            }
        }
    }

    fn progress(&self, pair: &Pair) -> (u64, u64, usize) {
        let read = self.channels.iter().flat_map(|channel| channel.flows.iter().flatten()).map(|flow| flow.read);
        (read.sum(), pair.client.sent + pair.server.sent, pair.client.open.len() + pair.server.open.len())
    }

    /// Every request that wanted a reply ended exactly once, unless its channel was let go first.
    fn check_requests(&self, pair: &Pair) {
        for (index, side) in [&pair.client, &pair.server].into_iter().enumerate() {
            for request in &self.requests[index] {
                let ended = side.count(|event| matches!(event, SessionEvent::RequestDone { id, .. } if id == request));
                assert!(ended <= 1, "request {request} ended {ended} times");
            }
            let all = side.count(|event| matches!(event, SessionEvent::RequestDone { .. }));
            assert!(all <= self.requests[index].len());
            let anything_forgotten = self.channels.iter().any(|channel| channel.forgotten[index]);
            assert!(anything_forgotten || all == self.requests[index].len(), "a request never ended");
        }
    }
}

fn run(seed: u64) {
    let latency = Duration::from_millis(seed % 3 * 20);
    let mut options = Options { seed, latency, pieces: Pieces::Random, ..Options::default() };
    for config in [&mut options.client, &mut options.server] {
        config.algorithms.set(AlgorithmKind::Kex, "curve25519-sha256").unwrap();
        config.limits.open_ms = 0;
        config.limits.decision_ms = 0;
        if seed.is_multiple_of(4) {
            config.rekey.bytes = 100_000;
        }
    }
    let mut pair = Pair::connected(options);
    pair.server.decide = Box::new(|_| None);
    let mut model = Model::new(seed);
    for _ in 0..600 {
        model.operate(&mut pair);
        if model.random.below(3) == 0 {
            pair.step();
        }
        if model.random.below(10) == 0 {
            pair.settle();
        }
        for side in [&pair.client, &pair.server] {
            assert!(side.ended().is_none(), "{:?}", side.ended());
        }
    }
    pair.settle();
    model.finish(&mut pair);
    model.check_requests(&pair);
    let now = pair.now;
    pair.client.session.close(now);
    pair.settle();
    assert!(
        matches!(pair.client.ended(), Some(Error::Disconnected(told)) if !told.by_peer),
        "{:?}",
        pair.client.ended()
    );
    assert!(
        matches!(pair.server.ended(), Some(Error::Disconnected(told)) if told.by_peer),
        "{:?}",
        pair.server.ended()
    );
}

/// Says which seed it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the seed is {}", self.0);
        }
    }
}

#[test]
fn random_operations_lose_nothing() {
    let seeds = std::env::var("NACRE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seeds = seeds.map_or(0..16, |seed| seed..seed + 1);
    for seed in seeds {
        let _printed = Seed(seed);
        run(seed);
    }
}
