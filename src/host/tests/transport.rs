//! Transport, hello, errors, blobs.

use serde_json::{Value, json};

use super::client::Client;

fn code(reply: &Value) -> (Value, Value) {
    (reply["id"].clone(), reply["error"]["code"].clone())
}

#[test]
fn hello_says_what_there_is() {
    let mut client = Client::start();
    let welcome = client.hello(json!({"progress":true,"ask":false}));
    assert_eq!(welcome["protocol"], 1);
    assert!(welcome["host"].as_str().unwrap().starts_with("sealpost/"));
    assert_eq!(welcome["limits"]["frameIn"], 64 * 1024 * 1024);
    assert_eq!(welcome["limits"]["frameOut"], 1_048_576);
    for limit in ["inlineOut", "blobTotal", "messageIn"] {
        assert!(welcome["limits"][limit].is_u64(), "{limit}");
    }
    let methods = welcome["capabilities"]["methods"].as_array().unwrap();
    for method in ["hello", "blob/put", "blob/get", "blob/drop", "test/echo"] {
        assert!(methods.contains(&json!(method)), "{method}");
    }
    assert!(welcome["capabilities"]["features"].is_array());
    assert_eq!(
        client.error("hello", json!({"protocol":[2],"client":"x"})),
        json!({"kind":"protocol.unsupported","blame":"request","host":[1],"update":"host"})
    );
    assert_eq!(client.end(), 0);
}

#[test]
fn bad_frames_are_answered_and_the_conversation_goes_on() {
    let mut client = Client::start();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (text, number) in [
        (&b""[..], -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc3\x28\"}",
            -32700,
        ),
        (b"[]", -32600),
        (b"7", -32600),
        (deep.as_bytes(), -32600),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"hello\"}",
            -32600,
        ),
    ] {
        client.frame(text);
        let reply = client.next();
        assert_eq!(code(&reply), (Value::Null, json!(number)));
        assert_eq!(reply["jsonrpc"], "2.0");
    }
    client.request(9_007_199_254_740_991, "test/echo", json!({}));
    assert!(client.reply(9_007_199_254_740_991)["result"].is_object());
    client.request(0, "no/such", json!({}));
    assert_eq!(code(&client.next()), (json!(0), json!(-32601)));
    client.request(0, "test/echo", json!([]));
    assert_eq!(code(&client.next()), (json!(0), json!(-32602)));
    assert_eq!(client.end(), 0);
}

#[test]
fn notifications_are_never_answered() {
    let mut client = Client::start();
    client.notify("test/panic", json!({}));
    client.notify("no/such", json!({}));
    client.notify("$/cancelRequest", json!({"id":"x"}));
    client.notify("$/cancelRequest", json!({"id":77}));
    client.send(&json!({"jsonrpc":"2.0","id":5,"result":{"passphrase":"unasked"}}));
    client.result("test/echo", json!({}));
    assert_eq!(client.end(), 0);
}

