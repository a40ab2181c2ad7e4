//! A store that is damaged, open to others, full of links or leftovers, on a full disk or one that
//! can't be written: what the doctor says of it, what requests say, and how a person gets out.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::backup::{authority, read, write};
use crate::harness::{Home, Host, export, generate, import, pair, seal_one};

const ALICE: &str = "alice@sealpost.example";
const BOB: &str = "bob@sealpost.example";

fn check(host: &mut Host, id: &str) -> Value {
    let checks = host.good("host/doctor", json!({}))["checks"].clone();
    let found = checks.as_array().unwrap().iter().find(|c| c["id"] == id);
    found
        .unwrap_or_else(|| panic!("no check {id}: {checks}"))
        .clone()
}

#[track_caller]
fn is_well(host: &mut Host, id: &str) {
    let told = check(host, id);
    assert_eq!(told["ok"], true, "{told}");
}

/// The one file that the doctor finds fault with.
#[track_caller]
fn told(host: &mut Host, file: &str, reason: &str) {
    let told = check(host, "files");
    assert_eq!(told["ok"], false, "{told}");
    assert_eq!(
        told["data"]["damaged"],
        json!([{"file": file, "reason": reason}]),
        "{told}"
    );
    assert!(told["fix"].as_str().unwrap().contains(file), "{told}");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Where a secret half, a certificate, a revocation lies.
fn secret_file(id: &str) -> String {
    format!("secrets/{}", id.replace(':', "-"))
}

fn cert_file(id: &str) -> String {
    let hex = id.split_once(':').unwrap().1.to_ascii_lowercase();
    format!("pgp.cert.d/{}/{}", &hex[..2], &hex[2..])
}

fn revocation_file(id: &str) -> String {
    format!("revocations/{}.revocation", id.split_once(':').unwrap().1)
}

fn letter(from: &str) -> Value {
    json!({"from": from, "to": [from], "subject": "s", "text": {"text": "hello"}})
}

/// What is asked of a key whose secret half is damaged.
#[track_caller]
fn says_damaged(host: &mut Host, id: &str, sealed: &[u8], block: &Value) {
    let protect = json!({"sign": true, "encrypt": false, "protocol": "openpgp"});
    let draft = letter(ALICE);
    for (method, params) in [
        ("message/seal", json!({"draft": draft, "protect": protect})),
        ("text/decrypt", json!({"text": block})),
        ("keys/unlock", json!({"id": id})),
        ("keys/passphrase", json!({"id": id})),
    ] {
        let fault = host.fault(method, params);
        assert_eq!(fault.kind(), "store.damaged", "{method}: {fault:?}");
        assert!(
            fault.message.contains("restore it from a backup"),
            "{method}: {fault:?}"
        );
    }
    let fault = host.open(sealed).unwrap_err();
    assert_eq!(fault.kind(), "store.damaged", "{fault:?}");
    // It is here, and its owner needs no other one.
    let shown = host.good("keys/show", json!({"id": id}));
    assert_eq!(shown["key"]["secret"], "damaged");
}

#[test]
fn every_damage_is_told_and_mended_by_a_backup() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Alice", ALICE, "compatible");
    let peer = Home::new();
    let mut other = peer.start();
    other.hello();
    let bob = generate(&mut other, "Bob", BOB, "compatible");
    import(
        &mut host,
        export(&mut other, &[&bob]).as_bytes(),
        json!(true),
    );
    let protect = json!({"sign": true, "encrypt": true, "protocol": "openpgp"});
    let sealed = seal_one(&mut host, letter(ALICE), protect);
    let block = json!({"text": {"text": "hello"}, "to": [ALICE]});
    let block = host.good("text/encrypt", block)["text"].clone();
    let backup = write(&mut host);
    is_well(&mut host, "files");
    let data = check(&mut host, "files")["data"].clone();
    assert_eq!(
        data,
        json!({"damaged": [], "secrets": 1, "certificates": 2, "lookedAt": 2})
    );
    drop(host);

    let secret = secret_file(&id);
    let whole = fs::read(home.path().join(&secret)).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let certificate = fs::read(home.path().join(cert_file(&bob))).unwrap();
    let mut garbled = certificate;
    garbled.iter_mut().skip(3).for_each(|byte| *byte ^= 0x55);
    let cases: [(String, &[u8]); 10] = [
        (secret.clone(), b""),
        (secret.clone(), b"junk"),
        (secret.clone(), &[0; 4000]),
        (secret.clone(), &whole[..whole.len() / 2]),
        (secret.clone(), &flipped),
        ("device.key".to_owned(), b"short"),
        (revocation_file(&id), b"junk"),
        (cert_file(&bob), b""),
        (cert_file(&bob), &garbled),
        (cert_file(&id), b"junk"),
    ];
    for (file, bytes) in cases {
        fs::write(home.path().join(&file), bytes).unwrap();
        let mut host = home.start();
        host.hello();
        told(&mut host, &file, "damaged");
        if file == secret || file == "device.key" {
            says_damaged(&mut host, &id, &sealed, &block);
        }
        read(&mut host, &backup).unwrap();
        is_well(&mut host, "files");
        host.open(&sealed).unwrap();
        seal_one(
            &mut host,
            letter(ALICE),
            json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
        );
    }
    // What is gone altogether.
    for (gone, file, reason) in [
        (secret.clone(), secret.clone(), "missing"),
        ("device.key".to_owned(), "device.key".to_owned(), "missing"),
        (cert_file(&id), secret.clone(), "alone"),
    ] {
        fs::remove_file(home.path().join(&gone)).unwrap();
        let mut host = home.start();
        host.hello();
        told(&mut host, &file, reason);
        read(&mut host, &backup).unwrap();
        is_well(&mut host, "files");
        host.open(&sealed).unwrap();
    }
    // Something that is no file.
    fs::remove_file(home.path().join(&secret)).unwrap();
    fs::create_dir(home.path().join(&secret)).unwrap();
    mode(&home.path().join(&secret), 0o700);
    let mut host = home.start();
    host.hello();
    told(&mut host, &secret, "no-file");
    says_damaged(&mut host, &id, &sealed, &block);
    fs::remove_dir(home.path().join(&secret)).unwrap();
    read(&mut host, &backup).unwrap();
    // What is deleted is not missed.
    host.good("keys/delete", json!({"id": id, "secret": true}));
    is_well(&mut host, "files");
}

