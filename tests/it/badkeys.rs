//! Keys that can't be used, each for its own reason: what they are called, and that nothing is
//! sealed for them.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Home, Host, import};
use crate::peer::{Gpg, find, run};

/// A key of Infineon's library, as the engine's own tests have it.
const ROCA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/roca.pem");

fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
    std::fs::read(folder.join(name)).unwrap()
}

/// What a key is called, and what a plan says of its one address.
fn judged(host: &mut Host, data: &[u8]) -> (String, String, Vec<String>) {
    let imported = import(host, data, json!(true));
    let id = imported["imported"][0]["id"].clone();
    let key = host.good("keys/show", json!({"id": id}))["key"].clone();
    let address = key["addresses"][0].as_str().unwrap();
    let plan = host.good(
        "message/plan",
        json!({"to": [address], "protect": {"sign": false, "encrypt": true}}),
    );
    let recipient = &plan["recipients"][0];
    let reasons = recipient["keys"][0]["reasons"].as_array().unwrap();
    let fault = host.fault(
        "message/seal",
        json!({"draft": {"from": "me@bad.example", "to": [address], "text": {"text": "x"}},
               "protect": {"sign": false, "encrypt": true}}),
    );
    assert_eq!(fault.kind(), "key.missing");
    (
        key["status"].as_str().unwrap().to_owned(),
        recipient["state"].as_str().unwrap().to_owned(),
        reasons
            .iter()
            .map(|r| r.as_str().unwrap().to_owned())
            .collect(),
    )
}

#[track_caller]
fn is_called(data: &[u8], status: &str) {
    let home = Home::new();
    let mut host = home.start();
    crate::harness::generate(&mut host, "Me", "me@bad.example", "compatible");
    let (called, state, reasons) = judged(&mut host, data);
    assert_eq!((called.as_str(), state.as_str()), (status, "no-key"));
    assert!(reasons.iter().any(|reason| reason == status), "{reasons:?}");
}

#[test]
fn expired_and_revoked() {
    is_called(&vector("old.asc"), "expired");
    is_called(&vector("gone.asc"), "revoked");
}

#[test]
fn too_short() {
    let Some(gpg) = Gpg::new() else { return };
    gpg.key("short@bad.example", "rsa1024", "rsa1024", &[]);
    is_called(&gpg.public("short@bad.example"), "weak");
}

#[test]
fn of_infineons_library() {
    let Some(openssl) = find("openssl") else {
        return;
    };
    let mut command = std::process::Command::new(openssl);
    command.args([
        "req", "-x509", "-new", "-key", ROCA, "-subj", "/CN=Roca", "-days", "30",
    ]);
    command.args(["-addext", "subjectAltName=email:roca@bad.example"]);
    let ran = run(&mut command, b"");
    assert!(ran.ok, "{}", ran.stderr);
    is_called(&ran.stdout, "weak");
}

#[test]
fn malformed_and_mixed_up() {
    let home = Home::new();
    let mut host = home.start();
    let whole = vector("bob.secret.asc");
    let armor = String::from_utf8(whole).unwrap();
    let cut: String = armor.lines().take(6).map(|l| format!("{l}\n")).collect();
    for data in [b"no key".to_vec(), vec![0x99; 500], cut.into_bytes()] {
        let body = host.body(&data);
        let kind = match host.call("keys/import", json!({"data": body})) {
            Ok(reply) => {
                assert_eq!(reply["imported"], json!([]), "{reply}");
                assert_ne!(reply["skipped"], json!([]), "{reply}");
                continue;
            }
            Err(fault) => fault.kind().to_owned(),
        };
        assert_eq!(kind, "message.malformed");
    }
    // The certificate of one and the secret half of another.
    let Some(openssl) = find("openssl") else {
        return;
    };
    let made = |name: &str| {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let mut command = std::process::Command::new(&openssl);
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout"]);
        command.arg(&key).args(["-subj", "/CN=x", "-days", "30"]);
        command.args([
            "-addext",
            &format!("subjectAltName=email:{name}@bad.example"),
        ]);
        let ran = run(&mut command, b"");
        assert!(ran.ok, "{}", ran.stderr);
        (ran.stdout, std::fs::read(&key).unwrap())
    };
    let ((one, _), (_, other)) = (made("one"), made("other"));
    let imported = import(&mut host, &[one, other].concat(), Value::Null);
    assert_eq!(imported["imported"][0]["secret"], false, "{imported}");
    assert_eq!(imported["skipped"][0]["reason"], "no-certificate");
}
