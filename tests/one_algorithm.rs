//! Peers that know one algorithm of a kind only: with one option on our side each of them is reached. OpenSSH's sshd and
//! ssh, limited to one algorithm after the other. `make test` takes two of each kind; NACRE_TEST_SEED says which.

mod support;

use std::path::Path;
use std::process::Command;

use nacre::transport::{AlgorithmKind, available};
use support::{Folder, Output, Server, Sshd, USER, full, program, run, run_command};

struct Kind {
    kind: AlgorithmKind,
    /// What `ssh -Q` calls it.
    query: &'static str,
    /// The keyword of sshd_config and ssh_config.
    keyword: &'static str,
    option: &'static str,
    /// What `exec --verbose` says before the name.
    said: &'static str,
}

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    Kind { kind: AlgorithmKind::Kex, query: "kex", keyword: "KexAlgorithms", option: "--kex", said: "key exchange  " },
    Kind { kind: AlgorithmKind::HostKey, query: "sig", keyword: "HostKeyAlgorithms", option: "--host-key-algorithms", said: "host key      " },
    Kind { kind: AlgorithmKind::Cipher, query: "cipher", keyword: "Ciphers", option: "--ciphers", said: "cipher        " },
    Kind { kind: AlgorithmKind::Mac, query: "mac", keyword: "MACs", option: "--macs", said: "cipher        aes128-ctr " },
    Kind { kind: AlgorithmKind::PubkeySignature, query: "sig", keyword: "PubkeyAcceptedAlgorithms", option: "--user-key-algorithms", said: "" },
];

/// What both have of a kind. Keys in hardware sign nothing here.
fn common(kind: &Kind) -> Vec<&'static str> {
    let output = run(Path::new("/usr/bin/ssh"), &["-Q", kind.query], b"", 10);
    let theirs = String::from_utf8(output.out).expect("text");
    let ours = available(kind.kind).into_iter().filter(|name| !name.starts_with("sk-"));
    let common: Vec<_> = ours.filter(|name| theirs.lines().any(|line| line == *name)).collect();
    assert!(common.len() >= 4, "{}: {common:?}", kind.query);
    common
}

/// All of them, or two that the seed chooses.
fn chosen(kind: &Kind) -> Vec<&'static str> {
    let mut names = common(kind);
    if full() {
        return names;
    }
    let given = std::env::var("NACRE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let mut seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    println!("NACRE_TEST_SEED={seed}");
    let mut picked = Vec::new();
    for _ in 0..2 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        picked.push(names.remove((seed >> 33) as usize % names.len()));
    }
    picked
}

/// A key that makes such signatures: a file in the folder.
fn key_for(folder: &Folder, algorithm: &str) -> std::path::PathBuf {
    let arguments: &[&str] = match algorithm {
        "ssh-ed25519" => &["-t", "ed25519"],
        "ecdsa-sha2-nistp256" => &["-t", "ecdsa", "-b", "256"],
        "ecdsa-sha2-nistp384" => &["-t", "ecdsa", "-b", "384"],
        "ecdsa-sha2-nistp521" => &["-t", "ecdsa", "-b", "521"],
        "rsa-sha2-512" | "rsa-sha2-256" | "ssh-rsa" => &["-t", "rsa", "-b", "2048"],
        other => panic!("no key is known for {other}"),
    };
    folder.key("key", arguments)
}

const COMMAND: &str = "head -c 300000 /dev/zero | sha256sum; exit 6";

fn expect_done(output: &Output, name: &str, said: &str, log: &str) {
    assert_eq!(output.code, Some(6), "{name}: {}\n{log}", output.err);
    assert_eq!(output.out, expected().as_bytes(), "{name}");
    assert!(output.err.contains(said), "{name}: '{said}' is not in\n{}", output.err);
}

fn expected() -> String {
    let hash = nacre::crypto::signature::sha256(&vec![0; 300_000]);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}  -\n")
}

/// Made once for a test: RSA keys take a while.
fn host_keys() -> Folder {
    let folder = Folder::new("one-host");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        folder.key(&format!("host_{kind}"), &["-t", kind]);
    }
    folder
}

fn start_sshd(host_keys: &Folder, lines: &[&str]) -> Sshd {
    let folder = Folder::new("one");
    for half in ["", ".pub"] {
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let file = format!("host_{kind}{half}");
            std::fs::copy(host_keys.file(&file), folder.file(&file)).expect("a host key can be copied");
        }
    }
    Sshd::start_in(folder, lines)
}

