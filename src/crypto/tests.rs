use super::*;

mod vectors;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Every cipher, with every MAC where it takes one.
fn protections() -> Vec<(&'static CipherAlgorithm, Option<&'static MacAlgorithm>)> {
    let mut all = Vec::new();
    for cipher in CIPHERS {
        if cipher.aead {
            all.push((cipher, None));
        } else {
            all.extend(MACS.iter().map(|mac| (cipher, Some(mac))));
        }
    }
    all
}

fn pair(cipher: &CipherAlgorithm, mac: Option<&MacAlgorithm>) -> (Box<dyn Seal>, Box<dyn Open>) {
    let key: Vec<u8> = (0..cipher.key_length as u8).collect();
    let iv = vec![0xff; cipher.iv_length];
    let mac_key = vec![7; mac.map_or(0, |mac| mac.key_length)];
    (sealer(cipher, mac, &key, &iv, &mac_key).unwrap(), opener(cipher, mac, &key, &iv, &mac_key).unwrap())
}

/// A packet with a body of `blocks` blocks, and room for the tag.
fn packet(seal: &dyn Seal, blocks: usize) -> Vec<u8> {
    let whole = blocks * seal.block_size() + if seal.pads_length_field() { 0 } else { 4 };
    let mut packet = ((whole - 4) as u32).to_be_bytes().to_vec();
    packet.extend((4..whole).map(|at| at as u8));
    packet.resize(whole + seal.tag_length(), 0);
    packet
}

fn open_whole(open: &mut dyn Open, sequence_number: u32, sealed: &mut [u8]) -> Result<u32> {
    let prefix = open.prefix_length();
    let length = open.packet_length(sequence_number, &mut sealed[..prefix])?;
    open.open(sequence_number, sealed)?;
    Ok(length)
}

#[test]
fn every_protection_opens_what_it_sealed() {
    for (cipher, mac) in protections() {
        let (mut seal, mut open) = pair(cipher, mac);
        for (sequence_number, blocks) in [(0, 1), (1, 2), (2, 300), (u32::MAX, 2048), (0, 1)] {
            let plain = packet(seal.as_ref(), blocks);
            let mut sealed = plain.clone();
            seal.seal(sequence_number, &mut sealed).unwrap();
            assert_ne!(sealed, plain, "{}", cipher.name);
            let length = open_whole(open.as_mut(), sequence_number, &mut sealed).unwrap();
            let end = plain.len() - seal.tag_length();
            assert_eq!(length as usize, end - 4, "{}", cipher.name);
            assert_eq!(sealed[4..end], plain[4..end], "{}", cipher.name);
        }
    }
}

#[test]
fn no_flipped_bit_of_a_packet_opens() {
    for (cipher, mac) in protections() {
        let (seal, _) = pair(cipher, mac);
        let bits = packet(seal.as_ref(), 2).len() * 8;
        for bit in 0..bits {
            let (mut seal, mut open) = pair(cipher, mac);
            let mut sealed = packet(seal.as_ref(), 2);
            let length = (sealed.len() - seal.tag_length() - 4) as u32;
            seal.seal(9, &mut sealed).unwrap();
            sealed[bit / 8] ^= 1 << (bit % 8);
            let opened = open_whole(open.as_mut(), 9, &mut sealed);
            assert!(opened.is_err(), "{} bit {bit}: {length}", cipher.name);
        }
    }
}

#[test]
fn a_packet_opens_only_at_its_place() {
    for (cipher, mac) in protections() {
        let (mut seal, mut open) = pair(cipher, mac);
        let mut first = packet(seal.as_ref(), 2);
        let mut second = first.clone();
        seal.seal(0, &mut first).unwrap();
        seal.seal(1, &mut second).unwrap();
        assert!(open_whole(open.as_mut(), 0, &mut second).is_err(), "{}: a packet was skipped", cipher.name);
    }
}

#[test]
fn short_and_odd_packets_are_errors() {
    for (cipher, mac) in protections() {
        for length in 0..80 {
            let (_, mut open) = pair(cipher, mac);
            assert!(open.open(0, &mut vec![0; length]).is_err(), "{} {length}", cipher.name);
        }
    }
}

