//! What is said of certificates made on the spot.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;

use super::made::{Made, NOW, Spec, address, authority, day, leaf, make, rsa};
use crate::base::Address;
use crate::base::context::rfc3339;
use crate::base::keys::{Attention, KeyStatus, Protocol, Usage};
use crate::engine::smime::certs;

#[test]
fn facts_say_what_the_certificate_says() {
    let root = make(&authority("Root"), None);
    let made = make(
        &Spec {
            usage: Some("critical,digitalSignature,keyEncipherment"),
            key: Some(rsa(2048)),
            ..leaf()
        },
        Some(&root),
    );
    let facts = certs::facts(&made.der(), NOW).unwrap();
    let cert = certs::read(&made.der()).unwrap();
    assert_eq!(facts.id.protocol(), Protocol::Smime);
    assert_eq!(facts.handles[0], facts.id.fingerprint());
    assert_eq!(facts.handles[1].len(), 40);
    assert_eq!(facts.key_ids, [facts.handles[2].clone()]);
    let issuer = made.cert.issuer_name().to_der().unwrap();
    let mut serial = vec![2, 8];
    serial.extend(made.cert.serial_number().to_bn().unwrap().to_vec());
    assert_eq!(facts.handles[3], certs::issuer_and_serial(&issuer, &serial));
    assert_eq!(facts.handles[4], cert.key_handle());
    assert_eq!(facts.handles.len(), 5);
    assert_eq!(facts.addresses, [address("alice@example.org")]);
    assert_eq!(facts.name.as_deref(), Some("Alice"));
    assert_eq!(facts.algorithm, "rsa2048");
    assert_eq!(facts.created, Some(rfc3339(day(-10))));
    assert_eq!(facts.expires, Some(rfc3339(day(300))));
    assert_eq!(facts.changed, None);
    assert_eq!(facts.status, KeyStatus::Valid);
    assert_eq!(facts.usage, [Usage::Sign, Usage::Encrypt]);
    assert_eq!(facts.issuer.as_deref(), Some("CN=Root, O=Example\\, Inc."));
    assert_eq!(facts.attention, []);
    let ca = certs::facts(&root.der(), NOW).unwrap();
    assert_eq!(ca.usage, [Usage::Certify]);
    assert_eq!(ca.handles.len(), 6);
    assert_eq!(ca.handles[5], cert.issuer_handle());
    assert_eq!(ca.attention, []);
}

#[test]
fn state_follows_dates_keys_and_hashes() {
    let root = make(&authority("Root"), None);
    let state = |spec: Spec, issuer: Option<&Made>| {
        let made = make(&spec, issuer);
        certs::facts(&made.der(), NOW).unwrap()
    };
    let valid = state(leaf(), Some(&root));
    assert_eq!(
        (valid.status, valid.algorithm.as_str()),
        (KeyStatus::Valid, "p256")
    );
    let soon = state(
        Spec {
            days: (-10, 29),
            ..leaf()
        },
        Some(&root),
    );
    assert!(soon.attention.contains(&Attention::ExpiresSoon));
    let ended = state(
        Spec {
            days: (-10, -1),
            ..leaf()
        },
        Some(&root),
    );
    assert_eq!(ended.status, KeyStatus::Expired);
    assert_eq!(ended.attention, [Attention::Expired]);
    assert_eq!(ended.usage, []);
    let early = state(
        Spec {
            days: (1, 9),
            ..leaf()
        },
        Some(&root),
    );
    assert_eq!(early.status, KeyStatus::NotYetValid);
    let short = state(
        Spec {
            key: Some(rsa(1024)),
            ..leaf()
        },
        Some(&root),
    );
    assert_eq!(short.status, KeyStatus::Weak);
    let sha1 = Spec {
        hash: MessageDigest::sha1(),
        ..leaf()
    };
    assert_eq!(state(sha1.clone(), Some(&root)).status, KeyStatus::Weak);
    assert_eq!(
        state(sha1, None).status,
        KeyStatus::Valid,
        "over itself alone"
    );
    let ed = state(
        Spec {
            key: Some(PKey::generate_ed25519().unwrap()),
            ..leaf()
        },
        Some(&root),
    );
    assert_eq!(
        (ed.algorithm.as_str(), ed.usage.as_slice()),
        ("ed25519", &[Usage::Sign][..])
    );
    let x = state(
        Spec {
            key: Some(PKey::generate_x25519().unwrap()),
            usage: Some("keyAgreement"),
            ..leaf()
        },
        Some(&root),
    );
    assert_eq!(
        (x.algorithm.as_str(), x.usage.as_slice()),
        ("x25519", &[Usage::Encrypt][..])
    );
}

