//! Which algorithms a side offers, in which order.

use super::compression::COMPRESSIONS;
use crate::crypto::{self, Offer, Policy};
use crate::error::{Error, Result};
use crate::wire::{Role, clean};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmKind {
    Kex,
    HostKey,
    Cipher,
    Mac,
    Compression,
    /// Of signatures for user authentication: used by a client, accepted and announced by a server.
    PubkeySignature,
}

/// The lists of one side, most wanted first. Ciphers, MACs and compression are for both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms {
    policy: Policy,
    pub kex: Vec<&'static str>,
    pub host_key: Vec<&'static str>,
    pub cipher: Vec<&'static str>,
    pub mac: Vec<&'static str>,
    pub compression: Vec<&'static str>,
    pub pubkey_signature: Vec<&'static str>,
    /// Of `kex`: nobody named them, and a server does not offer them unless somebody does.
    kex_of_clients: Vec<&'static str>,
    /// The application gave the whole list, so its order is what it wants.
    pub host_key_order_is_given: bool,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self::of(Policy::Default)
    }
}

impl Algorithms {
    /// What a policy offers by itself.
    pub fn of(policy: Policy) -> Self {
        let offered = |kind| -> Vec<&'static str> {
            rows(kind).into_iter().filter(|(_, offer)| offer.is_in(policy)).map(|(name, _)| name).collect()
        };
        let kex = offered(AlgorithmKind::Kex);
        let of_clients = rows(AlgorithmKind::Kex).into_iter().filter(|(_, offer)| *offer == Offer::DefaultOfClients);
        Self {
            policy,
            kex_of_clients: of_clients.map(|(name, _)| name).filter(|name| kex.contains(name)).collect(),
            kex,
            host_key: offered(AlgorithmKind::HostKey),
            cipher: offered(AlgorithmKind::Cipher),
            mac: offered(AlgorithmKind::Mac),
            compression: offered(AlgorithmKind::Compression),
            pubkey_signature: offered(AlgorithmKind::PubkeySignature),
            host_key_order_is_given: false,
        }
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The role is known: a server lets go of what only a client offers by default.
    pub fn settle(&mut self, role: Role) {
        if role == Role::Server {
            self.kex.retain(|name| !self.kex_of_clients.contains(name));
        }
    }

    /// Replaces the list (`a,b,c`) or edits it: `+a,b` appends what is not there, `-a,b` takes away,
    /// `^a,b` moves to the front. A name that is not known is an error, and then nothing has changed.
    pub fn set(&mut self, kind: AlgorithmKind, edit: &str) -> Result<()> {
        let (operation, names) = match edit.strip_prefix(['+', '-', '^']) {
            Some(names) => (edit.chars().next(), names),
            None => (None, edit),
        };
        let mut known = Vec::new();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let (found, offer) = find(kind, name)
                .ok_or_else(|| Error::algorithm(format!("unknown {} '{}'", kind.noun(), clean(name.as_bytes(), 64))))?;
            if self.policy == Policy::Strict && operation != Some('-') && !offer.is_in(Policy::Strict) {
                return Err(Error::algorithm(format!("the strict policy has no {} '{found}'", kind.noun())));
            }
            if !known.contains(&found) {
                known.push(found);
            }
        }
        let now = self.list(kind);
        let others = now.iter().copied().filter(|name| !known.contains(name));
        let list: Vec<&'static str> = match operation {
            None => known.clone(),
            Some('+') => now.iter().copied().chain(known.iter().copied().filter(|name| !now.contains(name))).collect(),
            Some('-') => others.collect(),
            Some(_) => known.iter().copied().chain(others).collect(),
        };
        // AEAD ciphers need no MAC; nothing works without the rest.
        if list.is_empty() && kind != AlgorithmKind::Mac {
            return Err(Error::algorithm(format!("no {} would be left", kind.noun())));
        }
        *self.list_mut(kind) = list;
        match kind {
            AlgorithmKind::Kex if operation != Some('-') => self.kex_of_clients.retain(|name| !known.contains(name)),
            AlgorithmKind::HostKey => self.host_key_order_is_given |= matches!(operation, None | Some('^')),
            _ => {}
        }
        Ok(())
    }

    /// The list, comma separated.
    pub fn get(&self, kind: AlgorithmKind) -> String {
        self.list(kind).join(",")
    }

    pub fn list(&self, kind: AlgorithmKind) -> &[&'static str] {
        match kind {
            AlgorithmKind::Kex => &self.kex,
            AlgorithmKind::HostKey => &self.host_key,
            AlgorithmKind::Cipher => &self.cipher,
            AlgorithmKind::Mac => &self.mac,
            AlgorithmKind::Compression => &self.compression,
            AlgorithmKind::PubkeySignature => &self.pubkey_signature,
        }
    }

    fn list_mut(&mut self, kind: AlgorithmKind) -> &mut Vec<&'static str> {
        match kind {
            AlgorithmKind::Kex => &mut self.kex,
            AlgorithmKind::HostKey => &mut self.host_key,
            AlgorithmKind::Cipher => &mut self.cipher,
            AlgorithmKind::Mac => &mut self.mac,
            AlgorithmKind::Compression => &mut self.compression,
            AlgorithmKind::PubkeySignature => &mut self.pubkey_signature,
        }
    }
}

/// Everything that this build knows of a kind, most wanted first, whether offered by default or not.
pub fn available(kind: AlgorithmKind) -> Vec<&'static str> {
    rows(kind).into_iter().map(|(name, _)| name).collect()
}

/// The table of a kind, most wanted first.
fn rows(kind: AlgorithmKind) -> Vec<(&'static str, Offer)> {
    match kind {
        AlgorithmKind::Kex => crypto::KEX_ALGORITHMS.iter().map(|row| (row.name, row.offer)).collect(),
        AlgorithmKind::HostKey | AlgorithmKind::PubkeySignature => {
            crypto::SIGNATURES.iter().map(|row| (row.name, row.offer)).collect()
        }
        AlgorithmKind::Cipher => crypto::ciphers_by_preference().into_iter().map(|row| (row.name, row.offer)).collect(),
        AlgorithmKind::Mac => crypto::MACS.iter().map(|row| (row.name, row.offer)).collect(),
        AlgorithmKind::Compression => COMPRESSIONS.iter().map(|row| (row.name, row.offer)).collect(),
    }
}

fn find(kind: AlgorithmKind, name: &str) -> Option<(&'static str, Offer)> {
    rows(kind).into_iter().find(|row| row.0 == name)
}

impl AlgorithmKind {
    fn noun(self) -> &'static str {
        match self {
            Self::Kex => "key exchange method",
            Self::HostKey => "host key algorithm",
            Self::Cipher => "cipher",
            Self::Mac => "MAC",
            Self::Compression => "compression",
            Self::PubkeySignature => "signature algorithm",
        }
    }
}
