//! The C side: check, convert, call, translate; no decisions. One file a C noun; the doc comments here are the manual
//! that `include/nacre.h` prints, and the modules stand in the order in which the header explains things.
//!
//! What every exported function relies on, and the header tells its callers: a handle is NULL or one that nacre gave and
//! that was not freed, a pointer is NULL or points to what its type says, and a string ends with NUL. Everything else is
//! checked. The bodies run inside [`boundary`]: no panic leaves, NULL is `ERR_ARGUMENT`, and the object behind a handle
//! lives until the call returns, whatever a callback frees meanwhile.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod boundary;
mod structs;
mod text;
mod userdata;

mod asker;
mod channel;
mod client;
mod engine;
mod error;
mod event;
mod key;
mod known_hosts;
mod limit;
mod message;
mod moduli;
mod poll;
mod server;
mod signer;
mod status;
mod ticket;
mod transport;
mod version;
