//! Passphrases and confirmations: who is asked, how often, and what takes a question back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Home, Host, Pinentry, agents, alive, export, import, seal_one};
use crate::mime::{dearmor, rearmored};
use crate::packets::{join, split};

const ME: &str = "me@sealpost.example";
const PASSPHRASE: &str = "correct-horse";

/// A home with one locked key and a message to it.
pub struct Locked {
    pub home: Home,
    pub pinentry: Pinentry,
    pub id: String,
    pub message: Vec<u8>,
}

fn locked() -> Locked {
    locked_in(Home::new())
}

pub fn locked_in(home: Home) -> Locked {
    let pinentry = Pinentry::new(&[PASSPHRASE]);
    let home = home.pinentry(&pinentry);
    let mut host = home.start();
    let key = host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "name": "Me", "address": ME, "passphrase": "ask"}),
    );
    assert!(pinentry.count("getpin") >= 1, "nobody was asked");
    let id = key["key"]["id"].as_str().unwrap().to_owned();
    let cert = export(&mut host, &[&id]);
    drop(host);
    // Somebody else writes: sealing to a locked key asks nobody.
    let other = Home::new();
    let mut writer = other.start();
    crate::harness::generate(
        &mut writer,
        "Writer",
        "writer@sealpost.example",
        "compatible",
    );
    import(&mut writer, cert.as_bytes(), json!(true));
    let message = seal_one(
        &mut writer,
        json!({"from": "writer@sealpost.example", "to": [ME], "subject": "locked", "text": {"text": "inside"}}),
        json!({"sign": false, "encrypt": true, "protocol": "openpgp"}),
    );
    Locked {
        home,
        pinentry,
        id,
        message,
    }
}

#[track_caller]
pub fn opened(answer: Answer) -> Value {
    match answer {
        Ok(value) => {
            assert_eq!(value["headers"]["subject"]["value"], "locked");
            value
        }
        Err(fault) => panic!("{fault:?}"),
    }
}

#[test]
fn a_locked_key_is_asked_for_once() {
    let it = locked();
    let before = it.pinentry.count("getpin");
    let mut host = it.home.start();
    let shown = host.good("keys/show", json!({"id": it.id}));
    assert_eq!(shown["key"]["secret"], "locked");
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 1);
    opened(host.open(&it.message));
    assert_eq!(
        it.pinentry.count("getpin"),
        before + 1,
        "asked again while unlocked"
    );
    let shown = host.good("keys/show", json!({"id": it.id}));
    assert_eq!(shown["key"]["secret"], "unlocked");
    host.good("keys/lock", json!({"id": it.id}));
    assert_eq!(
        host.good("keys/show", json!({"id": it.id}))["key"]["secret"],
        "locked"
    );
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 2);
    assert!(
        it.pinentry.descriptions().contains("me@sealpost.example")
            || it.pinentry.descriptions().contains("Me"),
        "the dialog does not say which key"
    );
    // Without an agent another process knows nothing of it.
    let mut other = it.home.start();
    assert_eq!(
        other.good("keys/show", json!({"id": it.id}))["key"]["secret"],
        if agents() { "unlocked" } else { "locked" }
    );
}

/// The message with the names of its recipients blanked out (RFC 9580 5.1.8).
fn hidden(message: &[u8]) -> Vec<u8> {
    let mut packets = split(&dearmor(message));
    let mut blanked = 0;
    for packet in packets.iter_mut().filter(|p| p.tag == 1 && p.body[0] == 3) {
        packet.body[1..9].fill(0);
        blanked += 1;
    }
    assert!(blanked > 0, "no recipient to hide");
    rearmored(message, &join(&packets))
}

#[test]
fn a_hidden_recipient_is_worth_one_question() {
    let it = locked();
    let strangers = locked();
    let mut host = it.home.start();
    host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "address": "second@sealpost.example", "passphrase": "ask"}),
    );
    drop(host);
    let mut host = it.home.start();
    let before = it.pinentry.count("getpin");
    let fault = host.open(&hidden(&strangers.message)).unwrap_err();
    assert_eq!(fault.kind(), "key.missing");
    assert_eq!(it.pinentry.count("getpin"), before + 1);
    // Once the right key is open, nobody is asked at all.
    host.good("keys/unlock", json!({"id": it.id}));
    let before = it.pinentry.count("getpin");
    opened(host.open(&hidden(&it.message)));
    assert_eq!(it.pinentry.count("getpin"), before);
}

#[test]
fn wrong_twice_then_right() {
    let it = locked();
    it.pinentry.answers(&["wrong-1", "wrong-2", PASSPHRASE]);
    let before = it.pinentry.count("getpin");
    let mut host = it.home.start();
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 3);
    assert!(
        it.pinentry.count("error") >= 2,
        "nobody was told that it was wrong"
    );
}

