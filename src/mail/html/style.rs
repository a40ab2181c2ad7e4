//! Inline styles, as far as they say whether text is seen. They are read as browsers read them:
//! of one property the last declaration that is valid counts, unless an earlier one is important
//! (css-cascade-5 6). Where it is not certain what a value comes to, it is one that shows.

use cssparser::{
    AtRuleParser, CowRcStr, DeclarationParser, ParseError, Parser, ParserState,
    QualifiedRuleParser, RuleBodyItemParser, RuleBodyParser, Token, color::parse_hash_color,
};

/// Units of lengths; a number of any other may be no value at all.
const UNITS: [&str; 15] = [
    "px", "pt", "pc", "in", "cm", "mm", "q", "em", "rem", "ex", "ch", "vw", "vh", "vmin", "vmax",
];

/// Properties that give a box room beside its height and width, or let it show what overflows.
const ROOM: [&str; 11] = [
    "block-size",
    "flex",
    "flex-basis",
    "flex-flow",
    "flex-grow",
    "inline-size",
    "max-block-size",
    "max-inline-size",
    "overflow-block",
    "overflow-clip-margin",
    "overflow-inline",
];

/// Properties that paint text beside its colour.
const PAINT: [&str; 10] = [
    "-webkit-background-clip",
    "-webkit-text-emphasis",
    "-webkit-text-emphasis-style",
    "-webkit-text-fill-color",
    "-webkit-text-stroke",
    "-webkit-text-stroke-width",
    "background-clip",
    "text-emphasis",
    "text-emphasis-style",
    "text-shadow",
];

/// What a style says of one property; nothing, where it has no valid declaration of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<T> {
    pub value: Option<T>,
    pub important: bool,
}

impl<T> Default for Said<T> {
    fn default() -> Said<T> {
        Said {
            value: None,
            important: false,
        }
    }
}

impl<T: Copy> Said<T> {
    fn say(&mut self, value: Option<T>, important: bool) {
        if value.is_some() && (important || !self.important) {
            *self = Said { value, important };
        }
    }
}

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

/// What an inline style says of what can be seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    pub display: Said<Display>,
    pub opacity: Said<Looks>,
    pub visibility: Said<Looks>,
    pub size: Said<Looks>,
    pub color: Said<Looks>,
    pub place: Said<Place>,
    pub height: Said<Side>,
    pub max_height: Said<Side>,
    pub width: Said<Side>,
    pub max_width: Said<Side>,
    pub overflow_x: Said<Overflow>,
    pub overflow_y: Said<Overflow>,
    /// There is room in it even where its height or width is nothing.
    pub roomy: bool,
    /// Text is painted with more than its colour.
    pub painted: bool,
    /// It changes with time.
    pub animated: bool,
}

/// Reads an inline style.
pub(super) fn style(text: &str) -> Style {
    declarations(&mut Parser::new(text))
}

/// Reads what stands in a rule of a style sheet.
pub(super) fn declarations(input: &mut Parser) -> Style {
    let mut reader = Reader(Style::default());
    RuleBodyParser::new(input, &mut reader).for_each(drop);
    reader.0
}

struct Reader(Style);

impl<'i> DeclarationParser<'i> for Reader {
    type Declaration = ();
    type Error = ();

    fn parse_value(
        &mut self,
        name: CowRcStr<'i>,
        input: &mut Parser<'i>,
        _: &ParserState,
    ) -> Result<(), ParseError<()>> {
        // A value that nobody asks about is not read.
        let Some(property) = property(&name) else {
            return Err(ParseError::unexpected_token());
        };
        let (words, important) = words(input)?;
        self.0.say(property, &words, important);
        Ok(())
    }
}

impl AtRuleParser<'_> for Reader {
    type Prelude = ();
    type AtRule = ();
    type Error = ();
}

impl QualifiedRuleParser<'_> for Reader {
    type Prelude = ();
    type QualifiedRule = ();
    type Error = ();
}

impl RuleBodyItemParser<'_, (), ()> for Reader {
    fn parse_declarations(&self) -> bool {
        true
    }

    fn parse_qualified(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy)]
enum Property {
    All,
    Display,
    Opacity,
    Visibility,
    FontSize,
    Font,
    Color,
    Position,
    Height,
    MaxHeight,
    Width,
    MaxWidth,
    Overflow,
    OverflowX,
    OverflowY,
    Background,
    Paint,
    Room,
    Animation,
}

fn property(name: &str) -> Option<Property> {
    let name = name.to_ascii_lowercase();
    Some(match &*name {
        "all" => Property::All,
        "display" => Property::Display,
        "opacity" => Property::Opacity,
        "visibility" => Property::Visibility,
        "font-size" => Property::FontSize,
        "font" => Property::Font,
        "color" => Property::Color,
        "position" => Property::Position,
        "height" => Property::Height,
        "max-height" => Property::MaxHeight,
        "width" => Property::Width,
        "max-width" => Property::MaxWidth,
        "overflow" => Property::Overflow,
        "overflow-x" => Property::OverflowX,
        "overflow-y" => Property::OverflowY,
        "background" => Property::Background,
        "animation" | "animation-name" | "-webkit-animation" | "-webkit-animation-name" => {
            Property::Animation
        }
        name if PAINT.contains(&name) => Property::Paint,
        name if ROOM.contains(&name) => Property::Room,
        name if name.starts_with("padding") || name.starts_with("min-") => Property::Room,
        _ => return None,
    })
}

