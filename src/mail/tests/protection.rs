//! Header protection, there and back, and against RFC 9788's rules one by one.

use bytes::Bytes;

use super::message;
use crate::base::verdict::HeaderProtection;
use crate::base::{Address, Mailbox};
use crate::mail::fields::FieldOut;
use crate::mail::html::LegacyDisplay;
use crate::mail::protect::{
    self, Confidentiality, Envelope, Hidden, Hp, Protected, behind_legacy_display, legacy_display,
    without_legacy_display,
};
use crate::mail::{Entity, Head};

const ENTITY: &[u8] =
    b"Content-Type: text/plain; charset=utf-8;\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhi";

fn fields() -> Vec<FieldOut> {
    let alice = Mailbox {
        name: Some("Älice".to_owned()),
        address: Address::parse("alice@a.example").unwrap(),
    };
    vec![
        FieldOut::text("Date", "Sat, 20 Feb 2021 10:09:02 -0500", "").unwrap(),
        FieldOut::mailboxes("From", &[alice], "").unwrap(),
        FieldOut::text("Subject", "Grüße und mehr", "").unwrap(),
        FieldOut::text("Keywords", "a, b", "").unwrap(),
        FieldOut::text("X-Long", "word ".repeat(40).trim_end(), "").unwrap(),
    ]
}

/// A payload with its fields inside, and the fields that stand outside.
struct Covered {
    payload: Vec<u8>,
    outer: Vec<FieldOut>,
}

fn cover(
    entity: Vec<u8>,
    fields: &[FieldOut],
    hp: Hp,
    policy: Confidentiality,
    hidden: &[Hidden],
) -> crate::base::Result<Covered> {
    let outer = protect::outer(fields, hp, policy, hidden);
    let payload = protect::cover(entity, fields, &outer, hp)?;
    Ok(Covered { payload, outer })
}

fn read(covered: &Covered) -> (Entity, Head) {
    let outer: Vec<u8> = covered.outer.iter().flat_map(|f| f.line.clone()).collect();
    (
        Entity::parse(Bytes::from(covered.payload.clone()), "1").unwrap(),
        Head::parse(Bytes::from(outer)).unwrap(),
    )
}

fn outside(covered: &Covered) -> Vec<(&str, &str)> {
    covered
        .outer
        .iter()
        .map(|f| (f.name.as_str(), f.value.as_str()))
        .collect()
}

const ENCRYPTED: Envelope = Envelope {
    encrypted: true,
    signed: true,
};

#[test]
fn encrypted_fields_are_hidden_by_policy() {
    use HeaderProtection::{Signed, SignedEncrypted};
    let baseline = cover(
        ENTITY.to_vec(),
        &fields(),
        Hp::Cipher,
        Confidentiality::Baseline,
        &[],
    )
    .unwrap();
    assert_eq!(outside(&baseline)[2], ("Subject", "[...]"));
    assert_eq!(baseline.outer.len(), 4);
    let shy = cover(
        ENTITY.to_vec(),
        &fields(),
        Hp::Cipher,
        Confidentiality::Shy,
        &[],
    )
    .unwrap();
    assert_eq!(
        outside(&shy)[0],
        ("Date", "Sat, 20 Feb 2021 15:09:02 +0000")
    );
    assert_eq!(outside(&shy)[1], ("From", "<alice@a.example>"));
    let open = cover(
        ENTITY.to_vec(),
        &fields(),
        Hp::Cipher,
        Confidentiality::None,
        &[],
    )
    .unwrap();
    assert_eq!(open.outer, fields());

    for (covered, expected) in [
        (
            &baseline,
            [Signed, Signed, SignedEncrypted, SignedEncrypted, Signed],
        ),
        (
            &shy,
            [
                SignedEncrypted,
                SignedEncrypted,
                SignedEncrypted,
                SignedEncrypted,
                Signed,
            ],
        ),
        (&open, [Signed; 5]),
    ] {
        let (root, real) = read(covered);
        assert_eq!(root.content(), "hi");
        assert_eq!(root.faults, []);
        let protected = Protected::read(&root, &real);
        assert_eq!(protected.hp, Some(Hp::Cipher));
        let found: Vec<_> = protected
            .fields(&root)
            .map(|f| protected.protection(&f, ENCRYPTED))
            .collect();
        assert_eq!(found, expected);
        let values: Vec<String> = protected.fields(&root).map(|f| f.text()).collect();
        assert_eq!(
            values,
            fields().into_iter().map(|f| f.value).collect::<Vec<_>>()
        );
    }
}

