//! What a key consists of, later: addresses and subkeys; and that nothing that is imported takes
//! the place of a secret half that works.

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import, seal_one};
use crate::life::{answered, asking, home};
use crate::peer::Gpg;

const OLD: &str = "old@parts.example";
const NEW: &str = "new@parts.example";

/// The later of two words of one key counts, to the second.
fn a_second() {
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

fn letter(host: &mut Host, from: &str, to: &str) -> Vec<u8> {
    seal_one(
        host,
        json!({"from": from, "to": [to], "subject": "s", "text": {"text": "hello\r\n"}}),
        json!({"sign": true, "encrypt": true}),
    )
}

fn key(host: &mut Host, id: &str) -> Value {
    host.good("keys/show", json!({"id": id}))["key"].clone()
}

#[test]
fn an_address_comes_and_another_goes() {
    for profile in ["compatible", "modern", "post-quantum"] {
        let home = home();
        let mut host = home.start();
        let id = generate(&mut host, "Me", OLD, profile);
        a_second();
        let reply = host.good("keys/address", json!({"id": id, "add": NEW}));
        assert_eq!(reply["key"]["addresses"], json!([OLD, NEW]), "{profile}");
        assert_eq!(reply["key"]["acceptance"][NEW], "accepted");
        let sealed = letter(&mut host, NEW, OLD);
        let opened = host.open(&sealed).unwrap();
        assert_eq!(opened["summary"]["signed"], "good");
        assert_eq!(opened["summary"]["signer"]["address"], NEW);
        let cert = export(&mut host, &[&id]);
        if let (Some(gpg), "compatible") = (Gpg::new(), profile) {
            gpg.go(&["--import"], cert.as_bytes());
            let list = gpg.text(&["--list-keys", NEW], b"");
            assert!(list.contains(&format!("Me <{NEW}>")), "{list}");
        }
        a_second();
        let reply = host.good("keys/address", json!({"id": id, "retire": OLD}));
        assert_eq!(reply["key"]["addresses"], json!([NEW]));
        let cert = export(&mut host, &[&id]);
        // Who has the key already hears of it, and writes to the old address no more.
        let other = Home::new();
        let mut other = other.start();
        import(&mut other, cert.as_bytes(), json!(true));
        let plan = other.good(
            "message/plan",
            json!({"to": [OLD, NEW], "protect": {"sign": false, "encrypt": true}}),
        );
        let states: Vec<_> = plan["recipients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["state"])
            .collect();
        assert_eq!(states, ["no-key", "ready"]);
        // The last one stays, and what is not there can't go.
        let fault = host.fault("keys/address", json!({"id": id, "retire": NEW}));
        assert_eq!(fault.data["path"], "/retire");
        let fault = host.fault("keys/address", json!({"id": id, "retire": OLD}));
        assert_eq!(fault.data["path"], "/retire");
    }
}

/// Signatures count by the second, and what was said last counts: also within one second.
#[test]
fn what_is_said_within_one_second_counts() {
    for profile in ["compatible", "modern", "post-quantum"] {
        let home = home();
        let mut host = home.start();
        let id = generate(&mut host, "Me", OLD, profile);
        for year in [2041, 2043, 2039, 2042] {
            let end = format!("{year}-01-01T00:00:00Z");
            let reply = host.good("keys/renew", json!({"id": id, "expires": end}));
            assert_eq!(reply["key"]["expires"], end, "{profile}");
        }
        for _ in 0..3 {
            let reply = host.good("keys/address", json!({"id": id, "add": NEW}));
            assert_eq!(reply["key"]["addresses"], json!([OLD, NEW]), "{profile}");
            let reply = host.good("keys/address", json!({"id": id, "retire": NEW}));
            assert_eq!(reply["key"]["addresses"], json!([OLD]), "{profile}");
        }
        host.good("keys/address", json!({"id": id, "add": NEW}));
        let grown = host.good("keys/subkey", json!({"id": id, "add": "encrypt"}));
        let old = grown["key"]["keyIds"][2].clone();
        host.good("keys/subkey", json!({"id": id, "retire": old}));
        host.good(
            "keys/renew",
            json!({"id": id, "expires": "2040-01-01T00:00:00Z"}),
        );
        a_second();
        let sealed = letter(&mut host, NEW, OLD);
        let opened = host.open(&sealed).unwrap();
        assert_eq!(opened["summary"]["signed"], "good", "{profile}");
        // Others see it the same.
        let cert = export(&mut host, &[&id]);
        let other = Home::new();
        let mut other = other.start();
        import(&mut other, cert.as_bytes(), Value::Null);
        let shown = key(&mut other, &id);
        assert_eq!(shown["expires"], "2040-01-01T00:00:00Z");
        let mut addresses = shown["addresses"].as_array().unwrap().clone();
        addresses.sort_by_key(|address| address.to_string());
        assert_eq!(addresses, [json!(NEW), json!(OLD)]);
        if let (Some(gpg), "compatible") = (Gpg::new(), profile) {
            gpg.go(&["--import"], cert.as_bytes());
            let list = gpg.text(&["--with-colons", "--list-keys"], b"");
            let ends = |kind: &str| -> Vec<String> {
                let lines = list.lines().filter(|line| line.starts_with(kind));
                lines
                    .map(|line| line.split(':').nth(6).unwrap().to_owned())
                    .collect()
            };
            assert_eq!(ends("pub:"), ["2208988800"], "{list}");
            let revoked = list.lines().filter(|line| line.starts_with("sub:r:"));
            assert_eq!(revoked.count(), 1, "{list}");
            let users = list.lines().filter(|line| line.starts_with("uid:"));
            assert!(
                users.clone().all(|line| !line.starts_with("uid:r:")),
                "{list}"
            );
            assert_eq!(users.count(), 2);
        }
        let gone = host.good("keys/revoke", json!({"id": id, "reason": "retired"}));
        assert_eq!(gone["key"]["status"], "revoked");
        let fault = host.fault("keys/address", json!({"id": id, "retire": NEW}));
        assert_eq!(fault.kind(), "key.unusable");
    }
}

/// A key that has ended gets what it needs, its new end first; and one that nobody trusts any more can be revoked.
#[test]
fn an_ended_key_grows_and_a_weak_one_is_revoked() {
    let Some(gpg) = Gpg::new() else { return };
    let home = home();
    let mut host = home.start();
    host.hello();
    let then = ["--faked-system-time", "20240101T000000!"];
    let fpr = gpg.key(&format!("Me <{OLD}>"), "ed25519", "cv25519", &then);
    gpg.go(
        &[
            "--faked-system-time",
            "20240102T000000!",
            "--quick-set-expire",
            &fpr,
            "2024-03-01",
        ],
        b"",
    );
    let secret = gpg.secret(&fpr);
    let id = import(&mut host, &secret, json!(true))["imported"][0]["id"].clone();
    let shown = key(&mut host, id.as_str().unwrap());
    assert_eq!(shown["status"], "expired");
    let fault = host.fault("keys/subkey", json!({"id": id, "add": "sign"}));
    assert_eq!(fault.data["reasons"], json!(["expired"]));
    let grown = host.good("keys/address", json!({"id": id, "add": NEW}));
    assert_eq!(grown["key"]["addresses"].as_array().unwrap().len(), 2);
    host.good("keys/address", json!({"id": id, "retire": NEW}));
    let end = "2041-01-01T00:00:00Z";
    let renewed = host.good("keys/renew", json!({"id": id, "expires": end}));
    assert_eq!(renewed["key"]["expires"], end);
    assert_eq!(renewed["key"]["status"], "valid");
    let grown = host.good("keys/subkey", json!({"id": id, "add": "sign"}));
    assert_eq!(grown["key"]["keyIds"].as_array().unwrap().len(), 3);

    let weak = ["--cert-digest-algo", "SHA1", "--digest-algo", "SHA1"];
    let fpr = gpg.key("Weak <weak@parts.example>", "rsa2048", "rsa2048", &weak);
    let secret = gpg.secret(&fpr);
    let id = import(&mut host, &secret, json!(true))["imported"][0]["id"].clone();
    let shown = key(&mut host, id.as_str().unwrap());
    assert_eq!(shown["status"], "weak");
    for reason in ["superseded", "compromised"] {
        let gone = host.good("keys/revoke", json!({"id": id, "reason": reason}));
        assert_eq!(gone["key"]["status"], "revoked", "{reason}");
    }
}

/// A key that says something of itself out of the future: nothing said now would count.
#[test]
fn a_word_out_of_the_future_is_told() {
    let Some(gpg) = Gpg::new() else { return };
    let fpr = gpg.key(&format!("Me <{OLD}>"), "ed25519", "cv25519", &[]);
    gpg.go(
        &[
            "--faked-system-time",
            "20400101T000000!",
            "--quick-set-expire",
            &fpr,
            "2042-01-01",
        ],
        b"",
    );
    let home = home();
    let mut host = home.start();
    let secret = gpg.secret(&fpr);
    let id = import(&mut host, &secret, json!(true))["imported"][0]["id"].clone();
    let before = key(&mut host, id.as_str().unwrap());
    for (method, params) in [
        (
            "keys/renew",
            json!({"id": id, "expires": "2043-01-01T00:00:00Z"}),
        ),
        ("keys/address", json!({"id": id, "add": NEW})),
        ("keys/subkey", json!({"id": id, "add": "sign"})),
        ("keys/revoke", json!({"id": id, "reason": "retired"})),
    ] {
        let fault = host.fault(method, params);
        assert_eq!(fault.kind(), "key.unusable", "{method}");
        assert_eq!(fault.data["reasons"], json!(["not-yet-valid"]), "{method}");
    }
    assert_eq!(key(&mut host, id.as_str().unwrap()), before);
    // What counts whatever else is said can be said at once.
    let gone = host.good("keys/revoke", json!({"id": id, "reason": "compromised"}));
    assert_eq!(gone["key"]["status"], "revoked");
}

#[test]
fn requests_that_make_no_sense_change_nothing() {
    let home = home();
    let mut host = home.start();
    let id = generate(&mut host, "Me", OLD, "compatible");
    let before = key(&mut host, &id);
    for (method, params) in [
        ("keys/address", json!({"id": id})),
        ("keys/address", json!({"id": id, "add": NEW, "retire": OLD})),
        ("keys/address", json!({"id": id, "add": "no address"})),
        (
            "keys/address",
            json!({"id": id, "add": NEW, "name": "a\nb"}),
        ),
        ("keys/subkey", json!({"id": id})),
        ("keys/subkey", json!({"id": id, "add": "certify"})),
        (
            "keys/subkey",
            json!({"id": id, "add": "sign", "retire": "AA"}),
        ),
        (
            "keys/subkey",
            json!({"id": id, "retire": "0123456789ABCDEF"}),
        ),
    ] {
        let fault = host.fault(method, params.clone());
        assert_eq!(fault.kind(), "request.invalid", "{params}");
    }
    assert_eq!(key(&mut host, &id), before);
    let made = host.good(
        "keys/generate",
        json!({"protocol": "smime", "address": OLD, "passphrase": "none"}),
    );
    let smime = made["key"]["id"].clone();
    let fault = host.fault("keys/address", json!({"id": smime, "add": NEW}));
    assert_eq!(fault.kind(), "request.invalid");
    // Somebody else's is not ours to change.
    let other = Home::new();
    let mut other = other.start();
    let theirs = generate(&mut other, "You", NEW, "compatible");
    import(
        &mut host,
        export(&mut other, &[&theirs]).as_bytes(),
        json!(true),
    );
    let fault = host.fault("keys/address", json!({"id": theirs, "add": OLD}));
    assert_eq!(fault.kind(), "key.missing");
}

#[test]
fn a_subkey_comes_and_another_goes() {
    for profile in ["compatible", "modern", "post-quantum"] {
        let home = home();
        let mut host = asking(&home);
        let made = answered(
            &mut host,
            "keys/generate",
            json!({"protocol": "openpgp", "address": OLD, "profile": profile, "passphrase": "ask"}),
            &["mine"],
        );
        let id = made.unwrap()["key"]["id"].as_str().unwrap().to_owned();
        let before = letter_asked(&mut host, OLD);
        let first = key(&mut host, &id)["keyIds"].clone();
        assert_eq!(first.as_array().unwrap().len(), 3);
        a_second();
        let params = json!({"id": id, "add": "encrypt"});
        let reply = answered(&mut host, "keys/subkey", params, &["wrong", "mine"]).unwrap();
        let second = reply["key"]["keyIds"].as_array().unwrap().clone();
        assert_eq!(second.len(), 4, "{profile}");
        let fresh = second
            .iter()
            .find(|k| !first.as_array().unwrap().contains(k))
            .unwrap()
            .clone();
        // The old one goes; what was encrypted to it is still read, what comes is for the new one.
        let old = {
            let opened = answered(&mut host, "message/open", open(&before), &["mine"]).unwrap();
            let recipients = opened["layers"][0]["recipients"].as_array().unwrap();
            recipients[0]["keyId"].clone()
        };
        a_second();
        host.good("keys/subkey", json!({"id": id, "retire": old}));
        let sealed = letter(&mut host, OLD, OLD);
        let opened = host.open(&sealed).unwrap();
        assert_eq!(opened["summary"]["signed"], "good");
        // Version 6 is named by its whole fingerprint, which begins with the key id.
        let named = opened["layers"][0]["recipients"][0]["keyId"]
            .as_str()
            .unwrap();
        assert!(named.starts_with(fresh.as_str().unwrap()), "{named}");
        host.open(&before).unwrap();
        // Locked and opened with the passphrase that it had: the new one lies under it, too.
        host.good("keys/lock", json!({}));
        answered(&mut host, "message/open", open(&sealed), &["mine"]).unwrap();
    }
}

fn open(message: &[u8]) -> Value {
    json!({"message": {"text": String::from_utf8(message.to_vec()).unwrap()}})
}

/// A letter to oneself, for which the passphrase is asked once.
fn letter_asked(host: &mut Host, me: &str) -> Vec<u8> {
    let sealed = answered(
        host,
        "message/seal",
        json!({"draft": {"from": me, "to": [me], "subject": "s", "text": {"text": "hello\r\n"}},
               "protect": {"sign": true, "encrypt": true}}),
        &["mine"],
    );
    let body = sealed.unwrap()["messages"][0]["message"].clone();
    host.bytes(&body)
}

/// What came of an import: whether a secret half was taken up, and what was left out.
fn outcome(imported: &Value) -> (bool, Vec<&str>) {
    let secret = imported["imported"][0]["secret"].as_bool().unwrap();
    let skipped = imported["skipped"].as_array().unwrap();
    (
        secret,
        skipped
            .iter()
            .map(|s| s["reason"].as_str().unwrap())
            .collect(),
    )
}

#[test]
fn no_import_takes_a_working_secret_half_away() {
    let Some(gpg) = Gpg::new() else { return };
    let fingerprint = gpg.key(OLD, "ed25519", "cv25519", &[]);
    let whole = gpg.secret(OLD);
    let armor = gpg.text(
        &["--armor", "-r", OLD, "-e"],
        crate::mime::text("inside\n").as_bytes(),
    );
    let message = crate::mime::letter("x@parts.example", OLD, "s", &crate::mime::encrypted(&armor));
    let home = home();
    let mut host = asking(&home);
    let imported = import(&mut host, &whole, json!(true));
    assert_eq!(outcome(&imported), (true, vec![]));
    host.open(&message).unwrap();

    // Without the subkey that decrypts.
    let part = gpg.go(
        &[
            "--armor",
            "--export-secret-keys",
            &format!("{fingerprint}!"),
        ],
        b"",
    );
    let imported = import(&mut host, &part, json!(true));
    assert_eq!(outcome(&imported), (false, vec!["secret-incomplete"]));
    host.open(&message).unwrap();

    // Under a passphrase that its owner does not know: a copy that somebody else made.
    let sealed = {
        let other = Home::new().env("SEALPOST_PINENTRY", "none");
        let mut other = asking(&other);
        import(&mut other, &whole, json!(true));
        let params = json!({"ids": [format!("openpgp:{fingerprint}")], "secret": true});
        let reply = answered(&mut other, "keys/export", params, &["theirs"]).unwrap();
        other.bytes(&reply["data"])
    };
    let data = host.body(&sealed);
    let refused = answered(
        &mut host,
        "keys/import",
        json!({"data": data}),
        &["guess", "guess", "guess"],
    );
    assert_eq!(refused.unwrap_err().kind(), "passphrase.wrong");
    host.open(&message).unwrap();
    // Its owner does: it takes the old one's place.
    let data = host.body(&sealed);
    let imported = answered(&mut host, "keys/import", json!({"data": data}), &["theirs"]);
    assert_eq!(outcome(&imported.unwrap()), (true, vec![]));
    answered(&mut host, "message/open", open(&message), &["theirs"]).unwrap();
    // The same once more is nothing new, and asks nothing.
    let data = host.body(&sealed);
    let imported = answered(&mut host, "keys/import", json!({"data": data}), &[]).unwrap();
    assert_eq!(imported["skipped"], json!([]));
    host.open(&message).unwrap();
}

#[test]
fn a_key_that_came_locked_gets_its_revocation_when_it_is_unlocked() {
    let there = home();
    let mut there = asking(&there);
    let made = answered(
        &mut there,
        "keys/generate",
        json!({"protocol": "openpgp", "address": OLD, "passphrase": "ask"}),
        &["mine"],
    );
    let id = made.unwrap()["key"]["id"].clone();
    let params = json!({"ids": [id], "secret": true});
    let reply = answered(&mut there, "keys/export", params, &["mine", "mine"]).unwrap();
    let secret = there.bytes(&reply["data"]);
    let here = home();
    let mut host = asking(&here);
    import(&mut host, &secret, json!(true));
    let kept = |home: &Home| {
        let files = home.files();
        files
            .iter()
            .any(|file| file.to_string_lossy().ends_with(".revocation"))
    };
    assert!(!kept(&here));
    answered(&mut host, "keys/unlock", json!({"id": id}), &["mine"]).unwrap();
    assert!(kept(&here));
    // The day when the passphrase is lost: nobody is asked for it.
    drop(host);
    let mut host = asking(&here);
    let reply = answered(&mut host, "keys/revoke", json!({"id": id}), &[]).unwrap();
    assert_eq!(reply["key"]["status"], "revoked");
}
