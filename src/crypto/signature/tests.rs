mod nonces;

use super::*;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

const SEED: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
const PUBLIC: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
const SIGNATURE: &str = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

/// RFC 8032 section 7.1, test 3.
#[test]
fn ed25519_vector() {
    let (seed, public, signature) = (unhex(SEED), unhex(PUBLIC), unhex(SIGNATURE));
    let key = SigningKey::ed25519(&seed, &public).unwrap();
    assert_eq!(key.sign(Scheme::Ed25519, &[0xaf, 0x82]).unwrap(), signature);
    let verifying = VerifyingKey::ed25519(&public).unwrap();
    verifying.verify(Scheme::Ed25519, &[0xaf, 0x82], &signature).unwrap();
    assert!(verifying.verify(Scheme::Ed25519, &[0xaf, 0x83], &signature).is_err());
}

/// S + L is as good a number to a verifier that does not look (RFC 8032 section 5.1.7).
#[test]
fn ed25519_refuses_a_signature_that_is_not_canonical() {
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut signature = unhex(SIGNATURE);
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let verifying = VerifyingKey::ed25519(&unhex(PUBLIC)).unwrap();
    assert!(verifying.verify(Scheme::Ed25519, &[0xaf, 0x82], &signature).is_err());
}

#[test]
fn ed25519_refuses_a_foreign_public_half() {
    let other = generate_ed25519().unwrap().1;
    assert!(SigningKey::ed25519(&unhex(SEED), &other).is_err());
    assert!(SigningKey::ed25519(&unhex(SEED)[..31], &unhex(PUBLIC)).is_err());
}

#[test]
fn ecdsa_round_trips_and_refusals() {
    for curve in Curve::ALL {
        let (scalar, point) = generate_ecdsa(curve).unwrap();
        let key = SigningKey::ecdsa(curve, &scalar, &point).unwrap();
        let verifying = VerifyingKey::ecdsa(curve, &point).unwrap();
        // Enough that some numbers have leading zeros and some the high bit.
        for round in 0_u32..64 {
            let data = round.to_be_bytes();
            let signature = key.sign(Scheme::Ecdsa(curve), &data).unwrap();
            verifying.verify(Scheme::Ecdsa(curve), &data, &signature).unwrap();
            assert!(verifying.verify(Scheme::Ecdsa(curve), b"other", &signature).is_err());
        }
        for other in Curve::ALL.into_iter().filter(|other| *other != curve) {
            let signature = key.sign(Scheme::Ecdsa(curve), b"data").unwrap();
            assert!(matches!(key.sign(Scheme::Ecdsa(other), b"data"), Err(Error::Algorithm(_))));
            assert!(matches!(verifying.verify(Scheme::Ecdsa(other), b"data", &signature), Err(Error::Algorithm(_))));
        }
    }
}

#[test]
fn ecdsa_signature_encoding_is_strict() {
    let (scalar, point) = generate_ecdsa(Curve::P256).unwrap();
    let key = SigningKey::ecdsa(Curve::P256, &scalar, &point).unwrap();
    let verifying = VerifyingKey::ecdsa(Curve::P256, &point).unwrap();
    let scheme = Scheme::Ecdsa(Curve::P256);
    let signature = key.sign(scheme, b"data").unwrap();
    let trailing = [signature.as_slice(), b"\0"].concat();
    let too_long = Writer::new().mpint([1; 33]).mpint([1; 32]).finish();
    let zero = Writer::new().mpint([]).mpint([]).finish();
    let negative = Writer::new().string([0x80]).string([1]).finish();
    for bad in [trailing, too_long, zero, negative, Vec::new()] {
        assert!(verifying.verify(scheme, b"data", &bad).is_err());
    }
}

#[test]
fn ecdsa_points_are_uncompressed_and_on_the_curve() {
    let (_, point) = generate_ecdsa(Curve::P256).unwrap();
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    for bad in [&compressed[..], &off_curve, &point[..64], &[0], &[4; 65], &[]] {
        assert!(matches!(VerifyingKey::ecdsa(Curve::P256, bad), Err(Error::KeyFormat(_))));
    }
    assert!(VerifyingKey::ecdsa(Curve::P384, &point).is_err());
}

#[test]
fn ecdsa_refuses_a_scalar_out_of_range() {
    let (_, point) = generate_ecdsa(Curve::P256).unwrap();
    for scalar in [&[][..], &[0xff; 32], &[1; 33], &[1]] {
        assert!(SigningKey::ecdsa(Curve::P256, scalar, &point).is_err());
    }
}

