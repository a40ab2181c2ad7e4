//! The same dialogues with the verbs behind them: that questions, blobs and replies fit what
//! verbs do. What verbs say of messages is tested with them.

use serde_json::{Value, json};

use super::asking::{Pinentry, right};
use super::client::Client;
use crate::host::Settings;

fn generate(client: &mut Client, passphrase: &str) -> String {
    let key = client.result(
        "keys/generate",
        json!({"protocol":"openpgp","name":"Alice","address":"alice@example.org",
            "passphrase":passphrase}),
    );
    key["key"]["id"].as_str().unwrap().to_owned()
}

fn seal(client: &mut Client, attachment: Value) -> Value {
    client.result(
        "message/seal",
        json!({"draft":{"from":"alice@example.org","to":["alice@example.org"],"subject":"Lunch",
                "text":{"text":"At noon?"},"attachments":[{"name":"a.bin","body":attachment}]},
            "protect":{"sign":true,"encrypt":true}}),
    )
}

#[test]
fn a_message_goes_round_with_its_key_locked_in_between() {
    let home = tempfile::tempdir().unwrap();
    let pinentry = Pinentry::new(&right());
    let mut client = Client::real(home.path(), pinentry.settings());
    client.hello(json!({}));
    let key = generate(&mut client, "ask");
    assert_eq!(pinentry.count(), 1);
    let sealed = seal(&mut client, json!({"text":"bytes"}));
    let message = sealed["messages"][0]["message"].clone();
    client.result("keys/lock", json!({}));
    let asked = pinentry.count();
    assert_eq!(
        client.error("message/open", json!({"message":message,"ask":"never"}))["kind"],
        "key.locked"
    );
    for id in 0..10 {
        client.request(id, "message/open", json!({"message":message}));
    }
    for reply in client.replies(10).into_values() {
        let summary = &reply["result"]["summary"];
        assert_eq!(summary["encrypted"], "whole", "{reply}");
        assert_eq!(summary["signed"], "good");
    }
    assert_eq!(pinentry.count(), asked + 1, "one question for all of them");
    let until = client.result("keys/unlock", json!({"id":key}));
    assert!(until["until"].is_string());
    assert_eq!(client.end(), 0);
}

#[test]
fn a_large_message_goes_through_blobs() {
    let home = tempfile::tempdir().unwrap();
    let mut client = Client::real(home.path(), Settings::default());
    client.hello(json!({"progress":true}));
    generate(&mut client, "none");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 255) as u8).collect();
    let blob = client.put(&bytes);
    let sealed = seal(&mut client, json!({"blob":blob,"size":bytes.len()}));
    let message = &sealed["messages"][0]["message"];
    assert!(message["size"].as_u64().unwrap() > 3_000_000);
    // What came out as a blob goes in as one.
    let opened = client.result("message/open", json!({"message":message}));
    assert_eq!(opened["summary"]["signed"], "good");
    let part = opened["parts"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(part["size"], bytes.len());
    assert_eq!(client.get(part["body"]["blob"].as_str().unwrap()), bytes);
    assert_eq!(client.end(), 0);
}

#[test]
fn what_stays_closed_shows_its_outside() {
    let home = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut client = Client::real(home.path(), Settings::default());
    generate(&mut client, "none");
    let sealed = seal(&mut client, json!({"text":"bytes"}));
    let message = sealed["messages"][0]["message"].clone();
    let mut stranger = Client::real(other.path(), Settings::default());
    let data = stranger.error("message/open", json!({"message":message}));
    assert_eq!(data["kind"], "key.missing");
    assert_eq!(data["blame"], "keys");
    assert_eq!(data["headers"]["subject"]["value"], "[...]");
    assert_eq!(data["headers"]["subject"]["protection"], "none");
    assert_eq!(data["recipients"].as_array().unwrap().len(), 1);
    assert_eq!((client.end(), stranger.end()), (0, 0));
}
