//! `message/open`: peels a message layer by layer and says what was seen.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::answer::{Answered, answered};
use super::headers;
use super::judge::Claims;
use super::peel::{self, Opens};
use super::pieces;
use super::verdict::verdict;
use super::{Ask, Asks, Origin, World, drafts, gossip, harvest};
use crate::base::body::{Bodies, Body};
use crate::base::context::{from_unix, parse_date, parse_rfc3339};
use crate::base::error::{Closed, Kind};
use crate::base::layer::{Form, Sealed};
use crate::base::network::Online;
use crate::base::policy::Fetching;
use crate::base::verdict::{FoundChange, OpenedMessage, Scheme, Signed};
use crate::base::{Address, Context, Error, Mailbox, Protocol, Result};
use crate::mail::armor::SegmentKind;
use crate::mail::{Entity, layers};

/// What to open: a whole message, or what a page has without one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    pub message: Option<Body>,
    pub payload: Option<Payload>,
    pub ask: Ask,
    pub context: Option<Origin>,
    /// RFC 3339; nothing is recorded then.
    pub at: Option<String>,
    /// Without it, as policy says.
    pub revocation: Option<Asking>,
}

/// Whom to ask whether certificates were revoked (S/MIME).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asking {
    /// The lists that are here.
    Stored,
    /// Their authorities too, over the network.
    Fetch,
}

/// Armor, an `encrypted.asc`, a lone `smime.p7m`, or a body and its detached signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Payload {
    pub data: Body,
    #[serde(default)]
    pub signature: Option<Body>,
    #[serde(default)]
    pub claimed: Option<Claimed>,
}

/// Header fields as the page shows them: claims without any protection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Claimed {
    pub from: Option<Mailbox>,
    pub to: Vec<Mailbox>,
    /// RFC 3339 or RFC 5322.
    pub date: Option<String>,
}

impl Bodies for Request {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.message.bodies(visit)?;
        match &mut self.payload {
            Some(payload) => {
                payload.data.bodies(visit)?;
                payload.signature.bodies(visit)
            }
            None => Ok(()),
        }
    }
}

impl Asks for Request {
    fn ask(&self) -> Ask {
        self.ask
    }

    fn origin(&self) -> Option<&str> {
        self.context.as_ref()?.origin.as_deref()
    }
}

/// The largest message that is opened, in bytes: what large providers let through, with room.
pub const MESSAGE_MAX: usize = 160 << 20;

/// Opens a message, or what a page has of one.
///
/// # Errors
/// `request.invalid`; `policy.refused`; `message.malformed`, `message.too-large`, `limit.exceeded`; those of the
/// outermost layer, with the outer header fields and the recipients in `data`.
pub fn open(world: &World, request: &Request, cx: &Context) -> Result<OpenedMessage> {
    let mut cx = cx.clone();
    if let Some(at) = &request.at {
        let at =
            parse_rfc3339(at).ok_or_else(|| Error::invalid("/at", "use an RFC 3339 instant"))?;
        cx.at = Some(from_unix(at));
    }
    cx.online = online(world, request.revocation)?;
    match (&request.message, &request.payload) {
        (Some(message), None) => {
            let opening = whole(world, message.bytes()?, request.ask, &cx)?;
            opening.told(world)
        }
        (None, Some(payload)) => lone(world, payload, request.ask, &cx),
        _ => Err(Error::invalid("", "give either a message or a payload")),
    }
}

/// The network, where the request or the policy asks for revocation to be looked up.
fn online(world: &World, asked: Option<Asking>) -> Result<Option<Online>> {
    let fetches = match (world.policy.fetch_revocation, asked) {
        (Fetching::Never, Some(Asking::Fetch)) => {
            return Err(Error::refused(
                "fetch-revocation",
                "policy does not let authorities be asked; open the message without that",
            ));
        }
        (Fetching::Always, None) | (_, Some(Asking::Fetch)) => true,
        (Fetching::Never | Fetching::Asked, None) | (_, Some(Asking::Stored)) => false,
    };
    Ok(fetches.then(|| Online::new(Arc::clone(&world.network))))
}

/// A message that was opened, and what answering it needs.
pub(super) struct Opening {
    pub opened: OpenedMessage,
    pub answered: Answered,
}

