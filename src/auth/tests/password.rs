use super::*;

#[test]
fn the_right_password_is_accepted() {
    let mut pair = Pair::new();
    pair.quick("alice", password("right"), takes_password("password", "right")).unwrap();
    assert_eq!(pair.authenticated, Some((b"alice".to_vec(), "password")));
    assert_eq!(pair.client.method(), Some("password"));
    assert!(!pair.client.is_trivial());
    assert_eq!((pair.client.stage(), pair.server.stage()), (Stage::Done, Stage::Done));
    let again = pair.client.start(b"alice", password("right"), &mut pair.to_server);
    assert!(matches!(again, Err(Error::State(_))));
}

#[test]
fn a_wrong_password_fails_and_another_may_follow() {
    let mut pair = Pair::new();
    let error = pair.quick("alice", password("wrong"), takes_password("publickey,password", "right")).unwrap_err();
    assert_eq!(failure_methods(&error), ("failed", "publickey,password"));
    assert_eq!(pair.client.methods(), Some("publickey,password"));
    pair.quick("alice", password("right"), takes_password("publickey,password", "right")).unwrap();
    // The service is asked for once, the methods once for each user.
    assert_eq!(pair.requested, ["password", "password"]);
}

#[test]
fn a_method_that_is_not_offered_is_told_apart() {
    let mut pair = Pair::new();
    let error = pair
        .quick("alice", password("right"), |question| match question {
            ServerQuestion::AllowedMethods { .. } => methods("publickey,gssapi-with-mic"),
            other => panic!("{other:?} of a method that is not allowed"),
        })
        .unwrap_err();
    // What the library does not know is not offered.
    assert_eq!(failure_methods(&error), ("method", "publickey"));
}

