//! Stream sockets: taking one over, connecting, receiving, sending.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;

use bytes::BytesMut;

use super::checked;
use super::descriptor::Descriptor;

/// Receives once, straight into the spare room of `buffer` (at least `minimum`, made if need be).
/// The result is (bytes, whether the room was filled, so that more may be waiting); 0 bytes: the end of the stream.
pub fn receive(fd: RawFd, buffer: &mut BytesMut, minimum: usize) -> io::Result<(usize, bool)> {
    buffer.reserve(minimum);
    let spare = buffer.spare_capacity_mut();
    let room = spare.len();
    loop {
        // SAFETY: pointer and length are the spare room; the kernel only writes to it.
        let count = unsafe { libc::recv(fd, spare.as_mut_ptr().cast(), room, libc::MSG_DONTWAIT) };
        if let Ok(count) = usize::try_from(count) {
            let length = buffer.len() + count;
            // SAFETY: the kernel has just filled `count` bytes after the old length, within the capacity.
            unsafe { buffer.set_len(length) };
            return Ok((count, count == room));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sends what the kernel takes now. Never raises SIGPIPE.
pub fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: pointer and length describe the slice.
        let count = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
        if let Ok(count) = usize::try_from(count) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Why a descriptor cannot be taken over.
#[derive(Debug)]
pub enum Unfit {
    NotOpen,
    NotAStreamSocket,
    System(io::Error),
}

/// Takes a connected stream socket over: non-blocking, close-on-exec, without delay where it is TCP. On failure the
/// descriptor is as it was and still the caller's.
pub fn take_over(fd: RawFd) -> Result<Descriptor, Unfit> {
    // SAFETY: fcntl with these commands takes no pointer.
    let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if status < 0 {
        return Err(Unfit::NotOpen);
    }
    match option(fd, libc::SOL_SOCKET, libc::SO_TYPE) {
        Ok(libc::SOCK_STREAM) => {}
        _ => return Err(Unfit::NotAStreamSocket),
    }
    // A listening socket carries no stream.
    if option(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).unwrap_or(0) != 0 {
        return Err(Unfit::NotAStreamSocket);
    }
    // SAFETY: as above.
    unsafe {
        checked(libc::fcntl(fd, libc::F_SETFL, status | libc::O_NONBLOCK)).map_err(Unfit::System)?;
        let flags = libc::fcntl(fd, libc::F_GETFD);
        if let Err(error) = checked(libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC)) {
            libc::fcntl(fd, libc::F_SETFL, status);
            return Err(Unfit::System(error));
        }
    }
    no_delay(fd);
    Ok(Descriptor::new(fd))
}

/// Fails quietly on what is not TCP.
fn no_delay(fd: RawFd) {
    let on: libc::c_int = 1;
    // SAFETY: pointer and length describe `on`.
    unsafe {
        let length = mem::size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), length);
    }
}

fn option(fd: RawFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: both pointers are to locals of the size told.
    checked(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &mut length) })?;
    Ok(value)
}

/// Begins to connect. The result is ready (writable) when `connected` can tell how it went.
pub fn connect(address: &SocketAddr) -> io::Result<Descriptor> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are passed.
    let descriptor = Descriptor::new(checked(unsafe { libc::socket(family, kind, 0) })?);
    no_delay(descriptor.raw());
    let result = match address {
        SocketAddr::V4(v4) => {
            // SAFETY: all-zero is a valid sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { mem::zeroed() };
            raw.sin_family = libc::AF_INET as _;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            // SAFETY: pointer and length describe `raw`.
            unsafe { libc::connect(descriptor.raw(), (&raw const raw).cast(), mem::size_of_val(&raw) as _) }
        }
        SocketAddr::V6(v6) => {
            // SAFETY: all-zero is a valid sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as _;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            raw.sin6_flowinfo = v6.flowinfo();
            // SAFETY: pointer and length describe `raw`.
            unsafe { libc::connect(descriptor.raw(), (&raw const raw).cast(), mem::size_of_val(&raw) as _) }
        }
    };
    match checked(result) {
        Ok(_) => Ok(descriptor),
        // EINTR: the connection goes on all the same.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => Ok(descriptor),
        Err(error) => Err(error),
    }
}

/// How a connection attempt went, once its socket is writable.
pub fn connected(fd: RawFd) -> io::Result<()> {
    match option(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// The peer's address where the socket is IP.
pub fn peer_address(fd: RawFd) -> Option<SocketAddr> {
    // SAFETY: the storage is large enough for every address family and lives through the calls; it is read as the
    // family that the kernel has told.
    unsafe {
        let mut storage: libc::sockaddr_storage = mem::zeroed();
        let mut length = mem::size_of_val(&storage) as libc::socklen_t;
        checked(libc::getpeername(fd, (&raw mut storage).cast(), &mut length)).ok()?;
        match libc::c_int::from(storage.ss_family) {
            libc::AF_INET => {
                let raw = &*(&raw const storage).cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(raw.sin_port)))
            }
            libc::AF_INET6 => {
                let raw = &*(&raw const storage).cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(raw.sin6_port)))
            }
            _ => None,
        }
    }
}

/// Tells the peer's kernel that nothing more comes, and throws away what has come: a close with unread bytes would
/// make the kernel reset the connection, and what was sent last might never be read.
pub fn finish(fd: RawFd) {
    let mut waste = [0u8; 4096];
    // SAFETY: the buffer is writable for its length; shutdown takes no pointer.
    unsafe {
        libc::shutdown(fd, libc::SHUT_WR);
        for _ in 0..64 {
            if libc::recv(fd, waste.as_mut_ptr().cast(), waste.len(), libc::MSG_DONTWAIT) <= 0 {
                break;
            }
        }
    }
}
