//! Keys of the store in the dialect: listed, brought, given, deleted, made.

use serde_json::{Value, json};

use super::{Talk, by_fingerprint, fault, keys};
use crate::harness::{Home, Pinentry, decode, encode, export, generate, import};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys");

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{KEYS}/{name}")).unwrap()
}

fn list(talk: &mut Talk, more: Value) -> Vec<Value> {
    let mut request = json!({"op": "keylist"});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    keys(&talk.ask(request))
}

/// The validity of a key's only name.
fn validity(key: &Value) -> &str {
    key["userids"][0]["validity"].as_str().unwrap()
}

fn fingerprint(id: &str) -> &str {
    id.split_once(':').unwrap().1
}

#[test]
fn an_own_key_is_told_as_gpgme_tells_one() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Alice", "alice@a.example", "compatible");
    host.close();
    let mut talk = Talk::new(&home);
    let all = list(&mut talk, json!({}));
    let key = by_fingerprint(&all, fingerprint(&id));
    for (name, value) in [
        ("revoked", json!(false)),
        ("expired", json!(false)),
        ("disabled", json!(false)),
        ("invalid", json!(false)),
        ("can_encrypt", json!(true)),
        ("can_sign", json!(true)),
        ("can_certify", json!(true)),
        ("secret", json!(false)),
        ("is_qualified", json!(false)),
        ("protocol", json!("OpenPGP")),
        ("owner_trust", json!("ultimate")),
        ("origin", json!(0)),
        ("last_update", json!(0)),
    ] {
        assert_eq!(key[name], value, "{name}");
    }
    let name = json!({
        "revoked": false, "invalid": false, "validity": "ultimate",
        "uid": "Alice <alice@a.example>", "name": "Alice", "email": "alice@a.example",
        "comment": "", "address": "alice@a.example", "origin": 0, "last_update": 0,
    });
    assert_eq!(key["userids"], json!([name]));
    let subkeys = key["subkeys"].as_array().unwrap();
    let first = &subkeys[0];
    assert_eq!(first["pubkey_algo_name"], "EdDSA");
    assert_eq!(first["pubkey_algo_string"], "ed25519");
    assert_eq!(first["curve"], "ed25519");
    assert_eq!(
        (&first["pubkey_algo"], &first["length"]),
        (&json!(303), &json!(255))
    );
    assert_eq!(first["keyid"].as_str().unwrap(), &fingerprint(&id)[24..]);
    let encrypts = subkeys
        .iter()
        .find(|key| key["can_encrypt"] == true)
        .unwrap();
    assert_eq!(encrypts["pubkey_algo_name"], "ECDH");
    assert_eq!(encrypts["pubkey_algo_string"], "cv25519");
    assert_eq!(encrypts["pubkey_algo"], 302);
    // Secret halves are told to whoever asks.
    let own = list(&mut talk, json!({"secret": true}));
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["secret"], true);
    assert!(
        own[0]["subkeys"]
            .as_array()
            .unwrap()
            .iter()
            .all(|key| key["secret"] == true)
    );
    assert_eq!(
        list(&mut talk, json!({"with-secret": true}))[0]["secret"],
        true
    );
    assert_eq!(talk.end(), 0);
}

