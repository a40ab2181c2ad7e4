//! Introducers: people whose signatures on a user id of others' certificates count as the
//! person's own acceptance. One step: whom an introducer trusts to introduce is not asked.

use std::sync::Arc;
use std::time::SystemTime;

use sequoia_openpgp::cert::amalgamation::UserIDAmalgamation;
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::policy::Policy;
use sequoia_openpgp::types::SignatureType;
use sequoia_openpgp::{Cert, KeyHandle};

use super::certs;
use super::policy;
use crate::base::context::from_unix;
use crate::base::error::Result;
use crate::base::keys::{Introducer, KeyId};
use crate::base::{Address, Context};

/// Signatures by others that are kept of one user id: each introducer's newest, and its
/// revocation. Floods had a hundred thousand.
const KEPT_MAX: usize = 16;

/// The trust amount at which a signature's word is whole (RFC 9580 5.2.3.21). One that says
/// less, as partial trust, is not enough by itself.
const WHOLE: u8 = 120;

/// The person's introducers, read.
pub(super) struct Introducers(Vec<(Introducer, Arc<Cert>)>);

impl Introducers {
    /// Those whose certificates are here.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn of(cx: &Context) -> Result<Introducers> {
        let all = cx.certs.introducers()?.into_iter();
        let read = all.filter_map(|one| {
            let cert = certs::stored(&one.cert.cert).ok()?;
            Some((one, cert))
        });
        Ok(Introducers(read.collect()))
    }

    /// The names of their primary keys.
    pub(super) fn handles(&self) -> Vec<KeyHandle> {
        self.0.iter().map(|(_, cert)| cert.key_handle()).collect()
    }

    /// What they said of a user id: the newest word of each that verifies, and that it was
    /// taken back.
    pub(super) fn said(&self, user_id: &UserIDAmalgamation<'_>, at: u64) -> Vec<Signature> {
        let at = from_unix(at);
        let policy = policy::policy(at);
        let mut kept = Vec::new();
        for (_, cert) in &self.0 {
            let word = newest(user_id, cert, &policy, at);
            let taken_back = taken_back(user_id, cert, &policy, at);
            kept.extend(word.into_iter().chain(taken_back));
        }
        kept.truncate(KEPT_MAX);
        kept
    }
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

/// See [`crate::engine::Engine::introducer`].
pub(super) fn introducer(cert: &[u8], address: &Address, cx: &Context) -> Option<KeyId> {
    let introducers = Introducers::of(cx).ok()?;
    let cert = certs::stored(cert).ok()?;
    introducers.one_for(&cert, address, cx.judged_at())
}

/// Who vouches for which of these addresses.
///
/// # Errors
/// Those of the store.
pub(super) fn all_for(
    cert: &Cert,
    addresses: &[Address],
    cx: &Context,
) -> Result<Vec<(Address, KeyId)>> {
    let introducers = Introducers::of(cx)?;
    let at = cx.judged_at();
    let vouched = addresses.iter().filter_map(|address| {
        let by = introducers.one_for(cert, address, at)?;
        Some((address.clone(), by))
    });
    Ok(vouched.collect())
}

impl Introducers {
    /// One whose word for the certificate and exactly this address counts at an instant.
    fn one_for(&self, cert: &Cert, address: &Address, at: SystemTime) -> Option<KeyId> {
        if self.0.is_empty() {
            return None;
        }
        let policy = policy::policy(at);
        let valid = cert.with_policy(&policy, at).ok()?;
        let named: Vec<_> = valid
            .userids()
            .revoked(false)
            .filter(|ua| certs::address(ua.userid()).as_ref() == Some(address))
            .collect();
        let counts = |one: &Cert| {
            let valid = one.with_policy(&policy, at);
            let usable = valid.is_ok_and(|valid| {
                valid.alive().is_ok() && !certs::is_revoked(&valid.revocation_status())
            });
            // Nobody introduces themselves.
            usable && one.fingerprint() != cert.fingerprint()
        };
        let mut able = self.0.iter();
        let found = able.find(|(introducer, one)| {
            introducer.speaks_for(address)
                && counts(one)
                && named
                    .iter()
                    .any(|ua| vouches(ua.amalgamation(), one, &policy, at))
        });
        found.map(|(introducer, _)| introducer.cert.id.clone())
    }
}

/// Whether one's word for a user id stands: it is whole, and was not taken back since.
fn vouches(
    user_id: &UserIDAmalgamation<'_>,
    introducer: &Cert,
    policy: &dyn Policy,
    at: SystemTime,
) -> bool {
    let Some(word) = newest(user_id, introducer, policy, at) else {
        return false;
    };
    let whole = word
        .trust_signature()
        .is_none_or(|(_, amount)| amount >= WHOLE);
    let taken_back = taken_back(user_id, introducer, policy, at).is_some_and(|revocation| {
        revocation.signature_creation_time() >= word.signature_creation_time()
    });
    whole && !taken_back
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
