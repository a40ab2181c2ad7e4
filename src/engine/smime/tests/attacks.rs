//! What somebody who wants to harm makes of CMS and of key files, where the front door would
//! show no difference or take hours.

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::bn::BigNum;
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::stack::Stack;
use openssl::x509::X509;

use super::made::{self, CONTENT, Made, NOW};
use crate::base::Context;
use crate::base::error::{Kind, Result};
use crate::base::keys::Protocol;
use crate::base::layer::{Fit, Form, Opened, Sealed, Trust};
use crate::base::policy::Policy;
use crate::base::verdict::Scheme;
use crate::engine::Engine as _;
use crate::engine::smime::ber::{self, OCTET_STRING, SEQUENCE, SET};
use crate::engine::smime::cms::{self, CONTEXT_0, CONTEXT_1, ID_DATA, Object};
use crate::engine::smime::{Smime, certs, import, pkcs8, pkcs12, recipient};

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");

fn limited<T>(result: Result<T>) -> bool {
    matches!(
        result.err().map(|e| e.kind),
        Some(Kind::LimitExceeded { .. })
    )
}

/// A PBES2 of two thousand million rounds.
fn bomb() -> Vec<u8> {
    let salt = ber::element(OCTET_STRING, &[&[7; 8]]);
    let rounds = ber::element(SEQUENCE, &[&salt, &ber::integer(2_000_000_000)]);
    let both = ber::element(SEQUENCE, &[&ber::algorithm(PBKDF2, &rounds)]);
    ber::algorithm(PBES2, &both)
}

fn nested(inside: &[u8], times: usize) -> Vec<u8> {
    let wrap = |inner: Vec<u8>, _| ber::element(SEQUENCE, &[&inner]);
    (0..times).fold(inside.to_vec(), wrap)
}

/// A PKCS#12 file around what its safes hold.
fn file(safes: &[u8], more: &[u8]) -> Vec<u8> {
    let content = ber::element(CONTEXT_0, &[safes]);
    let info = ber::element(SEQUENCE, &[&ber::object(ID_DATA), &content]);
    ber::element(SEQUENCE, &[&ber::integer(3), &info, more])
}

#[test]
fn rounds_are_found_wherever_they_hide() {
    let octets = |inner: &[u8]| ber::element(OCTET_STRING, &[inner]);
    assert!(limited(pkcs12::costs(&file(&octets(&bomb()), &[]))));
    // Safes within safes.
    for depth in [4, 10, 12, 14, 20, 40, 200] {
        let deep = nested(&bomb(), depth);
        assert!(
            limited(pkcs12::costs(&file(&octets(&deep), &[]))),
            "{depth}"
        );
    }
    // A string in pieces.
    let whole = nested(&bomb(), 2);
    let (one, two) = whole.split_at(9);
    let pieces = ber::element(OCTET_STRING | 0x20, &[&octets(one), &octets(two)]);
    assert!(limited(pkcs12::costs(&file(&pieces, &[]))));
    // Behind something that only a stricter reader stumbles over.
    let odd = ber::element(SET, &[&[0x3F, 0x81, 1, 0]]);
    let safe = ber::element(SEQUENCE, &[&odd, &bomb()]);
    assert!(limited(pkcs12::costs(&file(&octets(&safe), &[]))));
    // The check over the whole file.
    let digest = ber::element(SEQUENCE, &[&ber::algorithm(PBKDF2, &[]), &octets(&[0; 20])]);
    let rounds = ber::integer(2_000_000_000);
    let check = ber::element(SEQUENCE, &[&digest, &octets(&[7; 8]), &rounds]);
    assert!(limited(pkcs12::costs(&file(&octets(&[0x30, 0]), &check))));
}

/// A scheme that is allowed alone.
fn slow(rounds: u32) -> Vec<u8> {
    let salt = ber::element(OCTET_STRING, &[&[7; 8]]);
    let rounds = ber::element(SEQUENCE, &[&salt, &ber::integer(rounds)]);
    let both = ber::element(SEQUENCE, &[&ber::algorithm(PBKDF2, &rounds)]);
    ber::algorithm(PBES2, &both)
}

