//! What is shown of what a signature or an encryption covers: those very bytes, however the rest
//! of the message is made.

use serde_json::{Value, json};

use crate::harness::{Host, encode, shorten};
use crate::mime::{crlf, mixed};
use crate::protection::{Crypto, INNER, OUTER, Peer, Post, by_hand, posts};
use crate::trio::BOB;

fn texts(bob: &mut Host, opened: &Value) -> Vec<String> {
    let show = opened["show"].as_array().unwrap().clone();
    let parts = opened["parts"].as_array().unwrap().clone();
    let shown = parts.iter().filter(|part| show.contains(&part["id"]));
    let bytes = shown.map(|part| bob.bytes(&part["body"]));
    bytes.map(|body| String::from_utf8(body).unwrap()).collect()
}

/// The charset of an inline text stands outside of what is signed, so that it may be anybody's
/// who passed the message on.
#[test]
fn no_charset_makes_other_words_of_a_signed_text() {
    for mut post in posts() {
        let Peer::Gpg { gpg, key } = &post.peer else {
            continue;
        };
        // `+AAo-` is a line end in UTF-7, `~{` begins Chinese in HZ.
        let text = "No. > Ref. +AAoACg-Yes +AHAAYQB5- ~{VPND~} \\ é€\n";
        let signing = ["--local-user", key, "--armor"];
        let also = |more: &[&str]| gpg.text(&[&signing[..], more].concat(), text.as_bytes());
        let signed = also(&["--clearsign"]);
        let sealed = also(&[
            "--trust-model",
            "always",
            "--recipient",
            "bob@sealpost.example",
            "--sign",
            "--encrypt",
        ]);
        for armor in [signed, sealed] {
            for charset in [
                "utf-8",
                "us-ascii",
                "utf-7",
                "utf-16",
                "utf-16le",
                "utf-32",
                "hz-gb-2312",
                "iso-2022-jp",
                "iso-8859-1",
                "gb18030",
                "shift_jis",
                "unicode-1-1-utf-7",
                "x-nothing",
            ] {
                let outer = crlf(OUTER).replace("DATE", &chrono::Utc::now().to_rfc2822());
                let armor = crlf(&armor);
                let message =
                    format!("{outer}Content-Type: text/plain; charset={charset}\r\n\r\n{armor}");
                let opened = post.bob.open(message.as_bytes()).unwrap();
                assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
                let body = post.bob.bytes(&opened["parts"][0]["body"]);
                let body = String::from_utf8(body).unwrap();
                assert_eq!(body.trim_end(), text.trim_end(), "{charset}");
            }
        }
    }
}

/// The same of a text that is no UTF-8. A charset by any name may say which letters its high bytes
/// are, and nothing of the rest.
#[test]
fn no_charset_makes_other_words_of_a_signed_text_of_old() {
    let Some(mut post) = posts().into_iter().find(|p| p.peer.family() == "openpgp") else {
        return;
    };
    let plain = "No. Ref. +AAoACg-Yes +- ~{VPND~} \\ $BEND(B [caf?]{|}~, f?nf\n";
    let text: Vec<u8> = plain
        .bytes()
        .map(|byte| if byte == b'?' { 0xE9 } else { byte })
        .collect();
    let Peer::Gpg { gpg, key } = &post.peer else {
        panic!("an OpenPGP peer has a key");
    };
    let signing = ["--local-user", key, "--armor"];
    let encrypting = [
        "--trust-model",
        "always",
        "--recipient",
        BOB,
        "--sign",
        "--encrypt",
    ];
    for more in [&["--clearsign"][..], &encrypting] {
        let armor = gpg.go(&[&signing[..], more].concat(), &text);
        for charset in CHARSETS {
            let outer = crlf(OUTER).replace("DATE", &chrono::Utc::now().to_rfc2822());
            let kind = format!(
                "Content-Type: text/plain; charset={charset}\r\n\
                 Content-Transfer-Encoding: base64\r\n"
            );
            let message = format!("{outer}{kind}\r\n{}\r\n", encode(&armor));
            let opened = post.bob.open(message.as_bytes()).unwrap();
            assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
            let [body] = texts(&mut post.bob, &opened).try_into().unwrap();
            let seen: String = body.chars().filter(char::is_ascii).collect();
            let expected: String = plain.chars().filter(|c| *c != '?').collect();
            assert_eq!(seen.trim_end(), expected.trim_end(), "{charset}: {body}");
            let letters = body.chars().filter(|c| !c.is_ascii()).count();
            assert_eq!(letters, 2, "{charset}: {body}");
            if charset.contains("8859-1") {
                assert!(body.contains("[café]"), "{charset}: {body}");
            }
        }
    }
}

