//! What the lists of revoked certificates on disk say (RFC 5280 5), and who is asked where
//! they are silent.
//!
//! A list is used when the authority that issued the certificate signed it itself and it is
//! complete for that certificate. Delta lists, indirect ones and those for some reasons only
//! can say "revoked", never "good".

use std::sync::Arc;

use const_oid::ObjectIdentifier;
use der::asn1::AnyRef;
use der::{Decode, Encode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};
use openssl::x509::X509Crl;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::DistributionPointName;
use x509_cert::ext::pkix::{CrlDistributionPoints, CrlReason, IssuingDistributionPoint, KeyUsage};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use super::anchors::{self, Authority};
use super::certs::{self, Certificate, KEY_USAGE};
use super::chain::AUTH_LEVEL;
use super::kinds;
use super::names;
use super::online;
use crate::base::Context;
use crate::base::context::{rfc3339, unix};
use crate::base::error::{Error, Result};
use crate::base::keys::Protocol;
use crate::base::verdict::{Revocation, RevocationState};

/// The largest list that is read: the biggest authorities' have some 30 MiB.
pub(super) const LIST_MAX: usize = 64 << 20;

const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const ISSUING_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
pub(super) const DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");

/// A list that a person brought or that was fetched, as the store files it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// By which [`crate::base::keys::Certs::revocation_list`] asks for it.
    pub issuer: String,
    /// Unix seconds. The newest is kept.
    pub this_update: u64,
    pub der: Vec<u8>,
}

/// Reads one list, DER or PEM. Its signature is checked when it is used, and by [`is_genuine`]:
/// who issued it may not be here yet.
///
/// # Errors
/// `message.malformed`, for a delta list as well; `limit.exceeded`.
pub fn read(data: &[u8]) -> Result<List> {
    if data.len() > LIST_MAX {
        return Err(Error::limit(
            "revocation-list",
            "the revocation list is too large; ask its authority for a partitioned one",
        ));
    }
    let fault = || Error::malformed("this is not a revocation list; download it again");
    let der = if data.trim_ascii_start().starts_with(b"-----BEGIN") {
        let list = X509Crl::from_pem(data).map_err(|e| fault().because(e))?;
        list.to_der().map_err(|e| fault().because(e))?
    } else {
        data.to_vec()
    };
    let parsed = Parsed::read(&der).map_err(|e| fault().because(e))?;
    if parsed.extensions.iter().any(|e| e.extn_id == DELTA) {
        return Err(Error::malformed(
            "this revocation list says only what has changed; download the complete one",
        ));
    }
    Ok(List {
        issuer: certs::name_handle(parsed.issuer),
        this_update: seconds(&parsed.this_update),
        der,
    })
}

/// Whether one of the authorities of its issuer's name signed a list; `None`: none of them is
/// here.
///
/// # Errors
/// As [`crate::base::keys::Certs::by_handle`]; `policy.refused`.
pub fn is_genuine(list: &List, cx: &Context) -> Result<Option<bool>> {
    let mut known = false;
    let mut signed = |cert: &Certificate| {
        known = true;
        Parsed::read(&list.der).is_ok_and(|parsed| parsed.is_signed_by(cert, &list.der))
    };
    for stored in cx.certs.by_handle(Protocol::Smime, &list.issuer)? {
        if certs::read(&stored.cert).is_ok_and(|cert| signed(&cert)) {
            return Ok(Some(true));
        }
    }
    let named = |authority: &&Arc<Authority>| authority.cert.subject_handle() == list.issuer;
    for authority in anchors::trusted(cx)?.iter().filter(named) {
        if signed(&authority.cert) {
            return Ok(Some(true));
        }
    }
    Ok(known.then_some(false))
}

/// What is known of all certificates of a path but its anchor.
pub(super) struct Standing {
    /// The worst of them; the oldest list.
    pub revocation: Revocation,
    /// The first certificate, the signer's, was revoked.
    pub signer: Option<Revoked>,
    /// One of the authorities was.
    pub authority: bool,
}

/// When a certificate was revoked, and whether that says something of the time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revoked {
    /// Unix seconds.
    pub at: u64,
    /// Somebody else may have the key, or nobody says why (RFC 5280 5.3.1).
    pub hard: bool,
}

/// Nothing is known.
pub(super) fn unknown() -> Revocation {
    Revocation {
        state: RevocationState::Unknown,
        as_of: None,
    }
}

