//! THE message table: in which phase, and to which role, each message number is legal.
//! Nothing that is out of place gets past it (Terrapin and every "message before
//! authentication" fault are one missing row somewhere).

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// Where a connection stands, as far as the legality of a received message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The first KEXINIT has not arrived.
    InitialKexInit,
    /// The first key exchange runs: exactly this number of the method is next.
    InitialMethod {
        expected: u8,
    },
    InitialNewKeys,
    /// Keyed; no service was accepted yet.
    NoService,
    /// User authentication, and nothing of ours (client: request, server: prompt) is unanswered.
    Auth,
    /// User authentication, and the peer owes an answer.
    AuthAwaiting,
    Connected,
    /// A later key exchange, the peer's KEXINIT seen.
    RekeyMethod {
        expected: u8,
    },
    RekeyNewKeys,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legality {
    Accept,
    /// Legal, and of no consequence.
    Ignore,
    /// Answered with UNIMPLEMENTED; the connection goes on.
    Unimplemented,
    /// The connection ends.
    Fatal,
}

/// One row. The letters stand for the phases in the order of [`Phase`]:
/// `A` accept, `I` ignore, `U` unimplemented, `X` fatal, `K` accept if it is the method's next number,
/// `s` ignore, but fatal in a strict key exchange, `u` unimplemented, but fatal in a strict key exchange.
struct Row {
    number: u8,
    name: &'static str,
    server: &'static [u8; 9],
    client: &'static [u8; 9],
}

const fn row(number: u8, name: &'static str, server: &'static [u8; 9], client: &'static [u8; 9]) -> Row {
    Row { number, name, server, client }
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                                          server receives  client receives
    //                                          kex---auth-cn-r  kex---auth-cn-r
    row(1,   "DISCONNECT",                   b"AAAAAAAAA", b"AAAAAAAAA"),
    row(2,   "IGNORE",                       b"sssIIIIII", b"sssIIIIII"),
    row(3,   "UNIMPLEMENTED",                b"sssAAAAAA", b"sssAAAAAA"),
    row(4,   "DEBUG",                        b"sssAAAAAA", b"sssAAAAAA"),
    // Paramiko asks for the service again before every method.
    row(5,   "SERVICE_REQUEST",              b"XXXAAAUXX", b"XXXXXXXXX"),
    row(6,   "SERVICE_ACCEPT",               b"XXXXXXUXX", b"XXXAAAUXX"),
    row(7,   "EXT_INFO",                     b"XXXAXXUXX", b"XXXAAAIXX"),
    // OpenSSH's server refuses to rekey before authentication; its client never asks.
    row(20,  "KEXINIT",                      b"AXXUUUAXX", b"AXXXXXAXX"),
    row(21,  "NEWKEYS",                      b"XXAXXXXXA", b"XXAXXXXXA"),
    row(30,  "KEX_30",                       b"XKXXXXXKX", b"XKXXXXXKX"),
    row(31,  "KEX_31",                       b"XKXXXXXKX", b"XKXXXXXKX"),
    row(32,  "KEX_32",                       b"XKXXXXXKX", b"XKXXXXXKX"),
    row(33,  "KEX_33",                       b"XKXXXXXKX", b"XKXXXXXKX"),
    row(34,  "KEX_34",                       b"XKXXXXXKX", b"XKXXXXXKX"),
    // After success requests are ignored silently (RFC 4252 section 5.1).
    row(50,  "USERAUTH_REQUEST",             b"XXXXAAIXX", b"XXXXXXXXX"),
    row(51,  "USERAUTH_FAILURE",             b"XXXXXXXXX", b"XXXXXAXXX"),
    row(52,  "USERAUTH_SUCCESS",             b"XXXXXXUXX", b"XXXXXAXXX"),
    row(53,  "USERAUTH_BANNER",              b"XXXXXXXXX", b"XXXXAAIXX"),
    row(60,  "USERAUTH_60",                  b"XXXXXXXXX", b"XXXXXAXXX"),
    row(61,  "USERAUTH_61",                  b"XXXXXAXXX", b"XXXXXXXXX"),
    row(80,  "GLOBAL_REQUEST",               b"XXXXXXAXX", b"XXXXXXAXX"),
    row(81,  "REQUEST_SUCCESS",              b"XXXXXXAXX", b"XXXXXXAXX"),
    row(82,  "REQUEST_FAILURE",              b"XXXXXXAXX", b"XXXXXXAXX"),
    row(90,  "CHANNEL_OPEN",                 b"XXXXXXAXX", b"XXXXXXAXX"),
    row(91,  "CHANNEL_OPEN_CONFIRMATION",    b"XXXXXXAXX", b"XXXXXXAXX"),
    row(92,  "CHANNEL_OPEN_FAILURE",         b"XXXXXXAXX", b"XXXXXXAXX"),
    row(93,  "CHANNEL_WINDOW_ADJUST",        b"XXXXXXAXX", b"XXXXXXAXX"),
    row(94,  "CHANNEL_DATA",                 b"XXXXXXAXX", b"XXXXXXAXX"),
    row(95,  "CHANNEL_EXTENDED_DATA",        b"XXXXXXAXX", b"XXXXXXAXX"),
    row(96,  "CHANNEL_EOF",                  b"XXXXXXAXX", b"XXXXXXAXX"),
    row(97,  "CHANNEL_CLOSE",                b"XXXXXXAXX", b"XXXXXXAXX"),
    row(98,  "CHANNEL_REQUEST",              b"XXXXXXAXX", b"XXXXXXAXX"),
    row(99,  "CHANNEL_SUCCESS",              b"XXXXXXAXX", b"XXXXXXAXX"),
    row(100, "CHANNEL_FAILURE",              b"XXXXXXAXX", b"XXXXXXAXX"),
    // Answered only when connected: before, an answer would let strangers fill our buffers.
    row(192, "PING",                         b"sssIIIAII", b"sssIIIAII"),
    row(193, "PONG",                         b"sssIIIAII", b"sssIIIAII"),
];

