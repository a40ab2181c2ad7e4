//! Certificates as rows: written from an engine's facts, found by handle and by address.

use rusqlite::{Row as SqlRow, params};

use super::{Db, Tx, fault};
use crate::base::keys::{Attention, CertFacts, KeyStatus, Source, Usage};
use crate::base::{Address, KeyId, Protocol, Result};
use crate::store::certs::{Place, folder_number};
use crate::store::files::Stamp;
use crate::store::query::{search_text, sort_key};
use crate::store::secrets::Wrap;

/// Most handles and addresses indexed of one certificate. Real ones have a handful; whoever
/// has thousands wants to make us slow.
const INDEXED_MAX: usize = 256;

// Append only: the positions stand in the tables.
const PROTOCOLS: [Protocol; 2] = [Protocol::OpenPgp, Protocol::Smime];
const SOURCES: [Source; 11] = [
    Source::Autocrypt,
    Source::Attached,
    Source::Signature,
    Source::Shared,
    Source::Imported,
    Source::Generated,
    Source::Gnupg,
    Source::Gossip,
    Source::Wkd,
    Source::Keyserver,
    Source::Ldap,
];
const STATUSES: [KeyStatus; 5] = [
    KeyStatus::Valid,
    KeyStatus::Expired,
    KeyStatus::Revoked,
    KeyStatus::NotYetValid,
    KeyStatus::Weak,
];
const USAGES: [Usage; 3] = [Usage::Sign, Usage::Encrypt, Usage::Certify];
const ATTENTIONS: [Attention; 6] = [
    Attention::ExpiresSoon,
    Attention::Expired,
    Attention::NoEncryptionKey,
    Attention::NoSigningKey,
    Attention::NoAddress,
    Attention::Weak,
];
const WRAPS: [Wrap; 5] = [
    Wrap::Passphrase,
    Wrap::Device,
    Wrap::Token,
    Wrap::GnuPg,
    Wrap::Keychain,
];

pub(super) const BRIEF: &str = "cert.id, cert.folder, cert.stamp, cert.source, cert.hidden,
    EXISTS (SELECT 1 FROM secret WHERE secret.id = cert.id)";

/// What the index says of where a certificate is, in a few numbers.
#[derive(Debug, Clone)]
pub(in crate::store) struct Brief {
    pub(in crate::store) id: KeyId,
    pub(in crate::store) place: Place,
    /// [`Stamp::number`] of the file that the row was made from.
    pub(in crate::store) stamp: i64,
    pub(in crate::store) source: Source,
    pub(in crate::store) hidden: bool,
    pub(in crate::store) own: bool,
}

/// A row to be written.
pub(in crate::store) struct NewRow<'a> {
    pub(in crate::store) facts: &'a CertFacts,
    pub(in crate::store) place: Place,
    pub(in crate::store) stamp: Stamp,
    pub(in crate::store) source: Source,
    /// Unix seconds: when it was judged, and added if it is new.
    pub(in crate::store) now: u64,
}

impl Db {
    /// Where one certificate is.
    pub(in crate::store) fn brief(&self, id: &KeyId) -> Result<Option<Brief>> {
        let sql = format!("SELECT {BRIEF} FROM cert WHERE id = ?1");
        Ok(self.briefs(&sql, (id.to_string(),))?.pop())
    }

    /// The certificates with this fingerprint or key id, of the primary key or a subkey.
    pub(in crate::store) fn by_handle(
        &self,
        protocol: Protocol,
        handle: &str,
    ) -> Result<Vec<Brief>> {
        let sql = format!(
            "SELECT {BRIEF} FROM handle JOIN cert ON cert.n = handle.cert
             WHERE handle.handle = ?1 AND cert.protocol = ?2 AND cert.hidden = 0 ORDER BY cert.id"
        );
        self.briefs(&sql, (handle, code(&PROTOCOLS, protocol)))
    }

