use super::HostPort;
use crate::error::Result;
use crate::wire::{Reader, Writer};

pub const X11: &str = "x11";

/// A connection of an X11 program to the client's display (RFC 4254 section 6.3.2): where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X11Origin(pub HostPort);

impl X11Origin {
    pub fn encode(&self) -> Vec<u8> {
        Writer::new().string(&self.0.host).u32(self.0.port.into()).finish()
    }

    pub fn decode(data: &[u8]) -> Result<Self> {
        let mut fields = Reader::new(data);
        let decoded = Self(HostPort::read(&mut fields)?);
        fields.finish()?;
        Ok(decoded)
    }
}
