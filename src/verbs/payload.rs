//! `message/seal` for a page: one envelope without header fields.

use bytes::Bytes;

use super::choose::{self, Want};
use super::recipients::{self, Party};
use super::seal::{Choice, Reply, Request, signer_or_only};
use super::{World, archive, envelope, plan, route};
use crate::base::context::unix;
use crate::base::extra::Extra;
use crate::base::job::Stage;
use crate::base::keys::Usage;
use crate::base::layer::{Seal, SealedOut};
use crate::base::policy::Sealing;
use crate::base::verdict::Scheme;
use crate::base::{Address, Context, Error, Kind, Result};
use crate::mail::{compose, whole};

/// `form: payload`: one envelope for `to`, without header fields.
pub(super) fn payload(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    let protect = &request.protect;
    let (content, from, to) = payload_parts(world, request, cx)?;
    let from = from.or_else(|| account(request));
    let party = Party {
        from: from.as_ref(),
        visible: &to,
        bcc: &[],
    };
    let found = recipients::find(world, &party, protect, cx)?;
    if let Some(plan) = &request.plan
        && *plan != plan::token(world, &party, &found, protect, cx)?
    {
        return Err(Error::new(
            Kind::PlanStale,
            "keys, or what is asked for, have changed since this was planned; plan again",
        ));
    }
    let sealing = Sealing {
        sign: protect.sign.into(),
        encrypt: protect.encrypt.into(),
    };
    // Whom it goes to need not be said.
    if let Some(rule) = cx.policy.broken_by(None, sealing).first() {
        return Err(choose::refused(rule));
    }
    recipients::admitted(&found.recipients)?;
    let signer = match protect.sign {
        true => Some(signer_or_only(world, from.as_ref(), protect, cx)?),
        false => None,
    };
    let (mut readers, mut also) = (Vec::new(), Vec::new());
    if protect.encrypt {
        if to.is_empty() {
            return Err(Error::invalid("/to", "name at least one recipient"));
        }
        recipients::keys(&found.recipients)?;
        let certs = found.recipients.iter().flat_map(|one| one.certs());
        readers = choose::distinct(certs.cloned().collect());
        let first = readers.first().map(|cert| cert.id.protocol());
        if readers.iter().any(|cert| Some(cert.id.protocol()) != first) {
            return Err(Error::invalid(
                "/to",
                "these recipients need different protocols; use form: messages",
            ));
        }
        let want = Want {
            choice: first.map_or(found.family, Choice::from),
            ..protect.want(Usage::Encrypt)
        };
        if let Some(from) = &from
            && let Ok(own) = route::own(world, from, &want, cx)
        {
            readers.push(own);
        }
        if let Some(first) = first {
            let archive = archive::also(world, first, cx)?;
            also = archive.iter().map(|cert| cert.id.clone()).collect();
            readers.extend(archive);
        }
        readers = choose::distinct(readers);
    }
    let Some(protocol) = signer
        .iter()
        .chain(&readers)
        .map(|cert| cert.id.protocol())
        .next()
    else {
        return Err(Error::invalid(
            "/protect",
            "a payload is signed, encrypted or both",
        ));
    };
    let how = Seal {
        recipients: &readers,
        signer: signer.as_ref(),
        scheme: protect.scheme.unwrap_or(Scheme::Mime),
        cipher: protect.cipher,
        intended: true,
        extra: Extra::default(),
    };
    cx.job.stage(Stage::Crypto);
    let sealed = world.engine(protocol)?.seal(&content, &how, cx)?;
    Ok(Reply::Payload {
        payload: match sealed {
            SealedOut::Encrypted(bytes)
            | SealedOut::Enveloped { der: bytes, .. }
            | SealedOut::Inside(bytes)
            | SealedOut::Detached {
                signature: bytes, ..
            } => bytes.into(),
        },
        also,
    })
}

/// The content of a lone envelope, who it is from and to whom it goes.
fn payload_parts(
    world: &World,
    request: &Request,
    cx: &Context,
) -> Result<(Bytes, Option<Address>, Vec<Address>)> {
    let inline = request.protect.scheme == Some(Scheme::Inline);
    if let Some(payload) = &request.payload {
        let bytes = payload.bytes()?;
        let content = if inline {
            bytes.clone()
        } else {
            whole::entity_of(bytes)?.into()
        };
        return Ok((content, None, request.to.clone()));
    }
    if let Some(draft) = &request.draft {
        if !draft.bcc.is_empty() {
            return Err(Error::invalid(
                "/draft/bcc",
                "one envelope can't hide a recipient; use form: messages",
            ));
        }
        let content = match (inline, &draft.text) {
            (true, Some(text)) => text.bytes()?.clone(),
            _ => compose::body(draft)?.into(),
        };
        let named = draft
            .to
            .iter()
            .chain(&draft.cc)
            .map(|mailbox| mailbox.address.clone());
        let to = if request.to.is_empty() {
            named.collect()
        } else {
            request.to.clone()
        };
        return Ok((
            content,
            draft.from.as_ref().map(|from| from.address.clone()),
            to,
        ));
    }
    let Some(message) = &request.message else {
        return Err(Error::invalid("", "give one of draft, message and payload"));
    };
    let letter = envelope::letter_of_message(world, message.bytes()?, unix(cx.now), cx)?;
    if !letter.bcc.is_empty() {
        return Err(Error::invalid(
            "/message",
            "one envelope can't hide a recipient; use form: messages",
        ));
    }
    let to = if request.to.is_empty() {
        letter.visible
    } else {
        request.to.clone()
    };
    Ok((letter.entity, Some(letter.from.address), to))
}

/// The account that the client says it works for, where that is an address.
fn account(request: &Request) -> Option<Address> {
    Address::parse(request.context.as_ref()?.account.as_deref()?)
}
