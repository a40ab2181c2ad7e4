//! A GnuPG that does harm or is broken: whatever listens on its agent's socket, whatever is
//! called `gpg` and `gpgconf`. It may neither fill the memory nor hold up anybody, it gets no
//! secret that it has no use for, and what it makes up goes nowhere.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Fault, Home, Host, Pinentry, encode, export, generate, seal_one, until};
use crate::peer::{Gpg, find, run};

const ME: &str = "me@false.example";
const PASSPHRASE: &str = "through the brook";

/// More than any of this may take where nothing is waited for on purpose.
const SOON: Duration = Duration::from_secs(12);

/// What taking a request back may take.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What nobody may read of an agent: far beyond what lies in a socket on its way.
const FLOOD: usize = 64 << 20;

/// What the agent does after a line that it heard; after none when it is called.
enum Says {
    Bytes(Vec<u8>),
    /// This, again and again.
    Endless(&'static [u8]),
    /// This, and then a byte now and then.
    Drip(&'static [u8]),
    Nothing,
}

fn say(text: &str) -> Says {
    Says::Bytes(text.as_bytes().to_vec())
}

/// What an agent says that means no harm and has no key to do anything with.
fn plain(line: &str) -> Says {
    match line.split(' ').next().unwrap() {
        "" => say("OK Pleased to meet you\n"),
        "KEYINFO" => {
            let grip = line.split(' ').nth(1).unwrap();
            say(&format!("S KEYINFO {grip} D - - - P - - -\nOK\n"))
        }
        "D" => Says::Nothing,
        "CAN" => say("ERR 67109139 canceled <GPG Agent>\n"),
        _ => say("OK\n"),
    }
}

#[derive(Default)]
struct Seen {
    heard: Mutex<Vec<String>>,
    /// Bytes that somebody took, in what was to be endless.
    taken: AtomicUsize,
    open: AtomicUsize,
}

type Script = Box<dyn Fn(&str) -> Says + Send + Sync>;

/// One certificate, and a message to it.
struct Real {
    message: Vec<u8>,
    certs: Vec<u8>,
    listed: String,
    fingerprint: String,
}

/// `None`, and a loud line, where there is no gpg to say what a certificate's keys are called.
fn real() -> Option<&'static Real> {
    static REAL: OnceLock<Option<Real>> = OnceLock::new();
    let made = || {
        let gpg = Gpg::new()?;
        let theirs = Home::new();
        let mut host = theirs.start();
        let id = generate(&mut host, "Me", ME, "compatible");
        let armored = export(&mut host, &[&id]);
        let message = seal_one(
            &mut host,
            json!({"from": ME, "to": [ME], "subject": "mine", "text": {"text": "inside\n"}}),
            json!({"sign": false, "encrypt": true, "protocol": "openpgp"}),
        );
        let shown = gpg.text(
            &["--show-keys", "--with-colons", "--with-keygrip"],
            armored.as_bytes(),
        );
        Some(Real {
            message,
            certs: gpg.go(&["--dearmor"], armored.as_bytes()),
            listed: owned(&shown),
            fingerprint: id.split(':').nth(1).unwrap().to_owned(),
        })
    };
    REAL.get_or_init(made).as_ref()
}

/// A made-up GnuPG: an agent of this process's, and shell scripts with one real certificate.
struct False {
    dir: TempDir,
    seen: Arc<Seen>,
    real: &'static Real,
}

impl False {
    /// One whose agent does what `script` says.
    fn new(script: impl Fn(&str) -> Says + Send + Sync + 'static) -> Option<False> {
        let it = False {
            dir: tempfile::Builder::new().prefix("f").tempdir().unwrap(),
            seen: Arc::default(),
            real: real()?,
        };
        std::fs::create_dir(it.bin()).unwrap();
        std::fs::write(it.path("certs"), &it.real.certs).unwrap();
        std::fs::write(it.path("listed"), &it.real.listed).unwrap();
        it.gpg("");
        it.agent_at(&it.path("S"));
        listen(&it.path("S"), Arc::clone(&it.seen), Box::new(script));
        Some(it)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    /// gpgconf says that the agent is there.
    fn agent_at(&self, socket: &Path) {
        let says = format!("case $1 in --list-dirs) echo {};; esac\n", socket.display());
        self.program("gpgconf", &says);
    }

    /// gpg lists and exports, after it did something else.
    fn gpg(&self, first: &str) {
        let script = format!(
            "cd {}\n{first}\ncase \"$*\" in *--list*) cat listed;; *--export*) cat certs;; esac\n",
            self.dir.path().display()
        );
        self.program("gpg", &script);
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.bin().join(name);
        // Never the file that somebody runs.
        let new = self.path("new");
        std::fs::write(&new, format!("#!/bin/sh\n{script}")).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// A home whose hosts find this GnuPG.
    fn home(&self) -> Home {
        let path = std::env::var("PATH").unwrap();
        Home::new()
            .env("GNUPGHOME", self.dir.path().to_str().unwrap())
            .env("PATH", &format!("{}:{path}", self.bin().display()))
    }

    fn heard(&self, what: &str) -> usize {
        let heard = self.seen.heard.lock().unwrap();
        heard.iter().filter(|line| line.contains(what)).count()
    }

    /// What is not heard again is not said to be.
    fn forget(&self) {
        self.seen.heard.lock().unwrap().clear();
    }

    fn everybody_has_left(&self) {
        until("the connection to be closed", || {
            self.seen.open.load(Ordering::SeqCst) == 0
        });
    }
}

/// A listing of public keys as one of keys that the agent has.
fn owned(listing: &str) -> String {
    let line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        fields[0] = match fields[0] {
            "pub" => "sec",
            "sub" => "ssb",
            "uid" => {
                fields[1] = "u";
                return fields.join(":");
            }
            _ => return line.to_owned(),
        };
        fields.resize(21, "");
        fields[14] = "+";
        fields.join(":")
    };
    let lines: Vec<_> = listing.lines().map(line).collect();
    lines.join("\n") + "\n"
}

fn listen(socket: &Path, seen: Arc<Seen>, script: Script) {
    let listener = UnixListener::bind(socket).unwrap();
    let script = Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
            thread::spawn(move || {
                seen.open.fetch_add(1, Ordering::SeqCst);
                let _ = talk(&stream.unwrap(), &seen, &**script);
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
}

fn talk(
    mut stream: &UnixStream,
    seen: &Seen,
    script: &dyn Fn(&str) -> Says,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    loop {
        match script(line.trim_end_matches('\n')) {
            Says::Bytes(bytes) => stream.write_all(&bytes)?,
            Says::Endless(piece) => {
                let many = piece.repeat(4096 / piece.len() + 1);
                while seen.taken.load(Ordering::SeqCst) < FLOOD {
                    stream.write_all(&many)?;
                    seen.taken.fetch_add(many.len(), Ordering::SeqCst);
                }
            }
            Says::Drip(first) => {
                stream.write_all(first)?;
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(60) {
                    thread::sleep(Duration::from_millis(200));
                    stream.write_all(b"x")?;
                }
            }
            Says::Nothing => {}
        }
        line.clear();
        let mut bytes = Vec::new();
        if lines.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        line = String::from_utf8_lossy(&bytes).into_owned();
        let heard = line.trim_end_matches('\n').to_owned();
        seen.heard.lock().unwrap().push(heard);
    }
}

/// Signs without encryption.
fn signing() -> Value {
    json!({
        "draft": {"from": ME, "to": [ME], "subject": "mine", "text": {"text": "hello\n"}},
        "protect": {"sign": true, "encrypt": false, "protocol": "openpgp"},
    })
}

fn opening(message: &[u8]) -> Value {
    json!({"message": {"base64": encode(message)}})
}

/// The fault of a request, and how long it took.
fn timed(host: &mut Host, method: &str, params: Value) -> (Fault, Duration) {
    let begun = Instant::now();
    let fault = host.fault(method, params);
    (fault, begun.elapsed())
}

/// Sends a request, takes it back once `begun` says so, and is told so at once.
#[track_caller]
fn taken_back(host: &mut Host, method: &str, params: Value, what: &str, begun: impl Fn() -> bool) {
    let id = host.send(method, params);
    until(what, begun);
    let at = Instant::now();
    host.notify("$/cancelRequest", json!({"id": id}));
    assert_eq!(host.wait(id).unwrap_err().kind(), "cancelled", "{what}");
    assert!(at.elapsed() < AT_ONCE, "{what}: {:?}", at.elapsed());
}

#[test]
fn an_agent_that_never_stops_is_left() {
    const FLOODS: &[&[u8]] = &[
        b"S PROGRESS x ? 1 1\n",
        b"# a comment\n",
        b"\n",
        b"D abc\n",
        b"INQUIRE PINENTRY_LAUNCHED 1 2 3\n",
        b"INQUIRE WHATEVER\n",
        b"S endless ",
    ];
    for after in ["PKDECRYPT", "SETKEY", "KEYINFO", ""] {
        for flood in FLOODS {
            let script = move |line: &str| match line.split(' ').next().unwrap() == after {
                true => Says::Endless(flood),
                false => plain(line),
            };
            let Some(it) = False::new(script) else { return };
            let home = it.home();
            let mut host = home.start();
            let (fault, took) = timed(&mut host, "message/open", opening(&it.real.message));
            let which = format!("{after:?} {:?}", String::from_utf8_lossy(flood));
            assert_eq!(fault.kind(), "store.unavailable", "{which}: {fault:?}");
            assert!(took < SOON, "{which}: {took:?}");
            it.everybody_has_left();
            let taken = it.seen.taken.load(Ordering::SeqCst);
            assert!(taken < 4 << 20, "{which}: {taken} bytes were read");
            if after != "PKDECRYPT" {
                break;
            }
        }
    }
}

#[test]
fn a_line_is_no_longer_than_assuan_has_it() {
    let script = |line: &str| match line {
        "PKSIGN" => say(&format!("S {}\nOK\n", "x".repeat(1100))),
        "PKDECRYPT" => say(&format!("S {}\nERR 67108881 none\n", "x".repeat(998))),
        _ => plain(line),
    };
    let Some(it) = False::new(script) else { return };
    let home = it.home();
    let mut host = home.start();
    assert_eq!(
        host.fault("message/seal", signing()).kind(),
        "store.unavailable"
    );
    let fault = host.fault("message/open", opening(&it.real.message));
    assert_eq!(fault.kind(), "key.missing");
}

#[test]
fn a_silent_agent_is_left_at_once_when_nobody_wants_it_any_more() {
    for silent in ["", "KEYINFO", "SETKEY", "PKDECRYPT", "PKSIGN"] {
        for drips in [false, true] {
            let script = move |line: &str| match line.split(' ').next().unwrap() == silent {
                true if drips => Says::Drip(b"# "),
                true => Says::Nothing,
                false => plain(line),
            };
            let Some(it) = False::new(script) else { return };
            let home = it.home();
            let mut host = home.start();
            // Its keys are here before.
            host.good("keys/list", json!({}));
            let (method, params) = match silent {
                "PKSIGN" => ("message/seal", signing()),
                _ => ("message/open", opening(&it.real.message)),
            };
            let called = || match silent {
                "" => it.seen.open.load(Ordering::SeqCst) > 0,
                silent => it.heard(silent) > 0,
            };
            taken_back(&mut host, method, params, silent, called);
            it.everybody_has_left();
            host.good("keys/list", json!({}));
        }
    }
}

#[test]
fn an_agent_that_does_not_greet_is_not_waited_for_long() {
    // No greeting, half a greeting that never ends, nobody who takes the call.
    for how in 0..3 {
        let script = move |line: &str| match (line, how) {
            ("", 0) => Says::Nothing,
            ("", 1) => Says::Drip(b"OK Pleased "),
            _ => plain(line),
        };
        let Some(it) = False::new(script) else { return };
        let _queue = (how == 2).then(|| {
            let socket = it.path("full");
            it.agent_at(&socket);
            full(&socket)
        });
        let home = it.home();
        let mut host = home.start();
        let (fault, took) = timed(&mut host, "message/open", opening(&it.real.message));
        assert_eq!(fault.kind(), "store.unavailable", "{how}");
        assert!(took < Duration::from_secs(40), "{how}: {took:?}");
        if how == 2 {
            let id = host.send("message/open", opening(&it.real.message));
            thread::sleep(Duration::from_secs(1));
            let at = Instant::now();
            host.notify("$/cancelRequest", json!({"id": id}));
            assert_eq!(host.wait(id).unwrap_err().kind(), "cancelled");
            assert!(at.elapsed() < AT_ONCE);
        }
    }
}

/// A socket with a queue in which there is no more room, and who stands in it.
fn full(socket: &Path) -> (UnixListener, Arc<Mutex<Vec<UnixStream>>>) {
    let listener = UnixListener::bind(socket).unwrap();
    let queue: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
    let (socket, theirs) = (socket.to_owned(), Arc::clone(&queue));
    thread::spawn(move || {
        while let Ok(stream) = UnixStream::connect(&socket) {
            let mut queue = theirs.lock().unwrap();
            queue.push(stream);
            assert!(queue.len() < 10_000, "the queue has no end");
        }
    });
    let before = AtomicUsize::new(0);
    until("the queue to be full", || {
        thread::sleep(Duration::from_millis(100));
        let now = queue.lock().unwrap().len();
        before.swap(now, Ordering::SeqCst) == now && now > 0
    });
    (listener, queue)
}

#[test]
fn what_a_command_has_no_need_of_is_not_given() {
    // What is not for this command is taken for no question to the person either.
    for inquiry in [
        "NEW_PASSPHRASE",
        "KEYDATA",
        "KEYPARAM",
        "PASSPHRASEX",
        "passphrase",
    ] {
        let script = move |line: &str| match line {
            "PKDECRYPT" | "PKSIGN" => say(&format!("INQUIRE {inquiry}\n")),
            _ => plain(line),
        };
        let Some(it) = False::new(script) else { return };
        let pinentry = Pinentry::new(&[PASSPHRASE]);
        let home = it.home().pinentry(&pinentry);
        let mut host = home.start();
        for (method, params) in [
            ("message/open", opening(&it.real.message)),
            ("message/seal", signing()),
        ] {
            let fault = host.fault(method, params);
            let kind = match method {
                "message/open" => "decrypt.failed",
                _ => "store.unavailable",
            };
            assert_eq!(fault.kind(), kind, "{inquiry}");
        }
        assert_eq!(pinentry.count("getpin"), 0, "{inquiry}");
        assert_eq!(it.heard("CAN"), 2, "{inquiry}");
        assert_eq!(it.heard("END"), 0, "{inquiry}");
    }
}

#[test]
fn a_passphrase_is_given_once_and_to_its_own_inquiry() {
    // Which inquiry each command makes, and what is heard of the passphrase.
    let turns = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&turns);
    let script = move |line: &str| match line {
        "PKDECRYPT" | "PKSIGN" => say("INQUIRE PASSPHRASE\n"),
        // It has it, and wants it again, and another one.
        "END" => match theirs.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => say("INQUIRE PASSPHRASE\n"),
            _ => say("INQUIRE NEW_PASSPHRASE\n"),
        },
        "CAN" => say("ERR 67108875 Bad passphrase <GPG Agent>\n"),
        _ if line.starts_with("SETKEY") => say("INQUIRE PASSPHRASE\n"),
        _ => plain(line),
    };
    let Some(it) = False::new(script) else { return };
    let pinentry = Pinentry::new(&[PASSPHRASE]);
    let home = it.home().pinentry(&pinentry);
    let mut host = home.start();
    // Where the key is only named nothing is given at all.
    host.fault("message/open", opening(&it.real.message));
    assert!(it.heard("CAN") > 0);
    assert_eq!(it.heard(PASSPHRASE), 0);
    drop(host);

    let script = move |line: &str| match line {
        "PKDECRYPT" | "PKSIGN" => say("INQUIRE PASSPHRASE\n"),
        "END" => match turns.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => say("INQUIRE PASSPHRASE\n"),
            _ => say("INQUIRE NEW_PASSPHRASE\n"),
        },
        "CAN" => say("ERR 67108875 Bad passphrase <GPG Agent>\n"),
        _ => plain(line),
    };
    let it = False::new(script).unwrap();
    let home = it.home().pinentry(&pinentry);
    let mut host = home.start();
    let fault = host.fault("message/open", opening(&it.real.message));
    let asked = pinentry.count("getpin");
    assert!(asked > 0, "{fault:?}");
    let used = it.heard("PKDECRYPT") + it.heard("PKSIGN");
    let given = it.heard(PASSPHRASE);
    assert!(given > 0 && given < used, "{given} of {used}: {fault:?}");
    assert_eq!(
        it.heard("END"),
        given,
        "each was followed by another inquiry"
    );
}

/// Bytes on their way in Assuan's data lines.
fn data(bytes: &[u8]) -> Vec<u8> {
    let mut line = b"D ".to_vec();
    for byte in bytes {
        match byte {
            b'%' | b'\r' | b'\n' => line.extend(format!("%{byte:02X}").bytes()),
            byte => line.push(*byte),
        }
    }
    line.extend_from_slice(b"\nOK\n");
    line
}

fn numbers(name: &str, r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut bytes = format!("(7:sig-val({}:{name}", name.len()).into_bytes();
    for (letter, number) in [("r", r), ("s", s)] {
        bytes.extend(format!("(1:{letter}{}:", number.len()).bytes());
        bytes.extend_from_slice(number);
        bytes.push(b')');
    }
    bytes.extend_from_slice(b"))");
    bytes
}

#[test]
fn what_is_no_signature_of_the_key_goes_nowhere() {
    let whole = numbers("eddsa", &[0x5A; 32], &[0x0A; 32]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("another key's", data(&whole), "key.unusable"),
        (
            "three letters",
            data(&numbers("eddsa", b"abc", b"abc")),
            "key.unusable",
        ),
        ("nothing", data(&numbers("eddsa", b"", b"")), "key.unusable"),
        (
            "too long",
            data(&numbers("eddsa", &[7; 64], &[7; 64])),
            "key.unusable",
        ),
        (
            "another kind",
            data(&numbers("ecdsa", &[7; 32], &[7; 32])),
            "store.unavailable",
        ),
        (
            "truncated",
            data(&whole[..whole.len() - 20]),
            "store.unavailable",
        ),
        ("no expression", data(b"signed"), "store.unavailable"),
        ("no data", b"OK\n".to_vec(), "store.unavailable"),
    ];
    for (name, answer, kind) in cases {
        let script = move |line: &str| match line {
            "PKSIGN" => Says::Bytes(answer.clone()),
            _ => plain(line),
        };
        let Some(it) = False::new(script) else { return };
        let home = it.home();
        let mut host = home.start();
        let fault = host.fault("message/seal", signing());
        assert_eq!(fault.kind(), kind, "{name}: {fault:?}");
        if kind == "key.unusable" {
            assert_eq!(fault.data["reasons"], json!(["mismatch"]), "{name}");
        }
        // Nor does it come into a certificate.
        let id = format!("openpgp:{}", it.real.fingerprint);
        let fault = host.fault(
            "keys/renew",
            json!({"id": id, "expires": "2040-01-01T00:00:00Z"}),
        );
        assert_eq!(fault.kind(), kind, "{name}: {fault:?}");
    }
}

#[test]
fn what_is_no_session_key_opens_nothing() {
    let point = [&b"(5:value33:@"[..], &[0x5A; 32], b")"].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("another point", data(&point)),
        ("a short point", data(b"(5:value3:@ab)")),
        ("an empty one", data(b"(5:value0:)")),
        ("truncated", data(&point[..20])),
        ("no expression", data(b"key")),
        ("no data", b"OK\n".to_vec()),
        (
            "its own word for it",
            b"ERR 67108922 No data <GPG Agent>\n".to_vec(),
        ),
    ];
    let mut messages = Vec::new();
    for (name, answer) in cases {
        let script = move |line: &str| match line {
            "PKDECRYPT" => Says::Bytes(answer.clone()),
            _ => plain(line),
        };
        let Some(it) = False::new(script) else { return };
        let home = it.home();
        let mut host = home.start();
        let fault = host.fault("message/open", opening(&it.real.message));
        assert_eq!(fault.kind(), "decrypt.failed", "{name}: {fault:?}");
        messages.push(fault.message);
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "one answer for all: {messages:?}");
}

