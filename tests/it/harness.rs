//! A client of the real binary: frames, ids, replies in any order, progress, questions, blobs.
//!
//! Nothing here waits without a deadline, and the child dies with its [`Host`]. It checks on
//! its own what holds for every frame that the host ever sends: its length, its JSON, and that
//! each reply answers a request that is in flight.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The browsers' exact limit for a frame from the host.
pub const FRAME_OUT: usize = 1_048_576;
/// What a frame to the host may hold at most.
pub const FRAME_IN: usize = 64 * 1024 * 1024;
/// The longest piece of a blob in one request.
pub const CHUNK: usize = 720 * 1024;
/// How long any one answer may take before the test gives up: machines are slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The long forms of the tests were asked for.
pub fn long() -> bool {
    std::env::var_os("SEALPOST_LONG").is_some_and(|v| v != "0" && !v.is_empty())
}

/// Every host works through its agent, not only in the tests of agents.
pub fn agents() -> bool {
    std::env::var_os("SEALPOST_AGENTS").is_some_and(|v| v != "0" && !v.is_empty())
}

/// `short` by default, `many` in the long form.
pub fn amount(short: usize, many: usize) -> usize {
    if long() { many } else { short }
}

/// A state folder of its own, with what answers for the person.
pub struct Home {
    pub dir: TempDir,
    below: String,
    pinentry: String,
    confirm: Option<&'static str>,
    env: Vec<(String, String)>,
}