/// Numbers that no row names: below 50 (transport), below 80 (authentication), and above.
const UNKNOWN_TRANSPORT: &[u8; 9] = b"uuuUUUUUU";
const UNKNOWN_AUTH: &[u8; 9] = b"XXXXUUUXX";
const UNKNOWN_CONNECTION: &[u8; 9] = b"XXXXXXUXX";
const UNKNOWN_LOCAL: &[u8; 9] = b"uuuUUUUXX";

/// Message number to position in `TABLE`, counted from 1; 0 where no row names the number. Every
/// received packet is looked up here.
static ROW_OF: [u8; 256] = index_rows();

const fn index_rows() -> [u8; 256] {
    let mut index = [0; 256];
    let mut at = 0;
    while at < TABLE.len() {
        index[TABLE[at].number as usize] = at as u8 + 1;
        at += 1;
    }
    index
}

fn find(number: u8) -> Option<&'static Row> {
    let position = *ROW_OF.get(usize::from(number))?;
    TABLE.get(usize::from(position).checked_sub(1)?)
}

impl Phase {
    fn column(self) -> usize {
        match self {
            Self::InitialKexInit => 0,
            Self::InitialMethod { .. } => 1,
            Self::InitialNewKeys => 2,
            Self::NoService => 3,
            Self::Auth => 4,
            Self::AuthAwaiting => 5,
            Self::Connected => 6,
            Self::RekeyMethod { .. } => 7,
            Self::RekeyNewKeys => 8,
        }
    }

    fn expects(self, number: u8) -> bool {
        matches!(self, Self::InitialMethod { expected } | Self::RekeyMethod { expected } if expected == number)
    }
}

/// What is to be done with a received message of this number. `strict`: both sides sent the strict
/// key exchange markers; it bears on the initial exchange only.
pub fn legality(number: u8, role: Role, phase: Phase, strict: bool) -> Legality {
    let letters = match find(number) {
        Some(row) if role == Role::Server => row.server,
        Some(row) => row.client,
        None if number < 50 => UNKNOWN_TRANSPORT,
        None if number < 80 => UNKNOWN_AUTH,
        None if number < 192 => UNKNOWN_CONNECTION,
        None => UNKNOWN_LOCAL,
    };
    match letters.get(phase.column()).copied() {
        Some(b'A') => Legality::Accept,
        Some(b'I') => Legality::Ignore,
        Some(b'U') => Legality::Unimplemented,
        Some(b'K') if phase.expects(number) => Legality::Accept,
        Some(b's') if !strict => Legality::Ignore,
        Some(b'u') if !strict => Legality::Unimplemented,
        _ => Legality::Fatal,
    }
}

/// The name of a message number, for errors and logs.
pub fn name(number: u8) -> &'static str {
    find(number).map_or("unknown message", |row| row.name)
}
