//! A signature that stands inside the payload covers its text alone: the fields around it, and the
//! shape that somebody gave the message on the way, are nobody's word.

use serde_json::{Value, json};

use crate::harness::import;
use crate::mime::{crlf, encrypted, letter, signed};
use crate::peer::Gpg;
use crate::protection::{Crypto, OUTER, Post, by_hand, posts, state};

const ALICE: &str = "alice@sealpost.example";
const BOB: &str = "bob@sealpost.example";

/// What somebody wants to have signed by Alice.
const FORGED: &str = "From: Alice <alice@sealpost.example>\nTo: bob@sealpost.example\n\
    Subject: Shall we pay Mallory?\nReply-To: mallory@x.example\nDate: FIELD-DATE\nMessage-ID: <o@x>\n";

/// Alice's OpenPGP key, which Bob has accepted.
struct Alice {
    gpg: Gpg,
    key: String,
}

impl Alice {
    fn known_to(post: &mut Post) -> Option<Alice> {
        let gpg = Gpg::new()?;
        let key = gpg.key(&format!("Alice <{ALICE}>"), "ed25519", "cv25519", &[]);
        let shown = post.bob.good("keys/list", json!({"protocol": "openpgp"}));
        for key in shown["keys"].as_array().unwrap() {
            let export = json!({"ids": [key["id"]]});
            let data = post.bob.good("keys/export", export)["data"].clone();
            gpg.go(&["--import"], &post.bob.bytes(&data));
        }
        import(&mut post.bob, &gpg.public(&key), json!(true));
        Some(Alice { gpg, key })
    }

    /// What she once wrote, signed as a text.
    fn cleartext(&self, words: &str) -> String {
        let args = ["--local-user", &self.key, "--clearsign"];
        self.gpg.text(&args, words.as_bytes())
    }
}

fn now() -> String {
    chrono::Utc::now().to_rfc2822()
}

/// The three ways in which a payload says that its fields are to be read.
fn carriers(text: &str) -> [(&'static str, String); 3] {
    let fields = FORGED.replace("FIELD-DATE", &now());
    let plain = format!("Content-Type: text/plain; charset=utf-8\n\n{text}");
    let marked = |mark: &str| format!("{fields}Content-Type: text/plain; {mark}\n\n{text}");
    [
        ("hp", marked("hp=\"cipher\"")),
        ("protected-headers", marked("protected-headers=\"v1\"")),
        (
            "message/rfc822",
            format!("Content-Type: message/rfc822\n\n{fields}{plain}"),
        ),
    ]
}

#[test]
fn a_signature_inside_covers_no_field() {
    for mut post in posts() {
        let Some(alice) = Alice::known_to(&mut post) else {
            return;
        };
        let text = alice.cleartext("Yes, I agree.\n");
        for (name, payload) in carriers(&text) {
            let opened = by_hand(&mut post, Crypto::Encrypted, OUTER, &payload);
            assert_eq!(opened["summary"]["signed"], "good", "{name}");
            let (value, protection) = state(&opened, "subject");
            assert_eq!(
                (value, protection),
                ("Shall we pay Mallory?", "encrypted"),
                "{name}"
            );
            for (field, header) in opened["headers"].as_object().unwrap() {
                let protection = header["protection"].as_str().unwrap();
                assert!(!protection.contains("signed"), "{name} {field}: {header}");
            }
            // CBC alone vouches for nothing, and a signature over a piece of it neither.
            let open = opened["layers"][0]["integrity"] == "none";
            let warnings = opened["summary"]["warnings"].to_string();
            assert_eq!(
                warnings.contains("unauthenticated"),
                open,
                "{name}: {warnings}"
            );
        }
        // Signed around the fields as well, they are hers.
        let (_, payload) = &carriers(&text)[0];
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, payload);
        assert_eq!(state(&opened, "subject").1, "signed-encrypted");
        assert_eq!(opened["summary"]["signed"], "good");
    }
}

