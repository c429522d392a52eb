//! What a session tells the application.

use super::{ChannelId, Question, QuestionId, Stream};
use crate::error::{Error, Result};

/// Names a channel or global request of ours; one number space, never 0, never reused in a session.
pub type RequestId = u64;

#[derive(Debug)]
pub enum SessionEvent {
    /// The first key exchange is done, and the host key was accepted or no policy was set.
    Negotiated,
    Rekeyed,
    /// Client: Ok means authenticated.
    AuthFinished(Result<()>),
    /// Server.
    Authenticated {
        user: Vec<u8>,
        method: &'static str,
    },
    Banner(Vec<u8>),
    Question {
        id: QuestionId,
        question: Question,
    },
    /// Nothing waits for its answer any more.
    QuestionWithdrawn {
        id: QuestionId,
    },
    Opened {
        channel: ChannelId,
    },
    OpenFailed {
        channel: ChannelId,
        error: Error,
    },
    Readable {
        channel: ChannelId,
        stream: Stream,
    },
    Writable {
        channel: ChannelId,
    },
    /// The peer sent EOF.
    PeerEof {
        channel: ChannelId,
    },
    /// The peer sent CLOSE.
    PeerClosed {
        channel: ChannelId,
    },
    ChannelExit {
        channel: ChannelId,
    },
    /// CLOSE went both ways.
    ChannelClosed {
        channel: ChannelId,
    },
    /// The peer reads no more of what we write (eow@openssh.com).
    StoppedReading {
        channel: ChannelId,
    },
    /// `reply` is Err(RequestDenied) when the peer refused.
    RequestDone {
        id: RequestId,
        channel: Option<ChannelId>,
        reply: Result<Vec<u8>>,
    },
    /// The last. `Disconnected` for an orderly end too.
    Ended(Error),
}
