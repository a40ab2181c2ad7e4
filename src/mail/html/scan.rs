//! A page looked over before anything is built of it: how dear it is to read, and what in it
//! reaches out or acts. How large a tree it becomes is for [`super::bounds`].

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::sheets::{Found, Others};
use super::style::style;
use crate::base::verdict::Removed;

/// Tags in the pages of a message: a newsletter has some thousands.
const TAGS_MAX: usize = 100_000;

/// How much is read between two looks at the costs, in bytes.
const STEP: usize = 256;

/// What comparing attributes may cost in the pages of a message. Readers compare each attribute of a tag with
/// all others of it, so that one tag of a megabyte keeps them busy for minutes. Pictures within
/// pages (`data:`) have slashes, which might part attributes; with two megabytes of them a page
/// stays below this.
const COMPARED_MAX: usize = 600_000_000;

/// What references to characters may cost in the pages of a message: each in a value is read with
/// all of the value before it. Addresses have some tens of them in some kilobytes.
const REFERRED_MAX: usize = 2_000_000_000;

/// What comparing formatting may cost in the pages of a message: each element of it is compared,
/// attribute for attribute, with all of its name that are open. Old letters leave one open in each
/// of some thousand cells.
const FORMATTED_MAX: usize = 20_000_000;

/// Elements that are opened again in the next paragraph where they were not closed, and of which
/// any number may be.
const FORMATTING: [&str; 12] = [
    "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u",
];

/// How many of them a page may have open at once: they stand in one another.
const OPEN_MAX: usize = 512;

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

/// The element of a style sheet.
const STYLE: &str = "style";

const FORMS: [&str; 6] = ["button", "form", "input", "isindex", "select", "textarea"];

/// Elements that show once more what is hidden elsewhere, or take it back with time.
const MOVING: [&str; 6] = [
    "animate",
    "animatecolor",
    "animatemotion",
    "animatetransform",
    "set",
    "use",
];

/// What reading may still cost.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    tags: usize,
    /// Half of the square of each tag's partings.
    compared: usize,
    /// What stands before each `&` of a tag.
    referred: usize,
    /// Attributes of formatting elements, times those that are open.
    formatted: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            tags: TAGS_MAX,
            compared: COMPARED_MAX,
            referred: REFERRED_MAX,
            formatted: FORMATTED_MAX,
        }
    }
}

impl Budget {
    /// Takes a cost off one of them; what is used up stays so.
    fn spend(left: &mut usize, cost: usize) -> bool {
        let enough = *left >= cost;
        *left = left.saturating_sub(cost);
        enough
    }
}

/// What a page has beside its elements.
pub(super) struct Scanned {
    pub removed: Removed,
    /// What has a say in what is seen, and does not stay.
    pub others: Others,
}

/// Looks a page over; `None` where it is built to keep its reader busy.
pub(super) fn scan(html: &str, budget: &mut Budget) -> Option<Scanned> {
    let seen = RefCell::new(Seen {
        budget: budget.clone(),
        ..Seen::default()
    });
    let input = BufferQueue::default();
    let sink = Sink(RefCell::new(|token: &Token| seen.borrow_mut().token(token)));
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    for step in steps(html, STEP) {
        seen.borrow_mut().step(step);
        if seen.borrow().over {
            break;
        }
        input.push_back(StrTendril::from_slice(step));
        let _ = tokenizer.feed(&input);
    }
    tokenizer.end();
    drop(tokenizer);
    let seen = seen.into_inner();
    *budget = seen.budget.clone();
    (!seen.over).then(|| Scanned {
        removed: seen.removed,
        others: Others::new(seen.found(html)),
    })
}

#[derive(Default)]
struct Seen {
    budget: Budget,
    over: bool,
    /// What may part attributes, since the last token: a tag is seen no sooner than it ends.
    partings: usize,
    /// How long it is since then, in bytes.
    length: usize,
    /// How many of each formatting element are open.
    formatting: [usize; FORMATTING.len()],
    /// A token was seen in this step.
    moved: bool,
    removed: Removed,
    /// A style sheet is open.
    sheet: bool,
    found: Found,
    /// How often comments name a style sheet.
    commented: usize,
}

