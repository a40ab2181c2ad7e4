//! A draft's header fields, encoded and folded (RFC 5322 3.6, RFC 2047, RFC 6532).
//!
//! No value can end its line: control characters are refused, so one field is always one
//! field. Nothing here tells the time zone, the host or the program.

use mail_builder::headers::Header as _;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;

use super::encode;
use super::head::{HEAD_MAX, Head, structural};
use crate::base::context::parse_rfc3339;
use crate::base::draft::{Draft, ExtraHeader};
use crate::base::error::{Error, Result};
use crate::base::{Address, Mailbox};

/// One header field, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldOut {
    /// As it is spelled.
    pub name: String,
    /// Decoded, as a reader will see it.
    pub value: String,
    /// The whole field, encoded and folded, with its line end.
    pub line: Vec<u8>,
}

/// Whether those who must not be seen stand in the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bcc {
    Keep,
    Drop,
}

/// The most bytes of header fields that are written: half of what is read.
pub const FIELDS_BYTES_MAX: usize = HEAD_MAX / 2;

/// The longest word that is left unbroken in a line.
const WORD_MAX: usize = 900;

/// Where lines are folded.
const FOLD: usize = 76;

impl FieldOut {
    /// A field out of its encoded line; `None` when it is not exactly one field.
    pub fn of_line(line: Vec<u8>) -> Option<FieldOut> {
        let head = Head::parse(line.clone().into()).ok()?;
        let mut fields = head.fields();
        let (field, None) = (fields.next()?, fields.next()) else {
            return None;
        };
        if field.line().len() != line.len() || !head.faults().is_empty() {
            return None;
        }
        Some(FieldOut {
            name: field.name().to_owned(),
            value: field.text(),
            line,
        })
    }

    /// Unstructured text under a name.
    ///
    /// # Errors
    /// `request.invalid` at `path` for control characters or a name that can't be one.
    pub fn text(name: &str, value: &str, path: &str) -> Result<FieldOut> {
        check_name(name, path)?;
        check(value, path)?;
        Ok(made(name, |column, out| unstructured(value, column, out)))
    }

    /// A value whose words may be broken anywhere, as Autocrypt's base64 may. ASCII only.
    ///
    /// # Errors
    /// `internal` when the value is not printable ASCII.
    pub fn breakable(name: &str, value: &str) -> Result<FieldOut> {
        if !value.bytes().all(|b| matches!(b, b' '..=b'~')) || check_name(name, "").is_err() {
            return Err(Error::internal(
                "a header field that was made here can't be written",
            ));
        }
        Ok(made(name, |column, out| {
            let mut column = column;
            for word in value.split(' ').filter(|word| !word.is_empty()) {
                for (i, piece) in word.as_bytes().chunks(FOLD - 2).enumerate() {
                    let space = i == 0 && column > name.len() + 2;
                    if i > 0 || column + piece.len() + 1 > FOLD {
                        out.extend_from_slice(b"\r\n ");
                        column = 1;
                    } else if space {
                        out.push(b' ');
                        column += 1;
                    }
                    out.extend_from_slice(piece);
                    column += piece.len();
                }
            }
            out.extend_from_slice(b"\r\n");
        }))
    }

    /// A list of mailboxes under a name. A domain beyond ASCII is written as A-labels where the
    /// local part allows it, so that every server can carry the message.
    ///
    /// # Errors
    /// `request.invalid` at `path` for control characters in a display name.
    pub fn mailboxes(name: &str, list: &[Mailbox], path: &str) -> Result<FieldOut> {
        for mailbox in list {
            check(mailbox.name.as_deref().unwrap_or_default(), path)?;
        }
        Ok(made(name, |column, out| mailboxes(list, column, out)))
    }

    /// The value as it stands on the wire, unfolded but not decoded.
    pub fn raw(&self) -> String {
        Head::parse(self.line.clone().into())
            .ok()
            .and_then(|head| head.fields().next().map(|field| field.unfolded()))
            .unwrap_or_default()
    }

