//! The only door to SQLite: the index over what lies in files.
//!
//! Nothing here is the truth. Certificates and secret halves are files, decisions are lines
//! in a journal; the index answers quickly what they say, for several hosts at once (WAL).
//! A damaged index is left where it is and a new generation is built from the truth, under a
//! new name, so that a host that still has the old one open can't harm the new one.
//!
//! `rows` writes and reads certificates, `trust` what people decided, `peers` what Autocrypt
//! knows of correspondents, `list` makes pages.

mod list;
mod peers;
mod rows;
mod trust;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::files;
use crate::base::{Error, Kind, Result};

pub(super) use rows::{Brief, NewRow};

/// How long a writer waits for another host's transaction. Each is a group of at most
/// a few hundred rows.
const BUSY: Duration = Duration::from_secs(20);

/// Statements kept ready per connection: every one that this module knows.
const STATEMENTS: usize = 64;

/// The form of the tables. A step to the next one is a line in [`migrate`].
const SCHEMA: i64 = 2;

/// The tables of form 1. `folder` numbers are those of [`super::certs::folder_number`]; enums are
/// the positions in the lists of `rows` and `trust`; lists in one column are lines.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE section (
    folder INTEGER NOT NULL, name TEXT NOT NULL, stamp INTEGER NOT NULL,
    PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE TABLE skipped (
    folder INTEGER NOT NULL, id TEXT NOT NULL, stamp INTEGER NOT NULL,
    PRIMARY KEY (folder, id)) WITHOUT ROWID;
CREATE TABLE cert (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, protocol INTEGER NOT NULL,
    folder INTEGER NOT NULL, stamp INTEGER NOT NULL, source INTEGER NOT NULL,
    hidden INTEGER NOT NULL, added INTEGER NOT NULL, judged INTEGER NOT NULL,
    sort TEXT NOT NULL, handles TEXT NOT NULL, key_ids TEXT NOT NULL, addresses TEXT NOT NULL,
    name TEXT, algorithm TEXT NOT NULL, created TEXT, changed TEXT, expires TEXT,
    status INTEGER NOT NULL, usage TEXT NOT NULL, issuer TEXT, attention TEXT NOT NULL,
    search TEXT NOT NULL);
CREATE INDEX cert_sort ON cert (sort, id);
CREATE INDEX cert_added ON cert (folder, added);
CREATE TABLE handle (
    handle TEXT NOT NULL, cert INTEGER NOT NULL, PRIMARY KEY (handle, cert)) WITHOUT ROWID;
CREATE INDEX handle_cert ON handle (cert);
CREATE TABLE address (
    address TEXT NOT NULL, cert INTEGER NOT NULL, PRIMARY KEY (address, cert)) WITHOUT ROWID;