/// Years later, under today's date.
#[test]
fn a_date_inside_is_compared_with_what_it_does_not_sign() {
    for mut post in posts() {
        let Some(alice) = Alice::known_to(&mut post) else {
            return;
        };
        let text = alice.cleartext("Yes, I agree.\n");
        let [(_, payload), ..] = carriers(&text);
        let payload = payload.replace(&now()[..16], "Sun, 05 Jan 2025");
        let opened = by_hand(&mut post, Crypto::Encrypted, OUTER, &payload);
        let warnings = opened["summary"]["warnings"].to_string();
        assert!(warnings.contains("date-mismatch"), "{warnings}");
    }
}

/// Outside somebody who signs nothing, inside a name that signs a text.
#[test]
fn a_signature_inside_is_judged_by_the_sender_that_is_shown() {
    for mut post in posts() {
        let Some(alice) = Alice::known_to(&mut post) else {
            return;
        };
        let text = alice.cleartext("Yes, I agree.\n");
        let outer = OUTER.replace("Alice <alice@sealpost.example>", "mallory@x.example");
        let [(_, payload), ..] = carriers(&text);
        let opened = by_hand(&mut post, Crypto::Encrypted, &outer, &payload);
        assert_eq!(state(&opened, "from").0, "mallory@x.example");
        assert_eq!(opened["summary"]["signed"], "unverified", "{opened}");
        assert_eq!(opened["summary"]["signer"], Value::Null);
    }
}

#[test]
fn what_stands_around_gpgols_file_is_nobodys_word() {
    for mut post in posts() {
        let entity = crlf("Content-Type: text/plain\n\nYes, I agree.\n");
        let inner = post.peer.multipart(&entity);
        let fields = FORGED.replace("FIELD-DATE", &now());
        let around = |marks: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=\"g\"{marks}\n\n--g\nContent-Type: text/plain\n\n\n\
                 --g\nContent-Type: application/octet-stream; name=\"GpgOL_MIME_structure.mime\"\n\
                 Content-Disposition: attachment; filename=\"GpgOL_MIME_structure.mime\"\n\
                 Content-Transfer-Encoding: base64\n\n{}\n--g--\n",
                openssl::base64::encode_block(inner.as_bytes())
            )
        };
        let payload = format!("{fields}{}", around("; hp=\"cipher\""));
        let opened = by_hand(&mut post, Crypto::Encrypted, OUTER, &payload);
        assert_eq!(opened["summary"]["signed"], "good");
        assert_eq!(state(&opened, "subject"), ("[...]", "none"));
        assert_eq!(opened["headers"]["replyTo"], Value::Null);
        let payload = format!("Content-Type: message/rfc822\n\n{fields}{}", around(""));
        let opened = by_hand(&mut post, Crypto::Encrypted, OUTER, &payload);
        assert_eq!(opened["summary"]["signed"], "none");
        assert_eq!(state(&opened, "subject"), ("[...]", "none"));
    }
}

/// Fields that nobody reads don't crowd out those that say who wrote.
#[test]
fn a_crowd_of_fields_hides_no_sender() {
    let crowd: String = (0..300).map(|n| format!("X-{n}: a\n")).collect();
    let same = "To: bob@sealpost.example\n".repeat(300);
    for mut post in posts() {
        let payload = format!(
            "{}Content-Type: text/plain; hp=\"cipher\"\n\nText\n",
            FORGED.replace("FIELD-DATE", &now())
        );
        let mallory = OUTER.replace("Alice <alice@sealpost.example>", "mallory@x.example");
        for before in [&crowd, &same] {
            for (outer, inner) in [
                (format!("{before}{mallory}"), payload.clone()),
                (mallory.clone(), format!("{before}{payload}")),
            ] {
                let opened = by_hand(&mut post, Crypto::Encrypted, &outer, &inner);
                let from = &opened["headers"]["from"];
                assert_eq!(from["value"], "mallory@x.example");
                assert_eq!(from["claimed"], "Alice <alice@sealpost.example>");
                let warnings = opened["summary"]["warnings"].to_string();
                assert!(warnings.contains("from-mismatch"), "{warnings}");
            }
        }
    }
}

