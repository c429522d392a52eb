//! Faults: a signature that one half of RSA-CRT got wrong gives the primes away (Boneh, DeMillo, Lipton), so none
//! leaves, whether the fault comes before, during or after the library's own work.

use super::super::signature::md5;
use super::*;
use std::cell::Cell;

thread_local! {
    /// The bit of the next signatures that is flipped between the library's work and our check.
    static FAULT: Cell<Option<usize>> = const { Cell::new(None) };
}

pub(super) fn disturb(signature: &mut [u8]) {
    if let Some(bit) = FAULT.get() {
        signature[bit / 8] ^= 1 << (bit % 8);
    }
}

fn new_key() -> RsaKey {
    let numbers = generate(2048).unwrap();
    RsaKey::private(&RsaNumbers {
        modulus: &numbers.modulus,
        public_exponent: &numbers.public_exponent,
        private_exponent: &numbers.private_exponent,
        coefficient: &numbers.coefficient,
        first_prime: &numbers.first_prime,
        second_prime: &numbers.second_prime,
    })
    .unwrap()
}

const HASHES: [RsaHash; 3] = [RsaHash::Sha1, RsaHash::Sha256, RsaHash::Sha512];

#[test]
fn a_signature_with_a_flipped_bit_is_withheld() {
    let key = new_key();
    for hash in HASHES {
        for bit in (0..2048).step_by(97) {
            FAULT.set(Some(bit));
            let outcome = key.sign(hash, b"data");
            FAULT.set(None);
            assert!(matches!(outcome, Err(Error::Internal(_))), "{hash:?} {bit}");
        }
        let signature = key.sign(hash, b"data").unwrap();
        assert!(key.verify(hash, b"data", &signature), "without a fault all is well again");
    }
}

/// The exponents of the two halves, of which the first or the second is changed.
fn damage_exponent(key: &RsaKey, first: bool) {
    let rsa = key.key.as_ptr();
    // SAFETY: the key is alive and only ours, and it has not signed yet, so that nothing was made of these numbers;
    // RSA_set0_crt_params takes the three new numbers over.
    unsafe {
        let [dmp1, dmq1, iqmp] = [sys::RSA_get0_dmp1(rsa), sys::RSA_get0_dmq1(rsa), sys::RSA_get0_iqmp(rsa)]
            .map(|number| sys::BN_dup(number));
        assert_eq!(sys::BN_sub_word(if first { dmp1 } else { dmq1 }, 2), 1);
        assert_eq!(sys::RSA_set0_crt_params(rsa, dmp1, dmq1, iqmp), 1);
    }
}

#[test]
fn a_fault_in_one_half_of_the_calculation_gives_no_signature() {
    for first in [true, false] {
        let key = new_key();
        damage_exponent(&key, first);
        for hash in HASHES {
            assert!(matches!(key.sign(hash, b"data"), Err(Error::Internal(_))), "{first} {hash:?}");
        }
    }
}

/// That the fault above is one: without any check, what comes out shares a prime with the modulus.
#[test]
fn the_fault_is_one_that_gives_a_prime_away() {
    let key = new_key();
    damage_exponent(&key, true);
    // SAFETY: all numbers are ours or the key's, which lives to the end; each is freed once.
    unsafe {
        let rsa = key.key.as_ptr();
        let context = sys::BN_CTX_new();
        let [n, e, p, q] = [sys::RSA_get0_n(rsa), sys::RSA_get0_e(rsa), sys::RSA_get0_p(rsa), sys::RSA_get0_q(rsa)];
        let message = BigNumber::from_bytes(&md5(b"data")).unwrap();
        let [m1, m2, h, s, again, common] = [(); 6].map(|()| sys::BN_new());
        assert_eq!(sys::BN_mod_exp(m1, message.as_ptr(), sys::RSA_get0_dmp1(rsa), p, context), 1);
        assert_eq!(sys::BN_mod_exp(m2, message.as_ptr(), sys::RSA_get0_dmq1(rsa), q, context), 1);
        assert_eq!(sys::BN_mod_sub(h, m1, m2, p, context), 1);
        assert_eq!(sys::BN_mod_mul(h, h, sys::RSA_get0_iqmp(rsa), p, context), 1);
        assert_eq!(sys::BN_mul(s, h, q, context), 1);
        assert_eq!(sys::BN_add(s, s, m2), 1);
        assert_eq!(sys::BN_mod_exp(again, s, e, n, context), 1);
        assert_ne!(sys::BN_cmp(again, message.as_ptr()), 0);
        assert_eq!(sys::BN_mod_sub(again, again, message.as_ptr(), n, context), 1);
        assert_eq!(sys::BN_gcd(common, again, n, context), 1);
        assert_eq!(sys::BN_cmp(common, q), 0);
        for number in [m1, m2, h, s, again, common] {
            sys::BN_free(number);
        }
        sys::BN_CTX_free(context);
    }
}
