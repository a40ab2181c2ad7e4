//! Questions: a pinentry that is a few lines of shell, and clients that ask.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;
use super::service::{PASSPHRASE, key};
use crate::host::{Confirm, Settings};

/// A pinentry that writes every line it hears to `heard`, and runs `$1` for each GETPIN and
/// CONFIRM, with the number of the question so far in `$count`.
pub struct Pinentry {
    folder: TempDir,
}

impl Pinentry {
    pub fn new(answer: &str) -> Pinentry {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            r#"#!/bin/sh
here="{}"
echo "$$" >> "$here/started"
echo "OK Pleased to meet you"
while read -r line; do
    echo "$line" >> "$here/heard"
    case "$line" in
    GETPIN|CONFIRM)
        echo x >> "$here/count"
        count=$(wc -l < "$here/count")
        {answer} ;;
    BYE) echo OK; exit 0 ;;
    "OPTION display"*) echo "ERR 83886254 Unknown option <Pinentry>" ;;
    *) echo OK ;;
    esac
done
"#,
            folder.path().display()
        );
        let path = folder.path().join("pinentry");
        std::fs::write(&path, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&path, mode).unwrap();
        Pinentry { folder }
    }

    pub fn settings(&self) -> Settings {
        Settings {
            pinentry: Some(self.folder.path().join("pinentry")),
            ..Settings::default()
        }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// How often a question was put.
    pub fn count(&self) -> usize {
        self.read("count").lines().count()
    }

    /// How often the program was started.
    fn started(&self) -> usize {
        self.read("started").lines().count()
    }

    fn fifo(&self) -> PathBuf {
        let path = self.folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    }
}

pub fn right() -> String {
    // '%' and a letter beyond ASCII: percent coding has to work.
    "printf 'D correct horse 100%%25 \\303\\244\\nOK\\n'".to_owned()
}

const WRONG: &str = "printf 'D wrong\\nOK\\n'";
const DISMISS: &str = "echo 'ERR 83886179 Operation cancelled <Pinentry>'";

fn unlocked() -> Value {
    json!({"key":key(1),"name":3})
}

#[test]
fn the_right_passphrase_unlocks() {
    let pinentry = Pinentry::new(&right());
    let mut client = Client::with(pinentry.settings());
    assert_eq!(client.result("test/unlocked", unlocked())["name"], "nnn");
    assert_eq!(client.result("test/unlocked", unlocked())["name"], "nnn");
    assert_eq!(pinentry.count(), 1, "unlocked from then on");
    let heard = pinentry.read("heard");
    assert!(heard.contains("Alice <alice@example.org>"), "{heard}");
    assert!(heard.contains("SETTIMEOUT 300"));
    assert!(!heard.contains("SETERROR"));
    assert!(client.service.world().is_unlocked());
    client.result("keys/lock", json!({}));
    assert!(!client.service.world().is_unlocked());
    client.result("test/unlocked", unlocked());
    assert_eq!(pinentry.count(), 2);
    let service = std::sync::Arc::clone(&client.service);
    assert_eq!(client.end(), 0);
    assert!(!service.world().is_unlocked(), "wiped at the end");
}

#[test]
fn a_wrong_one_is_asked_for_again() {
    let answer = format!("if [ $count -lt 3 ]; then {WRONG}; else {}; fi", right());
    let pinentry = Pinentry::new(&answer);
    let mut client = Client::with(pinentry.settings());
    client.result("test/unlocked", unlocked());
    assert_eq!(pinentry.count(), 3);
    assert_eq!(pinentry.read("heard").matches("SETERROR").count(), 2);
    client.result("test/unwrap", json!({}));
    assert_eq!(client.end(), 0);
}

#[test]
fn three_wrong_ones_are_enough() {
    let pinentry = Pinentry::new(WRONG);
    let mut client = Client::with(pinentry.settings());
    for method in ["test/unlocked", "test/unwrap"] {
        assert_eq!(
            client.error(method, json!({"key":key(1)})),
            json!({"kind":"passphrase.wrong","blame":"keys"})
        );
    }
    assert_eq!(pinentry.count(), 6);
    assert_eq!(client.service.world().tried.load(Ordering::SeqCst), 3);
    assert_eq!(client.end(), 0);
}

