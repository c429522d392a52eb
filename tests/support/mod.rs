//! What the tests against real peers share: folders that vanish, free ports, child processes that end with
//! the test, an sshd with a user of its own, and the programs under build/.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const USER: &str = "tester";
pub const PASSWORD: &str = "correct horse";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that `make` built, such as `c-examples/exec`.
pub fn program(name: &str) -> PathBuf {
    let path = root().join("build").join(name);
    assert!(path.exists(), "{} is missing: run `make` first", path.display());
    path
}

/// Whether the long forms run: `make test-full`.
pub fn full() -> bool {
    std::env::var_os("NACRE_TEST_FULL").is_some()
}

pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nacre-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// A key pair made by ssh-keygen; returns the private file, the public one beside it.
    pub fn key(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.file(name);
        let status = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", name])
            .args(arguments)
            .arg("-f")
            .arg(&path)
            .status()
            .expect("ssh-keygen runs (Debian package openssh-client)");
        assert!(status.success(), "ssh-keygen {arguments:?}");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

pub fn wait_for_port(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A child that is killed, with what it started, when the test ends.
pub struct Background(pub Child);

impl Background {
    /// Ends it as an operator would, and says how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        signal(self.0.id(), "TERM");
        wait_at_most(&mut self.0, Duration::from_secs(10)).expect("the program ends on SIGTERM")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        signal(self.0.id(), "TERM");
        if wait_at_most(&mut self.0, Duration::from_secs(3)).is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

pub fn signal(process: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).stderr(Stdio::null()).status();
}

fn wait_at_most(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + time;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A throw-away sshd with the user [`USER`].
pub struct Sshd {
    pub folder: Folder,
    pub port: u16,
    /// A private key that the user may log in with.
    pub key: PathBuf,
    process: Background,
}

impl Sshd {
    /// `lines`: added to its configuration, before the defaults of the tests.
    pub fn start(name: &str, lines: &[&str]) -> Self {
        Self::start_in(Folder::new(name), lines)
    }

    /// With the host keys that lie in the folder; those that do not are made.
    pub fn start_in(folder: Folder, lines: &[&str]) -> Self {
        let key = folder.key("user_ed25519", &["-t", "ed25519"]);
        fs::copy(key.with_extension("pub"), folder.file("authorized_keys")).expect("a file can be copied");
        let port = free_port();
        let log = File::create(folder.file("log")).expect("a log can be made");
        let child = Command::new(root().join("tests/tools/sshd"))
            .arg(folder.path())
            .arg(port.to_string())
            .args(lines)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("tests/tools/sshd runs");
        let started = Self { folder, port, key, process: Background(child) };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd did not start:\n{}", started.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    /// Lets the owner of this key in as well.
    pub fn authorize(&self, key: &Path) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.folder.file("authorized_keys"))
            .expect("authorized_keys can be opened");
        file.write_all(&fs::read(key.with_extension("pub")).expect("the public key is there")).expect("written");
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The public half of one of its host keys: `ed25519`, `ecdsa` or `rsa`.
    pub fn host_key(&self, kind: &str) -> PathBuf {
        self.folder.file(&format!("host_{kind}.pub"))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.file("log")).unwrap_or_default()
    }
}

/// `c-examples/server` with what the options say, on a port of its own.
pub struct Server {
    pub port: u16,
    log: PathBuf,
    _process: Background,
}

impl Server {
    /// Its log lies in the folder.
    pub fn start(folder: &Folder, options: &[&str]) -> Self {
        let log = folder.file("server.log");
        let mut child = Command::new(program("c-examples/server"))
            .args(["--port", "0", "--verbose", "--user", USER])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log can be made"))
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line can be read");
        let process = Background(child);
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{}", read(&log))).trim();
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Self { port, log, _process: process }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn log(&self) -> String {
        read(&self.log)
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

pub struct Output {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

/// Runs a program with input; it is killed, and the test fails, after `seconds`.
pub fn run<A: AsRef<OsStr>>(program: &Path, arguments: &[A], input: &[u8], seconds: u64) -> Output {
    let mut command = Command::new(program);
    command.args(arguments);
    run_command(command, input, seconds)
}

pub fn run_command(mut command: Command, input: &[u8], seconds: u64) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let mut stderr = child.stderr.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let reader = std::thread::spawn(move || {
        let mut out = Vec::new();
        let _ = stdout.read_to_end(&mut out);
        out
    });
    let errors = std::thread::spawn(move || {
        let mut err = Vec::new();
        let _ = stderr.read_to_end(&mut err);
        String::from_utf8_lossy(&err).into_owned()
    });
    let status = wait_at_most(&mut child, Duration::from_secs(seconds)).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("{shown} did not end within {seconds} s");
    });
    let _ = writer.join();
    Output {
        code: status.code(),
        out: reader.join().expect("the reader ends"),
        err: errors.join().expect("the reader ends"),
    }
}

/// Bytes that look random and are the same each time.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}
