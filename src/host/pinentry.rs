//! pinentry over Assuan: one process for one question.
//!
//! Our own few lines of the protocol, because a question has to be taken back by ending the
//! process in the middle of it, and because every buffer that a passphrase passes through
//! here is wiped.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use zeroize::Zeroizing;

use super::asking::FIVE_MINUTES;
use crate::base::Secret;
use crate::base::address::hidden;
use crate::base::ask::{Action, LABEL_MAX, Need, Question, shown_bytes};
use crate::gnupg::lines::{LINE_MAX, Lines, unescape};

/// How often two new passphrases may differ.
const REPEATS: u32 = 3;

/// What came of a question.
pub enum Given {
    Passphrase(Secret),
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
            Given::Yes => "confirmed",
            Given::No => "dismissed",
            Given::Unavailable => "unavailable",
        }
    }
}

/// The running process.
pub struct Process(Child);

impl Process {
    /// Ends it, whatever it does. Only ever the process that was started here.
    pub fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
    from: ChildStdout,
    lines: Lines,
}

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
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (to, from) = (child.stdin.take(), child.stdout.take());
    let process = Process(child);
    let (Some(to), Some(from)) = (to, from) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let lines = Lines::default();
    Ok((process, Dialogue { to, from, lines }))
}

/// One answer of the other side.
enum Said {
    Ok,
    Data(Secret),
    /// GnuPG's error code without its source.
    Err(u32),
}

impl Dialogue {
    /// Asks one question and gives its answer. Blocks until there is one, or the process
    /// ends.
    pub fn ask(mut self, question: &Question) -> Given {
        match self.prepare(question) {
            Ok(Said::Ok) => {}
            Ok(_) | Err(_) => return Given::Unavailable,
        }
        let given = match question {
            Question::Confirm { .. } | Question::Show { .. } => {
                self.command("CONFIRM").map(|said| match said {
                    Said::Ok | Said::Data(_) => Given::Yes,
                    Said::Err(code) => refused(code),
                })
            }
            Question::Passphrase {
                need: Need::Wrap, ..
            } => self.twice(),
            Question::Passphrase { .. } => self.once(),
        };
        let given = given.unwrap_or(Given::No);
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
                self.command("SETERROR That was not right. Please try again.")?;
            }
        }
        self.command(&format!("SETDESC {}", escape(&describe(question))))
    }

    fn once(&mut self) -> io::Result<Given> {
        Ok(match self.command("GETPIN")? {
            Said::Data(secret) => Given::Passphrase(secret),
            Said::Ok => Given::Passphrase(Secret::new(Vec::new())),
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
        let mut data = Zeroizing::new(Vec::with_capacity(LINE_MAX));
        loop {
            let line = self.lines.next(&mut self.from)?;
            if line.starts_with(b"D ") {
                let more = unescape(line.get(2..).unwrap_or_default());
                if data.len() + more.len() > data.capacity() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                data.extend_from_slice(&more);
            } else if line.starts_with(b"OK") {
                return Ok(if data.is_empty() {
                    Said::Ok
                } else {
                    Said::Data(Secret::new(std::mem::take(&mut *data)))
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
    use super::{LABEL_MAX, LINE_MAX, describe, escape, unescape, words};
    use crate::base::ask::{Action, Question};

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