#[test]
fn wrong_for_ever() {
    let it = locked();
    it.pinentry.answers(&["wrong"]);
    let mut host = it.home.start();
    assert_eq!(
        host.open(&it.message).unwrap_err().kind(),
        "passphrase.wrong"
    );
    // A fault is not the end: the next request asks again.
    it.pinentry.answers(&[PASSPHRASE]);
    opened(host.open(&it.message));
}

#[test]
fn cancelled() {
    let it = locked();
    it.pinentry.answers(&["%cancel"]);
    let before = it.pinentry.count("getpin");
    let mut host = it.home.start();
    let fault = host.open(&it.message).unwrap_err();
    assert_eq!(fault.kind(), "passphrase.cancelled");
    assert_eq!(it.pinentry.count("getpin"), before + 1);
}

#[test]
fn never_means_never() {
    let it = locked();
    let before = it.pinentry.count("getpin");
    let mut host = it.home.start();
    let fault = host
        .open_with(&it.message, json!({"ask": "never"}))
        .unwrap_err();
    assert_eq!(fault.kind(), "key.locked");
    assert_eq!(fault.data["ids"], json!([it.id]));
    let fault = host.fault(
        "message/seal",
        json!({"draft": {"from": ME, "to": [ME], "subject": "s", "text": {"text": "x"}}, "ask": "never",
               "protect": {"sign": true, "encrypt": false, "protocol": "openpgp"}}),
    );
    assert_eq!(fault.kind(), "key.locked");
    let fault = host.fault("text/sign", json!({"text": {"text": "x"}, "ask": "never"}));
    assert_eq!(fault.kind(), "key.locked");
    assert_eq!(it.pinentry.count("getpin"), before);
}

#[test]
fn nobody_to_ask() {
    let it = locked();
    let home = it.home.env("SEALPOST_PINENTRY", "none");
    let mut host = home.start();
    assert_eq!(
        host.open(&it.message).unwrap_err().kind(),
        "passphrase.unavailable"
    );
    host.good(
        "hello",
        json!({"protocol": [1], "client": "t", "capabilities": {"progress": true}}),
    );
    assert_eq!(
        host.open(&it.message).unwrap_err().kind(),
        "passphrase.unavailable"
    );
}

#[test]
fn the_client_is_asked_where_there_is_no_pinentry() {
    let it = locked();
    let home = it.home.env("SEALPOST_PINENTRY", "none");
    let mut host = home.start();
    host.hello();
    let params = json!({"message": crate::harness::body(&it.message), "context": {"origin": "https://mail.example"}});
    let id = host.send("message/open", params.clone());
    for attempt in 1..=3 {
        let question = host.question();
        assert_eq!(question["method"], "ask/passphrase");
        let asked = &question["params"];
        assert_eq!(asked["need"], "unlock");
        assert_eq!(asked["attempt"], attempt);
        assert_eq!(asked["key"], json!(it.id));
        assert_eq!(asked["request"], id);
        assert_eq!(asked["origin"], "https://mail.example");
        assert!(!asked["label"].as_str().unwrap().is_empty());
        let answer = if attempt == 3 { PASSPHRASE } else { "wrong" };
        host.answer(&question, json!({"passphrase": answer}));
    }
    opened(host.wait(id));
    host.good("keys/lock", json!({}));
    let id = host.send("message/open", params.clone());
    let question = host.question();
    host.answer(&question, json!({"cancelled": true}));
    assert_eq!(host.wait(id).unwrap_err().kind(), "passphrase.cancelled");
    // An answer that is none of the two is none.
    let id = host.send("message/open", params);
    let question = host.question();
    host.answer(&question, json!({"password": "x"}));
    let fault = host.wait(id).unwrap_err();
    assert!(fault.kind().starts_with("passphrase."), "{fault:?}");
}

#[test]
fn ten_at_once_share_one_question() {
    let it = locked();
    let home = it.home.env("SEALPOST_PINENTRY", "none");
    let mut host = home.start();
    host.hello();
    let body = crate::harness::body(&it.message);
    let all: Vec<u64> = (0..10)
        .map(|_| host.send("message/open", json!({"message": body})))
        .collect();
    let question = host.question();
    // Ordinary work goes on meanwhile, and by then every one of the ten was read.
    host.good("keys/list", json!({}));
    host.good("keys/list", json!({}));
    host.answer(&question, json!({"passphrase": PASSPHRASE}));
    for id in all {
        opened(host.wait(id));
    }
    assert!(
        host.questions.is_empty(),
        "asked more than once: {:?}",
        host.questions
    );
}

