//! Rules of administrators at work: who may ask, with what, how strongly, and who reads along.

use sequoia_openpgp::cert::{CertBuilder, CipherSuite};
use sequoia_openpgp::serialize::MarshalInto as _;
use serde_json::{Value, json};

use crate::harness::{Home, Host, body, encode, export, generate, import};

const ALICE: &str = "alice@sealpost.example";
const BOB: &str = "bob@one.example";

fn draft(to: Value) -> Value {
    json!({"from": ALICE, "to": to, "subject": "s", "text": {"text": "words"}})
}

fn both() -> Value {
    json!({"sign": true, "encrypt": true})
}

/// A certificate of somebody else.
fn cert_of(address: &str) -> (Home, Host, String) {
    let home = Home::new();
    let mut host = home.start();
    let id = generate(&mut host, "Peer", address, "compatible");
    let cert = export(&mut host, &[&id]);
    (home, host, cert)
}

#[track_caller]
fn smime(host: &mut Host, address: &str) -> (String, Vec<u8>) {
    let made = host.good(
        "keys/generate",
        json!({"protocol": "smime", "name": "S", "address": address, "passphrase": "none"}),
    );
    let id = made["key"]["id"].as_str().unwrap().to_owned();
    let pem = host.good("keys/export", json!({"ids": [id], "format": "pem"}));
    let pem = host.bytes(&pem["data"]);
    (id, pem)
}

#[track_caller]
fn refused(host: &mut Host, method: &str, params: Value, rule: &str) {
    let fault = host.fault(method, params);
    assert_eq!(
        (fault.kind(), &fault.data["rule"]),
        ("policy.refused", &json!(rule)),
        "{method}: {fault:?}"
    );
}

fn check(host: &mut Host, id: &str) -> Value {
    let checks = host.good("host/doctor", json!({}))["checks"].clone();
    let found = checks.as_array().unwrap().iter().find(|c| c["id"] == id);
    found.unwrap_or_else(|| panic!("no check {id}")).clone()
}

#[test]
fn clients_that_are_not_allowed_get_no_further_than_the_greeting() {
    let home = Home::new().policy(
        "clients = [\"chrome-extension://kajibbejlbohfaggdiogboambcijhkke/\", \"sealpost@sealpost.org\"]\n",
    );
    for mut host in [home.start(), home.start_firefox()] {
        host.hello();
        host.good("keys/list", json!({}));
        assert_eq!(check(&mut host, "client")["ok"], true);
    }
    let mut stranger = home.start_as("chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/");
    stranger.hello();
    for (method, params) in [
        ("keys/list", json!({})),
        ("keys/lock", json!({})),
        ("blob/put", json!({"offset": 0, "base64": encode(b"x")})),
        ("policy/show", json!({})),
        (
            "message/open",
            json!({"message": body(b"Subject: x\r\n\r\n")}),
        ),
    ] {
        refused(&mut stranger, method, params, "clients");
    }
    let told = check(&mut stranger, "client");
    assert_eq!(told["ok"], false);
    assert_eq!(told["data"]["error"], "policy.refused");
    assert!(told["fix"].as_str().unwrap().contains("clients"));
    // Nothing of what lies in the store.
    let checks = stranger.good("host/doctor", json!({}))["checks"].clone();
    let ids: Vec<_> = checks
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].clone())
        .collect();
    assert!(
        ids.contains(&json!("store")) && !ids.contains(&json!("keys")),
        "{ids:?}"
    );

    // An empty list allows everybody, as none does.
    let home = Home::new().policy("clients = []\n");
    home.start().good("keys/list", json!({}));
}

#[test]
fn rules_that_cannot_be_read_leave_the_greeting_and_the_doctor() {
    let home = Home::new().policy("legacy = false\nprotocols = [\"pgp\"]\n");
    let mut host = home.start();
    host.hello();
    let told = check(&mut host, "policy");
    assert_eq!(
        (&told["ok"], &told["data"]["line"]),
        (&json!(false), &json!(2))
    );
    assert!(
        told["data"]["file"]
            .as_str()
            .unwrap()
            .ends_with("policy.toml")
    );
    for (method, params) in [
        ("keys/list", json!({})),
        ("blob/put", json!({"offset": 0, "base64": encode(b"x")})),
    ] {
        let fault = host.fault(method, params);
        assert_eq!(
            (fault.kind(), &fault.data["line"]),
            ("policy.refused", &json!(2))
        );
    }
}