#[test]
fn every_pattern_finds_what_it_names() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    import(&mut host, file("alice.asc").as_bytes(), json!(false));
    import(&mut host, file("bob.asc").as_bytes(), json!(false));
    host.close();
    let mut talk = Talk::new(&home);
    let all = list(&mut talk, json!({}));
    assert_eq!(all.len(), 2);
    let bob = all
        .iter()
        .find(|key| {
            key["userids"][0]["email"]
                .as_str()
                .unwrap()
                .starts_with("bob")
        })
        .unwrap();
    let email = bob["userids"][0]["email"].as_str().unwrap();
    let fingerprint = bob["fingerprint"].as_str().unwrap();
    let subkey = bob["subkeys"][1]["keyid"].as_str().unwrap();
    for pattern in [
        fingerprint.to_owned(),
        fingerprint.to_lowercase(),
        format!("0x{fingerprint}"),
        fingerprint[24..].to_owned(),
        fingerprint[32..].to_owned(),
        format!("{subkey}!"),
        format!("<{}>", email.to_uppercase()),
        email[..5].to_uppercase(),
        format!("={}", bob["userids"][0]["uid"].as_str().unwrap()),
        format!("*{}", &email[1..]),
    ] {
        let found = list(&mut talk, json!({"keys": pattern}));
        assert_eq!(found.as_slice(), std::slice::from_ref(bob), "{pattern}");
    }
    let host_part = email.split_once('@').unwrap().1;
    assert!(list(&mut talk, json!({"keys": [format!("@{host_part}")]})).contains(bob));
    for nobody in [
        "nobody@nowhere.example",
        "<bob>",
        "=bob",
        "0x0000000000000000",
    ] {
        assert!(
            list(&mut talk, json!({"keys": [nobody]})).is_empty(),
            "{nobody}"
        );
    }
    let both = list(&mut talk, json!({"keys": ["alice", "bob", fingerprint]}));
    assert_eq!(both.len(), 2);
    // Nobody is looked for elsewhere where policy does not let us.
    let home = Home::new().policy("discovery = \"never\"");
    let request = json!({"keys": ["x@a.example"], "locate": true, "extern": true});
    assert!(list(&mut Talk::new(&home), request).is_empty());
}

#[test]
fn what_the_person_said_is_how_sure_a_name_is() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id =
        import(&mut host, file("alice.asc").as_bytes(), json!(false))["imported"][0]["id"].clone();
    let mut talk = Talk::new(&home);
    let address = list(&mut talk, json!({}))[0]["userids"][0]["address"].clone();
    assert_eq!(validity(&list(&mut talk, json!({}))[0]), "unknown");
    for (level, validity_of_it) in [
        ("accepted", "marginal"),
        ("verified", "full"),
        ("rejected", "never"),
        ("undecided", "unknown"),
    ] {
        host.good(
            "keys/accept",
            json!({"id": id, "address": address, "level": level}),
        );
        assert_eq!(
            validity(&list(&mut talk, json!({}))[0]),
            validity_of_it,
            "{level}"
        );
    }
}

