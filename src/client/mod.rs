//! Conveniences over the engine: files of the user's, and what is done with them.
#![forbid(unsafe_code)]

pub mod files;
mod known_hosts;

pub use known_hosts::{HostsFile, Memory};
