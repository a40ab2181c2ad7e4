//! The command line: the same verbs as the host's, for one person at a terminal.
//!
//! Thin on purpose: words in, one verb, words out. [`main`] first looks whether a browser is
//! calling; then this process is the host and none of the commands is looked at.

use std::ffi::OsString;
use std::io::{self, IsTerminal, PipeReader, PipeWriter};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde::Serialize;

use crate::base::error::{Blame, Closed};
use crate::base::{Error, Kind, Result};
use crate::host::{self, Settings, logging, process};
use crate::store::{self, Home};
use crate::verbs::{Ask, World};
use crate::wire::methods::Verbs;

#[cfg(unix)]
mod agent;
mod anchors;
mod answer;
mod args;
mod ask;
mod autocrypt;
mod backup;
mod client;
mod demo;
mod discover;
mod doctor;
mod input;
mod install;
mod key_args;
mod keys;
mod open;
mod parts;
mod policy;
mod print;
mod seal;
mod session;
mod sop;
mod text;
mod tokens;
mod which;
mod words;

use args::{Anchors, Autocrypt, Cli, Command, Common, Install, Keys, Text, Uninstall};
use session::Session;

/// Runs the program with its arguments, its own name first.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(origin) = dialect(&arguments) {
        return host(&origin, gpgme);
    }
    if let Some(arguments) = sop::called(&arguments) {
        return sop::main(arguments);
    }
    if let Some(origin) = caller(&arguments, io::stdin().is_terminal()) {
        return host(&origin, conversation);
    }
    let cli = Cli::parse_from(arguments);
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if common(&cli.command).json {
                // What can't be written to stdout has nowhere else to go.
                let _ = print::json(&Failed::of(&error));
            } else {
                complain(&error);
            }
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

/// The name under which this program speaks the dialect of gpgme-json, and nothing else.
const DIALECT: &str = "sealpost-gpgmejson";

/// Who called, when this program was started under the dialect's name. Whatever else the arguments
/// say is nobody's: browsers add to them.
fn dialect(arguments: &[OsString]) -> Option<String> {
    let name = Path::new(arguments.first()?);
    let spoken = name.file_stem().is_some_and(|stem| stem == DIALECT);
    spoken.then(|| caller(arguments, false).unwrap_or_default())
}