impl Home {
    /// Empty, nobody to ask for a passphrase, yes to every confirmation.
    pub fn new() -> Home {
        Home {
            dir: tempfile::Builder::new().prefix("sp").tempdir().unwrap(),
            below: "state".into(),
            pinentry: "none".into(),
            confirm: Some("yes"),
            env: Vec::new(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join(&self.below)
    }

    /// With the state folder in another place below its own.
    pub fn below(mut self, path: &str) -> Home {
        self.below = path.into();
        self
    }

    pub fn pinentry(mut self, pinentry: &Pinentry) -> Home {
        self.pinentry = pinentry.program().to_str().unwrap().into();
        self
    }

    pub fn confirm(mut self, answer: Option<&'static str>) -> Home {
        self.confirm = answer;
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Home {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The binary with this home's surroundings and no arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command
            .env("SEALPOST_HOME", self.path())
            .env("SEALPOST_PINENTRY", &self.pinentry)
            .env("HOME", self.dir.path())
            .env("XDG_DATA_HOME", self.dir.path().join("data"))
            .env_remove("SEALPOST_CONFIRM")
            .env_remove("SEALPOST_LOG")
            .env_remove("GNUPGHOME");
        // One process for each home and test would be many; tests of the agent say so.
        if !agents() {
            command.env("SEALPOST_AGENT", "none");
        }
        if let Some(answer) = self.confirm {
            command.env("SEALPOST_CONFIRM", answer);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    /// A host as Chromium starts it.
    pub fn start(&self) -> Host {
        let mut command = self.command();
        command.arg("chrome-extension://kajibbejlbohfaggdiogboambcijhkke/");
        Host::spawn(command)
    }

    /// A host as a browser starts it for an extension with this origin.
    pub fn start_as(&self, origin: &str) -> Host {
        let mut command = self.command();
        command.arg(origin);
        Host::spawn(command)
    }

    /// A host in surroundings that a shell makes first.
    pub fn start_in(&self, surroundings: &str) -> Host {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{surroundings}; exec \"$0\" \"$@\""));
        self.start_by(shell)
    }

    /// By another program, which is told the host's name and argument last.
    pub fn start_by(&self, mut command: Command) -> Host {
        let host = self.command();
        command
            .arg(host.get_program())
            .arg("chrome-extension://kajibbejlbohfaggdiogboambcijhkke/");
        for (name, value) in host.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Host::spawn(command)
    }

    /// With these rules of the person's own.
    pub fn policy(self, rules: &str) -> Home {
        std::fs::create_dir_all(self.path()).unwrap();
        std::fs::write(self.path().join("policy.toml"), rules).unwrap();
        self
    }

    /// A host as Firefox starts it.
    pub fn start_firefox(&self) -> Host {
        let mut command = self.command();
        command
            .arg("/usr/lib/mozilla/native-messaging-hosts/org.sealpost.host.json")
            .arg("sealpost@sealpost.org");
        Host::spawn(command)
    }

    /// Every file below the state folder.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut todo = vec![self.path()];
        while let Some(dir) = todo.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    todo.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

/// What the host said instead of a result.
#[derive(Debug, Clone)]
pub struct Fault {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

impl Fault {
    pub fn kind(&self) -> &str {
        self.data["kind"].as_str().unwrap_or("")
    }
}

pub type Answer = Result<Value, Fault>;

enum Event {
    Frame(Value),
    /// Something no host may ever send.
    Broken(String),
    End,
}

enum Order {
    Bytes(Vec<u8>),
    Close,
}

/// A running host and the connection to it.
pub struct Host {
    child: Child,
    orders: Sender<Order>,
    events: Receiver<Event>,
    stderr: Arc<Mutex<Vec<u8>>>,
    next: u64,
    /// How many requests went out under each id.
    sent: BTreeMap<u64, usize>,
    /// How many replies came under each id.
    seen: BTreeMap<u64, usize>,
    arrived: BTreeMap<u64, VecDeque<Answer>>,
    /// Replies with `id: null`, oldest first.
    pub nameless: VecDeque<Fault>,
    /// `$/progress` notifications, oldest first.
    pub progress: Vec<Value>,
    /// Reverse requests that nobody answered yet.
    pub questions: VecDeque<Value>,
    /// Ids of questions that the host took back.
    pub taken_back: Vec<Value>,
    ended: bool,
    pub patience: Duration,
}

impl Host {
    pub fn spawn(mut command: Command) -> Host {
        command.stderr(Stdio::piped());
        Host::run(command)
    }

    /// With something else as its stderr.
    pub fn spawn_saying(mut command: Command, stderr: impl Into<Stdio>) -> Host {
        command.stderr(stderr);
        Host::run(command)
    }

    fn run(mut command: Command) -> Host {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may hold what it gave.
        drop(command);
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let errors = child.stderr.take();

        let (orders, todo) = channel::<Order>();
        thread::spawn(move || {
            for order in todo {
                match order {
                    Order::Bytes(bytes) => {
                        if stdin
                            .write_all(&bytes)
                            .and_then(|()| stdin.flush())
                            .is_err()
                        {
                            return;
                        }
                    }
                    Order::Close => return,
                }
            }
        });

        let (found, events) = channel();
        thread::spawn(move || {
            loop {
                let event = read_frame(&mut stdout);
                let last = !matches!(event, Event::Frame(_));
                if found.send(event).is_err() || last {
                    return;
                }
            }
        });

        let stderr = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&stderr);
        let reading = move |mut errors: std::process::ChildStderr| {
            let mut piece = [0u8; 4096];
            while let Ok(n) = errors.read(&mut piece) {
                if n == 0 {
                    return;
                }
                collected.lock().unwrap().extend_from_slice(&piece[..n]);
            }
        };
        if let Some(errors) = errors {
            thread::spawn(move || reading(errors));
        }

        Host {
            child,
            orders,
            events,
            stderr,
            next: 1,
            sent: BTreeMap::new(),
            seen: BTreeMap::new(),
            arrived: BTreeMap::new(),
            nameless: VecDeque::new(),
            progress: Vec::new(),
            questions: VecDeque::new(),
            taken_back: Vec::new(),
            ended: false,
            patience: PATIENCE,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What stands on stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    /// Bytes as they are, without a frame.
    pub fn raw(&mut self, bytes: Vec<u8>) {
        let _ = self.orders.send(Order::Bytes(bytes));
    }

    /// One frame with these bytes in it.
    pub fn frame(&mut self, bytes: &[u8]) {
        let mut out = Vec::with_capacity(bytes.len() + 4);
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_ne_bytes());
        out.extend_from_slice(bytes);
        self.raw(out);
    }

    /// One frame with this JSON in it.
    pub fn json(&mut self, value: &Value) {
        if let (Some(id), true) = (value["id"].as_u64(), value["method"].is_string()) {
            *self.sent.entry(id).or_default() += 1;
        }
        self.frame(value.to_string().as_bytes());
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.json(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and gives its id.
    pub fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.json(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The reply to request `id`, as it came.
    pub fn wait_raw(&mut self, id: u64) -> Answer {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(answer) = self.arrived.get_mut(&id).and_then(VecDeque::pop_front) {
                return answer;
            }
            assert!(
                self.pump(deadline),
                "no reply to request {id}; stderr: {}",
                self.stderr()
            );
        }
    }

    /// The reply to request `id`; a result that was too long for one frame is pulled.
    pub fn wait(&mut self, id: u64) -> Answer {
        let answer = self.wait_raw(id)?;
        match answer.get("$blob").and_then(Value::as_str) {
            Some(blob) => {
                let blob = blob.to_owned();
                let text = self.pull(&blob);
                self.call_raw("blob/drop", json!({"blob": blob})).unwrap();
                Ok(serde_json::from_slice(&text).unwrap())
            }
            None => Ok(answer),
        }
    }

    pub fn call(&mut self, method: &str, params: Value) -> Answer {
        let id = self.send(method, params);
        self.wait(id)
    }

    pub fn call_raw(&mut self, method: &str, params: Value) -> Answer {
        let id = self.send(method, params);
        self.wait_raw(id)
    }

    /// The result, where a fault would be the test's end.
    #[track_caller]
    pub fn good(&mut self, method: &str, params: Value) -> Value {
        match self.call(method, params) {
            Ok(value) => value,
            Err(fault) => panic!("{method}: {fault:?}"),
        }
    }

    /// The fault, where a result would be the test's end.
    #[track_caller]
    pub fn fault(&mut self, method: &str, params: Value) -> Fault {
        match self.call(method, params) {
            Ok(value) => panic!("{method} succeeded: {}", shorten(&value)),
            Err(fault) => fault,
        }
    }

    /// The next reply without an id.
    #[track_caller]
    pub fn nameless(&mut self) -> Fault {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(fault) = self.nameless.pop_front() {
                return fault;
            }
            assert!(self.pump(deadline), "no reply without an id");
        }
    }

    /// The next reverse request.
    #[track_caller]
    pub fn question(&mut self) -> Value {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(question) = self.questions.pop_front() {
                return question;
            }
            assert!(self.pump(deadline), "no question");
        }
    }

    /// Answers a reverse request.
    pub fn answer(&mut self, question: &Value, result: Value) {
        let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        self.frame(reply.to_string().as_bytes());
    }

    /// Whether something arrived before `deadline`. Sorts it in.
    pub fn pump(&mut self, deadline: Instant) -> bool {
        if self.ended {
            return false;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(Event::Frame(value)) => {
                self.sort(value);
                true
            }
            Ok(Event::Broken(why)) => panic!("a frame that no host may send: {why}"),
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
        }
    }

    fn sort(&mut self, value: Value) {
        assert_eq!(value["jsonrpc"], "2.0", "{}", shorten(&value));
        if let Some(method) = value["method"].as_str() {
            match method {
                "$/progress" => self.progress.push(value["params"].clone()),
                "$/cancelRequest" => self.taken_back.push(value["params"]["id"].clone()),
                _ => self.questions.push_back(value),
            }
            return;
        }
        let answer = match (value.get("result"), value.get("error")) {
            (Some(result), None) => Ok(result.clone()),
            (None, Some(error)) => Err(fault(error)),
            _ => panic!("neither result nor error: {}", shorten(&value)),
        };
        match value["id"].as_u64() {
            Some(id) => {
                let seen = self.seen.entry(id).or_default();
                *seen += 1;
                let sent = self.sent.get(&id).copied().unwrap_or(0);
                assert!(*seen <= sent, "one reply too many: {}", shorten(&value));
                self.arrived.entry(id).or_default().push_back(answer);
            }
            None => self
                .nameless
                .push_back(answer.expect_err("a result without an id")),
        }
    }

    /// Uploads bytes as a blob, in pieces.
    pub fn put(&mut self, bytes: &[u8]) -> String {
        let mut blob: Option<String> = None;
        let mut offset = 0;
        loop {
            let piece = &bytes[offset..bytes.len().min(offset + CHUNK)];
            let mut params = json!({"offset": offset, "base64": encode(piece)});
            if let Some(blob) = &blob {
                params["blob"] = json!(blob);
            }
            let reply = self.good("blob/put", params);
            offset += piece.len();
            assert_eq!(reply["size"], offset);
            blob = Some(reply["blob"].as_str().unwrap().to_owned());
            if offset == bytes.len() {
                return blob.unwrap();
            }
        }
    }

    /// Downloads a blob whole.
    pub fn pull(&mut self, blob: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let reply = self
                .call_raw(
                    "blob/get",
                    json!({"blob": blob, "offset": bytes.len(), "length": CHUNK}),
                )
                .unwrap();
            bytes.extend(decode(reply["base64"].as_str().unwrap()));
            if reply["end"] == true {
                return bytes;
            }
        }
    }

    /// The bytes of a Body, wherever they lie.
    pub fn bytes(&mut self, body: &Value) -> Vec<u8> {
        if let Some(text) = body["text"].as_str() {
            return text.as_bytes().to_vec();
        }
        if let Some(text) = body["base64"].as_str() {
            return decode(text);
        }
        let blob = body["blob"]
            .as_str()
            .unwrap_or_else(|| panic!("not a Body: {body}"));
        let bytes = self.pull(blob);
        assert_eq!(body["size"], bytes.len());
        bytes
    }

    /// A Body for these bytes: in the request while they are few, a blob otherwise.
    pub fn body(&mut self, bytes: &[u8]) -> Value {
        if bytes.len() > 4 * CHUNK {
            let blob = self.put(bytes);
            return json!({"blob": blob, "size": bytes.len()});
        }
        body(bytes)
    }

    /// Says hello with both capabilities.
    pub fn hello(&mut self) -> Value {
        self.good(
            "hello",
            json!({"protocol": [1], "client": "tests/1", "capabilities": {"progress": true, "ask": true}}),
        )
    }

    /// Opens a message.
    pub fn open(&mut self, message: &[u8]) -> Answer {
        self.open_with(message, json!({}))
    }

    /// Opens a message with further parameters.
    pub fn open_with(&mut self, message: &[u8], more: Value) -> Answer {
        let body = self.body(message);
        let mut params = json!({"message": body});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        let answer = self.call("message/open", params.clone());
        if let Some(blob) = params["message"]["blob"].as_str() {
            self.good("blob/drop", json!({"blob": blob}));
        }
        answer
    }

    /// Closes the host's stdin.
    pub fn close(&mut self) {
        let _ = self.orders.send(Order::Close);
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn exit(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the host did not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Reads what is still there, up to the end of stdout.
    pub fn drain(&mut self) {
        let deadline = Instant::now() + self.patience;
        while self.pump(deadline) {}
        assert!(self.ended, "stdout stayed open");
    }

    /// A number for a request that the test writes itself.
    pub fn reserve(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        self.expect_reply(id);
        id
    }

    /// One reply to `id` is to come for what the test writes itself.
    pub fn expect_reply(&mut self, id: u64) {
        *self.sent.entry(id).or_default() += 1;
    }

    /// Whether a reply to `id` lies here already.
    pub fn has(&self, id: u64) -> bool {
        self.arrived.get(&id).is_some_and(|all| !all.is_empty())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Peak resident memory so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

fn fault(error: &Value) -> Fault {
    Fault {
        code: error["code"].as_i64().expect("an error has a code"),
        message: error["message"]
            .as_str()
            .expect("an error has a message")
            .to_owned(),
        data: error.get("data").cloned().unwrap_or(Value::Null),
    }
}

fn read_frame(stdout: &mut impl Read) -> Event {
    let mut head = [0u8; 4];
    let mut have = 0;
    while have < 4 {
        match stdout.read(&mut head[have..]) {
            Ok(0) if have == 0 => return Event::End,
            Ok(0) => return Event::Broken("half a length".into()),
            Ok(n) => have += n,
            Err(_) => return Event::End,
        }
    }
    let length = u32::from_ne_bytes(head) as usize;
    if length == 0 || length > FRAME_OUT {
        return Event::Broken(format!("{length} bytes"));
    }
    let mut bytes = vec![0u8; length];
    if stdout.read_exact(&mut bytes).is_err() {
        // A killed host leaves half a frame; one that ends by itself must not. Which of the
        // two it was shows in its exit code.
        return Event::End;
    }
    match serde_json::from_slice(&bytes) {
        Ok(value) => Event::Frame(value),
        Err(e) => Event::Broken(format!("not JSON: {e}")),
    }
}

pub fn shorten(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(1500).collect()
}

pub fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

pub fn decode(text: &str) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text).unwrap()
}

/// A Body in the request itself.
pub fn body(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({"text": text}),
        Err(_) => json!({"base64": encode(bytes)}),
    }
}

/// Generates a key without a passphrase and gives its id.
#[track_caller]
pub fn generate(host: &mut Host, name: &str, address: &str, profile: &str) -> String {
    let reply = host.good(
        "keys/generate",
        json!({"protocol": "openpgp", "name": name, "address": address, "profile": profile, "passphrase": "none"}),
    );
    reply["key"]["id"].as_str().unwrap().to_owned()
}

/// The armored public halves of keys.
#[track_caller]
pub fn export(host: &mut Host, ids: &[&str]) -> String {
    let reply = host.good("keys/export", json!({"ids": ids, "format": "armored"}));
    String::from_utf8(host.bytes(&reply["data"])).unwrap()
}

/// Imports keys; accepts them for their own addresses when `accept` is `json!(true)`, for some
/// when it is a list, not at all when it is null.
#[track_caller]
pub fn import(host: &mut Host, data: &[u8], accept: Value) -> Value {
    let data = host.body(data);
    let mut params = json!({"data": data});
    if !accept.is_null() {
        params["accept"] = accept;
    }
    host.good("keys/import", params)
}

/// Seals a draft and gives the reply.
#[track_caller]
pub fn seal(host: &mut Host, draft: Value, protect: Value) -> Value {
    host.good("message/seal", json!({"draft": draft, "protect": protect}))
}

/// Seals a draft that needs one envelope and gives that envelope.
#[track_caller]
pub fn seal_one(host: &mut Host, draft: Value, protect: Value) -> Vec<u8> {
    let sealed = seal(host, draft, protect);
    let messages = sealed["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1, "{}", shorten(&sealed));
    host.bytes(&messages[0]["message"].clone())
}

/// Two people who accepted each other's keys, each with a home.
pub struct Pair {
    _alice_home: Home,
    pub alice: Host,
    pub alice_id: String,
    pub bob_home: Home,
    pub bob: Host,
}

/// Alice and Bob, with keys of this profile.
#[track_caller]
pub fn pair(profile: &str) -> Pair {
    let alice_home = Home::new();
    let bob_home = Home::new();
    let mut alice = alice_home.start();
    let mut bob = bob_home.start();
    alice.hello();
    bob.hello();
    let alice_id = generate(&mut alice, "Alice", "alice@sealpost.example", profile);
    let bob_id = generate(&mut bob, "Bob", "bob@sealpost.example", profile);
    let alice_cert = export(&mut alice, &[&alice_id]);
    let bob_cert = export(&mut bob, &[&bob_id]);
    import(&mut alice, bob_cert.as_bytes(), json!(true));
    import(&mut bob, alice_cert.as_bytes(), json!(true));
    Pair {
        _alice_home: alice_home,
        alice,
        alice_id,
        bob_home,
        bob,
    }
}

/// A pinentry that answers from a list and keeps a diary.
///
/// Answers, one a line: a passphrase, `%cancel`, or `%wait` (an open dialog that nobody
/// touches). The last one repeats. The diary holds what happened, never what was answered.
pub struct Pinentry {
    dir: TempDir,
}

impl Pinentry {
    pub fn new(answers: &[&str]) -> Pinentry {
        let dir = tempfile::Builder::new().prefix("pe").tempdir().unwrap();
        let pinentry = Pinentry { dir };
        pinentry.answers(answers);
        let here = pinentry.dir.path().display();
        let script = format!(
            r#"#!/bin/sh
cd "{here}" || exit 1
say() {{ echo "$1 $$" >> diary; }}
say start
echo "OK Pleased to meet you"
repeat=no
while read -r line; do
  case "$line" in
    GETPIN*)
      say getpin
      answer=$(head -n 1 answers)
      if [ "$(wc -l < answers)" -gt 1 ]; then
        sed 1d answers > answers.new && mv answers.new answers
      fi
      case "$answer" in
        %cancel) echo "ERR 83886179 Operation cancelled <Pinentry>" ;;
        %wait) say waiting; while read -r more; do :; done; say end; exit 0 ;;
        *) [ $repeat = yes ] && echo "S PIN_REPEATED"
           echo "D $answer"; echo OK ;;
      esac
      repeat=no ;;
    SETREPEAT*) repeat=yes; say repeat; echo OK ;;
    SETERROR*) say error; echo OK ;;
    SETDESC*) echo "$line" >> descriptions; echo OK ;;
    CONFIRM*) say confirm; answer=$(head -n 1 answers)
      case "$answer" in
        %cancel) echo "ERR 83886179 Operation cancelled <Pinentry>" ;;
        *) echo OK ;;
      esac ;;
    BYE*) echo "OK closing connection"; say end; exit 0 ;;
    *) echo OK ;;
  esac
