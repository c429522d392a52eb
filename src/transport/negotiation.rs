//! Which algorithms two KEXINITs agree on (RFC 4253 section 7.1).

use super::algorithms::Algorithms;
use crate::crypto::find_signature;
use crate::crypto::{CipherAlgorithm, KexAlgorithm, MacAlgorithm, find_cipher, find_kex, find_mac};
use crate::error::{Error, NegotiationFailure, Result};
use crate::wire::messages::KexInit;
use crate::wire::{NameList, Role, Writer, clean};

/// Names in the kex list that are not methods: they say what a side understands.
const EXT_INFO_CLIENT: &str = "ext-info-c";
const EXT_INFO_SERVER: &str = "ext-info-s";
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
const MARKERS: [&str; 4] = [EXT_INFO_CLIENT, EXT_INFO_SERVER, STRICT_CLIENT, STRICT_SERVER];
/// How much of a peer's list an error shows.
const SHOWN: usize = 1024;

/// What a side says in the first KEXINIT only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Markers {
    pub ext_info: bool,
    pub strict: bool,
}

pub fn markers(list: NameList<'_>, of: Role) -> Markers {
    let (ext_info, strict) = match of {
        Role::Client => (EXT_INFO_CLIENT, STRICT_CLIENT),
        Role::Server => (EXT_INFO_SERVER, STRICT_SERVER),
    };
    Markers { ext_info: list.contains(ext_info), strict: list.contains(strict) }
}

/// The strict policy takes no peer that could lose packets of the handshake unnoticed (CVE-2023-48795).
pub fn no_strict_exchange(own: Role, theirs: NameList<'_>) -> Error {
    let marker = match own {
        Role::Client => STRICT_CLIENT,
        Role::Server => STRICT_SERVER,
    };
    failure("strict key exchange", &[marker], theirs)
}

fn failure(category: &'static str, ours: &[&'static str], theirs: NameList<'_>) -> Error {
    Error::Negotiation(Box::new(NegotiationFailure {
        category,
        ours: ours.join(",").into(),
        theirs: clean(theirs.as_str().as_bytes(), SHOWN).into(),
    }))
}

/// Our lists, as offered in one exchange.
pub struct Proposal<'p> {
    pub role: Role,
    pub algorithms: &'p Algorithms,
    pub host_key: Vec<&'static str>,
}

impl Proposal<'_> {
    /// The payload of our KEXINIT. The markers stand in the first one only.
    pub fn kexinit(&self, cookie: [u8; 16], initial: bool) -> Vec<u8> {
        let own_markers: &[&str] = match (initial, self.role) {
            (false, _) => &[],
            (true, Role::Client) => &[EXT_INFO_CLIENT, STRICT_CLIENT],
            (true, Role::Server) => &[EXT_INFO_SERVER, STRICT_SERVER],
        };
        let kex = self.algorithms.kex.iter().chain(own_markers).copied().collect::<Vec<_>>().join(",");
        let cipher = self.algorithms.cipher.join(",");
        let mac = self.algorithms.mac.join(",");
        let compression = self.algorithms.compression.join(",");
        Writer::new()
            .u8(KexInit::NUMBER)
            .raw(cookie)
            .string(kex)
            .string(self.host_key.join(","))
            .string(&cipher)
            .string(&cipher)
            .string(&mac)
            .string(&mac)
            .string(&compression)
            .string(&compression)
            .string("")
            .string("")
            .boolean(false)
            .u32(0)
            .finish()
    }
}

/// What both sides agree on. `in` and `out` are as we see it.
#[derive(Clone, Copy)]
pub struct Choice {
    pub kex: &'static KexAlgorithm,
    pub host_key: &'static str,
    pub cipher_in: &'static CipherAlgorithm,
    pub cipher_out: &'static CipherAlgorithm,
    /// None with an AEAD cipher.
    pub mac_in: Option<&'static MacAlgorithm>,
    pub mac_out: Option<&'static MacAlgorithm>,
    pub compression_in: &'static str,
    pub compression_out: &'static str,
    /// The peer sent the first message of a method that was not chosen: it is passed over.
    pub wrong_guess: bool,
}

pub fn negotiate(proposal: &Proposal<'_>, theirs: &KexInit<'_>) -> Result<Choice> {
    let algorithms = proposal.algorithms;
    let kex_name = proposal.choose("key exchange method", &algorithms.kex, theirs.kex_algorithms)?;
    let host_key = proposal.choose("host key algorithm", &proposal.host_key, theirs.server_host_key_algorithms)?;
    let upwards = Direction {
        cipher: proposal.choose(
            "cipher from client to server",
            &algorithms.cipher,
            theirs.encryption_client_to_server,
        )?,
        mac: ("MAC from client to server", theirs.mac_client_to_server),
    };
    let downwards = Direction {
        cipher: proposal.choose(
            "cipher from server to client",
            &algorithms.cipher,
            theirs.encryption_server_to_client,
        )?,
        mac: ("MAC from server to client", theirs.mac_server_to_client),
    };
    let protection = |direction: Direction<'_>| -> Result<_> {
        let cipher = find_cipher(direction.cipher).ok_or_else(not_in_table)?;
        if cipher.aead {
            return Ok((cipher, None));
        }
        let mac = proposal.choose(direction.mac.0, &algorithms.mac, direction.mac.1)?;
        Ok((cipher, Some(find_mac(mac).ok_or_else(not_in_table)?)))
    };
    let (upwards, downwards) = (protection(upwards)?, protection(downwards)?);
    let none = &algorithms.compression;
    let compression_up =
        proposal.choose("compression from client to server", none, theirs.compression_client_to_server)?;
    let compression_down =
        proposal.choose("compression from server to client", none, theirs.compression_server_to_client)?;
    let guessed_right = first_method(theirs.kex_algorithms) == algorithms.kex.first().copied()
        && theirs.server_host_key_algorithms.first() == proposal.host_key.first().copied();
    let (incoming, outgoing, compression_in, compression_out) = match proposal.role {
        Role::Client => (downwards, upwards, compression_down, compression_up),
        Role::Server => (upwards, downwards, compression_up, compression_down),
    };
    Ok(Choice {
        kex: find_kex(kex_name).ok_or_else(not_in_table)?,
        host_key: find_signature(host_key).ok_or_else(not_in_table)?.name,
        cipher_in: incoming.0,
        cipher_out: outgoing.0,
        mac_in: incoming.1,
        mac_out: outgoing.1,
        compression_in,
        compression_out,
        wrong_guess: theirs.first_kex_packet_follows && !guessed_right,
    })
}

struct Direction<'n> {
    cipher: &'static str,
    mac: (&'static str, NameList<'n>),
}

fn not_in_table() -> Error {
    Error::internal("an offered algorithm is in no table")
}

fn first_method(list: NameList<'_>) -> Option<&str> {
    list.names().find(|name| !MARKERS.contains(name))
}

impl Proposal<'_> {
    /// The first name of the client that the server has too.
    fn choose(&self, category: &'static str, ours: &[&'static str], theirs: NameList<'_>) -> Result<&'static str> {
        let known = |name: &str| ours.iter().copied().find(|own| *own == name);
        let chosen = match self.role {
            Role::Client => ours.iter().copied().find(|own| theirs.contains(own)),
            Role::Server => theirs.names().find_map(known),
        };
        chosen.ok_or_else(|| failure(category, ours, theirs))
    }
}
