//! The jobs of tests/peers.md, in both directions.

use super::{Login, Role, Server, Setup, Visit, excuses, failure_of};
use crate::support::{Output, PASSWORD, full, noise, run};
use std::path::Path;

pub const NAMES: &[&str] = &[
    "password",
    "publickey",
    "keyboard-interactive",
    "exit-status",
    "stderr",
    "download",
    "upload",
    "rekey-ours",
    "rekey-theirs",
    "channels",
];

const REKEY_BYTES: u64 = 1 << 20;
const WRONG: &str = "battery staple";

fn bulk() -> usize {
    if full() { 64 << 20 } else { 2 << 20 }
}

fn channels() -> usize {
    if full() { 100 } else { 20 }
}

/// The engine modes that a job of ours runs in.
fn modes() -> &'static [&'static str] {
    &["threads", "caller"]
}

/// All jobs with one peer; fails with everything that went wrong.
pub fn run_all(peer: &str, role: Role) {
    let lacks = excuses::of(peer, role);
    let setup = Setup::default();
    let server = match role {
        Role::Server => Server::of_peer(peer, &setup),
        Role::Client => Server::ours(&setup),
    };
    let mut wrong = Vec::new();
    let mut passed = 0;
    for job in NAMES {
        let excused = lacks.iter().any(|lack| lack == job);
        // That it still cannot do it takes as long as a job that hangs.
        if excused && !full() {
            continue;
        }
        let result = failure_of(|| match role {
            Role::Server => with_their_server(peer, &server, job),
            Role::Client => with_their_client(peer, &server, job),
        });
        match result {
            Ok(()) if excused => wrong.push(format!("{job}: it works, tests/peers.md need not excuse it")),
            Err(_) if excused => {}
            Ok(()) => passed += 1,
            Err(reason) => wrong.push(format!("{job}: {reason}")),
        }
    }
    println!("{peer} as {}: {passed} jobs passed, {} excused", role.name(), NAMES.len() - passed - wrong.len());
    assert!(wrong.is_empty(), "{peer} as {}:\n{}\nthe server's log:\n{}", role.name(), wrong.join("\n"), server.log());
}

fn expect(output: &Output, code: i32, what: &str) {
    assert!(
        output.code == Some(code),
        "{what}: ended with {:?} instead of {code}\n{}\n{}",
        output.code,
        output.err,
        String::from_utf8_lossy(&output.out[..output.out.len().min(2000)])
    );
}

/// A login that must be refused, and one that must not.
fn logins(what: &str, right: &Output, wrong: &Output) {
    expect(right, 0, what);
    assert!(right.out == b"in\n", "{what}: {:?}", String::from_utf8_lossy(&right.out));
    // The exit status says nothing: dbclient's is 0 when it is refused.
    let let_in = String::from_utf8_lossy(&wrong.out).contains("in\n");
    assert!(!let_in, "{what}: a wrong one was let in: {:?} {:?} {}", wrong.code, wrong.out, wrong.err);
}

/// `sha256sum` of the bytes, as that program prints it.
fn checksum(data: &[u8]) -> Vec<u8> {
    run(Path::new("/usr/bin/sha256sum"), &[] as &[&str], data, 120).out
}

fn same(output: &Output, data: &[u8], what: &str) {
    expect(output, 0, what);
    assert!(output.out == data, "{what}: {} bytes, not the {} that were sent", output.out.len(), data.len());
}

// --- our client, their server ---------------------------------------------------------------------------------------

fn with_their_server(peer: &str, server: &Server, job: &str) {
    let visit = || Visit::to(server);
    let stranger = || server.folder.key(&format!("stranger-{job}"), &["-t", "ed25519"]);
    match job {
        "password" | "keyboard-interactive" => {
            let login: fn(&'static str) -> Login<'static> =
                if job == "password" { Login::Password } else { Login::KeyboardInteractive };
            for mode in modes() {
                let right = visit().with(login(PASSWORD)).by_us(mode, server, &["exec", "echo in"]);
                let wrong = visit().with(login(WRONG)).by_us(mode, server, &["exec", "echo in"]);
                logins(job, &right, &wrong);
                assert!(wrong.err.contains("ERR_AUTH_FAILED"), "{job}: {}", wrong.err);
            }
        }
        "publickey" => {
            let stranger = stranger();
            for mode in modes() {
                let right = visit().by_us(mode, server, &["exec", "echo in"]);
                let wrong = visit().with(Login::PublicKey(&stranger)).by_us(mode, server, &["exec", "echo in"]);
                logins(job, &right, &wrong);
                assert!(wrong.err.contains("ERR_AUTH_FAILED"), "{job}: {}", wrong.err);
            }
        }
        "exit-status" => {
            for code in [0, 7, 255] {
                let output = visit().by_example(server, &format!("exit {code}"));
                expect(&output, code, job);
                assert!(output.err.is_empty(), "{job}: {}", output.err);
            }
        }
        "stderr" => {
            let output = visit().by_example(server, "echo out; echo err >&2; exit 3");
            expect(&output, 3, job);
            assert!(output.out == b"out\n" && output.err == "err\n", "{job}: {:?} {:?}", output.out, output.err);
        }
        "download" => {
            let data = noise(bulk(), 3);
            let file = server.folder.write("data", &data);
            same(&visit().by_example(server, &format!("cat {}", file.display())), &data, job);
        }
        "upload" => {
            let data = noise(bulk(), 4);
            same(&visit().input(&data).by_example(server, "sha256sum"), &checksum(&data), job);
        }
        "rekey-ours" => {
            let bytes = bulk().min(16 << 20);
            for mode in modes() {
                let output = visit().rekey(REKEY_BYTES).by_us(mode, server, &["echo", &bytes.to_string()]);
                expect(&output, 0, job);
                enough_rekeys(rekeys(&output.err), bytes);
            }
        }
        "rekey-theirs" => {
            let bytes = bulk().min(16 << 20);
            let server = Server::of_peer(peer, &Setup { rekey_bytes: Some(REKEY_BYTES), ..Setup::default() });
            for mode in modes() {
                let output = Visit::to(&server).by_us(mode, &server, &["echo", &bytes.to_string()]);
                expect(&output, 0, &format!("{job}\n{}", server.log()));
                enough_rekeys(rekeys(&output.err), bytes);
            }
        }
        "channels" => {
            for mode in modes() {
                let output = visit().by_us(mode, server, &["channels", &channels().to_string()]);
                expect(&output, 0, job);
            }
        }
        _ => panic!("there is no job {job}"),
    }
}

/// The number behind the last `rekeys ` in what our programs say.
fn rekeys(text: &str) -> u64 {
    let after = text.rsplit_once("rekeys ").map(|(_, after)| after).unwrap_or_default();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("nothing says how many rekeys there were: {text}"))
}

