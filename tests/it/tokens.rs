//! Keys on tokens, through the front door: SoftHSM as the smart card, certificates of an authority
//! made on the spot, `openssl cms` at the other end.
//!
//! SoftHSM never locks a PIN; that a token warns or is locked is written into its file.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Home, Host, Pinentry, holds, seal_one, shorten};
use crate::peer::{find, run};
use crate::peers::{Tally, verdict};
use crate::smime::{ALICE, BOB, Ca, TEXT, entity, message};

pub(crate) const PIN: &str = "4711-pin";
pub(crate) const WRONG: &str = "0815-pin";

/// Where SoftHSM's module lies on Debian, and elsewhere.
const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// The flags of a token in PKCS#11 (`CKF_...`).
const COUNT_LOW: u8 = 0x01;
const FINAL_TRY: u8 = 0x02;
const LOCKED: u8 = 0x04;
const KEYPAD: (usize, u8) = (6, 0x01);

/// The id that a person's things have on a token.
fn hex(name: &str) -> String {
    name.bytes().map(|b| format!("{b:02x}")).collect()
}

/// A folder with soft tokens.
pub(crate) struct Soft {
    folder: TempDir,
    pub(crate) module: PathBuf,
    util: PathBuf,
    tool: PathBuf,
}

impl Soft {
    /// `None`, and a loud line, where there is no SoftHSM.
    pub(crate) fn new() -> Option<Soft> {
        let module = MODULES.iter().map(PathBuf::from).find(|path| path.exists());
        if module.is_none() {
            println!("ABSENT: libsofthsm2.so is not here; keys on tokens were NOT shown");
        }
        let soft = Soft {
            folder: tempfile::tempdir().unwrap(),
            module: module?,
            util: find("softhsm2-util")?,
            tool: find("pkcs11-tool")?,
        };
        std::fs::create_dir(soft.tokens()).unwrap();
        let config = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            soft.tokens().display()
        );
        std::fs::write(soft.config(), config).unwrap();
        Some(soft)
    }

    /// The same with one token and the keys of these people on it.
    pub(crate) fn with(ca: &Ca, people: &[(&str, &str, &str)]) -> Option<Soft> {
        let soft = Soft::new()?;
        soft.token("Card");
        for (name, kind, address) in people {
            ca.person(name, kind, address);
            soft.put(ca, "Card", name, &[]);
        }
        Some(soft)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("softhsm2.conf")
    }

    fn tokens(&self) -> PathBuf {
        self.path("tokens")
    }

    #[track_caller]
    fn run(&self, program: &Path, args: &[&str]) {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.config()).args(args);
        let ran = run(&mut command, b"");
        assert!(ran.ok, "{program:?} {args:?}: {}", ran.stderr);
    }

    /// A new token.
    pub(crate) fn token(&self, label: &str) {
        let pins = ["--pin", PIN, "--so-pin", "12345678"];
        let args = [&["--init-token", "--free", "--label", label][..], &pins];
        self.run(&self.util, &args.concat());
    }

    /// An authority's certificate on a token.
    fn put_authority(&self, ca: &Ca, label: &str, name: &str) {
        let cert = self.der(ca, name);
        self.write(label, &["--write-object", &cert, "--type", "cert"]);
    }

    /// A person's certificate on a token, and nothing of its key.
    fn put_certificate(&self, ca: &Ca, label: &str, name: &str) {
        let (id, cert) = (hex(name), self.der(ca, name));
        let public = ["--write-object", &cert, "--type", "cert", "--id", &id];
        self.write(label, &public);
    }

    /// The public half of a person's key on a token.
    fn put_public(&self, ca: &Ca, label: &str, name: &str) {
        let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
        ca.go(&[
            "pkey", "-in", &key, "-pubout", "-outform", "DER", "-out", &public,
        ]);
        let (id, public) = (hex(name), ca.path(&public));
        let public = public.to_str().unwrap();
        self.write(
            label,
            &["--write-object", public, "--type", "pubkey", "--id", &id],
        );
    }

    fn der(&self, ca: &Ca, name: &str) -> String {
        let (pem, cert) = (format!("{name}.pem"), ca.path(&format!("{name}.der")));
        let cert = cert.to_str().unwrap().to_owned();
        ca.go(&["x509", "-in", &pem, "-outform", "DER", "-out", &cert]);
        cert
    }

    fn write(&self, label: &str, what: &[&str]) {
        let module = self.module.to_str().unwrap();
        let login = [
            "--module",
            module,
            "--token-label",
            label,
            "--login",
            "--pin",
            PIN,
        ];
        self.run(&self.tool, &[&login[..], what].concat());
    }

    /// A person's key and certificate on a token, under the same id.
    pub(crate) fn put(&self, ca: &Ca, label: &str, name: &str, more: &[&str]) {
        let id = hex(name);
        let key = ca.path(&format!("{name}.key"));
        let key = key.to_str().unwrap();
        let usage = ["--usage-sign", "--usage-decrypt", "--usage-derive"];
        // A key on a curve does not decrypt.
        let of_curve = !String::from_utf8_lossy(&ca.go(&["pkey", "-in", key, "-noout", "-text"]))
            .contains("prime1");
        let usage: Vec<&str> = match of_curve {
            true => vec![usage[0], usage[2]],
            false => vec![usage[0], usage[1]],
        };
        let secret = ["--write-object", key, "--type", "privkey", "--id", &id];
        self.write(label, &[&secret[..], &usage, more].concat());
        self.put_certificate(ca, label, name);
    }

    /// A state folder whose policy allows the module.
    pub(crate) fn home(&self, pinentry: &Pinentry) -> Home {
        let home = Home::new()
            .pinentry(pinentry)
            .env("SOFTHSM2_CONF", self.config().to_str().unwrap())
            // All that the log may ever say is looked through for PINs.
            .env("SEALPOST_LOG", "trace");
        self.allow(&home, &[self.module.to_str().unwrap()]);
        home
    }

    pub(crate) fn allow(&self, home: &Home, modules: &[&str]) {
        std::fs::create_dir_all(home.path()).unwrap();
        let policy = format!("pkcs11-modules = {modules:?}\n");
        std::fs::write(home.path().join("policy.toml"), policy).unwrap();
    }

    /// Pulls all tokens out of their readers.
    fn pull(&self) {
        let away = self.path("away");
        std::fs::rename(self.tokens(), away).unwrap();
        std::fs::create_dir(self.tokens()).unwrap();
    }

    /// Plugs them in again.
    fn plug(&self) {
        std::fs::remove_dir(self.tokens()).unwrap();
        let away = self.path("away");
        std::fs::rename(away, self.tokens()).unwrap();
    }

    /// Sets bits in a byte (the last is 7) of the only token's flags, which SoftHSM keeps in a
    /// file as eight bytes after their type and kind.
    fn flag(&self, byte: usize, bits: u8) {
        let token = std::fs::read_dir(self.tokens()).unwrap().next().unwrap();
        let path = token.unwrap().path().join("token.object");
        let mut object = std::fs::read(&path).unwrap();
        let mark = b"\0\0\0\0\x80\0SK\0\0\0\0\0\0\0\x02";
        let at = memchr::memmem::find(&object, mark).unwrap() + mark.len();
        object[at + byte] |= bits;
        std::fs::write(&path, object).unwrap();
    }

    fn flag_pin(&self, bits: u8) {
        self.flag(5, bits);
    }
}

