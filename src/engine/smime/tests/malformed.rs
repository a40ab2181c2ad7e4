//! CMS as only an attacker or a broken program writes it: what each comes to, by hand.

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;

use super::made::{self, CONTENT, Made, desk, open, person};
use crate::base::Context;
use crate::base::error::{Kind, Result};
use crate::base::keys::Protocol;
use crate::base::layer::{Cipher, Fit, Form, Opened, Sealed, SealedOut};
use crate::base::verdict::Scheme;
use crate::engine::Engine as _;
use crate::engine::smime::Smime;
use crate::engine::smime::attributes::{
    ALGORITHM_PROTECTION, CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2, SIGNING_TIME,
};
use crate::engine::smime::ber::{self, NULL, OCTET_STRING, SEQUENCE, SET, element};
use crate::engine::smime::certs;
use crate::engine::smime::cms::{CONTEXT_0, CONTEXT_1, ID_DATA, ID_SIGNED};

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA3_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.8");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const OTHER_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// A signer whose parts can be bent.
struct Info<'a> {
    own: &'a Made,
    attributes: Option<Vec<Vec<u8>>>,
    digest: ObjectIdentifier,
    algorithm: Vec<u8>,
    content: &'a [u8],
    sorted: bool,
}

fn attribute(kind: ObjectIdentifier, values: &[Vec<u8>]) -> Vec<u8> {
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    element(SEQUENCE, &[&ber::object(kind), &element(SET, &values)])
}

fn content_type(kind: ObjectIdentifier) -> Vec<u8> {
    attribute(CONTENT_TYPE, &[ber::object(kind)])
}

fn message_digest(content: &[u8]) -> Vec<u8> {
    let digest = hash(MessageDigest::sha256(), content).unwrap();
    attribute(MESSAGE_DIGEST, &[element(OCTET_STRING, &[&digest])])
}

fn signing_time(text: &str) -> Vec<u8> {
    attribute(SIGNING_TIME, &[element(0x17, &[text.as_bytes()])])
}

