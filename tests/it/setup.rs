//! Autocrypt Setup Messages: a key on its way to another device, with GnuPG at either end.

use serde_json::{Value, json};

use crate::harness::{Home, Host, Pinentry, decode, generate, seal_one};
use crate::peer::Gpg;

const ME: &str = "me@sealpost.example";

/// The code that the person was shown.
pub fn code_in(text: &str) -> Option<String> {
    let is_code = |word: &&str| {
        let groups: Vec<_> = word.split('-').collect();
        let four = |group: &&str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_digit());
        groups.len() == 9 && groups.iter().all(four)
    };
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '-');
    // Pinentry's escapes end in digits, as in %0A.
    words
        .map(|word| word.trim_matches('-'))
        .find(is_code)
        .map(str::to_owned)
}

/// The file that the message holds.
fn file_in(message: &str) -> String {
    let (_, part) = message
        .split_once("Content-Type: application/autocrypt-setup")
        .unwrap();
    let (_, body) = part.split_once("\r\n\r\n").unwrap();
    let (body, _) = body.split_once("\r\n--").unwrap();
    String::from_utf8(decode(&body.replace("\r\n", ""))).unwrap()
}

/// The armored block in that file.
fn armor_in(message: &str) -> String {
    let file = file_in(message);
    let start = file.find("-----BEGIN PGP MESSAGE-----").unwrap();
    let end = file.find("-----END PGP MESSAGE-----").unwrap() + 25;
    file[start..end].to_owned()
}

/// Somebody with a key, the message that takes it elsewhere, and its code.
struct Made {
    id: String,
    message: String,
    code: String,
    reply: Value,
}

