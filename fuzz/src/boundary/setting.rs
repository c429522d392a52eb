//! Engines, sockets, and a connection between two transports to begin with.

use super::arguments::{Memory, Pointer, Struct};
use super::{Kind, World, calls};
use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files of this process are here.
pub fn folder() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("nacre-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        folder.to_string_lossy().into_owned()
    })
}

pub fn count_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// What is made once a process, such as a key's file, is made in the first runs.
pub fn check_descriptors(before: usize) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    if RUNS.fetch_add(1, Ordering::Relaxed) > 2 {
        assert_eq!(count_descriptors(), before, "descriptors are left");
    }
}

fn struct_of(size: usize, members: &[(usize, u64)]) -> Memory {
    let mut bytes = vec![0; size];
    bytes[..8].copy_from_slice(&(size as u64).to_ne_bytes());
    for (at, word) in members {
        bytes[8 * at..8 * at + 8].copy_from_slice(&word.to_ne_bytes());
    }
    Memory::of(&bytes)
}

fn size_of(name: &str) -> usize {
    calls::STRUCTS.iter().find(|row| row.0 == name).expect("a struct of the header").1
}

/// Without threads: callbacks come on the thread that calls.
pub fn new_engine(world: &World<'_>) -> *mut c_void {
    let options = struct_of(size_of("nacre_engine_options"), &[]);
    let mut engine = 0u64;
    // SAFETY: both pointers are good.
    let status = unsafe { calls::nacre_engine_new(options.pointer(), (&raw mut engine).cast()) };
    assert_eq!(status, 0, "an engine");
    world.own(Kind::nacre_engine, engine as *mut c_void);
    engine as *mut c_void
}

pub unsafe fn call_nacre_engine_new(world: &World<'_>) {
    let options = world.given_struct("nacre_engine_options", size_of("nacre_engine_options"));
    // The members `threads` and `callback_threads` are the second word: no threads.
    let place = world.cell();
    if options.words().get(1).is_some_and(|word| *word as u32 != 0) {
        return;
    }
    let status = unsafe { calls::nacre_engine_new(options.pointer(), place.pointer()) };
    if status == 0 {
        world.own_optional(Kind::nacre_engine, &place);
    }
    world.check_status(status);
}

fn socket_pair() -> [i32; 2] {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    let made = unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) };
    assert_eq!(made, 0, "a socket pair");
    ends
}

pub unsafe fn call_nacre_transport_from_fd(world: &World<'_>) {
    let engine = world.handle(Kind::nacre_engine);
    let (place, error) = (world.cell(), world.cell());
    let ends = socket_pair();
    let fd = match world.byte() {
        255 => -1,
        254 => i32::MAX,
        _ => ends[0],
    };
    let status = unsafe { calls::nacre_transport_from_fd(engine, fd, place.pointer(), error.pointer()) };
    if status == 0 && fd == ends[0] {
        world.own_optional(Kind::nacre_transport, &place);
        world.peers.borrow_mut().push(ends[1]);
    } else {
        assert_ne!(status, 0, "a transport without a descriptor");
        // SAFETY: they are still this test's.
        unsafe {
            assert_eq!(libc::close(ends[0]), 0, "a failure leaves the descriptor");
            libc::close(ends[1]);
        }
    }
    world.own_optional(Kind::nacre_error, &error);
    world.check_status(status);
}

/// Where nobody listens, and what is no address; no name is looked up.
pub unsafe fn call_nacre_transport_dial(world: &World<'_>) {
    const ADDRESSES: &[&std::ffi::CStr] =
        &[c"127.0.0.1:1", c"[::1]:1", c"", c":", c"127.0.0.1:99999", c"[::1", c"127.0.0.1:x", c"[127.0.0.1]:1"];
    let engine = world.handle(Kind::nacre_engine);
    let address = ADDRESSES[usize::from(world.byte()) % ADDRESSES.len()];
    let (timeout, place, op, error) = (world.timeout(), world.cell(), world.cell(), world.cell());
    let status = unsafe {
        calls::nacre_transport_dial(
            engine,
            address.as_ptr().cast_mut().cast(),
            timeout,
            place.pointer(),
            op.pointer(),
            error.pointer(),
        )
    };
    world.own_optional(Kind::nacre_transport, &place);
    world.own_optional(Kind::nacre_error, &error);
    world.note_operation(&op);
    world.check_status(status);
}

pub unsafe fn call_nacre_poll(world: &World<'_>) {
    let count = usize::from(world.byte() % 5);
    let items: Vec<Memory> = (0..count)
        .map(|_| {
            let which = world.byte() % 4;
            let handle = match which {
                0 => world.handle(Kind::nacre_engine),
                1 => world.handle(Kind::nacre_transport),
                _ => world.handle(Kind::nacre_channel),
            };
            let place = 1 + usize::from(which.min(2));
            let what = u64::from(world.byte() % 6);
            struct_of(size_of("nacre_poll_item"), &[(place, handle as u64), (4, what)])
        })
        .collect();
    let pointers: Vec<u8> = items.iter().flat_map(|item| (item.pointer() as usize).to_ne_bytes()).collect();
    let pointers = Memory::of(&pointers);
    let ready = if world.byte() > 250 { Memory::NONE } else { Memory::zeroed(4 * count) };
    let status = unsafe { calls::nacre_poll(pointers.pointer(), count, world.timeout(), ready.pointer()) };
    world.check_status(status);
}

