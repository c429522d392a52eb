//! The fields of the messages of "publickey" (RFC 4252 section 7), and of OpenSSH's variant of it whose signature
//! covers the server's host key too.

use super::NEXT_SERVICE;
use crate::error::Result;
use crate::wire::messages::UserauthRequest;
use crate::wire::{Reader, Writer};

pub const NAME: &str = "publickey";
pub const HOSTBOUND_NAME: &str = "publickey-hostbound-v00@openssh.com";

pub struct Request<'a> {
    pub algorithm: &'a str,
    pub blob: &'a [u8],
    /// The server's host key: in the hostbound variant only.
    pub host_key: Option<&'a [u8]>,
    /// None asks whether a signature by this key would do.
    pub signature: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    pub fn decode(fields: &'a [u8], hostbound: bool) -> Result<Self> {
        let mut reader = Reader::new(fields);
        let signed = reader.boolean()?;
        let algorithm = reader.ascii()?;
        let blob = reader.string()?;
        let host_key = if hostbound { Some(reader.string()?) } else { None };
        let signature = if signed { Some(reader.string()?) } else { None };
        reader.finish()?;
        Ok(Self { algorithm, blob, host_key, signature })
    }

    pub fn encode(&self) -> Vec<u8> {
        let fields = self.encode_unsigned(self.signature.is_some());
        match self.signature {
            Some(signature) => Writer::new().raw(fields).string(signature).finish(),
            None => fields,
        }
    }

    fn encode_unsigned(&self, signed: bool) -> Vec<u8> {
        let fields = Writer::new().boolean(signed).string(self.algorithm).string(self.blob);
        match self.host_key {
            Some(host_key) => fields.string(host_key).finish(),
            None => fields.finish(),
        }
    }

    pub fn method(&self) -> &'static str {
        if self.host_key.is_some() { HOSTBOUND_NAME } else { NAME }
    }

    /// What is signed: the session, and the request up to its signature.
    pub fn signed_data(&self, session_id: &[u8], user: &[u8]) -> Vec<u8> {
        Writer::new()
            .string(session_id)
            .u8(UserauthRequest::NUMBER)
            .string(user)
            .string(NEXT_SERVICE)
            .string(self.method())
            .raw(self.encode_unsigned(true))
            .finish()
    }
}

/// PK_OK.
pub struct Acceptable<'a> {
    pub algorithm: &'a [u8],
    pub blob: &'a [u8],
}

impl<'a> Acceptable<'a> {
    pub fn decode(fields: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(fields);
        let decoded = Self { algorithm: reader.string()?, blob: reader.string()? };
        reader.finish()?;
        Ok(decoded)
    }

    pub fn encode(&self) -> Vec<u8> {
        Writer::new().string(self.algorithm).string(self.blob).finish()
    }
}
