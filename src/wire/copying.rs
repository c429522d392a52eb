//! Copies of channel data.
//!
//! Some processors copy long runs ten times slower when the target lies a few bytes behind the source modulo a page,
//! which the short headers of SSH make usual: then it goes in short runs.

const SHORT: usize = 1984;

fn is_slow(from: usize, to: usize, length: usize) -> bool {
    length > SHORT && (1..64).contains(&(to.wrapping_sub(from) & 4095))
}

/// Appends, as `extend_from_slice` does.
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    if is_slow(bytes.as_ptr().addr(), out.as_ptr().addr().wrapping_add(out.len()), bytes.len()) {
        bytes.chunks(SHORT).for_each(|run| out.extend_from_slice(run));
    } else {
        out.extend_from_slice(bytes);
    }
}

/// Copies what fits; says how much that was.
pub fn copy_front(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) else { return 0 };
    if is_slow(from.as_ptr().addr(), to.as_ptr().addr(), count) {
        to.chunks_mut(SHORT).zip(from.chunks(SHORT)).for_each(|(to, from)| to.copy_from_slice(from));
    } else {
        to.copy_from_slice(from);
    }
    count
}
