//! A draft's body as one MIME entity: structural fields and content, canonical CRLF, fit for
//! signing and for every transport.
//!
//! text, HTML, or both as alternatives; images that the HTML shows related to it; files beside
//! it. Files keep every byte; text and HTML keep all but the spelling of their line ends.

use mail_builder::headers::Header as _;
use mail_builder::headers::content_type::ContentType;

use zeroize::Zeroizing;

use super::encode;
use super::fields::words;
use super::media::{Media, is_token};
use crate::base::body::as_text;
use crate::base::draft::{Attachment, Draft};
use crate::base::error::{Error, Result};

/// The longest file name written, in bytes: four times what file systems allow.
pub const NAME_MAX: usize = 1_020;

/// The most files of one draft: what a reader's cap on parts leaves room for.
pub const ATTACHMENTS_MAX: usize = 1_000;

/// Room left in a body for the header fields that protection puts into it: a growing buffer
/// would copy every attachment once more.
const HEADROOM: usize = 64 * 1024;

/// The draft's body.
///
/// # Errors
/// `request.invalid` with the pointer of what can't be written; `blob.unknown` for a body
/// that was not resolved.
pub fn body(draft: &Draft) -> Result<Vec<u8>> {
    if draft.attachments.len() > ATTACHMENTS_MAX {
        return Err(Error::invalid(
            "/draft/attachments",
            "too many attachments; send fewer",
        ));
    }
    let text = written(draft.text.as_ref(), "text/plain", "/draft/text")?;
    let html = written(draft.html.as_ref(), "text/html", "/draft/html")?;
    let (mut related, mut files) = (Vec::new(), Vec::new());
    for (i, attachment) in draft.attachments.iter().enumerate() {
        let file = file(attachment, i)?;
        match file.cid.is_some() && html.is_some() {
            true => related.push(Node::File(File {
                inline: true,
                ..file
            })),
            false => files.push(Node::File(file)),
        }
    }
    let html = html.map(|html| match related.is_empty() {
        true => html,
        false => {
            related.insert(0, html);
            Node::Multi {
                kind: "related",
                nodes: related,
            }
        }
    });
    let main = match (text, html) {
        (Some(text), Some(html)) => Some(Node::Multi {
            kind: "alternative",
            nodes: vec![text, html],
        }),
        (text, html) => text.or(html),
    };
    let root = match (main, files.is_empty()) {
        (Some(main), true) => main,
        (None, true) => Node::Text {
            kind: "text/plain",
            text: Zeroizing::default(),
        },
        (main, false) => {
            files.splice(0..0, main);
            Node::Multi {
                kind: "mixed",
                nodes: files,
            }
        }
    };
    let mut out = Vec::with_capacity(root.room() + HEADROOM);
    root.write(&mut out)?;
    Ok(out)
}

/// Plain text as one MIME entity.
pub fn plain_text(text: &[u8]) -> Vec<u8> {
    let text = Zeroizing::new(encode::canonical(text));
    let mut out = Vec::with_capacity(encode::file_room(text.len()));
    write_text("text/plain", &text, &mut out);
    out
}

/// One part before it is written.
enum Node<'a> {
    Text {
        kind: &'static str,
        text: Zeroizing<Vec<u8>>,
    },
    File(File<'a>),
    Multi {
        kind: &'static str,
        nodes: Vec<Node<'a>>,
    },
}

struct File<'a> {
    kind: String,
    name: Option<&'a str>,
    cid: Option<&'a str>,
    inline: bool,
    data: &'a [u8],
    /// A message that needs no encoding, and must have none (RFC 2046 5.2.1).
    message: bool,
}

/// A text body made canonical.
fn written(
    body: Option<&crate::base::Body>,
    kind: &'static str,
    path: &str,
) -> Result<Option<Node<'static>>> {
    let Some(body) = body else { return Ok(None) };
    let bytes = body.bytes()?;
    let text = as_text(bytes).ok_or_else(|| {
        Error::invalid(path, "a text has to be UTF-8 without NUL; give it as such")
    })?;
    let text = Zeroizing::new(encode::canonical(text.as_bytes()));
    Ok(Some(Node::Text { kind, text }))
}

fn file(attachment: &Attachment, i: usize) -> Result<File<'_>> {
    let path = |field: &str| format!("/draft/attachments/{i}/{field}");
    let name = attachment.name.as_deref().filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.len() > NAME_MAX || name.chars().any(char::is_control)) {
        return Err(Error::invalid(
            path("name"),
            "a file name can't be that long or hold control characters; change it",
        ));
    }
    let cid = attachment
        .content_id
        .as_deref()
        .filter(|cid| !cid.is_empty());
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>');
    if cid.is_some_and(|cid| cid.len() > 250 || !cid.bytes().all(plain)) {
        return Err(Error::invalid(
            path("contentId"),
            "not a content id; give ASCII without angle brackets and white space",
        ));
    }
    let kind = match attachment
        .media_type
        .as_deref()
        .filter(|kind| !kind.is_empty())
    {
        None => "application/octet-stream".to_owned(),
        Some(kind) => media_type(kind)
            .ok_or_else(|| Error::invalid(path("type"), "not a media type; give type/subtype"))?,
    };
    let data: &[u8] = attachment.body.bytes()?;
    let message = kind == "message/rfc822" && encode::is_safe(data, encode::LINE_MAX);
    // Neither messages nor multiparts may be encoded, and every byte counts: as a mere file
    // they may.
    let composite = kind.starts_with("message/") || kind.starts_with("multipart/");
    let kind = match composite && !message {
        true => "application/octet-stream".to_owned(),
        false => kind,
    };
    Ok(File {
        kind,
        name,
        cid,
        inline: false,
        data,
        message,
    })
}