#[test]
fn imports_are_counted() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let bring = |talk: &mut Talk, data: &str| {
        let answer = talk.ask(json!({"op": "import", "data": data}));
        answer["result"].clone()
    };
    let none = bring(&mut talk, "hello");
    let mut counted = none.as_object().unwrap().clone();
    assert!(counted.remove("imports").is_none() && counted.len() == 15);
    assert!(counted.values().all(|count| count == 0), "{none}");
    let both = format!("{}{}", file("alice.asc"), file("bob.asc"));
    let first = bring(&mut talk, &both);
    assert_eq!(
        (&first["considered"], &first["imported"]),
        (&json!(2), &json!(2))
    );
    let imports = first["imports"].as_array().unwrap();
    assert_eq!(imports.len(), 2);
    for one in imports {
        let fields: Vec<_> = one.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["error_string", "fingerprint", "status"]);
        assert_eq!(
            (&one["error_string"], &one["status"]),
            (&json!("Success"), &json!(1))
        );
    }
    let again = bring(&mut talk, &both);
    assert_eq!(
        (&again["considered"], &again["unchanged"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (&again["imported"], &again["imports"][0]["status"]),
        (&json!(0), &json!(0))
    );
    // A secret key comes along with its public half.
    let secret = file("bob.secret.asc");
    let brought =
        talk.ask(json!({"op": "import", "data": encode(secret.as_bytes()), "base64": true}));
    let result = &brought["result"];
    assert_eq!(
        (&result["secret_read"], &result["secret_imported"]),
        (&json!(1), &json!(1))
    );
    let status: Vec<_> = result["imports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].clone())
        .collect();
    assert_eq!(status, [json!(0), json!(17)]);
    let twice = bring(&mut talk, &secret);
    assert_eq!(
        (&twice["secret_imported"], &twice["secret_unchanged"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(list(&mut talk, json!({"secret": true})).len(), 1);
    // Everything in pieces of a size that clients use.
    let whole = talk.ask(json!({"op": "keylist"}));
    assert_eq!(talk.in_pieces(json!({"op": "keylist"}), 1_047_552), whole);
    assert_eq!(talk.in_pieces(json!({"op": "keylist"}), 50), whole);
}

#[test]
fn keys_are_exported_and_never_secret_ones() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Alice", "alice@a.example", "compatible");
    let armored = export(&mut host, &[&id]);
    import(&mut host, file("bob.asc").as_bytes(), json!(false));
    host.close();
    let mut talk = Talk::new(&home);
    let all = talk.ask(json!({"op": "export", "armor": true, "with-sec-fprs": true}));
    assert_eq!(
        (&all["type"], &all["base64"]),
        (&json!("keys"), &json!(false))
    );
    assert_eq!(all["sec-fprs"], json!([fingerprint(&id)]));
    let text = all["data"].as_str().unwrap();
    assert!(
        text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"),
        "{text}"
    );
    for minimal in [false, true] {
        let one = talk.ask(json!({"op": "export", "keys": fingerprint(&id), "minimal": minimal}));
        assert_eq!(one["base64"], true);
        assert!(one.get("sec-fprs").is_none());
        let other = Home::new();
        let mut reader = Talk::new(&other);
        let data = one["data"].clone();
        let result = reader.ask(json!({"op": "import", "data": data, "base64": true}));
        assert_eq!(
            result["result"]["imports"][0]["fingerprint"],
            fingerprint(&id)
        );
    }
    // Both at once can be read again, and nothing secret is among them.
    let other = Home::new();
    let mut reader = Talk::new(&other);
    let result = reader.ask(json!({"op": "import", "data": text}));
    assert_eq!(result["result"]["imported"], 2);
    assert_eq!(result["result"]["secret_read"], 0);
    assert!(armored.contains("PUBLIC KEY"));
    let nobody =
        talk.ask(json!({"op": "export", "armor": true, "keys": "nobody", "with-sec-fprs": true}));
    assert_eq!(
        nobody,
        json!({"type": "keys", "base64": false, "data": "", "sec-fprs": []})
    );
    for op in ["export", "delete"] {
        let secret = talk.ask(json!({"op": op, "secret": true, "key": "alice@a.example"}));
        assert_eq!(
            secret,
            fault("Operation failed: Forbidden", 117_440_763, op)
        );
    }
}

#[test]
fn a_key_of_somebody_else_can_be_deleted() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Alice", "alice@a.example", "compatible");
    import(&mut host, file("bob.asc").as_bytes(), json!(false));
    host.close();
    let mut talk = Talk::new(&home);
    let all = list(&mut talk, json!({}));
    let bob = all
        .iter()
        .find(|key| key["fingerprint"] != fingerprint(&id))
        .unwrap();
    let mut delete = |key: &str| talk.ask(json!({"op": "delete", "key": key}));
    let fetching = |what: &str, code| {
        fault(
            &format!("Error fetching key for delete: {what}"),
            code,
            "delete",
        )
    };
    assert_eq!(delete("nobody"), fetching("Invalid value", 117_440_567));
    assert_eq!(
        delete("0000000000000000"),
        fetching("End of file", 117_456_895)
    );
    assert_eq!(
        delete("@example           "),
        fetching("Ambiguous name", 117_440_619)
    );
    assert_eq!(
        delete(fingerprint(&id)),
        fault("Error deleting key: Conflicting use", 117_440_582, "delete")
    );
    assert_eq!(
        delete(bob["fingerprint"].as_str().unwrap()),
        json!({"success": true})
    );
    let missing = talk.ask(json!({"op": "delete"}));
    assert_eq!(
        missing,
        fault("Operation failed: No key", 117_440_733, "delete")
    );
    assert_eq!(list(&mut talk, json!({})).len(), 1);
}

#[test]
fn a_person_who_says_no_has_the_last_word() {
    let pinentry = Pinentry::new(&["%cancel"]);
    let home = Home::new().pinentry(&pinentry).confirm(None);
    let mut talk = Talk::new(&home);
    let cancelled = 117_440_512 + 99;
    let brought = talk.ask(json!({"op": "import", "data": file("bob.asc")}));
    let key = brought["result"]["imports"][0]["fingerprint"]
        .as_str()
        .unwrap();
    let kept = talk.ask(json!({"op": "delete", "key": key}));
    assert_eq!(
        kept,
        fault(
            "Error deleting key: Operation cancelled",
            cancelled,
            "delete"
        )
    );
    let refused = talk.ask(json!({"op": "createkey", "userid": "A <a@a.example>"}));
    assert_eq!(
        refused,
        fault(
            "Operation failed: Operation cancelled",
            cancelled,
            "createkey"
        )
    );
    assert_eq!(list(&mut talk, json!({})).len(), 1);
    assert_eq!(pinentry.count("confirm"), 1);
}

#[test]
fn a_key_is_made_under_a_passphrase_that_a_dialog_asks_for() {
    let pinentry = Pinentry::new(&["over the hedge"]);
    let home = Home::new().pinentry(&pinentry);
    let mut talk = Talk::new(&home);
    let made = talk
        .ask(json!({"op": "createkey", "userid": "Carol (work) <carol@a.example>", "expires": 0}));
    let fingerprint = made["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(made.as_object().unwrap().len(), 1);
    let all = list(&mut talk, json!({"secret": true}));
    let key = by_fingerprint(&all, &fingerprint);
    assert_eq!(key["userids"][0]["uid"], "Carol (work) <carol@a.example>");
    assert_eq!(key["userids"][0]["comment"], "work");
    assert_eq!(key["subkeys"][0]["expires"], 0);
    let dated = talk.ask(
        json!({"op": "createkey", "userid": "dora@a.example", "algo": "ed25519", "expires": 86400}),
    );
    let all = list(&mut talk, json!({"keys": dated["fingerprint"]}));
    let subkey = &all[0]["subkeys"][0];
    let life = subkey["expires"].as_u64().unwrap() - subkey["timestamp"].as_u64().unwrap();
    assert!((86_395..=86_405).contains(&life), "{life}");
    let usual =
        talk.ask(json!({"op": "createkey", "userid": "<eve@a.example>", "algo": "default"}));
    assert!(usual["fingerprint"].is_string(), "{usual}");
    let count = pinentry.count("getpin");
    for (userid, algo, code) in [
        ("A <a@a.example>", "rsa3072", 117_440_513),
        ("A <a@a.example>", "foo", 117_440_513),
        ("no address", "default", 117_440_567),
    ] {
        let answer = talk.ask(json!({"op": "createkey", "userid": userid, "algo": algo}));
        assert_eq!(answer["code"], code, "{answer}");
    }
    assert_eq!(pinentry.count("getpin"), count);
}

#[test]
fn certificates_of_smime_are_keys_of_cms() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let pem = file("smime-alice.pem");
    let cms = json!({"op": "import", "protocol": "cms", "data": pem});
    let first = talk.ask(cms.clone());
    // Its SHA-1, as gpgsm counts.
    let fingerprint = "2B88E2051739F387773E39229440E659B919A1D0";
    assert_eq!(first["result"]["imported"], 1);
    assert_eq!(first["result"]["imports"][0]["fingerprint"], fingerprint);
    assert_eq!(talk.ask(cms)["result"]["unchanged"], 1);
    let none = talk.ask(json!({"op": "import", "protocol": "cms", "data": "hello"}));
    assert_eq!(none["msg"], "Import failed: End of file");
    assert!(list(&mut talk, json!({})).is_empty());
    let all = list(&mut talk, json!({"protocol": "cms"}));
    let key = by_fingerprint(&all, fingerprint);
    for (name, value) in [
        ("protocol", json!("CMS")),
        (
            "issuer_serial",
            json!("5E26FE62582468030B574C00C3DE30EA6036C46A"),
        ),
        ("issuer_name", json!("CN=Alice")),
        ("chain_id", json!(fingerprint)),
        ("can_encrypt", json!(true)),
        ("can_sign", json!(true)),
        ("can_certify", json!(false)),
    ] {
        assert_eq!(key[name], value, "{name}");
    }
    let subkey = &key["subkeys"][0];
    assert_eq!(
        (&subkey["pubkey_algo_string"], &subkey["keyid"]),
        (&json!("rsa2048"), &json!("9440E659B919A1D0"))
    );
    assert_eq!(
        (&subkey["timestamp"], &subkey["expires"]),
        (&json!(1_767_225_600), &json!(2_524_521_600_u64))
    );
    let names: Vec<_> = key["userids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name["uid"].clone())
        .collect();
    assert_eq!(names, ["CN=Alice", "<alice@vectors.example>"]);
    assert_eq!(key["userids"][1]["address"], "alice@vectors.example");
    let pattern = json!({"protocol": "cms", "keys": ["#5E26FE62582468030B574C00C3DE30EA6036C46A"]});
    assert_eq!(list(&mut talk, pattern).len(), 1);
    let armored = talk.ask(json!({"op": "export", "protocol": "cms", "armor": true}));
    assert!(
        armored["data"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    let der = talk.ask(json!({"op": "export", "protocol": "cms", "keys": fingerprint}));
    assert_eq!(decode(der["data"].as_str().unwrap())[0], 0x30);
}

#[test]
fn without_gnupg_there_is_nothing_to_configure() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let option = |component: &str, option: &str| json!({"op": "config_opt", "component": component, "option": option});
    let known = talk.ask(option("gpg", "default-key"));
    assert_eq!(known["option"]["name"], "default-key");
    assert!(known["option"].get("value").is_none());
    assert_eq!(talk.ask(option("gpg", "nothing")), json!({}));
    assert_eq!(talk.ask(option("gpgsm", "default-key")), json!({}));
    assert_eq!(
        talk.ask(json!({"op": "config"}))["components"][0]["name"],
        "gpg"
    );
    assert_eq!(
        talk.ask(json!({"op": "config", "component": "dirmngr"})),
        json!({"components": []})
    );
}

/// More keys than are described anew each time.
#[test]
fn descriptions_that_are_kept_are_the_same_and_go_with_what_they_describe() {
    let theirs = Home::new();
    let mut host = theirs.start();
    host.hello();
    let count = 25;
    let ids: Vec<String> = (0..count)
        .map(|n| {
            generate(
                &mut host,
                &format!("N: \\ {n}"),
                &format!("n{n}@a.example"),
                "compatible",
            )
        })
        .collect();
    let mut writer = Talk::new(&theirs);
    let all = writer.ask(json!({"op": "export", "armor": true}))["data"].clone();
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let brought = talk.ask(json!({"op": "import", "data": all}));
    assert_eq!(brought["result"]["imported"], count);
    let first = list(&mut talk, json!({}));
    assert!(home.path().join("descriptions").exists());
    assert_eq!(list(&mut talk, json!({})), first);
    assert_eq!(first.len(), count);
    // Alone, each is described anew.
    for key in first.iter().take(3) {
        let one = list(&mut talk, json!({"keys": key["fingerprint"]}));
        assert_eq!(one.as_slice(), std::slice::from_ref(key));
    }
    // One that has changed is another.
    host.good("keys/revoke", json!({"id": ids[0]}));
    let newer = writer.ask(json!({"op": "export", "armor": true, "keys": fingerprint(&ids[0])}));
    let brought = talk.ask(json!({"op": "import", "data": newer["data"]}));
    assert_eq!(brought["result"]["new_revocations"], 1, "{brought}");
    let after = list(&mut talk, json!({}));
    assert_eq!(
        by_fingerprint(&after, fingerprint(&ids[0]))["revoked"],
        true
    );
    assert_eq!(after.iter().filter(|key| key["revoked"] == true).count(), 1);
    // What is broken is made again.
    std::fs::write(home.path().join("descriptions"), "nonsense").unwrap();
    assert_eq!(list(&mut talk, json!({})), after);
}
