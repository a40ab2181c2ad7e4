//! Small texts as pages give them: gpg's blocks after everything that mail programs, lists and
//! text boxes do to them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Home, Host, import, shorten};
use crate::mime::{self, letter};
use crate::peer::Gpg;

const READER: &str = "reader@gpg.example";
const WRITER: &str = "writer@gpg.example";
const STRANGER: &str = "stranger@gpg.example";

const SECRET: &str = "Meet at noon.\n\n  Bring  both -- and Zoë.\n";
const PUBLIC: &str = "Pay ten  euros.\n\n  - and more\n> as you said\n-- \nZoë\n";

/// Somebody who reads, with a key of gpg's, and who accepted the writer's.
struct Desk {
    gpg: Gpg,
    _home: Home,
    host: Host,
}

fn desk() -> Option<Desk> {
    let gpg = Gpg::new()?;
    for who in [READER, WRITER, STRANGER] {
        gpg.key(who, "ed25519", "cv25519", &[]);
    }
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    import(&mut host, &gpg.secret(READER), json!(true));
    import(&mut host, &gpg.public(WRITER), json!([WRITER]));
    Some(Desk {
        gpg,
        _home: home,
        host,
    })
}

impl Desk {
    fn block(&self, args: &[&str], text: &str) -> String {
        let mut all = vec!["--armor", "--comment", "Sent, as ever, with care: yes"];
        all.extend(args);
        self.gpg.text(&all, text.as_bytes())
    }

    fn encrypted(&self) -> String {
        self.block(&["-r", READER, "-e"], SECRET)
    }

    fn signed_and_encrypted(&self) -> String {
        self.block(&["-r", READER, "-u", WRITER, "-se"], SECRET)
    }

    fn signed(&self) -> String {
        self.block(&["-u", WRITER, "--clearsign"], PUBLIC)
    }

    fn read(&mut self, method: &str, text: &str) -> Vec<Piece> {
        let text = self.host.body(text.as_bytes());
        let reply = self
            .host
            .good(method, json!({"text": text, "expect": WRITER}));
        let segments = reply["segments"].as_array().unwrap();
        segments.iter().map(|one| self.piece(one)).collect()
    }

