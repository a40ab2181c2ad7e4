//! The contract's transport, line by line, over the real binary.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    CHUNK, FRAME_IN, Fault, Home, Host, encode, export, generate, holds, import, pair, seal_one,
};

/// A request that stays in flight until its question is answered: no pinentry, and a client
/// that may be asked.
fn hanging(host: &mut Host) -> (u64, Value) {
    let id = host.send(
        "keys/generate",
        json!({"protocol": "openpgp", "name": "Waiting", "address": "waiting@sealpost.example", "passphrase": "ask"}),
    );
    let question = host.question();
    assert_eq!(question["method"], "ask/passphrase");
    (id, question)
}

fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

#[track_caller]
fn is_envelope_fault(fault: &Fault) {
    assert!(
        matches!(fault.code, -32700 | -32600),
        "an envelope fault, not {fault:?}"
    );
}

#[test]
fn the_host_never_speaks_first_and_ends_at_eof() {
    let home = Home::new();
    let mut host = home.start();
    host.close();
    host.drain();
    assert_eq!(host.exit(Duration::from_secs(20)).code(), Some(0));
    assert!(host.nameless.is_empty() && host.questions.is_empty());
    assert_eq!(host.stderr(), "");
}

#[test]
fn one_shot_needs_no_hello_under_either_browser() {
    let home = Home::new();
    for mut host in [home.start(), home.start_firefox()] {
        let listed = host.good("keys/list", json!({}));
        assert_eq!(listed["keys"], json!([]));
        assert!(listed["revision"].is_u64());
        host.close();
        assert_eq!(host.exit(Duration::from_secs(20)).code(), Some(0));
    }
}

#[test]
fn hello_says_what_there_is() {
    let home = Home::new();
    let mut host = home.start();
    let hello = host.good(
        "hello",
        json!({"protocol": [1, 7], "client": "tests/1", "locale": "de", "capabilities": {"progress": true, "ask": true}}),
    );
    assert_eq!(hello["protocol"], 1);
    assert!(hello["host"].as_str().unwrap().starts_with("sealpost/"));
    assert!(
        hello["engines"]
            .as_array()
            .unwrap()
            .contains(&json!("openpgp"))
    );
    assert_eq!(hello["limits"]["frameIn"], FRAME_IN);
    assert_eq!(hello["limits"]["frameOut"], 1_048_576);
    for limit in ["inlineOut", "blobTotal", "messageIn"] {
        assert!(hello["limits"][limit].as_u64().unwrap() > 0, "{limit}");
    }
    assert!(hello["limits"]["inlineOut"].as_u64().unwrap() <= 1_048_576);
    let methods = hello["capabilities"]["methods"].as_array().unwrap();
    for method in [
        "message/open",
        "message/seal",
        "message/plan",
        "text/decrypt",
        "text/verify",
        "text/encrypt",
        "text/sign",
        "keys/list",
        "keys/show",
        "keys/generate",
        "keys/import",
        "keys/export",
        "keys/delete",
        "keys/accept",
        "keys/unlock",
        "keys/lock",
        "blob/put",
        "blob/get",
        "blob/drop",
    ] {
        assert!(methods.contains(&json!(method)), "{method} is not offered");
    }
    assert!(hello["capabilities"]["features"].is_array());
}

#[test]
fn every_method_that_hello_lists_is_known() {
    let home = Home::new();
    let mut host = home.start();
    let hello = host.hello();
    for method in hello["capabilities"]["methods"].as_array().unwrap() {
        let method = method.as_str().unwrap();
        if let Err(fault) = host.call(method, json!({"noSuchField": 1})) {
            assert_ne!(fault.code, -32601, "{method}");
            assert_eq!(fault.kind(), "request.invalid", "{method}: {fault:?}");
            assert_eq!(fault.data["path"], "/noSuchField", "{method}");
        } else {
            panic!("{method} took an unknown field");
        }
    }
}

