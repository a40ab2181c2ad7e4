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
        cases: u32::try_from(amount(12, 200)).unwrap(),
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
