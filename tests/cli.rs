//! The command line through its front door: the real binary, an empty folder of state.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// One person with a folder of state and a folder to work in.
struct Person(TempDir);

impl Person {
    fn new() -> Person {
        Person(tempfile::tempdir().unwrap())
    }

    /// Runs the program with `input` at its standard input.
    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("SEALPOST_HOME", self.0.path().join("state"))
            .env("SEALPOST_PINENTRY", "none")
            .env("SEALPOST_AGENT", "none")
            .env("SEALPOST_CONFIRM", "yes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that ends before it has read everything is no fault of this test.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// Runs the program and gives what it printed; it has to succeed.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.run_with(arguments, b"");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs the program and gives what it complained; it has to fail.
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run_with(arguments, b"");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    fn with_key(address: &str) -> Person {
        let person = Person::new();
        person.run(&["keys", "generate", "--address", address, "--no-passphrase"]);
        person
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn give(from: &Person, to: &Person, address: &str) {
    let cert = from.run(&["keys", "export", address]);
    fs::write(to.path("cert.asc"), cert).unwrap();
    to.run(&["keys", "import", "cert.asc", "--accept"]);
}

#[test]
fn a_message_goes_from_one_to_another() {
    let alice = Person::with_key("alice@cli.example");
    let bob = Person::with_key("bob@cli.example");
    give(&alice, &bob, "alice@cli.example");
    give(&bob, &alice, "bob@cli.example");
    fs::write(alice.path("letter.txt"), "Hello Bob\n").unwrap();
    fs::write(alice.path("plan.pdf"), [0, 1, 2, 255]).unwrap();
    let sealed = alice.run(&[
        "seal",
        "--from",
        "Alice <alice@cli.example>",
        "--to",
        "bob@cli.example",
        "--subject",
        "Plans",
        "--text",
        "letter.txt",
        "--attach",
        "plan.pdf",
        "--sign",
        "--encrypt",
    ]);
    assert!(
        !sealed.contains("Plans") && !sealed.contains("Hello"),
        "{sealed}"
    );
    fs::write(bob.path("a.eml"), &sealed).unwrap();

    let shown = bob.run(&["open", "a.eml", "--save", "."]);
    for expected in [
        "Encrypted:  yes, the whole message\n",
        "Signed:     good, by alice@cli.example\n",
        "Subject:    Plans  (signed, encrypted; outside: [...])\n",
        "\n| Hello Bob\n",
        "| plan.pdf  application/pdf  4 bytes  encrypted, signed\n",
    ] {
        assert!(shown.contains(expected), "{expected:?} in {shown}");
    }
    assert_eq!(fs::read(bob.path("plan.pdf")).unwrap(), [0, 1, 2, 255]);
    let json: Value = serde_json::from_str(&bob.run(&["open", "--json", "a.eml"])).unwrap();
    assert_eq!(json["summary"]["signed"], "good");

    let piped = bob.run_with(&["open", "-"], sealed.as_bytes());
    assert!(piped.status.success());
    let stranger = Person::new();
    fs::write(stranger.path("a.eml"), &sealed).unwrap();
    let refused = stranger.fail(&["open", "a.eml"]);
    assert!(
        refused.contains("key.missing") && refused.contains("alice@cli.example"),
        "{refused}"
    );
}

#[test]
fn keys_come_go_and_are_judged() {
    let alice = Person::with_key("alice@cli.example");
    let bob = Person::new();
    give(&alice, &bob, "alice@cli.example");
    let table = bob.run(&["keys", "list"]);
    assert!(
        table.contains("alice@cli.example") && table.contains("valid"),
        "{table}"
    );
    let id = bob.run(&["keys", "list", "--json"]);
    let id: Value = serde_json::from_str(&id).unwrap();
    let id = id["keys"][0]["id"].as_str().unwrap();
    bob.run(&[
        "keys",
        "accept",
        id,
        "alice@cli.example",
        "--level",
        "rejected",
    ]);
    assert!(
        bob.run(&["keys", "show", "alice"])
            .contains("alice@cli.example (rejected)")
    );
    bob.run(&["keys", "delete", "alice"]);
    assert_eq!(bob.run(&["keys", "list"]), "");
    assert!(bob.fail(&["keys", "show", "alice"]).contains("key.missing"));
}

/// A pinentry that answers with the lines of a file, one for each question.
const PINENTRY: &str = r#"#!/bin/sh
echo "OK ready"
while read -r command rest; do
    case $command in
        GETPIN) echo "D $(head -n 1 "$0.answers")"; sed -i 1d "$0.answers"; echo OK ;;
        BYE) echo OK; exit 0 ;;
        *) echo OK ;;
    esac
