use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::time::{Duration, Instant};

/// An application that takes longer than this is not waited for.
const LONGEST: Duration = Duration::from_secs(5);

/// When a refusal may go out. Its time must not tell whether the user exists: it is the first step of a ladder that
/// is not before the decision, and the ladder depends on the name only, in a way that strangers cannot compute
/// (as OpenSSH: 5 to 9.2 ms, doubled until there is enough).
pub struct FailureDelay {
    least: Duration,
    secret: [u8; 16],
}

impl FailureDelay {
    pub fn new(least: Duration, secret: [u8; 16]) -> Self {
        Self { least, secret }
    }

    pub fn due(&self, user: &[u8], started: Instant, now: Instant) -> Instant {
        let elapsed = now.saturating_duration_since(started);
        if self.least.is_zero() || elapsed > LONGEST {
            return now;
        }
        let mut delay = self.least + self.share_of(user);
        while delay < elapsed {
            delay *= 2;
        }
        started + delay
    }

    /// 0 to 4.2 ms.
    fn share_of(&self, user: &[u8]) -> Duration {
        // SipHash: keyed by the secret that stands before the name.
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.secret);
        hasher.write(user);
        Duration::from_nanos((hasher.finish() & 0xffff_ffff) / 1024)
    }
}
