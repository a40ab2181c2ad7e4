//! What cards do and SoftHSM does not, by a module in front of SoftHSM's that does it
//! (`tests/peers/card.c`): a PIN for each use, a reader with keys, locking, hanging, being pulled
//! out in the middle.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::harness::{Home, Host, Pinentry, seal_one, until};
use crate::peer::{find, run};
use crate::peers::verdict;
use crate::smime::{ALICE, BOB, Ca, TEXT, entity, message};
use crate::tokens::{PIN, Soft, WRONG, draft, nobody_kept_a_pin, protect, taken};

/// Alice's card in its reader.
struct Card {
    ca: Ca,
    soft: Soft,
    module: PathBuf,
}

impl Card {
    /// `None`, and a loud line, where there is no SoftHSM or no C compiler.
    fn new(more: &[&str]) -> Option<Card> {
        let (ca, soft, cc) = (Ca::new()?, Soft::new()?, find("cc")?);
        soft.token("Card");
        ca.person("alice", "rsa:2048", ALICE);
        soft.put(&ca, "Card", "alice", more);
        ca.write("entity", entity());
        let module = soft.path("card.so");
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/card.c");
        let mut command = Command::new(cc);
        command.args(["-shared", "-fPIC", "-o"]).arg(&module);
        let ran = run(command.arg(source).arg("-ldl"), b"");
        assert!(ran.ok, "card.c: {}", ran.stderr);
        std::fs::create_dir(soft.path("events")).unwrap();
        Some(Card { ca, soft, module })
    }

    fn home(&self, pinentry: &Pinentry) -> Home {
        let events = self.soft.path("events");
        let home = self
            .soft
            .home(pinentry)
            .env("CARD_MODULE", self.soft.module.to_str().unwrap())
            .env("CARD_FOLDER", events.to_str().unwrap());
        self.soft.allow(&home, &[self.module.to_str().unwrap()]);
        home
    }

    /// Something happens from now on.
    fn event(&self, name: &str, content: &str) {
        std::fs::write(self.soft.path("events").join(name), content).unwrap();
    }

    /// It happens no longer.
    fn over(&self, name: &str) {
        std::fs::remove_file(self.soft.path("events").join(name)).unwrap();
    }

    fn sealed(&self) -> Vec<u8> {
        let args = ["cms", "-encrypt", "-binary", "-in", "entity"];
        let args = [&args[..], &["-aes-256-cbc", "-recip", "alice.pem"]].concat();
        message(BOB, &self.ca.go(&args))
    }
}

#[track_caller]
fn signs(card: &Card, host: &mut Host) {
    let sealed = seal_one(host, draft(ALICE), protect("mime"));
    card.ca.write("sealed", &sealed);
    card.ca.go(&[
        "cms",
        "-verify",
        "-in",
        "sealed",
        "-CAfile",
        "middle.pem",
        "-partial_chain",
        "-out",
        "content",
    ]);
}

#[test]
fn a_pin_for_each_use() {
    let Some(card) = Card::new(&["--always-auth"]) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    signs(&card, &mut host);
    assert_eq!(pinentry.count("getpin"), 1, "one request, one PIN");
    // It is kept for what belongs together, not longer.
    std::thread::sleep(std::time::Duration::from_secs(12));
    let opened = verdict(
        &mut host,
        &card.sealed(),
        "whole",
        "none",
        "",
        TEXT.trim_end(),
    );
    opened.unwrap();
    assert_eq!(pinentry.count("getpin"), 2);
    // A PIN that waits for its use goes with the lock.
    let id = host.good("keys/list", json!({"secret": true}))["keys"][0]["id"].clone();
    host.good("keys/lock", json!({}));
    host.good("keys/unlock", json!({"id": id}));
    assert_eq!(pinentry.count("getpin"), 3);
    host.good("keys/lock", json!({}));
    let never = json!({"draft": draft(ALICE), "protect": protect("mime"), "ask": "never"});
    assert_eq!(host.fault("message/seal", never).kind(), "key.locked");
    nobody_kept_a_pin(&home);
}

#[test]
fn three_wrong_pins_lock_a_card() {
    let Some(card) = Card::new(&[]) else { return };
    let pinentry = Pinentry::new(&[WRONG]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    let seal = json!({"draft": draft(ALICE), "protect": protect("mime")});
    let fault = host.fault("message/seal", seal.clone());
    assert_eq!(fault.data["reasons"], json!(["token-locked"]), "{fault:?}");
    let said = pinentry.descriptions();
    let warnings = ["%0A%0Aalice <", "A wrong PIN was given before", "LAST TRY"];
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), warnings.len(), "{said}");
    for (line, warning) in lines.iter().zip(warnings) {
        assert!(line.contains(warning), "{line}");
    }
    // Nobody is asked for what can't help any more.
    let fault = host.fault("message/seal", seal);
    assert_eq!(fault.data["reasons"], json!(["token-locked"]), "{fault:?}");
    let fault = host.open(&card.sealed()).unwrap_err();
    assert_eq!(fault.data["reasons"], json!(["token-locked"]), "{fault:?}");
    assert_eq!(pinentry.count("getpin"), 3);
    nobody_kept_a_pin(&home);
}

