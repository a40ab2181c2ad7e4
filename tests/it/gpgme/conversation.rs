//! Frames, requests that are none, pieces, policy, the end.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{MAILVELOPE, Talk, fault};
use crate::harness::{FRAME_IN, FRAME_OUT, Home, Pinentry, encode, until};

const NO_DATA: u32 = 117_440_570;
const INVALID: u32 = 117_440_567;
const FORBIDDEN: u32 = 117_440_763;

#[test]
fn only_its_own_name_speaks_the_dialect() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let version = talk.ask(json!({"op": "version"}));
    assert_eq!(version["gpgme"], "1.18.0");
    let protocols: Vec<_> = version["info"].as_array().unwrap().iter().collect();
    assert_eq!(protocols.len(), 2);
    for engine in protocols {
        let fields = ["fname", "homedir", "protocol", "req_version", "version"];
        let mut named: Vec<_> = engine.as_object().unwrap().keys().collect();
        named.sort_unstable();
        assert_eq!(named, fields);
    }
    assert_eq!(talk.end(), 0);
    // Firefox names a manifest and an add-on; whatever else a browser adds is nobody's.
    for arguments in [
        &["/x/gpgmejson.json", "jid1-AQqSMBYb0a8ADg@jetpack"][..],
        &[MAILVELOPE, "--parent-window=0"],
        &[],
    ] {
        let mut talk = Talk::called_by(&home, arguments);
        assert_eq!(talk.ask(json!({"op": "version"}))["gpgme"], "1.18.0");
        assert_eq!(talk.end(), 0);
    }
    // A host under its own name answers as a host.
    let mut host = home.start();
    host.frame(br#"{"op":"version"}"#);
    assert_eq!(host.nameless().kind(), "request.invalid");
}

#[test]
fn what_is_no_request_gets_its_error_and_the_conversation_goes_on() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let missing = json!({"type": "error", "msg": "Property \"op\" missing", "code": 0});
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(r#"{{"op":"version","x":{}}}"#, r#"{"x":"#.repeat(5000));
    for (text, offset) in [
        (&b"{"[..], Some(1)),
        (b"", Some(0)),
        (b"{\"op\":\"version\"", Some(15)),
        (b"{\"op\":\"version\"} x", Some(17)),
        (b"{\"op\":\"\\ud800\"}", Some(13)),
        (b"{\"op\":\"\xff\"}", None),
        (deep.as_bytes(), None),
        (nested.as_bytes(), None),
    ] {
        let answer = talk.text(text);
        let msg = answer["msg"].as_str().unwrap();
        let at = msg
            .strip_prefix("invalid JSON object at offset ")
            .expect(msg);
        let at: usize = at.strip_suffix('\n').unwrap().parse().unwrap();
        assert!(offset.is_none_or(|offset| offset == at), "{at}: {answer}");
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!(0))
        );
    }
    for text in [
        "[1]",
        "5",
        "null",
        "{}",
        r#"{"OP":"version"}"#,
        r#"{"op":5}"#,
    ] {
        assert_eq!(talk.text(text.as_bytes()), missing, "{text}");
    }
    assert_eq!(
        talk.ask(json!({"op": "nö"})),
        fault("Unknown operation 'nö'", 0, "nö")
    );
    // Strict types, and fields that nobody knows.
    for request in [
        json!({"op": "keylist", "secret": 1}),
        json!({"op": "keylist", "sigs": "true"}),
        json!({"op": "keylist", "protocol": 5}),
        json!({"op": "keylist", "keys": 5}),
        json!({"op": "keylist", "keys": ["x", null]}),
        json!({"op": "config_opt", "component": "gpg"}),
        json!({"op": "createkey"}),
        json!({"op": "createkey", "userid": "A <a@a.example>", "expires": "1"}),
        json!({"op": "import", "data": 5}),
        json!({"op": "import", "data": "x", "base64": "yes"}),
    ] {
        let op = request["op"].as_str().unwrap().to_owned();
        let answer = talk.ask(request);
        assert_eq!(
            answer,
            fault("Operation failed: Invalid value", INVALID, &op)
        );
    }
    let unknown = talk.ask(json!({"op": "keylist", "protocol": "pgp"}));
    assert_eq!(
        unknown,
        fault(
            "Operation failed: Unsupported protocol",
            117_440_633,
            "keylist"
        )
    );
    let bad = talk.ask(json!({"op": "import", "data": "*", "base64": true}));
    let text = "Error decoding Base-64 encoded 'data': Bad data";
    assert_eq!(bad, fault(text, 89, "import"));
    for op in ["import", "identify"] {
        let answer = talk.ask(json!({"op": op}));
        assert_eq!(answer, fault("Operation failed: No data", NO_DATA, op));
    }
    assert_eq!(
        talk.ask(json!({"op": "version", "no such": {"x": [1]}}))["gpgme"],
        "1.18.0"
    );
    // What stands for nothing is a character like any other.
    let zero = talk.ask(json!({"op": "identify", "data": "-----BEGIN PGP\u{0} 0000"}));
    assert_eq!(zero, json!({"result": "PGP"}));
    assert_eq!(talk.end(), 0);
}

