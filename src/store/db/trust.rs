//! What people decided and what messages showed: acceptance, conflicts, hidden certificates,
//! first and last use, and the counts behind the harvest's caps.

use super::rows::{code, decode, key_id};
use super::{Db, Meta, Tx, fault};
use crate::base::keys::Acceptance;
use crate::base::{Address, KeyId, Result};
use crate::store::certs::{Place, folder_number};
use crate::store::journal::Entry;

// Append only: the positions stand in the tables.
pub(super) const LEVELS: [Acceptance; 4] = [
    Acceptance::Rejected,
    Acceptance::Undecided,
    Acceptance::Accepted,
    Acceptance::Verified,
];

impl Db {
    /// What was said of a key for an address.
    pub(in crate::store) fn acceptance(&self, id: &KeyId, address: &Address) -> Result<Acceptance> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT level FROM acceptance WHERE id = ?1 AND address = ?2")?;
            let mut rows = statement.query((id.to_string(), address.key()))?;
            match rows.next()? {
                Some(row) => decode(&LEVELS, row, 0),
                None => Ok(Acceptance::Undecided),
            }
        })
    }

    /// Whether a certificate came for an address: by a look-up, or by mail that used it.
    pub(in crate::store) fn came_for(&self, id: &KeyId, address: &Address) -> Result<bool> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT 1 FROM found WHERE id = ?1 AND address = ?2
                 UNION ALL SELECT 1 FROM seen WHERE id = ?1 AND address = ?2",
            )?;
            statement.exists((id.to_string(), address.key()))
        })
    }

    /// The addresses of certificates with a secret half here.
    pub(in crate::store) fn own_addresses(&self) -> Result<Vec<Address>> {
        // One's own are few; SQLite would begin with the addresses of everybody.
        self.addresses(
            "SELECT DISTINCT address.address FROM secret CROSS JOIN cert ON cert.id = secret.id
             CROSS JOIN address ON address.cert = cert.n",
            (),
        )
    }

    /// The addresses that a key was accepted for.
    pub(in crate::store) fn accepted_addresses(&self) -> Result<Vec<Address>> {
        self.addresses(
            "SELECT DISTINCT address FROM acceptance WHERE level >= ?1",
            [code(&LEVELS, Acceptance::Accepted)],
        )
    }

    fn addresses(&self, select: &str, params: impl rusqlite::Params) -> Result<Vec<Address>> {
        self.read(|c| {
            let mut statement = c.prepare_cached(select)?;
            let rows = statement.query_map(params, |row| row.get::<_, String>(0))?;
            let keys = rows.collect::<rusqlite::Result<Vec<String>>>()?;
            Ok(keys.iter().filter_map(|key| Address::parse(key)).collect())
        })
    }

    /// The keys that stand in conflict for an address, and since when. One that is not here
    /// stands in nobody's way.
    pub(in crate::store) fn conflicts(&self, address: &Address) -> Result<Vec<(KeyId, u64)>> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT id, seen FROM conflict WHERE address = ?1 AND EXISTS
                       (SELECT 1 FROM cert WHERE cert.id = conflict.id AND NOT cert.hidden)
                     ORDER BY id",
            )?;
            let rows = statement.query_map([address.key()], |row| {
                Ok((key_id(row, 0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            rows.collect()
        })
    }

    /// Those whose word counts as the person's own, each with its domains.
    pub(in crate::store) fn introducers(&self) -> Result<Vec<(KeyId, Vec<String>)>> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT id, domains FROM introducer ORDER BY id")?;
            let rows = statement.query_map((), |row| {
                let domains: String = row.get(1)?;
                let domains = domains.lines().map(str::to_owned).collect();
                Ok((key_id(row, 0)?, domains))
            })?;
            rows.collect()
        })
    }

    /// How many certificates were harvested since `since`: for the address, and in all; and
    /// how many there are altogether.
    pub(in crate::store) fn harvested(
        &self,
        address: &Address,
        since: u64,
    ) -> Result<(usize, usize, usize)> {
        let places = [crate::base::Protocol::OpenPgp, crate::base::Protocol::Smime]
            .map(|protocol| folder_number(protocol, Place::Harvested));
        let [pgp, smime] = places;
        self.read(|c| {
            c.prepare_cached(
                "SELECT
                   (SELECT count(*) FROM address JOIN cert ON cert.n = address.cert
                    WHERE address.address = ?1 AND cert.folder IN (?3, ?4) AND cert.added >= ?2),
                   (SELECT count(*) FROM cert WHERE added >= ?2 AND folder IN (?3, ?4)),
                   (SELECT count(*) FROM cert WHERE folder IN (?3, ?4))",
            )?
            .query_row((address.key(), since.cast_signed(), pgp, smime), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
        })
    }
}

