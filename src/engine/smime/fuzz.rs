//! The parsers as fuzz targets see them (`fuzz/`); in no ordinary build. Each function takes
//! what a stranger may send, and panics where something holds that must not.

use std::sync::OnceLock;

use bytes::Bytes;
use openssl::asn1::{Asn1Object, Asn1OctetString};
use openssl::pkey::PKey;
use openssl::x509::extension::AuthorityKeyIdentifier;
use openssl::x509::{X509, X509CrlBuilder, X509Extension};

use super::ber::Element;
use super::certs::{self, Certificate};
use super::chain;
use super::cms::{self, Object};
use super::made::{self, CONTENT, Made, NOW};
use super::{ber, compress, decrypt, import, ocsp, pkcs8, pkcs12, revocation, verify};
use crate::base::error::Kind;
use crate::base::keys::StoredCert;
use crate::base::layer::{Cipher, Fit, SealedOut, SignatureFacts, Trust};
use crate::base::policy::Policy;
use crate::base::verdict::Integrity;
use crate::base::{Context, Error};
use crate::engine::Passphrase;

/// One person, who has a key of each kind, and the authority behind them.
struct Desk {
    root: Made,
    cx: Context,
    own: Vec<StoredCert>,
    signer: Made,
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let root = made::make(&made::authority("Root"), None);
        let mut store = made::trusting(&[&root]);
        let mut own = Vec::new();
        let mut signer = None;
        for (key, usage) in [
            (made::p256(), "critical,digitalSignature,keyAgreement"),
            (made::rsa(2048), "critical,digitalSignature,keyEncipherment"),
            (PKey::generate_x25519().unwrap(), "critical,keyAgreement"),
            (
                made::seeded("2.16.840.1.101.3.4.4.2", 64),
                "critical,keyEncipherment",
            ),
        ] {
            let person = made::person(key, usage, &root);
            let (_, stored) = made::desk(&person, &root);
            store.certs.push(person.der());
            store.secrets.insert(stored.id.clone(), person.key.clone());
            own.push(stored);
            signer.get_or_insert(person);
        }
        Desk {
            root,
            cx: made::context(store, Policy::default(), NOW),
            own,
            signer: signer.unwrap(),
        }
    })
}

/// BER: whatever it is, what is made of it is no longer, and DER stays as it is.
pub fn ber(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    if let Ok(element) = ber::one(&data) {
        walk(&element, 0);
    }
}

fn walk(element: &Element, depth: usize) {
    assert!(element.content().len() <= element.whole().len());
    if let Ok(octets) = element.octets() {
        assert!(octets.len() <= element.content().len());
    }
    if let Ok(der) = element.der() {
        let der = Bytes::from(der);
        let again = ber::one(&der).and_then(|element| element.der()).unwrap();
        assert_eq!(again, der, "DER is written as it was read");
    }
    if depth < 8
        && let Ok(children) = element.children()
    {
        for child in children.iter().take(64) {
            walk(child, depth + 1);
        }
    }
}

/// SignedData and CompressedData: no signature holds over anything but what was signed.
pub fn signed(data: &[u8]) {
    let cx = &desk().cx;
    let data = Bytes::copy_from_slice(data);
    match cms::read(&data) {
        Ok(Object::Signed(signed)) => {
            let apart = Bytes::from_static(CONTENT);
            let twice = match cms::read(&data) {
                Ok(Object::Signed(signed)) => signed,
                _ => panic!("read once, not twice"),
            };
            for opened in [
                verify::signed(signed, None, cx),
                verify::signed(twice, Some(&apart), cx),
            ] {
                match opened {
                    Ok(opened) => {
                        // What others have signed may be among the seeds: nobody vouches for it.
                        let good = |facts: &SignatureFacts| {
                            facts.fit == Fit::Intact && facts.trust == Trust::Anchored
                        };
                        if opened.signatures.iter().any(good) {
                            assert_eq!(opened.content, CONTENT, "a forgery");
                        }
                    }
                    Err(error) => expected(&error),
                }
            }
        }
        Ok(Object::Compressed(bytes)) => {
            let _ = compress::unpack(&bytes, cx);
        }
        Ok(_) => {}
        Err(error) => expected(&error),
    }
}

