//! The nonces of ECDSA, got back from signatures with the private key: their bits have to be even, or some dozens of
//! signatures give the key away (CVE-2024-31497: the top 9 bits of each nonce of P-521 were zero).

use super::*;
use aws_lc_rs::agreement;
use aws_lc_sys as sys;
use std::collections::HashSet;

/// The bits of a nonce that are looked at: those at its top and those at its bottom.
const LOOKED_AT: usize = 24;

struct Group {
    curve: Curve,
    order: *mut sys::BIGNUM,
    scalar: *mut sys::BIGNUM,
    context: *mut sys::BN_CTX,
}

impl Group {
    fn new(curve: Curve, scalar: &[u8]) -> Self {
        let (nid, agreed) = match curve {
            Curve::P256 => (sys::NID_X9_62_prime256v1, 32),
            Curve::P384 => (sys::NID_secp384r1, 48),
            Curve::P521 => (sys::NID_secp521r1, 66),
        };
        assert_eq!(agreed, curve.field_length());
        // SAFETY: the group is static; what is made here is freed in `drop`.
        unsafe {
            let group = sys::EC_GROUP_new_by_curve_name(nid);
            let order = sys::BN_dup(sys::EC_GROUP_get0_order(group));
            sys::EC_GROUP_free(group);
            Self { curve, order, scalar: number(scalar), context: sys::BN_CTX_new() }
        }
    }

    /// k = (z + r d) / s modulo the order, at its full length.
    fn nonce(&self, data: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut reader = Reader::new(signature);
        let (r, s) = (reader.mpint().unwrap(), reader.mpint().unwrap());
        let hash = match self.curve {
            Curve::P256 => digest::digest(&digest::SHA256, data),
            Curve::P384 => digest::digest(&digest::SHA384, data),
            Curve::P521 => digest::digest(&digest::SHA512, data),
        };
        let mut nonce = vec![0; self.curve.field_length()];
        // SAFETY: all numbers are alive, and each that is made here is freed once.
        unsafe {
            let [r, s, z] = [number(r), number(s), number(hash.as_ref())];
            let k = sys::BN_new();
            assert_eq!(sys::BN_mod_mul(k, r, self.scalar, self.order, self.context), 1);
            assert_eq!(sys::BN_mod_add(k, k, z, self.order, self.context), 1);
            let inverse = sys::BN_mod_inverse(std::ptr::null_mut(), s, self.order, self.context);
            assert!(!inverse.is_null());
            assert_eq!(sys::BN_mod_mul(k, k, inverse, self.order, self.context), 1);
            assert_eq!(sys::BN_bn2bin_padded(nonce.as_mut_ptr(), nonce.len(), k), 1);
            for number in [r, s, z, k, inverse] {
                sys::BN_clear_free(number);
            }
        }
        nonce
    }

    /// Whether r is the x of this nonce's point: then it is the nonce that was used.
    fn made(&self, nonce: &[u8], signature: &[u8]) -> bool {
        let algorithm = match self.curve {
            Curve::P256 => &agreement::ECDH_P256,
            Curve::P384 => &agreement::ECDH_P384,
            Curve::P521 => &agreement::ECDH_P521,
        };
        let key = agreement::PrivateKey::from_private_key(algorithm, nonce).unwrap();
        let point = key.compute_public_key().unwrap();
        let x = &point.as_ref()[1..=self.curve.field_length()];
        let r = Reader::new(signature).mpint().unwrap().to_vec();
        // SAFETY: as above.
        unsafe {
            let [x, r] = [number(x), number(&r)];
            assert_eq!(sys::BN_nnmod(x, x, self.order, self.context), 1);
            let same = sys::BN_cmp(x, r) == 0;
            sys::BN_free(x);
            sys::BN_free(r);
            same
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: all were made by `new`, and nothing uses them any more.
        unsafe {
            sys::BN_free(self.order);
            sys::BN_clear_free(self.scalar);
            sys::BN_CTX_free(self.context);
        }
    }
}

/// The caller's to free.
unsafe fn number(bytes: &[u8]) -> *mut sys::BIGNUM {
    // SAFETY: pointer and length describe `bytes`.
    unsafe { sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) }
}

/// The bits looked at that are set too often or too seldom: more than five standard deviations from half.
fn uneven(curve: Curve, nonces: &[Vec<u8>]) -> Vec<usize> {
    let bits = curve.bits() as usize;
    let unused = 8 * curve.field_length() - bits;
    let looked_at = (unused..unused + LOOKED_AT).chain(unused + bits - LOOKED_AT..unused + bits);
    let half = nonces.len() as f64 / 2.0;
    let bound = 5.0 * (nonces.len() as f64).sqrt() / 2.0;
    let set = |bit: usize| nonces.iter().filter(|nonce| nonce[bit / 8] & (0x80 >> (bit % 8)) != 0).count();
    looked_at.filter(|bit| (set(*bit) as f64 - half).abs() > bound).collect()
}

#[test]
fn nonces_of_ecdsa_are_even() {
    let count: u32 = if std::env::var_os("NACRE_TEST_FULL").is_some() { 10_000 } else { 1_000 };
    for curve in Curve::ALL {
        let (scalar, point) = generate_ecdsa(curve).unwrap();
        let key = SigningKey::ecdsa(curve, &scalar, &point).unwrap();
        let group = Group::new(curve, &scalar);
        let mut nonces = Vec::new();
        for round in 0..count {
            // The same data time and again, too: what is drawn must differ even then.
            let data = (round / 2).to_be_bytes();
            let signature = key.sign(Scheme::Ecdsa(curve), &data).unwrap();
            nonces.push(group.nonce(&data, &signature));
            if round % 50 == 0 {
                assert!(group.made(nonces.last().unwrap(), &signature), "{curve:?}: not the nonce");
            }
        }
        assert_eq!(uneven(curve, &nonces), [] as [usize; 0], "{curve:?}");
        assert_eq!(nonces.iter().collect::<HashSet<_>>().len(), nonces.len(), "{curve:?}: a nonce came twice");

        // Would it be found?
        let top = nonces.iter().map(|nonce| [&[0, 0], &nonce[2..]].concat()).collect::<Vec<_>>();
        assert!(uneven(curve, &top).len() >= 9, "{curve:?}");
        let one_bit = nonces.iter().cloned().map(|mut nonce| {
            *nonce.last_mut().unwrap() |= 1;
            nonce
        });
        assert_eq!(uneven(curve, &one_bit.collect::<Vec<_>>()).len(), 1, "{curve:?}");
    }
}
