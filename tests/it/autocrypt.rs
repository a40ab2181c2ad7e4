//! Autocrypt through the front door. `tests/vectors/autocrypt/*.peer` are the transitions of a
//! correspondent's state, one self-describing file each; a run that finds none fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Home, Host, Pinentry, corpora, export, generate, import, seal_one};

pub const ME: &str = "me@sealpost.example";
pub const PEER: &str = "peer@sealpost.example";
const FRIEND: &str = "friend@sealpost.example";
const DAY: i64 = 24 * 60 * 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/autocrypt")
}

/// Somebody with a key of their own for [`PEER`], and the fields that offer it.
pub struct Peer {
    _home: Home,
    host: Host,
    pub id: String,
    pub armored: String,
}

impl Peer {
    pub fn new(profile: &str) -> Peer {
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

    /// Mail to [`ME`], signed.
    pub fn signs(&mut self) -> Vec<u8> {
        let draft = json!({"from": PEER, "to": [ME], "subject": "s", "text": {"text": "hello\n"}});
        seal_one(
            &mut self.host,
            draft,
            json!({"sign": true, "protocol": "openpgp"}),
        )
    }

    pub fn field(&mut self, prefer: &str) -> String {
        self.host
            .good("autocrypt/prefer", json!({"from": PEER, "prefer": prefer}));
        let reply = self.host.good("autocrypt/header", json!({"from": PEER}));
        reply["header"].as_str().unwrap().to_owned()
    }
}

/// Somebody who knows the peer and writes to both of us.
struct Friend {
    _home: Home,
    host: Host,
}

impl Friend {
    fn new(peers: &BTreeMap<String, Peer>) -> Friend {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        generate(&mut host, "Friend", FRIEND, "compatible");
        for peer in peers.values() {
            import(&mut host, peer.armored.as_bytes(), Value::Null);
        }
        Friend { _home: home, host }
    }

    /// Mail of ours as it goes out: keys are passed on where there are several recipients.
    fn writes(&mut self, to: &Value, me: &str, peer: &str, date: &str) -> Vec<u8> {
        let draft = json!({"from": FRIEND, "to": to, "date": date, "subject": "s",
            "text": {"text": "words"}});
        let protect = json!({"encrypt": true, "keys": {(ME): [me], (PEER): [peer]}});
        let sealed = self
            .host
            .good("message/seal", json!({"draft": draft, "protect": protect}));
        self.host.bytes(&sealed["messages"][0]["message"].clone())
    }

