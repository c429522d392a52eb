//! What this library is and can.

use std::ffi::{CStr, c_char};

use super::text::name;
use crate::engine::{AlgorithmKind, available};

/// The version of this header: (major << 16) | (minor << 8) | patch.
pub const NACRE_VERSION_NUMBER: u32 = 256;

const VERSION: &CStr = c"0.1.0";
const PARTS: &[&str] = &["client", "server", "session", "keyboard-interactive", "questions-as-events"];
const KINDS: &[AlgorithmKind] = &[
    AlgorithmKind::Kex,
    AlgorithmKind::HostKey,
    AlgorithmKind::Cipher,
    AlgorithmKind::Mac,
    AlgorithmKind::Compression,
    AlgorithmKind::PubkeySignature,
];

/// The version of the library that runs, such as "0.1.0". The string lives as long as the process.
#[unsafe(no_mangle)]
pub extern "C" fn nacre_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the library that runs, made as NACRE_VERSION_NUMBER is.
#[unsafe(no_mangle)]
pub extern "C" fn nacre_version_number() -> u32 {
    NACRE_VERSION_NUMBER
}

/// The number of the binary interface: the N of libnacre.so.N.
#[unsafe(no_mangle)]
pub extern "C" fn nacre_abi() -> u32 {
    0
}

/// 1 when this library has that part ("client", "server") or algorithm ("aes256-gcm@openssh.com"), else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nacre_has(feature: *const c_char) -> i32 {
    let has = |feature: &str| PARTS.contains(&feature) || KINDS.iter().any(|kind| available(*kind).contains(&feature));
    let found = std::panic::catch_unwind(|| unsafe { name(feature, "the feature") }.is_ok_and(has));
    i32::from(found.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_package_s() {
        assert_eq!(VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
        let parts: Vec<u32> = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap_or(0)).collect();
        assert_eq!(parts.iter().fold(0, |number, part| number << 8 | part), NACRE_VERSION_NUMBER);
    }

    #[test]
    fn parts_are_told() {
        assert_eq!(unsafe { nacre_has(c"server".as_ptr()) }, 1);
        assert_eq!(unsafe { nacre_has(c"telnet".as_ptr()) }, 0);
        assert_eq!(unsafe { nacre_has(std::ptr::null()) }, 0);
    }
}
