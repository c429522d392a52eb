//! RSA with SHA-1, and how small a modulus may be.

use super::*;
use crate::error::Error;
use crate::keys::{PublicKey, SignatureRules};
use crate::wire::Writer;

/// Made by ssh-keygen: we make none that is so small.
fn small_key() -> PrivateKey {
    let folder = Folder::new();
    let path = folder.path("key");
    ssh_keygen(&["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", path.to_str().unwrap()]);
    PrivateKey::from_openssh(&std::fs::read(&path).unwrap(), None).unwrap()
}

fn at_least(minimum_rsa_bits: u32) -> SignatureRules {
    SignatureRules { minimum_rsa_bits, ..SignatureRules::default() }
}

#[test]
fn small_rsa_keys_sign_and_verify_where_that_is_allowed() {
    let key = small_key();
    let public = key.public();
    for algorithm in ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] {
        let signature = key.sign_under(&at_least(1024), algorithm, b"data").unwrap();
        public.verify_under(&at_least(1024), algorithm, b"data", &signature).unwrap();
        assert!(public.verify_under(&at_least(1024), algorithm, b"Data", &signature).is_err());
        for rules in [at_least(1025), SignatureRules::default(), at_least(16384)] {
            assert!(matches!(key.sign_under(&rules, algorithm, b"data"), Err(Error::Algorithm(_))));
            assert!(matches!(public.verify_under(&rules, algorithm, b"data", &signature), Err(Error::Algorithm(_))));
        }
        assert!(matches!(key.sign(algorithm, b"data"), Err(Error::Algorithm(_))));
        assert!(matches!(public.verify(algorithm, b"data", &signature), Err(Error::Algorithm(_))));
    }
    // Only RSA has sizes.
    for key in &KEYS[..4] {
        let algorithm = key.public().signature_algorithms()[0];
        let signature = key.sign_under(&at_least(16384), algorithm, b"data").unwrap();
        key.public().verify_under(&at_least(16384), algorithm, b"data", &signature).unwrap();
    }
}

/// Signatures of this kind are determined by key and data: ours and OpenSSL's are the same.
#[test]
fn openssl_makes_the_same_signatures_with_sha1() {
    let folder = Folder::new();
    let path = folder.path("key");
    ssh_keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path.to_str().unwrap()]);
    let key = PrivateKey::from_openssh(&std::fs::read(&path).unwrap(), None).unwrap();
    ssh_keygen(&["-q", "-p", "-m", "PEM", "-N", "", "-f", path.to_str().unwrap()]);
    std::fs::write(folder.path("data"), b"some data").unwrap();
    for (algorithm, hash) in [("ssh-rsa", "-sha1"), ("rsa-sha2-256", "-sha256"), ("rsa-sha2-512", "-sha512")] {
        let made = Command::new("openssl")
            .args(["dgst", hash, "-sign", path.to_str().unwrap()])
            .arg(folder.path("data"))
            .output()
            .expect("openssl must be installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let blob = Writer::new().string(algorithm).string(&made.stdout).finish();
        assert_eq!(key.sign(algorithm, b"some data").unwrap(), blob, "{algorithm}");
        key.public().verify(algorithm, b"some data", &blob).unwrap();
    }
}

/// From NIST's vectors of RSASSA-PKCS1-v1_5 (CAVP, SigVer15_186-3), 1,024 bits, SHA-1.
const MODULUS: &str = "a8d68acd413c5e195d5ef04e1b4faaf242365cb450196755e92e1215ba59802aafbadbf2564dd550956abb54f8b1c91\
                        7844e5f36195d1088c600e07cada5c080ede679f50b3de32cf4026e514542495c54b1903768791aae9e36f082cd38e9\
                        41ada89baecada61ab0dd37ad536bcb0a0946271594836e92ab5517301d45176b5";
