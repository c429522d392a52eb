use std::time::Duration;

use super::simulator::Pieces;
use super::*;

fn rekeyed(side: &Side) -> usize {
    side.count(|event| matches!(event, SessionEvent::Rekeyed))
}

/// Writes and reads what is possible on one channel, checked byte for byte.
pub struct Traffic {
    ids: [ChannelId; 2],
    pub written: [u64; 2],
    pub read: [u64; 2],
}

impl Traffic {
    pub fn new(ours: ChannelId, theirs: ChannelId) -> Self {
        Self { ids: [ours, theirs], written: [0; 2], read: [0; 2] }
    }

    pub fn go(&mut self, pair: &mut Pair, most: usize) {
        let now = pair.now;
        for (index, role) in [Role::Client, Role::Server].into_iter().enumerate() {
            let (id, side) = (self.ids[index], pair.side(role));
            let data = pattern_bytes(index as u64, self.written[index], most);
            self.written[index] += side.session.write(id, Stream::Data, &data, now).unwrap() as u64;
            let (data, stopped) = side.read_all(id, Stream::Data, now);
            assert_eq!(stopped, Error::Again);
            let from = 1 - index;
            assert_eq!(data, pattern_bytes(from as u64, self.read[from], data.len()), "data of {from} differs");
            self.read[from] += data.len() as u64;
        }
    }

    pub fn finish(&mut self, pair: &mut Pair) {
        for _ in 0..100_000 {
            if self.read == self.written {
                return;
            }
            self.go(pair, 0);
            pair.settle();
        }
        panic!("data is missing: written {:?}, read {:?}", self.written, self.read);
    }
}

#[test]
fn keys_are_renewed_from_both_sides_at_once_in_the_middle_of_traffic() {
    for seed in 0..6 {
        let latency = Duration::from_millis(seed * 3);
        let mut pair = Pair::connected(Options { seed, latency, pieces: Pieces::Random, ..Options::default() });
        let (ours, theirs) = pair.open_session();
        let mut traffic = Traffic::new(ours, theirs);
        let mut random = Random(seed);
        for round in 0..40 {
            let now = pair.now;
            let before = (rekeyed(&pair.client), rekeyed(&pair.server));
            traffic.go(&mut pair, 20_000);
            match random.below(3) {
                0 => pair.client.session.rekey(now).unwrap(),
                1 => pair.server.session.rekey(now).unwrap(),
                _ => {
                    pair.client.session.rekey(now).unwrap();
                    pair.server.session.rekey(now).unwrap();
                }
            }
            assert!(matches!(pair.client.session.rekey(now), Err(Error::State(_)) | Ok(())));
            traffic.go(&mut pair, 20_000);
            for _ in 0..random.below(20) {
                traffic.go(&mut pair, 5_000);
                pair.step();
            }
            pair.settle();
            assert!(rekeyed(&pair.client) > before.0 && rekeyed(&pair.server) > before.1, "seed {seed}, round {round}");
        }
        traffic.finish(&mut pair);
        let rekeys = pair.client.session.negotiated().unwrap().rekeys;
        assert_eq!(rekeys as usize, rekeyed(&pair.client));
        assert_eq!(pair.server.session.negotiated().unwrap().rekeys, rekeys);
        assert!(pair.client.ended().is_none() && pair.server.ended().is_none());
    }
}

#[test]
fn keys_are_renewed_after_so_many_bytes() {
    let mut options = Options { pieces: Pieces::Random, ..Options::default() };
    options.client.rekey = RekeyLimits { bytes: 200_000, ..RekeyLimits::default() };
    let mut pair = Pair::connected(options);
    let (ours, theirs) = pair.open_session();
    let mut traffic = Traffic::new(ours, theirs);
    while traffic.written[0] < 3_000_000 {
        traffic.go(&mut pair, 30_000);
        pair.step();
    }
    traffic.finish(&mut pair);
    assert!(rekeyed(&pair.client) >= 10, "{} times", rekeyed(&pair.client));
}

#[test]
fn keys_are_renewed_after_so_long() {
    let mut options = Options::default();
    options.server.rekey = RekeyLimits { interval: seconds(600), ..RekeyLimits::default() };
    let mut pair = Pair::connected(options);
    pair.advance(seconds(6_500));
    assert_eq!(rekeyed(&pair.server), 10);
    assert_eq!(rekeyed(&pair.client), 10);
}

