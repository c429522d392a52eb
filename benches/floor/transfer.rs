//! A stream of 32 KiB packets: copy, seal, send; receive, open.

use crate::seal::Cipher;
use crate::{Settings, accept, both, loopback};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Length, padding length, message number, channel and length of the data.
const HEADER: usize = 4 + 1 + 1 + 4 + 4;
const DATA: usize = 32 << 10;
const BLOCK: usize = 16;
/// What one system call moves: more does not fit the caches, less costs more calls.
const SEND: usize = 64 << 10;
const RECEIVE: usize = 64 << 10;

pub fn run(settings: &Settings) -> io::Result<()> {
    let (bytes, begin) = (settings.bytes, Instant::now());
    let mut sealing = Cipher::new(&settings.cipher)?;
    let mut opening = Cipher::new(&settings.cipher)?;
    let (listener, connect) = loopback()?;
    let (sender, receiver) = both(
        move || send(&mut accept(&listener)?, &mut sealing, bytes),
        move || receive(&mut connect()?, &mut opening, bytes),
    )?;
    let seconds = begin.elapsed().as_secs_f64();
    let gib = bytes as f64 / f64::from(1 << 30);
    println!(
        "{{\"impl\": \"floor\", \"job\": \"{}\", \"cipher\": \"{}\", \"bytes\": {bytes}, \"seconds\": {seconds:.6}, \
         \"mib_per_s\": {:.2}, \"sender_cpu_s_per_gib\": {:.4}, \"receiver_cpu_s_per_gib\": {:.4}}}",
        settings.job,
        settings.cipher,
        gib * 1024.0 / seconds,
        sender / gib,
        receiver / gib
    );
    Ok(())
}

fn send(stream: &mut TcpStream, cipher: &mut Cipher, bytes: u64) -> io::Result<()> {
    let source = vec![0u8; 256 << 10];
    let mut out = Vec::with_capacity(SEND + DATA + 1024);
    let mut left = bytes;
    while left > 0 {
        let from = (bytes - left) as usize % source.len();
        let length = left.min(DATA as u64).min((source.len() - from) as u64) as usize;
        frame(cipher, &source[from..from + length], &mut out)?;
        left -= length as u64;
        if out.len() >= SEND || left == 0 {
            stream.write_all(&out)?;
            out.clear();
        }
    }
    Ok(())
}

fn frame(cipher: &mut Cipher, data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    let padding = BLOCK - (HEADER - 4 + data.len()) % BLOCK;
    let padding = if padding < 4 { padding + BLOCK } else { padding };
    let length = HEADER - 4 + data.len() + padding;
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(padding as u8);
    out.push(94);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    // Short runs: long ones may be slow where the target lies a few bytes behind the source modulo a page.
    data.chunks(1984).for_each(|run| out.extend_from_slice(run));
    out.resize(start + 4 + length + cipher.tag_length(), 0);
    cipher.seal(&mut out[start..])
}

fn receive(stream: &mut TcpStream, cipher: &mut Cipher, bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0u8; 4 * RECEIVE];
    let (mut from, mut to, mut got) = (0, 0, 0);
    while got < bytes {
        if buffer.len() - to < RECEIVE {
            buffer.copy_within(from..to, 0);
            to -= from;
            from = 0;
        }
        let count = stream.read(&mut buffer[to..to + RECEIVE])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to += count;
        while let Some(prefix) = buffer[from..to].first_chunk::<4>() {
            let whole = 4 + cipher.length(*prefix) + cipher.tag_length();
            if to - from < whole {
                break;
            }
            let packet = &mut buffer[from..from + whole];
            cipher.open(packet)?;
            let data = u32::from_be_bytes(packet[10..14].try_into().map_err(io::Error::other)?);
            got += u64::from(data);
            from += whole;
        }
    }
    Ok(())
}
