//! Polynomials modulo x^761 - x - 1, with coefficients modulo 3 or modulo 4591, lowest first.

use zeroize::{Zeroize, Zeroizing};

/// Coefficients.
pub const P: usize = 761;
/// Coefficients of a short polynomial that are not zero.
pub const W: usize = 286;
pub const Q: i16 = 4591;
/// 1/Q modulo 2^16.
const Q_INVERSE: i16 = 15_631;
/// So many products of a small coefficient and one modulo Q fit beside a reduced one in 16 bits.
const ROWS: usize = 12;

/// Coefficients -1, 0, 1.
pub type Small = [i8; P];
/// Coefficients from -2295 to 2295.
pub type Modular = [i16; P];

/// Modulo 4591, from -2295 to 2295. For numbers up to 14,000,000 either side of zero.
pub fn modulo_q(x: i32) -> i16 {
    let q = i32::from(Q);
    // 2^18/q and 2^27/q, rounded.
    let x = x - q * ((57 * x) >> 18);
    let x = x - q * ((29_235 * x + (1 << 26)) >> 27);
    x as i16
}

/// Modulo 3, from -1 to 1. For numbers up to 16,000 either side of zero.
pub fn modulo_3(x: i16) -> i8 {
    let third = (10_923 * i32::from(x) + (1 << 14)) >> 15;
    (i32::from(x) - 3 * third) as i8
}

/// Of any 16-bit number: modulo 4591, up to 2,950 either side of zero.
fn roughly_modulo_q(x: i16) -> i16 {
    x - Q * ((14 * i32::from(x) + (1 << 15)) >> 16) as i16
}

/// a * b / 2^16 modulo 4591: not above |a * b| / 2^16 + 2296.
fn montgomery(a: i16, b: i16) -> i16 {
    let high = ((i32::from(a) * i32::from(b)) >> 16) as i16;
    let multiple = a.wrapping_mul(b).wrapping_mul(Q_INVERSE);
    high - ((i32::from(multiple) * i32::from(Q)) >> 16) as i16
}

/// All ones where it is not zero.
fn nonzero_mask(x: i16) -> i16 {
    let x = i32::from(x);
    ((x | -x) >> 31) as i16
}

/// All ones where it is below zero.
fn negative_mask(x: i16) -> i16 {
    x >> 15
}

/// All ones where another number of coefficients than W is not zero.
pub fn weight_mask(r: &Small) -> i8 {
    let weight: i16 = r.iter().map(|value| i16::from(value & 1)).sum();
    nonzero_mask(weight - W as i16) as i8
}

pub fn multiply(a: &Modular, b: &Small) -> Modular {
    let mut product = Zeroizing::new([0_i16; 2 * P - 1]);
    for (row, factor) in b.iter().enumerate() {
        add_row(&mut product, row, i16::from(*factor), a);
        if row % ROWS == ROWS - 1 {
            product.iter_mut().for_each(|value| *value = roughly_modulo_q(*value));
        }
    }
    product.iter_mut().for_each(|value| *value = roughly_modulo_q(*value));
    fold(&product).map(|value| modulo_q(i32::from(value)))
}

pub fn multiply_modulo_3(a: &Small, b: &Small) -> Zeroizing<Small> {
    let mut product = Zeroizing::new([0_i16; 2 * P - 1]);
    let a = Zeroizing::new(a.map(i16::from));
    for (row, factor) in b.iter().enumerate() {
        add_row(&mut product, row, i16::from(*factor), &a);
    }
    Zeroizing::new(fold(&product).map(modulo_3))
}

fn add_row(product: &mut [i16; 2 * P - 1], row: usize, factor: i16, a: &[i16; P]) {
    if let Some(places) = product.get_mut(row..row + P) {
        places.iter_mut().zip(a).for_each(|(to, from)| *to += factor * from);
    }
}

