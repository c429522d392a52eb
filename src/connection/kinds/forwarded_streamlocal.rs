use crate::error::Result;
use crate::wire::{Reader, Writer};

pub const FORWARDED_STREAMLOCAL: &str = "forwarded-streamlocal@openssh.com";

/// A connection that came to a Unix socket which the server listens at for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedStreamlocal {
    pub path: Vec<u8>,
}

impl ForwardedStreamlocal {
    pub fn encode(&self) -> Vec<u8> {
        Writer::new().string(&self.path).string("").finish()
    }

    pub fn decode(data: &[u8]) -> Result<Self> {
        let mut fields = Reader::new(data);
        let path = fields.string()?.to_vec();
        fields.string()?; // Reserved.
        fields.finish()?;
        Ok(Self { path })
    }
}