fn interactive_only<'a>(prompts: &'a [&'a str], right: &'a str) -> impl FnMut(&ServerQuestion) -> ServerAnswer + 'a {
    move |question| match question {
        ServerQuestion::AllowedMethods { .. } => methods("keyboard-interactive"),
        ServerQuestion::InteractiveStart { .. } => ask(prompts),
        ServerQuestion::InteractiveAnswers { answers, .. } => match answers.as_slice() {
            [answer] if answer.as_slice() == right.as_bytes() => ServerAnswer::Accept,
            [] => ServerAnswer::Accept,
            _ => ServerAnswer::Reject,
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_fallback_answers_one_prompt_with_the_password() {
    let mut pair = Pair::new();
    pair.quick("alice", password("right"), interactive_only(&["Password: "], "right")).unwrap();
    assert_eq!(pair.requested, ["password", "keyboard-interactive"]);
    assert_eq!(pair.client.method(), Some("keyboard-interactive"));
}

#[test]
fn the_fallback_answers_no_prompt_with_nothing() {
    let mut pair = Pair::new();
    pair.quick("alice", password("right"), interactive_only(&[], "right")).unwrap();
    assert!(pair.client.is_trivial());
}

#[test]
fn a_failed_fallback_gives_the_first_failure() {
    for (prompts, right) in [(&["Password: "][..], "other"), (&["Password: ", "Code: "], "right")] {
        let mut pair = Pair::new();
        let error = pair.quick("alice", password("right"), interactive_only(prompts, right)).unwrap_err();
        assert_eq!(failure_methods(&error), ("method", "keyboard-interactive"), "{error}");
        // And the connection is of use still, though the prompts were left unanswered.
        pair.quick("alice", password("right"), interactive_only(&["Password: "], "right")).unwrap();
    }
}

#[test]
fn there_is_no_fallback_unless_wanted_and_offered() {
    let mut pair = Pair::new();
    let method = ClientMethod::Password { password: secret("right"), fallback_to_interactive: false };
    let error = pair.quick("alice", method, interactive_only(&["Password: "], "right")).unwrap_err();
    assert_eq!(failure_methods(&error), ("method", "keyboard-interactive"));
    assert_eq!(pair.requested, ["password"]);

    let mut pair = Pair::new();
    let list = "password,keyboard-interactive";
    pair.quick("alice", password("wrong"), takes_password(list, "right")).unwrap_err();
    assert_eq!(pair.requested, ["password"]);
}

fn changes_password(question: &ServerQuestion) -> ServerAnswer {
    match question {
        ServerQuestion::AllowedMethods { .. } => methods("password"),
        ServerQuestion::Password { .. } => ServerAnswer::ChangePassword { prompt: b"too old".to_vec() },
        ServerQuestion::PasswordChange { old, new, .. } => {
            assert_eq!(old.as_slice(), b"old");
            match new.as_slice() {
                b"good" => ServerAnswer::Accept,
                b"weak" => ServerAnswer::ChangePassword { prompt: b"too weak".to_vec() },
                _ => ServerAnswer::Reject,
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_is_changed() {
    let mut pair = Pair::new();
    let mut prompts = Vec::new();
    let mut news = vec!["good", "weak"];
    let outcome = pair.attempt("alice", password("old"), &mut changes_password, &mut |event| match event {
        ClientAuthEvent::PasswordChange { prompt, .. } => {
            prompts.push(String::from_utf8(prompt.clone()).unwrap());
            texts(&[news.pop().unwrap()])
        }
        other => panic!("{other:?}"),
    });
    outcome.unwrap().unwrap();
    assert_eq!(prompts, ["too old", "too weak"]);
}

#[test]
fn a_password_change_fails_or_is_cancelled() {
    let mut pair = Pair::new();
    let outcome = pair.attempt("alice", password("old"), &mut changes_password, &mut |_| texts(&["old", "bad"]));
    assert_eq!(failure_methods(&outcome.unwrap().unwrap_err()), ("failed", "password"));
    let outcome = pair.attempt("alice", password("old"), &mut changes_password, &mut |_| ClientAnswer::Cancel);
    assert_eq!(outcome.unwrap(), Err(Error::Cancelled));
    pair.attempt("alice", password("old"), &mut changes_password, &mut |_| texts(&["good"])).unwrap().unwrap();
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        password("hunter2"),
        texts(&["hunter2"]),
        ServerQuestion::Password { user: b"alice".to_vec(), password: secret("hunter2") },
        ServerQuestion::PasswordChange { user: Vec::new(), old: secret("hunter2"), new: secret("hunter2") },
        ServerAuthEvent::Question {
            id: 1,
            question: ServerQuestion::InteractiveAnswers { user: Vec::new(), answers: vec![secret("hunter2")] },
        },
    );
    let bytes = format!("{:?}", b"hunter2").replace(['[', ']'], "");
    assert!(!shown.contains("hunter2") && !shown.contains(&bytes), "{shown}");
    assert!(shown.contains("alice"));
}

#[test]
fn long_passwords_are_bounded_on_both_sides() {
    let mut server = Server::new(server_context());
    server.password("alice", &"x".repeat(1024)).unwrap();
    server.decide(methods("password")).unwrap();
    assert!(
        matches!(server.question(), Some((_, ServerQuestion::Password { password, .. })) if password.len() == 1024)
    );

    let mut server = Server::new(server_context());
    server.password("alice", &"x".repeat(1025)).unwrap();
    server.decide(methods("password")).unwrap();
    assert_eq!(server.question(), None);
    server.settle().unwrap();
    assert_eq!(server.sent(), [51]);

    let mut client = ClientAuth::new(client_context());
    let outcome = client.start(b"alice", password(&"x".repeat(8193)), &mut Outbox::default());
    assert!(matches!(outcome, Err(Error::Argument(_))));
    let outcome = client.start(&[b'x'; 1025], ClientMethod::None, &mut Outbox::default());
    assert!(matches!(outcome, Err(Error::Argument(_))));
}