/// The host's tokens and certificates, taken in and accepted; the ids of the keys on tokens.
#[track_caller]
pub(crate) fn taken(host: &mut Host) -> Vec<String> {
    let reply = host.good("keys/tokens", json!({"accept": true}));
    let tokens = reply["tokens"].as_array().unwrap();
    let keys = tokens.iter().flat_map(|t| t["keys"].as_array().unwrap());
    keys.map(|id| id.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn draft(from: &str) -> Value {
    json!({"from": from, "to": [BOB], "subject": "s", "text": {"text": TEXT}})
}

pub(crate) fn protect(scheme: &str) -> Value {
    json!({"sign": true, "encrypt": false, "protocol": "smime", "scheme": scheme})
}

/// Neither the log nor anything else that is kept holds a PIN.
#[track_caller]
pub(crate) fn nobody_kept_a_pin(home: &Home) {
    let log = home.path().join("log/sealpost.log");
    assert!(log.exists(), "there is no log to look at");
    for pin in [PIN, WRONG] {
        assert_eq!(holds(&home.files(), pin), None);
    }
}

#[test]
fn what_a_token_signs_openssl_verifies() {
    let (Some(ca), Some(soft)) = (Ca::new(), Soft::new()) else {
        return;
    };
    let mut tally = Tally::new("signed by a token");
    soft.token("Card");
    let kinds = [
        ("rsa", "rsa:2048"),
        ("pss", "RSA-PSS"),
        ("p256", "ec:P-256"),
        ("p384", "ec:P-384"),
        ("p521", "ec:P-521"),
    ];
    for (name, kind) in kinds {
        ca.person(name, kind, &format!("{name}@smime.example"));
        if name == "pss" {
            // To a token an RSA key is an RSA key: without the algorithm around it.
            let key = ca.path("pss.key");
            let key = key.to_str().unwrap();
            ca.go(&[
                "asn1parse",
                "-in",
                key,
                "-strparse",
                "20",
                "-noout",
                "-out",
                "bare",
            ]);
            ca.go(&["rsa", "-inform", "DER", "-in", "bare", "-out", key]);
        }
        soft.put(&ca, "Card", name, &[]);
    }
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    crate::harness::import(&mut host, &ca.read("middle.pem"), Value::Null);
    assert_eq!(taken(&mut host).len(), kinds.len());
    assert_eq!(pinentry.count("getpin"), 0, "a PIN for public certificates");
    for (name, kind) in kinds {
        for scheme in ["mime", "opaque"] {
            let from = format!("{name}@smime.example");
            let sealed = seal_one(&mut host, draft(&from), protect(scheme));
            ca.write("sealed", &sealed);
            let ran = ca.try_run(&[
                "cms", "-verify", "-in", "sealed", "-CAfile", "root.pem", "-out", "content",
            ]);
            let outcome = match ran.ok {
                true => verdict(&mut host, &sealed, "none", "good", "", TEXT.trim_end()),
                false => Err(ran.stderr),
            };
            tally.note(&format!("{kind} {scheme}"), outcome);
        }
    }
    assert_eq!(pinentry.count("getpin"), 1, "one token, one PIN");
    let said = pinentry.descriptions();
    assert!(
        said.contains("Card") && said.contains("rsa@smime"),
        "{said}"
    );
    nobody_kept_a_pin(&home);
    tally.end();
}

#[test]
fn what_openssl_encrypts_a_token_opens() {
    let Some(ca) = Ca::new() else { return };
    let people = [
        ("rsa", "rsa:2048", ALICE),
        ("p256", "ec:P-256", ALICE),
        ("p384", "ec:P-384", ALICE),
    ];
    let Some(soft) = Soft::with(&ca, &people) else {
        return;
    };
    let mut tally = Tally::new("opened by a token");
    ca.write("entity", entity());
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    for (name, _, _) in people {
        let ways: &[&[&str]] = match name {
            "rsa" => &[&[], &["-keyopt", "rsa_padding_mode:oaep"]],
            // Many, so that a shared secret that begins with a zero is among them now and then.
            _ => &[&[], &["-keyopt", "ecdh_kdf_md:sha512"], &[], &[], &[]],
        };
        for cipher in ["-aes-128-cbc", "-aes-256-cbc", "-aes-256-gcm"] {
            for way in ways {
                let cert = format!("{name}.pem");
                let mut args = vec!["cms", "-encrypt", "-binary", "-in", "entity", cipher];
                args.extend(["-recip", &cert]);
                args.extend(*way);
                let sealed = message(BOB, &ca.go(&args));
                let outcome = verdict(&mut host, &sealed, "whole", "none", "", TEXT.trim_end());
                tally.note(&format!("{name} {cipher} {way:?}"), outcome);
            }
        }
    }
    assert_eq!(pinentry.count("getpin"), 1, "one token, one PIN");
    // SoftHSM has OAEP with SHA-1 alone: that is no fault of the message.
    let oaep = [
        "-keyopt",
        "rsa_padding_mode:oaep",
        "-keyopt",
        "rsa_oaep_md:sha256",
    ];
    let mut args = vec![
        "cms", "-encrypt", "-binary", "-in", "entity", "-recip", "rsa.pem",
    ];
    args.extend(oaep);
    let fault = host.open(&message(BOB, &ca.go(&args))).unwrap_err();
    assert_eq!(fault.data["reasons"], json!(["token-refuses"]), "{fault:?}");
    tally.end();
}

/// Bleichenbacher's question, put to a token: was the padding right?
#[test]
fn wrong_padding_does_not_show() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("rsa", "rsa:2048", ALICE)]) else {
        return;
    };
    ca.write("entity", entity());
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    for (cipher, integrity) in [("-aes-256-cbc", false), ("-aes-256-gcm", true)] {
        let args = ["cms", "-encrypt", "-binary", "-in", "entity", cipher];
        let args = [&args[..], &["-outform", "DER", "-recip", "rsa.pem"]].concat();
        let der = ca.go(&args);
        // The encrypted key: 256 bytes in an OCTET STRING.
        let key = memchr::memmem::find(&der, b"\x04\x82\x01\x00").unwrap() + 4;
        let mut seen = std::collections::BTreeSet::new();
        let mut open = |host: &mut Host, bad: &[u8]| {
            let data = host.body(bad);
            match host.call("message/open", json!({"payload": {"data": data}})) {
                Ok(found) => assert!(!integrity, "{}", shorten(&found)),
                Err(fault) => {
                    seen.insert((fault.kind().to_owned(), fault.message));
                }
            }
        };
        for at in (key..key + 256).step_by(23) {
            let mut bad = der.clone();
            bad[at] ^= 1;
            open(&mut host, &bad);
        }
        // A right padding around another key of a wrong length, and of the right one.
        for length in [16, 31, 32] {
            ca.write("plain", vec![7; length]);
            let wrapped = ca.go(&[
                "pkeyutl", "-encrypt", "-certin", "-inkey", "rsa.pem", "-in", "plain",
            ]);
            let mut bad = der.clone();
            bad[key..key + 256].copy_from_slice(&wrapped);
            open(&mut host, &bad);
        }
        let kinds: Vec<_> = seen.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["decrypt.failed"], "{seen:?}");
    }
    assert_eq!(pinentry.count("getpin"), 1, "a wrong padding logged out");
}