/// A piece of a value.
#[derive(Debug, Clone)]
enum Word<'i> {
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
    fn is(&self, names: &[&str]) -> bool {
        matches!(self, Word::Name(word) if names.iter().any(|name| word.eq_ignore_ascii_case(name)))
    }

    /// A length of nothing at all.
    fn is_nothing(&self) -> bool {
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
fn words<'i>(input: &mut Parser<'i>) -> Result<(Vec<Word<'i>>, bool), ParseError<()>> {
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

impl Style {
    /// Whether it hides anything at all.
    pub(super) fn hides(&self) -> bool {
        let looks = [self.opacity, self.visibility, self.size, self.color];
        let sides = [self.height, self.max_height, self.width, self.max_width];
        self.display.value == Some(Display::None)
            || looks.iter().any(|said| said.value == Some(Looks::Unseen))
            || sides.iter().any(|said| said.value == Some(Side::Nothing))
    }

    fn say(&mut self, property: Property, words: &[Word], important: bool) {
        match property {
            Property::All => self.forget(important),
            Property::Display => self.display.say(display(words), important),
            Property::Opacity => self.opacity.say(opacity(words), important),
            Property::Visibility => self.visibility.say(visibility(words), important),
            Property::FontSize => self.size.say(size(words), important),
            Property::Font => self.size.say(font(words), important),
            Property::Color => self.color.say(color(words), important),
            Property::Position => self.place.say(place(words), important),
            Property::Height => self.height.say(side(words), important),
            Property::MaxHeight => self.max_height.say(side(words), important),
            Property::Width => self.width.say(side(words), important),
            Property::MaxWidth => self.max_width.say(side(words), important),
            Property::Overflow => {
                let (x, y) = match words {
                    [both] => (overflow(both), overflow(both)),
                    [x, y] => (overflow(x), overflow(y)),
                    _ => (None, None),
                };
                if x.is_some() && y.is_some() {
                    self.overflow_x.say(x, important);
                    self.overflow_y.say(y, important);
                }
            }
            Property::OverflowX | Property::OverflowY => {
                let value = match words {
                    [only] => overflow(only),
                    _ => None,
                };
                match property {
                    Property::OverflowX => self.overflow_x.say(value, important),
                    _ => self.overflow_y.say(value, important),
                }
            }
            Property::Background => {
                let through =
                    |word: &Word| word.is(&["text"]) || matches!(word, Word::Function(..));
                self.painted |= words.iter().any(through);
            }
            Property::Paint => self.painted = true,
            Property::Room => self.roomy |= !words.iter().all(Word::is_nothing),
            Property::Animation => self.animated = true,
        }
    }

    /// Takes back what was said before, as far as it can be.
    fn forget(&mut self, important: bool) {
        self.display.say(Some(Display::Other), important);
        self.opacity.say(Some(Looks::Seen), important);
        self.visibility.say(Some(Looks::Seen), important);
        self.size.say(Some(Looks::Seen), important);
        self.color.say(Some(Looks::Seen), important);
        self.place.say(Some(Place::OutOfFlow), important);
        self.overflow_x.say(Some(Overflow::Shown), important);
        self.overflow_y.say(Some(Overflow::Shown), important);
    }
}

/// What the words say that any property may have (css-cascade-5 7.3); functions may come to
/// anything.
fn wide(words: &[Word]) -> Option<Looks> {
    match words {
        [word] if word.is(&["inherit", "unset", "revert", "revert-layer"]) => Some(Looks::AsAround),
        [word] if word.is(&["initial"]) => Some(Looks::Seen),
        _ if words.iter().any(|word| matches!(word, Word::Function(..))) => Some(Looks::Seen),
        _ => None,
    }
}

fn display(words: &[Word]) -> Option<Display> {
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

fn opacity(words: &[Word]) -> Option<Looks> {
    match words {
        [Word::Number(value) | Word::Percentage(value)] => Some(match *value <= 0.0 {
            true => Looks::Unseen,
            false => Looks::Seen,
        }),
        _ => wide(words).map(|_| Looks::Seen),
    }
}

fn visibility(words: &[Word]) -> Option<Looks> {
    match words {
        [word] if word.is(&["visible"]) => Some(Looks::Seen),
        [word] if word.is(&["hidden", "collapse"]) => Some(Looks::Unseen),
        _ => wide(words),
    }
}

fn size(words: &[Word]) -> Option<Looks> {
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
fn font(words: &[Word]) -> Option<Looks> {
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

fn color(words: &[Word]) -> Option<Looks> {
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

fn place(words: &[Word]) -> Option<Place> {
    match words {
        [word] if word.is(&["static", "relative", "sticky", "-webkit-sticky", "initial"]) => {
            Some(Place::InFlow)
        }
        _ => Some(Place::OutOfFlow),
    }
}

fn side(words: &[Word]) -> Option<Side> {
    match words {
        // Percentages are parts of something that may have no length.
        [word] if word.is_nothing() => Some(Side::Nothing),
        _ => Some(Side::Some),
    }
}

fn overflow(word: &Word) -> Option<Overflow> {
    match word {
        _ if word.is(&["hidden", "scroll", "auto", "overlay"]) => Some(Overflow::Hidden),
        _ if word.is(&["clip"]) => Some(Overflow::Clipped),
        _ if word.is(&["visible"]) => Some(Overflow::Shown),
        word => wide(std::slice::from_ref(word)).map(|_| Overflow::Shown),
    }
}
