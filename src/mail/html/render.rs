//! What the cleaner left, written out once more: addresses become numbers and names, and the
//! text is made beside it.

use html5ever::tokenizer::{Tag, TagKind, Token};

use super::formula::{Formula, Role, Signs};
use super::hidden::{Sight, sight};
use super::links::target;
use super::numbers::{Count, Kind, integer};
use super::pieces::{
    FIELDS, HOLDERS, Open, ROWS, STRIKING, VOID, entered, escape, is_one, restyled, stands_apart,
    straight, unescaped, written,
};
use super::scan::{attribute, tokens};
use super::sense::{Drawn, Flow, Sense, Shift, sense};
use super::sheets::Others;
use super::text::Lines;
use super::{LISTED_MAX, Page, is_blank};

/// How often what is raised or lowered is so again.
const SHIFTS_MAX: usize = 4;

/// How deep an element may stand that is written twice, once for what its style says: what is
/// written nests no deeper than what may be read.
const WITHIN_MAX: usize = 480;

/// Writes a page out of cleaned HTML; `None` where it nests like no letter.
pub(super) fn render(cleaned: &str, others: &Others) -> Option<Page> {
    let writer = write(cleaned, others, Vec::new());
    let writer = match writer.uncounted {
        true => write(cleaned, others, writer.items),
        false => writer,
    };
    (!writer.deep).then(|| Page {
        text: writer.lines.finish(),
        ..writer.page
    })
}

/// `counts`: how many items each list has, where that is known.
fn write<'a>(cleaned: &str, others: &'a Others, counts: Vec<i32>) -> Writer<'a> {
    let mut writer = Writer {
        page: Page::default(),
        lines: Lines::default(),
        others,
        hidden: 0,
        open: Vec::new(),
        lists: Vec::new(),
        items: Vec::new(),
        counts,
        uncounted: false,
        quotes: 0,
        placeholder: None,
        fresh: true,
        owed: Flow::Inline,
        struck: 0,
        shifts: 0,
        deep: false,
    };
    tokens(cleaned, |token| writer.token(token));
    writer
}

struct Writer<'a> {
    page: Page,
    lines: Lines,
    others: &'a Others,
    /// How many elements are open inside one that is not shown, itself included.
    hidden: usize,
    /// The open elements that are shown.
    open: Vec<Open>,
    /// Open lists, as places among `items`.
    lists: Vec<usize>,
    /// How many items each list has so far.
    items: Vec<i32>,
    /// How many each has altogether.
    counts: Vec<i32>,
    /// There is a list that counts down from a number that is not known yet.
    uncounted: bool,
    /// How many quotations within lines are open.
    quotes: usize,
    /// What a box shows unless there is text in it.
    placeholder: Option<String>,
    /// A line begins here.
    fresh: bool,
    /// What is to be written before the next word, to keep it apart from those before.
    owed: Flow,
    /// How many elements that strike out are open.
    struck: usize,
    /// How many that raise or lower are.
    shifts: usize,
    /// Elements stand too deep in one another.
    deep: bool,
}

