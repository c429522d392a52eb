//! No protection: the packets before the first NEWKEYS.

use super::{Open, Seal};
use crate::error::Result;

struct Plain;

pub fn plain_sealer() -> Box<dyn Seal> {
    Box::new(Plain)
}

pub fn plain_opener() -> Box<dyn Open> {
    Box::new(Plain)
}

impl Seal for Plain {
    fn tag_length(&self) -> usize {
        0
    }
    fn block_size(&self) -> usize {
        8
    }
    fn pads_length_field(&self) -> bool {
        true
    }
    fn seal(&mut self, _sequence_number: u32, _packet: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

impl Open for Plain {
    fn tag_length(&self) -> usize {
        0
    }
    fn block_size(&self) -> usize {
        8
    }
    fn pads_length_field(&self) -> bool {
        true
    }
    fn prefix_length(&self) -> usize {
        4
    }
    fn packet_length(&mut self, _sequence_number: u32, prefix: &mut [u8]) -> Result<u32> {
        super::clear_length(prefix)
    }
    fn open(&mut self, _sequence_number: u32, _packet: &mut [u8]) -> Result<()> {
        Ok(())
    }
}
