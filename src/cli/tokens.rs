//! `sealpost keys tokens`: what is plugged in, and what was taken from it.

use super::print;
use super::session::Session;
use crate::base::Result;
use crate::base::keys::{ModuleState, TokenState};
use crate::verbs::keys::{self, ImportChange, TokensRequest};

/// Takes the certificates in and says so.
///
/// # Errors
/// As the verb.
pub fn run(accept: bool, json: bool, session: &Session) -> Result<()> {
    let request = TokensRequest {
        accept,
        ask: session.ask(),
    };
    let reply = session.run(|world, cx| keys::tokens(world, &request, cx))?;
    if json {
        return print::json(&reply);
    }
    for module in &reply.modules {
        match module.state {
            ModuleState::Ready => {}
            ModuleState::Broken => print::note(&format!("{} can't be used", module.module)),
            ModuleState::Silent => print::note(&format!("{} does not answer", module.module)),
        }
    }
    if reply.tokens.is_empty() {
        print::note("no tokens");
    }
    for token in &reply.tokens {
        let state = match token.state {
            TokenState::Ready => "",
            TokenState::FewTries => ", a wrong PIN was given",
            TokenState::LastTry => ", one wrong PIN more locks it",
            TokenState::Locked => ", LOCKED",
            TokenState::NoPin => ", without a PIN",
        };
        let name = format!("{} ({} {})", token.label, token.manufacturer, token.model);
        print::line(&format!("{}{state}", print::plain(&name)))?;
    }
    for key in &reply.imported {
        let change = match key.change {
            ImportChange::New => "new",
            ImportChange::Updated => "updated",
            ImportChange::Unchanged => "known already",
        };
        let secret = match key.secret {
            true => ", its secret half stays on the token",
            false => "",
        };
        print::line(&format!("{}  {change}{secret}", key.id))?;
    }
    for skipped in &reply.skipped {
        print::line(&format!("left out: {}", skipped.reason))?;
    }
    Ok(())
}
