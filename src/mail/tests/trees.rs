//! Ids, ranges, layers and ambiguities of messages written out by hand.

use bytes::Bytes;

use super::{crlf, ids, message};
use crate::base::Protocol;
use crate::base::layer::Form;
use crate::base::verdict::{Disposition, Scheme};
use crate::mail::layers::{self, Multi, Origin, Shape};
use crate::mail::{Entity, Fault, FieldOut, wrap};

const SIGNED: &str = "\
From: a@b.example
Content-Type: multipart/signed; micalg=pgp-SHA256; protocol=\"application/pgp-signature\"; boundary=s

--s
Content-Type: multipart/mixed; boundary=m

--m

one 
--m--

--s
Content-Type: application/pgp-signature

sig
--s--
";

const ENCRYPTED: &str = "\
Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=e

--e
Content-Type: application/pgp-encrypted

Version: 1

--e
Content-Type: application/octet-stream

-----BEGIN PGP MESSAGE-----

x
-----END PGP MESSAGE-----
--e--
";

#[test]
fn ids_follow_imap() {
    assert_eq!(ids(&message("\nhi")), [("1", "text/plain")]);
    assert_eq!(
        ids(&message("Content-Type: text/html\n\nhi")),
        [("1", "text/html")]
    );
    let mixed = "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a\nContent-Type: \
                 multipart/alternative; boundary=b\n\n--b\n\ny\n--b\nContent-Type: text/html\n\nz\n\
                 --b--\n--a\nContent-Type: message/rfc822\n\nSubject: s\n\nw\n--a--";
    assert_eq!(
        ids(&message(mixed)),
        [
            ("1", "text/plain"),
            ("2.1", "text/plain"),
            ("2.2", "text/html"),
            ("3", "message/rfc822")
        ]
    );
    let inner = Entity::parse(crlf(mixed), "3").unwrap();
    assert_eq!(inner.id, "3");
    assert_eq!(ids(&inner)[1].0, "3.2.1");
    assert_eq!(
        ids(&Entity::parse(crlf("\nx"), "3").unwrap()),
        [("3.1", "text/plain")]
    );
    assert_eq!(ids(&message(SIGNED)), [("1", "multipart/signed")]);
    assert_eq!(
        inner.find("3.2").unwrap().media.kind(),
        "multipart/alternative"
    );
}

#[test]
fn signed_content_is_exact() {
    let root = message(SIGNED);
    assert_eq!(root.shape, Shape::Layer(Multi::PgpSigned));
    let found = layers::layer(&root).unwrap();
    assert_eq!(found.micalg.as_deref(), Some("pgp-sha256"));
    assert_eq!(found.sealed.protocol, Protocol::OpenPgp);
    let Form::Detached { content, signature } = found.sealed.form else {
        panic!("not detached");
    };
    let expected = crlf("Content-Type: multipart/mixed; boundary=m\n\n--m\n\none \n--m--\n");
    assert_eq!(content, expected);
    assert_eq!(signature, "sig");
    assert_eq!(found.faults, []);
    assert_eq!(
        ids(&Entity::parse(content, "1").unwrap()),
        [("1.1", "text/plain")]
    );
}

#[test]
fn mail_from_a_file_is_signed_with_crlf() {
    let root = Entity::parse(Bytes::from(SIGNED), "").unwrap();
    let Form::Detached { content, .. } = layers::layer(&root).unwrap().sealed.form else {
        panic!("not detached");
    };
    assert!(content.ends_with(b"one \r\n--m--\r\n"));
    let mixed = SIGNED.replace("one \n", "one \r\n");
    let root = Entity::parse(Bytes::from(mixed), "").unwrap();
    let found = layers::layer(&root).unwrap();
    assert_eq!(found.faults, [Fault::MixedSigned]);
}

#[test]
fn encrypted_in_its_forms() {
    let data = |entity: &Entity| match layers::layer(entity).map(|f| (f.sealed.form, f.origin)) {
        Some((Form::Encrypted { data }, origin)) => Some((data, origin)),
        _ => None,
    };
    let (armor, origin) = data(&message(ENCRYPTED)).unwrap();
    assert!(armor.starts_with(b"-----BEGIN") && armor.ends_with(b"MESSAGE-----"));
    assert_eq!(origin, Origin::Standard);

    let exchange = ENCRYPTED
        .replace(
            "multipart/encrypted; protocol=\"application/pgp-encrypted\";",
            "multipart/mixed;",
        )
        .replacen("--e\n", "--e\nContent-Type: text/plain\n\n\n--e\n", 1);
    let root = message(&exchange);
    assert_eq!(root.id, "1");
    assert_eq!(data(&root).unwrap().1, Origin::Mangled);

    for (broken, why) in [
        (
            ENCRYPTED.replace("Version: 1", "Version: 2"),
            "another version",
        ),
        (
            ENCRYPTED.replace("--e--", "--e\n\nfooter\n--e--"),
            "a third child",
        ),
        (
            ENCRYPTED.replace("=\"application/pgp-encrypted", "=\"application/x"),
            "protocol",
        ),
        (
            SIGNED.replace("--s--", "--s\n\nfooter\n--s--"),
            "a third child",
        ),
        (
            SIGNED.replace(
                "=\"application/pgp-signature",
                "=\"application/pkcs7-signature",
            ),
            "mixed",
        ),
    ] {
        let root = message(&broken);
        assert_eq!(root.shape, Shape::Broken, "{why}");
        assert!(root.faults.contains(&Fault::NotALayer), "{why}");
        assert!(layers::layer(&root).is_none(), "{why}");
        assert!(root.leaves().count() >= 2, "{why}");
    }
}

