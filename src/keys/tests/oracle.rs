//! Against ssh-keygen: each side reads what the other wrote.

use super::*;
use crate::crypto::key_file::find_key_file_cipher;
use crate::error::Error;
use crate::keys::PublicKey;
use crate::keys::openssh::encrypted;
use crate::wire::{Reader, Writer};
use base64ct::{Base64, Encoding};

const TYPES: [(&str, &str); 7] = [
    ("ed25519", "256"),
    ("ecdsa", "256"),
    ("ecdsa", "384"),
    ("ecdsa", "521"),
    ("rsa", "1024"),
    ("rsa", "2048"),
    ("rsa", "3072"),
];

const CIPHERS: [&str; 9] = [
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];

struct Made {
    folder: Folder,
    text: Vec<u8>,
    line: String,
}

fn make(key_type: &str, bits: &str, passphrase: &str, more: &[&str]) -> Made {
    let folder = Folder::new();
    let path = folder.path("key");
    let name = path.to_str().unwrap();
    let arguments = ["-q", "-t", key_type, "-b", bits, "-N", passphrase, "-C", "some comment", "-f", name];
    ssh_keygen(&[&arguments[..], more].concat());
    let line = std::fs::read_to_string(folder.path("key.pub")).unwrap();
    Made { text: std::fs::read(&path).unwrap(), line, folder }
}

fn check(made: &Made, key: &PrivateKey, bits: &str) {
    assert_eq!(key.public().to_line(key.comment()), made.line.trim_end());
    assert_eq!(key.comment(), "some comment");
    assert_eq!(PublicKey::from_line(&made.line).unwrap(), (key.public().clone(), "some comment".to_owned()));
    let public = made.folder.path("key.pub");
    for (hash, fingerprint) in [("sha256", key.public().fingerprint_sha256()), ("md5", key.public().fingerprint_md5())]
    {
        let shown = ssh_keygen(&["-l", "-E", hash, "-f", public.to_str().unwrap()]);
        assert!(shown.starts_with(&format!("{bits} {fingerprint} some comment")), "{shown}");
    }
    assert_eq!(key.public().bits().to_string(), bits);
}

#[test]
fn plain_keys_of_ssh_keygen() {
    for (key_type, bits) in TYPES {
        let made = make(key_type, bits, "", &[]);
        check(&made, &PrivateKey::from_openssh(&made.text, None).unwrap(), bits);
        // A passphrase that is not needed does no harm.
        check(&made, &PrivateKey::from_file_bytes(&made.text, Some(b"unused")).unwrap(), bits);
    }
}

#[test]
fn encrypted_keys_of_ssh_keygen() {
    for (key_type, bits) in TYPES {
        let made = make(key_type, bits, "open sesame", &[]);
        check(&made, &PrivateKey::from_openssh(&made.text, Some(b"open sesame")).unwrap(), bits);
        let missing = PrivateKey::from_openssh(&made.text, None).unwrap_err();
        assert!(matches!(&missing, Error::Passphrase(text) if text.contains("no passphrase was given")), "{missing}");
        assert_eq!(PrivateKey::from_openssh(&made.text, Some(b"")).unwrap_err(), missing);
        let wrong = PrivateKey::from_openssh(&made.text, Some(b"open barley")).unwrap_err();
        assert!(matches!(&wrong, Error::Passphrase(text) if text.contains("is wrong")), "{wrong}");
    }
}

#[test]
fn ciphers_of_ssh_keygen() {
    for cipher in CIPHERS {
        let made = make("ed25519", "256", "open sesame", &["-Z", cipher, "-a", "2"]);
        check(&made, &PrivateKey::from_openssh(&made.text, Some(b"open sesame")).unwrap(), "256");
        let wrong = PrivateKey::from_openssh(&made.text, Some(b"x")).unwrap_err();
        assert!(matches!(&wrong, Error::Passphrase(text) if text.contains("is wrong")), "{cipher}: {wrong}");
    }
    let made = make("ed25519", "256", "open sesame", &["-Z", "3des-cbc", "-a", "2"]);
    let unknown = PrivateKey::from_openssh(&made.text, Some(b"open sesame")).unwrap_err();
    assert!(matches!(unknown, Error::Unsupported(_)), "{unknown}");
}

