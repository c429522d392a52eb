//! Known hosts: which keys which hosts have (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
//!
//! A list is its lines. Those that cannot be read stay as they are and say nothing.

mod hashed;
mod line;

use super::PublicKey;
use crate::error::{Error, HostKeyVerdict, KeyFormatFailure, Result};
use crate::wire::clean;
use hashed::HashedName;
use line::{Kind, Line, Names};

pub use line::Marker;

const DEFAULT_PORT: u16 = 22;

/// What is known of a key that a host shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the host's.
    Match,
    /// The host has another key of this type.
    Changed,
    /// The host has keys, but none of this type.
    OtherType,
    /// No key of the host is known.
    Unknown,
    /// It is marked as revoked for this host.
    Revoked,
}

impl Standing {
    /// None: it is right. A host that is known by another type of key is no new one.
    pub fn verdict(self) -> Option<HostKeyVerdict> {
        match self {
            Self::Match => None,
            Self::Changed | Self::OtherType => Some(HostKeyVerdict::Changed),
            Self::Unknown => Some(HostKeyVerdict::Unknown),
            Self::Revoked => Some(HostKeyVerdict::Revoked),
        }
    }
}

/// A key of a list with its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    pub key: PublicKey,
    pub line: usize,
}

/// All that a list says of one host and port.
#[derive(Debug, Clone, Default)]
pub struct HostKeys {
    /// The host's own.
    pub keys: Vec<ListedKey>,
    /// Of the host without its port, when that is not 22: right as well, but others are not wrong because of them.
    pub keys_of_name: Vec<ListedKey>,
    /// Whose certificates are right for this host; those for the host without its port as well.
    pub authorities: Vec<ListedKey>,
    /// Never right for this host, neither as keys nor as authorities.
    pub revoked: Vec<ListedKey>,
    /// The line of a key of the host that cannot be looked into.
    pub unreadable: Option<usize>,
}

impl HostKeys {
    /// How a key that is no certificate stands, and the line that says so.
    pub fn check(&self, key: &PublicKey) -> (Standing, Option<usize>) {
        let equal = |listed: &&ListedKey| listed.key == *key;
        let of_type = |listed: &&ListedKey| listed.key.key_type() == key.key_type();
        if let Some(listed) = self.revoked.iter().find(equal) {
            return (Standing::Revoked, Some(listed.line));
        }
        if let Some(listed) = self.keys.iter().find(equal) {
            return (Standing::Match, Some(listed.line));
        }
        if let Some(listed) = self.keys.iter().find(of_type) {
            return (Standing::Changed, Some(listed.line));
        }
        if let Some(line) = self.keys.first().map(|listed| listed.line).or(self.unreadable) {
            return (Standing::OtherType, Some(line));
        }
        match self.keys_of_name.iter().find(equal) {
            Some(listed) => (Standing::Match, Some(listed.line)),
            None => (Standing::Unknown, None),
        }
    }

    pub fn is_revoked(&self, key: &PublicKey) -> bool {
        self.revoked.iter().any(|listed| listed.key == *key)
    }

    /// The keys that are recognised when they are shown.
    pub fn recognised(&self) -> impl Iterator<Item = &PublicKey> {
        let keys = if self.keys.is_empty() { &self.keys_of_name } else { &self.keys };
        keys.iter().map(|listed| &listed.key).filter(|key| !self.is_revoked(key))
    }
}

/// The lines of a file, in their order.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
}

impl KnownHosts {
    pub fn parse(text: &[u8]) -> Self {
        Self { lines: text.split_inclusive(|byte| *byte == b'\n').map(|line| Line::new(line.to_vec())).collect() }
    }

