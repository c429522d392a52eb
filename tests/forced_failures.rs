//! What happens when AWS-LC fails: each of its requests for memory is refused once, and then all from there on. Whatever
//! comes of it, an error is never taken for a success: nothing forged opens or verifies, and what is given out is right.

use std::any::Any;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use nacre::crypto::{
    CIPHERS, CipherAlgorithm, HashAlgorithm, KEX_ALGORITHMS, KexMethod, MACS, MacAlgorithm, OneRound, SharedSecret,
    derive_key, opener, sealer,
};
use nacre::error::{Error, Result};
use nacre::keys::{KeyType, PrivateKey, PublicKey};
use nacre::wire::Reader;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusing {
    Nothing,
    /// This request, counted down, and whether those after it too.
    At(usize, bool),
}

thread_local! {
    static REFUSING: Cell<Refusing> = const { Cell::new(Refusing::Nothing) };
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

fn is_refused() -> bool {
    let refused = match REFUSING.get() {
        Refusing::Nothing => false,
        Refusing::At(0, on) => {
            REFUSING.set(if on { Refusing::At(0, true) } else { Refusing::Nothing });
            true
        }
        Refusing::At(left, on) => {
            REFUSING.set(Refusing::At(left - 1, on));
            false
        }
    };
    REFUSED.set(REFUSED.get() || refused);
    refused
}

unsafe extern "C" fn allocate(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    if is_refused() { std::ptr::null_mut() } else { unsafe { libc::malloc(size) } }
}
unsafe extern "C" fn reallocate(old: *mut c_void, size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    if is_refused() { std::ptr::null_mut() } else { unsafe { libc::realloc(old, size) } }
}
unsafe extern "C" fn release(old: *mut c_void, _: *const c_char, _: c_int) {
    unsafe { libc::free(old) }
}

/// Before anything of AWS-LC is used.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let set = unsafe { aws_lc_sys::CRYPTO_set_mem_functions(Some(allocate), Some(reallocate), Some(release)) };
        assert_eq!(set, 1, "the memory functions can be set");
        // What the bindings unwrap panics; the C boundary turns that into an error. Nobody has to read it here.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if REFUSING.get() == Refusing::Nothing && !REFUSED.get() {
                usual(info);
            }
        }));
    });
}

type Outcome<T> = std::result::Result<Result<T>, Box<dyn Any + Send>>;

fn attempt<T>(refusing: Refusing, work: &impl Fn() -> Result<T>) -> (Outcome<T>, bool) {
    REFUSED.set(false);
    REFUSING.set(refusing);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    REFUSING.set(Refusing::Nothing);
    (outcome, REFUSED.replace(false))
}

/// Does the work with every request refused in turn (of many, with some). What it gives has to be right; None: it may never
/// succeed. Returns how many attempts there were with a refusal.
fn refuse_each<T>(what: &str, work: impl Fn() -> Result<T>, is_right: Option<&dyn Fn(&T) -> bool>) -> usize {
    let check = |outcome: &Outcome<T>, refusing: Refusing| {
        if let Ok(Ok(given)) = outcome {
            assert!(
                is_right.is_some_and(|is_right| is_right(given)),
                "{what}: an error passed for a success: {refusing:?}"
            );
        }
    };
    // Once without: what is made once for the whole process is made now.
    let outcome = attempt(Refusing::Nothing, &work).0;
    check(&outcome, Refusing::Nothing);
    assert_eq!(matches!(outcome, Ok(Ok(_))), is_right.is_some(), "{what}");
    let mut attempts = 0;
    for and_all_later in [false, true] {
        let mut index = 0;
        loop {
            let refusing = Refusing::At(index, and_all_later);
            let (outcome, refused) = attempt(refusing, &work);
            check(&outcome, refusing);
            if !refused {
                break;
            }
            attempts += 1;
            index += 1 + index / 16;
        }
    }
    // Afterwards all is as before.
    assert_eq!(work().is_ok(), is_right.is_some(), "{what}");
    attempts
}

const KEYS: [(KeyType, u32); 5] = [
    (KeyType::Ed25519, 0),
    (KeyType::Ecdsa(256), 0),
    (KeyType::Ecdsa(384), 0),
    (KeyType::Ecdsa(521), 0),
    (KeyType::Rsa, 2048),
];

#[test]
fn failures_while_signing_and_verifying() {
    prepare();
    let mut attempts = 0;
    for (kind, bits) in KEYS {
        let key = PrivateKey::generate(kind, bits).expect("a key");
        let public = key.public();
        let names = ["ssh-rsa"].iter().chain(public.signature_algorithms()).filter(|name| public.fits(name));
        for name in names {
            let good = key.sign(name, b"data").expect("a signature");
            let verifies = |blob: &Vec<u8>| public.verify(name, b"data", blob).is_ok();
            attempts += refuse_each(&format!("{name}: sign"), || key.sign(name, b"data"), Some(&verifies));
            attempts +=
                refuse_each(&format!("{name}: verify"), || public.verify(name, b"data", &good), Some(&|()| true));
            let mut flipped = good.clone();
            *flipped.last_mut().expect("bytes") ^= 1;
            refuse_each(&format!("{name}: verify a forgery"), || public.verify(name, b"data", &flipped), None);
            refuse_each(&format!("{name}: verify of other data"), || public.verify(name, b"Data", &good), None);
        }
    }
    assert!(attempts > 100, "{attempts}: nothing was refused");
}

