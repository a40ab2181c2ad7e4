//! Whose word on other people's keys counts as the person's own: decisions, so they stand in
//! the journal.

use super::journal::Entry;
use super::{Sight, Store, index};
use crate::base::{Error, KeyId, Result};

/// Introducers of one person: each is looked at for every key that nobody has decided about.
const INTRODUCERS_MAX: usize = 50;

impl Store {
    /// From now on the word of this key's owner counts, for addresses at these domains (A-labels);
    /// for all where there are none.
    ///
    /// # Errors
    /// `limit.exceeded`; `store.unavailable`.
    pub fn introduce(&self, id: &KeyId, domains: &[String], now: u64) -> Result<()> {
        let known = self.look(Sight::Usual, |db| db.introducers())?;
        if known.len() >= INTRODUCERS_MAX && !known.iter().any(|(known, _)| known == id) {
            return Err(Error::limit(
                "introducers",
                "there are as many introducers as anybody can look after; dismiss some",
            ));
        }
        let (id, domains) = (id.clone(), domains.to_vec());
        let entry = (now, Entry::Introduce { id, domains });
        self.change(|tx| index::decide(&self.home, tx, std::slice::from_ref(&entry)))
    }

    /// Its word counts no more.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn dismiss(&self, id: &KeyId, now: u64) -> Result<()> {
        let entry = (now, Entry::Dismiss { id: id.clone() });
        self.change(|tx| index::decide(&self.home, tx, std::slice::from_ref(&entry)))
    }
}