#[test]
fn certificates_of_a_token_are_own() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let reply = host.good("keys/tokens", json!({}));
    let token = &reply["tokens"][0];
    assert_eq!(token["label"], "Card");
    assert_eq!(token["state"], "ready");
    assert_eq!(reply["modules"][0]["state"], "ready");
    let id = token["keys"][0].as_str().unwrap().to_owned();
    assert_eq!(
        reply["imported"],
        json!([{"id": id, "change": "new", "secret": true}])
    );
    let again = host.good("keys/tokens", json!({}));
    assert_eq!(again["imported"][0]["change"], "unchanged");
    let key = host.good("keys/show", json!({"id": id}));
    assert_eq!(key["key"]["secret"], "token");
    assert_eq!(key["key"]["acceptance"][ALICE], "undecided");
    let own = host.good("keys/list", json!({"secret": true}));
    assert_eq!(own["keys"][0]["id"], id.as_str());
    // What is not here can't be given out, nor be put under a passphrase.
    let export = json!({"ids": [id], "secret": true});
    for (method, params) in [
        ("keys/export", export),
        ("keys/passphrase", json!({"id": id})),
    ] {
        let fault = host.fault(method, params);
        assert_eq!(fault.data["reasons"], json!(["on-token"]), "{method}");
    }
    assert_eq!(pinentry.count("getpin"), 0);
    // A request to its authority is signed on the token.
    let renewed = host.good(
        "keys/renew",
        json!({"id": id, "expires": "2040-01-01T00:00:00Z"}),
    );
    let request = host.bytes(&renewed["request"]);
    ca.write("request", &request);
    ca.go(&[
        "req", "-inform", "DER", "-in", "request", "-verify", "-noout",
    ]);
    assert_eq!(pinentry.count("getpin"), 1);
    host.good("keys/delete", json!({"id": id, "secret": true}));
    assert_eq!(
        host.fault("keys/show", json!({"id": id})).kind(),
        "key.missing"
    );
    assert_eq!(taken(&mut host), [id]);
}