/// x^761 is x + 1.
fn fold(product: &[i16; 2 * P - 1]) -> Zeroizing<[i16; P]> {
    let (low, high) = product.split_at(P);
    let mut folded = Zeroizing::new([0; P]);
    folded.copy_from_slice(low);
    folded.iter_mut().zip(high).for_each(|(to, from)| *to += from);
    folded.iter_mut().skip(1).zip(high).for_each(|(to, from)| *to += from);
    folded
}

/// What steps of division share (Bernstein and Yang, Fast constant-time gcd computation and modular inversion,
/// sections 3 and 6): f and g, and v and r that keep their relation to the input.
struct Division<T: Zeroize> {
    f: Zeroizing<[T; P + 1]>,
    g: Zeroizing<[T; P + 1]>,
    v: Zeroizing<[T; P + 1]>,
    r: Zeroizing<[T; P + 1]>,
    delta: i16,
}

impl<T: Copy + Default + Zeroize + From<i8> + std::ops::Neg<Output = T>> Division<T> {
    const STEPS: usize = 2 * P - 1;

    fn new(input: &[T; P], scale: T) -> Self {
        let one = T::from(1);
        let zero = || Zeroizing::new([T::default(); P + 1]);
        let (mut f, mut g, mut r) = (zero(), zero(), zero());
        // The modulus and the input, highest first.
        [f[0], f[P - 1], f[P]] = [one, -one, -one];
        g.iter_mut().zip(input.iter().rev()).for_each(|(to, from)| *to = *from);
        r[0] = scale;
        Self { f, g, v: zero(), r, delta: 1 }
    }

    /// v grows by a power; says with all ones whether f and g change places.
    fn begin_step(&mut self, lowest_of_g: i16) -> i16 {
        self.v.copy_within(..P, 1);
        self.v[0] = T::default();
        let swap = std::hint::black_box(negative_mask(-self.delta) & nonzero_mask(lowest_of_g));
        self.delta ^= swap & (self.delta ^ -self.delta);
        self.delta += 1;
        swap
    }

    /// g, whose lowest coefficient is zero now, loses it.
    fn end_step(&mut self) {
        self.g.copy_within(1.., 0);
        self.g[P] = T::default();
    }
}

/// `None`: there is no inverse.
pub fn inverse_modulo_3(input: &Small) -> Option<Zeroizing<Small>> {
    let mut division = Division::<i8>::new(input, 1);
    for _ in 0..Division::<i8>::STEPS {
        let swap = division.begin_step(i16::from(division.g[0])) as i8;
        let sign = -division.f[0] * division.g[0];
        let update = |(f, g): (&mut i8, &mut i8)| {
            let both = swap & (*f ^ *g);
            *f ^= both;
            let sum = (*g ^ both) + sign * *f;
            // From -2 to 2.
            *g = sum + 3 * i8::from(sum < -1) - 3 * i8::from(sum > 1);
        };
        division.f.iter_mut().zip(division.g.iter_mut()).for_each(update);
        division.v.iter_mut().zip(division.r.iter_mut()).for_each(update);
        division.end_step();
    }
    let sign = division.f[0];
    let mut out = Zeroizing::new([0; P]);
    out.iter_mut().zip(division.v.iter().take(P).rev()).for_each(|(to, from)| *to = sign * from);
    (division.delta == 0).then_some(out)
}

/// 1/(3 * input): there is one for each short polynomial, since the modulus is irreducible.
pub fn inverse_of_triple(input: &Small) -> Zeroizing<Modular> {
    let input = Zeroizing::new(input.map(i16::from));
    let mut division = Division::<i16>::new(&input, reciprocal(3));
    for _ in 0..Division::<i16>::STEPS {
        let swap = division.begin_step(modulo_q(i32::from(division.g[0])));
        let both = swap & (division.f[0] ^ division.g[0]);
        // One for each place, in memory: only so does the compiler see 16-bit products in the loops.
        let f0 = std::hint::black_box([division.f[0] ^ both; P + 1]);
        let g0 = std::hint::black_box([division.g[0] ^ both; P + 1]);
        let factors = || f0.iter().zip(&g0);
        // Both lines are divided by 2^16, which their relation does not mind. What goes in is never above 5,530:
        // twice (5,530^2 / 2^16 + 2,296) comes out.
        let update = |((f, g), (f0, g0)): ((&mut i16, &mut i16), (&i16, &i16))| {
            let both = swap & (*f ^ *g);
            *f ^= both;
            *g = montgomery(*f0, *g ^ both) - montgomery(*g0, *f);
        };
        division.f.iter_mut().zip(division.g.iter_mut()).zip(factors()).for_each(update);
        division.v.iter_mut().zip(division.r.iter_mut()).zip(factors()).for_each(update);
        division.end_step();
    }
    let scale = i32::from(reciprocal(modulo_q(i32::from(division.f[0]))));
    let mut out = Zeroizing::new([0; P]);
    out.iter_mut().zip(division.v.iter().take(P).rev()).for_each(|(to, from)| {
        *to = modulo_q(scale * i32::from(modulo_q(i32::from(*from))));
    });
    out
}

