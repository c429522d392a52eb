//! Messages and answers as a hostile peer, or an odd application, chooses them: mostly well-formed, seldom sensible.

use crate::input::Input;
use nacre::error::Result;
use nacre::keys::{KeyType, PrivateKey, ToSign};
use nacre::transport::RandomSource;
use nacre::wire::Writer;
use std::sync::{Arc, OnceLock};

/// Repeatable, so that an input that found something finds it again.
pub struct Repeatable(pub u64);

impl RandomSource for Repeatable {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// One key a type, made once a process.
pub fn keys() -> &'static [Arc<PrivateKey>; 3] {
    static KEYS: OnceLock<[Arc<PrivateKey>; 3]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [(KeyType::Ed25519, 0), (KeyType::Ecdsa(256), 0), (KeyType::Rsa, 2048)]
            .map(|(kind, bits)| Arc::new(PrivateKey::generate(kind, bits).expect("a key is generated")))
    })
}

/// The same key, but somebody else signs.
pub fn outside(index: usize) -> Arc<PrivateKey> {
    static KEYS: OnceLock<Vec<Arc<PrivateKey>>> = OnceLock::new();
    let made = KEYS.get_or_init(|| {
        let elsewhere =
            |key: &Arc<PrivateKey>| Arc::new(PrivateKey::elsewhere(key.public().clone(), String::new(), Arc::new(())));
        keys().iter().map(elsewhere).collect()
    });
    made[index].clone()
}

/// What an honest signer gives for one of those.
pub fn signature(wanted: &ToSign) -> Result<Vec<u8>> {
    let inside = keys().iter().find(|key| key.public() == wanted.key.public()).expect("a key of ours");
    inside.sign(wanted.algorithm, &wanted.data)
}

const KINDS: &[&str] = &[
    "session",
    "direct-tcpip",
    "forwarded-tcpip",
    "x11",
    "auth-agent@openssh.com",
    "direct-streamlocal@openssh.com",
    "forwarded-streamlocal@openssh.com",
];
const CHANNEL_REQUESTS: &[&str] = &[
    "pty-req",
    "x11-req",
    "env",
    "shell",
    "exec",
    "subsystem",
    "window-change",
    "xon-xoff",
    "signal",
    "break",
    "exit-status",
    "exit-signal",
    "auth-agent-req@openssh.com",
    "eow@openssh.com",
    "keepalive@openssh.com",
];
const GLOBAL_REQUESTS: &[&str] = &[
    "tcpip-forward",
    "cancel-tcpip-forward",
    "streamlocal-forward@openssh.com",
    "cancel-streamlocal-forward@openssh.com",
    "no-more-sessions@openssh.com",
    "hostkeys-00@openssh.com",
    "hostkeys-prove-00@openssh.com",
    "keepalive@openssh.com",
];
pub const AUTH_METHODS: &[&str] =
    &["none", "password", "publickey", "keyboard-interactive", "hostbased", "publickey-hostbound-v00@openssh.com"];

fn name(input: &mut Input<'_>, known: &[&str]) -> Vec<u8> {
    match input.byte() {
        255 => input.bytes(400).to_vec(),
        choice => known[usize::from(choice) % known.len()].as_bytes().to_vec(),
    }
}

/// A channel number that is likely to be somebody's.
fn channel(input: &mut Input<'_>) -> u32 {
    match input.byte() {
        255 => input.number(),
        choice => u32::from(choice % 6),
    }
}

fn method_list(input: &mut Input<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    for _ in 0..input.below(5) {
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(&name(input, AUTH_METHODS));
    }
    list
}

/// A message of the connection protocol: number and fields.
pub fn connection_message(input: &mut Input<'_>) -> (u8, Vec<u8>) {
    const NUMBERS: &[u8] = &[80, 81, 82, 90, 91, 92, 93, 94, 94, 95, 96, 97, 98, 98, 99, 100];
    let number = *input.pick(NUMBERS);
    let out = Writer::new();
    let fields = match number {
        80 => {
            let name = name(input, GLOBAL_REQUESTS);
            out.string(name).boolean(input.boolean()).raw(fields(input))
        }
        81 => out.raw(input.bytes(300)),
        82 => out,
        90 => {
            let kind = name(input, KINDS);
            out.string(kind).u32(channel(input)).u32(input.number()).u32(input.number()).raw(fields(input))
        }
        91 => out.u32(channel(input)).u32(channel(input)).u32(input.number()).u32(input.number()).raw(input.bytes(64)),
        92 => out.u32(channel(input)).u32(input.number()).string(input.bytes(300)).string(""),
        93 => out.u32(channel(input)).u32(input.number()),
        94 => out.u32(channel(input)).string(data(input)),
        95 => out.u32(channel(input)).u32(u32::from(input.byte() % 3)).string(data(input)),
        98 => {
            let out = out.u32(channel(input));
            let name = name(input, CHANNEL_REQUESTS);
            out.string(name).boolean(input.boolean()).raw(fields(input))
        }
        _ => out.u32(channel(input)),
    };
    (number, cut(input, fields.finish()))
}

