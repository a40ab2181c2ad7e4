//! Beside other people's programs: what they make opens with the right verdict, what we make
//! they decrypt and verify. A table at the end says how many of how many.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import, seal_one, shorten};
use crate::mime::{self, letter};
use crate::peer::{Gpg, find, run};

/// What was shown and what was not.
pub struct Tally {
    title: &'static str,
    good: usize,
    misses: Vec<String>,
}

impl Tally {
    pub fn new(title: &'static str) -> Tally {
        Tally {
            title,
            good: 0,
            misses: Vec::new(),
        }
    }

    pub fn note(&mut self, what: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.good += 1,
            Err(why) => self.misses.push(format!("{what}: {why}")),
        }
    }

    /// Prints the table; a miss ends the test.
    #[track_caller]
    pub fn end(self) {
        let all = self.good + self.misses.len();
        println!("peers: {}: {} of {all}", self.title, self.good);
        for miss in &self.misses {
            println!("  MISS {miss}");
        }
        assert!(
            all > 0 && self.misses.is_empty(),
            "{}: {:#?}",
            self.title,
            self.misses
        );
    }
}

/// Opens a message and compares what a verdict is made of. `reason` must stand in the first
/// signature; "" means that there must be none.
pub fn verdict(
    host: &mut Host,
    message: &[u8],
    encrypted: &str,
    signed: &str,
    reason: &str,
    text: &str,
) -> Result<(), String> {
    let opened = host.open(message).map_err(|f| format!("{f:?}"))?;
    let summary = &opened["summary"];
    let found = (summary["encrypted"].as_str(), summary["signed"].as_str());
    if found != (Some(encrypted), Some(signed)) {
        return Err(format!(
            "{found:?}, wanted {encrypted}, {signed}: {}",
            shorten(&opened)
        ));
    }
    if (signed == "good") == summary["signer"].is_null() {
        return Err(format!("signer {}", summary["signer"]));
    }
    let signatures: Vec<Value> = opened["layers"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|l| l["signatures"].as_array().cloned().unwrap_or_default())
        .collect();
    if signed != "none" {
        let reasons: Vec<&str> = signatures
            .first()
            .and_then(|s| s["reasons"].as_array())
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if reason.is_empty() != reasons.is_empty()
            || !reason.is_empty() && !reasons.contains(&reason)
        {
            return Err(format!("reasons {reasons:?}, wanted {reason:?}"));
        }
    }
    let mut all = String::new();
    for part in opened["parts"].as_array().unwrap() {
        all += &String::from_utf8_lossy(&host.bytes(&part["body"]));
    }
    if !all.contains(text) {
        return Err(format!("the text is {all:?}"));
    }
    Ok(())
}

const READER: &str = "reader@sealpost.example";
pub const SIGNERS: [(&str, &str, &str); 4] = [
    ("ed@gpg.example", "ed25519", "cv25519"),
    ("rsa@gpg.example", "rsa2048", "rsa2048"),
    ("p256@gpg.example", "nistp256", "nistp256"),
    ("p384@gpg.example", "nistp384", "nistp384"),
];

/// A gpg with keys of every kind and a host that knows and accepts them.
fn meeting() -> Option<(Gpg, Home, Host)> {
    let gpg = Gpg::new()?;
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Reader", READER, "compatible");
    gpg.go(&["--import"], export(&mut host, &[&id]).as_bytes());
    for (address, algo, sub) in SIGNERS {
        gpg.key(address, algo, sub, &[]);
        import(&mut host, &gpg.public(address), json!(true));
    }
    Some((gpg, home, host))
}

