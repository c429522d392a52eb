//! The global requests to listen for the other side (RFC 4254 section 7.1; OpenSSH's PROTOCOL, section 2.4).

use super::kinds::{HostPort, Opening};
use crate::error::Result;
use crate::wire::{Reader, Writer};

const TCPIP_FORWARD: &str = "tcpip-forward";
const CANCEL_TCPIP_FORWARD: &str = "cancel-tcpip-forward";
const STREAMLOCAL_FORWARD: &str = "streamlocal-forward@openssh.com";
const CANCEL_STREAMLOCAL_FORWARD: &str = "cancel-streamlocal-forward@openssh.com";

/// Where the server is to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAt {
    /// The host may be empty (all addresses) or "localhost"; port 0: the server chooses.
    Tcp(HostPort),
    Path(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardVerb {
    Listen,
    Cancel,
}

impl ListenAt {
    /// The name and the data of the request.
    pub fn request(&self, verb: ForwardVerb) -> (&'static str, Vec<u8>) {
        match (self, verb) {
            (Self::Tcp(at), ForwardVerb::Listen) => (TCPIP_FORWARD, at.encode()),
            (Self::Tcp(at), ForwardVerb::Cancel) => (CANCEL_TCPIP_FORWARD, at.encode()),
            (Self::Path(path), ForwardVerb::Listen) => (STREAMLOCAL_FORWARD, Writer::new().string(path).finish()),
            (Self::Path(path), ForwardVerb::Cancel) => {
                (CANCEL_STREAMLOCAL_FORWARD, Writer::new().string(path).finish())
            }
        }
    }

    /// None: the request is another one, or its data is not what its name says.
    pub fn of_request(name: &str, data: &[u8]) -> Option<(ForwardVerb, Self)> {
        let (verb, is_path) = match name {
            TCPIP_FORWARD => (ForwardVerb::Listen, false),
            CANCEL_TCPIP_FORWARD => (ForwardVerb::Cancel, false),
            STREAMLOCAL_FORWARD => (ForwardVerb::Listen, true),
            CANCEL_STREAMLOCAL_FORWARD => (ForwardVerb::Cancel, true),
            _ => return None,
        };
        let at = if is_path { Self::read_path(data) } else { HostPort::decode(data).map(Self::Tcp) };
        Some((verb, at.ok()?))
    }

    fn read_path(data: &[u8]) -> Result<Self> {
        let mut fields = Reader::new(data);
        let path = fields.string()?.to_vec();
        fields.finish()?;
        Ok(Self::Path(path))
    }

    /// The port in the reply to a request for port 0.
    pub fn bound_port(reply: &[u8]) -> Option<u16> {
        let mut fields = Reader::new(reply);
        fields.u32().ok().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
    }

    /// How well a channel fits that the peer opens: by the port first, since servers write the address as they like.
    pub fn fit(&self, opening: &Opening) -> Option<Fit> {
        match (self, opening) {
            (Self::Tcp(at), Opening::ForwardedTcpip(open)) if at.port == open.connected.port => {
                Some(if at.host == open.connected.host { Fit::Exact } else { Fit::Port })
            }
            (Self::Path(path), Opening::ForwardedStreamlocal(open)) if *path == open.path => Some(Fit::Exact),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Port,
    Exact,
}

#[cfg(test)]
mod tests {
    use super::super::kinds::ForwardedTcpip;
    use super::*;

    fn at(host: &str, port: u16) -> HostPort {
        HostPort { host: host.as_bytes().to_vec(), port }
    }

    #[test]
    fn requests_decode_to_themselves() {
        for at in [ListenAt::Tcp(at("", 0)), ListenAt::Tcp(at("::1", 65535)), ListenAt::Path(b"/run/\xff".to_vec())] {
            for verb in [ForwardVerb::Listen, ForwardVerb::Cancel] {
                let (name, mut data) = at.request(verb);
                assert_eq!(ListenAt::of_request(name, &data), Some((verb, at.clone())));
                data.push(0);
                assert_eq!(ListenAt::of_request(name, &data), None);
            }
        }
        assert_eq!(ListenAt::of_request("keepalive@openssh.com", b""), None);
    }

    #[test]
    fn the_port_of_a_reply() {
        assert_eq!(ListenAt::bound_port(&[0, 0, 0x1f, 0x90]), Some(8080));
        for wrong in [&b""[..], &[0, 0, 0, 0], &[0, 1, 0, 0], &[0x1f, 0x90]] {
            assert_eq!(ListenAt::bound_port(wrong), None);
        }
    }

    #[test]
    fn channels_fit_by_port_and_better_by_address() {
        let open = |host, port| {
            Opening::ForwardedTcpip(ForwardedTcpip { connected: at(host, port), originator: at("10.0.0.9", 40000) })
        };
        let listens = ListenAt::Tcp(at("localhost", 8080));
        assert_eq!(listens.fit(&open("localhost", 8080)), Some(Fit::Exact));
        assert_eq!(listens.fit(&open("127.0.0.1", 8080)), Some(Fit::Port));
        assert_eq!(listens.fit(&open("localhost", 8081)), None);
        assert_eq!(ListenAt::Path(b"/a".to_vec()).fit(&open("localhost", 8080)), None);
    }
}
