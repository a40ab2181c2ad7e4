//! Asking the person at a terminal, where there is no pinentry: a passphrase without echo,
//! or a yes.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::input::{self, Terminal};
use super::print;
use crate::base::ask::{Answer, Need, Question};
use crate::base::{Error, Kind, Result, Secret};

/// The person's answer.
///
/// # Errors
/// `passphrase.cancelled` or `consent.denied` when they don't want to;
/// `passphrase.unavailable` when there is nobody to ask.
pub fn answer(question: &Question) -> Result<Answer> {
    if let (Question::Confirm { .. }, Some(said)) = (question, env::var_os("SEALPOST_CONFIRM")) {
        return if said == "yes" {
            Ok(Answer::Confirmed)
        } else {
            Err(denied())
        };
    }
    let Some(terminal) = input::terminal() else {
        return Err(Error::new(
            Kind::PassphraseUnavailable,
            "nobody can be asked here; install pinentry or use a terminal",
        ));
    };
    match question {
        Question::Passphrase {
            need,
            label,
            attempt,
            ..
        } => passphrase(&terminal, *need, label, *attempt),
        Question::Confirm { label, .. } => confirm(&terminal, label),
    }
}

fn denied() -> Error {
    Error::new(Kind::ConsentDenied, "not confirmed; nothing was changed")
}

fn confirm(mut terminal: &Terminal, label: &str) -> Result<Answer> {
    write!(terminal, "{} Type yes to go on: ", print::plain(label)).map_err(|_| denied())?;
    match line(terminal)?.as_deref() {
        Some("yes") => Ok(Answer::Confirmed),
        _ => Err(denied()),
    }
}

fn passphrase(terminal: &Terminal, need: Need, label: &str, attempt: u32) -> Result<Answer> {
    let label = print::plain(label);
    let prompt = match need {
        Need::Unlock | Need::Unwrap | Need::Account => format!("Passphrase for {label}: "),
        Need::Wrap => format!("New passphrase for {label}: "),
    };
    if attempt > 1 {
        print::note("that passphrase was wrong");
    }
    let cancelled = || Error::new(Kind::PassphraseCancelled, "no passphrase was given");
    let first = silent(terminal, &prompt)?.ok_or_else(cancelled)?;
    if need == Need::Wrap {
        let again = silent(terminal, "Once more: ")?.ok_or_else(cancelled)?;
        if first.expose() != again.expose() {
            return Err(Error::new(
                Kind::PassphraseCancelled,
                "the two passphrases differ; start again",
            ));
        }
    }
    Ok(Answer::Passphrase(Arc::new(first)))
}

/// A line typed without echo. `None` for an empty one.
fn silent(mut terminal: &Terminal, prompt: &str) -> Result<Option<Secret>> {
    let fault = |e: std::io::Error| Error::internal("the terminal can't be used").because(e);
    let echo = Echo::off(terminal)?;
    write!(terminal, "{prompt}").map_err(fault)?;
    let typed = line(terminal);
    drop(echo);
    writeln!(terminal).map_err(fault)?;
    Ok(typed?.filter(|typed| !typed.is_empty()).map(Secret::from))
}

/// A line from the terminal, without its end; `None` at its end.
fn line(terminal: &Terminal) -> Result<Option<String>> {
    let mut typed = String::new();
    let read = BufReader::new(terminal).read_line(&mut typed);
    let length = read.map_err(|e| Error::internal("the terminal can't be read").because(e))?;
    typed.truncate(typed.trim_end_matches(['\r', '\n']).len());
    Ok((length > 0).then_some(typed))
}

/// Keeps what is typed off the screen until it is dropped.
struct Echo<'a>(&'a Terminal);

impl Echo<'_> {
    fn off(terminal: &Terminal) -> Result<Echo<'_>> {
        let echo = Echo(terminal);
        if echo.stty("-echo") {
            Ok(echo)
        } else {
            // Better no passphrase than one on the screen.
            Err(Error::new(
                Kind::PassphraseUnavailable,
                "this terminal can't hide what is typed; install pinentry",
            ))
        }
    }

    fn stty(&self, setting: &str) -> bool {
        let Ok(terminal) = self.0.try_clone() else {
            return false;
        };
        let status = Command::new("stty")
            .arg(setting)
            .stdin(terminal)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Echo<'_> {
    fn drop(&mut self) {
        self.stty("echo");
    }
}
