//! Whom an envelope names, and how the content key reaches them (RFC 5652 6.2, RFC 5753,
//! RFC 8418, RFC 9629).

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::pkey::{PKey, PKeyRef, Public};

use super::ber::{self, BIT_STRING, Element, INTEGER, OCTET_STRING, OID, SEQUENCE, broken};
use super::certs::Certificate;
use super::cms::{
    self, Algorithm, CONTEXT_0, CONTEXT_1, CONTEXT_2, CONTEXT_3, CONTEXT_4, CertId, Fields,
    RECIPIENTS_MAX,
};
use super::derive::{
    Kdf, agreed, hkdf, hkdf_alone, kem_info, shared_info, unwrap, wrap_der, wrap_length, x963,
};
use super::policy;
use crate::base::Secret;
use crate::base::error::{Error, Result};
use crate::base::keys::{Digest, Opening};

pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const P_SPECIFIED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.9");
pub(super) const ECDH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.11.1");
pub(super) const HKDF_SHA256_SCHEME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.19");
/// HKDF with SHA-256 as a key derivation of its own (RFC 8619).
pub(super) const HKDF_SHA256: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.28");
pub(super) const KEMRI: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.13.3");
pub(super) const AES_256_WRAP: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");

/// One way to the content key.
pub(super) struct Way {
    /// Whose it is; `None` for a password.
    pub id: Option<CertId>,
    how: How,
}

enum How {
    Transport {
        algorithm: Algorithm,
        encrypted: Bytes,
    },
    Agreement {
        /// The sender's one-time key: its algorithm, where it says, and its bits.
        peer: (Option<Algorithm>, Bytes),
        ukm: Option<Bytes>,
        scheme: Algorithm,
        encrypted: Bytes,
    },
    Kem {
        ciphertext: Bytes,
        kdf: Algorithm,
        length: usize,
        ukm: Option<Bytes>,
        wrap: Algorithm,
        encrypted: Bytes,
    },
    Password {
        stretching: Option<Algorithm>,
        wrap: Algorithm,
        encrypted: Bytes,
    },
    /// Something that is not here.
    Unknown,
}

/// All ways that the recipients of an envelope have.
///
/// # Errors
/// `message.malformed`; `limit.exceeded`.
pub(super) fn ways(recipients: &[Element]) -> Result<Vec<Way>> {
    let mut ways = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        match recipient.tag() {
            SEQUENCE => ways.push(transport(recipient)?),
            CONTEXT_1 => agreement(recipient, &mut ways)?,
            CONTEXT_3 => ways.push(password(recipient)?),
            CONTEXT_4 => ways.push(other(recipient)?),
            // A key that both sides have beforehand: nobody mails so.
            CONTEXT_2 => {}
            _ => return Err(broken()),
        }
        if ways.len() > RECIPIENTS_MAX {
            return Err(cms::too_many_recipients());
        }
    }
    Ok(ways)
}

fn transport(info: &Element) -> Result<Way> {
    let mut fields = Fields::of(info, SEQUENCE)?;
    fields.take(INTEGER)?;
    let id = cms::cert_id(&fields.next().ok_or_else(broken)?)?;
    let algorithm = cms::algorithm(&fields.take(SEQUENCE)?)?;
    let encrypted = fields.take(OCTET_STRING)?.octets()?;
    fields.end()?;
    Ok(Way {
        id: Some(id),
        how: How::Transport {
            algorithm,
            encrypted,
        },
    })
}

fn agreement(info: &Element, ways: &mut Vec<Way>) -> Result<()> {
    let mut fields = Fields::of(info, CONTEXT_1)?;
    fields.take(INTEGER)?;
    let originator = Fields::of(&fields.take(CONTEXT_0)?, CONTEXT_0)?
        .next()
        .ok_or_else(broken)?;
    let ukm = ukm(&mut fields, CONTEXT_1)?;
    let scheme = cms::algorithm(&fields.take(SEQUENCE)?)?;
    let keys = fields.take(SEQUENCE)?.children()?;
    fields.end()?;
    if keys.len() > RECIPIENTS_MAX {
        return Err(cms::too_many_recipients());
    }
    let peer = match originator.tag() {
        CONTEXT_1 => {
            let mut key = Fields::of(&originator, CONTEXT_1)?;
            let algorithm = cms::algorithm(&key.take(SEQUENCE)?)?;
            let bits = key.take(BIT_STRING)?;
            let (unused, bits) = bits.content().split_at_checked(1).ok_or_else(broken)?;
            if unused != [0] {
                return Err(broken());
            }
            Some((algorithm, Bytes::copy_from_slice(bits)))
        }
        // A certificate of the sender's: static keys on both sides, which nobody uses.
        _ => None,
    };
    for key in keys {
        let mut fields = Fields::of(&key, SEQUENCE)?;
        let named = fields.next().ok_or_else(broken)?;
        let id = match named.tag() {
            CONTEXT_0 => {
                let key = Fields::of(&named, CONTEXT_0)?.take(OCTET_STRING)?;
                CertId::Key(key.octets()?)
            }
            _ => cms::cert_id(&named)?,
        };
        let encrypted = fields.take(OCTET_STRING)?.octets()?;
        fields.end()?;
        let how = match &peer {
            None => How::Unknown,
            Some((algorithm, bits)) => How::Agreement {
                peer: (Some(algorithm.clone()), bits.clone()),
                ukm: ukm.clone(),
                scheme: scheme.clone(),
                encrypted,
            },
        };
        ways.push(Way { id: Some(id), how });
    }
    Ok(())
}