/// Holds one conversation with whoever called.
fn host(origin: &str, conversation: fn(&str) -> Result<u8>) -> ExitCode {
    process::harden();
    match conversation(origin) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// In the protocol.
fn conversation(origin: &str) -> Result<u8> {
    let (world, settings) = called(origin)?;
    let service = Verbs::new(Arc::new(world));
    let (input, output) = stdio()?;
    Ok(host::run(input, output, Arc::new(service), settings))
}

/// In the dialect of gpgme-json.
fn gpgme(origin: &str) -> Result<u8> {
    let (world, settings) = called(origin)?;
    let (input, output) = stdio()?;
    Ok(host::gpgme::run(input, output, world, settings))
}

/// The world as whoever called sees it.
fn called(origin: &str) -> Result<(World, Settings)> {
    let home = Home::from_env()?;
    logging::start(&home.state);
    log::info!("start, called by {}", print::plain(origin));
    let settings = Settings::from_env();
    let world = world(home)
        .called_by(origin)
        .asking_by(doctor::pinentry(&settings));
    Ok((world, settings))
}

fn stdio() -> Result<(PipeReader, PipeWriter)> {
    process::stdio().map_err(|e| Error::internal("standard input and output are closed").because(e))
}

/// The world at `home`: its unlocked keys where they outlive this process if that can be, and
/// GnuPG's keys in place if there are any and policy wants them.
fn world(home: Home) -> World {
    let world = World::open(home);
    #[cfg(unix)]
    let world = gnupg(agent::through(world));
    world
}

#[cfg(unix)]
fn gnupg(world: World) -> World {
    match store::gnupg_home() {
        Some(home) => world.with_gnupg(crate::gnupg::gnupg(home)),
        None => world,
    }
}

fn run(command: &Command) -> Result<()> {
    let session = || {
        let ask = if common(command).no_ask {
            Ask::Never
        } else {
            Ask::Allowed
        };
        Session::open(ask)
    };
    match command {
        Command::Open(args) => open::run(args, &session()?),
        Command::Seal(args) => seal::run(args, &session()?),
        Command::Answer(args) => answer::run(args, &session()?),
        Command::Keys(command) => keys::run(command, &session()?),
        Command::Anchors(command) => anchors::run(command, &session()?),
        Command::Autocrypt(command) => autocrypt::run(command, &session()?),
        Command::Policy { common } => policy::run(common.json, &session()?),
        Command::Doctor { common } => doctor::run(common.json),
        Command::Install(args) => install::install(args),
        Command::Uninstall(args) => install::uninstall(args),
        Command::Backup { file, common } => backup::write(file, common.json, &session()?),
        Command::Restore { file, common } => backup::read(file, common.json, &session()?),
        Command::Text(command) => text::run(command, &session()?),
        #[cfg(unix)]
        Command::Agent { end: true } => agent::end(),
        #[cfg(unix)]
        Command::Agent { end: false } => agent::run(),
        Command::Demo => demo::run(),
        // Taken out before all else: it reads its own arguments, and ends in its own way.
        Command::Sop { .. } => Err(Error::internal("sop is not run as the others are")),
    }
}

/// The options that all commands share.
fn common(command: &Command) -> Common {
    match command {
        Command::Open(args) => args.common,
        Command::Seal(args) => args.common,
        Command::Answer(args) => args.common,
        Command::Keys(
            Keys::List { common, .. }
            | Keys::Show { common, .. }
            | Keys::Generate { common, .. }
            | Keys::Import { common, .. }
            | Keys::Tokens { common, .. }
            | Keys::Export { common, .. }
            | Keys::Delete { common, .. }
            | Keys::Accept { common, .. }
            | Keys::Settle { common, .. }
            | Keys::Introduce { common, .. }
            | Keys::Dismiss { common, .. }
            | Keys::Renew { common, .. }
            | Keys::Address { common, .. }
            | Keys::Subkey { common, .. }
            | Keys::Revoke { common, .. }
            | Keys::Passphrase { common, .. }
            | Keys::Unlock { common, .. }
            | Keys::Discover { common, .. }
            | Keys::Publish { common, .. }
            | Keys::Lock { common, .. },
        ) => *common,
        Command::Anchors(
            Anchors::List { common } | Anchors::Add { common, .. } | Anchors::Remove { common, .. },
        ) => *common,
        Command::Text(Text::Decrypt(text) | Text::Verify(text)) => text.common,
        Command::Text(Text::Encrypt { text, .. } | Text::Sign { text, .. }) => text.common,
        Command::Autocrypt(
            Autocrypt::Peer { common, .. }
            | Autocrypt::Prefer { common, .. }
            | Autocrypt::Setup { common, .. },
        ) => *common,
        Command::Install(Install { common, .. }) | Command::Uninstall(Uninstall { common, .. }) => {
            *common
        }
        Command::Policy { common }
        | Command::Doctor { common }
        | Command::Backup { common, .. }
        | Command::Restore { common, .. } => *common,
        #[cfg(unix)]
        Command::Agent { .. } => QUIET,
        Command::Demo | Command::Sop { .. } => QUIET,
    }
}

/// The options of commands that have none.
const QUIET: Common = Common {
    json: false,
    no_ask: true,
};

/// An error for programs: the contract's data with its sentence.
#[derive(Serialize)]
struct Failed<'a> {
    error: FailedData<'a>,
}

#[derive(Serialize)]
struct FailedData<'a> {
    message: &'a str,
    blame: Blame,
    #[serde(flatten)]
    kind: &'a Kind,
    #[serde(flatten)]
    closed: Option<&'a Closed>,
}

impl Failed<'_> {
    fn of(error: &Error) -> Failed<'_> {
        Failed {
            error: FailedData {
                message: &error.message,
                blame: error.kind.blame(),
                kind: &error.kind,
                closed: error.closed.as_deref(),
            },
        }
    }
}

/// Says what went wrong: the sentence, and the contract's name for it.
fn complain(error: &Error) {
    print::note(&format!(
        "sealpost: {} ({})",
        error.message,
        error.kind.name()
    ));
    match &error.kind {
        Kind::KeyMissing { addresses, .. } => {
            for address in addresses {
                print::note(&format!("  no key for {address}"));
            }
        }
        Kind::KeyAmbiguous { ids, .. }
        | Kind::KeyConflict { ids, .. }
        | Kind::KeyLocked { ids } => {
            for id in ids {
                print::note(&format!("  {id}"));
            }
        }
        Kind::KeyUnusable { id, reasons } => {
            print::note(&format!("  {id}: {}", reasons.join(", ")));
        }
        _ => {}
    }
    if let Some(closed) = &error.closed {
        for (name, label) in open::SHOWN {
            for header in closed.headers.all(name) {
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
    use super::{Cli, caller, dialect};
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
    fn the_dialect_has_a_name_of_its_own() {
        let started = |arguments: &[&str]| {
            let all: Vec<_> = arguments.iter().map(OsString::from).collect();
            dialect(&all)
        };
        let origin = "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/";
        let known = started(&["/opt/sealpost-gpgmejson", origin]);
        assert_eq!(known.as_deref(), Some(origin));
        assert_eq!(started(&["sealpost-gpgmejson.exe"]).as_deref(), Some(""));
        assert_eq!(started(&["sealpost-gpgmejson", "-x"]).as_deref(), Some(""));
        for name in ["sealpost", "gpgme-json", "sealpost-gpgmejson2", ""] {
            assert_eq!(started(&[name, origin]), None);
        }
        assert_eq!(started(&[]), None);
    }

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}