/// Names of charsets, and what may stand around them.
const CHARSETS: [&str; 40] = [
    "utf-8",
    "us-ascii",
    "iso-8859-1",
    "ISO-8859-1",
    "\"iso-8859-1\"",
    "koi8-r",
    "windows-1251",
    "utf-7",
    "UTF_7",
    "csutf7",
    "\"csUTF7\"",
    "\" utf_7 \"",
    "unicode-1-1-utf-7",
    "utf_16",
    "utf-16be",
    "csutf16",
    "csutf16le",
    "unicode",
    "csunicode",
    "unicodefeff",
    "unicodefffe",
    "ucs-2",
    "UCS_2",
    "iso-10646-ucs-2",
    "utf-32",
    "hz-gb-2312",
    "iso-2022-jp",
    "csISO2022JP",
    "iso-2022-kr",
    "csiso2022kr",
    "iso_2022_cn",
    "replacement",
    "gbk",
    "gb18030",
    "big5",
    "shift_jis",
    "sjis",
    "euc-kr",
    "x-user-defined",
    "x-nothing",
];

/// Japanese in seven bits is read as what it is, where it is that.
#[test]
fn a_signed_text_in_japanese_is_read() {
    let Some(mut post) = posts().into_iter().find(|p| p.peer.family() == "openpgp") else {
        return;
    };
    let Peer::Gpg { gpg, key } = &post.peer else {
        panic!("an OpenPGP peer has a key");
    };
    for (text, charset, expected) in [
        (
            &b"Re: \x1b$B%O%m!<\x1b(B.\n"[..],
            "ISO-2022-JP",
            "Re: ハロー.",
        ),
        (b"\xd0\xd2\xc9\xd7\xc5\xd4, Bob\n", "koi8-r", "привет, Bob"),
    ] {
        let armor = gpg.go(&["--local-user", key, "--armor", "--clearsign"], text);
        let outer = crlf(OUTER).replace("DATE", &chrono::Utc::now().to_rfc2822());
        let kind = format!(
            "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64"
        );
        let message = format!("{outer}{kind}\r\n\r\n{}\r\n", encode(&armor));
        let opened = post.bob.open(message.as_bytes()).unwrap();
        assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
        let [body] = texts(&mut post.bob, &opened).try_into().unwrap();
        assert_eq!(body.trim_end(), expected);
    }
}

/// A signature is over an attached message's bytes, whatever stands in them.
#[test]
fn an_attached_message_is_its_own_affair() {
    let junk =
        "junk line\nFrom: a@b.example\nContent-Type: text/plain\nContent-Type: text/html\n\nspam\n";
    for mut post in posts() {
        let payload = format!(
            "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: text/plain\n\nSee there.\n\
             --m\nContent-Type: message/rfc822\n\n{junk}\n--m--\n"
        );
        for crypto in [Crypto::Multipart, Crypto::SignedEncrypted] {
            let opened = by_hand(&mut post, crypto, OUTER, &payload);
            assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
        }
        // Where the message itself is ambiguous, nothing is.
        let payload = "Content-Type: text/plain\nContent-Type: text/html\n\nSee there.\n";
        let opened = by_hand(&mut post, Crypto::Multipart, OUTER, payload);
        assert_eq!(opened["summary"]["signed"], "bad", "{}", shorten(&opened));
    }
}