CREATE INDEX address_cert ON address (cert);
CREATE TABLE secret (id TEXT PRIMARY KEY, wrap INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE acceptance (
    id TEXT NOT NULL, address TEXT NOT NULL, spelled TEXT NOT NULL, level INTEGER NOT NULL,
    PRIMARY KEY (id, address)) WITHOUT ROWID;
CREATE TABLE conflict (
    address TEXT NOT NULL, id TEXT NOT NULL, spelled TEXT NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (address, id)) WITHOUT ROWID;
CREATE INDEX conflict_id ON conflict (id);
CREATE TABLE seen (
    id TEXT NOT NULL, address TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (id, address)) WITHOUT ROWID;
CREATE TABLE hidden (id TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// What form 2 has beside them: correspondents, own addresses, introducers.
const PEERS: &str = "
CREATE TABLE peer (
    address TEXT PRIMARY KEY, seen INTEGER, at INTEGER, id TEXT, prefer INTEGER,
    gossip_at INTEGER, gossip_id TEXT) WITHOUT ROWID;
CREATE INDEX peer_id ON peer (id);
CREATE TABLE account (address TEXT PRIMARY KEY, prefer INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE introducer (id TEXT PRIMARY KEY, domains TEXT NOT NULL) WITHOUT ROWID;
";

/// Numbers that the index remembers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meta {
    Revision,
    /// Up to where the journal is in here.
    Journal,
    /// The newest instant that anybody told us.
    Now,
    Secrets,
    /// How often somebody was accepted, rejected or forgotten.
    Decided,
    /// A folder's tag.
    Tag(i64),
}

impl Meta {
    fn key(self) -> &'static str {
        match self {
            Meta::Revision => "revision",
            Meta::Journal => "journal",
            Meta::Now => "now",
            Meta::Secrets => "secrets",
            Meta::Decided => "decided",
            Meta::Tag(0) => "tag-0",
            Meta::Tag(1) => "tag-1",
            Meta::Tag(2) => "tag-2",
            Meta::Tag(_) => "tag-3",
        }
    }
}

/// One open generation of the index: a connection for readers, one for writers, so that a
/// long write of this host does not hold up its readers.
pub(super) struct Db {
    pub(super) generation: u32,
    path: PathBuf,
    reader: Mutex<Connection>,
    writer: Mutex<Option<Connection>>,
}

/// A write transaction: all of it or nothing.
pub(super) struct Tx<'a>(Transaction<'a>);

impl Db {
    /// Opens a generation that is there. `None` when its tables are not made yet.
    ///
    /// # Errors
    /// `store.damaged` when it is no database any more; `store.unavailable`.
    pub(super) fn open(path: &Path, generation: u32) -> Result<Option<Db>> {
        let reader = connect(path)?;
        match version(&reader)? {
            0 => return Ok(None),
            SCHEMA => {}
            1 => migrate(&reader)?,
            _ => {
                return Err(Error::new(
                    Kind::StoreUnavailable,
                    "a newer sealpost has written the key store; update this one",
                ));
            }
        }
        // Damage to the tables themselves shows with the first of them.
        let db = Db {
            generation,
            path: path.to_owned(),
            reader: Mutex::new(reader),
            writer: Mutex::new(None),
        };
        db.meta(Meta::Revision)?;
        Ok(Some(db))
    }

    /// Makes the tables of a new generation. Under the lock of the state folder.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub(super) fn create(path: &Path, generation: u32) -> Result<()> {
        files::touch(path)?;
        let mut connection = connect(path)?;
        if version(&connection)? != 0 {
            return Ok(());
        }
        // WAL: readers and one writer at once, over several processes.
        connection
            .query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))
            .map_err(fault)?;
        let make = || -> rusqlite::Result<()> {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute_batch(TABLES)?;
            tx.execute_batch(PEERS)?;
            // Grows over the loss of any generation, and stays an integer in JSON.
            let revision = i64::from(generation) << 32;
            tx.execute(
                "INSERT INTO meta (key, value) VALUES ('revision', ?1)",
                [revision],
            )?;
            tx.pragma_update(None, "user_version", SCHEMA)?;
            tx.commit()
        };
        let mut make = make;
        make().map_err(fault)
    }

    /// Runs one look.
    fn read<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        look(&lock(&self.reader)).map_err(fault)
    }

    /// Runs one write transaction: kept when `act` succeeds.
    ///
    /// # Errors
    /// What `act` gives; `store.damaged`; `store.unavailable`.
    pub(super) fn write<T>(&self, act: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let mut writer = lock(&self.writer);
        let connection = match &mut *writer {
            Some(connection) => connection,
            empty => empty.insert(connect(&self.path)?),
        };
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        let tx = Tx(tx);
        let done = act(&tx)?;
        tx.0.commit().map_err(fault)?;
        Ok(done)
    }

    /// A number that the index remembers; 0 when it never was set.
    pub(super) fn meta(&self, meta: Meta) -> Result<i64> {
        self.read(|c| number(c, meta))
    }

    /// The store's revision.
    pub(super) fn revision(&self) -> Result<u64> {
        Ok(self.meta(Meta::Revision)?.unsigned_abs())
    }
}

