//! What a style makes of the sense of words beside whether they are seen: whether they are struck
//! out, raised or lowered, and whether they stand apart from the words before them.

use html5ever::tokenizer::Tag;

use super::scan::attribute;
use super::style::style;
use super::values::{Looks, Word, color};

/// A line drawn at words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    Through,
    Elsewhere,
    ByNature,
}

/// Where words stand beside their line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    Raised,
    Lowered,
    Nowhere,
}

/// How a box stands among its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// As one more word, or a part of one.
    Inline,
    /// Beside them.
    Beside,
    /// In lines of its own.
    Line,
}

/// How a box stands, and how those do that are right in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub flow: Flow,
    /// Each of them is a box beside the others.
    pub spread: bool,
}

/// What a style says of the sense of words.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sense {
    pub drawn: Option<Drawn>,
    pub shift: Option<Shift>,
    pub layout: Option<Layout>,
}

/// What an element's own style says.
pub(super) fn sense(tag: &Tag) -> Sense {
    let Some(style) = attribute(tag, "style").map(style) else {
        return Sense::default();
    };
    let seen = style.line_color.value != Some(Looks::Unseen);
    Sense {
        drawn: style.drawn.value.map(|drawn| match drawn {
            Drawn::Through if !seen => Drawn::Elsewhere,
            drawn => drawn,
        }),
        shift: style.shift.value,
        layout: style.layout.value,
    }
}

fn any(words: &[Word], names: &[&str]) -> bool {
    words.iter().any(|word| word.is(names))
}

fn calls(words: &[Word]) -> bool {
    let call = |word: &Word| matches!(word, Word::Function(..));
    words.iter().any(call)
}

/// `text-decoration`, `text-decoration-line`.
pub(super) fn drawn(words: &[Word]) -> Option<Drawn> {
    let lines = ["none", "underline", "overline", "blink"];
    let wide = ["inherit", "initial", "unset"];
    match words {
        [] => None,
        _ if any(words, &["line-through"]) => Some(Drawn::Through),
        [word] if word.is(&["revert", "revert-layer"]) => Some(Drawn::ByNature),
        _ if any(words, &lines) || any(words, &wide) => Some(Drawn::Elsewhere),
        _ => None,
    }
}

/// The colour of the line, where `text-decoration` has one.
pub(super) fn line_color(words: &[Word]) -> Option<Looks> {
    let of = |word: &Word| color(std::slice::from_ref(word)) == Some(Looks::Unseen);
    Some(match words.iter().any(of) {
        true => Looks::Unseen,
        false => Looks::Seen,
    })
}

/// `vertical-align`.
pub(super) fn shift(words: &[Word]) -> Option<Shift> {
    match words {
        [word] if word.is(&["super"]) => Some(Shift::Raised),
        [word] if word.is(&["sub"]) => Some(Shift::Lowered),
        [_] => Some(Shift::Nowhere),
        _ => None,
    }
}

/// `display`.
pub(super) fn layout(words: &[Word]) -> Option<Layout> {
    let beside = [
        "-webkit-inline-box",
        "-webkit-inline-flex",
        "inline-block",
        "inline-flex",
        "inline-grid",
        "inline-table",
        "table-cell",
    ];
    let spread = [
        "-ms-flexbox",
        "-ms-grid",
        "-ms-inline-flexbox",
        "-webkit-box",
        "-webkit-flex",
        "-webkit-inline-box",
        "-webkit-inline-flex",
        "flex",
        "grid",
        "inline-flex",
        "inline-grid",
    ];
    let line = [
        "block",
        "flow-root",
        "list-item",
        "table",
        "table-caption",
        "table-footer-group",
        "table-header-group",
        "table-row",
        "table-row-group",
    ];
    if words.is_empty() || calls(words) || !words.iter().all(|word| matches!(word, Word::Name(_))) {
        return None;
    }
    let spread = any(words, &spread);
    let flow = if any(words, &beside) || words.len() > 1 && any(words, &["inline"]) {
        Flow::Beside
    } else if any(words, &line) || spread {
        Flow::Line
    } else {
        Flow::Inline
    };
    Some(Layout { flow, spread })
}