#[test]
fn every_operation_is_explained() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    for request in [
        json!({"op": "help"}),
        json!({"help": true}),
        json!({"op": "help", "help": true}),
    ] {
        let help = talk.ask(request);
        assert_eq!(help["type"], "help");
        let text = help["msg"].as_str().unwrap();
        let listed = text.lines().filter_map(|line| line.strip_prefix("  "));
        for op in listed.filter(|op| *op != "help") {
            let one = talk.ask(json!({"op": op, "help": true}));
            assert_eq!((&one["type"], &one["op"]), (&json!("help"), &json!(op)));
            let said = one["msg"].as_str().unwrap();
            assert!(said.contains(&format!("op: \"{op}\"")), "{said}");
        }
        for op in [
            "version",
            "keylist",
            "export",
            "import",
            "delete",
            "createkey",
            "config_opt",
            "getmore",
        ] {
            assert!(text.contains(&format!("\n  {op}\n")), "{op}");
        }
    }
}

#[test]
fn answers_come_in_pieces_of_any_size() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let overview = talk.ask(json!({"op": "help"}));
    let error = talk.ask(json!({"op": "no\u{e9}"}));
    for size in [
        0,
        1,
        30,
        40,
        41,
        44,
        45,
        46,
        47,
        100,
        1000,
        1_047_552,
        10_485_760,
        u64::MAX,
    ] {
        assert_eq!(
            talk.in_pieces(json!({"op": "help"}), size),
            overview,
            "{size}"
        );
        assert_eq!(
            talk.in_pieces(json!({"op": "no\u{e9}"}), size),
            error,
            "{size}"
        );
    }
    let first = talk.ask(json!({"op": "help", "chunksize": 60}));
    assert_eq!(first["more"], true);
    assert!(serde_json::to_string(&first).unwrap().len() <= 60);
    // Another request: the rest is nobody's any more.
    talk.ask(json!({"op": "version"}));
    let none = fault("Operation not possible: No data", NO_DATA, "getmore");
    assert_eq!(talk.ask(json!({"op": "getmore"})), none);
    assert_eq!(talk.ask(json!({"op": "getmore", "chunksize": 50})), none);
    // Without a size the rest comes at once.
    talk.ask(json!({"op": "help", "chunksize": 60}));
    assert_eq!(talk.ask(json!({"op": "getmore"}))["more"], false);
    assert_eq!(talk.ask(json!({"op": "getmore"})), none);
    let wrong = talk.ask(json!({"op": "version", "chunksize": "60"}));
    let text = "Encode and chunk failed: Invalid value";
    assert_eq!(wrong, fault(text, INVALID, "version"));
    assert_eq!(
        talk.in_pieces(json!({"op": "version"}), 45),
        talk.ask(json!({"op": "version"}))
    );
}

#[test]
fn the_largest_requests_are_read_and_larger_ones_end_it() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    let around = r#"{"op":"identify","data":""}"#.len();
    let data = "x".repeat(FRAME_IN - around);
    let answer = talk.text(format!(r#"{{"op":"identify","data":"{data}"}}"#).as_bytes());
    assert_eq!(answer, json!({"result": "unknown"}));
    talk.send(&(FRAME_IN as u32 + 1).to_ne_bytes());
    let answer: Value = serde_json::from_slice(&talk.answer()).unwrap();
    assert_eq!(answer["type"], "error");
    assert!(talk.is_over());
    assert_eq!(talk.end(), 1);
    // One that ends too soon.
    let mut talk = Talk::new(&home);
    talk.send(&100_u32.to_ne_bytes());
    talk.send(b"{");
    talk.to = None;
    let answer: Value = serde_json::from_slice(&talk.answer()).unwrap();
    assert_eq!(answer["msg"], "Invalid request: short read");
    assert_eq!(talk.end(), 0);
}

#[test]
fn an_answer_that_fits_no_frame_says_so() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    // An unknown operation is named in its answer.
    let name = "n".repeat(FRAME_OUT);
    let answer = talk.ask(json!({"op": "keylist", "keys": name}));
    assert_eq!(answer, json!({"keys": []}));
    let answer = talk.ask(json!({"op": name}));
    assert_eq!(answer["code"], 117_440_579);
    let text = answer["msg"].as_str().unwrap();
    assert!(text.ends_with("ask again with chunksize"), "{text}");
    let whole = talk.in_pieces(json!({"op": name}), 1_047_552);
    assert_eq!(whole["op"], name);
}

