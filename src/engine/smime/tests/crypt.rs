//! Every kind of key both ways through the engine: those that no peer of the front-door tests
//! knows are shown here alone.

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::pkey::PKey;

use super::made::{self, CONTENT, NOW, desk, open, person, seal, seeded};
use crate::base::Error;
use crate::base::error::Kind;
use crate::base::extra::Extra;
use crate::base::keys::{Source, StoredCert};
use crate::base::layer::{Cipher, Fit, Seal, SealedOut, Trust};
use crate::base::policy::Policy;
use crate::base::verdict::{Integrity, Scheme};
use crate::engine::Engine as _;
use crate::engine::smime::ber::{self, OCTET_STRING};
use crate::engine::smime::{Smime, certs};

#[test]
fn every_key_that_signs() {
    let authority = made::make(&made::authority("Root"), None);
    for (name, key) in [
        ("rsa", made::rsa(2048)),
        ("p256", made::p256()),
        ("ed25519", PKey::generate_ed25519().unwrap()),
        ("ML-DSA-44", seeded("2.16.840.1.101.3.4.3.17", 32)),
        ("ML-DSA-65", seeded("2.16.840.1.101.3.4.3.18", 32)),
        ("ML-DSA-87", seeded("2.16.840.1.101.3.4.3.19", 32)),
    ] {
        let own = person(key, "critical,digitalSignature", &authority);
        let (cx, cert) = desk(&own, &authority);
        let SealedOut::Inside(der) = seal(&cx, Some(&cert), &[], Cipher::Auto) else {
            panic!("{name}: not opaque");
        };
        let opened = open(&cx, &der).unwrap();
        assert_eq!(opened.content, CONTENT, "{name}");
        let facts = opened.signatures.first().unwrap();
        assert_eq!(
            (facts.fit, facts.trust),
            (Fit::Intact, Trust::Anchored),
            "{name}"
        );
        assert_eq!(facts.signed_at, Some(NOW), "{name}");
        assert!(facts.brought.capabilities.is_some(), "{name}");
        // One byte of the content: altered. One of the signature, which comes last: too.
        let at = memchr::memmem::find(&der, b"hello").unwrap();
        for at in [at, der.len() - 5] {
            let mut changed = der.clone();
            changed[at] ^= 1;
            let opened = open(&cx, &changed).unwrap();
            assert_eq!(
                opened.signatures.first().unwrap().fit,
                Fit::Altered,
                "{name}"
            );
        }
    }
}

#[test]
fn several_sign_one_content() {
    let authority = made::make(&made::authority("Root"), None);
    let people = [
        made::rsa(2048),
        PKey::generate_ed25519().unwrap(),
        made::p256(),
    ]
    .map(|key| person(key, "critical,digitalSignature", &authority));
    let mut store = made::trusting(&[&authority]);
    let mut signers = Vec::new();
    for own in &people {
        let id = certs::read(&own.der()).unwrap().id;
        store.certs.push(own.der());
        store.secrets.insert(id.clone(), own.key.clone());
        signers.push(StoredCert {
            id,
            cert: own.der(),
            source: Source::Imported,
            own: true,
        });
    }
    let cx = made::context(store, Policy::default(), NOW);
    let sealed = |scheme| {
        let how = Seal {
            recipients: &[],
            signer: signers.first(),
            scheme,
            cipher: Cipher::Auto,
            intended: false,
            extra: Extra {
                signers: &signers[1..],
                ..Extra::default()
            },
        };
        let content = Bytes::from_static(CONTENT);
        Smime::new().seal(&content, &how, &cx).unwrap()
    };
    let SealedOut::Inside(der) = sealed(Scheme::Opaque) else {
        panic!("not opaque");
    };
    let opened = open(&cx, &der).unwrap();
    assert_eq!(opened.signatures.len(), 3);
    for facts in &opened.signatures {
        assert_eq!((facts.fit, facts.trust), (Fit::Intact, Trust::Anchored));
        let id = &facts.signer.as_ref().unwrap().id;
        assert_eq!(facts.key.as_deref(), Some(id.fingerprint()));
    }
    let mut algorithms: Vec<_> = opened.signatures.iter().map(|f| &f.algorithm).collect();
    algorithms.dedup();
    assert_eq!(algorithms.len(), 3);
    let SealedOut::Detached { micalg, .. } = sealed(Scheme::Mime) else {
        panic!("not apart");
    };
    assert_eq!(micalg, "sha-256,sha-512");
}