#[test]
fn one_dialog_at_a_time() {
    let it = locked();
    let second = host_key(&it, "second@sealpost.example");
    let mut host = it.home.start();
    it.pinentry.answers(&["%wait"]);
    let waiting = it.pinentry.count("waiting");
    let first = host.send("keys/unlock", json!({"id": it.id}));
    it.pinentry.until("waiting", waiting + 1);
    let other = host.send("keys/unlock", json!({"id": second}));
    host.good("keys/list", json!({}));
    let pid = last_pid(&it.pinentry, "waiting");
    assert_eq!(
        it.pinentry.count("waiting"),
        waiting + 1,
        "two dialogs at once"
    );
    it.pinentry.answers(&[PASSPHRASE]);
    host.notify("$/cancelRequest", json!({"id": first}));
    assert_eq!(host.wait_raw(first).unwrap_err().kind(), "cancelled");
    crate::harness::until("the dialog's end", || !alive(pid));
    // The next in the line.
    assert!(host.wait(other).unwrap()["until"].is_string());
}

fn host_key(it: &Locked, address: &str) -> String {
    let mut host = it.home.start();
    let key = host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "name": "Other", "address": address, "passphrase": "ask"}),
    );
    key["key"]["id"].as_str().unwrap().to_owned()
}

fn last_pid(pinentry: &Pinentry, event: &str) -> u32 {
    let diary = pinentry.diary();
    diary.iter().rev().find(|(e, _)| e == event).unwrap().1
}

#[test]
fn eof_takes_the_question_back() {
    let it = locked();
    it.pinentry.answers(&["%wait"]);
    let mut host = it.home.start();
    let body = crate::harness::body(&it.message);
    host.send("message/open", json!({"message": body}));
    it.pinentry.until("waiting", 1);
    let pid = last_pid(&it.pinentry, "waiting");
    assert!(alive(pid));
    host.close();
    host.drain();
    assert_eq!(host.exit(Duration::from_secs(20)).code(), Some(0));
    crate::harness::until("the dialog's end", || !alive(pid));
}

#[test]
fn the_last_waiter_takes_the_question_back() {
    let it = locked();
    it.pinentry.answers(&["%wait"]);
    let mut host = it.home.start();
    let body = crate::harness::body(&it.message);
    let one = host.send("message/open", json!({"message": body}));
    let two = host.send("message/open", json!({"message": body}));
    it.pinentry.until("waiting", 1);
    let pid = last_pid(&it.pinentry, "waiting");
    host.good("keys/list", json!({}));
    host.notify("$/cancelRequest", json!({"id": one}));
    assert_eq!(host.wait_raw(one).unwrap_err().code, -32800);
    assert!(alive(pid), "the other one still waits");
    host.notify("$/cancelRequest", json!({"id": two}));
    assert_eq!(host.wait_raw(two).unwrap_err().code, -32800);
    crate::harness::until("the dialog's end", || !alive(pid));
    // Nothing is stuck.
    it.pinentry.answers(&[PASSPHRASE]);
    opened(host.open(&it.message));
}

#[test]
fn a_dialog_holds_no_worker() {
    let it = locked();
    it.pinentry.answers(&["%wait"]);
    let mut host = it.home.start();
    let body = crate::harness::body(&it.message);
    let waiting: Vec<u64> = (0..40)
        .map(|_| host.send("message/open", json!({"message": body})))
        .collect();
    it.pinentry.until("waiting", 1);
    for _ in 0..10 {
        host.good("keys/list", json!({}));
    }
    let plain = host.open(b"Subject: plain\r\n\r\ntext\r\n").unwrap();
    assert_eq!(plain["headers"]["subject"]["value"], "plain");
    for id in waiting {
        assert!(!host.has(id));
    }
}

#[test]
fn a_pinentry_that_dies_or_talks_nonsense() {
    let it = locked();
    for script in [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\nhead -c 100000 /dev/urandom\nread x\n",
        "#!/bin/sh\necho 'ERR 1 no'\n",
    ] {
        std::fs::write(it.pinentry.program(), script).unwrap();
        let mut host = it.home.start();
        let fault = host.open(&it.message).unwrap_err();
        assert!(
            ["passphrase.unavailable", "passphrase.cancelled"].contains(&fault.kind()),
            "{script:?}: {fault:?}"
        );
    }
}

