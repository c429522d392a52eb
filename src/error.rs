//! What every room speaks when something fails: one small enum, each variant with what the caller can act on.

use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

/// One failure. Boxed details keep a `Result` small on the packet path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is there yet; the operation, if one was begun, goes on.
    #[error("nothing is ready yet")]
    Again,
    /// A deadline of the connection passed: which one, and how long it was.
    #[error("{0}")]
    Timeout(Box<str>),
    #[error("the peer sent the end of this stream")]
    Eof,
    #[error("{0}")]
    Closed(Box<str>),
    #[error("the operation was cancelled")]
    Cancelled,
    #[error("the wait was interrupted")]
    Interrupted,
    #[error("this handle belongs to the process before fork")]
    Forked,
    #[error("{0}")]
    Argument(Box<str>),
    #[error("the buffer is too small")]
    Buffer,
    #[error("{0}")]
    State(Box<str>),
    #[error("{0}")]
    Resolve(Box<str>),
    #[error("{0}")]
    Connect(Box<SystemFailure>),
    #[error("{0}")]
    Io(Box<SystemFailure>),
    #[error("{0}")]
    Callback(Box<str>),
    /// The peer broke the protocol; the connection ends with DISCONNECT_PROTOCOL_ERROR.
    #[error("{0}")]
    Protocol(Box<str>),
    /// A packet failed its authentication; the connection ends with DISCONNECT_MAC_ERROR.
    #[error("{0}")]
    Integrity(Box<str>),
    #[error("{0}")]
    Negotiation(Box<NegotiationFailure>),
    #[error("{0}")]
    HostKey(Box<HostKeyFailure>),
    #[error("{0}")]
    AuthFailed(Box<AuthFailure>),
    /// The server does not offer this method (now).
    #[error("{0}")]
    AuthMethod(Box<AuthFailure>),
    /// This step was right; more steps are needed.
    #[error("{0}")]
    AuthPartial(Box<AuthFailure>),
    #[error("{0}")]
    ChannelRefused(Box<OpenFailure>),
    #[error("{0}")]
    RequestDenied(Box<str>),
    #[error("{0}")]
    Algorithm(Box<str>),
    #[error("{0}")]
    KeyFormat(Box<KeyFormatFailure>),
    #[error("{0}")]
    Passphrase(Box<str>),
    #[error("{0}")]
    NotFound(Box<str>),
    #[error("{0}")]
    Permission(Box<str>),
    #[error("{0}")]
    Sftp(Box<SftpFailure>),
    #[error("{0}")]
    Unsupported(Box<str>),
    /// A DISCONNECT was sent or received.
    #[error("{0}")]
    Disconnected(Box<Disconnect>),
    #[error("{0}")]
    Limit(Box<str>),
    #[error("{0}")]
    Gssapi(Box<str>),
    #[error("out of memory")]
    NoMemory,
    /// A fault of the library itself.
    #[error("internal error: {0}")]
    Internal(Box<str>),
}

/// A failed system call: what was tried, and errno.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemFailure {
    pub text: Box<str>,
    pub errno: i32,
    /// The address tried, where there was one.
    pub address: Option<Box<str>>,
}

