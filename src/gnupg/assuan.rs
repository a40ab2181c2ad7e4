//! GnuPG's agent over Assuan, the few commands of it that private operations take.
//!
//! Our own few lines and not `sequoia-gpg-agent`: that brings an asynchronous run-time and
//! needs a schema compiler at build time, and what is said here has to be wiped.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::lines::{LINE_MAX, Lines, unescape};
use super::socket;
use crate::base::Secret;
use crate::base::job::Job;

/// The longest data in an answer: a signature or a session key.
const DATA_MAX: usize = 16 << 10;

/// The longest answer in bytes, whatever lines it is made of: the longest data, each byte of it
/// escaped, and some lines about how it goes.
const ANSWER_MAX: usize = 64 << 10;

/// The most inquiries in an answer: a dialog is opened a few times at most. What is said to as
/// many always finds room in the socket, read or not.
const INQUIRIES_MAX: usize = 32;

/// How long it may take to reach the agent, to be greeted, and to say what it will be about.
const BEGIN: Duration = Duration::from_secs(15);

/// How long the agent may think: passphrases are stretched.
const THINK: Duration = Duration::from_secs(30);

/// How long a person may.
const PERSON: Duration = Duration::from_secs(5 * 60);

/// How often a silent agent's client looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// GnuPG's error codes, as far as they mean something here.
pub(super) const NO_SECRET_KEY: u32 = 17;
pub(super) const BAD_PASSPHRASE: u32 = 11;
pub(super) const NOT_FOUND: u32 = 27;
pub(super) const BAD_PIN: u32 = 87;
pub(super) const CANCELED: u32 = 99;
pub(super) const FULLY_CANCELED: u32 = 198;
pub(super) const NO_PIN_ENTRY: u32 = 85;
pub(super) const TIMEOUT: u32 = 62;
pub(super) const CARD_REMOVED: u32 = 111;
pub(super) const CARD_NOT_PRESENT: u32 = 112;
pub(super) const NO_SCDAEMON: u32 = 119;

/// Why a command came to nothing.
pub(super) enum Fault {
    /// The agent can't be reached, or speaks otherwise.
    Broken(io::Error),
    /// Its error code, without its source.
    Said(u32),
    /// It wanted a passphrase and there is none to give.
    Wanted,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Broken(error)
    }
}

/// What a command gave.
#[derive(Default)]
pub(super) struct Given {
    pub data: Option<Secret>,
    /// Status lines, without their `S `.
    pub status: Vec<String>,
}

/// A conversation with the agent, for as long as a request is wanted. It ends with this.
pub(super) struct Assuan<'a> {
    stream: Patient<'a>,
    lines: Lines,
}

/// Whose turn it is to take their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Agent,
    /// A person may have to be waited for.
    Person,
}

/// Answers to what the agent may inquire, by keyword: each is given once in a command.
pub(super) type Answers<'a> = [(&'a str, &'a [u8])];

