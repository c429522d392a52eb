//! Arithmetic modulo an odd number.

use super::{BigNumber, Context};
use crate::crypto::random_bytes;
use crate::error::{Error, Result};
use aws_lc_sys as sys;
use std::cmp::Ordering;
use std::ptr::NonNull;

/// Longest numbers whose primality is tested.
const MOST_BYTES: usize = 1024;
/// Trial division finds four composite numbers of five before the first exponentiation.
const SMALL_PRIMES: [u32; 30] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127,
];

/// An odd number above one, with what makes exponentiation quick.
pub struct Modulus {
    value: BigNumber,
    montgomery: NonNull<sys::BN_MONT_CTX>,
}

// SAFETY: neither part is tied to a thread.
unsafe impl Send for Modulus {}
// SAFETY: after it was built both parts are only read; bn.h passes the context as const.
unsafe impl Sync for Modulus {}

impl Modulus {
    pub fn new(value: BigNumber) -> Result<Self> {
        if !value.is_odd() || value.is_one() {
            return Err(Error::protocol("a modulus is not an odd number above one"));
        }
        let context = Context::new()?;
        // SAFETY: number and context are alive; the number is copied.
        let montgomery = unsafe { sys::BN_MONT_CTX_new_for_modulus(value.as_ptr(), context.0.as_ptr()) };
        Ok(Self { value, montgomery: NonNull::new(montgomery).ok_or(Error::NoMemory)? })
    }

    pub fn value(&self) -> &BigNumber {
        &self.value
    }

    /// `base` to the power of `exponent`. The time depends on the lengths of the numbers, not on their bits.
    pub fn power(&self, base: &BigNumber, exponent: &BigNumber) -> Result<BigNumber> {
        if base.compare(&self.value) != Ordering::Less {
            return Err(Error::internal("a base is not below its modulus"));
        }
        let context = Context::new()?;
        let mut result = BigNumber::zero()?;
        // SAFETY: all are alive; the result goes to a number that only we hold.
        let done = unsafe {
            sys::BN_mod_exp_mont_consttime(
                result.as_mut_ptr(),
                base.as_ptr(),
                exponent.as_ptr(),
                self.value.as_ptr(),
                context.0.as_ptr(),
                self.montgomery.as_ptr(),
            )
        };
        if done == 1 { Ok(result) } else { Err(Error::internal("a power could not be computed")) }
    }

    /// Whether it is a prime p with (p - 1) / 2 prime too. A number that is not gets through with a probability of
    /// less than 4^-`rounds`, whoever chose it.
    pub fn is_safe_prime(&self, rounds: u32) -> Result<bool> {
        let half = self.value.shifted_right(1)?;
        let divisible = |number: &BigNumber| SMALL_PRIMES.iter().any(|small| number.is_divisible_by(*small));
        if self.value.bits() < 64 || !half.is_odd() || divisible(&self.value) || divisible(&half) {
            return Ok(false);
        }
        if !Self::new(half)?.is_probable_prime(rounds)? {
            return Ok(false);
        }
        // With (p - 1) / 2 prime and p not divisible by 2^2 - 1, this is Pocklington's proof.
        let two = BigNumber::from_bytes(&[2])?;
        Ok(self.power(&two, &self.value.predecessor()?)?.is_one())
    }

    /// The test of Miller and Rabin (FIPS 186-5 section B.3.1) with random bases.
    fn is_probable_prime(&self, rounds: u32) -> Result<bool> {
        let predecessor = self.value.predecessor()?;
        let mut twos = 1;
        while !predecessor.shifted_right(twos)?.is_odd() {
            twos += 1;
        }
        let odd_part = predecessor.shifted_right(twos)?;
        let two = BigNumber::from_bytes(&[2])?;
        for _ in 0..rounds {
            let mut power = self.power(&self.random_base()?, &odd_part)?;
            let mut squarings = 1;
            while !power.is_one() && power.compare(&predecessor) != Ordering::Equal {
                // One is the square of something else, or is never reached.
                if squarings == twos {
                    return Ok(false);
                }
                power = self.power(&power, &two)?;
                if power.is_one() {
                    return Ok(false);
                }
                squarings += 1;
            }
        }
        Ok(true)
    }

    /// Between 2 and `self` - 2: shorter by a bit.
    fn random_base(&self) -> Result<BigNumber> {
        let random = random_bytes::<MOST_BYTES>()?;
        let drawn = BigNumber::from_bytes(&random)?;
        let excess = drawn.bits().saturating_sub(self.value.bits().saturating_sub(1));
        let base = drawn.shifted_right(excess)?;
        if base.bits() < 2 { BigNumber::from_bytes(&[2]) } else { Ok(base) }
    }
}

impl Drop for Modulus {
    fn drop(&mut self) {
        // SAFETY: the context is ours and is not used again.
        unsafe { sys::BN_MONT_CTX_free(self.montgomery.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_safe_prime(bytes: &[u8]) -> bool {
        Modulus::new(BigNumber::from_bytes(bytes).unwrap()).unwrap().is_safe_prime(8).unwrap()
    }

    #[test]
    fn safe_primes_and_others() {
        for (number, expected) in [
            // The largest safe prime below 2^64.
            (u128::from(18_446_744_073_709_550_147_u64), true),
            // Prime, but (p - 1) / 2 is not: the largest prime below 2^64.
            (u128::from(18_446_744_073_709_551_557_u64), false),
            // (p - 1) / 2 is prime, but p is not, and neither has a small factor.
            (9_223_372_036_854_775_643 * 2 + 1, false),
            // The product of two primes of 64 bits.
            (18_446_744_073_709_551_557 * 18_446_744_073_709_551_533, false),
        ] {
            assert_eq!(is_safe_prime(&number.to_be_bytes()), expected, "{number}");
        }
    }

    #[test]
    fn powers() {
        let modulus = Modulus::new(BigNumber::from_bytes(&[101]).unwrap()).unwrap();
        let power = |base: u8, exponent: u8| {
            let number = |byte: u8| BigNumber::from_bytes(&[byte]).unwrap();
            modulus.power(&number(base), &number(exponent)).unwrap().to_bytes().unwrap().to_vec()
        };
        for base in 0..101_u8 {
            let mut expected = 1_u32;
            for exponent in 0..20 {
                assert_eq!(power(base, exponent), if expected == 0 { vec![] } else { vec![expected as u8] });
                expected = expected * u32::from(base) % 101;
            }
        }
        assert!(modulus.power(modulus.value(), modulus.value()).is_err());
        for bad in [0, 1, 2, 100] {
            assert!(Modulus::new(BigNumber::from_bytes(&[bad]).unwrap()).is_err(), "{bad}");
        }
    }
}
