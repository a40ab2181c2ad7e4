//! Ways from a certificate to an authority, out of all that is at hand: what a message brought,
//! what the store has, the anchors. Finds them; whether they hold is told elsewhere.
//!
//! Whoever writes a message chooses what it brings. So what is here is searched alone first:
//! nothing in a message can use up what that search may cost.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use der::asn1::AnyRef;
use der::{Decode, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};
use openssl::x509::X509VerifyResult;
use x509_cert::name::Name;

use super::anchors::Authority;
use super::certs::{self, Certificate, hex};
use super::names;
use crate::base::Context;
use crate::base::error::Result;
use crate::base::keys::Protocol;

/// The longest way, the signer's certificate and the anchor included. Real ones have two to five.
pub(super) const DEPTH_MAX: usize = 10;

/// How many certificates are tried as somebody's issuer in one search: each costs a signature
/// check. Who brings a thousand of one name only keeps what they bring from being found.
const TRIES_MAX: usize = 256;

/// How many ways are looked at in one search: cross-signed authorities have a handful.
const PATHS_MAX: usize = 16;

/// How many steps one search takes. Five certificates for each of eight keys are within
/// [`TRIES_MAX`] and open 5^8 ways; real cross-signing takes some dozen steps.
const STEPS_MAX: usize = 1024;

/// What OpenSSL says of a candidate whose key identifier, or serial number, is not the one that
/// a certificate names: X509_V_ERR_AKID_SKID_MISMATCH, X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH.
const OTHER_KEY: [i32; 2] = [30, 31];

/// One way: the certificate and its intermediates, nearest first, and where it ends.
pub(super) struct Path {
    pub certs: Vec<Arc<Certificate>>,
    pub anchor: Arc<Authority>,
}

/// What a search found.
#[derive(Default)]
pub(super) struct Ways {
    pub complete: Vec<Path>,
    /// As far as it went where there was no complete one.
    pub longest: Vec<Arc<Certificate>>,
    /// One ended because nobody has the next certificate.
    pub missing: bool,
    /// One ended at a root that nobody trusts, or at a signature that does not hold.
    pub refused: bool,
}

/// Searches.
///
/// # Errors
/// As [`crate::base::keys::Certs::by_handle`]; `cancelled`.
pub(super) fn find(
    cert: &Arc<Certificate>,
    brought: &[Bytes],
    anchors: &[Arc<Authority>],
    cx: &Context,
) -> Result<Ways> {
    let here = search(cert, HashMap::new(), anchors, cx)?;
    if brought.is_empty() {
        return Ok(here);
    }
    let mut pool: HashMap<String, Vec<&Bytes>> = HashMap::new();
    for der in brought {
        if let Some(subject) = subject(der) {
            pool.entry(subject).or_default().push(der);
        }
    }
    let all = search(cert, pool, anchors, cx)?;
    let mut complete = here.complete;
    for path in all.complete {
        if !complete.iter().any(|known| known.is_same(&path)) {
            complete.push(path);
        }
    }
    Ok(Ways { complete, ..all })
}

fn search(
    cert: &Arc<Certificate>,
    pool: HashMap<String, Vec<&Bytes>>,
    anchors: &[Arc<Authority>],
    cx: &Context,
) -> Result<Ways> {
    let mut search = Search {
        cx,
        pool,
        anchors,
        known: HashMap::new(),
        tries: 0,
        steps: 0,
        ways: Ways::default(),
    };
    search.walk(&mut vec![Arc::clone(cert)])?;
    Ok(search.ways)
}

impl Path {
    fn is_same(&self, other: &Path) -> bool {
        let ids = |path: &Path| -> Vec<_> { path.certs.iter().map(|c| c.id.clone()).collect() };
        self.anchor.cert.id == other.anchor.cert.id && ids(self) == ids(other)
    }
}

struct Search<'a> {
    cx: &'a Context,
    /// What was brought, by subject. Read only when wanted: a bag may hold thousands.
    pool: HashMap<String, Vec<&'a Bytes>>,
    anchors: &'a [Arc<Authority>],
    /// The issuers of a certificate, by its fingerprint.
    known: HashMap<String, Vec<Arc<Certificate>>>,
    tries: usize,
    steps: usize,
    ways: Ways,
}

