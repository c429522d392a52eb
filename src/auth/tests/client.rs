//! A client against a forger.

use super::*;

/// A client that has sent its request by this method.
fn requested(method: ClientMethod) -> (ClientAuth, Outbox) {
    let mut client = ClientAuth::new(client_context());
    let mut out = Outbox::default();
    client.start(b"alice", method, &mut out).unwrap();
    client.receive(6, b"\0\0\0\x0cssh-userauth", &mut out).unwrap();
    assert_eq!(out.0.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [5, 50]);
    out.0.clear();
    assert_eq!(client.stage(), Stage::AuthAwaiting);
    (client, out)
}

fn finished(client: &mut ClientAuth) -> Option<Result<()>> {
    match client.next_event() {
        Some(ClientAuthEvent::Finished(result)) => Some(result),
        _ => None,
    }
}

#[test]
fn no_credential_leaves_before_the_service_is_accepted() {
    for number in [51, 52, 53, 60, 61] {
        let mut client = ClientAuth::new(client_context());
        let mut out = Outbox::default();
        client.start(b"alice", password("hunter2"), &mut out).unwrap();
        assert_eq!(out.0, [(5, b"\0\0\0\x0cssh-userauth".to_vec())]);
        assert_eq!(client.stage(), Stage::NoService);
        assert!(matches!(client.receive(number, &[0; 9], &mut out), Err(Error::Protocol(_))));
        assert!(client.receive(6, &[], &mut out).is_err());
        assert_eq!(out.0.len(), 1);
    }
}

#[test]
fn an_acceptance_that_nobody_asked_for_is_an_error() {
    let mut client = ClientAuth::new(client_context());
    assert!(matches!(client.receive(6, &[], &mut Outbox::default()), Err(Error::Protocol(_))));
    let (mut client, mut out) = requested(password("x"));
    assert!(matches!(client.receive(6, &[], &mut out), Err(Error::Protocol(_))));
    let mut client = ClientAuth::new(client_context());
    client.start(b"alice", password("x"), &mut out).unwrap();
    let other = b"\0\0\0\x0essh-connection";
    assert!(matches!(client.receive(6, other, &mut out), Err(Error::Protocol(_))));
    assert!(out.0.iter().all(|(number, _)| *number == 5));
}

#[test]
fn a_success_that_nobody_asked_for_is_an_error() {
    let mut client = ClientAuth::new(client_context());
    let mut out = Outbox::default();
    assert!(matches!(client.receive(52, &[], &mut out), Err(Error::Protocol(_))));
    // After a failure.
    let (mut client, mut out) = requested(password("x"));
    client.receive(51, b"\0\0\0\x08password\0", &mut out).unwrap();
    assert!(matches!(finished(&mut client), Some(Err(Error::AuthFailed(_)))));
    assert_eq!(client.stage(), Stage::Auth);
    assert!(matches!(client.receive(52, &[], &mut out), Err(Error::Protocol(_))));
    assert_eq!(client.method(), None);
    assert_eq!(client.next_event(), None);
    // While the user is asked.
    let (mut client, mut out) = requested(password("x"));
    client.receive(60, b"\0\0\0\0\0\0\0\0", &mut out).unwrap();
    assert!(matches!(client.receive(52, &[], &mut out), Err(Error::Protocol(_))));
    // Twice.
    let (mut client, mut out) = requested(password("x"));
    client.receive(52, &[], &mut out).unwrap();
    assert_eq!(finished(&mut client), Some(Ok(())));
    assert!(matches!(client.receive(52, &[], &mut out), Err(Error::Protocol(_))));
}

#[test]
fn a_success_without_a_signature_is_an_error() {
    let (mut client, mut out) = requested(by_key(&ED25519, true));
    assert!(matches!(client.receive(52, &[], &mut out), Err(Error::Protocol(_))));
    assert_eq!(client.method(), None);
    let (mut client, mut out) = requested(by_key(&ED25519, false));
    client.receive(52, &[], &mut out).unwrap();
    assert!(!client.is_trivial());
}

#[test]
fn a_success_without_an_answer_is_trivial() {
    let (mut client, mut out) = requested(by_prompts());
    client.receive(52, &[], &mut out).unwrap();
    assert!(client.is_trivial());
    assert_eq!(client.method(), Some("keyboard-interactive"));
}

#[test]
fn a_trivial_success_is_refused_where_that_is_wanted() {
    for method in [ClientMethod::None, by_prompts()] {
        let (mut client, mut out) = requested(method);
        client.set_refuse_trivial(true);
        assert!(matches!(client.receive(52, &[], &mut out), Err(Error::AuthFailed(_))));
        assert_eq!((client.method(), client.next_event()), (None, None));
        assert!(client.start(b"alice", password("x"), &mut out).is_err());
    }
    // What was proved in a step before counts, for the same user.
    let partial = b"\0\0\0\x14keyboard-interactive\x01";
    for (user, proved) in [("alice", true), ("bob", false)] {
        let (mut client, mut out) = requested(by_key(&ED25519, false));
        client.set_refuse_trivial(true);
        client.receive(51, partial, &mut out).unwrap();
        assert!(matches!(finished(&mut client), Some(Err(Error::AuthPartial(_)))));
        client.start(user.as_bytes(), by_prompts(), &mut out).unwrap();
        assert_eq!(client.receive(52, &[], &mut out).is_ok(), proved, "{user}");
        assert!(!client.is_trivial());
    }
}

