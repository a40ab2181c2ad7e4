//! A draft written and read again is the draft.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::base::body::Body;
use crate::base::draft::{Attachment, Draft, ExtraHeader};
use crate::base::verdict::Disposition;
use crate::base::{Address, Kind, Mailbox};
use crate::mail::fields::{Bcc, FIELDS_BYTES_MAX, fields};
use crate::mail::{Entity, compose, encode, whole, wrap};

fn written(draft: &Draft) -> Bytes {
    let outer = fields(draft, 1_700_000_000, Bcc::Keep).unwrap();
    let entity = compose::body(draft).unwrap();
    assert!(
        encode::is_safe(&entity, encode::LINE_MAX),
        "not fit for transport"
    );
    Bytes::from(wrap::plain(&outer, &entity))
}

fn canonical(body: &Body) -> Vec<u8> {
    encode::canonical(body.bytes().unwrap())
}

/// Compares by what readers of the draft see.
fn check(draft: &Draft) {
    let whole = written(draft);
    let root = Entity::parse(whole.clone(), "").unwrap();
    assert_eq!(root.all_faults(), []);
    let text = |name: &str| root.head.first(name).map(|f| f.text()).unwrap_or_default();
    let list = |name: &str| {
        root.head
            .first(name)
            .map(|f| f.addresses())
            .unwrap_or_default()
    };
    for (name, given) in [("to", &draft.to), ("cc", &draft.cc), ("bcc", &draft.bcc)] {
        let found = list(name);
        assert_eq!(
            (&found.mailboxes, found.invalid, found.groups),
            (given, 0, 0)
        );
    }
    assert_eq!(list("from").mailboxes.first(), draft.from.as_ref());
    assert_eq!(text("subject"), draft.subject);
    let ids = |name: &str| root.head.first(name).map(|f| f.ids()).unwrap_or_default();
    assert_eq!(ids("references"), draft.references);
    for header in &draft.headers {
        assert_eq!(text(&header.name), header.value);
    }
    let mut leaves: Vec<&Entity> = root.leaves().collect();
    for (kind, given) in [("text/plain", &draft.text), ("text/html", &draft.html)] {
        let at = leaves.iter().position(|leaf| {
            leaf.media.kind() == kind && leaf.head.first("content-disposition").is_none()
        });
        match (given, at) {
            (Some(body), Some(at)) => {
                assert_eq!(leaves.remove(at).text(), canonical(body));
            }
            (None, None) => {}
            // A message without any part has an empty text.
            (None, Some(_)) if draft.attachments.is_empty() && draft.html.is_none() => {
                assert_eq!(leaves.remove(0).text(), "");
            }
            (given, _) => panic!("{kind}: {given:?}"),
        }
    }
    let related = |a: &&Attachment| a.content_id.is_some() && draft.html.is_some();
    let mut expected: Vec<&Attachment> = draft.attachments.iter().filter(related).collect();
    expected.extend(draft.attachments.iter().filter(|a| !related(a)));
    assert_eq!(leaves.len(), expected.len());
    for (leaf, given) in leaves.iter().zip(expected) {
        assert_eq!(&leaf.content(), given.body.bytes().unwrap());
        assert_eq!(leaf.name(), given.name);
        assert_eq!(leaf.content_id(), given.content_id);
        assert_eq!(leaf.disposition() == Disposition::Inline, related(&given));
    }
    // What is safe already keeps its bytes when it is sealed as a whole message.
    let parts = whole::split_message(&whole).unwrap();
    assert!(whole.ends_with(&parts.entity));
    assert_eq!(parts.entity, compose_tail(&whole));
}

fn compose_tail(whole: &[u8]) -> Vec<u8> {
    let mark = b"MIME-Version: 1.0\r\n";
    let at = memchr::memmem::find(whole, mark).unwrap() + mark.len();
    whole[at..].to_vec()
}

fn mailbox(name: Option<&str>, address: &str) -> Mailbox {
    Mailbox {
        name: name.map(str::to_owned),
        address: Address::parse(address).unwrap(),
    }
}

fn sender() -> Draft {
    Draft {
        from: Some(mailbox(
            Some("Jürgen, \"J\" \\ =?x"),
            "jürgen@bücher.example",
        )),
        ..Draft::default()
    }
}

