//! Revocation over the network: `openssl ocsp` answers, behind a server on loopback that
//! counts who comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Home, Host, holds, shorten};
use crate::smime::{ALICE, Ca, entity, message};

/// What the server does when it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Answers about certificates, and gives lists.
    Whole,
    /// Gives lists alone; the other answers are garbage.
    Lists,
    /// Signs its answers with somebody's certificate that was not made for that.
    Usurped,
    /// Says nothing at all.
    Silent,
    /// Sends bytes without end.
    Endless,
}

/// An authority, what it has issued, and its server.
struct Town {
    ca: Arc<Ca>,
    port: u16,
    manner: Arc<Mutex<Manner>>,
    visits: Arc<AtomicUsize>,
    signed: Vec<u8>,
}

const CONFIG: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\n\
    default_md=sha256\ndefault_crl_days=5\nnew_certs_dir=.\nserial=serial\npolicy=p\n\
    [p]\ncommonName=supplied\n";

impl Town {
    fn new() -> Option<Town> {
        let ca = Arc::new(Ca::new()?);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let place = format!("http://127.0.0.1:{port}");
        ca.write("ca.cnf", CONFIG);
        ca.write("index", "");
        ca.write("number", "01\n");
        ca.key("inter", "rsa:2048");
        ca.write(
            "inter.ext",
            format!(
                "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,\
                 digitalSignature\ncrlDistributionPoints=URI:{place}/root.crl\n"
            ),
        );
        ca.sign("inter", "/CN=Inter", "inter.ext", "root", "20");
        let leaf = |usage: &str| {
            format!(
                "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                 extendedKeyUsage={usage}\nsubjectAltName=email:{ALICE}\n\
                 authorityInfoAccess=OCSP;URI:{place}/ocsp\n\
                 crlDistributionPoints=URI:{place}/inter.crl\n"
            )
        };
        for (name, usage) in [
            ("alice", "emailProtection"),
            ("responder", "OCSPSigning"),
            ("usurper", "emailProtection"),
        ] {
            ca.key(name, "rsa:2048");
            let extensions = format!("{name}.ext");
            ca.write(&extensions, leaf(usage));
            ca.sign(name, &format!("/CN={name}"), &extensions, "inter", "9");
        }
        // The authority's book has to know whom it has issued something.
        ca.go(&[
            "ca",
            "-config",
            "ca.cnf",
            "-valid",
            "alice.pem",
            "-keyfile",
            "inter.key",
            "-cert",
            "inter.pem",
        ]);
        ca.write("entity", entity());
        let signed = message(ALICE, &ca.signed("alice", "inter"));
        let town = Town {
            ca,
            port,
            manner: Arc::new(Mutex::new(Manner::Whole)),
            visits: Arc::default(),
            signed,
        };
        town.list("root");
        town.list("inter");
        let (ca, manner, visits) = (
            Arc::clone(&town.ca),
            Arc::clone(&town.manner),
            Arc::clone(&town.visits),
        );
        thread::spawn(move || {
            for connection in listener.incoming() {
                visits.fetch_add(1, Ordering::SeqCst);
                let (ca, manner) = (Arc::clone(&ca), *manner.lock().unwrap());
                thread::spawn(move || serve(&ca, manner, connection.unwrap()));
            }
        });
        Some(town)
    }

    fn list(&self, name: &str) {
        self.ca.go(&[
            "ca",
            "-config",
            "ca.cnf",
            "-gencrl",
            "-keyfile",
            &format!("{name}.key"),
            "-cert",
            &format!("{name}.pem"),
            "-out",
            &format!("{name}.crl"),
        ]);
    }

    fn revoke(&self) {
        self.ca.go(&[
            "ca",
            "-config",
            "ca.cnf",
            "-revoke",
            "alice.pem",
            "-crl_reason",
            "keyCompromise",
            "-keyfile",
            "inter.key",
            "-cert",
            "inter.pem",
        ]);
    }

    fn manner(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    /// A new host of a new person who trusts the authority.
    fn person(&self, policy: &str) -> (Home, Host) {
        let home = Home::new().env("SEALPOST_LOG", "trace");
        std::fs::create_dir_all(home.path()).unwrap();
        std::fs::write(home.path().join("policy.toml"), policy).unwrap();
        let mut host = home.start();
        host.hello();
        self.ca.trust(&mut host);
        (home, host)
    }

    fn open(&self, host: &mut Host, more: Value) -> Answer {
        host.open_with(&self.signed, more)
    }
}

/// Answers one request.
fn serve(ca: &Ca, manner: Manner, mut connection: TcpStream) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    let mut length = 0;
    let mut path = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = match (manner, path.as_str()) {
        (Manner::Silent, _) => {
            // Until the other side gives up.
            let _ = reader.read(&mut [0]);
            return;
        }
        (Manner::Endless, _) => {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            let _ = connection.write_all(head);
            while connection.write_all(&chunk).is_ok() {}
            return;
        }
        (Manner::Lists, "/ocsp") => b"no".to_vec(),
        (_, "/ocsp") => answer(ca, manner, &body),
        (_, list) => ca.read(list.trim_start_matches('/')),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    let _ = connection.write_all(head.as_bytes());
    let _ = connection.write_all(&answer);
}

fn answer(ca: &Ca, manner: Manner, question: &[u8]) -> Vec<u8> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let (asked, answered) = (format!("q{number}"), format!("a{number}"));
    ca.write(&asked, question);
    let signer = match manner {
        Manner::Usurped => "usurper",
        _ => "responder",
    };
    ca.go(&[
        "ocsp",
        "-index",
        "index",
        "-CA",
        "inter.pem",
        "-rsigner",
        &format!("{signer}.pem"),
        "-rkey",
        &format!("{signer}.key"),
        "-reqin",
        &asked,
        "-respout",
        &answered,
        "-ndays",
        "2",
    ]);
    ca.read(&answered)
}

