//! The transport as the rooms above see it.

use crate::error::{Error, Result};
use crate::transport::{Message, MessageSink, Transport};

/// Hands messages to the transport, and remembers what goes wrong there: that ends the session,
/// whatever the room makes of the error.
pub(super) struct Sink<'a> {
    pub transport: &'a mut Transport,
    pub failure: &'a mut Option<Error>,
}

impl MessageSink for Sink<'_> {
    fn send(&mut self, message: &Message<'_>) -> Result<()> {
        self.transport.send(message).inspect_err(|error| {
            self.failure.get_or_insert_with(|| error.clone());
        })
    }

    fn room(&self) -> usize {
        self.transport.room()
    }
}

/// Where a session that has ended sends to.
pub(super) struct NoSink;

impl MessageSink for NoSink {
    fn send(&mut self, _message: &Message<'_>) -> Result<()> {
        Ok(())
    }

    fn room(&self) -> usize {
        0
    }
}