done
say end
"#
        );
        let program = pinentry.program();
        std::fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();
        pinentry
    }

    pub fn program(&self) -> PathBuf {
        self.dir.path().join("pinentry")
    }

    /// Replaces the answers still to be given.
    pub fn answers(&self, answers: &[&str]) {
        let mut text = answers.join("\n");
        text.push('\n');
        std::fs::write(self.dir.path().join("answers"), text).unwrap();
    }

    /// What happened: (event, process).
    pub fn diary(&self) -> Vec<(String, u32)> {
        let text = std::fs::read_to_string(self.dir.path().join("diary")).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let (event, pid) = line.split_once(' ')?;
                Some((event.to_owned(), pid.parse().ok()?))
            })
            .collect()
    }

    /// How often `event` stands in the diary.
    pub fn count(&self, event: &str) -> usize {
        self.diary().iter().filter(|(e, _)| e == event).count()
    }

    /// All that was said to the person.
    pub fn descriptions(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("descriptions")).unwrap_or_default()
    }

    /// Waits until `event` stands in the diary `times` times.
    #[track_caller]
    pub fn until(&self, event: &str, times: usize) {
        until(&format!("{times} x {event} in the diary"), || {
            self.count(event) >= times
        });
    }
}

/// Waits for a condition, with a deadline.
#[track_caller]
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process is still there (and not merely unburied).
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(')')
                .map(|(_, rest)| rest.trim_start().to_owned())
        })
        .is_some_and(|rest| !rest.starts_with('Z'))
}

/// Whether any file of these holds `needle`.
pub fn holds(files: &[PathBuf], needle: &str) -> Option<PathBuf> {
    files.iter().find_map(|path: &PathBuf| {
        let bytes = std::fs::read(path).ok()?;
        memchr::memmem::find(&bytes, needle.as_bytes()).map(|_| path.clone())
    })
}

/// The folder with the corpora, where there is one.
pub fn corpora() -> Option<PathBuf> {
    let shared = match std::env::var_os("SEALPOST_SHARED") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    let corpora = shared.join("corpora");
    corpora.is_dir().then_some(corpora)
}

/// A small generator of repeatable noise (xorshift64*): seeds make failures repeatable.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Noise {
        Noise(seed.max(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}
