//! Mail and keys that others wrote, where they lie beside the project: each is opened, none
//! may end in a panic, a hang or a fault of the host's own, and those whose verdict is clear
//! must have that verdict. The expectations are written by hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Fault, Home, Host, corpora, shorten};
use crate::peer::{Gpg, find, run};

/// Below `corpora/`: what an opened file must say. Conditions are separated by `; `:
/// `enc=`, `signed=` (values by `|`), `error=` (kinds by `|`), `text~` and `text!~` over all
/// shown parts, `subject=`, `warning=`.
const EXPECTED: &[(&str, &str)] = &[
    // -- attacks and their harmless twins ----------------------------------------------------
    (
        "made-attacks/01-inline-signed-good.asc",
        "enc=none; signed=unverified; text~Pay 10 euro to Alice.",
    ),
    (
        "made-attacks/03-appended-literal.asc",
        "signed=none|bad|error; error=message.malformed",
    ),
    (
        "made-attacks/05-literal-between.asc",
        "signed=none|bad|error; error=message.malformed",
    ),
    (
        "made-attacks/07-ops-without-sig.asc",
        "signed=none|bad|error; error=message.malformed",
    ),
    (
        "made-attacks/09-two-signed-messages.asc",
        "signed=none|bad|error; error=message.malformed",
    ),
    (
        "made-attacks/12-bzip2-bomb-200MB.pgp",
        "error=limit.exceeded|message.too-large|message.malformed|decrypt.failed",
    ),
    (
        "made-attacks/20-clearsigned-good.asc",
        "enc=none; signed=unverified",
    ),
    (
        "made-attacks/21-clearsigned-text-before.asc",
        "signed=none|bad",
    ),
    (
        "made-attacks/23-clearsigned-fake-hash-header.asc",
        "signed=none|bad|error; error=message.malformed",
    ),
    (
        "made-attacks/27-clearsigned-two-blocks.asc",
        "signed=none|bad",
    ),
    (
        "made-attacks/40-encrypted-signed-good.asc",
        "enc=whole; signed=unverified",
    ),
    ("made-attacks/41-mdc-stripped.asc", "error=decrypt.failed"),
    (
        "made-attacks/44-truncated.asc",
        "error=decrypt.failed|message.malformed",
    ),
    (
        "made-attacks/45-literal-after-encrypted.asc",
        "signed=none|unverified|bad|error; error=decrypt.failed|message.malformed",
    ),
    (
        "made-attacks/72-armor-no-crc.asc",
        "enc=none; signed=unverified",
    ),
    ("made-attacks/75-armor-two-messages.asc", "signed=none|bad"),
    (
        "made-attacks/80-mime-signed-good.eml",
        "enc=none; signed=good",
    ),
    (
        "made-attacks/81-mime-missing-final-boundary.eml",
        "signed=good|bad|none|error; error=message.malformed",
    ),
    (
        "made-attacks/83-mime-third-part.eml",
        "signed=none|bad|error; error=message.malformed",
    ),
    (
        "made-attacks/85-mime-preamble-epilogue.eml",
        "signed=good; text!~reamble; text!~pilogue",
    ),
    (
        "made-attacks/86-mime-encrypted-good.eml",
        "enc=whole; signed=none",
    ),
    (
        "made-attacks/88-encrypted-version-part-html.eml",
        "enc=whole; signed=none; text!~Mallory",
    ),
    (
        "made-attacks/90-100000-parts.eml",
        "error=limit.exceeded|message.malformed",
    ),
    (
        "made-attacks/94-protected-subject-differs.eml",
        "signed=good|unverified",
    ),
    // -- notmuch: one key that is ours, without a passphrase; the signed ones were signed years
    //    after their Date --------------------------------------------------------------------
    (
        "notmuch/corpora/crypto/basic-encrypted.eml",
        "enc=whole; signed=none",
    ),
    (
        "notmuch/corpora/crypto/encrypted-rfc822-attachment",
        "enc=whole; signed=none",
    ),
    (
        "notmuch/corpora/crypto/encrypted-signed.eml",
        "enc=whole; signed=good; subject=Lyrics",
    ),
    (
        "notmuch/corpora/crypto/simple-encrypted",
        "error=key.missing",
    ),
    (
        "notmuch/corpora/default/bar/baz/23:2,",
        "enc=none; signed=unknown|none",
    ),
    (
        "notmuch/corpora/default/bar/cur/20:2,",
        "enc=none; signed=unknown|none",
    ),
    (
        "notmuch/corpora/protected-headers/simple-signed-mail.eml",
        "enc=none; signed=good",
    ),
    (
        "notmuch/corpora/protected-headers/signed-protected-header.eml",
        "enc=none; signed=good",
    ),
    (
        "notmuch/corpora/protected-headers/protected-header.eml",
        "enc=whole; signed=none",
    ),
    (
        "notmuch/corpora/protected-headers/encrypted-signed.eml",
        "enc=whole; signed=good; subject=Rhinoceros dinner",
    ),
    (
        "notmuch/corpora/protected-headers/encrypted-signed-not-masked.eml",
        "enc=whole; signed=good",
    ),
    (
        "notmuch/corpora/protected-headers/misplaced-protected-header.eml",
        "enc=whole; signed=none; subject=Subject Unavailable",
    ),
    (
        "notmuch/corpora/protected-headers/no-protected-header-attribute.eml",
        "enc=whole; signed=none; subject=Subject Unavailable",
    ),
    (
        "notmuch/corpora/protected-headers/phony-protected-header-bad-encryption.eml",
        "error=key.missing|decrypt.failed|message.malformed",
    ),
    (
        "notmuch/corpora/protected-headers/encrypted-message-with-forwarded-attachment.eml",
        "enc=whole; signed=none",
    ),
    (
        "notmuch/corpora/protected-headers/nested-rfc822-message.eml",
        "enc=whole; signed=none",
    ),
    (
        "notmuch/corpora/protected-headers/protected-with-legacy-display.eml",
        "enc=whole; signed=none|good",
    ),
    (
        "notmuch/corpora/protected-headers/subjectless-protected-header.eml",
        "enc=whole; signed=none",
    ),
    (
        "notmuch/corpora/protected-headers/wrapped-protected-header.eml",
        "enc=part; signed=none",
    ),
    // -- KMail: keyring with a key of the reader's own -----------------------------------------
    (
        "kde-mimetreeparser/testdata/crlf-encrypted-with-signature-multipart.mbox",
        "enc=whole; signed=none; text~Aand another line",
    ),
    (
        "kde-mimetreeparser/testdata/crlf-encrypted-with-signature.mbox",
        "enc=whole; signed=none; text~Aand another line",
    ),
    (
        "kde-mimetreeparser/testdata/inlinepgpencrypted.mbox",
        "enc=whole; signed=none; text~some random text",
    ),
    (
        "kde-mimetreeparser/testdata/inlinepgpencrypted-appendix.mbox",
        "enc=part; signed=none; text~some random text",
    ),
    (
        "kde-mimetreeparser/testdata/inlinepgpencrypted-error.mbox",
        "error=key.missing",
    ),
    (
        "kde-mimetreeparser/testdata/inlinepgpgencrypted-error.mbox",
        "error=key.missing",
    ),
    (
        "kde-mimetreeparser/testdata/multipart-mixed-alternative-inline-pgp.mbox",
        "enc=part; text~encrypted message text; text~Some text before PGP block",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted+signed.mbox",
        "enc=whole; signed=good|bad; text~encrypted message text",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted.mbox",
        "enc=whole; signed=none; text~encrypted message text",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-enigmail1.6.mbox",
        "enc=whole; signed=none",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-memoryhole.mbox",
        "enc=whole; signed=none; text~very secret mesage",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-signed-broken.mbox",
        "enc=none; signed=bad",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-signed-broken2.mbox",
        "enc=none; signed=bad",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-signed.mbox",
        "enc=none; signed=none; text~ohno",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-multipart-embedded.mbox",
        "enc=whole; signed=none; text~sdflskjsdf",
    ),
    // Its Autocrypt field brings the certificate along.
    (
        "kde-mimetreeparser/testdata/openpgp-multipart-embedded-signed.mbox",
        "enc=whole; signed=unverified; text~This is a HTML signature.",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-inline-encrypted+nonenc.mbox",
        "enc=part; signed=none; text~some random text",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-sender-mismatch.mbox",
        "enc=none; signed=unverified|bad",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-mailinglist.mbox",
        "enc=none; signed=none|unknown",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-base64-mailman-footer.mbox",
        "enc=none; signed=none|unknown",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-signed-apple.mbox",
        "enc=none; signed=bad",
    ),
    (
        "kde-mimetreeparser/testdata/openpgp-encrypted-two-attachments.mbox",
        "enc=whole; signed=none; text~this is the main body part",
    ),
    (
        "kde-mimetreeparser/testdata/signed-forward-openpgp-signed-encrypted.mbox",
        "enc=none|part; signed=good|bad; text~bla bla bla",
    ),
    // -- KMail's S/MIME: one key, RSA-1024, of a certificate that ended in 2013, over SHA-1: it
    //    opens, and what it has signed is bad -------------------------------------------------
    (
        "kde-mimetreeparser/testdata/smime-encrypted.mbox",
        "enc=whole; signed=none; text~The quick brown fox jumped over the lazy dog.",
    ),
    (
        "kde-mimetreeparser/testdata/smime-encrypted-octet-stream.mbox",
        "enc=whole; signed=none; text~The quick brown fox jumped over the lazy dog.",
    ),
    (
        "kde-mimetreeparser/testdata/smime-opaque-enc+sign.mbox",
        "enc=whole; signed=bad; text~Encrypted and signed mail.",
    ),
    (
        "kde-mimetreeparser/testdata/smime-opaque-sign.mbox",
        "enc=none; signed=bad; text~A simple signed only test.",
    ),
    (
        "kde-mimetreeparser/testdata/smime-opaque-signed-encrypted-attachment.mbox",
        "enc=whole; signed=bad; text~This is an Opaque S/MIME encrypted and signed message with attachment",
    ),
    (
        "kde-mimetreeparser/testdata/smime-encrypted-ambiguous-mime.mbox",
        "enc=part; signed=none; text~First message part; text~Encrypted and signed mail.",
    ),
    (
        "kde-mimetreeparser/testdata/smime-encrypted-not-so-ambiguous-mime.mbox",
        "enc=part; signed=none; text~First message part",
    ),
    (
        "kde-mimetreeparser/testdata/smime-cert.mbox",
        "enc=none; signed=none",
    ),
    // "modified mail, signature is not valid!", it says itself.
    (
        "kde-mimetreeparser/testdata/smime-signed-apple.mbox",
        "enc=none; signed=bad",
    ),
    // Without any certificate.
    (
        "kde-mimetreeparser/testdata/smime-signed-charset.mbox",
        "enc=none; signed=unknown",
    ),
    (
        "kde-mimetreeparser/testdata/smime-signed-encrypted.mbox",
        "enc=whole; signed=bad",
    ),
    // To people whose keys are not here.
    ("kde-mimetreeparser/testdata/smime.p7m", "error=key.missing"),
    // Its body is the word DUMMY.
    ("kde-kmime/data/x-pkcs7.mbox", "error=message.malformed"),
    // -- notmuch's S/MIME: an authority, its Alice who signs and its Bob who reads -------------
    (
        "notmuch/corpora/pkcs7/smime-onepart-signed.eml",
        "enc=none; signed=good",
    ),
    (
        "notmuch/corpora/protected-headers/smime-onepart-signed.eml",
        "enc=none; signed=good; subject=The FooCorp contract",
    ),
    (
        "notmuch/corpora/protected-headers/smime-multipart-signed.eml",
        "enc=none; signed=good; subject=The FooCorp contract",
    ),
    (
        "notmuch/corpora/protected-headers/smime-enc+legacy-disp.eml",
        "enc=whole; signed=none; subject=BarCorp contract signed, let's go!",
    ),
    (
        "notmuch/corpora/protected-headers/smime-sign+enc.eml",
        "enc=whole; signed=good; subject=BarCorp contract signed, let's go!",
    ),
    (
        "notmuch/corpora/protected-headers/smime-sign+enc+legacy-disp.eml",
        "enc=whole; signed=good; subject=BarCorp contract signed, let's go!",
    ),
    // -- Autocrypt's appendix ------------------------------------------------------------------
    (
        "autocrypt-spec/example-simple-autocrypt.eml",
        "enc=none; signed=none",
    ),
    ("autocrypt-spec/example-gossip.eml", "enc=whole"),
    // -- drafts of post-quantum OpenPGP and RFC 9580's own samples ------------------------------
    (
        "openpgp-pqc-draft/v6-eddsa-sample-message.asc",
        "enc=whole; text~Testing",
    ),
    (
        "openpgp-pqc-draft/v6-mldsa-65-sample-message.asc",
        "enc=whole; text~Testing",
    ),
    (
        "openpgp-pqc-draft/v6-mldsa-87-sample-message.asc",
        "enc=whole; text~Testing",
    ),
    (
        "openpgp-pqc-draft/v4-eddsa-sample-message-v1.asc",
        "enc=whole; text~Testing",
    ),
    (
        "openpgp-pqc-draft/v4-eddsa-sample-message-v2.asc",
        "enc=whole; text~Testing",
    ),
    (
        "rpgp/rfc9580/v6-25519-annex-a-4/csf.msg",
        "enc=none; signed=unverified",
    ),
    (
        "rpgp/rfc9580/v6-25519-annex-a-4/enc-seipdv2.msg",
        "enc=whole",
    ),
    (
        "rpgp/rfc9580/v4-ed25519-x25519/csf.msg",
        "enc=none; signed=unverified",
    ),
    (
        "rpgp/rfc9580/v4-ed25519-x25519/enc-seipdv1.msg",
        "enc=whole",
    ),
    (
        "rpgp/quine.out",
        "signed=none|bad|error; error=limit.exceeded|message.malformed|message.too-large",
    ),
    (
        "rpgp/unit-tests/csf/gpg.fail-notdash",
        "signed=none|bad|unknown|error; error=message.malformed",
    ),
    (
        "rpgp/two_signed.asc",
        "signed=none|bad|error; error=message.malformed",
    ),
];

