//! The gpgme-json dialect beside gpgme-json, as its clients use both: a process for each
//! operation, and what counts is when its answer is there. The client gives up after five
//! seconds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Home, import};
use crate::peer::Gpg;
use crate::speak::{Speaker, command, ours, reference};
use crate::{Side, certs, cpu_ms, host};

/// What Mailvelope waits for an operation that asks nobody.
const LIMIT: Duration = Duration::from_secs(5);
/// As many certificates as the largest keyring of a client that complained.
const MANY: usize = 5_000;
/// The pieces that clients ask for.
const PIECE: u64 = 1_047_552;
/// How much quicker an operation has to be.
const QUICKER: f64 = 5.0;
const ME: &str = "alice@bench.example";

/// One of the two programs, with its homes.
struct One<'a> {
    program: &'a Path,
    gpg: &'a Gpg,
    home: &'a Home,
}

impl One<'_> {
    /// The answer of a new process, and when it was there.
    fn ask(&self, side: &mut Side, request: &Value) -> Value {
        let mut request = request.clone();
        request["chunksize"] = PIECE.into();
        let text = request.to_string().into_bytes();
        let cpu = cpu_ms(None);
        let start = Instant::now();
        let mut speaker = Speaker::start(command(self.program, self.gpg, self.home));
        let (answer, _) = speaker.pull(&text, PIECE).unwrap();
        side.wall.push(start.elapsed().as_secs_f64() * 1000.0);
        speaker.end();
        side.cpu += cpu_ms(None) - cpu;
        assert_ne!(answer["type"], "error", "{answer}");
        answer
    }
}

fn row(name: &str, rounds: usize, ours: &One<'_>, theirs: Option<&One<'_>>, request: &Value) {
    let mut best: Option<(Side, Side)> = None;
    for _ in 0..2 {
        let (mut a, mut b) = (Side::default(), Side::default());
        ours.ask(&mut Side::default(), request);
        for _ in 0..rounds {
            ours.ask(&mut a, request);
            if let Some(theirs) = theirs {
                theirs.ask(&mut b, request);
            }
        }
        let noisy = a.disturbed() || (theirs.is_some() && b.disturbed());
        if best.is_none() || !noisy {
            best = Some((a, b));
        }
        if !noisy {
            break;
        }
    }
    let (a, b) = best.unwrap();
    if theirs.is_none() {
        println!("{name:26} | {:9.2} | {:9.2} |", a.median(), a.least());
        return;
    }
    let ratio = b.median() / a.median();
    let short = if ratio < QUICKER { "  below 5 x" } else { "" };
    let mark = if a.disturbed() || b.disturbed() {
        " ~"
    } else {
        ""
    };
    println!(
        "{name:26} | {:9.2} | {:9.2} | {:9.2} | {:8.1} | {:8.1} | {ratio:6.2} x{mark}{short}",
        a.median(),
        a.least(),
        b.median(),
        a.cpu(),
        b.cpu(),
    );
}

/// One operation over many certificates, against the client's limit.
fn within(name: &str, one: &One<'_>, request: &Value, count: &dyn Fn(&Value) -> usize) {
    let mut side = Side::default();
    let answer = one.ask(&mut side, request);
    let took = Duration::from_secs_f64(side.median() / 1000.0);
    let verdict = if took <= LIMIT { "within" } else { "BEYOND" };
    println!(
        "{name:44} | {:8.2} s | {verdict} five seconds, {}",
        took.as_secs_f64(),
        count(&answer)
    );
}

pub fn run() {
    let (Some(gpg), program) = (Gpg::new(), reference()) else {
        return;
    };
    let (_folder, link) = ours();
    gpg.key(&format!("Alice <{ME}>"), "ed25519", "cv25519", &[]);
    let fingerprint = print(&gpg);
    // Only our own side would pay for a first answer otherwise: the agent is there for both.
    gpg.go(&["--check-trustdb"], b"");
    let homes = [Home::new(), Home::new()];
    let us = One {
        program: &link,
        gpg: &gpg,
        home: &homes[0],
    };
    let them = program.as_ref().map(|program: &PathBuf| One {
        program,
        gpg: &gpg,
        home: &homes[1],
    });
    let them = them.as_ref();
    println!("the gpgme-json dialect, a process for each operation, beside gpgme-json");
    println!(
        "{:26} | {:>9} | {:>9} | {:>9} | {:>8} | {:>8} | theirs / ours",
        "milliseconds", "ours p50", "ours min", "their p50", "ours CPU", "their CPU"
    );
    row("version", 30, &us, them, &json!({"op": "version"}));
    row("keylist", 30, &us, them, &json!({"op": "keylist"}));
    row(
        "keylist, secret",
        30,
        &us,
        them,
        &json!({"op": "keylist", "secret": true}),
    );
    row(
        "export",
        30,
        &us,
        them,
        &json!({"op": "export", "armor": true, "with-sec-fprs": true}),
    );
    let option = json!({"op": "config_opt", "component": "gpg", "option": "default-key"});
    row("config_opt", 15, &us, them, &option);
    let seal = json!({"op": "encrypt", "armor": true, "always-trust": true, "keys": [fingerprint],
                      "signing_keys": [fingerprint], "data": "Shall we meet at noon?\n".repeat(40)});
    row("encrypt and sign", 30, &us, them, &seal);
    let sealed = us.ask(&mut Side::default(), &seal)["data"].clone();
    let open = json!({"op": "decrypt", "data": sealed});
    row("decrypt and verify", 30, &us, them, &open);
    many(&link, program.as_deref());
}

fn print(gpg: &Gpg) -> String {
    let list = gpg.text(&["--with-colons", "--list-keys", ME], b"");
    let line = list.lines().find(|line| line.starts_with("fpr:")).unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}

/// Many certificates: those of the store, and those that only GnuPG has.
fn many(link: &Path, program: Option<&Path>) {
    println!("{MANY} certificates, each operation once");
    let made = certs();
    let made = &made[..MANY];
    let list = json!({"op": "keylist"});
    let export = json!({"op": "export", "armor": true, "with-sec-fprs": true});
    let keys = |answer: &Value| answer["keys"].as_array().map_or(0, Vec::len);
    let bytes = |answer: &Value| answer["data"].as_str().map_or(0, str::len);

    let (empty, home) = (Gpg::new().unwrap(), Home::new());
    let mut first = host(&home);
    for some in made.chunks(2_500) {
        import(&mut first, &some.concat(), Value::Null);
    }
    drop(first);
    let us = One {
        program: link,
        gpg: &empty,
        home: &home,
    };
    within("ours, of the store, listed", &us, &list, &keys);
    within("ours, of the store, listed again", &us, &list, &keys);
    within("ours, of the store, exported", &us, &export, &bytes);

    let (full, home) = (Gpg::new().unwrap(), Home::new());
    // The older of its two forms of keyring, put in place: importing takes gpg minutes.
    std::fs::write(full.home().join("pubring.gpg"), made.concat()).unwrap();
    full.go(&["--check-trustdb"], b"");
    let us = One {
        program: link,
        gpg: &full,
        home: &home,
    };
    within(
        "ours, of GnuPG, listed for the first time",
        &us,
        &list,
        &keys,
    );
    within("ours, of GnuPG, listed again", &us, &list, &keys);
    within("ours, of GnuPG, exported", &us, &export, &bytes);
    if let Some(program) = program {
        let them = One {
            program,
            gpg: &full,
            home: &home,
        };
        within("gpgme-json, listed", &them, &list, &keys);
        within("gpgme-json, exported", &them, &export, &bytes);
    }
}
