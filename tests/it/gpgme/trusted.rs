//! Whose keys are used: what the person said, what policy says, and who is asked for a passphrase.

use serde_json::{Value, json};

use super::{Talk, beside, data, fault, plaintext, signatures};
use crate::harness::{Home, Host, Pinentry, export, generate, import};
use crate::peer::Gpg;

const ALICE: &str = "alice@a.example";
const BOB: &str = "bob@b.example";

const UNUSABLE: (&str, u32) = ("Encryption failed: Unusable public key", 117_440_565);

/// Somebody else's key.
fn cert(address: &str) -> (String, Vec<u8>) {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Somebody", address, "compatible");
    let cert = export(&mut host, &[&id]);
    host.close();
    (id, cert.into_bytes())
}

fn started(home: &Home) -> Host {
    let mut host = home.start();
    host.hello();
    host
}

/// What encrypting comes to, without and with `always-trust`: whether it was done, or the fault.
#[track_caller]
fn tried(home: &Home, name: &str) -> [Result<(), (String, u64)>; 2] {
    let mut talk = Talk::new(home);
    [false, true].map(|always| {
        let request = json!({"op": "encrypt", "keys": name, "data": "x", "always-trust": always});
        let answer = talk.ask(request);
        match answer["type"].as_str() {
            Some("ciphertext") => Ok(()),
            _ => Err((
                answer["msg"].as_str().unwrap().to_owned(),
                answer["code"].as_u64().unwrap(),
            )),
        }
    })
}

fn unusable() -> Result<(), (String, u64)> {
    Err((UNUSABLE.0.to_owned(), u64::from(UNUSABLE.1)))
}

#[test]
fn always_trust_goes_as_far_as_nobody_has_said_anything() {
    let home = Home::new();
    let mut host = started(&home);
    let (bob, armored) = cert(BOB);
    import(&mut host, &armored, json!(null));
    let fingerprint = bob.split_once(':').unwrap().1;
    for (level, without, with) in [
        ("undecided", unusable(), Ok(())),
        ("accepted", Ok(()), Ok(())),
        ("verified", Ok(()), Ok(())),
        ("rejected", unusable(), unusable()),
    ] {
        host.good(
            "keys/accept",
            json!({"id": bob, "address": BOB, "level": level}),
        );
        for name in [BOB, fingerprint, "Somebody"] {
            assert_eq!(
                tried(&home, name),
                [without.clone(), with.clone()],
                "{level} {name}"
            );
        }
    }
    // Own keys are nobody's to vouch for.
    let own = generate(&mut host, "Alice", ALICE, "compatible");
    assert_eq!(tried(&home, ALICE), [Ok(()), Ok(())]);
    host.good("keys/revoke", json!({"id": own}));
    assert_eq!(tried(&home, ALICE), [unusable(), unusable()]);
}

#[test]
fn always_trust_decides_no_conflict() {
    let home = Home::new();
    let mut host = started(&home);
    let (first, one) = cert(BOB);
    let (second, two) = cert(BOB);
    import(&mut host, &one, json!(true));
    assert_eq!(tried(&home, BOB), [Ok(()), Ok(())]);
    import(&mut host, &two, json!(null));
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    let name = |id: &str| id.split_once(':').unwrap().1.to_owned();
    for name in [BOB.to_owned(), name(&first), name(&second)] {
        assert_eq!(tried(&home, &name), [unusable(), unusable()], "{name}");
    }
    host.good(
        "keys/accept",
        json!({"id": second, "address": BOB, "level": "rejected"}),
    );
    assert_eq!(tried(&home, BOB), [Ok(()), Ok(())]);
    assert_eq!(tried(&home, &name(&first)), [Ok(()), Ok(())]);
    assert_eq!(tried(&home, &name(&second)), [unusable(), unusable()]);
}

