//! Diffie-Hellman modulo primes, and group exchange.

use super::super::modp::{GROUP_1, GROUP_14, GROUP_15, GROUP_16, GROUP_17, GROUP_18};
use super::super::{LARGEST_GROUP, ModpGroup, SMALLEST_GROUP, primes};
use super::*;
use crate::crypto::bignum::{BigNumber, Modulus};
use std::sync::Arc;

fn content(magnitude: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_magnitude(&mut out, magnitude);
    out
}

/// `magnitude` + `by`, where the last byte neither overflows nor underflows.
fn plus(magnitude: &[u8], by: i8) -> Vec<u8> {
    let mut out = magnitude.to_vec();
    let last = out.last_mut().unwrap();
    *last = last.checked_add_signed(by).unwrap();
    out
}

#[test]
fn the_primes_are_safe_and_of_their_length() {
    let primes: [&[u8]; 6] = [
        &primes::GROUP_1,
        &primes::GROUP_14,
        &primes::GROUP_15,
        &primes::GROUP_16,
        &primes::GROUP_17,
        &primes::GROUP_18,
    ];
    for prime in primes {
        // RFC 2409 section 6 and RFC 3526: 64 ones at either end.
        assert!(prime[..8].iter().chain(&prime[prime.len() - 8..]).all(|byte| *byte == 0xff));
        // The first digits of pi.
        assert_eq!(prime[8..16], [0xc9, 0x0f, 0xda, 0xa2, 0x21, 0x68, 0xc2, 0x34]);
        let rounds = if prime.len() > 512 { 1 } else { 2 };
        let modulus = Modulus::new(BigNumber::from_bytes(prime).unwrap()).unwrap();
        assert!(modulus.is_safe_prime(rounds).unwrap(), "{} bits", 8 * prime.len());
    }
}

/// RFC 4253 section 8: a side must not take what is not within 1 and p - 1; nor do we take the ends themselves.
#[test]
fn public_values_out_of_range_are_refused() {
    for (name, prime) in [
        ("diffie-hellman-group1-sha1", &primes::GROUP_1[..]),
        ("diffie-hellman-group14-sha1", &primes::GROUP_14),
        ("diffie-hellman-group14-sha256", &primes::GROUP_14),
        ("diffie-hellman-group16-sha512", &primes::GROUP_16),
        ("diffie-hellman-group18-sha512", &primes::GROUP_18),
    ] {
        let kex = one_round(name);
        let mut larger = vec![1];
        larger.extend_from_slice(prime);
        let bad: Vec<Vec<u8>> = vec![
            vec![],
            content(&[1]),
            content(&[2]),
            content(&[7]),
            content(&plus(prime, -1)),
            content(prime),
            content(&vec![0xff; prime.len() + 1]),
            content(&larger),
            // Negative numbers, and needless zeros before a good one.
            vec![0xff],
            prime.to_vec(),
            [&[0], &content(&plus(prime, -16))[..]].concat(),
            [&[0, 0], &[0x7f; 100][..]].concat(),
        ];
        for public in bad {
            assert!(matches!(kex.server(&public), Err(Error::Protocol(_))), "{name} {public:02x?}");
            let refused = kex.client().unwrap().finish(&public);
            assert!(matches!(refused, Err(Error::Protocol(_))), "{name} {public:02x?}");
        }
        assert!(kex.server(&content(&plus(prime, -2))).is_ok(), "{name}: p - 3 is a number as good as others");
        assert!(kex.server(&content(&[15])).is_ok(), "{name}");
    }
}

/// g^(x y) by hand, for both sides at once.
#[test]
fn both_sides_compute_what_the_definition_says() {
    let group = Arc::clone(&GROUP_14);
    let ours = group.generate().unwrap();
    let theirs = BigNumber::from_bytes(&[0x12, 0x34, 0x56, 0x78, 0x9a]).unwrap();
    let modulus = Modulus::new(BigNumber::from_bytes(&primes::GROUP_14).unwrap()).unwrap();
    let generator = BigNumber::from_bytes(&[2]).unwrap();
    let their_public = modulus.power(&generator, &theirs).unwrap().to_bytes().unwrap();
    let our_public = BigNumber::from_bytes(wire::magnitude(ours.public()).unwrap()).unwrap();
    let expected = modulus.power(&our_public, &theirs).unwrap().to_bytes().unwrap();
    let secret = Box::new(ours).finish(&content(&their_public)).unwrap();
    assert_eq!(secret.encoded(), SharedSecret::from_number(&expected).encoded());
}

#[test]
fn exponents_are_fresh_and_publics_differ() {
    let publics: std::collections::BTreeSet<_> =
        (0..50).map(|_| GROUP_14.generate().unwrap().public().to_vec()).collect();
    assert_eq!(publics.len(), 50);
    for group in [&GROUP_1, &GROUP_14, &GROUP_15, &GROUP_16, &GROUP_17, &GROUP_18] {
        let public = group.generate().unwrap().public().to_vec();
        assert!(public.len() + 4 > group.bits() as usize / 8, "a power of the generator fills the group");
    }
}

