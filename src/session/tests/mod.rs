//! Two sessions in memory, in virtual time.

mod authentication;
mod compression;
mod deadlines;
mod endings;
mod exec;
mod negotiation;
mod property;
mod rekeying;
mod signing;
mod simulator;

use std::time::Duration;

pub use simulator::{Options, Pair, Side};

use super::*;
use crate::crypto::RandomSource as Source;

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A small generator (SplitMix64): the same seed, the same run.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

impl Source for Random {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.next() as u8;
        }
    }
}

/// The byte at this place of a stream: what arrives can be checked without being kept.
pub fn pattern(stream: u64, at: u64) -> u8 {
    let mixed = (stream.wrapping_mul(31) ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

pub fn pattern_bytes(stream: u64, from: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|offset| pattern(stream, from + offset)).collect()
}
