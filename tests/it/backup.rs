//! The key store in one file and back: into an empty home, into a used one, twice, by two hosts,
//! out of files that are cut, garbled, forged or somebody else's.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use openssl::x509::{X509Builder, X509NameBuilder};
use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message};
use serde_json::{Value, json};

use crate::harness::{Fault, Home, Host, export, generate, import, pair, seal_one};
use crate::peer::Gpg;

const ALICE: &str = "alice@sealpost.example";
const BOB: &str = "bob@sealpost.example";
pub const PHRASE: &str = "correct horse";

/// Calls a method and answers its questions, one after the other; how many there were.
fn asked(
    host: &mut Host,
    method: &str,
    params: Value,
    phrases: &[&str],
) -> (Result<Value, Fault>, usize) {
    let id = host.send(method, params);
    let mut phrases = phrases.iter();
    let mut count = 0;
    loop {
        if host.has(id) {
            return (host.wait(id), count);
        }
        if let Some(question) = host.questions.pop_front() {
            count += 1;
            let answer = match phrases.next() {
                Some(phrase) => json!({"passphrase": phrase}),
                None => json!({"cancelled": true}),
            };
            host.answer(&question, answer);
            continue;
        }
        assert!(
            host.pump(std::time::Instant::now() + host.patience),
            "{method} hangs"
        );
    }
}

#[track_caller]
pub fn write(host: &mut Host) -> Vec<u8> {
    let (written, questions) = asked(host, "backup/write", json!({}), &[PHRASE]);
    assert_eq!(questions, 1);
    host.bytes(&written.unwrap()["data"])
}

pub fn read(host: &mut Host, backup: &[u8]) -> Result<Value, Fault> {
    let data = host.body(backup);
    asked(host, "backup/read", json!({"data": data}), &[PHRASE]).0
}

fn nothing() -> Value {
    json!({"certificates": 0, "secretKeys": 0, "decisions": 0, "revocations": 0, "anchors": 0,
           "revocationLists": 0, "policy": false})
}

/// Everything that a client can see of the keys.
fn keys(host: &mut Host) -> BTreeMap<String, Value> {
    let keys = host.good("keys/list", json!({}))["keys"].clone();
    let all = keys.as_array().unwrap().iter();
    all.map(|key| (key["id"].as_str().unwrap().to_owned(), key.clone()))
        .collect()
}

fn own_anchors(host: &mut Host) -> Vec<Value> {
    let anchors = host.good("anchors/list", json!({}))["anchors"].clone();
    let all = anchors.as_array().unwrap().iter();
    all.filter(|one| one["source"] == "own").cloned().collect()
}

/// An authority's certificate.
pub fn authority() -> Vec<u8> {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "An Authority").unwrap();
    let name = name.build();
    let mut cert = X509Builder::new().unwrap();
    cert.set_version(2).unwrap();
    cert.set_subject_name(&name).unwrap();
    cert.set_issuer_name(&name).unwrap();
    cert.set_pubkey(&key).unwrap();
    let number = openssl::bn::BigNum::from_u32(7)
        .unwrap()
        .to_asn1_integer()
        .unwrap();
    cert.set_serial_number(&number).unwrap();
    cert.set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    cert.set_not_after(&Asn1Time::days_from_now(900).unwrap())
        .unwrap();
    let ca = BasicConstraints::new().critical().ca().build().unwrap();
    cert.append_extension(ca).unwrap();
    let usage = KeyUsage::new().critical().key_cert_sign().build().unwrap();
    cert.append_extension(usage).unwrap();
    cert.sign(&key, MessageDigest::sha256()).unwrap();
    cert.build().to_pem().unwrap()
}

fn letter(from: &str, to: &str) -> Value {
    json!({"from": from, "to": [to], "subject": "s", "text": {"text": "words"}})
}

#[track_caller]
fn stranger(address: &str) -> (String, String) {
    let home = Home::new();
    let mut host = home.start();
    let id = generate(&mut host, "Somebody", address, "compatible");
    (export(&mut host, &[&id]), id)
}

#[track_caller]
fn say(host: &mut Host, id: &str, address: &str, level: &str) {
    host.good(
        "keys/accept",
        json!({"id": id, "address": address, "level": level}),
    );
}

