use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::descriptor::{Descriptor, Level, Signal};
use super::poller::{self, Interest, Poller};
use super::timer::Timer;
use super::{process, socket, thread};

fn readable(fd: i32) -> bool {
    poller::poll_readable(&[fd], Some(Instant::now())).unwrap()[0]
}

#[test]
fn a_signal_is_readable_while_it_is_set() {
    let signal = Signal::new().unwrap();
    assert!(!readable(signal.raw()));
    signal.set();
    signal.set();
    assert!(readable(signal.raw()));
    signal.clear();
    assert!(!readable(signal.raw()));
}

#[test]
fn a_level_follows_its_condition() {
    let level = Level::default();
    level.update(true);
    let fd = level.get(true).unwrap();
    assert!(readable(fd));
    level.update(true);
    level.update(false);
    assert!(!readable(fd));
    level.update(true);
    assert!(readable(fd));
    level.renew().unwrap();
    assert!(readable(fd), "a renewed descriptor keeps number and condition");
    assert_eq!(level.get(false).unwrap(), fd);
    assert!(!readable(fd));
}

#[test]
fn a_timer_fires_once_and_can_be_taken_back() {
    let timer = Timer::new().unwrap();
    timer.set(Some(Duration::from_millis(5)));
    assert!(timer.is_set());
    let fired = poller::poll_readable(&[timer.raw()], Some(Instant::now() + Duration::from_secs(5))).unwrap();
    assert!(fired[0]);
    timer.clear();
    assert!(!timer.is_set());
    timer.set(Some(Duration::from_secs(100)));
    timer.set(None);
    assert!(!timer.is_set());
    timer.set(Some(Duration::ZERO));
    assert!(poller::poll_readable(&[timer.raw()], Some(Instant::now() + Duration::from_secs(5))).unwrap()[0]);
}

#[test]
fn the_poller_is_level_triggered_and_a_hang_up_without_interest_comes_once() {
    let (one, mut two) = UnixStream::pair().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(one.as_raw_fd(), 7, Interest::READ).unwrap();
    let mut ready = Vec::new();
    poller.wait(&mut ready, Some(Instant::now())).unwrap();
    assert!(ready.is_empty());
    two.write_all(b"x").unwrap();
    for _ in 0..2 {
        poller.wait(&mut ready, None).unwrap();
        assert_eq!((ready[0].key, ready[0].read, ready[0].write), (7, true, false));
    }
    poller.modify(one.as_raw_fd(), 7, Interest::NONE).unwrap();
    drop(two);
    poller.wait(&mut ready, Some(Instant::now())).unwrap();
    poller.wait(&mut ready, Some(Instant::now() + Duration::from_millis(5))).unwrap();
    assert!(ready.is_empty(), "a hang-up nobody asked for must not come again and again");
    poller.modify(one.as_raw_fd(), 7, Interest::READ).unwrap();
    poller.wait(&mut ready, None).unwrap();
    assert!(ready[0].read);
    poller.remove(one.as_raw_fd()).unwrap();
}

#[test]
fn a_pair_is_polled_for_stream_and_signal() {
    let (one, mut two) = UnixStream::pair().unwrap();
    let signal = Signal::new().unwrap();
    let soon = || Some(Instant::now() + Duration::from_millis(2));
    assert!(!poller::poll_pair(one.as_raw_fd(), Interest::READ, signal.raw(), soon()).unwrap());
    signal.set();
    assert!(!poller::poll_pair(one.as_raw_fd(), Interest::READ, signal.raw(), None).unwrap());
    signal.clear();
    two.write_all(b"x").unwrap();
    assert!(poller::poll_pair(one.as_raw_fd(), Interest::READ, signal.raw(), None).unwrap());
    assert!(!poller::poll_pair(one.as_raw_fd(), Interest::NONE, signal.raw(), soon()).unwrap());
}

#[test]
fn receive_says_whether_more_may_wait_and_send_survives_a_closed_peer() {
    let (one, mut two) = UnixStream::pair().unwrap();
    let one = socket::take_over(one.into_raw_fd()).unwrap();
    let mut buffer = BytesMut::with_capacity(4);
    assert_eq!(socket::receive(one.raw(), &mut buffer, 4).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    two.write_all(b"abcdef").unwrap();
    let (count, full) = socket::receive(one.raw(), &mut buffer, 4).unwrap();
    assert!(full && count >= 4);
    let mut rest = BytesMut::with_capacity(64);
    if count < 6 {
        assert_eq!(socket::receive(one.raw(), &mut rest, 64).unwrap(), (6 - count, false));
    }
    assert_eq!([&buffer[..], &rest[..]].concat(), b"abcdef");
    assert_eq!(socket::send(one.raw(), b"hello").unwrap(), 5);
    let mut got = [0; 5];
    two.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    drop(two);
    assert_eq!(socket::receive(one.raw(), &mut rest, 64).unwrap().0, 0);
    assert_eq!(socket::send(one.raw(), b"x").unwrap_err().raw_os_error(), Some(libc::EPIPE));
}

#[test]
fn only_connected_stream_sockets_are_taken_over() {
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(socket::take_over(file.as_raw_fd()), Err(socket::Unfit::NotAStreamSocket)));
    assert!(matches!(socket::take_over(-1), Err(socket::Unfit::NotOpen)));
    let datagram = std::os::unix::net::UnixDatagram::unbound().unwrap();
    assert!(matches!(socket::take_over(datagram.as_raw_fd()), Err(socket::Unfit::NotAStreamSocket)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(socket::take_over(listener.as_raw_fd()), Err(socket::Unfit::NotAStreamSocket)));
}

#[test]
fn a_connection_attempt_ends_writable_and_tells_how_it_went() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let wait = |made: &Descriptor| {
        let signal = Signal::new().unwrap();
        poller::poll_pair(made.raw(), Interest::WRITE, signal.raw(), None).unwrap();
    };
    let made = socket::connect(&address).unwrap();
    wait(&made);
    socket::connected(made.raw()).unwrap();
    assert_eq!(socket::peer_address(made.raw()), Some(address));
    drop(listener);
    drop(made);
    match socket::connect(&address) {
        Ok(made) => {
            wait(&made);
            assert_eq!(socket::connected(made.raw()).unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
        }
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED)),
    }
}

#[test]
fn the_process_is_known_by_a_number() {
    let token = process::token();
    assert_ne!(token, 0);
    assert_eq!(process::token(), token);
    assert!(process::is_current(token));
    assert!(!process::is_current(token + 1));
}

#[test]
fn threads_are_named_and_block_signals() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let body = move || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        sender.send((std::thread::current().name().map(str::to_owned), status)).unwrap();
    };
    thread::spawn("nacre-test", 0, body).unwrap().join().unwrap();
    let (name, status) = receiver.recv().unwrap();
    assert_eq!(name.as_deref(), Some("nacre-test"));
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
    let blocked = u64::from_str_radix(blocked, 16).unwrap();
    assert_ne!(blocked & (1 << (libc::SIGTERM - 1)), 0);
    assert_ne!(blocked & (1 << (libc::SIGUSR1 - 1)), 0);
}
