use super::*;
use crate::auth::publickey::Request;

/// An application that takes one key of one user.
fn takes_key(right: &Arc<PrivateKey>) -> impl FnMut(&ServerQuestion) -> ServerAnswer + use<> {
    let right = right.public().clone();
    move |question| match question {
        ServerQuestion::AllowedMethods { .. } => methods("publickey"),
        ServerQuestion::Publickey { key, .. } if *key == right => ServerAnswer::Accept,
        _ => ServerAnswer::Reject,
    }
}

#[test]
fn a_signature_is_accepted() {
    for (key, probe, hostbound) in [
        (&*ED25519, false, false),
        (&*ED25519, true, false),
        (&*ED25519, false, true),
        (&*OTHER, true, true),
        (&*RSA, true, true),
    ] {
        let mut pair = Pair::with(ClientContext { hostbound, ..client_context() }, server_context());
        let mut asked = Vec::new();
        let mut decide = takes_key(key);
        pair.quick("alice", by_key(key, probe), |question| {
            if let ServerQuestion::Publickey { signed, .. } = question {
                asked.push(*signed);
            }
            decide(question)
        })
        .unwrap();
        assert_eq!(asked, if probe { vec![false, true] } else { vec![true] });
        let name = if hostbound { "publickey-hostbound-v00@openssh.com" } else { "publickey" };
        assert!(pair.requested.iter().all(|method| method == name));
        assert_eq!(pair.authenticated, Some((b"alice".to_vec(), "publickey")));
        assert_eq!(pair.client.method(), Some("publickey"));
    }
}

#[test]
fn without_a_host_key_nothing_is_bound_to_it() {
    let context = ClientContext { hostbound: true, host_key_blob: None, ..client_context() };
    let mut pair = Pair::with(context, server_context());
    pair.quick("alice", by_key(&ED25519, false), takes_key(&ED25519)).unwrap();
    assert_eq!(pair.requested, ["publickey"]);
}

#[test]
fn a_signature_for_another_host_is_refused() {
    let context = ClientContext { hostbound: true, host_key_blob: Some(b"another".to_vec()), ..client_context() };
    let mut pair = Pair::with(context, server_context());
    let error = pair.quick("alice", by_key(&ED25519, false), takes_key(&ED25519)).unwrap_err();
    assert_eq!(failure_methods(&error), ("failed", "publickey"));
    let server = ServerContext { host_key_blob: None, ..server_context() };
    let mut pair = Pair::with(ClientContext { hostbound: true, ..client_context() }, server);
    pair.quick("alice", by_key(&ED25519, false), takes_key(&ED25519)).unwrap_err();
}

#[test]
fn a_signature_of_another_session_is_refused() {
    let context = ClientContext { session_id: b"another".to_vec(), ..client_context() };
    let mut pair = Pair::with(context, server_context());
    let mut asked = takes_key(&ED25519);
    let error = pair.quick("alice", by_key(&ED25519, false), |question| {
        assert!(!matches!(question, ServerQuestion::Publickey { .. }), "asked about a bad signature");
        asked(question)
    });
    assert_eq!(failure_methods(&error.unwrap_err()), ("failed", "publickey"));
}

#[test]
fn a_key_that_is_not_known_fails() {
    for probe in [false, true] {
        let mut pair = Pair::new();
        let error = pair.quick("alice", by_key(&OTHER, probe), takes_key(&ED25519)).unwrap_err();
        assert_eq!(failure_methods(&error), ("failed", "publickey"));
        assert_eq!(pair.requested.len(), 1);
        pair.quick("alice", by_key(&ED25519, probe), takes_key(&ED25519)).unwrap();
    }
}

