//! The command line: the same verbs as the host's, for one person at a terminal.
//!
//! Thin on purpose: words in, one verb, words out. [`main`] first looks whether a browser is
//! calling; then this process is the host and none of the commands is looked at.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;

use crate::base::{Error, Result};
use crate::verbs::Ask;

mod args;
mod ask;
mod client;
mod demo;
mod input;
mod keys;
mod open;
mod print;
mod seal;
mod session;
mod text;
mod words;

use args::{Cli, Command, Common, Keys, Text};
use session::Session;

/// Runs the program with its arguments, its own name first.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(origin) = caller(&arguments, io::stdin().is_terminal()) {
        return host(origin);
    }
    let cli = Cli::parse_from(arguments);
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Who called, when it is a browser: Chromium gives the extension's origin, Firefox and
/// Thunderbird the manifest's path and the add-on's id. Any local program can pretend to be
/// one, so this is for display and policy, never for trust. Without arguments and terminal
/// it is the host too: so do wrappers and tests start it.
fn caller(arguments: &[OsString], terminal: bool) -> Option<String> {
    let given: Vec<&str> = arguments
        .iter()
        .skip(1)
        .map(|argument| argument.to_str().unwrap_or_default())
        .collect();
    match given.as_slice() {
        [] => (!terminal).then(String::new),
        [origin, ..] if origin.starts_with("chrome-extension://") => Some((*origin).to_owned()),
        [manifest, addon, ..] if manifest.ends_with(".json") => Some((*addon).to_owned()),
        _ => None,
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Open(args) => open::run(args, &session(args.common)?),
        Command::Seal(args) => seal::run(args, &session(args.common)?),
        Command::Keys(command) => keys::run(command, &session(keys_common(command))?),
        Command::Text(command) => text::run(command, &session(text_common(command))?),
        Command::Demo => demo::run(),
    }
}

fn session(common: Common) -> Result<Session> {
    Session::open(if common.no_ask {
        Ask::Never
    } else {
        Ask::Allowed
    })
}

fn keys_common(command: &Keys) -> Common {
    match command {
        Keys::List { common, .. }
        | Keys::Show { common, .. }
        | Keys::Generate { common, .. }
        | Keys::Import { common, .. }
        | Keys::Export { common, .. }
        | Keys::Delete { common, .. }
        | Keys::Accept { common, .. }
        | Keys::Unlock { common, .. }
        | Keys::Lock { common, .. } => *common,
    }
}

fn text_common(command: &Text) -> Common {
    match command {
        Text::Decrypt(text) | Text::Verify(text) => text.common,
        Text::Encrypt { text, .. } | Text::Sign { text, .. } => text.common,
    }
}

/// Says what went wrong: the sentence, and the contract's name for it.
fn complain(error: &Error) {
    print::note(&format!(
        "sealpost: {} ({})",
        error.message,
        error.kind.name()
    ));
    if let Some(closed) = &error.closed {
        for (name, label) in open::SHOWN {
            if let Some(header) = closed.headers.field(name) {
                print::note(&format!("  {label}: {}", header.value));
            }
        }
        for recipient in &closed.recipients {
            let id = recipient.key_id.as_deref().unwrap_or("somebody hidden");
            print::note(&format!("  encrypted to {id}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cli, caller};
    use clap::CommandFactory;
    use std::ffi::OsString;

    fn called(arguments: &[&str], terminal: bool) -> Option<String> {
        let mut all = vec![OsString::from("sealpost")];
        all.extend(arguments.iter().map(OsString::from));
        caller(&all, terminal)
    }

    #[test]
    fn a_browser_is_known_by_its_arguments() {
        let chromium = "chrome-extension://abcdefghijklmnopabcdefghijklmnop/";
        assert_eq!(called(&[chromium], true).as_deref(), Some(chromium));
        let windows = [chromium, "--parent-window=0"];
        assert_eq!(called(&windows, true).as_deref(), Some(chromium));
        let firefox = [
            "/usr/lib/mozilla/native-messaging-hosts/a.json",
            "mail@a.example",
        ];
        assert_eq!(called(&firefox, true).as_deref(), Some("mail@a.example"));
        assert_eq!(called(&[], false).as_deref(), Some(""));
        assert_eq!(called(&[], true), None);
        assert_eq!(called(&["open", "a.eml"], false), None);
    }

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}
