//! Waiting for several handles at once.

use std::sync::Arc;

use super::boundary::{guarded, share_optional};
use super::channel::{nacre_channel, nacre_channel_what, what_of};
use super::engine::nacre_engine;
use super::status::nacre_status;
use super::structs::{public_struct, read};
use super::text::{array, wanted};
use super::transport::nacre_transport;
use crate::engine::{Channel, ChannelEvents, Engine, PollItem, Timeout, Transport, poll};
use crate::error::{Error, Result};

/// One thing that nacre_poll waits for: an event of an engine, an event of a transport, or something on a channel. Just one
/// of the three handles is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nacre_poll_item {
    pub size: usize,
    pub engine: *mut nacre_engine,
    pub transport: *mut nacre_transport,
    pub channel: *mut nacre_channel,
    /// With a channel: a NACRE_CHANNEL_* value.
    pub what: nacre_channel_what,
    /// 0.
    pub reserved: u32,
}
public_struct!(nacre_poll_item, reserved: u32);

enum Polled {
    Engine(Arc<Engine>),
    Transport(Arc<Transport>),
    Channel(Arc<Channel>, ChannelEvents),
}

/// Waits until at least one of `n` items is ready. `ready` is an array of `n` values, each set to 1 or 0; with one item it
/// is a pointer to one value. The engines of the items that have no threads are driven meanwhile.
///
/// NACRE_ERR_AGAIN: none was ready in time. nacre_engine_wake interrupts the wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_poll(
    items: *const *const nacre_poll_item,
    n: usize,
    timeout_ms: i32,
    ready: *mut i32,
) -> nacre_status {
    unsafe {
        guarded(|| {
            let polled = array(items, n)?.iter().map(|item| polled(*item)).collect::<Result<Vec<_>>>()?;
            let ready = std::slice::from_raw_parts_mut(wanted(ready, "the array of results")?, n);
            ready.fill(0);
            if polled.is_empty() {
                return Err(Error::argument("there is nothing to wait for"));
            }
            let items: Vec<_> = polled.iter().map(Polled::as_item).collect();
            for (to, from) in ready.iter_mut().zip(poll(&items, Timeout::from_ms(timeout_ms)?)?) {
                *to = i32::from(from);
            }
            Ok(())
        })
    }
}

impl Polled {
    fn as_item(&self) -> PollItem<'_> {
        match self {
            Self::Engine(engine) => PollItem::Engine(engine),
            Self::Transport(transport) => PollItem::Transport(transport),
            Self::Channel(channel, what) => PollItem::Channel(channel, *what),
        }
    }
}

unsafe fn polled(item: *const nacre_poll_item) -> Result<Polled> {
    unsafe {
        let item = read(item, "an item")?;
        match (share_optional(item.engine)?, share_optional(item.transport)?, share_optional(item.channel)?) {
            (Some(engine), None, None) => Ok(Polled::Engine(engine)),
            (None, Some(transport), None) => Ok(Polled::Transport(transport)),
            (None, None, Some(channel)) => Ok(Polled::Channel(channel, what_of(item.what)?)),
            _ => Err(Error::argument("an item has just one handle")),
        }
    }
}
