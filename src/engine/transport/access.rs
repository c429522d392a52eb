//! What is known of a connection.

use std::os::fd::RawFd;
use std::sync::Arc;

use super::super::Transport;
use super::super::state::{Locked, Phase};
use super::super::sys::socket;
use crate::error::{Error, Result};
use crate::session::{Counters, Negotiated, PrivateKey, PublicKey, Session, SessionState};

impl Transport {
    fn look<T>(self: &Arc<Self>, look: impl FnOnce(&Locked) -> Result<T>) -> Result<T> {
        self.engine().check()?;
        look(&self.lock())
    }
    fn look_inside<T>(self: &Arc<Self>, look: impl FnOnce(&Session) -> Option<T>, missing: &str) -> Result<T> {
        self.look(|locked| {
            let known = locked.session.as_deref().and_then(look);
            known.ok_or_else(|| Error::not_found(missing))
        })
    }

    /// A call failed before it came to this room: `take_error` tells of it as of any other.
    pub fn note_failure(self: &Arc<Self>, error: &Error) {
        if self.engine().check().is_ok() {
            self.lock().last_error = Some(error.clone());
        }
    }

    /// Keys are in use, and it has not ended.
    pub fn is_active(self: &Arc<Self>) -> bool {
        let active = |locked: &Locked| {
            let known = locked.session.as_deref().is_some_and(|session| session.negotiated().is_some());
            Ok(known && locked.ended.is_none() && !locked.closed)
        };
        self.look(active).unwrap_or(false)
    }
    pub fn is_authenticated(self: &Arc<Self>) -> bool {
        let state = |locked: &Locked| {
            let state = locked.session.as_deref().map(|session| session.state());
            Ok(state == Some(SessionState::Authenticated) && locked.ended.is_none())
        };
        self.look(state).unwrap_or(false)
    }
    /// State before the first exchange is done.
    pub fn negotiated(self: &Arc<Self>) -> Result<(Negotiated, Counters)> {
        self.look(|locked| {
            let session = locked.session.as_deref();
            let known = session.and_then(|session| Some((session.negotiated()?.clone(), session.counters())));
            known.ok_or_else(|| Error::state("nothing is negotiated yet"))
        })
    }
    /// NotFound before it is known, and without one.
    pub fn remote_host_key(self: &Arc<Self>) -> Result<PublicKey> {
        self.look_inside(|session| session.remote_host_key().cloned(), "no host key is known")
    }
    /// Server: the one that was negotiated.
    pub fn host_key(self: &Arc<Self>) -> Result<Arc<PrivateKey>> {
        self.look_inside(|session| session.host_key().cloned(), "no host key is in use")
    }
    pub fn remote_version(self: &Arc<Self>) -> Result<String> {
        let version = |session: &Session| session.remote_version().map(str::to_owned);
        self.look_inside(version, "the peer has not identified itself")
    }
    pub fn username(self: &Arc<Self>) -> Result<Vec<u8>> {
        self.look_inside(|session| session.username().map(<[u8]>::to_vec), "no user is known")
    }
    /// The method that the last step of the authentication used.
    pub fn auth_method(self: &Arc<Self>) -> Result<&'static str> {
        self.look_inside(Session::auth_succeeded_with, "no user is authenticated")
    }
    /// Client: the server let the user in without having seen any proof.
    pub fn auth_was_trivial(self: &Arc<Self>) -> bool {
        self.look(|locked| Ok(locked.session.as_deref().is_some_and(Session::auth_was_trivial))).unwrap_or(false)
    }
    pub fn banner(self: &Arc<Self>) -> Result<Vec<u8>> {
        self.look_inside(|session| session.banner().map(<[u8]>::to_vec), "the server sent no banner")
    }
    /// What may continue, comma separated.
    pub fn auth_methods(self: &Arc<Self>) -> Result<String> {
        let methods = |session: &Session| session.auth_methods().map(str::to_owned);
        self.look_inside(methods, "the server has not said which methods may continue")
    }
    /// ("unknown", 0) where the stream is not IP.
    pub fn peer_name(self: &Arc<Self>) -> Result<(String, u16)> {
        self.engine().check()?;
        let address = socket::peer_address(self.descriptor.raw());
        Ok(address.map_or_else(|| ("unknown".to_owned(), 0), |address| (address.ip().to_string(), address.port())))
    }
    /// Borrowed; Closed when there is none.
    pub fn fd(self: &Arc<Self>) -> Result<RawFd> {
        self.engine().check()?;
        let fd = self.descriptor.raw();
        if fd < 0 { Err(Error::closed("the transport has no descriptor")) } else { Ok(fd) }
    }

    /// One line for people.
    pub fn describe(self: &Arc<Self>) -> String {
        let described = self.look(|locked| {
            let state = match (&locked.phase, locked.session.as_deref().map(|session| session.state())) {
                _ if locked.ended.is_some() => "ended",
                (Phase::Dialing(_), _) => "dialing",
                (Phase::Gone, _) => "closed",
                (_, None) => "unstarted",
                (_, Some(SessionState::Negotiating)) => "negotiating",
                (_, Some(SessionState::Negotiated)) => "negotiated",
                (_, Some(SessionState::Authenticated)) => "authenticated",
                (_, Some(SessionState::Closing)) => "closing",
                (_, Some(SessionState::Ended)) => "ended",
            };
            let negotiated = locked.session.as_deref().and_then(|session| session.negotiated());
            let cipher = negotiated.map_or(String::new(), |known| format!(" (cipher {})", known.cipher_out));
            let channels = locked.channels.len();
            Ok(format!("<nacre transport {:#x} ({state}){cipher}; {channels} open channel(s)>", self.key))
        });
        described.unwrap_or_else(|_| "<nacre transport (of the process before fork)>".to_owned())
    }
}