#[test]
fn a_damaged_smime_key_is_said_to_be_damaged() {
    let home = Home::new();
    let mut host = home.start();
    let made = host.good(
        "keys/generate",
        json!({"protocol": "smime", "name": "S", "address": ALICE, "passphrase": "none"}),
    );
    let id = made["key"]["id"].as_str().unwrap().to_owned();
    let authority = host.body(&authority());
    let listed = host.good("anchors/add", json!({"data": authority}));
    let own = |one: &&Value| one["source"] == "own";
    let anchor = listed["anchors"].as_array().unwrap().iter().find(own);
    let anchor = anchor.unwrap()["id"].as_str().unwrap().to_owned();
    let protect = json!({"sign": true, "encrypt": true, "protocol": "smime"});
    let sealed = seal_one(&mut host, letter(ALICE), protect.clone());
    drop(host);
    fs::write(home.path().join(secret_file(&id)), b"junk").unwrap();
    let mut host = home.start();
    host.hello();
    told(&mut host, &secret_file(&id), "damaged");
    for fault in [
        host.open(&sealed).unwrap_err(),
        host.fault(
            "message/seal",
            json!({"draft": letter(ALICE), "protect": protect}),
        ),
        host.fault("keys/unlock", json!({"id": id})),
    ] {
        assert_eq!(fault.kind(), "store.damaged", "{fault:?}");
    }
    fs::remove_file(home.path().join(secret_file(&id))).unwrap();
    is_well(&mut host, "files");
    let anchor = format!("anchors/{}.anchor", anchor.split_once(':').unwrap().1);
    fs::write(home.path().join(&anchor), b"junk").unwrap();
    told(&mut host, &anchor, "damaged");
}

