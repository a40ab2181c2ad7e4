//! Where the Legacy Display of a page stands: the first element of its body, if that is marked as
//! one (RFC 9788 5.2.3). It is found in the page as it was written, so that whoever is given the
//! page and whoever is shown it read the same words.

use html5ever::tokenizer::Token;

use super::LEGACY_DISPLAY;
use super::scan::{attribute, begins, tokens};

/// Elements that may stand before the body without a tag that begins it.
const BEFORE: [&str; 4] = ["base", "head", "link", "meta"];

/// Those of them that hold something.
const HOLDING: [&str; 2] = ["style", "title"];

/// Where the element begins and ends in a page whose body begins at `body`; `None` where the body
/// begins with anything else, and where the element never ends: it would take the letter with it.
pub(in crate::mail) fn legacy_display(html: &str, body: usize) -> Option<(usize, usize)> {
    let mut at = body;
    loop {
        at += blank(html.get(at..)?);
        let rest = html.get(at..)?;
        let name = name(rest.strip_prefix('<')?);
        if rest.starts_with("<!--") {
            at += rest.find("-->")? + 3;
        } else if BEFORE.iter().any(|one| name.eq_ignore_ascii_case(one)) {
            at += tag_end(rest)?;
        } else if let Some(one) = HOLDING.iter().find(|one| name.eq_ignore_ascii_case(one)) {
            let end = closing(rest, one)?;
            at += end + tag_end(rest.get(end..)?)?;
        } else {
            break;
        }
    }
    let rest = html.get(at..)?;
    let tag = rest.get(..tag_end(rest)?)?;
    if !name(tag.get(1..)?).eq_ignore_ascii_case("div") || !is_marked(tag) {
        return None;
    }
    Some((at, at + element_end(rest)?))
}

fn blank(text: &str) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// The name that a tag begins with.
fn name(tag: &str) -> &str {
    let end = tag.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
    tag.get(..end.unwrap_or(tag.len())).unwrap_or_default()
}

/// Where the tag ends that a text begins with: quoted values may have any sign in them.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '"' | '\'') if before == '=' => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        if !c.is_ascii_whitespace() {
            before = c;
        }
    }
    None
}

/// Where an element of this name is closed first.
fn closing(text: &str, name: &str) -> Option<usize> {
    let mut tags = memchr::memmem::find_iter(text.as_bytes(), b"</");
    tags.find(|at| text.get(at + 2..).is_some_and(|tag| begins(tag, name)))
}

/// Whether a tag has the class among its own.
fn is_marked(tag: &str) -> bool {
    let mut marked = false;
    tokens(tag, |token| {
        if let Token::TagToken(tag) = token {
            let classes = attribute(tag, "class").unwrap_or_default();
            let mut classes = classes.split_ascii_whitespace();
            marked |= classes.any(|class| class == LEGACY_DISPLAY);
        }
    });
    marked
}

/// Where the `div` ends that a text begins with, those in it passed over.
fn element_end(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut done = 0;
    for at in memchr::memchr_iter(b'<', text.as_bytes()) {
        if at < done {
            continue;
        }
        let tag = text.get(at..)?;
        let (ends, named) = match tag.get(1..)?.strip_prefix('/') {
            Some(named) => (true, named),
            None => (false, tag.get(1..)?),
        };
        if tag.starts_with("<!--") {
            done = at + tag.find("-->")? + 3;
        } else if name(named).eq_ignore_ascii_case("div") {
            done = at + tag_end(tag)?;
            open = match ends {
                true => open.checked_sub(1)?,
                false => open + 1,
            };
            if open == 0 {
                return Some(done);
            }
        }
    }
    None
}
