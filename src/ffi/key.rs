//! Keys.

use std::ffi::{OsStr, c_char, c_void};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::boundary::{Handle, free, give, of, on, reference, share};
use super::error::{making, nacre_error};
use super::status::nacre_status;
use super::text::{bytes, name, optional_secret, optional_text, piece, put_bytes, put_text, set, text, wanted};
use crate::client::files;
use crate::error::{Error, Result};
use crate::keys::{KeyType, PrivateKey, PublicKey};

/// A public key, or a private key with its public half. It does not change, so any number of threads and transports may
/// use it at once; private parts are wiped when the last owner goes.
pub struct nacre_key {
    _private: [u8; 0],
}

/// The object behind a `nacre_key`.
pub struct Key {
    public: PublicKey,
    comment: String,
    private: Option<Arc<PrivateKey>>,
}

impl Handle for nacre_key {
    type Object = Key;
    const NAME: &'static str = "key";
}

impl Key {
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub fn private(&self) -> Result<&Arc<PrivateKey>> {
        self.private.as_ref().ok_or_else(|| Error::argument("this key has only its public half"))
    }
}

impl From<PublicKey> for Key {
    fn from(public: PublicKey) -> Self {
        Self { public, comment: String::new(), private: None }
    }
}

impl From<Arc<PrivateKey>> for Key {
    fn from(private: Arc<PrivateKey>) -> Self {
        Self { public: private.public().clone(), comment: private.comment().to_owned(), private: Some(private) }
    }
}

/// What kind of key to make.
pub type nacre_key_kind = i32;

/// "ssh-ed25519".
pub const NACRE_KEY_ED25519: nacre_key_kind = 1;
/// "ecdsa-sha2-nistp256", -384 or -521, by the number of bits.
pub const NACRE_KEY_ECDSA: nacre_key_kind = 2;
/// "ssh-rsa", which signs as rsa-sha2-512 and rsa-sha2-256.
pub const NACRE_KEY_RSA: nacre_key_kind = 3;

/// How a fingerprint is made.
pub type nacre_fingerprint_kind = i32;

/// "SHA256:" and base64 without padding.
pub const NACRE_FINGERPRINT_SHA256: nacre_fingerprint_kind = 0;
/// "MD5:" and pairs of digits with colons; only for old lists.
pub const NACRE_FINGERPRINT_MD5: nacre_fingerprint_kind = 1;

/// How a private key is written to a file.
pub type nacre_key_format = i32;

/// OpenSSH's format.
pub const NACRE_KEY_OPENSSH: nacre_key_format = 0;

/// Larger files hold no key.
const LARGEST_FILE: u64 = 1 << 20;

/// Reads a key from a file: a private key in OpenSSH's format, or the one line of a public key (NAME.pub).
///
/// `passphrase` may be NULL; it is not looked at when the file is not encrypted.
/// Errors: NACRE_ERR_NOT_FOUND, _PERMISSION, _IO for the file; _PASSPHRASE missing or wrong; _KEY_FORMAT; _UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_load_file(
    path: *const c_char,
    passphrase: *const c_char,
    key: *mut *mut nacre_key,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        making(err, || {
            set(key, std::ptr::null_mut())?;
            let path = Path::new(OsStr::from_bytes(text(path, "the path")?));
            let content = read_file(path).map_err(|error| files::error(&error, path))?;
            set(key, give(Arc::new(parse(&content, optional_secret(passphrase)?)?)))
        })
    }
}

/// Reads a key from memory that holds what a file would hold. The rest is as for nacre_key_load_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_load_memory(
    data: *const c_void,
    len: usize,
    passphrase: *const c_char,
    key: *mut *mut nacre_key,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        making(err, || {
            set(key, std::ptr::null_mut())?;
            set(key, give(Arc::new(parse(piece(data, len)?, optional_secret(passphrase)?)?)))
        })
    }
}

/// Makes a public key from its blob on the wire (RFC 4253 section 6.6).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_from_blob(
    blob: *const c_void,
    len: usize,
    key: *mut *mut nacre_key,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        making(err, || {
            set(key, std::ptr::null_mut())?;
            set(key, give(Arc::new(Key::from(PublicKey::from_blob(piece(blob, len)?)?))))
        })
    }
}

