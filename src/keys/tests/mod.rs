mod agent;
mod oracle;
mod patterns;
mod private_files;
mod public_keys;
mod rsa_rules;
#[path = "../../../tests/support/security_key.rs"]
pub mod security_key;
mod security_keys;

use super::{KeyType, PrivateKey};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

const KEY_TYPES: [KeyType; 5] =
    [KeyType::Ed25519, KeyType::Ecdsa(256), KeyType::Ecdsa(384), KeyType::Ecdsa(521), KeyType::Rsa];

/// One key of each type, made once.
static KEYS: LazyLock<Vec<PrivateKey>> =
    LazyLock::new(|| KEY_TYPES.into_iter().map(|key_type| generate(key_type).with_comment("a comment")).collect());

fn generate(key_type: KeyType) -> PrivateKey {
    PrivateKey::generate(key_type, if key_type == KeyType::Rsa { 2048 } else { 0 }).unwrap()
}

/// A folder of one test's own, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nacre-keys-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs ssh-keygen and returns what it printed.
fn ssh_keygen<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> String {
    let output = Command::new("ssh-keygen").args(arguments).output().expect("ssh-keygen must be installed");
    assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// ssh-keygen refuses private keys that others may read.
fn write_private(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
