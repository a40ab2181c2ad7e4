//! `message/open`: peels a message layer by layer and says what was seen.

use bytes::Bytes;
use serde::Deserialize;

use super::headers::{self, Seen};
use super::judge::{self, Claims, Place};
use super::peel::{self, Opens, Peeled, PeeledLayer};
use super::{Ask, Asks, Origin, World, harvest};
use crate::base::body::{Bodies, Body};
use crate::base::context::{from_unix, parse_date, parse_rfc3339, rfc3339};
use crate::base::error::Closed;
use crate::base::layer::{Fit, Form, Sealed};
use crate::base::verdict::{
    Extent, FoundChange, Integrity, LayerKind, OpenedMessage, Part, Protection, Scheme, Signature,
    Signed, Status, Summary, SummarySigner, Warning,
};
use crate::base::{Address, Context, Error, Mailbox, Protocol, Result};
use crate::mail::{Entity, armor, layers};

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
/// `request.invalid`; `message.malformed`, `message.too-large`, `limit.exceeded`; those of the
/// outermost layer, with the outer header fields and the recipients in `data`.
pub fn open(world: &World, request: &Request, cx: &Context) -> Result<OpenedMessage> {
    let mut cx = cx.clone();
    if let Some(at) = &request.at {
        let at =
            parse_rfc3339(at).ok_or_else(|| Error::invalid("/at", "use an RFC 3339 instant"))?;
        cx.at = Some(from_unix(at));
    }
    match (&request.message, &request.payload) {
        (Some(message), None) => whole(world, message.bytes()?, request.ask, &cx),
        (None, Some(payload)) => lone(world, payload, request.ask, &cx),
        _ => Err(Error::invalid("", "give either a message or a payload")),
    }
}

/// A whole message.
fn whole(world: &World, message: &Bytes, ask: Ask, cx: &Context) -> Result<OpenedMessage> {
    check_size(message)?;
    let root = Entity::parse(message.clone(), "")?;
    let mut opened = looked_at(world, &root, ask, cx)?;
    let single = headers::single_from(&root.head);
    let offers: Vec<_> = root
        .head
        .all("Autocrypt")
        .map(|field| field.unfolded())
        .collect();
    if let (Some(from), [offer]) = (single, offers.as_slice()) {
        let date = root.head.first("Date").and_then(|date| date.date());
        let found = harvest::autocrypt(world, &from, date, offer, cx)?;
        let came_along = found
            .as_ref()
            .is_some_and(|found| found.change != FoundChange::Known);
        if came_along && opened.summary.signed == Signed::Unknown && cx.at.is_none() {
            // The certificate that the signature wanted came with it.
            let keys = std::mem::take(&mut opened.keys);
            opened = looked_at(world, &root, Ask::Never, cx)?;
            opened.keys = keys;
        }
        opened.keys.extend(found);
    }
    opened.revision = world.store.revision()?;
    Ok(opened)
}

/// Takes a message apart and judges it.
fn looked_at(world: &World, root: &Entity, ask: Ask, cx: &Context) -> Result<OpenedMessage> {
    let peeled =
        peel::message(world, root, ask, cx).map_err(|error| closed(world, root, error, cx))?;
    let seen = headers::seen(&root.head, peeled.payload.as_ref());
    let claims = Claims {
        from: seen.from().cloned(),
        date: seen.unprotected_date(),
        claimed: false,
    };
    verdict(peeled, &seen, &claims, cx)
}

/// Armor, an attachment, or a body with its signature, out of a page.
fn lone(world: &World, payload: &Payload, ask: Ask, cx: &Context) -> Result<OpenedMessage> {
    let data = payload.data.bytes()?;
    check_size(data)?;
    let claimed = payload.claimed.clone().unwrap_or_default();
    let peeled = match &payload.signature {
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
            None => peel::text(world, data, Opens::Everything, ask, cx)?,
        },
    };
    let seen = headers::claimed(&claimed, peeled.payload.as_ref());
    let date = match &claimed.date {
        Some(date) => Some(parse_date(date).ok_or_else(|| {
            Error::invalid("/payload/claimed/date", "use an RFC 3339 or RFC 5322 date")
        })?),
        None => None,
    };
    let protected = seen.protected_from();
    let claims = Claims {
        from: seen.from().cloned(),
        date: date.filter(|_| !protected),
        claimed: !protected,
    };
    let mut opened = verdict(peeled, &seen, &claims, cx)?;
    opened.revision = world.store.revision()?;
    Ok(opened)
}