/// The certificate of somebody whose secret half lies in the store stays what it is.
const CAROL: &str = "carol@smime.example";

/// A certificate of somebody's that lies there is none of one's own.
#[test]
fn a_certificate_without_its_key_is_left_out() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    soft.put_public(&ca, "Card", "alice");
    ca.person("carol", "ec:P-256", CAROL);
    soft.put_certificate(&ca, "Card", "carol");
    let home = soft.home(&Pinentry::new(&["%cancel"]));
    let mut host = home.start();
    host.hello();
    for accept in [false, true] {
        let reply = host.good("keys/tokens", json!({"accept": accept}));
        assert_eq!(
            reply["skipped"],
            json!([{"reason": "no-key-id"}]),
            "{reply}"
        );
        assert_eq!(reply["tokens"][0]["keys"].as_array().unwrap().len(), 1);
        let listed = host.good("keys/list", json!({}))["keys"].clone();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(listed[0]["addresses"], json!([ALICE]));
    }
}

/// A token that shows no public halves shows its keys after a login.
#[test]
fn who_is_logged_in_sees_which_keys_are_there() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    for name in ["bob", "carol"] {
        ca.person(name, "ec:P-256", &format!("{name}@smime.example"));
    }
    soft.put(&ca, "Card", "bob", &[]);
    soft.put_certificate(&ca, "Card", "carol");
    drop(host);
    let mut host = home.start();
    host.hello();
    host.good("keys/unlock", json!({"id": id}));
    let reply = host.good("keys/tokens", json!({}));
    assert_eq!(
        reply["skipped"],
        json!([{"reason": "no-key-id"}]),
        "{reply}"
    );
    assert_eq!(reply["tokens"][0]["keys"].as_array().unwrap().len(), 2);
    assert_eq!(pinentry.count("getpin"), 1);
}

