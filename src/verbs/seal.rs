//! `message/seal`: builds a message, signs and encrypts it, one envelope for each circle of
//! recipients that may know of one another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answer::{Answered, Source};
use super::choose::{self, Want};
use super::envelope::{self, Letter, Sealer};
use super::recipients::{self, Party};
use super::route::{self, Sides};
use super::{Ask, Asks, Origin, World, drafts, gossip, open, payload, plan};
use crate::base::body::{Bodies, Body};
use crate::base::context::unix;
use crate::base::draft::{Attachment, Draft};
use crate::base::job::Stage;
use crate::base::keys::{StoredCert, Usage};
use crate::base::layer::Cipher;
use crate::base::verdict::Scheme;
use crate::base::{Address, Context, Error, KeyId, Kind, Mailbox, Protocol, Result};
use crate::engine::Format;
use crate::mail::protect::Confidentiality;
use crate::mail::{Head, split};

/// What to seal, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    pub draft: Option<Draft>,
    /// A whole RFC 5322 message, to be protected as it is.
    pub message: Option<Body>,
    /// A MIME entity, or plain text, without header fields of a message.
    pub payload: Option<Body>,
    pub protect: Protect,
    pub form: Form,
    /// Recipients for `form: payload`.
    pub to: Vec<Address>,
    /// The token that `message/plan` gave.
    pub plan: Option<String>,
    pub purpose: Purpose,
    /// The message that is answered, or what stands in for it: what it hid stays hidden
    /// (RFC 9788 6.1).
    pub answering: Option<Source>,
    pub attach_key: bool,
    pub ask: Ask,
    pub context: Option<Origin>,
}

/// The protection asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Protect {
    pub sign: bool,
    pub encrypt: bool,
    pub protocol: Choice,
    pub scheme: Option<Scheme>,
    /// Which header fields an encrypted message hides (RFC 9788 3); what is most usual when absent.
    pub headers: Option<Confidentiality>,
    /// Whether the text says once more what is hidden, for readers that don't know header
    /// protection; they are told so unless this is false (RFC 9788 5.2.2).
    pub legacy_display: Option<bool>,
    pub cipher: Cipher,
    /// Which certificates to use for an address, instead of ours to choose.
    pub keys: BTreeMap<Address, Vec<KeyId>>,
}

impl Protect {
    /// What this protection wants of certificates that are to be used so.
    pub(super) fn want(&self, usage: Usage) -> Want<'_> {
        Want {
            usage,
            choice: self.protocol,
            keys: &self.keys,
        }
    }
}

/// Which family to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    #[default]
    Auto,
    #[serde(rename = "openpgp")]
    OpenPgp,
    Smime,
}

impl From<Protocol> for Choice {
    fn from(protocol: Protocol) -> Choice {
        match protocol {
            Protocol::OpenPgp => Choice::OpenPgp,
            Protocol::Smime => Choice::Smime,
        }
    }
}

impl Choice {
    /// Whether a family may be used.
    pub fn allows(self, protocol: Protocol) -> bool {
        match self {
            Choice::Auto => true,
            Choice::OpenPgp => protocol == Protocol::OpenPgp,
            Choice::Smime => protocol == Protocol::Smime,
        }
    }
}

/// What comes out: messages to submit, or one envelope without header fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    #[default]
    Messages,
    Payload,
}

/// What it is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    #[default]
    Send,
    Draft,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Reply {
    Messages {
        messages: Vec<Envelope>,
        /// The copy for the sender alone.
        sent: Body,
        /// The keys that policy had everything encrypted to as well.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        also: Vec<KeyId>,
    },
    Payload {
        payload: Body,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        also: Vec<KeyId>,
    },
}

/// One message to submit.
#[derive(Debug, Clone, Serialize)]
pub struct Envelope {
    /// The envelope recipients (RFC 5321 RCPT TO).
    pub to: Vec<Address>,
    pub protocol: EnvelopeProtocol,
    pub message: Body,
}

