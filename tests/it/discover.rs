//! Looking for keys on the network, and giving them to it: nginx serves a key directory, and a
//! small server of our own does what no server should.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Home, Host, generate, holds, shorten, until};
use crate::peer::find;
use crate::servers::{Daemon, Reply, Server, free_port};
use crate::smime::Ca;

pub const DOMAIN: &str = "sealpost.invalid";
pub const ALICE: &str = "alice@sealpost.invalid";

/// An authority that vouches for servers of these names, its certificate called `web`.
pub fn authority(names: &[&str]) -> Option<Ca> {
    let ca = Ca::new()?;
    serve_as(&ca, "web", names);
    Some(ca)
}

/// A certificate of a server under the authority.
pub fn serve_as(ca: &Ca, called: &str, names: &[&str]) {
    ca.key(called, "ec:P-256");
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let extensions = format!("{called}.ext");
    ca.write(
        &extensions,
        format!(
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage=serverAuth\nsubjectAltName={}\n",
            names.join(",")
        ),
    );
    ca.sign(called, "/CN=server", &extensions, "root", "20");
}

/// A person whose policy trusts that authority and finds servers at these ports.
pub fn person(ca: &Ca, rules: &str, places: &[(&str, u16)]) -> (Home, Host) {
    let home = Home::new().env("SEALPOST_LOG", "trace");
    std::fs::create_dir_all(home.path()).unwrap();
    let mut policy = format!(
        "network-authorities = [{:?}]\n{rules}\n[connect-to]\n",
        ca.path("root.pem")
    );
    for (host, port) in places {
        policy.push_str(&format!("{host:?} = \"127.0.0.1:{port}\"\n"));
    }
    std::fs::write(home.path().join("policy.toml"), policy).unwrap();
    let mut host = home.start();
    host.hello();
    (home, host)
}

pub fn outcome(reply: &Value, via: &str) -> String {
    let tried = reply["tried"].as_array().unwrap();
    let tried = tried.iter().find(|tried| tried["via"] == via);
    tried.map_or(String::new(), |tried| {
        tried["outcome"].as_str().unwrap().to_owned()
    })
}

/// One way: what it came to, and the changes of what was found.
#[track_caller]
pub fn discover(host: &mut Host, address: &str, via: &str) -> (String, Vec<String>) {
    let reply = host.good("keys/discover", json!({"address": address, "via": via}));
    assert_eq!(
        reply["tried"].as_array().unwrap().len(),
        1,
        "{}",
        shorten(&reply)
    );
    let found = reply["found"].as_array().unwrap();
    let changes = found
        .iter()
        .map(|found| found["change"].as_str().unwrap().to_owned());
    (outcome(&reply, via), changes.collect())
}

fn some(outcome: &str, changes: &[&str]) -> (String, Vec<String>) {
    let changes = changes.iter().map(|change| (*change).to_owned());
    (outcome.to_owned(), changes.collect())
}

/// The files of a key directory for a new key of `address`, with its id.
fn directory(address: &str) -> (String, Vec<(String, Vec<u8>)>) {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = generate(&mut host, "Somebody", address, "compatible");
    let reply = host.good("keys/publish", json!({"id": id, "via": "wkd"}));
    assert_eq!(reply["state"], "to-place");
    let files = reply["files"].as_array().unwrap().clone();
    let files = files.iter().map(|file| {
        let path = file["path"].as_str().unwrap().to_owned();
        (path, host.bytes(&file["data"]))
    });
    (id, files.collect())
}

fn key_of(address: &str) -> Vec<u8> {
    let (_, files) = directory(address);
    let key = files.into_iter().find(|(path, _)| path.contains("/hu/"));
    key.unwrap().1
}

