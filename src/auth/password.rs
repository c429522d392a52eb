//! The fields of the messages of "password" (RFC 4252 section 8).

use crate::error::Result;
use crate::wire::{Reader, Writer, put_boolean, put_string};
use zeroize::Zeroizing;

pub const NAME: &str = "password";

pub struct Request<'a> {
    pub password: &'a [u8],
    /// The password is to be changed to this.
    pub new_password: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    pub fn decode(fields: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(fields);
        let changes = reader.boolean()?;
        let password = reader.string()?;
        let new_password = if changes { Some(reader.string()?) } else { None };
        reader.finish()?;
        Ok(Self { password, new_password })
    }

    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let length = self.password.len() + self.new_password.map_or(0, <[u8]>::len);
        // With enough room that growing leaves nothing secret behind.
        let mut fields = Zeroizing::new(Vec::with_capacity(length + 9));
        put_boolean(&mut fields, self.new_password.is_some());
        put_string(&mut fields, self.password);
        if let Some(new_password) = self.new_password {
            put_string(&mut fields, new_password);
        }
        fields
    }
}

/// PASSWD_CHANGEREQ.
pub struct ChangeRequest<'a> {
    pub prompt: &'a [u8],
}

impl<'a> ChangeRequest<'a> {
    /// The language tag after the prompt is of no use, and may be missing.
    pub fn decode(fields: &'a [u8]) -> Result<Self> {
        Ok(Self { prompt: Reader::new(fields).string()? })
    }

    pub fn encode(&self) -> Vec<u8> {
        Writer::new().string(self.prompt).string("").finish()
    }
}
