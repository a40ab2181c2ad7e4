//! `message/plan`: which key for each recipient, or why none: what a compose window shows as
//! one types. It never fails for one address.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::choose::{self, Options};
use super::recipients::{self, Behind, Found, Party as Those, Recipient};
use super::route::{self, Circle, Route};
use super::seal::{Protect, Purpose};
use super::{Ask, Asks, World, archive};
use crate::base::autocrypt::{Peer, Recommendation, Sending, for_all, recommend};
use crate::base::body::Bodies;
use crate::base::error::Blame;
use crate::base::keys::{Acceptance, KeyStatus, Usage};
use crate::base::verdict::{LayerError, Scheme};
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
    /// The messages that sealing would give, where it is possible.
    pub messages: Vec<Message>,
    /// Keys that policy has everything encrypted to as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Added>,
    /// What sealing would answer instead, where it is not possible and nobody is still typing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<LayerError>,
    /// What Autocrypt recommends for the whole message.
    pub autocrypt: Recommendation,
    pub revision: u64,
}

/// One message as `message/seal` would give it.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    pub to: Vec<Address>,
    pub protocol: PartyChoice,
}

/// A key that policy adds.
#[derive(Debug, Clone, Serialize)]
pub struct Added {
    pub id: KeyId,
    pub state: State,
    /// Why it can't be used.
    pub reasons: Vec<&'static str>,
}