/// nginx with the authority's certificate and `root` as its root.
fn nginx(ca: &Ca, root: &Path) -> Option<(Daemon, u16)> {
    let program = find("nginx")?;
    let port = free_port();
    let here = ca.path("");
    let here = here.display();
    ca.write(
        "nginx.conf",
        format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log;\n\
             events {{}}\nhttp {{ access_log off;\n\
             client_body_temp_path {here}/t1; proxy_temp_path {here}/t2;\n\
             fastcgi_temp_path {here}/t3; uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;\n\
             server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {here}/web.pem;\n\
             ssl_certificate_key {here}/web.key; root {}; }} }}\n",
            root.display()
        ),
    );
    let mut command = Command::new(program);
    command
        .args(["-e", "stderr", "-c"])
        .arg(ca.path("nginx.conf"));
    Some((Daemon::start(&mut command, port), port))
}

#[test]
fn a_key_directory_is_asked_by_both_methods() {
    let names = ["openpgpkey.sealpost.invalid", "direct.invalid"];
    let Some(ca) = authority(&names) else { return };
    let root = tempfile::tempdir().unwrap();
    let place = |files: &[(String, Vec<u8>)]| {
        for (path, bytes) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    };
    let (id, mut files) = directory("Alice@sealpost.invalid");
    // At the domain of the advanced method nothing lies where the direct one looks.
    files.retain(|(path, _)| path.contains("/sealpost.invalid/"));
    assert_eq!(files.len(), 2);
    place(&files);
    let (direct_id, mut files) = directory("bob@direct.invalid");
    files.retain(|(path, _)| !path.contains("/direct.invalid/"));
    assert_eq!(files.len(), 2);
    place(&files);
    let Some((_nginx, port)) = nginx(&ca, root.path()) else {
        return;
    };
    let places = [
        ("openpgpkey.sealpost.invalid:443", port),
        ("direct.invalid:443", port),
    ];
    let (_home, mut host) = person(&ca, "", &places);
    let reply = host.good("keys/discover", json!({"address": ALICE}));
    assert_eq!(reply["found"][0]["id"], id, "{}", shorten(&reply));
    assert_eq!(reply["found"][0]["via"], "wkd");
    assert_eq!(reply["found"][0]["change"], "new");
    // Nobody else was told of the address.
    assert_eq!(outcome(&reply, "keyserver"), "skipped");
    assert_eq!(outcome(&reply, "ldap"), "skipped");
    let key = host.good("keys/show", json!({"id": id}));
    assert_eq!(key["key"]["source"], "wkd");
    assert_eq!(
        key["key"]["acceptance"]["Alice@sealpost.invalid"],
        "undecided"
    );
    assert_eq!(discover(&mut host, ALICE, "wkd"), some("found", &["known"]));
    let reply = host.good(
        "keys/discover",
        json!({"address": "BOB@direct.invalid", "via": "wkd"}),
    );
    assert_eq!(reply["found"][0]["id"], direct_id);
    // Nobody of that name, in either domain.
    for address in [
        "carol@sealpost.invalid",
        "carol@direct.invalid",
        "x@[192.0.2.1]",
    ] {
        assert_eq!(discover(&mut host, address, "wkd"), some("nothing", &[]));
    }
    // Another key lies there one day: it stands beside the first, in conflict.
    let (other, files) = directory(ALICE);
    place(&files);
    assert_eq!(
        discover(&mut host, ALICE, "wkd"),
        some("found", &["conflict"])
    );
    let first = host.good("keys/show", json!({"id": id}));
    assert_eq!(first["key"]["conflicts"][0]["with"][0], other);
}

