//! The requests of session channels (RFC 4254 section 6, RFC 4335, OpenSSH's PROTOCOL): their data both ways.

use super::Exit;
use crate::error::Result;
use crate::wire::{Reader, Writer};
use bytes::Bytes;

pub const PTY: &str = "pty-req";
pub const X11: &str = "x11-req";
pub const ENV: &str = "env";
pub const SHELL: &str = "shell";
pub const EXEC: &str = "exec";
pub const SUBSYSTEM: &str = "subsystem";
pub const WINDOW_CHANGE: &str = "window-change";
pub const XON_XOFF: &str = "xon-xoff";
pub const SIGNAL: &str = "signal";
pub const BREAK: &str = "break";
pub const EXIT_STATUS: &str = "exit-status";
pub const EXIT_SIGNAL: &str = "exit-signal";
pub const AGENT: &str = "auth-agent-req@openssh.com";
/// End of write: what is still sent will be thrown away. Never answered.
pub const EOW: &str = "eow@openssh.com";

/// A channel request of the peer that the application decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelRequest {
    Pty {
        term: Bytes,
        size: TerminalSize,
        /// Encoded terminal modes (RFC 4254 section 8).
        modes: Bytes,
    },
    X11 {
        single_connection: bool,
        protocol: Box<str>,
        cookie: Box<str>,
        screen: u32,
    },
    AgentForward,
    Env {
        name: Bytes,
        value: Bytes,
    },
    Shell,
    Exec(Bytes),
    Subsystem(Bytes),
    WindowChange(TerminalSize),
    /// Without "SIG".
    Signal(Box<str>),
    /// For so many milliseconds; 0: as long as usual.
    Break(u32),
    /// Server to client: whether the client may do flow control itself.
    XonXoff(bool),
    Other {
        name: Box<str>,
        data: Bytes,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalSize {
    pub columns: u32,
    pub rows: u32,
    pub width_pixels: u32,
    pub height_pixels: u32,
}

impl ChannelRequest {
    /// How many bytes of the peer's it holds.
    pub fn size(&self) -> usize {
        match self {
            Self::Pty { term, modes, .. } => term.len() + modes.len(),
            Self::X11 { protocol, cookie, .. } => protocol.len() + cookie.len(),
            Self::Env { name, value } => name.len() + value.len(),
            Self::Exec(text) | Self::Subsystem(text) => text.len(),
            Self::Signal(name) => name.len(),
            Self::Other { name, data } => name.len() + data.len(),
            Self::AgentForward | Self::Shell | Self::WindowChange(_) | Self::Break(_) | Self::XonXoff(_) => 0,
        }
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Pty { .. } => PTY,
            Self::X11 { .. } => X11,
            Self::AgentForward => AGENT,
            Self::Env { .. } => ENV,
            Self::Shell => SHELL,
            Self::Exec(_) => EXEC,
            Self::Subsystem(_) => SUBSYSTEM,
            Self::WindowChange(_) => WINDOW_CHANGE,
            Self::Signal(_) => SIGNAL,
            Self::Break(_) => BREAK,
            Self::XonXoff(_) => XON_XOFF,
            Self::Other { name, .. } => name,
        }
    }
}

/// What a received request comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// The application decides.
    Ask(ChannelRequest),
    Exit(Exit),
    StoppedReading,
    /// Malformed, or out of place on this channel.
    Refused,
}

/// `serves_sessions`: this is the server's end of a session, where programs are started.
pub(super) fn decode(name: &str, data: &[u8], serves_sessions: bool) -> Decoded {
    decode_fields(name, data, serves_sessions).unwrap_or(Decoded::Refused)
}

fn decode_fields(name: &str, data: &[u8], serves_sessions: bool) -> Result<Decoded> {
    let mut reader = Reader::new(data);
    let fields = &mut reader;
    let decoded = match name {
        EXIT_STATUS | EXIT_SIGNAL if serves_sessions => return Ok(Decoded::Refused),
        EXIT_STATUS => Decoded::Exit(Exit::Status(fields.u32()?)),
        EXIT_SIGNAL => {
            let name = fields.ascii()?.into();
            let (core_dumped, message) = (fields.boolean()?, fields.string()?.into());
            fields.rest(); // A language tag, or nothing.
            Decoded::Exit(Exit::Signal { name, core_dumped, message })
        }
        EOW => Decoded::StoppedReading,
        XON_XOFF if !serves_sessions => Decoded::Ask(ChannelRequest::XonXoff(fields.boolean()?)),
        PTY | X11 | AGENT | ENV | SHELL | EXEC | SUBSYSTEM | WINDOW_CHANGE | SIGNAL | BREAK | XON_XOFF => {
            match decode_served(name, fields)? {
                Some(request) if serves_sessions => Decoded::Ask(request),
                _ => return Ok(Decoded::Refused),
            }
        }
        _ => Decoded::Ask(ChannelRequest::Other { name: name.into(), data: Bytes::copy_from_slice(fields.rest()) }),
    };
    reader.finish()?;
    Ok(decoded)
}

