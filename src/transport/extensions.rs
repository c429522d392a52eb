//! EXT_INFO (RFC 8308).

use crate::error::{Error, Result};
use crate::wire::messages::ExtInfo;
use crate::wire::{NameList, Reader, Role, Writer};

const SERVER_SIG_ALGS: &str = "server-sig-algs";
const HOSTBOUND: &str = "publickey-hostbound@openssh.com";
const PING: &str = "ping@openssh.com";
const EXT_INFO_IN_AUTH: &str = "ext-info-in-auth@openssh.com";
const MOST_EXTENSIONS: u32 = 1024;
const LONGEST_LIST: usize = 16 * 1024;

/// What the peer announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// The signature algorithms that a server takes, comma separated.
    pub server_sig_algs: Option<String>,
    pub publickey_hostbound: bool,
    pub ping: bool,
    /// A client takes a second EXT_INFO after its first authentication request.
    pub ext_info_in_auth: bool,
    /// How many EXT_INFO came.
    received: u32,
}

impl Extensions {
    /// Takes an EXT_INFO. `first_packet`: it is the first after the peer's NEWKEYS.
    pub fn receive(&mut self, role: Role, first_packet: bool, fields: &[u8]) -> Result<()> {
        // A client's stands right after its NEWKEYS; a server may send a second one before success.
        let in_place = match role {
            Role::Server => first_packet && self.received == 0,
            Role::Client => self.received < 2,
        };
        if !in_place {
            return Err(Error::protocol("EXT_INFO out of place"));
        }
        let message = ExtInfo::decode(fields)?;
        if message.count > MOST_EXTENSIONS {
            return Err(Error::protocol("EXT_INFO with too many extensions"));
        }
        let mut reader = Reader::new(message.extensions.0);
        for _ in 0..message.count {
            let (name, value) = (reader.string()?, reader.string()?);
            self.take(role, name, value)?;
        }
        reader.finish()?;
        self.received += 1;
        Ok(())
    }

    fn take(&mut self, role: Role, name: &[u8], value: &[u8]) -> Result<()> {
        let is = |known: &str| name == known.as_bytes();
        let first = self.received == 0;
        match role {
            Role::Client if is(SERVER_SIG_ALGS) => {
                if value.len() > LONGEST_LIST {
                    return Err(Error::protocol("server-sig-algs is too long"));
                }
                self.server_sig_algs = Some(NameList::parse(value)?.as_str().to_owned());
            }
            Role::Client if first && is(HOSTBOUND) => self.publickey_hostbound = value == b"0",
            Role::Client if first && is(PING) => self.ping = value == b"0",
            Role::Server if is(EXT_INFO_IN_AUTH) => self.ext_info_in_auth = value == b"0",
            // Unknown extensions must be ignored (RFC 8308 section 2.5).
            _ => {}
        }
        Ok(())
    }
}

/// The payload of our EXT_INFO.
pub fn own_extensions(role: Role, pubkey_signatures: &[&'static str]) -> Vec<u8> {
    let message = Writer::new().u8(ExtInfo::NUMBER);
    match role {
        Role::Client => message.u32(1).string(EXT_INFO_IN_AUTH).string("0"),
        Role::Server => message
            .u32(3)
            .string(SERVER_SIG_ALGS)
            .string(pubkey_signatures.join(","))
            .string(HOSTBOUND)
            .string("0")
            .string(PING)
            .string("0"),
    }
    .finish()
}
