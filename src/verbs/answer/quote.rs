//! The answered text as it stands in an answer.

use super::answered::Shown;

/// The text behind a line that says who wrote it, each line marked.
pub(super) fn quoted(shown: &Shown, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 200);
    let by = match shown.from.as_str() {
        "" => "Somebody",
        from => from,
    };
    match shown.date.as_str() {
        "" => out.push_str(&format!("{by} wrote:\n")),
        date => out.push_str(&format!("On {date}, {by} wrote:\n")),
    }
    for line in lines(text) {
        // Marks stand together (RFC 3676 4.5).
        out.push_str(if line.is_empty() || line.starts_with('>') {
            ">"
        } else {
            "> "
        });
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The text behind the fields that its reader saw.
pub(super) fn forwarded(shown: &Shown, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 400);
    out.push_str("-------- Forwarded message --------\n");
    let fields = [
        ("Subject", &shown.subject),
        ("Date", &shown.date),
        ("From", &shown.from),
        ("To", &shown.to),
        ("Cc", &shown.cc),
    ];
    for (name, value) in fields {
        if !value.is_empty() {
            out.push_str(&format!("{name}: {value}\n"));
        }
    }
    out.push('\n');
    for line in lines(text) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The lines of a text, by all that breaks one for some reader: a break that is not seen here
/// would put the rest of its line among the answerer's own words.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let breaks = |c| matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut rest = Some(text.trim_end());
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((line, after)) = text.find(breaks).and_then(|at| text.split_at_checked(at)) else {
            rest = None;
            return Some(text).filter(|text| !text.is_empty());
        };
        let mut after = after.chars();
        let first = after.next();
        let after = after.as_str();
        let pair = (first == Some('\r')).then(|| after.strip_prefix('\n'));
        rest = Some(pair.flatten().unwrap_or(after));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_marked() {
        let shown = Shown {
            from: "Bob <bob@x.example>".to_owned(),
            date: "Mon, 1 Jun 2026 10:00:00 +0000".to_owned(),
            subject: "Lunch".to_owned(),
            ..Shown::default()
        };
        assert_eq!(
            quoted(&shown, "one\r\n\r\n> two\r\nthree\r\n\r\n"),
            "On Mon, 1 Jun 2026 10:00:00 +0000, Bob <bob@x.example> wrote:\n> one\n>\n>> two\n> three\n"
        );
        assert_eq!(
            forwarded(&shown, "one\r\n\r\ntwo"),
            "-------- Forwarded message --------\nSubject: Lunch\n\
             Date: Mon, 1 Jun 2026 10:00:00 +0000\nFrom: Bob <bob@x.example>\n\none\n\ntwo\n"
        );
        assert_eq!(quoted(&Shown::default(), "x"), "Somebody wrote:\n> x\n");
        assert_eq!(quoted(&Shown::default(), " \r\n"), "Somebody wrote:\n");
        for end in [
            "\r", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}", "\n", "\r\n",
        ] {
            let text = format!("Do you agree?{end}Yes.{end}{end}");
            let quote = "Somebody wrote:\n> Do you agree?\n> Yes.\n";
            assert_eq!(quoted(&Shown::default(), &text), quote, "{end:?}");
            assert!(forwarded(&shown, &text).ends_with("\nDo you agree?\nYes.\n"));
        }
    }
}
