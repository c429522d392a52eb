//! Published vectors, through the tables.

use super::*;

/// NIST SP 800-38A sections F.5.1, F.5.3 and F.5.5, in packets of two blocks: the counter goes on between them.
#[test]
fn counter_mode_follows_sp_800_38a() {
    let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
        30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    let iv = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    let vectors = [
        (
            "aes128-ctr",
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
             5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        ),
        (
            "aes192-ctr",
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94\
             1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
        ),
        (
            "aes256-ctr",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
             2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
        ),
    ];
    for (name, key, expected) in vectors {
        let mac = find_mac("hmac-sha2-256");
        let mut seal = sealer(find_cipher(name).unwrap(), mac, &hex(key), &iv, &[0; 32]).unwrap();
        let mut sealed = Vec::new();
        for part in plain.chunks(32) {
            let mut packet = [part, &[0; 32]].concat();
            seal.seal(0, &mut packet).unwrap();
            sealed.extend_from_slice(&packet[..32]);
        }
        assert_eq!(sealed, hex(expected), "{name}");
    }
}

/// NIST SP 800-38A sections F.2.1, F.2.3 and F.2.5, and for 3DES the example of NIST's "TDES CBC": each packet goes on
/// from the last block of the one before.
#[test]
fn chained_ciphers_follow_nist() {
    let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
        30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    let iv = "000102030405060708090a0b0c0d0e0f";
    let vectors = [
        (
            "aes128-cbc",
            "2b7e151628aed2a6abf7158809cf4f3c",
            iv,
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
             73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
        ),
        (
            "aes192-cbc",
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            iv,
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a\
             571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
        ),
        (
            "aes256-cbc",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            iv,
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
             39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
        (
            "3des-cbc",
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "f69f2445df4f9b17",
            "2079c3d53aa763e193b79e2569ab5262516570481f25b50f73c0bda85c8e0da7",
        ),
    ];
    for (name, key, iv, expected) in vectors {
        let cipher = find_cipher(name).unwrap();
        let expected = hex(expected);
        for part_length in [16, 32] {
            let mut seal = sealer(cipher, find_mac("hmac-sha1"), &hex(key), &hex(iv), &[0; 20]).unwrap();
            let mut open = opener(cipher, find_mac("hmac-sha1"), &hex(key), &hex(iv), &[0; 20]).unwrap();
            let mut sealed = Vec::new();
            for part in plain[..expected.len()].chunks(part_length) {
                let mut packet = [part, &[0; 20]].concat();
                seal.seal(0, &mut packet).unwrap();
                sealed.extend_from_slice(&packet[..part.len()]);
                let length = open_whole(open.as_mut(), 0, &mut packet).unwrap();
                assert_eq!(length.to_be_bytes(), part[..4], "{name}");
                assert_eq!(packet[..part.len()], *part, "{name}");
            }
            assert_eq!(sealed, expected, "{name}");
        }
    }
}

/// RFC 4231 sections 4.2 and 4.3, RFC 2202 sections 2 and 3. The first four bytes of the data stand in the place of the
/// sequence number, and a key is the same with zeros after it (RFC 2104 section 2).
#[test]
fn macs_follow_rfc_4231_and_rfc_2202() {
    let hi_there = b"Hi There".as_slice();
    let (jefe, jefes) = (b"Jefe".as_slice(), b"what do ya want for nothing?".as_slice());
    let cut = b"Test With Truncation".as_slice();
    let vectors: [(&str, &[u8], &[u8], &str); 10] = [
        ("sha2-256", &[0x0b; 20], hi_there, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            "sha2-512",
            &[0x0b; 20],
            hi_there,
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde\
             daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ),
        ("sha2-256", jefe, jefes, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha2-512",
            jefe,
            jefes,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        ("sha1", &[0x0b; 20], hi_there, "b617318655057264e28bc0b6fb378c8ef146be00"),
        ("sha1", jefe, jefes, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha1", &[0x0c; 20], cut, "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"),
        ("md5", &[0x0b; 16], hi_there, "9294727a3638bb1c13f48ef8158bfc9d"),
        ("md5", jefe, jefes, "750c783e6ab0b503eaa86e310a5db738"),
        ("md5", &[0x0c; 16], cut, "56461ef2342edc00f9bab995690efd4c"),
    ];
    let mut checked = std::collections::BTreeSet::new();
    for (hash, key, data, expected) in vectors {
        let name = format!("hmac-{hash}");
        let rows = MACS.iter().filter(|row| row.name == name || row.name.starts_with(&format!("{name}-")));
        for row in rows {
            let mut whole_key = key.to_vec();
            whole_key.resize(row.key_length, 0);
            let (number, data) = data.split_first_chunk().unwrap();
            let mut tag = vec![0; row.tag_length];
            let mut keyed = mac::Mac::new(row, &whole_key).unwrap();
            // Twice: nothing is left from the packet before.
            for _ in 0..2 {
                keyed.sign(u32::from_be_bytes(*number), data, &mut tag).unwrap();
                assert_eq!(tag, hex(expected)[..row.tag_length], "{}", row.name);
            }
            assert_eq!(row.tag_length, if row.name.contains("-96") { 12 } else { row.key_length }, "{}", row.name);
            assert_eq!(row.encrypt_then_mac, row.name.ends_with("-etm@openssh.com"), "{}", row.name);
            checked.insert(row.name);
        }
    }
    assert_eq!(checked.len(), MACS.len());
}

/// AES-GCM put together from AES-CTR and GHASH (NIST SP 800-38D): which nonce, which additional data and which
/// counters a packet has. The counter of the nonce passes zero here.
#[test]
fn gcm_is_what_sp_800_38d_says() {
    for (gcm, ctr, key_length) in
        [("aes128-gcm@openssh.com", "aes128-ctr", 16), ("aes256-gcm@openssh.com", "aes256-ctr", 32)]
    {
        let key: Vec<u8> = (0..key_length).collect();
        let iv = hex("a0a1a2a3ffffffffffffffff");
        let nonces = [hex("a0a1a2a3ffffffffffffffff"), hex("a0a1a2a30000000000000000")];
        let mut seal = sealer(find_cipher(gcm).unwrap(), None, &key, &iv, &[]).unwrap();
        for nonce in nonces {
            let plain = packet(seal.as_ref(), 3);
            let mut sealed = plain.clone();
            seal.seal(77, &mut sealed).unwrap();

            let key_stream = |block: [u8; 4], data: &[u8]| {
                let counter = [&nonce[..], &block].concat();
                encrypted(ctr, &key, &counter, data)
            };
            let expected = key_stream([0, 0, 0, 2], &plain[4..52]);
            assert_eq!(sealed[..4], plain[..4], "{gcm}");
            assert_eq!(sealed[4..52], expected, "{gcm}");

            let hash_key = as_number(&encrypted(ctr, &key, &[0; 16], &[0; 16]));
            let lengths = (u128::from(4 * 8u32) << 64) | (48 * 8);
            let mut additional = plain[..4].to_vec();
            additional.resize(16, 0);
            let hash = [additional, expected, lengths.to_be_bytes().to_vec()]
                .concat()
                .chunks(16)
                .fold(0, |hash, block| multiplied(hash ^ as_number(block), hash_key));
            let tag = hash ^ as_number(&key_stream([0, 0, 0, 1], &[0; 16]));
            assert_eq!(as_number(&sealed[52..]), tag, "{gcm}");
        }
    }
}

fn encrypted(ctr: &str, key: &[u8], counter: &[u8], data: &[u8]) -> Vec<u8> {
    let mut seal = sealer(find_cipher(ctr).unwrap(), find_mac("hmac-sha2-256"), key, counter, &[0; 32]).unwrap();
    let mut packet = [data, &[0; 32]].concat();
    seal.seal(0, &mut packet).unwrap();
    packet.truncate(data.len());
    packet
}

fn as_number(block: &[u8]) -> u128 {
    u128::from_be_bytes(block.try_into().unwrap())
}

/// The product in GHASH's field (NIST SP 800-38D section 6.3).
fn multiplied(x: u128, y: u128) -> u128 {
    let (mut product, mut shifted) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= shifted;
        }
        let carry = shifted & 1;
        shifted = (shifted >> 1) ^ (carry * (0xe1 << 120));
    }
    product
}

/// FIPS 180-4 examples: "abc".
#[test]
fn hashes_follow_fips_180_4() {
    let vectors = [
        (HashAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (HashAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            HashAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            HashAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    for (hash, expected) in vectors {
        assert_eq!(hash.digest(&[b"a", b"", b"bc"]).as_ref(), hex(expected), "{hash:?}");
        assert_eq!(hash.length(), hex(expected).len());
    }
}
