//! The client's half of a dialogue.

use std::io::{PipeReader, PipeWriter, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::service::Fake;
use crate::host::{Settings, run};
use crate::store::Home;
use crate::verbs::World;
use crate::wire::call::Service;
use crate::wire::frame::{self, FRAME_OUT};
use crate::wire::methods::Verbs;

/// Longer than anything here takes; shorter than somebody's patience.
pub const LONG: Duration = Duration::from_secs(60);

pub struct Client {
    to: Option<PipeWriter>,
    replies: Receiver<Value>,
    exit: Receiver<u8>,
    reading: Arc<Mutex<Option<PipeReader>>>,
    pub service: Arc<Fake>,
}

impl Client {
    /// A conversation that has just begun.
    pub fn start() -> Client {
        Client::with(Settings::default())
    }

    /// After a hello that offers nothing.
    pub fn greeted() -> Client {
        let mut client = Client::start();
        client.hello(json!({}));
        client
    }

    pub fn with(settings: Settings) -> Client {
        let service = Arc::new(Fake::default());
        Client::over(Arc::clone(&service) as Arc<dyn Service>, service, settings)
    }

    /// A conversation with the verbs, over an empty home.
    pub fn real(home: &std::path::Path, settings: Settings) -> Client {
        let world = World::open(Home::at(home));
        let verbs = Arc::new(Verbs::new(Arc::new(world)));
        Client::over(verbs, Arc::new(Fake::default()), settings)
    }

    fn over(theirs: Arc<dyn Service>, service: Arc<Fake>, settings: Settings) -> Client {
        let (input, to) = std::io::pipe().unwrap();
        let (from, output) = std::io::pipe().unwrap();
        let (ended, exit) = channel();
        thread::spawn(move || {
            let _ = ended.send(run(input, output, theirs, settings));
        });
        let (sender, replies) = channel();
        let reading = Arc::new(Mutex::new(Some(from)));
        let taken = reading.lock().unwrap().take().unwrap();
        thread::spawn(move || {
            let mut from = taken;
            while let Ok(Some(text)) = frame::read(&mut from) {
                assert!(text.len() <= FRAME_OUT, "a frame of {} bytes", text.len());
                let value = serde_json::from_slice(&text).expect("JSON");
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        Client {
            to: Some(to),
            replies,
            exit,
            reading,
            service,
        }
    }

    pub fn hello(&mut self, capabilities: Value) -> Value {
        self.result(
            "hello",
            json!({"protocol":[1],"client":"test","capabilities":capabilities}),
        )
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.to.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// One frame with this text.
    pub fn frame(&mut self, text: &[u8]) {
        let mut bytes = u32::try_from(text.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend_from_slice(text);
        self.raw(&bytes);
    }

    pub fn send(&mut self, message: &Value) {
        self.frame(&serde_json::to_vec(message).unwrap());
    }

    pub fn request(&mut self, id: u64, method: &str, params: Value) {
        self.send(&json!({"jsonrpc":"2.0","id":id,"method":method,"params":params}));
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc":"2.0","method":method,"params":params}));
    }

    pub fn cancel(&mut self, id: u64) {
        self.notify("$/cancelRequest", json!({"id":id}));
    }

    /// The next frame of the host.
    pub fn next(&mut self) -> Value {
        self.replies.recv_timeout(LONG).expect("a frame in time")
    }

    /// The next frame that is the reply `id`; what comes before it must be progress.
    pub fn reply(&mut self, id: u64) -> Value {
        loop {
            let value = self.next();
            if value["method"] != "$/progress" {
                assert_eq!(value["id"], id, "{value}");
                return value;
            }
        }
    }

    /// Replies in whatever order, by id.
    pub fn replies(&mut self, count: usize) -> std::collections::BTreeMap<u64, Value> {
        (0..count)
            .map(|_| {
                let value = self.next();
                (value["id"].as_u64().expect("an id"), value)
            })
            .collect()
    }

    /// One request, and its result.
    pub fn result(&mut self, method: &str, params: Value) -> Value {
        self.request(4711, method, params);
        let reply = self.reply(4711);
        assert!(reply.get("error").is_none(), "{reply}");
        reply["result"].clone()
    }

    /// One request, and its error's data.
    pub fn error(&mut self, method: &str, params: Value) -> Value {
        self.request(4712, method, params);
        self.reply(4712)["error"]["data"].clone()
    }

    /// Puts bytes into a new blob.
    pub fn put(&mut self, bytes: &[u8]) -> String {
        let base64 = base64_simd::STANDARD.encode_to_string(bytes);
        let stored = self.result("blob/put", json!({"offset":0,"base64":base64}));
        assert_eq!(stored["size"], bytes.len());
        stored["blob"].as_str().unwrap().to_owned()
    }

    /// All bytes of a blob.
    pub fn get(&mut self, blob: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let piece = self.result(
                "blob/get",
                json!({"blob":blob,"offset":bytes.len(),"length":720 * 1024}),
            );
            let base64 = piece["base64"].as_str().unwrap();
            bytes.extend(base64_simd::STANDARD.decode_to_vec(base64).unwrap());
            if piece["end"] == true {
                return bytes;
            }
        }
    }

    /// Ends the input.
    pub fn hang_up(&mut self) {
        self.to = None;
    }

    /// The exit status.
    pub fn status(&mut self) -> u8 {
        self.exit.recv_timeout(LONG).expect("an end in time")
    }

    /// Ends the input; nothing more may come but what is given here.
    pub fn end(mut self) -> u8 {
        self.hang_up();
        let status = self.status();
        assert_eq!(
            self.replies.recv_timeout(LONG),
            Err(RecvTimeoutError::Disconnected)
        );
        drop(self.reading);
        status
    }
}