#[test]
fn a_key_that_the_agent_does_not_have_is_missing() {
    // No secret key; its card is not in; there is no card daemon; nothing of that name.
    for code in [67_108_881, 100_663_408, 67_108_983, 67_108_891] {
        for after in ["PKSIGN", "PKDECRYPT", "SETKEY", "KEYINFO"] {
            let script = move |line: &str| match line.split(' ').next().unwrap() == after {
                true => say(&format!("ERR {code} no\n")),
                false => plain(line),
            };
            let Some(it) = False::new(script) else { return };
            let home = it.home();
            let mut host = home.start();
            for (to, method, params) in [
                ("sign", "message/seal", signing()),
                ("decrypt", "message/open", opening(&it.real.message)),
            ] {
                if after == "PKSIGN" && to == "decrypt" || after == "PKDECRYPT" && to == "sign" {
                    continue;
                }
                let fault = host.fault(method, params);
                assert_eq!(fault.kind(), "key.missing", "{after} {code}: {fault:?}");
                assert_eq!(fault.data["for"], to, "{after} {code}");
                // Told by its fingerprint, not by the agent's name for it.
                let named = fault.data["keyIds"].as_array().unwrap();
                assert_eq!(named.len(), 1);
                assert!(
                    it.real
                        .listed
                        .contains(&format!("fpr:::::::::{}:", named[0].as_str().unwrap()))
                );
            }
        }
    }
}

