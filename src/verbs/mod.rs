//! What a person can do: open, seal, plan, look after keys, handle small texts.
//!
//! Every verb is a function of the [`World`], its request and a [`Context`]. It never waits
//! for an answer, reads no clock and prints nothing: a question ends it with an error that
//! carries the question (see `base::ask`), and it is run again with the answer. So a verb
//! asks before it writes. The request and reply types are the protocol's own; the dialects
//! and the command line are thin over the same functions.

use serde::Deserialize;

use crate::base::Address;

pub mod anchors;
pub mod answer;
mod archive;
pub mod autocrypt;
pub mod backup;
mod beside;
mod choose;
pub mod doctor;
mod drafts;
mod envelope;
mod gnupg;
mod gossip;
pub mod gpgme;
mod harvest;
mod headers;
mod judge;
pub mod keys;
pub mod open;
mod pages;
mod payload;
mod peel;
mod pieces;
pub mod plan;
pub mod policy;
mod recent;
mod recipients;
mod route;
pub mod seal;
pub mod setup;
pub mod text;
mod told;
mod verdict;
mod world;

pub use world::World;

/// Whether the person may be asked something while a request runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    #[default]
    Allowed,
    Never,
}

/// A request that says whether questions are allowed.
pub trait Asks {
    /// Allowed unless the request says otherwise.
    fn ask(&self) -> Ask {
        Ask::Allowed
    }

    /// Where the request comes from, as the client claims: shown, never trusted.
    fn origin(&self) -> Option<&str> {
        None
    }
}

/// Where a request comes from, as the client claims: for policy and dialogs, never for trust.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Origin {
    pub origin: Option<String>,
    pub account: Option<String>,
}

impl Origin {
    /// The address of the account that a request comes from.
    fn address(&self) -> Option<Address> {
        Address::parse(self.account.as_deref()?)
    }
}

#[cfg(test)]
mod tests;
