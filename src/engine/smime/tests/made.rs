//! Certificates made on the spot, a store in memory, the engine's judgement over both.
#![allow(deprecated)] // extensions from text: the shortest way to odd ones

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::AuthorityKeyIdentifier;
use openssl::x509::{X509, X509Extension, X509NameBuilder};

use crate::base::ask::Answers;
use crate::base::context::from_unix;
use crate::base::error::Result;
use crate::base::extra::Extra;
use crate::base::job::Job;
use crate::base::keys::{
    Acceptance, Anchor, Certs, KeyId, Opener, Protocol, SealedSecret, Source, StoredCert,
    no_such_key,
};
use crate::base::layer::{Cipher, Form, Opened, Seal, Sealed, SealedOut};
use crate::base::policy::Policy;
use crate::base::verdict::Scheme;
use crate::base::{Address, Context, Secret};
use crate::engine::smime::ber::{self, OCTET_STRING, SEQUENCE};
use crate::engine::smime::chain::{self, Judged};
use crate::engine::smime::{Smime, Unlocked, certs, pkcs8};
use crate::engine::{Engine as _, Passphrase};

/// An instant that all tests live at.
pub(super) const NOW: u64 = 1_780_000_000;

/// What is sealed: a MIME entity.
pub(super) const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nhello\r\n";

#[derive(Default)]
pub(super) struct Store {
    pub certs: Vec<Bytes>,
    pub anchors: Vec<Anchor>,
    pub lists: HashMap<String, Bytes>,
    /// Secret halves, each under the store's own passphrase.
    pub secrets: HashMap<KeyId, PKey<Private>>,
}

