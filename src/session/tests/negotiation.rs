use std::sync::Arc;

use super::simulator::{Pieces, host_key};
use super::*;
use crate::keys::KeyType;

fn negotiated(side: &Side) -> usize {
    side.count(|event| matches!(event, SessionEvent::Negotiated))
}

#[test]
fn keys_are_negotiated_however_the_bytes_are_cut() {
    let many = (1..40).map(|seed| (seed, Pieces::Random));
    for (seed, pieces) in many.chain([(0, Pieces::Whole), (0, Pieces::SingleBytes)]) {
        let mut pair = Pair::new(Options { seed, pieces, ..Options::default() });
        assert_eq!(pair.client.session.state(), SessionState::Negotiating);
        pair.settle();
        for side in [&pair.client, &pair.server] {
            assert_eq!(side.session.state(), SessionState::Negotiated, "seed {seed}");
            assert_eq!(negotiated(side), 1);
            assert!(side.session.remote_version().unwrap().starts_with("SSH-2.0-nacre_"));
        }
        assert_eq!(pair.client.session.session_id(), pair.server.session.session_id());
        assert!(!pair.client.session.session_id().is_empty());
        assert_eq!(pair.client.session.remote_host_key(), Some(host_key().public()));
        assert!(pair.client.session.negotiated().unwrap().strict);
    }
}

#[test]
fn a_line_cut_at_any_byte_ends_the_handshake_with_an_error() {
    let mut whole = Pair::new(Options::default());
    whole.settle();
    let totals = [(Role::Client, whole.server.sent), (Role::Server, whole.client.sent)];
    for (role, total) in totals {
        for cut in 1..total as usize {
            let mut pair = Pair::new(Options::default());
            pair.side(role).cut_after = Some(cut);
            pair.settle();
            let side = pair.side(role);
            assert!(matches!(side.ended(), Some(Error::Closed(_))), "{role:?} cut at {cut}: {:?}", side.ended());
            assert!(matches!(side.events.last(), Some(SessionEvent::Ended(Error::Closed(_)))));
        }
    }
}

fn with_policy(policy: HostKeyPolicy) -> Pair {
    let mut options = Options::default();
    options.client.host_key_policy = policy;
    let mut pair = Pair::new(options);
    pair.settle();
    pair
}

fn check(keys: Vec<PublicKey>, fingerprints: Vec<String>, ask: bool) -> HostKeyPolicy {
    HostKeyPolicy::Check(Box::new(HostKeyCheck { keys, fingerprints, ask, ..HostKeyCheck::default() }))
}

fn other_key() -> PublicKey {
    PrivateKey::generate(KeyType::Ed25519, 0).unwrap().public().clone()
}

fn begin_login(pair: &mut Pair) -> Result<()> {
    let now = pair.now;
    pair.client.session.authenticate(b"alice", ClientMethod::None, now)
}

#[test]
fn without_a_policy_nobody_logs_in_before_the_key_is_trusted() {
    let mut pair = with_policy(HostKeyPolicy::Unset);
    assert_eq!(negotiated(&pair.client), 1);
    let sent = pair.client.sent;
    let refused = begin_login(&mut pair).unwrap_err();
    assert!(matches!(refused, Error::HostKey(failure) if failure.verdict == HostKeyVerdict::Unchecked));
    pair.settle();
    assert_eq!(pair.client.sent, sent);
    pair.client.session.trust_host_key().unwrap();
    begin_login(&mut pair).unwrap();
}

#[test]
fn expected_keys_and_fingerprints_are_trusted() {
    let key = host_key().public().clone();
    let fingerprint = key.fingerprint_sha256();
    for policy in [
        HostKeyPolicy::Any,
        check(vec![other_key(), key.clone()], vec![], false),
        check(vec![], vec![fingerprint.clone()], false),
        check(vec![], vec![format!("{fingerprint}=")], false),
    ] {
        let mut pair = with_policy(policy);
        assert!(pair.client.session.is_host_key_trusted());
        assert!(pair.client.open.is_empty());
        begin_login(&mut pair).unwrap();
    }
}

#[test]
fn other_keys_are_refused() {
    let wrong = other_key();
    for (policy, verdict) in [
        (check(vec![wrong.clone()], vec![], false), HostKeyVerdict::Changed),
        (check(vec![], vec![wrong.fingerprint_sha256()], false), HostKeyVerdict::Changed),
        (check(vec![], vec![], false), HostKeyVerdict::Unknown),
    ] {
        let pair = with_policy(policy);
        assert!(matches!(pair.client.ended(), Some(Error::HostKey(failure)) if failure.verdict == verdict));
        assert_eq!(negotiated(&pair.client), 0);
        assert!(matches!(pair.server.ended(), Some(Error::Disconnected(told)) if told.code == 9 && told.by_peer));
    }
}

