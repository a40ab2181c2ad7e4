//! RFC 9882's samples, where they lie beside the project. They come without certificates; their
//! signers' keys are those of RFC 9881's examples, out of the seed 00 01 … 1F. Here they get a
//! certificate of the name and number that each signature states.
#![allow(clippy::print_stdout)]

use bytes::Bytes;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Name};

use super::made::{NOW, Store, asn1, context, corpora, day, from_seed, open};
use crate::base::layer::{Fit, Trust};
use crate::base::policy::Policy;
use crate::engine::smime::ber;
use crate::engine::smime::cms::{self, CertId, Object};

/// A certificate for `key` that the first signature of `message` names.
fn named_by(message: &Bytes, key: &PKey<Private>) -> Bytes {
    let Ok(Object::Signed(signed)) = cms::read(message) else {
        panic!("no SignedData");
    };
    let CertId::Issuer { issuer, serial } = &signed.signers.first().unwrap().id else {
        panic!("the signer is named by its key");
    };
    let name = X509Name::from_der(issuer).unwrap();
    let number = ber::one(&Bytes::copy_from_slice(serial)).unwrap();
    let number = BigNum::from_slice(number.content()).unwrap();
    let mut cert = X509::builder().unwrap();
    cert.set_version(2).unwrap();
    cert.set_serial_number(&number.to_asn1_integer().unwrap())
        .unwrap();
    cert.set_subject_name(&name).unwrap();
    cert.set_issuer_name(&name).unwrap();
    cert.set_pubkey(key).unwrap();
    cert.set_not_before(&asn1(day(-9))).unwrap();
    cert.set_not_after(&asn1(day(9))).unwrap();
    // It has no digest of its own to be told.
    cert.sign(key, MessageDigest::null()).unwrap();
    cert.build().to_der().unwrap().into()
}

fn read(file: &std::path::Path) -> Bytes {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .filter(|line| !line.starts_with("-----"));
    let base64: String = lines.collect();
    base64_simd::STANDARD.decode_to_vec(base64).unwrap().into()
}

#[test]
fn ml_dsa_samples_hold() {
    let Some(root) = corpora() else {
        println!("ABSENT: no corpora beside the project: RFC 9882's samples were NOT verified");
        return;
    };
    for (name, oid) in [
        ("44", "2.16.840.1.101.3.4.3.17"),
        ("65", "2.16.840.1.101.3.4.3.18"),
        ("87", "2.16.840.1.101.3.4.3.19"),
    ] {
        let file = format!("smime-bc/pkix/cms/mldsa/SignedData_ML-DSA-{name}.pem");
        let message = read(&root.join(file));
        let seed: Vec<u8> = (0..32).collect();
        let key = from_seed(oid, &seed);
        let mut store = Store::default();
        store.certs.push(named_by(&message, &key));
        let cx = context(store, Policy::default(), NOW);
        let opened = open(&cx, &message).unwrap();
        let facts = opened.signatures.first().unwrap();
        assert_eq!((facts.fit, facts.trust), (Fit::Intact, Trust::Untrusted));
        let text = format!("ML-DSA-{name} signed-data example");
        assert!(opened.content.starts_with(text.as_bytes()));
        let at = memchr::memmem::find(&message, b"signed-data").unwrap();
        for at in [at, message.len() - 1] {
            let mut changed = message.to_vec();
            changed[at] ^= 1;
            let opened = open(&cx, &changed).unwrap();
            assert_eq!(opened.signatures.first().unwrap().fit, Fit::Altered);
        }
    }
    println!("peers: RFC 9882's samples: 3 of 3 intact, 6 of 6 changed ones altered");
}
