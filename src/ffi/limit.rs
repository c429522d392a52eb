//! Limits.

use crate::engine::Limit;
use crate::error::{Error, Result};

/// Names a limit of a connection. Times are in milliseconds, and 0 is no limit.
pub type nacre_limit = i32;

/// Time from the first byte until keys are in use (30,000).
pub const NACRE_LIMIT_HANDSHAKE: nacre_limit = 1;
/// Time until a user is authenticated; server: from the start, client: each method (120,000).
pub const NACRE_LIMIT_LOGIN: nacre_limit = 2;
/// Server, after login: time that a question waits for its answer; in both roles and at any time: that a signer or an agent
/// has for a signature (60,000).
pub const NACRE_LIMIT_DECISION: nacre_limit = 3;
/// Time that the peer may take to confirm a channel (60,000).
pub const NACRE_LIMIT_OPEN: nacre_limit = 4;
/// Time that an orderly end may take (10,000).
pub const NACRE_LIMIT_CLOSE: nacre_limit = 5;
/// Time that a later key exchange may take (60,000).
pub const NACRE_LIMIT_REKEY: nacre_limit = 6;
/// Bytes of the largest packet that is accepted (262,144).
pub const NACRE_LIMIT_MAX_PACKET: nacre_limit = 7;
/// Bytes that the window of a channel may grow to (8 MiB). More helps only where bandwidth times round trip is more.
pub const NACRE_LIMIT_MAX_WINDOW: nacre_limit = 8;
/// Channels open at once (1,024).
pub const NACRE_LIMIT_CHANNELS: nacre_limit = 9;
/// Channels opened by the peer that nobody has accepted yet (128).
pub const NACRE_LIMIT_ACCEPT_QUEUE: nacre_limit = 10;
/// Bytes of one stream of a channel that are kept unread while the other stream goes on (16 MiB), and, though never more
/// than 256 KiB, that a channel queues unsent.
pub const NACRE_LIMIT_CHANNEL_QUEUE: nacre_limit = 11;
/// Bytes that all channels of a connection may hold unread and be owed (64 MiB).
pub const NACRE_LIMIT_TRANSPORT_QUEUE: nacre_limit = 12;
/// Failed authentication attempts that end the connection (6).
pub const NACRE_LIMIT_AUTH_ATTEMPTS: nacre_limit = 13;
/// Authentication requests of any outcome that end the connection (1,024).
pub const NACRE_LIMIT_AUTH_REQUESTS: nacre_limit = 14;
/// Requests that wait for an answer (1,024).
pub const NACRE_LIMIT_REQUESTS: nacre_limit = 15;

pub fn limit_of(which: nacre_limit) -> Result<Limit> {
    Ok(match which {
        NACRE_LIMIT_HANDSHAKE => Limit::Handshake,
        NACRE_LIMIT_LOGIN => Limit::Login,
        NACRE_LIMIT_DECISION => Limit::Decision,
        NACRE_LIMIT_OPEN => Limit::Open,
        NACRE_LIMIT_CLOSE => Limit::Close,
        NACRE_LIMIT_REKEY => Limit::Rekey,
        NACRE_LIMIT_MAX_PACKET => Limit::MaxPacket,
        NACRE_LIMIT_MAX_WINDOW => Limit::MaxWindow,
        NACRE_LIMIT_CHANNELS => Limit::Channels,
        NACRE_LIMIT_ACCEPT_QUEUE => Limit::AcceptQueue,
        NACRE_LIMIT_CHANNEL_QUEUE => Limit::ChannelQueue,
        NACRE_LIMIT_TRANSPORT_QUEUE => Limit::TransportQueue,
        NACRE_LIMIT_AUTH_ATTEMPTS => Limit::AuthAttempts,
        NACRE_LIMIT_AUTH_REQUESTS => Limit::AuthRequests,
        NACRE_LIMIT_REQUESTS => Limit::Requests,
        _ => return Err(Error::argument(format!("{which} is no limit"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_number() {
        for limit in Limit::ALL {
            assert_eq!(limit_of(*limit as nacre_limit).ok(), Some(*limit));
        }
        assert!(limit_of(0).is_err());
    }
}
