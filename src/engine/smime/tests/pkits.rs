//! NIST's path validation tests (PKITS, version 1.0: RSA-1024 and SHA-1, valid from 2001 to
//! 2011, so judged in 2010 and at OpenSSL's security level 0): every end entity
//! certificate of the corpus, with all other certificates of the corpus in the bag and the
//! revocation lists filed as the store files them. Policy inputs are RFC 5280's defaults (any
//! policy); revocation has to be known.
//!
//! What is expected follows from NIST's description of each test, not from what came out.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::made::{Store, context, corpora};
use crate::base::keys::Anchor;
use crate::base::layer::Trust;
use crate::base::policy::Policy;
use crate::engine::smime::{certs, chain, read_revocation_list};

/// The first of June 2010.
const THEN: u64 = 1_275_350_400;

/// Tests whose names don't say what is expected under the default inputs: these are invalid,
/// all others without a word are valid (PKITS 4.8, 4.12).
const INVALID: &[&str] = &[
    "DifferentPoliciesTest4EE",
    "DifferentPoliciesTest5EE",
    "DifferentPoliciesTest7EE",
    "DifferentPoliciesTest8EE",
    "DifferentPoliciesTest9EE",
    "DifferentPoliciesTest12EE",
];

/// Where the verdict is not NIST's, and why. "Not good" makes a test fail because it is run
/// under `require-revocation`.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "InvaliddeltaCRLTest4EE",
        "revoked by the delta list alone, and those are not used (RFC 5280 5.2.4 leaves that open): good by the complete one, which is still in force",
    ),
    (
        "ValidBasicSelfIssuedCRLSigningKeyTest6EE",
        "the list is signed by a key that is not on the path: unknown, not good",
    ),
    (
        "ValidBasicSelfIssuedNewWithOldTest4EE",
        "the list is signed by a key that is not on the path: unknown, not good",
    ),
    (
        "ValidDSAParameterInheritanceTest5EE",
        "DSA is not taken for signatures (RFC 8551 2.2 calls it historic)",
    ),
    (
        "ValidDSASignaturesTest4EE",
        "DSA is not taken for signatures (RFC 8551 2.2 calls it historic)",
    ),
    (
        "ValidIDPwithindirectCRLTest22EE",
        "an indirect list (another issuer's): unknown, not good",
    ),
    (
        "ValidIDPwithindirectCRLTest24EE",
        "an indirect list (another issuer's): unknown, not good",
    ),
    (
        "ValidIDPwithindirectCRLTest25EE",
        "an indirect list (another issuer's): unknown, not good",
    ),
    (
        "ValidSeparateCertificateandCRLKeysTest19EE",
        "the list is signed by a key that is not on the path: unknown, not good",
    ),
    (
        "ValidcRLIssuerTest28EE",
        "an indirect list (another issuer's): unknown, not good",
    ),
    (
        "ValidcRLIssuerTest29EE",
        "an indirect list (another issuer's): unknown, not good",
    ),
    (
        "ValidcRLIssuerTest30EE",
        "an indirect list (another issuer's): unknown, not good",
    ),
    (
        "ValidcRLIssuerTest33EE",
        "an indirect list (another issuer's): unknown, not good",
    ),
    (
        "ValiddeltaCRLTest5EE",
        "on hold in the complete list, taken off by the delta list, which is not used: revoked",
    ),
    (
        "ValiddistributionPointTest4EE",
        "the point is named relative to its issuer: unknown, not good",
    ),
    (
        "ValiddistributionPointTest5EE",
        "the point is named relative to its issuer: unknown, not good",
    ),
    (
        "ValiddistributionPointTest7EE",
        "the point is named relative to its issuer: unknown, not good",
    ),
    (
        "ValidonlySomeReasonsTest18EE",
        "several lists, each for some reasons: one alone says revoked, never good",
    ),
    (
        "ValidonlySomeReasonsTest19EE",
        "several lists, each for some reasons: one alone says revoked, never good",
    ),
    (
        "Validpre2000UTCnotBeforeDateTest3EE",
        "valid from 1950: dates before 1970 are not read",
    ),
];

fn files(folder: &Path) -> BTreeMap<String, Bytes> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, Bytes::from(fs::read(path).unwrap()))
        })
        .collect()
}

#[test]
fn pkits() {
    let Some(corpus) = corpora()
        .map(|root| root.join("smime-bc/PKITS"))
        .filter(|pkits| pkits.is_dir())
    else {
        println!("PKITS: ABSENT: no corpora/smime-bc/PKITS; nothing was checked");
        return;
    };
    let all = files(&corpus.join("certs"));
    let mut store = Store::default();
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    for (name, der) in files(&corpus.join("crls")) {
        let Ok(list) = read_revocation_list(&der) else {
            println!("PKITS: the list {name} can't be read");
            continue;
        };
        if newest
            .get(&list.issuer)
            .is_none_or(|known| *known < list.this_update)
        {
            newest.insert(list.issuer.clone(), list.this_update);
            store.lists.insert(list.issuer, Bytes::from(list.der));
        }
    }
    store.anchors.push(Anchor {
        cert: all["TrustAnchorRootCertificate"].clone(),
        domains: Vec::new(),
    });
    let cx = context(
        store,
        Policy {
            require_revocation: true,
            bundled_anchors: false,
            ..Policy::default()
        },
        THEN,
    );
    let bag: Vec<Bytes> = all
        .iter()
        .filter(|(name, _)| !name.ends_with("EE"))
        .map(|(_, der)| der.clone())
        .collect();
    let (mut tests, mut faults, mut differ) = (0, Vec::new(), Vec::new());
    for (name, der) in all.iter().filter(|(name, _)| name.ends_with("EE")) {
        tests += 1;
        let expected = !name.starts_with("Invalid") && !INVALID.contains(&name.as_str());
        let seen = certs::read(der).is_ok_and(|cert| {
            let judged = chain::judge_at_level(&cert, &bag, Some(THEN), 0, &cx).unwrap();
            judged.trust == Trust::Anchored
        });
        let why = DIFFERENT.iter().find(|(known, _)| known == name);
        match (seen == expected, why) {
            (true, None) => {}
            (false, Some((_, why))) => differ.push(format!("{name}: NIST valid={expected}: {why}")),
            (true, Some(_)) => {
                faults.push(format!("{name}: as NIST says by now; take it off the list"))
            }
            (false, None) => {
                let why = certs::read(der).map(|cert| {
                    let judged = chain::judge_at_level(&cert, &bag, Some(THEN), 0, &cx).unwrap();
                    format!(
                        "{:?} {:?} {:?}",
                        judged.trust, judged.reasons, judged.revocation
                    )
                });
                faults.push(format!(
                    "{name}: NIST valid={expected}, here {seen}: {why:?}"
                ));
            }
        }
    }
    let read = all.values().filter(|der| certs::read(der).is_ok()).count();
    println!("PKITS: {read} of {} certificates can be read", all.len());
    println!(
        "PKITS: {} of {tests} as NIST says",
        tests - differ.len() - faults.len()
    );
    for line in &differ {
        println!("PKITS: {line}");
    }
    assert!(tests > 200, "the corpus is not whole");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