#[test]
fn the_socket_may_be_elsewhere_but_not_somebody_elses() {
    let Some(it) = False::new(plain) else { return };
    let to_agent = |it: &False| {
        it.forget();
        let home = it.home();
        let mut host = home.start();
        // It has no key; that it was asked is enough.
        let _ = host.open(&it.real.message);
        it.heard("PKDECRYPT") > 0
    };
    assert!(to_agent(&it));
    let socket = it.path("S");
    let redirect = it.path("redirect");
    std::fs::write(
        &redirect,
        format!("%Assuan%\nsocket={}\n", socket.display()),
    )
    .unwrap();
    it.agent_at(&redirect);
    assert!(to_agent(&it), "a file that says where it is");
    let link = it.path("link");
    std::os::unix::fs::symlink(&socket, &link).unwrap();
    it.agent_at(&link);
    assert!(to_agent(&it), "a link");
    for text in ["", "%Assuan%\nsocket=S\n", "%Assuan%\n", "-----BEGIN"] {
        std::fs::write(&redirect, text).unwrap();
        it.agent_at(&redirect);
        assert!(!to_agent(&it), "{text:?}");
    }
    // One file that leads to another, a folder, a pipe, nothing at all, a name too long.
    std::fs::write(
        &redirect,
        format!("%Assuan%\nsocket={}\n", redirect.display()),
    )
    .unwrap();
    let pipe = it.path("pipe");
    assert!(run(Command::new("mkfifo").arg(&pipe), b"").ok);
    let long = it.path(&"l".repeat(150));
    for place in [redirect, it.bin(), pipe, it.path("nothing"), long] {
        it.agent_at(&place);
        let home = it.home();
        let mut host = home.start();
        let (fault, took) = timed(&mut host, "message/open", opening(&it.real.message));
        assert_eq!(fault.kind(), "store.unavailable", "{}", place.display());
        assert!(took < SOON, "{}: {took:?}", place.display());
    }
    // Somebody else's who may be reached all the same.
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) != 0)
    {
        println!("ABSENT: only root can be two people; another person's socket was NOT shown");
        return;
    }
    if find("perl").is_none() {
        return;
    }
    let theirs = it.path("theirs");
    let script = "use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); \
        bind(S, pack_sockaddr_un($ARGV[0])); chmod 0777, $ARGV[0]; $> = 65534; listen(S, 5); \
        print qq(ready\\n); close(STDOUT); alarm 120; \
        while (accept(C, S)) { syswrite C, qq(OK Pleased\\n); \
        while (sysread C, $_, 999) { syswrite C, qq(OK\\n) } }";
    let mut other = Command::new("perl")
        .args(["-e", script, theirs.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let _ = BufReader::new(other.stdout.take().unwrap()).read_line(&mut ready);
    it.agent_at(&theirs);
    let home = it.home();
    let fault = home.start().open(&it.real.message);
    let _ = other.kill();
    let _ = other.wait();
    assert_eq!(ready, "ready\n");
    assert_eq!(fault.unwrap_err().kind(), "store.unavailable");
}

fn import_all() -> (&'static str, Value) {
    ("keys/import", json!({"from": "gnupg"}))
}

/// Processes that were started with this folder first on their PATH, other than hosts.
fn left(it: &False) -> Vec<String> {
    let path = format!("PATH={}:", it.bin().display());
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let environment = read("environ");
        if memchr::memmem::find(&environment, path.as_bytes()).is_some()
            && !line.contains("sealpost")
        {
            found.push(line);
        }
    }
    found
}

