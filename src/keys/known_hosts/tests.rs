use super::*;
use crate::keys::{KeyType, PrivateKey};

fn key(kind: KeyType) -> PublicKey {
    PrivateKey::generate(kind, 0).unwrap().public().clone()
}

fn ed25519() -> PublicKey {
    key(KeyType::Ed25519)
}

fn line(names: &str, key: &PublicKey) -> String {
    format!("{names} {}\n", key.to_line(""))
}

fn plain() -> Addition<'static> {
    Addition { marker: Marker::None, hashed: false, comment: "" }
}

fn standing(list: &KnownHosts, host: &str, port: u16, key: &PublicKey) -> Standing {
    list.check(host, port, key).0
}

#[test]
fn every_standing_is_told_apart() {
    let (right, other, ecdsa) = (ed25519(), ed25519(), key(KeyType::Ecdsa(256)));
    let text = format!("# ours\n{}@revoked * {}\n", line("a.example,192.0.2.1", &right), other.to_line("stolen"));
    let list = KnownHosts::parse(text.as_bytes());
    let third = ed25519();
    assert_eq!(list.check("a.example", 22, &right), (Standing::Match, Some(2)));
    assert_eq!(list.check("A.Example", 0, &right), (Standing::Match, Some(2)));
    assert_eq!(list.check("192.0.2.1", 22, &right), (Standing::Match, Some(2)));
    assert_eq!(list.check("a.example", 22, &third), (Standing::Changed, Some(2)));
    assert_eq!(list.check("a.example", 22, &ecdsa), (Standing::OtherType, Some(2)));
    assert_eq!(list.check("b.example", 22, &right), (Standing::Unknown, None));
    for (host, port) in [("a.example", 22), ("b.example", 22), ("b.example", 2222)] {
        assert_eq!(list.check(host, port, &other), (Standing::Revoked, Some(3)));
    }
    assert_eq!(list.text(), text.as_bytes());
}

/// CVE-2026-42508: a revoked key is not right because it also is listed as the host's, before or after.
#[test]
fn revoked_beats_known_in_any_order() {
    let right = ed25519();
    let (known, revoked) = (line("a", &right), format!("@revoked a {}\n", right.to_line("")));
    for text in [format!("{known}{revoked}"), format!("{revoked}{known}")] {
        let list = KnownHosts::parse(text.as_bytes());
        assert_eq!(standing(&list, "a", 22, &right), Standing::Revoked);
        assert_eq!(list.for_host("a", 22).recognised().count(), 0);
    }
}

#[test]
fn several_keys_of_a_host() {
    let (first, second, third) = (ed25519(), ed25519(), ed25519());
    let list = KnownHosts::parse([line("a", &first), line("a", &second)].concat().as_bytes());
    assert_eq!(list.check("a", 22, &first), (Standing::Match, Some(1)));
    assert_eq!(list.check("a", 22, &second), (Standing::Match, Some(2)));
    assert_eq!(list.check("a", 22, &third), (Standing::Changed, Some(1)));
}

#[test]
fn patterns_and_exclusions() {
    let right = ed25519();
    let list = KnownHosts::parse(line("!secret.example.com,*.Example.com,host?", &right).as_bytes());
    for host in ["a.example.com", "a.b.EXAMPLE.com", "host1"] {
        assert_eq!(standing(&list, host, 22, &right), Standing::Match, "{host}");
    }
    for host in ["secret.example.com", "example.com", "host", "host12", "example.net"] {
        assert_eq!(standing(&list, host, 22, &right), Standing::Unknown, "{host}");
    }
}

#[test]
fn ports() {
    let (alone, at_port, third) = (ed25519(), ed25519(), ed25519());
    let list = KnownHosts::parse(line("a", &alone).as_bytes());
    // As ssh: the key of the host on its usual port will do, but another one is only new.
    assert_eq!(standing(&list, "a", 2222, &alone), Standing::Match);
    assert_eq!(standing(&list, "a", 2222, &third), Standing::Unknown);
    let list = KnownHosts::parse([line("a", &alone), line("[a]:2222", &at_port)].concat().as_bytes());
    assert_eq!(standing(&list, "a", 2222, &at_port), Standing::Match);
    assert_eq!(standing(&list, "a", 2222, &alone), Standing::Changed);
    assert_eq!(standing(&list, "a", 22, &alone), Standing::Match);
    assert_eq!(standing(&list, "a", 22, &at_port), Standing::Changed);
    assert_eq!(standing(&list, "a", 2223, &at_port), Standing::Unknown);
    let list = KnownHosts::parse(line("[2001:db8::1]:2222,2001:db8::2", &at_port).as_bytes());
    assert_eq!(standing(&list, "2001:db8::1", 2222, &at_port), Standing::Match);
    assert_eq!(standing(&list, "[2001:DB8::1]", 2222, &at_port), Standing::Match);
    assert_eq!(standing(&list, "2001:db8::2", 22, &at_port), Standing::Match);
    assert_eq!(standing(&list, "2001:db8::1", 22, &at_port), Standing::Unknown);
}