#[test]
fn policy_rules_it_like_any_other_client() {
    let ask = |rules: &str, request: Value| {
        let home = Home::new().policy(rules);
        Talk::new(&home).ask(request)
    };
    let refused = |answer: &Value, op: &str, word: &str| {
        assert_eq!(
            (&answer["code"], &answer["op"]),
            (&json!(FORBIDDEN), &json!(op)),
            "{answer}"
        );
        let text = answer["msg"].as_str().unwrap();
        assert!(
            text.contains("Forbidden: ") && text.contains(word),
            "{text}"
        );
    };
    let others = "clients = [\"mail@a.example\"]";
    refused(&ask(others, json!({"op": "keylist"})), "keylist", "clients");
    refused(&ask(others, json!({"op": "version"})), "version", "clients");
    let ours = "clients = [\"kajibbejlbohfaggdiogboambcijhkke\"]";
    assert_eq!(ask(ours, json!({"op": "keylist"})), json!({"keys": []}));
    let no_openpgp = "protocols = [\"smime\"]";
    refused(
        &ask(no_openpgp, json!({"op": "keylist"})),
        "keylist",
        "protocol",
    );
    let version = ask(no_openpgp, json!({"op": "version"}));
    assert_eq!(version["info"].as_array().unwrap().len(), 1);
    assert_eq!(ask("nonsense", json!({"op": "keylist"}))["code"], FORBIDDEN);
}

#[test]
fn a_question_goes_with_the_conversation() {
    let pinentry = Pinentry::new(&["%wait"]);
    let home = Home::new().pinentry(&pinentry);
    let mut talk = Talk::new(&home);
    talk.frame(br#"{"op":"createkey","userid":"A <a@a.example>"}"#);
    pinentry.until("waiting", 1);
    let pid = pinentry
        .diary()
        .iter()
        .find(|(event, _)| event == "waiting")
        .unwrap()
        .1;
    assert_eq!(talk.end(), 0);
    until("the dialog is gone", || !crate::harness::alive(pid));
    // Nobody to ask.
    let mut talk = Talk::new(&Home::new());
    let answer = talk.ask(json!({"op": "createkey", "userid": "A <a@a.example>"}));
    assert_eq!(answer["code"], 117_440_512 + 85, "{answer}");
}

#[test]
fn identify_looks_at_first_bytes() {
    let home = Home::new();
    let mut talk = Talk::new(&home);
    for (data, what) in [
        ("-----BEGIN PGP SIGNATURE-----\n", "PGP-signature"),
        ("-----BEGIN CERTIFICATE-----\n", "X.509"),
        ("hello", "unknown"),
    ] {
        assert_eq!(
            talk.ask(json!({"op": "identify", "data": data}))["result"],
            what
        );
    }
    let packet = json!({"op": "identify", "base64": true, "data": encode(b"\xc1\x0f\x03")});
    assert_eq!(talk.ask(packet)["result"], "PGP-encrypted");
}

/// Who reads nothing and says nothing is left alone.
#[test]
fn an_end_at_once_is_one() {
    let home = Home::new();
    assert_eq!(Talk::new(&home).end(), 0);
    let mut unread = Talk::new(&home);
    unread.frame(br#"{"op":"version"}"#);
    assert_eq!(unread.end(), 0);
    // In a terminal it speaks it too: the name alone counts.
    let command = home.command();
    let link = home.dir.path().join("sealpost-gpgmejson");
    let ended = Command::new(link)
        .env("SEALPOST_HOME", home.path())
        .arg("doctor")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ended.status.success() && ended.stdout.is_empty());
    drop(command);
}