/// The algorithms of a client's requests with an RSA key to a server that refuses all of them.
fn tried(list: Option<&str>, allowed: &[&'static str], probe: bool) -> (Vec<String>, Error) {
    let client = ClientContext {
        server_sig_algs: list.map(str::to_owned),
        pubkey_algorithms: allowed.to_vec(),
        ..client_context()
    };
    let mut pair = Pair::with(client, server_context());
    let mut algorithms = Vec::new();
    let error = pair
        .quick("alice", by_key(&RSA, probe), |question| match question {
            ServerQuestion::AllowedMethods { .. } => methods("publickey"),
            ServerQuestion::Publickey { algorithm, .. } => {
                algorithms.push(algorithm.clone());
                ServerAnswer::Reject
            }
            other => panic!("{other:?}"),
        })
        .unwrap_err();
    (algorithms, error)
}

#[test]
fn the_algorithm_of_an_rsa_key_is_the_servers_choice() {
    for probe in [false, true] {
        assert_eq!(tried(None, ALGORITHMS, probe).0, ["rsa-sha2-512", "rsa-sha2-256"]);
        assert_eq!(tried(Some("ssh-ed25519,rsa-sha2-256"), ALGORITHMS, probe).0, ["rsa-sha2-256"]);
        assert_eq!(tried(Some("rsa-sha2-256,rsa-sha2-512"), ALGORITHMS, probe).0, ["rsa-sha2-512"]);
        assert_eq!(tried(None, &["rsa-sha2-256"], probe).0, ["rsa-sha2-256"]);
        for (list, allowed) in [(Some("ssh-rsa"), ALGORITHMS), (None, &["ssh-ed25519"][..])] {
            let (algorithms, error) = tried(list, allowed, probe);
            assert!(algorithms.is_empty());
            assert!(matches!(error, Error::AuthFailed(_)));
            let said = format!("this side has {}, the server names ", allowed.join(","));
            assert!(error.to_string().contains(&said), "{error}");
            assert!(error.to_string().contains(list.unwrap_or("none in particular")), "{error}");
        }
    }
}

#[test]
fn a_key_with_one_algorithm_is_tried_whatever_the_list_says() {
    let context = ClientContext { server_sig_algs: Some("rsa-sha2-512".to_owned()), ..client_context() };
    let mut pair = Pair::with(context, server_context());
    pair.quick("alice", by_key(&ED25519, false), takes_key(&ED25519)).unwrap();
}

#[test]
fn a_later_list_holds_from_the_next_attempt() {
    let mut pair = Pair::new();
    pair.client.update_extensions(Some("rsa-sha2-256".to_owned()), true);
    pair.quick("alice", by_key(&RSA, false), |question| match question {
        ServerQuestion::AllowedMethods { .. } => methods("publickey"),
        ServerQuestion::Publickey { algorithm, .. } if algorithm == "rsa-sha2-256" => ServerAnswer::Accept,
        other => panic!("{other:?}"),
    })
    .unwrap();
    assert_eq!(pair.requested, ["publickey-hostbound-v00@openssh.com"]);
}

/// The fields of a request by a key; None for the signature: a probe.
fn fields(key: &PrivateKey, algorithm: &str, user: &str, hostbound: bool, signed: bool) -> Vec<u8> {
    let host_key = hostbound.then_some(HOST_KEY);
    let request = Request { algorithm, blob: key.public().blob(), host_key, signature: None };
    if !signed {
        return request.encode();
    }
    let signature = key.sign(algorithm, &request.signed_data(SESSION, user.as_bytes())).unwrap();
    Request { signature: Some(&signature), ..request }.encode()
}

/// A server that knows which methods alice may use.
fn ready(list: &str) -> Server {
    let mut context = server_context();
    context.limits.attempts = u32::MAX;
    context.limits.requests = u32::MAX;
    let mut server = Server::new(context);
    server.request("alice", "none", &[]).unwrap();
    server.decide(methods(list)).unwrap();
    server.decide(ServerAnswer::Reject).unwrap();
    server.settle().unwrap();
    assert_eq!(server.sent(), [51]);
    server
}

#[test]
fn no_changed_byte_of_a_signed_request_gets_past_the_check() {
    for (hostbound, method) in [(false, "publickey"), (true, "publickey-hostbound-v00@openssh.com")] {
        for (key, algorithm) in [(&*ED25519, "ssh-ed25519"), (&*OTHER, "ecdsa-sha2-nistp256")] {
            let good = fields(key, algorithm, "alice", hostbound, true);
            let mut server = ready("publickey");
            for index in 0..good.len() {
                for change in [1, 0x80, 0xff] {
                    let mut bad = good.clone();
                    bad[index] ^= change;
                    // A true boolean may have any value but 0.
                    let still_true = index == 0 && bad[0] != 0;
                    server.request("alice", method, &bad).unwrap();
                    match server.question() {
                        None => {}
                        Some((id, ServerQuestion::Publickey { signed: true, .. })) if still_true => {
                            server.answer(id, ServerAnswer::Reject).unwrap();
                        }
                        Some((_, question)) => panic!("byte {index} ^ {change}: {question:?}"),
                    }
                    server.settle().unwrap();
                    assert_eq!(server.sent(), [51], "byte {index} ^ {change}");
                }
            }
            for length in 0..good.len() {
                server.request("alice", method, &good[..length]).unwrap();
                assert_eq!(server.question(), None);
                server.settle().unwrap();
            }
            server.request("alice", method, &[good.as_slice(), b"x"].concat()).unwrap();
            assert_eq!(server.question(), None);
            server.settle().unwrap();
            server.sent();
            server.request("alice", method, &good).unwrap();
            server.decide(ServerAnswer::Accept).unwrap();
            assert_eq!(server.sent(), [52]);
        }
    }
}

#[test]
fn a_signature_is_for_its_user_and_its_method() {
    let mut server = ready("publickey");
    let for_bob = fields(&ED25519, "ssh-ed25519", "bob", false, true);
    server.request("alice", "publickey", &for_bob).unwrap();
    assert_eq!(server.question(), None);
    server.settle().unwrap();
    // Plain fields under the hostbound name, and the other way round.
    let plain = fields(&ED25519, "ssh-ed25519", "alice", false, true);
    server.request("alice", "publickey-hostbound-v00@openssh.com", &plain).unwrap();
    server.settle().unwrap();
    let bound = fields(&ED25519, "ssh-ed25519", "alice", true, true);
    server.request("alice", "publickey", &bound).unwrap();
    server.settle().unwrap();
    assert_eq!(server.question(), None);
    assert_eq!(server.sent(), [51, 51, 51]);
}

#[test]
fn the_signature_is_of_the_algorithm_that_the_request_names() {
    let mut server = ready("publickey");
    let request = Request { algorithm: "rsa-sha2-512", blob: RSA.public().blob(), host_key: None, signature: None };
    let signature = RSA.sign("rsa-sha2-256", &request.signed_data(SESSION, b"alice")).unwrap();
    server.request("alice", "publickey", &Request { signature: Some(&signature), ..request }.encode()).unwrap();
    assert_eq!(server.question(), None);
    server.settle().unwrap();
    assert_eq!(server.sent(), [51]);
}

#[test]
fn algorithms_that_are_not_allowed_or_known_or_fitting_fail_alike() {
    let mut context = server_context();
    context.pubkey_algorithms = vec!["ssh-ed25519", "rsa-sha2-256"];
    let mut server = Server::new(context);
    server.request("alice", "publickey", &fields(&OTHER, "ecdsa-sha2-nistp256", "alice", false, true)).unwrap();
    server.decide(methods("publickey")).unwrap();
    server.settle().unwrap();
    for (algorithm, blob) in [
        ("ecdsa-sha2-nistp256", OTHER.public().blob()),
        ("ssh-dss", b"\0\0\0\x07ssh-dss"),
        ("ssh-ed25519", OTHER.public().blob()),
        ("ssh-ed25519", RSA.public().blob()),
        ("ssh-ed25519", b""),
        ("ssh-ed25519", b"\xff\xff\xff\xff"),
        ("rsa-sha2-512", RSA.public().blob()),
        ("ssh-rsa", RSA.public().blob()),
    ] {
        let probe = Request { algorithm, blob, host_key: None, signature: None };
        server.request("alice", "publickey", &probe.encode()).unwrap();
        assert_eq!(server.question(), None, "{algorithm}");
        server.settle().unwrap();
    }
    assert_eq!(server.sent(), [51; 9]);
}

#[test]
fn the_key_that_signs_counts_and_not_the_one_that_was_asked_about() {
    let mut server = ready("publickey");
    for key in [&*ED25519, &*OTHER] {
        let algorithm = key.public().signature_algorithms()[0];
        server.request("alice", "publickey", &fields(key, algorithm, "alice", false, false)).unwrap();
        server.decide(ServerAnswer::Accept).unwrap();
        assert_eq!(
            server.out.0.last().unwrap().1,
            super::super::publickey::Acceptable { algorithm: algorithm.as_bytes(), blob: key.public().blob() }.encode()
        );
        assert_eq!(server.sent(), [60]);
    }
    server.request("alice", "publickey", &fields(&ED25519, "ssh-ed25519", "alice", false, true)).unwrap();
    let (id, question) = server.question().unwrap();
    assert!(matches!(&question, ServerQuestion::Publickey { key, signed: true, .. } if key == ED25519.public()));
    server.answer(id, ServerAnswer::Reject).unwrap();
    server.settle().unwrap();
    assert_eq!(server.sent(), [51]);
}

#[test]
fn an_accepted_probe_authenticates_nobody() {
    let mut server = ready("publickey");
    for answer in [ServerAnswer::Accept, ServerAnswer::Partial] {
        server.request("alice", "publickey", &fields(&ED25519, "ssh-ed25519", "alice", false, false)).unwrap();
        server.decide(answer).unwrap();
        assert_eq!(server.sent(), [60]);
        assert_eq!(server.auth.stage(), Stage::Auth);
        assert!(server.auth.next_event().is_none());
    }
}
