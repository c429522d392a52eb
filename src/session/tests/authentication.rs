use std::sync::Arc;

use super::simulator::{host_key, user_key};
use super::*;
use crate::keys::KeyType;
use zeroize::Zeroizing;

fn password(text: &str) -> ClientMethod {
    ClientMethod::Password { password: Zeroizing::new(text.as_bytes().to_vec()), fallback_to_interactive: false }
}

fn login(pair: &mut Pair, method: ClientMethod) {
    let now = pair.now;
    pair.client.session.authenticate(b"alice", method, now).unwrap();
}

fn finished(side: &Side) -> Vec<&Result<()>> {
    let outcomes = side.events.iter().filter_map(|event| match event {
        SessionEvent::AuthFinished(outcome) => Some(outcome),
        _ => None,
    });
    outcomes.collect()
}

fn wait_for_outcomes(pair: &mut Pair, count: usize) {
    pair.run_until(|pair| finished(&pair.client).len() == count);
}

/// A server that knows one password and one key.
fn decide(question: &Question) -> Option<Answer> {
    let Question::Server(question) = question else { return Some(Answer::Reject) };
    let right = match question {
        ServerQuestion::AllowedMethods { .. } => {
            return Some(Answer::Methods("password,publickey,keyboard-interactive".to_owned()));
        }
        ServerQuestion::Password { user, password, .. } => user == b"alice" && password.as_slice() == b"secret",
        ServerQuestion::Publickey { user, key, .. } => user == b"alice" && key == user_key().public(),
        ServerQuestion::InteractiveStart { .. } => {
            return Some(Answer::Prompts {
                name: b"token".to_vec(),
                instruction: b"look at it".to_vec(),
                prompts: vec![(b"number: ".to_vec(), true), (b"pin: ".to_vec(), false)],
            });
        }
        ServerQuestion::InteractiveAnswers { answers, .. } => {
            answers.iter().map(|answer| answer.as_slice()).eq([b"42".as_slice(), b"0000".as_slice()])
        }
        _ => false,
    };
    Some(if right { Answer::Accept } else { Answer::Reject })
}

fn pair() -> Pair {
    let mut pair = Pair::new(Options::default());
    pair.server.decide = Box::new(decide);
    pair.settle();
    pair
}

fn assert_logged_in(pair: &Pair, method: &str) {
    assert!(matches!(finished(&pair.client).last(), Some(Ok(()))));
    for side in [&pair.client, &pair.server] {
        assert_eq!(side.session.state(), SessionState::Authenticated);
        assert_eq!(side.session.username(), Some(b"alice".as_slice()));
        assert_eq!(side.session.auth_succeeded_with(), Some(method));
    }
    assert_eq!(pair.server.count(|event| matches!(event, SessionEvent::Authenticated { .. })), 1);
}

#[test]
fn a_password_logs_in() {
    let mut pair = pair();
    login(&mut pair, password("secret"));
    assert!(pair.client.session.username().is_none());
    wait_for_outcomes(&mut pair, 1);
    assert_logged_in(&pair, "password");
    let now = pair.now;
    assert!(matches!(pair.client.session.authenticate(b"alice", password("secret"), now), Err(Error::State(_))));
}

#[test]
fn wrong_then_right() {
    let mut pair = pair();
    login(&mut pair, password("wrong"));
    let now = pair.now;
    let twice = pair.client.session.authenticate(b"alice", password("secret"), now);
    assert!(matches!(twice, Err(Error::State(_))), "one at a time");
    wait_for_outcomes(&mut pair, 1);
    assert!(matches!(finished(&pair.client)[0], Err(Error::AuthFailed(_))), "{:?}", finished(&pair.client)[0]);
    assert!(pair.client.session.auth_methods().unwrap().contains("publickey"));
    assert_eq!(pair.client.session.state(), SessionState::Negotiated);
    login(&mut pair, password("secret"));
    wait_for_outcomes(&mut pair, 2);
    assert_logged_in(&pair, "password");
}

#[test]
fn a_key_logs_in_with_and_without_a_probe() {
    for probe in [false, true] {
        let mut pair = pair();
        login(&mut pair, ClientMethod::Publickey { key: user_key(), probe });
        wait_for_outcomes(&mut pair, 1);
        assert_logged_in(&pair, "publickey");
    }
    let mut pair = pair();
    let stranger = Arc::new(PrivateKey::generate(KeyType::Ed25519, 0).unwrap());
    login(&mut pair, ClientMethod::Publickey { key: stranger, probe: true });
    wait_for_outcomes(&mut pair, 1);
    assert!(matches!(finished(&pair.client)[0], Err(Error::AuthFailed(_))));
}