/// No common algorithm: the category and both sides' lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiationFailure {
    pub category: &'static str,
    pub ours: Box<str>,
    pub theirs: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyVerdict {
    /// Nothing was given to check it with, and nobody has said that it is trusted.
    Unchecked,
    Unknown,
    Changed,
    Revoked,
    Refused,
    /// A rekey or the signature showed another key, or a bad signature.
    Invalid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyFailure {
    pub verdict: HostKeyVerdict,
    pub text: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFailure {
    pub text: Box<str>,
    /// The methods that may continue, comma separated, as the server sent them.
    pub methods: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFailure {
    /// RFC 4254 section 5.1 reason code.
    pub code: u32,
    /// The peer's text, cleaned.
    pub description: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFormatFailure {
    pub text: Box<str>,
    /// The line of the file, from 1; 0 where lines mean nothing.
    pub line: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SftpFailure {
    pub code: u32,
    pub text: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// RFC 4253 section 11.1 reason code.
    pub code: u32,
    pub description: Box<str>,
    pub by_peer: bool,
}

impl Error {
    pub fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into().into())
    }
    pub fn integrity(text: impl Into<String>) -> Self {
        Self::Integrity(text.into().into())
    }
    pub fn argument(text: impl Into<String>) -> Self {
        Self::Argument(text.into().into())
    }
    pub fn state(text: impl Into<String>) -> Self {
        Self::State(text.into().into())
    }
    pub fn closed(text: impl Into<String>) -> Self {
        Self::Closed(text.into().into())
    }
    pub fn timeout(text: impl Into<String>) -> Self {
        Self::Timeout(text.into().into())
    }
    pub fn limit(text: impl Into<String>) -> Self {
        Self::Limit(text.into().into())
    }
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into().into())
    }
    pub fn algorithm(text: impl Into<String>) -> Self {
        Self::Algorithm(text.into().into())
    }
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::NotFound(text.into().into())
    }
    pub fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into().into())
    }
    pub fn key_format(text: impl Into<String>) -> Self {
        Self::KeyFormat(Box::new(KeyFormatFailure { text: text.into().into(), line: 0 }))
    }
    pub fn host_key(verdict: HostKeyVerdict, text: impl Into<String>) -> Self {
        Self::HostKey(Box::new(HostKeyFailure { verdict, text: text.into().into() }))
    }
    pub fn disconnected(code: u32, description: impl Into<String>, by_peer: bool) -> Self {
        Self::Disconnected(Box::new(Disconnect { code, description: description.into().into(), by_peer }))
    }

    /// The DISCONNECT reason code (RFC 4253 section 11.1) that tells the peer of this failure.
    pub fn disconnect_code(&self) -> u32 {
        match self {
            Self::Integrity(_) => 5,
            Self::Negotiation(_) => 3,
            Self::HostKey(_) => 9,
            Self::AuthFailed(_) | Self::AuthMethod(_) => 14,
            Self::Disconnected(d) => d.code,
            Self::Closed(_) | Self::Timeout(_) | Self::Cancelled => 11,
            _ => 2,
        }
    }
}

impl fmt::Display for SystemFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if let Some(address) = &self.address {
            write!(f, " ({address})")?;
        }
        if self.errno != 0 {
            write!(f, ": {}", std::io::Error::from_raw_os_error(self.errno))?;
        }
        Ok(())
    }
}

impl fmt::Display for NegotiationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no common {}: this side offers {}, the peer offers {}",
            self.category,
            shown(&self.ours),
            shown(&self.theirs)
        )
    }
}

fn shown(list: &str) -> &str {
    if list.is_empty() { "nothing" } else { list }
}

macro_rules! display_text {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
    )*};
}
display_text!(HostKeyFailure, AuthFailure, SftpFailure);

impl fmt::Display for KeyFormatFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.line != 0 {
            write!(f, " (line {})", self.line)?;
        }
        Ok(())
    }
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer refused to open the channel (code {}): {}", self.code, self.description)
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.by_peer { "the peer disconnected" } else { "disconnected" };
        write!(f, "{who} (code {}): {}", self.code, self.description)
    }
}

/// A peer's text made fit for a log or an error: control characters, escape sequences and broken UTF-8
/// become `?`, and what is longer than `most` characters is cut with an ellipsis.
pub fn clean(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len().min(most));
    for (index, character) in text.trim_end().chars().enumerate() {
        if index == most {
            out.push('…');
            break;
        }
        out.push(if is_harmless(character) { character } else { '?' });
    }
    out
}

fn is_harmless(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !reorders && character != '\u{fffd}'
}
