//! `policy/show`: the rules in force, and who set each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Asks, World};
use crate::base::body::Bodies;
use crate::base::policy::{Origin, Policy};
use crate::base::{Context, Result};

/// `policy/show`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShowRequest {}

/// All rules by the names that `policy.toml` has for them.
#[derive(Debug, Clone, Serialize)]
pub struct ShowReply {
    pub policy: Policy,
    pub origins: BTreeMap<String, Origin>,
}

impl Bodies for ShowRequest {}
impl Bodies for ShowReply {}
impl Asks for ShowRequest {}

/// `policy/show`.
///
/// # Errors
/// None today: rules that can't be read let no verb run.
pub fn show(world: &World, _request: &ShowRequest, _cx: &Context) -> Result<ShowReply> {
    Ok(ShowReply {
        policy: Policy::clone(&world.policy),
        origins: world.origins.clone(),
    })
}
