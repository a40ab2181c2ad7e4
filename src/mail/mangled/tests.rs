use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::mail::armor;

fn all(text: &str) -> Vec<(SegmentKind, &str, String)> {
    repaired(text.as_bytes(), &mut |_| Ok(true))
        .unwrap()
        .into_iter()
        .map(|found| {
            let data = String::from_utf8(found.data.to_vec()).unwrap();
            (found.kind, text.get(found.range).unwrap(), data)
        })
        .collect()
}

/// Sixty bytes that begin like a packet.
const DATA: &str =
    "hQEMAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygp\nKissLS4vMDEyMzQ1Njc4\n=NgA0";
const WRITTEN: &str = "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKiss\r\nLS4vMDEyMzQ1Njc4\r\n=NgA0\r\n-----END PGP MESSAGE-----";

fn block(inside: &str) -> String {
    format!("-----BEGIN PGP MESSAGE-----\n{inside}\n-----END PGP MESSAGE-----")
}

#[test]
fn a_block_is_written_as_it_was() {
    let whole = block(&format!("\n{DATA}"));
    for (what, text) in [
        ("as it is", whole.clone()),
        ("quoted", format!("> {}", whole.replace('\n', "\n> "))),
        ("quoted twice", format!(">>{}", whole.replace('\n', "\n>>"))),
        ("bars", format!("| {}", whole.replace('\n', "\n| "))),
        ("indented", format!("\t{}", whole.replace('\n', "\n\t"))),
        ("carriage returns", whole.replace('\n', "\r")),
        ("one line", whole.replace("\n\n", "\n").replace('\n', " ")),
        (
            "one line, headers",
            block(&format!("Version: GnuPG v2\n{DATA}")).replace('\n', " "),
        ),
        (
            "quoted lines joined",
            format!("> {}", whole.replace('\n', "\n> ")).replace("pg\n>", "pg >"),
        ),
        (
            "narrow",
            whole.replace("ICQ", "I\nCQ").replace("=Ng", "=N\ng"),
        ),
        ("empty line lost", block(DATA)),
        (
            "empty line lost behind a header",
            block(&format!("Comment: a b\n{DATA}")),
        ),
        (
            "folded header",
            block(&format!("Comment: a, b,\n is\nfolded\n\n{DATA}")),
        ),
        (
            "a key's name",
            block(&format!(
                "Comment: 0123456789ABCDEF0123456789ABCDEF01234567\n\n{DATA}"
            )),
        ),
        (
            "twice the lines",
            block(&format!("Version: 1\n\n{DATA}")).replace('\n', "\n\n"),
        ),
        (
            "hard spaces",
            whole
                .replace(' ', "\u{a0}")
                .replace('\n', " \u{a0}\n\u{a0}"),
        ),
        (
            "no width",
            whole
                .replace('E', "\u{200b}E")
                .replace("PGP", "\u{ad}P\u{200b}GP"),
        ),
    ] {
        let found = all(&text);
        let [(SegmentKind::Message, given, data)] = found.as_slice() else {
            panic!("{what}: {found:?}");
        };
        assert_eq!(*given, text, "{what}");
        assert_eq!(data, WRITTEN, "{what}");
    }
    // Only the checksum tells that these words are no data.
    let words = format!("Comment: a, b,\nisgood12\n\n{DATA}");
    assert_eq!(all(&block(&words))[0].2, WRITTEN);
    let lost = block(&DATA.replace("\n=NgA0", ""));
    assert_eq!(all(&lost)[0].2, WRITTEN.replace("=NgA0\r\n", ""));
}

#[test]
fn what_is_glued_to_it_stays_outside() {
    let whole = block(&format!("\n{DATA}"));
    let text = format!("a {whole}b{whole}");
    let found: Vec<_> = all(&text).into_iter().map(|found| found.1).collect();
    assert_eq!(found, [whole.as_str(), whole.as_str()]);
    let text = format!("------{whole}-----");
    assert_eq!(all(&text)[0].1, whole);
}

#[test]
fn what_is_no_armor_is_left() {
    for text in [
        block("\nwhat fun"),
        block("\nAAEC"),
        block(&format!("\n{DATA}*")),
        block(&format!("no header.\n\n{DATA}")),
        block(&format!("A: 1\n\n{DATA}\nsaid he, and\n{DATA}")),
        block(&format!("{}\n{DATA}", "A: 1\n".repeat(100))),
        block(&format!("\n{DATA}")).replace("END PGP MESSAGE", "END PGP SIGNATURE"),
        format!("- {}", block(&format!("\n{DATA}"))),
    ] {
        assert_eq!(all(&text), [], "{text}");
    }
}

const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----\n\nwsABAgME\n-----END PGP SIGNATURE-----";

fn forms(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    repaired(text.as_bytes(), &mut |data| {
        forms.push(String::from_utf8(data.to_vec()).unwrap());
        Ok(false)
    })
    .unwrap();
    forms
}

