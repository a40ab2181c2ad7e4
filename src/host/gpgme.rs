//! One conversation in the dialect of gpgme-json: a request, its answer, the next request.
//!
//! There are no ids, so nothing runs beside anything else and no worker is needed. A question is
//! put by pinentry between two runs of an operation; who closes the conversation meanwhile takes
//! it back.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::answering::{denied, unavailable, wrong};
use super::asking::{FIVE_MINUTES, unlocks_key};
use super::pinentry::{self, Given};
use super::{Confirm, Settings};
use crate::base::ask::{Answer, Answers, Question};
use crate::base::body::Wiped;
use crate::base::job::Job;
use crate::base::{Error, Result};
use crate::verbs::World;
use crate::verbs::gpgme::{Code, Fault};
use crate::wire::frame::{self, FRAME_OUT};
use crate::wire::gpgme::pieces::Pending;
use crate::wire::gpgme::request::{Fields, Malformed};
use crate::wire::gpgme::{self, Operation, Run};

/// How often a question on the screen is held against a conversation that may be over.
const LOOK: Duration = Duration::from_millis(100);

/// How many questions one request may lead to.
const QUESTIONS_MAX: u8 = 16;

/// What the reader hands on.
enum Came {
    Frame(Bytes),
    Fault(frame::Fault),
    End,
}

/// Holds one conversation, from the first byte to the last, and gives the process's exit status:
/// 0 when the input has ended or nobody reads the output any more, 1 when a request was too large
/// or the input broke.
pub fn run(
    input: impl Read + Send + 'static,
    output: impl Write,
    world: World,
    settings: Settings,
) -> u8 {
    let (hand, came) = sync_channel(1);
    let reading = thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || read(input, &|next| hand.send(next).is_ok()));
    if reading.is_err() {
        log::error!("no threads");
        return 1;
    }
    let mut talk = Talk {
        world,
        settings,
        came,
        next: None,
        pending: Pending::default(),
    };
    let status = talk.hold(output);
    talk.world.wipe();
    log::info!("end: {status}");
    status
}

/// Reads frames until there is none.
fn read(mut input: impl Read, hand: &dyn Fn(Came) -> bool) {
    loop {
        let (next, last) = match frame::read(&mut input) {
            Ok(Some(frame)) => (Came::Frame(frame), false),
            Ok(None) => (Came::End, true),
            Err(fault) => (Came::Fault(fault), true),
        };
        if !hand(next) || last {
            return;
        }
    }
}

struct Talk {
    world: World,
    settings: Settings,
    came: Receiver<Came>,
    /// What came while a question was on the screen.
    next: Option<Came>,
    /// What is left of the last answer.
    pending: Pending,
}

impl Talk {
    fn hold(&mut self, mut output: impl Write) -> u8 {
        loop {
            let next = self.next.take().or_else(|| self.came.recv().ok());
            let (answer, status) = match next.unwrap_or(Came::End) {
                Came::End => return 0,
                Came::Frame(frame) => (self.answer(&frame), None),
                Came::Fault(frame::Fault::TooLarge) => {
                    let fault = Fault::new(Code::TooLarge);
                    (gpgme::failed(&fault.text(), fault.code, None), Some(1))
                }
                Came::Fault(frame::Fault::Inside) => {
                    let text = "Invalid request: short read";
                    (gpgme::failed(text, Code::None, None), Some(0))
                }
                Came::Fault(frame::Fault::Broken(_)) => return 1,
            };
            if frame::write(&mut output, &answer).is_err() {
                return 0;
            }
            if let Some(status) = status {
                return status;
            }
        }
    }

    /// One answer, short enough for a frame.
    fn answer(&mut self, frame: &[u8]) -> Wiped {
        let begun = Instant::now();
        let fields = match Fields::read(frame) {
            Ok(fields) => fields,
            Err(Malformed { offset }) => {
                log::info!("gpgme in={} malformed", frame.len());
                let text = format!("invalid JSON object at offset {offset}\n");
                return gpgme::failed(&text, Code::None, None);
            }
        };
        let answer = self.answer_to(&fields);
        log::info!(
            "gpgme {} in={} out={} ms={}",
            name(&fields),
            frame.len(),
            answer.len(),
            begun.elapsed().as_millis(),
        );
        answer
    }

    fn answer_to(&mut self, fields: &Fields) -> Wiped {
        if fields.text("op") == Some("getmore") && !fields.wants_help() {
            return self.more(fields);
        }
        let answer = self.whole(fields);
        match fields.chunk_size() {
            Ok(Some(size)) => {
                self.pending.keep(answer);
                self.pending.next(size).unwrap_or_default()
            }
            Ok(None) if answer.len() <= FRAME_OUT => answer,
            Ok(None) => {
                let mut text = Fault::new(Code::TooLarge).text();
                text.push_str(": ask again with chunksize");
                gpgme::failed(&text, Code::TooLarge, known(fields))
            }
            Err(fault) => {
                let fault = fault.doing("Encode and chunk failed");
                gpgme::failed(&fault.text(), fault.code, known(fields))
            }
        }
    }

    fn more(&mut self, fields: &Fields) -> Wiped {
        let next = fields.chunk_size().and_then(|size| {
            match self.pending.next(size.unwrap_or(u64::MAX)) {
                Some(piece) => Ok(piece),
                None => Err(Fault::new(Code::NoData).doing("Operation not possible")),
            }
        });
        next.unwrap_or_else(|fault| gpgme::failed(&fault.text(), fault.code, Some("getmore")))
    }

