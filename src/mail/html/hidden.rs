//! What an element's own style says of whether anybody sees it.

/// Whether an inline style hides the element from everybody.
pub(super) fn hides(style: &str) -> bool {
    let style = css(style);
    let mut overflow = false;
    let mut flat = false;
    for declaration in style.split(';') {
        let Some((name, value)) = declaration.split_once(':') else {
            continue;
        };
        let value = value.trim().trim_end_matches("!important").trim();
        let zero = value
            .trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%')
            .parse::<f64>()
            .is_ok_and(|number| number <= 0.0);
        match name.trim() {
            "display" if value == "none" => return true,
            "visibility" if matches!(value, "hidden" | "collapse") => return true,
            "mso-hide" if value == "all" => return true,
            "opacity" | "font-size" if zero => return true,
            "height" | "max-height" | "width" | "max-width" if zero => flat = true,
            "overflow" if value == "hidden" => overflow = true,
            _ => {}
        }
    }
    flat && overflow
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
