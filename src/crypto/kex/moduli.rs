//! Which group a server gives out in a group exchange (RFC 4419): from a moduli file (moduli(5) of OpenSSH), or one of
//! the groups of RFC 3526.

use super::modp::{GROUP_14, GROUP_15, GROUP_16, GROUP_17, GROUP_18, ModpGroup, bit_length};
use crate::crypto::random_bytes;
use crate::error::{Error, Result};
use std::sync::{Arc, PoisonError, RwLock};

/// Groups out of this range are neither asked for nor given out (RFC 8270; what others compute with in practice).
pub const SMALLEST_GROUP: u32 = 2048;
pub const LARGEST_GROUP: u32 = 8192;

/// moduli(5): the only type that RFC 4419 lets a server use.
const TYPE_SAFE: u32 = 2;
const TEST_COMPOSITE: u32 = 1;
const TEST_MILLER_RABIN: u32 = 4;
/// Of Miller and Rabin's, where no better test was made.
const FEWEST_TRIES: u32 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    bits: u32,
    generator: Vec<u8>,
    prime: Vec<u8>,
}

/// What the process loaded last.
static LOADED: RwLock<Option<Arc<[Line]>>> = RwLock::new(None);

/// From now on the server gives out the primes of this file. Lines that are not good for it are passed over.
/// Returns how many are; none is an error, and then the list stays as it was.
pub fn load_moduli(file: &[u8]) -> Result<usize> {
    let lines = good_lines(file)?;
    let count = lines.len();
    *LOADED.write().unwrap_or_else(PoisonError::into_inner) = Some(lines);
    Ok(count)
}

/// The group that a client's wishes, in bits, lead to: the smallest that is not below `preferred`, else the largest
/// that is; never one out of the client's range or of ours.
pub fn choose_group(minimum: u32, preferred: u32, maximum: u32) -> Result<Arc<ModpGroup>> {
    let loaded = LOADED.read().unwrap_or_else(PoisonError::into_inner).clone();
    choose(loaded.as_deref().unwrap_or_default(), minimum, preferred, maximum)
}

fn good_lines(file: &[u8]) -> Result<Arc<[Line]>> {
    let lines: Arc<[Line]> = file.split(|byte| *byte == b'\n').filter_map(parse).collect();
    if lines.is_empty() {
        return Err(Error::key_format("the moduli file has no line that is good for a group exchange"));
    }
    Ok(lines)
}

fn choose(lines: &[Line], minimum: u32, preferred: u32, maximum: u32) -> Result<Arc<ModpGroup>> {
    let none = || {
        let wish = format!("the client wants a group of {minimum} to {maximum}, best {preferred} bits");
        Error::protocol(format!("{wish}: there is none"))
    };
    let range = minimum.max(SMALLEST_GROUP)..=maximum.min(LARGEST_GROUP);
    if !(minimum..=maximum).contains(&preferred) || range.is_empty() {
        return Err(none());
    }
    if let Some(line) = choose_line(lines, &range, preferred)? {
        return Ok(Arc::new(ModpGroup::new(&line.prime, &line.generator)?));
    }
    let known = [&GROUP_14, &GROUP_15, &GROUP_16, &GROUP_17, &GROUP_18].map(|group| (group.bits(), group));
    let size = best(known.iter().map(|(bits, _)| *bits), &range, preferred);
    let found = known.into_iter().find(|(bits, _)| Some(*bits) == size);
    found.map(|(_, group)| Arc::clone(group)).ok_or_else(none)
}

type Range = std::ops::RangeInclusive<u32>;

fn best(sizes: impl Iterator<Item = u32>, range: &Range, preferred: u32) -> Option<u32> {
    // False sorts before true: those that are large enough first, and of them the smallest.
    sizes.filter(|bits| range.contains(bits)).min_by_key(|bits| (*bits < preferred, bits.abs_diff(preferred)))
}

/// Of several of the best size, any.
fn choose_line<'l>(lines: &'l [Line], range: &Range, preferred: u32) -> Result<Option<&'l Line>> {
    let Some(size) = best(lines.iter().map(|line| line.bits), range, preferred) else { return Ok(None) };
    let fitting: Vec<&Line> = lines.iter().filter(|line| line.bits == size).collect();
    let random = u64::from_be_bytes(random_bytes()?);
    let at = random.checked_rem(fitting.len() as u64).unwrap_or_default();
    Ok(usize::try_from(at).ok().and_then(|at| fitting.get(at).copied()))
}

/// `time type tests tries size generator modulus`
fn parse(line: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(line).ok()?.trim();
    if text.starts_with('#') {
        return None;
    }
    let mut fields = text.split_ascii_whitespace();
    let mut next = || fields.next();
    let _time = next()?;
    let mut number = || next().and_then(|field| field.parse::<u32>().ok());
    let (kind, tests, tries, size) = (number()?, number()?, number()?, number()?);
    let (generator, prime) = (hex(next()?)?, hex(next()?)?);
    let proper = fields.next().is_none() && kind == TYPE_SAFE && is_tested(tests, tries);
    let bits = bit_length(&prime);
    // OpenSSH gives the size as the bits less one.
    let sized = (bits == size || Some(bits) == size.checked_add(1)) && (SMALLEST_GROUP..=LARGEST_GROUP).contains(&bits);
    let odd = prime.last()? & 1 == 1;
    // Some files have 0 where nobody chose a generator.
    let generator = if generator.is_empty() { vec![2] } else { generator };
    let generates = generator != [1] && generator.len() < prime.len();
    (proper && sized && odd && generates).then_some(Line { bits, generator, prime })
}

fn is_tested(tests: u32, tries: u32) -> bool {
    let strongest = tests & !(2 * TEST_MILLER_RABIN - 1);
    tests & TEST_COMPOSITE == 0 && tests >= TEST_MILLER_RABIN && (strongest != 0 || tries >= FEWEST_TRIES)
}

/// Without leading zeros. `None`: it is no hexadecimal number, or has more digits than anybody computes with.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_start_matches('0');
    if text.is_empty() || digits.len() > LARGEST_GROUP as usize / 4 {
        return None;
    }
    let padded = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let pair = |pair: &[u8]| {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        match pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        }
    };
    padded.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests;
