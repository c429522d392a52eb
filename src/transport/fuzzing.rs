//! What the fuzzers reach into.

pub use super::compression::{Deflater, Inflater};
pub use super::negotiation::{Choice, Markers, Proposal, markers, negotiate};
pub use super::packet_reader::{PacketReader, Received};

use super::Transport;
use crate::error::Result;

impl Transport {
    /// Seals any payload under the keys in use, whatever the state: what a hostile peer does.
    pub fn send_raw(&mut self, payload: &[u8]) -> Result<()> {
        self.writer.send_payload(payload, self.random.as_mut())
    }
}
