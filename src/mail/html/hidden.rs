//! What an element's own style says of whether anybody sees it and what it holds.

/// What keeps text from being seen, and what an element inside may take back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sight {
    /// Pictures too.
    pub invisible: bool,
    /// Of size zero: usual around a layout, whose parts then say theirs.
    tiny: bool,
    transparent: bool,
}

impl Sight {
    /// Whether text is seen.
    pub(super) fn is_clear(self) -> bool {
        self == Sight::default()
    }
}

/// What an element's inline style makes of what it is in; `None` where it hides the element with
/// all that it holds.
pub(super) fn sight(style: &str, around: Sight) -> Option<Sight> {
    let mut sight = around;
    let style = css(style);
    let mut overflow = false;
    let mut flat = false;
    for declaration in style.split(';') {
        let Some((name, value)) = declaration.split_once(':') else {
            continue;
        };
        let value = value.trim().trim_end_matches("!important").trim();
        match name.trim() {
            "display" if value == "none" => return None,
            "mso-hide" if value == "all" => return None,
            "opacity" if is_zero(value) => return None,
            "visibility" => sight.invisible = matches!(value, "hidden" | "collapse"),
            "font-size" => {
                // A part of nothing is nothing.
                let part = ["em", "ex", "ch", "%", "er", "inherit"];
                let part = part.iter().any(|end| value.ends_with(end)) && !value.ends_with("rem");
                sight.tiny = is_zero(value) || around.tiny && part;
            }
            "font" => {
                // Its size may have a line's height behind it.
                let sizes = value.split_ascii_whitespace();
                let mut sizes = sizes.filter_map(|word| word.split('/').next());
                sight.tiny = sizes.any(is_zero);
            }
            "color" => sight.transparent = value == "transparent",
            "height" | "max-height" | "width" | "max-width" if is_zero(value) => flat = true,
            "overflow" if value == "hidden" => overflow = true,
            _ => {}
        }
    }
    (!(flat && overflow)).then_some(sight)
}

/// Whether a length is nothing, whatever its unit.
fn is_zero(value: &str) -> bool {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    number.parse::<f64>().is_ok_and(|number| number <= 0.0)
}

/// CSS in lower case, without comments and escapes.
fn css(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '/' && rest.peek() == Some(&'*') {
            rest.next();
            let mut star = false;
            for c in rest.by_ref() {
                if star && c == '/' {
                    break;
                }
                star = c == '*';
            }
        } else if c == '\\' {
            let mut code = 0;
            let mut digits = 0;
            while let Some(digit) = rest.peek().and_then(|c| c.to_digit(16)) {
                code = code * 16 + digit;
                digits += 1;
                rest.next();
                if digits == 6 {
                    break;
                }
            }
            if digits == 0 {
                out.extend(rest.next().map(|c| c.to_ascii_lowercase()));
            } else {
                out.extend(char::from_u32(code).map(|c| c.to_ascii_lowercase()));
                rest.next_if(char::is_ascii_whitespace);
            }
        } else {
            out.push(c.to_ascii_lowercase());
        }
    }
    out
}