    /// Whether it has this name, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// A field whose value `write` writes, line end included.
fn made(name: &str, write: impl FnOnce(usize, &mut Vec<u8>)) -> FieldOut {
    let mut line = format!("{name}: ").into_bytes();
    write(name.len() + 2, &mut line);
    if line.ends_with(b": \r\n") {
        // An empty value leaves no white space at the line's end.
        line.truncate(name.len() + 1);
        line.extend_from_slice(b"\r\n");
    }
    FieldOut::of_line(line.clone()).unwrap_or_else(|| FieldOut {
        name: name.to_owned(),
        value: String::new(),
        line,
    })
}

/// The header fields of a draft, in the order people expect. `now` is in seconds since the Unix
/// epoch, and is the date when the draft has none.
///
/// # Errors
/// `request.invalid` with the pointer of what can't be written.
pub fn fields(draft: &Draft, now: u64, bcc: Bcc) -> Result<Vec<FieldOut>> {
    let mut out = Vec::new();
    let Some(from) = &draft.from else {
        return Err(Error::invalid(
            "/draft/from",
            "a sender is needed; give from",
        ));
    };
    out.push(date(draft.date.as_deref(), now)?);
    out.push(FieldOut::mailboxes(
        "From",
        std::slice::from_ref(from),
        "/draft/from",
    )?);
    for (name, list, path) in [
        ("Reply-To", &draft.reply_to, "/draft/replyTo"),
        ("To", &draft.to, "/draft/to"),
        ("Cc", &draft.cc, "/draft/cc"),
        ("Bcc", &draft.bcc, "/draft/bcc"),
    ] {
        if list.is_empty() || name == "Bcc" && bcc == Bcc::Drop {
            continue;
        }
        out.push(FieldOut::mailboxes(name, list, path)?);
    }
    if !draft.subject.is_empty() {
        out.push(FieldOut::text("Subject", &draft.subject, "/draft/subject")?);
    }
    let id = match &draft.message_id {
        Some(id) => id.clone(),
        None => message_id(&from.address)?,
    };
    out.push(ids("Message-ID", &[id], "/draft/messageId")?);
    if !draft.in_reply_to.is_empty() {
        out.push(ids("In-Reply-To", &draft.in_reply_to, "/draft/inReplyTo")?);
    }
    if !draft.references.is_empty() {
        out.push(ids("References", &draft.references, "/draft/references")?);
    }
    for (i, ExtraHeader { name, value }) in draft.headers.iter().enumerate() {
        let path = format!("/draft/headers/{i}");
        if is_reserved(name) {
            return Err(Error::invalid(
                format!("{path}/name"),
                "this header field has its own place or can't be set; leave it out of headers",
            ));
        }
        check_name(name, &format!("{path}/name"))?;
        out.push(FieldOut::text(name, value, &format!("{path}/value"))?);
    }
    if out.iter().map(|field| field.line.len()).sum::<usize>() > FIELDS_BYTES_MAX {
        return Err(Error::invalid(
            "/draft",
            "the header fields are too long; shorten them",
        ));
    }
    Ok(out)
}

/// A message id of our own: 128 random bits at the sender's domain. Neither host nor clock.
///
/// # Errors
/// `internal` when the system has no randomness.
pub fn message_id(from: &Address) -> Result<String> {
    Ok(format!("{}@{}", encode::random_hex::<16>()?, from.domain()))
}

/// `Date`, in UTC (RFC 5322 3.3).
fn date(given: Option<&str>, now: u64) -> Result<FieldOut> {
    let invalid = || Error::invalid("/draft/date", "not a date; give RFC 3339");
    let seconds = match given {
        Some(text) => parse_rfc3339(text).ok_or_else(invalid)?,
        None => now,
    };
    let seconds = i64::try_from(seconds).map_err(|_| invalid())?;
    Ok(made("Date", |_, out| {
        out.extend_from_slice(Date::new(seconds).to_rfc822().as_bytes());
        out.extend_from_slice(b"\r\n");
    }))
}

/// Message ids under a name (RFC 5322 3.6.4).
///
/// # Errors
/// `request.invalid` at `path` for what is no message id.
pub fn ids(name: &str, ids: &[String], path: &str) -> Result<FieldOut> {
    for id in ids {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>');
        if id.is_empty() || id.len() > WORD_MAX || !id.chars().all(plain) {
            return Err(Error::invalid(
                path,
                "not a message id; give it without angle brackets and white space",
            ));
        }
    }
    let list = MessageId::new_list(ids.iter().map(String::as_str));
    Ok(made(name, |column, out| list.write_header(out, column)))
}

/// Refuses what could end a line or hide something.
fn check(value: &str, path: &str) -> Result<()> {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Error::invalid(
            path,
            "a header field can't hold line ends or control characters; take them out",
        ));
    }
    Ok(())
}

fn check_name(name: &str, path: &str) -> Result<()> {
    let printable = |b: u8| (33..=126).contains(&b) && b != b':';
    if name.is_empty() || name.len() > FOLD || !name.bytes().all(printable) {
        return Err(Error::invalid(
            path,
            "not a header field name; use letters, digits and dashes",
        ));
    }
    Ok(())
}

