//! Header protection (RFC 9788) through the front door. A generator writes the shapes of its
//! Appendix C and of the forms before it; gpg and openssl sign and encrypt them; and every header
//! field comes back in the state that the RFC gives it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Home, Host, encode, export, generate, import, shorten};
use crate::mime::{crlf, encrypted, signed};
use crate::peer::Gpg;
use crate::smime::Ca;
use crate::trio::{ALICE, BOB};

/// Somebody who seals by other means, and Bob, who reads.
pub enum Peer {
    Gpg { gpg: Gpg, key: String },
    Openssl(Ca),
}

pub struct Post {
    pub peer: Peer,
    pub bob: Host,
    _home: Home,
}

/// One for each family that can be tried here.
pub fn posts() -> Vec<Post> {
    let mut posts = Vec::new();
    posts.extend(by_gpg());
    posts.extend(by_openssl());
    posts
}

fn by_gpg() -> Option<Post> {
    let gpg = Gpg::new()?;
    let key = gpg.key(&format!("Alice <{ALICE}>"), "ed25519", "cv25519", &[]);
    let home = Home::new();
    let mut bob = home.start();
    bob.hello();
    let id = generate(&mut bob, "Bob", BOB, "compatible");
    gpg.go(&["--import"], export(&mut bob, &[&id]).as_bytes());
    import(&mut bob, &gpg.public(&key), json!(true));
    Some(Post {
        peer: Peer::Gpg { gpg, key },
        bob,
        _home: home,
    })
}

fn by_openssl() -> Option<Post> {
    let ca = Ca::new()?;
    ca.person("alice", "rsa:2048", ALICE);
    ca.person("bob", "rsa:2048", BOB);
    let home = Home::new();
    let mut bob = home.start();
    bob.hello();
    ca.trust(&mut bob);
    import(&mut bob, &ca.file("bob"), Value::Null);
    Some(Post {
        peer: Peer::Openssl(ca),
        bob,
        _home: home,
    })
}

impl Peer {
    pub fn family(&self) -> &'static str {
        match self {
            Peer::Gpg { .. } => "openpgp",
            Peer::Openssl(_) => "smime",
        }
    }

    /// The payload in `multipart/signed`.
    pub fn multipart(&self, payload: &str) -> String {
        match self {
            Peer::Gpg { gpg, key } => {
                let args = ["--local-user", key, "--armor", "--detach-sign"];
                signed(payload, &gpg.text(&args, payload.as_bytes()), "pgp-sha512")
            }
            Peer::Openssl(ca) => {
                let der = cms_sign(ca, payload, &[]);
                format!(
                    "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; \
                     micalg=sha-256; boundary=\"s-1\"\r\n\r\n--s-1\r\n{payload}\r\n--s-1\r\n\
                     Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n\
                     Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--s-1--\r\n",
                    lines(&der)
                )
            }
        }
    }

    /// The payload signed in one piece; nothing in OpenPGP mail is like that.
    pub fn one_part(&self, payload: &str) -> Option<String> {
        match self {
            Peer::Gpg { .. } => None,
            Peer::Openssl(ca) => Some(pkcs7("signed-data", &cms_sign(ca, payload, &["-nodetach"]))),
        }
    }

    /// The payload encrypted for Bob, signed inside if wanted.
    pub fn encrypted(&self, payload: &str, sign: bool) -> String {
        match self {
            Peer::Gpg { gpg, key } => {
                let mut args = vec!["--armor", "--trust-model", "always", "--recipient", BOB];
                if sign {
                    args.extend(["--local-user", key, "--sign"]);
                }
                args.push("--encrypt");
                encrypted(&gpg.text(&args, payload.as_bytes()))
            }
            Peer::Openssl(ca) => {
                let inner = match sign {
                    true => pkcs7("signed-data", &cms_sign(ca, payload, &["-nodetach"])),
                    false => payload.to_owned(),
                };
                ca.write("inner", &inner);
                let der = ca.go(&[
                    "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-in", "inner",
                    "bob.pem",
                ]);
                pkcs7("enveloped-data", &der)
            }
        }
    }
}

