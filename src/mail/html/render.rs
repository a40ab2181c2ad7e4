//! What the cleaner left, written out once more: addresses become numbers and names, and the
//! text is made beside it.

use html5ever::tokenizer::{Tag, TagKind, Token};

use super::hidden::{Sight, sight};
use super::scan::{attribute, tokens};
use super::sheets::Others;
use super::text::Lines;
use super::{LEGACY_DISPLAY, LISTED_MAX, LegacyDisplay, PASSED, Page};
use crate::base::address::hidden;
use crate::mail::media::percent;

/// Elements without an end.
const VOID: [&str; 5] = ["br", "col", "hr", "img", "input"];

/// Writes a page out of cleaned HTML.
pub(super) fn render(cleaned: &str, legacy: LegacyDisplay, others: Others) -> Page {
    let mut writer = Writer {
        page: Page::default(),
        lines: Lines::default(),
        legacy,
        others,
        hidden: 0,
        sights: Vec::new(),
    };
    tokens(cleaned, |token| writer.token(token));
    Page {
        text: writer.lines.finish(),
        ..writer.page
    }
}

struct Writer {
    page: Page,
    lines: Lines,
    legacy: LegacyDisplay,
    others: Others,
    /// How many elements are open inside one that is not shown, itself included.
    hidden: usize,
    /// For each open element that is shown, whether text right inside it is.
    sights: Vec<Sight>,
}

impl Writer {
    fn token(&mut self, token: &Token) {
        match token {
            Token::TagToken(tag) if self.hidden > 0 => match tag.kind {
                _ if VOID.contains(&&*tag.name) => {}
                TagKind::StartTag => self.hidden += 1,
                TagKind::EndTag => self.hidden -= 1,
            },
            _ if self.hidden > 0 => {}
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => self.start(tag),
            Token::TagToken(tag) => self.end(&tag.name),
            Token::CharacterTokens(text) => self.words(text, self.sight()),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        let classes = attribute(tag, "class").unwrap_or_default();
        let marked = classes
            .split_ascii_whitespace()
            .any(|class| class == LEGACY_DISPLAY);
        if self.legacy == LegacyDisplay::Present && name == "div" && marked {
            self.hidden = 1;
            return;
        }
        // Styles are not kept, so it would come to light; and what nobody saw is not quoted.
        let Some(sight) = sight(tag, self.sight(), &self.others) else {
            self.hidden = usize::from(!VOID.contains(&name));
            return;
        };
        if name == "img" {
            if sight.shows_pictures() {
                self.image(tag);
            }
            return;
        }
        if !VOID.contains(&name) {
            self.sights.push(sight);
        }
        if PASSED.contains(&name) {
            match name {
                // They stand below one another.
                "option" => self.words(" ", sight),
                "input" => self.words(entered(tag), sight),
                _ => {}
            }
            return;
        }
        let mut link = None;
        self.page.clean.push('<');
        self.page.clean.push_str(name);
        for attribute in &tag.attrs {
            let (key, value) = (&*attribute.name.local, &*attribute.value);
            match (name, key) {
                ("a", "href") => {
                    link = self.link(value);
                    if link.is_some() {
                        let number = self.page.links.len().to_string();
                        self.put("data-link", &number);
                    }
                }
                (_, "class" | "hidden" | "href" | "id" | "src" | "style") => {}
                _ => self.put(key, value),
            }
        }
        self.page.clean.push('>');
        self.lines.start(name, link);
        if let ("ol", Some(Ok(number))) = (name, attribute(tag, "start").map(str::parse)) {
            self.lines.count_from(number);
        }
    }

    fn words(&mut self, text: &str, sight: Sight) {
        if sight.is_clear() {
            escape(text, &mut self.page.clean);
            self.lines.text(text);
        }
    }

    /// What those around have left of sight.
    fn sight(&self) -> Sight {
        self.sights.last().copied().unwrap_or_default()
    }

    fn end(&mut self, name: &str) {
        if !VOID.contains(&name) {
            self.sights.pop();
        }
        if PASSED.contains(&name) {
            return;
        }
        if !VOID.contains(&name) {
            self.page.clean.push_str("</");
            self.page.clean.push_str(name);
            self.page.clean.push('>');
        }
        self.lines.end(name);
    }

    /// Takes note of a link; `None` where it leads nowhere.
    fn link(&mut self, url: &str) -> Option<String> {
        let url = url.trim();
        let scheme = url.split(':').next().unwrap_or_default();
        let known = ["http", "https", "mailto"];
        let leads = known.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        if !leads
            || self.page.links.len() >= LISTED_MAX
            || url.chars().any(|c| c.is_control() || hidden(c))
        {
            return None;
        }
        self.page.links.push(url.to_owned());
        Some(url.to_owned())
    }

    /// An image of the message itself keeps its place; of others only their words stay.
    fn image(&mut self, tag: &Tag) {
        let alt = attribute(tag, "alt").unwrap_or_default().trim();
        let source = attribute(tag, "src").unwrap_or_default().trim();
        let cid = source
            .get(..4)
            .filter(|scheme| scheme.eq_ignore_ascii_case("cid:"))
            .and_then(|_| source.get(4..))
            .map(unescaped)
            .filter(|cid| !cid.is_empty() && self.page.cids.len() < LISTED_MAX);
        if let Some(cid) = cid {
            self.page.clean.push_str("<img");
            self.put("data-cid", &cid);
            self.put("alt", alt);
            self.page.clean.push('>');
            if !self.page.cids.contains(&cid) {
                self.page.cids.push(cid);
            }
        } else if !alt.is_empty() {
            escape(&format!("[{alt}]"), &mut self.page.clean);
        }
        if !alt.is_empty() {
            self.lines.text(&format!("[{alt}]"));
        }
    }

    fn put(&mut self, key: &str, value: &str) {
        self.page.clean.push(' ');
        self.page.clean.push_str(key);
        self.page.clean.push_str("=\"");
        escape(value, &mut self.page.clean);
        self.page.clean.push('"');
    }
}

/// The text that is seen in a field or on a button.
fn entered(tag: &Tag) -> &str {
    let kind = attribute(tag, "type").unwrap_or_default();
    let kinds = [
        "checkbox", "color", "file", "hidden", "image", "password", "radio", "range",
    ];
    match kinds.iter().any(|other| kind.eq_ignore_ascii_case(other)) {
        true => "",
        false => attribute(tag, "value").unwrap_or_default(),
    }
}

/// A content id out of its URL (RFC 2392 2): percent escapes are undone.
fn unescaped(url: &str) -> String {
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