#[test]
fn gnupgs_word_counts_where_the_person_said_nothing() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("me@gpg.example", "ed25519", "cv25519", &[]);
    let other = Gpg::new().unwrap();
    let valid = other.key("valid@gpg.example", "ed25519", "cv25519", &[]);
    let unknown = other.key("unknown@gpg.example", "ed25519", "cv25519", &[]);
    let ended = ["--faked-system-time", "20200101T000000", "--expired"];
    let over = other.key("over@gpg.example", "ed25519", "cv25519", &ended);
    for key in [&valid, &unknown, &over] {
        gpg.go(&["--import"], &other.public(key));
    }
    gpg.go(&["--quick-lsign-key", &valid], b"");
    let home = beside(&gpg);
    assert_eq!(tried(&home, "valid@gpg.example"), [Ok(()), Ok(())]);
    assert_eq!(tried(&home, "unknown@gpg.example"), [unusable(), Ok(())]);
    assert_eq!(tried(&home, "over@gpg.example"), [unusable(), unusable()]);
    // The person's word comes before GnuPG's.
    let mut host = started(&home);
    import(&mut host, &other.public(&valid), json!(null));
    let id = format!("openpgp:{valid}");
    host.good(
        "keys/accept",
        json!({"id": id, "address": "valid@gpg.example", "level": "rejected"}),
    );
    assert_eq!(tried(&home, "valid@gpg.example"), [unusable(), unusable()]);
    assert_eq!(tried(&home, &valid), [unusable(), unusable()]);
    // The one of which nothing was said gets what is meant for it.
    let request = json!({
        "op": "encrypt", "keys": "unknown@gpg.example", "data": "x", "always-trust": true,
    });
    let sealed = data(&Talk::new(&home).ask(request));
    assert_eq!(other.go(&["-d"], &sealed), b"x");
}

#[test]
fn rules_hold_whatever_a_client_asks() {
    let (_, armored) = cert(BOB);
    let (archive, kept) = cert("archive@b.example");
    let forbidden = |rest: &str| {
        let msg = format!("Encryption failed: Forbidden: {rest}");
        Err((msg, 117_440_763))
    };
    let brought = |rules: &str| {
        let home = Home::new();
        let mut host = started(&home);
        import(&mut host, &armored, json!(null));
        import(&mut host, &kept, json!(null));
        generate(&mut host, "Alice", ALICE, "compatible");
        host.close();
        home.policy(rules)
    };
    let home = brought("undecided-recipients = false\n");
    let found = tried(&home, BOB);
    let text = "policy allows accepted keys only; accept the recipient's key first";
    assert_eq!(found, [unusable(), forbidden(text)]);

    let home = brought("require-signing = [\"b.example\"]\n");
    let found = tried(&home, BOB);
    let text = "policy wants mail to this recipient signed; sign it";
    assert_eq!(found[1], forbidden(text));
    let signed = json!({"op": "encrypt", "keys": BOB, "data": "x", "always-trust": true, "signing_keys": ALICE});
    assert_eq!(Talk::new(&home).ask(signed)["type"], "ciphertext");

    let home = brought("require-encryption = \"always\"\n");
    let answer = Talk::new(&home).ask(json!({"op": "sign", "keys": ALICE, "data": "x"}));
    assert_eq!(answer["code"], 117_440_763, "{answer}");

    // Nobody's flag leaves the archive out.
    let home = brought(&format!("[encrypt]\nalso = [\"{archive}\"]\n"));
    let request = json!({
        "op": "encrypt", "keys": BOB, "data": "x", "always-trust": true, "no-encrypt-to": true,
    });
    let sealed = data(&Talk::new(&home).ask(request));
    if let Some(gpg) = Gpg::new() {
        let packets = gpg.tried(&["--list-packets"], &sealed).stdout;
        let packets = String::from_utf8_lossy(&packets);
        assert_eq!(
            packets.matches(":pubkey enc packet:").count(),
            2,
            "{packets}"
        );
    }
    let home = brought("protocols = [\"smime\"]\n");
    assert_eq!(tried(&home, BOB)[1].clone().unwrap_err().1, 117_440_763);
}

/// A home with a key under a passphrase, and the one who answers for the person.
fn locked(answers: &[&str]) -> (Home, Pinentry) {
    let pinentry = Pinentry::new(&["over the hedge"]);
    let home = Home::new().pinentry(&pinentry);
    let mut host = started(&home);
    host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "name": "Alice", "address": ALICE, "passphrase": "ask"}),
    );
    host.close();
    pinentry.answers(answers);
    (home, pinentry)
}

