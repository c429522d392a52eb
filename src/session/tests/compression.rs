use super::rekeying::Traffic;
use super::simulator::Pieces;
use super::*;
use crate::transport::AlgorithmKind;

/// Whole sessions: login, traffic both ways and new keys from both sides, cut at random.
#[test]
fn compressed_sessions_carry_their_data_over_new_keys() {
    for (seed, compression) in ["zlib", "zlib@openssh.com"].into_iter().cycle().take(6).enumerate() {
        let mut options = Options { seed: seed as u64, pieces: Pieces::Random, ..Options::default() };
        for config in [&mut options.client, &mut options.server] {
            config.algorithms.set(AlgorithmKind::Compression, compression).unwrap();
        }
        let mut pair = Pair::connected(options);
        assert_eq!(pair.client.session.negotiated().unwrap().compression_out, compression);
        let (ours, theirs) = pair.open_session();
        let mut traffic = Traffic::new(ours, theirs);
        for round in 0..20 {
            traffic.go(&mut pair, 20_000);
            if round % 5 == 0 {
                let (role, now) = (if round % 2 == 0 { Role::Client } else { Role::Server }, pair.now);
                let _ = pair.side(role).session.rekey(now);
            }
            pair.step();
        }
        traffic.finish(&mut pair);
        assert!(traffic.written[0] > 100_000 && traffic.written[1] > 100_000);
        assert!(pair.client.session.negotiated().unwrap().rekeys >= 2);
    }
}

/// Plain zlib begins with the keys, before the login.
#[test]
fn the_password_may_be_compressed() {
    let mut options = Options::default();
    for config in [&mut options.client, &mut options.server] {
        config.algorithms.set(AlgorithmKind::Compression, "zlib").unwrap();
    }
    let pair = Pair::connected(options);
    assert_eq!(pair.server.session.username(), Some(&b"alice"[..]));
}
