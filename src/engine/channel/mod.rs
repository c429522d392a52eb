//! One channel: its handle.

mod io;
mod requests;

use std::io::Result as IoResult;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::operation::OperationId;
use super::state::{ChannelPhase, Locked};
use super::sys::descriptor::Level;
use super::waiter::lock;
use super::{Transport, Userdata};
use crate::error::{Error, Result};
use crate::session::{ChannelId, ChannelInfo, Opening, Stream};

/// What an event descriptor of a channel tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelEvents {
    /// Data, or an end that no read has returned yet.
    Read,
    ReadStderr,
    /// Room again after a write that took less than asked.
    Write,
    /// The exit status, the close, or the failed opening has come.
    State,
}

pub struct Channel {
    transport: Arc<Transport>,
    id: ChannelId,
    /// Where it goes and comes from; None: its type says nothing of that.
    opening: Option<Opening>,
    owners: AtomicUsize,
    /// The last owner has given it up: no callback gets it any more.
    given_up: AtomicBool,
    pub(super) levels: Levels,
    userdata: Mutex<Option<Userdata>>,
}

/// The event descriptors.
#[derive(Default)]
pub(super) struct Levels {
    pub read: Level,
    pub stderr: Level,
    pub write: Level,
    pub state: Level,
}

impl Levels {
    pub fn close(&self) {
        for level in [&self.read, &self.stderr, &self.write, &self.state] {
            level.close();
        }
    }
    pub fn renew(&self) -> IoResult<()> {
        [&self.read, &self.stderr, &self.write, &self.state].into_iter().try_for_each(Level::renew)
    }
}

impl Channel {
    /// `kind` and `data`: what its open says.
    pub(super) fn new(transport: &Arc<Transport>, id: ChannelId, kind: &str, data: &[u8]) -> Arc<Self> {
        // Raw data would tell nobody anything, and a peer could have it kept for as long as the channel lives.
        let opening = Opening::decode(kind, data).ok().filter(|opening| !matches!(opening, Opening::Raw { .. }));
        Arc::new(Self {
            transport: Arc::clone(transport),
            id,
            opening,
            owners: AtomicUsize::new(0),
            given_up: AtomicBool::new(false),
            levels: Levels::default(),
            userdata: Mutex::new(None),
        })
    }

    /// Borrowed; `_transport` of the C side adds an owner.
    pub fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }
    /// Our side's number.
    pub fn id(&self) -> ChannelId {
        self.id
    }
    /// What the open of the channel says, ours or the peer's, where its type is one with addresses.
    pub fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }
    pub fn add_owner(&self) {
        self.owners.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn is_owned(&self) -> bool {
        self.owners.load(Ordering::Acquire) > 0
    }
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }
    /// KEEP: the application holds it from now on, by a pointer that it was lent.
    pub(super) fn hand_over(self: &Arc<Self>) {
        self.add_owner();
        std::mem::forget(Arc::clone(self));
    }

    /// `_free`: one owner less; the last one's closes the channel and cancels what it has under way.
    pub fn release(self: &Arc<Self>) {
        if self.transport.engine().check().is_err() {
            std::mem::forget(Arc::clone(self));
            self.levels.close();
            return;
        }
        if self.owners.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.given_up.store(true, Ordering::Release);
        let mut locked = self.transport.lock();
        let now = locked.now;
        for op in locked.operations.of_channel(self.id) {
            locked.events.remove(|queued| matches!(queued, super::event::Queued::Operation(other) if *other == op));
            locked.requests.retain(|_, other| *other != op);
            locked.operations.remove(op);
        }
        if let Some(session) = locked.session.as_deref_mut() {
            session.forget_channel(self.id, now);
        }
        locked.drop_entry(self.id);
        // Another thread may wait for one of these operations by its number.
        locked.touched_all = true;
        locked.pump();
    }

    pub fn info(&self) -> Result<ChannelInfo> {
        self.with(|locked, id| {
            let info = locked.session.as_deref().and_then(|session| session.channel_info(id));
            info.ok_or_else(|| Error::closed("the channel is gone"))
        })
    }

    /// Readable exactly while what is told holds.
    pub fn event_fd(&self, what: ChannelEvents) -> Result<RawFd> {
        self.transport.engine().events_are_taken();
        self.with(|locked, id| {
            let level = match what {
                ChannelEvents::Read => self.levels.read.get(locked.is_readable(id, Stream::Data)),
                ChannelEvents::ReadStderr => self.levels.stderr.get(locked.is_readable(id, Stream::Extended(1))),
                ChannelEvents::Write => {
                    let entry = locked.channels.get(&id);
                    self.levels.write.get(entry.is_some_and(|entry| entry.short_write && entry.room_again))
                }
                ChannelEvents::State => self.levels.state.get(locked.has_news(id)),
            };
            level.map_err(|error| super::core::system("cannot make an event descriptor", &error))
        })
    }

    /// Waits on this channel return Interrupted; when none waits, the next one does.
    pub fn wake(&self) -> Result<()> {
        self.with(|locked, id| {
            if let Some(entry) = locked.channels.get_mut(&id) {
                entry.wakes += 1;
            }
            // Waits for replies on this channel count too.
            locked.touched_all = true;
            Ok(())
        })
    }

    /// 0: the last error of this channel; else what that operation ended with.
    pub fn take_error(&self, op: OperationId) -> Result<Option<Error>> {
        if op != 0 {
            return self.transport.take_error(op);
        }
        self.with(|locked, id| Ok(locked.channels.get_mut(&id).and_then(|entry| entry.last_error.take())))
    }

    /// A call failed before it came to this room: `take_error` tells of it as of any other.
    pub fn note_failure(&self, error: &Error) {
        let noted = self.with(|locked, id| {
            if let Some(entry) = locked.channels.get_mut(&id) {
                entry.last_error = Some(error.clone());
            }
            Ok(())
        });
        drop(noted);
    }

    pub fn set_userdata(&self, userdata: Option<Userdata>) -> Result<()> {
        self.transport.engine().check()?;
        let old = std::mem::replace(&mut *lock(&self.userdata), userdata);
        drop(old);
        Ok(())
    }
    /// 0: none.
    pub fn userdata(&self) -> usize {
        if self.transport.engine().check().is_err() {
            return 0;
        }
        lock(&self.userdata).as_ref().map_or(0, |userdata| userdata.pointer)
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let described = self.with(|locked, id| {
            let state = match locked.channels.get(&id).map(|entry| &entry.phase) {
                Some(ChannelPhase::Opening | ChannelPhase::Asked(_)) => "opening",
                Some(ChannelPhase::Open) if locked.ended.is_none() => "open",
                Some(ChannelPhase::Failed(_)) => "refused",
                _ => "closed",
            };
            Ok(format!("<nacre channel {id} ({state}) of {:#x}>", self.transport.key))
        });
        described.unwrap_or_else(|_| "<nacre channel (of the process before fork)>".to_owned())
    }

    /// Something under the lock that does not wait.
    fn with<T>(&self, work: impl FnOnce(&mut Locked, ChannelId) -> Result<T>) -> Result<T> {
        self.transport.engine().check()?;
        let mut locked = self.transport.lock();
        let result = work(&mut locked, self.id);
        locked.pump();
        result
    }
}
