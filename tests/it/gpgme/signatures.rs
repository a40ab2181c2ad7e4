//! Signatures of the dialect beside gpg, and what is said of those that don't fit, or whose keys
//! don't count.

use serde_json::{Value, json};

use super::{Talk, beside, data, of_bytes, plaintext, signatures};
use crate::harness::{Home, amount, encode, generate, import};
use crate::peer::Gpg;

const ALICE: &str = "alice@gpg.example";
const BOB: &str = "bob@gpg.example";

fn two() -> Option<(Gpg, String, String)> {
    let gpg = Gpg::new()?;
    let alice = gpg.key(ALICE, "ed25519", "cv25519", &[]);
    let bob = gpg.key(BOB, "rsa2048", "rsa2048", &[]);
    Some((gpg, alice, bob))
}

/// The one signature of an answer.
#[track_caller]
fn one(answer: &Value) -> Value {
    let mut found = signatures(answer);
    assert_eq!(found.len(), 1, "{answer}");
    found.remove(0)
}

#[test]
fn what_is_signed_gpg_verifies() {
    let Some((gpg, ..)) = two() else { return };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let file = gpg.home().join("content");
    for size in [0, 1, 1 << 20, amount(2 << 20, 10 << 20)] {
        let content = "Gr\u{fc}\u{df}e\r\n- \n".repeat(size.div_ceil(12));
        let content = content.get(..size).unwrap_or(&content).as_bytes();
        std::fs::write(&file, content).unwrap();
        for (mode, armor) in [
            ("detached", true),
            ("detached", false),
            ("opaque", true),
            ("opaque", false),
            ("clearsign", true),
            ("clearsign", false),
        ] {
            let more = json!({"keys": [ALICE, BOB], "mode": mode, "armor": armor});
            let answer = talk.in_pieces(of_bytes("sign", content, more), 1_047_552);
            assert_eq!(answer["type"], "signature");
            assert_eq!(answer["base64"], !armor);
            let signed = data(&answer);
            let mut arguments = vec!["--status-fd", "2"];
            let name = gpg.home().join("signature");
            std::fs::write(&name, &signed).unwrap();
            let (name, file) = (name.to_str().unwrap(), file.to_str().unwrap());
            match mode {
                "detached" => arguments.extend(["--verify", name, file]),
                _ => arguments.extend(["--verify", name]),
            }
            let ran = gpg.tried(&arguments, b"");
            assert!(ran.ok, "{size} {mode} {armor}: {}", ran.stderr);
            assert_eq!(ran.stderr.matches("GOODSIG").count(), 2);
            let request = match mode {
                "detached" => of_bytes("verify", content, json!({"signature": encode(&signed)})),
                _ => of_bytes("verify", &signed, json!({})),
            };
            let verified = talk.in_pieces(request, 1_047_552);
            let found = signatures(&verified);
            assert_eq!(found.len(), 2);
            for signature in found {
                assert_eq!(signature["status_code"], 0, "{signature}");
                assert_eq!(signature["summary"]["valid"], true, "{signature}");
            }
            match mode {
                "detached" => assert_eq!(verified.get("data"), None),
                "opaque" => assert!(plaintext(&verified) == content),
                _ => {
                    // Lines, as gpg gives them out of a frame.
                    let lines = gpg.go(&["--decrypt"], &signed);
                    let lines = String::from_utf8(lines).unwrap().replace("\r\n", "\n");
                    assert!(plaintext(&verified) == lines.as_bytes(), "{size}");
                }
            }
        }
    }
    // What is no text can be in a frame, and not in JSON.
    let more = json!({"keys": ALICE, "mode": "clearsign", "armor": true});
    let made = talk.ask(of_bytes("sign", b"\xff\n", more));
    assert_eq!(made["base64"], true);
    let verified = talk.ask(of_bytes("verify", &data(&made), json!({})));
    assert_eq!(plaintext(&verified), b"\xff\n");
    // Any other word is a signature apart, and so is none.
    for mode in [json!("x"), json!(5)] {
        let request =
            json!({"op": "sign", "keys": ALICE, "data": "x", "mode": mode, "armor": true});
        let made = data(&talk.ask(request));
        assert!(made.starts_with(b"-----BEGIN PGP SIGNATURE-----\n"));
    }
}

