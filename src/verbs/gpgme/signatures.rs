//! What is said of signatures, in the words of gpgme.

use serde::Serialize;

use super::Code;
use super::chosen::sureness;
use super::pattern::Pattern;
use super::rings::{self, Known, Theirs, Wanted};
use crate::base::context::unix;
use crate::base::described::{Described, Validity};
use crate::base::gnupg::Whose;
use crate::base::keys::{KeyStatus, Protocol};
use crate::base::layer::{self, ContentFormat, Fit, Opened, SignatureFacts, Trust};
use crate::base::verdict::Reason;
use crate::base::{Context, Result};
use crate::store::Wrap;
use crate::verbs::World;

/// All that is said of the signatures over something.
#[derive(Debug, Serialize)]
pub struct Info {
    is_mime: bool,
    signatures: Vec<Signature>,
}

#[derive(Debug, Serialize)]
struct Signature {
    summary: Summary,
    wrong_key_usage: bool,
    chain_model: bool,
    is_de_vs: bool,
    status_string: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    validity_string: Validity,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubkey_algo_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_algo_name: Option<String>,
    status_code: u32,
    timestamp: u64,
    exp_timestamp: u64,
    pka_trust: u32,
    validity: u32,
    validity_reason: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notations: Vec<Notation>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    sigsum: Vec<&'static str>,
    valid: bool,
    green: bool,
    red: bool,
    revoked: bool,
    key_expired: bool,
    sig_expired: bool,
    key_missing: bool,
    crl_missing: bool,
    crl_too_old: bool,
    bad_policy: bool,
    sys_error: bool,
}

#[derive(Debug, Serialize)]
struct Notation {
    human_readable: bool,
    critical: bool,
    /// A policy has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    value: String,
    flags: u32,
}

/// The keys that signatures name, as far as they are known here.
pub struct Signers(Vec<Known>);

impl Signers {
    /// Looks for them.
    ///
    /// # Errors
    /// Those of the store.
    pub fn of(
        world: &World,
        protocol: Protocol,
        signatures: &[SignatureFacts],
        cx: &Context,
    ) -> Result<Signers> {
        let ids = signatures.iter().filter_map(|facts| facts.signer.as_ref());
        let found = ids.map(|signer| signer.id.clone()).collect();
        let patterns: Vec<Pattern> = signatures
            .iter()
            .filter_map(|facts| match &facts.signer {
                Some(signer) => Some(Pattern::Handle(signer.id.fingerprint().to_owned())),
                None => named(protocol, facts),
            })
            .collect();
        if patterns.is_empty() {
            return Ok(Signers(Vec::new()));
        }
        let whose = Whose::All;
        let wanted = Wanted {
            patterns,
            found,
            whose,
        };
        rings::known(world, protocol, &wanted, cx).map(Signers)
    }

    /// Those whose certificates GnuPG has too, or alone: it may know more of them than the store.
    pub fn in_gnupg(&self, signatures: &[SignatureFacts]) -> Vec<&Known> {
        let signs = |known: &Known, facts: &SignatureFacts| match &facts.signer {
            Some(signer) => signer.id == known.key.id,
            None => {
                let pattern = named(known.key.protocol, facts);
                pattern.is_some_and(|pattern| pattern.fits(&known.key))
            }
        };
        // What it has the secret half of is taken up as it is.
        let apart = |known: &Known| {
            let wrap = known.row.as_ref().and_then(|row| row.wrap);
            known.gnupg != Theirs::Nothing && wrap != Some(Wrap::GnuPg)
        };
        let all = self.0.iter().filter(|known| apart(known));
        all.filter(|known| signatures.iter().any(|facts| signs(known, facts)))
            .collect()
    }

    fn signer(&self, facts: &SignatureFacts) -> Option<&Known> {
        let id = &facts.signer.as_ref()?.id;
        self.0.iter().find(|known| known.key.id == *id)
    }
}

/// What a signature calls its signer: by a handle, or by a serial number.
fn named(protocol: Protocol, facts: &SignatureFacts) -> Option<Pattern> {
    let issuer = facts.issuer.clone()?;
    Some(match protocol {
        Protocol::OpenPgp => Pattern::Handle(issuer),
        Protocol::Smime => Pattern::Serial(issuer, None),
    })
}

/// What is said of the signatures in a layer; `None` where there are none.
pub fn info(world: &World, opened: &Opened, signers: &Signers, cx: &Context) -> Option<Info> {
    let signatures: Vec<Signature> = opened
        .signatures
        .iter()
        .map(|facts| said(world, facts, signers.signer(facts), cx))
        .collect();
    (!signatures.is_empty()).then_some(Info {
        is_mime: opened.format == ContentFormat::Mime,
        signatures,
    })
}

