//! Writing SignedData (RFC 5652 5): its content inside or apart.

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use der::Encode as _;
use der::asn1::{GeneralizedTime, UtcTime};
use openssl::hash::{Hasher, hash};

use super::ber::{self, OCTET_STRING, SEQUENCE, SET};
use super::certs::Certificate;
use super::cms::{CONTEXT_0, CONTEXT_1, ID_DATA, ID_SIGNED};
use super::verify::cert_hash;
use super::{attributes, capabilities, chain, policy, signature};
use crate::base::Context;
use crate::base::context::unix;
use crate::base::error::{Error, Result};
use crate::base::keys::{Digest, KeyPairId, Signing};
use crate::base::layer::SealedOut;
use crate::base::verdict::Scheme;
use crate::engine::private::not_signed;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// How much is hashed before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 20;

/// Up to this year times are written as UTCTime (RFC 5652 11.3).
const UTC_UNTIL: u64 = 2_524_608_000;

/// How a key signs.
pub(super) struct Way {
    pub digest: Digest,
    pub how: Signing,
    /// AlgorithmIdentifier, DER.
    pub algorithm: Vec<u8>,
}

/// Signs `content`, by each of several signers.
///
/// # Errors
/// `key.locked`; `key.unusable`; `cancelled`.
pub(super) fn signed(
    content: &Bytes,
    certs: &[Certificate],
    scheme: Scheme,
    cx: &Context,
) -> Result<SealedOut> {
    let mut infos = Vec::with_capacity(certs.len());
    let mut bag: Vec<Vec<u8>> = Vec::new();
    let mut digests: Vec<Digest> = Vec::new();
    for cert in certs {
        let way =
            way(cert).ok_or_else(|| super::seal::unusable(&cert.id, vec!["no-signing-key"]))?;
        infos.push(info(content, cert, &way, cx)?);
        let issuers = chain::intermediates(cert, cx)?;
        for der in std::iter::once(cert.der.to_vec()).chain(issuers.iter().map(|der| der.to_vec()))
        {
            if !bag.contains(&der) {
                bag.push(der);
            }
        }
        if !digests.contains(&way.digest) {
            digests.push(way.digest);
        }
    }
    let algorithms = digests
        .iter()
        .map(|digest| ber::algorithm(policy::digest_oid(*digest), &[]));
    let head = [ber::integer(1), ber::set_of(SET, algorithms.collect())].concat();
    let tail = [ber::set_of(CONTEXT_0, bag), ber::set_of(SET, infos)].concat();
    let apart = scheme != Scheme::Opaque;
    let inside: &[u8] = if apart { &[] } else { content };
    let der = object(&head, (!apart).then_some(inside), &tail);
    // RFC 8551 3.5.3.2: several of them with commas between.
    let micalgs: Vec<&str> = digests.into_iter().map(policy::micalg).collect();
    Ok(match apart {
        true => SealedOut::Detached {
            signature: der,
            micalg: micalgs.join(","),
        },
        false => SealedOut::Inside(der),
    })
}

/// One SignerInfo (RFC 5652 5.3).
fn info(content: &Bytes, cert: &Certificate, way: &Way, cx: &Context) -> Result<Vec<u8>> {
    let digest_algorithm = ber::algorithm(policy::digest_oid(way.digest), &[]);
    let digest = digest(content, way.digest, cx)?;
    let stated = stated(cert, &digest, &digest_algorithm, &way.algorithm, cx)?;
    let encoded = ber::set_of(SET, stated.clone());
    let signature = value(cert, way, encoded, cx)?;
    Ok(ber::element(
        SEQUENCE,
        &[
            &ber::integer(1),
            &cert.named()?,
            &digest_algorithm,
            &ber::set_of(CONTEXT_0, stated),
            &way.algorithm,
            &ber::element(OCTET_STRING, &[&signature]),
        ],
    ))
}

/// ContentInfo around SignedData around its content, which is copied once.
fn object(head: &[u8], content: Option<&[u8]>, tail: &[u8]) -> Vec<u8> {
    let kind = ber::object(ID_DATA);
    let mut before = Vec::new();
    let mut length = kind.len();
    if let Some(content) = content {
        let mut octets = Vec::new();
        ber::header(OCTET_STRING, content.len(), &mut octets);
        ber::header(CONTEXT_0, octets.len() + content.len(), &mut before);
        before.extend_from_slice(&octets);
        length += before.len() + content.len();
    }
    let mut encapsulated = Vec::new();
    ber::header(SEQUENCE, length, &mut encapsulated);
    let signed = head.len() + encapsulated.len() + length + tail.len();
    super::seal::content_info(ID_SIGNED, signed, |out| {
        out.extend_from_slice(head);
        out.extend_from_slice(&encapsulated);
        out.extend_from_slice(&kind);
        out.extend_from_slice(&before);
        out.extend_from_slice(content.unwrap_or_default());
        out.extend_from_slice(tail);
    })
}

