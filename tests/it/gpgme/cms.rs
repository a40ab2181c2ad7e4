//! CMS in the dialect, beside gpgsm and with keys of our own.

use serde_json::json;

use super::{Talk, data, fault, of_bytes, plaintext, signatures};
use crate::harness::{Home, encode};
use crate::peer::{find, run};
use crate::smime::{ALICE, BOB, Ca, two};

#[test]
fn gpgsm_and_we_read_one_another() {
    let Some(ca) = Ca::new() else { return };
    let (home, mut host, bobs, mut other) = two(&ca, "rsa:2048");
    host.close();
    other.close();
    let mut alice = Talk::new(&home);
    let mut bob = Talk::new(&bobs);
    for content in [
        &b""[..],
        b"x",
        "Gr\u{fc}\u{df}e\r\n".as_bytes(),
        &[0x55; 1 << 20],
    ] {
        for armor in [true, false] {
            let more = json!({"protocol": "cms", "keys": [BOB, ALICE], "armor": armor});
            let sealed = alice.in_pieces(of_bytes("encrypt", content, more), 1_047_552);
            let bytes = data(&sealed);
            assert_eq!(sealed["base64"], !armor);
            assert_eq!(
                bytes.starts_with(b"-----BEGIN ENCRYPTED MESSAGE-----\n"),
                armor
            );
            for talk in [&mut bob, &mut alice] {
                let request = of_bytes("decrypt", &bytes, json!({"protocol": "cms"}));
                let opened = talk.in_pieces(request, 1_047_552);
                assert!(plaintext(&opened) == content);
                let info = &opened["dec_info"];
                assert!(
                    info["symkey_algo"].as_str().unwrap().starts_with("AES"),
                    "{info}"
                );
                let readers = info["recipients"].as_array().unwrap();
                assert_eq!(readers.len(), 2);
                assert_eq!(
                    readers
                        .iter()
                        .filter(|reader| reader["status_code"] == 0)
                        .count(),
                    1
                );
                assert!(
                    readers
                        .iter()
                        .all(|reader| reader["keyid"].as_str().unwrap().len() == 16)
                );
            }
        }
        for (mode, armor) in [
            ("detached", true),
            ("detached", false),
            ("opaque", true),
            ("clearsign", false),
        ] {
            let more = json!({"protocol": "cms", "keys": ALICE, "mode": mode, "armor": armor});
            let made = data(&alice.in_pieces(of_bytes("sign", content, more), 1_047_552));
            assert_eq!(made.starts_with(b"-----BEGIN SIGNED MESSAGE-----\n"), armor);
            let apart = mode == "detached";
            let request = match apart {
                true => of_bytes(
                    "verify",
                    content,
                    json!({"protocol": "cms", "signature": encode(&made)}),
                ),
                false => of_bytes("verify", &made, json!({"protocol": "cms"})),
            };
            let verified = bob.in_pieces(request, 1_047_552);
            let said = &signatures(&verified)[0];
            assert_eq!(said["status_code"], 0, "{said}");
            assert_eq!(said["pubkey_algo_name"], "RSA");
            assert_eq!(said["hash_algo_name"], "SHA256");
            assert_eq!(said["fingerprint"].as_str().unwrap().len(), 40);
            assert_eq!(said["summary"]["valid"], true, "{said}");
            assert_eq!(apart, verified.get("data").is_none());
            assert!(apart || plaintext(&verified) == content);
        }
    }
    let made = json!({"op": "sign", "protocol": "cms", "keys": ALICE, "data": "x", "armor": true});
    let made = alice.ask(made);
    let altered =
        json!({"op": "verify", "protocol": "cms", "data": "y", "signature": made["data"]});
    let said = signatures(&bob.ask(altered)).remove(0);
    assert_eq!(said["status_code"], 117_440_520);
    assert_eq!(said["summary"]["sigsum"], json!(["red"]));
    assert_eq!(said.get("hash_algo_name"), None);
    by_gpgsm(&ca, &mut alice);
}

