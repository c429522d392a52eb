//! The text around a private key: a line that begins it, base64, a line that ends it.

use crate::error::{Error, KeyFormatFailure, Result};
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const LINE_LENGTH: usize = 70;
/// The largest RSA key has a twentieth of this.
const LONGEST_FILE: usize = 256 * 1024;

/// What a key file says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    OpenSsh,
    /// Known by name only.
    Other(&'static str),
    /// A public key where a private one was asked for.
    Public,
    Unknown,
}

pub fn detect(text: &[u8]) -> Format {
    const STARTS: &[(&str, Format)] = &[
        (BEGIN, Format::OpenSsh),
        ("-----BEGIN RSA PRIVATE KEY-----", Format::Other("PKCS#1")),
        ("-----BEGIN DSA PRIVATE KEY-----", Format::Other("DSA")),
        ("-----BEGIN EC PRIVATE KEY-----", Format::Other("SEC 1")),
        ("-----BEGIN PRIVATE KEY-----", Format::Other("PKCS#8")),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", Format::Other("encrypted PKCS#8")),
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", Format::Other("ssh.com")),
        ("PuTTY-User-Key-File-", Format::Other("PuTTY")),
        ("SSH PRIVATE KEY FILE FORMAT 1", Format::Other("SSH-1")),
        ("---- BEGIN SSH2 PUBLIC KEY ----", Format::Public),
        ("-----BEGIN PUBLIC KEY-----", Format::Public),
        ("-----BEGIN RSA PUBLIC KEY-----", Format::Public),
        ("ssh-", Format::Public),
        ("ecdsa-sha2-", Format::Public),
        ("sk-", Format::Public),
    ];
    let text = text.trim_ascii_start();
    STARTS.iter().find(|(start, _)| text.starts_with(start.as_bytes())).map_or(Format::Unknown, |(_, format)| *format)
}

/// The bytes between BEGIN and END. Line ends may be of any system, lines of any length, and blanks at their ends
/// are passed over.
pub fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    if text.len() > LONGEST_FILE {
        return Err(Error::key_format("the file is too long for a private key"));
    }
    // With enough room from the start no copy of the key is left behind by growing.
    let mut encoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut begun = false;
    let mut number = 0;
    for line in text.split(|byte| *byte == b'\n') {
        number += 1;
        let line = line.trim_ascii();
        if !begun {
            if line == BEGIN.as_bytes() {
                begun = true;
            } else if !line.is_empty() {
                return Err(at_line(number, "the line that begins a private key was expected"));
            }
        } else if line == END.as_bytes() {
            return decode_base64(&encoded);
        } else if line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)) {
            encoded.extend_from_slice(line);
        } else {
            return Err(at_line(number, "the private key is damaged: neither base64 nor the line that ends it"));
        }
    }
    Err(at_line(number, "the private key is damaged: the line that ends it is missing"))
}

fn decode_base64(encoded: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut decoded = Zeroizing::new(vec![0; encoded.len() / 4 * 3 + 3]);
    let length = Base64::decode(encoded, &mut decoded)
        .map_err(|_| Error::key_format("the private key is damaged: its base64 is cut or ends wrongly"))?
        .len();
    decoded.truncate(length);
    Ok(decoded)
}

fn at_line(line: u32, text: &str) -> Error {
    Error::KeyFormat(Box::new(KeyFormatFailure { text: text.into(), line }))
}

/// As OpenSSH writes it.
pub fn encode(bytes: &[u8]) -> Result<Zeroizing<String>> {
    let mut encoded = Zeroizing::new(vec![0; Base64::encoded_len(bytes)]);
    let mut rest =
        Base64::encode(bytes, &mut encoded).map_err(|_| Error::internal("base64 of a key does not fit its length"))?;
    let line_ends = rest.len() / LINE_LENGTH + 1;
    let mut text = Zeroizing::new(String::with_capacity(BEGIN.len() + END.len() + 2 + rest.len() + line_ends));
    text.push_str(BEGIN);
    text.push('\n');
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE_LENGTH).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(END);
    text.push('\n');
    Ok(text)
}
