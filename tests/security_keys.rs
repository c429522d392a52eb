//! Keys in security keys and small RSA keys between nacre and OpenSSH. The security keys are software behind an agent of the
//! test's own; that sshd takes what they sign is what makes them good for anything.

#[path = "support/security_key.rs"]
mod security_key;
mod support;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use nacre::wire::{Reader, Writer};
use security_key::SecurityKey;
use support::{Folder, Output, Server, Sshd, USER, program, run, run_command};

/// Of the agent protocol (RFC 9987).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// An agent with one security key, which counts its signatures.
struct Agent {
    socket: PathBuf,
    key: Arc<Mutex<SecurityKey>>,
}

impl Agent {
    fn start(folder: &Folder, key: SecurityKey) -> Self {
        let socket = folder.file("agent");
        let listener = UnixListener::bind(&socket).expect("a socket can be made");
        let agent = Self { socket, key: Arc::new(Mutex::new(key)) };
        let key = Arc::clone(&agent.key);
        // Both end with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let key = Arc::clone(&key);
                std::thread::spawn(move || serve(stream, &key));
            }
        });
        agent
    }

    fn says(&self, flags: u8) {
        self.key.lock().expect("a key").flags = flags;
    }

    /// The public half, in a file.
    fn line(&self, folder: &Folder) -> PathBuf {
        folder.write("soft.pub", self.key.lock().expect("a key").public().to_line("soft") + "\n")
    }
}

fn serve(mut stream: UnixStream, key: &Mutex<SecurityKey>) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let answer = answer(&request, &mut key.lock().expect("a key"));
        if stream.write_all(&Writer::new().string(answer).finish()).is_err() {
            return;
        }
    }
}

fn answer(request: &[u8], key: &mut SecurityKey) -> Vec<u8> {
    let mut fields = Reader::new(request);
    match fields.u8().expect("a number") {
        REQUEST_IDENTITIES => Writer::new().u8(IDENTITIES_ANSWER).u32(1).string(key.blob()).string("soft").finish(),
        SIGN_REQUEST if fields.string().expect("a key") == key.blob() => {
            key.counter += 1;
            let signature = key.sign(fields.string().expect("data"));
            Writer::new().u8(SIGN_RESPONSE).string(signature).finish()
        }
        _ => vec![FAILURE],
    }
}

/// ssh with the keys of the agent only.
fn ssh(agent: &Agent, port: u16, command: &str) -> Output {
    let mut ssh = Command::new("ssh");
    ssh.env("SSH_AUTH_SOCK", &agent.socket)
        .args(["-v", "-F", "none", "-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=none"])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "IdentityFile=none"])
        .args(["-o", "PreferredAuthentications=publickey", "-p", &port.to_string()])
        .arg(format!("{USER}@127.0.0.1"))
        .arg(command);
    run_command(ssh, b"", 60)
}

fn soft_keys() -> [SecurityKey; 2] {
    [SecurityKey::ed25519(), SecurityKey::ecdsa()]
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain")
}

/// OpenSSH's own word on our software keys: right when touched, refused when not.
#[test]
fn sshd_takes_the_software_keys() {
    for key in soft_keys() {
        let name = key.algorithm;
        let sshd = Sshd::start("sk-sshd", &[]);
        let agent = Agent::start(&sshd.folder, key);
        sshd.authorize(&agent.line(&sshd.folder));
        let output = ssh(&agent, sshd.port, "exit 6");
        assert_eq!(output.code, Some(6), "{name}: {}\n{}", output.err, sshd.log());
        agent.says(0);
        assert_eq!(ssh(&agent, sshd.port, "exit 6").code, Some(255), "{name}: {}", sshd.log());
    }
}

#[test]
fn ssh_logs_in_with_a_security_key() {
    for key in soft_keys() {
        let name = key.algorithm;
        let folder = Folder::new("sk-ssh");
        let host = folder.key("host", &["-t", "ed25519"]);
        let agent = Agent::start(&folder, key);
        let line = agent.line(&folder);
        let present = SecurityKey::PRESENT;
        let both = present | SecurityKey::VERIFIED;
        for (options, flags, said) in [
            (&[][..], present, Some("touched, user not verified")),
            (&[], both, Some("touched, user verified")),
            (&[], 0, None),
            (&["--no-touch"], 0, Some("not touched, user not verified")),
            (&["--verify"], present, None),
            (&["--verify"], both, Some("touched, user verified")),
            (&["--verify", "--no-touch"], SecurityKey::VERIFIED, Some("not touched, user verified")),
        ] {
            let arguments = ["--hostkey", text(&host), "--authorized-keys", text(&line)];
            let server = Server::start(&folder, &[&arguments[..], options].concat());
            agent.says(flags);
            let output = ssh(&agent, server.port, "exit 6");
            let counter = agent.key.lock().expect("a key").counter;
            let wanted = if said.is_some() { 6 } else { 255 };
            assert_eq!(output.code, Some(wanted), "{name} {options:?} {flags}: {}\n{}", output.err, server.log());
            match said {
                Some(said) => {
                    let line = format!("security key: {said}, counter {counter}");
                    assert!(server.log().contains(&line), "{line}: {}", server.log());
                }
                // The application does not even hear of it.
                None => assert!(!server.log().contains("security key:"), "{}", server.log()),
            }
        }
    }
}

