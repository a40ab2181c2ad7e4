//! `sealpost sop`: the Stateless OpenPGP command line (draft-dkg-openpgp-stateless-cli). Keys
//! and messages come in, keys and messages go out, by the engine and the rules that mail has;
//! nothing is kept, nobody is asked, the key store is not looked at. A process that is called
//! `sealpost-sop` by its link is the same without the word.
//!
//! Spoken here and not by the `sop` crate: that one reads the process's own arguments, so that
//! it can be no subcommand of another program; it ends with 1 where the draft says 19 and 83,
//! knows no `-` for a date and none of the newest codes (97, 101, 109), takes variables out of
//! the environment by unsafe code, and brings libraries along that nothing else here needs.

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use super::print;

mod about;
mod args;
mod bench;
mod dates;
mod fault;
mod files;
mod inline;
mod keys;
mod memory;
mod messages;
mod passwords;
mod profiles;
mod verifications;

use args::{Cli, Command};
use fault::{Code, Failure, Result};

/// What a link to the program is called that speaks nothing else.
const NAME: &str = "sealpost-sop";

/// The arguments of the interface, its name first, where it is what was called.
pub fn called(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (name, rest) = arguments.split_first()?;
    let stem = std::path::Path::new(name).file_stem()?;
    let given = match rest.split_first() {
        _ if stem == NAME => rest,
        Some((first, rest)) if first == "sop" => rest,
        _ => return None,
    };
    let first = OsString::from("sop");
    Some(
        std::iter::once(first)
            .chain(given.iter().cloned())
            .collect(),
    )
}

/// Runs one subcommand and ends as the draft says.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    crate::host::process::harden();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    // A panic's own status is one of the draft's numbers.
    let done = panic::catch_unwind(AssertUnwindSafe(|| run(&cli.command)));
    let done = done.unwrap_or_else(|_| {
        Err(Failure::new(
            Code::Unspecified,
            "something went wrong inside; nothing was written",
        ))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print::note(&format!("sop: {}", failure.message));
            if let (true, Some(source)) = (cli.debug, &failure.source) {
                print::note(&format!("  because: {source}"));
            }
            ExitCode::from(failure.code as u8)
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Version(args) => about::version(args),
        Command::ListProfiles { subcommand } => about::profiles(subcommand),
        Command::GenerateKey(args) => keys::generate(args),
        Command::ChangeKeyPassword(args) => keys::change_password(args),
        Command::RevokeKey(args) => keys::revoke(args),
        Command::ExtractCert(args) => keys::extract(args),
        Command::UpdateKey(args) => keys::update(args),
        Command::MergeCerts(args) => keys::merge(args),
        Command::CertifyUserid(args) => keys::certify(args),
        Command::ValidateUserid(args) => keys::validate(args),
        Command::Sign(args) => messages::sign(args),
        Command::Verify(args) => messages::verify(args),
        Command::Encrypt(args) => messages::encrypt(args),
        Command::Decrypt(args) => messages::decrypt(args),
        Command::Armor => inline::armor(),
        Command::Dearmor => inline::dearmor(),
        Command::InlineSign(args) => inline::sign(args),
        Command::InlineVerify(args) => inline::verify(args),
        Command::InlineDetach(args) => inline::detach(args),
    }
}

/// What the arguments themselves have against them.
fn refused(error: &clap::Error) -> ExitCode {
    let code = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away has nothing to be told.
            let _ = print::out(&error.to_string());
            return ExitCode::SUCCESS;
        }
        ErrorKind::InvalidSubcommand => Code::UnsupportedSubcommand,
        ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues => Code::MissingArg,
        ErrorKind::ArgumentConflict => Code::IncompatibleOptions,
        _ => Code::UnsupportedOption,
    };
    for line in error.to_string().lines().filter(|line| !line.is_empty()) {
        print::note(line);
    }
    ExitCode::from(code as u8)
}
