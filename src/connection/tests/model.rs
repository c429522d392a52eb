//! Random operations on a pair against a model: bytes arrive in order, no window is exceeded, and in the
//! end everything is delivered.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    Write { client: bool, channel: usize, stderr: bool, count: usize },
    Read { client: bool, channel: usize, stderr: bool, count: usize },
    Deliver { to_server: bool, count: usize },
    Room { client: bool, limit: usize },
    Request { channel: usize },
    Answer { channel: usize, success: bool },
    Eof { client: bool, channel: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let (flag, channel) = (any::<bool>, || 0..3usize);
    prop_oneof![
        6 => (flag(), channel(), flag(), 0..3000usize)
            .prop_map(|(client, channel, stderr, count)| Act::Write { client, channel, stderr, count }),
        6 => (flag(), channel(), flag(), 0..3000usize)
            .prop_map(|(client, channel, stderr, count)| Act::Read { client, channel, stderr, count }),
        8 => (flag(), 0..20usize).prop_map(|(to_server, count)| Act::Deliver { to_server, count }),
        1 => (flag(), 0..5000usize).prop_map(|(client, limit)| Act::Room { client, limit }),
        1 => channel().prop_map(|channel| Act::Request { channel }),
        1 => (channel(), flag()).prop_map(|(channel, success)| Act::Answer { channel, success }),
        1 => (flag(), channel()).prop_map(|(client, channel)| Act::Eof { client, channel }),
    ]
}

/// Both directions of three channels, two streams each.
#[derive(Default)]
struct Flow {
    sent: Vec<u8>,
    received: Vec<u8>,
}

struct World {
    pair: Pair,
    ids: Vec<(ChannelId, ChannelId)>,
    /// By channel; from client (0) and from server (1); data (0) and standard error (1).
    flows: Vec<[[Flow; 2]; 2]>,
    ended: Vec<[bool; 2]>,
    /// Credit that each side has given the other one, as the wire shows it.
    credit: Vec<[i64; 2]>,
    questions: Vec<VecDeque<RequestToken>>,
    max_packet: usize,
}

impl World {
    fn new(window: u32, max_packet: u32) -> Self {
        let mut pair = Pair::new();
        let ids: Vec<_> = (0..3).map(|_| pair.open(Some(window), Some(max_packet))).collect();
        Self {
            pair,
            ids,
            flows: (0..3).map(|_| Default::default()).collect(),
            ended: vec![[false; 2]; 3],
            credit: vec![[window.into(); 2]; 3],
            questions: vec![VecDeque::new(); 3],
            max_packet: max_packet as usize,
        }
    }

    fn side(&mut self, client: bool, channel: usize) -> (&mut Side, ChannelId) {
        let (ours, theirs) = self.ids[channel];
        if client { (&mut self.pair.client, ours) } else { (&mut self.pair.server, theirs) }
    }

    fn apply(&mut self, act: &Act) {
        match *act {
            Act::Write { client, channel, stderr, count } => self.write(client, channel, stderr, count),
            Act::Read { client, channel, stderr, count } => {
                self.read(client, channel, stderr, count);
            }
            Act::Deliver { to_server, count } => {
                for _ in 0..count {
                    self.deliver(to_server);
                }
            }
            Act::Room { client, limit } => {
                self.side(client, 0).0.wire.limit = limit;
                self.side(client, 0).0.transmit();
            }
            Act::Request { channel } => {
                let (side, id) = self.side(true, channel);
                side.request(id, "x@y", b"data");
            }
            Act::Answer { channel, success } => {
                if let Some(token) = self.questions[channel].pop_back() {
                    let (side, id) = self.side(false, channel);
                    side.answer(id, token, success);
                }
            }
            Act::Eof { client, channel } => {
                let (side, id) = self.side(client, channel);
                side.send_eof(id);
                self.ended[channel][usize::from(!client)] = true;
            }
        }
        for event in self.pair.server.events() {
            if let ConnectionEvent::Request { id, token, .. } = event {
                let channel = self.ids.iter().position(|(_, theirs)| *theirs == id).unwrap();
                self.questions[channel].extend(token);
            }
        }
        self.pair.client.events();
    }