#[test]
fn a_locked_key_asks_for_its_passphrase() {
    for (answers, said) in [
        (vec!["over the hedge"], None),
        (vec!["wrong", "over the hedge"], None),
        (vec!["wrong"], Some(("Bad passphrase", 117_440_523))),
        (vec!["%cancel"], Some(("Operation cancelled", 117_440_611))),
    ] {
        let (home, pinentry) = locked(&answers);
        let sealed = Talk::new(&home)
            .ask(json!({"op": "encrypt", "keys": ALICE, "data": "x", "armor": true}));
        let before = pinentry.count("getpin");
        for (request, doing) in [
            (
                json!({"op": "decrypt", "data": sealed["data"]}),
                "Decryption failed",
            ),
            (
                json!({"op": "sign", "keys": ALICE, "data": "x"}),
                "Signing failed",
            ),
            (
                json!({"op": "encrypt", "keys": ALICE, "data": "x", "signing_keys": ALICE}),
                "Encryption failed",
            ),
        ] {
            pinentry.answers(&answers);
            // A process for each, as clients have it: nobody remembers.
            let answer = Talk::new(&home).ask(request.clone());
            let op = request["op"].as_str().unwrap();
            match said {
                None => assert_ne!(answer["type"], "error", "{answer}"),
                Some((text, code)) => {
                    assert_eq!(answer, fault(&format!("{doing}: {text}"), code, op));
                }
            }
        }
        assert!(pinentry.count("getpin") >= before + 3);
    }
    // Nobody can be asked.
    let (home, _) = locked(&["over the hedge"]);
    let home = home.env("SEALPOST_PINENTRY", "none");
    let answer = Talk::new(&home).ask(json!({"op": "sign", "keys": ALICE, "data": "x"}));
    assert_eq!(answer["code"], 117_440_597, "{answer}");
    // And nobody is, to verify.
    let signed = {
        let (home, _pinentry) = locked(&["over the hedge"]);
        let made =
            json!({"op": "sign", "keys": ALICE, "data": "x", "mode": "clearsign", "armor": true});
        let made = Talk::new(&home).ask(made);
        let verified = Talk::new(&home.env("SEALPOST_PINENTRY", "none"))
            .ask(json!({"op": "verify", "data": made["data"]}));
        assert_eq!(plaintext(&verified), b"x\n");
        signatures(&verified)
    };
    assert_eq!(signed[0]["summary"]["valid"], true);
}

#[test]
fn mailvelopes_own_way() {
    // A process for each operation: encrypt and sign, then decrypt.
    let home = Home::new();
    let mut host = started(&home);
    let alice = generate(&mut host, "Alice", ALICE, "compatible");
    let (bob, armored) = cert(BOB);
    import(&mut host, &armored, json!(true));
    host.close();
    let name = |id: &str| id.split_once(':').unwrap().1.to_owned();
    let request = json!({
        "op": "encrypt", "armor": true, "always-trust": true, "data": "Hi Bob",
        "keys": [name(&alice), name(&bob)], "signing_keys": [name(&alice)],
    });
    let sealed = Talk::new(&home).in_pieces(request, 1_047_552);
    let opened =
        Talk::new(&home).in_pieces(json!({"op": "decrypt", "data": sealed["data"]}), 1_047_552);
    assert_eq!(plaintext(&opened), b"Hi Bob");
    let said: Value = signatures(&opened).remove(0);
    assert_eq!(said["fingerprint"].as_str().unwrap().len(), 40);
    assert_eq!(
        (&said["status_code"], &said["validity"]),
        (&json!(0), &json!(4))
    );
}

#[test]
fn keys_of_the_newest_kind() {
    let home = Home::new();
    let mut host = started(&home);
    let alice = generate(&mut host, "Alice", ALICE, "modern");
    host.close();
    let fingerprint = alice.split_once(':').unwrap().1;
    let request = json!({
        "op": "encrypt", "armor": true, "data": "Hi", "keys": ALICE, "signing_keys": fingerprint,
    });
    let mut talk = Talk::new(&home);
    let sealed = talk.ask(request);
    let opened = talk.ask(json!({"op": "decrypt", "data": sealed["data"]}));
    assert_eq!(plaintext(&opened), b"Hi");
    let info = &opened["dec_info"];
    assert_eq!(info["symkey_algo"], "AES256.OCB");
    assert_eq!(info["legacy_cipher_nomdc"], false);
    let reader = &info["recipients"][0];
    assert_eq!(reader["keyid"].as_str().unwrap().len(), 16);
    assert_eq!(reader["pubkey_algo_name"], "ECDH");
    let said: Value = signatures(&opened).remove(0);
    assert_eq!(said["pubkey_algo_name"], "EdDSA");
    assert_eq!(said["fingerprint"].as_str().unwrap().len(), 64);
    // Names that gpgme has none for are left out.
    let mut host = started(&home);
    generate(&mut host, "Dora", "dora@a.example", "post-quantum");
    host.close();
    let request = json!({
        "op": "encrypt", "armor": true, "data": "Hi", "keys": "dora@a.example",
        "signing_keys": "dora@a.example",
    });
    let sealed = talk.ask(request);
    let opened = talk.ask(json!({"op": "decrypt", "data": sealed["data"]}));
    assert_eq!(plaintext(&opened), b"Hi");
    let reader = &opened["dec_info"]["recipients"][0];
    assert_eq!(
        (reader.get("pubkey_algo_name"), &reader["status_code"]),
        (None, &json!(0))
    );
    assert_eq!(signatures(&opened)[0].get("pubkey_algo_name"), None);
}
