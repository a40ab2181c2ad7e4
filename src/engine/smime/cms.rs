//! What a CMS object is: its content type and its parts, field by field (RFC 5652, 5083, 3274).
//!
//! Nothing is decoded as a whole: one odd certificate in a bag, or an attribute that nobody
//! knows, must not keep the rest from being read.

use bytes::Bytes;
use const_oid::ObjectIdentifier;

use super::ber::{self, Element, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, broken};
use crate::base::error::{Error, Result};

/// Certificates in one bag that are looked at: a chain has four.
pub(super) const CERTS_MAX: usize = 64;

/// Signatures in one layer: a contract has a handful.
const SIGNERS_MAX: usize = 64;

/// Recipients of one message: a large company's largest list.
pub(super) const RECIPIENTS_MAX: usize = 5_000;

/// Attributes of one signature: real ones have five or six.
const ATTRIBUTES_MAX: usize = 64;

pub(super) const ID_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
pub(super) const ID_SIGNED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(super) const ID_ENVELOPED: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
pub(super) const ID_AUTH_ENVELOPED: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.23");
const ID_COMPRESSED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.9");
const ZLIB: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.8");

/// The tags that CMS gives to optional fields.
pub(super) const CONTEXT_0: u8 = 0xA0;
pub(super) const CONTEXT_1: u8 = 0xA1;
pub(super) const CONTEXT_2: u8 = 0xA2;
pub(super) const CONTEXT_3: u8 = 0xA3;
pub(super) const CONTEXT_4: u8 = 0xA4;

/// One CMS object.
pub(super) enum Object {
    Signed(SignedData),
    Enveloped(EnvelopedData),
    AuthEnveloped(AuthEnvelopedData),
    /// CompressedData (RFC 3274): the compressed bytes.
    Compressed(Bytes),
}

/// SignedData (RFC 5652 5.1).
pub(super) struct SignedData {
    pub content_type: ObjectIdentifier,
    /// `None`: it is elsewhere.
    pub content: Option<Bytes>,
    /// The certificates in the bag, as DER, without those of other kinds.
    pub certs: Vec<Bytes>,
    pub signers: Vec<SignerInfo>,
}

/// SignerInfo (RFC 5652 5.3).
pub(super) struct SignerInfo {
    pub id: CertId,
    pub digest: Algorithm,
    pub attributes: Option<Attributes>,
    pub algorithm: Algorithm,
    pub signature: Bytes,
}

/// How a certificate is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CertId {
    /// Issuer and serial number, both as DER.
    Issuer { issuer: Vec<u8>, serial: Vec<u8> },
    /// The subject key identifier.
    Key(Bytes),
}

/// An algorithm and its parameters, as DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub oid: ObjectIdentifier,
    pub parameters: Option<Vec<u8>>,
}

/// Attributes, signed or authenticated.
pub(super) struct Attributes {
    all: Vec<(ObjectIdentifier, Vec<Element>)>,
    /// What is hashed or authenticated of them: the SET as it came.
    pub encoded: Vec<u8>,
}

/// EnvelopedData (RFC 5652 6.1).
pub(super) struct EnvelopedData {
    pub recipients: Vec<Element>,
    pub algorithm: Algorithm,
    pub ciphertext: Bytes,
}

/// AuthEnvelopedData (RFC 5083 2.1).
pub(super) struct AuthEnvelopedData {
    pub enveloped: EnvelopedData,
    pub attributes: Option<Attributes>,
    pub tag: Bytes,
}

/// Reads a ContentInfo.
///
/// # Errors
/// `message.malformed`; `limit.exceeded`.
pub(super) fn read(data: &Bytes) -> Result<Object> {
    let mut fields = Fields::of(&ber::one(data)?, SEQUENCE)?;
    let kind = oid(&fields.take(OID)?)?;
    let content = explicit(&fields.take(CONTEXT_0)?)?;
    fields.end()?;
    match kind {
        ID_SIGNED => Ok(Object::Signed(signed(&content)?)),
        ID_ENVELOPED => {
            let mut fields = Fields::of(&content, SEQUENCE)?;
            let enveloped = enveloped(&mut fields)?;
            // Unprotected attributes say nothing that anybody may believe.
            fields.optional(CONTEXT_1);
            fields.end()?;
            Ok(Object::Enveloped(enveloped))
        }
        ID_AUTH_ENVELOPED => Ok(Object::AuthEnveloped(auth_enveloped(&content)?)),
        ID_COMPRESSED => Ok(Object::Compressed(compressed(&content)?)),
        _ => Err(Error::malformed(
            "this CMS object is of a kind that mail does not use; ask the sender for another form",
        )),
    }
}

