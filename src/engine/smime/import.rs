//! Certificates and keys out of what a person may have: PEM, DER, P7B, PKCS#8, PKCS#12.

use std::collections::HashSet;
use std::sync::Arc;

use openssl::pkey::{PKey, Private};
use zeroize::Zeroizing;

use super::ber;
use super::certs::{self, Certificate};
use super::cms::{self, Object};
use super::pkcs8::Cost;
use super::{pkcs8, pkcs12};
use crate::base::ask::{Answers, Need};
use crate::base::body::wiped;
use crate::base::context::unix;
use crate::base::error::{Error, Kind, Result};
use crate::base::keys::Protocol;
use crate::base::{Context, Secret};
use crate::engine::{Incoming, IncomingKey, IncomingSecret, Passphrase, Under};

/// Certificates in one import: a company's whole directory.
const CERTS_MAX: usize = 20_000;

/// Secret keys in one import: all that one person ever had.
const KEYS_MAX: usize = 100;

/// What a question for a passphrase is about.
const LABEL: &str = "what is being imported";

/// What was found, before keys and certificates were put together.
#[derive(Default)]
struct Found {
    certs: Vec<Certificate>,
    keys: Vec<(PKey<Private>, Option<Arc<Secret>>)>,
    skipped: Vec<&'static str>,
    /// What opening all of it takes.
    cost: Cost,
}

/// See [`crate::engine::Engine::read_keys`].
pub(super) fn read_keys(data: &[u8], cx: &Context) -> Result<Incoming> {
    let mut found = Found::default();
    let text = data.trim_ascii_start();
    if memchr::memmem::find(text, b"-----BEGIN ").is_some() {
        pem(text, &mut found, cx)?;
    } else if data.first() == Some(&ber::SEQUENCE) {
        der(data, &mut found, cx)?;
    }
    if found.certs.is_empty() && found.keys.is_empty() {
        return Err(Error::malformed(
            "there is no certificate or key in this; import a key file",
        ));
    }
    together(found, cx)
}

/// See [`crate::engine::Engine::merge`]. A certificate is what it is.
pub(super) fn merge(old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    match old == new {
        true => Ok(old.to_vec()),
        false => Err(Error::malformed(
            "these are two certificates, not two copies of one",
        )),
    }
}

/// One PEM block after the other (RFC 7468).
fn pem(text: &[u8], found: &mut Found, cx: &Context) -> Result<()> {
    let mut rest = text;
    while let Some(start) = memchr::memmem::find(rest, b"-----BEGIN ") {
        // Each may take seconds.
        cx.job.check()?;
        rest = rest.get(start..).unwrap_or_default();
        let label_end = memchr::memmem::find(rest, b"-----\n")
            .or_else(|| memchr::memmem::find(rest, b"-----\r"));
        let label = rest.get(11..label_end.unwrap_or(11)).unwrap_or_default();
        let end = [b"-----END ".as_slice(), label, b"-----"].concat();
        let Some(length) = memchr::memmem::find(rest, &end) else {
            found.skipped.push("malformed");
            return Ok(());
        };
        let (block, after) = rest
            .split_at_checked(length + end.len())
            .unwrap_or((rest, &[]));
        rest = after;
        match label {
            b"CERTIFICATE"
            | b"X509 CERTIFICATE"
            | b"TRUSTED CERTIFICATE"
            | b"PKCS7"
            | b"PKCS12"
            | b"CMS"
            | b"ENCRYPTED PRIVATE KEY" => match body(block) {
                Some(bytes) => der(&bytes, found, cx)?,
                None => found.skipped.push("malformed"),
            },
            b"PRIVATE KEY" | b"RSA PRIVATE KEY" | b"EC PRIVATE KEY" => key(block, found, cx)?,
            _ => found.skipped.push("not-a-key"),
        }
    }
    Ok(())
}

/// The bytes of a PEM block without header fields.
fn body(block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(block).ok()?;
    let inner: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .map(str::trim)
        .collect();
    let inner = Zeroizing::new(inner);
    base64_simd::STANDARD
        .decode_to_vec(inner.as_bytes())
        .ok()
        .map(Zeroizing::new)
}