/// The bytes went both ways; a side may count each way alone, and start late while data is under way.
fn enough_rekeys(count: u64, bytes: usize) {
    let least = (bytes as u64 / REKEY_BYTES / 2).max(1);
    assert!(count >= least, "{count} rekeys for {bytes} bytes each way");
}

// --- their client, our server ---------------------------------------------------------------------------------------

fn with_their_client(peer: &str, server: &Server, job: &str) {
    let visit = || Visit::to(server);
    match job {
        "password" | "keyboard-interactive" => {
            let login: fn(&'static str) -> Login<'static> =
                if job == "password" { Login::Password } else { Login::KeyboardInteractive };
            let right = visit().with(login(PASSWORD)).by_peer(peer, server, 1, "echo in");
            let wrong = visit().with(login(WRONG)).by_peer(peer, server, 1, "echo in");
            logins(job, &right, &wrong);
        }
        "publickey" => {
            let stranger = server.folder.key("stranger", &["-t", "ed25519"]);
            let right = visit().by_peer(peer, server, 1, "echo in");
            let wrong = visit().with(Login::PublicKey(&stranger)).by_peer(peer, server, 1, "echo in");
            logins(job, &right, &wrong);
        }
        "exit-status" => {
            for code in [0, 7, 100] {
                expect(&visit().by_peer(peer, server, 1, &format!("exit {code}")), code, job);
            }
        }
        "stderr" => {
            let output = visit().by_peer(peer, server, 1, "echo out; echo err >&2; exit 3");
            expect(&output, 3, job);
            assert!(output.out == b"out\n" && output.err == "err\n", "{job}: {:?} {:?}", output.out, output.err);
        }
        "download" => {
            let data = noise(bulk(), 5);
            let file = server.folder.write("data", &data);
            same(&visit().by_peer(peer, server, 1, &format!("cat {}", file.display())), &data, job);
        }
        "upload" => {
            let data = noise(bulk(), 6);
            same(&visit().input(&data).by_peer(peer, server, 1, "sha256sum"), &checksum(&data), job);
        }
        "rekey-ours" => {
            let server = Server::ours(&Setup { rekey_bytes: Some(REKEY_BYTES), ..Setup::default() });
            rekeys_with_their_client(peer, &server, &Visit::to(&server), job);
        }
        "rekey-theirs" => {
            let server = Server::ours(&Setup::default());
            rekeys_with_their_client(peer, &server, &Visit::to(&server).rekey(REKEY_BYTES), job);
        }
        "channels" => many_channels_of_their_client(peer, server),
        _ => panic!("there is no job {job}"),
    }
}

fn rekeys_with_their_client(peer: &str, server: &Server, visit: &Visit<'_>, job: &str) {
    let data = noise(bulk().min(16 << 20), 7);
    let output = visit.clone().input(&data).by_peer(peer, server, 1, "cat");
    same(&output, &data, &format!("{job}\n{}", server.log()));
    enough_rekeys(rekeys(&server.log_until("rekeys ")), data.len());
}

/// No command ends before all have begun, so all channels are open at the same time.
fn many_channels_of_their_client(peer: &str, server: &Server) {
    let count = channels();
    let list = server.folder.file("begun");
    let _ = std::fs::remove_file(&list);
    let list = list.display();
    let command = format!(
        "echo x >>{list}; n=0; while [ $n -lt 300 ] && [ $(wc -l <{list}) -lt {count} ]; do n=$((n+1)); sleep 0.2; done; \
         [ $n -lt 300 ] && echo all"
    );
    let output = Visit::to(server).by_peer(peer, server, count, &command);
    same(&output, "all\n".repeat(count).as_bytes(), "channels");
}
