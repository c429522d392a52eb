//! Known hosts beside OpenSSH: its files read by us, ours by it, and `exec --known-hosts` where ssh stands.

mod support;

use nacre::keys::{Addition, KeyType, KnownHosts, Marker, PrivateKey, PublicKey, Standing};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::{Folder, Output, Sshd, USER, program, run, run_command};

fn text(path: &Path) -> String {
    path.to_str().expect("a path of plain text").to_owned()
}

fn keygen(arguments: &[&str]) -> Output {
    run(Path::new("/usr/bin/ssh-keygen"), arguments, b"", 20)
}

fn public_key(path: &Path) -> PublicKey {
    PublicKey::from_line(fs::read_to_string(path).expect("a public key").trim_end()).expect("one line").0
}

/// What runs has no terminal to ask on.
fn without_a_terminal(arguments: &[String]) -> Output {
    let mut command = Command::new("setsid");
    command.arg("-w").args(arguments);
    run_command(command, b"", 60)
}

fn exec_line(sshd: &Sshd, known_hosts: &Path) -> Vec<String> {
    let mut line =
        vec![text(&program("c-examples/exec")), "--user".into(), USER.into(), "--key".into(), text(&sshd.key)];
    line.extend(["--known-hosts".into(), text(known_hosts), sshd.address(), "echo in".into()]);
    line
}

fn ssh_line(sshd: &Sshd, known_hosts: &Path, options: &[&str]) -> Vec<String> {
    let mut line: Vec<String> =
        ["ssh", "-F", "/dev/null", "-o", "GlobalKnownHostsFile=/dev/null"].map(String::from).into();
    line.extend(["-o".into(), format!("UserKnownHostsFile={}", known_hosts.display())]);
    for option in options {
        line.extend(["-o".into(), (*option).to_owned()]);
    }
    line.extend(["-i".into(), text(&sshd.key), "-p".into(), sshd.port.to_string()]);
    line.extend([format!("{USER}@127.0.0.1"), "echo in".into()]);
    line
}

/// A program on a terminal of its own, with what is typed there.
fn on_a_terminal(line: &[String], typed: &str) -> Output {
    let quoted: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &quoted.join(" "), "/dev/null"]);
    run_command(command, typed.as_bytes(), 60)
}

struct Case {
    what: &'static str,
    /// KEY, OTHER, ECDSA and PORT are put in.
    lines: &'static str,
    lets_in: bool,
    /// What exec says when it does not.
    says: &'static str,
}

const CASES: &[Case] = &[
    Case { what: "known", lines: "[127.0.0.1]:PORT KEY", lets_in: true, says: "" },
    Case {
        what: "known among others",
        lines: "x OTHER\n[127.0.0.1]:1,y,[127.0.0.1]:PORT KEY",
        lets_in: true,
        says: "",
    },
    Case { what: "known by two keys", lines: "[127.0.0.1]:PORT OTHER\n[127.0.0.1]:PORT KEY", lets_in: true, says: "" },
    Case { what: "known by a pattern", lines: "[127.0.0.?]:* KEY", lets_in: true, says: "" },
    Case { what: "known without its port", lines: "127.0.0.1 KEY", lets_in: true, says: "" },
    Case { what: "known by another type", lines: "[127.0.0.1]:PORT ECDSA", lets_in: true, says: "" },
    Case {
        what: "an exception",
        lines: "*,![127.0.0.1]:PORT,!127.0.0.1 KEY",
        lets_in: false,
        says: "The authenticity of host",
    },
    Case { what: "unknown", lines: "elsewhere KEY", lets_in: false, says: "The authenticity of host" },
    Case { what: "nothing", lines: "", lets_in: false, says: "The authenticity of host" },
    Case {
        what: "known as an authority",
        lines: "@cert-authority * KEY",
        lets_in: false,
        says: "The authenticity of host",
    },
    Case { what: "changed", lines: "[127.0.0.1]:PORT OTHER", lets_in: false, says: "HAS CHANGED" },
    Case { what: "changed, by a pattern", lines: "[127.*]:PORT OTHER", lets_in: false, says: "HAS CHANGED" },
    Case { what: "revoked", lines: "[127.0.0.1]:PORT KEY\n@revoked * KEY", lets_in: false, says: "revoked" },
    Case { what: "revoked first", lines: "@revoked * KEY\n[127.0.0.1]:PORT KEY", lets_in: false, says: "revoked" },
    Case { what: "another revoked", lines: "@revoked * OTHER\n[127.0.0.1]:PORT KEY", lets_in: true, says: "" },
    Case { what: "a wrong type", lines: "[127.0.0.1]:PORT ssh-rsa BASE64", lets_in: false, says: "The authenticity" },
    Case { what: "two markers", lines: "@revoked @revoked * KEY\n[127.0.0.1]:PORT KEY", lets_in: true, says: "" },
];

