//! A keyring of every kind, made by GnuPG itself, and messages to and from it.

use std::collections::BTreeMap;

use crate::gpgme_reference::folder::{copy_folder, settle};
use crate::harness::{Pinentry, encode};
use crate::peer::{Gpg, find};

pub const PASSPHRASE: &str = "over the hedge";

/// What the vectors call by name.
pub struct Keyring {
    pub gpg: Gpg,
    pub pinentry: Pinentry,
    /// Fingerprints.
    pub prints: BTreeMap<&'static str, String>,
    /// Messages, certificates and keys.
    pub things: BTreeMap<&'static str, Vec<u8>>,
}

const THEN: [&str; 2] = ["--faked-system-time", "20200102T000000"];

impl Keyring {
    /// `None`, and a loud line, where there is no GnuPG.
    pub fn new() -> Option<Keyring> {
        find("gpgsm")?;
        find("openssl")?;
        let (gpg, friend) = (Gpg::new()?, Gpg::new()?);
        let mut ring = Keyring {
            gpg,
            pinentry: Pinentry::new(&["%cancel"]),
            prints: BTreeMap::new(),
            things: BTreeMap::new(),
        };
        ring.own();
        ring.others(&friend);
        ring.openpgp(&friend);
        ring.cms();
        settle(&ring.gpg, &ring.pinentry);
        Some(ring)
    }

    /// Another home with the same in it.
    pub fn copy(&self) -> Gpg {
        let copy = Gpg::new().unwrap();
        copy_folder(self.gpg.home(), copy.home());
        copy
    }

    fn own(&mut self) {
        let gpg = &self.gpg;
        // Names on the command line are not in the locale's own letters.
        std::fs::write(gpg.home().join("gpg.conf"), "utf8-strings\ncharset utf-8\n").unwrap();
        let made = [
            (
                "alice",
                gpg.key("Alice <alice@ref.example>", "ed25519", "cv25519", &[]),
            ),
            (
                "rsa",
                gpg.key(
                    "Rüdiger Größe (Arbeit) <ruediger@ref.example>",
                    "rsa2048",
                    "rsa2048",
                    &[],
                ),
            ),
            (
                "p256",
                gpg.key("Nisti <nist@ref.example>", "nistp256", "nistp256", &[]),
            ),
            (
                "locked",
                gpg.key(
                    "Locked <locked@ref.example>",
                    "ed25519",
                    "cv25519",
                    &["--passphrase", PASSPHRASE],
                ),
            ),
            (
                "expired",
                gpg.key(
                    "Expired <expired@ref.example>",
                    "ed25519",
                    "cv25519",
                    &[THEN[0], THEN[1], "--expired"],
                ),
            ),
            (
                "revoked",
                gpg.key("Revoked <revoked@ref.example>", "ed25519", "cv25519", &[]),
            ),
        ];
        self.prints.extend(made);
        gpg.go(
            &[
                "--quick-gen-key",
                "Signs Only <signs@ref.example>",
                "ed25519",
                "sign,cert",
                "0",
            ],
            b"",
        );
        let batch = "%no-protection\nKey-Type: DSA\nKey-Length: 1024\nSubkey-Type: ELG-E\nSubkey-Length: 1024\n\
                     Name-Real: Old Hand\nName-Email: old@ref.example\nExpire-Date: 0\n%commit\n";
        gpg.go(&["--gen-key"], batch.as_bytes());
        let (signs, old) = (
            print(gpg, "signs@ref.example"),
            print(gpg, "old@ref.example"),
        );
        self.prints.insert("signs", signs);
        self.prints.insert("old", old);
        let (rsa, revoked) = (&self.prints["rsa"], &self.prints["revoked"]);
        for user in [
            "only a name",
            "второе имя <zweite@ref.example>",
            "Gone <gone@ref.example>",
        ] {
            gpg.go(&["--quick-add-uid", rsa, user], b"");
        }
        gpg.go(&["--quick-revoke-uid", rsa, "Gone <gone@ref.example>"], b"");
        let file = gpg.home().join(format!("openpgp-revocs.d/{revoked}.rev"));
        self.things.insert(
            "by_revoked",
            gpg.go(
                &["--armor", "-u", "revoked@ref.example", "--clearsign"],
                b"before\n",
            ),
        );
        let certificate = std::fs::read_to_string(file)
            .unwrap()
            .replace(":-----BEGIN", "-----BEGIN");
        gpg.go(&["--import"], certificate.as_bytes());
    }

