//! Inline styles, as far as they say whether text is seen. They are read as browsers read them:
//! of one property the last declaration that is valid counts, unless an earlier one is important
//! (css-cascade-5 6). What values come to is for [`super::values`].

use cssparser::{
    AtRuleParser, CowRcStr, DeclarationParser, ParseError, Parser, ParserState,
    QualifiedRuleParser, RuleBodyItemParser, RuleBodyParser,
};

use super::sense::{self, Drawn, Layout, Shift};
use super::values::{
    self, Display, Looks, Overflow, Place, Side, Word, color, display, font, opacity, overflow,
    place, side, size, visibility,
};

/// What names of properties have in them that give a box room beside its height and width, or let it show what overflows.
const ROOM: [&str; 9] = [
    "block-size",
    "flex",
    "inline-size",
    "logical-",
    "min-",
    "overflow-block",
    "overflow-clip-margin",
    "overflow-inline",
    "padding",
];

/// What names of properties have in them that paint text beside its colour.
pub(super) const PAINT: [&str; 5] = [
    "background-clip",
    "text-emphasis",
    "text-fill",
    "text-shadow",
    "text-stroke",
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
    pub drawn: Said<Drawn>,
    pub line_color: Said<Looks>,
    pub shift: Said<Shift>,
    pub layout: Said<Layout>,
    /// There is room in it even where its height or width is nothing.
    pub roomy: bool,
    /// Text is painted with more than its colour.
    pub painted: bool,
    /// It may have no box, only its children may.
    pub boxless: bool,
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
        let (words, important) = values::words(input)?;
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
    Decoration,
    DecorationLine,
    DecorationColor,
    VerticalAlign,
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
        "text-decoration" | "-webkit-text-decoration" => Property::Decoration,
        "text-decoration-line" | "-webkit-text-decoration-line" => Property::DecorationLine,
        "text-decoration-color" | "-webkit-text-decoration-color" => Property::DecorationColor,
        "vertical-align" => Property::VerticalAlign,
        name if name.contains("animation") => Property::Animation,
        name if PAINT.iter().any(|paint| name.contains(paint)) => Property::Paint,
        name if ROOM.iter().any(|room| name.contains(room)) => Property::Room,
        _ => return None,
    })
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
            Property::Display => {
                let boxless = ["contents", "inherit", "revert-layer"];
                let any = |word: &Word| word.is(&boxless) || matches!(word, Word::Function(..));
                self.boxless |= words.iter().any(any);
                self.display.say(display(words), important);
                self.layout.say(sense::layout(words), important);
            }
            Property::Decoration => {
                let drawn = sense::drawn(words);
                self.drawn.say(drawn, important);
                let color = drawn.and_then(|_| sense::line_color(words));
                self.line_color.say(color, important);
            }
            Property::DecorationLine => self.drawn.say(sense::drawn(words), important),
            Property::DecorationColor => self.line_color.say(color(words), important),
            Property::VerticalAlign => self.shift.say(sense::shift(words), important),
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