#[test]
fn exec_stands_where_ssh_stands() {
    let sshd = Sshd::start("states", &[]);
    let folder = Folder::new("states");
    let line = |path: &Path| public_key(path).to_line("");
    let key = line(&sshd.host_key("ed25519"));
    let other = line(&folder.key("other", &["-t", "ed25519"]).with_extension("pub"));
    let ecdsa = line(&sshd.host_key("ecdsa"));
    let base64 = key.split(' ').nth(1).expect("base64").to_owned();
    for case in CASES {
        let content = case.lines.replace("BASE64", &base64).replace("KEY", &key).replace("OTHER", &other);
        let content = content.replace("ECDSA", &ecdsa).replace("PORT", &sshd.port.to_string());
        let has_names_to_hash = !case.lines.contains(['*', '?']) && !case.lines.is_empty();
        for is_hashed in [false, true].into_iter().filter(|is_hashed| !is_hashed || has_names_to_hash) {
            let known_hosts = folder.write("known_hosts", format!("# before\n{content}\n"));
            if is_hashed {
                keygen(&["-q", "-H", "-f", &text(&known_hosts)]);
            }
            let before = fs::read(&known_hosts).expect("it is there");
            let ours = without_a_terminal(&exec_line(&sshd, &known_hosts));
            assert_eq!(fs::read(&known_hosts).expect("it is there"), before, "{}: it was changed", case.what);
            let theirs = without_a_terminal(&ssh_line(&sshd, &known_hosts, &[]));
            let outcome = (Some(if case.lets_in { 0 } else { 255 }), if case.lets_in { &b"in\n"[..] } else { b"" });
            let what = format!("{}, hashed: {is_hashed}", case.what);
            assert_eq!((ours.code, ours.out.as_slice()), outcome, "exec, {what}: {}", ours.err);
            assert_eq!((theirs.code, theirs.out.as_slice()), outcome, "ssh, {what}: {}", theirs.err);
            assert!(ours.err.contains(case.says), "{what}: {}", ours.err);
        }
    }
}

#[test]
fn what_ssh_has_written_is_known_to_us() {
    let sshd = Sshd::start("theirs", &[]);
    let folder = Folder::new("theirs");
    for (hash, kind) in [("no", "ed25519"), ("yes", "ed25519"), ("yes", "ecdsa"), ("no", "rsa")] {
        let known_hosts = folder.file(&format!("{hash}-{kind}"));
        let hash = format!("HashKnownHosts={hash}");
        let algorithms = match kind {
            "ed25519" => "HostKeyAlgorithms=ssh-ed25519",
            "ecdsa" => "HostKeyAlgorithms=ecdsa-sha2-nistp256",
            _ => "HostKeyAlgorithms=rsa-sha2-256",
        };
        let options = ["StrictHostKeyChecking=accept-new", "UpdateHostKeys=no", &hash, algorithms];
        let theirs = without_a_terminal(&ssh_line(&sshd, &known_hosts, &options));
        assert_eq!(theirs.out, b"in\n", "{}", theirs.err);
        let list = KnownHosts::parse(&fs::read(&known_hosts).expect("ssh wrote it"));
        assert_eq!(list.problems().count(), 0);
        assert_eq!(list.check("127.0.0.1", sshd.port, &public_key(&sshd.host_key(kind))), (Standing::Match, Some(1)));
        // Of the server's keys the one that is known is asked for.
        let ours = without_a_terminal(&exec_line(&sshd, &known_hosts));
        assert_eq!((ours.code, ours.out.as_slice()), (Some(0), &b"in\n"[..]), "{kind}: {}", ours.err);
    }
}

