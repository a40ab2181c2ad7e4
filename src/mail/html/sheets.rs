//! What a page has beside the elements that stay, and that may take back what their own styles
//! hide: style sheets, and the styles of other elements. No layout is made of them: where they
//! may have a say, it is not certain that something is hidden.

use std::collections::HashMap;

use cssparser::{
    AtRuleParser, CowRcStr, DeclarationParser, ParseError, Parser, ParserState,
    QualifiedRuleParser, RuleBodyItemParser, RuleBodyParser, StyleSheetParser, Token,
};
use html5ever::tokenizer::Tag;

use super::names::own;
use super::scan::{attribute, is_far};
use super::style::{self, Said, Style};
use super::values::{Display, Looks, Overflow, Side};

/// Rules whose blocks hold rules: on some screen or other their conditions are met.
const GROUPS: [&str; 5] = ["container", "document", "layer", "media", "supports"];

/// Rules that say nothing of any element by themselves. Animations count where they are used, and
/// lists are of Microsoft Word, known to no browser.
const ASIDE: [&str; 13] = [
    "charset",
    "color-profile",
    "counter-style",
    "font-face",
    "font-feature-values",
    "font-palette-values",
    "keyframes",
    "list",
    "namespace",
    "page",
    "property",
    "view-transition",
    "viewport",
];

/// How deep rules are read: sheets have two or three.
const DEPTH_MAX: usize = 16;