#[test]
fn requests_made_during_an_exchange_wait_and_keep_their_order() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    let now = pair.now;
    pair.client.session.rekey(now).unwrap();
    let client = &mut pair.client.session;
    let requests: Vec<RequestId> =
        (0..20).map(|_| client.channel_request(ours, "window-change", &[0; 16], true, now).unwrap()).collect();
    let global = client.global_request("x@example.org", b"", true, now).unwrap();
    assert!(!client.is_flushed());
    pair.settle();
    let done: Vec<RequestId> = pair
        .client
        .events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::RequestDone { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(done, [requests, vec![global]].concat());
    assert!(pair.client.session.is_flushed());
}

#[test]
fn a_peer_that_never_finishes_an_exchange_is_left() {
    let mut pair = Pair::connected(Options::default());
    let (ours, _) = pair.open_session();
    pair.server.reads = false;
    let now = pair.now;
    pair.client.session.rekey(now).unwrap();
    // What is written meanwhile is held, within bounds.
    let mut taken = 0;
    loop {
        match pair.client.session.write(ours, Stream::Data, &[0; 32_768], now).unwrap() {
            0 => break,
            count => taken += count,
        }
        assert!(taken < 4 << 20, "{taken} bytes were taken");
    }
    pair.advance(seconds(59));
    assert!(pair.client.ended().is_none());
    pair.advance(seconds(2));
    assert!(matches!(pair.client.ended(), Some(Error::Timeout(_))), "{:?}", pair.client.ended());
}

/// What an application asks for while the keys are exchanged is refused before it fills the queue, and costs nothing.
#[test]
fn more_requests_than_an_exchange_may_hold_are_refused_and_the_session_goes_on() {
    for late_confirmation in [false, true] {
        let mut pair = Pair::connected(Options::default());
        let (ours, theirs) = pair.open_session();
        let now = pair.now;
        let long = vec![7; 190 << 10];
        let mut confirmed_late = Vec::new();
        if late_confirmation {
            for _ in 0..4 {
                let channel = pair.client.session.open_channel("session", b"", None, None, now).unwrap();
                while pair.client.session.channel_request(channel, "x@y", &long, false, now).is_ok() {}
                confirmed_late.push(channel);
            }
        }
        pair.server.decide = Box::new(|_| Some(Answer::Accept));
        pair.client.session.rekey(now).unwrap();
        let mut taken = Vec::new();
        let refused = loop {
            let done = taken.len() % 2;
            let session = &mut pair.client.session;
            let asked = match done {
                0 => session.channel_request(ours, "x@y", &long, true, now),
                _ => session.global_request("x@y", &long, true, now),
            };
            match asked {
                Ok(id) => taken.push(id),
                Err(error) => break error,
            }
            assert!(taken.len() < 100);
        };
        assert!(matches!(refused, Error::Limit(_)), "{refused:?}");
        assert!(matches!(pair.client.session.send_ignore(&long, now), Err(Error::Limit(_))));
        let opened = pair.client.session.open_channel("x@y", &long, None, None, now);
        assert!(matches!(opened, Err(Error::Limit(_))));
        pair.settle();
        assert!(pair.client.ended().is_none(), "{:?}", pair.client.ended());
        assert!(pair.server.ended().is_none(), "{:?}", pair.server.ended());
        let done = pair.client.count(|event| matches!(event, SessionEvent::RequestDone { .. }));
        assert_eq!(done, taken.len());
        let opened = pair.client.count(|event| matches!(event, SessionEvent::Opened { .. }));
        assert_eq!(opened, 1 + confirmed_late.len());
        // And there is room again.
        pair.client.session.channel_request(ours, "x@y", &long, true, pair.now).unwrap();
        let now = pair.now;
        assert_eq!(pair.server.session.write(theirs, Stream::Data, b"still here", now).unwrap(), 10);
        pair.settle();
        assert_eq!(pair.client.read_all(ours, Stream::Data, pair.now).0, b"still here");
    }
}

#[test]
fn the_limit_of_an_exchange_may_change_while_a_session_runs() {
    let mut pair = Pair::connected(Options::default());
    pair.client.session.set_limit(Limit::Rekey, 5_000).unwrap();
    pair.server.reads = false;
    let now = pair.now;
    pair.client.session.rekey(now).unwrap();
    pair.advance(seconds(4));
    assert!(pair.client.ended().is_none());
    pair.advance(seconds(1));
    assert!(matches!(pair.client.ended(), Some(Error::Timeout(_))));
}
