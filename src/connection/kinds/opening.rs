use super::{
    AGENT, DIRECT_STREAMLOCAL, DIRECT_TCPIP, DirectStreamlocal, DirectTcpip, FORWARDED_STREAMLOCAL, FORWARDED_TCPIP,
    ForwardedStreamlocal, ForwardedTcpip, HostPort, SESSION, X11, X11Origin,
};
use crate::error::Result;

/// What a CHANNEL_OPEN of any type says: a row for each type that has addresses of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    Session,
    DirectTcpip(DirectTcpip),
    ForwardedTcpip(ForwardedTcpip),
    DirectStreamlocal(DirectStreamlocal),
    ForwardedStreamlocal(ForwardedStreamlocal),
    X11(X11Origin),
    Agent,
    /// A type that is not known here, or data that the application encoded itself.
    Raw {
        kind: String,
        data: Vec<u8>,
    },
}

impl Opening {
    pub fn kind(&self) -> &str {
        match self {
            Self::Session => SESSION,
            Self::DirectTcpip(_) => DIRECT_TCPIP,
            Self::ForwardedTcpip(_) => FORWARDED_TCPIP,
            Self::DirectStreamlocal(_) => DIRECT_STREAMLOCAL,
            Self::ForwardedStreamlocal(_) => FORWARDED_STREAMLOCAL,
            Self::X11(_) => X11,
            Self::Agent => AGENT,
            Self::Raw { kind, .. } => kind,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Session | Self::Agent => Vec::new(),
            Self::DirectTcpip(open) => open.encode(),
            Self::ForwardedTcpip(open) => open.encode(),
            Self::DirectStreamlocal(open) => open.encode(),
            Self::ForwardedStreamlocal(open) => open.encode(),
            Self::X11(open) => open.encode(),
            Self::Raw { data, .. } => data.clone(),
        }
    }

    /// An error when the data is not what the type carries.
    pub fn decode(kind: &str, data: &[u8]) -> Result<Self> {
        Ok(match kind {
            SESSION if data.is_empty() => Self::Session,
            DIRECT_TCPIP => Self::DirectTcpip(DirectTcpip::decode(data)?),
            FORWARDED_TCPIP => Self::ForwardedTcpip(ForwardedTcpip::decode(data)?),
            DIRECT_STREAMLOCAL => Self::DirectStreamlocal(DirectStreamlocal::decode(data)?),
            FORWARDED_STREAMLOCAL => Self::ForwardedStreamlocal(ForwardedStreamlocal::decode(data)?),
            X11 => Self::X11(X11Origin::decode(data)?),
            // The other name stays as it came.
            AGENT if data.is_empty() => Self::Agent,
            _ => Self::Raw { kind: kind.to_owned(), data: data.to_vec() },
        })
    }

    /// Where it is to go, or came to.
    pub fn destination(&self) -> Option<&HostPort> {
        match self {
            Self::DirectTcpip(open) => Some(&open.destination),
            Self::ForwardedTcpip(open) => Some(&open.connected),
            _ => None,
        }
    }

    /// Where it comes from.
    pub fn originator(&self) -> Option<&HostPort> {
        match self {
            Self::DirectTcpip(open) => Some(&open.originator),
            Self::ForwardedTcpip(open) => Some(&open.originator),
            Self::X11(open) => Some(&open.0),
            _ => None,
        }
    }

    /// The Unix socket that it is to go, or came, to.
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Self::DirectStreamlocal(open) => Some(&open.path),
            Self::ForwardedStreamlocal(open) => Some(&open.path),
            _ => None,
        }
    }
}
