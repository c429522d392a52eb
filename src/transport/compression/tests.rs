use super::*;
use crate::wire::messages::message;
use proptest::prelude::*;

const MOST: usize = 256 * 1024;

fn deflated(deflater: &mut Deflater, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let noted = deflater.append(&mut out, MOST, |plain| plain.extend_from_slice(payload), <[u8]>::to_vec).unwrap();
    assert_eq!(noted, payload, "what is noted is not compressed");
    out
}

fn inflated(inflater: &mut Inflater, packet: &[u8]) -> Result<BytesMut> {
    inflater.inflate(&mut packet.to_vec(), MOST)
}

/// What another implementation may send: any flush, any level, any window.
fn foreign(stream: &mut Compress, payload: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4096);
    let before = stream.total_in();
    stream.compress_vec(payload, &mut out, flush).unwrap();
    assert_eq!(stream.total_in() - before, payload.len() as u64, "room for all");
    out
}

#[test]
fn each_packet_inflates_by_itself_and_the_next_goes_on() {
    let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
    let text = b"the quick brown fox jumps over the lazy dog".repeat(20);
    let mut lengths = Vec::new();
    for _ in 0..4 {
        let packet = deflated(&mut deflater, &text);
        lengths.push(packet.len());
        assert_eq!(inflated(&mut inflater, &packet).unwrap(), text);
    }
    assert!(lengths[0] < text.len() / 4 && lengths[1] < lengths[0], "{lengths:?}");
    // A fresh stream has a header and no memory of the one before.
    let fresh = deflated(&mut Deflater::new(), &text);
    assert_eq!(fresh[0], 0x78);
    assert_eq!(fresh.len(), lengths[0]);
    assert!(inflated(&mut inflater, &fresh).is_err());
}

#[test]
fn what_others_flush_is_understood() {
    for flush in [FlushCompress::Partial, FlushCompress::Sync, FlushCompress::Full] {
        for level in [0, 1, 6, 9] {
            let mut stream = Compress::new(Compression::new(level), true);
            let mut inflater = Inflater::new();
            for length in [1, 7, 1000, 32_768, 200_000] {
                let payload: Vec<u8> = (0..length).map(|at: u64| (at * at / 7) as u8).collect();
                let packet = foreign(&mut stream, &payload, flush);
                assert_eq!(inflated(&mut inflater, &packet).unwrap(), payload, "{flush:?} {level} {length}");
            }
        }
    }
}

/// CVE-2026-106585, CVE-2026-23943: a packet of 243 KiB that is 250 MB.
#[test]
fn a_packet_inflates_to_no_more_than_is_allowed() {
    let mut stream = Compress::new(Compression::best(), true);
    let bomb = foreign(&mut stream, &vec![0; 250 << 20], FlushCompress::Sync);
    assert!(bomb.len() < MOST, "{}", bomb.len());
    let mut inflater = Inflater::new();
    let started = std::time::Instant::now();
    assert!(matches!(inflated(&mut inflater, &bomb), Err(Error::Protocol(_))));
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
    assert!(inflater.plain.capacity() <= MOST + 1);
    assert!(inflater.stream.total_out() <= MOST as u64 + 1);

    for (length, fits) in [(MOST - 1, true), (MOST, true), (MOST + 1, false), (2 * MOST, false)] {
        let packet = foreign(&mut Compress::new(LEVEL, true), &vec![1; length], FlushCompress::Partial);
        let outcome = inflated(&mut Inflater::new(), &packet);
        assert_eq!(outcome.is_ok(), fits, "{length}");
        assert!(outcome.is_err() || outcome.unwrap().len() == length);
    }
}

