//! From what an engine saw of a signature to what a reader is told: status and reasons, as
//! the contract defines them. Pure rules; nothing here touches a key or a message.

use crate::base::context::rfc3339;
use crate::base::keys::{Acceptance, Protocol};
use crate::base::layer::{Fit, SignatureFacts, Trust};
use crate::base::verdict::{Reason, Signature, Signed, Signer, Status};
use crate::base::{Address, Context, KeyId, Result};

/// How far a signature's own time may be from the message's `Date`, in seconds: a day covers
/// slow queues and wrong zones; more means that something old was sent again.
pub(super) const DATE_TOLERANCE: u64 = 24 * 60 * 60;

/// What the message says of itself, against which signatures are judged.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The one address in the (protected) From; `None` when there is none, or several.
    pub from: Option<Address>,
    /// The message's `Date`, Unix seconds, where no signature covers it.
    pub date: Option<u64>,
    /// The `Date` that a reader is shown, for signatures over a part alone: they cover none.
    pub shown_date: Option<u64>,
    /// Inside and outside name different senders.
    pub differs: bool,
    /// It has no `Date` that can be read, or several: nothing says when it was written.
    pub dateless: bool,
    /// The claims come from a page, not from a message.
    pub claimed: bool,
}

/// Where a signature stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// An encryption layer lies inside it.
    pub outside_encryption: bool,
}

/// Judges one signature.
pub fn signature(
    facts: &SignatureFacts,
    protocol: Protocol,
    claims: &Claims,
    place: Place,
    cx: &Context,
) -> Result<Signature> {
    let mut reasons = facts.reasons.clone();
    let mut vouched_by = Vec::new();
    let status = match facts.fit {
        Fit::Altered => bad(&mut reasons, Reason::Altered),
        Fit::Malformed => bad(&mut reasons, Reason::Malformed),
        Fit::Weak => bad(&mut reasons, Reason::WeakAlgorithm),
        Fit::NoCert => Status::Unknown,
        Fit::Unsupported => {
            reasons.push(Reason::UnsupportedAlgorithm);
            Status::Unknown
        }
        Fit::Intact => {
            vouched_by = introducers(facts, claims, cx)?;
            intact(facts, &mut reasons, protocol, claims, place, cx)?
        }
    };
    reasons.sort_unstable();
    reasons.dedup();
    let signer = facts.signer.as_ref();
    Ok(Signature {
        status,
        reasons,
        protocol,
        signer: Signer {
            id: signer.map(|signer| signer.id.clone()),
            fingerprint: signer
                .map(|signer| signer.id.fingerprint().to_owned())
                .or_else(|| facts.issuer.clone()),
            addresses: signer
                .map(|signer| signer.addresses.clone())
                .unwrap_or_default(),
            name: signer.and_then(|signer| signer.name.clone()),
        },
        signed_at: facts.signed_at.map(rfc3339),
        hash: facts.hash.clone(),
        covers: Vec::new(),
        revocation: facts.revocation.clone(),
        vouched_by,
    })
}

/// Who vouches for the signer and From, where the person has not decided.
fn introducers(facts: &SignatureFacts, claims: &Claims, cx: &Context) -> Result<Vec<KeyId>> {
    let (Some(signer), Some(from)) = (&facts.signer, &claims.from) else {
        return Ok(Vec::new());
    };
    if cx.certs.acceptance(&signer.id, from)? != Acceptance::Undecided {
        return Ok(Vec::new());
    }
    let mut known = facts.introduced.iter();
    let found = known.find(|(address, _)| address == from);
    Ok(found.map(|(_, by)| by.clone()).unwrap_or_default())
}

fn bad(reasons: &mut Vec<Reason>, reason: Reason) -> Status {
    reasons.push(reason);
    Status::Bad
}

