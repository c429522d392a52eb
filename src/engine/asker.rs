//! What the application brings along: someone to ask, and a pointer of its own on each handle.

use std::fmt;
use std::sync::Arc;

use super::{Ticket, Transport, callback};
use crate::error::Error;
use crate::session::PublicKey;

/// Asks the application. It runs with no lock held, in order for each transport. Dropping it means that no call can
/// follow; it is dropped where no lock is held.
pub trait Asker: Send + Sync {
    /// [`Decision::Defer`]: the answer comes through the ticket, which whoever is asked keeps a clone of.
    fn ask(&self, transport: &Arc<Transport>, ticket: &Arc<Ticket>) -> Decision;
    /// Something happened that needs no answer.
    fn notify(&self, _transport: &Arc<Transport>, _notice: &Notice) {}
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Server: keys are in use.
    Connected,
    /// Server: this user is authenticated.
    Authenticated { user: Vec<u8>, method: &'static str },
    /// Client: the answer to the question about the host key was yes. It comes from whoever answers, before the answer
    /// counts.
    HostKeyAccepted(PublicKey),
    /// The last.
    Disconnected(Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Reject,
    Accept,
    Partial,
    Defer,
    /// Accepts a channel that is the application's from now on, past the accept queue.
    Keep,
}

/// The application's pointer on a handle, with what is to be done when it is no longer reachable.
pub struct Userdata {
    pub pointer: usize,
    destroy: Option<Box<dyn FnOnce(usize) + Send>>,
}

impl Userdata {
    pub fn new(pointer: usize, destroy: Option<Box<dyn FnOnce(usize) + Send>>) -> Self {
        Self { pointer, destroy }
    }
}

impl Drop for Userdata {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy.take() {
            callback::run(|| destroy(self.pointer));
        }
    }
}

impl fmt::Debug for Userdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Userdata({:#x})", self.pointer)
    }
}