/// What was sent as a text, and made PGP/MIME on the way: no line of it is taken for a field.
#[test]
fn a_text_in_another_shape_loses_no_line() {
    let mut posts = posts();
    let Some((post, alice)) = posts.iter_mut().find_map(|post| {
        let alice = Alice::known_to(post)?;
        Some((post, alice))
    }) else {
        return;
    };
    for words in [
        "Bob: do NOT pay Mallory.\n\nKind regards, Alice\n",
        "Update: no.\nPS: never.\n\nKind regards, Alice\n",
        "https://x.example/a\nread this\n\nAlice\n",
        "hello\nContent-Type: text/html\n\nAlice\n",
        "\u{e9}: x\n\nAlice\n",
        "Content-wise: no.\n\nAlice\n",
        "Content-Type: is what matters.\n\nAlice\n",
    ] {
        let args = [
            "--armor",
            "--trust-model",
            "always",
            "--recipient",
            BOB,
            "--local-user",
            &alice.key,
            "--sign",
            "--encrypt",
        ];
        let armor = alice.gpg.text(&args, words.as_bytes());
        let entity = encrypted(&armor);
        let apart = crlf(&format!(
            "Content-Type: multipart/mixed; boundary=\"m\"\n\n--m\n\
             Content-Type: application/pgp-encrypted\n\nVersion: 1\n\n--m\n\
             Content-Type: application/octet-stream\n\n{armor}\n--m--\n"
        ));
        // Signed as a text, which leaves the last line end out, and sent as an entity.
        let cleartext = alice.cleartext(words.trim_end());
        let at = cleartext.find("-----BEGIN PGP SIGNATURE").unwrap();
        let detached = signed(&crlf(words.trim_end()), &cleartext[at..], "pgp-sha512");
        for (name, entity) in [("whole", entity), ("apart", apart), ("detached", detached)] {
            // There it is one by where it stands.
            if name == "detached" && words.starts_with("Content-Type: ") {
                continue;
            }
            let message = letter(ALICE, BOB, "s", &entity);
            let opened = post.bob.open(&message).unwrap();
            let signed = &opened["summary"]["signed"];
            // As an entity it has a line that is no field: two readers see two things.
            let doubtful = name == "detached" && signed == "bad";
            assert!(signed == "good" || doubtful, "{name} {words}: {signed}");
            let mut shown = String::new();
            for id in opened["show"].as_array().unwrap() {
                let mut parts = opened["parts"].as_array().unwrap().iter();
                let part = parts.find(|part| part["id"] == *id).unwrap();
                shown += &String::from_utf8(post.bob.bytes(&part["body"])).unwrap();
            }
            let first = words.lines().next().unwrap();
            assert!(shown.starts_with(first), "{words}: {shown}");
        }
    }
}

/// Where neither names one sender, what stands inside is shown no more than elsewhere.
#[test]
fn several_senders_inside_are_claimed_too() {
    for mut post in posts() {
        for (inside, outside) in [
            ("Alice <alice@sealpost.example>, x", "mallory@x.example, x"),
            (
                "Alice <alice@sealpost.example>, alice@sealpost.example",
                "mallory@x.example, mallory@x.example",
            ),
            (
                "G: Alice <alice@sealpost.example>;",
                "G: mallory@x.example;",
            ),
        ] {
            let payload = format!(
                "From: {inside}\nTo: {BOB}\nSubject: s\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n"
            );
            let outer = OUTER.replace("Alice <alice@sealpost.example>", outside);
            let opened = by_hand(&mut post, Crypto::Encrypted, &outer, &payload);
            let from = &opened["headers"]["from"];
            assert_eq!(
                (&from["value"], &from["claimed"]),
                (&json!(outside), &json!(inside))
            );
            let warnings = opened["summary"]["warnings"].to_string();
            assert!(warnings.contains("from-mismatch"), "{inside}: {warnings}");
        }
        let payload = "From: alice@sealpost.example\nFrom: eve@x.example\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n";
        let outer = OUTER.replace("Alice <alice@sealpost.example>", "mallory@x.example");
        let opened = by_hand(&mut post, Crypto::Encrypted, &outer, payload);
        let both = "alice@sealpost.example, eve@x.example";
        assert_eq!(opened["headers"]["from"]["claimed"], both);
    }
}
