//! S/MIME through the front door, beside `openssl cms` and `gpgsm`, with an authority that is
//! made on the spot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Home, Host, corpora, generate, import, seal, seal_one, shorten};
use crate::peer::{Ran, find, run};
use crate::peers::{Tally, verdict};

pub(crate) const ALICE: &str = "alice@smime.example";
pub(crate) const BOB: &str = "bob@smime.example";
pub(crate) const TEXT: &str = "Grüße aus dem Café\r\n";

/// An authority with an intermediate, in a folder of its own.
pub(crate) struct Ca {
    openssl: PathBuf,
    folder: TempDir,
}

impl Ca {
    pub(crate) fn new() -> Option<Ca> {
        let openssl = find("openssl")?;
        let ca = Ca {
            openssl,
            folder: tempfile::tempdir().unwrap(),
        };
        let authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
            subjectKeyIdentifier=hash\n";
        ca.key("root", "rsa:2048");
        ca.write("ca.ext", authority);
        ca.go(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "root.key",
            "-sha256",
            "-days",
            "30",
            "-subj",
            "/CN=Root",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-out",
            "root.pem",
        ]);
        ca.key("middle", "rsa:2048");
        ca.sign("middle", "/CN=Middle", "ca.ext", "root", "30");
        Some(ca)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn try_run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(&self.openssl);
        command.args(args).current_dir(self.folder.path());
        run(&mut command, b"")
    }

    #[track_caller]
    pub(crate) fn go(&self, args: &[&str]) -> Vec<u8> {
        let ran = self.try_run(args);
        assert!(ran.ok, "openssl {args:?}: {}", ran.stderr);
        ran.stdout
    }

    /// `rsa:2048`, `ec:P-256` or `ed25519`.
    pub(crate) fn key(&self, name: &str, kind: &str) {
        let out = format!("{name}.key");
        let option;
        let mut args = vec!["genpkey", "-out", &out];
        match kind.split_once(':') {
            Some(("rsa", bits)) => {
                option = format!("rsa_keygen_bits:{bits}");
                args.extend(["-algorithm", "RSA", "-pkeyopt", &option]);
            }
            Some((_, curve)) => {
                option = format!("ec_paramgen_curve:{curve}");
                args.extend(["-algorithm", "EC", "-pkeyopt", &option]);
            }
            None => args.extend(["-algorithm", kind]),
        }
        self.go(&args);
    }

    pub(crate) fn sign(
        &self,
        name: &str,
        subject: &str,
        extensions: &str,
        issuer: &str,
        days: &str,
    ) {
        let (key, request, out) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
        );
        self.go(&[
            "req", "-new", "-key", &key, "-subj", subject, "-out", &request,
        ]);
        let (ca, ca_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        self.go(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-days",
            days,
            "-sha256",
            "-extfile",
            extensions,
            "-out",
            &out,
        ]);
    }

    /// A person's certificate under the intermediate.
    pub(crate) fn person(&self, name: &str, kind: &str, address: &str) {
        self.key(name, kind);
        let extensions = format!("{name}.ext");
        self.write(
            &extensions,
            format!(
                "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment,\
                 keyAgreement\nextendedKeyUsage=emailProtection\n\
                 subjectKeyIdentifier=hash\nsubjectAltName=email:{address}\n"
            ),
        );
        self.sign(name, &format!("/CN={name}"), &extensions, "middle", "20");
    }

    /// Certificate, secret half and intermediate as one file.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        [
            self.read(&format!("{name}.key")),
            self.read(&format!("{name}.pem")),
            self.read("middle.pem"),
        ]
        .concat()
    }

    /// `entity` signed by somebody, with their certificate and that of `above` (nobody: "").
    pub(crate) fn signed(&self, who: &str, above: &str) -> Vec<u8> {
        let (cert, key) = (format!("{who}.pem"), format!("{who}.key"));
        let above = format!("{above}.pem");
        let mut args = vec![
            "cms", "-sign", "-in", "entity", "-binary", "-signer", &cert, "-inkey", &key,
        ];
        if above != ".pem" {
            args.extend(["-certfile", &above]);
        }
        self.go(&args)
    }

    pub(crate) fn trust(&self, host: &mut Host) {
        let root = host.body(&self.read("root.pem"));
        host.good("anchors/add", json!({"data": root}));
    }
}

pub(crate) fn entity() -> Vec<u8> {
    format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{TEXT}"
    )
    .into_bytes()
}

pub(crate) fn message(from: &str, mime: &[u8]) -> Vec<u8> {
    dated_message(&chrono::Utc::now().to_rfc2822(), from, mime)
}

fn dated_message(date: &str, from: &str, mime: &[u8]) -> Vec<u8> {
    let head = format!(
        "From: {from}\r\nTo: {BOB}\r\nSubject: s\r\nDate: {date}\r\n\
         Message-ID: <1@smime.example>\r\n"
    );
    let mime = String::from_utf8_lossy(mime)
        .replace("\r\n", "\n")
        .replace('\n', "\r\n");
    [head.into_bytes(), mime.into_bytes()].concat()
}

#[test]
fn what_openssl_signs() {
    let Some(ca) = Ca::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    ca.write("entity", entity());
    let mut tally = Tally::new("signed by openssl cms");
    for (name, kind) in [
        ("rsa", "rsa:2048"),
        ("p256", "ec:P-256"),
        ("p384", "ec:P-384"),
        ("p521", "ec:P-521"),
    ] {
        ca.person(name, kind, ALICE);
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        for digest in ["sha256", "sha384", "sha512", "sha1"] {
            for more in [
                &[][..],
                &["-nodetach"],
                &["-keyid"],
                &["-nodetach", "-stream"],
                &["-keyopt", "rsa_padding_mode:pss"],
                &["-noattr"],
            ] {
                if more.contains(&"-keyopt") && name != "rsa" {
                    continue;
                }
                let mut args = vec![
                    "cms",
                    "-sign",
                    "-in",
                    "entity",
                    "-binary",
                    "-signer",
                    &cert,
                    "-inkey",
                    &key,
                    "-certfile",
                    "middle.pem",
                    "-md",
                    digest,
                ];
                args.extend(more);
                let signed = message(ALICE, &ca.go(&args));
                let (wanted, reason) = match digest {
                    "sha1" => ("bad", "weak-algorithm"),
                    _ => ("good", ""),
                };
                let outcome = verdict(&mut host, &signed, "none", wanted, reason, TEXT.trim_end());
                tally.note(&format!("{name} {digest} {more:?}"), outcome);
            }
        }
    }
    ca.write("changed", message(ALICE, &ca.signed("rsa", "")));
    let changed = String::from_utf8(ca.read("changed"))
        .unwrap()
        .replace("Caf", "caf");
    let outcome = verdict(
        &mut host,
        changed.as_bytes(),
        "none",
        "bad",
        "altered",
        "caf",
    );
    tally.note("a changed letter", outcome);
    let forged = String::from_utf8(ca.read("changed"))
        .unwrap()
        .replace(ALICE, "eve@smime.example");
    let outcome = verdict(
        &mut host,
        forged.as_bytes(),
        "none",
        "unverified",
        "address-mismatch",
        "Caf",
    );
    tally.note("another From", outcome);
    tally.end();
}

