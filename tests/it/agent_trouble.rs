//! An agent in trouble: stopped, killed, crowded, of another version, or not to be had at all;
//! and what is locked then.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::agent::{agent, agents, greeting, home, locked, secret, socket};
use crate::asking::{Locked, locked_in, opened};
use crate::harness::{Home, Host, alive, until};

/// Below this no wait for an agent has run out.
const AT_ONCE: Duration = Duration::from_secs(8);

/// Far below what one operation may take when the agent says that it works.
const SOON: Duration = Duration::from_secs(40);

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// A process that does nothing, until this is dropped.
struct Stopped(u32);

impl Stopped {
    fn new(pid: u32) -> Stopped {
        signal(pid, "STOP");
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .args(["-CONT", &self.0.to_string()])
            .stderr(Stdio::null())
            .status();
    }
}

/// A host without an agent in a home whose other hosts have one.
fn alone(it: &Locked) -> Host {
    let mut command = it.home.command();
    command
        .env("SEALPOST_AGENT", "none")
        .arg("chrome-extension://kajibbejlbohfaggdiogboambcijhkke/");
    Host::spawn(command)
}

fn doctor(host: &mut Host) -> Value {
    let told = host.good("host/doctor", json!({}));
    let checks = told["checks"].as_array().unwrap();
    checks.iter().find(|c| c["id"] == "agent").unwrap().clone()
}

