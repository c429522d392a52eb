//! Lists of numbers, each below a bound of its own, as bytes: pairs are joined to one larger number, of which the lowest
//! bytes go out, until one number is left.

use super::ring::{Modular, P, Q, Small};
use zeroize::Zeroizing;

pub const PUBLIC_LENGTH: usize = 1158;
pub const ROUNDED_LENGTH: usize = 1007;
pub const SMALL_LENGTH: usize = P.div_ceil(4);
/// What is added so that no coefficient is negative.
const OFFSET: i16 = (Q - 1) / 2;
/// Rounded coefficients are multiples of three.
const ROUNDED_BOUND: u32 = (Q as u32).div_ceil(3);
/// Bytes go out of a pair's bound that is not below this.
const LIMIT: u32 = 1 << 14;

pub fn encode_public(h: &Modular) -> [u8; PUBLIC_LENGTH] {
    encode(h.map(|value| (value + OFFSET) as u32).to_vec(), Q as u32)
}

pub fn decode_public(bytes: &[u8; PUBLIC_LENGTH]) -> Modular {
    decode(bytes, Q as u32, |number| number as i16 - OFFSET)
}

pub fn encode_rounded(c: &Modular) -> [u8; ROUNDED_LENGTH] {
    // A third: 10,923 is 2^15 / 3, rounded up.
    encode(c.map(|value| ((value + OFFSET) as u32 * 10_923) >> 15).to_vec(), ROUNDED_BOUND)
}

pub fn decode_rounded(bytes: &[u8; ROUNDED_LENGTH]) -> Modular {
    decode(bytes, ROUNDED_BOUND, |number| 3 * number as i16 - OFFSET)
}

/// Four coefficients a byte, the first lowest.
pub fn encode_small(small: &Small) -> [u8; SMALL_LENGTH] {
    let mut out = [0; SMALL_LENGTH];
    for (byte, values) in out.iter_mut().zip(small.chunks(4)) {
        *byte = values.iter().rev().fold(0, |byte, value| byte << 2 | (value + 1) as u8);
    }
    out
}

/// The bytes that leave a number below `bound`, and the bound of what is left. Both depend on no secret.
fn shrunk(bound: u32, limit: u32) -> (u32, u32) {
    let (mut bytes, mut bound) = (0, bound);
    while bound >= limit {
        bytes += 1;
        bound = bound.div_ceil(256);
    }
    (bytes, bound)
}

/// All bounds are the same, but for those of the last numbers in later rounds.
fn encode<const LENGTH: usize>(numbers: Vec<u32>, bound: u32) -> [u8; LENGTH] {
    let mut numbers = Zeroizing::new(numbers);
    let mut out = Vec::with_capacity(LENGTH);
    let mut put = |number: u32, bytes: u32| {
        (0..bytes).for_each(|at| out.push((number >> (8 * at)) as u8));
        // Not shifted by 32 bits: no bound is left with more than two bytes.
        number >> (8 * bytes)
    };
    let (mut bound, mut last_bound) = (bound, bound);
    while numbers.len() > 1 {
        let count = numbers.len();
        let mut joined = Zeroizing::new(Vec::with_capacity(count.div_ceil(2)));
        let (bytes, next_bound) = shrunk(bound * bound, LIMIT);
        let (last_bytes, joined_last_bound) = shrunk(bound * last_bound, LIMIT);
        for (at, pair) in numbers.chunks(2).enumerate() {
            joined.push(match pair {
                [low, high] if 2 * at + 2 == count => put(low + high * bound, last_bytes),
                [low, high] => put(low + high * bound, bytes),
                _ => pair.iter().sum(),
            });
        }
        last_bound = if count.is_multiple_of(2) { joined_last_bound } else { last_bound };
        bound = next_bound;
        numbers = joined;
    }
    if let Some(number) = numbers.first() {
        let (bytes, _) = shrunk(last_bound, 2);
        put(*number, bytes);
    }
    let mut bytes = [0; LENGTH];
    bytes.iter_mut().zip(out.iter()).for_each(|(to, from)| *to = *from);
    bytes
}

