//! Key files, public keys and signatures.

use crate::hostile;
use crate::input::Input;
use nacre::crypto::SIGNATURES;
use nacre::keys::{PrivateKey, PublicKey};
use nacre::wire::Writer;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 8 {
        0 => file(input.rest(), None),
        1 => {
            let passphrase = input.bytes(64).to_vec();
            file(input.rest(), Some(&passphrase));
        }
        2 | 3 => container(&mut input),
        4 => line(&mut input),
        5 => blob(&mut input),
        6 => signature(&mut input),
        _ => bent(&mut input),
    }
}

/// What is read can be written and read again, and signs.
fn file(text: &[u8], passphrase: Option<&[u8]>) {
    let Ok(key) = PrivateKey::from_file_bytes(text, passphrase) else { return };
    let written = key.to_openssh(None, 0).expect("a key that was read can be written");
    let again = PrivateKey::from_openssh(written.as_bytes(), None).expect("what was written can be read");
    assert_eq!(again.public(), key.public());
    assert_eq!(again.comment(), key.comment());
    // RSA takes long, and a key file that was accepted is one key in all.
    if key.public().key_type() != "ssh-rsa" {
        for algorithm in key.public().signature_algorithms() {
            let signature = key.sign(algorithm, b"data").expect("a key that was read signs");
            key.public().verify(algorithm, b"data", &signature).expect("and the signature is right");
        }
    }
}

/// The outer form of an OpenSSH private key around fields of any kind.
fn container(input: &mut Input<'_>) {
    let cipher = *input.pick(&[
        "none",
        "none",
        "none",
        "aes256-ctr",
        "aes256-cbc",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ]);
    let (derivation, options) = match cipher {
        "none" => ("none", Vec::new()),
        _ => ("bcrypt", Writer::new().string(input.bytes(20)).u32(u32::from(input.byte() % 3)).finish()),
    };
    let key = &hostile::keys()[input.below(3)];
    let check = input.number();
    let mut private = Writer::new().u32(check).u32(if input.byte() == 255 { input.number() } else { check });
    private = match input.byte() % 4 {
        0 => private.raw(input.bytes(2000)),
        _ => private.string(key.public().key_type()).raw(numbers(input)).string(input.bytes(100)),
    };
    let mut private = private.finish();
    let padding = private.len().next_multiple_of(8) - private.len();
    private.extend((1..=padding as u8).take(padding));
    if input.byte() == 255 {
        private.extend_from_slice(input.bytes(40));
    }
    let public = if input.boolean() { key.public().blob().to_vec() } else { input.bytes(600).to_vec() };
    let bytes = Writer::new()
        .raw(b"openssh-key-v1\0")
        .string(cipher)
        .string(derivation)
        .string(options)
        .u32(1 + u32::from(input.byte() / 255))
        .string(public)
        .string(private)
        .raw(input.bytes(16))
        .finish();
    let passphrase = input.boolean().then_some(&b"secret"[..]);
    file(armoured(&bytes).as_bytes(), passphrase);
}

/// Strings and numbers, as the private fields of all types are.
fn numbers(input: &mut Input<'_>) -> Vec<u8> {
    let mut out = Writer::new();
    for _ in 0..input.below(8) {
        out = match input.byte() % 4 {
            0 => out.string(*input.pick(&["nistp256", "nistp384", "nistp521"])),
            1 => out.mpint(input.bytes(300)),
            2 => out.string(input.bytes(80)),
            _ => out.string([&[4][..], &[input.byte(); 64]].concat()),
        };
    }
    out.finish()
}

fn armoured(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (count, group) in bytes.chunks(3).enumerate() {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { DIGITS[value as usize] as char } else { '=' });
        }
        if count % 17 == 16 {
            text.push('\n');
        }
    }
    text.push_str("\n-----END OPENSSH PRIVATE KEY-----\n");
    text
}

fn line(input: &mut Input<'_>) {
    let text = if input.boolean() {
        let key = &hostile::keys()[input.below(3)];
        let mut line = key.public().to_line(&input.text(60)).into_bytes();
        let (at, bits) = (input.below(line.len()), input.byte());
        line[at] ^= bits;
        String::from_utf8_lossy(&line).into_owned()
    } else {
        String::from_utf8_lossy(input.rest()).into_owned()
    };
    if let Ok((key, comment)) = PublicKey::from_line(&text) {
        let (again, _) = PublicKey::from_line(&key.to_line(&comment)).expect("a line that was written can be read");
        assert_eq!(again, key);
        assert!(key.fingerprint_sha256().starts_with("SHA256:"));
    }
}

fn blob(input: &mut Input<'_>) {
    let blob = match input.byte() % 3 {
        0 => input.rest().to_vec(),
        1 => {
            let name = SIGNATURES[input.below(SIGNATURES.len())].name;
            Writer::new().string(name).raw(numbers(input)).finish()
        }
        _ => {
            let mut blob = hostile::keys()[input.below(3)].public().blob().to_vec();
            let (at, bits) = (input.below(blob.len()), input.byte());
            blob[at] ^= bits;
            blob
        }
    };
    if let Ok(key) = PublicKey::from_blob(&blob) {
        assert_eq!(key.blob(), blob);
        assert!(key.bits() > 0);
        assert!(!key.signature_algorithms().is_empty());
        for algorithm in key.signature_algorithms() {
            assert!(key.verify(algorithm, b"data", input.bytes(100)).is_err(), "a signature out of nothing");
        }
    }
}

/// A signature that was changed anywhere, or is said to be of another algorithm, is refused.
fn signature(input: &mut Input<'_>) {
    let key = &hostile::keys()[input.below(2)];
    let own = key.public().signature_algorithms()[0];
    let data = input.bytes(200);
    let right = key.sign(own, data).expect("a signature");
    key.public().verify(own, data, &right).expect("it is right");
    let mut signature = right.clone();
    let (at, bits) = (input.below(signature.len()), input.byte());
    signature[at] ^= bits;
    if input.byte() == 255 {
        signature.extend_from_slice(input.bytes(8));
    }
    let algorithm = SIGNATURES[input.below(SIGNATURES.len())].name;
    if signature != right || algorithm != own {
        assert!(key.public().verify(algorithm, data, &signature).is_err(), "{algorithm}: a changed signature");
    }
}

/// A good file with one byte changed, or cut.
fn bent(input: &mut Input<'_>) {
    let key = &hostile::keys()[input.below(2)];
    let passphrase = input.boolean().then_some(&b"secret"[..]);
    let mut text = key.to_openssh(passphrase, 1).expect("a file").as_bytes().to_vec();
    let (at, bits) = (input.below(text.len()), input.byte());
    text[at] ^= bits;
    if input.byte() == 255 {
        text.truncate(input.below(text.len()));
    }
    file(&text, passphrase);
}
