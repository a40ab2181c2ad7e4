//! The agent: one process that holds the unlocked keys of a person, for every host.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::asking::{Locked, locked_in, opened};
use crate::harness::{Home, Host, alive, holds, until};

/// A home whose hosts work through their agent.
pub fn home() -> Home {
    Home::new().env("SEALPOST_AGENT", "")
}

pub fn locked() -> Locked {
    locked_in(home())
}

/// The agents that were ever started in a home, by their log.
pub fn agents(home: &Home) -> Vec<u32> {
    let log = std::fs::read_to_string(home.path().join("log/sealpost.log")).unwrap_or_default();
    log.lines()
        .filter_map(|line| line.split_once("agent: begins, process "))
        .map(|(_, pid)| pid.trim().parse().unwrap())
        .collect()
}

pub fn agent(home: &Home) -> u32 {
    let all = agents(home);
    *all.last().expect("no agent was started")
}

pub fn secret(host: &mut Host, it: &Locked) -> String {
    let shown = host.good("keys/show", json!({"id": it.id}));
    shown["key"]["secret"].as_str().unwrap().to_owned()
}

/// What a host says first.
pub fn greeting() -> String {
    format!("sealpost-agent {} 2\n", env!("CARGO_PKG_VERSION"))
}

pub fn socket(home: &Home) -> PathBuf {
    home.path().join("agent/socket")
}

/// The session and the process group of a process.
fn session(pid: u32) -> (u32, u32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let words: Vec<_> = rest.split(' ').collect();
    (words[3].parse().unwrap(), words[2].parse().unwrap())
}

#[test]
fn what_one_host_unlocked_every_host_can_use() {
    let it = locked();
    let before = it.pinentry.count("getpin");
    let mut first = it.home.start();
    assert_eq!(secret(&mut first, &it), "locked");
    opened(first.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 1);
    let mut second = it.home.start_firefox();
    assert_eq!(secret(&mut second, &it), "unlocked");
    opened(second.open(&it.message));
    // The first one's end locks nothing, and a process that comes later is not asked either.
    drop(first);
    drop(second);
    let mut third = it.home.start();
    opened(third.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 1);
    let until = third.good("keys/unlock", json!({"id": it.id}));
    assert!(until["until"].as_str().unwrap().ends_with('Z'));
    assert_eq!(it.pinentry.count("getpin"), before + 1);

    // Locked by one is locked for all.
    let mut fourth = it.home.start();
    assert_eq!(secret(&mut third, &it), "unlocked");
    fourth.good("keys/lock", json!({}));
    assert_eq!(secret(&mut third, &it), "locked");
    opened(third.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 2);
    assert_eq!(agents(&it.home).len(), 1);
}

#[test]
fn the_agent_stands_apart_from_the_browser() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    let agent = agent(&it.home);
    let (sid, group) = session(agent);
    assert_eq!(
        (sid, group),
        (agent, agent),
        "it stayed in the host's session"
    );
    assert_ne!(session(host.pid()).0, sid);
    // Nobody else may go where the socket is.
    let folder = it.home.path().join("agent");
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    let owner = std::fs::metadata(socket(&it.home)).unwrap().uid();
    assert_eq!(owner, std::fs::metadata(it.home.path()).unwrap().uid());
    // The browser waits for the end of the host's output: nobody else holds it.
    host.close();
    assert!(host.exit(Duration::from_secs(5)).success());
    assert!(alive(agent));
    let log = [it.home.path().join("log/sealpost.log")];
    assert!(
        holds(&log, "correct-horse").is_none(),
        "the passphrase is in the log"
    );
}

#[test]
fn a_dead_agent_costs_one_question() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    let before = it.pinentry.count("getpin");
    let dead = agent(&it.home);
    let killed = Command::new("kill")
        .args(["-9", &dead.to_string()])
        .status();
    assert!(killed.unwrap().success());
    until("the end of the agent", || !alive(dead));
    assert_eq!(secret(&mut host, &it), "locked");
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 1);
    assert_ne!(agent(&it.home), dead);
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 1);
}

