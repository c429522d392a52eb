use crate::error::{Error, Result};

/// A comma-separated list of names (RFC 4251 section 5), as the peer sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameList<'a>(&'a str);

impl<'a> NameList<'a> {
    /// Real peers send empty lists, trailing commas and names of over 64 characters: all are taken,
    /// empty names are passed over. What is not printable US-ASCII is refused.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.bytes().all(|b| (0x21..0x7f).contains(&b)))
            .map(Self)
            .ok_or_else(|| Error::protocol("a name-list is not printable US-ASCII"))
    }

    pub fn from_text(text: &'a str) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &'a str {
        self.0
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    pub fn first(&self) -> Option<&'a str> {
        self.names().next()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|n| n == name)
    }
}

/// Whether a caller's text may stand as one name in a list (RFC 4251 section 6).
pub fn check_name(name: &str) -> Result<()> {
    let legal = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b',');
    if legal {
        Ok(())
    } else {
        Err(Error::argument(format!("'{}' is not an algorithm or method name", super::clean(name.as_bytes(), 64))))
    }
}
