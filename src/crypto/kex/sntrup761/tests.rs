use super::*;
use sntrup761 as oracle;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// As the submission lays a secret key out: f, 1/g, public key, decoy, hash of the public key.
fn bytes_of(key: &SecretKey) -> Vec<u8> {
    let parts: [&[u8]; 5] =
        [&encode_small(&key.f), &encode_small(&key.inverse), &key.public, key.decoy.as_slice(), &key.public_hash];
    parts.concat()
}

fn key_of(bytes: &[u8]) -> SecretKey {
    let small = |bytes: &[u8]| -> Zeroizing<Small> {
        Zeroizing::new(std::array::from_fn(|at| (bytes[at / 4] >> (2 * (at % 4)) & 3) as i8 - 1))
    };
    let (f, rest) = bytes.split_at(SMALL_LENGTH);
    let (inverse, rest) = rest.split_at(SMALL_LENGTH);
    let (public, rest) = rest.split_at(PUBLIC_LENGTH);
    let (decoy, public_hash) = rest.split_at(SMALL_LENGTH);
    SecretKey {
        f: small(f),
        inverse: small(inverse),
        decoy: Zeroizing::new(decoy.try_into().unwrap()),
        public: public.try_into().unwrap(),
        public_hash: public_hash.try_into().unwrap(),
    }
}

/// Known answers of the reference implementation: secret key, ciphertext, secret.
#[test]
fn known_answers() {
    let mut lines = include_str!("known_answers.txt").lines().filter(|line| !line.starts_with('#')).map(unhex);
    let mut count = 0;
    while let (Some(key), Some(ciphertext), Some(secret)) = (lines.next(), lines.next(), lines.next()) {
        assert_eq!(key_of(&key).decapsulate(&ciphertext).unwrap().as_slice(), secret);
        assert_eq!(bytes_of(&key_of(&key)), key);
        assert_eq!(hash(4, &[&key_of(&key).public]).as_slice(), key_of(&key).public_hash);
        count += 1;
    }
    assert_eq!(count, 2);
}

fn theirs(bytes: &[u8]) -> oracle::Ciphertext {
    oracle::Ciphertext::try_from(bytes).unwrap()
}

#[test]
fn our_keys_and_ciphertexts_are_those_of_another_implementation() {
    for _ in 0..3 {
        let key = SecretKey::generate().unwrap();
        let their_public = oracle::EncapsulationKey::try_from(key.public()).unwrap();
        let their_key = oracle::DecapsulationKey::try_from(bytes_of(&key).as_slice()).unwrap();

        let (ciphertext, secret) = their_public.encapsulate(oracle::rand::rng());
        assert_eq!(key.decapsulate(ciphertext.as_ref()).unwrap().as_slice(), secret.as_ref());
        let (ciphertext, secret) = encapsulate(key.public()).unwrap();
        assert_eq!(their_key.decapsulate(&theirs(&ciphertext)).as_ref(), secret.as_slice());

        let (their_public, their_key) = oracle::generate_key(oracle::rand::rng());
        let (ciphertext, secret) = encapsulate(their_public.as_ref()).unwrap();
        assert_eq!(their_key.decapsulate(&theirs(&ciphertext)).as_ref(), secret.as_slice());
        assert_eq!(bytes_of(&key_of(their_key.as_ref())), their_key.as_ref());
    }
}

/// A damaged ciphertext gives a secret of its own, the same one each time and with each implementation.
#[test]
fn implicit_rejection() {
    let key = SecretKey::generate().unwrap();
    let their_key = oracle::DecapsulationKey::try_from(bytes_of(&key).as_slice()).unwrap();
    let (ciphertext, secret) = encapsulate(key.public()).unwrap();
    let mut seen = std::collections::BTreeSet::from([secret.to_vec()]);
    for at in [0, 1, 500, ROUNDED_LENGTH - 1, ROUNDED_LENGTH, CIPHERTEXT_LENGTH - 1] {
        let mut damaged = ciphertext.clone();
        damaged[at] ^= 0x10;
        let other = key.decapsulate(&damaged).unwrap();
        assert_eq!(other, key.decapsulate(&damaged).unwrap());
        assert_eq!(other.as_slice(), their_key.decapsulate(&theirs(&damaged)).as_ref(), "{at}");
        assert!(seen.insert(other.to_vec()), "{at}");
    }
    for byte in [0, 0xff] {
        let garbage = [byte; CIPHERTEXT_LENGTH];
        let other = key.decapsulate(&garbage).unwrap();
        assert_eq!(other.as_slice(), their_key.decapsulate(&theirs(&garbage)).as_ref());
        // A public key can be any bytes as well.
        let (ciphertext, _) = encapsulate(&[byte; PUBLIC_LENGTH]).unwrap();
        assert_eq!(ciphertext.len(), CIPHERTEXT_LENGTH);
    }
}

#[test]
fn wrong_lengths() {
    let key = SecretKey::generate().unwrap();
    for length in [0, 1, 1038, 1040, 1157, 1159] {
        assert!(key.decapsulate(&vec![0; length]).is_none(), "{length}");
        assert!(encapsulate(&vec![0; length]).is_none(), "{length}");
    }
}

#[test]
fn random_polynomials_are_what_they_should_be() {
    let mut counts = [0_u32; 3];
    for _ in 0..10 {
        let short = random_short().unwrap();
        assert_eq!(short.iter().filter(|value| **value != 0).count(), W);
        assert_eq!(ring::weight_mask(&short), 0);
        let small = random_small().unwrap();
        small.iter().for_each(|value| counts[(value + 1) as usize] += 1);
    }
    // 7,610 numbers, a third each: eight standard deviations off is 2 in 10^15.
    assert!(counts.iter().all(|count| count.abs_diff(2_537) < 330), "{counts:?}");
}
