//! The group exchange (RFC 4419), message by message, with either role of the library against a test.

use super::*;
use crate::crypto::{ModpGroup, choose_group};
use crate::wire::{Phase, Writer};

const NAME: &str = "diffie-hellman-group-exchange-sha256";
const REQUEST: (u32, u32, u32) = (2048, 2048, 8192);

fn config(role: Role) -> Config {
    let mut config = quick(role);
    config.algorithms.set(AlgorithmKind::Kex, NAME).unwrap();
    config
}

/// A side that has the other's KEXINIT and has said all that it can. `strict`: the other side is.
fn waiting(role: Role, strict: bool) -> Transport {
    let hooks = Hooks { without_strict: !strict, ..Hooks::default() };
    let mut peer = transport_with(config(other(role)), hooks);
    let mut side = transport(config(role));
    side.feed(&peer.take_output(), start()).unwrap();
    side.take_output();
    assert_eq!(side.strict, strict);
    side
}

fn feed(side: &mut Transport, payload: Vec<u8>) -> Result<()> {
    side.feed(&plain_packet(&payload), start()).map(|packets| assert!(packets.is_empty()))
}

fn request((minimum, preferred, maximum): (u32, u32, u32)) -> Vec<u8> {
    Writer::new().u8(34).u32(minimum).u32(preferred).u32(maximum).finish()
}

fn group() -> Arc<ModpGroup> {
    choose_group(REQUEST.0, REQUEST.1, REQUEST.2).unwrap()
}

fn group_message(prime: &[u8], generator: &[u8]) -> Vec<u8> {
    Writer::new().u8(31).string(prime).string(generator).finish()
}

fn public(number: u8, value: &[u8]) -> Vec<u8> {
    let message = Writer::new().u8(number);
    match number {
        33 => message.string(host_keys()[0].public().blob()).string(value).string("").finish(),
        _ => message.string(value).finish(),
    }
}

/// The first packet of what a side sends.
fn sent(side: &mut Transport) -> Vec<u8> {
    let bytes = side.take_output();
    let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes[5..4 + length - bytes[4] as usize].to_vec()
}

