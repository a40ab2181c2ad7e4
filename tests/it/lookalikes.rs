//! Who looks like somebody known: what the person decides counts for the next message, in every
//! host that runs.

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import};
use crate::protection::{Crypto, by_hand, posts};

const KNOWN: &str = "alice@bank.example";
const LIKE: &str = "a1ice@bank.example";

fn warned(host: &mut Host, from: &str) -> bool {
    let message =
        format!("From: {from}\r\nTo: bob@sealpost.example\r\nSubject: s\r\n\r\nwords\r\n");
    let opened = host.open(message.as_bytes()).unwrap();
    let warnings = opened["summary"]["warnings"].as_array().unwrap();
    warnings.contains(&json!("looks-like-known"))
}

#[test]
fn what_is_decided_counts_for_the_next_message() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let mut peer = elsewhere.start();
    peer.hello();
    let id = generate(&mut peer, "Alice", KNOWN, "compatible");
    let cert = export(&mut peer, &[&id]);
    let (mut one, mut other) = (home.start(), home.start());
    one.hello();
    other.hello();
    let both = |one: &mut Host, other: &mut Host, from: &str| {
        let warned = [warned(one, from), warned(other, from)];
        assert_eq!(warned[0], warned[1], "{from}");
        warned[0]
    };
    // Nobody is known yet, and who merely has a certificate here is not.
    assert!(!both(&mut one, &mut other, LIKE));
    import(&mut one, cert.as_bytes(), Value::Null);
    assert!(!both(&mut one, &mut other, LIKE));
    for (level, expected) in [("accepted", true), ("rejected", false), ("verified", true)] {
        one.good(
            "keys/accept",
            json!({"id": id, "address": KNOWN, "level": level}),
        );
        assert_eq!(both(&mut one, &mut other, LIKE), expected, "{level}");
        assert!(!both(&mut one, &mut other, KNOWN));
        assert!(!both(&mut one, &mut other, "carol@bank.example"));
    }
    // Another whom the person accepts is known too.
    let like = generate(&mut peer, "Alice", LIKE, "compatible");
    let cert = export(&mut peer, &[&like]);
    import(&mut other, cert.as_bytes(), json!(true));
    assert!(!both(&mut one, &mut other, LIKE));
    other.good("keys/delete", json!({"id": id}));
    other.good("keys/delete", json!({"id": like}));
    assert!(!both(&mut one, &mut other, LIKE));
    // One's own address is known without a word.
    generate(&mut one, "Bob", "bob@sealpost.example", "compatible");
    assert!(both(&mut one, &mut other, "bob@sea1post.example"));
}

/// A sender outside who looks like somebody known is told where it is shown, whatever stands inside.
#[test]
fn who_is_shown_is_looked_at() {
    let payload = "From: Dora <dora@elsewhere.example>\nTo: bob@sealpost.example\nSubject: s\n\
        Content-Type: text/plain; hp=\"cipher\"\n\nText\n";
    for mut post in posts() {
        for (from, warned) in [
            ("bob@sea1post.example", true),
            ("x@seaIpost.example", true),
            ("alice@sealpost.example", false),
            ("carol@sealpost.example", false),
        ] {
            let outer = format!("From: {from}\nTo: bob@sealpost.example\nDate: DATE\n");
            let opened = by_hand(&mut post, Crypto::Encrypted, &outer, payload);
            assert_eq!(opened["headers"]["from"]["value"], from, "{opened}");
            let warnings = opened["summary"]["warnings"].to_string();
            assert!(warnings.contains("from-mismatch"), "{from}: {warnings}");
            assert_eq!(
                warnings.contains("looks-like-known"),
                warned,
                "{from}: {warnings}"
            );
        }
    }
}
