//! Requests on a channel, and how what runs there ended.

use super::super::operation::Kind;
use super::super::state::{Locked, Pending};
use super::super::waiting::Interests;
use super::super::{Reply, Started, Timeout};
use super::Channel;
use crate::error::{Error, Result};
use crate::session::Exit;

impl Channel {
    pub fn request(
        &self,
        name: &str,
        data: &[u8],
        want_reply: bool,
        timeout: Timeout,
        want_op: bool,
    ) -> Started<Reply> {
        let id = self.id;
        let start = |locked: &mut Locked, op| {
            match locked.usable(id) {
                Some(Err(error)) => return Err(error),
                Some(Ok(())) => {}
                None => {
                    let (name, data) = (name.to_owned(), data.to_vec());
                    if let Some(entry) = locked.channels.get_mut(&id) {
                        entry.pending.push(Pending::Request { op, name, data, want_reply });
                    }
                    return Ok(());
                }
            }
            if let Some(error) = locked.channel_end(id) {
                return Err(error);
            }
            let now = locked.now;
            let begun = locked.active()?.channel_request(id, name, data, want_reply, now)?;
            locked.request_begun(op, Ok(begun), want_reply);
            Ok(())
        };
        self.transport.operate(Kind::Request(id), timeout, want_op, Some(id), start)
    }

    /// How the command ended; Closed when the channel was closed without saying.
    pub fn wait_exit(&self, timeout: Timeout) -> Result<Exit> {
        self.transport.wait_until(timeout, Interests::channel(self.id), |locked| {
            if let Err(error) = locked.usable(self.id)? {
                return Some(Err(error));
            }
            if let Some(exit) = locked.session.as_deref().and_then(|session| session.exit(self.id)) {
                return Some(Ok(exit.clone()));
            }
            if locked.channels.get(&self.id).is_some_and(|entry| entry.peer_closed) {
                return Some(Err(Error::closed("the channel ended without an exit status")));
            }
            locked.channel_end(self.id).map(Err)
        })
    }

    /// None: not known (yet).
    pub fn exit(&self) -> Result<Option<Exit>> {
        self.with(|locked, id| Ok(locked.session.as_deref().and_then(|session| session.exit(id)).cloned()))
    }

    /// EOF, exit status and CLOSE, in order, after what is queued.
    pub fn finish(&self, status: u32) -> Result<()> {
        self.with(|locked, id| locked.now_or_when_open(id, Pending::Finish(status)))
    }
}