#[test]
fn a_gpg_without_an_end_has_one() {
    let cases = [
        ("an endless list", "exec yes 'uid:u::::::::x'"),
        ("an endless list of keys", "exec yes 'sec:u::::::::::::+:'"),
        ("one endless line", "exec cat /dev/zero"),
        ("one by another", "yes 'uid:u::::::::x'"),
    ];
    for (name, first) in cases {
        let Some(it) = False::new(plain) else { return };
        it.gpg(first);
        let home = it.home();
        let mut host = home.start();
        let (method, params) = import_all();
        let (fault, took) = timed(&mut host, method, params);
        assert_eq!(fault.kind(), "limit.exceeded", "{name}: {fault:?}");
        assert!(took < 4 * SOON, "{name}: {took:?}");
        let peak = host.peak_kib();
        assert!(peak < 500 << 10, "{name}: {peak} KiB");
        until("gpg to be gone", || left(&it).is_empty());
    }
    // The list is as it should be, and then.
    let Some(it) = False::new(plain) else { return };
    it.gpg("case \"$*\" in *--export*) exec cat /dev/zero;; esac");
    let home = it.home();
    let mut host = home.start();
    let (method, params) = import_all();
    let fault = host.fault(method, params);
    assert_eq!(fault.kind(), "limit.exceeded");
    assert!(host.peak_kib() < 500 << 10, "{} KiB", host.peak_kib());
    until("gpg to be gone", || left(&it).is_empty());
}