/// What gpgsm says to what we make, and we to what it makes.
fn by_gpgsm(ca: &Ca, alice: &mut Talk) {
    let Some(gpgsm) = find("gpgsm") else { return };
    let folder = tempfile::Builder::new()
        .prefix("g")
        .tempdir_in("/tmp")
        .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    let settings = "disable-crl-checks\nno-common-certs-import\n";
    std::fs::write(folder.path().join("gpgsm.conf"), settings).unwrap();
    std::fs::write(
        folder.path().join("gpg-agent.conf"),
        "allow-loopback-pinentry\n",
    )
    .unwrap();
    let sm = |arguments: &[&str], input: &[u8]| {
        let mut command = std::process::Command::new(&gpgsm);
        command
            .env("GNUPGHOME", folder.path())
            .args([
                "--batch",
                "--yes",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
            ])
            .args(["--passphrase-fd", "0"])
            .args(arguments);
        run(&mut command, input)
    };
    ca.go(&[
        "pkcs12", "-export", "-legacy", "-in", "bob.pem", "-inkey", "bob.key", "-out", "bob.p12",
        "-passout", "pass:x",
    ]);
    for file in ["root.pem", "middle.pem", "alice.pem"] {
        let path = ca.path(file);
        assert!(sm(&["--import", path.to_str().unwrap()], b"").ok);
    }
    let path = ca.path("bob.p12");
    let brought = sm(&["--import", path.to_str().unwrap()], b"x\n");
    assert!(brought.ok, "{}", brought.stderr);
    let listed = sm(&["--with-colons", "--list-keys", "Root"], b"");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let root = listed
        .lines()
        .find(|line| line.starts_with("fpr:"))
        .unwrap();
    let root = root.split(':').nth(9).unwrap();
    std::fs::write(
        folder.path().join("trustlist.txt"),
        format!("{root} S relax\n"),
    )
    .unwrap();
    let reload = |what: &str| {
        let mut command = std::process::Command::new("gpgconf");
        command.env("GNUPGHOME", folder.path());
        run(command.args([what, "gpg-agent"]), b"")
    };
    reload("--reload");
    let file = folder.path().join("message");
    let at = file.to_str().unwrap();

    let sealed =
        alice.ask(json!({"op": "encrypt", "protocol": "cms", "keys": BOB, "data": "for gpgsm"}));
    std::fs::write(&file, data(&sealed)).unwrap();
    let ran = sm(&["--decrypt", at], b"x\n");
    assert_eq!(ran.stdout, b"for gpgsm", "{}", ran.stderr);
    let signed = json!({"op": "sign", "protocol": "cms", "keys": ALICE, "data": "of ours", "mode": "opaque"});
    std::fs::write(&file, data(&alice.ask(signed))).unwrap();
    let ran = sm(&["--verify", at], b"");
    assert!(ran.ok, "{}", ran.stderr);

    std::fs::write(&file, "by gpgsm").unwrap();
    for more in [&["--armor"][..], &["--base64"], &[]] {
        let sealed = sm(
            &[more, &["--recipient", ALICE, "--encrypt", at]].concat(),
            b"",
        );
        assert!(sealed.ok, "{}", sealed.stderr);
        let request = of_bytes("decrypt", &sealed.stdout, json!({"protocol": "cms"}));
        let opened = alice.ask(request);
        assert_eq!(plaintext(&opened), b"by gpgsm", "{more:?}");
        let info = &opened["dec_info"];
        assert!(
            info["symkey_algo"].as_str().unwrap().ends_with(".CBC"),
            "{info}"
        );
        // Nothing protects it against change, and clients are told.
        assert_eq!(info["legacy_cipher_nomdc"], true);
        let signed = sm(
            &[more, &["--local-user", BOB, "--sign", at]].concat(),
            b"x\n",
        );
        let request = of_bytes("verify", &signed.stdout, json!({"protocol": "cms"}));
        let verified = alice.ask(request);
        assert_eq!(plaintext(&verified), b"by gpgsm");
        assert_eq!(signatures(&verified)[0]["status_code"], 0, "{verified}");
    }
    // A home of its own, with no certificate but gpgsm's.
    let home = Home::new().env("GNUPGHOME", folder.path().to_str().unwrap());
    let mut talk = Talk::new(&home);
    let signed = sm(
        &[
            "--local-user",
            BOB,
            "--detach-sign",
            "--include-certs",
            "0",
            at,
        ],
        b"x\n",
    );
    let request = of_bytes(
        "verify",
        b"by gpgsm",
        json!({"protocol": "cms", "signature": encode(&signed.stdout)}),
    );
    let said = signatures(&talk.ask(request)).remove(0);
    assert_eq!(said["status_string"], "Success", "{said}");
    let sealed =
        json!({"op": "encrypt", "protocol": "cms", "keys": BOB, "data": "x", "always-trust": true});
    std::fs::write(&file, data(&talk.ask(sealed))).unwrap();
    assert_eq!(sm(&["--decrypt", at], b"x\n").stdout, b"x");
    drop(talk);
    reload("--kill");
}

#[test]
fn faults_of_cms() {
    let Some(ca) = Ca::new() else { return };
    let (home, mut host, _bobs, mut other) = two(&ca, "rsa:2048");
    host.close();
    other.close();
    let mut talk = Talk::new(&home);
    for (op, msg, code) in [
        ("decrypt", "Decryption failed: No CMS object", 117_440_655),
        ("verify", "Verify failed: No CMS object", 117_440_655),
    ] {
        assert_eq!(
            talk.ask(json!({"op": op, "protocol": "cms", "data": "junk"})),
            fault(msg, code, op)
        );
    }
    assert_eq!(
        talk.ask(json!({"op": "decrypt", "protocol": "cms", "data": ""})),
        fault("Decryption failed: End of file", 117_456_895, "decrypt")
    );
    for (more, msg, code) in [
        (
            json!({"keys": "nobody"}),
            "Encryption failed: No public key",
            117_440_521,
        ),
        (
            json!({"keys": BOB, "signing_keys": ALICE}),
            "Encryption failed: Not implemented",
            117_440_581,
        ),
        (json!({}), "Error getting keys: No key", 117_440_733),
    ] {
        let mut request = json!({"op": "encrypt", "protocol": "cms", "data": "x"});
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        assert_eq!(talk.ask(request), fault(msg, code, "encrypt"));
    }
    // What is encrypted is not verified, and what is signed is not decrypted.
    let sealed = talk.ask(
        json!({"op": "encrypt", "protocol": "cms", "keys": ALICE, "data": "x", "armor": true}),
    );
    assert_eq!(
        talk.ask(json!({"op": "verify", "protocol": "cms", "data": sealed["data"]})),
        fault("Verify failed: No CMS object", 117_440_655, "verify")
    );
    let signed = json!({"op": "sign", "protocol": "cms", "keys": ALICE, "data": "x", "armor": true, "mode": "opaque"});
    let signed = talk.ask(signed);
    assert_eq!(
        talk.ask(json!({"op": "decrypt", "protocol": "cms", "data": signed["data"]})),
        fault("Decryption failed: No data", 117_440_570, "decrypt")
    );
    let others = talk
        .ask(json!({"op": "encrypt", "protocol": "cms", "keys": BOB, "data": "x", "armor": true}));
    assert_eq!(
        talk.ask(json!({"op": "decrypt", "protocol": "cms", "data": others["data"]})),
        fault("Decryption failed: No secret key", 117_440_529, "decrypt")
    );
}
