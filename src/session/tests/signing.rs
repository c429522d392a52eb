//! Keys whose private half is elsewhere, as user keys and as host keys.

use std::sync::Arc;

use super::simulator::{host_key, user_key};
use super::*;
use crate::keys::KeyType;

/// The same key, but somebody else signs.
fn outside(key: &Arc<PrivateKey>) -> Arc<PrivateKey> {
    Arc::new(PrivateKey::elsewhere(key.public().clone(), String::new(), Arc::new(())))
}

/// The signature without the algorithm's name before it.
fn bare(blob: &[u8]) -> Vec<u8> {
    let mut reader = crate::wire::Reader::new(blob);
    reader.string().unwrap();
    reader.string().unwrap().to_vec()
}

fn takes(key: &Arc<PrivateKey>) -> impl FnMut(&Question) -> Option<Answer> + use<> {
    let right = key.public().clone();
    move |question| match question {
        Question::Server(ServerQuestion::AllowedMethods { .. }) => Some(Answer::Methods("publickey".to_owned())),
        Question::Server(ServerQuestion::Publickey { key, .. }) if *key == right => Some(Answer::Accept),
        _ => Some(Answer::Reject),
    }
}

/// Logs in up to the question for a signature.
fn asked_to_sign(right: &Arc<PrivateKey>, method: ClientMethod) -> (Pair, QuestionId, ToSign) {
    let mut pair = Pair::new(Options::default());
    pair.server.decide = Box::new(takes(right));
    pair.settle();
    let now = pair.now;
    pair.client.session.authenticate(b"alice", method, now).unwrap();
    pair.run_until(|pair| !pair.client.open.is_empty());
    let (id, question) = pair.client.take_question();
    let Question::Sign(wanted) = question else { panic!("another question: {question:?}") };
    (pair, id, wanted)
}

fn outcome(pair: &Pair) -> Option<&Result<()>> {
    pair.client.events.iter().rev().find_map(|event| match event {
        SessionEvent::AuthFinished(outcome) => Some(outcome),
        _ => None,
    })
}

fn answer(pair: &mut Pair, id: QuestionId, answer: Answer) -> Error {
    let now = pair.now;
    pair.client.session.answer(id, answer, now).unwrap();
    pair.run_until(|pair| outcome(pair).is_some());
    outcome(pair).unwrap().clone().unwrap_err()
}

#[test]
fn users_log_in_with_every_kind_of_signature() {
    for kind in [KeyType::Ed25519, KeyType::Ecdsa(256), KeyType::Ecdsa(384), KeyType::Ecdsa(521), KeyType::Rsa] {
        let key = Arc::new(PrivateKey::generate(kind, 0).unwrap());
        for whole in [true, false] {
            let method = ClientMethod::Publickey { key: outside(&key), probe: whole };
            let (mut pair, id, wanted) = asked_to_sign(&key, method);
            let blob = key.sign(wanted.algorithm, &wanted.data).unwrap();
            let now = pair.now;
            let given = if whole { blob } else { bare(&blob) };
            pair.client.session.answer(id, Answer::Bytes(given), now).unwrap();
            pair.run_until(|pair| pair.client.session.state() == SessionState::Authenticated);
            assert!(!pair.client.session.auth_was_trivial());
            assert!(pair.client.session.answer(id, Answer::Reject, now).is_err(), "answered once");
        }
    }
}

#[test]
fn a_signer_that_lies_is_told_and_nothing_is_sent() {
    let (right, other) = (user_key(), Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap()));
    type Lie = fn(&PrivateKey, &ToSign) -> Vec<u8>;
    let lies: [Lie; 6] = [
        |other, wanted| other.sign(wanted.algorithm, &wanted.data).unwrap(),
        |_, _| vec![0; 64],
        |_, _| vec![1; 63],
        |_, _| Vec::new(),
        |_, _| vec![7; 1 << 20],
        |_, wanted| crate::wire::Writer::new().string(wanted.algorithm).u32(u32::MAX).finish(),
    ];
    for lie in lies {
        let (mut pair, id, wanted) =
            asked_to_sign(&right, ClientMethod::Publickey { key: outside(&right), probe: false });
        let sent = pair.client.sent;
        let error = answer(&mut pair, id, Answer::Bytes(lie(&other, &wanted)));
        assert!(matches!(error, Error::Callback(_)), "{error}");
        assert_eq!((pair.client.sent, pair.client.ended()), (sent, None));
    }
    let (mut pair, id, _) = asked_to_sign(&right, ClientMethod::Publickey { key: outside(&right), probe: false });
    let now = pair.now;
    assert!(matches!(pair.client.session.answer(id, Answer::Accept, now), Err(Error::Argument(_))));
    assert!(matches!(answer(&mut pair, id, Answer::Reject), Error::Callback(_)));
}