impl Opening {
    /// With what stands in for the message in an answer to it. A store that can't keep the
    /// secret for that hinders nobody from reading.
    fn told(self, world: &World) -> Result<OpenedMessage> {
        let Opening {
            mut opened,
            answered,
        } = self;
        // A draft's is what the draft answers.
        if opened.draft.is_none() {
            opened.answer = match answered.token(world) {
                Err(e) if e.kind == Kind::StoreUnavailable => None,
                token => token?,
            };
        }
        Ok(opened)
    }
}

/// Opens a whole message in order to answer it.
///
/// # Errors
/// As [`open`].
pub(super) fn message(world: &World, message: &Bytes, ask: Ask, cx: &Context) -> Result<Opening> {
    whole(world, message, ask, cx)
}

/// A whole message.
fn whole(world: &World, message: &Bytes, ask: Ask, cx: &Context) -> Result<Opening> {
    check_size(message)?;
    let root = Entity::parse(message.clone(), "")?;
    let mut opening = looked_at(world, &root, ask, cx)?;
    let single = headers::single_from(&root.head);
    // What a server has to say comes in its own name at most (Autocrypt 1.1, 2.3).
    if let Some(from) = single.filter(|_| root.media.kind() != "multipart/report") {
        let offers = root.head.all("Autocrypt");
        let offers: Vec<String> = offers.map(|field| field.unfolded()).collect();
        let date = root.head.first("Date").and_then(|date| date.date());
        let found = unless_full(harvest::autocrypt(world, &from, date, &offers, cx))?;
        let came_along = found
            .as_ref()
            .is_some_and(|found| found.change != FoundChange::Known);
        if came_along && opening.opened.summary.signed == Signed::Unknown && cx.at.is_none() {
            // The certificate that the signature wanted came with it.
            let keys = std::mem::take(&mut opening.opened.keys);
            opening = looked_at(world, &root, Ask::Never, cx)?;
            opening.opened.keys = keys;
        }
        opening.opened.keys.extend(found);
    }
    opening.opened.revision = world.store.revision()?;
    Ok(opening)
}

/// What came along with a message, or nothing of it where it can't be kept: a full disk keeps
/// nobody from reading.
fn unless_full<T: Default>(found: Result<T>) -> Result<T> {
    match found {
        Err(error) if error.kind == Kind::StoreUnavailable => {
            log::warn!("what came with a message can't be kept");
            Ok(T::default())
        }
        found => found,
    }
}

/// Takes a message apart and judges it.
fn looked_at(world: &World, root: &Entity, ask: Ask, cx: &Context) -> Result<Opening> {
    let mut peeled =
        peel::message(world, root, ask, cx).map_err(|error| closed(world, root, error, cx))?;
    let seen = headers::seen(&root.head, peeled.payload.as_ref());
    let claims = Claims {
        from: seen.from().cloned(),
        date: seen.unprotected_date(),
        shown_date: seen.date(),
        differs: seen.mismatch(),
        dateless: seen.date().is_none(),
        claimed: false,
    };
    let passed_on = unless_full(gossip::passed_on(world, root, &peeled, cx))?;
    let (mut opened, judged) = verdict(&mut peeled, &seen, &claims, cx)?;
    let answered = answered(&root.head, peeled.payload.as_ref(), &opened.headers, judged);
    if let Some(payload) = peeled.payload.as_ref().filter(|_| peeled.own_draft) {
        let drafts::Reopened { draft, answer } = drafts::reopened(payload, &opened);
        opened.draft = Some(draft);
        opened.answer = answer;
    }
    if let Some(from) = &claims.from {
        for facts in &peeled.brought {
            let found = unless_full(harvest::signature(world, from, facts, cx))?;
            opened.keys.extend(found);
        }
    }
    opened.keys.extend(passed_on);
    Ok(Opening { opened, answered })
}

