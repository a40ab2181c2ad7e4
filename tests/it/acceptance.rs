//! What becomes of a key for an address. `tests/vectors/acceptance/*.acceptance` are the
//! transitions, one self-describing file each; a run that finds none fails, and so does one that
//! finds none for some pair of levels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::SignatureType;
use serde_json::{Value, json};

use crate::autocrypt::{ME, PEER, Peer, Vector, read};
use crate::harness::{Home, Host, encode, import};

/// Who vouches for others, in the vectors.
const INTRODUCER: &str = "i";

/// One key that people have for [`PEER`].
struct One {
    peer: Peer,
    field: String,
    /// The certificate with the introducer's word on it.
    vouched: Vec<u8>,
    /// Mail to [`ME`] that it has signed.
    signed: Vec<u8>,
}

/// The keys by the names that the vectors have for them.
struct Cast {
    keys: BTreeMap<String, One>,
    introducer: (String, Vec<u8>),
}

impl Cast {
    fn new() -> Cast {
        let (introducer, _) = CertBuilder::general_purpose(Some("<guild@introducer.example>"))
            .generate()
            .unwrap();
        let one = |name: &str| {
            let mut peer = Peer::new("compatible");
            let field = peer.field("nopreference");
            let vouched = vouched(&introducer, &peer.armored);
            let signed = peer.signs();
            let one = One {
                peer,
                field,
                vouched,
                signed,
            };
            (name.to_owned(), one)
        };
        let id = format!("openpgp:{}", introducer.fingerprint().to_hex());
        let public = introducer.armored().to_vec().unwrap();
        Cast {
            keys: ["a", "b", "c"].map(one).into(),
            introducer: (id, public),
        }
    }

    fn id(&self, name: &str) -> &str {
        match name == INTRODUCER {
            true => &self.introducer.0,
            false => &self.keys[name].peer.id,
        }
    }

    fn name(&self, id: &Value) -> &str {
        let found = self.keys.iter().find(|(_, one)| *id == *one.peer.id);
        found.map_or(INTRODUCER, |(name, _)| name)
    }
}

/// A certificate with somebody's signature on its name.
fn vouched(by: &Cert, armored: &str) -> Vec<u8> {
    let cert = Cert::from_bytes(armored.as_bytes()).unwrap();
    let key = by.primary_key().key().clone().parts_into_secret().unwrap();
    let mut signer = key.into_keypair().unwrap();
    let name = cert.userids().next().unwrap().userid().clone();
    let positive = SignatureType::PositiveCertification;
    let word = name
        .certify(&mut signer, &cert, positive, None, None)
        .unwrap();
    let (cert, _) = cert.insert_packets(word).unwrap();
    cert.armored().to_vec().unwrap()
}

/// `key=value` words after the verb.
fn word<'a>(step: &'a str, key: &str) -> Option<&'a str> {
    let mut words = step.split(' ').skip(1);
    words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// Does what the person says, who is asked for what the step has in `asks`: for `nobody`, or for
/// exactly this, without which nothing is done.
fn says(home: &Home, host: &mut Host, step: &str, method: &str, params: Value) {
    let action = word(step, "asks").filter(|asks| *asks != "nobody");
    if let Some(action) = action {
        let before = host.good("keys/list", json!({}));
        let fault = host.fault(method, params.clone());
        assert_eq!(fault.kind(), "consent.denied", "{step}: {fault:?}");
        assert_eq!(host.good("keys/list", json!({})), before, "{step}");
        let rules = format!("unconfirmed = [{action:?}]\n");
        std::fs::write(home.path().join("policy.toml"), rules).unwrap();
    }
    host.good(method, params);
    if action.is_some() {
        std::fs::remove_file(home.path().join("policy.toml")).unwrap();
    }
}

