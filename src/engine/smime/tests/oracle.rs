//! Beside the CMS functions of the very OpenSSL that is linked in, which the product never
//! calls: they know ML-DSA, Ed25519 and ML-KEM (as of OpenSSL 3.6), as no program of Debian's
//! does.
#![allow(clippy::print_stdout)]

use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::symm::Cipher as Symmetric;
use openssl::x509::X509;

use super::made::{self, CONTENT, Made, desk, open, person, seal, seeded};
use crate::base::keys::StoredCert;
use crate::base::layer::{Cipher, Fit, Opened, SealedOut};
use crate::base::policy::Policy;

fn curve(nid: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(nid).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// Its word over ours: that the content is what it was.
fn verified(der: &[u8], detached: Option<&[u8]>) -> Result<(), String> {
    let mut cms = CmsContentInfo::from_der(der).map_err(|e| e.to_string())?;
    let mut content = Vec::new();
    // Who vouches for the signer is shown elsewhere.
    let flags = CMSOptions::NO_SIGNER_CERT_VERIFY | CMSOptions::BINARY;
    cms.verify(None, None, detached, Some(&mut content), flags)
        .map_err(|e| e.to_string())?;
    match content == CONTENT {
        true => Ok(()),
        false => Err("another content".into()),
    }
}

fn intact(opened: Result<Opened, crate::base::Error>) -> Result<(), String> {
    let opened = opened.map_err(|e| format!("{e:?}"))?;
    let fits: Vec<Fit> = opened.signatures.iter().map(|facts| facts.fit).collect();
    match opened.content == CONTENT && !fits.is_empty() && fits.iter().all(|f| *f == Fit::Intact) {
        true => Ok(()),
        false => Err(format!("{fits:?}")),
    }
}

/// One row: what came out in both directions. A miss is told, and ends the test at its end.
struct Row {
    name: &'static str,
    ours: Vec<Result<(), String>>,
    theirs: Vec<Result<(), String>>,
}

fn table(title: &str, rows: Vec<Row>) {
    println!("peers: {title}: algorithm | OpenSSL 3.6 reads ours | we read its");
    let mut misses = Vec::new();
    for row in rows {
        let good = |all: &[Result<(), String>]| all.iter().filter(|one| one.is_ok()).count();
        println!(
            "peers: {:12} | {} of {} | {} of {}",
            row.name,
            good(&row.ours),
            row.ours.len(),
            good(&row.theirs),
            row.theirs.len()
        );
        assert!(!row.ours.is_empty());
        for (at, one) in row.ours.iter().chain(&row.theirs).enumerate() {
            if let Err(why) = one {
                misses.push(format!("{} {at}: {why}", row.name));
            }
        }
    }
    assert!(misses.is_empty(), "{misses:#?}");
}

#[test]
fn signatures_both_ways() {
    println!(
        "ABSENT: OpenSSL's binding signs neither with Ed25519 nor with ML-DSA: that we read those \
         of others is shown beside Bouncy Castle and by RFC 9882's samples"
    );
    let authority = made::make(&made::authority("Root"), None);
    let rows = [
        ("rsa", made::rsa(2048)),
        ("p256", made::p256()),
        ("p384", curve(Nid::SECP384R1)),
        ("p521", curve(Nid::SECP521R1)),
        ("ed25519", PKey::generate_ed25519().unwrap()),
        ("ML-DSA-44", seeded("2.16.840.1.101.3.4.3.17", 32)),
        ("ML-DSA-65", seeded("2.16.840.1.101.3.4.3.18", 32)),
        ("ML-DSA-87", seeded("2.16.840.1.101.3.4.3.19", 32)),
    ]
    .map(|(name, key)| {
        let own = person(key, "critical,digitalSignature", &authority);
        let (cx, cert) = desk(&own, &authority);
        let ours = match seal(&cx, Some(&cert), &[], Cipher::Auto) {
            SealedOut::Inside(der) => {
                let mut changed = der.clone();
                let at = memchr::memmem::find(&der, b"hello").unwrap();
                changed[at] ^= 1;
                assert!(verified(&changed, None).is_err(), "{name}");
                vec![verified(&der, None)]
            }
            _ => panic!("{name}: not opaque"),
        };
        let mut theirs = Vec::new();
        // Its Rust binding can't say which digest goes with a key that has none of its own.
        let nameless = name == "ed25519" || name.starts_with("ML-DSA");
        for more in [
            CMSOptions::empty(),
            CMSOptions::USE_KEYID,
            CMSOptions::CMS_NOCERTS,
            CMSOptions::NOSMIMECAP,
        ] {
            if nameless {
                break;
            }
            let signed = CmsContentInfo::sign(
                Some(&own.cert),
                Some(&own.key),
                None,
                Some(CONTENT),
                CMSOptions::BINARY | more,
            );
            theirs.push(
                signed
                    .and_then(|cms| cms.to_der())
                    .map_err(|e| e.to_string())
                    .and_then(|der| intact(open(&cx, &der))),
            );
        }
        Row { name, ours, theirs }
    });
    table("signatures", rows.into());
}

fn opened(opened: Result<Opened, crate::base::Error>) -> Result<(), String> {
    let opened = opened.map_err(|e| format!("{e:?}"))?;
    match opened.content == CONTENT && opened.encryption.is_some() {
        true => Ok(()),
        false => Err("another content".into()),
    }
}

fn decrypted(der: &[u8], own: &Made) -> Result<(), String> {
    let cms = CmsContentInfo::from_der(der).map_err(|e| e.to_string())?;
    match cms.decrypt(&own.key, &own.cert) {
        Ok(content) if content == CONTENT => Ok(()),
        Ok(_) => Err("another content".into()),
        Err(e) => Err(e.to_string()),
    }
}

fn encrypted(to: &[&Made], cipher: Symmetric, more: CMSOptions) -> Result<Vec<u8>, String> {
    let mut stack: Stack<X509> = Stack::new().unwrap();
    for one in to {
        stack.push(one.cert.clone()).unwrap();
    }
    CmsContentInfo::encrypt(&stack, CONTENT, cipher, CMSOptions::BINARY | more)
        .and_then(|cms| cms.to_der())
        .map_err(|e| e.to_string())
}

const TRANSPORT: &str = "critical,keyEncipherment";
const AGREEMENT: &str = "critical,keyAgreement";

fn recipients() -> Vec<(&'static str, PKey<Private>, &'static str)> {
    vec![
        ("rsa", made::rsa(2048), TRANSPORT),
        ("p256", made::p256(), AGREEMENT),
        ("p384", curve(Nid::SECP384R1), AGREEMENT),
        ("p521", curve(Nid::SECP521R1), AGREEMENT),
        (
            "ML-KEM-512",
            seeded("2.16.840.1.101.3.4.4.1", 64),
            TRANSPORT,
        ),
        (
            "ML-KEM-768",
            seeded("2.16.840.1.101.3.4.4.2", 64),
            TRANSPORT,
        ),
        (
            "ML-KEM-1024",
            seeded("2.16.840.1.101.3.4.4.3", 64),
            TRANSPORT,
        ),
    ]
}

const CIPHERS: [(Cipher, fn() -> Symmetric); 2] = [
    (Cipher::Cbc, Symmetric::aes_256_cbc),
    (Cipher::Gcm, Symmetric::aes_256_gcm),
];

#[test]
fn envelopes_both_ways() {
    println!(
        "ABSENT: X25519 in CMS (RFC 8418) is known to no peer here, neither to OpenSSL 3.6 nor to \
         Bouncy Castle 1.72: the engine shows it against itself alone"
    );
    let authority = made::make(&made::authority("Root"), None);
    let rows = recipients().into_iter().map(|(name, key, usage)| {
        let own = person(key, usage, &authority);
        let (cx, cert) = desk(&own, &authority);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (cipher, symmetric) in CIPHERS {
            let to = std::slice::from_ref(&cert);
            let SealedOut::Enveloped { der, .. } = seal(&cx, None, to, cipher) else {
                panic!("{name}: no envelope");
            };
            ours.push(decrypted(&der, &own));
            for more in [CMSOptions::empty(), CMSOptions::USE_KEYID] {
                let der = encrypted(&[&own], symmetric(), more);
                theirs.push(der.and_then(|der| opened(open(&cx, &der))));
            }
        }
        Row { name, ours, theirs }
    });
    table("envelopes", rows.collect());
}

/// One message to people with every kind of key: each opens it.
#[test]
fn recipients_of_every_kind_in_one_envelope() {
    let authority = made::make(&made::authority("Root"), None);
    let people: Vec<(&str, Made)> = recipients()
        .into_iter()
        .map(|(name, key, usage)| (name, person(key, usage, &authority)))
        .collect();
    let certs: Vec<StoredCert> = people
        .iter()
        .map(|(_, own)| desk(own, &authority).1)
        .collect();
    let all: Vec<&Made> = people.iter().map(|(_, own)| own).collect();
    let (cx, _) = desk(all[0], &authority);
    for (cipher, symmetric) in CIPHERS {
        let SealedOut::Enveloped { der, .. } = seal(&cx, None, &certs, cipher) else {
            panic!("no envelope");
        };
        let theirs = encrypted(&all, symmetric(), CMSOptions::empty()).unwrap();
        for (name, own) in &people {
            assert_eq!(decrypted(&der, own), Ok(()), "{name}");
            assert_eq!(
                opened(open(&desk(own, &authority).0, &der)),
                Ok(()),
                "{name}"
            );
            assert_eq!(
                opened(open(&desk(own, &authority).0, &theirs)),
                Ok(()),
                "{name}"
            );
        }
    }
}

/// A key with two certificates, the second a renewal: the reader's client may have either, so
/// the key is named, and both find it.
#[test]
fn a_renewed_recipient_is_named_by_the_key() {
    let authority = made::make(&made::authority("Root"), None);
    for (name, key, usage) in recipients() {
        let old = person(key.clone(), usage, &authority);
        let renewed = person(key, usage, &authority);
        let (_, cert) = desk(&renewed, &authority);
        let mut store = made::trusting(&[&authority]);
        store.certs = vec![old.der(), renewed.der()];
        let sender = made::context(store, Policy::default(), made::NOW);
        for (cipher, _) in CIPHERS {
            let to = std::slice::from_ref(&cert);
            let SealedOut::Enveloped { der, .. } = seal(&sender, None, to, cipher) else {
                panic!("{name}: no envelope");
            };
            for own in [&old, &renewed] {
                assert_eq!(decrypted(&der, own), Ok(()), "{name}");
                assert_eq!(
                    opened(open(&desk(own, &authority).0, &der)),
                    Ok(()),
                    "{name}"
                );
            }
        }
    }
}
