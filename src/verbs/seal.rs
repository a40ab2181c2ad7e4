//! `message/seal`: builds a message, signs and encrypts it, one envelope for each circle of
//! recipients that may know of one another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::choose::{self, Want};
use super::envelope::{self, Letter, Sealer};
use super::{Ask, Asks, Origin, World, gossip, payload, plan};
use crate::base::body::{Bodies, Body};
use crate::base::context::unix;
use crate::base::draft::{Attachment, Draft};
use crate::base::job::Stage;
use crate::base::keys::{StoredCert, Usage};
use crate::base::layer::Cipher;
use crate::base::verdict::Scheme;
use crate::base::{Address, Context, Error, KeyId, Kind, Mailbox, Protocol, Result};
use crate::engine::Format;
use crate::mail::FieldOut;
use crate::mail::protect::Confidentiality;

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
    /// Which header fields an encrypted message hides (RFC 9788 3).
    pub headers: Confidentiality,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
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
    },
    Payload {
        payload: Body,
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
        self.payload.bodies(visit)
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
            Reply::Messages { messages, sent } => {
                for envelope in messages {
                    envelope.message.bodies(visit)?;
                }
                sent.bodies(visit)
            }
            Reply::Payload { payload } => payload.bodies(visit),
        }
    }
}

/// Seals a message, or one envelope without header fields.
///
/// Nothing goes out weaker than asked: a recipient without a usable key fails the whole call.
///
/// # Errors
/// `request.invalid`; `key.missing`, `key.conflict`, `key.ambiguous`, `key.unusable`,
/// `key.locked`; `plan.stale`; `policy.refused`.
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
    if request.protect.scheme == Some(Scheme::Opaque) && request.protect.protocol != Choice::Smime {
        return Err(Error::invalid(
            "/protect/scheme",
            "opaque is for S/MIME; leave it out",
        ));
    }
    match request.form {
        Form::Payload => payload::payload(world, request, cx),
        Form::Messages => messages(world, request, cx),
    }
}

