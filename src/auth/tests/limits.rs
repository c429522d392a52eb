use super::*;

/// A server that knows that alice may use passwords.
fn ready() -> Server {
    let mut server = Server::new(server_context());
    server.request("alice", "none", &[]).unwrap();
    server.decide(methods("password,publickey")).unwrap();
    server.decide(ServerAnswer::Reject).unwrap();
    server.settle().unwrap();
    assert_eq!(server.sent(), [51]);
    server
}

fn probe() -> Vec<u8> {
    let request = super::super::publickey::Request {
        algorithm: "ssh-ed25519",
        blob: ED25519.public().blob(),
        host_key: None,
        signature: None,
    };
    request.encode()
}

#[test]
fn the_sixth_failure_ends_the_connection() {
    let mut server = ready();
    for _ in 0..5 {
        server.password("alice", "x").unwrap();
        server.decide(ServerAnswer::Reject).unwrap();
        server.settle().unwrap();
        assert_eq!(server.sent(), [51]);
    }
    server.password("alice", "x").unwrap();
    server.decide(ServerAnswer::Reject).unwrap();
    let error = server.settle().unwrap_err();
    assert!(matches!(error, Error::Disconnected(end) if end.code == 14 && !end.by_peer));
    assert!(server.sent().is_empty());
    assert!(matches!(server.password("alice", "x"), Err(Error::State(_))));
}

#[test]
fn every_kind_of_failure_counts_but_the_first_none_and_probes() {
    let mut server = ready();
    for _ in 0..20 {
        server.request("alice", "publickey", &probe()).unwrap();
        server.decide(ServerAnswer::Reject).unwrap();
        server.settle().unwrap();
    }
    // A second none, an unknown method, one that is not allowed, malformed ones.
    server.request("alice", "none", &[]).unwrap();
    server.decide(ServerAnswer::Reject).unwrap();
    server.settle().unwrap();
    for (method, fields) in [
        ("gssapi-with-mic", &b""[..]),
        ("keyboard-interactive", &[0; 8]),
        ("password", b"\0\xff\xff\xff\xff"),
        ("publickey", b"\x01"),
    ] {
        server.request("alice", method, fields).unwrap();
        assert_eq!(server.question(), None);
        server.settle().unwrap();
    }
    assert_eq!(server.sent(), [51; 25]);
    server.request("alice", "hostbased", b"").unwrap();
    assert!(matches!(server.settle(), Err(Error::Disconnected(end)) if end.code == 14));
}

#[test]
fn a_partial_success_does_not_count() {
    let mut server = ready();
    for _ in 0..10 {
        server.password("alice", "x").unwrap();
        server.decide(ServerAnswer::Partial).unwrap();
        server.decide(methods("password")).unwrap();
        assert_eq!(server.out.0[0].1, b"\0\0\0\x08password\x01");
        assert_eq!(server.sent(), [51]);
    }
}

#[test]
fn all_requests_together_are_bounded() {
    let mut server = ready();
    // One for the service and one for none came before.
    for _ in 0..1022 {
        server.request("alice", "publickey", &probe()).unwrap();
        server.decide(ServerAnswer::Accept).unwrap();
    }
    let error = server.request("alice", "publickey", &probe()).unwrap_err();
    assert!(matches!(error, Error::Disconnected(end) if end.code == 14));
    let mut server = ready();
    let ended = (0..1100).find_map(|_| server.receive(message!(ServiceRequest { name: "ssh-userauth" })).err());
    assert!(matches!(ended, Some(Error::Disconnected(end)) if end.code == 14));
}

#[test]
fn requests_that_do_not_wait_are_answered_in_order() {
    let mut server = ready();
    for text in ["a", "b", "c"] {
        server.password("alice", text).unwrap();
    }
    for expected in ["a", "b", "c"] {
        let (id, question) = server.question().unwrap();
        assert!(
            matches!(&question, ServerQuestion::Password { password, .. } if password.as_slice() == expected.as_bytes())
        );
        assert_eq!(server.question(), None);
        if expected == "c" {
            server.answer(id, ServerAnswer::Accept).unwrap();
        } else {
            server.answer(id, ServerAnswer::Reject).unwrap();
            // The next waits until this one is answered.
            assert_eq!(server.question(), None);
            server.settle().unwrap();
        }
        assert!(matches!(server.answer(id, ServerAnswer::Accept), Err(Error::State(_))));
    }
    assert_eq!(server.sent(), [51, 51, 52]);
    // What comes after the success is ignored, and what was never asked is not answered.
    server.password("alice", "d").unwrap();
    assert!(server.sent().is_empty());
    assert!(matches!(server.auth.next_event(), Some(ServerAuthEvent::Authenticated { .. })));
    assert!(server.auth.next_event().is_none());
}