    /// The certificates that name this address.
    pub(in crate::store) fn by_address(
        &self,
        protocol: Protocol,
        address: &Address,
    ) -> Result<Vec<Brief>> {
        let sql = format!(
            "SELECT {BRIEF} FROM address JOIN cert ON cert.n = address.cert
             WHERE address.address = ?1 AND cert.protocol = ?2 AND cert.hidden = 0 ORDER BY cert.id"
        );
        self.briefs(&sql, (address.key(), code(&PROTOCOLS, protocol)))
    }

    /// The certificates with a secret half here.
    pub(in crate::store) fn own(&self, protocol: Protocol) -> Result<Vec<Brief>> {
        let sql = format!(
            "SELECT {BRIEF} FROM secret CROSS JOIN cert ON cert.id = secret.id
             WHERE cert.protocol = ?1 AND cert.hidden = 0 ORDER BY cert.id"
        );
        self.briefs(&sql, (code(&PROTOCOLS, protocol),))
    }

    /// The rows of one section of a folder: all certificates whose fingerprint begins so.
    pub(in crate::store) fn in_section(
        &self,
        protocol: Protocol,
        place: Place,
        section: &str,
    ) -> Result<Vec<Brief>> {
        let from = format!("{}:{}", protocol.name(), section.to_ascii_uppercase());
        let sql = format!(
            "SELECT {BRIEF} FROM cert WHERE id >= ?1 AND id < ?2 AND folder = ?3 ORDER BY id"
        );
        self.briefs(
            &sql,
            (&from, format!("{from}~"), folder_number(protocol, place)),
        )
    }

    fn briefs(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Brief>> {
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map(params, brief)?;
            rows.collect()
        })
    }

    /// The stamps of a folder's sections as they were last read.
    pub(in crate::store) fn sections(&self, folder: i64) -> Result<Vec<(String, i64)>> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT name, stamp FROM section WHERE folder = ?1")?;
            let rows = statement.query_map([folder], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    /// Whether exactly this file was found to be no certificate.
    pub(in crate::store) fn skipped(&self, folder: i64, id: &KeyId, stamp: Stamp) -> Result<bool> {
        self.read(|c| {
            c.prepare_cached("SELECT 1 FROM skipped WHERE folder = ?1 AND id = ?2 AND stamp = ?3")?
                .exists((folder, id.to_string(), stamp.number()))
        })
    }
}

