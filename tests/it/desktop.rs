//! The desktop: its key store, and locking when the person goes away. A real bus and a real
//! GNOME Keyring, each of the test's own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::asking::{Locked, locked_in, opened};
use crate::backup::{read, write};
use crate::harness::{Home, Host, seal_one, until};
use crate::peer::{find, run};

const ME: &str = "me@desktop.example";

/// A message bus, for what a session and a system say alike.
struct Bus {
    folder: TempDir,
    address: String,
    processes: Vec<Child>,
}

impl Bus {
    /// `None`, and a loud line, where there is no bus.
    fn new() -> Option<Bus> {
        let program = find("dbus-daemon")?;
        let folder = tempfile::Builder::new().prefix("db").tempdir().unwrap();
        let mut bus = Command::new(program)
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .arg(format!(
                "--address=unix:path={}/bus",
                folder.path().display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Some(Bus {
            folder,
            address: address.trim().to_owned(),
            processes: vec![bus],
        })
    }

    /// GNOME Keyring on it, unlocked.
    fn keyring(&mut self) -> Option<()> {
        let program = find("gnome-keyring-daemon")?;
        let mut keyring = Command::new(program)
            .args(["--foreground", "--unlock", "--components=secrets"])
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        keyring
            .stdin
            .take()
            .unwrap()
            .write_all(b"of the desktop")
            .unwrap();
        self.processes.push(keyring);
        until("the key store on the bus", || {
            self.send(&[
                "--print-reply",
                "--dest=org.freedesktop.DBus",
                "/",
                "org.freedesktop.DBus.GetNameOwner",
                "string:org.freedesktop.secrets",
            ])
        });
        Some(())
    }

    fn send(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new("dbus-send");
        command.arg(format!("--bus={}", self.address));
        run(command.args(arguments), b"").ok
    }

    /// Says something to everybody.
    fn signal(&self, path: &str, name: &str, value: bool) {
        let value = format!("boolean:{value}");
        assert!(self.send(&["--type=signal", path, name, &value]));
    }

    /// A home on this desktop.
    fn home(&self) -> Home {
        Home::new()
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn generate(host: &mut Host, protocol: &str) -> String {
    let reply = host.good(
        "keys/generate",
        json!({"protocol": protocol, "name": "Me", "address": ME, "passphrase": "keychain"}),
    );
    reply["key"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_desktop_keeps_what_opens_a_key() {
    let Some(mut bus) = Bus::new() else { return };
    let Some(()) = bus.keyring() else { return };
    for protocol in ["openpgp", "smime"] {
        let home = bus.home();
        let mut host = home.start();
        let id = generate(&mut host, protocol);
        drop(host);
        let mut host = home.start();
        let shown = host.good("keys/show", json!({"id": id}));
        assert_eq!(shown["key"]["secret"], "unlocked");
        let sealed = seal_one(
            &mut host,
            json!({"from": ME, "to": [ME], "subject": "own", "text": {"text": "own\n"}}),
            json!({"sign": true, "encrypt": true, "protocol": protocol}),
        );
        let opened = host.open(&sealed).unwrap();
        assert_eq!(opened["summary"]["encrypted"], "whole");
        // A backup holds what opens it, and is taken up where no desktop keeps anything.
        let mut asking = home.start();
        asking.good(
            "hello",
            json!({"protocol": [1], "client": "tests/1", "capabilities": {"ask": true}}),
        );
        let copy = write(&mut asking);
        drop(asking);
        let new = Home::new().env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
        let mut moved = new.start();
        moved.good(
            "hello",
            json!({"protocol": [1], "client": "tests/1", "capabilities": {"ask": true}}),
        );
        let restored = read(&mut moved, &copy).unwrap();
        assert_eq!(restored["restored"]["secretKeys"], 1, "{restored}");
        let opened = moved.open(&sealed).unwrap();
        assert_eq!(opened["summary"]["encrypted"], "whole");
        // Nothing in the folder of state opens it: elsewhere it stays closed.
        let home = home.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
        let mut elsewhere = home.start();
        let fault = elsewhere.open(&sealed).unwrap_err();
        assert_eq!(
            fault.kind(),
            "passphrase.unavailable",
            "{protocol}: {fault:?}"
        );
        drop(elsewhere);
        host.good("keys/delete", json!({"id": id, "secret": true}));
        assert!(host.open(&sealed).is_err());
    }
}

#[test]
fn without_a_key_store_nothing_is_made() {
    let home = Home::new().env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let mut host = home.start();
    let fault = host.fault(
        "keys/generate",
        json!({"protocol": "openpgp", "address": ME, "passphrase": "keychain"}),
    );
    assert_eq!(fault.kind(), "passphrase.unavailable");
    let listed = host.good("keys/list", json!({}));
    assert_eq!(listed["keys"], json!([]));
    assert!(
        home.files()
            .iter()
            .all(|file| !file.to_string_lossy().contains("secrets"))
    );
}

#[test]
fn keys_are_locked_when_the_person_goes_away() {
    let Some(bus) = Bus::new() else { return };
    for_each_way(&locked_in(bus.home().env("SEALPOST_AGENT", "")), &bus);
    // The same in a host that can have no agent.
    let it = locked_in(bus.home().env("SEALPOST_AGENT", ""));
    std::fs::write(it.home.path().join("agent"), b"in the way").unwrap();
    for_each_way(&it, &bus);
}

fn for_each_way(it: &Locked, bus: &Bus) {
    let mut host = it.home.start();
    let secret = |host: &mut Host| {
        let shown = host.good("keys/show", json!({"id": it.id}));
        shown["key"]["secret"].as_str().unwrap().to_owned()
    };
    let login = (
        "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager.PrepareForSleep",
    );
    let screen = (
        "/org/freedesktop/ScreenSaver",
        "org.freedesktop.ScreenSaver.ActiveChanged",
    );
    for (path, name) in [login, screen] {
        opened(host.open(&it.message));
        // Coming back, and what others say, locks nothing.
        bus.signal(path, name, false);
        bus.signal(path, "org.example.Other.ActiveChanged", true);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(secret(&mut host), "unlocked");
        bus.signal(path, name, true);
        let host = std::cell::RefCell::new(&mut host);
        until(name, || secret(&mut host.borrow_mut()) == "locked");
    }
}
