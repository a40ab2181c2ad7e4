//! Addresses that look like those that the person knows. Thousands may be known, and every
//! message asks: what they look like is kept until somebody is accepted, rejected or forgotten.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Store;
use super::db::{Db, Meta};
use crate::base::spoof::{self, Likenesses};
use crate::base::{Address, Result};

/// What is kept, and of which state of which generation of the index.
pub(super) type Kept = Mutex<Option<((u32, i64), Arc<Accepted>)>>;

/// The addresses that keys were accepted for.
pub(super) struct Accepted {
    keys: HashSet<String>,
    likenesses: Likenesses,
}

/// Whether an address is none that is known, and it or its domain looks like one.
pub(super) fn imitates(store: &Store, db: &Db, address: &Address) -> Result<bool> {
    let accepted = accepted(store, db)?;
    if accepted.keys.contains(address.key()) {
        return Ok(false);
    }
    // One's own are few.
    let own = db.own_addresses()?;
    Ok(!own.contains(address)
        && (spoof::imitates(address, &accepted.likenesses)
            || spoof::imitates(address, &spoof::likenesses(&own))))
}

fn accepted(store: &Store, db: &Db) -> Result<Arc<Accepted>> {
    let state = (db.generation, db.meta(Meta::Decided)?);
    let mut kept = store
        .likeness
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some((of, accepted)) = &*kept
        && *of == state
    {
        return Ok(Arc::clone(accepted));
    }
    let addresses = db.accepted_addresses()?;
    let accepted = Arc::new(Accepted {
        keys: addresses.iter().map(|one| one.key().to_owned()).collect(),
        likenesses: spoof::likenesses(&addresses),
    });
    *kept = Some((state, Arc::clone(&accepted)));
    Ok(accepted)
}
