//! Header protection where two things say what a field is: outside and inside, twice inside, in
//! a Legacy Display and in what only looks like one. RFC 9788 4.3, 4.5.3, 4.6, 10.

use std::time::Instant;

use serde_json::{Value, json};

use crate::mime::crlf;
use crate::protection::{Crypto, INNER, OUTER, Post, by_hand, posts, state};
use crate::trio::{ALICE, BOB};

fn bodies(post: &mut Post, opened: &Value) -> Vec<String> {
    let parts = opened["parts"].as_array().unwrap();
    let bytes = parts
        .iter()
        .map(|part| post.bob.bytes(&part["body"].clone()));
    bytes.map(|body| String::from_utf8(body).unwrap()).collect()
}

/// A whole message of today.
fn outside(fields: &str, entity: &str) -> String {
    let fields = crlf(fields).replace("DATE", &chrono::Utc::now().to_rfc2822());
    format!("{fields}MIME-Version: 1.0\r\n{entity}")
}

/// T4: threads and answers go by what is inside, whatever somebody wrote outside.
#[test]
fn fields_that_are_used_silently_come_from_inside() {
    let fields = [
        ("Message-ID", "messageId", "<one@a.example>"),
        ("In-Reply-To", "inReplyTo", "<two@a.example>"),
        ("References", "references", "<two@a.example>"),
        ("Reply-To", "replyTo", "desk@a.example"),
        ("Cc", "cc", "carol@a.example"),
        ("Date", "date", "Sat, 20 Feb 2021 10:09:02 -0500"),
    ];
    let inside: String = fields
        .iter()
        .map(|(name, _, value)| format!("{name}: {value}\nHP-Outer: {name}: {value}\n"))
        .collect();
    let payload = format!(
        "From: Alice <alice@sealpost.example>\nSubject: Secret\n{inside}\
         Content-Type: text/plain; hp=\"cipher\"\n\nText\n"
    );
    let outer = "From: Alice <alice@sealpost.example>\nSubject: Eve's\nMessage-ID: <eve@x.example>\n\
                 In-Reply-To: <eve@x.example>\nReferences: <eve@x.example>\nReply-To: eve@x.example\n\
                 Cc: eve@x.example\nDate: DATE\n";
    for mut post in posts() {
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, outer, &payload);
        for (_, json, value) in &fields {
            let (shown, protection) = state(&opened, json);
            let bare = |text: &str| text.replace(['<', '>'], "");
            assert_eq!(bare(shown), bare(value), "{json}");
            assert_eq!(protection, "signed", "{json}");
            assert!(opened["headers"][*json]["outer"].is_string(), "{json}");
        }
    }
}

/// RFC 9788 4.3.1: a state belongs to a name and a value. Each of several fields of one name has
/// its own, and is shown.
#[test]
fn a_field_that_stands_twice_speaks_for_itself_alone() {
    for mut post in posts() {
        for (open, expected, other) in [
            ("one", "signed", "signed-encrypted"),
            ("two", "signed-encrypted", "signed"),
        ] {
            let payload = format!(
                "{INNER}Keywords: one\nKeywords: two\nHP-Outer: Subject: [...]\n\
                 HP-Outer: Keywords: {open}\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n"
            );
            let outer = format!("{OUTER}Keywords: {open}\n");
            let opened = by_hand(&mut post, Crypto::SignedEncrypted, &outer, &payload);
            assert_eq!(state(&opened, "keywords"), ("one", expected));
            let field = &opened["headers"]["keywords"];
            let more = json!([{"value": "two", "protection": other}]);
            assert_eq!(field["more"], more);
            // What stands outside is the other one, as it is.
            assert_eq!(field["outer"], Value::Null);
        }
    }
}

