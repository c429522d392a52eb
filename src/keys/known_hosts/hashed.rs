//! Names that a reader of the file does not learn: "|1|salt|hash" (sshd(8), HashKnownHosts).

use crate::crypto::{equal_in_constant_time, hmac_sha1, random_bytes};
use crate::error::{Error, Result};
use base64ct::{Base64, Encoding};

const LENGTH: usize = 20;
const START: &[u8] = b"|1|";

/// A name's HMAC with SHA-1, whose key is the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedName {
    salt: [u8; LENGTH],
    hash: [u8; LENGTH],
}

impl HashedName {
    pub fn new(name: &[u8]) -> Result<Self> {
        let salt = random_bytes::<LENGTH>()?;
        Ok(Self { salt, hash: hmac_sha1(&salt, name) })
    }

    pub fn is_written_so(text: &[u8]) -> bool {
        text.starts_with(b"|")
    }

    pub fn parse(text: &[u8]) -> Result<Self> {
        let damaged = || Error::key_format("the hashed name is damaged");
        let text = text.strip_prefix(START).ok_or_else(|| Error::key_format("a name hashed in an unknown way"))?;
        let mut parts = text.split(|byte| *byte == b'|');
        let (Some(salt), Some(hash), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(damaged());
        };
        let decoded = |part: &[u8]| -> Option<[u8; LENGTH]> {
            Base64::decode_vec(std::str::from_utf8(part).ok()?).ok()?.try_into().ok()
        };
        Ok(Self { salt: decoded(salt).ok_or_else(damaged)?, hash: decoded(hash).ok_or_else(damaged)? })
    }

    pub fn matches(&self, name: &[u8]) -> bool {
        equal_in_constant_time(&hmac_sha1(&self.salt, name), &self.hash)
    }

    pub fn text(&self) -> String {
        format!("|1|{}|{}", Base64::encode_string(&self.salt), Base64::encode_string(&self.hash))
    }
}
