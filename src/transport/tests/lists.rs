//! The lists that a side offers: edits, policies, roles.

use super::*;
use crate::crypto::{CIPHERS, KEX_ALGORITHMS, MACS, Offer, SIGNATURES};
use crate::wire::messages::KexInit;

const KINDS: [AlgorithmKind; 6] = [
    AlgorithmKind::Kex,
    AlgorithmKind::HostKey,
    AlgorithmKind::Cipher,
    AlgorithmKind::Mac,
    AlgorithmKind::Compression,
    AlgorithmKind::PubkeySignature,
];

#[test]
fn lists_are_set_and_edited() {
    let mut algorithms = Algorithms::default();
    let kind = AlgorithmKind::Cipher;
    algorithms.set(kind, "aes128-ctr,aes256-ctr,aes128-ctr").unwrap();
    assert_eq!(algorithms.get(kind), "aes128-ctr,aes256-ctr");
    algorithms.set(kind, "+aes128-gcm@openssh.com,aes128-ctr").unwrap();
    assert_eq!(algorithms.get(kind), "aes128-ctr,aes256-ctr,aes128-gcm@openssh.com");
    algorithms.set(kind, "^aes256-ctr").unwrap();
    assert_eq!(algorithms.get(kind), "aes256-ctr,aes128-ctr,aes128-gcm@openssh.com");
    algorithms.set(kind, "-aes256-ctr,aes128-gcm@openssh.com").unwrap();
    assert_eq!(algorithms.get(kind), "aes128-ctr");
    for edit in ["-aes128-ctr", "", "rot13", "+aes128-ctr,rot13", "^rot13", "-rot13"] {
        let error = algorithms.set(kind, edit).unwrap_err();
        assert!(
            matches!(&error, Error::Algorithm(text) if edit.contains("rot13") == text.contains("'rot13'")),
            "{error}"
        );
        assert_eq!(algorithms.get(kind), "aes128-ctr", "nothing has changed");
    }
    for marker in ["ext-info-c", "kex-strict-s-v00@openssh.com"] {
        assert!(algorithms.set(AlgorithmKind::Kex, &format!("+{marker}")).is_err());
    }
}

/// All names in the KEXINIT of a side, without the markers.
fn offered(config: Config) -> Vec<String> {
    let mut side = transport(config);
    let packet = split_plain(&side.take_output()).1.remove(0);
    let payload = &packet[5..packet.len() - packet[4] as usize];
    let kexinit = KexInit::decode(&payload[1..]).unwrap();
    [
        kexinit.kex_algorithms,
        kexinit.server_host_key_algorithms,
        kexinit.encryption_client_to_server,
        kexinit.encryption_server_to_client,
        kexinit.mac_client_to_server,
        kexinit.mac_server_to_client,
        kexinit.compression_client_to_server,
        kexinit.compression_server_to_client,
    ]
    .iter()
    .flat_map(|list| list.names())
    .filter(|name| !name.starts_with("ext-info-") && !name.starts_with("kex-strict-"))
    .map(str::to_owned)
    .collect()
}

fn with_all_host_keys(role: Role) -> Config {
    let mut config = Config::new(role);
    config.host_keys = host_keys().to_vec();
    config
}

#[test]
fn nothing_weak_is_offered() {
    for role in [Role::Client, Role::Server] {
        let names = offered(with_all_host_keys(role));
        assert!(names.len() > 20);
        for name in names {
            let parts = ["sha1", "md5", "-cbc", "3des", "arcfour", "group1-", "ssh-dss", "-96", "rijndael"];
            assert!(!parts.iter().any(|part| name.contains(part)), "{role:?}: {name}");
            assert!(!["ssh-rsa", "zlib"].contains(&name.as_str()), "{role:?}: {name}");
        }
    }
}

#[test]
fn a_server_offers_no_costly_exchange_unless_it_is_named() {
    let of_clients: Vec<&str> =
        KEX_ALGORITHMS.iter().filter(|row| row.offer == Offer::DefaultOfClients).map(|row| row.name).collect();
    let client = offered(with_all_host_keys(Role::Client));
    let server = offered(with_all_host_keys(Role::Server));
    for name in of_clients {
        assert!(client.iter().any(|offered| offered == name), "{name}");
        assert!(!server.iter().any(|offered| offered == name), "{name}");
        for edit in [name.to_owned(), format!("+{name}"), format!("^{name}")] {
            let mut config = with_all_host_keys(Role::Server);
            config.algorithms.set(AlgorithmKind::Kex, &edit).unwrap();
            assert!(offered(config).iter().any(|offered| offered == name), "{edit}");
        }
    }
    // Finite fields are what costs: none of them is for everybody.
    let all = KEX_ALGORITHMS.iter().filter(|row| row.name.starts_with("diffie-hellman-"));
    assert!(all.into_iter().all(|row| matches!(row.offer, Offer::DefaultOfClients | Offer::ByName)));
}

