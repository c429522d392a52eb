//! Connecting: names on a helper thread, numeric addresses without one; every address is tried, under one deadline.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::operation::{Kind, Reply};
use super::state::{Locked, Phase};
use super::sys::descriptor::Descriptor;
use super::sys::poller::Interest;
use super::sys::socket;
use super::{Engine, Transport};
use crate::error::{Error, Result, SystemFailure};
use crate::session::Role;

const PORT: u16 = 22;

pub(super) struct Dialing {
    target: Target,
    left: VecDeque<SocketAddr>,
    current: Option<SocketAddr>,
    deadline: Option<Instant>,
    /// When the next address has its turn.
    attempt_ends: Option<Instant>,
    last_error: Option<Error>,
    /// To be started once connected.
    pub starts: Option<Role>,
}

impl Dialing {
    pub fn new(target: Target, deadline: Option<Instant>) -> Self {
        Self {
            target,
            left: VecDeque::new(),
            current: None,
            deadline,
            attempt_ends: None,
            last_error: None,
            starts: None,
        }
    }
    pub fn is_connecting(&self) -> bool {
        self.current.is_some()
    }
    pub fn next_time(&self) -> Option<Instant> {
        [self.attempt_ends, self.deadline].into_iter().flatten().min()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub host: String,
    pub port: u16,
}

/// "host", "host:port", "[v6]:port", "[v6]", bare v6.
pub(super) fn parse(address: &str) -> Result<Target> {
    let wrong = || Error::argument(format!("\"{}\" is no address", address.escape_debug()));
    let port_of = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong);
    if address.is_empty() || address.contains(['\0', '\n', ' ']) {
        return Err(wrong());
    }
    if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
        let port = match after.strip_prefix(':') {
            Some(port) => port_of(port)?,
            None if after.is_empty() => PORT,
            None => return Err(wrong()),
        };
        return if host.is_empty() { Err(wrong()) } else { Ok(Target { host: host.to_owned(), port }) };
    }
    // More than one colon: an IPv6 address, which has no port then; perhaps with a scope.
    let bare = address.split('%').next().unwrap_or(address);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Ok(Target { host: address.to_owned(), port: PORT });
    }
    match address.rsplit_once(':') {
        Some((host, _)) if host.is_empty() || host.contains(':') => Err(wrong()),
        Some((host, port)) => Ok(Target { host: host.to_owned(), port: port_of(port)? }),
        None => Ok(Target { host: address.to_owned(), port: PORT }),
    }
}

impl Transport {
    /// The transport is there at once; what came before it could be is the error.
    pub(super) fn dial_begin(engine: &Arc<Engine>, address: &str) -> Result<Arc<Self>> {
        engine.check()?;
        let target = parse(address)?;
        let deadline = Instant::now().checked_add(DIAL_DEADLINE);
        let dialing = Dialing::new(target.clone(), deadline);
        let transport = Self::make(engine, Phase::Dialing(Box::new(dialing)), Descriptor::none())?;
        match target.host.parse::<IpAddr>() {
            Ok(ip) => {
                let mut locked = transport.lock();
                locked.addresses_known(vec![SocketAddr::new(ip, target.port)]);
                locked.pump();
            }
            Err(_) => transport.look_up(target),
        }
        Ok(transport)
    }

    fn look_up(self: &Arc<Self>, target: Target) {
        let weak: Weak<Self> = Arc::downgrade(self);
        let options = self.engine().options();
        let name = format!("{}-dns", options.thread_name);
        let body = move || {
            let found = (target.host.as_str(), target.port).to_socket_addrs();
            if let Some(transport) = weak.upgrade() {
                transport.looked_up(&target.host, found.map(Iterator::collect));
            }
        };
        if let Err(error) = self.engine().life.spawn(&name, 0, body) {
            self.looked_up("", Err(error));
        }
    }

