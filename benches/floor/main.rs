//! The limit of this machine: the work of an SSH connection with no SSH in it. One thread sends, another receives, over
//! TCP on loopback; each measures its own CPU time.
//!
//!     floor download|upload [--bytes N] [--cipher NAME]
//!     floor handshake [--count N]

mod handshake;
mod seal;
mod transfer;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

const USAGE: &str = "usage: floor download|upload [--bytes N] [--cipher NAME]\n       floor handshake [--count N]";

struct Settings {
    job: String,
    bytes: u64,
    count: u32,
    cipher: String,
}

fn settings() -> Option<Settings> {
    let mut arguments = std::env::args().skip(1);
    let mut settings =
        Settings { job: arguments.next()?, bytes: 1 << 30, count: 500, cipher: "aes128-gcm@openssh.com".to_owned() };
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--bytes" => settings.bytes = value.parse().ok()?,
            "--count" => settings.count = value.parse().ok()?,
            "--cipher" => settings.cipher = value,
            _ => return None,
        }
    }
    Some(settings)
}

fn main() {
    let Some(settings) = settings() else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    let result = match settings.job.as_str() {
        "download" | "upload" => transfer::run(&settings),
        "handshake" => handshake::run(&settings),
        other => Err(io::Error::other(format!("unsupported: job {other}"))),
    };
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

/// A listening socket on loopback and how to connect to it.
fn loopback() -> io::Result<(TcpListener, impl Fn() -> io::Result<TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let connect = move || {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    Ok((listener, connect))
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Seconds of CPU that the calling thread has used.
fn thread_cpu_seconds() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the right type.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Runs both ends, each on a thread of its own; the result is the CPU seconds of each.
fn both(
    first: impl FnOnce() -> io::Result<()> + Send + 'static,
    second: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<(f64, f64)> {
    fn measured(
        end: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> impl FnOnce() -> io::Result<f64> + Send + 'static {
        move || {
            let before = thread_cpu_seconds();
            end()?;
            Ok(thread_cpu_seconds() - before)
        }
    }
    let second = thread::spawn(measured(second));
    let first = thread::spawn(measured(first)).join().map_err(|_| io::Error::other("a thread failed"))??;
    let second = second.join().map_err(|_| io::Error::other("a thread failed"))??;
    Ok((first, second))
}
