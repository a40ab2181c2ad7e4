//! Asking the person who typed a command: a passphrase, or a yes.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::input::{self, Terminal};
use super::{print, words};
use crate::base::ask::{Action, Answer, Need, Question, Shown};
use crate::base::{Error, Kind, Result, Secret};
use crate::host::pinentry::{self, Given};
use crate::host::{Confirm, Settings};

/// The person's answer: from `SEALPOST_CONFIRM` for confirmations, by pinentry on a desktop or
/// where `SEALPOST_PINENTRY` names one, else at the terminal.
///
/// # Errors
/// `passphrase.cancelled` or `consent.denied` when they don't want to;
/// `passphrase.unavailable` when there is nobody to ask.
pub fn answer(question: &Question) -> Result<Answer> {
    let settings = Settings::from_env();
    if let Question::Confirm { .. } = question {
        match settings.confirm {
            Confirm::Yes => return Ok(Answer::Confirmed),
            Confirm::No => return Err(denied()),
            Confirm::Ask => {}
        }
    }
    let terminal = input::terminal();
    // A pinentry that draws on terminals would draw over this one.
    let windows = ["SEALPOST_PINENTRY", "DISPLAY", "WAYLAND_DISPLAY"];
    let windows = windows.iter().any(|name| env::var_os(name).is_some());
    if let Some(program) = settings.pinentry.filter(|_| windows || terminal.is_none())
        && let Ok((_process, dialogue)) = pinentry::start(&program)
    {
        match dialogue.ask(question) {
            Given::Passphrase(secret) => return Ok(Answer::Passphrase(Arc::new(secret))),
            Given::TooLong => return Err(pinentry::too_long()),
            Given::Yes => return Ok(Answer::Confirmed),
            Given::No => return Err(refused(question)),
            Given::Unavailable => {}
        }
    }
    let terminal = terminal.ok_or_else(|| {
        Error::new(
            Kind::PassphraseUnavailable,
            "nobody can be asked here; install pinentry or use a terminal",
        )
    })?;
    match question {
        Question::Passphrase {
            need,
            label,
            attempt,
            ..
        } => passphrase(&terminal, *need, label, *attempt),
        Question::Confirm { action, label } => confirm(&terminal, *action, label),
        Question::Show { shown, label } => show(&terminal, shown, label),
    }
}

fn refused(question: &Question) -> Error {
    match question {
        Question::Passphrase { .. } => {
            Error::new(Kind::PassphraseCancelled, "no passphrase was given")
        }
        Question::Confirm { .. } | Question::Show { .. } => denied(),
    }
}

fn denied() -> Error {
    Error::new(Kind::ConsentDenied, "not confirmed; nothing was changed")
}

fn confirm(mut terminal: &Terminal, action: Action, label: &str) -> Result<Answer> {
    let (what, label) = (words::action(action), print::plain(label));
    write!(terminal, "{what}: {label}\nType yes to go on: ").map_err(|_| denied())?;
    match line(terminal)?.as_deref() {
        Some("yes") => Ok(Answer::Confirmed),
        _ => Err(denied()),
    }
}

fn show(mut terminal: &Terminal, shown: &Shown, label: &str) -> Result<Answer> {
    let (code, label) = (String::from_utf8_lossy(shown.expose()), print::plain(label));
    write!(
        terminal,
        "Write this code down; you will be asked for it: {code}\n{label}\nType yes when you have it: "
    )
    .map_err(|_| denied())?;
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
        print::note(match need {
            Need::Wrap => "a new passphrase can't be empty",
            _ => "that passphrase was wrong",
        });
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