/// Which family protects an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvelopeProtocol {
    #[serde(rename = "openpgp")]
    OpenPgp,
    Smime,
    None,
}

impl Bodies for Request {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.draft.bodies(visit)?;
        self.message.bodies(visit)?;
        self.payload.bodies(visit)?;
        self.answering.bodies(visit)
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

impl Bodies for Reply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        match self {
            Reply::Messages { messages, sent, .. } => {
                for envelope in messages {
                    envelope.message.bodies(visit)?;
                }
                sent.bodies(visit)
            }
            Reply::Payload { payload, .. } => payload.bodies(visit),
        }
    }
}

/// Seals a message, or one envelope without header fields.
///
/// Nothing goes out weaker than asked: a recipient without a usable key fails the whole call.
///
/// # Errors
/// `request.invalid`; `key.missing`, `key.conflict`, `key.ambiguous`, `key.unusable`,
/// `key.locked`; `plan.stale`; `policy.refused`; those of opening what is answered.
pub fn seal(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    cx.job.stage(Stage::Reading);
    let given = [
        request.draft.is_some(),
        request.message.is_some(),
        request.payload.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(Error::invalid("", "give one of draft, message and payload"));
    }
    route::scheme(&request.protect)?;
    match request.form {
        Form::Payload => payload::payload(world, request, cx),
        Form::Messages => messages(world, request, cx),
    }
}

/// `form: messages`.
fn messages(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    let mut letter = letter(world, request, cx)?;
    let protect = &request.protect;
    let draft = request.purpose == Purpose::Draft;
    if draft {
        if protect.scheme == Some(Scheme::Inline) {
            return Err(Error::invalid(
                "/protect/scheme",
                "a draft is kept as a whole; leave the scheme out",
            ));
        }
        letter.mark = Some(world.store.marks()?);
    }
    if let Some(source) = &request.answering {
        answering(world, source, request, &mut letter, cx)?;
    }
    let from = letter.from.address.clone();
    let party = Party {
        from: Some(&from),
        visible: &letter.visible,
        bcc: &letter.bcc,
    };
    let found = recipients::find(world, &party, protect, cx)?;
    if let Some(plan) = &request.plan
        && *plan != plan::token(world, &party, &found, protect, cx)?
    {
        return Err(Error::new(
            Kind::PlanStale,
            "keys, or what is asked for, have changed since this was planned; plan again and look at the recipients",
        ));
    }
    if found.recipients.is_empty() && !draft {
        return Err(Error::invalid("/draft/to", "name at least one recipient"));
    }
    let route = route::route(world, &party, &found, protect, request.purpose, cx)?;
    let encrypt = protect.encrypt || draft;
    let sealer = |sides: &Sides| Sealer {
        world,
        protect,
        cx,
        signer: sides.signer.clone(),
        own: sides.own.clone(),
        also: sides.also.clone(),
    };
    let no_sealer = || Error::internal("an envelope has nobody to seal it");
    let mut messages = Vec::new();
    for circle in &route.circles {
        let sealer = sealer(route.sides(circle.protocol).ok_or_else(no_sealer)?);
        let certs = encrypt.then_some(circle.certs.as_slice());
        let gossip = gossip::fields(world, &from, &circle.named)?;
        messages.push(Envelope {
            protocol: sealer.protocol(certs),
            message: sealer.for_recipients(&letter, certs, &gossip)?.into(),
            to: circle.to.clone(),
        });
    }
    let sealer = sealer(route.sides.first().ok_or_else(no_sealer)?);
    let certs: Option<&[StoredCert]> = encrypt.then_some(&[]);
    let sent = sealer.for_sender(letter, certs)?;
    Ok(Reply::Messages {
        messages,
        sent: sent.into(),
        also: route.also(),
    })
}