/// A journal: cut at its end it goes on, damaged before it nothing is decided until a person has
/// seen to it.
#[test]
fn a_journal_that_is_torn_goes_on_and_one_that_has_rotted_does_not() {
    let mut it = pair("compatible");
    let home = it.bob_home;
    let backup = write(&mut it.bob);
    drop(it.bob);
    let journal = home.path().join("decisions.journal");
    let whole = fs::read(&journal).unwrap();
    let accepted = |host: &mut Host| {
        let shown = host.call("keys/show", json!({"id": it.alice_id}));
        shown.map(|shown| shown["key"]["acceptance"][ALICE].clone())
    };
    let without_index = || {
        for file in home.files() {
            let name = file.file_name().unwrap().to_str().unwrap();
            if name.starts_with("index-") {
                fs::remove_file(file).unwrap();
            }
        }
    };
    for tail in [&b"0123456789abcdef\taccept\t18"[..], &[0; 4000], b"\xff"] {
        fs::write(&journal, [&whole, tail].concat()).unwrap();
        without_index();
        let mut host = home.start();
        host.hello();
        is_well(&mut host, "files");
        assert_eq!(accepted(&mut host).unwrap(), "accepted");
        let say = |level| json!({"id": it.alice_id, "address": ALICE, "level": level});
        host.good("keys/accept", say("rejected"));
        drop(host);
        // All that was ever written is there, and nothing is damaged.
        without_index();
        let mut host = home.start();
        assert_eq!(accepted(&mut host).unwrap(), "rejected");
        is_well(&mut host, "files");
    }

    let mut rotten = whole;
    rotten[20] ^= 4;
    fs::write(&journal, &rotten).unwrap();
    let mut host = home.start();
    host.hello();
    told(&mut host, "decisions.journal", "damaged");
    drop(host);
    // Nothing but the journal knows it.
    without_index();
    let mut host = home.start();
    host.hello();
    told(&mut host, "decisions.journal", "damaged");
    assert_eq!(check(&mut host, "store")["data"]["error"], "store.damaged");
    for _ in 0..3 {
        let fault = accepted(&mut host).unwrap_err();
        assert_eq!(fault.kind(), "store.damaged");
        assert!(fault.message.contains("line 1"), "{fault:?}");
    }
    let indexes = home.files().into_iter().filter(|file| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with("index-") && name.ends_with(".db")
    });
    assert_eq!(indexes.count(), 1, "each request makes an index anew");
    read(&mut host, &backup).unwrap();
    assert_eq!(accepted(&mut host).unwrap(), "accepted");
    is_well(&mut host, "files");
    is_well(&mut host, "store");
    assert_eq!(
        fs::read(journal.with_extension("damaged")).unwrap(),
        rotten,
        "what was there is thrown away"
    );

    // Without a backup: the line is taken out.
    fs::write(&journal, &rotten).unwrap();
    let end = rotten.iter().position(|byte| *byte == b'\n').unwrap();
    fs::write(&journal, &rotten[end + 1..]).unwrap();
    without_index();
    let mut host = home.start();
    is_well(&mut host, "files");
    accepted(&mut host).unwrap();
}

