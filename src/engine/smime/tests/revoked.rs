//! Revocation lists made on the spot.
#![allow(deprecated)] // extensions from bytes

use bytes::Bytes;
use openssl::asn1::{Asn1Object, Asn1OctetString};
use openssl::hash::MessageDigest;
use openssl::x509::extension::AuthorityKeyIdentifier;
use openssl::x509::{
    X509, X509Crl, X509CrlBuilder, X509Extension, X509Revoked, X509RevokedBuilder,
};

use super::made::{
    Made, NOW, Spec, asn1, authority, day, judge, judge_under, leaf, make, trusting,
};
use crate::base::context::rfc3339;
use crate::base::layer::Trust;
use crate::base::policy::Policy;
use crate::base::verdict::{Reason, RevocationState};
use crate::engine::smime::read_revocation_list;

/// A list of `root`, with an entry for `revoked`.
fn list(root: &Made, revoked: &[(&Made, u64, Option<u8>)], days: (i64, i64)) -> Bytes {
    let mut builder = X509CrlBuilder::new().unwrap();
    builder.set_issuer_name(root.cert.subject_name()).unwrap();
    builder.set_last_update(&asn1(day(days.0))).unwrap();
    builder.set_next_update(&asn1(day(days.1))).unwrap();
    let mut host = X509::builder().unwrap();
    host.set_version(2).unwrap();
    let context = host.x509v3_context(Some(&root.cert), None);
    let key_id = AuthorityKeyIdentifier::new()
        .keyid(true)
        .build(&context)
        .unwrap();
    builder.append_extension(key_id).unwrap();
    let number = X509Extension::new_from_der(
        &Asn1Object::from_str("2.5.29.20").unwrap(),
        false,
        &Asn1OctetString::new_from_bytes(&[2, 1, 7]).unwrap(),
    );
    builder.append_extension(number.unwrap()).unwrap();
    for (made, at, reason) in revoked {
        let mut entry = X509RevokedBuilder::new().unwrap();
        entry.set_serial_number(made.cert.serial_number()).unwrap();
        entry.set_revocation_date(&asn1(*at)).unwrap();
        let entry = entry.build();
        let entry = match reason {
            None => entry,
            Some(reason) => {
                // crlEntryExtensions with a reason code (RFC 5280 5.3.1).
                let mut der = entry.to_der().unwrap();
                der.extend([
                    0x30, 0x0C, 0x30, 0x0A, 6, 3, 0x55, 0x1D, 0x15, 4, 3, 10, 1, *reason,
                ]);
                der[1] += 14;
                X509Revoked::from_der(&der).unwrap()
            }
        };
        builder.add_revoked(entry).unwrap();
    }
    builder.sign(&root.key, MessageDigest::sha256()).unwrap();
    Bytes::from(builder.build().unwrap().to_der().unwrap())
}

#[test]
fn revocation_lists_are_heeded() {
    let root = make(&authority("Root"), None);
    let made = make(
        &Spec {
            days: (-100, 100),
            ..leaf()
        },
        Some(&root),
    );
    let other = make(&leaf(), Some(&root));
    let by = |der: Bytes, signed: Option<i64>, strict: bool| {
        let filed = read_revocation_list(&der).unwrap();
        let mut store = trusting(&[&root]);
        store.lists.insert(filed.issuer, der);
        let policy = Policy {
            require_revocation: strict,
            ..Policy::default()
        };
        let judged = judge_under(&made, &[], signed.map(day), store, policy);
        let revocation = judged.revocation.unwrap();
        (
            judged.trust,
            judged.reasons,
            revocation.state,
            revocation.as_of,
        )
    };
    let as_of = |offset| Some(rfc3339(day(offset)));
    let good = list(&root, &[(&other, day(-3), None)], (-1, 6));
    for strict in [true, false] {
        assert_eq!(
            by(good.clone(), Some(-2), strict),
            (Trust::Anchored, vec![], RevocationState::Good, as_of(-1))
        );
    }
    let stale = list(&root, &[], (-9, -2));
    assert_eq!(
        by(stale.clone(), Some(-2), false),
        (Trust::Anchored, vec![], RevocationState::Unknown, as_of(-9))
    );
    assert_eq!(by(stale, Some(-2), true).0, Trust::Untrusted);
    let future = list(&root, &[], (1, 9));
    assert_eq!(by(future, Some(-2), false).2, RevocationState::Unknown);
    // Revoked: (reason code, signed, verdict); the revocation was three days ago.
    let (revoked, since) = (vec![Reason::KeyRevoked], vec![Reason::ExpiredSince]);
    for (reason, signed, reasons) in [
        (None, Some(-2), &revoked),
        (None, Some(-4), &revoked),
        (Some(1), Some(-4), &revoked),
        (Some(2), Some(-4), &revoked),
        (Some(4), Some(-2), &revoked),
        (Some(4), None, &revoked),
        (Some(4), Some(-4), &since),
        (Some(5), Some(-4), &since),
    ] {
        // A stale list says "revoked" all the same.
        for days in [(-1, 6), (-2, -1)] {
            let der = list(
                &root,
                &[(&other, day(-3), None), (&made, day(-3), reason)],
                days,
            );
            let (trust, why, state, _) = by(der, signed, false);
            assert_eq!(
                (trust, &why),
                (Trust::Untrusted, reasons),
                "{reason:?} {signed:?}"
            );
            assert_eq!(state, RevocationState::Revoked);
        }
    }
    // Of another key: says nothing at all.
    let forger = make(&authority("Root"), None);
    let forged = list(&forger, &[(&made, day(-3), Some(1))], (-1, 6));
    assert_eq!(
        by(forged, Some(-2), false),
        (Trust::Anchored, vec![], RevocationState::Unknown, None)
    );
    assert!(read_revocation_list(&made.der()).is_err());
    assert!(read_revocation_list(b"-----BEGIN X509 CRL-----\n").is_err());
    let parsed = X509Crl::from_der(&good).unwrap();
    let pem = read_revocation_list(&parsed.to_pem().unwrap()).unwrap();
    assert_eq!(pem, read_revocation_list(&good).unwrap());
    assert_eq!(pem.this_update, day(-1));
    for at in 0..good.len() {
        let mut altered = good.to_vec();
        altered[at] ^= 0x55;
        if read_revocation_list(&altered).is_ok() {
            let (_, reasons, _, _) = by(Bytes::from(altered), Some(-2), false);
            assert_eq!(reasons, [], "byte {at}: an altered list must not revoke");
        }
    }
}

#[test]
fn a_revoked_authority_vouches_for_nobody() {
    let root = make(&authority("Root"), None);
    let middle = make(&authority("Middle"), Some(&root));
    let made = make(&leaf(), Some(&middle));
    let mut store = trusting(&[&root]);
    let der = list(&root, &[(&middle, day(-3), Some(4))], (-1, 6));
    let filed = read_revocation_list(&der).unwrap();
    store.lists.insert(filed.issuer, der);
    let judged = judge(&made, &[&middle], Some(NOW), store);
    assert_eq!((judged.trust, judged.reasons), (Trust::Untrusted, vec![]));
    assert_eq!(judged.revocation.unwrap().state, RevocationState::Revoked);
}
