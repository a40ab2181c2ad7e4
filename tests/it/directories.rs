//! Certificates out of a directory: slapd, over LDAPS and with StartTLS.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::discover::{authority, discover, person, serve_as};
use crate::harness::encode;
use crate::peer::{find, run};
use crate::servers::{Daemon, free_port};
use crate::smime::{ALICE, BOB, Ca};

const CROWD: &str = "crowd@smime.example";

/// slapd with Alice, Bob and a thousand others who say that they are one; its two ports.
fn slapd(ca: &Ca) -> Option<(Daemon, u16, u16)> {
    let program = find("slapd")?;
    ca.person("alice", "rsa:2048", ALICE);
    ca.person("mallory", "rsa:2048", "mallory@smime.example");
    let der = |name: &str| {
        let pem = format!("{name}.pem");
        encode(&ca.go(&["x509", "-in", &pem, "-outform", "DER"]))
    };
    let (alice, mallory) = (der("alice"), der("mallory"));
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
            match crate::harness::Host::call(
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