#[test]
fn layers_in_one_part() {
    let found = |text: &str| layers::layer(&message(text)).map(|f| (f.sealed, f.origin));
    let (sealed, origin) = found(
        "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\
         Content-Transfer-Encoding: base64\n\nMAAwAA==\n",
    )
    .unwrap();
    assert_eq!(
        (sealed.protocol, sealed.scheme),
        (Protocol::Smime, Scheme::Opaque)
    );
    assert!(matches!(sealed.form, Form::Encrypted { .. }));
    assert_eq!(origin, Origin::Standard);
    // What the object says of itself beats the parameter.
    let (sealed, origin) = found(
        "Content-Type: application/octet-stream; smime-type=enveloped-data; name=\"a.P7M\"\n\
         Content-Transfer-Encoding: base64\n\nMIIBAAYJKoZIhvcNAQcCoIIB\n",
    )
    .unwrap();
    assert!(matches!(sealed.form, Form::SignedInside { .. }));
    assert_eq!(origin, Origin::Mangled);
    assert!(found("Content-Type: application/pkcs7-mime; smime-type=certs-only\n\nx").is_none());

    let (sealed, origin) = found(
        "Content-Type: application/octet-stream; name=encrypted.asc\n\n\
         -----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n",
    )
    .unwrap();
    assert_eq!(
        (sealed.protocol, origin),
        (Protocol::OpenPgp, Origin::Attachment)
    );
    assert!(found("Content-Type: application/octet-stream; name=a.asc\n\nhello").is_none());

    let keys = "Content-Type: application/octet-stream; name=a.asc\n\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
    assert!(layers::keys(&message(keys)).is_some());
    assert!(layers::keys(&message("Content-Type: application/pgp-keys\n\nx")).is_some());
    assert!(layers::keys(&message("Content-Type: text/plain\n\nx")).is_none());
}

#[test]
fn what_two_readers_would_see_differently_is_said() {
    for (text, fault) in [
        (
            "Content-Type: text/plain\nContent-Type: text/html\n\nx",
            Fault::DuplicateField,
        ),
        (
            "Content-Type: text/plain; charset=a; charset=b\n\nx",
            Fault::DuplicateParameter,
        ),
        ("A: b\nstray\n\nx", Fault::StrayLine),
        ("A: b\n \nB: c\n\nx", Fault::BlankContinuation),
        ("A: b\0\n\nx", Fault::Nul),
        ("Content-Type: multipart/mixed\n\nx", Fault::NoBoundary),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bc\n--b--",
            Fault::BoundaryPrefix,
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx",
            Fault::NoEnd,
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b--",
            Fault::EncodedMultipart,
        ),
        (
            "Content-Transfer-Encoding: rot13\n\nx",
            Fault::UnknownEncoding,
        ),
    ] {
        assert_eq!(message(text).all_faults(), [fault], "{text:?}");
    }
    let mixed = Entity::parse(Bytes::from("A: b\r\nB: c\n\r\nx"), "").unwrap();
    assert_eq!(mixed.faults, [Fault::MixedLineEnds]);
    let bare = Entity::parse(Bytes::from("A: b\rB: c\r\n\r\nx"), "").unwrap();
    assert_eq!(bare.faults, [Fault::BareCr]);
}

#[test]
fn mailboxes_and_blank_lines_before_a_message() {
    for text in ["From a@b Mon\nSubject: s\n\nx", "\n\nSubject: s\n\nx"] {
        let root = message(text);
        assert_eq!(root.head.first("subject").unwrap().text(), "s", "{text:?}");
        assert_eq!(root.content(), "x");
        assert_eq!(root.faults, []);
    }
    assert_eq!(message("\nno field").content(), "no field");
}

