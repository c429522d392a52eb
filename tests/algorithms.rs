//! Which algorithms are used, chosen from outside: the options of the programs, and what they say.

mod support;

use support::{Folder, Output, PASSWORD, Server, USER, program, run};

/// `c-examples/server` with an Ed25519 and an RSA key.
struct Served {
    folder: Folder,
    server: Server,
}

impl Served {
    fn start(name: &str, options: &[&str]) -> Self {
        let folder = Folder::new(name);
        let (ed25519, rsa) = (folder.key("ed25519", &["-t", "ed25519"]), folder.key("rsa", &["-t", "rsa"]));
        folder.write("password", PASSWORD);
        let mut all = vec!["--password", PASSWORD, "--hostkey", ed25519.to_str().expect("plain"), "--hostkey"];
        all.push(rsa.to_str().expect("plain"));
        all.extend(options);
        let server = Server::start(&folder, &all);
        Self { folder, server }
    }

    fn exec(&self, options: &[&str], command: &str) -> Output {
        let password = self.folder.file("password");
        let password = password.to_str().expect("plain");
        let mut arguments = vec!["--verbose", "--insecure", "--user", USER, "--password-file", password];
        arguments.extend(options);
        let address = self.server.address();
        arguments.extend([address.as_str(), command]);
        run(&program("c-examples/exec"), &arguments, b"", 60)
    }
}

#[test]
fn options_choose_the_algorithms() {
    let server = Served::start("options", &["--ciphers=-aes256-gcm@openssh.com", "--macs", "^hmac-sha2-512"]);
    let output = server.exec(
        &[
            "--kex",
            "ecdh-sha2-nistp384,curve25519-sha256",
            "--host-key-algorithms",
            "rsa-sha2-256",
            "--ciphers",
            "aes256-gcm@openssh.com,aes192-ctr",
            "--macs=-hmac-sha2-256-etm@openssh.com",
            "--compression",
            "none",
            "--rekey-bytes",
            "100000",
        ],
        "head -c 1000000 /dev/zero | wc -c; exit 3",
    );
    assert_eq!(output.code, Some(3), "{}", output.err);
    assert_eq!(output.out, b"1000000\n");
    for line in [
        "host key      rsa-sha2-256 SHA256:",
        "key exchange  ecdh-sha2-nistp384, strict",
        "cipher        aes192-ctr hmac-sha2-512-etm@openssh.com",
        "compression   none",
    ] {
        assert!(output.err.contains(line), "{line}: {}", output.err);
    }
}

#[test]
fn a_failed_negotiation_is_told_by_category_with_both_lists_on_both_sides() {
    let server = Served::start("disjoint", &["--ciphers", "aes256-ctr,aes192-ctr"]);
    let output = server.exec(&["--ciphers", "aes128-ctr"], "true");
    assert_eq!(output.code, Some(255));
    let said =
        "no common cipher from client to server: this side offers aes128-ctr, the peer offers aes256-ctr,aes192-ctr";
    assert!(output.err.contains(said), "{}", output.err);
    let log = server.server.log();
    let said = "this side offers aes256-ctr,aes192-ctr, the peer offers aes128-ctr";
    assert!(log.contains(said), "{log}");
}

#[test]
fn unknown_names_are_refused_by_name_before_anything_else() {
    let server = Served::start("unknown", &[]);
    for (option, noun) in [
        ("--kex", "key exchange method"),
        ("--host-key-algorithms", "host key algorithm"),
        ("--ciphers", "cipher"),
        ("--macs", "MAC"),
        ("--compression", "compression"),
        ("--user-key-algorithms", "signature algorithm"),
    ] {
        let said = format!("unknown {noun} 'rot13'");
        let output = server.exec(&[option, "+rot13"], "true");
        assert_eq!(output.code, Some(255), "{option}");
        assert!(output.err.contains(&said), "{option}: {}", output.err);
        let key = server.folder.file("ed25519");
        let key = key.to_str().expect("plain");
        let arguments = ["--port", "0", "--user", "u", "--password", "p", "--hostkey", key, option, "rot13"];
        let output = run(&program("c-examples/server"), &arguments, b"", 10);
        assert_eq!(output.code, Some(1), "{option}");
        assert!(output.out.is_empty() && output.err.contains(&said), "{option}: {}", output.err);
    }
}

#[test]
fn strict_sides_meet_and_refuse_the_rest() {
    let server = Served::start("strict", &["--strict"]);
    let output = server.exec(&["--strict"], "exit 7");
    assert_eq!(output.code, Some(7), "{}", output.err);
    assert!(output.err.contains("key exchange  mlkem768x25519-sha256, strict"), "{}", output.err);
    let output = server.exec(&["--kex", "curve25519-sha256,ecdh-sha2-nistp256"], "true");
    assert_eq!(output.code, Some(255));
    assert!(output.err.contains("no common key exchange method: this side offers curve25519-"), "{}", output.err);
    let output = server.exec(&["--ciphers", "aes256-ctr", "--macs", "hmac-sha2-256"], "true");
    assert_eq!(output.code, Some(255));
    assert!(output.err.contains("no common MAC from client to server"), "{}", output.err);
    let output = server.exec(&["--strict", "--kex", "+curve25519-sha256"], "true");
    assert_eq!(output.code, Some(255));
    assert!(output.err.contains("the strict policy has no key exchange method 'curve25519-sha256'"), "{}", output.err);
    for options in [&["--ciphers", "aes256-ctr"][..], &["--ciphers", "chacha20-poly1305@openssh.com"], &[]] {
        assert_eq!(
            server.exec(options, "exit 2").code,
            Some(2),
            "what is strict and what is not have enough in common"
        );
    }
}