#[test]
fn prompts_wait_for_the_user() {
    let mut pair = pair();
    pair.client.session.limits_mut().login_ms = 5_000;
    login(&mut pair, ClientMethod::Interactive { submethods: String::new() });
    pair.run_until(|pair| !pair.client.open.is_empty());
    pair.advance(seconds(100));
    let (id, question) = pair.client.take_question();
    let Question::Prompts { name, instruction, prompts } = question else { panic!("another question") };
    assert_eq!((name.as_slice(), instruction.as_slice()), (b"token".as_slice(), b"look at it".as_slice()));
    assert_eq!(prompts, [(b"number: ".to_vec(), true), (b"pin: ".to_vec(), false)]);
    let now = pair.now;
    let one_too_few = Answer::Texts(vec![Zeroizing::new(b"42".to_vec())]);
    assert!(matches!(pair.client.session.answer(id, one_too_few, now), Err(Error::Argument(_))));
    let texts = [b"42".to_vec(), b"0000".to_vec()].map(Zeroizing::new).to_vec();
    pair.client.session.answer(id, Answer::Texts(texts), now).unwrap();
    wait_for_outcomes(&mut pair, 1);
    assert_logged_in(&pair, "keyboard-interactive");
}

#[test]
fn a_user_who_gives_up_at_a_prompt_may_try_another_way() {
    let mut pair = pair();
    login(&mut pair, ClientMethod::Interactive { submethods: String::new() });
    pair.run_until(|pair| !pair.client.open.is_empty());
    let (id, _) = pair.client.take_question();
    let now = pair.now;
    pair.client.session.answer(id, Answer::Reject, now).unwrap();
    wait_for_outcomes(&mut pair, 1);
    assert!(finished(&pair.client)[0].is_err());
    login(&mut pair, password("secret"));
    wait_for_outcomes(&mut pair, 2);
    assert_logged_in(&pair, "password");
}

#[test]
fn the_server_may_answer_late() {
    let mut pair = pair();
    pair.server.decide = Box::new(|_| None);
    login(&mut pair, password("secret"));
    pair.advance(seconds(30));
    assert!(finished(&pair.client).is_empty());
    // Whatever is asked first, the password comes.
    while finished(&pair.client).is_empty() {
        let (id, question) = pair.server.take_question();
        let answer = decide(&question).unwrap();
        let now = pair.now;
        pair.server.session.answer(id, answer, now).unwrap();
        pair.advance(seconds(1));
    }
    assert_logged_in(&pair, "password");
}

#[test]
fn one_step_of_several() {
    let mut pair = pair();
    pair.server.decide = Box::new(|question| match question {
        Question::Server(ServerQuestion::Publickey { signed: true, .. }) => Some(Answer::Partial),
        question => decide(question),
    });
    login(&mut pair, ClientMethod::Publickey { key: user_key(), probe: false });
    wait_for_outcomes(&mut pair, 1);
    assert!(matches!(finished(&pair.client)[0], Err(Error::AuthPartial(_))), "{:?}", finished(&pair.client)[0]);
    login(&mut pair, password("secret"));
    wait_for_outcomes(&mut pair, 2);
    assert_logged_in(&pair, "password");
}

#[test]
fn a_banner_comes_before_the_outcome() {
    for early in [true, false] {
        let mut pair = Pair::new(Options::default());
        pair.server.decide = Box::new(decide);
        let now = pair.now;
        if early {
            pair.server.session.send_banner(b"be welcome", now).unwrap();
        }
        pair.settle();
        if !early {
            pair.server.session.send_banner(b"be welcome", now).unwrap();
        }
        login(&mut pair, password("secret"));
        wait_for_outcomes(&mut pair, 1);
        assert_eq!(pair.client.session.banner(), Some(b"be welcome".as_slice()));
        let place = |fits: fn(&SessionEvent) -> bool| pair.client.events.iter().position(fits).unwrap();
        let banner = place(|event| matches!(event, SessionEvent::Banner(_)));
        assert!(banner < place(|event| matches!(event, SessionEvent::AuthFinished(_))));
        assert_logged_in(&pair, "password");
    }
}

#[test]
fn too_many_wrong_passwords_end_the_connection() {
    let mut pair = pair();
    pair.server.session.limits_mut();
    for attempt in 0..20 {
        if pair.client.ended().is_some() {
            assert!((3..=7).contains(&attempt), "{attempt} attempts");
            assert!(matches!(pair.client.ended(), Some(Error::Disconnected(told)) if told.by_peer));
            assert!(pair.server.ended().is_some());
            return;
        }
        login(&mut pair, password("wrong"));
        let before = finished(&pair.client).len();
        pair.run_until(|pair| finished(&pair.client).len() > before || pair.client.ended().is_some());
    }
    panic!("the server never had enough");
}

#[test]
fn nothing_is_authenticated_before_the_keys_are_there() {
    let mut pair = Pair::new(Options::default());
    let now = pair.now;
    assert!(matches!(pair.client.session.authenticate(b"alice", ClientMethod::None, now), Err(Error::State(_))));
    assert!(matches!(pair.server.session.authenticate(b"alice", ClientMethod::None, now), Err(Error::State(_))));
    assert!(matches!(pair.client.session.send_banner(b"hello", now), Err(Error::State(_))));
    pair.settle();
    assert!(matches!(pair.server.session.authenticate(b"alice", ClientMethod::None, now), Err(Error::State(_))));
    let opened = pair.client.session.open_channel("session", b"", None, None, now);
    assert!(matches!(opened, Err(Error::State(_))));
    assert!(matches!(pair.client.session.global_request("x", b"", true, now), Err(Error::State(_))));
    assert!(matches!(pair.client.session.rekey(now), Err(Error::State(_))));
    assert_eq!(pair.server.session.host_key().unwrap().public(), host_key().public());
}

