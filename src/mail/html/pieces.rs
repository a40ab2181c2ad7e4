//! What is written for elements and texts, one by one.

use std::borrow::Cow;

use html5ever::tokenizer::Tag;

use super::TAGS;
use super::formula::Formula;
use super::hidden::Sight;
use super::scan::attribute;
use super::sense::{Drawn, Flow, Sense, Shift};
use super::text::is_block;
use crate::mail::media::percent;

/// Elements without an end.
pub(super) const VOID: [&str; 5] = ["br", "col", "hr", "img", "input"];

/// Elements that go, though what they hold stands in lines of its own.
pub(super) const BLOCKS: [&str; 10] = [
    "details", "dialog", "fieldset", "form", "hgroup", "legend", "main", "nav", "search", "summary",
];

/// Parts of forms: what they hold stands apart from the words beside them.
pub(super) const FIELDS: [&str; 4] = ["button", "option", "select", "textarea"];

/// Elements in which only rows and cells may stand.
pub(super) const ROWS: [&str; 5] = ["table", "tbody", "tfoot", "thead", "tr"];

/// Cells and their rows: no style of theirs sets them apart any more than they are.
pub(super) const CELLS: [&str; 8] = [
    "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr",
];

/// Elements in which no text stands, but in elements of theirs.
pub(super) const HOLDERS: [&str; 8] = ["dl", "ol", "table", "tbody", "tfoot", "thead", "tr", "ul"];

/// What strikes out by its name, raises, and lowers.
pub(super) const STRIKING: [&str; 3] = ["del", "s", "strike"];

/// What turns text round, so that it shows other words than it has.
pub(super) const TURNING: [char; 2] = ['\u{202D}', '\u{202E}'];

/// An element that is open.
#[derive(Clone, Copy)]
pub(super) struct Open {
    /// Whether text right inside it is seen.
    pub sight: Sight,
    /// The element that is written for it.
    pub written: Option<&'static str>,
    /// No other element may stand right in it.
    pub row: bool,
    /// What is in it is struck out by an element that is written inside of it.
    pub struck: bool,
    /// The element inside of it that raises or lowers what is in it.
    pub shift: Option<&'static str>,
    /// Its style strikes out what is in it, which is still to be written.
    pub strikes: bool,
    pub flow: Flow,
    /// Each element in it stands beside the others.
    pub spread: bool,
    /// Its parts stand in places of their own.
    pub formula: Option<Formula>,
    /// How many elements in it have begun.
    pub parts: usize,
    /// What stands at its end.
    pub after: [&'static str; 2],
}

impl Open {
    /// What is written inside of it, the outer one first.
    pub(super) fn inner(&self) -> [Option<&'static str>; 2] {
        [self.struck.then_some("s"), self.shift]
    }
}

/// The element that is written for one of this name, if any.
pub(super) fn written(name: &str) -> Option<&'static str> {
    match name {
        "dir" | "menu" => Some("ul"),
        "listing" | "xmp" => Some("pre"),
        name if BLOCKS.contains(&name) => Some("div"),
        name => TAGS.iter().find(|tag| **tag == name).copied(),
    }
}

/// Whether an element stands apart from words by its nature.
pub(super) fn stands_apart(name: &str) -> bool {
    is_block(name) || CELLS.contains(&name)
}

/// The element that is written where a style says other than its name.
pub(super) fn restyled(written: Option<&'static str>, sense: &Sense) -> Option<&'static str> {
    match (written?, sense.drawn, sense.shift) {
        ("del" | "s" | "strike", Some(Drawn::Elsewhere), _) => Some("span"),
        ("sub", _, Some(Shift::Raised)) => Some("sup"),
        ("sup", _, Some(Shift::Lowered)) => Some("sub"),
        _ => written,
    }
}

/// Text in the order that it has.
pub(super) fn straight(text: &str) -> Cow<'_, str> {
    match text.contains(TURNING) {
        true => Cow::Owned(text.replace(TURNING, "")),
        false => Cow::Borrowed(text),
    }
}

pub(super) fn is_one(word: &str, of: &[&str]) -> bool {
    of.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// The text that is seen in a field or on a button.
pub(super) fn entered(tag: &Tag) -> Cow<'_, str> {
    let said = |name: &str| attribute(tag, name).unwrap_or_default();
    let value = attribute(tag, "value").unwrap_or_default();
    match &*said("type").to_ascii_lowercase() {
        "checkbox" | "color" | "file" | "hidden" | "radio" | "range" => "".into(),
        "image" => match attribute(tag, "alt").unwrap_or_default() {
            "" => "".into(),
            alt => format!("[{alt}]").into(),
        },
        // Its letters are not.
        "password" if !value.is_empty() => "".into(),
        "button" | "reset" | "submit" => value.into(),
        _ if value.is_empty() => attribute(tag, "placeholder").unwrap_or_default().into(),
        _ => value.into(),
    }
}

/// A content id out of its URL (RFC 2392 2): percent escapes are undone.
pub(super) fn unescaped(url: &str) -> String {
    let bytes = percent(url);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Writes text so that no reader of HTML takes any of it for markup, wherever it stands.
pub(in crate::mail) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\0' => {}
            c => out.push(c),
        }
    }
}