#[test]
fn everything_comes_back_in_an_empty_home_and_once_only() {
    let it = pair("compatible");
    let (mut alice, mut bob) = (it.alice, it.bob);
    // An own key under a passphrase, one of S/MIME, somebody rejected, somebody harvested, two
    // keys that nobody has decided between, an authority.
    let make = json!({"protocol": "openpgp", "name": "Second", "address": "second@sealpost.example",
                      "profile": "modern", "passphrase": "ask"});
    let second = asked(&mut alice, "keys/generate", make, &["its own"])
        .0
        .unwrap()["key"]["id"]
        .clone();
    let make = json!({"protocol": "smime", "name": "S", "address": ALICE, "passphrase": "none"});
    alice.good("keys/generate", make);
    let (cert, id) = stranger("mallory@sealpost.example");
    import(&mut alice, cert.as_bytes(), Value::Null);
    say(&mut alice, &id, "mallory@sealpost.example", "rejected");
    let other = Home::new();
    let mut carol = other.start();
    generate(&mut carol, "Carol", "carol@sealpost.example", "compatible");
    let mail = seal_one(
        &mut carol,
        letter("carol@sealpost.example", ALICE),
        json!({"sign": true}),
    );
    assert_eq!(alice.open(&mail).unwrap()["keys"][0]["change"], "new");
    let other = Home::new();
    let mut anew = other.start();
    generate(&mut anew, "Bob", BOB, "compatible");
    let mail = seal_one(&mut anew, letter(BOB, ALICE), json!({"sign": true}));
    assert_eq!(alice.open(&mail).unwrap()["keys"][0]["change"], "conflict");
    let ca = alice.body(&authority());
    alice.good(
        "anchors/add",
        json!({"data": ca, "domains": ["sealpost.example"]}),
    );

    // Mail from before, to both own keys.
    let old = seal_one(
        &mut bob,
        letter(BOB, ALICE),
        json!({"sign": true, "encrypt": true}),
    );
    let second_cert = export(&mut alice, &[second.as_str().unwrap()]);
    import(&mut bob, second_cert.as_bytes(), json!(true));
    let old_second = seal_one(
        &mut bob,
        letter(BOB, "second@sealpost.example"),
        json!({"encrypt": true}),
    );

    let before = keys(&mut alice);
    let backup = write(&mut alice);
    assert_eq!(keys(&mut alice), before, "writing a backup changes nothing");

    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let done = read(&mut host, &backup).unwrap();
    assert_eq!(done["skipped"], json!([]), "{done}");
    assert_eq!(done["restored"]["secretKeys"], 3);
    assert_eq!(done["restored"]["certificates"], before.len());
    assert_eq!(done["restored"]["anchors"], 1);
    assert_eq!(done["restored"]["revocations"], 2);
    let mut after = keys(&mut host);
    // What this conversation has unlocked, the other one has not.
    for (id, key) in &mut after {
        key["secret"] = before[id]["secret"].clone();
    }
    assert_eq!(after, before);
    assert_eq!(own_anchors(&mut host), own_anchors(&mut alice));
    assert_eq!(host.open(&old).unwrap()["summary"]["encrypted"], "whole");
    let message = host.body(&old_second);
    let opened = asked(
        &mut host,
        "message/open",
        json!({"message": message}),
        &["its own"],
    );
    assert_eq!(opened.0.unwrap()["summary"]["encrypted"], "whole");
    let planned = json!({"from": ALICE, "to": [BOB], "protect": {"encrypt": true}});
    assert_eq!(
        host.good("message/plan", planned)["recipients"][0]["state"],
        "conflict"
    );

    let again = read(&mut host, &backup).unwrap();
    assert_eq!(again["restored"], nothing(), "{again}");
    let mut twice = keys(&mut host);
    for (id, key) in &mut twice {
        key["secret"] = before[id]["secret"].clone();
        // Mail was opened here since.
        key["seen"] = before[id]["seen"].clone();
    }
    assert_eq!(twice, before);
    // A backup of the restored one holds the same.
    let third = Home::new();
    let mut host = third.start();
    host.hello();
    read(&mut host, &backup).unwrap();
    let own = write(&mut host);
    assert_eq!(read(&mut alice, &own).unwrap()["restored"], nothing());
}

