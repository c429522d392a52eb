//! One line of a known_hosts file.

use super::hashed::HashedName;
use crate::error::{Error, Result};
use crate::keys::entries::{WrittenKey, check_line, content, first_word, is_blank};
use crate::keys::patterns::{Matching, match_list};

/// What a line says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// It is the host's.
    None,
    /// It signs certificates of the hosts.
    CertAuthority,
    /// It is never right, nor what it has signed.
    Revoked,
}

impl Marker {
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::CertAuthority => "@cert-authority ",
            Self::Revoked => "@revoked ",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub marker: Marker,
    pub names: Names,
    pub key: WrittenKey,
    /// Where the names end and the key begins, in the line.
    pub key_at: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Names {
    Patterns(Box<[u8]>),
    Hashed(HashedName),
}

impl Names {
    pub fn match_name(&self, name: &[u8]) -> bool {
        match self {
            Self::Patterns(list) => match_list(list, name) == Matching::Yes,
            Self::Hashed(hashed) => hashed.matches(name),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Blank, or a comment.
    Remark,
    Entry(Entry),
    /// It is kept, and says nothing.
    Unreadable(Error),
}

/// With its bytes as they were, the end of the line included.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub bytes: Vec<u8>,
    pub kind: Kind,
}

impl Line {
    pub fn new(bytes: Vec<u8>) -> Self {
        let kind = match content(&bytes) {
            [] | [b'#', ..] => Kind::Remark,
            text => check_line(&bytes).and_then(|()| parse(text)).map_or_else(Kind::Unreadable, Kind::Entry),
        };
        let mut line = Self { bytes, kind };
        // Counted from the start of the text, until here.
        let before = line.bytes.iter().take_while(|byte| is_blank(**byte)).count();
        if let Kind::Entry(entry) = &mut line.kind {
            entry.key_at += before;
        }
        line
    }

    pub fn entry(&self) -> Option<&Entry> {
        match &self.kind {
            Kind::Entry(entry) => Some(entry),
            Kind::Remark | Kind::Unreadable(_) => None,
        }
    }
}

fn parse(text: &[u8]) -> Result<Entry> {
    let (marker, rest) = marker(text)?;
    let (names, rest) = first_word(rest);
    let key_at = text.len() - rest.len();
    let (key, _comment) = WrittenKey::parse(rest)?;
    let names = if HashedName::is_written_so(names) {
        Names::Hashed(HashedName::parse(names)?)
    } else {
        Names::Patterns(names.into())
    };
    Ok(Entry { marker, names, key, key_at })
}

fn marker(text: &[u8]) -> Result<(Marker, &[u8])> {
    if !text.starts_with(b"@") {
        return Ok((Marker::None, text));
    }
    let (word, rest) = first_word(text);
    if rest.starts_with(b"@") {
        return Err(Error::key_format("a line has one marker"));
    }
    match word {
        b"@cert-authority" => Ok((Marker::CertAuthority, rest)),
        b"@revoked" => Ok((Marker::Revoked, rest)),
        _ => Err(Error::key_format("an unknown marker")),
    }
}
