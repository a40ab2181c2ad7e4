//! One answer about one certificate (RFC 6960), by way of OpenSSL, which finds the responder
//! among the authority and those that it has delegated to.

use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Reader as _, SliceReader};
use openssl::asn1::Asn1GeneralizedTimeRef;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::ocsp::{
    OcspBasicResponse, OcspCertId, OcspCertStatus, OcspFlag, OcspRequest, OcspResponse,
    OcspResponseStatus, OcspRevokedStatus,
};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::certs::Certificate;
use super::chain::AUTH_LEVEL;
use super::kinds;
use super::revocation::{Found, Revoked};
use crate::base::verdict::RevocationState;

/// How old an answer may be that does not say how long it holds, in seconds: a day.
const OLD: u64 = 24 * 60 * 60;

/// How far a responder's clock may be ahead, in seconds.
const CLOCK_SKEW: u64 = 5 * 60;

/// The question about `cert`, which `issuer` has issued. It names the certificate by SHA-1, as
/// every responder reads it (RFC 5019 2.1.1).
pub(super) fn request(cert: &Certificate, issuer: &Certificate) -> Option<Vec<u8>> {
    let mut request = OcspRequest::new().ok()?;
    request.add_id(id(cert, issuer).ok()?).ok()?;
    request.to_der().ok()
}

/// What an answer says; `None` where it says nothing that counts.
pub(super) fn read(
    answer: &[u8],
    cert: &Certificate,
    issuer: &Certificate,
    at: u64,
) -> Option<Found> {
    let response = OcspResponse::from_der(answer).ok()?;
    if response.status() != OcspResponseStatus::SUCCESSFUL || is_weak(answer) {
        return None;
    }
    let basic = response.basic().ok()?;
    let signed = verified(&basic, issuer, at);
    // What OpenSSL complained of must not turn up at somebody else's call.
    drop(ErrorStack::get());
    signed.ok()?;
    let status = basic.find_status(&*id(cert, issuer).ok()?)?;
    let this_update = seconds(status.this_update)?;
    let next_update = match status.next_update() {
        Some(next) => seconds(next)?,
        None => this_update.saturating_add(OLD),
    };
    if status.status == OcspCertStatus::REVOKED {
        return Some(Found {
            state: RevocationState::Revoked,
            as_of: Some(this_update),
            revoked: Some(Revoked {
                at: status.revocation_time.and_then(seconds).unwrap_or(0),
                hard: !matches!(
                    status.reason,
                    OcspRevokedStatus::AFFILIATION_CHANGED
                        | OcspRevokedStatus::STATUS_SUPERSEDED
                        | OcspRevokedStatus::STATUS_CESSATION_OF_OPERATION
                        | OcspRevokedStatus::STATUS_CERTIFICATE_HOLD
                ),
            }),
        });
    }
    let fresh = this_update <= at.saturating_add(CLOCK_SKEW) && at <= next_update;
    (status.status == OcspCertStatus::GOOD && fresh).then_some(Found {
        state: RevocationState::Good,
        as_of: Some(this_update),
        revoked: None,
    })
}

fn id(cert: &Certificate, issuer: &Certificate) -> Result<OcspCertId, ErrorStack> {
    OcspCertId::from_cert(MessageDigest::sha1(), &cert.x509, &issuer.x509)
}

/// Whether the authority has signed the answer, or somebody whom it lets do so.
fn verified(basic: &OcspBasicResponse, issuer: &Certificate, at: u64) -> Result<(), ErrorStack> {
    let mut param = X509VerifyParam::new()?;
    param.set_auth_level(AUTH_LEVEL);
    param.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    param.set_time(i64::try_from(at).unwrap_or(i64::MAX));
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(issuer.x509.clone())?;
    store.set_param(&param)?;
    let store: X509Store = store.build();
    let mut known: Stack<X509> = Stack::new()?;
    known.push(issuer.x509.clone())?;
    basic.verify(&known, &store, OcspFlag::NO_EXPLICIT)
}

/// Whether it is signed over a hash for which collisions can be made, or can't be told.
fn is_weak(answer: &[u8]) -> bool {
    let algorithm = || -> der::Result<AlgorithmIdentifierOwned> {
        let whole = AnyRef::from_der(answer)?;
        let mut whole = SliceReader::new(whole.value())?;
        AnyRef::decode(&mut whole)?;
        let bytes = AnyRef::decode(&mut whole)?;
        let bytes = AnyRef::from_der(bytes.value())?;
        let mut bytes = SliceReader::new(bytes.value())?;
        AnyRef::decode(&mut bytes)?;
        let basic = <&OctetStringRef>::decode(&mut bytes)?;
        let basic = AnyRef::from_der(basic.as_bytes())?;
        let mut basic = SliceReader::new(basic.value())?;
        basic.tlv_bytes()?;
        AlgorithmIdentifierOwned::decode(&mut basic)
    };
    algorithm().map_or(true, |algorithm| kinds::broken_hash(&algorithm))
}

/// Unix seconds. The binding gives a GeneralizedTime as text alone (openssl 0.10.82).
fn seconds(time: &Asn1GeneralizedTimeRef) -> Option<u64> {
    let text = time.to_string();
    let time = chrono::NaiveDateTime::parse_from_str(&text, "%b %e %H:%M:%S %Y GMT").ok()?;
    u64::try_from(time.and_utc().timestamp()).ok()
}