fn check_size(data: &Bytes) -> Result<()> {
    if data.len() > MESSAGE_MAX {
        return Err(Error::new(
            crate::base::Kind::MessageTooLarge,
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
        _ => {
            let trimmed = data.trim_ascii();
            let whole = armor::segments(trimmed);
            match whole.as_slice() {
                [only] if only.kind == armor::SegmentKind::Message => {
                    Some(Form::Encrypted { data: data.clone() })
                }
                _ => None,
            }
        }
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
    let recipients = match layers::layer(root) {
        Some(found) => match (&found.sealed.form, world.engine(found.sealed.protocol)) {
            (Form::Encrypted { data }, Ok(engine)) => engine.recipients(data, cx),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let headers = headers::seen(&root.head, None).headers(false, false);
    error.closed = Some(Box::new(Closed {
        headers,
        recipients,
    }));
    error
}

/// Everything that was seen, put into the contract's words.
fn verdict(
    mut peeled: Peeled,
    seen: &Seen,
    claims: &Claims,
    cx: &Context,
) -> Result<OpenedMessage> {
    let mut warnings = seen.warnings();
    let statuses = signatures(&mut peeled, claims, &mut warnings, cx)?;
    let envelope = |layer: &&PeeledLayer| layer.envelope && layer.scope == 0;
    let encrypted = extent(&peeled);
    let mut signed = Signed::None;
    for (layer, status) in peeled.layers.iter().zip(&statuses) {
        if envelope(&layer) {
            signed = signed.worse(*status);
        }
    }
    let good = peeled
        .layers
        .iter()
        .filter(envelope)
        .flat_map(|layer| &layer.layer.signatures)
        .rfind(|signature| signed == Signed::Good && signature.status == Status::Good);
    let signer = good.and_then(|signature| {
        Some(SummarySigner {
            id: signature.signer.id.clone()?,
            address: claims.from.clone()?,
        })
    });
    let bound = signer.is_some();
    if seen.mismatch() && !bound {
        warnings.push(Warning::FromMismatch);
    }
    if peeled
        .layers
        .iter()
        .any(|layer| layer.layer.integrity == Some(Integrity::None))
    {
        warnings.push(Warning::Unauthenticated);
    }
    if peeled
        .layers
        .iter()
        .any(|layer| layer.layer.error.is_some())
    {
        warnings.push(Warning::PartClosed);
    }
    let headers = seen.headers(bound, encrypted == Extent::Whole);
    let quote = quote(&peeled, encrypted, bound || seen.same_protected_from());
    if quote.is_none() && encrypted != Extent::None {
        warnings.push(Warning::QuoteWithheld);
    }
    warnings.sort_unstable();
    warnings.dedup();
    let show = peeled
        .parts
        .iter()
        .filter(|part| part.show)
        .map(|part| part.id.clone())
        .collect();
    let parts = parts(&mut peeled, &statuses);
    Ok(OpenedMessage {
        summary: Summary {
            encrypted,
            signed,
            signer,
            warnings,
        },
        headers,
        layers: peeled.layers.into_iter().map(|layer| layer.layer).collect(),
        parts,
        show,
        quote,
        keys: peeled.keys,
        draft: None,
        answer: None,
        judged_at: cx.at.map(|at| rfc3339(crate::base::context::unix(at))),
        revision: 0,
    })
}

/// Judges every signature, and says what each layer comes to.
pub(super) fn signatures(
    peeled: &mut Peeled,
    claims: &Claims,
    warnings: &mut Vec<Warning>,
    cx: &Context,
) -> Result<Vec<Signed>> {
    let others: Vec<Claims> = peeled
        .scopes
        .iter()
        .enumerate()
        .map(|(index, scope)| match index {
            0 => claims.clone(),
            _ => Claims {
                from: headers::single_from(&scope.head),
                date: scope.head.first("Date").and_then(|date| date.date()),
                claimed: false,
            },
        })
        .collect();
    let mut statuses = Vec::with_capacity(peeled.layers.len());
    for index in 0..peeled.layers.len() {
        let place = place(&peeled.layers, index);
        let covers = covers(peeled, index);
        let ambiguous = peeled.ambiguous;
        let Some(layer) = peeled.layers.get_mut(index) else {
            continue;
        };
        if layer.layer.kind == LayerKind::Encryption {
            statuses.push(Signed::None);
            continue;
        }
        let claims = others.get(layer.scope).unwrap_or(claims);
        let mut signatures: Vec<Signature> = Vec::new();
        for facts in &mut layer.facts {
            if ambiguous {
                facts.fit = Fit::Malformed;
            }
            let mut signature = judge::signature(facts, layer.layer.protocol, claims, place, cx)?;
            signature.covers.clone_from(&covers);
            signatures.push(signature);
        }
        let (status, other) = match signatures.is_empty() {
            // A layer that is there and says nothing can't be told from one that was broken.
            true => (Signed::Bad, false),
            false => judge::layer(&signatures, claims.from.as_ref()),
        };
        if other && layer.envelope {
            warnings.push(Warning::OtherSignature);
        }
        layer.layer.signatures = signatures;
        statuses.push(status);
    }
    Ok(statuses)
}

/// Where a signature layer stands among the encryption layers.
fn place(layers: &[PeeledLayer], index: usize) -> Place {
    let encryption = |layer: &PeeledLayer| layer.layer.kind == LayerKind::Encryption;
    let within = |layer: &PeeledLayer, outer: usize| {
        let mut parent = layer.parent;
        while let Some(at) = parent {
            if at == outer {
                return true;
            }
            parent = layers.get(at).and_then(|layer| layer.parent);
        }
        false
    };
    let own = layers.get(index);
    Place {
        outside_encryption: layers
            .iter()
            .any(|layer| encryption(layer) && layer.envelope && within(layer, index)),
        inside_encryption: own.is_some_and(|own| {
            layers
                .iter()
                .enumerate()
                .any(|(at, layer)| encryption(layer) && within(own, at))
        }),
    }
}

fn covers(peeled: &Peeled, index: usize) -> Vec<String> {
    let covered = peeled
        .parts
        .iter()
        .filter(|part| part.layers.contains(&index));
    covered.map(|part| part.id.clone()).collect()
}

/// How much of the message is encrypted.
fn extent(peeled: &Peeled) -> Extent {
    let mut extent = Extent::None;
    for layer in &peeled.layers {
        if layer.layer.kind == LayerKind::Encryption {
            if layer.envelope && layer.scope == 0 && layer.layer.error.is_none() {
                return Extent::Whole;
            }
            extent = Extent::Part;
        }
    }
    extent
}

/// The parts as a client sees them.
fn parts(peeled: &mut Peeled, statuses: &[Signed]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(peeled.parts.len());
    for part in std::mem::take(&mut peeled.parts) {
        let around = |index: &usize| peeled.layers.get(*index);
        let encrypted = part
            .layers
            .iter()
            .filter_map(around)
            .any(|layer| layer.layer.kind == LayerKind::Encryption);
        let signed = part
            .layers
            .iter()
            .filter_map(|index| statuses.get(*index))
            .fold(Signed::None, |worst, status| worst.worse(*status));
        parts.push(Part {
            id: part.id,
            media_type: part.media_type,
            name: part.name,
            disposition: part.disposition,
            content_id: part.content_id,
            size: part.body.len() as u64,
            layers: part
                .layers
                .iter()
                .filter_map(around)
                .map(|layer| layer.layer.id.clone())
                .collect(),
            protection: Protection { encrypted, signed },
            body: Body::Inline(part.body),
        });
    }
    parts
}

/// What may be quoted in an answer: the shown text of an unencrypted message, or of the one
/// outermost encrypted layer where something binds it to the person answered.
fn quote(peeled: &Peeled, encrypted: Extent, bound: bool) -> Option<Body> {
    let opens = |index: &usize| {
        peeled
            .layers
            .get(*index)
            .is_some_and(|l| l.layer.kind == LayerKind::Encryption)
    };
    let outermost = peeled.layers.iter().position(|layer| {
        layer.layer.kind == LayerKind::Encryption && layer.envelope && layer.layer.error.is_none()
    });
    let depth = match encrypted {
        Extent::None => 0,
        Extent::Whole if bound => 1,
        _ => return None,
    };
    let mut text = Vec::new();
    for part in peeled
        .parts
        .iter()
        .filter(|part| part.show && part.media_type == "text/plain")
    {
        let around: Vec<_> = part.layers.iter().filter(|index| opens(index)).collect();
        if around.len() == depth && around.first().copied().copied() == outermost {
            text.extend_from_slice(&part.body);
        }
    }
    (!text.is_empty()).then(|| Body::from(text))
}

/// The one address that a verdict is about.
pub(super) fn one_address(mailboxes: &[Mailbox]) -> Option<Address> {
    match mailboxes {
        [one] => Some(one.address.clone()),
        _ => None,
    }
}
