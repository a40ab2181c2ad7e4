//! Keys that policy has every encrypted message encrypted to as well: an archive's.

use super::World;
use crate::base::context::unix;
use crate::base::keys::{Acceptance, StoredCert, Usage};
use crate::base::policy::ENCRYPT_ALSO;
use crate::base::{Context, Error, KeyId, Protocol, Result};

/// A key that policy adds to every encrypted message, and why it can't be used.
pub(super) struct Also {
    pub id: KeyId,
    pub cert: Option<StoredCert>,
    pub reasons: Vec<&'static str>,
}

/// All keys that policy adds.
pub(super) fn all_also(world: &World, cx: &Context) -> Result<Vec<Also>> {
    let now = unix(cx.now);
    let mut all = Vec::new();
    for id in &cx.policy.encrypt.also {
        let cert = world.store.cert(id)?;
        let mut reasons = Vec::new();
        if let Some(cert) = &cert {
            let engine = world.any_engine(id.protocol())?;
            reasons = engine.unfit(&cert.cert, Usage::Encrypt, None, now);
            if reasons.is_empty() && world.is_short(id.protocol(), &cert.cert, now) {
                reasons.push("weak");
            }
            let row = world.store.row(id)?;
            let said = row.iter().flat_map(|row| row.acceptance.values());
            if said.copied().any(|level| level == Acceptance::Rejected) {
                reasons.push("rejected");
            }
        }
        all.push(Also {
            id: id.clone(),
            cert,
            reasons,
        });
    }
    Ok(all)
}

/// The keys that policy adds to the envelopes of one family.
///
/// # Errors
/// `policy.refused` when one of them is not here or can't be used, or policy names keys of the
/// other family alone: nothing goes out that the archive can't read.
pub(super) fn also(world: &World, protocol: Protocol, cx: &Context) -> Result<Vec<StoredCert>> {
    let all = all_also(world, cx)?;
    let any = !all.is_empty();
    let mut certs = Vec::new();
    for one in all.into_iter().filter(|one| one.id.protocol() == protocol) {
        match one.cert.filter(|_| one.reasons.is_empty()) {
            Some(cert) => certs.push(cert),
            None => {
                return Err(Error::refused(
                    ENCRYPT_ALSO,
                    "a key that policy encrypts to as well is not here or can't be used; import or renew it",
                ));
            }
        }
    }
    match any && certs.is_empty() {
        true => Err(Error::refused(
            ENCRYPT_ALSO,
            "policy encrypts to further keys as well, and has none of this protocol; use the other one",
        )),
        false => Ok(certs),
    }
}