#[test]
fn versions_without_a_common_one() {
    let home = Home::new();
    let mut host = home.start();
    for (versions, update) in [(json!([2, 3]), "host"), (json!([0]), "client")] {
        let fault = host.fault(
            "hello",
            json!({"protocol": versions, "client": "tests/1", "capabilities": {}}),
        );
        assert_eq!(fault.kind(), "protocol.unsupported");
        assert_eq!(fault.data["host"], json!([1]));
        assert_eq!(fault.data["update"], update);
    }
    // The conversation goes on.
    host.hello();
    host.good("keys/list", json!({}));
}

#[test]
fn malformed_frames_are_answered_and_the_conversation_goes_on() {
    let home = Home::new();
    let mut host = home.start();
    let broken: Vec<(&str, Vec<u8>)> = vec![
        ("length 0", Vec::new()),
        ("broken JSON", b"{\"jsonrpc\":\"2.0\",".to_vec()),
        ("no JSON", b"hello".to_vec()),
        ("trailing text", b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"keys/list\",\"params\":{}} {}".to_vec()),
        ("invalid UTF-8", b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"keys/list\",\"params\":{\"query\":\"\xff\xfe\"}}".to_vec()),
        ("a NUL", b"\0".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("a batch", format!("[{}]", request("9", "keys/list", "{}")).into_bytes()),
        ("a string", b"\"keys/list\"".to_vec()),
        ("null", b"null".to_vec()),
        ("a lone surrogate", br#"{"jsonrpc":"2.0","id":"\ud800","method":"keys/list","params":{}}"#.to_vec()),
        ("nesting 65", nested(63).into_bytes()),
        ("nesting 100000", nested(100_000).into_bytes()),
        ("brackets only", vec![b'['; 1_000_000]),
    ];
    for (what, frame) in broken {
        host.frame(&frame);
        let fault = host.nameless();
        assert!(
            matches!(fault.code, -32700 | -32600),
            "{what} is an envelope fault, not {fault:?}"
        );
        host.good("keys/list", json!({}));
    }
}

/// A request whose JSON is nested `arrays` + 2 deep.
fn nested(arrays: usize) -> String {
    let value = format!("{}{}", "[".repeat(arrays), "]".repeat(arrays));
    request("9", "keys/list", &format!(r#"{{"query":{value}}}"#))
}

#[test]
fn nesting_of_64_is_read_and_brackets_in_strings_do_not_count() {
    let home = Home::new();
    let mut host = home.start();
    let deep: Value = serde_json::from_str(&nested(62)).unwrap();
    let fault = host.fault("keys/list", deep["params"].clone());
    assert_eq!(fault.kind(), "request.invalid");
    assert_eq!(fault.data["path"], "/query");
    host.good("keys/list", json!({"query": "[{\"\\".repeat(500)}));
}

#[test]
fn frames_may_come_in_drops_and_in_heaps() {
    let home = Home::new();
    let mut host = home.start();
    let one = |id: u64| {
        let text = request(&id.to_string(), "keys/list", "{}");
        let mut bytes = u32::try_from(text.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    // `send` registers the ids; what it sends itself is an ordinary request.
    let first = host.send("keys/list", json!({}));
    host.wait(first).unwrap();
    host.expect_reply(501);
    for byte in one(501) {
        host.raw(vec![byte]);
    }
    host.wait(501).unwrap();
    let mut heap = Vec::new();
    for id in 600..650 {
        host.expect_reply(id);
        heap.extend(one(id));
    }
    host.raw(heap);
    for id in (600..650).rev() {
        host.wait(id).unwrap();
    }
}

#[test]
fn a_frame_of_64_mib_is_read_and_one_byte_more_ends_the_conversation() {
    let home = Home::new();
    let mut host = home.start();
    host.expect_reply(7);
    let mut text = request("7", "keys/list", "{}").into_bytes();
    text.resize(FRAME_IN, b' ');
    host.frame(&text);
    host.wait(7).unwrap();
    for length in [FRAME_IN as u32 + 1, u32::MAX, 0x8000_0000] {
        let mut host = home.start();
        host.good("keys/list", json!({}));
        host.raw(length.to_ne_bytes().to_vec());
        let fault = host.nameless();
        assert_eq!(fault.kind(), "request.too-large");
        assert_eq!(fault.data["blame"], "request");
        host.drain();
        assert_eq!(host.exit(Duration::from_secs(20)).code(), Some(1));
    }
}

#[test]
fn eof_inside_a_frame_is_status_1() {
    let home = Home::new();
    for half in [
        &b"\x10"[..],
        b"\x10\0\0",
        b"\x10\0\0\0",
        b"\x10\0\0\0{\"jsonrpc\"",
    ] {
        let mut host = home.start();
        host.good("keys/list", json!({}));
        host.raw(half.to_vec());
        host.close();
        host.drain();
        assert_eq!(
            host.exit(Duration::from_secs(20)).code(),
            Some(1),
            "{half:?}"
        );
    }
}

#[test]
fn eof_lets_requests_finish() {
    let home = Home::new();
    let mut host = home.start();
    host.good("keys/list", json!({}));
    let ids: Vec<u64> = (0..20).map(|_| host.send("keys/list", json!({}))).collect();
    let closed = Instant::now();
    host.close();
    host.drain();
    // A second is theirs; what a busy machine had not done by then is cancelled.
    let in_time = closed.elapsed() < Duration::from_millis(900);
    for id in ids {
        assert!(host.has(id), "request {id} was read and never answered");
        if let Err(fault) = host.wait(id) {
            assert!(!in_time && fault.kind() == "cancelled", "{fault:?}");
        }
    }
    assert_eq!(host.exit(Duration::from_secs(20)).code(), Some(0));
}

#[test]
fn eof_ends_what_waits_for_a_person() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    hanging(&mut host);
    host.close();
    host.drain();
    assert_eq!(host.exit(Duration::from_secs(20)).code(), Some(0));
}

#[test]
fn an_id_in_flight_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let (id, question) = hanging(&mut host);
    host.json(&json!({"jsonrpc": "2.0", "id": id, "method": "keys/list", "params": {}}));
    let refused = host.wait_raw(id).unwrap_err();
    assert_eq!(refused.code, -32600);
    host.answer(&question, json!({"passphrase": "one of many"}));
    // Asked for twice where it makes something new.
    let key = loop {
        if host.has(id) {
            break host.wait(id).unwrap();
        }
        assert!(host.pump(Instant::now() + host.patience));
        if let Some(again) = host.questions.pop_front() {
            host.answer(&again, json!({"passphrase": "one of many"}));
        }
    };
    assert_eq!(key["key"]["secret"], "locked");
    // Answered: the number is free again.
    host.json(&json!({"jsonrpc": "2.0", "id": id, "method": "keys/list", "params": {}}));
    host.wait(id).unwrap();
}

#[test]
fn ids_are_0_to_2_53_less_1() {
    let home = Home::new();
    let mut host = home.start();
    for id in [0u64, (1 << 53) - 1] {
        host.json(&json!({"jsonrpc": "2.0", "id": id, "method": "keys/list", "params": {}}));
        host.wait(id).unwrap();
    }
    for id in [
        "9007199254740992",
        "18446744073709551615",
        "99999999999999999999999",
        "-1",
        "1.5",
        "1e3",
        "\"1\"",
        "true",
        "[1]",
        "{}",
    ] {
        host.frame(request(id, "keys/list", "{}").as_bytes());
        is_envelope_fault(&host.nameless());
    }
    host.good("keys/list", json!({}));
}

#[test]
fn methods_and_fields_that_do_not_exist() {
    let home = Home::new();
    let mut host = home.start();
    let fault = host.fault("keys/sing", json!({}));
    assert_eq!(fault.code, -32601);
    assert!(!fault.message.contains("sing"), "quotes the request");
    for (method, params, path) in [
        ("keys/list", json!({"zeppelin": 1}), "/zeppelin"),
        ("keys/list", json!({"query": 5}), "/query"),
        ("keys/show", json!({}), "/id"),
        ("keys/show", json!({"id": "openpgp:zz"}), "/id"),
        ("message/open", json!({}), ""),
        (
            "message/open",
            json!({"message": {"text": "", "zeppelin": 1}}),
            "/message",
        ),
        (
            "message/open",
            json!({"message": {"text": ""}, "ask": "sometimes"}),
            "/ask",
        ),
        (
            "message/open",
            json!({"message": {"text": ""}, "at": "zeppelin"}),
            "/at",
        ),
        (
            "message/open",
            json!({"message": {"base64": "zeppelin!"}}),
            "/message",
        ),
        (
            "message/seal",
            json!({"draft": {"zeppelin~/": 1}, "protect": {}}),
            "/draft",
        ),
        (
            "message/seal",
            json!({"draft": {"attachments": [{"zeppelin": 1}]}, "protect": {"sign": true}}),
            "/draft/attachments/0",
        ),
    ] {
        let fault = host.fault(method, params.clone());
        assert_eq!(
            fault.kind(),
            "request.invalid",
            "{method} {params}: {fault:?}"
        );
        assert_eq!(fault.data["blame"], "request");
        let found = fault.data["path"].as_str().expect("a path");
        assert!(found.starts_with(path), "{method} {params}: {found}");
        assert!(
            !fault.message.contains("zeppelin"),
            "quotes the request: {}",
            fault.message
        );
    }
    for params in ["[]", "5", "null", "\"x\""] {
        let id = host.reserve();
        host.frame(request(&id.to_string(), "keys/list", params).as_bytes());
        // `null` may stand for no parameters at all.
        if let Err(fault) = host.wait_raw(id) {
            assert!(
                matches!(fault.code, -32600 | -32602) || fault.kind() == "request.invalid",
                "{params}: {fault:?}"
            );
        } else {
            assert_eq!(params, "null");
        }
    }
    host.good("keys/list", json!({}));
}

#[test]
fn blobs_are_built_frozen_and_dropped() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let first = host.good(
        "blob/put",
        json!({"offset": 0, "base64": encode(b"Subject: a\r\n")}),
    );
    let blob = first["blob"].as_str().unwrap().to_owned();
    assert!(blob.len() >= 16, "guessable");
    assert_eq!(first["size"], 12);
    for offset in [0u64, 11, 13, 1 << 40] {
        let fault = host.fault(
            "blob/put",
            json!({"blob": blob, "offset": offset, "base64": ""}),
        );
        assert_eq!(fault.kind(), "request.invalid");
        assert_eq!(fault.data["path"], "/offset");
    }
    let fault = host.fault("blob/put", json!({"offset": 5, "base64": ""}));
    assert_eq!(fault.kind(), "request.invalid");
    let fault = host.fault(
        "blob/put",
        json!({"blob": blob, "offset": 12, "base64": "%%%"}),
    );
    assert_eq!(fault.kind(), "request.invalid");
    assert_eq!(fault.data["path"], "/base64");
    let second = host.good(
        "blob/put",
        json!({"blob": blob, "offset": 12, "base64": encode(b"\r\nbody\r\n")}),
    );
    assert_eq!(second["size"], 20);

    let opened = host.good(
        "message/open",
        json!({"message": {"blob": blob, "size": 20}}),
    );
    assert_eq!(opened["headers"]["subject"]["value"], "a");
    // Frozen by its first use, and lent, not spent.
    host.fault(
        "blob/put",
        json!({"blob": blob, "offset": 20, "base64": encode(b"more")}),
    );
    host.good(
        "message/open",
        json!({"message": {"blob": blob, "size": 20}}),
    );

    let piece = host.good("blob/get", json!({"blob": blob, "offset": 9, "length": 5}));
    assert_eq!(piece["end"], false);
    assert_eq!(piece["base64"], encode(b"a\r\n\r\n"));
    let rest = host.good(
        "blob/get",
        json!({"blob": blob, "offset": 14, "length": CHUNK}),
    );
    assert_eq!(rest["end"], true);
    assert_eq!(rest["base64"], encode(b"body\r\n"));

    host.good("blob/drop", json!({"blob": blob}));
    for (method, params) in [
        ("blob/get", json!({"blob": blob, "offset": 0, "length": 1})),
        (
            "blob/put",
            json!({"blob": blob, "offset": 20, "base64": ""}),
        ),
        (
            "message/open",
            json!({"message": {"blob": blob, "size": 20}}),
        ),
        (
            "blob/get",
            json!({"blob": "nothing", "offset": 0, "length": 1}),
        ),
    ] {
        assert_eq!(
            host.fault(method, params).kind(),
            "blob.unknown",
            "{method}"
        );
    }
}

#[test]
fn a_piece_is_at_most_720_kib() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let bytes = vec![7u8; 2 * CHUNK + 5];
    let blob = host.put(&bytes);
    match host.call(
        "blob/get",
        json!({"blob": blob, "offset": 0, "length": CHUNK + 1}),
    ) {
        Ok(piece) => {
            let got = piece["base64"].as_str().unwrap().len() / 4 * 3;
            assert!(got <= CHUNK + 2);
            assert_eq!(piece["end"], false);
        }
        Err(fault) => assert_eq!(fault.kind(), "request.invalid"),
    }
    assert_eq!(host.pull(&blob), bytes);
}

#[test]
fn blobs_belong_to_their_connection() {
    let home = Home::new();
    let mut one = home.start();
    let mut other = home.start();
    let blob = one.put(b"Subject: mine\r\n\r\n");
    let fault = other.fault("blob/get", json!({"blob": blob, "offset": 0, "length": 10}));
    assert_eq!(fault.kind(), "blob.unknown");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        assert!(seen.insert(one.put(b"x")), "a blob id was used again");
    }
}

#[test]
fn blobs_take_effect_in_order_of_arrival() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let blob = host.good("blob/put", json!({"offset": 0, "base64": ""}))["blob"].clone();
    let mut ids = Vec::new();
    let mut size = 0;
    for n in 0..200u32 {
        let piece = format!("line {n}\r\n");
        ids.push(host.send(
            "blob/put",
            json!({"blob": blob, "offset": size, "base64": encode(piece.as_bytes())}),
        ));
        size += piece.len();
    }
    let open = host.send(
        "message/open",
        json!({"message": {"blob": blob, "size": size}}),
    );
    let drop = host.send("blob/drop", json!({"blob": blob}));
    for id in ids {
        host.wait(id).unwrap();
    }
    host.wait(drop).unwrap();
    // Borrowed before the drop was read: whatever it says of such a message, it has it.
    match host.wait(open) {
        Ok(_) => {}
        Err(fault) => assert_ne!(fault.kind(), "blob.unknown"),
    }
}

