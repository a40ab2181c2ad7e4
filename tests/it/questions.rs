//! What an extension can't do alone: what is asked, of what the person is told, and that without
//! a yes nothing changes.

use chrono::{Duration, Utc};
use sequoia_openpgp::Packet;
use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::serialize::SerializeInto as _;
use serde_json::{Value, json};

use crate::harness::{Home, Host, Pinentry, export, generate, import};

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

/// The same key with one more address.
pub fn also(key: &Made, address: &str) -> Vec<u8> {
    use sequoia_openpgp::Cert;
    use sequoia_openpgp::packet::UserID;
    use sequoia_openpgp::packet::signature::SignatureBuilder;
    use sequoia_openpgp::parse::Parse as _;
    use sequoia_openpgp::types::SignatureType;
    let cert = Cert::from_bytes(&key.secret).unwrap();
    let mut signer = cert
        .primary_key()
        .key()
        .clone()
        .parts_into_secret()
        .unwrap()
        .into_keypair()
        .unwrap();
    let user = UserID::from(format!("Somebody <{address}>"));
    let builder = SignatureBuilder::new(SignatureType::PositiveCertification);
    let signature = user.bind(&mut signer, &cert, builder).unwrap();
    let packets: [Packet; 2] = [user.into(), signature.into()];
    let (cert, _) = cert.insert_packets(packets).unwrap();
    cert.armored().to_vec().unwrap()
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

pub fn acceptance(host: &mut Host, id: &str, address: &str) -> String {
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
    // The later of two words of one key counts, to the second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
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
    for (protocol, address) in [("openpgp", BOB), ("openpgp", ME), ("smime", BOB)] {
        let make = json!({"protocol": protocol, "address": address, "passphrase": "none"});
        denied(&mut host, "keys/generate", make);
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
    // Nor is the way there to reject the other first.
    say(&mut host, &bob.id, BOB, "rejected");
    let make = json!({"protocol": "openpgp", "address": BOB, "passphrase": "none"});
    denied(&mut host, "keys/generate", make);
    // Who begins has a key of each family made.
    let both = json!({"protocol": "smime", "address": ME, "passphrase": "none"});
    host.good("keys/generate", both);
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

/// A key that nobody was asked about does not come to count for somebody else later.
#[test]
fn an_own_key_claims_no_address_by_acceptance_or_by_an_update() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    generate(&mut host, "Me", ME, "compatible");
    let bob = made(BOB);
    import(&mut host, &bob.public, Value::Null);
    let home = home.confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    let eve = made("eve@sealpost.example");
    let data = host.body(&eve.secret);
    host.good("keys/import", json!({"data": data}));
    for address in [BOB, ME] {
        let accept = json!({"id": eve.id, "address": address, "level": "accepted"});
        denied(&mut host, "keys/accept", accept);
        denied(
            &mut host,
            "keys/settle",
            json!({"address": address, "keep": eve.id}),
        );
    }
    // Its maker says that it has more addresses.
    let elsewhere = Home::new();
    let mut other = elsewhere.start();
    import(&mut other, &eve.secret, Value::Null);
    for address in [BOB, ME] {
        other.good("keys/address", json!({"id": eve.id, "add": address}));
        let update = export(&mut other, &[&eve.id]);
        let data = host.body(update.as_bytes());
        denied(&mut host, "keys/import", json!({"data": data}));
        other.good("keys/address", json!({"id": eve.id, "retire": address}));
    }
}

#[test]
fn what_comes_once_more_stays_as_it_was_decided() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let (bob, other) = (made(BOB), made(BOB));
    import(&mut host, &bob.public, Value::Null);
    say(&mut host, &bob.id, BOB, "verified");
    import(&mut host, &bob.public, json!(true));
    assert_eq!(acceptance(&mut host, &bob.id, BOB), "verified");
    // Accepting one of a conflict ends it, by whichever road.
    import(&mut host, &other.public, Value::Null);
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    import(&mut host, &other.public, json!(true));
    assert_eq!(acceptance(&mut host, &other.id, BOB), "accepted");
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"], json!([]));
}

#[test]
fn what_is_impossible_is_told_before_anybody_is_asked() {
    let home = Home::new().confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    let own = generate(&mut host, "Me", ME, "compatible");
    let make = json!({"protocol": "smime", "address": "s@sealpost.example", "passphrase": "none"});
    let smime = host.good("keys/generate", make)["key"]["id"].clone();
    let nobody = format!("smime:{}", "AB".repeat(32));
    for (method, params, kind) in [
        ("keys/revoke", json!({"id": smime}), "request.invalid"),
        (
            "keys/address",
            json!({"id": smime, "retire": ME}),
            "request.invalid",
        ),
        (
            "keys/address",
            json!({"id": smime, "add": BOB}),
            "request.invalid",
        ),
        (
            "keys/address",
            json!({"id": own, "retire": BOB}),
            "request.invalid",
        ),
        (
            "keys/address",
            json!({"id": own, "retire": ME}),
            "request.invalid",
        ),
        (
            "keys/subkey",
            json!({"id": smime, "retire": "AB"}),
            "request.invalid",
        ),
        (
            "keys/subkey",
            json!({"id": own, "retire": "0123456789ABCDEF"}),
            "request.invalid",
        ),
        ("keys/introduce", json!({"id": smime}), "request.invalid"),
        (
            "keys/export",
            json!({"ids": [own], "secret": true, "format": "pkcs12"}),
            "request.invalid",
        ),
        (
            "keys/export",
            json!({"ids": [smime], "secret": true, "format": "armored"}),
            "request.invalid",
        ),
        ("anchors/remove", json!({"id": nobody}), "key.missing"),
        ("keys/delete", json!({"id": own}), "request.invalid"),
        ("keys/delete", json!({"id": nobody}), "key.missing"),
        (
            "keys/accept",
            json!({"id": nobody, "address": BOB, "level": "verified"}),
            "key.missing",
        ),
    ] {
        let fault = host.fault(method, params.clone());
        assert_eq!(fault.kind(), kind, "{method} {params}");
    }
    let revoked = home.confirm(Some("yes"));
    let mut host = revoked.start();
    host.good("keys/revoke", json!({"id": own}));
    let revoked = revoked.confirm(Some("no"));
    let mut host = revoked.start();
    let fault = host.fault("keys/renew", json!({"id": own, "expires": days(1)}));
    assert_eq!(fault.kind(), "key.unusable");
    let fault = host.fault(
        "keys/address",
        json!({"id": own, "add": "n@sealpost.example"}),
    );
    assert_eq!(fault.kind(), "key.unusable");
}

/// What a dialog says: a verb that fits, of what, and what follows.
#[test]
fn a_dialog_says_what_is_done_to_what_and_what_follows() {
    let pinentry = Pinentry::new(&["yes"]);
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let own = generate(&mut host, "Me", ME, "compatible");
    let more = "more@sealpost.example";
    host.good("keys/address", json!({"id": own, "add": more}));
    let shown = host.good("keys/subkey", json!({"id": own, "add": "encrypt"}));
    let subkey = shown["key"]["keyIds"][1].as_str().unwrap().to_owned();
    let bob = made(BOB);
    import(&mut host, &bob.public, Value::Null);
    let home = home.confirm(None).pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    let hex = |id: &str| id["openpgp:".len()..].to_owned();
    let mut seen = 0;
    for (method, params, words) in [
        (
            "keys/accept",
            json!({"id": bob.id, "address": BOB, "level": "verified"}),
            vec![
                "Accept this key as verified?",
                BOB,
                "Compare",
                "take it back",
            ],
        ),
        (
            "keys/address",
            json!({"id": own, "retire": more}),
            vec!["Revoke this?", "the address more@", "can't be taken back"],
        ),
        (
            "keys/subkey",
            json!({"id": own, "retire": subkey}),
            vec!["Revoke this?", "the subkey", &subkey],
        ),
        (
            "keys/export",
            json!({"ids": [own], "secret": true}),
            vec!["Give out this secret key?", ME, "can't be called back"],
        ),
        (
            "backup/write",
            json!({}),
            vec!["Give out all your keys in a backup?", "sign as you"],
        ),
        (
            "keys/delete",
            json!({"id": bob.id}),
            vec!["Delete this key?", &hex(&bob.id), "brought in again"],
        ),
        (
            "keys/revoke",
            json!({"id": own}),
            vec!["Revoke this?", "the whole key", &hex(&own)],
        ),
        (
            "keys/delete",
            json!({"id": own, "secret": true}),
            vec![
                "Delete this secret key?",
                &hex(&own),
                "can't be read any more",
            ],
        ),
    ] {
        host.good(method, params);
        let all = pinentry.descriptions();
        let said = &all[seen..];
        for word in words {
            assert!(said.contains(word), "{method}: no {word} in {said}");
        }
        seen = all.len();
    }
    assert_eq!(count(&mut host), (0, 0));
}

/// A key whose secret half lies on a token is not lost with its certificate.
#[test]
fn deleting_what_lies_on_a_token_says_so() {
    let Some(ca) = crate::smime::Ca::new() else {
        return;
    };
    let people = [("card", "ec:P-256", ME)];
    let Some(soft) = crate::tokens::Soft::with(&ca, &people) else {
        return;
    };
    let pinentry = Pinentry::new(&["yes"]);
    let home = soft.home(&pinentry).confirm(None);
    let mut host = home.start();
    host.hello();
    let taken = host.good("keys/tokens", json!({}));
    let id = taken["imported"][0]["id"].clone();
    host.good("keys/delete", json!({"id": id, "secret": true}));
    let said = pinentry.descriptions();
    assert!(
        said.contains("Delete this key?") && said.contains("stays on the token"),
        "{said}"
    );
    let taken = host.good("keys/tokens", json!({}));
    assert_eq!(
        taken["imported"],
        json!([{"id": id, "change": "new", "secret": true}])
    );
}

#[test]
fn a_restore_says_what_it_changes_and_brings_no_rules_that_allow_more() {
    use crate::backup::{read, write};
    let rules = "unlock-seconds = 60\nunconfirmed = [\"delete-key\"]\n";
    let elsewhere = Home::new().policy(rules);
    let mut other = crate::life::asking(&elsewhere);
    let own = generate(&mut other, "Me", ME, "compatible");
    let (bob, carol) = (made(BOB), made("carol@sealpost.example"));
    let (dan, eve) = (made("dan@sealpost.example"), made("eve@sealpost.example"));
    for one in [&bob, &carol, &dan, &eve] {
        import(&mut other, &one.public, Value::Null);
    }
    say(&mut other, &bob.id, BOB, "verified");
    say(&mut other, &carol.id, "carol@sealpost.example", "accepted");
    say(&mut other, &dan.id, "dan@sealpost.example", "rejected");
    other.good(
        "keys/introduce",
        json!({"id": bob.id, "domains": ["sealpost.example"]}),
    );
    let backup = write(&mut other);

    // Here somebody has verified what is rejected there, before.
    let home = Home::new();
    let mut host = home.start();
    import(&mut host, &made(ME).public, Value::Null);
    import(&mut host, &eve.public, Value::Null);
    say(&mut host, &eve.id, "eve@sealpost.example", "verified");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    say(&mut other, &eve.id, "eve@sealpost.example", "rejected");
    let newer = write(&mut other);
    drop(host);
    let pinentry = Pinentry::new(&[crate::backup::PHRASE]);
    let home = home.confirm(None).pinentry(&pinentry);
    let mut host = home.start();
    let data = host.body(&newer);
    let done = host.good("backup/read", json!({"data": data}));
    assert_eq!(done["restored"]["policy"], false);
    let skipped = json!([{"reason": "rules-allow-more"}]);
    assert_eq!(done["skipped"], skipped);
    assert!(!home.path().join("policy.toml").exists());
    let said = pinentry.descriptions();
    let hex = |id: &str| id["openpgp:".len()..].to_owned();
    for word in [
        "2 accepted, 1 verified, 2 rejected".to_owned(),
        format!("verified: {BOB} {}", hex(&bob.id)),
        format!(
            "against what you have said: the key {} for eve@sealpost.example: verified so far, \
             rejected then",
            hex(&eve.id)
        ),
        format!(
            "may vouch for others: {} for addresses at sealpost.example",
            hex(&bob.id)
        ),
        format!(
            "claimed as your own: {} {ME} (another key has it)",
            hex(&own)
        ),
        "rules that allow more and are left out: ".to_owned(),
        "unconfirmed".to_owned(),
    ] {
        assert!(said.contains(&word), "no {word} in {said}");
    }

    // Rules that only forbid are named, and come along.
    let elsewhere = Home::new().policy("unlock-seconds = 60\nask-client = true\n");
    let mut other = crate::life::asking(&elsewhere);
    let strict = write(&mut other);
    let pinentry = Pinentry::new(&[crate::backup::PHRASE]);
    let home = Home::new().confirm(None).pinentry(&pinentry);
    let mut host = home.start();
    let data = host.body(&strict);
    let done = host.good("backup/read", json!({"data": data}));
    assert_eq!(done["restored"]["policy"], true);
    assert!(
        pinentry
            .descriptions()
            .contains("rules of your own: unlock-seconds")
    );
    assert!(read(&mut crate::life::asking(&Home::new()), &backup).is_ok());
}