done
"#;

#[cfg(unix)]
#[test]
fn a_passphrase_is_asked_for_until_it_is_right() {
    use std::os::unix::fs::PermissionsExt;
    let person = Person::new();
    let program = person.path("pinentry");
    fs::write(&program, PINENTRY).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let answers = person.path("pinentry.answers");
    let asked = |arguments: &[&str], lines: &str| {
        fs::write(&answers, lines).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .args(arguments)
            .env("SEALPOST_HOME", person.path("state"))
            .env("SEALPOST_PINENTRY", &program)
            .env("SEALPOST_AGENT", "none")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.success(),
            text(&output.stderr),
            fs::read_to_string(&answers).unwrap(),
        )
    };
    let made = asked(
        &["keys", "generate", "--address", "a@cli.example"],
        "right\n",
    );
    assert_eq!(made, (true, String::new(), String::new()));
    let opened = asked(
        &["keys", "unlock", "a@cli.example"],
        "wrong\nright\nleft over\n",
    );
    assert_eq!(opened, (true, String::new(), "left over\n".into()));
    let (success, complaint, left) = asked(&["keys", "unlock", "a@cli.example"], "1\n2\n3\n4\n");
    assert!(
        !success && complaint.contains("passphrase.wrong"),
        "{complaint}"
    );
    assert_eq!(left, "4\n");
    let (success, complaint, left) =
        asked(&["keys", "unlock", "--no-ask", "a@cli.example"], "right\n");
    assert!(!success && complaint.contains("key.locked"), "{complaint}");
    assert_eq!(left, "right\n");
}

#[test]
#[cfg(unix)]
fn a_backup_is_written_and_taken_up_elsewhere() {
    use std::os::unix::fs::PermissionsExt;
    let me = Person::with_key("me@cli.example");
    let elsewhere = Person::new();
    let program = me.path("pinentry");
    fs::write(&program, PINENTRY).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let asked = |who: &Person, arguments: &[&str], lines: &str| {
        fs::write(me.path("pinentry.answers"), lines).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .args(arguments)
            .current_dir(me.0.path())
            .env("SEALPOST_HOME", who.0.path().join("state"))
            .env("SEALPOST_PINENTRY", &program)
            .env("SEALPOST_CONFIRM", "yes")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (done, _, told) = asked(&me, &["backup", "all.gpg"], "a phrase\n");
    assert!(done && told.contains("wrote all.gpg"), "{told}");
    let mode = fs::metadata(me.path("all.gpg")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    // Nothing is replaced, and nobody is asked for nothing.
    let (done, _, told) = asked(&me, &["backup", "all.gpg"], "");
    assert!(!done && told.contains("there already"), "{told}");
    let (done, printed, told) = asked(&elsewhere, &["restore", "all.gpg"], "wrong\na phrase\n");
    assert!(done, "{told}");
    let count = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        (count("secret keys"), count("authorities")),
        ("1".into(), "0".into())
    );
    let listed = elsewhere.run(&["keys", "list", "--secret"]);
    assert!(listed.contains("me@cli.example"), "{listed}");
    fs::write(
        me.path("cut.gpg"),
        &fs::read(me.path("all.gpg")).unwrap()[..300],
    )
    .unwrap();
    let (done, _, told) = asked(&elsewhere, &["restore", "cut.gpg"], "a phrase\n");
    assert!(!done && told.contains("decrypt.failed"), "{told}");
}

#[test]
fn the_doctor_says_what_to_mend() {
    let me = Person::new();
    let told = me.run(&["doctor"]);
    let line = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("store").contains("ok"), "{told}");
    assert!(
        line("keys").contains("mend") && line("keys").contains("make one"),
        "{told}"
    );
    let state = me.0.path().join("state");
    fs::write(state.join("policy.toml"), "\nunlock = 60\n").unwrap();
    let told = me.run(&["doctor"]);
    assert!(told.contains("policy.toml, line 2"), "{told}");
    let json: Value = serde_json::from_str(&me.run(&["doctor", "--json"])).unwrap();
    assert_eq!(json["checks"][0]["data"]["line"], 2);
}

