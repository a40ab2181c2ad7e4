//! How a conversation ends, and progress.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, LONG};
use super::service::Fake;
use crate::host::{Settings, run};

#[test]
fn an_empty_conversation_ends_well() {
    assert_eq!(Client::start().end(), 0);
}

#[test]
fn half_a_frame_is_status_1() {
    for bytes in [&b"\x05"[..], b"\x05\0\0\0", b"\x05\0\0\0abcd"] {
        let mut client = Client::start();
        client.raw(bytes);
        assert_eq!(client.end(), 1);
    }
}

#[test]
fn a_frame_too_large_is_answered_before_the_end() {
    for length in [64 * 1024 * 1024 + 1, u32::MAX] {
        let mut client = Client::start();
        client.raw(&length.to_ne_bytes());
        let reply = client.next();
        assert_eq!(reply["id"], Value::Null);
        assert_eq!(
            reply["error"]["data"],
            json!({"kind":"request.too-large","blame":"request"})
        );
        assert_eq!(client.status(), 1);
    }
}

#[test]
fn requests_that_were_read_are_finished() {
    let mut client = Client::start();
    for id in 0..50 {
        client.request(id, "test/echo", json!({"name":id}));
    }
    client.hang_up();
    let replies = client.replies(50);
    assert!(replies.values().all(|reply| reply["result"].is_object()));
    assert_eq!(client.end(), 0);
}

#[test]
fn what_takes_too_long_is_cancelled_and_the_host_ends() {
    let mut client = Client::start();
    client.request(1, "test/wait", json!({}));
    client.request(2, "test/wait", json!({"commit":true}));
    client.service.world().until_waiting(2);
    let started = Instant::now();
    client.hang_up();
    assert_eq!(client.reply(1)["error"]["code"], -32800);
    // The other one listens to nothing; it is not waited for.
    assert_eq!(client.status(), 0);
    assert!(started.elapsed() < LONG);
    client.service.world().release();
}

#[test]
fn a_client_that_does_not_read_ends_it_too() {
    let (input, to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    drop(from);
    let mut to = to;
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"test/echo"}"#;
    std::io::Write::write_all(&mut to, &(text.len() as u32).to_ne_bytes()).unwrap();
    std::io::Write::write_all(&mut to, text).unwrap();
    // The input stays open: nobody but the writer can notice.
    let status = run(
        input,
        output,
        Arc::new(Fake::default()),
        Settings::default(),
    );
    assert_eq!(status, 0);
    drop(to);
}

#[test]
fn unread_replies_hold_the_reader_up() {
    /// Hands out the same request again and again, and counts.
    struct Flood(Vec<u8>, usize, Arc<std::sync::atomic::AtomicUsize>);
    impl Read for Flood {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let rest = &self.0[self.1..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.1 = (self.1 + count) % self.0.len();
            self.2.fetch_add(
                usize::from(self.1 == 0),
                std::sync::atomic::Ordering::SeqCst,
            );
            Ok(count)
        }
    }
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
        "x".repeat(9_000)
    );
    let mut bytes = (text.len() as u32).to_ne_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let flood = Flood(bytes, 0, Arc::clone(&count));
    let (mut from, output) = std::io::pipe().unwrap();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = ended.send(run(
            flood,
            output,
            Arc::new(Fake::default()),
            Settings::default(),
        ));
    });
    let mut some = vec![0; 100_000];
    from.read_exact(&mut some).unwrap();
    drop(from);
    assert_eq!(end.recv_timeout(LONG).unwrap(), 0);
    assert!(count.load(std::sync::atomic::Ordering::SeqCst) > 0);
}

#[test]
fn progress_comes_to_who_wants_it() {
    let settings = || Settings {
        tick: Duration::from_millis(1),
        ..Settings::default()
    };
    let mut client = Client::with(settings());
    client.hello(json!({"progress":true}));
    client.request(1, "test/wait", json!({}));
    let progress = client.next();
    assert_eq!(progress["method"], "$/progress");
    assert!(progress.get("id").is_none());
    let params = &progress["params"];
    assert_eq!(params["id"], 1);
    assert!(matches!(
        params["stage"].as_str(),
        Some("queued" | "reading")
    ));
    assert_eq!(
        (&params["done"], &params["total"]),
        (&Value::Null, &Value::Null)
    );
    // Again in time, without a new stage.
    let again = client.next();
    assert_eq!(again["method"], "$/progress");
    client.service.world().release();
    client.reply(1);
    assert_eq!(client.end(), 0);

    let mut client = Client::with(settings());
    client.hello(json!({}));
    client.request(1, "test/wait", json!({}));
    client.service.world().until_waiting(1);
    client.service.world().release();
    assert_eq!(client.next()["id"], 1);
    assert_eq!(client.end(), 0);
}