/// Fields that a draft has a place for, that structure a message, or that speak for others.
pub fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 21] = [
        "from",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "in-reply-to",
        "references",
        "sender",
        "return-path",
        "received",
        "hp-outer",
        "sealpost-draft",
        "sealpost-answer",
        "autocrypt",
        "autocrypt-gossip",
        "dkim-signature",
        "authentication-results",
        "apparently-to",
    ];
    let lower = name.to_ascii_lowercase();
    structural(&lower) || lower.starts_with("resent-") || NAMES.contains(&lower.as_str())
}

/// Text that needs no encoding and reads back as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
        && !text.contains("=?")
        && !text.contains("  ")
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && text.split(' ').all(|word| word.len() <= WORD_MAX)
}

fn unstructured(value: &str, column: usize, out: &mut Vec<u8>) {
    if is_plain(value) {
        Raw::new(value).write_header(out, column);
    } else if value.is_ascii() {
        // What only looks encoded, and white space that folding would change.
        words(value, column, out);
        out.extend_from_slice(b"\r\n");
    } else {
        Text::new(value).write_header(out, column);
    }
}

/// What an encoded word has beside its text.
const WORD_MARKS: usize = "=?utf-8?B??=".len();

/// How many bytes of text an encoded word can hold behind `column`; `None`: not worth it.
fn word_room(column: usize) -> Option<usize> {
    // 45 bytes are 60 characters; with the marks 72 of the 75 allowed.
    let room = (FOLD.saturating_sub(column + WORD_MARKS) / 4 * 3).min(45);
    (room >= 9).then_some(room)
}

/// Encoded words of the "B" encoding, folded; gives the column after them.
pub(super) fn words(text: &str, column: usize, out: &mut Vec<u8>) -> usize {
    let mut column = column;
    let mut rest = text;
    while !rest.is_empty() {
        let mut room = match word_room(column).filter(|_| rest.len() == text.len()) {
            Some(room) => room,
            None => {
                out.extend_from_slice(b"\r\n ");
                column = 1;
                45
            }
        }
        .min(rest.len());
        while !rest.is_char_boundary(room) {
            room -= 1;
        }
        let (piece, after) = rest.split_at_checked(room).unwrap_or((rest, ""));
        out.extend_from_slice(b"=?utf-8?B?");
        base64_simd::STANDARD.encode_append(piece, out);
        out.extend_from_slice(b"?=");
        column += WORD_MARKS + piece.len().div_ceil(3) * 4;
        rest = after;
    }
    column
}

fn mailboxes(list: &[Mailbox], column: usize, out: &mut Vec<u8>) {
    let mut column = column;
    for (i, Mailbox { name, address }) in list.iter().enumerate() {
        let last = i + 1 == list.len();
        let spec = format!("<{}>{}", spelled(address), if last { "" } else { "," });
        let mut space = i > 0;
        match name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            Some(name) if is_plain(name) && name.len() < FOLD => {
                let phrase = phrase(name);
                column = put(phrase.as_bytes(), space, column, out);
                space = true;
            }
            Some(name) => {
                if space && word_room(column + 1).is_none() {
                    // No white space before a line end.
                    out.extend_from_slice(b"\r\n ");
                    column = 1;
                } else if space {
                    out.push(b' ');
                    column += 1;
                }
                column = words(name, column, out);
                space = true;
            }
            None => {}
        }
        column = put(spec.as_bytes(), space, column, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes one piece, on a new line where it doesn't fit; gives the column after it.
fn put(piece: &[u8], space: bool, column: usize, out: &mut Vec<u8>) -> usize {
    let mut column = column;
    if space && column + 1 + piece.len() > FOLD {
        out.extend_from_slice(b"\r\n ");
        column = 1;
    } else if space {
        out.push(b' ');
        column += 1;
    }
    out.extend_from_slice(piece);
    column + piece.len()
}

/// A plain display name: as it is when it is made of atoms, quoted otherwise.
fn phrase(name: &str) -> String {
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~ ".contains(&b);
    if name.bytes().all(atom) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An address as it is sent.
fn spelled(address: &Address) -> String {
    match address.as_str().rsplit_once('@') {
        Some((local, domain)) if local.is_ascii() && !domain.is_ascii() => {
            format!("{local}@{}", address.domain())
        }
        _ => address.as_str().to_owned(),
    }
}
