//! Files, read with a bound and written in one step.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, SystemFailure};

/// All of a file that is no longer than `most` bytes; `what` it would be, for the error.
pub fn read(path: &Path, most: u64, what: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("the file is too large for {what}")));
    }
    Ok(content)
}

/// In one step, in a file that only its owner can read: either the whole content is there afterwards, or what was there
/// before.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.{}.new", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let beside = PathBuf::from(beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// What became of an access to this file.
pub fn error(error: &io::Error, path: &Path) -> Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("{path}: there is no such file")),
        io::ErrorKind::PermissionDenied => Error::Permission(format!("{path}: permission denied").into()),
        _ => Error::Io(Box::new(SystemFailure {
            text: format!(
                "{path}: {}",
                if error.raw_os_error().is_some() { "failed".into() } else { error.to_string() }
            )
            .into(),
            errno: error.raw_os_error().unwrap_or(0),
            address: None,
        })),
    }
}
