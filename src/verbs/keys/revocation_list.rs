//! Taking up revocation lists of authorities (S/MIME), which come as keys do.

use super::{ImportReply, Skipped};
use crate::base::ask::Action;
use crate::base::keys::Certs;
use crate::base::{Context, Result};
use crate::engine::smime::{RevocationList, is_genuine_revocation_list, read_revocation_list};
use crate::verbs::World;

/// Whether a list says something newer than the one that is here. A genuine one is newer than any
/// that was taken up before its authority was here.
///
/// # Errors
/// Those of the store.
pub(in crate::verbs) fn is_newer(
    world: &World,
    list: &RevocationList,
    genuine: Option<bool>,
    cx: &Context,
) -> Result<bool> {
    let known = world.store.revocation_list(&list.issuer)?;
    let Some(known) = known.and_then(|known| read_revocation_list(&known).ok()) else {
        return Ok(true);
    };
    let displaced = genuine == Some(true) && is_genuine_revocation_list(&known, cx)? == Some(false);
    Ok(known.this_update < list.this_update || displaced)
}

/// Files an authority's revocation list, unless a newer one is here, or its authority is and has
/// not signed it. Where the authority is not here, the list counts once it is.
///
/// # Errors
/// `consent.denied`; those of the store.
pub(super) fn take_up(world: &World, list: &RevocationList, cx: &Context) -> Result<ImportReply> {
    let genuine = is_genuine_revocation_list(list, cx)?;
    let forged = genuine == Some(false);
    let newer = !forged && is_newer(world, list, genuine, cx)?;
    if newer {
        // One that is signed by nobody would put a genuine one out of force.
        if genuine.is_none() {
            cx.confirm(
                Action::ChangeAnchors,
                &format!("take up the revocation list of {}", list.issuer),
            )?;
        }
        cx.job.commit()?;
        world.store.put_revocation_list(&list.issuer, &list.der)?;
    }
    Ok(ImportReply {
        imported: Vec::new(),
        skipped: match forged {
            true => vec![Skipped {
                reason: "bad-signature",
            }],
            false => Vec::new(),
        },
        revocation_lists: usize::from(newer),
        revision: world.store.revision()?,
    })
}
