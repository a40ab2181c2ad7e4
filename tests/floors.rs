//! The architecture of `src/lib.rs`, checked over the paths that the sources name: imports go
//! down only, folders on one floor never import one another, every library has its doorman.
//!
//! This reads text, not types: comments, strings and everything after `#[cfg(test)]` are left
//! out, then each path that starts at `crate`, `super` or a known library is judged.
#![allow(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. Names on one line are neighbours and never import one another.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &[
        "mail", "engine", "store", "net", "agent", "gnupg", "tokens", "desktop",
    ],
    &["verbs"],
    &["wire"],
    &["host"],
    &["cli"],
];

/// Siblings inside a floor that never import one another.
const SIBLINGS: &[&str] = &["engine::openpgp", "engine::smime"];

/// Who may name a library (or a part of `std`): files and folders under `src`.
const DOORMEN: &[(&str, &[&str])] = &[
    ("ammonia", &["mail/html/"]),
    ("byteorder", &["wire/frame.rs"]),
    ("clap", &["cli/"]),
    ("close_fds", &["host/process.rs"]),
    ("cms", &["engine/smime/"]),
    ("const_oid", &["engine/smime/"]),
    ("cryptoki", &["tokens/"]),
    ("cssparser", &["mail/html/"]),
    ("der", &["engine/smime/", "tokens/mechanism.rs"]),
    ("etcetera", &["store/"]),
    ("flate2", &["engine/smime/compress.rs"]),
    (
        "getrandom",
        &["base/", "mail/", "engine/", "store/", "verbs/", "host/"],
    ),
    ("html5ever", &["mail/html/"]),
    ("idna", &["base/address.rs"]),
    ("keyring", &["desktop/keychain.rs"]),
    ("mail_builder", &["mail/"]),
    ("mail_parser", &["mail/"]),
    ("openpgp_cert_d", &["store/certs.rs"]),
    ("openssl", &["engine/", "net/"]),
    ("ossl", &["engine/smime/kem.rs"]),
    ("percent_encoding", &["net/"]),
    ("postcard", &["agent/speech.rs", "verbs/answer/answered.rs"]),
    ("rasn", &["net/ldap.rs"]),
    ("rasn_ldap", &["net/ldap.rs"]),
    ("rusqlite", &["store/db.rs", "store/db/"]),
    (
        "rustix",
        &[
            "base/peer.rs",
            "agent/",
            "gnupg/",
            "host/",
            "store/",
            "cli/",
        ],
    ),
    ("rustls_native_certs", &["net/tls.rs"]),
    ("sequoia_autocrypt", &["engine/openpgp/"]),
    ("sequoia_openpgp", &["engine/openpgp/"]),
    (
        "serde_json",
        &["wire/", "host/", "cli/", "net/keyserver.rs"],
    ),
    ("serde_path_to_error", &["wire/"]),
    ("simplelog", &["host/logging.rs"]),
    ("tar", &["store/pieces.rs"]),
    ("tempfile", &["store/files/", "cli/demo.rs"]),
    ("toml", &["store/"]),
    ("unicode_security", &["base/spoof.rs"]),
    ("ureq", &["net/"]),
    ("url", &["mail/html/"]),
    ("x509_cert", &["engine/smime/"]),
    ("zbus", &["desktop/away.rs"]),
    (
        "std::env",
        &["store/", "gnupg/", "host/", "cli/", "main.rs"],
    ),
    // The store's files, those that a person names on the command line, the log, and the file
    // that stands for a socket.
    (
        "std::fs",
        &[
            "store/files/",
            "cli/input.rs",
            "cli/sop/files.rs",
            "host/logging.rs",
            "gnupg/socket.rs",
        ],
    ),
    ("std::io::stdin", &["host/", "cli/", "main.rs"]),
    ("std::io::stdout", &["host/", "cli/print.rs"]),
    ("std::net", &["net/"]),
    (
        "std::process::Command",
        &["host/pinentry.rs", "gnupg/program.rs", "cli/"],
    ),
    // The store waits for its locks and reads many files at once; the agent has a thread a host;
    // GnuPG's programs and a token's module may hang; what a key says counts from the next second.
    (
        "std::thread",
        &[
            "host/",
            "cli/",
            "store/",
            "agent/",
            "desktop/away.rs",
            "gnupg/program.rs",
            "gnupg/socket.rs",
            "tokens/module.rs",
            "verbs/keys/life.rs",
        ],
    ),
    (
        "std::time::Instant",
        &["host/", "cli/", "store/", "net/", "agent/", "gnupg/"],
    ),
];

/// Libraries that belong to no one floor: the words everybody speaks.
const EVERYWHERE: &[&str] = &[
    "base64_simd",
    "bytes",
    "chrono",
    "log",
    "memchr",
    "serde",
    "thiserror",
    "zeroize",
];

/// Nothing below the host asks what time it is.
const CLOCKS: &[&str] = &["SystemTime::now(", "Utc::now(", "Local::now("];

/// Lines that a file may have, its tests aside, before it should be split by noun.
const LINES: usize = 500;