/// A secret key as PEM, in the clear or under the old header fields.
fn key(block: &[u8], found: &mut Found, cx: &Context) -> Result<()> {
    if memchr::memmem::find(block, b"ENCRYPTED").is_none() {
        match PKey::private_key_from_pem_callback(block, |_| Ok(0)) {
            Ok(key) => keep(key, None, found),
            Err(_) => found.skipped.push("malformed"),
        }
        return Ok(());
    }
    let (passphrase, attempt) = asked(cx)?;
    let phrase = passphrase.expose();
    let opened = PKey::private_key_from_pem_callback(block, |buffer| {
        let room = buffer
            .get_mut(..phrase.len())
            .ok_or_else(openssl::error::ErrorStack::get)?;
        room.copy_from_slice(phrase);
        Ok(phrase.len())
    });
    match opened {
        Ok(key) => {
            keep(key, Some(passphrase), found);
            Ok(())
        }
        Err(_) => Err(wrong(attempt)),
    }
}

fn asked(cx: &Context) -> Result<(Arc<Secret>, u32)> {
    cx.answers.passphrase(Need::Unwrap, None, LABEL)
}

fn wrong(attempt: u32) -> Error {
    Answers::wrong(Need::Unwrap, None, LABEL, attempt)
}

fn keep(key: PKey<Private>, passphrase: Option<Arc<Secret>>, found: &mut Found) {
    if found.keys.len() >= KEYS_MAX {
        found.skipped.push("too-many");
    } else if !pkcs8::belongs_together(&key) {
        found.skipped.push("malformed");
    } else {
        found.keys.push((key, passphrase));
    }
}

/// One DER object: its fields say which it is.
fn der(data: &[u8], found: &mut Found, cx: &Context) -> Result<()> {
    if let Ok(cert) = certs::read(data) {
        match found.certs.len() < CERTS_MAX {
            true => found.certs.push(cert),
            false => found.skipped.push("too-many"),
        }
        return Ok(());
    }
    // It may be a secret key in the clear.
    let bytes = wiped(data.to_vec());
    let Ok(outer) = ber::one(&bytes) else {
        found.skipped.push("malformed");
        return Ok(());
    };
    let fields = outer.children()?;
    match fields.first().map(ber::Element::tag) {
        // ContentInfo.
        Some(ber::OID) => match cms::read(&bytes) {
            Ok(Object::Signed(signed)) => {
                for cert in &signed.certs {
                    match certs::read(cert) {
                        Ok(cert) if found.certs.len() < CERTS_MAX => found.certs.push(cert),
                        Ok(_) => found.skipped.push("too-many"),
                        Err(_) => found.skipped.push("malformed"),
                    }
                }
            }
            _ => found.skipped.push("not-a-key"),
        },
        // PFX, or PrivateKeyInfo: a version comes first in both.
        Some(ber::INTEGER) => match fields.get(1).map(ber::Element::children) {
            Some(Ok(inner)) if is_content_info(&inner) => file(data, found, cx)?,
            _ => match PKey::private_key_from_der(data) {
                Ok(key) => keep(key, None, found),
                Err(_) => found.skipped.push("malformed"),
            },
        },
        // EncryptedPrivateKeyInfo.
        Some(ber::SEQUENCE) if fields.len() == 2 => {
            found.cost = found.cost.and(pkcs8::costs(data)?)?;
            let (passphrase, attempt) = asked(cx)?;
            let sealed = Secret::new(data.to_vec());
            match pkcs8::open(&sealed, &passphrase) {
                Ok(key) => keep(key, Some(passphrase), found),
                Err(error) if error.kind == Kind::PassphraseWrong => return Err(wrong(attempt)),
                Err(error) => return Err(error),
            }
        }
        _ => found.skipped.push("malformed"),
    }
    Ok(())
}

fn is_content_info(fields: &[ber::Element]) -> bool {
    fields
        .get(1)
        .is_some_and(|content| content.is(cms::CONTEXT_0))
}

