//! Every message number in every phase, to both roles, strict and not, against the table.

use super::*;
use crate::wire::{Legality, Phase, table};

const PHASES: [Phase; 9] = [
    Phase::InitialKexInit,
    Phase::InitialMethod { expected: 0 },
    Phase::InitialNewKeys,
    Phase::NoService,
    Phase::Auth,
    Phase::AuthAwaiting,
    Phase::Connected,
    Phase::RekeyMethod { expected: 0 },
    Phase::RekeyNewKeys,
];

struct Outcome {
    receiver: Transport,
    result: Result<Vec<Packet>>,
    /// The sequence number that the message had.
    sequence_number: u32,
}

/// Brings a transport into the phase and gives it the message.
fn outcome(role: Role, phase: Phase, strict: bool, payload: &[u8]) -> Outcome {
    let made = |own: Role| transport_with(quick(own), Hooks { without_strict: !strict, ..Hooks::default() });
    let mut pair = Pair::of(made(Role::Client), made(Role::Server));
    match phase {
        Phase::InitialKexInit | Phase::InitialMethod { .. } | Phase::InitialNewKeys => {
            initial(pair, role, phase, strict, payload)
        }
        Phase::NoService => later(pair.connect(), role, Stage::NoService, payload),
        Phase::Auth => later(pair.connect(), role, Stage::Auth, payload),
        Phase::AuthAwaiting => later(pair.connect(), role, Stage::AuthAwaiting, payload),
        Phase::Connected => later(pair.connect(), role, Stage::Connected, payload),
        Phase::RekeyMethod { .. } => {
            pair = pair.connect();
            pair.side(other(role)).rekey(start()).unwrap();
            pair.flight(other(role), usize::MAX).unwrap();
            later(pair, role, Stage::Connected, payload)
        }
        Phase::RekeyNewKeys => rekey_newkeys(pair.connect(), role, payload),
    }
}

fn initial(mut pair: Pair, role: Role, phase: Phase, strict: bool, payload: &[u8]) -> Outcome {
    let flight = pair.side(other(role)).take_output();
    let (line, packets) = split_plain(&flight);
    pair.side(role).feed(&line, start()).unwrap();
    if phase != Phase::InitialKexInit {
        pair.side(role).feed(&packets[0], start()).unwrap();
    }
    if phase == Phase::InitialNewKeys {
        let own = pair.side(role).take_output();
        pair.side(other(role)).feed(&own, start()).unwrap();
        let answer = pair.side(other(role)).take_output();
        // Of a server's reply and NEWKEYS only the first arrives.
        let (_, packets) = split_plain(&[&b"\n"[..], &answer].concat());
        pair.side(role).feed(&packets[0], start()).unwrap();
    }
    let mut receiver = match role {
        Role::Client => pair.client,
        Role::Server => pair.server,
    };
    assert!(phase == Phase::InitialKexInit || receiver.strict == strict);
    assert!(receiver.negotiated().is_none());
    receiver.take_output();
    let sequence_number = receiver.reader.sequence_number();
    let result = receiver.feed(&plain_packet(payload), start());
    Outcome { receiver, result, sequence_number }
}

fn later(mut pair: Pair, role: Role, stage: Stage, payload: &[u8]) -> Outcome {
    pair.side(role).set_stage(stage);
    pair.side(other(role)).inject(payload);
    let bytes = pair.side(other(role)).take_output();
    finish(pair, role, &bytes)
}

fn finish(pair: Pair, role: Role, bytes: &[u8]) -> Outcome {
    let mut receiver = match role {
        Role::Client => pair.client,
        Role::Server => pair.server,
    };
    receiver.take_output();
    let sequence_number = receiver.reader.sequence_number();
    let result = receiver.feed(bytes, start());
    Outcome { receiver, result, sequence_number }
}

/// The peer sends the message right before its NEWKEYS; what follows is kept back.
fn rekey_newkeys(mut pair: Pair, role: Role, payload: &[u8]) -> Outcome {
    pair.side(other(role)).hooks.before_newkeys = vec![payload.to_vec()];
    pair.client.rekey(start()).unwrap();
    loop {
        let own = pair.side(role).take_output();
        pair.side(other(role)).feed(&own, start()).unwrap();
        let bytes = pair.side(other(role)).take_output();
        let mut bytes = bytes.chunks(1);
        while pair.side(role).phase() != Phase::RekeyNewKeys {
            let Some(byte) = bytes.next() else { break };
            pair.side(role).feed(byte, start()).unwrap();
        }
        if bytes.len() > 0 {
            return one_packet(pair, role, bytes);
        }
    }
}

fn one_packet<'b>(mut pair: Pair, role: Role, bytes: impl Iterator<Item = &'b [u8]>) -> Outcome {
    pair.side(role).take_output();
    let mut receiver = match role {
        Role::Client => pair.client,
        Role::Server => pair.server,
    };
    let sequence_number = receiver.reader.sequence_number();
    let before = receiver.reader.total_packets;
    let mut result = Ok(Vec::new());
    for byte in bytes {
        result = receiver.feed(byte, start());
        if result.is_err() || receiver.reader.total_packets > before {
            break;
        }
    }
    Outcome { receiver, result, sequence_number }
}

