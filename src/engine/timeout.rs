//! Waiting is an argument.

use std::time::{Duration, Instant};

use super::callback;
use crate::error::{Error, Result};

/// How long a call may wait: for ever, not at all, or so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(Option<Duration>);

impl Timeout {
    pub const FOREVER: Self = Self(None);
    pub const NONE: Self = Self(Some(Duration::ZERO));

    /// -1: for ever, 0: not at all, else milliseconds.
    pub fn from_ms(milliseconds: i32) -> Result<Self> {
        match u64::try_from(milliseconds) {
            Ok(milliseconds) => Ok(Self(Some(Duration::from_millis(milliseconds)))),
            Err(_) if milliseconds == -1 => Ok(Self::FOREVER),
            Err(_) => Err(Error::argument(format!("{milliseconds} is no timeout: -1 is for ever"))),
        }
    }
    pub const fn after(duration: Duration) -> Self {
        Self(Some(duration))
    }
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())))
    }
    /// Whether a call with it may wait here and now: inside a callback none may.
    pub(super) fn may_wait(self) -> bool {
        self.0 != Some(Duration::ZERO) && !callback::inside()
    }
    /// None: never.
    pub(super) fn deadline(self, now: Instant) -> Option<Instant> {
        now.checked_add(self.0?)
    }
}
