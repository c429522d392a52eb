use super::HostPort;
use crate::error::Result;
use crate::wire::{Reader, Writer};

pub const FORWARDED_TCPIP: &str = "forwarded-tcpip";

/// A TCP connection that came to a port which the server listens at for the client (RFC 4254 section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedTcpip {
    /// Where it came to: as in the "tcpip-forward" request.
    pub connected: HostPort,
    pub originator: HostPort,
}

impl ForwardedTcpip {
    pub fn encode(&self) -> Vec<u8> {
        let (to, from) = (&self.connected, &self.originator);
        Writer::new().string(&to.host).u32(to.port.into()).string(&from.host).u32(from.port.into()).finish()
    }

    pub fn decode(data: &[u8]) -> Result<Self> {
        let mut fields = Reader::new(data);
        let decoded = Self { connected: HostPort::read(&mut fields)?, originator: HostPort::read(&mut fields)? };
        fields.finish()?;
        Ok(decoded)
    }
}