/// The signature value over some bytes.
///
/// # Errors
/// `key.locked`; `key.unusable` when what came is no signature of this certificate; `internal`.
pub(super) fn value(
    cert: &Certificate,
    way: &Way,
    bytes: Vec<u8>,
    cx: &Context,
) -> Result<Vec<u8>> {
    let message = match way.how {
        Signing::Message => bytes,
        _ => hash(policy::message_digest(way.digest), &bytes)
            .map_err(|e| Error::internal("what is to be signed can't be hashed").because(e))?
            .to_vec(),
    };
    let pair = KeyPairId {
        cert: cert.id.clone(),
        subkey: cert.id.fingerprint().to_owned(),
    };
    let signature = cx.private.sign(&pair, way.how, &message)?;
    // Whoever has the private half: what it gives leaves only as this key's signature.
    match signature::is_of(cert, way.how, &message, &signature) {
        true => Ok(signature),
        false => Err(not_signed(&cert.id)),
    }
}

/// SHA-256 wherever the key allows it; PKCS#1 v1.5 for RSA, which every reader knows.
pub(super) fn way(cert: &Certificate) -> Option<Way> {
    let info = cert.parsed.tbs_certificate().subject_public_key_info();
    let oid = info.algorithm.oid;
    let pure = |digest| Way {
        digest,
        how: Signing::Message,
        algorithm: ber::algorithm(oid, &[]),
    };
    let ecdsa = |digest, oid| Way {
        digest,
        how: Signing::Ecdsa,
        algorithm: ber::algorithm(oid, &[]),
    };
    Some(match oid {
        RSA => Way {
            digest: Digest::Sha256,
            how: Signing::RsaPkcs1(Digest::Sha256),
            algorithm: ber::algorithm(RSA, ber::NULL),
        },
        RSA_PSS => Way {
            digest: Digest::Sha256,
            how: Signing::RsaPss(Digest::Sha256),
            algorithm: ber::algorithm(RSA_PSS, &pss(Digest::Sha256)),
        },
        EC => match cert.x509.public_key().ok()?.bits() {
            ..=256 => ecdsa(Digest::Sha256, ECDSA_SHA256),
            257..=384 => ecdsa(Digest::Sha384, ECDSA_SHA384),
            _ => ecdsa(Digest::Sha512, ECDSA_SHA512),
        },
        // RFC 8419 3.1, RFC 9882 3.3.
        ED25519 => pure(Digest::Sha512),
        _ if cert.key().word.starts_with("mldsa") => pure(Digest::Sha512),
        _ => return None,
    })
}

/// RSASSA-PSS-params with one hash for all and a salt of its length.
fn pss(digest: Digest) -> Vec<u8> {
    let hash = ber::algorithm(policy::digest_oid(digest), ber::NULL);
    let mask = ber::algorithm(MGF1, &hash);
    ber::element(
        SEQUENCE,
        &[
            &ber::element(CONTEXT_0, &[&hash]),
            &ber::element(CONTEXT_1, &[&mask]),
            &ber::element(super::cms::CONTEXT_2, &[&ber::integer(32)]),
        ],
    )
}

fn digest(content: &[u8], digest: Digest, cx: &Context) -> Result<Vec<u8>> {
    let failed = |e| Error::internal("the content can't be hashed").because(e);
    let mut hasher = Hasher::new(policy::message_digest(digest)).map_err(failed)?;
    for chunk in content.chunks(CHUNK) {
        cx.job.check()?;
        hasher.update(chunk).map_err(failed)?;
        cx.job.advance(chunk.len() as u64);
    }
    Ok(hasher.finish().map_err(failed)?.to_vec())
}

/// The signed attributes, each as DER.
fn stated(
    cert: &Certificate,
    digest: &[u8],
    digest_algorithm: &[u8],
    algorithm: &[u8],
    cx: &Context,
) -> Result<Vec<Vec<u8>>> {
    let attribute = |kind, value: &[u8]| {
        ber::element(
            SEQUENCE,
            &[&ber::object(kind), &ber::element(SET, &[value])],
        )
    };
    // ESSCertIDv2 without its default hash and without issuer and serial (RFC 5035 4).
    let id = ber::element(
        SEQUENCE,
        &[&ber::element(OCTET_STRING, &[&cert_hash(cert)])],
    );
    let certificate = ber::element(SEQUENCE, &[&ber::element(SEQUENCE, &[&id])]);
    // The signature algorithm under its implicit tag (RFC 6211 2).
    let mut tagged = algorithm.to_vec();
    if let Some(first) = tagged.first_mut() {
        *first = CONTEXT_1;
    }
    let protection = ber::element(SEQUENCE, &[digest_algorithm, &tagged]);
    Ok(vec![
        attribute(attributes::CONTENT_TYPE, &ber::object(ID_DATA)),
        attribute(
            attributes::MESSAGE_DIGEST,
            &ber::element(OCTET_STRING, &[digest]),
        ),
        attribute(attributes::SIGNING_TIME, &time(unix(cx.now))?),
        attribute(attributes::CAPABILITIES, &capabilities::ours()),
        attribute(attributes::SIGNING_CERTIFICATE_V2, &certificate),
        attribute(attributes::ALGORITHM_PROTECTION, &protection),
    ])
}

fn time(seconds: u64) -> Result<Vec<u8>> {
    let since = std::time::Duration::from_secs(seconds);
    let der = match seconds < UTC_UNTIL {
        true => UtcTime::from_unix_duration(since).and_then(|time| time.to_der()),
        false => GeneralizedTime::from_unix_duration(since).and_then(|time| time.to_der()),
    };
    der.map_err(|e| Error::internal("this instant can't be written").because(e))
}
