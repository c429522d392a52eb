//! A server against a forger.

use super::*;

#[test]
fn a_server_takes_no_servers_messages() {
    for number in [6, 51, 52, 53, 60, 61, 62, 79, 80, 90] {
        let mut server = Server::new(server_context());
        assert!(matches!(server.receive_raw(number, &[]), Err(Error::Protocol(_))), "{number}");
        assert_ne!(server.auth.stage(), Stage::Done);
        assert!(server.auth.next_event().is_none());
        assert!(server.sent().is_empty());
        // And it stays shut.
        assert!(server.password("alice", "x").is_err());
    }
}

#[test]
fn no_request_before_the_service() {
    let now = Instant::now();
    let mut auth = ServerAuth::new(server_context(), now);
    let mut out = Outbox::default();
    assert_eq!(auth.stage(), Stage::NoService);
    let payload = crate::wire::Writer::new().string("alice").string("ssh-connection").string("none").finish();
    assert!(matches!(auth.receive(50, &payload, now, &mut out), Err(Error::Protocol(_))));
    assert!(out.0.is_empty() && auth.next_event().is_none());
}

#[test]
fn only_the_connection_service_is_logged_in_to() {
    let mut server = Server::new(server_context());
    let error = server
        .receive(message!(UserauthRequest {
            user: b"alice",
            service: "ssh-userauth",
            method: "none",
            fields: Rest(b""),
        }))
        .unwrap_err();
    assert!(matches!(error, Error::Disconnected(end) if end.code == 7));
    assert!(server.question().is_none());
}

#[test]
fn broken_requests_end_the_connection() {
    for payload in [&b""[..], b"\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\x0essh-connection\0\0\0\x01\xff"] {
        let mut server = Server::new(server_context());
        assert!(matches!(server.receive_raw(50, payload), Err(Error::Protocol(_))));
        assert!(server.question().is_none());
    }
    let mut server = Server::new(server_context());
    assert!(matches!(server.request(&"x".repeat(1025), "none", b""), Err(Error::Protocol(_))));
}

#[test]
fn user_names_are_bytes() {
    let mut server = Server::new(server_context());
    server
        .receive(message!(UserauthRequest {
            user: b"-l\0\xff;",
            service: "ssh-connection",
            method: "none",
            fields: Rest(b""),
        }))
        .unwrap();
    let (_, question) = server.question().unwrap();
    assert_eq!(question, ServerQuestion::AllowedMethods { user: b"-l\0\xff;".to_vec() });
    assert!(!format!("{question:?}").contains('\0'));
}

#[test]
fn answers_must_fit_and_come_once() {
    let mut server = Server::new(server_context());
    server.password("alice", "x").unwrap();
    let (id, _) = server.question().unwrap();
    assert!(matches!(server.answer(id + 1, ServerAnswer::Accept), Err(Error::State(_))));
    for wrong in [ServerAnswer::Partial, ask(&["?"]), methods("pass word"), methods("\u{e9}")] {
        assert!(matches!(server.answer(id, wrong), Err(Error::Argument(_))));
    }
    server.answer(id, methods("password")).unwrap();
    assert!(matches!(server.answer(id, methods("password")), Err(Error::State(_))));
    let (id, _) = server.question().unwrap();
    for wrong in [ask(&["?"]), methods("password")] {
        assert!(matches!(server.answer(id, wrong), Err(Error::Argument(_))));
    }
    server.answer(id, ServerAnswer::Accept).unwrap();
    assert_eq!(server.sent(), [52]);
    assert!(matches!(server.answer(id, ServerAnswer::Accept), Err(Error::State(_))));
}

#[test]
fn connections_share_nothing() {
    let (mut one, mut two) = (Server::new(server_context()), Server::new(server_context()));
    one.password("alice", "a").unwrap();
    two.password("bob", "b").unwrap();
    one.decide(methods("password")).unwrap();
    two.decide(methods("publickey")).unwrap();
    one.decide(ServerAnswer::Accept).unwrap();
    two.settle().unwrap();
    assert_eq!((one.sent(), two.sent()), (vec![52], vec![51]));
    assert!(matches!(one.auth.next_event(), Some(ServerAuthEvent::Authenticated { user, .. }) if user == b"alice"));
    assert!(two.auth.next_event().is_none());
}

proptest::proptest! {
    /// Whatever arrives: no panic, and no success that the application did not decide.
    #[test]
    fn random_messages_authenticate_nobody(
        messages in proptest::collection::vec(
            (proptest::sample::select(vec![5u8, 50, 61]), 0usize..6, proptest::collection::vec(0u8..4, 0..64)),
            1..20,
        )
    ) {
        let mut server = Server::new(server_context());
        for (number, method, fields) in messages {
            let method = ["none", "password", "publickey", "keyboard-interactive", "publickey-hostbound-v00@openssh.com", "x"][method];
            let outcome = match number {
                50 => server.request("alice", method, &fields),
                _ => server.receive_raw(number, &fields),
            };
            let outcome = outcome.and_then(|()| {
                while let Some((id, question)) = server.question() {
                    let answer = match question {
                        ServerQuestion::AllowedMethods { .. } => ServerAnswer::Accept,
                        ServerQuestion::InteractiveStart { .. } => ask(&["?"]),
                        _ => ServerAnswer::Reject,
                    };
                    server.answer(id, answer)?;
                }
                server.settle()
            });
            assert!(!server.sent().contains(&52));
            if outcome.is_err() {
                break;
            }
        }
    }
}