#[test]
fn what_gpg_signs_is_verified() {
    let Some((gpg, alice, _)) = two() else { return };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let text = "one\n- two\n";
    let apart = gpg.text(&["-a", "-u", ALICE, "-b"], text.as_bytes());
    let inside = gpg.text(&["-a", "-u", ALICE, "-s"], text.as_bytes());
    let clear = gpg.text(&["-u", ALICE, "--clearsign"], text.as_bytes());
    for request in [
        json!({"op": "verify", "data": text, "signature": apart}),
        json!({"op": "verify", "data": inside}),
        json!({"op": "verify", "data": clear}),
        json!({"op": "verify", "data": format!("before\n{clear}\nbehind\n")}),
    ] {
        let verified = talk.ask(request.clone());
        let signature = one(&verified);
        for (name, value) in [
            ("fingerprint", json!(alice)),
            ("status_code", json!(0)),
            ("status_string", json!("Success")),
            ("validity", json!(4)),
            ("validity_string", json!("full")),
            ("pubkey_algo_name", json!("EdDSA")),
            ("exp_timestamp", json!(0)),
            ("pka_trust", json!(0)),
            ("validity_reason", json!(0)),
            ("wrong_key_usage", json!(false)),
            ("chain_model", json!(false)),
            ("is_de_vs", json!(false)),
        ] {
            assert_eq!(signature[name], value, "{name}");
        }
        assert_eq!(signature["summary"]["sigsum"], json!(["valid", "green"]));
        if request.get("signature").is_none() {
            assert_eq!(plaintext(&verified), text.as_bytes());
        }
    }
    // What is not covered is nobody's.
    let twice = format!("{clear}\n{}", clear.replace("one", "two"));
    assert_eq!(
        plaintext(&talk.ask(json!({"op": "verify", "data": twice}))),
        text.as_bytes()
    );
    // Remarks, and where a policy is.
    let noted = gpg.text(
        &[
            "-a",
            "-u",
            ALICE,
            "-N",
            "who@gpg.example=me",
            "--sig-policy-url",
            "https://gpg.example/p",
            "-b",
        ],
        b"x",
    );
    let noted = one(&talk.ask(json!({"op": "verify", "data": "x", "signature": noted})));
    let notations = json!([
        {"human_readable": false, "critical": false, "value": "https://gpg.example/p", "flags": 0},
        {"human_readable": true, "critical": false, "name": "who@gpg.example", "value": "me", "flags": 1},
    ]);
    assert_eq!(noted["notations"], notations);
}