/// Looks a path up, the signer's certificate first, its anchor last. Below the usual security
/// level a list over a broken hash says "good" too.
///
/// # Errors
/// As [`crate::base::keys::Certs::revocation_list`].
pub(super) fn standing(path: &[&Certificate], level: i32, cx: &Context) -> Result<Standing> {
    let mut standing = Standing {
        revocation: unknown(),
        signer: None,
        authority: false,
    };
    let mut worst = RevocationState::Good;
    let mut oldest: Option<u64> = None;
    for (place, pair) in path.windows(2).enumerate() {
        let [cert, issuer] = pair else { continue };
        let mut list = cx.certs.revocation_list(&cert.issuer_handle())?;
        if list.is_none() {
            // The authority may spell its own name in another way.
            list = cx.certs.revocation_list(&issuer.subject_handle())?;
        }
        // An authority that changes its key signs its list with one of both.
        let name = subject(issuer);
        let signers: Vec<&Certificate> = path
            .iter()
            .skip(1)
            .copied()
            .filter(|cert| subject(cert) == name)
            .collect();
        let at = unix(cx.judged_at());
        let mut found = list.map_or_else(Found::nothing, |list| {
            look_up(cert, &signers, &list, level, at)
        });
        if found.state == RevocationState::Unknown
            && let Some(answered) = online::ask(cert, issuer, &signers, level, cx)?
        {
            found = answered;
        }
        if let Some(as_of) = found.as_of {
            oldest = Some(oldest.map_or(as_of, |known| known.min(as_of)));
        }
        match found.state {
            RevocationState::Revoked => {
                worst = RevocationState::Revoked;
                if place == 0 {
                    standing.signer = found.revoked;
                } else {
                    standing.authority = true;
                }
            }
            RevocationState::Unknown if worst == RevocationState::Good => {
                worst = RevocationState::Unknown;
            }
            RevocationState::Unknown | RevocationState::Good => {}
        }
    }
    standing.revocation = Revocation {
        state: worst,
        as_of: oldest.map(rfc3339),
    };
    Ok(standing)
}

fn subject(cert: &Certificate) -> String {
    names::canonical(cert.parsed.tbs_certificate().subject())
}

/// What is said of one certificate.
pub(super) struct Found {
    pub state: RevocationState,
    /// Unix seconds.
    pub as_of: Option<u64>,
    pub revoked: Option<Revoked>,
}

impl Found {
    fn nothing() -> Found {
        Found {
            state: RevocationState::Unknown,
            as_of: None,
            revoked: None,
        }
    }
}

/// What one list says of one certificate.
pub(super) fn look_up(
    cert: &Certificate,
    signers: &[&Certificate],
    der: &[u8],
    level: i32,
    at: u64,
) -> Found {
    let nothing = Found::nothing();
    if der.len() > LIST_MAX {
        return nothing;
    }
    let Ok(list) = Parsed::read(der) else {
        return nothing;
    };
    if !signers.iter().any(|signer| list.is_signed_by(signer, der)) {
        return nothing;
    }
    let this_update = seconds(&list.this_update);
    let serial = cert.parsed.tbs_certificate().serial_number().to_der();
    let (Ok(serial), as_of) = (serial, Some(this_update)) else {
        return nothing;
    };
    match list.entry(&serial) {
        Err(_) => Found { as_of, ..nothing },
        Ok(Some(revoked)) => Found {
            state: RevocationState::Revoked,
            as_of,
            revoked: Some(revoked),
        },
        Ok(None) => {
            let fresh = this_update <= at
                && list.next_update.is_some_and(|next| at <= seconds(&next))
                // Who has expired is taken off the list.
                && this_update <= cert.not_after();
            let state = if fresh
                && list.is_complete_for(cert)
                && (level < AUTH_LEVEL || !kinds::broken_hash(&list.signature))
            {
                RevocationState::Good
            } else {
                RevocationState::Unknown
            };
            Found {
                state,
                as_of,
                revoked: None,
            }
        }
    }
}

/// A list taken apart. Its entries stay as they are: there may be a million of them.
struct Parsed<'a> {
    signature: AlgorithmIdentifierOwned,
    issuer: &'a [u8],
    this_update: Time,
    next_update: Option<Time>,
    entries: &'a [u8],
    extensions: Vec<Extension>,
}