struct Case {
    file: String,
    kind: String,
}

fn cases(root: &Path) -> BTreeMap<String, Vec<Case>> {
    let table = std::fs::read_to_string(root.join("CASES.tsv")).unwrap();
    let mut folders: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(file), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        if kind == "x509-key" {
            continue;
        }
        let folder = file.split('/').next().unwrap().to_owned();
        folders.entry(folder).or_default().push(Case {
            file: file.to_owned(),
            kind: kind.to_owned(),
        });
    }
    folders
}

/// The text of every part.
fn text(host: &mut Host, opened: &Value) -> String {
    let mut all = String::new();
    for part in opened["parts"].as_array().into_iter().flatten() {
        let bytes = host.bytes(&part["body"]);
        all += &String::from_utf8_lossy(&bytes);
        all.push('\n');
    }
    all
}

fn meets(host: &mut Host, answer: &Answer, rules: &str) -> Result<(), String> {
    let (opened, fault): (Option<&Value>, Option<&Fault>) = match answer {
        Ok(value) => (Some(value), None),
        Err(fault) => (None, Some(fault)),
    };
    let may_fail = rules.contains("error=");
    if let Some(fault) = fault {
        let kinds = rules.split("; ").find_map(|r| r.strip_prefix("error="));
        return match kinds {
            Some(kinds) if kinds.split('|').any(|k| k == fault.kind()) => Ok(()),
            _ => Err(format!("{} {}", fault.kind(), fault.message)),
        };
    }
    let opened = opened.unwrap();
    if may_fail && !rules.contains("|error") {
        return Err(format!("opened: {}", opened["summary"]));
    }
    for rule in rules.split("; ") {
        let check = |field: &str, values: &str| {
            let found = opened["summary"][field].as_str().unwrap_or("");
            values
                .split('|')
                .any(|v| v == found)
                .then_some(())
                .ok_or_else(|| {
                    format!(
                        "{field} is {found}, wanted {values}: {}",
                        shorten(&opened["layers"])
                    )
                })
        };
        if let Some(values) = rule.strip_prefix("enc=") {
            check("encrypted", values)?;
        } else if let Some(values) = rule.strip_prefix("signed=") {
            check("signed", values)?;
        } else if let Some(words) = rule.strip_prefix("text~") {
            let found = text(host, opened);
            if !found.contains(words) {
                return Err(format!("no {words:?} in {found:?}"));
            }
        } else if let Some(words) = rule.strip_prefix("text!~") {
            if text(host, opened).contains(words) {
                return Err(format!("{words:?} is shown"));
            }
        } else if let Some(value) = rule.strip_prefix("subject=") {
            let found = &opened["headers"]["subject"]["value"];
            if found != value {
                return Err(format!("subject {found}, wanted {value}"));
            }
        } else if !rule.starts_with("error=") {
            return Err(format!("a rule that nobody knows: {rule}"));
        }
    }
    Ok(())
}

