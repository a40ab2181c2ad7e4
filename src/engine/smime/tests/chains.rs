//! Chains made on the spot: who is vouched for, and who is not.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use bytes::Bytes;
use openssl::hash::MessageDigest;

use super::made::{
    Made, NOW, Spec, Store, addresses, anchor, authority, context, day, judge, leaf, make, p256,
    rsa, trusting,
};
use crate::base::keys::Anchor;
use crate::base::layer::Trust;
use crate::base::policy::Policy;
use crate::base::verdict::{Reason, RevocationState};
use crate::engine::smime::{anchors, certs, chain};

#[test]
fn a_chain_to_an_anchor_vouches() {
    let root = make(&authority("Root"), None);
    let middle = make(&authority("Middle"), Some(&root));
    let made = make(&leaf(), Some(&middle));
    let judged = judge(&made, &[&made, &middle], Some(NOW), trusting(&[&root]));
    assert_eq!(judged.trust, Trust::Anchored);
    assert_eq!(judged.reasons, []);
    assert_eq!(addresses(&judged), ["alice@example.org"]);
    let revocation = judged.revocation.unwrap();
    assert_eq!(revocation.state, RevocationState::Unknown);
    // Out of the store.
    let mut store = trusting(&[&root]);
    store.certs.push(middle.der());
    assert_eq!(judge(&made, &[], Some(NOW), store).trust, Trust::Anchored);
    // Nobody has it.
    let judged = judge(&made, &[&made], Some(NOW), trusting(&[&root]));
    assert_eq!(judged.trust, Trust::Incomplete);
    // The message's own root is no anchor.
    let judged = judge(&made, &[&middle, &root], Some(NOW), Store::default());
    assert_eq!(judged.trust, Trust::Untrusted);
    // Nor is a certificate over itself.
    let alone = make(&leaf(), None);
    let judged = judge(&alone, &[&alone], Some(NOW), trusting(&[&root]));
    assert_eq!(judged.trust, Trust::Untrusted);
    assert_eq!(addresses(&judged), ["alice@example.org"]);
    // An authority that is no root can be an anchor.
    let judged = judge(&made, &[], Some(NOW), trusting(&[&middle]));
    assert_eq!(judged.trust, Trust::Anchored);
    // The same names with another key below.
    let forged = make(
        &Spec {
            key: Some(p256()),
            ..authority("Middle")
        },
        None,
    );
    let forged = make(&leaf(), Some(&forged));
    let judged = judge(&forged, &[&middle], Some(NOW), trusting(&[&root]));
    assert_ne!(judged.trust, Trust::Anchored);
}

#[test]
fn what_goes_along_is_the_way_without_its_root() {
    let root = make(&authority("Root"), None);
    let upper = make(&authority("Upper"), Some(&root));
    let lower = make(&authority("Lower"), Some(&upper));
    let made = make(&leaf(), Some(&lower));
    let cert = certs::read(&made.der()).unwrap();
    for anchored in [true, false] {
        let store = Store {
            certs: vec![upper.der(), root.der(), lower.der()],
            anchors: if anchored {
                vec![anchor(&root)]
            } else {
                Vec::new()
            },
            ..Store::default()
        };
        let along = chain::intermediates(&cert, &context(store, Policy::default(), NOW)).unwrap();
        assert_eq!(along, [lower.der(), upper.der()]);
    }
}