/// What D(HE)at lives on is work for nothing: exponents that are longer than what the group is worth, and exponentiation
/// for a peer that sends anything at all.
#[test]
fn exponents_are_short_and_bad_values_cost_none() {
    for group in [&GROUP_1, &GROUP_14, &GROUP_15, &GROUP_16, &GROUP_17, &GROUP_18] {
        assert_eq!(group.generate().unwrap().exponent_bits(), 512, "{} bits", group.bits());
    }
    let kex = one_round("diffie-hellman-group18-sha512");
    let bad = content(&plus(&primes::GROUP_18, -1));
    // The shortest of several: whatever else runs on the machine only adds to it.
    let shortest = |times: u32, answer: &dyn Fn()| {
        let time = || {
            let started = std::time::Instant::now();
            (0..times).for_each(|_| answer());
            started.elapsed()
        };
        (0..5).map(|_| time()).min().unwrap()
    };
    let one_good = shortest(1, &|| assert!(kex.server(&content(&[15])).is_ok()));
    let many_bad = shortest(50, &|| assert!(kex.server(&bad).is_err()));
    assert!(many_bad < one_good, "50 refusals take {many_bad:?}, one exchange {one_good:?}");
}

fn received(prime: &[u8], generator: &[u8]) -> Result<ModpGroup> {
    ModpGroup::received(&content(prime), &content(generator), SMALLEST_GROUP..=LARGEST_GROUP)
}

#[track_caller]
fn refused(prime: &[u8], generator: &[u8], why: &str) {
    match received(prime, generator) {
        Err(Error::Protocol(text)) => assert!(text.contains(why), "{text}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a group was taken: {why}"),
    }
}

/// Logjam, and primes made to be weak: what a client takes from a server (RFC 4419 section 3).
#[test]
fn groups_that_would_give_the_secret_away_are_refused() {
    let prime = &primes::GROUP_14;
    for length in [0, 1, 64, 128, 255] {
        refused(&[vec![0x7f; length], vec![0xff; usize::from(length > 0)]].concat(), &[2], "bits");
    }
    let mut bits_2047 = prime.to_vec();
    bits_2047[0] = 0x7f;
    refused(&bits_2047, &[2], "bits");
    let mut bits_8193 = vec![1];
    bits_8193.extend_from_slice(&primes::GROUP_18);
    refused(&bits_8193, &[2], "bits");
    refused(&vec![0xff; 100_000], &[2], "bits");
    refused(&plus(prime, -1), &[2], "even");
    // Composite: with a small factor, and a product of two primes without.
    refused(&plus(prime, -2), &[2], "not a safe prime");
    let (first, second) = two_primes();
    refused(&multiplied(&first, &second), &[2], "not a safe prime");

    for generator in [&[][..], &[1], &plus(prime, -1), prime, &[0xff; 256], &[1; 300]] {
        refused(prime, generator, "generator");
    }
    assert!(received(prime, &[2]).is_ok());
    assert!(received(prime, &[5]).is_ok());
    // Negative numbers.
    for (prime, generator) in [(prime.to_vec(), vec![2]), (content(prime), vec![0x82])] {
        let group = ModpGroup::received(&prime, &generator, SMALLEST_GROUP..=LARGEST_GROUP);
        assert!(matches!(group, Err(Error::Protocol(_))));
    }
}

/// The largest prime below 2^1024, and the group 1.
fn two_primes() -> (Vec<u8>, Vec<u8>) {
    let mut largest = vec![0xff; 128];
    // 2^1024 - 105.
    largest[127] = 0xff - 104;
    (largest, primes::GROUP_1.to_vec())
}

fn multiplied(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = vec![0_u32; a.len() + b.len()];
    for (at_a, x) in a.iter().rev().enumerate() {
        let mut carry = 0;
        for (at_b, y) in b.iter().rev().enumerate() {
            let sum = out[at_a + at_b] + u32::from(*x) * u32::from(*y) + carry;
            out[at_a + at_b] = sum & 0xff;
            carry = sum >> 8;
        }
        out[at_a + b.len()] += carry;
    }
    out.iter().rev().map(|byte| *byte as u8).collect()
}

/// A prime p for which (p - 1) / 2 is not prime: its small subgroups give parts of the exponent away.
#[test]
fn a_prime_that_is_not_safe_is_refused() {
    // 2^2047 + 2895, found by searching upwards: neither p nor (p - 1) / 2 has a small factor.
    let mut prime = vec![0; 256];
    prime[0] = 0x80;
    prime[254..].copy_from_slice(&2895_u16.to_be_bytes());
    refused(&prime, &[2], "not a safe prime");
}
