//! A folder of state in which others could write, file by file: nothing that they may have
//! written is believed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import};

const ME: &str = "me@sealpost.example";
const BOB: &str = "bob@sealpost.example";

/// Somebody else.
const STRANGER: u32 = 65_534;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn permissions(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// False where this user may not give files away.
fn give_away(path: &Path) -> bool {
    let given = std::os::unix::fs::chown(path, Some(STRANGER), Some(STRANGER)).is_ok();
    if !given {
        println!("ABSENT: not root; files of other users were NOT shown");
    }
    given
}

fn check(host: &mut Host, id: &str) -> Value {
    let checks = host.good("host/doctor", json!({}))["checks"].clone();
    let found = checks.as_array().unwrap().iter().find(|c| c["id"] == id);
    found.unwrap().clone()
}

/// A key that was rejected for Bob, its id, and the store.
fn rejected() -> (Home, String) {
    let elsewhere = Home::new();
    let mut other = elsewhere.start();
    let id = generate(&mut other, "Mallory", BOB, "compatible");
    let cert = export(&mut other, &[&id]);
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Me", ME, "compatible");
    import(&mut host, cert.as_bytes(), Value::Null);
    host.good(
        "keys/accept",
        json!({"id": id, "address": BOB, "level": "rejected"}),
    );
    host.close();
    (home, id)
}

/// Writes into the index that Bob's key is verified.
fn forge(home: &Home) {
    let path = home.path().join("index-0.db");
    let forged = rusqlite::Connection::open(&path).unwrap();
    let changed = forged.execute("UPDATE acceptance SET level = 3 WHERE level = 0", ());
    assert_eq!(changed.unwrap(), 1);
    drop(forged);
}

#[track_caller]
fn is_rejected(host: &mut Host, id: &str) {
    let key = host.good("keys/show", json!({"id": id}))["key"].clone();
    assert_eq!(key["acceptance"][BOB], "rejected", "{key}");
}

#[test]
fn an_index_that_others_could_write_is_made_again() {
    for tail in ["", "-wal", "-shm", "-journal"] {
        for gives in [true, false] {
            let (home, id) = rejected();
            forge(&home);
            let file = format!("index-0.db{tail}");
            let path = home.path().join(&file);
            if !path.exists() {
                fs::write(&path, b"").unwrap();
                mode(&path, 0o600);
            }
            match gives {
                true if !give_away(&path) => continue,
                true => {}
                false => mode(&path, 0o666),
            }
            let mut host = home.start();
            is_rejected(&mut host, &id);
            let told = check(&mut host, "files");
            let reason = if gives { "foreign" } else { "open" };
            assert_eq!(
                told["data"]["damaged"],
                json!([{"file": file, "reason": reason}]),
                "{told}"
            );
            // What is decided from now on stands in the new one.
            host.good(
                "keys/accept",
                json!({"id": id, "address": BOB, "level": "accepted"}),
            );
            host.close();
            let mut host = home.start();
            let key = host.good("keys/show", json!({"id": id}))["key"].clone();
            assert_eq!(key["acceptance"][BOB], "accepted");
        }
    }
}

/// Both what is next and what SQLite would read beside it.
#[test]
fn an_index_that_others_laid_there_is_not_taken_for_the_next() {
    let (home, id) = rejected();
    forge(&home);
    let next = home.path().join("index-1.db");
    let forged = fs::read(home.path().join("index-0.db")).unwrap();
    fs::write(&next, &forged).unwrap();
    if !give_away(&next) {
        return;
    }
    let mut host = home.start();
    is_rejected(&mut host, &id);
    host.close();
    // It finds nothing of a stranger's beside the next one either.
    let beside = home.path().join("index-3.db-wal");
    fs::write(&beside, &forged).unwrap();
    assert!(give_away(&beside));
    mode(&home.path().join("index-2.db"), 0o666);
    let mut host = home.start();
    is_rejected(&mut host, &id);
    host.close();
    for file in home.files() {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.starts_with("index-3") {
            let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&file).unwrap());
            assert_ne!(owner, STRANGER, "{name}");
        }
    }
}