/// Fields of one name that were changed outside stand beside what they were changed from; what
/// somebody added outside is no field of the message.
#[test]
fn several_fields_of_one_name_have_their_counterparts_outside() {
    for mut post in posts() {
        let payload = format!(
            "{INNER}Comments: one\nComments: two\nComments: three\nHP-Outer: Comments: [1]\n\
             HP-Outer: Comments: two\nHP-Outer: Comments: [3]\n\
             Content-Type: text/plain; hp=\"cipher\"\n\nText\n"
        );
        let outer =
            format!("{OUTER}Comments: [1]\nComments: two\nComments: [3]\nComments: Eve's\n");
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, &outer, &payload);
        let hidden = "signed-encrypted";
        assert_eq!(
            opened["headers"]["comments"],
            json!({"value": "one", "protection": hidden, "outer": "[1]", "more": [
                {"value": "two", "protection": "signed"},
                {"value": "three", "protection": hidden, "outer": "[3]"},
            ]})
        );
        // Without a good signature over the fields inside, nothing is said to be signed.
        let opened = by_hand(&mut post, Crypto::Encrypted, &outer, &payload);
        assert_eq!(
            opened["headers"]["comments"]["more"],
            json!([
                {"value": "two", "protection": "none"},
                {"value": "three", "protection": "encrypted", "outer": "[3]"},
            ])
        );
        // Several that nothing protects.
        let text = "Content-Type: text/plain\n\nText\n";
        let opened = post
            .bob
            .open(outside(&outer, &crlf(text)).as_bytes())
            .unwrap();
        let more: Vec<&Value> = opened["headers"]["comments"]["more"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| &field["value"])
            .collect();
        assert_eq!(more, ["two", "[3]", "Eve's"]);
    }
}

/// RFC 9788 4.4: where the From outside stands, all of it does.
#[test]
fn each_from_outside_is_shown() {
    for mut post in posts() {
        let payload = format!("{INNER}Content-Type: text/plain; hp=\"cipher\"\n\nText\n");
        let outer = "From: eve@x.example\nFrom: mallory@x.example\nSubject: [...]\nDate: DATE\n";
        let opened = by_hand(&mut post, Crypto::Encrypted, outer, &payload);
        let from = &opened["headers"]["from"];
        assert_eq!(from["value"], "eve@x.example");
        assert_eq!(from["claimed"], "Alice <alice@sealpost.example>");
        assert_eq!(from["more"][0]["value"], "mallory@x.example");
        assert_eq!(from["more"][0]["claimed"], Value::Null);
        assert_eq!(from["more"].as_array().unwrap().len(), 1);
    }
}

/// RFC 9788 4.5.3: nothing is taken off a text that was not encrypted, has no header protection,
/// or bears no mark; and nothing off a file.
#[test]
fn a_text_loses_only_a_legacy_display() {
    let text = "Subject: Secret\n\nText\n";
    let whole = "Subject: Secret\r\n\r\nText";
    let leaf = |hp: &str, legacy: &str| {
        format!("{INNER}HP-Outer: Subject: [...]\nContent-Type: text/plain{legacy}{hp}\n\n{text}")
    };
    let mark = "; hp-legacy-display=1";
    for mut post in posts() {
        for (crypto, payload, expected) in [
            (Crypto::SignedEncrypted, leaf("; hp=cipher", mark), "Text"),
            (Crypto::Encrypted, leaf("; hp=cipher", mark), "Text"),
            (Crypto::Multipart, leaf("; hp=clear", mark), whole),
            (Crypto::Multipart, leaf("; hp=cipher", mark), whole),
            (Crypto::SignedEncrypted, leaf("", mark), whole),
            (Crypto::SignedEncrypted, leaf("; hp=cipher", ""), whole),
            (
                Crypto::SignedEncrypted,
                leaf("; hp=cipher", "; hp-legacy-display=2"),
                whole,
            ),
        ] {
            let opened = by_hand(&mut post, crypto, OUTER, &payload);
            let shown = bodies(&mut post, &opened);
            assert_eq!(shown[0].trim_end(), expected, "{crypto:?} {payload}");
        }
        let file = format!(
            "{INNER}HP-Outer: Subject: [...]\nContent-Type: multipart/mixed; boundary=b; hp=cipher\n\n\
             --b\nContent-Type: text/plain{mark}\n\n{text}\n--b\nContent-Type: text/plain{mark}\n\
             Content-Disposition: attachment; filename=f.txt\n\n{text}\n--b--\n"
        );
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &file);
        let shown = bodies(&mut post, &opened);
        assert_eq!(shown[0].trim_end(), "Text");
        assert_eq!(shown[1].trim_end(), whole);
    }
}

