use super::*;
use crate::error::NegotiationFailure;

fn failure(edit: (AlgorithmKind, &str), server_edit: &str) -> Box<NegotiationFailure> {
    let (mut client, mut server) = (quick(Role::Client), quick(Role::Server));
    server.host_keys = host_keys().to_vec();
    client.algorithms.set(edit.0, edit.1).unwrap();
    server.algorithms.set(edit.0, server_edit).unwrap();
    let mut pair = Pair::new(client, server);
    match pair.run() {
        Err(Error::Negotiation(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_name_the_category_and_both_lists() {
    for (kind, client, server, category) in [
        (AlgorithmKind::Kex, "ecdh-sha2-nistp256", "ecdh-sha2-nistp384,ecdh-sha2-nistp521", "key exchange method"),
        (AlgorithmKind::HostKey, "ssh-ed25519", "rsa-sha2-512", "host key algorithm"),
        (AlgorithmKind::Cipher, "aes128-ctr", "aes256-ctr", "cipher from client to server"),
    ] {
        let failure = failure((kind, client), server);
        assert_eq!(failure.category, category);
        // The server noticed first.
        assert!(failure.ours.starts_with(server), "{failure:?}");
        assert!(failure.theirs.starts_with(client), "{failure:?}");
    }
}

#[test]
fn macs_matter_only_without_aead() {
    for (cipher, works) in
        [("aes128-ctr", false), ("aes128-gcm@openssh.com", true), ("chacha20-poly1305@openssh.com", true)]
    {
        let (mut client, mut server) = (quick(Role::Client), quick(Role::Server));
        client.algorithms.set(AlgorithmKind::Mac, "hmac-sha2-256").unwrap();
        server.algorithms.set(AlgorithmKind::Mac, "hmac-sha2-512").unwrap();
        client.algorithms.set(AlgorithmKind::Cipher, cipher).unwrap();
        let mut pair = Pair::new(client, server);
        match pair.run() {
            Ok(()) => assert!(works),
            Err(Error::Negotiation(failure)) => {
                assert!(!works);
                assert_eq!(failure.category, "MAC from client to server");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn client_order_decides() {
    let (mut client, mut server) = (quick(Role::Client), quick(Role::Server));
    client.algorithms.set(AlgorithmKind::Cipher, "aes256-ctr,aes128-ctr").unwrap();
    server.algorithms.set(AlgorithmKind::Cipher, "aes128-ctr,aes256-ctr").unwrap();
    let pair = Pair::new(client, server).connect();
    assert_eq!(pair.server.negotiated().unwrap().cipher_in, "aes256-ctr");
}

#[test]
fn markers_are_never_chosen() {
    for marker in ["ext-info-c", "ext-info-s", "kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com"] {
        for role in [Role::Client, Role::Server] {
            let with = |own: Role| {
                let mut config = quick(own);
                let only = if own == Role::Client { "ecdh-sha2-nistp256" } else { "ecdh-sha2-nistp384" };
                config.algorithms.set(AlgorithmKind::Kex, only).unwrap();
                let more_kex = (own == role).then_some(marker);
                transport_with(config, Hooks { more_kex, ..Hooks::default() })
            };
            let mut pair = Pair::of(with(Role::Client), with(Role::Server));
            assert!(matches!(pair.run(), Err(Error::Negotiation(_))));
        }
    }
}

#[test]
fn odd_lists_are_taken() {
    let peer_kexinit = |kex: &str, languages: &str| {
        let quick = quick(Role::Client);
        let cipher = quick.algorithms.get(AlgorithmKind::Cipher) + ",,";
        let mut writer = crate::wire::Writer::new().u8(20).raw([0; 16]).string(kex).string(",ssh-ed25519,");
        for list in [cipher.as_str(), cipher.as_str(), "", "", "none,", ",none", languages, ""] {
            writer = writer.string(list);
        }
        writer.boolean(false).u32(0).finish()
    };
    let long_name = "x".repeat(500);
    for (kex, languages) in [
        ("curve25519-sha256,", ""),
        (",,curve25519-sha256", "en,\u{e9}"),
        (&format!("{long_name},curve25519-sha256"), "i-default"),
    ] {
        let mut server = transport(quick(Role::Server));
        server.take_output();
        server.feed(b"SSH-2.0-odd\r\n", start()).unwrap();
        server.feed(&plain_packet(&peer_kexinit(kex, languages)), start()).unwrap();
        assert!(matches!(server.phase(), crate::wire::Phase::InitialMethod { expected: 30 }));
    }
}

#[test]
fn broken_kexinit_is_refused() {
    let whole = {
        let mut client = transport(quick(Role::Client));
        split_plain(&client.take_output()).1.remove(0)
    };
    let payload_end = whole.len() - whole[4] as usize;
    let payload = &whole[5..payload_end];
    for length in 1..payload.len() {
        let mut server = transport(quick(Role::Server));
        server.feed(b"SSH-2.0-odd\r\n", start()).unwrap();
        let outcome = server.feed(&plain_packet(&payload[..length]), start());
        assert!(matches!(outcome, Err(Error::Protocol(_))), "cut at {length}");
    }
    // Every announced length made huge: nothing is reserved, the message is just broken.
    for at in 17..payload.len() - 9 {
        let mut altered = payload.to_vec();
        altered[at..at + 4].copy_from_slice(&[0xff; 4]);
        let mut server = transport(quick(Role::Server));
        server.feed(b"SSH-2.0-odd\r\n", start()).unwrap();
        assert!(server.feed(&plain_packet(&altered), start()).is_err());
    }
}

#[test]
fn server_needs_a_fitting_host_key() {
    let mut config = quick(Role::Server);
    config.algorithms.set(AlgorithmKind::HostKey, "rsa-sha2-512").unwrap();
    let made = Transport::new(config, Box::new(TestRandom(1)), start());
    assert!(matches!(made.map(|_| ()), Err(Error::Argument(_))));
}

/// Each direction has its own lists: a server that wants something else towards the client gets it.
#[test]
fn directions_are_negotiated_apart() {
    let hooks = Hooks { downwards: Some(("aes256-ctr", "hmac-sha2-512")), ..Hooks::default() };
    let mut server = transport_with(quick(Role::Server), hooks);
    let output = server.take_output();
    let (line, packets) = split_plain(&output);
    let mut client = transport(quick(Role::Client));
    client.feed(&line, start()).unwrap();
    client.feed(&packets[0], start()).unwrap();
    // The client's keys exist only at the end: what it chose shows in what it would accept.
    let theirs = &server.hooks.last_kexinit[1..];
    let theirs = crate::wire::messages::KexInit::decode(theirs).unwrap();
    let config = quick(Role::Client);
    let proposal = super::super::negotiation::Proposal {
        role: Role::Client,
        algorithms: &config.algorithms,
        host_key: config.offered_host_keys(),
    };
    let choice = super::super::negotiation::negotiate(&proposal, &theirs).unwrap();
    assert_eq!(choice.cipher_in.name, "aes256-ctr");
    assert_eq!(choice.mac_in.map(|mac| mac.name), Some("hmac-sha2-512"));
    assert_eq!(choice.cipher_out.name, config.algorithms.cipher[0]);
    assert!(choice.mac_out.is_none());
}

/// RFC 4253 section 7.1: the failure says of which direction.
#[test]
fn failure_names_the_direction() {
    for (downwards, category) in
        [(("none", ""), "cipher from server to client"), (("aes128-ctr", "none"), "MAC from server to client")]
    {
        let hooks = Hooks { downwards: Some(downwards), ..Hooks::default() };
        let mut pair = Pair::of(transport_with(quick(Role::Client), hooks), transport(quick(Role::Server)));
        match pair.run() {
            Err(Error::Negotiation(failure)) => {
                assert_eq!(failure.category, category);
                assert_eq!(&*failure.theirs, if downwards.1.is_empty() { "none" } else { downwards.1 });
            }
            other => panic!("{other:?}"),
        }
    }
}
