//! Drafts: kept for their writer alone, and known again by the store that made them alone.

use serde_json::{Value, json};

use crate::harness::{Home, Host, shorten};
use crate::smime::body_of;
use crate::trio::{ALICE, BOB, MALLORY, Trio, readable, trios};

const SECRET: &str = "xyzzy-plover";

fn draft() -> Value {
    json!({
        "from": {"name": "Alice", "address": ALICE},
        "to": [{"name": "Bob", "address": BOB}],
        "cc": [{"name": null, "address": "carol@nowhere.example"}],
        "bcc": [{"name": null, "address": MALLORY}],
        "replyTo": [{"name": null, "address": "office@sealpost.example"}],
        "subject": "Grüße an alle", "date": null, "messageId": "draft@sealpost.example",
        "inReplyTo": ["one@x"], "references": ["zero@x", "one@x"],
        "text": {"text": format!("the word is {SECRET}\r\n")},
        "html": {"text": format!("<p>the word is <b>{SECRET}</b></p><img src=\"cid:i@x\">\r\n")},
        "attachments": [
            {"name": "i.png", "type": "image/png", "body": {"base64": "iVBORw=="}, "contentId": "i@x"},
            {"name": "map.txt", "type": "text/plain", "body": {"text": "here\r\n"}, "contentId": null},
            {"name": null, "type": "message/rfc822",
             "body": {"text": "From: a@x\r\n\r\nwithin\r\n"}, "contentId": null},
        ],
        "headers": [{"name": "X-Priority", "value": "1"}],
    })
}

fn saved(host: &mut Host, draft: Value, more: Value) -> Vec<u8> {
    let mut params = json!({"draft": draft, "purpose": "draft"});
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    let sealed = host.good("message/seal", params);
    assert_eq!(sealed["messages"], json!([]), "{}", shorten(&sealed));
    host.bytes(&sealed["sent"].clone())
}

/// Bodies in one form, to be compared.
fn plain(host: &mut Host, draft: &Value) -> Value {
    let mut draft = draft.clone();
    let mut one = |body: &mut Value| {
        if !body.is_null() {
            *body = json!(crate::harness::encode(&host.bytes(body)));
        }
    };
    one(&mut draft["text"]);
    one(&mut draft["html"]);
    for file in draft["attachments"].as_array_mut().into_iter().flatten() {
        one(&mut file["body"]);
    }
    draft
}

#[test]
fn a_draft_comes_back_as_it_was() {
    for mut trio in trios() {
        for protect in [
            json!({"protocol": trio.family}),
            // Never signed, whatever is asked for sending.
            json!({"protocol": trio.family, "sign": true, "encrypt": true, "headers": "shy"}),
        ] {
            let bytes = saved(&mut trio.alice, draft(), json!({"protect": protect}));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            assert!(!head.contains("=?") && !head.contains(MALLORY), "{head}");
            let opened = trio.alice.open(&bytes).unwrap();
            assert_eq!(opened["summary"]["encrypted"], "whole");
            assert_eq!(opened["summary"]["signed"], "none");
            let kinds = opened["layers"].as_array().unwrap();
            assert_eq!(kinds.len(), 1, "{}", shorten(&opened));
            assert_eq!(kinds[0]["recipients"].as_array().unwrap().len(), 1);
            assert_eq!(kinds[0]["recipients"][0]["own"], true);
            let back = opened["draft"].clone();
            assert_eq!(
                plain(&mut trio.alice, &back),
                plain(&mut trio.alice, &draft())
            );
            // Nothing of how it is known again is shown.
            assert!(
                !opened["headers"]
                    .to_string()
                    .to_lowercase()
                    .contains("sealpost-draft")
            );
            assert!(opened["headers"].get("sealpostDraft").is_none());
            // Saved once more, it is the same.
            let bytes = saved(&mut trio.alice, back.clone(), json!({"protect": protect}));
            let again = trio.alice.open(&bytes).unwrap()["draft"].clone();
            assert_eq!(
                plain(&mut trio.alice, &again),
                plain(&mut trio.alice, &back)
            );
        }
        // The others, to whom it will go, can't read it yet.
        let bytes = saved(
            &mut trio.alice,
            draft(),
            json!({"protect": {"protocol": trio.family}}),
        );
        assert_eq!(trio.bob.open(&bytes).unwrap_err().kind(), "key.missing");
    }
}