fn cms_sign(ca: &Ca, payload: &str, more: &[&str]) -> Vec<u8> {
    ca.write("entity", payload);
    let mut args = vec![
        "cms",
        "-sign",
        "-binary",
        "-outform",
        "DER",
        "-in",
        "entity",
        "-signer",
        "alice.pem",
        "-inkey",
        "alice.key",
        "-certfile",
        "middle.pem",
    ];
    args.extend(more);
    ca.go(&args)
}

pub fn lines(der: &[u8]) -> String {
    let text = encode(der);
    let pieces: Vec<&str> = text
        .as_bytes()
        .chunks(76)
        .map(|piece| std::str::from_utf8(piece).unwrap())
        .collect();
    pieces.join("\r\n")
}

pub fn pkcs7(kind: &str, der: &[u8]) -> String {
    format!(
        "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=\"{kind}\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines(der)
    )
}

/// What protects a message as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crypto {
    None,
    Multipart,
    OnePart,
    Encrypted,
    SignedEncrypted,
}

/// How its fields are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    None,
    /// RFC 9788.
    Hp,
    /// `message/rfc822` (RFC 8551 3.1), with the parameter of a later draft or without.
    Wrapped,
    WrappedForwarded,
    /// `protected-headers="v1"`, with the part that old readers show.
    V1,
    V1Display,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    None,
    Baseline,
    Shy,
}

/// One shape of Appendix C.
#[derive(Debug, Clone, Copy)]
struct Shape {
    crypto: Crypto,
    form: Form,
    policy: Policy,
    complex: bool,
    legacy: bool,
    /// It answers a message whose subject was hidden, under the rules of Appendix C.3.5 and later.
    reply: bool,
}

/// The fields as their author wrote them: name, value, and the JSON name.
const FIELDS: [(&str, &str, &str); 11] = [
    ("Subject", "Handling the Jones contract", "subject"),
    ("Message-ID", "<made@sealpost.example>", "messageId"),
    ("From", "Alice <alice@sealpost.example>", "from"),
    ("To", "Bob <bob@sealpost.example>", "to"),
    (
        "Cc",
        "Carol <carol@sealpost.example>, dave@sealpost.example",
        "cc",
    ),
    ("Date", "", "date"),
    ("User-Agent", "Sample MUA Version 1.0", "userAgent"),
    ("Keywords", "Contract, Urgent", "keywords"),
    ("Keywords", "Jones", "keywords"),
    ("In-Reply-To", "<second@sealpost.example>", "inReplyTo"),
    (
        "References",
        "<first@sealpost.example> <second@sealpost.example>",
        "references",
    ),
];

impl Shape {
    fn encrypts(self) -> bool {
        matches!(self.crypto, Crypto::Encrypted | Crypto::SignedEncrypted)
    }

    fn signs(self) -> bool {
        !matches!(self.crypto, Crypto::None | Crypto::Encrypted)
    }

    /// What stands outside for a field.
    fn outside(self, name: &str, value: &str, utc: &str) -> Option<String> {
        let policy = if self.encrypts() {
            self.policy
        } else {
            Policy::None
        };
        match (policy, name) {
            // RFC 9788 6.1: what the answered message hid stays hidden, whatever the policy.
            (Policy::None, "Subject") if self.reply && self.encrypts() => {
                Some("Re: [...]".to_owned())
            }
            (Policy::Baseline | Policy::Shy, "Subject") => Some("[...]".to_owned()),
            (Policy::Baseline | Policy::Shy, "Keywords") => None,
            (Policy::Shy, "From" | "To") => {
                let address = value.split(['<', '>']).nth(1).unwrap();
                Some(address.to_owned())
            }
            (Policy::Shy, "Cc") => Some("carol@sealpost.example, dave@sealpost.example".to_owned()),
            (Policy::Shy, "Date") => Some(utc.to_owned()),
            _ => Some(value.to_owned()),
        }
    }
}

