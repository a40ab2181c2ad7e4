//! Values of CSS, as far as they say whether text is seen; `None` where a value is none of its
//! property. Where it is not certain what one comes to, it is one that shows.

use cssparser::{CowRcStr, ParseError, Parser, Token, color::parse_hash_color};

/// Units of lengths; a number of any other may be no value at all.
const UNITS: [&str; 15] = [
    "px", "pt", "pc", "in", "cm", "mm", "q", "em", "rem", "ex", "ch", "vw", "vh", "vmin", "vmax",
];

/// How text is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    Seen,
    Unseen,
    AsAround,
}

/// What box an element has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Display {
    None,
    /// One that has a height and a width.
    Block,
    /// Its children have boxes, it has none.
    Contents,
    Other,
}

/// How long a side of a box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Nothing,
    Some,
}

/// What becomes of what a box has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    Shown,
    /// Cut off along this axis alone.
    Clipped,
    /// Cut off, and then along the other axis too.
    Hidden,
}

/// Which box cuts an element off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    InFlow,
    /// Not the one around it, maybe.
    OutOfFlow,
}

/// A piece of a value.
#[derive(Debug, Clone)]
pub(super) enum Word<'i> {
    Name(CowRcStr<'i>),
    Number(f32),
    Percentage(f32),
    Length(f32, CowRcStr<'i>),
    Hash(CowRcStr<'i>),
    Text,
    Slash,
    Comma,
    Function(CowRcStr<'i>, Vec<Word<'i>>),
    Other,
}

impl Word<'_> {
    pub(super) fn is(&self, names: &[&str]) -> bool {
        matches!(self, Word::Name(word) if names.iter().any(|name| word.eq_ignore_ascii_case(name)))
    }

    /// A length of nothing at all.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Word::Number(value) => *value == 0.0,
            Word::Length(value, unit) => {
                *value == 0.0 && UNITS.iter().any(|known| unit.eq_ignore_ascii_case(known))
            }
            _ => false,
        }
    }
}

/// A value, and whether it is important.
pub(super) fn words<'i>(input: &mut Parser<'i>) -> Result<(Vec<Word<'i>>, bool), ParseError<()>> {
    let mut words = Vec::new();
    while let Ok(token) = input.next() {
        let word = match token.clone() {
            Token::Delim('!') => {
                input.expect_ident_matching("important")?;
                input.expect_exhausted()?;
                return Ok((words, true));
            }
            Token::Function(name) => Word::Function(name, input.parse_nested_block(arguments)?),
            token => word(token),
        };
        words.push(word);
    }
    Ok((words, false))
}

fn arguments<'i>(input: &mut Parser<'i>) -> Result<Vec<Word<'i>>, ParseError<()>> {
    let mut words = Vec::new();
    while let Ok(token) = input.next() {
        words.push(word(token.clone()));
    }
    Ok(words)
}