#[test]
fn small_texts_are_sealed_and_opened() {
    let alice = Person::with_key("alice@cli.example");
    let sealed = alice.run_with(
        &["text", "encrypt", "--to", "alice@cli.example", "--sign"],
        b"psst",
    );
    assert!(sealed.status.success(), "{}", text(&sealed.stderr));
    let opened = alice.run_with(
        &["text", "decrypt", "--expect", "alice@cli.example"],
        &sealed.stdout,
    );
    let shown = text(&opened.stdout);
    assert!(
        shown.starts_with("-- encrypted, signed\n") && shown.ends_with("| psst\n"),
        "{shown}"
    );
}

#[test]
fn no_message_writes_to_the_terminal_by_itself() {
    let person = Person::new();
    let message = "From: \u{1b}]0;title\u{7}a@cli.example\r\nSubject: \u{9b}31mred\u{202e}\r\n\r\n\
                   text \u{1b}[2J\u{8}\r\n";
    let output = person.run_with(&["open", "-"], message.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let hostile = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    let shown = text(&output.stdout);
    assert!(!shown.contains(hostile), "{shown:?}");
}

#[test]
fn what_cannot_be_done_has_a_status_and_a_name() {
    let person = Person::new();
    assert!(
        person
            .fail(&["open", "nothing.eml"])
            .contains("nothing.eml can't be read")
    );
    let unsealed = person.fail(&[
        "seal",
        "--from",
        "a@cli.example",
        "--to",
        "b@cli.example",
        "--text",
        "/dev/null",
        "--encrypt",
    ]);
    assert!(unsealed.contains("key.missing"), "{unsealed}");
    assert!(unsealed.contains("no key for b@cli.example"), "{unsealed}");
    assert!(
        person
            .fail(&["keys", "delete", "nobody@cli.example"])
            .contains("key.missing")
    );
    let json = person.run_with(&["keys", "show", "--json", "nobody@cli.example"], b"");
    let error: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "key.missing");
    assert_eq!(error["error"]["blame"], "keys");
    let usage = person.run_with(&["opne"], b"");
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn smime_from_the_first_key_to_an_authority_for_one_domain() {
    let alice = Person::new();
    let made = alice.run(&[
        "keys",
        "generate",
        "--smime",
        "--address",
        "alice@a.example",
        "--no-passphrase",
        "--request",
        "alice.csr",
    ]);
    assert!(made.contains("alice@a.example (accepted)"), "{made}");
    let request = fs::read_to_string(alice.path("alice.csr")).unwrap();
    assert!(
        request.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"),
        "{request}"
    );

    let bob = Person::new();
    bob.run(&[
        "keys",
        "generate",
        "--smime",
        "--address",
        "bob@b.example",
        "--no-passphrase",
    ]);
    give(&alice, &bob, "alice@a.example");
    give(&bob, &alice, "bob@b.example");
    fs::write(alice.path("letter.txt"), "hello\n").unwrap();
    let sealed = alice.run(&[
        "seal",
        "--from",
        "alice@a.example",
        "--to",
        "bob@b.example",
        "--subject",
        "Hi",
        "--text",
        "letter.txt",
        "--sign",
        "--encrypt",
    ]);
    assert!(sealed.contains("application/pkcs7-mime"), "{sealed}");
    fs::write(bob.path("sealed.eml"), sealed).unwrap();
    let opened = bob.run(&["open", "sealed.eml"]);
    assert!(opened.contains("good, by alice@a.example"), "{opened}");

    // A person is no authority.
    let complaint = bob.fail(&["anchors", "add", "cert.asc"]);
    assert!(complaint.contains("no authority"), "{complaint}");
    let listed = bob.run(&["anchors", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let anchors = listed["anchors"].as_array().unwrap();
    assert!(anchors.len() > 50);
    assert!(anchors.iter().all(|anchor| anchor["source"] == "bundled"));
}

#[test]
fn a_key_is_renewed_and_revoked() {
    let me = Person::new();
    let end = |days: i64| (chrono::Utc::now() + chrono::Duration::days(days)).to_rfc3339();
    let address = "me@sealpost.example";
    let made = [
        "keys",
        "generate",
        "--address",
        address,
        "--no-passphrase",
        "--expires",
    ];
    me.run(&[&made[..], &[&end(3)]].concat());
    let told = me.run(&["keys", "renew", address, "--expires", &end(300)]);
    assert!(told.contains("another end"), "{told}");
    assert!(
        me.fail(&["keys", "renew", address, "--expires", "soon"])
            .contains("RFC 3339")
    );
    let told = me.run(&["keys", "revoke", address, "--reason", "superseded"]);
    assert!(told.contains("is revoked"), "{told}");
    let shown: Value = serde_json::from_str(&me.run(&["keys", "show", address, "--json"])).unwrap();
    assert_eq!(shown["key"]["status"], "revoked");
    let smime = Person::new();
    smime.run(&[
        "keys",
        "generate",
        "--smime",
        "--address",
        address,
        "--no-passphrase",
    ]);
    let renew = ["keys", "renew", address, "--expires"];
    let told = smime.run(&[&renew[..], &[&end(300), "--request", "new.csr"]].concat());
    assert!(told.contains("new.csr"), "{told}");
    let request = fs::read_to_string(smime.path("new.csr")).unwrap();
    assert!(request.contains("BEGIN CERTIFICATE REQUEST"), "{request}");
    assert!(
        smime
            .fail(&["keys", "revoke", address])
            .contains("authority")
    );
}

#[test]
fn the_rules_say_who_set_them() {
    let me = Person::new();
    let state = me.0.path().join("state");
    fs::create_dir_all(&state).unwrap();
    let told = me.run(&["policy"]);
    let legacy = told
        .lines()
        .find(|line| line.starts_with("legacy"))
        .unwrap();
    assert!(
        legacy.contains("false") && legacy.contains("default"),
        "{told}"
    );
    fs::write(state.join("policy.toml"), "unlock-seconds = 60\n").unwrap();
    let shown: Value = serde_json::from_str(&me.run(&["policy", "--json"])).unwrap();
    assert_eq!(shown["policy"]["unlock-seconds"], 60);
    assert_eq!(shown["origins"]["unlock-seconds"], "person");
    assert_eq!(shown["origins"]["legacy"], "default");
    let also = format!("[encrypt]\nalso = [\"openpgp:{}\"]\n", "AB".repeat(20));
    fs::write(state.join("policy.toml"), also).unwrap();
    let told = me.run(&["policy"]);
    let line = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("encrypt.also").contains("yours"), "{told}");
    assert!(line("groups").contains("default"), "{told}");
    fs::write(state.join("policy.toml"), "\nunlock = 60\n").unwrap();
    let told = me.fail(&["policy"]);
    assert!(told.contains("policy.toml, line 2"), "{told}");
}

#[test]
fn an_answer_hides_what_was_hidden() {
    let alice = Person::with_key("alice@cli.example");
    let bob = Person::with_key("bob@cli.example");
    give(&alice, &bob, "alice@cli.example");
    give(&bob, &alice, "bob@cli.example");
    fs::write(alice.path("letter.txt"), "At noon\n").unwrap();
    let letter = "seal --from alice@cli.example --to bob@cli.example --subject Lunch \
                  --text letter.txt --sign --encrypt";
    let sealed = alice.run(&words(letter));
    fs::write(bob.path("a.eml"), &sealed).unwrap();

    let passed_on = bob.run(&["answer", "a.eml", "--forward"]);
    fs::write(bob.path("forward.json"), passed_on).unwrap();
    let forward = "seal --draft forward.json --to bob@cli.example --encrypt --sign";
    let forward = bob.run(&words(forward));
    assert!(!forward.contains("At noon"), "{forward}");
    let kept = bob.run(&words("seal --draft forward.json --as-draft --encrypt"));
    let kept = text(&bob.run_with(&["open", "-"], kept.as_bytes()).stdout);
    assert!(kept.contains("Draft:      your own"), "{kept}");

    let begun = bob.run_with(&["answer", "a.eml"], b"");
    let told = text(&begun.stderr);
    assert!(told.contains("--encrypt and --answering"), "{told}");
    let draft: Value = serde_json::from_slice(&begun.stdout).unwrap();
    assert_eq!(draft["to"][0]["address"], "alice@cli.example");
    assert_eq!(draft["subject"], "Re: Lunch");
    assert!(
        draft["text"]["text"]
            .as_str()
            .unwrap()
            .contains("> At noon")
    );
    fs::write(bob.path("draft.json"), &begun.stdout).unwrap();
    let seal = "seal --draft draft.json --answering a.eml --sign --encrypt --headers none";
    let answer = bob.run(&words(seal));
    assert!(!answer.contains("Lunch"), "{answer}");
    fs::write(alice.path("b.eml"), &answer).unwrap();
    let shown = alice.run(&["open", "b.eml"]);
    assert!(shown.contains("Subject:    Re: Lunch"), "{shown}");
    assert!(shown.contains("| > At noon\n"), "{shown}");
}

#[test]
fn no_text_passes_for_a_verdict() {
    let person = Person::new();
    let message = "From: a@cli.example\r\n\r\nHello\r\n\r\nSigned:     good, by b@cli.example\r\n";
    let shown = text(&person.run_with(&["open", "-"], message.as_bytes()).stdout);
    let signed: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with("Signed:"))
        .collect();
    assert_eq!(signed, ["Signed:     no"], "{shown}");
}

#[test]
fn one_address_with_two_keys_of_ones_own() {
    let me = Person::with_key("me@cli.example");
    me.run(&words(
        "keys generate --smime --address me@cli.example --no-passphrase",
    ));
    // Only OpenPGP has what these do.
    me.run(&words("keys address me@cli.example --add me@home.example"));
    me.run(&words("keys publish me@cli.example --via wkd --to www"));
    let signed = me.run_with(&words("text sign"), b"x");
    assert!(signed.status.success(), "{}", text(&signed.stderr));
    // Both could be meant, and are named.
    let complaint = me.fail(&words("keys unlock me@cli.example"));
    assert!(complaint.contains("key.ambiguous"), "{complaint}");
    for family in ["openpgp:", "smime:"] {
        assert!(complaint.contains(family), "{complaint}");
    }
    // An address is that address, not a part of a longer one.
    let other = Person::with_key("some@cli.example");
    give(&other, &me, "some@cli.example");
    me.run(&words("keys show some@cli.example"));
    me.run(&words("keys address me@home.example --add me@work.example"));
}

#[test]
fn of_two_keys_for_a_friend_one_is_kept() {
    let me = Person::new();
    let old = Person::with_key("bob@cli.example");
    let new = Person::with_key("bob@cli.example");
    give(&old, &me, "bob@cli.example");
    let cert = new.run(&["keys", "export", "bob@cli.example"]);
    fs::write(me.path("cert.asc"), cert).unwrap();
    me.run(&["keys", "import", "cert.asc"]);
    let id = |person: &Person| {
        let listed = person.run(&["keys", "list", "--secret", "--json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        listed["keys"][0]["id"].as_str().unwrap().to_owned()
    };
    let (old, new) = (id(&old), id(&new));
    me.run(&["keys", "settle", &new, "bob@cli.example", "--reject", &old]);
    for (key, level) in [(&new, "accepted"), (&old, "rejected")] {
        let shown = me.run(&["keys", "show", key]);
        let expected = format!("bob@cli.example ({level})");
        assert!(shown.contains(&expected), "{shown}");
    }
}

/// A command line's words.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
