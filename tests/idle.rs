//! A process with one quiet connection makes no system call: no polling loop, no periodic wake-up.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Background, Sshd, USER, program};

const QUIET: Duration = Duration::from_secs(60);

fn system_calls_while_idle(sshd: &Sshd, mode: &str) -> String {
    let mut child = Command::new(program("c-tests/peer_client"))
        .args(["--engine", mode, "--host", "127.0.0.1", "--port", &sshd.port.to_string(), "--user", USER, "--key"])
        .arg(&sshd.key)
        .arg("idle")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line can be read");
    let child = Background(child);
    assert_eq!(line, "idle\n", "{mode}: {}", sshd.log());
    std::thread::sleep(Duration::from_secs(1));

    let log = sshd.folder.file(&format!("strace-{mode}"));
    let mut strace = Command::new("strace")
        .args(["-f", "-q", "-o"])
        .arg(&log)
        .args(["-p", &child.0.id().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .expect("strace starts (Debian package strace)");
    std::thread::sleep(Duration::from_millis(500));
    assert!(strace.try_wait().expect("strace can be asked").is_none(), "strace cannot attach: run as root");
    std::thread::sleep(QUIET);
    support::signal(strace.id(), "INT");
    let _ = strace.wait();
    let traced = std::fs::read_to_string(log).expect("strace wrote its log");
    assert!(!traced.is_empty(), "{mode}: strace saw no thread at all");
    // A call that was under way when strace came, and when it left, has no result.
    traced
        .lines()
        .filter(|line| line.contains(" = ") && !line.contains("<detached ...>"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn a_quiet_connection_makes_no_system_call_for_a_minute() {
    let sshd = Sshd::start("idle", &[]);
    std::thread::scope(|scope| {
        let runs = ["threads", "caller"].map(|mode| {
            let sshd = &sshd;
            (mode, scope.spawn(move || system_calls_while_idle(sshd, mode)))
        });
        for (mode, run) in runs {
            let calls = run.join().expect("the run ends");
            assert!(calls.is_empty(), "{mode}: system calls while idle:\n{calls}");
        }
    });
}