#[test]
fn failures_while_keys_are_read_and_made() {
    prepare();
    for (kind, bits) in KEYS {
        let key = PrivateKey::generate(kind, bits).expect("a key");
        let blob = key.public().blob();
        let same = |read: &PublicKey| read == key.public();
        refuse_each("read a blob", || PublicKey::from_blob(blob), Some(&same));
        let text = key.to_openssh(None, 0).expect("text");
        let whole = |read: &PrivateKey| {
            let signature = read.sign(read.public().signature_algorithms()[0], b"data").expect("a signature");
            same(read.public())
                && key.public().verify(key.public().signature_algorithms()[0], b"data", &signature).is_ok()
        };
        refuse_each("read a file", || PrivateKey::from_openssh(text.as_bytes(), None), Some(&whole));
        if matches!(kind, KeyType::Ecdsa(_)) {
            // Off the curve.
            let mut bad = blob.to_vec();
            *bad.last_mut().expect("bytes") ^= 1;
            refuse_each("read a bad point", || PublicKey::from_blob(&bad), None);
        }
        if kind != KeyType::Rsa {
            let made = |made: &PrivateKey| {
                let name = made.public().signature_algorithms()[0];
                let signature = made.sign(name, b"data").expect("a signature");
                made.public().verify(name, b"data", &signature).is_ok()
            };
            refuse_each("generate", || PrivateKey::generate(kind, bits), Some(&made));
        }
    }
}

/// A private exponent or prime that does not belong to the key: no failure lets it pass.
#[test]
fn failures_while_an_rsa_key_is_checked() {
    prepare();
    let key = PrivateKey::generate(KeyType::Rsa, 2048).expect("a key");
    let text = key.to_openssh(None, 0).expect("text");
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = base64(&body);
    let mut reader = Reader::new(&bytes);
    reader.bytes(15).expect("the mark");
    for _ in 0..3 {
        reader.string().expect("a field");
    }
    let start = bytes.len() - reader.rest().len();
    // Somewhere in the private numbers: after the check numbers, the type, the modulus and its exponent.
    let mut private = Reader::new(&bytes[start + 4..]);
    private.string().expect("the public half");
    let at = start + 4 + (bytes.len() - start - 4 - private.remaining()) + 4 + 8 + 11 + 261 + 7 + 40;
    let mut bad = bytes.clone();
    bad[at] ^= 1;
    let bad = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n", to_base64(&bad));
    refuse_each("read a damaged RSA key", || PrivateKey::from_openssh(bad.as_bytes(), None), None);
}

fn base64(text: &str) -> Vec<u8> {
    use base64ct::Encoding;
    base64ct::Base64::decode_vec(text).expect("base64")
}
fn to_base64(bytes: &[u8]) -> String {
    use base64ct::Encoding;
    base64ct::Base64::encode_string(bytes)
}

fn protections() -> Vec<(&'static CipherAlgorithm, Option<&'static MacAlgorithm>)> {
    let with_macs = |cipher: &'static CipherAlgorithm| {
        let macs = MACS.iter().filter(move |_| !cipher.aead).map(move |mac| (cipher, Some(mac)));
        macs.chain(cipher.aead.then_some((cipher, None)))
    };
    CIPHERS.iter().flat_map(with_macs).collect()
}

const BODY: usize = 64;

/// The packet, sealed or not, with room for the longest tag.
fn packet() -> Vec<u8> {
    let mut packet = (BODY as u32).to_be_bytes().to_vec();
    packet.extend((0..BODY).map(|at| at as u8));
    packet
}

#[test]
fn failures_while_packets_are_sealed_and_opened() {
    prepare();
    let mut attempts = 0;
    for (cipher, mac) in protections() {
        let name = format!("{} {}", cipher.name, mac.map_or("", |mac| mac.name));
        let (key, iv) = (vec![5; cipher.key_length], vec![6; cipher.iv_length]);
        let mac_key = vec![7; mac.map_or(0, |mac| mac.key_length)];
        let seal = || -> Result<Vec<u8>> {
            let mut seal = sealer(cipher, mac, &key, &iv, &mac_key)?;
            let mut packet = packet();
            if seal.pads_length_field() {
                // The length counts: four bytes fewer.
                packet.truncate(BODY);
                packet[..4].copy_from_slice(&(BODY as u32 - 4).to_be_bytes());
            }
            packet.resize(packet.len() + seal.tag_length(), 0);
            seal.seal(3, &mut packet)?;
            Ok(packet)
        };
        let open = |sealed: &[u8]| -> Result<Vec<u8>> {
            let mut open = opener(cipher, mac, &key, &iv, &mac_key)?;
            let mut packet = sealed.to_vec();
            let prefix = open.prefix_length();
            let length = open.packet_length(3, &mut packet[..prefix])?;
            if length as usize + 4 + open.tag_length() != packet.len() {
                return Err(Error::protocol("another length"));
            }
            open.open(3, &mut packet)?;
            Ok(packet[4..packet.len() - open.tag_length()].to_vec())
        };
        let good = seal().expect("a sealed packet");
        let plain = open(&good).expect("an opened packet");
        assert_eq!(plain, packet()[4..4 + plain.len()]);
        let is_plain = |opened: &Vec<u8>| *opened == plain;
        attempts +=
            refuse_each(&format!("{name}: seal"), seal, Some(&|sealed| open(sealed).is_ok_and(|it| it == plain)));
        attempts += refuse_each(&format!("{name}: open"), || open(&good), Some(&is_plain));
        for at in [0, 4, good.len() / 2, good.len() - 1] {
            let mut forged = good.clone();
            forged[at] ^= 0x10;
            refuse_each(&format!("{name}: open a forgery"), || open(&forged), None);
        }
    }
    assert!(attempts > 100, "{attempts}: nothing was refused");
}