#[test]
fn a_signer_has_the_decision_limit_and_the_login_waits() {
    let mut pair = Pair::new(Options::default());
    pair.client.session.limits_mut().login_ms = 5_000;
    pair.client.session.limits_mut().decision_ms = 30_000;
    pair.server.session.limits_mut().login_ms = 0;
    pair.server.decide = Box::new(takes(&user_key()));
    pair.settle();
    let now = pair.now;
    let method = ClientMethod::Publickey { key: outside(&user_key()), probe: true };
    pair.client.session.authenticate(b"alice", method.clone(), now).unwrap();
    pair.run_until(|pair| !pair.client.open.is_empty());
    pair.advance(seconds(29));
    assert!(outcome(&pair).is_none());
    pair.advance(seconds(2));
    assert!(matches!(outcome(&pair), Some(Err(Error::Timeout(_)))), "{:?}", outcome(&pair));
    assert_eq!((pair.client.withdrawn.len(), pair.client.ended()), (1, None));
    // The connection lives: another attempt goes well.
    let now = pair.now;
    pair.client.session.authenticate(b"alice", ClientMethod::Publickey { key: user_key(), probe: false }, now).unwrap();
    pair.run_until(|pair| pair.client.session.state() == SessionState::Authenticated);
}

#[test]
fn of_several_keys_the_right_one_signs() {
    let strangers =
        [KeyType::Ecdsa(256), KeyType::Ed25519].map(|kind| Arc::new(PrivateKey::generate(kind, 0).unwrap()));
    let right = user_key();
    let keys = vec![outside(&strangers[0]), strangers[1].clone(), outside(&right)];
    let (mut pair, id, wanted) = asked_to_sign(&right, ClientMethod::AnyOf { keys });
    assert_eq!(wanted.key.public(), right.public());
    let now = pair.now;
    let blob = right.sign(wanted.algorithm, &wanted.data).unwrap();
    pair.client.session.answer(id, Answer::Bytes(blob), now).unwrap();
    pair.run_until(|pair| pair.client.session.state() == SessionState::Authenticated);

    // A key that does not sign does not keep the next one from trying.
    let (mut pair, id, _) = asked_to_sign(&right, ClientMethod::AnyOf { keys: vec![outside(&right), right.clone()] });
    pair.client.session.answer(id, Answer::Reject, now).unwrap();
    pair.run_until(|pair| pair.client.session.state() == SessionState::Authenticated);

    let mut pair = Pair::new(Options::default());
    pair.server.decide = Box::new(takes(&right));
    pair.settle();
    let now = pair.now;
    let none = pair.client.session.authenticate(b"alice", ClientMethod::AnyOf { keys: Vec::new() }, now);
    assert!(matches!(none, Err(Error::Argument(_))));
    pair.client.session.authenticate(b"alice", ClientMethod::AnyOf { keys: strangers.to_vec() }, now).unwrap();
    pair.run_until(|pair| outcome(pair).is_some());
    assert!(matches!(outcome(&pair), Some(Err(Error::AuthFailed(_)))), "{:?}", outcome(&pair));
}

fn with_outside_host_key() -> Pair {
    let mut options = Options::default();
    options.server.host_keys = vec![outside(&host_key())];
    let check = HostKeyCheck { keys: vec![host_key().public().clone()], ..HostKeyCheck::default() };
    options.client.host_key_policy = HostKeyPolicy::Check(Box::new(check));
    Pair::new(options)
}

fn sign_as_host(pair: &mut Pair) {
    pair.run_until(|pair| !pair.server.open.is_empty());
    let (id, question) = pair.server.take_question();
    let Question::Sign(wanted) = question else { panic!("another question: {question:?}") };
    let blob = host_key().sign(wanted.algorithm, &wanted.data).unwrap();
    let now = pair.now;
    pair.server.session.answer(id, Answer::Bytes(bare(&blob)), now).unwrap();
}

