//! User authentication (RFC 4252), both roles, without I/O: messages and time in; messages, events and questions out.
//!
//! Of each method one file here has the fields of its messages, one in `client` and one in `server` what each side
//! does with them. Another method is such files and a row in `server::exchange`, or a variant of [`ClientMethod`].
#![forbid(unsafe_code)]

mod client;
mod interactive;
mod password;
mod publickey;
mod server;

pub use client::{ClientAnswer, ClientAuth, ClientAuthEvent, ClientContext, ClientMethod};
pub use server::{AuthLimits, ServerAnswer, ServerAuth, ServerAuthEvent, ServerContext, ServerQuestion};

pub use crate::keys::{PrivateKey, PublicKey, ToSign};

/// Where the authentication stands, as far as the legality of the peer's next message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The service was not accepted yet.
    NoService,
    /// Nothing of ours is unanswered.
    Auth,
    /// The peer owes an answer: to a client's request, to a server's prompts.
    AuthAwaiting,
    Done,
}

/// The service that this room is.
const SERVICE: &str = "ssh-userauth";
/// The service that a user is authenticated for: there is no other.
const NEXT_SERVICE: &str = "ssh-connection";

const NONE: &str = "none";

/// RFC 4253 section 11.1.
mod reason {
    pub const PROTOCOL_ERROR: u32 = 2;
    pub const SERVICE_NOT_AVAILABLE: u32 = 7;
    pub const NO_MORE_AUTH_METHODS_AVAILABLE: u32 = 14;
}

#[cfg(test)]
mod tests;
