//! Autocrypt for clients that build or read the header field themselves, and what is known of
//! correspondents and wished for own addresses.

use serde::{Deserialize, Serialize};

use super::choose::{Want, options};
use super::seal::Choice;
use super::{Asks, World, harvest};
use crate::base::autocrypt::PreferEncrypt;
use crate::base::body::Bodies;
use crate::base::context::{parse_date, rfc3339, unix};
use crate::base::keys::Usage;
use crate::base::verdict::FoundKey;
use crate::base::{Address, Context, Error, KeyId, Result};

/// `autocrypt/header {from}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderRequest {
    pub from: Address,
}

/// The value of the `Autocrypt` header field; `null` when there is no key to offer.
#[derive(Debug, Clone, Serialize)]
pub struct HeaderReply {
    pub header: Option<String>,
}

/// `autocrypt/process {from, date, header}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRequest {
    pub from: Address,
    /// RFC 3339 or RFC 5322.
    pub date: String,
    /// The field's value.
    pub header: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessReply {
    pub keys: Vec<FoundKey>,
    pub revision: u64,
}

/// `autocrypt/peer {address}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRequest {
    pub address: Address,
}

/// What is known of a correspondent.
#[derive(Debug, Clone, Serialize)]
pub struct PeerReply {
    /// `null`: they have never offered a key, and nobody has passed one on.
    pub peer: Option<PeerState>,
    pub revision: u64,
}

/// The state of one correspondent (Autocrypt 1.1, 2.3). Times are RFC 3339.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerState {
    /// The date of the newest message from them that was opened here.
    pub last_seen: Option<String>,
    /// The date of the message that offered `key`.
    pub timestamp: Option<String>,
    pub key: Option<KeyId>,
    pub prefer_encrypt: PreferEncrypt,
    /// The date of the message that passed `gossip_key` on.
    pub gossip_timestamp: Option<String>,
    pub gossip_key: Option<KeyId>,
}

/// `autocrypt/prefer {from, prefer?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferRequest {
    pub from: Address,
    /// Without it, only told.
    #[serde(default)]
    pub prefer: Option<PreferEncrypt>,
}

/// What is wished for mail to an own address.
#[derive(Debug, Clone, Serialize)]
pub struct PreferReply {
    pub prefer: PreferEncrypt,
    pub revision: u64,
}

impl Bodies for HeaderRequest {}
impl Bodies for HeaderReply {}
impl Bodies for ProcessRequest {}
impl Bodies for ProcessReply {}
impl Asks for HeaderRequest {}
impl Asks for ProcessRequest {}
impl Bodies for PeerRequest {}
impl Bodies for PeerReply {}
impl Bodies for PreferRequest {}
impl Bodies for PreferReply {}
impl Asks for PeerRequest {}
impl Asks for PreferRequest {}

/// `autocrypt/header`: the field for mail from this address.
///
/// # Errors
/// Those of the store.
pub fn header(world: &World, request: &HeaderRequest, cx: &Context) -> Result<HeaderReply> {
    Ok(HeaderReply {
        header: offer(world, &request.from, cx)?,
    })
}

/// The value that offers the key of `from`, if there is one to offer.
pub(super) fn offer(world: &World, from: &Address, cx: &Context) -> Result<Option<String>> {
    let keys = std::collections::BTreeMap::new();
    let want = Want {
        usage: Usage::Sign,
        choice: Choice::OpenPgp,
        keys: &keys,
    };
    let Some(cert) = options(world, from, &want, cx)?.chosen else {
        return Ok(None);
    };
    let engine = world.engine(cert.id.protocol())?;
    let prefer = world.store.preference(from)?.unwrap_or_default();
    let asked = (cert.cert, from.clone(), prefer);
    if let Some(value) = world.offers.get(&asked) {
        return Ok(value);
    }
    let value = engine.offer(&asked.0, from, prefer);
    world.offers.keep(asked, value.clone());
    Ok(value)
}

/// `autocrypt/process`: records what such a field says, as opening its message would.
///
/// # Errors
/// `request.invalid` for a date that is none; those of the store.
pub fn process(world: &World, request: &ProcessRequest, cx: &Context) -> Result<ProcessReply> {
    let date = parse_date(&request.date)
        .ok_or_else(|| Error::invalid("/date", "use an RFC 3339 or RFC 5322 date"))?;
    let found = harvest::autocrypt(
        world,
        &request.from,
        Some(date),
        std::slice::from_ref(&request.header),
        cx,
    )?;
    Ok(ProcessReply {
        keys: found.into_iter().collect(),
        revision: world.store.revision()?,
    })
}

/// `autocrypt/peer`: what mail that was opened here said of a correspondent.
///
/// # Errors
/// Those of the store.
pub fn peer(world: &World, request: &PeerRequest) -> Result<PeerReply> {
    let peer = world.store.peer(&request.address)?;
    let (offered, gossiped) = (peer.offered.as_ref(), peer.gossiped.as_ref());
    let state = PeerState {
        last_seen: peer.last_seen.map(rfc3339),
        timestamp: offered.map(|offered| rfc3339(offered.at)),
        key: offered.map(|offered| offered.key.clone()),
        prefer_encrypt: offered.map(|offered| offered.prefer).unwrap_or_default(),
        gossip_timestamp: gossiped.map(|gossiped| rfc3339(gossiped.at)),
        gossip_key: gossiped.map(|gossiped| gossiped.key.clone()),
    };
    Ok(PeerReply {
        peer: (!peer.is_unknown()).then_some(state),
        revision: world.store.revision()?,
    })
}

/// `autocrypt/prefer`: says, or tells, what is wished for mail to an own address. It goes along
/// in the header field from then on.
///
/// # Errors
/// Those of the store.
pub fn prefer(world: &World, request: &PreferRequest, cx: &Context) -> Result<PreferReply> {
    if let Some(prefer) = request.prefer {
        cx.job.commit()?;
        world.store.prefer(&request.from, prefer, unix(cx.now))?;
    }
    let known = world.store.preference(&request.from)?;
    Ok(PreferReply {
        prefer: known.unwrap_or_default(),
        revision: world.store.revision()?,
    })
}
