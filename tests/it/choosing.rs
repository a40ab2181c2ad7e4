//! Which key for whom: plans, conflicts, what harvesting brings, and small texts.

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import, pair, seal_one};

const BOB: &str = "bob@sealpost.example";
const ALICE: &str = "alice@sealpost.example";

#[track_caller]
fn plan(host: &mut Host, to: Value) -> Value {
    host.good(
        "message/plan",
        json!({"from": ALICE, "to": to, "protect": {"sign": true, "encrypt": true}}),
    )
}

fn draft(to: &str) -> Value {
    json!({"from": ALICE, "to": [to], "subject": "s", "text": {"text": "words"}})
}

fn both() -> Value {
    json!({"sign": true, "encrypt": true})
}

#[test]
fn a_plan_says_what_is_there_for_each() {
    let mut it = pair("compatible");
    let stranger = Home::new();
    let mut other = stranger.start();
    let carol = generate(&mut other, "Carol", "carol@sealpost.example", "modern");
    let cert = export(&mut other, &[&carol]);
    import(&mut it.alice, cert.as_bytes(), Value::Null);

    let all = json!([BOB, {"name": "Carol", "address": "CAROL@sealpost.example"}, "nobody@sealpost.example", "dave@"]);
    let planned = plan(&mut it.alice, all);
    assert_eq!(planned["possible"], false);
    assert_eq!(planned["sender"]["state"], "ready");
    assert_eq!(planned["sender"]["keys"][0]["id"], json!(it.alice_id));
    let states: Vec<_> = planned["recipients"].as_array().unwrap().iter().collect();
    let words: Vec<_> = states
        .iter()
        .map(|r| r["state"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["ready", "ready", "no-key", "incomplete"]);
    assert_eq!(states[0]["choice"], "openpgp");
    assert_eq!(states[0]["keys"][0]["reasons"], json!([]));
    assert_eq!(states[1]["keys"][0]["reasons"], json!(["undecided"]));
    assert_eq!(states[2]["choice"], "none");
    assert_eq!(states[3]["address"], "dave@");

    let planned = plan(&mut it.alice, json!([BOB]));
    assert_eq!(planned["possible"], true);
    assert_eq!(
        planned,
        plan(&mut it.alice, json!([BOB])),
        "a plan that moves by itself"
    );
}

#[test]
fn a_plan_goes_stale() {
    let mut it = pair("compatible");
    let planned = plan(&mut it.alice, json!([BOB]));
    let request = json!({"draft": draft(BOB), "protect": both(), "plan": planned["plan"]});
    it.alice.good("message/seal", request.clone());
    let bob = planned["recipients"][0]["keys"][0]["id"].clone();
    it.alice.good(
        "keys/accept",
        json!({"id": bob, "address": BOB, "level": "rejected"}),
    );
    assert_eq!(it.alice.fault("message/seal", request).kind(), "plan.stale");
}

#[test]
fn every_missing_key_is_named_and_nothing_goes_out() {
    let mut it = pair("compatible");
    let draft = json!({"from": ALICE, "to": [BOB, "x@sealpost.example"], "bcc": ["y@sealpost.example"],
                       "subject": "s", "text": {"text": "words"}});
    let fault = it
        .alice
        .fault("message/seal", json!({"draft": draft, "protect": both()}));
    assert_eq!(fault.kind(), "key.missing");
    assert_eq!(fault.data["for"], "recipient");
    assert_eq!(
        fault.data["addresses"],
        json!(["x@sealpost.example", "y@sealpost.example"])
    );
    let draft =
        json!({"from": "z@sealpost.example", "to": [BOB], "subject": "s", "text": {"text": "w"}});
    let fault = it
        .alice
        .fault("message/seal", json!({"draft": draft, "protect": both()}));
    assert_eq!(
        (fault.kind(), &fault.data["for"]),
        ("key.missing", &json!("sign"))
    );
}

/// Bob loses his key, makes another, and writes.
#[test]
fn a_second_key_never_takes_the_place_of_the_first_by_itself() {
    let mut it = pair("compatible");
    let first = plan(&mut it.alice, json!([BOB]))["recipients"][0]["keys"][0]["id"].clone();
    let anew = Home::new();
    let mut bob = anew.start();
    let second = generate(&mut bob, "Bob", BOB, "compatible");
    let alice_cert = export(&mut it.alice, &[&it.alice_id.clone()]);
    import(&mut bob, alice_cert.as_bytes(), json!(true));
    let mail = seal_one(
        &mut bob,
        json!({"from": BOB, "to": [ALICE], "subject": "new key", "text": {"text": "trust me"}}),
        both(),
    );
    let opened = it.alice.open(&mail).unwrap();
    assert_eq!(opened["summary"]["signed"], "unverified");
    assert_eq!(opened["keys"][0]["id"], json!(second));
    assert_eq!(opened["keys"][0]["change"], "conflict");

    let planned = plan(&mut it.alice, json!([BOB]));
    assert_eq!(planned["possible"], false);
    assert_eq!(planned["recipients"][0]["state"], "conflict");
    let seal = json!({"draft": draft(BOB), "protect": both()});
    let fault = it.alice.fault("message/seal", seal.clone());
    assert_eq!(fault.kind(), "key.conflict");
    let ids = fault.data["ids"].as_array().unwrap();
    assert!(
        ids.contains(&first) && ids.contains(&json!(second)),
        "{ids:?}"
    );
    let listed = it.alice.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);

    // Naming the key is a decision for this message; rejecting the other is one for good.
    let mut named = both();
    named["keys"] = json!({BOB: [first]});
    it.alice.good(
        "message/seal",
        json!({"draft": draft(BOB), "protect": named}),
    );
    it.alice.good(
        "keys/accept",
        json!({"id": second, "address": BOB, "level": "rejected"}),
    );
    it.alice.good("message/seal", seal);
    let planned = plan(&mut it.alice, json!([BOB]));
    assert_eq!(planned["recipients"][0]["keys"][0]["id"], first);
    let listed = it.alice.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"], json!([]));
    assert_eq!(
        it.alice.open(&mail).unwrap()["summary"]["signed"],
        "unverified"
    );
}

