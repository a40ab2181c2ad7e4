//! Small things on a page: a block of armor, a signed paragraph, a text box.

use serde::{Deserialize, Serialize};

use super::choose;
use super::judge::Claims;
use super::peel::{self, Opens, Peeled};
use super::pieces;
use super::recipients::{self, Party};
use super::seal::{Choice, Protect, signer_or_only};
use super::{Ask, Asks, Origin, World, archive, route, verdict};
use crate::base::body::{Bodies, Body};
use crate::base::extra::Extra;
use crate::base::job::Stage;
use crate::base::keys::{StoredCert, Usage};
use crate::base::layer::{Cipher, Seal, SealedOut};
use crate::base::policy::{Done, Sealing};
use crate::base::verdict::{LayerKind, Scheme, Segment, Signed};
use crate::base::{Address, Context, Error, KeyId, Protocol, Result};

/// `text/decrypt {text}` and `text/verify {text, expect?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenRequest {
    pub text: Body,
    /// Who ought to have signed. Without it the best status is `unverified`, `no-address`.
    #[serde(default)]
    pub expect: Option<Address>,
    #[serde(default)]
    pub ask: Ask,
    #[serde(default)]
    pub context: Option<Origin>,
}

/// The text in pieces; what stands outside armor is a piece of its own, unprotected. What a page
/// made of armor is undone; a signed text is the one that was verified.
#[derive(Debug, Clone, Serialize)]
pub struct OpenReply {
    pub segments: Vec<Segment>,
    pub revision: u64,
}

/// `text/encrypt {text, to, sign?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncryptRequest {
    pub text: Body,
    pub to: Vec<Address>,
    #[serde(default)]
    pub sign: Option<Signer>,
    #[serde(default)]
    pub ask: Ask,
    #[serde(default)]
    pub context: Option<Origin>,
}

/// `text/sign {text}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignRequest {
    pub text: Body,
    /// Who signs; needed only by those who have several keys.
    #[serde(default)]
    pub from: Option<Address>,
    #[serde(default)]
    pub ask: Ask,
    #[serde(default)]
    pub context: Option<Origin>,
}

/// Whether to sign, or as whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Signer {
    Own(bool),
    As(Address),
}

/// A sealed small text.
#[derive(Debug, Clone, Serialize)]
pub struct SealReply {
    pub text: Body,
    /// The keys that policy had it encrypted to as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<KeyId>,
}

impl Bodies for OpenRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Bodies for EncryptRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Bodies for SignRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Bodies for OpenReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.segments.bodies(visit)
    }
}

impl Bodies for SealReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)
    }
}

impl Asks for OpenRequest {
    fn ask(&self) -> Ask {
        self.ask
    }

    fn origin(&self) -> Option<&str> {
        self.context.as_ref()?.origin.as_deref()
    }
}

impl Asks for EncryptRequest {
    fn ask(&self) -> Ask {
        self.ask
    }

    fn origin(&self) -> Option<&str> {
        self.context.as_ref()?.origin.as_deref()
    }
}

impl Asks for SignRequest {
    fn ask(&self) -> Ask {
        self.ask
    }

    fn origin(&self) -> Option<&str> {
        self.context.as_ref()?.origin.as_deref()
    }
}

/// The longest text: what a page can hold in a text box and somebody would still read.
const TEXT_MAX: usize = 16 << 20;

/// `text/decrypt`: opens every block in a text.
///
/// # Errors
/// Those of the block, where the text is nothing else; among other text a block that can't be
/// opened stays as it is.
pub fn decrypt(world: &World, request: &OpenRequest, cx: &Context) -> Result<OpenReply> {
    opened(world, request, Opens::Everything, cx)
}

/// `text/verify`: says what is signed in a text. Encrypted blocks stay as they are.
///
/// # Errors
/// Those of the store.
pub fn verify(world: &World, request: &OpenRequest, cx: &Context) -> Result<OpenReply> {
    opened(world, request, Opens::Signatures, cx)
}

fn opened(world: &World, request: &OpenRequest, opens: Opens, cx: &Context) -> Result<OpenReply> {
    let text = request.text.bytes()?;
    check_size(text.len())?;
    let pieces = pieces::repaired(world, text, cx)?;
    let mut peeled = peel::text(world, pieces, opens, request.ask, cx)?;
    let claims = Claims {
        from: request.expect.clone(),
        ..Claims::default()
    };
    let statuses = verdict::signatures(&mut peeled, &claims, &mut Vec::new(), cx)?;
    Ok(OpenReply {
        segments: segments(peeled, &statuses),
        revision: world.store.revision()?,
    })
}