#[test]
fn modules_that_can_not_be_loaded_are_told() {
    for named in ["module.so", "./p11-kit", ""] {
        let home = Home::new().policy(&format!(
            "legacy = false\npkcs11-modules = [\n  {named:?},\n]\n"
        ));
        let mut host = home.start();
        host.hello();
        let policy = check(&mut host, "policy");
        assert_eq!(
            (&policy["ok"], &policy["data"]["line"]),
            (&json!(false), &json!(2)),
            "{policy}"
        );
        let fault = host.fault("keys/list", json!({}));
        assert_eq!(
            (fault.kind(), &fault.data["line"]),
            ("policy.refused", &json!(2))
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("module.so");
    let said = |module: &Path| {
        let home = Home::new().policy(&format!("pkcs11-modules = [{module:?}]\n"));
        let mut host = home.start();
        let told = check(&mut host, "modules");
        assert_eq!(told["ok"], false, "{told}");
        assert!(
            told["fix"]
                .as_str()
                .unwrap()
                .contains(module.to_str().unwrap()),
            "{told}"
        );
        told["data"]["modules"][0]["state"].clone()
    };
    assert_eq!(said(&module), "missing");
    fs::write(&module, b"no module").unwrap();
    assert_eq!(said(&module), "broken");
    mode(&module, 0o666);
    assert_eq!(said(&module), "open");
    mode(&module, 0o644);
    mode(folder.path(), 0o777);
    assert_eq!(said(&module), "open");
    // Who names none is told of none.
    let mut host = Home::new().start();
    let checks = host.good("host/doctor", json!({}))["checks"].clone();
    assert!(
        checks
            .as_array()
            .unwrap()
            .iter()
            .all(|c| c["id"] != "modules")
    );
}

#[test]
fn a_home_that_is_open_to_others_is_closed_and_told() {
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    is_well(&mut host, "home");
    drop(host);
    let now = || fs::metadata(home.path()).unwrap().permissions().mode() & 0o7777;
    let make = json!({"protocol": "openpgp", "name": "B", "address": BOB, "passphrase": "none"});
    for (open, first, params) in [
        (0o777, "keys/list", json!({})),
        (0o757, "keys/generate", make),
        (0o702, "host/doctor", json!({})),
    ] {
        mode(&home.path(), open);
        let mut host = home.start();
        host.hello();
        // Whatever is asked first, the doctor says so until this host has ended.
        host.good(first, params);
        let told = check(&mut host, "home");
        assert_eq!(told["ok"], false, "{open:o}: {told}");
        assert_eq!(told["data"]["wasOpen"], true, "{open:o}: {told}");
        // Nothing more than that is taken: it may be somebody's whole home.
        assert_eq!(now(), open & !0o022, "{open:o}");
    }
    mode(&home.path(), 0o755);
    let mut host = home.start();
    is_well(&mut host, "home");
    assert_eq!(now(), 0o755);
    drop(host);
    // What others can't read there is nobody's but its owner's.
    let mut looked_at = 0;
    for file in home.files() {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
        looked_at += 1;
    }
    assert!(looked_at > 4);

    // One for everybody stays as it is, and is not used.
    mode(&home.path(), 0o1777);
    let mut host = home.start();
    host.hello();
    let fault = host.fault("keys/list", json!({}));
    assert_eq!(fault.kind(), "store.unavailable");
    assert!(fault.message.contains("for everybody"), "{fault:?}");
    assert_eq!(check(&mut host, "store")["ok"], false);
    assert_eq!(now(), 0o1777);
    drop(host);
    mode(&home.path(), 0o700);

    // A secret that others can read, where they could come to it.
    let secret = home
        .files()
        .into_iter()
        .find(|file| file.parent().unwrap().ends_with("secrets"));
    let secret = secret.unwrap();
    mode(&secret, 0o604);
    let mut host = home.start();
    let name = secret.strip_prefix(home.path()).unwrap().to_str().unwrap();
    told(&mut host, name, "open");
    mode(&secret, 0o600);
    is_well(&mut host, "files");
    drop(host);

    // A folder above it, in which others can put another one in its place.
    mode(home.dir.path(), 0o777);
    let mut host = home.start();
    let told = check(&mut host, "home");
    assert_eq!(told["ok"], false, "{told}");
    assert_eq!(told["data"]["loose"][0], home.dir.path().to_str().unwrap());
    drop(host);
    mode(home.dir.path(), 0o1777);
    is_well(&mut home.start(), "home");
}

/// Whose folder it is decides, and not what its mode says.
#[test]
fn a_home_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("ABSENT: these tests don't run as root; a home of another user was NOT shown");
        return;
    }
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    let secret = home
        .files()
        .into_iter()
        .find(|file| file.parent().unwrap().ends_with("secrets"));
    let secret = secret.unwrap();
    drop(host);
    let to = |path: &Path, user| std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    fs::write(home.path().join("policy.toml"), "legacy = true\n").unwrap();
    to(&home.path(), 1234);
    let mut host = home.start();
    host.hello();
    for method in ["keys/list", "policy/show", "keys/tokens"] {
        let fault = host.fault(method, json!({}));
        assert_eq!(fault.kind(), "store.unavailable", "{method}: {fault:?}");
        assert!(fault.message.contains("another user"), "{fault:?}");
    }
    assert_eq!(check(&mut host, "store")["ok"], false);
    drop(host);
    to(&home.path(), 0);
    // A file that another user has put there.
    for file in [secret, home.path().join("policy.toml")] {
        to(&file, 1234);
        let mut host = home.start();
        host.hello();
        match file.ends_with("policy.toml") {
            true => assert_eq!(host.fault("keys/list", json!({})).kind(), "policy.refused"),
            false => {
                let name = file.strip_prefix(home.path()).unwrap().to_str().unwrap();
                told(&mut host, name, "foreign");
                let protect = json!({"sign": true, "encrypt": false, "protocol": "openpgp"});
                let seal = json!({"draft": letter(ALICE), "protect": protect});
                let fault = host.fault("message/seal", seal);
                assert_eq!(fault.kind(), "store.unavailable", "{fault:?}");
            }
        }
        drop(host);
        to(&file, 0);
    }
    home.start().good("keys/list", json!({}));
}

