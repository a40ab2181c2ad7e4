//! pinentry over Assuan: one process for one question.
//!
//! Our own few lines of the protocol, because a question has to be taken back by ending the
//! process in the middle of it, and because every buffer that a passphrase passes through
//! here is wiped.

use std::io::{self, IsTerminal as _, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::asking::FIVE_MINUTES;
use crate::base::address::hidden;
use crate::base::ask::{Action, LABEL_MAX, Need, Question, shown_bytes};
use crate::base::{Error, Secret};
use crate::gnupg::lines::{Lines, unescape};

/// How often two new passphrases may differ.
const REPEATS: u32 = 3;

/// How long the program may take until its dialog can be shown.
const BEGIN: Duration = Duration::from_secs(20);

/// The longest passphrase in bytes: what pinentry itself takes.
const PASSPHRASE_MAX: usize = 2048;

/// The longest answer in bytes, whatever lines it is made of: the longest passphrase, each byte
/// of it escaped, and some lines about how it goes.
const ANSWER_MAX: usize = 16 << 10;

/// What came of a question.
pub enum Given {
    Passphrase(Secret),
    /// A longer one than any key has.
    TooLong,
    Yes,
    /// Dismissed, or five minutes passed.
    No,
    /// There is nobody to ask this way.
    Unavailable,
}

impl Given {
    /// For the log.
    pub fn name(&self) -> &'static str {
        match self {
            Given::Passphrase(_) => "answered",
            Given::TooLong => "too long",
            Given::Yes => "confirmed",
            Given::No => "dismissed",
            Given::Unavailable => "unavailable",
        }
    }
}

/// The error after a passphrase that was too long.
pub fn too_long() -> Error {
    Error::limit(
        "passphrase",
        "the passphrase is longer than 2048 bytes; take a shorter one",
    )
}

/// The running process.
pub struct Process {
    child: Child,
    /// It has a process group of its own.
    apart: bool,
    ended: bool,
}