impl Search<'_> {
    fn walk(&mut self, path: &mut Vec<Arc<Certificate>>) -> Result<()> {
        self.cx.job.check()?;
        if self.steps >= STEPS_MAX {
            self.ways.refused = true;
            return Ok(());
        }
        self.steps = self.steps.saturating_add(1);
        let Some(last) = path.last().map(Arc::clone) else {
            return Ok(());
        };
        if path.len() > self.ways.longest.len() {
            self.ways.longest.clone_from(path);
        }
        let issuer = names::canonical(last.parsed.tbs_certificate().issuer());
        let mut ended = true;
        for anchor in self.anchors.iter().filter(|a| a.subject == issuer) {
            ended = false;
            if self.ways.complete.len() < PATHS_MAX {
                self.ways.complete.push(Path {
                    certs: path.clone(),
                    anchor: Arc::clone(anchor),
                });
            }
        }
        if path.len().saturating_add(1) < DEPTH_MAX {
            let refused = self.ways.refused;
            for next in self.issuers(&last, &issuer)? {
                // The same name and key twice leads nowhere new (RFC 5280 3.2).
                let seen = path.iter().any(|known| {
                    known.subject_handle() == next.subject_handle()
                        && known.key_handle() == next.key_handle()
                });
                if seen || self.ways.complete.len() >= PATHS_MAX {
                    continue;
                }
                ended = false;
                path.push(next);
                self.walk(path)?;
                path.pop();
            }
            ended = ended && self.ways.refused == refused;
        } else {
            self.ways.refused = true;
            ended = false;
        }
        if ended {
            match last.is_self_issued() {
                true => self.ways.refused = true,
                false => self.ways.missing = true,
            }
        }
        Ok(())
    }

    /// The certificates that issued another, by name, key identifier and signature.
    fn issuers(&mut self, cert: &Certificate, name: &str) -> Result<Vec<Arc<Certificate>>> {
        if let Some(known) = self.known.get(cert.id.fingerprint()) {
            return Ok(known.clone());
        }
        let mut candidates: Vec<Bytes> = Vec::new();
        let mut handles = vec![cert.issuer_handle()];
        handles.extend(cert.x509.authority_key_id().map(|id| hex(id.as_slice())));
        for handle in handles {
            let stored = self.cx.certs.by_handle(Protocol::Smime, &handle)?;
            candidates.extend(stored.into_iter().map(|stored| stored.cert));
        }
        let brought = self.pool.get(name).into_iter().flatten();
        candidates.extend(brought.map(|der| (*der).clone()));
        let mut found: Vec<Arc<Certificate>> = Vec::new();
        for der in candidates {
            if self.tries >= TRIES_MAX {
                self.ways.refused = true;
                break;
            }
            self.tries = self.tries.saturating_add(1);
            let Ok(candidate) = certs::read(&der) else {
                continue;
            };
            let subject = names::canonical(candidate.parsed.tbs_certificate().subject());
            let known = found.iter().any(|known| known.id == candidate.id)
                || candidate.id == cert.id
                || self.anchors.iter().any(|a| a.cert.id == candidate.id);
            if known || subject != name {
                continue;
            }
            let issued = candidate.x509.issued(&cert.x509);
            // Another key of an authority of that name is nothing to complain of.
            if OTHER_KEY.contains(&issued.as_raw()) {
                continue;
            }
            let key = candidate.x509.public_key();
            let signed = key.is_ok_and(|key| cert.x509.verify(&key).unwrap_or(false));
            if issued == X509VerifyResult::OK && signed {
                found.push(Arc::new(candidate));
            } else {
                self.ways.refused = true;
            }
        }
        self.known
            .insert(cert.id.fingerprint().to_owned(), found.clone());
        Ok(found)
    }
}

/// The subject of a certificate as [`names::canonical`] has it, without reading the rest.
fn subject(der: &[u8]) -> Option<String> {
    let whole = AnyRef::from_der(der).ok()?;
    let mut whole = SliceReader::new(whole.value()).ok()?;
    let tbs = AnyRef::decode(&mut whole).ok()?;
    let mut tbs = SliceReader::new(tbs.value()).ok()?;
    // Version (which may not be there), serial number, algorithm, issuer, validity.
    let version = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    let first = AnyRef::decode(&mut tbs).ok()?;
    let before = if first.tag() == version { 4 } else { 3 };
    for _ in 0..before {
        AnyRef::decode(&mut tbs).ok()?;
    }
    Name::from_der(tbs.tlv_bytes().ok()?)
        .ok()
        .map(|name| names::canonical(&name))
}