impl Seen {
    /// Counts what is about to be read.
    fn step(&mut self, step: &str) {
        let parts = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r' | b'/' | b'"' | b'\'');
        let partings = step.bytes().filter(parts).count();
        if std::mem::take(&mut self.moved) {
            self.partings = 0;
            self.length = 0;
        }
        self.length += step.len();
        let references = memchr::memchr_iter(b'&', step.as_bytes()).count();
        let cost = references.saturating_mul(self.length);
        self.over |= !Budget::spend(&mut self.budget.referred, cost);
        // Each new one is compared with those before it.
        let cost = partings * self.partings + partings * partings / 2;
        self.over |= !Budget::spend(&mut self.budget.compared, cost);
        self.partings += partings;
    }

    fn token(&mut self, token: &Token) {
        // Errors are told before the tag is whole.
        self.moved |= !matches!(token, Token::ParseError(_));
        if let (Token::CharacterTokens(text), true, Some(sheet)) =
            (token, self.sheet, self.found.sheets.last_mut())
        {
            sheet.push_str(text);
        }
        if let Token::CommentToken(text) = token {
            self.commented += opened(text, STYLE).count();
        }
        let Token::TagToken(tag) = token else { return };
        self.over |= !Budget::spend(&mut self.budget.tags, 1);
        self.formatted(tag);
        self.sheet = tag.kind == TagKind::StartTag && &*tag.name == "style";
        if self.sheet {
            self.found.sheets.push(String::new());
        }
        if tag.kind == TagKind::StartTag {
            self.element(&tag.name, tag);
        }
    }

    /// Counts what formatting costs.
    fn formatted(&mut self, tag: &Tag) {
        let at = FORMATTING.iter().position(|name| *name == &*tag.name);
        let Some(open) = at.and_then(|at| self.formatting.get_mut(at)) else {
            return;
        };
        if tag.kind == TagKind::EndTag {
            *open = open.saturating_sub(1);
            return;
        }
        let cost = *open * (tag.attrs.len() + 1);
        *open = (*open + 1).min(OPEN_MAX);
        self.over |= !Budget::spend(&mut self.budget.formatted, cost);
    }

    fn element(&mut self, name: &str, tag: &Tag) {
        self.removed.scripts += usize::from(name == "script");
        self.removed.forms += usize::from(FORMS.contains(&name));
        // A refresh leads elsewhere as soon as it is read.
        self.removed.remote +=
            usize::from(name == "meta" && attribute(tag, "http-equiv").is_some());
        let outermost = ["html", "head", "body"].contains(&name);
        match attribute(tag, "style") {
            Some(text) if outermost => self.found.painted |= style(text).painted,
            Some(_) if name == "plaintext" => self.found.elements = true,
            _ => {}
        }
        if MOVING.contains(&name) {
            self.found.moving = true;
            self.found.unread = true;
        }
        if name == "link" {
            let [kind, href] = ["rel", "href"].map(|name| attribute(tag, name).unwrap_or_default());
            let sheet = kind.to_ascii_lowercase().contains("stylesheet");
            self.found.unread |= sheet && !is_far(href.trim_ascii());
        }
        for attribute in &tag.attrs {
            let key = &*attribute.name.local;
            let value = attribute.value.trim_ascii();
            let inline = |scheme: &str| begins(value, scheme);
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

impl Seen {
    /// What was found. Where the reader may not see each style sheet as browsers do, as in
    /// pictures and formulas, some are unread.
    fn found(mut self, html: &str) -> Found {
        let sheets = opened(html, STYLE).count();
        let foreign = || {
            ["svg", "math"]
                .iter()
                .any(|name| opened(html, name).next().is_some())
        };
        self.found.unread |= sheets > 0 && foreign();
        self.found.unread |= sheets != self.found.sheets.len() + self.commented;
        self.found
    }
}

/// Where a text has `<` and what begins with a name behind it, in any case: the places of the name.
fn opened<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let behind = memchr::memchr_iter(b'<', text.as_bytes()).map(|at| at + 1);
    behind.filter(|at| text.get(*at..).is_some_and(|behind| begins(behind, name)))
}

/// Whether a text begins so, in any case.
pub(super) fn begins(text: &str, with: &str) -> bool {
    let start = text.get(..with.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// Whether what has this address would have to be fetched, and so is no part of a message.
pub(super) fn is_far(address: &str) -> bool {
    let far = ["http:", "https:", "//"];
    far.iter().any(|far| begins(address, far))
}

/// A text in pieces of about so many bytes.
pub(super) fn steps(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = size.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (step, after) = rest.split_at(end);
        rest = after;
        (!step.is_empty()).then_some(step)
    })
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