fn decode_served(name: &str, fields: &mut Reader<'_>) -> Result<Option<ChannelRequest>> {
    let string = |fields: &mut Reader<'_>| fields.string().map(Bytes::copy_from_slice);
    Ok(Some(match name {
        PTY => ChannelRequest::Pty { term: string(fields)?, size: terminal_size(fields)?, modes: string(fields)? },
        X11 => return x11_fields(fields),
        AGENT => ChannelRequest::AgentForward,
        ENV => ChannelRequest::Env { name: string(fields)?, value: string(fields)? },
        SHELL => ChannelRequest::Shell,
        EXEC => ChannelRequest::Exec(string(fields)?),
        SUBSYSTEM => ChannelRequest::Subsystem(string(fields)?),
        WINDOW_CHANGE => ChannelRequest::WindowChange(terminal_size(fields)?),
        SIGNAL => ChannelRequest::Signal(fields.ascii()?.into()),
        BREAK => ChannelRequest::Break(fields.u32()?),
        // xon-xoff goes from server to client only.
        _ => return Ok(None),
    }))
}

/// Protocol and cookie end up in commands and files of X11: only what they may consist of is let in.
fn x11_fields(fields: &mut Reader<'_>) -> Result<Option<ChannelRequest>> {
    let single_connection = fields.boolean()?;
    let (protocol, cookie, screen) = (fields.ascii()?, fields.ascii()?, fields.u32()?);
    let named = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let legal = !protocol.is_empty() && protocol.bytes().all(named) && cookie.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(legal.then(|| ChannelRequest::X11 {
        single_connection,
        protocol: protocol.into(),
        cookie: cookie.into(),
        screen,
    }))
}

fn terminal_size(fields: &mut Reader<'_>) -> Result<TerminalSize> {
    let (columns, rows) = (fields.u32()?, fields.u32()?);
    Ok(TerminalSize { columns, rows, width_pixels: fields.u32()?, height_pixels: fields.u32()? })
}

/// Data of "pty-req".
pub fn pty(term: &[u8], size: TerminalSize, modes: &[u8]) -> Vec<u8> {
    // No modes at all are one TTY_OP_END (RFC 4254 section 8).
    let modes = if modes.is_empty() { &[0] } else { modes };
    put_size(Writer::new().string(term), size).string(modes).finish()
}

/// Data of "x11-req".
pub fn x11(single_connection: bool, protocol: &str, cookie: &str, screen: u32) -> Vec<u8> {
    Writer::new().boolean(single_connection).string(protocol).string(cookie).u32(screen).finish()
}

/// Data of "env".
pub fn env(name: &[u8], value: &[u8]) -> Vec<u8> {
    Writer::new().string(name).string(value).finish()
}

/// Data of "exec".
pub fn exec(command: &[u8]) -> Vec<u8> {
    Writer::new().string(command).finish()
}

/// Data of "subsystem".
pub fn subsystem(name: &[u8]) -> Vec<u8> {
    Writer::new().string(name).finish()
}

/// Data of "window-change".
pub fn window_change(size: TerminalSize) -> Vec<u8> {
    put_size(Writer::new(), size).finish()
}

/// Data of "xon-xoff".
pub fn xon_xoff(client_can_do: bool) -> Vec<u8> {
    Writer::new().boolean(client_can_do).finish()
}

/// Data of "signal"; the name goes without "SIG".
pub fn signal(name: &str) -> Vec<u8> {
    Writer::new().string(name.strip_prefix("SIG").unwrap_or(name)).finish()
}

/// Data of "break" (RFC 4335).
pub fn break_for(milliseconds: u32) -> Vec<u8> {
    Writer::new().u32(milliseconds).finish()
}

/// Name and data of "exit-status" or "exit-signal"; neither wants a reply.
pub fn exit(exit: &Exit) -> (&'static str, Vec<u8>) {
    match exit {
        Exit::Status(status) => (EXIT_STATUS, Writer::new().u32(*status).finish()),
        Exit::Signal { name, core_dumped, message } => {
            let name = name.strip_prefix("SIG").unwrap_or(name);
            (EXIT_SIGNAL, Writer::new().string(name).boolean(*core_dumped).string(message).string("").finish())
        }
    }
}

fn put_size(writer: Writer, size: TerminalSize) -> Writer {
    writer.u32(size.columns).u32(size.rows).u32(size.width_pixels).u32(size.height_pixels)
}