/// A media type as a request gives it, its charset kept, other parameters left out.
fn media_type(given: &str) -> Option<String> {
    let bare = given.split(';').next()?.trim().to_ascii_lowercase();
    let (top, sub) = bare.split_once('/')?;
    let token = |t: &str| !t.is_empty() && t.len() <= 127 && t.bytes().all(is_token);
    if !token(top) || !token(sub) {
        return None;
    }
    let charset = Media::parse(given).ok()?;
    Some(match charset.param("charset") {
        Some(charset) if token(charset) && top == "text" => format!("{bare}; charset={charset}"),
        _ => bare,
    })
}

impl Node<'_> {
    /// About how many bytes it will be, never less: one allocation for all.
    fn room(&self) -> usize {
        match self {
            // Quoted-printable is chosen only where it is not longer than base64, by and large.
            Node::Text { text, .. } => encode::file_room(text.len()) + text.len() / 4 + 256,
            Node::File(file) => encode::file_room(file.data.len()) + 5 * 1024,
            Node::Multi { nodes, .. } => {
                512 + nodes.iter().map(|node| node.room() + 64).sum::<usize>()
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Node::Text { kind, text } => write_text(kind, text, out),
            Node::File(file) => file.write(out),
            Node::Multi { kind, nodes } => {
                // Random is enough here: what follows is not written yet, and most of it can't
                // hold the mark that every boundary has.
                let boundary = encode::boundary(b"")?;
                out.extend_from_slice(format!("Content-Type: multipart/{kind};\r\n").as_bytes());
                if *kind == "related" {
                    out.extend_from_slice(b" type=\"text/html\";\r\n");
                }
                out.extend_from_slice(format!(" boundary=\"{boundary}\"\r\n\r\n").as_bytes());
                for (i, node) in nodes.iter().enumerate() {
                    let start = if i == 0 { "" } else { "\r\n" };
                    out.extend_from_slice(format!("{start}--{boundary}\r\n").as_bytes());
                    node.write(out)?;
                }
                out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            }
        }
        Ok(())
    }
}

fn write_text(kind: &str, text: &[u8], out: &mut Vec<u8>) {
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    // Only text that has soft breaks already is flowed (RFC 3676): saying so of other text
    // would change it.
    let flowed = match kind == "text/plain" && is_flowed(text) {
        true => "; format=flowed",
        false => "",
    };
    out.extend_from_slice(
        format!("Content-Type: {kind}; charset={charset}{flowed}\r\n").as_bytes(),
    );
    encode::text(text, out);
}

/// Whether a canonical text has a soft break: a space at the end of a line that is not empty
/// and not the signature mark, with a line after it.
fn is_flowed(text: &[u8]) -> bool {
    memchr::memmem::find_iter(text, b" \r\n").any(|at| {
        let before = text.get(..at).unwrap_or_default();
        let mut line = before.iter().rev().take_while(|b| **b != b'\n').take(4);
        let last = [line.next(), line.next(), line.next()];
        !matches!(last, [None, ..] | [Some(b'-'), Some(b'-'), None]) && at + 3 < text.len()
    })
}

impl File<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(self.kind.as_bytes());
        if let Some(name) = self.name {
            out.extend_from_slice(b";\r\n ");
            // For readers that know RFC 2047 alone.
            match is_simple(name) {
                true => parameter("name", name, out),
                false => {
                    out.extend_from_slice(b"name=\"");
                    words(name, 7, out);
                    out.push(b'"');
                }
            }
        }
        out.extend_from_slice(b"\r\nContent-Disposition: ");
        out.extend_from_slice(if self.inline {
            b"inline"
        } else {
            b"attachment"
        });
        if let Some(name) = self.name {
            out.extend_from_slice(b";\r\n ");
            parameter("filename", name, out);
        }
        out.extend_from_slice(b"\r\n");
        if let Some(cid) = self.cid {
            out.extend_from_slice(format!("Content-ID: <{cid}>\r\n").as_bytes());
        }
        if self.message {
            out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
            out.extend_from_slice(self.data);
        } else {
            encode::file(self.data, out);
        }
    }
}

/// A name that a quoted string carries as it is.
fn is_simple(name: &str) -> bool {
    name.len() <= 60
        && name
            .bytes()
            .all(|b| matches!(b, b' '..=b'~') && b != b'\\' && b != b'"')
        && !name.contains("=?")
        && name.trim() == name
}

/// One parameter, without a line end after it: quoted, or by RFC 2231.
pub(super) fn parameter(key: &str, value: &str, out: &mut Vec<u8>) {
    if is_simple(value) {
        let mut line = Vec::new();
        ContentType::new("")
            .attribute(key, value)
            .write_header(&mut line, 0);
        let line = line.trim_ascii();
        out.extend_from_slice(line.strip_prefix(b";").unwrap_or(line).trim_ascii());
        return;
    }
    let mut pieces = Vec::new();
    let mut piece = String::from("utf-8''");
    for c in value.chars() {
        let mut escaped = Vec::new();
        for b in c.encode_utf8(&mut [0; 4]).bytes() {
            match b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
                true => escaped.push(b),
                false => encode::hex(b'%', b, &mut escaped),
            }
        }
        // With the key, two stars, two digits and marks below 76.
        if key.len() + piece.len() + escaped.len() > 68 {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.extend(escaped.into_iter().map(char::from));
    }
    pieces.push(piece);
    let whole = pieces.len() == 1;
    for (i, piece) in pieces.iter().enumerate() {
        let (start, index) = match whole {
            true => ("", String::new()),
            false if i == 0 => ("", "0*".to_owned()),
            false => (";\r\n ", format!("{i}*")),
        };
        out.extend_from_slice(format!("{start}{key}*{index}={piece}").as_bytes());
    }
}
