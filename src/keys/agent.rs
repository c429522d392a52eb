//! The messages of the SSH agent protocol (RFC 9987) that a client of an agent needs, without input and output.

use super::{PrivateKey, PublicKey};
use crate::error::{Error, Result, clean};
use crate::wire::{Reader, Writer};
use bytes::{Buf, BytesMut};
use zeroize::Zeroizing;

/// The longest message in either direction: OpenSSH's agent takes and sends no longer ones.
pub const LONGEST_MESSAGE: usize = 256 * 1024;
/// An agent that says that it has more than OpenSSH's takes is not believed.
const MOST_IDENTITIES: u32 = 2048;
const LENGTH: usize = 4;

mod number {
    pub const FAILURE: u8 = 5;
    pub const SUCCESS: u8 = 6;
    pub const REQUEST_IDENTITIES: u8 = 11;
    pub const IDENTITIES_ANSWER: u8 = 12;
    pub const SIGN_REQUEST: u8 = 13;
    pub const SIGN_RESPONSE: u8 = 14;
    pub const ADD_IDENTITY: u8 = 17;
    pub const REMOVE_IDENTITY: u8 = 18;
    pub const REMOVE_ALL_IDENTITIES: u8 = 19;
    pub const LOCK: u8 = 22;
    pub const UNLOCK: u8 = 23;
    pub const ADD_ID_CONSTRAINED: u8 = 25;
    pub const EXTENSION: u8 = 27;
    pub const EXTENSION_FAILURE: u8 = 28;
}

mod constraint {
    pub const LIFETIME: u8 = 1;
    pub const CONFIRM: u8 = 2;
    /// Of OpenSSH; the RFC has no such number.
    pub const MAXIMUM_SIGNATURES: u8 = 3;
    pub const EXTENSION: u8 = 255;
}

const SIGN_SHA2_256: u32 = 2;
const SIGN_SHA2_512: u32 = 4;
const SESSION_BIND: &str = "session-bind@openssh.com";

/// A request without its length, wiped when it goes: it may hold a private key.
pub type Request = Zeroizing<Vec<u8>>;

/// What an agent has to hold a key to. It refuses a key whose constraints it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// After so many seconds the agent forgets the key.
    pub lifetime: Option<u32>,
    /// The agent asks its user before each signature.
    pub confirm: bool,
    pub maximum_signatures: Option<u32>,
    /// Names, and what follows the name on the wire.
    pub extensions: Vec<(String, Vec<u8>)>,
}

/// A key as an agent lists it; its type may be none that this library knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub blob: Vec<u8>,
    pub comment: Vec<u8>,
}

impl Identity {
    /// Unsupported, where the type is not known here.
    pub fn public(&self) -> Result<PublicKey> {
        PublicKey::from_blob(&self.blob)
    }

    /// As it stands in the blob, cleaned.
    pub fn key_type(&self) -> String {
        clean(Reader::new(&self.blob).string().unwrap_or_default(), 64)
    }
}

pub fn list() -> Request {
    vec![number::REQUEST_IDENTITIES].into()
}

pub fn sign(blob: &[u8], algorithm: &str, data: &[u8]) -> Request {
    let flags = match algorithm {
        "rsa-sha2-256" | "rsa-sha2-256-cert-v01@openssh.com" => SIGN_SHA2_256,
        "rsa-sha2-512" | "rsa-sha2-512-cert-v01@openssh.com" => SIGN_SHA2_512,
        _ => 0,
    };
    Writer::new().u8(number::SIGN_REQUEST).string(blob).string(data).u32(flags).finish().into()
}

/// Unsupported: the private half is not here.
pub fn add(key: &PrivateKey, comment: &[u8], constraints: &Constraints) -> Result<Request> {
    let constrained = *constraints != Constraints::default();
    let fields = key.fields()?;
    // Of its final size, so that no copy of the key is left behind.
    let extensions = constraints.extensions.iter().map(|(name, details)| name.len() + details.len() + 5);
    let room = fields.len() + comment.len() + 128 + extensions.sum::<usize>();
    let mut request = Zeroizing::new(Vec::with_capacity(room));
    request.push(if constrained { number::ADD_ID_CONSTRAINED } else { number::ADD_IDENTITY });
    crate::wire::put_string(&mut request, key.public().key_type().as_bytes());
    request.extend_from_slice(fields);
    crate::wire::put_string(&mut request, comment);
    if let Some(seconds) = constraints.lifetime {
        request.push(constraint::LIFETIME);
        crate::wire::put_u32(&mut request, seconds);
    }
    if constraints.confirm {
        request.push(constraint::CONFIRM);
    }
    if let Some(count) = constraints.maximum_signatures {
        request.push(constraint::MAXIMUM_SIGNATURES);
        crate::wire::put_u32(&mut request, count);
    }
    for (name, details) in &constraints.extensions {
        request.push(constraint::EXTENSION);
        crate::wire::put_string(&mut request, name.as_bytes());
        request.extend_from_slice(details);
    }
    Ok(request)
}