/// EnvelopedData and AuthEnvelopedData, with keys of four kinds: what has a tag opens only as
/// it was sealed.
pub fn enveloped(data: &[u8]) {
    let cx = &desk().cx;
    let data = Bytes::copy_from_slice(data);
    let _ = decrypt::recipients(&data, cx);
    let opened = match cms::read(&data) {
        Ok(Object::Enveloped(enveloped)) => decrypt::enveloped(&enveloped, cx),
        Ok(Object::AuthEnveloped(enveloped)) => decrypt::auth_enveloped(&enveloped, cx),
        Ok(_) => return,
        Err(error) => return expected(&error),
    };
    match opened {
        Ok(opened) => {
            let integrity = opened.encryption.map(|encryption| encryption.integrity);
            if integrity == Some(Integrity::Aead) {
                assert_eq!(opened.content, CONTENT, "a forgery");
            }
        }
        Err(error) => expected(&error),
    }
}

/// PKCS#12, PKCS#8, PEM and bags of certificates, as a person imports them.
pub fn keys(data: &[u8]) {
    let cx = &desk().cx;
    if let Err(error) = import::read_keys(data, cx) {
        expected(&error);
    }
    if pkcs12::costs(data).is_ok() {
        let _ = pkcs12::open(data, b"x");
    }
}

/// Certificates: read, told, and judged as if they had signed.
pub fn cert(data: &[u8]) {
    let desk = desk();
    let Ok(cert) = certs::read(data) else { return };
    let facts = certs::facts_of(&cert, NOW);
    assert_eq!(facts.addresses, cert.addresses());
    let brought = [desk.signer.der(), Bytes::copy_from_slice(data)];
    let judged = chain::judge(&cert, &brought, Some(NOW), &desk.cx).unwrap();
    if judged.trust == Trust::Anchored {
        let genuine = desk.own.iter().any(|own| own.cert == cert.der);
        assert!(genuine || cert.der == desk.root.der(), "a forgery");
    }
}

/// Revocation lists and answers about one certificate.
pub fn revoked(data: &[u8]) {
    let desk = desk();
    let (root, cert) = (issuer(), certs::read(&desk.signer.der()).unwrap());
    if let Ok(list) = revocation::read(data) {
        let _ = revocation::look_up(&cert, &[root], &list.der, chain::AUTH_LEVEL, NOW);
    }
    assert!(ocsp::read(data, &cert, root, NOW).is_none(), "a forgery");
}

fn issuer() -> &'static Certificate {
    static ISSUER: OnceLock<Certificate> = OnceLock::new();
    ISSUER.get_or_init(|| certs::read(&desk().root.der()).unwrap())
}

/// Faults that a stranger's bytes may come to.
fn expected(error: &Error) {
    assert!(
        !matches!(error.kind, Kind::Internal | Kind::RequestInvalid { .. }),
        "{error:?}"
    );
}

/// What fuzzing starts from: valid objects for the keys of this very process.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut put = |bytes: &[u8]| all.push(bytes.to_vec());
    let desk = desk();
    for own in desk.own.iter().take(2) {
        let SealedOut::Inside(der) = made::seal(&desk.cx, Some(own), &[], Cipher::Auto) else {
            panic!("not opaque");
        };
        put(&der);
    }
    for cipher in [Cipher::Cbc, Cipher::Gcm] {
        for own in &desk.own {
            let to = std::slice::from_ref(own);
            let SealedOut::Enveloped { der, .. } = made::seal(&desk.cx, None, to, cipher) else {
                panic!("no envelope");
            };
            put(&der);
        }
    }
    for own in &desk.own {
        put(&own.cert);
    }
    put(&desk.root.der());
    let phrase = Passphrase::Random(std::sync::Arc::new(crate::base::Secret::new(vec![b'x'])));
    put(pkcs8::seal(&desk.signer.key, &phrase).unwrap().expose());
    let word = crate::base::Secret::new(vec![b'x']);
    let chain = [desk.signer.der(), desk.root.der()];
    put(&pkcs12::write(&desk.signer.key, &chain, &word).unwrap());
    let mut list = X509CrlBuilder::new().unwrap();
    list.set_issuer_name(desk.root.cert.subject_name()).unwrap();
    list.set_last_update(&made::asn1(NOW)).unwrap();
    list.set_next_update(&made::asn1(made::day(9))).unwrap();
    let mut host = X509::builder().unwrap();
    host.set_version(2).unwrap();
    let context = host.x509v3_context(Some(&desk.root.cert), None);
    let key = AuthorityKeyIdentifier::new().keyid(true).build(&context);
    list.append_extension(key.unwrap()).unwrap();
    let number = X509Extension::new_from_der(
        &Asn1Object::from_str("2.5.29.20").unwrap(),
        false,
        &Asn1OctetString::new_from_bytes(&[2, 1, 7]).unwrap(),
    );
    list.append_extension(number.unwrap()).unwrap();
    list.sign(&desk.root.key, openssl::hash::MessageDigest::sha256())
        .unwrap();
    put(&list.build().unwrap().to_der().unwrap());
    all
}