/// Files that are longer, each with its reason.
const LONG: &[(&str, &str)] = &[
    (
        "engine/openpgp/verify.rs",
        "what one signature is worth, read from top to bottom",
    ),
    ("verbs/peel/mod.rs", "one walk over one tree"),
];

#[test]
fn the_sources_keep_to_their_floors() {
    let src = root().join("src");
    let files = rust_files(&src);
    assert!(files.len() > 10, "the sources were not found");
    let mut faults = Vec::new();
    for path in files {
        let name = path.strip_prefix(&src).expect("under src");
        let name = name.to_str().expect("UTF-8").replace('\\', "/");
        let text = fs::read_to_string(&path).expect("a source file");
        faults.extend(judge(&name, &text));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_dependency_has_its_place() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let (_, rest) = manifest
        .split_once("\n[dependencies]\n")
        .expect("dependencies");
    let (table, _) = rest.split_once("\n[").expect("another table");
    let mut faults = Vec::new();
    for line in table.lines() {
        let Some((name, value)) = line.split_once(" = ") else {
            continue;
        };
        let library = name.replace('-', "_");
        let placed = EVERYWHERE.contains(&library.as_str())
            || DOORMEN.iter().any(|(known, _)| *known == library);
        if !placed {
            faults.push(format!("{name}: no doorman in tests/floors.rs"));
        }
        if !value.contains("# ") {
            faults.push(format!("{name}: Cargo.toml does not say what it is for"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The rules can fail: each line of made-up source breaks exactly one of them.
#[test]
fn a_broken_rule_is_seen() {
    let made_up = [
        ("base/a.rs", "use crate::mail::tree;", "up"),
        ("mail/a.rs", "use crate::verbs::open::Request;", "up"),
        (
            "mail/a.rs",
            "use crate::{base::Body, engine::Engine};",
            "neighbour",
        ),
        ("store/a.rs", "fn f() { crate::mail::parse() }", "neighbour"),
        (
            "mail/deep/a.rs",
            "use super::super::super::store;",
            "neighbour",
        ),
        (
            "engine/openpgp/a.rs",
            "use super::super::smime::open;",
            "sibling",
        ),
        (
            "engine/smime/mod.rs",
            "use crate::engine::{Engine, openpgp::{seal as s}};",
            "sibling",
        ),
        ("verbs/a.rs", "use crate::wire;", "up"),
        (
            "verbs/a.rs",
            "use mail_parser::{Message, MessageParser};",
            "doorman",
        ),
        ("verbs/a.rs", "use std::{fmt, fs::{self, File}};", "doorman"),
        (
            "verbs/a.rs",
            "fn f() { let x = ::serde_json::to_string(&1); }",
            "doorman",
        ),
        ("wire/types.rs", "use byteorder::ReadBytesExt;", "doorman"),
        (
            "mail/a.rs",
            "fn f() { let now = SystemTime::now(); }",
            "clock",
        ),
        ("host/a.rs", "use std::net::TcpStream;", "doorman"),
        ("cli/open.rs", "use std::io::stdout;", "doorman"),
        (
            "wire/a.rs",
            "use std::io; fn f() { io::stdout(); }",
            "doorman",
        ),
    ];
    for (name, line, rule) in made_up {
        let faults = judge(name, &format!("//! Made up.\n{line}\n"));
        let of_rule = |fault: &String| fault.contains(rule);
        assert!(
            !faults.is_empty() && faults.iter().all(of_rule),
            "{name}: {line}: {faults:?}"
        );
    }
    let kept = "//! Made up.\n// use crate::cli;\nconst A: &str = \"crate::cli\";\n\
                use super::tree;\nuse crate::base::{Body, error::{Error, Kind}};\n\
                #[cfg(test)]\nmod tests { use crate::cli; }\n";
    assert_eq!(judge("mail/a.rs", kept), Vec::<String>::new());
    assert!(judge("mail/a.rs", "use std::fmt;\n")[0].contains("//!"));
    let long = format!("//! Made up.\n{}", "\n".repeat(LINES + 1));
    assert!(judge("mail/a.rs", &long)[0].contains("lines"));
}

/// What is wrong with one file; `name` is relative to `src`.
fn judge(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| {
        let what = format!("src/{name}: {what}");
        if !faults.contains(&what) {
            faults.push(what);
        }
    };
    let tests = name.ends_with("/tests.rs") || name.contains("/tests/");
    if !tests && !text.starts_with("//!") {
        fault("does not begin with a //! head that says what it is".into());
    }
    let lines = without_tests(text).lines().count();
    if !tests && lines > LINES && !LONG.iter().any(|(long, _)| *long == name) {
        fault(format!("{lines} lines; split it by noun"));
    }
    if name == "lib.rs" || tests {
        return faults;
    }
    let code = code_of(text);
    let here = module_of(name);
    let home = floor_of(&here);
    for path in paths_of(&code, &here) {
        let joined = path.join("::");
        if path[0] == "crate" {
            let there = &path[1..];
            match (home, floor_of(there)) {
                (Some(from), Some(to)) if to > from => {
                    fault(format!("imports up: {joined}"));
                }
                (Some(from), Some(to)) if to == from && there[0] != here[0] => {
                    fault(format!("imports its neighbour: {joined}"));
                }
                _ => {}
            }
            let within =
                |sibling: &&&str, module: &[String]| module.join("::").starts_with(**sibling);
            let from = SIBLINGS.iter().find(|s| within(s, &here));
            let to = SIBLINGS.iter().find(|s| within(s, there));
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                fault(format!("imports its sibling: {joined}"));
            }
            continue;
        }
        for (library, doormen) in DOORMEN {
            // `use std::io; io::stdout()` is `std::io::stdout()` too.
            let (joined, library) = (short(&joined), short(library));
            let named = joined == library || joined.starts_with(&format!("{library}::"));
            if named && !doormen.iter().any(|door| name.starts_with(door)) {
                fault(format!("is not the doorman of {library}: {joined}"));
            }
        }
    }
    let below = home < floor_of(&["host".to_owned()]) && name != "main.rs";
    for clock in CLOCKS {
        if below && code.contains(clock) {
            fault(format!("reads the clock: {clock})"));
        }
    }
    faults
}

/// A path without `std`.
fn short(path: &str) -> &str {
    path.strip_prefix("std::").unwrap_or(path)
}

/// The floor of a module path, from the ground up.
fn floor_of(module: &[String]) -> Option<usize> {
    let first = module.first()?;
    FLOORS
        .iter()
        .position(|floor| floor.contains(&first.as_str()))
}

/// `mail/tree.rs` is `mail::tree`, `mail/mod.rs` is `mail`.
fn module_of(name: &str) -> Vec<String> {
    let name = name.trim_end_matches(".rs");
    let name = name.trim_end_matches("/mod");
    name.split('/').map(str::to_owned).collect()
}

/// The source up to its tests, which come last.
fn without_tests(text: &str) -> &str {
    let tests = text.find("\n#[cfg(test)]");
    tests.map_or(text, |at| &text[..at])
}

/// The source without comments, strings, characters and its tests.
fn code_of(text: &str) -> String {
    let text = without_tests(text);
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            rest[start..]
                .find(&end)
                .map_or(rest.len(), |at| start + at + end.len())
        } else if c == '"' {
            string_end(rest)
        } else if c == '\'' {
            char_end(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// How many `#` a raw string has that starts here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of the string literal that starts here.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character literal that starts here; 0 for a lifetime.
fn char_end(text: &str) -> usize {
    let mut rest = text.char_indices().skip(1);
    match rest.next() {
        Some((_, '\\')) => text[3.min(text.len())..].find('\'').map_or(0, |at| at + 4),
        Some(_) => match rest.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// Every path in `code` that begins at `crate`, `self`, `super` or a library, groups spelled
/// out, resolved from the module `here`.
fn paths_of(code: &str, here: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    while let Some(start) = code[at..].find(word).map(|n| at + n) {
        let end = code[start..]
            .find(|c| !word(c))
            .map_or(code.len(), |n| start + n);
        let before = code[..start].trim_end();
        let inner = before.ends_with("::")
            && before
                .trim_end_matches(':')
                .ends_with(|c| word(c) || c == '>');
        at = end;
        if inner || !code[end..].trim_start().starts_with("::") {
            continue;
        }
        let (paths, rest) = expand(&code[start..]);
        at = code.len() - rest.len();
        found.extend(paths.into_iter().map(|path| resolve(path, here)));
    }
    found
}

/// Reads `a::b::{c, d::e}` into its paths; what follows is left over.
fn expand(code: &str) -> (Vec<Vec<String>>, &str) {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        let mut paths = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return (paths, after);
            }
            let (more, after) = expand(rest);
            paths.extend(more);
            // `as name`, a comma, anything else up to the next member.
            match after.find([',', '}']) {
                Some(n) if after[n..].starts_with(',') => rest = &after[n + 1..],
                Some(n) => rest = &after[n..],
                None => return (paths, ""),
            }
        }
    }
    let end = code
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'))
        .unwrap_or(code.len());
    let (head, rest) = code.split_at(end);
    let Some(inner) = rest.trim_start().strip_prefix("::") else {
        return (vec![vec![head.to_owned()]], rest);
    };
    if head.is_empty() || inner.trim_start().starts_with('<') {
        return (vec![vec![head.to_owned()]], inner);
    }
    let (paths, rest) = expand(inner);
    let paths = paths
        .into_iter()
        .map(|path| std::iter::once(head.to_owned()).chain(path).collect())
        .collect();
    (paths, rest)
}

/// Spells `self` and `super` out as seen from `here`.
fn resolve(path: Vec<String>, here: &[String]) -> Vec<String> {
    let mut module = here.to_vec();
    let mut rest = path.as_slice();
    match rest.first().map(String::as_str) {
        Some("self" | "super") => {}
        _ => return path,
    }
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                module.pop();
            }
            _ => break,
        }
        rest = tail;
    }
    let mut whole = vec!["crate".to_owned()];
    whole.extend(module);
    whole.extend_from_slice(rest);
    whole
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
