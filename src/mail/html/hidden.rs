//! Whether anybody sees an element and what it holds, by its own style. What is only maybe
//! hidden is shown: nobody should miss what others read.

use html5ever::tokenizer::Tag;

use super::scan::attribute;
use super::sheets::{Back, Others};
use super::style::{Said, Style, style};
use super::values::{Display, Looks, Overflow, Place, Side};

/// Elements that have a height and a width of their own, whatever is in them: neither inline
/// ones nor the parts of tables have.
const BLOCKS: [&str; 31] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "dd",
    "dir",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "ul",
];

/// Elements that have room of their own around what is in them, maybe.
const ROOMY: [&str; 11] = [
    "button", "dialog", "fieldset", "input", "legend", "optgroup", "option", "select", "td",
    "textarea", "th",
];

/// What keeps text from being seen, and what an element inside may take back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sight {
    invisible: bool,
    /// Of size zero: usual around a layout, whose parts then say theirs.
    tiny: bool,
    transparent: bool,
    /// Painted with more than its colour.
    painted: bool,
    /// In a box without any height or width.
    clipped: bool,
    /// In a picture or a formula: they say by attributes of their own how text is seen.
    foreign: bool,
}

impl Sight {
    /// Whether text is seen.
    pub(super) fn is_clear(self) -> bool {
        self.shows_pictures() && !self.tiny && (self.painted || !self.transparent)
    }

    pub(super) fn shows_pictures(self) -> bool {
        !self.invisible && !self.clipped
    }

    /// Without what others may have a say in.
    fn certain(mut self) -> Sight {
        // It is filled and painted otherwise.
        self.transparent &= !self.foreign;
        self
    }
}

/// What an element's attributes make of what it is in; `None` where they hide the element with
/// all that it holds.
pub(super) fn sight(tag: &Tag, around: Sight, others: &Others) -> Option<Sight> {
    let mut sight = by_nature(tag, around, others);
    if sight.foreign && others.moving {
        return Some(Sight {
            foreign: true,
            ..Sight::default()
        });
    }
    // What is for readers that know no ruby is as if it had the attribute.
    let hidden = !sight.foreign && (attribute(tag, "hidden").is_some() || &*tag.name == "rp");
    let style = match attribute(tag, "style") {
        Some(text) => style(text),
        None if hidden => Style::default(),
        None => return Some(sight),
    };
    let back = match hidden || style.hides() {
        true => others.back(tag),
        false => Back::default(),
    };
    match style.display.value {
        Some(Display::None) if style.display.important || !back.display => return None,
        None if hidden && !back.hidden => return None,
        _ => {}
    }
    let boxed = !style.boxless && !style.animated;
    let opacity = style.opacity;
    if boxed && opacity.value == Some(Looks::Unseen) && (opacity.important || !back.opacity) {
        return None;
    }
    if style.animated || others.elements {
        return Some(Sight {
            foreign: sight.foreign,
            ..Sight::default()
        });
    }
    let looks = |said: Said<Looks>, back: bool, by_nature: bool, around: bool| match said.value {
        _ if back && !said.important => false,
        None => by_nature,
        Some(Looks::AsAround) => around,
        Some(Looks::Seen) => false,
        Some(Looks::Unseen) => true,
    };
    let (visibility, size, color) = (style.visibility, style.size, style.color);
    sight.invisible = looks(
        visibility,
        back.visibility,
        sight.invisible,
        around.invisible,
    );
    sight.tiny = looks(size, back.size, sight.tiny, around.tiny);
    sight.transparent = looks(color, back.color, sight.transparent, around.transparent);
    sight.painted |= style.painted;
    if style.place.value == Some(Place::OutOfFlow) {
        sight.clipped = false;
    }
    sight.clipped |= is_flat(&tag.name, &style) && !back.room && !sight.foreign;
    Some(sight.certain())
}

/// What browsers make of an element before its style is read. Without a doctype, tables begin
/// anew (quirks 3); links and the parts of forms have colours and sizes of their own.
fn by_nature(tag: &Tag, around: Sight, others: &Others) -> Sight {
    let mut sight = around;
    sight.tiny &= !others.size;
    sight.transparent &= !others.color;
    sight.invisible &= !others.visibility;
    sight.clipped &= !others.position;
    sight.painted |= others.painted;
    match &*tag.name {
        "table" | "button" | "input" | "optgroup" | "option" | "select" | "textarea" => {
            sight.tiny = false;
            sight.transparent = false;
        }
        "svg" | "math" => sight.foreign = true,
        "a" | "mark" => sight.transparent = false,
        // It stands over all else.
        "dialog" => {
            sight.transparent = false;
            sight.clipped = false;
        }
        "font" => {
            sight.tiny &= attribute(tag, "size").is_none();
            sight.transparent &= attribute(tag, "color").is_none();
        }
        _ => {}
    }
    if sight.foreign {
        let says = |name: &str| attribute(tag, name).is_some();
        sight.tiny &= !says("font-size") && !says("mathsize");
        sight.invisible &= !says("visibility");
    }
    sight.certain()
}

/// Whether an element is a box without any height or width that shows nothing outside of it.
fn is_flat(name: &str, style: &Style) -> bool {
    let block = match style.display.value {
        Some(display) => display == Display::Block,
        None => BLOCKS.contains(&name),
    };
    let nothing = |side: Option<Side>| side == Some(Side::Nothing);
    let low = nothing(style.height.value) || nothing(style.max_height.value);
    let narrow = nothing(style.width.value) || nothing(style.max_width.value);
    let (x, y) = (style.overflow_x.value, style.overflow_y.value);
    let both = [x, y].contains(&Some(Overflow::Hidden));
    let cuts = |overflow: Option<Overflow>| both || overflow == Some(Overflow::Clipped);
    let roomy = style.roomy || style.boxless || ROOMY.contains(&name);
    block && !roomy && (low && cuts(y) || narrow && cuts(x))
}
