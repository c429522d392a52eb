//! aes128-cbc, aes192-cbc, aes256-cbc and 3des-cbc (RFC 4253 section 6.3), over aws-lc-sys: aws-lc-rs has no 3DES
//! that chains from packet to packet. They are for peers that have nothing better.

use super::cipher::{Make, Material};
use super::with_mac::{BlockMode, WithMac};
use crate::error::{Error, Result};
use aws_lc_sys as sys;
use std::ffi::c_int;
use std::ptr::{NonNull, null_mut};

pub(super) const AES: Make = Make {
    seal: |material| Ok(Box::new(WithMac::new(Chain::new(&material, 16, ENCRYPT)?, material.mac)?)),
    open: |material| Ok(Box::new(WithMac::new(Chain::new(&material, 16, DECRYPT)?, material.mac)?)),
};

pub(super) const TRIPLE_DES: Make = Make {
    seal: |material| Ok(Box::new(WithMac::new(Chain::new(&material, 8, ENCRYPT)?, material.mac)?)),
    open: |material| Ok(Box::new(WithMac::new(Chain::new(&material, 8, DECRYPT)?, material.mac)?)),
};

const ENCRYPT: c_int = 1;
const DECRYPT: c_int = 0;

/// One direction. The last block of ciphertext is the next packet's IV; the library keeps it.
struct Chain {
    context: NonNull<sys::EVP_CIPHER_CTX>,
    block_size: usize,
}

// SAFETY: the context is not tied to a thread, and only `&mut self` reaches it.
unsafe impl Send for Chain {}

impl Chain {
    fn new(material: &Material<'_>, block_size: usize, direction: c_int) -> Result<Self> {
        // SAFETY: these take nothing and return tables that live for ever.
        let cipher = unsafe {
            match (block_size, material.key.len()) {
                (16, 16) => sys::EVP_aes_128_cbc(),
                (16, 24) => sys::EVP_aes_192_cbc(),
                (16, 32) => sys::EVP_aes_256_cbc(),
                (8, 24) => sys::EVP_des_ede3_cbc(),
                _ => return Err(Error::internal("CBC key of the wrong length")),
            }
        };
        if material.iv.len() != block_size {
            return Err(Error::internal("CBC IV of the wrong length"));
        }
        // SAFETY: takes nothing; what it returns is ours, and `Chain` sees to its end.
        let context = NonNull::new(unsafe { sys::EVP_CIPHER_CTX_new() }).ok_or(Error::NoMemory)?;
        let chain = Self { context, block_size };
        let (key, iv) = (material.key.as_ptr(), material.iv.as_ptr());
        // SAFETY: the context is alive and ours alone; key and IV have the lengths that this cipher reads, as was
        // checked above; they are copied.
        let ready = unsafe {
            sys::EVP_CipherInit_ex(context.as_ptr(), cipher, null_mut(), key, iv, direction) == 1
                && sys::EVP_CIPHER_CTX_set_padding(context.as_ptr(), 0) == 1
        };
        if ready { Ok(chain) } else { Err(Error::internal("CBC refused its key")) }
    }
}

impl BlockMode for Chain {
    const IS_CHAINED: bool = true;

    fn block_size(&self) -> usize {
        self.block_size
    }

    fn apply(&mut self, blocks: &mut [u8]) -> Result<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        let failed = || Error::internal("CBC could not be applied");
        let length = c_int::try_from(blocks.len()).map_err(|_| failed())?;
        let mut written = 0;
        let (out, input) = (blocks.as_mut_ptr(), blocks.as_ptr());
        // SAFETY: the context is alive and ours alone; output and input are the same live slice, which the library
        // allows; without padding, and given whole blocks, it writes as much as it reads.
        let done = unsafe { sys::EVP_CipherUpdate(self.context.as_ptr(), out, &mut written, input, length) };
        if done == 1 && written == length { Ok(()) } else { Err(failed()) }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // SAFETY: the context is ours and is not used again; the library wipes it.
        unsafe { sys::EVP_CIPHER_CTX_free(self.context.as_ptr()) }
    }
}