#[test]
fn macs_equal_the_definition_of_hmac() {
    // RFC 2104 section 2, the long way.
    for mac in MACS {
        // aws-lc-rs has no MD5 to build on; RFC 2202's vectors are beside this.
        let (hash, block) = match mac.name.split('-').nth(1) {
            Some("sha1") => (HashAlgorithm::Sha1, 64),
            Some("sha2") if mac.key_length == 32 => (HashAlgorithm::Sha256, 64),
            Some("sha2") => (HashAlgorithm::Sha512, 128),
            _ => continue,
        };
        let key = vec![0x0b; mac.key_length];
        let mut inner_key = vec![0x36; block];
        let mut outer_key = vec![0x5c; block];
        for (at, byte) in key.iter().enumerate() {
            inner_key[at] ^= byte;
            outer_key[at] ^= byte;
        }
        let inner = hash.digest(&[&inner_key, &7u32.to_be_bytes(), b"Hi There"]);
        let expected = hash.digest(&[&outer_key, inner.as_ref()]);
        let mut tag = vec![0; mac.tag_length];
        mac::Mac::new(mac, &key).unwrap().sign(7, b"Hi There", &mut tag).unwrap();
        assert_eq!(tag, expected.as_ref()[..mac.tag_length], "{}", mac.name);
    }
}

#[test]
fn derived_keys_are_as_long_as_asked_and_differ_by_letter() {
    let secret = SharedSecret::from_number(&[0x80, 1, 2]);
    assert_eq!(secret.encoded(), [0, 0, 0, 4, 0, 0x80, 1, 2]);
    for hash in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
        let key = derive_key(hash, &secret, b"H", b'A', b"session", 200);
        assert_eq!(key.len(), 200);
        // RFC 4253 section 7.2: K1 = HASH(K || H || "A" || session_id), K2 = HASH(K || H || K1).
        let first = hash.digest(&[secret.encoded(), b"H", b"A", b"session"]);
        let second = hash.digest(&[secret.encoded(), b"H", first.as_ref()]);
        assert_eq!(key[..hash.length()], *first.as_ref());
        assert_eq!(key[hash.length()..2 * hash.length()], *second.as_ref());
        assert_ne!(derive_key(hash, &secret, b"H", b'B', b"session", 200)[..], key[..]);
    }
}

#[test]
fn random_bytes_never_repeat() {
    for mut source in [SystemRandom::new(), SystemRandom::pooled(|| 1)] {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut bytes = [0; 13];
            source.fill(&mut bytes);
            assert!(seen.insert(bytes));
        }
        for length in [0, 1024, 1025, 5000] {
            let mut bytes = vec![0; length];
            source.fill(&mut bytes);
            assert!(length == 0 || bytes.iter().any(|byte| *byte != 0));
        }
    }
}

/// A copy of the source stands for the child of a fork: it has the same pool.
#[test]
fn parent_and_child_of_a_fork_draw_different_bytes() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PROCESS: AtomicU64 = AtomicU64::new(1);
    let drawn = |source: &mut SystemRandom| {
        let mut bytes = [0; 16];
        source.fill(&mut bytes);
        bytes
    };
    let mut parent = SystemRandom::pooled(|| PROCESS.load(Ordering::Relaxed));
    drawn(&mut parent);
    let (mut child, mut same_process) = (parent.clone(), parent.clone());
    let of_parent = drawn(&mut parent);
    assert_eq!(drawn(&mut same_process), of_parent, "the pools are not the same: the test shows nothing");
    PROCESS.store(2, Ordering::Relaxed);
    let of_child = drawn(&mut child);
    assert_ne!(of_child, of_parent);
    assert_ne!(drawn(&mut child), of_child);

    let mut unpooled = SystemRandom::new();
    assert_ne!(drawn(&mut unpooled.clone()), drawn(&mut unpooled));
}

#[test]
fn forged_packets_of_every_kind_are_one_error_and_leave_no_plain_text() {
    let (cipher, mac) = (find_cipher("aes256-ctr").unwrap(), find_mac("hmac-sha2-256"));
    let (mut seal, mut open) = pair(cipher, mac);
    let mut sealed = packet(seal.as_ref(), 4);
    seal.seal(0, &mut sealed).unwrap();
    let mut bad_tag = sealed.clone();
    *bad_tag.last_mut().unwrap() ^= 1;
    let expected = open_whole(open.as_mut(), 0, &mut bad_tag).unwrap_err();
    assert!(matches!(expected, Error::Integrity(_)));
    let plain_end = bad_tag.len() - seal.tag_length();
    assert!(bad_tag[..plain_end].iter().all(|byte| *byte == 0), "plain text is left");

    // As a reader would that believed a forged length.
    for cut in [1, 15, 16, 17, 48] {
        let (_, mut open) = pair(cipher, mac);
        let mut shorter = sealed[..sealed.len() - cut].to_vec();
        assert_eq!(open_whole(open.as_mut(), 0, &mut shorter), Err(expected.clone()), "{cut}");
    }
}

