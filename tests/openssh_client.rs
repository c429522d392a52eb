//! OpenSSH's ssh against nacre's server.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use support::{Background, Folder, Output, noise, program, run, run_command};

const PASSWORD: &str = "open sesame";

/// `c-examples/server` on a port of its own.
struct Server {
    folder: Folder,
    port: u16,
    key: PathBuf,
    process: Background,
}

impl Server {
    fn start(name: &str, options: &[&str]) -> Self {
        let folder = Folder::new(name);
        let host = folder.key("host", &["-t", "ed25519"]);
        let key = folder.key("user", &["-t", "ed25519"]);
        std::fs::copy(key.with_extension("pub"), folder.file("authorized_keys")).expect("copied");
        let mut command = Command::new(program("c-examples/server"));
        command
            .args(["--port", "0", "--user", "tester", "--hostkey"])
            .arg(&host)
            .arg("--authorized-keys")
            .arg(folder.file("authorized_keys"))
            .args(options);
        Self::from(folder, key, command)
    }

    fn from(folder: Folder, key: PathBuf, mut command: Command) -> Self {
        let log = File::create(folder.file("log")).expect("a log can be made");
        let mut child: Child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("the server starts");
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().expect("piped"));
        reader.read_line(&mut line).expect("the first line can be read");
        let address = line.strip_prefix("listening on ").expect("the first line is `listening on ADDRESS:PORT`").trim();
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        // Whoever writes to the server's output later must not block it.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        let server = Self { folder, port, key, process: Background(child) };
        let host = std::fs::read_to_string(server.folder.file("host.pub")).expect("the host key is there");
        server.folder.write("known_hosts", format!("[127.0.0.1]:{port} {host}"));
        server
    }

    fn ssh_command(&self, options: &[&str], rest: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(options) // The first value of an option counts.
            .args(["-F", "none", "-o", "GlobalKnownHostsFile=none", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"])
            .args(["-o", "IdentityAgent=none", "-p", &self.port.to_string()])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.folder.file("known_hosts").display()));
        if !options.iter().any(|option| option.starts_with("PreferredAuthentications")) {
            command.args(["-o", "BatchMode=yes", "-i"]).arg(&self.key);
        }
        command.arg("tester@127.0.0.1").args(rest);
        command
    }

    fn ssh(&self, options: &[&str], rest: &[&str], input: &[u8]) -> Output {
        run_command(self.ssh_command(options, rest), input, 60)
    }

    /// ssh with the password typed for it.
    fn ssh_with_password(&self, password: &str, method: &str, rest: &[&str]) -> Output {
        let script = self.folder.write("askpass", "#!/bin/sh\nprintf '%s\\n' \"$TYPED\"\n");
        Command::new("chmod").arg("755").arg(&script).status().expect("chmod runs");
        let method = format!("PreferredAuthentications={method}");
        let mut command = self.ssh_command(&["-o", &method, "-o", "NumberOfPasswordPrompts=1"], rest);
        command.env("SSH_ASKPASS", script).env("SSH_ASKPASS_REQUIRE", "force").env("TYPED", password);
        run_command(command, b"", 60)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.file("log")).unwrap_or_default()
    }
}

fn expect(output: &Output, code: i32, what: &str, server: &Server) {
    assert_eq!(
        output.code,
        Some(code),
        "{what}\nerror output: {}\noutput: {}\nserver: {}",
        output.err,
        String::from_utf8_lossy(&output.out),
        server.log()
    );
}

#[test]
fn output_error_output_and_exit_status_apart() {
    let server = Server::start("serve", &[]);
    let output = server.ssh(&[], &["echo to stdout; echo to stderr >&2; exit 3"], b"");
    expect(&output, 3, "exec", &server);
    assert_eq!(output.out, b"to stdout\n");
    assert_eq!(output.err, "to stderr\n");
    for code in [0, 1, 255] {
        expect(&server.ssh(&[], &[&format!("exit {code}")], b""), code, "exit status", &server);
    }
    let output = server.ssh(&["-o", "LogLevel=DEBUG1"], &["kill -TERM $$"], b"");
    assert!(output.err.contains("exit-signal"), "the signal is passed on: {}", output.err);
    // A command that does not read its input, and one that reads it all.
    expect(&server.ssh(&[], &["true"], &noise(1 << 20, 3)), 0, "input that nobody reads", &server);
    let output = server.ssh(&[], &["wc -c"], &noise(100_000, 3));
    assert_eq!(String::from_utf8_lossy(&output.out).trim(), "100000");
}