impl Writer<'_> {
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
            Token::CharacterTokens(text) => {
                self.placeholder = None;
                self.words(text, self.sight());
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        // Styles are not kept, so it would come to light; and what nobody saw is not quoted.
        let Some(sight) = sight(tag, self.sight(), self.others) else {
            self.hidden = usize::from(!VOID.contains(&name));
            return;
        };
        let sense = sense(tag);
        if name == "img" {
            if sight.shows_pictures() {
                let flow = self.flow(&sense, None);
                self.part(flow);
                self.image(tag);
                self.part(flow);
            }
            return;
        }
        let written = written(name).filter(|written| {
            *written == name || !self.open.last().is_some_and(|around| around.row)
        });
        if VOID.contains(&name) {
            match written {
                Some(written) => self.element(tag, written),
                None => self.passed(tag, sight),
            }
            return;
        }
        let role = self.role();
        let own = Formula::of(name).map_or(Signs::default(), Formula::signs);
        let around = role.signs(name);
        let flow = match name {
            "mtr" | "mlabeledtr" => Flow::Line,
            "mtd" => Flow::Beside,
            "mfrac" if role == Role::Plain => Flow::Beside,
            _ => self.flow(&sense, written),
        };
        let strikes = self.open.last().is_some_and(|around| around.strikes)
            || sense.drawn == Some(Drawn::Through);
        let mut open = Open {
            sight,
            written: restyled(written, &sense),
            row: ROWS.contains(&name),
            struck: false,
            shift: None,
            strikes: false,
            flow,
            spread: sense.layout.is_some_and(|layout| layout.spread),
            formula: Formula::of(name),
            parts: 0,
            after: [own.after, around.after],
        };
        let natural = |names: &[&str]| open.written.is_some_and(|name| names.contains(&name));
        if strikes && self.struck == 0 && !natural(&STRIKING) {
            match written.is_some_and(|name| HOLDERS.contains(&name)) {
                true => open.strikes = true,
                false => open.struck = true,
            }
        }
        let inline = !written.is_some_and(stands_apart);
        let shift = match (role, sense.shift) {
            (Role::Raised, _) => Some("sup"),
            (Role::Lowered, _) => Some("sub"),
            (_, Some(Shift::Raised)) if inline => Some("sup"),
            (_, Some(Shift::Lowered)) if inline => Some("sub"),
            _ => None,
        };
        if self.shifts < SHIFTS_MAX && !natural(&["sub", "sup"]) {
            open.shift = shift;
        }
        self.deep |= open.inner() != [None; 2] && self.open.len() > WITHIN_MAX;
        self.struck += usize::from(natural(&STRIKING)) + usize::from(open.struck);
        self.shifts += usize::from(open.shift.is_some());
        self.open.push(open);
        self.part(flow);
        match open.written {
            Some(written) => self.element(tag, written),
            None => self.passed(tag, sight),
        }
        for inner in open.inner().into_iter().flatten() {
            self.page.clean.push_str(&format!("<{inner}>"));
            self.lines.start(inner, None);
        }
        for sign in [around.text, own.text] {
            self.mark(sign, sight);
        }
    }

    /// How an element stands among its neighbours, by its style and that of what it is in.
    fn flow(&self, sense: &Sense, written: Option<&str>) -> Flow {
        if written.is_some_and(stands_apart) {
            return Flow::Inline;
        }
        let flow = sense.layout.map_or(Flow::Inline, |layout| layout.flow);
        match self.open.last().is_some_and(|around| around.spread) {
            true => Flow::Beside,
            false => flow,
        }
    }

    /// Keeps what follows apart from what stands before it.
    fn part(&mut self, flow: Flow) {
        match flow {
            _ if self.fresh => {}
            Flow::Inline => {}
            Flow::Beside if self.owed == Flow::Line => {}
            Flow::Beside => self.owed = flow,
            Flow::Line => {
                self.owed = flow;
                self.lines.next_line();
            }
        }
    }

    /// Writes what is owed before a word.
    fn settle(&mut self) {
        match std::mem::replace(&mut self.owed, Flow::Inline) {
            Flow::Inline => {}
            Flow::Beside => {
                self.page.clean.push(' ');
                self.lines.text(" ");
            }
            Flow::Line => self.page.clean.push_str("<br>"),
        }
        self.fresh = false;
    }

    /// What the next element is in the formula that it is a part of.
    fn role(&mut self) -> Role {
        let Some(around) = self.open.last_mut() else {
            return Role::Plain;
        };
        around.parts += 1;
        let before = around.parts - 1;
        around
            .formula
            .map_or(Role::Plain, |formula| formula.role(before))
    }

    /// An element that is written.
    fn element(&mut self, tag: &Tag, written: &'static str) {
        let mut link = None;
        let block = stands_apart(written);
        if written == "br" && self.owed == Flow::Line {
            self.settle();
        }
        if block || written == "br" {
            self.fresh = true;
            self.owed = Flow::Inline;
        }
        self.page.clean.push('<');
        self.page.clean.push_str(written);
        for attribute in &tag.attrs {
            let (key, value) = (&*attribute.name.local, &*attribute.value);
            match (written, key) {
                ("a", "href" | "xlink:href") if link.is_none() => {
                    link = self.link(value);
                    if link.is_some() {
                        let number = self.page.links.len().to_string();
                        self.put("data-link", &number);
                    }
                }
                // Text has the direction of its letters, here as where it is quoted.
                (_, "dir") if is_one(value, &["ltr", "rtl", "auto"]) => self.put("dir", "auto"),
                (_, "lang") => self.put("lang", value),
                ("td" | "th", "colspan" | "rowspan") | ("ol", "start") | ("li", "value") => {
                    if let Some(number) = integer(value) {
                        self.put(key, &number.to_string());
                    }
                }
                ("ol", "type") if Kind::of(value).is_some() => self.put("type", value),
                ("ol", "reversed") => self.put("reversed", ""),
                _ => {}
            }
        }
        self.page.clean.push('>');
        if let ("li", Some(number)) = (written, attribute(tag, "value").and_then(integer)) {
            self.lines.count_from(number);
        }
        self.lines.start(written, link);
        match written {
            "ol" | "ul" => {
                self.lists.push(self.items.len());
                self.items.push(0);
                let count = self.count(tag);
                self.lines.count(count);
            }
            "li" => {
                let list = self.lists.last().and_then(|at| self.items.get_mut(*at));
                if let Some(items) = list {
                    *items = items.saturating_add(1);
                }
            }
            _ => {}
        }
    }

    /// How a list counts.
    fn count(&mut self, tag: &Tag) -> Count {
        let start = attribute(tag, "start").and_then(integer);
        let backwards = attribute(tag, "reversed").is_some();
        let known = self.counts.get(self.items.len().saturating_sub(1)).copied();
        self.uncounted |= backwards && start.is_none() && known.is_none();
        Count {
            next: start.or(known.filter(|_| backwards)).unwrap_or(1),
            backwards,
            kind: attribute(tag, "type")
                .and_then(Kind::of)
                .unwrap_or_default(),
        }
    }

    /// An element of which the text alone stays, and what browsers show beside it.
    fn passed(&mut self, tag: &Tag, sight: Sight) {
        let name = &*tag.name;
        if FIELDS.contains(&name) {
            self.mark(" ", sight);
        }
        match name {
            "input" => {
                let text = entered(tag);
                if !text.is_empty() {
                    self.words(&format!(" {text} "), sight);
                }
            }
            "textarea" => self.placeholder = attribute(tag, "placeholder").map(str::to_owned),
            "optgroup" => {
                let label = attribute(tag, "label").unwrap_or_default();
                self.words(&format!(" {label} "), sight);
            }
            "rt" => self.mark("(", sight),
            "q" => {
                self.mark(
                    if self.quotes.is_multiple_of(2) {
                        "\u{201C}"
                    } else {
                        "\u{2018}"
                    },
                    sight,
                );
                self.quotes += 1;
            }
            _ => {}
        }
    }

    fn words(&mut self, text: &str, sight: Sight) {
        if sight.is_clear() {
            self.page.says |= !is_blank(text);
            self.mark(text, sight);
        }
    }

    /// What says nothing by itself.
    fn mark(&mut self, text: &str, sight: Sight) {
        if sight.is_clear() {
            let text = straight(text);
            if text.contains(|c: char| !c.is_ascii_whitespace()) {
                self.settle();
            }
            escape(&text, &mut self.page.clean);
            self.lines.text(&text);
        }
    }

    /// What those around have left of sight.
    fn sight(&self) -> Sight {
        self.open.last().map(|open| open.sight).unwrap_or_default()
    }

    fn end(&mut self, name: &str) {
        if VOID.contains(&name) {
            return;
        }
        let Some(open) = self.open.pop() else {
            return;
        };
        let Open { sight, written, .. } = open;
        for sign in open.after {
            self.mark(sign, sight);
        }
        for inner in open.inner().into_iter().rev().flatten() {
            self.page.clean.push_str(&format!("</{inner}>"));
            self.lines.end(inner);
        }
        let strikes = written.is_some_and(|name| STRIKING.contains(&name));
        self.struck -= usize::from(strikes) + usize::from(open.struck);
        self.shifts -= usize::from(open.shift.is_some());
        self.ended(name, sight, written);
        self.part(open.flow);
    }

    fn ended(&mut self, name: &str, sight: Sight, written: Option<&'static str>) {
        let Some(written) = written else {
            if let Some(text) = self.placeholder.take().filter(|_| name == "textarea") {
                self.words(&text, sight);
            }
            match name {
                "rt" => self.mark(")", sight),
                "q" => {
                    self.quotes = self.quotes.saturating_sub(1);
                    self.mark(
                        if self.quotes.is_multiple_of(2) {
                            "\u{201D}"
                        } else {
                            "\u{2019}"
                        },
                        sight,
                    );
                }
                _ if FIELDS.contains(&name) => self.mark(" ", sight),
                _ => {}
            }
            return;
        };
        if ["ol", "ul"].contains(&written) {
            self.lists.pop();
        }
        if stands_apart(written) {
            self.fresh = true;
            self.owed = Flow::Inline;
        }
        self.page.clean.push_str("</");
        self.page.clean.push_str(written);
        self.page.clean.push('>');
        self.lines.end(written);
    }

    /// Takes note of a link; `None` where it leads nowhere.
    fn link(&mut self, url: &str) -> Option<String> {
        let room = self.page.links.len() < LISTED_MAX;
        let url = target(url).filter(|_| room)?;
        self.page.links.push(url.clone());
        Some(url)
    }

    /// An image of the message itself keeps its place; of others only their words stay.
    fn image(&mut self, tag: &Tag) {
        let alt = straight(attribute(tag, "alt").unwrap_or_default().trim());
        let source = attribute(tag, "src").unwrap_or_default().trim();
        let cid = source
            .get(..4)
            .filter(|scheme| scheme.eq_ignore_ascii_case("cid:"))
            .and_then(|_| source.get(4..))
            .map(unescaped)
            .filter(|cid| !cid.is_empty() && self.page.cids.len() < LISTED_MAX);
        if cid.is_some() || !alt.is_empty() {
            self.settle();
        }
        if let Some(cid) = cid {
            self.page.clean.push_str("<img");
            self.put("data-cid", &cid);
            self.put("alt", &alt);
            self.page.clean.push('>');
            if !self.page.cids.contains(&cid) {
                self.page.cids.push(cid);
            }
        } else if !alt.is_empty() {
            escape(&format!("[{alt}]"), &mut self.page.clean);
        }
        if !alt.is_empty() {
            self.page.says |= !is_blank(&alt);
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