/// a^(Q - 2): the exponent is no secret.
fn reciprocal(a: i16) -> i16 {
    let (mut result, mut square, mut exponent) = (1_i16, a, Q - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = modulo_q(i32::from(result) * i32::from(square));
        }
        square = modulo_q(i32::from(square) * i32::from(square));
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reductions() {
        for x in i16::MIN..=i16::MAX {
            let exact = i32::from(x).rem_euclid(i32::from(Q));
            let rough = i32::from(roughly_modulo_q(x));
            assert!(rough.abs() <= 2_950 && rough.rem_euclid(i32::from(Q)) == exact, "{x}");
            assert_eq!(nonzero_mask(x), if x == 0 { 0 } else { -1 });
            assert_eq!(negative_mask(x), if x < 0 { -1 } else { 0 });
            if (-16_000..=16_000).contains(&x) {
                let third = modulo_3(x);
                assert!((-1..=1).contains(&third) && (x - i16::from(third)) % 3 == 0, "{x}");
            }
        }
        for x in (-14_000_000..=14_000_000).step_by(7) {
            let reduced = modulo_q(x);
            assert!(reduced.abs() <= 2295 && (x - i32::from(reduced)) % i32::from(Q) == 0, "{x}");
        }
        for a in (-5_530..=5_530_i16).step_by(3) {
            for b in [-5_530, -2_295, -1, 0, 1, 77, 2_295, 5_530_i16] {
                let product = i32::from(montgomery(a, b));
                assert!(product.abs() <= (i32::from(a) * i32::from(b)).abs() / 65_536 + 2_296);
                assert_eq!((product * 65_536 - i32::from(a) * i32::from(b)) % i32::from(Q), 0, "{a} {b}");
            }
        }
        for a in (1..=2295).flat_map(|a| [a, -a]) {
            assert_eq!(modulo_q(i32::from(a) * i32::from(reciprocal(a))), 1);
        }
    }

    #[test]
    fn inverses() {
        let short = super::super::random_short().unwrap();
        let triple = short.map(|value| 3 * i16::from(value));
        let inverse = inverse_of_triple(&short);
        let mut product = [0_i64; 2 * P - 1];
        for (at, a) in triple.iter().enumerate() {
            for (b, to) in inverse.iter().zip(&mut product[at..]) {
                *to += i64::from(*a) * i64::from(*b);
            }
        }
        for at in (P..2 * P - 1).rev() {
            product[at - P] += product[at];
            product[at - P + 1] += product[at];
        }
        let one: Vec<i64> = product[..P].iter().map(|value| value.rem_euclid(i64::from(Q))).collect();
        assert_eq!(one[0], 1);
        assert!(one[1..].iter().all(|value| *value == 0));

        let (small, inverse) = std::iter::repeat_with(|| super::super::random_small().unwrap())
            .find_map(|small| inverse_modulo_3(&small).map(|inverse| (small, inverse)))
            .unwrap();
        let one = multiply_modulo_3(&small, &inverse);
        assert_eq!(one[0], 1);
        assert!(one[1..].iter().all(|value| *value == 0));
        assert!(inverse_modulo_3(&[0; P]).is_none());
    }
}