#[test]
fn passphrases_are_for_pinentry_alone_where_policy_says_so() {
    let make = json!({"protocol": "openpgp", "address": ALICE, "passphrase": "ask"});
    let home = Home::new().policy("ask-client = false\n");
    let mut host = home.start();
    host.hello();
    assert_eq!(
        host.fault("keys/generate", make.clone()).kind(),
        "passphrase.unavailable"
    );
    assert!(host.questions.is_empty());
    assert_eq!(check(&mut host, "pinentry")["data"]["askClient"], false);
    let pinentry = crate::harness::Pinentry::new(&["a phrase"]);
    let home = Home::new()
        .policy("ask-client = false\n")
        .pinentry(&pinentry);
    home.start().good("keys/generate", make);
}

#[test]
fn the_doctor_tells_what_is_there_and_what_is_not() {
    let home = Home::new();
    let mut host = home.start();
    for (id, ok) in [
        ("policy", true),
        ("client", true),
        ("store", true),
        ("pinentry", false),
        ("engines", true),
        ("keys", false),
    ] {
        let told = check(&mut host, id);
        assert_eq!(told["ok"], ok, "{told}");
        assert_eq!(told["fix"].is_string(), !ok, "{told}");
    }
    assert_eq!(check(&mut host, "pinentry")["data"]["pinentry"], "off");
    assert_eq!(
        check(&mut host, "engines")["data"]["engines"],
        json!(["openpgp", "smime"])
    );
    let id = generate(&mut host, "Alice", ALICE, "compatible");
    assert_eq!(
        check(&mut host, "keys")["data"],
        json!({"own": 1, "ending": []})
    );
    assert_eq!(check(&mut host, "keys")["ok"], true);
    let soon = "2000-01-01T00:00:00Z";
    assert_eq!(
        host.fault("keys/renew", json!({"id": id, "expires": soon}))
            .kind(),
        "request.invalid"
    );
    let tomorrow = json!({"protocol": "openpgp", "address": ALICE, "passphrase": "none",
                          "expires": in_a_week()});
    let short = host.good("keys/generate", tomorrow)["key"]["id"].clone();
    let told = check(&mut host, "keys");
    assert_eq!(told["data"], json!({"own": 2, "ending": [short]}));
    assert_eq!(told["ok"], false);

    let pinentry = crate::harness::Pinentry::new(&["x"]);
    let home = Home::new().pinentry(&pinentry);
    assert_eq!(check(&mut home.start(), "pinentry")["ok"], true);
    let home = Home::new().env("SEALPOST_PINENTRY", "/nowhere/pinentry");
    assert_eq!(
        check(&mut home.start(), "pinentry")["data"]["pinentry"],
        "missing"
    );

    // A folder that is a file: nothing can be kept there.
    let home = Home::new();
    std::fs::write(home.path(), b"in the way").unwrap();
    let mut host = home.start();
    let told = check(&mut host, "store");
    assert_eq!(told["ok"], false);
    assert_eq!(told["data"]["error"], "store.unavailable");
    assert_eq!(
        check(&mut host, "keys")["data"]["error"],
        "store.unavailable"
    );
}

fn in_a_week() -> String {
    let now = std::time::SystemTime::now();
    let week = std::time::Duration::from_secs(7 * 24 * 60 * 60);
    chrono::DateTime::<chrono::Utc>::from(now + week).to_rfc3339()
}

