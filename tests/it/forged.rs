//! Backups that somebody made to a purpose: what such a file says goes through the same questions
//! as if it were said to the host, and what a dialog has no room for is not taken up.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::backup::{PHRASE, made as packed};
use crate::harness::{Fault, Home, Host, Pinentry, generate, import};
use crate::mime::dearmor;
use crate::questions::{BOB, ME, Made, acceptance, made, say};

/// The checksum of lines and secret halves in the store: FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn journal(lines: &[String]) -> Vec<u8> {
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{:016x}\t{line}", checksum(line.as_bytes())).unwrap();
    }
    text.into_bytes()
}

fn accept(at: i64, id: &str, address: &str, level: &str) -> String {
    format!("accept\t{at}\t{id}\t{address}\t{level}")
}

fn secret(wrap: &str, body: &[u8]) -> Vec<u8> {
    let sum = checksum(body);
    let head = format!("sealpost-secret 1 {wrap} {} {sum:016x}\n", body.len());
    [head.as_bytes(), body].concat()
}

fn fingerprint(id: &str) -> &str {
    id.split_once(':').unwrap().1
}

/// Where a certificate lies in a backup.
fn cert_piece(one: &Made) -> (String, Vec<u8>) {
    let name = format!("openpgp/{}.pgp", fingerprint(&one.id));
    (name, dearmor(&one.public))
}

fn file(pieces: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut all = vec![(
        "sealpost-backup/version".to_owned(),
        b"1 2026-01-02T03:04:05Z\n".to_vec(),
    )];
    let named = pieces.iter();
    all.extend(named.map(|(name, bytes)| (format!("sealpost-backup/{name}"), bytes.clone())));
    let all: Vec<_> = all
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    packed(&all)
}

fn decisions(lines: &[String]) -> (String, Vec<u8>) {
    ("decisions.journal".to_owned(), journal(lines))
}

/// A home with a key of one's own and Bob's verified one.
struct Here {
    home: Home,
    own: String,
    bob: Made,
}

impl Here {
    fn new() -> Here {
        let home = Home::new();
        let mut host = home.start();
        let own = generate(&mut host, "Me", ME, "compatible");
        let bob = made(BOB);
        import(&mut host, &bob.public, Value::Null);
        say(&mut host, &bob.id, BOB, "verified");
        Here { home, own, bob }
    }
}

/// A host whose person says yes to everything, and what they were told.
fn asking(home: Home) -> (Home, Host, Pinentry) {
    let pinentry = Pinentry::new(&[PHRASE]);
    let home = home.confirm(None).pinentry(&pinentry);
    let host = home.start();
    (home, host, pinentry)
}

fn read(host: &mut Host, backup: &[u8]) -> Value {
    let data = host.body(backup);
    host.good("backup/read", json!({"data": data}))
}

fn state(host: &mut Host, to: &str) -> Value {
    let planned = json!({"from": ME, "to": [to], "protect": {"sign": true, "encrypt": true}});
    host.good("message/plan", planned)["recipients"][0]["state"].clone()
}

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

#[test]
fn no_second_key_counts_beside_a_verified_one_unsaid() {
    let Here { home, bob, .. } = Here::new();
    let other = made(BOB);
    // Both are accepted there, long ago: nobody had to choose.
    let lines = [
        accept(1, &bob.id, BOB, "accepted"),
        accept(1, &other.id, BOB, "accepted"),
    ];
    let backup = file(&[cert_piece(&other), decisions(&lines)]);

    let home = home.confirm(Some("no"));
    let mut host = crate::life::asking(&home);
    let refused: Fault = crate::backup::read(&mut host, &backup).unwrap_err();
    assert_eq!(refused.kind(), "consent.denied");
    drop(host);
    let (_home, mut host, pinentry) = asking(home);
    read(&mut host, &backup);
    let said = pinentry.descriptions();
    let told = format!(
        "against what you have said: the key {} for {BOB}, beside {} (verified)",
        fingerprint(&other.id),
        fingerprint(&bob.id)
    );
    assert!(said.contains(&told), "{said}");
    assert_eq!(acceptance(&mut host, &bob.id, BOB), "verified");
    assert_eq!(acceptance(&mut host, &other.id, BOB), "accepted");
}

#[test]
fn less_is_said_of_ones_own_key_by_name_only() {
    for level in ["undecided", "rejected"] {
        let Here { home, own, .. } = Here::new();
        let lines = [accept(now() + 1, &own, ME, level)];
        let backup = file(&[decisions(&lines)]);
        // Its time is not come.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let (_home, mut host, pinentry) = asking(home);
        let done = read(&mut host, &backup);
        assert_eq!(done["restored"]["decisions"], 1, "{done}");
        let said = pinentry.descriptions();
        let told = format!("your own key {} for {ME}:", fingerprint(&own));
        assert!(said.contains(&told), "{level}: {said}");
    }
}