fn expected(side: &Transport) -> u8 {
    match side.phase() {
        Phase::InitialMethod { expected } => expected,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_asks_for_128_bits_and_takes_2048_to_8192() {
    let mut peer = transport(config(Role::Server));
    let mut client = transport(config(Role::Client));
    client.take_output();
    client.feed(&peer.take_output(), start()).unwrap();
    assert_eq!(sent(&mut client), request((2048, 3072, 8192)));
}

/// Exactly one message is legal at each step; all others, of the same exchange too, end the connection. The repeated
/// request is the one that others took.
#[test]
fn each_step_has_one_message() {
    for strict in [true, false] {
        let group = group();
        let (prime, generator) = (group.prime().unwrap(), group.generator().unwrap());
        let start_of = |step: usize, role: Role| {
            let mut side = waiting(role, strict);
            if step == 1 {
                let first = if role == Role::Server { request(REQUEST) } else { group_message(&prime, &generator) };
                feed(&mut side, first).unwrap();
                assert_eq!(sent(&mut side)[0], if role == Role::Server { 31 } else { 32 });
            }
            side
        };
        let payload = |number: u8| match number {
            30 | 32 | 33 => public(number, group.generate().unwrap().public_value()),
            31 => group_message(&prime, &generator),
            _ => request(REQUEST),
        };
        for (role, steps) in [(Role::Server, [34, 32]), (Role::Client, [31, 33])] {
            for (step, right) in steps.into_iter().enumerate() {
                assert_eq!(expected(&start_of(step, role)), right);
                for number in (30..=34).filter(|number| *number != right) {
                    let mut side = start_of(step, role);
                    let refused = feed(&mut side, payload(number));
                    assert!(
                        matches!(&refused, Err(Error::Protocol(text)) if text.contains("not allowed")),
                        "{number} to the {role:?} at step {step}: {refused:?}"
                    );
                    assert_eq!(side.output_length(), 0);
                }
            }
        }
    }
}

/// The form of the request that named one size: nobody needs it any more.
#[test]
fn the_old_request_is_refused() {
    let mut server = waiting(Role::Server, false);
    assert!(matches!(feed(&mut server, Writer::new().u8(30).u32(2048).finish()), Err(Error::Protocol(_))));
}

#[test]
fn a_server_gives_what_fits_the_request_or_nothing() {
    for (wish, bytes) in [((1024, 1024, 8192), 257), ((2048, 3072, 8192), 385), ((2048, 8192, 8192), 1025)] {
        let mut server = waiting(Role::Server, true);
        feed(&mut server, request(wish)).unwrap();
        let message = sent(&mut server);
        assert_eq!(message[0], 31);
        assert_eq!(u32::from_be_bytes(message[1..5].try_into().unwrap()), bytes, "{wish:?}");
    }
    for wish in [(1024, 1024, 1024), (2048, 1024, 8192), (8192, 2048, 1024), (0, 0, 0), (9000, 9000, 9000)] {
        let mut server = waiting(Role::Server, true);
        assert!(matches!(feed(&mut server, request(wish)), Err(Error::Protocol(_))), "{wish:?}");
        assert_eq!(server.output_length(), 0);
    }
    for length in [0, 4, 11, 13] {
        let mut server = waiting(Role::Server, true);
        assert!(feed(&mut server, [&[34][..], &vec![1; length]].concat()).is_err());
    }
}

#[test]
fn a_client_takes_no_group_that_gives_the_secret_away() {
    let group = group();
    let (prime, generator) = (group.prime().unwrap(), group.generator().unwrap());
    let mut even = prime.clone();
    *even.last_mut().unwrap() &= 0xfe;
    let mut composite = prime.clone();
    *composite.last_mut().unwrap() = 0xfd;
    let mut below = prime.clone();
    *below.last_mut().unwrap() = 0xfe;
    let short = [&[0][..], &[0xff; 255]].concat();
    for (what, message) in [
        ("1024 bits", group_message(&[&[0][..], &[0xff; 128]].concat(), &generator)),
        ("2040 bits", group_message(&short, &generator)),
        ("8200 bits", group_message(&[&[0][..], &[0xff; 1025]].concat(), &generator)),
        ("even", group_message(&even, &generator)),
        ("composite", group_message(&composite, &generator)),
        ("generator 0", group_message(&prime, &[])),
        ("generator 1", group_message(&prime, &[1])),
        ("generator p - 1", group_message(&prime, &below)),
        ("generator p", group_message(&prime, &prime)),
        ("negative", group_message(&prime[1..], &generator)),
        ("no numbers", vec![31]),
    ] {
        let mut client = waiting(Role::Client, true);
        assert!(matches!(feed(&mut client, message), Err(Error::Protocol(_))), "{what}");
        assert_eq!(client.output_length(), 0, "{what}");
    }
}

#[test]
fn public_values_out_of_range_end_the_exchange() {
    let group = group();
    let prime = group.prime().unwrap();
    let mut below = prime.clone();
    *below.last_mut().unwrap() -= 1;
    let mut above = prime.clone();
    above[0] = 1;
    for value in [vec![], vec![1], vec![2], vec![0], below, prime.clone(), above, prime[1..].to_vec(), vec![9; 2000]] {
        let mut server = waiting(Role::Server, true);
        feed(&mut server, request(REQUEST)).unwrap();
        server.take_output();
        assert!(matches!(feed(&mut server, public(32, &value)), Err(Error::Protocol(_))), "{value:02x?}");
        assert_eq!(server.output_length(), 0);

        let mut client = waiting(Role::Client, true);
        feed(&mut client, group_message(&prime, &group.generator().unwrap())).unwrap();
        client.take_output();
        assert!(matches!(feed(&mut client, public(33, &value)), Err(Error::Protocol(_))), "{value:02x?}");
    }
}

#[test]
fn keys_are_renewed_by_either_side() {
    for name in [NAME, "diffie-hellman-group-exchange-sha1"] {
        let with = |role| {
            let mut config = config(role);
            config.algorithms.set(AlgorithmKind::Kex, name).unwrap();
            config
        };
        let mut pair = Pair::new(with(Role::Client), with(Role::Server)).connect();
        assert_eq!(pair.client.negotiated().unwrap().kex, name);
        for (round, starter) in [Role::Client, Role::Server].into_iter().enumerate() {
            pair.side(starter).rekey(start()).unwrap();
            pair.run().unwrap();
            assert_eq!(pair.server.negotiated().unwrap().rekeys, 1 + round as u64);
            pair.check_traffic();
        }
    }
}

/// Who computes with long numbers for whoever comes can be kept busy with little (D(HE)at): a server does it only where
/// its application asked for it.
#[test]
fn a_server_offers_no_exchange_in_finite_fields_by_itself() {
    let offered = |role, edit: Option<&str>| {
        let mut config = quick(role);
        config.algorithms = Algorithms::default();
        if let Some(edit) = edit {
            config.algorithms.set(AlgorithmKind::Kex, edit).unwrap();
        }
        let side = transport(config);
        let kexinit = crate::wire::messages::KexInit::decode(&side.hooks.last_kexinit[1..]).unwrap();
        let names = kexinit.kex_algorithms.names().filter(|name| name.starts_with("diffie-hellman"));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(offered(Role::Server, None).is_empty());
    assert!(offered(Role::Server, Some("-ecdh-sha2-nistp256")).is_empty());
    let asked = "diffie-hellman-group14-sha256";
    assert_eq!(offered(Role::Server, Some(&format!("+{asked}"))), [asked]);
    assert_eq!(offered(Role::Server, Some(&format!("^{asked}"))), [asked]);
    assert_eq!(offered(Role::Client, None).len(), 4);
    assert!(offered(Role::Client, None).iter().all(|name| !name.ends_with("sha1")));
}