#[test]
fn nothing_at_all_may_be_enough() {
    let mut pair = pair();
    pair.server.decide = Box::new(|question| match question {
        Question::Server(ServerQuestion::None { .. }) => Some(Answer::Accept),
        question => decide(question),
    });
    login(&mut pair, ClientMethod::None);
    wait_for_outcomes(&mut pair, 1);
    assert_logged_in(&pair, "none");
}

#[test]
fn a_password_is_the_answer_to_a_single_prompt() {
    let mut pair = pair();
    pair.server.decide = Box::new(|question| match question {
        Question::Server(ServerQuestion::AllowedMethods { .. }) => {
            Some(Answer::Methods("keyboard-interactive".to_owned()))
        }
        Question::Server(ServerQuestion::InteractiveStart { .. }) => {
            Some(Answer::Prompts { name: vec![], instruction: vec![], prompts: vec![(b"Password: ".to_vec(), false)] })
        }
        Question::Server(ServerQuestion::InteractiveAnswers { answers, .. }) => {
            let right = answers.len() == 1 && answers[0].as_slice() == b"secret";
            Some(if right { Answer::Accept } else { Answer::Reject })
        }
        question => decide(question),
    });
    let password = Zeroizing::new(b"secret".to_vec());
    login(&mut pair, ClientMethod::Password { password, fallback_to_interactive: true });
    wait_for_outcomes(&mut pair, 1);
    assert!(pair.client.open.is_empty(), "the user is not asked");
    assert_logged_in(&pair, "keyboard-interactive");
}

#[test]
fn a_password_that_has_to_be_changed() {
    let mut pair = pair();
    pair.server.decide = Box::new(|question| match question {
        Question::Server(ServerQuestion::Password { .. }) => {
            Some(Answer::ChangePassword { prompt: b"it is too old".to_vec() })
        }
        Question::Server(ServerQuestion::PasswordChange { old, new, .. }) => {
            let right = old.as_slice() == b"secret" && new.as_slice() == b"fresh";
            Some(if right { Answer::Accept } else { Answer::Reject })
        }
        question => decide(question),
    });
    login(&mut pair, password("secret"));
    pair.run_until(|pair| !pair.client.open.is_empty());
    let (id, question) = pair.client.take_question();
    assert!(matches!(question, Question::PasswordChange { prompt } if prompt == b"it is too old"));
    let now = pair.now;
    assert!(matches!(pair.client.session.answer(id, Answer::Accept, now), Err(Error::Argument(_))));
    pair.client.session.answer(id, Answer::Bytes(b"fresh".to_vec()), now).unwrap();
    wait_for_outcomes(&mut pair, 1);
    assert_logged_in(&pair, "password");
}

#[test]
fn an_answer_that_does_not_fit_leaves_the_servers_question_open() {
    let mut pair = pair();
    pair.server.decide = Box::new(|question| match question {
        Question::Server(ServerQuestion::Password { .. }) => None,
        question => decide(question),
    });
    login(&mut pair, password("secret"));
    pair.advance(seconds(1));
    let (id, _) = pair.server.take_question();
    let now = pair.now;
    for unfit in [Answer::Texts(vec![]), Answer::Bytes(vec![]), Answer::Methods(String::new())] {
        assert!(matches!(pair.server.session.answer(id, unfit, now), Err(Error::Argument(_))));
    }
    pair.server.session.answer(id, Answer::Accept, now).unwrap();
    wait_for_outcomes(&mut pair, 1);
    assert_logged_in(&pair, "password");
}

#[test]
fn what_a_server_announces_during_authentication_is_heeded() {
    let rsa = Arc::new(PrivateKey::generate(KeyType::Rsa, 2048).unwrap());
    let mut algorithms = Vec::new();
    for list in ["rsa-sha2-256", "rsa-sha2-512"] {
        let (seen, used) = std::sync::mpsc::channel();
        let mut pair = pair();
        pair.server.decide = Box::new(move |question| match question {
            Question::Server(ServerQuestion::Publickey { algorithm, .. }) => {
                seen.send(algorithm.clone()).unwrap();
                Some(Answer::Accept)
            }
            question => decide(question),
        });
        login(&mut pair, password("wrong"));
        wait_for_outcomes(&mut pair, 1);
        let extensions = crate::wire::Writer::new().u8(7).u32(1).string("server-sig-algs").string(list);
        pair.server.session.transport.inject(&extensions.finish());
        pair.settle();
        login(&mut pair, ClientMethod::Publickey { key: rsa.clone(), probe: false });
        wait_for_outcomes(&mut pair, 2);
        assert_logged_in(&pair, "publickey");
        algorithms.extend(used.try_iter());
    }
    assert_eq!(algorithms, ["rsa-sha2-256", "rsa-sha2-512"]);
}
