//! SSH data types (RFC 4251 section 5), the messages, and the one table that says where each is legal.

mod copying;
mod field;
pub mod messages;
mod name_list;
mod reader;
pub mod table;
mod writer;

pub use crate::error::clean;
pub use copying::{append, copy_front};
pub use field::{Field, Rest};
pub use messages::Message;
pub use name_list::{NameList, check_name};
pub use reader::{Reader, magnitude};
pub use table::{Legality, Phase, Role};
pub use writer::{Writer, put_boolean, put_magnitude, put_mpint, put_name_list, put_string, put_u32, put_u64};

use crate::error::Result;

/// Where a room above `transport` hands its messages: framed and sealed straight into the outgoing buffer,
/// or held back while a key exchange runs.
pub trait MessageSink {
    /// Takes the message. While a key exchange runs it is held back, in order, until NEWKEYS was sent.
    fn send(&mut self, message: &Message<'_>) -> Result<()>;

    /// How many bytes of channel data are welcome now. 0 while a key exchange runs or while the
    /// outgoing buffer is full: the data stays in its channel's queue.
    fn room(&self) -> usize;
}

#[cfg(test)]
mod tests;