#[test]
fn several_undecided_keys_are_nobodys_guess() {
    let mut it = pair("compatible");
    for profile in ["compatible", "modern"] {
        let home = Home::new();
        let mut host = home.start();
        let id = generate(&mut host, "Carol", "carol@sealpost.example", profile);
        let cert = export(&mut host, &[&id]);
        import(&mut it.alice, cert.as_bytes(), Value::Null);
    }
    let to = "carol@sealpost.example";
    let fault = it.alice.fault(
        "message/seal",
        json!({"draft": draft(to), "protect": both()}),
    );
    assert_eq!(fault.kind(), "key.ambiguous");
    let one = fault.data["ids"][1].clone();
    it.alice.good(
        "keys/accept",
        json!({"id": one, "address": to, "level": "accepted"}),
    );
    let planned = plan(&mut it.alice, json!([to]));
    assert_eq!(planned["recipients"][0]["keys"][0]["id"], one);
    it.alice.good(
        "message/seal",
        json!({"draft": draft(to), "protect": both()}),
    );
}

#[test]
fn policy_may_want_accepted_keys_alone() {
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(
        home.path().join("policy.toml"),
        "undecided-recipients = false\n",
    )
    .unwrap();
    let mut it = pair("compatible");
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    let bob = plan(&mut it.alice, json!([BOB]))["recipients"][0]["keys"][0]["id"].clone();
    let cert = export(&mut it.alice, &[bob.as_str().unwrap()]);
    import(&mut host, cert.as_bytes(), Value::Null);
    assert_eq!(
        plan(&mut host, json!([BOB]))["recipients"][0]["state"],
        "refused"
    );
    let seal = json!({"draft": draft(BOB), "protect": both()});
    assert_eq!(
        host.fault("message/seal", seal.clone()).kind(),
        "policy.refused"
    );
    host.good(
        "keys/accept",
        json!({"id": bob, "address": BOB, "level": "accepted"}),
    );
    host.good("message/seal", seal);
}

