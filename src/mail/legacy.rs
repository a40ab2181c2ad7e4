//! The Legacy Display: hidden fields said once more in the text, for readers that don't know
//! header protection (RFC 9788 5.2.2 to 5.2.4, 10.3).
//!
//! Taking it off again is for [`super::protect`].

use bytes::Bytes;

use super::compose::parameter;
use super::encode;
use super::entity::Entity;
use super::fields::FieldOut;
use super::html::LEGACY_DISPLAY;
use super::layers::Shape;
use crate::base::error::Result;
use crate::base::verdict::Disposition;

/// The fields that people are shown (RFC 9787 1.1.2), as far as a policy may hide them.
const USER_FACING: [&str; 6] = ["Subject", "From", "To", "Cc", "Date", "Reply-To"];

/// The longest value that is said once more, in characters: it is there to be read.
const VALUE_MAX: usize = 2_000;

/// What a Legacy Display says: of the fields that people are shown those that stand outside
/// otherwise, or not at all.
pub fn lines(fields: &[FieldOut], outer: &[FieldOut]) -> Vec<String> {
    let hidden = |field: &&FieldOut| {
        let same = |out: &FieldOut| out.is(&field.name) && out.value == field.value;
        !field.value.trim().is_empty() && !outer.iter().any(same)
    };
    let shown = |name: &&str| fields.iter().filter(|field| field.is(name)).find(hidden);
    let line = |(name, field): (&str, &FieldOut)| {
        let value = field.value.chars().filter(|c| !c.is_control());
        let value: String = value.take(VALUE_MAX).collect();
        format!("{name}: {}", value.trim())
    };
    let named = USER_FACING.iter().map(|name| (*name, shown(name)));
    named
        .filter_map(|(name, field)| Some(line((name, field?))))
        .collect()
}

/// Puts a Legacy Display into the main body parts of an entity (RFC 9788 5.2.4). Everything else
/// keeps its bytes.
///
/// # Errors
/// `limit.exceeded` for an entity that can't be read.
pub fn put(entity: Vec<u8>, lines: &[String]) -> Result<Vec<u8>> {
    if lines.is_empty() {
        return Ok(entity);
    }
    let whole = Bytes::from(entity);
    let root = Entity::parse(whole.clone(), "1")?;
    let mut changes = Vec::new();
    main_parts(&root, &mut |part| {
        let start = place(&whole, &part.whole);
        changes.extend(start.map(|at| (at, at + part.whole.len(), changed(part, lines))));
    });
    drop(root);
    Ok(spliced(whole, changes))
}

/// Takes the marks of an earlier envelope's Legacy Display off an entity: readers would take the
/// first lines of its text for one. Everything else keeps its bytes.
///
/// # Errors
/// `limit.exceeded` for an entity that can't be read.
pub fn unmarked(entity: Vec<u8>) -> Result<Vec<u8>> {
    let whole = Bytes::from(entity);
    let root = Entity::parse(whole.clone(), "1")?;
    let mut changes = Vec::new();
    for part in root.leaves() {
        if !part.media.params().iter().any(|param| param.name == MARK) {
            continue;
        }
        let mut head = Vec::with_capacity(part.head.raw().len());
        for field in part.head.fields() {
            match field.is("content-type") {
                true => {
                    content_type(part, None, &mut head);
                    head.extend_from_slice(b"\r\n");
                }
                false => head.extend_from_slice(field.line()),
            }
        }
        let start = place(&whole, part.head.raw());
        changes.extend(start.map(|at| (at, at + part.head.raw().len(), head)));
    }
    drop(root);
    Ok(spliced(whole, changes))
}

/// What says that a text begins with a Legacy Display (RFC 9788 2.1.2).
const MARK: &str = "hp-legacy-display";

/// Where a piece of an entity stands in it.
fn place(whole: &Bytes, piece: &Bytes) -> Option<usize> {
    (piece.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)
}

/// An entity with other bytes from here to there.
fn spliced(whole: Bytes, changes: Vec<(usize, usize, Vec<u8>)>) -> Vec<u8> {
    let mut out = Vec::from(whole);
    for (start, end, part) in changes.into_iter().rev() {
        if end <= out.len() {
            out.splice(start..end, part);
        }
    }
    out
}

