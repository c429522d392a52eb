//! A list of known hosts and the file that it came from.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files;
use crate::engine::{HostKeys, PublicKey};
use crate::error::{Error, Result};
use crate::keys::{Addition, KnownHosts, Marker, Standing, sha256};

/// A hundred thousand hosts.
const LARGEST_FILE: u64 = 32 << 20;

/// The object behind a `nacre_known_hosts`.
#[derive(Default)]
pub struct HostsFile {
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub list: KnownHosts,
    path: Option<PathBuf>,
    /// What the file held when it was last read or written here.
    seen: Option<Seen>,
    /// Why the last accepted key is not in the file.
    pub error: Option<Error>,
}

struct Seen {
    length: usize,
    digest: [u8; 32],
}

impl Seen {
    fn new(content: &[u8]) -> Self {
        Self { length: content.len(), digest: sha256(content) }
    }

    /// What was added at the end since. None: it is another file now.
    fn tail<'a>(&self, content: &'a [u8]) -> Option<&'a [u8]> {
        let (seen, tail) = content.split_at_checked(self.length)?;
        (sha256(seen) == self.digest).then_some(tail)
    }
}

impl HostsFile {
    pub fn of_text(text: &[u8]) -> Self {
        Self { state: Mutex::new(State { list: KnownHosts::parse(text), ..State::default() }) }
    }

    pub fn load(path: &Path, may_be_missing: bool) -> Result<Self> {
        let content = match read(path) {
            Ok(content) => content,
            Err(error) if may_be_missing && error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(files::error(&error, path)),
        };
        let (list, seen) = (KnownHosts::parse(&content), Some(Seen::new(&content)));
        Ok(Self { state: Mutex::new(State { list, path: Some(path.to_owned()), seen, error: None }) })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn for_host(&self, host: &str, port: u16) -> HostKeys {
        self.lock().list.for_host(host, port)
    }

    /// Writes the list to another file, or to its own.
    pub fn save(&self, path: Option<&Path>) -> Result<()> {
        let mut state = self.lock();
        let own = state.path.clone();
        match (path, own) {
            (Some(path), own) if own.as_deref() != Some(path) => {
                replace(path, &state.list.text()).map_err(|error| files::error(&error, path))
            }
            (_, Some(own)) => state.save(&own),
            (_, None) => Err(Error::argument("the list came from no file, and none is named")),
        }
    }

    /// Adds a key that the application has accepted, here and at the end of the file, unless the host has another one.
    pub fn remember(&self, host: &str, port: u16, key: &PublicKey, hashed: bool) {
        let mut state = self.lock();
        if let Err(error) = state.remember(host, port, key, hashed) {
            state.error = Some(error);
        }
    }
}

/// A list to which accepted keys are added.
pub struct Memory {
    pub known_hosts: Arc<HostsFile>,
    pub host: String,
    pub port: u16,
    pub hashed: bool,
}

impl Memory {
    pub fn known(&self) -> HostKeys {
        self.known_hosts.for_host(&self.host, self.port)
    }

    pub fn add(&self, key: &PublicKey) {
        self.known_hosts.remember(&self.host, self.port, key, self.hashed);
    }
}

impl State {
    fn save(&mut self, path: &Path) -> Result<()> {
        self.take_in(path)?;
        let content = self.list.text();
        replace(path, &content).map_err(|error| files::error(&error, path))?;
        self.seen = Some(Seen::new(&content));
        Ok(())
    }

    /// Takes over what others have added to the end of the file: as ssh does while this list is in memory.
    fn take_in(&mut self, path: &Path) -> Result<Vec<u8>> {
        let content = match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            content => content.map_err(|error| files::error(&error, path))?,
        };
        let tail = self.seen.as_ref().and_then(|seen| seen.tail(&content)).ok_or_else(|| {
            Error::state(format!("{}: the file was changed by others since it was read", path.display()))
        })?;
        if !tail.is_empty() {
            self.list.append(tail);
            self.seen = Some(Seen::new(&content));
        }
        Ok(content)
    }

    fn remember(&mut self, host: &str, port: u16, key: &PublicKey, hashed: bool) -> Result<()> {
        let taken_in = self.path.clone().map(|path| (self.take_in(&path), path));
        if !matches!(self.list.check(host, port, key).0, Standing::Unknown | Standing::OtherType) {
            return Ok(());
        }
        let addition = Addition { marker: Marker::None, hashed, comment: "" };
        let Some(line) = self.list.add(host, port, key, &addition)? else { return Ok(()) };
        let Some((content, path)) = taken_in else { return Ok(()) };
        let added = append(&path, &line).map_err(|error| files::error(&error, &path))?;
        // Another file than the one that was read is added to all the same, but not written over later.
        if let Ok(content) = content {
            self.seen = Some(Seen::new(&[content, added].concat()));
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    files::read(path, LARGEST_FILE, "a list of hosts")
}

/// A link stays one.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    files::replace(&fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), content)
}

/// One line more in one write, so that nobody who does the same at the same time is in between. What was added.
fn append(path: &Path, line: &[u8]) -> io::Result<Vec<u8>> {
    let mut file = fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let start: &[u8] = if last == *b"\n" { b"" } else { b"\n" };
    let added = [start, line].concat();
    file.write_all(&added)?;
    Ok(added)
}