#[test]
fn what_gpg_signs() {
    let Some((gpg, _home, mut host)) = meeting() else {
        return;
    };
    let mut tally = Tally::new("signed by gpg, PGP/MIME");
    let entity = mime::mixed(&[
        &mime::text("Grüße,\n- one\nFrom here \n"),
        &mime::text("file\n"),
    ]);
    for (address, _, _) in SIGNERS {
        for digest in ["SHA224", "SHA256", "SHA384", "SHA512"] {
            // ECDSA takes no digest shorter than its curve.
            let short = address.starts_with("p256") && digest == "SHA224"
                || address.starts_with("p384") && digest < "SHA384";
            if short {
                continue;
            }
            let signature = gpg.text(
                &[
                    "-u",
                    address,
                    "--digest-algo",
                    digest,
                    "--armor",
                    "--detach-sign",
                ],
                entity.as_bytes(),
            );
            let micalg = format!("pgp-{}", digest.to_lowercase());
            let message = letter(
                address,
                READER,
                "signed",
                &mime::signed(&entity, &signature, &micalg),
            );
            tally.note(
                &format!("{address} {digest}"),
                verdict(&mut host, &message, "none", "good", "", "Grüße"),
            );
        }
        let signature = gpg.text(
            &["-u", address, "--armor", "--detach-sign"],
            entity.as_bytes(),
        );
        let changed = entity.replace("Grüße", "Greise");
        let message = letter(
            address,
            READER,
            "altered",
            &mime::signed(&changed, &signature, "pgp-sha512"),
        );
        tally.note(
            &format!("{address} altered"),
            verdict(&mut host, &message, "none", "bad", "altered", ""),
        );
        // micalg is a hint and decides nothing.
        let message = letter(
            address,
            READER,
            "hint",
            &mime::signed(&entity, &signature, "pgp-md5"),
        );
        tally.note(
            &format!("{address} wrong micalg"),
            verdict(&mut host, &message, "none", "good", "", "Grüße"),
        );
        let other = letter(
            "ed@elsewhere.example",
            READER,
            "other",
            &mime::signed(&entity, &signature, "pgp-sha512"),
        );
        tally.note(
            &format!("{address} under another From"),
            verdict(
                &mut host,
                &other,
                "none",
                "unverified",
                "address-mismatch",
                "Grüße",
            ),
        );
        // A signature of text mode hashes the same canonical bytes.
        let signature = gpg.text(
            &["-u", address, "--armor", "--textmode", "--detach-sign"],
            entity.as_bytes(),
        );
        let message = letter(
            address,
            READER,
            "text",
            &mime::signed(&entity, &signature, "pgp-sha512"),
        );
        tally.note(
            &format!("{address} text mode"),
            verdict(&mut host, &message, "none", "good", "", "Grüße"),
        );
    }
    let weak = gpg.tried(
        &[
            "-u",
            "rsa@gpg.example",
            "--digest-algo",
            "SHA1",
            "--allow-weak-digest-algos",
            "--armor",
            "--detach-sign",
        ],
        entity.as_bytes(),
    );
    if weak.ok {
        let message = letter(
            "rsa@gpg.example",
            READER,
            "weak",
            &mime::signed(
                &entity,
                &String::from_utf8(weak.stdout).unwrap(),
                "pgp-sha1",
            ),
        );
        tally.note(
            "SHA-1",
            verdict(&mut host, &message, "none", "bad", "weak-algorithm", ""),
        );
    } else {
        println!("ABSENT: this gpg makes no SHA-1 signatures");
    }
    tally.end();
}

