//! Where a message's sections and a multipart's parts begin and end, by line structure alone.
//!
//! Nothing is decoded and nothing copied; the speed is that of searching for a few bytes. A
//! delimiter is a whole line (RFC 2046 5.1.1), so a boundary that another one begins with
//! takes nothing away from it.

use std::ops::Range;

use memchr::memchr;
use memchr::memmem::Finder;

use super::fault::Fault;

/// Where the header section ends and the body begins. Without an empty line all is header.
pub fn head(bytes: &[u8]) -> (Range<usize>, Range<usize>) {
    let mut start = 0;
    while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(b"\n") {
            return (0..start, start + 1..bytes.len());
        }
        if rest.starts_with(b"\r\n") {
            return (0..start, start + 2..bytes.len());
        }
        match memchr(b'\n', rest) {
            Some(at) => start += at + 1,
            None => break,
        }
    }
    (0..bytes.len(), bytes.len()..bytes.len())
}

/// A multipart's body cut at its delimiters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Each part without the line end that belongs to the delimiter after it.
    pub parts: Vec<Range<usize>>,
    /// Before the first delimiter.
    pub preamble: Range<usize>,
    /// After the last one.
    pub epilogue: Range<usize>,
    pub faults: Vec<Fault>,
    /// There are more parts than `max`.
    pub too_many: bool,
}

/// Cuts `body` at the lines `--boundary`, into at most `max` parts.
pub fn parts(body: &[u8], boundary: &str, max: usize) -> Parts {
    let mut found = Parts {
        preamble: 0..body.len(),
        epilogue: body.len()..body.len(),
        ..Parts::default()
    };
    let needle = format!("\n--{boundary}");
    let finder = Finder::new(needle.as_bytes());
    let mut open: Option<usize> = None;
    // Where the line end before the next delimiter is looked for; `None` is the body's start.
    let mut from: Option<usize> = None;
    loop {
        // The line end before the delimiter, and where the delimiter's line begins.
        let (before, line) = match from {
            None if body.starts_with(needle.as_bytes().get(1..).unwrap_or_default()) => (0, 0),
            from => {
                let from = from.unwrap_or(0);
                let Some(at) = body.get(from..).and_then(|rest| finder.find(rest)) else {
                    break;
                };
                let at = from + at;
                let cr = at > 0 && body.get(at - 1) == Some(&b'\r');
                (if cr { at - 1 } else { at }, at + 1)
            }
        };
        let after = line + needle.len() - 1;
        let rest = body.get(after..).unwrap_or_default();
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        let tail = rest.get(..length).unwrap_or_default();
        // The next delimiter may follow at once: its line end is this line's.
        from = Some(after + length);
        let end = match tail.strip_prefix(b"--") {
            Some(padding) if padding.trim_ascii().is_empty() => true,
            _ if tail.trim_ascii().is_empty() => false,
            _ => {
                Fault::BoundaryPrefix.note(&mut found.faults);
                continue;
            }
        };
        match open.take() {
            Some(start) => found.parts.push(start..before.max(start)),
            None => found.preamble = 0..before,
        }
        let next = (after + length + 1).min(body.len());
        if end {
            found.epilogue = next..body.len();
            return found;
        }
        if found.parts.len() >= max {
            found.too_many = true;
            return found;
        }
        open = Some(next);
    }
    Fault::NoEnd.note(&mut found.faults);
    if let Some(start) = open {
        found.parts.push(start..body.len());
    }
    found
}

/// True when there is at least one line end and every one is a bare LF.
pub fn lf_only(bytes: &[u8]) -> bool {
    memchr(b'\n', bytes).is_some() && memchr::memmem::find(bytes, b"\r\n").is_none()
}

/// True when both CRLF and bare LF end lines.
pub fn mixed(bytes: &[u8]) -> bool {
    let (mut crlf, mut lf) = (false, false);
    for at in memchr::memchr_iter(b'\n', bytes) {
        if at > 0 && bytes.get(at - 1) == Some(&b'\r') {
            crlf = true;
        } else {
            lf = true;
        }
        if crlf && lf {
            return true;
        }
    }
    false
}

/// The same bytes with CRLF for every LF that has no CR before it.
pub fn crlf(bytes: &[u8]) -> Vec<u8> {
    let bare = memchr::memchr_iter(b'\n', bytes)
        .filter(|at| *at == 0 || bytes.get(at - 1) != Some(&b'\r'))
        .count();
    let mut out = Vec::with_capacity(bytes.len() + bare);
    let mut start = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        let line = bytes.get(start..at).unwrap_or_default();
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
        start = at + 1;
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str, boundary: &str) -> (Vec<String>, Vec<Fault>) {
        let found = parts(body.as_bytes(), boundary, 100);
        let texts = found
            .parts
            .iter()
            .map(|r| body.get(r.clone()).unwrap().to_owned())
            .collect();
        (texts, found.faults)
    }

    #[test]
    fn parts_are_exact() {
        for (body, expected) in [
            ("--b\r\nx\r\n--b--\r\n", vec!["x"]),
            ("--b\nx\n--b--", vec!["x"]),
            (
                "pre\r\n--b\r\nx\r\n\r\n--b\r\ny\r\n--b--\r\npost",
                vec!["x\r\n", "y"],
            ),
            ("--b\r\n--b\r\n\r\n--b--", vec!["", ""]),
            ("--b  \t\r\nx\r\n--b-- \r\n", vec!["x"]),
            ("--b--", vec![]),
            ("\r\n--b\r\nx\r\r\n--b--", vec!["x\r"]),
            ("--b\r\nx --b\r\n--b--", vec!["x --b"]),
        ] {
            assert_eq!(
                cut(body, "b"),
                (expected.into_iter().map(str::to_owned).collect(), vec![]),
                "{body:?}"
            );
        }
        assert_eq!(
            cut("--b\r\nx", "b"),
            (vec!["x".to_owned()], vec![Fault::NoEnd])
        );
        assert_eq!(cut("", "b"), (vec![], vec![Fault::NoEnd]));
    }

    #[test]
    fn a_boundary_within_another_takes_nothing() {
        let (texts, faults) = cut("--b\r\n--bb\r\nx\r\n--bb--\r\n--b--", "b");
        assert_eq!(texts, ["--bb\r\nx\r\n--bb--"]);
        assert_eq!(faults, [Fault::BoundaryPrefix]);
        assert_eq!(cut(&texts[0], "bb"), (vec!["x".to_owned()], vec![]));
    }

    #[test]
    fn heads_end_at_the_first_empty_line() {
        for (bytes, head_end, body_start) in [
            ("a: b\r\n\r\nx", 6, 8),
            ("a: b\n\nx", 5, 6),
            ("\r\nx", 0, 2),
            ("\nx", 0, 1),
            ("a: b", 4, 4),
            ("", 0, 0),
            ("a: b\r\n\nx", 6, 7),
        ] {
            let (h, b) = head(bytes.as_bytes());
            assert_eq!((h.end, b.start), (head_end, body_start), "{bytes:?}");
        }
    }

    #[test]
    fn line_ends() {
        assert_eq!(crlf(b"a\nb\r\nc\n\n"), b"a\r\nb\r\nc\r\n\r\n");
        assert!(mixed(b"a\r\nb\n") && !mixed(b"a\r\nb\r\n") && !mixed(b"a\nb\n"));
        assert!(lf_only(b"a\n") && !lf_only(b"a\r\n") && !lf_only(b"a"));
    }
}