#[test]
fn only_the_name_that_was_asked_for_is_taken() {
    let Some(ca) = authority(&["openpgpkey.sealpost.invalid"]) else {
        return;
    };
    let Some(gpg) = crate::peer::Gpg::new() else {
        return;
    };
    let two = "Alice <alice@sealpost.invalid>";
    gpg.go(&["--quick-gen-key", two, "rsa2048", "default", "0"], b"");
    gpg.go(
        &["--quick-add-uid", ALICE, "Bank <office@bank.invalid>"],
        b"",
    );
    let sub = gpg.text(&["--list-keys", "--with-colons", ALICE], b"");
    let fingerprint = sub.lines().find(|line| line.starts_with("fpr")).unwrap();
    let fingerprint = fingerprint.split(':').nth(9).unwrap();
    gpg.go(
        &["--quick-add-key", fingerprint, "rsa2048", "encr", "0"],
        b"",
    );
    let both = gpg.go(&["--export", ALICE], b"");
    let server = Server::new(&ca, "web", move |_| Reply::body(&both));
    let (_home, mut host) = person(&ca, "", &[("openpgpkey.sealpost.invalid:443", server.port)]);
    assert_eq!(discover(&mut host, ALICE, "wkd"), some("found", &["new"]));
    let listed = host.good("keys/list", json!({}));
    assert_eq!(
        listed["keys"][0]["addresses"],
        json!([ALICE]),
        "{}",
        shorten(&listed)
    );
}

#[test]
fn what_is_no_key_of_the_address_is_not_taken() {
    let Some(ca) = authority(&["openpgpkey.sealpost.invalid", "other.invalid"]) else {
        return;
    };
    let (stranger, good) = (key_of("mallory@sealpost.invalid"), key_of(ALICE));
    let plain = Server::plain(move |_| Reply::body(&good));
    let plain_port = plain.port;
    let server = Server::new(&ca, "web", move |request| {
        match request.path.split(['?', '=']).next_back().unwrap() {
            "stranger" => Reply::body(&stranger),
            "garbage" => Reply::body(b"<html>it works!</html>"),
            "endless" => Reply::Endless,
            "loop" => Reply::redirect(&format!("https://openpgpkey.{DOMAIN}{}", request.path)),
            "down" => Reply::redirect(&format!("http://127.0.0.1:{plain_port}/")),
            "private" => Reply::redirect("https://127.0.0.1:1/"),
            "broken" => Reply::status(500),
            _ => Reply::status(404),
        }
    });
    let places = [("openpgpkey.sealpost.invalid:443", server.port)];
    let rules = "private-hosts = [\"127.0.0.1\"]";
    let (_home, mut host) = person(&ca, rules, &places);
    for (name, outcome) in [
        ("stranger", "nothing"),
        ("garbage", "failed"),
        ("endless", "failed"),
        ("loop", "failed"),
        ("down", "failed"),
        ("private", "failed"),
        ("broken", "failed"),
        ("nobody", "nothing"),
    ] {
        let address = format!("{name}@{DOMAIN}");
        let found = discover(&mut host, &address, "wkd");
        assert_eq!(found, some(outcome, &[]), "{name}");
    }
    assert_eq!(plain.visits(), 0, "somebody was asked in the clear");
    assert!(host.peak_kib() < 400 * 1024, "{} KiB", host.peak_kib());
    let listed = host.good("keys/list", json!({}));
    assert_eq!(listed["keys"], json!([]));
    // Nor does anybody lead us into the person's own network.
    let lured = Server::new(&ca, "web", |_| Reply::body(b"x"));
    let away = format!("https://127.0.0.1:{}/", lured.port);
    let server = Server::new(&ca, "web", move |_| Reply::redirect(&away));
    let places = [("openpgpkey.sealpost.invalid:443", server.port)];
    let (_home, mut host) = person(&ca, "", &places);
    assert_eq!(discover(&mut host, ALICE, "wkd"), some("failed", &[]));
    assert_eq!((server.visits(), lured.visits()), (1, 0));
}