/// Rules on the way: who breaks one is not vouched for.
#[test]
fn a_broken_rule_on_the_way_is_seen() {
    let root = make(&authority("Root"), None);
    let through = |spec: Spec, below: Spec| {
        let middle = make(&spec, Some(&root));
        let made = make(&below, Some(&middle));
        judge(&made, &[&middle], Some(NOW), trusting(&[&root])).trust
    };
    let middle = || authority("Middle");
    assert_eq!(through(middle(), leaf()), Trust::Anchored);
    let mail = Spec {
        extended: Some("emailProtection,clientAuth"),
        ..middle()
    };
    assert_eq!(through(mail, leaf()), Trust::Anchored);
    let broken = [
        (
            "for web sites",
            Spec {
                extended: Some("serverAuth"),
                ..middle()
            },
        ),
        (
            "no authority",
            Spec {
                constraints: Some("critical,CA:FALSE".into()),
                ..middle()
            },
        ),
        (
            "does not say",
            Spec {
                constraints: None,
                ..middle()
            },
        ),
        (
            "may not sign",
            Spec {
                usage: Some("critical,cRLSign"),
                ..middle()
            },
        ),
        (
            "RSA-1024",
            Spec {
                key: Some(rsa(1024)),
                ..middle()
            },
        ),
        (
            "SHA-1",
            Spec {
                hash: MessageDigest::sha1(),
                ..middle()
            },
        ),
        (
            "expired",
            Spec {
                days: (-1000, -1),
                ..middle()
            },
        ),
        (
            "not yet",
            Spec {
                days: (1, 1000),
                ..middle()
            },
        ),
    ];
    for (why, spec) in broken {
        assert_eq!(through(spec, leaf()), Trust::Untrusted, "{why}");
    }
    for (why, below) in [
        (
            "SHA-1",
            Spec {
                hash: MessageDigest::sha1(),
                ..leaf()
            },
        ),
        (
            "RSA-1024",
            Spec {
                key: Some(rsa(1024)),
                ..leaf()
            },
        ),
        (
            "web",
            Spec {
                extended: Some("serverAuth"),
                ..leaf()
            },
        ),
        (
            "agrees only",
            Spec {
                usage: Some("keyAgreement"),
                ..leaf()
            },
        ),
        (
            "not yet",
            Spec {
                days: (1, 9),
                ..leaf()
            },
        ),
    ] {
        assert_eq!(through(middle(), below), Trust::Untrusted, "{why}");
    }
    let any = Spec {
        extended: Some("anyExtendedKeyUsage"),
        ..leaf()
    };
    assert_eq!(through(middle(), any), Trust::Anchored);
    let repudiated = Spec {
        usage: Some("nonRepudiation"),
        ..leaf()
    };
    assert_eq!(through(middle(), repudiated), Trust::Anchored);
}

#[test]
fn weak_keys_are_a_reason() {
    let root = make(&authority("Root"), None);
    let short = make(
        &Spec {
            key: Some(rsa(1024)),
            ..leaf()
        },
        Some(&root),
    );
    // As long as others, and everybody can find its factors (CVE-2017-15361).
    let roca = Spec {
        key: Some(crate::engine::weak::tests::roca()),
        ..leaf()
    };
    for weak in [short, make(&roca, Some(&root))] {
        let judged = judge(&weak, &[], Some(NOW), trusting(&[&root]));
        assert_eq!(judged.reasons, [Reason::WeakAlgorithm]);
    }
}

#[test]
fn path_length_counts() {
    let root = make(&authority("Root"), None);
    let short = Spec {
        constraints: Some("critical,CA:TRUE,pathlen:0".into()),
        ..authority("Upper")
    };
    let upper = make(&short, Some(&root));
    let made = make(&leaf(), Some(&upper));
    let judged = judge(&made, &[&upper], Some(NOW), trusting(&[&root]));
    assert_eq!(judged.trust, Trust::Anchored);
    let lower = make(&authority("Lower"), Some(&upper));
    let made = make(&leaf(), Some(&lower));
    let judged = judge(&made, &[&upper, &lower], Some(NOW), trusting(&[&root]));
    assert_eq!(judged.trust, Trust::Untrusted);
}

