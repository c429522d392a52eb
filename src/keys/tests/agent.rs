use crate::error::Error;
use crate::keys::agent::{self, Constraints, Identity};
use crate::keys::{KeyType, PrivateKey};
use crate::wire::Writer;
use bytes::BytesMut;

fn framed(payload: &[u8]) -> Vec<u8> {
    Writer::new().string(payload).finish()
}

/// Row 71 of the list of others' faults: what is asked for is what stands on the wire.
#[test]
fn constraints_are_sent_to_the_byte() {
    let key = PrivateKey::generate(KeyType::Ed25519, 0).unwrap();
    let head = |number: u8| {
        let head = Writer::new().u8(number).string("ssh-ed25519").raw(key.fields().unwrap());
        head.string("a comment").finish()
    };
    let plain = agent::add(&key, b"a comment", &Constraints::default()).unwrap();
    assert_eq!(plain.as_slice(), head(17));
    let destination = Writer::new().string(b"from and to").finish();
    let all = Constraints {
        lifetime: Some(0x0102_0304),
        confirm: true,
        maximum_signatures: Some(5),
        extensions: vec![
            ("restrict-destination-v00@openssh.com".to_owned(), destination.clone()),
            ("x@example.com".to_owned(), Vec::new()),
        ],
    };
    let tail = Writer::new().u8(1).u32(0x0102_0304).u8(2).u8(3).u32(5);
    let tail = tail.u8(255).string("restrict-destination-v00@openssh.com").raw(&destination);
    let tail = tail.u8(255).string("x@example.com").finish();
    assert_eq!(agent::add(&key, b"a comment", &all).unwrap().as_slice(), [head(25), tail].concat());
    for (constraints, tail) in [
        (Constraints { lifetime: Some(0), ..Constraints::default() }, vec![1, 0, 0, 0, 0]),
        (Constraints { confirm: true, ..Constraints::default() }, vec![2]),
        (Constraints { maximum_signatures: Some(1), ..Constraints::default() }, vec![3, 0, 0, 0, 1]),
    ] {
        let request = agent::add(&key, b"a comment", &constraints).unwrap();
        assert_eq!(request.as_slice(), [head(25), tail].concat(), "{constraints:?}");
    }
    let elsewhere = PrivateKey::elsewhere(key.public().clone(), String::new(), std::sync::Arc::new(()));
    assert!(matches!(agent::add(&elsewhere, b"", &Constraints::default()), Err(Error::Unsupported(_))));
}

#[test]
fn requests_are_those_of_the_protocol() {
    for (algorithm, flags) in [
        ("rsa-sha2-256", 2),
        ("rsa-sha2-512", 4),
        ("rsa-sha2-256-cert-v01@openssh.com", 2),
        ("rsa-sha2-512-cert-v01@openssh.com", 4),
        ("ssh-rsa", 0),
        ("ssh-ed25519", 0),
        ("sk-ssh-ed25519@openssh.com", 0),
    ] {
        let wanted = Writer::new().u8(13).string("blob").string("data").u32(flags).finish();
        assert_eq!(agent::sign(b"blob", algorithm, b"data").as_slice(), wanted);
    }
    assert_eq!(agent::list().as_slice(), [11]);
    assert_eq!(agent::remove(b"b").as_slice(), [18, 0, 0, 0, 1, b'b']);
    assert_eq!(agent::remove_all().as_slice(), [19]);
    assert_eq!(agent::lock(b"pw").as_slice(), [22, 0, 0, 0, 2, b'p', b'w']);
    assert_eq!(agent::unlock(b"pw").as_slice(), [23, 0, 0, 0, 2, b'p', b'w']);
    let bind = Writer::new().u8(27).string("session-bind@openssh.com").string("host").string("session").string("proof");
    assert_eq!(agent::bind(b"host", b"session", b"proof", true).as_slice(), bind.boolean(true).finish());
    assert_eq!(agent::framed(&agent::list()).unwrap().as_slice(), [0, 0, 0, 1, 11]);
    let long = agent::sign(b"blob", "ssh-ed25519", &vec![0; agent::LONGEST_MESSAGE]);
    assert!(matches!(agent::framed(&long), Err(Error::Limit(_))));
}

#[test]
fn replies_come_in_pieces_and_in_order() {
    let stream = [framed(&[6]), framed(&[5]), framed(&vec![12; agent::LONGEST_MESSAGE])].concat();
    let mut received = BytesMut::new();
    let mut replies = Vec::new();
    for piece in stream.chunks(1000) {
        received.extend_from_slice(piece);
        while let Some(reply) = agent::next_reply(&mut received).unwrap() {
            replies.push(reply);
        }
    }
    assert_eq!(replies.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, agent::LONGEST_MESSAGE]);
    assert!(received.is_empty());
    assert!(agent::done(&replies[0]).is_ok());
    assert!(matches!(agent::done(&replies[1]), Err(Error::RequestDenied(_))));
}

/// Row 70: lengths, counts, types, early ends.
#[test]
fn bad_replies_are_told_before_they_cost_anything() {
    for length in [0, agent::LONGEST_MESSAGE as u32 + 1, 1 << 31, u32::MAX] {
        let mut received = BytesMut::from(length.to_be_bytes().as_slice());
        assert!(matches!(agent::next_reply(&mut received), Err(Error::Protocol(_))), "{length}");
    }
    let blob = Writer::new().string("ssh-ed25519").string([3; 32]).finish();
    let good = Writer::new().u8(12).u32(1).string(&blob).string("a comment").finish();
    let known = agent::identities(&good).unwrap();
    assert_eq!(known, [Identity { blob, comment: b"a comment".to_vec() }]);
    assert_eq!(known[0].key_type(), "ssh-ed25519");
    for end in 0..good.len() {
        assert!(matches!(agent::identities(&good[..end]), Err(Error::Protocol(_))), "{end}");
    }
    let signed = Writer::new().u8(14).string("signature").finish();
    assert_eq!(agent::signature(&signed).unwrap(), b"signature");
    for end in 0..signed.len() {
        assert!(matches!(agent::signature(&signed[..end]), Err(Error::Protocol(_))), "{end}");
    }
    for reply in [&good, &signed] {
        let longer = [reply.as_slice(), &[0]].concat();
        assert!(agent::identities(&longer).is_err() && agent::signature(&longer).is_err());
    }
    for count in [2, 2048, 2049, u32::MAX] {
        let reply = Writer::new().u8(12).u32(count).string("x").string("").finish();
        assert!(matches!(agent::identities(&reply), Err(Error::Protocol(_))), "{count}");
    }
    for reply in [&[][..], &[0], &[6, 0], &[12], &[14], &[30], &[255, 1, 2]] {
        assert!(matches!(agent::done(reply), Err(Error::Protocol(_))), "{reply:?}");
    }
    for refusal in [&[5][..], &[28], &[5, 1, 2, 3]] {
        assert!(matches!(agent::identities(refusal), Err(Error::RequestDenied(_))), "{refusal:?}");
        assert!(matches!(agent::signature(refusal), Err(Error::RequestDenied(_))), "{refusal:?}");
    }
    let odd = Identity { blob: vec![0, 0, 0, 9, 1], comment: Vec::new() };
    assert!(odd.public().is_err());
    assert_eq!(odd.key_type(), "");
    let unknown = Identity { blob: Writer::new().string("ssh-dss\n\x1b[0m").finish(), comment: Vec::new() };
    assert!(matches!(unknown.public(), Err(Error::KeyFormat(_) | Error::Unsupported(_))));
    assert!(!unknown.key_type().contains('\x1b'));
}