impl Certs for Store {
    fn by_handle(&self, _: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        let mut found = Vec::new();
        for der in &self.certs {
            let facts = certs::facts(der, NOW)?;
            if facts.handles.iter().any(|known| known == handle) {
                found.push(StoredCert {
                    own: self.secrets.contains_key(&facts.id),
                    id: facts.id,
                    cert: der.clone(),
                    source: Source::Imported,
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

    fn sealed_secret(&self, id: &KeyId) -> Result<SealedSecret> {
        let key = self.secrets.get(id).ok_or_else(no_such_key)?;
        let device = Arc::new(Secret::new(vec![b'x'; 32]));
        Ok(SealedSecret {
            sealed: pkcs8::seal(key, &Passphrase::Random(Arc::clone(&device)))?,
            device: Some(Opener::Store(device)),
        })
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
        online: None,
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub(super) struct Made {
    pub cert: X509,
    pub key: PKey<Private>,
}

impl Made {
    pub fn der(&self) -> Bytes {
        Bytes::from(self.cert.to_der().unwrap())
    }
}

#[derive(Clone)]
pub(super) struct Spec {
    pub name: String,
    pub mail: Option<&'static str>,
    pub san: Option<&'static str>,
    pub constraints: Option<String>,
    pub usage: Option<&'static str>,
    pub extended: Option<&'static str>,
    pub more: Option<&'static str>,
    pub days: (i64, i64),
    pub hash: MessageDigest,
    pub key: Option<PKey<Private>>,
}

pub(super) fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(super) fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

/// A person's certificate.
pub(super) fn leaf() -> Spec {
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
pub(super) fn authority(name: &str) -> Spec {
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

pub(super) fn day(offset: i64) -> u64 {
    u64::try_from(i64::try_from(NOW).unwrap() + offset * 86400).unwrap()
}

pub(super) fn asn1(at: u64) -> Asn1Time {
    Asn1Time::from_unix(i64::try_from(at).unwrap()).unwrap()
}

pub(super) fn make(spec: &Spec, issuer: Option<&Made>) -> Made {
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
pub(super) fn utf8_mailbox(mailbox: &str) -> X509Extension {
    let wrapped = |tag: u8, inner: &[u8]| {
        let mut der = vec![tag, u8::try_from(inner.len()).unwrap()];
        assert!(inner.len() < 128);
        der.extend(inner);
        der
    };
    let mut name = vec![6, 8, 0x2B, 6, 1, 5, 5, 7, 8, 9];
    name.extend(wrapped(0xA0, &wrapped(0x0C, mailbox.as_bytes())));
    let der = wrapped(0x30, &wrapped(0xA0, &name));
    let oid = Asn1Object::from_str("2.5.29.17").unwrap();
    let value = Asn1OctetString::new_from_bytes(&der).unwrap();
    X509Extension::new_from_der(&oid, false, &value).unwrap()
}

pub(super) fn anchor(made: &Made) -> Anchor {
    Anchor {
        cert: made.der(),
        domains: Vec::new(),
    }
}

pub(super) fn trusting(roots: &[&Made]) -> Store {
    Store {
        anchors: roots.iter().map(|root| anchor(root)).collect(),
        ..Store::default()
    }
}

pub(super) fn judge(cert: &Made, brought: &[&Made], signed: Option<u64>, store: Store) -> Judged {
    judge_under(cert, brought, signed, store, Policy::default())
}

pub(super) fn judge_under(
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

pub(super) fn addresses(judged: &Judged) -> Vec<&str> {
    judged.addresses.iter().map(Address::as_str).collect()
}

pub(super) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A key out of its seed, as PKCS#8 has it (RFC 9881 6, RFC 9935 6).
pub(super) fn seeded(oid: &str, length: usize) -> PKey<Private> {
    from_seed(oid, &vec![7; length])
}

pub(super) fn from_seed(oid: &str, seed: &[u8]) -> PKey<Private> {
    let seed = ber::element(0x80, &[seed]);
    let key = ber::element(
        SEQUENCE,
        &[
            &ber::integer(0),
            &ber::algorithm(ObjectIdentifier::new_unwrap(oid), &[]),
            &ber::element(OCTET_STRING, &[&seed]),
        ],
    );
    PKey::private_key_from_pkcs8(&key).unwrap()
}

pub(super) fn person(key: PKey<Private>, usage: &'static str, authority: &Made) -> Made {
    let spec = Spec {
        usage: Some(usage),
        key: Some(key),
        ..leaf()
    };
    make(&spec, Some(authority))
}

/// A person's own computer.
pub(super) fn desk(own: &Made, authority: &Made) -> (Context, StoredCert) {
    let id = certs::read(&own.der()).unwrap().id;
    let mut store: Store = trusting(&[authority]);
    store.certs.push(own.der());
    store.secrets.insert(id.clone(), own.key.clone());
    let stored = StoredCert {
        id,
        cert: own.der(),
        source: Source::Imported,
        own: true,
    };
    (context(store, Policy::default(), NOW), stored)
}

pub(super) fn seal(
    cx: &Context,
    signer: Option<&StoredCert>,
    to: &[StoredCert],
    cipher: Cipher,
) -> SealedOut {
    let how = Seal {
        recipients: to,
        signer,
        scheme: Scheme::Opaque,
        cipher,
        intended: true,
        extra: Extra::default(),
    };
    let content = Bytes::from_static(CONTENT);
    Smime::new().seal(&content, &how, cx).unwrap()
}

pub(super) fn open(cx: &Context, data: &[u8]) -> Result<Opened> {
    let layer = Sealed {
        protocol: Protocol::Smime,
        scheme: Scheme::Opaque,
        form: Form::Encrypted {
            data: Bytes::copy_from_slice(data),
        },
    };
    Smime::new().open(&layer, cx)
}

/// What others made, where it lies beside the project (`SEALPOST_SHARED` names another place).
pub(super) fn corpora() -> Option<PathBuf> {
    let shared = match std::env::var_os("SEALPOST_SHARED") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    let corpora = shared.join("corpora");
    corpora.is_dir().then_some(corpora)
}