#[test]
fn without_an_agent_the_host_does_it_itself() {
    let it = locked();
    // A file where its folder would be.
    std::fs::write(it.home.path().join("agent"), b"in the way").unwrap();
    let before = it.pinentry.count("getpin");
    let mut host = it.home.start();
    opened(host.open(&it.message));
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 1);
    assert_eq!(secret(&mut host, &it), "unlocked");
    assert_eq!(secret(&mut it.home.start(), &it), "locked");
    assert!(agents(&it.home).is_empty());
}

#[test]
fn keys_that_nobody_uses_lock_themselves() {
    let it = locked();
    let rules = "unlock-seconds = 3\nunlock-seconds-most = 6\n";
    std::fs::write(it.home.path().join("policy.toml"), rules).unwrap();
    let mut host = it.home.start();
    let before = it.pinentry.count("getpin");
    opened(host.open(&it.message));
    let begun = Instant::now();
    // Used every second: still open when it would have been locked unused.
    while begun.elapsed() < Duration::from_secs(5) {
        opened(host.open(&it.message));
        std::thread::sleep(Duration::from_secs(1));
    }
    // On a machine that was held up for three seconds it was asked for again, and rightly.
    let asked = it.pinentry.count("getpin");
    let slow = begun.elapsed() > Duration::from_secs(7);
    assert!(
        slow || asked == before + 1,
        "asked {} times",
        asked - before
    );
    // And locked in the end, used or not, on its own.
    until("the end of its time", || {
        let mut other = it.home.start();
        secret(&mut other, &it) == "locked"
    });
    // Without any host it holds nothing, and may go.
    assert_eq!(secret(&mut host, &it), "locked");
}

#[test]
fn it_ends_when_it_is_told_to() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    let agent = agent(&it.home);
    let told = |expected: &str| {
        let output = it.home.command().args(["agent", "--end"]).output().unwrap();
        assert!(output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
    };
    told("has ended");
    until("the end of the agent", || !alive(agent));
    assert!(!socket(&it.home).exists());
    told("there is no agent");
    assert_eq!(secret(&mut host, &it), "locked");
}

#[test]
fn it_ends_when_its_folder_has_gone() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    let agent = agent(&it.home);
    drop(host);
    drop(it);
    until("the end of the agent", || !alive(agent));
}

#[test]
fn there_is_one_of_it() {
    let it = locked();
    let mut hosts: Vec<Host> = (0..4).map(|_| it.home.start()).collect();
    // All at once, none of them with an agent to find.
    let asked: Vec<_> = hosts
        .iter_mut()
        .map(|host| host.send("keys/unlock", json!({"id": it.id})))
        .collect();
    for (host, id) in hosts.iter_mut().zip(asked) {
        host.wait(id).unwrap();
    }
    let begun = agents(&it.home);
    assert_eq!(begun.len(), 1, "{begun:?}");
    // One more by hand finds its place taken.
    let second = it
        .home
        .command()
        .arg("agent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(second.status.success());
    assert_eq!(agents(&it.home), begun);
    assert!(alive(begun[0]));
}

#[test]
fn what_is_no_host_gets_nothing_and_breaks_nothing() {
    let it = locked();
    let mut host = it.home.start();
    opened(host.open(&it.message));
    let agent = agent(&it.home);
    let before = it.pinentry.count("getpin");
    let greeting = greeting().into_bytes();
    let with = |more: &[u8]| [&greeting[..], more].concat();
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 500],
        with(&[0xff; 64]),
        with(&[4, 0, 0, 0, 99, 1, 2, 3]),
        with(&[0, 0, 0, 0]),
        with(&[200, 0, 0, 0, 1]),
        with(&[]),
    ] {
        let mut stream = UnixStream::connect(socket(&it.home)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let _ = stream.write_all(&garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(said.len() < 300, "{} bytes for garbage", said.len());
    }
    assert!(alive(agent));
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before);
    // A host of another version, after an update: the old agent makes way for a new one.
    let mut stream = UnixStream::connect(socket(&it.home)).unwrap();
    stream.write_all(b"sealpost-agent 99.0.0 7\n").unwrap();
    until("the end of the old agent", || !alive(agent));
    opened(host.open(&it.message));
    assert_eq!(it.pinentry.count("getpin"), before + 1);
}