#[test]
fn drafts_with_everything() {
    check(&sender());
    let file = |name: &str, kind: &str, body: &[u8], cid: Option<&str>| Attachment {
        name: Some(name.to_owned()),
        media_type: Some(kind.to_owned()),
        body: Body::from(body.to_vec()),
        content_id: cid.map(str::to_owned),
    };
    check(&Draft {
        to: vec![
            mailbox(None, "a@b.example"),
            mailbox(Some("=?utf-8?q?no?="), "c@d.example"),
        ],
        cc: (0..200)
            .map(|i| mailbox(Some("N. N."), &format!("n{i}@x.example")))
            .collect(),
        subject: "Grüße  =?utf-8?q?=41?= \u{1F600}".repeat(20),
        references: (0..50)
            .map(|i| format!("{i}.{}@x.example", "r".repeat(60)))
            .collect(),
        text: Some(Body::from("a \nb\r\n-- \nFrom x\n.\n\u{20ac}")),
        html: Some(Body::from("<img src=\"cid:i@x\">\r")),
        attachments: vec![
            file(
                "ä\"\\;%'*.bin",
                "application/octet-stream",
                &[0, 10, 13, 255],
                None,
            ),
            file("=?utf-8?q?=41?=", "image/png", b"png", Some("i@x")),
            file(
                &"long é ".repeat(100),
                "text/plain; charset=utf-8",
                b"bare\nends\r",
                None,
            ),
            file("m.eml", "message/rfc822", b"Subject: s\r\n\r\nhi\r\n", None),
            file("8.eml", "message/rfc822", b"Subject: \xFF\n\nhi", None),
            file("c:\\windows path.txt", "text/plain", b"", None),
            file(" outer spaces ", "text/plain", b"x", None),
        ],
        headers: vec![ExtraHeader {
            name: "X-Long".to_owned(),
            value: "x".repeat(3000),
        }],
        ..sender()
    });
}

#[test]
fn text_says_that_it_is_flowed_when_it_is() {
    for (text, flowed) in [
        ("a \nb", true),
        ("a\nb", false),
        ("a\n-- \nme", false),
        ("a ", false),
        ("a\n \nb", false),
    ] {
        let entity = compose::body(&Draft {
            text: Some(Body::from(text)),
            ..sender()
        })
        .unwrap();
        let has = memchr::memmem::find(&entity, b"format=flowed").is_some();
        assert_eq!(has, flowed, "{text:?}");
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let path = |draft: Draft| {
        let error = fields(&draft, 0, Bcc::Keep)
            .and_then(|_| compose::body(&draft))
            .expect_err("refused");
        match error.kind {
            Kind::RequestInvalid { path } => path,
            other => panic!("{other:?}"),
        }
    };
    let with = |change: fn(&mut Draft)| {
        let mut draft = sender();
        change(&mut draft);
        path(draft)
    };
    let extra = |name: &str, value: &str| {
        path(Draft {
            headers: vec![ExtraHeader {
                name: name.to_owned(),
                value: value.to_owned(),
            }],
            ..sender()
        })
    };
    assert_eq!(with(|d| d.from = None), "/draft/from");
    assert_eq!(
        with(|d| d.subject = "a\r\nBcc: x@y.example".into()),
        "/draft/subject"
    );
    assert_eq!(with(|d| d.subject = "a\0".into()), "/draft/subject");
    assert_eq!(
        with(|d| d.to = vec![mailbox(Some("a\nb"), "a@b.example")]),
        "/draft/to"
    );
    assert_eq!(
        with(|d| d.message_id = Some("a b".into())),
        "/draft/messageId"
    );
    assert_eq!(
        with(|d| d.references = vec!["a>\r\nx".into()]),
        "/draft/references"
    );
    assert_eq!(with(|d| d.date = Some("tomorrow".into())), "/draft/date");
    assert_eq!(
        with(|d| d.subject = "x ".repeat(FIELDS_BYTES_MAX)),
        "/draft"
    );
    assert_eq!(
        with(|d| d.text = Some(Body::from(vec![0xFF]))),
        "/draft/text"
    );
    assert_eq!(extra("Subject", "x"), "/draft/headers/0/name");
    assert_eq!(extra("content-Type", "x"), "/draft/headers/0/name");
    assert_eq!(extra("Resent-Bcc", "x"), "/draft/headers/0/name");
    assert_eq!(extra("A:b", "x"), "/draft/headers/0/name");
    assert_eq!(extra("X-A", "x\ny"), "/draft/headers/0/value");
    let file = |name: &str, kind: &str, cid: &str| {
        path(Draft {
            attachments: vec![Attachment {
                name: Some(name.to_owned()),
                media_type: Some(kind.to_owned()),
                body: Body::from("x"),
                content_id: Some(cid.to_owned()),
            }],
            ..sender()
        })
    };
    assert_eq!(file("a\r\nb", "a/b", "c"), "/draft/attachments/0/name");
    assert_eq!(file("a", "a/b\r\nX: y", "c"), "/draft/attachments/0/type");
    assert_eq!(
        file("a", "a/b", "c>\r\nX: y"),
        "/draft/attachments/0/contentId"
    );
}

#[test]
fn nothing_tells_host_or_zone() {
    let fields = fields(
        &Draft {
            bcc: vec![mailbox(None, "h@i.example")],
            ..sender()
        },
        0,
        Bcc::Drop,
    );
    let fields = fields.unwrap();
    let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["Date", "From", "Message-ID"]);
    assert_eq!(fields[0].line, b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n");
    assert!(fields[2].value.ends_with("@xn--bcher-kva.example>"));
    let ascii = mailbox(None, "j@bücher.example");
    let line = crate::mail::FieldOut::mailboxes("To", &[ascii], "")
        .unwrap()
        .line;
    assert_eq!(line, b"To: <j@xn--bcher-kva.example>\r\n");
}

#[test]
fn whole_messages_become_fit_for_sealing() {
    let message = "Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n\
                   pre\n--b\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=utf-8\n\n\
                   From caf\u{e9} \n--b\nContent-Type: message/rfc822\n\nSubject: inner\n\n\u{e9}\n\
                   --b\nContent-Type: a/b\nContent-Transfer-Encoding: binary\n\n\u{e9}\n\n--b--\n";
    let before = Entity::parse(Bytes::from(message), "").unwrap();
    let parts = whole::split_message(&Bytes::from(message)).unwrap();
    assert_eq!(parts.fields.len(), 1);
    assert_eq!(parts.fields[0].line, b"Subject: s\r\n");
    assert!(encode::is_safe(&parts.entity, encode::LINE_MAX));
    let after = Entity::parse(Bytes::from(parts.entity), "").unwrap();
    let texts = |root: &Entity| {
        root.leaves()
            .map(|l| canonical_text(&l.content()))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&before)[0], texts(&after)[0]);
    assert_eq!(
        before.find("3").unwrap().content(),
        after.find("3").unwrap().content()
    );
    let inner = Entity::parse(after.find("2").unwrap().content(), "2").unwrap();
    assert_eq!(inner.text(), "é".as_bytes());
    let plain = whole::entity_of(&Bytes::from("caf\u{e9}\nNote: x")).unwrap();
    assert_eq!(
        Entity::parse(plain.into(), "1").unwrap().text(),
        "caf\u{e9}\r\nNote: x".as_bytes()
    );
    assert!(whole::entity_of(&Bytes::from_static(&[0xFF])).is_err());
}