pub fn remove(blob: &[u8]) -> Request {
    Writer::new().u8(number::REMOVE_IDENTITY).string(blob).finish().into()
}

pub fn remove_all() -> Request {
    vec![number::REMOVE_ALL_IDENTITIES].into()
}

pub fn lock(passphrase: &[u8]) -> Request {
    with_passphrase(number::LOCK, passphrase)
}

pub fn unlock(passphrase: &[u8]) -> Request {
    with_passphrase(number::UNLOCK, passphrase)
}

fn with_passphrase(number: u8, passphrase: &[u8]) -> Request {
    let mut request = Zeroizing::new(Vec::with_capacity(1 + LENGTH + passphrase.len()));
    request.push(number);
    crate::wire::put_string(&mut request, passphrase);
    request
}

/// Tells what this connection to the agent is used for (OpenSSH's PROTOCOL.agent section 1): the session, and that the
/// host has proved to be in it.
pub fn bind(host_key: &[u8], session_id: &[u8], proof: &[u8], forwarding: bool) -> Request {
    let request = Writer::new().u8(number::EXTENSION).string(SESSION_BIND).string(host_key).string(session_id);
    request.string(proof).boolean(forwarding).finish().into()
}

/// The reply to what has no answer but yes or no.
pub fn done(reply: &[u8]) -> Result<()> {
    let rest = answer(reply, number::SUCCESS)?;
    if rest.is_empty() { Ok(()) } else { Err(damaged()) }
}

pub fn identities(reply: &[u8]) -> Result<Vec<Identity>> {
    let mut reader = Reader::new(answer(reply, number::IDENTITIES_ANSWER)?);
    let count = reader.u32().map_err(|_| damaged())?;
    if count > MOST_IDENTITIES {
        return Err(Error::protocol(format!("the agent says that it has {count} keys")));
    }
    let mut found = Vec::new();
    for _ in 0..count {
        let blob = reader.string().map_err(|_| damaged())?.to_vec();
        let comment = reader.string().map_err(|_| damaged())?.to_vec();
        found.push(Identity { blob, comment });
    }
    reader.finish().map_err(|_| damaged())?;
    Ok(found)
}

/// The signature blob; it is not verified here.
pub fn signature(reply: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(answer(reply, number::SIGN_RESPONSE)?);
    let signature = reader.string().map_err(|_| damaged())?.to_vec();
    reader.finish().map_err(|_| damaged())?;
    Ok(signature)
}

/// What follows the number of the reply that is wanted.
fn answer(reply: &[u8], wanted: u8) -> Result<&[u8]> {
    match reader_of(reply) {
        Some((number, rest)) if number == wanted => Ok(rest),
        Some((number::FAILURE | number::EXTENSION_FAILURE, _)) => Err(Error::RequestDenied("the agent refused".into())),
        Some((number, _)) => Err(Error::protocol(format!("the agent answered with a message {number}"))),
        None => Err(damaged()),
    }
}

fn reader_of(reply: &[u8]) -> Option<(u8, &[u8])> {
    reply.split_first().map(|(number, rest)| (*number, rest))
}

fn damaged() -> Error {
    Error::protocol("the agent's answer is damaged")
}

/// A request as it goes out. Limit: no agent takes it.
pub fn framed(request: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let length = u32::try_from(request.len()).ok().filter(|_| request.len() <= LONGEST_MESSAGE);
    let length = length.ok_or_else(|| Error::limit("the request is longer than agents take"))?;
    let mut frame = Zeroizing::new(Vec::with_capacity(LENGTH + request.len()));
    crate::wire::put_u32(&mut frame, length);
    frame.extend_from_slice(request);
    Ok(frame)
}

/// The next whole reply in what was received. It is never waited for more than a message may have.
pub fn next_reply(received: &mut BytesMut) -> Result<Option<Vec<u8>>> {
    let Some((length, rest)) = received.split_first_chunk::<LENGTH>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length == 0 || length > LONGEST_MESSAGE {
        return Err(Error::protocol(format!("the agent announces a message of {length} bytes")));
    }
    let Some(reply) = rest.get(..length) else { return Ok(None) };
    let reply = reply.to_vec();
    received.advance(LENGTH + length);
    Ok(Some(reply))
}
