//! The files in `tests/vectors/gpgme/`: requests, and how their answers are compared.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::gpgme_reference::keyring::{Keyring, quoted};
use crate::harness::{Noise, encode};

/// What all cases of one file share.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: String,
    /// Requests that follow each case.
    #[serde(default)]
    then: Vec<String>,
    case: Vec<Case>,
}

/// One conversation with a process of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub why: String,
    /// Requests, one after the other.
    pub ask: Vec<String>,
    /// It changes something: each side gets a keyring of its own.
    #[serde(default)]
    pub fresh: bool,
    /// An answer in pieces is one of them, not put together.
    #[serde(default)]
    pub pieces: bool,
    /// In the long form alone.
    #[serde(default)]
    pub long: bool,
    /// What the person says to each question; nobody is there without it.
    #[serde(default)]
    pub person: Vec<String>,
    #[serde(skip)]
    pub file: String,
}

/// A field whose values need not be equal, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// The operation; all where absent.
    pub op: Option<String>,
    /// The start of the names of cases; all where absent.
    pub case: Option<String>,
    pub path: String,
    pub form: String,
    pub why: String,
}

/// An answer of the reference that is not copied, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Cases: a name, or the start of one and `*`.
    pub case: String,
    /// Which answer of the conversation; all where absent.
    pub answer: Option<usize>,
    /// The field; all of the answer where empty.
    #[serde(default)]
    pub path: String,
    /// JSON, `absent`, or `anything`.
    pub reference: String,
    pub ours: String,
    pub why: String,
}

#[derive(Deserialize)]
struct Forms {
    form: Vec<Form>,
}

#[derive(Deserialize)]
struct Differences {
    difference: Vec<Difference>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/gpgme")
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every case whose file's name starts with one of `files` (all where empty), in order.
pub fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .filter(|path| {
            !["forms.toml", "differences.toml"]
                .iter()
                .any(|n| path.ends_with(n))
        })
        .collect();
    paths.sort();
    let only = std::env::var("SEALPOST_VECTOR").unwrap_or_default();
    let mut all = Vec::new();
    for path in paths {
        let file: File = read(&path);
        assert!(!file.source.is_empty(), "{}: no source", path.display());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        for mut case in file.case {
            assert!(!case.why.is_empty(), "{}: no why", case.name);
            case.ask.extend(file.then.iter().cloned());
            case.name = format!("{stem}/{}", case.name);
            stem.clone_into(&mut case.file);
            if case.name.contains(&only) {
                all.push(case);
            }
        }
    }
    assert!(
        !all.is_empty(),
        "no case found below {}",
        folder().display()
    );
    let mut names: Vec<&String> = all.iter().map(|case| &case.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len(), "two cases have one name");
    all
}

pub fn forms() -> Vec<Form> {
    let forms: Forms = read(&folder().join("forms.toml"));
    assert!(forms.form.iter().all(|form| !form.why.is_empty()));
    forms.form
}

pub fn differences() -> Vec<Difference> {
    let found: Differences = read(&folder().join("differences.toml"));
    assert!(found.difference.iter().all(|one| !one.why.is_empty()));
    found.difference
}

/// A request with what stands between `{{` and `}}` put in.
///
/// `{{text.N}}` and `{{base64.N}}` are N bytes of noise, `{{spaces.N}}`, `{{nest.N}}` (N times
/// `[`), `{{bytes.HEX}}`; `{{0.data}}` is a text of an earlier answer; the keyring has the rest.
pub fn fill(template: &str, ring: &Keyring, answers: &[Value]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("no }} after {{")?;
        out.extend_from_slice(before.as_bytes());
        rest = after;
        let (kind, what) = name.split_once('.').ok_or("no point between {{ and }}")?;
        let filled = match (kind, what.parse::<usize>()) {
            ("text", Ok(n)) => text(n),
            ("base64", Ok(n)) => encode(&Noise::new(11).bytes(n)),
            ("spaces", Ok(n)) => " ".repeat(n),
            ("nest", Ok(n)) => "[".repeat(n),
            ("close", Ok(n)) => "]".repeat(n),
            ("bytes", _) => {
                for at in (0..what.len()).step_by(2) {
                    let byte = what.get(at..at + 2).ok_or("half a byte")?;
                    out.push(u8::from_str_radix(byte, 16).map_err(|e| e.to_string())?);
                }
                String::new()
            }
            _ => match kind.parse::<usize>() {
                Ok(n) => {
                    let answer = answers.get(n).ok_or("no such answer yet")?;
                    let found = answer.pointer(&format!("/{}", what.replace('.', "/")));
                    let text = found.and_then(Value::as_str);
                    quoted(text.ok_or(format!("answer {n} has no text {what}"))?)
                }
                Err(_) => ring
                    .find(kind, what)
                    .ok_or(format!("nothing called {name}"))?,
            },
        };
        out.extend_from_slice(filled.as_bytes());
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// Lines of letters that compress badly.
fn text(n: usize) -> String {
    let mut noise = Noise::new(12);
    let mut text = String::with_capacity(n + 64);
    while text.len() < n {
        for _ in 0..7 {
            text.push_str(&format!("{:x}", noise.next() >> 28));
        }
        // One newline in JSON is two characters and one byte of the text.
        text.push(' ');
    }
    text.truncate(n);
    text
}
