//! ssh-audit, newest of PyPI, against the server and with our client as its guest: with the default lists it says what
//! docs/algorithms.md gives the reasons of and nothing else, with the strict policy nothing.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Background, Folder, free_port, program, root, run, wait_for_port};

/// An algorithm, and words of ssh-audit about it.
type Finding = (String, String);

fn tool() -> PathBuf {
    root().join("tests/tools/ssh-audit")
}

/// The failures and warnings in ssh-audit's report. The first of an algorithm stands on its line, others below it.
fn findings(report: &str) -> BTreeSet<Finding> {
    let mut found = BTreeSet::new();
    let mut name = "";
    for line in report.lines() {
        if let Some((_, rest)) = line.split_once(") ").filter(|_| line.starts_with('(')) {
            name = rest.split_whitespace().next().unwrap_or_default();
        }
        for level in ["[fail] ", "[warn] "] {
            if let Some((_, words)) = line.split_once(level) {
                found.insert((name.to_owned(), words.trim().to_owned()));
            }
        }
    }
    found
}

/// It was a report, of a peer of ours whose handshake nobody can cut unnoticed.
fn expect_sound(report: &str) {
    for part in
        ["banner: SSH-2.0-nacre_", "(kex) mlkem768x25519-sha256", "(kex) kex-strict-", "(key) ssh-ed25519", "(mac) "]
    {
        assert!(report.contains(part), "no '{part}' in the report:\n{report}");
    }
    let terrapin = ["vulnerable to the Terrapin", "(cve)"].iter().find(|words| report.contains(*words));
    assert!(terrapin.is_none(), "{report}");
}

fn audit_server(options: &[&str]) -> String {
    let folder = Folder::new("audit");
    let port = free_port().to_string();
    let mut command = Command::new(program("c-examples/server"));
    command.args(["--port", &port, "--user", "tester", "--password", "open sesame"]).args(options);
    for (name, kind) in
        [("ed25519", &["-t", "ed25519"][..]), ("ecdsa", &["-t", "ecdsa"]), ("rsa", &["-t", "rsa", "-b", "3072"])]
    {
        command.arg("--hostkey").arg(folder.key(name, kind));
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _server = Background(child.expect("the server starts"));
    wait_for_port(port.parse().expect("a port"));
    let address = format!("127.0.0.1:{port}");
    let output = run(&tool(), &["-n", "--skip-rate-test", &address], b"", 300);
    let report = String::from_utf8(output.out).expect("text");
    assert!(!report.is_empty(), "{}", output.err);
    report
}

/// ssh-audit listens, and our client comes.
fn audit_client(options: &[&str]) -> String {
    let folder = Folder::new("audit-client");
    let password = folder.write("password", "x");
    // Made before the clock of ssh-audit starts.
    let output = run(&tool(), &["--help"], b"", 300);
    assert!(String::from_utf8_lossy(&output.out).contains("--client-audit"), "{}", output.err);
    let port = free_port().to_string();
    let report = folder.file("report");
    let child = Command::new(tool())
        .args(["-n", "-c", "-p", &port])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&report).expect("a file can be made"))
        .stderr(Stdio::null())
        .spawn();
    let mut audit = Background(child.expect("ssh-audit runs"));
    // It takes one guest only: the port is looked at from outside.
    let listening = format!(":{:04X} ", port.parse::<u16>().expect("a port"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string("/proc/net/tcp").is_ok_and(|table| table.contains(&listening)) {
        assert!(Instant::now() < deadline, "ssh-audit does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let address = format!("127.0.0.1:{port}");
    let mut arguments = vec!["--insecure", "--user", "tester", "--password-file", password.to_str().expect("plain")];
    arguments.extend(options);
    arguments.extend([address.as_str(), "true"]);
    let output = run(&program("c-examples/exec"), &arguments, b"", 60);
    assert_eq!(output.code, Some(255), "ssh-audit never lets anybody in");
    while audit.0.try_wait().expect("it can be waited for").is_none() {
        assert!(Instant::now() < deadline, "ssh-audit does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::read_to_string(report).expect("the report is there")
}

/// The last table of docs/algorithms.md.
fn documented() -> BTreeSet<Finding> {
    let text = fs::read_to_string(root().join("docs/algorithms.md")).expect("docs/algorithms.md is there");
    let section = text.split("\n## ").find(|section| section.starts_with("What ssh-audit says")).expect("it is there");
    let mut found = BTreeSet::new();
    for line in section.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [words, names, why] = cells.as_slice() else { continue };
        for name in names.split('`').skip(1).step_by(2) {
            assert!(why.len() > 20, "no reason for {name}");
            found.insert((name.to_owned(), (*words).to_owned()));
        }
    }
    found
}

#[test]
fn of_the_defaults_it_says_what_the_documentation_says() {
    let (server, client) = (audit_server(&[]), audit_client(&[]));
    expect_sound(&server);
    expect_sound(&client);
    let said: BTreeSet<Finding> = findings(&server).union(&findings(&client)).cloned().collect();
    assert_eq!(said, documented(), "left: ssh-audit, right: docs/algorithms.md");
    // A server is stricter than a client, never the other way around.
    let of_server_alone: Vec<_> = findings(&server).difference(&findings(&client)).cloned().collect();
    assert!(of_server_alone.is_empty(), "{of_server_alone:?}");
    // The reader of reports sees what is there.
    let words = "does not provide protection against post-quantum attacks";
    assert!(said.contains(&("ecdh-sha2-nistp521".to_owned(), words.to_owned())), "the second line of an algorithm");
}

/// What OpenSSH 10.5 offers by itself, in either role: the third column of the tables of docs/algorithms.md.
fn of_openssh() -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/algorithms.md")).expect("docs/algorithms.md is there");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, _, openssh, ..] = cells.as_slice() else { return None };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        ["default", "clients"].contains(openssh).then(|| name.to_owned())
    });
    rows.collect()
}

/// Whatever it says of ours, it says of OpenSSH: of the same algorithm, or, where OpenSSH offers that only by name, of
/// another.
#[test]
fn nothing_is_said_of_the_defaults_that_is_not_said_of_openssh() {
    let names = of_openssh();
    // Of "none" there are ciphers and MACs too.
    let asked: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != "none").collect();
    assert!(asked.len() > 30, "{asked:?}");
    let output = run(&tool(), &["-n", &format!("--lookup={}", asked.join(","))], b"", 300);
    let report = String::from_utf8(output.out).expect("text");
    assert!(report.contains("(mac) umac-64@openssh.com"), "{report}{}", output.err);
    let of_openssh = findings(&report);
    for (name, words) in documented() {
        let allowed = match names.contains(&name) {
            true => of_openssh.contains(&(name.clone(), words.clone())),
            false => of_openssh.iter().any(|(_, said)| *said == words),
        };
        assert!(allowed, "{name}: '{words}' is not said of OpenSSH 10.5's defaults");
    }
}

#[test]
fn of_the_strict_policy_it_says_nothing() {
    for report in [audit_server(&["--strict"]), audit_client(&["--strict"])] {
        expect_sound(&report);
        assert!(findings(&report).is_empty(), "{report}");
    }
}
