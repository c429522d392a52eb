//! A security key in software: it signs as one in hardware does (PROTOCOL.u2f of OpenSSH), and says what a test wants.

use nacre::crypto::signature::sha256;
use nacre::keys::{KeyType, PrivateKey, PublicKey};
use nacre::wire::{Reader, Writer};

pub struct SecurityKey {
    /// The key without its case.
    key: PrivateKey,
    pub algorithm: &'static str,
    application: &'static str,
    /// 1: it was touched; 4: it made sure who its user is.
    pub flags: u8,
    pub counter: u32,
}

impl SecurityKey {
    pub const PRESENT: u8 = 1;
    pub const VERIFIED: u8 = 4;

    /// It was touched, and signed before.
    pub fn ed25519() -> Self {
        Self::new(KeyType::Ed25519, "sk-ssh-ed25519@openssh.com")
    }

    /// The same.
    pub fn ecdsa() -> Self {
        Self::new(KeyType::Ecdsa(256), "sk-ecdsa-sha2-nistp256@openssh.com")
    }

    fn new(key_type: KeyType, algorithm: &'static str) -> Self {
        let key = PrivateKey::generate(key_type, 0).expect("a key");
        Self { key, algorithm, application: "ssh:", flags: Self::PRESENT, counter: 41 }
    }

    pub fn blob(&self) -> Vec<u8> {
        let mut fields = Reader::new(self.key.public().blob());
        fields.string().expect("the type");
        Writer::new().string(self.algorithm).raw(fields.rest()).string(self.application).finish()
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::from_blob(&self.blob()).expect("a public key")
    }

    /// The signature blob.
    pub fn sign(&self, data: &[u8]) -> Vec<u8> {
        self.sign_for(self.application, data)
    }

    pub fn sign_for(&self, application: &str, data: &[u8]) -> Vec<u8> {
        let said = Writer::new().u8(self.flags).u32(self.counter).finish();
        let signed = [&sha256(application.as_bytes())[..], &said, &sha256(data)].concat();
        let blob = self.key.sign(self.key.public().key_type(), &signed).expect("a signature");
        let mut fields = Reader::new(&blob);
        fields.string().expect("the algorithm");
        Writer::new().string(self.algorithm).raw(fields.rest()).raw(said).finish()
    }
}
