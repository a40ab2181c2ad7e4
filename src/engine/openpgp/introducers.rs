//! Introducers: people whose signatures on a user id of others' certificates count as the
//! person's own acceptance. One step, unless a trust signature of theirs says that somebody else
//! may introduce too.

use std::sync::Arc;
use std::time::SystemTime;

use sequoia_openpgp::cert::amalgamation::UserIDAmalgamation;
use sequoia_openpgp::packet::{Signature, UserID};
use sequoia_openpgp::policy::Policy;
use sequoia_openpgp::regex::RegexSet;
use sequoia_openpgp::types::SignatureType;
use sequoia_openpgp::{Cert, KeyHandle};

use super::certs;
use super::policy;
use crate::base::context::from_unix;
use crate::base::error::Result;
use crate::base::keys::{Introducer, KeyId};
use crate::base::{Address, Context, Protocol};

/// Signatures by others that are kept of one user id: each introducer's newest, and its
/// revocation. Floods had a hundred thousand.
const KEPT_MAX: usize = 16;

/// The trust amount at which a signature's word is whole (RFC 9580 5.2.3.21). One that says
/// less, as partial trust, is not enough by itself.
const WHOLE: u8 = 120;

/// Steps from an introducer to the certificate in question, where trust signatures allow more
/// than one (RFC 9580 5.2.3.21).
const STEPS_MAX: u8 = 3;

/// Strangers who are looked up for one user id: whether an introducer trusts them to introduce.
const LOOKED_UP_MAX: usize = 32;

/// The person's introducers, read, and the certificates of those whom they may trust.
pub(super) struct Introducers<'a> {
    all: Vec<(Introducer, Arc<Cert>)>,
    cx: &'a Context,
}

impl<'a> Introducers<'a> {
    /// Those whose certificates are here.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn of(cx: &'a Context) -> Result<Introducers<'a>> {
        let all = cx.certs.introducers()?.into_iter();
        let read = all.filter_map(|one| {
            let cert = certs::stored(&one.cert.cert).ok()?;
            Some((one, cert))
        });
        Ok(Introducers {
            all: read.collect(),
            cx,
        })
    }

    /// The names of their primary keys.
    pub(super) fn handles(&self) -> Vec<KeyHandle> {
        self.all.iter().map(|(_, cert)| cert.key_handle()).collect()
    }

    /// There are none: nobody's word is looked at.
    fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What they, and those whom they trust to introduce, said of a user id: the newest word of
    /// each that verifies, and that it was taken back.
    pub(super) fn said(&self, user_id: &UserIDAmalgamation<'_>, at: u64) -> Vec<Signature> {
        if self.is_empty() {
            return Vec::new();
        }
        let at = from_unix(at);
        let policy = policy::policy(at);
        let trusted = self.issuers(user_id).into_iter();
        let trusted = trusted.filter(|one| self.steps_to(one, None, &policy, at, 1).is_some());
        let direct = self.all.iter().map(|(_, cert)| Arc::clone(cert));
        let mut kept = Vec::new();
        for cert in direct.chain(trusted) {
            let word = newest(user_id, &cert, &policy, at);
            let taken_back = taken_back(user_id, &cert, &policy, at);
            kept.extend(word.into_iter().chain(taken_back));
        }
        kept.truncate(KEPT_MAX);
        kept
    }

    /// The certificates, as far as they are here, of others who signed a user id.
    fn issuers(&self, user_id: &UserIDAmalgamation<'_>) -> Vec<Arc<Cert>> {
        let known = |handle: &KeyHandle| {
            let mut all = self.all.iter();
            all.any(|(_, cert)| handle.aliases(cert.key_handle()))
        };
        let mut handles: Vec<KeyHandle> = Vec::new();
        for handle in user_id.certifications().flat_map(Signature::get_issuers) {
            if !known(&handle) && !handles.contains(&handle) {
                handles.push(handle);
            }
        }
        let found = handles.iter().take(LOOKED_UP_MAX).filter_map(|handle| {
            let handle = certs::handle(handle);
            self.cx.certs.indexed(Protocol::OpenPgp, &handle).ok()
        });
        let mut certs: Vec<Arc<Cert>> = Vec::new();
        for stored in found.flatten() {
            if let Ok(cert) = certs::stored(&stored.cert)
                && !certs
                    .iter()
                    .any(|one| one.fingerprint() == cert.fingerprint())
            {
                certs.push(cert);
            }
        }
        certs
    }

    /// The steps from an introducer to one whom they trust to introduce others, `depth` steps
    /// further; for `target`, where that is known.
    fn steps_to(
        &self,
        cert: &Cert,
        target: Option<(&Address, &UserID)>,
        policy: &dyn Policy,
        at: SystemTime,
        depth: u8,
    ) -> Option<Vec<KeyId>> {
        if depth >= STEPS_MAX || !usable(cert, policy, at) {
            return None;
        }
        let trusts = |user_id: &UserIDAmalgamation<'_>, by: &Cert| {
            let word = standing(user_id, by, policy, at)?;
            let (level, amount) = word.trust_signature()?;
            let within = target.is_none_or(|(_, user_id)| {
                RegexSet::from_signature(&word).is_ok_and(|scope| scope.matches_userid(user_id))
            });
            (level >= depth && amount >= WHOLE && within).then_some(())
        };
        let valid = cert.with_policy(policy, at).ok()?;
        for bound in valid.userids().revoked(false) {
            let user_id = bound.amalgamation();
            for (introducer, by) in &self.all {
                let speaks = target.is_none_or(|(address, _)| introducer.speaks_for(address));
                if speaks && usable(by, policy, at) && trusts(user_id, by).is_some() {
                    return Some(vec![introducer.cert.id.clone(), certs::id(cert)]);
                }
            }
            for by in self.issuers(user_id) {
                if by.fingerprint() != cert.fingerprint()
                    && trusts(user_id, &by).is_some()
                    && let Some(mut steps) = self.steps_to(&by, target, policy, at, depth + 1)
                {
                    steps.push(certs::id(cert));
                    return Some(steps);
                }
            }
        }
        None
    }

    /// The way from an introducer to the certificate and exactly this address, at an instant:
    /// the introducer, and whom they trust between.
    fn way_to(&self, cert: &Cert, address: &Address, at: SystemTime) -> Option<Vec<KeyId>> {
        if self.is_empty() {
            return None;
        }
        let policy = policy::policy(at);
        let valid = cert.with_policy(&policy, at).ok()?;
        let named = valid.userids().revoked(false);
        for bound in named.filter(|ua| certs::address(ua.userid()).as_ref() == Some(address)) {
            let user_id = bound.amalgamation();
            // Nobody introduces themselves.
            let vouches = |by: &Cert| {
                by.fingerprint() != cert.fingerprint()
                    && standing(user_id, by, &policy, at).is_some_and(|word| {
                        word.trust_signature()
                            .is_none_or(|(_, amount)| amount >= WHOLE)
                    })
            };
            let mut direct = self.all.iter();
            let direct = direct.find(|(introducer, by)| {
                introducer.speaks_for(address) && usable(by, &policy, at) && vouches(by)
            });
            if let Some((introducer, _)) = direct {
                return Some(vec![introducer.cert.id.clone()]);
            }
            let target = Some((address, bound.userid()));
            let issuers = self.issuers(user_id).into_iter();
            let mut steps = issuers
                .filter(|by| vouches(by))
                .filter_map(|by| self.steps_to(&by, target, &policy, at, 1));
            if let Some(steps) = steps.next() {
                return Some(steps);
            }
        }
        None
    }
}

