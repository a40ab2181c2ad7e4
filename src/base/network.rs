//! The door to the network, for those who look something up in a worker. A context has it only
//! where a person or a policy has asked for that: opening a message contacts nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use super::address::Address;
use super::error::Result;
use super::job::Job;

/// How many look-ups one request may cost: a chain of three with two ways to ask for each.
const MOST: u32 = 8;

/// One look-up.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    pub url: &'a str,
    /// What is sent along, with its media type; without it nothing is.
    pub post: Option<(&'static str, &'a [u8])>,
    /// The longest answer, in bytes.
    pub most: usize,
}

/// Who may know the key of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directory<'a> {
    /// The address's own domain (draft-koch-openpgp-webkey-service).
    Wkd,
    /// A server of OpenPGP keys: `https://` for one that confirms addresses (VKS), `hkps://`
    /// for any other (draft-gallagher-openpgp-hkp).
    Keyserver(&'a str),
    /// A directory of certificates (RFC 4516): `ldaps://host/base`, or `ldap://host/base`, which
    /// is spoken under TLS all the same.
    Ldap(&'a str),
}

/// What a server of keys made of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// Everybody may find it.
    Published,
    /// Its owner gets mail first, and has to answer it.
    AwaitingConfirmation,
}

/// Whoever fetches. Redirects, time and length are limited; private addresses are refused
/// unless policy names their host.
pub trait Network: Send + Sync {
    /// The body of a successful answer.
    ///
    /// # Errors
    /// `network.failed`, without a word of where; `cancelled`.
    fn fetch(&self, what: &Fetch<'_>, job: &Job) -> Result<Bytes>;

    /// What a directory has for an address, over TLS all the way; nothing when it knows none.
    /// Anything may be in it, of anybody.
    ///
    /// # Errors
    /// As [`Network::fetch`]; `policy.refused` for a rule that can't be followed.
    fn find(&self, whom: Directory<'_>, address: &Address, job: &Job) -> Result<Vec<Bytes>>;

    /// Gives a certificate (armored) to a server of keys, which may ask the owner of each
    /// address. `fingerprint` is its own, in hex.
    ///
    /// # Errors
    /// As [`Network::find`]. What was sent can't be taken back.
    fn upload(
        &self,
        server: &str,
        armored: &str,
        fingerprint: &str,
        addresses: &[Address],
        job: &Job,
    ) -> Result<Upload>;
}

/// The network as one request may use it: with a budget.
#[derive(Clone)]
pub struct Online {
    network: Arc<dyn Network>,
    left: Arc<AtomicU32>,
}

impl Online {
    pub fn new(network: Arc<dyn Network>) -> Online {
        Online {
            network,
            left: Arc::new(AtomicU32::new(MOST)),
        }
    }

    /// Fetches, while there is something left of the request's budget: `None` when there is
    /// not, or when nothing came of it.
    ///
    /// # Errors
    /// `cancelled`.
    pub fn try_fetch(&self, what: &Fetch<'_>, job: &Job) -> Result<Option<Bytes>> {
        let take = |left: u32| left.checked_sub(1);
        let allowed = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if allowed.is_err() {
            return Ok(None);
        }
        let fetched = self.network.fetch(what, job);
        job.check()?;
        Ok(fetched.ok())
    }
}
