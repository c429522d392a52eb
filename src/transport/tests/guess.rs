//! first_kex_packet_follows (RFC 4253 section 7).

use super::*;

const FIRST: &str = "curve25519-sha256,ecdh-sha2-nistp256";
const SECOND: &str = "ecdh-sha2-nistp256,curve25519-sha256";
/// What a guesser sends: of no use to any method.
const GUESS: &[u8] = &[30, 0, 0, 0, 1, 9];
const SERVER_GUESS: &[u8] = &[31, 0, 0, 0, 1, 9];

fn config(role: Role, kex: &str) -> Config {
    let mut config = quick(role);
    config.algorithms.set(AlgorithmKind::Kex, kex).unwrap();
    config
}

/// The guesser's packet is wrong, since the first names differ.
fn wrong(guesser: Role, own: &str, others: &str, guess: &[u8]) -> Pair {
    let with = |role: Role| {
        let hooks = Hooks { guesses: true, after_kexinit: vec![guess.to_vec()], ..Hooks::default() };
        if role == guesser { transport_with(config(role, own), hooks) } else { transport(config(role, others)) }
    };
    Pair::of(with(Role::Client), with(Role::Server))
}

#[test]
fn wrong_guess_is_passed_over() {
    for (guesser, guess) in [(Role::Client, GUESS), (Role::Server, SERVER_GUESS)] {
        let mut pair = wrong(guesser, FIRST, SECOND, guess).connect();
        pair.check_traffic();
        for round in 1..=20 {
            let starter = if round % 2 == 0 { Role::Client } else { Role::Server };
            pair.side(starter).rekey(start()).unwrap();
            pair.run().unwrap();
            assert_eq!(pair.client.negotiated().unwrap().rekeys, round);
            pair.check_traffic();
        }
    }
}

#[test]
fn exactly_one_packet_is_passed_over() {
    for (guesser, guess) in [(Role::Client, GUESS), (Role::Server, SERVER_GUESS)] {
        let mut pair = wrong(guesser, FIRST, SECOND, guess);
        // The second one is the method's message now, and not a good one.
        let prepared = {
            let hooks =
                Hooks { guesses: true, after_kexinit: vec![guess.to_vec(), guess.to_vec()], ..Hooks::default() };
            transport_with(config(guesser, FIRST), hooks)
        };
        *pair.side(guesser) = prepared;
        assert!(pair.run().is_err());
    }
}

#[test]
fn another_message_is_no_guess() {
    let mut pair = wrong(Role::Client, FIRST, SECOND, &[21]);
    assert!(matches!(pair.run(), Err(Error::Protocol(_))));
    let mut pair = wrong(Role::Client, FIRST, SECOND, &[50]);
    assert!(matches!(pair.run(), Err(Error::Protocol(_))));
}

/// A right guess is the method's first message: a client sends it only once.
#[test]
fn right_guess_counts() {
    let hooks = || Hooks { guesses: true, ..Hooks::default() };
    let mut pair =
        Pair::of(transport_with(config(Role::Client, FIRST), hooks()), transport(config(Role::Server, FIRST)));
    pair.run().unwrap();
    pair.set_stage(Stage::Connected);
    pair.check_traffic();
    for _ in 0..20 {
        pair.client.rekey(start()).unwrap();
        pair.run().unwrap();
        pair.check_traffic();
    }
}

/// The first host key algorithms must be the same too.
#[test]
fn guess_is_wrong_with_another_first_host_key() {
    let mut server = config(Role::Server, FIRST);
    server.host_keys = host_keys().to_vec();
    server.algorithms.set(AlgorithmKind::HostKey, "rsa-sha2-512,ssh-ed25519").unwrap();
    let hooks = Hooks { guesses: true, after_kexinit: vec![GUESS.to_vec()], ..Hooks::default() };
    let mut pair = Pair::of(transport_with(config(Role::Client, FIRST), hooks), transport(server)).connect();
    pair.check_traffic();
}
