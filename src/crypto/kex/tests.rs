use super::*;

mod modp;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The exchanges of one public value each way.
fn one_round_exchanges() -> impl Iterator<Item = (&'static str, &'static OneRound)> {
    KEX_ALGORITHMS.iter().filter_map(|kex| match &kex.method {
        KexMethod::OneRound(exchange) => Some((kex.name, exchange)),
        KexMethod::GroupExchange => None,
    })
}

fn one_round(name: &str) -> &'static OneRound {
    one_round_exchanges().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn every_exchange_agrees() {
    for (name, kex) in one_round_exchanges() {
        let client = kex.client().unwrap();
        let (server_public, server_secret) = kex.server(client.public()).unwrap();
        let client_secret = client.finish(&server_public).unwrap();
        assert_eq!(client_secret.encoded(), server_secret.encoded(), "{name}");
        assert!(client_secret.encoded().len() > 30, "{name}");
    }
}

#[test]
fn public_values_of_a_wrong_length_are_refused() {
    for (name, kex) in one_round_exchanges().filter(|(name, _)| !name.starts_with("diffie-hellman")) {
        let length = kex.client().unwrap().public().len();
        let (server_public, _) = kex.server(kex.client().unwrap().public()).unwrap();
        for wrong in [0, 1, 31, 32, 33, 64, 65, 66, 1184, 1215, 1217, length - 1, length + 1] {
            if wrong != length {
                assert!(kex.server(&vec![4; wrong]).is_err(), "{name} {wrong}");
            }
            if wrong != server_public.len() {
                assert!(kex.client().unwrap().finish(&vec![4; wrong]).is_err(), "{name} {wrong}");
            }
        }
    }
}

#[test]
fn an_all_zero_x25519_secret_is_refused() {
    for name in ["curve25519-sha256", "mlkem768x25519-sha256", "sntrup761x25519-sha512"] {
        let kex = one_round(name);
        let mut public = kex.client().unwrap().public().to_vec();
        let at = public.len() - 32;
        // The points of small order 0 and 1.
        for low in [0, 1] {
            public[at..].fill(0);
            public[at] = low;
            assert!(kex.server(&public).is_err(), "{name}");
        }
    }
}

#[test]
fn points_off_the_curve_compressed_or_at_infinity_are_refused() {
    for (name, kex) in one_round_exchanges().filter(|(name, _)| name.contains("nistp")) {
        let good = kex.client().unwrap().public().to_vec();
        let (kem, good) = good.split_at(good.len() - curve_length(name));
        let refused = |point: &[u8], what: &str| {
            assert!(matches!(kex.server(&[kem, point].concat()), Err(Error::Protocol(_))), "{name} {what}");
        };
        let mut off_curve = good.to_vec();
        *off_curve.last_mut().unwrap() ^= 1;
        refused(&off_curve, "off the curve");
        refused(&[0], "infinity");
        let mut compressed = good[..good.len() / 2 + 1].to_vec();
        for prefix in [2, 3] {
            compressed[0] = prefix;
            refused(&compressed, "compressed");
            let mut hybrid = good.to_vec();
            hybrid[0] = prefix + 4;
            refused(&hybrid, "hybrid form");
        }
    }
}

#[test]
fn a_damaged_ciphertext_gives_another_secret_never_the_same() {
    for (name, kex) in one_round_exchanges().filter(|(name, _)| name.starts_with("mlkem") || name.starts_with("sntrup"))
    {
        let client = kex.client().unwrap();
        let (mut server_public, server_secret) = kex.server(client.public()).unwrap();
        server_public[0] ^= 1;
        let secret = client.finish(&server_public).unwrap();
        assert_ne!(secret.encoded(), server_secret.encoded(), "implicit rejection: {name}");
    }
}

/// Bytes of the curve's half, which stands last.
fn curve_length(name: &str) -> usize {
    match name {
        name if name.contains("nistp256") => 65,
        name if name.contains("nistp384") => 97,
        name if name.contains("nistp521") => 133,
        _ => 32,
    }
}

#[test]
fn a_client_refuses_what_a_server_refuses() {
    for (name, kex) in one_round_exchanges().filter(|(name, _)| !name.starts_with("diffie-hellman")) {
        let (good, _) = kex.server(kex.client().unwrap().public()).unwrap();
        let curve_at = good.len() - curve_length(name);
        let mut bad = vec![good[..curve_at].to_vec()];
        if name.contains("nistp") {
            let point = &good[curve_at..];
            let mut off_curve = point.to_vec();
            *off_curve.last_mut().unwrap() ^= 1;
            let mut zero = vec![0; point.len()];
            let all_zero = zero.clone();
            zero[0] = 4;
            let mut compressed = point[..point.len() / 2 + 1].to_vec();
            compressed[0] = 2;
            let points = [off_curve, all_zero, vec![0], zero, compressed];
            bad.extend(points.map(|point| [&good[..curve_at], &point].concat()));
        } else {
            bad.extend(low_order_points().map(|point| [&good[..curve_at], &point].concat()));
        }
        for public in bad {
            let refused = kex.client().unwrap().finish(&public);
            assert!(matches!(refused, Err(Error::Protocol(_))), "{name} {public:02x?}");
        }
    }
}

/// Curve25519 points whose order divides 8, and encodings of them that are not reduced: each gives zero.
fn low_order_points() -> impl Iterator<Item = Vec<u8>> {
    [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .into_iter()
    .map(hex)
}

#[test]
fn servers_refuse_points_of_low_order_and_keys_that_are_not_reduced() {
    for name in ["curve25519-sha256", "curve25519-sha256@libssh.org", "mlkem768x25519-sha256", "sntrup761x25519-sha512"]
    {
        let kex = one_round(name);
        let good = kex.client().unwrap().public().to_vec();
        for point in low_order_points() {
            let public = [&good[..good.len() - 32], &point].concat();
            assert!(matches!(kex.server(&public), Err(Error::Protocol(_))), "{name} {point:02x?}");
        }
    }
    // FIPS 203 section 7.2: a coefficient of 3329 or more.
    for (name, kex) in one_round_exchanges().filter(|(name, _)| name.starts_with("mlkem")) {
        let mut public = kex.client().unwrap().public().to_vec();
        public[..2].fill(0xff);
        assert!(matches!(kex.server(&public), Err(Error::Protocol(_))), "{name}");
    }
}

#[test]
fn shared_secrets_are_encoded_as_the_wire_has_them() {
    assert_eq!(SharedSecret::from_number(&[0, 0, 1, 2]).encoded(), [0, 0, 0, 2, 1, 2]);
    assert_eq!(SharedSecret::from_number(&[0, 0x80]).encoded(), [0, 0, 0, 2, 0, 0x80]);
    assert_eq!(SharedSecret::from_number(&[0, 0]).encoded(), [0, 0, 0, 0]);
    assert_eq!(SharedSecret::from_string(&[0, 0x80]).encoded(), [0, 0, 0, 2, 0, 0x80]);
    assert_eq!(SharedSecret::from_string(&[0, 1]).encoded(), [0, 0, 0, 2, 0, 1]);
}