#[test]
fn rules_of_ones_own_come_along_where_there_are_none() {
    let home = Home::new().policy("unlock-seconds = 77\n");
    let mut host = home.start();
    host.hello();
    let backup = write(&mut host);
    let empty = Home::new();
    let mut host = empty.start();
    host.hello();
    assert_eq!(
        read(&mut host, &backup).unwrap()["restored"]["policy"],
        true
    );
    drop(host);
    let mut host = empty.start();
    host.hello();
    assert_eq!(
        host.good("policy/show", json!({}))["policy"]["unlock-seconds"],
        77
    );
    let ruled = Home::new().policy("unlock-seconds = 5\n");
    let mut host = ruled.start();
    host.hello();
    assert_eq!(read(&mut host, &backup).unwrap()["restored"], nothing());
    let kept = std::fs::read_to_string(ruled.path().join("policy.toml")).unwrap();
    assert_eq!(kept, "unlock-seconds = 5\n");
}

#[test]
fn gpg_opens_it_and_what_is_in_it() {
    let Some(gpg) = Gpg::new() else {
        return;
    };
    let mut it = pair("compatible");
    let backup = write(&mut it.alice);
    // Stretched, and with an integrity check that every version of it knows.
    let packets = gpg.text(&["--passphrase", PHRASE, "--list-packets"], &backup);
    for expected in [
        "s2k 3, hash 8",
        "mdc_method: 2",
        "name=\"sealpost-backup.tar\"",
    ] {
        assert!(packets.contains(expected), "{expected}: {packets}");
    }
    let tar = gpg.tried(&["--passphrase", PHRASE, "--decrypt"], &backup);
    assert!(tar.ok, "{}", tar.stderr);
    let mut archive = tar::Archive::new(tar.stdout.as_slice());
    let mut pieces = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        pieces.insert(name, bytes);
    }
    let fingerprint = it.alice_id.strip_prefix("openpgp:").unwrap();
    for name in [
        "version",
        "README.txt",
        "device.key",
        "decisions.journal",
        "sources.tsv",
        &format!("openpgp/{fingerprint}.pgp"),
        &format!("secrets/openpgp-{fingerprint}"),
        &format!("revocations/{fingerprint}.revocation"),
    ] {
        assert!(
            pieces.contains_key(&format!("sealpost-backup/{name}")),
            "{name}: {:?}",
            pieces.keys()
        );
    }
    // A person is not locked in: the certificates and the secret key are GnuPG's to take.
    let cert = &pieces[&format!("sealpost-backup/openpgp/{fingerprint}.pgp")];
    gpg.go(&["--import"], cert);
    let secret = &pieces[&format!("sealpost-backup/secrets/openpgp-{fingerprint}")];
    let at = secret.iter().position(|b| *b == b'\n').unwrap() + 1;
    let packets = gpg.text(&["--list-packets"], &secret[at..]);
    assert!(packets.contains("secret key packet"), "{packets}");
    let wrong = gpg.tried(&["--passphrase", "another", "--decrypt"], &backup);
    assert!(!wrong.ok);
}

#[test]
fn a_wrong_passphrase_is_asked_for_again_and_nothing_comes_of_it() {
    let mut it = pair("compatible");
    let backup = write(&mut it.alice);
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let data = host.body(&backup);
    let params = json!({"data": data});
    let (ended, questions) = asked(
        &mut host,
        "backup/read",
        params.clone(),
        &["a", "b", "c", PHRASE],
    );
    assert_eq!(
        (ended.unwrap_err().kind(), questions),
        ("passphrase.wrong", 3)
    );
    assert_eq!(keys(&mut host), BTreeMap::new());
    let (done, questions) = asked(&mut host, "backup/read", params.clone(), &["a", PHRASE]);
    assert_eq!(
        (done.unwrap()["restored"]["secretKeys"].clone(), questions),
        (json!(1), 2)
    );
    let (ended, _) = asked(&mut host, "backup/read", params, &[]);
    assert_eq!(ended.unwrap_err().kind(), "passphrase.cancelled");
    // Nor is one made under nothing, which is not called wrong.
    let (ended, _) = asked(&mut host, "backup/write", json!({}), &["", "", ""]);
    let fault = ended.unwrap_err();
    assert_eq!(fault.kind(), "passphrase.wrong");
    assert!(fault.message.contains("is empty"), "{fault:?}");
    assert_eq!(
        host.fault("backup/write", json!({"ask": "never"})).kind(),
        "passphrase.unavailable"
    );
}