/// Shows every main body part, in order: text that is no file, reached through the first parts
/// of what is mixed or related, and through all alternatives.
fn main_parts(entity: &Entity, see: &mut dyn FnMut(&Entity)) {
    if !matches!(entity.shape, Shape::Plain) {
        return;
    }
    match entity.media.kind() {
        "multipart/mixed" | "multipart/related" => {
            if let Some(first) = entity.children.first() {
                main_parts(first, see);
            }
        }
        "multipart/alternative" => {
            for child in &entity.children {
                main_parts(child, see);
            }
        }
        // Text with a name is a file: its readers save it, and take nothing off it.
        "text/plain" | "text/html"
            if entity.disposition() == Disposition::Inline && entity.name().is_none() =>
        {
            see(entity);
        }
        _ => {}
    }
}

/// A part with the element in it, and said to have one.
fn changed(part: &Entity, lines: &[String]) -> Vec<u8> {
    let text = part.text();
    let text = String::from_utf8_lossy(&text);
    let text = match part.media.kind() {
        "text/html" => in_html(&text, lines),
        _ => format!("{}\r\n\r\n{text}", lines.join("\r\n")),
    };
    let text = zeroize::Zeroizing::new(encode::canonical(text.as_bytes()));
    let mut out = Vec::with_capacity(encode::file_room(text.len()) + part.head.raw().len());
    let replaced = ["content-type", "content-transfer-encoding"];
    for field in part.head.fields() {
        if !replaced.iter().any(|name| field.is(name)) {
            out.extend_from_slice(field.line());
        }
    }
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    content_type(part, Some(charset), &mut out);
    out.extend_from_slice(b";\r\n hp-legacy-display=\"1\"\r\n");
    encode::text(&text, &mut out);
    out
}

/// What a part is, without a mark, and of another charset where one is given. The line stays open.
fn content_type(part: &Entity, charset: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("Content-Type: {}", part.media.kind()).as_bytes());
    if let Some(charset) = charset {
        out.extend_from_slice(format!("; charset={charset}").as_bytes());
    }
    for param in part.media.params() {
        let replaced = charset.is_some() && param.name == "charset";
        if !replaced && param.name != MARK {
            out.extend_from_slice(b";\r\n ");
            parameter(&param.name, &param.value, out);
        }
    }
}

/// HTML with the element at the begin of its body.
fn in_html(html: &str, lines: &[String]) -> String {
    let mut escaped = String::new();
    for line in lines {
        super::html::escape(line, &mut escaped);
        escaped.push('\n');
    }
    let (before, after) = html.split_at_checked(body(html)).unwrap_or(("", html));
    format!("{before}<div class=\"{LEGACY_DISPLAY}\"><pre>{escaped}</pre></div>{after}")
}

/// Where the body of a page begins: behind its tag, or that of the head, or of the page.
pub(super) fn body(html: &str) -> usize {
    let lower = html.to_ascii_lowercase();
    for tag in ["<body", "</head", "<html", "<!doctype"] {
        let Some(at) = lower.find(tag) else { continue };
        let mut quote = None;
        for (offset, b) in lower.bytes().enumerate().skip(at) {
            match (quote, b) {
                (None, b'>') => return offset + 1,
                (None, b'"' | b'\'') => quote = Some(b),
                (Some(open), b) if open == b => quote = None,
                _ => {}
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_bytes() {
        let lines = ["Subject: s".to_owned()];
        for (field, changes) in [
            ("Content-Disposition: inline\r\n", true),
            ("Content-Disposition: inline; filename=\"a.txt\"\r\n", false),
            ("Content-Disposition: attachment\r\n", false),
        ] {
            let entity = format!("Content-Type: text/plain\r\n{field}\r\nText\r\n");
            let out = put(entity.clone().into_bytes(), &lines).unwrap();
            assert_eq!(out != entity.as_bytes(), changes, "{field}");
        }
    }

    #[test]
    fn the_body_of_a_page_is_found() {
        for (html, rest) in [
            ("<p>x", "<p>x"),
            (
                "<!DOCTYPE html><html><head><title>t</title></head><BODY class=\"a>b\"><p>x",
                "<p>x",
            ),
            ("<html><head></head><p>x", "<p>x"),
            ("<html lang=en><p>x", "<p>x"),
            ("<body x='", "<body x='"),
            ("<!doctype html>x", "x"),
        ] {
            assert_eq!(html.get(body(html)..), Some(rest), "{html}");
        }
    }
}
