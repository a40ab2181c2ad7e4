//! `Content-Type` and `Content-Disposition` values: a type and its parameters (RFC 2045 5.1,
//! RFC 2183), with RFC 2231's continuations and charsets.

use super::decode;
use super::fault::Fault;
use super::words;
use crate::base::error::{Error, Result};

/// The most sections that one parameter may be cut into (RFC 2231 3): a name of several
/// kilobytes fits.
pub const CONTINUATIONS_MAX: usize = 64;

/// The most parameters of one value; honest ones have a handful.
pub const PARAMETERS_MAX: usize = 128;

/// The longest boundary accepted. RFC 2046 says 70; some software writes more.
pub const BOUNDARY_MAX: usize = 200;

/// A media type (or disposition) with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    kind: String,
    params: Vec<Param>,
    faults: Vec<Fault>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Lower case.
    pub name: String,
    pub value: String,
    /// It came in RFC 2231's form, so that encoded words in it are just what they are.
    pub extended: bool,
}

/// Parameters whose values have no case.
const CASELESS: [&str; 6] = [
    "charset",
    "format",
    "hp",
    "micalg",
    "protocol",
    "smime-type",
];

fn is_same(name: &str, one: &str, other: &str) -> bool {
    match CASELESS.contains(&name) {
        true => one.eq_ignore_ascii_case(other),
        false => one == other,
    }
}