/// One address and what there is for it.
#[derive(Debug, Clone, Serialize)]
pub struct Party {
    pub address: String,
    pub state: State,
    pub choice: PartyChoice,
    pub keys: Vec<Candidate>,
    /// The rules that refuse it, and what stands in the way of a group as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
    /// Whom it stands for, by policy: a group's members, or whose key an alias uses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Party>,
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
    /// What the person decided about it for this address.
    pub acceptance: Acceptance,
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

/// Looks at every address and says what would be sealed for it.
///
/// # Errors
/// `store.unavailable` and the like; never for an address.
pub fn plan(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    let protect = &request.protect;
    let address = |typed: &Typed| typed.address();
    let from = request.from.as_ref().and_then(address);
    let named = request.to.iter().chain(&request.cc);
    let visible = distinct(named.clone().filter_map(address));
    let bcc = distinct(request.bcc.iter().filter_map(address));
    let who = Those {
        from: from.as_ref(),
        visible: &visible,
        bcc: &bcc,
    };
    let found = recipients::find(world, &who, protect, cx)?;
    let sender = match &from {
        Some(from) => sender(world, from, protect, cx)?,
        None => incomplete(request.from.as_ref().map_or("", Typed::text)),
    };
    let typed: Vec<&Typed> = named.chain(&request.bcc).collect();
    let all: Vec<Option<Address>> = typed.iter().map(|typed| typed.address()).collect();
    let whole = !all.is_empty()
        && all.iter().all(Option::is_some)
        && (from.is_some() || !(protect.sign || protect.encrypt));
    let route = match whole {
        true => Some(route::route(
            world,
            &who,
            &found,
            protect,
            Purpose::Send,
            cx,
        )),
        false => None,
    };
    let (messages, error) = match route {
        None => (Vec::new(), None),
        Some(Ok(route)) => (messages(&route), None),
        Some(Err(error)) => match error.kind.blame() {
            Blame::Host => return Err(error),
            blame => {
                let (kind, message) = (error.kind, error.message);
                let error = LayerError {
                    kind,
                    blame,
                    message,
                };
                (Vec::new(), Some(error))
            }
        },
    };
    let mut recipients: Vec<Party> = typed
        .iter()
        .zip(&all)
        .map(|(typed, address)| {
            let found = address.as_ref().and_then(|address| {
                let known = |one: &&Recipient| one.address == *address;
                found.recipients.iter().find(known)
            });
            found.map_or_else(|| incomplete(typed.text()), party)
        })
        .collect();
    let autocrypt = advise(world, request, from.as_ref(), &mut recipients)?;
    Ok(Reply {
        possible: whole && error.is_none(),
        plan: token(world, &who, &found, protect, cx)?,
        sender,
        recipients,
        autocrypt,
        messages,
        also: added(world, protect, cx)?,
        error,
        revision: world.store.revision()?,
    })
}

/// What Autocrypt recommends, for each and for the whole.
fn advise(
    world: &World,
    request: &Request,
    from: Option<&Address>,
    recipients: &mut [Party],
) -> Result<Recommendation> {
    let own = from.map(|from| world.store.preference(from)).transpose()?;
    let sending = Sending {
        own: own.flatten().unwrap_or_default(),
        answers_encrypted: request.answers_encrypted,
    };
    for party in &mut *recipients {
        party.autocrypt = Some(recommendation(world, party, sending)?);
    }
    Ok(for_all(
        recipients.iter().filter_map(|party| party.autocrypt),
    ))
}

fn messages(route: &Route) -> Vec<Message> {
    let one = |circle: &Circle| Message {
        to: circle.to.clone(),
        protocol: choice(route.protocol(circle)),
    };
    route.circles.iter().map(one).collect()
}

fn distinct(addresses: impl Iterator<Item = Address>) -> Vec<Address> {
    let mut distinct: Vec<Address> = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// What there is for the one who writes: a key that signs, or reads what was sent.
fn sender(world: &World, from: &Address, protect: &Protect, cx: &Context) -> Result<Party> {
    let usage = match (protect.sign, protect.encrypt) {
        (false, true) => Usage::Encrypt,
        _ => Usage::Sign,
    };
    let mut options = choose::options(world, from, &protect.want(usage), cx)?;
    if options.chosen.as_ref().is_some_and(|cert| !cert.own) {
        (options.state, options.chosen) = (State::NoKey, None);
    }
    Ok(party_of(from, &options))
}

fn party(recipient: &Recipient) -> Party {
    let mut party = match &recipient.behind {
        Behind::Itself(options) => party_of(&recipient.address, options),
        Behind::Others(others) => Party {
            choice: choice(recipient.certs().next().map(|cert| cert.id.protocol())),
            members: others
                .iter()
                .map(|(address, options)| party_of(address, options))
                .collect(),
            ..incomplete(recipient.address.as_str())
        },
    };
    party.state = recipient.state;
    if party.state != State::Ready {
        party.choice = PartyChoice::None;
    }
    party.reasons.clone_from(&recipient.reasons);
    party
}

fn party_of(address: &Address, options: &Options) -> Party {
    Party {
        address: address.to_string(),
        state: options.state,
        choice: choice(options.chosen.as_ref().map(|cert| cert.id.protocol())),
        keys: options.candidates.clone(),
        reasons: options.rules.clone(),
        members: Vec::new(),
        autocrypt: None,
    }
}

fn choice(protocol: Option<Protocol>) -> PartyChoice {
    match protocol {
        Some(Protocol::OpenPgp) => PartyChoice::OpenPgp,
        Some(Protocol::Smime) => PartyChoice::Smime,
        None => PartyChoice::None,
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
        reasons: Vec::new(),
        members: Vec::new(),
        autocrypt: None,
    }
}

/// The keys that policy adds.
fn added(world: &World, protect: &Protect, cx: &Context) -> Result<Vec<Added>> {
    if !protect.encrypt {
        return Ok(Vec::new());
    }
    let all = archive::all_also(world, cx)?.into_iter();
    Ok(all
        .map(|one| Added {
            state: match (&one.cert, one.reasons.is_empty()) {
                (Some(_), true) => State::Ready,
                _ => State::NoKey,
            },
            id: one.id,
            reasons: one.reasons,
        })
        .collect())
}

/// A digest of who gets what, as things stand now: `seal` compares it with the one it was given.
/// Not a secret and not a promise: it only has to change when the plan does.
pub(super) fn token(
    world: &World,
    who: &Those<'_>,
    found: &Found,
    protect: &Protect,
    cx: &Context,
) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    asked(protect, &mut hasher);
    let sender = who.from.map(|from| sender(world, from, protect, cx));
    if let Some(sender) = sender {
        hash(&sender?, &mut hasher);
    }
    // Who may know of one another.
    for list in [who.visible, who.bcc] {
        let keys: Vec<_> = list.iter().map(Address::key).collect();
        keys.hash(&mut hasher);
    }
    for recipient in &found.recipients {
        hash(&party(recipient), &mut hasher);
    }
    for one in added(world, protect, cx)? {
        (one.id, one.state, one.reasons).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// What was asked for: the same said and unsaid.
fn asked(protect: &Protect, hasher: &mut DefaultHasher) {
    let Protect {
        sign,
        encrypt,
        protocol,
        scheme,
        headers,
        legacy_display,
        cipher,
        keys,
    } = protect;
    (sign, encrypt, protocol).hash(hasher);
    (scheme.unwrap_or(Scheme::Mime), headers.unwrap_or_default()).hash(hasher);
    (legacy_display.unwrap_or(true), cipher).hash(hasher);
    for (address, ids) in keys {
        (address.key(), ids).hash(hasher);
    }
}

fn hash(party: &Party, hasher: &mut DefaultHasher) {
    let key = Address::parse(&party.address).map(|address| address.key().to_owned());
    (key, party.state, party.choice, &party.reasons).hash(hasher);
    for candidate in &party.keys {
        (&candidate.id, &candidate.reasons, &candidate.vouched_by).hash(hasher);
    }
    party.members.len().hash(hasher);
    for member in &party.members {
        hash(member, hasher);
    }
}
