//! `message/open`: peels a message layer by layer and says what was seen.

use serde::Deserialize;

use super::{Ask, Asks, Origin};
use crate::base::body::{Bodies, Body};
use crate::base::{Mailbox, Result};

/// What to open: a whole message, or what a page has without one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    pub message: Option<Body>,
    pub payload: Option<Payload>,
    pub ask: Ask,
    pub context: Option<Origin>,
    /// RFC 3339; nothing is recorded then.
    pub at: Option<String>,
}

/// Armor, an `encrypted.asc`, a lone `smime.p7m`, or a body and its detached signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Payload {
    pub data: Body,
    #[serde(default)]
    pub signature: Option<Body>,
    #[serde(default)]
    pub claimed: Option<Claimed>,
}

/// Header fields as the page shows them: claims without any protection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Claimed {
    pub from: Option<Mailbox>,
    pub to: Vec<Mailbox>,
    /// RFC 3339 or RFC 5322.
    pub date: Option<String>,
}

impl Bodies for Request {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.message.bodies(visit)?;
        match &mut self.payload {
            Some(payload) => {
                payload.data.bodies(visit)?;
                payload.signature.bodies(visit)
            }
            None => Ok(()),
        }
    }
}

impl Asks for Request {
    fn ask(&self) -> Ask {
        self.ask
    }
}