#[test]
fn rounds_are_added_up() {
    let octets = |inner: &[u8]| ber::element(OCTET_STRING, &[inner]);
    let safes = |count: usize, rounds: u32| {
        let all = slow(rounds).repeat(count);
        pkcs12::costs(&file(&octets(&ber::element(SEQUENCE, &[&all])), &[]))
    };
    assert!(safes(1, 10_000_000).is_ok());
    assert!(limited(safes(2, 5_000_001)));
    assert!(safes(2, 5_000_000).is_ok());
    assert!(limited(safes(40, 1_000_000)));
    // What the check takes comes on top.
    let digest = ber::element(SEQUENCE, &[&ber::algorithm(PBKDF2, &[]), &octets(&[0; 20])]);
    let (salt, rounds) = (octets(&[7; 8]), ber::integer(5_000_001));
    let check = ber::element(SEQUENCE, &[&digest, &salt, &rounds]);
    let safe = ber::element(SEQUENCE, &[&slow(5_000_000)]);
    assert!(limited(pkcs12::costs(&file(&octets(&safe), &check))));
    // A scheme that we can't read counts by its largest number.
    let odd = |rounds: u32| {
        let salt = ber::element(SEQUENCE, &[&ber::object(PBKDF2)]);
        let inner = ber::element(SEQUENCE, &[&salt, &ber::integer(rounds)]);
        ber::algorithm(PBKDF2, &inner)
    };
    let safe = ber::element(SEQUENCE, &[&odd(6_000_000), &odd(6_000_000)]);
    assert!(limited(pkcs12::costs(&file(&octets(&safe), &[]))));
}

#[test]
fn a_serial_number_is_no_count_of_rounds() {
    let own = made::make(&made::leaf(), None);
    let clear = Nid::from_raw(-1);
    let file = Pkcs12::builder()
        .name("own")
        .pkey(&own.key)
        .cert(&own.cert)
        .cert_algorithm(clear)
        .build2("secret")
        .unwrap();
    let der = file.to_der().unwrap();
    assert!(pkcs12::costs(&der).is_ok());
    let contents = pkcs12::open(&der, b"secret").unwrap().unwrap();
    assert!(contents.key.is_some());
    assert_eq!(contents.certs, [own.der()]);
}

/// Overwriting the public half makes a key that gives itself away (kopenpgp.com, row F4).
#[test]
fn halves_that_do_not_belong_together_are_no_key() {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let own = made::make(&made::leaf(), None);
    let public = own.key.ec_key().unwrap();
    let other = EcKey::generate(&group).unwrap();
    let mixed = EcKey::from_private_components(&group, other.private_key(), public.public_key());
    let mixed = PKey::from_ec_key(mixed.unwrap()).unwrap();
    let read = |key: &PKey<_>| {
        let file = [
            own.cert.to_pem().unwrap(),
            key.private_key_to_pem_pkcs8().unwrap(),
        ]
        .concat();
        let cx = made::context(made::trusting(&[]), Policy::default(), NOW);
        import::read_keys(&file, &cx).unwrap()
    };
    let good = read(&own.key);
    assert!(good.keys.first().unwrap().secret.is_some());
    let bad = read(&mixed);
    assert!(bad.keys.first().unwrap().secret.is_none());
    assert_eq!(bad.skipped, ["malformed"]);
    assert!(!pkcs8::belongs_together(&mixed));
    for good in [
        made::rsa(2048),
        made::p256(),
        PKey::generate_ed25519().unwrap(),
        PKey::generate_x25519().unwrap(),
    ] {
        assert!(pkcs8::belongs_together(&good));
    }
    // RSA with the exponent of another key.
    let (a, b) = (
        made::rsa(2048).rsa().unwrap(),
        made::rsa(2048).rsa().unwrap(),
    );
    let copy = |n: &openssl::bn::BigNumRef| BigNum::from_slice(&n.to_vec()).unwrap();
    let mixed = openssl::rsa::RsaPrivateKeyBuilder::new(copy(a.n()), copy(a.e()), copy(b.d()));
    let mixed = PKey::from_rsa(mixed.unwrap().build()).unwrap();
    assert!(!pkcs8::belongs_together(&mixed));
}

fn signed(by: &Made, more: &[&X509]) -> Vec<u8> {
    let mut bag = Stack::new().unwrap();
    for cert in more {
        bag.push((*cert).clone()).unwrap();
    }
    let (cert, key) = (Some(by.cert.as_ref()), Some(by.key.as_ref()));
    let flags = CMSOptions::BINARY;
    let cms = CmsContentInfo::sign(cert, key, Some(&bag), Some(CONTENT), flags).unwrap();
    cms.to_der().unwrap()
}