/// Constraint, alternative name, what counts in the end (`None`: the chain breaks).
#[test]
fn name_constraints_hold_for_mail() {
    let root = make(&authority("Root"), None);
    let table: &[(&str, &str, Option<&[&str]>)] = &[
        (
            "permitted;email:example.org",
            "email:alice@example.org",
            Some(&["alice@example.org"]),
        ),
        (
            "permitted;email:example.org",
            "email:alice@EXAMPLE.org",
            Some(&["alice@EXAMPLE.org"]),
        ),
        (
            "permitted;email:example.org",
            "email:alice@sub.example.org",
            None,
        ),
        (
            "permitted;email:.example.org",
            "email:alice@sub.example.org",
            Some(&["alice@sub.example.org"]),
        ),
        (
            "permitted;email:.example.org",
            "email:alice@example.org",
            None,
        ),
        (
            "permitted;email:example.org",
            "email:a@example.org,email:a@evil.example",
            None,
        ),
        (
            "permitted;email:alice@example.org",
            "email:bob@example.org",
            None,
        ),
        ("excluded;email:bank.example", "email:a@bank.example", None),
        (
            "excluded;email:bank.example",
            "email:a@bank.example.",
            Some(&[]),
        ),
        (
            "excluded;email:bank.example",
            "email:a@other.example",
            Some(&["a@other.example"]),
        ),
        // OpenSSL compares local parts as they are spelled.
        (
            "excluded;email:boss@bank.example",
            "email:BOSS@bank.example",
            Some(&[]),
        ),
        (
            "excluded;email:xn--bcher-kva.example",
            "utf8:jörg@xn--bcher-kva.example",
            Some(&[]),
        ),
        (
            "permitted;DNS:example.org",
            "email:a@other.example",
            Some(&["a@other.example"]),
        ),
    ];
    for (constraint, san, expected) in table {
        let critical: &'static str = Box::leak(format!("critical,{constraint}").into_boxed_str());
        let middle = make(
            &Spec {
                more: Some(critical),
                ..authority("Middle")
            },
            Some(&root),
        );
        let made = make(
            &Spec {
                san: Some(san),
                ..leaf()
            },
            Some(&middle),
        );
        let judged = judge(&made, &[&middle], Some(NOW), trusting(&[&root]));
        match expected {
            None => assert_eq!(judged.trust, Trust::Untrusted, "{constraint} {san}"),
            // What OpenSSL refuses as well is as good.
            Some([]) if judged.trust == Trust::Untrusted => {}
            Some(names) => {
                assert_eq!(judged.trust, Trust::Anchored, "{constraint} {san}");
                assert_eq!(addresses(&judged), *names, "{constraint} {san}");
            }
        }
    }
    // The subject's address is bound as well.
    let middle = Spec {
        more: Some("critical,permitted;email:example.org"),
        ..authority("Middle")
    };
    let middle = make(&middle, Some(&root));
    let old = Spec {
        san: None,
        mail: Some("a@evil.example"),
        ..leaf()
    };
    let judged = judge(
        &make(&old, Some(&middle)),
        &[&middle],
        Some(NOW),
        trusting(&[&root]),
    );
    assert_eq!(judged.trust, Trust::Untrusted);
}

#[test]
fn an_anchor_may_be_for_some_domains() {
    let root = make(&authority("Root"), None);
    let spec = Spec {
        san: Some("email:alice@example.org,email:alice@other.example"),
        ..leaf()
    };
    let made = make(&spec, Some(&root));
    let store = |domains: &[&str]| Store {
        anchors: vec![Anchor {
            cert: root.der(),
            domains: domains.iter().map(|d| (*d).to_owned()).collect(),
        }],
        ..Store::default()
    };
    let judged = judge(&made, &[], Some(NOW), store(&["example.org"]));
    assert_eq!(judged.trust, Trust::Anchored);
    assert_eq!(addresses(&judged), ["alice@example.org"]);
    let judged = judge(&made, &[], Some(NOW), store(&["third.example"]));
    assert_eq!(
        (judged.trust, addresses(&judged).len()),
        (Trust::Anchored, 0)
    );
    let judged = judge(&made, &[], Some(NOW), store(&[]));
    assert_eq!(addresses(&judged).len(), 2);
}

