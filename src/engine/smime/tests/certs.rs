//! Certificates made on the spot, and what is said of them and their chains.
#![allow(deprecated)] // extensions from text: the shortest way to odd ones

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::AuthorityKeyIdentifier;
use openssl::x509::{
    X509, X509CrlBuilder, X509Extension, X509NameBuilder, X509Revoked, X509RevokedBuilder,
};

use crate::base::ask::Answers;
use crate::base::context::{from_unix, rfc3339};
use crate::base::error::Result;
use crate::base::job::Job;
use crate::base::keys::{
    Acceptance, Anchor, Attention, Certs, KeyId, KeyStatus, Protocol, SealedSecret, Source,
    StoredCert, Usage, no_such_key,
};
use crate::base::layer::Trust;
use crate::base::policy::Policy;
use crate::base::verdict::{Reason, RevocationState};
use crate::base::{Address, Context};
use crate::engine::smime::chain::{self, Judged};
use crate::engine::smime::{Unlocked, anchors, certs, read_revocation_list};

/// An instant that all tests live at.
pub(super) const NOW: u64 = 1_780_000_000;

#[derive(Default)]
pub(super) struct Store {
    pub certs: Vec<Bytes>,
    pub anchors: Vec<Anchor>,
    pub lists: HashMap<String, Bytes>,
}

impl Certs for Store {
    fn by_handle(&self, _: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        let mut found = Vec::new();
        for der in &self.certs {
            let facts = certs::facts(der, NOW)?;
            if facts.handles.iter().any(|known| known == handle) {
                found.push(StoredCert {
                    id: facts.id,
                    cert: der.clone(),
                    source: Source::Imported,
                    own: false,
                });
            }
        }
        Ok(found)
    }

    fn by_address(&self, _: Protocol, _: &Address) -> Result<Vec<StoredCert>> {
        Ok(Vec::new())
    }

    fn own(&self, _: Protocol) -> Result<Vec<StoredCert>> {
        Ok(Vec::new())
    }

    fn acceptance(&self, _: &KeyId, _: &Address) -> Result<Acceptance> {
        Ok(Acceptance::Undecided)
    }

    fn sealed_secret(&self, _: &KeyId) -> Result<SealedSecret> {
        Err(no_such_key())
    }

    fn anchors(&self) -> Result<Vec<Anchor>> {
        Ok(self.anchors.clone())
    }

    fn revocation_list(&self, issuer: &str) -> Result<Option<Bytes>> {
        Ok(self.lists.get(issuer).cloned())
    }
}

pub(super) fn context(store: Store, policy: Policy, at: u64) -> Context {
    let certs: Arc<dyn Certs> = Arc::new(store);
    Context {
        now: from_unix(at),
        at: None,
        policy: Arc::new(policy),
        job: Arc::new(Job::default()),
        answers: Arc::new(Answers::default()),
        private: Arc::new(Unlocked::new(Arc::clone(&certs))),
        certs,
    }
}

/// A certificate with its key.
#[derive(Clone)]
struct Made {
    cert: X509,
    key: PKey<Private>,
}

impl Made {
    fn der(&self) -> Bytes {
        Bytes::from(self.cert.to_der().unwrap())
    }
}

#[derive(Clone)]
struct Spec {
    name: String,
    mail: Option<&'static str>,
    san: Option<&'static str>,
    constraints: Option<String>,
    usage: Option<&'static str>,
    extended: Option<&'static str>,
    more: Option<&'static str>,
    days: (i64, i64),
    hash: MessageDigest,
    key: Option<PKey<Private>>,
}

fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

/// A person's certificate.
fn leaf() -> Spec {
    Spec {
        name: "Alice".into(),
        mail: None,
        san: Some("email:alice@example.org"),
        constraints: None,
        usage: Some("critical,digitalSignature"),
        extended: Some("emailProtection"),
        more: None,
        days: (-10, 300),
        hash: MessageDigest::sha256(),
        key: None,
    }
}

/// An authority's.
fn authority(name: &str) -> Spec {
    Spec {
        name: name.into(),
        san: None,
        constraints: Some("critical,CA:TRUE".into()),
        usage: Some("critical,keyCertSign,cRLSign"),
        extended: None,
        days: (-1000, 3000),
        ..leaf()
    }
}

fn day(offset: i64) -> u64 {
    u64::try_from(i64::try_from(NOW).unwrap() + offset * 86400).unwrap()
}

fn asn1(at: u64) -> Asn1Time {
    Asn1Time::from_unix(i64::try_from(at).unwrap()).unwrap()
}

