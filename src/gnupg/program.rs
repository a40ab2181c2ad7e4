//! Running GnuPG's programs, for a time that has an end, with an output that has one too.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::base::error::{Error, Kind, Result};
use crate::base::job::Job;

/// How long a program may take. A keyring of ten thousand certificates is listed in seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the job is asked meanwhile whether it still wants to go on.
const LOOK: Duration = Duration::from_millis(20);

/// The most output, in bytes: the largest import.
const OUTPUT_MAX: u64 = 64 << 20;

/// What a program prints, given that it ends well.
///
/// # Errors
/// `store.unavailable` when it is not there, fails, takes too long or says too much;
/// `cancelled`.
pub(super) fn output(program: &str, arguments: &[&str], job: &Job) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed().because(e))?;
    let stdout = child.stdout.take();
    let mut running = Running(child);
    let reading = thread::Builder::new()
        .name("gnupg".to_owned())
        .spawn(move || {
            let mut output = Vec::new();
            let read = stdout.map(|pipe| pipe.take(OUTPUT_MAX + 1).read_to_end(&mut output));
            read.transpose().map(|_| output)
        })
        .map_err(|e| failed().because(e))?;
    let begun = Instant::now();
    while !reading.is_finished() {
        job.check()?;
        if begun.elapsed() > PATIENCE {
            return Err(failed());
        }
        thread::sleep(if begun.elapsed() < LOOK {
            LOOK / 20
        } else {
            LOOK
        });
    }
    let output = reading.join().map_err(|_| failed())?;
    let output = output.map_err(|e| failed().because(e))?;
    if output.len() as u64 > OUTPUT_MAX {
        return Err(Error::limit(
            "import",
            "GnuPG's keyring is larger than can be taken over at once; export keys from it and import these",
        ));
    }
    match running.0.wait() {
        Ok(status) if status.success() => Ok(output),
        _ => Err(failed()),
    }
}

/// Ends with whoever waits for it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the agent listens; started if it is not there.
///
/// # Errors
/// As [`output`].
pub(super) fn agent_socket(job: &Job) -> Result<PathBuf> {
    // A `gpgconf` that can't start it may be able to say where one is that was started otherwise.
    let _ = output("gpgconf", &["--launch", "gpg-agent"], job);
    let path = output("gpgconf", &["--list-dirs", "agent-socket"], job)?;
    let path = String::from_utf8(path).map_err(|e| failed().because(e))?;
    // Percent signs, colons and spaces come escaped.
    let path = path.trim_end().replace("%3a", ":").replace("%25", "%");
    Ok(PathBuf::from(path))
}

pub(super) fn failed() -> Error {
    Error::new(
        Kind::StoreUnavailable,
        "GnuPG can't be used; see whether gpg works in a terminal",
    )
}