/// Keeps hidden what the answered message hid.
///
/// # Errors
/// `request.invalid` where the answer would say it in the clear; those of opening the message.
fn answering(
    world: &World,
    source: &Source,
    request: &Request,
    letter: &mut Letter,
    cx: &Context,
) -> Result<()> {
    let answered = match source {
        Source::Token(token) => Answered::open(world, &token.answer, "/answering")?,
        Source::Message(message) => {
            let message = message.bytes()?;
            // Whoever lost it on the way would believe that it hid nothing.
            let (head, _) = split::head(message);
            if Head::parse(message.slice(head))?.fields().next().is_none() {
                return Err(Error::invalid(
                    "/answering",
                    "this is no message: it has no header field; give the whole message, or its token",
                ));
            }
            open::message(world, message, request.ask, cx)?.answered
        }
    };
    let draft = request.purpose == Purpose::Draft;
    letter.hidden = answered.hidden(&letter.fields);
    if draft {
        let token = match source {
            Source::Token(token) => Some(token.answer.clone()),
            Source::Message(_) => answered.token(world)?,
        };
        letter.answers = token.map(|token| drafts::answers(&token)).transpose()?;
    }
    // Neither in the clear nor around inline armor is there a place to hide anything.
    let hides = (request.protect.encrypt || draft) && letter.inline.is_none();
    if !hides && !letter.hidden.is_empty() {
        return Err(Error::invalid(
            "/protect",
            "the answered message was encrypted and kept its subject or recipients hidden; encrypt the answer as a whole, or write another subject",
        ));
    }
    Ok(())
}

/// What is to be sealed, with everything decided that all its copies share.
fn letter(world: &World, request: &Request, cx: &Context) -> Result<Letter> {
    let now = unix(cx.now);
    if let Some(draft) = &request.draft {
        let mut draft = draft.clone();
        let from = draft
            .from
            .clone()
            .ok_or_else(|| Error::invalid("/draft/from", "say whom the message is from"))?;
        if request.attach_key {
            let key = own_key(world, &from, &request.protect, cx)?;
            draft.attachments.extend(key);
        }
        return envelope::letter_of_draft(world, &draft, from, &request.protect, now, cx);
    }
    if request.attach_key {
        return Err(Error::invalid(
            "/attachKey",
            "a key can only be attached to a draft",
        ));
    }
    match &request.message {
        Some(message) => envelope::letter_of_message(world, message.bytes()?, now, cx),
        None => Err(Error::invalid(
            "/form",
            "a payload has no header fields; ask for form: payload",
        )),
    }
}

/// Our own certificate as an attachment; `None` where the signature brings it (RFC 8551 2.3).
fn own_key(
    world: &World,
    from: &Mailbox,
    protect: &Protect,
    cx: &Context,
) -> Result<Option<Attachment>> {
    let want = protect.want(Usage::Sign);
    let cert = choose::signer(world, &from.address, &want, cx)?;
    if cert.id.protocol() == Protocol::Smime {
        return match protect.sign {
            true => Ok(None),
            false => Err(Error::invalid(
                "/attachKey",
                "an s/mime certificate goes along with a signature; sign the message",
            )),
        };
    }
    let engine = world.engine(cert.id.protocol())?;
    let armored = engine.export(std::slice::from_ref(&cert.cert), Format::Armored)?;
    Ok(Some(Attachment {
        name: Some(format!("OpenPGP_0x{}.asc", cert.id.fingerprint())),
        media_type: Some("application/pgp-keys".to_owned()),
        body: armored.into(),
        content_id: None,
    }))
}

/// Who signs something that has no From: the named one, or the only one there is.
pub(super) fn signer_or_only(
    world: &World,
    from: Option<&Address>,
    protect: &Protect,
    cx: &Context,
) -> Result<StoredCert> {
    let want = protect.want(Usage::Sign);
    match from {
        Some(from) => choose::signer(world, from, &want, cx),
        None => choose::only_signer(world, &want, cx),
    }
}
