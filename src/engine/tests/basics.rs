use std::sync::Arc;

use super::support::*;
use crate::engine::*;
use crate::error::Error;
use crate::session::{Exit, HostKeyPolicy, Stream};

#[test]
fn login_and_a_command() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        assert!(pair.client.is_authenticated());
        assert_eq!(pair.client.username().unwrap(), b"user");
        let (near, far) = pair.channel();
        let data = string(b"cat");
        near.request("exec", &data, true, LONG, false).result.unwrap();
        assert!(pair.server.accept(Timeout::NONE).is_err(), "a request is no opening");
        let (count, result) = near.write_all(Stream::Data, b"hello", LONG);
        result.unwrap();
        assert_eq!(count, 5);
        near.send_eof().unwrap();
        assert_eq!(read_all(&far).unwrap(), b"hello");
        let (_, result) = far.write_all(Stream::Data, b"HELLO", LONG);
        result.unwrap();
        far.finish(7).unwrap();
        assert_eq!(read_all(&near).unwrap(), b"HELLO");
        assert_eq!(near.wait_exit(LONG).unwrap(), Exit::Status(7));
        near.release();
        far.release();
    });
}

#[test]
fn a_refused_command_and_a_refused_password() {
    in_both_modes(|threads| {
        let pair = Pair::usual(threads);
        let (near, far) = pair.channel();
        let denied = near.request("exec", &string(b"no"), true, LONG, true);
        assert!(matches!(denied.result, Err(Error::RequestDenied(_))), "{:?}", denied.result);
        assert!(matches!(near.take_error(denied.op).unwrap(), Some(Error::RequestDenied(_))));
        assert!(near.take_error(denied.op).unwrap().is_none());
        near.release();
        far.release();

        let pair = Pair::started(threads, Arc::new(Host::default()));
        let mut options = secret();
        options.password = Some(zeroize::Zeroizing::new(b"wrong".to_vec()));
        let refused = pair.client.connect(options, LONG, false).result;
        assert!(matches!(refused, Err(Error::AuthFailed(_))), "{refused:?}");
        let none = ConnectOptions { policy: HostKeyPolicy::Unset, ..ConnectOptions::default() };
        let pair = Pair::unstarted(threads, Arc::new(Host::default()));
        assert!(matches!(pair.client.connect(none, LONG, false).result, Err(Error::Argument(_))));
    });
}