#[test]
fn message_60_is_what_the_method_says() {
    let acceptable = super::super::publickey::Acceptable { algorithm: b"ssh-ed25519", blob: ED25519.public().blob() };
    let other = super::super::publickey::Acceptable { blob: OTHER.public().blob(), ..acceptable };
    for (method, fields) in [
        (ClientMethod::None, vec![]),
        (password("x"), b"\0\0\0".to_vec()),
        (by_prompts(), acceptable.encode()),
        (by_key(&ED25519, false), acceptable.encode()),
        (by_key(&ED25519, true), other.encode()),
        (by_key(&ED25519, true), vec![]),
    ] {
        let shown = format!("{method:?}");
        let (mut client, mut out) = requested(method);
        assert!(matches!(client.receive(60, &fields, &mut out), Err(Error::Protocol(_))), "{shown}");
        assert!(out.0.is_empty());
        assert_eq!(client.next_event(), None);
        assert!(matches!(client.start(b"alice", password("x"), &mut out), Err(Error::State(_))));
    }
    // And PK_OK only once.
    let (mut client, mut out) = requested(by_key(&ED25519, true));
    client.receive(60, &acceptable.encode(), &mut out).unwrap();
    assert_eq!(out.0.len(), 1);
    assert!(matches!(client.receive(60, &acceptable.encode(), &mut out), Err(Error::Protocol(_))));
}

#[test]
fn counts_of_prompts_are_not_believed() {
    for count in [1u32, 101, u32::MAX] {
        let mut fields = vec![0; 12];
        fields.extend_from_slice(&count.to_be_bytes());
        let (mut client, mut out) = requested(by_prompts());
        assert!(matches!(client.receive(60, &fields, &mut out), Err(Error::Protocol(_))), "{count}");
    }
    let many = crate::wire::Writer::new().raw([0; 12]).u32(101).raw([0; 5 * 101]).finish();
    let (mut client, mut out) = requested(by_prompts());
    assert!(matches!(client.receive(60, &many, &mut out), Err(Error::Protocol(_))));
}

#[test]
fn a_server_that_asks_without_end_is_left() {
    for method in [by_prompts(), ClientMethod::Password { password: secret("x"), fallback_to_interactive: true }] {
        let (mut client, mut out) = requested(method.clone());
        if matches!(method, ClientMethod::Password { .. }) {
            client.receive(51, b"\0\0\0\x14keyboard-interactive\0", &mut out).unwrap();
        }
        let rounds = (0..1000).take_while(|_| client.receive(60, &[0; 16], &mut out).is_ok()).count();
        assert_eq!(rounds, 100);
    }
}

#[test]
fn a_server_that_always_refuses_ends_each_attempt() {
    for method in [password("x"), by_key(&RSA, true), by_key(&RSA, false), by_prompts()] {
        let (mut client, mut out) = requested(method);
        let list = b"\0\0\0\x27publickey,password,keyboard-interactive\0";
        let refusals = (0..10).take_while(|_| client.receive(51, list, &mut out).is_ok()).count();
        assert!(refusals <= 2);
        assert!(matches!(finished(&mut client), Some(Err(Error::AuthFailed(_)))));
    }
}

#[test]
fn one_attempt_at_a_time() {
    let (mut client, mut out) = requested(password("x"));
    assert!(matches!(client.start(b"alice", password("y"), &mut out), Err(Error::State(_))));
    assert!(out.0.is_empty());
}

#[test]
fn banners_are_handed_up_as_they_came() {
    let (mut client, mut out) = requested(password("x"));
    client.receive(53, b"\0\0\0\x02\x1b[\0\0\0\0", &mut out).unwrap();
    client.receive(53, b"\0\0\0\x01x", &mut out).unwrap();
    assert_eq!(client.next_event(), Some(ClientAuthEvent::Banner(b"\x1b[".to_vec())));
    assert_eq!(client.next_event(), Some(ClientAuthEvent::Banner(b"x".to_vec())));
    assert_eq!(client.stage(), Stage::AuthAwaiting);
}

#[test]
fn broken_messages_end_the_connection() {
    for (number, payload) in [
        (51, &b"\0\0\0\x08password"[..]),
        (51, b"\xff\xff\xff\xff\0"),
        (51, b"\0\0\0\x01\xff\0"),
        (52, b"\0"),
        (53, b"\xff"),
    ] {
        let (mut client, mut out) = requested(password("x"));
        assert!(matches!(client.receive(number, payload, &mut out), Err(Error::Protocol(_))), "{number}");
        assert_eq!(client.method(), None);
    }
}
