//! `createkey`: makes a key, under a passphrase that the person is asked for.

use serde::Serialize;

use super::{Code, Fault};
use crate::base::context::{rfc3339, unix};
use crate::base::described::DescribedName;
use crate::base::{Address, Context, Protocol};
use crate::engine::Profile;
use crate::verbs::keys::{GenerateRequest, NewPassphrase, generate};
use crate::verbs::{Ask, World};

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    /// A name, a comment, an address in angle brackets; or an address alone.
    pub userid: String,
    /// One of GnuPG's words.
    pub algorithm: Option<String>,
    /// In how many seconds it ends; 0: never. `None`: after [`LIFE`].
    pub expires: Option<u64>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    fingerprint: String,
}

/// How long a new key lives of which nothing is said, in seconds: two years, as GnuPG has it.
const LIFE: u64 = 2 * 365 * 24 * 60 * 60;

/// The words for a key of Curve25519, which is what is made here.
const CURVE25519: [&str; 7] = [
    "",
    "default",
    "future-default",
    "ed25519",
    "cv25519",
    "ed25519/cert,sign+cv25519/encr",
    "curve25519",
];

/// Makes a key.
///
/// # Errors
/// Invalid value for a user id without an address; general error, as GnuPG says it, for an
/// algorithm of which no keys are made here; no pinentry; operation cancelled.
pub fn createkey(world: &World, request: &Request, cx: &Context) -> Result<Reply, Fault> {
    let algorithm = request.algorithm.as_deref().unwrap_or_default();
    if !CURVE25519.contains(&algorithm.to_ascii_lowercase().as_str()) {
        return Err(Fault::new(Code::General));
    }
    let named = DescribedName::openpgp(&request.userid);
    let address = Address::parse(&named.email).ok_or(Fault::new(Code::Invalid))?;
    let name = match named.comment.as_str() {
        "" => named.name,
        comment => format!("{} ({comment})", named.name),
    };
    let expires = match request.expires {
        Some(0) => None,
        seconds => Some(unix(cx.now).saturating_add(seconds.unwrap_or(LIFE))),
    };
    let request = GenerateRequest {
        protocol: Protocol::OpenPgp,
        name: Some(name.trim().to_owned()),
        address,
        profile: Profile::Compatible,
        expires: expires.map(rfc3339),
        passphrase: NewPassphrase::Ask,
        ask: Ask::Allowed,
    };
    let made = generate(world, &request, cx)?;
    Ok(Reply {
        fingerprint: made.key.fingerprint,
    })
}
