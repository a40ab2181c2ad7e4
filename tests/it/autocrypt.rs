//! Autocrypt through the front door. `tests/vectors/autocrypt/*.peer` are the transitions of a
//! correspondent's state, one self-describing file each; a run that finds none fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import};

const ME: &str = "me@sealpost.example";
const PEER: &str = "peer@sealpost.example";
const FRIEND: &str = "friend@sealpost.example";
const DAY: i64 = 24 * 60 * 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/autocrypt")
}

/// Somebody with a key of their own for [`PEER`], and the fields that offer it.
struct Peer {
    _home: Home,
    host: Host,
    id: String,
    armored: String,
}

impl Peer {
    fn new(profile: &str) -> Peer {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let id = generate(&mut host, "Peer", PEER, profile);
        let armored = export(&mut host, &[&id]);
        Peer {
            _home: home,
            host,
            id,
            armored,
        }
    }

    fn field(&mut self, prefer: &str) -> String {
        self.host
            .good("autocrypt/prefer", json!({"from": PEER, "prefer": prefer}));
        let reply = self.host.good("autocrypt/header", json!({"from": PEER}));
        reply["header"].as_str().unwrap().to_owned()
    }
}

struct Vector {
    name: String,
    steps: Vec<String>,
    expected: Vec<(String, String)>,
}

fn read(path: &Path) -> Vector {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let (mut why, mut source) = (false, false);
    let (mut steps, mut expected) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (key, value) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("{name}: not `key: value`: {line}"));
        match key.split_once(' ') {
            Some(("expect", what)) => expected.push((what.to_owned(), value.trim().to_owned())),
            None if key == "why" => why = true,
            None if key == "source" => source = true,
            None if key == "step" => steps.push(value.trim().to_owned()),
            _ => panic!("{name}: a line that nobody knows: {line}"),
        }
    }
    assert!(why && source, "{name}: no `why` or no `source`");
    assert!(!steps.is_empty() && !expected.is_empty(), "{name}: empty");
    Vector {
        name,
        steps,
        expected,
    }
}

/// `day` as a date of today or another day, always at the same second of one run.
struct Clock(i64);

impl Clock {
    fn at(&self, day: &str) -> chrono::DateTime<chrono::Utc> {
        let day: i64 = day.parse().unwrap();
        chrono::DateTime::from_timestamp(self.0 + day * DAY, 0).unwrap()
    }

    fn field(&self, day: &str) -> String {
        self.at(day).to_rfc2822()
    }

    fn told(&self, day: &str) -> String {
        self.at(day)
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }
}

/// A field's value with its key in lines that every server lets pass.
fn folded(value: &str) -> String {
    let (head, key) = value.split_once("keydata=").unwrap();
    let pieces: Vec<_> = key.as_bytes().chunks(70).collect();
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| std::str::from_utf8(piece).unwrap())
        .collect();
    format!("{head}keydata=\r\n {}", pieces.join("\r\n "))
}

/// A message from the peer, as the words of a step say.
fn message(
    words: &BTreeMap<&str, &str>,
    peers: &mut BTreeMap<String, Peer>,
    clock: &Clock,
) -> String {
    let prefer = words.get("prefer").copied().unwrap_or("nopreference");
    let mut fields = String::new();
    for name in ["key", "second"] {
        let Some(key) = words.get(name) else { continue };
        let mut value = peers.get_mut(*key).unwrap().field(prefer);
        if let Some(address) = words.get("addr") {
            value = value.replace(PEER, address);
        }
        if let Some(length) = words.get("pad") {
            value = format!("_pad={}; {value}", "x".repeat(length.parse().unwrap()));
        }
        if words.get("broken") == Some(&name) {
            value = format!("unknown=1; {value}");
        }
        fields += &format!("Autocrypt: {}\r\n", folded(&value));
    }
    let from = match words.get("from") {
        Some(&"two") => format!("{PEER}, {FRIEND}"),
        _ => PEER.to_owned(),
    };
    let (media, body) = match words.get("type") {
        Some(&"report") => (
            "multipart/report; report-type=delivery-status; boundary=b",
            "--b\r\nContent-Type: text/plain\r\n\r\nnot delivered\r\n--b--\r\n",
        ),
        _ => ("text/plain", "words\r\n"),
    };
    let date = clock.field(words.get("day").unwrap());
    format!(
        "From: {from}\r\nTo: {ME}\r\nDate: {date}\r\nSubject: s\r\n{fields}\
         MIME-Version: 1.0\r\nContent-Type: {media}\r\n\r\n{body}"
    )
}

fn words(step: &str) -> (&str, BTreeMap<&str, &str>) {
    let mut all = step.split_whitespace();
    let verb = all.next().unwrap();
    (
        verb,
        all.map(|word| word.split_once('=').unwrap()).collect(),
    )
}

/// Takes the index away; the next host makes it anew.
fn forget_index(home: &Home) {
    let mut gone = 0;
    for file in home.files() {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.starts_with("index-") {
            std::fs::remove_file(&file).unwrap();
            gone += 1;
        }
    }
    assert!(gone > 0, "there was no index");
}