fn said(world: &World, facts: &SignatureFacts, known: Option<&Known>, cx: &Context) -> Signature {
    let status = status(world, facts, cx);
    let validity = match status {
        Code::None | Code::SignatureExpired | Code::KeyExpired | Code::CertRevoked => {
            validity(facts, known)
        }
        _ => Validity::Unknown,
    };
    let wrong_key_usage = status == Code::WrongKeyUsage;
    let summary = Summary::of(status, validity);
    let described = described(world, facts, known, cx);
    let mut said = Signature {
        summary,
        wrong_key_usage,
        chain_model: false,
        is_de_vs: false,
        status_string: status.text(),
        fingerprint: fingerprint(facts, described.as_ref(), status),
        validity_string: validity,
        pubkey_algo_name: None,
        hash_algo_name: None,
        status_code: match status {
            // As gpg says it itself.
            Code::NoPublicKey => 9,
            status => status.number(),
        },
        timestamp: 0,
        exp_timestamp: 0,
        pka_trust: 0,
        validity: number(validity),
        validity_reason: 0,
        notations: Vec::new(),
    };
    // What does not fit says nothing.
    if status == Code::BadSignature {
        return said;
    }
    said.pubkey_algo_name = match &described {
        Some(key) if key.protocol == Protocol::Smime => algorithm_of(key),
        _ => facts.algorithm.as_deref().and_then(algorithm),
    };
    let hash = facts.hash.clone();
    said.hash_algo_name = hash.filter(|name| name != "unknown");
    said.timestamp = facts.signed_at.unwrap_or_default();
    if status != Code::NoPublicKey {
        said.exp_timestamp = match &described {
            Some(key) if key.protocol == Protocol::Smime => ends(key),
            _ => facts.expires.unwrap_or_default(),
        };
        said.notations = notations(facts);
    }
    said
}

/// How a signature stands.
fn status(world: &World, facts: &SignatureFacts, cx: &Context) -> Code {
    let has = |reason| facts.reasons.contains(&reason);
    match facts.fit {
        Fit::Intact => {}
        Fit::Altered => return Code::BadSignature,
        // It fits, and its key was not made to sign.
        Fit::Malformed if has(Reason::Malformed) && facts.key.is_some() => {
            return Code::WrongKeyUsage;
        }
        Fit::Malformed => return Code::BadSignature,
        Fit::Weak => return Code::General,
        Fit::NoCert => return Code::NoPublicKey,
        Fit::Unsupported => return Code::UnsupportedAlgorithm,
    }
    if facts.expires.is_some_and(|end| end <= unix(cx.judged_at())) {
        return Code::SignatureExpired;
    }
    if has(Reason::KeyRevoked) {
        return Code::CertRevoked;
    }
    if has(Reason::KeyExpired) {
        return Code::KeyExpired;
    }
    if has(Reason::ExpiredSince) {
        return match is_revoked(world, facts, cx) {
            true => Code::CertRevoked,
            false => Code::KeyExpired,
        };
    }
    match has(Reason::Future) {
        true => Code::General,
        false => Code::None,
    }
}

/// Whether the signer's certificate is revoked today.
fn is_revoked(world: &World, facts: &SignatureFacts, cx: &Context) -> bool {
    let Some(signer) = &facts.signer else {
        return false;
    };
    let certs = cx
        .certs
        .by_handle(signer.id.protocol(), signer.id.fingerprint());
    certs.unwrap_or_default().iter().any(|cert| {
        let facts = world
            .any_engine(signer.id.protocol())
            .and_then(|engine| engine.facts(&cert.cert, unix(cx.judged_at())));
        facts.is_ok_and(|facts| facts.status == KeyStatus::Revoked)
    })
}

/// How sure it is whose signature it is. An ultimate word is a full one, as gpgme has it.
fn validity(facts: &SignatureFacts, known: Option<&Known>) -> Validity {
    let said = known.map(|known| sureness(known, None)).unwrap_or_default();
    match said {
        Validity::Ultimate | Validity::Full => Validity::Full,
        Validity::Never => Validity::Never,
        _ if facts.trust == Trust::Anchored => Validity::Full,
        Validity::Marginal => Validity::Marginal,
        Validity::Unknown | Validity::Undefined => Validity::Unknown,
    }
}

fn number(validity: Validity) -> u32 {
    match validity {
        Validity::Unknown => 0,
        Validity::Undefined => 1,
        Validity::Never => 2,
        Validity::Marginal => 3,
        Validity::Full => 4,
        Validity::Ultimate => 5,
    }
}

/// The signer's certificate in gpgme's words: as it is here, or as it came along.
fn described(
    world: &World,
    facts: &SignatureFacts,
    known: Option<&Known>,
    cx: &Context,
) -> Option<Described> {
    if let Some(known) = known {
        return Some(known.key.clone());
    }
    let signer = facts.signer.as_ref()?;
    let cert = facts.brought.certs.first()?;
    let engine = world.any_engine(signer.id.protocol()).ok()?;
    engine.describe(cert, unix(cx.judged_at())).ok()
}

