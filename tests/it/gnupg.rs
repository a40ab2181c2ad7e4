//! GnuPG's keys in place: a real keyring, a real agent, nothing exported.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Home, Host, Pinentry, seal_one};
use crate::mime::{self, letter};
use crate::peer::{Gpg, run};
use crate::peers::{SIGNERS, Tally, read_by_gpg, verdict};

const ME: &str = "me@gpg.example";
const PASSPHRASE: &str = "over the hedge";

/// A home whose hosts find this GnuPG.
fn beside(gpg: &Gpg) -> Home {
    let home = gpg.home().to_str().unwrap();
    // The harness takes the variable away first.
    Home::new().env("GNUPGHOME", home)
}

fn own(host: &mut Host) -> Vec<Value> {
    let found = host.good("keys/list", json!({"secret": true}));
    found["keys"].as_array().unwrap().clone()
}

/// A key of gpg's under a passphrase that its agent does not remember.
fn protected(gpg: &Gpg) -> String {
    let go = |args: &[&str]| {
        let mut command = Command::new("gpg");
        command
            .env("GNUPGHOME", gpg.home())
            .args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"])
            .args(["--passphrase", PASSPHRASE]);
        let ran = run(command.args(args), b"");
        assert!(ran.ok, "{}", ran.stderr);
        ran.stdout
    };
    go(&["--quick-gen-key", ME, "ed25519", "sign,cert", "0"]);
    let listed = String::from_utf8(go(&["--with-colons", "--list-keys", ME])).unwrap();
    let fingerprint = listed
        .lines()
        .find_map(|line| line.strip_prefix("fpr:::::::::"))
        .unwrap()
        .trim_end_matches(':')
        .to_owned();
    go(&["--quick-add-key", &fingerprint, "cv25519", "encr", "0"]);
    forget(gpg);
    fingerprint
}

/// The agent forgets what it remembers, and reads its settings again.
fn forget(gpg: &Gpg) {
    let mut command = Command::new("gpgconf");
    command.env("GNUPGHOME", gpg.home());
    assert!(run(command.args(["--reload", "gpg-agent"]), b"").ok);
}

fn settings(gpg: &Gpg, lines: &str) {
    std::fs::write(gpg.home().join("gpg-agent.conf"), lines).unwrap();
    forget(gpg);
}

/// A message that gpg encrypted to its own key.
fn to_me(gpg: &Gpg, text: &str) -> Vec<u8> {
    let armor = gpg.text(&["--armor", "-r", ME, "-e"], mime::text(text).as_bytes());
    letter(
        "friend@gpg.example",
        ME,
        "for you",
        &mime::encrypted(&armor),
    )
}

#[test]
fn every_kind_of_key_works_in_place() {
    let Some(gpg) = Gpg::new() else { return };
    let mut tally = Tally::new("gpg's secret keys in place");
    for (address, algorithm, subkey) in SIGNERS {
        gpg.key(address, algorithm, subkey, &[]);
    }
    // ElGamal is not in our cryptographic library; the agent has it.
    gpg.key("elg@gpg.example", "dsa2048", "elg2048", &[]);
    let home = beside(&gpg);
    let mut host = home.start();
    host.hello();
    let keys = own(&mut host);
    assert_eq!(keys.len(), SIGNERS.len() + 1);
    for key in &keys {
        assert_eq!(key["secret"], "agent", "{key}");
        assert_eq!(key["source"], "gnupg");
        let accepted: Vec<_> = key["acceptance"].as_object().unwrap().values().collect();
        assert_eq!(accepted, ["accepted"]);
    }
    for (address, _, _) in SIGNERS {
        let entity = mime::text("own\n");
        let armor = gpg.text(
            &["--armor", "-u", address, "-r", address, "-se"],
            entity.as_bytes(),
        );
        let message = letter(address, address, "own", &mime::encrypted(&armor));
        let outcome = verdict(&mut host, &message, "whole", "good", "", "own");
        tally.note(&format!("{address} opens"), outcome);
        let sealed = seal_one(
            &mut host,
            json!({"from": address, "to": [address], "subject": "own", "text": {"text": "own\n"}}),
            json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
        );
        tally.note(
            &format!("{address} seals"),
            read_by_gpg(&gpg, &sealed, "own"),
        );
    }
    let armor = gpg.text(
        &["--armor", "-r", "elg@gpg.example", "-e"],
        mime::text("old\n").as_bytes(),
    );
    let message = letter(
        "x@gpg.example",
        "elg@gpg.example",
        "old",
        &mime::encrypted(&armor),
    );
    tally.note(
        "ElGamal opens",
        verdict(&mut host, &message, "whole", "none", "", "old"),
    );
    tally.end();
    // What is not here can't leave.
    let id = keys[0]["id"].clone();
    let fault = host.fault("keys/export", json!({"ids": [id], "secret": true}));
    assert_eq!(fault.kind(), "key.unusable");
    assert_eq!(fault.data["reasons"], json!(["in-gnupg"]));
    let fault = host.fault("keys/delete", json!({"id": id, "secret": true}));
    assert_eq!(fault.kind(), "key.unusable");
}

