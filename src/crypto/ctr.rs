//! aes128-ctr, aes192-ctr, aes256-ctr (RFC 4344 section 4).

use super::cipher::{Make, Material};
use super::with_mac::{BlockMode, WithMac};
use crate::error::{Error, Result};
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

pub(super) const MAKE: Make = Make {
    seal: |material| Ok(Box::new(WithMac::new(Counter::new(&material)?, material.mac)?)),
    open: |material| Ok(Box::new(WithMac::new(Counter::new(&material)?, material.mac)?)),
};

const BLOCK: usize = 16;

struct Counter {
    key: EncryptingKey,
    counter: u128,
}

impl Counter {
    fn new(material: &Material<'_>) -> Result<Self> {
        let algorithm = match material.key.len() {
            16 => &AES_128,
            24 => &AES_192,
            _ => &AES_256,
        };
        let key = UnboundCipherKey::new(algorithm, material.key)
            .and_then(EncryptingKey::ctr)
            .map_err(|_| Error::internal("AES-CTR refused its key"))?;
        let iv: [u8; BLOCK] = material.iv.try_into().map_err(|_| Error::internal("AES-CTR IV of the wrong length"))?;
        Ok(Self { key, counter: u128::from_be_bytes(iv) })
    }
}

impl BlockMode for Counter {
    const IS_CHAINED: bool = false;

    fn block_size(&self) -> usize {
        BLOCK
    }

    /// Applies the key stream, and moves the counter on by the number of blocks.
    fn apply(&mut self, blocks: &mut [u8]) -> Result<()> {
        let context = EncryptionContext::Iv128(FixedLength::from(self.counter.to_be_bytes()));
        self.key.less_safe_encrypt(blocks, context).map_err(|_| Error::internal("AES-CTR could not encrypt"))?;
        self.counter = self.counter.wrapping_add((blocks.len() / BLOCK) as u128);
        Ok(())
    }
}
