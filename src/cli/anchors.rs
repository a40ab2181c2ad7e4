//! `sealpost anchors …`: whose word counts for S/MIME certificates.

use super::args::Anchors;
use super::session::Session;
use super::{input, print};
use crate::base::{Error, KeyId, Protocol, Result};
use crate::verbs::anchors::{
    self, AddRequest, AnchorSource, ListReply, ListRequest, RemoveRequest,
};

/// Runs one of the commands about authorities.
///
/// # Errors
/// As the verb of that name, and what files can do.
pub fn run(command: &Anchors, session: &Session) -> Result<()> {
    let (reply, json) = match command {
        Anchors::List { common } => {
            let request = ListRequest {};
            let reply = session.run(|world, cx| anchors::list(world, &request, cx))?;
            (reply, common.json)
        }
        Anchors::Add {
            file,
            domains,
            common,
        } => {
            let request = AddRequest {
                data: input::read(file)?,
                domains: domains.clone(),
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| anchors::add(world, &request, cx))?;
            (reply, common.json)
        }
        Anchors::Remove {
            fingerprint,
            common,
        } => {
            let id = KeyId::parse(fingerprint)
                .or_else(|| KeyId::from_hex(Protocol::Smime, fingerprint))
                .ok_or_else(|| {
                    Error::invalid("/id", "give the fingerprint that anchors list shows")
                })?;
            let request = RemoveRequest {
                id,
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| anchors::remove(world, &request, cx))?;
            (reply, common.json)
        }
    };
    match json {
        true => print::json(&reply),
        false => print::out(&table(&reply)),
    }
}

fn table(reply: &ListReply) -> String {
    let row = |anchor: &anchors::Listed| {
        let source = match anchor.source {
            AnchorSource::Own => "yours",
            AnchorSource::Bundled => "bundled",
            AnchorSource::Policy => "policy",
        };
        let domains = match anchor.domains.as_slice() {
            [] => "every address".to_owned(),
            some => some.join(", "),
        };
        vec![
            anchor.id.fingerprint().to_owned(),
            source.to_owned(),
            print::plain(anchor.name.as_deref().unwrap_or_default()),
            domains,
        ]
    };
    print::table(&reply.anchors.iter().map(row).collect::<Vec<_>>())
}
