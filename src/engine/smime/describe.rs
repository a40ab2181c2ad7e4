//! What a certificate's bytes say for a list of keys. Its sibling is `openpgp/describe.rs`.

use openssl::sha::sha1;

use super::certs::{self, Certificate, hex};
use super::names;
use crate::base::described::{
    Algorithm, Described, DescribedKey, DescribedName, Flags, Issued, Validity,
};
use crate::base::error::Result;
use crate::base::keys::{KeyStatus, Protocol, Usage};

/// See [`crate::engine::Engine::describe`].
pub(super) fn describe(cert: &[u8], at: u64) -> Result<Described> {
    let cert = certs::read(cert)?;
    let fingerprint = hex(&sha1(&cert.der));
    let tbs = cert.parsed.tbs_certificate();
    let flags = Flags {
        expired: at > cert.not_after(),
        invalid: matches!(cert.status(at), KeyStatus::Weak | KeyStatus::NotYetValid),
        can_encrypt: cert.may(Usage::Encrypt),
        can_sign: cert.may(Usage::Sign),
        can_certify: cert.may(Usage::Certify),
        ..Flags::default()
    };
    let key = DescribedKey {
        flags,
        is_cardkey: false,
        is_de_vs: false,
        algorithm: algorithm(&cert),
        keyid: fingerprint.get(24..).unwrap_or_default().to_owned(),
        fingerprint: fingerprint.clone(),
        card_number: None,
        keygrip: None,
        timestamp: cert.not_before(),
        expires: cert.not_after(),
    };
    let mut userids = vec![DescribedName::smime(&names::compact(tbs.subject()))];
    let addresses = cert.addresses();
    userids.extend(
        addresses
            .iter()
            .map(|address| DescribedName::smime(&format!("<{address}>"))),
    );
    Ok(Described {
        id: cert.id.clone(),
        flags,
        protocol: Protocol::Smime,
        issued: Some(Issued {
            serial: hex(tbs.serial_number().as_bytes()),
            name: names::compact(tbs.issuer()),
            chain_id: cert.is_self_issued().then(|| fingerprint.clone()),
        }),
        fingerprint,
        owner_trust: Validity::Unknown,
        origin: 0,
        last_update: 0,
        subkeys: vec![key],
        userids,
    })
}

/// The kind of a key in gpgme's words.
fn algorithm(cert: &Certificate) -> Algorithm {
    let key = cert.key();
    let length = cert.x509.public_key().map_or(0, |key| key.bits());
    // RSA, DSA, ECC, EdDSA: GnuPG counts any curve here as one of ECDSA.
    let (number, curve) = match key.word.as_str() {
        word if word.starts_with("rsa") => (1, None),
        word if word.starts_with("dsa") => (17, None),
        "p256" => (19, Some("nistp256")),
        "p384" => (19, Some("nistp384")),
        "p521" => (19, Some("nistp521")),
        "brainpoolp256r1" => (19, Some("brainpoolP256r1")),
        "brainpoolp384r1" => (19, Some("brainpoolP384r1")),
        "brainpoolp512r1" => (19, Some("brainpoolP512r1")),
        "ed25519" => (22, Some("ed25519")),
        "ed448" => (22, Some("ed448")),
        "x25519" => (18, Some("cv25519")),
        "x448" => (18, Some("cv448")),
        _ => (0, None),
    };
    Algorithm::new(number, length, curve.map(str::to_owned), &key.word)
}
