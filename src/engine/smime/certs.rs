//! What a certificate says: ids, addresses, usage, state. Not who vouches for it.

use ::cms::cert::IssuerAndSerialNumber;
use bytes::Bytes;
use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use der::{Decode, Encode as _};
use openssl::sha::{sha1, sha256};
use openssl::x509::X509;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::kinds::{self, broken_hash};
use super::names;

pub(super) use super::kinds::{Encrypts, Key};
use crate::base::Address;
use crate::base::context::rfc3339;
use crate::base::error::{Error, Result};
use crate::base::keys::{Attention, CertFacts, KeyId, KeyStatus, Protocol, Usage};

/// The largest certificate that is read. With a photograph or a hash-based signature they
/// reach 100 KiB.
const CERT_MAX: usize = 256 << 10;

/// How long before its end a certificate asks for attention: 30 days.
const SOON: u64 = 30 * 24 * 60 * 60;

pub(super) const KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
pub(super) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(super) const ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
pub(super) const EXTENDED_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");

/// One certificate, read.
pub(super) struct Certificate {
    pub id: KeyId,
    pub der: Bytes,
    pub x509: X509,
    pub parsed: x509_cert::Certificate,
}

/// Reads one certificate. Strictly DER: what only a lenient reader accepts could be spelled in
/// several ways, and would have several ids.
///
/// # Errors
/// `message.malformed`; `limit.exceeded`.
pub(super) fn read(der: &[u8]) -> Result<Certificate> {
    if der.len() > CERT_MAX {
        return Err(Error::limit(
            "certificate",
            "the certificate is too large for one; ask its authority for another",
        ));
    }
    let fault = || Error::malformed("this is not one X.509 certificate in DER; export it again");
    let parsed = x509_cert::Certificate::from_der(der).map_err(|e| fault().because(e))?;
    let x509 = X509::from_der(der).map_err(|e| fault().because(e))?;
    let tbs = parsed.tbs_certificate();
    // RFC 5280 4.1.1.2, 4.2: both say it once. Who reads the first of two and who reads the
    // second would judge different certificates.
    let mut known: Vec<_> = extensions(&parsed).iter().map(|e| e.extn_id).collect();
    known.sort_unstable();
    if known.windows(2).any(|pair| pair.first() == pair.last())
        || tbs.signature() != parsed.signature_algorithm()
    {
        return Err(fault());
    }
    let id = KeyId::from_hex(Protocol::Smime, &hex(&sha256(der)))
        .expect("a SHA-256 in hex is what an id has");
    Ok(Certificate {
        id,
        der: Bytes::copy_from_slice(der),
        x509,
        parsed,
    })
}

/// See [`crate::engine::Engine::facts`].
pub(super) fn facts(cert: &[u8], at: u64) -> Result<CertFacts> {
    Ok(facts_of(&read(cert)?, at))
}

/// As [`facts`], of a certificate that was read already.
pub(super) fn facts_of(cert: &Certificate, at: u64) -> CertFacts {
    let tbs = cert.parsed.tbs_certificate();
    let key_identifier = hex(&cert.key_identifier());
    let handles = cert.handles();
    let status = cert.status(at);
    let addresses = cert.addresses();
    let usage = match status {
        KeyStatus::Valid => cert.usage(),
        _ => Vec::new(),
    };
    CertFacts {
        id: cert.id.clone(),
        handles,
        key_ids: vec![key_identifier],
        name: cert.name(),
        algorithm: cert.key().word,
        created: Some(rfc3339(cert.not_before())),
        changed: None,
        expires: Some(rfc3339(cert.not_after())),
        status,
        issuer: names::line(tbs.issuer()),
        attention: attention(cert, status, &usage, &addresses, at),
        usage,
        addresses,
    }
}

fn attention(
    cert: &Certificate,
    status: KeyStatus,
    usage: &[Usage],
    addresses: &[Address],
    at: u64,
) -> Vec<Attention> {
    let mut attention = Vec::new();
    match status {
        KeyStatus::Expired => attention.push(Attention::Expired),
        KeyStatus::Weak => attention.push(Attention::Weak),
        KeyStatus::Valid => {
            if cert.not_after() < at.saturating_add(SOON) {
                attention.push(Attention::ExpiresSoon);
            }
            if !cert.is_authority() && !usage.contains(&Usage::Encrypt) {
                attention.push(Attention::NoEncryptionKey);
            }
            if !cert.is_authority() && !usage.contains(&Usage::Sign) {
                attention.push(Attention::NoSigningKey);
            }
        }
        KeyStatus::Revoked | KeyStatus::NotYetValid => {}
    }
    if addresses.is_empty() && !cert.is_authority() {
        attention.push(Attention::NoAddress);
    }
    attention
}

