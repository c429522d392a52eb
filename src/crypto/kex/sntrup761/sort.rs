//! Sorting in an order of steps that does not depend on what is sorted: Batcher's merge exchange (Knuth, The Art of
//! Computer Programming, volume 3, algorithm 5.2.2M).

pub fn sort(words: &mut [u32]) {
    let length = words.len();
    let top = length.next_power_of_two() / 2;
    let mut step = top;
    while step > 0 {
        let (mut distance, mut bit, mut width) = (step, 0, top);
        loop {
            for at in (0..length.saturating_sub(distance)).filter(|at| at & step == bit) {
                exchange(words, at, at + distance);
            }
            if width == step {
                break;
            }
            distance = width - step;
            width /= 2;
            bit = step;
        }
        step /= 2;
    }
}

/// Puts the smaller of the two first.
fn exchange(words: &mut [u32], first: usize, second: usize) {
    if let Ok([a, b]) = words.get_disjoint_mut([first, second]) {
        // All ones where b < a.
        let mask = std::hint::black_box((u64::from(*b).wrapping_sub(u64::from(*a)) >> 32) as u32);
        let both = mask & (*a ^ *b);
        *a ^= both;
        *b ^= both;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network that sorts all lists of zeros and ones sorts everything.
    #[test]
    fn sorts_every_list_of_zeros_and_ones() {
        for length in 0..14 {
            for bits in 0..1_u32 << length {
                let mut words: Vec<u32> = (0..length).map(|at| bits >> at & 1).collect();
                sort(&mut words);
                assert!(words.is_sorted(), "{length} {bits:b}");
                assert_eq!(words.iter().sum::<u32>(), bits.count_ones());
            }
        }
    }

    #[test]
    fn sorts_long_lists() {
        let mut state = 1_u32;
        for length in [100, 511, 512, 513, 761, 1024] {
            let mut words: Vec<u32> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state
                })
                .collect();
            let mut expected = words.clone();
            expected.sort_unstable();
            sort(&mut words);
            assert_eq!(words, expected);
        }
    }
}