/// What a token shows is no proof: where somebody has the address, the person is asked.
#[test]
fn a_token_claims_no_address_by_itself() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::new() else { return };
    soft.token("Card");
    ca.person("carol", "ec:P-256", CAROL);
    soft.put_certificate(&ca, "Card", "carol");
    ca.person("known", "ec:P-256", CAROL);
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    crate::harness::import(&mut host, &ca.read("known.pem"), Value::Null);
    let known = host.good("keys/list", json!({}))["keys"][0]["id"].clone();
    let verified = json!({"id": known, "address": CAROL, "level": "verified"});
    host.good("keys/accept", verified);
    drop(host);
    let home = home.confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    for accept in [false, true] {
        let fault = host.fault("keys/tokens", json!({"accept": accept}));
        assert_eq!(fault.kind(), "consent.denied");
    }
    let plan = json!({"from": ALICE, "to": [CAROL], "protect": {"sign": false, "encrypt": true}});
    let plan = host.good("message/plan", plan);
    assert_eq!(plan["recipients"][0]["state"], "ready", "{plan}");
    assert_eq!(plan["recipients"][0]["keys"][0]["id"], known);
    drop(host);
    let home = home.confirm(Some("yes"));
    let mut host = home.start();
    assert_eq!(taken(&mut host).len(), 1);
}

#[test]
fn a_token_takes_no_other_keys_place() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&["%cancel"]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    crate::harness::import(&mut host, &ca.file("alice"), Value::Null);
    let reply = host.good("keys/tokens", json!({"accept": true}));
    assert_eq!(reply["skipped"], json!([{"reason": "secret-here"}]));
    seal_one(&mut host, draft(ALICE), protect("mime"));
    assert_eq!(pinentry.count("getpin"), 0);
}

/// Where a key that is open will do, no token is asked, and nobody for a PIN.
#[test]
fn a_message_to_a_token_and_to_another_key() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "rsa:2048", ALICE)]) else {
        return;
    };
    ca.write("entity", entity());
    ca.person("other", "rsa:2048", ALICE);
    let args = ["cms", "-encrypt", "-binary", "-in", "entity"];
    let both = [&args[..], &["-recip", "alice.pem", "-recip", "other.pem"]].concat();
    let both = message(BOB, &ca.go(&both));
    let pinentry = Pinentry::new(&["%cancel"]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    let fault = host.open(&both).unwrap_err();
    assert_eq!(fault.kind(), "passphrase.cancelled");
    crate::harness::import(&mut host, &ca.file("other"), Value::Null);
    verdict(&mut host, &both, "whole", "none", "", TEXT.trim_end()).unwrap();
    assert_eq!(pinentry.count("getpin"), 1);
    // Nor is it a fault that the token is not here.
    soft.pull();
    verdict(&mut host, &both, "whole", "none", "", TEXT.trim_end()).unwrap();
    let fault = host.fault("keys/unlock", json!({"id": id}));
    assert_eq!(fault.data["reasons"], json!(["token-absent"]));
}

#[test]
fn a_pin_is_asked_for_once_and_again_after_locking() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    let never = json!({"draft": draft(ALICE), "protect": protect("mime"), "ask": "never"});
    let fault = host.fault("message/seal", never.clone());
    assert_eq!(fault.kind(), "key.locked");
    assert_eq!(fault.data["ids"], json!([id]));
    host.good("keys/unlock", json!({"id": id}));
    host.good("keys/unlock", json!({"id": id}));
    assert_eq!(pinentry.count("getpin"), 1);
    host.good("message/seal", never.clone());
    // Another host has a PIN of its own to give, and the first one's login is not its.
    let mut other = home.start();
    other.hello();
    assert_eq!(
        other.fault("message/seal", never.clone()).kind(),
        "key.locked"
    );
    seal_one(&mut other, draft(ALICE), protect("mime"));
    assert_eq!(pinentry.count("getpin"), 2);
    other.good("keys/lock", json!({}));
    assert_eq!(
        other.fault("message/seal", never.clone()).kind(),
        "key.locked"
    );
    // Locked there is locked here.
    assert_eq!(
        host.fault("message/seal", never.clone()).kind(),
        "key.locked"
    );
    host.good("keys/unlock", json!({"id": id}));
    host.good("message/seal", never.clone());
    assert_eq!(host.good("keys/lock", json!({"id": id}))["secret"], "token");
    assert_eq!(host.fault("message/seal", never).kind(), "key.locked");
    pinentry.answers(&["%cancel"]);
    let fault = host.fault(
        "message/seal",
        json!({"draft": draft(ALICE), "protect": protect("mime")}),
    );
    assert_eq!(fault.kind(), "passphrase.cancelled");
    nobody_kept_a_pin(&home);
    other.close();
    assert!(other.exit(std::time::Duration::from_secs(15)).success());
}

