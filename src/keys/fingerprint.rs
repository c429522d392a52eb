use super::PublicKey;
use crate::crypto::signature::{md5, sha256};
use base64ct::{Base64Unpadded, Encoding};

impl PublicKey {
    /// "SHA256:" and base64 without padding, as OpenSSH shows it.
    pub fn fingerprint_sha256(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&sha256(self.blob())))
    }

    /// "MD5:" and pairs of hexadecimal digits with colons between them; only for old lists of fingerprints.
    pub fn fingerprint_md5(&self) -> String {
        let pairs: Vec<String> = md5(self.blob()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("MD5:{}", pairs.join(":"))
    }
}