#[test]
fn nothing_happens_without_a_yes() {
    let mut it = pair("compatible");
    let backup = write(&mut it.alice);
    let home = Home::new().confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    assert_eq!(
        host.fault("backup/write", json!({})).kind(),
        "consent.denied"
    );
    assert_eq!(
        read(&mut host, &backup).unwrap_err().kind(),
        "consent.denied"
    );
    assert_eq!(keys(&mut host), BTreeMap::new());

    // The person is told what is in it.
    let pinentry = crate::harness::Pinentry::new(&[PHRASE, "%cancel"]);
    let home = Home::new().confirm(None).pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    assert_eq!(
        read(&mut host, &backup).unwrap_err().kind(),
        "consent.denied"
    );
    let said = pinentry.descriptions();
    assert!(
        said.contains("1 secret keys, 2 certificates, 0 authorities"),
        "{said}"
    );
    assert_eq!(keys(&mut host), BTreeMap::new());
}

#[test]
fn a_file_that_is_cut_or_garbled_changes_nothing() {
    let mut it = pair("compatible");
    let backup = write(&mut it.alice);
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let length = backup.len();
    let cuts = [
        0,
        1,
        10,
        40,
        80,
        100,
        length / 3,
        length / 2,
        length - 100,
        length - 22,
        length - 1,
    ];
    let mut broken: Vec<(String, Vec<u8>)> = cuts
        .iter()
        .map(|at| (format!("cut at {at}"), backup[..*at].to_vec()))
        .collect();
    for at in [0, 5, 60, 90, 200, length / 2, length - 30, length - 1] {
        let mut garbled = backup.clone();
        garbled[at] ^= 0x10;
        broken.push((format!("garbled at {at}"), garbled));
    }
    let mut more = backup.clone();
    more.extend_from_slice(&backup);
    broken.push(("twice".into(), more));
    for (what, bytes) in broken {
        let data = host.body(&bytes);
        let phrases = [PHRASE, PHRASE, PHRASE];
        let fault = asked(&mut host, "backup/read", json!({"data": data}), &phrases).0;
        let fault = fault.expect_err(&what);
        let kinds = [
            "decrypt.failed",
            "message.malformed",
            "passphrase.wrong",
            "key.missing",
            "limit.exceeded",
        ];
        assert!(kinds.contains(&fault.kind()), "{what}: {fault:?}");
        // Nobody has sent it.
        for word in ["message", "sender", "armor"] {
            assert!(!fault.message.contains(word), "{what}: {fault:?}");
        }
        assert_eq!(keys(&mut host), BTreeMap::new(), "{what}");
    }
    let left: Vec<_> = home
        .files()
        .into_iter()
        .filter(|path| !is_housekeeping(path))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        read(&mut host, &backup).unwrap()["restored"]["secretKeys"],
        1
    );
}

fn is_housekeeping(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.starts_with("index-") || name.contains(".log") || name.ends_with("lock")
}

