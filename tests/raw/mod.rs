//! The raw peer: SSH in either role by other hands than the library's, with other cryptography, to be bent at any step.
#![allow(dead_code)]

mod exchange;
pub mod fields;
pub mod library;
pub mod login;
mod peer;
mod protection;
pub mod tap;

pub use exchange::{Step, add_order};
pub use fields::{Fields, Message, message};
pub use library::{Library, Watcher, in_both_modes};
pub use peer::{End, Options, Peer, Side};
pub use protection::Suite;
