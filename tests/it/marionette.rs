//! Marionette, the remote control of Firefox and Thunderbird: commands as JSON over TCP, each
//! behind its length. Scripts run in the program's own context.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A connection to a program that was started with `--marionette`.
pub struct Marionette {
    stream: TcpStream,
    buffer: Vec<u8>,
    count: u64,
}

impl Marionette {
    /// Connects, once somebody listens, and begins a session in the program's own context.
    pub fn new(port: u16) -> Marionette {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(e) => assert!(Instant::now() < deadline, "nobody listens: {e}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut it = Marionette {
            stream,
            buffer: Vec::new(),
            count: 0,
        };
        let hello = it.receive();
        assert_eq!(hello["marionetteProtocol"], 3, "{hello}");
        it.command("WebDriver:NewSession", json!({"capabilities": {}}))
            .unwrap();
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap();
        it.command("WebDriver:SetTimeouts", json!({"script": patience}))
            .unwrap();
        it.command("Marionette:SetContext", json!({"value": "chrome"}))
            .unwrap();
        it
    }

    /// One command, and its value.
    pub fn command(&mut self, name: &str, params: Value) -> Result<Value, String> {
        self.count += 1;
        let text = json!([0, self.count, name, params]).to_string();
        write!(self.stream, "{}:{text}", text.len()).unwrap();
        let answer = self.receive();
        match &answer[2] {
            Value::Null => Ok(answer[3].get("value").unwrap_or(&answer[3]).clone()),
            error => Err(format!("{name}: {error}")),
        }
    }

    /// Runs the body of an async function with these arguments, as `args`, and gives what it
    /// returns.
    #[track_caller]
    pub fn run(&mut self, body: &str, args: Value) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             (async args => {{ {body} }})(arguments[0]).then(v => done({{ok: v ?? null}}), \
             e => done({{failed: String(e) + String(e?.stack)}}));"
        );
        let params = json!({"script": script, "args": [args], "newSandbox": false,
            "sandbox": "default"});
        let answer = self
            .command("WebDriver:ExecuteAsyncScript", params)
            .unwrap();
        match answer.get("ok") {
            Some(value) => value.clone(),
            None => panic!("{answer}\n{body}"),
        }
    }

    /// A picture of the whole window, PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let params = json!({"full": true, "hash": false, "scroll": false});
        let picture = self.command("WebDriver:TakeScreenshot", params).unwrap();
        crate::harness::decode(picture.as_str().unwrap())
    }

    fn receive(&mut self) -> Value {
        loop {
            if let Some(colon) = self.buffer.iter().position(|b| *b == b':') {
                let length: usize = std::str::from_utf8(&self.buffer[..colon])
                    .unwrap()
                    .parse()
                    .unwrap();
                if self.buffer.len() > colon + length {
                    let text: Vec<u8> = self.buffer.drain(..=colon + length).collect();
                    return serde_json::from_slice(&text[colon + 1..]).unwrap();
                }
            }
            let mut piece = [0; 65_536];
            let count = self.stream.read(&mut piece).expect("an answer in time");
            assert!(count > 0, "the program has closed the connection");
            self.buffer.extend_from_slice(&piece[..count]);
        }
    }
}