#[test]
fn what_waits_after_a_success_is_dropped() {
    let mut server = ready();
    server.password("alice", "a").unwrap();
    server.password("bob", "b").unwrap();
    server.decide(ServerAnswer::Accept).unwrap();
    assert_eq!(server.sent(), [52]);
    assert_eq!(
        server.auth.next_event(),
        Some(ServerAuthEvent::Authenticated { user: b"alice".to_vec(), method: "password" })
    );
    assert!(server.auth.next_event().is_none());
}

#[test]
fn what_waits_is_bounded() {
    let mut server = ready();
    for _ in 0..9 {
        server.password("alice", "x").unwrap();
    }
    let (id, _) = server.question().unwrap();
    let error = server.password("alice", "x").unwrap_err();
    assert!(matches!(error, Error::Disconnected(end) if end.code == 2));
    assert!(matches!(server.answer(id, ServerAnswer::Accept), Err(Error::State(_))));
    assert!(server.sent().is_empty());

    let mut server = ready();
    server.password("alice", "x").unwrap();
    assert!(matches!(server.password("alice", &"x".repeat(70_000)), Err(Error::Disconnected(_))));
}

/// How long after its request the refusal of a password goes out, when the application takes so long.
fn refusal_after(user: &str, decision: Duration) -> Duration {
    let mut server = Server::new(server_context());
    server.password(user, "x").unwrap();
    let start = server.now;
    server.decide(methods("password")).unwrap();
    server.now += decision;
    server.decide(ServerAnswer::Reject).unwrap();
    let mut sent = server.sent();
    assert_eq!(sent.is_empty(), server.auth.next_timeout().is_some());
    server.settle().unwrap();
    sent.extend(server.sent());
    assert_eq!(sent, [51]);
    server.now - start
}

#[test]
fn the_time_of_a_refusal_tells_nothing() {
    let ms = Duration::from_millis;
    for user in ["alice", "nobody", ""] {
        let floor = refusal_after(user, Duration::ZERO);
        assert!(floor >= ms(5) && floor <= Duration::from_micros(9200), "{floor:?}");
        // A quick look-up, a hash, nothing at all: the same.
        for decision in [Duration::from_micros(1), ms(1), ms(3), floor] {
            assert_eq!(refusal_after(user, decision), floor);
        }
        // What takes longer goes up the same ladder.
        assert_eq!(refusal_after(user, floor + Duration::from_nanos(1)), floor * 2);
        assert_eq!(refusal_after(user, floor * 2), floor * 2);
        assert_eq!(refusal_after(user, floor * 3), floor * 4);
    }
    // Averaging over connections gains nothing, comparing names neither.
    assert_ne!(refusal_after("alice", ms(0)), refusal_after("nobody", ms(0)));
}

#[test]
fn refusals_without_a_question_wait_as_long() {
    let floor = refusal_after("alice", Duration::ZERO);
    for (method, fields) in [("password", &b"\0\xff"[..]), ("unheard-of", b""), ("publickey", b"\x01\0\0\0\x01x")] {
        let mut server = ready();
        server.request("alice", method, fields).unwrap();
        assert_eq!(server.settle().unwrap(), floor);
    }
}

#[test]
fn prompts_wait_as_long_as_refusals() {
    let floor = refusal_after("alice", Duration::ZERO);
    let mut server = Server::new(server_context());
    server.request("alice", "keyboard-interactive", &[0; 8]).unwrap();
    server.decide(methods("keyboard-interactive")).unwrap();
    server.now += Duration::from_millis(2);
    server.decide(ask(&["Password: "])).unwrap();
    assert!(server.sent().is_empty());
    assert_eq!(server.settle().unwrap(), floor - Duration::from_millis(2));
    assert_eq!(server.sent(), [60]);
}

#[test]
fn a_very_late_answer_is_not_delayed_further() {
    let six = Duration::from_secs(6);
    let mut server = ready();
    server.password("alice", "x").unwrap();
    server.now += six;
    server.decide(ServerAnswer::Reject).unwrap();
    assert_eq!(server.sent(), [51]);
}