/// RSA keys take too long to make.
pub unsafe fn call_nacre_key_generate(world: &World<'_>) {
    let kind = *[1, 2, 2, 0, 9].get(usize::from(world.byte() % 5)).unwrap_or(&1);
    let bits = *[0, 256, 384, 521, 7].get(usize::from(world.byte() % 5)).unwrap_or(&0);
    let (comment, place, error) = (world.text(""), world.cell(), world.cell());
    let status = unsafe { calls::nacre_key_generate(kind, bits, comment.pointer(), place.pointer(), error.pointer()) };
    world.own_optional(Kind::nacre_key, &place);
    world.own_optional(Kind::nacre_error, &error);
    world.check_status(status);
}

/// One bounded round of each engine.
pub fn dispatch(world: &World<'_>) {
    let engines: Vec<*mut c_void> = {
        let owned = world.owned.borrow();
        owned.iter().filter(|entry| entry.0 == Kind::nacre_engine).map(|entry| entry.1).collect()
    };
    for engine in engines {
        // A callback of the round before may have given this one up.
        let still = world.owned.borrow().iter().any(|entry| entry.1 == engine);
        if still {
            // SAFETY: an owned handle.
            world.check_status(unsafe { calls::nacre_engine_dispatch(engine, 0) });
        }
    }
}

/// Bytes to a transport whose peer is this test.
pub fn write_to_peer(world: &World<'_>) {
    let choice = usize::from(world.byte());
    let peer = {
        let peers = world.peers.borrow();
        match peers.get(choice % peers.len().max(1)) {
            Some(peer) => *peer,
            None => return,
        }
    };
    let data = match world.byte() {
        0..=63 => b"SSH-2.0-fuzz\r\n".to_vec(),
        _ => world.input.borrow_mut().bytes(500).to_vec(),
    };
    // SAFETY: the descriptor is this test's, the bytes are there; a full socket takes nothing.
    unsafe { libc::send(peer, data.as_ptr().cast(), data.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
}

/// Nothing, a client or a server, or both of them logged in with a channel between them.
pub fn begin(world: &World<'_>) {
    let shape = world.byte();
    new_engine(world);
    if shape & 1 != 0 {
        connect(world, shape & 2 != 0);
    }
}

/// Made once: what takes long is not what is tested here.
fn host_key() -> *mut c_void {
    static KEY: OnceLock<usize> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0usize;
        // SAFETY: the pointers are good or may be NULL.
        let status = unsafe {
            calls::nacre_key_generate(1, 0, std::ptr::null_mut(), (&raw mut key).cast(), std::ptr::null_mut())
        };
        assert_eq!(status, 0, "a key");
        key
    }) as *mut c_void
}

fn connect(world: &World<'_>, as_events: bool) {
    world.quiet.set(true);
    let engine = world.handle(Kind::nacre_engine);
    let ends = socket_pair();
    let [client, server] = ends.map(|end| {
        let mut transport = 0usize;
        // SAFETY: the pointers are good or may be NULL, as in all that follows.
        let status =
            unsafe { calls::nacre_transport_from_fd(engine, end, (&raw mut transport).cast(), std::ptr::null_mut()) };
        assert_eq!(status, 0, "a transport");
        world.own(Kind::nacre_transport, transport as *mut c_void);
        transport as *mut c_void
    });
    let server_callbacks = callbacks(world, "nacre_server_callbacks");
    let client_callbacks = callbacks(world, "nacre_client_callbacks");
    // NACRE_HOST_KEY_ANY.
    let check = struct_of(size_of("nacre_host_key_check"), &[(3, 1)]);
    let (user, password) = (super::arguments::with_nul(b"u"), super::arguments::with_nul(b"p"));
    let options = struct_of(
        size_of("nacre_connect_options"),
        &[
            (1, check.pointer() as u64),
            (2, user.pointer() as u64),
            (4, password.pointer() as u64),
            (5, client_callbacks.pointer() as u64),
        ],
    );
    let mut op = 0u64;
    unsafe {
        world.check_status(calls::nacre_transport_add_host_key(server, host_key()));
        world.check_status(calls::nacre_transport_start_server(
            server,
            server_callbacks.pointer(),
            0,
            (&raw mut op).cast(),
        ));
        world.check_status(calls::nacre_transport_connect(client, options.pointer(), 0, (&raw mut op).cast()));
        for _ in 0..200 {
            if calls::nacre_transport_is_authenticated(client) == 1 {
                break;
            }
            world.check_status(calls::nacre_engine_dispatch(engine, 1));
        }
        assert_eq!(calls::nacre_transport_is_authenticated(client), 1, "the login of the beginning");
        if as_events {
            world.check_status(calls::nacre_transport_set_questions(server, 1));
        }
        let mut channel = 0usize;
        let status = calls::nacre_transport_open_session(client, 0, (&raw mut channel).cast(), (&raw mut op).cast());
        if channel != 0 {
            world.own(Kind::nacre_channel, channel as *mut c_void);
        }
        world.check_status(status);
    }
    dispatch(world);
    dispatch(world);
    world.quiet.set(false);
}

fn callbacks(world: &World<'_>, name: &str) -> Struct {
    let mut kept = Vec::new();
    let words = super::callbacks::members(world, name, size_of(name), &mut kept);
    let members: Vec<(usize, u64)> = words.into_iter().enumerate().map(|(at, word)| (at + 1, word)).collect();
    Struct::new(struct_of(size_of(name), &members), kept)
}
