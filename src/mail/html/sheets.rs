//! What a page has beside the elements that stay, and that may take back what their own styles
//! hide: style sheets, and the styles of other elements. No layout is made of them: where they
//! may have a say, it is not certain that something is hidden.

use std::cell::OnceCell;
use std::collections::HashMap;

use cssparser::{
    AtRuleParser, CowRcStr, DeclarationParser, ParseError, Parser, ParserState,
    QualifiedRuleParser, RuleBodyItemParser, RuleBodyParser, StyleSheetParser, Token,
};
use html5ever::tokenizer::Tag;

use super::scan::attribute;
use super::style::{self, Said, Style};
use super::values::{Display, Looks, Overflow, Side};

/// Conditions that don't hold on a screen of usual width: what is for others says it again.
const ELSEWHERE: [&str; 4] = [
    "max-width",
    "max-device-width",
    "prefers-color-scheme",
    "print",
];

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Elements that don't stay have styles.
    pub elements: bool,
    /// Style sheets name sizes.
    pub size: bool,
    pub color: bool,
    pub visibility: bool,
    pub position: bool,
    sheets: String,
    rules: OnceCell<HashMap<String, Back>>,
}

/// What rules take back of what elements hide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Back {
    /// What the attribute `hidden` says.
    pub hidden: bool,
    pub display: bool,
    pub opacity: bool,
    pub visibility: bool,
    pub size: bool,
    pub color: bool,
    /// That there is no room.
    pub room: bool,
}

impl Others {
    pub(super) fn new(sheets: &str, elements: bool) -> Others {
        let sheets = sheets.to_ascii_lowercase();
        // Any letter may be an escape.
        let names = |name: &str| sheets.contains('\\') || sheets.contains(name);
        Others {
            elements,
            size: names("font") || names("all:"),
            color: names("color") || names("all:"),
            visibility: names("visibility") || names("all:"),
            position: names("position") || names("all:"),
            sheets,
            rules: OnceCell::new(),
        }
    }

    /// What rules for an element take back.
    pub(super) fn back(&self, tag: &Tag) -> Back {
        let mut back = Back::default();
        let rules = self.rules.get_or_init(|| rules(&self.sheets));
        let mut add = |key: &str| {
            if let Some(rule) = rules.get(key) {
                back = back.and(*rule);
            }
        };
        add("*");
        add(&tag.name);
        let words = |name: &str| {
            attribute(tag, name)
                .unwrap_or_default()
                .to_ascii_lowercase()
        };
        for class in words("class").split_ascii_whitespace() {
            add(&format!(".{class}"));
        }
        add(&format!("#{}", words("id")));
        back
    }
}

impl Back {
    fn of(style: &Style) -> Back {
        fn forced<T: Copy>(said: &Said<T>, shows: impl Fn(T) -> bool) -> bool {
            said.important && said.value.is_some_and(shows)
        }
        let seen = |looks: Looks| looks != Looks::Unseen;
        let long = |side: Side| side == Side::Some;
        let sides = [
            &style.height,
            &style.max_height,
            &style.width,
            &style.max_width,
        ];
        let shown = |overflow: Overflow| overflow == Overflow::Shown;
        Back {
            hidden: style.display.value.is_some_and(|d| d != Display::None),
            display: forced(&style.display, |display| display != Display::None),
            opacity: forced(&style.opacity, seen),
            visibility: forced(&style.visibility, seen),
            size: forced(&style.size, seen),
            color: forced(&style.color, seen) || style.painted,
            room: sides.into_iter().any(|side| forced(side, long))
                || forced(&style.overflow_x, shown)
                || forced(&style.overflow_y, shown)
                || forced(&style.display, |display| display != Display::Block)
                || style.roomy,
        }
    }

    fn and(self, other: Back) -> Back {
        Back {
            hidden: self.hidden || other.hidden,
            display: self.display || other.display,
            opacity: self.opacity || other.opacity,
            visibility: self.visibility || other.visibility,
            size: self.size || other.size,
            color: self.color || other.color,
            room: self.room || other.room,
        }
    }
}

/// What sheets take back, by what an element must have for it: a class, an id, or its name.
fn rules(sheets: &str) -> HashMap<String, Back> {
    let mut reader = Reader(HashMap::new());
    let mut input = Parser::new(sheets);
    StyleSheetParser::new(&mut input, &mut reader).for_each(drop);
    reader.0
}

struct Reader(HashMap<String, Back>);

impl<'i> QualifiedRuleParser<'i> for Reader {
    type Prelude = Vec<String>;
    type QualifiedRule = ();
    type Error = ();

    fn parse_prelude(&mut self, input: &mut Parser<'i>) -> Result<Vec<String>, ParseError<()>> {
        Ok(selected(input))
    }

    fn parse_block(
        &mut self,
        keys: Vec<String>,
        _: &ParserState,
        input: &mut Parser<'i>,
    ) -> Result<(), ParseError<()>> {
        let back = Back::of(&style::declarations(input));
        if back == Back::default() {
            return Ok(());
        }
        for key in keys {
            let rule = self.0.entry(key).or_default();
            *rule = rule.and(back);
        }
        Ok(())
    }
}

impl<'i> AtRuleParser<'i> for Reader {
    type Prelude = bool;
    type AtRule = ();
    type Error = ();

    /// Whether what stands in it may hold.
    fn parse_prelude(
        &mut self,
        _: CowRcStr<'i>,
        input: &mut Parser<'i>,
    ) -> Result<bool, ParseError<()>> {
        let start = input.position();
        while input.next().is_ok() {}
        let condition = input.slice_from(start);
        Ok(!ELSEWHERE
            .iter()
            .any(|elsewhere| condition.contains(elsewhere)))
    }

    fn parse_block(
        &mut self,
        holds: bool,
        _: &ParserState,
        input: &mut Parser<'i>,
    ) -> Result<(), ParseError<()>> {
        if holds {
            RuleBodyParser::new(input, self).for_each(drop);
        }
        while input.next().is_ok() {}
        Ok(())
    }
}

impl DeclarationParser<'_> for Reader {
    type Declaration = ();
    type Error = ();
}

impl RuleBodyItemParser<'_, (), ()> for Reader {
    fn parse_declarations(&self) -> bool {
        false
    }

    fn parse_qualified(&self) -> bool {
        true
    }
}

/// What an element must have at least for each of the selectors: what they say of the element
/// itself comes last.
fn selected(input: &mut Parser) -> Vec<String> {
    let mut keys = Vec::new();
    let mut key = String::from("*");
    let mut ended = false;
    let mut before = None;
    while let Ok(token) = input.next_including_whitespace() {
        let token = token.clone();
        let combines = matches!(token, Token::WhiteSpace(_) | Token::Delim('>' | '+' | '~'));
        if ended && !combines && token != Token::Comma {
            key = String::from("*");
            ended = false;
        }
        ended |= combines;
        match (&before, &token) {
            (_, Token::Comma) => {
                keys.push(std::mem::replace(&mut key, String::from("*")));
                ended = false;
            }
            (Some(Token::Delim('.')), Token::Ident(class)) => key = format!(".{class}"),
            (_, Token::IDHash(id) | Token::Hash(id)) => key = format!("#{id}"),
            (Some(Token::Colon), _) => {}
            (_, Token::Ident(name)) if key == "*" => key = name.to_string(),
            _ => {}
        }
        before = Some(token);
    }
    keys.push(key);
    keys
}