#[test]
fn links_in_the_home_are_refused_and_the_home_may_be_one() {
    let elsewhere = tempfile::tempdir().unwrap();
    let home = Home::new();
    fs::create_dir(elsewhere.path().join("state")).unwrap();
    symlink(elsewhere.path().join("state"), home.path()).unwrap();
    let mut host = home.start();
    let id = generate(&mut host, "Alice", ALICE, "compatible");
    let protect = json!({"sign": true, "encrypt": true, "protocol": "openpgp"});
    let sealed = seal_one(&mut host, letter(ALICE), protect.clone());
    is_well(&mut host, "files");
    drop(host);
    let sign = json!({"draft": letter(ALICE), "protect": protect});

    // As somebody makes them who could write there once.
    let swap = |name: &str| {
        let (place, away) = (home.path().join(name), elsewhere.path().join("away"));
        fs::rename(&place, &away).unwrap();
        symlink(&away, &place).unwrap();
        (place, away)
    };
    let back = |(place, away): (PathBuf, PathBuf)| {
        // A write puts a file in the place of a link.
        fs::remove_file(&place).unwrap();
        fs::rename(&away, &place).unwrap();
    };
    for (name, told_by_files) in [
        (secret_file(&id), true),
        ("device.key".to_owned(), true),
        ("secrets".to_owned(), true),
        ("revocations".to_owned(), false),
        ("decisions.journal".to_owned(), true),
        ("index-0.db".to_owned(), false),
        ("lock".to_owned(), false),
    ] {
        let moved = swap(&name);
        let before = fs::metadata(&moved.1).unwrap().len();
        let mut host = home.start();
        host.hello();
        let faults = [
            host.call("message/seal", sign.clone()),
            host.open(&sealed),
            host.call(
                "keys/generate",
                json!({"protocol": "openpgp", "name": "B", "address": BOB, "passphrase": "none"}),
            ),
        ];
        let refused = faults.into_iter().filter_map(Result::err);
        let refused: Vec<_> = refused.collect();
        assert!(!refused.is_empty(), "{name} is followed");
        for fault in refused {
            assert_eq!(fault.kind(), "store.unavailable", "{name}: {fault:?}");
            assert!(fault.message.contains("is a link"), "{name}: {fault:?}");
        }
        if told_by_files {
            told(&mut host, &name, "link");
        } else {
            assert!(
                check(&mut host, "store")["ok"] == false
                    || check(&mut host, "files")["ok"] == false,
                "{name}"
            );
        }
        drop(host);
        assert_eq!(
            fs::metadata(&moved.1).unwrap().len(),
            before,
            "{name} was written through"
        );
        back(moved);
    }
    fs::write(elsewhere.path().join("rules"), "legacy = true\n").unwrap();
    symlink(
        elsewhere.path().join("rules"),
        home.path().join("policy.toml"),
    )
    .unwrap();
    let mut host = home.start();
    host.hello();
    let fault = host.fault("keys/list", json!({}));
    assert_eq!(fault.kind(), "policy.refused");
    assert!(fault.message.contains("is a link"), "{fault:?}");
    drop(host);
    fs::remove_file(home.path().join("policy.toml")).unwrap();
    let mut host = home.start();
    host.open(&sealed).unwrap();
    is_well(&mut host, "files");
}

