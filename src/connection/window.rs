use crate::error::{Error, Result};

/// How many of the last limits are remembered to see that the peer stopped at one.
const EDGES: usize = 4;

/// The bytes that the peer may send on one channel.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    /// What the peer may still send.
    credit: u32,
    /// The size that the credit is brought back to.
    target: u32,
    max_packet: u32,
    /// How large it may grow; not above `target` where the application fixed the size.
    most: u32,
    received: u64,
    /// Bytes that came without credit.
    exceeded: u64,
    /// Where the peer's credit ended before each of the last adjusts. A sender whose bytes end exactly
    /// there had to wait for the adjust: the window is smaller than what is under way.
    edges: [u64; EDGES],
    adjusts: u64,
}

impl ReceiveWindow {
    pub(super) fn new(target: u32, credit: u32, max_packet: u32, most: u32) -> Self {
        let edges = [u64::MAX; EDGES];
        Self { credit, target, max_packet, most, received: 0, exceeded: 0, edges, adjusts: 0 }
    }

    pub(super) fn credit(&self) -> u32 {
        self.credit
    }

    pub(super) fn max_packet(&self) -> u32 {
        self.max_packet
    }

    pub(super) fn target(&self) -> u32 {
        self.target
    }

    /// Counts what came in; says how much of it had no credit. A tenth of the window is forgiven over
    /// the life of the channel: real peers miscount by a little.
    pub(super) fn receive(&mut self, count: usize) -> Result<u64> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count > self.max_packet {
            return Err(Error::protocol("channel data beyond the maximum packet size"));
        }
        let excess = u64::from(count.saturating_sub(self.credit));
        self.exceeded += excess;
        if self.exceeded > u64::from(self.target / 10) {
            return Err(Error::protocol("channel data beyond the window"));
        }
        self.credit = self.credit.saturating_sub(count);
        self.received += u64::from(count);
        Ok(excess)
    }

    /// Whether the last bytes ended where the peer had to wait for credit, and the window may grow.
    pub(super) fn is_too_small(&self) -> bool {
        self.target < self.most && self.edges.contains(&self.received)
    }

    /// Doubles the target, up to `most`.
    pub(super) fn grow(&mut self, most: u32) {
        self.target = self.target.saturating_mul(2).min(self.most).min(most).max(self.target);
        self.edges = [u64::MAX; EDGES];
    }

    pub(super) fn shrink(&mut self, most: u32) {
        self.target = self.target.min(most);
    }

    /// What brings the window back to its target, once that is half of it.
    pub(super) fn wanted(&self, unread: usize) -> Option<u32> {
        let held = u64::from(self.credit) + u64::try_from(unread).unwrap_or(u64::MAX);
        let missing = u32::try_from(u64::from(self.target).saturating_sub(held)).unwrap_or(u32::MAX);
        (missing >= self.half()).then_some(missing)
    }

    pub(super) fn half(&self) -> u32 {
        (self.target / 2).max(1)
    }

    /// Whether the peer can hardly send any more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.credit < self.max_packet.min(self.half())
    }

    /// What of `wanted` may be given: the budget bounds it, but the room for one packet is always there.
    pub(super) fn affordable(&self, wanted: u32, unread: usize, budget: &Budget) -> u32 {
        let held = u64::from(self.credit) + u64::try_from(unread).unwrap_or(u64::MAX);
        let reserve = u64::from(self.max_packet).saturating_sub(held);
        let allowed = u32::try_from(budget.available().max(reserve)).unwrap_or(u32::MAX);
        let granted = wanted.min(allowed).min(u32::MAX - self.credit);
        // Crumbs are not worth a message.
        if granted < wanted && granted < (self.max_packet / 2).max(1).min(self.half()) { 0 } else { granted }
    }

    /// Adds to the credit what is about to be sent as an adjust; says how much that is.
    pub(super) fn grant(&mut self, granted: u32) -> u32 {
        let mut granted = granted;
        if self.target < self.most && granted > 1 && (self.credit + granted).is_multiple_of(self.max_packet) {
            // A limit that full packets do not happen to end at: so only a peer that waits ends there.
            granted -= 1;
        }
        if self.adjusts > 0
            && let Some(edge) = self.edges.get_mut((self.adjusts % EDGES as u64) as usize)
        {
            *edge = self.received + u64::from(self.credit);
        }
        self.adjusts += 1;
        self.credit = self.credit.saturating_add(granted);
        granted
    }

    /// The peer will send no more: its credit is free again.
    pub(super) fn end(&mut self) -> u32 {
        std::mem::take(&mut self.credit)
    }
}

/// Credit outstanding and unread bytes of all channels of a connection.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn available(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    pub(super) fn take(&mut self, count: u64) {
        self.used += count;
    }

    pub(super) fn release(&mut self, count: usize) {
        self.used = self.used.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(super) fn release_credit(&mut self, credit: u32) {
        self.used = self.used.saturating_sub(u64::from(credit));
    }
}