    fn write(&mut self, client: bool, channel: usize, stderr: bool, count: usize) {
        let flow = &self.flows[channel][usize::from(!client)][usize::from(stderr)];
        let data: Vec<u8> = (0..count).map(|i| ((flow.sent.len() + i) * 31 % 253) as u8).collect();
        let stream = if stderr { Stream::STDERR } else { Stream::Data };
        let (side, id) = self.side(client, channel);
        match side.connection.write(id, stream, &data, &mut side.wire) {
            Ok(taken) => {
                let flow = &mut self.flows[channel][usize::from(!client)][usize::from(stderr)];
                flow.sent.extend_from_slice(&data[..taken]);
            }
            Err(error) => assert!(matches!(error, Error::State(_)), "{error:?}"),
        }
    }

    fn read(&mut self, client: bool, channel: usize, stderr: bool, count: usize) -> usize {
        let stream = if stderr { Stream::STDERR } else { Stream::Data };
        let ended = self.ended[channel][usize::from(client)];
        let (side, id) = self.side(client, channel);
        let bytes = match side.read_stream(id, stream, count) {
            Ok(bytes) => bytes,
            Err(Error::Again) => return 0,
            Err(Error::Eof) => {
                let flow = &self.flows[channel][usize::from(client)][usize::from(stderr)];
                assert!(ended && flow.sent.len() == flow.received.len(), "the end came too early");
                return 0;
            }
            Err(error) => panic!("{error:?}"),
        };
        let flow = &mut self.flows[channel][usize::from(client)][usize::from(stderr)];
        flow.received.extend_from_slice(&bytes);
        assert!(flow.sent.starts_with(&flow.received), "bytes out of order");
        bytes.len()
    }

    fn deliver(&mut self, to_server: bool) -> bool {
        let (from, to) = match to_server {
            true => (&mut self.pair.client, &mut self.pair.server),
            false => (&mut self.pair.server, &mut self.pair.client),
        };
        let Some((number, payload)) = from.wire.pop() else { return false };
        let recipient = u32::from_be_bytes(payload[..4].try_into().unwrap());
        let channel =
            self.ids.iter().position(|(ours, theirs)| recipient == if to_server { *theirs } else { *ours }).unwrap();
        let length = data_length(number, &payload);
        assert!(length <= self.max_packet);
        let credit = &mut self.credit[channel][usize::from(!to_server)];
        *credit -= length as i64;
        assert!(*credit >= 0, "the window is exceeded");
        if number == 93 {
            let added = u32::from_be_bytes(payload[4..8].try_into().unwrap());
            assert!(added > 0);
            self.credit[channel][usize::from(to_server)] += i64::from(added);
        }
        to.connection.receive(number, payload, &mut to.wire).unwrap();
        to.transmit();
        from.transmit();
        true
    }

    /// With all limits gone and everybody reading, everything arrives.
    fn settle(&mut self) {
        for client in [true, false] {
            self.apply(&Act::Room { client, limit: 1 << 20 });
        }
        loop {
            let mut moved = self.deliver(true) | self.deliver(false);
            for channel in 0..3 {
                moved |= !self.questions[channel].is_empty();
                self.apply(&Act::Answer { channel, success: true });
                for (client, stderr) in [(true, true), (true, false), (false, true), (false, false)] {
                    moved |= self.read(client, channel, stderr, 200) > 0;
                }
            }
            if !moved {
                break;
            }
        }
        for (channel, directions) in self.flows.iter().enumerate() {
            for flow in directions.iter().flatten() {
                assert_eq!(flow.sent.len(), flow.received.len(), "channel {channel} was left hanging");
            }
        }
        for side in [&self.pair.client, &self.pair.server] {
            assert!(side.connection.all_flushed());
            let credit: u64 = side.connection.channels.values().map(|channel| u64::from(channel.window.credit())).sum();
            assert_eq!(side.connection.bytes_held(), credit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn everything_arrives_in_order(
        window in prop_oneof![1..10u32, 10..5000u32],
        max_packet in prop_oneof![1..10u32, 10..5000u32],
        acts in proptest::collection::vec(act(), 0..120),
    ) {
        let mut world = World::new(window, max_packet);
        for act in &acts {
            world.apply(act);
        }
        world.settle();
    }
}