#[test]
fn large_results_are_parked_and_one_shot_is_told_to_use_a_port() {
    let pair_of_hosts = pair("compatible");
    let mut bob = pair_of_hosts.bob;
    let mut alice = pair_of_hosts.alice;
    let text = "0123456789abcdef\r\n".repeat(120_000);
    let sealed = seal_one(
        &mut alice,
        json!({"from": "alice@sealpost.example", "to": ["bob@sealpost.example"], "subject": "long", "text": {"text": text}}),
        json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
    );
    let opened = bob.open(&sealed).unwrap();
    let part = &opened["parts"][0];
    assert!(part["body"]["blob"].is_string(), "{}", part["body"]);
    assert_eq!(bob.bytes(&part["body"]), text.as_bytes());

    let mut one_shot = pair_of_hosts.bob_home.start();
    let message = one_shot.put(&sealed);
    let fault = one_shot.fault(
        "message/open",
        json!({"message": {"blob": message, "size": sealed.len()}}),
    );
    assert_eq!(fault.kind(), "limit.exceeded", "{fault:?}");
    assert_eq!(fault.data["use"], "port");
}

#[test]
fn a_result_that_no_frame_can_hold_is_pulled_as_json() {
    let home = Home::new();
    let mut host = home.start();
    let hello = host.hello();
    let to: Vec<String> = (0..9000)
        .map(|n| format!("{}{n}@{}.example", "a".repeat(50), "b".repeat(60)))
        .collect();
    let params = json!({"from": "alice@sealpost.example", "to": to, "cc": [], "bcc": [],
        "protect": {"sign": false, "encrypt": true, "protocol": "openpgp"}});
    let whole = match host.call_raw("message/plan", params) {
        Err(fault) => {
            assert_eq!(fault.kind(), "limit.exceeded", "{fault:?}");
            panic!("too many recipients for a plan: {fault:?} {hello}");
        }
        Ok(reply) => {
            let blob = reply["$blob"].as_str().expect("a parked result").to_owned();
            let text = host.pull(&blob);
            assert_eq!(reply["size"], text.len());
            serde_json::from_slice::<Value>(&text).unwrap()
        }
    };
    let recipients = whole["recipients"].as_array().unwrap();
    assert_eq!(recipients.len(), to.len());
    for (n, recipient) in recipients.iter().enumerate() {
        assert_eq!(recipient["address"], to[n]);
        assert_eq!(recipient["state"], "no-key");
    }
}

