//! Taking up revocation lists of authorities (S/MIME), which come as keys do.

use super::{ImportReply, Skipped};
use crate::base::ask::Action;
use crate::base::keys::Certs;
use crate::base::{Context, Result};
use crate::engine::smime::{RevocationList, is_genuine_revocation_list, read_revocation_list};
use crate::verbs::World;

/// Files an authority's revocation list, unless a newer one is here, or its authority is and has
/// not signed it. Where the authority is not here, the list counts once it is.
///
/// # Errors
/// `consent.denied`; those of the store.
pub(super) fn take_up(world: &World, list: &RevocationList, cx: &Context) -> Result<ImportReply> {
    let known = world.store.revocation_list(&list.issuer)?;
    let known = known.and_then(|known| read_revocation_list(&known).ok());
    let genuine = is_genuine_revocation_list(list, cx)?;
    let forged = genuine == Some(false);
    // A genuine one is newer than any that was taken up before its authority was here.
    let stands = |known: &RevocationList| -> Result<bool> {
        let older = known.this_update < list.this_update;
        let displaced =
            genuine == Some(true) && is_genuine_revocation_list(known, cx)? == Some(false);
        Ok(!older && !displaced)
    };
    let newer = !forged && !known.as_ref().map(stands).transpose()?.unwrap_or(false);
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