#[test]
fn a_key_travels_with_the_mail_and_through_clients_that_read_it_themselves() {
    let home = Home::new();
    let mut alice = home.start();
    let id = generate(&mut alice, "Alice", ALICE, "compatible");
    let mail = seal_one(&mut alice, draft(BOB), json!({"sign": true}));
    let offer = alice.good("autocrypt/header", json!({"from": ALICE}))["header"].clone();
    assert!(
        offer
            .as_str()
            .unwrap()
            .starts_with("addr=alice@sealpost.example;"),
        "{offer}"
    );
    assert_eq!(
        alice.good("autocrypt/header", json!({"from": BOB}))["header"],
        Value::Null
    );

    // Judged by an instant of its own, a message leaves no trace.
    let stranger = Home::new();
    let mut bob = stranger.start();
    let later = "2090-01-01T00:00:00Z";
    let seen = bob.open_with(&mail, json!({"at": later})).unwrap();
    assert_eq!(seen["judgedAt"], later);
    assert_eq!(bob.good("keys/list", json!({}))["keys"], json!([]));

    let seen = bob.open(&mail).unwrap();
    assert_eq!(
        (&seen["keys"][0]["change"], &seen["keys"][0]["source"]),
        (&json!("new"), &json!("autocrypt"))
    );
    assert_eq!(seen["summary"]["signed"], "unverified");
    assert_eq!(bob.open(&mail).unwrap()["keys"][0]["change"], "known");
    let shown = bob.good("keys/show", json!({"id": id}));
    assert_eq!(shown["key"]["acceptance"][ALICE], "undecided");

    // A field for somebody else, or from tomorrow, is nobody's.
    let third = Home::new();
    let mut carol = third.start();
    let mut process = |from: &str, date: &str| {
        let field = json!({"from": from, "date": date, "header": offer});
        carol.good("autocrypt/process", field)["keys"].clone()
    };
    assert_eq!(process(BOB, "2026-01-01T00:00:00Z"), json!([]));
    assert_eq!(process(ALICE, later), json!([]));
    let found = process(ALICE, "Thu, 01 Jan 2026 00:00:00 +0000");
    assert_eq!(
        (&found[0]["id"], &found[0]["change"]),
        (&json!(id), &json!("new"))
    );
}

#[test]
fn small_texts() {
    let mut it = pair("compatible");
    let signed = it.alice.good(
        "text/sign",
        json!({"text": {"text": "- dashes\r\nFrom here\r\n"}}),
    );
    let signed = signed["text"]["text"].as_str().unwrap().to_owned();
    let around = format!("before\n{signed}after\n");
    let verify = |host: &mut Host, expect: Option<&str>| {
        let mut params = json!({"text": {"text": around}});
        if let Some(expect) = expect {
            params["expect"] = json!(expect);
        }
        host.good("text/verify", params)["segments"].clone()
    };
    let segments = verify(&mut it.bob, Some(ALICE));
    let texts: Vec<_> = segments
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            (
                s["text"]["text"].as_str().unwrap().trim(),
                s["signed"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            ("before", "none"),
            ("- dashes\r\nFrom here", "good"),
            ("after", "none")
        ]
    );
    let segments = verify(&mut it.bob, None);
    assert_eq!(segments[1]["signed"], "unverified");
    assert_eq!(
        segments[1]["signatures"][0]["reasons"],
        json!(["no-address"])
    );
    let segments = verify(&mut it.bob, Some(BOB));
    assert_eq!(
        segments[1]["signatures"][0]["reasons"],
        json!(["address-mismatch"])
    );

    let block = it.alice.good(
        "text/encrypt",
        json!({"text": {"text": "für dich"}, "to": [BOB], "sign": ALICE}),
    );
    let block = block["text"]["text"].as_str().unwrap().to_owned();
    let read = json!({"text": {"text": block}, "expect": ALICE});
    for host in [&mut it.bob, &mut it.alice] {
        let segments = host.good("text/decrypt", read.clone())["segments"].clone();
        assert_eq!(segments[0]["text"]["text"], "für dich");
        assert_eq!(
            (&segments[0]["encrypted"], &segments[0]["signed"]),
            (&json!(true), &json!("good"))
        );
    }
    // Who only verifies decrypts nothing.
    let segments = it.bob.good("text/verify", read.clone())["segments"].clone();
    assert_eq!(segments[0]["encrypted"], false);
    assert!(
        segments[0]["text"]["text"]
            .as_str()
            .unwrap()
            .contains("BEGIN PGP MESSAGE")
    );
    // A closed block among other text stays where it is.
    let stranger = Home::new();
    let mut carol = stranger.start();
    assert_eq!(carol.fault("text/decrypt", read).kind(), "key.missing");
    let mixed = json!({"text": {"text": format!("look:\n{block}")}});
    let segments = carol.good("text/decrypt", mixed)["segments"].clone();
    assert_eq!(segments.as_array().unwrap().len(), 2);
    assert!(
        segments[1]["text"]["text"]
            .as_str()
            .unwrap()
            .contains("BEGIN PGP MESSAGE")
    );
}

