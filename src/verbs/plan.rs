//! `message/plan`: which key for each recipient, or why none: what a compose window shows as
//! one types. It never fails for one address.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::choose::{self, Options};
use super::seal::Protect;
use super::{Ask, Asks, World};
use crate::base::autocrypt::{Peer, Recommendation, Sending, for_all, recommend};
use crate::base::body::Bodies;
use crate::base::keys::{KeyStatus, Usage};
use crate::base::{Address, Context, KeyId, Mailbox, Protocol, Result};

/// From whom, to whom, protected how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    pub from: Option<Typed>,
    pub to: Vec<Typed>,
    pub cc: Vec<Typed>,
    pub bcc: Vec<Typed>,
    pub protect: Protect,
    /// It answers a message that came encrypted.
    pub answers_encrypted: bool,
}

/// An address, or what somebody has typed of one so far.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Typed {
    Text(String),
    Named(TypedMailbox),
}

/// As a compose window holds it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedMailbox {
    #[serde(default)]
    pub name: Option<String>,
    pub address: String,
}

impl Typed {
    fn text(&self) -> &str {
        match self {
            Typed::Text(text) => text,
            Typed::Named(mailbox) => &mailbox.address,
        }
    }

    fn address(&self) -> Option<Address> {
        Mailbox::parse(self.text()).map(|mailbox| mailbox.address)
    }
}

/// The plan. The i-th recipient stands for the i-th of `to`, `cc` and `bcc` in a row.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    pub possible: bool,
    pub plan: String,
    pub sender: Party,
    pub recipients: Vec<Party>,
    /// What Autocrypt recommends for the whole message.
    pub autocrypt: Recommendation,
    pub revision: u64,
}

/// One address and what there is for it.
#[derive(Debug, Clone, Serialize)]
pub struct Party {
    pub address: String,
    pub state: State,
    pub choice: PartyChoice,
    pub keys: Vec<Candidate>,
    /// What Autocrypt recommends for this recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autocrypt: Option<Recommendation>,
}

/// Whether something can be sealed for (or signed by) an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Ready,
    NoKey,
    /// A new key turned up for the address, or several stand side by side undecided.
    Conflict,
    Refused,
    /// Not an address yet: somebody is still typing.
    Incomplete,
}

/// Which family would be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PartyChoice {
    #[serde(rename = "openpgp")]
    OpenPgp,
    Smime,
    None,
}

/// One key that names the address; the one that would be used comes first.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    pub id: KeyId,
    pub status: KeyStatus,
    /// Why it is not used, or what to know when it is: `undecided`.
    pub reasons: Vec<&'static str>,
    /// The introducer whose word stands for the person's, and those whom they trust between.
    #[serde(rename = "vouchedBy", skip_serializing_if = "Vec::is_empty")]
    pub vouched_by: Vec<KeyId>,
}

impl Bodies for Request {}
impl Bodies for Reply {}
impl Asks for Request {
    fn ask(&self) -> Ask {
        Ask::Never
    }
}

/// Looks at every address and says what could be sealed for it.
///
/// # Errors
/// `store.unavailable` and the like; never for an address.
pub fn plan(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    let protect = &request.protect;
    let sender = match &request.from {
        Some(from) => parties(world, &[from], Usage::Sign, protect, cx)?.pop(),
        None => None,
    };
    let sender = sender.unwrap_or_else(|| incomplete(""));
    let typed: Vec<&Typed> = request
        .to
        .iter()
        .chain(&request.cc)
        .chain(&request.bcc)
        .collect();
    let from = request.from.as_ref().and_then(Typed::address);
    let family = Protect {
        protocol: choose::family(world, from.as_ref(), protect, cx)?,
        ..protect.clone()
    };
    let mut recipients = parties(world, &typed, Usage::Encrypt, &family, cx)?;
    let own = from.map(|from| world.store.preference(&from)).transpose()?;
    let sending = Sending {
        own: own.flatten().unwrap_or_default(),
        answers_encrypted: request.answers_encrypted,
    };
    for party in &mut recipients {
        party.autocrypt = Some(recommendation(world, party, sending)?);
    }
    let each = recipients.iter().filter_map(|party| party.autocrypt);
    let autocrypt = for_all(each);
    let sender_ready = !(protect.sign || protect.encrypt) || sender.state == State::Ready;
    let all_ready = recipients.iter().all(|party| match protect.encrypt {
        true => party.state == State::Ready,
        false => party.state != State::Incomplete,
    });
    Ok(Reply {
        possible: sender_ready && all_ready && !recipients.is_empty(),
        plan: token(&sender, &recipients),
        sender,
        recipients,
        autocrypt,
        revision: world.store.revision()?,
    })
}

