//! Every message: number, struct, and both directions together.

use super::{Field, NameList, Reader, Rest};
use crate::error::{Error, Result};

macro_rules! messages {
    ($( $(#[$doc:meta])* $number:literal $name:ident { $( $field:ident : $type:ty ),* $(,)? } )*) => {
        /// One message of the protocol, borrowed from the packet that carries it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Message<'a> { $( $name($name<'a>), )* }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct $name<'a> { $( pub $field: $type, )* pub phantom: std::marker::PhantomData<&'a ()> }

            impl<'a> $name<'a> {
                pub const NUMBER: u8 = $number;

                /// Decodes the fields after the message number.
                pub fn decode(payload: &'a [u8]) -> Result<Self> {
                    #[allow(unused_mut)]
                    let mut reader = Reader::new(payload);
                    $( let $field = <$type as Field<'a>>::read(&mut reader)?; )*
                    reader.finish().map_err(|_| Error::protocol(concat!(stringify!($name), " has bytes after its last field")))?;
                    Ok(Self { $( $field, )* phantom: std::marker::PhantomData })
                }
            }

            impl<'a> From<$name<'a>> for Message<'a> {
                fn from(message: $name<'a>) -> Self { Self::$name(message) }
            }
        )*

        /// Name, number and decoder of each message: two may share a number.
        #[cfg(feature = "fuzzing")]
        pub const DECODERS: &[(&str, u8, fn(&[u8]) -> Result<Message<'_>>)] =
            &[ $( (stringify!($name), $number, |payload| $name::decode(payload).map(Message::$name)), )* ];

        impl<'a> Message<'a> {
            pub fn number(&self) -> u8 {
                match self { $( Self::$name(_) => $number, )* }
            }

            /// How many bytes `encode` appends.
            pub fn length(&self) -> usize {
                match self { $( Self::$name(_message) => 1 $( + Field::length(&_message.$field) )*, )* }
            }

            /// Appends the message, number first.
            pub fn encode(&self, out: &mut Vec<u8>) {
                out.push(self.number());
                match self { $( Self::$name(_message) => { $( Field::write(&_message.$field, out); )* } )* }
            }
        }
    };
}

/// Builds a message: `message!(ChannelEof { recipient_channel: 3 })`.
#[macro_export]
#[doc(hidden)]
macro_rules! message {
    ($name:ident { $( $field:ident : $value:expr ),* $(,)? }) => {
        $crate::wire::Message::$name($crate::wire::messages::$name { $( $field: $value, )* phantom: std::marker::PhantomData })
    };
}
pub use crate::message;

messages! {
    1 Disconnect { reason: u32, description: &'a [u8], language: &'a [u8] }
    2 Ignore { data: &'a [u8] }
    3 Unimplemented { sequence_number: u32 }
    /// `rest`: message text and language tag, which real peers leave out.
    4 Debug { always_display: bool, rest: Rest<'a> }
    5 ServiceRequest { name: &'a str }
    6 ServiceAccept { rest: Rest<'a> }
    /// `extensions`: `count` pairs of strings (RFC 8308 section 2.3).
    7 ExtInfo { count: u32, extensions: Rest<'a> }
    20 KexInit {
        cookie: [u8; 16],
        kex_algorithms: NameList<'a>,
        server_host_key_algorithms: NameList<'a>,
        encryption_client_to_server: NameList<'a>,
        encryption_server_to_client: NameList<'a>,
        mac_client_to_server: NameList<'a>,
        mac_server_to_client: NameList<'a>,
        compression_client_to_server: NameList<'a>,
        compression_server_to_client: NameList<'a>,
        languages_client_to_server: &'a [u8],
        languages_server_to_client: &'a [u8],
        first_kex_packet_follows: bool,
        reserved: u32,
    }
    21 NewKeys {}
    /// Of (EC)DH and the hybrids: the client's public value (RFC 4253 section 8, RFC 5656 section 4).
    30 KexEcdhInit { client_public: &'a [u8] }
    31 KexEcdhReply { host_key: &'a [u8], server_public: &'a [u8], signature: &'a [u8] }
    /// Of the group exchange (RFC 4419 section 5): each number as what stands inside of an mpint.
    31 KexGexGroup { prime: &'a [u8], generator: &'a [u8] }
    32 KexGexInit { client_public: &'a [u8] }
    33 KexGexReply { host_key: &'a [u8], server_public: &'a [u8], signature: &'a [u8] }
    34 KexGexRequest { minimum: u32, preferred: u32, maximum: u32 }
    /// `fields`: what `method` defines (RFC 4252 section 5).
    50 UserauthRequest { user: &'a [u8], service: &'a str, method: &'a str, fields: Rest<'a> }
    51 UserauthFailure { methods: NameList<'a>, partial_success: bool }
    52 UserauthSuccess {}
    /// `rest`: the language tag, which real peers leave out.
    53 UserauthBanner { message: &'a [u8], rest: Rest<'a> }
    /// PK_OK, PASSWD_CHANGEREQ or INFO_REQUEST: the method under way decides.
    60 UserauthReply { fields: Rest<'a> }
    /// INFO_RESPONSE (RFC 4256 section 3.4): `count` strings.
    61 UserauthInfoResponse { count: u32, responses: Rest<'a> }
    80 GlobalRequest { name: &'a str, want_reply: bool, data: Rest<'a> }
    81 RequestSuccess { data: Rest<'a> }
    82 RequestFailure {}
    90 ChannelOpen { kind: &'a str, sender_channel: u32, initial_window: u32, maximum_packet: u32, data: Rest<'a> }
    91 ChannelOpenConfirmation { recipient_channel: u32, sender_channel: u32, initial_window: u32, maximum_packet: u32, data: Rest<'a> }
    /// `rest`: the language tag, which real peers leave out.
    92 ChannelOpenFailure { recipient_channel: u32, reason: u32, description: &'a [u8], rest: Rest<'a> }
    93 ChannelWindowAdjust { recipient_channel: u32, bytes_to_add: u32 }
    94 ChannelData { recipient_channel: u32, data: &'a [u8] }
    95 ChannelExtendedData { recipient_channel: u32, data_type: u32, data: &'a [u8] }
    96 ChannelEof { recipient_channel: u32 }
    97 ChannelClose { recipient_channel: u32 }
    98 ChannelRequest { recipient_channel: u32, name: &'a str, want_reply: bool, data: Rest<'a> }
    99 ChannelSuccess { recipient_channel: u32 }
    100 ChannelFailure { recipient_channel: u32 }
    192 Ping { data: &'a [u8] }
    193 Pong { data: &'a [u8] }
}