#[test]
fn an_unknown_field_is_named_in_data_alone() {
    let mut client = Client::start();
    client.request(
        1,
        "test/echo",
        json!({"bodies":[{"text":"a"},{"sesame":1}]}),
    );
    let reply = client.next();
    assert_eq!(code(&reply), (json!(1), json!(1)));
    assert_eq!(
        reply["error"]["data"],
        json!({"kind":"request.invalid","blame":"request","path":"/bodies/1/sesame"})
    );
    assert!(
        !reply["error"]["message"]
            .as_str()
            .unwrap()
            .contains("sesame")
    );
    for (method, params, path) in [
        ("blob/put", json!({"offset":0,"base64":"!"}), "/base64"),
        ("blob/put", json!({"offset":-1,"base64":""}), "/offset"),
        ("blob/put", json!({"base64":""}), "/offset"),
        (
            "blob/get",
            json!({"blob":"x","offset":0,"length":1,"more":0}),
            "/more",
        ),
        ("blob/drop", json!({}), "/blob"),
    ] {
        assert_eq!(client.error(method, params)["path"], path);
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn frames_may_come_in_any_pieces() {
    let mut client = Client::start();
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"test/echo"}"#;
    let mut bytes = (text.len() as u32).to_ne_bytes().to_vec();
    bytes.extend_from_slice(text);
    for byte in &bytes {
        client.raw(&[*byte]);
    }
    client.reply(1);
    // Several in one write; the last in two.
    let again = |id: char| {
        let mut bytes = bytes.clone();
        let at = bytes.len() - text.len() + 22;
        bytes[at] = id as u8;
        bytes
    };
    let row = [again('2'), again('3'), again('4')].concat();
    client.raw(&row[..row.len() - 7]);
    let first = client.replies(2);
    assert_eq!(first.into_keys().collect::<Vec<_>>(), [2, 3]);
    client.raw(&row[row.len() - 7..]);
    client.reply(4);
    assert_eq!(client.end(), 0);
}

#[test]
fn a_panic_is_internal_and_ends_nothing() {
    let mut client = Client::start();
    for _ in 0..10 {
        client.request(1, "test/panic", json!({}));
        let reply = client.reply(1);
        assert_eq!(
            reply["error"]["data"],
            json!({"kind":"internal","blame":"host"})
        );
        assert!(!reply.to_string().contains("sesame"));
    }
    client.result("test/echo", json!({}));
    assert_eq!(client.end(), 0);
}

#[test]
fn blobs_go_in_and_out_in_pieces() {
    let mut client = Client::start();
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    let blob = client.put(&bytes[..700_000]);
    let base64 = base64_simd::STANDARD.encode_to_string(&bytes[700_000..]);
    for wrong in [0, 699_999, 700_001] {
        let params = json!({"blob":blob,"offset":wrong,"base64":base64});
        assert_eq!(client.error("blob/put", params)["path"], "/offset");
    }
    let params = json!({"blob":blob,"offset":700_000,"base64":base64});
    let stored = client.result("blob/put", params);
    assert_eq!(stored, json!({"blob":blob,"size":2_000_000}));
    assert_eq!(client.get(&blob), bytes);
    let params = json!({"blob":blob,"offset":2_000_000,"base64":"AA=="});
    assert_eq!(client.error("blob/put", params)["path"], "/blob");
    assert_eq!(client.result("blob/drop", json!({"blob":blob})), json!({}));
    for (method, params) in [
        ("blob/get", json!({"blob":blob,"offset":0,"length":1})),
        ("blob/drop", json!({"blob":blob})),
        ("blob/put", json!({"blob":blob,"offset":0,"base64":""})),
        ("test/echo", json!({"bodies":[{"blob":blob}]})),
    ] {
        assert_eq!(client.error(method, params)["kind"], "blob.unknown");
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn a_blob_of_another_connection_is_unknown() {
    let mut one = Client::start();
    let mut other = Client::start();
    let blob = one.put(b"mine");
    let params = json!({"blob":blob,"offset":0,"length":1});
    assert_eq!(other.error("blob/get", params)["kind"], "blob.unknown");
    assert_eq!((one.end(), other.end()), (0, 0));
}

#[test]
fn a_request_borrows_what_was_there_when_it_came() {
    let mut client = Client::greeted();
    let blob = client.put(b"borrowed");
    // Sent in one go: the drop arrives while the request waits, or before it began.
    client.request(1, "test/wait", json!({"bodies":[{"blob":blob,"size":8}]}));
    client.request(2, "blob/drop", json!({"blob":blob}));
    assert!(client.reply(2)["result"].is_object());
    let params = json!({"blob":blob,"offset":0,"length":1});
    assert_eq!(client.error("blob/get", params)["kind"], "blob.unknown");
    client.service.world().release();
    let reply = client.reply(1);
    assert_eq!(reply["result"]["bodies"][0], json!({"text":"borrowed"}));

    let blob = client.put(b"half");
    client.request(3, "test/echo", json!({"bodies":[{"blob":blob,"size":8}]}));
    assert_eq!(client.reply(3)["error"]["data"]["kind"], "request.invalid");
    assert_eq!(client.end(), 0);
}

#[test]
fn large_results_are_parked_for_who_can_come_back() {
    let bytes: Vec<u8> = b"0123456789abcde\n".repeat(100_000);
    let mut client = Client::greeted();
    let blob = client.put(&bytes);
    let params = json!({"bodies":[{"text":"small"},{"blob":blob}]});
    let result = client.result("test/echo", params);
    assert_eq!(result["bodies"][0], json!({"text":"small"}));
    assert_eq!(result["bodies"][1]["size"], bytes.len());
    let parked = result["bodies"][1]["blob"].as_str().unwrap();
    assert_ne!(parked, blob);
    assert_eq!(client.get(parked), bytes);
    // What came out can go in again.
    let again = client.result("test/echo", json!({"bodies":[{"blob":parked}]}));
    assert_eq!(again["bodies"][0]["size"], bytes.len());
    // A result without bodies comes as text to be pulled.
    let result = client.result("test/echo", json!({"name":2_000_000}));
    let text = client.get(result["$blob"].as_str().unwrap());
    assert_eq!(result["size"], text.len());
    let value: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["name"].as_str().unwrap().len(), 2_000_000);
    assert_eq!(client.end(), 0);

    let mut once = Client::start();
    let blob = once.put(&bytes);
    assert_eq!(
        once.error("test/echo", json!({"bodies":[{"blob":blob}]})),
        json!({"kind":"limit.exceeded","blame":"message","limit":"frameOut","use":"port"})
    );
    assert_eq!(once.end(), 0);
}

#[test]
fn old_results_make_room() {
    let mut client = Client::greeted();
    let blob = client.put(&vec![7; 60 * 1024 * 1024 / 4]);
    let echo = json!({"bodies":[{"blob":blob},{"blob":blob},{"blob":blob},{"blob":blob}]});
    let parked = |result: &Value| {
        let bodies = result["bodies"].as_array().unwrap();
        let ids = bodies
            .iter()
            .map(|body| body["blob"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let first = parked(&client.result("test/echo", echo.clone()));
    let mut last = Vec::new();
    for _ in 0..4 {
        last = parked(&client.result("test/echo", echo.clone()));
    }
    let get = |blob: &str| json!({"blob":blob,"offset":0,"length":1});
    assert_eq!(
        client.error("blob/get", get(&first[0]))["kind"],
        "blob.unknown"
    );
    assert_eq!(client.result("blob/get", get(&last[3]))["end"], false);
    assert_eq!(client.result("blob/get", get(&blob))["end"], false);
    assert_eq!(client.end(), 0);
}

#[test]
fn an_id_in_flight_is_refused_and_the_first_goes_on() {
    let mut client = Client::start();
    client.request(1, "test/wait", json!({"name":1}));
    client.service.world().until_waiting(1);
    for method in ["test/echo", "hello", "blob/put", "no/such"] {
        client.request(1, method, json!({}));
        assert_eq!(code(&client.next()), (json!(1), json!(-32600)));
    }
    client.service.world().release();
    assert_eq!(client.reply(1)["result"]["name"], "n");
    client.request(1, "test/echo", json!({}));
    client.reply(1);
    assert_eq!(client.end(), 0);
}

#[test]
fn a_flood_is_bounded() {
    let mut client = Client::start();
    client.request(1_000_000, "test/wait", json!({}));
    for id in 0..400 {
        client.request(id, "test/wait", json!({}));
    }
    let refused = client.replies(400 - 255);
    assert!(refused.values().all(|reply| {
        reply["error"]["data"]["kind"] == "limit.exceeded"
            && reply["error"]["data"]["limit"] == "requests"
    }));
    client.service.world().release();
    let served = client.replies(256);
    assert!(served.values().all(|reply| reply["result"].is_object()));
    assert_eq!(client.end(), 0);
}

#[test]
fn requests_run_side_by_side() {
    let mut client = Client::start();
    client.request(1, "test/wait", json!({}));
    client.service.world().until_waiting(1);
    client.request(2, "test/echo", json!({}));
    client.reply(2);
    client.request(3, "test/wait", json!({}));
    client.service.world().until_waiting(2);
    // However many workers are busy, the reader answers these itself.
    for id in 4..12 {
        client.request(id, "test/wait", json!({}));
    }
    client.result("keys/lock", json!({}));
    client.put(b"blob");
    client.hello(json!({}));
    client.service.world().release();
    assert_eq!(client.replies(10).len(), 10);
    assert_eq!(client.end(), 0);
}

#[test]
fn cancels_end_what_has_not_been_done() {
    let mut client = Client::start();
    client.request(1, "test/wait", json!({}));
    client.request(2, "test/wait", json!({"commit":true,"name":2}));
    client.service.world().until_waiting(2);
    for id in 3..100 {
        client.request(id, "test/wait", json!({}));
    }
    for id in (3..100).chain([1, 2, 1, 2, 500]) {
        client.cancel(id);
    }
    let cancelled = client.replies(98);
    for (id, reply) in &cancelled {
        assert_eq!(reply["error"]["code"], -32800, "{id}");
        assert_eq!(
            reply["error"]["data"],
            json!({"kind":"cancelled","blame":"request"})
        );
    }
    assert!(!cancelled.contains_key(&2));
    client.service.world().release();
    assert_eq!(client.reply(2)["result"]["name"], "nn");
    // Too late: it has its reply.
    client.cancel(2);
    client.result("test/echo", json!({}));
    assert_eq!(client.end(), 0);
}

#[test]
fn whatever_a_cancel_meets_there_is_one_reply() {
    let mut client = Client::start();
    client.service.world().release();
    for id in 0..500 {
        client.request(id, "test/wait", json!({}));
        client.cancel(id);
        let reply = client.reply(id);
        assert!(reply["result"].is_object() || reply["error"]["code"] == -32800);
    }
    assert_eq!(client.end(), 0);
}