/// Of alternatives, what can be shown.
#[test]
fn a_page_that_can_not_be_shown_gives_way_to_its_text() {
    let page = |html: &str| {
        format!(
            "Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/plain\n\nplain words\n\
             --a\nContent-Type: text/html\n\n{html}\n--a--\n"
        )
    };
    let deep = format!("{}deep words", "<div>".repeat(600));
    for mut post in posts() {
        for (html, shown) in [("<p>page words</p>", "page"), (deep.as_str(), "plain")] {
            for crypto in [Crypto::Multipart, Crypto::SignedEncrypted] {
                let opened = by_hand(&mut post, crypto, OUTER, &page(html));
                let texts = texts(&mut post.bob, &opened);
                assert_eq!(texts.len(), 1, "{}", shorten(&opened));
                assert!(texts[0].contains(&format!("{shown} words")), "{texts:?}");
                let quote = post.bob.bytes(&opened["quote"]);
                assert!(String::from_utf8(quote).unwrap().starts_with(shown));
            }
        }
    }
}

/// A multipart of entities; each one inside another needs a boundary of its own.
fn multi(kind: &str, entities: &[&str]) -> String {
    let boundary = format!("{kind}-{}", entities.concat().len());
    let mut out = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\n\n");
    for entity in entities {
        out.push_str(&format!("--{boundary}\n{entity}\n"));
    }
    out + &format!("--{boundary}--\n")
}