#[test]
fn a_name_hashed_by_openssh() {
    // ssh-keygen -H of "host.example.com" and "[host.example.com]:2222".
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICYJNZtt8Jnm8yUdXCU20ga1DaizcXWuP0Qu8nNYUdPq";
    let (right, _) = PublicKey::from_line(KEY).unwrap();
    let text = include_str!("hashed.txt").replace("KEY", KEY);
    let list = KnownHosts::parse(text.as_bytes());
    assert_eq!(list.problems().count(), 0);
    assert_eq!(list.check("host.example.com", 22, &right), (Standing::Match, Some(1)));
    assert_eq!(list.check("HOST.example.com", 2222, &right), (Standing::Match, Some(2)));
    assert_eq!(standing(&list, "other.example.com", 22, &right), Standing::Unknown);
}

#[test]
fn authorities_and_their_hosts() {
    let (authority, revoked) = (ed25519(), ed25519());
    let text = format!(
        "@cert-authority *.example.com {}\n@revoked *.example.com {}\n",
        authority.to_line(""),
        revoked.to_line("")
    );
    let list = KnownHosts::parse(text.as_bytes());
    for port in [22, 2222] {
        let found = list.for_host("a.example.com", port);
        assert_eq!(found.authorities, [ListedKey { key: authority.clone(), line: 1 }]);
        assert!(found.is_revoked(&revoked) && !found.is_revoked(&authority));
        // The key of an authority is not the key of a host.
        assert_eq!(found.check(&authority), (Standing::Unknown, None));
    }
    let found = list.for_host("a.example.net", 22);
    assert!(found.authorities.is_empty() && found.revoked.is_empty());
}

/// Go's 7626c50 and others: what is not a whole line of known_hosts says nothing, and is kept.
#[test]
fn lines_that_are_not_quite_right_say_nothing_and_stay() {
    let right = ed25519();
    let shown = right.to_line("");
    let (kind, base64) = shown.split_once(' ').unwrap();
    let long = format!("a {shown} {}", "x".repeat(20 * 1024));
    let list_of_long_names = format!("{},a {shown}", "b,".repeat(10 * 1024));
    let wrong = [
        format!("a {base64}"),
        format!("a ssh-rsa {base64}"),
        format!("a {kind}"),
        "a".to_owned(),
        format!("@cert-authority @revoked a {shown}"),
        format!("@revoked @revoked a {shown}"),
        format!("@unknown a {shown}"),
        format!("@revoked\u{b}a {shown}"),
        format!("a\u{b}{shown}"),
        format!("a\u{a0}{shown}"),
        format!("a {kind}\u{c}{base64}"),
        format!("a {kind} {base64}="),
        format!("a {kind} {}", &base64[..base64.len() - 2]),
        format!("|1|abc|def {shown}"),
        format!("|2|abc|def {shown}"),
        format!("a {shown}\0"),
        format!("a {shown} \u{1b}[1m"),
        long,
        list_of_long_names,
        "a 1024 35 1234567890".to_owned(),
    ];
    for text in &wrong {
        let shown_text: String = text.chars().take(80).collect();
        let list = KnownHosts::parse(format!("# first\n{text}\n{}", line("z", &right)).as_bytes());
        assert_eq!(standing(&list, "a", 22, &right), Standing::Unknown, "{shown_text:?}");
        assert_eq!(standing(&list, "z", 22, &right), Standing::Match, "{shown_text:?}");
        let problems: Vec<_> = list.problems().collect();
        assert!(matches!(&problems[..], [Error::KeyFormat(failure)] if failure.line == 2), "{shown_text:?}");
        assert_eq!(list.text(), format!("# first\n{text}\n{}", line("z", &right)).as_bytes());
    }
}

/// The tail of a line that is too long is no line of its own.
#[test]
fn the_tail_of_a_long_line_is_no_entry() {
    let right = ed25519();
    for (before, problems) in [("x", 1), ("#", 0), (" ", 1)] {
        let text = format!("{}{}", before.repeat(LONGEST), line("a", &right));
        let list = KnownHosts::parse(text.as_bytes());
        assert_eq!(list.problems().count(), problems, "{before:?}");
        assert_eq!(standing(&list, "a", 22, &right), Standing::Unknown, "{before:?}");
    }
}

const LONGEST: usize = crate::keys::entries::LONGEST_LINE;

/// A host whose key cannot be looked into is no new host.
#[test]
fn a_key_of_a_type_of_the_future() {
    let future = crate::wire::Writer::new().string("ssh-future").string([1, 2, 3]).finish();
    let text = format!("a ssh-future {} soon\n", <base64ct::Base64 as base64ct::Encoding>::encode_string(&future));
    let list = KnownHosts::parse(text.as_bytes());
    assert_eq!(list.problems().count(), 0);
    assert_eq!(list.check("a", 22, &ed25519()), (Standing::OtherType, Some(1)));
    assert_eq!(standing(&list, "b", 22, &ed25519()), Standing::Unknown);
}

