use crate::keys::{Matching, Network, Origins, match_list, matches};
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::{Duration, Instant};

#[test]
fn patterns() {
    let cases: &[(&str, &str, bool)] = &[
        ("", "", true),
        ("", "a", false),
        ("a", "a", true),
        ("a", "A", false),
        ("a", "ab", false),
        ("?", "a", true),
        ("?", "", false),
        ("*", "", true),
        ("*", "anything", true),
        ("*.example", "a.example", true),
        ("*.example", ".example", true),
        ("*.example", "example", false),
        ("a*", "a", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyyd", false),
        ("*a?c*", "xxabcxx", true),
        ("**?**", "", false),
        ("**?**", "x", true),
        ("192.168.0.?", "192.168.0.1", true),
        ("192.168.0.?", "192.168.0.10", false),
    ];
    for (pattern, name, fits) in cases {
        assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), *fits, "{pattern:?} {name:?}");
    }
    for length in [62, 63, 64, 65, 127, 128, 129, 300] {
        let name = "ab".repeat(length)[..length].to_owned();
        let pattern = format!("{}*{}", &name[..length / 2], &name[length / 2..]);
        assert!(matches(pattern.as_bytes(), name.as_bytes()), "{length}");
        assert!(matches(format!("*{name}*").as_bytes(), format!("x{name}x").as_bytes()), "{length}");
        assert!(!matches(format!("*{name}c").as_bytes(), name.as_bytes()), "{length}");
        assert!(!matches(pattern.as_bytes(), &name.as_bytes()[1..]), "{length}");
    }
}

/// As the definition says, however long it takes.
fn defined(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| defined(rest, &name[skipped..])),
        ([wanted, pattern @ ..], [byte, name @ ..]) => (*wanted == b'?' || wanted == byte) && defined(pattern, name),
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_fit_as_they_are_defined(pattern in "[ab*?]{0,9}", name in "[ab]{0,9}") {
        prop_assert_eq!(
            matches(pattern.as_bytes(), name.as_bytes()),
            defined(pattern.as_bytes(), name.as_bytes())
        );
    }
}

/// CVE-2026-0967: patterns that make a matcher go back again and again.
#[test]
fn no_pattern_takes_long() {
    let name = "a".repeat(10 * 1024);
    let patterns =
        ["*a".repeat(127) + "*b", "*a?".repeat(85) + "b", format!("*{}b", "a".repeat(254)), "*?".repeat(128) + "b"];
    // Code that is not optimised is some forty times slower.
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 60 } else { 1 });
    for pattern in patterns {
        let quickest = (0..10).map(|_| {
            let start = Instant::now();
            assert!(!matches(pattern.as_bytes(), name.as_bytes()));
            start.elapsed()
        });
        let quickest = quickest.min().unwrap();
        assert!(quickest < bound, "{pattern:?} took {quickest:?}");
    }
}

#[test]
fn lists_and_exclusions() {
    let cases: &[(&str, &str, Matching)] = &[
        ("a,b", "b", Matching::Yes),
        ("a,b", "B", Matching::Yes),
        ("A,B", "b", Matching::Yes),
        ("a,b", "c", Matching::No),
        ("*,!b", "b", Matching::Excluded),
        ("!b,*", "b", Matching::Excluded),
        ("!b", "a", Matching::No),
        ("", "", Matching::No),
        ("a,", "", Matching::No),
        ("!", "", Matching::No),
        ("a b", "a", Matching::No),
    ];
    for (list, name, answer) in cases {
        assert_eq!(match_list(list.as_bytes(), name.as_bytes()), *answer, "{list:?} {name:?}");
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn networks() {
    let within: &[(&str, &str, bool)] = &[
        ("192.0.2.0/24", "192.0.2.255", true),
        ("192.0.2.0/24", "192.0.3.0", false),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1/32", "192.0.2.2", false),
        ("192.0.2.0/24", "::ffff:192.0.2.9", true),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "192.0.2.1", false),
        ("2001:db8::1", "2001:DB8:0:0::1", true),
    ];
    for (network, inside, fits) in within {
        let network = Network::parse(network).unwrap().unwrap();
        assert_eq!(network.contains(address(inside)), *fits, "{network:?} {inside}");
    }
    for wrong in
        ["192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+8", "192.0.2.0/-1", "2001:db8::1/32", "::/129"]
    {
        assert!(Network::parse(wrong).is_err(), "{wrong}");
    }
    for none in ["", "a.example", "192.0.2", "192.0.2.*", "192.0.2.0.0/24", "*", "example/24", "010.0.0.1"] {
        assert_eq!(Network::parse(none), Ok(None), "{none}");
    }
}

#[test]
fn origins() {
    let allows = |list: &str, from: &str, host: Option<&str>| {
        Origins::parse(list.as_bytes()).unwrap().allow((!from.is_empty()).then(|| address(from)), host)
    };
    assert!(allows("192.0.2.0/24", "192.0.2.7", None));
    assert!(allows("*.example.com", "198.51.100.1", Some("A.example.com")));
    assert!(!allows("*.example.com", "198.51.100.1", None));
    assert!(!allows("*.example.com,!b.example.com", "198.51.100.1", Some("b.example.com")));
    assert!(!allows("*,!192.0.2.0/25", "192.0.2.7", Some("a.example.com")), "an excluded address beats a name");
    assert!(allows("*,!192.0.2.0/25", "192.0.2.200", None));
    assert!(allows("192.0.2.*", "192.0.2.7", None));
    assert!(allows("192.0.2.0/24", "::ffff:192.0.2.7", None));
    assert!(!allows("192.0.2.7", "198.51.100.1", Some("192.0.2.7")), "the name of an address is no address");
    assert!(!allows("192.0.2.7", "", None), "from nowhere known");
    for wrong in ["", ",", "a,,b", "!", "192.0.2.1/24", "a,192.0.2.0/40"] {
        assert!(Origins::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
}
