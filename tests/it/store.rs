//! The store under kill -9, under two hosts at once, and with many certificates.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Home, Host, Noise, amount, export, generate, import, seal_one};

fn all_keys(host: &mut Host) -> Vec<Value> {
    let mut keys = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let mut params = json!({});
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let page = host.good("keys/list", params);
        keys.extend(page["keys"].as_array().unwrap().iter().cloned());
        cursor = page.get("cursor").cloned().unwrap_or(Value::Null);
        if cursor.is_null() {
            return keys;
        }
    }
}

fn ids(keys: &[Value]) -> BTreeSet<String> {
    keys.iter()
        .map(|k| k["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A stack of certificates of other people, with their ids.
fn strangers(n: usize) -> Vec<(String, String)> {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    (0..n)
        .map(|i| {
            let id = generate(
                &mut host,
                "Stranger",
                &format!("s{i}@strangers.example"),
                "compatible",
            );
            let cert = export(&mut host, &[&id]);
            (id, cert)
        })
        .collect()
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let rounds = amount(30, 300);
    let certs = strangers(40);
    let home = Home::new();
    let mut noise = Noise::new(42);
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    let mut own: BTreeSet<String> = BTreeSet::new();
    let mut accepted: BTreeSet<(String, String)> = BTreeSet::new();
    let mut in_flight = 0;
    for round in 0..rounds {
        let mut host = home.start();
        let deadline = Instant::now() + Duration::from_micros(noise.next() % 250_000);
        // Without waiting between them: the kill falls into the middle of some write.
        let mut sent = Vec::new();
        for i in 0..12 {
            let (id, cert) = &certs[noise.below(certs.len())];
            let number = match noise.below(4) {
                0 => (
                    "own",
                    String::new(),
                    host.send(
                        "keys/generate",
                        json!({"protocol": "openpgp", "name": "Own", "address": format!("own{round}-{i}@sealpost.example"), "passphrase": "none"}),
                    ),
                ),
                _ => (
                    "cert",
                    id.clone(),
                    host.send("keys/import", json!({"data": {"text": cert}, "accept": true})),
                ),
            };
            sent.push(number);
        }
        while host.pump(deadline) {}
        host.kill();
        // What arrived before its end counts, the rest may or may not have happened.
        while host.pump(Instant::now() + Duration::from_secs(5)) {}
        for (what, id, number) in sent {
            if !host.has(number) {
                in_flight += 1;
                continue;
            }
            let reply = host
                .wait_raw(number)
                .unwrap_or_else(|f| panic!("round {round}: {f:?}"));
            if what == "own" {
                own.insert(reply["key"]["id"].as_str().unwrap().to_owned());
            } else {
                let address = format!(
                    "s{}@strangers.example",
                    certs.iter().position(|(c, _)| *c == id).unwrap()
                );
                accepted.insert((id.clone(), address));
                acknowledged.insert(id);
            }
        }
        if round % 10 == 9 || round + 1 == rounds {
            whole(&home, &acknowledged, &own, &accepted);
        }
    }
    println!(
        "store: {rounds} kills, {} imports and {} own keys acknowledged and there, {in_flight} requests cut off",
        acknowledged.len(),
        own.len()
    );
    assert!(in_flight > 0, "no kill fell into the middle of anything");
    assert!(
        !acknowledged.is_empty() && !own.is_empty(),
        "every kill came too early"
    );
    // Every own key signs and decrypts: no half of it is missing.
    let mut host = home.start();
    host.hello();
    for key in all_keys(&mut host).iter().filter(|k| k["secret"] != "none") {
        let address = key["addresses"][0].as_str().unwrap();
        let sealed = seal_one(
            &mut host,
            json!({"from": address, "to": [address], "subject": "s", "text": {"text": "x"}}),
            json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
        );
        let opened = host.open(&sealed).unwrap();
        assert_eq!(opened["summary"]["signed"], "good", "{address}");
    }
}

fn whole(
    home: &Home,
    acknowledged: &BTreeSet<String>,
    own: &BTreeSet<String>,
    accepted: &BTreeSet<(String, String)>,
) {
    let mut host = home.start();
    host.hello();
    let keys = all_keys(&mut host);
    let found = ids(&keys);
    for id in acknowledged.union(own) {
        assert!(found.contains(id), "{id} was acknowledged and is lost");
        host.good("keys/show", json!({"id": id}));
    }
    for id in own {
        let key = keys.iter().find(|k| k["id"] == json!(id)).unwrap();
        assert_ne!(key["secret"], "none", "the secret half of {id} is lost");
    }
    for (id, address) in accepted {
        let key = keys.iter().find(|k| k["id"] == json!(id)).unwrap();
        assert_eq!(key["acceptance"][address], "accepted", "{id}");
    }
    for key in &keys {
        // Nothing is half: what is listed can be exported.
        let id = key["id"].as_str().unwrap();
        assert!(export(&mut host, &[id]).contains("BEGIN PGP PUBLIC KEY BLOCK"));
    }
}

#[test]
fn two_hosts_write_at_once() {
    let certs = strangers(24);
    let home = Home::new();
    let mut one = home.start();
    let mut two = home.start_firefox();
    one.hello();
    two.hello();
    let mut sent = Vec::new();
    for (n, (_, cert)) in certs.iter().enumerate() {
        let params = json!({"data": {"text": cert}, "accept": true});
        // Some both at once.
        if n % 3 != 1 {
            sent.push((1, one.send("keys/import", params.clone())));
        }
        if n % 3 != 0 {
            sent.push((2, two.send("keys/import", params)));
        }
    }
    let mine = one.send("keys/generate", json!({"protocol": "openpgp", "name": "A", "address": "a@sealpost.example", "passphrase": "none"}));
    let yours = two.send("keys/generate", json!({"protocol": "openpgp", "name": "B", "address": "b@sealpost.example", "passphrase": "none"}));
    for (who, id) in sent {
        let host = if who == 1 { &mut one } else { &mut two };
        host.wait(id).unwrap();
    }
    one.wait(mine).unwrap();
    two.wait(yours).unwrap();
    let first = all_keys(&mut one);
    let second = all_keys(&mut two);
    assert_eq!(ids(&first), ids(&second));
    assert_eq!(first.len(), certs.len() + 2);
    // Each sees what the other wrote, with the same revision.
    let revision = |host: &mut Host| host.good("keys/list", json!({}))["revision"].clone();
    assert_eq!(revision(&mut one), revision(&mut two));
    let id = first[0]["id"].as_str().unwrap();
    let before = revision(&mut one);
    two.good("keys/delete", json!({"id": id, "secret": true}));
    assert_ne!(revision(&mut one), before);
    assert_eq!(
        one.fault("keys/show", json!({"id": id})).kind(),
        "key.missing"
    );
}

#[test]
fn revisions_move_with_changes_alone() {
    let (id, cert) = strangers(1).remove(0);
    let home = Home::new();
    let mut host = home.start();
    let revision = |host: &mut Host| {
        host.good("keys/list", json!({}))["revision"]
            .as_u64()
            .unwrap()
    };
    let empty = revision(&mut host);
    assert_eq!(revision(&mut host), empty);
    let first = import(&mut host, cert.as_bytes(), json!(null));
    assert_eq!(first["imported"][0]["change"], "new");
    let one = revision(&mut host);
    assert!(one > empty);
    let again = import(&mut host, cert.as_bytes(), json!(null));
    assert_eq!(again["imported"][0]["change"], "unchanged");
    assert_eq!(again["imported"][0]["id"], json!(id));
    assert_eq!(revision(&mut host), one);
    // An own key, brought in once more as its public half.
    let own = generate(&mut host, "A", "a@sealpost.example", "compatible");
    let two = revision(&mut host);
    assert!(two > one);
    let data = host.good("keys/export", json!({"ids": [own]}))["data"].clone();
    let again = host.good("keys/import", json!({"data": data}));
    assert_eq!(again["imported"][0]["change"], "unchanged");
    assert_eq!(again["imported"][0]["id"], json!(own));
    assert_eq!(revision(&mut host), two);
}

#[test]
fn deleting_needs_a_yes_and_secrets_are_not_deleted_by_the_way() {
    let home = Home::new().confirm(Some("no"));
    let mut host = home.start();
    let id = generate(&mut host, "A", "a@sealpost.example", "compatible");
    let fault = host.fault("keys/delete", json!({"id": id, "secret": true}));
    assert_eq!(fault.kind(), "consent.denied");
    let fault = host.fault("keys/export", json!({"ids": [id], "secret": true}));
    assert!(
        ["consent.denied", "passphrase.unavailable"].contains(&fault.kind()),
        "{fault:?}"
    );
    let fault = host.fault(
        "keys/accept",
        json!({"id": id, "address": "a@sealpost.example", "level": "verified"}),
    );
    assert_eq!(fault.kind(), "consent.denied");
    drop(host);
    let home = home.confirm(Some("yes"));
    let mut host = home.start();
    let fault = host.fault("keys/delete", json!({"id": id}));
    assert!(!fault.kind().is_empty());
    assert_eq!(all_keys(&mut host).len(), 1);
    host.good("keys/delete", json!({"id": id, "secret": true}));
    assert!(all_keys(&mut host).is_empty());
}

#[test]
fn many_certificates() {
    let n = amount(500, 10_000);
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    host.patience = Duration::from_secs(600);
    let started = Instant::now();
    let mut imported = 0;
    for chunk in 0..n.div_ceil(500) {
        let certs = bulk_range(chunk * 500, (n - chunk * 500).min(500));
        let reply = import(&mut host, &certs, json!(null));
        imported += reply["imported"].as_array().unwrap().len();
    }
    assert_eq!(imported, n);
    println!(
        "store: {n} certificates imported in {:.1} s",
        started.elapsed().as_secs_f32()
    );
    drop(host);
    let mut host = home.start();
    host.hello();
    let started = Instant::now();
    let first = host.good("keys/list", json!({}));
    let page = started.elapsed();
    let started = Instant::now();
    let all = all_keys(&mut host);
    println!(
        "store: first page ({} keys) after {page:?} from a cold start, all {} in {:?}",
        first["keys"].as_array().unwrap().len(),
        all.len(),
        started.elapsed()
    );
    assert_eq!(ids(&all).len(), n, "pages overlap or leave out");
    assert_eq!(all.len(), n);
    let found = host.good(
        "keys/list",
        json!({"query": format!("p{}@crowd.example", n / 2)}),
    );
    assert_eq!(found["keys"].as_array().unwrap().len(), 1);
    let address = format!("p{}@crowd.example", n - 1);
    let plan = host.good(
        "message/plan",
        json!({"from": "nobody@sealpost.example", "to": [address, "missing@crowd.example"], "protect": {"encrypt": true, "protocol": "openpgp"}}),
    );
    assert_eq!(plan["recipients"][0]["state"], "ready");
    assert_eq!(plan["recipients"][1]["state"], "no-key");
}

/// Certificates in bulk: made with the library at hand, ten times as fast as over frames.
fn bulk_range(from: usize, n: usize) -> Vec<u8> {
    use sequoia_openpgp::cert::CertBuilder;
    use sequoia_openpgp::serialize::Serialize;
    let mut all = Vec::new();
    for i in from..from + n {
        let (cert, _) =
            CertBuilder::general_purpose(Some(format!("Person {i} <p{i}@crowd.example>")))
                .generate()
                .unwrap();
        cert.serialize(&mut all).unwrap();
    }
    all
}

#[test]
fn the_state_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "A", "a@sealpost.example", "compatible");
    drop(host);
    let mut seen = 0;
    for file in home.files() {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o077;
        let name = file.to_string_lossy().to_ascii_lowercase();
        if name.contains("secret") || name.contains("private") || name.ends_with(".log") {
            assert_eq!(mode, 0, "{name}");
            seen += 1;
        }
        // No unencrypted secret key lies there: its armor or a bare packet would parse.
        use sequoia_openpgp::parse::Parse;
        if let Ok(cert) = sequoia_openpgp::Cert::from_file(&file) {
            assert!(
                cert.keys().unencrypted_secret().next().is_none(),
                "{name} holds an unprotected secret key"
            );
        }
    }
    assert!(seen > 0, "no secret file found: {:?}", home.files());
}

#[test]
fn a_rule_that_is_misspelt_stops_everything_but_the_greeting() {
    let home = Home::new();
    let folder = home.path();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("policy.toml"),
        "legacy = false\nlegcay = true\n",
    )
    .unwrap();
    let mut host = home.start();
    host.hello();
    let fault = host.fault("keys/list", json!({}));
    assert_eq!(fault.kind(), "policy.refused");
    assert_eq!(fault.data["line"], 2, "{}", fault.data);
    assert!(
        fault.data["file"]
            .as_str()
            .unwrap()
            .ends_with("policy.toml")
    );
    std::fs::write(folder.join("policy.toml"), "unlock-seconds = 60\n").unwrap();
    home.start().good("keys/list", json!({}));
}
