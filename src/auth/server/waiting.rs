use crate::auth::reason;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// A client may send its next requests without waiting for answers; few do, and none needs more.
const MOST_REQUESTS: usize = 8;
const MOST_BYTES: usize = 64 * 1024;

/// Requests that wait for their turn, in order.
#[derive(Default)]
pub struct Waiting {
    requests: VecDeque<Zeroizing<Vec<u8>>>,
    bytes: usize,
}

impl Waiting {
    pub fn push(&mut self, payload: &[u8]) -> Result<()> {
        let bytes = self.bytes + payload.len();
        if self.requests.len() >= MOST_REQUESTS || bytes > MOST_BYTES {
            let text = "too many authentication requests at once";
            return Err(Error::disconnected(reason::PROTOCOL_ERROR, text, false));
        }
        self.bytes = bytes;
        self.requests.push_back(Zeroizing::new(payload.to_vec()));
        Ok(())
    }

    pub fn pop(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let payload = self.requests.pop_front()?;
        self.bytes -= payload.len();
        Some(payload)
    }
}