#[test]
fn a_gpg_that_hangs_is_left_at_once_when_nobody_wants_it_any_more() {
    let cases = [
        ("hangs", "exec sleep 300"),
        ("hangs in another", "sleep 300\n:"),
        ("hangs behind another", "sleep 300 &\nwait"),
        ("says all and stays", "cat listed; exec >&-; exec sleep 300"),
        (
            "leaves somebody behind who holds its output",
            "sleep 300 & exit 0",
        ),
    ];
    for (name, first) in cases {
        let Some(it) = False::new(plain) else { return };
        let home = it.home();
        let mut host = home.start();
        host.good("keys/list", json!({}));
        it.gpg(first);
        let (method, params) = import_all();
        let sleeps = || left(&it).iter().any(|line| line.starts_with("sleep"));
        taken_back(&mut host, method, params, name, sleeps);
        until("gpg to be gone", || left(&it).is_empty());
    }
    // As long as one request looks at the keyring others wait; they can be taken back, too.
    let Some(it) = False::new(plain) else { return };
    it.gpg("exec sleep 300");
    let home = it.home();
    let mut host = home.start();
    let first = host.send("keys/list", json!({}));
    until("gpg to be called", || !left(&it).is_empty());
    taken_back(&mut host, "keys/list", json!({}), "behind it", || {
        thread::sleep(Duration::from_millis(300));
        true
    });
    host.notify("$/cancelRequest", json!({"id": first}));
    assert_eq!(host.wait(first).unwrap_err().kind(), "cancelled");
    until("gpg to be gone", || left(&it).is_empty());
}

