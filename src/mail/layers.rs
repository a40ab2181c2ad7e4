//! Cryptographic layers, found by their structure (RFC 1847, RFC 3156, RFC 8551 3).
//!
//! Finding one says nothing about trust: no key is touched here. What claims to be a layer
//! and hasn't the shape of one is none, and is shown as the ordinary parts it is made of.

use bytes::Bytes;
use memchr::memmem;

use super::decode::Transfer;
use super::entity::Entity;
use super::fault::Fault;
use super::split;
use crate::base::body::wiped;
use crate::base::keys::Protocol;
use crate::base::layer::{Form, Sealed};
use crate::base::verdict::Scheme;

/// What a multipart is by its structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing cryptographic.
    Plain,
    /// A layer; its children are the layer's pieces.
    Layer(Multi),
    /// It says that it is a layer, but its parameters or children don't fit.
    Broken,
}

/// The layers that are multiparts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multi {
    /// RFC 3156 4.
    PgpEncrypted,
    /// The same after a server took it for a mixed message: `multipart/mixed` around the two
    /// pieces, with or without an empty text before them.
    PgpEncryptedMangled,
    /// RFC 3156 5.
    PgpSigned,
    /// RFC 8551 3.5.3.
    SmimeSigned,
}

/// Where a layer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the form the standard gives it.
    Standard,
    /// In a form that a server on the way made of it. Still the whole of that part.
    Mangled,
    /// In a file that goes with a message: never the message itself unless nothing else is there.
    Attachment,
}

/// A layer in one part.
#[derive(Debug, Clone)]
pub struct Found {
    pub sealed: Sealed,
    /// The hash that the message announces (RFC 3156 5), lower case, as it is spelled.
    pub micalg: Option<String>,
    pub origin: Origin,
    /// What is ambiguous in the pieces.
    pub faults: Vec<Fault>,
}

/// What a multipart with these children is.
pub fn shape(entity: &Entity) -> Shape {
    let protocol = entity
        .media
        .param("protocol")
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match (entity.media.kind(), entity.children.as_slice()) {
        ("multipart/encrypted", [control, data])
            if matches!(protocol.as_str(), "" | "application/pgp-encrypted")
                && is_control(control)
                && data.children.is_empty() =>
        {
            Shape::Layer(Multi::PgpEncrypted)
        }
        ("multipart/signed", [_, signature]) => {
            let kind = signature.media.kind();
            match protocol.as_str() {
                "application/pgp-signature" if kind == protocol => Shape::Layer(Multi::PgpSigned),
                "application/pkcs7-signature" | "application/x-pkcs7-signature"
                    if is_pkcs7_signature(kind)
                        || kind == "application/octet-stream" && named(signature, &["p7s"]) =>
                {
                    Shape::Layer(Multi::SmimeSigned)
                }
                _ => Shape::Broken,
            }
        }
        ("multipart/encrypted" | "multipart/signed", _) => Shape::Broken,
        ("multipart/mixed", [control, data]) if is_control(control) && is_ciphertext(data) => {
            Shape::Layer(Multi::PgpEncryptedMangled)
        }
        ("multipart/mixed", [text, control, data])
            if is_blank(text) && is_control(control) && is_ciphertext(data) =>
        {
            Shape::Layer(Multi::PgpEncryptedMangled)
        }
        _ => Shape::Plain,
    }
}

/// The control part of RFC 3156 4: its type, and a first line `Version: 1`. Whatever else
/// stands in it is never shown.
fn is_control(part: &Entity) -> bool {
    let content = part.peek(64);
    let start = content.trim_ascii_start();
    let first = start.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    part.media.kind() == "application/pgp-encrypted"
        && first
            .unwrap_or_default()
            .to_ascii_lowercase()
            .strip_prefix(b"version:")
            .is_some_and(|rest| rest.trim_ascii() == b"1")
}

/// The ciphertext of RFC 3156 4, as armor or as the server that took the armor off left it.
fn is_ciphertext(part: &Entity) -> bool {
    let binary = part.media.kind() == "application/octet-stream";
    is_armored(part) || binary && is_binary_message(&part.peek(8))
}

/// A text that says nothing.
fn is_blank(part: &Entity) -> bool {
    part.media.kind() == "text/plain" && part.content().trim_ascii().is_empty()
}