#[test]
fn dismissing_is_an_answer() {
    let pinentry = Pinentry::new(DISMISS);
    let mut client = Client::with(pinentry.settings());
    client.hello(json!({"ask":true}));
    for (method, kind) in [
        ("test/unlocked", "passphrase.cancelled"),
        ("test/unwrap", "passphrase.cancelled"),
        ("test/wrap", "passphrase.cancelled"),
        ("test/delete", "consent.denied"),
    ] {
        assert_eq!(client.error(method, unlocked())["kind"], kind, "{method}");
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn never_means_never() {
    let pinentry = Pinentry::new(&right());
    let mut client = Client::with(pinentry.settings());
    let params = json!({"key":key(1),"ask":"never"});
    assert_eq!(
        client.error("test/unlocked", params),
        json!({"kind":"key.locked","blame":"keys","ids":[key(1)]})
    );
    let kind = client.error("test/unwrap", json!({"ask":"never"}));
    assert_eq!(kind["kind"], "passphrase.unavailable");
    let kind = client.error("test/delete", json!({"ask":"never"}));
    assert_eq!(kind["kind"], "consent.denied");
    assert_eq!(pinentry.started(), 0);
    assert_eq!(client.end(), 0);
}

#[test]
fn ten_requests_share_one_question() {
    let pinentry = Pinentry::new("read -r go < \"$here/fifo\"; ANSWER");
    let script = pinentry.folder.path().join("pinentry");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, text.replace("ANSWER", &right())).unwrap();
    let fifo = pinentry.fifo();
    let mut client = Client::with(pinentry.settings());
    for id in 0..10 {
        client.request(id, "test/unlocked", unlocked());
    }
    // A worker is free all the while.
    client.request(100, "test/echo", json!({}));
    client.reply(100);
    // Opens when the script opens its end.
    std::fs::write(fifo, "go\n").unwrap();
    let replies = client.replies(10);
    assert!(replies.values().all(|reply| reply["result"].is_object()));
    assert_eq!(pinentry.count(), 1);
    assert_eq!(client.end(), 0);
}

#[test]
fn questions_come_one_after_the_other() {
    // Fails if another one is on the screen.
    let pinentry = Pinentry::new(&format!(
        "if mkdir \"$here/screen\"; then rmdir \"$here/screen\"; {}; else {DISMISS}; fi",
        right()
    ));
    let mut client = Client::with(pinentry.settings());
    for id in 0..8 {
        client.request(id, "test/unlocked", json!({"key":key(id as u8)}));
        client.request(id + 100, "test/unwrap", json!({}));
    }
    let replies = client.replies(16);
    assert!(replies.values().all(|reply| reply["result"].is_object()));
    assert_eq!(pinentry.count(), 16);
    assert_eq!(client.end(), 0);
}

#[test]
fn the_last_cancel_takes_the_question_back() {
    let pinentry = Pinentry::new("echo here > \"$here/fifo\"; exec sleep 1000");
    let fifo = pinentry.fifo();
    let mut client = Client::with(pinentry.settings());
    client.request(1, "test/unlocked", unlocked());
    client.request(2, "test/unlocked", unlocked());
    // It stands on the screen now.
    std::fs::read(&fifo).unwrap();
    client.cancel(1);
    assert_eq!(client.reply(1)["error"]["code"], -32800);
    client.cancel(2);
    assert_eq!(client.reply(2)["error"]["code"], -32800);
    // Had the first stayed, the next could not come.
    client.request(3, "test/unwrap", json!({}));
    std::fs::read(&fifo).unwrap();
    assert_eq!(pinentry.started(), 2);
    // And the end of the conversation takes back the second.
    client.hang_up();
    assert_eq!(client.reply(3)["error"]["code"], -32800);
    assert_eq!(client.end(), 0);
    for pid in pinentry.read("started").lines() {
        assert!(
            !std::path::Path::new("/proc").join(pid).exists(),
            "{pid} runs still"
        );
    }
}

#[test]
fn a_new_passphrase_is_given_twice() {
    let pinentry = Pinentry::new(&right());
    let mut client = Client::with(pinentry.settings());
    let result = client.result("test/wrap", json!({}));
    assert_eq!(result["bodies"][0]["text"], PASSPHRASE);
    assert!(pinentry.read("heard").contains("SETREPEAT "));
    assert_eq!(client.end(), 0);
}

#[test]
fn confirmations_are_the_persons() {
    let pinentry = Pinentry::new("echo OK");
    let mut client = Client::with(pinentry.settings());
    client.result("test/delete", json!({}));
    assert!(pinentry.read("heard").contains("CONFIRM"));
    assert!(pinentry.read("heard").contains("Delete this secret key?"));
    assert_eq!(client.end(), 0);

    let answered = |confirm| Settings {
        confirm,
        ..Settings::default()
    };
    let mut client = Client::with(answered(Confirm::Yes));
    client.result("test/delete", json!({}));
    assert_eq!(client.end(), 0);
    // No pinentry: a client's word is not enough.
    for confirm in [Confirm::No, Confirm::Ask] {
        let mut client = Client::with(answered(confirm));
        client.hello(json!({"ask":true}));
        let error = client.error("test/delete", json!({}));
        assert_eq!(error, json!({"kind":"consent.denied","blame":"policy"}));
        assert_eq!(client.end(), 0);
    }
}

#[test]
fn without_pinentry_the_client_asks() {
    for settings in [
        Settings::default(),
        Settings {
            pinentry: Some("/nowhere/pinentry".into()),
            ..Settings::default()
        },
    ] {
        let mut client = Client::with(settings);
        client.hello(json!({"ask":true}));
        let origin = "https://mail.example.org";
        client.request(1, "test/unlocked", json!({"key":key(1),"origin":origin}));
        for attempt in 1..=3 {
            let ask = client.next();
            assert_eq!(ask["method"], "ask/passphrase");
            assert_eq!(
                ask["params"],
                json!({"request":1,"need":"unlock","key":key(1),
                    "label":"Alice <alice@example.org>","attempt":attempt,
                    "origin":origin})
            );
            let said = if attempt < 3 { "wrong" } else { PASSPHRASE };
            // Ids count apart: an answer to another question is nobody's.
            client.send(&json!({"jsonrpc":"2.0","id":900,"result":{"cancelled":true}}));
            client.send(&json!({"jsonrpc":"2.0","id":ask["id"],"result":{"passphrase":said}}));
        }
        assert!(client.reply(1)["result"].is_object());

        client.request(2, "test/unwrap", json!({}));
        let ask = client.next();
        assert_eq!(ask["params"]["need"], "unwrap");
        assert!(ask["params"].get("key").is_none());
        client.send(&json!({"jsonrpc":"2.0","id":ask["id"],"result":{"cancelled":true}}));
        assert_eq!(
            client.reply(2)["error"]["data"]["kind"],
            "passphrase.cancelled"
        );

        client.request(3, "test/unwrap", json!({}));
        let ask = client.next();
        client.cancel(3);
        assert_eq!(client.reply(3)["error"]["code"], -32800);
        let back = client.next();
        assert_eq!(back["method"], "$/cancelRequest");
        assert_eq!(back["params"], json!({"id":ask["id"]}));
        // Too late.
        client.send(&json!({"jsonrpc":"2.0","id":ask["id"],"result":{"passphrase":"x"}}));
        client.result("test/echo", json!({}));
        assert_eq!(client.end(), 0);
    }
}

#[test]
fn who_can_not_be_asked_is_told_so() {
    // Nobody there; a client that never offered; a policy that forbids it; a pinentry that
    // has no screen.
    let mut silent = Client::start();
    let mut unoffered = Client::greeted();
    let mut forbidden = Client::start();
    forbidden.hello(json!({"ask":true}));
    forbidden.service.policy.lock().unwrap().ask_client = false;
    let pinentry = Pinentry::new("echo 'ERR 83918950 Inappropriate ioctl for device'");
    let mut blind = Client::with(pinentry.settings());
    for client in [&mut silent, &mut unoffered, &mut forbidden, &mut blind] {
        assert_eq!(
            client.error("test/unlocked", unlocked()),
            json!({"kind":"passphrase.unavailable","blame":"keys"})
        );
    }
    for client in [silent, unoffered, forbidden, blind] {
        assert_eq!(client.end(), 0);
    }
}

#[test]
fn a_pinentry_that_talks_nonsense_hangs_nothing() {
    for answer in [
        "exit 1",
        "printf 'D %01100d\\nOK\\n' 1",
        "head -c 5000 /dev/zero | tr '\\0' x; echo",
        "echo 'ERR nonsense'",
    ] {
        let pinentry = Pinentry::new(answer);
        let mut client = Client::with(pinentry.settings());
        let kind = client.error("test/unlocked", unlocked())["kind"].clone();
        assert!(
            kind == "passphrase.cancelled" || kind == "passphrase.unavailable",
            "{answer}: {kind}"
        );
        assert_eq!(client.end(), 0);
    }
}