/// Armor, an attachment, or a body with its signature, out of a page.
fn lone(world: &World, payload: &Payload, ask: Ask, cx: &Context) -> Result<OpenedMessage> {
    let data = payload.data.bytes()?;
    check_size(data)?;
    let claimed = payload.claimed.clone().unwrap_or_default();
    let mut peeled = match &payload.signature {
        Some(signature) => {
            let signature = signature.bytes()?.clone();
            let form = Form::Detached {
                content: data.clone(),
                signature,
            };
            peel::layer(world, &sealed(form), ask, cx)?
        }
        None => match sniff(data) {
            Some(form) => peel::layer(world, &sealed(form), ask, cx)?,
            None => {
                let pieces = pieces::repaired(world, data, cx)?;
                match pieces.as_slice() {
                    [only] if only.kind == SegmentKind::Message => {
                        let data = only.data.clone();
                        peel::layer(world, &sealed(Form::Encrypted { data }), ask, cx)?
                    }
                    _ => peel::text(world, pieces, Opens::Everything, ask, cx)?,
                }
            }
        },
    };
    let date = match &claimed.date {
        Some(date) => Some(parse_date(date).ok_or_else(|| {
            Error::invalid("/payload/claimed/date", "use an RFC 3339 or RFC 5322 date")
        })?),
        None => None,
    };
    let seen = headers::claimed(&claimed, date, peeled.payload.as_ref());
    let claims = Claims {
        from: seen.from().cloned(),
        date: seen.unprotected_date(),
        shown_date: seen.date(),
        differs: seen.mismatch(),
        // A page need not say when something was written.
        dateless: seen.protected_date() && seen.date().is_none(),
        // Also where what the page shows is not what the payload says.
        claimed: !seen.protected_from() || seen.contradicted(),
    };
    let (mut opened, _) = verdict(&mut peeled, &seen, &claims, cx)?;
    opened.revision = world.store.revision()?;
    Ok(opened)
}

fn check_size(data: &Bytes) -> Result<()> {
    if data.len() > MESSAGE_MAX {
        return Err(Error::new(
            Kind::MessageTooLarge,
            "the message is larger than 160 MiB; ask the sender to share the file another way",
        ));
    }
    Ok(())
}

/// What binary or armored data without any header is; `None` for text to be looked through.
fn sniff(data: &Bytes) -> Option<Form> {
    match data.first()? {
        // DER or BER: a SEQUENCE. A ContentInfo says inside which kind it is.
        0x30 => Some(Form::Encrypted { data: data.clone() }),
        // An OpenPGP packet's first bit is set (RFC 9580 4.2).
        byte if byte & 0x80 != 0 && std::str::from_utf8(data).is_err() => {
            Some(Form::Encrypted { data: data.clone() })
        }
        _ => None,
    }
}

fn sealed(form: Form) -> Sealed {
    let smime = match &form {
        Form::Encrypted { data } => data.first() == Some(&0x30),
        Form::Detached { signature, .. } => signature.first() == Some(&0x30),
        _ => false,
    };
    let protocol = if smime {
        Protocol::Smime
    } else {
        Protocol::OpenPgp
    };
    Sealed {
        protocol,
        scheme: Scheme::Opaque,
        form,
    }
}

/// Adds to an error what can be seen of the message from outside.
fn closed(world: &World, root: &Entity, mut error: Error, cx: &Context) -> Error {
    let sealed = layers::layer(root).map_or_else(|| inline(root), |found| Some(found.sealed));
    let recipients = match sealed {
        Some(Sealed {
            protocol,
            form: Form::Encrypted { data },
            ..
        }) => match world.engine(protocol) {
            Ok(engine) => engine.recipients(&data, cx),
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    };
    let headers = headers::seen(&root.head, None).headers(false);
    error.closed = Some(Box::new(Closed {
        headers,
        recipients,
    }));
    error
}

/// The encrypted block that a text is, if it is one.
fn inline(root: &Entity) -> Option<Sealed> {
    let pieces = match layers::is_inline_text(root) {
        true => pieces::as_given(&root.content()),
        false => Vec::new(),
    };
    match pieces.as_slice() {
        [only] if only.kind == SegmentKind::Message => Some(Sealed {
            scheme: Scheme::Inline,
            ..sealed(Form::Encrypted {
                data: only.data.clone(),
            })
        }),
        _ => None,
    }
}

/// The one address that a verdict is about.
pub(super) fn one_address(mailboxes: &[Mailbox]) -> Option<Address> {
    match mailboxes {
        [one] => Some(one.address.clone()),
        _ => None,
    }
}
