//! HMAC-MD5 (RFC 2104) over aws-lc-sys: aws-lc-rs has none. It is for peers that have nothing better.

use crate::error::{Error, Result};
use aws_lc_sys as sys;
use std::ptr::{NonNull, null, null_mut};

pub(super) const LENGTH: usize = 16;

pub(super) struct HmacMd5(NonNull<sys::HMAC_CTX>);

// SAFETY: the context is not tied to a thread, and only `&mut self` reaches it.
unsafe impl Send for HmacMd5 {}

impl HmacMd5 {
    pub(super) fn new(key: &[u8]) -> Result<Self> {
        // SAFETY: takes nothing; what it returns is ours, and `HmacMd5` sees to its end.
        let context = NonNull::new(unsafe { sys::HMAC_CTX_new() }).ok_or(Error::NoMemory)?;
        let mac = Self(context);
        // SAFETY: the context is alive and ours alone; pointer and length describe `key`, which is not kept.
        let ready =
            unsafe { sys::HMAC_Init_ex(context.as_ptr(), key.as_ptr().cast(), key.len(), sys::EVP_md5(), null_mut()) };
        if ready == 1 { Ok(mac) } else { Err(Error::internal("HMAC-MD5 refused its key")) }
    }

    /// Of the pieces, one after the other.
    pub(super) fn tag(&mut self, pieces: [&[u8]; 2]) -> Result<[u8; LENGTH]> {
        let mut tag = [0; LENGTH];
        let mut length = 0;
        let context = self.0.as_ptr();
        // SAFETY: the context is alive and ours alone, and was keyed: no key and no hash mean the same ones again;
        // pointers and lengths describe live slices; MD5 writes 16 bytes to `tag`.
        let done = unsafe {
            sys::HMAC_Init_ex(context, null(), 0, null(), null_mut()) == 1
                && pieces.iter().all(|piece| sys::HMAC_Update(context, piece.as_ptr(), piece.len()) == 1)
                && sys::HMAC_Final(context, tag.as_mut_ptr(), &mut length) == 1
        };
        if done && usize::try_from(length) == Ok(LENGTH) {
            Ok(tag)
        } else {
            Err(Error::internal("HMAC-MD5 could not be computed"))
        }
    }
}

impl Drop for HmacMd5 {
    fn drop(&mut self) {
        // SAFETY: the context is ours and is not used again; the library wipes it.
        unsafe { sys::HMAC_CTX_free(self.0.as_ptr()) }
    }
}