/// What is newer here stays, what was rejected stays so, and what disagrees is asked.
#[test]
fn a_used_home_loses_nothing() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let make =
        json!({"protocol": "openpgp", "name": "Alice", "address": ALICE, "passphrase": "ask"});
    let alice = asked(&mut host, "keys/generate", make, &["old"]).0.unwrap()["key"]["id"].clone();
    let device = generate(&mut host, "Device", "device@sealpost.example", "compatible");
    let people: Vec<(String, String)> = ["a", "b", "c"]
        .iter()
        .map(|name| stranger(&format!("{name}@sealpost.example")))
        .collect();
    for (cert, _) in &people {
        import(&mut host, cert.as_bytes(), json!(true));
    }
    let backup = write(&mut host);
    // Times are whole seconds: what follows is later.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    say(&mut host, &people[0].1, "a@sealpost.example", "rejected");
    say(&mut host, &people[1].1, "b@sealpost.example", "verified");
    host.good("keys/delete", json!({"id": people[2].1}));
    let changed = asked(
        &mut host,
        "keys/passphrase",
        json!({"id": alice}),
        &["old", "new"],
    );
    changed.0.unwrap();
    let done = read(&mut host, &backup).unwrap();
    assert_eq!(done["restored"]["secretKeys"], 0);
    assert_eq!(done["restored"]["certificates"], 1, "{done}");
    assert_eq!(done["restored"]["decisions"], 1, "{done}");
    let listed = keys(&mut host);
    for (n, level) in [(0, "rejected"), (1, "verified"), (2, "accepted")] {
        let (_, id) = &people[n];
        let said = listed[id]["acceptance"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap();
        assert_eq!(said, level, "{id}");
    }
    host.good("keys/lock", json!({}));
    let unlocked = asked(
        &mut host,
        "keys/unlock",
        json!({"id": alice}),
        &["old", "new"],
    );
    assert_eq!(unlocked.1, 2, "the newer passphrase was taken away");
    unlocked.0.unwrap();

    // Another home, with a key of its own under another device key, and another key for `b`.
    let other = Home::new();
    let mut there = other.start();
    there.hello();
    let mine = generate(&mut there, "Mine", "mine@sealpost.example", "compatible");
    let (cert, rival) = stranger("b@sealpost.example");
    import(&mut there, cert.as_bytes(), json!(true));
    let done = read(&mut there, &backup).unwrap();
    assert_eq!(done["restored"]["secretKeys"], 2);
    let device_cert = export(&mut there, &[&device]);
    let mine_cert = export(&mut there, &[&mine]);
    let writer = Home::new();
    let mut writer = writer.start();
    for cert in [&device_cert, &mine_cert] {
        import(&mut writer, cert.as_bytes(), json!(true));
    }
    for to in ["device@sealpost.example", "mine@sealpost.example"] {
        let text = json!({"text": {"text": "hello"}, "to": [to]});
        let sealed = writer.good("text/encrypt", text)["text"].clone();
        let opened = there.good("text/decrypt", json!({"text": sealed}));
        assert_eq!(opened["segments"][0]["text"]["text"], "hello", "{to}");
    }
    let planned =
        json!({"from": ALICE, "to": ["b@sealpost.example"], "protect": {"encrypt": true}});
    let party = there.good("message/plan", planned)["recipients"][0].clone();
    assert_eq!(party["state"], "conflict");
    let ids: Vec<_> = party["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["id"].clone())
        .collect();
    assert!(ids.contains(&json!(rival)) && ids.contains(&json!(people[1].1)));
    assert_eq!(read(&mut there, &backup).unwrap()["restored"], nothing());
}

#[test]
fn what_was_lost_or_damaged_is_there_again() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Alice", ALICE, "compatible");
    let backup = write(&mut host);
    let sealed = json!({"text": {"text": "hello"}, "to": [ALICE]});
    let block = host.good("text/encrypt", sealed)["text"].clone();
    drop(host);
    let secret = home.path().join("secrets").join(id.replace(':', "-"));
    for (what, path, with) in [
        (
            "the secret half",
            secret.clone(),
            Some(b"sealpost-secret 1 device 3 0\nabc".as_slice()),
        ),
        ("the secret half", secret, None),
        (
            "device.key",
            home.path().join("device.key"),
            Some(b"short".as_slice()),
        ),
        ("device.key", home.path().join("device.key"), None),
    ] {
        match with {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let mut host = home.start();
        host.hello();
        host.fault("text/decrypt", json!({"text": block}));
        read(&mut host, &backup).unwrap();
        let opened = host.good("text/decrypt", json!({"text": block}));
        assert_eq!(opened["segments"][0]["text"]["text"], "hello", "{what}");
    }
}

#[test]
fn two_hosts_restore_and_work_at_the_same_time() {
    let source = Home::new();
    let mut host = source.start();
    host.hello();
    for n in 0..4 {
        generate(
            &mut host,
            "Own",
            &format!("own{n}@sealpost.example"),
            "compatible",
        );
        let (cert, _) = stranger(&format!("peer{n}@sealpost.example"));
        import(&mut host, cert.as_bytes(), json!(true));
    }
    let before = keys(&mut host);
    let backup = write(&mut host);
    let home = Home::new();
    let mut watcher = home.start();
    assert_eq!(keys(&mut watcher), BTreeMap::new());
    let made: Vec<String> = std::thread::scope(|scope| {
        let restoring: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut host = home.start();
                    host.hello();
                    read(&mut host, &backup).unwrap();
                })
            })
            .collect();
        let working = scope.spawn(|| {
            let mut host = home.start();
            (0..4)
                .map(|n| {
                    generate(
                        &mut host,
                        "New",
                        &format!("new{n}@sealpost.example"),
                        "compatible",
                    )
                })
                .collect::<Vec<_>>()
        });
        for thread in restoring {
            thread.join().unwrap();
        }
        working.join().unwrap()
    });
    let mut host = home.start();
    host.hello();
    let after = keys(&mut host);
    assert_eq!(after.len(), before.len() + made.len());
    for (id, key) in &before {
        assert_eq!(after[id]["acceptance"], key["acceptance"], "{id}");
    }
    // One that was there all the time hears of it.
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while keys(&mut watcher).len() < after.len() {
        assert!(
            std::time::Instant::now() < deadline,
            "nobody told the other host"
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for (id, key) in keys(&mut watcher) {
        assert_eq!(key["acceptance"], after[&id]["acceptance"], "{id}");
    }
    // Each of them signs: its secret half is whole, under the passphrase that is here now.
    for key in after.values().filter(|key| key["secret"] != "none") {
        let from = key["addresses"][0].clone();
        host.good("text/sign", json!({"text": {"text": "x"}, "from": from}));
    }
    assert_eq!(read(&mut host, &backup).unwrap()["restored"], nothing());
}

/// A file as anybody can make one who knows the form.
pub fn made(pieces: &[(&str, &[u8])]) -> Vec<u8> {
    sealed(&tar_of(pieces))
}

fn tar_of(pieces: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        // As it stands, climbing out of a folder included.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn sealed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let message = Encryptor::with_passwords(Message::new(&mut out), Some(PHRASE))
        .build()
        .unwrap();
    hold(message, content);
    out
}

/// Writes what a message holds, and its end.
fn hold(message: Message<'_>, content: &[u8]) {
    let mut literal = LiteralWriter::new(message).build().unwrap();
    literal.write_all(content).unwrap();
    literal.finalize().unwrap();
}

/// Whoever has our certificate can write to us; nobody can bring us a backup that way.
#[test]
fn a_backup_that_is_made_for_a_key_is_none() {
    use sequoia_openpgp::parse::Parse as _;
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Alice", ALICE, "compatible");
    let cert = export(&mut host, &[&id]);
    let cert = sequoia_openpgp::Cert::from_bytes(cert.as_bytes()).unwrap();
    let policy = sequoia_openpgp::policy::StandardPolicy::new();
    let content = tar_of(&[
        ("sealpost-backup/version", b"1\n"),
        ("sealpost-backup/policy.toml", b"unlock-seconds = 1\n"),
    ]);
    for passwords in [vec![], vec![PHRASE]] {
        let keys = cert
            .keys()
            .with_policy(&policy, None)
            .for_transport_encryption();
        let mut out = Vec::new();
        let message = Encryptor::for_recipients(Message::new(&mut out), keys)
            .add_passwords(passwords)
            .build()
            .unwrap();
        hold(message, &content);
        assert_eq!(
            read(&mut host, &out).unwrap_err().kind(),
            "message.malformed"
        );
    }
    let done = read(&mut host, &sealed(&content)).unwrap();
    assert_eq!(done["restored"]["policy"], true);
}

#[test]
fn what_is_no_backup_is_said_to_be_none() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Alice", ALICE, "compatible");
    let cert = export(&mut host, &[&id]);
    for (what, bytes) in [
        ("text", &b"root:x:0:0:root:/root:/bin/bash\n"[..]),
        ("a certificate", cert.as_bytes()),
        ("something under the passphrase", &sealed(b"hello")),
        (
            "a message in armor that is cut",
            b"-----BEGIN PGP MESSAGE-----\n\nabcd",
        ),
    ] {
        let fault = read(&mut host, bytes).unwrap_err();
        assert_eq!(fault.kind(), "message.malformed", "{what}");
        assert!(
            fault.message.contains("no sealpost backup"),
            "{what}: {fault:?}"
        );
    }
}