impl Tx<'_> {
    pub(in crate::store) fn brief(&self, id: &KeyId) -> Result<Option<Brief>> {
        let sql = format!("SELECT {BRIEF} FROM cert WHERE id = ?1");
        let mut statement = self.0.prepare_cached(&sql).map_err(fault)?;
        let mut rows = statement.query([id.to_string()]).map_err(fault)?;
        match rows.next().map_err(fault)? {
            Some(row) => brief(row).map(Some).map_err(fault),
            None => Ok(None),
        }
    }

    /// Writes a certificate's row. A source that says more about the person's will stays.
    pub(in crate::store) fn upsert(&self, row: &NewRow<'_>) -> Result<()> {
        let facts = row.facts;
        let id = facts.id.to_string();
        let protocol = facts.id.protocol();
        let now = row.now.cast_signed();
        self.run(
            "INSERT INTO cert (id, protocol, folder, stamp, source, hidden, added, judged, sort,
                 handles, key_ids, addresses, name, algorithm, created, changed, expires, status,
                 usage, issuer, attention, search)
             VALUES (?1, ?2, ?3, ?4, ?5, EXISTS (SELECT 1 FROM hidden WHERE hidden.id = ?1), ?6, ?6,
                 ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
             ON CONFLICT (id) DO UPDATE SET folder = excluded.folder, stamp = excluded.stamp,
                 source = excluded.source, hidden = excluded.hidden,
                 judged = excluded.judged, sort = excluded.sort, handles = excluded.handles,
                 key_ids = excluded.key_ids, addresses = excluded.addresses, name = excluded.name,
                 algorithm = excluded.algorithm, created = excluded.created,
                 changed = excluded.changed, expires = excluded.expires, status = excluded.status,
                 usage = excluded.usage, issuer = excluded.issuer,
                 attention = excluded.attention, search = excluded.search",
            params![
                id,
                code(&PROTOCOLS, protocol),
                folder_number(protocol, row.place),
                row.stamp.number(),
                code(&SOURCES, row.source),
                now,
                sort_key(facts),
                lines(facts.handles.iter().take(INDEXED_MAX)),
                lines(facts.key_ids.iter().take(INDEXED_MAX)),
                lines(
                    facts
                        .addresses
                        .iter()
                        .take(INDEXED_MAX)
                        .map(Address::as_str)
                ),
                facts.name,
                facts.algorithm,
                facts.created,
                facts.changed,
                facts.expires,
                code(&STATUSES, facts.status),
                codes(&USAGES, &facts.usage),
                facts.issuer,
                codes(&ATTENTIONS, &facts.attention),
                search_text(facts),
            ],
        )?;
        let n: i64 = self
            .0
            .prepare_cached("SELECT n FROM cert WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([&id], |row| row.get(0)))
            .map_err(fault)?;
        self.forget_names(n)?;
        for handle in facts.handles.iter().take(INDEXED_MAX) {
            self.run(
                "INSERT OR IGNORE INTO handle (handle, cert) VALUES (?1, ?2)",
                (handle, n),
            )?;
        }
        for address in facts.addresses.iter().take(INDEXED_MAX) {
            self.run(
                "INSERT OR IGNORE INTO address (address, cert) VALUES (?1, ?2)",
                (address.key(), n),
            )?;
        }
        self.run("DELETE FROM skipped WHERE id = ?1", [&id])
            .map(drop)
    }

    /// Takes a certificate's row out; false when there was none.
    pub(in crate::store) fn remove(&self, id: &KeyId) -> Result<bool> {
        let id = id.to_string();
        for sql in [
            "DELETE FROM handle WHERE cert = (SELECT n FROM cert WHERE id = ?1)",
            "DELETE FROM address WHERE cert = (SELECT n FROM cert WHERE id = ?1)",
        ] {
            self.run(sql, [&id])?;
        }
        Ok(self.run("DELETE FROM cert WHERE id = ?1", [&id])? > 0)
    }

    /// Remembers that exactly this file is no certificate.
    pub(in crate::store) fn skip(&self, folder: i64, id: &KeyId, stamp: Stamp) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO skipped (folder, id, stamp) VALUES (?1, ?2, ?3)",
            (folder, id.to_string(), stamp.number()),
        )
        .map(drop)
    }

    /// Remembers a folder's sections as they were read.
    pub(in crate::store) fn set_sections(
        &self,
        folder: i64,
        sections: &[(String, Stamp)],
    ) -> Result<()> {
        self.run("DELETE FROM section WHERE folder = ?1", [folder])?;
        for (name, stamp) in sections {
            self.run(
                "INSERT OR REPLACE INTO section (folder, name, stamp) VALUES (?1, ?2, ?3)",
                (folder, name, stamp.number()),
            )?;
        }
        Ok(())
    }

    /// Says which secret half there is for a certificate.
    pub(in crate::store) fn set_secret(&self, id: &KeyId, wrap: Option<Wrap>) -> Result<bool> {
        let id = id.to_string();
        let changed = match wrap {
            Some(wrap) => self.run(
                "INSERT INTO secret (id, wrap) VALUES (?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET wrap = excluded.wrap
                 WHERE wrap <> excluded.wrap",
                (id, code(&WRAPS, wrap)),
            )?,
            None => self.run("DELETE FROM secret WHERE id = ?1", [id])?,
        };
        Ok(changed > 0)
    }

    /// Says which secret halves there are at all; true when that is news.
    pub(in crate::store) fn set_secrets(&self, all: &[(KeyId, Wrap)]) -> Result<bool> {
        let known: Vec<String> = self
            .0
            .prepare_cached("SELECT id FROM secret")
            .and_then(|mut s| s.query_map((), |row| row.get(0))?.collect())
            .map_err(fault)?;
        let mut changed = false;
        for id in known.iter().filter_map(|id| KeyId::parse(id)) {
            if !all.iter().any(|(here, _)| *here == id) {
                changed |= self.set_secret(&id, None)?;
            }
        }
        for (id, wrap) in all {
            changed |= self.set_secret(id, Some(*wrap))?;
        }
        Ok(changed)
    }

    fn forget_names(&self, n: i64) -> Result<()> {
        self.run("DELETE FROM handle WHERE cert = ?1", [n])?;
        self.run("DELETE FROM address WHERE cert = ?1", [n])
            .map(drop)
    }
}