/// Of alternatives the last that is readable, whatever it is called: no more and no less.
#[test]
fn something_is_shown_of_every_message_that_has_text() {
    let of = |fields: &str, body: &str| format!("Content-Type: {fields}\n\n{body}\n");
    let plain = |word: &str| of("text/plain", word);
    let html = |word: &str| of("text/html", &format!("<p>{word}</p>"));
    let deep = || of("text/html", &format!("{}deep", "<div>".repeat(600)));
    let named = |word: &str| of("text/html; name=a.html", &format!("<p>{word}"));
    let attached = |word: &str| of("text/html\nContent-Disposition: attachment", word);
    let filed = |kind: &str, word: &str| {
        of(
            &format!("{kind}\nContent-Disposition: inline; filename=\"a b\""),
            word,
        )
    };
    let empty = || {
        of(
            "text/html",
            "<p style='display:none'>no</p><img src=http://x.example/p>",
        )
    };
    let picture = || of("text/html", "<img src=cid:a@x>");
    let letter = |word: &str| of("text/plain; name=letter.txt", word);
    let alt = |entities: &[&str]| multi("alternative", entities);
    let mixed = |entities: &[&str]| multi("mixed", entities);
    let related = |entities: &[&str]| multi("related", entities);
    let calendar = || of("text/calendar; method=REQUEST", "BEGIN:VCALENDAR");
    let message = || {
        format!(
            "Content-Type: message/rfc822\n\nSubject: x\n\n{}",
            "attached"
        )
    };
    let cases: Vec<(String, &[&str])> = vec![
        // A whole message that has a name.
        (letter("one"), &["one"]),
        (filed("text/plain", "one"), &["one"]),
        (filed("text/html", "one"), &["one"]),
        (named("one"), &["<p>one"]),
        (
            of("text/plain\nContent-Disposition: attachment", "one"),
            &[],
        ),
        (
            mixed(&[&letter("one"), &plain("footer")]),
            &["one", "footer"],
        ),
        (mixed(&[&plain("one"), &letter("two")]), &["one"]),
        // Alternatives with names, and those that say that they are files.
        (alt(&[&plain("one"), &named("two")]), &["<p>two"]),
        (alt(&[&plain("one"), &filed("text/html", "two")]), &["two"]),
        (alt(&[&letter("one"), &named("two")]), &["<p>two"]),
        (alt(&[&letter("one"), &deep()]), &["one"]),
        (alt(&[&plain("one"), &attached("two")]), &["one"]),
        (
            alt(&[
                &plain("one"),
                &related(&[&named("two"), &of("image/png", "x")]),
            ]),
            &["<p>two"],
        ),
        (alt(&[&plain("one"), &mixed(&[&attached("two")])]), &["one"]),
        (
            alt(&[&plain("one"), &mixed(&[&calendar(), &named("two")])]),
            &["one"],
        ),
        (
            alt(&[&plain("one"), &html("two"), &calendar()]),
            &["<p>two</p>"],
        ),
        (alt(&[&plain("one"), &message()]), &["one"]),
        // Those that are empty, or can't be shown.
        (alt(&[&plain("one"), &empty()]), &["one"]),
        (alt(&[&plain("one"), &of("text/html", "")]), &["one"]),
        (alt(&[&plain(" "), &html("two")]), &["<p>two</p>"]),
        (alt(&[&plain("one"), &plain("")]), &["one"]),
        (alt(&[&plain("one"), &picture()]), &["<img src=cid:a@x>"]),
        (
            alt(&[&plain("one"), &mixed(&[&empty(), &html("two")])]),
            &[
                "<p style='display:none'>no</p><img src=http://x.example/p>",
                "<p>two</p>",
            ],
        ),
        (
            alt(&[&plain("one"), &mixed(&[&deep(), &plain("two")])]),
            &["one"],
        ),
        (alt(&[&plain("one"), &plain("two"), &deep()]), &["two"]),
        (
            alt(&[&plain("one"), &html("two"), &deep()]),
            &["<p>two</p>"],
        ),
        (alt(&[&plain("one"), &deep(), &empty()]), &["one"]),
        (
            alt(&[&plain("one"), &alt(&[&html("two"), &deep()])]),
            &["<p>two</p>"],
        ),
        (alt(&[&plain("one"), &alt(&[&empty(), &deep()])]), &["one"]),
        (alt(&[&alt(&[&plain("one"), &deep()]), &empty()]), &["one"]),
        (
            alt(&[&mixed(&[&plain("one")]), &related(&[&deep()])]),
            &["one"],
        ),
    ];
    for mut post in posts() {
        let layered = |post: &mut Post, inside: &str| post.peer.multipart(&crlf(inside));
        let signed: Vec<(String, &[&str])> = vec![
            (
                alt(&[&plain("one"), &layered(&mut post, &deep())]),
                &["one"],
            ),
            (
                alt(&[&layered(&mut post, &plain("one")), &deep()]),
                &["one"],
            ),
            (
                alt(&[&plain("one"), &layered(&mut post, &named("two"))]),
                &["<p>two"],
            ),
        ];
        for (entity, shown) in cases.iter().chain(&signed) {
            let outer = crlf(OUTER).replace("DATE", &chrono::Utc::now().to_rfc2822());
            let message = format!("{outer}MIME-Version: 1.0\r\n{}", crlf(entity));
            let opened = post.bob.open(message.as_bytes()).unwrap();
            let texts = texts(&mut post.bob, &opened);
            let texts: Vec<&str> = texts.iter().map(|text| text.trim()).collect();
            assert_eq!(&texts, shown, "{entity}\n{}", shorten(&opened));
            let words = shown.iter().any(|text| !text.contains("cid:"));
            assert_eq!(opened["quote"].is_null(), !words, "{entity}");
        }
        // Armor is looked for there, too.
        if let Peer::Gpg { gpg, key } = &post.peer {
            let signing = ["--local-user", key, "--clearsign"];
            let armor = gpg.text(&signing, b"one\n");
            let entity = of("text/plain; name=letter.asc", &armor);
            let outer = crlf(OUTER).replace("DATE", &chrono::Utc::now().to_rfc2822());
            let message = format!("{outer}{}", crlf(&entity));
            let opened = post.bob.open(message.as_bytes()).unwrap();
            assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
            assert_eq!(texts(&mut post.bob, &opened), ["one"]);
        }
        for (entity, shown) in &cases {
            let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, entity);
            let texts = texts(&mut post.bob, &opened);
            let texts: Vec<&str> = texts.iter().map(|text| text.trim()).collect();
            assert_eq!(&texts, shown, "{entity}\n{}", shorten(&opened));
        }
    }
}

