//! The authorities that come with the program.

use std::sync::Arc;

use super::made::{NOW, Spec, Store, authority, context, day, leaf, make};
use crate::base::context::rfc3339;
use crate::base::keys::KeyStatus;
use crate::base::policy::Policy;
use crate::engine::smime::paths::Path;
use crate::engine::smime::{anchors, certs, chain};

#[test]
fn the_bundled_authorities_are_all_there() {
    let text = include_str!("../anchors.pem");
    let stated = text.lines().find_map(|line| line.strip_prefix("# roots: "));
    let stated: usize = stated.unwrap().parse().unwrap();
    let cx = context(Store::default(), Policy::default(), NOW);
    let facts = chain::authorities(&cx).unwrap();
    assert_eq!(facts.len(), stated);
    assert!(stated >= 40);
    let dated = text
        .lines()
        .filter(|line| line.starts_with("# distrust-after: 2"));
    let read = anchors::bundled()
        .iter()
        .filter(|a| a.distrust_after.is_some());
    assert_eq!(read.count(), dated.count());
    for (authority, facts) in anchors::bundled().iter().zip(&facts) {
        let old = authority.cert.parsed.tbs_certificate().version() == x509_cert::Version::V1;
        assert!(old || authority.cert.is_authority(), "{:?}", facts.name);
        assert!(authority.cert.is_self_issued());
        assert_ne!(facts.status, KeyStatus::Weak, "{:?}", facts.name);
    }
    let alone = Policy {
        bundled_anchors: false,
        ..Policy::default()
    };
    assert_eq!(
        chain::authorities(&context(Store::default(), alone, NOW)).unwrap(),
        []
    );
}

#[test]
fn a_root_can_be_distrusted_from_a_day_on() {
    let root = make(&authority("Root"), None);
    let pem = String::from_utf8(root.cert.to_pem().unwrap()).unwrap();
    let text = |line: &str| format!("# head\n\n# Root\n{line}\n{pem}\n# Next\n{pem}");
    let read = |line: &str| -> Vec<Option<u64>> {
        let read = anchors::read_for_tests(&text(line));
        read.iter()
            .map(|authority| authority.distrust_after)
            .collect()
    };
    let line = format!("# distrust-after: {}", rfc3339(day(-20)));
    assert_eq!(read(&line), [Some(day(-20)), None]);
    assert_eq!(read("# distrust-after: soon"), [Some(0), None]);
    let path = |days, line: &str| {
        let made = make(&Spec { days, ..leaf() }, Some(&root));
        let anchor = Arc::clone(&anchors::read_for_tests(&text(line))[0]);
        let cert = Arc::new(certs::read(&made.der()).unwrap());
        let path = Path {
            certs: vec![cert],
            anchor,
        };
        chain::holds(&path, chain::AUTH_LEVEL)
    };
    assert!(path((-21, 100), &line), "issued before");
    assert!(!path((-19, 100), &line), "issued after");
    assert!(path((-19, 100), "#"));
}
