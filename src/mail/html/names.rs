//! A page with names that the cleaner takes. ammonia 4.2 takes an element out with all its words
//! where a name doesn't go with where it stands: parts of pictures outside of any, and within
//! them what it doesn't know. Browsers show the words of them all. So what has no name of HTML's
//! gets one of its own, and what stands in pictures and formulas one that says as little.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use html5ever::interface::tree_builder::Tracer;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};
use html5ever::{LocalName, QualName, local_name, ns};

use super::bounds::{Handle, Sink};

/// What stands before names that are none of HTML's.
const OWN: &str = "x-";

/// Not to be read as one text, as browsers with scripts do.
const NOSCRIPT: &str = "x-noscript";

/// Names that HTML gives a meaning, or gave one once.
const HTML: [&str; 138] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "applet",
    "area",
    "article",
    "aside",
    "audio",
    "b",
    "base",
    "basefont",
    "bdi",
    "bdo",
    "bgsound",
    "big",
    "blink",
    "blockquote",
    "body",
    "br",
    "button",
    "canvas",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "data",
    "datalist",
    "dd",
    "del",
    "details",
    "dfn",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "isindex",
    "kbd",
    "keygen",
    "label",
    "legend",
    "li",
    "link",
    "listing",
    "main",
    "map",
    "mark",
    "marquee",
    "menu",
    "menuitem",
    "meta",
    "meter",
    "nav",
    "nobr",
    "noembed",
    "noframes",
    "object",
    "ol",
    "optgroup",
    "option",
    "output",
    "p",
    "param",
    "picture",
    "plaintext",
    "pre",
    "progress",
    "q",
    "rb",
    "rp",
    "rt",
    "rtc",
    "ruby",
    "s",
    "samp",
    "script",
    "search",
    "section",
    "select",
    "selectedcontent",
    "slot",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "track",
    "tt",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
    "xmp",
];

/// The most of [`Names::looks`]: pictures of hundreds of parts, as deep as letters nest. Each tag
/// in a picture costs as many as are open.
const LOOKS_MAX: usize = 1_000_000;

/// Reads a page as a tree, and writes it down again.
pub(super) struct Names {
    tree: TreeBuilder<Handle, Sink>,
    out: RefCell<String>,
    /// The names that were written.
    names: RefCell<HashSet<LocalName>>,
    /// What of pictures and formulas is open.
    foreign: RefCell<Vec<Foreign>>,
    /// The text is no markup whatever stands in it.
    raw: Cell<bool>,
    /// How many open elements were looked at to see what a tag in a picture has ended.
    looks: Cell<usize>,
}

/// A part of a picture or a formula.
struct Foreign {
    at: usize,
    name: Rc<QualName>,
    written: LocalName,
    /// It stands right in the one before it, as far as what is open goes.
    joined: bool,
}

impl Names {
    /// For the inside of an element.
    pub(super) fn new(sink: Sink, context: Handle, capacity: usize) -> Names {
        Names {
            tree: TreeBuilder::new_for_fragment(sink, context, None, TreeBuilderOpts::default()),
            out: RefCell::new(String::with_capacity(capacity)),
            names: RefCell::default(),
            foreign: RefCell::default(),
            raw: Cell::new(false),
            looks: Cell::new(0),
        }
    }

    /// The page, and the names of all its elements.
    pub(super) fn finish(self) -> (String, HashSet<LocalName>) {
        (self.out.into_inner(), self.names.into_inner())
    }

    fn tag(&self, mut tag: Tag, line: u64) -> TokenSinkResult<Handle> {
        if &*tag.name == "noscript" {
            tag.name = LocalName::from(NOSCRIPT);
        }
        let inside = self.adjusted_current_node_present_but_not_in_html_namespace();
        self.tree.sink.created.take();
        let result = self.tree.process_token(Token::TagToken(tag.clone()), line);
        let created = self.tree.sink.created.take();
        // Some are made without any tag of theirs.
        self.names
            .borrow_mut()
            .extend(created.iter().map(Handle::written));
        let closed = self.closed();
        let ended = inside && self.write_ends(&closed, &tag);
        match tag.kind {
            TagKind::StartTag => {
                let joined = inside && created.len() == 1;
                let made = created.last().filter(|made| is_made(&made.name, &tag.name));
                self.write_start(&tag, made, joined);
            }
            TagKind::EndTag if !ended => self.write_end(&named(&tag.name)),
            TagKind::EndTag => {}
        }
        result
    }

    /// Takes out what is open no more of pictures and formulas: the innermost first.
    fn closed(&self) -> Vec<Foreign> {
        let mut foreign = self.foreign.borrow_mut();
        if foreign.is_empty() {
            return Vec::new();
        }
        let open = Open::default();
        self.tree.trace_handles(&open);
        let open = open.0.into_inner();
        self.looks.set(self.looks.get().saturating_add(open.len()));
        if self.looks.get() > LOOKS_MAX {
            self.tree.sink.give_up();
        }
        let gone = |part: &mut Foreign| !open.contains(&part.at);
        let mut closed: Vec<Foreign> = foreign.extract_if(.., gone).collect();
        closed.reverse();
        closed
    }