#[test]
fn a_passphrase_is_asked_for_once_and_the_agent_remembers() {
    let Some(gpg) = Gpg::new() else { return };
    protected(&gpg);
    let pinentry = Pinentry::new(&["wrong", PASSPHRASE]);
    let home = beside(&gpg).pinentry(&pinentry);
    let message = to_me(&gpg, "inside\n");
    let mut host = home.start();
    let fault = host
        .open_with(&message, json!({"ask": "never"}))
        .unwrap_err();
    assert_eq!(fault.kind(), "key.locked");
    assert_eq!(pinentry.count("getpin"), 0);
    let opened = host.open(&message).unwrap();
    assert_eq!(opened["summary"]["encrypted"], "whole");
    assert_eq!(pinentry.count("getpin"), 2);
    assert!(pinentry.descriptions().contains(ME));
    // Signing lies under the same passphrase, and another host is not asked either.
    let mut other = home.start();
    other.open(&message).unwrap();
    let sealed = seal_one(
        &mut other,
        json!({"from": ME, "to": [ME], "subject": "own", "text": {"text": "own\n"}}),
        json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
    );
    read_by_gpg(&gpg, &sealed, "own").unwrap();
    assert_eq!(pinentry.count("getpin"), 2);
    // What the agent forgets is asked for again.
    forget(&gpg);
    pinentry.answers(&["%cancel"]);
    assert_eq!(
        host.open(&message).unwrap_err().kind(),
        "passphrase.cancelled"
    );
    pinentry.answers(&["wrong", "wrong", "wrong", "wrong"]);
    assert_eq!(host.open(&message).unwrap_err().kind(), "passphrase.wrong");
    pinentry.answers(&[PASSPHRASE]);
    host.open(&message).unwrap();
    for file in home.files() {
        let bytes = std::fs::read(&file).unwrap();
        let found = memchr(&bytes, PASSPHRASE.as_bytes());
        assert!(!found, "the passphrase is in {}", file.display());
    }
}

fn memchr(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn an_agent_that_lets_nobody_else_ask_asks_itself() {
    let Some(gpg) = Gpg::new() else { return };
    protected(&gpg);
    let message = to_me(&gpg, "inside\n");
    let theirs = Pinentry::new(&[PASSPHRASE]);
    let program = theirs.program();
    settings(
        &gpg,
        &format!(
            "no-allow-loopback-pinentry\npinentry-program {}\n",
            program.display()
        ),
    );
    let ours = Pinentry::new(&[PASSPHRASE]);
    let home = beside(&gpg).pinentry(&ours);
    let mut host = home.start();
    // Where nobody is to be asked, it asks nobody either.
    let never = json!({"ask": "never"});
    let fault = host.open_with(&message, never.clone()).unwrap_err();
    assert_eq!(fault.kind(), "key.locked");
    assert_eq!(theirs.count("start"), 0);
    host.open(&message).unwrap();
    assert_eq!(ours.count("getpin"), 0);
    assert_eq!(theirs.count("getpin"), 1);
    host.open_with(&message, never).unwrap();
    assert_eq!(theirs.count("getpin"), 1);
    // One that remembers nothing is asked for ours once, and asks by itself from then on.
    settings(
        &gpg,
        &format!(
            "default-cache-ttl 0\nmax-cache-ttl 0\npinentry-program {}\n",
            program.display()
        ),
    );
    host.open(&message).unwrap();
    assert_eq!(ours.count("getpin"), 1);
    assert_eq!(theirs.count("getpin"), 2);
}

#[test]
fn the_keyring_is_looked_at_again_when_it_changes() {
    let Some(gpg) = Gpg::new() else { return };
    let fingerprint = gpg.key("first@gpg.example", "ed25519", "cv25519", &[]);
    let home = beside(&gpg);
    let mut host = home.start();
    assert_eq!(own(&mut host).len(), 1);
    gpg.key("second@gpg.example", "ed25519", "cv25519", &[]);
    assert_eq!(own(&mut host).len(), 2);
    let mut other = home.start();
    assert_eq!(own(&mut other).len(), 2);
    // Rejected here stays rejected, whatever GnuPG thinks.
    let id = format!("openpgp:{fingerprint}");
    let reject = json!({"id": id, "address": "first@gpg.example", "level": "rejected"});
    host.good("keys/accept", reject);
    gpg.go(&["--delete-secret-keys", &fingerprint], b"");
    let keys = own(&mut host);
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["addresses"], json!(["second@gpg.example"]));
    let shown = host.good("keys/show", json!({"id": id}));
    assert_eq!(shown["key"]["secret"], "none");
    assert_eq!(shown["key"]["acceptance"]["first@gpg.example"], "rejected");
    // A home of its own, without a word about GnuPG, has nothing to do with it.
    let mut apart = Home::new()
        .env("HOME", gpg.home().to_str().unwrap())
        .start();
    assert!(own(&mut apart).is_empty());
    // Nor has one whose policy says so.
    std::fs::write(home.path().join("policy.toml"), "gnupg = false\n").unwrap();
    let mut without = home.start();
    let fault = without.fault("keys/import", json!({"from": "gnupg"}));
    assert_eq!(fault.kind(), "policy.refused");
}

