//! `message/seal`: builds a message, signs and encrypts it, one envelope for each circle of
//! recipients that may know of one another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Ask, Asks, Origin};
use crate::base::body::{Bodies, Body};
use crate::base::draft::Draft;
use crate::base::verdict::Scheme;
use crate::base::{Address, KeyId, Protocol, Result};

/// What to seal, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    pub draft: Option<Draft>,
    /// A whole RFC 5322 message, to be protected as it is.
    pub message: Option<Body>,
    /// A MIME entity, or plain text, without header fields of a message.
    pub payload: Option<Body>,
    pub protect: Protect,
    pub form: Form,
    /// Recipients for `form: payload`.
    pub to: Vec<Address>,
    /// The token that `message/plan` gave.
    pub plan: Option<String>,
    pub purpose: Purpose,
    pub attach_key: bool,
    pub ask: Ask,
    pub context: Option<Origin>,
}

/// The protection asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Protect {
    pub sign: bool,
    pub encrypt: bool,
    pub protocol: Choice,
    pub scheme: Option<Scheme>,
    pub headers: HeaderPolicy,
    pub cipher: Option<Cipher>,
    /// Which certificates to use for an address, instead of ours to choose.
    pub keys: BTreeMap<Address, Vec<KeyId>>,
}

/// Which family to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    #[default]
    Auto,
    #[serde(rename = "openpgp")]
    OpenPgp,
    Smime,
}

impl Choice {
    /// Whether a family may be used.
    pub fn allows(self, protocol: Protocol) -> bool {
        match self {
            Choice::Auto => true,
            Choice::OpenPgp => protocol == Protocol::OpenPgp,
            Choice::Smime => protocol == Protocol::Smime,
        }
    }
}

/// Header confidentiality policies (RFC 9788 3.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderPolicy {
    #[default]
    Baseline,
    Shy,
    None,
}

/// Which kind of CMS content encryption; OpenPGP always has integrity and chooses itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cipher {
    Auto,
    Cbc,
    Gcm,
}

/// What comes out: messages to submit, or one envelope without header fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    #[default]
    Messages,
    Payload,
}

/// What it is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    #[default]
    Send,
    Draft,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Reply {
    Messages {
        messages: Vec<Envelope>,
        /// The copy for the sender alone.
        sent: Body,
    },
    Payload {
        payload: Body,
    },
}

/// One message to submit.
#[derive(Debug, Clone, Serialize)]
pub struct Envelope {
    /// The envelope recipients (RFC 5321 RCPT TO).
    pub to: Vec<Address>,
    pub protocol: EnvelopeProtocol,
    pub message: Body,
}

/// Which family protects an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvelopeProtocol {
    #[serde(rename = "openpgp")]
    OpenPgp,
    Smime,
    None,
}

impl Bodies for Request {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.draft.bodies(visit)?;
        self.message.bodies(visit)?;
        self.payload.bodies(visit)
    }
}

impl Asks for Request {
    fn ask(&self) -> Ask {
        self.ask
    }
}

impl Bodies for Reply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        match self {
            Reply::Messages { messages, sent } => {
                for envelope in messages {
                    envelope.message.bodies(visit)?;
                }
                sent.bodies(visit)
            }
            Reply::Payload { payload } => payload.bodies(visit),
        }
    }
}