#[test]
fn what_we_have_written_is_known_to_ssh() {
    let sshd = Sshd::start("ours", &[]);
    let folder = Folder::new("ours");
    let known_hosts = folder.file("known_hosts");
    let line = exec_line(&sshd, &known_hosts);

    let refused = on_a_terminal(&line, "maybe\nno\n");
    let shown = String::from_utf8_lossy(&refused.out).into_owned();
    assert_eq!(refused.code, Some(255), "{shown}");
    assert!(shown.contains("Please type 'yes', 'no' or the fingerprint"), "{shown}");
    assert!(!known_hosts.exists());

    let accepted = on_a_terminal(&line, "yes\n");
    let shown = String::from_utf8_lossy(&accepted.out).into_owned();
    assert_eq!(accepted.code, Some(0), "{shown}");
    assert!(shown.contains("Permanently added"), "{shown}");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&known_hosts).unwrap().permissions()) & 0o777,
        0o600
    );
    let content = fs::read_to_string(&known_hosts).expect("exec wrote it");
    let expected = format!("[127.0.0.1]:{} {}\n", sshd.port, public_key(&sshd.host_key("ed25519")).to_line(""));
    assert_eq!(content, expected);

    let strict = ["StrictHostKeyChecking=yes", "HostKeyAlgorithms=ssh-ed25519"];
    let theirs = without_a_terminal(&ssh_line(&sshd, &known_hosts, &strict));
    assert_eq!(theirs.out, b"in\n", "{}", theirs.err);
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let file = text(&known_hosts);
    assert_eq!(keygen(&["-F", &name, "-f", &file]).code, Some(0));

    // And the ways that ssh-keygen changes it.
    keygen(&["-H", "-f", &file]);
    assert!(!fs::read_to_string(&known_hosts).expect("it is there").contains("127.0.0.1"));
    assert_eq!(without_a_terminal(&line).out, b"in\n");
    keygen(&["-R", &name, "-f", &file]);
    assert_eq!(without_a_terminal(&line).code, Some(255), "removed by ssh-keygen");

    // The fingerprint is an answer, too.
    let fingerprint = public_key(&sshd.host_key("ed25519")).fingerprint_sha256();
    let accepted = on_a_terminal(&line, &format!("{fingerprint}\n"));
    assert_eq!(accepted.code, Some(0), "{}", String::from_utf8_lossy(&accepted.out));
    assert_eq!(fs::read_to_string(&known_hosts).expect("it is there"), expected);

    // A yes does not help where the key has changed.
    let other = folder.key("other", &["-t", "ed25519"]).with_extension("pub");
    fs::write(&known_hosts, format!("{name} {}\n", public_key(&other).to_line(""))).expect("written");
    let refused = on_a_terminal(&line, "yes\n");
    assert_eq!(refused.code, Some(255));
    assert!(String::from_utf8_lossy(&refused.out).contains("HAS CHANGED"));
}

/// ssh-keygen -H, -R and -F beside what the list does.
#[test]
fn changes_as_ssh_keygen_makes_them() {
    let folder = Folder::new("keygen");
    let keys: Vec<PublicKey> =
        (0..3).map(|_| PrivateKey::generate(KeyType::Ed25519, 0).expect("a key").public().clone()).collect();
    let [one, two, three] = &keys[..] else { unreachable!() };
    let content = format!(
        "# a comment\n\na,b {} first\n*.x {}\n[a]:2222 {}\n@revoked a {}\n@cert-authority a,*.x {}\na {}\n",
        one.to_line(""),
        two.to_line(""),
        three.to_line(""),
        two.to_line(""),
        three.to_line(""),
        three.to_line(""),
    );
    for (host, port, name) in
        [("a", 22, "a"), ("b", 22, "b"), ("y.x", 22, "y.x"), ("a", 2222, "[a]:2222"), ("none", 22, "none")]
    {
        let file = folder.write("known_hosts", &content);
        let theirs = keygen(&["-R", name, "-f", &text(&file)]);
        assert_eq!(theirs.code, Some(0), "{}", theirs.err);
        let mut ours = KnownHosts::parse(content.as_bytes());
        ours.remove(host, port, None);
        assert_eq!(String::from_utf8_lossy(&ours.text()), fs::read_to_string(&file).expect("it is there"), "{name}");
    }

    let mut ours = KnownHosts::parse(content.as_bytes());
    let plain = Addition { marker: Marker::None, hashed: false, comment: "" };
    ours.add("new", 22, one, &plain).expect("added");
    ours.add("hidden", 22, two, &Addition { hashed: true, ..plain }).expect("added");
    ours.hash().expect("hashed");
    let file = text(&folder.write("hashed", ours.text()));
    for name in ["a", "b", "y.x", "[a]:2222", "new", "hidden"] {
        let found = keygen(&["-F", name, "-f", &file]);
        assert_eq!(found.code, Some(0), "ssh-keygen finds {name}: {}", found.err);
    }
    assert_eq!(keygen(&["-F", "other", "-f", &file]).code, Some(1));
    let theirs = text(&folder.write("theirs", &content));
    keygen(&["-H", "-f", &theirs]);
    let theirs = KnownHosts::parse(&fs::read(&theirs).expect("it is there"));
    for (host, port, key) in [("a", 22, one), ("b", 22, one), ("y.x", 22, two), ("a", 2222, three), ("a", 22, three)] {
        assert_eq!(theirs.check(host, port, key).0, Standing::Match, "{host}");
        assert_eq!(ours.check(host, port, key).0, Standing::Match, "{host}");
    }
    assert_eq!(theirs.check("a", 22, two).0, Standing::Revoked);
}