#[test]
fn a_token_is_locked_by_any_of_its_keys() {
    let Some(ca) = Ca::new() else { return };
    let people = [("alice", "ec:P-256", ALICE), ("bob", "ec:P-256", BOB)];
    let Some(soft) = Soft::with(&ca, &people) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    assert_eq!(taken(&mut host).len(), 2);
    let id = |host: &mut Host, address: &str| {
        let found = host.good("keys/list", json!({"secret": true, "query": address}));
        found["keys"][0]["id"].clone()
    };
    let (alice, bob) = (id(&mut host, ALICE), id(&mut host, BOB));
    assert_ne!(alice, bob);
    let never = json!({"draft": draft(ALICE), "protect": protect("mime"), "ask": "never"});
    host.good("keys/unlock", json!({"id": alice}));
    host.good("message/seal", never.clone());
    // In another host, by a key that this one has not used.
    home.start().good("keys/lock", json!({"id": bob}));
    assert_eq!(host.fault("message/seal", never).kind(), "key.locked");
}

#[test]
fn a_login_ends_with_its_time() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let policy = home.path().join("policy.toml");
    let rules = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, format!("{rules}unlock-seconds = 1\n")).unwrap();
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    host.good("keys/unlock", json!({"id": id}));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let never = json!({"draft": draft(ALICE), "protect": protect("mime"), "ask": "never"});
    assert_eq!(host.fault("message/seal", never).kind(), "key.locked");
}

/// Through the agent the PIN is asked for once for every host, and locking is for all of them.
#[test]
fn one_pin_for_every_host() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[WRONG, PIN]);
    let home = soft.home(&pinentry).env("SEALPOST_AGENT", "");
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    seal_one(&mut host, draft(ALICE), protect("mime"));
    assert_eq!(pinentry.count("getpin"), 2);
    drop(host);
    let mut other = home.start();
    other.hello();
    seal_one(&mut other, draft(ALICE), protect("mime"));
    other.good("keys/unlock", json!({"id": id}));
    assert_eq!(pinentry.count("getpin"), 2);
    let mut third = home.start();
    third.good("keys/lock", json!({}));
    let never = json!({"draft": draft(ALICE), "protect": protect("mime"), "ask": "never"});
    let fault = other.fault("message/seal", never);
    assert_eq!(fault.kind(), "key.locked");
    assert_eq!(fault.data["ids"], json!([id]));
    nobody_kept_a_pin(&home);
}

#[test]
fn three_wrong_pins_and_a_warning() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "rsa:2048", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[WRONG]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    let fault = host.fault("keys/unlock", json!({"id": id}));
    assert_eq!(fault.kind(), "passphrase.wrong");
    assert!(!fault.message.contains(WRONG));
    assert_eq!(pinentry.count("getpin"), 3);
    assert_eq!(
        pinentry.count("error"),
        2,
        "nobody was told that it was wrong"
    );
    // SoftHSM counts on, though it never locks: from the second question on, there is a warning.
    let said = pinentry.descriptions();
    let warned = |text: &str| said.lines().filter(|line| line.contains(text)).count();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert_eq!(warned("A wrong PIN was given before"), 2, "{said}");
    assert_eq!(
        host.good("keys/tokens", json!({}))["tokens"][0]["state"],
        "few-tries"
    );
    drop(host);

    soft.flag_pin(FINAL_TRY | COUNT_LOW);
    pinentry.answers(&[PIN]);
    let mut host = home.start();
    host.hello();
    assert_eq!(
        host.good("keys/tokens", json!({}))["tokens"][0]["state"],
        "last-try"
    );
    seal_one(&mut host, draft(ALICE), protect("mime"));
    let said = pinentry.descriptions();
    let last = said.lines().last().unwrap();
    assert!(last.contains("LAST TRY before the token locks"), "{last}");
    drop(host);

    soft.flag_pin(LOCKED);
    let before = pinentry.count("getpin");
    let mut host = home.start();
    host.hello();
    for (method, params) in [
        ("keys/unlock", json!({"id": id})),
        (
            "message/seal",
            json!({"draft": draft(ALICE), "protect": protect("mime")}),
        ),
    ] {
        let fault = host.fault(method, params);
        assert_eq!(fault.kind(), "key.unusable", "{method}");
        assert_eq!(fault.data["reasons"], json!(["token-locked"]), "{method}");
    }
    assert_eq!(pinentry.count("getpin"), before, "a PIN for a locked token");
    assert_eq!(
        host.good("keys/tokens", json!({}))["tokens"][0]["state"],
        "locked"
    );
    nobody_kept_a_pin(&home);
}