#[test]
fn what_openssl_encrypts() {
    let Some(ca) = Ca::new() else { return };
    let mut tally = Tally::new("encrypted by openssl cms");
    ca.write("entity", entity());
    for (name, kind) in [
        ("rsa", "rsa:2048"),
        ("p256", "ec:P-256"),
        ("p384", "ec:P-384"),
        ("p521", "ec:P-521"),
    ] {
        ca.person(name, kind, BOB);
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        import(&mut host, &ca.file(name), Value::Null);
        let cert = format!("{name}.pem");
        let ways: &[&[&str]] = match name {
            "rsa" => &[
                &[],
                &["-keyopt", "rsa_padding_mode:oaep"],
                &[
                    "-keyopt",
                    "rsa_padding_mode:oaep",
                    "-keyopt",
                    "rsa_oaep_md:sha256",
                ],
            ],
            _ => &[
                &[],
                &["-keyopt", "ecdh_kdf_md:sha1"],
                &["-keyopt", "ecdh_kdf_md:sha512"],
            ],
        };
        for cipher in [
            "-aes-128-cbc",
            "-aes-192-cbc",
            "-aes-256-cbc",
            "-aes-128-gcm",
            "-aes-256-gcm",
            "-des-ede3-cbc",
        ] {
            for way in ways {
                for form in [&[][..], &["-keyid"], &["-stream"]] {
                    let mut args = vec!["cms", "-encrypt", "-binary", "-in", "entity", cipher];
                    args.extend(form);
                    args.extend(["-recip", &cert]);
                    args.extend(*way);
                    let sealed = message(ALICE, &ca.go(&args));
                    let outcome = verdict(&mut host, &sealed, "whole", "none", "", TEXT.trim_end());
                    tally.note(&format!("{name} {cipher} {way:?} {form:?}"), outcome);
                }
            }
        }
    }
    tally.end();
}

/// Two people with certificates of the authority, and the authority trusted by both.
pub(crate) fn two(ca: &Ca, kind: &str) -> (Home, Host, Home, Host) {
    ca.person("alice", kind, ALICE);
    ca.person("bob", kind, BOB);
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (mut alice, mut bob) = (alice_home.start(), bob_home.start());
    for (host, own, other) in [(&mut alice, "alice", "bob"), (&mut bob, "bob", "alice")] {
        host.hello();
        ca.trust(host);
        import(host, &ca.file(own), Value::Null);
        import(host, &ca.read(&format!("{other}.pem")), Value::Null);
    }
    (alice_home, alice, bob_home, bob)
}

pub(crate) fn draft() -> Value {
    json!({"from": ALICE, "to": [BOB], "subject": "Lünch", "text": {"text": TEXT},
           "attachments": [{"name": "f.bin", "type": "application/octet-stream", "body": {"base64": "AAEC"}}]})
}

#[test]
fn what_we_seal_openssl_and_we_read() {
    let Some(ca) = Ca::new() else { return };
    let mut tally = Tally::new("sealed by us, S/MIME");
    for kind in ["rsa:3072", "ec:P-256", "ec:P-384", "ec:P-521"] {
        let (_a, mut alice, _b, mut bob) = two(&ca, kind);
        for (what, protect) in [
            (
                "signed",
                json!({"sign": true, "encrypt": false, "protocol": "smime"}),
            ),
            (
                "opaque",
                json!({"sign": true, "encrypt": false, "protocol": "smime", "scheme": "opaque"}),
            ),
            (
                "cbc",
                json!({"sign": false, "encrypt": true, "protocol": "smime"}),
            ),
            (
                "gcm",
                json!({"sign": false, "encrypt": true, "protocol": "smime", "cipher": "gcm"}),
            ),
            (
                "both",
                json!({"sign": true, "encrypt": true, "protocol": "smime"}),
            ),
            (
                "both, gcm, opaque",
                json!({"sign": true, "encrypt": true, "protocol": "smime", "cipher": "gcm", "scheme": "opaque"}),
            ),
        ] {
            let sealed = seal_one(&mut alice, draft(), protect.clone());
            let encrypted = if protect["encrypt"] == true {
                "whole"
            } else {
                "none"
            };
            let signed = if protect["sign"] == true {
                "good"
            } else {
                "none"
            };
            let outcome = verdict(&mut bob, &sealed, encrypted, signed, "", TEXT.trim_end());
            tally.note(&format!("{kind} {what}, by us"), outcome);
            ca.write("sealed", &sealed);
            let outcome = by_openssl(&ca, &protect);
            tally.note(&format!("{kind} {what}, by openssl"), outcome);
        }
    }
    tally.end();
}

/// Decrypts and verifies `sealed` as Bob.
fn by_openssl(ca: &Ca, protect: &Value) -> Result<(), String> {
    let mut name = "sealed";
    if protect["encrypt"] == true {
        let ran = ca.try_run(&[
            "cms", "-decrypt", "-in", name, "-recip", "bob.pem", "-inkey", "bob.key", "-out",
            "inner",
        ]);
        if !ran.ok {
            return Err(ran.stderr);
        }
        name = "inner";
    }
    if protect["sign"] == true {
        let ran = ca.try_run(&[
            "cms", "-verify", "-in", name, "-CAfile", "root.pem", "-out", "content",
        ]);
        if !ran.ok {
            return Err(ran.stderr);
        }
        name = "content";
    }
    let content = String::from_utf8_lossy(&ca.read(name)).into_owned();
    // The text is quoted-printable or 8bit, the attachment base64.
    match content.contains("AAEC") {
        true => Ok(()),
        false => Err(format!("the content is {content:?}")),
    }
}

#[test]
fn gpgsm_reads_and_writes() {
    let (Some(ca), Some(gpgsm)) = (Ca::new(), find("gpgsm")) else {
        return;
    };
    let (_a, mut alice, _b, mut bob) = two(&ca, "rsa:2048");
    let home = tempfile::tempdir().unwrap();
    let go = |args: &[&str], input: &[u8]| {
        let mut command = Command::new(&gpgsm);
        command
            .env("GNUPGHOME", home.path())
            .args([
                "--batch",
                "--yes",
                "--disable-dirmngr",
                "--disable-crl-checks",
            ])
            .args(["--pinentry-mode", "loopback", "--passphrase-fd", "0"])
            .args(args);
        run(&mut command, input)
    };
    // The root is trusted by its fingerprint.
    let print =
        String::from_utf8(ca.go(&["x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha1"]))
            .unwrap();
    let print = print.trim().rsplit_once('=').unwrap().1;
    std::fs::write(
        home.path().join("trustlist.txt"),
        format!("{print} S relax\n"),
    )
    .unwrap();
    std::fs::write(
        home.path().join("gpg-agent.conf"),
        "allow-loopback-pinentry\n",
    )
    .unwrap();
    ca.go(&[
        "pkcs12",
        "-export",
        "-inkey",
        "bob.key",
        "-in",
        "bob.pem",
        "-certfile",
        "middle.pem",
        "-out",
        "bob.p12",
        "-passout",
        "pass:x",
        "-keypbe",
        "PBE-SHA1-3DES",
        "-certpbe",
        "PBE-SHA1-3DES",
        "-macalg",
        "sha1",
    ]);
    for file in ["root.pem", "middle.pem", "alice.pem", "bob.p12"] {
        let path = ca.path(file);
        let ran = go(&["--import", path.to_str().unwrap()], b"x\n");
        assert!(ran.ok, "{file}: {}", ran.stderr);
    }
    let mut tally = Tally::new("gpgsm 2.2, RSA and CBC");
    let sealed = seal_one(
        &mut alice,
        draft(),
        json!({"sign": false, "encrypt": true, "protocol": "smime"}),
    );
    let body = body_of(&sealed);
    let ran = go(
        &[
            "--assume-base64",
            "--decrypt",
            body_file(&ca, &body).to_str().unwrap(),
        ],
        b"x\n",
    );
    let found = String::from_utf8_lossy(&ran.stdout).contains("AAEC");
    tally.note(
        "decrypts ours",
        if found { Ok(()) } else { Err(ran.stderr) },
    );
    let sealed = seal_one(
        &mut alice,
        draft(),
        json!({"sign": true, "encrypt": false, "protocol": "smime", "scheme": "opaque"}),
    );
    let ran = go(
        &[
            "--assume-base64",
            "--verify",
            body_file(&ca, &body_of(&sealed)).to_str().unwrap(),
        ],
        b"\n",
    );
    tally.note(
        "verifies ours",
        if ran.ok && ran.stderr.contains("Good signature") {
            Ok(())
        } else {
            Err(ran.stderr)
        },
    );
    ca.write("entity", entity());
    let path = ca.path("entity");
    let ran = go(
        &["--encrypt", "--armor", "-r", BOB, path.to_str().unwrap()],
        b"\n",
    );
    assert!(ran.ok, "{}", ran.stderr);
    let der = pem_body(&ran.stdout);
    let data = bob.body(&der);
    let opened = bob.call("message/open", json!({"payload": {"data": data}}));
    let read = opened.map_err(|f| format!("{f:?}")).and_then(|opened| {
        match opened["parts"][0]["body"]["text"].as_str() == Some(TEXT) {
            true => Ok(()),
            false => Err(shorten(&opened)),
        }
    });
    tally.note("we decrypt its", read);
    let _ = Command::new("gpgconf")
        .env("GNUPGHOME", home.path())
        .args(["--kill", "all"])
        .status();
    tally.end();
}