/// A message from a client (`to_server`) or a server in the authentication.
pub fn auth_message(input: &mut Input<'_>, to_server: bool, session_id: &[u8]) -> (u8, Vec<u8>) {
    let out = Writer::new();
    let (number, fields) = if to_server {
        match input.byte() % 8 {
            0 => (5, out.string(name(input, &["ssh-userauth", "ssh-connection"]))),
            1 | 2 => (61, answers(input, out)),
            _ => return (50, auth_request(input, session_id)),
        }
    } else {
        match input.byte() % 8 {
            0 => (6, out.string(name(input, &["ssh-userauth", "ssh-connection"]))),
            1 => (53, out.string(input.bytes(2000)).string("")),
            2 | 3 => (51, out.string(method_list(input)).boolean(input.boolean())),
            4 => (52, out),
            5 => (60, prompts(input, out)),
            // PK_OK, and PASSWD_CHANGEREQ, have the same form.
            6 => (60, out.string(signature_name(input)).string(keys()[input.below(3)].public().blob())),
            _ => (60, out.string(input.bytes(300)).string(input.bytes(300))),
        }
    };
    (number, cut(input, fields.finish()))
}

fn signature_name(input: &mut Input<'_>) -> Vec<u8> {
    let known = nacre::transport::available(nacre::transport::AlgorithmKind::PubkeySignature);
    name(input, &known)
}

fn prompts(input: &mut Input<'_>, out: Writer) -> Writer {
    let mut out = out.string(input.bytes(300)).string(input.bytes(300)).string("");
    let count = input.below(5) as u32;
    out = out.u32(if input.byte() == 255 { input.number() } else { count });
    for _ in 0..count {
        out = out.string(input.bytes(300)).boolean(input.boolean());
    }
    out
}

fn answers(input: &mut Input<'_>, mut out: Writer) -> Writer {
    let count = input.below(5) as u32;
    out = out.u32(if input.byte() == 255 { input.number() } else { count });
    for _ in 0..count {
        out = out.string(input.bytes(300));
    }
    out
}

/// USERAUTH_REQUEST with fields that fit its method, for one of few users; signatures are right now and then.
fn auth_request(input: &mut Input<'_>, session_id: &[u8]) -> Vec<u8> {
    let user = name(input, &["alice", "bob", ""]);
    let service = name(input, &["ssh-connection", "ssh-connection", "ssh-userauth"]);
    let method = name(input, AUTH_METHODS);
    let head = Writer::new().string(&user).string(service).string(&method);
    let fields = match method.as_slice() {
        b"password" if input.boolean() => head.boolean(false).string(input.bytes(2000)),
        b"password" => head.boolean(true).string(input.bytes(300)).string(input.bytes(2000)),
        b"publickey" => return publickey_request(input, head.finish(), session_id),
        b"keyboard-interactive" => head.string("").string(input.bytes(300)),
        _ => head.raw(fields(input)),
    };
    cut(input, fields.finish())
}

fn publickey_request(input: &mut Input<'_>, head: Vec<u8>, session_id: &[u8]) -> Vec<u8> {
    // RSA takes long: seldom.
    let key = match input.byte() {
        255 => &keys()[2],
        choice => &keys()[usize::from(choice % 2)],
    };
    let own = key.public().signature_algorithms()[0];
    let algorithm = if input.byte() == 255 { signature_name(input) } else { own.as_bytes().to_vec() };
    let signed = input.boolean();
    let unsigned = Writer::new().raw(head).boolean(signed).string(&algorithm).string(key.public().blob()).finish();
    if !signed {
        return cut(input, unsigned);
    }
    // RFC 4252 section 7.
    let content = Writer::new().string(session_id).u8(50).raw(&unsigned).finish();
    let signature = match input.byte() % 4 {
        0 => input.bytes(300).to_vec(),
        1 => Writer::new().string(&algorithm).string(input.bytes(300)).finish(),
        _ => key.sign(own, &content).unwrap_or_default(),
    };
    let whole = Writer::new().raw(unsigned).string(signature).finish();
    cut(input, whole)
}

/// Fields of no certain form: a row of strings, numbers and booleans.
fn fields(input: &mut Input<'_>) -> Vec<u8> {
    let mut out = Writer::new();
    for _ in 0..input.below(6) {
        out = match input.byte() % 4 {
            0 => out.u32(input.number()),
            1 => out.boolean(input.boolean()),
            2 => out.string(input.bytes(300)),
            _ => out.string(name(input, &["TERM", "MIT-MAGIC-COOKIE-1", "0123456789abcdef", "127.0.0.1", "/tmp/s"])),
        };
    }
    out.finish()
}

/// Channel data: short from the input, or long and dull.
fn data(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() {
        255 => vec![b'x'; usize::from(input.u16())],
        254 => vec![b'y'; 32_768],
        _ => input.bytes(300).to_vec(),
    }
}

/// Now and then a message ends early, or has bytes after its end.
fn cut(input: &mut Input<'_>, mut message: Vec<u8>) -> Vec<u8> {
    match input.byte() {
        255 => message.truncate(input.below(message.len() + 1)),
        254 => message.extend_from_slice(input.bytes(16)),
        _ => {}
    }
    message
}
