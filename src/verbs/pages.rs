//! The HTML among a message's parts: made safe, shown where it says something, and else in favour
//! of the alternative before it.

use std::collections::BTreeSet;

use super::peel::{Branch, Peeled, PeeledPart};
use crate::base::verdict::{Html, Image, Link};
use crate::base::{Context, Result};
use crate::mail::html::{self, Budget, Page};

/// Raw HTML that nothing authenticates is not given out: it could carry the plaintext away as
/// soon as somebody shows it.
pub(super) fn is_active(media_type: &str) -> bool {
    matches!(
        media_type,
        "text/html" | "application/xhtml+xml" | "image/svg+xml" | "text/xml" | "application/xml"
    )
}

/// The HTML that stands among the parts, made safe, each in its part's place.
pub(super) fn pages(peeled: &Peeled, cx: &Context) -> Result<Vec<Option<Page>>> {
    let mut budget = Budget::default();
    let mut page = |part: &PeeledPart| {
        if part.media_type != "text/html" || !part.written {
            return Ok(None);
        }
        cx.job.check()?;
        let html = String::from_utf8_lossy(&part.body);
        Ok(html::page(&html, &mut budget))
    };
    peeled.parts.iter().map(&mut page).collect()
}

/// Lets an alternative that can't be shown, or says nothing, give way to the last one before it
/// that can; and settles which parts are shown.
pub(super) fn give_way(peeled: &mut Peeled, pages: &[Option<Page>]) {
    let mut says = BTreeSet::new();
    let mut poor = Vec::with_capacity(pages.len());
    for (part, page) in peeled.parts.iter().zip(pages) {
        let worth = worth(part, page.as_ref());
        if worth == Worth::Text && part.show {
            let branches = part.branches.iter();
            says.extend(branches.map(|branch| (branch.alternative, branch.child)));
        }
        poor.push(worth);
    }
    // Backwards: what comes to be shown stands before what gives way to it.
    for (index, worth) in poor.into_iter().enumerate().rev() {
        let Some(part) = peeled.parts.get(index).filter(|part| peeled.shows(part)) else {
            continue;
        };
        let mut branches = part.branches.iter().rev();
        let earlier = branches.find_map(|Branch { alternative, child }| {
            // Something else may be said beside what is empty.
            if worth == Worth::Empty && says.contains(&(*alternative, *child)) {
                return None;
            }
            says.range((*alternative, 0)..(*alternative, *child))
                .next_back()
                .copied()
        });
        let gives_way = matches!(worth, Worth::Closed | Worth::Empty);
        if let Some((alternative, child)) = earlier.filter(|_| gives_way)
            && let Some(chosen) = peeled.chosen.get_mut(alternative)
        {
            *chosen = child;
        }
    }
    let shown: Vec<bool> = peeled.parts.iter().map(|part| peeled.shows(part)).collect();
    for (part, shown) in peeled.parts.iter_mut().zip(shown) {
        part.show = shown;
    }
}

/// What there is for a reader in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Text,
    /// A text without a word in it, nor a picture.
    Empty,
    /// A page that can't be shown.
    Closed,
    /// It is no text of the message.
    Other,
}

fn worth(part: &PeeledPart, page: Option<&Page>) -> Worth {
    match (part.media_type.as_str(), page) {
        _ if !part.written => Worth::Other,
        ("text/html", None) => Worth::Closed,
        ("text/html", Some(page)) => match !page.says && page.cids.is_empty() {
            true => Worth::Empty,
            false => Worth::Text,
        },
        ("text/plain", _) => match html::is_blank(&String::from_utf8_lossy(&part.body)) {
            true => Worth::Empty,
            false => Worth::Text,
        },
        _ => Worth::Other,
    }
}

/// A page as a client sees it. `bare`: nothing vouches for it, so that its text alone is shown.
pub(super) fn shown(page: Page, at: usize, parts: &[PeeledPart], bare: bool) -> Html {
    if bare {
        return Html {
            clean: html::plain(&page.text).into(),
            cids: Vec::new(),
            links: Vec::new(),
            removed: page.removed,
        };
    }
    let own = parts.get(at).map(|part| (part.scope, &part.layers));
    let image = |cid: String| {
        let named = |part: &&PeeledPart| {
            // What is under other layers, or in another message, is never joined (RFC 9787).
            part.content_id.as_ref() == Some(&cid)
                && Some((part.scope, &part.layers)) == own
                && part.media_type.starts_with("image/")
                && !is_active(&part.media_type)
        };
        let part = parts.iter().find(named)?.id.clone();
        Some(Image {
            content_id: cid,
            part,
        })
    };
    let link = |(at, url)| Link { n: at + 1, url };
    Html {
        clean: page.clean.into(),
        cids: page.cids.into_iter().filter_map(image).collect(),
        links: page.links.into_iter().enumerate().map(link).collect(),
        removed: page.removed,
    }
}