fn ended(home: &Home) -> String {
    let output = home.command().args(["agent", "--end"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_locked_is_locked_in_hosts_that_hold_it_themselves() {
    let it = locked();
    let mut holder = alone(&it);
    let mut other = it.home.start();
    let asked = || it.pinentry.count("getpin");
    let by = |how: &str, host: &mut Host| match how {
        "host" => drop(host.good("keys/lock", json!({}))),
        "name" => drop(host.good("keys/lock", json!({"id": it.id}))),
        "terminal" => {
            let locked = it.home.command().args(["keys", "lock"]).output().unwrap();
            assert!(locked.status.success());
        }
        _ => drop(ended(&it.home)),
    };
    for how in ["host", "name", "terminal", "end"] {
        let before = asked();
        opened(holder.open(&it.message));
        opened(holder.open(&it.message));
        assert_eq!(asked(), before + 1, "{how}: it was not locked before");
        assert_eq!(secret(&mut holder, &it), "unlocked", "{how}");
        by(how, &mut other);
        assert_eq!(secret(&mut holder, &it), "locked", "{how}");
        opened(holder.open(&it.message));
        assert_eq!(asked(), before + 2, "{how}: it was used all the same");
        holder.good("keys/lock", json!({}));
    }
    // One key is not another.
    opened(holder.open(&it.message));
    let second =
        json!({"protocol": "openpgp", "address": "b@sealpost.example", "passphrase": "ask"});
    let second = other.good("keys/generate", second)["key"]["id"].clone();
    assert_eq!(
        other.good("keys/lock", json!({"id": second}))["secret"],
        "locked"
    );
    assert_eq!(secret(&mut holder, &it), "unlocked");
    // And from a host to the agent.
    opened(other.open(&it.message));
    assert_eq!(secret(&mut other, &it), "unlocked");
    holder.good("keys/lock", json!({"id": it.id}));
    assert_eq!(secret(&mut other, &it), "locked");
}

#[test]
fn locking_says_what_it_did() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    // One without a passphrase opens by itself, and is never locked.
    let open = crate::harness::generate(&mut host, "Open", "open@sealpost.example", "compatible");
    assert_eq!(
        host.good("keys/lock", json!({"id": open}))["secret"],
        "unlocked"
    );
    assert_eq!(host.good("keys/lock", json!({}))["secret"], "locked");
    let shown = host.good("keys/show", json!({"id": open}));
    assert_eq!(shown["key"]["secret"], "unlocked");
    // Where others can't be told, that is said, and what can be locked is.
    opened(host.open(&it.message));
    std::fs::remove_dir_all(it.home.path().join("locked")).unwrap();
    std::fs::write(it.home.path().join("locked"), b"in the way").unwrap();
    for request in [json!({}), json!({"id": it.id})] {
        let fault = host.fault("keys/lock", request);
        assert_eq!(fault.kind(), "store.unavailable");
        assert!(fault.message.contains("can't be told"), "{}", fault.message);
        assert_eq!(secret(&mut host, &it), "locked");
        opened(host.open(&it.message));
    }
    std::fs::remove_file(it.home.path().join("locked")).unwrap();
    assert_eq!(
        host.good("keys/lock", json!({"id": it.id}))["secret"],
        "locked"
    );
    // Whoever can't read a notice takes it for one.
    opened(host.open(&it.message));
    std::fs::write(it.home.path().join("locked/all"), [0; 99]).unwrap();
    assert_eq!(secret(&mut host, &it), "locked");
}

#[test]
fn a_stopped_agent_costs_seconds_and_one_question() {
    let it = locked();
    let mut first = it.home.start();
    opened(first.open(&it.message));
    assert_eq!(doctor(&mut first)["data"]["agent"], "running");
    let pid = agent(&it.home);
    let before = it.pinentry.count("getpin");
    let stopped = Stopped::new(pid);

    // It is not waited for any longer than its request.
    let mut second = it.home.start();
    second.hello();
    let begun = Instant::now();
    let body = crate::harness::body(&it.message);
    let id = second.send("message/open", json!({"message": body}));
    thread::sleep(Duration::from_millis(1000));
    second.notify("$/cancelRequest", json!({"id": id}));
    assert_eq!(second.wait(id).unwrap_err().kind(), "cancelled");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());

    for (method, params) in [("keys/list", json!({})), ("host/doctor", json!({}))] {
        let mut host = it.home.start();
        host.hello();
        let begun = Instant::now();
        let id = host.send(method, params);
        thread::sleep(Duration::from_millis(1000));
        host.notify("$/cancelRequest", json!({"id": id}));
        assert_eq!(host.wait(id).unwrap_err().kind(), "cancelled", "{method}");
        assert!(begun.elapsed() < AT_ONCE, "{method}: {:?}", begun.elapsed());
    }

    // One that had a connection, and one that comes new.
    for host in [&mut first, &mut second] {
        let asked = it.pinentry.count("getpin");
        let begun = Instant::now();
        opened(host.open(&it.message));
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        let begun = Instant::now();
        opened(host.open(&it.message));
        assert!(begun.elapsed() < AT_ONCE, "it was waited for again");
        assert_eq!(it.pinentry.count("getpin"), asked + 1);
    }
    let begun = Instant::now();
    let told = doctor(&mut it.home.start());
    assert!(begun.elapsed() < SOON);
    assert_eq!(
        (&told["ok"], &told["data"]["agent"]),
        (&json!(false), &json!("silent"))
    );
    assert!(
        told["fix"].as_str().unwrap().contains("agent --end"),
        "{told}"
    );

    // Locked meanwhile: also for the agent, when it comes round.
    first.good("keys/lock", json!({}));
    assert_eq!(secret(&mut second, &it), "locked");
    drop(stopped);
    until("the agent to answer", || {
        doctor(&mut it.home.start())["data"]["agent"] == "running"
    });
    let mut third = it.home.start();
    assert_eq!(secret(&mut third, &it), "locked");
    opened(third.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 3);
    assert!(alive(pid));

    // One that never comes round is ended all the same.
    let stopped = Stopped::new(pid);
    assert!(ended(&it.home).contains("has ended"));
    until("the end of the agent", || !alive(pid));
    drop(stopped);
    // Whoever asks how it stands is told, and tries anew.
    assert_eq!(doctor(&mut first)["data"]["agent"], "absent");
    opened(first.open(&it.message));
    assert_ne!(agent(&it.home), pid);
}

#[test]
fn where_no_agent_can_be_nobody_waits_for_one() {
    let in_the_way = |home: &Home| {
        std::fs::write(home.path().join("agent"), b"in the way").unwrap();
    };
    let lock_in_the_way = |home: &Home| {
        std::fs::create_dir_all(home.path().join("agent/lock")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(home.path().join("agent"), mode).unwrap();
    };
    let long = |_: &Home| {};
    let deep = "d".repeat(60);
    for (home, hinder, state) in [
        (home(), &in_the_way as &dyn Fn(&Home), "no-place"),
        (home(), &lock_in_the_way, "failed"),
        (home().below(&format!("{deep}/{deep}")), &long, "no-place"),
    ] {
        let it = locked_in(home);
        hinder(&it.home);
        let mut host = it.home.start();
        let before = it.pinentry.count("getpin");
        let begun = Instant::now();
        opened(host.open(&it.message));
        opened(host.open(&it.message));
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        assert_eq!(it.pinentry.count("getpin"), before + 1);
        assert!(agents(&it.home).is_empty());
        let log = std::fs::read_to_string(it.home.path().join("log/sealpost.log")).unwrap();
        let tried = log
            .matches("agent: Failed; this process does its work")
            .count();
        assert_eq!(tried, 1, "{log}");
        let told = doctor(&mut host);
        assert_eq!(
            (&told["ok"], &told["data"]["agent"]),
            (&json!(false), &json!(state))
        );
        let mut other = it.home.start();
        assert_eq!(secret(&mut other, &it), "locked");
        host.good("keys/lock", json!({}));
        assert_eq!(secret(&mut host, &it), "locked");
    }
}

#[test]
fn the_doctor_starts_no_agent_and_sees_who_may_enter() {
    let home = home();
    let mut host = home.start();
    let told = doctor(&mut host);
    assert_eq!(
        (&told["ok"], &told["data"]["agent"]),
        (&json!(true), &json!("absent"))
    );
    assert!(agents(&home).is_empty());
    let folder = home.path().join("agent");
    std::fs::create_dir_all(&folder).unwrap();
    let mode = |mode| {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o755);
    let told = doctor(&mut host);
    assert_eq!(told["data"]["agent"], "no-place");
    assert!(
        told["fix"].as_str().unwrap().contains("chmod 700"),
        "{told}"
    );
    mode(0o700);
    assert_eq!(doctor(&mut host)["ok"], true);
    let mut host = Home::new().env("SEALPOST_AGENT", "none").start();
    let told = doctor(&mut host);
    assert_eq!(
        (&told["ok"], &told["data"]["agent"]),
        (&json!(true), &json!("off"))
    );
}

#[test]
fn nothing_that_the_browser_left_open_stays_open_in_the_agent() {
    let it = locked();
    let (mut reader, writer) = std::io::pipe().unwrap();
    // As a browser that forgets to close something for its hosts.
    let mut command = Command::new("sh");
    command.args(["-c", "exec 7>&2 9>&2 2>/dev/null; exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_sealpost"));
    command.arg("chrome-extension://kajibbejlbohfaggdiogboambcijhkke/");
    for (name, value) in it.home.command().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut host = Host::spawn_saying(command, writer);
    opened(host.open(&it.message));
    let agent = agent(&it.home);
    let heard = thread::spawn(move || {
        let mut said = Vec::new();
        reader.read_to_end(&mut said).map(|_| said)
    });
    thread::sleep(Duration::from_millis(200));
    assert!(!heard.is_finished(), "the host itself has it");
    drop(host);
    until("the end of what the host left", || heard.is_finished());
    assert!(alive(agent));
    // Where one may look: nothing but its own.
    if let Ok(files) = std::fs::read_dir(format!("/proc/{agent}/fd")) {
        for file in files.flatten() {
            let number: u32 = file.file_name().to_str().unwrap().parse().unwrap();
            let to = std::fs::read_link(file.path()).unwrap_or_default();
            let to = to.to_string_lossy().into_owned();
            assert!(number > 2 || to == "/dev/null", "{number}: {to}");
            assert!(!to.starts_with("pipe:"), "{number}: {to}");
        }
    }
}

#[test]
fn a_crowd_keeps_no_host_out() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    let pid = agent(&it.home);
    let before = it.pinentry.count("getpin");
    let greeting = greeting();
    let with = |more: &[u8]| [greeting.as_bytes(), more].concat();
    let crowd = |said: &[u8], many: usize| -> Vec<UnixStream> {
        let join = |_| {
            let mut stream = UnixStream::connect(socket(&it.home)).unwrap();
            let _ = stream.write_all(said);
            stream
        };
        (0..many).map(join).collect()
    };
    for said in [
        with(b""),
        // A frame of which the rest never comes.
        with(&[200, 0, 0, 0, 1, 2]),
        with(&[200, 0]),
        b"seal".to_vec(),
        Vec::new(),
    ] {
        let held = crowd(&said, 200);
        opened(host.open(&it.message));
        let mut other = it.home.start();
        assert_eq!(secret(&mut other, &it), "unlocked");
        opened(other.open(&it.message));
        drop(held);
    }
    // While they come and go.
    let path = socket(&it.home);
    let going = thread::spawn(move || {
        for number in 0..2000_u32 {
            if let Ok(mut stream) = UnixStream::connect(&path) {
                let _ = stream.write_all(&number.to_le_bytes());
            }
        }
    });
    while !going.is_finished() {
        opened(host.open(&it.message));
    }
    going.join().unwrap();
    assert_eq!(it.pinentry.count("getpin"), before);
    assert!(alive(pid));
}

#[test]
fn an_old_host_ends_no_new_agent() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    let pid = agent(&it.home);
    let before = it.pinentry.count("getpin");
    let mut stream = UnixStream::connect(socket(&it.home)).unwrap();
    stream.write_all(b"sealpost-agent 0.0.1 1\n").unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert_eq!(said, greeting().as_bytes());
    thread::sleep(Duration::from_millis(1500));
    assert!(alive(pid));
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before);
}