#[test]
fn signed_fields_stand_on_both_sides() {
    let covered = cover(
        ENTITY.to_vec(),
        &fields(),
        Hp::Clear,
        Confidentiality::Shy,
        &[],
    )
    .unwrap();
    assert_eq!(covered.outer, fields());
    let (root, real) = read(&covered);
    assert!(root.head.first("hp-outer").is_none());
    let protected = Protected::read(&root, &real);
    assert_eq!(protected.hp, Some(Hp::Clear));
    for field in protected.fields(&root) {
        assert_eq!(
            protected.protection(&field, ENCRYPTED),
            HeaderProtection::Signed
        );
        let nobody = Envelope {
            encrypted: true,
            signed: false,
        };
        assert_eq!(protected.protection(&field, nobody), HeaderProtection::None);
    }
}

#[test]
fn cipher_means_nothing_without_encryption() {
    let covered = cover(
        ENTITY.to_vec(),
        &fields(),
        Hp::Cipher,
        Confidentiality::Baseline,
        &[],
    )
    .unwrap();
    let (root, real) = read(&covered);
    let protected = Protected::read(&root, &real);
    let subject = root.head.first("subject").unwrap();
    for (encrypted, signed, expected) in [
        (false, true, HeaderProtection::Signed),
        (false, false, HeaderProtection::None),
        (true, false, HeaderProtection::Encrypted),
    ] {
        let envelope = Envelope { encrypted, signed };
        assert_eq!(protected.protection(&subject, envelope), expected);
    }
}

#[test]
fn answers_keep_what_was_hidden() {
    let subject = |value: &str| FieldOut::text("Subject", value, "").unwrap();
    let kept = [Hidden {
        field: subject("Re: secret"),
        outer: Some(subject("Re: [...]")),
    }];
    let (subject, other) = (subject("Re: secret"), subject("Re: secrets"));
    let open = Confidentiality::None;
    let out = cover(ENTITY.to_vec(), &[subject, other], Hp::Cipher, open, &kept).unwrap();
    assert_eq!(
        outside(&out),
        [("Subject", "Re: [...]"), ("Subject", "Re: secrets")]
    );
}

#[test]
fn marks_are_read_with_care() {
    let real = Head::default();
    let read = |text: &str| Protected::read(&message(text), &real);
    assert_eq!(read("Content-Type: text/plain; hp=other\n\nx").hp, None);
    assert_eq!(
        read("Content-Type: text/plain\nHP-Outer: Subject: x\n\nx").hp,
        None
    );
    assert_eq!(
        read("Content-Type: text/plain; hp=\"CIPHER\"\n\nx").hp,
        Some(Hp::Cipher)
    );
    let odd = message(
        "Subject: a\nHP-Outer:\n Subject: a\nHP-Outer: nocolon\nHP-Outer: : empty\nHP-Outer: Subject: a\n\
         Content-Type: text/plain; hp=cipher;\n\nx",
    );
    let protected = Protected::read(&odd, &real);
    assert!(!protected.is_hidden(&odd.head.first("subject").unwrap()));

    let old = message("Subject: s\nContent-Type: text/plain; protected-headers=\"v1\"\n\nx");
    let real = message("Subject: ...\n\nx").head;
    assert!(Protected::read(&old, &real).is_hidden(&old.head.first("subject").unwrap()));
}