fn made(prefer: &str) -> Made {
    let pinentry = Pinentry::new(&["seen"]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Me", ME, "compatible");
    host.good("autocrypt/prefer", json!({"from": ME, "prefer": prefer}));
    let reply = host.good("autocrypt/setup", json!({"id": id}));
    let message = String::from_utf8(host.bytes(&reply["message"].clone())).unwrap();
    let code = code_in(&pinentry.descriptions()).expect("a code on the screen");
    assert_eq!(pinentry.count("confirm"), 1);
    Made {
        id,
        message,
        code,
        reply,
    }
}

fn bring(host: &mut Host, message: &str) -> Result<Value, crate::harness::Fault> {
    let data = host.body(message.as_bytes());
    host.call("keys/import", json!({"data": data}))
}

#[test]
fn a_key_goes_to_another_device_and_its_code_by_no_client() {
    let it = made("mutual");
    assert!(!it.reply.to_string().contains(&it.code));
    assert!(
        it.message.contains("Autocrypt-Setup-Message: v1\r\n"),
        "{}",
        it.message
    );
    assert!(
        it.message
            .contains("Content-Type: application/autocrypt-setup")
    );
    let armor = armor_in(&it.message);
    let begin = format!("Passphrase-Begin: {}", &it.code[..2]);
    assert!(
        armor.contains("Passphrase-Format: numeric9x4") && armor.contains(&begin),
        "{armor}"
    );

    // Typed wrong, then without the dashes.
    let pinentry = Pinentry::new(&["1234", &it.code.replace('-', "")]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    host.hello();
    let brought = bring(&mut host, &it.message).unwrap();
    assert_eq!(
        brought["imported"],
        json!([{"id": it.id, "change": "new", "secret": true}])
    );
    assert_eq!(pinentry.count("error"), 1);
    let asked = pinentry.descriptions();
    assert!(
        asked.contains(&format!(
            "nine groups of four digits that begin with {}",
            &it.code[..2]
        )),
        "{asked}"
    );
    assert_eq!(
        host.good("autocrypt/prefer", json!({"from": ME}))["prefer"],
        "mutual"
    );
    let draft = json!({"from": ME, "to": [ME], "subject": "s", "text": {"text": "words"}});
    let mail = seal_one(&mut host, draft, json!({"sign": true, "encrypt": true}));
    assert_eq!(host.open(&mail).unwrap()["summary"]["encrypted"], "whole");

    // One that a key opens is none: whoever knows the key may have made it.
    let sealed = host.good(
        "message/seal",
        json!({"payload": {"text": "words"}, "form": "payload", "to": [ME],
            "protect": {"encrypt": true, "scheme": "inline"}}),
    );
    let sealed = String::from_utf8(host.bytes(&sealed["payload"].clone())).unwrap();
    let sealed = sealed.replacen("-----\n", "-----\nPassphrase-Format: numeric9x4\n", 1);
    let sealed = sealed.replacen("-----\r\n", "-----\r\nPassphrase-Format: numeric9x4\r\n", 1);
    assert!(sealed.contains("Passphrase-Format"));
    let fault = bring(&mut host, &sealed).unwrap_err();
    assert_eq!(fault.kind(), "message.malformed");

    // Its file alone will do; without anybody to ask it stays closed.
    let pinentry = Pinentry::new(&[&it.code.replace('-', " ")]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    assert!(bring(&mut host, &file_in(&it.message)).is_ok());
    let home = Home::new();
    let mut host = home.start();
    let fault = bring(&mut host, &it.message).unwrap_err();
    assert_eq!(fault.kind(), "passphrase.unavailable");
    let place = armor.len() - 80;
    let other = if &armor[place..=place] == "A" {
        "B"
    } else {
        "A"
    };
    let altered = format!("{}{other}{}", &armor[..place], &armor[place + 1..]);
    let pinentry = Pinentry::new(&[&it.code]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    assert!(bring(&mut host, &altered).is_err());
    assert_eq!(host.good("keys/list", json!({}))["keys"], json!([]));
}

#[test]
fn without_a_look_at_the_code_no_key_leaves() {
    let cancel = Pinentry::new(&["%cancel"]);
    for home in [Home::new(), Home::new().pinentry(&cancel)] {
        let mut host = home.start();
        host.hello();
        let id = generate(&mut host, "Me", ME, "compatible");
        let fault = host.fault("autocrypt/setup", json!({"id": id}));
        assert_eq!(fault.kind(), "consent.denied");
        assert!(code_in(&fault.message).is_none() && code_in(&fault.data.to_string()).is_none());
    }
    let home = Home::new().confirm(Some("no"));
    let mut host = home.start();
    let id = generate(&mut host, "Me", ME, "compatible");
    assert_eq!(
        host.fault("autocrypt/setup", json!({"id": id})).kind(),
        "consent.denied"
    );
    let other = json!({"id": id, "from": "other@sealpost.example"});
    assert_eq!(host.fault("autocrypt/setup", other).data["path"], "/from");
}

#[test]
fn a_key_with_a_passphrase_wants_it_first() {
    let pinentry = Pinentry::new(&["right"]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    let made = host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "address": ME, "passphrase": "ask"}),
    );
    let id = made["key"]["id"].clone();
    pinentry.answers(&["wrong", "right", "seen"]);
    let reply = host.good("autocrypt/setup", json!({"id": id}));
    let shown = pinentry.descriptions();
    let code = code_in(&shown).expect("a code on the screen");
    // Nothing is shown before the passphrase was right.
    let before = shown.find(&code[..9]).unwrap();
    assert!(
        shown[..before].matches("passphrase that protects").count() >= 2,
        "{shown}"
    );
    let message = String::from_utf8(host.bytes(&reply["message"].clone())).unwrap();
    let pinentry = Pinentry::new(&[&code]);
    let other = Home::new().pinentry(&pinentry);
    let mut other = other.start();
    assert!(bring(&mut other, &message).is_ok());
}

#[test]
fn gpg_opens_what_is_made_here_and_the_other_way_round() {
    let Some(gpg) = Gpg::new() else { return };
    let it = made("nopreference");
    let ran = gpg.tried(
        &["--status-fd", "2", "--passphrase", &it.code, "--decrypt"],
        armor_in(&it.message).as_bytes(),
    );
    assert!(ran.ok, "{}", ran.stderr);
    // An integrity check, and AES-128.
    assert!(ran.stderr.contains("DECRYPTION_INFO 2 7"), "{}", ran.stderr);
    let key = String::from_utf8(ran.stdout).unwrap();
    assert!(
        key.contains("Autocrypt-Prefer-Encrypt: nopreference"),
        "{key}"
    );
    gpg.go(&["--import"], key.as_bytes());
    let listed = gpg.text(&["--with-colons", "--list-secret-keys"], b"");
    assert!(
        listed.contains(it.id.trim_start_matches("openpgp:")),
        "{listed}"
    );

    // GnuPG compresses what it encrypts, and its armor says nothing of a code.
    let Some(gpg) = Gpg::new() else { return };
    let fingerprint = gpg.key("Other <other@sealpost.example>", "ed25519", "cv25519", &[]);
    let secret = String::from_utf8(gpg.secret(&fingerprint)).unwrap();
    let secret = secret.replacen("-----\n", "-----\nAutocrypt-Prefer-Encrypt: mutual\n", 1);
    let code = "1111-2222-3333-4444-5555-6666-7777-8888-9999";
    let args = [
        "--passphrase",
        code,
        "--armor",
        "--cipher-algo",
        "AES128",
        "--symmetric",
    ];
    let armor = String::from_utf8(gpg.go(&args, secret.as_bytes())).unwrap();
    let message = format!(
        "From: other@sealpost.example\r\nTo: other@sealpost.example\r\n\
         Autocrypt-Setup-Message: v1\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nwords\r\n\
         --b\r\nContent-Type: application/autocrypt-setup\r\n\r\n{armor}\r\n--b--\r\n"
    );
    let pinentry = Pinentry::new(&[code]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    let brought = bring(&mut host, &message).unwrap();
    assert_eq!(brought["imported"][0]["secret"], true, "{brought}");
    let asked = json!({"from": "other@sealpost.example"});
    assert_eq!(host.good("autocrypt/prefer", asked)["prefer"], "mutual");
}

#[test]
fn the_command_line_makes_one() {
    let pinentry = Pinentry::new(&["seen"]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = home.start();
    generate(&mut host, "Me", ME, "compatible");
    let run = home
        .command()
        .args(["autocrypt", "setup", ME])
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let message = String::from_utf8(run.stdout).unwrap();
    assert!(armor_in(&message).contains("Passphrase-Format: numeric9x4"));
    assert!(code_in(&pinentry.descriptions()).is_some());
    assert!(code_in(&file_in(&message)).is_none());
}
