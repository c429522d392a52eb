//! Counts what the packet path allocates: nothing a packet, once its buffers have grown.

use nacre::keys::{KeyType, PrivateKey};
use nacre::transport::{AlgorithmKind, Config, Stage, SystemRandom, Transport, available};
use nacre::wire::messages::message;
use nacre::wire::{MessageSink, Role};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    let _ = ALLOCATIONS.try_with(|counter| counter.set(counter.get() + 1));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// As an engine does: reads of what fits the buffer, at most 64 KiB.
fn carry(from: &mut Transport, to: &mut Transport, now: Instant) -> u64 {
    let mut packets = 0;
    while from.output_length() > 0 {
        let output = from.output();
        let part = &output[..output.len().min(64 * 1024)];
        to.receive_buffer().extend_from_slice(part);
        let length = part.len();
        from.consume_output(length);
        while to.next_packet(now).expect("the peer is good").is_some() {
            packets += 1;
        }
    }
    packets
}

fn connected(cipher: &str, compression: &str, now: Instant) -> (Transport, Transport) {
    let with = |role| {
        let mut config = Config::new(role);
        config.algorithms.set(AlgorithmKind::Cipher, cipher).expect("the cipher is known");
        config.algorithms.set(AlgorithmKind::Compression, compression).expect("the compression is known");
        if role == Role::Server {
            let key = PrivateKey::generate(KeyType::Ed25519, 0).expect("a key is made");
            config.host_keys.push(Arc::new(key));
        }
        Transport::new(config, Box::new(SystemRandom::new()), now).expect("the configuration is good")
    };
    let (mut client, mut server) = (with(Role::Client), with(Role::Server));
    while client.output_length() + server.output_length() > 0 {
        carry(&mut client, &mut server, now);
        carry(&mut server, &mut client, now);
    }
    client.set_stage(Stage::Connected);
    server.set_stage(Stage::Connected);
    (client, server)
}

/// How much a hundred rounds of seven packets allocate, once the buffers have grown.
fn allocations(cipher: &str, compression: &str, length: usize) -> u64 {
    let now = Instant::now();
    let (mut client, mut server) = connected(cipher, compression, now);
    let mut data = vec![7; length];
    let mut round = |number: usize| {
        // Compressed packets are not all of one length.
        for (at, byte) in data.iter_mut().enumerate().step_by(5) {
            *byte = (at * number) as u8;
        }
        for _ in 0..7 {
            let message = message!(ChannelData { recipient_channel: 0, data: &data });
            client.send(&message).expect("the transport is open");
        }
        carry(&mut client, &mut server, now)
    };
    for number in 0..20 {
        round(number);
    }
    let before = ALLOCATIONS.with(Cell::get);
    let packets: u64 = (20..120).map(&mut round).sum();
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    assert_eq!(packets, 700);
    allocations
}

#[test]
fn steady_packets_allocate_nothing() {
    for cipher in available(AlgorithmKind::Cipher) {
        for length in [1, 100, 32 * 1024] {
            assert_eq!(allocations(cipher, "none", length), 0, "{cipher}, {length} bytes a packet");
        }
    }
}

#[test]
fn compressed_packets_allocate_nothing() {
    for length in [1, 100, 32 * 1024] {
        assert_eq!(allocations("aes128-gcm@openssh.com", "zlib", length), 0, "{length} bytes a packet");
    }
}
