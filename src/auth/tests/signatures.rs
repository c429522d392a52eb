//! Which signatures of users count: security keys, small RSA keys, SHA-1.

use super::*;
use crate::auth::publickey::Request;
use crate::keys::tests::security_key::SecurityKey;
use crate::keys::{PublicKey, SecurityKeyUse};

const SK: [&str; 2] = ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"];

/// A server with these rules, at which alice may use keys.
fn ruled(signature_rules: SignatureRules, more: &[&'static str]) -> Server {
    let pubkey_algorithms = [ALGORITHMS, more].concat();
    let mut server = Server::new(ServerContext { signature_rules, pubkey_algorithms, ..server_context() });
    server.request("alice", "none", &[]).unwrap();
    server.decide(methods("publickey")).unwrap();
    server.decide(ServerAnswer::Reject).unwrap();
    server.settle().unwrap();
    server.sent();
    server
}

fn rules(presence: bool, verification: bool) -> SignatureRules {
    SignatureRules { presence, verification, ..SignatureRules::default() }
}

/// What the application is asked about alice's request that the security key signs.
fn question_of(server: &mut Server, key: &SecurityKey, hostbound: bool) -> Option<ServerQuestion> {
    let blob = key.blob();
    let request =
        Request { algorithm: key.algorithm, blob: &blob, host_key: hostbound.then_some(HOST_KEY), signature: None };
    let signature = key.sign(&request.signed_data(SESSION, b"alice"));
    let request = Request { signature: Some(&signature), ..request };
    server.request("alice", request.method(), &request.encode()).unwrap();
    let (id, question) = server.question()?;
    server.answer(id, ServerAnswer::Reject).unwrap();
    Some(question)
}

#[test]
fn a_security_key_that_was_not_touched_lets_nobody_in() {
    for mut key in [SecurityKey::ed25519(), SecurityKey::ecdsa()] {
        for (presence, verification, flags, wanted) in [
            (true, false, 0, false),
            (true, false, SecurityKey::VERIFIED, false),
            (true, false, SecurityKey::PRESENT, true),
            (true, true, SecurityKey::PRESENT, false),
            (true, true, SecurityKey::PRESENT | SecurityKey::VERIFIED, true),
            (false, false, 0, true),
            (false, true, 0, false),
            (false, true, SecurityKey::VERIFIED, true),
        ] {
            for hostbound in [false, true] {
                let mut server = ruled(rules(presence, verification), &SK);
                (key.flags, key.counter) = (flags, key.counter + 1);
                let told = question_of(&mut server, &key, hostbound);
                server.settle().unwrap();
                assert_eq!(server.sent(), [51]);
                let usage = Some(SecurityKeyUse { flags, counter: key.counter });
                let expected = wanted.then(|| ServerQuestion::Publickey {
                    user: b"alice".to_vec(),
                    algorithm: key.algorithm.to_owned(),
                    key: key.public(),
                    signed: true,
                    security_key: usage,
                });
                assert_eq!(told, expected, "{presence} {verification} {flags}");
            }
        }
    }
}

/// Before the signature nothing is known of the key's use, and nothing is asked of it.
#[test]
fn a_probe_with_a_security_key_says_nothing_of_its_use() {
    let key = SecurityKey::ed25519();
    let mut server = ruled(rules(true, true), &SK);
    let blob = key.blob();
    let probe = Request { algorithm: key.algorithm, blob: &blob, host_key: None, signature: None };
    server.request("alice", "publickey", &probe.encode()).unwrap();
    let (_, question) = server.question().unwrap();
    assert!(matches!(question, ServerQuestion::Publickey { signed: false, security_key: None, .. }));
}

#[test]
fn rules_hold_from_the_next_signature() {
    let mut key = SecurityKey::ed25519();
    key.flags = 0;
    let mut server = ruled(rules(true, false), &SK);
    assert_eq!(question_of(&mut server, &key, false), None);
    server.settle().unwrap();
    server.auth.set_signature_rules(rules(false, false));
    assert!(question_of(&mut server, &key, false).is_some());
    server.settle().unwrap();
    server.auth.set_signature_rules(rules(true, false));
    assert_eq!(question_of(&mut server, &key, false), None);
}

/// The question of a request with this public key, signed as `signature` says; None: not signed.
fn asked(server: &mut Server, algorithm: &str, key: &PublicKey, signature: Option<&[u8]>) -> bool {
    let request = Request { algorithm, blob: key.blob(), host_key: None, signature };
    server.request("alice", "publickey", &request.encode()).unwrap();
    let Some((id, _)) = server.question() else {
        server.settle().unwrap();
        return false;
    };
    server.answer(id, ServerAnswer::Reject).unwrap();
    server.settle().unwrap();
    true
}

fn signature_of(key: &PrivateKey, under: &SignatureRules, algorithm: &str) -> Vec<u8> {
    let request = Request { algorithm, blob: key.public().blob(), host_key: None, signature: None };
    key.sign_under(under, algorithm, &request.signed_data(SESSION, b"alice")).unwrap()
}

/// Neither asked about nor taken; the size is no secret, but the answer is that of any other key.
#[test]
fn rsa_keys_below_the_minimum_are_refused_before_the_application_hears_of_them() {
    let of = |minimum_rsa_bits| SignatureRules { minimum_rsa_bits, ..SignatureRules::default() };
    let bits = RSA.public().bits();
    for (minimum, wanted) in [(1024, true), (bits - 1, true), (bits, true), (bits + 1, false), (16384, false)] {
        let mut server = ruled(of(minimum), &[]);
        let signature = signature_of(&RSA, &of(1024), "rsa-sha2-256");
        assert_eq!(asked(&mut server, "rsa-sha2-256", RSA.public(), None), wanted, "{minimum}");
        assert_eq!(asked(&mut server, "rsa-sha2-256", RSA.public(), Some(&signature)), wanted, "{minimum}");
        assert_eq!(server.sent(), [51, 51]);
    }
}

#[test]
fn sha1_is_taken_only_where_it_was_named() {
    let signature = signature_of(&RSA, &SignatureRules::default(), "ssh-rsa");
    for (more, wanted) in [(&[][..], false), (&["ssh-rsa"], true)] {
        let mut server = ruled(SignatureRules::default(), more);
        assert_eq!(asked(&mut server, "ssh-rsa", RSA.public(), None), wanted);
        assert_eq!(asked(&mut server, "ssh-rsa", RSA.public(), Some(&signature)), wanted);
        // And it never passes for the others.
        assert!(!asked(&mut server, "rsa-sha2-256", RSA.public(), Some(&signature)));
        let good = signature_of(&RSA, &SignatureRules::default(), "rsa-sha2-256");
        assert!(!asked(&mut server, "ssh-rsa", RSA.public(), Some(&good)));
    }
}

/// The algorithms of a client with an RSA key that is refused.
fn tried(pubkey_algorithms: Vec<&'static str>, list: Option<&str>, minimum_rsa_bits: u32) -> (Vec<String>, Error) {
    let signature_rules = SignatureRules { minimum_rsa_bits, ..SignatureRules::default() };
    let client = ClientContext {
        pubkey_algorithms,
        signature_rules,
        server_sig_algs: list.map(str::to_owned),
        ..client_context()
    };
    let all = [ALGORITHMS, &["ssh-rsa"]].concat();
    let mut pair = Pair::with(client, ServerContext { pubkey_algorithms: all, ..server_context() });
    let mut algorithms = Vec::new();
    let outcome = pair.quick("alice", by_key(&RSA, false), |question| {
        if let ServerQuestion::Publickey { algorithm, .. } = question {
            algorithms.push(algorithm.clone());
        }
        if matches!(question, ServerQuestion::AllowedMethods { .. }) {
            methods("publickey")
        } else {
            ServerAnswer::Reject
        }
    });
    (algorithms, outcome.unwrap_err())
}

#[test]
fn a_client_signs_with_sha1_only_where_it_was_named_and_where_the_server_takes_it() {
    let named = || vec!["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"];
    assert_eq!(tried(ALGORITHMS.to_vec(), None, 2048).0, ["rsa-sha2-512", "rsa-sha2-256"]);
    assert_eq!(tried(named(), None, 2048).0, ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]);
    assert_eq!(tried(named(), Some("ssh-rsa,rsa-sha2-256"), 2048).0, ["rsa-sha2-256"]);
    assert_eq!(tried(named(), Some("ssh-ed25519,ssh-rsa"), 2048).0, ["ssh-rsa"]);
    assert_eq!(tried(vec!["ssh-rsa"], None, 2048).0, ["ssh-rsa"]);
    assert!(tried(ALGORITHMS.to_vec(), Some("ssh-rsa"), 2048).0.is_empty());
}

#[test]
fn a_client_does_not_sign_with_a_key_below_its_minimum() {
    let (algorithms, error) = tried(ALGORITHMS.to_vec(), None, RSA.public().bits() + 1);
    assert!(algorithms.is_empty());
    assert!(matches!(&error, Error::Algorithm(_)) && error.to_string().contains("bits is too small"), "{error}");
}