fn step(home: &Home, host: &mut Host, cast: &Cast, step: &str) {
    let name = word(step, "key");
    let id = name.map(|name| cast.id(name));
    let one = name.and_then(|name| cast.keys.get(name));
    match (step.split(' ').next().unwrap(), id) {
        ("import", Some(_)) => {
            let accept = word(step, "accept").map_or(Value::Null, |_| json!(true));
            let data = match (one, word(step, "vouched")) {
                (Some(one), Some(_)) => &one.vouched,
                (Some(one), None) => one.peer.armored.as_bytes(),
                (None, _) => &cast.introducer.1,
            };
            import(host, data, accept);
        }
        ("mail", Some(_)) => {
            let date = chrono::Utc::now().to_rfc2822();
            let field = &one.unwrap().field;
            let message = format!(
                "From: {PEER}\r\nTo: {ME}\r\nDate: {date}\r\nAutocrypt: {field}\r\n\
                 Content-Type: text/plain\r\n\r\nhello\r\n"
            );
            host.open(message.as_bytes()).unwrap();
        }
        ("accept", Some(id)) => {
            let level = word(step, "level").unwrap();
            let params = json!({"id": id, "address": PEER, "level": level});
            says(home, host, step, "keys/accept", params);
        }
        ("introduce", Some(id)) => {
            let domains: Vec<_> = word(step, "domains").into_iter().collect();
            let params = json!({"id": id, "domains": domains});
            says(home, host, step, "keys/introduce", params);
        }
        ("dismiss", Some(id)) => says(home, host, step, "keys/dismiss", json!({"id": id})),
        ("delete", Some(id)) => {
            host.good("keys/delete", json!({"id": id}));
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
        // Of what `a` has signed; nothing is recorded of it.
        "verdict" => {
            let now = chrono::Utc::now().to_rfc3339();
            let message = json!({"base64": encode(&cast.keys["a"].signed)});
            let opened = host.good("message/open", json!({"message": message, "at": now}));
            let signature = opened["layers"][0]["signatures"][0].clone();
            let status = signature["status"].as_str().unwrap();
            let reasons = signature["reasons"].as_array().unwrap();
            let reasons = reasons.iter().map(|reason| reason.as_str().unwrap());
            let by = signature["vouchedBy"].as_array();
            let by = by.into_iter().flatten().map(|id| cast.name(id));
            let words: Vec<_> = std::iter::once(status).chain(reasons).chain(by).collect();
            words.join(" ")
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
    let asks = vector.steps.iter().any(|step| word(step, "asks").is_some());
    let home = Home::new().confirm(Some(if asks { "no" } else { "yes" }));
    let mut host = home.start();
    for one in &vector.steps {
        step(&home, &mut host, cast, one);
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

fn files() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/acceptance");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// All ordered pairs of some states, but those of one with itself.
fn pairs(states: &[&str]) -> BTreeSet<(String, String)> {
    let from = states.iter();
    from.flat_map(|from| states.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .collect()
}

#[test]
fn every_pair_of_levels_has_a_vector() {
    let mut levels = pairs(&["rejected", "undecided", "accepted", "verified"]);
    let mut introducers = pairs(&["nobody", "everywhere", "domains"]);
    for file in files() {
        let vector = read(&file);
        // The last thing that the person says is what the vector is about.
        let asks = |step: &String| word(step, "asks").is_some();
        let at = vector.steps.iter().rposition(asks).unwrap_or_default();
        let (before, last) = (&vector.steps[..at], &vector.steps[at]);
        let expects = |what| vector.expected.iter().any(|(name, _)| name == what);
        // What is asked, and what comes of it for mail that goes out and that comes in.
        if word(last, "asks").is_none() || !expects("plan") || !expects("verdict") {
            continue;
        }
        let key = word(last, "key").unwrap();
        let of_key = before.iter().filter(|step| word(step, "key") == Some(key));
        let level = |step: &&String| word(step, "level").map(str::to_owned);
        let whom = |step: &str| {
            let verb = step.split(' ').next().unwrap();
            match (verb, word(step, "domains")) {
                ("introduce", Some(_)) => Some("domains".to_owned()),
                ("introduce", None) => Some("everywhere".to_owned()),
                ("dismiss", _) => Some("nobody".to_owned()),
                _ => None,
            }
        };
        match whom(last) {
            Some(to) => {
                let from = of_key.filter_map(|step| whom(step)).next_back();
                introducers.remove(&(from.unwrap_or_else(|| "nobody".to_owned()), to));
            }
            None => {
                let from = of_key.filter_map(|step| level(&step)).next_back();
                let from = from.unwrap_or_else(|| "undecided".to_owned());
                levels.remove(&(from, level(&last).unwrap()));
            }
        }
    }
    assert!(
        levels.is_empty(),
        "no vector from one to the other: {levels:?}"
    );
    assert!(
        introducers.is_empty(),
        "no vector for introducers: {introducers:?}"
    );
}

#[test]
fn every_transition() {
    let files = files();
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
