//! The door to the network, for those who look something up in a worker. A context has it only
//! where a person or a policy has asked for that: opening a message contacts nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

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

/// Whoever fetches. Redirects, time and length are limited; private addresses are refused
/// unless policy names their host.
pub trait Network: Send + Sync {
    /// The body of a successful answer.
    ///
    /// # Errors
    /// `network.failed`, without a word of where; `cancelled`.
    fn fetch(&self, what: &Fetch<'_>, job: &Job) -> Result<Bytes>;
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