#[test]
fn several_signers() {
    let Some((gpg, _home, mut host)) = meeting() else {
        return;
    };
    let mut tally = Tally::new("several signers");
    let entity = mime::text("of one mind\n");
    let both = gpg.text(
        &[
            "-u",
            "ed@gpg.example",
            "-u",
            "rsa@gpg.example",
            "--armor",
            "--detach-sign",
        ],
        entity.as_bytes(),
    );
    for from in ["ed@gpg.example", "rsa@gpg.example"] {
        let message = letter(
            from,
            READER,
            "both",
            &mime::signed(&entity, &both, "pgp-sha512"),
        );
        let opened = host.open(&message).unwrap();
        let good = opened["summary"]["signed"] == "good"
            && opened["summary"]["signer"]["address"] == from
            && opened["summary"]["warnings"]
                .as_array()
                .unwrap()
                .contains(&json!("other-signature"));
        tally.note(from, good.then_some(()).ok_or_else(|| shorten(&opened)));
    }
    let message = letter(
        "p256@gpg.example",
        READER,
        "both",
        &mime::signed(&entity, &both, "pgp-sha512"),
    );
    let opened = host.open(&message).unwrap();
    let good = opened["summary"]["signed"] == "unverified" && opened["summary"]["signer"].is_null();
    tally.note(
        "neither is From",
        good.then_some(()).ok_or_else(|| shorten(&opened)),
    );
    // One that nobody here has beside one that is good: the one bound to From decides.
    gpg.key("nobody@gpg.example", "ed25519", "cv25519", &[]);
    let both = gpg.text(
        &[
            "-u",
            "nobody@gpg.example",
            "-u",
            "rsa@gpg.example",
            "--armor",
            "--detach-sign",
        ],
        entity.as_bytes(),
    );
    let message = letter(
        "rsa@gpg.example",
        READER,
        "both",
        &mime::signed(&entity, &both, "pgp-sha512"),
    );
    let opened = host.open(&message).unwrap();
    let good = opened["summary"]["signed"] == "good"
        && opened["summary"]["warnings"]
            .as_array()
            .unwrap()
            .contains(&json!("other-signature"));
    tally.note(
        "one unknown",
        good.then_some(()).ok_or_else(|| shorten(&opened)),
    );
    // A change makes every one of them altered.
    let message = letter(
        "rsa@gpg.example",
        READER,
        "both",
        &mime::signed(
            &entity.replace("one mind", "two minds"),
            &both,
            "pgp-sha512",
        ),
    );
    let opened = host.open(&message).unwrap();
    let good = opened["summary"]["signed"] == "bad";
    tally.note(
        "altered",
        good.then_some(()).ok_or_else(|| shorten(&opened)),
    );
    tally.end();
}

#[test]
fn key_states() {
    let Some((gpg, _home, mut host)) = meeting() else {
        return;
    };
    let mut tally = Tally::new("key states");
    let entity = mime::text("state of things\n");
    let sign = |who: &str, more: &[&str]| {
        let mut args = vec!["-u", who, "--armor"];
        args.extend(more);
        args.push("--detach-sign");
        mime::signed(&entity, &gpg.text(&args, entity.as_bytes()), "pgp-sha512")
    };

    let unknown = "unknown@gpg.example";
    gpg.key(unknown, "ed25519", "cv25519", &[]);
    let message = letter(unknown, READER, "s", &sign(unknown, &[]));
    let opened = host.open(&message).unwrap();
    let good = opened["summary"]["signed"] == "unknown";
    tally.note(
        "no certificate",
        good.then_some(()).ok_or_else(|| shorten(&opened)),
    );

    let imported = import(&mut host, &gpg.public(unknown), json!(null));
    let id = imported["imported"][0]["id"].clone();
    tally.note(
        "not accepted",
        verdict(
            &mut host,
            &message,
            "none",
            "unverified",
            "not-accepted",
            "state",
        ),
    );
    host.good(
        "keys/accept",
        json!({"id": id, "address": unknown, "level": "rejected"}),
    );
    tally.note(
        "rejected",
        verdict(
            &mut host,
            &message,
            "none",
            "unverified",
            "rejected",
            "state",
        ),
    );
    host.good(
        "keys/accept",
        json!({"id": id, "address": unknown, "level": "accepted"}),
    );
    tally.note(
        "accepted",
        verdict(&mut host, &message, "none", "good", "", "state"),
    );
    host.good(
        "keys/accept",
        json!({"id": id, "address": unknown, "level": "verified"}),
    );
    tally.note(
        "verified",
        verdict(&mut host, &message, "none", "good", "", "state"),
    );

    let expired = "expired@gpg.example";
    gpg.key(
        expired,
        "rsa2048",
        "rsa2048",
        &["--faked-system-time", "20200102T000000", "--expired"],
    );
    import(&mut host, &gpg.public(expired), json!(true));
    let wrapped = sign(expired, &["--faked-system-time", "20200115T000000"]);
    let head = mime::dated_head("Wed, 15 Jan 2020 00:00:00 +0000", expired, READER, "then");
    let message = format!("{head}{wrapped}").into_bytes();
    tally.note(
        "expired since",
        verdict(
            &mut host,
            &message,
            "none",
            "good",
            "expired-since",
            "state",
        ),
    );
    let opened = host
        .open_with(&message, json!({"at": "2020-01-16T00:00:00Z"}))
        .unwrap();
    let good = opened["summary"]["signed"] == "good"
        && opened["layers"][0]["signatures"][0]["reasons"] == json!([])
        && opened["judgedAt"] == "2020-01-16T00:00:00Z";
    tally.note(
        "judged then",
        good.then_some(()).ok_or_else(|| shorten(&opened)),
    );
    let opened = host
        .open_with(&message, json!({"at": "2020-01-03T00:00:00Z"}))
        .unwrap();
    let reasons = opened["layers"][0]["signatures"][0]["reasons"].to_string();
    let good = opened["summary"]["signed"] != "good" && reasons.contains("future");
    tally.note(
        "from the future",
        good.then_some(()).ok_or_else(|| shorten(&opened)),
    );

    let revoked = "revoked@gpg.example";
    let fpr = gpg.key(revoked, "ed25519", "cv25519", &[]);
    let wrapped = sign(revoked, &[]);
    import(&mut host, &gpg.public(revoked), json!(true));
    let message = letter(revoked, READER, "s", &wrapped);
    tally.note(
        "before revocation",
        verdict(&mut host, &message, "none", "good", "", "state"),
    );
    let file = gpg.home().join(format!("openpgp-revocs.d/{fpr}.rev"));
    let certificate = std::fs::read_to_string(file)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    gpg.go(&["--import"], certificate.as_bytes());
    import(&mut host, &gpg.public(revoked), json!(null));
    tally.note(
        "revoked",
        verdict(&mut host, &message, "none", "bad", "key-revoked", ""),
    );
    tally.end();
}

