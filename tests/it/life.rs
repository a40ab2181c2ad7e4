//! What becomes of keys: another end, a revocation, another passphrase, a decision.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import, seal_one};
use crate::peer::Gpg;
use crate::smime::Ca;

const ME: &str = "me@sealpost.example";

fn days(days: i64) -> String {
    (Utc::now() + Duration::days(days)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A host that may ask its client, and nobody else.
pub fn asking(home: &Home) -> Host {
    let mut host = home.start();
    host.good(
        "hello",
        json!({"protocol": [1], "client": "tests/1", "capabilities": {"ask": true}}),
    );
    host
}

pub fn home() -> Home {
    Home::new().env("SEALPOST_PINENTRY", "none")
}

/// Calls a method and answers its questions, one after the other, with these passphrases.
#[track_caller]
pub fn answered(
    host: &mut Host,
    method: &str,
    params: Value,
    phrases: &[&str],
) -> crate::harness::Answer {
    let id = host.send(method, params);
    let mut left = phrases.iter();
    loop {
        if host.has(id) {
            let answer = host.wait(id);
            assert_eq!(
                left.next(),
                None,
                "fewer questions than answers: {answer:?}"
            );
            return answer;
        }
        assert!(host.pump(std::time::Instant::now() + host.patience));
        while let Some(question) = host.questions.pop_front() {
            let phrase = left.next().expect("a question that nobody expected");
            host.answer(&question, json!({"passphrase": phrase}));
        }
    }
}

fn letter(host: &mut Host) -> Vec<u8> {
    seal_one(
        host,
        json!({"from": ME, "to": [ME], "subject": "s", "text": {"text": "hello\r\n"}}),
        json!({"sign": true, "encrypt": true}),
    )
}

#[test]
fn a_key_gets_another_end() {
    for profile in ["compatible", "modern", "post-quantum"] {
        let home = home();
        let mut host = home.start();
        host.hello();
        let made = host.good(
            "keys/generate",
            json!({"protocol": "openpgp", "address": ME, "profile": profile,
                   "expires": days(5), "passphrase": "none"}),
        );
        let id = made["key"]["id"].clone();
        assert_eq!(made["key"]["attention"], json!(["expires-soon"]));
        // The later of two words of one key counts, to the second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let later = days(400);
        let reply = host.good("keys/renew", json!({"id": id, "expires": later}));
        let end =
            |key: &Value| DateTime::parse_from_rfc3339(key["expires"].as_str().unwrap()).unwrap();
        let wanted = DateTime::parse_from_rfc3339(&later).unwrap();
        assert!(
            (end(&reply["key"]) - wanted).num_seconds().abs() <= 1,
            "{reply}"
        );
        assert_eq!(reply["key"]["attention"], json!([]));
        assert_eq!(reply["request"], Value::Null);
        // Its subkeys too: it signs and is encrypted to after what was the end.
        let sealed = letter(&mut host);
        let opened = host.open_with(&sealed, json!({"at": days(300)})).unwrap();
        assert_eq!(opened["summary"]["signed"], "good", "{profile}");
        let cert = export(&mut host, &[id.as_str().unwrap()]);
        if let (Some(gpg), "compatible") = (Gpg::new(), profile) {
            gpg.go(&["--import"], cert.as_bytes());
            let list = gpg.text(&["--with-colons", "--list-keys"], b"");
            let ends: Vec<i64> = list
                .lines()
                .filter(|line| line.starts_with("pub:") || line.starts_with("sub:"))
                .map(|line| line.split(':').nth(6).unwrap().parse().unwrap())
                .collect();
            assert_eq!(ends.len(), 3);
            assert!(
                ends.iter().all(|end| (end - wanted.timestamp()).abs() <= 1),
                "{list}"
            );
        }
        for expires in ["2001-01-01T00:00:00Z", "soon"] {
            let fault = host.fault("keys/renew", json!({"id": id, "expires": expires}));
            assert_eq!(
                (fault.kind(), &fault.data["path"]),
                ("request.invalid", &json!("/expires"))
            );
        }
        // Somebody else's is not ours to renew.
        let elsewhere = Home::new();
        let mut other = elsewhere.start();
        import(&mut other, cert.as_bytes(), Value::Null);
        let fault = other.fault("keys/renew", json!({"id": id, "expires": days(9)}));
        assert_eq!(fault.kind(), "key.missing");
    }
}

/// What was let expire on purpose does not come back to life with the rest.
#[test]
fn a_subkey_that_ended_long_ago_stays_ended() {
    let Some(gpg) = Gpg::new() else { return };
    let then = ["--faked-system-time", "20250101T000000!"];
    let fpr = gpg.key(&format!("Me <{ME}>"), "ed25519", "cv25519", &then);
    let old = [
        &then[..],
        &["--quick-add-key", &fpr, "cv25519", "encr", "2025-02-01"],
    ]
    .concat();
    gpg.go(&old, b"");
    let home = home();
    let mut host = home.start();
    host.hello();
    let secret = gpg.secret(&fpr);
    let id = import(&mut host, &secret, json!(true))["imported"][0]["id"].clone();
    host.good("keys/renew", json!({"id": id, "expires": days(100)}));
    let cert = export(&mut host, &[id.as_str().unwrap()]);
    gpg.go(&["--import"], cert.as_bytes());
    let list = gpg.text(&["--with-colons", "--list-keys"], b"");
    let ends: Vec<i64> = list
        .lines()
        .filter(|line| line.starts_with("sub:"))
        .map(|line| line.split(':').nth(6).unwrap().parse().unwrap())
        .collect();
    let now = Utc::now().timestamp();
    let (ended, alive): (Vec<i64>, Vec<i64>) = ends.iter().partition(|end| **end < now);
    assert_eq!((ended.len(), alive.len()), (1, 1), "{list}");
}

#[test]
fn a_revoked_key_reads_and_signs_no_more() {
    let home = home();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Me", ME, "compatible");
    let sealed = letter(&mut host);
    let reply = host.good("keys/revoke", json!({"id": id, "reason": "retired"}));
    assert_eq!(reply["key"]["status"], "revoked", "{reply}");
    // What was sent to it is still read; nothing new is sent.
    let opened = host.open(&sealed).unwrap();
    assert_eq!(opened["summary"]["encrypted"], "whole");
    let draft = json!({"from": ME, "to": [ME], "text": {"text": "x"}});
    let fault = host.fault(
        "message/seal",
        json!({"draft": draft, "protect": {"sign": true, "encrypt": true}}),
    );
    assert_eq!(fault.kind(), "key.missing");
    let fault = host.fault("keys/renew", json!({"id": id, "expires": days(9)}));
    assert_eq!(fault.kind(), "key.unusable");
    if let Some(gpg) = Gpg::new() {
        gpg.go(&["--import"], export(&mut host, &[&id]).as_bytes());
        let list = gpg.text(&["--with-colons", "--list-keys"], b"");
        let states: Vec<&str> = list
            .lines()
            .filter(|line| line.starts_with("pub:"))
            .map(|line| line.split(':').nth(1).unwrap())
            .collect();
        assert_eq!(states, ["r"], "{list}");
    }
    // It is told to others with the certificate, and does not come back with an old copy.
    let kept = home.start().good("keys/show", json!({"id": id}));
    assert_eq!(kept["key"]["status"], "revoked");
    let denied = Home::new().confirm(Some("no"));
    let mut host = denied.start();
    let id = generate(&mut host, "Me", ME, "compatible");
    let fault = host.fault("keys/revoke", json!({"id": id}));
    assert_eq!(fault.kind(), "consent.denied");
    let shown = host.good("keys/show", json!({"id": id}));
    assert_eq!(shown["key"]["status"], "valid");
}

#[test]
fn who_lost_the_passphrase_can_still_revoke() {
    let home = home();
    let mut host = asking(&home);
    let made = answered(
        &mut host,
        "keys/generate",
        json!({"protocol": "openpgp", "address": ME, "passphrase": "ask"}),
        &["correct horse"],
    )
    .unwrap();
    let id = made["key"]["id"].clone();
    let mut host = home.start();
    // With a reason it takes the key; without one, what was kept will do.
    let fault = host.fault("keys/revoke", json!({"id": id, "reason": "compromised"}));
    assert_eq!(fault.kind(), "passphrase.unavailable");
    let reply = host.good("keys/revoke", json!({"id": id}));
    assert_eq!(reply["key"]["status"], "revoked");
}

/// The same for a key that was brought along, as long as it could be used when it came.
#[test]
fn a_key_that_was_brought_along_can_be_revoked_too() {
    let Some(gpg) = Gpg::new() else { return };
    let fpr = gpg.key(&format!("Me <{ME}>"), "ed25519", "cv25519", &[]);
    let home = home();
    let mut host = asking(&home);
    let id = import(&mut host, &gpg.secret(&fpr), json!(true))["imported"][0]["id"].clone();
    answered(&mut host, "keys/passphrase", json!({"id": id}), &["new"]).unwrap();
    let reply = home.start().good("keys/revoke", json!({"id": id}));
    assert_eq!(reply["key"]["status"], "revoked");
}

#[test]
fn a_key_gets_another_passphrase() {
    let home = home();
    for protocol in ["openpgp", "smime"] {
        let mut host = asking(&home);
        let params = json!({"protocol": protocol, "address": ME, "passphrase": "ask"});
        let made = answered(&mut host, "keys/generate", params, &["old"]).unwrap();
        let id = json!({"id": made["key"]["id"]});
        // One wrong answer is asked about again; then the new one.
        answered(
            &mut host,
            "keys/passphrase",
            id.clone(),
            &["wrong", "old", "new"],
        )
        .unwrap();
        let mut later = asking(&home);
        answered(&mut later, "keys/unlock", id.clone(), &["old", "new"]).unwrap();
        // A key that lay under none gets one.
        let params = json!({"protocol": protocol, "address": "other@sealpost.example", "passphrase": "none"});
        let made = host.good("keys/generate", params);
        let id = json!({"id": made["key"]["id"]});
        assert_eq!(made["key"]["secret"], "unlocked");
        let reply = answered(&mut host, "keys/passphrase", id.clone(), &["first"]).unwrap();
        assert_eq!(reply["key"]["secret"], "locked");
        answered(&mut host, "keys/unlock", id, &["first"]).unwrap();
    }
}

#[test]
fn of_two_keys_one_stays() {
    let home = home();
    let mut host = home.start();
    host.hello();
    generate(&mut host, "Me", ME, "compatible");
    let bob = "bob@sealpost.example";
    let mut ids = Vec::new();
    let mut mails = Vec::new();
    for _ in 0..2 {
        let home = Home::new();
        let mut other = home.start();
        ids.push(generate(&mut other, "Bob", bob, "compatible"));
        let cert = host.good("keys/list", json!({"query": ME}))["keys"][0]["id"].clone();
        let cert = export(&mut host, &[cert.as_str().unwrap()]);
        import(&mut other, cert.as_bytes(), json!(true));
        mails.push(seal_one(
            &mut other,
            json!({"from": bob, "to": [ME], "text": {"text": "x"}}),
            json!({"sign": true, "encrypt": true}),
        ));
    }
    for mail in &mails {
        host.open(mail).unwrap();
    }
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    let fault = host.fault(
        "keys/settle",
        json!({"address": bob, "keep": ids[0], "reject": [ids[0]]}),
    );
    assert_eq!(fault.kind(), "request.invalid");
    let reply = host.good(
        "keys/settle",
        json!({"address": bob, "keep": ids[1], "reject": [ids[0]]}),
    );
    assert_eq!(reply["key"]["acceptance"][bob], "accepted");
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"], json!([]));
    let plan = host.good(
        "message/plan",
        json!({"from": ME, "to": [bob], "protect": {"sign": true, "encrypt": true}}),
    );
    assert_eq!(plan["recipients"][0]["keys"][0]["id"], json!(ids[1]));
    for (mail, status) in mails.iter().zip(["unverified", "good"]) {
        assert_eq!(host.open(mail).unwrap()["summary"]["signed"], status);
    }
}

/// An authority renews a certificate of the same key, out of a request that the old one makes.
#[test]
fn a_certificate_is_renewed_by_its_authority() {
    let Some(ca) = Ca::new() else { return };
    for kind in ["rsa:2048", "ec:P-256", "ec:P-384", "ed25519"] {
        ca.person("me", kind, ME);
        let home = home();
        let mut host = home.start();
        host.hello();
        ca.trust(&mut host);
        let old = import(&mut host, &ca.file("me"), json!(true))["imported"][0]["id"].clone();
        let reply = host.good("keys/renew", json!({"id": old, "expires": days(400)}));
        let request = host.bytes(&reply["request"].clone());
        ca.write("new.csr", request);
        let shown = ca.go(&[
            "req", "-inform", "DER", "-in", "new.csr", "-verify", "-noout", "-text",
        ]);
        let shown = String::from_utf8_lossy(&shown).into_owned();
        for word in [
            "CN = me",
            &format!("email:{ME}"),
            "Digital Signature",
            "E-mail Protection",
        ] {
            assert!(shown.contains(word), "{kind}: no {word} in {shown}");
        }
        ca.go(&[
            "x509",
            "-req",
            "-inform",
            "DER",
            "-in",
            "new.csr",
            "-CA",
            "middle.pem",
            "-CAkey",
            "middle.key",
            "-CAcreateserial",
            "-days",
            "25",
            "-copy_extensions",
            "copyall",
            "-out",
            "new.pem",
        ]);
        let reply = import(&mut host, &ca.read("new.pem"), json!(true));
        assert_eq!(reply["imported"][0]["secret"], true, "{kind}: {reply}");
        let new = host.good("keys/show", json!({"id": reply["imported"][0]["id"]}));
        assert_eq!(new["key"]["sameKey"], json!([old]));
        let fault = host.fault("keys/revoke", json!({"id": old}));
        assert_eq!(
            (fault.kind(), &fault.data["path"]),
            ("request.invalid", &json!("/id"))
        );
    }
}

/// What became of a key goes along with its secret half.
#[test]
fn an_exported_secret_key_has_its_new_end() {
    let home = home();
    let mut host = asking(&home);
    let made = host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "address": ME, "expires": days(5), "passphrase": "none"}),
    );
    let id = made["key"]["id"].clone();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let renewed = host.good("keys/renew", json!({"id": id, "expires": days(400)}));
    let params = json!({"ids": [id], "secret": true});
    let reply = answered(&mut host, "keys/export", params, &["x"]).unwrap();
    let file = host.bytes(&reply["data"]);
    let elsewhere = Home::new();
    let mut other = elsewhere.start();
    import(&mut other, &file, Value::Null);
    let shown = other.good("keys/show", json!({"id": id}));
    assert_eq!(shown["key"]["expires"], renewed["key"]["expires"]);
    assert_eq!(shown["key"]["secret"], "locked");
}