impl Tx<'_> {
    /// Brings one entry of the journal into the tables. Doing so twice changes nothing.
    pub(in crate::store) fn apply(&self, at: u64, entry: &Entry) -> Result<()> {
        match entry {
            Entry::Accept { id, address, level } => {
                self.run(
                    "INSERT INTO acceptance (id, address, spelled, level) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id, address) DO UPDATE SET level = excluded.level",
                    (
                        id.to_string(),
                        address.key(),
                        address.as_str(),
                        code(&LEVELS, *level),
                    ),
                )?;
                self.decided()
            }
            Entry::Conflict { address, ids } => {
                for id in ids {
                    self.run(
                        "INSERT OR IGNORE INTO conflict (address, id, spelled, seen)
                         VALUES (?1, ?2, ?3, ?4)",
                        (
                            address.key(),
                            id.to_string(),
                            address.as_str(),
                            at.cast_signed(),
                        ),
                    )?;
                }
                Ok(())
            }
            Entry::Found { id, address } => self
                .run(
                    "INSERT OR IGNORE INTO found (id, address) VALUES (?1, ?2)",
                    (id.to_string(), address.key()),
                )
                .map(drop),
            Entry::Settle { address } => self
                .run("DELETE FROM conflict WHERE address = ?1", [address.key()])
                .map(drop),
            Entry::Peer { address, peer } => self.set_peer(address, peer),
            Entry::Prefer { address, prefer } => self.set_preference(address, *prefer),
            Entry::Introduce { id, domains } => self.set_introducer(id, domains),
            Entry::Dismiss { id } => self.dismiss(id),
            Entry::Hide { id } => {
                let id = id.to_string();
                self.run("INSERT OR IGNORE INTO hidden (id) VALUES (?1)", [&id])?;
                self.run("UPDATE cert SET hidden = 1 WHERE id = ?1", [&id])
                    .map(drop)
            }
            Entry::Show { id } => {
                let id = id.to_string();
                self.run("DELETE FROM hidden WHERE id = ?1", [&id])?;
                self.run("UPDATE cert SET hidden = 0 WHERE id = ?1", [&id])
                    .map(drop)
            }
            Entry::Forget { id } => {
                let id = id.to_string();
                self.run(
                    "DELETE FROM acceptance WHERE id = ?1 AND level <> ?2",
                    (&id, code(&LEVELS, Acceptance::Rejected)),
                )?;
                self.decided()?;
                // A conflict of one is none.
                self.run(
                    "DELETE FROM conflict WHERE address IN (SELECT address FROM conflict
                       GROUP BY address HAVING count(*) <= 2
                       AND sum(id = ?1) > 0)",
                    [&id],
                )?;
                self.run("DELETE FROM conflict WHERE id = ?1", [&id])?;
                self.run("DELETE FROM introducer WHERE id = ?1", [&id])?;
                self.run("DELETE FROM found WHERE id = ?1", [&id])?;
                self.run("DELETE FROM seen WHERE id = ?1", [&id]).map(drop)
            }
        }
    }

    /// Says that what is kept of accepted addresses is out of date.
    fn decided(&self) -> Result<()> {
        let count = self.meta(Meta::Decided)?;
        self.set(Meta::Decided, count.wrapping_add(1))
    }

    fn set_introducer(&self, id: &KeyId, domains: &[String]) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO introducer (id, domains) VALUES (?1, ?2)",
            (id.to_string(), domains.join("\n")),
        )
        .map(drop)
    }

    fn dismiss(&self, id: &KeyId) -> Result<()> {
        self.run("DELETE FROM introducer WHERE id = ?1", [id.to_string()])
            .map(drop)
    }

    /// Keeps when messages first and last used a key for an address.
    pub(in crate::store) fn seen(
        &self,
        id: &KeyId,
        address: &Address,
        first: u64,
        last: u64,
    ) -> Result<()> {
        self.run(
            "INSERT INTO seen (id, address, first, last) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id, address) DO UPDATE SET
                 first = min(first, excluded.first), last = max(last, excluded.last)",
            (
                id.to_string(),
                address.key(),
                first.cast_signed(),
                last.cast_signed(),
            ),
        )
        .map(drop)
    }

    /// What was said of a key for an address, inside a write.
    pub(in crate::store) fn acceptance(&self, id: &KeyId, address: &Address) -> Result<Acceptance> {
        let look = || -> rusqlite::Result<Acceptance> {
            let mut statement = self
                .0
                .prepare_cached("SELECT level FROM acceptance WHERE id = ?1 AND address = ?2")?;
            let mut rows = statement.query((id.to_string(), address.key()))?;
            match rows.next()? {
                Some(row) => decode(&LEVELS, row, 0),
                None => Ok(Acceptance::Undecided),
            }
        };
        look().map_err(fault)
    }

    /// Whether these keys already stand in conflict for the address.
    pub(in crate::store) fn in_conflict(&self, address: &Address, ids: &[KeyId]) -> Result<bool> {
        for id in ids {
            let there = self
                .0
                .prepare_cached("SELECT 1 FROM conflict WHERE address = ?1 AND id = ?2")
                .and_then(|mut s| s.exists((address.key(), id.to_string())))
                .map_err(fault)?;
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether it is known that a certificate came for an address.
    pub(in crate::store) fn is_found_for(&self, id: &KeyId, address: &Address) -> Result<bool> {
        self.0
            .prepare_cached("SELECT 1 FROM found WHERE id = ?1 AND address = ?2")
            .and_then(|mut s| s.exists((id.to_string(), address.key())))
            .map_err(fault)
    }

    /// Whether it is known for which of its addresses a certificate came.
    pub(in crate::store) fn is_found(&self, id: &KeyId) -> Result<bool> {
        self.0
            .prepare_cached("SELECT 1 FROM found WHERE id = ?1")
            .and_then(|mut s| s.exists([id.to_string()]))
            .map_err(fault)
    }

    /// Whether a certificate is hidden here.
    pub(in crate::store) fn is_hidden(&self, id: &KeyId) -> Result<bool> {
        self.0
            .prepare_cached("SELECT 1 FROM hidden WHERE id = ?1")
            .and_then(|mut s| s.exists([id.to_string()]))
            .map_err(fault)
    }
}
