//! The one way to the terminal. Everything out of a message passes [`plain`] first, so that
//! no sender can move the cursor, recolour a verdict or turn the direction of a line.

use std::io::{self, Write};

use serde::Serialize;

use crate::base::address::hidden;
use crate::base::{Error, Result};

/// Writes to stdout. A reader that went away (`| head`) is no error worth words.
pub fn out(text: &str) -> Result<()> {
    bytes(text.as_bytes())
}

/// Writes one line to stdout.
pub fn line(text: &str) -> Result<()> {
    out(&format!("{text}\n"))
}

/// Writes bytes as they are: a sealed message, an exported key.
pub fn bytes(data: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::internal("standard output can't be written").because(e))
        }
        _ => Ok(()),
    }
}

/// Writes a result as the protocol spells it.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::internal("the result can't be written as JSON").because(e))?;
    line(&text)
}

/// Writes one line to stderr: what went wrong, or what is being waited for.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", plain(text));
}

/// One line of foreign text, fit for a terminal: control characters and characters that hide
/// or reorder text become `\u{FFFD}`.
pub fn plain(text: &str) -> String {
    let harmless = |c: char| !c.is_control() && !hidden(c);
    text.chars()
        .map(|c| {
            if harmless(c) {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect()
}

/// What stands before each line of foreign text, so that none of it passes for a line of ours.
const MARGIN: &str = "| ";

/// Several lines of foreign text, fit for a terminal: line ends and tabs stay, and each line
/// stands behind a margin.
pub fn plain_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.lines() {
        shown.push_str(MARGIN);
        let part = part.replace('\t', "        ");
        // Joiners make emoji and many scripts: in running text they are what they seem.
        let kept = |c: char| !c.is_control() && !turns(c);
        shown.extend(part.chars().map(|c| {
            if kept(c) {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        }));
        shown.push('\n');
    }
    shown
}

/// Characters that turn the direction of what follows, across the line they stand in.
fn turns(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// A table for people: columns as wide as they need, two blanks apart, none after the last.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut written = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            written.push_str(&plain(cell));
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            written.extend(std::iter::repeat_n(' ', pad));
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{plain, plain_text, table};

    #[test]
    fn no_sender_reaches_the_terminal() {
        let shown = plain("\u{1b}[31mGood\u{7}\r\nsignature\u{202e}");
        assert_eq!(
            shown,
            "\u{fffd}[31mGood\u{fffd}\u{fffd}\u{fffd}signature\u{fffd}"
        );
        let text = plain_text("one\r\ntwo\x1b]0;x\x07\tthree\u{9b}");
        assert_eq!(
            text,
            "| one\n| two\u{fffd}]0;x\u{fffd}        three\u{fffd}\n"
        );
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "b".into()], vec!["ccc".into(), "d".into()]];
        assert_eq!(table(&rows), "a    b\nccc  d\n");
    }
}