#[test]
fn what_others_wrote() {
    let Some(root) = corpora() else {
        println!(
            "ABSENT: no corpora beside the project (SEALPOST_SHARED names another place): \
             nothing of what others wrote was shown"
        );
        return;
    };
    let folders = cases(&root);
    let mut misses = Vec::new();
    let mut met = 0;
    for name in EXPECTED.iter().map(|(file, _)| file) {
        let folder = name.split('/').next().unwrap();
        let known = folders
            .get(folder)
            .is_some_and(|all| all.iter().any(|c| c.file == *name));
        assert!(known, "{name} is not in CASES.tsv");
    }
    println!("corpora: folder | keys read | opened | typed errors | verdicts met of wanted");
    for (folder, all) in &folders {
        let started = Instant::now();
        let home = Home::new();
        let mut host = home.start();
        host.good(
            "hello",
            json!({"protocol": [1], "client": "tests/1", "capabilities": {}}),
        );
        let trusted = [
            "made-attacks",
            "notmuch",
            "kde-mimetreeparser",
            "autocrypt-spec",
        ];
        let accept = trusted.contains(&folder.as_str());
        match folder.as_str() {
            "kde-mimetreeparser" => {
                let kept = root.join("kde-mimetreeparser/gnupg_home");
                bring(&mut host, by_gpgsm(Some(&kept), None));
            }
            "notmuch" => {
                let smime = root.join("notmuch/smime");
                authority(&mut host, &smime.join("ca.crt"));
                bring(&mut host, by_gpgsm(None, Some(&smime.join("bob.p12"))));
            }
            _ => {}
        }
        let (mut keys, mut opened, mut errors, mut right, mut wanted) = (0, 0, 0, 0, 0);
        for case in all
            .iter()
            .filter(|c| c.kind == "openpgp-key" || c.kind.starts_with("cert-"))
        {
            let bytes = std::fs::read(root.join(&case.file)).unwrap();
            let data = host.body(&bytes);
            let mut params = json!({"data": data, "ask": "never"});
            if accept {
                params["accept"] = json!(true);
            }
            match host.call("keys/import", params) {
                Ok(_) => keys += 1,
                Err(fault) if fault.kind() == "internal" || fault.kind().is_empty() => {
                    misses.push(format!("{}: import: {fault:?}", case.file));
                }
                Err(_) => {}
            }
        }
        for case in all
            .iter()
            .filter(|c| c.kind != "openpgp-key" && !c.kind.starts_with("cert-"))
        {
            let bytes = std::fs::read(root.join(&case.file)).unwrap();
            let start = Instant::now();
            let answer = open(&mut host, &case.file, &case.kind, &bytes, None);
            if start.elapsed() > Duration::from_secs(60) {
                misses.push(format!("{}: took {:?}", case.file, start.elapsed()));
            }
            match &answer {
                Ok(_) => opened += 1,
                Err(fault) => {
                    errors += 1;
                    let typed = fault.data["kind"].is_string() && fault.data["blame"].is_string();
                    if fault.kind() == "internal" || !typed {
                        misses.push(format!("{}: {fault:?}", case.file));
                    }
                }
            }
            if let Some((_, rules)) = EXPECTED.iter().find(|(file, _)| *file == case.file) {
                wanted += 1;
                match meets(&mut host, &answer, rules) {
                    Ok(()) => right += 1,
                    Err(why) => misses.push(format!("{}: {why}", case.file)),
                }
            }
        }
        met += right;
        println!(
            "corpora: {folder:22} | {keys:3} | {opened:3} | {errors:3} | {right} of {wanted}   ({:.1} s, {} MiB)",
            started.elapsed().as_secs_f32(),
            host.peak_kib() / 1024
        );
        assert!(
            host.peak_kib() < 1024 * 1024,
            "{folder}: more than 1 GiB of memory"
        );
    }
    println!("corpora: {met} of {} verdicts", EXPECTED.len());
    for miss in &misses {
        println!("  MISS {miss}");
    }
    assert!(misses.is_empty(), "{} misses", misses.len());
}

