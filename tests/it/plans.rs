//! What a plan says is what sealing does: for any recipients, any protection, any keys.

use serde_json::{Value, json};

use crate::harness::{Home, Host, Noise, amount, export, generate, import, shorten};

const GROUPS: &str = "[groups]\n\"pgp-team@x.example\" = [\"p@x.example\", \"both@x.example\"]\n\
                      \"mixed-team@x.example\" = [\"p@x.example\", \"s@x.example\"]\n\
                      \"part-team@x.example\" = [\"both@x.example\", \"none@x.example\"]\n\
                      \"alias@x.example\" = \"s@x.example\"\n";

/// Recipients of every kind.
const TO: [&str; 11] = [
    "p@x.example",
    "s@x.example",
    "both@x.example",
    "none@x.example",
    "rejected@x.example",
    "two@x.example",
    "pgp-team@x.example",
    "mixed-team@x.example",
    "part-team@x.example",
    "alias@x.example",
    "signed@rule.example",
];

/// Senders with keys of both families, of one, of none.
const FROM: [&str; 3] = ["alice@x.example", "pat@x.example", "no-key@x.example"];

#[track_caller]
fn smime(host: &mut Host, address: &str) -> Vec<u8> {
    let make = json!({"protocol": "smime", "name": "S", "address": address,
                      "profile": "modern", "passphrase": "none"});
    let id = host.good("keys/generate", make)["key"]["id"].clone();
    let pem = host.good("keys/export", json!({"ids": [id], "format": "pem"}));
    host.bytes(&pem["data"])
}

fn openpgp(host: &mut Host, address: &str) -> (String, Vec<u8>) {
    let id = generate(host, "P", address, "compatible");
    let cert = export(host, &[&id]).into_bytes();
    (id, cert)
}

/// A host that knows all of them.
fn desk() -> (Home, Host) {
    let peers = Home::new();
    let mut peer = peers.start();
    let home = Home::new().policy(&format!("require-signing = [\"rule.example\"]\n{GROUPS}"));
    let mut host = home.start();
    for address in ["p@x.example", "both@x.example", "signed@rule.example"] {
        let (_, cert) = openpgp(&mut peer, address);
        import(&mut host, &cert, json!(true));
    }
    for address in ["s@x.example", "both@x.example"] {
        let pem = smime(&mut peer, address);
        import(&mut host, &pem, json!(true));
    }
    let (id, cert) = openpgp(&mut peer, "rejected@x.example");
    import(&mut host, &cert, Value::Null);
    let reject = json!({"id": id, "address": "rejected@x.example", "level": "rejected"});
    host.good("keys/accept", reject);
    for _ in 0..2 {
        let (_, cert) = openpgp(&mut peer, "two@x.example");
        import(&mut host, &cert, Value::Null);
    }
    openpgp(&mut host, FROM[0]);
    smime(&mut host, FROM[0]);
    openpgp(&mut host, FROM[1]);
    (home, host)
}

/// Plans and seals the same, and holds one against the other.
#[track_caller]
fn compare(host: &mut Host, from: &str, to: &[Vec<&str>; 3], protect: &Value) -> bool {
    let [to, cc, bcc] = to;
    let case = format!("{from} -> {to:?} {cc:?} {bcc:?} {protect}");
    let plan = json!({"from": from, "to": to, "cc": cc, "bcc": bcc, "protect": protect});
    let planned = host.good("message/plan", plan);
    let count = to.len() + cc.len() + bcc.len();
    assert_eq!(
        planned["recipients"].as_array().unwrap().len(),
        count,
        "{case}"
    );
    let draft = json!({"from": from, "to": to, "cc": cc, "bcc": bcc, "subject": "s",
                       "text": {"text": "words"}});
    let seal = json!({"draft": draft, "protect": protect, "plan": planned["plan"]});
    match host.call("message/seal", seal) {
        Ok(sealed) => {
            assert_eq!(planned["possible"], true, "{case}: {}", shorten(&planned));
            let messages = sealed["messages"].as_array().unwrap().iter();
            let told: Vec<_> = messages
                .map(|m| json!({"to": m["to"], "protocol": m["protocol"]}))
                .collect();
            assert_eq!(planned["messages"], json!(told), "{case}");
            true
        }
        Err(fault) => {
            assert_eq!(planned["possible"], false, "{case}: {fault:?}");
            let mut told = planned["error"].clone();
            told.as_object_mut().unwrap().remove("message");
            assert_eq!(told, fault.data, "{case}");
            assert_eq!(planned["messages"], json!([]), "{case}");
            false
        }
    }
}

