//! SignedData (RFC 5652 5), its content inside or apart: every signer looked at for itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use der::Decode as _;
use der::asn1::{GeneralizedTime, UtcTime};
use openssl::hash::Hasher;
use openssl::memcmp;
use openssl::sha::sha256;

use super::attributes::{self, Bound};
use super::ber::{Element, OCTET_STRING};
use super::certs::{self, Certificate};
use super::chain;
use super::cms::{Attributes, CertId, ID_DATA, SignedData, SignerInfo};
use super::policy;
use super::signature::{self, Checked};
use crate::base::Context;
use crate::base::context::unix;
use crate::base::error::{Error, Result};
use crate::base::job::Stage;
use crate::base::keys::{Digest, Protocol};
use crate::base::layer::{Brought, Fit, Opened, SignatureFacts, SignerFacts};
use crate::base::verdict::Reason;

/// How much is hashed before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 20;

/// How far a signer's clock may be ahead, in seconds.
const CLOCK_SKEW: u64 = 15 * 60;

/// Certificates of one name that are tried: an honest bag has one, or two of a careless authority.
const NAMESAKES_MAX: usize = 4;

/// Looks at every signer. `apart` is the content of a `multipart/signed`.
///
/// # Errors
/// `message.malformed` when there is neither a content nor a signer; `cancelled`; those of
/// the store.
pub(super) fn signed(data: SignedData, apart: Option<&Bytes>, cx: &Context) -> Result<Opened> {
    let SignedData {
        content_type,
        content,
        certs,
        signers,
    } = data;
    // Both at once: one reader would check the one and show the other (RFC 8551 3.5.3).
    let (content, twice) = match (content, apart) {
        (Some(_), Some(apart)) => (apart.clone(), true),
        (None, Some(content)) => (content.clone(), false),
        (Some(content), None) => (content, false),
        (None, None) if signers.is_empty() => {
            return Err(Error::malformed(
                "this holds certificates and no message; import it as keys",
            ));
        }
        (None, None) => {
            return Err(Error::malformed(
                "what was signed is not in this; open the message that it belongs to",
            ));
        }
    };
    if twice || signers.is_empty() {
        return Ok(opened(
            content,
            vec![SignatureFacts::unread(Fit::Malformed)],
        ));
    }
    cx.job.stage_of(Stage::Crypto, content.len() as u64);
    let digests = digests(&content, &signers, cx)?;
    let bag = Bag::of(certs);
    let mut facts = Vec::with_capacity(signers.len());
    for signer in &signers {
        cx.job.check()?;
        let look = Look {
            signer,
            content_type,
            content: &content,
            digests: &digests,
            bag: &bag,
            cx,
        };
        facts.push(look.facts()?);
    }
    Ok(opened(content, facts))
}

fn opened(content: Bytes, signatures: Vec<SignatureFacts>) -> Opened {
    Opened::signed(content, signatures)
}

/// The content under every hash that a signer names, in one pass.
fn digests(
    content: &[u8],
    signers: &[SignerInfo],
    cx: &Context,
) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let failed = |e| Error::internal("the content can't be hashed").because(e);
    let mut hashers: BTreeMap<&'static str, Hasher> = BTreeMap::new();
    for signer in signers {
        if let Some(digest) = policy::digest(signer.digest.oid) {
            let hasher = Hasher::new(policy::message_digest(digest)).map_err(failed)?;
            hashers.insert(policy::micalg(digest), hasher);
        }
    }
    for chunk in content.chunks(CHUNK) {
        cx.job.check()?;
        for hasher in hashers.values_mut() {
            hasher.update(chunk).map_err(failed)?;
        }
        cx.job.advance(chunk.len() as u64);
    }
    hashers
        .into_iter()
        .map(|(name, mut hasher)| Ok((name, hasher.finish().map_err(failed)?.to_vec())))
        .collect()
}

/// The certificates that came along, read as far as they can be.
struct Bag {
    encoded: Vec<Bytes>,
    read: Vec<Certificate>,
}

impl Bag {
    fn of(encoded: Vec<Bytes>) -> Bag {
        let read = encoded.iter().filter_map(|der| certs::read(der).ok());
        Bag {
            read: read.collect(),
            encoded,
        }
    }

    /// Those of this name, which is what anybody may write into a certificate.
    fn named<'a>(&'a self, id: &'a CertId) -> impl Iterator<Item = &'a Certificate> {
        self.read.iter().filter(move |cert| names(id, cert))
    }
}

