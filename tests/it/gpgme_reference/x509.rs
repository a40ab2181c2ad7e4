//! Certificates of X.509 in the keyring of a test, and CMS messages to and from them.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::gpgme_reference::keyring::Keyring;
use crate::harness::{Home, import};
use crate::peer::{Ran, run};

/// The old form, which gpgsm 2.2 reads.
const PKCS12: &str = "pkcs12 -export -inkey leaf.key -in leaf.pem -certfile root.pem -out leaf.p12 \
                      -passout pass: -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1";

impl Keyring {
    pub fn cms(&mut self) {
        let home = self.gpg.home().to_owned();
        let folder = tempfile::tempdir().unwrap();
        let openssl = |args: &str| {
            let mut command = Command::new("openssl");
            command
                .current_dir(folder.path())
                .env_remove("OPENSSL_CONF");
            let ran = run(command.args(args.split_whitespace()), b"");
            assert!(ran.ok, "openssl {args}: {}", ran.stderr);
            ran.stdout
        };
        std::fs::write(folder.path().join("root.ext"), "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n").unwrap();
        std::fs::write(folder.path().join("leaf.ext"), "basicConstraints=CA:false\nkeyUsage=digitalSignature,keyEncipherment\nsubjectAltName=email:cms@ref.example\n").unwrap();
        openssl(
            "req -new -newkey rsa:2048 -nodes -keyout root.key -out root.csr -subj /CN=Root/O=Reference",
        );
        openssl(
            "x509 -req -in root.csr -signkey root.key -days 900 -extfile root.ext -set_serial 1 -out root.pem",
        );
        for (name, serial) in [("leaf", 4660), ("other", 4661)] {
            openssl(&format!(
                "req -new -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}/O=Reference/C=DE"
            ));
            openssl(&format!(
                "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -days 800 -extfile leaf.ext -set_serial {serial} -out {name}.pem"
            ));
        }
        let printed =
            String::from_utf8(openssl("x509 -in root.pem -noout -fingerprint -sha1")).unwrap();
        let root = printed.trim().rsplit_once('=').unwrap().1;
        std::fs::write(home.join("trustlist.txt"), format!("{root} S relax\n")).unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        gpgsm(&home, &["--import", &path("root.pem")], b"\n");
        // It does not read every file with an empty passphrase: another one has other salts.
        let brought = (0..8).any(|_| {
            openssl(PKCS12);
            let ran = tried_gpgsm(&home, &["--import", &path("leaf.p12")], b"\n");
            ran.ok
        });
        assert!(brought, "gpgsm reads no PKCS#12 file of openssl's");
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        self.things.insert("x509_other", read("other.pem"));
        self.things.insert("x509_root", read("root.pem"));
        self.things.insert("pkcs12_leaf", read("leaf.p12"));
        let own = [read("leaf.key"), read("leaf.pem"), read("root.pem")].concat();
        self.things.insert("x509_own", own);
        let sha1 = |name: &str| {
            let printed = String::from_utf8(openssl(&format!(
                "x509 -in {name} -noout -fingerprint -sha1"
            )))
            .unwrap();
            printed.trim().rsplit_once('=').unwrap().1.replace(':', "")
        };
        self.prints.extend([
            ("x509_leaf", sha1("leaf.pem")),
            ("x509_root", sha1("root.pem")),
            ("x509_other", sha1("other.pem")),
        ]);
        std::fs::write(folder.path().join("text"), "line one\nline two\n").unwrap();
        let leaf = ["-u", "cms@ref.example"];
        let text = path("text");
        for (name, args) in [
            (
                "cms_to_leaf",
                vec!["--armor", "-r", "cms@ref.example", "-e", &text],
            ),
            (
                "cms_by_leaf",
                vec!["--armor", leaf[0], leaf[1], "--sign", &text],
            ),
            (
                "cms_by_leaf_detached",
                vec!["--armor", leaf[0], leaf[1], "--detach-sign", &text],
            ),
        ] {
            let made = gpgsm(&home, &args, b"\n");
            self.things.insert(name, made);
        }
        let other = path("other.pem");
        openssl(&format!(
            "cms -encrypt -binary -in text -outform PEM -out to_other.pem {other}"
        ));
        self.things.insert("cms_to_other", read("to_other.pem"));
    }
}

/// What gpgsm has alone and its agent keeps to itself, brought into a home of ours by a person: the
/// secret half, and which root is trusted.
pub fn take_up(ring: &Keyring, home: &Home) {
    let mut host = home.start();
    host.hello();
    let root = host.body(&ring.things["x509_root"]);
    host.good("anchors/add", json!({"data": root}));
    import(&mut host, &ring.things["x509_own"], json!(true));
    host.close();
}

fn gpgsm(home: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let ran = tried_gpgsm(home, args, input);
    assert!(ran.ok, "gpgsm {args:?}: {}", ran.stderr);
    ran.stdout
}

fn tried_gpgsm(home: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new("gpgsm");
    command
        .env("GNUPGHOME", home)
        .args(["--batch", "--yes", "--disable-dirmngr"])
        .args(["--disable-crl-checks", "--pinentry-mode", "loopback"])
        .args(["--passphrase-fd", "0"]);
    run(command.args(args), input)
}