#[test]
fn drafts_are_for_the_writer_alone_and_never_signed() {
    let mut it = pair("compatible");
    let request = json!({"draft": draft(BOB), "protect": {"sign": true, "encrypt": true}, "purpose": "draft"});
    let sealed = it.alice.good("message/seal", request);
    assert_eq!(sealed["messages"], json!([]));
    let kept = it.alice.bytes(&sealed["sent"].clone());
    let opened = it.alice.open(&kept).unwrap();
    assert_eq!(opened["summary"]["encrypted"], "whole");
    assert_eq!(opened["summary"]["signed"], "none");
    assert_eq!(
        opened["layers"][0]["recipients"].as_array().unwrap().len(),
        1
    );
    assert_eq!(it.bob.open(&kept).unwrap_err().kind(), "key.missing");
}

#[test]
fn the_writers_key_goes_along_when_asked() {
    let mut it = pair("compatible");
    let request = json!({"draft": draft(BOB), "protect": both(), "attachKey": true});
    let sealed = it.alice.good("message/seal", request);
    let mail = it.alice.bytes(&sealed["messages"][0]["message"].clone());
    let opened = it.bob.open(&mail).unwrap();
    let attached = opened["keys"].as_array().unwrap();
    assert!(
        attached
            .iter()
            .any(|k| k["source"] == "attached" && k["id"] == json!(it.alice_id)),
        "{attached:?}"
    );
}

#[test]
fn the_senders_copy_alone_knows_of_bcc_and_says_that_it_was_hidden() {
    let mut it = pair("compatible");
    let home = Home::new();
    let mut carol = home.start();
    let id = generate(&mut carol, "Carol", "carol@sealpost.example", "compatible");
    let cert = export(&mut carol, &[&id]);
    import(&mut it.alice, cert.as_bytes(), json!(true));
    let mut draft = draft(BOB);
    draft["bcc"] = json!(["carol@sealpost.example"]);
    for (protect, protection) in [
        (both(), "signed-encrypted"),
        (json!({"sign": true}), "signed"),
    ] {
        let request = json!({"draft": draft, "protect": protect});
        let sealed = it.alice.good("message/seal", request);
        let sent = it.alice.bytes(&sealed["sent"].clone());
        let outer = crate::mime::head_of(&sent);
        // Not in the offered key and the message's id, whose digits may be any three letters.
        let named = |line: &str| {
            let line = line.to_lowercase();
            !line.starts_with([' ', '\t'])
                && !line.starts_with("autocrypt:")
                && !line.starts_with("message-id:")
                && line.contains("bcc")
        };
        assert!(!outer.lines().any(named), "{outer}");
        let opened = it.alice.open(&sent).unwrap();
        assert_eq!(
            opened["headers"]["bcc"]["value"],
            "<carol@sealpost.example>"
        );
        assert_eq!(opened["headers"]["bcc"]["protection"], protection);
        assert_eq!(opened["summary"]["signed"], "good");
        for envelope in sealed["messages"].as_array().unwrap() {
            let message = it.alice.bytes(&envelope["message"].clone());
            let text = String::from_utf8(message).unwrap();
            assert!(!text.contains("carol") && !text.contains("Carol"), "{text}");
        }
    }
}
