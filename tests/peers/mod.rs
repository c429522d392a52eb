//! The harness for real peers: their servers and clients, all with the same options (tests/peers.md), beside ours.
#![allow(dead_code)]

use crate::support::{Background, Folder, Output, PASSWORD, USER, program, root, run_command};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

pub mod excuses;
pub mod jobs;
mod list;
pub mod matrix;

pub(crate) use list::with_peers;

/// Who the peer is in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Lists of algorithms for one side; `None`: as it has them.
#[derive(Clone, Debug, Default)]
pub struct Algorithms {
    pub kex: Option<String>,
    pub host_key: Option<String>,
    pub cipher: Option<String>,
    pub mac: Option<String>,
    pub compression: Option<String>,
}

impl Algorithms {
    /// The options of every program here, ours and theirs.
    pub fn options(&self) -> Vec<String> {
        [
            ("--kex", &self.kex),
            ("--host-key-algorithms", &self.host_key),
            ("--ciphers", &self.cipher),
            ("--macs", &self.mac),
            ("--compression", &self.compression),
        ]
        .into_iter()
        .filter_map(|(name, list)| Some([name.to_owned(), list.clone()?]))
        .flatten()
        .collect()
    }
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub algorithms: Algorithms,
    pub rekey_bytes: Option<u64>,
    /// As ssh-keygen takes them.
    pub host_key: &'static [&'static str],
    /// A private key instead, the public one beside it.
    pub host_key_file: Option<PathBuf>,
    pub user_key: &'static [&'static str],
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            algorithms: Algorithms::default(),
            rekey_bytes: None,
            host_key: &["-t", "ed25519"],
            host_key_file: None,
            user_key: &["-t", "ed25519"],
        }
    }
}

/// A peer's program, built if it has to be.
pub fn peer_program(name: &str, role: Role) -> PathBuf {
    static BUILT: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let folder = root().join("tests/peers").join(name);
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if folder.join("build").exists() && !built.contains(name) {
        let place = root().join("build/peers");
        fs::create_dir_all(&place).expect("build/peers can be made");
        // Other test programs may be building it too.
        let mut command = Command::new("flock");
        command.arg(place.join(format!("{name}.lock"))).arg(folder.join("build"));
        let output = run_command(command, b"", 1800);
        assert_eq!(
            output.code,
            Some(0),
            "tests/peers/{name}/build:\n{}{}",
            String::from_utf8_lossy(&output.out),
            output.err
        );
        built.insert(name.to_owned());
    }
    folder.join(role.name())
}

/// A server on loopback, ours or a peer's, that ends with the test.
pub struct Server {
    pub folder: Folder,
    pub port: u16,
    /// The private key that the user may log in with.
    pub user_key: PathBuf,
    process: Background,
}

impl Server {
    pub fn of_peer(name: &str, setup: &Setup) -> Self {
        let (folder, user_key) = keys(name, setup);
        let mut command = Command::new(peer_program(name, Role::Server));
        command.arg("--authorized-key").arg(user_key.with_extension("pub"));
        Self::start(name, folder, user_key, command, setup)
    }

    pub fn ours(setup: &Setup) -> Self {
        let (folder, user_key) = keys("server", setup);
        let mut command = Command::new(program("c-examples/server"));
        command.arg("--verbose").arg("--authorized-keys").arg(user_key.with_extension("pub"));
        Self::start("nacre", folder, user_key, command, setup)
    }

