//! Signatures by keys whose private half is elsewhere.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::waiter::lock;
use super::{Decision, Ticket, callback};
use crate::error::{Error, Result};
use crate::session::{Answer, PrivateKey, PublicKey, Question, ToSign};

/// The application, asked for signatures. It runs with no lock held. Dropping it means that no call can follow.
pub trait Signer: Send + Sync {
    /// [`Decision::Defer`]: the answer comes through the ticket. No other decision is an answer: without one the ticket
    /// is refused.
    fn sign(&self, ticket: &Arc<Ticket>) -> Decision;
}

/// What stands behind a key of [`key_of_signer`].
pub(super) enum Outside {
    Application(Arc<dyn Signer>),
}

/// A key that the application signs for.
pub fn key_of_signer(public: PublicKey, comment: String, signer: Arc<dyn Signer>) -> PrivateKey {
    PrivateKey::elsewhere(public, comment, Arc::new(Outside::Application(signer)))
}

pub(super) fn outside_of(key: &PrivateKey) -> Option<&Outside> {
    key.signer().and_then(|signer| signer.downcast_ref())
}

/// How long a signer has that no connection waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A signature outside of any connection: the blob of the protocol. Where somebody else signs this waits for it, and
/// what comes is verified.
pub fn sign(key: &Arc<PrivateKey>, algorithm: &str, data: &[u8]) -> Result<Vec<u8>> {
    let Some(Outside::Application(signer)) = outside_of(key) else { return key.sign(algorithm, data) };
    let wanted = ToSign::new(key, algorithm, data)?;
    if callback::inside() {
        return Err(Error::state("inside a callback no signer is asked"));
    }
    let slot = Arc::new(Slot::default());
    let ticket = Ticket::apart(Question::Sign(wanted.clone()), &slot);
    let decision = callback::run(|| signer.sign(&ticket));
    if decision != Decision::Defer {
        // It has answered, or refuses.
        let _ = ticket.decide(Decision::Reject);
    }
    drop(ticket);
    match slot.wait(Instant::now() + PATIENCE) {
        Some(Answer::Bytes(given)) => wanted.accept(&given),
        Some(Answer::Failed(error)) => Err(error),
        Some(_) => Err(Error::Callback("the signer refused to sign".into())),
        None => Err(Error::timeout("the signer did not sign in time")),
    }
}

/// Where the answer goes that no connection waits for.
#[derive(Default)]
pub(super) struct Slot {
    answer: Mutex<Option<Answer>>,
    given: Condvar,
}

impl Slot {
    /// Argument: this answers no such question.
    pub fn give(&self, answer: Answer) -> Result<()> {
        if !matches!(answer, Answer::Bytes(_) | Answer::Failed(_) | Answer::Reject) {
            return Err(Error::argument("this answer does not fit the question"));
        }
        *lock(&self.answer) = Some(answer);
        self.given.notify_all();
        Ok(())
    }

    fn wait(&self, deadline: Instant) -> Option<Answer> {
        let mut answer = lock(&self.answer);
        while answer.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            answer = self.given.wait_timeout(answer, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        answer.take()
    }
}
