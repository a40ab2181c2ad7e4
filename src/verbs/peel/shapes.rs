//! What the shape of a message and of its parts says of how they are to be read.

use bytes::Bytes;

use crate::base::body::as_text;
use crate::base::verdict::Disposition;
use crate::mail::layers::{Multi, Shape};
use crate::mail::{Entity, Fault, Field, Head, layers, split};
use crate::verbs::headers;

/// What a layer's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inside {
    /// A MIME entity.
    Entity,
    /// A MIME entity by the rules, and a bare text from some senders.
    Payload,
    /// Text of this charset.
    Text(String),
    /// As `Text`; what stands in its place as long as it stays closed.
    Block { charset: String, given: Bytes },
    /// A file of this name.
    File(Option<String>),
    /// A MIME entity if it begins like one, else text or a file.
    Unknown,
}

/// The message that stands in a payload for the payload itself, as RFC 8551 3.1 had it: nothing
/// else is there, nothing says `hp`, and it is no layer of its own (RFC 9788 4.10.1). One from
/// somebody else is a forwarded message, which is what the outer signature then says, and so is one
/// with a line among its fields that is none: two readers may differ on where they end.
pub(super) fn wrapped(payload: &Entity, outer: &Head) -> Option<Entity> {
    if payload.media.kind() != "message/rfc822" || payload.media.param("hp").is_some() {
        return None;
    }
    let message = Entity::parse(payload.content(), &payload.id).ok()?;
    let is_layer = layers::layer(&message).is_some() || layers::in_gpgol_file(&message).is_some();
    let is_stray = message.faults.contains(&Fault::StrayLine);
    let plain = !is_layer && !is_stray && message.media.param("hp").is_none();
    let from = headers::single_from(&message.head)?;
    let same = headers::single_from(outer).as_ref() == Some(&from);
    (plain && same).then_some(message)
}

/// Whether a layer is one of several files that go with a text (RFC 9787 6.2.2): opened like any
/// other, and never shown as what the message says. One that is marked as a file and stands alone
/// beside a text is what servers and lists make of a whole message.
pub(super) fn is_file_among_files(entity: &Entity, index: usize, control: Option<usize>) -> bool {
    let marked = |part: &Entity| {
        let field = part.head.first("content-disposition");
        let value = field.map(|field| field.unfolded().trim().to_ascii_lowercase());
        value.is_some_and(|value| value.starts_with("attachment"))
    };
    let is_layer = |part: &Entity| layers::layer(part).is_some();
    let children = entity.children.iter().enumerate();
    let mut others = children.filter(|(at, _)| *at != index && Some(*at) != control);
    let sealed = |part: &Entity| is_layer(part) || control.is_some_and(|at| at + 1 == index);
    entity.media.kind() == "multipart/mixed"
        && index > 0
        && entity
            .children
            .get(index)
            .is_some_and(|part| marked(part) && sealed(part))
        && others.any(|(_, part)| marked(part) && !is_layer(part))
}

/// Which child of a `multipart/alternative` is shown: the last that is text, or holds some that
/// anybody can read. An encrypted one may stay closed, and then nothing would be shown.
pub(super) fn shown_child(entity: &Entity) -> Option<usize> {
    if entity.media.kind() != "multipart/alternative" {
        return None;
    }
    let readable = |child: &Entity| is_readable(child, true);
    let last = entity.children.iter().rposition(readable);
    Some(last.unwrap_or_default())
}

/// Whether there is text in it outside every encryption. `first`: it stands where a message has
/// its text.
fn is_readable(entity: &Entity, first: bool) -> bool {
    match entity.shape {
        Shape::Layer(Multi::PgpEncrypted | Multi::PgpEncryptedMangled) => false,
        _ if entity.media.top() == "multipart" => {
            let mut children = entity.children.iter().enumerate();
            children.any(|(at, child)| is_readable(child, stands_first(entity, at, first)))
        }
        _ if first => is_letter(entity),
        _ => is_letter(entity) && entity.name().is_none(),
    }
}