#[test]
fn a_conflict_with_a_key_that_is_not_here_stands_in_nobodys_way() {
    let Here { home, bob, .. } = Here::new();
    let absent = format!("openpgp:{}", "AB".repeat(20));
    let line = format!("conflict\t{}\t{BOB}\t{}\t{absent}", now(), bob.id);
    let (_home, mut host, _pinentry) = asking(home);
    read(&mut host, &file(&[decisions(&[line])]));
    assert_eq!(state(&mut host, BOB), "ready");
    let shown = host.good("keys/show", json!({"id": bob.id}));
    assert_eq!(shown["key"]["conflicts"], json!([]));
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"], json!([]));
}

#[test]
fn what_is_no_secret_half_makes_no_key_ones_own() {
    let Here { home, bob, .. } = Here::new();
    let elsewhere = Home::new();
    let mut other = elsewhere.start();
    let make = json!({"protocol": "smime", "address": BOB, "passphrase": "none"});
    let smime = other.good("keys/generate", make)["key"]["id"].clone();
    let smime = smime.as_str().unwrap().to_owned();
    let mut host = home.start();
    let cert = other.good("keys/export", json!({"ids": [smime], "format": "pem"}));
    let cert = other.bytes(&cert["data"]);
    import(&mut host, &cert, Value::Null);
    let piece = |id: &str, content: Vec<u8>| {
        let name = format!("secrets/{}", id.replace(':', "-"));
        (name, content)
    };
    drop(host);
    let (home, mut host, _pinentry) = asking(home);
    for (wrap, body) in [
        ("passphrase", b"rubbish".as_slice()),
        ("token", b"rubbish"),
        ("passphrase", &dearmor(&bob.public)),
        ("passphrase", &dearmor(&bob.secret)),
    ] {
        for id in [&bob.id, &smime] {
            let done = read(&mut host, &file(&[piece(id, secret(wrap, body))]));
            assert_eq!(done["restored"]["secretKeys"], 0, "{wrap} {id}");
            assert_eq!(done["skipped"], json!([{"id": id, "reason": "damaged"}]));
        }
    }
    // One that may be: whether it is shows when it is used, and they are told whose it becomes.
    let (_home, mut host, pinentry) = asking(home);
    let wrapped = secret("passphrase", &dearmor(&bob.wrapped));
    let done = read(&mut host, &file(&[piece(&bob.id, wrapped)]));
    assert_eq!(done["restored"]["secretKeys"], 1, "{done}");
    let said = pinentry.descriptions();
    let told = format!("claimed as your own: {} {BOB} (", fingerprint(&bob.id));
    assert!(said.contains(&told), "{said}");
    assert!(said.contains("without a secret half here"), "{said}");
}

/// A dozen keys, each beside an own one: as many as a dialog has room for each time.
#[test]
fn what_a_dialog_has_no_room_for_is_left_out_and_comes_with_the_next() {
    let Here { home, .. } = Here::new();
    let keys: Vec<Made> = (0..12).map(|_| made(ME)).collect();
    let mut pieces: Vec<_> = keys.iter().map(cert_piece).collect();
    let lines = keys.iter().map(|key| accept(1, &key.id, ME, "accepted"));
    pieces.push(decisions(&lines.collect::<Vec<_>>()));
    for key in &keys {
        let name = format!("secrets/openpgp-{}", fingerprint(&key.id));
        pieces.push((name, secret("passphrase", &dearmor(&key.wrapped))));
    }
    let backup = file(&pieces);
    let mut home = home;
    let mut taken = 0;
    for _ in 0..30 {
        let (here, mut host, pinentry) = asking(home);
        let done = read(&mut host, &backup);
        let said = pinentry.descriptions();
        let restored = &done["restored"];
        let now =
            restored["decisions"].as_u64().unwrap() + restored["secretKeys"].as_u64().unwrap();
        let skipped = done["skipped"].as_array().unwrap();
        let reasons = skipped.iter().map(|one| one["reason"].as_str().unwrap());
        assert!(
            reasons.clone().all(|reason| reason == "not-shown"),
            "{done}"
        );
        // Each that came was named in full.
        for key in &keys {
            let is_own = host.good("keys/show", json!({"id": key.id}))["key"]["secret"] != "none";
            let level = acceptance(&mut host, &key.id, ME);
            if (is_own || level == "accepted") && taken == 0 {
                assert!(said.contains(fingerprint(&key.id)), "{said}");
            }
        }
        taken += now;
        if skipped.is_empty() {
            for key in &keys {
                let shown = host.good("keys/show", json!({"id": key.id}));
                assert_ne!(shown["key"]["secret"], "none");
                assert_eq!(acceptance(&mut host, &key.id, ME), "accepted");
            }
            return;
        }
        assert!(now > 0, "it goes no further: {done}");
        assert!(said.contains("left out, for want of room here: "), "{said}");
        home = here;
    }
    panic!("only {taken} came");
}

