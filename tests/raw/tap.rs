//! A man in the middle who cannot break the cryptography, but sees where each packet begins.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use super::message;

/// What the one in the middle does to one direction.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// IGNORE messages slipped in before the sender's NEWKEYS.
    pub inserts: usize,
    /// Sealed packets dropped right after it.
    pub drops: usize,
}

impl Attack {
    pub const NONE: Self = Self { inserts: 0, drops: 0 };
    pub const TERRAPIN: Self = Self { inserts: 1, drops: 1 };
}

/// Passes one direction on, changed.
pub fn pass(mut from: UnixStream, mut to: UnixStream, attack: Attack, first_sealed: usize) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let done = pass_on(&mut from, &mut to, attack, first_sealed);
        let _ = done;
        let _ = to.shutdown(std::net::Shutdown::Write);
    })
}

/// `first_sealed`: the length of the packet that is dropped, which an attacker knows from experience.
fn pass_on(from: &mut UnixStream, to: &mut UnixStream, attack: Attack, first_sealed: usize) -> std::io::Result<()> {
    let mut byte = [0];
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        from.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    to.write_all(&line)?;
    loop {
        let mut packet = vec![0; 4];
        from.read_exact(&mut packet)?;
        let length = u32::from_be_bytes(packet.clone().try_into().unwrap()) as usize;
        packet.resize(4 + length, 0);
        from.read_exact(&mut packet[4..])?;
        if packet[5] == 21 {
            for _ in 0..attack.inserts {
                to.write_all(&plain(&message(2).string("").0))?;
            }
            to.write_all(&packet)?;
            break;
        }
        to.write_all(&packet)?;
    }
    for _ in 0..attack.drops {
        from.read_exact(&mut vec![0; first_sealed])?;
    }
    std::io::copy(from, to).map(drop)
}

fn plain(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let mut packet = u32::try_from(1 + payload.len() + padding).unwrap().to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// Two ends and the one in between: `up` is what the client sends, `down` what the server sends.
pub fn between(up: (Attack, usize), down: (Attack, usize)) -> (UnixStream, UnixStream, [JoinHandle<()>; 2]) {
    let (client, near) = UnixStream::pair().unwrap();
    let (far, server) = UnixStream::pair().unwrap();
    let passing =
        [pass(near.try_clone().unwrap(), far.try_clone().unwrap(), up.0, up.1), pass(far, near, down.0, down.1)];
    (client, server, passing)
}