fn canonical_text(text: &[u8]) -> Vec<u8> {
    encode::canonical(text)
}

/// A line of text as people write it, without control characters.
fn line() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            4 => proptest::char::range(' ', '~').prop_map(String::from),
            2 => any::<char>().prop_map(String::from),
            1 => proptest::sample::select(vec![
                "=?utf-8?q?", "?=", "=?utf-8?B?QQ==?=", "\"", "\\", " ", "  ", "é", "\u{1F600}", "\t", "<", ",",
            ]).prop_map(str::to_owned),
        ],
        0..40,
    )
    .prop_map(|pieces| pieces.concat().chars().filter(|c| !c.is_control()).collect())
}

fn text() -> impl Strategy<Value = Body> {
    vec(
        (
            line(),
            proptest::sample::select(vec!["\n", "\r\n", "\r", " \n", "\nFrom ", "\n."]),
        ),
        0..8,
    )
    .prop_map(|lines| {
        let text: String = lines.into_iter().map(|(line, end)| line + end).collect();
        Body::from(text)
    })
}

fn people() -> impl Strategy<Value = Vec<Mailbox>> {
    let address = proptest::sample::select(vec![
        "a@b.example",
        "jürgen@bücher.example",
        "\"x y\"@b.example",
        "o'n+t@b.example",
        "a@[127.0.0.1]",
    ]);
    vec((option::of(line()), address), 0..4).prop_map(|people| {
        people
            .into_iter()
            .map(|(name, address)| {
                let name = name.map(|n| n.trim().to_owned()).filter(|n| !n.is_empty());
                mailbox(name.as_deref(), address)
            })
            .collect()
    })
}

fn file() -> impl Strategy<Value = Attachment> {
    let kind = proptest::sample::select(vec![
        None,
        Some("image/png"),
        Some("message/rfc822"),
        Some("text/plain"),
        Some("multipart/mixed"),
    ]);
    (
        option::of(line()),
        kind,
        vec(any::<u8>(), 0..300),
        option::of("[a-z0-9.@]{1,20}"),
    )
        .prop_map(|(name, kind, body, content_id)| Attachment {
            name: name.filter(|name| !name.is_empty()),
            media_type: kind.map(str::to_owned),
            body: Body::from(body),
            content_id,
        })
}

/// Many more in the long form of the tests.
fn cases() -> u32 {
    match std::env::var_os("SEALPOST_LONG").is_some_and(|v| v != "0" && !v.is_empty()) {
        true => 200_000,
        false => 5_000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn any_draft_comes_back(
        to in people(), cc in people(), bcc in people(), subject in line(), extra in line(),
        text in option::of(text()), html in option::of(text()), attachments in vec(file(), 0..4),
    ) {
        check(&Draft {
            to, cc, bcc, subject, text, html, attachments,
            headers: vec![ExtraHeader { name: "X-Extra".to_owned(), value: extra }],
            ..sender()
        });
    }
}