#[test]
fn a_plan_says_what_sealing_does() {
    let (_home, mut host) = desk();
    let mut noise = Noise::new(7);
    let mut possible = 0;
    let all = amount(250, 4000);
    for _ in 0..all {
        let mut some = |most: usize| -> Vec<&str> {
            let count = noise.below(most + 1);
            (0..count).map(|_| TO[noise.below(TO.len())]).collect()
        };
        let mut to = [some(2), some(1), some(1)];
        if to.iter().all(Vec::is_empty) {
            to[0].push(TO[0]);
        }
        let from = FROM[[0, 0, 0, 1, 2][noise.below(5)]];
        let protocol = ["auto", "auto", "openpgp", "smime"][noise.below(4)];
        let mut protect = json!({"sign": noise.below(2) == 0, "encrypt": noise.below(4) > 0,
                                 "protocol": protocol});
        if let Some(scheme) =
            [None, None, Some("mime"), Some("inline"), Some("opaque")][noise.below(5)]
        {
            protect["scheme"] = json!(scheme);
        }
        possible += usize::from(compare(&mut host, from, &to, &protect));
    }
    // Neither all nor none: the cases are worth something.
    assert!(
        possible > all / 10 && possible < all * 9 / 10,
        "{possible} of {all}"
    );
}

#[test]
fn recipients_of_two_families_are_planned_as_two_messages() {
    let (_home, mut host) = desk();
    let plan = json!({"from": FROM[0], "to": ["p@x.example", "s@x.example"], "cc": ["pgp-team@x.example"],
                      "bcc": ["alias@x.example"], "protect": {"sign": true, "encrypt": true}});
    let planned = host.good("message/plan", plan);
    assert_eq!(
        planned["messages"],
        json!([
            {"to": ["p@x.example", "pgp-team@x.example"], "protocol": "openpgp"},
            {"to": ["s@x.example"], "protocol": "smime"},
            {"to": ["alias@x.example"], "protocol": "smime"},
        ])
    );
    let parties: Vec<_> = planned["recipients"].as_array().unwrap().iter().collect();
    assert_eq!(parties[0]["choice"], "openpgp");
    assert_eq!(parties[1]["choice"], "smime");
    assert_eq!(parties[3]["members"][0]["choice"], "smime");
    // A group has one address and gets one message, or none.
    let plan =
        json!({"from": FROM[0], "to": ["mixed-team@x.example"], "protect": {"encrypt": true}});
    let planned = host.good("message/plan", plan);
    assert_eq!(planned["recipients"][0]["state"], "no-key");
    assert_eq!(
        planned["recipients"][0]["reasons"],
        json!(["mixed-protocols"])
    );
    assert_eq!(
        planned["error"]["addresses"],
        json!(["mixed-team@x.example"])
    );
}

#[test]
fn every_key_that_is_not_used_says_why() {
    let (_home, mut host) = desk();
    let mut reasons = |to: &str, protocol: &str| {
        let protect = json!({"encrypt": true, "protocol": protocol});
        let plan = json!({"from": FROM[0], "to": [to], "protect": protect});
        let keys = host.good("message/plan", plan)["recipients"][0]["keys"].clone();
        let all = keys.as_array().unwrap().iter();
        all.map(|key| key["reasons"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(reasons("rejected@x.example", "auto"), [json!(["rejected"])]);
    assert_eq!(
        reasons("s@x.example", "openpgp"),
        [json!(["other-protocol"])]
    );
    assert_eq!(
        reasons("both@x.example", "smime"),
        [json!([]), json!(["other-protocol"])]
    );
    assert_eq!(
        reasons("two@x.example", "auto"),
        [json!(["undecided"]), json!(["undecided"])]
    );
    assert_eq!(reasons("none@x.example", "auto"), Vec::<Value>::new());
}

#[test]
fn a_plan_is_for_what_was_asked() {
    let (_home, mut host) = desk();
    let to = "p@x.example";
    let protect = json!({"sign": true, "encrypt": true});
    let plan = json!({"from": FROM[0], "to": [to], "protect": protect});
    let token = host.good("message/plan", plan)["plan"].clone();
    let draft = json!({"from": FROM[0], "to": [to], "subject": "s", "text": {"text": "words"}});
    let seal = |protect: Value| json!({"draft": draft, "protect": protect, "plan": token});
    for other in [
        json!({"sign": false, "encrypt": false}),
        json!({"sign": true, "encrypt": false}),
        json!({"sign": false, "encrypt": true}),
        json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
        json!({"sign": true, "encrypt": true, "headers": "none"}),
        json!({"sign": true, "encrypt": true, "legacyDisplay": false}),
        json!({"sign": true, "encrypt": true, "scheme": "inline"}),
        json!({"sign": true, "encrypt": true, "cipher": "cbc"}),
    ] {
        let fault = host.fault("message/seal", seal(other.clone()));
        assert_eq!(fault.kind(), "plan.stale", "{other}");
    }
    // What holds unsaid may be said.
    let spelled = json!({"sign": true, "encrypt": true, "protocol": "auto", "scheme": "mime",
                         "headers": "baseline", "legacyDisplay": true, "cipher": "auto"});
    for same in [protect, spelled] {
        host.good("message/seal", seal(same));
    }
    // Nor for others who may know of one another.
    let mut moved = seal(json!({"sign": true, "encrypt": true}));
    moved["draft"]["bcc"] = json!([to]);
    moved["draft"]["to"] = json!([]);
    assert_eq!(host.fault("message/seal", moved).kind(), "plan.stale");
    let payload = json!({"payload": {"text": "words"}, "form": "payload", "to": [to],
                         "protect": {"sign": false, "encrypt": true}, "plan": token});
    assert_eq!(host.fault("message/seal", payload).kind(), "plan.stale");
}
