//! A host's line to the agent: how long its silence is borne, and what ends a wait.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::peer;
use super::speech::{self, Answer, Partner, Question};
use crate::base::job::Job;
use crate::base::peer::is_this_person;

/// How long an agent may be silent: it greets at once, and says every second that it works. A
/// machine under load, or whose disk has to wake up first, is slower than that.
const SILENCE: Duration = Duration::from_secs(10);

/// How long one operation may take in all. A passphrase may be stretched for seconds, and a PIN
/// may be typed on a token's reader.
const PATIENCE: Duration = Duration::from_secs(150);

/// How often a wait looks whether its request was taken back.
const LOOK: Duration = Duration::from_millis(50);

/// How long to wait where others wait to be let in.
const PAUSE: Duration = Duration::from_millis(5);

/// A connection to an agent that has greeted.
pub(super) struct Line(UnixStream);

/// Why nothing came over a line.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody wants to know any more.
    TakenBack,
    /// The agent says nothing: it is stopped, or hangs.
    Silent,
    /// It has too many hosts.
    Busy,
    /// It is of an older version than this program, and makes way for it.
    Older,
    /// It is of a newer version than this program.
    Newer,
    /// There is none, or it has ended.
    Gone(io::Error),
    /// There is none, and none can be started.
    Unstartable,
}

impl Fault {
    fn of(error: io::Error, job: &Job) -> Fault {
        match error.kind() {
            _ if job.check().is_err() => Fault::TakenBack,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Fault::Silent,
            _ => Fault::Gone(error),
        }
    }
}

/// Connects to the agent behind `socket`, if it is of this person and program.
///
/// # Errors
/// Every [`Fault`].
pub(super) fn connect(socket: &Path, job: &Job) -> Result<Line, Fault> {
    greeted(reach(socket, job)?, job)
}

/// A connection to whoever is behind `socket`.
///
/// # Errors
/// [`Fault::TakenBack`], [`Fault::Silent`], [`Fault::Gone`].
pub(super) fn reach(socket: &Path, job: &Job) -> Result<UnixStream, Fault> {
    let begun = Instant::now();
    loop {
        match peer::reach(socket) {
            // Others wait there, too; or it takes no connections at all.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < SILENCE => {
                job.check().map_err(|_| Fault::TakenBack)?;
                thread::sleep(PAUSE);
            }
            reached => return reached.map_err(|e| Fault::of(e, job)),
        }
    }
}

/// Greets over a connection that is there.
///
/// # Errors
/// As [`connect`].
pub(super) fn greeted(stream: UnixStream, job: &Job) -> Result<Line, Fault> {
    let greet = || {
        if !is_this_person(&stream) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(SILENCE))?;
        speech::greet(&mut Listening::new(&stream, job))
    };
    match greet().map_err(|e| Fault::of(e, job))? {
        Partner::Same => Ok(Line(stream)),
        Partner::Busy => Err(Fault::Busy),
        Partner::Older => Err(Fault::Older),
        Partner::Newer => Err(Fault::Newer),
    }
}

impl Line {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`Fault::TakenBack`], [`Fault::Silent`], [`Fault::Gone`]. The line is of no use then.
    pub(super) fn ask(
        &self,
        question: &Question<'_>,
        job: &Job,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let begun = Instant::now();
        speech::ask(&mut &self.0, question).map_err(|e| Fault::of(e, job))?;
        loop {
            let received = speech::receive(&mut Listening::new(&self.0, job))
                .and_then(|bytes| bytes.ok_or(io::ErrorKind::UnexpectedEof.into()));
            let bytes = received.map_err(|e| Fault::of(e, job))?;
            if !matches!(speech::read(&bytes), Ok(Answer::Working)) {
                return Ok(bytes);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Fault::Silent);
            }
        }
    }
}

/// Reads for as long as the other side may be silent and somebody wants to know.
struct Listening<'a> {
    stream: &'a UnixStream,
    until: Instant,
    job: &'a Job,
}

impl<'a> Listening<'a> {
    fn new(stream: &'a UnixStream, job: &'a Job) -> Listening<'a> {
        Listening {
            stream,
            until: Instant::now() + SILENCE,
            job,
        }
    }
}

impl Read for Listening<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    if self.job.check().is_err() {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                    if Instant::now() >= self.until {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                read => return read,
            }
        }
    }
}

impl io::Write for Listening<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