/// Whether a child stands where a message has its text, where its parent does or does not: one
/// that comes first, and each alternative. Lists put mail with their footers this way.
pub(super) fn stands_first(parent: &Entity, index: usize, parent_first: bool) -> bool {
    parent.media.kind() == "multipart/alternative" || parent_first && index == 0
}

/// Whether a leaf is text that nobody calls an attachment. It may have a name.
pub(super) fn is_letter(entity: &Entity) -> bool {
    let said = entity.head.first("content-disposition").is_some();
    matches!(entity.media.kind(), "text/plain" | "text/html")
        && (entity.disposition() == Disposition::Inline || !said)
}

/// What content is that may be several things: a MIME entity begins with fields, and among these is
/// one that says how the rest is to be read. A text that begins `Bob: no.` has none, and whatever
/// stands before an empty line must not be lost.
pub(super) fn resolve(inside: Inside, content: &Bytes) -> Inside {
    match inside {
        // Without any field it is text/plain (RFC 2045 5.2).
        Inside::Payload if content.starts_with(b"\n") || content.starts_with(b"\r\n") => {
            Inside::Entity
        }
        Inside::Payload if begins_as_entity(content, &STRUCTURAL) => Inside::Entity,
        // Nobody says of which charset a bare text is.
        Inside::Payload => Inside::Text(String::new()),
        Inside::Unknown if begins_as_entity(content, &STRUCTURAL[..1]) => Inside::Entity,
        Inside::Unknown if is_text(content) => Inside::Text(String::new()),
        Inside::Unknown => Inside::File(None),
        known => known,
    }
}

/// Whether content without any word of what it is is text: UTF-8, or of an older charset, without
/// the control characters that files are full of.
fn is_text(content: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !b"\t\n\r\x0C".contains(byte);
    as_text(content).is_some() || !content.iter().any(is_control)
}

/// Fields that say how an entity is to be read (RFC 2045, RFC 2183).
const STRUCTURAL: [&str; 3] = [
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
];

/// Whether there is a header section with one of these fields, and its first line is a field.
fn begins_as_entity(content: &Bytes, names: &[&str]) -> bool {
    // Long lists of recipients stand before what says so.
    let (section, _) = split::head(content);
    let section = content.slice(section);
    let is_one = |field: &[u8]| {
        let name = field.split(|byte| *byte == b':').next();
        let name = name.unwrap_or_default().trim_ascii();
        names
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    if let Ok(head) = Head::parse(section.clone()) {
        let first = section.split(|byte| *byte == b'\n').next();
        let first = first.unwrap_or_default().trim_ascii_end().len();
        let first = Head::parse(section.slice(..first));
        return first.is_ok_and(|line| line.fields().next().is_some())
            && head
                .fields()
                .any(|field| is_one(field.name().as_bytes()) && says_something(&field));
    }
    // One with too many fields is an entity that can't be read, and no text.
    section.split(|byte| *byte == b'\n').any(is_one)
}

/// Whether a field has the form of those that say how an entity is to be read: one word before
/// its parameters, of which a media type has two parts. `Content-Type: is what matters.` has not.
fn says_something(field: &Field<'_>) -> bool {
    let value = field.unfolded();
    let word = value.split([';', '(']).next().unwrap_or_default().trim();
    let one = !word.is_empty() && !word.contains(char::is_whitespace);
    one && (!field.is("content-type") || word.contains('/') || word.eq_ignore_ascii_case("text"))
}

/// The name of a file before it was encrypted.
pub(super) fn without_suffix(name: &str) -> String {
    for suffix in [".pgp", ".gpg", ".asc"] {
        let cut = name.len().saturating_sub(suffix.len());
        if let Some((stem, end)) = name.split_at_checked(cut)
            && end.eq_ignore_ascii_case(suffix)
            && !stem.is_empty()
        {
            return stem.to_owned();
        }
    }
    name.to_owned()
}
