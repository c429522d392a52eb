use super::*;
use crate::error::Error;
use crate::keys::PublicKey;
use crate::wire::{Reader, Writer};
use proptest::prelude::*;

fn rsa_blob(exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    Writer::new().string("ssh-rsa").mpint(exponent).mpint(modulus).finish()
}

/// An odd number of so many bits.
fn odd(bits: usize) -> Vec<u8> {
    let mut number = vec![0xa5; bits.div_ceil(8)];
    let unused = number.len() * 8 - bits;
    number[0] = 0x80 >> unused;
    number
}

fn is_key_format(blob: &[u8]) -> bool {
    matches!(PublicKey::from_blob(blob), Err(Error::KeyFormat(_)))
}

#[test]
fn blobs_round_trip_and_are_exact() {
    for key in KEYS.iter() {
        let blob = key.public().blob();
        let again = PublicKey::from_blob(blob).unwrap();
        assert_eq!(&again, key.public());
        assert_eq!(again.blob(), blob);
        for length in 0..blob.len() {
            assert!(PublicKey::from_blob(&blob[..length]).is_err(), "{length}");
        }
        assert!(is_key_format(&[blob, b"\0"].concat()));
    }
}

#[test]
fn types_and_bits() {
    let told: Vec<_> = KEYS.iter().map(|key| (key.public().key_type(), key.public().bits())).collect();
    assert_eq!(
        told,
        [
            ("ssh-ed25519", 256),
            ("ecdsa-sha2-nistp256", 256),
            ("ecdsa-sha2-nistp384", 384),
            ("ecdsa-sha2-nistp521", 521),
            ("ssh-rsa", 2048),
        ]
    );
    for key in KEYS.iter() {
        for name in key.public().signature_algorithms() {
            assert_eq!(key.public().fitting(name).unwrap().name, *name);
        }
    }
}

#[test]
fn unknown_types_are_told_from_damage() {
    for name in ["ssh-dss", "ssh-ed448", "sk-ssh-ed448@openssh.com", "ssh-ed25519-cert-v01@openssh.com", ""] {
        let blob = Writer::new().string(name).string([0; 32]).finish();
        assert!(matches!(PublicKey::from_blob(&blob), Err(Error::Unsupported(_))), "{name}");
    }
    assert!(is_key_format(&Writer::new().string("ssh-ed25519\n").string([0; 32]).finish()));
    assert!(is_key_format(&Writer::new().string("ssh-ed25519").string([0; 33]).finish()));
}

/// Large numbers are refused before anything is calculated with them, and exponents that make no signature.
#[test]
fn rsa_bounds() {
    let exponent = [1, 0, 1];
    for bits in [1024, 2048, 2049, 16384] {
        assert_eq!(usize::try_from(PublicKey::from_blob(&rsa_blob(&exponent, &odd(bits))).unwrap().bits()), Ok(bits));
    }
    for bits in [8, 512, 1023, 16385, 1_000_000] {
        assert!(is_key_format(&rsa_blob(&exponent, &odd(bits))), "{bits}");
    }
    assert!(is_key_format(&rsa_blob(&exponent, &[])));
    let mut even = odd(2048);
    *even.last_mut().unwrap() &= 0xfe;
    assert!(is_key_format(&rsa_blob(&exponent, &even)));
    for good in [&[3][..], &[0x23], &[1, 0, 1], &[0xff; 8]] {
        PublicKey::from_blob(&rsa_blob(good, &odd(2048))).unwrap();
    }
    for bad in [&[][..], &[1], &[2], &[1, 0, 0], &[1; 9], &odd(2048)] {
        assert!(is_key_format(&rsa_blob(bad, &odd(2048))), "{bad:?}");
    }
}

#[test]
fn rsa_numbers_have_one_encoding() {
    let modulus = [&[0], &odd(2048)[..]].concat();
    let with =
        |exponent: &[u8], modulus: &[u8]| Writer::new().string("ssh-rsa").string(exponent).string(modulus).finish();
    PublicKey::from_blob(&with(&[1, 0, 1], &modulus)).unwrap();
    assert!(is_key_format(&with(&[0, 1, 0, 1], &modulus)));
    assert!(is_key_format(&with(&[1, 0, 1], &[&[0], &modulus[..]].concat())));
    assert!(is_key_format(&with(&[1, 0, 1], &modulus[1..])), "a negative modulus");
}

/// The same modulus with another exponent is another key.
#[test]
fn equality_is_of_the_whole_blob() {
    let keys = [&[3][..], &[1, 0, 1]].map(|e| PublicKey::from_blob(&rsa_blob(e, &odd(2048))).unwrap());
    assert_ne!(keys[0], keys[1]);
    assert_ne!(keys[0].fingerprint_sha256(), keys[1].fingerprint_sha256());
}

#[test]
fn ecdsa_curve_and_type_agree() {
    let mut reader = Reader::new(KEYS[1].public().blob());
    let (key_type, curve, point) = (reader.string().unwrap(), reader.string().unwrap(), reader.string().unwrap());
    let with = |key_type: &[u8], curve: &[u8], point: &[u8]| {
        Writer::new().string(key_type).string(curve).string(point).finish()
    };
    PublicKey::from_blob(&with(key_type, curve, point)).unwrap();
    assert!(is_key_format(&with(b"ecdsa-sha2-nistp384", curve, point)));
    assert!(is_key_format(&with(b"ecdsa-sha2-nistp384", b"nistp384", point)));
    assert!(is_key_format(&with(key_type, b"nistp384", point)));
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    assert!(is_key_format(&with(key_type, curve, &compressed)));
}