    /// People whose public halves alone are here, or not even those.
    fn others(&mut self, friend: &Gpg) {
        let bob = friend.key("Bob <bob@ref.example>", "ed25519", "cv25519", &[]);
        let carol = friend.key("Carol <carol@ref.example>", "rsa2048", "rsa2048", &[]);
        let eve = friend.key("Eve <eve@ref.example>", "ed25519", "cv25519", &[]);
        let dave = friend.key("Dave <dave@ref.example>", "ed25519", "cv25519", &[]);
        for who in [&bob, &carol] {
            self.gpg.go(&["--import"], &friend.public(who));
        }
        self.gpg.go(
            &["-u", "alice@ref.example", "--quick-sign-key", &carol],
            b"",
        );
        self.things.insert("cert_eve", friend.public(&eve));
        self.things.insert("secret_dave", friend.secret(&dave));
        self.things.insert("cert_bob", friend.public(&bob));
        // Of two names signed in one second each program takes another one for the first.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        friend.go(
            &["--quick-add-uid", &bob, "Robert <robert@ref.example>"],
            b"",
        );
        self.things.insert("cert_bob_more", friend.public(&bob));
        self.things.insert(
            "cert_two",
            friend.go(&["--armor", "--export", &eve, &dave], b""),
        );
        self.things
            .insert("secret_alice", self.gpg.secret("alice@ref.example"));
        self.things
            .insert("cert_alice", self.gpg.public("alice@ref.example"));
        self.prints
            .extend([("bob", bob), ("carol", carol), ("eve", eve), ("dave", dave)]);
    }

    fn openpgp(&mut self, friend: &Gpg) {
        let gpg = &self.gpg;
        friend.go(&["--import"], &gpg.public("alice@ref.example"));
        let alice = "alice@ref.example";
        let text = "Zeile eins\nline two\n".as_bytes();
        let ascii = b"line one\nline two\n";
        let binary: Vec<u8> = (0..=255).collect();
        let made: Vec<(&'static str, &Gpg, Vec<&str>, &[u8])> = vec![
            ("to_alice", gpg, vec!["--armor", "-r", alice, "-e"], ascii),
            (
                "to_alice_utf8",
                gpg,
                vec!["--armor", "-r", alice, "-e"],
                "Grüße\n".as_bytes(),
            ),
            (
                "to_alice_empty",
                gpg,
                vec!["--armor", "-r", alice, "-e"],
                b"",
            ),
            ("to_alice_binary", gpg, vec!["-r", alice, "-e"], &binary),
            (
                "to_alice_nul",
                gpg,
                vec!["--armor", "-r", alice, "-e"],
                b"a\0b",
            ),
            (
                "to_alice_named",
                gpg,
                vec![
                    "--armor",
                    "--set-filename",
                    "Brief an dich.txt",
                    "-r",
                    alice,
                    "-e",
                ],
                ascii,
            ),
            (
                "to_alice_plain",
                gpg,
                vec!["--armor", "-z", "0", "-r", alice, "-e"],
                ascii,
            ),
            (
                "to_alice_hidden",
                gpg,
                vec!["--armor", "-R", alice, "-e"],
                ascii,
            ),
            (
                "to_many",
                gpg,
                vec![
                    "--armor",
                    "-r",
                    alice,
                    "-r",
                    "rsa",
                    "-r",
                    "bob@ref.example",
                    "-e",
                ],
                ascii,
            ),
            (
                "to_rsa",
                gpg,
                vec!["--armor", "-r", "ruediger@ref.example", "-e"],
                ascii,
            ),
            (
                "to_p256",
                gpg,
                vec!["--armor", "-r", "nist@ref.example", "-e"],
                ascii,
            ),
            (
                "to_old",
                gpg,
                vec!["--armor", "-r", "old@ref.example", "-e"],
                ascii,
            ),
            (
                "to_locked",
                gpg,
                vec!["--armor", "-r", "locked@ref.example", "-e"],
                ascii,
            ),
            (
                "to_bob",
                gpg,
                vec!["--armor", "-r", "bob@ref.example", "-e"],
                ascii,
            ),
            (
                "by_alice_to_alice",
                gpg,
                vec!["--armor", "-u", alice, "-r", alice, "-se"],
                ascii,
            ),
            (
                "by_bob_to_alice",
                friend,
                vec!["--armor", "-u", "bob@ref.example", "-r", alice, "-se"],
                ascii,
            ),
            (
                "by_eve_to_alice",
                friend,
                vec!["--armor", "-u", "eve@ref.example", "-r", alice, "-se"],
                ascii,
            ),
            (
                "by_alice_clear",
                gpg,
                vec!["-u", alice, "--clearsign"],
                ascii,
            ),
            (
                "by_bob_clear",
                friend,
                vec!["-u", "bob@ref.example", "--clearsign"],
                ascii,
            ),
            (
                "by_carol_clear",
                friend,
                vec!["-u", "carol@ref.example", "--clearsign"],
                text,
            ),
            (
                "by_eve_clear",
                friend,
                vec!["-u", "eve@ref.example", "--clearsign"],
                ascii,
            ),
            (
                "by_rsa_clear",
                gpg,
                vec!["-u", "ruediger@ref.example", "--clearsign"],
                ascii,
            ),
            (
                "by_old_clear",
                gpg,
                vec!["-u", "old@ref.example", "--clearsign"],
                ascii,
            ),
            (
                "by_alice_opaque_plain",
                gpg,
                vec!["--armor", "-z", "0", "-u", alice, "-s"],
                ascii,
            ),
            (
                "by_alice_opaque",
                gpg,
                vec!["--armor", "-u", alice, "-s"],
                ascii,
            ),
            (
                "by_alice_detached",
                gpg,
                vec!["--armor", "-u", alice, "-b"],
                ascii,
            ),
            (
                "by_alice_detached_binary",
                gpg,
                vec!["-u", alice, "-b"],
                ascii,
            ),
            (
                "by_alice_text_detached",
                gpg,
                vec!["--armor", "--textmode", "-u", alice, "-b"],
                ascii,
            ),
            (
                "by_alice_noted",
                gpg,
                vec![
                    "--sig-notation",
                    "note@ref.example=said",
                    "--sig-policy-url",
                    "https://ref.example/policy",
                    "-u",
                    alice,
                    "--clearsign",
                ],
                ascii,
            ),
            (
                "by_alice_ends",
                gpg,
                vec![
                    "--faked-system-time",
                    "20990102T000000",
                    "--ignore-time-conflict",
                    "-u",
                    alice,
                    "--clearsign",
                ],
                ascii,
            ),
            (
                "by_alice_over",
                gpg,
                vec![
                    "--default-sig-expire",
                    "seconds=1",
                    "-u",
                    alice,
                    "--clearsign",
                ],
                ascii,
            ),
            (
                "by_expired_clear",
                gpg,
                vec![
                    THEN[0],
                    "20200110T000000",
                    "-u",
                    "expired@ref.example",
                    "--clearsign",
                ],
                ascii,
            ),
            (
                "by_two",
                gpg,
                vec!["-u", alice, "-u", "ruediger@ref.example", "--clearsign"],
                ascii,
            ),
            (
                "by_passphrase",
                gpg,
                vec!["--armor", "--passphrase", PASSPHRASE, "-c"],
                ascii,
            ),
        ];
        let made: Vec<_> = made
            .into_iter()
            .map(|(name, gpg, args, input)| {
                let args: Vec<&str> = args
                    .into_iter()
                    .map(|a| {
                        if a == "rsa" {
                            "ruediger@ref.example"
                        } else {
                            a
                        }
                    })
                    .collect();
                (name, gpg.go(&args, input))
            })
            .collect();
        self.things.extend(made);
        let turned = |of: &str, from: &str, to: &str| {
            String::from_utf8(self.things[of].clone())
                .unwrap()
                .replacen(from, to, 1)
                .into_bytes()
        };
        let changed = turned("by_alice_clear", "line two", "line too");
        self.things.insert("by_alice_changed", changed);
        self.things.insert("ascii", ascii.to_vec());
        let mut broken = self.gpg.go(&["-r", alice, "-e"], ascii);
        let at = broken.len() - 30;
        broken[at] ^= 1;
        self.things.insert("to_alice_broken", broken);
    }

    /// `{{fpr.alice}}`, `{{keyid.alice}}`, `{{msg.to_alice}}` (text inside JSON's quotation
    /// marks), `{{base64.to_alice}}`.
    pub fn find(&self, kind: &str, name: &str) -> Option<String> {
        let print = self.prints.get(name);
        let thing = self.things.get(name);
        match kind {
            "fpr" => print.cloned(),
            "keyid" => print.map(|p| p[p.len() - 16..].to_owned()),
            "msg" => thing.map(|bytes| quoted(&String::from_utf8_lossy(bytes))),
            "base64" => thing.map(|bytes| encode(bytes)),
            _ => None,
        }
    }
}

/// As it stands between JSON's quotation marks.
pub fn quoted(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap();
    json[1..json.len() - 1].to_owned()
}

fn print(gpg: &Gpg, who: &str) -> String {
    let list = gpg.text(&["--with-colons", "--list-keys", who], b"");
    let line = list.lines().find(|line| line.starts_with("fpr:")).unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}