#[test]
fn unfit_says_why() {
    let root = make(&authority("Root"), None);
    let alice = address("alice@example.org");
    let reasons = |spec: Spec, usage, address: Option<&Address>| {
        certs::unfit(&make(&spec, Some(&root)).der(), usage, address, NOW)
    };
    assert_eq!(reasons(leaf(), Usage::Sign, Some(&alice)), [""; 0]);
    assert_eq!(reasons(leaf(), Usage::Encrypt, None), ["no-encryption-key"]);
    let other = address("bob@example.org");
    assert_eq!(reasons(leaf(), Usage::Sign, Some(&other)), ["no-address"]);
    let ended = Spec {
        days: (-9, -1),
        ..leaf()
    };
    assert_eq!(reasons(ended, Usage::Sign, None), ["expired"]);
    let early = Spec {
        days: (1, 9),
        ..leaf()
    };
    assert_eq!(reasons(early, Usage::Sign, None), ["not-yet-valid"]);
    let short = Spec {
        key: Some(rsa(1024)),
        ..leaf()
    };
    assert_eq!(reasons(short, Usage::Sign, None), ["weak"]);
    let web = Spec {
        extended: Some("serverAuth"),
        ..leaf()
    };
    assert_eq!(reasons(web, Usage::Sign, None), ["no-signing-key"]);
    let any = Spec {
        extended: Some("anyExtendedKeyUsage"),
        ..leaf()
    };
    assert_eq!(reasons(any, Usage::Sign, None), [""; 0]);
    let agree = Spec {
        usage: Some("keyAgreement"),
        ..leaf()
    };
    assert_eq!(reasons(agree.clone(), Usage::Encrypt, None), [""; 0]);
    assert_eq!(reasons(agree, Usage::Sign, None), ["no-signing-key"]);
    let wrong = Spec {
        usage: Some("keyEncipherment"),
        ..leaf()
    };
    assert_eq!(
        reasons(wrong, Usage::Encrypt, None),
        ["no-encryption-key"],
        "a curve agrees"
    );
    let open = Spec {
        usage: None,
        extended: None,
        ..leaf()
    };
    assert_eq!(reasons(open, Usage::Encrypt, None), [""; 0]);
    assert_eq!(certs::unfit(b"0", Usage::Sign, None, NOW), ["malformed"]);
}

#[test]
fn addresses_have_one_reading() {
    let named = |mail, san| {
        let made = make(
            &Spec {
                mail,
                san,
                ..leaf()
            },
            None,
        );
        let cert = certs::read(&made.der()).unwrap();
        cert.addresses()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        named(None, Some("email:a@b.example,email:c@D.example")),
        ["a@b.example", "c@D.example"]
    );
    assert_eq!(
        named(Some("s@b.example"), Some("email:a@b.example")),
        ["a@b.example"]
    );
    assert_eq!(
        named(Some("s@b.example"), Some("DNS:b.example")),
        ["s@b.example"]
    );
    assert_eq!(named(Some("s@b.example"), None), ["s@b.example"]);
    assert_eq!(
        named(Some("s@b.example"), Some("email:not an address")),
        [""; 0]
    );
    assert_eq!(
        named(None, Some("email:a@b.example.")),
        [""; 0],
        "a dot too many"
    );
    let unicode = "utf8:jörg@xn--bcher-kva.example";
    assert_eq!(named(None, Some(unicode)), ["jörg@xn--bcher-kva.example"]);
    let ascii = "utf8:joerg@b.example";
    assert_eq!(
        named(Some("s@b.example"), Some(ascii)),
        [""; 0],
        "belongs in rfc822Name"
    );
    let labels = "utf8:jörg@bücher.example";
    assert_eq!(named(None, Some(labels)), [""; 0], "U-labels (RFC 9598 3)");
}

#[test]
fn a_name_with_a_hole_in_it_is_none() {
    let made = make(
        &Spec {
            san: Some("email:alice@example.orgX.evil.example"),
            ..leaf()
        },
        None,
    );
    let whole = made.der();
    let at = whole.windows(5).position(|w| w == b".orgX").unwrap() + 4;
    for hole in [0u8, b'\n', b' ', 0xC3] {
        let mut der = whole.to_vec();
        der[at] = hole;
        let cert = certs::read(&der).unwrap();
        assert_eq!(cert.addresses(), [], "{hole}");
    }
}

#[test]
fn one_certificate_in_der_and_nothing_else() {
    let der = make(&leaf(), None).der().to_vec();
    assert!(certs::read(&der).is_ok());
    let mut behind = der.clone();
    behind.push(0);
    assert!(certs::read(&behind).is_err(), "a byte behind it");
    // The same with an indefinite length around it: OpenSSL takes it.
    let mut ber = vec![0x30, 0x80];
    ber.extend(&der[4..]);
    ber.extend([0, 0]);
    assert!(X509::from_der(&ber).is_ok());
    assert!(certs::read(&ber).is_err(), "BER");
    for end in 0..der.len() {
        assert!(certs::read(&der[..end]).is_err());
    }
    // Twice the same extension.
    let twice = make(
        &Spec {
            more: None,
            ..leaf()
        },
        None,
    );
    let oid = [0x06, 0x03, 0x55, 0x1D];
    let mut der = twice.der().to_vec();
    let places: Vec<usize> = (0..der.len() - 5)
        .filter(|i| der[*i..*i + 4] == oid)
        .collect();
    der[places[1] + 4] = der[places[0] + 4];
    assert!(certs::read(&der).is_err(), "an extension twice");
    // No altered byte may do worse than be refused.
    let der = make(&leaf(), None).der().to_vec();
    for at in 0..der.len() {
        let mut altered = der.clone();
        altered[at] ^= 0x55;
        if let Ok(facts) = certs::facts(&altered, NOW) {
            assert_ne!(facts.id.fingerprint(), "");
        }
    }
}