#[test]
fn the_application_decides_about_a_key_in_its_own_time() {
    for (accept, keys) in [(true, vec![]), (false, vec![]), (true, vec![other_key()])] {
        let expected = if keys.is_empty() { HostKeyVerdict::Unknown } else { HostKeyVerdict::Changed };
        let mut options = Options::default();
        options.client.host_key_policy = check(keys, vec![], true);
        options.server.limits.login_ms = 0;
        let mut pair = Pair::new(options);
        pair.settle();
        assert_eq!(negotiated(&pair.client), 0);
        assert_eq!(pair.client.session.state(), SessionState::Negotiating);
        assert!(matches!(begin_login(&mut pair), Err(Error::State(_))));
        pair.advance(seconds(7200));
        let (id, question) = pair.client.take_question();
        assert!(matches!(question, Question::HostKey { verdict, .. } if verdict == expected));
        let now = pair.now;
        let answer = if accept { Answer::Accept } else { Answer::Reject };
        assert!(matches!(pair.client.session.answer(id, Answer::Partial, now), Err(Error::Argument(_))));
        pair.client.session.answer(id, answer, now).unwrap();
        assert!(matches!(pair.client.session.answer(id, Answer::Accept, now), Err(Error::State(_))));
        pair.settle();
        if accept {
            assert_eq!(negotiated(&pair.client), 1);
            begin_login(&mut pair).unwrap();
        } else {
            let refused = HostKeyVerdict::Refused;
            assert!(matches!(pair.client.ended(), Some(Error::HostKey(failure)) if failure.verdict == refused));
            assert!(matches!(pair.server.ended(), Some(Error::Disconnected(told)) if told.code == 9));
        }
    }
}

#[test]
fn the_kind_of_the_expected_key_is_asked_for() {
    let ecdsa = Arc::new(PrivateKey::generate(KeyType::Ecdsa(256), 256).unwrap());
    let mut options = Options::default();
    options.server.host_keys.push(ecdsa.clone());
    options.client.host_key_policy = check(vec![ecdsa.public().clone()], vec![], false);
    let mut pair = Pair::new(options);
    pair.settle();
    assert_eq!(pair.client.session.negotiated().unwrap().host_key, "ecdsa-sha2-nistp256");
    assert!(pair.client.session.is_host_key_trusted());
}

#[test]
fn a_policy_set_after_the_negotiation_is_applied_at_once() {
    let mut pair = with_policy(HostKeyPolicy::Unset);
    let now = pair.now;
    pair.client.session.set_host_key_policy(check(vec![], vec![], true), now).unwrap();
    pair.settle();
    let (id, _) = pair.client.take_question();
    pair.client.session.answer(id, Answer::Accept, now).unwrap();
    begin_login(&mut pair).unwrap();
    assert_eq!(negotiated(&pair.client), 1);
}

#[test]
fn no_common_algorithm_is_told_to_both() {
    let mut options = Options::default();
    options.client.algorithms.set(AlgorithmKind::Kex, "curve25519-sha256").unwrap();
    options.server.algorithms.set(AlgorithmKind::Kex, "ecdh-sha2-nistp256").unwrap();
    let mut pair = Pair::new(options);
    pair.settle();
    let side_failed = |side: &Side| match side.ended() {
        Some(Error::Negotiation(_)) => true,
        Some(Error::Disconnected(told)) => told.code == 3 && told.by_peer,
        _ => false,
    };
    assert!(side_failed(&pair.client), "{:?}", pair.client.ended());
    assert!(side_failed(&pair.server), "{:?}", pair.server.ended());
}

#[test]
fn a_peer_that_is_no_ssh_is_told_apart() {
    let mut pair = Pair::new(Options::default());
    let now = pair.now;
    pair.server.session.receive(b"GET / HTTP/1.1\r\n\r\n", now);
    assert!(matches!(pair.server.ended(), Some(Error::Protocol(_))), "{:?}", pair.server.ended());
    assert!(!pair.server.session.wants_input());
    assert!(pair.server.session.next_timeout().is_none());
}

/// CVE-2020-14145: the order of the host key algorithms would tell whoever listens which keys are known.
#[test]
fn known_keys_do_not_show_where_the_order_is_fixed() {
    let key = |kind, bits| PrivateKey::generate(kind, bits).unwrap().public().clone();
    let (rsa, ecdsa, ed25519) = (key(KeyType::Rsa, 2048), key(KeyType::Ecdsa(256), 256), key(KeyType::Ed25519, 0));
    let offered = |keys: &[&PublicKey], fixed_order, list: Option<&str>| {
        let mut config = SessionConfig::new(Role::Client);
        if let Some(list) = list {
            config.algorithms.set(AlgorithmKind::HostKey, list).unwrap();
        }
        let keys = keys.iter().map(|key| (*key).clone()).collect();
        let policy = HostKeyPolicy::Check(Box::new(HostKeyCheck { keys, fixed_order, ..HostKeyCheck::default() }));
        config.transport(&policy).algorithms.get(AlgorithmKind::HostKey)
    };
    let fixed = offered(&[], false, None);
    assert!(fixed.starts_with("ssh-ed25519,"));
    for keys in [&[&rsa][..], &[&ecdsa, &rsa], &[&ed25519], &[&rsa, &ed25519]] {
        assert_eq!(offered(keys, true, None), fixed);
        let list = "ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-512";
        assert_eq!(offered(keys, false, Some(list)), list, "the application's own order stays");
    }
    // Without it: a kind that the client can recognise first, but no order of its own where the first one is known.
    assert!(offered(&[&rsa], false, None).starts_with("rsa-sha2-512,rsa-sha2-256,ssh-ed25519,"));
    let edited = offered(&[&ecdsa, &rsa], false, Some("-rsa-sha2-256"));
    assert!(edited.starts_with("ecdsa-sha2-nistp256,rsa-sha2-512,ssh-ed25519,"), "{edited}");
    assert_eq!(offered(&[&ed25519], false, None), fixed);
    assert_eq!(offered(&[&rsa, &ed25519], false, None), fixed);
}
