//! `sealpost keys discover` and `sealpost keys publish`: other people's keys from the network,
//! one's own to it.

use super::args::{self, Keys};
use super::keys::address_of;
use super::session::Session;
use super::which::own_of;
use super::{input, print};
use crate::base::verdict::FoundChange;
use crate::base::{Protocol, Result};
use crate::verbs::keys::{
    self, DiscoverRequest, Outcome, PublishRequest, PublishState, PublishVia, Via,
};

/// Runs one of the two.
///
/// # Errors
/// As the verb of that name, and what files can do.
pub fn run(command: &Keys, session: &Session) -> Result<()> {
    match command {
        Keys::Discover {
            address,
            via,
            common,
        } => {
            let request = DiscoverRequest {
                address: address_of(address)?,
                via: via.map(Into::into),
            };
            let reply = session.run(|world, cx| keys::discover(world, &request, cx))?;
            if common.json {
                return print::json(&reply);
            }
            for tried in &reply.tried {
                if tried.outcome == Outcome::Failed {
                    print::note(&format!("{}: did not work", way(tried.via)));
                }
            }
            if reply.found.is_empty() {
                print::note("no keys");
            }
            let row = |found: &keys::Discovered| {
                vec![
                    found.id.to_string(),
                    way(found.via).to_owned(),
                    change(found.change).to_owned(),
                ]
            };
            print::out(&print::table(
                &reply.found.iter().map(row).collect::<Vec<_>>(),
            ))
        }
        Keys::Publish {
            key,
            via,
            to,
            common,
        } => {
            let request = PublishRequest {
                id: own_of(Protocol::OpenPgp, session, &key.key)?,
                via: match via {
                    args::PublishVia::Keyserver => PublishVia::Keyserver,
                    args::PublishVia::Wkd => PublishVia::Wkd,
                },
            };
            let reply = session.run(|world, cx| keys::publish(world, &request, cx))?;
            if let Some(folder) = to {
                for file in &reply.files {
                    input::place(folder, &file.path, file.data.bytes()?)?;
                }
            }
            match reply.state {
                _ if common.json => print::json(&reply),
                PublishState::Sent => print::line("everybody can find it now"),
                PublishState::AwaitingConfirmation => {
                    print::line("you get mail from the server; it waits for your answer")
                }
                PublishState::ToPlace => {
                    for file in &reply.files {
                        print::line(&print::plain(&file.path))?;
                    }
                    print::line("serve these files over https at openpgpkey. your domain, or at it")
                }
            }
        }
        _ => Ok(()),
    }
}

fn way(via: Via) -> &'static str {
    match via {
        Via::Autocrypt => "messages",
        Via::Wkd => "key directory",
        Via::Keyserver => "server of keys",
        Via::Ldap => "LDAP",
    }
}

fn change(change: FoundChange) -> &'static str {
    match change {
        FoundChange::New => "new",
        FoundChange::Update => "updated",
        FoundChange::Conflict => "CONFLICT: there is another key; compare and settle",
        FoundChange::Known => "known already",
    }
}

impl From<args::Via> for Via {
    fn from(via: args::Via) -> Via {
        match via {
            args::Via::Autocrypt => Via::Autocrypt,
            args::Via::Wkd => Via::Wkd,
            args::Via::Keyserver => Via::Keyserver,
            args::Via::Ldap => Via::Ldap,
        }
    }
}
