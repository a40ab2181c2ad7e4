//! The tree of one message, as byte ranges of the message itself.
//!
//! Structure only: bodies are decoded one by one, when somebody asks. What stands inside a
//! cryptographic layer or a message/rfc822 is a tree of its own, which the caller parses with
//! that part's id as prefix.

use bytes::Bytes;

use super::decode::{self, Transfer};
use super::fault::Fault;
use super::head::{self, Head};
use super::html;
use super::layers::{self, Shape};
use super::media::Media;
use super::split;
use crate::base::error::{Error, Result};
use crate::base::verdict::Disposition;

/// How deep multiparts may stand in one another. Mail that people write has four levels.
pub const DEPTH_MAX: usize = 32;

/// How many parts one tree may have, multiparts counted.
pub const PARTS_MAX: usize = 2_000;

/// One part with all below it.
#[derive(Debug, Clone)]
pub struct Entity {
    /// IMAP's part number: a lone part is "1", the parts of a multipart message "1", "2", ...;
    /// such a multipart itself has its prefix. A layer keeps one id, whatever it is made of.
    pub id: String,
    /// Header section and body, as they came.
    pub whole: Bytes,
    pub head: Head,
    /// Undecoded.
    pub body: Bytes,
    pub media: Media,
    /// The parts of a multipart. Those of a layer are its pieces, not parts of the message.
    pub children: Vec<Entity>,
    /// Whether this is a cryptographic layer by its structure.
    pub shape: Shape,
    /// What is ambiguous or damaged in this part itself.
    pub faults: Vec<Fault>,
}

impl Entity {
    /// Takes a message or a MIME entity apart. `prefix` is "" for a message, and the id of the
    /// part for what was found inside a layer or a message/rfc822.
    ///
    /// A leading mbox "From " line and empty lines before the header section are left out.
    ///
    /// # Errors
    /// `limit.exceeded` when it is too deep or has too many parts, fields or parameters.
    pub fn parse(whole: Bytes, prefix: &str) -> Result<Entity> {
        let whole = if prefix.is_empty() {
            begin(&whole)
        } else {
            whole
        };
        let mut budget = PARTS_MAX;
        let mut root = Entity::shallow(whole, "text/plain", &mut budget)?;
        root.deepen(1, &mut budget)?;
        let id = match root.is_container() {
            true => prefix.to_owned(),
            false => below(prefix, 1),
        };
        root.number(id);
        Ok(root)
    }

    /// Header section and body, nothing below.
    fn shallow(whole: Bytes, implied: &str, budget: &mut usize) -> Result<Entity> {
        *budget = budget.checked_sub(1).ok_or_else(|| {
            Error::limit(
                "mimeParts",
                "the message has too many parts; it can't be opened",
            )
        })?;
        let (section, body) = split::head(&whole);
        let head = Head::parse(whole.slice(section))?;
        let mut faults = head.faults().to_vec();
        let media = match head.first("content-type") {
            Some(field) => Media::parse(&field.unfolded())?,
            None => Media::implied(implied),
        };
        for fault in media.faults() {
            fault.note(&mut faults);
        }
        let entity = Entity {
            id: String::new(),
            body: whole.slice(body),
            head,
            media,
            whole,
            children: Vec::new(),
            shape: Shape::Plain,
            faults,
        };
        Ok(entity)
    }

    /// Cuts a multipart, and what is below it, unless it turns out to be a layer.
    fn deepen(&mut self, depth: usize, budget: &mut usize) -> Result<()> {
        match self.transfer() {
            Transfer::Unknown => Fault::UnknownEncoding.note(&mut self.faults),
            Transfer::Identity => {}
            _ if self.media.top() == "multipart" => Fault::EncodedMultipart.note(&mut self.faults),
            _ => {}
        }
        if self.media.top() != "multipart" {
            return Ok(());
        }
        let Some(boundary) = self.media.boundary() else {
            Fault::NoBoundary.note(&mut self.faults);
            return Ok(());
        };
        if depth > DEPTH_MAX {
            return Err(Error::limit(
                "mimeDepth",
                "the message is nested too deeply; it can't be opened",
            ));
        }
        let found = split::parts(&self.body, boundary, *budget);
        if found.too_many {
            *budget = 0;
        }
        for fault in found.faults {
            fault.note(&mut self.faults);
        }
        let implied = match self.media.kind() {
            "multipart/digest" => "message/rfc822",
            _ => "text/plain",
        };
        for range in found.parts {
            let child = Entity::shallow(self.body.slice(range), implied, budget)?;
            self.children.push(child);
        }
        if found.too_many {
            return Err(Error::limit(
                "mimeParts",
                "the message has too many parts; it can't be opened",
            ));
        }
        self.shape = layers::shape(self);
        if self.shape == Shape::Broken {
            Fault::NotALayer.note(&mut self.faults);
        }
        if matches!(self.shape, Shape::Layer(_)) {
            return Ok(());
        }
        for child in &mut self.children {
            child.deepen(depth + 1, budget)?;
        }
        Ok(())
    }

