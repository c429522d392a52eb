//! Combinations of algorithms with the real peers: each pair of names from two categories that both sides have comes
//! up in some row.
//!
//! The full product has tens of thousands of rows a peer and finds no more: what two algorithms share is the names
//! negotiated together and the keys derived for them, one category beside another.

use super::{Algorithms, Role, Server, Setup, Visit, excuses, failure_of};
use crate::support::{Folder, full, noise, program, run};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

const CATEGORIES: [&str; 5] = ["kex", "host-key", "cipher", "mac", "compression"];
const CIPHER: usize = 2;
const MAC: usize = 3;

/// Both ways; with new keys after half of it.
const BYTES: usize = 256 << 10;
const REKEY_BYTES: u64 = 128 << 10;

/// A name a category; no MAC beside a cipher that protects its packets itself.
pub type Row = [String; 5];
type Names = [Vec<String>; 5];

fn has_no_mac(cipher: &str) -> bool {
    cipher.contains("gcm") || cipher.contains("poly1305")
}

/// What our library has, also what it offers by name only.
pub fn ours() -> Names {
    let said = run(&program("c-tests/peer_client"), &["available"], b"", 10);
    let said = String::from_utf8(said.out).expect("names are ASCII");
    CATEGORIES.map(|category| {
        let list = said.lines().find_map(|line| line.strip_prefix(category)?.strip_prefix(' '));
        let list = list.unwrap_or_else(|| panic!("no list of {category} in {said:?}"));
        list.split(',').filter(|name| !needs_more(name)).map(str::to_owned).collect()
    })
}

/// Keys on security tokens are users' keys; certificates need an authority.
fn needs_more(name: &str) -> bool {
    name.starts_with("sk-") || name.contains("-cert-v")
}

fn both_have(peer: &str, role: Role) -> Names {
    let lacks = excuses::of(peer, role);
    let names = ours().map(|list| list.into_iter().filter(|name| !lacks.contains(name)).collect::<Vec<_>>());
    for (category, list) in CATEGORIES.iter().zip(&names) {
        assert!(!list.is_empty() || *category == "mac", "{peer} as {} has no {category} of ours", role.name());
    }
    names
}

fn algorithms(row: &Row) -> Algorithms {
    let some = |name: &String| (!name.is_empty()).then(|| name.clone());
    let [kex, host_key, cipher, mac, compression] = row.each_ref().map(some);
    Algorithms { kex, host_key, cipher, mac, compression }
}

/// The kind of key that signs with this algorithm, as ssh-keygen takes it.
fn key_of(algorithm: &str) -> &'static [&'static str] {
    match algorithm {
        "ssh-ed25519" => &["-t", "ed25519"],
        "ecdsa-sha2-nistp256" => &["-t", "ecdsa", "-b", "256"],
        "ecdsa-sha2-nistp384" => &["-t", "ecdsa", "-b", "384"],
        "ecdsa-sha2-nistp521" => &["-t", "ecdsa", "-b", "521"],
        "rsa-sha2-512" | "rsa-sha2-256" | "ssh-rsa" => &["-t", "rsa", "-b", "2048"],
        _ => panic!("no key for the host key algorithm {algorithm}"),
    }
}

// --- which rows -----------------------------------------------------------------------------------------------------

/// Random numbers that come again with the seed.
pub struct Random(u64);

impl Random {
    /// From `NACRE_MATRIX_SEED`, else of this moment; it is printed.
    pub fn of_test(name: &str) -> Self {
        let given = std::env::var("NACRE_MATRIX_SEED").ok().map(|seed| seed.parse().expect("the seed is a number"));
        let now =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |t| t.as_micros() as u64);
        let seed = given.unwrap_or_else(now);
        println!("{name}: NACRE_MATRIX_SEED={seed}");
        // Every test goes its own way from there.
        Self(name.bytes().fold(seed, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn keep<T>(&mut self, list: &mut Vec<T>, count: usize) {
        while list.len() > count {
            list.swap_remove(self.below(list.len()));
        }
    }

    fn one_of<'a>(&mut self, list: &'a [String]) -> &'a str {
        if list.is_empty() { "" } else { &list[self.below(list.len())] }
    }
}

