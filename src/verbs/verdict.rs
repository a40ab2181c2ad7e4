//! From the facts that were peeled off a message to the contract's words: summary, layers,
//! parts, what to show and what may be quoted (RFC 9787).

use bytes::Bytes;

use super::answer::Judged;
use super::headers::{self, Seen};
use super::judge::{self, Claims, Place};
use super::pages::{give_way, is_active, pages, shown};
use super::peel::{Payload, Peeled, PeeledLayer, PeeledPart};
use crate::base::context::{rfc3339, unix};
use crate::base::layer::Fit;
use crate::base::verdict::{
    Extent, Integrity, LayerKind, OpenedMessage, Part, Protection, Reason, Signature, Signed,
    Status, Summary, SummarySigner, Warning,
};
use crate::base::{Body, Context, Protocol, Result};
use crate::mail::html::Page;

/// Everything that was seen, put into the contract's words; and what an answer needs of it.
pub(super) fn verdict(
    peeled: &mut Peeled,
    seen: &Seen,
    claims: &Claims,
    cx: &Context,
) -> Result<(OpenedMessage, Judged)> {
    let mut warnings = seen.warnings();
    let statuses = signatures(peeled, claims, &mut warnings, cx)?;
    let envelope = |layer: &&PeeledLayer| layer.envelope && layer.scope == 0;
    let encrypted = extent(peeled);
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
    // One inside the payload, over its text alone, says nothing of its fields.
    let over_fields = peeled.layers.iter().enumerate().any(|(index, layer)| {
        envelope(&layer) && layer.layer.kind == LayerKind::Signature && is_around(peeled, index)
    });
    let bound = signer.is_some() && over_fields;
    // Where the two differ, one is judged and the other is shown.
    for from in [claims.from.as_ref(), seen.shown_from(bound)] {
        if let Some(from) = from
            && cx.certs.imitates_known(from)?
        {
            warnings.push(Warning::LooksLikeKnown);
        }
    }
    // A name may say where somebody works, unless it says somebody whose key is here.
    for named in seen.readings() {
        for protocol in Protocol::ALL {
            if !cx.certs.by_address(protocol, &named)?.is_empty() {
                warnings.push(Warning::AddressInName);
            }
        }
    }
    if seen.mismatch() && !bound {
        warnings.push(Warning::FromMismatch);
    }
    if (0..peeled.layers.len()).any(|index| unauthenticated(peeled, &statuses, index)) {
        warnings.push(Warning::Unauthenticated);
    }
    if peeled
        .layers
        .iter()
        .any(|layer| layer.layer.error.is_some())
    {
        warnings.push(Warning::PartClosed);
    }
    let headers = seen.headers(bound);
    // Without integrity the From inside may be anybody's work.
    let sealed = peeled.payload.as_ref().is_some_and(Payload::is_sealed)
        && !warnings.contains(&Warning::Unauthenticated);
    let mut pages = pages(peeled, cx)?;
    give_way(peeled, &pages);
    let judged = quotable(
        peeled,
        &pages,
        encrypted,
        bound || sealed && seen.same_protected_from(),
        seen.mismatch() && !bound,
    );
    let quote = judged.quote();
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
    let parts = parts(peeled, &mut pages, &statuses);
    let opened = OpenedMessage {
        summary: Summary {
            encrypted,
            signed,
            signer,
            warnings,
        },
        headers,
        layers: std::mem::take(&mut peeled.layers)
            .into_iter()
            .map(|layer| layer.layer)
            .collect(),
        parts,
        show,
        quote,
        keys: std::mem::take(&mut peeled.keys),
        draft: None,
        answer: None,
        judged_at: cx.at.map(|at| rfc3339(unix(at))),
        revision: 0,
    };
    Ok((opened, judged))
}

/// Whether a layer is around the cryptographic payload, or there is no payload that says anything
/// of itself.
fn is_around(peeled: &Peeled, index: usize) -> bool {
    let payload = peeled.payload.as_ref();
    let payload = payload.filter(|payload| payload.protected.hp.is_some());
    payload.is_none_or(|payload| payload.layers.contains(&index))
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
                shown_date: None,
                ..Claims::default()
            },
        })
        .collect();
    // What is signed by itself may have been taken out of an older message.
    let apart = Claims {
        date: claims.shown_date,
        ..claims.clone()
    };
    // Inside the payload it covers none of the fields there.
    let within = Claims {
        from: claims.from.clone().filter(|_| !claims.differs),
        date: claims.shown_date,
        ..claims.clone()
    };
    let mut statuses = Vec::with_capacity(peeled.layers.len());
    let mut brought = Vec::new();
    for index in 0..peeled.layers.len() {
        let place = place(&peeled.layers, index);
        let covers = covers(peeled, index);
        let is_around = is_around(peeled, index);
        let Some(layer) = peeled.layers.get_mut(index) else {
            continue;
        };
        let scopes = [peeled.scopes.first(), peeled.scopes.get(layer.scope)];
        let ambiguous = scopes.into_iter().flatten().any(|scope| scope.ambiguous);
        if layer.layer.kind == LayerKind::Encryption {
            statuses.push(Signed::None);
            continue;
        }
        let claims = match layer.scope {
            0 if !layer.envelope => &apart,
            0 if !is_around => &within,
            scope => others.get(scope).unwrap_or(claims),
        };
        let mut signatures: Vec<Signature> = Vec::new();
        for facts in &mut layer.facts {
            if ambiguous {
                facts.fit = Fit::Malformed;
            }
            let mut signature = judge::signature(facts, layer.layer.protocol, claims, place, cx)?;
            signature.covers.clone_from(&covers);
            if signature.status == Status::Good && layer.scope == 0 {
                brought.push(facts.clone());
            }
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
        if layer.envelope
            && signatures
                .iter()
                .any(|s| s.reasons.contains(&Reason::DateMismatch))
        {
            warnings.push(Warning::DateMismatch);
        }
        layer.layer.signatures = signatures;
        statuses.push(status);
    }
    brought.retain(|facts| !facts.brought.certs.is_empty());
    peeled.brought = brought;
    Ok(statuses)
}