#[test]
fn material_of_a_wrong_length_is_refused() {
    for (cipher, mac) in protections() {
        let mac_length = mac.map_or(0, |mac| mac.key_length);
        for (key, iv, mac_key) in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            let (key, iv) = (vec![0; cipher.key_length + key], vec![0; cipher.iv_length + iv]);
            let mac_key_bytes = vec![0; mac_length + mac_key];
            let refused = mac.is_some() || mac_key == 0;
            assert_eq!(sealer(cipher, mac, &key, &iv, &mac_key_bytes).is_err(), refused, "{}", cipher.name);
            assert_eq!(opener(cipher, mac, &key, &iv, &mac_key_bytes).is_err(), refused, "{}", cipher.name);
        }
        // CTR is never used without a MAC.
        let other = if cipher.aead { MACS.first() } else { None };
        let (key, iv) = (vec![0; cipher.key_length], vec![0; cipher.iv_length]);
        assert!(sealer(cipher, other, &key, &iv, &[0; 32]).is_err(), "{}", cipher.name);
    }
}

#[test]
fn the_tables_hold_each_name_once_and_find_it() {
    let ciphers: Vec<_> = ciphers_by_preference().into_iter().map(|row| row.name).collect();
    let macs: Vec<_> = MACS.iter().map(|row| row.name).collect();
    let kex: Vec<_> = KEX_ALGORITHMS.iter().map(|row| row.name).collect();
    for (names, length) in [(&ciphers, CIPHERS.len()), (&macs, MACS.len()), (&kex, KEX_ALGORITHMS.len())] {
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), length);
    }
    assert!(ciphers.iter().all(|name| find_cipher(name).is_some_and(|row| row.name == *name)));
    assert!(macs.iter().all(|name| find_mac(name).is_some_and(|row| row.name == *name)));
    assert!(kex.iter().all(|name| find_kex(name).is_some_and(|row| row.name == *name)));
    assert!(find_cipher("none").is_none() && find_mac("none").is_none() && find_kex("").is_none());
}

#[test]
fn what_is_old_is_there_by_name_only() {
    let old = |name: &str| name.ends_with("-cbc") || name.contains("sha1") || name.contains("md5");
    let ciphers: Vec<&str> = CIPHERS.iter().filter(|row| row.offer == Offer::ByName).map(|row| row.name).collect();
    assert_eq!(ciphers, ["aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc"]);
    let macs: Vec<&str> = MACS.iter().filter(|row| row.offer == Offer::ByName).map(|row| row.name).collect();
    assert_eq!(macs.len(), 8);
    let offered = CIPHERS.iter().map(|row| (row.name, row.offer)).chain(MACS.iter().map(|row| (row.name, row.offer)));
    assert!(offered.filter(|(name, _)| old(name)).all(|(_, offer)| offer == Offer::ByName));
}

/// The work for a packet that is not opened is that of opening one so long.
#[test]
fn spending_takes_as_many_bytes_as_told() {
    struct Counting(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl with_mac::BlockMode for Counting {
        const IS_CHAINED: bool = true;
        fn block_size(&self) -> usize {
            8
        }
        fn apply(&mut self, blocks: &mut [u8]) -> Result<()> {
            assert!(blocks.len().is_multiple_of(8));
            self.0.fetch_add(blocks.len(), std::sync::atomic::Ordering::Relaxed);
            Ok(())
        }
    }
    for length in [0, 1, 8, 20, 16 * 1024, 262_000] {
        let count = std::sync::Arc::default();
        let mac = mac::Mac::new(find_mac("hmac-md5").unwrap(), &[1; 16]).unwrap();
        let mut open = with_mac::WithMac::new(Counting(std::sync::Arc::clone(&count)), Some(mac)).unwrap();
        open.spend(length);
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), length / 8 * 8);
    }
}
