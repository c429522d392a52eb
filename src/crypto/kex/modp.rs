//! Diffie-Hellman modulo a prime (RFC 4253 section 8): the groups that everybody knows, and those that a server sends
//! (RFC 4419).

use super::{ClientExchange, SharedSecret, bad_public, primes};
use crate::crypto::bignum::{BigNumber, Modulus};
use crate::crypto::random_bytes;
use crate::error::{Error, Result};
use crate::wire::{magnitude, put_magnitude};
use std::cmp::Ordering;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};
use zeroize::Zeroizing;

/// Bits of a secret exponent: twice what the strongest group is worth (RFC 4419 section 6.2 asks for twice the
/// strength of the cipher). Longer ones would only cost time, and that is what D(HE)at lives on.
const EXPONENT_BITS: usize = 512;
/// A public value with fewer one bits is a small power of the generator: no secret at all.
const FEWEST_ONES: u32 = 4;
/// What the peer's prime must pass: a composite number gets through with less than 4^-5, and each connection
/// draws new bases.
const PRIMALITY_ROUNDS: u32 = 5;

/// A safe prime and a generator of its large subgroup, or of the whole group.
pub struct ModpGroup {
    prime: Modulus,
    generator: BigNumber,
    /// The largest number of the group: p - 1.
    last: BigNumber,
}

type Known = LazyLock<Arc<ModpGroup>>;

pub(super) static GROUP_1: Known = LazyLock::new(|| known(&primes::GROUP_1));
pub(super) static GROUP_14: Known = LazyLock::new(|| known(&primes::GROUP_14));
pub(super) static GROUP_15: Known = LazyLock::new(|| known(&primes::GROUP_15));
pub(super) static GROUP_16: Known = LazyLock::new(|| known(&primes::GROUP_16));
pub(super) static GROUP_17: Known = LazyLock::new(|| known(&primes::GROUP_17));
pub(super) static GROUP_18: Known = LazyLock::new(|| known(&primes::GROUP_18));

/// Only a process without memory fails here, and there is no way on without the group.
fn known(prime: &[u8]) -> Arc<ModpGroup> {
    ModpGroup::new(prime, &[2]).map_or_else(|_| std::process::abort(), Arc::new)
}

pub(super) fn client(group: &Known) -> Result<Box<dyn ClientExchange>> {
    Ok(Box::new(group.generate()?))
}

pub(super) fn server(group: &Known, client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret)> {
    group.answer(client_public)
}

impl ModpGroup {
    /// Of numbers whose origin is trusted.
    pub(super) fn new(prime: &[u8], generator: &[u8]) -> Result<Self> {
        let value = BigNumber::from_bytes(prime)?;
        let last = value.predecessor()?;
        Ok(Self { prime: Modulus::new(value)?, generator: BigNumber::from_bytes(generator)?, last })
    }

    /// Of a server's message: what stands inside of its mpints. The prime has to have so many bits, to be a safe prime, and
    /// the generator to generate something: a group that is not so would give the secret away.
    pub fn received(prime: &[u8], generator: &[u8], bits: RangeInclusive<u32>) -> Result<Self> {
        let (prime, generator) = (magnitude(prime)?, magnitude(generator)?);
        if !bits.contains(&bit_length(prime)) {
            return Err(bad_group(&format!("its prime has not {} to {} bits", bits.start(), bits.end())));
        }
        if prime.last().is_none_or(|byte| byte & 1 == 0) {
            return Err(bad_group("its modulus is even"));
        }
        if generator.len() > prime.len() {
            return Err(bad_group("its generator is out of range"));
        }
        let group = Self::new(prime, generator)?;
        if !group.contains(&group.generator) {
            return Err(bad_group("its generator is out of range"));
        }
        if !group.is_known() && !group.prime.is_safe_prime(PRIMALITY_ROUNDS)? {
            return Err(bad_group("its modulus is not a safe prime"));
        }
        Ok(group)
    }