#[test]
fn a_gpg_that_hangs_is_waited_for_once_and_told() {
    let Some(it) = False::new(plain) else { return };
    it.gpg("exec sleep 300");
    let home = it.home();
    let listed = |host: &mut Host| {
        let begun = Instant::now();
        let page = host.good("keys/list", json!({"secret": true}));
        (page, begun.elapsed())
    };
    let doctor = |host: &mut Host| {
        let checks = host.good("host/doctor", json!({}))["checks"].clone();
        let checks = checks.as_array().unwrap().clone();
        checks.into_iter().find(|one| one["id"] == "gnupg").unwrap()
    };
    let mut host = home.start();
    let own = generate(&mut host, "Here", "here@false.example", "compatible");
    // The store's own keys are there, after ten seconds and not a minute, and it says so.
    let mut second = home.start();
    for host in [&mut host, &mut second] {
        let (page, took) = listed(host);
        assert_eq!(page["gnupg"], "silent", "{page}");
        assert_eq!(page["keys"][0]["id"], own);
        assert!(took < AT_ONCE, "it was waited for twice: {took:?}");
    }
    let mut command = home.command();
    let ran = run(command.args(["keys", "list"]), b"");
    assert!(
        ran.ok && ran.stderr.contains("sealpost doctor"),
        "{}",
        ran.stderr
    );
    let told = doctor(&mut second);
    assert_eq!(
        (&told["ok"], &told["data"]["gnupg"]),
        (&json!(false), &json!("silent"))
    );
    assert!(
        told["fix"]
            .as_str()
            .unwrap()
            .contains("gpg --list-secret-keys")
    );
    until("gpg to be gone", || left(&it).is_empty());
    // One that fails is told as well; one that answers again is used again.
    it.gpg("exit 2");
    assert_eq!(doctor(&mut second)["data"]["gnupg"], "broken");
    it.gpg("");
    assert_eq!(doctor(&mut second)["ok"], true);
    let (page, _) = listed(&mut second);
    let theirs = format!("openpgp:{}", it.real.fingerprint);
    let keys = page["keys"].as_array().unwrap();
    assert!(keys.iter().any(|key| key["id"] == theirs), "{page}");
    assert!(page["gnupg"].is_null(), "{page}");
}

