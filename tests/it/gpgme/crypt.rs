//! Messages of the dialect beside gpg: what one makes the other takes.

use serde_json::{Value, json};

use super::{Talk, beside, data, fault, of_bytes, plaintext, signatures};
use crate::harness::{Pinentry, amount, decode, encode};
use crate::peer::Gpg;

const ALICE: &str = "alice@gpg.example";
const BOB: &str = "bob@gpg.example";

/// Large enough for several pieces, small enough for every day; and what the clients allow.
fn sizes() -> Vec<usize> {
    vec![0, 1, 1 << 20, amount(3 << 20, 10 << 20)]
}

/// Bytes that no compression makes shorter.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Two own keys of GnuPG's.
fn two() -> Option<(Gpg, String, String)> {
    let gpg = Gpg::new()?;
    let alice = gpg.key(ALICE, "ed25519", "cv25519", &[]);
    let bob = gpg.key(BOB, "rsa2048", "rsa2048", &[]);
    Some((gpg, alice, bob))
}

#[test]
fn what_is_encrypted_gpg_decrypts() {
    let Some((gpg, ..)) = two() else { return };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    for size in sizes() {
        let content = noise(size);
        for armor in [true, false] {
            for signed in [true, false] {
                let mut more = json!({"keys": [ALICE, BOB], "armor": armor});
                if signed {
                    more["signing_keys"] = json!(ALICE);
                }
                let answer = talk.in_pieces(of_bytes("encrypt", &content, more), 1_047_552);
                assert_eq!(answer["type"], "ciphertext");
                assert_eq!(answer["base64"], !armor);
                let sealed = data(&answer);
                assert_eq!(sealed.starts_with(b"-----BEGIN PGP MESSAGE-----\n"), armor);
                assert!(!armor || !sealed.contains(&b'\r'));
                let ran = gpg.tried(&["--status-fd", "2", "--decrypt"], &sealed);
                assert!(ran.ok, "{size} {armor} {signed}: {}", ran.stderr);
                assert!(ran.stdout == content, "{size} {armor} {signed}");
                assert_eq!(ran.stderr.contains("GOODSIG"), signed);
                // And we our own.
                let request = match armor {
                    true => json!({"op": "decrypt", "data": String::from_utf8(sealed).unwrap()}),
                    false => of_bytes("decrypt", &sealed, json!({})),
                };
                let opened = talk.in_pieces(request, 1_047_552);
                assert!(plaintext(&opened) == content);
                assert_eq!(signatures(&opened).len(), usize::from(signed));
            }
        }
    }
    assert_eq!(talk.end(), 0);
}