/// The host key of an sshd is in a security key: nobody touches it.
#[test]
fn a_host_key_of_sshd_in_a_security_key() {
    for key in soft_keys() {
        let name = key.algorithm;
        let folder = Folder::new("sk-host");
        let agent = Agent::start(&folder, key);
        let line = agent.line(&folder);
        let lines = [format!("HostKey {}", line.display()), format!("HostKeyAgent {}", agent.socket.display())];
        let sshd = Sshd::start_in(folder, &[&lines[0], &lines[1], &format!("HostKeyAlgorithms {name}")]);
        for flags in [0, SecurityKey::PRESENT] {
            agent.says(flags);
            let arguments = ["--verbose", "--hostkey", text(&line), "--user", USER, "--key", text(&sshd.key)];
            let address = sshd.address();
            let arguments = [&arguments[..], &[&address, "exit 6"]].concat();
            let output = run(&program("c-examples/exec"), &arguments, b"", 60);
            assert_eq!(output.code, Some(6), "{name} {flags}: {}\n{}", output.err, sshd.log());
            assert!(output.err.contains(&format!("host key      {name} SHA256:")), "{}", output.err);
        }
    }
}

/// Of the host, then of the user: refused by default, reached with one option.
#[test]
fn an_sshd_with_rsa_keys_of_1024_bits() {
    let folder = Folder::new("small-sshd");
    for file in ["host_rsa", "user_rsa"] {
        folder.key(file, &["-t", "rsa", "-b", "1024"]);
    }
    let sshd = Sshd::start_in(folder, &["RequiredRSASize 1024", "HostKeyAlgorithms rsa-sha2-256,ecdsa-sha2-nistp256"]);
    let small = sshd.folder.file("user_rsa");
    sshd.authorize(&small);
    for (host, key, is_small) in [
        ("rsa-sha2-256", &sshd.key, true),
        ("ecdsa-sha2-nistp256", &small, true),
        ("ecdsa-sha2-nistp256", &sshd.key, false),
    ] {
        for option in [&[][..], &["--rsa-bits", "1024"]] {
            let address = sshd.address();
            let arguments =
                ["--verbose", "--insecure", "--user", USER, "--key", text(key), "--host-key-algorithms", host];
            let arguments = [&arguments[..], option, &[&address, "exit 6"]].concat();
            let output = run(&program("c-examples/exec"), &arguments, b"", 60);
            let fits = !is_small || !option.is_empty();
            assert_eq!(output.code, Some(if fits { 6 } else { 255 }), "{host}: {}\n{}", output.err, sshd.log());
            assert!(
                fits || output.err.contains("an RSA key of 1024 bits is too small, 2048 are needed"),
                "{}",
                output.err
            );
        }
    }
}

#[test]
fn an_ssh_with_rsa_keys_of_1024_bits() {
    let folder = Folder::new("small-ssh");
    let small_host = folder.key("small_host", &["-t", "rsa", "-b", "1024"]);
    let host = folder.key("host", &["-t", "ed25519"]);
    let small_user = folder.key("small_user", &["-t", "rsa", "-b", "1024"]);
    let user = folder.key("user", &["-t", "ed25519"]);
    for (host_key, key, is_small) in [(&small_host, &user, true), (&host, &small_user, true), (&host, &user, false)] {
        let line = format!("{}.pub", key.display());
        let arguments = ["--hostkey", text(host_key), "--authorized-keys", &line];
        for option in [&[][..], &["--rsa-bits", "1024"]] {
            let server = Server::start(&folder, &[&arguments[..], option].concat());
            let mut ssh = Command::new("ssh");
            ssh.args(["-v", "-F", "none", "-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=none"])
                .args(["-o", "StrictHostKeyChecking=no", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"])
                .args(["-o", "RequiredRSASize=1024", "-p", &server.port.to_string(), "-i"])
                .arg(key)
                .args([&format!("{USER}@127.0.0.1"), "exit 6"]);
            let output = run_command(ssh, b"", 60);
            let wanted = if !is_small || !option.is_empty() { 6 } else { 255 };
            assert_eq!(output.code, Some(wanted), "{option:?} {}\n{}", output.err, server.log());
        }
    }
}
