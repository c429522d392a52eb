//! nacre's client against OpenSSH's sshd.

mod support;

use std::path::Path;
use support::{Folder, Output, PASSWORD, Sshd, USER, noise, program, run};

fn text(path: &Path) -> String {
    path.to_str().expect("a path of plain text").to_owned()
}

/// `c-examples/exec` with the host key of this kind, logging in with the key.
fn exec(sshd: &Sshd, options: &[&str], command: &str, input: &[u8]) -> Output {
    let mut arguments: Vec<String> = vec!["--user".into(), USER.into(), "--hostkey".into()];
    arguments.push(text(&sshd.host_key("ed25519")));
    arguments.extend(options.iter().map(|option| (*option).to_owned()));
    arguments.push(sshd.address());
    arguments.push(command.to_owned());
    run(&program("c-examples/exec"), &arguments, input, 60)
}

fn exec_with_key(sshd: &Sshd, command: &str, input: &[u8]) -> Output {
    exec(sshd, &["--key", &text(&sshd.key)], command, input)
}

/// `c-tests/peer_client`: one connection with chosen algorithms, in one engine mode.
fn peer(sshd: &Sshd, options: &[&str]) -> Output {
    let port = sshd.port.to_string();
    let key = text(&sshd.key);
    let mut arguments = vec!["--host", "127.0.0.1", "--port", &port, "--user", USER];
    if !options.contains(&"--auth") {
        arguments.extend(["--key", &key]);
    }
    arguments.extend(options);
    run(&program("c-tests/peer_client"), &arguments, b"", 120)
}

fn expect(output: &Output, code: i32, what: &str, sshd: &Sshd) {
    assert_eq!(
        output.code,
        Some(code),
        "{what}\nerror output: {}\noutput: {}\nsshd: {}",
        output.err,
        String::from_utf8_lossy(&output.out),
        sshd.log()
    );
}

#[test]
fn output_error_output_and_exit_status_apart() {
    let sshd = Sshd::start("streams", &[]);
    let output = exec_with_key(&sshd, "echo to stdout; echo to stderr >&2; exit 3", b"");
    expect(&output, 3, "exec", &sshd);
    assert_eq!(output.out, b"to stdout\n");
    assert_eq!(output.err, "to stderr\n");

    for code in [0, 1, 254] {
        expect(&exec_with_key(&sshd, &format!("exit {code}"), b""), code, "exit status", &sshd);
    }
    let output = exec_with_key(&sshd, "exit 255", b"");
    expect(&output, 255, "exit status 255", &sshd);
    assert_eq!(output.err, "", "255 from the command is no error of ours");
    let output = exec_with_key(&sshd, "kill -TERM $$", b"");
    assert!(output.err.contains("TERM"), "the signal is named: {:?}", output.err);
    assert_ne!(output.code, Some(0));
}

#[test]
fn the_host_key_is_checked() {
    let sshd = Sshd::start("hostkey", &[]);
    let key = text(&sshd.key);
    let address = sshd.address();
    let try_with = |check: &[&str]| {
        let mut arguments = vec!["--user", USER, "--key", &key];
        arguments.extend(check);
        arguments.extend([address.as_str(), "echo in"]);
        run(&program("c-examples/exec"), &arguments, b"", 30)
    };
    let none = try_with(&[]);
    assert_eq!(none.code, Some(255), "nothing to check with: refused");
    assert!(none.out.is_empty());
    let wrong = try_with(&["--fingerprint", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]);
    assert_eq!(wrong.code, Some(255), "{}", wrong.err);
    assert!(wrong.err.contains("SHA256:"), "the key that was shown is named: {}", wrong.err);
    let folder = Folder::new("other");
    let other = folder.key("other", &["-t", "ed25519"]);
    let other = text(&other.with_extension("pub"));
    assert_eq!(try_with(&["--hostkey", &other]).code, Some(255));
    assert!(!sshd.log().contains("Accepted"), "nobody logged in: {}", sshd.log());
    assert_eq!(try_with(&["--insecure"]).out, b"in\n");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let file = text(&sshd.host_key(kind));
        let output = try_with(&["--hostkey", &file]);
        assert_eq!(output.out, b"in\n", "{kind}: {}", output.err);
    }
}