#[test]
fn login_by_every_method() {
    let server = Server::start("login", &["--password", PASSWORD]);
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "3072"]),
    ] {
        let key = server.folder.key(name, arguments);
        let mut list = std::fs::OpenOptions::new()
            .append(true)
            .open(server.folder.file("authorized_keys"))
            .expect("authorized_keys can be opened");
        list.write_all(&std::fs::read(key.with_extension("pub")).expect("the public key")).expect("written");
        let output = server.ssh(&["-i", key.to_str().expect("plain")], &["echo", name], b"");
        expect(&output, 0, name, &server);
        assert_eq!(String::from_utf8_lossy(&output.out).trim(), name);
    }
    let stranger = server.folder.key("stranger", &["-t", "ed25519"]);
    let mut command = {
        let mut command = Command::new("ssh");
        command
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args(["-o", "PreferredAuthentications=publickey", "-p", &server.port.to_string(), "-i"])
            .arg(&stranger)
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", server.folder.file("known_hosts").display()))
            .args(["tester@127.0.0.1", "true"]);
        command
    };
    command.stdin(Stdio::null());
    expect(&run_command(command, b"", 60), 255, "a key that may not", &server);

    for method in ["password", "keyboard-interactive"] {
        let output = server.ssh_with_password(PASSWORD, method, &["echo ok"]);
        expect(&output, 0, method, &server);
        assert_eq!(output.out, b"ok\n");
        expect(&server.ssh_with_password("wrong", method, &["echo ok"]), 255, method, &server);
    }
}

#[test]
fn a_terminal_when_asked() {
    let server = Server::start("pty", &[]);
    let output = server.ssh(&["-tt"], &["tty; stty size; echo done"], b"");
    expect(&output, 0, "pty", &server);
    let text = String::from_utf8_lossy(&output.out).into_owned();
    assert!(text.contains("/dev/pts/"), "{text}");
    assert!(text.contains("done\r\n"), "a terminal's line ends: {text:?}");
    let output = server.ssh(&[], &["tty"], b"");
    assert_eq!(String::from_utf8_lossy(&output.out).trim(), "not a tty");
    // A shell: what is typed is run.
    let output = server.ssh(&["-tt"], &[], b"echo $((6 * 7))\nexit 5\n");
    expect(&output, 5, "shell", &server);
    assert!(String::from_utf8_lossy(&output.out).contains("42"));
    let output = server.ssh(&["-T"], &[], b"echo $((6 * 7))\nexit 6\n");
    expect(&output, 6, "shell without a terminal", &server);
    assert_eq!(output.out, b"42\n");
}

#[test]
fn sixty_four_mebibytes_each_way() {
    let server = Server::start("bulk", &[]);
    let data = noise(64 << 20, 46);
    let file = server.folder.write("data", &data);
    let output = server.ssh(&[], &[&format!("cat {}", file.display())], b"");
    expect(&output, 0, "down", &server);
    assert!(output.out == data, "{} bytes came down, not the same", output.out.len());
    let output = server.ssh(&[], &["sha256sum"], &data);
    expect(&output, 0, "up", &server);
    let local = run(Path::new("/usr/bin/sha256sum"), &[] as &[&str], &data, 60);
    assert_eq!(output.out, local.out);
    let output = server.ssh(&[], &["cat"], &data);
    expect(&output, 0, "both ways", &server);
    assert!(output.out == data, "{} bytes came back, not the same", output.out.len());
}