    /// One answer, however long.
    fn whole(&mut self, fields: &Fields) -> Wiped {
        let help = fields.wants_help();
        let name = match fields.text("op") {
            Some("help") => return gpgme::explained(&gpgme::overview(), None),
            None if help => return gpgme::explained(&gpgme::overview(), None),
            None => return gpgme::failed("Property \"op\" missing", Code::None, None),
            Some("getmore") => return gpgme::explained(gpgme::GETMORE, Some("getmore")),
            Some(name) => name,
        };
        let Some(operation) = gpgme::operation(name) else {
            let text = format!("Unknown operation '{name}'");
            return gpgme::failed(&text, Code::None, Some(name));
        };
        if help {
            return gpgme::explained(operation.help, Some(name));
        }
        match self.run(operation, fields) {
            Ok(answer) => answer,
            Err(fault) => {
                if let Some(error) = &fault.error {
                    log::info!("gpgme {name}: {}", error.kind.name());
                }
                gpgme::failed(&fault.text(), fault.code, Some(name))
            }
        }
    }

    /// Runs an operation, and again with each answer that it asks for.
    fn run(&mut self, operation: &Operation, fields: &Fields) -> Result<Wiped, Fault> {
        // Whoever has something else done does not want the rest.
        self.pending.forget();
        if let Some(next) = self.world.under_present_rules() {
            log::info!("rules: changed");
            next.wipe();
            self.world = next;
        }
        self.world.ready()?;
        self.world.admits()?;
        let (job, answers) = (Arc::new(Job::default()), Arc::new(Answers::default()));
        let mut questions = 0;
        loop {
            let fault = match once(&self.world, operation, fields, &job, &answers) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let question = fault.error.as_ref().and_then(|e| e.question.clone());
            let Some(question) = question else {
                return Err(fault);
            };
            questions += 1;
            if questions > QUESTIONS_MAX {
                return Err(Error::internal("a request asks without end").into());
            }
            let doing = fault.doing;
            self.settle(*question, &answers)
                .map_err(|error| Fault::from(error).doing(doing))?;
        }
    }

    /// Asks until there is an answer that settles the question, and keeps it.
    fn settle(&mut self, mut question: Question, answers: &Answers) -> Result<()> {
        loop {
            let given = match (&question, self.settings.confirm) {
                (Question::Confirm { .. }, Confirm::Yes) => Given::Yes,
                (Question::Confirm { .. }, Confirm::No) => Given::No,
                _ => self.put(&question)?,
            };
            let answer = match given {
                Given::Passphrase(secret) => match unlocks_key(&question) {
                    Some(key) => match self.world.unlock(key, &secret, SystemTime::now()) {
                        Ok(_) => Answer::Confirmed,
                        Err(error) => match wrong(error, &mut question) {
                            None => continue,
                            Some(error) => return Err(error),
                        },
                    },
                    None => Answer::Passphrase(Arc::new(secret)),
                },
                Given::TooLong => return Err(pinentry::too_long()),
                Given::Yes => Answer::Confirmed,
                Given::No => return Err(denied(&question)),
                Given::Unavailable => return Err(unavailable(&question)),
            };
            answers.give(question, answer);
            return Ok(());
        }
    }

    /// Puts a question by pinentry. It goes when the conversation does.
    fn put(&mut self, question: &Question) -> Result<Given> {
        let Some(program) = &self.settings.pinentry else {
            return Ok(Given::Unavailable);
        };
        let Ok((mut process, dialogue)) = pinentry::start(program) else {
            return Ok(Given::Unavailable);
        };
        let (tell, given) = mpsc::channel();
        let asked = question.clone();
        let started = thread::Builder::new()
            .name("pinentry".to_owned())
            .spawn(move || tell.send(dialogue.ask(&asked)));
        if started.is_err() {
            return Ok(Given::Unavailable);
        }
        let deadline = Instant::now() + FIVE_MINUTES;
        let given = loop {
            match given.recv_timeout(LOOK) {
                Ok(given) => break given,
                Err(RecvTimeoutError::Disconnected) => break Given::Unavailable,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => break Given::No,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.next.is_none() {
                self.next = self.came.try_recv().ok();
            }
            if matches!(self.next, Some(Came::End | Came::Fault(_))) {
                process.end();
                log::info!("pinentry: taken back");
                return Err(Error::cancelled());
            }
        };
        process.end();
        log::info!("pinentry: {}", given.name());
        Ok(given)
    }
}

/// One run; a panic in it is its end alone.
fn once(
    world: &World,
    operation: &Operation,
    fields: &Fields,
    job: &Arc<Job>,
    answers: &Arc<Answers>,
) -> Result<Wiped, Fault> {
    let context = || world.context(SystemTime::now(), Arc::clone(job), Arc::clone(answers));
    let run = Run {
        world,
        context: &context,
    };
    let ran = AssertUnwindSafe(|| (operation.run)(fields, &run));
    catch_unwind(ran).unwrap_or_else(|_| Err(super::pool::panicked().into()))
}

/// The operation's name where there is such an operation: any other may be longer than a frame.
fn known(fields: &Fields) -> Option<&'static str> {
    Some(name(fields)).filter(|name| !matches!(*name, "none" | "unknown"))
}

/// An operation's name for the log, which knows no other words of a request.
fn name(fields: &Fields) -> &'static str {
    match fields.text("op") {
        Some("getmore") => "getmore",
        Some("help") => "help",
        Some(name) => gpgme::operation(name).map_or("unknown", |operation| operation.name),
        None => "none",
    }
}
