//! Introducers: whose word on other people's keys counts as the person's own (OpenPGP).

use super::show::reply;
use super::{DismissRequest, IntroduceRequest, KeyReply};
use crate::base::ask::Action;
use crate::base::context::unix;
use crate::base::error::Kind;
use crate::base::keys::{Protocol, Usage, no_such_key};
use crate::base::{Context, Error, Result};
use crate::verbs::{World, anchors};

/// `keys/introduce`: from now on certificates that this key's owner has signed count as accepted
/// for the addresses in the user ids that were signed. Their signatures are kept of what is
/// imported from then on.
///
/// # Errors
/// `key.missing`; `key.unusable`; `request.invalid` for S/MIME, whose authorities are anchors;
/// `consent.denied`.
pub fn introduce(world: &World, request: &IntroduceRequest, cx: &Context) -> Result<KeyReply> {
    let id = &request.id;
    if id.protocol() != Protocol::OpenPgp {
        return Err(Error::invalid(
            "/id",
            "only OpenPGP keys introduce others; add an authority of S/MIME with anchors/add",
        ));
    }
    let cert = world.store.cert(id)?.ok_or_else(no_such_key)?;
    let domains = anchors::domains(&request.domains)?;
    let engine = world.engine(id.protocol())?;
    let now = unix(cx.now);
    let reasons = engine.unfit(&cert.cert, Usage::Certify, None, now);
    if !reasons.is_empty() {
        return Err(Error::new(
            Kind::KeyUnusable {
                id: id.clone(),
                reasons,
            },
            "this key can't vouch for others; look at its state",
        ));
    }
    let whom = match domains.as_slice() {
        [] => "for every address".to_owned(),
        some => format!("for addresses at {}", some.join(", ")),
    };
    cx.confirm(Action::Introduce, &format!("{}\n{whom}", world.label(id)?))?;
    cx.job.commit()?;
    world.store.introduce(id, &domains, now)?;
    reply(world, id, cx)
}

/// `keys/dismiss`: the word of this key's owner counts no more.
///
/// # Errors
/// `key.missing`.
pub fn dismiss(world: &World, request: &DismissRequest, cx: &Context) -> Result<KeyReply> {
    world.store.row(&request.id)?.ok_or_else(no_such_key)?;
    cx.job.commit()?;
    world.store.dismiss(&request.id, unix(cx.now))?;
    reply(world, &request.id, cx)
}