fn exchanged(kex: &OneRound) -> Result<(SharedSecret, SharedSecret)> {
    let client = kex.client()?;
    let (public, ours) = kex.server(client.public())?;
    Ok((ours, client.finish(&public)?))
}

/// The exchanges of one round, without those whose own code takes long and asks AWS-LC for nothing that others do not.
fn exchanges() -> impl Iterator<Item = (&'static str, &'static OneRound)> {
    let is_slow = |name: &str| ["group16", "group18", "sntrup761"].iter().any(|part| name.contains(part));
    KEX_ALGORITHMS.iter().filter(move |kex| !is_slow(kex.name)).filter_map(|kex| match &kex.method {
        KexMethod::OneRound(method) => Some((kex.name, method)),
        KexMethod::GroupExchange => None,
    })
}

fn agree((ours, theirs): &(SharedSecret, SharedSecret)) -> bool {
    ours.encoded() == theirs.encoded()
}

#[test]
fn failures_while_keys_are_exchanged() {
    prepare();
    for (name, method) in exchanges().filter(|(name, _)| !name.contains("nistp")) {
        refuse_each(name, || exchanged(method), Some(&agree));
    }
}

/// AWS-LC 0.47 does not look whether there was memory for a number in EC_KEY_check_fips, which each agreement on a NIST
/// curve calls, and dies there. So each attempt has a process of its own; its death is no success.
#[test]
fn failures_while_keys_are_exchanged_on_nist_curves() {
    const RIGHT: i32 = 0;
    const FAILED: i32 = 1;
    const WRONG: i32 = 2;
    const OVER: i32 = 3;
    prepare();
    for (name, method) in exchanges().filter(|(name, _)| name.contains("nistp")) {
        assert!(exchanged(method).is_ok_and(|pair| agree(&pair)), "{name}");
        for and_all_later in [false, true] {
            let mut index = 0;
            let mut seen = [0; 4];
            while seen[OVER as usize] == 0 {
                let child = unsafe { libc::fork() };
                if child == 0 {
                    let (outcome, refused) = attempt(Refusing::At(index, and_all_later), &|| exchanged(method));
                    let code = match outcome {
                        Ok(Ok(pair)) if !agree(&pair) => WRONG,
                        _ if !refused => OVER,
                        Ok(Ok(_)) => RIGHT,
                        _ => FAILED,
                    };
                    unsafe { libc::_exit(code) };
                }
                let mut status = 0;
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                seen[if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { FAILED } as usize] += 1;
                assert_eq!(seen[WRONG as usize], 0, "{name}: an error passed for a success: {index}");
                index += 1 + index / 16;
            }
            assert!(seen[FAILED as usize] > 10, "{name}: nothing was refused");
        }
    }
}

/// Values that are not of the group are refused whatever else fails.
#[test]
fn failures_while_bad_values_are_looked_at() {
    prepare();
    for (name, method) in exchanges() {
        let length = method.client().expect("a public value").public().len();
        let mut bad_ones = 0;
        for bad in [vec![0; length], vec![0xff; length], vec![4; length - 1], vec![]] {
            // A client's half of a hybrid may be anything of the right length.
            if method.server(&bad).is_err() {
                refuse_each(&format!("{name}: a bad value"), || method.server(&bad), None);
                bad_ones += 1;
            }
        }
        assert!(bad_ones > 0, "{name}");
    }
}

#[test]
fn failures_while_keys_are_derived() {
    prepare();
    for hash in [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
        let derive = || {
            let secret = SharedSecret::from_number(&[9; 32]);
            Ok(derive_key(hash, &secret, b"hash", b'C', b"session", 100))
        };
        let right = derive().expect("a key");
        refuse_each("derive", derive, Some(&|key| *key == right));
        let digest = || Ok(hash.digest(&[b"some", b"data"]));
        let expected = digest().expect("a digest");
        refuse_each("digest", digest, Some(&|given| given.as_ref() == expected.as_ref()));
    }
}
