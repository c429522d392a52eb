//! The limits of a session, settable by number.

use crate::error::{Error, Result};

/// Names one limit. The numbers are part of the C contract and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Limit {
    /// Milliseconds from the first byte until keys are in use.
    Handshake = 1,
    /// Milliseconds until a user is authenticated (server: from the start; client: each method).
    Login = 2,
    /// Server, after login: milliseconds that a question waits for its answer; both: that a signature may take.
    Decision = 3,
    /// Milliseconds that the peer may take to confirm a channel of ours.
    Open = 4,
    /// Milliseconds that an orderly end may take.
    Close = 5,
    /// Milliseconds that a later key exchange may take.
    Rekey = 6,
    /// Bytes of the largest packet accepted.
    MaxPacket = 7,
    /// Bytes that a channel's window may grow to.
    MaxWindow = 8,
    /// Channels open at once.
    Channels = 9,
    /// Channels opened by the peer that nobody has accepted yet (the engine counts them).
    AcceptQueue = 10,
    /// Bytes of a channel that nobody has read, or that could not be sent yet (of these never more than 256 KiB).
    ChannelQueue = 11,
    /// Bytes that all channels of a connection may hold and be owed.
    TransportQueue = 12,
    /// Failed authentication attempts that end the connection.
    AuthAttempts = 13,
    /// Authentication requests of any outcome that end the connection.
    AuthRequests = 14,
    /// Global and channel requests that wait for an answer.
    Requests = 15,
}

impl Limit {
    pub const ALL: &'static [Self] = &[
        Self::Handshake,
        Self::Login,
        Self::Decision,
        Self::Open,
        Self::Close,
        Self::Rekey,
        Self::MaxPacket,
        Self::MaxWindow,
        Self::Channels,
        Self::AcceptQueue,
        Self::ChannelQueue,
        Self::TransportQueue,
        Self::AuthAttempts,
        Self::AuthRequests,
        Self::Requests,
    ];

    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|limit| *limit as i32 == number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub handshake_ms: u64,
    pub login_ms: u64,
    pub decision_ms: u64,
    pub open_ms: u64,
    pub close_ms: u64,
    pub rekey_ms: u64,
    pub max_packet: u32,
    pub max_window: u32,
    pub channels: u32,
    pub accept_queue: u32,
    pub channel_queue: usize,
    pub transport_queue: usize,
    pub auth_attempts: u32,
    pub auth_requests: u32,
    pub requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_ms: 30_000,
            login_ms: 120_000,
            decision_ms: 60_000,
            open_ms: 60_000,
            close_ms: 10_000,
            rekey_ms: 60_000,
            max_packet: 262_144,
            // Growth does not know the round trip yet; OpenSSH's client slows down when it may queue far more.
            max_window: 8 << 20,
            channels: 1_024,
            accept_queue: 128,
            channel_queue: 16 << 20,
            transport_queue: 64 << 20,
            auth_attempts: 6,
            auth_requests: 1_024,
            requests: 1_024,
        }
    }
}

impl Limits {
    pub fn get(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Handshake => self.handshake_ms,
            Limit::Login => self.login_ms,
            Limit::Decision => self.decision_ms,
            Limit::Open => self.open_ms,
            Limit::Close => self.close_ms,
            Limit::Rekey => self.rekey_ms,
            Limit::MaxPacket => self.max_packet.into(),
            Limit::MaxWindow => self.max_window.into(),
            Limit::Channels => self.channels.into(),
            Limit::AcceptQueue => self.accept_queue.into(),
            Limit::ChannelQueue => self.channel_queue as u64,
            Limit::TransportQueue => self.transport_queue as u64,
            Limit::AuthAttempts => self.auth_attempts.into(),
            Limit::AuthRequests => self.auth_requests.into(),
            Limit::Requests => self.requests.into(),
        }
    }

    /// Times: milliseconds, 0 for no limit. The others are checked against what the protocol can do.
    pub fn set(&mut self, limit: Limit, value: u64) -> Result<()> {
        match limit {
            Limit::Handshake => self.handshake_ms = value,
            Limit::Login => self.login_ms = value,
            Limit::Decision => self.decision_ms = value,
            Limit::Open => self.open_ms = value,
            Limit::Close => self.close_ms = value,
            Limit::Rekey => self.rekey_ms = value,
            // RFC 4253 section 6.1: 35,000 bytes must be taken; nobody sends more than 256 KiB.
            Limit::MaxPacket => self.max_packet = within(value, 35_000, 262_144)?,
            Limit::MaxWindow => self.max_window = within(value, 32_768, 1 << 30)?,
            Limit::Channels => self.channels = within(value, 0, 1 << 20)?,
            Limit::AcceptQueue => self.accept_queue = within(value, 0, 1 << 20)?,
            Limit::ChannelQueue => self.channel_queue = within::<u32>(value, 1, 1 << 31)? as usize,
            Limit::TransportQueue => self.transport_queue = within::<u32>(value, 1 << 16, 1 << 31)? as usize,
            Limit::AuthAttempts => self.auth_attempts = within(value, 1, 1 << 20)?,
            Limit::AuthRequests => self.auth_requests = within(value, 1, 1 << 20)?,
            Limit::Requests => self.requests = within(value, 1, 1 << 20)?,
        }
        Ok(())
    }
}

fn within<T: TryFrom<u64>>(value: u64, least: u64, most: u64) -> Result<T> {
    if !(least..=most).contains(&value) {
        return Err(Error::argument(format!("this limit must be between {least} and {most}, not {value}")));
    }
    T::try_from(value).map_err(|_| Error::argument("the value does not fit"))
}
