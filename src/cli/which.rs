//! Which key a person means.

use super::session::Session;
use crate::base::keys::{Key, no_such_key};
use crate::base::{Address, Error, KeyId, Kind, Protocol, Result};
use crate::verbs::keys::{self, ListReply, ListRequest};

/// The one key that a person means: an id, a fingerprint, or what only one key matches. One that
/// has just this address comes before those in whose names or addresses it stands.
///
/// # Errors
/// `key.missing` when nothing matches, `key.ambiguous` when several do.
pub fn id(session: &Session, text: &str) -> Result<KeyId> {
    find(session, text, &|_| true)
}

/// As [`id`], for what is done with a secret half: among several, one's own.
///
/// # Errors
/// As [`id`].
pub fn own(session: &Session, text: &str) -> Result<KeyId> {
    find(session, text, &|key| key.secret.is_own())
}

/// As [`own`], for what one family has alone.
///
/// # Errors
/// As [`id`].
pub fn own_of(protocol: Protocol, session: &Session, text: &str) -> Result<KeyId> {
    find(session, text, &|key| {
        key.secret.is_own() && key.id.protocol() == protocol
    })
}

/// All pages of a list.
pub fn list(session: &Session, mut request: ListRequest) -> Result<ListReply> {
    let mut found = Vec::new();
    loop {
        let mut page = session.run(|world, cx| keys::list(world, &request, cx))?;
        found.append(&mut page.keys);
        if page.cursor.is_none() {
            return Ok(ListReply {
                keys: found,
                ..page
            });
        }
        request.cursor = page.cursor;
    }
}

/// The one key that matches, or the one that is also `wanted`.
fn find(session: &Session, text: &str, wanted: &dyn Fn(&Key) -> bool) -> Result<KeyId> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let named = KeyId::parse(&bare).or_else(|| KeyId::from_hex(Protocol::OpenPgp, &bare));
    if let Some(id) = named {
        return Ok(id);
    }
    let request = ListRequest {
        query: Some(text.to_owned()),
        ..ListRequest::default()
    };
    let mut found = list(session, request)?.keys;
    if let Some(address) = Address::parse(text.trim()) {
        prefer(&mut found, &|key| key.addresses.contains(&address));
    }
    prefer(&mut found, wanted);
    match found.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(no_such_key()),
        several => {
            let kind = Kind::KeyAmbiguous {
                address: text.to_owned(),
                ids: several.iter().map(|key| key.id.clone()).collect(),
            };
            Err(Error::new(
                kind,
                "several keys match; name one by its fingerprint",
            ))
        }
    }
}

/// Leaves only the better ones, where there are any.
fn prefer(found: &mut Vec<Key>, better: &dyn Fn(&Key) -> bool) {
    if found.iter().any(better) {
        found.retain(better);
    }
}