    fn start(name: &str, folder: Folder, user_key: PathBuf, mut command: Command, setup: &Setup) -> Self {
        command.args(["--port", "0", "--user", USER, "--password", PASSWORD]);
        command.arg("--hostkey").arg(folder.file("host")).args(setup.algorithms.options());
        if let Some(bytes) = setup.rekey_bytes {
            command.args(["--rekey-bytes", &bytes.to_string()]);
        }
        let log = File::create(folder.file("log")).expect("a log can be made");
        let mut child = command
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (said, heard) = mpsc::channel();
        let mut reader = BufReader::new(child.stdout.take().expect("piped"));
        // It reads on after the first line: whoever writes to the server's output later must not be blocked.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = reader.read_line(&mut line);
            let _ = said.send(line);
            std::io::copy(&mut reader, &mut std::io::sink())
        });
        let process = Background(child);
        let line = heard.recv_timeout(Duration::from_secs(60)).unwrap_or_default();
        let port = line.trim().strip_prefix("listening on 127.0.0.1:").and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let log = fs::read_to_string(folder.file("log")).unwrap_or_default();
            panic!("the server of {name} says {line:?} instead of where it listens:\n{log}");
        };
        Self { folder, port, user_key, process }
    }

    pub fn host_key(&self) -> PathBuf {
        self.folder.file("host.pub")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.file("log")).unwrap_or_default()
    }

    /// The log, as soon as it says this: the server may be told of a client's end after the client's user is.
    pub fn log_until(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = self.log();
            if log.contains(text) || Instant::now() > deadline {
                return log;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn keys(name: &str, setup: &Setup) -> (Folder, PathBuf) {
    let folder = Folder::new(name);
    if let Some(file) = &setup.host_key_file {
        fs::copy(file, folder.file("host")).expect("a key can be copied");
        fs::copy(file.with_extension("pub"), folder.file("host.pub")).expect("a key can be copied");
    } else {
        folder.key("host", setup.host_key);
    }
    let user_key = folder.key("user", setup.user_key);
    (folder, user_key)
}

/// How a client logs in.
#[derive(Clone, Debug)]
pub enum Login<'a> {
    Password(&'a str),
    KeyboardInteractive(&'a str),
    PublicKey(&'a Path),
}

/// What a client does, for both sides' clients.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    pub login: Login<'a>,
    pub algorithms: Algorithms,
    pub rekey_bytes: Option<u64>,
    pub input: &'a [u8],
    pub seconds: u64,
}

impl<'a> Visit<'a> {
    /// With the key that the server knows.
    pub fn to(server: &'a Server) -> Self {
        Self {
            login: Login::PublicKey(&server.user_key),
            algorithms: Algorithms::default(),
            rekey_bytes: None,
            input: b"",
            seconds: 120,
        }
    }

    pub fn with(self, login: Login<'a>) -> Self {
        Self { login, ..self }
    }

    pub fn input(self, input: &'a [u8]) -> Self {
        Self { input, ..self }
    }

    pub fn rekey(self, bytes: u64) -> Self {
        Self { rekey_bytes: Some(bytes), ..self }
    }

    pub fn algorithms(self, algorithms: &Algorithms) -> Self {
        Self { algorithms: algorithms.clone(), ..self }
    }

    fn command(&self, client: &Path, server: &Server) -> Command {
        let mut command = Command::new(client);
        command.env("TMPDIR", server.folder.path());
        command.args(["--host", "127.0.0.1", "--port", &server.port.to_string(), "--user", USER]);
        match self.login {
            Login::Password(password) => command.args(["--auth", "password", "--password", password]),
            Login::KeyboardInteractive(password) => {
                command.args(["--auth", "keyboard-interactive", "--password", password])
            }
            Login::PublicKey(key) => command.args(["--auth", "publickey", "--key"]).arg(key),
        };
        command.arg("--known-host-key").arg(server.host_key());
        command.args(self.algorithms.options());
        if let Some(bytes) = self.rekey_bytes {
            command.args(["--rekey-bytes", &bytes.to_string()]);
        }
        command
    }

    /// A peer's client runs one command, on so many channels at once.
    pub fn by_peer(&self, name: &str, server: &Server, channels: usize, what: &str) -> Output {
        let mut command = self.command(&peer_program(name, Role::Client), server);
        if channels != 1 {
            command.args(["--channels", &channels.to_string()]);
        }
        command.arg(what);
        run_command(command, self.input, self.seconds)
    }

    /// Our client, in one engine mode, does one of the jobs of tests/c/peer_client.c, then says what was negotiated.
    pub fn by_us(&self, mode: &str, server: &Server, job: &[&str]) -> Output {
        let mut command = self.command(&program("c-tests/peer_client"), server);
        command.args(["--verbose", "--engine", mode]).args(job);
        run_command(command, self.input, self.seconds)
    }

    /// Our example program runs a command, with the streams passed on.
    pub fn by_example(&self, server: &Server, what: &str) -> Output {
        let mut command = Command::new(program("c-examples/exec"));
        command.args(["--user", USER, "--hostkey"]).arg(server.host_key()).args(self.algorithms.options());
        match self.login {
            Login::PublicKey(key) => command.arg("--key").arg(key),
            Login::Password(password) | Login::KeyboardInteractive(password) => {
                command.arg("--password-file").arg(server.folder.write("password", password))
            }
        };
        if let Some(bytes) = self.rekey_bytes {
            command.args(["--rekey-bytes", &bytes.to_string()]);
        }
        command.arg(format!("127.0.0.1:{}", server.port)).arg(what);
        run_command(command, self.input, self.seconds)
    }
}

/// What a check says when it panics.
pub fn failure_of(check: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(check)).map_err(|reason| {
        let text = reason.downcast_ref::<String>().cloned();
        text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}
