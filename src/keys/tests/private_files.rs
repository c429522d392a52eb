use super::*;
use crate::error::{Error, KeyFormatFailure};
use crate::keys::armour;
use crate::wire::Writer;
use proptest::prelude::*;

const MAGIC: &[u8] = b"openssh-key-v1\0";

fn text_of(key: &PrivateKey) -> String {
    key.to_openssh(None, 0).unwrap().to_string()
}

fn read(bytes: &[u8]) -> Result<PrivateKey, Error> {
    PrivateKey::from_openssh(armour::encode(bytes).unwrap().as_bytes(), None)
}

fn is_key_format(result: Result<PrivateKey, Error>) -> bool {
    matches!(result, Err(Error::KeyFormat(_)))
}

#[test]
fn files_round_trip() {
    for key in KEYS.iter() {
        for passphrase in [None, Some(&b"open sesame"[..])] {
            let text = key.to_openssh(passphrase, 1).unwrap();
            let again = PrivateKey::from_openssh(text.as_bytes(), passphrase).unwrap();
            assert_eq!(again.public(), key.public());
            assert_eq!(again.comment(), "a comment");
            let algorithm = key.public().signature_algorithms()[0];
            key.public().verify(algorithm, b"data", &again.sign(algorithm, b"data").unwrap()).unwrap();
        }
    }
}

#[test]
fn threads_share_a_key() {
    for key in KEYS.iter() {
        let algorithm = key.public().signature_algorithms()[0];
        std::thread::scope(|scope| {
            for number in 0..4_u8 {
                scope.spawn(move || {
                    for round in 0..8 {
                        let data = [number, round];
                        key.public().verify(algorithm, &data, &key.sign(algorithm, &data).unwrap()).unwrap();
                    }
                });
            }
        });
    }
}

#[test]
fn comments_of_all_lengths_are_padded() {
    for length in 0..40 {
        let comment = "c".repeat(length);
        let key = generate(KeyType::Ed25519).with_comment(&comment);
        for passphrase in [None, Some(&b"p"[..])] {
            let text = key.to_openssh(passphrase, 1).unwrap();
            assert_eq!(PrivateKey::from_openssh(text.as_bytes(), passphrase).unwrap().comment(), comment);
        }
    }
}

#[test]
fn generated_keys_have_the_bits_asked_for() {
    assert_eq!(PrivateKey::generate(KeyType::Rsa, 0).unwrap().public().bits(), 3072);
    assert_eq!(PrivateKey::generate(KeyType::Rsa, 2176).unwrap().public().bits(), 2176);
    for bad in [1024, 2047, 2050, 16512, u32::MAX] {
        assert!(matches!(PrivateKey::generate(KeyType::Rsa, bad), Err(Error::Argument(_))), "{bad}");
    }
    assert_eq!(PrivateKey::generate(KeyType::Ecdsa(384), 384).unwrap().public().bits(), 384);
    assert!(matches!(PrivateKey::generate(KeyType::Ecdsa(512), 0), Err(Error::Argument(_))));
    assert!(matches!(PrivateKey::generate(KeyType::Ecdsa(256), 384), Err(Error::Argument(_))));
    assert!(matches!(PrivateKey::generate(KeyType::Ed25519, 255), Err(Error::Argument(_))));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for key in KEYS.iter() {
        for passphrase in [None, Some(&b"open sesame"[..])] {
            let text = key.to_openssh(passphrase, 1).unwrap();
            // Without its last newline it is whole.
            for length in 0..text.len() - 1 {
                let result = PrivateKey::from_openssh(&text.as_bytes()[..length], passphrase);
                assert!(is_key_format(result), "{length} of {}", text.len());
            }
        }
    }
}

#[test]
fn contents_cut_anywhere_are_an_error() {
    for key in KEYS.iter() {
        let bytes = armour::decode(text_of(key).as_bytes()).unwrap();
        for length in 0..bytes.len() {
            assert!(is_key_format(read(&bytes[..length])), "{length} of {}", bytes.len());
        }
        assert!(is_key_format(read(&[&bytes[..], b"\0"].concat())));
    }
}

