//! What kind of key a certificate holds, and what such keys can do.

use const_oid::ObjectIdentifier;

use super::certs::Certificate;

/// The shortest RSA modulus that counts, in bits (RFC 8550 4.3 calls shorter ones historic).
const RSA_MIN: u32 = 2048;

impl Certificate {
    /// What kind of key it has.
    pub(super) fn key(&self) -> Key {
        let info = self.parsed.tbs_certificate().subject_public_key_info();
        let bits = || self.x509.public_key().map_or(0, |key| key.bits());
        let parameter = || {
            let curve = info.algorithm.parameters.as_ref();
            curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok())
        };
        let oid = info.algorithm.oid.to_string();
        let rsa = |bits: u32, word: &str, encrypts| Key {
            word: format!("rsa{bits}{word}"),
            signs: true,
            encrypts,
            weak: bits < RSA_MIN,
        };
        match oid.as_str() {
            "1.2.840.113549.1.1.1" => rsa(bits(), "", Encrypts::Transport),
            "1.2.840.113549.1.1.10" => rsa(bits(), "-pss", Encrypts::No),
            "1.2.840.10040.4.1" => Key {
                word: format!("dsa{}", bits()),
                signs: false,
                encrypts: Encrypts::No,
                weak: true,
            },
            "1.2.840.10045.2.1" => {
                let curve = parameter().map(|curve| curve.to_string());
                let known = CURVES
                    .iter()
                    .find(|(oid, _)| Some(*oid) == curve.as_deref());
                match known {
                    Some((_, word)) => Key::new(word, true, Encrypts::Agreement),
                    None => Key::new("unknown-curve", false, Encrypts::No),
                }
            }
            other => KINDS
                .iter()
                .find(|(oid, ..)| *oid == other)
                .map_or(Key::new("unknown", false, Encrypts::No), |kind| {
                    Key::new(kind.1, kind.2, kind.3)
                }),
        }
    }
}

/// What a public key can do.
#[derive(Debug)]
pub(super) struct Key {
    /// As in `rsa3072`, `p256`, `mldsa65`.
    pub word: String,
    pub signs: bool,
    pub encrypts: Encrypts,
    pub weak: bool,
}

impl Key {
    fn new(word: &str, signs: bool, encrypts: Encrypts) -> Key {
        Key {
            word: word.to_owned(),
            signs,
            encrypts,
            weak: false,
        }
    }
}

/// How a message key reaches the owner of a public key: which key usage has to be stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encrypts {
    No,
    /// keyEncipherment: RSA, ML-KEM (RFC 9935).
    Transport,
    /// keyAgreement: ECDH, X25519.
    Agreement,
}

/// The curves of `id-ecPublicKey` that count.
const CURVES: &[(&str, &str)] = &[
    ("1.2.840.10045.3.1.7", "p256"),
    ("1.3.132.0.34", "p384"),
    ("1.3.132.0.35", "p521"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolp256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolp384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolp512r1"),
];

/// Keys whose algorithm says it all: object identifier, word, signs, encrypts.
const KINDS: &[(&str, &str, bool, Encrypts)] = &[
    ("1.3.101.112", "ed25519", true, Encrypts::No),
    ("1.3.101.113", "ed448", true, Encrypts::No),
    ("1.3.101.110", "x25519", false, Encrypts::Agreement),
    ("1.3.101.111", "x448", false, Encrypts::Agreement),
    ("2.16.840.1.101.3.4.3.17", "mldsa44", true, Encrypts::No),
    ("2.16.840.1.101.3.4.3.18", "mldsa65", true, Encrypts::No),
    ("2.16.840.1.101.3.4.3.19", "mldsa87", true, Encrypts::No),
    (
        "2.16.840.1.101.3.4.4.1",
        "mlkem512",
        false,
        Encrypts::Transport,
    ),
    (
        "2.16.840.1.101.3.4.4.2",
        "mlkem768",
        false,
        Encrypts::Transport,
    ),
    (
        "2.16.840.1.101.3.4.4.3",
        "mlkem1024",
        false,
        Encrypts::Transport,
    ),
];