impl<'a> Parsed<'a> {
    fn read(der: &'a [u8]) -> der::Result<Parsed<'a>> {
        let whole = sequence(AnyRef::from_der(der)?)?;
        let mut whole = SliceReader::new(whole)?;
        let tbs = sequence(AnyRef::decode(&mut whole)?)?;
        let mut tbs = SliceReader::new(tbs)?;
        if Tag::peek(&tbs)? == Tag::Integer {
            AnyRef::decode(&mut tbs)?;
        }
        let signature = AlgorithmIdentifierOwned::decode(&mut tbs)?;
        let issuer = tbs.tlv_bytes()?;
        let this_update = Time::decode(&mut tbs)?;
        let at_time = |tbs: &SliceReader<'_>| {
            !tbs.is_finished()
                && Tag::peek(tbs)
                    .is_ok_and(|tag| matches!(tag, Tag::UtcTime | Tag::GeneralizedTime))
        };
        let next_update = at_time(&tbs).then(|| Time::decode(&mut tbs)).transpose()?;
        let entries = if !tbs.is_finished() && Tag::peek(&tbs)? == Tag::Sequence {
            sequence(AnyRef::decode(&mut tbs)?)?
        } else {
            &[]
        };
        let extensions = if tbs.is_finished() {
            Vec::new()
        } else {
            let field = AnyRef::decode(&mut tbs)?;
            let expected = Tag::ContextSpecific {
                constructed: true,
                number: TagNumber(0),
            };
            if field.tag() != expected {
                return Err(field.tag().value_error().into());
            }
            Vec::<Extension>::from_der(field.value())?
        };
        tbs.finish()?;
        Ok(Parsed {
            signature,
            issuer,
            this_update,
            next_update,
            entries,
            extensions,
        })
    }

    /// The authority may sign lists and signed this one.
    fn is_signed_by(&self, issuer: &Certificate, der: &[u8]) -> bool {
        let allowed = issuer
            .extension(KEY_USAGE)
            .is_none_or(|value| KeyUsage::from_der(value).is_ok_and(|usage| usage.crl_sign()));
        let (true, Ok(key), Ok(list)) = (allowed, issuer.x509.public_key(), X509Crl::from_der(der))
        else {
            return false;
        };
        list.verify(&key).unwrap_or(false)
    }

    /// The entry of a certificate, by the DER of its serial number.
    fn entry(&self, serial: &[u8]) -> der::Result<Option<Revoked>> {
        let mut entries = SliceReader::new(self.entries)?;
        while !entries.is_finished() {
            let entry = sequence(AnyRef::decode(&mut entries)?)?;
            let mut entry = SliceReader::new(entry)?;
            if entry.tlv_bytes()? != serial {
                continue;
            }
            let at = Time::decode(&mut entry).map_or(0, |time| seconds(&time));
            let extensions = if entry.is_finished() {
                Vec::new()
            } else {
                // One that can't be read leaves the reason open, which is the worst.
                Vec::<Extension>::decode(&mut entry).unwrap_or_default()
            };
            let reason = extensions
                .iter()
                .find(|extension| extension.extn_id == REASON)
                .and_then(|extension| CrlReason::from_der(extension.extn_value.as_bytes()).ok());
            // Only in a delta list: it is revoked no longer.
            if reason == Some(CrlReason::RemoveFromCRL) {
                return Ok(None);
            }
            let hard = !matches!(
                reason,
                Some(
                    CrlReason::AffiliationChanged
                        | CrlReason::Superseded
                        | CrlReason::CessationOfOperation
                        | CrlReason::CertificateHold
                        | CrlReason::PrivilegeWithdrawn
                )
            );
            return Ok(Some(Revoked { at, hard }));
        }
        Ok(None)
    }

    /// A certificate that is not on the list is not revoked (RFC 5280 5.2.5, 6.3.3).
    fn is_complete_for(&self, cert: &Certificate) -> bool {
        self.extensions.iter().all(|extension| {
            if extension.extn_id != ISSUING_POINT {
                return !extension.critical;
            }
            let Ok(point) = IssuingDistributionPoint::from_der(extension.extn_value.as_bytes())
            else {
                return false;
            };
            let other_kind = match cert.is_authority() {
                true => point.only_contains_user_certs,
                false => point.only_contains_ca_certs,
            };
            let partial = point.indirect_crl
                || point.only_contains_attribute_certs
                || point.only_some_reasons.is_some();
            !other_kind
                && !partial
                && point
                    .distribution_point
                    .is_none_or(|name| is_point_of(&name, cert))
        })
    }
}

/// Whether a certificate says that its revocation is told at this point, in full.
fn is_point_of(name: &DistributionPointName, cert: &Certificate) -> bool {
    let DistributionPointName::FullName(names) = name else {
        return false;
    };
    let points = cert
        .extension(DISTRIBUTION_POINTS)
        .and_then(|value| CrlDistributionPoints::from_der(value).ok());
    points.is_some_and(|points| {
        points
            .0
            .iter()
            .any(|point| match &point.distribution_point {
                Some(DistributionPointName::FullName(own)) => {
                    point.reasons.is_none()
                        && point.crl_issuer.is_none()
                        && own.iter().any(|name| names.contains(name))
                }
                _ => false,
            })
    })
}

/// The content of a value that has to be a SEQUENCE.
fn sequence(value: AnyRef<'_>) -> der::Result<&[u8]> {
    if value.tag() != Tag::Sequence {
        return Err(value.tag().value_error().into());
    }
    Ok(value.value())
}

fn seconds(time: &Time) -> u64 {
    time.to_unix_duration().as_secs()
}