    /// What was read, byte for byte, with the changes that were made.
    pub fn text(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| &line.bytes).copied().collect()
    }

    /// Lines that were added to the end of the file that this was read from.
    pub fn append(&mut self, text: &[u8]) {
        let starts_a_line = self.lines.last().is_none_or(|last| last.bytes.ends_with(b"\n"));
        let text = if starts_a_line { text } else { text.strip_prefix(b"\n").unwrap_or(text) };
        self.end_last_line();
        self.lines.extend(Self::parse(text).lines);
    }

    /// Which lines are neither blank nor comments and say nothing nevertheless, and why.
    pub fn problems(&self) -> impl Iterator<Item = Error> {
        self.lines.iter().zip(1..).filter_map(|(line, number)| match &line.kind {
            Kind::Unreadable(Error::KeyFormat(failure)) => {
                Some(Error::KeyFormat(Box::new(KeyFormatFailure { text: failure.text.clone(), line: number })))
            }
            Kind::Unreadable(error) => Some(error.clone()),
            Kind::Remark | Kind::Entry(_) => None,
        })
    }

    pub fn for_host(&self, host: &str, port: u16) -> HostKeys {
        let (name, name_alone) = names(host, port);
        let mut found = HostKeys::default();
        for (line, number) in self.lines.iter().zip(1..) {
            let Some(entry) = line.entry() else { continue };
            let is_exact = entry.names.match_name(&name);
            if !is_exact && !name_alone.as_ref().is_some_and(|name| entry.names.match_name(name)) {
                continue;
            }
            let list = match entry.marker {
                Marker::Revoked => &mut found.revoked,
                Marker::CertAuthority => &mut found.authorities,
                Marker::None if is_exact => &mut found.keys,
                Marker::None => &mut found.keys_of_name,
            };
            match entry.key.key() {
                Ok(key) => list.push(ListedKey { key, line: number }),
                Err(_) if entry.marker == Marker::None && is_exact => found.unreadable = Some(number),
                Err(_) => {}
            }
        }
        found
    }

    pub fn check(&self, host: &str, port: u16, key: &PublicKey) -> (Standing, Option<usize>) {
        self.for_host(host, port).check(key)
    }

    /// A line more at the end, unless there is one that says the same. `host` may be a list of patterns where there is
    /// a marker. None: nothing was added.
    pub fn add(&mut self, host: &str, port: u16, key: &PublicKey, how: &Addition<'_>) -> Result<Option<Vec<u8>>> {
        check_new_name(host, port, how)?;
        let (name, _) = names(host, port);
        let says_so = |line: &Line| {
            line.entry().is_some_and(|entry| {
                entry.marker == how.marker && *entry.key.blob == *key.blob() && entry.names.match_name(&name)
            })
        };
        if self.lines.iter().any(says_so) {
            return Ok(None);
        }
        let shown = if how.hashed { HashedName::new(&name)?.text().into_bytes() } else { name };
        let mut bytes = [how.marker.text().as_bytes(), &shown, b" "].concat();
        bytes.extend_from_slice(key.to_line(how.comment).as_bytes());
        bytes.push(b'\n');
        let line = Line::new(bytes.clone());
        if let Kind::Unreadable(error) = line.kind {
            return Err(Error::argument(format!("such a line cannot be read again: {error}")));
        }
        self.end_last_line();
        self.lines.push(line);
        Ok(Some(bytes))
    }

    /// Takes the lines away that say `key` of this host, or any key. Those with a marker stay. How many there were.
    pub fn remove(&mut self, host: &str, port: u16, key: Option<&PublicKey>) -> usize {
        let (name, _) = names(host, port);
        let before = self.lines.len();
        self.lines.retain(|line| {
            let goes = line.entry().is_some_and(|entry| {
                entry.marker == Marker::None
                    && key.is_none_or(|key| *entry.key.blob == *key.blob())
                    && entry.names.match_name(&name)
            });
            !goes
        });
        before - self.lines.len()
    }

    /// Hashes all names that can be: not patterns, and not those of lines with a marker. A line with several names
    /// becomes several. How many names were hashed.
    pub fn hash(&mut self) -> Result<usize> {
        let mut hashed = 0;
        let mut lines = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let Some(names) = plain_names(line) else {
                lines.push(line.clone());
                continue;
            };
            let entry_and_rest = line.entry().and_then(|entry| line.bytes.get(entry.key_at..)).unwrap_or_default();
            for name in names {
                let mut bytes = HashedName::new(&name)?.text().into_bytes();
                bytes.push(b' ');
                bytes.extend_from_slice(entry_and_rest);
                if !bytes.ends_with(b"\n") {
                    bytes.push(b'\n');
                }
                lines.push(Line::new(bytes));
                hashed += 1;
            }
        }
        self.lines = lines;
        Ok(hashed)
    }

    fn end_last_line(&mut self) {
        if let Some(last) = self.lines.last_mut()
            && !last.bytes.ends_with(b"\n")
        {
            last.bytes.push(b'\n');
        }
    }
}

/// How a line is added.
#[derive(Debug, Clone, Copy)]
pub struct Addition<'a> {
    pub marker: Marker,
    pub hashed: bool,
    pub comment: &'a str,
}

/// The name that a host has in these files, and the name without a port, where that is another.
fn names(host: &str, port: u16) -> (Vec<u8>, Option<Vec<u8>>) {
    let host = host.to_ascii_lowercase();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    match port {
        0 | DEFAULT_PORT => (host.into(), None),
        _ => (format!("[{host}]:{port}").into_bytes(), Some(host.into())),
    }
}

fn check_new_name(host: &str, port: u16, how: &Addition<'_>) -> Result<()> {
    let separates = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '|' | '#' | '@');
    let describes = |c: char| matches!(c, '*' | '?' | '!' | ',');
    let patterns_fit = how.marker != Marker::None && !how.hashed;
    let several = host.contains(',') && !matches!(port, 0 | DEFAULT_PORT);
    if host.is_empty() || several || host.contains(separates) || (!patterns_fit && host.contains(describes)) {
        return Err(Error::argument(format!("'{}' is no name of a host", clean(host.as_bytes(), 64))));
    }
    Ok(())
}

/// The names of a line that can be hashed.
fn plain_names(line: &Line) -> Option<Vec<Vec<u8>>> {
    let entry = line.entry().filter(|entry| entry.marker == Marker::None)?;
    let Names::Patterns(list) = &entry.names else { return None };
    if list.iter().any(|byte| b"*?!".contains(byte)) {
        return None;
    }
    Some(list.split(|byte| *byte == b',').filter(|name| !name.is_empty()).map(<[u8]>::to_ascii_lowercase).collect())
}

#[cfg(test)]
mod tests;