/// The one secret S/MIME key of a GnuPG home that somebody kept, or of a file under an empty
/// passphrase as only gpgsm reads it: PEM, by gpgsm and openssl.
pub fn by_gpgsm(kept: Option<&Path>, file: Option<&Path>) -> Option<Vec<u8>> {
    let (gpgsm, openssl) = (find("gpgsm")?, find("openssl")?);
    let gpg = Gpg::new()?;
    for folder in kept
        .into_iter()
        .flat_map(|kept| [kept.to_owned(), kept.join("private-keys-v1.d")])
    {
        let into = match folder.ends_with("private-keys-v1.d") {
            true => gpg.home().join("private-keys-v1.d"),
            false => gpg.home().to_owned(),
        };
        std::fs::create_dir_all(&into).unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if path.is_file()
                && (name == "pubring.kbx" || path.extension().is_some_and(|e| e == "key"))
            {
                std::fs::write(into.join(name), std::fs::read(&path).unwrap()).unwrap();
            }
        }
    }
    let go = |args: &[&str], input: &[u8]| {
        let mut command = Command::new(&gpgsm);
        command
            .env("GNUPGHOME", gpg.home())
            .args(["--batch", "--yes", "--disable-dirmngr", "--with-colons"])
            .args(["--pinentry-mode", "loopback", "--passphrase-fd", "0"])
            .args(args);
        let ran = run(&mut command, input);
        assert!(ran.ok, "gpgsm {args:?}: {}", ran.stderr);
        ran.stdout
    };
    if let Some(file) = file {
        go(&["--import", file.to_str().unwrap()], b"\n");
    }
    let list = String::from_utf8(go(&["--list-secret-keys"], b"\n")).unwrap();
    let mut prints = list.lines().filter(|line| line.starts_with("fpr:"));
    let print = prints.next().unwrap().split(':').nth(9).unwrap().to_owned();
    let bag = gpg.home().join("key.p12");
    let name = bag.to_str().unwrap();
    go(&["-o", name, "--export-secret-key-p12", &print], b"x\n");
    let ran = run(
        Command::new(openssl).args([
            "pkcs12", "-legacy", "-nodes", "-passin", "pass:x", "-in", name,
        ]),
        b"",
    );
    assert!(ran.ok, "openssl: {}", ran.stderr);
    Some(ran.stdout)
}