/// `form: messages`.
fn messages(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    let letter = letter(world, request, cx)?;
    let protect = &request.protect;
    let from = &letter.from.address;
    let everybody: Vec<&Address> = letter.visible.iter().chain(&letter.bcc).collect();
    if let Some(plan) = &request.plan
        && *plan != plan::token_for(world, Some(from), &everybody, protect, cx)?
    {
        return Err(Error::new(
            Kind::PlanStale,
            "keys have changed since this was planned; plan again and look at the recipients",
        ));
    }
    let draft = request.purpose == Purpose::Draft;
    let encrypt = protect.encrypt || draft;
    let sign = protect.sign && !draft;
    if everybody.is_empty() && !draft {
        return Err(Error::invalid("/draft/to", "name at least one recipient"));
    }
    // All keys are looked up before anything is sealed, so that every missing one is named.
    let family = match encrypt {
        true => choose::family(world, Some(from), protect, cx)?,
        false => protect.protocol,
    };
    let want = Want {
        choice: family,
        ..protect.want(Usage::Encrypt)
    };
    let certs = match encrypt && !draft {
        true => choose::recipients(world, &everybody, &want, cx)?,
        false => Vec::new(),
    };
    let mut circles: Vec<Circle> = Vec::new();
    if !draft {
        let certs: BTreeMap<&Address, &StoredCert> =
            everybody.iter().copied().zip(&certs).collect();
        circles.extend(by_family(&letter.visible, &certs));
        for circle in &mut circles {
            let named = circle.to.iter();
            let named = named.filter_map(|to| Some((to, *certs.get(to)?)));
            circle.gossip = gossip::fields(world, from, &named.collect::<Vec<_>>())?;
        }
        for bcc in &letter.bcc {
            circles.extend(by_family(std::slice::from_ref(bcc), &certs));
        }
    }
    // One of each family that is needed, and one for the sender's own copy.
    let mut sealers: Vec<(Option<Protocol>, Sealer<'_>)> = Vec::new();
    for protocol in circles.iter().map(|circle| circle.protocol).chain([None]) {
        if sealers.iter().any(|(known, _)| *known == protocol)
            || protocol.is_none() && !sealers.is_empty()
        {
            continue;
        }
        let choice = protocol.map_or(family, Choice::from);
        let want = |usage| Want {
            choice,
            ..protect.want(usage)
        };
        let sealer = Sealer {
            world,
            protect,
            cx,
            signer: match sign {
                true => Some(choose::signer(world, from, &want(Usage::Sign), cx)?),
                false => None,
            },
            own: match encrypt {
                true => Some(own(world, from, &want(Usage::Encrypt), cx)?),
                false => None,
            },
        };
        sealers.push((protocol, sealer));
    }
    let no_sealer = || Error::internal("an envelope has nobody to seal it");
    let mut messages = Vec::new();
    for circle in circles {
        let sealer = sealers.iter().find(|(known, _)| *known == circle.protocol);
        let (_, sealer) = sealer.ok_or_else(no_sealer)?;
        let certs = encrypt.then_some(circle.certs.as_slice());
        messages.push(Envelope {
            protocol: sealer.protocol(certs),
            message: sealer
                .for_recipients(&letter, certs, &circle.gossip)?
                .into(),
            to: circle.to,
        });
    }
    let (_, sealer) = sealers.first().ok_or_else(no_sealer)?;
    let certs: Option<&[StoredCert]> = encrypt.then_some(&[]);
    let sent = sealer.for_sender(letter, certs)?;
    Ok(Reply::Messages {
        messages,
        sent: sent.into(),
    })
}

/// Those who get one envelope.
struct Circle {
    /// `None`: it is not encrypted.
    protocol: Option<Protocol>,
    to: Vec<Address>,
    certs: Vec<StoredCert>,
    /// The keys of those who are named, for answers to all of them.
    gossip: Vec<FieldOut>,
}

/// Recipients who may know of one another, those of each family together.
fn by_family(to: &[Address], certs: &BTreeMap<&Address, &StoredCert>) -> Vec<Circle> {
    let mut circles: Vec<Circle> = Vec::new();
    for address in to {
        let cert = certs.get(address).copied().cloned();
        let protocol = cert.as_ref().map(|cert| cert.id.protocol());
        let circle = match circles.iter_mut().find(|known| known.protocol == protocol) {
            Some(circle) => circle,
            None => {
                circles.push(Circle {
                    protocol,
                    to: Vec::new(),
                    certs: Vec::new(),
                    gossip: Vec::new(),
                });
                let Some(circle) = circles.last_mut() else {
                    continue;
                };
                circle
            }
        };
        circle.to.push(address.clone());
        if let Some(cert) = cert
            && !circle.certs.iter().any(|known| known.id == cert.id)
        {
            circle.certs.push(cert);
        }
    }
    circles
}

/// Our own certificate for reading what we have sent.
pub(super) fn own(
    world: &World,
    from: &Address,
    want: &Want<'_>,
    cx: &Context,
) -> Result<StoredCert> {
    let options = choose::options(world, from, want, cx)?;
    options.chosen.filter(|cert| cert.own).ok_or_else(|| {
        Error::new(
            Kind::KeyMissing {
                r#for: crate::base::error::KeyUse::Recipient,
                addresses: vec![from.to_string()],
                key_ids: Vec::new(),
            },
            "there is no key of your own for this address, so you could not read what you send; make or import one",
        )
    })
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
            draft
                .attachments
                .push(own_key(world, &from, &request.protect, cx)?);
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

/// Our own certificate as an attachment.
fn own_key(world: &World, from: &Mailbox, protect: &Protect, cx: &Context) -> Result<Attachment> {
    let want = protect.want(Usage::Sign);
    let cert = choose::signer(world, &from.address, &want, cx)?;
    let engine = world.engine(cert.id.protocol())?;
    let armored = engine.export(std::slice::from_ref(&cert.cert), Format::Armored)?;
    Ok(Attachment {
        name: Some(format!("OpenPGP_0x{}.asc", cert.id.fingerprint())),
        media_type: Some("application/pgp-keys".to_owned()),
        body: armored.into(),
        content_id: None,
    })
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
