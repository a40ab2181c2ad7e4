//! Autocrypt for clients that build or read the header field themselves.

use serde::{Deserialize, Serialize};

use super::choose::{Want, options};
use super::seal::Choice;
use super::{Asks, World, harvest};
use crate::base::body::Bodies;
use crate::base::context::parse_date;
use crate::base::keys::Usage;
use crate::base::verdict::FoundKey;
use crate::base::{Address, Context, Error, Result};

/// `autocrypt/header {from}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderRequest {
    pub from: Address,
}

/// The value of the `Autocrypt` header field; `null` when there is no key to offer.
#[derive(Debug, Clone, Serialize)]
pub struct HeaderReply {
    pub header: Option<String>,
}

/// `autocrypt/process {from, date, header}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRequest {
    pub from: Address,
    /// RFC 3339 or RFC 5322.
    pub date: String,
    /// The field's value.
    pub header: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessReply {
    pub keys: Vec<FoundKey>,
    pub revision: u64,
}

impl Bodies for HeaderRequest {}
impl Bodies for HeaderReply {}
impl Bodies for ProcessRequest {}
impl Bodies for ProcessReply {}
impl Asks for HeaderRequest {}
impl Asks for ProcessRequest {}

/// The longest value that goes into a header field: servers refuse more than a few lines of
/// the usual length, and a post-quantum certificate does not fit anyway.
const OFFER_MAX: usize = 16 * 1024;

/// `autocrypt/header`: the field for mail from this address.
///
/// # Errors
/// Those of the store.
pub fn header(world: &World, request: &HeaderRequest, cx: &Context) -> Result<HeaderReply> {
    Ok(HeaderReply {
        header: offer(world, &request.from, cx)?,
    })
}

/// The value that offers the key of `from`, if there is one to offer.
pub(super) fn offer(world: &World, from: &Address, cx: &Context) -> Result<Option<String>> {
    let keys = std::collections::BTreeMap::new();
    let want = Want {
        usage: Usage::Sign,
        choice: Choice::OpenPgp,
        keys: &keys,
    };
    let Some(cert) = options(world, from, &want, cx)?.chosen else {
        return Ok(None);
    };
    let engine = world.engine(cert.id.protocol())?;
    let asked = (cert.cert, from.clone());
    if let Some(value) = world.offers.get(&asked) {
        return Ok(value);
    }
    let value = engine.offer(&asked.0, from);
    let value = value.filter(|value| value.len() <= OFFER_MAX);
    world.offers.keep(asked, value.clone());
    Ok(value)
}

/// `autocrypt/process`: records what such a field says, as opening its message would.
///
/// # Errors
/// `request.invalid` for a date that is none; those of the store.
pub fn process(world: &World, request: &ProcessRequest, cx: &Context) -> Result<ProcessReply> {
    let date = parse_date(&request.date)
        .ok_or_else(|| Error::invalid("/date", "use an RFC 3339 or RFC 5322 date"))?;
    let found = harvest::autocrypt(world, &request.from, Some(date), &request.header, cx)?;
    Ok(ProcessReply {
        keys: found.into_iter().collect(),
        revision: world.store.revision()?,
    })
}