impl Process {
    /// Ends it, whatever it does. Only ever the process that was started here, and where it is
    /// apart what it has started: a script may have called the real one.
    pub fn end(&mut self) {
        // Once it was waited for, its number may be somebody else's.
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.apart {
            end_group(&self.child);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The two pipes to the process.
pub struct Dialogue {
    to: ChildStdin,
    from: Patient,
    lines: Lines,
}

/// What the process says, waited for until a time: `TimedOut` from then on.
struct Patient {
    from: ChildStdout,
    until: Instant,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait(&self.from, self.until)?;
        self.from.read(buffer)
    }
}

/// Waits until there is something to read, or the end.
#[cfg(unix)]
fn wait(from: &ChildStdout, until: Instant) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&left)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waiting for a pipe has no end here, but reading from a process that was ended has.
#[cfg(not(unix))]
fn wait(_: &ChildStdout, until: Instant) -> io::Result<()> {
    match Instant::now() < until {
        true => Ok(()),
        false => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(unix)]
fn end_group(leader: &Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = i32::try_from(leader.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// No process is apart here.
#[cfg(not(unix))]
fn end_group(_: &Child) {}

/// Whether there is such a program, here or on the path.
pub fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Starts the program.
///
/// # Errors
/// What the system says, for example that there is no such program.
pub fn start(program: &Path) -> io::Result<(Process, Dialogue)> {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let terminal = std::env::var_os("GPG_TTY").is_some_and(|name| !name.is_empty());
    let apart = cfg!(unix) && !terminal && !io::stderr().is_terminal();
    #[cfg(unix)]
    if apart {
        // At a terminal it would be in the background there, and stand still.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    let mut child = command.spawn()?;
    let (to, from) = (child.stdin.take(), child.stdout.take());
    let process = Process {
        child,
        apart,
        ended: false,
    };
    let (Some(to), Some(from)) = (to, from) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let from = Patient {
        from,
        until: Instant::now() + BEGIN,
    };
    let lines = Lines::default();
    Ok((process, Dialogue { to, from, lines }))
}

/// One answer of the other side.
enum Said {
    Ok,
    Data(Secret),
    /// More than there may be.
    Long,
    /// GnuPG's error code without its source.
    Err(u32),
}

impl Dialogue {
    /// Asks one question and gives its answer. Blocks until there is one, the process ends, or
    /// the question's time does; a process that never gets as far as to ask it is left sooner.
    pub fn ask(mut self, question: &Question) -> Given {
        match self.prepare(question) {
            Ok(Said::Ok) => {}
            Ok(_) | Err(_) => return Given::Unavailable,
        }
        self.from.until = Instant::now() + FIVE_MINUTES;
        let given = match question {
            Question::Confirm { .. } | Question::Show { .. } => {
                self.command("CONFIRM").map(|said| match said {
                    Said::Ok => Given::Yes,
                    Said::Data(_) | Said::Long => Given::Unavailable,
                    Said::Err(code) => refused(code),
                })
            }
            Question::Passphrase {
                need: Need::Wrap, ..
            } => self.twice(),
            Question::Passphrase { .. } => self.once(),
        };
        let given = given.unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::TimedOut => Given::No,
            // Whatever ends or speaks like this has asked nobody.
            _ => Given::Unavailable,
        });
        let _ = self.to.write_all(b"BYE\n");
        given
    }

    fn prepare(&mut self, question: &Question) -> io::Result<Said> {
        let greeting = self.said()?;
        if !matches!(greeting, Said::Ok) {
            return Ok(greeting);
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = |name| {
            variable("LC_ALL")
                .or_else(|| variable(name))
                .or_else(|| variable("LANG"))
        };
        for (option, value) in [
            ("display", variable("DISPLAY")),
            ("ttyname", variable("GPG_TTY")),
            ("ttytype", variable("TERM")),
            ("lc-ctype", locale("LC_CTYPE")),
            ("lc-messages", locale("LC_MESSAGES")),
        ] {
            if let Some(value) = value.filter(|v| v.len() < 256 && !v.contains(char::is_control)) {
                // An option that this pinentry doesn't know changes nothing.
                self.command(&format!("OPTION {option}={value}"))?;
            }
        }
        self.command("SETTITLE Sealpost")?;
        self.command(&format!("SETTIMEOUT {}", FIVE_MINUTES.as_secs()))?;
        if let Question::Passphrase { need, attempt, .. } = question {
            let prompt = match need {
                Need::Account => "Password:",
                _ => "Passphrase:",
            };
            self.command(&format!("SETPROMPT {prompt}"))?;
            if *attempt > 1 {
                // A new one can't be wrong, only empty.
                self.command(match need {
                    Need::Wrap => "SETERROR It can't be empty. Please choose one.",
                    _ => "SETERROR That was not right. Please try again.",
                })?;
            }
        }
        self.command(&format!("SETDESC {}", escape(&describe(question))))
    }

    fn once(&mut self) -> io::Result<Given> {
        Ok(match self.command("GETPIN")? {
            Said::Data(secret) => Given::Passphrase(secret),
            Said::Ok => Given::Passphrase(Secret::new(Vec::new())),
            Said::Long => Given::TooLong,
            Said::Err(code) => refused(code),
        })
    }

    /// A new passphrase: the dialog has two fields, or comes twice where it can't.
    fn twice(&mut self) -> io::Result<Given> {
        self.command("SETREPEATERROR The two are not the same. Please try again.")?;
        if let Said::Ok = self.command("SETREPEAT Once more:")? {
            return self.once();
        }
        for _ in 0..REPEATS {
            let first = match self.once()? {
                Given::Passphrase(secret) => secret,
                other => return Ok(other),
            };
            self.command("SETPROMPT Once more:")?;
            match self.once()? {
                Given::Passphrase(second) if second.expose() == first.expose() => {
                    return Ok(Given::Passphrase(second));
                }
                Given::Passphrase(_) => {}
                other => return Ok(other),
            }
            self.command("SETPROMPT Passphrase:")?;
            self.command("SETERROR The two are not the same. Please try again.")?;
        }
        Ok(Given::No)
    }

    fn command(&mut self, command: &str) -> io::Result<Said> {
        self.to.write_all(format!("{command}\n").as_bytes())?;
        self.said()
    }

    /// Reads up to the next OK or ERR.
    fn said(&mut self) -> io::Result<Said> {
        let mut data = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX));
        let (mut room, mut long) = (ANSWER_MAX, false);
        loop {
            let line = self.lines.next(&mut self.from)?;
            // Whatever it is: a line and its end.
            let left = room.checked_sub(line.len() + 1);
            room = left.ok_or(io::ErrorKind::InvalidData)?;
            if let Some(piece) = line.strip_prefix(b"D ") {
                let piece = unescape(piece);
                long |= data.len() + piece.len() > data.capacity();
                if !long {
                    data.extend_from_slice(&piece);
                }
            } else if line.starts_with(b"OK") {
                return Ok(match data.is_empty() {
                    _ if long => Said::Long,
                    true => Said::Ok,
                    false => Said::Data(Secret::new(std::mem::take(&mut *data))),
                });
            } else if let Some(code) = line.strip_prefix(b"ERR ") {
                let digits = code.split(|byte| *byte == b' ').next().unwrap_or_default();
                let code = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|c| c.parse().ok());
                return Ok(Said::Err(code.unwrap_or(0_u32) & 0xffff));
            } else if line.starts_with(b"INQUIRE") {
                self.to.write_all(b"END\n")?;
            } else if !line.is_empty() && !line.starts_with(b"S ") && !line.starts_with(b"#") {
                // Whatever speaks like this is no pinentry: better none than one never heard.
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

/// Cancelled (99), closed (198), timed out (62), not confirmed (114): a person's no. What
/// else goes wrong means that nobody saw the question.
fn refused(code: u32) -> Given {
    match code {
        99 | 198 | 62 | 114 => Given::No,
        _ => Given::Unavailable,
    }
}

/// What a person is asked before something is done, and what follows from it: for pinentry both
/// have to be short, see [`LABEL_MAX`].
fn words(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::AcceptVerified => (
            "Accept this key as verified?",
            "What it signs is theirs then, and mail to them goes to it. Compare the fingerprint \
             with its owner first. You can take it back.",
        ),
        Action::AcceptByImport => (
            "Accept the imported keys?",
            "What they sign is their owners' then, and mail to those goes to them. You can take \
             it back.",
        ),
        Action::DeleteKey => (
            "Delete this key?",
            "What was decided about it goes too. It can be brought in again.",
        ),
        Action::DeleteSecret => (
            "Delete this secret key?",
            "Without a copy it can't be brought back, and what was encrypted to it can't be read \
             any more.",
        ),
        Action::ExportSecret => (
            "Give out this secret key?",
            "Whoever has it, and its passphrase or code, can read your mail and sign as you. It \
             can't be called back.",
        ),
        Action::Revoke => (
            "Revoke this?",
            "Nobody who hears of it uses it any more. It can't be taken back.",
        ),
        Action::ChangeAnchors => (
            "Change who vouches for S/MIME certificates?",
            "It decides which signatures are good. You can change it back.",
        ),
        Action::SetAccount => (
            "Change this mail account?",
            "Mail goes out through it then. You can change it back.",
        ),
        Action::RestoreBackup => (
            "Take up what is in this backup?",
            "Keys that are here stay as they are. What comes can be taken back, one by one.",
        ),
        Action::Introduce => (
            "Let the owner of this key vouch for others?",
            "Keys that they signed count as accepted then. You can end it again.",
        ),
        Action::LeaveVerified => (
            "Change which key counts for this address?",
            "It decides whose signatures are good, and to which key mail goes. You can change it \
             back.",
        ),
        Action::Shorten => (
            "Let this key end sooner?",
            "After its end nobody encrypts to it. As long as you have it, it can get a later end.",
        ),
        Action::ClaimAddress => (
            "Have a key of your own for an address that another has?",
            "Say yes only if the address is yours. To undo it, delete your key.",
        ),
        Action::WriteBackup => (
            "Give out all your keys in a backup?",
            "Whoever has it and its passphrase can read your mail and sign as you. It can't be \
             called back.",
        ),
    }
}

fn describe(question: &Question) -> String {
    let code;
    let mut follows = "";
    let (sentence, label) = match question {
        Question::Passphrase { need, label, .. } => (
            match need {
                Need::Unlock => "Sealpost needs the passphrase of the key",
                Need::Wrap => "Choose a passphrase that will protect",
                Need::Unwrap => "Sealpost needs the passphrase that protects",
                Need::Account => "Sealpost needs the password of the mail account",
            },
            label,
        ),
        Question::Confirm { action, label } => {
            let (question, outcome) = words(*action);
            follows = outcome;
            (question, label)
        }
        Question::Show { shown, label } => {
            code = format!("{}\n{label}", String::from_utf8_lossy(shown.expose()));
            ("Write this code down. You will be asked for it.", &code)
        }
    };
    let plain = label
        .chars()
        .filter(|c| !hidden(*c))
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    let mut label = String::new();
    let mut room = LABEL_MAX;
    for c in plain {
        let taken = shown_bytes(c.encode_utf8(&mut [0; 4]));
        let Some(left) = room.checked_sub(taken) else {
            break;
        };
        room = left;
        label.push(c);
    }
    match follows {
        "" => format!("{sentence}\n\n{label}"),
        follows => format!("{sentence}\n\n{label}\n\n{follows}"),
    }
}

/// Assuan's escapes for a line of text.
fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::{LABEL_MAX, describe, escape, unescape, words};
    use crate::base::ask::{Action, Question};
    use crate::gnupg::lines::LINE_MAX;

    #[test]
    fn escapes_go_both_ways() {
        let text = "50 %\r\nof it %41 ä";
        let escaped = escape(text);
        assert_eq!(escaped, "50 %25%0D%0Aof it %2541 ä");
        assert_eq!(&*unescape(escaped.as_bytes()), text.as_bytes());
        assert_eq!(&*unescape(b"%"), b"%");
        assert_eq!(&*unescape(b"%4"), b"%4");
        assert_eq!(&*unescape(b"%zz%0a"), b"%zz\n");
    }

    #[test]
    fn a_label_can_neither_end_the_line_nor_hide() {
        for action in Action::ALL {
            let label = format!("A\r\nGETPIN\u{202E}{}", "%".repeat(5000));
            let question = Question::Confirm { action, label };
            let line = escape(&describe(&question));
            assert!(!line.contains(['\r', '\n', '\u{202E}']));
            // With its line end.
            assert!(
                line.len() < LINE_MAX - "SETDESC ".len(),
                "{action:?}: {}",
                line.len()
            );
            assert!(line.matches("%25").count() < LABEL_MAX);
            assert!(line.ends_with(&escape(words(action).1)));
        }
    }
}