impl<'a> Assuan<'a> {
    /// Connects; the agent has greeted on return. Until [`Assuan::wait_for`] everything that is
    /// said has one short time together.
    pub(super) fn connect(path: &Path, job: &'a Job) -> Result<Assuan<'a>, Fault> {
        let until = Instant::now() + BEGIN;
        let stream = socket::connected(path, until, &|| job.check().is_ok())?;
        let mut assuan = Assuan::over(stream, until, job)?;
        assuan.answer(&[])?;
        Ok(assuan)
    }

    fn over(stream: UnixStream, until: Instant, job: &'a Job) -> io::Result<Assuan<'a>> {
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(LOOK))?;
        Ok(Assuan {
            stream: Patient { stream, until, job },
            lines: Lines::default(),
        })
    }

    /// From now on there is as much time as somebody needs for one operation.
    pub(super) fn wait_for(&mut self, turn: Turn) {
        let time = match turn {
            Turn::Agent => THINK,
            Turn::Person => PERSON,
        };
        self.stream.until = Instant::now() + time;
    }

    /// Sends one command and gives what comes of it.
    pub(super) fn command(&mut self, command: &str, answers: &Answers<'_>) -> Result<Given, Fault> {
        if command.len() >= LINE_MAX || command.contains(['\n', '\r']) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        self.stream.write_all(format!("{command}\n").as_bytes())?;
        self.answer(answers)
    }

    fn answer(&mut self, answers: &Answers<'_>) -> Result<Given, Fault> {
        let mut given = Given::default();
        let mut wanted = false;
        let mut left = answers.to_vec();
        let (mut room, mut inquiries) = (ANSWER_MAX, INQUIRIES_MAX);
        let mut data = Zeroizing::new(Vec::with_capacity(DATA_MAX));
        loop {
            let line = self.lines.next(&mut self.stream)?;
            // Whatever it is: a line and its end.
            room = room.checked_sub(line.len() + 1).ok_or_else(nonsense)?;
            if let Some(piece) = line.strip_prefix(b"D ") {
                let piece = unescape(piece);
                if data.len() + piece.len() > data.capacity() {
                    return Err(nonsense().into());
                }
                data.extend_from_slice(&piece);
            } else if let Some(status) = line.strip_prefix(b"S ") {
                given
                    .status
                    .push(String::from_utf8_lossy(status).into_owned());
            } else if let Some(inquiry) = line.strip_prefix(b"INQUIRE ") {
                inquiries = inquiries.checked_sub(1).ok_or_else(nonsense)?;
                let keyword = inquiry
                    .split(|byte| *byte == b' ')
                    .next()
                    .unwrap_or_default();
                let known = left
                    .iter()
                    .position(|(known, _)| known.as_bytes() == keyword);
                match known {
                    Some(known) => {
                        let (_, answer) = left.swap_remove(known);
                        self.send(answer)?;
                    }
                    // A note that a dialog was opened wants no answer.
                    None if keyword == b"PINENTRY_LAUNCHED" => self.stream.write_all(b"END\n")?,
                    // What the command has no need of is not given.
                    None => {
                        wanted |= keyword == b"PASSPHRASE";
                        self.stream.write_all(b"CAN\n")?;
                    }
                }
            } else if line.starts_with(b"OK") {
                if !data.is_empty() {
                    given.data = Some(Secret::new(std::mem::take(&mut *data)));
                }
                return Ok(given);
            } else if let Some(code) = line.strip_prefix(b"ERR ") {
                if wanted {
                    return Err(Fault::Wanted);
                }
                let digits = code.split(|byte| *byte == b' ').next().unwrap_or_default();
                let code = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|code| code.parse::<u32>().ok());
                return Err(Fault::Said(code.unwrap_or(0) & 0xffff));
            } else if !line.is_empty() && !line.starts_with(b"#") {
                return Err(nonsense().into());
            }
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<(), Fault> {
        // Escaped, a byte takes three.
        for piece in data.chunks(LINE_MAX / 4) {
            let mut line = Zeroizing::new(Vec::with_capacity(LINE_MAX));
            line.extend_from_slice(b"D ");
            for byte in piece {
                match byte {
                    b'%' => line.extend_from_slice(b"%25"),
                    b'\r' => line.extend_from_slice(b"%0D"),
                    b'\n' => line.extend_from_slice(b"%0A"),
                    byte => line.extend_from_slice(std::slice::from_ref(byte)),
                }
            }
            line.extend_from_slice(b"\n");
            self.stream.write_all(&line)?;
        }
        Ok(self.stream.write_all(b"END\n")?)
    }
}

/// The agent speaks as none does.
fn nonsense() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// A stream that waits, but not beyond its time, and not for what is no more wanted: both end
/// it with `TimedOut`. A byte now and then makes that time no longer.
struct Patient<'a> {
    stream: UnixStream,
    until: Instant,
    job: &'a Job,
}

impl Patient<'_> {
    fn wait(&self, mut once: impl FnMut(&UnixStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            if Instant::now() >= self.until || self.job.check().is_err() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match once(&self.stream) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) => {}
                done => return done,
            }
        }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(|mut stream| stream.read(buffer))
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|mut stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent that says these lines, and then hears.
    fn agent<'a>(
        job: &'a Job,
        says: &[&'static str],
    ) -> (Assuan<'a>, std::thread::JoinHandle<Vec<u8>>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let says: Vec<_> = says.to_vec();
        let heard = std::thread::spawn(move || {
            for line in says {
                let _ = theirs.write_all(line.as_bytes());
            }
            let mut heard = Vec::new();
            let _ = theirs.read_to_end(&mut heard);
            heard
        });
        let until = Instant::now() + THINK;
        (Assuan::over(ours, until, job).unwrap(), heard)
    }

    #[test]
    fn data_and_inquiries_are_escaped() {
        let job = Job::default();
        let (mut assuan, heard) = agent(
            &job,
            &[
                "INQUIRE CIPHERTEXT\n",
                "S PADDING 0\n",
                "D a%0Ab%2",
                "5c\n",
                "OK done\n",
            ],
        );
        let given = assuan.command("PKDECRYPT", &[("CIPHERTEXT", b"x\n%\r")]);
        let Ok(given) = given else { panic!() };
        assert_eq!(given.data.unwrap().expose(), b"a\nb%c");
        assert_eq!(given.status, ["PADDING 0"]);
        drop(assuan);
        assert_eq!(heard.join().unwrap(), b"PKDECRYPT\nD x%0A%25%0D\nEND\n");
    }

    #[test]
    fn errors_and_nonsense_end_a_command() {
        let job = Job::default();
        let (mut assuan, _) = agent(&job, &["ERR 67108875 Bad passphrase <GPG Agent>\n"]);
        let said = assuan.command("PKSIGN", &[]);
        assert!(matches!(said, Err(Fault::Said(BAD_PASSPHRASE))));
        let (mut assuan, heard) = agent(&job, &["INQUIRE PASSPHRASE\n", "ERR 99 canceled\n"]);
        assert!(matches!(assuan.command("PKSIGN", &[]), Err(Fault::Wanted)));
        drop(assuan);
        assert_eq!(heard.join().unwrap(), b"PKSIGN\nCAN\n");
        for nonsense in [&["HTTP/1.1 200 OK\n"][..], &["x".repeat(3000).leak()], &[]] {
            let (mut assuan, heard) = agent(&job, nonsense);
            assuan
                .stream
                .stream
                .shutdown(std::net::Shutdown::Write)
                .unwrap();
            assert!(matches!(assuan.answer(&[]), Err(Fault::Broken(_))));
            drop(assuan);
            heard.join().unwrap();
        }
        let (mut assuan, _) = agent(&job, &[]);
        assert!(assuan.command("RESET\nKILLAGENT", &[]).is_err());
    }
}