#[test]
fn a_gpg_that_fails_or_babbles_changes_nothing() {
    let Some(it) = False::new(plain) else { return };
    let home = it.home();
    let mut host = home.start();
    assert_eq!(
        host.good("keys/list", json!({"secret": true}))["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let (method, params) = import_all();
    for (name, first, kind) in [
        (
            "ends by a signal",
            "cat listed; kill -9 $$",
            "store.unavailable",
        ),
        ("fails", "cat listed; exit 2", "store.unavailable"),
        (
            "exports nothing",
            "case \"$*\" in *--export*) exit 0;; esac",
            "message.malformed",
        ),
        (
            "lists noise",
            "case \"$*\" in *--list*) exec head -c 3000000 /dev/urandom;; esac",
            "",
        ),
        (
            "lists bare colons",
            "case \"$*\" in *--list*) exec head -c 3000000 /dev/zero | tr '\\0' :;; esac",
            "",
        ),
        (
            "exports noise",
            "case \"$*\" in *--export*) exec head -c 3000000 /dev/urandom;; esac",
            "any",
        ),
        (
            "exports a huge key",
            "case \"$*\" in *--export*) printf '\\231\\377\\003\\000\\000\\000'; exec head -c 50331648 /dev/zero;; esac",
            "any",
        ),
    ] {
        it.gpg(first);
        let answer = host.call(method, params.clone());
        match (kind, &answer) {
            ("any", _) => {}
            ("", Ok(reply)) => assert_eq!(reply["imported"], json!([]), "{name}"),
            (kind, Err(fault)) => assert_eq!(fault.kind(), kind, "{name}: {fault:?}"),
            (_, Ok(reply)) => panic!("{name}: {reply}"),
        }
        if let Ok(reply) = answer {
            assert_eq!(reply["imported"], json!([]), "{name}");
        }
        let keys = host.good("keys/list", json!({}));
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{name}");
    }
    assert!(host.peak_kib() < 600 << 10, "{} KiB", host.peak_kib());
    // The same where the person's own keys are looked for: a look that fails leaves them.
    it.gpg("exit 2");
    std::fs::create_dir(it.path("private-keys-v1.d")).unwrap();
    let keys = host.good("keys/list", json!({"secret": true}));
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn ten_thousand_keys_are_listed_in_time() {
    let Some(it) = False::new(plain) else { return };
    let own = std::fs::read_to_string(it.path("listed")).unwrap();
    let mut listed = String::new();
    for n in 0..10_000 {
        listed.push_str(&format!(
            "pub:f:255:22:{n:016X}:1795571979:::-:::scESC:::::ed25519:::0:\n\
             fpr:::::::::{n:040X}:\ngrp:::::::::{n:040X}:\n\
             uid:f::::1795571979::{n:040X}::Somebody {n} <n{n}@false.example>::::::::::0:\n\
             sub:f:255:18:{n:016X}:1795571979::::::e:::::cv25519::\n\
             fpr:::::::::{n:038X}FF:\ngrp:::::::::{n:038X}FF:\n"
        ));
    }
    listed.push_str(&own.replace("sec:", "pub:").replace("ssb:", "sub:"));
    std::fs::write(it.path("many"), listed).unwrap();
    it.gpg("case \"$*\" in *--list-keys*) exec cat many;; *--export*) echo x >> exports;; esac");
    // Each call exports the same one.
    let home = it.home();
    let mut host = home.start();
    let begun = Instant::now();
    let reply = host.good("keys/import", json!({"from": "gnupg", "accept": true}));
    assert_eq!(reply["imported"].as_array().unwrap().len(), 1, "{reply}");
    assert!(begun.elapsed() < 4 * SOON, "{:?}", begun.elapsed());
    let exports = std::fs::read_to_string(it.path("exports")).unwrap();
    assert!(exports.lines().count() < 30, "{}", exports.lines().count());
}

#[test]
fn a_home_of_an_odd_mode_or_name_and_settings_of_ones_own() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key(ME, "ed25519", "cv25519", &[]);
    // As somebody has it who always wants text.
    std::fs::write(gpg.home().join("gpg.conf"), "armor\nverbose\n").unwrap();
    std::fs::set_permissions(gpg.home(), PermissionsExt::from_mode(0o755)).unwrap();
    let home = Home::new().env("GNUPGHOME", gpg.home().to_str().unwrap());
    let mut host = home.start();
    let keys = host.good("keys/list", json!({"secret": true}));
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    let copied = host.good("keys/import", json!({"from": "gnupg"}));
    assert_eq!(copied["imported"].as_array().unwrap().len(), 1, "{copied}");
    drop(host);
    // A name that gpgconf writes with escapes where it lists several.
    let odd = gpg.home().join("a b%25%3a");
    std::fs::create_dir(&odd).unwrap();
    std::fs::set_permissions(&odd, PermissionsExt::from_mode(0o700)).unwrap();
    let mut command = gpg.command();
    command.env("GNUPGHOME", &odd);
    let made = run(
        command.args(["--quick-gen-key", ME, "ed25519", "sign,cert", "0"]),
        b"",
    );
    assert!(made.ok, "{}", made.stderr);
    let home = Home::new().env("GNUPGHOME", odd.to_str().unwrap());
    let mut host = home.start();
    let reply = host.call("message/seal", signing());
    let _ = Command::new("gpgconf")
        .env("GNUPGHOME", &odd)
        .args(["--kill", "all"])
        .status();
    reply.unwrap();
}
