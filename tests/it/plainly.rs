//! What is said to somebody who asks for the wrong thing: of which key, why not, and what to do.

use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::cert::amalgamation::key::PrimaryKey as _;
use sequoia_openpgp::crypto::S2K;
use sequoia_openpgp::crypto::mpi::SecretKeyChecksum;
use sequoia_openpgp::packet::key::Encrypted;
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::SymmetricAlgorithm;
use sequoia_openpgp::{Cert, Packet};
use serde_json::{Value, json};

use crate::harness::{Home, export, generate, import};
use crate::peer::run;

const ME: &str = "me@plain.example";
const BOB: &str = "bob@plain.example";

/// Somebody else's armored certificate.
fn cert_of(address: &str) -> String {
    let home = Home::new();
    let mut host = home.start();
    let id = generate(&mut host, "Somebody", address, "compatible");
    export(&mut host, &[&id])
}

/// What the command line says: whether it went well, and its words, on both outputs.
fn say(home: &Home, words: &[&str], input: &[u8]) -> (bool, String) {
    let ran = run(home.command().args(words), input);
    let out = String::from_utf8(ran.stdout).unwrap();
    (ran.ok, format!("{out}{}", ran.stderr))
}

#[test]
fn a_key_of_somebody_else_is_no_own_key() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let imported = import(&mut host, cert_of(BOB).as_bytes(), Value::Null);
    let id = imported["imported"][0]["id"].clone();
    let nobody = json!(format!("openpgp:{}", "A".repeat(40)));
    let later = "2040-01-01T00:00:00Z";
    for (method, more) in [
        ("keys/publish", json!({"via": "wkd"})),
        ("keys/renew", json!({"expires": later})),
        ("keys/subkey", json!({"add": "sign"})),
        ("keys/address", json!({"add": "more@plain.example"})),
        ("keys/revoke", json!({})),
        ("keys/passphrase", json!({})),
        ("keys/unlock", json!({})),
        ("autocrypt/setup", json!({})),
    ] {
        for (id, words) in [(&id, "not your own"), (&nobody, "no such key")] {
            let mut params = more.clone();
            params["id"] = id.clone();
            let fault = host.fault(method, params);
            assert_eq!(fault.kind(), "key.missing", "{method}: {fault:?}");
            assert!(fault.message.contains(words), "{method}: {fault:?}");
        }
    }
}

#[test]
fn a_secret_half_whose_passphrase_costs_too_much_says_so() {
    let (cert, _) = CertBuilder::general_purpose(Some(format!("<{ME}>")))
        .generate()
        .unwrap();
    let sealed = |salt: u8| {
        let (t, p, m) = (255, 1, 30);
        let sum = Some(SecretKeyChecksum::SHA1);
        let s2k = S2K::Argon2 {
            salt: [salt; 16],
            t,
            p,
            m,
        };
        Encrypted::new(s2k, SymmetricAlgorithm::AES256, sum, vec![7; 64].into())
    };
    let mut packets = Vec::new();
    for (n, ka) in cert.keys().enumerate() {
        let key = ka.key().clone().parts_into_secret().unwrap();
        let salt = u8::try_from(n).unwrap();
        if ka.primary() {
            let key = key.role_into_primary();
            packets.push(Packet::from(key.add_secret(sealed(salt).into()).0));
        } else {
            let key = key.role_into_subordinate();
            packets.push(Packet::from(key.add_secret(sealed(salt).into()).0));
        }
    }
    let cert: Cert = cert.insert_packets(packets).unwrap().0;
    let armored = cert.as_tsk().armored().to_vec().unwrap();
    let home = Home::new();
    let mut host = home.start();
    let imported = import(&mut host, &armored, Value::Null);
    assert_eq!(imported["imported"][0]["secret"], false, "{imported}");
    let why = json!([{"reason": "secret-too-costly"}]);
    assert_eq!(imported["skipped"], why);
}

#[test]
fn the_command_line_says_what_is_to_be_done() {
    let home = Home::new();
    let path = home.dir.path().join("bob.asc");
    let file = path.to_str().unwrap().to_owned();
    let (ok, _) = say(
        &home,
        &["keys", "generate", "--address", ME, "--no-passphrase"],
        b"",
    );
    assert!(ok);
    // A second key for an address: what it means, and what ends it.
    std::fs::write(&path, cert_of(BOB)).unwrap();
    let (ok, said) = say(&home, &["keys", "import", &file], b"");
    assert!(
        ok && said.contains("new") && !said.contains("conflict"),
        "{said}"
    );
    std::fs::write(&path, cert_of(BOB)).unwrap();
    let (ok, said) = say(&home, &["keys", "import", &file], b"");
    let settle = format!("sealpost keys settle KEY {BOB}");
    assert!(
        ok && said.contains("conflict") && said.contains(&settle),
        "{said}"
    );

    // Of two own keys for one address each is renewed as it can be.
    let csr = home.dir.path().join("me.csr");
    let csr = csr.to_str().unwrap();
    let smime = [
        "keys",
        "generate",
        "--smime",
        "--address",
        ME,
        "--no-passphrase",
    ];
    let (ok, said) = say(&home, &smime, b"");
    assert!(ok, "{said}");
    let until = "2035-01-01T00:00:00Z";
    let renew = ["keys", "renew", ME, "--expires", until];
    let (ok, said) = say(&home, &renew, b"");
    assert!(ok && said.contains("openpgp:"), "{said}");
    let (ok, said) = say(&home, &[&renew[..], &["--request", csr]].concat(), b"");
    assert!(ok && said.contains("authority"), "{said}");
    let request = std::fs::read_to_string(csr).unwrap();
    assert!(request.contains("CERTIFICATE REQUEST"), "{request}");
    let mut host = home.start();
    let own = host.good("keys/list", json!({"secret": true, "protocol": "smime"}));
    let id = own["keys"][0]["id"].as_str().unwrap().to_owned();
    assert!(own["keys"][0]["issuer"].is_string(), "{own}");
    let (ok, said) = say(&home, &["keys", "renew", &id, "--expires", until], b"");
    assert!(!ok && said.contains("--request"), "{said}");
    let (ok, said) = say(&home, &["keys", "delete", &id], b"");
    assert!(!ok && said.contains("--secret"), "{said}");

    // Which key it is that ends.
    let soon = chrono::Utc::now() + chrono::Duration::days(7);
    let make = json!({"protocol": "openpgp", "address": "soon@plain.example",
                      "passphrase": "none", "expires": soon.to_rfc3339()});
    let made = host.good("keys/generate", make);
    let ending = made["key"]["id"].as_str().unwrap();
    let (_, said) = say(&home, &["doctor"], b"");
    assert!(said.contains(ending), "{said}");
}
