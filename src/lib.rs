//! nacre: an SSH-2 library, client and server, behind a C ABI.
//!
//! ARCHITECTURE.md describes the rooms and which of them may use which.

pub mod auth;
pub mod client;
pub mod connection;
pub mod crypto;
pub mod engine;
pub mod error;
pub mod ffi;
pub mod keys;
pub mod session;
pub mod transport;
pub mod wire;

/// What tests inside and outside share names the library as those outside do.
#[cfg(test)]
extern crate self as nacre;