fn brief(row: &SqlRow<'_>) -> rusqlite::Result<Brief> {
    let folder: i64 = row.get(1)?;
    Ok(Brief {
        id: key_id(row, 0)?,
        place: if folder % 2 == 0 {
            Place::Kept
        } else {
            Place::Harvested
        },
        stamp: row.get(2)?,
        source: decode(&SOURCES, row, 3)?,
        hidden: row.get(4)?,
        own: row.get(5)?,
    })
}

/// The columns that [`facts`] reads, from the given position on.
pub(super) const FACTS: &str = "cert.id, cert.source, cert.judged, cert.handles, cert.key_ids,
    cert.addresses, cert.name, cert.algorithm, cert.created, cert.changed, cert.expires,
    cert.status, cert.usage, cert.issuer, cert.attention, cert.sort,
    (SELECT wrap FROM secret WHERE secret.id = cert.id)";

/// A row of [`FACTS`], read.
pub(super) struct FactsRow {
    pub(super) facts: CertFacts,
    pub(super) source: Source,
    pub(super) judged: u64,
    pub(super) sort: String,
    pub(super) wrap: Option<Wrap>,
}

pub(super) fn facts(row: &SqlRow<'_>) -> rusqlite::Result<FactsRow> {
    let text = |n: usize| row.get::<_, String>(n);
    let wrap: Option<i64> = row.get(16)?;
    Ok(FactsRow {
        source: decode(&SOURCES, row, 1)?,
        judged: row.get::<_, i64>(2)?.unsigned_abs(),
        sort: text(15)?,
        wrap: wrap.and_then(|n| WRAPS.get(usize::try_from(n).ok()?).copied()),
        facts: CertFacts {
            id: key_id(row, 0)?,
            handles: text(3)?.lines().map(str::to_owned).collect(),
            key_ids: text(4)?.lines().map(str::to_owned).collect(),
            addresses: text(5)?.lines().filter_map(Address::parse).collect(),
            name: row.get(6)?,
            algorithm: text(7)?,
            created: row.get(8)?,
            changed: row.get(9)?,
            expires: row.get(10)?,
            status: decode(&STATUSES, row, 11)?,
            usage: decode_all(&USAGES, &text(12)?),
            issuer: row.get(13)?,
            attention: decode_all(&ATTENTIONS, &text(14)?),
        },
    })
}

pub(super) fn key_id(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<KeyId> {
    let text: String = row.get(column)?;
    KeyId::parse(&text).ok_or_else(|| wrong_type(column))
}

pub(super) fn protocol_code(protocol: Protocol) -> i64 {
    code(&PROTOCOLS, protocol)
}

/// A value's position in its list.
pub(super) fn code<T: PartialEq + Copy>(all: &[T], value: T) -> i64 {
    all.iter()
        .position(|one| *one == value)
        .and_then(|n| i64::try_from(n).ok())
        .expect("every value stands in its list")
}

/// The value at a position.
pub(super) fn decode<T: Copy>(all: &[T], row: &SqlRow<'_>, column: usize) -> rusqlite::Result<T> {
    let n: i64 = row.get(column)?;
    usize::try_from(n)
        .ok()
        .and_then(|n| all.get(n).copied())
        .ok_or_else(|| wrong_type(column))
}

/// Positions as digits: every list has fewer than ten values.
fn codes<T: PartialEq + Copy>(all: &[T], values: &[T]) -> String {
    values.iter().map(|v| code(all, *v).to_string()).collect()
}

fn decode_all<T: Copy>(all: &[T], digits: &str) -> Vec<T> {
    digits
        .chars()
        .filter_map(|c| all.get(usize::try_from(c.to_digit(10)?).ok()?).copied())
        .collect()
}

fn lines(values: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for value in values {
        text.push_str(value.as_ref());
        text.push('\n');
    }
    text
}

fn wrong_type(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, String::new(), rusqlite::types::Type::Null)
}
