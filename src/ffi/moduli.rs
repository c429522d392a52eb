//! Primes for group exchanges.

use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::boundary::guarded;
use super::status::nacre_status;
use super::text::{optional_text, put};
use crate::client::files;
use crate::crypto::load_moduli;
use crate::error::{Error, Result};

/// Where systems keep such a file.
const SYSTEM_PATHS: &[&str] = &["/etc/ssh/moduli", "/usr/local/etc/moduli", "/etc/moduli"];
/// Thirty times what OpenSSH comes with.
const LARGEST_FILE: u64 = 16 << 20;

/// Reads the primes that servers of this process give out in group exchanges (RFC 4419) from a file in the form of
/// OpenSSH's moduli(5), from now on and in place of those read before.
///
/// `path` NULL: the first that there is of /etc/ssh/moduli, /usr/local/etc/moduli and /etc/moduli. `count` (may be NULL)
/// says how many primes are good: safe ones of 2,048 to 8,192 bits that were tested well. Lines that are not are passed
/// over. Without a file, and where no prime of the file fits a client's wish, servers give out the groups 14 to 18 of
/// RFC 3526. A server offers group exchanges only where they were named to `nacre_transport_set_algorithms`. Clients are
/// not concerned.
///
/// NACRE_ERR_NOT_FOUND, NACRE_ERR_PERMISSION, NACRE_ERR_IO: the file cannot be read; NACRE_ERR_KEY_FORMAT: it has no
/// good prime. After an error nothing has changed. From any thread; the call waits for the disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_load_moduli(path: *const c_char, count: *mut usize) -> nacre_status {
    guarded(|| {
        // SAFETY: as for every exported function: NULL or a number of the caller's, NULL or a string.
        unsafe { put(count, 0) };
        let content = match unsafe { optional_text(path) }? {
            Some(path) => read(Path::new(OsStr::from_bytes(path))),
            None => read_first(SYSTEM_PATHS),
        }?;
        let good = load_moduli(&content)?;
        // SAFETY: as above.
        unsafe { put(count, good) };
        Ok(())
    })
}

fn read_first(paths: &[&str]) -> Result<Vec<u8>> {
    let read = paths.iter().map(|path| read(Path::new(path)));
    let mut found = read.skip_while(|content| matches!(content, Err(Error::NotFound(_))));
    found.next().unwrap_or_else(|| Err(Error::not_found("this system has no moduli file")))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    files::read(path, LARGEST_FILE, "a list of primes").map_err(|error| files::error(&error, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_is_there_is_read() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let manifest = std::fs::read(here).unwrap();
        assert_eq!(read_first(&["/nowhere/moduli", here, "/"]), Ok(manifest));
        assert!(
            matches!(read_first(&["/nowhere/moduli", "/", here]), Err(Error::Io(_))),
            "what is there is what is read"
        );
        assert!(matches!(read_first(&["/nowhere/moduli"]), Err(Error::NotFound(_))));
        assert!(matches!(read_first(&[]), Err(Error::NotFound(_))));
        assert!(matches!(read(Path::new("/dev/zero")), Err(Error::Io(_))), "no file is read for ever");
    }
}
