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

/// A certificate of Eve's that also bears a friend's name, with a subkey to encrypt to.
fn two_names(gpg: &Gpg) -> Vec<u8> {
    let eve = gpg.key("Eve <eve@evil.example>", "ed25519", "cv25519", &[]);
    gpg.go(
        &["--quick-add-uid", &eve, "Friend <friend@good.example>"],
        b"",
    );
    gpg.go(&["--export", &eve], b"")
}

/// What came by mail is for the address that it came for, and no other.
#[test]
fn mail_brings_no_key_for_somebody_else() {
    let Some(gpg) = Gpg::new() else { return };
    let cert = crate::harness::encode(&two_names(&gpg));
    let mail = |from: &str| {
        let date = chrono::Utc::now().to_rfc2822();
        format!(
            "From: {from}\r\nTo: me@good.example\r\nDate: {date}\r\n\
             Autocrypt: addr={from}; keydata={cert}\r\n\r\nhello\r\n"
        )
    };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let state = |host: &mut Host, address: &str| {
        let plan = json!({"to": [address], "protect": {"encrypt": true}});
        host.good("message/plan", plan)["recipients"][0]["state"].clone()
    };
    host.open(mail("eve@evil.example").as_bytes()).unwrap();
    assert_eq!(state(&mut host, "eve@evil.example"), "ready");
    assert_eq!(state(&mut host, "friend@good.example"), "no-key");

    // The friend's own key is known; then Eve's comes in the friend's name, and is no secret.
    let Some(theirs) = Gpg::new() else { return };
    let friend = theirs.key("Friend <friend@good.example>", "ed25519", "cv25519", &[]);
    import(&mut host, &theirs.public(&friend), json!(true));
    let opened = host.open(mail("friend@good.example").as_bytes()).unwrap();
    assert_eq!(opened["keys"][0]["change"], "conflict", "{opened}");
    let shown = host.good("keys/show", json!({"id": format!("openpgp:{friend}")}));
    assert_eq!(
        shown["key"]["conflicts"][0]["address"],
        "friend@good.example"
    );
    assert_eq!(state(&mut host, "friend@good.example"), "conflict");
}

/// Files that are built to keep a host busy, or to fill its memory.
#[test]
fn floods_and_bombs_cost_little() {
    use std::io::Write as _;

    let Some(gpg) = Gpg::new() else { return };
    let cert = two_names(&gpg);
    let packets = crate::packets::split(&cert);
    let at = packets.iter().position(|packet| packet.tag == 13).unwrap();
    let mut many = packets[..at].to_vec();
    for n in 0..20_000 {
        let mut name = packets[at].clone();
        name.body = format!("n{n} <n{n}@flood.example>").into_bytes();
        many.push(name);
        many.push(packets[at + 1].clone());
    }
    let names = crate::packets::join(&many);
    let mut many = packets[..=at].to_vec();
    many.extend((0..60_000).map(|_| packets[at + 1].clone()));
    let signatures = crate::packets::join(&many);
    let mut zlib = flate2::write::ZlibEncoder::new(vec![2], flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..400 {
        zlib.write_all(&zeros).unwrap();
    }
    let mut many = packets.clone();
    let mut bomb = packets[0].clone();
    bomb.tag = 8;
    bomb.body = zlib.finish().unwrap();
    many.push(bomb);
    let bomb = crate::packets::join(&many);
    for (name, data) in [
        ("names", &names),
        ("signatures", &signatures),
        ("bomb", &bomb),
    ] {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let begun = std::time::Instant::now();
        let body = host.body(data);
        let imported = host.call("keys/import", json!({"data": body}));
        let file = crate::harness::encode(data);
        let mail = format!(
            "From: eve@evil.example\r\nContent-Type: application/pgp-keys\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{file}\r\n"
        );
        host.open(mail.as_bytes()).unwrap();
        let took = begun.elapsed();
        assert!(
            took < std::time::Duration::from_secs(20),
            "{name}: {took:?}"
        );
        let peak = host.peak_kib() >> 10;
        assert!(peak < 350, "{name}: {peak} MiB");
        if name != "bomb" {
            assert_eq!(imported.unwrap()["imported"], json!([]), "{name}");
        }
    }
}

/// Nobody confirms what a dialog does not show.
#[test]
fn a_dialog_shows_all_of_what_is_accepted() {
    let Some(gpg) = Gpg::new() else { return };
    let key = gpg.key("Eve <a0@evil.example>", "ed25519", "cv25519", &[]);
    for n in 1..8 {
        let name = format!("Eve <a{n}@evil.example>");
        gpg.go(&["--quick-add-uid", &key, &name], b"");
    }
    let pinentry = crate::harness::Pinentry::new(&["%yes"]);
    let home = Home::new().pinentry(&pinentry).confirm(None);
    let mut host = home.start();
    host.hello();
    let data = host.body(&gpg.public(&key));
    let _ = host.call("keys/import", json!({"data": data, "accept": true}));
    let said = pinentry.descriptions();
    for n in 0..8 {
        assert!(said.contains(&format!("a{n}@evil.example")), "{said}");
    }
    for n in 0..40 {
        let name = format!("Eve <another-{n}@a-rather-long-name.evil.example>");
        gpg.go(&["--quick-add-uid", &key, &name], b"");
    }
    let data = host.body(&gpg.public(&key));
    let fault = host.fault("keys/import", json!({"data": data, "accept": true}));
    assert_eq!(
        (fault.kind(), &fault.data["limit"]),
        ("limit.exceeded", &json!("confirmation"))
    );
}