/// Message and signature.
const KNOWN: [(&str, &str); 4] = [
    // Passes.
    (
        "d73829497cddbe41b705faac50e7899fdb5a38bf3a459e536357029e64f8796ba47f4fe96ba5a8b9a4396746e2164f55a25368ddd0b9a5\
         188c7ac3da2d1f742286c3bdee697f9d546a25efcfe53191d743fcc6b47833d993d08804daeca78fb9076c3c017f53e33a90305af06220\
         974d46bf19ed3c9b84edbae98b45a8771258",
        "175015bda50abe0fa7d39a8353885ca01be3a7e7fcc55045744111362ee1914473a48dc537d956294b9e20a1ef661d58537acdc8de908f\
         a050630fcc272e6d001045e6fdeed2d10531c8603334c2e8db39e73e6d9665ee1343f9e4198302d2201b44e8e8d06b3ef49cee61975821\
         63a8490089ca654c0012fce1ba6511089750",
    ),
    // The message was changed.
    (
        "ff23e00f819bae424e41d6b762ea6b88801e651c831c964af31de0c1d6dda4a7c8587d804ed12f526819da06650e7412fb627555979ed4\
         42f2663341e5fe57527e0ddaf453a124451674976a6a6e0a31f56a79f5b73dfac39af4f3ba4a5e8bb846cb5e333812756482d975ab1910\
         162f96bfd7c58a02f113125189f5ac05291f",
        "a3877b854832d6a6dec749a908e8bd3a73b24372e80321ed01c19ce066117d8efe78ef7168af8acd139e47dd262c0c92ed1701cf6c07e0\
         c1140f82040167f55bb5180c18ad9e66a18dacf0742c1f05173129ed5ac523faeeb2119639cd30ae5a435884b55043d4fb7fa9af0dd92c\
         365386044c2e8bcd196b3787bfede47fff37",
    ),
    // The hash stands too far to the left, with bytes of anybody's choice behind it.
    (
        "a4397d9ab677aaa13a68a09de9ae0ed4045d479aa0ff3a7242dca477ab7884faf55cd06ddf19667f668b4589955bfd299dc7642c28a68b\
         b2eba6f08c7ad9f5e96170913270c6463256a0537a72b32a04e5662416ecda74696d275a8bcfe999820ffc2ab210833201332f323828be\
         7dac04c1f01f93a3dde1efe7483a51b1560d",
        "417aa0531b1da975066a1311a9bf2fa73f5daf90f0473a8937a27a9c6378c53012e0b4db3dcb5309b85a3e7f9db161848465f2e8102f75\
         d171b4dc5371c3dca0bd70626dff5fad68549477fea84db9ac1b405440e178f5d9f74f3935e78a6aaf774b86d509fb25bd1a93aac9a2cd\
         bce6a897842ea3ae07d3c8b4c43f97e0bf75",
    ),
    // The zero at the end of the padding is not there.
    (
        "e4690fb08396a8bf07377778a447dbd14c771024bd2353cbbd8446eda42795971c9eda0f2575be655c68614a7cd2fd252569c664dc2914\
         10548ec3a5eb06da2078a66c59441cbc9356e5a452f4c0386d6662a663fd6b61f254997ee6d63b5e3080e98d37e873ea737f17083713f7\
         d5ce98ca79ca27d18199470c3d596caf66ed",
        "56b25cc46a9ef9607f4f0f553265996e22a4552fc6cb2752d0595e887afad29f7f9a390c17dc427c7d9f83f19f6986c60ec6d8f8017c34\
         19cc2a838fe2425c7c80ceebfa1a0a3de507b5601609fe54b871efde685d23e546d69fbd14a30ebc2e67ac99446ae4978f1b3c12010329\
         4318b253aa9fcee638907b84ac72b25e18fa",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

#[test]
fn known_signatures_with_sha1() {
    let blob = Writer::new().string("ssh-rsa").mpint([3]).mpint(unhex(MODULUS)).finish();
    let key = PublicKey::from_blob(&blob).unwrap();
    for (index, (message, signature)) in KNOWN.into_iter().enumerate() {
        let (message, signature) = (unhex(message), unhex(signature));
        let blob = Writer::new().string("ssh-rsa").string(&signature).finish();
        assert_eq!(key.verify_under(&at_least(1024), "ssh-rsa", &message, &blob).is_ok(), index == 0, "{index}");
        // By its own name only.
        for name in ["rsa-sha2-256", "rsa-sha2-512"] {
            let renamed = Writer::new().string(name).string(&signature).finish();
            assert!(key.verify_under(&at_least(1024), name, &message, &renamed).is_err());
            let outcome = key.verify_under(&at_least(1024), name, &message, &blob);
            assert!(matches!(outcome, Err(Error::Algorithm(_))));
        }
    }
}