#[test]
fn folders_that_are_open_to_others_are_closed_and_told() {
    let (home, _) = rejected();
    mode(&home.path(), 0o755);
    for (folder, open) in [
        ("secrets", 0o777),
        ("pgp.cert.d", 0o1777),
        ("revocations", 0o702),
        ("secrets", 0o757),
    ] {
        let folder = home.path().join(folder);
        mode(&folder, open);
        let mut host = home.start();
        host.hello();
        host.good("keys/list", json!({}));
        let told = check(&mut host, "home");
        assert_eq!(told["ok"], false, "{told}");
        assert_eq!(told["data"]["wasOpen"], true, "{told}");
        assert_eq!(permissions(&folder), open & !0o022);
        host.close();
    }
    let mut host = home.start();
    assert_eq!(check(&mut host, "home")["ok"], true);
    host.close();
    // Whoever owns a folder can open it again.
    let secrets = home.path().join("secrets");
    if give_away(&secrets) {
        let mut host = home.start();
        host.hello();
        let fault = host.fault("keys/list", json!({}));
        assert_eq!(fault.kind(), "store.unavailable");
        assert!(fault.message.contains("another user"), "{fault:?}");
    }
}

#[test]
fn files_that_others_can_change_are_not_read() {
    let (home, id) = rejected();
    let policy = home.path().join("policy.toml");
    fs::write(&policy, "unlock-seconds = 60\n").unwrap();
    mode(&policy, 0o666);
    let mut host = home.start();
    host.hello();
    let fault = host.fault("keys/list", json!({}));
    assert_eq!(fault.kind(), "policy.refused");
    assert!(fault.message.contains("chmod go-w"), "{fault:?}");
    assert_eq!(check(&mut host, "policy")["ok"], false);
    host.close();
    // To be read is another matter.
    mode(&policy, 0o644);
    let mut host = home.start();
    is_rejected(&mut host, &id);
    host.close();
    let journal = home.path().join("decisions.journal");
    mode(&journal, 0o602);
    let mut host = home.start();
    host.hello();
    for (method, params) in [
        ("keys/list", json!({})),
        ("autocrypt/peer", json!({"address": BOB})),
    ] {
        let fault = host.fault(method, params);
        assert_eq!(fault.kind(), "store.unavailable", "{method}");
        assert!(fault.message.contains("chmod go-w"), "{fault:?}");
    }
    assert_eq!(check(&mut host, "store")["ok"], false);
    let told = check(&mut host, "files");
    let open = json!([{"file": "decisions.journal", "reason": "open"}]);
    assert_eq!(told["data"]["damaged"], open, "{told}");
    mode(&journal, 0o600);
    is_rejected(&mut host, &id);
    host.close();
    let secret = fs::read_dir(home.path().join("secrets")).unwrap();
    let secret = secret.map(|entry| entry.unwrap().path()).next().unwrap();
    mode(&secret, 0o602);
    let mut host = home.start();
    let told = check(&mut host, "files");
    assert_eq!(told["data"]["damaged"][0]["reason"], "open", "{told}");
    let fault = host.fault("text/sign", json!({"text": {"text": "x"}, "from": ME}));
    assert_eq!(fault.kind(), "store.unavailable", "{fault:?}");
}

/// What lies in a key's place is looked at as far as it shows.
#[test]
fn a_secret_half_in_anothers_place_is_told() {
    let home = Home::new();
    let mut host = home.start();
    let ids = [ME, BOB].map(|address| generate(&mut host, "N", address, "compatible"));
    host.close();
    let files = ids.map(|id| {
        home.path()
            .join(format!("secrets/{}", id.replace(':', "-")))
    });
    let [one, two] = files.clone().map(|file| fs::read(file).unwrap());
    fs::write(&files[0], two).unwrap();
    fs::write(&files[1], one).unwrap();
    let mut host = home.start();
    let told = check(&mut host, "files");
    let damaged = told["data"]["damaged"].as_array().unwrap();
    assert_eq!(damaged.len(), 2, "{told}");
    for file in files {
        let name = file.strip_prefix(home.path()).unwrap().to_str().unwrap();
        assert!(
            damaged.contains(&json!({"file": name, "reason": "damaged"})),
            "{told}"
        );
    }
}