fn signed(data: &Element) -> Result<SignedData> {
    let mut fields = Fields::of(data, SEQUENCE)?;
    fields.take(INTEGER)?;
    fields.take(SET)?;
    let mut inside = Fields::of(&fields.take(SEQUENCE)?, SEQUENCE)?;
    let content_type = oid(&inside.take(OID)?)?;
    let content = match inside.optional(CONTEXT_0) {
        None => None,
        Some(tagged) => {
            let content = explicit(&tagged)?;
            if !content.is(OCTET_STRING) {
                return Err(broken());
            }
            Some(content.octets()?)
        }
    };
    inside.end()?;
    let mut certs = Vec::new();
    if let Some(bag) = fields.optional(CONTEXT_0) {
        for choice in bag.children()?.into_iter().take(CERTS_MAX) {
            // Other kinds of certificates have tags of their own.
            if choice.tag() == SEQUENCE {
                certs.push(choice.whole().clone());
            }
        }
    }
    fields.optional(CONTEXT_1);
    let infos = fields.take(SET)?.children()?;
    fields.end()?;
    if infos.len() > SIGNERS_MAX {
        return Err(Error::limit(
            "signers",
            "this has more signatures than are looked at; ask the sender for another form",
        ));
    }
    let signers = infos.iter().map(signer).collect::<Result<_>>()?;
    Ok(SignedData {
        content_type,
        content,
        certs,
        signers,
    })
}

fn signer(info: &Element) -> Result<SignerInfo> {
    let mut fields = Fields::of(info, SEQUENCE)?;
    fields.take(INTEGER)?;
    let id = cert_id(&fields.next().ok_or_else(broken)?)?;
    let digest = algorithm(&fields.take(SEQUENCE)?)?;
    let attributes = fields
        .optional(CONTEXT_0)
        .map(|set| attributes(&set))
        .transpose()?;
    let algorithm = algorithm(&fields.take(SEQUENCE)?)?;
    let signature = fields.take(OCTET_STRING)?.octets()?;
    fields.optional(CONTEXT_1);
    fields.end()?;
    Ok(SignerInfo {
        id,
        digest,
        attributes,
        algorithm,
        signature,
    })
}

/// A SignerIdentifier or RecipientIdentifier (RFC 5652 5.3, 6.2.1).
///
/// # Errors
/// `message.malformed`.
pub(super) fn cert_id(id: &Element) -> Result<CertId> {
    if id.is(0x80) {
        return Ok(CertId::Key(id.octets()?));
    }
    let mut fields = Fields::of(id, SEQUENCE)?;
    let issuer = fields.take(SEQUENCE)?.der()?;
    let serial = fields.take(INTEGER)?.der()?;
    fields.end()?;
    Ok(CertId::Issuer { issuer, serial })
}

/// The error for more recipients than [`RECIPIENTS_MAX`].
pub(super) fn too_many_recipients() -> Error {
    Error::limit(
        "recipients",
        "the message names more recipients than are read; ask the sender for a copy of your own",
    )
}

fn enveloped(fields: &mut Fields) -> Result<EnvelopedData> {
    fields.take(INTEGER)?;
    fields.optional(CONTEXT_0);
    let recipients = fields.take(SET)?.children()?;
    if recipients.len() > RECIPIENTS_MAX {
        return Err(too_many_recipients());
    }
    let mut content = Fields::of(&fields.take(SEQUENCE)?, SEQUENCE)?;
    // What is inside is looked at when it is opened, not believed from outside.
    content.take(OID)?;
    let algorithm = algorithm(&content.take(SEQUENCE)?)?;
    let ciphertext = content.take(0x80)?.octets()?;
    content.end()?;
    Ok(EnvelopedData {
        recipients,
        algorithm,
        ciphertext,
    })
}

fn auth_enveloped(data: &Element) -> Result<AuthEnvelopedData> {
    let mut fields = Fields::of(data, SEQUENCE)?;
    let enveloped = enveloped(&mut fields)?;
    let attributes = fields
        .optional(CONTEXT_1)
        .map(|set| attributes(&set))
        .transpose()?;
    let tag = fields.take(OCTET_STRING)?.octets()?;
    fields.optional(CONTEXT_2);
    fields.end()?;
    Ok(AuthEnvelopedData {
        enveloped,
        attributes,
        tag,
    })
}