/// The key that made it; of one that does not fit, the key id that it names.
fn fingerprint(
    facts: &SignatureFacts,
    described: Option<&Described>,
    status: Code,
) -> Option<String> {
    if let Some(key) = described.filter(|key| key.protocol == Protocol::Smime) {
        return Some(key.fingerprint.clone());
    }
    match (&facts.key, &facts.issuer) {
        (Some(key), _) if status != Code::BadSignature => Some(key.clone()),
        (Some(handle), _) | (None, Some(handle)) if status == Code::BadSignature => {
            Some(key_id(handle))
        }
        (_, issuer) => issuer.clone(),
    }
}

/// The key id in a fingerprint (RFC 9580 5.5.4.2, 5.5.4.3).
pub fn key_id(handle: &str) -> String {
    let id = match handle.len() {
        64 => handle.get(..16),
        40 => handle.get(24..),
        _ => None,
    };
    id.unwrap_or(handle).to_owned()
}

/// An algorithm of OpenPGP as gpgme names it, where it does.
pub fn algorithm(name: &str) -> Option<&'static str> {
    Some(match name {
        "RSA" => "RSA",
        "Elgamal" => "ELG-E",
        "DSA" => "DSA",
        "ECDH" | "X25519" | "X448" => "ECDH",
        "ECDSA" => "ECDSA",
        "EdDSA" | "Ed25519" | "Ed448" => "EdDSA",
        _ => return None,
    })
}

fn algorithm_of(key: &Described) -> Option<&'static str> {
    key.subkeys.first()?.algorithm.name
}

fn ends(key: &Described) -> u64 {
    key.subkeys
        .first()
        .map(|key| key.expires)
        .unwrap_or_default()
}

/// Remarks, and where policies are. What is no text has no place in JSON: Sequoia's signatures have
/// random bytes there.
fn notations(facts: &SignatureFacts) -> Vec<Notation> {
    let text = |notation: &&layer::Notation| notation.readable || notation.name.is_empty();
    let mut said: Vec<_> = facts.notations.iter().filter(text).collect();
    // Policies first, as gpg has them.
    said.sort_by_key(|notation| !notation.name.is_empty());
    said.into_iter()
        .map(|notation| Notation {
            human_readable: notation.readable,
            critical: notation.critical,
            name: notation.name.clone(),
            value: String::from_utf8_lossy(&notation.value).into_owned(),
            flags: u32::from(notation.readable) | u32::from(notation.critical) << 1,
        })
        .collect()
}

impl Summary {
    /// What a status and a validity come to together.
    fn of(status: Code, validity: Validity) -> Summary {
        let counts = matches!(
            status,
            Code::None | Code::SignatureExpired | Code::KeyExpired
        );
        let mut summary = Summary {
            green: counts && validity >= Validity::Full,
            red: counts && validity == Validity::Never || status == Code::BadSignature,
            ..Summary::default()
        };
        match status {
            Code::None | Code::BadSignature => {}
            Code::SignatureExpired => summary.sig_expired = true,
            Code::KeyExpired => summary.key_expired = true,
            Code::NoPublicKey => summary.key_missing = true,
            Code::CertRevoked => summary.revoked = true,
            _ => summary.sys_error = true,
        }
        summary.bad_policy = status == Code::WrongKeyUsage;
        summary.valid = summary.green && status == Code::None;
        let flags = [
            ("valid", summary.valid),
            ("green", summary.green),
            ("red", summary.red),
            ("revoked", summary.revoked),
            ("key-expired", summary.key_expired),
            ("sig-expired", summary.sig_expired),
            ("key-missing", summary.key_missing),
            ("crl-missing", summary.crl_missing),
            ("crl-too-old", summary.crl_too_old),
            ("bad-policy", summary.bad_policy),
            ("sys-error", summary.sys_error),
        ];
        let set = flags.into_iter().filter(|(_, set)| *set);
        summary.sigsum = set.map(|(name, _)| name).collect();
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;
    use crate::base::described::Validity;
    use crate::verbs::gpgme::Code;

    #[test]
    fn a_summary_says_what_gpgme_says() {
        for (status, validity, sum) in [
            (Code::None, Validity::Full, &["valid", "green"][..]),
            (Code::None, Validity::Marginal, &[]),
            (Code::None, Validity::Unknown, &[]),
            (Code::None, Validity::Never, &["red"]),
            (
                Code::SignatureExpired,
                Validity::Full,
                &["green", "sig-expired"],
            ),
            (Code::KeyExpired, Validity::Full, &["green", "key-expired"]),
            (Code::KeyExpired, Validity::Never, &["red", "key-expired"]),
            (Code::CertRevoked, Validity::Full, &["revoked"]),
            (Code::NoPublicKey, Validity::Unknown, &["key-missing"]),
            (Code::BadSignature, Validity::Unknown, &["red"]),
            (
                Code::WrongKeyUsage,
                Validity::Unknown,
                &["bad-policy", "sys-error"],
            ),
            (
                Code::UnsupportedAlgorithm,
                Validity::Unknown,
                &["sys-error"],
            ),
            (Code::General, Validity::Unknown, &["sys-error"]),
        ] {
            assert_eq!(
                Summary::of(status, validity).sigsum,
                sum,
                "{status:?} {validity:?}"
            );
        }
    }
}