fn framed(text: &str) -> String {
    format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}\n{SIGNATURE}")
}

#[test]
fn a_frame_has_the_forms_that_it_may_have_had() {
    let written = |text: &str| framed(text).replace('\n', "\r\n");
    let plain = framed("a\n\n  b\n- -- ");
    let expected = [plain.replace('\n', "\r\n")];
    for (what, text) in [
        ("as it is", plain.clone()),
        ("quoted", format!("> {}", plain.replace('\n', "\n> "))),
        (
            "empty lines cut",
            format!("> {}", plain.replace('\n', "\n> ").replace("> \n", ">\n")),
        ),
        ("no blank", format!(">{}", plain.replace('\n', "\n>"))),
        ("twice", format!("> > {}", plain.replace('\n', "\n>> "))),
        ("indented", format!("  {}", plain.replace('\n', "\n  "))),
        ("glued", format!("well, {plain}")),
        ("glued to the header", plain.replacen("-----\n", "-----", 1)),
        (
            "glued to the signature",
            plain.replace("-- \n-----", "-- -----"),
        ),
        ("empty line lost", plain.replace("SHA512\n\n", "SHA512\n")),
        ("folded", plain.replace("Hash: ", "Hash:\n ")),
    ] {
        assert_eq!(forms(&text), expected, "{what}");
    }
    // What was signed may have such characters itself.
    assert_eq!(
        forms(&framed("a\u{a0}\u{200b}b")),
        [
            written("a\u{a0}\u{200b}b"),
            written("a \u{200b}b"),
            written("a\u{a0}b"),
            written("a b")
        ]
    );
    // A line that nobody quoted is no part of what was.
    let broken = format!("> {}", plain.replace('\n', "\n> ")).replace(">   b", "b");
    assert_eq!(forms(&broken), [""; 0]);
    // What is quoted inside is a part of the text.
    let inner = plain.replace('\n', "\n> ");
    let outer = framed(&format!("> {inner}\nyes"));
    let quoted = format!("> {}", outer.replace('\n', "\n> "));
    assert_eq!(forms(&quoted)[0], outer.replace('\n', "\r\n"));
}

#[test]
fn hostile_texts_take_no_longer_than_they_are() {
    let begin = "-----BEGIN PGP SIGNED MESSAGE-----";
    let staircase: String = (0..250)
        .map(|depth| format!("{}{begin}\n", ">".repeat(depth)))
        .collect();
    let lines = "> a\n".repeat(1 << 18);
    for (what, text) in [
        ("begins", "-----BEGIN PGP MESSAGE-----\n".repeat(10_000)),
        ("frames", format!("{begin}\n").repeat(10_000)),
        (
            "glued frames",
            format!("{}\n{lines}{SIGNATURE}", format!("x {begin}").repeat(999)),
        ),
        ("quotes", ">".repeat(10 << 20)),
        ("quoted lines", ">\n".repeat(5 << 20)),
        (
            "quotes before",
            format!("{}{}", ">".repeat(10 << 20), framed("a")),
        ),
        ("in a block", block(&">\n".repeat(1 << 20))),
        ("in a frame", framed(&"\n".repeat(2 << 20))),
        ("dashes", "-".repeat(4 << 20)),
        ("dashes and nothing", "-\u{200b}".repeat(1 << 20)),
        ("staircase", format!("{staircase}{lines}{SIGNATURE}")),
    ] {
        let start = Instant::now();
        repaired(text.as_bytes(), &mut |_| Ok(false)).unwrap();
        // A debug build on a busy machine; what grows with the square takes hours.
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{what}: {took:?}");
    }
}

proptest! {
    /// What is found stands in the text, in order, and is one whole block for who reads strictly.
    #[test]
    fn what_is_found_is_whole(words in prop::collection::vec(prop::sample::select(vec![
        "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----", "-----BEGIN PGP SIGNED MESSAGE-----",
        "-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----", "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        "-----END PGP PUBLIC KEY BLOCK-----", "\n", "\n", "\n", "\r", "> ", ">", " ", "\u{a0}", "\u{200b}",
        "-", "- ", "A: b", "Hash: SHA512", DATA, "wsABAgME", "\u{e9}", "words",
    ]), 0..60)) {
        let text = words.concat();
        let found = repaired(text.as_bytes(), &mut |data| Ok(data.len() % 3 != 0)).unwrap();
        let mut at = 0;
        for block in found {
            prop_assert!(block.range.start >= at);
            at = block.range.end;
            prop_assert!(text.get(block.range.clone()).is_some());
            if block.kind != SegmentKind::Cleartext {
                let strict = armor::segments(&block.data);
                prop_assert_eq!(strict.len(), 1);
                prop_assert_eq!(strict[0].kind, block.kind);
                // Written once more it stays the same.
                let data = String::from_utf8(block.data.to_vec()).unwrap();
                prop_assert_eq!(&all(&data)[0].2, &data);
            }
        }
        prop_assert!(at <= text.len());
    }
}
