//! Where callbacks run: on threads of their own, or, in an engine without threads, inside the calls that drive it.
//! Each transport's run in order, one at a time.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use super::life::Life;
use super::waiter::lock;
use super::{Asker, Decision, Notice, Signer, Ticket, Transport};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a callback: then nothing waits, and nothing is read from the network.
pub fn inside() -> bool {
    INSIDE.get()
}

/// Runs something of the application's: inside, nothing waits.
pub fn run<T>(body: impl FnOnce() -> T) -> T {
    struct Outside(bool);
    impl Drop for Outside {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _outside = Outside(INSIDE.replace(true));
    body()
}

pub(super) enum Job {
    Ask {
        asker: Arc<dyn Asker>,
        ticket: Arc<Ticket>,
    },
    Sign {
        signer: Arc<dyn Signer>,
        ticket: Arc<Ticket>,
    },
    Notify {
        asker: Arc<dyn Asker>,
        notice: Notice,
    },
    /// No call of it follows: its `destroy` runs here, when this was the last that held it.
    Drop(Arc<dyn Asker>),
}

impl Job {
    fn run(self, transport: &Arc<Transport>) {
        match self {
            // Dropping the ticket refuses.
            Self::Ask { ticket, .. } if ticket.channel().is_some_and(|channel| channel.is_given_up()) => drop(ticket),
            Self::Ask { asker, ticket } => {
                let decision = asker.ask(transport, &ticket);
                if decision != Decision::Defer {
                    // It may have been answered already, or nobody waits for it any more: both are fine.
                    let _ = ticket.decide(decision);
                }
            }
            Self::Sign { signer, ticket } => {
                if signer.sign(&ticket) != Decision::Defer {
                    // Refused, unless it has answered.
                    let _ = ticket.decide(Decision::Reject);
                }
            }
            Self::Notify { asker, notice } => asker.notify(transport, &notice),
            Self::Drop(asker) => drop(asker),
        }
    }
}

/// The callbacks of one transport that have not run yet. Its lock is a leaf.
#[derive(Default)]
pub(super) struct Lane {
    jobs: VecDeque<Job>,
    /// In the pool's queue, or being worked on.
    scheduled: bool,
    closed: bool,
}

/// The application freed the transport: nothing more is called. The jobs are for dropping without a lock.
pub(super) fn close_lane(lane: &Mutex<Lane>) -> VecDeque<Job> {
    let mut lane = lock(lane);
    lane.closed = true;
    std::mem::take(&mut lane.jobs)
}

pub(super) struct Pool {
    queue: Mutex<Queue>,
    work: Condvar,
    settings: Settings,
    life: Arc<Life>,
}

pub(super) struct Settings {
    /// 0: whoever drives the engine runs callbacks.
    pub threads: u32,
    pub name: String,
    pub stack_size: usize,
}

#[derive(Default)]
struct Queue {
    /// Weak: a transport that its application freed has nothing more to be told, and an engine that nobody dispatches
    /// any more must not be kept by its own transports.
    authenticated: VecDeque<Weak<Transport>>,
    others: VecDeque<Weak<Transport>>,
    threads: u32,
    idle: usize,
    stopped: bool,
}

impl Queue {
    fn pop(&mut self) -> Option<Arc<Transport>> {
        loop {
            let next = self.authenticated.pop_front().or_else(|| self.others.pop_front())?;
            if let Some(transport) = next.upgrade() {
                return Some(transport);
            }
        }
    }
    fn push(&mut self, transport: &Arc<Transport>) {
        let turn = Arc::downgrade(transport);
        if transport.is_known_user() {
            self.authenticated.push_back(turn);
        } else {
            self.others.push_back(turn);
        }
    }
    fn length(&self) -> usize {
        self.authenticated.len() + self.others.len()
    }
}

impl Pool {
    pub fn new(settings: Settings, life: Arc<Life>) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), work: Condvar::new(), settings, life })
    }

    /// Hands a callback over. Called under the transport's lock; the job is given back when none may run any more.
    pub fn submit(self: &Arc<Self>, transport: &Arc<Transport>, job: Job) -> Option<Job> {
        let mut lane = lock(&transport.lane);
        if lane.closed {
            return Some(job);
        }
        lane.jobs.push_back(job);
        if std::mem::replace(&mut lane.scheduled, true) {
            return None;
        }
        drop(lane);
        self.schedule(Arc::clone(transport));
        None
    }

    fn schedule(self: &Arc<Self>, transport: Arc<Transport>) {
        let mut queue = lock(&self.queue);
        if self.settings.threads == 0 {
            queue.push(&transport);
            drop(queue);
            transport.reactor.kick_others();
            return;
        }
        queue.push(&transport);
        // A thread that was notified counts as idle until it has taken its turn.
        if queue.length() <= queue.idle || queue.threads >= self.settings.threads || queue.stopped {
            self.work.notify_one();
        } else {
            queue.threads += 1;
            let name = format!("{}-cb{}", self.settings.name, queue.threads);
            let pool = Arc::clone(self);
            if self.life.spawn(&name, self.settings.stack_size, move || pool.run()).is_err() {
                queue.threads -= 1;
            }
        }
    }

    /// The body of a callback thread.
    fn run(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(transport) = queue.pop() {
                drop(queue);
                self.work_on(transport);
                queue = lock(&self.queue);
            } else if queue.stopped {
                queue.threads -= 1;
                return;
            } else {
                queue.idle += 1;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }

    /// One callback of one transport; then the next in the queue has its turn.
    fn work_on(self: &Arc<Self>, transport: Arc<Transport>) {
        let job = lock(&transport.lane).jobs.pop_front();
        if let Some(job) = job {
            let result = catch_unwind(AssertUnwindSafe(|| run(|| job.run(&transport))));
            if result.is_err() {
                transport.collapse();
            }
        }
        let mut lane = lock(&transport.lane);
        if lane.jobs.is_empty() {
            lane.scheduled = false;
            drop(lane);
        } else {
            drop(lane);
            self.schedule(transport);
        }
    }

    /// Runs what waits now, bounded, on this thread. Whether anything was there.
    pub fn run_here(self: &Arc<Self>) -> bool {
        const MOST: usize = 64;
        let mut ran = false;
        for _ in 0..MOST {
            let Some(transport) = lock(&self.queue).pop() else { return ran };
            self.work_on(transport);
            ran = true;
        }
        ran
    }

    pub fn is_idle(&self) -> bool {
        lock(&self.queue).length() == 0
    }

    /// Whether no other thread was in here at a fork.
    pub fn is_quiet(&self) -> bool {
        self.queue.try_lock().is_ok()
    }

    pub fn stop(&self) {
        lock(&self.queue).stopped = true;
        self.work.notify_all();
    }
}
