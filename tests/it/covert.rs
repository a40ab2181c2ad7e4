//! Answers under attack: no ciphertext of somebody else's mail comes back in one, whatever it is
//! wrapped in, and nothing outside the protection says whom an answer goes to.

use serde_json::{Value, json};

use crate::harness::{Home, Host, Pair, body, encode, pair, seal_one, shorten};
use crate::mime::{block, crlf, encrypted, head, letter, mixed, text};
use crate::protection::posts;
use crate::smime::{Ca, two};

const ALICE: &str = "alice@sealpost.example";
const BOB: &str = "bob@sealpost.example";
const MALLORY: &str = "mallory@evil.example";
const KINDS: [&str; 3] = ["reply", "reply-all", "forward"];
const SECRET: &str = "the vault opens at midnight";
const SUBJECT: &str = "Vault of Sundays";

#[track_caller]
fn answer(host: &mut Host, message: &[u8], kind: &str) -> Value {
    let message = host.body(message);
    host.good("message/answer", json!({"message": message, "kind": kind}))
}

fn written(host: &mut Host, draft: &Value) -> String {
    match draft["text"].is_null() {
        true => String::new(),
        false => crlf(std::str::from_utf8(&host.bytes(&draft["text"])).unwrap()),
    }
}

fn addresses(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["address"].as_str().unwrap().to_owned())
        .collect()
}