impl Media {
    /// What a part without `Content-Type` is (RFC 2045 5.2, RFC 2046 5.1.5).
    pub fn implied(kind: &str) -> Media {
        Media {
            kind: kind.to_owned(),
            params: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads an unfolded `Content-Type`. What is no type at all counts as `text/plain`.
    ///
    /// # Errors
    /// `limit.exceeded` for too many parameters or continuations.
    pub fn parse(value: &str) -> Result<Media> {
        let mut media = Media::parse_any(value)?;
        let token = |t: &str| !t.is_empty() && t.bytes().all(is_token);
        if !media
            .kind
            .split_once('/')
            .is_some_and(|(a, b)| token(a) && token(b))
        {
            media.kind = "text/plain".to_owned();
        }
        Ok(media)
    }

    /// Reads an unfolded value of the same form, such as `Content-Disposition`.
    ///
    /// # Errors
    /// As [`Media::parse`].
    pub fn parse_any(value: &str) -> Result<Media> {
        let mut scan = Scan { rest: value };
        scan.blank();
        let kind = scan.until(b";").trim().to_ascii_lowercase();
        // `text/plain (a comment)` and `text/plain charset=x` both occur.
        let kind = kind
            .split(|c: char| c.is_whitespace() || c == '(')
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut media = Media::implied(&kind);
        let mut sections: Vec<Section> = Vec::new();
        while scan.eat(';') {
            scan.blank();
            let name = scan.until(b";=").trim().to_ascii_lowercase();
            if !scan.eat('=') {
                continue;
            }
            let value = scan.value();
            if name.is_empty() {
                continue;
            }
            if media.params.len() + sections.len() >= PARAMETERS_MAX {
                return Err(Error::limit(
                    "mimeParameters",
                    "a part of the message has too many parameters; it can't be opened",
                ));
            }
            match Section::of(&name, &value)? {
                Some(section) => sections.push(section),
                // The same once more leaves no reader a choice.
                None if media
                    .param(&name)
                    .is_some_and(|known| is_same(&name, known, &value)) => {}
                None if media.param(&name).is_some() => {
                    Fault::DuplicateParameter.note(&mut media.faults);
                }
                None => media.params.push(Param {
                    name,
                    value,
                    extended: false,
                }),
            }
        }
        media.join(sections);
        Ok(media)
    }

    /// Joins RFC 2231's sections; they win over a plain parameter of the same name, which is
    /// there for old readers.
    fn join(&mut self, mut sections: Vec<Section>) {
        sections.sort_by(|a, b| a.name.cmp(&b.name).then(a.index.cmp(&b.index)));
        sections.dedup();
        for group in sections.chunk_by(|a, b| a.name == b.name) {
            let Some(first) = group.first() else { continue };
            let mut charset = String::new();
            let mut bytes = Vec::new();
            for (i, section) in group.iter().enumerate() {
                if section.index != i {
                    if group.iter().filter(|s| s.index == section.index).count() > 1 {
                        Fault::DuplicateParameter.note(&mut self.faults);
                    }
                    break;
                }
                let mut text = section.value.as_str();
                if section.extended {
                    if i == 0 {
                        let mut marks = text.splitn(3, '\'');
                        if let (Some(set), Some(_), Some(rest)) =
                            (marks.next(), marks.next(), marks.next())
                        {
                            set.clone_into(&mut charset);
                            text = rest;
                        }
                    }
                    bytes.extend(percent(text));
                } else {
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
            let value = decode::charset(&charset, &bytes);
            // Names of files are commonly said twice. Of anything else old readers have another.
            let differs = |plain: &Param| plain.name == first.name && plain.value != value;
            let is_name = matches!(first.name.as_str(), "name" | "filename");
            if !is_name && self.params.iter().any(differs) {
                Fault::DuplicateParameter.note(&mut self.faults);
            }
            self.params.retain(|plain| plain.name != first.name);
            self.params.push(Param {
                name: first.name.clone(),
                value,
                extended: true,
            });
        }
    }

    /// `type/subtype` in lower case.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The part before the slash.
    pub fn top(&self) -> &str {
        self.kind.split('/').next().unwrap_or_default()
    }

    /// A parameter by its lower-case name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.found(name).map(|param| param.value.as_str())
    }

    /// A parameter for people: RFC 2047 words decoded too, as some clients write them there,
    /// and control characters taken out.
    pub fn text_param(&self, name: &str) -> Option<String> {
        let param = self.found(name)?;
        let text = if param.extended {
            param.value.chars().filter(|c| !c.is_control()).collect()
        } else {
            words::decode(&param.value)
        };
        (!text.is_empty()).then_some(text)
    }

    fn found(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// All parameters.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The boundary of a multipart, when it has one that can be.
    pub fn boundary(&self) -> Option<&str> {
        self.param("boundary").map(str::trim_end).filter(|b| {
            !b.is_empty() && b.len() <= BOUNDARY_MAX && !b.chars().any(char::is_control)
        })
    }

    /// What is ambiguous in it.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

/// Whether a byte may stand in a token (RFC 2045 5.1).
pub fn is_token(b: u8) -> bool {
    b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?="#.contains(&b)
}

/// One section of a cut or extended parameter.
#[derive(PartialEq, Eq)]
struct Section {
    name: String,
    index: usize,
    extended: bool,
    value: String,
}

impl Section {
    /// `name*`, `name*0` and `name*0*`; `None` for a plain name.
    fn of(name: &str, value: &str) -> Result<Option<Section>> {
        let Some((base, tail)) = name.split_once('*') else {
            return Ok(None);
        };
        let (digits, extended) = match tail.strip_suffix('*') {
            Some(digits) => (digits, true),
            None => (tail, tail.is_empty()),
        };
        let index = if digits.is_empty() {
            Ok(0)
        } else {
            digits.parse::<usize>()
        };
        let Ok(index) = index else { return Ok(None) };
        if index >= CONTINUATIONS_MAX {
            return Err(Error::limit(
                "parameterContinuations",
                "a part of the message has a parameter in too many pieces; it can't be opened",
            ));
        }
        Ok(Some(Section {
            name: base.to_owned(),
            index,
            extended,
            value: value.to_owned(),
        }))
    }
}

/// `%` escapes as bytes.
pub(super) fn percent(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let mut ahead = bytes.clone();
            if let (Some(high), Some(low)) = (hex(ahead.next()), hex(ahead.next())) {
                out.push(high << 4 | low);
                bytes = ahead;
                continue;
            }
        }
        out.push(b);
    }
    out
}

/// The value of one hex digit.
pub(super) fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// What is left of a value.
struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Everything before the first of `stops`.
    fn until(&mut self, stops: &[u8]) -> &'a str {
        let end = self
            .rest
            .bytes()
            .position(|b| stops.contains(&b))
            .unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        text
    }

    /// Skips white space and comments, however deep.
    fn blank(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let Some(inner) = self.rest.strip_prefix('(') else {
                return;
            };
            let mut depth = 1usize;
            let mut escaped = false;
            let end = inner.bytes().position(|b| {
                match b {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'(' => depth += 1,
                    b')' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            self.rest = end.and_then(|end| inner.get(end + 1..)).unwrap_or_default();
        }
    }

    /// A quoted string, or what stands there up to the next parameter.
    fn value(&mut self) -> String {
        self.blank();
        if !self.eat('"') {
            let text = self.until(b";").trim();
            return match text.split_once(" (") {
                Some((value, comment)) if comment.ends_with(')') => value.trim_end().to_owned(),
                _ => text.to_owned(),
            };
        }
        let mut value = String::new();
        let mut escaped = false;
        let mut end = self.rest.len();
        for (i, c) in self.rest.char_indices() {
            match c {
                c if escaped => {
                    // Windows paths and the like: only quotes and backslashes are escaped.
                    if c != '"' && c != '\\' {
                        value.push('\\');
                    }
                    value.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    end = i + 1;
                    break;
                }
                c => value.push(c),
            }
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        self.until(b";");
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(value: &str, name: &str) -> Option<String> {
        Media::parse(value).unwrap().param(name).map(str::to_owned)
    }

    #[test]
    fn types_and_parameters() {
        for (value, kind) in [
            ("text/plain", "text/plain"),
            ("TEXT/HTML; charset=x", "text/html"),
            ("text/plain (odd)", "text/plain"),
            ("text", "text/plain"),
            ("", "text/plain"),
            ("a/b/c", "text/plain"),
            (" application/pgp-encrypted ;", "application/pgp-encrypted"),
        ] {
            assert_eq!(Media::parse(value).unwrap().kind(), kind, "{value:?}");
        }
        for (value, expected) in [
            ("a/b; n=v", Some("v")),
            ("a/b; N = \"v w\"", Some("v w")),
            ("a/b; n=\"a\\\"b\"", Some("a\"b")),
            ("a/b; n=\"C:\\temp\"", Some("C:\\temp")),
            ("a/b; n=a b.pdf; x=y", Some("a b.pdf")),
            ("a/b; (c;d) n=v (e)", Some("v")),
            ("a/b; n*=utf-8''%e2%82%ac%20rates", Some("€ rates")),
            ("a/b; n*0=ab; n*1=\"cd\"", Some("abcd")),
            (
                "a/b; n*1*=%20b; n*0*=iso-8859-1'de'%FC; n*2=\"c%20\"",
                Some("ü bc%20"),
            ),
            ("a/b; n=old; n*=utf-8''new", Some("new")),
            ("a/b; n*0=a; n*2=c", Some("a")),
            ("a/b; m=1", None),
        ] {
            assert_eq!(param(value, "n").as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn twice_is_a_fault_and_too_many_an_error() {
        let twice = Media::parse("a/b; boundary=x; boundary=y").unwrap();
        assert_eq!(twice.faults(), [Fault::DuplicateParameter]);
        let same = Media::parse("text/plain; charset=utf-8; charset=UTF-8; n=a; n=a").unwrap();
        assert_eq!(same.faults(), []);
        let case = Media::parse("text/plain; n=a; n=A").unwrap();
        assert_eq!(case.faults(), [Fault::DuplicateParameter]);
        for (text, faults) in [
            ("multipart/signed; boundary=a; boundary*=b", 1),
            (
                "multipart/signed; boundary=a; boundary*0=b; boundary*1=c",
                1,
            ),
            (
                "multipart/signed; boundary=ab; boundary*0=a; boundary*1=b",
                0,
            ),
            ("text/plain; name=a.txt; name*=utf-8''%C3%A4.txt", 0),
            ("text/plain; charset=utf-8; charset*=utf-7", 1),
            ("multipart/signed; boundary=a; boundary=\"a\"", 0),
            ("multipart/signed; boundary=a; boundary=A", 1),
            ("multipart/signed; boundary=a; boundary=a; boundary=b", 1),
            (
                "multipart/signed; boundary*0=a; boundary*0=a; boundary*1=b",
                0,
            ),
            (
                "multipart/signed; boundary*0=a; boundary*0=c; boundary*1=b",
                1,
            ),
        ] {
            let media = Media::parse(text).unwrap();
            assert_eq!(media.faults().len(), faults, "{text}");
        }
        assert_eq!(twice.boundary(), Some("x"));
        let many: String = (0..CONTINUATIONS_MAX + 1)
            .map(|i| format!("; n*{i}=x"))
            .collect();
        assert!(Media::parse(&format!("a/b{many}")).is_err());
        let many: String = (0..PARAMETERS_MAX + 1)
            .map(|i| format!("; n{i}=x"))
            .collect();
        assert!(Media::parse(&format!("a/b{many}")).is_err());
    }
}
