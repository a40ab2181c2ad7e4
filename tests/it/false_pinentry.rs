//! A pinentry that does harm or is broken: it may neither hold up anybody nor fill the memory,
//! nothing is taken for an answer that is none, and it ends when nobody wants it any more.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Fault, Home, Host, Pinentry, alive, until};

const PASSPHRASE: &str = "behind the waterfall";

/// More than any of this may take where nothing is waited for on purpose.
const SOON: Duration = Duration::from_secs(12);

/// A pinentry that goes through the motions and does something of its own at one command.
struct False {
    dir: TempDir,
}

impl False {
    /// `does` is what the script does at `at`; at nothing: before it greets.
    fn new(at: &str, does: &str) -> False {
        let it = False {
            dir: tempfile::Builder::new().prefix("fp").tempdir().unwrap(),
        };
        let (first, case) = match at {
            "" => (does, String::new()),
            at => ("", format!("{at}*) {does} ;;")),
        };
        let script = format!(
            "#!/bin/sh\ncd {}\necho $$ >> pids\n{first}\necho OK\n\
             while read -r line; do case \"$line\" in\n{case}\n\
             BYE*) exit 0;; *) echo OK;; esac; done\n",
            it.dir.path().display()
        );
        std::fs::write(it.path("pinentry"), script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(it.path("pinentry"), mode).unwrap();
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The processes that have said who they are.
    fn pids(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(self.path("pids")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    #[track_caller]
    fn is_gone(&self) {
        until("all of them to be gone", || {
            self.pids().iter().all(|pid| !alive(*pid))
        });
    }
}

/// A home with a key under a passphrase, whose hosts then ask by this pinentry. At a terminal
/// or not is the same to all of them.
fn home(it: &False) -> (Home, String) {
    let good = Pinentry::new(&[PASSPHRASE]);
    let home = Home::new().env("GPG_TTY", "").pinentry(&good);
    let mut host = home.start();
    let made = host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "name": "Me", "address": "me@false.example",
            "profile": "compatible", "passphrase": "ask"}),
    );
    let home = home.env("SEALPOST_PINENTRY", it.path("pinentry").to_str().unwrap());
    (home, made["key"]["id"].as_str().unwrap().to_owned())
}

fn unlock(host: &mut Host, id: &str) -> (Result<Value, Fault>, Duration) {
    let begun = Instant::now();
    let answer = host.call("keys/unlock", json!({"id": id}));
    (answer, begun.elapsed())
}

#[test]
fn what_says_anything_but_an_answer_has_asked_nobody() {
    for (name, at, does) in [
        ("endless status before", "", "exec yes 'S x'"),
        ("one endless line before", "", "exec tr '\\0' x < /dev/zero"),
        ("ends at once", "", "exit 0"),
        ("another protocol", "", "echo 'HTTP/1.1 200 OK'"),
        ("an error for a greeting", "", "echo 'ERR 1 no'"),
        ("endless status", "GETPIN", "exec yes 'S x'"),
        ("endless comments", "GETPIN", "exec yes '# x'"),
        ("endless empty lines", "GETPIN", "exec yes ''"),
        (
            "endless inquiries",
            "GETPIN",
            "exec yes 'INQUIRE QUALITY x'",
        ),
        ("one endless line", "GETPIN", "exec tr '\\0' x < /dev/zero"),
        ("ends", "GETPIN", "exit 1"),
        ("is killed", "GETPIN", "kill -9 $$"),
        (
            "can't show anything",
            "GETPIN",
            "echo 'ERR 83918950 no tty'",
        ),
        ("a code that is none", "GETPIN", "echo 'ERR many'"),
        ("noise", "GETPIN", "exec cat /dev/urandom"),
        (
            "can't say what is asked",
            "SETDESC",
            "echo 'ERR 83886355 unknown'",
        ),
    ] {
        let it = False::new(at, does);
        let (home, id) = home(&it);
        let mut host = home.start();
        let (answer, took) = unlock(&mut host, &id);
        let fault = answer.unwrap_err();
        assert_eq!(fault.kind(), "passphrase.unavailable", "{name}: {fault:?}");
        assert!(took < SOON, "{name}: {took:?}");
        it.is_gone();
        assert!(host.peak_kib() < 300 << 10, "{name}: {}", host.peak_kib());
    }
}

#[test]
fn a_no_stays_a_no() {
    // Cancelled, not confirmed, timed out, closed.
    for code in [83_886_179, 83_886_194, 83_886_142, 83_886_278, 99] {
        let it = False::new("GETPIN", &format!("echo 'ERR {code} no'"));
        let (home, id) = home(&it);
        let mut host = home.start();
        let fault = unlock(&mut host, &id).0.unwrap_err();
        assert_eq!(fault.kind(), "passphrase.cancelled", "{code}");
        it.is_gone();
    }
    // What a yes is not.
    for does in ["echo 'D yes'; echo OK", "echo 'ERR 83886194 no'", "exit 0"] {
        let it = False::new("CONFIRM", does);
        let (home, id) = home(&it);
        let home = home.confirm(None);
        let mut host = home.start();
        let fault = host.fault("keys/delete", json!({"id": id, "secret": true}));
        assert_eq!(fault.kind(), "consent.denied", "{does}");
        it.is_gone();
    }
}

#[test]
fn a_silent_pinentry_is_not_waited_for_long() {
    // It never greets, or does so a byte at a time.
    for does in ["sleep 300", "while printf x; do sleep 1; done"] {
        let it = False::new("", does);
        let (home, id) = home(&it);
        let mut host = home.start();
        let (answer, took) = unlock(&mut host, &id);
        let fault = answer.unwrap_err();
        assert_eq!(fault.kind(), "passphrase.unavailable", "{does}: {fault:?}");
        assert!(took < Duration::from_secs(45), "{does}: {took:?}");
        it.is_gone();
    }
}

#[test]
fn it_ends_with_its_question_and_so_does_what_it_has_called() {
    let slow = "sh -c 'echo $$ >> pids; while :; do sleep 1; done'";
    let drips = "while printf x; do sleep 1; done";
    for (at, does) in [
        ("", slow),
        ("GETPIN", slow),
        ("GETPIN", drips),
        ("SETDESC", slow),
    ] {
        let it = False::new(at, does);
        let (home, id) = home(&it);
        let mut host = home.start();
        let request = host.send("keys/unlock", json!({"id": id}));
        let started = if does == slow { 2 } else { 1 };
        until("all of them to be there", || it.pids().len() == started);
        let begun = Instant::now();
        host.notify("$/cancelRequest", json!({"id": request}));
        assert_eq!(host.wait(request).unwrap_err().kind(), "cancelled");
        assert!(begun.elapsed() < Duration::from_secs(2), "{at} {does}");
        it.is_gone();
        // And with the host.
        let request = host.send("keys/unlock", json!({"id": id}));
        until("all of them to be there again", || {
            it.pids().len() == 2 * started
        });
        host.close();
        host.exit(Duration::from_secs(30));
        it.is_gone();
        assert!(!host.has(request) || host.wait(request).is_err());
    }
}

#[test]
fn a_passphrase_has_a_length() {
    // Its longest in one line, in several, one more, and far more than memory is for.
    let lines = |count: usize, length: usize| {
        format!(
            "i=0; while [ $i -lt {count} ]; do printf 'D %0{length}d\\n' 0; i=$((i+1)); done; echo OK"
        )
    };
    for (does, kind) in [
        (lines(1, 998), "passphrase.wrong"),
        (lines(4, 512), "passphrase.wrong"),
        (lines(4, 513), "limit.exceeded"),
        (lines(12, 998), "limit.exceeded"),
        (lines(1, 1500), "passphrase.unavailable"),
        (lines(40, 998), "passphrase.unavailable"),
    ] {
        let it = False::new("GETPIN", &does);
        let (home, id) = home(&it);
        let mut host = home.start();
        let fault = unlock(&mut host, &id).0.unwrap_err();
        assert_eq!(fault.kind(), kind, "{does}: {fault:?}");
        if kind == "limit.exceeded" {
            assert_eq!(fault.data["limit"], "passphrase");
        }
        it.is_gone();
        let files = home.files();
        assert_eq!(crate::harness::holds(&files, &"0".repeat(500)), None);
    }
}
