//! What algorithms are called, and what signers note in their signatures.

use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::types::{AEADAlgorithm, PublicKeyAlgorithm};

use crate::base::layer::Notation;

/// A public-key algorithm as RFC 9580 9.1 and RFC 9980 name it; its number where they don't.
// Deprecated in name only: old keys have them.
#[allow(deprecated)]
pub(super) fn public_key(algorithm: PublicKeyAlgorithm) -> String {
    match algorithm {
        PublicKeyAlgorithm::RSAEncryptSign
        | PublicKeyAlgorithm::RSAEncrypt
        | PublicKeyAlgorithm::RSASign => "RSA",
        PublicKeyAlgorithm::ElGamalEncrypt | PublicKeyAlgorithm::ElGamalEncryptSign => "Elgamal",
        PublicKeyAlgorithm::DSA => "DSA",
        PublicKeyAlgorithm::ECDH => "ECDH",
        PublicKeyAlgorithm::ECDSA => "ECDSA",
        PublicKeyAlgorithm::EdDSA => "EdDSA",
        PublicKeyAlgorithm::X25519 => "X25519",
        PublicKeyAlgorithm::X448 => "X448",
        PublicKeyAlgorithm::Ed25519 => "Ed25519",
        PublicKeyAlgorithm::Ed448 => "Ed448",
        PublicKeyAlgorithm::MLDSA65_Ed25519 => "ML-DSA-65+Ed25519",
        PublicKeyAlgorithm::MLDSA87_Ed448 => "ML-DSA-87+Ed448",
        PublicKeyAlgorithm::SLHDSA128s => "SLH-DSA-SHAKE-128s",
        PublicKeyAlgorithm::SLHDSA128f => "SLH-DSA-SHAKE-128f",
        PublicKeyAlgorithm::SLHDSA256s => "SLH-DSA-SHAKE-256s",
        PublicKeyAlgorithm::MLKEM768_X25519 => "ML-KEM-768+X25519",
        PublicKeyAlgorithm::MLKEM1024_X448 => "ML-KEM-1024+X448",
        other => return u8::from(other).to_string(),
    }
    .to_owned()
}

/// A mode as RFC 9580 9.6 names it.
pub(super) fn mode(algorithm: AEADAlgorithm) -> &'static str {
    match algorithm {
        AEADAlgorithm::EAX => "EAX",
        AEADAlgorithm::OCB => "OCB",
        AEADAlgorithm::GCM => "GCM",
        _ => "unknown",
    }
}

/// The notations that a signature protects itself, and its policy under no name.
pub(super) fn notations(signature: &Signature) -> Vec<Notation> {
    use sequoia_openpgp::packet::signature::subpacket::SubpacketValue;
    let hashed = signature.hashed_area().iter();
    hashed
        .filter_map(|subpacket| match subpacket.value() {
            SubpacketValue::NotationData(notation) => Some(Notation {
                name: notation.name().to_owned(),
                value: notation.value().to_vec(),
                readable: notation.flags().human_readable(),
                critical: subpacket.critical(),
            }),
            SubpacketValue::PolicyURI(uri) => Some(Notation {
                name: String::new(),
                value: uri.clone(),
                readable: false,
                critical: subpacket.critical(),
            }),
            _ => None,
        })
        .collect()
}