#[test]
fn a_server_has_to_prove_its_name() {
    let name = "openpgpkey.sealpost.invalid";
    let Some(ca) = authority(&[name]) else { return };
    serve_as(&ca, "other", &["other.invalid"]);
    ca.write("self.ext", format!("subjectAltName=DNS:{name}\n"));
    ca.key("self", "ec:P-256");
    ca.go(&[
        "req",
        "-x509",
        "-new",
        "-key",
        "self.key",
        "-subj",
        "/CN=x",
        "-addext",
        &format!("subjectAltName=DNS:{name}"),
        "-days",
        "5",
        "-out",
        "self.pem",
    ]);
    ca.write(
        "ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\ndefault_md=sha256\n\
        new_certs_dir=.\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n",
    );
    ca.write("index", "");
    ca.write("serial", "77\n");
    ca.key("old", "ec:P-256");
    ca.go(&[
        "req", "-new", "-key", "old.key", "-subj", "/CN=old", "-out", "old.csr",
    ]);
    ca.go(&[
        "ca",
        "-batch",
        "-notext",
        "-config",
        "ca.cnf",
        "-in",
        "old.csr",
        "-cert",
        "root.pem",
        "-keyfile",
        "root.key",
        "-extfile",
        "web.ext",
        "-startdate",
        "20200101000000Z",
        "-enddate",
        "20200201000000Z",
        "-out",
        "old.pem",
    ]);
    let key = key_of(ALICE);
    for (cert, outcome) in [
        ("other", "failed"),
        ("self", "failed"),
        ("old", "failed"),
        ("web", "found"),
    ] {
        let key = key.clone();
        let server = Server::new(&ca, cert, move |_| Reply::body(&key));
        let port = server.port;
        let (_home, mut host) = person(&ca, "", &[("openpgpkey.sealpost.invalid:443", port)]);
        assert_eq!(discover(&mut host, ALICE, "wkd").0, outcome, "{cert}");
        assert_eq!(server.visits(), usize::from(outcome == "found"), "{cert}");
    }
    // Whom the system trusts is not whom policy names.
    let server = Server::new(&ca, "web", move |_| Reply::body(&key));
    let elsewhere = Ca::new().unwrap();
    let port = server.port;
    let places = [("openpgpkey.sealpost.invalid:443", port)];
    let (home, mut host) = person(&elsewhere, "", &places);
    assert_eq!(discover(&mut host, ALICE, "wkd"), some("failed", &[]));
    // The system does not know the authority either. Files that have nobody in common, or are
    // not there, are rules that can't be followed.
    let (root, other) = (ca.path("root.pem"), elsewhere.path("root.pem"));
    let place = format!("[connect-to]\n\"{name}:443\" = \"127.0.0.1:{port}\"\n");
    for (files, outcome) in [
        (vec![], Some("failed")),
        (vec![&root], Some("found")),
        (vec![&root, &other], None),
        (vec![&home.path()], None),
    ] {
        let home = Home::new();
        std::fs::create_dir_all(home.path()).unwrap();
        let policy = format!("network-authorities = {files:?}\n{place}");
        std::fs::write(home.path().join("policy.toml"), policy).unwrap();
        let mut host = home.start();
        host.hello();
        match outcome {
            Some(outcome) => assert_eq!(discover(&mut host, ALICE, "wkd").0, outcome),
            None => {
                let params = json!({"address": ALICE, "via": "wkd"});
                refused(host.call("keys/discover", params), "network-authorities");
            }
        }
    }
}