pub(crate) fn body_of(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    text.split_once("\r\n\r\n").unwrap().1.as_bytes().to_vec()
}

fn body_file(ca: &Ca, body: &[u8]) -> PathBuf {
    ca.write("body", body);
    ca.path("body")
}

fn pem_body(pem: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(pem);
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .filter(|line| !line.starts_with("-----"));
    crate::harness::decode(&lines.collect::<String>())
}

#[test]
fn faults_inside_the_ciphertext_are_one_fault() {
    let Some(ca) = Ca::new() else { return };
    let (_a, mut alice, _b, mut bob) = two(&ca, "rsa:2048");
    for cipher in ["cbc", "gcm"] {
        let protect =
            json!({"sign": false, "encrypt": true, "protocol": "smime", "cipher": cipher});
        let sealed = seal_one(&mut alice, draft(), protect);
        let der =
            crate::harness::decode(&String::from_utf8_lossy(&body_of(&sealed)).replace("\r\n", ""));
        let mut opened = 0;
        let mut kinds = std::collections::BTreeSet::new();
        // The second half is ciphertext, its tag last where there is one.
        for at in (der.len() / 2..der.len()).step_by(7) {
            // The field that holds the tag is structure, seen before any key is used.
            if cipher == "gcm" && (der.len() - 18..der.len() - 16).contains(&at) {
                continue;
            }
            let mut bad = der.clone();
            bad[at] ^= 0x10;
            let data = bob.body(&bad);
            match bob.call("message/open", json!({"payload": {"data": data}})) {
                Ok(found) => {
                    opened += 1;
                    assert_eq!(
                        found["layers"][0]["integrity"],
                        "none",
                        "{}",
                        shorten(&found)
                    );
                    let warnings = found["summary"]["warnings"].as_array().unwrap();
                    assert!(warnings.contains(&json!("unauthenticated")));
                }
                Err(fault) => {
                    kinds.insert((fault.kind().to_owned(), fault.message.clone()));
                }
            }
        }
        match cipher {
            "gcm" => {
                assert_eq!(opened, 0, "a changed tag or text was not noticed");
                let all: Vec<_> = kinds.iter().map(|(kind, _)| kind.as_str()).collect();
                assert_eq!(all, ["decrypt.failed"], "{kinds:?}");
            }
            // Without integrity most changes show as changed text; what fails, fails alike.
            _ => assert!(kinds.len() <= 1, "{kinds:?}"),
        }
    }
}