fn password(info: &Element) -> Result<Way> {
    let mut fields = Fields::of(info, CONTEXT_3)?;
    fields.take(INTEGER)?;
    let stretching = match fields.optional(CONTEXT_0) {
        Some(tagged) => {
            let plain = tagged.retagged(SEQUENCE)?;
            Some(cms::algorithm(&ber::one(&plain.into())?)?)
        }
        None => None,
    };
    let wrap = cms::algorithm(&fields.take(SEQUENCE)?)?;
    let encrypted = fields.take(OCTET_STRING)?.octets()?;
    fields.end()?;
    Ok(Way {
        id: None,
        how: How::Password {
            stretching,
            wrap,
            encrypted,
        },
    })
}

/// OtherRecipientInfo: a KEM's, or one that is not here.
fn other(info: &Element) -> Result<Way> {
    let mut fields = Fields::of(info, CONTEXT_4)?;
    let unknown = Way {
        id: None,
        how: How::Unknown,
    };
    if cms::oid(&fields.take(OID)?)? != KEMRI {
        return Ok(unknown);
    }
    let mut fields = Fields::of(&fields.take(SEQUENCE)?, SEQUENCE)?;
    fields.take(INTEGER)?;
    let id = cms::cert_id(&fields.next().ok_or_else(broken)?)?;
    fields.take(SEQUENCE)?;
    let ciphertext = fields.take(OCTET_STRING)?.octets()?;
    let kdf = cms::algorithm(&fields.take(SEQUENCE)?)?;
    let length = fields.take(INTEGER)?;
    let ukm = ukm(&mut fields, CONTEXT_0)?;
    let wrap = cms::algorithm(&fields.take(SEQUENCE)?)?;
    let encrypted = fields.take(OCTET_STRING)?.octets()?;
    fields.end()?;
    let length = match length.content().as_ref() {
        [small] => usize::from(*small),
        _ => return Err(broken()),
    };
    Ok(Way {
        id: Some(id),
        how: How::Kem {
            ciphertext,
            kdf,
            length,
            ukm,
            wrap,
            encrypted,
        },
    })
}

/// Keying material of the sender's, which goes into the derivation.
fn ukm(fields: &mut Fields, tag: u8) -> Result<Option<Bytes>> {
    let Some(tagged) = fields.optional(tag) else {
        return Ok(None);
    };
    let octets = Fields::of(&tagged, tag)?.take(OCTET_STRING)?.octets()?;
    Ok(Some(octets))
}

/// A private operation of the recipient's.
pub(super) type Private<'a> = dyn Fn(Opening<'_>, &[u8]) -> Result<Secret> + 'a;

impl Way {
    /// How the content key reaches its recipient, in the words of OpenPGP.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self.how {
            How::Transport { .. } => Some("RSA"),
            How::Agreement { .. } => Some("ECDH"),
            How::Kem { .. } => Some("ML-KEM"),
            How::Password { .. } | How::Unknown => None,
        }
    }

    /// Whether a password opens it.
    pub(super) fn is_password(&self) -> bool {
        matches!(self.how, How::Password { .. })
    }

    /// The content key, by the private operation of the certificate's owner.
    ///
    /// # Errors
    /// `decrypt.failed`; those of the private key.
    pub(super) fn open(&self, cert: &Certificate, private: &Private<'_>) -> Result<Secret> {
        match &self.how {
            How::Transport {
                algorithm,
                encrypted,
            } => {
                if algorithm.oid == RSA {
                    return private(Opening::RsaPkcs1, encrypted);
                }
                if algorithm.oid == RSA_OAEP {
                    let (digest, mgf, label) = oaep(algorithm.parameters.as_deref())?;
                    let label = &label;
                    return private(Opening::RsaOaep { digest, mgf, label }, encrypted);
                }
                Err(Error::decrypt_failed())
            }
            How::Agreement {
                peer: (algorithm, bits),
                ukm,
                scheme,
                encrypted,
            } => {
                let peer = peer_key(cert, algorithm, bits)?;
                if !is_peer(cert, &peer) {
                    return Err(Error::decrypt_failed());
                }
                let shared = private(Opening::Agreement, &peer)?;
                let (kind, wrap, length) = agreed(scheme).ok_or_else(Error::decrypt_failed)?;
                let info = shared_info(&wrap_der(&wrap), ukm.as_deref(), length);
                let kek = match kind {
                    Kdf::X963(digest) => x963(digest, &shared, &info, length)?,
                    // What a ukm is to HKDF, no peer here could show.
                    Kdf::Hkdf(digest) if ukm.is_none() => hkdf(digest, &shared, &info, length)?,
                    Kdf::Hkdf(_) => return Err(Error::decrypt_failed()),
                };
                unwrap(wrap.oid, &kek, encrypted)
            }
            How::Kem {
                ciphertext,
                kdf,
                length,
                ukm,
                wrap,
                encrypted,
            } => {
                let shared = private(Opening::Kem, ciphertext)?;
                let fitting = wrap_length(wrap.oid) == Some(*length);
                let (Some(digest), true) = (hkdf_alone(kdf.oid), fitting) else {
                    return Err(Error::decrypt_failed());
                };
                let info = kem_info(&wrap_der(wrap), *length, ukm.as_deref());
                let kek = hkdf(digest, &shared, &info, *length)?;
                unwrap(wrap.oid, &kek, encrypted)
            }
            How::Password { .. } | How::Unknown => Err(Error::decrypt_failed()),
        }
    }

    /// The content key, by a password.
    ///
    /// # Errors
    /// `decrypt.failed`; `limit.exceeded` when stretching it would take too long.
    pub(super) fn open_with(&self, password: &Secret) -> Result<Secret> {
        let How::Password {
            stretching,
            wrap,
            encrypted,
        } = &self.how
        else {
            return Err(Error::decrypt_failed());
        };
        let stretching = stretching.as_ref().ok_or_else(Error::decrypt_failed)?;
        super::password::open(stretching, wrap, encrypted, password)
    }
}

