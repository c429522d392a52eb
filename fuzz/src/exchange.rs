//! Key exchanges: each method of the table with public values of any kind on either side, groups that a server makes
//! up, and moduli files.

use crate::input::Input;
use nacre::crypto::{
    KEX_ALGORITHMS, KexMethod, LARGEST_GROUP, ModpGroup, OneRound, SMALLEST_GROUP, choose_group, load_moduli,
};
use std::sync::{Arc, LazyLock};

/// Groups of the library's own, from before any file was loaded.
static KNOWN: LazyLock<[Arc<ModpGroup>; 2]> =
    LazyLock::new(|| [2048, 3072].map(|bits| choose_group(bits, bits, bits).expect("this one is known")));

pub fn run(data: &[u8]) {
    LazyLock::force(&KNOWN);
    let mut input = Input::new(data);
    match input.byte() % 8 {
        0..=3 => one_round(&mut input),
        4 => wishes(&mut input),
        5 | 6 => group(&mut input),
        _ => moduli(&mut input),
    }
}

/// A client and a server, and somebody who may change what goes between them.
fn one_round(input: &mut Input<'_>) {
    let methods: Vec<&OneRound> = KEX_ALGORITHMS
        .iter()
        .filter_map(|row| match &row.method {
            KexMethod::OneRound(method) => Some(method),
            KexMethod::GroupExchange => None,
        })
        .collect();
    let method = input.pick(&methods);
    let client = method.client().expect("a client");
    let upwards = changed(input, client.public());
    let honest = upwards == client.public();
    let Ok((public, secret)) = method.server(&upwards) else {
        assert!(!honest, "an honest client was refused");
        return;
    };
    let downwards = changed(input, &public);
    let honest = honest && downwards == public;
    match client.finish(&downwards) {
        Ok(own) if honest => assert_eq!(own.encoded(), secret.encoded(), "two secrets"),
        Ok(own) => assert!(own.encoded().len() > 4, "a secret of nothing"),
        Err(error) => assert!(!honest, "an honest server was refused: {error}"),
    }
}

/// The value as it is, or something in its place.
fn changed(input: &mut Input<'_>, value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    match input.byte() % 8 {
        0..=2 => {}
        3 | 4 => {
            for _ in 0..1 + input.below(4) {
                let (at, bits) = (input.below(value.len()), input.byte());
                if let Some(byte) = value.get_mut(at) {
                    *byte ^= bits;
                }
            }
        }
        5 => value.truncate(input.below(value.len() + 1)),
        6 => value.fill(input.byte()),
        _ => match input.boolean() {
            true => value.extend_from_slice(input.bytes(100)),
            false => value = input.bytes(2000).to_vec(),
        },
    }
    value
}

/// What a client may ask for, and what it gets.
fn wishes(input: &mut Input<'_>) {
    let (minimum, preferred, maximum) = (bits(input), bits(input), bits(input));
    if let Ok(group) = choose_group(minimum, preferred, maximum) {
        assert!((minimum..=maximum).contains(&group.bits()));
        assert!((SMALLEST_GROUP..=LARGEST_GROUP).contains(&group.bits()));
    }
}

fn bits(input: &mut Input<'_>) -> u32 {
    match input.byte() % 4 {
        0 => input.number(),
        1 => 1024 * u32::from(input.byte() % 10),
        _ => *input.pick(&[2048, 3072, 4096, 6144, 8192]),
    }
}

/// A group from a server: only a safe prime makes one.
fn group(input: &mut Input<'_>) {
    let known = input.pick(&*KNOWN);
    let (right, generator) = (known.prime().expect("a prime"), known.generator().expect("a generator"));
    let prime = changed(input, &right);
    let generator = if input.boolean() { generator } else { changed(input, &[2]) };
    match ModpGroup::received(&prime, &generator, SMALLEST_GROUP..=LARGEST_GROUP) {
        Ok(group) => {
            assert_eq!(prime, right, "another prime was taken");
            let group = Arc::new(group);
            let value = changed(input, &right);
            if let Ok((public, secret)) = group.answer(&value) {
                assert!(!public.is_empty() && secret.encoded().len() > 4);
                assert_ne!(value, right, "the prime is no public value");
            }
        }
        Err(error) => assert!(prime != right || generator != [2], "a good group was refused: {error}"),
    }
}

/// Lines of moduli(5), in form or not. What is loaded is good for whoever asks next.
fn moduli(input: &mut Input<'_>) {
    let mut text = Vec::new();
    while !input.is_empty() && text.len() < 100_000 {
        let size = 1024 * (1 + u32::from(input.byte() % 9));
        match input.byte() % 4 {
            0 => text.extend_from_slice(input.bytes(300)),
            _ => {
                let digits = "9".repeat(size as usize / 4 - 1);
                let last = input.byte() % 16;
                let tests = [6, 4, 2, 5][usize::from(input.byte() % 4)];
                let line = format!("20260101000000 2 {tests} 100 {} {:x} {digits}{last:x}", size - 1, input.byte() % 7);
                let mut line = line.into_bytes();
                if input.byte() == 255 {
                    let at = input.below(60);
                    line[at] = input.byte();
                }
                text.extend_from_slice(&line);
            }
        }
        text.push(b'\n');
    }
    if let Ok(count) = load_moduli(&text) {
        assert!(count > 0 && count <= text.split(|byte| *byte == b'\n').count());
        wishes(input);
        choose_group(SMALLEST_GROUP, SMALLEST_GROUP, LARGEST_GROUP).expect("some group");
    }
}