/// A message of that shape, and what each of its fields comes to.
struct Made {
    message: String,
    expected: Vec<(&'static str, String, &'static str, Option<String>)>,
}

fn make(peer: &Peer, shape: Shape) -> Option<Made> {
    let now = chrono::Utc::now();
    let west = now.with_timezone(&chrono::FixedOffset::west_opt(5 * 3600).unwrap());
    let (date, utc) = (west.to_rfc2822(), now.to_rfc2822());
    let answers = |name: &str| matches!(name, "In-Reply-To" | "References");
    let fields: Vec<(&str, String, &str)> = FIELDS
        .iter()
        .filter(|(name, ..)| shape.reply || !answers(name))
        .map(|(name, value, json)| {
            let value = match *name {
                "Date" => date.clone(),
                "Subject" if shape.reply => format!("Re: {value}"),
                _ => (*value).to_owned(),
            };
            (*name, value, *json)
        })
        .collect();
    let (mut inner, mut outer, mut hp_outer) = (String::new(), String::new(), String::new());
    let mut display = String::new();
    let mut expected = Vec::new();
    for (name, value, json) in &fields {
        write!(inner, "{name}: {value}\r\n").unwrap();
        let outside = shape.outside(name, value, &utc);
        if let Some(outside) = &outside {
            write!(outer, "{name}: {outside}\r\n").unwrap();
            // Folded at either place where the samples fold.
            let fold = if outside.len() > 40 { "\r\n " } else { " " };
            match json.len() % 2 {
                0 => write!(hp_outer, "HP-Outer:{fold}{name}: {outside}\r\n").unwrap(),
                _ => write!(hp_outer, "HP-Outer: {name}:{fold}{outside}\r\n").unwrap(),
            }
        }
        let hidden = outside.as_ref() != Some(value);
        if hidden {
            write!(display, "{name}: {value}\r\n").unwrap();
        }
        let state = match (shape.form, hidden && shape.encrypts(), shape.signs()) {
            (Form::None, ..) => "none",
            (_, true, true) => "signed-encrypted",
            (_, true, false) => "encrypted",
            (_, false, true) => "signed",
            (_, false, false) => "none",
        };
        let (value, outside) = match shape.form {
            // Nothing but the outside is there.
            Form::None => match outside {
                Some(outside) => (outside, None),
                None => continue,
            },
            _ => (value.clone(), outside.filter(|outside| outside != value)),
        };
        expected.push((*json, value, state, outside));
    }
    let mark = match (shape.form, shape.encrypts()) {
        (Form::Hp, true) => "; hp=\"cipher\"",
        (Form::Hp, false) => "; hp=\"clear\"",
        (Form::V1 | Form::V1Display, _) => "; protected-headers=\"v1\"",
        _ => "",
    };
    let legacy = if shape.legacy {
        "; hp-legacy-display=\"1\""
    } else {
        ""
    };
    let text = match shape.legacy {
        true => format!("{display}\r\nThe text.\r\n"),
        false => "The text.\r\n".to_owned(),
    };
    let html = match shape.legacy {
        true => format!(
            "<html><head><title></title></head><body>\
             <div class=\"header-protection-legacy-display\"><pre>{}</pre></div><p>The text.</p></body></html>\r\n",
            display.replace('<', "&lt;")
        ),
        false => "<html><body><p>The text.</p></body></html>\r\n".to_owned(),
    };
    let body = match shape.complex {
        false => format!("Content-Type: text/plain; charset=\"utf-8\"{legacy}MARK\r\n\r\n{text}"),
        true => format!(
            "Content-Type: multipart/mixed; boundary=\"m-1\"MARK\r\n\r\n--m-1\r\n\
             Content-Type: multipart/alternative; boundary=\"a-1\"\r\n\r\n--a-1\r\n\
             Content-Type: text/plain; charset=\"utf-8\"{legacy}\r\n\r\n{text}--a-1\r\n\
             Content-Type: text/html; charset=\"utf-8\"{legacy}\r\n\r\n{html}--a-1--\r\n\r\n--m-1\r\n\
             Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: inline\r\n\r\niVBORw0KGgo=\r\n--m-1--\r\n"
        ),
    };
    let payload = match shape.form {
        Form::None => body.replace("MARK", ""),
        Form::Hp => {
            let hp_outer = if shape.encrypts() {
                hp_outer
            } else {
                String::new()
            };
            format!(
                "MIME-Version: 1.0\r\n{inner}{hp_outer}{}",
                body.replace("MARK", mark)
            )
        }
        Form::Wrapped | Form::WrappedForwarded => {
            let forwarded = if shape.form == Form::Wrapped {
                ""
            } else {
                "; forwarded=no"
            };
            let message = format!("{inner}MIME-Version: 1.0\r\n{}", body.replace("MARK", ""));
            format!("Content-Type: message/rfc822{forwarded}\r\n\r\n{message}")
        }
        Form::V1 => format!("{inner}{}", body.replace("MARK", mark)),
        Form::V1Display => format!(
            "{inner}Content-Type: multipart/mixed; boundary=\"v-1\"{mark}\r\n\r\n--v-1\r\n\
             Content-Type: text/plain; charset=\"utf-8\"{mark}\r\nContent-Disposition: inline\r\n\r\n\
             {display}\r\n--v-1\r\n{}\r\n--v-1--\r\n",
            body.replace("MARK", "")
        ),
    };
    let entity = match shape.crypto {
        Crypto::None => payload,
        Crypto::Multipart => peer.multipart(&payload),
        Crypto::OnePart => peer.one_part(&payload)?,
        Crypto::Encrypted => peer.encrypted(&payload, false),
        Crypto::SignedEncrypted => peer.encrypted(&payload, true),
    };
    Some(Made {
        message: format!("{outer}MIME-Version: 1.0\r\n{entity}"),
        expected,
    })
}

