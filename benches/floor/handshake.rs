//! Connect, six exchanges of messages as long as those of SSH, and the primitives of a curve25519-sha256 exchange with
//! ed25519 keys at both ends.

use crate::seal::Cipher;
use crate::{Settings, accept, both, loopback};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{self, ED25519, Ed25519KeyPair, KeyPair};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Lengths of what the client sends and what it gets back: identification, KEXINIT, the exchange with NEWKEYS,
/// then sealed: service, the question whether a key would do, the signature.
const EXCHANGES: [(usize, usize); 6] = [(24, 24), (1000, 1000), (48, 240), (64, 256), (160, 112), (256, 36)];
const FAREWELL: usize = 48;
/// What the exchange hash and the signature of the login are over.
const HASHED: usize = 2200;
const SIGNED: usize = 200;
const DERIVED_KEYS: usize = 4;
const CIPHER: &str = "aes128-gcm@openssh.com";

fn failed<E>(_: E) -> io::Error {
    io::Error::other("a primitive failed")
}

/// The keys that both ends have from the start.
struct Keys {
    host: Ed25519KeyPair,
    user: Ed25519KeyPair,
}

impl Keys {
    fn new() -> io::Result<Self> {
        let make = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).map_err(failed);
        Ok(Self { host: make(1)?, user: make(2)? })
    }
}

pub fn run(settings: &Settings) -> io::Result<()> {
    let (count, begin) = (settings.count, Instant::now());
    let (listener, connect) = loopback()?;
    let (client, server) = both(
        move || {
            let keys = Keys::new()?;
            (0..count).try_for_each(|_| client(connect()?, &keys))
        },
        move || {
            let keys = Keys::new()?;
            (0..count).try_for_each(|_| server(accept(&listener)?, &keys))
        },
    )?;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{{\"impl\": \"floor\", \"job\": \"handshake\", \"count\": {count}, \"seconds\": {seconds:.6}, \
         \"ops_per_s\": {:.1}, \"client_cpu_ms\": {:.4}, \"server_cpu_ms\": {:.4}}}",
        f64::from(count) / seconds,
        client * 1000.0 / f64::from(count),
        server * 1000.0 / f64::from(count)
    );
    Ok(())
}

struct End {
    stream: TcpStream,
    message: [u8; 1024],
}

impl End {
    fn new(stream: TcpStream) -> Self {
        Self { stream, message: [0; 1024] }
    }

    fn send(&mut self, length: usize) -> io::Result<()> {
        self.stream.write_all(&self.message[..length])
    }

    fn receive(&mut self, length: usize) -> io::Result<()> {
        self.stream.read_exact(&mut self.message[..length])
    }

    fn send_sealed(&mut self, length: usize, cipher: &mut Cipher) -> io::Result<()> {
        cipher.seal(&mut self.message[..length])?;
        self.send(length)
    }

    fn receive_sealed(&mut self, length: usize, cipher: &mut Cipher) -> io::Result<()> {
        self.receive(length)?;
        cipher.open(&mut self.message[..length])
    }
}

/// Both directions, after hashing and deriving.
fn ciphers() -> io::Result<(Cipher, Cipher)> {
    for _ in 0..DERIVED_KEYS {
        let _ = digest(&SHA256, &[0; 101]);
    }
    Ok((Cipher::new(CIPHER)?, Cipher::new(CIPHER)?))
}

fn agree(private: &PrivateKey, theirs: &[u8]) -> io::Result<()> {
    agreement::agree(private, UnparsedPublicKey::new(&X25519, theirs), failed(()), |_| Ok(()))
}

fn verify(key: &Ed25519KeyPair, data: &[u8], made: &[u8]) -> io::Result<()> {
    signature::UnparsedPublicKey::new(&ED25519, key.public_key()).verify(data, made).map_err(failed)
}

fn client(stream: TcpStream, keys: &Keys) -> io::Result<()> {
    let mut end = End::new(stream);
    for (sent, received) in &EXCHANGES[..2] {
        end.send(*sent)?;
        end.receive(*received)?;
    }
    let private = PrivateKey::generate(&X25519).map_err(failed)?;
    end.message[..32].copy_from_slice(private.compute_public_key().map_err(failed)?.as_ref());
    end.send(EXCHANGES[2].0)?;
    end.receive(EXCHANGES[2].1)?;
    agree(&private, &end.message[..32])?;
    let hash = digest(&SHA256, &[0; HASHED]);
    verify(&keys.host, hash.as_ref(), &end.message[32..96])?;
    let (mut sealing, mut opening) = ciphers()?;
    for (sent, received) in &EXCHANGES[3..5] {
        end.send_sealed(*sent, &mut sealing)?;
        end.receive_sealed(*received, &mut opening)?;
    }
    let made = keys.user.sign(&[0; SIGNED]);
    end.message[4..68].copy_from_slice(made.as_ref());
    end.send_sealed(EXCHANGES[5].0, &mut sealing)?;
    end.receive_sealed(EXCHANGES[5].1, &mut opening)?;
    end.send_sealed(FAREWELL, &mut sealing)
}

fn server(stream: TcpStream, keys: &Keys) -> io::Result<()> {
    let mut end = End::new(stream);
    for (received, sent) in &EXCHANGES[..2] {
        end.send(*sent)?;
        end.receive(*received)?;
    }
    end.receive(EXCHANGES[2].0)?;
    let private = PrivateKey::generate(&X25519).map_err(failed)?;
    let public = private.compute_public_key().map_err(failed)?;
    agree(&private, &end.message[..32])?;
    let hash = digest(&SHA256, &[0; HASHED]);
    let made = keys.host.sign(hash.as_ref());
    end.message[..32].copy_from_slice(public.as_ref());
    end.message[32..96].copy_from_slice(made.as_ref());
    end.send(EXCHANGES[2].1)?;
    let (mut sealing, mut opening) = ciphers()?;
    for (received, sent) in &EXCHANGES[3..5] {
        end.receive_sealed(*received, &mut opening)?;
        end.send_sealed(*sent, &mut sealing)?;
    }
    end.receive_sealed(EXCHANGES[5].0, &mut opening)?;
    let made: [u8; 64] = end.message[4..68].try_into().map_err(failed)?;
    verify(&keys.user, &[0; SIGNED], &made)?;
    end.send_sealed(EXCHANGES[5].1, &mut sealing)?;
    end.receive_sealed(FAREWELL, &mut opening)
}