#[test]
fn a_blob_dropped_during_its_use_lives_until_then() {
    let it = locked();
    let home = it.home.env("SEALPOST_PINENTRY", "none");
    let mut host = home.start();
    host.hello();
    let blob = host.put(&it.message);
    let open = host.send(
        "message/open",
        json!({"message": {"blob": blob, "size": it.message.len()}}),
    );
    let question = host.question();
    host.good("blob/drop", json!({"blob": blob}));
    let gone = host.fault("blob/get", json!({"blob": blob, "offset": 0, "length": 1}));
    assert_eq!(gone.kind(), "blob.unknown");
    host.answer(&question, json!({"passphrase": PASSPHRASE}));
    opened(host.wait(open));
}

#[test]
fn a_protected_secret_key_is_imported_as_it_is() {
    use sequoia_openpgp::cert::CertBuilder;
    use sequoia_openpgp::serialize::SerializeInto;
    let (cert, _) = CertBuilder::general_purpose(Some("Brought <brought@sealpost.example>"))
        .set_password(Some("brought-along".into()))
        .generate()
        .unwrap();
    let secret = cert.as_tsk().armored().to_vec().unwrap();
    let pinentry = Pinentry::new(&["brought-along"]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    let imported = import(&mut host, &secret, json!(true));
    assert_eq!(imported["imported"][0]["secret"], true);
    let id = imported["imported"][0]["id"].clone();
    host.good("keys/lock", json!({}));
    assert_eq!(
        host.good("keys/show", json!({"id": id}))["key"]["secret"],
        "locked"
    );
    let until = host.good("keys/unlock", json!({"id": id}));
    assert!(chrono::DateTime::parse_from_rfc3339(until["until"].as_str().unwrap()).is_ok());
    let signed = host.good("text/sign", json!({"text": {"text": "mine"}}));
    let text = host.bytes(&signed["text"]);
    let body = host.body(&text);
    let verified = host.good(
        "text/verify",
        json!({"text": body, "expect": "brought@sealpost.example"}),
    );
    assert_eq!(verified["segments"][0]["signed"], "good", "{verified}");
}

#[test]
fn exporting_a_secret_wraps_it() {
    let it = locked();
    let mut host = it.home.start();
    it.pinentry.answers(&[PASSPHRASE]);
    let out = host.good("keys/export", json!({"ids": [it.id], "secret": true}));
    let armor = host.bytes(&out["data"]);
    use sequoia_openpgp::parse::Parse;
    let cert = sequoia_openpgp::Cert::from_bytes(&armor).unwrap();
    assert!(cert.is_tsk());
    assert_eq!(
        cert.keys().unencrypted_secret().count(),
        0,
        "a secret left unprotected"
    );
    let passphrase = sequoia_openpgp::crypto::Password::from(PASSPHRASE);
    for key in cert.keys().secret() {
        key.key().clone().decrypt_secret(&passphrase).unwrap();
    }
}

#[test]
fn confirmations_are_asked_outside_the_browser() {
    let pinentry = Pinentry::new(&["yes"]);
    let home = Home::new().pinentry(&pinentry).confirm(None);
    let mut host = home.start();
    let id = crate::harness::generate(&mut host, "Me", ME, "compatible");
    let before = pinentry.count("confirm");
    host.good(
        "keys/accept",
        json!({"id": id, "address": ME, "level": "verified"}),
    );
    assert_eq!(pinentry.count("confirm"), before + 1);
    pinentry.answers(&["%cancel"]);
    let fault = host.fault("keys/delete", json!({"id": id, "secret": true}));
    assert_eq!(fault.kind(), "consent.denied");
    assert_eq!(
        host.good("keys/list", json!({}))["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // ask: "never" never opens a dialog.
    let before = pinentry.count("confirm");
    let fault = host.fault(
        "keys/delete",
        json!({"id": id, "secret": true, "ask": "never"}),
    );
    assert_eq!(fault.kind(), "consent.denied");
    assert_eq!(pinentry.count("confirm"), before);
    // A client is never asked for a yes: that is what a compromised one would say.
    let home = home.env("SEALPOST_PINENTRY", "none");
    let mut host = home.start();
    host.hello();
    let fault = host.fault("keys/delete", json!({"id": id, "secret": true}));
    assert_eq!(fault.kind(), "consent.denied");
    assert!(host.questions.is_empty());
}

#[test]
fn a_closing_client_leaves_no_dialog_behind_even_when_killed() {
    let it = locked();
    it.pinentry.answers(&["%wait"]);
    let mut host: Host = it.home.start();
    let body = crate::harness::body(&it.message);
    host.send("message/open", json!({"message": body}));
    it.pinentry.until("waiting", 1);
    let pid = last_pid(&it.pinentry, "waiting");
    host.kill();
    let deadline = Instant::now() + Duration::from_secs(20);
    while alive(pid) {
        assert!(Instant::now() < deadline, "the dialog outlived its host");
        std::thread::sleep(Duration::from_millis(20));
    }
}
