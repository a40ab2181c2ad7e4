//! Who vouches for a certificate: path validation by OpenSSL, with what it leaves to us
//! (RFC 5280 6, RFC 8550).
//!
//! OpenSSL checks signatures, CA flags, path lengths, name constraints, critical extensions
//! and the strength of algorithms. Here are: finding the ways, what a certificate
//! is meant for (OpenSSL's S/MIME purposes refuse `anyExtendedKeyUsage` and keys that can only
//! agree, as of 3.6), certificate
//! policies, dates (at two instants), revocation, and what an anchor is trusted for.

use std::sync::Arc;

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509StoreContext};

use super::anchors;
use super::certs::{self, Certificate};
use super::names;
use super::paths::{self, DEPTH_MAX, Path};
use super::policies;
use super::revocation;
use crate::base::context::unix;
use crate::base::error::Result;
use crate::base::keys::{CertFacts, Usage};
use crate::base::layer::Trust;
use crate::base::verdict::{Reason, Revocation, RevocationState};
use crate::base::{Address, Context};

/// RSA from 2048 bits, curves from 224, no SHA-1: 112 bits of security. OpenSSL's default
/// takes RSA-1024 and SHA-1.
pub(super) const AUTH_LEVEL: i32 = 2;

const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");

/// What the authorities say of a signer's certificate.
pub(super) struct Judged {
    pub trust: Trust,
    /// `key-expired`, `expired-since`, `key-revoked`, `weak-algorithm`.
    pub reasons: Vec<Reason>,
    /// The worst of the whole chain's; unknown where there is no chain.
    pub revocation: Option<Revocation>,
    /// The addresses that the anchor may vouch for, of those the certificate names; where no
    /// anchor does, all that it names.
    pub addresses: Vec<Address>,
}

/// Judges a certificate that signed something at `signed_at` (Unix seconds, as the signer
/// claims). `brought` came along with the message: intermediates perhaps, never anchors.
///
/// A chain that has expired since counts at the claimed time, with `expired-since`: whoever
/// asks has to see that something else than the signer says the same time. It does not when a
/// revocation is known, whatever its date.
///
/// # Errors
/// Those of the store; `cancelled`.
pub(super) fn judge(
    cert: &Certificate,
    brought: &[Bytes],
    signed_at: Option<u64>,
    cx: &Context,
) -> Result<Judged> {
    let judged = judge_at_level(cert, brought, signed_at, AUTH_LEVEL, cx)?;
    Ok(match cert.may(Usage::Sign) {
        true => judged,
        false => Judged {
            trust: Trust::Untrusted,
            ..judged
        },
    })
}

/// Who vouches for a certificate, whatever it is meant for: some people have one to sign with
/// and another for what they are sent.
///
/// # Errors
/// As [`judge`].
pub(super) fn vouched(cert: &Certificate, cx: &Context) -> Result<Judged> {
    judge_at_level(cert, &[], None, AUTH_LEVEL, cx)
}

/// As [`judge`], with OpenSSL's security level: NIST's test data is too old for ours.
pub(super) fn judge_at_level(
    cert: &Certificate,
    brought: &[Bytes],
    signed_at: Option<u64>,
    level: i32,
    cx: &Context,
) -> Result<Judged> {
    let at = unix(cx.judged_at());
    let mut judged = Judged {
        trust: Trust::Untrusted,
        reasons: own_reasons(cert, signed_at, at),
        revocation: Some(revocation::unknown()),
        addresses: cert.addresses(),
    };
    let leaf = Arc::new(certs::read(&cert.der)?);
    let trusted = anchors::trusted(cx)?;
    let ways = paths::find(&leaf, brought, &trusted, cx)?;
    if ways.complete.is_empty() && ways.missing && !ways.refused {
        judged.trust = Trust::Incomplete;
    }
    let mut vouched: Option<Vouched> = None;
    for path in ways.complete.iter().filter(|path| holds(path, level)) {
        let whole: Vec<&Certificate> = path.whole().collect();
        let standing = revocation::standing(&whole, level, cx)?;
        if let Some(revoked) = standing.signer {
            judged.revocation = Some(standing.revocation);
            let before = signed_at.is_some_and(|signed| signed < revoked.at);
            judged.add(match before && !revoked.hard {
                true => Reason::ExpiredSince,
                false => Reason::KeyRevoked,
            });
            return Ok(judged);
        }
        if vouched.is_none() {
            judged.revocation = Some(standing.revocation.clone());
        }
        let good = standing.revocation.state == RevocationState::Good;
        if standing.authority || (cx.policy.require_revocation && !good) {
            continue;
        }
        let Some(since) = path.in_time(signed_at, at) else {
            continue;
        };
        let found = Vouched {
            since,
            addresses: path.addresses(),
            revocation: standing.revocation,
        };
        match &mut vouched {
            Some(known) if known.since && !found.since => *known = found,
            Some(known) if known.since == found.since => known.join(found.addresses),
            Some(_) => {}
            None => vouched = Some(found),
        }
    }
    if let Some(vouched) = vouched {
        judged.trust = Trust::Anchored;
        judged.addresses = vouched.addresses;
        judged.revocation = Some(vouched.revocation);
        if vouched.since {
            judged.add(Reason::ExpiredSince);
        }
    }
    Ok(judged)
}

