//! S/MIME beside Bouncy Castle (Debian's libbcpkix-java), which knows what `openssl cms` 3.0 and
//! gpgsm do not: Ed25519, AES-192-GCM, OAEP with two hashes, cofactor agreement, and streams in
//! pieces of sixteen bytes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Home, encode, import, seal_one};
use crate::peer::find;
use crate::peers::{Tally, verdict};
use crate::smime::{ALICE, BOB, Ca, TEXT, body_of, draft, entity, two};

const JARS: [&str; 3] = [
    "/usr/share/java/bcprov.jar",
    "/usr/share/java/bcpkix.jar",
    "/usr/share/java/bcutil.jar",
];

/// One Java process that does job after job.
struct Bouncy {
    child: Child,
    jobs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Bouncy {
    /// `None`, and a loud line, where it is not there.
    fn new() -> Option<Bouncy> {
        let java = find("java")?;
        if let Some(jar) = JARS.iter().find(|jar| !Path::new(jar).is_file()) {
            println!("ABSENT: Bouncy Castle ({jar}); what needs it was NOT shown");
            return None;
        }
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/BouncyCastle.java");
        let modules = Command::new(&java).arg("--list-modules").output().ok()?;
        if !String::from_utf8_lossy(&modules.stdout).contains("jdk.compiler") {
            println!("ABSENT: this java has no compiler; Bouncy Castle was NOT shown");
            return None;
        }
        let mut child = Command::new(java)
            .args(["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(JARS.join(":"))
            .arg(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Bouncy {
            jobs: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        })
    }

    /// Does one job; files are named below the authority's folder.
    fn does(&mut self, ca: &Ca, job: &[&str], files: &[&str]) -> Result<(), String> {
        let mut words: Vec<String> = job.iter().map(|word| (*word).to_owned()).collect();
        words.extend(files.iter().map(|file| ca.path(file).display().to_string()));
        writeln!(self.jobs, "{}", words.join("\t")).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        match answer.trim_end() {
            "ok" => Ok(()),
            fault => Err(format!("Bouncy Castle: {job:?}: {fault}")),
        }
    }
}

impl Drop for Bouncy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn head() -> String {
    let date = chrono::Utc::now().to_rfc2822();
    format!(
        "Date: {date}\r\nFrom: {ALICE}\r\nTo: {BOB}\r\nSubject: s\r\nMessage-ID: <1@smime.example>\r\nMIME-Version: 1.0\r\n"
    )
}

/// A message that is one CMS object.
fn opaque(kind: &str, der: &[u8]) -> Vec<u8> {
    let body = encode(der)
        .as_bytes()
        .chunks(76)
        .map(|line| format!("{}\r\n", String::from_utf8_lossy(line)))
        .collect::<String>();
    format!(
        "{}Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{body}",
        head()
    )
    .into_bytes()
}

/// A message whose signature stands beside what it signs.
fn beside(content: &[u8], signature: &[u8]) -> Vec<u8> {
    let content = String::from_utf8_lossy(content);
    format!(
        "{}Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; \
         micalg=sha-256; boundary=b\r\n\r\n--b\r\n{content}\r\n--b\r\n\
         Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        head(),
        encode(signature)
    )
    .into_bytes()
}

#[test]
fn what_bouncy_castle_signs() {
    let (Some(mut bouncy), Some(ca)) = (Bouncy::new(), Ca::new()) else {
        return;
    };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.trust(&mut host);
    import(&mut host, &ca.read("middle.pem"), Value::Null);
    ca.write("entity", entity());
    let mut tally = Tally::new("signed by Bouncy Castle");
    for (name, kind, algorithms) in [
        (
            "rsa",
            "rsa:2048",
            &[
                "SHA256WITHRSA",
                "SHA384WITHRSA",
                "SHA512WITHRSA",
                "SHA256WITHRSAANDMGF1",
                "SHA384WITHRSAANDMGF1",
                "SHA512WITHRSAANDMGF1",
                "SHA1WITHRSA",
            ][..],
        ),
        ("p256", "ec:P-256", &["SHA256WITHECDSA", "SHA512WITHECDSA"]),
        ("p384", "ec:P-384", &["SHA384WITHECDSA"]),
        ("p521", "ec:P-521", &["SHA512WITHECDSA"]),
        ("ed25519", "ed25519", &["Ed25519"]),
    ] {
        ca.person(name, kind, ALICE);
        let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
        for algorithm in algorithms {
            let (wanted, reason) = match *algorithm {
                "SHA1WITHRSA" => ("bad", "weak-algorithm"),
                _ => ("good", ""),
            };
            for form in ["attached", "detached", "keyid", "streamed"] {
                let outcome = bouncy
                    .does(
                        &ca,
                        &["sign", algorithm, form],
                        &[&key, &cert, "entity", "signed"],
                    )
                    .and_then(|()| {
                        let der = ca.read("signed");
                        let message = match form {
                            "detached" => beside(&entity(), &der),
                            _ => opaque("signed-data", &der),
                        };
                        let text = TEXT.trim_end();
                        verdict(&mut host, &message, "none", wanted, reason, text)
                    });
                tally.note(&format!("{algorithm} {form}"), outcome);
            }
        }
    }
    tally.end();
}

/// Compression is no layer of protection: it is looked through, but not for ever.
#[test]
fn what_bouncy_castle_compresses() {
    let (Some(mut bouncy), Some(ca)) = (Bouncy::new(), Ca::new()) else {
        return;
    };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    ca.write("entity", entity());
    for times in 1..=18 {
        bouncy
            .does(&ca, &["compress"], &["entity", "packed"])
            .unwrap();
        let message = opaque("compressed-data", &ca.read("packed"));
        match times {
            1..=16 => {
                let found = verdict(&mut host, &message, "none", "none", "", TEXT.trim_end());
                assert_eq!(found, Ok(()), "{times}");
            }
            _ => assert_eq!(host.open(&message).unwrap_err().kind(), "limit.exceeded"),
        }
        let start = head().len();
        ca.write("entity", &message[start..]);
    }
}

const CIPHERS: [&str; 7] = [
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "3des-cbc",
    "aes128-gcm",
    "aes192-gcm",
    "aes256-gcm",
];

#[test]
fn what_bouncy_castle_encrypts() {
    let (Some(mut bouncy), Some(ca)) = (Bouncy::new(), Ca::new()) else {
        return;
    };
    ca.write("entity", entity());
    let mut tally = Tally::new("encrypted by Bouncy Castle");
    let agreements = [
        "agree:sha1",
        "agree:sha256",
        "agree:sha384",
        "agree:sha512",
        "agree:cofactor-sha1",
        "agree:cofactor-sha256",
        "agree:cofactor-sha512",
    ];
    let transports = [
        "pkcs1",
        "keyid",
        "oaep:SHA-1:SHA-1",
        "oaep:SHA-256:SHA-256",
        "oaep:SHA-256:SHA-1",
        "oaep:SHA-384:SHA-384",
        "oaep:SHA-512:SHA-256",
    ];
    for (name, kind, ways) in [
        ("rsa", "rsa:2048", &transports[..]),
        ("p256", "ec:P-256", &agreements),
        ("p384", "ec:P-384", &agreements),
        ("p521", "ec:P-521", &agreements),
    ] {
        ca.person(name, kind, BOB);
        let home = Home::new();
        let mut host = home.start();
        host.hello();
        import(&mut host, &ca.file(name), Value::Null);
        let cert = format!("{name}.pem");
        for cipher in CIPHERS {
            for way in ways {
                let outcome = bouncy
                    .does(&ca, &["encrypt", cipher, way], &[&cert, "entity", "sealed"])
                    .and_then(|()| {
                        let message = opaque("enveloped-data", &ca.read("sealed"));
                        verdict(&mut host, &message, "whole", "none", "", TEXT.trim_end())
                    });
                tally.note(&format!("{name} {cipher} {way}"), outcome);
            }
        }
    }
    tally.end();
}

#[test]
fn what_we_seal_bouncy_castle_reads() {
    let (Some(mut bouncy), Some(ca)) = (Bouncy::new(), Ca::new()) else {
        return;
    };
    let mut tally = Tally::new("sealed by us, read by Bouncy Castle");
    for kind in ["rsa:3072", "ec:P-256", "ec:P-384", "ec:P-521"] {
        let (_a, mut alice, _b, _bob) = two(&ca, kind);
        for cipher in ["cbc", "gcm"] {
            let protect =
                json!({"sign": false, "encrypt": true, "protocol": "smime", "cipher": cipher});
            let sealed = seal_one(&mut alice, draft(), protect);
            ca.write("sealed", der_of(&sealed));
            let outcome = bouncy
                .does(&ca, &["decrypt"], &["bob.key", "sealed", "content"])
                .and_then(|()| {
                    let content = String::from_utf8_lossy(&ca.read("content")).into_owned();
                    match content.contains("AAEC") {
                        true => Ok(()),
                        false => Err(content),
                    }
                });
            tally.note(&format!("{kind} {cipher}"), outcome);
        }
        let protect =
            json!({"sign": true, "encrypt": false, "protocol": "smime", "scheme": "opaque"});
        let sealed = seal_one(&mut alice, draft(), protect);
        ca.write("sealed", der_of(&sealed));
        // The content as `openssl cms` finds it in there.
        ca.go(&[
            "cms",
            "-verify",
            "-inform",
            "DER",
            "-in",
            "sealed",
            "-noverify",
            "-binary",
            "-out",
            "content",
        ]);
        let outcome = bouncy.does(&ca, &["verify"], &["sealed", "alice.pem", "content"]);
        tally.note(&format!("{kind} signed"), outcome);
    }
    tally.end();
}

fn der_of(message: &[u8]) -> Vec<u8> {
    let body = String::from_utf8_lossy(&body_of(message)).replace("\r\n", "");
    crate::harness::decode(&body)
}