#[test]
fn fields_unfold_and_decode() {
    let root = message(
        "Subject: a\n b\n\t=?utf-8?q?c=C3=A9?=\nTo: g: a@b.example, nobody;\nMessage-ID: <x@y>\n\
         References: <a@b>\n <c@d> junk\nDate: Thu, 1 Jan 1970 00:01:00 +0000\nX-Y : z\n\nbody",
    );
    let field = |name: &str| root.head.first(name).unwrap();
    assert_eq!(field("SUBJECT").text(), "a b cé");
    assert_eq!(field("subject").raw(), b" a\r\n b\r\n\t=?utf-8?q?c=C3=A9?=");
    let to = field("to").addresses();
    assert_eq!((to.mailboxes.len(), to.invalid, to.groups), (1, 1, 1));
    assert_eq!(field("message-id").ids(), ["x@y"]);
    assert_eq!(field("references").ids(), ["a@b", "c@d"]);
    assert_eq!(field("date").date(), Some(60));
    assert_eq!(field("x-y").text(), "z");
    assert_eq!(crate::mail::head::camel("Message-ID"), "messageId");
    assert_eq!(crate::mail::head::camel("In-Reply-To"), "inReplyTo");
    for odd in ["-from", "from-", "--from", "reply--to", "x-1", "x1"] {
        let spelled = crate::mail::head::camel(odd);
        let alike = ["from", "replyTo", "x-", "x"];
        assert!(!alike.contains(&spelled.as_str()), "{odd}: {spelled}");
        assert_eq!(spelled.to_lowercase().contains('-'), odd != "x1", "{odd}");
    }
}

#[test]
fn parts_say_how_they_are_shown() {
    let shown = |head: &str| {
        let part = message(&format!("{head}\n\nx"));
        (part.name(), part.disposition())
    };
    let named = |name: &str| Some(name.to_owned());
    for (head, expected) in [
        ("Content-Type: text/plain", (None, Disposition::Inline)),
        (
            "Content-Type: text/plain; name=a.txt",
            (named("a.txt"), Disposition::Attachment),
        ),
        (
            "Content-Type: application/pdf",
            (None, Disposition::Attachment),
        ),
        (
            "Content-Type: image/png\nContent-ID: <i@x>",
            (None, Disposition::Inline),
        ),
        (
            "Content-Type: a/b; name=\"=?utf-8?q?=C3=A4?=\"",
            (named("ä"), Disposition::Attachment),
        ),
        (
            "Content-Type: a/b; name=x\nContent-Disposition: inline; filename*=utf-8''%C3%A4",
            (named("ä"), Disposition::Inline),
        ),
    ] {
        assert_eq!(shown(head), expected, "{head:?}");
    }
}

#[test]
fn bodies_are_slices_where_nothing_is_encoded() {
    let whole = crlf("Content-Type: text/plain; charset=utf-8\n\nhé");
    let root = Entity::parse(whole.clone(), "").unwrap();
    let text = root.text();
    assert_eq!(text, "hé".as_bytes());
    let inside = whole.as_ptr_range();
    assert!(inside.contains(&text.as_ptr()));
    let latin = Bytes::from_static(b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nh\xE9");
    assert_eq!(Entity::parse(latin, "").unwrap().text(), "hé".as_bytes());
}

#[test]
fn what_is_wrapped_is_found() {
    let subject = FieldOut::text("Subject", "s", "").unwrap();
    let armor = crlf("-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n");
    let sent = wrap::encrypted(std::slice::from_ref(&subject), armor.to_vec()).unwrap();
    let root = Entity::parse(Bytes::from(sent), "").unwrap();
    assert_eq!(root.faults, []);
    assert_eq!(root.head.first("mime-version").unwrap().text(), "1.0");
    let Form::Encrypted { data } = layers::layer(&root).unwrap().sealed.form else {
        panic!("not encrypted");
    };
    assert_eq!(data, armor);

    for protocol in [Protocol::OpenPgp, Protocol::Smime] {
        let content = crlf("Content-Type: text/plain\n\nhi\n");
        let sent = wrap::signed(&[], &content, b"\x30\x00", "pgp-sha512", protocol).unwrap();
        let root = Entity::parse(Bytes::from(sent), "").unwrap();
        let found = layers::layer(&root).unwrap();
        assert_eq!((found.sealed.protocol, found.faults), (protocol, vec![]));
        let Form::Detached {
            content: inside,
            signature,
        } = found.sealed.form
        else {
            panic!("not detached");
        };
        assert_eq!((inside, signature.as_ref()), (content, &b"\x30\x00"[..]));
    }
    assert!(wrap::signed(&[], b"", b"", "x\r\ny", Protocol::OpenPgp).is_err());
}

#[test]
fn long_words_are_broken_where_they_may_be() {
    let value = format!("addr=a@b.example; keydata={}", "A".repeat(1000));
    let field = FieldOut::breakable("Autocrypt", &value).unwrap();
    assert!(
        field
            .line
            .split(|b| *b == b'\n')
            .all(|line| line.len() <= 78)
    );
    assert_eq!(field.value.replace(' ', ""), value.replace(' ', ""));
    assert!(FieldOut::breakable("Autocrypt", "a\r\nb").is_err());
}