/// One round of joining, as it is undone: how many numbers there were, and their bounds.
struct Round<'b> {
    count: usize,
    bound: u32,
    last_bound: u32,
    /// The bytes that went out, and how many of a pair and of the last pair.
    bytes: &'b [u8],
    of_pair: usize,
    of_last_pair: usize,
}

/// Any bytes of this length are some list. They are public.
fn decode<const LENGTH: usize>(bytes: &[u8; LENGTH], bound: u32, convert: impl Fn(u32) -> i16) -> Modular {
    let (mut rounds, mut rest) = (Vec::new(), bytes.as_slice());
    let (mut count, mut bound, mut last_bound) = (P, bound, bound);
    while count > 1 {
        let (of_pair, next_bound) = shrunk(bound * bound, LIMIT);
        let (of_last_pair, joined_last_bound) = shrunk(bound * last_bound, LIMIT);
        let (of_pair, of_last_pair) = (of_pair as usize, of_last_pair as usize);
        let even = count.is_multiple_of(2);
        let whole_pairs = if even { count / 2 - 1 } else { count / 2 };
        let length = whole_pairs * of_pair + if even { of_last_pair } else { 0 };
        let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rounds.push(Round { count, bound, last_bound, bytes: taken, of_pair, of_last_pair });
        rest = after;
        last_bound = if even { joined_last_bound } else { last_bound };
        bound = next_bound;
        count = count.div_ceil(2);
    }
    let mut numbers = vec![little_endian(rest) % last_bound];
    for round in rounds.into_iter().rev() {
        numbers = round.undo(&numbers);
    }
    let mut out = [0; P];
    out.iter_mut().zip(numbers).for_each(|(to, from)| *to = convert(from));
    out
}

impl Round<'_> {
    fn undo(&self, joined: &[u32]) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(self.count);
        let mut rest = self.bytes;
        for (at, high) in joined.iter().enumerate() {
            if 2 * at + 1 == self.count {
                numbers.push(*high);
                continue;
            }
            let is_last = 2 * at + 2 == self.count;
            let (length, second_bound) =
                if is_last { (self.of_last_pair, self.last_bound) } else { (self.of_pair, self.bound) };
            let (low, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            let number = little_endian(low) + (high << (8 * length));
            numbers.push(number % self.bound);
            numbers.push(number / self.bound % second_bound);
        }
        numbers
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for _ in 0..20 {
            let h: Modular = std::array::from_fn(|_| (next() % Q as u32) as i16 - OFFSET);
            assert_eq!(decode_public(&encode_public(&h)), h);
            let c: Modular = std::array::from_fn(|_| 3 * (next() % ROUNDED_BOUND) as i16 - OFFSET);
            assert_eq!(decode_rounded(&encode_rounded(&c)), c);
        }
        for value in [-OFFSET, OFFSET] {
            assert_eq!(decode_public(&encode_public(&[value; P])), [value; P]);
            assert_eq!(decode_rounded(&encode_rounded(&[value; P])), [value; P]);
        }
        // Bytes that nothing encodes to are numbers in range all the same.
        for byte in [0, 0x55, 0xff] {
            assert!(decode_public(&[byte; PUBLIC_LENGTH]).iter().all(|value| value.abs() <= OFFSET));
            assert!(decode_rounded(&[byte; ROUNDED_LENGTH]).iter().all(|value| value.abs() <= OFFSET));
        }
    }

    #[test]
    fn small_polynomials_take_two_bits_each() {
        let mut small = [0; P];
        small[..5].copy_from_slice(&[-1, 0, 1, 1, 1]);
        let encoded = encode_small(&small);
        assert_eq!(encoded[..3], [0b1010_0100, 0b0101_0110, 0b0101_0101]);
        assert_eq!(encoded[SMALL_LENGTH - 1], 1);
    }
}
