//! Keys in security keys: what one in hardware signed, what one in software signs, and what ssh-keygen says of that.

use super::security_key::SecurityKey;
use super::*;
use crate::error::Error;
use crate::keys::{PublicKey, SecurityKeyUse, SignatureRules};
use crate::wire::{Reader, Writer};
use base64ct::{Base64, Encoding};

const ANY: SignatureRules = SignatureRules { presence: false, verification: false, minimum_rsa_bits: 2048 };

fn both() -> [SecurityKey; 2] {
    [SecurityKey::ed25519(), SecurityKey::ecdsa()]
}

/// From the tests of OpenSSH (regress/unittests/sshsig/testdata): public line, signature in the form of ssh-keygen -Y.
const KNOWN: [(&str, &str); 2] = [
    (
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJsaDYXQYruc6bilCYDIK4YSOeG+zmrRO2M9t0\
         3//7LHAAAABHNzaDo= ED25519-SK test key",
        "U1NIU0lHAAAAAQAAAEoAAAAac2stc3NoLWVkMjU1MTlAb3BlbnNzaC5jb20AAAAgmxoNhdBiu5zpuKUJgMgrhhI54b7OatE7Yz23Tf//sscAAA\
         AEc3NoOgAAAAh1bml0dGVzdAAAAAAAAAAGc2hhNTEyAAAAZwAAABpzay1zc2gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAAEAi+7eTjW/+LQ2M+sCD\
         +KFtH1n7VFFJon/SZFsxODyV8cWTlFKj617Ys1Ur5TV6uaEXQhck8rBA2oQIHTPANLIPARI0Vng=",
    ),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBKD\
         Va5jRcT5V7E6ysmwVi7HJWh7p5D+hebLPakQcpnD2ajJZ6G/4WzuhlYWnclWY63JspDp299Rlhq5AT86/g8AAAAAEc3NoOg== ECDSA-SK tes\
         t key",
        "U1NIU0lHAAAAAQAAAH8AAAAic2stZWNkc2Etc2hhMi1uaXN0cDI1NkBvcGVuc3NoLmNvbQAAAAhuaXN0cDI1NgAAAEEEoNVrmNFxPlXsTrKybB\
         WLsclaHunkP6F5ss9qRBymcPZqMlnob/hbO6GVhadyVZjrcmykOnb31GWGrkBPzr+DwAAAAARzc2g6AAAACHVuaXR0ZXN0AAAAAAAAAAZzaGE1\
         MTIAAAB3AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAABIAAAAIHohGwyy8iKT3zwd1TYA9V/Ioo7h/3zCJUtyq/Qigt\
         /HAAAAIGzidTwq7D/kFa7Xjcp/KkdbIs4MfQpfAW/0OciajlpzARI0Vng=",
    ),
];

/// What is signed of a file (PROTOCOL.sshsig).
fn signed_data(namespace: &str, message: &[u8]) -> Vec<u8> {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, message);
    Writer::new().raw("SSHSIG").string(namespace).string("").string("sha512").string(hash).finish()
}

#[test]
fn known_signatures_of_security_keys() {
    let data = signed_data("unittest", b"This is a test, this is only a test");
    for (line, text) in KNOWN {
        let key = PublicKey::from_line(line).unwrap().0;
        assert_eq!((key.bits(), key.to_line("").as_str()), (256, line.rsplitn(4, ' ').last().unwrap()));
        let bytes = Base64::decode_vec(text).unwrap();
        let mut reader = Reader::new(&bytes);
        reader.bytes(6 + 4).unwrap();
        assert_eq!(reader.string().unwrap(), key.blob());
        for _ in 0..3 {
            reader.string().unwrap();
        }
        let signature = reader.string().unwrap();
        let told = key.verify_under(&SignatureRules::default(), key.key_type(), &data, signature).unwrap();
        assert_eq!(told, Some(SecurityKeyUse { flags: 1, counter: 0x1234_5678 }));
        assert!(key.verify(key.key_type(), &signed_data("unittest", b"another"), signature).is_err());
    }
}

#[test]
fn blobs_of_security_keys_are_exact() {
    for key in both() {
        let blob = key.blob();
        let public = key.public();
        assert_eq!((public.blob(), public.key_type(), public.bits()), (&blob[..], key.algorithm, 256));
        assert_eq!(public.signature_algorithms(), [key.algorithm]);
        for length in 0..blob.len() {
            assert!(PublicKey::from_blob(&blob[..length]).is_err(), "{length}");
        }
        assert!(PublicKey::from_blob(&[&blob[..], b"\0"].concat()).is_err());
    }
}