#[test]
fn login_by_every_method() {
    let sshd = Sshd::start("methods", &["PasswordAuthentication yes", "KbdInteractiveAuthentication yes"]);
    let folder = Folder::new("keys");
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "3072"]),
    ] {
        let key = folder.key(name, arguments);
        sshd.authorize(&key);
        let output = exec(&sshd, &["--key", &text(&key)], "echo $USER", b"");
        expect(&output, 0, name, &sshd);
        assert_eq!(output.out, b"tester\n");
    }

    let right = text(&folder.write("right", PASSWORD));
    let wrong = text(&folder.write("wrong", "battery staple"));
    expect(&exec(&sshd, &["--password-file", &right], "true", b""), 0, "password", &sshd);
    let output = exec(&sshd, &["--password-file", &wrong], "true", b"");
    expect(&output, 255, "wrong password", &sshd);
    assert!(output.err.to_lowercase().contains("password"), "the methods that may continue: {}", output.err);

    let stranger = folder.key("stranger", &["-t", "ed25519"]);
    expect(&exec(&sshd, &["--key", &text(&stranger)], "true", b""), 255, "a key that may not", &sshd);

    for mode in ["threads", "caller"] {
        for method in ["password", "keyboard-interactive"] {
            let output = peer(&sshd, &["--engine", mode, "--auth", method, "--password", PASSWORD, "exec", "echo ok"]);
            expect(&output, 0, &format!("{method} {mode}"), &sshd);
            assert_eq!(output.out, b"ok\n");
        }
        let output = peer(&sshd, &["--engine", mode, "--auth", "none", "exec", "true"]);
        assert_ne!(output.code, Some(0));
        assert!(output.err.contains("publickey"), "none tells the methods: {}", output.err);
    }
}

#[test]
fn a_password_falls_back_to_keyboard_interactive() {
    let sshd = Sshd::start("fallback", &["PasswordAuthentication no", "KbdInteractiveAuthentication yes"]);
    let folder = Folder::new("password");
    let right = text(&folder.write("right", PASSWORD));
    let wrong = text(&folder.write("wrong", "x"));
    expect(&exec(&sshd, &["--password-file", &right], "true", b""), 0, "fallback", &sshd);
    expect(&exec(&sshd, &["--password-file", &wrong], "true", b""), 255, "fallback, wrong", &sshd);
}

#[test]
fn several_steps() {
    let sshd = Sshd::start(
        "steps",
        &["AuthenticationMethods publickey,password", "PasswordAuthentication yes", "KbdInteractiveAuthentication no"],
    );
    let key = text(&sshd.key);
    let output = exec_with_key(&sshd, "true", b"");
    expect(&output, 255, "the key alone is not enough", &sshd);
    let folder = Folder::new("password");
    let right = text(&folder.write("right", PASSWORD));
    let output = exec(&sshd, &["--key", &key, "--password-file", &right], "echo both", b"");
    expect(&output, 0, "key, then password", &sshd);
    assert_eq!(output.out, b"both\n");
}

#[test]
fn sixty_four_mebibytes_each_way() {
    let sshd = Sshd::start("bulk", &[]);
    let data = noise(64 << 20, 64);
    let file = sshd.folder.write("data", &data);
    std::process::Command::new("chmod").arg("644").arg(&file).status().expect("chmod runs");
    let output = exec_with_key(&sshd, &format!("cat {}", file.display()), b"");
    expect(&output, 0, "down", &sshd);
    assert!(output.out == data, "{} bytes came down, not the same", output.out.len());
    let output = exec_with_key(&sshd, "sha256sum", &data);
    expect(&output, 0, "up", &sshd);
    let local = run(Path::new("/usr/bin/sha256sum"), &[] as &[&str], &data, 60);
    assert_eq!(output.out, local.out);
    // Both at once.
    let output = exec_with_key(&sshd, "cat", &data);
    expect(&output, 0, "both ways", &sshd);
    assert!(output.out == data, "{} bytes came back, not the same", output.out.len());
}