/// A message under [`PHRASE`], stretched by Argon2 with so much memory and so many passes.
fn stretched(content: &[u8], memory: u8, passes: u8) -> Vec<u8> {
    use sequoia_openpgp::Packet;
    use sequoia_openpgp::crypto::{S2K, SessionKey};
    use sequoia_openpgp::packet::SKESK;
    use sequoia_openpgp::packet::skesk::SKESK4;
    use sequoia_openpgp::serialize::Serialize as _;
    use sequoia_openpgp::types::SymmetricAlgorithm;

    let cipher = SymmetricAlgorithm::AES256;
    let session_key = SessionKey::new(32).unwrap();
    let s2k = |m, t| S2K::Argon2 {
        salt: [7; 16],
        t,
        p: 1,
        m,
    };
    // The costs are put in afterwards where paying them would take too long.
    let skesk = SKESK4::with_password(
        cipher,
        cipher,
        s2k(memory.min(16), passes.min(3)),
        &session_key,
        &PHRASE.into(),
    )
    .unwrap();
    let skesk = match memory > 16 || passes > 3 {
        false => skesk,
        true => {
            let sealed = skesk
                .esk()
                .unwrap()
                .map(|esk| esk.to_vec().into_boxed_slice());
            SKESK4::new(cipher, s2k(memory, passes), sealed).unwrap()
        }
    };
    let mut out = Vec::new();
    Packet::from(SKESK::from(skesk))
        .serialize(&mut out)
        .unwrap();
    let message = Message::new(&mut out);
    let message = Encryptor::with_session_key(message, cipher, session_key)
        .unwrap()
        .build()
        .unwrap();
    hold(message, content);
    out
}