/// The certificates between `cert` and its root, nearest first, as far as they are here: what
/// goes along with a signature. Without the root.
///
/// # Errors
/// Those of the store; `cancelled`.
pub(super) fn intermediates(cert: &Certificate, cx: &Context) -> Result<Vec<Bytes>> {
    let at = unix(cx.judged_at());
    let leaf = Arc::new(certs::read(&cert.der)?);
    let ways = paths::find(&leaf, &[], &anchors::trusted(cx)?, cx)?;
    let whole = ways.complete.iter();
    let best = whole
        .clone()
        .find(|path| path.is_valid_at(at) && holds(path, AUTH_LEVEL));
    let certs = best
        .or_else(|| whole.clone().next())
        .map_or(&ways.longest, |path| &path.certs);
    Ok(certs
        .iter()
        .skip(1)
        .filter(|cert| !cert.is_self_issued())
        .map(|cert| cert.der.clone())
        .collect())
}

/// The authorities that come with the program, or those that policy names in their place.
///
/// # Errors
/// `policy.refused`.
pub(super) fn authorities(cx: &Context) -> Result<Vec<CertFacts>> {
    let at = unix(cx.judged_at());
    let given = anchors::given(cx)?;
    Ok(given
        .iter()
        .map(|authority| certs::facts_of(&authority.cert, at))
        .collect())
}

impl Judged {
    fn add(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// What a chain that holds is good for.
struct Vouched {
    /// It held when the signer claims to have signed, and does no longer.
    since: bool,
    addresses: Vec<Address>,
    revocation: Revocation,
}

impl Vouched {
    fn join(&mut self, addresses: Vec<Address>) {
        for address in addresses {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }
}

/// What the certificate alone says against a signature, whoever vouches for it.
fn own_reasons(cert: &Certificate, signed_at: Option<u64>, at: u64) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if cert.key().weak {
        reasons.push(Reason::WeakAlgorithm);
    }
    let end = cert.not_after();
    // Nobody claims that a signature without a time was made before the end.
    if signed_at.unwrap_or(at) > end {
        reasons.push(Reason::KeyExpired);
    } else if at > end {
        reasons.push(Reason::ExpiredSince);
    }
    reasons
}

impl Path {
    /// The signer's certificate first, the anchor last.
    fn whole(&self) -> impl Iterator<Item = &Certificate> {
        let certs = self.certs.iter().map(AsRef::as_ref);
        certs.chain(std::iter::once(&self.anchor.cert))
    }

    fn is_valid_at(&self, at: u64) -> bool {
        self.whole()
            .all(|cert| cert.not_before() <= at && at <= cert.not_after())
    }

    /// `Some(false)`: it is valid now, `Some(true)`: it was when the signer claims to have
    /// signed. The signer's own certificate must have been valid then in both cases.
    fn in_time(&self, signed_at: Option<u64>, at: u64) -> Option<bool> {
        let signed = signed_at.unwrap_or(at);
        let leaf = self.certs.first()?;
        if signed < leaf.not_before() || leaf.not_after() < signed {
            return None;
        }
        if self.is_valid_at(at) {
            return Some(false);
        }
        (signed <= at && leaf.not_before() <= at && self.is_valid_at(signed)).then_some(true)
    }

    /// The addresses that all authorities on the way may vouch for.
    fn addresses(&self) -> Vec<Address> {
        let Some(leaf) = self.certs.first() else {
            return Vec::new();
        };
        let mut addresses = leaf.addresses();
        addresses.retain(|address| {
            self.anchor.vouches_for(address)
                && self.whole().skip(1).all(|authority| {
                    authority
                        .extension(NAME_CONSTRAINTS)
                        .is_none_or(|constraints| names::permits(constraints, address))
                })
        });
        addresses
    }
}

/// Whether a path keeps to the rules, dates and revocation aside.
pub(super) fn holds(path: &Path, level: i32) -> bool {
    let Some((leaf, authorities)) = path.certs.split_first() else {
        return false;
    };
    let distrusted = |limit| leaf.not_before() > limit;
    (leaf.may(Usage::Sign) || leaf.may(Usage::Encrypt))
        && authorities
            .iter()
            // OpenSSL takes an authority without basic constraints that has the key usage.
            .all(|authority| authority.may(Usage::Certify) && authority.is_for_mail())
        && !path.anchor.distrust_after.is_some_and(distrusted)
        && policies::hold(
            &path
                .certs
                .iter()
                .rev()
                .map(AsRef::as_ref)
                .collect::<Vec<_>>(),
        )
        && verified(path, level).unwrap_or(false)
}

/// OpenSSL's word on one path, with nothing else to choose from.
fn verified(path: &Path, level: i32) -> Result<bool, ErrorStack> {
    let mut param = X509VerifyParam::new()?;
    param.set_auth_level(level);
    param.set_depth(i32::try_from(DEPTH_MAX).unwrap_or(i32::MAX));
    // A person may trust an authority that is not a root. Dates are judged elsewhere, at more
    // than one instant.
    param.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(path.anchor.cert.x509.clone())?;
    store.set_param(&param)?;
    let store = store.build();
    let mut untrusted: Stack<X509> = Stack::new()?;
    let (Some(leaf), authorities) = (path.certs.first(), path.certs.iter().skip(1)) else {
        return Ok(false);
    };
    for authority in authorities {
        untrusted.push(authority.x509.clone())?;
    }
    let mut context = X509StoreContext::new()?;
    let verified = context.init(&store, &leaf.x509, &untrusted, |cx| cx.verify_cert());
    // What OpenSSL complained of on the way must not turn up at somebody else's call.
    drop(ErrorStack::get());
    verified
}