/// One flipped bit is an error, or changed the comment alone.
#[test]
fn flipped_bits_never_make_another_key() {
    for key in KEYS.iter() {
        let bytes = armour::decode(text_of(key).as_bytes()).unwrap();
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << (index % 8);
            if let Ok(read) = read(&flipped) {
                assert_eq!(read.public(), key.public());
                assert_ne!(read.comment(), key.comment(), "{index} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn flipped_bits_of_an_encrypted_file() {
    let key = &KEYS[0];
    let text = key.to_openssh(Some(b"open sesame"), 1).unwrap();
    let bytes = armour::decode(text.as_bytes()).unwrap();
    for index in (0..bytes.len()).step_by(3) {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x10;
        let text = armour::encode(&flipped).unwrap();
        if let Ok(read) = PrivateKey::from_openssh(text.as_bytes(), Some(b"open sesame")) {
            assert_eq!(read.public(), key.public());
        }
    }
}

#[test]
fn damage_is_told_with_its_line() {
    let text = text_of(&KEYS[0]);
    let lines: Vec<&str> = text.lines().collect();
    let line_of_error = |lines: &[&str]| match PrivateKey::from_openssh(lines.join("\n").as_bytes(), None) {
        Err(Error::KeyFormat(failure)) => {
            let KeyFormatFailure { line, .. } = *failure;
            line
        }
        other => panic!("{other:?}"),
    };
    let mut damaged = lines.clone();
    damaged[2] = "not*base64";
    assert_eq!(line_of_error(&damaged), 3);
    assert_eq!(line_of_error(&lines[..lines.len() - 1]), u32::try_from(lines.len() - 1).unwrap());
    assert_eq!(line_of_error(&[&["", "hello"], &lines[..]].concat()), 2);
    assert_eq!(line_of_error(&[]), 1);
}

#[test]
fn line_ends_and_widths_do_not_matter() {
    let key = &KEYS[0];
    let text = text_of(key);
    let lines: Vec<&str> = text.lines().collect();
    let body: String = lines[1..lines.len() - 1].concat();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let halves = body.split_at(31);
    for variant in [
        text.replace('\n', "\r\n"),
        text.replace('\n', " \t\n"),
        format!("\n\n{text}\n\n"),
        format!("{first}\n{body}\n{last}"),
        format!("{first}\n{}\n\n{}\n{last}\nwhat follows is not looked at", halves.0, halves.1),
    ] {
        assert_eq!(PrivateKey::from_file_bytes(variant.as_bytes(), None).unwrap().public(), key.public());
    }
}

struct Forged<'a> {
    cipher: &'a str,
    derivation: &'a str,
    options: Vec<u8>,
    keys: u32,
    public: &'a [u8],
    private: Vec<u8>,
}

impl Forged<'_> {
    fn read(&self) -> Result<PrivateKey, Error> {
        let outer = Writer::new().raw(MAGIC).string(self.cipher).string(self.derivation).string(&self.options);
        let bytes = outer.u32(self.keys).string(self.public).string(&self.private).finish();
        PrivateKey::from_openssh(armour::encode(&bytes).unwrap().as_bytes(), Some(b"open sesame"))
    }
}

fn private_part(key: &PrivateKey, checks: [u32; 2], padding: &[u8]) -> Vec<u8> {
    let part = Writer::new().u32(checks[0]).u32(checks[1]).string(key.public().key_type()).raw(key.fields().unwrap());
    part.string("1").raw(padding).finish()
}

fn plain(key: &PrivateKey) -> Forged<'_> {
    Forged {
        cipher: "none",
        derivation: "none",
        options: Vec::new(),
        keys: 1,
        public: key.public().blob(),
        private: private_part(key, [7, 7], &[1, 2, 3, 4]),
    }
}