#[test]
fn rekeys_every_256_kib_from_both_sides() {
    let sshd = Sshd::start("rekey", &["RekeyLimit 256K"]);
    for mode in ["threads", "caller"] {
        let output = peer(&sshd, &["--engine", mode, "--rekey-bytes", "262144", "--verbose", "echo", "16777216"]);
        expect(&output, 0, mode, &sshd);
        let rekeys: u32 = output
            .err
            .lines()
            .find_map(|line| line.strip_prefix("rekeys "))
            .and_then(|number| number.parse().ok())
            .expect("the number of rekeys is told");
        assert!(rekeys >= 32, "{rekeys} rekeys for 16 MiB each way");
    }
}

#[test]
fn a_hundred_channels_at_once() {
    let sshd = Sshd::start("channels", &[]);
    for mode in ["threads", "caller"] {
        let output = peer(&sshd, &["--engine", mode, "channels", "100"]);
        expect(&output, 0, mode, &sshd);
    }
}

/// The names that both sides know.
fn common(kind: &str, ours: &[&str]) -> Vec<String> {
    let query = run(Path::new("/usr/bin/ssh"), &["-Q", kind], b"", 10);
    let theirs = String::from_utf8(query.out).expect("names");
    let both: Vec<String> =
        ours.iter().filter(|name| theirs.lines().any(|line| line == **name)).map(|name| (*name).to_owned()).collect();
    assert!(!both.is_empty(), "no common {kind}");
    both
}

#[test]
fn every_kex_cipher_and_mac_that_both_have() {
    let sshd = Sshd::start("algorithms", &[]);
    let kex = common(
        "kex",
        &[
            "mlkem768x25519-sha256",
            "curve25519-sha256",
            "curve25519-sha256@libssh.org",
            "ecdh-sha2-nistp256",
            "ecdh-sha2-nistp384",
            "ecdh-sha2-nistp521",
        ],
    );
    for name in kex {
        let output = peer(&sshd, &["--kex", &name, "--verbose", "exec", "echo ok"]);
        expect(&output, 0, &name, &sshd);
        assert!(output.err.contains(&format!("kex {name}")), "{name}: {}", output.err);
    }
    let ciphers = common(
        "cipher",
        &[
            "aes128-gcm@openssh.com",
            "aes256-gcm@openssh.com",
            "chacha20-poly1305@openssh.com",
            "aes128-ctr",
            "aes192-ctr",
            "aes256-ctr",
        ],
    );
    for name in ciphers {
        let output = peer(&sshd, &["--ciphers", &name, "--verbose", "echo", "1048576"]);
        expect(&output, 0, &name, &sshd);
        assert!(output.err.contains(&format!("cipher {name}")), "{name}: {}", output.err);
    }
    let macs = common(
        "mac",
        &["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
    );
    for name in macs {
        let output = peer(&sshd, &["--ciphers", "aes128-ctr", "--macs", &name, "--verbose", "echo", "1048576"]);
        expect(&output, 0, &name, &sshd);
        assert!(output.err.contains(&format!("mac {name}")), "{name}: {}", output.err);
    }
    for name in ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"] {
        let output = peer(&sshd, &["--host-key-algorithms", name, "--verbose", "exec", "echo ok"]);
        expect(&output, 0, name, &sshd);
        assert!(output.err.contains(&format!("host-key {name}")), "{name}: {}", output.err);
    }
}

#[test]
fn a_failed_negotiation_names_the_category_and_both_lists() {
    let sshd = Sshd::start("mismatch", &["Ciphers aes256-ctr"]);
    let output = peer(&sshd, &["--ciphers", "aes128-gcm@openssh.com", "exec", "true"]);
    assert_ne!(output.code, Some(0));
    for part in ["cipher", "aes128-gcm@openssh.com", "aes256-ctr"] {
        assert!(output.err.contains(part), "{part}: {}", output.err);
    }
}