/// Dated as if its writer had been killed so long ago.
fn leftover(path: &Path, age: Duration) {
    fs::write(path, b"half").unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn ten_thousand_leftovers_are_counted_and_swept() {
    const MANY: usize = 10_000;
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    let hour = Duration::from_secs(3600);
    let (secrets, state) = (home.path().join("secrets"), home.path());
    for n in 0..MANY {
        leftover(&secrets.join(format!(".sealpost-{n}")), hour);
    }
    for folder in ["pgp.cert.d", "revocations", ""] {
        leftover(&state.join(folder).join(".sealpost-old"), hour);
        // One whose writer may be at work, one of somebody else's.
        leftover(&state.join(folder).join(".sealpost-new"), Duration::ZERO);
        leftover(&state.join(folder).join(".other-old"), hour);
    }
    let told = check(&mut host, "home");
    assert_eq!(told["data"]["leftovers"], MANY + 6, "{told}");
    let began = Instant::now();
    generate(&mut host, "Bob", BOB, "compatible");
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    let told = check(&mut host, "home");
    assert_eq!(told["data"]["leftovers"], 3, "{told}");
    for folder in ["pgp.cert.d", "revocations", ""] {
        assert!(state.join(folder).join(".sealpost-new").exists());
        assert!(state.join(folder).join(".other-old").exists());
    }
}

/// What is killed in the middle of a write leaves nothing for ever.
#[test]
fn a_killed_host_leaves_nothing_for_long() {
    let home = Home::new();
    let rounds = crate::harness::amount(10, 100);
    for round in 0..rounds {
        let mut host = home.start();
        for n in 0..4 {
            host.send(
                "keys/generate",
                json!({"protocol": "openpgp", "name": "A", "address": format!("a{round}-{n}@sealpost.example"), "passphrase": "none"}),
            );
        }
        host.pump(Instant::now() + Duration::from_millis(20 + 17 * round as u64 % 150));
        host.kill();
    }
    let left = || {
        let files = home.files().into_iter();
        let is_ours = |file: &PathBuf| {
            file.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(".sealpost-")
        };
        files.filter(is_ours).collect::<Vec<_>>()
    };
    println!("doctor: {} leftovers of {rounds} kills", left().len());
    for file in left() {
        leftover(&file, Duration::from_secs(3600));
    }
    let mut host = home.start();
    generate(&mut host, "Bob", BOB, "compatible");
    // Keys that were begun, and nothing that is half.
    let told = check(&mut host, "files");
    let damaged = told["data"]["damaged"].as_array().unwrap();
    assert!(damaged.iter().all(|one| one["reason"] == "alone"), "{told}");
    drop(host);
    let still: Vec<_> = left();
    assert!(still.is_empty(), "{still:?}");
}

/// A host that may write no file beyond so many blocks of 512 bytes: what a full disk is like.
fn on_a_full_disk(home: &Home, blocks: u32) -> Host {
    home.start_in(&format!("ulimit -f {blocks}; trap '' XFSZ"))
}

#[test]
fn a_full_disk_loses_nothing_and_is_told() {
    let mut it = pair("compatible");
    let home = it.bob_home;
    let cert = export(&mut it.bob, &[&it.alice_id]);
    let protect = json!({"sign": true, "encrypt": true, "protocol": "openpgp"});
    // With everything that comes along and wants to be kept.
    let draft =
        json!({"from": ALICE, "to": [BOB, ALICE], "subject": "s", "text": {"text": "hello"}});
    let sealed = seal_one(&mut it.alice, draft, protect);
    drop(it.bob);
    let journal = fs::read(home.path().join("decisions.journal")).unwrap();
    let (mut failed, mut made) = (0, 0);
    // Another host keeps the index open: whoever comes first needs some room for it.
    let mut open = home.start();
    open.good("keys/list", json!({}));
    for blocks in [0, 1, 2, 8] {
        let mut host = on_a_full_disk(&home, blocks);
        host.hello();
        // Reading goes on.
        assert_eq!(host.open(&sealed).unwrap()["summary"]["signed"], "good");
        for (method, params) in [
            (
                "keys/generate",
                json!({"protocol": "openpgp", "name": "C", "address": "c@sealpost.example", "passphrase": "none"}),
            ),
            (
                "keys/accept",
                json!({"id": it.alice_id, "address": ALICE, "level": "rejected"}),
            ),
            ("keys/import", json!({"data": {"text": cert}})),
        ] {
            match host.call(method, params) {
                Ok(_) => made += usize::from(method == "keys/generate"),
                Err(fault) => {
                    let kind = fault.kind();
                    assert_eq!(kind, "store.unavailable", "{blocks} {method}: {fault:?}");
                    failed += 1;
                }
            }
        }
        let told = check(&mut host, "store");
        if blocks == 0 {
            assert_eq!(told["ok"], false, "{told}");
        }
        drop(host);
        let mut host = home.start();
        is_well(&mut host, "files");
        is_well(&mut host, "store");
        host.good(
            "keys/accept",
            json!({"id": it.alice_id, "address": ALICE, "level": "accepted"}),
        );
        host.open(&sealed).unwrap();
    }
    assert!(failed > 4, "the disk was never full");
    // What could not be kept has left nothing.
    let query = json!({"query": "c@sealpost.example"});
    let keys = home.start().good("keys/list", query)["keys"].clone();
    let own = keys.as_array().unwrap().iter();
    let own = own.filter(|key| key["secret"] == "unlocked");
    assert_eq!((keys.as_array().unwrap().len(), own.count()), (made, made));
    let now = fs::read(home.path().join("decisions.journal")).unwrap();
    assert!(now.starts_with(&journal), "what was decided is gone");
}

/// A folder on a file system that can't be written, if one may be made here.
#[test]
fn a_home_that_can_not_be_written_is_told() {
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    drop(host);
    let mount = |args: &[&str]| {
        let done = std::process::Command::new("mount").args(args).output();
        done.is_ok_and(|done| done.status.success())
    };
    let path = home.path();
    let place = path.to_str().unwrap();
    if !mount(&["--bind", place, place]) {
        println!("ABSENT: nothing can be mounted here; a read-only home was NOT shown");
        return;
    }
    struct Mounted<'a>(&'a str);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(self.0).output();
        }
    }
    let _mounted = Mounted(place);
    assert!(mount(&["-o", "remount,ro,bind", place]));
    let mut host = home.start();
    host.hello();
    let told = check(&mut host, "store");
    assert_eq!(told["data"]["error"], "store.unavailable", "{told}");
    assert!(
        told["fix"].as_str().unwrap().contains("can't be written"),
        "{told}"
    );
    let make = json!({"protocol": "openpgp", "name": "B", "address": BOB, "passphrase": "none"});
    assert_eq!(
        host.fault("keys/generate", make).kind(),
        "store.unavailable"
    );
    host.close();
    host.exit(Duration::from_secs(20));
}

