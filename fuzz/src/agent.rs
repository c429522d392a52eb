//! What an agent answers, in pieces of any size.

use crate::input::Input;
use bytes::BytesMut;
use nacre::error::Error;
use nacre::keys::agent;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut received = BytesMut::new();
    while !input.is_empty() {
        received.extend_from_slice(input.bytes(40_000));
        loop {
            match agent::next_reply(&mut received) {
                Ok(Some(reply)) => taken(&reply),
                Ok(None) => break,
                // The connection is over.
                Err(error) => return assert!(matches!(error, Error::Protocol(_)), "{error}"),
            }
        }
        assert!(received.len() <= 4 + agent::LONGEST_MESSAGE, "it waits for ever");
    }
}

/// Whatever it is: at most one of the readers takes it, and nothing is made of it that was not in it.
fn taken(reply: &[u8]) {
    assert!(!reply.is_empty() && reply.len() <= agent::LONGEST_MESSAGE);
    let (done, identities, signature) = (agent::done(reply), agent::identities(reply), agent::signature(reply));
    let outcomes = [done.is_ok(), identities.is_ok(), signature.is_ok()];
    assert!(outcomes.iter().filter(|ok| **ok).count() <= 1);
    for error in [done.err(), identities.as_ref().err().cloned(), signature.as_ref().err().cloned()] {
        assert!(matches!(error, None | Some(Error::Protocol(_) | Error::RequestDenied(_))), "{error:?}");
    }
    if let Ok(identities) = identities {
        let held: usize = identities.iter().map(|it| it.blob.len() + it.comment.len() + 8).sum();
        assert_eq!(held + 5, reply.len());
        for identity in identities {
            assert!(identity.key_type().len() <= 64 * 4);
            if let Ok(key) = identity.public() {
                assert_eq!(key.blob(), identity.blob);
            }
        }
    }
    if let Ok(signature) = signature {
        assert_eq!(signature.len() + 5, reply.len());
    }
}