/// Where the reader has keys of its own, the dialog sends the person there.
#[test]
fn a_reader_with_keys() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "rsa:2048", ALICE)]) else {
        return;
    };
    soft.flag(KEYPAD.0, KEYPAD.1);
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    // SoftHSM has no such keys, and takes no login without a PIN: what it gets shows in that.
    let fault = host.fault("keys/unlock", json!({"id": id}));
    assert_eq!(fault.data["reasons"], json!(["token-refuses"]), "{fault:?}");
    let said = pinentry.descriptions();
    assert!(said.contains("type the PIN on the reader"), "{said}");
}

#[test]
fn a_token_that_is_pulled_out_and_plugged_in_again() {
    let Some(ca) = Ca::new() else { return };
    let people = [("alice", "ec:P-256", ALICE), ("rsa", "rsa:2048", BOB)];
    let Some(soft) = Soft::with(&ca, &people) else {
        return;
    };
    ca.write("entity", entity());
    let sealed = ca.go(&[
        "cms", "-encrypt", "-binary", "-in", "entity", "-recip", "rsa.pem",
    ]);
    let sealed = message(ALICE, &sealed);
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    seal_one(&mut host, draft(ALICE), protect("mime"));
    assert_eq!(pinentry.count("getpin"), 1);
    for _ in 0..2 {
        soft.pull();
        let asked = pinentry.count("getpin");
        for (method, params) in [
            (
                "message/seal",
                json!({"draft": draft(ALICE), "protect": protect("mime")}),
            ),
            ("keys/unlock", json!({"id": id})),
        ] {
            let fault = host.fault(method, params);
            assert_eq!(fault.kind(), "key.unusable", "{method} {fault:?}");
            assert_eq!(fault.data["reasons"], json!(["token-absent"]), "{method}");
        }
        let fault = host.open(&sealed).unwrap_err();
        assert_eq!(fault.data["reasons"], json!(["token-absent"]), "{fault:?}");
        // What is known of the key stays.
        assert_eq!(
            host.good("keys/show", json!({"id": id}))["key"]["secret"],
            "token"
        );
        assert_eq!(host.good("keys/tokens", json!({}))["tokens"], json!([]));
        assert_eq!(pinentry.count("getpin"), asked, "a PIN for no token");
        soft.plug();
        seal_one(&mut host, draft(ALICE), protect("mime"));
        let outcome = verdict(&mut host, &sealed, "whole", "none", "", TEXT.trim_end());
        outcome.unwrap();
        assert_eq!(pinentry.count("getpin"), asked + 1);
    }
}

/// A host that was started without the token, and two tokens at once.
#[test]
fn a_second_token() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    assert_eq!(taken(&mut host).len(), 1);
    seal_one(&mut host, draft(ALICE), protect("mime"));
    ca.person("bob", "rsa:2048", BOB);
    soft.token("Second");
    soft.put(&ca, "Second", "bob", &[]);
    drop(host);
    let mut host = home.start();
    host.hello();
    assert_eq!(taken(&mut host).len(), 2);
    let before = pinentry.count("getpin");
    for from in [ALICE, BOB, ALICE, BOB] {
        seal_one(&mut host, draft(from), protect("mime"));
    }
    assert_eq!(
        pinentry.count("getpin"),
        before + 2,
        "each token has its PIN"
    );
    assert!(pinentry.descriptions().contains("Second"));
}

#[test]
fn modules_come_from_policy_alone() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = taken(&mut host).remove(0);
    let fault = host.fault("keys/tokens", json!({"module": "/tmp/mine.so"}));
    assert_eq!(fault.kind(), "request.invalid");
    drop(host);

    soft.allow(&home, &[]);
    let mut host = home.start();
    host.hello();
    for (method, params) in [
        ("keys/tokens", json!({})),
        ("keys/unlock", json!({"id": id})),
        (
            "message/seal",
            json!({"draft": draft(ALICE), "protect": protect("mime")}),
        ),
    ] {
        let fault = host.fault(method, params);
        assert_eq!(fault.kind(), "policy.refused", "{method}");
        assert_eq!(fault.data["rule"], "pkcs11-modules", "{method}");
    }
    // Listing needs no module.
    assert_eq!(
        host.good("keys/show", json!({"id": id}))["key"]["secret"],
        "token"
    );
    drop(host);

    soft.allow(&home, &["libsofthsm2.so"]);
    let mut host = home.start();
    host.hello();
    assert_eq!(
        host.fault("keys/tokens", json!({})).kind(),
        "policy.refused"
    );
    drop(host);

    // One that is broken keeps nobody from the other.
    let text = home.path().join("no-module.so");
    std::fs::write(&text, "no module").unwrap();
    let module = soft.module.to_str().unwrap();
    soft.allow(
        &home,
        &[text.to_str().unwrap(), "/nowhere/at-all.so", module],
    );
    let mut host = home.start();
    host.hello();
    let reply = host.good("keys/tokens", json!({}));
    let states: Vec<_> = reply["modules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["state"])
        .collect();
    assert_eq!(states, ["broken", "broken", "ready"]);
    seal_one(&mut host, draft(ALICE), protect("mime"));
    soft.pull();
    host.good("keys/lock", json!({}));
    let fault = host.fault("keys/unlock", json!({"id": id}));
    assert_eq!(fault.data["reasons"], json!(["module-broken"]), "{fault:?}");
    soft.plug();
}