#[test]
fn what_gpg_encrypts_is_decrypted() {
    let Some((gpg, alice, bob)) = two() else {
        return;
    };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    for size in sizes() {
        let content = noise(size);
        let sealed = gpg.go(
            &[
                "-r",
                ALICE,
                "-r",
                BOB,
                "-u",
                BOB,
                "--set-filename",
                "name.bin",
                "-se",
            ],
            &content,
        );
        let opened = talk.in_pieces(of_bytes("decrypt", &sealed, json!({})), 1_047_552);
        assert!(plaintext(&opened) == content, "{size}");
        let info = &opened["dec_info"];
        assert_eq!(info["symkey_algo"], "AES256.CFB");
        assert_eq!(info["file_name"], "name.bin");
        for flag in [
            "wrong_key_usage",
            "is_de_vs",
            "is_mime",
            "legacy_cipher_nomdc",
        ] {
            assert_eq!(info[flag], false, "{flag}");
        }
        let readers = info["recipients"].as_array().unwrap();
        let names: Vec<&str> = readers
            .iter()
            .map(|r| r["pubkey_algo_name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["ECDH", "RSA"]);
        assert!(
            readers
                .iter()
                .all(|r| r["status_code"] == 0 && r["status_string"] == "Success")
        );
        let found = signatures(&opened);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["fingerprint"], json!(bob));
        assert_eq!(found[0]["pubkey_algo_name"], "RSA");
        assert_eq!(found[0]["summary"]["sigsum"], json!(["valid", "green"]));
        assert_eq!(
            (&found[0]["validity"], &found[0]["validity_string"]),
            (&json!(4), &json!("full"))
        );
    }
    // With text around the armor, and lines as gpg -t writes them.
    let armor = gpg.text(
        &["-a", "-r", ALICE, "-u", ALICE, "-set"],
        "eins\nzwei\n".as_bytes(),
    );
    let opened = talk.ask(json!({"op": "decrypt", "data": format!("Hello,\n\n{armor}\nbye\n")}));
    assert_eq!(plaintext(&opened), b"eins\nzwei\n");
    assert_eq!(signatures(&opened)[0]["fingerprint"], json!(alice));
}

#[test]
fn who_else_a_message_is_for() {
    let Some((gpg, ..)) = two() else { return };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let stranger = gpg.key("carol@gpg.example", "ed25519", "cv25519", &[]);
    gpg.go(&["--delete-secret-keys", &stranger], b"");
    let sealed = gpg.go(&["-r", ALICE, "-r", "carol@gpg.example", "-e"], b"x");
    let opened = talk.ask(of_bytes("decrypt", &sealed, json!({})));
    let readers = opened["dec_info"]["recipients"].as_array().unwrap();
    let codes: Vec<u64> = readers
        .iter()
        .map(|r| r["status_code"].as_u64().unwrap())
        .collect();
    assert_eq!(codes, [0, 117_440_529]);
    assert_eq!(readers[1]["status_string"], "No secret key");
    let others = gpg.go(&["-r", "carol@gpg.example", "-e"], b"x");
    assert_eq!(
        talk.ask(of_bytes("decrypt", &others, json!({}))),
        fault("Decryption failed: No secret key", 117_440_529, "decrypt")
    );
    // Nobody is named, and one of them is us.
    let hidden = gpg.go(&["-R", ALICE, "-e"], b"x");
    let opened = talk.ask(of_bytes("decrypt", &hidden, json!({})));
    assert_eq!(plaintext(&opened), b"x");
    let reader = &opened["dec_info"]["recipients"][0];
    assert_eq!(reader["keyid"], "0000000000000000");
    assert_eq!(reader["status_code"], 0);
}

/// What gpg says of the packets in a message.
fn packets(gpg: &Gpg, message: &[u8]) -> String {
    gpg.text(&["--list-packets"], message)
}

#[test]
fn every_flag_does_what_it_says() {
    let Some((gpg, alice, bob)) = two() else {
        return;
    };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let mut made = |more: Value| {
        let mut request = json!({"op": "encrypt", "data": "Hi\n", "keys": ALICE});
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        data(&talk.ask(request))
    };
    let named = packets(&gpg, &made(json!({})));
    assert_eq!(named.matches(":pubkey enc packet:").count(), 1, "{named}");
    assert!(!named.contains("keyid 0000000000000000"));
    assert!(!named.contains(":compressed packet:"));
    let hidden = made(json!({"keys": [ALICE, BOB], "throw-keyids": true, "signing_keys": ALICE}));
    let hidden = packets(&gpg, &hidden);
    assert_eq!(
        hidden.matches("keyid 0000000000000000").count(),
        2,
        "{hidden}"
    );
    // Not in the signature either (its subpacket of intended recipients).
    assert!(!hidden.contains("subpkt 35"), "{hidden}");
    let called = made(json!({"file_name": "gr\u{fc}n.txt", "no-compress": true}));
    assert!(
        packets(&gpg, &called).contains("name=\"gr\\xc3\\xbcn.txt\""),
        "{}",
        packets(&gpg, &called)
    );
    let sender = json!({"signing_keys": ALICE, "sender": format!("Alice <{ALICE}>")});
    let sender = packets(&gpg, &made(sender));
    assert!(sender.contains("signer's user ID"), "{sender}");
    let others = json!({"signing_keys": ALICE, "sender": BOB});
    assert!(!packets(&gpg, &made(others)).contains("signer's user ID"));
    let all = made(json!({"keys": [ALICE], "signing_keys": [ALICE, bob]}));
    let ran = gpg.tried(&["--status-fd", "2", "--decrypt"], &all);
    assert_eq!(ran.stderr.matches("GOODSIG").count(), 2, "{}", ran.stderr);
    // By whatever names gpg knows keys.
    let (start, _) = alice.split_at(24);
    for name in [
        alice.clone(),
        alice.replace(start, ""),
        format!("0x{alice}"),
        format!("<{ALICE}>"),
        format!("={ALICE}"),
        ALICE.to_uppercase(),
        "LICE".to_owned(),
    ] {
        made(json!({"keys": name}));
    }
    made(json!({"keys": ["", ALICE], "want-address": false}));

    let mime = talk
        .ask(json!({"op": "encrypt", "data": "A: b\r\n\r\nHi\r\n", "keys": ALICE, "mime": true}));
    let opened = talk.ask(of_bytes("decrypt", &data(&mime), json!({})));
    assert_eq!(
        (&opened["mime"], &opened["dec_info"]["is_mime"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(plaintext(&opened), b"A: b\r\n\r\nHi\r\n");

    // A message in a message.
    let signed = gpg.go(&["-u", BOB, "-s"], b"signed before");
    let wrapped = talk.ask(of_bytes(
        "encrypt",
        &signed,
        json!({"keys": ALICE, "wrap": true}),
    ));
    let opened = talk.ask(of_bytes("decrypt", &data(&wrapped), json!({})));
    assert_eq!(plaintext(&opened), b"signed before");
    assert_eq!(signatures(&opened)[0]["fingerprint"], json!(bob));
    assert_eq!(gpg.go(&["-d"], &data(&wrapped)), b"signed before");
    let twice = json!({"keys": ALICE, "wrap": true, "signing_keys": ALICE});
    assert_eq!(
        talk.ask(of_bytes("encrypt", &signed, twice)),
        fault("Encryption failed: Conflicting use", 117_440_582, "encrypt")
    );
    assert_eq!(
        talk.ask(json!({"op": "encrypt", "data": "no message", "keys": ALICE, "wrap": true})),
        fault("Encryption failed: No data", 117_440_570, "encrypt")
    );

    // Those for whom gpg.conf has every message.
    let conf = gpg.home().join("gpg.conf");
    std::fs::write(&conf, format!("encrypt-to {BOB}\n")).unwrap();
    for (left, readers) in [(false, 2), (true, 1)] {
        let request = json!({"op": "encrypt", "data": "x", "keys": ALICE, "no-encrypt-to": left});
        let made = data(&talk.ask(request));
        let found = packets(&gpg, &made).matches(":pubkey enc packet:").count();
        assert_eq!(found, readers, "{left}");
    }
}

#[test]
fn faults_have_gpgmes_codes_and_texts() {
    let Some((gpg, ..)) = two() else { return };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let invalid = ("Operation failed: Invalid value", 117_440_567);
    let getting = ("Error getting keys: No key", 117_440_733);
    let nothing = ("Operation failed: No data", 117_440_570);
    let unusable = ("Encryption failed: Unusable public key", 117_440_565);
    let base64 = ("Error decoding Base-64 encoded 'data': Bad data", 89);
    for (request, (msg, code)) in [
        (json!({"op": "encrypt", "data": "x"}), getting),
        (json!({"op": "encrypt", "data": "x", "keys": []}), getting),
        (
            json!({"op": "encrypt", "data": "x", "keys": 5}),
            ("Error getting keys: Invalid value", 117_440_567),
        ),
        (
            json!({"op": "encrypt", "data": "x", "keys": [5]}),
            ("Error getting keys: Invalid value", 117_440_567),
        ),
        (
            json!({"op": "encrypt", "data": "x", "keys": "a\nb"}),
            ("Error getting keys: Invalid user ID", 117_440_549),
        ),
        (
            json!({"op": "encrypt", "data": "x", "keys": ["="]}),
            unusable,
        ),
        // A part of an address is not it.
        (
            json!({"op": "encrypt", "data": "x", "keys": "lice@gpg.example", "always-trust": true}),
            unusable,
        ),
        (json!({"op": "sign", "data": "x", "keys": "<>"}), getting),
        (
            json!({"op": "encrypt", "data": "x", "keys": ""}),
            ("Encryption failed: Missing key", 117_440_693),
        ),
        (
            json!({"op": "encrypt", "data": "x", "keys": "nobody"}),
            unusable,
        ),
        (
            json!({"op": "encrypt", "data": "x", "keys": [ALICE, "nobody"]}),
            unusable,
        ),
        (json!({"op": "encrypt", "keys": ALICE}), nothing),
        (json!({"op": "encrypt", "keys": ALICE, "data": 7}), invalid),
        (
            json!({"op": "encrypt", "keys": ALICE, "data": "!", "base64": true}),
            base64,
        ),
        (
            json!({"op": "encrypt", "keys": "alice", "data": "x", "want-address": true}),
            ("Encryption failed: Invalid user ID", 117_440_549),
        ),
        // gpgme-json signs with another key, or not at all.
        (
            json!({"op": "encrypt", "keys": ALICE, "data": "x", "signing_keys": "nobody"}),
            getting,
        ),
        (
            json!({"op": "encrypt", "keys": ALICE, "data": "x", "signing_keys": 5}),
            ("Error getting keys: Invalid value", 117_440_567),
        ),
        (
            json!({"op": "encrypt", "keys": ALICE, "data": "x", "protocol": "x"}),
            ("Operation failed: Unsupported protocol", 117_440_633),
        ),
        (
            json!({"op": "encrypt", "keys": ALICE, "data": "x", "protocol": 1}),
            invalid,
        ),
        (
            json!({"op": "encrypt", "keys": ALICE, "data": "x", "file_name": "x".repeat(256)}),
            (
                "Encryption failed: Provided object is too large",
                117_440_579,
            ),
        ),
        (json!({"op": "decrypt"}), nothing),
        (json!({"op": "decrypt", "data": 5}), invalid),
        (
            json!({"op": "decrypt", "data": ""}),
            ("Decryption failed: No data", 117_440_570),
        ),
        (
            json!({"op": "decrypt", "data": "junk"}),
            ("Decryption failed: No data", 117_440_570),
        ),
        (json!({"op": "sign", "data": "x"}), getting),
        (
            json!({"op": "sign", "data": "x", "keys": "nobody"}),
            getting,
        ),
        (json!({"op": "sign", "keys": ALICE}), nothing),
        (json!({"op": "sign", "keys": ALICE, "data": []}), invalid),
        (json!({"op": "verify"}), nothing),
        (
            json!({"op": "verify", "data": "junk"}),
            ("Verify failed: No data", 117_440_570),
        ),
        (
            json!({"op": "verify", "data": "x", "signature": "x"}),
            ("Verify failed: No data", 117_440_570),
        ),
        (
            json!({"op": "verify", "data": "x", "signature": 5}),
            invalid,
        ),
    ] {
        let op = request["op"].as_str().unwrap().to_owned();
        assert_eq!(
            talk.ask(request.clone()),
            fault(msg, code, &op),
            "{request}"
        );
    }
    let flags = [
        "armor",
        "mime",
        "always-trust",
        "no-encrypt-to",
        "no-compress",
        "throw-keyids",
        "wrap",
        "want-address",
        "base64",
    ];
    for flag in flags {
        for wrong in [json!(1), json!("true"), json!(null)] {
            let mut request = json!({"op": "encrypt", "keys": ALICE, "data": "eA=="});
            request[flag] = wrong;
            let answer = talk.ask(request);
            assert_eq!(answer, fault(invalid.0, invalid.1, "encrypt"), "{flag}");
        }
    }
    // In pieces as well, and the conversation goes on.
    let broken = json!({"op": "encrypt", "data": "x", "keys": "nobody"});
    assert_eq!(
        talk.in_pieces(broken, 40),
        fault(unusable.0, unusable.1, "encrypt")
    );
    assert_eq!(
        talk.ask(json!({"op": "encrypt", "data": "x", "keys": ALICE}))["type"],
        "ciphertext"
    );
}

#[test]
fn every_fault_inside_a_ciphertext_is_the_same_fault() {
    let Some((gpg, ..)) = two() else { return };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let sealed = gpg.go(&["-r", BOB, "-e", "-z", "0"], &noise(2000));
    let one = fault(
        "Decryption failed: Decryption failed",
        117_440_664,
        "decrypt",
    );
    // The session key, the first block, the content, the end.
    for at in [60, 200, 300, 1000, 2000, sealed.len() - 2] {
        let mut broken = sealed.clone();
        broken[at] ^= 4;
        let answer = talk.ask(of_bytes("decrypt", &broken, json!({})));
        assert_eq!(answer, one, "{at} of {}", sealed.len());
    }
}

#[test]
fn nothing_is_decrypted_to_be_verified() {
    let Some((gpg, ..)) = two() else { return };
    let home = beside(&gpg);
    let mut talk = Talk::new(&home);
    let sealed = gpg.go(&["-r", ALICE, "-u", ALICE, "-se"], b"secret");
    assert_eq!(
        talk.ask(of_bytes("verify", &sealed, json!({}))),
        fault("Verify failed: No data", 117_440_570, "verify")
    );
    // And the other way round: who wants to decrypt does not get what anybody can read.
    let signed = gpg.go(&["-u", ALICE, "-s"], b"public");
    assert_eq!(
        talk.ask(of_bytes("decrypt", &signed, json!({}))),
        fault("Decryption failed: No data", 117_440_570, "decrypt")
    );
}

#[test]
fn a_message_under_a_passphrase_asks_for_it() {
    let Some(gpg) = Gpg::new() else { return };
    let mut command = gpg.command();
    command.args(["--passphrase", "over the hedge", "--symmetric"]);
    let sealed = crate::peer::run(&mut command, b"hidden").stdout;
    for (answers, msg, code) in [
        (vec!["over the hedge"], "", 0),
        (vec!["wrong", "over the hedge"], "", 0),
        (
            vec!["wrong"],
            "Decryption failed: Bad passphrase",
            117_440_523,
        ),
        (
            vec!["%cancel"],
            "Decryption failed: Operation cancelled",
            117_440_611,
        ),
    ] {
        let pinentry = Pinentry::new(&answers);
        let home = beside(&gpg).pinentry(&pinentry);
        let answer = Talk::new(&home).ask(of_bytes("decrypt", &sealed, json!({})));
        match code {
            0 => {
                assert_eq!(plaintext(&answer), b"hidden");
                assert_eq!(answer["dec_info"].get("recipients"), None);
            }
            _ => assert_eq!(answer, fault(msg, code, "decrypt"), "{answers:?}"),
        }
    }
}

#[test]
fn old_keys_that_gnupg_holds_still_open_what_is_theirs() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("old@gpg.example", "dsa2048", "elg2048", &[]);
    let sealed = gpg.go(&["-r", "old@gpg.example", "-e"], b"long ago");
    let opened = Talk::new(&beside(&gpg)).ask(of_bytes("decrypt", &sealed, json!({})));
    assert_eq!(plaintext(&opened), b"long ago");
    assert_eq!(
        opened["dec_info"]["recipients"][0]["pubkey_algo_name"],
        "ELG-E"
    );
    // Without its agent nobody here can: the algorithm is not in our library.
    let secret = gpg.secret("old@gpg.example");
    let home = crate::harness::Home::new();
    let mut talk = Talk::new(&home);
    let brought = talk.ask(of_bytes("import", &secret, json!({})));
    assert_eq!(brought["result"]["secret_imported"], 1, "{brought}");
    assert_eq!(
        talk.ask(of_bytes("decrypt", &sealed, json!({}))),
        fault(
            "Decryption failed: Unsupported algorithm",
            117_440_596,
            "decrypt"
        )
    );
}

#[test]
fn what_is_no_ascii_comes_in_base64() {
    let Some((gpg, ..)) = two() else { return };
    let mut talk = Talk::new(&beside(&gpg));
    for (content, base64) in [
        ("plain\x7f\x01\r\n", false),
        ("gr\u{fc}n", true),
        ("nul\0", true),
    ] {
        let sealed =
            talk.ask(json!({"op": "encrypt", "keys": ALICE, "data": content, "armor": true}));
        let opened = talk.ask(json!({"op": "decrypt", "data": sealed["data"]}));
        assert_eq!(opened["base64"], base64);
        let expected = if base64 {
            encode(content.as_bytes())
        } else {
            content.to_owned()
        };
        assert_eq!(opened["data"], expected);
        assert!(!base64 || decode(opened["data"].as_str().unwrap()) == content.as_bytes());
    }
}

#[test]
fn old_ciphers_open_where_policy_lets_them() {
    let Some((gpg, ..)) = two() else { return };
    let old = gpg.go(&["-r", ALICE, "--cipher-algo", "3DES", "-e"], b"long ago");
    let request = of_bytes("decrypt", &old, json!({}));
    assert_eq!(
        Talk::new(&beside(&gpg)).ask(request.clone()),
        fault(
            "Decryption failed: Decryption failed",
            117_440_664,
            "decrypt"
        )
    );
    let home = beside(&gpg).policy("legacy = true\n");
    let opened = Talk::new(&home).ask(request);
    assert_eq!(plaintext(&opened), b"long ago");
    assert_eq!(opened["dec_info"]["symkey_algo"], "3DES.CFB");
}
