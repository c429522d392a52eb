use super::super::primes;
use super::*;

fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn line(fields: &str, generator: &str, prime: &[u8]) -> String {
    format!("20260101000000 {fields} {generator} {}", upper_hex(prime))
}

fn taken(line: &str) -> bool {
    parse(line.as_bytes()).is_some()
}

#[test]
fn lines_of_openssh_are_taken() {
    let parsed = parse(line("2 6 100 2047", "5", &primes::GROUP_14).as_bytes()).unwrap();
    assert_eq!(parsed, Line { bits: 2048, generator: vec![5], prime: primes::GROUP_14.to_vec() });
    assert!(taken(&line("2 6 100 2048", "2", &primes::GROUP_14)), "the size as it is");
    assert!(taken(&line("2 6 100 8191", "2", &primes::GROUP_18)));
    let spaced = format!("  {}\r", line("2 6 100 2047", "2", &primes::GROUP_14).replace(' ', "\t "));
    assert!(taken(&spaced));
    let lower = line("2 6 100 2047", "2", &primes::GROUP_14).to_lowercase();
    assert!(taken(&lower));
    // 0: nobody chose.
    assert_eq!(parse(line("2 6 100 2047", "0", &primes::GROUP_14).as_bytes()).unwrap().generator, [2]);
}

#[test]
fn lines_that_are_not_good_are_passed_over() {
    let good = line("2 6 100 2047", "2", &primes::GROUP_14);
    for (what, bad) in [
        ("a comment", format!("# {good}")),
        ("nothing", String::new()),
        ("a field too few", good.rsplit_once(' ').unwrap().0.to_owned()),
        ("a field too many", format!("{good} 0")),
        ("not known to be safe", line("1 6 100 2047", "2", &primes::GROUP_14)),
        ("no safe prime", line("4 6 100 2047", "2", &primes::GROUP_14)),
        ("only sieved", line("2 2 100 2047", "2", &primes::GROUP_14)),
        ("composite", line("2 7 100 2047", "2", &primes::GROUP_14)),
        ("too few tries", line("2 6 99 2047", "2", &primes::GROUP_14)),
        ("another size", line("2 6 100 2046", "2", &primes::GROUP_14)),
        ("another size", line("2 6 100 2049", "2", &primes::GROUP_14)),
        ("too small", line("2 6 100 1023", "2", &primes::GROUP_1)),
        ("even", line("2 6 100 2047", "2", &[&primes::GROUP_14[..255], &[0xfe]].concat())),
        ("generates nothing", line("2 6 100 2047", "1", &primes::GROUP_14)),
        ("a large generator", line("2 6 100 2047", &upper_hex(&primes::GROUP_18), &primes::GROUP_14)),
        ("no number", good.replace("20260101000000 2", "20260101000000 two")),
        ("a sign", good.replace(" 2 6", " -2 6")),
        ("no prime", line("2 6 100 2047", "2", &primes::GROUP_14).replace("FFFFC90F", "FFFFXXXX")),
        ("no text", "\u{0}\u{1}\u{2}".to_owned()),
    ] {
        assert!(!taken(&bad), "{what}: {bad}");
    }
    let mut long = line("2 6 100 2047", "2", &primes::GROUP_14);
    long.push_str(&"F".repeat(1_000_000));
    assert!(!taken(&long));
    assert!(taken(&line("2 12 1 2047", "2", &primes::GROUP_14)), "a stronger test needs no count of tries");
}

#[test]
fn the_best_size() {
    let sizes = [2048, 3072, 4096, 6144, 8192];
    let best = |minimum, preferred, maximum| super::best(sizes.into_iter(), &(minimum..=maximum), preferred);
    assert_eq!(best(2048, 2048, 8192), Some(2048));
    assert_eq!(best(2048, 2049, 8192), Some(3072), "the smallest that is not below");
    assert_eq!(best(2048, 5000, 6000), Some(4096), "else the largest that is");
    assert_eq!(best(2048, 8192, 8192), Some(8192));
    assert_eq!(best(3073, 3500, 4000), None);
}

#[test]
fn groups_are_within_the_clients_range_and_ours() {
    for (request, bits) in [
        ((1024, 1024, 8192), 2048),
        ((1024, 2048, 8192), 2048),
        ((2048, 3072, 8192), 3072),
        ((2048, 7680, 8192), 8192),
        ((2048, 4097, 5000), 4096),
        ((0, 8192, u32::MAX), 8192),
        ((2048, 100_000, u32::MAX), 8192),
    ] {
        let group = choose(&[], request.0, request.1, request.2).unwrap();
        assert_eq!(group.bits(), bits, "{request:?}");
        assert!(ModpGroup::received(&group.prime().unwrap(), &group.generator().unwrap(), 2048..=8192).is_ok());
    }
    for request in [
        (1024, 1024, 1024),
        (1024, 1024, 2047),
        (8193, 9000, 10_000),
        (3072, 2048, 8192),
        (2048, 9000, 8192),
        (8192, 4096, 2048),
        (2049, 2100, 3000),
        (0, 0, 0),
    ] {
        let refused = choose(&[], request.0, request.1, request.2);
        assert!(matches!(refused, Err(Error::Protocol(_))), "{request:?}");
    }
}

#[test]
fn groups_of_a_file_come_first() {
    for nothing in ["", "# nothing\n\n", "garbage"] {
        assert!(matches!(good_lines(nothing.as_bytes()), Err(Error::KeyFormat(_))), "{nothing}");
    }
    // The generators tell which group it is.
    let file = [
        "# time type tests tries size generator modulus".to_owned(),
        line("2 6 100 2047", "5", &primes::GROUP_14),
        line("2 6 100 2047", "7", &primes::GROUP_14),
        line("2 6 100 4095", "3", &primes::GROUP_16),
        line("2 2 100 8191", "3", &primes::GROUP_18),
    ];
    let lines = good_lines(file.join("\n").as_bytes()).unwrap();
    assert_eq!(lines.len(), 3);
    let generators = |preferred, maximum| -> std::collections::BTreeSet<Vec<u8>> {
        (0..64).map(|_| choose(&lines, 2048, preferred, maximum).unwrap().generator().unwrap()).collect()
    };
    assert_eq!(generators(2048, 8192), [vec![5], vec![7]].into(), "any of the best size");
    assert_eq!(generators(3072, 8192), [vec![3]].into());
    assert_eq!(generators(8192, 8192), [vec![3]].into(), "what the file has not is not made up");
    let group = choose(&lines, 6000, 7000, 8192).unwrap();
    assert_eq!((group.bits(), group.generator().unwrap()), (8192, vec![2]), "nothing of the file fits: built in");
    assert_eq!(generators(4096, 4096), [vec![3]].into());
}
