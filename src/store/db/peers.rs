//! What Autocrypt knows of correspondents, and what is wished for own addresses.

use rusqlite::{Connection, Row as SqlRow};

use super::rows::{code, decode};
use super::{Db, Tx, fault};
use crate::base::autocrypt::{Gossiped, Offered, Peer, PreferEncrypt};
use crate::base::{Address, KeyId, Result};

// Append only: the positions stand in the tables.
const PREFERENCES: [PreferEncrypt; 2] = [PreferEncrypt::NoPreference, PreferEncrypt::Mutual];

impl Db {
    /// What is known of a correspondent.
    pub(in crate::store) fn peer(&self, address: &Address) -> Result<Peer> {
        self.read(|c| peer(c, address))
    }

    /// What the person wishes for mail to an address of their own; `None` when nothing was said.
    pub(in crate::store) fn preference(&self, address: &Address) -> Result<Option<PreferEncrypt>> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT prefer FROM account WHERE address = ?1")?;
            let mut rows = statement.query([address.key()])?;
            rows.next()?
                .map(|row| decode(&PREFERENCES, row, 0))
                .transpose()
        })
    }
}

impl Tx<'_> {
    /// What is known of a correspondent, inside a write.
    pub(in crate::store) fn peer(&self, address: &Address) -> Result<Peer> {
        peer(&self.0, address).map_err(fault)
    }

    /// Whether somebody offers this certificate as theirs.
    pub(in crate::store) fn is_offered(&self, id: &KeyId) -> Result<bool> {
        self.0
            .prepare_cached("SELECT 1 FROM peer WHERE id = ?1")
            .and_then(|mut s| s.exists([id.to_string()]))
            .map_err(fault)
    }

    pub(in crate::store) fn set_peer(&self, address: &Address, peer: &Peer) -> Result<()> {
        let (offered, gossiped) = (peer.offered.as_ref(), peer.gossiped.as_ref());
        self.run(
            "INSERT OR REPLACE INTO peer (address, seen, at, id, prefer, gossip_at, gossip_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                address.key(),
                peer.last_seen.map(u64::cast_signed),
                offered.map(|offered| offered.at.cast_signed()),
                offered.map(|offered| offered.key.to_string()),
                offered.map(|offered| code(&PREFERENCES, offered.prefer)),
                gossiped.map(|gossiped| gossiped.at.cast_signed()),
                gossiped.map(|gossiped| gossiped.key.to_string()),
            ),
        )
        .map(drop)
    }

    pub(in crate::store) fn set_preference(
        &self,
        address: &Address,
        prefer: PreferEncrypt,
    ) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO account (address, prefer) VALUES (?1, ?2)",
            (address.key(), code(&PREFERENCES, prefer)),
        )
        .map(drop)
    }
}

fn peer(c: &Connection, address: &Address) -> rusqlite::Result<Peer> {
    let mut statement = c.prepare_cached(
        "SELECT seen, at, id, prefer, gossip_at, gossip_id FROM peer WHERE address = ?1",
    )?;
    let mut rows = statement.query([address.key()])?;
    let Some(row) = rows.next()? else {
        return Ok(Peer::default());
    };
    let offered = match time(row, 1)?.zip(key(row, 2)?) {
        Some((at, key)) => Some(Offered {
            at,
            key,
            prefer: decode(&PREFERENCES, row, 3)?,
        }),
        None => None,
    };
    Ok(Peer {
        last_seen: time(row, 0)?,
        offered,
        gossiped: time(row, 4)?
            .zip(key(row, 5)?)
            .map(|(at, key)| Gossiped { at, key }),
    })
}

fn time(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let at: Option<i64> = row.get(column)?;
    Ok(at.map(i64::unsigned_abs))
}

fn key(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Option<KeyId>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.as_deref().and_then(KeyId::parse))
}
