//! Certificates out of a directory: slapd, over LDAPS and with StartTLS.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::discover::{authority, discover, person, serve_as};
use crate::harness::{Home, Host, encode, import};
use crate::peer::{find, run};
use crate::servers::{Daemon, free_port};
use crate::smime::{ALICE, BOB, Ca, entity, message};

const CROWD: &str = "crowd@smime.example";

/// slapd with Alice, Bob and a thousand others who say that they are one; its two ports.
fn slapd(ca: &Ca) -> Option<(Daemon, u16, u16)> {
    let program = find("slapd")?;
    ca.person("alice", "rsa:2048", ALICE);
    ca.person("mallory", "rsa:2048", "mallory@smime.example");
    ca.person("both", "rsa:2048", &format!("{DAN},email:{ERIN}"));
    let der = |name: &str| {
        let pem = format!("{name}.pem");
        encode(&ca.go(&["x509", "-in", &pem, "-outform", "DER"]))
    };
    let (alice, mallory, both) = (der("alice"), der("mallory"), der("both"));
    let here = ca.path("");
    let here = here.display();
    ca.write(
        "slapd.conf",
        format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {here}/slapd.pid\n\
             TLSCertificateFile {here}/web.pem\nTLSCertificateKeyFile {here}/web.key\n\
             sizelimit unlimited\ndatabase mdb\nsuffix \"dc=smime,dc=example\"\n\
             directory {here}/db\nmaxsize 100000000\n"
        ),
    );
    let mut tree =
        "dn: dc=smime,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: x\n\n"
            .to_owned();
    let mut add = |name: &str, mail: &str, cert: &str| {
        tree.push_str(&format!(
            "dn: cn={name},dc=smime,dc=example\nobjectClass: inetOrgPerson\nsn: {name}\n\
             mail: {mail}\nuserCertificate;binary:: {cert}\n\n"
        ));
    };
    add("alice", ALICE, &alice);
    // Somebody else's certificate under Bob's name.
    add("bob", BOB, &mallory);
    add("dan", DAN, &both);
    add("erin", ERIN, &both);
    for number in 0..1000 {
        add(&format!("crowd{number}"), CROWD, &alice);
    }
    ca.write("tree.ldif", tree);
    std::fs::create_dir(ca.path("db")).unwrap();
    let mut load = Command::new(&program);
    load.args(["-T", "add", "-q", "-f"])
        .arg(ca.path("slapd.conf"));
    let ran = run(load.arg("-l").arg(ca.path("tree.ldif")), b"");
    assert!(ran.ok, "slapadd: {}", ran.stderr);
    let (plain, secure) = (free_port(), free_port());
    let urls = format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{secure}/");
    let mut command = Command::new(program);
    command
        .args(["-h", &urls, "-d", "0", "-f"])
        .arg(ca.path("slapd.conf"));
    Some((Daemon::start(&mut command, secure), plain, secure))
}

