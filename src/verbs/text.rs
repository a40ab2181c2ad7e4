//! Small things on a page: a block of armor, a signed paragraph, a text box.

use serde::{Deserialize, Serialize};

use super::{Ask, Asks, Origin};
use crate::base::body::{Bodies, Body};
use crate::base::verdict::Segment;
use crate::base::{Address, Result};

/// `text/decrypt {text}` and `text/verify {text, expect?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenRequest {
    pub text: Body,
    /// Who ought to have signed. Without it the best status is `unverified`, `no-address`.
    #[serde(default)]
    pub expect: Option<Address>,
    #[serde(default)]
    pub ask: Ask,
    #[serde(default)]
    pub context: Option<Origin>,
}

/// The text in pieces; what stands outside armor is a piece of its own, unprotected.
#[derive(Debug, Clone, Serialize)]
pub struct OpenReply {
    pub segments: Vec<Segment>,
    pub revision: u64,
}

/// `text/encrypt {text, to, sign?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncryptRequest {
    pub text: Body,
    pub to: Vec<Address>,
    #[serde(default)]
    pub sign: Option<Signer>,
    #[serde(default)]
    pub ask: Ask,
    #[serde(default)]
    pub context: Option<Origin>,
}

/// `text/sign {text}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignRequest {
    pub text: Body,
    /// Who signs; needed only by those who have several keys.
    #[serde(default)]
    pub from: Option<Address>,
    #[serde(default)]
    pub ask: Ask,
    #[serde(default)]
    pub context: Option<Origin>,
}

/// Whether to sign, or as whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Signer {
    Own(bool),
    As(Address),
}

/// A sealed small text.
#[derive(Debug, Clone, Serialize)]
pub struct SealReply {
    pub text: Body,
}

impl Bodies for OpenRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Bodies for EncryptRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Bodies for SignRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Bodies for OpenReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.segments.bodies(visit)
    }
}

impl Bodies for SealReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Asks for OpenRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

impl Asks for EncryptRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}

impl Asks for SignRequest {
    fn ask(&self) -> Ask {
        self.ask
    }
}
