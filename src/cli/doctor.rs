//! `sealpost doctor`: is everything there that is needed, and what to do where it is not.

use super::print;
use super::session::Session;
use crate::base::Result;
use crate::host::{Settings, pinentry as program};
use crate::verbs::Ask;
use crate::verbs::doctor::{self, Check, Pinentry, Request};

/// Prints what was found.
///
/// # Errors
/// `store.unavailable` when there is no folder of state. What is not as it should be is told, and
/// no error.
pub fn run(json: bool) -> Result<()> {
    let session = Session::examine(pinentry(&Settings::from_env()), Ask::Never)?;
    let reply = session.run(|world, cx| doctor::doctor(world, &Request {}, cx))?;
    if json {
        return print::json(&reply);
    }
    let rows: Vec<_> = reply.checks.iter().map(row).collect();
    print::out(&print::table(&rows))
}

fn row(check: &Check) -> Vec<String> {
    let state = match check.ok {
        true => "ok",
        false => "mend",
    };
    let fix = check.fix.as_deref().unwrap_or_default();
    vec![check.id.to_owned(), state.to_owned(), print::plain(fix)]
}

/// Whether the program that these settings ask with is there.
pub fn pinentry(settings: &Settings) -> Pinentry {
    match &settings.pinentry {
        None => Pinentry::Off,
        Some(path) if program::is_there(path) => Pinentry::Found,
        Some(_) => Pinentry::Missing,
    }
}
