//! Messages that wait for the end of a key exchange, in order and bounded.

use crate::error::{Error, Result};
use crate::wire::Message;

pub struct Held {
    /// Each payload behind its length, in four bytes.
    bytes: Vec<u8>,
    limit: usize,
}

impl Held {
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    pub fn push(&mut self, message: &Message<'_>) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        message.encode(&mut self.bytes);
        let length = self.bytes.len() - start - 4;
        if self.bytes.len() > self.limit {
            self.bytes.truncate(start);
            return Err(Error::limit("too many messages wait for the end of a key exchange"));
        }
        if let Some(field) = self.bytes.get_mut(start..start + 4) {
            field.copy_from_slice(&(length as u32).to_be_bytes());
        }
        Ok(())
    }

    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Everything that waited, oldest first.
    pub fn take(&mut self) -> HeldPayloads {
        HeldPayloads { bytes: std::mem::take(&mut self.bytes), at: 0 }
    }
}

pub struct HeldPayloads {
    bytes: Vec<u8>,
    at: usize,
}

impl HeldPayloads {
    pub fn next(&mut self) -> Option<&[u8]> {
        let (length, rest) = self.bytes.get(self.at..)?.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        self.at += 4 + length;
        rest.get(..length)
    }
}