#[test]
fn expiry_counts_at_signing() {
    let root = make(&authority("Root"), None);
    let ended = make(
        &Spec {
            days: (-100, -50),
            ..leaf()
        },
        Some(&root),
    );
    let signed = |made: &Made, at: Option<i64>| {
        let judged = judge(made, &[], at.map(day), trusting(&[&root]));
        (judged.trust, judged.reasons)
    };
    assert_eq!(
        signed(&ended, Some(-60)),
        (Trust::Anchored, vec![Reason::ExpiredSince])
    );
    assert_eq!(
        signed(&ended, Some(-40)),
        (Trust::Untrusted, vec![Reason::KeyExpired])
    );
    assert_eq!(
        signed(&ended, Some(-200)),
        (Trust::Untrusted, vec![Reason::ExpiredSince])
    );
    assert_eq!(
        signed(&ended, None),
        (Trust::Untrusted, vec![Reason::KeyExpired])
    );
    let fresh = make(&leaf(), Some(&root));
    assert_eq!(
        signed(&fresh, Some(-60)),
        (Trust::Untrusted, vec![]),
        "before it was issued"
    );
    // An authority that ended since.
    let middle = make(
        &Spec {
            days: (-200, -5),
            ..authority("Middle")
        },
        Some(&root),
    );
    let made = make(
        &Spec {
            days: (-100, 100),
            ..leaf()
        },
        Some(&middle),
    );
    let judged = judge(&made, &[&middle], Some(day(-10)), trusting(&[&root]));
    assert_eq!(
        (judged.trust, judged.reasons),
        (Trust::Anchored, vec![Reason::ExpiredSince])
    );
    let judged = judge(&made, &[&middle], Some(day(-1)), trusting(&[&root]));
    assert_eq!(judged.trust, Trust::Untrusted);
}

#[test]
fn one_good_way_of_several_is_enough() {
    let good = make(&authority("Good root"), None);
    let other = make(&authority("Other root"), None);
    let key = p256();
    let spec = Spec {
        key: Some(key),
        ..authority("Middle")
    };
    let ended = make(
        &Spec {
            days: (-1000, -1),
            ..spec.clone()
        },
        Some(&good),
    );
    let unknown = make(&spec, Some(&other));
    let crossed = make(&spec, Some(&good));
    let made = make(&leaf(), Some(&crossed));
    let orders: [[&Made; 3]; 3] = [
        [&ended, &unknown, &crossed],
        [&crossed, &ended, &unknown],
        [&unknown, &crossed, &ended],
    ];
    for order in orders {
        let judged = judge(&made, &order, Some(NOW), trusting(&[&good]));
        assert_eq!((judged.trust, judged.reasons), (Trust::Anchored, vec![]));
    }
    let judged = judge(&made, &[&unknown, &other], Some(NOW), trusting(&[&good]));
    assert_eq!(judged.trust, Trust::Untrusted);
    // Two authorities that certify each other lead nowhere, and that soon.
    let (a, b) = (make(&authority("A"), None), make(&authority("B"), None));
    let a_by_b = make(
        &Spec {
            key: Some(a.key.clone()),
            ..authority("A")
        },
        Some(&b),
    );
    let b_by_a = make(
        &Spec {
            key: Some(b.key),
            ..authority("B")
        },
        Some(&a),
    );
    let made = make(&leaf(), Some(&a));
    let judged = judge(
        &made,
        &[&a_by_b, &b_by_a, &made],
        Some(NOW),
        trusting(&[&good]),
    );
    assert_ne!(judged.trust, Trust::Anchored);
}

