//! The other end of the host: a client as small as one can be, for the demo. It starts this
//! very program as a browser would and waits for each reply.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::base::{Error, Result};
use crate::wire::frame;

/// One connection to one host.
pub struct Client {
    child: Child,
    /// Taken at the end: its closing is the host's sign to stop.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    id: u64,
}

/// What a request came to: a result, or the error's kind and sentence.
pub type Reply = std::result::Result<Value, Refusal>;

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub kind: String,
    pub message: String,
}

impl Client {
    /// Starts a host whose state lies in `home`, called as `origin` calls it.
    ///
    /// # Errors
    /// `internal` when the program can't be started.
    pub fn start(program: &Path, origin: &OsStr, home: &Path) -> Result<Client> {
        let mut child = Command::new(program)
            .arg(origin)
            .env("SEALPOST_HOME", home)
            // A demonstration asks nobody, and leaves nothing behind.
            .env("SEALPOST_AGENT", "none")
            .env("SEALPOST_PINENTRY", "none")
            .env("SEALPOST_CONFIRM", "no")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Error::internal("the host can't be started").because(e))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal("the host has no pipes"));
        };
        Ok(Client {
            child,
            stdin: Some(stdin),
            stdout,
            id: 0,
        })
    }

    /// Sends one request and waits for its reply.
    ///
    /// # Errors
    /// `internal` when the host does not answer as the protocol says. What the host refuses
    /// is no error of this call.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Reply> {
        self.id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        let Some(stdin) = &mut self.stdin else {
            return Err(silent());
        };
        frame::write(stdin, request.to_string().as_bytes()).map_err(|e| silent().because(e))?;
        loop {
            let text = frame::read(&mut self.stdout).map_err(|e| silent().because(e))?;
            let text = text.ok_or_else(silent)?;
            let mut reply: Value =
                serde_json::from_slice(&text).map_err(|e| silent().because(e))?;
            if reply.get("id").and_then(Value::as_u64) != Some(self.id) {
                continue;
            }
            if let Some(error) = reply.get("error") {
                let word = |pointer| {
                    let text = error.pointer(pointer).and_then(Value::as_str);
                    text.unwrap_or_default().to_owned()
                };
                return Ok(Err(Refusal {
                    kind: word("/data/kind"),
                    message: word("/message"),
                }));
            }
            return Ok(Ok(reply
                .get_mut("result")
                .map(Value::take)
                .unwrap_or_default()));
        }
    }

    /// Hangs up, and says whether the host ended as it should.
    pub fn end(mut self) -> bool {
        drop(self.stdin.take());
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // After `end` there is nobody left to kill.
        if self.stdin.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn silent() -> Error {
    Error::internal("the host does not answer")
}