    fn is_known(&self) -> bool {
        let all = [&GROUP_14, &GROUP_15, &GROUP_16, &GROUP_17, &GROUP_18];
        all.iter().any(|known| known.prime.value().compare(self.prime.value()) == Ordering::Equal)
    }

    /// Between 2 and p - 2: 0, 1 and p - 1 make a secret that everybody knows.
    fn contains(&self, number: &BigNumber) -> bool {
        number.bits() > 1 && number.compare(&self.last) == Ordering::Less
    }

    pub fn bits(&self) -> u32 {
        self.prime.value().bits()
    }

    /// As it stands inside of an mpint.
    pub fn prime(&self) -> Result<Vec<u8>> {
        content(self.prime.value())
    }

    /// As it stands inside of an mpint.
    pub fn generator(&self) -> Result<Vec<u8>> {
        content(&self.generator)
    }

    /// A new key pair in the group.
    pub fn generate(self: &Arc<Self>) -> Result<ModpKeyPair> {
        let mut exponent = Zeroizing::new(random_bytes::<{ EXPONENT_BITS / 8 }>()?);
        // So that the length, on which the time depends, tells nothing.
        if let Some(first) = exponent.first_mut() {
            *first |= 0x80;
        }
        let exponent = BigNumber::from_bytes(exponent.as_slice())?;
        let public = self.prime.power(&self.generator, &exponent)?;
        Ok(ModpKeyPair { group: self.clone(), exponent, public: content(&public)? })
    }

    /// Of a server: its public value and the secret.
    pub fn answer(self: &Arc<Self>, client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret)> {
        // Before our own key is made: what is no answer costs no exponentiation.
        let theirs = self.check(client_public)?;
        let ours = self.generate()?;
        let secret = ours.agree(&theirs)?;
        Ok((ours.public, secret))
    }

    /// RFC 4253 section 8: values outside of 1 to p - 1 must not be accepted.
    fn check(&self, public: &[u8]) -> Result<BigNumber> {
        let bad = || bad_public("Diffie-Hellman");
        let public = magnitude(public).map_err(|_| bad())?;
        if public.len() > self.bits().div_ceil(8) as usize {
            return Err(bad());
        }
        let ones: u32 = public.iter().map(|byte| byte.count_ones()).sum();
        let number = BigNumber::from_bytes(public)?;
        if ones < FEWEST_ONES || !self.contains(&number) { Err(bad()) } else { Ok(number) }
    }
}

/// Of a number without leading zero bytes.
pub(super) fn bit_length(magnitude: &[u8]) -> u32 {
    let leading = magnitude.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(magnitude.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(leading)
}

fn bad_group(why: &str) -> Error {
    Error::protocol(format!("the server's group is not acceptable: {why}"))
}

fn content(number: &BigNumber) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    put_magnitude(&mut out, &number.to_bytes()?);
    Ok(out)
}

pub struct ModpKeyPair {
    group: Arc<ModpGroup>,
    exponent: BigNumber,
    /// As it stands inside of an mpint.
    public: Vec<u8>,
}

impl ModpKeyPair {
    /// As it stands inside of an mpint.
    #[cfg(test)]
    pub fn public_value(&self) -> &[u8] {
        &self.public
    }

    #[cfg(test)]
    pub fn exponent_bits(&self) -> u32 {
        self.exponent.bits()
    }

    fn agree(&self, theirs: &BigNumber) -> Result<SharedSecret> {
        let secret = self.group.prime.power(theirs, &self.exponent)?;
        if !self.group.contains(&secret) {
            return Err(bad_public("Diffie-Hellman"));
        }
        Ok(SharedSecret::from_number(&secret.to_bytes()?))
    }
}

impl ClientExchange for ModpKeyPair {
    fn public(&self) -> &[u8] {
        &self.public
    }
    fn finish(self: Box<Self>, server_public: &[u8]) -> Result<SharedSecret> {
        let theirs = self.group.check(server_public)?;
        self.agree(&theirs)
    }
}
