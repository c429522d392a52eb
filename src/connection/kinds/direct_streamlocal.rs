use crate::error::Result;
use crate::wire::{Reader, Writer};

pub const DIRECT_STREAMLOCAL: &str = "direct-streamlocal@openssh.com";

/// A connection to a Unix socket that the server is to make (OpenSSH's PROTOCOL, section 2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectStreamlocal {
    pub path: Vec<u8>,
}

impl DirectStreamlocal {
    pub fn encode(&self) -> Vec<u8> {
        Writer::new().string(&self.path).string("").u32(0).finish()
    }

    pub fn decode(data: &[u8]) -> Result<Self> {
        let mut fields = Reader::new(data);
        let path = fields.string()?.to_vec();
        let _reserved = (fields.string()?, fields.u32()?);
        fields.finish()?;
        Ok(Self { path })
    }
}
