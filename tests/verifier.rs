//! The example server's check of passwords and names: only the whole password lets its user in, whatever comes instead
//! (row 49 of docs/security.md), and a name is only compared (row 50).

mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nacre::engine::{
    Answer, Asker, ClientMethod, Decision, Engine, EngineOptions, HostKeyPolicy, Notice, Question, Ticket, Timeout,
    Transport,
};
use nacre::error::Error;
use support::{Background, Folder, free_port, program, wait_for_port};
use zeroize::Zeroizing;

const LONG: Timeout = Timeout::after(Duration::from_secs(30));
/// As a hash that fits nothing looks in a file of passwords: here it is a text like any other.
const PASSWORDS: [&str; 3] = ["secret", "*", "!$6$x"];
const NAME: &str = "alice";

struct Server {
    port: u16,
    _folder: Folder,
    _process: Background,
}

impl Server {
    fn start(name: &str, password: &str) -> Self {
        let folder = Folder::new(name);
        let key = folder.key("host", &["-t", "ed25519"]);
        let port = free_port();
        let mut command = Command::new(program("c-examples/server"));
        command.args(["--port", &port.to_string(), "--user", NAME, "--password", password, "--hostkey"]).arg(key);
        let process = command.stdout(Stdio::null()).spawn().expect("the example server runs");
        let process = Background(process);
        wait_for_port(port);
        Self { port, _folder: folder, _process: process }
    }
}

/// Answers every prompt with the same.
struct Answering(Vec<u8>);

impl Asker for Answering {
    fn ask(&self, _: &Arc<Transport>, ticket: &Arc<Ticket>) -> Decision {
        if let Question::Prompts { prompts, .. } = ticket.question() {
            let answers = prompts.iter().map(|_| Zeroizing::new(self.0.clone())).collect();
            ticket.answer(Answer::Texts(answers)).expect("the prompts wait for answers");
            return Decision::Defer;
        }
        Decision::Reject
    }
    fn notify(&self, _: &Arc<Transport>, _: &Notice) {}
}

/// Whether this gets in; each is a connection of its own.
fn gets_in(engine: &Arc<Engine>, server: &Server, user: &[u8], password: &[u8], interactive: bool) -> bool {
    let (transport, started) = Transport::dial(engine, &format!("127.0.0.1:{}", server.port), LONG, false);
    started.result.expect("the server listens");
    let transport = transport.expect("a transport");
    transport.set_host_key_check(HostKeyPolicy::Any, None).unwrap();
    transport.start_client(LONG, false).result.expect("the server negotiates");
    let (method, asker): (_, Option<Arc<dyn Asker>>) = if interactive {
        (ClientMethod::Interactive { submethods: String::new() }, Some(Arc::new(Answering(password.to_vec()))))
    } else {
        let password = Zeroizing::new(password.to_vec());
        (ClientMethod::Password { password, fallback_to_interactive: false }, None)
    };
    let result = transport.authenticate(user, method, asker, LONG, false).result;
    let refused = matches!(result, Err(Error::AuthFailed(_) | Error::AuthMethod(_) | Error::Disconnected(_)));
    assert!(result.is_ok() || refused, "{result:?}");
    transport.release();
    result.is_ok()
}

fn wrong_passwords(right: &str) -> Vec<Vec<u8>> {
    let right = right.as_bytes();
    let mut wrong: Vec<Vec<u8>> = [&b""[..], b"*", b"!", b"!!", b"x", b"\0", b"$6$", b"*0", b"*1", b"\xff"]
        .into_iter()
        .filter(|text| *text != right)
        .map(<[u8]>::to_vec)
        .collect();
    wrong.push(right[..right.len() - 1].to_vec());
    wrong.push([right, b"\0"].concat());
    wrong.push([right, b"\0x"].concat());
    wrong.push([right, b"x"].concat());
    wrong.push([b" ", right].concat());
    // Over and over, to the lengths that a buffer may have been made for.
    for length in [127, 128, 255, 256, 257, 511, 512, 1023, 1024, 1025, 4096] {
        wrong.push(right.iter().copied().cycle().take(length).collect());
    }
    wrong
}

fn engine() -> Arc<Engine> {
    Engine::new(EngineOptions { threads: 1, ..EngineOptions::default() }).unwrap()
}

#[test]
fn only_the_whole_password_lets_in() {
    let engine = engine();
    for (number, right) in PASSWORDS.into_iter().enumerate() {
        let server = Server::start(&format!("verifier{number}"), right);
        for interactive in [false, true] {
            for wrong in wrong_passwords(right) {
                let shown = String::from_utf8_lossy(&wrong).into_owned();
                let got_in = gets_in(&engine, &server, NAME.as_bytes(), &wrong, interactive);
                assert!(!got_in, "{shown:?} in place of {right:?}, prompted: {interactive}");
            }
            assert!(gets_in(&engine, &server, NAME.as_bytes(), right.as_bytes(), interactive));
        }
    }
    engine.release();
}

#[test]
fn names_are_only_compared() {
    let engine = engine();
    let server = Server::start("names", "secret");
    let marker = server._folder.file("reached");
    let touch = format!("$(touch {})", marker.display());
    let names = [
        "",
        "-oProxyCommand=x",
        "alice;id",
        "alice\0",
        "Alice",
        "alice ",
        "../alice",
        "`id`",
        "\u{1b}[2J",
        touch.as_str(),
    ];
    for interactive in [false, true] {
        for name in names {
            assert!(!gets_in(&engine, &server, name.as_bytes(), b"secret", interactive), "{name:?}");
        }
        assert!(gets_in(&engine, &server, NAME.as_bytes(), b"secret", interactive));
    }
    assert!(!marker.exists());
    engine.release();
}