#[test]
fn what_gpg_encrypts() {
    let Some((gpg, _home, mut host)) = meeting() else {
        return;
    };
    let mut tally = Tally::new("encrypted by gpg");
    let entity = mime::text("for your eyes: grün\n");
    let bytes = entity.as_bytes();
    let from = "ed@gpg.example";
    let encrypted: Vec<(&str, Vec<&str>, &str)> = vec![
        ("encrypted", vec!["-r", READER, "-e"], "none"),
        (
            "no compression",
            vec!["-z", "0", "-r", READER, "-e"],
            "none",
        ),
        (
            "zip",
            vec!["--compress-algo", "zip", "-r", READER, "-e"],
            "none",
        ),
        (
            "bzip2",
            vec!["--compress-algo", "bzip2", "-r", READER, "-e"],
            "none",
        ),
        (
            "AES128",
            vec!["--cipher-algo", "AES", "-r", READER, "-e"],
            "none",
        ),
        (
            "AES192",
            vec!["--cipher-algo", "AES192", "-r", READER, "-e"],
            "none",
        ),
        (
            "several recipients",
            vec![
                "-r",
                "rsa@gpg.example",
                "-r",
                "p256@gpg.example",
                "-r",
                READER,
                "-e",
            ],
            "none",
        ),
        ("hidden recipient", vec!["-R", READER, "-e"], "none"),
        (
            "hidden among others",
            vec![
                "--throw-keyids",
                "-r",
                "rsa@gpg.example",
                "-r",
                READER,
                "-r",
                "ed@gpg.example",
                "-e",
            ],
            "none",
        ),
        (
            "signed and encrypted",
            vec!["-u", from, "-r", READER, "-se"],
            "good",
        ),
        (
            "signed and encrypted, zip",
            vec!["--compress-algo", "zip", "-u", from, "-r", READER, "-se"],
            "good",
        ),
        (
            "signed, hidden",
            vec!["-u", from, "-R", READER, "-se"],
            "good",
        ),
    ];
    for (what, args, signed) in &encrypted {
        let mut all = vec!["--armor"];
        all.extend(args);
        let armor = gpg.text(&all, bytes);
        let message = letter(from, READER, what, &mime::encrypted(&armor));
        tally.note(
            what,
            verdict(&mut host, &message, "whole", signed, "", "grün"),
        );
    }
    // As Apple Mail does it: the signature is a MIME layer inside.
    let signature = gpg.text(&["-u", from, "--armor", "--detach-sign"], bytes);
    let inside = mime::signed(&entity, &signature, "pgp-sha512");
    let armor = gpg.text(&["--armor", "-r", READER, "-e"], inside.as_bytes());
    let message = letter(from, READER, "nested", &mime::encrypted(&armor));
    tally.note(
        "signed inside",
        verdict(&mut host, &message, "whole", "good", "", "grün"),
    );
    // A signature around the encryption says nothing about who wrote it.
    let armor = gpg.text(&["--armor", "-r", READER, "-e"], bytes);
    let entity = mime::encrypted(&armor);
    let entity = entity.trim_end();
    let signature = gpg.text(&["-u", from, "--armor", "--detach-sign"], entity.as_bytes());
    let message = letter(
        from,
        READER,
        "around",
        &mime::signed(entity, &signature, "pgp-sha512"),
    );
    tally.note(
        "signed outside",
        verdict(
            &mut host,
            &message,
            "whole",
            "unverified",
            "signed-outside-encryption",
            "grün",
        ),
    );
    // Inline.
    let plain = "inline: grün\nsecond line\n";
    for (what, args, enc, signed) in [
        (
            "inline encrypted",
            vec!["--armor", "-r", READER, "-e"],
            "whole",
            "none",
        ),
        (
            "inline signed and encrypted",
            vec!["--armor", "-u", from, "-r", READER, "-se"],
            "whole",
            "good",
        ),
        ("cleartext", vec!["-u", from, "--clearsign"], "none", "good"),
        (
            "cleartext SHA-256",
            vec!["-u", from, "--digest-algo", "SHA256", "--clearsign"],
            "none",
            "good",
        ),
        (
            "inline one-pass signed",
            vec!["--armor", "-u", from, "--sign"],
            "none",
            "good",
        ),
    ] {
        let armor = gpg.text(&args, plain.as_bytes());
        let message = letter(from, READER, what, &mime::text(&armor));
        tally.note(what, verdict(&mut host, &message, enc, signed, "", "grün"));
    }
    // To a key that is not ours.
    let armor = gpg.text(
        &["--armor", "-r", "rsa@gpg.example", "-e"],
        plain.as_bytes(),
    );
    let message = letter(from, READER, "not ours", &mime::encrypted(&armor));
    let outcome = match host.open(&message) {
        Err(f) if f.kind() == "key.missing" && f.data["for"] == "decrypt" => {
            let outer = f.data["headers"]["subject"]["value"] == "not ours";
            let named = f.data["recipients"]
                .as_array()
                .is_some_and(|r| r.len() == 1);
            (outer && named)
                .then_some(())
                .ok_or_else(|| format!("{f:?}"))
        }
        other => Err(format!("{other:?}")),
    };
    tally.note("not ours", outcome);
    tally.end();
}

