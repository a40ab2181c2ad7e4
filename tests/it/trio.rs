//! Three people who have accepted one another's keys, in either family: Alice writes, Bob reads,
//! and Mallory wishes both ill.

use serde_json::{Value, json};

use crate::harness::{Home, Host, export, generate, import};
use crate::smime::Ca;

pub const ALICE: &str = "alice@sealpost.example";
pub const BOB: &str = "bob@sealpost.example";
pub const MALLORY: &str = "mallory@sealpost.example";

/// Three people, each with a host.
pub struct Trio {
    pub family: &'static str,
    pub alice: Host,
    pub bob: Host,
    pub mallory: Host,
    pub bob_home: Home,
    pub alice_home: Home,
    _mallory_home: Home,
}

/// Three people for each family that can be tried here.
pub fn trios() -> Vec<Trio> {
    let mut trios = vec![Trio::openpgp()];
    trios.extend(Trio::smime());
    trios
}

fn home() -> Home {
    Home::new().env("SEALPOST_LOG", "trace")
}

impl Trio {
    /// With OpenPGP keys.
    pub fn openpgp() -> Trio {
        let homes = [home(), home(), home()];
        let mut hosts: Vec<Host> = homes.iter().map(Home::start).collect();
        let mut certs = Vec::new();
        for (host, (name, address)) in
            hosts
                .iter_mut()
                .zip([("Alice", ALICE), ("Bob", BOB), ("Mallory", MALLORY)])
        {
            host.hello();
            let id = generate(host, name, address, "compatible");
            certs.push(export(host, &[&id]));
        }
        for host in &mut hosts {
            for cert in &certs {
                import(host, cert.as_bytes(), json!(true));
            }
        }
        Trio::of("openpgp", homes, hosts)
    }

    /// With certificates of one authority, which all trust.
    pub fn smime() -> Option<Trio> {
        let ca = Ca::new()?;
        let names = [("alice", ALICE), ("bob", BOB), ("mallory", MALLORY)];
        for (name, address) in names {
            ca.person(name, "ec:P-256", address);
        }
        let homes = [home(), home(), home()];
        let mut hosts: Vec<Host> = homes.iter().map(Home::start).collect();
        for (host, (own, _)) in hosts.iter_mut().zip(names) {
            host.hello();
            ca.trust(host);
            import(host, &ca.file(own), Value::Null);
            for (name, _) in names {
                import(host, &ca.read(&format!("{name}.pem")), Value::Null);
            }
        }
        Some(Trio::of("smime", homes, hosts))
    }

    fn of(family: &'static str, homes: [Home; 3], hosts: Vec<Host>) -> Trio {
        let [alice, bob, mallory] = hosts.try_into().ok().expect("three hosts");
        let [alice_home, bob_home, mallory_home] = homes;
        Trio {
            family,
            alice,
            bob,
            mallory,
            bob_home,
            alice_home,
            _mallory_home: mallory_home,
        }
    }
}

/// Everything that can be read in a value: its texts, and its base64 decoded.
pub fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(readable).collect::<Vec<_>>().join("\n"),
        Value::Object(map) => {
            let one = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                ("base64", Value::String(text)) => {
                    String::from_utf8_lossy(&crate::harness::decode(text)).into_owned()
                }
                _ => readable(value),
            };
            map.iter().map(one).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