/// The same key under another type, or for another application, is another key.
#[test]
fn a_security_key_is_not_the_key_in_it() {
    for key in both() {
        let signature = key.sign(b"data");
        key.public().verify(key.algorithm, b"data", &signature).unwrap();
        for other in ["", "ssh:x", "ssh"] {
            assert!(key.public().verify(key.algorithm, b"data", &key.sign_for(other, b"data")).is_err(), "{other}");
        }
        let public = key.public();
        for plain in ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "ssh-rsa"] {
            assert!(!public.fits(plain));
            assert!(matches!(public.verify(plain, b"data", &signature), Err(Error::Algorithm(_))));
        }
        for plain in KEYS.iter() {
            assert!(!plain.public().fits(key.algorithm));
            assert!(matches!(plain.sign(key.algorithm, b"data"), Err(Error::Algorithm(_))));
            assert!(matches!(plain.public().verify(key.algorithm, b"data", &signature), Err(Error::Algorithm(_))));
        }
    }
}

#[test]
fn every_byte_of_a_security_keys_signature_counts() {
    for key in both() {
        let signature = key.sign(b"data");
        let public = key.public();
        for index in 0..signature.len() {
            for bit in 0..8 {
                let mut bad = signature.clone();
                bad[index] ^= 1 << bit;
                assert!(public.verify_under(&ANY, key.algorithm, b"data", &bad).is_err(), "{index} {bit}");
            }
            assert!(public.verify_under(&ANY, key.algorithm, b"data", &signature[..index]).is_err(), "{index}");
        }
        assert!(public.verify_under(&ANY, key.algorithm, b"data", &[&signature[..], b"\0"].concat()).is_err());
    }
}

#[test]
fn a_touch_is_required_and_the_user_when_asked() {
    for mut key in both() {
        // Every flag that there is, those that mean nothing here too.
        for flags in 0..=u8::MAX {
            (key.flags, key.counter) = (flags, u32::from(flags) * 0x0101_0101);
            let signature = key.sign(b"data");
            for (presence, verification) in [(true, false), (false, false), (true, true), (false, true)] {
                let rules = SignatureRules { presence, verification, ..SignatureRules::default() };
                let wanted = (!presence || flags & 1 != 0) && (!verification || flags & 4 != 0);
                let outcome = key.public().verify_under(&rules, key.algorithm, b"data", &signature);
                match outcome {
                    Ok(told) => {
                        assert!(wanted, "{flags} {rules:?}");
                        let told = told.unwrap();
                        assert_eq!((told.flags, told.counter), (flags, key.counter));
                        assert_eq!((told.is_present(), told.is_verified()), (flags & 1 != 0, flags & 4 != 0));
                    }
                    Err(error) => assert!(!wanted && matches!(error, Error::Integrity(_)), "{flags} {rules:?} {error}"),
                }
            }
            assert_eq!(key.public().verify(key.algorithm, b"data", &signature).is_ok(), flags & 1 != 0);
        }
    }
}

/// The flags cannot be lent by another signature: they are signed.
#[test]
fn flags_and_counter_are_signed() {
    for mut key in both() {
        key.flags = 0;
        let mut signature = key.sign(b"data");
        let at = signature.len() - 5;
        signature[at] = 1;
        assert!(key.public().verify_under(&ANY, key.algorithm, b"data", &signature).is_err());
    }
}

#[test]
fn ssh_keygen_takes_the_software_keys_signatures() {
    for key in both() {
        let folder = Folder::new();
        let (path, line) = (folder.path("signature"), folder.path("key.pub"));
        std::fs::write(&line, key.public().to_line("soft") + "\n").unwrap();
        let shown = ssh_keygen(&["-l", "-f", line.to_str().unwrap()]);
        assert!(shown.starts_with(&format!("256 {} soft", key.public().fingerprint_sha256())), "{shown}");
        let signature = key.sign(&signed_data("file", b"message"));
        let whole = Writer::new().raw("SSHSIG").u32(1).string(key.blob()).string("file").string("").string("sha512");
        let whole = Base64::encode_string(&whole.string(signature).finish());
        std::fs::write(&path, format!("-----BEGIN SSH SIGNATURE-----\n{whole}\n-----END SSH SIGNATURE-----\n"))
            .unwrap();
        for (message, right) in [("message", true), ("another", false)] {
            std::fs::write(folder.path("message"), message).unwrap();
            let checked = Command::new("ssh-keygen")
                .args(["-Y", "check-novalidate", "-n", "file", "-s", path.to_str().unwrap()])
                .stdin(std::fs::File::open(folder.path("message")).unwrap())
                .output()
                .unwrap();
            assert_eq!(checked.status.success(), right, "{}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}
