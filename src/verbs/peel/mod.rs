//! Takes a message apart layer by layer: which layers there are, what they hold, what stayed
//! closed. It collects facts; what they mean is said in `verbs/open` and `verbs/judge`.

mod found;
mod shapes;

use bytes::Bytes;

pub(super) use found::{Branch, Payload, Peeled, PeeledLayer, PeeledPart, Scope, Sealing};
use shapes::{
    Inside, is_file_among_files, is_letter, resolve, shown_child, stands_first, without_suffix,
    wrapped,
};

use super::pieces::{self, Piece};
use super::{Ask, World, drafts, harvest};
use crate::base::error::{Error, Kind, Result};
use crate::base::layer::{Fit, Form, Opened, Sealed, SignatureFacts};
use crate::base::policy::ANCHORS_FILES;
use crate::base::verdict::{Disposition, Layer, LayerError, LayerKind, Scheme};
use crate::base::{Context, KeyId, Protocol};
use crate::mail::armor::SegmentKind as Block;
use crate::mail::fault::Fault;
use crate::mail::html::LegacyDisplay;
use crate::mail::protect::{self, Protected};
use crate::mail::{Entity, Head, decode, layers};

/// Layers inside layers: nobody wraps a message more than three times for a reason.
const LAYERS_DEEP: usize = 16;

/// Layers in one message: as many signed or encrypted parts as a digest of a busy list holds.
const LAYERS_MAX: usize = 200;

/// What all layers of one message may unpack to beyond their own size, in bytes: each engine has
/// a cap for one layer, and a message holds many.
const UNPACKED_MAX: usize = 128 << 20;

/// Parts in the whole result, whatever message inside a message they come from.
const PARTS_MAX: usize = 2_000;

/// Where the walk stands.
#[derive(Clone)]
struct At {
    layers: Vec<usize>,
    /// How many objects were opened on the way. Compressed data is no layer, and counts.
    depth: usize,
    envelope: bool,
    /// Nothing but layers stands between this and the layer around it.
    direct: bool,
    scope: usize,
    show: bool,
    /// It is where a message has its text, so that a name makes no file of it.
    first: bool,
    branches: Vec<Branch>,
}

impl At {
    fn outermost() -> At {
        At {
            layers: Vec::new(),
            depth: 0,
            envelope: true,
            direct: true,
            scope: 0,
            show: true,
            first: true,
            branches: Vec::new(),
        }
    }
}

struct Walk<'a> {
    world: &'a World,
    cx: &'a Context,
    ask: Ask,
    opens: Opens,
    /// What was unpacked so far, beyond the size of what it was unpacked from.
    unpacked: usize,
    out: Peeled,
}

/// Takes a whole message apart.
///
/// # Errors
/// Those of the outermost layer; errors that carry a question, for the layers of the envelope;
/// `message.malformed` and `limit.exceeded` for the structure.
pub(super) fn message(world: &World, root: &Entity, ask: Ask, cx: &Context) -> Result<Peeled> {
    let mut walk = Walk::new(world, ask, cx, root.head.clone());
    walk.entity(root, At::outermost())?;
    Ok(walk.out)
}

/// Takes apart one layer that came without its message.
///
/// # Errors
/// As [`message`].
pub(super) fn layer(world: &World, sealed: &Sealed, ask: Ask, cx: &Context) -> Result<Peeled> {
    let mut walk = Walk::new(world, ask, cx, Head::default());
    let at = At::outermost();
    walk.layer(sealed, "1", Inside::Unknown, at)?;
    Ok(walk.out)
}

/// Takes apart a text that came without its message, in its pieces.
///
/// # Errors
/// As [`message`].
pub(super) fn text(
    world: &World,
    pieces: Vec<Piece>,
    opens: Opens,
    ask: Ask,
    cx: &Context,
) -> Result<Peeled> {
    let mut walk = Walk::new(world, ask, cx, Head::default());
    let at = At::outermost();
    walk.opens = opens;
    walk.inline("1", pieces, "utf-8", &at)?;
    Ok(walk.out)
}

/// Which layers are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Everything,
    /// Encrypted blocks stay as they are.
    Signatures,
}