/// A message of this number as it should be, as far as it is known.
fn payload(number: u8, role: Role) -> Vec<u8> {
    let rest = crate::wire::Rest(b"");
    let list = crate::wire::NameList::from_text("none");
    let message = match number {
        1 => message!(Disconnect { reason: 11, description: b"", language: b"" }),
        2 => message!(Ignore { data: b"chaff" }),
        3 => message!(Unimplemented { sequence_number: 0 }),
        4 => message!(Debug { always_display: true, rest: crate::wire::Rest(b"\0\0\0\x02hi\0\0\0\0") }),
        5 => message!(ServiceRequest { name: "ssh-userauth" }),
        7 => message!(ExtInfo { count: 0, extensions: rest }),
        20 => return transport(quick(other(role))).hooks.last_kexinit.clone(),
        30 => message!(KexEcdhInit { client_public: &[9; 32] }),
        31 => message!(KexEcdhReply { host_key: b"k", server_public: &[9; 32], signature: b"s" }),
        51 => message!(UserauthFailure { methods: list, partial_success: false }),
        192 => message!(Ping { data: b"ping" }),
        193 => message!(Pong { data: b"pong" }),
        _ => return vec![number],
    };
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

fn check(role: Role, phase: Phase, strict: bool, number: u8) {
    let Outcome { mut receiver, result, sequence_number } = outcome(role, phase, strict, &payload(number, role));
    let phase = match phase {
        Phase::InitialMethod { .. } => Phase::InitialMethod { expected: if role == Role::Server { 30 } else { 31 } },
        Phase::RekeyMethod { .. } => Phase::RekeyMethod { expected: if role == Role::Server { 30 } else { 31 } },
        other => other,
    };
    // Nothing can be known of the peer before its KEXINIT.
    let strict = strict && phase != Phase::InitialKexInit;
    let what = format!("{number} to the {role:?} in {phase:?}, strict: {strict}: {result:?}");
    match table::legality(number, role, phase, strict) {
        Legality::Fatal => {
            assert!(matches!(&result, Err(Error::Protocol(text)) if text.contains("not allowed")), "{what}");
            assert_eq!(receiver.output_length(), 0, "no reply: {what}");
            assert!(receiver.next_packet(start()).is_err(), "{what}");
        }
        Legality::Ignore => {
            assert_eq!(result, Ok(Vec::new()), "{what}");
            assert_eq!(receiver.output_length(), 0, "no reply: {what}");
        }
        Legality::Unimplemented => {
            assert_eq!(result, Ok(Vec::new()), "{what}");
            assert_eq!(
                receiver.writer.message_of(receiver.writer.sequence_number().wrapping_sub(1)),
                Some(3),
                "{what}"
            );
            if matches!(phase, Phase::InitialKexInit | Phase::InitialMethod { .. }) {
                let reply = [&[3][..], &sequence_number.to_be_bytes()].concat();
                assert_eq!(receiver.output()[5..10], reply, "{what}");
            }
        }
        Legality::Accept => {
            assert!(!matches!(&result, Err(Error::Protocol(text)) if text.contains("not allowed")), "{what}");
            match number {
                1 => assert!(matches!(&result, Err(Error::Disconnected(told)) if told.by_peer), "{what}"),
                5 | 6 | 50.. if number != 192 => assert_eq!(result.unwrap()[0].number, number, "{what}"),
                _ => {}
            }
        }
    }
    assert!(!must_be_fatal(number, role, phase, strict) || receiver.next_packet(start()).is_err(), "{what}");
}

/// What no table may ever let through, written down independently of it.
fn must_be_fatal(number: u8, role: Role, phase: Phase, strict: bool) -> bool {
    let connection = (80..192).contains(&number);
    let wrong_side = match role {
        Role::Server => matches!(number, 6 | 31 | 51 | 52 | 53 | 60),
        Role::Client => matches!(number, 5 | 30 | 50),
    };
    match phase {
        Phase::InitialKexInit => {
            matches!(number, 5..8 | 21 | 30..35 | 50..192)
        }
        Phase::InitialMethod { expected } if strict => number != 1 && number != expected,
        Phase::InitialNewKeys if strict => number != 1 && number != 21,
        Phase::InitialMethod { .. } | Phase::InitialNewKeys => wrong_side || matches!(number, 5..8 | 20 | 50..192),
        Phase::NoService | Phase::Auth | Phase::AuthAwaiting => {
            connection || wrong_side || matches!(number, 21 | 30..35)
        }
        Phase::Connected => {
            matches!(number, 21 | 30..35) || role == Role::Client && matches!(number, 5 | 50 | 51 | 52 | 60 | 61)
        }
        Phase::RekeyMethod { expected } => {
            matches!(number, 5..8 | 20 | 21 | 50..192) || (30..35).contains(&number) && number != expected
        }
        Phase::RekeyNewKeys => matches!(number, 5..8 | 20 | 30..35 | 50..192),
    }
}

fn check_all(role: Role, phases: &[Phase]) {
    for phase in phases {
        for strict in [true, false] {
            for number in 0..=255 {
                check(role, *phase, strict, number);
            }
        }
    }
}

#[test]
fn server_in_the_first_exchange() {
    check_all(Role::Server, &PHASES[..3]);
}

#[test]
fn client_in_the_first_exchange() {
    check_all(Role::Client, &PHASES[..3]);
}

#[test]
fn server_once_keyed() {
    check_all(Role::Server, &PHASES[3..7]);
}

#[test]
fn client_once_keyed() {
    check_all(Role::Client, &PHASES[3..7]);
}

#[test]
fn server_in_a_later_exchange() {
    check_all(Role::Server, &PHASES[7..]);
}

#[test]
fn client_in_a_later_exchange() {
    check_all(Role::Client, &PHASES[7..]);
}
