//! A page looked over before anything is built of it: how deep it nests, and what in it reaches
//! out or acts.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::base::verdict::Removed;

/// Elements inside one another: builders of trees look through all open ones for each new tag.
const DEPTH_MAX: usize = 256;

/// Tags in one page, for the same reason.
const TAGS_MAX: usize = 100_000;

/// Attributes in all of them.
const ATTRIBUTES_MAX: usize = 400_000;

/// Elements that end by themselves, or hold nothing.
const SELF_ENDING: [&str; 30] = [
    "area", "base", "basefont", "bgsound", "br", "col", "dd", "dt", "embed", "frame", "hr", "img",
    "input", "li", "link", "meta", "option", "optgroup", "p", "param", "rp", "rt", "source",
    "tbody", "td", "tfoot", "th", "thead", "tr", "wbr",
];

/// Attributes whose value is loaded.
const LOADING: [&str; 14] = [
    "action",
    "archive",
    "background",
    "classid",
    "code",
    "codebase",
    "data",
    "dynsrc",
    "lowsrc",
    "manifest",
    "ping",
    "poster",
    "src",
    "srcset",
];

const FORMS: [&str; 6] = ["button", "form", "input", "isindex", "select", "textarea"];

/// What is to be taken out of a page; `None` where it is built to keep its reader busy.
pub(super) fn scan(html: &str) -> Option<Removed> {
    let mut seen = Seen::default();
    tokens(html, |token| seen.token(token));
    let Seen {
        deepest,
        tags,
        attributes,
        removed,
        ..
    } = seen;
    (deepest <= DEPTH_MAX && tags <= TAGS_MAX && attributes <= ATTRIBUTES_MAX).then_some(removed)
}

#[derive(Default)]
struct Seen {
    depth: usize,
    deepest: usize,
    tags: usize,
    attributes: usize,
    removed: Removed,
}

impl Seen {
    fn token(&mut self, token: &Token) {
        let Token::TagToken(tag) = token else { return };
        self.tags += 1;
        self.attributes += tag.attrs.len();
        let name = &*tag.name;
        match tag.kind {
            TagKind::EndTag => self.depth = self.depth.saturating_sub(1),
            TagKind::StartTag => {
                if !SELF_ENDING.contains(&name) && !tag.self_closing {
                    self.depth += 1;
                    self.deepest = self.deepest.max(self.depth);
                }
                self.element(name, tag);
            }
        }
    }

    fn element(&mut self, name: &str, tag: &Tag) {
        self.removed.scripts += usize::from(name == "script");
        self.removed.forms += usize::from(FORMS.contains(&name));
        // A refresh leads elsewhere as soon as it is read.
        self.removed.remote +=
            usize::from(name == "meta" && attribute(tag, "http-equiv").is_some());
        for attribute in &tag.attrs {
            let key = &*attribute.name.local;
            let value = attribute.value.trim_ascii();
            let inline = |scheme: &str| {
                let start = value.get(..scheme.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            };
            let loads = LOADING.contains(&key)
                || matches!(
                    (name, key),
                    ("link" | "image" | "use", "href" | "xlink:href")
                );
            let styled = key == "style" && value.to_ascii_lowercase().contains("url");
            if loads && !value.is_empty() && !inline("cid:") && !inline("data:") || styled {
                self.removed.remote += 1;
            }
            if key.starts_with("on") && key.len() > 2 || inline("javascript:") {
                self.removed.scripts += 1;
            }
        }
    }
}

/// The value of an attribute.
pub(super) fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let mut attributes = tag.attrs.iter();
    let found = attributes.find(|attribute| &*attribute.name.local == name);
    found.map(|attribute| &*attribute.value)
}

/// Shows every token of a page to `see`, as browsers cut them.
pub(super) fn tokens(html: &str, see: impl FnMut(&Token)) {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let sink = Sink(RefCell::new(see));
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
}

struct Sink<F>(RefCell<F>);

impl<F: FnMut(&Token)> TokenSink for Sink<F> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        (self.0.borrow_mut())(&token);
        match &token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => match &*tag.name {
                "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                    TokenSinkResult::RawData(RawKind::Rawtext)
                }
                "plaintext" => TokenSinkResult::Plaintext,
                _ => TokenSinkResult::Continue,
            },
            _ => TokenSinkResult::Continue,
        }
    }
}
