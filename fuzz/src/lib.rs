//! The fuzzers of nacre: each module runs one part of the library on bytes that a fuzzer chose, and checks what must
//! hold whatever they are. `targets/` makes programs of them; `tests/replay.rs` runs the kept inputs as a test.

pub mod agent;
pub mod boundary;
pub mod compression;
pub mod connection;
pub mod exchange;
mod hostile;
mod input;
pub mod keys;
pub mod messages;
pub mod negotiation;
pub mod packets;
pub mod session;
pub mod userauth;

pub type Body = fn(&[u8]);

/// Name and body of each target.
pub const TARGETS: &[(&str, Body)] = &[
    ("messages", messages::run),
    ("packets", packets::run),
    ("compression", compression::run),
    ("exchange", exchange::run),
    ("negotiation", negotiation::run),
    ("keys", keys::run),
    ("agent", agent::run),
    ("userauth", userauth::run),
    ("connection", connection::run),
    ("session_client", session::run_client),
    ("session_server", session::run_server),
    ("boundary", boundary::run),
];