/// Every shape that makes sense.
fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for crypto in [
        Crypto::None,
        Crypto::Multipart,
        Crypto::OnePart,
        Crypto::Encrypted,
        Crypto::SignedEncrypted,
    ] {
        for form in [
            Form::None,
            Form::Hp,
            Form::Wrapped,
            Form::WrappedForwarded,
            Form::V1,
            Form::V1Display,
        ] {
            for policy in [Policy::None, Policy::Baseline, Policy::Shy] {
                for bits in 0..8 {
                    let shape = Shape {
                        crypto,
                        form,
                        policy,
                        complex: bits & 1 > 0,
                        legacy: bits & 2 > 0,
                        reply: bits & 4 > 0,
                    };
                    let (legacy, reply) = (shape.legacy, shape.reply);
                    let pointless = crypto == Crypto::None && (form != Form::None || reply)
                        || !shape.encrypts() && policy != Policy::None
                        || legacy
                            && (form != Form::Hp || !shape.encrypts() || policy == Policy::None)
                        || form == Form::V1Display && (!shape.encrypts() || policy == Policy::None);
                    if !pointless {
                        shapes.push(shape);
                    }
                }
            }
        }
    }
    shapes
}

#[test]
fn every_field_of_every_shape_is_in_its_state() {
    for mut post in posts() {
        let mut tried = 0;
        for shape in shapes() {
            let Some(made) = make(&post.peer, shape) else {
                continue;
            };
            tried += 1;
            let name = format!("{} {shape:?}", post.peer.family());
            let opened = post.bob.open(made.message.as_bytes()).unwrap();
            let summary = &opened["summary"];
            assert_eq!(
                summary["encrypted"],
                if shape.encrypts() { "whole" } else { "none" },
                "{name}"
            );
            assert_eq!(
                summary["signed"],
                if shape.signs() { "good" } else { "none" },
                "{name}: {}",
                shorten(&opened)
            );
            let headers = opened["headers"].as_object().unwrap();
            let mut times: BTreeMap<&str, usize> = BTreeMap::new();
            for (json, value, state, outside) in &made.expected {
                let nth = times.entry(json).or_default();
                let field = match nth.checked_sub(1) {
                    None => &headers[*json],
                    Some(further) => &headers[*json]["more"][further],
                };
                *nth += 1;
                let plain = |text: &Value| text.as_str().unwrap().replace(['<', '>'], "");
                assert_eq!(
                    plain(&field["value"]),
                    value.replace(['<', '>'], ""),
                    "{name} {json}"
                );
                assert_eq!(field["protection"], *state, "{name} {json}");
                assert_eq!(field["outer"].as_str(), outside.as_deref(), "{name} {json}");
            }
            assert_eq!(headers.len(), times.len(), "{name}: {headers:?}");
            for (json, times) in times {
                let more = headers[json]["more"].as_array().map_or(0, Vec::len);
                assert_eq!(more + 1, times, "{name} {json}");
            }
            // The text is shown once, and what only repeats the fields never.
            let mut shown = String::new();
            for id in opened["show"].as_array().unwrap() {
                let parts = opened["parts"].as_array().unwrap();
                let part = parts.iter().find(|part| part["id"] == *id).unwrap();
                shown += &String::from_utf8(post.bob.bytes(&part["body"].clone())).unwrap();
                if part["html"].is_object() {
                    shown +=
                        &String::from_utf8(post.bob.bytes(&part["html"]["clean"].clone())).unwrap();
                }
            }
            if !opened["quote"].is_null() {
                shown += &String::from_utf8(post.bob.bytes(&opened["quote"].clone())).unwrap();
            }
            assert!(shown.contains("The text."), "{name}: {}", shorten(&opened));
            assert!(!shown.contains("Jones"), "{name}: {shown}");
        }
        assert!(tried > 140, "{tried}");
    }
}

