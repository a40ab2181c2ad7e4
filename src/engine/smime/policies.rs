//! Certificate policies along a path (RFC 5280 6.1). Nobody asks for a certain policy here, so
//! that one matters only where an authority on the way requires that there is some.
//!
//! OpenSSL would do this, but takes "nobody asks" for "none is acceptable" (as of 3.6).

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use der::Decode;
use x509_cert::ext::pkix::constraints::PolicyConstraints;
use x509_cert::ext::pkix::{CertificatePolicies, InhibitAnyPolicy, PolicyMappings};

use super::certs::Certificate;

/// How many policies are followed: real certificates name one to five.
const POLICIES_MAX: usize = 128;

const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");
const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const MAPPINGS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.33");
const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.36");
const INHIBIT_ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.54");

/// After how many more certificates each begins (RFC 5280 6.1.2 d to f).
struct Counters {
    explicit: u32,
    mapping: u32,
    any: u32,
}

/// Whether a path keeps to the policies that its authorities require: the authority next to
/// the anchor first, the signer's certificate last, without the anchor.
pub(super) fn hold(path: &[&Certificate]) -> bool {
    follow(path).is_some()
}

fn follow(path: &[&Certificate]) -> Option<()> {
    let start = u32::try_from(path.len()).ok()?.checked_add(1)?;
    let mut left = Counters {
        explicit: start,
        mapping: start,
        any: start,
    };
    // What the next certificate may name. Of the tree in RFC 5280 its lowest row is enough, as
    // long as all that is asked is whether it is empty.
    let mut expected = BTreeSet::from([ANY]);
    let (leaf, authorities) = path.split_last()?;
    for cert in authorities {
        let free = left.any > 0 || cert.is_self_issued();
        expected = named(cert, &expected, free)?;
        if left.explicit == 0 && expected.is_empty() {
            return None;
        }
        map(cert, &mut expected, left.mapping > 0)?;
        if !cert.is_self_issued() {
            left.explicit = left.explicit.saturating_sub(1);
            left.mapping = left.mapping.saturating_sub(1);
            left.any = left.any.saturating_sub(1);
        }
        if let Some(constraints) = constraints(cert)? {
            let least = |now: u32, new: Option<u32>| new.map_or(now, |new| now.min(new));
            left.explicit = least(left.explicit, constraints.require_explicit_policy);
            left.mapping = least(left.mapping, constraints.inhibit_policy_mapping);
        }
        if let Some(value) = cert.extension(INHIBIT_ANY) {
            left.any = left.any.min(InhibitAnyPolicy::from_der(value).ok()?.0);
        }
    }
    expected = named(leaf, &expected, left.any > 0)?;
    left.explicit = left.explicit.saturating_sub(1);
    if constraints(leaf)?.is_some_and(|c| c.require_explicit_policy == Some(0)) {
        left.explicit = 0;
    }
    (left.explicit > 0 || !expected.is_empty()).then_some(())
}

/// What a certificate names of what is expected (RFC 5280 6.1.3 d and e). `None` when that
/// can't be read.
fn named(
    cert: &Certificate,
    expected: &BTreeSet<ObjectIdentifier>,
    any: bool,
) -> Option<BTreeSet<ObjectIdentifier>> {
    let Some(value) = cert.extension(POLICIES) else {
        return Some(BTreeSet::new());
    };
    let policies = CertificatePolicies::from_der(value).ok()?.0;
    if policies.len() > POLICIES_MAX {
        return None;
    }
    let mut found = BTreeSet::new();
    for policy in policies.iter().map(|policy| policy.policy_identifier) {
        if policy == ANY && any {
            found.extend(expected.iter().copied());
        } else if policy != ANY && (expected.contains(&policy) || expected.contains(&ANY)) {
            found.insert(policy);
        }
    }
    (found.len() <= POLICIES_MAX).then_some(found)
}

/// Turns an authority's policies into those of whom it certifies (RFC 5280 6.1.4 a and b).
fn map(cert: &Certificate, expected: &mut BTreeSet<ObjectIdentifier>, allowed: bool) -> Option<()> {
    let Some(value) = cert.extension(MAPPINGS) else {
        return Some(());
    };
    let mappings = PolicyMappings::from_der(value).ok()?.0;
    if mappings.len() > POLICIES_MAX {
        return None;
    }
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    for mapping in &mappings {
        let (from, to) = (mapping.issuer_domain_policy, mapping.subject_domain_policy);
        if from == ANY || to == ANY {
            return None;
        }
        let known = expected.contains(&from) || expected.contains(&ANY);
        if allowed && known {
            come.push(to);
        }
        gone.push(from);
    }
    expected.retain(|policy| !gone.contains(policy));
    expected.extend(come);
    Some(())
}

fn constraints(cert: &Certificate) -> Option<Option<PolicyConstraints>> {
    let value = cert.extension(CONSTRAINTS);
    value.map(PolicyConstraints::from_der).transpose().ok()
}
