//! A header section, field by field, over the bytes as they came (RFC 5322 2.2).
//!
//! Fields keep their exact ranges. Decoding happens when somebody asks for a value.

use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr, memchr_iter};

use super::addresses::{self, Addresses};
use super::fault::Fault;
use super::{decode, words};
use crate::base::Mailbox;
use crate::base::error::{Error, Result};

/// The most bytes of one header section. Ten times what the largest honest ones hold: a
/// post-quantum Autocrypt field and two thousand recipients.
pub const HEAD_MAX: usize = 256 * 1024;

/// The most fields of one header section; long delivery paths stay below two hundred.
pub const FIELDS_MAX: usize = 1_000;

/// Fields that must not stand twice, as they say how everything else is read.
const ONCE: [&str; 5] = [
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "mime-version",
    "content-id",
];

/// One header section.
#[derive(Debug, Clone, Default)]
pub struct Head {
    raw: Bytes,
    spans: Vec<Span>,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone)]
struct Span {
    name: Range<usize>,
    /// After the colon, up to the last line end.
    value: Range<usize>,
    /// The last line end included.
    end: usize,
}

impl Head {
    /// Reads a header section: the bytes before the empty line, line ends CRLF or LF.
    ///
    /// # Errors
    /// `limit.exceeded` for more than [`HEAD_MAX`] bytes or [`FIELDS_MAX`] fields.
    pub fn parse(raw: Bytes) -> Result<Head> {
        if raw.len() > HEAD_MAX {
            return Err(too_large());
        }
        let mut head = Head::default();
        let mut faults = Vec::new();
        let (mut crlf, mut lf, mut returns) = (0usize, 0usize, 0usize);
        let mut open = false;
        let mut start = 0;
        while let Some(rest) = raw.get(start..).filter(|rest| !rest.is_empty()) {
            let (length, has_end) =
                memchr(b'\n', rest).map_or((rest.len(), false), |i| (i + 1, true));
            let line = rest.get(..length).unwrap_or_default();
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let text = bare.strip_suffix(b"\r").unwrap_or(bare);
            if has_end {
                if text.len() < bare.len() {
                    crlf += 1
                } else {
                    lf += 1
                }
            }
            returns += memchr_iter(b'\r', text).count();
            let end = start + length;
            if matches!(text.first(), Some(b' ' | b'\t')) {
                if text.iter().all(|b| matches!(b, b' ' | b'\t')) {
                    Fault::BlankContinuation.note(&mut faults);
                }
                match head.spans.last_mut().filter(|_| open) {
                    Some(span) => {
                        span.value.end = start + text.len();
                        span.end = end;
                    }
                    None => Fault::StrayLine.note(&mut faults),
                }
            } else if let Some(name) = field_name(text) {
                if head.spans.len() >= FIELDS_MAX {
                    return Err(Error::limit(
                        "headerFields",
                        "the message has too many header fields; it can't be opened",
                    ));
                }
                let colon = memchr(b':', text).unwrap_or(name);
                head.spans.push(Span {
                    name: start..start + name,
                    value: start + colon + 1..start + text.len(),
                    end,
                });
                open = true;
            } else {
                Fault::StrayLine.note(&mut faults);
                open = false;
            }
            start = end;
        }
        if crlf > 0 && lf > 0 {
            Fault::MixedLineEnds.note(&mut faults);
        }
        if returns > 0 {
            Fault::BareCr.note(&mut faults);
        }
        if memchr(0, &raw).is_some() {
            Fault::Nul.note(&mut faults);
        }
        head.raw = raw;
        if ONCE.iter().any(|name| head.all(name).nth(1).is_some()) {
            Fault::DuplicateField.note(&mut faults);
        }
        head.faults = faults;
        Ok(head)
    }

