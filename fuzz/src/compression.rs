//! Compressed payloads: a peer that compresses as it should, one that sends what it likes, and how much may come out.

use crate::input::Input;
use nacre::transport::fuzzing::{Deflater, Inflater};

/// Of an honest payload, and of what may come out.
const MOST: usize = 20_000;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let most = if input.boolean() { MOST } else { 1 + input.number() as usize % MOST };
    let mut line = Line { deflater: Deflater::new(), inflater: Inflater::new(), most, spoilt: false };
    while !input.is_empty() && !line.spoilt {
        match input.byte() % 4 {
            0 | 1 => line.honest(&mut input),
            2 => line.changed(&mut input),
            _ => line.raw(&mut input),
        }
    }
}

struct Line {
    deflater: Deflater,
    inflater: Inflater,
    most: usize,
    /// The two streams may differ from here on.
    spoilt: bool,
}

impl Line {
    fn honest(&mut self, input: &mut Input<'_>) {
        let payload = payload(input);
        let compressed = self.deflate(&payload);
        match self.inflater.inflate(&mut compressed.clone(), self.most) {
            Ok(out) => {
                assert!(payload.len() <= self.most, "more than allowed came out");
                assert_eq!(out.as_ref(), payload);
            }
            Err(error) => {
                assert!(payload.len() > self.most, "an honest packet was refused: {error}");
                self.spoilt = true;
            }
        }
    }

    fn deflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::new();
        self.deflater
            .append(&mut compressed, usize::MAX, |out| out.extend_from_slice(payload), |_| ())
            .expect("any payload can be compressed");
        compressed
    }

    fn changed(&mut self, input: &mut Input<'_>) {
        let payload = payload(input);
        let mut compressed = self.deflate(&payload);
        let (at, bits) = (input.below(compressed.len()), input.byte());
        compressed[at] ^= bits;
        if input.boolean() {
            compressed.truncate(input.below(compressed.len() + 1));
        }
        self.take(&mut compressed);
    }

    /// Several times: a stream goes on from packet to packet.
    fn raw(&mut self, input: &mut Input<'_>) {
        for _ in 0..1 + input.byte() % 4 {
            self.take(&mut input.bytes(2000).to_vec());
        }
    }

    /// Whatever it is, it ends, and no more comes out than may. Honest packets cannot follow: the other end of the
    /// stream knows nothing of this one.
    fn take(&mut self, packet: &mut [u8]) {
        if let Ok(out) = self.inflater.inflate(packet, self.most) {
            assert!((1..=self.most).contains(&out.len()));
        }
        self.spoilt = true;
    }
}

/// Bytes of the input, or long and dull ones: they begin with a message number.
fn payload(input: &mut Input<'_>) -> Vec<u8> {
    let mut payload = vec![*input.pick(&[94, 50, 2])];
    for _ in 0..1 + input.below(4) {
        match input.byte() {
            255 => payload.resize(payload.len() + usize::from(input.u16()) % (2 * MOST), input.byte()),
            _ => payload.extend_from_slice(input.bytes(600)),
        }
    }
    payload
}