/// A message whose parts are written by hand: what stands outside, and the payload.
pub fn by_hand(post: &mut Post, crypto: Crypto, outer: &str, payload: &str) -> Value {
    let payload = crlf(payload);
    let entity = match crypto {
        Crypto::Multipart => post.peer.multipart(&payload),
        Crypto::Encrypted => post.peer.encrypted(&payload, false),
        _ => post.peer.encrypted(&payload, true),
    };
    let date = chrono::Utc::now().to_rfc2822();
    let outer = crlf(outer).replace("DATE", &date);
    let message = format!("{outer}MIME-Version: 1.0\r\n{entity}");
    post.bob.open(message.as_bytes()).unwrap()
}

pub fn state<'a>(opened: &'a Value, name: &str) -> (&'a str, &'a str) {
    let field = &opened["headers"][name];
    (
        field["value"].as_str().unwrap_or_default(),
        field["protection"].as_str().unwrap_or_default(),
    )
}

pub const OUTER: &str = "From: Alice <alice@sealpost.example>\nTo: bob@sealpost.example\nSubject: [...]\nDate: DATE\nMessage-ID: <o@x>\n";
pub const INNER: &str = "From: Alice <alice@sealpost.example>\nTo: bob@sealpost.example\nSubject: Secret\nMessage-ID: <o@x>\n";