#[test]
fn of_a_protocol_that_is_switched_off_nothing_is_made_taken_in_or_sealed_for() {
    let (_home, mut peer, cert) = cert_of(BOB);
    let (_, pem) = smime(&mut peer, BOB);

    let home = Home::new();
    let mut host = home.start();
    let alice = generate(&mut host, "Alice", ALICE, "compatible");
    let alice_cert = export(&mut host, &[&alice]);
    let (own_smime, alice_pem) = smime(&mut host, ALICE);
    import(&mut host, &pem, json!(true));
    import(&mut peer, &alice_pem, json!(true));
    import(&mut peer, alice_cert.as_bytes(), json!(true));
    // What is kept from before the rule.
    drop(host);
    let home = home.policy("protocols = [\"openpgp\"]\n");
    let mut host = home.start();
    assert_eq!(host.hello()["engines"], json!(["openpgp"]));
    let make = json!({"protocol": "smime", "address": ALICE, "passphrase": "none"});
    refused(&mut host, "keys/generate", make, "protocols");
    refused(
        &mut host,
        "keys/import",
        json!({"data": body(&pem)}),
        "protocols",
    );
    refused(&mut host, "anchors/list", json!({}), "protocols");
    let seal = json!({"draft": draft(json!([BOB])), "protect": both()});
    refused(&mut host, "message/seal", seal.clone(), "protocols");
    let plan = json!({"from": ALICE, "to": [BOB], "protect": both()});
    let planned = host.good("message/plan", plan);
    let party = &planned["recipients"][0];
    assert_eq!(
        (&party["state"], &party["reasons"]),
        (&json!("refused"), &json!(["protocols"]))
    );
    assert_eq!(party["keys"][0]["reasons"], json!(["refused"]));
    assert_eq!(planned["error"]["rule"], "protocols");
    let mut sign = json!({"sign": true, "protocol": "smime"});
    refused(
        &mut host,
        "message/seal",
        json!({"draft": draft(json!([BOB])), "protect": sign}),
        "protocols",
    );
    // The other one works, and what is here is listed and can be looked at.
    import(&mut host, cert.as_bytes(), json!(true));
    host.good("message/seal", seal);
    let listed = host.good("keys/list", json!({"protocol": "smime", "secret": true}));
    assert_eq!(listed["keys"][0]["id"], json!(own_smime));

    // What comes in: signed text is read and its signature is not known, encryption stays closed.
    sign["sign"] = json!(true);
    let letter =
        |to: &str| json!({"from": BOB, "to": [to], "subject": "s", "text": {"text": "hello"}});
    let signed = crate::harness::seal_one(&mut peer, letter(ALICE), sign);
    let opened = host.open(&signed).unwrap();
    assert_eq!(opened["summary"]["signed"], "unknown");
    assert_eq!(
        opened["parts"][0]["body"]["text"].as_str().unwrap().trim(),
        "hello"
    );
    let encrypt = json!({"encrypt": true, "protocol": "smime"});
    let sealed = crate::harness::seal_one(&mut peer, letter(ALICE), encrypt);
    assert_eq!(host.open(&sealed).unwrap_err().kind(), "policy.refused");

    // The other way round: mail that offers an OpenPGP key is read all the same.
    let offering = crate::harness::seal_one(
        &mut peer,
        letter(ALICE),
        json!({"sign": true, "protocol": "openpgp"}),
    );
    let home = Home::new().policy("protocols = [\"smime\"]\n");
    let opened = home.start().open(&offering).unwrap();
    assert_eq!(opened["summary"]["signed"], "unknown");
    assert_eq!(opened["keys"], json!([]));
}