fn revocation(answer: Answer) -> (String, String) {
    let opened = answer.unwrap();
    let signature = &opened["layers"][0]["signatures"][0];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert_eq!(
        signature["revocation"]["state"] == "unknown",
        signature["revocation"]["asOf"].is_null(),
        "{}",
        shorten(&opened)
    );
    (
        word(&signature["status"]),
        word(&signature["revocation"]["state"]),
    )
}

fn words(status: &str, state: &str) -> (String, String) {
    (status.to_owned(), state.to_owned())
}

const LOOPBACK: &str = "private-hosts = [\"127.0.0.1\"]\n";

#[test]
fn nobody_is_asked_unless_somebody_wants_it() {
    let Some(town) = Town::new() else { return };
    let (_home, mut host) = town.person(LOOPBACK);
    for more in [json!({}), json!({"revocation": "stored"})] {
        let found = revocation(town.open(&mut host, more));
        assert_eq!(found, words("good", "unknown"));
    }
    assert_eq!(town.visits(), 0);
    let fetch = json!({"revocation": "fetch"});
    let found = revocation(town.open(&mut host, fetch.clone()));
    assert_eq!(found, words("good", "good"));
    // One answer about Alice, one list about the intermediate; both are used again.
    assert_eq!(town.visits(), 2);
    assert_eq!(
        revocation(town.open(&mut host, fetch.clone())),
        words("good", "good")
    );
    assert_eq!(town.visits(), 2);
    // An address of somebody's own network that policy does not name is not contacted.
    let (_home, mut host) = town.person("");
    assert_eq!(
        revocation(town.open(&mut host, fetch.clone())),
        words("good", "unknown")
    );
    assert_eq!(town.visits(), 2);
    let (_home, mut host) = town.person(&format!("{LOOPBACK}fetch-revocation = \"never\"\n"));
    let fault = town.open(&mut host, fetch).unwrap_err();
    assert_eq!(fault.kind(), "policy.refused");
    assert_eq!(fault.data["rule"], "fetch-revocation");
    let (_home, mut host) = town.person(&format!("{LOOPBACK}fetch-revocation = \"always\"\n"));
    assert_eq!(
        revocation(town.open(&mut host, json!({}))),
        words("good", "good")
    );
    assert_eq!(town.visits(), 4);
}

#[test]
fn a_revoked_certificate_is_told_by_its_authority() {
    let Some(town) = Town::new() else { return };
    town.revoke();
    let fetch = json!({"revocation": "fetch"});
    let (_home, mut host) = town.person(LOOPBACK);
    assert_eq!(
        revocation(town.open(&mut host, fetch.clone())),
        words("bad", "revoked")
    );
    // The list says so too, and is kept: asked once, known from then on.
    town.list("inter");
    for manner in [Manner::Lists, Manner::Usurped] {
        town.manner(manner);
        let (_home, mut host) = town.person(LOOPBACK);
        assert_eq!(
            revocation(town.open(&mut host, fetch.clone())),
            words("bad", "revoked")
        );
        let before = town.visits();
        assert_eq!(
            revocation(town.open(&mut host, json!({}))),
            words("bad", "revoked")
        );
        assert_eq!(town.visits(), before);
    }
}

#[test]
fn who_is_not_allowed_to_answer_is_not_heard() {
    let Some(town) = Town::new() else { return };
    town.revoke();
    // The list is older than the revocation and would say "good"; the usurper says "revoked".
    town.manner(Manner::Usurped);
    let (_home, mut host) = town.person(LOOPBACK);
    let found = revocation(town.open(&mut host, json!({"revocation": "fetch"})));
    assert_eq!(found, words("good", "good"));
}

#[test]
fn a_server_that_misbehaves_costs_the_answer_alone() {
    let Some(town) = Town::new() else { return };
    let fetch = json!({"revocation": "fetch"});
    town.manner(Manner::Endless);
    let (home, mut host) = town.person(LOOPBACK);
    let started = Instant::now();
    assert_eq!(
        revocation(town.open(&mut host, fetch)),
        words("good", "unknown")
    );
    assert!(host.peak_kib() < 400 * 1024, "{} KiB", host.peak_kib());
    assert!(started.elapsed() < Duration::from_secs(60));
    town.manner(Manner::Silent);
    let data = host.body(&town.signed);
    let waiting = host.send(
        "message/open",
        json!({"message": data, "revocation": "fetch"}),
    );
    let before = town.visits();
    crate::harness::until("a visit", || town.visits() > before);
    // Others are served meanwhile, and who no longer wants it need not wait for all places.
    assert_eq!(
        revocation(town.open(&mut host, json!({}))),
        words("good", "unknown")
    );
    host.notify("$/cancelRequest", json!({"id": waiting}));
    let started = Instant::now();
    assert_eq!(host.wait(waiting).unwrap_err().kind(), "cancelled");
    assert!(started.elapsed() < Duration::from_secs(15));
    let place = format!("127.0.0.1:{}", town.port);
    let mut logs = home.files();
    logs.retain(|file| file.ends_with("log/sealpost.log"));
    assert!(holds(&logs, "network: ").is_some(), "{logs:?}");
    assert_eq!(holds(&logs, &place), None, "a log says whom we asked");
}