fn open(cx: &Context, data: &[u8]) -> Opened {
    let layer = Sealed {
        protocol: Protocol::Smime,
        scheme: Scheme::Opaque,
        form: Form::SignedInside {
            data: Bytes::copy_from_slice(data),
        },
    };
    Smime::new().open(&layer, cx).unwrap()
}

/// Issuer and serial number are what anybody may write into a certificate.
#[test]
fn a_namesake_in_the_bag_hides_nobody() {
    let root = made::make(&made::authority("Root"), None);
    let alice = made::make(&made::leaf(), Some(&root));
    let mut builder = X509::builder().unwrap();
    let key = made::p256();
    builder
        .set_serial_number(alice.cert.serial_number())
        .unwrap();
    builder.set_issuer_name(alice.cert.issuer_name()).unwrap();
    builder.set_subject_name(alice.cert.subject_name()).unwrap();
    builder.set_not_before(alice.cert.not_before()).unwrap();
    builder.set_not_after(alice.cert.not_after()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let namesake = builder.build();
    let der = signed(&alice, &[&namesake]);
    // It stands before hers, where a reader meets it first.
    let Object::Signed(read) = cms::read(&Bytes::from(der.clone())).unwrap() else {
        panic!("no SignedData");
    };
    assert_eq!(read.certs.first().unwrap(), &namesake.to_der().unwrap());
    let cx = made::context(made::trusting(&[&root]), Policy::default(), NOW);
    let opened = open(&cx, &der);
    let facts = opened.signatures.first().unwrap();
    assert_eq!((facts.fit, facts.trust), (Fit::Intact, Trust::Anchored));
    let id = certs::read(&alice.der()).unwrap().id;
    assert_eq!(facts.signer.as_ref().unwrap().id, id);
}

/// One RecipientInfo for a key agreement names as many recipients as it likes.
#[test]
fn recipients_are_counted_wherever_they_are_named() {
    let id = ber::element(CONTEXT_0, &[&ber::element(OCTET_STRING, &[&[7; 20]])]);
    let one = ber::element(SEQUENCE, &[&id, &ber::element(OCTET_STRING, &[&[0; 40]])]);
    let agreement = |count: usize| {
        let peer = ber::element(
            CONTEXT_1,
            &[
                &ber::algorithm(ObjectIdentifier::new_unwrap("1.3.101.110"), &[]),
                &ber::element(0x03, &[&[0; 33]]),
            ],
        );
        let fields = [
            ber::integer(3),
            ber::element(CONTEXT_0, &[&peer]),
            ber::algorithm(PBKDF2, &[]),
            ber::element(SEQUENCE, &[&one.repeat(count)]),
        ];
        let info = ber::element(CONTEXT_1, &[&fields.concat()]);
        ber::one(&Bytes::from(info)).unwrap()
    };
    assert_eq!(recipient::ways(&[agreement(4_000)]).unwrap().len(), 4_000);
    assert!(limited(recipient::ways(&[
        agreement(4_000),
        agreement(4_000)
    ])));
    assert!(limited(recipient::ways(&[agreement(100_000)])));
}

/// A point that is not on the curve of the recipient's key is shown to no private key, which may
/// lie on a token that does not look.
#[test]
fn a_peer_is_a_point_on_our_curve() {
    let root = made::make(&made::authority("Root"), None);
    let own = made::person(made::p256(), "digitalSignature, keyAgreement", &root);
    let cert = certs::read(&own.der()).unwrap();
    let of = |curve| {
        let group = EcGroup::from_curve_name(curve).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        key.public_key_to_der().unwrap()
    };
    let peer = of(Nid::X9_62_PRIME256V1);
    assert!(recipient::is_peer(&cert, &peer));
    let mut beside = peer;
    *beside.last_mut().unwrap() ^= 1;
    assert!(!recipient::is_peer(&cert, &beside));
    for curve in [Nid::BRAINPOOL_P256R1, Nid::SECP256K1, Nid::SECP384R1] {
        assert!(!recipient::is_peer(&cert, &of(curve)));
    }
    let x25519 = PKey::generate_x25519().unwrap();
    assert!(!recipient::is_peer(
        &cert,
        &x25519.public_key_to_der().unwrap()
    ));
    assert!(!recipient::is_peer(&cert, b""));
}
