use aws_lc_rs::digest;
use zeroize::Zeroize;

/// The hash functions that key exchanges, signatures and fingerprints name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl HashAlgorithm {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// Bytes of output.
    pub fn length(self) -> usize {
        self.algorithm().output_len()
    }

    /// The hash of the pieces, one after the other.
    pub fn digest(self, pieces: &[&[u8]]) -> Digest {
        let mut hasher = Hasher::new(self);
        for piece in pieces {
            hasher.update(piece);
        }
        hasher.finish()
    }
}

#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Hasher {
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(digest::Context::new(algorithm.algorithm()))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Digest {
        Digest::new(self.0.finish().as_ref())
    }
}

/// The output of a hash function, without an allocation. Where it is key material, its holder wipes it.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; digest::MAX_OUTPUT_LEN],
    length: usize,
}

impl Digest {
    fn new(output: &[u8]) -> Self {
        let mut bytes = [0; digest::MAX_OUTPUT_LEN];
        for (to, from) in bytes.iter_mut().zip(output) {
            *to = *from;
        }
        Self { bytes, length: output.len().min(digest::MAX_OUTPUT_LEN) }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Zeroize for Digest {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
        self.length.zeroize();
    }
}