#[test]
fn forged_plain_files() {
    let key = &KEYS[0];
    let length = plain(key).private.len();
    assert_eq!(length % 8, 0, "the padding of these tests");
    plain(key).read().unwrap();
    assert!(is_key_format(Forged { keys: 0, ..plain(key) }.read()));
    assert!(is_key_format(Forged { keys: 2, ..plain(key) }.read()));
    assert!(is_key_format(Forged { derivation: "bcrypt", ..plain(key) }.read()));
    assert!(is_key_format(Forged { options: vec![0], ..plain(key) }.read()));
    assert!(is_key_format(Forged { private: private_part(key, [7, 8], &[1, 2, 3, 4]), ..plain(key) }.read()));
    for padding in [&[1, 2, 3, 5][..], &[0, 0, 0, 0], &[2, 3, 4, 5], &[1, 2, 3], &[]] {
        assert!(is_key_format(Forged { private: private_part(key, [7, 7], padding), ..plain(key) }.read()));
    }
    let blocks: Vec<u8> = (1..=20).collect();
    assert!(is_key_format(Forged { private: private_part(key, [7, 7], &blocks), ..plain(key) }.read()));
    // The public half of another key of the same type, and of another type.
    let other = generate(KeyType::Ed25519);
    assert!(is_key_format(Forged { public: other.public().blob(), ..plain(key) }.read()));
    assert!(is_key_format(Forged { public: KEYS[1].public().blob(), ..plain(key) }.read()));
    let unknown = Writer::new().string("ssh-dss").string("x").finish();
    assert!(matches!(Forged { public: &unknown, ..plain(key) }.read(), Err(Error::Unsupported(_))));
}

#[test]
fn forged_encrypted_files() {
    let key = &KEYS[0];
    let options = |salt: &[u8], rounds: u32| Writer::new().string(salt).u32(rounds).finish();
    let forged = |options: Vec<u8>| Forged {
        cipher: "aes256-ctr",
        derivation: "bcrypt",
        options,
        private: vec![0; 160],
        ..plain(key)
    };
    assert!(matches!(forged(options(b"salt", 1)).read(), Err(Error::Passphrase(_))));
    for rounds in [0, (1 << 20) + 1, u32::MAX] {
        assert!(is_key_format(forged(options(b"salt", rounds)).read()), "{rounds}");
    }
    assert!(is_key_format(forged(options(b"", 1)).read()));
    assert!(is_key_format(forged(vec![0; 3]).read()));
    assert!(is_key_format(forged([options(b"salt", 1), vec![0]].concat()).read()));
    assert!(is_key_format(Forged { private: vec![0; 161], ..forged(options(b"salt", 1)) }.read()));
    assert!(is_key_format(Forged { private: Vec::new(), ..forged(options(b"salt", 1)) }.read()));
    let unsupported = |forged: Forged<'_>| matches!(forged.read(), Err(Error::Unsupported(_)));
    assert!(unsupported(Forged { cipher: "rot13", ..forged(options(b"salt", 1)) }));
    assert!(unsupported(Forged { derivation: "argon2", ..forged(options(b"salt", 1)) }));
    // With a tag that is not there.
    assert!(is_key_format(Forged { cipher: "aes256-gcm@openssh.com", ..forged(options(b"salt", 1)) }.read()));
}

#[test]
fn writing_refuses_what_would_not_protect() {
    assert!(matches!(KEYS[0].to_openssh(Some(b""), 1), Err(Error::Argument(_))));
    assert!(matches!(KEYS[0].to_openssh(Some(b"p"), u32::MAX), Err(Error::Argument(_))));
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?}", KEYS[0]);
    assert!(shown.starts_with("PrivateKey(PublicKey(ssh-ed25519 SHA256:"), "{shown}");
    assert!(shown.len() < 120, "{shown}");
}

#[test]
fn what_is_no_key_file() {
    for text in ["", "hello", "-----BEGIN OPENSSH PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----\n"] {
        assert!(is_key_format(PrivateKey::from_file_bytes(text.as_bytes(), None)), "{text}");
    }
    let long = text_of(&KEYS[0]).replace('\n', &"\n".repeat(100_000));
    assert!(is_key_format(PrivateKey::from_openssh(long.as_bytes(), None)));
    assert!(matches!(PrivateKey::from_file_bytes(b"PuTTY-User-Key-File-3: x", None), Err(Error::Unsupported(_))));
}

proptest! {
    #[test]
    fn any_contents_are_no_reason_to_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        index in 0..5_usize,
        at in 0..400_usize,
    ) {
        let _ = PrivateKey::from_file_bytes(&bytes, None);
        prop_assert!(read(&bytes).is_err());
        prop_assert!(read(&[MAGIC, &bytes].concat()).is_err());
        // A good file with a stretch of other bytes in it.
        let mut contents = armour::decode(text_of(&KEYS[index]).as_bytes()).unwrap();
        for (to, from) in contents.iter_mut().skip(at).zip(&bytes) {
            *to = *from;
        }
        if let Ok(read) = read(&contents) {
            prop_assert_eq!(read.public(), KEYS[index].public());
        }
    }
}
