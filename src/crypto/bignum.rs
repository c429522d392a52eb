//! The few operations on big numbers that aws-lc-rs does not offer, over aws-lc-sys.

mod modulus;

pub(super) use modulus::Modulus;

use crate::error::{Error, Result};
use aws_lc_sys as sys;
use std::cmp::Ordering;
use std::ptr::NonNull;
use zeroize::Zeroizing;

/// A non-negative number that is wiped when it goes.
pub(super) struct BigNumber(NonNull<sys::BIGNUM>);

// SAFETY: the number is not tied to a thread.
unsafe impl Send for BigNumber {}
// SAFETY: what takes `&self` only reads.
unsafe impl Sync for BigNumber {}

impl BigNumber {
    pub fn zero() -> Result<Self> {
        Self::from_bytes(&[])
    }

    /// From big-endian bytes, with or without leading zeros.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        // SAFETY: the pointer and length describe `bytes`, which outlives the call; a null third argument
        // asks for a new number, which is ours to free.
        let number = unsafe { sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) };
        NonNull::new(number).map(Self).ok_or(Error::NoMemory)
    }

    /// Big-endian bytes of a number that someone else owns, without leading zeros.
    ///
    /// # Safety
    /// `number` is null or points to a number that lives through the call.
    pub unsafe fn bytes_of(number: *const sys::BIGNUM) -> Result<Zeroizing<Vec<u8>>> {
        if number.is_null() {
            return Err(Error::internal("a key lacks one of its numbers"));
        }
        // SAFETY: not null, so alive by this function's contract.
        let length = usize::try_from(unsafe { sys::BN_num_bytes(number) }).unwrap_or(0);
        let mut bytes = Zeroizing::new(vec![0; length]);
        // SAFETY: the pointer and length describe `bytes`, which is ours alone.
        let done = unsafe { sys::BN_bn2bin_padded(bytes.as_mut_ptr(), bytes.len(), number) };
        if done == 1 { Ok(bytes) } else { Err(Error::internal("a number did not fit its own length")) }
    }

    /// `self` mod (`prime` - 1): the exponent of one half of RSA by the Chinese remainder theorem. The division
    /// takes a time that depends on its numbers, so it is done once, when a key is loaded, and never when signing.
    pub fn modulo_predecessor_of(&self, prime: &Self) -> Result<Self> {
        let context = Context::new()?;
        let mut modulus = Self::zero()?;
        let mut remainder = Self::zero()?;
        let one = Self::from_bytes(&[1])?;
        // SAFETY: all numbers and the context are alive and distinct; results go to numbers that only we hold.
        let done = unsafe {
            sys::BN_sub(modulus.as_mut_ptr(), prime.as_ptr(), one.as_ptr()) == 1
                && sys::BN_is_negative(modulus.as_ptr()) == 0
                && sys::BN_is_zero(modulus.as_ptr()) == 0
                && sys::BN_nnmod(remainder.as_mut_ptr(), self.as_ptr(), modulus.as_ptr(), context.0.as_ptr()) == 1
        };
        if done { Ok(remainder) } else { Err(Error::key_format("the RSA key's numbers do not fit together")) }
    }

    /// Big-endian, without leading zeros.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        // SAFETY: the number is alive.
        unsafe { Self::bytes_of(self.as_ptr()) }
    }

    pub fn bits(&self) -> u32 {
        // SAFETY: the number is alive.
        unsafe { sys::BN_num_bits(self.as_ptr()) }
    }

    pub fn is_odd(&self) -> bool {
        // SAFETY: the number is alive.
        unsafe { sys::BN_is_odd(self.as_ptr()) == 1 }
    }

    pub fn is_one(&self) -> bool {
        // SAFETY: the number is alive.
        unsafe { sys::BN_is_one(self.as_ptr()) == 1 }
    }

    /// In a time that depends on both numbers.
    pub fn compare(&self, other: &Self) -> Ordering {
        // SAFETY: both numbers are alive.
        unsafe { sys::BN_cmp(self.as_ptr(), other.as_ptr()) }.cmp(&0)
    }

    /// `self` - 1; of zero it is an error.
    pub fn predecessor(&self) -> Result<Self> {
        let one = Self::from_bytes(&[1])?;
        let mut result = Self::zero()?;
        // SAFETY: the numbers are alive and distinct; the result goes to one that only we hold.
        let done = unsafe {
            sys::BN_sub(result.as_mut_ptr(), self.as_ptr(), one.as_ptr()) == 1
                && sys::BN_is_negative(result.as_ptr()) == 0
        };
        if done { Ok(result) } else { Err(Error::internal("a number has no predecessor")) }
    }

    /// `self` / 2^`by`, rounded down.
    pub fn shifted_right(&self, by: u32) -> Result<Self> {
        let mut result = Self::zero()?;
        let by = i32::try_from(by).map_err(|_| Error::internal("a number was shifted too far"))?;
        // SAFETY: both numbers are alive and distinct; the result goes to one that only we hold.
        let done = unsafe { sys::BN_rshift(result.as_mut_ptr(), self.as_ptr(), by) };
        if done == 1 { Ok(result) } else { Err(Error::NoMemory) }
    }

    /// In a time that depends on the number.
    pub fn is_divisible_by(&self, small: u32) -> bool {
        // SAFETY: the number is alive; no divisor of ours is zero, which would give an error value.
        unsafe { sys::BN_mod_word(self.as_ptr(), sys::BN_ULONG::from(small)) == 0 }
    }

    pub fn as_ptr(&self) -> *const sys::BIGNUM {
        self.0.as_ptr()
    }

    fn as_mut_ptr(&mut self) -> *mut sys::BIGNUM {
        self.0.as_ptr()
    }
}

impl Drop for BigNumber {
    fn drop(&mut self) {
        // SAFETY: the number is ours and is not used again.
        unsafe { sys::BN_clear_free(self.0.as_ptr()) }
    }
}

/// Room for the library's intermediate numbers.
struct Context(NonNull<sys::BN_CTX>);

impl Context {
    fn new() -> Result<Self> {
        // SAFETY: takes nothing; what it returns is ours to free.
        NonNull::new(unsafe { sys::BN_CTX_new() }).map(Self).ok_or(Error::NoMemory)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is ours and is not used again.
        unsafe { sys::BN_CTX_free(self.0.as_ptr()) }
    }
}
