//! The identification lines (RFC 4253 section 4.2).

use crate::error::{Error, Result};
use crate::wire::{Role, clean};
use bytes::{Buf, BytesMut};

/// An identification line with its CR LF (RFC 4253 section 4.2).
const LONGEST_IDENTIFICATION: usize = 255;
/// What a client takes before the server's identification.
const LONGEST_LINE: usize = 8192;
const MOST_LINES: usize = 1024;
const MOST_BYTES: usize = 64 * 1024;

/// Our own line, without CR LF.
pub fn own_line(software_version: &str, comment: Option<&str>) -> Result<String> {
    let version_is_legal = !software_version.is_empty()
        && software_version.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'-');
    if !version_is_legal {
        return Err(Error::argument("the software version must be printable US-ASCII without space and minus"));
    }
    let mut line = format!("SSH-2.0-{software_version}");
    if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
        if !comment.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(Error::argument("the version comment must be printable US-ASCII"));
        }
        line.push(' ');
        line.push_str(comment);
    }
    if line.len() + 2 > LONGEST_IDENTIFICATION {
        return Err(Error::argument("the identification line is longer than 255 bytes"));
    }
    Ok(line)
}

/// The peer's identification.
#[derive(Debug, Clone)]
pub struct Identification {
    /// As it enters the exchange hash: without CR LF.
    pub line: Vec<u8>,
    /// The same, fit to be shown.
    pub text: String,
}

/// Waits for the peer's identification; what comes before it is bounded and thrown away.
#[derive(Debug)]
pub struct IdentificationReader {
    role: Role,
    /// Bytes of the unfinished line that were looked at already.
    scanned: usize,
    lines: usize,
    bytes: usize,
}

impl IdentificationReader {
    pub fn new(role: Role) -> Self {
        Self { role, scanned: 0, lines: 0, bytes: 0 }
    }

    /// Takes whole lines off the front of `buffer` until one is the identification.
    pub fn receive(&mut self, buffer: &mut BytesMut) -> Result<Option<Identification>> {
        loop {
            let fresh = buffer.get(self.scanned..).unwrap_or_default();
            let newline = fresh.iter().position(|byte| *byte == b'\n').map(|at| self.scanned + at);
            self.check_length(buffer, newline.map_or(buffer.len(), |at| at + 1))?;
            let Some(newline) = newline else {
                check_bytes(buffer.get(self.scanned..).unwrap_or_default())?;
                // A CR at the very end may be the first half of CR LF: it is looked at again.
                self.scanned = buffer.len().saturating_sub(1);
                return Ok(None);
            };
            check_bytes(buffer.get(..newline).unwrap_or_default())?;
            let line = buffer.split_to(newline);
            buffer.advance(1);
            self.scanned = 0;
            if line.starts_with(b"SSH-") {
                return parse(line.strip_suffix(b"\r").unwrap_or(&line)).map(Some);
            }
            self.lines += 1;
            self.bytes += line.len() + 1;
            if self.lines > MOST_LINES {
                return Err(Error::protocol("too many lines before the identification"));
            }
        }
    }

    fn check_length(&self, buffer: &[u8], length: usize) -> Result<()> {
        let compared = buffer.len().min(4);
        let may_be_identification = buffer.get(..compared) == b"SSH-".get(..compared);
        if !may_be_identification && self.role == Role::Server {
            return Err(Error::protocol("the client did not begin with its identification"));
        }
        let longest = if may_be_identification { LONGEST_IDENTIFICATION } else { LONGEST_LINE };
        if length > longest {
            return Err(Error::protocol(format!("an identification line is longer than {longest} bytes")));
        }
        if !may_be_identification && self.bytes + length > MOST_BYTES {
            return Err(Error::protocol("too much text before the identification"));
        }
        Ok(())
    }
}

/// No NUL anywhere, CR only at the very end, where LF follows or may still come.
fn check_bytes(bytes: &[u8]) -> Result<()> {
    if bytes.contains(&0) {
        return Err(Error::protocol("NUL in an identification line"));
    }
    match bytes.iter().position(|byte| *byte == b'\r') {
        Some(at) if at + 1 < bytes.len() => Err(Error::protocol("CR inside an identification line")),
        _ => Ok(()),
    }
}

fn parse(line: &[u8]) -> Result<Identification> {
    let text = clean(line, LONGEST_IDENTIFICATION);
    let accepted = line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-");
    if !accepted {
        return Err(Error::protocol(format!("the peer does not speak SSH 2.0: '{text}'")));
    }
    Ok(Identification { line: line.to_vec(), text })
}