#[test]
fn a_bag_of_ten_thousand_costs_little() {
    let root = make(&authority("Root"), None);
    let middle = make(&authority("Middle"), Some(&root));
    let made = make(&leaf(), Some(&middle));
    let template = make(&leaf(), Some(&middle)).der().to_vec();
    let cert = certs::read(&made.der()).unwrap();
    let cx = context(trusting(&[&root]), Policy::default(), NOW);
    anchors::bundled();
    // Others' certificates, then ten thousand that bear the issuer's name.
    let same = make(
        &Spec {
            key: Some(p256()),
            ..authority("Middle")
        },
        None,
    )
    .der()
    .to_vec();
    for (template, found) in [(template, true), (same, false)] {
        let mut bag: Vec<Bytes> = (0u32..10_000)
            .map(|n| {
                let mut der = template.clone();
                let end = der.len();
                der[end - 4..].copy_from_slice(&n.to_be_bytes());
                Bytes::from(der)
            })
            .collect();
        bag.push(middle.der());
        let start = Instant::now();
        let judged = chain::judge(&cert, &bag, Some(NOW), &cx).unwrap();
        let took = start.elapsed();
        println!("10,000 certificates in the bag: {} ms", took.as_millis());
        assert!(took.as_secs() < 20, "{took:?}");
        if found {
            assert_eq!(judged.trust, Trust::Anchored);
        }
    }
}

/// An authority's key in a certificate of another serial number.
fn again(made: &Made, issuer: &Made, name: &str) -> Made {
    make(
        &Spec {
            key: Some(made.key.clone()),
            ..authority(name)
        },
        Some(issuer),
    )
}

#[test]
fn a_bag_does_not_crowd_out_what_is_here() {
    let root = make(&authority("Root"), None);
    let middle = make(&authority("Middle"), Some(&root));
    let made = make(&leaf(), Some(&middle));
    // A thousand that bear the issuer's name; what the message brought is nothing but them.
    let template = make(&authority("Middle"), None).der().to_vec();
    let bag: Vec<Bytes> = (0u32..1000)
        .map(|n| {
            let mut der = template.clone();
            let end = der.len();
            der[end - 4..].copy_from_slice(&n.to_be_bytes());
            Bytes::from(der)
        })
        .collect();
    let mut store = trusting(&[&root]);
    store.certs.push(middle.der());
    let cert = certs::read(&made.der()).unwrap();
    let cx = context(store, Policy::default(), NOW);
    let judged = chain::judge(&cert, &bag, Some(NOW), &cx).unwrap();
    assert_eq!(judged.trust, Trust::Anchored);
}

#[test]
fn ways_that_a_bag_opens_do_not_crowd_out_what_is_here() {
    let root = make(&authority("Root"), None);
    let middle = make(&authority("Middle"), Some(&root));
    let made = make(&leaf(), Some(&middle));
    // Twenty ways by the root's name that do not hold: another key of that name signed them.
    let forger = make(&authority("Root"), None);
    let dead: Vec<Made> = (0..20).map(|_| again(&middle, &forger, "Middle")).collect();
    let dead: Vec<&Made> = dead.iter().collect();
    let mut store = trusting(&[&root]);
    store.certs.push(middle.der());
    let judged = judge(&made, &dead, Some(NOW), store);
    assert_eq!(judged.trust, Trust::Anchored);
}

#[test]
fn a_maze_of_authorities_is_left_soon() {
    // Seven storeys of five certificates for one key each: 5^7 ways, and none of them ends at
    // an anchor. Given up, which is not the same as an authority that nobody has.
    let top = make(&authority("Top"), None);
    let mut above = top;
    let mut maze: Vec<Made> = Vec::new();
    for storey in 0..7 {
        let name = format!("Storey {storey}");
        let first = make(&authority(&name), Some(&above));
        for _ in 0..4 {
            maze.push(again(&first, &above, &name));
        }
        maze.push(first.clone());
        above = first;
    }
    let made = make(&leaf(), Some(&above));
    let maze: Vec<&Made> = maze.iter().collect();
    let root = make(&authority("Root"), None);
    let judged = judge(&made, &maze, Some(NOW), trusting(&[&root]));
    assert_eq!(judged.trust, Trust::Untrusted);
}