#[test]
fn rsa_keys_below_the_minimum_are_weak() {
    let (cert, _) = CertBuilder::general_purpose(Some("<bob@one.example>"))
        .set_cipher_suite(CipherSuite::RSA2k)
        .generate()
        .unwrap();
    let cert = cert.armored().to_vec().unwrap();
    let home = Home::new();
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    let (own, _) = smime(&mut host, ALICE);
    import(&mut host, &cert, json!(true));
    let seal = json!({"draft": draft(json!([BOB])), "protect": both()});
    host.good("message/seal", seal.clone());
    drop(host);

    let home = home.policy("minimum-rsa-bits = 4096\n");
    let mut host = home.start();
    let listed = host.good("keys/list", json!({"query": BOB}))["keys"][0].clone();
    assert_eq!(listed["status"], "weak");
    assert_eq!(listed["attention"], json!(["weak"]));
    refused(&mut host, "message/seal", seal, "minimum-rsa-bits");
    let plan = json!({"from": ALICE, "to": [BOB], "protect": both()});
    let planned = host.good("message/plan", plan);
    let party = &planned["recipients"][0];
    assert_eq!(party["state"], "refused");
    assert_eq!(party["reasons"], json!(["minimum-rsa-bits"]));
    assert_eq!(party["keys"][0]["status"], "weak");
    // The own certificate of three thousand bits signs no more; what is not RSA does.
    let shown = host.good("keys/show", json!({"id": own}));
    assert_eq!(shown["key"]["status"], "weak");
    let sign = |protocol: &str| json!({"draft": draft(json!([BOB])), "protect": {"sign": true, "protocol": protocol}});
    refused(&mut host, "message/seal", sign("smime"), "minimum-rsa-bits");
    host.good("message/seal", sign("openpgp"));
    // A new one is long enough by itself.
    let (made, _) = smime(&mut host, "new@sealpost.example");
    let made = host.good("keys/show", json!({"id": made}));
    assert_eq!(
        (&made["key"]["algorithm"], &made["key"]["status"]),
        (&json!("rsa4096"), &json!("valid"))
    );
}

#[test]
fn what_has_to_be_signed_or_encrypted_goes_out_no_other_way() {
    let (_home, _peer, cert) = cert_of(BOB);
    let home = Home::new().policy(
        "require-encryption = [\"ONE.example\"]\nrequire-signing = [\"one.example\", \"two.example\"]\n",
    );
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    import(&mut host, cert.as_bytes(), json!(true));
    let free = "x@sub.one.example";
    let two = "x@two.example";
    let (sign, none) = (json!({"sign": true}), json!({}));
    for (to, protect, rule) in [
        (BOB, &sign, Some("require-encryption")),
        (BOB, &none, Some("require-encryption")),
        (BOB, &json!({"encrypt": true}), Some("require-signing")),
        (BOB, &both(), None),
        (two, &none, Some("require-signing")),
        (two, &sign, None),
        (free, &none, None),
    ] {
        let plan = json!({"from": ALICE, "to": [to], "protect": protect});
        let planned = host.good("message/plan", plan);
        let seal = json!({"draft": draft(json!([to])), "protect": protect});
        assert_eq!(planned["possible"], rule.is_none(), "{to} {protect}");
        match rule {
            None => drop(host.good("message/seal", seal)),
            Some(rule) => {
                refused(&mut host, "message/seal", seal, rule);
                let party = &planned["recipients"][0];
                assert_eq!(party["state"], "refused");
                assert_eq!(party["reasons"][0], rule);
            }
        }
    }
    // Among others and as Bcc, and in the smaller forms.
    let mut mixed = draft(json!([free]));
    mixed["bcc"] = json!([BOB]);
    let seal = json!({"draft": mixed, "protect": sign});
    refused(&mut host, "message/seal", seal, "require-encryption");
    let payload = json!({"payload": {"text": "x"}, "form": "payload", "to": [BOB],
                         "protect": {"encrypt": true}});
    refused(&mut host, "message/seal", payload, "require-signing");
    let text = json!({"text": {"text": "x"}, "to": [BOB]});
    refused(&mut host, "text/encrypt", text, "require-signing");
    host.good(
        "text/encrypt",
        json!({"text": {"text": "x"}, "to": [BOB], "sign": true}),
    );
    host.good("text/sign", json!({"text": {"text": "x"}}));
    // A draft goes nowhere.
    let kept = json!({"draft": draft(json!([BOB])), "protect": none, "purpose": "draft"});
    host.good("message/seal", kept);

    // For everybody: what names nobody is meant too.
    let home = Home::new().policy("require-encryption = [\"*\"]\n");
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    refused(
        &mut host,
        "text/sign",
        json!({"text": {"text": "x"}}),
        "require-encryption",
    );
    let seal = json!({"draft": draft(json!([free])), "protect": sign});
    refused(&mut host, "message/seal", seal, "require-encryption");
}

