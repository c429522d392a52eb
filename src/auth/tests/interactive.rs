use super::*;

fn shown(event: &ClientAuthEvent) -> (String, String, Vec<(String, bool)>) {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    match event {
        ClientAuthEvent::Prompts { name, instruction, prompts, .. } => {
            (text(name), text(instruction), prompts.iter().map(|(prompt, echo)| (text(prompt), *echo)).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn several_rounds() {
    let mut pair = Pair::new();
    let mut round = 0;
    let mut application = |question: &ServerQuestion| match question {
        ServerQuestion::AllowedMethods { .. } => methods("keyboard-interactive"),
        ServerQuestion::InteractiveStart { user, submethods } => {
            assert_eq!((user.as_slice(), submethods.as_str()), (&b"alice"[..], "pam,bsdauth"));
            ask(&["Password: ", "Code: "])
        }
        ServerQuestion::InteractiveAnswers { answers, .. } => {
            round += 1;
            let answers = answers.iter().map(|answer| answer.as_slice()).collect::<Vec<_>>();
            match (round, answers.as_slice()) {
                (1, [b"one", b"two"]) => {
                    ServerAnswer::Prompts { name: b"Welcome".to_vec(), instruction: Vec::new(), prompts: Vec::new() }
                }
                (2, []) => ServerAnswer::Prompts {
                    name: Vec::new(),
                    instruction: b"more".to_vec(),
                    prompts: vec![(b"Colour? ".to_vec(), true)],
                },
                (3, [b"blue"]) => ask(&[]),
                (4, []) => ServerAnswer::Accept,
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    };
    let mut seen = Vec::new();
    let mut user = |event: &ClientAuthEvent| {
        let event = shown(event);
        let answer = match event.2.len() {
            2 => texts(&["one", "two"]),
            1 => texts(&["blue"]),
            _ => texts(&[]),
        };
        seen.push(event);
        answer
    };
    let method = ClientMethod::Interactive { submethods: "pam,bsdauth".to_owned() };
    pair.attempt("alice", method, &mut application, &mut user).unwrap().unwrap();
    // The request with nothing to show was answered without the user.
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[1], ("Welcome".to_owned(), String::new(), Vec::new()));
    assert_eq!(seen[2], (String::new(), "more".to_owned(), vec![("Colour? ".to_owned(), true)]));
    assert_eq!(pair.client.method(), Some("keyboard-interactive"));
    assert!(!pair.client.is_trivial());
}

#[test]
fn a_client_answers_only_what_was_asked() {
    let mut client = ClientAuth::new(client_context());
    let mut out = Outbox::default();
    client.start(b"alice", by_prompts(), &mut out).unwrap();
    client.receive(6, &[], &mut out).unwrap();
    let fields = super::super::interactive::InfoRequest {
        name: Vec::new(),
        instruction: Vec::new(),
        prompts: vec![(b"a".to_vec(), false), (b"b".to_vec(), true)],
    };
    client.receive(60, &fields.encode(), &mut out).unwrap();
    assert_eq!(client.stage(), Stage::Auth);
    out.0.clear();
    let Some(ClientAuthEvent::Prompts { question, .. }) = client.next_event() else { panic!("no prompts") };
    for wrong in [texts(&[]), texts(&["one"]), texts(&["one", "two", "three"]), texts(&["", &"x".repeat(8193)])] {
        assert!(matches!(client.answer(question, wrong, &mut out), Err(Error::Argument(_))));
    }
    assert!(matches!(client.answer(question + 1, texts(&["1", "2"]), &mut out), Err(Error::State(_))));
    assert!(out.0.is_empty());
    client.answer(question, texts(&["one", "two"]), &mut out).unwrap();
    assert_eq!(out.0, [(61, b"\0\0\0\x02\0\0\0\x03one\0\0\0\x03two".to_vec())]);
    assert_eq!(client.stage(), Stage::AuthAwaiting);
    assert!(matches!(client.answer(question, texts(&["one", "two"]), &mut out), Err(Error::State(_))));
}

#[test]
fn a_cancelled_attempt_leaves_the_connection_usable() {
    let mut pair = Pair::new();
    let mut application = |question: &ServerQuestion| match question {
        ServerQuestion::AllowedMethods { .. } => methods("password,keyboard-interactive"),
        ServerQuestion::InteractiveStart { .. } => ask(&["Password: "]),
        ServerQuestion::Password { .. } => ServerAnswer::Accept,
        other => panic!("{other:?}"),
    };
    let outcome = pair.attempt("alice", by_prompts(), &mut application, &mut |_| ClientAnswer::Cancel);
    assert_eq!(outcome.unwrap(), Err(Error::Cancelled));
    pair.quick("alice", password("x"), application).unwrap();
}

/// A server that has prompted for `count` answers.
fn prompted(count: usize) -> Server {
    let mut server = Server::new(server_context());
    server.request("alice", "keyboard-interactive", &[0; 8]).unwrap();
    server.decide(methods("keyboard-interactive")).unwrap();
    server.decide(ask(&vec!["?"; count])).unwrap();
    server.settle().unwrap();
    assert_eq!(server.sent(), [60]);
    assert_eq!(server.auth.stage(), Stage::AuthAwaiting);
    server
}

fn response(count: u32, answers: &[&str]) -> Vec<u8> {
    let answers = answers.iter().map(|answer| secret(answer)).collect::<Vec<_>>();
    let mut payload = count.to_be_bytes().to_vec();
    payload.extend_from_slice(&super::super::interactive::encode_answers(&answers));
    payload
}

#[test]
fn a_server_takes_only_as_many_answers_as_it_asked_for() {
    let long = "x".repeat(1025);
    for payload in [
        response(0, &[]),
        response(1, &["a"]),
        response(3, &["a", "b", "c"]),
        response(2, &["a", "b", "c"]),
        response(3, &["a", "b"]),
        response(u32::MAX, &["a", "b"]),
        response(2, &["a", &long]),
        vec![],
        b"\0\0\0\x02\xff\xff\xff\xff".to_vec(),
    ] {
        let mut server = prompted(2);
        server.receive_raw(61, &payload).unwrap();
        assert_eq!(server.question(), None);
        assert!(server.settle().unwrap() >= Duration::from_millis(5));
        assert_eq!(server.sent(), [51]);
        // The exchange is over.
        assert!(matches!(server.receive_raw(61, &response(2, &["a", "b"])), Err(Error::Protocol(_))));
    }
    let mut server = prompted(2);
    server.receive_raw(61, &response(2, &["a", "b"])).unwrap();
    assert!(
        matches!(server.question(), Some((_, ServerQuestion::InteractiveAnswers { answers, .. })) if answers.len() == 2)
    );
}

#[test]
fn a_server_prompts_for_no_more_than_a_client_takes() {
    let mut server = Server::new(server_context());
    server.request("alice", "keyboard-interactive", &[0; 8]).unwrap();
    server.decide(methods("keyboard-interactive")).unwrap();
    let (id, _) = server.question().unwrap();
    assert!(matches!(server.answer(id, ask(&["?"; 101])), Err(Error::Argument(_))));
    assert!(matches!(server.answer(id, ask(&[&"x".repeat(32_000)])), Err(Error::Argument(_))));
    assert!(matches!(server.answer(id, methods("password")), Err(Error::Argument(_))));
    assert!(matches!(server.answer(id, ServerAnswer::ChangePassword { prompt: Vec::new() }), Err(Error::Argument(_))));
    server.answer(id, ask(&["?"; 100])).unwrap();
}

#[test]
fn a_request_abandons_the_prompts() {
    let mut server = prompted(1);
    server.password("alice", "x").unwrap();
    assert_eq!(server.auth.stage(), Stage::Auth);
    assert!(matches!(server.receive_raw(61, &response(1, &["a"])), Err(Error::Protocol(_))));
    assert!(matches!(server.receive_raw(50, &[]), Err(Error::State(_))));
}