#[test]
fn what_is_said_of_protection_is_not_believed() {
    for mut post in posts() {
        let text = "\n\nText\n";
        let cipher = format!(
            "{INNER}HP-Outer: Subject: [...]\nContent-Type: text/plain; hp=\"cipher\"{text}"
        );
        // T1: nothing was encrypted, whatever it says.
        let opened = by_hand(&mut post, Crypto::Multipart, OUTER, &cipher);
        assert_eq!(state(&opened, "subject"), ("Secret", "signed"));
        // T2: somebody on the way encrypted what was only signed.
        let clear = format!(
            "{INNER}HP-Outer: Subject: [...]\nContent-Type: text/plain; hp=\"clear\"{text}"
        );
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &clear);
        assert_eq!(state(&opened, "subject"), ("Secret", "signed"));
        let opened = by_hand(&mut post, Crypto::Encrypted, OUTER, &clear);
        assert_eq!(state(&opened, "subject"), ("Secret", "none"));
        // T3: on a part that is not the payload's root, and outside.
        let nested = "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nSubject: Phony\nFrom: eve@x.example\n\
             HP-Outer: Subject: x\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n--b--\n";
        let marked = format!("HP-Outer: Subject: x\n{OUTER}");
        for crypto in [Crypto::Multipart, Crypto::SignedEncrypted] {
            let opened = by_hand(&mut post, crypto, &marked, nested);
            assert_eq!(state(&opened, "subject"), ("[...]", "none"));
            assert_eq!(
                state(&opened, "from").0.replace(['<', '>'], ""),
                "Alice alice@sealpost.example"
            );
        }
        for value in ["\"\"", "none", "CIPHERS", "cipher2"] {
            let payload = format!("{INNER}Content-Type: text/plain; hp={value}{text}");
            let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &payload);
            assert_eq!(state(&opened, "subject"), ("[...]", "none"), "{value}");
        }
        // T5: a field that was taken away on the way was not hidden by its author.
        let keywords = format!(
            "{INNER}Keywords: one\nHP-Outer: Subject: [...]\nHP-Outer: Keywords: one\n\
             Content-Type: text/plain; hp=\"cipher\"{text}"
        );
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &keywords);
        assert_eq!(state(&opened, "keywords"), ("one", "signed"));
        assert_eq!(state(&opened, "subject"), ("Secret", "signed-encrypted"));
        // T12: what stands outside alone is nobody's word; T4: what differs outside is not shown.
        let more =
            format!("{OUTER}Reply-To: eve@x.example\nX-Note: added\n").replace("[...]", "Changed");
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, &more, &cipher);
        assert_eq!(state(&opened, "replyTo").1, "none");
        assert_eq!(state(&opened, "xNote"), ("added", "none"));
        assert_eq!(state(&opened, "subject"), ("Secret", "signed-encrypted"));
        assert_eq!(opened["headers"]["subject"]["outer"], "Changed");
        // T13: HP-Outer of every broken kind, and very many.
        let many = "HP-Outer: X: y\n".repeat(900);
        let broken = format!(
            "{INNER}HP-Outer:\nHP-Outer: :\nHP-Outer: no colon\nHP-Outer: : x\nHP-Outer:Subject:[...]\n\
             HP-Outer: subject:\t[...] \n{many}Content-Type: text/plain; hp=cipher{text}"
        );
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &broken);
        assert_eq!(state(&opened, "subject").0, "Secret");
        // One HP-Outer of two that says the field was in the open.
        let both = format!(
            "{INNER}HP-Outer: Subject: [...]\nHP-Outer: Subject: Secret\nContent-Type: text/plain; hp=\"cipher\"{text}"
        );
        let opened = by_hand(&mut post, Crypto::SignedEncrypted, OUTER, &both);
        assert_eq!(state(&opened, "subject"), ("Secret", "signed"));
    }
}

/// T8: From inside and outside are the same address however its domain is written; T6, T7.
#[test]
fn one_from_is_the_same_however_it_is_spelled() {
    for mut post in posts() {
        let payload = |from: &str| {
            format!(
                "From: {from}\nTo: {BOB}\nSubject: Secret\nContent-Type: text/plain; hp=\"cipher\"\n\nText\n"
            )
        };
        let outer = |from: &str| OUTER.replace("Alice <alice@sealpost.example>", from);
        for (inside, outside, same) in [
            (ALICE, "ALICE@SealPost.Example", true),
            (
                "alice@b\u{fc}cher.example",
                "alice@xn--bcher-kva.example",
                true,
            ),
            (
                "Alice <alice@sealpost.example>",
                "Somebody <alice@sealpost.example>",
                true,
            ),
            (ALICE, "alice@sealpost.example.evil.example", false),
            (ALICE, "alise@sealpost.example", false),
        ] {
            for crypto in [Crypto::Encrypted, Crypto::SignedEncrypted] {
                let opened = by_hand(&mut post, crypto, &outer(outside), &payload(inside));
                let warned = opened["summary"]["warnings"]
                    .to_string()
                    .contains("from-mismatch");
                let bound = crypto == Crypto::SignedEncrypted && inside == ALICE;
                assert_eq!(warned, !same && !bound, "{inside} {outside} {crypto:?}");
                let from = &opened["headers"]["from"];
                assert_eq!(from["claimed"].is_string(), warned);
                if warned {
                    assert!(from["value"].as_str().unwrap().contains(outside));
                    assert_eq!(from["protection"], "none");
                }
            }
        }
    }
}