#[test]
fn a_host_key_signs_elsewhere_at_first_and_when_keys_are_renewed() {
    let mut pair = with_outside_host_key();
    sign_as_host(&mut pair);
    pair.settle();
    assert_eq!(pair.client.session.state(), SessionState::Negotiated);
    let proof = pair.client.session.initial_proof().unwrap().to_vec();
    host_key().public().verify("ssh-ed25519", pair.client.session.session_id(), &proof).unwrap();
    let password = ClientMethod::Password { password: b"secret".to_vec().into(), fallback_to_interactive: false };
    pair.server.decide = Box::new(|question| (!matches!(question, Question::Sign(_))).then_some(Answer::Accept));
    let now = pair.now;
    pair.client.session.authenticate(b"alice", password, now).unwrap();
    pair.run_until(|pair| pair.client.session.state() == SessionState::Authenticated);
    let (near, far) = pair.open_session();
    for side in [Role::Client, Role::Server] {
        let now = pair.now;
        pair.side(side).session.rekey(now).unwrap();
        pair.run_until(|pair| !pair.server.open.is_empty());
        // What is written meanwhile waits, and arrives.
        assert_eq!(pair.client.session.write(near, Stream::Data, b"up", now).unwrap(), 2);
        assert_eq!(pair.server.session.write(far, Stream::Data, b"down", now).unwrap(), 4);
        pair.settle();
        sign_as_host(&mut pair);
        pair.settle();
        let now = pair.now;
        assert_eq!(pair.server.read_all(far, Stream::Data, now).0, b"up");
        assert_eq!(pair.client.read_all(near, Stream::Data, now).0, b"down");
        assert_eq!(pair.client.session.initial_proof(), Some(proof.as_slice()));
    }
    assert_eq!(pair.server.count(|event| matches!(event, SessionEvent::Rekeyed)), 2);
    // An orderly end waits for the signature of a renewal that is under way.
    let now = pair.now;
    pair.client.session.rekey(now).unwrap();
    pair.run_until(|pair| !pair.server.open.is_empty());
    let now = pair.now;
    assert_eq!(pair.server.session.write(far, Stream::Data, b"last words", now).unwrap(), 10);
    pair.server.session.close(now);
    pair.settle();
    assert!(pair.server.ended().is_none());
    sign_as_host(&mut pair);
    pair.settle();
    assert!(matches!(pair.server.ended(), Some(Error::Disconnected(_))));
    let now = pair.now;
    assert_eq!(pair.client.read_all(near, Stream::Data, now).0, b"last words");
}

#[test]
fn a_host_key_that_does_not_sign_ends_the_connection() {
    let lies: [fn() -> Answer; 3] =
        [|| Answer::Reject, || Answer::Bytes(vec![9; 64]), || Answer::Failed(Error::timeout("no token"))];
    for lie in lies {
        let mut pair = with_outside_host_key();
        pair.run_until(|pair| !pair.server.open.is_empty());
        let (id, _) = pair.server.take_question();
        let now = pair.now;
        pair.server.session.answer(id, lie(), now).unwrap();
        let ended = pair.server.ended().cloned();
        assert!(matches!(ended, Some(Error::Callback(_) | Error::Timeout(_))), "{ended:?}");
        pair.settle();
        assert!(matches!(pair.client.ended(), Some(Error::Disconnected(_))), "{:?}", pair.client.ended());
    }
    let mut pair = with_outside_host_key();
    pair.server.session.limits_mut().decision_ms = 1_000;
    pair.run_until(|pair| !pair.server.open.is_empty());
    pair.advance(seconds(2));
    assert!(matches!(pair.server.ended(), Some(Error::Timeout(_))), "{:?}", pair.server.ended());
}

/// While the signature is awaited a client has nothing to say that belongs to the exchange.
#[test]
fn numbers_of_the_method_are_not_taken_meanwhile() {
    use crate::transport::table::{Legality, legality};
    use crate::wire::Phase;
    for number in 20..=49 {
        for phase in [Phase::InitialMethod { expected: 0 }, Phase::RekeyMethod { expected: 0 }] {
            assert_ne!(legality(number, Role::Server, phase, true), Legality::Accept, "{number}");
        }
    }
}