/// Where a signature layer stands among the encryption layers.
fn place(layers: &[PeeledLayer], index: usize) -> Place {
    let encryption = |layer: &PeeledLayer| layer.layer.kind == LayerKind::Encryption;
    Place {
        outside_encryption: (0..layers.len()).any(|at| {
            layers.get(at).is_some_and(encryption)
                && run_around(layers, at).any(|outer| outer == index)
        }),
    }
}

/// The layers around a layer, innermost first, as far as each holds nothing else.
fn run_around(layers: &[PeeledLayer], index: usize) -> impl Iterator<Item = usize> {
    let outer = |at: &usize| {
        let layer = layers.get(*at)?;
        layer.parent.filter(|_| layer.direct)
    };
    std::iter::successors(outer(&index), outer)
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

/// Whether what a layer encrypts could have been changed unseen: it has no integrity, and
/// neither a good signature stands directly inside nor a draft's mark of our own.
fn unauthenticated(peeled: &Peeled, statuses: &[Signed], index: usize) -> bool {
    let open = |layer: &PeeledLayer| layer.layer.integrity == Some(Integrity::None);
    let inside = || peeled.layers.iter().zip(statuses);
    let vouched = |layer: &PeeledLayer| peeled.own_draft && layer.envelope;
    let layer = peeled.layers.get(index);
    layer.is_some_and(|layer| open(layer) && !vouched(layer))
        && !inside().enumerate().any(|(at, (layer, status))| {
            // One inside the payload leaves its fields to anybody.
            let whole = !is_around(peeled, index) || is_around(peeled, at);
            layer.parent == Some(index) && layer.direct && whole && *status == Signed::Good
        })
}

/// What the signatures around a part come to. One that lies outside an encryption of that part
/// was made by somebody who need not know what the part says.
fn signed(around: &[usize], layers: &[PeeledLayer], statuses: &[Signed]) -> Signed {
    let mut signed = Signed::None;
    for index in around {
        let layer = layers.get(*index).map(|layer| layer.layer.kind);
        if layer == Some(LayerKind::Encryption) && signed == Signed::Good {
            signed = Signed::Unverified;
        }
        if let Some(status) = statuses.get(*index) {
            signed = signed.worse(*status);
        }
    }
    signed
}

/// The parts as a client sees them.
fn parts(peeled: &mut Peeled, pages: &mut [Option<Page>], statuses: &[Signed]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(peeled.parts.len());
    let bare: Vec<bool> = (0..peeled.layers.len())
        .map(|index| unauthenticated(peeled, statuses, index))
        .collect();
    let is_bare = |part: &PeeledPart| {
        part.layers
            .iter()
            .any(|index| bare.get(*index) == Some(&true))
    };
    let mut htmls = Vec::with_capacity(pages.len());
    for (at, page) in pages.iter_mut().enumerate() {
        let bare = peeled.parts.get(at).is_some_and(is_bare);
        htmls.push(page.take().map(|page| shown(page, at, &peeled.parts, bare)));
    }
    for (mut part, html) in std::mem::take(&mut peeled.parts).into_iter().zip(htmls) {
        let withheld = is_active(&part.media_type) && is_bare(&part);
        if withheld {
            part.body = Bytes::new();
        }
        let around = |index: &usize| peeled.layers.get(*index);
        let encrypted = part
            .layers
            .iter()
            .filter_map(around)
            .any(|layer| layer.layer.kind == LayerKind::Encryption);
        let signed = signed(&part.layers, &peeled.layers, statuses);
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
            html,
            withheld,
        });
    }
    parts
}

/// What there is to quote in an answer: the shown text of an unencrypted message, or of the one
/// outermost encrypted layer; and whether something binds it to the person answered. Nothing
/// else that was decrypted: a message can be made of others' ciphertexts.
fn quotable(
    peeled: &Peeled,
    pages: &[Option<Page>],
    encrypted: Extent,
    protected: bool,
    mismatch: bool,
) -> Judged {
    let opens = |index: &usize| {
        peeled
            .layers
            .get(*index)
            .is_some_and(|l| l.layer.kind == LayerKind::Encryption)
    };
    let outermost = match encrypted {
        Extent::Whole => peeled.layers.iter().position(|layer| {
            layer.layer.kind == LayerKind::Encryption
                && layer.envelope
                && layer.layer.error.is_none()
        }),
        Extent::None | Extent::Part => None,
    };
    let mut text = Vec::new();
    for (part, page) in peeled.parts.iter().zip(pages).filter(|(part, _)| part.show) {
        let mut around = part.layers.iter().filter(|index| opens(index));
        if around.next() == outermost.as_ref() && around.next().is_none() {
            match (part.media_type.as_str(), page) {
                ("text/plain", _) => text.extend_from_slice(&part.body),
                (_, Some(page)) => text.extend_from_slice(page.text.as_bytes()),
                _ => {}
            }
        }
    }
    let bound = match encrypted {
        Extent::None => !mismatch,
        Extent::Whole => protected && !mismatch,
        Extent::Part => false,
    };
    let layer = outermost.and_then(|index| peeled.layers.get(index));
    Judged {
        encrypted,
        text,
        bound,
        layer: layer.map(|layer| layer.layer.id.clone()),
    }
}