#[test]
fn secret_keys_of_gpg() {
    let Some(gpg) = Gpg::new() else { return };
    let mut tally = Tally::new("gpg's secret keys here");
    for (address, algo, sub) in SIGNERS {
        gpg.key(address, algo, sub, &[]);
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let imported = import(&mut host, &gpg.secret(address), json!(true));
        assert_eq!(
            imported["imported"].as_array().unwrap().len(),
            1,
            "{imported}"
        );
        let armor = gpg.text(
            &["--armor", "-u", address, "-r", address, "-se"],
            mime::text("own\n").as_bytes(),
        );
        let message = letter(address, address, "own", &mime::encrypted(&armor));
        tally.note(
            address,
            verdict(&mut host, &message, "whole", "good", "", "own"),
        );
        let sealed = host.call(
            "message/seal",
            json!({"draft": {"from": address, "to": [address], "subject": "own", "text": {"text": "own\n"}},
                   "protect": {"sign": true, "encrypt": true, "protocol": "openpgp"}}),
        );
        let outcome = match sealed {
            Ok(sealed) => {
                let message = host.bytes(&sealed["messages"][0]["message"].clone());
                read_by_gpg(&gpg, &message, "own")
            }
            Err(f) => Err(format!("{f:?}")),
        };
        tally.note(&format!("{address} seals"), outcome);
    }
    tally.end();
}

