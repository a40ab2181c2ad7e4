//! What becomes of a key for an address. `tests/vectors/acceptance/*.acceptance` are the
//! transitions, one self-describing file each; a run that finds none fails.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::autocrypt::{ME, PEER, Peer, Vector, read};
use crate::harness::{Home, Host, import};

/// The keys that people have for [`PEER`], by the names that the vectors have for them.
struct Cast(BTreeMap<String, (Peer, String)>);

impl Cast {
    fn new() -> Cast {
        let one = |name: &str| {
            let mut peer = Peer::new("compatible");
            let field = peer.field("nopreference");
            (name.to_owned(), (peer, field))
        };
        Cast(["a", "b", "c"].map(one).into())
    }

    fn id(&self, name: &str) -> &str {
        &self.0[name].0.id
    }

    fn name(&self, id: &Value) -> &str {
        let found = self.0.iter().find(|(_, (peer, _))| *id == *peer.id);
        found.unwrap().0
    }
}

/// `key=value` words after the verb.
fn word<'a>(step: &'a str, key: &str) -> Option<&'a str> {
    let mut words = step.split(' ').skip(1);
    words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn step(host: &mut Host, cast: &Cast, step: &str) {
    let key = word(step, "key").map(|name| (&cast.0[name].0, cast.0[name].1.as_str()));
    match (step.split(' ').next().unwrap(), key) {
        ("import", Some((peer, _))) => {
            let accept = word(step, "accept").map_or(Value::Null, |_| json!(true));
            import(host, peer.armored.as_bytes(), accept);
        }
        ("mail", Some((_, field))) => {
            let date = chrono::Utc::now().to_rfc2822();
            let message = format!(
                "From: {PEER}\r\nTo: {ME}\r\nDate: {date}\r\nAutocrypt: {field}\r\n\
                 Content-Type: text/plain\r\n\r\nhello\r\n"
            );
            host.open(message.as_bytes()).unwrap();
        }
        ("accept", Some((peer, _))) => {
            let level = word(step, "level").unwrap();
            host.good(
                "keys/accept",
                json!({"id": peer.id, "address": PEER, "level": level}),
            );
        }
        ("delete", Some((peer, _))) => {
            host.good("keys/delete", json!({"id": peer.id}));
        }
        ("settle", None) => {
            let reject: Vec<_> = word(step, "reject")
                .into_iter()
                .flat_map(|names| names.split(','))
                .map(|name| cast.id(name))
                .collect();
            let keep = cast.id(word(step, "keep").unwrap());
            host.good(
                "keys/settle",
                json!({"address": PEER, "keep": keep, "reject": reject}),
            );
        }
        _ => panic!("a step that nobody knows: {step}"),
    }
}

fn found(host: &mut Host, cast: &Cast, what: &str) -> String {
    match what {
        "plan" => {
            let plan = host.good(
                "message/plan",
                json!({"to": [PEER], "protect": {"sign": false, "encrypt": true}}),
            );
            let recipient = &plan["recipients"][0];
            let state = recipient["state"].as_str().unwrap();
            match state {
                // What would be used comes first.
                "ready" => format!("ready {}", cast.name(&recipient["keys"][0]["id"])),
                state => state.to_owned(),
            }
        }
        "conflict" => {
            let listed = host.good("keys/list", json!({"conflicts": true}));
            let keys = listed["keys"].as_array().unwrap();
            let mut names: Vec<_> = keys.iter().map(|key| cast.name(&key["id"])).collect();
            names.sort_unstable();
            // Each shows the others.
            for key in keys {
                let with = key["conflicts"][0]["with"].as_array().unwrap();
                assert_eq!(with.len() + 1, names.len(), "{key}");
            }
            match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(" "),
            }
        }
        name => match host.call("keys/show", json!({"id": cast.id(name)})) {
            Ok(shown) => shown["key"]["acceptance"][PEER]
                .as_str()
                .unwrap()
                .to_owned(),
            Err(fault) => {
                assert_eq!(fault.kind(), "key.missing");
                "absent".to_owned()
            }
        },
    }
}

fn run(vector: &Vector, cast: &Cast) {
    let home = Home::new();
    let mut host = home.start();
    for one in &vector.steps {
        step(&mut host, cast, one);
    }
    // As the next host sees it, too.
    let mut next = home.start();
    for (what, wanted) in &vector.expected {
        for host in [&mut host, &mut next] {
            let found = found(host, cast, what);
            assert_eq!(found, *wanted, "{}: {what}", vector.name);
        }
    }
}

#[test]
fn every_transition() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/acceptance");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let cast = Cast::new();
    let mut missed = Vec::new();
    for file in &files {
        let vector = read(file);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&vector, &cast)));
        if ran.is_err() {
            missed.push(vector.name);
        }
    }
    println!(
        "acceptance: {} vectors, {} missed",
        files.len(),
        missed.len()
    );
    assert!(files.len() > 10 && missed.is_empty(), "{missed:?}");
}
