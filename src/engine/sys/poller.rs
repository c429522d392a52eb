//! epoll, level-triggered. Called directly: what a crate around it does behind one's back (hidden descriptors, calls in
//! its `Drop`) reaches the epoll of the parent when it runs in a forked child.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::checked;
use super::descriptor::{self, Descriptor};

/// What one waits for on a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

impl Interest {
    pub const NONE: Self = Self { read: false, write: false };
    pub const READ: Self = Self { read: true, write: false };
    pub const WRITE: Self = Self { read: false, write: true };

    fn epoll(self) -> u32 {
        // Hang-up and error are reported whatever is asked for. With nothing asked for they must come at most once,
        // or a wait would return for ever: EPOLLONESHOT.
        let mut events = if self == Self::NONE { libc::EPOLLONESHOT } else { 0 };
        if self.read {
            events |= libc::EPOLLIN;
        }
        if self.write {
            events |= libc::EPOLLOUT;
        }
        events as u32
    }
    fn poll(self) -> i16 {
        let mut events = 0;
        if self.read {
            events |= libc::POLLIN;
        }
        if self.write {
            events |= libc::POLLOUT;
        }
        events
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Readiness {
    pub key: u64,
    pub read: bool,
    pub write: bool,
}

#[derive(Debug)]
pub struct Poller {
    descriptor: Descriptor,
}

const BATCH: usize = 64;

impl Poller {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let raw = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self { descriptor: Descriptor::new(raw) })
    }
    pub fn raw(&self) -> RawFd {
        self.descriptor.raw()
    }
    pub fn close(&self) {
        self.descriptor.close();
    }
    /// In a forked child: an epoll of its own, empty, under the same number.
    pub fn renew(&self) -> io::Result<()> {
        descriptor::renew(&self.descriptor, Self::new()?.descriptor)
    }
    pub fn add(&self, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, key, interest)
    }
    pub fn modify(&self, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, key, interest)
    }
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::NONE)
    }
    fn control(&self, operation: libc::c_int, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.epoll(), u64: key };
        // SAFETY: `event` lives through the call.
        checked(unsafe { libc::epoll_ctl(self.descriptor.raw(), operation, fd, &mut event) }).map(drop)
    }

    /// Waits until something is ready or the deadline passed (None: for ever). Signals do not end it.
    pub fn wait(&self, ready: &mut Vec<Readiness>, deadline: Option<Instant>) -> io::Result<()> {
        ready.clear();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        loop {
            // SAFETY: the array has BATCH elements.
            let count = unsafe {
                libc::epoll_wait(
                    self.descriptor.raw(),
                    events.as_mut_ptr(),
                    BATCH as libc::c_int,
                    milliseconds_until(deadline),
                )
            };
            match checked(count) {
                Ok(count) => {
                    ready.extend(events.iter().take(count as usize).map(|event| {
                        let flags = event.events;
                        let broken = flags & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0;
                        Readiness {
                            key: event.u64,
                            read: broken || flags & libc::EPOLLIN as u32 != 0,
                            write: broken || flags & libc::EPOLLOUT as u32 != 0,
                        }
                    }));
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// For epoll_wait and poll: rounded up, so that a deadline has passed when the wait ends for it.
fn milliseconds_until(deadline: Option<Instant>) -> libc::c_int {
    let Some(deadline) = deadline else { return -1 };
    let left = deadline.saturating_duration_since(Instant::now());
    let rounded = left.saturating_add(Duration::from_nanos(999_999)).as_millis();
    libc::c_int::try_from(rounded).unwrap_or(libc::c_int::MAX)
}

/// poll(2) of one stream and one signal; whether the stream is readable (or broken). Signals do not end it.
pub fn poll_pair(fd: RawFd, interest: Interest, signal: RawFd, deadline: Option<Instant>) -> io::Result<bool> {
    let mut items = [
        // A negative number is passed over: without interest a hang-up must not end the wait either.
        libc::pollfd { fd: if interest == Interest::NONE { -1 } else { fd }, events: interest.poll(), revents: 0 },
        libc::pollfd { fd: signal, events: libc::POLLIN, revents: 0 },
    ];
    poll(&mut items, deadline)?;
    let [stream, _] = items;
    Ok(stream.revents & (libc::POLLIN | libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0)
}

/// Waits for any of several descriptors to be readable; tells which.
pub fn poll_readable(fds: &[RawFd], deadline: Option<Instant>) -> io::Result<Vec<bool>> {
    let mut items: Vec<_> = fds.iter().map(|&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    poll(&mut items, deadline)?;
    Ok(items.iter().map(|item| item.revents != 0).collect())
}

fn poll(items: &mut [libc::pollfd], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        // SAFETY: pointer and length describe the slice.
        let count =
            unsafe { libc::poll(items.as_mut_ptr(), items.len() as libc::nfds_t, milliseconds_until(deadline)) };
        match checked(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(drop),
        }
    }
}
