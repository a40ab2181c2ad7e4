//! The authorities that are trusted to vouch for addresses: those that come with the program,
//! which are Mozilla's for mail (not those for web sites), and the person's own.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use x509_cert::Version;

use super::certs::{self, Certificate};
use super::names;
use crate::base::context::parse_rfc3339;
use crate::base::error::{Error, Result};
use crate::base::policy::ANCHORS_FILES;
use crate::base::{Address, Context};

/// Made by `scripts/anchors`; its head says from what, and when.
const BUNDLED: &str = include_str!("anchors.pem");

/// How many anchors of their own a person may have.
const OWN_MAX: usize = 1000;

/// One authority, and what it is trusted for.
pub(super) struct Authority {
    pub cert: Certificate,
    /// Its name, as [`names::canonical`] has it.
    pub subject: String,
    /// Certificates issued later than this (Unix seconds) count for nothing.
    pub distrust_after: Option<u64>,
    /// The domains whose addresses it may vouch for, as A-labels; empty: all.
    domains: Vec<String>,
}

impl Authority {
    fn new(cert: Certificate, distrust_after: Option<u64>, domains: Vec<String>) -> Authority {
        Authority {
            subject: names::canonical(cert.parsed.tbs_certificate().subject()),
            cert,
            distrust_after,
            domains,
        }
    }

    /// Whether it may vouch for an address. A domain does not stand for those below it.
    pub(super) fn vouches_for(&self, address: &Address) -> bool {
        let same = |domain: &String| domain.eq_ignore_ascii_case(address.domain());
        self.domains.is_empty() || self.domains.iter().any(same)
    }
}

/// The authorities that come with the program, read when they are wanted first.
pub(super) fn bundled() -> &'static [Arc<Authority>] {
    static READ: OnceLock<Vec<Arc<Authority>>> = OnceLock::new();
    READ.get_or_init(|| read(BUNDLED))
}

/// Everybody who is trusted under the policy in force.
///
/// # Errors
/// As [`crate::base::keys::Certs::anchors`].
pub(super) fn trusted(cx: &Context) -> Result<Vec<Arc<Authority>>> {
    let mut trusted = Vec::new();
    for own in cx.certs.anchors()?.into_iter().take(OWN_MAX) {
        if let Ok(cert) = certs::read(&own.cert) {
            trusted.push(Arc::new(Authority::new(cert, None, own.domains)));
        }
    }
    trusted.extend(given(cx)?);
    Ok(trusted)
}

/// Those that nobody had to add: the program's, or those of the files that policy names.
///
/// # Errors
/// `policy.refused`.
pub(super) fn given(cx: &Context) -> Result<Vec<Arc<Authority>>> {
    if !cx.policy.bundled_anchors {
        return Ok(Vec::new());
    }
    let files = cx.certs.authorities()?;
    let Some((first, rest)) = files.split_first() else {
        return Ok(bundled().to_vec());
    };
    let mut all = of_file(first)?;
    for file in rest {
        let also = of_file(file)?;
        all.retain(|known| also.iter().any(|other| other.cert.id == known.cert.id));
    }
    Ok(all)
}

/// The authorities in a file; all of it has to be understood.
fn of_file(file: &Bytes) -> Result<Vec<Arc<Authority>>> {
    let refused = || {
        Error::refused(
            ANCHORS_FILES,
            "a file of authorities has something else in it than their certificates; mend it",
        )
    };
    let text = std::str::from_utf8(file).map_err(|e| refused().because(e))?;
    let blocks = text.matches("-----BEGIN ").count();
    let authorities = read(text);
    let all = authorities.len() == blocks
        && blocks > 0
        && authorities.iter().all(|authority| {
            let cert = &authority.cert;
            // Roots of the first version could not say what they are.
            let first = cert.parsed.tbs_certificate().version() == Version::V1;
            cert.is_authority() || (first && cert.is_self_issued())
        });
    match all {
        true => Ok(authorities),
        false => Err(refused()),
    }
}

/// Reads PEM with `# distrust-after: ` lines above the certificates that have one.
fn read(text: &str) -> Vec<Arc<Authority>> {
    let mut authorities = Vec::new();
    let mut distrust_after = None;
    let mut inside = None;
    for line in text.lines() {
        if line.starts_with("-----BEGIN ") {
            inside = Some(String::new());
        } else if line.starts_with("-----END ") {
            let der = inside
                .take()
                .and_then(|base64: String| base64_simd::STANDARD.decode_to_vec(base64).ok());
            if let Some(Ok(cert)) = der.map(|der| certs::read(&der)) {
                let authority = Authority::new(cert, distrust_after.take(), Vec::new());
                authorities.push(Arc::new(authority));
            }
        } else if let Some(base64) = &mut inside {
            base64.push_str(line.trim_end());
        } else if let Some(date) = line.strip_prefix("# distrust-after: ") {
            // A date that can't be read distrusts everything under that root.
            distrust_after = Some(parse_rfc3339(date).unwrap_or(0));
        } else if line.is_empty() {
            distrust_after = None;
        }
    }
    authorities
}

#[cfg(test)]
pub(super) fn read_for_tests(text: &str) -> Vec<Arc<Authority>> {
    read(text)
}