impl Tx<'_> {
    pub(super) fn meta(&self, meta: Meta) -> Result<i64> {
        number(&self.0, meta).map_err(fault)
    }

    pub(super) fn set(&self, meta: Meta, value: i64) -> Result<()> {
        self.run(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (meta.key(), value),
        )
        .map(drop)
    }

    /// Says that something changed which a view may show.
    pub(super) fn bump(&self) -> Result<()> {
        let revision = self.meta(Meta::Revision)?;
        self.set(Meta::Revision, revision.saturating_add(1))
    }

    /// Keeps the newest instant that anybody told us.
    pub(super) fn now(&self, now: u64) -> Result<()> {
        let now = now.cast_signed();
        if self.meta(Meta::Now)? < now {
            self.set(Meta::Now, now)?;
        }
        Ok(())
    }

    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        self.0
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(fault)
    }
}

/// A generation's file, and those that SQLite puts beside it.
pub(super) fn beside(path: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|tail| {
        let mut file = path.to_owned().into_os_string();
        file.push(tail);
        PathBuf::from(file)
    })
}

fn connect(path: &Path) -> Result<Connection> {
    // SQLite's own way of refusing links refuses those above the folder of state, too, and it
    // waits for pipes.
    for file in beside(path) {
        files::only_file(&file)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // The journal of decisions and the files wait for the disk; what the index may lose in a
    // power cut is read from them again.
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .map_err(fault)?;
    Ok(connection)
}

fn version(connection: &Connection) -> Result<i64> {
    connection
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(fault)
}

/// The step from form 1, by whichever host comes first.
fn migrate(connection: &Connection) -> Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fault)?;
    let step = || match version(connection)? {
        1 => connection
            .execute_batch(&format!("{PEERS} PRAGMA user_version = {SCHEMA};"))
            .map_err(fault),
        _ => Ok(()),
    };
    let done = step();
    let end = match done {
        Ok(()) => "COMMIT",
        Err(_) => "ROLLBACK",
    };
    connection.execute_batch(end).map_err(fault)?;
    done
}

fn number(connection: &Connection, meta: Meta) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    let mut rows = statement.query([meta.key()])?;
    rows.next()?.map_or(Ok(0), |row| row.get(0))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Translates a fault of SQLite.
fn fault(error: rusqlite::Error) -> Error {
    let unavailable = |message: &str| Error::new(Kind::StoreUnavailable, message);
    let translated = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::new(
            Kind::StoreDamaged,
            "the key index is damaged; it is built again from the keys' files, try again",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => files::busy(),
        Some(ErrorCode::DiskFull) => {
            unavailable("the disk is full, the key index can't be written; free some space")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            unavailable(
                "the key index can't be opened for writing; make sealpost's folder writable for this user",
            )
        }
        Some(ErrorCode::SystemIoFailure) => {
            unavailable("the key index can't be read or written; check the disk and its free space")
        }
        // A table or column that ought to be there is not, or a value has another type.
        _ if damage(&error) => Error::new(
            Kind::StoreDamaged,
            "the key index is not as it was written; it is built again from the keys' files, try again",
        ),
        _ => Error::internal("the key index refused a request; report this"),
    };
    translated.because(error)
}

/// Whether it is the index that is damaged, and not what it is made from.
pub(super) fn is_damage(error: &Error) -> bool {
    let said = error.source.as_ref();
    error.kind == Kind::StoreDamaged && said.is_some_and(|said| said.is::<rusqlite::Error>())
}

fn damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(said)) => {
            said.starts_with("no such table") || said.starts_with("no such column")
        }
        rusqlite::Error::SqlInputError { msg, .. } => {
            msg.starts_with("no such table") || msg.starts_with("no such column")
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}