fn make(spec: &Spec, issuer: Option<&Made>) -> Made {
    let key = spec.key.clone().unwrap_or_else(p256);
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "Example, Inc.")
        .unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, &spec.name)
        .unwrap();
    if let Some(mail) = spec.mail {
        name.append_entry_by_nid(Nid::PKCS9_EMAILADDRESS, mail)
            .unwrap();
    }
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = [0; 8];
    getrandom::fill(&mut serial).unwrap();
    serial[0] = 0x40;
    let serial = BigNum::from_slice(&serial).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_not_before(&asn1(day(spec.days.0))).unwrap();
    builder.set_not_after(&asn1(day(spec.days.1))).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_issuer_name(issuer.map_or(&name, |issuer| issuer.cert.subject_name()))
        .unwrap();
    let texts = [
        (Nid::SUBJECT_KEY_IDENTIFIER, Some("hash")),
        (Nid::SUBJECT_ALT_NAME, spec.san),
        (Nid::BASIC_CONSTRAINTS, spec.constraints.as_deref()),
        (Nid::KEY_USAGE, spec.usage),
        (Nid::EXT_KEY_USAGE, spec.extended),
        (Nid::NAME_CONSTRAINTS, spec.more),
    ];
    for (nid, text) in texts {
        if let Some(mailbox) = text.and_then(|text| text.strip_prefix("utf8:")) {
            builder.append_extension(utf8_mailbox(mailbox)).unwrap();
        } else if let Some(text) = text {
            let context = builder.x509v3_context(issuer.map(|i| i.cert.as_ref()), None);
            let extension = X509Extension::new_nid(None, Some(&context), nid, text).unwrap();
            builder.append_extension(extension).unwrap();
        }
    }
    if let Some(issuer) = issuer {
        let context = builder.x509v3_context(Some(&issuer.cert), None);
        let extension = AuthorityKeyIdentifier::new()
            .keyid(true)
            .build(&context)
            .unwrap();
        builder.append_extension(extension).unwrap();
    }
    let signer = issuer.map_or(&key, |issuer| &issuer.key);
    builder.sign(signer, spec.hash).unwrap();
    Made {
        cert: builder.build(),
        key,
    }
}

/// An alternative name of one SmtpUTF8Mailbox (RFC 9598 3).
fn utf8_mailbox(mailbox: &str) -> X509Extension {
    let wrapped = |tag: u8, inner: &[u8]| {
        let mut der = vec![tag, u8::try_from(inner.len()).unwrap()];
        assert!(inner.len() < 128);
        der.extend(inner);
        der
    };
    let mut name = vec![6, 8, 0x2B, 6, 1, 5, 5, 7, 8, 9];
    name.extend(wrapped(0xA0, &wrapped(0x0C, mailbox.as_bytes())));
    let der = wrapped(0x30, &wrapped(0xA0, &name));
    let oid = openssl::asn1::Asn1Object::from_str("2.5.29.17").unwrap();
    let value = openssl::asn1::Asn1OctetString::new_from_bytes(&der).unwrap();
    X509Extension::new_from_der(&oid, false, &value).unwrap()
}

fn anchor(made: &Made) -> Anchor {
    Anchor {
        cert: made.der(),
        domains: Vec::new(),
    }
}

fn trusting(roots: &[&Made]) -> Store {
    Store {
        anchors: roots.iter().map(|root| anchor(root)).collect(),
        ..Store::default()
    }
}

fn judge(cert: &Made, brought: &[&Made], signed: Option<u64>, store: Store) -> Judged {
    judge_under(cert, brought, signed, store, Policy::default())
}

fn judge_under(
    cert: &Made,
    brought: &[&Made],
    signed: Option<u64>,
    store: Store,
    policy: Policy,
) -> Judged {
    let brought: Vec<Bytes> = brought.iter().map(|made| made.der()).collect();
    let cert = certs::read(&cert.der()).unwrap();
    chain::judge(&cert, &brought, signed, &context(store, policy, NOW)).unwrap()
}

fn addresses(judged: &Judged) -> Vec<&str> {
    judged.addresses.iter().map(Address::as_str).collect()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

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
    let judged = judge(&short, &[], Some(NOW), trusting(&[&root]));
    assert_eq!(judged.reasons, [Reason::WeakAlgorithm]);
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
            key: Some(b.key.clone()),
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
        &openssl::asn1::Asn1Object::from_str("2.5.29.20").unwrap(),
        false,
        &openssl::asn1::Asn1OctetString::new_from_bytes(&[2, 1, 7]).unwrap(),
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
    let parsed = openssl::x509::X509Crl::from_der(&good).unwrap();
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

#[test]
fn the_bundled_authorities_are_all_there() {
    let text = include_str!("../anchors.pem");
    let stated = text.lines().find_map(|line| line.strip_prefix("# roots: "));
    let stated: usize = stated.unwrap().parse().unwrap();
    let cx = context(Store::default(), Policy::default(), NOW);
    let facts = chain::authorities(&cx);
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
        chain::authorities(&context(Store::default(), alone, NOW)),
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
        let path = crate::engine::smime::paths::Path {
            certs: vec![cert],
            anchor,
        };
        chain::holds(&path, chain::AUTH_LEVEL)
    };
    assert!(path((-21, 100), &line), "issued before");
    assert!(!path((-19, 100), &line), "issued after");
    assert!(path((-19, 100), "#"));
}
