//! Autocrypt for clients that build or read the header field themselves.

use serde::{Deserialize, Serialize};

use super::Asks;
use crate::base::Address;
use crate::base::body::Bodies;
use crate::base::verdict::FoundKey;

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
