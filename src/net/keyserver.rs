//! Servers of OpenPGP keys: those that confirm addresses (the VKS interface of Hagrid,
//! <https://keys.openpgp.org/about/api>) and all others (draft-gallagher-openpgp-hkp).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::escape::{escaped, plain};
use super::http::{Got, Http};
use super::{ANSWER_MAX, body, unusable};
use crate::base::Address;
use crate::base::error::{Error, Kind, Result};
use crate::base::job::Job;
use crate::base::network::Upload;
use crate::base::policy::KEYSERVERS;

/// The longest answer to an upload, in bytes: a few words for each address.
const STATUS_MAX: usize = 64 << 10;

/// A key to upload.
pub(super) struct Key<'a> {
    pub(super) armored: &'a str,
    /// Hex.
    pub(super) fingerprint: &'a str,
    pub(super) addresses: &'a [Address],
}

/// How a server is spoken to, and its URL without a slash at the end.
enum Server {
    Vks(String),
    Hkp(String),
}

impl Server {
    fn read(server: &str) -> Result<Server> {
        let server = server.trim_end_matches('/');
        match server.split_once("://") {
            Some(("https", _)) => Ok(Server::Vks(server.to_owned())),
            Some(("hkps", host)) => Ok(Server::Hkp(format!("https://{host}"))),
            // Not in the clear: whom somebody wants to write to is nobody else's business.
            _ => Err(unusable(KEYSERVERS)),
        }
    }
}

/// What a server has for an address: armored, and on a server that confirms nothing perhaps of
/// anybody.
///
/// # Errors
/// As [`crate::base::network::Network::find`].
pub(super) fn find(http: &Http, server: &str, address: &Address, job: &Job) -> Result<Vec<Bytes>> {
    let asked = escaped(&plain(address));
    let url = match Server::read(server)? {
        Server::Vks(server) => format!("{server}/vks/v1/by-email/{asked}"),
        Server::Hkp(server) => format!("{server}/pks/lookup?op=get&options=mr&search={asked}"),
    };
    match http.get(&url, ANSWER_MAX, job)? {
        Got::NoHost => Err(absent()),
        got => Ok(body(got)),
    }
}

/// Gives a key to a server, and has it ask the owner where it wants to.
///
/// # Errors
/// As [`crate::base::network::Network::upload`].
pub(super) fn upload(http: &Http, server: &str, key: &Key<'_>, job: &Job) -> Result<Upload> {
    match Server::read(server)? {
        Server::Vks(server) => vks(http, &server, key, job),
        Server::Hkp(server) => {
            let url = format!("{server}/pks/add");
            let body = format!("keytext={}", escaped(key.armored));
            let media = "application/x-www-form-urlencoded";
            http.post(&url, media, body.as_bytes(), STATUS_MAX, job)?;
            Ok(Upload::Published)
        }
    }
}

#[derive(Serialize)]
struct Keytext<'a> {
    keytext: &'a str,
}

#[derive(Serialize)]
struct Verify<'a> {
    token: &'a str,
    addresses: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Status {
    key_fpr: String,
    /// Addresses with `unpublished`, `pending`, `published` or `revoked`.
    status: BTreeMap<String, String>,
    token: String,
}

fn vks(http: &Http, server: &str, key: &Key<'_>, job: &Job) -> Result<Upload> {
    let send = |path: &str, body: Vec<u8>| -> Result<Status> {
        let url = format!("{server}/vks/v1/{path}");
        let answer = http.post(&url, "application/json", &body, STATUS_MAX, job)?;
        let status: Status = serde_json::from_slice(&answer).map_err(|e| strange().because(e))?;
        match status.key_fpr.eq_ignore_ascii_case(key.fingerprint) {
            true => Ok(status),
            false => Err(strange()),
        }
    };
    let text = Keytext {
        keytext: key.armored,
    };
    let status = send("upload", json(&text)?)?;
    // Its own addresses alone, however many the server speaks of.
    let unconfirmed: Vec<&str> = status
        .status
        .iter()
        .filter(|(address, state)| {
            matches!(state.as_str(), "unpublished" | "pending")
                && Address::parse(address).is_some_and(|named| key.addresses.contains(&named))
        })
        .map(|(address, _)| address.as_str())
        .collect();
    if unconfirmed.is_empty() {
        return Ok(Upload::Published);
    }
    let verify = Verify {
        token: &status.token,
        addresses: unconfirmed,
    };
    send("request-verify", json(&verify)?)?;
    Ok(Upload::AwaitingConfirmation)
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| Error::internal("the upload can't be written as JSON").because(e))
}

fn strange() -> Error {
    Error::new(
        Kind::NetworkFailed,
        "the server of keys answered something else than expected; try another one",
    )
}

fn absent() -> Error {
    Error::new(
        Kind::NetworkFailed,
        "the server of keys can't be found; try again later, or mend policy.toml",
    )
}