fn check(vector: &Vector, peers: &mut BTreeMap<String, Peer>, clock: &Clock) -> Vec<String> {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    generate(&mut host, "Me", ME, "compatible");
    let mut answers = false;
    for step in &vector.steps {
        let (verb, words) = words(step);
        match verb {
            "message" => {
                let message = message(&words, peers, clock);
                let params = match words.get("at") {
                    Some(day) => json!({"at": clock.told(day)}),
                    None => json!({}),
                };
                host.open_with(message.as_bytes(), params).unwrap();
            }
            "prefer" => {
                let prefer = json!({"from": ME, "prefer": words["own"]});
                host.good("autocrypt/prefer", prefer);
            }
            "import" => {
                import(
                    &mut host,
                    peers[words["key"]].armored.as_bytes(),
                    json!(true),
                );
            }
            "answers" => answers = words["message"] == "encrypted",
            "rebuild" => {
                drop(host);
                forget_index(&home);
                host = home.start();
                host.hello();
            }
            _ => panic!("{}: a step that nobody knows: {step}", vector.name),
        }
    }
    let peer = host.good("autocrypt/peer", json!({"address": PEER}))["peer"].clone();
    let plan = host.good(
        "message/plan",
        json!({"from": ME, "to": [PEER], "protect": {"encrypt": true}, "answersEncrypted": answers}),
    );
    let name_of = |id: &Value| match peers.iter().find(|(_, peer)| id == &json!(peer.id)) {
        Some((name, _)) => json!(name),
        None => id.clone(),
    };
    let mut wrong = Vec::new();
    for (what, expected) in &vector.expected {
        let day = |wanted: &str| match wanted {
            "none" => Value::Null,
            day => json!(clock.told(day)),
        };
        let key = |wanted: &str| match wanted {
            "none" => Value::Null,
            name => json!(name),
        };
        let (found, wanted) = match what.as_str() {
            "key" => (name_of(&peer["key"]), key(expected)),
            "timestamp" => (peer["timestamp"].clone(), day(expected)),
            "seen" => (peer["lastSeen"].clone(), day(expected)),
            "prefer" => (peer["preferEncrypt"].clone(), key(expected)),
            "gossip" => (name_of(&peer["gossipKey"]), key(expected)),
            "gossip-timestamp" => (peer["gossipTimestamp"].clone(), day(expected)),
            "used" => {
                let ready = plan["recipients"][0]["state"] == "ready";
                let used = plan["recipients"][0]["keys"][0]["id"].clone();
                let used = if ready { name_of(&used) } else { Value::Null };
                (used, key(expected))
            }
            "autocrypt" => (plan["recipients"][0]["autocrypt"].clone(), json!(expected)),
            _ => panic!("{}: nobody knows what {what} is", vector.name),
        };
        if found != wanted {
            wrong.push(format!("{}: {what} is {found}, not {wanted}", vector.name));
        }
    }
    assert_eq!(plan["autocrypt"], plan["recipients"][0]["autocrypt"]);
    wrong
}

#[test]
fn every_transition_of_a_correspondent() {
    let mut vectors: Vec<Vector> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "peer"))
        .map(|path| read(&path))
        .collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!vectors.is_empty(), "no vector was found");
    let mut peers = BTreeMap::from([
        ("a".to_owned(), Peer::new("compatible")),
        ("b".to_owned(), Peer::new("compatible")),
    ]);
    let now = chrono::Utc::now().timestamp();
    let clock = Clock(now - 60);
    let wrong: Vec<String> = vectors
        .iter()
        .flat_map(|vector| check(vector, &mut peers, &clock))
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_key_says_when_mail_used_it() {
    let mut peer = Peer::new("compatible");
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let field = peer.field("mutual");
    let message = format!(
        "From: {PEER}\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nAutocrypt: {}\r\n\r\nwords\r\n",
        folded(&field)
    );
    host.open(message.as_bytes()).unwrap();
    let seen = host.good("keys/show", json!({"id": peer.id}))["key"]["seen"].clone();
    assert_eq!(seen[0]["address"], PEER);
    let instant = |name: &str| {
        let text = seen[0][name].as_str().unwrap().to_owned();
        chrono::DateTime::parse_from_rfc3339(&text).unwrap()
    };
    assert!(instant("first") <= instant("last"), "{seen}");
    let imported = Home::new();
    let mut other = imported.start();
    other.hello();
    import(&mut other, peer.armored.as_bytes(), Value::Null);
    let shown = other.good("keys/show", json!({"id": peer.id}));
    assert_eq!(shown["key"]["seen"], json!([]));
}

#[test]
fn the_command_line_tells_what_is_known() {
    let mut peer = Peer::new("compatible");
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let field = peer.field("mutual");
    let offered = json!({"from": PEER, "date": "2026-01-01T00:00:00Z", "header": field});
    host.good("autocrypt/process", offered);
    let run = |arguments: &[&str]| {
        let run = home.command().arg("autocrypt").args(arguments).output();
        let run = run.unwrap();
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8(run.stdout).unwrap()
    };
    let told = run(&["peer", PEER]);
    assert!(told.contains(&peer.id) && told.contains("mutual"), "{told}");
    assert_eq!(run(&["peer", FRIEND]), "nothing is known\n");
    assert_eq!(run(&["prefer", ME]), "nopreference\n");
    assert_eq!(run(&["prefer", ME, "mutual"]), "mutual\n");
    let told = host.good("autocrypt/prefer", json!({"from": ME}));
    assert_eq!(told["prefer"], "mutual");
}