#[test]
fn other_formats_are_named() {
    for (format, type_name, name) in [("PEM", "rsa", "PKCS#1"), ("PEM", "ecdsa", "SEC 1"), ("PKCS8", "rsa", "PKCS#8")] {
        let made = make(type_name, if type_name == "rsa" { "2048" } else { "256" }, "", &["-m", format]);
        let error = PrivateKey::from_file_bytes(&made.text, None).unwrap_err();
        assert!(matches!(&error, Error::Unsupported(text) if text.contains(name)), "{error}");
        let error = PrivateKey::from_file_bytes(made.line.as_bytes(), None).unwrap_err();
        assert!(matches!(&error, Error::KeyFormat(failure) if failure.text.contains("public key")), "{error}");
    }
}

/// ssh-keygen reads `text` and shows the public key's line.
fn line_of(text: &str, passphrase: &str) -> String {
    let folder = Folder::new();
    let path = folder.path("key");
    write_private(&path, text);
    ssh_keygen(&["-y", "-P", passphrase, "-f", path.to_str().unwrap()]).trim_end().to_owned()
}

#[test]
fn our_files_are_read_by_ssh_keygen() {
    for key in KEYS.iter() {
        let line = key.public().to_line("a comment");
        assert_eq!(line_of(&key.to_openssh(None, 0).unwrap(), ""), line);
        assert_eq!(line_of(&key.to_openssh(Some(b"open sesame"), 3).unwrap(), "open sesame"), line);
    }
    // With the default rounds, and a comment that needs UTF-8.
    let key = generate(KeyType::Ed25519).with_comment("perlmutt é");
    let line = line_of(&key.to_openssh(Some(b"open sesame"), 0).unwrap(), "open sesame");
    assert_eq!(PublicKey::from_line(&line).unwrap().0, *key.public());
}

#[test]
fn our_ciphers_are_read_by_ssh_keygen() {
    let key = &KEYS[0];
    for cipher in CIPHERS {
        let text = encrypted(key, find_key_file_cipher(cipher).unwrap(), b"open sesame", 2).unwrap();
        assert_eq!(line_of(&text, "open sesame"), key.public().to_line("a comment"), "{cipher}");
        assert_eq!(PrivateKey::from_openssh(text.as_bytes(), Some(b"open sesame")).unwrap().public(), key.public());
    }
}

/// What is signed of a file (PROTOCOL.sshsig).
fn signed_data(message: &[u8]) -> Vec<u8> {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, message);
    Writer::new().raw("SSHSIG").string("file").string("").string("sha512").string(hash).finish()
}

fn sshsig_algorithm(key: &PublicKey) -> &'static str {
    key.signature_algorithms()[0]
}

#[test]
fn signatures_of_ssh_keygen_verify() {
    for key in KEYS.iter() {
        let folder = Folder::new();
        let (path, message) = (folder.path("key"), folder.path("message"));
        write_private(&path, &key.to_openssh(None, 0).unwrap());
        std::fs::write(&message, b"message").unwrap();
        ssh_keygen(&["-Y", "sign", "-n", "file", "-f", path.to_str().unwrap(), message.to_str().unwrap()]);
        let text = std::fs::read_to_string(folder.path("message.sig")).unwrap();
        let encoded: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let bytes = Base64::decode_vec(&encoded).unwrap();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.bytes(6).unwrap(), b"SSHSIG");
        assert_eq!(reader.u32().unwrap(), 1);
        assert_eq!(reader.string().unwrap(), key.public().blob());
        for expected in ["file", "", "sha512"] {
            assert_eq!(reader.string().unwrap(), expected.as_bytes());
        }
        let signature = reader.string().unwrap();
        let algorithm = sshsig_algorithm(key.public());
        key.public().verify(algorithm, &signed_data(b"message"), signature).unwrap();
        assert!(key.public().verify(algorithm, &signed_data(b"another"), signature).is_err());
    }
}

#[test]
fn our_signatures_verify_with_ssh_keygen() {
    for key in KEYS.iter() {
        for algorithm in key.public().signature_algorithms() {
            let signature = key.sign(algorithm, &signed_data(b"message")).unwrap();
            let whole = Writer::new().raw("SSHSIG").u32(1).string(key.public().blob()).string("file").string("");
            let whole = Base64::encode_string(&whole.string("sha512").string(signature).finish());
            let folder = Folder::new();
            let path = folder.path("signature");
            std::fs::write(&path, format!("-----BEGIN SSH SIGNATURE-----\n{whole}\n-----END SSH SIGNATURE-----\n"))
                .unwrap();
            let message = folder.path("message");
            std::fs::write(&message, b"message").unwrap();
            let checked = Command::new("ssh-keygen")
                .args(["-Y", "check-novalidate", "-n", "file", "-s", path.to_str().unwrap()])
                .stdin(std::fs::File::open(&message).unwrap())
                .output()
                .unwrap();
            assert!(checked.status.success(), "{algorithm}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}
