//! timerfd: a time inside the poller.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::checked;
use super::descriptor::{self, Descriptor};

#[derive(Debug)]
pub struct Timer {
    descriptor: Descriptor,
}

impl Timer {
    pub fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no pointers are passed.
        let raw = checked(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        Ok(Self { descriptor: Descriptor::new(raw) })
    }
    pub fn raw(&self) -> RawFd {
        self.descriptor.raw()
    }
    pub fn close(&self) {
        self.descriptor.close();
    }
    pub fn renew(&self) -> io::Result<()> {
        descriptor::renew(&self.descriptor, Self::new()?.descriptor)
    }
    /// Readable after `delay`; None: never.
    pub fn set(&self, delay: Option<Duration>) {
        let value = match delay {
            // An all-zero value would disarm it.
            Some(delay) => {
                let delay = delay.max(Duration::from_nanos(1));
                libc::timespec {
                    tv_sec: libc::time_t::try_from(delay.as_secs()).unwrap_or(libc::time_t::MAX),
                    tv_nsec: delay.subsec_nanos() as _,
                }
            }
            None => libc::timespec { tv_sec: 0, tv_nsec: 0 },
        };
        let setting = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // SAFETY: `setting` lives through the call, the old value is not asked for.
        unsafe { libc::timerfd_settime(self.descriptor.raw(), 0, &setting, std::ptr::null_mut()) };
    }
    #[cfg(test)]
    /// Whether a time is set, for tests that nothing ticks while nothing happens.
    pub fn is_set(&self) -> bool {
        // SAFETY: all-zero is a valid itimerspec, and it lives through the call.
        let setting = unsafe {
            let mut setting: libc::itimerspec = std::mem::zeroed();
            libc::timerfd_gettime(self.descriptor.raw(), &mut setting);
            setting
        };
        setting.it_value.tv_sec != 0 || setting.it_value.tv_nsec != 0
    }
    pub fn clear(&self) {
        descriptor::drain(self.descriptor.raw());
    }
}
