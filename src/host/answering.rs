//! Puts one question, by pinentry or through the client, until its answer settles it.
//!
//! All of this happens on the asking thread: checking a passphrase takes as long as its
//! owner's key derivation, and no worker should wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

use serde::Serialize;

use super::asking::{FIVE_MINUTES, Unlocked, unlocks_key};
use super::pinentry::{self, Given};
use super::requests::Request;
use super::{Host, pool};
use crate::base::ask::{ATTEMPTS, Answer, Need, Question};
use crate::base::job::Stage;
use crate::base::{Error, KeyId, Kind, Result, Secret};
use crate::wire::reply;

/// The longest origin that is passed on: a scheme, a host name, a port.
const ORIGIN_MAX: usize = 512;

/// Asks until there is an answer that settles the question, and settles it.
pub fn ask(host: &Arc<Host>, mut question: Question) {
    loop {
        let Some(given) = put(host, &question) else {
            // Nobody waits any more, or all are being cancelled.
            host.asking.done(Unlocked::No);
            return;
        };
        let answer = match given {
            Given::Passphrase(secret) => match unlocks_key(&question).cloned() {
                Some(key) => match unlock(host, &key, &secret) {
                    Ok(()) => {
                        return again(host, Unlocked::Yes, |request| {
                            request.answers.give(question.clone(), Answer::Confirmed);
                        });
                    }
                    Err(error) => match wrong(error, &mut question) {
                        None => continue,
                        Some(error) => return fail(host, &error),
                    },
                },
                None => Answer::Passphrase(Arc::new(secret)),
            },
            Given::TooLong => return fail(host, &pinentry::too_long()),
            Given::Yes => Answer::Confirmed,
            Given::No => return fail(host, &denied(&question)),
            Given::Unavailable => return fail(host, &unavailable(&question)),
        };
        return again(host, Unlocked::No, |request| {
            request.answers.give(question.clone(), answer.clone());
        });
    }
}

/// Makes the question one more after a wrong passphrase, and gives back what is no such error or
/// comes too often. A token has a label of its own for the next try: it warns before the last.
pub fn wrong(error: Error, question: &mut Question) -> Option<Error> {
    match question {
        Question::Passphrase { attempt, label, .. }
            if error.kind == Kind::PassphraseWrong && *attempt < ATTEMPTS =>
        {
            *attempt += 1;
            if let Some(Question::Passphrase { label: next, .. }) = error.question.map(|next| *next)
            {
                *label = next;
            }
            None
        }
        _ => Some(error),
    }
}

fn unlock(host: &Host, key: &KeyId, passphrase: &Secret) -> Result<()> {
    let unlock = AssertUnwindSafe(|| host.service.unlock(key, passphrase, SystemTime::now()));
    catch_unwind(unlock).unwrap_or_else(|_| Err(pool::panicked()))
}

/// Runs all who waited again.
fn again(host: &Arc<Host>, unlocked: Unlocked, give: impl Fn(&Request)) {
    for request in host.asking.done(unlocked) {
        give(&request);
        request.job.stage(Stage::Queued);
        pool::submit(host, request);
    }
}

/// Ends all who waited.
fn fail(host: &Host, error: &Error) {
    for request in host.asking.done(Unlocked::No) {
        host.fail(&request, error);
    }
}

/// The error after a question that was dismissed.
pub fn denied(question: &Question) -> Error {
    match question {
        Question::Passphrase { .. } => Error::new(
            Kind::PassphraseCancelled,
            "the question for the passphrase was dismissed; try again to be asked again",
        ),
        Question::Confirm { .. } | Question::Show { .. } => Error::new(
            Kind::ConsentDenied,
            "this was not confirmed; try again to be asked again",
        ),
    }
}

/// The error for a question that could be put to nobody.
pub fn unavailable(question: &Question) -> Error {
    match question {
        Question::Passphrase { .. } => Error::new(
            Kind::PassphraseUnavailable,
            "a passphrase is needed and nobody can be asked for it; install pinentry",
        ),
        Question::Confirm { .. } | Question::Show { .. } => Error::new(
            Kind::ConsentDenied,
            "this has to be confirmed outside the browser; install pinentry",
        ),
    }
}

/// Puts a question once: by pinentry, else through the client. `None` when it was taken back.
fn put(host: &Arc<Host>, question: &Question) -> Option<Given> {
    let deadline = Instant::now() + FIVE_MINUTES;
    if let Some(program) = &host.settings.pinentry {
        match by_pinentry(host, program, question, deadline) {
            Some(Given::Unavailable) => {}
            given => return given,
        }
    }
    by_client(host, question, deadline)
}

fn by_pinentry(
    host: &Arc<Host>,
    program: &Path,
    question: &Question,
    deadline: Instant,
) -> Option<Given> {
    let number = host.asking.begin(false);
    let Ok((mut process, dialogue)) = pinentry::start(program) else {
        return Some(Given::Unavailable);
    };
    let (theirs, asked) = (Arc::clone(host), question.clone());
    let started = thread::Builder::new()
        .name("pinentry".to_owned())
        .spawn(move || theirs.asking.give(number, dialogue.ask(&asked)));
    if started.is_err() {
        return Some(Given::Unavailable);
    }
    let given = host.asking.wait(deadline);
    // It has answered, or is no longer wanted. The dialogue is not waited for: a child of
    // the process may hold its pipe open for as long as it likes.
    process.end();
    log::info!(
        "pinentry: {}",
        given.as_ref().map_or("taken back", Given::name)
    );
    given
}

#[derive(Serialize)]
struct AskPassphrase<'a> {
    request: u64,
    need: Need,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a KeyId>,
    label: &'a str,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

#[derive(Serialize)]
struct TakeBack {
    id: u64,
}

fn by_client(host: &Host, question: &Question, deadline: Instant) -> Option<Given> {
    let Question::Passphrase {
        need,
        key,
        label,
        attempt,
    } = question
    else {
        return Some(Given::Unavailable);
    };
    if !host.service.policy().ask_client {
        return Some(Given::Unavailable);
    }
    let Some(asker) = host.asking.asker() else {
        return Some(Given::Unavailable);
    };
    let number = host.asking.begin(true);
    let ask = AskPassphrase {
        request: asker.id,
        need: *need,
        key: key.as_ref(),
        label,
        attempt: *attempt,
        origin: asker.origin().filter(|origin| origin.len() <= ORIGIN_MAX),
    };
    let Ok(text) = reply::message(Some(number), "ask/passphrase", &ask) else {
        return Some(Given::Unavailable);
    };
    host.outbox.send(text);
    let answered = host.asking.wait(deadline);
    let over = answered.is_none() || Instant::now() >= deadline;
    if over && let Ok(text) = reply::message(None, "$/cancelRequest", &TakeBack { id: number }) {
        host.outbox.send(text);
    }
    answered
}
