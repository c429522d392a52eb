//! Threads of the library: named, with all signals blocked, so that the application's handlers run on its own threads.

use std::io;
use std::thread::{Builder, JoinHandle};

pub fn spawn(name: &str, stack_size: usize, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let mut builder = Builder::new().name(name.to_owned());
    if stack_size > 0 {
        builder = builder.stack_size(stack_size);
    }
    // A new thread inherits the mask; blocked here rather than in the thread, no signal can come in between.
    // SAFETY: both sets live through the calls; all-zero is a valid sigset_t to be filled.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let result = builder.spawn(body);
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        result
    }
}