/// A signature that fits: who vouches for its key and the address?
fn intact(
    facts: &SignatureFacts,
    reasons: &mut Vec<Reason>,
    protocol: Protocol,
    claims: &Claims,
    place: Place,
    cx: &Context,
) -> Result<Status> {
    if reasons
        .iter()
        .any(|r| matches!(r, Reason::KeyExpired | Reason::KeyRevoked))
    {
        return Ok(Status::Bad);
    }
    let Some(signer) = &facts.signer else {
        return Ok(Status::Unknown);
    };
    let mut status = Status::Good;
    let mut lower = |reason: Reason, reasons: &mut Vec<Reason>| {
        status = Status::Unverified;
        reasons.push(reason);
    };
    match &claims.from {
        None => lower(Reason::NoAddress, reasons),
        Some(from) => match cx.certs.acceptance(&signer.id, from)? {
            Acceptance::Accepted | Acceptance::Verified => {}
            Acceptance::Rejected => lower(Reason::Rejected, reasons),
            Acceptance::Undecided if !signer.addresses.contains(from) => {
                lower(Reason::AddressMismatch, reasons);
            }
            Acceptance::Undecided => match facts.trust {
                Trust::Anchored => {}
                Trust::None if !introducers(facts, claims, cx)?.is_empty() => {}
                Trust::None => lower(Reason::NotAccepted, reasons),
                Trust::Untrusted => lower(Reason::ChainUntrusted, reasons),
                Trust::Incomplete => lower(Reason::ChainIncomplete, reasons),
            },
        },
    }
    if reasons.contains(&Reason::Future) {
        lower(Reason::Future, reasons);
    }
    let far = match (facts.signed_at, claims.date) {
        (Some(signed), Some(date)) => signed.abs_diff(date) > DATE_TOLERANCE,
        _ => claims.dateless,
    };
    if far {
        // The key and the address are vouched for all the same: a reason, and a warning. But
        // a chain that has expired counts at the signing time only where the message agrees.
        match reasons.contains(&Reason::ExpiredSince) && protocol == Protocol::Smime {
            true => lower(Reason::DateMismatch, reasons),
            false => reasons.push(Reason::DateMismatch),
        }
    }
    // Also where no encryption is left around it: whoever took that off could pass it on.
    if !facts.intended.is_empty() && !meant_for_us(facts, protocol, cx)? {
        lower(Reason::NotIntendedRecipient, reasons);
    }
    if place.outside_encryption {
        lower(Reason::SignedOutsideEncryption, reasons);
    }
    if claims.claimed {
        lower(Reason::ClaimedHeaders, reasons);
    }
    Ok(status)
}

/// Whether one of our own keys is among those the signature was made for (RFC 9580 5.2.3.36).
fn meant_for_us(facts: &SignatureFacts, protocol: Protocol, cx: &Context) -> Result<bool> {
    for fingerprint in &facts.intended {
        if cx
            .certs
            .by_handle(protocol, fingerprint)?
            .iter()
            .any(|cert| cert.own)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the signatures of one layer come to, and whether there are others beside the one that
/// decided. Any that is altered makes the layer bad; else the one bound to From decides; else
/// the best.
pub fn layer(signatures: &[Signature], from: Option<&Address>) -> (Signed, bool) {
    if signatures
        .iter()
        .any(|s| s.reasons.contains(&Reason::Altered))
    {
        return (Signed::Bad, false);
    }
    let bound = |s: &&Signature| from.is_some_and(|from| s.signer.addresses.contains(from));
    let best = |a: &&Signature, b: &&Signature| {
        let worse = Signed::from(a.status).worse(b.status.into()) == Signed::from(a.status);
        if a.status == b.status {
            std::cmp::Ordering::Equal
        } else if worse {
            std::cmp::Ordering::Greater
        } else {
            std::cmp::Ordering::Less
        }
    };
    let good = signatures.iter().find(|s| s.status == Status::Good);
    let decides = good
        .or_else(|| signatures.iter().filter(bound).min_by(best))
        .or_else(|| signatures.iter().min_by(best));
    match decides {
        Some(decides) => {
            let other = |s: &Signature| s.status != decides.status || s.signer != decides.signer;
            let others = signatures.iter().any(other);
            (decides.status.into(), others)
        }
        None => (Signed::None, false),
    }
}