#[test]
fn signatures_are_bound_to_key_data_and_algorithm() {
    let others: Vec<_> = KEY_TYPES.into_iter().map(generate).collect();
    for (key, other) in KEYS.iter().zip(&others) {
        for algorithm in key.public().signature_algorithms() {
            let signature = key.sign(algorithm, b"data").unwrap();
            key.public().verify(algorithm, b"data", &signature).unwrap();
            assert!(key.public().verify(algorithm, b"Data", &signature).is_err());
            assert!(other.public().verify(algorithm, b"data", &signature).is_err());
            for length in 0..signature.len() {
                assert!(key.public().verify(algorithm, b"data", &signature[..length]).is_err());
            }
            for index in 0..signature.len() {
                let mut flipped = signature.clone();
                flipped[index] ^= 1 << (index % 8);
                assert!(key.public().verify(algorithm, b"data", &flipped).is_err(), "{algorithm} {index}");
            }
            assert!(key.public().verify(algorithm, b"data", &[&signature[..], b"\0"].concat()).is_err());
        }
    }
}

#[test]
fn one_algorithm_does_not_pass_for_another() {
    let all = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
    let all =
        all.into_iter().chain(["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "sk-ssh-ed25519@openssh.com", "", "none"]);
    for algorithm in all {
        for key in KEYS.iter() {
            let own = key.public().signature_algorithms();
            let signature = key.sign(own[0], b"data").unwrap();
            if !key.public().fits(algorithm) {
                assert!(matches!(key.sign(algorithm, b"data"), Err(Error::Algorithm(_))));
                assert!(matches!(key.public().verify(algorithm, b"data", &signature), Err(Error::Algorithm(_))));
            } else if algorithm != own[0] {
                assert!(matches!(key.public().verify(algorithm, b"data", &signature), Err(Error::Algorithm(_))));
            }
            // The right bytes under another name.
            let mut reader = Reader::new(&signature);
            let bytes = (reader.string().unwrap(), reader.string().unwrap()).1;
            let renamed = Writer::new().string(algorithm).string(bytes).finish();
            assert_eq!(key.public().verify(own[0], b"data", &renamed).is_ok(), algorithm == own[0]);
        }
    }
}

#[test]
fn small_rsa_keys_are_read_but_verify_nothing() {
    let key = PublicKey::from_blob(&rsa_blob(&[1, 0, 1], &odd(1024))).unwrap();
    let signature = Writer::new().string("rsa-sha2-256").string([1; 128]).finish();
    assert!(matches!(key.verify("rsa-sha2-256", b"data", &signature), Err(Error::Algorithm(_))));
}

#[test]
fn lines() {
    let key = KEYS[0].public();
    let line = key.to_line("");
    let (name, encoded) = line.split_once(' ').unwrap();
    for (text, comment) in [
        (line.clone(), ""),
        (format!("  {line}\t \r\n"), ""),
        (format!("{name}\t {encoded}  two  words "), "two  words"),
        (format!("{line} # no comment sign"), "# no comment sign"),
    ] {
        assert_eq!(PublicKey::from_line(&text).unwrap(), (key.clone(), comment.to_owned()), "{text:?}");
    }
    for bad in [
        String::new(),
        format!("#{line}"),
        format!("# {line}"),
        format!("restrict {line}"),
        format!("restrict {encoded}"),
        format!("ssh-rsa {encoded}"),
        format!("ecdsa-sha2-nistp256 {encoded}"),
        name.to_owned(),
        encoded.to_owned(),
        format!("{name} {}", &encoded[..encoded.len() - 1]),
        format!("{name} {encoded}="),
        format!("{name} {encoded}AAAA"),
        format!("{name}\u{a0}{encoded}"),
        format!("{line} comment\n{line}"),
        format!("{line} {}", "x".repeat(70_000)),
    ] {
        assert!(matches!(PublicKey::from_line(&bad), Err(Error::KeyFormat(_))), "{bad:?}");
    }
    assert!(matches!(PublicKey::from_line("ssh-dss AAAAB3NzaC1kc3M="), Err(Error::Unsupported(_))));
}

#[test]
fn a_comment_stays_in_its_line() {
    let line = KEYS[0].public().to_line("first\nssh-ed25519 AAAA\x1b[2J\r\n");
    assert!(!line.contains(['\n', '\r', '\x1b']));
    assert_eq!(PublicKey::from_line(&line).unwrap().0, *KEYS[0].public());
}

proptest! {
    #[test]
    fn any_bytes_are_no_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), index in 0..5_usize) {
        let key = &KEYS[index];
        let _ = PublicKey::from_blob(&bytes);
        let _ = PublicKey::from_blob(&Writer::new().string(key.public().key_type()).raw(&bytes).finish());
        let algorithm = key.public().signature_algorithms()[0];
        prop_assert!(key.public().verify(algorithm, b"data", &bytes).is_err());
        let named = Writer::new().string(algorithm).string(&bytes).finish();
        prop_assert!(key.public().verify(algorithm, b"data", &named).is_err());
    }

    #[test]
    fn any_text_is_no_reason_to_panic(text in ".{0,200}") {
        let _ = PublicKey::from_line(&text);
        let _ = PublicKey::from_line(&format!("ssh-ed25519 {text}"));
    }
}
