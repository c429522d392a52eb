//! Our requests that the peer has not answered: the rooms' tokens and the application's numbers for them.

use super::{ChannelId, RequestId};
use crate::connection::{GlobalToken, RequestToken};

#[derive(Debug, Default)]
pub(super) struct Requests {
    last: RequestId,
    channel: Vec<(ChannelId, RequestToken, RequestId)>,
    global: Vec<(GlobalToken, Option<RequestId>)>,
}

impl Requests {
    pub fn next_id(&mut self) -> RequestId {
        self.last += 1;
        self.last
    }

    pub fn add_channel(&mut self, channel: ChannelId, token: RequestToken) -> RequestId {
        let id = self.next_id();
        self.channel.push((channel, token, id));
        id
    }

    pub fn add_global(&mut self, token: GlobalToken) -> RequestId {
        let id = self.next_id();
        self.global.push((token, Some(id)));
        id
    }

    /// Nobody is told of its answer.
    pub fn add_keepalive(&mut self, token: GlobalToken) {
        self.global.push((token, None));
    }

    pub fn take_channel(&mut self, channel: ChannelId, token: RequestToken) -> Option<RequestId> {
        let at = self.channel.iter().position(|entry| entry.0 == channel && entry.1 == token)?;
        Some(self.channel.remove(at).2)
    }

    pub fn take_global(&mut self, token: GlobalToken) -> Option<RequestId> {
        let at = self.global.iter().position(|entry| entry.0 == token)?;
        self.global.remove(at).1
    }

    /// The channel is gone: its requests will not be answered.
    pub fn abandon_channel(&mut self, channel: ChannelId) -> Vec<RequestId> {
        let (gone, kept) = std::mem::take(&mut self.channel).into_iter().partition(|entry| entry.0 == channel);
        self.channel = kept;
        let gone: Vec<(ChannelId, RequestToken, RequestId)> = gone;
        gone.into_iter().map(|entry| entry.2).collect()
    }
}