    fn piece(&mut self, segment: &Value) -> Piece {
        Piece {
            text: String::from_utf8(self.host.bytes(&segment["text"])).unwrap(),
            encrypted: segment["encrypted"] == true,
            signed: segment["signed"].as_str().unwrap().to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    encrypted: bool,
    signed: String,
}

impl Piece {
    fn new(text: &str, encrypted: bool, signed: &str) -> Piece {
        Piece {
            text: text.to_owned(),
            encrypted,
            signed: signed.to_owned(),
        }
    }
}

fn each_line(text: &str, change: impl Fn(&str) -> String) -> String {
    let lines: Vec<String> = text.lines().map(change).collect();
    lines.join("\n")
}

/// Changes the base64 of each block, and nothing else.
fn in_armor(text: &str, change: impl Fn(&[&str]) -> Vec<String>) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut data: Option<Vec<&str>> = None;
    let mut headers = false;
    for line in text.lines() {
        if line.starts_with("-----END") {
            out.extend(change(&data.take().unwrap()));
        }
        match &mut data {
            Some(_) if headers => {
                headers = !line.is_empty();
                out.push(line.to_owned());
            }
            Some(data) => data.push(line),
            None => out.push(line.to_owned()),
        }
        if line.starts_with("-----BEGIN PGP MESSAGE")
            || line.starts_with("-----BEGIN PGP SIGNATURE")
        {
            data = Some(Vec::new());
            headers = true;
        }
    }
    out.join("\n")
}

fn wrapped(data: &[&str], width: usize) -> Vec<String> {
    let bytes = data.concat().into_bytes();
    let lines = bytes.chunks(width);
    lines
        .map(|l| String::from_utf8(l.to_vec()).unwrap())
        .collect()
}

fn quoted(text: &str, with: &str) -> String {
    each_line(text, |line| format!("{with}{line}"))
}

/// A signed text as it is hashed: without what stands at the ends of its lines.
fn hashed(text: &str) -> String {
    each_line(text.trim_end(), |line| line.trim_end().to_owned())
}

/// Long lines that were wrapped after they were quoted: the rest of each is not.
fn wrapped_later(text: &str) -> String {
    each_line(text, |line| match line.split_at_checked(50) {
        Some((start, rest)) => format!("{start}\n{rest}"),
        None => line.to_owned(),
    })
}

fn glued(text: &str) -> String {
    format!("before {}after", text.trim_end())
}

fn no_empty_line(text: &str) -> String {
    text.replace("yes\n\n", "yes\n")
        .replace("SHA512\n\n", "SHA512\n")
}

fn without_checksum(text: &str) -> String {
    in_armor(text, |data| {
        let kept = data.iter().filter(|line| !line.starts_with('='));
        kept.map(|line| (*line).to_owned()).collect()
    })
}

fn hard_spaces(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

fn no_width(text: &str) -> String {
    text.replace('e', "\u{200b}e")
        .replace('E', "E\u{200d}\u{feff}")
}

type Mangling = (&'static str, fn(&str) -> String);

/// What is done to a whole text. Those that glue put `before ` and `after` around it.
const MANGLINGS: &[Mangling] = &[
    ("as it is", str::to_owned),
    ("CRLF", |t| t.replace('\n', "\r\n")),
    ("CR", |t| t.replace('\n', "\r")),
    ("quoted", |t| quoted(t, "> ")),
    ("quoted without a blank", |t| quoted(t, ">")),
    ("quoted with bars", |t| quoted(t, "| ")),
    ("quoted twice", |t| quoted(t, "> > ")),
    ("quoted twice without blanks", |t| quoted(t, ">>")),
    ("quoted twice, one blank", |t| quoted(t, ">> ")),
    ("quoted, hard spaces", |t| quoted(t, ">\u{a0}")),
    ("quoted, lines cut", |t| {
        each_line(&quoted(t, "> "), |l| l.trim_end().to_owned())
    }),
    ("quoted, CR", |t| quoted(t, "> ").replace('\n', "\r")),
    ("quoted, CRLF", |t| quoted(t, "> ").replace('\n', "\r\n")),
    ("quoted, then wrapped", |t| wrapped_later(&quoted(t, "> "))),
    ("indented", |t| quoted(t, "    ")),
    ("indented by a tab", |t| quoted(t, "\t")),
    ("indented by hard spaces", |t| quoted(t, "\u{a0}\u{a0}")),
    ("trailing blanks", |t| each_line(t, |l| format!("{l} \t "))),
    ("trailing hard spaces", |t| {
        each_line(t, |l| format!("{l} \u{a0}"))
    }),
    ("hard spaces", hard_spaces),
    ("no width", no_width),
    ("hard spaces and no width", |t| no_width(&hard_spaces(t))),
    ("narrow", |t| in_armor(t, |data| wrapped(data, 20))),
    ("wide", |t| in_armor(t, |data| wrapped(data, 200))),
    ("joined by blanks", |t| {
        in_armor(t, |data| vec![data.join(" ")])
    }),
    ("joined by hard spaces", |t| {
        in_armor(t, |data| vec![data.join("\u{a0} ")])
    }),
    ("empty lines between", |t| {
        in_armor(t, |data| vec![data.join("\n\n")])
    }),
    ("folded headers", |t| {
        t.replace("as ever, with", "as\n ever, with")
            .replace("Hash: ", "Hash:\n ")
    }),
    ("folded headers, not indented", |t| {
        t.replace("with care: yes", "with care: yes,\nyes")
            .replace("Hash: ", "Hash:\n")
    }),
    ("empty line lost", no_empty_line),
    ("headers lost", |t| {
        t.replace("Comment: Sent, as ever, with care: yes\n", "")
    }),
    ("headers and empty line lost", |t| {
        no_empty_line(t).replace("Comment: Sent, as ever, with care: yes\n", "")
    }),
    ("checksum lost", without_checksum),
    ("glued", glued),
    ("glued, quoted", |t| {
        quoted(&glued(t), "> ").replacen("> before", "> > before", 0)
    }),
    ("glued, CR", |t| glued(t).replace('\n', "\r")),
    ("everything", |t| {
        let t = without_checksum(&in_armor(&no_empty_line(t), |data| vec![data.join(" ")]));
        no_width(&hard_spaces(&quoted(&glued(&t), "> > "))).replace('\n', "\r")
    }),
];

#[test]
fn whatever_a_page_does_to_them() {
    let Some(mut desk) = desk() else { return };
    let opened = |signed| Piece::new(SECRET, true, signed);
    let verified = Piece::new(&hashed(PUBLIC), false, "good");
    let between = Piece::new("between", false, "none");
    let (one, two, three) = (desk.encrypted(), desk.signed_and_encrypted(), desk.signed());
    let cases = [
        ("encrypted", one.clone(), vec![opened("none")]),
        ("signed and encrypted", two.clone(), vec![opened("good")]),
        ("signed", three.clone(), vec![verified.clone()]),
        (
            "two blocks",
            format!("{two}between\n{three}"),
            vec![opened("good"), between.clone(), verified.clone()],
        ),
        (
            "two signed",
            format!("{three}between\n{three}"),
            vec![verified.clone(), between, verified],
        ),
        (
            "two encrypted",
            format!("{one}{two}"),
            vec![opened("none"), opened("good")],
        ),
    ];
    let mut wrong = Vec::new();
    let mut shown = 0;
    for (name, mangle) in MANGLINGS {
        for (kind, text, expected) in &cases {
            let mut expected = expected.clone();
            if name.starts_with("glued") || *name == "everything" {
                expected.insert(0, Piece::new("before", false, "none"));
                expected.push(Piece::new("after", false, "none"));
            }
            let mangled = mangle(text);
            let mut found = desk.read("text/decrypt", &mangled);
            for piece in &mut found {
                piece.text = settled(&piece.text);
            }
            for piece in &mut expected {
                piece.text = settled(&piece.text);
            }
            shown += 1;
            if found != expected {
                wrong.push(format!("{kind}, {name}: {found:#?}\n{mangled}"));
            }
            // Who only verifies sees the same of what is signed, and decrypts nothing.
            let seen = desk.read("text/verify", &mangled);
            let good = |pieces: &[Piece]| {
                let plain = pieces.iter().filter(|p| !p.encrypted && p.signed == "good");
                plain.map(|p| settled(&p.text)).collect::<Vec<_>>()
            };
            if seen.iter().any(|piece| piece.encrypted) || good(&seen) != good(&expected) {
                wrong.push(format!("{kind}, {name}, verified: {seen:#?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {shown}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A piece's words: line ends are those of its form; outside of blocks nobody undid anything.
fn settled(text: &str) -> String {
    let text = text
        .replace("\r\n", "\n")
        .replace(['\u{200b}', '\u{200d}', '\u{feff}'], "");
    for outside in ["before", "between", "after"] {
        let marks = |c: char| c.is_whitespace() || c == '>' || c == '|';
        if text.trim_matches(marks) == outside {
            return outside.to_owned();
        }
    }
    text.trim_end().to_owned()
}

#[test]
fn what_does_not_verify_stands_as_it_was_given() {
    let Some(mut desk) = desk() else { return };
    let signed = desk.signed();
    let altered = signed.replace("Pay ten", "Pay two");
    for text in [
        quoted(&altered, "> "),
        quoted(&signed, "> ").replacen("> Pay", "> > Pay", 1),
        quoted(&signed, "> ").replacen("> Pay", "Pay", 1),
        quoted(&signed, "> ").replacen("> Pay", "> Well\n> Pay", 1),
        quoted(&signed, "> ").replacen("> Zo", "> \u{200b}\u{a0}Zo", 1),
        quoted(&signed, "> ").replacen("> Hash:", "> NotDashEscaped: x\n> Hash:", 1),
    ] {
        let found = desk.read("text/verify", &text);
        let given: String = found.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(given.trim_end(), text.trim_end());
        assert!(found.iter().all(|p| p.signed == "none"), "{found:?}");
    }
    // What can be read as a signed text as it is keeps the verdict that it has as it is.
    for text in [altered.clone(), hard_spaces(&altered), no_width(&altered)] {
        let found = desk.read("text/verify", &text);
        assert!(found.iter().any(|p| p.text.contains("two")), "{found:?}");
        assert!(found.iter().all(|p| p.signed != "good"), "{found:?}");
    }
    assert_eq!(desk.read("text/verify", &altered)[0].signed, "bad");
    // Characters that pages put in are kept where the writer signed them.
    let text = "Zo\u{200b}ë\u{a0}is  here\n";
    let own = desk.block(&["-u", WRITER, "--clearsign"], text);
    for given in [own.clone(), quoted(&own, "> ")] {
        let found = desk.read("text/verify", &given);
        assert_eq!(
            (found.len(), found[0].signed.as_str()),
            (1, "good"),
            "{found:?}"
        );
        assert_eq!(found[0].text, text.trim_end());
    }
}

#[test]
fn who_quotes_a_signed_text_is_not_its_signer() {
    let Some(mut desk) = desk() else { return };
    let reply = format!("{}\nI agree.\n", quoted(&desk.signed(), "> "));
    // Nobody here knows the stranger: all that is theirs stays in one piece.
    let outer = desk.block(&["-u", STRANGER, "--clearsign"], &reply);
    for method in ["text/verify", "text/decrypt"] {
        let found = desk.read(method, &outer);
        assert_eq!(
            (found.len(), found[0].signed.as_str()),
            (1, "unknown"),
            "{found:?}"
        );
        assert!(found[0].text.contains("I agree."));
    }
    // The same from the writer, whom they know, quoted once more.
    let outer = desk.block(&["-u", WRITER, "--clearsign"], &reply);
    for text in [outer.clone(), quoted(&outer, "> ")] {
        let found = desk.read("text/verify", &text);
        assert_eq!(
            (found.len(), found[0].signed.as_str()),
            (1, "good"),
            "{found:?}"
        );
        assert_eq!(found[0].text.replace("\r\n", "\n"), hashed(&reply));
    }
    // Unsigned words beside what is quoted stay outside.
    let found = desk.read("text/verify", &reply);
    let signed: Vec<_> = found.iter().map(|piece| piece.signed.as_str()).collect();
    assert_eq!(signed, ["good", "none"], "{found:?}");
    assert_eq!(found[1].text.trim(), "I agree.");
}

#[test]
fn verifying_asks_for_no_passphrase() {
    let Some(mut desk) = desk() else { return };
    let block = desk.gpg.text(
        &["--armor", "--passphrase", "over the hedge", "-c"],
        SECRET.as_bytes(),
    );
    for text in [
        block.clone(),
        quoted(&block, "> "),
        format!("look: {block}"),
    ] {
        let found = desk.read("text/verify", &text);
        assert!(
            found.iter().all(|p| !p.encrypted && p.signed == "none"),
            "{found:?}"
        );
        assert!(found.iter().any(|p| p.text.contains("BEGIN PGP MESSAGE")));
    }
    // Signed alone, in armor: that is verified, quoted too.
    let block = desk.block(&["-u", WRITER, "-s"], SECRET);
    for text in [block.clone(), quoted(&block, "> ")] {
        let found = desk.read("text/verify", &text);
        assert_eq!(found, [Piece::new(SECRET, false, "good")]);
    }
}

#[test]
fn messages_are_not_repaired_and_payloads_are() {
    let Some(mut desk) = desk() else { return };
    let block = desk.signed_and_encrypted();
    let signed = desk.signed();
    for text in [
        quoted(&block, "> "),
        quoted(&block, "    "),
        quoted(&signed, "> "),
        glued(&block),
        glued(&signed),
    ] {
        let message = letter(WRITER, READER, "page", &mime::text(&mime::crlf(&text)));
        let opened = desk.host.open(&message).unwrap();
        assert_eq!(
            opened["summary"]["encrypted"],
            "none",
            "{}",
            shorten(&opened)
        );
        assert_eq!(opened["summary"]["signed"], "none", "{}", shorten(&opened));
        assert_eq!(opened["layers"], json!([]));
    }
    let entity = desk.block(
        &["-r", READER, "-u", WRITER, "-se"],
        &mime::text("An entity.\r\n"),
    );
    for (text, words, encrypted) in [
        (block.clone(), "Meet at noon", "whole"),
        (quoted(&block, "> "), "Meet at noon", "whole"),
        (hard_spaces(&quoted(&block, "  ")), "Meet at noon", "whole"),
        (block.replace('\n', "\r"), "Meet at noon", "whole"),
        (quoted(&entity, "> "), "An entity.", "whole"),
        (glued(&block), "Meet at noon", "part"),
        (quoted(&signed, "> > "), "Pay ten  euros", "none"),
    ] {
        let data = desk.host.body(text.as_bytes());
        // What the page says of the sender is a claim.
        let payload = json!({"data": data, "claimed": {"from": {"address": WRITER}}});
        let opened = desk.host.good("message/open", json!({"payload": payload}));
        assert_eq!(
            opened["summary"]["encrypted"],
            encrypted,
            "{}",
            shorten(&opened)
        );
        let parts = opened["parts"].as_array().unwrap().clone();
        let part = parts
            .iter()
            .find(|part| {
                let body = desk.host.bytes(&part["body"]);
                String::from_utf8_lossy(&body).starts_with(words)
            })
            .unwrap_or_else(|| panic!("{text}: {}", shorten(&opened)));
        assert_eq!(
            part["protection"]["signed"],
            "unverified",
            "{}",
            shorten(&opened)
        );
    }
}

#[test]
fn hostile_texts_end_soon() {
    let Some(mut desk) = desk() else { return };
    let signed = desk.signed();
    let block = desk.encrypted();
    let begin = "-----BEGIN PGP SIGNED MESSAGE-----\n";
    for (what, text, good) in [
        (
            "begins",
            "-----BEGIN PGP MESSAGE-----\n".repeat(10_000),
            false,
        ),
        ("frames", begin.repeat(10_000), false),
        ("quotes", ">".repeat(10 << 20), false),
        ("quoted lines", ">\n".repeat(5 << 20), false),
        (
            "quotes before",
            format!("{}\n{signed}", ">".repeat(10 << 20)),
            true,
        ),
        (
            "quotes inside",
            block.replacen("\n\n", &format!("\n\n{}", ">".repeat(10 << 20)), 1),
            false,
        ),
        (
            "bad frames",
            quoted(&signed.replace("ten", "two"), "> ").repeat(300),
            false,
        ),
        (
            "good frames",
            format!("{}\n", quoted(&signed, "> ")).repeat(100),
            true,
        ),
    ] {
        let start = Instant::now();
        for method in ["text/decrypt", "text/verify"] {
            let found = desk.read(method, &text);
            assert_eq!(found.iter().any(|p| p.signed == "good"), good, "{what}");
        }
        let took = start.elapsed();
        println!("{what}: {took:?}");
        // A debug build on a busy machine; what grows with the square takes hours.
        assert!(took < Duration::from_secs(60), "{what}: {took:?}");
    }
}