#[test]
fn the_strict_policy_is_what_it_says() {
    let strict = Algorithms::of(Policy::Strict);
    assert_eq!(strict.policy(), Policy::Strict);
    let hybrid = |name: &&str| ["mlkem768x25519-", "sntrup761x25519-"].iter().any(|start| name.starts_with(start));
    assert!(strict.kex.iter().all(hybrid) && strict.kex.contains(&"mlkem768x25519-sha256"));
    for list in [&strict.host_key, &strict.pubkey_signature] {
        let fits = |name: &&str| name.contains("ssh-ed25519") || name.starts_with("rsa-sha2-");
        assert!(list.iter().all(fits) && list.len() >= 3, "{list:?}");
    }
    let is_aead = |name: &str| CIPHERS.iter().any(|row| row.name == name && row.aead);
    assert!(strict.cipher.iter().all(|name| is_aead(name) || name.ends_with("-ctr")));
    assert!(strict.mac.iter().all(|name| name.ends_with("-etm@openssh.com") && name.contains("sha2")));
    assert_eq!(strict.compression, ["none"]);
}

#[test]
fn the_strict_policy_takes_no_name_from_outside_it() {
    for kind in KINDS {
        for name in available(kind) {
            let mut algorithms = Algorithms::of(Policy::Strict);
            let within = algorithms.list(kind).contains(&name);
            for edit in [name.to_owned(), format!("+{name}"), format!("^{name}")] {
                let outcome = algorithms.clone().set(kind, &edit);
                match &outcome {
                    Ok(()) => assert!(within, "{edit}"),
                    Err(Error::Algorithm(text)) => {
                        assert!(!within && text.contains(&format!("'{name}'")), "{edit}: {text}")
                    }
                    Err(other) => panic!("{edit}: {other}"),
                }
            }
            // To take away what is not there harms nobody.
            let left = algorithms.list(kind).iter().filter(|other| **other != name).count();
            assert_eq!(
                algorithms.set(kind, &format!("-{name}")).is_ok(),
                left > 0 || kind == AlgorithmKind::Mac,
                "{name}"
            );
        }
    }
}

/// The strict policy wants the strict key exchange, which closes the hole that Terrapin found.
#[test]
fn a_strict_side_refuses_a_peer_without_strict_key_exchange() {
    for (strict_role, other_role) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        for old in [false, true] {
            let mut config = quick(strict_role);
            config.algorithms = Algorithms::of(Policy::Strict);
            let strict = transport(config);
            let mut other = with_all_host_keys(other_role);
            other.algorithms.set(AlgorithmKind::Cipher, "aes128-ctr").unwrap();
            let other = transport_with(other, Hooks { without_strict: old, ..Hooks::default() });
            let mut pair = if strict_role == Role::Client { Pair::of(strict, other) } else { Pair::of(other, strict) };
            match pair.run() {
                Ok(()) => {
                    assert!(!old);
                    let negotiated = pair.client.negotiated().unwrap();
                    assert_eq!((negotiated.kex, negotiated.strict), ("mlkem768x25519-sha256", true));
                    assert_eq!(negotiated.mac_in, "hmac-sha2-256-etm@openssh.com");
                }
                Err(Error::Negotiation(failure)) => {
                    assert!(old);
                    assert_eq!(failure.category, "strict key exchange");
                    assert!(failure.ours.starts_with("kex-strict-") && failure.theirs.contains("curve25519-sha256"));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// What is named later is off; each name stands in one table once.
#[test]
fn everything_is_offered_or_by_name() {
    let rows = KEX_ALGORITHMS.iter().map(|row| (row.name, row.offer));
    let rows = rows.chain(CIPHERS.iter().map(|row| (row.name, row.offer)));
    let rows = rows.chain(MACS.iter().map(|row| (row.name, row.offer)));
    let rows: Vec<_> = rows.chain(SIGNATURES.iter().map(|row| (row.name, row.offer))).collect();
    let default = Algorithms::default();
    for (name, offer) in &rows {
        let is_offered = KINDS.iter().any(|kind| default.list(*kind).contains(name));
        assert_eq!(is_offered, *offer != Offer::ByName, "{name}");
        assert_eq!(rows.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
    }
}
