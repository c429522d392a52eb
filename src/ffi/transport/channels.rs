//! Channels of every type: opening them.

use std::ffi::{c_char, c_void};

use super::nacre_transport;
use super::open::open_channel;
use crate::engine::kinds::{self, DirectStreamlocal, DirectTcpip, ForwardedStreamlocal, ForwardedTcpip, X11Origin};
use crate::engine::{HostPort, Opening};
use crate::error::{Error, Result};
use crate::ffi::boundary::on;
use crate::ffi::channel::nacre_channel;
use crate::ffi::status::nacre_status;
use crate::ffi::structs::{self, public_struct};
use crate::ffi::text::{name, optional_text, piece, port_of, text};

/// A channel to open. Zero is the default of every member.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_channel_options {
    pub size: usize,
    /// The channel's type; NULL: "session". It says which of the next members count: "direct-tcpip" and "forwarded-tcpip"
    /// take both hosts and ports, "x11" the originator, "direct-streamlocal@openssh.com" and
    /// "forwarded-streamlocal@openssh.com" the path. One that the type does not take is NACRE_ERR_ARGUMENT.
    pub kind: *const c_char,
    /// Where the connection is to go, or (forwarded) where it came to; a name or an address.
    pub destination_host: *const c_char,
    /// Where it comes from. NULL: "127.0.0.1".
    pub originator_host: *const c_char,
    /// The Unix socket.
    pub path: *const c_char,
    /// The bytes that follow the type's name and the window in CHANNEL_OPEN, for a type that is not named above.
    pub data: *const c_void,
    pub data_len: usize,
    pub destination_port: u32,
    pub originator_port: u32,
    /// Bytes that the peer may send before it needs more credit, and at once; 0: the transport's default. A window that is
    /// given does not grow by itself.
    pub window_bytes: u32,
    pub max_packet_bytes: u32,
}
public_struct!(nacre_channel_options, max_packet_bytes: u32);

/// Opens a channel of any type; `options` may be NULL: a session. The rest is as for nacre_transport_open_session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_channel(
    transport: *mut nacre_transport,
    options: *const nacre_channel_options,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| {
            let given = structs::read_optional(options, "the options");
            let (window, packet) = given.as_ref().map_or((0, 0), |it| (it.window_bytes, it.max_packet_bytes));
            let open = || {
                let options = given?;
                let kind = if options.kind.is_null() { kinds::SESSION } else { name(options.kind, "the type")? };
                opening(kind, &options)
            };
            open_channel(transport, open, window, packet, timeout_ms, channel, op)
        })
    }
}

/// Asks the server to connect to a host and port (as `ssh -L` and `ssh -W`). `originator_host` (may be NULL: "127.0.0.1")
/// and `originator_port` say where the connection comes from. The rest is as for nacre_transport_open_session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_direct_tcpip(
    transport: *mut nacre_transport,
    host: *const c_char,
    port: u32,
    originator_host: *const c_char,
    originator_port: u32,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    let to = nacre_channel_options { destination_host: host, destination_port: port, ..nothing() };
    let options = nacre_channel_options { originator_host, originator_port, ..to };
    unsafe { open_as(kinds::DIRECT_TCPIP, transport, &options, timeout_ms, channel, op) }
}

/// Asks the server to connect to a Unix socket (OpenSSH's extension).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_direct_streamlocal(
    transport: *mut nacre_transport,
    path: *const c_char,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    let options = nacre_channel_options { path, ..nothing() };
    unsafe { open_as(kinds::DIRECT_STREAMLOCAL, transport, &options, timeout_ms, channel, op) }
}

/// Server: brings the client a connection that came to a port which it asked to be listened at. `host` and `port` are those
/// of its request; where it asked for port 0, the one that it was told. `originator_host` may be NULL: "127.0.0.1".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_forwarded_tcpip(
    transport: *mut nacre_transport,
    host: *const c_char,
    port: u32,
    originator_host: *const c_char,
    originator_port: u32,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    let to = nacre_channel_options { destination_host: host, destination_port: port, ..nothing() };
    let options = nacre_channel_options { originator_host, originator_port, ..to };
    unsafe { open_as(kinds::FORWARDED_TCPIP, transport, &options, timeout_ms, channel, op) }
}

/// Server: brings the client a connection that came to a Unix socket which it asked to be listened at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_forwarded_streamlocal(
    transport: *mut nacre_transport,
    path: *const c_char,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    let options = nacre_channel_options { path, ..nothing() };
    unsafe { open_as(kinds::FORWARDED_STREAMLOCAL, transport, &options, timeout_ms, channel, op) }
}