fn is_pkcs7_signature(kind: &str) -> bool {
    matches!(
        kind,
        "application/pkcs7-signature" | "application/x-pkcs7-signature"
    )
}

fn is_armored(part: &Entity) -> bool {
    let start = part.peek(256);
    start
        .trim_ascii_start()
        .starts_with(b"-----BEGIN PGP MESSAGE-----")
}

/// Whether its file name ends in one of these.
fn named(part: &Entity, endings: &[&str]) -> bool {
    part.name().is_some_and(|name| {
        let ending = name
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase());
        ending.is_some_and(|ending| endings.contains(&ending.as_str()))
    })
}

/// The layer that this part is, if it is one. Inline text is not looked at: see
/// [`super::armor`].
///
/// The content of a signed multipart is exactly the bytes of its first child. Only where the
/// whole multipart has bare LF for line ends, as mail kept in files does, they become CRLF,
/// because that is what was signed.
pub fn layer(entity: &Entity) -> Option<Found> {
    let Shape::Layer(multi) = entity.shape else {
        return leaf(entity);
    };
    let mut faults = entity.all_faults();
    let found = |protocol, form, micalg, origin, faults| Found {
        sealed: Sealed {
            protocol,
            scheme: Scheme::Mime,
            form,
        },
        micalg,
        origin,
        faults,
    };
    match (multi, entity.children.as_slice()) {
        (Multi::PgpEncrypted, [_, data]) => {
            let form = Form::Encrypted {
                data: data.content(),
            };
            Some(found(
                Protocol::OpenPgp,
                form,
                None,
                Origin::Standard,
                faults,
            ))
        }
        (Multi::PgpEncryptedMangled, [.., data]) => {
            let form = Form::Encrypted {
                data: data.content(),
            };
            Some(found(
                Protocol::OpenPgp,
                form,
                None,
                Origin::Mangled,
                faults,
            ))
        }
        (Multi::PgpSigned | Multi::SmimeSigned, [first, signature]) => {
            let protocol = match multi {
                Multi::SmimeSigned => Protocol::Smime,
                _ => Protocol::OpenPgp,
            };
            let content = if split::lf_only(&entity.whole) {
                wiped(split::crlf(&first.whole))
            } else {
                if split::mixed(&first.whole) {
                    Fault::MixedSigned.note(&mut faults);
                }
                first.whole.clone()
            };
            let form = Form::Detached {
                content,
                signature: signature.content(),
            };
            let micalg = entity.media.param("micalg").map(str::to_ascii_lowercase);
            Some(found(protocol, form, micalg, Origin::Standard, faults))
        }
        _ => None,
    }
}

/// Which child of a `multipart/mixed` is the ciphertext of RFC 3156 that its control part stands
/// before, and that layer: what a server left of `multipart/encrypted` when it put a text of its
/// own beside it. [`layer`] has it where nothing stands beside it.
pub fn beside_control(entity: &Entity) -> Option<(usize, Found)> {
    if entity.media.kind() != "multipart/mixed" || entity.shape != Shape::Plain {
        return None;
    }
    let pairs = entity.children.iter().zip(entity.children.iter().skip(1));
    let (at, (_, data)) = pairs
        .enumerate()
        .find(|(_, (control, data))| is_control(control) && is_ciphertext(data))?;
    let form = Form::Encrypted {
        data: data.content(),
    };
    let found = found_leaf(data, Protocol::OpenPgp, form, Origin::Mangled);
    Some((at + 1, found))
}

/// The file in which GpgOL, a plug-in for Outlook, puts a whole PGP/MIME or S/MIME entity when it
/// sends: Outlook then makes `multipart/mixed` of an empty text and that file.
const GPGOL: &str = "GpgOL_MIME_structure.mime";

/// The layer that GpgOL put into a file, where nothing else is in the message.
pub fn in_gpgol_file(entity: &Entity) -> Option<Entity> {
    let [text, file] = entity.children.as_slice() else {
        return None;
    };
    let whole = entity.media.kind() == "multipart/mixed" && is_blank(text);
    if !whole || file.is_container() || file.name().as_deref() != Some(GPGOL) {
        return None;
    }
    let inner = Entity::parse(file.content(), &file.id).ok()?;
    layer(&inner).is_some().then_some(inner)
}