/// A PKCS#12 file. Some are under no passphrase at all.
fn file(data: &[u8], found: &mut Found, cx: &Context) -> Result<()> {
    found.cost = found.cost.and(pkcs12::costs(data)?)?;
    let (contents, passphrase) = match pkcs12::open(data, b"")? {
        Some(contents) => (contents, None),
        None => {
            let (passphrase, attempt) = asked(cx)?;
            cx.job.check()?;
            match pkcs12::open(data, passphrase.expose())? {
                Some(contents) => (contents, Some(passphrase)),
                None => return Err(wrong(attempt)),
            }
        }
    };
    for cert in contents.certs {
        match certs::read(&cert) {
            Ok(cert) if found.certs.len() < CERTS_MAX => found.certs.push(cert),
            Ok(_) => found.skipped.push("too-many"),
            Err(_) => found.skipped.push("malformed"),
        }
    }
    if let Some(key) = contents.key {
        keep(key, passphrase, found);
    }
    Ok(())
}

/// Puts each secret key to its certificate: one that came along, or one that is here.
fn together(found: Found, cx: &Context) -> Result<Incoming> {
    let Found {
        certs: mut all,
        keys,
        mut skipped,
        cost: _,
    } = found;
    for (key, _) in &keys {
        let spki = key
            .public_key_to_der()
            .map_err(|e| Error::malformed("the secret key can't be read").because(e))?;
        let handle = certs::hex(&openssl::sha::sha256(&spki));
        for stored in cx.certs.by_handle(Protocol::Smime, &handle)? {
            if !all.iter().any(|cert| cert.id == stored.id) {
                all.push(certs::read(&stored.cert)?);
            }
        }
    }
    let now = unix(cx.now);
    let mut incoming: Vec<IncomingKey> = Vec::with_capacity(all.len());
    let mut seen = HashSet::with_capacity(all.len());
    let mut used = vec![false; keys.len()];
    for cert in all {
        if !seen.insert(cert.id.clone()) {
            continue;
        }
        let public = cert.x509.public_key().ok();
        let own = keys
            .iter()
            .zip(&mut used)
            .find(|((key, _), _)| public.as_ref().is_some_and(|public| public.public_eq(key)));
        let secret = match own {
            Some(((key, passphrase), used)) => {
                *used = true;
                Some(wrapped(key, passphrase.as_ref())?)
            }
            None => known(&cert, cx)?,
        };
        incoming.push(IncomingKey {
            facts: certs::facts_of(&cert, now),
            cert: cert.der.to_vec(),
            secret,
        });
    }
    let alone = used.iter().filter(|used| !**used).count();
    skipped.extend(std::iter::repeat_n("no-certificate", alone));
    Ok(Incoming {
        keys: incoming,
        skipped,
    })
}

/// The secret half of a certificate whose key is here under another one: what an authority
/// made of our own request, or a renewal.
fn known(cert: &Certificate, cx: &Context) -> Result<Option<IncomingSecret>> {
    for stored in cx.certs.by_handle(Protocol::Smime, &cert.key_handle())? {
        // A token gives nothing away; whoever asks it for its certificates finds this one.
        if !stored.own || stored.id == cert.id || cx.certs.token(&stored.id)?.is_some() {
            continue;
        }
        return Ok(Some(IncomingSecret {
            sealed: Secret::new(Vec::new()),
            under: Under::As(stored.id),
        }));
    }
    Ok(None)
}

/// A secret half in the store's form, under the passphrase that it came with.
fn wrapped(key: &PKey<Private>, passphrase: Option<&Arc<Secret>>) -> Result<IncomingSecret> {
    match passphrase {
        Some(passphrase) => Ok(IncomingSecret {
            sealed: pkcs8::seal(key, &Passphrase::Human(Arc::clone(passphrase)))?,
            under: Under::Passphrase,
        }),
        None => Ok(IncomingSecret {
            sealed: pkcs8::plain(key)?,
            under: Under::Nothing,
        }),
    }
}
