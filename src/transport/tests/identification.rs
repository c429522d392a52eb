use super::*;

fn receive(role: Role, bytes: &[u8]) -> Result<Option<String>> {
    let whole = receive_in_pieces(role, bytes, usize::MAX);
    assert_eq!(whole, receive_in_pieces(role, bytes, 1));
    whole
}

fn receive_in_pieces(role: Role, bytes: &[u8], piece: usize) -> Result<Option<String>> {
    let mut transport = transport(quick(role));
    for part in bytes.chunks(piece.min(bytes.len()).max(1)) {
        transport.feed(part, start())?;
    }
    Ok(transport.remote_version().map(str::to_owned))
}

fn is_refused(role: Role, bytes: &[u8]) -> bool {
    matches!(receive(role, bytes), Err(Error::Protocol(_)))
}

#[test]
fn ours_goes_out_at_once_with_kexinit() {
    for role in [Role::Client, Role::Server] {
        let mut transport = transport(quick(role));
        let (line, packets) = split_plain(&transport.take_output());
        assert_eq!(line, format!("SSH-2.0-nacre_{}\r\n", env!("CARGO_PKG_VERSION")).as_bytes());
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0][5], 20);
    }
}

#[test]
fn both_versions_and_bare_lf_are_taken() {
    for line in ["SSH-2.0-x y z\r\n", "SSH-1.99-old\r\n", "SSH-2.0-dropbear\n", "SSH-2.0-\r\n"] {
        for role in [Role::Client, Role::Server] {
            let expected = line.trim_end().to_owned();
            assert_eq!(receive(role, line.as_bytes()), Ok(Some(expected)), "{line:?}");
        }
    }
}

#[test]
fn other_versions_are_refused() {
    for line in ["SSH-1.5-x\r\n", "SSH-2.1-x\r\n", "SSH-2.0x\r\n", "SSH-2.0\r\n", "SSH-\r\n"] {
        for role in [Role::Client, Role::Server] {
            assert!(is_refused(role, line.as_bytes()), "{line:?}");
        }
    }
}

#[test]
fn nul_and_cr_inside_are_refused() {
    for line in ["SSH-2.0-a\0b\r\n", "SSH-2.0-a\rb\r\n", "SSH-2.0-a\r\r\n", "SSH-2.0-\r"] {
        for role in [Role::Client, Role::Server] {
            let refused = is_refused(role, line.as_bytes());
            assert_eq!(refused, line.ends_with('\n'), "{line:?}");
        }
    }
    assert!(is_refused(Role::Client, b"hello\0\r\nSSH-2.0-x\r\n"));
    assert!(is_refused(Role::Client, b"hel\rlo\r\nSSH-2.0-x\r\n"));
}

#[test]
fn identification_has_at_most_255_bytes() {
    let line = |length: usize| {
        let mut line = b"SSH-2.0-".to_vec();
        line.resize(length - 2, b'v');
        line.extend_from_slice(b"\r\n");
        line
    };
    for role in [Role::Client, Role::Server] {
        assert!(receive(role, &line(255)).is_ok_and(|version| version.is_some()));
        assert!(is_refused(role, &line(256)));
        assert!(is_refused(role, &line(256)[..256]));
    }
}

#[test]
fn client_takes_bounded_lines_before_it() {
    let with = |lines: &[u8]| [lines, b"SSH-2.0-x\r\n"].concat();
    assert!(receive(Role::Client, &with(b"hello\r\n\r\nSSHello\r\n")).is_ok_and(|version| version.is_some()));
    assert!(receive(Role::Client, &with(&b"a\n".repeat(1024))).is_ok_and(|version| version.is_some()));
    assert!(is_refused(Role::Client, &with(&b"a\n".repeat(1025))));
    let longest = [vec![b'a'; 8191], vec![b'\n']].concat();
    assert!(receive(Role::Client, &with(&longest)).is_ok_and(|version| version.is_some()));
    assert!(receive(Role::Client, &with(&longest.repeat(8))).is_ok_and(|version| version.is_some()));
    assert!(is_refused(Role::Client, &with(&longest.repeat(9))));
    assert!(is_refused(Role::Client, &[&b"a"[..], &longest].concat()));
    assert!(is_refused(Role::Client, &vec![b'a'; 8193]));
}

#[test]
fn server_takes_no_line_before_it() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"G", b"\r\n", b"SSX", b"\x16\x03\x01"] {
        assert!(is_refused(Role::Server, bytes), "{bytes:?}");
    }
}

#[test]
fn endless_line_ends_early() {
    let mut transport = transport(quick(Role::Client));
    let mut fed = 0;
    while transport.feed(&[b'x'; 1000], start()).is_ok() {
        fed += 1000;
        assert!(fed <= 8192);
    }
}

#[test]
fn own_line_is_checked() {
    for (version, comment) in
        [("", None), ("a b", None), ("a-b", None), ("a\n", None), ("a", Some("b\r\n")), ("é", None)]
    {
        let mut config = quick(Role::Client);
        config.software_version = version.into();
        config.version_comment = comment.map(str::to_owned);
        let made = Transport::new(config, Box::new(TestRandom(1)), start());
        assert!(matches!(made.map(|_| ()), Err(Error::Argument(_))), "{version:?} {comment:?}");
    }
    let made = |length: usize| {
        let mut config = quick(Role::Client);
        config.version_comment = Some("c".repeat(length - "SSH-2.0- \r\n".len() - config.software_version.len()));
        Transport::new(config, Box::new(TestRandom(1)), start()).map(|transport| transport.output().len())
    };
    assert!(made(255).is_ok());
    assert!(made(256).is_err());
}

#[test]
fn escape_sequences_are_cleaned() {
    let version = receive(Role::Client, b"SSH-2.0-a\x1b[31mb\r\n");
    assert_eq!(version, Ok(Some("SSH-2.0-a?[31mb".into())));
}