#[test]
fn a_slow_server_costs_a_known_time() {
    let Some(ca) = authority(&["openpgpkey.sealpost.invalid"]) else {
        return;
    };
    let server = Server::new(&ca, "web", |_| Reply::Drip);
    let places = [("openpgpkey.sealpost.invalid:443", server.port)];
    let (_home, mut host) = person(&ca, "", &places);
    let started = Instant::now();
    assert_eq!(discover(&mut host, ALICE, "wkd"), some("failed", &[]));
    assert!(started.elapsed() < Duration::from_secs(30));
    let before = server.visits();
    let waiting = host.send("keys/discover", json!({"address": ALICE, "via": "wkd"}));
    until("a visit", || server.visits() > before);
    host.notify("$/cancelRequest", json!({"id": waiting}));
    let started = Instant::now();
    assert_eq!(host.wait(waiting).unwrap_err().kind(), "cancelled");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn servers_of_keys_are_asked_and_given() {
    let Some(ca) = authority(&["keys.invalid"]) else {
        return;
    };
    let (key, stranger) = (key_of(ALICE), key_of("mallory@sealpost.invalid"));
    let mine = "me+x@sealpost.invalid";
    let server = Server::new(&ca, "web", move |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        match request.path.as_str() {
            "/vks/v1/by-email/alice%40sealpost.invalid"
            | "/pks/lookup?op=get&options=mr&search=alice%40sealpost.invalid" => Reply::body(&key),
            "/vks/v1/by-email/lie%40sealpost.invalid" => Reply::body(&stranger),
            "/vks/v1/upload" => {
                let sent: Value = serde_json::from_str(&body).unwrap();
                let armored = sent["keytext"].as_str().unwrap();
                assert!(armored.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"));
                Reply::body(status(armored, "unpublished", mine).to_string().as_bytes())
            }
            "/vks/v1/request-verify" => {
                let asked: Value = serde_json::from_str(&body).unwrap();
                // Not the address that is not ours.
                assert_eq!(asked["addresses"], json!([mine]));
                let armored = asked["token"].as_str().unwrap();
                Reply::body(status(armored, "pending", mine).to_string().as_bytes())
            }
            "/pks/add" if body.starts_with("keytext=-----BEGIN%20PGP%20PUBLIC") => Reply::body(b""),
            _ => Reply::status(404),
        }
    });
    let places = [("keys.invalid:443", server.port)];
    let vks = "keyservers = [\"https://keys.invalid/\"]";
    let (home, mut host) = person(&ca, vks, &places);
    assert_eq!(
        discover(&mut host, ALICE, "keyserver"),
        some("found", &["new"])
    );
    for (address, visits) in [
        ("lie@sealpost.invalid", 2),
        ("no/../one@sealpost.invalid", 3),
    ] {
        let found = discover(&mut host, address, "keyserver");
        assert_eq!(found, some("nothing", &[]));
        assert_eq!(server.visits(), visits);
    }
    let id = generate(&mut host, "Me", mine, "compatible");
    FINGERPRINT.get_or_init(|| id.trim_start_matches("openpgp:").to_owned());
    let publish = json!({"id": id, "via": "keyserver"});
    let reply = host.good("keys/publish", publish);
    assert_eq!(reply, json!({"state": "awaiting-confirmation"}));
    // Somebody else's key is not ours to publish.
    let listed = host.good("keys/list", json!({"query": "alice"}));
    let other = json!({"id": listed["keys"][0]["id"], "via": "keyserver"});
    let before = server.visits();
    assert_eq!(host.fault("keys/publish", other).kind(), "key.missing");
    assert_eq!(server.visits(), before);
    let (_other, mut host) = person(&ca, "keyservers = [\"hkps://keys.invalid\"]", &places);
    assert_eq!(
        discover(&mut host, ALICE, "keyserver"),
        some("found", &["new"])
    );
    let id = generate(&mut host, "Me", mine, "compatible");
    let reply = host.good("keys/publish", json!({"id": id, "via": "keyserver"}));
    assert_eq!(reply, json!({"state": "sent"}));
    // What was done is in the log, for whom is not.
    let mut logs = home.files();
    logs.retain(|file| file.ends_with("log/sealpost.log"));
    assert!(holds(&logs, "network: ").is_some(), "{logs:?}");
    for word in ["sealpost.invalid", "keys.invalid", "alice", "vks"] {
        assert_eq!(holds(&logs, word), None, "a log says {word}");
    }
}

/// Of the key that is uploaded; its server says it back.
static FINGERPRINT: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// What a server that confirms addresses says of a key.
fn status(token: &str, state: &str, mine: &str) -> Value {
    json!({
        "key_fpr": FINGERPRINT.get().unwrap(),
        "status": {mine: state, "victim@bank.invalid": "unpublished"},
        "token": token,
    })
}

fn refused(answer: Answer, rule: &str) {
    let fault = answer.unwrap_err();
    assert_eq!(fault.kind(), "policy.refused");
    assert_eq!(fault.data["rule"], rule);
}

#[test]
fn policy_has_the_last_word() {
    let Some(ca) = authority(&["keys.invalid"]) else {
        return;
    };
    let server = Server::new(&ca, "web", |_| Reply::status(404));
    let places = [
        ("keys.invalid:443", server.port),
        ("openpgpkey.sealpost.invalid:443", server.port),
    ];
    let off = "discovery = \"never\"\nkeyservers = [\"https://keys.invalid\"]";
    let (_home, mut host) = person(&ca, off, &places);
    let id = generate(&mut host, "Me", "me@sealpost.invalid", "compatible");
    for params in [
        json!({"address": ALICE}),
        json!({"address": ALICE, "via": "wkd"}),
    ] {
        refused(host.call("keys/discover", params), "discovery");
    }
    let publish = json!({"id": id, "via": "keyserver"});
    refused(host.call("keys/publish", publish), "discovery");
    assert_eq!(
        discover(&mut host, ALICE, "autocrypt"),
        some("nothing", &[])
    );
    assert_eq!(server.visits(), 0);
    // A domain that leads into the person's own network is not asked.
    let (_home, mut host) = person(&ca, "", &places);
    for address in ["x@localhost", "x@127.0.0.1"] {
        assert_eq!(discover(&mut host, address, "wkd"), some("failed", &[]));
    }
    // In the clear nobody is asked, and a rule that leads nowhere is no rule that is not there.
    let (home, _) = person(&ca, "", &[]);
    for rules in [
        "keyservers = [\"http://keys.invalid\"]",
        "keyservers = [\"keys.invalid\"]",
        "directories = [\"http://keys.invalid\"]",
        "private-hosts = [\"keys.invalid:443\"]",
        "[connect-to]\n\"keys.openpgp.org:443\" = \"here\"",
        "[connect-to]\n\"keys.openpgp.org:443\" = \"127.0.0.1\"",
        "[connect-to]\n\"keys.openpgp.org\" = \"127.0.0.1:443\"",
    ] {
        let file = home.path().join("policy.toml");
        std::fs::write(&file, format!("# rules\n{rules}\n")).unwrap();
        let mut host = home.start();
        host.hello();
        let params = json!({"address": ALICE, "via": "wkd"});
        let fault = host.fault("keys/discover", params);
        assert_eq!(fault.kind(), "policy.refused", "{rules}: {fault:?}");
        assert_eq!(fault.data["rule"], "policy.toml", "{rules}");
        let checks = host.good("host/doctor", json!({}))["checks"].clone();
        let checks = checks.as_array().unwrap();
        let told = checks.iter().find(|check| check["id"] == "policy").unwrap();
        assert_eq!(told["ok"], false, "{rules}");
        assert_eq!(told["data"]["file"], json!(file), "{rules}");
        let line = told["data"]["line"].as_u64().unwrap();
        assert!((2..=3).contains(&line), "{rules}: {line}");
    }
    assert_eq!(server.visits(), 0);
}

#[test]
fn the_command_line_looks_for_keys_and_lays_out_a_directory() {
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(home.path().join("policy.toml"), "discovery = \"never\"\n").unwrap();
    let run = |args: &[&str]| home.command().args(args).output().unwrap();
    let made = run(&["keys", "generate", "--address", ALICE, "--no-passphrase"]);
    assert!(made.status.success());
    let web = home.dir.path().join("web");
    let to = web.to_str().unwrap();
    let ran = run(&["keys", "publish", ALICE, "--via", "wkd", "--to", to]);
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let folder = web.join(".well-known/openpgpkey");
    assert!(folder.join("policy").is_file());
    assert!(folder.join(DOMAIN).join("policy").is_file());
    assert_eq!(std::fs::read_dir(folder.join("hu")).unwrap().count(), 1);
    let ran = run(&["keys", "discover", ALICE, "--via", "autocrypt", "--json"]);
    let reply: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(outcome(&reply, "autocrypt"), "nothing");
    let ran = run(&["keys", "discover", ALICE]);
    assert!(!ran.status.success());
    assert!(String::from_utf8_lossy(&ran.stderr).contains("discovery"));
}