/// Two categories, each with a name.
pub type Pair = (usize, String, usize, String);

fn pairs_of(row: &Row) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for first in 0..row.len() {
        for second in first + 1..row.len() {
            if !row[first].is_empty() && !row[second].is_empty() {
                pairs.push((first, row[first].clone(), second, row[second].clone()));
            }
        }
    }
    pairs
}

fn random_row(names: &Names, pair: Option<&Pair>, random: &mut Random) -> Row {
    let mut row = names.each_ref().map(|list| random.one_of(list).to_owned());
    if let Some((first, name, second, other)) = pair {
        row[*first].clone_from(name);
        row[*second].clone_from(other);
        let wants_mac = *first == MAC || *second == MAC;
        while wants_mac && has_no_mac(&row[CIPHER]) {
            row[CIPHER] = random.one_of(&names[CIPHER]).to_owned();
        }
    }
    if has_no_mac(&row[CIPHER]) {
        row[MAC].clear();
    }
    row
}

/// Rows in which every pair comes up that can.
pub fn rows(names: &Names, bad: &[Pair], random: &mut Random) -> Vec<Row> {
    let mut open: HashSet<Pair> = HashSet::new();
    let takes_mac = names[CIPHER].iter().any(|cipher| !has_no_mac(cipher));
    let names = &names.each_ref().map(|list| list.clone());
    for first in 0..names.len() {
        for second in first + 1..names.len() {
            for name in &names[first] {
                for other in &names[second] {
                    let needs_mac = first == MAC || second == MAC;
                    let impossible = needs_mac && (!takes_mac || (first == CIPHER && has_no_mac(name)));
                    let pair = (first, name.clone(), second, other.clone());
                    if !impossible && !bad.contains(&pair) {
                        open.insert(pair);
                    }
                }
            }
        }
    }
    let mut rows = Vec::new();
    while !open.is_empty() {
        // In an order of its own, not that of the set, which differs from run to run.
        let wanted = open.iter().min().expect("not empty").clone();
        let covers = |row: &Row| pairs_of(row).iter().filter(|pair| open.contains(*pair)).count();
        let works = |row: &Row| !pairs_of(row).iter().any(|pair| bad.contains(pair));
        let some = (0..40).map(|_| random_row(names, Some(&wanted), random)).filter(works);
        let best = some.max_by_key(covers).unwrap_or_else(|| panic!("no row has {wanted:?}"));
        for pair in pairs_of(&best) {
            open.remove(&pair);
        }
        rows.push(best);
    }
    rows
}

// --- running them ---------------------------------------------------------------------------------------------------

/// The servers and keys of one test.
struct Bench<'a> {
    peer: &'a str,
    role: Role,
    names: Names,
    folder: Folder,
    keys: HashMap<&'static [&'static str], PathBuf>,
    /// Their servers, one a kind of host key, that allow everything both sides have.
    servers: HashMap<&'static [&'static str], Server>,
}

impl<'a> Bench<'a> {
    fn new(peer: &'a str, role: Role, names: Names) -> Self {
        let folder = Folder::new("matrix");
        Self { peer, role, names, folder, keys: HashMap::new(), servers: HashMap::new() }
    }

