//! Who must not be seen: nobody but a Bcc recipient and the sender learns of them.

use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::harness::{Home, Host, amount, export, generate, import};
use crate::mime::{dearmor, head_of};

const ALICE: &str = "alice@sealpost.example";
/// What may be random is of the same length in all, so that sizes can be compared.
const PEOPLE: [&str; 4] = [
    "bobby@sealpost.example",
    "carol@sealpost.example",
    "david@sealpost.example",
    "ellen@sealpost.example",
];

struct World {
    _home: Home,
    alice: Host,
}

fn smime(host: &mut Host, address: &str) -> Vec<u8> {
    let made = host.good(
        "keys/generate",
        json!({"protocol": "smime", "name": "S", "address": address, "passphrase": "none"}),
    );
    let pem = host.good(
        "keys/export",
        json!({"ids": [made["key"]["id"]], "format": "pem"}),
    );
    host.bytes(&pem["data"])
}

/// Alice with keys of both families, and four people with keys of both.
fn world() -> World {
    let home = Home::new();
    let mut alice = home.start();
    generate(&mut alice, "Alice", ALICE, "compatible");
    smime(&mut alice, ALICE);
    for address in PEOPLE {
        let other = Home::new();
        let mut peer = other.start();
        let id = generate(&mut peer, "Peer", address, "compatible");
        let cert = export(&mut peer, &[&id]);
        import(&mut alice, cert.as_bytes(), json!(true));
        let cert = smime(&mut peer, address);
        import(&mut alice, &cert, json!([address]));
    }
    World { _home: home, alice }
}