/// A clock that begins anew each time: no battery.
#[test]
fn a_clock_in_1970_stops_nothing_and_is_told() {
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    is_well(&mut host, "clock");
    drop(host);
    let Ok(found) = std::process::Command::new("faketime")
        .arg("--version")
        .output()
    else {
        println!("ABSENT: faketime is not here; a clock in 1970 was NOT shown");
        return;
    };
    assert!(found.status.success());
    let mut host =
        home.start_in("set -- faketime -f '@1970-01-02 00:00:00' \"$0\" \"$@\"; exec \"$@\"");
    host.hello();
    let told = check(&mut host, "clock");
    assert_eq!(told["ok"], false, "{told}");
    generate(&mut host, "Bob", BOB, "compatible");
    is_well(&mut host, "files");
    is_well(&mut host, "store");
    drop(host);
    let mut host = home.start();
    let keys = host.good("keys/list", json!({}))["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    is_well(&mut host, "files");
}

/// A pipe would keep who reads it waiting, and what is no file is not no decisions.
#[test]
fn a_journal_that_is_no_file_is_refused() {
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    drop(host);
    let journal = home.path().join("decisions.journal");
    let whole = fs::read(&journal).unwrap();
    fs::remove_file(&journal).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&journal).status();
    assert!(made.unwrap().success());
    mode(&journal, 0o600);
    let mut host = home.start();
    host.hello();
    told(&mut host, "decisions.journal", "no-file");
    let make = json!({"protocol": "openpgp", "name": "B", "address": BOB, "passphrase": "none"});
    let fault = host.fault("keys/generate", make);
    assert_eq!(fault.kind(), "store.unavailable");
    assert!(fault.message.contains("is no file"), "{fault:?}");
    // Nothing of it is left behind.
    fs::remove_file(&journal).unwrap();
    fs::write(&journal, whole).unwrap();
    mode(&journal, 0o600);
    is_well(&mut host, "files");
    assert_eq!(
        host.good("keys/list", json!({}))["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// A journal without a line where there were some is the loss of them, with the index or without.
#[test]
fn an_emptied_journal_is_told_and_nothing_is_taken_back_unseen() {
    let mut it = pair("compatible");
    let home = it.bob_home;
    let say = |host: &mut Host, level: &str| {
        let said = json!({"id": it.alice_id, "address": ALICE, "level": level});
        host.call("keys/accept", said)
    };
    say(&mut it.bob, "rejected").unwrap();
    let backup = write(&mut it.bob);
    drop(it.bob);
    let journal = home.path().join("decisions.journal");
    let level = |host: &mut Host| {
        let shown = host.call("keys/show", json!({"id": it.alice_id}));
        shown.map(|shown| shown["key"]["acceptance"][ALICE].clone())
    };
    for index in [true, false] {
        for left in [Some(b"".as_slice()), Some(b"\n"), None] {
            let file = left.is_some();
            let whole = fs::read(&journal).unwrap();
            match left {
                Some(bytes) => fs::write(&journal, bytes).unwrap(),
                None => fs::remove_file(&journal).unwrap(),
            }
            if !index {
                for file in home.files() {
                    let name = file.file_name().unwrap().to_str().unwrap();
                    if name.starts_with("index-") {
                        fs::remove_file(file).unwrap();
                    }
                }
            }
            let mut host = home.start();
            host.hello();
            let reason = if file { "damaged" } else { "missing" };
            told(&mut host, "decisions.journal", reason);
            let faults = [
                level(&mut host).unwrap_err(),
                say(&mut host, "accepted").unwrap_err(),
            ];
            for fault in faults {
                assert_eq!(fault.kind(), "store.damaged", "{fault:?}");
                assert!(fault.message.contains("decisions.journal"), "{fault:?}");
            }
            drop(host);
            // As it was, or by a backup.
            match file {
                true => fs::write(&journal, whole).unwrap(),
                false => {
                    let mut host = home.start();
                    host.hello();
                    read(&mut host, &backup).unwrap();
                }
            }
            let mut host = home.start();
            assert_eq!(level(&mut host).unwrap(), "rejected");
            is_well(&mut host, "files");
        }
    }
    // Without either: the person says that it begins anew.
    fs::write(&journal, b"").unwrap();
    fs::remove_file(home.path().join("decisions.lock")).unwrap();
    let mut host = home.start();
    host.hello();
    is_well(&mut host, "files");
    say(&mut host, "accepted").unwrap();
    assert_eq!(level(&mut host).unwrap(), "accepted");
}

/// Whatever stands in the place of a file or folder of ours: the host answers, writes through no
/// link, and the doctor tells.
#[test]
fn nothing_in_the_home_keeps_the_host_waiting() {
    let base = Home::new();
    let mut host = base.start();
    host.hello();
    let id = generate(&mut host, "Alice", ALICE, "compatible");
    let make = json!({"protocol": "smime", "address": ALICE, "passphrase": "none"});
    host.good("keys/generate", make);
    let peer = Home::new();
    let mut other = peer.start();
    let bob = generate(&mut other, "Bob", BOB, "compatible");
    import(
        &mut host,
        export(&mut other, &[&bob]).as_bytes(),
        json!(true),
    );
    host.good("keys/lock", json!({}));
    host.good("keys/lock", json!({"id": id}));
    let draft = json!({"draft": letter(ALICE), "purpose": "draft",
                       "protect": {"sign": false, "encrypt": true}});
    let _ = host.call("message/seal", draft);
    drop(host);
    let mut entries: Vec<PathBuf> = base.files();
    let folders = [
        "locked",
        "log",
        "revocations",
        "secrets",
        "smime",
        "pgp.cert.d",
    ];
    entries.extend(folders.map(|folder| base.path().join(folder)));
    // SQLite takes these away in the end.
    let tails = ["index-0.db-wal", "index-0.db-shm", "index-0.db-journal"];
    entries.extend(tails.map(|tail| base.path().join(tail)));
    entries.sort();
    entries.dedup();
    let names = entries
        .iter()
        .map(|path| path.strip_prefix(base.path()).unwrap());
    for name in names {
        for kind in ["pipe", "socket", "folder", "link"] {
            let is_folder =
                !name.to_str().unwrap().contains("index") && base.path().join(name).is_dir();
            let home = Home::new();
            let copied = std::process::Command::new("cp")
                .args([
                    "-a",
                    base.path().to_str().unwrap(),
                    home.path().to_str().unwrap(),
                ])
                .status();
            assert!(copied.unwrap().success());
            let place = home.path().join(name);
            let away = home.dir.path().join("away");
            let there = fs::rename(&place, &away).is_ok();
            match kind {
                "pipe" => {
                    let made = std::process::Command::new("mkfifo").arg(&place).status();
                    assert!(made.unwrap().success());
                    mode(&place, 0o600);
                }
                "socket" => drop(std::os::unix::net::UnixListener::bind(&place).unwrap()),
                "folder" if is_folder => continue,
                "folder" => fs::create_dir(&place).unwrap(),
                _ => {
                    if !there {
                        fs::write(&away, b"").unwrap();
                    }
                    symlink(&away, &place).unwrap();
                }
            }
            let before = tree(&away);
            let mut host = home.start();
            host.patience = Duration::from_secs(40);
            host.hello();
            let checks = host.good("host/doctor", json!({}))["checks"].clone();
            for (method, params) in [
                ("keys/lock", json!({})),
                ("keys/list", json!({})),
                ("keys/show", json!({"id": bob})),
                (
                    "autocrypt/prefer",
                    json!({"from": ALICE, "prefer": "mutual"}),
                ),
            ] {
                let _ = host.call(method, params);
            }
            let well = checks.as_array().unwrap().iter();
            let mut told = well.filter(|check| check["ok"] == false && check["id"] != "pinentry");
            assert!(
                told.next().is_some(),
                "{kind} at {}: {checks}",
                name.display()
            );
            assert_eq!(tree(&away), before, "{kind} at {}", name.display());
        }
    }
}

/// The files below a path, or it itself, with what is in them.
fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![path.to_owned()];
    while let Some(path) = todo.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => todo.extend(entries.map(|entry| entry.unwrap().path())),
            Err(_) => found.push((path.clone(), fs::read(&path).unwrap_or_default())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_lock_that_can_not_be_had_is_told_in_time() {
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    let lock = fs::File::options()
        .write(true)
        .open(home.path().join("lock"))
        .unwrap();
    lock.lock().unwrap();
    let began = Instant::now();
    let told = check(&mut host, "store");
    assert_eq!(told["data"]["error"], "store.unavailable", "{told}");
    assert!(
        told["fix"].as_str().unwrap().contains("another program"),
        "{told}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    // Reading needs no lock.
    host.good("keys/list", json!({}));
    lock.unlock().unwrap();
    is_well(&mut host, "store");
    drop(host);
    fs::remove_file(home.path().join("lock")).unwrap();
    fs::create_dir(home.path().join("lock")).unwrap();
    let told = check(&mut home.start(), "store");
    assert_eq!(told["data"]["error"], "store.unavailable", "{told}");
}