/// Makes a new private key.
///
/// `kind` is a NACRE_KEY_* value. `bits` 0: the usual number (ECDSA 256, RSA 3072). `comment` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_generate(
    kind: nacre_key_kind,
    bits: u32,
    comment: *const c_char,
    key: *mut *mut nacre_key,
    err: *mut *mut nacre_error,
) -> nacre_status {
    unsafe {
        making(err, || {
            set(key, std::ptr::null_mut())?;
            let kind = match kind {
                NACRE_KEY_ED25519 => KeyType::Ed25519,
                NACRE_KEY_ECDSA => KeyType::Ecdsa(if bits == 0 { 256 } else { bits }),
                NACRE_KEY_RSA => KeyType::Rsa,
                _ => return Err(Error::argument(format!("{kind} is no kind of key"))),
            };
            let comment = String::from_utf8_lossy(optional_text(comment)?.unwrap_or_default()).into_owned();
            let made = PrivateKey::generate(kind, bits)?.with_comment(&comment);
            set(key, give(Arc::new(Key::from(Arc::new(made)))))
        })
    }
}

/// The public half as it is on the wire.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_public_blob(
    key: *const nacre_key,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(key, |key| put_bytes(key.public.blob(), buf, cap, needed)) }
}

/// The public half as the line of a .pub or authorized_keys file, without a line end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_public_line(
    key: *const nacre_key,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(key, |key| put_text(key.public.to_line(&key.comment).as_bytes(), buf, cap, needed)) }
}

/// The type of the key, such as "ssh-ed25519".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_algorithm(
    key: *const nacre_key,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(key, |key| put_text(key.public.key_type().as_bytes(), buf, cap, needed)) }
}

/// The size of the key in bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_bits(key: *const nacre_key, bits: *mut u32) -> nacre_status {
    unsafe { on(key, |key| set(bits, key.public.bits())) }
}

/// The comment, which may be empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_comment(
    key: *const nacre_key,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe { on(key, |key| put_text(key.comment.as_bytes(), buf, cap, needed)) }
}

/// 1 when it can sign: the private half is there, or somebody who has it signs; else 0 (also for NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_is_private(key: *const nacre_key) -> i32 {
    unsafe { of(key, 0, |key| i32::from(key.private.is_some())) }
}

/// The fingerprint of the public half, as OpenSSH shows it; `kind` is a NACRE_FINGERPRINT_* value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_fingerprint(
    key: *const nacre_key,
    kind: nacre_fingerprint_kind,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(key, |key| {
            let fingerprint = match kind {
                NACRE_FINGERPRINT_SHA256 => key.public.fingerprint_sha256(),
                NACRE_FINGERPRINT_MD5 => key.public.fingerprint_md5(),
                _ => return Err(Error::argument(format!("{kind} is no kind of fingerprint"))),
            };
            put_text(fingerprint.as_bytes(), buf, cap, needed)
        })
    }
}

/// Whether two keys have the same public half: 1 or 0. Comments do not count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_equal(
    key: *const nacre_key,
    other: *const nacre_key,
    equal: *mut i32,
) -> nacre_status {
    unsafe { on(key, |key| set(equal, i32::from(key.public == share(other)?.public))) }
}

/// Signs data, which is hashed inside. The result is the signature blob of the protocol: the algorithm's name and the
/// signature.
///
/// `algorithm` NULL: the preferred one of the key. 4,096 bytes are room enough for every key; each call signs anew, so
/// that `needed` may differ by a few bytes between calls.
/// Errors: NACRE_ERR_ARGUMENT for a public key, _ALGORITHM for one that does not fit; of a key of nacre_key_from_signer
/// _CALLBACK, _TIMEOUT, and _STATE inside a callback, where its signer is not asked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_sign(
    key: *const nacre_key,
    algorithm: *const c_char,
    data: *const c_void,
    len: usize,
    buf: *mut c_void,
    cap: usize,
    needed: *mut usize,
) -> nacre_status {
    unsafe {
        on(key, |key| {
            let algorithm = algorithm_or_preferred(key, algorithm)?;
            let signature = crate::engine::sign(key.private()?, &algorithm, bytes(data, len)?)?;
            put_bytes(&signature, buf, cap, needed)
        })
    }
}

