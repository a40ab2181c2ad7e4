//! What an extension can't do alone: what is asked, of what the person is told, and that without
//! a yes nothing changes.

use chrono::{Duration, Utc};
use sequoia_openpgp::Packet;
use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::serialize::SerializeInto as _;
use serde_json::{Value, json};

use crate::harness::{Home, Host, Pinentry, generate, import};

pub const ME: &str = "me@sealpost.example";
pub const BOB: &str = "bob@sealpost.example";

/// A key that was made elsewhere.
pub struct Made {
    pub id: String,
    pub public: Vec<u8>,
    /// Under no passphrase.
    pub secret: Vec<u8>,
    /// Under the passphrase `brought`.
    pub wrapped: Vec<u8>,
}

pub fn made(address: &str) -> Made {
    let user = format!("Somebody <{address}>");
    let (cert, _) = CertBuilder::general_purpose(Some(user)).generate().unwrap();
    let mut wrapped = cert.clone();
    for (place, key) in cert.keys().secret().enumerate() {
        let key = key.key().clone().encrypt_secret(&"brought".into()).unwrap();
        let packet: Packet = match place {
            0 => key.role_into_primary().into(),
            _ => key.role_into_subordinate().into(),
        };
        wrapped = wrapped.insert_packets(vec![packet]).unwrap().0;
    }
    Made {
        id: format!("openpgp:{:X}", cert.fingerprint()),
        public: cert.armored().to_vec().unwrap(),
        secret: cert.as_tsk().armored().to_vec().unwrap(),
        wrapped: wrapped.as_tsk().armored().to_vec().unwrap(),
    }
}

pub fn days(days: i64) -> String {
    let then = Utc::now() + Duration::days(days);
    then.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

pub fn say(host: &mut Host, id: &str, address: &str, level: &str) {
    host.good(
        "keys/accept",
        json!({"id": id, "address": address, "level": level}),
    );
}

fn acceptance(host: &mut Host, id: &str, address: &str) -> String {
    let shown = host.good("keys/show", json!({"id": id}));
    let level = &shown["key"]["acceptance"][address];
    level.as_str().unwrap().to_owned()
}

#[track_caller]
pub fn denied(host: &mut Host, method: &str, params: Value) {
    match host.call(method, params.clone()) {
        Ok(reply) => panic!("{method} {params} asked nothing: {reply}"),
        Err(fault) => assert_eq!(fault.kind(), "consent.denied", "{method} {params}"),
    }
}

/// The number of keys here, and of own ones.
fn count(host: &mut Host) -> (usize, usize) {
    let keys = host.good("keys/list", json!({}))["keys"].clone();
    let keys = keys.as_array().unwrap();
    let own = keys.iter().filter(|key| key["secret"] != "none");
    (keys.len(), own.count())
}

#[test]
fn what_the_person_verified_no_program_takes_back() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let own = generate(&mut host, "Me", ME, "compatible");
    let (right, other, mine) = (made(BOB), made(BOB), made(ME));
    import(&mut host, &right.public, Value::Null);
    say(&mut host, &right.id, BOB, "verified");
    import(&mut host, &other.public, Value::Null);
    import(&mut host, &mine.public, Value::Null);

    let home = home.confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    for level in ["rejected", "undecided", "accepted"] {
        let against = json!({"id": right.id, "address": BOB, "level": level});
        denied(&mut host, "keys/accept", against);
    }
    // Nor does another key come to count beside it, or beside an own one.
    for (id, address) in [(&other.id, BOB), (&mine.id, ME)] {
        let beside = json!({"id": id, "address": address, "level": "accepted"});
        denied(&mut host, "keys/accept", beside);
        let settled = json!({"address": address, "keep": id});
        denied(&mut host, "keys/settle", settled);
    }
    let settled = json!({"address": BOB, "keep": other.id, "reject": [right.id]});
    denied(&mut host, "keys/settle", settled);
    for level in ["rejected", "undecided"] {
        let against = json!({"id": own, "address": ME, "level": level});
        denied(&mut host, "keys/accept", against);
    }
    assert_eq!(acceptance(&mut host, &right.id, BOB), "verified");
    assert_eq!(acceptance(&mut host, &own, ME), "accepted");
    assert_eq!(acceptance(&mut host, &other.id, BOB), "undecided");

    // What speaks for the key that the person verified is asked about as little as before.
    let settled = json!({"address": BOB, "keep": right.id, "reject": [other.id]});
    host.good("keys/settle", settled);
    assert_eq!(acceptance(&mut host, &right.id, BOB), "verified");
    assert_eq!(acceptance(&mut host, &other.id, BOB), "rejected");
    say(&mut host, &own, ME, "accepted");
    say(&mut host, &other.id, BOB, "undecided");

    // The dialog says which key, for whom, what it was and what it will be.
    let pinentry = Pinentry::new(&["yes"]);
    let home = home.confirm(None).pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    say(&mut host, &right.id, BOB, "rejected");
    let said = pinentry.descriptions();
    for word in [&right.id["openpgp:".len()..], BOB, "verified", "rejected"] {
        assert!(said.contains(word), "no {word} in {said}");
    }
    assert_eq!(acceptance(&mut host, &right.id, BOB), "rejected");
}