#[test]
fn what_takes_its_place_is_seen_through() {
    let it = locked();
    let mut host = it.home.start();
    // An agent of a newer version, as the host sees it; and one that says nothing at all.
    std::fs::create_dir_all(it.home.path().join("agent")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(it.home.path().join("agent"), mode).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(socket(&it.home)).unwrap();
    thread::spawn(move || {
        // Until the test's process ends; each connection is short.
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"sealpost-agent 99.0.0 7\n");
        }
    });
    let told = doctor(&mut host);
    assert_eq!(
        (&told["ok"], &told["data"]["agent"]),
        (&json!(false), &json!("other-version"))
    );
    let before = it.pinentry.count("getpin");
    let begun = Instant::now();
    opened(host.open(&it.message));
    opened(host.open(&it.message));
    assert!(begun.elapsed() < AT_ONCE);
    assert_eq!(it.pinentry.count("getpin"), before + 1);
}

#[test]
fn an_agent_that_is_killed_at_work_costs_a_question_at_most() {
    let it = locked();
    let mut host = it.home.start();
    for round in 0..6 {
        opened(host.open(&it.message));
        let pid = agent(&it.home);
        let before = it.pinentry.count("getpin");
        let body = crate::harness::body(&it.message);
        let id = host.send("message/open", json!({"message": body}));
        // Sooner and later.
        thread::sleep(Duration::from_millis(2 * round));
        signal(pid, "KILL");
        opened(host.wait(id));
        opened(host.open(&it.message));
        assert!(it.pinentry.count("getpin") <= before + 2);
        until("the end of the agent", || !alive(pid));
    }
}

#[test]
fn an_agent_of_an_older_version_makes_way() {
    let it = locked();
    let folder = it.home.path().join("agent");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    // It holds the place until a host of this version has greeted, and a little longer.
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(socket(&it.home)).unwrap();
    let path = socket(&it.home);
    let old = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"sealpost-agent 0.0.1 1\n");
        let _ = stream.read(&mut [0; 64]);
        thread::sleep(Duration::from_millis(700));
        std::fs::remove_file(path).unwrap();
        drop((listener, lock));
    });
    let before = it.pinentry.count("getpin");
    let mut host = it.home.start();
    host.good("keys/unlock", json!({"id": it.id}));
    old.join().unwrap();
    assert_eq!(secret(&mut it.home.start(), &it), "unlocked");
    assert_eq!(it.pinentry.count("getpin"), before + 1);
    assert_eq!(agents(&it.home).len(), 1);
}
