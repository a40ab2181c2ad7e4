//! What a list is asked for, and what it gives: rows, without any certificate being read.

use std::collections::BTreeMap;

use super::secrets::Wrap;
use crate::base::keys::{Acceptance, CertFacts, Conflict, Seen, Source};
use crate::base::{Address, Error, KeyId, Protocol, Result};

/// Most rows on one page: what fits into memory at ease, whatever is asked for.
pub const PAGE_MAX: usize = 10_000;

/// Which certificates to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Part of a name, an address or a key id, upper or lower case alike.
    pub text: Option<String>,
    pub protocol: Option<Protocol>,
    /// Only those with, or without, a secret half here.
    pub secret: Option<bool>,
    pub only: Only,
    /// Where the page before ended: its [`Page::next`].
    pub after: Option<String>,
    /// Rows on the page, at most [`PAGE_MAX`]; 0 stands for all of those.
    pub limit: usize,
}

/// A narrower list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Only {
    #[default]
    All,
    /// Those that stand in a conflict.
    Conflicts,
}

/// One page of a list, ordered by name, then id.
#[derive(Debug, Clone)]
pub struct Page {
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
    /// The store as it was when the page was read.
    pub revision: u64,
}

/// What the store knows of one certificate without reading it.
#[derive(Debug, Clone)]
pub struct Row {
    /// What the engine said at `judged_at`. A certificate that has expired since then still
    /// has the status of that day.
    pub facts: CertFacts,
    /// Unix seconds.
    pub judged_at: u64,
    pub source: Source,
    /// The secret half is here.
    pub own: bool,
    pub wrap: Option<Wrap>,
    pub acceptance: BTreeMap<Address, Acceptance>,
    pub conflicts: Vec<Conflict>,
    pub seen: Vec<Seen>,
    /// Its owner is an introducer, for these domains; for all where there are none.
    pub introduces: Option<Vec<String>>,
}

/// A place in the list's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) id: KeyId,
    pub(super) sort: String,
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Result<Cursor> {
        let wrong = || {
            Error::invalid(
                "/cursor",
                "the cursor is not one of ours; list from the start",
            )
        };
        let (id, sort) = text.split_once('/').ok_or_else(wrong)?;
        Ok(Cursor {
            id: KeyId::parse(id).ok_or_else(wrong)?,
            sort: sort.to_owned(),
        })
    }

    pub(super) fn text(&self) -> String {
        format!("{}/{}", self.id, self.sort)
    }
}

/// What a certificate is ordered by.
pub(super) fn sort_key(facts: &CertFacts) -> String {
    let first = facts.addresses.first().map(Address::key);
    let name = facts.name.as_deref().or(first).unwrap_or_default();
    name.chars().take(100).collect::<String>().to_lowercase()
}

/// What a search looks into, line by line.
pub(super) fn search_text(facts: &CertFacts) -> String {
    let mut text = facts.name.clone().unwrap_or_default();
    for address in &facts.addresses {
        for form in [address.as_str(), address.key()] {
            text.push('\n');
            text.push_str(form);
        }
    }
    for handle in &facts.handles {
        text.push('\n');
        text.push_str(handle);
    }
    text.to_lowercase()
}
