use super::*;

/// Publickey, then password; what is right is listed no more.
fn two_steps(question: &ServerQuestion, done: &mut u32) -> ServerAnswer {
    match question {
        ServerQuestion::AllowedMethods { .. } => methods(if *done == 0 { "publickey" } else { "password" }),
        ServerQuestion::Publickey { signed: true, .. } => {
            *done += 1;
            ServerAnswer::Partial
        }
        ServerQuestion::Publickey { .. } => ServerAnswer::Accept,
        ServerQuestion::Password { password, .. } if password.as_slice() == b"right" => ServerAnswer::Accept,
        _ => ServerAnswer::Reject,
    }
}

#[test]
fn partial_success_leads_to_the_next_step() {
    let mut pair = Pair::new();
    let mut done = 0;
    let error = pair.quick("alice", password("right"), |q| two_steps(q, &mut done)).unwrap_err();
    assert_eq!(failure_methods(&error), ("method", "publickey"));
    let error = pair.quick("alice", by_key(&ED25519, true), |q| two_steps(q, &mut done)).unwrap_err();
    assert_eq!(failure_methods(&error), ("partial", "password"));
    let error = pair.quick("alice", password("wrong"), |q| two_steps(q, &mut done)).unwrap_err();
    assert_eq!(failure_methods(&error), ("failed", "password"));
    pair.quick("alice", password("right"), |q| two_steps(q, &mut done)).unwrap();
    assert_eq!(pair.authenticated, Some((b"alice".to_vec(), "password")));
}

#[test]
fn a_partial_success_of_the_fallback_is_told() {
    let mut pair = Pair::new();
    let error = pair
        .quick("alice", password("right"), |question| match question {
            ServerQuestion::AllowedMethods { .. } => methods("keyboard-interactive"),
            ServerQuestion::InteractiveStart { .. } => ask(&["Password: "]),
            _ => ServerAnswer::Partial,
        })
        .unwrap_err();
    assert_eq!(failure_methods(&error), ("partial", "keyboard-interactive"));
}

#[test]
fn what_was_reached_for_one_user_is_not_for_another() {
    let mut pair = Pair::new();
    let mut done = 0;
    pair.quick("alice", by_key(&ED25519, false), |q| two_steps(q, &mut done)).unwrap_err();
    let outcome = pair.attempt(
        "bob",
        password("right"),
        &mut |question| panic!("{question:?} after another user's first step"),
        &mut |_| ClientAnswer::Cancel,
    );
    assert!(matches!(outcome, Err(Error::Disconnected(end)) if end.code == 2));
    // For good.
    let mut out = Outbox::default();
    assert!(pair.server.receive(5, b"\0\0\0\x0cssh-userauth", pair.now, &mut out).is_err());
    assert!(out.0.is_empty());
}

#[test]
fn without_a_partial_success_another_user_begins_from_nothing() {
    let mut pair = Pair::new();
    pair.quick("alice", password("right"), takes_password("password", "other")).unwrap_err();
    let mut asked = Vec::new();
    let mut decide = takes_password("password", "right");
    pair.quick("bob", password("right"), |question| {
        asked.push(question.clone());
        decide(question)
    })
    .unwrap();
    assert_eq!(asked[0], ServerQuestion::AllowedMethods { user: b"bob".to_vec() });
    assert_eq!(pair.authenticated, Some((b"bob".to_vec(), "password")));
}

#[test]
fn none_shows_what_there_is_or_lets_in() {
    let mut pair = Pair::new();
    let error = pair
        .quick("alice", ClientMethod::None, |question| match question {
            // "none" is never listed (RFC 4252 section 5.2).
            ServerQuestion::AllowedMethods { .. } => methods("none,publickey,password"),
            _ => ServerAnswer::Reject,
        })
        .unwrap_err();
    assert_eq!(failure_methods(&error), ("method", "publickey,password"));
    pair.quick("alice", ClientMethod::None, |_| ServerAnswer::Accept).unwrap();
    assert_eq!((pair.client.method(), pair.client.is_trivial()), (Some("none"), true));
    assert_eq!(pair.authenticated, Some((b"alice".to_vec(), "none")));
}

#[test]
fn accept_allows_all_methods_and_reject_none() {
    for (answer, list) in
        [(ServerAnswer::Accept, "publickey,password,keyboard-interactive"), (ServerAnswer::Reject, "")]
    {
        let mut pair = Pair::new();
        let error = pair
            .quick("alice", ClientMethod::None, |question| match question {
                ServerQuestion::AllowedMethods { .. } => answer.clone(),
                _ => ServerAnswer::Reject,
            })
            .unwrap_err();
        assert_eq!(failure_methods(&error), ("method", list));
    }
}

#[test]
fn banners_come_before_the_reply() {
    let mut pair = Pair::new();
    pair.server.send_banner(b"first", &mut pair.to_client).unwrap();
    assert!(pair.to_client.0.is_empty());
    pair.quick("alice", password("wrong"), takes_password("password", "right")).unwrap_err();
    assert_eq!(pair.banners, [b"first"]);
    pair.server.send_banner(b"second", &mut pair.to_client).unwrap();
    let too_long = pair.server.send_banner(&[b'x'; 32_001], &mut pair.to_client);
    assert!(matches!(too_long, Err(Error::Argument(_))));
    pair.quick("alice", password("right"), takes_password("password", "right")).unwrap();
    assert_eq!(pair.banners, [&b"first"[..], b"second"]);
    assert!(matches!(pair.server.send_banner(b"late", &mut pair.to_client), Err(Error::State(_))));
}

#[test]
fn the_service_may_be_asked_for_again() {
    let mut server = Server::new(server_context());
    for _ in 0..2 {
        server.receive(message!(ServiceRequest { name: "ssh-userauth" })).unwrap();
        assert_eq!(server.out.0[0].1, b"\0\0\0\x0cssh-userauth");
        assert_eq!(server.sent(), [6]);
        server.password("alice", "x").unwrap();
        while let Some((id, _)) = server.question() {
            let answer = if id == 1 { methods("password") } else { ServerAnswer::Reject };
            server.answer(id, answer).unwrap();
        }
        server.settle().unwrap();
        assert_eq!(server.sent(), [51]);
    }
    let error = server.receive(message!(ServiceRequest { name: "ssh-connection" })).unwrap_err();
    assert!(matches!(error, Error::Disconnected(end) if end.code == 7));
}