/// How many recipients an envelope names, as GnuPG or OpenSSL reads it.
fn recipients(message: &[u8], family: &str) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m");
    let (output, mark): (_, &[&str]) = match family {
        "openpgp" => {
            std::fs::write(&file, dearmor(message)).unwrap();
            let mut gpg = Command::new("gpg");
            gpg.args(["--batch", "--list-only", "--list-packets", "--homedir"]);
            (
                gpg.arg(dir.path())
                    .arg(&file)
                    .output()
                    .expect("gpg is installed"),
                &[":pubkey enc packet:"],
            )
        }
        _ => {
            std::fs::write(&file, message).unwrap();
            let mut openssl = Command::new("openssl");
            openssl.args(["cms", "-cmsout", "-print", "-noout", "-in"]);
            (
                openssl.arg(&file).output().expect("openssl is installed"),
                &["d.ktri:", "d.kari:"],
            )
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = text
        .lines()
        .filter(|line| mark.iter().any(|mark| line.trim_start().starts_with(mark)))
        .count();
    assert!(
        count > 0,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    count
}

fn sorted(value: &Value) -> Vec<String> {
    let mut list: Vec<String> = serde_json::from_value(value.clone()).unwrap();
    list.sort();
    list
}

/// One set of recipients, sealed and looked at.
fn check(world: &mut World, to: &[&str], bcc: &[&str], family: &str, protect: &Value) {
    let case = format!("{family} {protect} to {to:?} bcc {bcc:?}");
    let encrypt = protect["encrypt"] == json!(true);
    let mut draft = json!({"from": ALICE, "to": to, "subject": "s", "text": {"text": "words"},
        "date": "2026-01-02T03:04:05Z", "messageId": "one@sealpost.example"});
    let mut protect = protect.clone();
    protect["protocol"] = json!(family);
    let alone = crate::harness::seal(&mut world.alice, draft.clone(), protect.clone());
    draft["bcc"] = json!(bcc);
    let sealed = crate::harness::seal(&mut world.alice, draft, protect);
    let hidden: Vec<&str> = bcc
        .iter()
        .copied()
        .filter(|who| !to.contains(who))
        .collect();

    let mut envelopes: Vec<(Vec<String>, Vec<u8>)> = Vec::new();
    for envelope in sealed["messages"].as_array().unwrap() {
        let bytes = world.alice.bytes(&envelope["message"]);
        envelopes.push((sorted(&envelope["to"]), bytes));
    }
    assert_eq!(envelopes.len(), 1 + hidden.len(), "{case}");
    let mut served: Vec<String> = envelopes.iter().flat_map(|(to, _)| to.clone()).collect();
    served.sort();
    let mut wanted: Vec<String> = to.iter().chain(&hidden).map(|a| (*a).to_owned()).collect();
    wanted.sort();
    assert_eq!(served, wanted, "{case}");

    let without = world.alice.bytes(&alone["messages"][0]["message"]);
    for (served, message) in &envelopes {
        let raw = String::from_utf8_lossy(message).into_owned();
        let opened = world.alice.open(message).unwrap();
        assert_eq!(opened["headers"].get("bcc"), None, "{case}");
        let told = json!([opened["headers"], opened["parts"], opened["keys"]]).to_string();
        for who in &hidden {
            assert!(
                !raw.contains(who) && !told.contains(who),
                "{case}: {who}\n{raw}"
            );
        }
        if encrypt {
            let own = if served.len() == to.len() && served.iter().all(|a| to.contains(&&**a)) {
                let (one, other) = (message.len(), without.len());
                // One more intended recipient would be thirty characters.
                assert!(
                    one.abs_diff(other) <= 16,
                    "{case}: {one} bytes, {other} without"
                );
                assert_eq!(
                    recipients(message, family),
                    recipients(&without, family),
                    "{case}"
                );
                to.len() + 1
            } else {
                2
            };
            assert_eq!(recipients(message, family), own, "{case}");
            let ours = opened["layers"][0]["recipients"].as_array().unwrap().len();
            assert_eq!(ours, own, "{case}");
        }
    }
    let sent = world.alice.bytes(&sealed["sent"]);
    let outside = head_of(&sent);
    for who in &hidden {
        assert!(!outside.contains(who), "{case}: {outside}");
    }
    if encrypt {
        assert_eq!(recipients(&sent, family), 1, "{case}");
    }
    let opened = world.alice.open(&sent).unwrap();
    let field = opened["headers"]["bcc"]["value"]
        .as_str()
        .unwrap_or_default();
    assert!(bcc.iter().all(|who| field.contains(who)), "{case}: {field}");
}

#[test]
fn no_other_envelope_names_a_bcc_recipient() {
    let mut world = world();
    let people = |least| proptest::sample::subsequence(PEOPLE.to_vec(), least..=3);
    let protect = prop_oneof![
        Just(json!({"sign": true, "encrypt": true})),
        Just(json!({"encrypt": true})),
        Just(json!({"sign": true})),
    ];
    let family = prop_oneof![Just("openpgp"), Just("smime")];
    let mut runner = TestRunner::new(ProptestConfig {
        cases: u32::try_from(amount(60, 1_000)).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    });
    let world = std::cell::RefCell::new(&mut world);
    runner
        .run(
            &(people(1), people(1), family, protect),
            |(to, bcc, family, protect)| {
                check(&mut world.borrow_mut(), &to, &bcc, family, &protect);
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn bcc_fields_of_a_message_are_taken_as_bcc() {
    let mut world = world();
    let message = "From: alice@sealpost.example\r\nTo: bobby@sealpost.example\r\n\
        Bcc: carol@sealpost.example\r\nBCC: Hidden: david@sealpost.example;\r\n\
        Resent-Bcc: ellen@sealpost.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain\r\n\r\nwords\r\n";
    for protect in [
        json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
        json!({"sign": true, "encrypt": true, "protocol": "smime"}),
        json!({"sign": true, "protocol": "openpgp"}),
    ] {
        let sealed = world.alice.good(
            "message/seal",
            json!({"message": {"text": message}, "protect": protect}),
        );
        let mut served: Vec<String> = Vec::new();
        for envelope in sealed["messages"].as_array().unwrap() {
            served.extend(sorted(&envelope["to"]));
            let bytes = world.alice.bytes(&envelope["message"]);
            let opened = world.alice.open(&bytes).unwrap().to_string();
            let raw = String::from_utf8_lossy(&bytes).into_owned() + &opened;
            for who in ["carol@", "david@", "ellen@", "esent-"] {
                assert!(!raw.contains(who), "{who} {raw}");
            }
        }
        served.sort();
        assert_eq!(served, PEOPLE[..3], "{protect}");
        let sent = world.alice.bytes(&sealed["sent"]);
        let opened = world.alice.open(&sent).unwrap();
        let field = opened["headers"]["bcc"]["value"].as_str().unwrap();
        assert!(
            field.contains("carol@") && field.contains("david@"),
            "{field}"
        );
    }
}

/// Alice with both families; two people with an OpenPGP key alone, two with a certificate alone.
fn divided() -> World {
    let home = Home::new();
    let mut alice = home.start();
    generate(&mut alice, "Alice", ALICE, "compatible");
    smime(&mut alice, ALICE);
    for (index, address) in PEOPLE.into_iter().enumerate() {
        let other = Home::new();
        let mut peer = other.start();
        if index % 2 == 0 {
            let id = generate(&mut peer, "Peer", address, "compatible");
            let cert = export(&mut peer, &[&id]);
            import(&mut alice, cert.as_bytes(), json!(true));
        } else {
            let cert = smime(&mut peer, address);
            import(&mut alice, &cert, json!([address]));
        }
    }
    World { _home: home, alice }
}

#[test]
fn one_message_in_both_families() {
    let mut world = divided();
    let [bobby, carol, david, ellen] = PEOPLE;
    for protect in [
        json!({"sign": true, "encrypt": true}),
        json!({"encrypt": true}),
    ] {
        let draft = json!({"from": ALICE, "to": [bobby, carol], "bcc": [david, ellen],
            "subject": "s", "text": {"text": "words"}});
        let sealed = crate::harness::seal(&mut world.alice, draft, protect.clone());
        let mut seen = Vec::new();
        for envelope in sealed["messages"].as_array().unwrap() {
            let message = world.alice.bytes(&envelope["message"]);
            let family = envelope["protocol"].as_str().unwrap().to_owned();
            let raw = String::from_utf8_lossy(&message).into_owned();
            let opened = world.alice.open(&message).unwrap();
            let told = json!([opened["headers"], opened["parts"], opened["keys"]]).to_string();
            assert!(
                ![david, ellen]
                    .iter()
                    .any(|who| raw.contains(who) || told.contains(who)),
                "{protect}: {raw}"
            );
            assert!(!told.contains("\"bcc\""), "{protect}: {told}");
            // Each with the sender, and nobody else.
            assert_eq!(recipients(&message, &family), 2, "{protect} {envelope}");
            seen.push((sorted(&envelope["to"]).join(" "), family));
        }
        seen.sort();
        let wanted = [
            (bobby, "openpgp"),
            (carol, "smime"),
            (david, "openpgp"),
            (ellen, "smime"),
        ]
        .map(|(who, family)| (who.to_owned(), family.to_owned()));
        assert_eq!(seen, wanted, "{protect}");
        let sent = world.alice.bytes(&sealed["sent"]);
        let opened = world.alice.open(&sent).unwrap();
        let family = opened["layers"][0]["protocol"].as_str().unwrap();
        assert_eq!(recipients(&sent, family), 1, "{protect}");
        let field = opened["headers"]["bcc"]["value"].as_str().unwrap();
        assert!(field.contains(david) && field.contains(ellen), "{field}");
        let outside = head_of(&sent);
        assert!(!outside.contains(david) && !outside.contains(ellen));
    }
}

#[test]
fn a_bcc_to_oneself_changes_nothing_for_others() {
    let mut world = world();
    for family in ["openpgp", "smime"] {
        let mut draft = json!({"from": ALICE, "to": [PEOPLE[0]], "subject": "s",
            "text": {"text": "words"}, "date": "2026-01-02T03:04:05Z",
            "messageId": "one@sealpost.example"});
        let protect = json!({"sign": true, "encrypt": true, "protocol": family});
        let alone = crate::harness::seal(&mut world.alice, draft.clone(), protect.clone());
        draft["bcc"] = json!([ALICE]);
        let sealed = crate::harness::seal(&mut world.alice, draft, protect);
        let messages = sealed["messages"].as_array().unwrap();
        let served: Vec<_> = messages.iter().map(|one| sorted(&one["to"])).collect();
        assert_eq!(
            served,
            [vec![PEOPLE[0].to_owned()], vec![ALICE.to_owned()]],
            "{family}"
        );
        let without = world.alice.bytes(&alone["messages"][0]["message"]);
        let message = world.alice.bytes(&messages[0]["message"]);
        assert_eq!(recipients(&message, family), 2, "{family}");
        assert!(message.len().abs_diff(without.len()) <= 16, "{family}");
        let own = world.alice.bytes(&messages[1]["message"]);
        assert_eq!(recipients(&own, family), 1, "{family}");
        for message in [&message, &own] {
            let opened = world.alice.open(message).unwrap();
            assert_eq!(opened["headers"].get("bcc"), None, "{family}");
        }
        let sent = world.alice.bytes(&sealed["sent"]);
        let opened = world.alice.open(&sent).unwrap();
        assert!(
            opened["headers"]["bcc"]["value"]
                .as_str()
                .unwrap()
                .contains(ALICE),
            "{family}"
        );
    }
}

#[test]
fn without_any_protection_the_senders_copy_alone_names_them() {
    let mut world = world();
    let draft = json!({"from": ALICE, "to": [PEOPLE[0]], "bcc": [PEOPLE[1], PEOPLE[2]],
        "subject": "s", "text": {"text": "words"}});
    let sealed = crate::harness::seal(&mut world.alice, draft, json!({}));
    let mut served = Vec::new();
    for envelope in sealed["messages"].as_array().unwrap() {
        assert_eq!(envelope["protocol"], "none");
        served.push(sorted(&envelope["to"]));
        let message = world.alice.bytes(&envelope["message"]);
        let raw = String::from_utf8_lossy(&message).to_lowercase();
        let names = |line: &str| line.starts_with("bcc") || line.starts_with("resent-bcc");
        assert!(!raw.lines().any(names), "{raw}");
        assert!(
            !raw.contains(PEOPLE[1]) && !raw.contains(PEOPLE[2]),
            "{raw}"
        );
    }
    assert_eq!(
        served,
        [PEOPLE[0], PEOPLE[1], PEOPLE[2]].map(|who| vec![who.to_owned()])
    );
    let sent = world.alice.bytes(&sealed["sent"]);
    // What lies unprotected in one's own folder says whom one wrote to.
    let opened = world.alice.open(&sent).unwrap();
    let bcc = &opened["headers"]["bcc"];
    assert_eq!(bcc["protection"], "none");
    assert_eq!(bcc["addresses"].as_array().unwrap().len(), 2, "{bcc}");
}

#[test]
fn bcc_has_one_place_in_a_draft() {
    let mut world = world();
    let draft = json!({"from": ALICE, "to": [PEOPLE[0]], "subject": "s",
        "text": {"text": "words"}});
    for (name, value, pointer) in [
        ("Bcc", PEOPLE[1], "/draft/headers/0/name"),
        ("BCC", PEOPLE[1], "/draft/headers/0/name"),
        ("Resent-Bcc", PEOPLE[1], "/draft/headers/0/name"),
        ("Apparently-To", PEOPLE[1], "/draft/headers/0/name"),
        ("Bcc ", PEOPLE[1], "/draft/headers/0/name"),
        (" Bcc", PEOPLE[1], "/draft/headers/0/name"),
        ("Bcc:", PEOPLE[1], "/draft/headers/0/name"),
        ("X-A: b\r\nBcc", PEOPLE[1], "/draft/headers/0/name"),
        (
            "X-A",
            "b\r\nBcc: carol@sealpost.example",
            "/draft/headers/0/value",
        ),
        (
            "X-A",
            "b\nBcc: carol@sealpost.example",
            "/draft/headers/0/value",
        ),
    ] {
        for protect in [json!({"sign": true, "encrypt": true}), json!({})] {
            let mut draft = draft.clone();
            draft["headers"] = json!([{"name": name, "value": value}]);
            let fault = world
                .alice
                .fault("message/seal", json!({"draft": draft, "protect": protect}));
            assert_eq!(fault.kind(), "request.invalid", "{name:?} {value:?}");
            assert_eq!(fault.data["path"], pointer, "{name:?} {value:?}");
        }
    }
    // An address is one address, and never a group of them.
    for group in [
        "Hidden: carol@sealpost.example;",
        "carol@sealpost.example, david@sealpost.example",
    ] {
        let mut draft = draft.clone();
        draft["bcc"] = json!([group]);
        let fault = world.alice.fault(
            "message/seal",
            json!({"draft": draft, "protect": {"sign": true}}),
        );
        assert_eq!(fault.kind(), "request.invalid", "{group}");
    }
}

/// Spellings that old or careless programs write; what can't be told apart from a Bcc is one.
#[test]
fn no_spelling_of_bcc_gets_through() {
    let mut world = world();
    for field in [
        "Bcc : carol@sealpost.example",
        "bCC:\r\n carol@sealpost.example",
        "Bcc: Carol\r\n\t<carol@sealpost.example>",
        "Bcc: =?utf-8?q?Carol?= <carol@sealpost.example>",
        "Resent-Bcc : carol@sealpost.example",
        "Bcc: (carol@sealpost.example) nobody at all",
        "Bcc: carol@sealpost.example, @@",
    ] {
        let message = format!(
            "From: alice@sealpost.example\r\nTo: bobby@sealpost.example\r\n{field}\r\n\
             Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nwords\r\n"
        );
        for protect in [
            json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
            json!({"sign": true, "protocol": "smime"}),
            json!({}),
        ] {
            let request = json!({"message": {"text": message}, "protect": protect});
            // Refused is good as well: then nobody is named.
            let Ok(sealed) = world.alice.call("message/seal", request) else {
                continue;
            };
            for envelope in sealed["messages"].as_array().unwrap() {
                let bytes = world.alice.bytes(&envelope["message"]);
                let opened = world.alice.open(&bytes).unwrap().to_string();
                let raw = String::from_utf8_lossy(&bytes).into_owned() + &opened;
                assert!(!raw.contains("carol@"), "{field} {protect}: {raw}");
            }
        }
    }
}

/// Who can't be read can't be written to: that is said, and nobody dropped.
#[test]
fn who_has_no_address_is_told() {
    let mut world = world();
    for (field, value) in [
        ("Bcc", "=?utf-8?Q?carol=40sealpost.example?="),
        ("Bcc", "carol@sealpost.example, not an address"),
        ("Cc", "carol"),
        ("To", "carol at sealpost.example"),
    ] {
        let message = format!(
            "From: alice@sealpost.example\r\nTo: bob@sealpost.example\r\n{field}: {value}\r\n\
             Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nwords\r\n"
        );
        let fault = world.alice.fault(
            "message/seal",
            json!({"message": {"text": message}, "protect": {"sign": true, "encrypt": false}}),
        );
        assert_eq!(fault.kind(), "request.invalid", "{value}");
        assert_eq!(fault.data["path"], "/message", "{value}");
        assert!(fault.message.contains(field), "{}", fault.message);
    }
}