impl<'a> Walk<'a> {
    fn new(world: &'a World, ask: Ask, cx: &'a Context, head: Head) -> Walk<'a> {
        let out = Peeled {
            layers: Vec::new(),
            parts: Vec::new(),
            chosen: Vec::new(),
            scopes: vec![Scope::of(head)],
            payload: None,
            keys: Vec::new(),
            brought: Vec::new(),
            own_draft: false,
        };
        Walk {
            world,
            cx,
            ask,
            opens: Opens::Everything,
            unpacked: 0,
            out,
        }
    }

    fn entity(&mut self, entity: &Entity, mut at: At) -> Result<()> {
        self.cx.job.check()?;
        if self.is_own_draft(entity, &at)? {
            self.out.own_draft = true;
            self.payload(entity, &at);
            let at = At { first: false, ..at };
            return self.draft(entity, at);
        }
        let mut faults = entity.faults.clone();
        if let Some(found) = layers::layer(entity) {
            faults.extend_from_slice(&found.faults);
            self.doubt(&faults, &at);
            let inside = match (found.sealed.protocol, found.sealed.scheme) {
                (_, Scheme::Mime) => Inside::Payload,
                // A MIME entity by the rules; some senders put in a bare text.
                (Protocol::Smime, _) => Inside::Unknown,
                _ => Inside::File(entity.name()),
            };
            return self.layer(&found.sealed, &entity.id, inside, at);
        }
        self.doubt(&faults, &at);
        // What stands around GpgOL's file is Outlook's: the payload is in the file.
        let in_file = layers::in_gpgol_file(entity);
        let envelope = at.envelope && !at.layers.is_empty() && at.scope == 0;
        if envelope
            && in_file.is_none()
            && self.out.payload.is_none()
            && let Some(message) = self.payload(entity, &at)
        {
            return self.entity(&message, at);
        }
        if entity.is_container() {
            return match in_file {
                Some(inner) => {
                    for part in &entity.children {
                        self.doubt(&part.faults, &at);
                    }
                    self.entity(&inner, at)
                }
                None => self.multipart(entity, &at),
            };
        }
        if matches!(entity.media.kind(), "message/rfc822" | "message/global") {
            return self.attached_message(entity, at);
        }
        let written = entity.disposition() == Disposition::Inline || at.first && is_letter(entity);
        if layers::is_inline_text(entity) && written {
            // Signatures were made over the bytes as they were typed, before any charset.
            let mut text = entity.content();
            if self.legacy_display(entity, &at) == LegacyDisplay::Present {
                text = protect::behind_legacy_display(&text);
            }
            if memchr::memmem::find(&text, b"-----BEGIN PGP ").is_some() {
                let charset = entity.media.param("charset").unwrap_or_default();
                let pieces = pieces::as_given(&text);
                return self.inline(&entity.id, pieces, charset, &at);
            }
        }
        at.envelope = false;
        self.leaf(entity, at)
    }

    /// Takes note of what makes a message ambiguous. An attached one is its own affair: the
    /// signature around it is over its bytes, whatever they say.
    fn doubt(&mut self, faults: &[Fault], at: &At) {
        if let Some(scope) = self.out.scopes.get_mut(at.scope) {
            scope.ambiguous |= faults.iter().any(|fault| fault.ambiguous());
        }
    }

    /// Takes note of the cryptographic payload. `Some`: the message that stands in it for itself.
    fn payload(&mut self, entity: &Entity, at: &At) -> Option<Entity> {
        let outer = self.out.scopes.first().map(|scope| scope.head.clone());
        let outer = outer.unwrap_or_default();
        let sealed = match self.is_inside_encryption(at) {
            true => Sealing::Inside,
            false => Sealing::Open,
        };
        let wrapped = wrapped(entity, &outer);
        let root = wrapped.as_ref().unwrap_or(entity);
        self.out.payload = Some(Payload {
            protected: match &wrapped {
                Some(_) => Protected::wrapped(&outer),
                None => Protected::read(entity, &outer),
            },
            head: root.head.clone(),
            whole: root.whole.clone(),
            layers: at.layers.clone(),
            sealed,
        });
        wrapped
    }

    /// Whether an entity is a draft of this store's own, under one encryption and nothing else.
    fn is_own_draft(&self, entity: &Entity, at: &At) -> Result<bool> {
        let around = match at.layers.as_slice() {
            [only] if at.envelope && at.scope == 0 => self.out.layers.get(*only),
            _ => None,
        };
        match (around, self.out.scopes.first()) {
            (Some(around), Some(scope)) if around.layer.kind == LayerKind::Encryption => {
                drafts::is_own(self.world, &scope.head, entity)
            }
            _ => Ok(false),
        }
    }

    /// A draft as it was written. Nothing in it is opened, whatever it looks like: what others
    /// encrypted, and somebody pasted, would be sent on in the clear.
    fn draft(&mut self, entity: &Entity, at: At) -> Result<()> {
        if !entity.is_container() {
            return self.leaf(entity, at);
        }
        let alternative = self.alternative(entity);
        for (index, child) in entity.children.iter().enumerate() {
            let at = At {
                branches: branches(&at, alternative, index),
                ..at.clone()
            };
            self.draft(child, at)?;
        }
        Ok(())
    }

    /// Chooses among alternatives, and says which ones they are.
    fn alternative(&mut self, entity: &Entity) -> Option<usize> {
        self.out.chosen.push(shown_child(entity)?);
        self.out.chosen.len().checked_sub(1)
    }

    fn multipart(&mut self, entity: &Entity, at: &At) -> Result<()> {
        let alternative = self.alternative(entity);
        let apart = self.display_part(entity, at);
        let sealed = layers::beside_control(entity);
        // Its control part says nothing to a reader.
        let place = sealed.as_ref().map(|(place, _)| *place);
        let control = place.and_then(|place| place.checked_sub(1));
        for (index, child) in entity.children.iter().enumerate() {
            let show =
                at.show && apart != Some(index) && !is_file_among_files(entity, index, control);
            let at = At {
                envelope: false,
                direct: false,
                show,
                first: at.first && Some(index) == place || stands_first(entity, index, at.first),
                branches: branches(at, alternative, index),
                ..at.clone()
            };
            match &sealed {
                Some((place, found)) if *place == index => {
                    self.layer(&found.sealed, &child.id, Inside::Payload, at)?;
                }
                _ if control == Some(index) => {}
                _ => self.entity(child, at)?,
            }
        }
        Ok(())
    }

    /// Which part of an encrypted payload only says once more what its fields say, as the scheme
    /// before RFC 9788 had it: the first one, marked like the payload itself.
    fn display_part(&self, entity: &Entity, at: &At) -> Option<usize> {
        let older = |entity: &Entity| entity.media.param("protected-headers") == Some("v1");
        let payload = self.out.payload.as_ref()?;
        let root = at.scope == 0 && payload.is_sealed() && payload.whole == entity.whole;
        let first = entity.children.first()?;
        let kinds = ["text/plain", "text/rfc822-headers"];
        let display = kinds.contains(&first.media.kind()) && older(first);
        (root && older(entity) && entity.media.kind() == "multipart/mixed" && display).then_some(0)
    }

    /// A message inside the message: a part of its own, and its parts after it, judged by its
    /// own From and never shown as ours.
    fn attached_message(&mut self, entity: &Entity, at: At) -> Result<()> {
        let content = entity.content();
        self.leaf(
            entity,
            At {
                show: false,
                ..at.clone()
            },
        )?;
        if at.layers.len() >= LAYERS_DEEP || self.out.scopes.len() >= LAYERS_DEEP {
            return Ok(());
        }
        // What is attached may be anything; it stays an attachment when it can't be read.
        let Ok(inner) = Entity::parse(content, &entity.id) else {
            return Ok(());
        };
        self.out.scopes.push(Scope::of(inner.head.clone()));
        let scope = self.out.scopes.len() - 1;
        self.entity(
            &inner,
            At {
                scope,
                envelope: false,
                direct: false,
                show: false,
                first: true,
                ..at
            },
        )
    }

    fn leaf(&mut self, entity: &Entity, at: At) -> Result<()> {
        let name = entity.name();
        let letter = at.first && is_letter(entity);
        let disposition = match letter {
            true => Disposition::Inline,
            false => entity.disposition(),
        };
        let text = entity.media.top() == "text";
        // A file stays what it is, byte for byte; only a text of the message becomes UTF-8.
        let written = letter || text && disposition == Disposition::Inline && name.is_none();
        let legacy = match written {
            true => self.legacy_display(entity, &at),
            false => LegacyDisplay::Absent,
        };
        let body = match (written, entity.media.kind(), legacy) {
            (true, "text/plain", LegacyDisplay::Present) => {
                protect::behind_legacy_display(&entity.text())
            }
            (true, "text/html", LegacyDisplay::Present) => {
                protect::without_legacy_display(&entity.text())
            }
            (true, ..) => entity.text(),
            (false, ..) => entity.content(),
        };
        if let Some(keys) = layers::keys(entity) {
            self.out
                .keys
                .extend(harvest::attached(self.world, &keys, self.cx));
        }
        let shown = at.show && written;
        self.part(PeeledPart {
            id: entity.id.clone(),
            media_type: entity.media.kind().to_owned(),
            name,
            disposition,
            content_id: entity.content_id(),
            body,
            scope: at.scope,
            layers: at.layers,
            written,
            show: shown,
            branches: at.branches,
        })
    }

    /// Whether a leaf begins with a Legacy Display: it says so, and the payload stands inside an
    /// encryption and has header protection (RFC 9788 4.5.3).
    fn legacy_display(&self, leaf: &Entity, at: &At) -> LegacyDisplay {
        match &self.out.payload {
            Some(payload)
                if at.scope == 0 && payload.is_sealed() && payload.protected.hp.is_some() =>
            {
                protect::legacy_display(leaf)
            }
            _ => LegacyDisplay::Absent,
        }
    }

    fn part(&mut self, part: PeeledPart) -> Result<()> {
        if self.out.parts.len() >= PARTS_MAX {
            return Err(Error::limit(
                "parts",
                "the message has more parts than can be shown",
            ));
        }
        self.out.parts.push(part);
        Ok(())
    }

    /// A text with armor in it: each block a layer, all else a part without protection.
    fn inline(&mut self, id: &str, pieces: Vec<Piece>, charset: &str, at: &At) -> Result<()> {
        let alone = pieces.len() == 1;
        for (index, Piece { kind, given, data }) in pieces.into_iter().enumerate() {
            let id = match alone {
                true => id.to_owned(),
                false => format!("{id}.{}", index + 1),
            };
            let at = At {
                envelope: at.envelope && alone,
                direct: at.direct && alone,
                ..at.clone()
            };
            let form = match kind {
                Block::Message if self.opens == Opens::Signatures => Form::SignedInside { data },
                Block::Message => Form::Encrypted { data },
                Block::Cleartext => Form::Cleartext { data },
                Block::PublicKey => {
                    self.out
                        .keys
                        .extend(harvest::attached(self.world, &data, self.cx));
                    self.text_part(id, &given, charset, &at)?;
                    continue;
                }
                Block::Plain | Block::PrivateKey | Block::Signature => {
                    self.text_part(id, &given, charset, &at)?;
                    continue;
                }
            };
            let sealed = Sealed {
                protocol: Protocol::OpenPgp,
                scheme: Scheme::Inline,
                form,
            };
            if self.stays_closed(&sealed)? {
                self.text_part(id, &given, charset, &at)?;
                continue;
            }
            let charset = charset.to_owned();
            self.layer(&sealed, &id, Inside::Block { charset, given }, at)?;
        }
        Ok(())
    }

    /// Whether what is only to be verified is not signed alone: whatever it is, no key and no
    /// passphrase is asked for it.
    fn stays_closed(&self, sealed: &Sealed) -> Result<bool> {
        if !matches!(sealed.form, Form::SignedInside { .. }) {
            return Ok(false);
        }
        match self.world.engine(sealed.protocol)?.open(sealed, self.cx) {
            Ok(_) => Ok(false),
            Err(error) if error.kind == Kind::Cancelled => Err(error),
            Err(_) => Ok(true),
        }
    }

    fn text_part(&mut self, id: String, data: &Bytes, charset: &str, at: &At) -> Result<()> {
        self.part(PeeledPart {
            id,
            media_type: "text/plain".to_owned(),
            name: None,
            disposition: Disposition::Inline,
            content_id: None,
            body: decode::text(charset, data),
            layers: at.layers.clone(),
            written: true,
            show: at.show,
            branches: at.branches.clone(),
            scope: at.scope,
        })
    }

    /// Opens one layer and goes on inside it.
    fn layer(&mut self, sealed: &Sealed, part: &str, inside: Inside, at: At) -> Result<()> {
        if at.depth >= LAYERS_DEEP || self.out.layers.len() >= LAYERS_MAX {
            let error = Error::limit("layers", "the message is wrapped too many times");
            return self.closed(sealed, part, error, &inside, &at);
        }
        let opened = match self.world.engine(sealed.protocol) {
            Ok(engine) => engine.open(sealed, self.cx),
            Err(error) => Err(error),
        };
        match opened {
            Ok(opened) => self.opened(sealed, part, opened, inside, at),
            Err(error) if error.kind == Kind::Cancelled => Err(error),
            Err(error) => match (&sealed.form, unreadable(&error)) {
                // The content is there to be read, whatever its signature is: a bad signature
                // is a result.
                (Form::Detached { content, .. } | Form::Cleartext { data: content }, Some(fit)) => {
                    let unread = vec![SignatureFacts::unread(fit)];
                    let opened = Opened::signed(content.clone(), unread);
                    self.opened(sealed, part, opened, inside, at)
                }
                _ => self.closed(sealed, part, error, &inside, &at),
            },
        }
    }

    fn opened(
        &mut self,
        sealed: &Sealed,
        part: &str,
        opened: Opened,
        inside: Inside,
        at: At,
    ) -> Result<()> {
        let Opened {
            content,
            encryption,
            signatures,
            ..
        } = opened;
        let grown = content.len().saturating_sub(sealed.form.size());
        self.unpacked = self.unpacked.saturating_add(grown);
        if self.unpacked > UNPACKED_MAX {
            let error = match encryption {
                Some(_) => Error::decrypt_failed(),
                None => Error::limit("content", "the message unpacks to more than can be shown"),
            };
            return self.closed(sealed, part, error, &inside, &at);
        }
        let mut within = At {
            depth: at.depth + 1,
            ..at
        };
        if let Some(encryption) = encryption {
            let mut layer = self.new_layer(LayerKind::Encryption, sealed, part, &within);
            layer.layer.cipher = Some(encryption.cipher);
            layer.layer.integrity = Some(encryption.integrity);
            layer.layer.recipients = encryption.recipients;
            layer.layer.key = encryption.key;
            layer.layer.reasons = encryption.reasons;
            self.push(layer, &mut within);
            within.direct = true;
        }
        if !signatures.is_empty() || matches!(sealed.form, Form::Detached { .. }) {
            let mut layer = self.new_layer(LayerKind::Signature, sealed, part, &within);
            layer.facts = signatures;
            self.push(layer, &mut within);
            within.direct = true;
        }
        let encrypted = self.is_inside_encryption(&within);
        self.inside(part, content, inside, within)
            .map_err(|error| match encrypted {
                true => unreadable_inside(error),
                false => error,
            })
    }

    /// Goes on with what a layer held.
    fn inside(&mut self, part: &str, content: Bytes, inside: Inside, within: At) -> Result<()> {
        match resolve(inside, &content) {
            Inside::Entity => {
                let inner = Entity::parse(content, part)?;
                self.entity(&inner, within)
            }
            Inside::Text(charset) | Inside::Block { charset, .. } => {
                let content = decode::sealed_text(&charset, &content);
                self.text_part(format!("{part}.1"), &content, "utf-8", &within)
            }
            Inside::File(name) => self.part(PeeledPart {
                id: format!("{part}.1"),
                media_type: "application/octet-stream".to_owned(),
                name: name.map(|name| without_suffix(&name)),
                disposition: Disposition::Attachment,
                content_id: None,
                body: content,
                layers: within.layers,
                written: false,
                show: false,
                branches: Vec::new(),
                scope: within.scope,
            }),
            Inside::Payload | Inside::Unknown => Ok(()),
        }
    }

    /// A layer that stays closed: fatal when nothing is outside it, or when an answer of the
    /// person would open it; otherwise noted, and the rest goes on.
    fn closed(
        &mut self,
        sealed: &Sealed,
        part: &str,
        error: Error,
        inside: &Inside,
        at: &At,
    ) -> Result<()> {
        let error = match self.is_inside_encryption(at) {
            true => unreadable_inside(error),
            false => error,
        };
        let answerable = at.envelope && error.question.is_some() && self.ask == Ask::Allowed;
        let outermost = at.envelope && at.layers.is_empty() && at.scope == 0;
        if answerable || outermost {
            return Err(error);
        }
        let kind = match sealed.form {
            Form::Encrypted { .. } => LayerKind::Encryption,
            // What stays compressed promises no secrecy, so it is told among these.
            _ => LayerKind::Signature,
        };
        let mut layer = self.new_layer(kind, sealed, part, at);
        if let (Form::Encrypted { data }, Ok(engine)) =
            (&sealed.form, self.world.engine(sealed.protocol))
        {
            layer.layer.recipients = engine.recipients(data, self.cx);
        }
        layer.layer.error = Some(LayerError {
            blame: error.kind.blame(),
            message: error.message,
            kind: error.kind,
        });
        self.out.layers.push(layer);
        // Its text is there to be read, signed or not.
        if let (Form::Detached { content, .. }, true) = (&sealed.form, at.depth < LAYERS_DEEP) {
            let at = At {
                depth: at.depth + 1,
                envelope: false,
                direct: false,
                ..at.clone()
            };
            return self.inside(part, content.clone(), inside.clone(), at);
        }
        // What can't be opened stays in its place in the text.
        match (&sealed.form, sealed.scheme, inside) {
            (_, _, Inside::Block { given, .. }) => {
                self.text_part(format!("{part}.1"), given, "utf-8", at)
            }
            (Form::Encrypted { data }, Scheme::Inline, _) => {
                self.text_part(format!("{part}.1"), data, "utf-8", at)
            }
            _ => Ok(()),
        }
    }

    fn is_inside_encryption(&self, at: &At) -> bool {
        at.layers
            .iter()
            .filter_map(|index| self.out.layers.get(*index))
            .any(|layer| layer.layer.kind == LayerKind::Encryption)
    }

    fn new_layer(&self, kind: LayerKind, sealed: &Sealed, part: &str, at: &At) -> PeeledLayer {
        let parent = at.layers.last().copied();
        let layer = Layer {
            id: format!("L{}", self.out.layers.len() + 1),
            r#in: parent.and_then(|index| Some(self.out.layers.get(index)?.layer.id.clone())),
            part: part.to_owned(),
            kind,
            protocol: sealed.protocol,
            scheme: sealed.scheme,
            cipher: None,
            integrity: None,
            recipients: Vec::new(),
            key: None::<KeyId>,
            reasons: Vec::new(),
            signatures: Vec::new(),
            error: None,
        };
        PeeledLayer {
            layer,
            parent,
            envelope: at.envelope,
            direct: at.direct,
            scope: at.scope,
            facts: Vec::new(),
        }
    }

    fn push(&mut self, layer: PeeledLayer, at: &mut At) {
        at.layers.push(self.out.layers.len());
        self.out.layers.push(layer);
    }
}

/// Where a child stands in the alternatives around it.
fn branches(at: &At, alternative: Option<usize>, child: usize) -> Vec<Branch> {
    let mut branches = at.branches.clone();
    branches.extend(alternative.map(|alternative| Branch { alternative, child }));
    branches
}

/// A fault inside ciphertext: always the same one, so that nobody learns what changing the
/// ciphertext did.
fn unreadable_inside(error: Error) -> Error {
    match error.kind {
        Kind::MessageMalformed | Kind::LimitExceeded { .. } => Error::decrypt_failed(),
        _ => error,
    }
}

/// What a fault that lies in the signature itself says of it; `None` when the fault is ours.
fn unreadable(error: &Error) -> Option<Fit> {
    match error.kind {
        Kind::MessageMalformed | Kind::LimitExceeded { .. } => Some(Fit::Malformed),
        // Rules that can't be read say nothing of a signature.
        Kind::PolicyRefused { rule, .. } if rule != ANCHORS_FILES => Some(Fit::Unsupported),
        _ => None,
    }
}