/// The key ids to which an OpenPGP message is encrypted.
fn recipients(host: &mut Host, message: &[u8]) -> Vec<String> {
    let opened = host.open(message).unwrap();
    let all = opened["layers"][0]["recipients"]
        .as_array()
        .unwrap()
        .clone();
    let mut ids: Vec<_> = all
        .iter()
        .map(|one| one["keyId"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

#[test]
fn the_archive_reads_every_envelope_and_nobody_is_kept_in_the_dark() {
    let (_bob_home, mut bob, bob_cert) = cert_of(BOB);
    let (_carol_home, mut carol, carol_cert) = cert_of("carol@one.example");
    let (_archive_home, mut archive, archive_cert) = cert_of("archive@sealpost.example");
    let archive_id = archive.good("keys/list", json!({}))["keys"][0]["id"].clone();
    let home = Home::new();
    let mut host = home.start();
    let alice = generate(&mut host, "Alice", ALICE, "compatible");
    let alice_cert = export(&mut host, &[&alice]);
    for cert in [&bob_cert, &carol_cert] {
        import(&mut host, cert.as_bytes(), json!(true));
    }
    drop(host);
    let home = home.policy(&format!("[encrypt]\nalso = [{archive_id}]\n"));
    let mut host = home.start();
    let mut letter = draft(json!([BOB]));
    letter["bcc"] = json!(["carol@one.example"]);
    let seal = json!({"draft": letter, "protect": both()});
    let plan = json!({"from": ALICE, "to": [BOB], "bcc": ["carol@one.example"], "protect": both()});

    // It is not here: nothing goes out, and the plan says so.
    refused(&mut host, "message/seal", seal.clone(), "encrypt.also");
    let planned = host.good("message/plan", plan.clone());
    assert_eq!(planned["possible"], false);
    assert_eq!(
        planned["also"],
        json!([{"id": archive_id, "state": "no-key", "reasons": []}])
    );
    assert_eq!(planned["error"]["rule"], "encrypt.also");
    host.good(
        "message/seal",
        json!({"draft": letter, "protect": {"sign": true}}),
    );
    let token = planned["plan"].clone();

    import(&mut host, archive_cert.as_bytes(), Value::Null);
    let mut stale = seal.clone();
    stale["plan"] = token;
    assert_eq!(host.fault("message/seal", stale).kind(), "plan.stale");
    let planned = host.good("message/plan", plan);
    assert_eq!(planned["possible"], true);
    assert_eq!(
        planned["also"],
        json!([{"id": archive_id, "state": "ready", "reasons": []}])
    );
    let sealed = host.good("message/seal", seal.clone());
    assert_eq!(sealed["also"], json!([archive_id]));
    let envelopes: Vec<Vec<u8>> = [
        &sealed["messages"][0]["message"],
        &sealed["messages"][1]["message"],
        &sealed["sent"],
    ]
    .into_iter()
    .map(|body| host.bytes(body))
    .collect();
    for reader in [&mut bob, &mut carol, &mut archive] {
        import(reader, alice_cert.as_bytes(), json!(true));
    }
    for envelope in &envelopes {
        let opened = archive.open(envelope).unwrap();
        assert_eq!(opened["summary"]["signed"], "good");
    }
    // Nobody hears of the Bcc recipient by way of it: three keys each, and not each other's.
    let to_bob = recipients(&mut bob, &envelopes[0]);
    let to_carol = recipients(&mut carol, &envelopes[1]);
    assert_eq!((to_bob.len(), to_carol.len()), (3, 3));
    assert_eq!(to_bob.iter().filter(|id| to_carol.contains(id)).count(), 2);
    assert_eq!(bob.open(&envelopes[1]).unwrap_err().kind(), "key.missing");
    assert_eq!(recipients(&mut host, &envelopes[2]).len(), 2);

    let text = host.good("text/encrypt", json!({"text": {"text": "x"}, "to": [BOB]}));
    assert_eq!(text["also"], json!([archive_id]));
    archive.good("text/decrypt", json!({"text": text["text"]}));
    let payload =
        json!({"payload": {"text": "x"}, "form": "payload", "to": [BOB], "protect": both()});
    assert_eq!(
        host.good("message/seal", payload)["also"],
        json!([archive_id])
    );

    // One that the person rejected reads nothing, and so nothing goes out.
    let reject =
        json!({"id": archive_id, "address": "archive@sealpost.example", "level": "rejected"});
    host.good("keys/accept", reject);
    refused(&mut host, "message/seal", seal, "encrypt.also");

    // An envelope of the other family has no archive key.
    let (_, pem) = smime(&mut bob, BOB);
    smime(&mut host, ALICE);
    import(&mut host, &pem, json!(true));
    let other =
        json!({"draft": draft(json!([BOB])), "protect": {"encrypt": true, "protocol": "smime"}});
    refused(&mut host, "message/seal", other, "encrypt.also");
}

#[test]
fn a_group_is_its_members_and_an_alias_another() {
    let (_bob_home, mut bob, bob_cert) = cert_of(BOB);
    let (_carol_home, mut carol, carol_cert) = cert_of("carol@one.example");
    let home = Home::new().policy(
        "[groups]\n\"team@one.example\" = [\"bob@one.example\", \"rest@one.example\"]\n\
         \"rest@one.example\" = [\"carol@one.example\", \"team@one.example\"]\n\
         \"b@one.example\" = \"bob@one.example\"\n\"nobody@one.example\" = []\n",
    );
    let mut host = home.start();
    generate(&mut host, "Alice", ALICE, "compatible");
    import(&mut host, bob_cert.as_bytes(), json!(true));
    let plan = |host: &mut Host, to: &str| {
        let plan = json!({"from": ALICE, "to": [to], "protect": {"encrypt": true}});
        host.good("message/plan", plan)
    };
    let planned = plan(&mut host, "team@one.example");
    let party = &planned["recipients"][0];
    assert_eq!(
        (&planned["possible"], &party["state"]),
        (&json!(false), &json!("no-key"))
    );
    let states: Vec<_> = party["members"].as_array().unwrap().iter().collect();
    assert_eq!(states.len(), 2);
    assert_eq!(
        (&states[0]["address"], &states[0]["state"]),
        (&json!(BOB), &json!("ready"))
    );
    assert_eq!(
        (&states[1]["address"], &states[1]["state"]),
        (&json!("carol@one.example"), &json!("no-key"))
    );
    let seal = |to: &str| json!({"draft": draft(json!([to])), "protect": {"encrypt": true}});
    let fault = host.fault("message/seal", seal("team@one.example"));
    assert_eq!(
        (fault.kind(), &fault.data["addresses"]),
        ("key.missing", &json!(["carol@one.example"]))
    );
    assert_eq!(
        host.fault("message/seal", seal("nobody@one.example")).data["addresses"],
        json!(["nobody@one.example"])
    );

    import(&mut host, carol_cert.as_bytes(), json!(true));
    let planned = plan(&mut host, "team@one.example");
    assert_eq!(planned["possible"], true);
    assert_eq!(
        planned["messages"],
        json!([{"to": ["team@one.example"], "protocol": "openpgp"}])
    );
    let sealed = host.good("message/seal", seal("team@one.example"));
    let message = host.bytes(&sealed["messages"][0]["message"]);
    for reader in [&mut bob, &mut carol] {
        let opened = reader.open(&message).unwrap();
        assert_eq!(
            opened["headers"]["to"]["addresses"][0]["address"],
            "team@one.example"
        );
    }
    assert_eq!(recipients(&mut bob, &message).len(), 3);
    let planned = plan(&mut host, "b@one.example");
    assert_eq!(planned["recipients"][0]["members"][0]["address"], BOB);
    let sealed = host.good("message/seal", seal("b@one.example"));
    assert_eq!(sealed["messages"][0]["to"], json!(["b@one.example"]));
    let message = host.bytes(&sealed["messages"][0]["message"]);
    bob.open(&message).unwrap();
    assert_eq!(carol.open(&message).unwrap_err().kind(), "key.missing");
}