#[test]
fn cancel_means_that_nothing_was_changed() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    // Of nothing: silence.
    host.notify("$/cancelRequest", json!({"id": 4711}));
    let (id, question) = hanging(&mut host);
    host.notify("$/cancelRequest", json!({"id": id}));
    let fault = host.wait_raw(id).unwrap_err();
    assert_eq!(fault.code, -32800);
    assert_eq!(fault.kind(), "cancelled");
    // The question is taken back.
    let deadline = Instant::now() + host.patience;
    while host.taken_back.is_empty() {
        assert!(host.pump(deadline), "the question was not taken back");
    }
    assert_eq!(host.taken_back[0], question["id"]);
    // An answer that comes too late hurts nobody.
    host.answer(&question, json!({"passphrase": "too late"}));
    assert_eq!(host.good("keys/list", json!({}))["keys"], json!([]));
}

#[test]
fn progress_goes_to_whom_it_was_promised() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let (id, _question) = hanging(&mut host);
    let deadline = Instant::now() + host.patience;
    let asking = |host: &Host| {
        host.progress
            .iter()
            .filter(|p| p["id"] == id && p["stage"] == "asking")
            .count()
    };
    while asking(&host) < 2 {
        assert!(host.pump(deadline), "no progress: {:?}", host.progress);
    }
    for progress in &host.progress {
        let stage = progress["stage"].as_str().unwrap();
        assert!(
            [
                "queued", "reading", "asking", "crypto", "writing", "network"
            ]
            .contains(&stage)
        );
        assert!(progress.get("done").is_some() && progress.get("total").is_some());
    }
    // Without having asked for it there is none.
    let mut quiet = home.start();
    quiet.good(
        "hello",
        json!({"protocol": [1], "client": "tests/1", "capabilities": {"ask": true}}),
    );
    let (id, question) = hanging(&mut quiet);
    quiet.notify("$/cancelRequest", json!({"id": id}));
    quiet.wait_raw(id).unwrap_err();
    drop(question);
    assert!(quiet.progress.is_empty());
}