#[test]
fn the_last_try_can_be_kept() {
    let Some(card) = Card::new(&[]) else { return };
    let pinentry = Pinentry::new(&[WRONG, WRONG, "%cancel"]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    let seal = json!({"draft": draft(ALICE), "protect": protect("mime")});
    let fault = host.fault("message/seal", seal);
    assert_eq!(fault.kind(), "passphrase.cancelled");
    let tokens = host.good("keys/tokens", json!({}));
    assert_eq!(tokens["tokens"][0]["state"], "last-try");
    pinentry.answers(&[PIN]);
    signs(&card, &mut host);
    let said = pinentry.descriptions();
    assert!(said.lines().last().unwrap().contains("LAST TRY"), "{said}");
}

#[test]
fn a_reader_with_keys_of_its_own() {
    let Some(card) = Card::new(&[]) else { return };
    card.event("keypad", PIN);
    let pinentry = Pinentry::new(&["ok"]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    signs(&card, &mut host);
    signs(&card, &mut host);
    assert_eq!(pinentry.count("getpin"), 1);
    let said = pinentry.descriptions();
    assert!(said.contains("type the PIN on the reader"), "{said}");
    host.good("keys/lock", json!({}));
    // Who mistypes there is told so here.
    card.event("keypad", WRONG);
    pinentry.answers(&["ok", "%cancel"]);
    let seal = json!({"draft": draft(ALICE), "protect": protect("mime")});
    assert_eq!(
        host.fault("message/seal", seal).kind(),
        "passphrase.cancelled"
    );
    assert_eq!(pinentry.count("error"), 1);
}

#[test]
fn a_pin_for_each_use_on_a_reader_with_keys() {
    let Some(card) = Card::new(&["--always-auth"]) else {
        return;
    };
    card.event("keypad", PIN);
    let pinentry = Pinentry::new(&["ok"]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    signs(&card, &mut host);
    assert_eq!(pinentry.count("getpin"), 1);
}

#[test]
fn pulled_out_in_the_middle() {
    let Some(card) = Card::new(&[]) else { return };
    let pinentry = Pinentry::new(&[PIN]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    signs(&card, &mut host);
    card.event("removed", "");
    // It is back before anybody could say that it was gone, and wants its PIN.
    signs(&card, &mut host);
    assert_eq!(pinentry.count("getpin"), 2);
    card.event("removed", "");
    let never = json!({"draft": draft(ALICE), "protect": protect("mime"), "ask": "never"});
    assert_eq!(host.fault("message/seal", never).kind(), "key.locked");
}

#[test]
fn a_wrong_padding_that_a_card_calls_a_fault_of_its_own() {
    let Some(card) = Card::new(&[]) else { return };
    card.event("device-error", "");
    let pinentry = Pinentry::new(&[PIN]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    let args = [
        "cms", "-encrypt", "-binary", "-in", "entity", "-outform", "DER",
    ];
    let args = [&args[..], &["-aes-256-gcm", "-recip", "alice.pem"]].concat();
    let mut der = card.ca.go(&args);
    let key = memchr::memmem::find(&der, b"\x04\x82\x01\x00").unwrap() + 4;
    der[key + 200] ^= 1;
    let data = host.body(&der);
    let fault = host.fault("message/open", json!({"payload": {"data": data}}));
    assert_eq!(fault.kind(), "decrypt.failed");
    // Nobody is logged out for that: another question would tell as much as another answer.
    signs(&card, &mut host);
    assert_eq!(pinentry.count("getpin"), 1);
}

#[test]
fn a_module_that_hangs() {
    let Some(card) = Card::new(&[]) else { return };
    let pinentry = Pinentry::new(&[PIN]);
    let home = card.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    card.event("hang", "");
    let slow = host.send("keys/tokens", json!({}));
    // What needs no token does not wait for one.
    let shown = host.good("keys/show", json!({"id": id}));
    assert_eq!(shown["key"]["secret"], "token");
    assert!(!host.has(slow), "a module did not hang");
    let reply = host.wait(slow).unwrap();
    assert_eq!(reply["modules"][0]["state"], "silent");
    let fault = host.fault("keys/unlock", json!({"id": id}));
    assert_eq!(fault.data["reasons"], json!(["module-silent"]), "{fault:?}");
    card.over("hang");
    let host = std::cell::RefCell::new(host);
    until("the module's answer", || {
        let reply = host.borrow_mut().good("keys/tokens", json!({}));
        reply["modules"][0]["state"] == "ready"
    });
    let mut host = host.into_inner();
    signs(&card, &mut host);
    // The end of a conversation does not wait for a module that hangs.
    card.event("hang", "");
    host.send("keys/tokens", json!({}));
    host.close();
    assert!(host.exit(std::time::Duration::from_secs(15)).success());
    card.over("hang");
}
