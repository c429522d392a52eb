use super::HostPort;
use crate::error::Result;
use crate::wire::{Reader, Writer};

pub const DIRECT_TCPIP: &str = "direct-tcpip";

/// A TCP connection that the server is to make (RFC 4254 section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectTcpip {
    pub destination: HostPort,
    pub originator: HostPort,
}

impl DirectTcpip {
    pub fn encode(&self) -> Vec<u8> {
        let (to, from) = (&self.destination, &self.originator);
        Writer::new().string(&to.host).u32(to.port.into()).string(&from.host).u32(from.port.into()).finish()
    }

    pub fn decode(data: &[u8]) -> Result<Self> {
        let mut fields = Reader::new(data);
        let decoded = Self { destination: HostPort::read(&mut fields)?, originator: HostPort::read(&mut fields)? };
        fields.finish()?;
        Ok(decoded)
    }
}