/// The sender's key as SubjectPublicKeyInfo. Its parameters are the recipient's where it does
/// not say them (RFC 5753 3.1.1).
fn peer_key(cert: &Certificate, algorithm: &Option<Algorithm>, bits: &[u8]) -> Result<Vec<u8>> {
    use der::Encode as _;
    let own = cert.parsed.tbs_certificate().subject_public_key_info();
    let own = own
        .algorithm
        .to_der()
        .map_err(|e| Error::decrypt_failed().because(e))?;
    let stated = algorithm
        .as_ref()
        .and_then(|a| Some((a.oid, a.parameters.as_deref()?)))
        .filter(|(_, parameters)| *parameters != ber::NULL)
        .map(|(oid, parameters)| ber::algorithm(oid, parameters));
    Ok(public_key(&stated.unwrap_or(own), bits))
}

/// Whether a sender's key is a point on the curve of the certificate's key. Not every token
/// looks itself, and what it makes of another point tells of its key.
pub(super) fn is_peer(cert: &Certificate, peer: &[u8]) -> bool {
    let curve = |key: &PKeyRef<Public>| Some(key.ec_key().ok()?.group().curve_name());
    match (PKey::public_key_from_der(peer), cert.x509.public_key()) {
        (Ok(peer), Ok(own)) => peer.id() == own.id() && curve(&peer) == curve(&own),
        _ => false,
    }
}

/// SubjectPublicKeyInfo out of its two halves.
fn public_key(algorithm: &[u8], bits: &[u8]) -> Vec<u8> {
    let bits = ber::element(BIT_STRING, &[&[0], bits]);
    ber::element(SEQUENCE, &[algorithm, &bits])
}

/// The parameters of RSAES-OAEP (RFC 4055 4.1): hash, mask hash, label.
fn oaep(parameters: Option<&[u8]>) -> Result<(Digest, Digest, Vec<u8>)> {
    let (mut digest, mut mgf, mut label) = (Digest::Sha1, Digest::Sha1, Vec::new());
    let Some(parameters) = parameters else {
        return Ok((digest, mgf, label));
    };
    let failed = Error::decrypt_failed;
    let named = |algorithm: &Element| -> Result<Digest> {
        policy::digest(cms::algorithm(algorithm)?.oid).ok_or_else(failed)
    };
    let mut fields = Fields::of(&ber::one(&Bytes::copy_from_slice(parameters))?, SEQUENCE)?;
    if let Some(tagged) = fields.optional(CONTEXT_0) {
        digest = named(&Fields::of(&tagged, CONTEXT_0)?.take(SEQUENCE)?)?;
    }
    if let Some(tagged) = fields.optional(CONTEXT_1) {
        let mask = cms::algorithm(&Fields::of(&tagged, CONTEXT_1)?.take(SEQUENCE)?)?;
        let inner = mask.parameters.filter(|_| mask.oid == MGF1);
        mgf = named(&ber::one(&inner.ok_or_else(failed)?.into())?)?;
    }
    if let Some(tagged) = fields.optional(CONTEXT_2) {
        let source = cms::algorithm(&Fields::of(&tagged, CONTEXT_2)?.take(SEQUENCE)?)?;
        let inner = source.parameters.filter(|_| source.oid == P_SPECIFIED);
        label = ber::one(&inner.ok_or_else(failed)?.into())?
            .octets()?
            .to_vec();
    }
    fields.end()?;
    Ok((digest, mgf, label))
}
