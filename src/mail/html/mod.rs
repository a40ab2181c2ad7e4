//! HTML for display and for quoting: what is left of a stranger's page when nothing in it can
//! reach out, act, or look like something else.
//!
//! [`page`] hands out elements of text, lists and tables, without style: what is shown is what
//! is quoted, and nothing is there that can't be seen. Links and images are numbers and names,
//! which the page that shows them may put into their places.

mod bounds;
mod charset;
mod display;
mod formula;
mod hidden;
mod links;
mod names;
mod numbers;
mod pieces;
mod render;
mod scan;
mod sense;
mod sheets;
mod style;
mod text;
mod values;

use std::collections::{HashMap, HashSet};

use ammonia::{Builder, UrlRelative};
use html5ever::LocalName;

use crate::base::address::hidden as hidden_char;
use crate::base::verdict::Removed;

/// The largest page that is made clean, in bytes: newsletters have a tenth of it.
pub const HTML_MAX: usize = 2 << 20;

/// Links and images of one page; beyond that they are text.
const LISTED_MAX: usize = 2_000;

/// Elements that stay; of all others only the text.
const TAGS: [&str; 60] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "article",
    "aside",
    "b",
    "bdi",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "u",
    "ul",
];

/// Elements of which the content goes too: no browser shows any of it.
const DROPPED: [&str; 9] = [
    "datalist", "frameset", "iframe", "noembed", "noframes", "script", "style", "template", "title",
];

/// Elements that hold nothing, and the one that ends with the page: no style of theirs hides what
/// is in them.
const ENDLESS: [&str; 14] = [
    "area",
    "base",
    "basefont",
    "bgsound",
    "embed",
    "frame",
    "keygen",
    "link",
    "meta",
    "param",
    "plaintext",
    "source",
    "track",
    "wbr",
];

/// The class that marks a Legacy Display (RFC 9788 5.2.3).
pub(super) const LEGACY_DISPLAY: &str = "header-protection-legacy-display";

pub(super) use charset::charset;
pub(super) use display::legacy_display;
pub(super) use pieces::escape;

/// Whether a part says that it begins with a Legacy Display, where that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyDisplay {
    /// There is none, or it is the author's own words.
    Absent,
    /// It is there, and is not to be shown (RFC 9788 4.5.3).
    Present,
}

/// A page made safe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// HTML without any address in it: `a` has `data-link`, the number of its link, and `img`
    /// has `data-cid`.
    pub clean: String,
    /// The same as text.
    pub text: String,
    /// There are words in it: more than lines, numbers, and what shows nothing.
    pub says: bool,
    /// Content ids of images, each once.
    pub cids: Vec<String>,
    /// Where links lead (`http`, `https`, `mailto`), the first one being number 1: as browsers
    /// read it, so that it names the host that is asked.
    pub links: Vec<String>,
    pub removed: Removed,
}

/// What the pages of one message may cost together. A message may have hundreds.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Bytes.
    bytes: usize,
    scanning: scan::Budget,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            bytes: 2 * HTML_MAX,
            scanning: scan::Budget::default(),
        }
    }
}

/// Makes a page safe to show; `None` for one that is too large or nests too deeply, and for
/// those beyond the budget.
pub fn page(html: &str, budget: &mut Budget) -> Option<Page> {
    let left = budget.bytes.checked_sub(html.len());
    budget.bytes = left.filter(|_| html.len() <= HTML_MAX)?;
    let scanned = scan::scan(html, &mut budget.scanning)?;
    let (html, names) = bounds::read(html)?;
    let cleaned = cleaner(&names).clean(&html).to_string();
    let mut page = render::render(&cleaned, &scanned.others)?;
    page.removed = scanned.removed;
    Some(page)
}

/// Text as HTML: escaped, with its lines.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 16);
    for line in text.lines() {
        escape(line, &mut out);
        out.push_str("<br>");
    }
    out
}

/// Whether a text has nothing in it that is seen.
pub fn is_blank(text: &str) -> bool {
    let blank = |c: char| c.is_whitespace() || c.is_control() || hidden_char(c);
    text.chars().all(blank)
}

/// Leaves what can be shown, and besides all elements that hold something: their styles say what
/// is seen of it. Of these the text alone goes further.
fn cleaner(names: &HashSet<LocalName>) -> Builder<'_> {
    let mut builder = Builder::empty();
    let one = |name: &'static str, attributes: &[&'static str]| {
        (name, attributes.iter().copied().collect::<HashSet<_>>())
    };
    let names = names.iter().map(|name| &**name);
    builder
        .tags(
            names
                .filter(|name| !DROPPED.contains(name) && !ENDLESS.contains(name))
                .collect(),
        )
        .clean_content_tags(DROPPED.into_iter().collect())
        .tag_attributes(HashMap::from([
            one("a", &["href"]),
            one("img", &["src", "alt"]),
            one("td", &["colspan", "rowspan"]),
            one("th", &["colspan", "rowspan"]),
            one("ol", &["start", "reversed", "type"]),
            one("li", &["value"]),
            one("font", &["color", "size"]),
            one("input", &["type", "value", "alt", "placeholder"]),
            one("textarea", &["placeholder"]),
            one("optgroup", &["label"]),
        ]))
        // All but the first two say what is seen; they go no further.
        .generic_attributes(HashSet::from([
            "dir",
            "lang",
            "class",
            "hidden",
            "id",
            "style",
            "font-size",
            "mathsize",
            "visibility",
        ]))
        .url_schemes(["http", "https", "mailto", "cid"].into_iter().collect())
        .url_relative(UrlRelative::Deny)
        .link_rel(None)
        .strip_comments(true);
    builder
}
