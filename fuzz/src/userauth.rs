//! User authentication, each role against a peer that sends what it likes and an application that answers anyhow.

use crate::hostile::{AUTH_METHODS, auth_message, keys, outside, signature};
use crate::input::Input;
use nacre::auth::{
    AuthLimits, ClientAnswer, ClientAuth, ClientAuthEvent, ClientContext, ClientMethod, ServerAnswer, ServerAuth,
    ServerAuthEvent, ServerContext, ServerQuestion, Stage,
};
use nacre::error::{Error, Result};
use nacre::transport::{AlgorithmKind, SignatureRules, available};
use nacre::wire::{Message, MessageSink};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const SESSION: &[u8] = &[9; 32];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.boolean() {
        server(&mut input);
    } else {
        client(&mut input);
    }
}

/// The numbers of what was sent.
#[derive(Default)]
struct Sent(Vec<u8>);

impl MessageSink for Sent {
    fn send(&mut self, message: &Message<'_>) -> Result<()> {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        assert_eq!(encoded.len(), message.length());
        assert!(encoded.len() <= 256 * 1024);
        self.0.push(message.number());
        Ok(())
    }

    fn room(&self) -> usize {
        0
    }
}

fn server(input: &mut Input<'_>) {
    let mut now = Instant::now();
    let limits = AuthLimits { attempts: 1 + u32::from(input.byte() % 8), requests: 40, ..AuthLimits::default() };
    let mut auth = ServerAuth::new(
        ServerContext {
            session_id: SESSION.to_vec(),
            host_key_blob: input.boolean().then(|| keys()[0].public().blob().to_vec()),
            limits,
            pubkey_algorithms: available(AlgorithmKind::PubkeySignature),
            signature_rules: SignatureRules::default(),
            failure_delay_secret: [3; 16],
        },
        now,
    );
    let mut sent = Sent::default();
    let mut open: Vec<(u64, ServerQuestion)> = Vec::new();
    // Whom the application has let in for something that was proved or told.
    let mut let_in: Option<Vec<u8>> = None;
    let mut failed = false;
    let mut authenticated = false;
    while !input.is_empty() {
        let outcome = match input.byte() % 8 {
            0..=3 => {
                let (number, payload) = auth_message(input, true, SESSION);
                let outcome = auth.receive(number, &payload, now, &mut sent);
                assert!(!failed || outcome.is_err(), "it goes on after an error");
                outcome
            }
            4 | 5 => {
                let Some((id, question)) = open.last().cloned() else { continue };
                let answer = server_answer(input);
                let grants = answer == ServerAnswer::Accept && user_of_decision(&question).is_some();
                let outcome = auth.answer(id, answer, now, &mut sent);
                match &outcome {
                    Err(Error::Argument(_)) => continue,
                    Ok(()) if grants => let_in = user_of_decision(&question),
                    _ => {}
                }
                open.pop();
                outcome
            }
            6 => {
                now += Duration::from_millis(u64::from(input.byte()));
                auth.timeout(now, &mut sent)
            }
            _ => {
                let banner = auth.send_banner(input.bytes(300), &mut sent);
                if banner.is_err() { Ok(()) } else { banner }
            }
        };
        failed |= matches!(&outcome, Err(error) if !matches!(error, Error::State(_) | Error::Argument(_)));
        while let Some(event) = auth.next_event() {
            match event {
                ServerAuthEvent::Question { id, question } => {
                    assert!(id > 0);
                    assert!(!authenticated, "a question after the end");
                    open.push((id, question));
                }
                ServerAuthEvent::Authenticated { user, .. } => {
                    assert_eq!(Some(user), let_in, "nobody let this user in");
                    assert!(!authenticated);
                    authenticated = true;
                }
            }
        }
        assert_eq!(auth.stage() == Stage::Done, authenticated && !failed || auth.stage() == Stage::Done);
        for number in sent.0.drain(..) {
            assert!(matches!(number, 6 | 51..=53 | 60), "a server sent {number}");
            assert!(number != 52 || authenticated, "SUCCESS for nobody");
        }
    }
}

/// Whose login an Accept to this question ends.
fn user_of_decision(question: &ServerQuestion) -> Option<Vec<u8>> {
    match question {
        ServerQuestion::AllowedMethods { .. } | ServerQuestion::Publickey { signed: false, .. } => None,
        ServerQuestion::None { user }
        | ServerQuestion::Password { user, .. }
        | ServerQuestion::PasswordChange { user, .. }
        | ServerQuestion::Publickey { user, .. }
        | ServerQuestion::InteractiveStart { user, .. }
        | ServerQuestion::InteractiveAnswers { user, .. } => Some(user.clone()),
    }
}