/// gpg decrypts a sealed message and finds a good signature over it, in the ciphertext or as
/// a MIME layer inside.
pub fn read_by_gpg(gpg: &Gpg, message: &[u8], text: &str) -> Result<(), String> {
    let ran = gpg.tried(
        &["--status-fd", "2", "--decrypt"],
        mime::block(message).as_bytes(),
    );
    if !ran.ok || !ran.stderr.contains("DECRYPTION_OKAY") || !ran.stderr.contains("GOODMDC") {
        return Err(format!("gpg: {}", ran.stderr));
    }
    if !String::from_utf8_lossy(&ran.stdout).contains(text) {
        return Err("another text".into());
    }
    if ran.stderr.contains("GOODSIG") {
        return Ok(());
    }
    let (entity, signature) = mime::cut_signed(&ran.stdout);
    verified_by_gpg(gpg, &entity, &signature)
}

fn verified_by_gpg(gpg: &Gpg, entity: &[u8], signature: &[u8]) -> Result<(), String> {
    let file = gpg.home().join("signature.asc");
    std::fs::write(&file, signature).unwrap();
    let ran = gpg.tried(
        &["--status-fd", "2", "--verify", file.to_str().unwrap(), "-"],
        entity,
    );
    if ran.ok && ran.stderr.contains("GOODSIG") {
        Ok(())
    } else {
        Err(format!("gpg: {}", ran.stderr))
    }
}

#[test]
fn what_we_seal_gpg_reads() {
    let Some((gpg, _home, mut host)) = meeting() else {
        return;
    };
    let mut tally = Tally::new("sealed by us, read by gpg");
    for (address, _, _) in SIGNERS {
        for headers in ["baseline", "shy", "none"] {
            let draft = json!({"from": READER, "to": [address], "subject": "Grüße", "text": {"text": "to gpg: grün\n- x\nFrom y\n"},
                "attachments": [{"name": "ä.bin", "type": "application/octet-stream", "body": {"base64": "AAECAwQ="}}]});
            let sealed = seal_one(
                &mut host,
                draft.clone(),
                json!({"sign": true, "encrypt": true, "protocol": "openpgp", "headers": headers}),
            );
            // The text may stand in an encoding of its own; the names of its type do not.
            tally.note(
                &format!("{address} {headers}"),
                read_by_gpg(&gpg, &sealed, "text/plain"),
            );
            let sealed = seal_one(
                &mut host,
                draft,
                json!({"sign": true, "encrypt": false, "protocol": "openpgp", "headers": headers}),
            );
            let (entity, signature) = mime::cut_signed(&sealed);
            tally.note(
                &format!("{address} {headers}, signed"),
                verified_by_gpg(&gpg, &entity, &signature),
            );
        }
        let draft = json!({"from": READER, "to": [address], "subject": "inline", "text": {"text": "inline\n- dashed\nFrom me\n"}});
        let sealed = seal_one(
            &mut host,
            draft.clone(),
            json!({"sign": true, "encrypt": true, "protocol": "openpgp", "scheme": "inline"}),
        );
        tally.note(
            &format!("{address} inline"),
            read_by_gpg(&gpg, &sealed, "- dashed"),
        );
        let sealed = seal_one(
            &mut host,
            draft,
            json!({"sign": true, "encrypt": false, "protocol": "openpgp", "scheme": "inline"}),
        );
        let body = String::from_utf8(sealed).unwrap();
        let start = body
            .find("-----BEGIN PGP SIGNED MESSAGE-----")
            .expect("a cleartext signature");
        let ran = gpg.tried(&["--status-fd", "2", "--verify"], &body.as_bytes()[start..]);
        tally.note(
            &format!("{address} cleartext"),
            ran.stderr
                .contains("GOODSIG")
                .then_some(())
                .ok_or(ran.stderr),
        );
    }
    let encrypted = host.good(
        "text/encrypt",
        json!({"text": {"text": "small: grün"}, "to": ["ed@gpg.example"], "sign": READER}),
    );
    let armor = host.bytes(&encrypted["text"]);
    tally.note("text/encrypt", read_by_gpg(&gpg, &armor, "small: grün"));
    tally.end();
}

/// A folder for the stateless tool's files.
struct Sop {
    program: std::path::PathBuf,
    dir: tempfile::TempDir,
}

impl Sop {
    fn new() -> Option<Sop> {
        Some(Sop {
            program: find("sqop")?,
            dir: tempfile::tempdir().unwrap(),
        })
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
        let ran = run(
            Command::new(&self.program)
                .args(args)
                .current_dir(self.dir.path()),
            input,
        );
        if ran.ok {
            Ok(ran.stdout)
        } else {
            Err(ran.stderr)
        }
    }
}

