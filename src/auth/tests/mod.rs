//! Pairs of a client and a server in memory, with virtual time, and each side alone against a forger.

mod client;
mod hostile;
mod interactive;
mod limits;
mod password;
mod publickey;
mod signatures;
mod steps;

use super::*;
use crate::error::{Error, Result};
use crate::keys::SignatureRules;
use crate::wire::messages::message;
use crate::wire::{Message, MessageSink, Rest};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

static ED25519: LazyLock<Arc<PrivateKey>> = LazyLock::new(|| generate(crate::keys::KeyType::Ed25519));
static OTHER: LazyLock<Arc<PrivateKey>> = LazyLock::new(|| generate(crate::keys::KeyType::Ecdsa(256)));
static RSA: LazyLock<Arc<PrivateKey>> = LazyLock::new(|| generate(crate::keys::KeyType::Rsa));

const SESSION: &[u8] = b"the session's identifier";
const HOST_KEY: &[u8] = b"the host key's blob";
const ALGORITHMS: &[&str] = &["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"];

fn generate(key_type: crate::keys::KeyType) -> Arc<PrivateKey> {
    Arc::new(PrivateKey::generate(key_type, 0).unwrap())
}

fn secret(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn password(text: &str) -> ClientMethod {
    ClientMethod::Password { password: secret(text), fallback_to_interactive: true }
}

fn by_key(key: &Arc<PrivateKey>, probe: bool) -> ClientMethod {
    ClientMethod::Publickey { key: key.clone(), probe }
}

fn by_prompts() -> ClientMethod {
    ClientMethod::Interactive { submethods: String::new() }
}

fn ask(prompts: &[&str]) -> ServerAnswer {
    let prompts = prompts.iter().map(|prompt| (prompt.as_bytes().to_vec(), false)).collect();
    ServerAnswer::Prompts { name: Vec::new(), instruction: Vec::new(), prompts }
}

fn methods(list: &str) -> ServerAnswer {
    ServerAnswer::Methods(list.to_owned())
}

fn texts(texts: &[&str]) -> ClientAnswer {
    ClientAnswer::Texts(texts.iter().map(|text| secret(text)).collect())
}

/// What one side sent: number and payload.
#[derive(Default)]
struct Outbox(Vec<(u8, Vec<u8>)>);

impl MessageSink for Outbox {
    fn send(&mut self, message: &Message<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.0.push((bytes[0], bytes[1..].to_vec()));
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

fn client_context() -> ClientContext {
    ClientContext {
        session_id: SESSION.to_vec(),
        host_key_blob: Some(HOST_KEY.to_vec()),
        server_sig_algs: None,
        hostbound: false,
        pubkey_algorithms: ALGORITHMS.to_vec(),
        signature_rules: SignatureRules::default(),
        refuse_trivial: false,
    }
}

fn server_context() -> ServerContext {
    ServerContext {
        session_id: SESSION.to_vec(),
        host_key_blob: Some(HOST_KEY.to_vec()),
        limits: AuthLimits::default(),
        pubkey_algorithms: ALGORITHMS.to_vec(),
        signature_rules: SignatureRules::default(),
        failure_delay_secret: [7; 16],
    }
}

/// A server alone, the application's side of it, and what it sent.
struct Server {
    auth: ServerAuth,
    out: Outbox,
    now: Instant,
}

impl Server {
    fn new(context: ServerContext) -> Self {
        let now = Instant::now();
        let mut server = Self { auth: ServerAuth::new(context, now), out: Outbox::default(), now };
        server.receive(message!(ServiceRequest { name: "ssh-userauth" })).unwrap();
        assert_eq!(server.sent(), [6]);
        server
    }

    fn receive(&mut self, message: Message<'_>) -> Result<()> {
        let mut out = Outbox::default();
        out.send(&message)?;
        self.receive_raw(out.0[0].0, &out.0[0].1)
    }

    fn receive_raw(&mut self, number: u8, payload: &[u8]) -> Result<()> {
        self.auth.receive(number, payload, self.now, &mut self.out)
    }

    fn request(&mut self, user: &str, method: &str, fields: &[u8]) -> Result<()> {
        self.receive(message!(UserauthRequest {
            user: user.as_bytes(),
            service: "ssh-connection",
            method: method,
            fields: Rest(fields),
        }))
    }

    fn password(&mut self, user: &str, text: &str) -> Result<()> {
        let fields = super::password::Request { password: text.as_bytes(), new_password: None }.encode();
        self.request(user, "password", &fields)
    }

    fn question(&mut self) -> Option<(u64, ServerQuestion)> {
        match self.auth.next_event()? {
            ServerAuthEvent::Question { id, question } => Some((id, question)),
            ServerAuthEvent::Authenticated { .. } => None,
        }
    }

    fn answer(&mut self, id: u64, answer: ServerAnswer) -> Result<()> {
        self.auth.answer(id, answer, self.now, &mut self.out)
    }

    /// Answers the question that must be open.
    fn decide(&mut self, with: ServerAnswer) -> Result<()> {
        let (id, _) = self.question().expect("an open question");
        self.answer(id, with)
    }

    /// Lets the time pass until nothing is delayed any more.
    fn settle(&mut self) -> Result<Duration> {
        let start = self.now;
        while let Some(due) = self.auth.next_timeout() {
            self.now = due;
            self.auth.timeout(self.now, &mut self.out)?;
        }
        Ok(self.now - start)
    }

    /// The numbers of what was sent since the last call.
    fn sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out.0).into_iter().map(|(number, _)| number).collect()
    }
}

type Application<'a> = dyn FnMut(&ServerQuestion) -> ServerAnswer + 'a;
type User<'a> = dyn FnMut(&ClientAuthEvent) -> ClientAnswer + 'a;

struct Pair {
    client: ClientAuth,
    server: ServerAuth,
    to_server: Outbox,
    to_client: Outbox,
    now: Instant,
    banners: Vec<Vec<u8>>,
    authenticated: Option<(Vec<u8>, &'static str)>,
    /// The methods' names in the requests, in order.
    requested: Vec<String>,
}

impl Pair {
    fn new() -> Self {
        Self::with(client_context(), server_context())
    }

    fn with(client: ClientContext, server: ServerContext) -> Self {
        let now = Instant::now();
        Self {
            client: ClientAuth::new(client),
            server: ServerAuth::new(server, now),
            to_server: Outbox::default(),
            to_client: Outbox::default(),
            now,
            banners: Vec::new(),
            authenticated: None,
            requested: Vec::new(),
        }
    }

    /// One attempt from its start to its end. Ok(Err) is a failure of the attempt, Err one of the connection.
    fn attempt(
        &mut self,
        user: &str,
        method: ClientMethod,
        application: &mut Application<'_>,
        at_the_keyboard: &mut User<'_>,
    ) -> Result<Result<()>> {
        self.client.start(user.as_bytes(), method, &mut self.to_server)?;
        for _ in 0..1000 {
            for (number, payload) in std::mem::take(&mut self.to_server.0) {
                self.note_request(number, &payload);
                self.server.receive(number, &payload, self.now, &mut self.to_client)?;
            }
            while let Some(event) = self.server.next_event() {
                match event {
                    ServerAuthEvent::Question { id, question } => {
                        self.server.answer(id, application(&question), self.now, &mut self.to_client)?;
                    }
                    ServerAuthEvent::Authenticated { user, method } => self.authenticated = Some((user, method)),
                }
            }
            if let Some(due) = self.server.next_timeout() {
                self.now = due;
                self.server.timeout(self.now, &mut self.to_client)?;
            }
            for (number, payload) in std::mem::take(&mut self.to_client.0) {
                self.client.receive(number, &payload, &mut self.to_server)?;
            }
            while let Some(event) = self.client.next_event() {
                match &event {
                    ClientAuthEvent::Finished(result) => return Ok(result.clone()),
                    ClientAuthEvent::Banner(text) => self.banners.push(text.clone()),
                    ClientAuthEvent::Prompts { question, .. } | ClientAuthEvent::PasswordChange { question, .. } => {
                        let question = *question;
                        self.client.answer(question, at_the_keyboard(&event), &mut self.to_server)?;
                    }
                    ClientAuthEvent::Sign { .. } => panic!("these keys are all here"),
                }
            }
        }
        panic!("the attempt does not end");
    }

    /// Where the user is asked nothing.
    fn quick(
        &mut self,
        user: &str,
        method: ClientMethod,
        application: impl FnMut(&ServerQuestion) -> ServerAnswer,
    ) -> Result<()> {
        let mut application = application;
        self.attempt(user, method, &mut application, &mut |event| panic!("the user is asked: {event:?}")).unwrap()
    }

    fn note_request(&mut self, number: u8, payload: &[u8]) {
        use crate::wire::messages::UserauthRequest;
        if number == UserauthRequest::NUMBER {
            self.requested.push(UserauthRequest::decode(payload).unwrap().method.to_owned());
        }
    }
}

/// An application that takes this user's password, and lists these methods.
fn takes_password<'a>(list: &'a str, right: &'a str) -> impl FnMut(&ServerQuestion) -> ServerAnswer + 'a {
    move |question| match question {
        ServerQuestion::AllowedMethods { .. } => methods(list),
        ServerQuestion::Password { password, .. } if password.as_slice() == right.as_bytes() => ServerAnswer::Accept,
        _ => ServerAnswer::Reject,
    }
}

fn failure_methods(error: &Error) -> (&'static str, &str) {
    match error {
        Error::AuthFailed(failure) => ("failed", &failure.methods),
        Error::AuthMethod(failure) => ("method", &failure.methods),
        Error::AuthPartial(failure) => ("partial", &failure.methods),
        other => panic!("{other:?}"),
    }
}