fn word(token: Token<'_>) -> Word<'_> {
    match token {
        Token::Ident(name) => Word::Name(name),
        Token::Number { value, .. } => Word::Number(value),
        Token::Percentage { unit_value, .. } => Word::Percentage(unit_value),
        Token::Dimension { value, unit, .. } => Word::Length(value, unit),
        Token::Hash(value) | Token::IDHash(value) => Word::Hash(value),
        Token::QuotedString(_) => Word::Text,
        Token::Delim('/') => Word::Slash,
        Token::Comma => Word::Comma,
        _ => Word::Other,
    }
}

/// What the words say that any property may have (css-cascade-5 7.3); functions may come to
/// anything.
fn wide(words: &[Word]) -> Option<Looks> {
    match words {
        [word] if word.is(&["inherit", "unset"]) => Some(Looks::AsAround),
        // What is gone back to may be anything.
        [word] if word.is(&["initial", "revert", "revert-layer"]) => Some(Looks::Seen),
        _ if words.iter().any(|word| matches!(word, Word::Function(..))) => Some(Looks::Seen),
        _ => None,
    }
}

pub(super) fn display(words: &[Word]) -> Option<Display> {
    let block = [
        "block",
        "flex",
        "flow-root",
        "grid",
        "inline-block",
        "inline-flex",
        "inline-grid",
        "list-item",
    ];
    match words {
        [] => None,
        [word] if word.is(&["none"]) => Some(Display::None),
        [word] if word.is(&["contents"]) => Some(Display::Contents),
        [word] if word.is(&block) => Some(Display::Block),
        // There are many, and there will be more.
        _ if words
            .iter()
            .all(|word| matches!(word, Word::Name(_) | Word::Function(..))) =>
        {
            Some(Display::Other)
        }
        _ => None,
    }
}

pub(super) fn opacity(words: &[Word]) -> Option<Looks> {
    match words {
        [Word::Number(value) | Word::Percentage(value)] => Some(match *value <= 0.0 {
            true => Looks::Unseen,
            false => Looks::Seen,
        }),
        _ => wide(words).map(|_| Looks::Seen),
    }
}

pub(super) fn visibility(words: &[Word]) -> Option<Looks> {
    match words {
        [word] if word.is(&["visible"]) => Some(Looks::Seen),
        [word] if word.is(&["hidden", "collapse"]) => Some(Looks::Unseen),
        _ => wide(words),
    }
}

pub(super) fn size(words: &[Word]) -> Option<Looks> {
    match words {
        [word] => size_word(word).or_else(|| wide(words)),
        _ => wide(words),
    }
}

fn size_word(word: &Word) -> Option<Looks> {
    // A part of nothing is nothing.
    let part = |unit: &str| {
        ["em", "ex", "ch"]
            .iter()
            .any(|part| unit.eq_ignore_ascii_case(part))
    };
    let names = [
        "xx-small",
        "x-small",
        "small",
        "medium",
        "large",
        "x-large",
        "xx-large",
        "xxx-large",
        "-webkit-xxx-large",
        "math",
    ];
    match word {
        Word::Number(value) | Word::Length(value, _) | Word::Percentage(value) if *value < 0.0 => {
            None
        }
        Word::Percentage(value) if *value == 0.0 => Some(Looks::Unseen),
        Word::Percentage(_) => Some(Looks::AsAround),
        _ if word.is_nothing() => Some(Looks::Unseen),
        Word::Length(_, unit) if part(unit) => Some(Looks::AsAround),
        Word::Number(_) | Word::Length(..) => Some(Looks::Seen),
        _ if word.is(&["larger", "smaller"]) => Some(Looks::AsAround),
        _ if word.is(&names) => Some(Looks::Seen),
        _ => None,
    }
}

/// The size in all that is said of a font: before the slash of a line's height, and before the
/// families.
pub(super) fn font(words: &[Word]) -> Option<Looks> {
    let size = |word: &Word| match word {
        // A weight.
        Word::Number(value) if *value >= 1.0 => None,
        word => size_word(word),
    };
    let found = words.iter().position(|word| size(word).is_some());
    let Some((word, rest)) = found.and_then(|at| words.get(at..)?.split_first()) else {
        return Some(wide(words).unwrap_or(Looks::Seen));
    };
    let rest = match rest {
        [Word::Slash, _, rest @ ..] => rest,
        rest => rest,
    };
    let family = |word: &Word| matches!(word, Word::Name(_) | Word::Text | Word::Comma);
    match rest.first() {
        Some(Word::Name(_) | Word::Text) if rest.iter().all(family) => size(word),
        _ => Some(Looks::Seen),
    }
}

pub(super) fn color(words: &[Word]) -> Option<Looks> {
    match words {
        [word] if word.is(&["transparent"]) => Some(Looks::Unseen),
        [word] if word.is(&["currentcolor"]) => Some(Looks::AsAround),
        [Word::Hash(value)] => {
            let (.., alpha) = parse_hash_color(value.as_bytes()).ok()?;
            Some(looks(alpha))
        }
        [Word::Function(name, arguments)]
            if ["rgb", "rgba", "hsl", "hsla"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known)) =>
        {
            Some(looks(alpha(arguments).unwrap_or(1.0)))
        }
        [] | [_, _, ..] => None,
        _ => Some(wide(words).unwrap_or(Looks::Seen)),
    }
}

fn looks(alpha: f32) -> Looks {
    match alpha <= 0.0 {
        true => Looks::Unseen,
        false => Looks::Seen,
    }
}

/// How opaque a colour of three parts is, in either way to write it (css-color-4 5, 7).
fn alpha(arguments: &[Word]) -> Option<f32> {
    let [a, one, b, two, c, three, alpha] = arguments else {
        let [a, b, c, Word::Slash, alpha] = arguments else {
            return None;
        };
        return part(a).and(part(b)).and(part(c)).and(part(alpha));
    };
    let commas = [one, two, three];
    let commas = commas.iter().all(|word| matches!(word, Word::Comma));
    let parts = part(a).and(part(b)).and(part(c)).and(part(alpha));
    parts.filter(|_| commas)
}

fn part(word: &Word) -> Option<f32> {
    match word {
        Word::Number(value) | Word::Percentage(value) => Some(*value),
        Word::Length(value, unit) if unit.eq_ignore_ascii_case("deg") => Some(*value),
        _ => None,
    }
}

pub(super) fn place(words: &[Word]) -> Option<Place> {
    match words {
        [word] if word.is(&["static", "relative", "sticky", "-webkit-sticky", "initial"]) => {
            Some(Place::InFlow)
        }
        _ => Some(Place::OutOfFlow),
    }
}

pub(super) fn side(words: &[Word]) -> Option<Side> {
    match words {
        // Percentages are parts of something that may have no length.
        [word] if word.is_nothing() => Some(Side::Nothing),
        _ => Some(Side::Some),
    }
}

pub(super) fn overflow(word: &Word) -> Option<Overflow> {
    match word {
        _ if word.is(&["hidden", "scroll", "auto", "overlay"]) => Some(Overflow::Hidden),
        _ if word.is(&["clip"]) => Some(Overflow::Clipped),
        _ if word.is(&["visible"]) => Some(Overflow::Shown),
        word => wide(std::slice::from_ref(word)).map(|_| Overflow::Shown),
    }
}