/// See [`crate::engine::Engine::rsa_bits`].
pub(super) fn rsa_bits(cert: &[u8]) -> Option<u32> {
    read(cert).ok()?.key().rsa_bits
}

/// See [`crate::engine::Engine::unfit`].
pub(super) fn unfit(
    cert: &[u8],
    usage: Usage,
    address: Option<&Address>,
    at: u64,
) -> Vec<&'static str> {
    let Ok(cert) = read(cert) else {
        return vec!["malformed"];
    };
    let mut reasons = Vec::new();
    match cert.status(at) {
        KeyStatus::Valid => {}
        KeyStatus::Expired => reasons.push("expired"),
        KeyStatus::Revoked => reasons.push("revoked"),
        KeyStatus::NotYetValid => reasons.push("not-yet-valid"),
        KeyStatus::Weak => reasons.push("weak"),
    }
    if reasons.is_empty() && !cert.may(usage) {
        reasons.push(match usage {
            Usage::Encrypt => "no-encryption-key",
            Usage::Sign | Usage::Certify => "no-signing-key",
        });
    }
    if let Some(address) = address
        && !cert.addresses().contains(address)
    {
        reasons.push("no-address");
    }
    reasons
}

impl Certificate {
    /// The addresses it names: rfc822Name and SmtpUTF8Mailbox (RFC 9598); those of the subject
    /// only where there is no e-mail among the alternative names at all (RFC 8550 3).
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.extension(ALTERNATIVE_NAME)
            .and_then(names::alternative)
            .unwrap_or_else(|| names::in_subject(self.parsed.tbs_certificate().subject()))
    }

    /// The subject key identifier: the extension's, or the SHA-1 over the key (RFC 5280
    /// 4.2.1.2).
    pub(super) fn key_identifier(&self) -> Vec<u8> {
        self.extension(KEY_IDENTIFIER)
            .and_then(|value| OctetString::from_der(value).ok())
            .filter(|value| !value.as_bytes().is_empty())
            .map_or_else(
                || {
                    let key = self.parsed.tbs_certificate().subject_public_key_info();
                    sha1(key.subject_public_key.raw_bytes()).to_vec()
                },
                |value| value.as_bytes().to_vec(),
            )
    }

    /// The name of its owner, as it is shown.
    pub(super) fn name(&self) -> Option<String> {
        names::common_name(self.parsed.tbs_certificate().subject())
    }

    /// All that the store finds it by.
    pub(super) fn handles(&self) -> Vec<String> {
        let issuer = self.x509.issuer_name().to_der().unwrap_or_default();
        let serial = self.parsed.tbs_certificate().serial_number();
        let mut handles = vec![
            self.id.fingerprint().to_owned(),
            hex(&sha1(&self.der)),
            hex(&self.key_identifier()),
            issuer_and_serial(&issuer, &serial.to_der().unwrap_or_default()),
            self.key_handle(),
        ];
        if self.is_authority() {
            handles.push(self.subject_handle());
        }
        handles
    }

    /// IssuerAndSerialNumber (RFC 5652 10.2.4), as messages name it.
    ///
    /// # Errors
    /// `internal`.
    pub(super) fn named(&self) -> Result<Vec<u8>> {
        let tbs = self.parsed.tbs_certificate();
        let named = IssuerAndSerialNumber {
            issuer: tbs.issuer().clone(),
            serial_number: tbs.serial_number().clone(),
        };
        named
            .to_der()
            .map_err(|e| Error::internal("the certificate can't be named").because(e))
    }

    /// What certificates of one key pair have in common: the SHA-256 over the
    /// SubjectPublicKeyInfo, upper-case hex.
    pub(super) fn key_handle(&self) -> String {
        let key = self.parsed.tbs_certificate().subject_public_key_info();
        hex(&sha256(&key.to_der().unwrap_or_default()))
    }

    /// What the store finds an authority by when a certificate names its issuer.
    pub(super) fn subject_handle(&self) -> String {
        name_handle(&self.x509.subject_name().to_der().unwrap_or_default())
    }

    /// The [`Certificate::subject_handle`] that its issuer has.
    pub(super) fn issuer_handle(&self) -> String {
        name_handle(&self.x509.issuer_name().to_der().unwrap_or_default())
    }

    /// Unix seconds; inclusive.
    pub(super) fn not_before(&self) -> u64 {
        let validity = self.parsed.tbs_certificate().validity();
        validity.not_before.to_unix_duration().as_secs()
    }

    /// Unix seconds; inclusive.
    pub(super) fn not_after(&self) -> u64 {
        let validity = self.parsed.tbs_certificate().validity();
        validity.not_after.to_unix_duration().as_secs()
    }

    /// Its subject is its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        let tbs = self.parsed.tbs_certificate();
        tbs.subject() == tbs.issuer()
    }

    /// It may issue certificates (RFC 5280 4.2.1.9).
    pub(super) fn is_authority(&self) -> bool {
        self.extension(BASIC_CONSTRAINTS)
            .and_then(|value| BasicConstraints::from_der(value).ok())
            .is_some_and(|constraints| constraints.ca)
    }

    /// Its extended key usage allows mail: it says so, says "any", or says nothing
    /// (RFC 8550 4.4.4).
    pub(super) fn is_for_mail(&self) -> bool {
        self.extension(EXTENDED_USAGE).is_none_or(|value| {
            ExtendedKeyUsage::from_der(value).is_ok_and(|usage| {
                usage.0.contains(&EMAIL_PROTECTION) || usage.0.contains(&ANY_USAGE)
            })
        })
    }

    /// It is meant for `usage`, by its key usage, its extended key usage and the kind of its
    /// key (RFC 8550 4.4.2). Says nothing of dates.
    pub(super) fn may(&self, usage: Usage) -> bool {
        let key = self.key();
        // Without the extension all is allowed, with one that can't be read nothing.
        let stated = self
            .extension(KEY_USAGE)
            .map(|value| KeyUsage::from_der(value).ok());
        let states = |wanted: fn(&KeyUsage) -> bool| match &stated {
            None => true,
            Some(usage) => usage.as_ref().is_some_and(wanted),
        };
        match usage {
            Usage::Sign => {
                key.signs
                    && self.is_for_mail()
                    && states(|u| u.digital_signature() || u.non_repudiation())
            }
            Usage::Encrypt => {
                self.is_for_mail()
                    && match key.encrypts {
                        Encrypts::No => false,
                        Encrypts::Transport => states(KeyUsage::key_encipherment),
                        Encrypts::Agreement => states(KeyUsage::key_agreement),
                    }
            }
            Usage::Certify => self.is_authority() && states(KeyUsage::key_cert_sign),
        }
    }

    fn usage(&self) -> Vec<Usage> {
        [Usage::Sign, Usage::Encrypt, Usage::Certify]
            .into_iter()
            .filter(|usage| self.may(*usage))
            .collect()
    }

    /// Its state at an instant, revocation aside.
    pub(super) fn status(&self, at: u64) -> KeyStatus {
        if at < self.not_before() {
            KeyStatus::NotYetValid
        } else if self.is_weak() {
            KeyStatus::Weak
        } else if at > self.not_after() {
            KeyStatus::Expired
        } else {
            KeyStatus::Valid
        }
    }

    /// Its key is too short, or its issuer signed it over a broken hash. The signature of a
    /// certificate over itself says nothing and need not be sound.
    pub(super) fn is_weak(&self) -> bool {
        let signature = self.parsed.signature_algorithm();
        self.key().weak || (!self.is_self_issued() && broken_hash(signature))
    }

    /// The value of an extension.
    pub(super) fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        extensions(&self.parsed)
            .iter()
            .find(|extension| extension.extn_id == oid)
            .map(|extension| extension.extn_value.as_bytes())
    }

    /// What kind of key it has.
    pub(super) fn key(&self) -> Key {
        let info = self.parsed.tbs_certificate().subject_public_key_info();
        kinds::of(info, &self.x509)
    }
}

fn extensions(parsed: &x509_cert::Certificate) -> &[x509_cert::ext::Extension] {
    let extensions = parsed.tbs_certificate().extensions();
    extensions.map_or(&[], Vec::as_slice)
}

/// What the store finds a certificate by when a message names its issuer and serial number:
/// upper-case hex of the SHA-256 over both. `issuer` is the DER of the Name and `serial` that
/// of the INTEGER, tags and lengths included.
pub(super) fn issuer_and_serial(issuer: &[u8], serial: &[u8]) -> String {
    hex(&sha256(&[issuer, serial].concat()))
}

/// What the store finds an authority or its revocation list by: upper-case hex of the SHA-256
/// over the DER of its name.
pub(super) fn name_handle(name: &[u8]) -> String {
    hex(&sha256(name))
}

/// A certificate as a dialog names it: name and address, or the fingerprint.
pub(super) fn label(cert: &Certificate) -> String {
    match (cert.name(), cert.addresses().first()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(name), None) => name,
        (None, Some(address)) => address.to_string(),
        (None, None) => cert.id.fingerprint().to_owned(),
    }
}

/// Upper-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}