/// Server: brings the client a connection of an X11 program. `originator_host` (may be NULL: "127.0.0.1") and the port say
/// where it comes from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_x11(
    transport: *mut nacre_transport,
    originator_host: *const c_char,
    originator_port: u32,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    let options = nacre_channel_options { originator_host, originator_port, ..nothing() };
    unsafe { open_as(kinds::X11, transport, &options, timeout_ms, channel, op) }
}

/// Server: opens a connection to the client's agent (auth-agent@openssh.com), which the client has offered on a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_transport_open_agent(
    transport: *mut nacre_transport,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    unsafe { open_as(kinds::AGENT, transport, &nothing(), timeout_ms, channel, op) }
}

unsafe fn open_as(
    kind: &str,
    transport: *mut nacre_transport,
    options: &nacre_channel_options,
    timeout_ms: i32,
    channel: *mut *mut nacre_channel,
    op: *mut u64,
) -> nacre_status {
    unsafe {
        on(transport, |transport| open_channel(transport, || opening(kind, options), 0, 0, timeout_ms, channel, op))
    }
}

unsafe fn opening(kind: &str, options: &nacre_channel_options) -> Result<Opening> {
    let destination = || unsafe { address(options.destination_host, options.destination_port) };
    let originator = || unsafe { originator(options.originator_host, options.originator_port) };
    let path = || unsafe { text(options.path, "the path") }.map(<[u8]>::to_vec);
    let given = Given::of(options);
    Ok(match kind {
        kinds::SESSION if given == Given::NOTHING => Opening::Session,
        kinds::AGENT if given == Given::NOTHING => Opening::Agent,
        kinds::DIRECT_TCPIP if given.is_within(Given::ADDRESSES) => {
            Opening::DirectTcpip(DirectTcpip { destination: destination()?, originator: originator()? })
        }
        kinds::FORWARDED_TCPIP if given.is_within(Given::ADDRESSES) => {
            Opening::ForwardedTcpip(ForwardedTcpip { connected: destination()?, originator: originator()? })
        }
        kinds::X11 if given.is_within(Given::ORIGINATOR) => Opening::X11(X11Origin(originator()?)),
        kinds::DIRECT_STREAMLOCAL if given.is_within(Given::PATH) => {
            Opening::DirectStreamlocal(DirectStreamlocal { path: path()? })
        }
        kinds::FORWARDED_STREAMLOCAL if given.is_within(Given::PATH) => {
            Opening::ForwardedStreamlocal(ForwardedStreamlocal { path: path()? })
        }
        _ if given.is_within(Given::DATA) => {
            Opening::Raw { kind: kind.to_owned(), data: unsafe { piece(options.data, options.data_len) }?.to_vec() }
        }
        _ => return Err(Error::argument(format!("a member is set that a channel of type \"{kind}\" does not take"))),
    })
}

/// The default of every member.
fn nothing() -> nacre_channel_options {
    nacre_channel_options {
        size: 0,
        kind: std::ptr::null(),
        destination_host: std::ptr::null(),
        originator_host: std::ptr::null(),
        path: std::ptr::null(),
        data: std::ptr::null(),
        data_len: 0,
        destination_port: 0,
        originator_port: 0,
        window_bytes: 0,
        max_packet_bytes: 0,
    }
}

/// Which members of the options are set.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Given {
    destination: bool,
    originator: bool,
    path: bool,
    data: bool,
}

impl Given {
    const NOTHING: Self = Self { destination: false, originator: false, path: false, data: false };
    const ADDRESSES: Self = Self { destination: true, originator: true, ..Self::NOTHING };
    const ORIGINATOR: Self = Self { originator: true, ..Self::NOTHING };
    const PATH: Self = Self { path: true, ..Self::NOTHING };
    const DATA: Self = Self { data: true, ..Self::NOTHING };

    fn of(options: &nacre_channel_options) -> Self {
        Self {
            destination: !options.destination_host.is_null() || options.destination_port != 0,
            originator: !options.originator_host.is_null() || options.originator_port != 0,
            path: !options.path.is_null(),
            data: !options.data.is_null() || options.data_len != 0,
        }
    }

    fn is_within(self, allowed: Self) -> bool {
        (allowed.destination || !self.destination)
            && (allowed.originator || !self.originator)
            && (allowed.path || !self.path)
            && (allowed.data || !self.data)
    }
}

unsafe fn address(host: *const c_char, port: u32) -> Result<HostPort> {
    Ok(HostPort { host: unsafe { text(host, "the host") }?.to_vec(), port: port_of(port)? })
}

unsafe fn originator(host: *const c_char, port: u32) -> Result<HostPort> {
    let host = unsafe { optional_text(host) }?.unwrap_or(b"127.0.0.1").to_vec();
    Ok(HostPort { host, port: port_of(port)? })
}