/// nacre's client and an sshd that has nothing else.
fn reach_sshd(kind: &Kind, name: &str, host_keys: &Folder) {
    let keys = Folder::new("one-key");
    let mut lines = vec![format!("{} {name}", kind.keyword)];
    let mut arguments: Vec<String> = ["--verbose", "--insecure", "--user", USER].map(str::to_owned).to_vec();
    match kind.kind {
        AlgorithmKind::Mac => lines.push("Ciphers aes128-ctr".to_owned()),
        AlgorithmKind::HostKey => lines.push(format!("HostKey {}", key_for(&keys, name).display())),
        _ => {}
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let sshd = start_sshd(host_keys, &lines);
    let mut key = sshd.key.clone();
    // The order of a client counts: what is to be tried first is put first.
    let edit = match kind.kind {
        AlgorithmKind::PubkeySignature => {
            key = key_for(&keys, name);
            sshd.authorize(&key);
            format!("^{name}")
        }
        _ => format!("+{name}"),
    };
    arguments.extend(["--key".to_owned(), key.to_str().expect("plain").to_owned()]);
    arguments.extend([kind.option.to_owned(), edit, sshd.address(), COMMAND.to_owned()]);
    let output = run(&program("c-examples/exec"), &arguments, b"", 60);
    let said = if kind.said.is_empty() { String::new() } else { format!("{}{name}", kind.said) };
    expect_done(&output, name, &said, &sshd.log());
}

/// nacre's server, and an ssh that has nothing else.
fn reach_us(kind: &Kind, name: &str) {
    let folder = Folder::new("one-client");
    let host = match kind.kind {
        AlgorithmKind::HostKey => key_for(&folder, name),
        _ => folder.key("host", &["-t", "ed25519"]),
    };
    let user = match kind.kind {
        AlgorithmKind::PubkeySignature => key_for(&folder, name),
        _ => folder.key("user", &["-t", "ed25519"]),
    };
    let edit = format!("+{name}");
    let server = Server::start(
        &folder,
        &[
            "--hostkey",
            host.to_str().expect("plain"),
            "--authorized-keys",
            &format!("{}.pub", user.display()),
            kind.option,
            &edit,
        ],
    );
    let mut command = ssh(server.port, &user);
    command.args(["-o", &format!("{}={name}", kind.keyword)]);
    if kind.kind == AlgorithmKind::Mac {
        command.args(["-o", "Ciphers=aes128-ctr"]);
    }
    command.arg(format!("{USER}@127.0.0.1")).arg(COMMAND);
    expect_done(&run_command(command, b"", 60), name, name, &server.log());
}

fn ssh(port: u16, user: &Path) -> Command {
    let mut command = Command::new("ssh");
    command
        .args(["-v", "-F", "none", "-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=none"])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"])
        .args(["-p", &port.to_string(), "-i"])
        .arg(user);
    command
}

fn each(kind: &Kind) {
    let host_keys = host_keys();
    for name in chosen(kind) {
        reach_sshd(kind, name, &host_keys);
        reach_us(kind, name);
    }
}

#[test]
fn one_key_exchange() {
    each(&KINDS[0]);
}

#[test]
fn one_host_key_algorithm() {
    each(&KINDS[1]);
}

#[test]
fn one_cipher() {
    each(&KINDS[2]);
}

#[test]
fn one_mac() {
    each(&KINDS[3]);
}

#[test]
fn one_signature_algorithm_of_users() {
    each(&KINDS[4]);
}

/// sshd has compression or not, and ssh wants it or not: there is no list of them. Old ones know the one that begins
/// before the login.
#[test]
fn one_compression() {
    let host_keys = host_keys();
    let known = run(Path::new("/usr/bin/ssh"), &["-Q", "compression"], b"", 10);
    let known = String::from_utf8(known.out).expect("text");
    for (setting, name) in [("no", "none"), ("yes", "zlib@openssh.com"), ("yes", "zlib")] {
        if name != "zlib" {
            let sshd = start_sshd(&host_keys, &[&format!("Compression {setting}")]);
            let (key, address) = (sshd.key.to_str().expect("plain"), sshd.address());
            let arguments = ["--verbose", "--insecure", "--user", USER, "--key", key, "--compression", name, &address];
            let output = run(&program("c-examples/exec"), &[&arguments[..], &[COMMAND]].concat(), b"", 60);
            expect_done(&output, name, &format!("compression   {name}"), &sshd.log());
        } else if !known.lines().any(|line| line == name) {
            continue;
        }
        let folder = Folder::new("one-compression");
        let (host, user) = (host_keys.file("host_ed25519"), folder.key("user", &["-t", "ed25519"]));
        let keys = format!("{}.pub", user.display());
        let options = ["--hostkey", host.to_str().expect("plain"), "--authorized-keys", &keys, "--compression", name];
        let server = Server::start(&folder, &options);
        let mut command = ssh(server.port, &user);
        command.args(["-o", &format!("Compression={setting}"), &format!("{USER}@127.0.0.1"), COMMAND]);
        expect_done(&run_command(command, b"", 60), name, &format!("compression: {name}\r\n"), &server.log());
    }
}
