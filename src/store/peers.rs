//! What Autocrypt knows of correspondents. It can't be read again from certificates, and the
//! mail that it came from may be gone: so it stands in the journal, to the day. The index has
//! it to the second.

use super::journal::Entry;
use super::{DAY, Sight, Store, index};
use crate::base::autocrypt::{Peer, PreferEncrypt};
use crate::base::{Address, Result};

impl Store {
    /// What is known of a correspondent.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn peer(&self, address: &Address) -> Result<Peer> {
        self.look(Sight::Usual, |db| db.peer(address))
    }

    /// Keeps what `learn` makes of what is known of a correspondent, if that is anything new.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn learn(&self, address: &Address, now: u64, learn: impl Fn(&mut Peer)) -> Result<()> {
        let new = |known: &Peer| {
            let mut peer = known.clone();
            learn(&mut peer);
            (peer != *known && !peer.is_unknown()).then_some(peer)
        };
        // Most mail brings nothing new, and readers hold up nobody.
        if new(&self.peer(address)?).is_none() {
            return Ok(());
        }
        self.change(|tx| {
            let known = tx.peer(address)?;
            let Some(peer) = new(&known) else {
                return Ok(());
            };
            if to_the_day(&known) == to_the_day(&peer) {
                return tx.set_peer(address, &peer);
            }
            let address = address.clone();
            index::decide(&self.home, tx, &[(now, Entry::Peer { address, peer })])
        })
    }

    /// What the person wishes for mail to an address of their own; `None` when nothing was said.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn preference(&self, address: &Address) -> Result<Option<PreferEncrypt>> {
        self.look(Sight::Usual, |db| db.preference(address))
    }

    /// Keeps what the person wishes for mail to an address of their own.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn prefer(&self, address: &Address, prefer: PreferEncrypt, now: u64) -> Result<()> {
        if self.preference(address)? == Some(prefer) {
            return Ok(());
        }
        let address = address.clone();
        let entry = (now, Entry::Prefer { address, prefer });
        self.change(|tx| index::decide(&self.home, tx, std::slice::from_ref(&entry)))
    }
}

/// A state without the hours: a busy correspondence adds one line a day to the journal.
fn to_the_day(peer: &Peer) -> Peer {
    let mut peer = peer.clone();
    if let Some(seen) = &mut peer.last_seen {
        *seen /= DAY;
    }
    if let Some(offered) = &mut peer.offered {
        offered.at /= DAY;
    }
    if let Some(gossiped) = &mut peer.gossiped {
        gossiped.at /= DAY;
    }
    peer
}
