use super::{HashAlgorithm, Hasher, SharedSecret};
use zeroize::{Zeroize, Zeroizing};

/// Key material for one purpose (RFC 4253 section 7.2): `letter` is `A` to `F`.
pub fn derive_key(
    hash: HashAlgorithm,
    secret: &SharedSecret,
    exchange_hash: &[u8],
    letter: u8,
    session_id: &[u8],
    length: usize,
) -> Zeroizing<Vec<u8>> {
    // Reserved whole, so that no half-made key is left behind by a growing vector.
    let mut key = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    let mut start = Hasher::new(hash);
    start.update(secret.encoded());
    start.update(exchange_hash);
    let mut first = start.clone();
    first.update(&[letter]);
    first.update(session_id);
    append(&mut key, first);
    while key.len() < length {
        let mut next = start.clone();
        next.update(&key);
        append(&mut key, next);
    }
    key.truncate(length);
    key
}

fn append(key: &mut Vec<u8>, hasher: Hasher) {
    let mut digest = hasher.finish();
    key.extend_from_slice(digest.as_ref());
    digest.zeroize();
}
