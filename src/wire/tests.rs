use super::*;
use messages::{Message, message};
use proptest::prelude::*;

#[test]
fn mpint_is_minimal_both_ways() {
    for (magnitude, encoded) in [
        (&b""[..], &b"\0\0\0\0"[..]),
        (b"\0\0", b"\0\0\0\0"),
        (b"\x80", b"\0\0\0\x02\0\x80"),
        (b"\0\x7f", b"\0\0\0\x01\x7f"),
    ] {
        let mut out = Vec::new();
        put_mpint(&mut out, magnitude);
        assert_eq!(out, encoded);
    }
}

#[test]
fn mpint_of_a_peer_must_be_minimal_and_not_negative() {
    for refused in [&b"\0\0\0\x01\0"[..], b"\0\0\0\x02\0\x7f", b"\0\0\0\x01\x80", b"\0\0\0\x02\x01"] {
        assert!(Reader::new(refused).mpint().is_err(), "{refused:?}");
    }
}

#[test]
fn name_lists() {
    let names = |bytes| NameList::parse(bytes).map(|list: NameList<'_>| list.names().collect::<Vec<_>>());
    assert_eq!(names(b"").unwrap(), Vec::<&str>::new());
    assert_eq!(names(b"a").unwrap(), ["a"]);
    // Real peers send these.
    assert_eq!(names(b"a,,b,").unwrap(), ["a", "b"]);
    let long = "x".repeat(65);
    assert_eq!(names(long.as_bytes()).unwrap(), [long.as_str()]);
    for refused in [&b"a b"[..], b"a\0", b"\xc3\xa9", b"a\n", b"\x7f"] {
        assert!(names(refused).is_err(), "{refused:?}");
    }
    assert!(NameList::from_text("a,b").contains("b"));
    assert!(!NameList::from_text("ab").contains("b"));
    assert_eq!(NameList::from_text(",b").first(), Some("b"));
    assert!(check_name("curve25519-sha256@libssh.org").is_ok());
    for refused in ["", "a,b", "a b", "é", long.as_str()] {
        assert!(check_name(refused).is_err(), "{refused}");
    }
}

#[test]
fn put_name_list_joins() {
    let mut out = Vec::new();
    put_name_list(&mut out, ["a", "bc"]);
    put_name_list(&mut out, []);
    assert_eq!(out, b"\0\0\0\x04a,bc\0\0\0\0");
}

#[test]
fn peer_text_is_cleaned() {
    assert_eq!(clean(b"a\x1b[2Jb\r\n", 64), "a?[2Jb");
    assert_eq!(clean(b"\xff\xfe", 64), "??");
    assert_eq!(clean("abcdef".as_bytes(), 3), "abc…");
    assert_eq!(clean("a\u{202e}b".as_bytes(), 9), "a?b");
}

#[test]
fn booleans_are_true_for_every_value_but_zero() {
    assert!(Reader::new(&[7]).boolean().unwrap());
    assert!(!Reader::new(&[0]).boolean().unwrap());
}

/// What messages are filled with.
#[derive(Debug, Clone)]
struct Fill {
    a: Vec<u8>,
    b: Vec<u8>,
    c: Vec<u8>,
    name: String,
    list: String,
    x: u32,
    y: u32,
    z: u32,
    flag: bool,
    cookie: [u8; 16],
}

fn fill() -> impl Strategy<Value = Fill> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<bool>(), any::<[u8; 16]>());
    ((bytes(), bytes(), bytes(), "[ -~]{0,20}", "[a-z0-9@,-]{0,30}"), numbers).prop_map(
        |((a, b, c, name, list), (x, y, z, flag, cookie))| Fill { a, b, c, name, list, x, y, z, flag, cookie },
    )
}

/// Every message once.
#[rustfmt::skip]
fn all_messages(f: &Fill) -> Vec<Message<'_>> {
    let (a, b, c, name, list) = (f.a.as_slice(), f.b.as_slice(), f.c.as_slice(), f.name.as_str(), NameList::from_text(&f.list));
    vec![
        message!(Disconnect { reason: f.x, description: a, language: b }),
        message!(Ignore { data: a }),
        message!(Unimplemented { sequence_number: f.x }),
        message!(Debug { always_display: f.flag, rest: Rest(a) }),
        message!(ServiceRequest { name: name }),
        message!(ServiceAccept { rest: Rest(a) }),
        message!(ExtInfo { count: f.x, extensions: Rest(a) }),
        message!(KexInit {
            cookie: f.cookie, kex_algorithms: list, server_host_key_algorithms: list, encryption_client_to_server: list,
            encryption_server_to_client: list, mac_client_to_server: list, mac_server_to_client: list,
            compression_client_to_server: list, compression_server_to_client: list,
            languages_client_to_server: a, languages_server_to_client: b, first_kex_packet_follows: f.flag, reserved: f.x,
        }),
        message!(NewKeys {}),
        message!(KexEcdhInit { client_public: a }),
        message!(KexEcdhReply { host_key: a, server_public: b, signature: c }),
        message!(KexGexGroup { prime: a, generator: b }),
        message!(KexGexInit { client_public: a }),
        message!(KexGexReply { host_key: a, server_public: b, signature: c }),
        message!(KexGexRequest { minimum: f.x, preferred: f.y, maximum: f.z }),
        message!(UserauthRequest { user: a, service: name, method: name, fields: Rest(b) }),
        message!(UserauthFailure { methods: list, partial_success: f.flag }),
        message!(UserauthSuccess {}),
        message!(UserauthBanner { message: a, rest: Rest(b) }),
        message!(UserauthReply { fields: Rest(a) }),
        message!(UserauthInfoResponse { count: f.x, responses: Rest(a) }),
        message!(GlobalRequest { name: name, want_reply: f.flag, data: Rest(a) }),
        message!(RequestSuccess { data: Rest(a) }),
        message!(RequestFailure {}),
        message!(ChannelOpen { kind: name, sender_channel: f.x, initial_window: f.y, maximum_packet: f.z, data: Rest(a) }),
        message!(ChannelOpenConfirmation { recipient_channel: f.x, sender_channel: f.y, initial_window: f.z, maximum_packet: f.x, data: Rest(a) }),
        message!(ChannelOpenFailure { recipient_channel: f.x, reason: f.y, description: a, rest: Rest(b) }),
        message!(ChannelWindowAdjust { recipient_channel: f.x, bytes_to_add: f.y }),
        message!(ChannelData { recipient_channel: f.x, data: a }),
        message!(ChannelExtendedData { recipient_channel: f.x, data_type: f.y, data: a }),
        message!(ChannelEof { recipient_channel: f.x }),
        message!(ChannelClose { recipient_channel: f.x }),
        message!(ChannelRequest { recipient_channel: f.x, name: name, want_reply: f.flag, data: Rest(a) }),
        message!(ChannelSuccess { recipient_channel: f.x }),
        message!(ChannelFailure { recipient_channel: f.x }),
        message!(Ping { data: a }),
        message!(Pong { data: a }),
    ]
}