/// Whether a certificate is the one that is named.
pub(super) fn names(id: &CertId, cert: &Certificate) -> bool {
    match id {
        CertId::Key(key) => cert.key_identifier() == *key,
        CertId::Issuer { issuer, serial } => cert
            .handles()
            .contains(&certs::issuer_and_serial(issuer, serial)),
    }
}

/// What the store finds a named certificate by.
pub(super) fn handle(id: &CertId) -> String {
    match id {
        CertId::Key(key) => certs::hex(key),
        CertId::Issuer { issuer, serial } => certs::issuer_and_serial(issuer, serial),
    }
}

/// How a named certificate is spoken of: its key identifier, or its serial number.
pub(super) fn short(id: &CertId) -> String {
    match id {
        CertId::Key(key) => certs::hex(key),
        CertId::Issuer { serial, .. } => certs::hex(serial.get(2..).unwrap_or_default()),
    }
}

/// One signer, and all that it is judged by.
struct Look<'a> {
    signer: &'a SignerInfo,
    content_type: ObjectIdentifier,
    content: &'a Bytes,
    digests: &'a BTreeMap<&'static str, Vec<u8>>,
    bag: &'a Bag,
    cx: &'a Context,
}

impl Look<'_> {
    fn facts(&self) -> Result<SignatureFacts> {
        let signer = self.signer;
        let mut facts = SignatureFacts {
            issuer: Some(short(&signer.id)),
            hash: policy::digest_name(signer.digest.oid).map(str::to_owned),
            ..SignatureFacts::unread(Fit::Malformed)
        };
        let Ok(stated) = Stated::read(signer.attributes.as_ref()) else {
            return Ok(facts);
        };
        facts.signed_at = stated.signed_at;
        facts.brought.capabilities = stated.capabilities;
        let now = unix(self.cx.judged_at());
        let skew = if self.cx.at.is_some() { 0 } else { CLOCK_SKEW };
        if stated
            .signed_at
            .is_some_and(|at| at > now.saturating_add(skew))
        {
            facts.reasons.push(Reason::Future);
        }
        if policy::is_broken(signer.digest.oid) || signature::is_broken(&signer.algorithm) {
            facts.fit = Fit::Weak;
        } else {
            let Some(digest) = policy::digest(signer.digest.oid) else {
                facts.fit = Fit::Unsupported;
                return Ok(facts);
            };
            facts.fit = match self.content_fits(digest, stated.digest.as_deref(), stated.kind) {
                Some(fit) => fit,
                None => Fit::Intact,
            };
        }
        let Some((cert, fit)) = self.cert(facts.fit)? else {
            if facts.fit == Fit::Intact {
                facts.fit = Fit::NoCert;
            }
            return Ok(facts);
        };
        facts.fit = fit;
        facts.key = Some(cert.id.fingerprint().to_owned());
        facts.algorithm = Some(cert.key().word);
        self.judge(&cert, facts)
    }

    /// The signer's certificate, and how the signature fits to it: out of the bag or the store,
    /// the one whose key made the signature, else the first of that name. `content` is how the
    /// content fits.
    fn cert(&self, content: Fit) -> Result<Option<(Certificate, Fit)>> {
        let fit = |cert: &Certificate| match content {
            Fit::Intact => self.key_fits(cert),
            other => other,
        };
        let mut first = None;
        for cert in self.bag.named(&self.signer.id).take(NAMESAKES_MAX) {
            let fit = fit(cert);
            if fit == Fit::Intact || first.is_none() {
                first = Some((certs::read(&cert.der)?, fit));
            }
            if fit == Fit::Intact {
                return Ok(first);
            }
        }
        if first.is_some() && content != Fit::Intact {
            return Ok(first);
        }
        let handle = handle(&self.signer.id);
        let found = self.cx.certs.by_handle(Protocol::Smime, &handle)?;
        let read = found
            .iter()
            .filter_map(|stored| certs::read(&stored.cert).ok());
        let fitting = read.filter(|cert| names(&self.signer.id, cert));
        for cert in fitting.take(NAMESAKES_MAX) {
            let fit = fit(&cert);
            if fit == Fit::Intact {
                return Ok(Some((cert, fit)));
            }
            first.get_or_insert((cert, fit));
        }
        Ok(first)
    }

    /// Whether the attributes speak of this content; `None`: they do.
    fn content_fits(
        &self,
        digest: Digest,
        stated: Option<&[u8]>,
        kind: Option<ObjectIdentifier>,
    ) -> Option<Fit> {
        if self.signer.attributes.is_none() {
            // RFC 5652 5.3: without attributes there is nothing but data. And what somebody signed
            // as attributes is no data: it would fit to a content that nobody wrote.
            let fits = self.content_type == ID_DATA && !Attributes::are(self.content);
            return (!fits).then_some(Fit::Malformed);
        }
        let (Some(stated), Some(kind)) = (stated, kind) else {
            return Some(Fit::Malformed);
        };
        if kind != self.content_type {
            return Some(Fit::Malformed);
        }
        let Some(digest) = self.digests.get(policy::micalg(digest)) else {
            return Some(Fit::Malformed);
        };
        let same = stated.len() == digest.len() && memcmp::eq(stated, digest);
        (!same).then_some(Fit::Altered)
    }

    /// Whether the certificate's key made the signature.
    fn key_fits(&self, cert: &Certificate) -> Fit {
        let signer = self.signer;
        if let Some(attributes) = &signer.attributes {
            match attributes::bound(attributes, signer, cert) {
                Ok(Bound::Yes) => {}
                Ok(Bound::No) | Err(_) => return Fit::Malformed,
            }
        }
        if cert.is_weak() {
            return Fit::Weak;
        }
        let (message, digest) = match &signer.attributes {
            Some(attributes) => (attributes.encoded.as_slice(), None),
            None => {
                let known = policy::digest(signer.digest.oid).map(policy::micalg);
                let digest = known.and_then(|name| self.digests.get(name));
                (self.content.as_ref(), digest.map(Vec::as_slice))
            }
        };
        match signature::check(signer, cert, message, digest) {
            Checked::Fits => Fit::Intact,
            Checked::Differs => Fit::Altered,
            Checked::Malformed => Fit::Malformed,
            Checked::Weak => Fit::Weak,
            Checked::Unknown => Fit::Unsupported,
        }
    }

    /// What is to be said of the signer.
    fn judge(&self, cert: &Certificate, mut facts: SignatureFacts) -> Result<SignatureFacts> {
        let judged = chain::judge(cert, &self.bag.encoded, facts.signed_at, self.cx)?;
        facts.reasons.extend(judged.reasons);
        facts.revocation = judged.revocation;
        facts.trust = judged.trust;
        facts.signer = Some(SignerFacts {
            id: cert.id.clone(),
            addresses: judged.addresses,
            name: cert.name(),
        });
        let others = self.bag.encoded.iter().filter(|der| **der != cert.der);
        facts.brought = Brought {
            certs: std::iter::once(cert.der.clone())
                .chain(others.cloned())
                .collect(),
            capabilities: facts.brought.capabilities.take(),
        };
        Ok(facts)
    }
}