/// All that the system has registered with p11-kit; here, a list of one's own.
#[test]
fn p11_kit_stands_for_all_modules() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    let module = [
        "lib/x86_64-linux-gnu",
        "lib/aarch64-linux-gnu",
        "lib64",
        "lib",
    ]
    .map(|folder| Path::new("/usr").join(folder).join("p11-kit-proxy.so"));
    if !module.iter().any(|path| path.exists()) {
        println!("ABSENT: p11-kit-proxy.so is not here; p11-kit was NOT shown");
        return;
    }
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    soft.allow(&home, &["p11-kit"]);
    // What a person has registered lies below their home.
    let modules = home.dir.path().join(".config/pkcs11/modules");
    std::fs::create_dir_all(&modules).unwrap();
    let named = format!("module: {}\n", soft.module.display());
    std::fs::write(modules.join("soft.module"), named).unwrap();
    std::fs::write(
        home.dir.path().join(".config/pkcs11/pkcs11.conf"),
        "user-config: only\n",
    )
    .unwrap();
    let mut host = home.start();
    host.hello();
    let reply = host.good("keys/tokens", json!({"accept": true}));
    let labels: Vec<_> = reply["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["label"])
        .collect();
    assert!(labels.contains(&&json!("Card")), "{}", shorten(&reply));
    seal_one(&mut host, draft(ALICE), protect("mime"));
    assert_eq!(pinentry.count("getpin"), 1);
}

/// A key that wants its PIN for each use (`CKA_ALWAYS_AUTHENTICATE`). SoftHSM takes nothing in
/// pieces, between which alone the PIN could be given once more: it says that it does not.
#[test]
fn a_key_that_wants_its_pin_each_time() {
    let (Some(ca), Some(soft)) = (Ca::new(), Soft::new()) else {
        return;
    };
    soft.token("Card");
    ca.person("alice", "rsa:2048", ALICE);
    soft.put(&ca, "Card", "alice", &["--always-auth"]);
    let pinentry = Pinentry::new(&[PIN]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    host.hello();
    taken(&mut host);
    let fault = host.fault(
        "message/seal",
        json!({"draft": draft(ALICE), "protect": protect("mime")}),
    );
    assert_eq!(fault.data["reasons"], json!(["token-refuses"]), "{fault:?}");
    assert_eq!(pinentry.count("getpin"), 1);
    nobody_kept_a_pin(&home);
}

#[test]
fn at_a_terminal() {
    let Some(ca) = Ca::new() else { return };
    let Some(soft) = Soft::with(&ca, &[("alice", "ec:P-256", ALICE)]) else {
        return;
    };
    // Cards hold the authorities above their owner, too.
    soft.put_authority(&ca, "Card", "middle");
    let pinentry = Pinentry::new(&[WRONG, PIN]);
    let home = soft.home(&pinentry);
    let cli = |args: &[&str]| run(home.command().args(args), b"hello");
    let ran = cli(&["keys", "tokens", "--accept"]);
    let printed = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.ok, "{}", ran.stderr);
    assert!(
        printed.contains("Card") && printed.contains("stays on the token"),
        "{printed}"
    );
    let lines = printed.lines().filter(|line| line.contains("  new"));
    assert_eq!(lines.count(), 2, "{printed}");
    assert_eq!(
        printed.matches("stays on the token").count(),
        1,
        "{printed}"
    );
    let ran = cli(&["keys", "list"]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("on a token"));
    let args = [
        "seal",
        "--sign",
        "--protocol",
        "smime",
        "--from",
        ALICE,
        "--to",
        BOB,
        "--text",
        "-",
    ];
    let ran = cli(&args);
    assert!(ran.ok, "{}", ran.stderr);
    ca.write("sealed", &ran.stdout);
    ca.go(&[
        "cms", "-verify", "-in", "sealed", "-CAfile", "root.pem", "-out", "content",
    ]);
    let said = pinentry.descriptions();
    assert!(
        said.lines()
            .last()
            .unwrap()
            .contains("A wrong PIN was given before"),
        "{said}"
    );
}
