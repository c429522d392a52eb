use super::{PublicKey, RSA_BITS};
use crate::error::{Error, Result};

/// What signatures need beyond being right, made or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureRules {
    /// Smaller moduli verify nothing and sign nothing (RFC 8332 section 5.1, NIST SP 800-131A).
    pub minimum_rsa_bits: u32,
    /// Somebody touched the security key for this signature.
    pub presence: bool,
    /// The security key knew who that was, by a PIN or a finger.
    pub verification: bool,
}

impl SignatureRules {
    pub const MINIMUM_RSA_BITS: u32 = 2048;
    /// What `minimum_rsa_bits` can be set to: keys of other sizes cannot even be read.
    pub const RSA_BITS: std::ops::RangeInclusive<u32> = RSA_BITS;

    /// Of hosts: nobody stands by to touch a security key for each connection.
    pub fn of_hosts(self) -> Self {
        Self { presence: false, verification: false, ..self }
    }

    /// Whether a key of this size may sign.
    pub fn allow_size_of(&self, key: &PublicKey) -> Result<()> {
        let (bits, least) = (key.bits(), self.minimum_rsa_bits);
        if !key.is_rsa() || bits >= least {
            return Ok(());
        }
        Err(Error::algorithm(format!("an RSA key of {bits} bits is too small, {least} are needed")))
    }

    pub(super) fn check_use(&self, usage: SecurityKeyUse) -> Result<()> {
        if self.presence && !usage.is_present() {
            return Err(Error::integrity("the security key signed without being touched"));
        }
        if self.verification && !usage.is_verified() {
            return Err(Error::integrity("the security key signed without verifying its user"));
        }
        Ok(())
    }
}

impl Default for SignatureRules {
    fn default() -> Self {
        Self { minimum_rsa_bits: Self::MINIMUM_RSA_BITS, presence: true, verification: false }
    }
}

/// What a security key says of a signature, signed with it (PROTOCOL.u2f of OpenSSH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityKeyUse {
    pub flags: u8,
    /// Of signatures: one that does not grow tells of a copy. Some keys always say 0.
    pub counter: u32,
}

impl SecurityKeyUse {
    pub const PRESENT: u8 = 0x01;
    pub const VERIFIED: u8 = 0x04;

    pub fn is_present(self) -> bool {
        self.flags & Self::PRESENT != 0
    }

    pub fn is_verified(self) -> bool {
        self.flags & Self::VERIFIED != 0
    }
}