    /// An entity of any form, encrypted, in a message of any form.
    fn wraps(&mut self, entity: &str, me: &str, outer: &str) -> String {
        let sealed = self.host.good(
            "message/seal",
            json!({"payload": {"text": entity}, "form": "payload", "to": [ME],
                "protect": {"encrypt": true, "scheme": "inline", "keys": {(ME): [me]}}}),
        );
        let armor = String::from_utf8(self.host.bytes(&sealed["payload"].clone())).unwrap();
        format!(
            "{outer}MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary=b; \
             protocol=\"application/pgp-encrypted\"\r\n\r\n\
             --b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\
             --b\r\nContent-Type: application/octet-stream\r\n\r\n{armor}\r\n--b--\r\n"
        )
    }
}

pub struct Vector {
    pub name: String,
    pub steps: Vec<String>,
    pub expected: Vec<(String, String)>,
}

pub fn read(path: &Path) -> Vector {
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

/// A message from the friend that passes a key on, in the right place or in a wrong one.
fn passed_on(
    words: &BTreeMap<&str, &str>,
    peers: &mut BTreeMap<String, Peer>,
    friend: &mut Friend,
    me: &str,
    clock: &Clock,
) -> Vec<u8> {
    let peer = peers.get_mut(words["key"]).unwrap();
    let to = match words.get("to") {
        Some(&"me") => ME.to_owned(),
        _ => format!("{ME}, {PEER}"),
    };
    if words.keys().all(|word| ["key", "day"].contains(word)) {
        let date = clock.told(words["day"]);
        return friend.writes(&json!([ME, PEER]), me, &peer.id, &date);
    }
    let value = match words.get("addr") {
        Some(address) => peer.field("nopreference").replace(PEER, address),
        None => peer.field("nopreference"),
    };
    let field = format!("Autocrypt-Gossip: {}\r\n", folded(&value));
    let date = clock.field(words["day"]);
    let fields = format!("From: {FRIEND}\r\nTo: {to}\r\nDate: {date}\r\nSubject: s\r\n");
    let plain = "Content-Type: text/plain; hp=cipher\r\n";
    let words_of = |head: &str| format!("{head}\r\nwords\r\n");
    match words.get("place").copied() {
        Some("outside") => {
            let entity = words_of(&format!("{fields}{plain}"));
            friend
                .wraps(&entity, me, &format!("{fields}{field}"))
                .into()
        }
        Some("part") => {
            let inner = words_of(&format!("{field}Content-Type: text/plain\r\n"));
            let entity = format!(
                "{fields}Content-Type: multipart/mixed; boundary=c; hp=cipher\r\n\r\n\
                 --c\r\n{inner}--c--\r\n"
            );
            friend.wraps(&entity, me, &fields).into()
        }
        Some("clear") => words_of(&format!("{fields}{field}Content-Type: text/plain\r\n")).into(),
        _ => {
            let entity = words_of(&format!("{fields}{field}{plain}"));
            friend.wraps(&entity, me, &fields).into()
        }
    }
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

fn check(
    vector: &Vector,
    peers: &mut BTreeMap<String, Peer>,
    friend: &mut Friend,
    clock: &Clock,
) -> Vec<String> {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let me = generate(&mut host, "Me", ME, "compatible");
    let cert = export(&mut host, &[&me]);
    import(&mut friend.host, cert.as_bytes(), Value::Null);
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
            "gossip" => {
                let message = passed_on(&words, peers, friend, &me, clock);
                host.open(&message).unwrap();
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
    let mut friend = Friend::new(&peers);
    let now = chrono::Utc::now().timestamp();
    let clock = Clock(now - 60);
    let wrong: Vec<String> = vectors
        .iter()
        .flat_map(|vector| check(vector, &mut peers, &mut friend, &clock))
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

/// What stands inside a PGP/MIME message, as somebody with its key reads it.
fn inside(reader: &mut Host, message: &str) -> String {
    let start = message.find("-----BEGIN PGP MESSAGE").unwrap();
    let armor = &message[start..];
    let end = armor.find("-----END PGP MESSAGE-----").unwrap() + 25;
    let reply = reader.good("text/decrypt", json!({"text": {"text": &armor[..end]}}));
    let text = reply["segments"][0]["text"].clone();
    String::from_utf8(reader.bytes(&text)).unwrap()
}

/// The addresses whose keys are passed on here.
fn gossip_in(text: &str) -> Vec<String> {
    let after = |line: &str| Some(line.split_once("addr=")?.1.split(';').next()?.to_owned());
    let unfolded = text.replace("\r\n", "\n").replace("\n ", " ");
    let fields = unfolded.lines();
    let fields = fields.filter(|line| line.starts_with("Autocrypt-Gossip:"));
    fields.map(|line| after(line).unwrap()).collect()
}

#[test]
fn keys_are_passed_on_to_those_who_are_named_and_inside_alone() {
    let home = Home::new();
    let mut me = home.start();
    me.hello();
    generate(&mut me, "Me", ME, "compatible");
    let smime = |host: &mut Host, address: &str| {
        let made = host.good(
            "keys/generate",
            json!({"protocol": "smime", "address": address, "passphrase": "none"}),
        );
        made["key"]["id"].as_str().unwrap().to_owned()
    };
    smime(&mut me, ME);
    let homes: Vec<Home> = (0..4).map(|_| Home::new()).collect();
    let mut hosts: Vec<Host> = homes.iter().map(Home::start).collect();
    let addresses =
        ["bob", "carol", "hidden", "dave"].map(|name| format!("{name}@sealpost.example"));
    for (host, address) in hosts.iter_mut().zip(&addresses) {
        host.hello();
        let id = match address.starts_with("dave") {
            true => smime(host, address),
            false => generate(host, "Somebody", address, "compatible"),
        };
        let data = host.good("keys/export", json!({"ids": [id]}))["data"].clone();
        let cert = host.bytes(&data);
        import(&mut me, &cert, json!(true));
    }
    let [bob, carol, hidden, dave] = &addresses;
    let mut seal = |to: Value, cc: Value, bcc: Value, encrypt: bool| {
        let sealed = me.good(
            "message/seal",
            json!({"draft": {"from": ME, "to": to, "cc": cc, "bcc": bcc, "subject": "s",
                    "text": {"text": "words"}},
                "protect": {"sign": true, "encrypt": encrypt}}),
        );
        let messages: Vec<(Value, String)> = sealed["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|envelope| {
                let bytes = me.bytes(&envelope["message"].clone());
                (envelope["to"].clone(), String::from_utf8(bytes).unwrap())
            })
            .collect();
        let sent = String::from_utf8(me.bytes(&sealed["sent"].clone())).unwrap();
        (messages, sent)
    };

    // Two who are named hear of each other, and nobody hears of Bcc, who hears of nobody.
    let (messages, sent) = seal(json!([bob]), json!([carol]), json!([hidden]), true);
    assert_eq!(messages.len(), 2);
    for (_, message) in &messages {
        assert!(!message.contains("Gossip"), "{message}");
    }
    let text = inside(&mut hosts[0], &messages[0].1);
    assert_eq!(gossip_in(&text), [bob.clone(), carol.clone()], "{text}");
    assert!(!text.contains("HP-Outer: Autocrypt"), "{text}");
    assert_eq!(messages[1].0, json!([hidden]));
    let text = inside(&mut hosts[2], &messages[1].1);
    assert_eq!(gossip_in(&text), Vec::<String>::new(), "{text}");
    assert!(!sent.contains("Gossip"));

    // Carol can answer all at once; what she got is advice against, not a key of Bob's own word.
    let opened = hosts[1].open(messages[0].1.as_bytes()).unwrap();
    let passed_on = opened["keys"].as_array().unwrap().iter();
    let passed_on: Vec<_> = passed_on.filter(|key| key["source"] == "gossip").collect();
    assert_eq!(passed_on.len(), 1, "{opened}");
    assert_eq!(
        (&passed_on[0]["address"], &passed_on[0]["change"]),
        (&json!(bob), &json!("new"))
    );
    let plan = json!({"from": carol, "to": [ME, bob], "protect": {"encrypt": true}});
    let plan = hosts[1].good("message/plan", plan);
    assert_eq!(plan["possible"], true, "{plan}");
    assert_eq!(plan["recipients"][1]["autocrypt"], "discourage");
    assert_eq!(plan["autocrypt"], "discourage");

    // Not to one alone, not where a family has an envelope of its own, not without encryption.
    let none: [(Value, Value, bool); 3] = [
        (json!([bob]), json!([ME]), true),
        (json!([bob]), json!([dave]), true),
        (json!([bob]), json!([carol]), false),
    ];
    for (to, cc, encrypt) in none {
        let (messages, _) = seal(to, cc, json!([]), encrypt);
        for (_, message) in &messages {
            assert!(!message.contains("Gossip"), "{message}");
            if message.contains("BEGIN PGP MESSAGE") {
                let text = inside(&mut hosts[0], message);
                assert_eq!(gossip_in(&text), Vec::<String>::new(), "{text}");
            }
        }
    }
}

#[test]
fn the_specifications_own_examples() {
    let Some(root) = corpora().map(|root| root.join("autocrypt-spec")) else {
        println!("ABSENT: corpora/; the specification's own examples were NOT read");
        return;
    };
    let read = |name: &str| std::fs::read(root.join(name)).unwrap();
    let bob = "bob@autocrypt.example";
    let carol = "carol@autocrypt.example";

    // Alice makes Bob and Carol known to each other.
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    import(
        &mut host,
        &read("bob@autocrypt.example.sec.asc"),
        json!(true),
    );
    let opened = host.open(&read("example-gossip.eml")).unwrap();
    let found: Vec<_> = opened["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["address"].clone(), key["source"].clone()))
        .collect();
    assert!(found.contains(&(json!(carol), json!("gossip"))), "{opened}");
    assert!(!found.iter().any(|(address, _)| address == bob), "{opened}");
    let peer = host.good("autocrypt/peer", json!({"address": carol}))["peer"].clone();
    let carols = "openpgp:ADF0219DFAED9ED3E305400F04726618B2642712";
    assert_eq!(peer["gossipKey"], carols, "{peer}");

    // Alice goes to another device, with the code that stands in the script that made the message.
    let code = "1742-0185-6197-1303-7016-8412-3581-4441-0597";
    let pinentry = Pinentry::new(&[code]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    let data = host.body(&read("example-setup-message.eml"));
    let brought = host.good("keys/import", json!({"data": data}));
    assert_eq!(brought["imported"][0]["secret"], true, "{brought}");
    let wish = json!({"from": "alice@autocrypt.example"});
    assert_eq!(host.good("autocrypt/prefer", wish)["prefer"], "mutual");
}