/// What others encrypted, and somebody pasted or attached, is what it is: opened, it would be sent
/// on in the clear. What is signed or is a key stays a text too.
#[test]
fn a_draft_is_never_opened_further() {
    for mut trio in trios() {
        let protect = json!({"sign": true, "encrypt": true, "protocol": trio.family});
        let letter =
            json!({"from": MALLORY, "to": [ALICE], "subject": "s", "text": {"text": SECRET}});
        let stolen = crate::harness::seal_one(&mut trio.mallory, letter, protect);
        let sealed = trio.mallory.good(
            "message/seal",
            json!({"payload": {"text": format!("Content-Type: text/plain\r\n\r\n{SECRET}\r\n")},
                "form": "payload", "to": [ALICE], "protect": {"encrypt": true, "protocol": trio.family}}),
        );
        let ciphertext = trio.mallory.bytes(&sealed["payload"].clone());
        let armor = String::from_utf8_lossy(&ciphertext).replace("\r\n", "\n");
        let signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nDear Bob\n\
                      -----BEGIN PGP SIGNATURE-----\n\nwsB=\n-----END PGP SIGNATURE-----\n";
        let key =
            "x\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nwsB=\n-----END PGP PUBLIC KEY BLOCK-----\n";
        let base = || json!({"from": ALICE, "to": [BOB], "subject": "s"});
        let file = |name: &str, kind: &str, bytes: &[u8]| {
            let file = json!({"name": name, "type": kind, "body": crate::harness::body(bytes), "contentId": null});
            json!([file])
        };
        let mut drafts = Vec::new();
        if trio.family == "openpgp" {
            for text in [
                armor.clone(),
                format!("hello\n{armor}bye\n"),
                armor.lines().map(|line| format!("> {line}\n")).collect(),
                signed.to_owned(),
                format!("x\n{signed}"),
                key.to_owned(),
            ] {
                let mut draft = base();
                draft["text"] = json!({"text": text});
                drafts.push(draft);
            }
            let mut page = base();
            page["html"] = json!({"text": format!("<pre>{armor}</pre>\n")});
            drafts.push(page);
        }
        for (name, kind) in [
            ("a.asc", "application/octet-stream"),
            ("a.pgp", "application/pgp-encrypted"),
            ("smime.p7m", "application/pkcs7-mime"),
            ("a.eml", "message/rfc822"),
        ] {
            for bytes in [&ciphertext, &stolen] {
                // What only says that it is a message is none.
                if (kind == "message/rfc822") != (bytes == &stolen) {
                    continue;
                }
                for text in [Some("see there\n"), None] {
                    let mut draft = base();
                    draft["text"] = text.map_or(Value::Null, |text| json!({"text": text}));
                    draft["attachments"] = file(name, kind, bytes);
                    drafts.push(draft);
                }
            }
        }
        for draft in drafts {
            let bytes = saved(
                &mut trio.alice,
                draft.clone(),
                json!({"protect": {"protocol": trio.family}}),
            );
            let opened = trio.alice.open(&bytes).unwrap();
            assert!(!readable(&opened).contains(SECRET), "{}", shorten(&opened));
            assert_eq!(opened["layers"].as_array().unwrap().len(), 1);
            let back = opened["draft"].clone();
            assert!(
                back.is_object(),
                "{}\n{}",
                shorten(&draft),
                shorten(&opened)
            );
            let (back, draft) = (
                plain(&mut trio.alice, &back),
                plain(&mut trio.alice, &draft),
            );
            for field in ["text", "html"] {
                let lines = |value: &Value| {
                    let bytes = value["base64"]
                        .as_str()
                        .or(value.as_str())
                        .map(crate::harness::decode);
                    bytes.map(|bytes| String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
                };
                assert_eq!(lines(&back[field]), lines(&draft[field]), "{field}");
            }
            let files = |draft: &Value| match &draft["attachments"] {
                Value::Null => json!([]),
                files => files.clone(),
            };
            assert_eq!(files(&back), files(&draft));
        }
    }
}

#[test]
fn an_unfinished_draft_is_kept_too() {
    for mut trio in trios() {
        let bytes = saved(
            &mut trio.alice,
            json!({"from": ALICE}),
            json!({"protect": {"protocol": trio.family}}),
        );
        let back = trio.alice.open(&bytes).unwrap()["draft"].clone();
        assert_eq!(back["from"]["address"], ALICE);
        assert_eq!((&back["to"], &back["subject"]), (&json!([]), &json!("")));
        // Somebody without a key of their own has nothing to keep it under.
        let params = json!({"draft": {"from": "nobody@sealpost.example"}, "purpose": "draft",
            "protect": {"protocol": trio.family}});
        assert_eq!(
            trio.alice.fault("message/seal", params).kind(),
            "key.missing"
        );
        let params = json!({"draft": draft(), "purpose": "draft", "protect": {"scheme": "inline"}});
        assert_eq!(
            trio.alice.fault("message/seal", params).data["path"],
            "/protect/scheme"
        );
    }
}

/// What a draft answers is known when it is opened again, and hidden when it is sent.
#[test]
fn a_draft_remembers_what_it_answers() {
    for mut trio in trios() {
        let how = json!({"sign": true, "encrypt": true, "protocol": trio.family});
        let letter =
            json!({"from": BOB, "to": [ALICE], "subject": "Plugh", "text": {"text": "hello"}});
        let sealed = trio
            .bob
            .good("message/seal", json!({"draft": letter, "protect": how}));
        let message = trio.bob.bytes(&sealed["messages"][0]["message"].clone());
        let token = trio.alice.open(&message).unwrap()["answer"].clone();
        let whole = trio.alice.body(&message);
        let params = json!({"message": whole, "kind": "reply"});
        let reply = trio.alice.good("message/answer", params)["draft"].clone();
        for answering in [json!({"answer": token}), whole] {
            let more = json!({"protect": {"protocol": trio.family}, "answering": answering});
            let bytes = saved(&mut trio.alice, reply.clone(), more);
            assert!(!String::from_utf8_lossy(&bytes).contains("Plugh"));
            let opened = trio.alice.open(&bytes).unwrap();
            assert_eq!(opened["draft"]["headers"], json!([]));
            let mut how = how.clone();
            how["headers"] = json!("none");
            let params = json!({"draft": opened["draft"], "protect": how,
                "answering": {"answer": opened["answer"]}});
            let sent = trio.alice.good("message/seal", params);
            let sent = trio.alice.bytes(&sent["messages"][0]["message"].clone());
            let text = String::from_utf8_lossy(&sent).into_owned();
            assert!(
                text.contains("Subject: Re: [...]\r\n") && !text.contains("Plugh"),
                "{text}"
            );
        }
    }
}

/// Whatever somebody else made, or made of a draft, opens as mail.
#[test]
fn only_this_stores_own_drafts_are_drafts() {
    for mut trio in trios() {
        let protect = json!({"protocol": trio.family});
        let bytes = saved(&mut trio.alice, draft(), json!({"protect": protect}));
        let text = String::from_utf8(bytes.clone()).unwrap();
        let body = String::from_utf8(body_of(&bytes)).unwrap();
        let entity = {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let at = head.find("Content-Type:").unwrap();
            format!("{}\r\n\r\n{body}", &head[at..])
        };
        let head = |from: &str| {
            format!(
                "From: {from}\r\nTo: {ALICE}\r\nSubject: x\r\nMessage-ID: <x@x>\r\nMIME-Version: 1.0\r\n"
            )
        };
        let mixed = format!(
            "Content-Type: multipart/mixed; boundary=\"m\"\r\n\r\n--m\r\n{entity}\r\n--m--\r\n"
        );
        let inner = format!("Content-Type: message/rfc822\r\n\r\n{text}");
        let mut tried: Vec<(&str, Vec<u8>)> = vec![
            (
                "another From outside",
                text.replacen("From: Alice <alice@", "From: Alice <eve@", 1)
                    .into_bytes(),
            ),
            (
                "under another head",
                format!("{}{entity}", head(MALLORY)).into_bytes(),
            ),
            ("in a mixed", format!("{}{mixed}", head(ALICE)).into_bytes()),
            (
                "in a message",
                format!("{}{inner}", head(ALICE)).into_bytes(),
            ),
        ];
        // Signed by whom she trusts; sealed by them, with her own draft inside.
        for (sign, encrypt) in [(true, false), (true, true), (false, true)] {
            let given = trio
                .mallory
                .body(format!("{}{entity}", head(MALLORY)).as_bytes());
            let params = json!({"message": given, "protect":
                {"sign": sign, "encrypt": encrypt, "protocol": trio.family}});
            let sealed = trio.mallory.good("message/seal", params);
            tried.push((
                "wrapped",
                trio.mallory
                    .bytes(&sealed["messages"][0]["message"].clone()),
            ));
        }
        for (name, message) in tried {
            let opened = trio.alice.open(&message).unwrap();
            assert!(opened.get("draft").is_none(), "{} {name}", trio.family);
            let whole = trio.alice.body(&message);
            for kind in ["reply", "forward"] {
                let params = json!({"message": whole, "kind": kind});
                let reply = trio.alice.good("message/answer", params);
                assert!(
                    !readable(&reply).contains(SECRET),
                    "{} {name} {kind}",
                    trio.family
                );
            }
        }
        assert!(trio.alice.open(&bytes).unwrap().get("draft").is_some());
        // A mark of somebody else's making, and none.
        for mark in ["0".repeat(64), "x".to_owned(), String::new()] {
            let payload = format!(
                "Sealpost-Draft: {mark}\r\nFrom: {ALICE}\r\nTo: {BOB}\r\nSubject: y\r\n\
                 Content-Type: text/plain; hp=\"cipher\"\r\n\r\nhello\r\n"
            );
            let params = json!({"payload": {"text": payload}, "form": "payload", "to": [ALICE],
                "protect": {"encrypt": true, "protocol": trio.family}});
            let sealed = trio.mallory.good("message/seal", params);
            let data = trio.mallory.bytes(&sealed["payload"].clone());
            let entity = match trio.family {
                "openpgp" => crate::mime::encrypted(&String::from_utf8(data).unwrap()),
                _ => format!(
                    "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\
                     Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
                    crate::harness::encode(&data)
                ),
            };
            let opened = trio
                .alice
                .open(format!("{}{entity}", head(ALICE)).as_bytes())
                .unwrap();
            assert!(opened.get("draft").is_none());
        }
        let cut = format!(
            "{}{}",
            head(ALICE),
            &entity[..entity.len() - body.len() / 2]
        );
        assert!(trio.alice.open(cut.as_bytes()).is_err());
    }
}

/// A restored store is that store; one with keys of its own takes no other's word for its drafts.
#[test]
fn a_backup_brings_drafts_back_where_no_keys_were() {
    for mut trio in trios() {
        let protect = json!({"protect": {"protocol": trio.family}});
        let kept = saved(&mut trio.alice, draft(), protect.clone());
        let backup = crate::backup::write(&mut trio.alice);
        let home = Home::new();
        let mut empty = home.start();
        empty.hello();
        // A host that was asked before has made a secret of its own.
        let plain = format!("From: {ALICE}\r\nTo: {BOB}\r\nSubject: s\r\n\r\nText\r\n");
        empty.open(plain.as_bytes()).unwrap();
        crate::backup::read(&mut empty, &backup).unwrap();
        assert!(empty.open(&kept).unwrap()["draft"].is_object());
        // What it saves itself is known there, and once it was read again.
        let own = saved(&mut empty, draft(), protect.clone());
        crate::backup::read(&mut empty, &backup).unwrap();
        assert!(empty.open(&own).unwrap()["draft"].is_object());
        assert!(trio.alice.open(&own).unwrap()["draft"].is_object());
        // Bob has a key: whatever a backup brings, his drafts are his, and hers are mail.
        let bobs = json!({"from": BOB, "to": [ALICE], "subject": "s"});
        let his = saved(&mut trio.bob, bobs, protect);
        crate::backup::read(&mut trio.bob, &backup).unwrap();
        assert!(trio.bob.open(&his).unwrap()["draft"].is_object());
        assert!(
            trio.bob
                .open(&kept)
                .unwrap()
                .get("draft")
                .is_none_or(Value::is_null)
        );
    }
}

#[test]
fn another_store_reads_it_as_mail() {
    let mut trio = Trio::openpgp();
    let bytes = saved(&mut trio.alice, draft(), json!({"protect": {}}));
    // The same person's keys, elsewhere.
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    copy(
        &trio.alice_home.path(),
        &home.path(),
        &["secrets", "pgp.cert.d", "device.key"],
    );
    let mut other = home.start();
    other.hello();
    let opened = other.open(&bytes).unwrap();
    assert_eq!(opened["summary"]["encrypted"], "whole");
    assert!(opened.get("draft").is_none());
    assert!(readable(&opened["parts"]).contains(SECRET));
}

fn copy(from: &std::path::Path, to: &std::path::Path, names: &[&str]) {
    for name in names {
        let ran = std::process::Command::new("cp")
            .arg("-a")
            .arg(from.join(name))
            .arg(to)
            .status();
        assert!(ran.unwrap().success(), "{name}");
    }
}
