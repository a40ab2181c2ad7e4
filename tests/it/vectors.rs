//! Runs `tests/vectors/**/*.vector`: one self-describing file per case. Adding one needs no
//! Rust; `tests/vectors/README.md` says how. A run that finds no case fails.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Home, Host, import};

struct Vector {
    name: String,
    why: String,
    source: String,
    at: Option<String>,
    method: String,
    /// Each: a file in `keys/` and the addresses it is accepted (or `!`rejected) for.
    keys: Vec<(String, Vec<String>)>,
    expected: Vec<(String, String)>,
    message: Vec<u8>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "vector") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> Result<Vector, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let at =
        memchr::memmem::find(&bytes, b"\n---\n").ok_or("no line `---` behind the front block")?;
    let front = std::str::from_utf8(&bytes[..at]).map_err(|e| e.to_string())?;
    let mut vector = Vector {
        name: path.strip_prefix(root()).unwrap().display().to_string(),
        why: String::new(),
        source: String::new(),
        at: None,
        method: "message/open".into(),
        keys: Vec::new(),
        expected: Vec::new(),
        message: bytes[at + 5..].to_vec(),
    };
    for line in front.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once(": ")
            .ok_or_else(|| format!("not `key: value`: {line}"))?;
        let value = value.trim();
        match key {
            "why" => vector.why = value.into(),
            "source" => vector.source = value.into(),
            "now" => vector.at = Some(value.into()),
            "method" => vector.method = value.into(),
            "key" => {
                let mut words = value.split_whitespace().map(str::to_owned);
                let file = words.next().ok_or("a key without a file")?;
                vector.keys.push((file, words.collect()));
            }
            _ => match key.split_once(' ') {
                Some(("expect", pointer)) => vector.expected.push((pointer.into(), value.into())),
                _ => return Err(format!("a line that nobody knows: {line}")),
            },
        }
    }
    for (what, missing) in [
        ("why", vector.why.is_empty()),
        ("source", vector.source.is_empty()),
        ("expect", vector.expected.is_empty()),
    ] {
        if missing {
            return Err(format!("no `{what}`"));
        }
    }
    Ok(vector)
}

fn world(vector: &Vector) -> (Home, Host) {
    let home = Home::new();
    let mut host = home.start();
    host.good(
        "hello",
        json!({"protocol": [1], "client": "tests/1", "capabilities": {}}),
    );
    for (file, addresses) in &vector.keys {
        let bytes = std::fs::read(root().join("keys").join(file))
            .unwrap_or_else(|e| panic!("{}: {file}: {e}", vector.name));
        let (rejected, accepted): (Vec<&String>, Vec<&String>) =
            addresses.iter().partition(|a| a.starts_with('!'));
        let accept = if accepted.is_empty() {
            Value::Null
        } else {
            json!(accepted)
        };
        let reply = import(&mut host, &bytes, accept);
        for address in rejected {
            let id = &reply["imported"][0]["id"];
            host.good(
                "keys/accept",
                json!({"id": id, "address": address.trim_start_matches('!'), "level": "rejected"}),
            );
        }
    }
    (home, host)
}

/// `a.0.b` in JSON; a Body at its end is read.
fn find(host: &mut Host, value: &Value, pointer: &str) -> Value {
    let found = value
        .pointer(&format!("/{}", pointer.replace('.', "/")))
        .cloned()
        .unwrap_or(Value::Null);
    let is_body =
        found.is_object() && (found.get("text").is_some() || found.get("base64").is_some());
    if is_body && pointer.ends_with("body") {
        return json!(String::from_utf8_lossy(&host.bytes(&found)));
    }
    found
}

fn check(vector: &Vector) -> Vec<String> {
    let (_home, mut host) = world(vector);
    let body = host.body(&vector.message);
    let mut params = match vector.method.as_str() {
        "message/open" => json!({"message": body}),
        "message/open payload" => json!({"payload": {"data": body}}),
        _ => json!({"text": body}),
    };
    if let Some(at) = &vector.at {
        params["at"] = json!(at);
    }
    let method = vector.method.trim_end_matches(" payload");
    let answer = host.call(method, params);
    let value = match &answer {
        Ok(value) => value.clone(),
        Err(fault) => json!({"error": fault.kind(), "data": fault.data}),
    };
    let mut wrong = Vec::new();
    let fails = vector.expected.iter().any(|(p, _)| p == "error");
    if answer.is_err() != fails {
        wrong.push(format!("answered {}", crate::harness::shorten(&value)));
        return wrong;
    }
    // Everything that is shown, for `any part` and `no part`.
    let mut shown = Vec::new();
    for part in value["parts"].as_array().into_iter().flatten() {
        shown.push(String::from_utf8_lossy(&host.bytes(&part["body"])).into_owned());
    }
    for (pointer, wanted) in &vector.expected {
        match pointer.as_str() {
            "any-part" | "no-part" => {
                let words: String = serde_json::from_str(wanted).expect("a JSON string");
                let is = shown.iter().any(|text| text.contains(&words));
                if is != (pointer == "any-part") {
                    wrong.push(format!("{pointer} {words:?} in {shown:?}"));
                }
            }
            _ => {
                let found = find(&mut host, &value, pointer);
                // Words need no quotation marks; `a | b` means either.
                let right = wanted.split(" | ").any(|one| {
                    let one: Value = serde_json::from_str(one).unwrap_or_else(|_| json!(one));
                    one == found
                });
                if !right {
                    wrong.push(format!("{pointer} is {found}, wanted {wanted}"));
                }
            }
        }
    }
    wrong
}

#[test]
fn every_vector() {
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    paths.sort();
    let only = std::env::var("SEALPOST_VECTOR").unwrap_or_default();
    paths.retain(|p| p.to_string_lossy().contains(&only));
    assert!(
        !paths.is_empty(),
        "no vector found below {}",
        root().display()
    );
    let mut misses = Vec::new();
    for path in &paths {
        match read(path) {
            Err(why) => misses.push(format!("{}: {why}", path.display())),
            Ok(vector) => {
                for wrong in check(&vector) {
                    misses.push(format!("{}: {wrong}\n      ({})", vector.name, vector.why));
                }
            }
        }
    }
    println!("vectors: {} cases, {} misses", paths.len(), misses.len());
    for miss in &misses {
        println!("  MISS {miss}");
    }
    assert!(misses.is_empty(), "{misses:#?}");
}