fn compressed(data: &Element) -> Result<Bytes> {
    let mut fields = Fields::of(data, SEQUENCE)?;
    fields.take(INTEGER)?;
    let algorithm = algorithm(&fields.take(SEQUENCE)?)?;
    let mut content = Fields::of(&fields.take(SEQUENCE)?, SEQUENCE)?;
    fields.end()?;
    content.take(OID)?;
    let bytes = explicit(&content.take(CONTEXT_0)?)?;
    content.end()?;
    if algorithm.oid != ZLIB || !bytes.is(OCTET_STRING) {
        return Err(broken());
    }
    bytes.octets()
}

/// An AlgorithmIdentifier.
///
/// # Errors
/// `message.malformed`.
pub(super) fn algorithm(element: &Element) -> Result<Algorithm> {
    let mut fields = Fields::of(element, SEQUENCE)?;
    let oid = oid(&fields.take(OID)?)?;
    let parameters = fields.next().map(|any| any.der()).transpose()?;
    fields.end()?;
    Ok(Algorithm { oid, parameters })
}

/// # Errors
/// `message.malformed`.
pub(super) fn oid(element: &Element) -> Result<ObjectIdentifier> {
    ObjectIdentifier::from_bytes(element.content()).map_err(|e| broken().because(e))
}

fn attributes(set: &Element) -> Result<Attributes> {
    let children = set.children()?;
    if children.len() > ATTRIBUTES_MAX {
        return Err(broken());
    }
    let mut all = Vec::with_capacity(children.len());
    for attribute in &children {
        let mut fields = Fields::of(attribute, SEQUENCE)?;
        let kind = oid(&fields.take(OID)?)?;
        let values = fields.take(SET)?.children()?;
        fields.end()?;
        all.push((kind, values));
    }
    Ok(Attributes {
        all,
        encoded: set.retagged(SET)?,
    })
}

impl Attributes {
    /// Whether `data` is what is hashed of some signer's attributes.
    pub(super) fn are(data: &Bytes) -> bool {
        data.first() == Some(&SET)
            && ber::one(data)
                .and_then(|set| attributes(&set))
                .is_ok_and(|attributes| !attributes.all.is_empty())
    }

    /// The one value of the one attribute of a kind; `None` when there is no such attribute.
    ///
    /// # Errors
    /// `message.malformed` when it is there twice, or has not exactly one value.
    pub(super) fn single(&self, kind: ObjectIdentifier) -> Result<Option<&Element>> {
        let mut of_kind = self.all.iter().filter(|(known, _)| *known == kind);
        match (of_kind.next(), of_kind.next()) {
            (None, _) => Ok(None),
            (Some((_, values)), None) => match values.as_slice() {
                [only] => Ok(Some(only)),
                _ => Err(broken()),
            },
            (Some(_), Some(_)) => Err(broken()),
        }
    }
}

/// The one element inside an explicit tag.
fn explicit(tagged: &Element) -> Result<Element> {
    let mut inside = tagged.children()?;
    match (inside.pop(), inside.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(broken()),
    }
}

/// The fields of a SEQUENCE, one after the other.
pub(super) struct Fields(std::iter::Peekable<std::vec::IntoIter<Element>>);

impl Fields {
    /// # Errors
    /// `message.malformed` when `element` has another tag.
    pub(super) fn of(element: &Element, tag: u8) -> Result<Fields> {
        match element.tag() == tag {
            true => Ok(Fields(element.children()?.into_iter().peekable())),
            false => Err(broken()),
        }
    }

    /// The next field, whatever it is.
    pub(super) fn next(&mut self) -> Option<Element> {
        self.0.next()
    }

    /// The next field, which has this tag.
    ///
    /// # Errors
    /// `message.malformed`.
    pub(super) fn take(&mut self, tag: u8) -> Result<Element> {
        self.optional(tag).ok_or_else(broken)
    }

    /// The next field, if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Element> {
        self.0.next_if(|element| element.is(tag))
    }

    /// # Errors
    /// `message.malformed` when there is another field.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.0.next() {
            None => Ok(()),
            Some(_) => Err(broken()),
        }
    }
}
