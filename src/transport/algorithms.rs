//! Which algorithms a side offers, in which order.

use crate::crypto;
use crate::error::{Error, Result};
use crate::wire::clean;

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
    pub kex: Vec<&'static str>,
    pub host_key: Vec<&'static str>,
    pub cipher: Vec<&'static str>,
    pub mac: Vec<&'static str>,
    pub compression: Vec<&'static str>,
    pub pubkey_signature: Vec<&'static str>,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            kex: crypto::default_kex(),
            host_key: crypto::default_signatures(),
            cipher: crypto::default_ciphers(),
            mac: crypto::default_macs(),
            compression: vec!["none"],
            pubkey_signature: crypto::default_signatures(),
        }
    }
}

impl Algorithms {
    /// Replaces the list (`a,b,c`) or edits it: `+a,b` appends what is not there, `-a,b` takes away,
    /// `^a,b` moves to the front. A name that is not known is an error, and then nothing has changed.
    pub fn set(&mut self, kind: AlgorithmKind, edit: &str) -> Result<()> {
        let (operation, names) = match edit.strip_prefix(['+', '-', '^']) {
            Some(names) => (edit.chars().next(), names),
            None => (None, edit),
        };
        let mut known = Vec::new();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let found = find(kind, name)
                .ok_or_else(|| Error::algorithm(format!("unknown {} '{}'", kind.noun(), clean(name.as_bytes(), 64))))?;
            if !known.contains(&found) {
                known.push(found);
            }
        }
        let now = self.list(kind);
        let others = now.iter().copied().filter(|name| !known.contains(name));
        let list: Vec<&'static str> = match operation {
            None => known,
            Some('+') => now.iter().copied().chain(known.iter().copied().filter(|name| !now.contains(name))).collect(),
            Some('-') => others.collect(),
            Some(_) => known.iter().copied().chain(others).collect(),
        };
        // AEAD ciphers need no MAC; nothing works without the rest.
        if list.is_empty() && kind != AlgorithmKind::Mac {
            return Err(Error::algorithm(format!("no {} would be left", kind.noun())));
        }
        *self.list_mut(kind) = list;
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
    match kind {
        AlgorithmKind::Kex => crypto::KEX_ALGORITHMS.iter().map(|row| row.name).collect(),
        AlgorithmKind::HostKey | AlgorithmKind::PubkeySignature => {
            crypto::SIGNATURES.iter().map(|row| row.name).collect()
        }
        AlgorithmKind::Cipher => crypto::CIPHERS.iter().map(|row| row.name).collect(),
        AlgorithmKind::Mac => crypto::MACS.iter().map(|row| row.name).collect(),
        AlgorithmKind::Compression => vec!["none"],
    }
}

fn find(kind: AlgorithmKind, name: &str) -> Option<&'static str> {
    match kind {
        AlgorithmKind::Kex => crypto::find_kex(name).map(|row| row.name),
        AlgorithmKind::HostKey | AlgorithmKind::PubkeySignature => crypto::find_signature(name).map(|row| row.name),
        AlgorithmKind::Cipher => crypto::find_cipher(name).map(|row| row.name),
        AlgorithmKind::Mac => crypto::find_mac(name).map(|row| row.name),
        AlgorithmKind::Compression => (name == "none").then_some("none"),
    }
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
