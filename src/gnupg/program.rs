//! Running GnuPG's programs, for a time that has an end, with an output that has one too.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::base::error::{Error, Kind, Result};
use crate::base::gnupg::Whose;
use crate::base::job::Job;

/// How long a program may take that a person asked for. A keyring of ten thousand certificates is
/// listed in seconds.
const LONG: Duration = Duration::from_secs(60);

/// How long one may take on which other work waits: own keys are few.
const SHORT: Duration = Duration::from_secs(10);

/// What a program may take.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// In bytes of its output.
    most: usize,
    time: Duration,
}

impl Bounds {
    /// Those for certificates of these people, with at most so much output.
    pub(super) const fn of(whose: Whose, most: usize) -> Bounds {
        let time = match whose {
            Whose::Own => SHORT,
            Whose::All => LONG,
        };
        Bounds { most, time }
    }
}

/// How often the job is asked meanwhile whether it still wants to go on.
const LOOK: Duration = Duration::from_millis(20);

/// The most output, in bytes: the largest import.
pub(super) const OUTPUT_MAX: usize = 64 << 20;

/// What a program prints, given that it ends well and within its bounds.
///
/// # Errors
/// `store.unavailable` when it is not there, fails or takes too long; `limit.exceeded`;
/// `cancelled`.
pub(super) fn output(
    program: &str,
    arguments: &[&str],
    bounds: Bounds,
    job: &Job,
) -> Result<Vec<u8>> {
    let most = bounds.most;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // One that only calls another ends together with it.
        .process_group(0)
        .spawn()
        .map_err(|e| failed().because(e))?;
    let stdout = child.stdout.take();
    let mut running = Running {
        child,
        ended: false,
    };
    let reading = thread::Builder::new()
        .name("gnupg".to_owned())
        .spawn(move || {
            let mut output = Vec::new();
            let read = stdout.map(|pipe| pipe.take(most as u64 + 1).read_to_end(&mut output));
            read.transpose().map(|_| output)
        })
        .map_err(|e| failed().because(e))?;
    let time = (Instant::now(), bounds.time);
    wait(time, job, || Ok(reading.is_finished().then_some(())))?;
    let output = reading.join().map_err(|_| failed())?;
    let output = output.map_err(|e| failed().because(e))?;
    if output.len() > most {
        return Err(Error::limit(
            "import",
            "GnuPG's keyring is larger than can be taken over at once; export keys from it and import these",
        ));
    }
    // Who has closed its output may still be there.
    match wait(time, job, || running.end())?.success() {
        true => Ok(output),
        false => Err(failed()),
    }
}

/// Waits until `look` has something.
fn wait<T>(
    (begun, most): (Instant, Duration),
    job: &Job,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        job.check()?;
        if begun.elapsed() > most {
            return Err(failed().because(io::Error::from(io::ErrorKind::TimedOut)));
        }
        thread::sleep(if begun.elapsed() < LOOK {
            LOOK / 20
        } else {
            LOOK
        });
    }
}

/// Ends with whoever waits for it, and with it all that it has started and not let go.
struct Running {
    child: Child,
    ended: bool,
}

impl Running {
    fn end(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait().map_err(|e| failed().because(e))?;
        self.ended = status.is_some();
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Its number is nobody else's before it was waited for.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the agent listens; started if it is not there.
///
/// # Errors
/// As [`output`].
pub(super) fn agent_socket(job: &Job) -> Result<PathBuf> {
    /// Longer than any path to a socket.
    const PATH_MAX: usize = 4 << 10;
    let bounds = Bounds::of(Whose::Own, PATH_MAX);
    // A `gpgconf` that can't start it may be able to say where one is that was started otherwise.
    let _ = output("gpgconf", &["--launch", "gpg-agent"], bounds, job);
    job.check()?;
    let path = output("gpgconf", &["--list-dirs", "agent-socket"], bounds, job)?;
    let path = String::from_utf8(path).map_err(|e| failed().because(e))?;
    // One alone comes without escapes.
    Ok(PathBuf::from(path.trim_end_matches(['\n', '\r'])))
}

pub(super) fn failed() -> Error {
    Error::new(
        Kind::StoreUnavailable,
        "GnuPG can't be used; see whether gpg works in a terminal",
    )
}