/// A message with this text, these header lines before it.
fn plain(head: &str, body: &str) -> Vec<u8> {
    format!(
        "Date: Fri, 01 May 2026 10:00:00 +0000\r\n{head}MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Alice's mail to Bob.
fn to_bob(host: &mut Host, sign: bool) -> Vec<u8> {
    seal_one(
        host,
        json!({"from": {"name": "Alice", "address": ALICE}, "to": [BOB], "subject": SUBJECT,
            "text": {"text": format!("{SECRET}\r\n> older\r\n")}}),
        json!({"sign": sign, "encrypt": true}),
    )
}

#[test]
fn a_reply_to_encrypted_mail_quotes_it_and_goes_on_hiding_its_subject() {
    for profile in ["compatible", "modern"] {
        let mut people = pair(profile);
        let Pair { alice, bob, .. } = &mut people;
        let message = to_bob(alice, true);
        let reply = answer(bob, &message, "reply");
        let draft = reply["draft"].clone();
        assert_eq!(reply["encrypted"], "whole", "{profile}");
        assert_eq!(draft["subject"], format!("Re: {SUBJECT}"));
        assert_eq!(addresses(&draft["to"]), [ALICE]);
        assert_eq!(draft["cc"], json!([]));
        assert_eq!(draft["from"]["address"], BOB);
        assert_eq!(draft["inReplyTo"], draft["references"]);
        let quote = written(bob, &draft);
        let (first, rest) = quote.split_once("\r\n").unwrap();
        assert!(
            first.ends_with("Alice <alice@sealpost.example> wrote:"),
            "{first}"
        );
        assert_eq!(rest, format!("> {SECRET}\r\n>> older\r\n"));

        // RFC 9788 D.2.2: the client's own policy hides nothing.
        let answering = bob.body(&message);
        let seal = |draft: &Value, protect: Value, answering: &Value| json!({"draft": draft, "protect": protect, "answering": answering});
        let none = json!({"sign": true, "encrypt": true, "headers": "none"});
        let sealed = bob.good("message/seal", seal(&draft, none.clone(), &answering));
        let bytes = bob.bytes(&sealed["messages"][0]["message"]);
        let raw = String::from_utf8(bytes.clone()).unwrap();
        assert!(raw.contains("\r\nSubject: Re: [...]\r\n"), "{raw}");
        assert!(!raw.contains(SUBJECT));
        let opened = alice.open(&bytes).unwrap();
        let subject = &opened["headers"]["subject"];
        assert_eq!(subject["value"], format!("Re: {SUBJECT}"));
        assert_eq!(subject["protection"], "signed-encrypted");

        // Without `answering` the person's own policy stands alone.
        let alone = bob.good("message/seal", json!({"draft": draft, "protect": none}));
        let raw = bob.bytes(&alone["messages"][0]["message"]);
        assert!(String::from_utf8(raw).unwrap().contains(SUBJECT));

        // In the clear it does not go out, nor beside an inline block, until it is replaced.
        for protect in [
            json!({"sign": false, "encrypt": false}),
            json!({"sign": true, "encrypt": false}),
            json!({"sign": true, "encrypt": true, "scheme": "inline"}),
        ] {
            let fault = bob.fault("message/seal", seal(&draft, protect.clone(), &answering));
            assert_eq!(fault.kind(), "request.invalid", "{protect}");
            assert_eq!(fault.data["path"], "/protect");
            let mut other = draft.clone();
            other["subject"] = json!("Something else");
            bob.good("message/seal", seal(&other, protect, &answering));
        }
    }
}

#[test]
fn whom_an_answer_goes_to() {
    let mut people = pair("modern");
    let Pair { bob, .. } = &mut people;
    let names = |draft: &Value| (addresses(&draft["to"]), addresses(&draft["cc"]));
    let owned = |list: &[&str]| list.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let many: String = (0..10_000)
        .map(|n| format!(" m{n}@x.example,\r\n"))
        .collect();
    let id = "Message-ID: <id@x.example>\r\n";
    for (head, kind, to, cc) in [
        (
            "From: a@x.example\r\nTo: bob@sealpost.example, c@x.example\r\nCc: d@x.example, C@X.example\r\n",
            "reply",
            &["a@x.example"][..],
            &[][..],
        ),
        (
            "From: a@x.example\r\nTo: bob@sealpost.example, c@x.example\r\nCc: d@x.example, c@X.example\r\n",
            "reply-all",
            &["a@x.example"],
            &["c@x.example", "d@x.example"],
        ),
        (
            "From: a@x.example\r\nReply-To: r@x.example, s@x.example\r\nTo: bob@sealpost.example\r\n",
            "reply",
            &["r@x.example", "s@x.example"],
            &[],
        ),
        (
            "From: bob@sealpost.example\r\nTo: a@x.example\r\nCc: c@x.example\r\n",
            "reply",
            &["a@x.example"],
            &[],
        ),
        (
            "From: bob@sealpost.example\r\nReply-To: z@x.example\r\nTo: a@x.example\r\nCc: c@x.example\r\n",
            "reply-all",
            &["a@x.example"],
            &["c@x.example"],
        ),
        (
            "From: a@x.example\r\nTo: team: c@x.example, bob@sealpost.example;\r\n",
            "reply-all",
            &["a@x.example"],
            &["c@x.example"],
        ),
        (
            "From: a@x.example\r\nTo: bob@sealpost.example\r\nBcc: h@x.example\r\nMail-Followup-To: m@evil.example\r\n\
          Mail-Reply-To: m@evil.example\r\nList-Post: <mailto:m@evil.example>\r\n",
            "reply-all",
            &["a@x.example"],
            &[],
        ),
        (
            "From: a@x.example\r\nTo: bob@sealpost.example\r\n",
            "forward",
            &[],
            &[],
        ),
    ] {
        let message = plain(&format!("{head}{id}Subject: s\r\n"), "hi\r\n");
        let draft = answer(bob, &message, kind)["draft"].clone();
        assert_eq!(names(&draft), (owned(to), owned(cc)), "{kind} {head}");
        assert_eq!(draft["bcc"], json!([]));
        assert_eq!(
            draft["from"],
            json!({"name": null, "address": BOB}),
            "{head}"
        );
    }
    let message = plain(
        &format!(
            "From: a@x.example\r\nTo: {}\r\n",
            many.trim_end_matches(",\r\n")
        ),
        "hi\r\n",
    );
    let message = bob.body(&message);
    let asked = json!({"message": message, "kind": "reply-all"});
    let fault = bob.fault("message/answer", asked);
    assert_eq!(
        (fault.kind(), &fault.data["limit"]),
        ("limit.exceeded", &json!("recipients"))
    );
    let reply = bob.good(
        "message/answer",
        json!({"message": message, "kind": "reply"}),
    );
    assert_eq!(addresses(&reply["draft"]["to"]), ["a@x.example"]);
    assert_eq!(reply["encrypted"], "none");
    // An account without a key of ours is the person's as well.
    let message = body(&plain(
        "From: a@x.example\r\nTo: me@x.example, c@x.example\r\n",
        "hi\r\n",
    ));
    let asked =
        json!({"message": message, "kind": "reply-all", "context": {"account": "me@x.example"}});
    let draft = bob.good("message/answer", asked)["draft"].clone();
    assert_eq!(
        names(&draft),
        (owned(&["a@x.example"]), owned(&["c@x.example"]))
    );
    assert_eq!(draft["from"]["address"], "me@x.example");
}

#[test]
fn subjects_and_threads() {
    let mut people = pair("modern");
    let Pair { bob, .. } = &mut people;
    for (subject, kind, expected) in [
        ("Lunch", "reply", "Re: Lunch"),
        ("RE: Lunch", "reply-all", "Re: Lunch"),
        ("Re: Lunch", "forward", "Fwd: Re: Lunch"),
        ("FW: Lunch", "forward", "Fwd: Lunch"),
        ("", "reply", "Re:"),
        (
            "=?utf-8?q?a=0D=0ABcc:_m@evil.example?=",
            "reply",
            "Re: aBcc: m@evil.example",
        ),
    ] {
        let message = plain(
            &format!("From: a@x.example\r\nTo: {BOB}\r\nSubject: {subject}\r\n"),
            "hi\r\n",
        );
        let draft = answer(bob, &message, kind)["draft"].clone();
        let got: String = draft["subject"]
            .as_str()
            .unwrap()
            .split_whitespace()
            .collect();
        let expected: String = expected.split_whitespace().collect();
        assert_eq!(got, expected, "{subject}");
        // What was prefilled can be sealed as it is.
        if kind != "forward" {
            bob.good("message/seal", json!({"draft": draft, "protect": {}}));
        }
    }
    let references: String = (0..50).map(|n| format!("\r\n <r{n}@x.example>")).collect();
    let head = format!(
        "From: a@x.example\r\nTo: {BOB}\r\nMessage-ID: <id@x.example>\r\nReferences:{references}\r\n"
    );
    let draft = answer(bob, &plain(&head, "hi\r\n"), "reply")["draft"].clone();
    let list = draft["references"].as_array().unwrap();
    assert_eq!(
        (list.len(), &list[0], &list[1]),
        (21, &json!("r0@x.example"), &json!("r31@x.example"))
    );
    assert_eq!(list[20], "id@x.example");
    assert_eq!(draft["inReplyTo"], json!(["id@x.example"]));
}

#[test]
fn a_forwarded_message_takes_its_files_along() {
    let mut people = pair("modern");
    let Pair { alice, bob, .. } = &mut people;
    let files = json!([{"name": "a.bin", "type": "application/octet-stream", "body": {"base64": encode(&[0, 1, 2])}}]);
    let message = seal_one(
        alice,
        json!({"from": ALICE, "to": [BOB], "subject": SUBJECT, "text": {"text": SECRET}, "attachments": files}),
        json!({"sign": true, "encrypt": true}),
    );
    let draft = answer(bob, &message, "forward")["draft"].clone();
    assert_eq!(draft["attachments"][0]["name"], "a.bin");
    assert_eq!(bob.bytes(&draft["attachments"][0]["body"]), [0, 1, 2]);
    let text = written(bob, &draft);
    assert!(
        text.contains(SECRET) && text.contains(&format!("Subject: {SUBJECT}\r\n")),
        "{text}"
    );
    let draft = answer(bob, &message, "reply")["draft"].clone();
    assert_eq!(draft["attachments"], json!([]));
}

/// A file that is encrypted by itself stays, opened or closed, and so does what is withheld; each is
/// told.
#[test]
fn files_that_do_not_come_along_are_told() {
    let mut people = pair("modern");
    let Pair { alice, bob, .. } = &mut people;
    let armor = |host: &mut Host, to: &str| {
        let params = json!({"text": {"text": "a file"}, "to": [to]});
        host.good("text/encrypt", params)["text"]["text"].clone()
    };
    let (open, closed) = (armor(alice, BOB), armor(alice, ALICE));
    let file = |name: &str, text: &Value| json!({"name": name, "type": "application/octet-stream", "body": {"text": text}});
    let files = json!([
        file("open.pgp", &open),
        file("closed.pgp", &closed),
        file("a.bin", &json!("x"))
    ]);
    let draft = json!({"from": ALICE, "to": [BOB], "subject": SUBJECT, "text": {"text": SECRET}, "attachments": files});
    for (encrypt, quote, attached, left) in [
        (true, "given", vec!["a.bin"], 2),
        (false, "withheld", vec![], 3),
    ] {
        let protect = json!({"sign": true, "encrypt": encrypt});
        let message = seal_one(alice, draft.clone(), protect);
        let forward = answer(bob, &message, "forward");
        assert_eq!(forward["quote"], quote, "{forward}");
        let along = forward["draft"]["attachments"].as_array().unwrap().iter();
        let along: Vec<_> = along.map(|file| file["name"].as_str().unwrap()).collect();
        assert_eq!(along, attached, "{forward}");
        assert_eq!(forward["left"].as_array().unwrap().len(), left, "{forward}");
        assert_eq!(answer(bob, &message, "reply")["left"], json!([]));
    }
    // Nothing binds it to anybody: all of it stays.
    let files = json!([file("a.bin", &json!("x"))]);
    let draft = json!({"from": ALICE, "to": [BOB], "subject": SUBJECT, "text": {"text": SECRET}, "attachments": files});
    let protect = json!({"sign": false, "encrypt": true, "headers": "none"});
    let message = String::from_utf8(seal_one(alice, draft, protect)).unwrap();
    let message = message.replacen(ALICE, "mallory@x.example", 1);
    assert!(message.contains("From: mallory@") || message.contains("From: <mallory@"));
    let forward = answer(bob, message.as_bytes(), "forward");
    assert_eq!(forward["quote"], "withheld");
    assert_eq!(forward["left"].as_array().unwrap().len(), 1, "{forward}");
    // A text with a name is quoted, and no file besides.
    let named = format!(
        "From: {ALICE}\r\nTo: {BOB}\r\nSubject: s\r\nDate: Fri, 01 May 2026 10:00:00 +0000\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; name=letter.txt\r\n\r\n{SECRET}"
    );
    let forward = answer(bob, named.as_bytes(), "forward");
    assert_eq!(forward["quote"], "given", "{forward}");
    assert_eq!(forward["draft"]["attachments"], json!([]));
    assert_eq!(forward["left"], json!([]));
}

/// A page that nothing vouches for is not given out, so that it can't be passed on as nothing.
#[test]
fn a_file_that_is_withheld_stays_and_is_told() {
    for mut post in posts() {
        if post.peer.family() != "smime" {
            continue;
        }
        let page = "Content-Type: text/html; name=p.html\r\n\
            Content-Disposition: attachment; filename=p.html\r\n\r\n<p>page</p>";
        let image = "Content-Type: image/png; name=i.png\r\n\
            Content-Disposition: attachment; filename=i.png\r\n\r\npicture";
        let payload = mixed(&[&text(SECRET), page, image]);
        let entity = post.peer.encrypted(&payload, false);
        let message = letter(ALICE, BOB, "Hello", &entity);
        let message = post.bob.body(&message);
        let request = json!({"message": message, "kind": "forward", "quote": "anyway"});
        let forward = post.bob.good("message/answer", request);
        let files = forward["draft"]["attachments"].as_array().unwrap();
        let names: Vec<_> = files.iter().map(|file| &file["name"]).collect();
        assert_eq!(names, ["i.png"], "{forward}");
        assert_eq!(forward["left"].as_array().unwrap().len(), 1, "{forward}");
    }
}

#[test]
fn what_is_no_message_is_not_answered() {
    let mut people = pair("modern");
    let Pair { bob, .. } = &mut people;
    let draft = json!({"from": BOB, "to": [ALICE], "subject": "Re: s", "text": {"text": "x"}});
    for nothing in ["", "\r\n", "\r\nSubject: s\r\n\r\nwords"] {
        let fault = bob.fault(
            "message/seal",
            json!({"draft": draft, "protect": {"sign": true, "encrypt": true},
                "answering": {"text": nothing}}),
        );
        assert_eq!(fault.kind(), "request.invalid", "{nothing:?}");
        assert_eq!(fault.data["path"], "/answering", "{nothing:?}");
    }
}

#[test]
fn outer_fields_that_were_changed_change_nothing() {
    let mut people = pair("modern");
    let Pair { alice, bob, .. } = &mut people;
    for sign in [true, false] {
        let message = String::from_utf8(to_bob(alice, sign)).unwrap();
        // A replay that wants to be answered elsewhere, too.
        let replay = format!(
            "Reply-To: {MALLORY}\r\nCc: {MALLORY}\r\nMessage-ID: <x@evil.example>\r\n{message}"
        );
        let draft = answer(bob, replay.as_bytes(), "reply-all")["draft"].clone();
        assert!(!draft.to_string().contains("evil"), "{draft}");
        assert_eq!(addresses(&draft["to"]), [ALICE]);
        // Another From outside: it may be shown, and is never answered.
        let spoofed = message.replacen(
            "From: \"Alice\" <alice@sealpost.example>",
            &format!("From: {MALLORY}"),
            1,
        );
        let spoofed = spoofed.replacen(
            "From: Alice <alice@sealpost.example>",
            &format!("From: {MALLORY}"),
            1,
        );
        assert!(spoofed.contains(MALLORY), "{spoofed}");
        let opened = bob.open(spoofed.as_bytes()).unwrap();
        assert_eq!(
            opened["headers"]["from"]["addresses"][0]["address"],
            if sign { ALICE } else { MALLORY }
        );
        for kind in KINDS {
            let draft = answer(bob, spoofed.as_bytes(), kind)["draft"].clone();
            assert!(!draft.to_string().contains("evil"), "{draft}");
            let text = written(bob, &draft);
            assert_eq!(text.contains(SECRET), sign, "{kind} {text}");
        }
        let spoofed = body(spoofed.as_bytes());
        let asked = json!({"message": spoofed, "kind": "reply", "quote": "anyway"});
        let draft = bob.good("message/answer", asked)["draft"].clone();
        assert_eq!(addresses(&draft["to"]), [ALICE]);
        assert!(written(bob, &draft).contains(SECRET));
    }
}

/// Every way to put a ciphertext of somebody else's into a message of one's own.
fn shapes(ciphertext: &str, whole: &str) -> Vec<(String, Vec<u8>)> {
    let mut shapes = Vec::new();
    let html = text("x").replace("text/plain", "text/html");
    let hider =
        "Content-Type: text/html; charset=utf-8\r\n\r\n<div style=\"display:none\"><details>\r\n";
    let file = format!(
        "Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\nContent-Disposition: attachment\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        encode(whole.as_bytes())
    );
    let attached = format!("Content-Type: message/rfc822\r\n\r\n{whole}");
    let inline = text(&format!("Please look:\r\n{}", "\r\n".repeat(300)));
    for (what, leaf) in [("leaf", ciphertext), ("file", &file), ("rfc822", &attached)] {
        let both = [text("Hello\r\n"), leaf.to_owned()];
        let swapped = [leaf.to_owned(), text("Hello\r\n")];
        let hidden = [hider.to_owned(), leaf.to_owned(), html.clone()];
        let far = [inline.clone(), leaf.to_owned()];
        for (order, parts) in [
            ("after", &both[..]),
            ("before", &swapped),
            ("css", &hidden),
            ("far", &far),
        ] {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let entity = mixed(&parts);
            for kind in ["mixed", "alternative", "related"] {
                let entity = entity.replacen("multipart/mixed", &format!("multipart/{kind}"), 1);
                let message = letter(MALLORY, BOB, "Hello", &entity);
                shapes.push((format!("{what} {order} {kind}"), message));
            }
            let claims = entity.replacen(
                "multipart/mixed;",
                "multipart/mixed; hp=\"cipher\"; protected-headers=\"v1\";\r\n",
                1,
            );
            shapes.push((
                format!("{what} {order} hp"),
                letter(MALLORY, BOB, "Hello", &claims),
            ));
            let nested = mixed(&[&text("one\r\n"), &mixed(&[&entity, &text("two\r\n")])]);
            shapes.push((
                format!("{what} {order} nested"),
                letter(MALLORY, BOB, "Hello", &nested),
            ));
        }
    }
    shapes
}

/// No draft of any answer to these, quoted anyway or not, nor what it becomes, holds the secret.
fn covert(victim: &mut Host, stranger: &mut Host, shapes: &[(String, Vec<u8>)], me: &str) {
    let mut decrypted = 0;
    for (what, message) in shapes {
        let opened = victim.open(message).unwrap();
        decrypted += usize::from(opened.to_string().contains(SECRET));
        assert_ne!(opened["summary"]["encrypted"], "whole", "{what}");
        assert!(!opened["quote"].to_string().contains(SECRET), "{what}");
        let message = victim.body(message);
        for kind in KINDS {
            for quote in [Value::Null, json!("anyway")] {
                let mut asked = json!({"message": message, "kind": kind});
                if !quote.is_null() {
                    asked["quote"] = quote;
                }
                let mut draft = victim.good("message/answer", asked)["draft"].clone();
                let shown = format!("{draft}{}", written(victim, &draft));
                assert!(
                    !shown.contains(SECRET) && !shown.contains(SUBJECT),
                    "{what} {kind} {draft}"
                );
                draft["from"] = json!(me);
                draft["to"] = json!([MALLORY]);
                let params = json!({"draft": draft, "protect": {}, "answering": message});
                let sealed = victim.good("message/seal", params);
                let sent = victim.bytes(&sealed["messages"][0]["message"]);
                let read = stranger.open(&sent).unwrap();
                let read = format!("{read}{}", String::from_utf8_lossy(&sent));
                assert!(
                    !read.contains(SECRET) && !read.contains(SUBJECT),
                    "{what} {kind}"
                );
            }
        }
    }
    assert!(
        decrypted > shapes.len() / 3,
        "the shapes hold nothing: {decrypted}"
    );
    let log = victim.stderr();
    assert!(!log.contains(SECRET) && !log.contains(SUBJECT));
}

#[test]
fn covert_openpgp_content_never_comes_back() {
    let mut people = pair("modern");
    let Pair { alice, bob, .. } = &mut people;
    let home = Home::new();
    let mut stranger = home.start();
    stranger.hello();
    for sign in [false, true] {
        let whole = to_bob(alice, sign);
        let armor = block(&whole);
        let mut all = shapes(&encrypted(&armor), std::str::from_utf8(&whole).unwrap());
        for around in ["Before\r\n", "> quoted\r\n", "Subject: x\r\n\r\n"] {
            let inline = text(&format!("{around}\r\n{armor}\r\nafter\r\n"));
            all.push((
                format!("inline {around:?}"),
                letter(MALLORY, BOB, "Hello", &inline),
            ));
            let legacy = inline.replacen("text/plain;", "text/plain; hp-legacy-display=\"1\";", 1);
            all.push((
                format!("legacy {around:?}"),
                letter(MALLORY, BOB, "Hello", &legacy),
            ));
        }
        covert(bob, &mut stranger, &all, BOB);
    }
}

#[test]
fn covert_smime_content_never_comes_back() {
    let Some(ca) = Ca::new() else { return };
    let (_ours, mut alice, _theirs, mut bob) = two(&ca, "rsa:2048");
    let (alice, bob) = (&mut alice, &mut bob);
    let (from, to) = (crate::smime::ALICE, crate::smime::BOB);
    let home = Home::new();
    let mut stranger = home.start();
    stranger.hello();
    for (sign, cipher) in [(false, "cbc"), (true, "cbc"), (false, "gcm")] {
        let whole = seal_one(
            alice,
            json!({"from": from, "to": [to], "subject": SUBJECT, "text": {"text": SECRET}}),
            json!({"sign": sign, "encrypt": true, "protocol": "smime", "cipher": cipher}),
        );
        let whole = String::from_utf8(whole).unwrap();
        let at = whole.find("Content-Type:").unwrap();
        covert(bob, &mut stranger, &shapes(&whole[at..], &whole), to);
        let draft = answer(bob, whole.as_bytes(), "reply")["draft"].clone();
        assert_eq!(addresses(&draft["to"]), [from]);
        if sign || cipher == "gcm" {
            assert!(written(bob, &draft).contains(SECRET), "{}", shorten(&draft));
        }
    }
}

#[test]
fn a_ciphertext_under_another_head_is_answered_to_nobody_else() {
    let mut people = pair("modern");
    let Pair { alice, bob, .. } = &mut people;
    for (sign, headers) in [(false, true), (true, true), (false, false)] {
        let whole = match headers {
            true => to_bob(alice, sign),
            false => {
                // An old client's: no field inside.
                let entity = text(SECRET);
                let sealed = alice.good(
                    "message/seal",
                    json!({"payload": body(entity.as_bytes()), "form": "payload", "to": [BOB],
                        "protect": {"sign": sign, "encrypt": true}}),
                );
                alice.bytes(&sealed["payload"])
            }
        };
        let message = letter(MALLORY, BOB, "Hello", &encrypted(&block(&whole)));
        let opened = bob.open(&message).unwrap();
        assert_eq!(
            opened["summary"]["encrypted"],
            "whole",
            "{}",
            shorten(&opened)
        );
        for kind in KINDS {
            let draft = answer(bob, &message, kind)["draft"].clone();
            let text = written(bob, &draft);
            assert_eq!(text.contains(SECRET), sign, "{kind} {text}");
            if headers {
                assert!(!draft.to_string().contains("evil"), "{draft}");
            }
        }
    }
}

/// A message that says nothing inside but its subject and thread, as clients before RFC 9788 wrote
/// them, gives these to nobody who puts it under a head of their own.
#[test]
fn what_a_nameless_ciphertext_says_of_itself_goes_to_nobody_else() {
    let fields = format!(
        "Subject: {SUBJECT}\r\nMessage-ID: <vault@inside.example>\r\n\
         References: <older@inside.example>\r\n"
    );
    let marked = |mark: &str| {
        format!("{fields}Content-Type: text/plain; charset=utf-8{mark}\r\n\r\n{SECRET}\r\n")
    };
    let payloads = [
        marked("; protected-headers=\"v1\""),
        marked("; hp=\"cipher\""),
        marked("; hp=\"clear\""),
    ];
    for mut post in posts() {
        for payload in &payloads {
            for sign in [false, true] {
                let entity = post.peer.encrypted(payload, sign);
                nameless(&mut post.bob, &entity, sign);
            }
        }
    }
}

fn nameless(bob: &mut Host, entity: &str, sign: bool) {
    let says = |draft: &Value| {
        let draft = draft.to_string();
        draft.contains(SUBJECT) || draft.contains("inside.example")
    };
    for (from, more, bound) in [
        (MALLORY, String::new(), false),
        (ALICE, format!("Reply-To: {MALLORY}\r\n"), false),
        (ALICE, format!("Cc: {MALLORY}\r\n"), false),
        (ALICE, String::new(), sign),
    ] {
        let head = head(from, BOB, "Hello");
        let message = format!("{more}{head}{entity}");
        let reply = answer(bob, message.as_bytes(), "reply-all");
        let draft = &reply["draft"];
        let what = format!("{sign} {more}{entity:.80} {}", shorten(&reply));
        assert_eq!(reply["encrypted"], "whole", "{what}");
        assert_eq!(says(draft), bound, "{what}");
        if !bound {
            assert_eq!(reply["quote"], "withheld", "{what}");
            assert_eq!(draft["subject"], "Re: Hello", "{what}");
            assert_eq!(draft["inReplyTo"], json!(["m1@mime.example"]), "{what}");
        }
        // The same by its token; and the person may choose otherwise.
        let token = bob.open(message.as_bytes()).unwrap()["answer"].clone();
        let mut request = json!({"message": {"answer": token}, "kind": "reply-all"});
        let draft = bob.good("message/answer", request.clone())["draft"].clone();
        assert_eq!(says(&draft), bound, "{what}");
        request["quote"] = json!("anyway");
        let draft = bob.good("message/answer", request)["draft"].clone();
        assert!(says(&draft), "{what}");
    }
}
