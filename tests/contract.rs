//! The documents say what the program does: the lists in `PROTOCOL.md` are taken from the Rust
//! types and the host's own `hello`, the demonstration in `README.md` from a run.
//! `SEALPOST_BLESS=1` writes both anew; what changed is then read in the diff.
#![allow(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

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
    ("base/keys.rs", "TokenState", "token state"),
    ("base/keys.rs", "ModuleState", "module state"),
    ("base/keys.rs", "Acceptance", "acceptance"),
    ("base/keys.rs", "Source", "source"),
    ("base/keys.rs", "Attention", "attention"),
    ("base/job.rs", "Stage", "progress stage"),
    ("base/ask.rs", "Need", "need"),
    ("base/ask.rs", "Action", "what is confirmed (`unconfirmed`)"),
    ("base/autocrypt.rs", "PreferEncrypt", "wish"),
    (
        "base/autocrypt.rs",
        "Recommendation",
        "Autocrypt's recommendation",
    ),
    ("verbs/answer/mod.rs", "Kind", "kind of an answer"),
    ("verbs/answer/mod.rs", "Quoted", "quote of an answer"),
    ("verbs/plan.rs", "State", "plan state"),
    ("verbs/plan.rs", "PartyChoice", "plan choice"),
    ("verbs/keys/mod.rs", "ImportChange", "change of an import"),
    ("verbs/keys/mod.rs", "Via", "via of keys/discover"),
    ("verbs/keys/mod.rs", "Outcome", "outcome of a way"),
    ("verbs/keys/mod.rs", "PublishVia", "via of keys/publish"),
    (
        "verbs/keys/mod.rs",
        "PublishState",
        "state of what is published",
    ),
    ("base/policy.rs", "Discovery", "rule discovery"),
    ("engine/mod.rs", "Profile", "profile"),
    ("engine/mod.rs", "Format", "export format"),
    ("base/policy.rs", "Origin", "origin of a rule"),
    ("verbs/doctor.rs", "Pinentry", "pinentry"),
    ("verbs/doctor.rs", "AgentState", "agent"),
    ("base/gnupg.rs", "GnuPgState", "gnupg"),
    (
        "verbs/doctor.rs",
        "ModuleHealth",
        "state of a module that the doctor looks at",
    ),
    (
        "store/health.rs",
        "Reason",
        "reason of the doctor about a file",
    ),
    ("engine/mod.rs", "Revoking", "reason to revoke"),
    ("verbs/anchors.rs", "AnchorSource", "source of an anchor"),
];

#[test]
fn the_protocol_page_lists_what_the_types_have() {
    let lists = [
        ("kinds", kinds()),
        ("words", words()),
        ("methods", methods()),
    ];
    for (name, list) in &lists {
        assert!(list.lines().count() > 3, "the {name} were not found");
    }
    agrees("PROTOCOL.md", &lists);
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let run = Command::new(env!("CARGO_BIN_EXE_sealpost"))
        .arg("demo")
        .stdin(Stdio::null())
        .output()
        .expect("the demo");
    let complaint = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{complaint}");
    let printed = String::from_utf8(run.stdout).expect("UTF-8");
    assert!(printed.ends_with("\nOK\n"), "{printed}");
    agrees(
        "README.md",
        &[("demo", format!("```text\n{}```\n", printed.trim_start()))],
    );
}

/// Holds a document's generated lists against fresh ones, or writes them.
fn agrees(document: &str, lists: &[(&str, String)]) {
    let path = root().join(document);
    let page = fs::read_to_string(&path).expect("a document");
    let fresh = lists.iter().fold(page.clone(), |page, (name, list)| {
        replaced(&page, name, list)
    });
    if std::env::var_os("SEALPOST_BLESS").is_some() {
        fs::write(&path, fresh).expect("a document");
    } else {
        assert!(
            page == fresh,
            "{document} is stale: SEALPOST_BLESS=1 cargo test --test contract"
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
    let mut list = String::from("| kind | blame | fields |\n|---|---|---|\n");
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
        let blame = blame(&source, &variant);
        writeln!(list, "| `{name}` | {blame} | {} |", fields.join(", ")).expect("a string");
    }
    list
}

/// Whom `Kind::blame` blames for a variant.
fn blame(source: &str, variant: &str) -> String {
    let (_, arms) = source.split_once("pub fn blame(").expect("the function");
    let name = variant.split([' ', ',', '{']).next().unwrap_or_default();
    let named = |arm: &str| {
        arm.split("Kind::").skip(1).any(|rest| {
            let end = rest
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(rest.len());
            rest[..end] == *name
        })
    };
    let arms: Vec<&str> = arms.split("=> Blame::").collect();
    let arm = arms.windows(2).find(|pair| named(pair[0])).expect("an arm");
    let word = arm[1].split(|c: char| !c.is_alphanumeric()).next();
    word.unwrap_or_default().to_lowercase()
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

/// What the host itself says that it can do.
fn methods() -> String {
    let home = std::env::temp_dir().join(format!("sealpost-contract-{}", std::process::id()));
    let mut host = Command::new(env!("CARGO_BIN_EXE_sealpost"))
        .arg("chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/")
        .env("SEALPOST_HOME", &home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the host");
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "hello",
        "params": {"protocol": [1], "client": "contract"},
    });
    let hello = hello.to_string().into_bytes();
    let mut stdin = host.stdin.take().expect("a pipe");
    stdin
        .write_all(&u32::try_from(hello.len()).expect("short").to_ne_bytes())
        .expect("a write");
    stdin.write_all(&hello).expect("a write");
    drop(stdin);
    let mut frames = Vec::new();
    host.stdout
        .take()
        .expect("a pipe")
        .read_to_end(&mut frames)
        .expect("a reply");
    assert!(host.wait().expect("an end").success());
    let _ = fs::remove_dir_all(&home);
    let (length, reply) = frames.split_first_chunk().expect("a frame");
    assert_eq!(
        u32::from_ne_bytes(*length) as usize,
        reply.len(),
        "one frame"
    );
    let reply: Value = serde_json::from_slice(reply).expect("JSON");
    let mut list = String::new();
    for name in ["methods", "features"] {
        let words = reply.pointer(&format!("/result/capabilities/{name}"));
        let words = words.and_then(Value::as_array).expect("a list");
        writeln!(list, "{name}:\n").expect("a string");
        if words.is_empty() {
            list.push_str("- none yet\n");
        }
        for word in words {
            writeln!(list, "- `{}`", word.as_str().expect("a word")).expect("a string");
        }
        list.push('\n');
    }
    let limits = reply
        .pointer("/result/limits")
        .and_then(Value::as_object)
        .expect("limits");
    list.push_str("limits, in bytes:\n\n");
    for (name, limit) in limits {
        writeln!(list, "- `{name}`: {limit}").expect("a string");
    }
    list
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
