//! The types of channels: what a CHANNEL_OPEN of each carries. One file a type.

mod agent;
mod direct_streamlocal;
mod direct_tcpip;
mod forwarded_streamlocal;
mod forwarded_tcpip;
mod opening;
mod session;
mod x11;

pub use agent::{AGENT, AGENT_NAMES};
pub use direct_streamlocal::{DIRECT_STREAMLOCAL, DirectStreamlocal};
pub use direct_tcpip::{DIRECT_TCPIP, DirectTcpip};
pub use forwarded_streamlocal::{FORWARDED_STREAMLOCAL, ForwardedStreamlocal};
pub use forwarded_tcpip::{FORWARDED_TCPIP, ForwardedTcpip};
pub use opening::Opening;
pub use session::SESSION;
pub use x11::{X11, X11Origin};

use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// A host and a port as the protocol carries them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    pub host: Vec<u8>,
    pub port: u16,
}

impl HostPort {
    fn read(fields: &mut Reader<'_>) -> Result<Self> {
        let host = fields.string()?.to_vec();
        let port = u16::try_from(fields.u32()?).map_err(|_| Error::protocol("a port beyond 65535"))?;
        Ok(Self { host, port })
    }

    pub fn encode(&self) -> Vec<u8> {
        Writer::new().string(&self.host).u32(self.port.into()).finish()
    }

    pub fn decode(data: &[u8]) -> Result<Self> {
        let mut fields = Reader::new(data);
        let decoded = Self::read(&mut fields)?;
        fields.finish()?;
        Ok(decoded)
    }
}