fn rsa_pair() -> (RsaNumbers<Zeroizing<Vec<u8>>>, SigningKey, VerifyingKey) {
    let numbers = generate_rsa(2048).unwrap();
    let key = SigningKey::rsa(&borrowed(&numbers)).unwrap();
    let verifying = VerifyingKey::rsa(&numbers.modulus, &numbers.public_exponent, 2048).unwrap();
    (numbers, key, verifying)
}

fn borrowed(numbers: &RsaNumbers<Zeroizing<Vec<u8>>>) -> RsaNumbers<&[u8]> {
    RsaNumbers {
        modulus: &numbers.modulus,
        public_exponent: &numbers.public_exponent,
        private_exponent: &numbers.private_exponent,
        coefficient: &numbers.coefficient,
        first_prime: &numbers.first_prime,
        second_prime: &numbers.second_prime,
    }
}

#[test]
fn rsa_takes_signatures_without_their_leading_zeros_and_no_longer_ones() {
    let (_, key, verifying) = rsa_pair();
    let scheme = Scheme::Rsa(RsaHash::Sha256);
    // One in 256 signatures begins with a zero.
    let (data, signature) = (0_u32..10_000)
        .map(|round| (round.to_be_bytes(), key.sign(scheme, &round.to_be_bytes()).unwrap()))
        .find(|(_, signature)| signature[0] == 0)
        .unwrap();
    assert_eq!(signature.len(), 256);
    verifying.verify(scheme, &data, &signature).unwrap();
    verifying.verify(scheme, &data, &signature[1..]).unwrap();
    let longer = [&[0], &signature[..]].concat();
    for bad in [&longer[..], &signature[..255], &[], &[0; 256], &[0xff; 256]] {
        assert!(verifying.verify(scheme, &data, bad).is_err());
    }
    assert!(verifying.verify(Scheme::Rsa(RsaHash::Sha512), &data, &signature).is_err());
}

type Change = fn(&mut RsaNumbers<&[u8]>, &'static [u8]);

#[test]
fn rsa_numbers_must_belong_to_each_other() {
    let (numbers, ..) = rsa_pair();
    let huge = vec![1; 4096];
    let changes: [Change; 6] = [
        |n, w| n.modulus = w,
        |n, w| n.public_exponent = w,
        |n, w| n.private_exponent = w,
        |n, w| n.coefficient = w,
        |n, w| n.first_prime = w,
        |n, w| n.second_prime = w,
    ];
    for change in changes {
        for with in [&[3][..], &[], &[1], &[2], &[0; 200], &[5; 300]] {
            let mut numbers = borrowed(&numbers);
            change(&mut numbers, with);
            assert!(matches!(SigningKey::rsa(&numbers), Err(Error::KeyFormat(_))));
        }
    }
    let mut with_huge = borrowed(&numbers);
    with_huge.private_exponent = &huge;
    assert!(SigningKey::rsa(&with_huge).is_err());
    let mut swapped = borrowed(&numbers);
    swapped.first_prime = &numbers.second_prime;
    swapped.second_prime = &numbers.first_prime;
    assert!(SigningKey::rsa(&swapped).is_err(), "the coefficient belongs to the order of the primes");
}

#[test]
fn keys_refuse_schemes_of_other_keys() {
    let (seed, public) = generate_ed25519().unwrap();
    let key = SigningKey::ed25519(&seed, &public).unwrap();
    let verifying = VerifyingKey::ed25519(&public).unwrap();
    for algorithm in SIGNATURES.iter().filter(|a| a.scheme != Scheme::Ed25519) {
        assert!(matches!(key.sign(algorithm.scheme, b"data"), Err(Error::Algorithm(_))));
        assert!(matches!(verifying.verify(algorithm.scheme, b"data", &[0; 64]), Err(Error::Algorithm(_))));
    }
}

#[test]
fn the_table_is_in_order() {
    let names = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,\
                 sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256,ssh-rsa";
    assert_eq!(SIGNATURES.iter().map(|row| row.name).collect::<Vec<_>>().join(","), names);
    let weak: Vec<_> = SIGNATURES.iter().filter(|row| row.scheme == Scheme::Rsa(RsaHash::Sha1)).collect();
    assert!(weak.iter().all(|row| row.offer == Offer::ByName), "SHA-1 by itself");
    assert_eq!(weak.len(), 1);
}

#[test]
fn digests_of_fingerprints() {
    assert_eq!(md5(b"abc").to_vec(), unhex("900150983cd24fb0d6963f7d28e17f72"));
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(b"abc").to_vec(), unhex(expected));
}
