//! The gpgme-json dialect beside gpgme-json itself: the same requests, answers compared by name.
//!
//! The requests are in `tests/vectors/gpgme/`, one conversation a case; so are the fields whose
//! values can't be equal (`forms.toml`) and the answers that are not copied, each with its
//! reason (`differences.toml`). Both programs have one GnuPG home, or a copy each where a case
//! changes something. `scripts/reference-gpgme-json` gets the reference.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Home, long};

mod compare;
mod folder;
pub mod keyring;
pub mod speak;
mod vectors;
mod x509;

use compare::{Place, Rules};
use keyring::Keyring;
use speak::{Speaker, command, ours, reference, value};
use vectors::{Case, fill};

/// Sizes of pieces that the reference can do, up to one beyond its most.
const SIZES: [u64; 9] = [
    45,
    60,
    100,
    1000,
    4095,
    65_536,
    1_047_552,
    10 << 20,
    1 << 30,
];
/// Sizes that it takes and then does not keep: it counts below zero, or gives pieces of no
/// length without an end.
const SMALL_SIZES: [u64; 7] = [0, 1, 29, 30, 41, 42, 44];

struct Comparison<'a> {
    ring: &'a Keyring,
    programs: [&'a PathBuf; 2],
    homes: [Home; 2],
    rules: Rules,
    met: Vec<bool>,
}

impl Comparison<'_> {
    /// What is unlike in one conversation.
    fn run(&mut self, case: &Case) -> Vec<String> {
        self.ring.pinentry.answers(&if case.person.is_empty() {
            vec!["%cancel"]
        } else {
            case.person.iter().map(String::as_str).collect()
        });
        let copies = case.fresh.then(|| [self.ring.copy(), self.ring.copy()]);
        let homes = case
            .fresh
            .then(|| [(); 2].map(|()| Home::new().pinentry(&self.ring.pinentry)));
        let mut speakers = [0, 1].map(|side| {
            let gpg = copies
                .as_ref()
                .map_or(&self.ring.gpg, |copies| &copies[side]);
            let home = &homes.as_ref().unwrap_or(&self.homes)[side];
            Speaker::start(command(self.programs[side], gpg, home))
        });
        let mut answers = [Vec::new(), Vec::new()];
        let mut unlike = Vec::new();
        for (step, template) in case.ask.iter().enumerate() {
            let mut op = String::new();
            for side in [0, 1] {
                let request = match fill(template, self.ring, &answers[side]) {
                    Ok(request) => request,
                    Err(why) => {
                        answers[side].push(json!({"NOT ASKED": why}));
                        continue;
                    }
                };
                let read: Value = serde_json::from_slice(&request).unwrap_or_default();
                read["op"].as_str().unwrap_or_default().clone_into(&mut op);
                let chunk = read["chunksize"].as_u64().filter(|_| !case.pieces);
                let answer = match chunk {
                    Some(chunk) => speakers[side]
                        .pull(&request, chunk)
                        .map(|(answer, _)| answer),
                    None => speakers[side].ask(&request).map(|bytes| value(&bytes)),
                };
                answers[side].push(answer.unwrap_or(Value::Null));
            }
            let place = Place {
                case: &case.name,
                answer: step,
                op: &op,
            };
            let found = self
                .rules
                .compare(place, &answers[0][step], &answers[1][step]);
            found.met.iter().for_each(|at| self.met[*at] = true);
            unlike.extend(found.unlike.iter().map(|what| format!("{step} {what}")));
            if std::env::var_os("SEALPOST_SHOW").is_some() {
                println!(
                    "{} {step}: {}",
                    case.name,
                    crate::harness::shorten(&answers[0][step])
                );
            }
            if answers.iter().any(|a| a[step].is_null()) {
                break;
            }
        }
        let ends = speakers.map(Speaker::end);
        let found = self.rules.ends(&case.name, ends);
        found.met.iter().for_each(|at| self.met[*at] = true);
        unlike.extend(found.unlike);
        unlike
    }
}

