//! `PROTOCOL.md` says what the Rust types say: its generated lists are taken from the sources
//! and compared. `SEALPOST_BLESS=1` writes them anew; what changed is then read in the diff.
#![allow(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// The enumerations that go over the wire, with what the page calls them.
const WORDS: &[(&str, &str, &str)] = &[
    ("base/error.rs", "Blame", "blame"),
    ("base/error.rs", "KeyUse", "for"),
    ("base/verdict.rs", "Extent", "summary.encrypted"),
    ("base/verdict.rs", "Signed", "signed"),
    ("base/verdict.rs", "Warning", "warnings"),
    ("base/verdict.rs", "Status", "signature status"),
    ("base/verdict.rs", "Reason", "reasons"),
    ("base/verdict.rs", "HeaderProtection", "header protection"),
    ("base/verdict.rs", "LayerKind", "layer kind"),
    ("base/verdict.rs", "Scheme", "scheme"),
    ("base/verdict.rs", "Integrity", "integrity"),
    ("base/verdict.rs", "Disposition", "disposition"),
    (
        "base/verdict.rs",
        "FoundChange",
        "change of a key that came along",
    ),
    ("base/keys.rs", "Protocol", "protocol"),
    ("base/keys.rs", "KeyStatus", "key status"),
    ("base/keys.rs", "Usage", "usage"),
    ("base/keys.rs", "SecretState", "secret"),
    ("base/keys.rs", "Acceptance", "acceptance"),
    ("base/keys.rs", "Source", "source"),
    ("base/keys.rs", "Attention", "attention"),
    ("base/job.rs", "Stage", "progress stage"),
    ("base/ask.rs", "Need", "need"),
    ("verbs/plan.rs", "State", "plan state"),
    ("verbs/plan.rs", "PartyChoice", "plan choice"),
    ("verbs/keys/mod.rs", "ImportChange", "change of an import"),
    ("engine/mod.rs", "Profile", "profile"),
    ("engine/mod.rs", "Format", "export format"),
];

#[test]
fn the_page_lists_what_the_types_have() {
    let path = root().join("PROTOCOL.md");
    let page = fs::read_to_string(&path).expect("PROTOCOL.md");
    let mut fresh = page.clone();
    for (name, list) in [
        ("kinds", kinds()),
        ("words", words()),
        ("methods", methods()),
    ] {
        assert!(list.lines().count() > 3, "the {name} were not found");
        fresh = replaced(&fresh, name, &list);
    }
    if std::env::var_os("SEALPOST_BLESS").is_some() {
        fs::write(&path, fresh).expect("PROTOCOL.md");
    } else {
        assert!(
            page == fresh,
            "PROTOCOL.md is stale; SEALPOST_BLESS=1 cargo test --test contract"
        );
    }
}

#[test]
fn variants_are_read_as_serde_spells_them() {
    let source = "#[serde(rename_all = \"kebab-case\")]\npub enum Made {\n    /// A word.\n    \
                  OneTwo,\n    #[serde(rename = \"x.y\")]\n    Other { field: u32 },\n    Last = 3,\n}\n";
    assert_eq!(variants(source, "Made"), ["one-two", "x.y", "last"]);
}

/// The kinds of errors, each with whom it blames.
fn kinds() -> String {
    let source = source("base/error.rs");
    let mut list = String::from("| kind | fields |\n|---|---|\n");
    let body = enumeration(&source, "Kind");
    let mut lines = body.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(name) = renamed(line) else { continue };
        let mut variant = String::new();
        for line in lines.by_ref() {
            if !line.starts_with("#[") && !line.starts_with("///") {
                variant.push_str(line);
            }
            if variant.ends_with("},") || variant.ends_with(',') && !variant.contains('{') {
                break;
            }
        }
        let fields: Vec<String> = variant
            .split_once('{')
            .map(|(_, fields)| fields.trim_end_matches(['}', ',', ' ']))
            .unwrap_or_default()
            .split(',')
            .filter_map(|field| field.split_once(':'))
            .map(|(name, _)| format!("`{}`", camel(name.trim().trim_start_matches("r#"))))
            .collect();
        writeln!(list, "| `{name}` | {} |", fields.join(", ")).expect("a string");
    }
    list
}

fn words() -> String {
    let mut list = String::from("| | |\n|---|---|\n");
    for (file, name, label) in WORDS {
        let words: Vec<String> = variants(&source(file), name)
            .iter()
            .map(|word| format!("`{word}`"))
            .collect();
        assert!(words.len() > 1, "{file}: {name} was not found");
        writeln!(list, "| {label} | {} |", words.join(" ")).expect("a string");
    }
    list
}

/// The methods that the table on the wire has.
fn methods() -> String {
    String::new()
}

/// The wire names of an enumeration's variants.
fn variants(source: &str, name: &str) -> Vec<String> {
    let head = source
        .find(&format!("pub enum {name} {{"))
        .expect("the enumeration");
    let above = source[..head].rsplit("\n\n").next().unwrap_or_default();
    let kebab = above.contains("rename_all = \"kebab-case\"");
    let mut found = Vec::new();
    let mut rename = None;
    for line in enumeration(source, name).lines() {
        // Variants stand one level in; fields stand deeper.
        let Some(line) = line
            .strip_prefix("    ")
            .filter(|line| !line.starts_with(' '))
        else {
            continue;
        };
        if let Some(name) = renamed(line) {
            rename = Some(name);
        } else if line.starts_with(char::is_uppercase) {
            let word = line
                .split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap_or_default();
            found.push(rename.take().unwrap_or_else(|| spelled(word, kebab)));
        }
    }
    found
}

/// What stands between an enumeration's braces.
fn enumeration<'a>(source: &'a str, name: &str) -> &'a str {
    let head = format!("pub enum {name} {{\n");
    let start = source.find(&head).expect("the enumeration") + head.len();
    let end = source[start..].find("\n}").expect("its end");
    &source[start..start + end]
}

fn renamed(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("#[serde(rename = \"")?;
    rest.split('"').next().map(str::to_owned)
}

fn spelled(word: &str, kebab: bool) -> String {
    let mut text = String::new();
    for (at, c) in word.char_indices() {
        if kebab && at > 0 && c.is_uppercase() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        text.push_str(&word[..1].to_uppercase());
        text.push_str(&word[1..]);
    }
    text
}

/// The page with one of its lists written anew.
fn replaced(page: &str, name: &str, list: &str) -> String {
    let mark = format!("<!-- generated: {name} -->\n");
    let start = page.find(&mark).expect("the list's mark") + mark.len();
    let end = start + page[start..].find("<!-- end -->").expect("the list's end");
    format!("{}{list}{}", &page[..start], &page[end..])
}

fn source(file: &str) -> String {
    fs::read_to_string(root().join("src").join(file)).expect("a source file")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