/// A layer in a single part: CMS in one piece, or an OpenPGP message as a file.
fn leaf(entity: &Entity) -> Option<Found> {
    if entity.is_container() || entity.transfer() == Transfer::Unknown {
        return None;
    }
    let kind = entity.media.kind();
    let generic = kind == "application/octet-stream";
    let pkcs7 = matches!(kind, "application/pkcs7-mime" | "application/x-pkcs7-mime");
    if pkcs7 || generic && named(entity, &["p7m"]) {
        let form = cms(entity)?;
        let origin = match pkcs7 {
            true => Origin::Standard,
            false => Origin::Mangled,
        };
        return Some(found_leaf(entity, Protocol::Smime, form, origin));
    }
    let named_pgp = || named(entity, &["asc", "pgp", "gpg"]);
    let candidate = match kind {
        "application/pgp-encrypted" => true,
        "application/octet-stream" | "text/plain" => named_pgp(),
        _ => false,
    };
    if candidate && (is_armored(entity) || generic && is_binary_message(&entity.peek(8))) {
        let form = Form::Encrypted {
            data: entity.content(),
        };
        return Some(found_leaf(
            entity,
            Protocol::OpenPgp,
            form,
            Origin::Attachment,
        ));
    }
    None
}

fn found_leaf(entity: &Entity, protocol: Protocol, form: Form, origin: Origin) -> Found {
    Found {
        sealed: Sealed {
            protocol,
            scheme: Scheme::Opaque,
            form,
        },
        micalg: None,
        origin,
        faults: entity.faults.clone(),
    }
}

/// Whether bytes begin as an encrypted OpenPGP message does: with a session key packet
/// (RFC 9580 5.1, 5.3), old or new format.
fn is_binary_message(start: &[u8]) -> bool {
    match start.first() {
        Some(b) if b & 0xC0 == 0xC0 => matches!(b & 0x3F, 1 | 3),
        Some(b) if b & 0x80 == 0x80 => matches!(b >> 2 & 0x0F, 1 | 3),
        _ => false,
    }
}

/// id-signedData, id-envelopedData, id-ct-authEnvelopedData, id-ct-compressedData as DER has
/// them.
const SIGNED: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
const ENVELOPED: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x03];
const AUTH_ENVELOPED: &[u8] = &[
    0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x17,
];

const COMPRESSED: &[u8] = &[
    0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x09,
];

/// How much of a CMS object is looked at for its content type: it comes right after a tag and
/// a length.
const CMS_PEEK: usize = 32;

/// What a CMS object is: by what it says itself, else by its `smime-type`. Certificates alone
/// are no layer.
fn cms(entity: &Entity) -> Option<Form> {
    let start = entity.peek(CMS_PEEK);
    let start = start.get(..CMS_PEEK.min(start.len())).unwrap_or_default();
    let kind = entity
        .media
        .param("smime-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let has = |oid: &[u8]| memmem::find(start, oid).is_some();
    let data = || entity.content();
    if has(SIGNED) {
        return (kind != "certs-only").then(|| Form::SignedInside { data: data() });
    }
    if has(ENVELOPED) || has(AUTH_ENVELOPED) {
        return Some(Form::Encrypted { data: data() });
    }
    if has(COMPRESSED) {
        return Some(Form::Compressed { data: data() });
    }
    match kind.as_str() {
        "signed-data" => Some(Form::SignedInside { data: data() }),
        "enveloped-data" | "authenveloped-data" => Some(Form::Encrypted { data: data() }),
        _ => None,
    }
}

/// Whether armor in this leaf's text is looked for: plain text, and the type that was used
/// before RFC 3156.
pub fn is_inline_text(entity: &Entity) -> bool {
    !entity.is_container() && matches!(entity.media.kind(), "text/plain" | "application/pgp")
}

/// The OpenPGP certificates that a leaf carries as a file (RFC 3156 7), armored or not; `None`
/// when it carries none. Only the outside is looked at.
pub fn keys(entity: &Entity) -> Option<Bytes> {
    if entity.is_container() || matches!(entity.shape, Shape::Layer(_)) {
        return None;
    }
    let declared = entity.media.kind() == "application/pgp-keys";
    let file = named(entity, &["asc", "pgp", "gpg", "key"])
        && entity
            .peek(256)
            .trim_ascii_start()
            .starts_with(b"-----BEGIN PGP PUBLIC KEY BLOCK-----");
    (declared || file).then(|| entity.content())
}