fn server_answer(input: &mut Input<'_>) -> ServerAnswer {
    match input.byte() % 8 {
        0 => ServerAnswer::Accept,
        1 => ServerAnswer::Reject,
        2 => ServerAnswer::Partial,
        3 | 4 => {
            ServerAnswer::Methods((0..input.below(4)).map(|_| *input.pick(AUTH_METHODS)).collect::<Vec<_>>().join(","))
        }
        5 | 6 => ServerAnswer::Prompts {
            name: input.bytes(40).to_vec(),
            instruction: input.bytes(300).to_vec(),
            prompts: (0..input.below(4)).map(|_| prompt(input)).collect(),
        },
        _ => ServerAnswer::ChangePassword { prompt: input.bytes(300).to_vec() },
    }
}

type Prompt = (Vec<u8>, bool);

fn prompt(input: &mut Input<'_>) -> Prompt {
    (input.bytes(300).to_vec(), input.boolean())
}

fn client(input: &mut Input<'_>) {
    let mut auth = ClientAuth::new(ClientContext {
        session_id: SESSION.to_vec(),
        host_key_blob: input.boolean().then(|| keys()[0].public().blob().to_vec()),
        server_sig_algs: input.boolean().then(|| input.text(200)),
        hostbound: input.boolean(),
        refuse_trivial: input.boolean(),
        pubkey_algorithms: available(AlgorithmKind::PubkeySignature),
        signature_rules: SignatureRules::default(),
    });
    let mut sent = Sent::default();
    let (mut open, mut wanted) = (None, None);
    let (mut service, mut failed, mut under_way) = (false, false, false);
    while !input.is_empty() {
        let mut success = false;
        match input.byte() % 8 {
            0 | 1 => {
                let user = input.bytes(40).to_vec();
                let started = auth.start(&user, client_method(input), &mut sent);
                assert!(!under_way || started.is_err(), "two attempts at once");
                under_way |= started.is_ok();
            }
            2..=5 => {
                let (number, payload) = auth_message(input, false, SESSION);
                let awaiting = auth.stage() == Stage::AuthAwaiting;
                let outcome = auth.receive(number, &payload, &mut sent);
                assert!(!failed || outcome.is_err(), "it goes on after an error");
                service |= number == 6 && outcome.is_ok();
                success = number == 52 && outcome.is_ok();
                assert!(!success || awaiting, "a success that nothing waited for");
                failed |= outcome.is_err();
            }
            6 => {
                let Some(question) = open.take() else { continue };
                let answer = match input.byte() % 4 {
                    0 => ClientAnswer::Cancel,
                    1 => match wanted.take() {
                        Some(wanted) if input.boolean() => ClientAnswer::Signed(signature(&wanted)),
                        _ => ClientAnswer::Signed(Ok(input.bytes(200).to_vec())),
                    },
                    _ => ClientAnswer::Texts(
                        (0..input.below(4)).map(|_| Zeroizing::new(input.bytes(300).to_vec())).collect(),
                    ),
                };
                if matches!(auth.answer(question, answer, &mut sent), Err(Error::Argument(_))) {
                    open = Some(question);
                }
            }
            _ => auth.update_extensions(input.boolean().then(|| input.text(200)), input.boolean()),
        }
        while let Some(event) = auth.next_event() {
            match event {
                ClientAuthEvent::Finished(outcome) => {
                    assert!(under_way, "the end of nothing");
                    assert_eq!(outcome.is_ok(), success, "{outcome:?}");
                    under_way = false;
                }
                ClientAuthEvent::Banner(_) => {}
                ClientAuthEvent::Prompts { question, .. } | ClientAuthEvent::PasswordChange { question, .. } => {
                    assert!(under_way);
                    open = Some(question);
                }
                ClientAuthEvent::Sign { question, wanted: asked } => {
                    assert!(under_way);
                    (open, wanted) = (Some(question), Some(asked));
                }
            }
        }
        for number in sent.0.drain(..) {
            assert!(matches!(number, 5 | 50 | 61), "a client sent {number}");
            assert!(number == 5 || service, "credentials before the service was accepted");
        }
    }
}

fn client_method(input: &mut Input<'_>) -> ClientMethod {
    match input.byte() % 5 {
        0 => ClientMethod::None,
        1 => ClientMethod::Password {
            password: Zeroizing::new(input.bytes(300).to_vec()),
            fallback_to_interactive: input.boolean(),
        },
        2 => ClientMethod::Publickey {
            key: keys()[if input.byte() == 255 { 2 } else { input.below(2) }].clone(),
            probe: input.boolean(),
        },
        3 => {
            let key = outside(if input.byte() == 255 { 2 } else { input.below(2) });
            if input.boolean() {
                ClientMethod::AnyOf { keys: vec![key, keys()[0].clone()] }
            } else {
                ClientMethod::Publickey { key, probe: input.boolean() }
            }
        }
        _ => ClientMethod::Interactive { submethods: input.text(60) },
    }
}