/// Checks a signature blob. NACRE_OK: it is this key's signature of the data; every other status means that it is not.
///
/// `algorithm` NULL: any that fits the key but "ssh-rsa"; else the signature has to be of that one. An RSA key of less than
/// 2,048 bits verifies nothing, and a security key has to have been touched for the signature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_verify(
    key: *const nacre_key,
    algorithm: *const c_char,
    data: *const c_void,
    len: usize,
    signature: *const c_void,
    signature_len: usize,
) -> nacre_status {
    unsafe {
        on(key, |key| {
            let (data, signature) = (bytes(data, len)?, bytes(signature, signature_len)?);
            if !algorithm.is_null() {
                return key.public.verify(name(algorithm, "the algorithm")?, data, signature);
            }
            let mut outcome = Err(Error::algorithm("this key has no algorithm"));
            for algorithm in key.public.signature_algorithms() {
                outcome = key.public.verify(algorithm, data, signature);
                if outcome.is_ok() {
                    break;
                }
            }
            outcome
        })
    }
}

/// Writes the private key to a file that only its owner can read, in one step: either the whole file is there afterwards
/// or what was there before.
///
/// `format` is a NACRE_KEY_* format; `passphrase` NULL: not encrypted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_save(
    key: *const nacre_key,
    path: *const c_char,
    format: nacre_key_format,
    passphrase: *const c_char,
) -> nacre_status {
    unsafe {
        on(key, |key| {
            let path = Path::new(OsStr::from_bytes(text(path, "the path")?));
            if format != NACRE_KEY_OPENSSH {
                return Err(Error::argument(format!("{format} is no format of a key file")));
            }
            let passphrase = optional_secret(passphrase)?;
            let content = key.private()?.to_openssh(passphrase.as_ref().map(|secret| secret.as_slice()), 0)?;
            files::replace(path, content.as_bytes()).map_err(|error| files::error(&error, path))
        })
    }
}

/// Adds an owner: one nacre_key_free more is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_ref(key: *mut nacre_key) -> nacre_status {
    unsafe { reference(key, |_| {}) }
}

/// Gives the key up; the last owner's call frees it. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_key_free(key: *mut nacre_key) {
    unsafe { free(key, |_| {}) };
}

/// The keys that an array of handles names.
pub unsafe fn public_keys(keys: *const *const nacre_key, count: usize) -> Result<Vec<PublicKey>> {
    unsafe { super::text::array(keys, count)?.iter().map(|key| share(*key).map(|key| key.public.clone())).collect() }
}

pub unsafe fn put_key(out: *mut *mut nacre_key, key: impl FnOnce() -> Result<Key>) -> Result<()> {
    wanted(out, "the out-parameter of the key")?;
    unsafe {
        set(out, std::ptr::null_mut())?;
        set(out, give(Arc::new(key()?)))
    }
}

unsafe fn algorithm_or_preferred(key: &Key, algorithm: *const c_char) -> Result<String> {
    if !algorithm.is_null() {
        return unsafe { name(algorithm, "the algorithm") }.map(str::to_owned);
    }
    let preferred = key.public.signature_algorithms().first().copied();
    preferred.map(str::to_owned).ok_or_else(|| Error::algorithm("this key has no algorithm"))
}

fn parse(content: &[u8], passphrase: Option<Zeroizing<Vec<u8>>>) -> Result<Key> {
    if content.windows(11).any(|window| window == b"-----BEGIN ") {
        let passphrase = passphrase.as_ref().map(|secret| secret.as_slice());
        return Ok(Key::from(Arc::new(PrivateKey::from_file_bytes(content, passphrase)?)));
    }
    let line = std::str::from_utf8(content).map_err(|_| Error::key_format("neither a private nor a public key"))?;
    let (public, comment) = PublicKey::from_line(line.trim_end())?;
    Ok(Key { public, comment, private: None })
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = fs::File::open(path)?;
    // All at once, so that no copy is left behind when the buffer grows.
    let size = file.metadata()?.len();
    if size > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large for a key"));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1024));
    file.take(LARGEST_FILE).read_to_end(&mut content)?;
    Ok(content)
}
