//! `./dev bench`: opening and sealing over real frames, beside gpg in the same run.
//!
//! A B A B, medians, ratios: absolute times say more about the machine than about the program.
//! A row whose median is more than twice its minimum was disturbed and is measured again once.
//! gpg is a process for each operation, as its users have it; it gets the bare armor and no
//! MIME, while the host gets the whole message and gives every part back decoded. Compression
//! is off on both sides when encrypting; gpg's default is printed beside. Nothing here passes
//! or fails.
#![allow(
    dead_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::needless_pass_by_value
)]

#[path = "frames/gpgme.rs"]
mod gpgme;
#[path = "../tests/it/harness.rs"]
mod harness;
#[path = "../tests/it/mime.rs"]
mod mime;
#[path = "../tests/it/peer.rs"]
mod peer;
#[path = "../tests/it/gpgme_reference/speak.rs"]
mod speak;

use std::time::{Duration, Instant};

use harness::{Home, Host, Noise, generate};
use peer::{Gpg, find};
use serde_json::json;

const ALICE: &str = "alice@bench.example";
const BOB: &str = "bob@bench.example";

/// Wall and CPU time of one side of a row.
#[derive(Default, Clone)]
struct Side {
    wall: Vec<f64>,
    cpu: f64,
}

impl Side {
    fn median(&self) -> f64 {
        let mut sorted = self.wall.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn least(&self) -> f64 {
        self.wall.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn cpu(&self) -> f64 {
        self.cpu / self.wall.len() as f64
    }

    fn disturbed(&self) -> bool {
        self.median() > 2.0 * self.least()
    }
}

/// CPU milliseconds of a process, or of the ended children of this one.
fn cpu_ms(pid: Option<u32>) -> f64 {
    let path = pid.map_or("/proc/self/stat".into(), |pid| format!("/proc/{pid}/stat"));
    let stat = std::fs::read_to_string(path).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    // utime, stime; cutime, cstime. A tick is 10 ms on Linux.
    let at = if pid.is_some() { 11 } else { 13 };
    (fields[at].parse::<f64>().unwrap() + fields[at + 1].parse::<f64>().unwrap()) * 10.0
}

fn timed(side: &mut Side, pid: Option<u32>, work: &mut dyn FnMut()) {
    let cpu = cpu_ms(pid);
    let start = Instant::now();
    work();
    side.wall.push(start.elapsed().as_secs_f64() * 1000.0);
    side.cpu += cpu_ms(pid) - cpu;
}

fn row(
    name: &str,
    rounds: usize,
    pid: u32,
    ours: &mut dyn FnMut(),
    theirs: Option<&mut dyn FnMut()>,
) {
    let mut nothing = || {};
    let beside = theirs.is_some();
    let theirs = theirs.unwrap_or(&mut nothing);
    let mut best: Option<(Side, Side)> = None;
    for _ in 0..2 {
        let (mut a, mut b) = (Side::default(), Side::default());
        ours();
        theirs();
        for _ in 0..rounds {
            timed(&mut a, Some(pid), ours);
            timed(&mut b, None, theirs);
        }
        let noisy = a.disturbed() || (beside && b.disturbed());
        if best.is_none() || !noisy {
            best = Some((a, b));
        }
        if !noisy {
            break;
        }
    }
    let (a, b) = best.unwrap();
    let mark = if a.disturbed() || (beside && b.disturbed()) {
        " ~"
    } else {
        ""
    };
    if beside {
        println!(
            "{name:26} | {:9.2} | {:9.2} | {:9.2} | {:8.1} | {:8.1} | {:6.2} x{mark}",
            a.median(),
            a.least(),
            b.median(),
            a.cpu(),
            b.cpu(),
            b.median() / a.median()
        );
    } else {
        println!(
            "{name:26} | {:9.2} | {:9.2} | {:>9} | {:8.1} | {:>8} |{mark}",
            a.median(),
            a.least(),
            "-",
            a.cpu(),
            "-"
        );
    }
}

struct Bench {
    gpg: Option<Gpg>,
    home: Home,
}

fn host(home: &Home) -> Host {
    let mut host = home.start();
    host.patience = Duration::from_secs(300);
    host.hello();
    host
}

fn open(host: &mut Host, message: &[u8]) {
    let opened = host.open(message).unwrap();
    assert_eq!(opened["summary"]["signed"], "good");
    let mut blobs = Vec::new();
    for part in opened["parts"].as_array().unwrap() {
        host.bytes(&part["body"]);
        blobs.extend(part["body"]["blob"].as_str().map(str::to_owned));
    }
    for blob in blobs {
        host.good("blob/drop", json!({"blob": blob}));
    }
}

fn seal(host: &mut Host, bytes: &[u8]) -> Vec<u8> {
    let mut put = None;
    let body = if bytes.len() > 512 * 1024 {
        let blob = host.put(bytes);
        put = Some(blob.clone());
        json!({"blob": blob, "size": bytes.len()})
    } else {
        json!({"base64": harness::encode(bytes)})
    };
    let sealed = host.good(
        "message/seal",
        json!({"draft": {"from": ALICE, "to": [BOB], "subject": "bench", "text": {"text": "see file\n"},
                "attachments": [{"name": "file.bin", "type": "application/octet-stream", "body": body}]},
               "protect": {"sign": true, "encrypt": true, "protocol": "openpgp"}}),
    );
    let message = host.bytes(&sealed["messages"][0]["message"].clone());
    let blobs = [&sealed["messages"][0]["message"], &sealed["sent"]];
    for blob in blobs.into_iter().filter_map(|b| b["blob"].as_str()) {
        host.good("blob/drop", json!({"blob": blob}));
    }
    if let Some(blob) = put {
        host.good("blob/drop", json!({"blob": blob}));
    }
    message
}

fn main() {
    // `cargo test` runs benches too, once and briefly: there is nothing to test here.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    // `./dev bench -- reading` runs that section alone; so do `-- keyring` and `-- gpgme`.
    let named = |section: &str| std::env::args().any(|arg| arg == section);
    if named("reading") {
        return reading(&certs());
    }
    if named("keyring") {
        return keyring(&certs());
    }
    if named("gpgme") {
        return gpgme::run();
    }
    let bench = Bench {
        gpg: Gpg::new(),
        home: Home::new(),
    };
    let mut first = host(&bench.home);
    let alice = generate(&mut first, "Alice", ALICE, "compatible");
    let bob = generate(&mut first, "Bob", BOB, "compatible");
    if let Some(gpg) = &bench.gpg {
        // gpg's own keys: the same kind, without a passphrase, so that both only compute.
        gpg.key(ALICE, "ed25519", "cv25519", &[]);
        gpg.key(BOB, "ed25519", "cv25519", &[]);
        let version = gpg.text(&["--version"], b"");
        println!("beside {}", version.lines().next().unwrap_or("gpg"));
    }
    drop((alice, bob));
    println!(
        "{:26} | {:>9} | {:>9} | {:>9} | {:>8} | {:>8} | gpg / ours",
        "milliseconds", "ours p50", "ours min", "gpg p50", "ours CPU", "gpg CPU"
    );

    let home = &bench.home;
    let pid = std::process::id();
    row(
        "start to first reply",
        30,
        pid,
        &mut || {
            home.start().good("keys/list", json!({}));
        },
        None,
    );
    let mut idle = host(home);
    let idle_pid = idle.pid();
    row(
        "keys/list, warm",
        200,
        idle_pid,
        &mut || {
            idle.good("keys/list", json!({}));
        },
        None,
    );
    println!("idle: peak {:.1} MiB", idle.peak_kib() as f64 / 1024.0);
    drop(idle);

    for (name, size, rounds) in [
        ("1 KiB", 1 << 10, 100),
        ("1 MiB", 1 << 20, 15),
        ("25 MiB", 25 << 20, 5),
    ] {
        let bytes = Noise::new(5).bytes(size);
        let mut sealer = host(home);
        let sealer_pid = sealer.pid();
        let message = seal(&mut sealer, &bytes);
        let files = bench.gpg.as_ref().map(|gpg| {
            // What gpg opens is as long as what we open: base64 inside armor.
            let plain = gpg.home().join("plain");
            let entity = mime::text(&harness::encode(&bytes));
            std::fs::write(&plain, entity).unwrap();
            let sealed = gpg.home().join("sealed.asc");
            gpg.go(
                &[
                    "--armor",
                    "-z",
                    "0",
                    "-u",
                    ALICE,
                    "-r",
                    BOB,
                    "-o",
                    sealed.to_str().unwrap(),
                    "-se",
                    plain.to_str().unwrap(),
                ],
                b"",
            );
            (plain, sealed, gpg.home().join("out"))
        });
        let run = |args: &[&str]| {
            let gpg = bench.gpg.as_ref().unwrap();
            assert!(gpg.command().args(args).output().unwrap().status.success());
        };

        let mut theirs = files.as_ref().map(|(plain, _, out)| {
            let args = [
                "--armor",
                "-z",
                "0",
                "-u",
                ALICE,
                "-r",
                BOB,
                "-o",
                out.to_str().unwrap(),
                "-se",
                plain.to_str().unwrap(),
            ]
            .map(str::to_owned);
            move || run(&args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        row(
            &format!("seal {name}"),
            rounds,
            sealer_pid,
            &mut || drop(seal(&mut sealer, &bytes)),
            theirs.as_mut().map(|f| f as &mut dyn FnMut()),
        );
        peak("seal", &sealer, size, message.len());
        drop(sealer);

        let mut opener = host(home);
        let opener_pid = opener.pid();
        let mut theirs = files.as_ref().map(|(_, sealed, out)| {
            let args = [
                "-o",
                out.to_str().unwrap(),
                "--decrypt",
                sealed.to_str().unwrap(),
            ]
            .map(str::to_owned);
            move || run(&args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        row(
            &format!("open {name}"),
            rounds,
            opener_pid,
            &mut || open(&mut opener, &message),
            theirs.as_mut().map(|f| f as &mut dyn FnMut()),
        );
        peak("open", &opener, size, message.len());
        if let Some((plain, _, out)) = &files {
            let start = Instant::now();
            run(&[
                "--armor",
                "-u",
                ALICE,
                "-r",
                BOB,
                "-o",
                out.to_str().unwrap(),
                "-se",
                plain.to_str().unwrap(),
            ]);
            println!(
                "  gpg's default, compressing: {:.1} ms",
                start.elapsed().as_secs_f64() * 1000.0
            );
        }
    }
    smime();
    let certs = certs();
    reading(&certs);
    keyring(&certs);
    gpgme::run();
}

/// So many certificates have a large organisation, or somebody who has used OpenPGP for decades.
const CERTS: usize = 10_000;

fn address(n: usize) -> String {
    format!("person{n}@many.example")
}

/// Ten thousand certificates and one more.
fn certs() -> Vec<Vec<u8>> {
    use sequoia_openpgp::cert::CertBuilder;
    use sequoia_openpgp::serialize::SerializeInto as _;

    let made = |n| {
        let user_id = format!("Person {n} <{}>", address(n));
        let cert = CertBuilder::general_purpose(Some(user_id)).generate();
        cert.unwrap().0.export_to_vec().unwrap()
    };
    (0..=CERTS).map(made).collect()
}

/// Two hosts by turns: what the first does beside the second, in CPU time, which other
/// programs disturb less.
fn against(name: &str, rounds: usize, one: Turn<'_>, other: Turn<'_>) {
    let (mut a, mut b) = (Side::default(), Side::default());
    let ((one, work), (other, beside)) = (one, other);
    work(one);
    beside(other);
    for _ in 0..rounds {
        timed(&mut a, Some(one.pid()), &mut || work(one));
        timed(&mut b, Some(other.pid()), &mut || beside(other));
    }
    println!(
        "{name:26} | {:9.2} | {:9.2} | {:9.2} | {:8.2} | {:8.2} | {:6.2} x",
        a.median(),
        a.least(),
        b.median(),
        a.cpu(),
        b.cpu(),
        b.cpu() / a.cpu()
    );
}

/// A host and its work.
type Turn<'a> = (&'a mut Host, &'a dyn Fn(&mut Host));

/// What the reader is shown, beside the same message without it: the columns under gpg are
/// those, and the ratio (of CPU time) below one is what it costs.
fn reading(certs: &[Vec<u8>]) {
    println!("reading, beside the same without: its columns stand under gpg, ratios are of CPU");
    let home = Home::new();
    let mut alice = host(&home);
    generate(&mut alice, "Alice", ALICE, "compatible");
    generate(&mut alice, "Bob", BOB, "compatible");
    let words = "Shall we meet at noon, or later, at the fountain or somewhere else? ";
    let text = format!("{words}\n").repeat(40);
    let paragraph =
        format!("<p style=\"color:red\">{words}<a href=\"https://example.org/x\">there</a></p>\n");
    let mut sealed = |html: Option<&str>| {
        let mut draft =
            json!({"from": ALICE, "to": [BOB], "subject": "bench", "text": {"text": text}});
        if let Some(html) = html {
            draft["html"] = json!({"text": html});
        }
        let protect = json!({"sign": true, "encrypt": true, "protocol": "openpgp"});
        harness::seal_one(&mut alice, draft, protect)
    };
    let html = paragraph.repeat(40);
    let (rich, plain) = (sealed(Some(&html)), sealed(None));
    let (mut one, mut other) = (host(&home), host(&home));
    against(
        "read: HTML, hp=cipher",
        200,
        (&mut one, &|host| open(host, &rich)),
        (&mut other, &|host| open(host, &plain)),
    );
    let stranger = format!(
        "From: Eve <eve@elsewhere.example>\r\nTo: {BOB}\r\nSubject: s\r\nMIME-Version: 1.0\r\n\r\n{words}\r\n"
    );
    let look = |host: &mut Host| drop(host.open(stranger.as_bytes()).unwrap());
    let crowd = Home::new();
    let mut one = host(&crowd);
    // As many as one dialog can show.
    for some in certs.chunks(KNOWN_AT_ONCE) {
        let body = one.body(&some.concat());
        one.good("keys/import", json!({"data": body, "accept": true}));
    }
    let nobody = Home::new();
    let mut other = host(&nobody);
    against(
        "read: among many known",
        200,
        (&mut one, &look),
        (&mut other, &look),
    );
}

/// Certificates that are accepted by one confirmation.
const KNOWN_AT_ONCE: usize = 8;

/// Ten thousand certificates: what finding, listing and importing cost, beside gpg over its
/// keyring and sq over a file of them.
fn keyring(made: &[Vec<u8>]) {
    println!("{CERTS} certificates");
    let (one, many) = made.split_last().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.pgp");
    std::fs::write(&file, many.concat()).unwrap();
    let file = file.to_str().unwrap();
    let last = folder.path().join("one.pgp");
    std::fs::write(&last, one).unwrap();
    let last = last.to_str().unwrap();

    let home = Home::new();
    let mut warm = host(&home);
    let start = Instant::now();
    for some in many.chunks(2_500) {
        let body = warm.body(&some.concat());
        warm.good("keys/import", json!({"data": body}));
    }
    println!("  imported here: {:.1} s", start.elapsed().as_secs_f64());
    let gpg = Gpg::new();
    if let Some(gpg) = &gpg {
        // The older of its two forms of keyring, put in place: importing takes gpg minutes.
        std::fs::copy(file, gpg.home().join("pubring.gpg")).unwrap();
    }
    let sq = find("sq");
    let by_sq = |arguments: &[&str]| {
        let program = sq.as_ref().unwrap();
        let ran = peer::run(std::process::Command::new(program).args(arguments), b"");
        assert!(ran.ok, "sq {arguments:?}: {}", ran.stderr);
    };
    let wanted = address(CERTS / 2);
    let pid = warm.pid();
    let mut cold = || {
        host(&home).good("keys/list", json!({"query": wanted}));
    };
    row(
        "many: cold, find one",
        10,
        std::process::id(),
        &mut cold,
        None,
    );
    let idle = warm.peak_kib();
    let mut find_one = || {
        let found = warm.good("keys/list", json!({"query": wanted}));
        assert_eq!(found["keys"].as_array().unwrap().len(), 1);
    };
    let mut theirs = || {
        gpg.as_ref().unwrap().go(&["--list-keys", &wanted], b"");
    };
    let beside = |theirs: &mut dyn FnMut(), ours: &mut dyn FnMut(), name: &str| {
        let there = gpg.is_some();
        // gpg takes twenty seconds for all of them.
        row(name, 3, pid, ours, there.then_some(theirs));
    };
    beside(&mut theirs, &mut find_one, "many: find one");
    if sq.is_some() {
        let mut theirs = || by_sq(&["keyring", "filter", "--email", &wanted, file]);
        row(
            "many: find one, beside sq",
            3,
            pid,
            &mut find_one,
            Some(&mut theirs),
        );
    }
    let mut plan = || {
        warm.good(
            "message/plan",
            json!({"to": [wanted], "protect": {"sign": false, "encrypt": true}}),
        );
    };
    row("many: plan for one", 10, pid, &mut plan, None);
    let mut page = || {
        assert_eq!(
            warm.good("keys/list", json!({}))["keys"]
                .as_array()
                .unwrap()
                .len(),
            100
        );
    };
    let mut theirs = || {
        gpg.as_ref()
            .unwrap()
            .go(&["--with-colons", "--list-keys"], b"");
    };
    // gpg has no pages.
    beside(&mut theirs, &mut page, "many: a page, gpg's all");
    if sq.is_some() {
        let mut theirs = || by_sq(&["keyring", "list", file]);
        row(
            "many: a page, sq's all",
            3,
            pid,
            &mut page,
            Some(&mut theirs),
        );
    }
    let mut import = || {
        let body = warm.body(one);
        warm.good("keys/import", json!({"data": body}));
    };
    let mut theirs = || {
        gpg.as_ref().unwrap().go(&["--import", last], b"");
    };
    beside(&mut theirs, &mut import, "many: import one");
    if sq.is_some() {
        // It writes the whole file anew, as it has no other way.
        let grown = folder.path().join("grown.pgp");
        let grown = grown.to_str().unwrap();
        let mut theirs = || by_sq(&["--force", "keyring", "merge", "-o", grown, file, last]);
        row(
            "many: import one, beside sq",
            3,
            pid,
            &mut import,
            Some(&mut theirs),
        );
    }
    println!("  peak of a host after importing all: {} MiB", idle / 1024);
    let mut fresh = host(&home);
    fresh.good("keys/list", json!({"query": wanted}));
    println!(
        "  peak of one that finds one: {} MiB",
        fresh.peak_kib() / 1024
    );
}

/// S/MIME beside `openssl cms`: one object, opaque or encrypted, whose content is as long as
/// the name says.
fn smime() {
    let Some(openssl) = find("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let openssl = |args: &[&str]| {
        let mut command = std::process::Command::new(&openssl);
        let ran = command
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{args:?}");
    };
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:3072",
        "-nodes",
        "-keyout",
        "key",
        "-out",
        "cert",
        "-days",
        "9",
        "-subj",
        "/CN=Bench",
        "-addext",
        "subjectAltName=email:alice@sealpost.example",
        "-addext",
        "keyUsage=digitalSignature,keyEncipherment",
    ]);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let home = Home::new();
    println!("beside openssl cms: its columns stand under gpg");
    for (name, size, rounds) in [
        ("1 KiB", 1 << 10, 50),
        ("25 MiB", 25 << 20, 5),
        ("100 MiB", 100 << 20, 3),
    ] {
        let lines = harness::encode(&Noise::new(6).bytes(size / 78 * 57 + 57))
            .as_bytes()
            .chunks(76)
            .flat_map(|line| [line, b"\r\n"].concat())
            .collect::<Vec<u8>>();
        let head =
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        std::fs::write(folder.path().join("entity"), [head, &lines[..]].concat()).unwrap();
        for (what, make, check) in [
            (
                "verify",
                &[
                    "cms",
                    "-sign",
                    "-nodetach",
                    "-signer",
                    "cert",
                    "-inkey",
                    "key",
                ][..],
                &["cms", "-verify", "-noverify"][..],
            ),
            (
                "decrypt",
                &["cms", "-encrypt", "-aes-256-cbc", "-recip", "cert"],
                &["cms", "-decrypt", "-recip", "cert", "-inkey", "key"],
            ),
        ] {
            let form = [
                "-binary", "-outform", "DER", "-in", "entity", "-out", "object",
            ];
            openssl(&[make, &form].concat());
            let object = read("object");
            let mut opener = host(&home);
            let own = [read("key"), read("cert")].concat();
            harness::import(&mut opener, &own, json!(true));
            let pid = opener.pid();
            let form = [
                "-binary", "-inform", "DER", "-in", "object", "-out", "content",
            ];
            let args = [check, &form].concat();
            row(
                &format!("{what} {name}"),
                rounds,
                pid,
                &mut || look(&mut opener, &object),
                Some(&mut || openssl(&args)),
            );
            peak(what, &opener, size, object.len());
        }
    }
}

/// Opens one CMS object as a page has it, and lets go of everything.
fn look(host: &mut Host, object: &[u8]) {
    let data = host.body(object);
    let opened = host.good("message/open", json!({"payload": {"data": data}}));
    let parts = opened["parts"].as_array().unwrap();
    let given = [&data]
        .into_iter()
        .chain(parts.iter().map(|part| &part["body"]));
    for blob in given.filter_map(|body| body["blob"].as_str()) {
        host.good("blob/drop", json!({"blob": blob}));
    }
}

/// Peak memory, and how many times the file, and the message around it, that is over a base of
/// 20 MiB.
fn peak(what: &str, host: &Host, file: usize, message: usize) {
    let mib = host.peak_kib() as f64 / 1024.0;
    print!("  {what}: peak {mib:.1} MiB");
    if file < 1 << 20 {
        println!();
        return;
    }
    let over = (mib - 20.0).max(0.0) * 1_048_576.0;
    println!(
        ", over 20 MiB {:.1} x the file, {:.1} x the message of {:.1} MiB",
        over / file as f64,
        over / message as f64,
        message as f64 / 1_048_576.0
    );
}