#[test]
fn recipients_of_both_families() {
    let Some(ca) = Ca::new() else { return };
    let (_a, mut alice, _b, mut bob) = two(&ca, "rsa:2048");
    generate(&mut alice, "Alice", ALICE, "compatible");
    let carol_home = Home::new();
    let mut carol = carol_home.start();
    let id = generate(&mut carol, "Carol", "carol@smime.example", "compatible");
    let cert = crate::harness::export(&mut carol, &[&id]);
    import(&mut alice, cert.as_bytes(), json!(true));
    let mut draft = draft();
    draft["to"] = json!([BOB, "carol@smime.example"]);
    let plan = alice.good(
        "message/plan",
        json!({"from": ALICE, "to": draft["to"],
        "protect": {"sign": true, "encrypt": true}}),
    );
    let choices: Vec<_> = plan["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["choice"].as_str().unwrap())
        .collect();
    assert_eq!(choices, ["smime", "openpgp"], "{plan}");
    let sealed = seal(&mut alice, draft, json!({"sign": true, "encrypt": true}));
    let messages = sealed["messages"].as_array().unwrap().clone();
    assert_eq!(messages.len(), 2, "{}", shorten(&sealed));
    for (message, (protocol, to)) in messages
        .iter()
        .zip([("smime", BOB), ("openpgp", "carol@smime.example")])
    {
        assert_eq!(message["protocol"], protocol);
        assert_eq!(message["to"], json!([to]));
        let bytes = alice.bytes(&message["message"]);
        let reader = if protocol == "smime" {
            &mut bob
        } else {
            &mut carol
        };
        let opened = reader.open(&bytes).unwrap();
        assert_eq!(opened["summary"]["encrypted"], "whole");
        let shown = reader.bytes(&opened["parts"][0]["body"]);
        assert_eq!(String::from_utf8_lossy(&shown), TEXT);
    }
}

#[test]
fn good_signatures_bring_certificates_and_what_their_owners_read() {
    let Some(ca) = Ca::new() else { return };
    let (_a, mut alice, _b, _bob) = two(&ca, "rsa:2048");
    let home = Home::new();
    let mut host = home.start();
    ca.trust(&mut host);
    let protect = json!({"sign": true, "encrypt": false, "protocol": "smime"});
    let sealed = seal_one(&mut alice, draft(), protect);
    let first = host.open(&sealed).unwrap();
    assert_eq!(first["summary"]["signed"], "good");
    assert_eq!(first["keys"][0]["change"], "new");
    assert_eq!(first["keys"][0]["source"], "signature");
    let again = host.open(&sealed).unwrap();
    assert_eq!(again["keys"][0]["change"], "known");
    // A renewal, under another key, from the same authority.
    ca.person("renewed", "rsa:2048", ALICE);
    import(&mut alice, &ca.file("renewed"), json!(true));
    let id = host.good("keys/list", json!({"query": ALICE}))["keys"][0]["id"].clone();
    ca.write("entity", entity());
    let renewed = message(ALICE, &ca.signed("renewed", "middle"));
    let opened = host.open(&renewed).unwrap();
    assert_eq!(
        opened["keys"][0]["change"],
        "update",
        "{}",
        shorten(&opened)
    );
    assert_ne!(opened["keys"][0]["id"], id);
    // To someone who has said that they read it, GCM is used unasked.
    ca.person("dora", "rsa:2048", "dora@smime.example");
    import(&mut host, &ca.file("dora"), Value::Null);
    let answer = seal_one(
        &mut host,
        json!({"from": "dora@smime.example", "to": [ALICE], "subject": "s", "text": {"text": "t\r\n"}}),
        json!({"sign": true, "encrypt": true, "protocol": "smime"}),
    );
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(text.contains("smime-type="), "{text}");
}

#[test]
fn what_an_authority_makes_of_our_request_has_our_key() {
    let Some(ca) = Ca::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    let made = host.good(
        "keys/generate",
        json!({"protocol": "smime", "address": ALICE, "name": "Alice", "passphrase": "none"}),
    );
    let request = host.bytes(&made["request"].clone());
    ca.write("alice.csr", request);
    ca.write(
        "alice.ext",
        format!(
            "keyUsage=critical,digitalSignature,keyEncipherment\nsubjectAltName=email:{ALICE}\n"
        ),
    );
    ca.go(&[
        "x509",
        "-req",
        "-inform",
        "DER",
        "-in",
        "alice.csr",
        "-CA",
        "middle.pem",
        "-CAkey",
        "middle.key",
        "-CAcreateserial",
        "-days",
        "9",
        "-extfile",
        "alice.ext",
        "-out",
        "alice.pem",
    ]);
    let chain = [ca.read("alice.pem"), ca.read("middle.pem")].concat();
    let reply = import(&mut host, &chain, json!(true));
    assert_eq!(reply["imported"][0]["secret"], true, "{reply}");
    let id = reply["imported"][0]["id"].clone();
    let shown = host.good("keys/show", json!({"id": id}))["key"].clone();
    assert_eq!(shown["sameKey"], json!([made["key"]["id"]]), "{shown}");
    let keys = json!({ALICE: [id]});
    let sealed = seal_one(
        &mut host,
        json!({"from": ALICE, "to": [ALICE], "subject": "s", "text": {"text": TEXT}}),
        json!({"sign": true, "encrypt": true, "protocol": "smime", "keys": keys}),
    );
    let opened = host.open(&sealed).unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
    assert_eq!(opened["summary"]["signer"]["id"], id);
    assert_eq!(opened["layers"][0]["key"], id);
}

#[test]
fn addresses_beyond_ascii_have_certificates_too() {
    let Some(openssl) = find("openssl") else {
        return;
    };
    for (address, stated) in [
        ("gr\u{fc}n@smime.example", "SmtpUTF8Mailbox"),
        (
            "green@b\u{fc}cher.example",
            "email:green@xn--bcher-kva.example",
        ),
        ("gr\u{fc}n@b\u{fc}cher.example", "SmtpUTF8Mailbox"),
    ] {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let made = host.good(
            "keys/generate",
            json!({"protocol": "smime", "address": address, "passphrase": "none"}),
        );
        let id = made["key"]["id"].clone();
        host.good(
            "keys/accept",
            json!({"id": id, "address": address, "level": "accepted"}),
        );
        let sealed = seal_one(
            &mut host,
            json!({"from": address, "to": [address], "subject": "s", "text": {"text": TEXT}}),
            json!({"sign": true, "encrypt": true, "protocol": "smime"}),
        );
        let opened = host.open(&sealed).unwrap();
        assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
        assert_eq!(opened["summary"]["signer"]["id"], id);
        let cert = host.good("keys/export", json!({"ids": [id], "format": "der"}));
        let cert = host.bytes(&cert["data"]);
        let request = host.bytes(&made["request"].clone());
        for (kind, der) in [("x509", cert), ("req", request)] {
            let ran = run(
                Command::new(&openssl).args([kind, "-inform", "DER", "-noout", "-text"]),
                &der,
            );
            let text = String::from_utf8_lossy(&ran.stdout).into_owned();
            let found = match stated {
                "SmtpUTF8Mailbox" => text.contains("othername"),
                stated => text.contains(stated),
            };
            assert!(ran.ok && found, "{kind}: {text} {}", ran.stderr);
        }
    }
}

#[test]
fn one_certificate_to_sign_with_and_one_to_encrypt_to() {
    let Some(ca) = Ca::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    import(&mut host, &ca.read("middle.pem"), Value::Null);
    for (name, usage) in [
        ("signs", "digitalSignature"),
        ("old", "keyEncipherment"),
        ("new", "keyEncipherment"),
    ] {
        ca.key(name, "rsa:2048");
        let extensions = format!("{name}.ext");
        ca.write(
            &extensions,
            format!("keyUsage=critical,{usage}\nsubjectAltName=email:{BOB}\n"),
        );
        ca.sign(name, &format!("/CN={name}"), &extensions, "middle", "20");
        import(&mut host, &ca.read(&format!("{name}.pem")), Value::Null);
    }
    let plan = host.good(
        "message/plan",
        json!({"to": [BOB], "protect": {"encrypt": true}}),
    );
    let bob = &plan["recipients"][0];
    // A renewal beside the old one is no conflict, and nobody had to accept either.
    assert_eq!(bob["state"], "ready", "{plan}");
    assert_eq!(bob["keys"][0]["reasons"], json!([]), "{plan}");
    assert_eq!(bob["keys"][2]["reasons"][0], "no-encryption-key", "{plan}");
}

/// Whose signature it is: by the one address in From and those that the certificate states,
/// nothing else (RFC 8550 3; upper and lower case as RFC 9788 4.4.5 has it). Where From is not
/// one address, there is none to belong to. Subject and extensions of the signer's certificate, the header
/// fields, what the signature comes to, and its reason.
const BOUND: &[(&str, &str, &str, &str, &str)] = &[
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: alice@smime.example",
        "good",
        "",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: Alice <alice@SMIME.Example>",
        "good",
        "",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: Alice@smime.example",
        "good",
        "",
    ),
    (
        "/CN=x",
        "subjectAltName=email:a@smime.example,email:alice@smime.example",
        "From: alice@smime.example",
        "good",
        "",
    ),
    // The subject counts only where no alternative name has an address.
    (
        "/CN=x/emailAddress=alice@smime.example",
        "basicConstraints=CA:FALSE",
        "From: alice@smime.example",
        "good",
        "",
    ),
    (
        "/CN=x/emailAddress=alice@smime.example",
        "subjectAltName=email:eve@smime.example",
        "From: alice@smime.example",
        "unverified",
        "address-mismatch",
    ),
    (
        "/CN=alice@smime.example",
        "basicConstraints=CA:FALSE",
        "From: alice@smime.example",
        "unverified",
        "address-mismatch",
    ),
    (
        "/CN=x",
        "subjectAltName=DNS:smime.example",
        "From: alice@smime.example",
        "unverified",
        "address-mismatch",
    ),
    (
        "/CN=x",
        "subjectAltName=@alt\n[alt]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:gr\u{fc}n@smime.example",
        "From: gr\u{fc}n@smime.example",
        "good",
        "",
    ),
    (
        "/CN=x",
        "subjectAltName=@alt\n[alt]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:gr\u{fc}n@smime.example",
        "From: grun@smime.example",
        "unverified",
        "address-mismatch",
    ),
    // Other fields than From, and other Froms than one address.
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: eve@smime.example\r\nSender: alice@smime.example",
        "unverified",
        "address-mismatch",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: eve@smime.example\r\nReply-To: alice@smime.example",
        "unverified",
        "address-mismatch",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: \"alice@smime.example\" <eve@smime.example>",
        "unverified",
        "address-mismatch",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: alice@smime.example, eve@smime.example",
        "unverified",
        "no-address",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: alice@smime.example\r\nFrom: eve@smime.example",
        "unverified",
        "no-address",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: all: alice@smime.example;",
        "unverified",
        "no-address",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example",
        "From: ",
        "unverified",
        "no-address",
    ),
    // What the certificate is for.
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example\nkeyUsage=critical,keyEncipherment",
        "From: alice@smime.example",
        "unverified",
        "chain-untrusted",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example\nextendedKeyUsage=serverAuth",
        "From: alice@smime.example",
        "unverified",
        "chain-untrusted",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example\nextendedKeyUsage=anyExtendedKeyUsage",
        "From: alice@smime.example",
        "good",
        "",
    ),
    (
        "/CN=x",
        "subjectAltName=email:alice@smime.example\n1.2.3.4=critical,ASN1:NULL",
        "From: alice@smime.example",
        "unverified",
        "chain-untrusted",
    ),
];