#[test]
fn broken_streams_are_errors() {
    let good = deflated(&mut Deflater::new(), &[7; 5000]);
    let ended = foreign(&mut Compress::new(LEVEL, true), b"data", FlushCompress::Finish);
    let with_dictionary = [0x78, 0xbb, 1, 2, 3, 4, 5, 6, 7];
    let no_zlib = [0x79, 0x9c, 1, 2, 3];
    let reserved_block = [0x78, 0x9c, 0x07, 0, 0];
    let beyond_the_window = [0x78, 0x9c, 0x03 | 0x08, 0x02, 0x41];
    for bad in [&ended[..], &with_dictionary, &no_zlib, &reserved_block, &beyond_the_window, &[], &good[..2]] {
        let outcome = inflated(&mut Inflater::new(), bad);
        assert!(matches!(outcome, Err(Error::Protocol(_))), "{bad:02x?}: {outcome:?}");
    }
    // A stream that ended does not begin again.
    let mut inflater = Inflater::new();
    assert!(inflated(&mut inflater, &ended).is_err());
    assert!(inflated(&mut inflater, &good).is_err());
}

#[test]
fn a_message_that_is_too_long_leaves_the_stream_as_it_was() {
    let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
    let packet = deflated(&mut deflater, &[1; 100]);
    inflated(&mut inflater, &packet).unwrap();
    let mut out = Vec::new();
    let refused = deflater.append(&mut out, 99, |plain| plain.extend_from_slice(&[2; 100]), |_| ());
    assert!(matches!(refused, Err(Error::Limit(_))));
    assert!(out.is_empty());
    let packet = deflated(&mut deflater, &[1; 100]);
    assert_eq!(inflated(&mut inflater, &packet).unwrap(), [1; 100][..]);
}

#[test]
fn what_cannot_be_compressed_grows_little() {
    let mut deflater = Deflater::new();
    let mut state = 1_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    for length in [1, 100, 1024, 32 * 1024, MOST - 1024] {
        let payload: Vec<u8> = (0..length).map(|_| noise()).collect();
        let packet = deflated(&mut deflater, &payload);
        assert!(packet.len() < length + 1024 - 300, "{length}: {}", packet.len());
    }
}

#[test]
fn passwords_are_wiped_from_what_is_kept() {
    let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
    let request = message!(UserauthRequest {
        user: b"alice",
        service: "ssh-connection",
        method: "password",
        fields: crate::wire::Rest(b"\0correct horse battery staple"),
    });
    deflater.reserve(request.length());
    let room = deflater.plain.capacity();
    let mut packet = Vec::new();
    deflater.append(&mut packet, MOST, |plain| request.encode(plain), |_| ()).unwrap();
    assert_eq!(deflater.plain.capacity(), room, "growing leaves a copy behind");
    let payload = inflater.inflate(&mut packet, MOST).unwrap();
    assert!(payload.ends_with(b"staple"));
    assert!(packet.iter().all(|byte| *byte == 0));
    assert!(deflater.plain.is_empty() && inflater.plain.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_payloads_arrive(payloads in prop::collection::vec(prop::collection::vec(0_u8..4, 1..3000), 1..20)) {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        let mut kept = Vec::new();
        for payload in &payloads {
            let packet = deflated(&mut deflater, payload);
            kept.push(inflated(&mut inflater, &packet).unwrap());
        }
        prop_assert!(kept.iter().zip(&payloads).all(|(got, sent)| got == sent));
    }

    #[test]
    fn any_bytes_are_no_reason_to_panic(
        header in any::<bool>(),
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..4),
    ) {
        let mut inflater = Inflater::new();
        for (index, mut packet) in packets.into_iter().enumerate() {
            if header && index == 0 {
                packet.splice(0..0, [0x78, 0x9c]);
            }
            let outcome = inflater.inflate(&mut packet, 10_000);
            prop_assert!(outcome.is_err() || outcome.is_ok_and(|payload| (1..=10_000).contains(&payload.len())));
        }
    }

    #[test]
    fn a_changed_stream_never_exceeds_its_bounds(at in 0_usize..400, flip in 1_u8..=255, text in "[a-e]{500,2000}") {
        let mut packet = deflated(&mut Deflater::new(), text.as_bytes());
        let at = at % packet.len();
        packet[at] ^= flip;
        let outcome = inflated(&mut Inflater::new(), &packet);
        prop_assert!(outcome.is_err() || outcome.is_ok_and(|payload| payload.len() <= MOST));
    }
}
