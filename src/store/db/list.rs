//! Pages of the list, from rows alone.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _};

use super::rows::{FACTS, FactsRow, decode, facts, key_id, protocol_code};
use super::trust::LEVELS;
use super::{Db, Meta, number};
use crate::base::keys::{Conflict, Seen};
use crate::base::{Address, KeyId, Result};
use crate::store::query::{Cursor, Only, PAGE_MAX, Page, Query, Row};

impl Db {
    /// One page.
    pub(in crate::store) fn list(&self, query: &Query) -> Result<Page> {
        let after = query.after.as_deref().map(Cursor::parse).transpose()?;
        let limit = match query.limit {
            0 => PAGE_MAX,
            n => n.min(PAGE_MAX),
        };
        let (sql, values) = select(query, after, limit);
        self.read(|c| {
            // One snapshot: the rows, what hangs on them, and the revision.
            let tx = c.unchecked_transaction()?;
            let mut statement = tx.prepare_cached(&sql)?;
            let found = statement.query_map(rusqlite::params_from_iter(values), facts)?;
            let mut found: Vec<FactsRow> = found.collect::<rusqlite::Result<_>>()?;
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|last| {
                Cursor {
                    id: last.facts.id.clone(),
                    sort: last.sort.clone(),
                }
                .text()
            });
            let rows = found.into_iter().map(|row| complete(&tx, row));
            Ok(Page {
                rows: rows.collect::<rusqlite::Result<_>>()?,
                next,
                revision: number(&tx, Meta::Revision)?.unsigned_abs(),
            })
        })
    }

    /// One certificate's row, hidden ones left out.
    pub(in crate::store) fn row(&self, id: &KeyId) -> Result<Option<Row>> {
        let sql = format!("SELECT {FACTS} FROM cert WHERE id = ?1 AND hidden = 0");
        self.read(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = statement.query([id.to_string()])?;
            match rows.next()? {
                Some(row) => complete(c, facts(row)?).map(Some),
                None => Ok(None),
            }
        })
    }
}

fn select(query: &Query, after: Option<Cursor>, limit: usize) -> (String, Vec<Value>) {
    let mut sql = format!("SELECT {FACTS} FROM cert WHERE cert.hidden = 0");
    let mut values: Vec<Value> = Vec::new();
    if let Some(text) = query.text.as_deref().filter(|text| !text.is_empty()) {
        sql.push_str(" AND instr(cert.search, ?) > 0");
        values.push(Value::Text(text.to_lowercase()));
    }
    if let Some(protocol) = query.protocol {
        sql.push_str(" AND cert.protocol = ?");
        values.push(Value::Integer(protocol_code(protocol)));
    }
    match query.secret {
        Some(true) => sql.push_str(" AND cert.id IN (SELECT id FROM secret)"),
        Some(false) => sql.push_str(" AND cert.id NOT IN (SELECT id FROM secret)"),
        None => {}
    }
    if query.only == Only::Conflicts {
        sql.push_str(
            " AND cert.id IN (SELECT mine.id FROM conflict mine
               JOIN conflict other ON other.address = mine.address AND other.id <> mine.id
               JOIN cert rival ON rival.id = other.id AND NOT rival.hidden)",
        );
    }
    if let Some(Cursor { id, sort }) = after {
        sql.push_str(" AND (cert.sort, cert.id) > (?, ?)");
        values.push(Value::Text(sort));
        values.push(Value::Text(id.to_string()));
    }
    sql.push_str(" ORDER BY cert.sort, cert.id LIMIT ?");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    values.push(Value::Integer(limit.saturating_add(1)));
    (sql, values)
}

/// Adds what people said and what messages showed.
fn complete(c: &Connection, row: FactsRow) -> rusqlite::Result<Row> {
    let id = row.facts.id.to_string();
    let mut statement = c.prepare_cached("SELECT spelled, level FROM acceptance WHERE id = ?1")?;
    let mut acceptance = BTreeMap::new();
    let mut said = statement.query([&id])?;
    while let Some(one) = said.next()? {
        if let Some(address) = Address::parse(&one.get::<_, String>(0)?) {
            acceptance.insert(address, decode(&LEVELS, one, 1)?);
        }
    }
    let introduces = c
        .prepare_cached("SELECT domains FROM introducer WHERE id = ?1")?
        .query_row([&id], |row| row.get::<_, String>(0))
        .optional()?
        .map(|domains| domains.lines().map(str::to_owned).collect());
    Ok(Row {
        conflicts: conflicts(c, &row.facts.id)?,
        facts: row.facts,
        judged_at: row.judged,
        source: row.source,
        own: row.wrap.is_some(),
        wrap: row.wrap,
        acceptance,
        seen: seen(c, &id)?,
        introduces,
    })
}

/// When mail from each address used a certificate.
fn seen(c: &Connection, id: &str) -> rusqlite::Result<Vec<Seen>> {
    let mut statement =
        c.prepare_cached("SELECT address, first, last FROM seen WHERE id = ?1 ORDER BY address")?;
    let mut rows = statement.query([id])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(address) = Address::parse(&row.get::<_, String>(0)?) {
            all.push(Seen {
                address,
                first: rfc3339(row.get(1)?),
                last: rfc3339(row.get(2)?),
            });
        }
    }
    Ok(all)
}

fn conflicts(c: &Connection, id: &KeyId) -> rusqlite::Result<Vec<Conflict>> {
    let mut statement = c.prepare_cached(
        "SELECT mine.spelled, mine.seen, other.id FROM conflict mine
         JOIN conflict other ON other.address = mine.address AND other.id <> mine.id
         JOIN cert rival ON rival.id = other.id AND NOT rival.hidden
         WHERE mine.id = ?1 ORDER BY mine.address, other.id",
    )?;
    let mut rows = statement.query([id.to_string()])?;
    let mut all: Vec<Conflict> = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(address) = Address::parse(&row.get::<_, String>(0)?) else {
            continue;
        };
        let other = key_id(row, 2)?;
        match all.last_mut().filter(|last| last.address == address) {
            Some(last) => last.with.push(other),
            None => all.push(Conflict {
                address,
                with: vec![other],
                seen_at: rfc3339(row.get::<_, i64>(1)?),
            }),
        }
    }
    Ok(all)
}

fn rfc3339(at: i64) -> String {
    chrono::DateTime::from_timestamp(at, 0)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