    fn looked_up(self: &Arc<Self>, host: &str, found: io::Result<Vec<SocketAddr>>) {
        let mut locked = self.lock();
        match found {
            Ok(addresses) if !addresses.is_empty() => locked.addresses_known(addresses),
            Ok(_) => locked.dial_failed(Error::Resolve(format!("\"{host}\" has no address").into())),
            Err(error) => {
                locked.dial_failed(Error::Resolve(format!("cannot find the address of \"{host}\": {error}").into()));
            }
        }
        locked.pump();
    }
}

/// For all addresses together.
const DIAL_DEADLINE: Duration = Duration::from_secs(60);

impl Locked<'_> {
    fn dialing(&mut self) -> Option<&mut Dialing> {
        if self.ended.is_some() {
            return None;
        }
        match &mut self.phase {
            Phase::Dialing(dialing) => Some(dialing),
            _ => None,
        }
    }

    fn addresses_known(&mut self, addresses: Vec<SocketAddr>) {
        if let Some(dialing) = self.dialing() {
            dialing.left = addresses.into();
            self.dial_next();
        }
    }

    /// Begins with the next address; without one the dial has failed.
    fn dial_next(&mut self) {
        let now = Instant::now();
        self.drop_attempt();
        let transport = self.transport;
        loop {
            let Some(dialing) = self.dialing() else { return };
            let Some(address) = dialing.left.pop_front() else {
                let error = dialing.last_error.take();
                let error = error.unwrap_or_else(|| Error::timeout("no address could be connected to in time"));
                self.dial_failed(error);
                return;
            };
            match socket::connect(&address) {
                Ok(made) => {
                    // The time that is left is shared by the addresses that are left.
                    let share = u32::try_from(dialing.left.len()).unwrap_or(u32::MAX).saturating_add(1);
                    let left = dialing.deadline.map(|deadline| deadline.saturating_duration_since(now) / share);
                    dialing.attempt_ends = left.and_then(|left| now.checked_add(left));
                    dialing.current = Some(address);
                    transport.descriptor.put(made.take());
                    self.arm(Interest::WRITE);
                    return;
                }
                Err(error) => dialing.last_error = Some(connect_error(&error, &address)),
            }
        }
    }

    fn drop_attempt(&mut self) {
        let transport = self.transport;
        let fd = transport.descriptor.raw();
        if fd >= 0 {
            if self.stream.armed.take().is_some() {
                let _ = transport.reactor.poller.remove(fd);
            }
            transport.descriptor.close();
        }
        if let Some(dialing) = self.dialing() {
            dialing.current = None;
            dialing.attempt_ends = None;
        }
    }

    /// The socket is writable: the attempt is decided.
    pub fn dial_progressed(&mut self) {
        let fd = self.transport.descriptor.raw();
        let Some(dialing) = self.dialing() else { return };
        let Some(address) = dialing.current else { return };
        match socket::connected(fd) {
            Ok(()) => {
                let starts = dialing.starts.take();
                self.phase = Phase::Connected;
                self.finish_found(|kind| matches!(kind, Kind::Dial), Ok(Reply::default()));
                if let Some(role) = starts
                    && let Err(error) = self.begin_session(role)
                {
                    self.end(error);
                }
            }
            Err(error) => {
                dialing.last_error = Some(connect_error(&error, &address));
                self.dial_next();
            }
        }
    }

    pub fn dial_timed_out(&mut self) {
        let now = self.now;
        let Some(dialing) = self.dialing() else { return };
        let host = &dialing.target.host;
        let error = match dialing.current {
            Some(address) => Error::timeout(format!("{address} did not answer in time")),
            None => Error::timeout(format!("the address of \"{host}\" was not found in time")),
        };
        dialing.last_error.get_or_insert(error.clone());
        if dialing.deadline.is_some_and(|deadline| deadline <= now) {
            self.dial_failed(error);
        } else {
            self.dial_next();
        }
    }

    fn dial_failed(&mut self, error: Error) {
        if self.dialing().is_some() {
            self.drop_attempt();
            self.end(error);
        }
    }
}

fn connect_error(error: &io::Error, address: &SocketAddr) -> Error {
    Error::Connect(Box::new(SystemFailure {
        text: "cannot connect".into(),
        errno: error.raw_os_error().unwrap_or(0),
        address: Some(address.to_string().into()),
    }))
}
