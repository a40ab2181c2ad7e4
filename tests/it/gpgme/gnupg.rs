//! GnuPG's keyring in the dialect: all of it, and the programs are called only when it has changed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Talk, by_fingerprint, fault, keys};
use crate::harness::{Home, decode, generate};
use crate::peer::Gpg;

/// A home whose processes find this GnuPG.
fn beside(gpg: &Gpg) -> Home {
    Home::new().env("GNUPGHOME", gpg.home().to_str().unwrap())
}

fn list(talk: &mut Talk) -> Vec<Value> {
    keys(&talk.ask(json!({"op": "keylist"})))
}

#[test]
fn gnupgs_keyring_is_listed_as_gnupg_tells_it() {
    let Some(gpg) = Gpg::new() else { return };
    let conf = gpg.home().join("gpg.conf");
    std::fs::write(&conf, "utf8-strings\n").unwrap();
    let alice = gpg.key(
        "Alice M\u{fc}ller (c) <alice@gpg.example>",
        "ed25519",
        "cv25519",
        &[],
    );
    let old = gpg.key("old@gpg.example", "dsa1024", "elg1024", &[]);
    let over = gpg.key(
        "Over <over@gpg.example>",
        "rsa2048",
        "rsa2048",
        &["--faked-system-time", "20200101T000000", "--expired"],
    );
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let all = list(&mut talk);
    assert_eq!(all.len(), 3);
    let key = by_fingerprint(&all, &alice);
    assert_eq!(key["owner_trust"], "ultimate");
    assert_eq!(key["userids"][0]["validity"], "ultimate");
    assert_eq!(
        key["userids"][0]["uid"],
        "Alice M\u{fc}ller (c) <alice@gpg.example>"
    );
    assert_eq!(key["userids"][0]["name"], "Alice M\u{fc}ller");
    assert_eq!(key["subkeys"][1]["pubkey_algo_string"], "cv25519");
    // Keys of old days are listed.
    let key = by_fingerprint(&all, &old);
    assert_eq!(key["subkeys"][0]["pubkey_algo_string"], "dsa1024");
    assert_eq!(key["subkeys"][1]["pubkey_algo_name"], "ELG-E");
    let key = by_fingerprint(&all, &over);
    assert_eq!(
        (&key["expired"], &key["can_encrypt"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(key["userids"][0]["validity"], "unknown");
    let own = keys(&talk.ask(json!({"op": "keylist", "secret": true})));
    assert_eq!(own.len(), 3);
    assert_eq!(own[0]["subkeys"][0]["keygrip"].as_str().unwrap().len(), 40);
    // What is exported is what gpg exports.
    let exported = talk.ask(json!({"op": "export", "keys": [alice], "with-sec-fprs": true}));
    assert_eq!(exported["sec-fprs"], json!([alice]));
    let gpgs = gpg.go(&["--export", &alice], b"");
    assert_eq!(decode(exported["data"].as_str().unwrap()), gpgs);
    // And gpg's conf is read where it lies.
    let mine = "# mine\nutf8-strings\ndefault-key  \"alice@gpg.example\"\n";
    std::fs::write(&conf, mine).unwrap();
    let option = talk.ask(json!({"op": "config_opt", "component": "gpg", "option": "default-key"}));
    let value = json!([{"string": "alice@gpg.example", "is_none": false}]);
    assert_eq!(option["option"]["value"], value);
    let rest = json!({"op": "config_opt", "component": "gpg", "option": "encrypt-to"});
    assert_eq!(talk.ask(rest), json!({}));
}

#[test]
fn a_change_in_the_keyring_is_seen_and_nothing_else_starts_a_program() {
    let Some(gpg) = Gpg::new() else { return };
    let one = gpg.key("one@gpg.example", "ed25519", "cv25519", &[]);
    let home = beside(&gpg);
    assert_eq!(list(&mut Talk::new(&home)).len(), 1);
    Talk::new(&home).ask(json!({"op": "export"}));
    // With nothing to be found in the path, what is kept has to do.
    let blind = beside(&gpg).env("PATH", "/nonexistent");
    std::fs::rename(home.path(), blind.path()).unwrap();
    let mut talk = Talk::new(&blind);
    assert_eq!(list(&mut talk).len(), 1);
    let exported = talk.ask(json!({"op": "export", "keys": "one@gpg.example"}));
    assert!(decode(exported["data"].as_str().unwrap()).len() > 100);
    let rest = json!({"op": "export", "keys": [one], "armor": true});
    assert!(
        talk.ask(rest)["data"]
            .as_str()
            .unwrap()
            .contains("BEGIN PGP PUBLIC")
    );
    std::fs::rename(blind.path(), home.path()).unwrap();
    let two = gpg.key("two@gpg.example", "ed25519", "cv25519", &[]);
    let all = list(&mut Talk::new(&home));
    let found: BTreeSet<_> = all
        .iter()
        .map(|key| key["fingerprint"].as_str().unwrap())
        .collect();
    assert_eq!(found, BTreeSet::from([one.as_str(), two.as_str()]));
    // What somebody said of it is seen, too.
    gpg.go(&["--import-ownertrust"], format!("{two}:4:\n").as_bytes());
    let all = list(&mut Talk::new(&home));
    assert_eq!(by_fingerprint(&all, &two)["owner_trust"], "marginal");
}

#[test]
fn a_key_in_both_places_is_one_key() {
    let Some(gpg) = Gpg::new() else { return };
    let bob = gpg.key("bob@gpg.example", "ed25519", "cv25519", &[]);
    let before = gpg.public(&bob);
    let theirs = Gpg::new().unwrap();
    theirs.go(&["--import"], &before);
    let home = beside(&theirs);
    let mut talk = Talk::new(&home);
    assert_eq!(list(&mut talk)[0]["userids"][0]["validity"], "unknown");
    // The store gets to know a newer one.
    gpg.go(&["--quick-add-uid", &bob, "Bobby <bobby@gpg.example>"], b"");
    let newer = String::from_utf8(gpg.public(&bob)).unwrap();
    let brought = talk.ask(json!({"op": "import", "data": newer}));
    let result = &brought["result"];
    assert_eq!(
        (&result["imported"], &result["new_user_ids"]),
        (&json!(0), &json!(1)),
        "{brought}"
    );
    assert_eq!(result["imports"][0]["status"], 6);
    let all = list(&mut talk);
    assert_eq!(all.len(), 1);
    let names: BTreeSet<_> = all[0]["userids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name["email"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from(["bob@gpg.example", "bobby@gpg.example"])
    );
    let exported = talk.ask(json!({"op": "export", "armor": true}));
    let third = Gpg::new().unwrap();
    third.go(&["--import"], exported["data"].as_str().unwrap().as_bytes());
    assert!(
        third
            .text(&["--list-keys"], b"")
            .contains("bobby@gpg.example")
    );
    // What the person says here counts before what GnuPG says.
    let mut host = home.start();
    host.hello();
    let id = format!("openpgp:{bob}");
    host.good(
        "keys/accept",
        json!({"id": id, "address": "bob@gpg.example", "level": "rejected"}),
    );
    let all = list(&mut talk);
    let name = all[0]["userids"]
        .as_array()
        .unwrap()
        .iter()
        .find(|name| name["email"] == "bob@gpg.example")
        .unwrap();
    assert_eq!(name["validity"], "never");
    // Only GnuPG changes its keyring.
    let answer = talk.ask(json!({"op": "delete", "key": bob}));
    let text = "Error deleting key: Forbidden: this key is in GnuPG's keyring; delete it with gpg";
    assert_eq!(answer, fault(text, 117_440_763, "delete"));
    assert!(
        theirs
            .text(&["--list-keys"], b"")
            .contains("bob@gpg.example")
    );
}

#[test]
fn gnupg_that_does_not_work_leaves_the_stores_keys() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("one@gpg.example", "ed25519", "cv25519", &[]);
    for broken in ["/nonexistent", "policy"] {
        let home = match broken {
            "policy" => beside(&gpg).policy("gnupg = false"),
            path => beside(&gpg).env("PATH", path),
        };
        let mut host = home.start();
        host.hello();
        let id = generate(&mut host, "Alice", "alice@a.example", "compatible");
        host.close();
        let mut talk = Talk::new(&home);
        let all = list(&mut talk);
        assert_eq!(all.len(), 1, "{broken}");
        assert_eq!(
            format!("openpgp:{}", all[0]["fingerprint"].as_str().unwrap()),
            id
        );
        let exported = talk.ask(json!({"op": "export", "armor": true}));
        assert_eq!(exported["type"], "keys");
    }
}

/// What only came along in mail is not offered to clients that encrypt to whatever they are given.
#[test]
fn strangers_keys_are_not_offered() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let other = Home::new();
    let mut writer = other.start();
    writer.hello();
    let from = "writer@a.example";
    generate(&mut writer, "Writer", from, "compatible");
    let header = writer.good("autocrypt/header", json!({"from": from}));
    let value = header["header"]
        .as_str()
        .expect("a header field")
        .to_owned();
    let message = format!(
        "From: {from}\r\nTo: me@a.example\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nSubject: x\r\nAutocrypt: {value}\r\n\r\nhello\r\n"
    );
    host.open(message.as_bytes()).unwrap();
    let known = host.good("keys/list", json!({}));
    assert_eq!(known["keys"].as_array().unwrap().len(), 1, "{known}");
    let mut talk = Talk::new(&home);
    assert!(list(&mut talk).is_empty());
    let id = known["keys"][0]["id"].clone();
    host.good(
        "keys/accept",
        json!({"id": id, "address": from, "level": "accepted"}),
    );
    assert_eq!(list(&mut talk)[0]["userids"][0]["validity"], "marginal");
}
