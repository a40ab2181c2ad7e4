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
    for line in text.trim_end().lines() {
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
    for line in text.trim_end().lines() {
        out.push_str(line);
        out.push('\n');
    }
    out
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
    }
}
