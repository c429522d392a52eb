//! README.md's table of algorithms is what the code offers, and docs/algorithms.md says of each one why.
//! `make readme` writes the table anew.

mod support;

use std::fs;

use nacre::transport::{AlgorithmKind, Algorithms, Policy, available};
use nacre::wire::Role;
use support::root;

const KINDS: &[(AlgorithmKind, &str, &str)] = &[
    (AlgorithmKind::Kex, "Key exchange", "key exchange"),
    (AlgorithmKind::HostKey, "Host keys and users' keys", "signatures of hosts and users"),
    (AlgorithmKind::Cipher, "Ciphers", "ciphers"),
    (AlgorithmKind::Mac, "MACs", "MACs"),
    (AlgorithmKind::Compression, "Compression", "compression"),
];

const BEGIN: &str = "<!-- algorithms: `make readme` writes this -->\n\n";
const END: &str = "\n<!-- end -->\n";

/// In the words of docs/algorithms.md.
fn state(kind: AlgorithmKind, name: &str) -> &'static str {
    let default = Algorithms::default();
    let mut of_servers = Algorithms::default();
    of_servers.settle(Role::Server);
    let is_in = |lists: &Algorithms| lists.list(kind).contains(&name);
    match (is_in(&Algorithms::of(Policy::Strict)), is_in(&of_servers), is_in(&default)) {
        (true, true, true) => "strict",
        (false, true, true) => "default",
        (false, false, true) => "clients",
        (false, false, false) => "by name",
        odd => panic!("{name} is offered oddly: {odd:?}"),
    }
}

/// The table's own order, whatever the processor of this machine prefers.
fn in_order(kind: AlgorithmKind) -> Vec<&'static str> {
    match kind {
        AlgorithmKind::Cipher => nacre::crypto::CIPHERS.iter().map(|row| row.name).collect(),
        _ => available(kind),
    }
}

fn table() -> String {
    let columns = ["strict", "default", "clients", "by name"];
    let heads = ["strict policy and default", "default", "default of clients", "by name only"];
    let mut out = format!("| | {} |\n| --- | --- | --- | --- | --- |\n", heads.join(" | "));
    for (kind, _, noun) in KINDS {
        let cells = columns.map(|column| {
            let names = in_order(*kind).into_iter().filter(|name| state(*kind, name) == column);
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
        });
        out.push_str(&format!("| {noun} | {} |\n", cells.join(" | ")));
    }
    out
}

#[test]
fn the_table_of_the_readme_is_fresh() {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).expect("README.md is there");
    let begin = readme.find(BEGIN).expect("README.md has the table's mark") + BEGIN.len();
    let end = begin + readme[begin..].find(END).expect("README.md has the table's end");
    let made = table();
    if std::env::var_os("NACRE_WRITE_README").is_some() {
        fs::write(&path, format!("{}{made}{}", &readme[..begin], &readme[end..])).expect("README.md can be written");
        return;
    }
    assert!(readme[begin..end] == made, "README.md's table of algorithms is stale: run `make readme`");
}

/// The rows below a heading of docs/algorithms.md: name, nacre, OpenSSH, why.
fn rows<'t>(text: &'t str, heading: &str) -> Vec<[&'t str; 4]> {
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).expect("the section is there");
    section
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            let cells: [&str; 4] = cells.try_into().ok()?;
            let name = cells[0].strip_prefix('`')?.strip_suffix('`')?;
            Some([name, cells[1], cells[2], cells[3]])
        })
        .collect()
}

#[test]
fn every_algorithm_has_its_reason() {
    let text = fs::read_to_string(root().join("docs/algorithms.md")).expect("docs/algorithms.md is there");
    let mut wrong = Vec::new();
    for (kind, heading, _) in KINDS {
        let rows = rows(&text, heading);
        let there: Vec<&str> = rows.iter().filter(|row| row[1] != "no").map(|row| row[0]).collect();
        if there != in_order(*kind) {
            wrong.push(format!("{heading}: the page has\n  {there:?}, the code\n  {:?}", in_order(*kind)));
        }
        for [name, nacre, openssh, why] in &rows {
            let known = available(*kind).contains(name);
            if *nacre != (if known { state(*kind, name) } else { "no" }) {
                wrong.push(format!("{name} is not '{nacre}'"));
            }
            if !["default", "clients", "by name", "no"].contains(openssh) {
                wrong.push(format!("{name}: OpenSSH's '{openssh}' means nothing"));
            }
            if why.len() < 3 {
                wrong.push(format!("{name}: no reason"));
            }
            // What OpenSSH leaves to its user's wish is not offered here by itself without a word.
            let weaker = ["by name", "no"].contains(openssh) && ["strict", "default", "clients"].contains(nacre);
            if weaker && !why.contains("stronger") && !why.contains("the same") {
                wrong.push(format!("{name}: offered though OpenSSH does not, and not said to be stronger"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
