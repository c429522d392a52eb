use crate::error::{Error, Result};
use zeroize::{Zeroize, Zeroizing};

/// Random bytes for padding and cookies. It comes in as an argument, so that a test can be deterministic.
pub trait RandomSource: Send {
    fn fill(&mut self, out: &mut [u8]);
}

const POOL: usize = 4096;

/// AWS-LC's generator, which the operating system seeds.
///
/// The generator gives parent and child of a fork different bytes, but a pool drawn before the fork would be in
/// both. Only who can tell that a fork happened has a pool: see [`SystemRandom::pooled`].
#[cfg_attr(test, derive(Clone))]
pub struct SystemRandom {
    pool: Option<Pool>,
}

#[cfg_attr(test, derive(Clone))]
struct Pool {
    bytes: Zeroizing<Box<[u8]>>,
    used: usize,
    process: fn() -> u64,
    /// What `process` said when the bytes were drawn.
    drawn_in: u64,
}

impl SystemRandom {
    /// Without a pool: the generator is asked each time, which costs more than a small packet does, but no system
    /// call. Safe across fork.
    pub fn new() -> Self {
        Self { pool: None }
    }

    /// With a pool of 4 KiB. `process` says which process this is: another number in a child of fork than in its
    /// parent. It is asked at each filling, so it should be a load and not a system call; what was drawn in another
    /// process is thrown away.
    pub fn pooled(process: fn() -> u64) -> Self {
        let bytes = Zeroizing::new(vec![0; POOL].into_boxed_slice());
        Self { pool: Some(Pool { bytes, used: POOL, process, drawn_in: process() }) }
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl RandomSource for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) {
        match &mut self.pool {
            // A large filling would only empty the pool.
            Some(pool) if out.len() <= POOL / 4 => pool.fill(out),
            _ => fill(out),
        }
    }
}

impl Pool {
    fn fill(&mut self, out: &mut [u8]) {
        let process = (self.process)();
        if process != self.drawn_in || out.len() > POOL - self.used {
            fill(&mut self.bytes);
            self.used = 0;
            self.drawn_in = process;
        }
        let end = self.used + out.len();
        if let Some(taken) = self.bytes.get_mut(self.used..end) {
            out.copy_from_slice(taken);
            taken.zeroize();
        }
        self.used = end;
    }
}

/// AWS-LC's generator aborts the process rather than give bytes that are not random; an error has no way on.
fn fill(out: &mut [u8]) {
    if aws_lc_rs::rand::fill(out).is_err() {
        std::process::abort();
    }
}

/// Random bytes for a secret that lives long.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).map_err(|_| Error::internal("no random numbers"))?;
    Ok(out)
}