#[test]
fn rekeys_every_256_kib_from_both_sides() {
    let server = Server::start("rekey", &["--rekey-bytes", "262144"]);
    let data = noise(16 << 20, 7);
    // A quick exchange: with sntrup761 OpenSSH 9.2 spends a third of a second on each of them.
    let options =
        ["-o", "RekeyLimit=256K", "-o", "LogLevel=DEBUG1", "-o", "KexAlgorithms=curve25519-sha256@libssh.org"];
    let output = server.ssh(&options, &["cat"], &data);
    expect(&output, 0, "cat", &server);
    assert!(output.out == data, "{} bytes came back, not the same", output.out.len());
    let rekeys = output.err.matches("SSH2_MSG_NEWKEYS received").count();
    assert!(rekeys >= 32, "{rekeys} key exchanges for 16 MiB each way");
}

#[test]
fn a_hundred_channels_at_once() {
    let server = Server::start("channels", &[]);
    let control = server.folder.file("control");
    let control_path = format!("ControlPath={}", control.display());
    let mut master = server.ssh_command(&["-o", &control_path, "-o", "ControlMaster=yes"], &["-N"]);
    let _master = Background(master.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("ssh starts"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !control.exists() {
        assert!(std::time::Instant::now() < deadline, "no control socket: {}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let children: Vec<(u32, Child)> = (0..100)
        .map(|number| {
            // Each holds its channel until all are there.
            let mut command =
                server.ssh_command(&["-o", &control_path], &[&format!("read go; echo {number}; exit {}", number % 7)]);
            let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            (number, child.expect("ssh starts"))
        })
        .collect();
    let mut children = children;
    for (_, child) in &mut children {
        child.stdin.take().expect("piped").write_all(b"go\n").expect("written");
    }
    for (number, mut child) in children {
        let mut out = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut out).expect("read");
        assert_eq!(out, format!("{number}\n"), "{}", server.log());
        assert_eq!(child.wait().expect("it ends").code(), Some((number % 7) as i32));
    }
}

#[test]
fn every_kex_cipher_mac_and_host_key_that_both_have() {
    let server = Server::start("algorithms", &[]);
    let ask =
        |kind: &str| String::from_utf8(run(Path::new("/usr/bin/ssh"), &["-Q", kind], b"", 10).out).expect("names");
    for (kind, option, ours) in [
        (
            "kex",
            "KexAlgorithms",
            &[
                "mlkem768x25519-sha256",
                "curve25519-sha256",
                "curve25519-sha256@libssh.org",
                "ecdh-sha2-nistp256",
                "ecdh-sha2-nistp384",
                "ecdh-sha2-nistp521",
            ][..],
        ),
        (
            "cipher",
            "Ciphers",
            &[
                "aes128-gcm@openssh.com",
                "aes256-gcm@openssh.com",
                "chacha20-poly1305@openssh.com",
                "aes128-ctr",
                "aes192-ctr",
                "aes256-ctr",
            ],
        ),
        (
            "mac",
            "MACs",
            &["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"],
        ),
    ] {
        let theirs = ask(kind);
        let both: Vec<_> = ours.iter().filter(|name| theirs.lines().any(|line| line == **name)).collect();
        assert!(both.len() > 3, "{kind}: {theirs}");
        let data = noise(1 << 20, 5);
        for name in both {
            let chosen = format!("{option}={name}");
            let mut options = vec!["-o", chosen.as_str()];
            if kind == "mac" {
                options.extend(["-o", "Ciphers=aes256-ctr"]);
            }
            let output = server.ssh(&options, &["cat"], &data);
            expect(&output, 0, name, &server);
            assert!(output.out == data, "{name}");
        }
    }
}

#[test]
fn it_serves_once_and_ends_cleanly() {
    let mut server = Server::start("once", &["--once"]);
    expect(&server.ssh(&[], &["exit 9"], b""), 9, "once", &server);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let status = loop {
        if let Some(status) = server.process.0.try_wait().expect("it can be asked") {
            break status;
        }
        assert!(std::time::Instant::now() < deadline, "--once does not end: {}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));

    let mut server = Server::start("sigterm", &[]);
    let mut busy = server.ssh_command(&[], &["sleep 60"]);
    let _busy = Background(busy.stdin(Stdio::null()).spawn().expect("ssh starts"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(server.process.terminate().code(), Some(0), "{}", server.log());
}
