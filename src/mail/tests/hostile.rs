//! Bytes of any kind, and shapes made to be slow: an error or a tree, never a panic.

use bytes::Bytes;
use proptest::prelude::*;

use super::crlf;
use crate::base::Kind;
use crate::base::error::Result;
use crate::mail::entity::{DEPTH_MAX, PARTS_MAX};
use crate::mail::head::{FIELDS_MAX, HEAD_MAX};
use crate::mail::{Entity, armor, layers, whole};

/// Everything that reading does with a message.
fn read(bytes: &Bytes) -> Result<usize> {
    let root = Entity::parse(bytes.clone(), "")?;
    let mut seen = 0;
    for leaf in root.leaves() {
        seen += leaf.content().len() + leaf.text().len();
        for field in leaf.head.fields() {
            let _ = (field.text(), field.addresses(), field.ids(), field.date());
        }
        let _ = (
            leaf.name(),
            leaf.disposition(),
            leaf.content_id(),
            layers::layer(leaf),
        );
        let _ = (layers::keys(leaf), leaf.peek(40), leaf.all_faults());
        let segments = armor::segments(&leaf.text());
        assert_eq!(
            segments.iter().map(|s| s.range.len()).sum::<usize>(),
            leaf.text().len()
        );
    }
    let _ = whole::split_message(bytes);
    let _ = whole::entity_of(bytes);
    Ok(seen)
}

fn limit(text: &str) -> String {
    match Entity::parse(crlf(text), "").map_err(|e| e.kind) {
        Err(Kind::LimitExceeded { limit, .. }) => limit.to_owned(),
        other => panic!("{:?}", other.map(|root| root.leaves().count())),
    }
}

fn nested(depth: usize) -> String {
    let mut text = String::new();
    for level in 0..depth {
        text += &format!("Content-Type: multipart/mixed; boundary=b{level}x\n\n--b{level}x\n");
    }
    text + "\nx"
}

#[test]
fn caps_are_errors() {
    assert!(Entity::parse(crlf(&nested(DEPTH_MAX)), "").is_ok());
    assert_eq!(limit(&nested(DEPTH_MAX + 1)), "mimeDepth");
    let parts = |n: usize| {
        format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n",
            "--b\n\nx\n".repeat(n)
        )
    };
    assert!(Entity::parse(crlf(&parts(PARTS_MAX - 1)), "").is_ok());
    assert_eq!(limit(&parts(PARTS_MAX)), "mimeParts");
    assert_eq!(limit(&parts(PARTS_MAX * 50)), "mimeParts");
    assert_eq!(
        limit(&format!("{}\nx", "A: b\n".repeat(FIELDS_MAX + 1))),
        "headerFields"
    );
    assert_eq!(
        limit(&format!("A: {}\n\nx", "b".repeat(1 << 20))),
        "headerBytes"
    );
    assert_eq!(limit(&"no line end ".repeat(HEAD_MAX / 8)), "headerBytes");
}

#[test]
fn shapes_made_to_be_slow() {
    let fill = |piece: &str| piece.repeat(HEAD_MAX / 5 / piece.len());
    for piece in [
        "(",
        "=?",
        "=?a?q?",
        "=?utf-8?B?",
        " =?aa?q?x",
        "\"",
        "<",
        "\\",
        ";",
        "a*0*=",
        ",",
        "%",
        "\n ",
        "(=?",
        "<\"",
        ": ",
        "\"\\",
        "'",
    ] {
        for name in [
            "From",
            "Subject",
            "Content-Disposition",
            "Date",
            "Message-ID",
        ] {
            let _ = read(&crlf(&format!("{name}: {}\n\nx", fill(piece))));
        }
        let _ = read(&crlf(&format!("Content-Type: a/b; {}\n\nx", fill(piece))));
    }
    for piece in [
        "--b",
        "\n--b",
        "\n--b-",
        "\n--bb",
        "-",
        "\n-----BEGIN PGP MESSAGE-----",
        "=\n",
    ] {
        let body = piece.repeat(1 << 15);
        let _ = read(&crlf(&format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{body}"
        )));
        let _ = read(&crlf(&format!(
            "Content-Transfer-Encoding: quoted-printable\n\n{body}"
        )));
    }
}

#[test]
fn bytes_of_one_kind() {
    for byte in [0u8, b'\n', b'\r', b'-', b':', 0xFF, b' '] {
        for length in [0, 1, 2, 3, 1000, 100_000] {
            let _ = read(&Bytes::from(vec![byte; length]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&Bytes::from(bytes));
    }

    #[test]
    fn any_pieces_of_mail_are_read(pieces in proptest::collection::vec(prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b\r\n"),
        Just("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=\"b\"\n"),
        Just("Content-Type: multipart/encrypted; boundary=b\r\n"),
        Just("Content-Type: application/pgp-signature\r\n"),
        Just("Content-Type: application/pgp-encrypted\r\n"),
        Just("Content-Type: application/pkcs7-mime; name*0*=utf-8''%; name*1=x.p7m\r\n"),
        Just("Content-Type: message/rfc822\r\n"),
        Just("Content-Type: text/plain; charset=iso-2022-jp\r\n"),
        Just("Content-Transfer-Encoding: base64\r\n"),
        Just("Content-Transfer-Encoding: quoted-printable\r\n"),
        Just("From: =?utf-8?B?4oI=?= <a@b.example>, \"x\r\n"),
        Just("Date: Mon, 99 Jan\r\n"),
        Just("\r\n"), Just("\n"), Just("--b\r\n"), Just("--b--\r\n"), Just("--b--"), Just("\0"),
        Just("Version: 1\r\n"), Just("=E4=\r\n"), Just("-----BEGIN PGP MESSAGE-----\r\n"),
        Just("-----END PGP MESSAGE-----\r\n"), Just("aGVsbG8"), Just("\u{1b}$B"), Just(" "),
    ], 0..40)) {
        let _ = read(&Bytes::from(pieces.concat()));
    }
}