/// Whether somebody's own key is one to rely on.
pub(super) fn usable(cert: &Cert, policy: &dyn Policy, at: SystemTime) -> bool {
    cert.with_policy(policy, at)
        .is_ok_and(|valid| valid.alive().is_ok() && !certs::is_revoked(&valid.revocation_status()))
}

/// Other people's signatures on a user id as they stand in copies that were read before: the
/// newest few. They are checked whenever they are used.
pub(super) fn told(user_id: &UserIDAmalgamation<'_>) -> Vec<Signature> {
    let all = user_id.certifications().chain(user_id.other_revocations());
    let mut all: Vec<Signature> = all.cloned().collect();
    all.sort_by_key(|signature| std::cmp::Reverse(signature.signature_creation_time()));
    all.truncate(KEPT_MAX);
    all
}

/// See [`crate::engine::Engine::introducers`].
pub(super) fn introducers(cert: &[u8], address: &Address, cx: &Context) -> Vec<KeyId> {
    let way = || {
        let introducers = Introducers::of(cx).ok()?;
        let cert = certs::stored(cert).ok()?;
        introducers.way_to(&cert, address, cx.judged_at())
    };
    way().unwrap_or_default()
}

/// Who vouches for which of these addresses.
///
/// # Errors
/// Those of the store.
pub(super) fn all_for(
    cert: &Cert,
    addresses: &[Address],
    cx: &Context,
) -> Result<Vec<(Address, Vec<KeyId>)>> {
    let introducers = Introducers::of(cx)?;
    let at = cx.judged_at();
    let vouched = addresses.iter().filter_map(|address| {
        let way = introducers.way_to(cert, address, at)?;
        Some((address.clone(), way))
    });
    Ok(vouched.collect())
}

/// Somebody's newest word for a user id, unless it was taken back since.
pub(super) fn standing(
    user_id: &UserIDAmalgamation<'_>,
    by: &Cert,
    policy: &dyn Policy,
    at: SystemTime,
) -> Option<Signature> {
    let word = newest(user_id, by, policy, at)?;
    let taken_back = taken_back(user_id, by, policy, at).is_some_and(|revocation| {
        revocation.signature_creation_time() >= word.signature_creation_time()
    });
    (!taken_back).then_some(word)
}

/// The newest signature of an introducer on a user id that verifies and has not ended.
fn newest(
    user_id: &UserIDAmalgamation<'_>,
    introducer: &Cert,
    policy: &dyn Policy,
    at: SystemTime,
) -> Option<Signature> {
    let key = introducer.primary_key().key().role_as_unspecified();
    let valid = user_id.valid_certifications_by_key(policy, at, key);
    valid
        // A persona certification says that nothing was compared (RFC 9580 5.2.1.4).
        .filter(|signature| signature.typ() != SignatureType::PersonaCertification)
        .max_by_key(|signature| signature.signature_creation_time())
        .cloned()
}

/// The newest revocation by an introducer of their signature on a user id.
fn taken_back(
    user_id: &UserIDAmalgamation<'_>,
    introducer: &Cert,
    policy: &dyn Policy,
    at: SystemTime,
) -> Option<Signature> {
    let key = introducer.primary_key().key().role_as_unspecified();
    let valid = user_id.valid_third_party_revocations_by_key(policy, at, key);
    valid
        .max_by_key(|signature| signature.signature_creation_time())
        .cloned()
}