#[test]
fn beside_sqop() {
    let Some(sop) = Sop::new() else { return };
    let mut tally = Tally::new("sqop, both ways");
    let from = "sop@sqop.example";
    let key = sop
        .run(&["generate-key", &format!("Sop <{from}>")], b"")
        .unwrap();
    let cert = sop.run(&["extract-cert"], &key).unwrap();
    for profile in ["compatible", "modern", "post-quantum"] {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let id = generate(&mut host, "Reader", READER, profile);
        let own = export(&mut host, &[&id]);
        import(&mut host, &cert, json!(true));
        let key = sop.file("key", &key);
        let own = sop.file("own", own.as_bytes());

        let draft =
            json!({"from": READER, "to": [from], "subject": "s", "text": {"text": "to sqop\n"}});
        let sealed = seal_one(
            &mut host,
            draft.clone(),
            json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
        );
        let read = sop.run(&["decrypt", &key], mime::block(&sealed).as_bytes());
        tally.note(
            &format!("{profile}: decrypts"),
            read.and_then(|t| {
                let text = String::from_utf8_lossy(&t).into_owned();
                text.contains("to sqop").then_some(()).ok_or(text)
            }),
        );
        // Whether this sqop can read such a certificate at all, it says itself.
        if let Err(why) = sop.run(&["encrypt", &own], b"probe") {
            println!(
                "ABSENT: this sqop does not know profile {profile}: {}",
                why.trim()
            );
            assert_ne!(
                profile, "compatible",
                "sqop must know what every client knows"
            );
            continue;
        }
        let verified = sop.run(
            &[
                "decrypt",
                "--verify-with",
                &own,
                "--verifications-out",
                &unique(sop.dir.path(), profile),
                "--",
                &key,
            ],
            mime::block(&sealed).as_bytes(),
        );
        let seen = std::fs::read_to_string(unique(sop.dir.path(), profile)).unwrap_or_default();
        let fpr = id.trim_start_matches("openpgp:");
        tally.note(
            &format!("{profile}: verifies while decrypting"),
            verified.and_then(|_| {
                seen.contains(fpr)
                    .then_some(())
                    .ok_or(format!("verifications: {seen:?}"))
            }),
        );
        let sealed = seal_one(
            &mut host,
            draft,
            json!({"sign": true, "encrypt": false, "protocol": "openpgp"}),
        );
        let (entity, signature) = mime::cut_signed(&sealed);
        let signature = sop.file("signature", &signature);
        tally.note(
            &format!("{profile}: verifies"),
            sop.run(&["verify", &signature, &own], &entity).map(|_| ()),
        );
        let entity = mime::text("from sqop: grün\n");
        let armor = sop.run(
            &["encrypt", "--sign-with", &key, "--", &own],
            entity.as_bytes(),
        );
        tally.note(
            &format!("{profile}: encrypts"),
            armor.and_then(|armor| {
                let armor = String::from_utf8_lossy(&armor).into_owned();
                let message = letter(from, READER, "s", &mime::encrypted(&armor));
                verdict(&mut host, &message, "whole", "good", "", "grün")
            }),
        );
        let signature = sop.run(&["sign", &key], entity.as_bytes()).unwrap();
        let signature = String::from_utf8(signature).unwrap();
        let message = letter(
            from,
            READER,
            "s",
            &mime::signed(&entity, &signature, "pgp-sha512"),
        );
        tally.note(
            &format!("{profile}: signs"),
            verdict(&mut host, &message, "none", "good", "", "grün"),
        );
        let clear = sop
            .run(&["inline-sign", "--as=clearsigned", &key], b"clear: gr\n")
            .unwrap();
        let clear = String::from_utf8(clear).unwrap();
        let message = letter(from, READER, "s", &mime::text(&clear));
        tally.note(
            &format!("{profile}: cleartext"),
            verdict(&mut host, &message, "none", "good", "", "clear: gr"),
        );
    }
    tally.end();
}

fn unique(dir: &Path, name: &str) -> String {
    dir.join(format!("verified-{name}"))
        .to_str()
        .unwrap()
        .to_owned()
}