#[test]
fn a_directory_gives_certificates_of_the_address_alone() {
    let Some(ca) = authority(&["ldap.invalid"]) else {
        return;
    };
    let Some((_slapd, plain, secure)) = slapd(&ca) else {
        return;
    };
    let places = [("ldap.invalid:636", secure), ("ldap.invalid:389", plain)];
    let found = |change: &str| ("found".to_owned(), vec![change.to_owned()]);
    let nothing = ("nothing".to_owned(), Vec::new());
    for url in [
        "ldaps://ldap.invalid/dc=smime,dc=example",
        "ldap://ldap.invalid/dc%3Dsmime%2Cdc%3Dexample",
    ] {
        let rules = format!("directories = [{url:?}]");
        let (_home, mut host) = person(&ca, &rules, &places);
        assert_eq!(discover(&mut host, ALICE, "ldap"), found("new"), "{url}");
        assert_eq!(discover(&mut host, ALICE, "ldap"), found("known"), "{url}");
        let listed = host.good("keys/list", json!({}));
        assert_eq!(listed["keys"][0]["source"], "ldap");
        assert_eq!(listed["keys"][0]["acceptance"][ALICE], "undecided");
        // Another's certificate, nobody, and addresses that would be more than an address in
        // the text of a filter.
        for address in [
            BOB,
            "nobody@smime.example",
            "*@smime.example",
            "\"*)(uid=*\"@smime.example",
            "alice\\2a@smime.example",
        ] {
            match Host::call(
                &mut host,
                "keys/discover",
                json!({"address": address, "via": "ldap"}),
            ) {
                Ok(reply) => {
                    assert_eq!(reply["found"], json!([]), "{address}");
                    assert_eq!(crate::discover::outcome(&reply, "ldap"), "nothing");
                }
                // No address at all.
                Err(fault) => assert_eq!(fault.kind(), "request.invalid", "{address}"),
            }
        }
        let started = Instant::now();
        assert_eq!(discover(&mut host, CROWD, "ldap"), nothing);
        assert!(started.elapsed() < Duration::from_secs(10));
        let listed = host.good("keys/list", json!({}));
        assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_directory_has_to_prove_its_name() {
    let Some(ca) = authority(&["ldap.invalid"]) else {
        return;
    };
    serve_as(&ca, "web", &["other.invalid"]);
    let Some((_slapd, plain, secure)) = slapd(&ca) else {
        return;
    };
    let places = [("ldap.invalid:636", secure), ("ldap.invalid:389", plain)];
    for url in ["ldaps://ldap.invalid/", "ldap://ldap.invalid/"] {
        let rules = format!("directories = [\"{url}dc=smime,dc=example\"]");
        let (_home, mut host) = person(&ca, &rules, &places);
        let failed = ("failed".to_owned(), Vec::new());
        assert_eq!(discover(&mut host, ALICE, "ldap"), failed, "{url}");
    }
}

#[test]
fn a_directory_that_says_nothing_costs_a_known_time() {
    let Some(ca) = authority(&["ldap.invalid"]) else {
        return;
    };
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let rules = "directories = [\"ldap://ldap.invalid/dc=x\"]";
    let (_home, mut host) = person(&ca, rules, &[("ldap.invalid:389", port)]);
    let waiting = host.send("keys/discover", json!({"address": ALICE, "via": "ldap"}));
    let (_connection, _) = silent.accept().unwrap();
    host.notify("$/cancelRequest", json!({"id": waiting}));
    let started = Instant::now();
    assert_eq!(host.wait(waiting).unwrap_err().kind(), "cancelled");
    assert!(started.elapsed() < Duration::from_secs(5));
    let started = Instant::now();
    let failed = ("failed".to_owned(), Vec::new());
    assert_eq!(discover(&mut host, ALICE, "ldap"), failed);
    assert!(started.elapsed() < Duration::from_secs(30));
}

/// Two who stand in one certificate.
const DAN: &str = "dan@smime.example";
const ERIN: &str = "erin@smime.example";

/// What a plan says of one recipient: the state, and why its first key is not used.
fn planned(host: &mut Host, to: &str) -> (String, Vec<String>) {
    let plan = host.good(
        "message/plan",
        json!({"from": "me@smime.example", "to": [to], "protect": {"sign": false, "encrypt": true}}),
    );
    let party = &plan["recipients"][0];
    let reasons = party["keys"][0]["reasons"].as_array();
    let words = reasons.into_iter().flatten();
    (
        party["state"].as_str().unwrap().to_owned(),
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect(),
    )
}

fn says(state: &str, reasons: &[&str]) -> (String, Vec<String>) {
    let reasons = reasons.iter().map(|reason| (*reason).to_owned());
    (state.to_owned(), reasons.collect())
}

/// Without its index the store knows the same.
fn forget_index(home: &Home) {
    for name in ["index-0.db", "index-0.db-wal", "index-0.db-shm"] {
        let _ = std::fs::remove_file(home.path().join(name));
    }
}

#[test]
fn a_certificate_that_names_others_counts_for_whom_it_was_found() {
    let Some(ca) = authority(&["ldap.invalid"]) else {
        return;
    };
    ca.person("erin", "rsa:2048", ERIN);
    let Some((_slapd, plain, secure)) = slapd(&ca) else {
        return;
    };
    let places = [("ldap.invalid:636", secure), ("ldap.invalid:389", plain)];
    let rules = "directories = [\"ldaps://ldap.invalid/dc=smime,dc=example\"]";
    let (home, mut host) = person(&ca, rules, &places);
    let found = |change: &str| ("found".to_owned(), vec![change.to_owned()]);
    assert_eq!(discover(&mut host, DAN, "ldap"), found("new"));
    assert_eq!(planned(&mut host, DAN), says("ready", &["undecided"]));
    assert_eq!(
        planned(&mut host, ERIN),
        says("no-key", &["other-address", "undecided"])
    );
    host.close();
    forget_index(&home);
    let mut host = home.start();
    assert_eq!(planned(&mut host, DAN), says("ready", &["undecided"]));
    let other = says("no-key", &["other-address", "undecided"]);
    assert_eq!(planned(&mut host, ERIN), other);
    // The person's word for one address is none for the other, not even without the index.
    let id = host.good("keys/list", json!({"query": DAN}))["keys"][0]["id"].clone();
    let accept = |host: &mut Host, address: &str, level: &str| {
        host.good(
            "keys/accept",
            json!({"id": id, "address": address, "level": level}),
        );
    };
    accept(&mut host, DAN, "accepted");
    assert_eq!(planned(&mut host, DAN), says("ready", &[]));
    assert_eq!(planned(&mut host, ERIN), other);
    host.close();
    forget_index(&home);
    let mut host = home.start();
    assert_eq!(planned(&mut host, DAN), says("ready", &[]));
    assert_eq!(planned(&mut host, ERIN), other);
    // Whoever looks for her finds it for her.
    let erins = ca.read("erin.pem");
    import(&mut host, &erins, Value::Null);
    assert_eq!(planned(&mut host, ERIN), says("ready", &["undecided"]));
    assert_eq!(discover(&mut host, ERIN, "ldap"), found("conflict"));
    assert_eq!(planned(&mut host, ERIN).0, "conflict");
    // What somebody else found, and the person then brings, counts for all that it names.
    let found_first = || {
        let (home, mut host) = person(&ca, rules, &places);
        assert_eq!(discover(&mut host, DAN, "ldap").0, "found");
        (home, host)
    };
    let (_elsewhere, mut reader) = found_first();
    let key = reader.good("keys/list", json!({"query": DAN}))["keys"][0]["id"].clone();
    let der = reader.good("keys/export", json!({"ids": [key], "format": "der"}));
    let der = reader.bytes(&der["data"]);
    let (home, mut host) = found_first();
    import(&mut host, &der, Value::Null);
    let brought = says("ready", &["undecided"]);
    assert_eq!(planned(&mut host, ERIN), brought);
    host.close();
    forget_index(&home);
    assert_eq!(planned(&mut home.start(), ERIN), brought);
}

/// An authority that speaks for one domain vouches for nobody of another.
#[test]
fn a_certificate_that_names_others_counts_for_who_signed_with_it() {
    const ELSEWHERE: &str = "erin@elsewhere.example";
    let Some(ca) = Ca::new() else { return };
    ca.person("both", "rsa:2048", &format!("{ALICE},email:{ELSEWHERE}"));
    ca.person("erin", "rsa:2048", ELSEWHERE);
    let home = Home::new();
    let mut host = home.start();
    let root = host.body(&ca.read("root.pem"));
    host.good(
        "anchors/add",
        json!({"data": root, "domains": ["smime.example"]}),
    );
    ca.write("entity", entity());
    let mail = message(ALICE, &ca.signed("both", "middle"));
    let opened = host.open(&mail).unwrap();
    assert_eq!(opened["summary"]["signed"], "good");
    assert_eq!(opened["keys"][0]["change"], "new");
    assert_eq!(planned(&mut host, ALICE), says("ready", &[]));
    let other = says("no-key", &["other-address", "undecided"]);
    assert_eq!(planned(&mut host, ELSEWHERE), other);
    // It stands in nobody's way either.
    import(&mut host, &ca.read("erin.pem"), Value::Null);
    assert_eq!(planned(&mut host, ELSEWHERE), says("ready", &["undecided"]));
    // What the person brings themselves counts for all that it names.
    let another = Home::new();
    let mut another = another.start();
    import(&mut another, &ca.read("both.pem"), Value::Null);
    for address in [ALICE, ELSEWHERE] {
        assert_eq!(
            planned(&mut another, address),
            says("ready", &["undecided"])
        );
    }
}