    /// The section's bytes, without the empty line after it.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// What is ambiguous in it.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The first field of this name, in whatever case.
    pub fn first(&self, name: &str) -> Option<Field<'_>> {
        self.fields().find(|field| field.is(name))
    }

    /// All fields of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// All fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.spans.iter().map(|span| {
            let bytes = |range: Range<usize>| self.raw.get(range).unwrap_or_default();
            Field {
                name: std::str::from_utf8(bytes(span.name.clone())).unwrap_or_default(),
                raw: bytes(span.value.clone()),
                line: bytes(span.name.start..span.end),
            }
        })
    }
}

/// The length of a field's name, when the line begins with one.
fn field_name(line: &[u8]) -> Option<usize> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii_end();
    (!name.is_empty() && name.iter().all(|b| (33..=126).contains(b))).then_some(name.len())
}

/// Whether a line looks like the beginning of a header field.
pub fn is_field(line: &[u8]) -> bool {
    field_name(line).is_some()
}

/// The error for a header section without end.
pub fn too_large() -> Error {
    Error::limit(
        "headerBytes",
        "the message has a header section that is too large; it can't be opened",
    )
}

/// One header field, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    name: &'a str,
    raw: &'a [u8],
    line: &'a [u8],
}

impl<'a> Field<'a> {
    /// The name as it is spelled.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Whether it has this name, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether it describes the MIME structure rather than the message (RFC 9787 1.1.1).
    pub fn is_structural(&self) -> bool {
        structural(self.name)
    }

    /// The bytes after the colon, folded as they came, without the last line end.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The whole field as it came, from its name to its last line end.
    pub fn line(&self) -> &'a [u8] {
        self.line
    }

    /// The value on one line, undecoded, without white space around it. Bytes that are not
    /// UTF-8 are read as windows-1252.
    pub fn unfolded(&self) -> String {
        let text = String::from_utf8(self.flat());
        let text = text.unwrap_or_else(|e| decode::western(e.as_bytes()));
        text.trim_matches([' ', '\t']).to_owned()
    }

    /// The value on one line.
    fn flat(&self) -> Vec<u8> {
        let ends = |b: &&u8| !matches!(b, b'\r' | b'\n');
        self.raw.iter().filter(ends).copied().collect()
    }

    /// The value for people: RFC 2047 decoded, folding and tabs as spaces, control characters
    /// taken out.
    pub fn text(&self) -> String {
        words::decode(trimmed(&self.flat()))
    }

    /// The value of an address field.
    pub fn addresses(&self) -> Addresses {
        addresses::parse(&self.unfolded())
    }

    /// The valid mailboxes of an address field, groups flattened.
    pub fn mailboxes(&self) -> Vec<Mailbox> {
        self.addresses().mailboxes
    }

    /// The message ids of the field (RFC 5322 3.6.4), without angle brackets.
    pub fn ids(&self) -> Vec<String> {
        ids(&self.unfolded())
    }

    /// The value of a date field, in seconds since the Unix epoch. Lenient as old mail needs.
    pub fn date(&self) -> Option<u64> {
        decode::date(&self.unfolded())
    }
}

/// The message ids in an unfolded value (RFC 5322 3.6.4), without angle brackets.
pub fn ids(value: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((id, more)) = after.split_once('>') else {
            break;
        };
        let id: String = id
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control())
            .collect();
        if !id.is_empty() {
            ids.push(id);
        }
        rest = more;
    }
    ids
}

/// Without white space around it; what else there is stays.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether a field of this name describes the MIME structure (RFC 9787 1.1.1).
pub fn structural(name: &str) -> bool {
    name.eq_ignore_ascii_case("mime-version")
        || name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// A field's name as results spell it: `Message-ID` is `messageId`. No two names are spelled
/// alike, so that nobody takes one for another: a hyphen that parts no words stays.
pub fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut hyphen = false;
    for c in name.chars() {
        if std::mem::take(&mut hyphen) {
            if c.is_ascii_alphabetic() {
                camel.push(c.to_ascii_uppercase());
                continue;
            }
            camel.push('-');
        }
        hyphen = c == '-' && !camel.is_empty();
        if !hyphen {
            camel.push(c.to_ascii_lowercase());
        }
    }
    camel.extend(hyphen.then_some('-'));
    camel
}
