//! The example programs beside exec and server, which `openssh_server` and `openssh_client` run.

mod support;

use std::path::Path;
use std::process::Command;
use support::{PASSWORD, Sshd, USER, program, root, run, run_command};

fn fingerprint(key: &Path) -> String {
    let output = run(Path::new("/usr/bin/ssh-keygen"), &["-lf", key.to_str().expect("plain")], b"", 10);
    String::from_utf8(output.out).expect("text").split(' ').nth(1).expect("a fingerprint").to_owned()
}

#[test]
fn hello_runs_a_command() {
    let sshd = Sshd::start("hello", &[]);
    let key = sshd.key.to_str().expect("plain").to_owned();
    let right = fingerprint(&sshd.host_key("ed25519"));
    let hello = |fingerprint: &str| {
        let command = "echo out; echo err >&2; exit 4";
        run(&program("c-examples/hello"), &[&sshd.address(), USER, &key, fingerprint, command], b"", 30)
    };
    let output = hello(&right);
    assert_eq!((output.code, output.out.as_slice(), output.err.as_str()), (Some(4), &b"out\n"[..], "err\n"));
    let output = hello("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(output.code, Some(255));
    assert!(output.out.is_empty());
}

#[test]
fn the_readme_shows_hello() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let source = std::fs::read_to_string(root().join("c-examples/hello.c")).expect("hello.c is there");
    assert!(source.lines().count() <= 40, "hello.c has more than 40 lines");
    assert!(readme.contains(&source), "README.md shows another hello.c than c-examples has");
}

#[test]
fn poll_many_runs_a_command_everywhere() {
    let first = Sshd::start("many", &[]);
    let key = first.key.to_str().expect("plain").to_owned();
    let address = first.address();
    let mut arguments = vec!["--user", USER, "--key", &key, "--insecure", "echo one; echo two >&2"];
    arguments.extend(std::iter::repeat_n(address.as_str(), 20));
    let output = run(&program("c-examples/poll_many"), &arguments, b"", 60);
    assert_eq!(output.code, Some(0), "{}", output.err);
    let text = String::from_utf8(output.out).expect("text");
    assert_eq!(text.matches(&format!("{address}: one\n")).count(), 20, "{text}");
    assert_eq!(text.matches(&format!("{address}: two\n")).count(), 20, "{text}");

    let nobody = format!("127.0.0.1:{}", support::free_port());
    let arguments = ["--user", USER, "--key", &key, "--insecure", "exit 3", &address, &nobody];
    let output = run(&program("c-examples/poll_many"), &arguments, b"", 60);
    assert_eq!(output.code, Some(255));
    assert!(output.err.contains(&nobody), "the host that failed is named: {}", output.err);
    let arguments = ["--user", USER, "--key", &key, "--insecure", "exit 3", &address];
    assert_eq!(run(&program("c-examples/poll_many"), &arguments, b"", 60).code, Some(1));
}

/// A program on a terminal of its own.
fn on_a_terminal(line: &str, typed: &[u8]) -> support::Output {
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", line, "/dev/null"]).env("TERM", "xterm");
    run_command(command, typed, 60)
}

#[test]
fn shell_is_a_terminal() {
    let sshd = Sshd::start("shell", &["PasswordAuthentication yes"]);
    let password = sshd.folder.write("password", PASSWORD);
    let line = format!(
        "stty rows 31 cols 97; exec {} --user {USER} --password-file {} --hostkey {} {}",
        program("c-examples/shell").display(),
        password.display(),
        sshd.host_key("ed25519").display(),
        sshd.address()
    );
    let output = on_a_terminal(&line, b"stty size; tty; echo $TERM $((6 * 7)); exit 5\n");
    let text = String::from_utf8_lossy(&output.out).into_owned();
    assert_eq!(output.code, Some(5), "{text}");
    for part in ["31 97", "/dev/pts/", "xterm 42"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn every_program_explains_itself() {
    for name in ["exec", "shell", "server", "poll_many"] {
        let output = run(&program(&format!("c-examples/{name}")), &["--help"], b"", 10);
        assert_eq!(output.code, Some(0), "{name}");
        assert!(String::from_utf8_lossy(&output.out).starts_with(&format!("usage: {name} ")));
        let output = run(&program(&format!("c-examples/{name}")), &["--nonsense"], b"", 10);
        assert!(output.code.is_some_and(|code| code != 0), "{name}");
        assert!(output.err.contains("usage: "), "{name}");
    }
}
