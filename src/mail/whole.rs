//! A message or an entity that came whole, made fit for sealing: fields apart, the body
//! canonical and seven bits wide. What fits already keeps its bytes.

use bytes::Bytes;

use super::compose;
use super::decode::Transfer;
use super::encode;
use super::entity::Entity;
use super::fields::FieldOut;
use super::layers::Shape;
use super::split;
use crate::base::error::{Error, Result};

/// A whole message taken apart.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Everything that does not describe the MIME structure, byte for byte (line ends apart).
    pub fields: Vec<FieldOut>,
    /// The rest as one MIME entity.
    pub entity: Vec<u8>,
}

/// Takes a whole RFC 5322 message apart for sealing.
///
/// # Errors
/// `message.malformed` when its header section is not one; `limit.exceeded`.
pub fn split_message(message: &Bytes) -> Result<Parts> {
    let root = Entity::parse(message.clone(), "")?;
    let mut fields = Vec::new();
    for field in root.head.fields().filter(|field| !field.is_structural()) {
        let line = ended(split::crlf(field.line()));
        fields.push(FieldOut::of_line(line).ok_or_else(|| {
            Error::malformed("the message has a broken header section; repair it first")
        })?);
    }
    let stray = root.faults.iter().any(|fault| {
        matches!(
            fault,
            super::Fault::StrayLine | super::Fault::Nul | super::Fault::BareCr
        )
    });
    if stray {
        return Err(Error::malformed(
            "the message has a broken header section; repair it first",
        ));
    }
    Ok(Parts {
        fields,
        entity: rewritten(&root, Keep::Structural)?,
    })
}

/// A MIME entity out of what a client gave as payload: an entity when it says what it is,
/// else plain text.
///
/// # Errors
/// `request.invalid` when it is neither; `limit.exceeded`.
pub fn entity_of(payload: &Bytes) -> Result<Vec<u8>> {
    let root = Entity::parse(payload.clone(), "1")?;
    if root.head.first("content-type").is_some() && root.faults.iter().all(|f| !f.ambiguous()) {
        return rewritten(&root, Keep::Structural);
    }
    if std::str::from_utf8(payload).is_err() {
        return Err(Error::invalid(
            "/payload",
            "neither a MIME entity nor UTF-8 text; give one of them",
        ));
    }
    Ok(compose::plain_text(payload))
}

/// Which fields of a header section are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    /// `Content-*`; `MIME-Version` stands outside.
    Structural,
}

fn rewritten(entity: &Entity, keep: Keep) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(encode::file_room(entity.whole.len()));
    write(entity, keep, 0, &mut out)?;
    Ok(out)
}

/// How often a message may stand in a message while being rewritten.
const MESSAGES_MAX: usize = 16;

fn write(entity: &Entity, keep: Keep, messages: usize, out: &mut Vec<u8>) -> Result<()> {
    let canonical =
        match entity.media.top() == "multipart" || entity.transfer() != Transfer::Identity {
            // Line ends are only structure there.
            true => split::crlf(&entity.body),
            false if is_binary(entity) => entity.body.to_vec(),
            false => split::crlf(&entity.body),
        };
    // A signature inside covers its bytes as they are.
    let sealed = matches!(entity.shape, Shape::Layer(_));
    if sealed || encode::is_safe(&canonical, encode::LINE_MAX) {
        head(entity, keep, Encoding::Kept, out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&canonical);
        return Ok(());
    }
    if let (true, Some(boundary)) = (entity.is_container(), entity.media.boundary()) {
        head(entity, keep, Encoding::Replaced, out);
        out.extend_from_slice(b"\r\n");
        for (i, child) in entity.children.iter().enumerate() {
            let start = if i == 0 { "" } else { "\r\n" };
            out.extend_from_slice(format!("{start}--{boundary}\r\n").as_bytes());
            write(child, Keep::All, messages, out)?;
        }
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        return Ok(());
    }
    if entity.media.kind() == "message/rfc822" && entity.transfer() == Transfer::Identity {
        if messages >= MESSAGES_MAX {
            return Err(Error::limit(
                "mimeDepth",
                "the message is nested too deeply; it can't be sealed",
            ));
        }
        head(entity, keep, Encoding::Replaced, out);
        out.extend_from_slice(b"\r\n");
        let inner = Entity::parse(entity.body.clone(), "1")?;
        return write(&inner, Keep::All, messages + 1, out);
    }
    head(entity, keep, Encoding::Replaced, out);
    match (entity.media.top(), entity.transfer()) {
        ("text", Transfer::Identity) => encode::text(&canonical, out),
        ("text", _) => encode::text(&split::crlf(&entity.content()), out),
        (_, Transfer::Identity) => encode::file(&canonical, out),
        _ => encode::file(&entity.content(), out),
    }
    Ok(())
}

/// Whether every byte of an unencoded body counts, line ends as well.
fn is_binary(entity: &Entity) -> bool {
    let binary = entity
        .head
        .first("content-transfer-encoding")
        .is_some_and(|field| field.unfolded().eq_ignore_ascii_case("binary"));
    binary && !matches!(entity.media.top(), "text" | "message" | "multipart")
}

/// What becomes of the transfer encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Kept,
    Replaced,
}

fn head(entity: &Entity, keep: Keep, encoding: Encoding, out: &mut Vec<u8>) {
    for field in entity.head.fields() {
        let wanted = keep == Keep::All || field.is_structural() && !field.is("mime-version");
        let replaced = encoding == Encoding::Replaced && field.is("content-transfer-encoding");
        if wanted && !replaced {
            out.extend_from_slice(&ended(split::crlf(field.line())));
        }
    }
}

/// A line with an end, where the message had none.
fn ended(mut line: Vec<u8>) -> Vec<u8> {
    if !line.ends_with(b"\n") {
        line.extend_from_slice(b"\r\n");
    }
    line
}