/// Whoever sends a file says how much memory its passphrase takes: within bounds, and one after
/// the other.
#[test]
fn a_passphrase_that_costs_too_much_is_not_stretched() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let content = tar_of(&[("sealpost-backup/version", b"1\n")]);
    read(&mut host, &stretched(&content, 16, 3)).unwrap();
    let usual = host.peak_kib();
    for (memory, passes) in [(20, 1), (21, 1), (31, 1), (19, 5), (16, 33), (18, 255)] {
        let file = stretched(&content, memory, passes);
        let fault = read(&mut host, &file).unwrap_err();
        assert_eq!(
            (fault.kind(), &fault.data["limit"]),
            ("limit.exceeded", &json!("passphrase-memory")),
            "{memory} {passes}: {fault:?}"
        );
        let text = json!({"text": armored(&file)});
        let (opened, _) = asked(&mut host, "text/decrypt", json!({"text": text}), &[PHRASE]);
        let fault = opened.unwrap_err();
        assert_eq!(
            fault.kind(),
            "limit.exceeded",
            "{memory} {passes}: {fault:?}"
        );
    }
    assert!(host.peak_kib() < usual + (32 << 10), "memory was taken");
    // Several at once, each as dear as it may be: no more memory than one.
    let file = host.body(&stretched(&content, 19, 1));
    let ids: Vec<u64> = (0..3)
        .map(|_| host.send("backup/read", json!({"data": file})))
        .collect();
    while !ids.iter().all(|id| host.has(*id)) {
        while let Some(question) = host.questions.pop_front() {
            host.answer(&question, json!({"passphrase": PHRASE}));
        }
        let deadline = std::time::Instant::now() + host.patience;
        assert!(host.pump(deadline), "it hangs");
    }
    assert!(
        host.peak_kib() < usual + (700 << 10),
        "{} KiB were taken",
        host.peak_kib()
    );
}

fn armored(packets: &[u8]) -> String {
    use sequoia_openpgp::armor::{Kind, Writer};
    let mut writer = Writer::new(Vec::new(), Kind::Message).unwrap();
    writer.write_all(packets).unwrap();
    String::from_utf8(writer.finalize().unwrap()).unwrap()
}