#[test]
fn every_key_that_is_encrypted_to() {
    let authority = made::make(&made::authority("Root"), None);
    let transport = "critical,keyEncipherment";
    let agreement = "critical,keyAgreement";
    for (name, key, usage) in [
        ("rsa", made::rsa(2048), transport),
        ("p256", made::p256(), agreement),
        ("x25519", PKey::generate_x25519().unwrap(), agreement),
        (
            "ML-KEM-512",
            seeded("2.16.840.1.101.3.4.4.1", 64),
            transport,
        ),
        (
            "ML-KEM-768",
            seeded("2.16.840.1.101.3.4.4.2", 64),
            transport,
        ),
        (
            "ML-KEM-1024",
            seeded("2.16.840.1.101.3.4.4.3", 64),
            transport,
        ),
    ] {
        let own = person(key, usage, &authority);
        let (cx, cert) = desk(&own, &authority);
        for (cipher, integrity) in [
            (Cipher::Cbc, Integrity::None),
            (Cipher::Gcm, Integrity::Aead),
        ] {
            let to = std::slice::from_ref(&cert);
            let SealedOut::Enveloped { der, authenticated } = seal(&cx, None, to, cipher) else {
                panic!("{name}: no envelope");
            };
            assert_eq!(authenticated, cipher == Cipher::Gcm);
            let opened = open(&cx, &der).unwrap();
            assert_eq!(opened.content, CONTENT, "{name}");
            let encryption = opened.encryption.unwrap();
            assert_eq!(encryption.integrity, integrity, "{name}");
            assert_eq!(encryption.key.as_ref(), Some(&cert.id), "{name}");
        }
        // Somebody else can't, and learns no more than that.
        let stranger = person(made::p256(), agreement, &authority);
        let (elsewhere, _) = desk(&stranger, &authority);
        let to = std::slice::from_ref(&cert);
        let SealedOut::Enveloped { der, .. } = seal(&cx, None, to, Cipher::Gcm) else {
            panic!("{name}: no envelope");
        };
        let Err(Error { kind, .. }) = open(&elsewhere, &der) else {
            panic!("{name}: a stranger reads it");
        };
        assert!(matches!(kind, Kind::KeyMissing { .. }), "{name}: {kind:?}");
    }
}

#[test]
fn short_tags_and_odd_nonces_are_refused() {
    let authority = made::make(&made::authority("Root"), None);
    let own = person(made::p256(), "critical,keyAgreement", &authority);
    let (cx, cert) = desk(&own, &authority);
    let SealedOut::Enveloped { der, .. } =
        seal(&cx, None, std::slice::from_ref(&cert), Cipher::Gcm)
    else {
        panic!("no envelope");
    };
    // The tag is the last field, sixteen bytes; a shorter one that fits as far as it goes.
    let at = der.len() - 18;
    assert_eq!(der.get(at..at + 2), Some(&[4, 16][..]));
    for length in [0_usize, 1, 4, 12, 15] {
        let mut short = der.clone();
        short.truncate(at);
        ber::header(OCTET_STRING, length, &mut short);
        short.extend_from_slice(der.get(at + 2..at + 2 + length).unwrap());
        // The lengths around it no longer fit: indefinite ones do for any.
        let opened = open(&cx, &relaxed(&short));
        let Err(Error { kind, .. }) = opened else {
            panic!("a tag of {length} bytes was accepted");
        };
        assert_eq!(kind, Kind::DecryptFailed, "{length}");
    }
    assert!(open(&cx, &relaxed(&der)).is_ok());
}

/// Whether a key fitted must not show in the answer: a cipher that is not here is an error of
/// its own only before any key is used.
#[test]
fn an_unknown_cipher_does_not_tell_whether_a_key_fits() {
    let authority = made::make(&made::authority("Root"), None);
    let own = person(made::p256(), "critical,keyAgreement", &authority);
    let (cx, cert) = desk(&own, &authority);
    let to = std::slice::from_ref(&cert);
    for (cipher, oid) in [
        (Cipher::Cbc, "2.16.840.1.101.3.4.1.42"),
        (Cipher::Gcm, "2.16.840.1.101.3.4.1.46"),
    ] {
        let SealedOut::Enveloped { der, .. } = seal(&cx, None, to, cipher) else {
            panic!("no envelope");
        };
        let oid = ObjectIdentifier::new_unwrap(oid);
        let at = memchr::memmem::rfind(&der, oid.as_bytes()).unwrap();
        let mut unknown = der.clone();
        // 2.16.840.1.101.3.4.1.127: nobody's.
        unknown[at + oid.as_bytes().len() - 1] = 0x7F;
        // The wrapped key: 32 bytes and 8 to check.
        let wrapped = memchr::memmem::find(&der, &[4, 40]).unwrap();
        let mut unfit = unknown.clone();
        unfit[wrapped + 5] ^= 1;
        let kinds = [unknown, unfit].map(|der| open(&cx, &der).unwrap_err().kind);
        assert_eq!(kinds[0], kinds[1], "{cipher:?}");
    }
}

/// The same object with indefinite lengths for its three outermost elements.
fn relaxed(der: &[u8]) -> Vec<u8> {
    let skip = |data: &[u8]| match data.get(1).copied().unwrap() {
        short if short < 0x80 => 2,
        long => 2 + usize::from(long & 0x7F),
    };
    let outer = skip(der);
    let kind_length = 2 + usize::from(*der.get(outer + 1).unwrap());
    let kind = der.get(outer..outer + kind_length).unwrap();
    let tagged = der.get(outer + kind_length..).unwrap();
    let sequence = tagged.get(skip(tagged)..).unwrap();
    let fields = sequence.get(skip(sequence)..).unwrap();
    let mut out = vec![0x30, 0x80];
    out.extend_from_slice(kind);
    out.extend_from_slice(&[0xA0, 0x80, 0x30, 0x80]);
    out.extend_from_slice(fields);
    out.extend_from_slice(&[0; 6]);
    out
}
