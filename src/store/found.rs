//! For which of its addresses a certificate came, where it names several. Nothing can be taken out
//! of an S/MIME certificate: what it says of others is the word of whoever made it.

use super::journal::Entry;
use super::{Sight, Store, index};
use crate::base::{Address, KeyId, Result};

impl Store {
    /// Keeps that a certificate came for an address, and not for the others that it names.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn found(&self, address: &Address, id: &KeyId, now: u64) -> Result<()> {
        let entry = Entry::Found {
            id: id.clone(),
            address: address.clone(),
        };
        self.change(|tx| match tx.is_found_for(id, address)? {
            true => Ok(()),
            false => index::decide(&self.home, tx, &[(now, entry.clone())]),
        })
    }

    /// Whether a certificate came for an address: somebody looked for it, or mail used it.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn came_for(&self, id: &KeyId, address: &Address) -> Result<bool> {
        self.look(Sight::Usual, |db| db.came_for(id, address))
    }
}