#[test]
fn what_is_dated_tomorrow_says_nothing_against_todays_word() {
    let Here { home, bob, .. } = Here::new();
    let lines = [accept(4_102_444_800, &bob.id, BOB, "rejected")];
    let backup = file(&[decisions(&lines)]);
    let (_home, mut host, _pinentry) = asking(home);
    for _ in 0..2 {
        assert_eq!(read(&mut host, &backup)["restored"]["decisions"], 0);
        assert_eq!(acceptance(&mut host, &bob.id, BOB), "verified");
    }
    // Where nothing was said, it counts from today, and a later word ends it for good.
    let (carol, address) = (made("carol@sealpost.example"), "carol@sealpost.example");
    let lines = [accept(4_102_444_800, &carol.id, address, "accepted")];
    let backup = file(&[cert_piece(&carol), decisions(&lines)]);
    assert_eq!(read(&mut host, &backup)["restored"]["decisions"], 1);
    assert_eq!(acceptance(&mut host, &carol.id, address), "accepted");
    say(&mut host, &carol.id, address, "undecided");
    assert_eq!(read(&mut host, &backup)["restored"]["decisions"], 0);
    assert_eq!(acceptance(&mut host, &carol.id, address), "undecided");
}

/// A pair has several certificates of an authority's, and needs no yes: a certificate of another
/// pair under the name of this one makes none.
#[test]
fn a_certificate_under_another_name_makes_no_pair() {
    let elsewhere = Home::new();
    let mut other = elsewhere.start();
    let mut made = |_: usize| {
        let make = json!({"protocol": "smime", "address": BOB, "passphrase": "none"});
        let id = other.good("keys/generate", make)["key"]["id"].clone();
        let der = other.good("keys/export", json!({"ids": [id], "format": "der"}));
        let der = other.bytes(&der["data"]);
        (id.as_str().unwrap().to_owned(), der)
    };
    let [(known, known_der), (mallory, mallory_der)] = [0, 1].map(&mut made);
    let name = format!("smime/{}.der", fingerprint(&mallory));
    let lines = [
        accept(1, &known, BOB, "accepted"),
        accept(now(), &mallory, BOB, "accepted"),
    ];
    for first in [&known_der, &mallory_der] {
        let second = if first == &known_der {
            &mallory_der
        } else {
            &known_der
        };
        let home = Home::new();
        let mut host = home.start();
        import(&mut host, &known_der, Value::Null);
        say(&mut host, &known, BOB, "verified");
        drop(host);
        let backup = file(&[
            (name.clone(), first.clone()),
            (name.clone(), second.clone()),
            decisions(&lines),
        ]);
        let (_home, mut host, pinentry) = asking(home);
        read(&mut host, &backup);
        let said = pinentry.descriptions();
        let told = format!(
            "against what you have said: the key {}",
            fingerprint(&mallory)
        );
        assert!(said.contains(&told), "{said}");
    }
}

/// What is told of a key is true of all that is taken up: no other piece says more of it.
#[test]
fn a_key_in_two_pieces_is_one() {
    let Here { home, bob, .. } = Here::new();
    let mine = made("mallory@x.example");
    let (_, known) = cert_piece(&mine);
    let claims = crate::questions::also(&mine, BOB);
    let hex = fingerprint(&mine.id);
    let secret = (
        format!("secrets/openpgp-{hex}"),
        secret("passphrase", &dearmor(&mine.wrapped)),
    );
    let backup = file(&[
        (format!("openpgp/{hex}.pgp"), dearmor(&claims)),
        (format!("harvested/openpgp/{hex}.pgp"), known),
        secret,
    ]);
    let (_home, mut host, pinentry) = asking(home);
    read(&mut host, &backup);
    let said = pinentry.descriptions();
    assert!(
        said.contains(&format!("{BOB} (another key has it)")),
        "{said}"
    );
    assert!(said.contains("claimed as your own"), "{said}");
    assert_eq!(acceptance(&mut host, &bob.id, BOB), "verified");
}

/// An own key that is to count for an address which it does not name, and another does.
#[test]
fn an_own_key_claims_no_address_unsaid() {
    let Here { home, own, .. } = Here::new();
    let carol = made("carol@sealpost.example");
    let mut host = home.start();
    import(&mut host, &carol.public, Value::Null);
    drop(host);
    let lines = [accept(now(), &own, "carol@sealpost.example", "accepted")];
    let (_home, mut host, pinentry) = asking(home);
    read(&mut host, &file(&[decisions(&lines)]));
    let said = pinentry.descriptions();
    let told = format!(
        "your own key {} for carol@sealpost.example, which another key has",
        fingerprint(&own)
    );
    assert!(said.contains(&told), "{said}");
}
