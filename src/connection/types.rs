use super::{ChannelRequest, GlobalToken, RequestToken};
use crate::wire::Role;
use bytes::Bytes;

/// Our side's number of a channel: the recipient channel of what we receive. It is not used again
/// until CLOSE went both ways and the application has forgotten the channel.
pub type ChannelId = u32;

/// The streams of a channel: its data, and extended data of a type (1 is standard error).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Data,
    Extended(u32),
}

impl Stream {
    pub const STDERR: Self = Self::Extended(1);
}

/// What becomes of received standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StderrMode {
    #[default]
    Separate,
    /// Joined to the data, in the order of arrival.
    Combine,
    Discard,
}

/// How the program at the other end of a session ended (RFC 4254 section 6.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Status(u32),
    /// `name` without "SIG"; `message` as the peer sent it.
    Signal {
        name: Box<str>,
        core_dumped: bool,
        message: Box<[u8]>,
    },
}

/// Defaults and limits of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub role: Role,
    pub default_window: u32,
    pub default_max_packet: u32,
    /// Whether a window that a transfer keeps full grows, where the application fixed no size.
    pub window_growth: bool,
    pub max_window: u32,
    /// Credit outstanding and unread bytes of all channels together; one packet a channel is in reserve.
    pub byte_limit: u64,
    pub max_channels: usize,
    /// The peer's opens that may wait for an answer.
    pub max_pending_opens: usize,
    /// What `write` takes of a channel beyond what the window lets out.
    pub send_queue_limit: usize,
    /// How far a window is widened for a stream whose sibling nobody reads.
    pub receive_queue_limit: usize,
    /// Unanswered requests of a channel, in each direction.
    pub max_requests: usize,
    /// Unanswered global requests, in each direction.
    pub max_global_requests: usize,
    /// Bytes in opens and requests of the peer that wait for an answer, over all channels.
    pub max_question_bytes: usize,
}

impl Config {
    pub fn new(role: Role) -> Self {
        Self {
            role,
            default_window: 2 << 20,
            default_max_packet: 32 << 10,
            window_growth: true,
            max_window: 64 << 20,
            byte_limit: 64 << 20,
            max_channels: 1024,
            max_pending_opens: 128,
            send_queue_limit: 256 << 10,
            receive_queue_limit: 16 << 20,
            max_requests: 1024,
            max_global_requests: 1024,
            max_question_bytes: 4 << 20,
        }
    }

    /// Zeros that would stop everything become ones, and a packet fits into the transport's.
    pub(super) fn sane(mut self) -> Self {
        self.default_window = self.default_window.max(1);
        self.default_max_packet = self.default_max_packet.clamp(1, LARGEST_PACKET);
        self.max_window = self.max_window.max(self.default_window);
        self.send_queue_limit = self.send_queue_limit.max(1);
        self
    }
}

/// The most data of one message: with its header and padding it fits into a packet of 256 KiB.
pub(super) const LARGEST_PACKET: u32 = 255 << 10;
/// The most data of one message we send, whatever the peer allows: larger ones only cost cache.
pub(super) const LARGEST_SENT: u32 = 128 << 10;

/// What can be told of a channel at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    pub kind: Box<str>,
    /// Whether the peer opened it.
    pub opened_by_peer: bool,
    /// The peer's number; none before the channel is open.
    pub remote_id: Option<u32>,
    pub open: bool,
    /// What the peer may send before it needs more credit, and what it may send in one message.
    pub local_window: u32,
    pub local_max_packet: u32,
    /// What we may send.
    pub remote_window: u32,
    pub remote_max_packet: u32,
    pub stderr: StderrMode,
    pub peer_sent_eof: bool,
    pub closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The peer wants to open a channel: answer with `accept_open` or `refuse_open`.
    OpenRequested {
        id: ChannelId,
        kind: String,
        data: Bytes,
    },
    /// The peer has confirmed our open.
    Opened {
        id: ChannelId,
        data: Bytes,
    },
    OpenFailed {
        id: ChannelId,
        /// RFC 4254 section 5.1.
        code: u32,
        /// The peer's text, cleaned.
        description: String,
    },
    /// Data or the end of a stream is there to be read.
    Readable {
        id: ChannelId,
        stream: Stream,
    },
    /// There is room again after a `write` that took less than it was given.
    Writable {
        id: ChannelId,
    },
    PeerEof {
        id: ChannelId,
    },
    PeerClosed {
        id: ChannelId,
    },
    /// CLOSE went both ways.
    Closed {
        id: ChannelId,
    },
    Exit {
        id: ChannelId,
    },
    /// eow@openssh.com: the peer throws away what we still send.
    StoppedReading {
        id: ChannelId,
    },
    /// A request of the peer; with a token it wants `answer_request`.
    Request {
        id: ChannelId,
        token: Option<RequestToken>,
        request: ChannelRequest,
    },
    /// The answer to our request; false as well when the channel ended first.
    RequestDone {
        id: ChannelId,
        token: RequestToken,
        success: bool,
    },
    /// A global request of the peer; with a token it wants `answer_global`.
    GlobalRequest {
        token: Option<GlobalToken>,
        name: String,
        data: Bytes,
    },
    GlobalDone {
        token: GlobalToken,
        reply: Result<Bytes, ()>,
    },
}

impl ConnectionEvent {
    /// The channel it is about.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::OpenRequested { id, .. }
            | Self::Opened { id, .. }
            | Self::OpenFailed { id, .. }
            | Self::Readable { id, .. }
            | Self::Writable { id }
            | Self::PeerEof { id }
            | Self::PeerClosed { id }
            | Self::Closed { id }
            | Self::Exit { id }
            | Self::StoppedReading { id }
            | Self::Request { id, .. }
            | Self::RequestDone { id, .. } => Some(*id),
            Self::GlobalRequest { .. } | Self::GlobalDone { .. } => None,
        }
    }
}