/// Where certificates are shared with other programs, deleting one hides it here.
#[test]
fn what_is_hidden_is_not_copied_and_a_shared_folder_keeps_what_it_has() {
    let shared = || Home::new().env("SEALPOST_HOME", "");
    let home = shared();
    let mut host = home.start();
    host.hello();
    let own = generate(&mut host, "Alice", ALICE, "compatible");
    let (kept_cert, kept) = stranger("kept@sealpost.example");
    let (gone_cert, gone) = stranger("gone@sealpost.example");
    for cert in [&kept_cert, &gone_cert] {
        import(&mut host, cert.as_bytes(), json!(true));
    }
    host.good("keys/delete", json!({"id": gone}));
    assert!(!home.path().exists(), "SEALPOST_HOME was used all the same");
    let backup = write(&mut host);
    let elsewhere = shared();
    let mut other = elsewhere.start();
    other.hello();
    import(&mut other, gone_cert.as_bytes(), Value::Null);
    let done = read(&mut other, &backup).unwrap();
    assert_eq!(done["restored"]["certificates"], 2, "{done}");
    let listed = keys(&mut other);
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[&own]["secret"], "unlocked");
    assert_eq!(
        listed[&kept]["acceptance"]["kept@sealpost.example"],
        "accepted"
    );
    // It was taken back with the key.
    assert_eq!(
        listed[&gone]["acceptance"]["gone@sealpost.example"],
        "undecided"
    );
}

#[test]
fn a_forged_backup_brings_nothing_that_it_claims() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    for (what, file, kind) in [
        ("no tar", sealed(b"just a letter"), "message.malformed"),
        (
            "no version",
            made(&[("sealpost-backup/README.txt", b"x")]),
            "message.malformed",
        ),
        (
            "a later form",
            made(&[("sealpost-backup/version", b"2\n")]),
            "limit.exceeded",
        ),
        (
            "no message",
            b"sealpost-backup".to_vec(),
            "message.malformed",
        ),
    ] {
        assert_eq!(read(&mut host, &file).unwrap_err().kind(), kind, "{what}");
    }
    let (cert, id) = stranger("a@sealpost.example");
    let cert = sequoia_openpgp::armor::Reader::from_bytes(
        cert.as_bytes(),
        sequoia_openpgp::armor::ReaderMode::VeryTolerant,
    );
    let mut cert = cert;
    let mut binary = Vec::new();
    std::io::Read::read_to_end(&mut cert, &mut binary).unwrap();
    let other = format!("sealpost-backup/openpgp/{}.pgp", "AB".repeat(20));
    let right = format!(
        "sealpost-backup/openpgp/{}.pgp",
        id.strip_prefix("openpgp:").unwrap()
    );
    let anchor = format!("sealpost-backup/anchors/{}.anchor", "CD".repeat(32));
    let ca = openssl::x509::X509::from_pem(&authority())
        .unwrap()
        .to_der()
        .unwrap();
    let anchor_file = [b"\n".as_slice(), &ca].concat();
    let file = made(&[
        ("sealpost-backup/version", b"1\n"),
        ("sealpost-backup/../../outside", b"x"),
        ("/tmp/sealpost-outside", b"x"),
        ("sealpost-backup/secrets/../../../outside", b"x"),
        (&other, &binary),
        (&right, &binary),
        (&anchor, &anchor_file),
        ("sealpost-backup/secrets/openpgp-ABCD", b"x"),
        ("sealpost-backup/policy.toml", b"legacy = 7"),
        ("sealpost-backup/decisions.journal", b"rubbish\n"),
        ("sealpost-backup/from-a-later-release", b"x"),
    ]);
    let done = read(&mut host, &file).unwrap();
    assert_eq!(done["restored"]["certificates"], 1, "{done}");
    assert_eq!(done["restored"]["anchors"], 0);
    assert_eq!(done["restored"]["policy"], false);
    assert_eq!(done["restored"]["secretKeys"], 0);
    assert_eq!(keys(&mut host).into_keys().collect::<Vec<_>>(), [id]);
    assert!(own_anchors(&mut host).is_empty());
    assert!(!home.dir.path().join("outside").exists());
    assert!(!Path::new("/tmp/sealpost-outside").exists());
}
