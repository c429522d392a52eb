//! The only room with sockets, threads, clocks, descriptors and waiting.
//!
//! Every handle of the application is one of the objects here behind an `Arc`. Beside the `Arc`'s count each counts its
//! *owners* in the application: what a constructor, an accept or a KEEP gives has one owner more, and `release` takes one
//! away; the last one's release closes. `Forked` comes before any lock.

#![deny(unsafe_code)]

mod asker;
mod callback;
mod channel;
mod core;
mod dial;
mod event;
mod forward;
mod happenings;
mod life;
mod operation;
mod poll;
mod pump;
mod reactor;
mod signing;
mod state;
#[allow(unsafe_code)]
mod sys;
mod ticket;
mod timeout;
mod transport;
mod waiter;
mod waiting;

pub use self::callback::run as run_callback;
pub use self::core::{Engine, EngineOptions};
pub use asker::{Asker, Decision, Notice, Userdata};
pub use channel::{Channel, ChannelEvents};
pub use event::{Event, EventKind, Payload};
pub use operation::{OperationId, Reply, Started};
pub use poll::{PollItem, poll};
pub use signing::{Signer, key_of_signer, sign};
pub use ticket::Ticket;
pub use timeout::Timeout;
pub use transport::{ConnectOptions, Transport};

/// The types below that the methods here take and give.
pub use crate::session::{
    AlgorithmKind, Answer, ChannelInfo, ChannelRequest, ClientMethod, Counters, Exit, ForwardVerb, HostKeyCheck,
    HostKeyPolicy, HostKeys, HostPort, Keepalive, Limit, ListenAt, Negotiated, Opening, Policy, PrivateKey, PublicKey,
    Question, RekeyLimits, ServerQuestion, SignatureRules, StderrMode, Stream, ToSign, available, host_key_algorithms,
    kinds,
};

#[cfg(test)]
mod tests;
