//! Kinds of keys and signatures in certificates: what they are called, what they can do, which
//! of them are too weak.

use const_oid::ObjectIdentifier;
use der::asn1::ContextSpecific;
use der::{SliceReader, TagNumber};
use openssl::x509::X509Ref;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::base::rules::RSA_BITS_LEAST;
use crate::engine::weak::is_roca;

/// What kind of key a certificate has.
pub(super) fn of(info: &SubjectPublicKeyInfoOwned, x509: &X509Ref) -> Key {
    let bits = || x509.public_key().map_or(0, |key| key.bits());
    let parameter = || {
        let curve = info.algorithm.parameters.as_ref();
        curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok())
    };
    let oid = info.algorithm.oid.to_string();
    let rsa = |bits: u32, word: &str, encrypts| Key {
        word: format!("rsa{bits}{word}"),
        signs: true,
        encrypts,
        weak: bits < RSA_BITS_LEAST || roca(x509),
        rsa_bits: Some(bits),
    };
    match oid.as_str() {
        "1.2.840.113549.1.1.1" => rsa(bits(), "", Encrypts::Transport),
        "1.2.840.113549.1.1.10" => rsa(bits(), "-pss", Encrypts::No),
        "1.2.840.10040.4.1" => Key {
            word: format!("dsa{}", bits()),
            signs: false,
            encrypts: Encrypts::No,
            weak: true,
            rsa_bits: None,
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

/// Whether the key is one of those whose factors can be found.
fn roca(x509: &X509Ref) -> bool {
    let key = x509.public_key().and_then(|key| key.rsa());
    key.is_ok_and(|rsa| is_roca(&rsa.n().to_vec()))
}

/// What a public key can do.
#[derive(Debug)]
pub(super) struct Key {
    /// As in `rsa3072`, `p256`, `mldsa65`.
    pub word: String,
    pub signs: bool,
    pub encrypts: Encrypts,
    pub weak: bool,
    /// Of its modulus, where it is an RSA key.
    pub rsa_bits: Option<u32>,
}

impl Key {
    fn new(word: &str, signs: bool, encrypts: Encrypts) -> Key {
        Key {
            word: word.to_owned(),
            signs,
            encrypts,
            weak: false,
            rsa_bits: None,
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

/// Signature algorithms over MD2, MD4, MD5 and SHA-1.
const BROKEN: &[&str] = &[
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.3",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.3",
    "1.3.14.3.2.13",
    "1.3.14.3.2.15",
    "1.3.14.3.2.27",
    "1.3.14.3.2.29",
    "1.2.840.10040.4.3",
    "1.2.840.10045.4.1",
];

/// The hashes inside RSASSA-PSS parameters that count: SHA-224 to SHA-512, SHA3.
const SOUND_HASHES: &str = "2.16.840.1.101.3.4.2.";

/// Whether a signature is over a hash for which collisions can be made.
pub(super) fn broken_hash(algorithm: &AlgorithmIdentifierOwned) -> bool {
    let oid = algorithm.oid.to_string();
    if oid != "1.2.840.113549.1.1.10" {
        return BROKEN.contains(&oid.as_str());
    }
    // RFC 4055 3.1: without a hash it is SHA-1.
    let hash = algorithm.parameters.as_ref().and_then(|parameters| {
        let mut reader = SliceReader::new(parameters.value()).ok()?;
        ContextSpecific::<AlgorithmIdentifierOwned>::decode_explicit(&mut reader, TagNumber(0))
            .ok()
            .flatten()
    });
    hash.is_none_or(|hash| !hash.value.oid.to_string().starts_with(SOUND_HASHES))
}