/// More signed parts than are looked at: their text is there to be read all the same.
#[test]
fn the_text_of_too_many_signed_parts_is_there() {
    for mut post in posts() {
        let part = post
            .peer
            .multipart(&crlf("Content-Type: text/plain\n\nwords\n"));
        let entity = mixed(&vec![part.as_str(); 210]);
        let outer = crlf(OUTER).replace("DATE", &chrono::Utc::now().to_rfc2822());
        let message = format!("{outer}MIME-Version: 1.0\r\n{entity}");
        let opened = post.bob.open(message.as_bytes()).unwrap();
        assert_eq!(opened["parts"].as_array().unwrap().len(), 210);
        let last = &opened["parts"][209];
        assert_eq!(last["protection"]["signed"], "none", "{last}");
        assert!(
            texts(&mut post.bob, &opened)
                .iter()
                .all(|text| text.contains("words"))
        );
        let warnings = opened["summary"]["warnings"].to_string();
        assert!(warnings.contains("part-closed"), "{warnings}");
    }
}

/// What stands outside of an answer is no other's to write: a composer who says that they put
/// strange things outside gets an answer that is addressed by what is inside.
#[test]
fn no_answer_is_addressed_by_what_its_composer_put_outside() {
    let honest =
        "From: Alice <alice@sealpost.example>\nTo: bob@sealpost.example\nCc: bob2@x.example\n";
    let lies = "HP-Outer: Subject: I quit\nHP-Outer: From: boss@x.example\nHP-Outer: To: press@evil.example\n\
                HP-Outer: Message-ID: <boss@thread>\n";
    let payload = format!("{INNER}{lies}Content-Type: text/plain; hp=\"cipher\"\n\ntext\n");
    for mut post in posts() {
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, honest, &payload);
        let token = json!({"answer": opened["answer"]});
        let answer = json!({"message": token, "kind": "reply"});
        let draft = post.bob.good("message/answer", answer)["draft"].clone();
        let params = json!({"draft": draft, "answering": token,
            "protect": {"encrypt": true, "headers": "none"}});
        let sealed = post.bob.good("message/seal", params);
        let message = post.bob.bytes(&sealed["messages"][0]["message"].clone());
        let message = String::from_utf8_lossy(&message).into_owned();
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        for lie in ["quit", "boss", "press", "evil"] {
            assert!(!head.contains(lie), "{head}");
        }
        assert!(head.contains("\r\nSubject: Re: [...]\r\n"), "{head}");
        assert!(head.contains("From: <bob@sealpost.example>"), "{head}");
        assert!(!head.contains("Secret") && !head.contains("o@x"), "{head}");
    }
}

/// Inline OpenPGP has no place for a field: whoever asks for hidden ones is told.
#[test]
fn inline_hides_no_field_silently() {
    for mut post in posts() {
        if !matches!(post.peer, Peer::Gpg { .. }) {
            continue;
        }
        let draft = json!({"from": "bob@sealpost.example", "to": ["alice@sealpost.example"],
            "subject": "s", "text": {"text": "x"}});
        for (headers, sealed) in [
            (Value::Null, true),
            (json!("none"), true),
            (json!("baseline"), false),
            (json!("shy"), false),
        ] {
            let mut protect = json!({"encrypt": true, "scheme": "inline", "protocol": "openpgp"});
            if !headers.is_null() {
                protect["headers"] = headers.clone();
            }
            let params = json!({"draft": draft, "protect": protect});
            match post.bob.call("message/seal", params) {
                Ok(_) => assert!(sealed, "{headers}"),
                Err(fault) => {
                    assert!(!sealed, "{headers}: {fault:?}");
                    assert_eq!(fault.data["path"], "/protect/headers");
                }
            }
        }
    }
}