#[test]
fn the_keyring_is_copied_with_what_gnupg_thinks_of_it() {
    let Some(gpg) = Gpg::new() else { return };
    let Some(friends) = Gpg::new() else { return };
    gpg.key(ME, "ed25519", "cv25519", &[]);
    for address in ["known@gpg.example", "stranger@gpg.example"] {
        friends.key(address, "ed25519", "cv25519", &[]);
        gpg.go(&["--import"], &friends.public(address));
    }
    let listed = friends.text(&["--with-colons", "--list-keys", "known@gpg.example"], b"");
    let known = listed
        .lines()
        .find_map(|line| line.strip_prefix("fpr:::::::::"))
        .unwrap()
        .trim_end_matches(':');
    gpg.go(&["-u", ME, "--quick-lsign-key", known], b"");
    let home = beside(&gpg);
    let mut host = home.start();
    let copied = host.good("keys/import", json!({"from": "gnupg", "accept": true}));
    assert_eq!(copied["imported"].as_array().unwrap().len(), 3, "{copied}");
    let acceptance = |host: &mut Host, address: &str| {
        let found = host.good("keys/list", json!({"query": address}));
        let keys = found["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1);
        keys[0]["acceptance"][address].clone()
    };
    assert_eq!(acceptance(&mut host, "known@gpg.example"), "accepted");
    assert_eq!(acceptance(&mut host, "stranger@gpg.example"), "undecided");
    // On the command line, and nothing new.
    let ran = run(
        home.command()
            .args(["keys", "import", "--from-gnupg", "--json"]),
        b"",
    );
    assert!(ran.ok, "{}", ran.stderr);
    let again: Value = serde_json::from_slice(&ran.stdout).unwrap();
    for imported in again["imported"].as_array().unwrap() {
        assert_eq!(imported["change"], "unchanged", "{again}");
    }
    let fault = host.fault("keys/import", json!({}));
    assert_eq!(fault.data["path"], "/data");
    let both = json!({"from": "gnupg", "data": {"text": "x"}});
    assert_eq!(host.fault("keys/import", both).data["path"], "/data");
}

#[test]
fn without_gnupg_everything_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("bin");
    std::fs::create_dir(&empty).unwrap();
    let home = Home::new()
        .env("GNUPGHOME", folder.path().to_str().unwrap())
        .env("PATH", empty.to_str().unwrap());
    let mut host = home.start();
    crate::harness::generate(&mut host, "Me", ME, "compatible");
    assert_eq!(own(&mut host).len(), 1);
    let fault = host.fault("keys/import", json!({"from": "gnupg"}));
    assert_eq!(fault.kind(), "store.unavailable");
    // A gpg that never comes back is not waited for for ever, and the request can be cancelled.
    let sleepy = empty.join("gpg");
    std::fs::write(&sleepy, "#!/bin/sh\nexec /bin/sleep 300\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&sleepy, mode).unwrap();
    let id = host.send("keys/import", json!({"from": "gnupg"}));
    crate::harness::until("gpg to be called", || called(&sleepy));
    host.notify("$/cancelRequest", json!({"id": id}));
    assert_eq!(host.wait(id).unwrap_err().kind(), "cancelled");
    assert!(!called(&sleepy), "gpg was left behind");
}

/// Whether a program made of `script` runs in it.
fn called(script: &Path) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|process| {
        let path = process.path();
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        let folder = script.parent().unwrap().to_str().unwrap().as_bytes();
        line.starts_with(b"/bin/sleep\x00300") && memchr(&environment, folder)
    })
}