#[test]
fn old_marks_are_replaced() {
    let entity = b"Content-Type: text/plain; hp=\"cipher\"; charset=\"utf-8\"\r\n\r\nx";
    let covered = cover(entity.to_vec(), &[], Hp::Clear, Confidentiality::None, &[]).unwrap();
    let (root, _) = read(&covered);
    assert_eq!(root.faults, []);
    assert_eq!(root.media.param("hp"), Some("clear"));
    assert_eq!(root.media.param("charset"), Some("utf-8"));
    let bare = cover(
        b"\r\nx".to_vec(),
        &[],
        Hp::Clear,
        Confidentiality::None,
        &[],
    )
    .unwrap();
    assert_eq!(read(&bare).0.media.param("hp"), Some("clear"));
}

#[test]
fn legacy_display_goes_only_where_it_is_marked() {
    let marked = |kind: &str| {
        let part = message(&format!("Content-Type: {kind}\n\nx"));
        legacy_display(&part) == LegacyDisplay::Present
    };
    assert!(marked("text/plain; hp-legacy-display=1"));
    assert!(marked("text/html; hp-legacy-display=\"1\"; charset=utf-8"));
    assert!(!marked("text/plain; hp-legacy-display=2") && !marked("text/plain"));
    for (text, rest) in [
        ("Subject: s\r\n\r\nhi", "hi"),
        ("Subject: s\n \t\nhi\n\nho", "hi\n\nho"),
        ("\r\nhi", "hi"),
        ("no end", "no end"),
        ("Subject: s\r\n\r\n", ""),
    ] {
        let behind = behind_legacy_display(&Bytes::from_static(text.as_bytes()));
        assert_eq!(behind, rest.as_bytes(), "{text:?}");
    }
    for (html, rest) in [
        (
            "<body><div class=\"header-protection-legacy-display\"><pre>Subject: a &lt; b\n</pre></div><p>x",
            "<body><p>x",
        ),
        (
            "<div class=\"header-protection-legacy-display\">\n<pre>s</pre>\n</div>x",
            "x",
        ),
        // Whatever else stands in it goes too.
        (
            "<div class=\"header-protection-legacy-display\"><pre>s<div>x</div></pre></DIV >x",
            "x",
        ),
        (
            "<html><head><title><div></title><style>div{a:b}</style></head><!-- > -->\n\
             <DIV id='>' class='a header-protection-legacy-display'>s</div>x",
            "<html><head><title><div></title><style>div{a:b}</style></head><!-- > -->\nx",
        ),
        // The first alone, at the begin alone.
        (
            "<div class=\"header-protection-legacy-display\">a</div><div class=\"header-protection-legacy-display\">b</div>",
            "<div class=\"header-protection-legacy-display\">b</div>",
        ),
        (
            "<p>y<div class=\"header-protection-legacy-display\">s</div>x",
            "<p>y<div class=\"header-protection-legacy-display\">s</div>x",
        ),
        (
            "y<div class=\"header-protection-legacy-display\">s</div>x",
            "y<div class=\"header-protection-legacy-display\">s</div>x",
        ),
        (
            "<section><div class=\"header-protection-legacy-display\">s</div></section>x",
            "<section><div class=\"header-protection-legacy-display\">s</div></section>x",
        ),
        (
            "<span class=\"header-protection-legacy-display\">s</span>x",
            "<span class=\"header-protection-legacy-display\">s</span>x",
        ),
        // It would take the letter with it.
        (
            "<body><div class=\"header-protection-legacy-display\">s<div>x</div><p>y",
            "<body><div class=\"header-protection-legacy-display\">s<div>x</div><p>y",
        ),
        ("<p>x", "<p>x"),
    ] {
        let without = without_legacy_display(&Bytes::from_static(html.as_bytes()));
        assert_eq!(without, rest.as_bytes(), "{html}");
    }
}