#[test]
fn a_signature_belongs_to_one_address() {
    let Some(ca) = Ca::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    ca.write("entity", entity());
    let mut tally = Tally::new("S/MIME signers and From");
    ca.key("who", "rsa:2048");
    for (subject, extensions, head, status, reason) in BOUND {
        ca.write("who.ext", extensions);
        ca.sign("who", subject, "who.ext", "middle", "20");
        let mime = ca.signed("who", "middle");
        let mail = message("x@y.example", &mime);
        let mail = String::from_utf8(mail)
            .unwrap()
            .replacen("From: x@y.example", head, 1);
        let text = TEXT.trim_end();
        let outcome = verdict(&mut host, mail.as_bytes(), "none", status, reason, text);
        tally.note(&format!("{subject} {extensions} {head}"), outcome);
    }
    tally.end();
}

#[test]
fn chains_that_end_too_early_or_in_the_wrong_place() {
    let Some(ca) = Ca::new() else { return };
    ca.person("alice", "rsa:2048", ALICE);
    ca.write("entity", entity());
    let signed = |signer: &str, more: &[&str]| {
        let (cert, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let mut args = vec![
            "cms", "-sign", "-in", "entity", "-binary", "-signer", &cert, "-inkey", &key,
        ];
        args.extend(more);
        message(ALICE, &ca.go(&args))
    };
    let text = TEXT.trim_end();
    let fresh = |trust: bool| {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        if trust {
            ca.trust(&mut host);
        }
        (home, host)
    };
    let mut tally = Tally::new("S/MIME chains");
    let bag = ["-certfile", "chain.pem"];
    ca.write(
        "chain.pem",
        [ca.read("middle.pem"), ca.read("root.pem")].concat(),
    );
    // Nobody trusts the root, though it came along: it is an anchor for no one.
    let (_home, mut host) = fresh(false);
    let outcome = verdict(
        &mut host,
        &signed("alice", &bag),
        "none",
        "unverified",
        "chain-untrusted",
        text,
    );
    tally.note("rogue root in the bag", outcome);
    let (_home, mut host) = fresh(true);
    let outcome = verdict(
        &mut host,
        &signed("alice", &[]),
        "none",
        "unverified",
        "chain-incomplete",
        text,
    );
    tally.note("no intermediate", outcome);
    let outcome = verdict(&mut host, &signed("alice", &bag), "none", "good", "", text);
    tally.note("all of it", outcome);
    // Trusted for another domain alone.
    let (_home, mut host) = fresh(false);
    let root = host.body(&ca.read("root.pem"));
    host.good(
        "anchors/add",
        json!({"data": root, "domains": ["other.example"]}),
    );
    let outcome = verdict(
        &mut host,
        &signed("alice", &bag),
        "none",
        "unverified",
        "address-mismatch",
        text,
    );
    tally.note("an anchor for another domain", outcome);
    let (_home, mut host) = fresh(true);
    ca.key("weak", "rsa:1024");
    ca.write("weak.ext", format!("subjectAltName=email:{ALICE}\n"));
    ca.sign("weak", "/CN=weak", "weak.ext", "middle", "20");
    let outcome = verdict(
        &mut host,
        &signed("weak", &bag),
        "none",
        "bad",
        "weak-algorithm",
        text,
    );
    tally.note("RSA-1024", outcome);
    // A signed part inside a larger message is its own alone.
    let inner = String::from_utf8(signed("alice", &bag)).unwrap();
    let part = inner.split_once("MIME-Version: 1.0\r\n").unwrap().1;
    let list = format!(
        "From: {ALICE}\r\nTo: {BOB}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; \
         boundary=list\r\n\r\n--list\r\n{part}\r\n--list\r\nContent-Type: text/plain\r\n\r\n\
         a list's footer\r\n--list--\r\n"
    );
    let opened = host.open(list.as_bytes()).unwrap();
    assert_eq!(opened["summary"]["signed"], "none", "{}", shorten(&opened));
    assert_eq!(opened["parts"][0]["protection"]["signed"], "good");
    assert_eq!(opened["parts"][1]["protection"]["signed"], "none");
    tally.end();
}

/// An administrator's own list of authorities takes the place of the program's, wholly or not
/// at all.
#[test]
fn authorities_that_policy_names() {
    let Some(ca) = Ca::new() else { return };
    ca.person("alice", "rsa:2048", ALICE);
    ca.write("entity", entity());
    let signed = message(ALICE, &ca.signed("alice", "middle"));
    let other = Ca::new().unwrap();
    ca.write(
        "both.pem",
        [ca.read("root.pem"), other.read("root.pem")].concat(),
    );
    ca.write("other.pem", other.read("root.pem"));
    ca.write(
        "leaf.pem",
        [ca.read("root.pem"), ca.read("alice.pem")].concat(),
    );
    ca.write("empty.pem", "");
    let under = |files: &[&str]| {
        let home = Home::new();
        std::fs::create_dir_all(home.path()).unwrap();
        let files: Vec<String> = files
            .iter()
            .map(|file| match file.starts_with("./") {
                true => (*file).to_owned(),
                false => ca.path(file).display().to_string(),
            })
            .collect();
        std::fs::write(
            home.path().join("policy.toml"),
            format!("anchors-files = {files:?}\n"),
        )
        .unwrap();
        let mut host = home.start();
        host.hello();
        let opened = host.open(&signed);
        let listed = host.call("anchors/list", json!({}));
        (home, opened, listed)
    };
    for (files, anchors, status) in [
        (&["root.pem"][..], 1, "good"),
        (&["both.pem"], 2, "good"),
        (&["other.pem"], 1, "unverified"),
        // Who stands in every one of them.
        (&["both.pem", "root.pem"], 1, "good"),
        (&["both.pem", "other.pem"], 1, "unverified"),
        (&["root.pem", "other.pem"], 0, "unverified"),
    ] {
        let (_home, opened, listed) = under(files);
        assert_eq!(opened.unwrap()["summary"]["signed"], status, "{files:?}");
        let listed = listed.unwrap()["anchors"].as_array().unwrap().clone();
        assert_eq!(listed.len(), anchors, "{files:?}");
        assert!(
            listed.iter().all(|one| one["source"] == "policy"),
            "{listed:?}"
        );
    }
    // Without that it is not the program's authorities that speak: nobody does.
    for files in [
        &["leaf.pem"][..],
        &["empty.pem"],
        &["missing.pem"],
        &["root.pem", "missing.pem"],
    ] {
        let (_home, opened, listed) = under(files);
        for fault in [opened.unwrap_err(), listed.unwrap_err()] {
            assert_eq!(fault.kind(), "policy.refused", "{files:?}");
            assert_eq!(fault.data["rule"], "anchors-files");
        }
    }
}

/// A certificate that has ended since: it counts where the message itself says the same time.
#[test]
fn signed_before_the_end() {
    let Some(ca) = Ca::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    ca.person("alice", "rsa:2048", ALICE);
    ca.write("entity", entity());
    let mime = ca.signed("alice", "middle");
    let days = |days: i64| {
        let at = std::time::SystemTime::now();
        let offset = std::time::Duration::from_secs(days.unsigned_abs() * 86_400);
        let at = if days < 0 { at - offset } else { at + offset };
        chrono::DateTime::<chrono::Utc>::from(at)
    };
    let mail = |date: i64| dated_message(&days(date).to_rfc2822(), ALICE, &mime);
    // The certificate lasts for twenty days.
    for (date, judged, status, reason) in [
        (0, 0, "good", Value::Null),
        (0, 25, "good", json!("expired-since")),
        (24, 25, "unverified", json!("expired-since")),
        (0, -1, "unverified", json!("future")),
    ] {
        let more = json!({"at": days(judged).to_rfc3339()});
        let opened = host.open_with(&mail(date), more).unwrap();
        let signature = &opened["layers"][0]["signatures"][0];
        assert_eq!(signature["status"], status, "{date} {judged}: {signature}");
        let reasons = signature["reasons"].as_array().unwrap();
        match reason.is_null() {
            true => assert!(reasons.is_empty(), "{reasons:?}"),
            false => assert!(reasons.contains(&reason), "{reasons:?}"),
        }
    }
}

/// Somebody makes a certificate of their own for a name that is taken, and writes.
#[test]
fn a_rival_certificate_takes_nobodys_place() {
    let person = |address: &str| {
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        let made = host.good(
            "keys/generate",
            json!({"protocol": "smime", "address": address, "passphrase": "none"}),
        );
        let id = made["key"]["id"].clone();
        let cert = host.good("keys/export", json!({"ids": [id], "format": "pem"}));
        let cert = host.bytes(&cert["data"]);
        (home, host, id, cert)
    };
    let (_bob_home, mut bob, _, _) = person(BOB);
    let (_alice_home, mut alice, first, alice_cert) = person(ALICE);
    let (_eve_home, mut eve, rival, eve_cert) = person(ALICE);
    import(&mut bob, &alice_cert, json!(true));
    let mail = |host: &mut Host| {
        seal_one(
            host,
            json!({"from": ALICE, "to": [BOB], "subject": "s", "text": {"text": "t\r\n"}}),
            json!({"sign": true, "encrypt": false, "protocol": "smime"}),
        )
    };
    let opened = bob.open(&mail(&mut alice)).unwrap();
    assert_eq!(opened["summary"]["signed"], "good");
    // Whoever is vouched for by nobody is not taken up, however often they write.
    for _ in 0..2 {
        let opened = bob.open(&mail(&mut eve)).unwrap();
        assert_eq!(opened["summary"]["signed"], "unverified");
        assert_eq!(opened["summary"]["signer"], Value::Null);
        assert_eq!(opened["layers"][0]["signatures"][0]["signer"]["id"], rival);
        assert_eq!(opened["keys"], json!([]));
    }
    let known = |host: &mut Host| {
        let listed = host.good("keys/list", json!({"query": ALICE}));
        listed["keys"].as_array().unwrap().len()
    };
    assert_eq!(known(&mut bob), 1);
    let planned = json!({"from": BOB, "to": [ALICE], "protect": {"sign": true, "encrypt": true}});
    let plan = bob.good("message/plan", planned.clone());
    assert_eq!(plan["recipients"][0]["keys"][0]["id"], first, "{plan}");
    // Brought by hand it is a question, until the person has answered it.
    import(&mut bob, &eve_cert, Value::Null);
    assert_eq!(known(&mut bob), 2);
    let plan = bob.good("message/plan", planned.clone());
    assert_eq!(plan["recipients"][0]["state"], "conflict", "{plan}");
    bob.good("keys/settle", json!({"address": ALICE, "keep": first}));
    let plan = bob.good("message/plan", planned);
    assert_eq!(plan["recipients"][0]["state"], "ready", "{plan}");
    assert_eq!(plan["recipients"][0]["keys"][0]["id"], first, "{plan}");
    assert_eq!(
        bob.open(&mail(&mut eve)).unwrap()["summary"]["signed"],
        "unverified"
    );
    // To somebody for whom nothing was decided, two of them are nobody's guess.
    let (_carol_home, mut carol, _, _) = person("carol@smime.example");
    import(&mut carol, &alice_cert, Value::Null);
    import(&mut carol, &eve_cert, Value::Null);
    let draft = json!({"from": "carol@smime.example", "to": [ALICE], "text": {"text": "t\r\n"}});
    let fault = carol.fault(
        "message/seal",
        json!({"draft": draft, "protect": {"sign": false, "encrypt": true}}),
    );
    assert_eq!(fault.kind(), "key.ambiguous");
    assert_eq!(fault.data["ids"].as_array().unwrap().len(), 2);
}

#[test]
fn html_without_integrity_is_withheld() {
    let Some(ca) = Ca::new() else { return };
    let (_a, mut alice, _b, mut bob) = two(&ca, "rsa:2048");
    let mut draft = draft();
    draft["html"] = json!({"text": "<p>seen <img src=http://a.example/x></p>"});
    for (protect, shown) in [
        (
            json!({"sign": false, "encrypt": true, "protocol": "smime", "cipher": "cbc"}),
            false,
        ),
        (
            json!({"sign": true, "encrypt": true, "protocol": "smime", "cipher": "cbc"}),
            true,
        ),
        (
            json!({"sign": false, "encrypt": true, "protocol": "smime", "cipher": "gcm"}),
            true,
        ),
    ] {
        let sealed = seal_one(&mut alice, draft.clone(), protect.clone());
        let opened = bob.open(&sealed).unwrap();
        let warnings = opened["summary"]["warnings"].as_array().unwrap();
        assert_eq!(
            warnings.contains(&json!("unauthenticated")),
            !shown,
            "{protect}"
        );
        let parts = opened["parts"].as_array().unwrap();
        let html = parts
            .iter()
            .find(|part| part["type"] == "text/html")
            .unwrap();
        let body = bob.bytes(&html["body"]);
        assert_eq!(
            String::from_utf8_lossy(&body).contains("seen"),
            shown,
            "{protect}"
        );
        let plain = parts
            .iter()
            .find(|part| part["type"] == "text/plain")
            .unwrap();
        assert_eq!(bob.bytes(&plain["body"]), TEXT.as_bytes(), "{protect}");
    }
}

#[test]
fn a_message_under_a_password() {
    let Some(ca) = Ca::new() else { return };
    ca.write("entity", entity());
    let sealed = ca.go(&[
        "cms",
        "-encrypt",
        "-binary",
        "-in",
        "entity",
        "-aes-256-cbc",
        "-pwri_password",
        "nss",
    ]);
    let sealed = message(ALICE, &sealed);
    let home = Home::new().env("SEALPOST_PINENTRY", "none");
    let mut host = home.start();
    let fault = host
        .open_with(&sealed, json!({"ask": "never"}))
        .unwrap_err();
    assert_eq!(fault.kind(), "passphrase.unavailable");
    host.good(
        "hello",
        json!({"protocol": [1], "client": "tests/1", "capabilities": {"ask": true}}),
    );
    let data = host.body(&sealed);
    let opened = answered(&mut host, "message/open", json!({"message": data}));
    assert_eq!(opened["summary"]["encrypted"], "whole");
    assert_eq!(opened["parts"][0]["body"]["text"], TEXT);
}

#[test]
fn a_revoked_certificate_is_known_by_its_list() {
    let Some(ca) = Ca::new() else { return };
    ca.person("alice", "rsa:2048", ALICE);
    ca.write("entity", entity());
    let signed = message(ALICE, &ca.signed("alice", "middle"));
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    let opened = host.open(&signed).unwrap();
    let signature = &opened["layers"][0]["signatures"][0];
    assert_eq!(
        (&signature["status"], &signature["revocation"]["state"]),
        (&json!("good"), &json!("unknown"))
    );
    ca.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=5\n",
    );
    ca.write("index", "");
    ca.write("number", "01\n");
    let list = |name: &str| {
        ca.go(&[
            "ca",
            "-config",
            "ca.cnf",
            "-gencrl",
            "-keyfile",
            "middle.key",
            "-cert",
            "middle.pem",
            "-out",
            name,
        ]);
        ca.read(name)
    };
    let reply = import(&mut host, &list("empty.crl"), Value::Null);
    assert_eq!(reply["revocationLists"], 1, "{reply}");
    ca.go(&[
        "ca",
        "-config",
        "ca.cnf",
        "-revoke",
        "alice.pem",
        "-crl_reason",
        "keyCompromise",
        "-keyfile",
        "middle.key",
        "-cert",
        "middle.pem",
    ]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let reply = import(&mut host, &list("full.crl"), Value::Null);
    assert_eq!(reply["revocationLists"], 1, "{reply}");
    let opened = host.open(&signed).unwrap();
    let signature = &opened["layers"][0]["signatures"][0];
    assert_eq!(signature["status"], "bad", "{}", shorten(&opened));
    assert!(
        signature["reasons"]
            .as_array()
            .unwrap()
            .contains(&json!("key-revoked"))
    );
    assert_eq!(signature["revocation"]["state"], "revoked");
    // One that its authority has not signed takes no genuine one's place.
    let mut forged = pem_body(&ca.read("full.crl"));
    *forged.last_mut().unwrap() ^= 1;
    let reply = import(&mut host, &forged, Value::Null);
    assert_eq!(
        reply["skipped"],
        json!([{"reason": "bad-signature"}]),
        "{reply}"
    );
    assert_eq!(reply["revocationLists"], Value::Null);
    // Nor by way of a backup, where nobody looks at it.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut forged = pem_body(&list("newer.crl"));
    *forged.last_mut().unwrap() ^= 1;
    let backup = crate::backup::made(&[
        ("sealpost-backup/version", b"1\n"),
        ("sealpost-backup/revocation-lists/AB.crl", &forged),
    ]);
    host.hello();
    let done = crate::backup::read(&mut host, &backup).unwrap();
    assert_eq!(done["restored"]["revocationLists"], 0, "{done}");
    assert_eq!(done["skipped"], json!([{"reason": "bad-signature"}]));
    // An older list takes nothing back.
    let reply = import(&mut host, &ca.read("empty.crl"), Value::Null);
    assert_eq!(reply["revocationLists"], Value::Null);
}

/// Thunderbird's own messages: whether something is encrypted, and what the signatures come to
/// by our contract: of nested signatures the worst counts, and one outside an encryption is at
/// most `unverified`, where Thunderbird looks at the outermost alone.
const THUNDERBIRD: &[(&str, &str, &str)] = &[
    ("alice.env.eml", "whole", "none"),
    ("alice.sig.SHA256.opaque.eml", "none", "good"),
    ("alice.sig.SHA256.opaque.env.eml", "whole", "good"),
    ("alice.sig.SHA1.opaque.eml", "none", "bad"),
    ("alice.dsig.SHA384.multipart.eml", "none", "good"),
    ("alice.dsig.SHA512.multipart.eml", "none", "good"),
    ("alice.dsig.SHA1.multipart.bad.eml", "none", "bad"),
    ("alice.dsig.SHA256.multipart.bad.eml", "none", "bad"),
    ("alice.dsig.SHA384.multipart.bad.eml", "none", "bad"),
    (
        "alice.dsig.SHA1.multipart.mismatch-econtent.eml",
        "none",
        "bad",
    ),
    (
        "alice.dsig.SHA384.multipart.mismatch-econtent.eml",
        "none",
        "bad",
    ),
    ("alice.env.dsig.SHA1.multipart.eml", "whole", "bad"),
    ("alice.env.dsig.SHA256.multipart.eml", "whole", "bad"),
    ("alice.env.dsig.SHA384.multipart.eml", "whole", "bad"),
    ("alice.env.dsig.SHA512.multipart.eml", "whole", "bad"),
    (
        "alice.env.dsig.SHA1.multipart.dave.sig.SHA1.opaque.eml",
        "whole",
        "bad",
    ),
    (
        "alice.env.dsig.SHA512.multipart.dave.sig.SHA512.opaque.eml",
        "whole",
        "bad",
    ),
    (
        "alice.env.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml",
        "whole",
        "unverified",
    ),
    (
        "alice.env.sig.SHA384.opaque.dave.sig.SHA384.opaque.eml",
        "whole",
        "unverified",
    ),
    (
        "alice.env.sig.SHA512.opaque.dave.sig.SHA512.opaque.eml",
        "whole",
        "unverified",
    ),
    ("alice.env.sig.SHA384.opaque.eml", "whole", "unverified"),
    ("alice.env.sig.SHA512.opaque.eml", "whole", "unverified"),
    (
        "alice.plain.dsig.SHA1.multipart.dave.dsig.SHA1.multipart.eml",
        "none",
        "bad",
    ),
    (
        "alice.plain.dsig.SHA256.multipart.dave.dsig.SHA256.multipart.eml",
        "none",
        "unverified",
    ),
    (
        "alice.plain.dsig.SHA256.multipart.dave.sig.SHA256.opaque.eml",
        "none",
        "unverified",
    ),
    (
        "alice.plain.dsig.SHA1.multipart.dave.sig.SHA1.opaque.eml",
        "none",
        "bad",
    ),
    (
        "alice.plain.dsig.SHA384.multipart.dave.dsig.SHA384.multipart.eml",
        "none",
        "unverified",
    ),
    (
        "alice.plain.dsig.SHA512.multipart.dave.dsig.SHA512.multipart.eml",
        "none",
        "unverified",
    ),
    (
        "alice.plain.sig.SHA384.opaque.dave.sig.SHA384.opaque.eml",
        "none",
        "unverified",
    ),
    (
        "alice.plain.sig.SHA512.opaque.dave.dsig.SHA512.multipart.eml",
        "none",
        "unverified",
    ),
    ("alice.html.sig.SHA256.opaque.eml", "none", "good"),
    ("alice.html.sig.SHA256.opaque.env.eml", "whole", "good"),
    (
        "alice.plain.sig.SHA1.opaque.dave.dsig.SHA1.multipart.eml",
        "none",
        "bad",
    ),
    (
        "alice.plain.sig.SHA256.opaque.dave.dsig.SHA256.multipart.eml",
        "none",
        "unverified",
    ),
    (
        "alice.plain.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml",
        "none",
        "unverified",
    ),
];

#[test]
fn what_thunderbird_has() {
    let Some(root) = corpora() else {
        println!("ABSENT: no corpora beside the project: Thunderbird's messages were NOT shown");
        return;
    };
    let folder = root.join("thunderbird-smime-eml/mailnews/test/data/smime");
    let home = Home::new().env("SEALPOST_PINENTRY", "none");
    let mut host = home.start();
    host.good(
        "hello",
        json!({"protocol": [1], "client": "tests/1", "capabilities": {"ask": true}}),
    );
    let ca = host.body(&std::fs::read(folder.join("TestCA.pem")).unwrap());
    host.good("anchors/add", json!({"data": ca}));
    for name in ["Alice", "Bob", "Dave"] {
        let file = host.body(&std::fs::read(folder.join(format!("{name}.p12"))).unwrap());
        answered(&mut host, "keys/import", json!({"data": file}));
    }
    for key in host.good("keys/list", json!({"secret": true}))["keys"]
        .as_array()
        .unwrap()
    {
        answered(&mut host, "keys/unlock", json!({"id": key["id"]}));
    }
    let mut tally = Tally::new("Thunderbird's S/MIME messages");
    let theirs = asserted(&root);
    let mut lowered = Vec::new();
    for (file, encrypted, signed) in THUNDERBIRD {
        let outcome = thunderbird(&mut host, &folder.join(file), encrypted, signed);
        tally.note(file, outcome);
        let Some(theirs) = theirs.get(*file) else {
            continue;
        };
        let good = *signed == "good";
        assert!(
            theirs.good || !good,
            "{file}: Thunderbird would not say good"
        );
        assert!(
            !theirs.encrypted || *encrypted == "whole",
            "{file}: Thunderbird sees an encryption"
        );
        // Where it looks at the outermost signature alone, the worst of all counts for us.
        let nested = file.contains(".dave.");
        let rule = match (
            theirs.good && !good,
            *encrypted == "whole" && !theirs.encrypted,
        ) {
            (false, false) => continue,
            _ if !nested => panic!("{file}: no rule of ours explains the difference"),
            (true, false) => "of nested signatures the worst counts",
            (false, true) => "an encryption inside a signature encrypts the whole",
            (true, true) => "both: nested signatures, and an encryption inside them",
        };
        lowered.push(format!("{file}: {rule}"));
    }
    for file in theirs.keys() {
        let known = THUNDERBIRD.iter().any(|(known, ..)| known == file);
        assert!(known, "{file} has a verdict of Thunderbird's and none here");
    }
    println!(
        "peers: Thunderbird's own verdicts: {} of {} agree outright, none is better here",
        theirs.len() - lowered.len(),
        theirs.len()
    );
    for one in &lowered {
        println!("  STRICTER {one}");
    }
    tally.end();
}

/// What Thunderbird's own tests assert of a message.
struct Asserted {
    encrypted: bool,
    good: bool,
}

/// The assertions under its default policy, by file.
fn asserted(root: &Path) -> BTreeMap<String, Asserted> {
    let table = std::fs::read_to_string(root.join("CASES.tsv")).unwrap();
    let mut all = BTreeMap::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, _, _, expected, ..] = fields.as_slice() else {
            continue;
        };
        let name = path.strip_prefix("thunderbird-smime-eml/mailnews/test/data/smime/");
        // The first of several is that of the default policy.
        let first = expected.split(" || ").next().unwrap_or_default();
        if let (Some(name), true) = (name, first.starts_with("enc: ")) {
            let has = |words: &str| first.contains(words);
            all.insert(
                name.to_owned(),
                Asserted {
                    encrypted: has("enc: true"),
                    good: has("sig_good: true"),
                },
            );
        }
    }
    assert!(all.len() > 20, "the assertions were not found");
    all
}