/// A message from somebody else in a signed one is forwarded, not protected.
#[test]
fn a_forwarded_message_is_not_the_message() {
    for mut post in posts() {
        let payload = "Content-Type: message/rfc822\n\nFrom: Eve <eve@x.example>\nTo: alice@sealpost.example\n\
             Subject: Hers\n\nText of hers\n";
        for crypto in [Crypto::Multipart, Crypto::SignedEncrypted] {
            let opened = by_hand(&mut post, crypto, OUTER, payload);
            assert_eq!(opened["summary"]["signed"], "good");
            assert_eq!(state(&opened, "subject"), ("[...]", "none"));
            assert_eq!(opened["parts"][0]["type"], "message/rfc822");
            assert_eq!(opened["show"], json!([]));
        }
    }
}

/// T9: values that would reach beyond the Legacy Display, written and taken off again.
#[test]
fn a_legacy_display_holds_whatever_a_subject_is() {
    for mut trio in crate::trio::trios() {
        for subject in [
            "a </pre></div><script>x</script> b",
            "tab\there & \"there\" 'so'",
            "=?utf-8?Q?a=0D=0A=0D=0Ab?=",
            "Grüße \u{202e}x",
            "<div class=\"header-protection-legacy-display\">",
        ] {
            for (text, html) in [
                (Some("Hi\r\n\r\nthere\r\n"), None),
                (None, Some("<p>Hi</p>\r\n")),
                (
                    Some("Gr\u{fc}\u{df}e\r\n"),
                    Some("<html><body class=x><p>Hi</p></body></html>\r\n"),
                ),
            ] {
                let mut draft = json!({"from": ALICE, "to": [BOB], "subject": subject,
                    "attachments": [{"name": "t.txt", "type": "text/plain", "body": {"text": "file\r\n"}}]});
                if let Some(text) = text {
                    draft["text"] = json!({"text": text});
                }
                if let Some(html) = html {
                    draft["html"] = json!({"text": html});
                }
                for wanted in [Value::Null, json!(true), json!(false)] {
                    let mut protect =
                        json!({"encrypt": true, "sign": true, "protocol": trio.family});
                    if !wanted.is_null() {
                        protect["legacyDisplay"] = wanted.clone();
                    }
                    let message = crate::harness::seal_one(&mut trio.alice, draft.clone(), protect);
                    let opened = trio.bob.open(&message).unwrap();
                    assert_eq!(opened["summary"]["signed"], "good", "{subject}");
                    for part in opened["parts"].as_array().unwrap() {
                        let body =
                            String::from_utf8(trio.bob.bytes(&part["body"].clone())).unwrap();
                        match part["type"].as_str().unwrap() {
                            _ if part["name"] == "t.txt" => assert_eq!(body, "file\r\n"),
                            "text/plain" => assert_eq!(Some(body.as_str()), text, "{subject}"),
                            _ => {
                                assert_eq!(Some(body.as_str()), html, "{subject}");
                                let clean = String::from_utf8(
                                    trio.bob.bytes(&part["html"]["clean"].clone()),
                                )
                                .unwrap();
                                assert_eq!(clean.trim_end(), "<p>Hi</p>", "{subject}");
                            }
                        }
                    }
                }
            }
        }
    }
}