/// T13: a payload with ten thousand lines that say what stood outside is refused in either
/// family, at once, and never shown as a text.
#[test]
fn too_many_outer_fields_are_refused() {
    let outer: String = (0..10_000)
        .map(|n| format!("HP-Outer: X-{n}: y\n"))
        .collect();
    let payload = format!("{INNER}{outer}Content-Type: text/plain; hp=cipher\n\nText\n");
    for mut post in posts() {
        let message = outside(OUTER, &post.peer.encrypted(&crlf(&payload), true));
        let start = Instant::now();
        let fault = post.bob.open(message.as_bytes()).unwrap_err();
        assert_eq!(fault.kind(), "decrypt.failed");
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}

/// T6: a From inside that a broken signature covers is no better than one without any.
#[test]
fn a_broken_signature_binds_no_from() {
    let payload = crlf(&format!(
        "{INNER}Content-Type: text/plain; hp=\"clear\"\n\nText to be changed\n"
    ));
    let outer = OUTER.replace("Alice <alice@sealpost.example>", "eve@x.example");
    for mut post in posts() {
        let whole = outside(&outer, &post.peer.multipart(&payload));
        let broken = whole.replace("to be changed", "that changed");
        for (message, good) in [(whole, true), (broken, false)] {
            let opened = post.bob.open(message.as_bytes()).unwrap();
            assert_eq!(opened["summary"]["signed"] == "good", good);
            let warnings = opened["summary"]["warnings"].to_string();
            assert_eq!(warnings.contains("from-mismatch"), !good, "{warnings}");
            let (shown, protection) = state(&opened, "from");
            assert_eq!(shown.contains("eve@x.example"), !good, "{shown}");
            assert_eq!(protection, if good { "signed" } else { "none" });
            let subject = if good { "signed" } else { "none" };
            assert_eq!(state(&opened, "subject"), ("Secret", subject));
        }
    }
}

/// T15: bytes are signed as they are, and line ends of either kind are read.
#[test]
fn bare_line_feeds_are_signed_and_read() {
    let inner = INNER.replace("Secret", "Fed");
    let protected = format!("{inner}Content-Type: text/plain; hp=\"cipher\"\n\nText\n");
    let wrapped =
        format!("Content-Type: message/rfc822\r\n\r\n{inner}Content-Type: text/plain\n\nText\n");
    for mut post in posts() {
        for payload in [&protected, &wrapped] {
            let mut made = vec![(post.peer.encrypted(payload, true), "signed-encrypted")];
            made.extend(post.peer.one_part(payload).map(|entity| (entity, "signed")));
            for (entity, expected) in made {
                let message = outside(OUTER, &entity);
                let opened = post.bob.open(message.as_bytes()).unwrap();
                assert_eq!(opened["summary"]["signed"], "good", "{payload}");
                assert_eq!(state(&opened, "subject"), ("Fed", expected), "{payload}");
                assert_eq!(bodies(&mut post, &opened)[0].trim_end(), "Text");
            }
        }
    }
}

/// Names that differ are other names, however alike they are.
#[test]
fn no_name_is_taken_for_another() {
    let odd = [
        "From-",
        "-From",
        "--From",
        "Subject-",
        "Reply--To",
        "-Date",
        "Message--ID",
    ];
    for mut post in posts() {
        for name in odd {
            let more = format!("{name}: Dora <dora@x.example>\n");
            let payload = format!("{more}{INNER}Content-Type: text/plain; hp=\"clear\"\n\nText\n");
            let outer = format!("{more}{OUTER}");
            let opened = by_hand(&mut post, Crypto::Multipart, &outer, &payload);
            assert_eq!(opened["summary"]["signed"], "good");
            for (field, value) in [
                ("from", "Alice <alice@sealpost.example>"),
                ("subject", "Secret"),
                ("messageId", "<o@x>"),
            ] {
                assert_eq!(state(&opened, field).0, value, "{name}");
                assert!(opened["headers"][field].get("more").is_none(), "{name}");
            }
            assert!(opened["headers"].get("replyTo").is_none(), "{name}");
        }
    }
}

/// What a page claims counts for nothing where the payload says otherwise, and pretends as little
/// as what a message says.
#[test]
fn a_page_that_claims_another_sender_gets_no_good_verdict() {
    for mut post in posts() {
        let payload = format!("{INNER}Content-Type: text/plain; hp=\"cipher\"\n\nText\n");
        let entity = post.peer.encrypted(&crlf(&payload), true);
        if !entity.contains("BEGIN PGP MESSAGE") {
            continue;
        }
        let data = json!({"text": crate::mime::block(entity.as_bytes())});
        for (from, signed, warned) in [
            ("alice@sealpost.example", "good", json!([])),
            (
                "mallory@x.example",
                "unverified",
                json!(["from-mismatch", "quote-withheld"]),
            ),
        ] {
            let payload = json!({"data": data, "claimed": {"from": from}});
            let opened = post.bob.good("message/open", json!({"payload": payload}));
            let summary = &opened["summary"];
            assert_eq!(summary["signed"], signed, "{summary}");
            let mut warnings = summary["warnings"].as_array().unwrap().clone();
            warnings.sort_by_key(Value::to_string);
            assert_eq!(json!(warnings), warned, "{summary}");
        }
        let from = json!({"name": "alice@sealpost.example", "address": "mallory@x.example"});
        let payload = json!({"data": {"text": "hello"}, "claimed": {"from": from}});
        let opened = post.bob.good("message/open", json!({"payload": payload}));
        let warnings = opened["summary"]["warnings"].to_string();
        assert!(warnings.contains("address-in-name"), "{warnings}");
    }
}

/// Somebody opens a message and sends it on as it is: what its envelope hid is said nowhere, and
/// what is hidden now counts as hidden.
#[test]
fn what_an_earlier_envelope_says_is_not_sent_on() {
    for mut trio in crate::trio::trios() {
        let message = outside(
            "From: alice@sealpost.example\nTo: bob@sealpost.example\nSubject: Secret\nDate: DATE\n\
             HP-Outer: Subject: Secret\nHP-Outer: From: alice@sealpost.example\n\
             Sealpost-Draft: 00\nSealpost-Answer: abc\nReturn-Path: <other@x.example>\n",
            "Content-Type: text/plain; hp=\"cipher\"\r\n\r\nText\r\n",
        );
        let body = trio.alice.body(message.as_bytes());
        let protect = json!({"encrypt": true, "sign": true, "protocol": trio.family});
        let sealed = trio
            .alice
            .good("message/seal", json!({"message": body, "protect": protect}));
        let sealed = trio.alice.bytes(&sealed["messages"][0]["message"]);
        let text = String::from_utf8(sealed.clone()).unwrap().to_lowercase();
        for word in ["secret", "hp-outer", "sealpost-", "return-path"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        let opened = trio.bob.open(&sealed).unwrap();
        assert_eq!(state(&opened, "subject"), ("Secret", "signed-encrypted"));
        let message = trio.bob.body(&sealed);
        let draft = trio.bob.good(
            "message/answer",
            json!({"message": message, "kind": "reply"}),
        )["draft"]
            .clone();
        let answer = crate::harness::seal_one(&mut trio.bob, draft, protect);
        let head = crate::mime::head_of(&answer).to_lowercase();
        assert!(!head.contains("secret"), "{head}");
    }
}

/// A page that shows other recipients or another date than the payload has shows another message,
/// as with another sender.
#[test]
fn a_page_must_not_contradict_the_payload() {
    const DATE: &str = "Wed, 25 Nov 2026 10:00:00 +0000";
    for mut post in posts() {
        let fields = format!("{INNER}Cc: Carol <carol@x.example>\nDate: ");
        for (inner, claimed, signed) in [
            (DATE, json!({"to": [BOB]}), "good"),
            (DATE, json!({"to": [BOB, "carol@x.example"]}), "good"),
            (DATE, json!({"date": "2026-11-25T22:00:00Z"}), "good"),
            (
                DATE,
                json!({"to": ["BOB@sealpost.example"], "date": DATE}),
                "good",
            ),
            (DATE, json!({"to": ["mallory@x.example"]}), "unverified"),
            (
                DATE,
                json!({"to": [BOB, "mallory@x.example"]}),
                "unverified",
            ),
            (
                DATE,
                json!({"to": ["\"bob@sealpost.example\" <mallory@x.example>"]}),
                "unverified",
            ),
            (DATE, json!({"date": "2020-01-01T00:00:00Z"}), "unverified"),
            (
                DATE,
                json!({"date": "Fri, 27 Nov 2026 10:00:00 +0000"}),
                "unverified",
            ),
            ("yesterday", json!({"date": DATE}), "unverified"),
        ] {
            let payload =
                format!("{fields}{inner}\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n");
            let entity = post.peer.encrypted(&crlf(&payload), true);
            let data = match post.peer.family() {
                "openpgp" => json!({"text": crate::mime::block(entity.as_bytes())}),
                _ => {
                    let (_, body) = entity.split_once("\r\n\r\n").unwrap();
                    json!({"base64": body.split_whitespace().collect::<String>()})
                }
            };
            let mut claimed = claimed;
            claimed["from"] = json!(ALICE);
            let payload = json!({"data": data, "claimed": claimed});
            let opened = post.bob.good("message/open", json!({"payload": payload}));
            let name = format!("{} {claimed} {}", post.peer.family(), opened["summary"]);
            assert_eq!(opened["summary"]["signed"], signed, "{name}");
            let layers = opened["layers"].as_array().unwrap();
            let layer = layers.iter().find(|layer| layer["kind"] == "signature");
            let reasons = layer.unwrap()["signatures"][0]["reasons"].to_string();
            assert_eq!(
                reasons.contains("claimed-headers"),
                signed != "good",
                "{name}"
            );
        }
    }
}

/// T8: several senders inside and outside are the same ones however each is written.
#[test]
fn several_from_are_the_same_however_they_are_spelled() {
    let two = "Alice <alice@sealpost.example>, carol@sealpost.example";
    for mut post in posts() {
        for (inside, outside, same) in [
            (two, two, true),
            (
                two,
                "\"Alice A.\" <ALICE@sealpost.example>, Carol <carol@SEALPOST.example>",
                true,
            ),
            (
                two,
                "=?utf-8?q?Alic=C3=A9?= <alice@sealpost.example>, carol@sealpost.example (work)",
                true,
            ),
            (two, "carol@sealpost.example, alice@sealpost.example", true),
            (
                two,
                "alice@sealpost.example\nFrom: carol@sealpost.example",
                true,
            ),
            (two, "alice@sealpost.example", false),
            (two, "alice@sealpost.example, eve@sealpost.example", false),
            (
                two,
                "alice@sealpost.example, carol@sealpost.example, eve@x.example",
                false,
            ),
            (
                two,
                "alice@sealpost.example, carol@sealpost.example, eve",
                false,
            ),
            (
                two,
                "alice@sealpost.example, Team: carol@sealpost.example;",
                false,
            ),
            ("nobody", "nobody else", false),
        ] {
            let payload = format!(
                "From: {inside}\nTo: {BOB}\nSubject: Secret\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n"
            );
            let outer = OUTER.replace("Alice <alice@sealpost.example>", outside);
            let opened = by_hand(&mut post, Crypto::Encrypted, &outer, &payload);
            let warnings = opened["summary"]["warnings"].to_string();
            assert_eq!(
                warnings.contains("from-mismatch"),
                !same,
                "{outside}: {warnings}"
            );
        }
        // A name that poses is told all the same.
        let payload =
            format!("From: {two}\nSubject: s\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n");
        let posing = two.replace("Alice", "\"eve at x.example\"");
        let outer = OUTER.replace("Alice <alice@sealpost.example>", &posing);
        let opened = by_hand(&mut post, Crypto::Encrypted, &outer, &payload);
        let warnings = opened["summary"]["warnings"].to_string();
        assert!(warnings.contains("address-in-name"), "{warnings}");
        assert!(!warnings.contains("from-mismatch"), "{warnings}");
    }
}

/// What brings the sender's certificate is a file with one family, and the signature with the other.
#[test]
fn the_writers_certificate_goes_along_with_either_family() {
    for mut post in posts() {
        let draft = json!({"from": BOB, "to": [ALICE], "subject": "s", "text": {"text": "t"}});
        let files = usize::from(post.peer.family() == "openpgp");
        let request = json!({"draft": draft, "protect": {"sign": true}, "attachKey": true});
        let sealed = post.bob.good("message/seal", request);
        let opened = post.bob.bytes(&sealed["sent"].clone());
        let opened = post.bob.open(&opened).unwrap();
        let parts = opened["parts"].as_array().unwrap();
        assert_eq!(parts.len(), 1 + files, "{opened}");
        assert_eq!(opened["summary"]["signed"], "good");
        let request = json!({"draft": draft, "protect": {}, "attachKey": true});
        let sealed = post.bob.call("message/seal", request);
        match files {
            0 => assert_eq!(sealed.unwrap_err().kind(), "request.invalid"),
            _ => assert!(sealed.is_ok()),
        }
    }
}

/// A bare text in the place of what is signed is text, of whatever charset it is.
#[test]
fn a_bare_text_that_is_signed_is_a_text() {
    for post in posts() {
        let Post { peer, mut bob, .. } = post;
        let crate::protection::Peer::Openssl(ca) = peer else {
            continue;
        };
        for (bytes, text) in [
            (
                &b"caf\xE9 \xE0 midi\r\n"[..],
                Some("caf\u{e9} \u{e0} midi\r\n"),
            ),
            ("caf\u{e9}\r\n".as_bytes(), Some("caf\u{e9}\r\n")),
            (b"\r\n\r\nFirst\r\n", Some("\r\n\r\nFirst\r\n")),
            (b"\r\n\xE9\r\n", Some("\r\n\u{e9}\r\n")),
            (b"\x01\x02\xFF\0", None),
        ] {
            ca.write("bare", bytes);
            let der = ca.go(&[
                "cms",
                "-sign",
                "-binary",
                "-nodetach",
                "-outform",
                "DER",
                "-in",
                "bare",
                "-signer",
                "alice.pem",
                "-inkey",
                "alice.key",
                "-certfile",
                "middle.pem",
            ]);
            let message = outside(OUTER, &crate::protection::pkcs7("signed-data", &der));
            let opened = bob.open(message.as_bytes()).unwrap();
            assert_eq!(opened["summary"]["signed"], "good");
            let part = opened["parts"][0].clone();
            let kind = if text.is_some() {
                "text/plain"
            } else {
                "application/octet-stream"
            };
            assert_eq!(part["type"], kind, "{part}");
            let shown = bob.bytes(&part["body"]);
            assert_eq!(shown, text.map_or(bytes, str::as_bytes));
        }
    }
}

/// RFC 9788 5.2.3: of a page goes the element that its body begins with, and no other; one that
/// never ends takes no letter with it. Whoever reads the page and whoever reads what it was made
/// of read the same.
#[test]
fn a_page_loses_only_the_legacy_display_it_begins_with() {
    let one = "<div class=\"header-protection-legacy-display\"><pre>Subject: Secret</pre></div>";
    let not = "<div class='x header-protection-legacy-display'>NOT</div>";
    let pages = [
        (format!("<html><body>{one}<p>text</p></body></html>"), "text"),
        (format!("<body>{one}{not}<p>pay</p>"), "NOT pay"),
        (format!("<body><p>I will</p>{not}<p>pay</p>"), "I will NOT pay"),
        (
            format!("<body><p>I will</p><section>{not}</section>pay"),
            "I will NOT pay",
        ),
        (
            "<body><div class=header-protection-legacy-display><div>Subject: Secret</div> tail</div>text"
                .to_owned(),
            "text",
        ),
        (
            "<body><div class=header-protection-legacy-display>I will NOT<p>pay".to_owned(),
            "I will NOT pay",
        ),
        (
            "<body><div class=header-protection-legacy-display>I will <div>NOT</div><p>pay".to_owned(),
            "I will NOT pay",
        ),
        (
            "<body><span class=header-protection-legacy-display>NOT</span> pay".to_owned(),
            "NOT pay",
        ),
        (format!("<meta charset=utf-8><!-- x -->\n{one}text"), "text"),
    ];
    for mut post in posts() {
        for (page, expected) in &pages {
            let payload = format!(
                "{INNER}HP-Outer: Subject: [...]\nContent-Type: text/html; hp=cipher; \
                 hp-legacy-display=1\n\n{page}\n"
            );
            let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &payload);
            let clean = post.bob.bytes(&opened["parts"][0]["html"]["clean"].clone());
            let quote = post.bob.bytes(&opened["quote"].clone());
            let body = bodies(&mut post, &opened).remove(0);
            for shown in [String::from_utf8(clean).unwrap(), body] {
                for word in expected.split(' ') {
                    assert!(shown.contains(word), "{page}: {shown}");
                }
                assert!(!shown.contains("Secret"), "{page}: {shown}");
            }
            let quote = String::from_utf8(quote).unwrap();
            let words: Vec<&str> = quote.split_whitespace().collect();
            assert_eq!(words.join(" "), *expected, "{page}");
        }
    }
}