/// Trusts an authority of theirs.
pub fn authority(host: &mut Host, file: &Path) {
    let authority = host.body(&std::fs::read(file).unwrap());
    host.good("anchors/add", json!({"data": authority}));
}

pub fn bring(host: &mut Host, key: Option<Vec<u8>>) {
    let key = host.body(&key.expect("gpgsm and openssl read these keys; ./dev setup brings them"));
    host.good("keys/import", json!({"data": key}));
}

/// Opens a file of this kind as a client would: a message, or what a page has without one.
pub fn open(host: &mut Host, file: &str, kind: &str, bytes: &[u8], at: Option<&str>) -> Answer {
    let mut params = json!({"ask": "never"});
    if let Some(at) = at {
        params["at"] = json!(at);
    }
    let bare = matches!(
        kind,
        "openpgp-message" | "openpgp-clearsigned" | "clearsigned" | "openpgp" | "fuzz"
    ) || file.ends_with(".asc")
        || file.ends_with(".pgp")
        || file.ends_with("/smime.p7m");
    if kind == "openpgp-signature" {
        let signature = host.body(bytes);
        params["payload"] = json!({"data": {"text": "Testing\n"}, "signature": signature});
        return host.call("message/open", params);
    }
    if bare {
        params["payload"] = json!({"data": host.body(bytes)});
        return host.call("message/open", params);
    }
    // An mbox has a line of its own before the message.
    let message = match bytes.strip_prefix(b"From ") {
        Some(rest) => {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
            rest.get(end..).unwrap_or(&[])
        }
        None => bytes,
    };
    host.open_with(message, params)
}