    /// Hands out ids.
    fn number(&mut self, id: String) {
        for (i, child) in self.children.iter_mut().enumerate() {
            child.number(below(&id, i + 1));
        }
        self.id = id;
    }

    /// A multipart whose children are parts of the message.
    pub fn is_container(&self) -> bool {
        !self.children.is_empty() && !matches!(self.shape, Shape::Layer(_))
    }

    /// How the body is encoded.
    pub fn transfer(&self) -> Transfer {
        self.head
            .first("content-transfer-encoding")
            .map_or(Transfer::Identity, |field| {
                Transfer::parse(&field.unfolded())
            })
    }

    /// The content, transfer-decoded; a slice of the message where nothing was encoded.
    /// Damaged encodings give what can be read of them.
    pub fn content(&self) -> Bytes {
        self.transfer().decode(&self.body)
    }

    /// At least the first `length` bytes of the content, when it has as many, and not much
    /// more: for a look at what it is.
    pub fn peek(&self, length: usize) -> Bytes {
        let room = match self.transfer() {
            Transfer::Identity | Transfer::Unknown => length,
            // Base64 with line ends, rounded up to whole groups; three bytes for one escaped.
            Transfer::Base64 => length.saturating_mul(2).saturating_add(8),
            Transfer::QuotedPrintable => length.saturating_mul(4),
        };
        let start = self.body.slice(..room.min(self.body.len()));
        self.transfer().decode(&start)
    }

    /// The content as UTF-8, for text/*. Line ends stay as they are. A page may say itself which
    /// letters it has where its part doesn't.
    pub fn text(&self) -> Bytes {
        let content = self.content();
        let named = self.media.param("charset").unwrap_or_default();
        match self.media.kind() {
            "text/html" => decode::text(&html::charset(named, &content), &content),
            _ => decode::text(named, &content),
        }
    }

    /// The file name that goes with it, for people: no path is taken off, nothing is safe.
    pub fn name(&self) -> Option<String> {
        self.disposed()
            .and_then(|media| media.text_param("filename"))
            .or_else(|| self.media.text_param("name"))
    }

    /// Whether it is to be shown with the message or beside it (RFC 2183). Without word from
    /// the sender, text and images that HTML refers to are shown.
    pub fn disposition(&self) -> Disposition {
        match self.disposed().as_ref().map(Media::kind) {
            Some("inline") => Disposition::Inline,
            Some(kind) if !kind.is_empty() => Disposition::Attachment,
            _ => {
                let text = matches!(self.media.kind(), "text/plain" | "text/html");
                let image = self.media.top() == "image" && self.head.first("content-id").is_some();
                match text && self.name().is_none() || image {
                    true => Disposition::Inline,
                    false => Disposition::Attachment,
                }
            }
        }
    }

    fn disposed(&self) -> Option<Media> {
        let field = self.head.first("content-disposition")?;
        Media::parse_any(&field.unfolded()).ok()
    }

    /// The content id without angle brackets.
    pub fn content_id(&self) -> Option<String> {
        let value = self.head.first("content-id")?.unfolded();
        let id = value.trim().trim_start_matches('<').trim_end_matches('>');
        (!id.is_empty()).then(|| id.to_owned())
    }

    /// The parts that hold content: leaves and whole layers, in order.
    pub fn leaves(&self) -> Leaves<'_> {
        Leaves { open: vec![self] }
    }

    /// The part of this id, layers and containers included.
    pub fn find(&self, id: &str) -> Option<&Entity> {
        if self.id == id {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(id))
    }

    /// Every fault of this part and of all below it.
    pub fn all_faults(&self) -> Vec<Fault> {
        let mut faults = self.faults.clone();
        for child in &self.children {
            for fault in child.all_faults() {
                fault.note(&mut faults);
            }
        }
        faults
    }
}

/// See [`Entity::leaves`].
#[derive(Debug)]
pub struct Leaves<'a> {
    open: Vec<&'a Entity>,
}

impl<'a> Iterator for Leaves<'a> {
    type Item = &'a Entity;

    fn next(&mut self) -> Option<&'a Entity> {
        loop {
            let entity = self.open.pop()?;
            if !entity.is_container() {
                return Some(entity);
            }
            self.open.extend(entity.children.iter().rev());
        }
    }
}

/// The id of the `n`th part below `prefix`.
fn below(prefix: &str, n: usize) -> String {
    match prefix {
        "" => n.to_string(),
        _ => format!("{prefix}.{n}"),
    }
}

/// The message without an mbox "From " line and empty lines before it.
fn begin(whole: &Bytes) -> Bytes {
    let mut start = 0;
    if whole.starts_with(b"From ") || whole.starts_with(b">From ") {
        start = memchr::memchr(b'\n', whole).map_or(0, |at| at + 1);
    }
    let rest = whole.get(start..).unwrap_or_default();
    let blank = rest
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    // Without a field after them, the empty lines are the end of an empty header section.
    let line = rest.get(blank..).unwrap_or_default();
    let line = line
        .get(..memchr::memchr(b'\n', line).unwrap_or(line.len()))
        .unwrap_or_default();
    if head::is_field(line) {
        start += blank;
    }
    whole.slice(start..)
}