fn check_size(length: usize) -> Result<()> {
    match length > TEXT_MAX {
        true => Err(Error::limit(
            "text",
            "the text is larger than 16 MiB; open it as a message",
        )),
        false => Ok(()),
    }
}

fn segments(peeled: Peeled, statuses: &[Signed]) -> Vec<Segment> {
    let Peeled { layers, parts, .. } = peeled;
    let mut segments = Vec::with_capacity(parts.len());
    for part in parts {
        let around = || part.layers.iter().filter_map(|index| layers.get(*index));
        segments.push(Segment {
            encrypted: around().any(|layer| layer.layer.kind == LayerKind::Encryption),
            signed: part
                .layers
                .iter()
                .filter_map(|index| statuses.get(*index))
                .fold(Signed::None, |worst, status| worst.worse(*status)),
            signatures: around()
                .flat_map(|layer| layer.layer.signatures.clone())
                .collect(),
            text: Body::Inline(part.body),
        });
    }
    segments
}

/// `text/encrypt`: one armored block for the recipients, and for ourselves where it is known
/// who we are.
///
/// # Errors
/// As `message/seal`.
pub fn encrypt(world: &World, request: &EncryptRequest, cx: &Context) -> Result<SealReply> {
    let from = match &request.sign {
        Some(Signer::As(address)) => Some(address.clone()),
        _ => request.context.as_ref().and_then(Origin::address),
    };
    let sign = !matches!(request.sign, None | Some(Signer::Own(false)));
    let protect = Protect {
        scheme: Some(Scheme::Inline),
        protocol: Choice::OpenPgp,
        encrypt: true,
        sign,
        ..Protect::default()
    };
    if request.to.is_empty() {
        return Err(Error::invalid("/to", "name at least one recipient"));
    }
    let party = Party {
        from: from.as_ref(),
        visible: &request.to,
        bcc: &[],
    };
    let found = recipients::find(world, &party, &protect, cx)?;
    recipients::admitted(&found.recipients)?;
    recipients::keys(&found.recipients)?;
    let certs = found.recipients.iter().flat_map(|one| one.certs());
    let mut readers: Vec<StoredCert> = certs.cloned().collect();
    let want = protect.want(Usage::Encrypt);
    if let Some(from) = &from
        && let Ok(own) = route::own(world, from, &want, cx)
    {
        readers.push(own);
    }
    let archive = archive::also(world, Protocol::OpenPgp, cx)?;
    let also = archive.iter().map(|cert| cert.id.clone()).collect();
    readers.extend(archive);
    let readers = choose::distinct(readers);
    let signer = match sign {
        false => None,
        true => Some(signer_or_only(world, from.as_ref(), &protect, cx)?),
    };
    let text = sealed(world, &request.text, &readers, signer.as_ref(), cx)?;
    Ok(SealReply { text, also })
}

/// `text/sign`: the text in a cleartext signature frame (RFC 9580 7).
///
/// # Errors
/// `key.missing` (sign), `key.ambiguous`, `key.locked`.
pub fn sign(world: &World, request: &SignRequest, cx: &Context) -> Result<SealReply> {
    let from = request
        .from
        .clone()
        .or_else(|| request.context.as_ref().and_then(Origin::address));
    let sealing = Sealing {
        sign: Done::Yes,
        encrypt: Done::No,
    };
    // It may go to anybody.
    if let Some(rule) = cx.policy.broken_by(None, sealing).first() {
        return Err(choose::refused(rule));
    }
    // S/MIME has no such frame.
    let protect = Protect {
        protocol: Choice::OpenPgp,
        ..Protect::default()
    };
    let signer = signer_or_only(world, from.as_ref(), &protect, cx)?;
    Ok(SealReply {
        text: sealed(world, &request.text, &[], Some(&signer), cx)?,
        also: Vec::new(),
    })
}

fn sealed(
    world: &World,
    text: &Body,
    recipients: &[StoredCert],
    signer: Option<&StoredCert>,
    cx: &Context,
) -> Result<Body> {
    let text = text.bytes()?;
    check_size(text.len())?;
    cx.job.stage(Stage::Crypto);
    let how = Seal {
        cipher: Cipher::Auto,
        recipients,
        signer,
        scheme: Scheme::Inline,
        intended: true,
        extra: Extra::default(),
    };
    match world.engine(Protocol::OpenPgp)?.seal(text, &how, cx)? {
        SealedOut::Encrypted(armor) | SealedOut::Inside(armor) => Ok(armor.into()),
        SealedOut::Detached { .. } | SealedOut::Enveloped { .. } => {
            Err(Error::internal("an inline signature came out detached"))
        }
    }
}