#[test]
fn requests_run_side_by_side() {
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    // Several that wait for a person hold nobody up.
    let waiting: Vec<u64> = (0..12)
        .map(|n| {
            host.send(
                "keys/generate",
                json!({"protocol": "openpgp", "name": "W", "address": format!("w{n}@sealpost.example"), "passphrase": "ask"}),
            )
        })
        .collect();
    host.question();
    let id = generate(&mut host, "Quick", "quick@sealpost.example", "compatible");
    assert!(export(&mut host, &[&id]).contains("BEGIN PGP PUBLIC KEY BLOCK"));
    for id in &waiting {
        host.notify("$/cancelRequest", json!({"id": id}));
    }
    for id in waiting {
        assert_eq!(host.wait_raw(id).unwrap_err().kind(), "cancelled");
    }
}

#[test]
fn no_secret_reaches_a_log_or_stderr() {
    use std::os::unix::fs::PermissionsExt;
    let subject = "Zebrasubject-8137";
    let words = "Okapibody-4471";
    let person = "gnulocal-9932";
    let passphrase = "Tapirpass-5528";
    let file = "Yakfile-1180.txt";
    for level in ["trace", "debug"] {
        let home = Home::new().env("SEALPOST_LOG", level);
        let mut host = home.start();
        host.hello();
        let address = format!("{person}@sealpost.example");
        let id = host.send(
            "keys/generate",
            json!({"protocol": "openpgp", "name": "Name", "address": address, "passphrase": "ask"}),
        );
        let key = loop {
            if host.has(id) {
                break host.wait(id).unwrap();
            }
            assert!(host.pump(Instant::now() + host.patience));
            if let Some(question) = host.questions.pop_front() {
                host.answer(&question, json!({"passphrase": passphrase}));
            }
        };
        let key = key["key"]["id"].as_str().unwrap().to_owned();
        let seal = host.send(
            "message/seal",
            json!({"draft": {"from": address, "to": [address], "subject": subject, "text": {"text": words},
                   "attachments": [{"name": file, "type": "text/plain", "body": {"text": words}}]},
                   "protect": {"sign": true, "encrypt": true, "protocol": "openpgp"}}),
        );
        let sealed = loop {
            if host.has(seal) {
                break host.wait(seal).unwrap();
            }
            assert!(host.pump(Instant::now() + host.patience));
            if let Some(question) = host.questions.pop_front() {
                host.answer(&question, json!({"passphrase": passphrase}));
            }
        };
        let message = host.bytes(&sealed["messages"][0]["message"].clone());
        let opened = host.open(&message).unwrap();
        assert_eq!(opened["headers"]["subject"]["value"], subject);
        // Faults too.
        let mut cut = message.clone();
        cut.truncate(message.len() - 200);
        let _ = host.open(&cut);
        host.fault(
            "message/open",
            json!({"message": {"text": words, "field": words}}),
        );
        host.frame(format!("{{\"{words}").as_bytes());
        host.nameless();
        let _ = host.call("keys/show", json!({"id": format!("openpgp:{words}")}));
        import(
            &mut host,
            &export_bytes(&mut home.start(), &key),
            json!(null),
        );
        host.close();
        host.drain();
        host.exit(Duration::from_secs(20));

        let files = home.files();
        let logs: Vec<_> = files
            .iter()
            .filter(|f| f.parent().is_some_and(|dir| dir.ends_with("log")))
            .cloned()
            .collect();
        assert!(!logs.is_empty(), "no log file in {files:?}");
        for log in &logs {
            let mode = std::fs::metadata(log).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", log.display());
            assert!(std::fs::metadata(log).unwrap().len() > 0);
        }
        for secret in [subject, words, person, passphrase, file] {
            assert_eq!(holds(&logs, secret), None, "{secret} in a log ({level})");
            assert!(
                !host.stderr().contains(secret),
                "{secret} on stderr ({level})"
            );
        }
        // What was written and said lies nowhere at all.
        for secret in [subject, words, passphrase, file] {
            assert_eq!(holds(&files, secret), None, "{secret} in the state folder");
        }
    }
}

fn export_bytes(host: &mut Host, id: &str) -> Vec<u8> {
    export(host, &[id]).into_bytes()
}
