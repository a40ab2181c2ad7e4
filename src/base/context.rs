//! All that a verb or an engine may know of the world, in one value.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::ask::{Action, Answers};
use super::error::Result;
use super::job::Job;
use super::keys::{Certs, Private};
use super::network::Online;
use super::policy::Policy;

/// Policy, time, answers, progress and cancellation, and the doors to the keys.
///
/// Time enters here and nowhere else: nothing below the host reads the clock.
#[derive(Clone)]
pub struct Context {
    /// The instant of the request.
    pub now: SystemTime,
    /// The instant to judge by, when the request names one: then nothing is recorded.
    pub at: Option<SystemTime>,
    pub policy: Arc<Policy>,
    pub job: Arc<Job>,
    pub answers: Arc<Answers>,
    pub certs: Arc<dyn Certs>,
    pub private: Private,
    /// Where a person or a policy asked for look-ups; otherwise nobody is contacted.
    pub online: Option<Online>,
}

impl Context {
    /// The instant by which keys and signatures are judged.
    pub fn judged_at(&self) -> SystemTime {
        self.at.unwrap_or(self.now)
    }

    /// The person's yes to `action`, unless policy says that none is needed.
    ///
    /// # Errors
    /// `consent.denied`, with the question.
    pub fn confirm(&self, action: Action, label: &str) -> Result<()> {
        if self.policy.unconfirmed.contains(&action) {
            return Ok(());
        }
        self.answers.confirmed(action, label)
    }
}

/// Seconds since the Unix epoch; 0 for instants before it.
pub fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The instant `seconds` after the Unix epoch.
pub fn from_unix(seconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(UNIX_EPOCH)
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|s| chrono::DateTime::from_timestamp(s, 0))
        .map(|t| t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
        .unwrap_or_default()
}

/// Reads RFC 3339 into seconds since the Unix epoch.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    u64::try_from(time.timestamp()).ok()
}

/// Reads RFC 3339 or RFC 5322 into seconds since the Unix epoch.
pub fn parse_date(text: &str) -> Option<u64> {
    parse_rfc3339(text).or_else(|| {
        let time = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
        u64::try_from(time.timestamp()).ok()
    })
}