impl<'a> Info<'a> {
    /// As it should be.
    fn plain(own: &'a Made) -> Info<'a> {
        Info {
            own,
            attributes: Some(vec![content_type(ID_DATA), message_digest(CONTENT)]),
            digest: SHA256,
            algorithm: ber::algorithm(ECDSA_SHA256, &[]),
            content: CONTENT,
            sorted: true,
        }
    }

    fn with(own: &'a Made, more: &[Vec<u8>]) -> Info<'a> {
        let mut info = Info::plain(own);
        info.attributes.as_mut().unwrap().extend_from_slice(more);
        info
    }

    fn only(own: &'a Made, attributes: &[Vec<u8>]) -> Info<'a> {
        Info {
            attributes: Some(attributes.to_vec()),
            ..Info::plain(own)
        }
    }

    fn der(&self) -> Vec<u8> {
        let set = |tag: u8, attributes: &[Vec<u8>]| match self.sorted {
            true => ber::set_of(tag, attributes.to_vec()),
            false => {
                let parts: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
                element(tag, &parts)
            }
        };
        let (attributes, signed) = match &self.attributes {
            Some(attributes) => (set(CONTEXT_0, attributes), set(SET, attributes)),
            None => (Vec::new(), self.content.to_vec()),
        };
        let cert = certs::read(&self.own.der()).unwrap();
        element(
            SEQUENCE,
            &[
                &ber::integer(1),
                &cert.named().unwrap(),
                &ber::algorithm(self.digest, &[]),
                &attributes,
                &self.algorithm,
                &element(OCTET_STRING, &[&sign(&self.own.key, &signed)]),
            ],
        )
    }
}

fn sign(key: &PKey<Private>, data: &[u8]) -> Vec<u8> {
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    signer.sign_oneshot_to_vec(data).unwrap()
}

fn signed_data(
    kind: ObjectIdentifier,
    content: Option<&[u8]>,
    bag: &[Bytes],
    infos: &[Vec<u8>],
) -> Vec<u8> {
    let inside = content.map(|content| element(CONTEXT_0, &[&element(OCTET_STRING, &[content])]));
    let bag: Vec<&[u8]> = bag.iter().map(AsRef::as_ref).collect();
    let infos: Vec<&[u8]> = infos.iter().map(Vec::as_slice).collect();
    let signed = element(
        SEQUENCE,
        &[
            &ber::integer(1),
            &element(SET, &[&ber::algorithm(SHA256, &[])]),
            &element(
                SEQUENCE,
                &[&ber::object(kind), inside.as_deref().unwrap_or_default()],
            ),
            &element(CONTEXT_0, &bag),
            &element(SET, &infos),
        ],
    );
    content_info(ID_SIGNED, &signed)
}

fn content_info(kind: ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    element(
        SEQUENCE,
        &[&ber::object(kind), &element(CONTEXT_0, &[content])],
    )
}

fn fits(opened: Result<Opened>) -> std::result::Result<Vec<Fit>, &'static str> {
    match opened {
        Ok(opened) => Ok(opened.signatures.iter().map(|facts| facts.fit).collect()),
        Err(error) => Err(error.kind.name()),
    }
}

fn alice() -> (Made, Made, Context) {
    let root = made::make(&made::authority("Root"), None);
    let own = person(
        made::p256(),
        "critical,digitalSignature,keyAgreement",
        &root,
    );
    let (cx, _) = desk(&own, &root);
    (root, own, cx)
}

#[test]
fn signers_that_break_a_rule() {
    use Fit::{Altered, Intact, Malformed, Unsupported};
    let (_, own, cx) = alice();
    let bag = [own.der()];
    let judge = |infos: &[Info<'_>]| {
        let infos: Vec<Vec<u8>> = infos.iter().map(Info::der).collect();
        fits(open(
            &cx,
            &signed_data(ID_DATA, Some(CONTENT), &bag, &infos),
        ))
    };
    let both = [content_type(ID_DATA), message_digest(CONTENT)];
    let protection = |digest: ObjectIdentifier, signature: ObjectIdentifier| {
        let signature = ber::algorithm(signature, &[]);
        let signature = element(CONTEXT_1, &[signature.get(2..).unwrap()]);
        let value = element(SEQUENCE, &[&ber::algorithm(digest, &[]), &signature]);
        attribute(ALGORITHM_PROTECTION, &[value])
    };
    let certificate = |der: &[u8]| {
        let digest = hash(MessageDigest::sha256(), der).unwrap();
        let id = element(SEQUENCE, &[&element(OCTET_STRING, &[&digest])]);
        attribute(
            SIGNING_CERTIFICATE_V2,
            &[element(SEQUENCE, &[&element(SEQUENCE, &[&id])])],
        )
    };
    let time = signing_time("260527000000Z");
    // RFC 5652 5.3, 11: which attributes there must be, once, with one value.
    for (why, info, wanted) in [
        ("as it should be", Info::plain(&own), Intact),
        (
            "content-type twice",
            Info::with(&own, &both[..1]),
            Malformed,
        ),
        ("digest twice", Info::with(&own, &both[1..]), Malformed),
        (
            "time twice",
            Info::with(&own, &[time.clone(), time.clone()]),
            Malformed,
        ),
        (
            "two values in one",
            Info::only(
                &own,
                &[
                    attribute(CONTENT_TYPE, &[ber::object(ID_DATA), ber::object(ID_DATA)]),
                    message_digest(CONTENT),
                ],
            ),
            Malformed,
        ),
        (
            "no value in one",
            Info::only(
                &own,
                &[attribute(CONTENT_TYPE, &[]), message_digest(CONTENT)],
            ),
            Malformed,
        ),
        ("no digest", Info::only(&own, &both[..1]), Malformed),
        ("no content-type", Info::only(&own, &both[1..]), Malformed),
        ("no attribute at all", Info::only(&own, &[]), Malformed),
        (
            "another content-type",
            Info::only(&own, &[content_type(OTHER_TYPE), message_digest(CONTENT)]),
            Malformed,
        ),
        (
            "another content's digest",
            Info::only(&own, &[content_type(ID_DATA), message_digest(b"other")]),
            Altered,
        ),
        (
            "attributes out of order, signed as they stand",
            Info {
                sorted: false,
                attributes: Some(vec![time, message_digest(CONTENT), content_type(ID_DATA)]),
                ..Info::plain(&own)
            },
            Intact,
        ),
        (
            "no attributes: the content itself",
            Info {
                attributes: None,
                ..Info::plain(&own)
            },
            Intact,
        ),
        (
            "a hash that is not here",
            Info {
                digest: SHA3_256,
                ..Info::plain(&own)
            },
            Unsupported,
        ),
        (
            "two fields, two hashes",
            Info {
                algorithm: ber::algorithm(ECDSA_SHA384, &[]),
                ..Info::plain(&own)
            },
            Malformed,
        ),
        (
            "the other hash in the other field",
            Info {
                digest: SHA384,
                ..Info::plain(&own)
            },
            Altered,
        ),
        (
            "RSA, says the signature of a curve's key",
            Info {
                algorithm: ber::algorithm(RSA_SHA256, NULL),
                ..Info::plain(&own)
            },
            Malformed,
        ),
        (
            "PSS whose mask has another hash",
            Info {
                algorithm: ber::algorithm(
                    RSA_PSS,
                    &element(
                        SEQUENCE,
                        &[&element(CONTEXT_0, &[&ber::algorithm(SHA256, &[])])],
                    ),
                ),
                ..Info::plain(&own)
            },
            Unsupported,
        ),
        (
            "RFC 6211: both algorithms as they are",
            Info::with(&own, &[protection(SHA256, ECDSA_SHA256)]),
            Intact,
        ),
        (
            "RFC 6211: another hash",
            Info::with(&own, &[protection(SHA384, ECDSA_SHA256)]),
            Malformed,
        ),
        (
            "RFC 6211: another signature algorithm",
            Info::with(&own, &[protection(SHA256, ECDSA_SHA384)]),
            Malformed,
        ),
        (
            "RFC 5035: this certificate",
            Info::with(&own, &[certificate(&own.der())]),
            Intact,
        ),
        (
            "RFC 5035: another certificate",
            Info::with(&own, &[certificate(b"other")]),
            Malformed,
        ),
        (
            "an attribute that nobody knows",
            Info::with(&own, &[attribute(OTHER_TYPE, &[ber::integer(7)])]),
            Intact,
        ),
    ] {
        assert_eq!(judge(&[info]), Ok(vec![wanted]), "{why}");
    }
    // Several: each for itself, in their order.
    let altered = || Info::only(&own, &[content_type(ID_DATA), message_digest(b"other")]);
    let plain = || Info::plain(&own);
    assert_eq!(judge(&[plain(), altered()]), Ok(vec![Intact, Altered]));
    assert_eq!(judge(&[altered(), plain()]), Ok(vec![Altered, Intact]));
    assert_eq!(judge(&[plain(), plain()]), Ok(vec![Intact, Intact]));
    let most: Vec<_> = std::iter::repeat_with(plain).take(65).collect();
    assert_eq!(judge(&most), Err("limit.exceeded"));
    // "Signed", by nobody (RFC 5652 5.1 allows it for certificates alone).
    assert_eq!(judge(&[]), Ok(vec![Malformed]));
    // Without attributes there is nothing but data (5.3).
    let bare = Info {
        attributes: None,
        ..Info::plain(&own)
    };
    let typed = signed_data(OTHER_TYPE, Some(CONTENT), &bag, &[bare.der()]);
    assert_eq!(fits(open(&cx, &typed)), Ok(vec![Malformed]));
}

/// A signature over attributes fits them as a content of their own as well, where none are
/// stated: what was signed was never meant to be read.
#[test]
fn signed_attributes_are_no_content() {
    let (_, own, cx) = alice();
    let attributes = ber::set_of(SET, vec![content_type(ID_DATA), message_digest(CONTENT)]);
    let info = Info {
        attributes: None,
        content: &attributes,
        ..Info::plain(&own)
    };
    let data = signed_data(ID_DATA, Some(&attributes), &[own.der()], &[info.der()]);
    assert_eq!(fits(open(&cx, &data)), Ok(vec![Fit::Malformed]));
}

#[test]
fn content_inside_and_apart() {
    let (_, own, cx) = alice();
    let apart = |inside: Option<&[u8]>| {
        let signature = signed_data(ID_DATA, inside, &[own.der()], &[Info::plain(&own).der()]);
        let layer = Sealed {
            protocol: Protocol::Smime,
            scheme: Scheme::Mime,
            form: Form::Detached {
                content: Bytes::from_static(CONTENT),
                signature: signature.into(),
            },
        };
        Smime::new().open(&layer, &cx)
    };
    assert_eq!(fits(apart(None)), Ok(vec![Fit::Intact]));
    for inside in [CONTENT, b"other".as_slice()] {
        let opened = apart(Some(inside)).unwrap();
        assert_eq!(opened.content, CONTENT, "what is shown is what is apart");
        assert_eq!(fits(Ok(opened)), Ok(vec![Fit::Malformed]));
    }
    let nothing = signed_data(ID_DATA, None, &[own.der()], &[Info::plain(&own).der()]);
    assert_eq!(fits(open(&cx, &nothing)), Err("message.malformed"));
}

#[test]
fn odd_certificates_in_the_bag() {
    let (root, own, cx) = alice();
    let info = Info::plain(&own).der();
    let garbage = Bytes::from(element(SEQUENCE, &[b"\xFF\xFF\xFF"]));
    let empty = Bytes::from_static(&[0x30, 0]);
    let attribute_certificate = Bytes::from(element(0xA1, &[&own.der()]));
    let huge = Bytes::from(element(SEQUENCE, &[&vec![0x30; 300 << 10]]));
    let odd = [garbage, empty, attribute_certificate, huge, root.der()];
    for at in 0..=odd.len() {
        let mut bag = odd.to_vec();
        bag.insert(at, own.der());
        let data = signed_data(ID_DATA, Some(CONTENT), &bag, std::slice::from_ref(&info));
        assert_eq!(fits(open(&cx, &data)), Ok(vec![Fit::Intact]), "{at}");
    }
    // Ten thousand cost no more than those that are looked at.
    let stranger = person(made::p256(), "critical,digitalSignature", &root).der();
    let mut bag = vec![stranger; 10_000];
    bag.insert(0, own.der());
    let data = signed_data(ID_DATA, Some(CONTENT), &bag, &[info]);
    assert_eq!(fits(open(&cx, &data)), Ok(vec![Fit::Intact]));
}

#[test]
fn structures_that_are_none() {
    let (_, own, cx) = alice();
    let good = signed_data(
        ID_DATA,
        Some(CONTENT),
        &[own.der()],
        &[Info::plain(&own).der()],
    );
    let trailing = [good.as_slice(), b"x"].concat();
    let deep = [0x30_u8, 0x80].repeat(100_000);
    let unended = [&[0x30, 0x80][..], good.get(4..).unwrap()].concat();
    let mut endless = vec![0x30, 0x88, 0x7F];
    endless.extend([0xFF; 7]);
    endless.extend_from_slice(&good);
    let mut long_form = vec![0x30, 0x89];
    long_form.extend([0xFF; 9]);
    for (why, data) in [
        ("empty", &b""[..]),
        ("one byte", b"0"),
        ("something behind it", &trailing),
        ("levels without end", &deep),
        ("no end", &unended),
        ("2^63 bytes", &endless),
        ("a length of nine bytes", &long_form),
        ("a tag of two bytes", &[0x3F, 0x81, 0, 0]),
        ("an empty sequence", &[0x30, 0]),
        ("a reserved length", &[0x30, 0xFF, 0]),
    ] {
        assert_eq!(fits(open(&cx, data)), Err("message.malformed"), "{why}");
    }
    // Truncated anywhere, it is never signed and never a fault of ours.
    for length in 0..good.len() {
        let cut = open(&cx, good.get(..length).unwrap());
        assert_eq!(fits(cut), Err("message.malformed"), "{length}");
    }
}

#[test]
fn recipients_by_the_thousand() {
    let (_, own, cx) = alice();
    let cert = certs::read(&own.der()).unwrap();
    let stored = desk(&own, &alice().0).1;
    let SealedOut::Enveloped { der, .. } =
        made::seal(&cx, None, std::slice::from_ref(&stored), Cipher::Cbc)
    else {
        panic!("no envelope");
    };
    // ContentInfo { OID, [0] { EnvelopedData { version, RecipientInfos, content } } }
    let whole = ber::one(&der.into()).unwrap().children().unwrap();
    let tagged = whole.get(1).unwrap().children().unwrap();
    let fields = tagged.first().unwrap().children().unwrap();
    let ours = fields.get(1).unwrap().content().clone();
    let encrypted = fields.get(2).unwrap().whole().clone();
    let stranger = element(
        SEQUENCE,
        &[
            &ber::integer(0),
            &cert_named_otherwise(&cert.named().unwrap()),
            &ber::algorithm(ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"), NULL),
            &element(OCTET_STRING, &[&[7; 256]]),
        ],
    );
    let envelope = |strangers: usize| {
        let mut all = stranger.repeat(strangers);
        all.extend_from_slice(&ours);
        let data = element(
            SEQUENCE,
            &[&ber::integer(2), &element(SET, &[&all]), &encrypted],
        );
        let kind = whole.first().unwrap().whole();
        element(SEQUENCE, &[kind, &element(CONTEXT_0, &[&data])])
    };
    assert_eq!(open(&cx, &envelope(4_999)).unwrap().content, CONTENT);
    let Err(error) = open(&cx, &envelope(10_000)) else {
        panic!("ten thousand recipients are looked through");
    };
    assert!(matches!(error.kind, Kind::LimitExceeded { .. }));
}

/// IssuerAndSerialNumber of somebody else: the last byte differs.
fn cert_named_otherwise(named: &[u8]) -> Vec<u8> {
    let mut other = named.to_vec();
    *other.last_mut().unwrap() ^= 1;
    other
}
