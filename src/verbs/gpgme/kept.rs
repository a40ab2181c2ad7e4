//! Descriptions of the store's certificates, kept: finding the signatures in one good takes a
//! millisecond, and a list of all keys is asked for with every message.

use std::collections::HashMap;

use crate::base::context::unix;
use crate::base::described::Described;
use crate::base::keys::Protocol;
use crate::base::{Context, KeyId, Result};
use crate::engine::Engine;
use crate::gnupg::{described, written};
use crate::store::Row;
use crate::verbs::World;

/// So few are described anew.
const FEW: usize = 20;

/// How long descriptions count, in seconds: rules about algorithms change with time.
const MONTH: u64 = 30 * 24 * 60 * 60;

/// What comes before the description of each: which state of the certificate it is of.
const MARK: &str = "tag:";

/// Describes certificates of the store, in their order. One that has just gone, or can't be read, is
/// left out.
///
/// # Errors
/// `cancelled`; those of the store.
pub fn describe(
    world: &World,
    protocol: Protocol,
    rows: Vec<Row>,
    cx: &Context,
) -> Result<Vec<(Row, Described)>> {
    let engine = world.engine(protocol)?;
    let keeps = protocol == Protocol::OpenPgp && rows.len() > FEW;
    let stamp = format!("descriptions {}", unix(cx.now) / MONTH);
    let mut kept = match keeps {
        true => kept(world, &stamp)?,
        false => HashMap::new(),
    };
    let (mut all, mut new) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        cx.job.check()?;
        let known = kept.remove(&row.facts.id);
        let key = match known.filter(|(tag, _)| *tag == self::tag(&row)) {
            Some((_, key)) => key,
            None => {
                let Some(key) = one(world, engine.as_ref(), &row, cx)? else {
                    continue;
                };
                new += 1;
                key
            }
        };
        all.push((row, key));
    }
    if keeps && new > FEW {
        let mut text = String::new();
        for (row, key) in &all {
            text.push_str(&format!(
                "{MARK}{}:{}\n{}",
                row.facts.id.fingerprint(),
                tag(row),
                written(key)
            ));
        }
        if let Err(error) = world.store.put_descriptions(&stamp, &text) {
            log::warn!("descriptions are not kept: {}", error.kind.name());
        }
    }
    Ok(all)
}

fn one(world: &World, engine: &dyn Engine, row: &Row, cx: &Context) -> Result<Option<Described>> {
    let Some(stored) = world.store.cert(&row.facts.id)? else {
        return Ok(None);
    };
    match engine.describe(&stored.cert, unix(cx.now)) {
        Ok(key) => Ok(Some(key)),
        Err(error) => {
            log::warn!("a key is not listed: {}", error.kind.name());
            Ok(None)
        }
    }
}

/// What changes with a certificate: its newest word of itself, its key pairs, its names.
fn tag(row: &Row) -> String {
    let facts = &row.facts;
    let changed = facts.changed.as_deref().unwrap_or_default();
    let parts = (facts.handles.len(), facts.addresses.len());
    // No colons: they part fields.
    let changed = changed.replace(':', "");
    format!("{changed} {} {} {:?}", parts.0, parts.1, facts.status)
}

fn kept(world: &World, stamp: &str) -> Result<HashMap<KeyId, (String, Described)>> {
    let Some(text) = world.store.descriptions(stamp)? else {
        return Ok(HashMap::new());
    };
    let text = String::from_utf8_lossy(&text);
    let tags: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(MARK)?.split_once(':'))
        .collect();
    let keys = described(&text).into_iter().filter_map(|key| {
        let tag = tags.get(key.id.fingerprint())?;
        Some((key.id.clone(), ((*tag).to_owned(), key)))
    });
    Ok(keys.collect())
}