#[test]
fn an_end_comes_nearer_only_with_a_yes() {
    let home = Home::new().confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    let make = |address: &str, expires: Value| json!({"protocol": "openpgp", "address": address, "passphrase": "none", "expires": expires});
    let ends = host.good("keys/generate", make(ME, json!(days(100))))["key"]["id"].clone();
    let endless = host.good("keys/generate", make(BOB, Value::Null))["key"]["id"].clone();
    let soon = (Utc::now() + Duration::hours(20)).to_rfc3339();
    for (id, expires) in [
        (&ends, days(99)),
        (&ends, soon.clone()),
        (&endless, days(4000)),
    ] {
        denied(
            &mut host,
            "keys/renew",
            json!({"id": id, "expires": expires}),
        );
    }
    let shown = host.good("keys/show", json!({"id": endless}));
    assert_eq!(shown["key"]["expires"], Value::Null);
    host.good("keys/renew", json!({"id": ends, "expires": days(101)}));
    // Of S/MIME nothing changes but by its authority.
    let made = host.good(
        "keys/generate",
        json!({"protocol": "smime", "address": "s@sealpost.example", "passphrase": "none"}),
    );
    let id = made["key"]["id"].clone();
    let renewed = host.good("keys/renew", json!({"id": id, "expires": soon}));
    assert!(renewed["request"].is_object());

    let pinentry = Pinentry::new(&["yes"]);
    let home = home.confirm(None).pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    let nearer = days(50);
    host.good("keys/renew", json!({"id": ends, "expires": nearer}));
    let said = pinentry.descriptions();
    let (day, before) = (&nearer[..10], &days(101)[..10]);
    for word in [day, before, ME, &ends.as_str().unwrap()["openpgp:".len()..]] {
        assert!(said.contains(word), "no {word} in {said}");
    }
}

#[test]
fn an_address_that_another_key_has_is_claimed_only_with_a_yes() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let bob = made(BOB);
    import(&mut host, &bob.public, Value::Null);
    let own = generate(&mut host, "Me", ME, "compatible");
    let second = generate(&mut host, "Second", "second@sealpost.example", "compatible");
    let before = count(&mut host);

    let home = home.confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    for protocol in ["openpgp", "smime"] {
        for address in [BOB, ME] {
            let make = json!({"protocol": protocol, "address": address, "passphrase": "none"});
            denied(&mut host, "keys/generate", make);
        }
    }
    for address in [BOB, ME] {
        denied(
            &mut host,
            "keys/address",
            json!({"id": second, "add": address}),
        );
        let made = made(address);
        for file in [&made.secret, &made.wrapped] {
            let data = host.body(file);
            denied(&mut host, "keys/import", json!({"data": data}));
        }
    }
    assert_eq!(count(&mut host), before);
    // The secret half of a known key gives itself out for nobody else.
    let data = host.body(&bob.wrapped);
    host.good("keys/import", json!({"data": data}));
    // Nobody is asked about an address that nobody has.
    let new = made("new@sealpost.example");
    let data = host.body(&new.secret);
    let reply = host.good("keys/import", json!({"data": data}));
    assert_eq!(reply["imported"][0]["secret"], true);
    host.good(
        "keys/address",
        json!({"id": second, "add": "third@sealpost.example"}),
    );
    // A copy of an own key that lies under nothing.
    let data = host.body(&new.secret);
    denied(&mut host, "keys/import", json!({"data": data}));

    let pinentry = Pinentry::new(&["yes"]);
    let home = home.confirm(None).pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    let make = json!({"protocol": "openpgp", "address": ME, "passphrase": "none"});
    let made = host.good("keys/generate", make);
    assert_eq!(made["key"]["acceptance"][ME], "accepted");
    assert_eq!(made["key"]["conflicts"], json!([]));
    let said = pinentry.descriptions();
    for word in [ME, &own["openpgp:".len()..]] {
        assert!(said.contains(word), "no {word} in {said}");
    }
    assert_eq!(pinentry.count("confirm"), 1);
}

#[test]
fn a_setup_message_claims_no_address_alone() {
    let pinentry = Pinentry::new(&["seen"]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Me", ME, "compatible");
    let reply = host.good("autocrypt/setup", json!({"id": id}));
    let message = host.bytes(&reply["message"].clone());
    let code = crate::setup::code_in(&pinentry.descriptions()).unwrap();

    let pinentry = Pinentry::new(&[&code]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    import(&mut host, &made(ME).public, Value::Null);
    let home = home.confirm(Some("no"));
    let mut host = home.start();
    let data = host.body(&message);
    denied(&mut host, "keys/import", json!({"data": data}));
    assert_eq!(count(&mut host), (1, 0));
}