/// How many bytes at the end of a message belong to a field that may be of any length.
fn open_end(message: &Message<'_>) -> usize {
    match message {
        Message::Debug(m) => m.rest.0.len(),
        Message::ServiceAccept(m) => m.rest.0.len(),
        Message::ExtInfo(m) => m.extensions.0.len(),
        Message::UserauthRequest(m) => m.fields.0.len(),
        Message::UserauthBanner(m) => m.rest.0.len(),
        Message::UserauthReply(m) => m.fields.0.len(),
        Message::UserauthInfoResponse(m) => m.responses.0.len(),
        Message::GlobalRequest(m) => m.data.0.len(),
        Message::RequestSuccess(m) => m.data.0.len(),
        Message::ChannelOpen(m) => m.data.0.len(),
        Message::ChannelOpenConfirmation(m) => m.data.0.len(),
        Message::ChannelOpenFailure(m) => m.rest.0.len(),
        Message::ChannelRequest(m) => m.data.0.len(),
        _ => 0,
    }
}

fn has_open_end(message: &Message<'_>) -> bool {
    use Message as M;
    matches!(message, M::Debug(_) | M::ServiceAccept(_) | M::ExtInfo(_) | M::UserauthRequest(_) | M::UserauthBanner(_))
        || matches!(message, M::UserauthReply(_) | M::UserauthInfoResponse(_) | M::GlobalRequest(_))
        || matches!(message, M::RequestSuccess(_) | M::ChannelOpen(_) | M::ChannelOpenConfirmation(_))
        || matches!(message, M::ChannelOpenFailure(_) | M::ChannelRequest(_))
}

macro_rules! decoders {
    ($($name:ident)*) => {
        /// Decodes as the type that `like` is of.
        fn decode_like<'a>(like: &Message<'_>, payload: &'a [u8]) -> crate::error::Result<Message<'a>> {
            match like { $( Message::$name(_) => messages::$name::decode(payload).map(Message::$name), )* }
        }
        fn decode_as_everything(payload: &[u8]) {
            $( let _ = messages::$name::decode(payload); )*
        }
    };
}
decoders! {
    Disconnect Ignore Unimplemented Debug ServiceRequest ServiceAccept ExtInfo KexInit NewKeys KexEcdhInit KexEcdhReply
    KexGexGroup KexGexInit KexGexReply KexGexRequest
    UserauthRequest UserauthFailure UserauthSuccess UserauthBanner UserauthReply UserauthInfoResponse GlobalRequest
    RequestSuccess RequestFailure ChannelOpen ChannelOpenConfirmation ChannelOpenFailure ChannelWindowAdjust ChannelData
    ChannelExtendedData ChannelEof ChannelClose ChannelRequest ChannelSuccess ChannelFailure Ping Pong
}

proptest! {
    #[test]
    fn every_message_decodes_to_itself(f in fill()) {
        for message in all_messages(&f) {
            let mut out = Vec::new();
            message.encode(&mut out);
            prop_assert_eq!(message.length(), out.len());
            prop_assert_eq!(out[0], message.number());
            prop_assert_eq!(decode_like(&message, &out[1..]).unwrap(), message);
        }
    }

    #[test]
    fn every_cut_or_longer_message_is_an_error(f in fill()) {
        for message in all_messages(&f) {
            let mut out = Vec::new();
            message.encode(&mut out);
            let needed = out.len() - open_end(&message);
            for end in 1..needed {
                prop_assert!(decode_like(&message, &out[1..end]).is_err(), "{:?} cut to {}", message, end);
            }
            out.push(0);
            prop_assert_eq!(decode_like(&message, &out[1..]).is_ok(), has_open_end(&message));
        }
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode_as_everything(&bytes);
        let mut reader = Reader::new(&bytes);
        while reader.remaining() > 0 && reader.mpint().is_ok() {}
        let _ = clean(&bytes, 20);
    }

    #[test]
    fn lengths_beyond_the_message_are_errors(length in 5u32.., tail in proptest::collection::vec(any::<u8>(), 0..4)) {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(tail);
        prop_assert!(Reader::new(&bytes).string().is_err());
        decode_as_everything(&bytes);
    }
}