#[test]
fn signatures_that_say_nothing() {
    let Some((gpg, _, bob)) = two() else { return };
    let past = ["--faked-system-time", "20200101T000000!"];
    gpg.key(
        "over@gpg.example",
        "ed25519",
        "cv25519",
        &[&past[..], &["--expired"]].concat(),
    );
    let over = gpg.text(
        &[&past[..], &["-a", "-u", "over@gpg.example", "-b"]].concat(),
        b"x",
    );
    let ended = gpg.text(
        &[
            "--faked-system-time",
            "20300101T000000!",
            "-a",
            "-u",
            BOB,
            "-b",
        ],
        b"x",
    );
    let short = gpg.text(
        &["-a", "-u", ALICE, "--default-sig-expire", "seconds=1", "-b"],
        b"x",
    );
    let good = gpg.text(&["-a", "-u", BOB, "-b"], b"x");
    let made = std::time::Instant::now();
    // A key that another program has, and no keyring here.
    let stranger = Gpg::new().unwrap();
    let unknown = stranger.key("who@gpg.example", "ed25519", "cv25519", &[]);
    let strange = stranger.text(&["-a", "-u", &unknown, "-b"], b"x");
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let mut said = |data: &str, signature: &str| {
        one(&talk.ask(json!({"op": "verify", "data": data, "signature": signature})))
    };

    let altered = said("y", &good);
    assert_eq!(altered["status_code"], 117_440_520);
    assert_eq!(altered["status_string"], "Bad signature");
    assert_eq!(altered["summary"]["sigsum"], json!(["red"]));
    assert_eq!(altered["fingerprint"], json!(bob[24..]));
    assert_eq!(
        (&altered["timestamp"], &altered["validity"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        (
            altered.get("pubkey_algo_name"),
            altered.get("hash_algo_name")
        ),
        (None, None)
    );

    let missing = said("x", &strange);
    assert_eq!(missing["status_code"], 9);
    assert_eq!(missing["status_string"], "No public key");
    assert_eq!(missing["summary"]["sigsum"], json!(["key-missing"]));
    assert_eq!(missing["fingerprint"], json!(unknown));
    assert_eq!(
        (&missing["pubkey_algo_name"], &missing["hash_algo_name"]),
        (&json!("EdDSA"), &json!("SHA256"))
    );

    let over = said("x", &over);
    assert_eq!(over["status_code"], 117_440_665);
    assert_eq!(over["status_string"], "Key expired");
    assert_eq!(over["summary"]["sigsum"], json!(["key-expired"]));

    let future = said("x", &ended);
    assert_eq!(future["summary"]["sigsum"], json!(["sys-error"]));

    // It ends while nobody looks.
    std::thread::sleep(std::time::Duration::from_millis(2100).saturating_sub(made.elapsed()));
    let short = said("x", &short);
    assert_eq!(short["status_code"], 117_440_666);
    assert_eq!(short["status_string"], "Signature expired");
    assert_eq!(short["summary"]["sigsum"], json!(["green", "sig-expired"]));
    assert_ne!(short["exp_timestamp"], 0);
}

#[test]
fn what_a_revoked_key_signed() {
    let Some((gpg, alice, _)) = two() else { return };
    let signature = gpg.text(&["-a", "-u", ALICE, "-b"], b"x");
    let kept = gpg.home().join(format!("openpgp-revocs.d/{alice}.rev"));
    let kept = std::fs::read_to_string(kept)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    gpg.go(&["--import"], kept.as_bytes());
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let revoked = one(&talk.ask(json!({"op": "verify", "data": "x", "signature": signature})));
    assert_eq!(revoked["status_code"], 117_440_606);
    assert_eq!(revoked["status_string"], "Certificate revoked");
    assert_eq!(revoked["summary"]["sigsum"], json!(["revoked"]));
    assert_eq!(revoked["summary"]["valid"], false);
}

#[test]
fn validity_is_what_the_person_said() {
    let Some(gpg) = Gpg::new() else { return };
    let bob = gpg.key(BOB, "ed25519", "cv25519", &[]);
    let cert = gpg.public(BOB);
    let signature = gpg.text(&["-a", "-u", BOB, "-b"], b"x");
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    import(&mut host, &cert, json!(null));
    let id = format!("openpgp:{bob}");
    for (level, validity, word, sum) in [
        ("undecided", 0, "unknown", json!([])),
        ("accepted", 3, "marginal", json!([])),
        ("verified", 4, "full", json!(["valid", "green"])),
        ("rejected", 2, "never", json!(["red"])),
    ] {
        host.good(
            "keys/accept",
            json!({"id": id, "address": BOB, "level": level}),
        );
        let request = json!({"op": "verify", "data": "x", "signature": signature});
        let said = one(&Talk::new(&home).ask(request));
        assert_eq!(said["status_code"], 0);
        assert_eq!(
            (&said["validity"], &said["validity_string"]),
            (&json!(validity), &json!(word))
        );
        assert_eq!(said["summary"]["sigsum"], sum, "{level}");
    }
}

#[test]
fn a_signature_that_only_gnupgs_keyring_knows() {
    let Some((gpg, ..)) = two() else { return };
    let other = Gpg::new().unwrap();
    let carol = other.key("carol@gpg.example", "ed25519", "cv25519", &[]);
    gpg.go(&["--import"], &other.public(&carol));
    let signature = other.text(&["-a", "-u", &carol, "-b"], b"x");
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let said = one(&talk.ask(json!({"op": "verify", "data": "x", "signature": signature})));
    assert_eq!(
        (&said["status_code"], &said["validity"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(said["fingerprint"], json!(carol));
    assert_eq!(said["summary"]["sigsum"], json!([]));
    // It is nobody's whom the store knows.
    let mut host = home.start();
    host.hello();
    let listed = host.good("keys/list", json!({}));
    assert!(!listed.to_string().contains("carol"));
    // Nor can anything be signed with it.
    let generated = generate(&mut host, "Dora", "dora@gpg.example", "compatible");
    host.close();
    let fingerprint = generated.split_once(':').unwrap().1;
    let made = talk.ask(json!({"op": "sign", "keys": fingerprint, "data": "x", "armor": true}));
    assert_eq!(made["type"], "signature");
    let refused = talk.ask(json!({"op": "sign", "keys": carol, "data": "x"}));
    assert_eq!(
        refused,
        super::fault("Error getting keys: No key", 117_440_733, "sign")
    );
}

#[test]
fn what_gnupg_knows_more_of_a_key_than_the_store() {
    let Some(gpg) = Gpg::new() else { return };
    let other = Gpg::new().unwrap();
    let carol = other.key("carol@gpg.example", "ed25519", "cv25519", &[]);
    let before = other.public(&carol);
    let home = beside(&gpg);
    let mut host = home.start();
    host.hello();
    import(&mut host, &before, json!(true));
    host.close();
    // A new subkey signs, and the store has never heard of it.
    other.go(&["--quick-add-key", &carol, "ed25519", "sign", "0"], b"");
    let signature = other.text(&["-a", "-u", &carol, "-b"], b"x");
    let mut talk = Talk::new(&home);
    let request = json!({"op": "verify", "data": "x", "signature": signature});
    assert_eq!(one(&talk.ask(request.clone()))["status_code"], 9);
    gpg.go(&["--import"], &other.public(&carol));
    let said = one(&talk.ask(request.clone()));
    assert_eq!(
        (&said["status_code"], &said["validity"]),
        (&json!(0), &json!(3)),
        "{said}"
    );
    assert_ne!(said["fingerprint"], json!(carol));
    // It is revoked, and GnuPG alone has been told.
    let kept = other.home().join(format!("openpgp-revocs.d/{carol}.rev"));
    let kept = std::fs::read_to_string(kept).unwrap();
    gpg.go(
        &["--import"],
        kept.replace(":-----BEGIN", "-----BEGIN").as_bytes(),
    );
    let said = one(&talk.ask(request));
    assert_eq!(said["status_string"], "Certificate revoked", "{said}");
    let encrypt = json!({"op": "encrypt", "keys": carol, "data": "x", "always-trust": true});
    assert_eq!(
        talk.ask(encrypt),
        super::fault(
            "Encryption failed: Unusable public key",
            117_440_565,
            "encrypt"
        )
    );
}
