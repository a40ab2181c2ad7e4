//! A client of the gpgme-json dialect: one process a conversation, one answer for each request.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Home, decode};
use crate::peer::Gpg;

/// gpgme-json; `None`, and a loud line, where `./dev setup` could not get it.
pub fn reference() -> Option<PathBuf> {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_sealpost"));
    let found = binary.parent()?.parent()?.join("reference/gpgme-json");
    let there = found.is_file();
    if !there {
        println!(
            "ABSENT: gpgme-json is not at {}; what is compared with it was NOT shown",
            found.display()
        );
    }
    there.then_some(found)
}

/// Our own, by the name that makes it speak the dialect.
pub fn ours() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("sealpost-gpgmejson");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sealpost"), &link).unwrap();
    (folder, link)
}

/// One of the two programs with a GnuPG home.
pub fn command(program: &Path, gpg: &Gpg, home: &Home) -> Command {
    let mut command = Command::new(program);
    for (name, value) in home.command().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .env("GNUPGHOME", gpg.home())
        .env("LC_ALL", "C.UTF-8")
        .arg("chrome-extension://kajibbejlbohfaggdiogboambcijhkke/");
    command
}

/// How long one answer may take: 50 MB on a shared machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// More answers than this to one request are no end.
const PIECES: usize = 40_000;

/// A running program that speaks the dialect; it ends with this.
pub struct Speaker {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<Vec<u8>>,
}

impl Speaker {
    pub fn start(mut command: Command) -> Speaker {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().unwrap();
        let (found, answers) = channel();
        thread::spawn(move || {
            loop {
                let mut head = [0u8; 4];
                if stdout.read_exact(&mut head).is_err() {
                    return;
                }
                let mut bytes = vec![0u8; u32::from_ne_bytes(head) as usize];
                if stdout.read_exact(&mut bytes).is_err() || found.send(bytes).is_err() {
                    return;
                }
            }
        });
        Speaker {
            child,
            stdin,
            answers,
        }
    }

    /// The bytes of the answer to a request; `None` where the program ended instead.
    pub fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let stdin = self.stdin.as_mut().unwrap();
        let length = u32::try_from(request.len()).unwrap();
        stdin
            .write_all(&length.to_ne_bytes())
            .and_then(|()| stdin.write_all(request))
            .and_then(|()| stdin.flush())
            .ok()?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => Some(answer),
            Err(_) if self.ended() => None,
            Err(_) => panic!("no answer within {PATIENCE:?}"),
        }
    }

    /// The answer as JSON, put together from its pieces where it comes in pieces, and how long
    /// the text of each piece was.
    pub fn pull(&mut self, request: &[u8], chunk: u64) -> Option<(Value, Vec<usize>)> {
        let mut joined = Vec::new();
        let mut lengths = Vec::new();
        let mut next = request.to_vec();
        for _ in 0..PIECES {
            let piece = value(&self.ask(&next)?);
            let Some(text) = piece["response"].as_str() else {
                return Some((piece, lengths));
            };
            lengths.push(text.len());
            joined.extend(decode(text));
            if piece["more"] != json!(true) {
                return Some((value(&joined), lengths));
            }
            next = json!({"op": "getmore", "chunksize": chunk})
                .to_string()
                .into_bytes();
        }
        panic!("an answer without an end");
    }

    /// Closes the way in and waits; the exit code.
    pub fn end(mut self) -> Option<i32> {
        drop(self.stdin.take());
        self.child.wait().unwrap().code()
    }

    fn ended(&mut self) -> bool {
        // Its way out is closed: it ends now, or it did.
        for _ in 0..500 {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer as JSON; what is none shows as the text that it is.
pub fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(
        |e| json!({"NOT JSON": e.to_string(), "text": String::from_utf8_lossy(bytes)}),
    )
}
