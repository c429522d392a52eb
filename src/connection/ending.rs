use super::channel::{Channel, Outgoing, State};
use super::{ChannelId, Connection, ConnectionEvent, Exit, Shared, open_failure};
use crate::error::{Error, Result};
use crate::wire::MessageSink;
use crate::wire::messages::message;

impl Connection {
    /// Sends EOF after what is queued. Reading goes on. A second call does nothing.
    pub fn send_eof(&mut self, id: ChannelId, sink: &mut dyn MessageSink) -> Result<()> {
        let channel = self.channel(id)?;
        match (&channel.state, &channel.outgoing) {
            (State::Closed | State::Failed, _) | (_, Outgoing::CloseSent | Outgoing::ClosePending { .. }) => {
                return Err(Error::closed("the channel is closed"));
            }
            (State::Asked(_), _) => return Err(Error::state("the channel is not accepted yet")),
            (_, Outgoing::EofPending { .. } | Outgoing::EofSent) => return Ok(()),
            (_, Outgoing::Flowing) => channel.outgoing = Outgoing::EofPending { after: channel.newest_question() },
        }
        self.transmit_now(id, sink)
    }

    /// Ends the channel: what is queued goes out, then EOF, then CLOSE. What the peer still sends is
    /// dropped. A second call does nothing.
    pub fn close(&mut self, id: ChannelId, sink: &mut dyn MessageSink) -> Result<()> {
        self.close_with(id, None, sink)
    }

    /// Ends the server's end of a session: after what is queued EOF, how the program ended, and CLOSE.
    pub fn finish(&mut self, id: ChannelId, exit: Exit, sink: &mut dyn MessageSink) -> Result<()> {
        let channel = self.channel(id)?;
        if channel.is_closing() || channel.is_ended() {
            return Err(Error::closed("the channel is closed"));
        }
        self.close_with(id, Some(exit), sink)
    }

    fn close_with(&mut self, id: ChannelId, exit: Option<Exit>, sink: &mut dyn MessageSink) -> Result<()> {
        let (channel, shared) = self.both(id)?;
        if matches!(channel.state, State::Asked(_)) {
            return Err(Error::state("the channel is not accepted yet"));
        }
        channel.closed_here = true;
        channel.drop_unread(shared);
        channel.begin_close(exit);
        channel.give_credit(shared, sink)?;
        self.transmit_now(id, sink)
    }

    /// Ends the channel at once: what is queued is dropped, CLOSE is sent.
    pub fn abort(&mut self, id: ChannelId, sink: &mut dyn MessageSink) -> Result<()> {
        let (channel, shared) = self.both(id)?;
        channel.closed_here = true;
        channel.drop_unread(shared);
        channel.send_queue.clear();
        channel.fail_deferred(shared);
        match &channel.state {
            State::Asked(_) => {
                return self.refuse_open(id, open_failure::ADMINISTRATIVELY_PROHIBITED, "refused", sink);
            }
            State::Open(remote) if !matches!(channel.outgoing, Outgoing::CloseSent) => {
                sink.send(&message!(ChannelClose { recipient_channel: remote.id }))?;
                channel.outgoing = Outgoing::CloseSent;
            }
            _ => channel.begin_close(None),
        }
        Ok(())
    }

    /// The application's last handle is gone: the channel is closed if need be (what was written still goes
    /// out), what was received is dropped, and nothing of it is reported any more. Requests that were reported
    /// can still be answered, and CLOSE waits for that. An open that is not confirmed yet is closed when it is.
    pub fn forget(&mut self, id: ChannelId, sink: &mut dyn MessageSink) -> Result<()> {
        let (channel, shared) = self.both(id)?;
        channel.forgotten = true;
        channel.drop_unread(shared);
        match &channel.state {
            State::Asked(_) => {
                return self.refuse_open(id, open_failure::ADMINISTRATIVELY_PROHIBITED, "refused", sink);
            }
            State::Opening => {
                channel.send_queue.clear();
                channel.take_deferred(shared);
            }
            State::Open(_) => {
                if !matches!(channel.outgoing, Outgoing::CloseSent) {
                    // What nobody has heard of yet nobody will decide. What was asked is still answered, and the end
                    // waits for that.
                    channel.refuse_undelivered(shared)?;
                    channel.send_answers(shared, sink)?;
                    channel.begin_close(None);
                    channel.give_credit(shared, sink)?;
                    self.transmit_now(id, sink)?;
                }
            }
            State::Failed | State::Closed => {}
        }
        self.remove_if_done(id);
        Ok(())
    }

    /// Closes all channels in order, for an orderly end of the connection.
    pub fn close_all(&mut self, sink: &mut dyn MessageSink) -> Result<()> {
        let mut ids: Vec<ChannelId> = self.channels.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let asked = self.channels.get(&id).is_some_and(|channel| matches!(channel.state, State::Asked(_)));
            if asked {
                self.refuse_open(id, open_failure::ADMINISTRATIVELY_PROHIBITED, "the connection ends", sink)?;
            } else {
                self.close(id, sink)?;
            }
        }
        Ok(())
    }

    /// Whether nothing that was written on any channel waits here.
    pub fn all_flushed(&self) -> bool {
        self.channels.keys().all(|id| self.flushed(*id))
    }
}

impl Channel {
    fn refuse_undelivered(&mut self, shared: &Shared) -> Result<()> {
        for event in &shared.events {
            match event {
                ConnectionEvent::Request { id, token: Some(token), .. } if *id == self.id => {
                    self.requests_in.answer(*token, false)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn begin_close(&mut self, exit: Option<Exit>) {
        let after = self.newest_question();
        self.outgoing = match std::mem::replace(&mut self.outgoing, Outgoing::CloseSent) {
            Outgoing::Flowing => Outgoing::ClosePending { eof_sent: false, exit, after },
            Outgoing::EofPending { .. } => Outgoing::ClosePending { eof_sent: false, exit, after },
            Outgoing::EofSent => Outgoing::ClosePending { eof_sent: true, exit, after },
            already => already,
        };
    }
}