#[test]
fn added_removed_and_hashed() {
    let (first, second) = (ed25519(), ed25519());
    let mut list = KnownHosts::parse(b"# no end of line");
    let added = list.add("A.example", 22, &first, &plain()).unwrap();
    assert_eq!(added.as_deref(), Some(line("a.example", &first).as_bytes()));
    assert_eq!(list.add("a.example", 22, &first, &plain()), Ok(None));
    list.add("a.example", 2222, &second, &plain()).unwrap();
    let hashed = Addition { hashed: true, comment: "hidden", ..plain() };
    list.add("b.example", 22, &second, &hashed).unwrap();
    let authority = Addition { marker: Marker::CertAuthority, ..plain() };
    list.add("*.example,!x.example", 22, &first, &authority).unwrap();
    let text = String::from_utf8(list.text()).unwrap();
    assert!(text.starts_with(&format!("# no end of line\n{}{}|1|", line("a.example", &first), {
        line("[a.example]:2222", &second)
    })));
    assert!(text.ends_with(&format!("@cert-authority *.example,!x.example {}\n", first.to_line(""))));
    assert!(!text.contains("b.example"));
    assert_eq!(standing(&list, "b.example", 22, &second), Standing::Match);
    assert_eq!(KnownHosts::parse(text.as_bytes()).check("a.example", 2222, &second), (Standing::Match, Some(3)));

    assert_eq!(list.remove("a.example", 22, Some(&second)), 0);
    assert_eq!(list.remove("a.example", 22, Some(&first)), 1);
    assert_eq!(standing(&list, "a.example", 22, &first), Standing::Unknown);
    assert_eq!(standing(&list, "a.example", 2222, &second), Standing::Match);
    assert_eq!(list.remove("b.example", 22, None), 1);
    assert_eq!(list.for_host("a.example", 22).authorities.len(), 1, "a line with a marker stays");
}

#[test]
fn names_that_are_none_are_not_added() {
    let right = ed25519();
    let mut list = KnownHosts::default();
    for host in ["", "a b", "a\nb", "a,b", "*", "a?", "!a", "#a", "@revoked", "|1|a|b", "a\tb", "a\0", "a\u{a0}"] {
        assert!(matches!(list.add(host, 22, &right, &plain()), Err(Error::Argument(_))), "{host:?}");
    }
    let authority = Addition { marker: Marker::CertAuthority, ..plain() };
    assert!(list.add("a,b", 2222, &right, &authority).is_err());
    assert!(list.add("*.a", 22, &right, &Addition { hashed: true, ..authority }).is_err());
    let comment = "two\nlines ssh-ed25519 AAAA";
    list.add("a", 22, &right, &Addition { comment, ..plain() }).unwrap();
    assert_eq!(list.text().iter().filter(|byte| **byte == b'\n').count(), 1);
    let long = "x".repeat(20_000);
    assert!(list.add(&long, 22, &right, &plain()).is_err(), "it could not be read again");
    assert_eq!(list.text().iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn hashing_leaves_what_it_must() {
    let right = ed25519();
    let kept = format!(
        "# comment\n\n{}@revoked c {}\nbroken\n|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {}\n",
        line("*.a", &right),
        right.to_line(""),
        right.to_line("")
    );
    let mut list = KnownHosts::parse(format!("{kept}A,[b]:2222,192.0.2.1 {}", right.to_line("ours")).as_bytes());
    assert_eq!(list.hash(), Ok(3));
    let text = String::from_utf8(list.text()).unwrap();
    assert!(text.starts_with(&kept), "{text}");
    assert_eq!(text.matches(" ours\n").count(), 3);
    for (host, port) in [("a", 22), ("b", 2222), ("192.0.2.1", 22)] {
        assert_eq!(standing(&list, host, port, &right), Standing::Match);
    }
    assert_eq!(list.hash(), Ok(0));
}

#[test]
fn carriage_returns_are_kept() {
    let right = ed25519();
    let text = line("a", &right).replace('\n', "\r\n");
    let mut list = KnownHosts::parse(text.as_bytes());
    assert_eq!(standing(&list, "a", 22, &right), Standing::Match);
    list.add("b", 22, &right, &plain()).unwrap();
    assert_eq!(list.text(), format!("{text}{}", line("b", &right)).as_bytes());
}

#[test]
fn any_bytes_are_kept() {
    use proptest::prelude::*;
    let right = ed25519();
    proptest!(|(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b' '), Just(b'@')], 0..400))| {
        let mut list = KnownHosts::parse(&bytes);
        prop_assert_eq!(list.text(), bytes);
        let before = list.lines.len();
        list.add("new", 22, &right, &plain()).unwrap();
        prop_assert_eq!(list.lines.len(), before + 1);
        prop_assert_eq!(list.check("new", 22, &right), (Standing::Match, Some(before + 1)));
        prop_assert_eq!(list.remove("new", 22, None), 1);
    });
}