/// What the signed attributes say.
#[derive(Default)]
struct Stated {
    kind: Option<ObjectIdentifier>,
    digest: Option<Bytes>,
    signed_at: Option<u64>,
    capabilities: Option<Bytes>,
}

impl Stated {
    /// # Errors
    /// `message.malformed` when one of them is there twice or has several values.
    fn read(attributes: Option<&Attributes>) -> Result<Stated> {
        let Some(attributes) = attributes else {
            return Ok(Stated::default());
        };
        let kind = attributes.single(attributes::CONTENT_TYPE)?;
        let digest = attributes.single(attributes::MESSAGE_DIGEST)?;
        let time = attributes.single(attributes::SIGNING_TIME)?;
        // A second one of these is nobody's harm: it is not believed, that is all.
        let capabilities = attributes.single(attributes::CAPABILITIES).ok().flatten();
        Ok(Stated {
            kind: kind.map(super::cms::oid).transpose()?,
            digest: digest
                .filter(|value| value.is(OCTET_STRING))
                .map(Element::octets)
                .transpose()?,
            signed_at: time.and_then(instant),
            capabilities: capabilities
                .and_then(|value| value.der().ok())
                .map(Bytes::from),
        })
    }
}

/// A Time (RFC 5652 11.3) in Unix seconds.
fn instant(time: &Element) -> Option<u64> {
    let der = time.der().ok()?;
    let utc = UtcTime::from_der(&der).map(|time| time.to_unix_duration());
    utc.or_else(|_| GeneralizedTime::from_der(&der).map(|time| time.to_unix_duration()))
        .ok()
        .map(|since| since.as_secs())
}

/// The SHA-256 over a certificate, as `signingCertificateV2` has it.
pub(super) fn cert_hash(cert: &Certificate) -> [u8; 32] {
    sha256(&cert.der)
}