/// What a page has that may be of concern.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What stands in each style sheet.
    pub sheets: Vec<String>,
    /// Elements that don't stay have styles.
    pub elements: bool,
    /// Pictures have in them what shows other parts of them.
    pub moving: bool,
    /// The page as a whole is painted with more than a colour.
    pub painted: bool,
    /// There may be sheets beside those above.
    pub unread: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Elements that don't stay have styles.
    pub elements: bool,
    /// Nothing is certain in pictures.
    pub moving: bool,
    /// Style sheets name sizes.
    pub size: bool,
    pub color: bool,
    pub visibility: bool,
    pub position: bool,
    /// Text may be painted with more than its colour.
    pub painted: bool,
    /// Everything may be taken back.
    all: bool,
    rules: HashMap<String, Back>,
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
    pub(super) fn new(mut found: Found) -> Others {
        let mut reader = Reader::default();
        for sheet in &mut found.sheets {
            sheet.make_ascii_lowercase();
            reader.read(sheet);
        }
        let all = found.unread || reader.all;
        // Any letter may be an escape.
        let names = |name: &str| {
            let mut sheets = found.sheets.iter();
            all || sheets.any(|sheet| sheet.contains('\\') || sheet.contains(name))
        };
        let anew = found.sheets.iter().any(|sheet| begins_anew(sheet));
        Others {
            elements: found.elements,
            moving: found.moving,
            size: anew || names("font"),
            color: anew || names("color"),
            visibility: anew || names("visibility"),
            position: anew || names("position"),
            painted: found.painted || reader.painted || style::PAINT.into_iter().any(names),
            all,
            rules: reader.rules,
        }
    }

    /// What rules for an element take back.
    pub(super) fn back(&self, tag: &Tag) -> Back {
        if self.all {
            return Back::ALL;
        }
        let mut back = Back::default();
        let mut add = |key: &str| {
            if let Some(rule) = self.rules.get(key) {
                back = back.and(*rule);
            }
        };
        add("*");
        add(own(&tag.name));
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
    const ALL: Back = Back {
        hidden: true,
        display: true,
        opacity: true,
        visibility: true,
        size: true,
        color: true,
        room: true,
    };

    fn of(style: &Style) -> Back {
        if style.animated {
            return Back::ALL;
        }
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
            opacity: forced(&style.opacity, seen) || style.boxless,
            visibility: forced(&style.visibility, seen),
            size: forced(&style.size, seen),
            color: forced(&style.color, seen) || style.painted,
            room: sides.into_iter().any(|side| forced(side, long))
                || forced(&style.overflow_x, shown)
                || forced(&style.overflow_y, shown)
                || matches!(
                    style.display.value,
                    Some(Display::Contents | Display::Other)
                )
                || style.boxless
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

/// Whether a sheet has the property `all`.
fn begins_anew(sheet: &str) -> bool {
    let after = sheet.match_indices("all").map(|(at, all)| at + all.len());
    let mut after = after.filter_map(|at| sheet.get(at..));
    after.any(|after| after.trim_start().starts_with([':', '/']))
}

#[derive(Default)]
struct Reader {
    /// What sheets take back, by what an element must have for it: a class, an id, or its name.
    rules: HashMap<String, Back>,
    painted: bool,
    /// There is what this doesn't understand.
    all: bool,
    depth: usize,
}

impl Reader {
    fn read(&mut self, sheet: &str) {
        let mut input = Parser::new(sheet);
        StyleSheetParser::new(&mut input, self).for_each(drop);
    }
}

impl<'i> QualifiedRuleParser<'i> for Reader {
    type Prelude = Vec<String>;
    type QualifiedRule = ();
    type Error = ();

    fn parse_prelude(&mut self, input: &mut Parser<'i>) -> Result<Vec<String>, ParseError<()>> {
        let (keys, first) = selected(input);
        self.all |= first;
        Ok(keys)
    }

    fn parse_block(
        &mut self,
        keys: Vec<String>,
        _: &ParserState,
        input: &mut Parser<'i>,
    ) -> Result<(), ParseError<()>> {
        let start = input.position();
        let style = style::declarations(input);
        while input.next().is_ok() {}
        // There are rules in it.
        self.all |= input.slice_from(start).contains('{');
        self.painted |= style.painted;
        let back = Back::of(&style);
        if back == Back::default() {
            return Ok(());
        }
        for key in keys {
            let rule = self.rules.entry(key).or_default();
            *rule = rule.and(back);
        }
        Ok(())
    }
}

impl<'i> AtRuleParser<'i> for Reader {
    type Prelude = bool;
    type AtRule = ();
    type Error = ();

    /// Whether rules stand in it.
    fn parse_prelude(
        &mut self,
        name: CowRcStr<'i>,
        input: &mut Parser<'i>,
    ) -> Result<bool, ParseError<()>> {
        let start = input.position();
        while input.next().is_ok() {}
        let said = input.slice_from(start);
        let name = match name.strip_prefix('-') {
            Some(own) => own.split_once('-').map_or(own, |(_, name)| name),
            None => &*name,
        };
        let groups = GROUPS.contains(&name);
        let said = said.trim_start();
        let address = said.strip_prefix("url(").unwrap_or(said);
        let address = address.trim_start().trim_start_matches(['"', '\'']);
        let far = name == "import" && is_far(address);
        self.all |= !groups && !far && !ASIDE.contains(&name);
        Ok(groups)
    }

    fn rule_without_block(&mut self, _: bool, _: &ParserState) -> Result<(), ()> {
        Ok(())
    }

    fn parse_block(
        &mut self,
        groups: bool,
        _: &ParserState,
        input: &mut Parser<'i>,
    ) -> Result<(), ParseError<()>> {
        let start = input.position();
        if groups && self.depth < DEPTH_MAX {
            self.depth += 1;
            RuleBodyParser::new(input, self).for_each(drop);
            self.depth -= 1;
        } else {
            self.all |= groups;
        }
        while input.next().is_ok() {}
        // An animation may paint too.
        self.painted |= !groups && input.slice_from(start).contains("background");
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
/// itself comes last. And whether there is a first letter or line among them, with styles that
/// elements inside have too.
fn selected(input: &mut Parser) -> (Vec<String>, bool) {
    let mut keys = Vec::new();
    let mut key = String::from("*");
    let mut first = false;
    let mut ended = false;
    let mut before = None;
    while let Ok(token) = input.next_including_whitespace() {
        let token = token.clone();
        let combines = matches!(token, Token::WhiteSpace(_) | Token::Delim('>' | '+' | '~'));
        if ended && !combines && token != Token::Comma {
            key = String::from("*");
            ended = false;
        }
        // What is none of a selector, and what stands before the name of an element.
        ended |= combines
            || matches!(
                token,
                Token::Delim('|') | Token::Semicolon | Token::CDO | Token::CDC
            )
            || matches!(token, Token::CloseCurlyBracket | Token::AtKeyword(_));
        match (&before, &token) {
            (_, Token::Comma) => {
                keys.push(std::mem::replace(&mut key, String::from("*")).to_ascii_lowercase());
                ended = false;
            }
            (Some(Token::Delim('.')), Token::Ident(class)) => key = format!(".{class}"),
            (_, Token::IDHash(id) | Token::Hash(id)) => key = format!("#{id}"),
            (Some(Token::Colon), Token::Ident(name)) => {
                first |= name.to_ascii_lowercase().contains("first-l");
            }
            (Some(Token::Colon), _) => {}
            (_, Token::Ident(name)) if key == "*" => key = name.to_string(),
            _ => {}
        }
        before = Some(token);
    }
    keys.push(key.to_ascii_lowercase());
    (keys, first)
}