/// The examples of RFC 4134 and RFC 9882, as far as their algorithms are RSA or ML-DSA: whether
/// something is encrypted, what the signature comes to, its first reason, and the text. Those
/// of RFC 4134 are over SHA-1, in Triple-DES and in RC2: told, and read all the same. Those of
/// RFC 9882 come without their certificates, so nobody can say who signed.
const EXAMPLES: &[(&str, &str, &str, &str)] = &[
    ("rfc4134/4.1.bin", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.2.bin", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.4.bin", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.5.bin", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.6.bin", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.7.bin", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.8.eml", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.9.eml", "none", "bad", "weak-algorithm"),
    ("rfc4134/4.10.bin", "none", "bad", "weak-algorithm"),
    ("rfc4134/5.1.bin", "whole", "none", "weak-algorithm"),
    ("rfc4134/5.2.bin", "whole", "none", "weak-algorithm"),
    ("rfc4134/5.3.eml", "whole", "none", "weak-algorithm"),
    (
        "pkix/cms/mldsa/SignedData_ML-DSA-44.pem",
        "none",
        "unknown",
        "",
    ),
    (
        "pkix/cms/mldsa/SignedData_ML-DSA-65.pem",
        "none",
        "unknown",
        "",
    ),
    (
        "pkix/cms/mldsa/SignedData_ML-DSA-87.pem",
        "none",
        "unknown",
        "",
    ),
];

#[test]
fn what_the_standards_show() {
    let Some(root) = corpora() else {
        println!("ABSENT: no corpora beside the project: the standards' examples were NOT shown");
        return;
    };
    let folder = root.join("smime-bc");
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    for file in ["BobRSASignByCarl.cer", "BobPrivRSAEncrypt.pri"] {
        let bytes = std::fs::read(folder.join("rfc4134").join(file)).unwrap();
        import(&mut host, &bytes, Value::Null);
    }
    let mut tally = Tally::new("examples of RFC 4134 and RFC 9882");
    for (file, encrypted, signed, reason) in EXAMPLES {
        let mut bytes = std::fs::read(folder.join(file)).unwrap();
        let answer = match file.rsplit_once('.').unwrap().1 {
            "eml" => host.open(&bytes),
            form => {
                if form == "pem" {
                    bytes = pem_body(&bytes);
                }
                let data = host.body(&bytes);
                host.call("message/open", json!({"payload": {"data": data}}))
            }
        };
        let outcome = match answer {
            Err(fault) => Err(format!("{fault:?}")),
            Ok(opened) => {
                let summary = &opened["summary"];
                let layer = &opened["layers"][0];
                let reasons = match *signed {
                    "none" => &layer["reasons"],
                    _ => &layer["signatures"][0]["reasons"],
                };
                let body = host.bytes(&opened["parts"][0]["body"]);
                let shown = String::from_utf8_lossy(&body).into_owned();
                let right = summary["encrypted"] == *encrypted
                    && summary["signed"] == *signed
                    && (reason.is_empty() || reasons.as_array().unwrap().contains(&json!(reason)))
                    && (shown.contains("sample content") || shown.contains("ML-DSA"));
                if right { Ok(()) } else { Err(shorten(&opened)) }
            }
        };
        tally.note(file, outcome);
    }
    tally.end();
}

fn thunderbird(host: &mut Host, file: &Path, encrypted: &str, signed: &str) -> Result<(), String> {
    let bytes = std::fs::read(file).map_err(|e| e.to_string())?;
    let opened = host.open(&bytes).map_err(|f| format!("{f:?}"))?;
    let summary = &opened["summary"];
    match summary["encrypted"] == encrypted && summary["signed"] == signed {
        true => Ok(()),
        false => Err(shorten(&opened)),
    }
}

/// Calls a method and answers its questions with the files' passphrase.
#[track_caller]
pub fn answered(host: &mut Host, method: &str, params: Value) -> Value {
    let id = host.send(method, params);
    loop {
        if host.has(id) {
            return host.wait(id).unwrap();
        }
        assert!(host.pump(std::time::Instant::now() + host.patience));
        while let Some(question) = host.questions.pop_front() {
            host.answer(&question, json!({"passphrase": "nss"}));
        }
    }
}