/// The token of the plan for these addresses as things stand now: `seal` compares it with the
/// one it was given.
pub(super) fn token_for(
    world: &World,
    from: Option<&Address>,
    to: &[&Address],
    protect: &Protect,
    cx: &Context,
) -> Result<String> {
    let typed = |address: &Address| Typed::Text(address.to_string());
    let request = Request {
        from: from.map(typed),
        to: to.iter().copied().map(typed).collect(),
        protect: protect.clone(),
        ..Request::default()
    };
    Ok(plan(world, &request, cx)?.plan)
}

/// What there is for each, in their order.
fn parties(
    world: &World,
    typed: &[&Typed],
    usage: Usage,
    protect: &Protect,
    cx: &Context,
) -> Result<Vec<Party>> {
    let read: Vec<Option<Address>> = typed.iter().map(|typed| typed.address()).collect();
    let addresses: Vec<&Address> = read.iter().flatten().collect();
    let mut found =
        choose::options_for_all(world, &addresses, &protect.want(usage), cx)?.into_iter();
    Ok(typed
        .iter()
        .zip(&read)
        .map(|(typed, address)| {
            match address {
                Some(address) => found.next().map(|options| party(address, options)),
                None => None,
            }
            .unwrap_or_else(|| incomplete(typed.text()))
        })
        .collect())
}

fn party(address: &Address, options: Options) -> Party {
    Party {
        address: address.to_string(),
        state: options.state,
        choice: match options.chosen.map(|cert| cert.id.protocol()) {
            Some(Protocol::OpenPgp) => PartyChoice::OpenPgp,
            Some(Protocol::Smime) => PartyChoice::Smime,
            None => PartyChoice::None,
        },
        keys: options.candidates,
        autocrypt: None,
    }
}

/// What Autocrypt recommends for a recipient, by the key that would be used.
fn recommendation(world: &World, party: &Party, sending: Sending) -> Result<Recommendation> {
    let ready = party.state == State::Ready;
    let key = party.keys.first().filter(|_| ready).map(|key| &key.id);
    let peer = match Address::parse(&party.address) {
        Some(address) => world.store.peer(&address)?,
        None => Peer::default(),
    };
    Ok(recommend(&peer, key, sending))
}

fn incomplete(text: &str) -> Party {
    Party {
        address: text.to_owned(),
        state: State::Incomplete,
        choice: PartyChoice::None,
        keys: Vec::new(),
        autocrypt: None,
    }
}

/// A digest of who gets what. Not a secret and not a promise: it only has to change when the
/// plan does.
fn token(sender: &Party, recipients: &[Party]) -> String {
    let mut hasher = DefaultHasher::new();
    for party in std::iter::once(sender).chain(recipients) {
        let key = Address::parse(&party.address).map(|address| address.key().to_owned());
        (key, party.state, party.choice).hash(&mut hasher);
        for candidate in &party.keys {
            (&candidate.id, &candidate.reasons, &candidate.vouched_by).hash(&mut hasher);
        }
    }
    format!("{:016x}", hasher.finish())
}