/// Runs all cases, prints what is unlike, and fails where anything is.
fn compared(programs: [&PathBuf; 2], ring: &Keyring, alone: bool) {
    let rules = Rules {
        forms: vectors::forms(),
        differences: vectors::differences(),
        alone,
    };
    let met = vec![false; rules.differences.len()];
    let homes = [(); 2].map(|()| Home::new().pinentry(&ring.pinentry));
    x509::take_up(ring, &homes[1]);
    let mut comparison = Comparison {
        ring,
        programs,
        homes,
        rules,
        met,
    };
    let all = vectors::cases();
    let whole = std::env::var_os("SEALPOST_VECTOR").is_none();
    let (mut shown, mut asked, mut wrong) = (0, 0, Vec::new());
    for case in all.iter().filter(|case| long() || !case.long) {
        shown += 1;
        asked += case.ask.len();
        let unlike = comparison.run(case);
        if !unlike.is_empty() {
            println!("  UNLIKE {} ({})", case.name, case.why);
            unlike
                .iter()
                .take(12)
                .for_each(|what| println!("      {what}"));
            wrong.push(case.name.clone());
        }
    }
    println!(
        "gpgme-json: {shown} conversations, {asked} requests, {} unlike",
        wrong.len()
    );
    let unused: Vec<&str> = comparison
        .rules
        .differences
        .iter()
        .zip(&comparison.met)
        // Those of what each made are another test's.
        .filter(|(one, met)| !**met && one.case != MADE_BY_ONE)
        .map(|(one, _)| one.case.as_str())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    if whole && long() {
        assert!(
            unused.is_empty(),
            "differences that no case meets: {unused:#?}"
        );
    }
}

#[test]
fn the_reference_is_like_itself() {
    let (Some(reference), Some(ring)) = (reference(), Keyring::new()) else {
        return;
    };
    compared([&reference, &reference], &ring, true);
}

#[test]
fn the_dialect_is_like_the_reference() {
    let (Some(reference), Some(ring)) = (reference(), Keyring::new()) else {
        return;
    };
    let (_folder, ours) = ours();
    compared([&reference, &ours], &ring, false);
}

/// Answers of a few bytes, of some lines, of some kilobytes, and an error.
const ANSWERS: [&str; 5] = [
    r#"{"op":"nonsense"}"#,
    r#"{"op":"decrypt","data":"x"}"#,
    r#"{"op":"keylist","keys":"{{fpr.alice}}"}"#,
    r#"{"op":"keylist"}"#,
    r#"{"op":"verify","data":"{{msg.by_alice_clear}}"}"#,
];

/// Each answer in pieces of each size, joined, against the reference's whole one; and every
/// piece but the last is as long as the reference's.
#[test]
fn pieces_of_every_size() {
    let (Some(reference), Some(ring)) = (reference(), Keyring::new()) else {
        return;
    };
    let (_folder, ours) = ours();
    let homes = [(); 2].map(|()| Home::new());
    let rules = Rules {
        forms: vectors::forms(),
        differences: vectors::differences(),
        alone: false,
    };
    let mut theirs = Speaker::start(command(&reference, &ring.gpg, &homes[0]));
    let mut ours = Speaker::start(command(&ours, &ring.gpg, &homes[1]));
    let mut shown = 0;
    for template in ANSWERS {
        let request = fill(template, &ring, &[]).unwrap();
        let whole = value(&theirs.ask(&request).unwrap());
        for size in SMALL_SIZES.into_iter().chain(SIZES) {
            let mut request: Value = serde_json::from_slice(&request).unwrap();
            request["chunksize"] = size.into();
            let op = request["op"].as_str().unwrap().to_owned();
            let request = request.to_string().into_bytes();
            let (joined, lengths) = ours.pull(&request, size).unwrap();
            let place = Place {
                case: "pieces",
                answer: 0,
                op: &op,
            };
            let found = rules.compare(place, &whole, &joined);
            assert!(
                found.unlike.is_empty(),
                "{op} in pieces of {size}: {:?}",
                found.unlike
            );
            assert!(!lengths.is_empty(), "{op}: with a size it comes in pieces");
            let last = lengths.len() - 1;
            assert!(
                lengths[..last]
                    .iter()
                    .all(|n| n % 4 == 0 && *n == lengths[0] && *n > 0),
                "{op} {size}: {lengths:?}"
            );
            if SIZES.contains(&size) {
                let (_, expected) = theirs.pull(&request, size).unwrap();
                if expected.len() > 1 && lengths.len() > 1 {
                    assert_eq!(lengths[0], expected[0], "{op} in pieces of {size}");
                }
            } else {
                assert!(
                    lengths[0] <= 30,
                    "{op}: pieces of {size} are of the least size: {lengths:?}"
                );
            }
            shown += 1;
        }
    }
    println!("answers in pieces: {shown}, all like the whole");
}