    fn setup(&mut self, algorithm: &str, algorithms: Algorithms) -> (&'static [&'static str], Setup) {
        let kind = key_of(algorithm);
        let file = self.keys.entry(kind).or_insert_with(|| self.folder.key(&kind.concat(), kind)).clone();
        (kind, Setup { algorithms, host_key_file: Some(file), ..Setup::default() })
    }

    fn run(&mut self, row: &Row) {
        match self.role {
            Role::Server => self.our_client(row),
            Role::Client => self.our_server(row),
        }
    }

    fn our_client(&mut self, row: &Row) {
        let everything = self.names.each_ref().map(|list| list.join(","));
        let (kind, setup) = self.setup(&row[1], algorithms(&everything));
        // Only what this kind of key can sign.
        let signs = |name: &&String| key_of(name) == kind;
        let host_key: Vec<&str> = self.names[1].iter().filter(signs).map(String::as_str).collect();
        let algorithms_of_server = Algorithms { host_key: Some(host_key.join(",")), ..setup.algorithms.clone() };
        let setup = Setup { algorithms: algorithms_of_server, ..setup };
        let peer = self.peer;
        let server = self.servers.entry(kind).or_insert_with(|| Server::of_peer(peer, &setup));
        let visit = Visit::to(server).algorithms(&algorithms(row)).rekey(REKEY_BYTES);
        let output = visit.by_us("threads", server, &["echo", &BYTES.to_string()]);
        assert!(output.code == Some(0), "ended with {:?}: {}\n{}", output.code, output.err, last_lines(&server.log()));
        let said = |what: &str| {
            let line = output.err.lines().find_map(|line| line.strip_prefix(what));
            line.unwrap_or_else(|| panic!("it does not say {what}: {}", output.err)).trim().to_owned()
        };
        let negotiated = CATEGORIES.map(said);
        assert!(negotiated == *row, "negotiated {negotiated:?}");
        assert!(said("rekeys").parse::<u64>().is_ok_and(|count| count > 0), "no rekey: {}", output.err);
    }

    fn our_server(&mut self, row: &Row) {
        let (_, setup) = self.setup(&row[1], algorithms(row));
        let server = Server::ours(&Setup { rekey_bytes: Some(REKEY_BYTES), ..setup });
        let data = noise(BYTES, 11);
        let visit = Visit::to(&server).algorithms(&algorithms(row)).input(&data);
        let output = visit.by_peer(self.peer, &server, 1, "cat");
        let log = server.log_until("rekeys ");
        assert!(output.code == Some(0), "ended with {:?}: {}\n{log}", output.code, output.err);
        assert!(output.out == data, "{} bytes came back, not the same", output.out.len());
        let [kex, host_key, cipher, mac, compression] = row;
        let lines = [
            format!("host key {host_key}, key exchange {kex}"),
            format!("cipher {cipher} {mac}, compression {compression}\n"),
        ];
        assert!(lines.iter().all(|line| log.contains(line.as_str())), "negotiated something else:\n{log}");
        assert!(!log.contains("(rekeys 0)"), "no rekey:\n{log}");
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Some rows, or all of them, with one peer; and that it lacks what tests/peers.md says it lacks.
pub fn run_all(peer: &str, role: Role) {
    let names = both_have(peer, role);
    let name = format!("{peer} as {}", role.name());
    let mut random = Random::of_test(&name);
    let mut bad = bad_pairs(peer, role, &names);
    let mut rows = rows(&names, &bad, &mut random);
    let all = rows.len();
    let mut excused = excused(peer, role);
    if !full() {
        let sample = std::env::var("NACRE_MATRIX_ROWS").ok().map_or(3, |rows| rows.parse().expect("a number of rows"));
        random.keep(&mut rows, sample);
        random.keep(&mut excused, 1);
        random.keep(&mut bad, 1);
    }
    let mut bench = Bench::new(peer, role, names.clone());
    let mut wrong = Vec::new();
    for row in &rows {
        if let Err(reason) = failure_of(|| bench.run(row)) {
            wrong.push(format!("{}: {reason}", row.join(" ")));
        }
    }
    println!("{name}: {} of {all} rows passed", rows.len() - wrong.len());
    for (category, excuse) in &excused {
        match alone(peer, role, &plain(&names), *category, excuse) {
            Ok(()) => wrong.push(format!("{excuse}: it works, tests/peers.md need not excuse it")),
            Err(reason) if !before_keys(role, &reason) => wrong.push(format!("{excuse}: both have it: {reason}")),
            Err(_) => {}
        }
    }
    for (first, one, second, other) in &bad {
        let mut row = plain(&names);
        row[*first].clone_from(one);
        row[*second].clone_from(other);
        if failure_of(|| bench.run(&row)).is_ok() {
            wrong.push(format!("{one}+{other}: it works, tests/peers.md need not excuse it"));
        }
    }
    println!("{name}: {} algorithms that it lacks were refused, {} pairs failed", excused.len(), bad.len());
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// The algorithms that tests/peers.md excuses, each with its category.
fn excused(peer: &str, role: Role) -> Vec<(usize, String)> {
    let lacks = excuses::of(peer, role);
    let ours = ours().into_iter().enumerate();
    let ours = ours.flat_map(|(category, list)| list.into_iter().map(move |name| (category, name)));
    ours.filter(|(_, name)| lacks.contains(name)).collect()
}

/// The pairs, `name+name`, that tests/peers.md excuses.
fn bad_pairs(peer: &str, role: Role, names: &Names) -> Vec<Pair> {
    let lacks = excuses::of(peer, role);
    let category = |name: &str| {
        let found = names.iter().position(|list| list.iter().any(|known| known == name));
        found.unwrap_or_else(|| panic!("{peer} as {} and we do not both have {name}", role.name()))
    };
    let pairs = lacks.iter().filter_map(|name| name.split_once('+'));
    let pairs = pairs.map(|(one, other)| (category(one), one.to_owned(), category(other), other.to_owned()));
    let pairs: Vec<Pair> = pairs.collect();
    assert!(pairs.iter().all(|pair| pair.0 < pair.2), "not in the order of {CATEGORIES:?}: {pairs:?}");
    pairs
}

/// Whether it went wrong as it does when a side lacks the algorithm: there was no negotiation to begin with.
fn before_keys(role: Role, reason: &str) -> bool {
    match role {
        Role::Server => reason.contains("client: negotiation: ") || reason.contains("instead of where it listens"),
        Role::Client => reason.contains("ended with ") && !reason.contains(", key exchange "),
    }
}

/// What most have, of what both have.
fn plain(both: &Names) -> Row {
    let usual = ["curve25519-sha256", "ssh-ed25519", "aes128-ctr", "hmac-sha2-256", "none"];
    std::array::from_fn(|category| {
        let known = both[category].iter().find(|name| *name == usual[category]).or(both[category].first());
        known.cloned().unwrap_or_default()
    })
}

/// One name beside plain ones, with a server of its own.
fn alone(peer: &str, role: Role, plain: &Row, category: usize, name: &str) -> Result<(), String> {
    let mut row = plain.clone();
    row[category] = name.to_owned();
    assert!(category != MAC || !has_no_mac(&row[CIPHER]), "{peer} has no cipher that takes a MAC: {name} says nothing");
    if has_no_mac(&row[CIPHER]) {
        row[MAC].clear();
    }
    let names = row.each_ref().map(|name| if name.is_empty() { Vec::new() } else { vec![name.clone()] });
    failure_of(|| Bench::new(peer, role, names).run(&row))
}

/// Each name of ours alone with this peer, or the one that `NACRE_MATRIX_SURVEY` holds; says which fail and why, for the
/// table of tests/peers.md.
pub fn survey(peer: &str, role: Role) {
    let plain = plain(&both_have(peer, role));
    let wanted = std::env::var("NACRE_MATRIX_SURVEY").unwrap_or_default();
    let (mut lacks, mut reasons) = (Vec::new(), Vec::new());
    for (category, list) in ours().iter().enumerate() {
        for name in list.iter().filter(|name| wanted == "1" || **name == wanted) {
            if category == MAC && has_no_mac(&plain[CIPHER]) {
                continue;
            }
            if let Err(reason) = alone(peer, role, &plain, category, name) {
                lacks.push(format!("`{name}`"));
                reasons.push(format!("{peer} {} {name}: {reason}", role.name()));
            }
        }
    }
    println!("{}\n| {peer} | {} | | {} | |", reasons.join("\n"), role.name(), lacks.join(", "));
}
