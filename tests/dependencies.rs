//! What the library is made of, read from Cargo.lock: cryptography with private keys is AWS-LC's alone. Crates of the tests
//! do not count.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use support::root;

/// Crates that calculate with private keys or numbers, mostly where the processor's time tells of them
/// (RUSTSEC-2023-0071, RUSTSEC-2025-0144, RUSTSEC-2024-0344), and what they are built on.
const PRIVATE_KEYS: &[&str] = &[
    "crypto-bigint",
    "curve25519-dalek",
    "dsa",
    "ecdsa",
    "ed25519-dalek",
    "elliptic-curve",
    "k256",
    "kyber",
    "ml-dsa",
    "ml-kem",
    "num-bigint",
    "num-bigint-dig",
    "openssl",
    "p256",
    "p384",
    "p521",
    "primeorder",
    "ring",
    "rsa",
    "x25519-dalek",
];

/// The packages of Cargo.lock: name, version, and what each needs ("name" or "name version").
fn packages() -> Vec<(String, String, Vec<String>)> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is there");
    let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
    lock.split("[[package]]")
        .skip(1)
        .map(|package| {
            let field = |name: &str| package.lines().find(|line| line.starts_with(name)).and_then(quoted);
            let needs = package.lines().filter(|line| line.starts_with(" \"")).filter_map(quoted).collect();
            (field("name = ").expect("a name"), field("version = ").expect("a version"), needs)
        })
        .collect()
}

/// The names under [dependencies] in Cargo.toml.
fn direct() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is there");
    let section = manifest.split("[dependencies]\n").nth(1).expect("dependencies").split("\n[").next().expect("an end");
    let names = section.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().to_owned());
    names.filter(|name| !name.starts_with('#')).collect()
}

/// Every crate that the library needs, with one that needs it.
fn closure() -> BTreeMap<String, String> {
    let packages = packages();
    let of_the_library = &packages.iter().find(|(name, ..)| name == "nacre").expect("the library").2;
    let is_direct = |need: &&String| direct().iter().any(|name| need.split(' ').next() == Some(name));
    let mut found = BTreeMap::new();
    let mut open: Vec<(String, String)> =
        of_the_library.iter().filter(is_direct).map(|need| (need.clone(), "nacre".to_owned())).collect();
    assert_eq!(open.len(), direct().len(), "{open:?}");
    let mut seen = BTreeSet::new();
    while let Some((need, needed_by)) = open.pop() {
        if !seen.insert(need.clone()) {
            continue;
        }
        let (wanted, version) = need.split_once(' ').map_or((need.as_str(), None), |(name, rest)| (name, Some(rest)));
        let fits =
            |(name, its, _): &&(String, String, Vec<String>)| name == wanted && version.is_none_or(|it| it == its);
        let (name, _, needs) = packages.iter().find(fits).unwrap_or_else(|| panic!("{need} is not in Cargo.lock"));
        open.extend(needs.iter().map(|need| (need.clone(), name.clone())));
        found.entry(name.clone()).or_insert(needed_by);
    }
    found
}

#[test]
fn no_crate_of_the_library_calculates_with_private_keys() {
    let closure = closure();
    for name in ["aws-lc-rs", "aws-lc-sys", "zeroize", "cc"] {
        assert!(closure.contains_key(name), "{name} is not seen: {closure:?}");
    }
    for name in PRIVATE_KEYS {
        assert!(!closure.contains_key(*name), "{name}: {}", closure[*name]);
    }
    // The list means something: the tests have such crates.
    let all: BTreeSet<String> = packages().into_iter().map(|(name, ..)| name).collect();
    assert!(all.contains("ed25519-dalek") && all.contains("curve25519-dalek"));
}

/// One of AWS-LC's two crates is the other's: a second version would be a second library, with a state of its own.
#[test]
fn there_is_one_version_of_the_cryptography() {
    for name in ["aws-lc-rs", "aws-lc-sys"] {
        assert_eq!(packages().iter().filter(|(it, ..)| it == name).count(), 1, "{name}");
    }
}