/// What the list of differences calls those requests.
const MADE_BY_ONE: &str = "made";

/// What one program makes and what both are to make of it then; `{{0.data}}` is what was made.
const MADE: [(&str, &str); 14] = [
    (
        r#"{"op":"encrypt","armor":true,"keys":"{{fpr.alice}}","data":"a\nb\n"}"#,
        r#"{"op":"decrypt","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"encrypt","keys":"{{fpr.rsa}}","data":"a\nb\n"}"#,
        r#"{"op":"decrypt","base64":true,"data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"encrypt","armor":true,"keys":"{{fpr.p256}}","data":"Größe"}"#,
        r#"{"op":"decrypt","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"encrypt","armor":true,"keys":"{{fpr.alice}}","throw-keyids":true,"data":"a"}"#,
        r#"{"op":"decrypt","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"encrypt","armor":true,"keys":"{{fpr.alice}}","no-compress":true,"data":""}"#,
        r#"{"op":"decrypt","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"encrypt","armor":true,"keys":"{{fpr.alice}}","signing_keys":"{{fpr.rsa}}","data":"a"}"#,
        r#"{"op":"decrypt","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"sign","armor":true,"keys":"{{fpr.alice}}","data":"a\nb\n"}"#,
        r#"{"op":"verify","data":"a\nb\n","signature":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"sign","armor":true,"keys":"{{fpr.rsa}}","data":"a\nb\n"}"#,
        r#"{"op":"verify","data":"a\nc\n","signature":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"sign","armor":true,"mode":"opaque","keys":"{{fpr.p256}}","data":"a\n"}"#,
        r#"{"op":"verify","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"sign","armor":true,"mode":"clearsign","keys":"{{fpr.signs}}","data":"- a  \nFrom b\n"}"#,
        r#"{"op":"verify","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"sign","armor":true,"mode":"clearsign","keys":["{{fpr.alice}}","{{fpr.rsa}}"],"data":"Größe\n"}"#,
        r#"{"op":"verify","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"encrypt","armor":true,"keys":"{{fpr.alice}}","base64":true,"data":"AAEC/w=="}"#,
        r#"{"op":"decrypt","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"encrypt","armor":true,"keys":["{{fpr.rsa}}","{{fpr.alice}}"],"data":"{{text.300000}}"}"#,
        r#"{"op":"decrypt","data":"{{0.data}}"}"#,
    ),
    (
        r#"{"op":"export","armor":true,"keys":"{{fpr.alice}}"}"#,
        r#"{"op":"import","data":"{{0.data}}"}"#,
    ),
];

/// What either makes, both read, and say the same of it.
#[test]
fn each_reads_what_the_other_made() {
    let (Some(reference), Some(ring)) = (reference(), Keyring::new()) else {
        return;
    };
    let (_folder, ours) = ours();
    let homes = [(); 2].map(|()| Home::new());
    let rules = Rules {
        forms: Vec::new(),
        differences: vectors::differences(),
        alone: false,
    };
    let mut speakers = [
        Speaker::start(command(&reference, &ring.gpg, &homes[0])),
        Speaker::start(command(&ours, &ring.gpg, &homes[1])),
    ];
    let mut wrong = Vec::new();
    for (make, read) in MADE {
        let request = fill(make, &ring, &[]).unwrap();
        for maker in [0, 1] {
            let made = value(&speakers[maker].ask(&request).unwrap());
            if made["type"] == "error" {
                wrong.push(format!("{make}: side {maker} makes {made}"));
                continue;
            }
            let request = fill(read, &ring, &[made]).unwrap();
            let answers = [0, 1].map(|side| value(&speakers[side].ask(&request).unwrap()));
            let op: Value = serde_json::from_slice(&request).unwrap();
            let place = Place {
                case: MADE_BY_ONE,
                answer: 0,
                op: op["op"].as_str().unwrap(),
            };
            let found = rules.compare(place, &answers[0], &answers[1]);
            let who = ["the reference's", "ours"][maker];
            wrong.extend(
                found
                    .unlike
                    .iter()
                    .map(|what| format!("{who}, {make}: {what}")),
            );
        }
    }
    println!(
        "made by one and read by both: {}, {} unlike",
        MADE.len() * 2,
        wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}
