use super::*;
use crate::error::{
    AuthFailure, Disconnect, KeyFormatFailure, NegotiationFailure, OpenFailure, SftpFailure, SystemFailure,
};

const ESCAPES: &str = "\x1b[2J\x1b]0;title\x07 \u{9b}31m\r\nnext\0\u{202e}last";

/// Every variant, with what a peer or a file may have brought in each of its texts.
fn every_variant() -> Vec<Error> {
    let text = || Box::<str>::from(ESCAPES);
    let system = || Box::new(SystemFailure { text: text(), errno: 5, address: Some(text()) });
    let auth = || Box::new(AuthFailure { text: text(), methods: text() });
    vec![
        Error::Again,
        Error::Timeout(text()),
        Error::Eof,
        Error::Closed(text()),
        Error::Cancelled,
        Error::Interrupted,
        Error::Forked,
        Error::Argument(text()),
        Error::Buffer,
        Error::State(text()),
        Error::Resolve(text()),
        Error::Connect(system()),
        Error::Io(system()),
        Error::Callback(text()),
        Error::Protocol(text()),
        Error::Integrity(text()),
        Error::Negotiation(Box::new(NegotiationFailure { category: "cipher", ours: text(), theirs: text() })),
        Error::host_key(HostKeyVerdict::Changed, ESCAPES),
        Error::AuthFailed(auth()),
        Error::AuthMethod(auth()),
        Error::AuthPartial(auth()),
        Error::ChannelRefused(Box::new(OpenFailure { code: 1, description: text() })),
        Error::RequestDenied(text()),
        Error::Algorithm(text()),
        Error::KeyFormat(Box::new(KeyFormatFailure { text: text(), line: 3 })),
        Error::Passphrase(text()),
        Error::NotFound(text()),
        Error::Permission(text()),
        Error::Sftp(Box::new(SftpFailure { code: 4, text: text() })),
        Error::Unsupported(text()),
        Error::Disconnected(Box::new(Disconnect { code: 2, description: text(), by_peer: true })),
        Error::Limit(text()),
        Error::Gssapi(text()),
        Error::NoMemory,
        Error::Internal(text()),
    ]
}

type Getter = unsafe extern "C" fn(*const nacre_error, *mut c_char, usize, *mut usize) -> nacre_status;

const GETTERS: [(&str, Getter); 8] = [
    ("text", nacre_error_text),
    ("category", nacre_error_category),
    ("local_list", nacre_error_local_list),
    ("remote_list", nacre_error_remote_list),
    ("auth_methods", nacre_error_auth_methods),
    ("open_text", nacre_error_open_text),
    ("disconnect_text", nacre_error_disconnect_text),
    ("address", nacre_error_address),
];

#[test]
fn no_text_of_any_error_brings_an_escape_sequence() {
    let all = every_variant();
    let mut statuses: Vec<_> = all.iter().map(std::mem::discriminant).collect();
    statuses.dedup();
    // The numbers of the statuses but OK, and Integrity, which has that of Protocol.
    assert_eq!(statuses.len(), 35);
    for error in all {
        let shown = format!("{error:?}");
        let handle: *mut nacre_error = give(Arc::new(error));
        let mut given = 0;
        for (name, getter) in GETTERS {
            let mut buf = [0 as c_char; 1024];
            let mut needed = 0;
            // SAFETY: the handle is owned here, and so many bytes may be written.
            if unsafe { getter(handle, buf.as_mut_ptr(), buf.len(), &raw mut needed) } != 0 {
                continue;
            }
            given += 1;
            let bytes: Vec<u8> = buf.iter().take(needed - 1).map(|c| c.to_ne_bytes()[0]).collect();
            let text = String::from_utf8(bytes).unwrap();
            let bad = |c: char| c.is_control() || c == '\u{202e}';
            assert!(!text.contains(bad), "{name} of {shown}: {text:?}");
            assert!(!text.is_empty(), "{name} of {shown}");
        }
        assert!(given > 0, "{shown}");
        // SAFETY: its last use.
        unsafe { nacre_error_free(handle) };
    }
    // None of the exported getters of texts was forgotten.
    let exported = include_str!("../error.rs")
        .matches("buf: *mut c_char,\n    cap: usize,\n    needed: *mut usize,\n) -> nacre_status {")
        .count();
    assert_eq!(exported, GETTERS.len() + 1, "and the one that they share");
}