    /// Ends what a tag ends in the picture or formula that it stands in, each part by its own
    /// tag: several may have one name now. Whether that is all that the tag does.
    fn write_ends(&self, closed: &[Foreign], tag: &Tag) -> bool {
        for part in closed {
            self.write_end(&part.written);
            if !part.joined {
                break;
            }
        }
        let last = closed.last();
        tag.kind == TagKind::EndTag
            && last.is_some_and(|part| part.name.local.eq_ignore_ascii_case(&tag.name))
    }

    fn write_start(&self, tag: &Tag, made: Option<&Handle>, joined: bool) {
        // What makes no element may end others.
        let written = made.map_or_else(|| tag.name.clone(), Handle::written);
        if let Some(made) = made
            && made.name.ns != ns!(html)
            && !tag.self_closing
        {
            self.foreign.borrow_mut().push(Foreign {
                at: made.at,
                name: Rc::clone(&made.name),
                written: written.clone(),
                joined,
            });
        }
        let mut out = self.out.borrow_mut();
        out.push('<');
        out.push_str(&written);
        for attribute in &tag.attrs {
            out.push(' ');
            out.push_str(&attribute.name.local);
            out.push_str("=\"");
            escape(&attribute.value, &mut out);
            out.push('"');
        }
        out.push_str(if tag.self_closing { "/>" } else { ">" });
    }

    fn write_end(&self, name: &str) {
        let mut out = self.out.borrow_mut();
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }

    fn write_text(&self, text: &StrTendril) {
        let mut out = self.out.borrow_mut();
        match self.raw.get() {
            true => out.push_str(text),
            false => escape(text, &mut out),
        }
    }
}

impl TokenSink for Names {
    type Handle = Handle;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<Handle> {
        let result = match token {
            Token::TagToken(tag) => {
                self.raw.set(false);
                self.tag(tag, line)
            }
            token => {
                match &token {
                    Token::CharacterTokens(text) => self.write_text(text),
                    Token::NullCharacterToken => self.out.borrow_mut().push('\0'),
                    Token::CommentToken(_) => self.out.borrow_mut().push_str("<!---->"),
                    _ => {}
                }
                self.tree.process_token(token, line)
            }
        };
        match &result {
            TokenSinkResult::RawData(kind) => self.raw.set(*kind != RawKind::Rcdata),
            TokenSinkResult::Plaintext => self.raw.set(true),
            _ => {}
        }
        result
    }

    fn end(&self) {
        self.tree.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.tree
            .adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// The elements that are open, among others that are in no picture.
#[derive(Default)]
struct Open(RefCell<HashSet<usize>>);

impl Tracer for Open {
    type Handle = Handle;

    fn trace_handle(&self, node: &Handle) {
        self.0.borrow_mut().insert(node.at);
    }
}

/// Whether an element is the one that a tag makes.
fn is_made(name: &QualName, tag: &LocalName) -> bool {
    name.local.eq_ignore_ascii_case(tag) || &**tag == "image" && &*name.local == "img"
}

/// An element's name where it stands in no picture or formula.
fn named(name: &LocalName) -> LocalName {
    match &**name {
        name if HTML.contains(&name) || name == NOSCRIPT => LocalName::from(name),
        name => LocalName::from(format!("{OWN}{name}")),
    }
}

/// The name that an element had before.
pub(super) fn own(name: &str) -> &str {
    name.strip_prefix(OWN).unwrap_or(name)
}

impl Handle {
    /// The name that the cleaner is given.
    fn written(&self) -> LocalName {
        match self.name.ns {
            ns!(html) => named(&self.name.local),
            _ => part(self),
        }
    }
}

/// The name of a part of a picture or a formula: its own where that says what may stand in it,
/// or what is done with it.
fn part(part: &Handle) -> LocalName {
    let (name, svg) = (&part.name.local, part.name.ns == ns!(svg));
    match &**name {
        "svg" | "a" | "foreignObject" | "script" | "style" | "title" if svg => name.clone(),
        "desc" if svg => LocalName::from("foreignObject"),
        _ if svg => local_name!("g"),
        "annotation-xml" if part.integration => local_name!("mtext"),
        "math" | "mi" | "mn" | "mo" | "ms" | "mtext" => name.clone(),
        "annotation-xml" | "malignmark" | "mglyph" => name.clone(),
        // What these hold is told from what stands beside it.
        "mfrac" | "mroot" | "msqrt" | "msup" | "mover" | "msub" | "munder" | "msubsup"
        | "munderover" | "mtable" | "mtr" | "mlabeledtr" | "mtd" => name.clone(),
        _ => local_name!("mrow"),
    }
}

/// Writes text as it is read where markup may stand, or in an attribute.
fn escape(text: &str, out: &mut String) {
    for piece in text.split_inclusive(['&', '<', '"', '\r']) {
        let mut letters = piece.chars();
        let written = match letters.next_back() {
            Some('&') => "&amp;",
            Some('<') => "&lt;",
            Some('"') => "&quot;",
            Some('\r') => "&#13;",
            _ => {
                out.push_str(piece);
                continue;
            }
        };
        out.push_str(letters.as_str());
        out.push_str(written);
    }
}
