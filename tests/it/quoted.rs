//! Local parts in quotation marks: what needs none is the same address without, wherever an
//! address is compared; what needs them keeps them.

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import, seal};
use crate::questions::{made, say};

const BOB: &str = "bob@quoted.example";
const QUOTED: &str = "\"bob\"@quoted.example";
const ESCAPED: &str = "\"\\b\\ob\"@quoted.example";
const MALLORY: &str = "mallory@quoted.example";

fn make(host: &mut Host, protocol: &str, address: &str) -> Value {
    let params = json!({"protocol": protocol, "address": address, "passphrase": "none"});
    host.good("keys/generate", params)["key"].clone()
}

/// A signed message whose sender's field says this.
fn from(host: &mut Host, field: &str) -> Vec<u8> {
    let draft = json!({"from": MALLORY, "to": [BOB], "subject": "s", "text": {"text": "words"}});
    let protect = json!({"sign": true, "encrypt": false, "scheme": "inline"});
    let reply = seal(host, draft, protect);
    let message = host.bytes(&reply["messages"][0]["message"]);
    let text = String::from_utf8(message).unwrap();
    let line = text.lines().find(|line| line.starts_with("From:")).unwrap();
    text.replacen(line, &format!("From: {field}"), 1)
        .into_bytes()
}

#[test]
fn quotes_make_no_other_address() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let (right, wrong) = (made(BOB), made(MALLORY));
    for one in [&right, &wrong] {
        import(&mut host, &one.public, Value::Null);
    }
    say(&mut host, &right.id, BOB, "verified");
    let home = home.confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    for address in [BOB, QUOTED, ESCAPED, "\"BOB\"@Quoted.example"] {
        for level in ["accepted", "verified"] {
            let params = json!({"id": wrong.id, "address": address, "level": level});
            let fault = host.fault("keys/accept", params);
            assert_eq!(fault.kind(), "consent.denied", "{address}");
        }
        let plan = host.good(
            "message/plan",
            json!({"to": [address], "protect": {"sign": false, "encrypt": true}}),
        );
        let party = &plan["recipients"][0];
        assert_eq!(party["state"], "ready", "{address}");
        assert_eq!(party["keys"][0]["id"], json!(right.id));
        assert_eq!(party["keys"][0]["acceptance"], "verified");
    }
    // What needs its quotes is somebody else.
    let plan = host.good(
        "message/plan",
        json!({"to": ["\"bob \"@quoted.example", "\"b ob\"@quoted.example"],
               "protect": {"sign": false, "encrypt": true}}),
    );
    for party in plan["recipients"].as_array().unwrap() {
        assert_eq!(party["state"], "no-key");
    }
}

#[test]
fn who_signed_is_compared_without_the_quotes() {
    let theirs = Home::new();
    let mut them = theirs.start();
    let id = generate(&mut them, "Mallory", MALLORY, "compatible");
    let cert = export(&mut them, &[&id]);
    let home = Home::new();
    let mut host = home.start();
    import(&mut host, cert.as_bytes(), json!(true));
    for (field, matches) in [
        ("\"mallory\"@quoted.example", true),
        ("M <\"mallory\"@quoted.example>", true),
        ("M <\"\\mallory\"@quoted.example>", true),
        ("\"mallory \"@quoted.example", false),
        ("\"mal\\\"lory\"@quoted.example", false),
        ("mal\"lory\"@quoted.example", false),
    ] {
        let message = from(&mut them, field);
        let opened = host.open(&message).unwrap();
        let good = opened["summary"]["signed"] == "good";
        assert_eq!(
            good, matches,
            "{field}: {} {}",
            opened["headers"]["from"], opened["summary"]
        );
        if matches {
            let address = &opened["headers"]["from"]["addresses"][0]["address"];
            assert_eq!(address, MALLORY, "{}", opened["headers"]["from"]);
        }
    }
}

#[test]
fn a_key_for_a_quoted_local_part_names_it() {
    for protocol in ["openpgp", "smime"] {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let key = make(&mut host, protocol, QUOTED);
        assert_eq!(key["addresses"], json!([BOB]), "{protocol}");
        assert_eq!(key["acceptance"][BOB], "accepted", "{protocol}");
        let spaced = "\"b ob\"@quoted.example";
        let key = make(&mut host, protocol, spaced);
        assert_eq!(key["addresses"], json!([spaced]), "{protocol}");
        let plan = host.good(
            "message/plan",
            json!({"from": spaced, "to": [spaced, BOB],
                   "protect": {"sign": true, "encrypt": true}}),
        );
        assert_eq!(plan["possible"], true, "{protocol}: {plan}");
    }
    let home = Home::new();
    let mut host = home.start();
    let id = generate(&mut host, "Me", MALLORY, "compatible");
    let spaced = "\"b@ob\"@quoted.example";
    for address in [QUOTED, spaced] {
        let reply = host.good("keys/address", json!({"id": id, "add": address}));
        let addresses = reply["key"]["addresses"].as_array().unwrap().clone();
        let named = if address == QUOTED { BOB } else { spaced };
        assert!(addresses.contains(&json!(named)), "{addresses:?}");
        assert_eq!(reply["key"]["name"], "Me");
    }
    let reply = host.good("keys/address", json!({"id": id, "retire": spaced}));
    assert_eq!(reply["key"]["addresses"], json!([MALLORY, BOB]));
}

/// What no user id has a place for is refused, not made without a name.
#[test]
fn an_address_that_a_key_cannot_name_is_an_error() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let params = json!({"protocol": "openpgp", "address": "\"b ob\"@quoted.example",
                        "name": "A \"B\" C", "passphrase": "none"});
    let fault = host.fault("keys/generate", params);
    assert_eq!(
        (fault.kind(), &fault.data["path"]),
        ("request.invalid", &json!("/address"))
    );
    assert_eq!(host.good("keys/list", json!({}))["keys"], json!([]));
    let id = generate(&mut host, "Me", BOB, "compatible");
    let fault = host.fault(
        "keys/address",
        json!({"id": id, "add": "\"b ob\"@quoted.example", "name": "A \"B\" C"}),
    );
    assert_eq!(fault.data["path"], "/add");
}

#[test]
fn certificates_with_quotes_name_whom_they_name() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let cert = made(QUOTED);
    let reply = import(&mut host, &cert.public, json!(true));
    assert_eq!(reply["imported"][0]["id"], json!(cert.id));
    let shown = host.good("keys/show", json!({"id": cert.id}));
    assert_eq!(shown["key"]["addresses"], json!([BOB]));
    assert_eq!(shown["key"]["name"], "Somebody");
    for user in [
        "x@quoted.example <\"bob\"@quoted.example>",
        "A <\"bob\"x@quoted.example>",
    ] {
        let (cert, _) = sequoia_openpgp::cert::CertBuilder::general_purpose(Some(user))
            .generate()
            .unwrap();
        let bytes = sequoia_openpgp::serialize::SerializeInto::to_vec(&cert).unwrap();
        let id = import(&mut host, &bytes, Value::Null)["imported"][0]["id"].clone();
        let shown = host.good("keys/show", json!({"id": id}));
        assert_eq!(shown["key"]["addresses"], json!([]), "{user}");
    }
}
