//! Asks authorities whether a certificate was revoked, over the network: only for requests that
//! may, and only about certificates on a path that holds, so that the hosts are named by an
//! authority that is trusted and not by whoever wrote the message. Certificates that an
//! authority issued say where (RFC 5280 4.2.1.13, 4.2.2.1).

use const_oid::ObjectIdentifier;
use der::Decode as _;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, CrlDistributionPoints};

use super::certs::Certificate;
use super::ocsp;
use super::revocation::{self, DISTRIBUTION_POINTS, Found, LIST_MAX, List};
use crate::base::Context;
use crate::base::context::unix;
use crate::base::error::Result;
use crate::base::network::Fetch;
use crate::base::verdict::RevocationState;

const ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// How many places of each kind are asked about one certificate.
const PLACES_MAX: usize = 2;

/// The longest answer about one certificate: with a delegate's certificate some 3 KiB.
const ANSWER_MAX: usize = 64 << 10;

/// What its authority says of a certificate; `None` where nobody may be asked, or nobody
/// answers. `issuer` has issued it; all of `signers` may sign its lists.
///
/// # Errors
/// `cancelled`; those of the store.
pub(super) fn ask(
    cert: &Certificate,
    issuer: &Certificate,
    signers: &[&Certificate],
    level: i32,
    cx: &Context,
) -> Result<Option<Found>> {
    let Some(online) = &cx.online else {
        return Ok(None);
    };
    let at = unix(cx.judged_at());
    if let Some(question) = ocsp::request(cert, issuer) {
        for url in responders(cert).iter().take(PLACES_MAX) {
            let what = Fetch {
                url,
                post: Some(("application/ocsp-request", &question)),
                most: ANSWER_MAX,
            };
            let answer = online.try_fetch(&what, &cx.job)?;
            let found = answer.and_then(|answer| ocsp::read(&answer, cert, issuer, at));
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    for url in lists(cert).iter().take(PLACES_MAX) {
        let what = Fetch {
            url,
            post: None,
            most: LIST_MAX,
        };
        let Some(answer) = online.try_fetch(&what, &cx.job)? else {
            continue;
        };
        let Ok(list) = revocation::read(&answer) else {
            continue;
        };
        let found = revocation::look_up(cert, signers, &list.der, level, at);
        if found.state != RevocationState::Unknown {
            keep(list, cx)?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Keeps a list that was checked, unless a newer one is here.
fn keep(list: List, cx: &Context) -> Result<()> {
    if cx.at.is_some() {
        return Ok(());
    }
    let known = cx.certs.revocation_list(&list.issuer)?;
    let known = known.and_then(|known| revocation::read(&known).ok());
    match known.is_some_and(|known| known.this_update >= list.this_update) {
        true => Ok(()),
        false => cx
            .certs
            .keep_revocation_list(&list.issuer, &list.der.into()),
    }
}

/// Where answers about the certificate are given.
fn responders(cert: &Certificate) -> Vec<String> {
    let access = cert
        .extension(ACCESS)
        .and_then(|value| AuthorityInfoAccessSyntax::from_der(value).ok());
    let all = access.iter().flat_map(|access| access.0.iter());
    all.filter(|place| place.access_method == OCSP)
        .filter_map(|place| plain(&place.access_location))
        .collect()
}

/// Where lists lie that are complete for the certificate.
fn lists(cert: &Certificate) -> Vec<String> {
    let points = cert
        .extension(DISTRIBUTION_POINTS)
        .and_then(|value| CrlDistributionPoints::from_der(value).ok());
    let all = points.iter().flat_map(|points| points.0.iter());
    all.filter(|point| point.reasons.is_none())
        .filter_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => Some(names),
            _ => None,
        })
        .flatten()
        .filter_map(plain)
        .collect()
}

/// A place that can be reached in the clear. What lies there is signed; and to check the
/// certificate of a server one would have to ask whether it was revoked.
fn plain(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(url) => {
            let url = url.as_str();
            let scheme = url.get(..7)?;
            scheme
                .eq_ignore_ascii_case("http://")
                .then(|| url.to_owned())
        }
        _ => None,
    }
}
