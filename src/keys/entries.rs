//! What known_hosts and authorized_keys have in common: lines of words, with a key at their end.

use super::PublicKey;
use crate::error::{Error, Result};
use crate::wire::{Reader, clean};
use base64ct::{Base64, Encoding};

/// The largest key that is taken needs a fifth of this. What is longer is no line, and its end is none either.
pub const LONGEST_LINE: usize = 16 * 1024;

/// Without the end of the line, and without the blanks before it.
pub fn content(line: &[u8]) -> &[u8] {
    skip_blanks(without_end(line))
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    text.get(blanks..).unwrap_or_default()
}

/// Nothing but spaces and tabs separates.
pub fn first_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (word, skip_blanks(rest))
}

pub fn check_line(line: &[u8]) -> Result<()> {
    let line = without_end(line);
    if line.len() > LONGEST_LINE {
        return Err(Error::key_format(format!("the line is longer than {LONGEST_LINE} bytes")));
    }
    if line.iter().any(|byte| *byte < b' ' && *byte != b'\t') {
        return Err(Error::key_format("the line holds control characters"));
    }
    Ok(())
}

/// A key as it stands in a line: not looked into, so that a long file is read fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenKey {
    pub key_type: Box<str>,
    pub blob: Box<[u8]>,
}

impl WrittenKey {
    /// Type and base64, and what follows: the comment.
    pub fn parse(text: &[u8]) -> Result<(Self, &[u8])> {
        let (name, rest) = first_word(text);
        let (encoded, comment) = first_word(rest);
        let name = std::str::from_utf8(name).map_err(|_| Error::key_format("the type of the key is no name"))?;
        if encoded.is_empty() {
            return Err(Error::key_format(format!("there is no key behind '{}'", clean(name.as_bytes(), 64))));
        }
        let encoded = std::str::from_utf8(encoded).map_err(|_| Error::key_format("the key is not base64"))?;
        let blob = Base64::decode_vec(encoded).map_err(|_| Error::key_format("the key is not base64"))?;
        let inner = Reader::new(&blob).ascii().map_err(|_| Error::key_format("the base64 holds no public key"))?;
        if inner != name {
            return Err(Error::key_format("the type before the key is not the type of the key"));
        }
        Ok((Self { key_type: name.into(), blob: blob.into() }, comment))
    }

    pub fn key(&self) -> Result<PublicKey> {
        PublicKey::from_blob(&self.blob)
    }
}
